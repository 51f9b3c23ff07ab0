"""The three-way merge: worked cases, and what holds for whatever both sides do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync.two_way.merge import Agreed, Plan, Policy, merge, overwrite, policy_of
from sync.two_way.objects import FIELDS, CrmObject, VmsObject

relaxed = settings(max_examples=200, deadline=None)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SKEW = timedelta(seconds=5)
NAMES = FIELDS["customer"]
WORDS = {None: None, "A1": "a", "A2": "a", "B1": "b", "C1": "c"}
"""The CRM's words and what they mean: many to one, and `X` means nothing."""
OWN = {None: None, "a": "A1", "b": "B1", "c": "C1"}


def own_word(meaning: Any, current: Any) -> Any:
    return current if current in WORDS and WORDS[current] == meaning else OWN[meaning]


@dataclass
class Pair:
    """Both sides of a customer and what is agreed on; the flows in a few lines."""

    vms: dict[str, Any]
    crm: dict[str, Any]
    agreed: Agreed = field(default_factory=Agreed)
    vms_at: datetime | None = NOON
    crm_at: datetime | None = NOON
    vms_field_at: Mapping[str, datetime] = field(default_factory=dict)
    crm_field_at: Mapping[str, datetime] = field(default_factory=dict)

    def merge(self, policy: Policy = "newest", skew: timedelta = SKEW) -> Plan:
        ours = VmsObject("customer", 1, self.vms, self.vms_field_at, self.vms_at)
        meant = {name: WORDS[word] for name, word in self.crm.items() if word in WORDS}
        theirs = CrmObject("customer", "C-1", self.crm, meant, self.crm_at, self.crm_field_at)
        return merge(self.agreed, ours, theirs, policy, skew)

    def apply(self, plan: Plan) -> None:
        """Write what the plan says on both sides, and keep what is agreed on then."""
        agreed_vms, agreed_crm = dict(plan.agreed.vms), dict(plan.agreed.crm)
        self.vms = {**self.vms, **plan.to_vms}
        for name in plan.to_crm:
            agreed_vms[name] = self.vms[name]
            if name in self.crm:
                self.crm[name] = agreed_crm[name] = own_word(self.vms[name], self.crm[name])
        disputed = frozenset(dispute.field for dispute in plan.undecided) | (self.agreed.disputed & plan.untold)
        self.agreed = Agreed(agreed_vms, agreed_crm, plan.agreed.overwritten, disputed)


def whole(**values: Any) -> dict[str, Any]:
    return {**dict.fromkeys(NAMES), **values}


vms_values = st.sampled_from([None, "a", "b", "c"])
crm_values = st.sampled_from([None, "A1", "A2", "B1", "C1", "X"])
instants = st.integers(-8, 8).map(lambda seconds: NOON + timedelta(seconds=seconds))
times = st.none() | instants
policies = st.sampled_from(["newest", "vms", "crm", "manual"])
field_policies = policies | st.dictionaries(st.sampled_from([*NAMES, "default"]), policies)


def some(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(NAMES), values)


pairs = st.builds(
    Pair,
    st.fixed_dictionaries(dict.fromkeys(NAMES, vms_values)),
    some(crm_values),
    st.builds(Agreed, some(vms_values), some(crm_values)),
    times,
    times,
    some(instants),
    some(instants),
)


@relaxed
@given(pairs, field_policies)
def test_what_is_as_agreed_on_both_sides_is_an_echo_and_changes_nothing(pair: Pair, policy: Policy) -> None:
    pair.agreed = Agreed(dict(pair.vms), dict(pair.crm))
    plan = pair.merge(policy)
    assert (dict(plan.to_vms), plan.to_crm, plan.agreed, plan.disputes) == ({}, frozenset(), pair.agreed, ())


