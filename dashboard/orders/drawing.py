"""A timeline as shapes: a lane for each stage with its off-hours, each interval to scale with what was worked. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from dashboard.orders.axis import Axis, Tick, ticks
from dashboard.orders.timeline import Calendar, Interval, Kind, Span, Stage, split

WIDTH, LEFT, RIGHT = 1000.0, 150.0, 12.0
HEAD, LANE, BAR, ABOVE = 22.0, 46.0, 22.0, 18.0
"""Height of the axis, of a lane, of a bar, and of the room for its name above it."""
_FINEST = 1.0
"""Windows narrower than this cannot be told apart: the height of the bar shows how much was worked."""
_CHARACTER = 5.6
_SHORTEST = timedelta(minutes=1)
_LOOK_AHEAD = 0.35
"""A due time that is further ahead than this share of what has passed does not stretch the axis."""


@dataclass(frozen=True, slots=True)
class Bar:
    interval: Interval
    x: float
    width: float
    worked: str
    """A path; empty if nothing was."""
    over: str
    """A path: what was worked after the limit was used up."""
    is_exact: bool
    """False: the height of what is filled is the share that was worked."""
    text: str
    """As much of the status's name as fits."""


@dataclass(frozen=True, slots=True)
class Lane:
    name: str | None
    """None: statuses without a stage."""
    y: float
    off_hours: str
    """A path."""
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    tick: Tick
    x: float


@dataclass(frozen=True, slots=True)
class Drawing:
    height: float
    start: datetime
    end: datetime
    lanes: tuple[Lane, ...]
    marks: tuple[Mark, ...]
    now_x: float | None
    """None: the order is closed."""
    due_x: float | None

    @property
    def is_exact(self) -> bool:
        return all(bar.is_exact for lane in self.lanes for bar in lane.bars)


def ends(found: Sequence[Interval], now: datetime, due_at: datetime | None) -> tuple[datetime, datetime]:
    """What the axis shows: from the first event to the last, to now while the order is open, to a due time near by."""
    start, end = found[0].entered_at, max(interval.ends_at for interval in found)
    if found[-1].is_open:
        end = max(end, now)
        if due_at is not None and end < due_at <= end + _LOOK_AHEAD * max(end - start, _SHORTEST):
            end = due_at
    span = max(end - start, _SHORTEST)
    return start, start + span * 1.02


def draw(
    found: Sequence[Interval],
    stages: Sequence[Stage],
    calendars: Mapping[int, Calendar],
    *,
    now: datetime,
    due_at: datetime | None,
    zone: ZoneInfo,
) -> Drawing:
    """Of at least one interval."""
    start, end = ends(found, now, due_at)
    axis = Axis(start, end, LEFT, WIDTH - LEFT - RIGHT)
    groups = list(dict.fromkeys(interval.event.status_group_id for interval in found))
    used_up = {stage.group_id: stage.used_up_at for stage in stages}
    lanes = []
    for place, group_id in enumerate(groups):
        own = [interval for interval in found if interval.event.status_group_id == group_id]
        event = own[-1].event
        y = HEAD + place * LANE
        bars = tuple(_bar(interval, used_up.get(group_id or ""), axis, y) for interval in own)
        name = None if group_id is None else event.status_group_name or group_id
        lanes.append(Lane(name, y, _off_hours(calendars[event.calendar_id], axis, y), bars))
    is_open = found[-1].is_open
    due = due_at if is_open and due_at is not None and start <= due_at <= end else None
    return Drawing(
        HEAD + len(lanes) * LANE + 4, start, end, tuple(lanes),
        tuple(Mark(tick, axis.x(tick.at)) for tick in ticks(start, end, zone)),
        axis.x(now) if is_open else None, None if due is None else axis.x(due),
    )  # fmt: skip


def rectangles(spans: Iterable[Span], axis: Axis, y: float, height: float) -> str:
    """A path of one rectangle for each span; gaps too narrow to see are closed."""
    pieces: list[list[float]] = []
    for span in spans:
        left, right = axis.x(span.start), axis.x(span.end)
        if pieces and left - pieces[-1][1] < _FINEST / 2:
            pieces[-1][1] = max(right, pieces[-1][1])
        else:
            pieces.append([left, right])
    return "".join(
        f"M{left:g} {y:g}h{round(right - left, 1):g}v{height:g}H{left:g}z" for left, right in pieces if right > left
    )


def _bar(interval: Interval, used_up_at: datetime | None, axis: Axis, y: float) -> Bar:
    x = axis.x(interval.entered_at)
    width = max(2.0, round(axis.x(interval.ends_at) - x, 1))
    top = y + ABOVE
    parts = [piece for part in interval.worked or () for piece in split(part, used_up_at)]
    is_exact = len(parts) * 2 * _FINEST <= max(width, 4 * _FINEST)
    paths: dict[Kind, str] = {"worked": "", "over": ""}
    for kind in paths:
        own = [span for named, span in parts if named == kind]
        if is_exact:
            paths[kind] = rectangles(own, axis, top, BAR)
        elif own:
            paths[kind] = _share(own, axis, top)
    name = interval.event.status_name or interval.event.status_id
    room = int(width / _CHARACTER)
    text = name if len(name) <= room else name[: room - 1] + "…" if room >= 4 else ""
    return Bar(interval, x, width, paths["worked"], paths["over"], is_exact, text)


def _share(own: Sequence[Span], axis: Axis, top: float) -> str:
    whole = Span(own[0].start, own[-1].end)
    share = sum((span.length for span in own), timedelta(0)) / whole.length
    height = round(max(share * BAR, 1.0), 1)
    return rectangles([whole], axis, top + BAR - height, height)


def _off_hours(calendar: Calendar, axis: Axis, y: float) -> str:
    """Where no window is open; nothing where the windows are too fine, or not known."""
    if calendar.windows is None:
        return ""
    shown = [window for window in calendar.windows if window.end > axis.start and window.start < axis.end]
    if len(shown) * 2 * _FINEST > axis.width:
        return ""
    closed, since = [], axis.start
    for window in shown:
        if window.start > since:
            closed.append(Span(since, window.start))
        since = max(since, window.end)
    if since < axis.end:
        closed.append(Span(since, axis.end))
    return rectangles(closed, axis, y + 1, LANE - 2)
