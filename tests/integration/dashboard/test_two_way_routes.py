"""The pages and routes of the two-way sync: lists, what is hidden, what admins do and what is written down of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from dashboard_process import Dashboard

from database.repositories import dead_letters
from database.repositories.dead_letters import Letter
from tests.support import two_way_trouble
from tests.support.two_way_trouble import Trouble

SHOP, OTHER = "print-shop", "mug-shop"


@pytest.fixture(scope="module")
def admin(dash: Dashboard) -> dict[str, str]:
    return dash.bearer(dash.user(role="admin"))


@pytest.fixture(scope="module")
def viewer(dash: Dashboard) -> dict[str, str]:
    return dash.bearer(dash.user(projects=[SHOP]))


@pytest.fixture
def trouble(dash: Dashboard) -> Iterator[Trouble]:
    dash.execute("delete from sync.outbox")
    yield dash.do(lambda c: two_way_trouble.make(c, SHOP))
    dash.do(lambda c: two_way_trouble.take_away(c, SHOP))


def get(dash: Dashboard, path: str, who: dict[str, str], **query: Any) -> Any:
    answer = httpx.get(f"{dash.url}{path}", headers=who, params=query, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()


def post(dash: Dashboard, path: str, who: dict[str, str], body: Any = None) -> httpx.Response:
    return httpx.post(f"{dash.url}{path}", headers=who, json=body, timeout=30)


def log(dash: Dashboard) -> list[tuple[Any, ...]]:
    rows = dash.rows("select * from config.audit_log where starts_with(actor, 'user:') order by audit_id")
    return [(row["actor"], row["action"], row["project_id"], row["object"], row["after"]) for row in rows]


def login_of(dash: Dashboard, who: dict[str, str]) -> str:
    return str(get(dash, "/api/session", who)["login"])


def letter(dash: Dashboard, project: str, crm_id: str, **values: Any) -> int:
    async def work(connection: Any) -> None:
        given = Letter("vms", "skip_row", "No customer.", **{"stream": "order", "crm_id": crm_id, **values})
        await dead_letters.open_many(connection, project, [given])

    dash.do(work)
    (row,) = dash.rows("select dead_letter_id from sync.dead_letters where project_id = %s and crm_id = %s",
                       project, crm_id)  # fmt: skip
    return int(row["dead_letter_id"])


def test_letters_are_listed_by_filter_and_page(
    dash: Dashboard, trouble: Trouble, admin: dict[str, str], viewer: dict[str, str]
) -> None:
    extra = [letter(dash, SHOP, f"9{number:06}") for number in range(100, 103)]
    elsewhere = letter(dash, OTHER, "9000200")
    every = [elsewhere, *reversed(extra), trouble.outbound_letter, trouble.inbound_letter]
    assert [row["dead_letter_id"] for row in get(dash, "/api/dead-letters", admin)["items"]] == every
    seen, cursor = [], None
    for _ in range(3):
        page = get(dash, "/api/dead-letters", admin, limit=2, **({} if cursor is None else {"after": cursor}))
        seen.append([row["dead_letter_id"] for row in page["items"]])
        cursor = page["next"]
    assert (seen, cursor) == ([every[0:2], every[2:4], every[4:6]], None)
    of_shop = [row["dead_letter_id"] for row in get(dash, "/api/dead-letters", viewer)["items"]]
    assert of_shop == every[1:]
    for query, found in (
        ({"direction": "outbound"}, [trouble.outbound_letter]),
        ({"source": "outbox", "error": "permanent"}, [trouble.outbound_letter]),
        ({"error": "skip_row", "project": OTHER}, [elsewhere]),
        ({"state": "permanently_failed"}, [trouble.outbound_letter]),
        ({"state": "discarded"}, []),
    ):
        assert [row["dead_letter_id"] for row in get(dash, "/api/dead-letters", admin, **query)["items"]] == found
    assert httpx.get(f"{dash.url}/api/dead-letters/{elsewhere}", headers=viewer).status_code == 404
    assert httpx.get(f"{dash.url}/api/dead-letters", headers=viewer, params={"project": OTHER}).status_code == 404
    assert httpx.get(f"{dash.url}/api/dead-letters", headers=admin, params={"after": "x"}).status_code == 400
    dash.execute("delete from sync.dead_letters where project_id = %s", OTHER)


def test_a_page_of_letters_leads_to_the_next_and_back(dash: Dashboard, trouble: Trouble) -> None:
    dash.execute(
        "insert into sync.dead_letters (project_id, source, error_word, reason, stream, crm_id)"
        " select %s, 'vms', 'skip_row', 'No customer.', 'order', '9' || lpad(n::text, 6, '0')"
        " from generate_series(1001, 1060) as n",
        SHOP,
    )
    with dash.browser(dash.user(role="admin")) as browser:
        first = browser.get("/sync/dead-letters", params={"source": "vms"}).text
        assert "Retry all 61 open letters" in first
        assert (first.count('rel="next"'), first.count('rel="prev"')) == (1, 0)
        second_path = first.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
        second = browser.get(second_path).text
        assert second.count("data-open") == 61 - 50
        back_path = second.split('rel="prev" href="')[1].split('"')[0].replace("&amp;", "&")
        back = browser.get(back_path).text
        assert back.count("data-open") == 50
        assert 'rel="prev"' not in back


def test_what_a_letter_holds_is_masked_and_that_of_a_medical_project_is_not_shown(
    dash: Dashboard, trouble: Trouble, viewer: dict[str, str], admin: dict[str, str]
) -> None:
    arrived = get(dash, f"/api/dead-letters/{trouble.inbound_letter}", viewer)
    assert '"total": 5' in arrived["payload"]
    sent = get(dash, f"/api/dead-letters/{trouble.outbound_letter}", admin)
    assert sent["request"].startswith("PUT /buyer/9000002 {")
    for text in (arrived["payload"], sent["request"], sent["answer"]):
        for secret in ("Kovalenko", "Bondar", "671234567", "501234567", "ihor"):
            assert secret not in text
    dash.execute(
        "insert into config.projects (project_id, name, crm, timezone) values ('med', 'Clinic', 'renovatio', 'UTC')"
        " on conflict do nothing"
    )
    number = letter(dash, "med", "9000300", payload='{"diagnosis": "flu", "total": 5}')
    assert get(dash, f"/api/dead-letters/{number}", admin)["payload"] is None
    with dash.browser(dash.user(role="admin")) as browser:
        page = browser.get(f"/sync/dead-letters/{number}").text
        assert "flu" not in page
        assert "health data" in page
    dash.execute("delete from sync.dead_letters where project_id = 'med'")


def test_a_retried_letter_is_back_in_its_queue_and_a_discarded_one_closed_and_both_are_noted(
    dash: Dashboard, trouble: Trouble, admin: dict[str, str], viewer: dict[str, str]
) -> None:
    for deed in ("retry", "discard"):
        assert post(dash, f"/api/dead-letters/{trouble.outbound_letter}/{deed}", viewer).status_code == 403
    assert dash.rows("select from sync.outbox") == []
    before, who = len(log(dash)), f"user:{login_of(dash, admin)}"
    assert post(dash, f"/api/dead-letters/{trouble.outbound_letter}/retry", admin).status_code == 202
    assert dash.rows("select entity_type, vms_entity_id, lane, state from sync.outbox") == [
        {"entity_type": "customer", "vms_entity_id": trouble.customer_id, "lane": f"customer:{trouble.customer_id}",
         "state": "waiting"}
    ]  # fmt: skip
    assert post(dash, f"/api/dead-letters/{trouble.inbound_letter}/retry", admin).status_code == 202
    assert dash.rows("select entity_type, crm_entity_id from sync.inbound_queue") == [
        {"entity_type": "order", "crm_entity_id": "9000001"}
    ]
    answer = post(dash, f"/api/dead-letters/{trouble.inbound_letter}/discard", admin)
    assert (answer.status_code, answer.json()) == (200, {"project_id": SHOP, "count": 1})
    (row,) = dash.rows(
        "select state, closed_by from sync.dead_letters where dead_letter_id = %s", trouble.inbound_letter
    )
    assert row == {"state": "discarded", "closed_by": who}
    again = post(dash, f"/api/dead-letters/{trouble.inbound_letter}/retry", admin)
    assert (again.status_code, again.json()["code"]) == (409, "letter_closed")
    of_customer = {"source": "outbox", "stream": "customer", "crm_id": "9000001"}
    of_order = {"source": "vms", "stream": "order", "crm_id": "9000001"}
    assert log(dash)[before:] == [
        (who, "retried", SHOP, f"dead letter {trouble.outbound_letter}", of_customer),
        (who, "retried", SHOP, f"dead letter {trouble.inbound_letter}", of_order),
        (who, "discarded", SHOP, f"dead letter {trouble.inbound_letter}", of_order),
    ]


def test_all_letters_of_a_filter_are_settled_but_none_that_came_after_they_were_counted(
    dash: Dashboard, trouble: Trouble, admin: dict[str, str]
) -> None:
    first, second = letter(dash, SHOP, "9000101"), letter(dash, SHOP, "9000102")
    login = dash.user(role="admin")
    with dash.browser(login) as browser:
        page = browser.get("/sync/dead-letters/all", params={"deed": "discard", "source": "vms"})
        assert "3 open letters match the filter" in page.text
        late = letter(dash, SHOP, "9000103")
        fields = {
            "deed": "discard",
            "last_id": str(second),
            "csrf_token": browser.get("/api/session").json()["csrf_token"],
        }
        name = page.text.split('<input type="hidden" name="')[1].split('"')[0]
        fields[name] = fields.pop("csrf_token")
        done = browser.post("/sync/dead-letters/all", params={"source": "vms"}, data=fields)
        assert done.status_code == 303
        assert "3 letters are discarded." in browser.get(done.headers["location"]).text
    states = dash.rows("select dead_letter_id as id, state from sync.dead_letters where project_id = %s", SHOP)
    assert {row["id"]: row["state"] for row in states} == {
        trouble.inbound_letter: "discarded", first: "discarded", second: "discarded", late: "open",
        trouble.outbound_letter: "permanently_failed",
    }  # fmt: skip
    *_, entry = log(dash)
    assert entry == (
        f"user:{login}", "discarded", SHOP, "dead letters",
        {"count": 3, "ids": [trouble.inbound_letter, first, second], "filter": {"state": "open", "source": "vms"}},
    )  # fmt: skip
    assert post(dash, "/api/dead-letters/discard", admin, {}).status_code == 400
    answer = post(dash, "/api/dead-letters/discard", admin, {"ids": [late, first]})
    assert answer.json()["count"] == 1


def test_a_conflict_is_decided_field_by_field_and_shown_masked_to_viewers(
    dash: Dashboard, trouble: Trouble, admin: dict[str, str], viewer: dict[str, str]
) -> None:
    where = f"/api/conflicts/{trouble.conflict_id}"
    (listed,) = get(dash, "/api/conflicts", admin)["items"]
    assert listed == get(dash, where, admin)
    assert listed["fields"]["phone"]["vms"] == "+380671112233"
    masked = get(dash, where, viewer)
    assert (masked["fields"]["phone"]["vms"], masked["fields"]["note"]["crm"]) == ("***33", "C***")
    assert get(dash, "/api/conflicts", admin, entity="order")["items"] == []
    assert post(dash, f"{where}/resolve", viewer, {"winner": "vms"}).status_code == 403
    assert post(dash, f"{where}/resolve", admin, {"winner": {"stock": "vms"}}).status_code == 400
    before, who = len(log(dash)), f"user:{login_of(dash, admin)}"
    half = post(dash, f"{where}/resolve", admin, {"winner": {"phone": "vms"}, "version": listed["version"]}).json()
    assert (half["state"], list(half["fields"]), half["resolution"]) == ("open", ["note"], {"phone": "vms"})
    stale = post(dash, f"{where}/resolve", admin, {"winner": {"note": "crm"}, "version": listed["version"]})
    assert (stale.status_code, stale.json()["code"]) == (409, "conflict_changed")
    done = post(dash, f"{where}/resolve", admin, {"winner": {"note": "crm"}, "version": half["version"]}).json()
    assert (done["state"], done["resolution"], done["resolved_by"]) == (
        "resolved", {"phone": "vms", "note": "crm"}, who,
    )  # fmt: skip
    assert post(dash, f"{where}/resolve", admin, {"winner": "crm"}).json()["code"] == "conflict_closed"
    entries = [(actor, action, object_, after["winner"]) for actor, action, _, object_, after in log(dash)[before:]]
    subject = f"conflict customer {trouble.customer_id}"
    assert entries == [(who, "resolved", f"{subject} phone", "vms"), (who, "resolved", f"{subject} note", "crm")]
    (mapping,) = dash.rows("select agreed_vms, agreed_crm, disputed from sync.mappings")
    # As if the winner's side alone had changed: the other one takes it as a change to follow.
    assert (mapping["agreed_crm"]["phone"], mapping["agreed_vms"]["note"]) == ("+380509998877", "Call in the morning")
    assert mapping["disputed"] == []
    assert [row["vms_entity_id"] for row in dash.rows("select vms_entity_id from sync.outbox")] == [trouble.customer_id]
    assert [row["crm_entity_id"] for row in dash.rows("select crm_entity_id from sync.inbound_queue")] == ["9000001"]


def test_a_form_that_was_overtaken_is_refused_with_what_both_sides_have_now(dash: Dashboard, trouble: Trouble) -> None:
    with dash.browser(dash.user(role="admin")) as browser:
        path = f"/sync/conflicts/{trouble.conflict_id}"
        form = browser.get(path).text
        fields = dict(
            piece.split('" value="')[0:2] for piece in (
                part.split('">')[0] for part in form.split('<input type="hidden" name="')[1:]
            )
        )  # fmt: skip
        dash.execute(
            "update sync.conflicts set fields = jsonb_set(fields, '{note,vms}', '\"Do not call\"')"
            " where conflict_id = %s",
            trouble.conflict_id,
        )
        refused = browser.post(path, data={**fields, "all": "crm"})
        assert refused.status_code == 409
        assert "has changed since you looked at it" in refused.text
        assert "Do not call" in refused.text
        nothing = browser.post(path, data=fields)
        assert (nothing.status_code, "at least one field" in nothing.text) == (422, True)
    (row,) = dash.rows("select state, resolution from sync.conflicts")
    assert row == {"state": "open", "resolution": None}


def test_queues_and_links_are_counted_by_project_and_kind(
    dash: Dashboard, trouble: Trouble, admin: dict[str, str], viewer: dict[str, str]
) -> None:
    dash.execute(
        """
        insert into sync.outbox (project_id, entity_type, vms_entity_id, lane, operation, state, changed_at, message)
        select %s, 'order', 9000000 + n, 'order:' || 9000000 + n, 'update', s,
            clock_timestamp() - interval '90 seconds', case s when 'failed' then 'Refused.' end
        from unnest(array['waiting', 'waiting', 'sending', 'failed', 'sent']) with ordinality as r (s, n)
        """,
        SHOP,
    )
    dash.execute(
        "insert into sync.inbound_queue (project_id, entity_type, crm_entity_id) values (%s, 'article', '9000009')",
        SHOP,
    )
    dash.execute("insert into sync.raw_queue (project_id, source, raw_ids) values (%s, 'api', '{1,2,3}')", OTHER)
    dash.execute(
        "insert into sync.consistency_checks (project_id, entity_type, finished_at, compared, differing)"
        " values (%s, 'order', now(), 200, 3)",
        SHOP,
    )
    answer = get(dash, "/api/sync/status", admin)
    assert answer["relay_alive"] is False
    found = {row["project_id"]: row for row in answer["items"]}
    assert (found[OTHER]["raw_waiting"], found[OTHER]["entities"], found[SHOP]["letters_open"]) == (3, [], 2)
    kinds = {row["entity"]: row for row in found[SHOP]["entities"]}
    order = kinds["order"]
    assert (order["outbox_waiting"], order["outbox_sending"], order["outbox_failed"]) == (2, 1, 1)
    assert 90 <= order["outbox_oldest_seconds"] < 600
    assert order["differing_share"] == 0.015
    assert (kinds["customer"]["linked"], kinds["customer"]["open_conflicts"]) == (1, 1)
    assert kinds["article"]["inbound_waiting"] == 1
    assert [row["project_id"] for row in get(dash, "/api/sync/status", viewer)["items"]] == [SHOP]
    (failed,) = get(dash, "/api/sync/outbox", viewer, state="failed")["items"]
    assert (failed["vms_id"], failed["message"]) == (9000004, "Refused.")
    pages = [get(dash, "/api/sync/outbox", admin, limit=3)]
    pages.append(get(dash, "/api/sync/outbox", admin, limit=3, after=pages[0]["next"]))
    assert [[row["vms_id"] for row in page["items"]] for page in pages] == [
        [9000005, 9000004, 9000003], [9000002, 9000001]
    ]  # fmt: skip
    assert pages[1]["next"] is None
    (link,) = get(dash, "/api/sync/links", viewer, entity="customer")["items"]
    assert (link["vms_id"], link["crm_id"], link["state"]) == (trouble.customer_id, "9000001", "synced")
    assert get(dash, "/api/sync/links", viewer, state="error")["items"] == []
    dash.execute("delete from sync.raw_queue")


def test_a_full_resync_is_started_once_and_cancelled_once_by_admins_alone(
    dash: Dashboard, admin: dict[str, str], viewer: dict[str, str]
) -> None:
    wish = {"project_id": SHOP}
    assert post(dash, "/api/sync/resyncs", viewer, wish).status_code == 403
    before, who = len(log(dash)), f"user:{login_of(dash, admin)}"
    started = post(dash, "/api/sync/resyncs", admin, wish)
    assert (started.status_code, started.json()["state"], started.json()["requested_by"]) == (202, "queued", who)
    number = started.json()["resync_id"]
    assert post(dash, "/api/sync/resyncs", admin, wish).json()["resync_id"] == number
    dash.execute(
        "update sync.resyncs set state = 'running', stage = 'order', done = 30, total = 120, started_at = now(),"
        " stage_started_at = clock_timestamp() - interval '60 seconds'"
    )
    where = started.headers["location"]
    state = get(dash, where, viewer)
    assert state["share"] == pytest.approx((3 + 30 / 120) / 5)
    assert state["per_minute"] == pytest.approx(30, rel=0.1)
    assert state["remaining_seconds"] == pytest.approx(180, rel=0.1)
    assert httpx.delete(f"{dash.url}{where}", headers=viewer).status_code == 403
    assert httpx.delete(f"{dash.url}{where}", headers=admin).json()["state"] == "cancelled"
    assert httpx.delete(f"{dash.url}{where}", headers=admin).status_code == 409
    assert [(one["resync_id"], one["state"]) for one in get(dash, "/api/sync/resyncs", viewer)["items"]] == [
        (number, "cancelled")
    ]
    assert [entry[:4] for entry in log(dash)[before:]] == [
        (who, "started", SHOP, f"full resync {number}"), (who, "cancelled", SHOP, f"full resync {number}")
    ]  # fmt: skip
    assert httpx.delete(f"{dash.url}/api/sync/resyncs/{OTHER}/{number}", headers=admin).status_code == 404
    assert post(dash, "/api/sync/consistency", viewer, wish).status_code == 403
    compared = post(dash, "/api/sync/consistency", admin, wish)
    assert (compared.status_code, compared.json()["kind"]) == (202, "check")
    assert get(dash, compared.headers["location"], viewer)["state"] == "queued"


def test_one_object_is_asked_for_by_either_sides_id(dash: Dashboard, trouble: Trouble, admin: dict[str, str]) -> None:
    wish = {"project_id": SHOP, "kind": "customers", "id": str(trouble.customer_id), "side": "vms"}
    answer = post(dash, "/api/sync/objects", admin, wish)
    assert (answer.status_code, answer.json()["vms_ids"]) == (202, [trouble.customer_id])
    (request,) = dash.rows("select stream, crm_id, requested_by from sync.requests")
    assert (request["stream"], request["crm_id"]) == ("customers", "9000001")
    assert request["requested_by"] == f"user:{login_of(dash, admin)}"
    unknown = post(dash, "/api/sync/objects", admin, {**wish, "id": "77"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_object")
    dash.execute("delete from sync.requests")


def test_pages_open_for_viewers_without_anything_to_press(dash: Dashboard, trouble: Trouble) -> None:
    with dash.browser(dash.user(projects=[SHOP])) as browser:
        for path in (
            "/sync", "/sync/outbox", "/sync/dead-letters", f"/sync/dead-letters/{trouble.inbound_letter}",
            "/sync/conflicts", f"/sync/conflicts/{trouble.conflict_id}", "/sync/links", "/sync/resyncs",
            "/sync/consistency",
        ):  # fmt: skip
            answer = browser.get(path)
            assert answer.status_code == 200, path
            forms = [part.split(">")[0] for part in answer.text.split("<main")[1].split("<form")[1:]]
            assert all('method="post"' not in form for form in forms), (path, forms)
            assert 'name="field.' not in answer.text
        assert browser.get("/sync/dead-letters/all?deed=retry").status_code == 403
        part = browser.get("/sync", headers={"x-part": "standing"})
        assert part.text.lstrip().startswith('<div id="standing"')
