from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from database.repositories.settings import Window
from sync.settings.applying import registered
from sync.settings.models import Project
from sync.settings.problems import SettingsError
from sync.settings.reading import parse, read
from tests.support.settings_examples import DESIGN_ENVIRON, DESIGN_EXAMPLE, KNOWN

DEMO_SETTINGS = Path(__file__).parents[3] / "demo" / "settings.yaml"
MINIMAL = {"id": "shop", "name": "Shop", "crm": "keycrm", "timezone": "UTC"}


def _project(lines: str, environ: Mapping[str, str] | None = None, crm: str = "keycrm") -> Project:
    (project,) = parse(_file(lines, crm), source="settings.yaml", environ=environ or {}, known=KNOWN)
    return project


def _complaints(lines: str, environ: Mapping[str, str] | None = None, crm: str = "keycrm") -> list[str]:
    """Problems of a project that has these lines besides the required ones, paths within the project."""
    reading = read(_file(lines, crm), source="settings.yaml", environ=environ or {}, known=KNOWN)
    assert [draft.project is None for draft in reading.drafts] == [bool(reading.problems)]
    return [str(problem).removeprefix("projects[0].") for problem in reading.problems]


def _file(lines: str, crm: str) -> str:
    given = {line.split(":")[0].strip() for line in lines.splitlines()}
    required = {**MINIMAL, "crm": crm, **({"base_url": "https://shop.example"} if crm == "amocrm" else {})}
    all_lines = [f"{key}: {value}" for key, value in required.items() if key not in given] + lines.splitlines()
    return "projects:\n- " + "\n  ".join(all_lines) + "\n"


def test_the_example_of_the_design_is_read_as_it_means() -> None:
    (project,) = parse(DESIGN_EXAMPLE, source="settings.yaml", environ=DESIGN_ENVIRON, known=KNOWN)
    assert project.credentials == {"api_key": "key-of-the-print-shop"}
    assert project.webhook.secret == "hook-of-the-print-shop"
    assert project.sync.since == "2025-01-01"
    assert project.sync.products is False
    assert project.options == {"source_id": 2}
    assert [(item.id, item.group_id, item.is_closing) for item in project.statuses] == [
        ("1", "1", None),
        ("12", "5", True),
    ]
    assert project.near_threshold == Decimal("0.8")
    assert [item.limits() for item in project.sla] == [{"normal": 28_800, "urgent": 14_400}, {"vip": 7_200}]
    assert project.urgent[0].value == "Термінове виготовлення"
    assert project.working_hours.groups["3"]["fri"] == [Window("22:00", "06:00")]
    assert [item.date for item in project.working_hours.exceptions] == [date(2025, 12, 25), date(2025, 12, 24)]
    assert project.status_map == {"new": "PENDING", "complete": "DELIVERED"}


@pytest.mark.parametrize("text", [DESIGN_EXAMPLE, DEMO_SETTINGS.read_text(encoding="utf-8")], ids=["design", "demo"])
def test_the_examples_fit_the_connectors_that_there_are(text: str) -> None:
    environ = dict.fromkeys(re.findall(r"\$\{(\w+)\}", text), "http://127.0.0.1:1")
    projects = parse(text, source="settings.yaml", environ=environ, known=registered())
    assert {project.crm for project in projects} == {"keycrm"}


def test_a_project_that_gives_only_what_is_required_has_the_defaults_of_the_rest() -> None:
    project = _project("")
    assert project.webhook.auth == "token", "without a secret that refuses every webhook"
    assert project.webhook.secret is None
    assert (project.sync.orders, project.sync.interval_minutes, project.sync.since) == (True, 5, None)
    assert project.working_hours.default is None, "open day and night"
    assert (project.sla, project.cycles, project.near_threshold) == ([], [], Decimal("0.8"))


def test_a_section_without_a_value_is_as_if_it_were_absent() -> None:
    assert _project("sla:\ncycles: ~\noptions: null\nworking_hours:") == _project("")


