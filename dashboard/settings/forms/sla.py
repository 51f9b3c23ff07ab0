"""SLA: one row for each status group, a column for each grid, and the near threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dashboard.settings.forms.base import Draft, Fields, kept_rows, put, rows
from sync.settings.models import NORMAL, Project

DEFAULT_THRESHOLD = Project.model_fields["near_threshold"].default


def show(value: Mapping[str, Any], groups: Sequence[str]) -> dict[str, str]:
    """`groups` have a row even without a limit. `row.N.normal`, `.urgent`, `.gridK`; `grid.K.name`."""
    fields = {"near_threshold": str(value.get("near_threshold", DEFAULT_THRESHOLD))}
    entries = value.get("sla", [])
    grids = list(dict.fromkeys(item["profile"] for item in entries if "profile" in item))
    for index, name in enumerate(grids):
        put(fields, "grid", index, {"name": name})
    cells: dict[str, dict[str, str]] = {group: {} for group in groups}
    for item in entries:
        row = cells.setdefault(item["group_id"], {})
        if "profile" in item:
            row[f"grid{grids.index(item['profile'])}"] = item["limit"]
        else:
            row |= {"normal": item.get("limit", ""), "urgent": item.get("urgent_limit", "")}
    for index, (group, row) in enumerate(cells.items()):
        put(fields, "row", index, {"group": group, **{name: text for name, text in row.items() if text}})
    return fields


def read(fields: Fields) -> Draft:
    """An empty cell has no limit."""
    draft = Draft()
    draft.at("near_threshold", "near_threshold")
    draft.value["near_threshold"] = fields.get("near_threshold", "").strip()
    entries: list[dict[str, str]] = []
    for row in kept_rows(fields, "row"):
        limits = {"limit": row.get("normal"), "urgent_limit": row.get("urgent")}
        if any(limits.values()):
            for key, name in (("limit", "normal"), ("urgent_limit", "urgent"), ("group_id", "group")):
                draft.at(f"{row.name}.{name}", "sla", len(entries), key)
            draft.at(f"{row.name}.group", "sla", len(entries))
            entries.append({"group_id": row.get("group"), **{key: text for key, text in limits.items() if text}})
    for grid in rows(fields, "grid"):
        if grid.has("remove"):
            continue
        name, cell = grid.get("name"), f"grid{grid.index}"
        filled = [row for row in kept_rows(fields, "row") if row.get(cell)]
        if filled and not name:
            draft.problems.append((f"{grid.name}.name", "Give this grid a name, or leave its limits empty."))
            continue
        if name in (NORMAL, "urgent"):
            draft.problems.append((f"{grid.name}.name", "This grid has a column of its own already."))
            continue
        for row in filled:
            draft.at(f"{row.name}.{cell}", "sla", len(entries), "limit")
            draft.at(f"{grid.name}.name", "sla", len(entries), "profile")
            draft.at(f"{row.name}.group", "sla", len(entries), "group_id")
            draft.at(f"{row.name}.{cell}", "sla", len(entries))
            entries.append({"group_id": row.get("group"), "limit": row.get(cell), "profile": name})
    draft.value["sla"] = entries
    return draft
