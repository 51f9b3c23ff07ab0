"""Schema core: the canonical model that every CRM is mapped to."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

UP = """
create schema core;
comment on schema core is 'Canonical model, written by normalise only; CRM ids are text, times are timestamptz';

create table core.status_groups (
    project_id text not null,
    status_group_id text not null,
    name text not null,
    updated_at timestamptz not null default now(),
    primary key (project_id, status_group_id)
);

create table core.statuses (
    project_id text not null,
    status_id text not null,
    name text not null,
    alias text,
    status_group_id text,
    is_closing boolean not null default false,
    is_active boolean not null default true,
    updated_at timestamptz not null default now(),
    primary key (project_id, status_id)
);

create table core.sources (
    project_id text not null,
    source_id text not null,
    name text not null,
    alias text,
    driver text,
    currency text,
    updated_at timestamptz not null default now(),
    primary key (project_id, source_id)
);

create table core.customers (
    project_id text not null,
    customer_id text not null,
    full_name text,
    phone_e164 text,
    phones text[] not null default '{}',           -- all of them, E.164 where they could be read, else as written
    email text,
    emails text[] not null default '{}',
    company_id text,
    manager_id text,
    birthday date,
    note text,
    is_deleted boolean not null default false,
    source_created_at timestamptz,
    source_updated_at timestamptz,
    ingested_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (project_id, customer_id)
);
create index customers_by_phone on core.customers (project_id, phone_e164);

create table core.orders (
    project_id text not null,
    order_id text not null,
    parent_id text,
    source_uuid text,
    source_id text,
    status_id text,
    status_group_id text,
    customer_id text,
    manager_id text,
    grand_total numeric(18, 2),
    products_total numeric(18, 2),
    total_discount numeric(18, 2),
    expenses_sum numeric(18, 2),
    shipping_price numeric(18, 2),
    payments_total numeric(18, 2),
    currency text,
    payment_status text,
    promocode text,
    manager_comment text,
    customer_comment text,
    delivery_service_id text,
    tracking_code text,
    shipping_status text,
    shipping_country text,
    shipping_region text,
    shipping_city text,
    shipping_address text,
    shipping_date date,
    recipient_name text,
    recipient_phone_e164 text,
    is_deleted boolean not null default false,
    has_items boolean not null default false,      -- items have been read at least once, even if there are none
    ordered_at timestamptz,
    order_created_at timestamptz,
    closed_at timestamptz,                         -- as the CRM reports it; marts derive their own
    source_updated_at timestamptz,
    items_updated_at timestamptz,                  -- source_updated_at of the record the items were read from
    payments_updated_at timestamptz,               -- the same for the payments
    ingested_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (project_id, order_id)
);
create index orders_by_source_uuid on core.orders (project_id, source_uuid) where source_uuid is not null;
create index orders_by_time on core.orders (project_id, order_created_at);
create index orders_without_items on core.orders (project_id, order_id) where not has_items;

create table core.order_status_events (
    event_id bigint generated always as identity,  -- order of arrival: breaks ties of status_changed_at
    project_id text not null,
    order_id text not null,
    status_id text not null,
    status_group_id text,
    status_changed_at timestamptz not null,
    order_created_at timestamptz,
    source text not null,                          -- webhook, pull, reread, history
    is_approximate boolean not null default false, -- the API gave no time of the change
    payload jsonb,
    dedup_key text not null,                       -- project, order, status_changed_at, status, group
    ingested_at timestamptz not null default now(),
    primary key (project_id, event_id),
    unique (project_id, dedup_key)
);
comment on table core.order_status_events is 'Single source of truth of status changes; append-only';
create index order_status_events_by_order on core.order_status_events
    (project_id, order_id, status_changed_at, event_id);
create index order_status_events_by_ingestion on core.order_status_events (ingested_at);

create table core.order_items (
    project_id text not null,
    order_id text not null,
    line_number integer not null,                  -- from 1, in the CRM's order
    item_id text,
    product_id text,
    offer_id text,
    sku text,
    name text,
    quantity numeric(18, 3) not null,
    price numeric(18, 2),
    price_sold numeric(18, 2),
    purchased_price numeric(18, 2),
    total_discount numeric(18, 2),
    unit_type text,
    properties jsonb not null default '[]',
    updated_at timestamptz not null default now(),
    primary key (project_id, order_id, line_number)
);

create table core.order_marketing (
    project_id text not null,
    order_id text not null,
    utm_source text,
    utm_medium text,
    utm_campaign text,
    utm_term text,
    utm_content text,
    fbclid text,
    gclid text,
    source text not null,                          -- api, or comment: parsed from the manager's comment
    source_updated_at timestamptz,                 -- of the order record it was read from
    updated_at timestamptz not null default now(),
    primary key (project_id, order_id)
);

create table core.payments (
    project_id text not null,
    payment_id text not null,
    order_id text not null,
    payment_method_id text,
    amount numeric(18, 2) not null,
    currency text,
    status text not null,
    description text,
    transaction_uuid text,
    paid_at timestamptz,
    is_deleted boolean not null default false,     -- was on the order, no longer is
    source_created_at timestamptz,
    source_updated_at timestamptz,
    updated_at timestamptz not null default now(),
    primary key (project_id, payment_id)
);
create index payments_by_order on core.payments (project_id, order_id);

create table core.products (
    project_id text not null,
    product_id text not null,
    name text not null,
    sku text,
    category_id text,
    price numeric(18, 2),
    purchased_price numeric(18, 2),
    currency text,
    is_archived boolean not null default false,
    source_updated_at timestamptz,
    updated_at timestamptz not null default now(),
    primary key (project_id, product_id)
);

create table core.offers (
    project_id text not null,
    offer_id text not null,
    product_id text,
    sku text,
    barcode text,
    price numeric(18, 2),
    purchased_price numeric(18, 2),
    in_stock numeric(18, 3),
    in_reserve numeric(18, 3),
    properties jsonb not null default '[]',
    is_archived boolean not null default false,
    stock_updated_at timestamptz,
    updated_at timestamptz not null default now(),
    primary key (project_id, offer_id)
);
create index offers_by_sku on core.offers (project_id, sku);
"""

DOWN = "drop schema core cascade;"


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    op.execute(DOWN)
