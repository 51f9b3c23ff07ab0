"""Cycle rules and urgent rules: lists of rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashboard.settings.forms.base import ON, Draft, Fields, given, kept_rows, put

GROUP, STATUS = "g:", "s:"
"""Before an id in the fields `start` and `end` of a cycle."""


def show_cycles(value: Mapping[str, Any]) -> dict[str, str]:
    """`cycle.N.id`, `.title`, `.start`, `.end` (`g:GROUP` or `s:STATUS`), and `default`: the index of the default."""
    fields = {"default": ""}
    for index, item in enumerate(value.get("cycles", [])):
        ends = {
            side: GROUP + item[f"{side}_group"] if f"{side}_group" in item else STATUS + item[f"{side}_status"]
            for side in ("start", "end")
        }
        put(fields, "cycle", index, {"id": item["id"], "title": item.get("title"), **ends})
        if item.get("default"):
            fields["default"] = str(index)
    return fields


def read_cycles(fields: Fields) -> Draft:
    """A row in which nothing is written is no rule."""
    draft = Draft()
    cycles: list[dict[str, Any]] = []
    for row in kept_rows(fields, "cycle"):
        if row.is_blank("id", "title", "start", "end"):
            continue
        place = ("cycles", len(cycles))
        item: dict[str, Any] = given(id=row.get("id"), title=row.get("title"))
        for side in ("start", "end"):
            chosen = row.get(side)
            kind = {GROUP: "group", STATUS: "status"}.get(chosen[:2])
            if kind is not None:
                item[f"{side}_{kind}"] = chosen[2:]
            else:
                draft.problems.append((f"{row.name}.{side}", "Choose a status group or a status."))
            draft.at(f"{row.name}.{side}", *place, f"{side}_group")
            draft.at(f"{row.name}.{side}", *place, f"{side}_status")
        if fields.get("default") == str(row.index):
            item["default"] = True
        draft.at(f"{row.name}.id", *place)
        draft.at(f"{row.name}.title", *place, "title")
        cycles.append(item)
    draft.value["cycles"] = cycles
    return draft


def show_urgent(value: Mapping[str, Any]) -> dict[str, str]:
    """`rule.N.match`, `.value`, `.active`."""
    fields: dict[str, str] = {}
    for index, item in enumerate(value.get("urgent", [])):
        put(fields, "rule", index, {**item, "active": item.get("active", True)})
    return fields


def read_urgent(fields: Fields) -> Draft:
    """A row without a value is no rule."""
    draft = Draft()
    found: list[dict[str, Any]] = []
    for row in kept_rows(fields, "rule"):
        if row.is_blank("value"):
            continue
        place = ("urgent", len(found))
        draft.at(f"{row.name}.match", *place, "match")
        draft.at(f"{row.name}.value", *place)
        # As it was typed: a SKU may begin with a blank.
        found.append(
            {"match": row.get("match"), "value": row.values["value"], "active": row.values.get("active") == ON}
        )
    draft.value["urgent"] = found
    return draft
