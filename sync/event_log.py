"""Event logs for process-mining tools: CSV, and XES (IEEE 1849).

The case is the order, the activity the name of the status that it enters (its id if it has no name), the time that of
the event. Names of attributes are those of the standard's extensions where it has one, our own columns' elsewhere.
"""

from __future__ import annotations

import csv
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Literal, Protocol, TextIO
from xml.sax.saxutils import quoteattr

from database.connection import Pool
from database.repositories import event_log
from database.repositories.event_log import LoggedEvent

Format = Literal["csv", "xes"]

CSV_COLUMNS = (
    "case_id",
    "activity",
    "timestamp",
    "lifecycle",
    "resource",
    "event_number",
    "status_id",
    "status_group_id",
    "status_group_name",
    "is_urgent",
    "is_closing",
)


class EventLogError(Exception):
    """There is no log to export; the message is one sentence with what to do."""


@dataclass(frozen=True, slots=True)
class ExportResult:
    cases: int
    events: int


class Writer(Protocol):
    """Takes the events of a log in order, in batches, and then its end."""

    cases: int

    def write(self, events: Iterable[LoggedEvent]) -> None: ...

    def close(self) -> None: ...


async def export_log(
    pool: Pool,
    project_id: str,
    form: Format,
    target: TextIO,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> ExportResult:
    """Write the whole log of a project to `target`, as it was at the last build of the marts.

    `progress` is called with (events written, events in all). Raises EventLogError if there are no marts yet.
    """
    async with pool.connection() as connection, connection.transaction():
        if not await event_log.is_built(connection):
            raise EventLogError(
                "The marts have not been built yet, and the log is read from them: run `crm-elt build`."
            )
        total = await event_log.count(connection, project_id)
        writer = _writer(form, target, project_id)
        return await _write(writer, event_log.read(connection, project_id), total, progress)


def _writer(form: Format, target: TextIO, project_id: str) -> Writer:
    return XesWriter(target, project_id) if form == "xes" else CsvWriter(target)


async def _write(
    writer: Writer,
    batches: AsyncIterator[list[LoggedEvent]],
    total: int,
    progress: Callable[[int, int], None] | None,
) -> ExportResult:
    written = 0
    async for batch in batches:
        writer.write(batch)
        written += len(batch)
        if progress is not None:
            progress(written, total)
    writer.close()
    return ExportResult(cases=writer.cases, events=written)


class CsvWriter:
    """RFC 4180 with a header row, in UTF-8; empty is null."""

    def __init__(self, target: TextIO) -> None:
        self.cases = 0
        self._last: str | None = None
        self._rows = csv.writer(target)
        self._rows.writerow(CSV_COLUMNS)

    def write(self, events: Iterable[LoggedEvent]) -> None:
        for event in events:
            self.cases += event.order_id != self._last
            self._last = event.order_id
            self._rows.writerow(
                (
                    event.order_id,
                    activity(event),
                    event.timestamp,
                    "complete",
                    event.manager_id,
                    event.event_number,
                    event.status_id,
                    event.status_group_id,
                    event.status_group_name,
                    _boolean(event.is_urgent),
                    _boolean(event.is_closing),
                )
            )

    def close(self) -> None:
        """A CSV has no end of its own."""


class XesWriter:
    """XES, whose traces may be of any length: one is written as its events come, across batches."""

    def __init__(self, target: TextIO, project_id: str) -> None:
        self.cases = 0
        self._last: str | None = None
        self._write = target.write
        self._write(_HEAD)
        self._write(f"\t{_attribute('string', 'concept:name', project_id)}\n")

    def write(self, events: Iterable[LoggedEvent]) -> None:
        for order_id, visits in groupby(events, key=attrgetter("order_id")):
            self._write("".join(self._trace(order_id, visits)))

    def _trace(self, order_id: str, visits: Iterator[LoggedEvent]) -> Iterator[str]:
        first = next(visits)
        if order_id != self._last:
            if self._last is not None:
                yield "\t</trace>\n"
            self.cases += 1
            self._last = order_id
            yield "\t<trace>\n"
            yield f"\t\t{_attribute('string', 'concept:name', order_id)}\n"
            yield f"\t\t{_attribute('boolean', 'is_urgent', _boolean(first.is_urgent))}\n"
        yield _event(first)
        for visit in visits:
            yield _event(visit)

    def close(self) -> None:
        if self._last is not None:
            self._write("\t</trace>\n")
        self._write("</log>\n")


# The order of the parts is the schema's: extensions, globals, classifiers, attributes of the log, traces.
_HEAD = """\
<?xml version="1.0" encoding="UTF-8"?>
<log xes.version="1849.2016" xes.features="" xmlns="http://www.xes-standard.org/">
\t<extension name="Concept" prefix="concept" uri="http://www.xes-standard.org/concept.xesext"/>
\t<extension name="Time" prefix="time" uri="http://www.xes-standard.org/time.xesext"/>
\t<extension name="Lifecycle" prefix="lifecycle" uri="http://www.xes-standard.org/lifecycle.xesext"/>
\t<extension name="Organizational" prefix="org" uri="http://www.xes-standard.org/org.xesext"/>
\t<global scope="trace">
\t\t<string key="concept:name" value=""/>
\t\t<boolean key="is_urgent" value="false"/>
\t</global>
\t<global scope="event">
\t\t<string key="concept:name" value=""/>
\t\t<string key="lifecycle:transition" value="complete"/>
\t\t<date key="time:timestamp" value="1970-01-01T00:00:00.000000+00:00"/>
\t\t<int key="event_number" value="1"/>
\t\t<string key="status_id" value=""/>
\t\t<boolean key="is_closing" value="false"/>
\t</global>
\t<classifier name="Activity" keys="concept:name"/>
\t<classifier name="Status" keys="status_id"/>
\t<string key="lifecycle:model" value="standard"/>
"""


def activity(event: LoggedEvent) -> str:
    """What the log calls the event: the status's name, else its id."""
    return event.status_name or event.status_id


def _event(event: LoggedEvent) -> str:
    group, group_name, resource = event.status_group_id, event.status_group_name, event.manager_id
    parts = [
        _attribute("string", "concept:name", activity(event)),
        _attribute("string", "lifecycle:transition", "complete"),
        _attribute("date", "time:timestamp", event.timestamp),
        _attribute("string", "org:resource", resource) if resource is not None else "",
        _attribute("int", "event_number", str(event.event_number)),
        _attribute("string", "status_id", event.status_id),
        _attribute("string", "status_group_id", group) if group is not None else "",
        _attribute("string", "status_group_name", group_name) if group_name is not None else "",
        _attribute("boolean", "is_closing", _boolean(event.is_closing)),
    ]
    return "\t\t<event>\n" + "".join(f"\t\t\t{part}\n" for part in parts if part) + "\t\t</event>\n"


# What XML 1.0 cannot hold in any form; PostgreSQL's text can, but for U+0000.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def _attribute(kind: str, key: str, value: str) -> str:
    return f'<{kind} key="{key}" value={quoteattr(_NOT_XML.sub(chr(0xFFFD), value))}/>'


def _boolean(value: bool) -> str:
    return "true" if value else "false"
