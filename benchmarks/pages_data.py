"""What pages show besides orders, for benchmarks.pages: runs, logs, webhooks, both ways, the audit log."""

from __future__ import annotations

import psycopg

from benchmarks.intervals_data import run

# The newest run is of this minute; one in 53 failed, each project has four streams, and reads again by itself.
_RUNS = """
insert into sync.runs
    (project_id, kind, stream, trigger, state, started_at, finished_at, rows_seen, rows_new, rows_changed, error_word,
    error_message)
select project_id, case when n %% 10 = 0 then 'reread' else 'pull' end,
    (array['orders', 'customers', 'statuses', 'products'])[n %% 4 + 1], 'schedule',
    case when n %% 53 = 0 then 'failed' else 'success' end, at, at + (n %% 97 + 1) * interval '0.31 s',
    n %% 500, n %% 7, n %% 31, case when n %% 53 = 0 then 'retry' end,
    case when n %% 53 = 0 then 'The CRM did not answer in 30 s.' end
from generate_series(1, %(runs)s) as n
cross join lateral (select now() - (%(runs)s - n) * interval '45 days' / %(runs)s as at) as began
cross join lateral (select project_id from config.projects order by project_id offset n %% 5 limit 1) as project;

insert into sync.integration_logs (project_id, run_id, logged_at, level, message)
select project_id, run_id, started_at, case state when 'failed' then 'error' else 'info' end,
    coalesce(error_message, 'Read ' || rows_seen || ' records of ' || stream || '.')
from sync.runs;
analyze sync.runs;
analyze sync.integration_logs;
"""
_WEBHOOKS = """
insert into raw.webhook_events (project_id, crm, received_at, content_type, content_hash, body)
select project_id, 'keycrm', now() - (%(hooks)s - n) * interval '30 days' / %(hooks)s, 'application/json',
    sha256(convert_to(n::text, 'UTF8')),
    '{"event": "order.change_order_status", "context": {"id": ' || n || ', "status_id": 3, "buyer": {"phone": "+380"}}}'
from generate_series(1, %(hooks)s) as n
cross join lateral (select project_id from config.projects order by project_id offset n %% 5 limit 1) as project;
analyze raw.webhook_events;
"""
_TWO_WAY = """
insert into sync.mappings (project_id, entity_type, vms_entity_id, crm_entity_id, sync_status, last_synced_at)
select project_id, (array['order', 'customer', 'article', 'payment'])[n %% 4 + 1], n, n::text,
    case when n %% 199 = 0 then 'error' when n %% 89 = 0 then 'pending' else 'synced' end, now()
from generate_series(1, %(links)s) as n
cross join lateral (select project_id from config.projects order by project_id offset n %% 5 limit 1) as project;

insert into sync.outbox
    (project_id, entity_type, vms_entity_id, lane, operation, fields, changed_at, state, finished_at)
select project_id, entity_type, vms_entity_id, entity_type || ':' || vms_entity_id, 'update', array['status'],
    now() - (%(links)s - vms_entity_id) * interval '1 s',
    case when vms_entity_id %% 101 = 0 then 'waiting' when vms_entity_id %% 71 = 0 then 'failed' else 'sent' end, now()
from sync.mappings;

insert into sync.write_ledger (project_id, side, entity_type, entity_id, operation, fields, fields_hash)
select project_id, case when vms_entity_id %% 2 = 0 then 'crm' else 'vms' end, entity_type, crm_entity_id, 'update',
    array['status'], sha256('x')
from sync.mappings;

insert into sync.dead_letters (project_id, direction, source, stream, crm_id, error_word, reason, payload, state)
select project_id, case when n %% 2 = 0 then 'inbound' else 'outbound' end, 'api', 'orders', n::text, 'skip_row',
    'The order has no date.', '{"id": ' || n || ', "buyer": {"full_name": "Olena"}}',
    case when n %% 3 = 0 then 'resolved' else 'open' end
from generate_series(1, %(letters)s) as n
cross join lateral (select project_id from config.projects order by project_id offset n %% 5 limit 1) as project;

insert into sync.conflicts (project_id, entity_type, vms_entity_id, crm_entity_id, fields)
select project_id, 'order', n, n::text,
    '{"comment": {"vms": "Call first", "crm": "Leave at the door", "crm_own": "Leave at the door",
        "agreed_vms": null, "agreed_crm": null,
        "vms_changed_at": "2026-11-20T08:00:00Z", "crm_changed_at": "2026-11-20T09:00:00Z"}}'
from generate_series(1, %(letters)s / 10) as n
cross join lateral (select project_id from config.projects order by project_id offset n %% 5 limit 1) as project;

insert into sync.alerts (project_id, kind, subject, message)
select project_id, 'record_failed', n::text, 'It has no date.'
from generate_series(1, 200) as n
cross join lateral (select project_id from config.projects order by project_id offset n %% 5 limit 1) as project;

insert into config.audit_log (at, actor, action, project_id, object, before, after)
select now() - n * interval '10 minutes', 'user:olena', 'settings.changed', project_id, 'sla normal ' || n %% 7,
    '{"limit_seconds": 3600}', '{"limit_seconds": 7200}'
from generate_series(1, %(letters)s * 4) as n
cross join lateral (select project_id from config.projects order by project_id offset n %% 5 limit 1) as project;
analyze sync.mappings;
analyze sync.outbox;
analyze sync.write_ledger;
analyze sync.dead_letters;
analyze config.audit_log;
"""

