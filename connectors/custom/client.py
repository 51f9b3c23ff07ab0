"""Pulls the entities of a definition, reads single records, tries the whole of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from connectors.custom.access import Access, open_access
from connectors.custom.definition import definition_of
from connectors.custom.documents import Row, json_rows, xml_rows
from connectors.custom.mapping import placed_at, record_id
from connectors.custom.paging import Listed, Params, Place, Step, walk
from connectors.custom.shapes import Definition, Entity, Incremental
from connectors.custom.values import RecordFields
from connectors.errors import ConfigError, NotFoundError, RetryError, SkipRowError
from connectors.http import HttpSession
from connectors.protocol import Account, Cursor, MappingContext, Page, RawRecord, Window
from connectors.values.fields import ID_LENGTH
from connectors.values.times import parse_time, zone


async def pull(
    http: HttpSession, account: Account, stream: str, cursor: Cursor | None, window: Window | None
) -> AsyncIterator[Page]:
    """Pages of an entity, as `Connector.pull` says."""
    definition = definition_of(account.options)
    entity = entity_of(definition, stream)
    access = await open_access(http, account, definition)
    job = _start(account, entity, cursor, window)
    async for step in walk(entity.paging, job.place, lambda url, extra: _fetch(access, entity, job, url, extra)):
        yield _page(job, step)


async def read(http: HttpSession, account: Account, stream: str, crm_id: str) -> RawRecord:
    """One record, whole. Raises NotFoundError."""
    definition = definition_of(account.options)
    entity = entity_of(definition, stream)
    if entity.one is None:
        raise ConfigError(f"the definition of {stream} has no `one`: say how one record is read")
    if not crm_id or len(crm_id) > ID_LENGTH or not crm_id.isprintable() or crm_id in (".", ".."):
        raise NotFoundError(f"{stream}: that is no id")
    access = await open_access(http, account, definition)
    answer = await access.get(access.path(entity.one.path, id=crm_id), {})
    rows = rows_of(definition, entity, entity.one.record, answer.value)
    for row in rows:
        if isinstance(row, Row) and row_id(entity, row, account.context) == crm_id:
            return RawRecord(stream, crm_id, row.body, row.content_hash)
    if rows:
        raise RetryError(f"{stream}: the vendor answers for {crm_id} with something else")
    raise NotFoundError(f"{stream}: the vendor has no {crm_id}", status=404)


async def list_ids(http: HttpSession, account: Account, stream: str) -> AsyncIterator[Sequence[str]]:
    """The ids of all records, page by page; of entities with `lists_all` alone."""
    definition = definition_of(account.options)
    entity = entity_of(definition, stream)
    if not entity.lists_all:
        raise ConfigError(f"the definition of {stream} does not say lists_all: its list may be a part")
    access = await open_access(http, account, definition)
    job = _Job(account, entity)
    async for step in walk(entity.paging, None, lambda url, extra: _fetch(access, entity, job, url, extra)):
        yield [one for one in step.listed.ids if one]


async def first_rows(access: Access, entity: Entity) -> list[Row | str]:
    """The rows of the first page, of no time in particular."""
    job = _start(access.account, entity, None, None)
    async for step in walk(entity.paging, None, lambda url, extra: _fetch(access, entity, job, url, extra)):
        return [row for row, _ in step.listed.rows]
    return []


def entity_of(definition: Definition, stream: str) -> Entity:
    """Raises ConfigError."""
    if stream not in definition.entities:
        raise ConfigError(f"the definition has no entity {stream!r}; it has {', '.join(definition.entities)}")
    return definition.entities[stream]


def rows_of(definition: Definition, entity: Entity, path: Any, answer: Any) -> list[Row | str]:
    """The records of an answer. Raises ConfigError if the path fails."""
    try:
        if definition.format == "xml":
            return xml_rows(answer, path.matches, entity.volatile)
        return json_rows(answer, path.matches, entity.volatile, entity.keeps_response)
    except ValueError as error:
        raise ConfigError(f"{entity.name}: {error}") from None


def row_id(entity: Entity, row: Row, context: MappingContext) -> str:
    """Empty if it has none."""
    try:
        return record_id(RecordFields(entity, row.document, context))
    except SkipRowError:
        return ""


@dataclass
class _Job:
    """A pull under way."""

    account: Account
    entity: Entity
    window: Window | None = None
    watermark: datetime | None = None
    lower: datetime | None = None
    newest: datetime | None = None
    started: datetime | None = None
    """By the vendor's clock, where it tells."""
    place: Place | None = None
    since: str = field(default="")

    def cursor(self, place: Place | None) -> dict[str, Any] | None:
        if self.entity.incremental is None or self.window is not None:
            return None
        state: dict[str, Any] = {"scope": self.entity.fingerprint, "watermark": _text(self._reached())}
        if place is not None:
            state |= {
                "watermark": _text(self.watermark), "lower": _text(self.lower), "newest": _text(self.newest),
                "started": _text(self.started), "place": place.as_json(),
            }  # fmt: skip
        return state

    def _reached(self) -> datetime | None:
        """What the pull has seen up to, never beyond its own start: what changed meanwhile may have been passed by."""
        if self.newest is None or self.started is None:
            return self.watermark
        reached = min(self.newest, self.started)
        return reached if self.watermark is None else max(self.watermark, reached)