def test_the_example_of_the_contract_is_worded_exactly_so() -> None:
    lines = 'sla: [{group_id: 1, limit: "01:00"}, {group_id: 2, limit: "01:00"}, {group_id: 3, limit: 8h}]'
    assert _complaints(lines) == ['sla[2].limit: expected hh:mm of working time such as "72:30", got "8h"']


def test_all_problems_of_a_file_are_reported_together_one_line_each() -> None:
    text = """
projects:
  - id: print-shop
    name: Print shop
    crm: keycrm
    timezone: Mars/Olympus
    credentials: {api_key: "${NOT_SET}", apikey: x}
    sla: [{group_id: 2, limit: 16:00}, {group_id: 2, limit: 8h}, {group_id: 2, limit: "01:00"}]
    cycles: [{id: a, start_group: 1, end_group: 2, default: yes}, {id: a, start_group: 1, end_status: 2, default: on}]
  - id: print-shop
    id: again
    name: Other
    crm: hubspot
    timezone: UTC
  - text
settings: {}
"""
    with pytest.raises(SettingsError) as caught:
        parse(text, source="settings.yaml", environ={}, known=KNOWN)
    assert sorted(str(caught.value).splitlines()) == sorted(
        [
            'settings.yaml:11: key "id" is given twice, first on line 10',
            "settings: unknown key; expected projects or subscriptions",
            "projects[0].credentials.api_key: environment variable NOT_SET is not set",
            "projects[0].credentials.apikey: keycrm has no such credential; expected api_key",
            'projects[0].timezone: expected an IANA time zone such as Europe/Kyiv, got "Mars/Olympus"',
            'projects[0].sla[1].limit: expected hh:mm of working time such as "72:30", got "8h"',
            "projects[0].sla[2]: group 2 in the normal grid is given already by projects[0].sla[0]",
            "projects[0].cycles[1].id: id a is given already by projects[0].cycles[0]",
            "projects[0].cycles[1].default: a default cycle is given already by projects[0].cycles[0]",
            'projects[1].crm: no connector for "hubspot"; available: amocrm, csv or keycrm',
            "projects[1].id: project print-shop is given already by projects[0]",
            "projects[2]: expected a mapping with id, name, crm, timezone and credentials",
        ]
    )


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ("id: Print Shop", "id: expected up to 63 lower-case letters, digits, - and _, not starting with - or _"),
        ("name: ''", "name: expected text, got an empty one"),
        ("name: [a]", "name: expected text, got a list"),
        ("name:", "name: required"),
        ("timezone: EST5EDT4", "timezone: expected an IANA time zone such as Europe/Kyiv"),
        (
            "timezone: europe/kyiv",
            "timezone: expected an IANA time zone such as Europe/Kyiv (did you mean Europe/Kyiv?)",
        ),
        ("region: UKR", "region: expected an ISO 3166 country of two letters such as UA"),
        ("currency: hryvnia", "currency: expected an ISO 4217 currency of three letters such as UAH"),
        ("crm: keycmr", 'crm: no connector for "keycmr" (did you mean keycrm?); available: amocrm, csv or keycrm'),
        ("base_url: shop.example", "base_url: expected an address such as https://openapi.keycrm.app/v1"),
        ("base_url: ftp://shop.example", "base_url: expected an address such as"),
        ("base_url: http://x:99999/", "base_url: expected an address such as"),
        ("base_url: https://u:p@shop.example", "base_url: user and password do not belong into the address"),
        ("base_url: https://shop.example/?key=1", "base_url: expected an address without ? and #"),
        ("unknown: 1", "unknown: unknown key; expected base_url, conflict_policy, credentials"),
        ("urgnt: []", "urgnt: unknown key (did you mean urgent?)"),
        ("credentials: x", "credentials: expected a mapping"),
        ("credentials: {api_key: ''}", "credentials.api_key: is empty"),
        ("credentials: {api_key: 'x '}", "credentials.api_key: starts or ends with a blank or a line break"),
        ("credentials: {api_key: [x]}", "credentials.api_key: expected text, or ${VAR} from the environment"),
        ("credentials: {webhook.secret: x}", 'credentials["webhook.secret"]: set it as webhook: {secret: ...}'),
        ("webhook: {auth: tokn}", "webhook.auth: expected token, hmac, bearer, standard or none"),
        ("webhook: {auth: none, secret: x}", "webhook: a secret is given, but auth none does not use it"),
        ("webhook: {auth: standard, secret: x, header: H}", "webhook: auth standard takes no header"),
        ("webhook: {encoding: base64}", "webhook: auth token takes no encoding and no prefix: they are for hmac"),
        ("webhook: {header: 'X Y'}", "webhook.header: expected the name of an HTTP header such as X-Signature"),
        (
            "webhook: {ip_allow: [10.0.0.1/8]}",
            'webhook.ip_allow[0]: has bits beyond its prefix (did you mean "10.0.0.0/8"?)',
        ),
        ("webhook: {ip_allow: [home]}", "webhook.ip_allow[0]: expected an IP address or CIDR range"),
        ("webhook: {ip_allow: 10.0.0.0/8}", "webhook.ip_allow: expected a list"),
        ("sync: {orders: maybe}", "sync.orders: expected true or false"),
        ("sync: {interval_minutes: 0}", "sync.interval_minutes: expected a whole number from 1 to 1,440"),
        ("sync: {batch_size: 5.5}", "sync.batch_size: expected a whole number from 1 to 1,000"),
        ("sync: {since: 01.02.2025}", "sync.since: expected a day or time such as 2025-01-01"),
        ("sync: {since: 2025-02-30}", "sync.since: expected a day or time such as 2025-01-01"),
        ("sync: {orders: on, ordres: off}", "sync.ordres: unknown key (did you mean orders?)"),
        ("options: {source_id: abc}", "options.source_id: expected a whole number from"),
        ("options: {sourceid: 1}", "options.sourceid: keycrm has no such option; expected rate_limit or source_id"),
        ("options: [a]", "options: expected a mapping"),
        ("options: {rate_limit: 60}", "options.rate_limit: expected a mapping"),
        ("options: {rate_limit: {requests: 60}}", "options.rate_limit.per_seconds: required"),
        (
            "options: {rate_limit: {requests: 0, per_seconds: 1}}",
            "options.rate_limit.requests: expected a whole number from 1",
        ),
        (
            "options: {rate_limit: {requests: 1, per_seconds: nan}}",
            "options.rate_limit.per_seconds: expected a number of",
        ),
        ("status_groups: [{id: 1}]", "status_groups[0].name: required"),
        ("status_groups: [{id: 1, name: a}, {id: '1', name: b}]", "status_groups[1].id: id 1 is given already by"),
        ("statuses: [{id: 1}]", "statuses[0]: give name, group_id or is_closing"),
        ("statuses: [{id: '', name: x}]", "statuses[0].id: expected text, got an empty one"),
        ("near_threshold: 80", "near_threshold: expected a share above 0 up to 1"),
        ("near_threshold: 0.12345", "near_threshold: expected a share above 0 up to 1, with at most four decimals"),
        ("sla: {group_id: 1}", "sla: expected a list"),
        ("sla: [{group_id: 1}]", "sla[0]: give limit, as hh:mm of working time"),
        ("sla: [{group_id: 1, limit: '00:00'}]", "sla[0].limit: expected more than no time"),
        ("sla: [{group_id: 1, limit: 8}]", "sla[0].limit: expected hh:mm"),
        (
            "sla: [{group_id: 1, limit: '01:00', profile: vip, urgent_limit: '02:00'}]",
            "sla[0]: urgent_limit stands beside",
        ),
        (
            "sla: [{group_id: 1, urgent_limit: '01:00'}, {group_id: 1, limit: '02:00', profile: urgent}]",
            "sla[1]: group 1 in the urgent grid is given already by projects[0].sla[0]",
        ),
        ("cycles: [{id: a, end_group: 1}]", "cycles[0]: give either start_group or start_status"),
        (
            "cycles: [{id: a, start_group: 1, end_group: 1, end_status: 1}]",
            "cycles[0]: give either end_group or end_status",
        ),
        ("urgent: [{match: name, value: x}]", "urgent[0].match: expected sku, offer_id or product_id"),
        ("urgent: [{match: sku, value: x}, {match: sku, value: x}]", "urgent[1]: sku x is given already by"),
        ("working_hours: {default: {mo: []}}", "working_hours.default.mo: expected weekdays such as mon-fri"),
        ("working_hours: {default: {mon: [9-18]}}", "working_hours.default.mon[0]: expected opening hours such as"),
        ("working_hours: {default: {mon: 09:00-18:00}}", "working_hours.default.mon: expected a list of ranges"),
        (
            "working_hours: {default: {mon,wed: []}}",
            'working_hours.default.mon: expected a list of ranges, or [] for closed; inside of {} write "mon,wed" in',
        ),
        ("working_hours: {default: {mon-wed: [], tue: []}}", "working_hours.default: tue is given by both"),
        (
            "working_hours: {groups: {3: {fri: [09:00-09:00]}}}",
            'working_hours.groups["3"].fri[0]: a range that ends where',
        ),
        ("working_hours: {groups: {'*': {}}}", 'working_hours.groups["*"]: "*" is no group'),
        (
            "working_hours: {exceptions: [{date: 2025-13-01}]}",
            "working_hours.exceptions[0].date: expected a day that exists",
        ),
        (
            "working_hours: {exceptions: [{date: 25.12.2025}]}",
            "working_hours.exceptions[0].date: expected a day as YYYY-MM-DD",
        ),
        (
            "working_hours: {exceptions: [{date: 2025-12-25}, {date: 2025-12-25, group: 3}, {date: 2025-12-25}]}",
            "working_hours.exceptions[2]: 2025-12-25 for all groups is given already by",
        ),
        ("working_hours: {exceptions: [{day: 2025-12-25}]}", "working_hours.exceptions[0].date: required"),
        (
            "working_hours: {holidays: []}",
            "working_hours.holidays: unknown key; expected default, exceptions or groups",
        ),
        ("status_map: {new: pending}", "status_map.new: expected PENDING, CONFIRMED"),
        ("conflict_policy: oldest", "conflict_policy: expected newest, vms, crm or manual"),
        ("conflict_policy: {status: oldest}", "conflict_policy.status: expected newest, vms, crm or manual"),
    ],
)
def test_each_mistake_is_one_line_that_names_its_place(lines: str, complaint: str) -> None:
    assert any(line.startswith(complaint) for line in _complaints(lines)), _complaints(lines)