# Kinds of projects that have pages of their own.
_OTHERS = """
insert into config.projects (project_id, name, crm, timezone)
values ('files', 'Files', 'csv', 'UTC'), ('own', 'Own', 'custom', 'UTC');
insert into sync.csv_imports
    (project_id, file_id, filename, size_bytes, origin, state, started_at, finished_at, rows_total, rows_done, imported)
select 'files', n, 'sales-' || n || '.csv', 1000, 'http', 'done', now(), now(), 10, 10, 10
from generate_series(1, 200) as n;
"""

_KNOWN = {
    "letter": "select dead_letter_id from sync.dead_letters where state = 'open' order by dead_letter_id desc limit 1",
    "conflict": "select conflict_id from sync.conflicts where state = 'open' order by conflict_id desc limit 1",
    "user": "select user_id from config.users order by user_id limit 1",
    "variant": "select variant_id from marts.agg_variants where project_id = 'north' order by orders desc limit 1",
    "from": "select from_status_id from marts.agg_status_transitions"
    " where project_id = 'north' and from_status_id <> '' order by orders desc limit 1",
    "to": "select to_status_id from marts.agg_status_transitions"
    " where project_id = 'north' and from_status_id <> '' order by orders desc limit 1",
}


def fill(connection: psycopg.Connection, orders: int) -> None:
    """So much of everything that a page which reads all of it is seen: 300,000 runs beside a million orders."""
    run(connection, _RUNS, runs=max(500, orders * 3 // 10))
    run(connection, _WEBHOOKS, hooks=max(100, orders // 20))
    run(connection, _TWO_WAY, links=max(100, orders // 10), letters=max(100, orders // 200))
    run(connection, _OTHERS)


def hide(connection: psycopg.Connection) -> None:
    """What the settings of one project leave out: a group, a status, and old orders."""
    connection.execute(
        """
        update config.projects
        set dashboard = '{"hidden_groups": ["7"], "hidden_statuses": ["2"], "closed_days": 30}'
        where project_id = 'north'
        """
    )


def known(connection: psycopg.Connection) -> dict[str, str]:
    """Ids for addresses."""
    found = {}
    for name, query in _KNOWN.items():
        row = connection.execute(query.encode()).fetchone()
        assert row is not None, name
        found[name] = str(row[0])
    return found
