"""Lists of the simulated API: PHP-style filters (which an account may ignore), order, pages, links."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote

from connectors.values.forms import nested

if TYPE_CHECKING:
    from connectors.amocrm.simulator_state import SimulatorState

JSON = dict[str, Any]
USUAL_LIMIT, MOST, MOST_EVENTS, MOST_IDS = 50, 250, 100, 10


class ApiProblemError(Exception):
    """An error answer: problem+json."""

    def __init__(self, status: int, title: str, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.body = {
            "title": title,
            "type": f"https://httpstatus.es/{status}",
            "status": status,
            "detail": detail,
            **extra,
        }


def read_query(raw: bytes) -> JSON:
    return nested(parse_qsl(raw.decode(), keep_blank_values=True))


def texts(value: Any) -> list[str]:
    """A filter given as a value, a comma-separated one, a list, or an object keyed by position."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [str(item) for item in value]
    return [] if value in (None, "") else str(value).split(",")


def in_range(state: SimulatorState, asked: Any, moment: int | None) -> bool:
    """A bare number finds nothing, as at amoCRM for updated_at."""
    if not isinstance(asked, dict) or moment is None:
        return False
    first, last = int(asked.get("from") or 0), int(asked.get("to") or 2**62)
    if state.switches.has_exclusive_bounds:
        return first < moment < last
    return first <= moment <= last


def object_tests(state: SimulatorState, query: JSON) -> list[Callable[[JSON], bool]]:
    """Tests of leads and contacts that the query asks for; none where the account ignores filters."""
    tests: list[Callable[[JSON], bool]] = []
    if word := str(query.get("query") or ""):
        tests.append(lambda row: word.casefold() in str(row).casefold())
    asked = query.get("filter")
    if not isinstance(asked, dict) or not state.switches.has_filters:
        return tests
    for name, value in asked.items():
        if name in ("created_at", "updated_at", "closed_at", "closest_task_at"):
            tests.append(lambda row, n=name, v=value: in_range(state, v, row.get(n)))  # type: ignore[misc]
        elif name in ("id", "pipeline_id", "responsible_user_id", "name", "price", "created_by"):
            names = frozenset(texts(value))
            tests.append(lambda row, n=name, v=names: str(row.get(n)) in v)  # type: ignore[misc]
        elif name == "statuses":
            pairs = {(str(item.get("pipeline_id")), str(item.get("status_id"))) for item in value}
            tests.append(lambda row, p=pairs: (str(row["pipeline_id"]), str(row["status_id"])) in p)  # type: ignore[misc]
    return tests


def event_tests(state: SimulatorState, query: JSON) -> list[Callable[[JSON], bool]]:
    asked = query.get("filter")
    if not isinstance(asked, dict) or not state.switches.has_log_filters:
        return []
    tests: list[Callable[[JSON], bool]] = []
    for name, value in asked.items():
        if name == "created_at":
            tests.append(lambda row, v=value: in_range(state, v, row["created_at"]))  # type: ignore[misc]
        elif name in ("type", "entity", "entity_id", "created_by"):
            wanted = texts(value)
            if name == "entity_id" and len(wanted) > MOST_IDS:
                raise ApiProblemError(400, "Bad Request", "filter[entity_id]: at most 10 ids")
            if name == "entity_id" and "entity" not in asked:
                raise ApiProblemError(400, "Bad Request", "filter[entity_id] needs filter[entity]")
            field = "entity_type" if name == "entity" else name
            tests.append(lambda row, f=field, w=frozenset(wanted): str(row[f]) in w)  # type: ignore[misc]
        elif name in ("value_after", "value_before"):
            stages = [(str(s.get("pipeline_id")), str(s.get("status_id"))) for s in value.get("leads_statuses", ())]
            tests.append(lambda row, n=name, s=stages: _stage(row, n) in s)  # type: ignore[misc]
    return tests


def _stage(row: JSON, name: str) -> tuple[str, str] | None:
    for value in row[name]:
        if (status := value.get("lead_status")) is not None:
            return str(status["pipeline_id"]), str(status["id"])
    return None


def ordered(rows: Sequence[JSON], query: JSON) -> list[JSON]:
    order = query.get("order")
    if not isinstance(order, dict) or not order:
        return sorted(rows, key=lambda row: row["id"])
    [(name, direction), *_] = order.items()
    if name not in ("id", "created_at", "updated_at"):
        raise ApiProblemError(400, "Bad Request", "Request validation failed")
    return sorted(rows, key=lambda row: (row[name], row["id"]), reverse=direction == "desc")


def list_page(
    state: SimulatorState, path: str, query: JSON, key: str, rows: Sequence[JSON], *, most: int = MOST
) -> JSON | None:
    """One page with its links; None: 204, nothing is here."""
    page, limit = _number(query, "page", 1), min(_number(query, "limit", USUAL_LIMIT), most)
    if state.switches.most_per_page is not None and limit > state.switches.most_per_page:
        raise ApiProblemError(504, "Gateway Timeout", "The request took too long")
    start = (page - 1) * limit
    part = rows[start : start + limit]
    if not part:
        return None
    base = f"https://{state.subdomain}.amocrm.ru/api/v4{path}"
    links = {"self": {"href": f"{base}?{_text(query, page)}"}}
    if start + limit < len(rows):
        links["next"] = {"href": f"{base}?{_text(query, page + 1)}"}
    return {"_page": page, "_links": links, "_embedded": {key: part}}


def _number(query: JSON, name: str, usual: int) -> int:
    text = str(query.get(name) or usual)
    if not text.isdigit() or int(text) < 1:
        raise ApiProblemError(400, "Bad Request", f"{name}: a positive number is expected")
    return int(text)


def _text(query: JSON, page: int) -> str:
    plain = {name: value for name, value in query.items() if isinstance(value, str)}
    return "&".join(f"{quote(name)}={quote(value)}" for name, value in {**plain, "page": str(page)}.items())