@relaxed
@given(pairs, field_policies)
def test_merging_twice_changes_nothing_the_second_time(pair: Pair, policy: Policy) -> None:
    first = pair.merge(policy)
    pair.apply(first)
    second = pair.merge(policy)
    assert (dict(second.to_vms), second.to_crm, second.agreed) == ({}, frozenset(), pair.agreed)
    assert second.disputes == first.undecided  # a person is asked the same until there is an answer


@relaxed
@given(pairs, field_policies)
def test_what_is_saved_before_it_is_sent_is_still_to_be_sent_and_is_not_judged_again(
    pair: Pair, policy: Policy
) -> None:
    first = pair.merge(policy)
    pair.vms.update(first.to_vms)
    pair.agreed = first.agreed
    second = pair.merge(policy)
    assert (second.to_vms, second.to_crm, second.agreed) == ({}, first.to_crm, first.agreed)
    assert second.disputes == first.undecided


@relaxed
@given(pairs, field_policies)
def test_no_field_is_lost_both_sides_end_with_the_same_but_for_what_is_undecided_or_means_nothing(
    pair: Pair, policy: Policy
) -> None:
    vms, crm = dict(pair.vms), dict(pair.crm)
    plan = pair.merge(policy)
    pair.apply(plan)
    undecided = {dispute.field for dispute in plan.undecided}
    for name in NAMES:
        if name in undecided:
            assert (pair.vms[name], pair.crm[name]) == (vms[name], crm[name])
        elif name in pair.crm and pair.crm[name] in WORDS and pair.agreed.crm.get(name) == pair.crm[name]:
            before = {vms[name], WORDS.get(crm[name])}
            assert pair.vms[name] in before
            assert WORDS[pair.crm[name]] in before
        if name not in undecided and name in plan.to_crm and name in pair.crm:
            assert WORDS[pair.crm[name]] == pair.vms[name]
        if name in plan.to_vms:
            assert WORDS[pair.crm[name]] == pair.vms[name] == WORDS[crm[name]]
    assert not plan.to_crm & set(plan.to_vms)
    assert not undecided & (plan.to_crm | set(plan.to_vms))


@relaxed
@given(pairs, field_policies)
def test_from_a_common_start_both_sides_mean_the_same_in_the_end(pair: Pair, policy: Policy) -> None:
    start = Pair(dict.fromkeys(NAMES, "a"), dict.fromkeys(pair.crm, "A1"))
    start.apply(start.merge())
    pair.agreed = start.agreed
    plan = pair.merge(policy)
    pair.apply(plan)
    undecided = {dispute.field for dispute in plan.undecided}
    for name in set(NAMES) - undecided:
        if name in pair.crm and pair.crm[name] in WORDS:
            assert WORDS[pair.crm[name]] == pair.vms[name]


@relaxed
@given(pairs)
def test_only_a_field_that_both_changed_is_disputed_and_manual_touches_neither_side_of_it(pair: Pair) -> None:
    plan = pair.merge("manual")
    for dispute in plan.disputes:
        name = dispute.field
        assert dispute.winner is None
        assert dispute.vms == pair.vms[name] != dispute.crm == WORDS[pair.crm[name]]
        assert dispute.crm_own == pair.crm[name]
        assert name not in pair.agreed.vms or pair.agreed.vms[name] != pair.vms[name]
        assert name not in pair.agreed.crm or pair.agreed.crm[name] != pair.crm[name]
        assert plan.agreed.vms.get(name) == pair.agreed.vms.get(name)
        assert plan.agreed.crm.get(name) == pair.agreed.crm.get(name)


@relaxed
@given(pairs, st.lists(st.tuples(st.sampled_from(["vms", "crm"]), st.sampled_from(NAMES), vms_values)), policies)
def test_random_edits_on_both_sides_settle_in_one_round(
    pair: Pair, edits: list[tuple[str, str, str | None]], policy: str
) -> None:
    for side, name, value in edits:
        if side == "vms":
            pair.vms[name] = value
        elif name in pair.crm:
            pair.crm[name] = own_word(value, pair.crm[name])
        plan = pair.merge(policy)
        pair.apply(plan)
        rest = pair.merge(policy)
        assert (rest.to_vms, rest.to_crm) == ({}, frozenset())