def _start(account: Account, entity: Entity, cursor: Cursor | None, window: Window | None) -> _Job:
    job = _Job(account, entity, window)
    incremental = entity.incremental
    if incremental is None:
        return job
    if window is not None:
        # What belongs to the window was changed in it or later.
        job.lower = window.start
    elif cursor is None or cursor.get("scope") != entity.fingerprint or not _resume(job, cursor):
        job.watermark = _watermark(entity, cursor)
        overlap = timedelta(minutes=incremental.overlap_minutes)
        job.lower = None if job.watermark is None else job.watermark - overlap
        if account.since is not None:
            job.lower = account.since if job.lower is None else max(job.lower, account.since)
    job.since = "" if job.lower is None else _written(incremental, job.lower, account.context)
    return job


def _watermark(entity: Entity, cursor: Cursor | None) -> datetime | None:
    if cursor is None or cursor.get("scope") != entity.fingerprint:
        return None
    try:
        return _moment(cursor.get("watermark"))
    except ValueError:
        return None


def _resume(job: _Job, cursor: Cursor) -> bool:
    """Take up a pull that was interrupted; False if the cursor is of none."""
    place = Place.read(cursor.get("place"))
    if place is None:
        return False
    try:
        job.watermark, job.lower = _moment(cursor.get("watermark")), _moment(cursor.get("lower"))
        job.newest, job.started = _moment(cursor.get("newest")), _moment(cursor.get("started"))
    except ValueError:
        return False
    job.place = place
    return True


async def _fetch(access: Access, entity: Entity, job: _Job, url: str | None, extra: Params) -> Listed:
    params = dict(extra)
    if url is None:
        url = access.path(entity.path, since=job.since)
        params |= access.params(entity.params, since=job.since)
        incremental = entity.incremental
        if incremental is not None and incremental.param is not None and job.since:
            params[incremental.param] = job.since
    try:
        answer = await access.get(url, params)
    except NotFoundError as error:
        raise ConfigError(f"{error.message} (there is no such list: check base_url and `path`)", status=404) from None
    if job.started is None:
        job.started = answer.date or datetime.now(UTC)
    rows = [
        (row, "" if isinstance(row, str) else row_id(entity, row, access.account.context))
        for row in rows_of(access.definition, entity, entity.records, answer.value)
    ]
    base = access.account.base_url.rstrip("/")
    address = url if urlsplit(url).scheme else f"{base}/{url.lstrip('/')}"
    return Listed(address, answer.value, tuple(crm_id for _, crm_id in rows), rows)


def _page(job: _Job, step: Step) -> Page:
    entity, context = job.entity, job.account.context
    records, problems = [], []
    for number, (row, crm_id) in enumerate(step.listed.rows, 1):
        if isinstance(row, str):
            problems.append(f"{entity.name}: {row}")
            continue
        fields = RecordFields(entity, row.document, context)
        if not crm_id:
            fields.note_missing("id")
            problems.append(f"{entity.name}: row {number} of a page has no id: {fields.notes[0]}")
        elif crm_id not in step.skip and _is_wanted(job, fields):
            records.append(RawRecord(entity.name, crm_id, row.body, row.content_hash))
    return Page(records, job.cursor(step.place), step.total, problems)


def _is_wanted(job: _Job, fields: RecordFields) -> bool:
    """Whether the record belongs to what is pulled. One that does not say when it is of is taken."""
    incremental = job.entity.incremental
    if job.window is not None:
        placed = placed_at(job.entity, fields)
        return placed is None or job.window.start <= placed < job.window.end
    moment = placed_at(job.entity, fields) if incremental is None else fields.time(incremental.field)
    if moment is None:
        return True
    job.newest = moment if job.newest is None else max(job.newest, moment)
    since = job.account.since
    return since is None or moment >= since


def _written(incremental: Incremental, moment: datetime, context: MappingContext) -> str:
    """A time as the vendor reads it, not later than it is: dates and other formats are in the project's zone."""
    whole = moment.replace(microsecond=0)
    local = whole.astimezone(zone(context.timezone_of()))
    match incremental.format:
        case "iso":
            return whole.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        case "date":
            return local.strftime("%Y-%m-%d")
        case "epoch":
            return str(int(whole.timestamp()))
        case "epoch_ms":
            return str(int(whole.timestamp()) * 1000)
    return local.strftime(incremental.format)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _moment(value: Any) -> datetime | None:
    """Raises ValueError."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError("not a time")  # noqa: TRY004 - a stored cursor may hold anything
    return parse_time(value)
