"""The writers of event logs, without a database."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from database.repositories.event_log import LoggedEvent
from sync.event_log import CsvWriter, XesWriter

XES = "{http://www.xes-standard.org/}"


def logged(order_id: str = "1", number: int = 1, **values: Any) -> LoggedEvent:
    given: dict[str, Any] = {
        "status_id": "10", "status_name": "New", "status_group_id": "1", "status_group_name": "Intake",
        "timestamp": "2025-06-02T08:00:00.000001+00:00", "is_urgent": False, "is_closing": False, "manager_id": None,
    }  # fmt: skip
    return LoggedEvent(order_id=order_id, event_number=number, **(given | values))


def xes_of(*batches: list[LoggedEvent]) -> ET.Element:
    target = io.StringIO()
    writer = XesWriter(target, "shop")
    for batch in batches:
        writer.write(batch)
    writer.close()
    return ET.fromstring(target.getvalue())


def test_an_order_across_two_batches_is_one_trace() -> None:
    batches = [[logged("1", 1), logged("1", 2)], [logged("1", 3), logged("2", 1)], [logged("3", 1)]]
    traces = xes_of(*batches).findall(f"{XES}trace")
    assert [len(trace.findall(f"{XES}event")) for trace in traces] == [3, 1, 1]
    writer = CsvWriter(io.StringIO())
    for batch in batches:
        writer.write(batch)
    assert writer.cases == 3


def test_the_activity_is_the_name_of_the_status_or_else_its_id() -> None:
    events = list(xes_of([logged(status_name="Готово 🚚"), logged(number=2, status_name=None)]).iter(f"{XES}event"))
    names = [part.attrib["value"] for event in events for part in event if part.attrib["key"] == "concept:name"]
    assert names == ["Готово 🚚", "10"]


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("<a href=\"x\">'&amp;'</a>", "<a href=\"x\">'&amp;'</a>"),
        ("line\nbreak\ttab\r", "line\nbreak\ttab\r"),
        ("\x01\x0b\x1f\ufffe", "\ufffd" * 4),
        ("\U0001f69a Київ", "\U0001f69a Київ"),
    ],
)
def test_any_text_gives_well_formed_xml_and_is_read_back(text: str, read: str) -> None:
    (event,) = xes_of([logged(status_name=text, manager_id=text)]).iter(f"{XES}event")
    values = {part.attrib["key"]: part.attrib["value"] for part in event}
    assert (values["concept:name"], values["org:resource"]) == (read, read)


def test_what_is_not_known_has_no_attribute() -> None:
    (event,) = xes_of([logged(status_group_id=None, status_group_name=None)]).iter(f"{XES}event")
    keys = {part.attrib["key"] for part in event}
    assert not keys & {"org:resource", "status_group_id", "status_group_name"}


class Nowhere(io.TextIOBase):
    """Keeps nothing of what is written."""

    def write(self, text: str, /) -> int:
        return len(text)


def test_memory_does_not_grow_with_the_log() -> None:
    def batches(count: int) -> Iterator[list[LoggedEvent]]:
        for batch in range(count):
            yield [logged(str(batch * 10 + number // 10), number % 10 + 1) for number in range(100)]

    def peak(count: int) -> int:
        writer = XesWriter(Nowhere(), "shop")  # type: ignore[arg-type]
        tracemalloc.start()
        for batch in batches(count):
            writer.write(batch)
        writer.close()
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    peak(1)
    assert peak(100) < 2 * peak(5)