@relaxed
@given(pairs, policies)
def test_what_core_has_not_heard_of_yet_is_no_change_at_the_crm(pair: Pair, policy: str) -> None:
    first = pair.merge(policy)
    known = dict(pair.crm)
    pair.apply(first)
    written = first.to_crm & pair.crm.keys()
    at = (NOON + timedelta(minutes=1)).isoformat()
    pair.agreed = replace(pair.agreed, overwritten=overwrite({}, first.agreed.crm, known, written, at))
    pair.crm, now = {**pair.crm, **{name: known[name] for name in written}}, pair.crm
    stale = pair.merge(policy)
    assert (dict(stale.to_vms), stale.to_crm, stale.disputes) == ({}, frozenset(), first.undecided)
    pair.agreed, pair.crm = stale.agreed, now
    heard = pair.merge(policy)
    assert (dict(heard.to_vms), heard.to_crm, heard.disputes) == ({}, frozenset(), first.undecided)
    assert not heard.agreed.overwritten.keys() & {name for name in written if known[name] != now[name]}


def test_the_old_value_set_again_at_the_crm_after_our_write_is_a_change() -> None:
    entry = {"note": {"was": ["A1"], "at": NOON.isoformat()}}
    agreed = Agreed(whole(note="b"), whole(note="B1"), entry)
    pair = Pair(whole(note="b"), whole(note="A1"), agreed, crm_at=NOON + timedelta(minutes=1))
    assert pair.merge().to_vms == {"note": "a"}
    pair.crm_at = NOON + SKEW
    assert pair.merge().to_vms == {}


def test_what_a_person_is_to_decide_is_left_alone_while_the_crms_value_is_not_told() -> None:
    agreed = Agreed(whole(note="c", phone="c"), whole(note="C1", phone="C1"), disputed=frozenset({"note"}))
    crm = whole(email=None)
    del crm["note"], crm["phone"]
    plan = Pair(whole(note="a", phone="a"), crm, agreed).merge("manual")
    assert plan.to_crm == {"phone"}
    assert plan.untold == {"note", "phone"}
    assert plan.agreed.disputed == {"note"}


DISPUTED = Pair(whole(note="a"), whole(note="B1"), Agreed(whole(note="c"), whole(note="C1")))


@pytest.mark.parametrize(
    ("policy", "winner"),
    [
        ("vms", "vms"),
        ("crm", "crm"),
        ("manual", None),
        ({"note": "vms", "default": "crm"}, "vms"),
        ({"phone": "vms", "default": "crm"}, "crm"),
        ({"phone": "vms"}, "vms"),  # newest, and vms changed a minute later
    ],
)
def test_each_policy_decides_a_dispute(policy: Policy, winner: str | None) -> None:
    pair = Pair(DISPUTED.vms, dict(DISPUTED.crm), DISPUTED.agreed, NOON + timedelta(minutes=1), NOON)
    plan = pair.merge(policy)
    (dispute,) = plan.disputes
    assert (dispute.field, dispute.vms, dispute.crm, dispute.crm_own) == ("note", "a", "b", "B1")
    assert dispute.winner == winner
    assert dict(plan.to_vms) == ({"note": "b"} if winner == "crm" else {})
    assert plan.to_crm == ({"note"} if winner == "vms" else set())
    assert bool(plan.undecided) == (winner is None)