@pytest.mark.parametrize("written", ["true", "True", "yes", "on", '"true"'])
def test_a_flag_may_be_written_as_people_do(written: str) -> None:
    assert _project(f"sync: {{customers: off, orders: {written}}}").sync.model_dump(
        include={"orders", "customers"}
    ) == {
        "orders": True,
        "customers": False,
    }


def test_the_norwegian_region_is_no_truth_value_and_a_limit_is_no_sexagesimal_number() -> None:
    project = _project("region: no\nsla: [{group_id: 1, limit: 16:00}]")
    assert project.region == "NO"
    assert project.sla[0].limit == 57_600


def test_ids_are_text_as_written_whether_quoted_or_not() -> None:
    project = _project("statuses: [{id: 007, name: a}, {id: '8', name: b}, {id: 142/9, name: c}, {id: 1.10, name: d}]")
    assert [item.id for item in project.statuses] == ["007", "8", "142/9", "1.10"]


def test_one_policy_or_one_for_each_field() -> None:
    assert _project("conflict_policy: crm").conflict_policy == "crm"
    assert _project("conflict_policy: {status: vms, phone: crm}").conflict_policy == {"status": "vms", "phone": "crm"}


def test_options_have_the_types_of_the_connector() -> None:
    lines = "options: {pipeline_ids: [1, 2], paid_statuses: [142, x], fields: {a: 1, b: '1'}, title: 12, share: 0.5}"
    assert _project(lines, crm="amocrm").options == {
        "pipeline_ids": [1, 2],
        "paid_statuses": [142, "x"],
        "fields": {"a": 1, "b": "1"},
        "title": "12",
        "share": 0.5,
    }
    assert _complaints("options: {pipeline_ids: [1, x]}", crm="amocrm") == [
        'options.pipeline_ids[1]: expected a whole number, got "x"'
    ]


