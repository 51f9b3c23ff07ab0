"""The protocol that every CRM follows. A connector is one package whose `connector` object satisfies `Connector`.

Life of a record: `pull` or `read` yields `RawRecord`s, which the flows land verbatim in `raw.api_records`; webhooks are
verified and checked by `verify_webhook` / `check_webhook` and land in `raw.webhook_events`. Later, and again on each
replay, `map_record` / `map_webhook` turn the stored text into canonical records. Mapping is pure: same text and
context, same result. A connector that can write is a `PushingConnector` too.

The `HttpSession` knows no CRM: a connector gives its authentication as headers (or parameters) of each request.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, runtime_checkable

from connectors.errors import ConnectorError
from connectors.http import HttpSession
from connectors.records import Batch, Place
from connectors.tokens import MemoryTokens, Tokens, TokenStore

Cursor = Mapping[str, Any]
"""Position in a stream: a JSON object that only the connector reads."""


@dataclass(frozen=True, slots=True)
class Stream:
    """One kind of record that a connector can pull."""

    name: str
    """orders, customers, products, offers, stocks, statuses, sources ..."""
    is_incremental: bool = False
    """Whether `pull` takes a cursor and yields only what changed; else each pull reads everything."""
    is_dictionary: bool = False
    """Small, needed to read the others, pulled first and hourly."""
    has_windows: bool = False
    """Whether `pull` takes a window: needed for backfills by day."""
    can_read_one: bool = False
    """Whether `read` works."""
    can_list_ids: bool = False
    """Whether `list_ids` of a `ReconcilingConnector` works."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    streams: tuple[Stream, ...]
    credentials: tuple[str, ...]
    """Names of the credentials that must be set."""
    optional_credentials: tuple[str, ...] = ()
    credential_sets: tuple[tuple[str, ...], ...] = ()
    """Alternatives: besides `credentials`, all of at least one of these sets must be set."""
    mapping_secrets: tuple[str, ...] = ()
    """Credentials that `check_webhook` needs: the salt of a hash."""
    check_credentials: Callable[[Mapping[str, str]], Sequence[tuple[str, str]]] | None = None
    """What is wrong with those credentials that are given: (name, one sentence that does not repeat the value)."""
    options: Mapping[str, type] = field(default_factory=dict)
    """Name and type of each connector-specific option, besides `rate_limit`."""
    check_options: Callable[[Mapping[str, Any]], Sequence[tuple[str, str]]] | None = None
    """What is wrong with options whose types are right: (path such as `fields.amount`, one sentence)."""
    refine: Callable[[Mapping[str, Any]], Capabilities] | None = None
    """Where the options decide on streams or credentials: the capabilities of a project with them. `check_options` has
    passed before."""
    trial: Callable[[Mapping[str, Any]], str] | None = None
    """Where a project's options say how records are read: a fingerprint of them. A project is pulled only once a test
    with these very options has passed."""
    is_medical: bool = False
    """Health data: nothing but what `check_webhook` and `pull` let through may be kept, shown or logged."""
    rate_limit: tuple[int, float] = (60, 60.0)
    """Requests per seconds that the vendor allows to one account."""
    is_limit_per_address: bool = False
    """The vendor counts the requests of an IP address: all projects of this CRM share the limit."""
    timeout: float = 30.0
    """Seconds that one request may take; more where the CRM is known to be slow."""
    webhook_events: tuple[str, ...] = ()
    """Names that the by-event routes take."""
    can_register_webhook: bool = False
    has_api: bool = True
    """False: records come as files only; there is no address and nothing to pull."""
    default_base_url: str | None = None
    order_page: str | None = None
    """Path of an order's page for people, on the host of the project's base URL; `{id}` stands for the order's id."""

    @property
    def credential_names(self) -> frozenset[str]:
        """Every credential that may be set."""
        alternatives = (name for names in self.credential_sets for name in names)
        return frozenset((*self.credentials, *self.optional_credentials, *alternatives))

    def given(self, options: Mapping[str, Any]) -> Capabilities:
        """The capabilities of a project with these options."""
        return self if self.refine is None else self.refine(options)

    def missing_credentials(self, present: Mapping[str, str]) -> tuple[str, ...]:
        """What must still be set; of alternatives the one that lacks least."""
        missing = [name for name in self.credentials if not present.get(name)]
        if self.credential_sets:
            lacking = [[name for name in names if not present.get(name)] for names in self.credential_sets]
            missing += sorted(lacking, key=len)[0]
        return tuple(missing)

    def stream(self, name: str) -> Stream:
        """The stream of that name. Raises KeyError."""
        for stream in self.streams:
            if stream.name == name:
                return stream
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class WebhookAuth:
    """How a project's webhooks are verified. An unknown scheme, or a scheme without its secret, refuses everything."""

    scheme: str = "none"
    """token, hmac, bearer, standard; none: accept everything, only where the project's settings say so; unset: a
    project without webhook settings, refuse everything"""
    secret: str | None = field(default=None, repr=False)
    header: str | None = None
    encoding: str = "hex"
    """of an HMAC: hex or base64"""
    prefix: str = ""
    ip_allow: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MappingContext:
    """What mapping may know beside the payload."""

    project_id: str
    timezone: str = "UTC"
    """IANA name: zone of times that carry none, unless the CRM's documentation fixes one."""
    region: str | None = None
    """ISO 3166 alpha-2, for phones without a country code."""
    currency: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    status_map: Mapping[str, str] = field(default_factory=dict)
    """What the project says of the CRM's statuses, in the words of the warehouse system."""
    places: Mapping[str, Place] = field(default_factory=dict)
    """What the CRM has told of its places, by id."""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The credentials that `Capabilities.mapping_secrets` names, for `check_webhook` alone."""
    looks_for_echoes: bool = True
    """Whether hints are compared with what we have written to the CRM; else they need no fingerprint."""

    def timezone_of(self, place_id: str | None = None) -> str:
        """The zone of a place, else that of the account, else the project's."""
        for known in (self.places.get(place_id or ""), self.places.get("")):
            if known is not None and known.timezone is not None:
                return known.timezone
        return self.timezone

    def currency_of(self, place_id: str | None = None) -> str | None:
        """The currency of a place, else that of the account, else the project's."""
        for known in (self.places.get(place_id or ""), self.places.get("")):
            if known is not None and known.currency is not None:
                return known.currency
        return self.currency