@pytest.mark.parametrize(
    ("vms_seconds", "crm_seconds", "winner"),
    [
        (6, 0, "vms"),
        (5, 0, "crm"),
        (0, 0, "crm"),
        (0, 6, "crm"),
        (0, None, "vms"),
        (None, 0, "crm"),
        (None, None, "crm"),
    ],
)
def test_the_newest_wins_and_within_the_skew_of_clocks_it_is_the_crm(
    vms_seconds: int | None, crm_seconds: int | None, winner: str
) -> None:
    at = {None: None} | {seconds: NOON + timedelta(seconds=seconds) for seconds in range(10)}
    pair = Pair(DISPUTED.vms, dict(DISPUTED.crm), DISPUTED.agreed, at[vms_seconds], at[crm_seconds])
    assert [dispute.winner for dispute in pair.merge().disputes] == [winner]


def test_the_time_of_a_field_goes_before_the_time_of_its_object() -> None:
    late, early = NOON + timedelta(hours=1), NOON - timedelta(hours=1)
    pair = Pair(DISPUTED.vms, dict(DISPUTED.crm), DISPUTED.agreed, early, NOON, vms_field_at={"note": late})
    assert pair.merge().to_crm == {"note"}
    pair = Pair(DISPUTED.vms, dict(DISPUTED.crm), DISPUTED.agreed, NOON, late, crm_field_at={"note": early})
    assert pair.merge().to_crm == {"note"}


def test_what_one_side_changed_goes_to_the_other_and_what_both_changed_alike_is_agreed_on() -> None:
    agreed = Agreed(whole(note="a", phone="a", email="a"), whole(note="A1", phone="A1", email="A1"))
    pair = Pair(whole(note="b", phone="a", email="c"), whole(note="A1", phone="B1", email="C1"), agreed)
    plan = pair.merge("manual")
    assert (dict(plan.to_vms), plan.to_crm, plan.disputes) == ({"phone": "b"}, {"note"}, ())
    assert (plan.agreed.vms["email"], plan.agreed.crm["email"]) == ("c", "C1")


def test_a_word_of_the_crm_that_means_nothing_changes_nothing_and_hides_no_later_change() -> None:
    pair = Pair(whole(note="a"), whole(note="X"), Agreed(whole(note="a"), whole(note="A1")))
    plan = pair.merge()
    assert (plan.to_vms, plan.to_crm, plan.disputes) == ({}, frozenset(), ())
    pair.apply(plan)
    pair.crm["note"] = "B1"
    assert pair.merge().to_vms == {"note": "b"}


def test_another_word_of_the_crm_with_the_same_meaning_is_no_change() -> None:
    pair = Pair(whole(note="a"), whole(note="A2"), Agreed(whole(note="a"), whole(note="A1")))
    plan = pair.merge()
    assert (plan.to_vms, plan.to_crm, plan.disputes) == ({}, frozenset(), ())
    assert plan.agreed.crm["note"] == "A2"


def test_lines_that_only_the_crm_has_come_in_when_orders_are_linked_for_the_first_time() -> None:
    lines = [{"sku": "A-1", "name": "Cup", "quantity": "1", "price": "5.00", "discount": "0.00"}]
    ours = VmsObject("order", 1, {**dict.fromkeys(FIELDS["order"]), "items": []}, updated_at=NOON + timedelta(days=1))
    theirs = CrmObject("order", "501", {"items": lines}, {"items": lines}, NOON)
    assert merge(Agreed(), ours, theirs, "newest", SKEW).to_vms == {"items": lines}


def test_of_two_objects_that_are_linked_for_the_first_time_nothing_is_wiped_by_what_the_other_lacks() -> None:
    pair = Pair(whole(phone="a", note="b"), whole(phone="A1", email="C1"), vms_at=NOON + timedelta(days=1))
    plan = pair.merge()
    assert (dict(plan.to_vms), plan.to_crm, plan.disputes) == ({"email": "c"}, {"note"}, ())


def test_policies_that_name_no_default_mean_newest() -> None:
    assert policy_of({"note": "vms"}, "phone") == "newest"
    assert policy_of({"note": "vms", "default": "crm"}, "phone") == "crm"
    assert policy_of("manual", "phone") == "manual"