def test_every_connector_takes_a_rate_limit() -> None:
    project = _project("options: {rate_limit: {requests: 30, per_seconds: 60}}", crm="csv")
    assert project.options == {"rate_limit": {"requests": 30, "per_seconds": 60.0}}


def test_an_address_is_required_where_the_connector_has_none() -> None:
    reading = read(_file("base_url:", "amocrm"), source="s", environ={}, known=KNOWN)
    assert [str(problem) for problem in reading.problems] == [
        "projects[0].base_url: required: amocrm has no address that is the same for all accounts"
    ]
    assert _project("", crm="csv").base_url is None


def test_loopback_and_other_http_addresses_are_taken() -> None:
    assert _project("base_url: http://127.0.0.1:9001/v1/").base_url == "http://127.0.0.1:9001/v1"


def test_variables_work_in_every_value_and_may_be_escaped() -> None:
    environ = {"PORT": "9001", "EMPTY": "", "NAME": "Крамниця 🛒"}
    project = _project(
        'name: "${NAME}"\nbase_url: http://127.0.0.1:${PORT}/v1\nurgent: [{match: sku, value: "$${x}"}]', environ
    )
    assert (project.name, project.base_url, project.urgent[0].value) == (
        "Крамниця 🛒",
        "http://127.0.0.1:9001/v1",
        "${x}",
    )


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("${NOT_SET}", "environment variable NOT_SET is not set"),
        ("${EMPTY}", "environment variable EMPTY is empty"),
        ("${A B}", "expected ${NAME} of letters, digits and _; write $${ for a plain ${"),
        ("${NOT_CLOSED", "${ without }; write $${ for a plain ${"),
    ],
)
def test_a_variable_without_value_is_the_only_complaint_about_its_place(value: str, complaint: str) -> None:
    lines = f"sync: {{interval_minutes: '{value}'}}\ncredentials: {{api_key: '{value}'}}"
    assert sorted(_complaints(lines, {"EMPTY": ""})) == [
        f"credentials.api_key: {complaint}",
        f"sync.interval_minutes: {complaint}",
    ]


def test_no_message_shows_a_secret_or_what_came_from_the_environment() -> None:
    environ = {"SECRET": " hunter2 ", "ADDRESS": "hunter3"}
    lines = (
        'credentials: {api_key: "${SECRET}"}\nwebhook: {auth: x, secret: "${SECRET}"}\nbase_url: ${ADDRESS}\n'
        'sync: {since: "${ADDRESS}"}\nurgent: [{match: "${ADDRESS}", value: [x]}]'
    )
    complaints = _complaints(lines, environ)
    assert len(complaints) == 7
    assert "hunter" not in "\n".join(complaints)


def test_a_project_in_a_log_line_shows_no_secret() -> None:
    (project,) = parse(DESIGN_EXAMPLE, source="settings.yaml", environ=DESIGN_ENVIRON, known=KNOWN)
    assert "print-shop'" in repr(project)
    assert "key-of-the-print-shop" not in repr(project)
    assert "hook-of-the-print-shop" not in repr(project)


@pytest.mark.parametrize("text", ["", "projects:", "projects: []", "projects: {}", "- id: a", "null", "# nothing"])
def test_a_file_without_projects_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="expected `projects:` with a list of projects"):
        parse(text, source="settings.yaml", environ={}, known=KNOWN)