@dataclass(frozen=True, slots=True)
class Account:
    """One project's access to its CRM."""

    project_id: str
    crm: str
    base_url: str
    credentials: Mapping[str, str] = field(repr=False)
    context: MappingContext
    options: Mapping[str, Any] = field(default_factory=dict)
    batch_size: int = 50
    since: datetime | None = None
    """Nothing older is pulled."""
    tokens: TokenStore = field(default_factory=MemoryTokens, repr=False, compare=False)
    """Where session and refresh tokens live; `connectors.tokens` says how to use it."""


@dataclass(frozen=True, slots=True)
class RawRecord:
    stream: str
    crm_id: str
    body: str
    """The record as JSON text."""
    content_hash: bytes
    """SHA-256 of what matters in it: fields that change by themselves are left out."""


@dataclass(frozen=True, slots=True)
class Page:
    records: Sequence[RawRecord]
    cursor: Cursor | None
    """To be stored in the transaction that lands the records; a later pull that starts from it goes on after this page.
    None where the stream is not incremental or a window was asked for."""
    total: int | None = None
    """Records in the whole pull, where the API tells."""
    problems: Sequence[str] = ()
    """Rows of the page that are not even records, one sentence each."""


@dataclass(frozen=True, slots=True)
class Window:
    """Closed-open interval of time to pull, for backfills."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """An HTTP request as it came in. Header names are lower case."""

    method: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    event_name: str | None = None
    remote_address: str | None = None


@dataclass(frozen=True, slots=True)
class Health:
    ok: bool
    message: str
    """One sentence: the account's name, or which credential is wrong and what to do."""
    is_proof: bool = True
    """False: the credentials are good, but there was no record to try the options of `Capabilities.trial` on."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What a CRM's words usually mean in the warehouse system; a project's settings go before it."""

    statuses: Mapping[str, str] = field(default_factory=dict)
    """Status id, alias or name -> PENDING, CONFIRMED, PROCESSING, SHIPPED, DELIVERED, CANCELLED or REFUNDED."""
    status_groups: Mapping[str, str] = field(default_factory=dict)
    """The same by group, for statuses that are not named."""
    names_groups: bool = False
    """Whether a project's `status_map` may name groups too: where a group has a code that cannot be taken for that of a
    status of another group."""
    payment_statuses: Mapping[str, str] = field(default_factory=dict)
    """A payment's status -> pending, paid, cancelled or refunded."""
    announced: frozenset[str] | None = None
    """Fields of orders and customers of whose changes the CRM tells by itself. Before others are written, the object is
    read, so that nobody's change is overwritten unseen. None: it tells of all."""


