"""The sections as pages show them: their names, and which form each has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dashboard.settings.forms import address, exchange, general, hours, options, rules, sla, statuses
from dashboard.settings.forms.base import Draft, Fields
from dashboard.settings.known import Known


@dataclass(frozen=True, slots=True)
class SectionPage:
    name: str
    """As in sync.settings.editing.SECTIONS."""
    title: str
    """English; translated where it is shown."""
    about: str
    """One sentence or two, English."""
    is_measured: bool = False
    """Whether the figures of the marts depend on it."""

    @property
    def template(self) -> str:
        return f"settings/sections/{self.name.replace('-', '_')}.html"


SECTION_PAGES: Mapping[str, SectionPage] = {
    page.name: page
    for page in (
        SectionPage(
            "sla", "SLA",
            "Limits of working time for each status group, as hours:minutes. An empty cell has no limit.", True,
        ),
        SectionPage(
            "working-hours", "Working hours",
            "When work is done, in the project's own time. Only this time counts for the SLA.", True,
        ),
        SectionPage(
            "cycle", "Cycles",
            "Time from the first entry of one status group or status to the first later entry of another.", True,
        ),
        SectionPage("urgent", "Urgent orders", "An order is urgent if one of its items matches a rule.", True),
        SectionPage(
            "statuses", "Statuses",
            "Names, groups and ends as the figures are to see them. What is empty stays as the CRM reports it.", True,
        ),
        SectionPage("dashboard", "Orders shown", "Which orders the list leaves out unless it is asked for them."),
        SectionPage("sync", "Sync", "What is read from the CRM, from when on, how often and how fast."),
        SectionPage("options", "CRM options", "What this kind of CRM needs to know, such as the site or the statuses."),
        SectionPage("two-way", "Two-way sync", "What goes to the CRM from the warehouse system, and what comes back."),
        SectionPage(
            "status-map", "Status map",
            "What each status of the CRM means in the warehouse system. Of several with one meaning the first is sent.",
        ),
        SectionPage("conflicts", "Conflicts", "Who wins when both sides have changed the same field."),
        SectionPage(
            "address", "Address and webhooks",
            "Where the CRM's API is, and how its webhooks prove that they are from it.",
        ),
        SectionPage("general", "Name and zone", "The project's name, its time zone, and what its records leave out."),
    )
}  # fmt: skip
"""In the order of the pages."""


def show(section: str, value: Mapping[str, Any], known: Known) -> dict[str, str]:
    """The fields of a section's value."""
    match section:
        case "sla":
            return sla.show(value, known.group_ids)
        case "working-hours":
            return hours.show(value)
        case "cycle":
            return rules.show_cycles(value)
        case "urgent":
            return rules.show_urgent(value)
        case "statuses":
            return statuses.show(value, known.reported_groups, known.reported_statuses)
        case "dashboard":
            return exchange.show_dashboard(value, known.group_ids, known.status_ids)
        case "sync":
            return exchange.show_sync(value)
        case "options":
            return options.show(value, known.option_kinds)
        case "two-way":
            return exchange.show_two_way(value)
        case "status-map":
            return statuses.show_map(value)
        case "conflicts":
            return exchange.show_conflicts(value)
        case "address":
            return address.show(value)
        case _:
            return general.show(value)


def read(section: str, fields: Fields, known: Known, stored: Mapping[str, Any]) -> Draft:
    """What a form says of a section; `stored` is its value now, of which a form may show only a part."""
    match section:
        case "sla":
            return sla.read(fields)
        case "working-hours":
            return hours.read(fields)
        case "cycle":
            return rules.read_cycles(fields)
        case "urgent":
            return rules.read_urgent(fields)
        case "statuses":
            return statuses.read(fields)
        case "dashboard":
            return exchange.read_dashboard(fields)
        case "sync":
            return exchange.read_sync(fields)
        case "options":
            return options.read(fields, known.option_kinds, stored.get("options", {}))
        case "two-way":
            return exchange.read_two_way(fields)
        case "status-map":
            return statuses.read_map(fields)
        case "conflicts":
            return exchange.read_conflicts(fields)
        case "address":
            return address.read(fields)
        case _:
            return general.read(fields)