@dataclass(frozen=True, slots=True)
class Change:
    """An object of the warehouse system, and what of it the CRM is to have."""

    entity: str
    """order, customer, article or payment"""
    vms_id: int
    key: str
    """The same for each attempt: where the CRM takes an id of ours (source_uuid, externalId), it is this."""
    crm_id: str | None
    """None: the CRM does not have it yet, as far as is known."""
    data: Mapping[str, Any]
    """The object as it is now: money and quantities Decimal, times aware.

    order: number, status (the CRM's id of it, None: leave it), currency, total, discount, shipping_price, comment,
    ordered_at, items [{sku, name, quantity, price, discount, crm_id of the article or None}], customer {crm_id, key,
    full_name, phone, email} or None, carrier, tracking_number, recipient, phone, address.
    customer: full_name, phone, email, segment, note.
    article: sku, name, description, price, purchased_price, currency, stock, barcode, is_active.
    payment: order {crm_id, key}, amount, currency, method, status (pending, paid, cancelled, refunded), paid_at.
    """
    fields: frozenset[str]
    """Names in `data` that the CRM is to get; the rest is what it has."""
    known: Mapping[str, Any] = field(default_factory=dict)
    """What the CRM was last known to have, by the same names, as JSON; may be empty or old."""
    may_have_been_sent: bool = False
    """An earlier attempt was not answered: look the object up before writing, and write only what it lacks."""

    @property
    def is_new(self) -> bool:
        return self.crm_id is None


@dataclass(frozen=True, slots=True)
class PushResult:
    crm_id: str | None
    """Of the object that was created or changed. None: this CRM cannot have it, and `ignored` says why."""
    ignored: Mapping[str, str] = field(default_factory=dict)
    """Fields that this CRM cannot take, and why and what to do instead, one sentence each. They are not tried again
    until they change."""
    was_there: bool = False
    """The object existed already: it was found by its key, or by what it is known by, and brought up to date."""
    customer_id: str | None = None
    """Of an order: the CRM's id of its customer, where the answer tells."""
    fingerprint: bytes | None = None
    """Of the object as the CRM has it now, where the answer tells enough, and the push has changed it: a `Reread` with
    the same one is an echo. Without a change, somebody else's would be taken for it."""
    echoes: Sequence[tuple[str, str, bytes]] = ()
    """(entity, CRM id, fingerprint) of what else the CRM will tell of because of this push: an order between its
    creation and its status. To be kept in the write ledger beside `fingerprint`."""
    as_crm: Mapping[str, Any] = field(default_factory=dict)
    """Field -> what the CRM has of it now, where it cannot be exactly what was sent: a time in whole seconds, its own
    nearest word. Typed as in `Change.data`; what the CRM tells later is compared with this, not with what was sent."""
    requests: int = 1
    """Writes that it took; 0: the CRM had it all."""


OVERLAP = timedelta(minutes=5)
"""How far an incremental pull reaches back behind its watermark by default: late commits at the vendor."""


@runtime_checkable
class Connector(Protocol):
    """All methods that talk to the CRM raise `connectors.errors.ConnectorError` and nothing else."""

    crm: str
    capabilities: Capabilities

    def pull(
        self, http: HttpSession, account: Account, stream: str, cursor: Cursor | None, window: Window | None = None
    ) -> AsyncIterator[Page]:
        """Pages of a stream, from the cursor on (None: from the account's `since`), or of the window alone."""
        ...

    async def read(self, http: HttpSession, account: Account, stream: str, crm_id: str) -> RawRecord:
        """One object, whole. Raises NotFoundError."""
        ...

    def map_record(self, context: MappingContext, stream: str, crm_id: str, body: str) -> Batch:
        """Canonical records of one stored API record. Raises SkipRowError if nothing of it can be read."""
        ...

    def map_deletion(self, context: MappingContext, stream: str, crm_id: str) -> Batch:
        """What it means that the CRM has no such object (any more). `records.deletion` knows orders and customers."""
        ...

    def verify_webhook(self, auth: WebhookAuth, request: WebhookRequest) -> None:
        """Raises WebhookRefusedError unless the request is authentic."""
        ...

    def check_webhook(self, request: WebhookRequest, context: MappingContext) -> str:
        """The payload as text to store, and all that is stored. Raises WebhookUnreadableError if it is none of the
        vendor's forms. `context` has no places."""
        ...

    def map_webhook(self, context: MappingContext, event_name: str | None, body: str, received_at: datetime) -> Batch:
        """Canonical records of one stored webhook. Raises SkipRowError if nothing of it can be read."""
        ...

    async def check_health(self, http: HttpSession, account: Account) -> Health:
        """Try the credentials with one cheap call. Never raises ConnectorError."""
        ...

    async def register_webhook(self, http: HttpSession, account: Account, url: str) -> str:
        """Register the URL at the CRM; a sentence on what was done, or what the user must do by hand.

        A `token` in its query is the secret that the CRM is to send, there or in a header; the sentence has none of it.
        """
        ...

    def mask_payload(self, body: str) -> str:
        """The payload with names, phones, e-mails and addresses masked: for logs and people."""
        ...


@runtime_checkable
class ReconcilingConnector(Connector, Protocol):
    """A connector whose CRM can tell which objects there are, for the nightly comparison with what is here."""

    def list_ids(self, http: HttpSession, account: Account, stream: str) -> AsyncIterator[Sequence[str]]:
        """The ids of every live object of a stream, as `RawRecord.crm_id` has them, page by page."""
        ...


@runtime_checkable
class OAuthConnector(Connector, Protocol):
    """A connector whose CRM grants access in the browser (OAuth2 with a code)."""

    def authorize_url(self, account: Account, state: str) -> str:
        """Where the account's owner grants access; the CRM gives `state` back. Raises ConfigError."""
        ...

    async def exchange_code(self, http: HttpSession, account: Account, query: Mapping[str, str]) -> Tokens:
        """The first tokens, for the query that the CRM's redirect brought. Raises ConnectorError."""
        ...


@runtime_checkable
class PushingConnector(Connector, Protocol):
    """A connector that also writes."""

    vocabulary: Vocabulary

    def most_pushed(self, entity: str, account: Account) -> int:
        """How many changes of such objects one `push` may take; 0: this CRM takes none of them."""
        ...

    async def push(
        self, http: HttpSession, account: Account, changes: Sequence[Change]
    ) -> Sequence[PushResult | ConnectorError]:
        """Bring changes of one kind of object to the CRM: for each, in order, its result or its own error.

        Doing it again with the same keys changes nothing more. What is no one's own error is raised: ConfigError, or
        RetryError where trying all again is safe or is made safe by `Change.may_have_been_sent`. An error that is
        returned says `permanent` where the CRM refuses this change for good.
        """
        ...
