"""What an observation makes of a member, and in which order it is kept: nothing here needs a server."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from chalicelib.domain.consent.members import ConsentState, DeliveryState, OptOut
from chalicelib.domain.consent.observations import Observation
from chalicelib.domain.customers import Customer, address_key
from chalicelib.domain.departments import Audience, Department
from chalicelib.domain.fieldmap import FieldMap, LeftOut
from chalicelib.domain.planning import Operation
from chalicelib.mailchimp.answers import RemoteMember
from chalicelib.store.members import MemberStates
from chalicelib.sync.consent.observations import Observations, gone, observation_of
from tests.sync.kept import KeptMembers

pytestmark = pytest.mark.fast

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HERE, ELSEWHERE = "audience-1", "audience-2"
ANN, BOB, CID = "ann@clinic.test", "bob@clinic.test", "cid@clinic.test"
DEPARTMENT = Department("d1", "North", "UTC", "AU", "AUD", "00", audience=Audience(HERE, "Clients", FieldMap(()), NOON))
ADMIN = "N/A (Unsubscribed by admin)"


@pytest.fixture(autouse=True)
def within_their_rights() -> None:
    """Nothing here calls AWS."""


def minutes(count: float) -> datetime:
    return NOON + timedelta(minutes=count)


def key(address: str) -> str:
    return address_key(DEPARTMENT.salt, address)


def remote(status: Any = "unsubscribed", at: datetime | None = NOON, **fields: Any) -> RemoteMember:
    return RemoteMember("id", "contact-1", ANN, status, at, **fields)


def seen(address: str, status: Any = "unsubscribed", at: float = 0, **fields: Any) -> Observation:
    member = RemoteMember("id", "", address, status, minutes(at))
    return replace(observation_of(member, minutes(60), "pull"), **fields)


def subscribed(address: str, **push: Any) -> MemberStates:
    """A member of ours since an hour."""
    state = ConsentState(HERE, "subscribed", minutes(-60), minutes(-60))
    delivery = DeliveryState(HERE, "subscribed", minutes(-90), sent="as sent", **push)
    return MemberStates(key(address), address, state, delivery)


def observations(kept: KeptMembers) -> Observations:
    return Observations(members=cast(Any, kept), ledger=cast(Any, kept))


# ------------------------------------------------------------------------------------------------ what a member shows


@pytest.mark.parametrize(
    ("status", "reason", "no", "rule"),
    [
        ("cleaned", "", ("bounce", "bounced"), "bounced-there"),
        ("cleaned", ADMIN, ("bounce", "bounced"), "bounced-there"),
        ("unsubscribed", "", ("person", "unsubscribed in Mailchimp"), "unsubscribed-there"),
        ("unsubscribed", "No longer interested", ("person", "unsubscribed in Mailchimp"), "unsubscribed-there"),
        ("unsubscribed", ADMIN, ("admin", "unsubscribed by a user in Mailchimp"), "unsubscribed-by-admin"),
        (
            "unsubscribed",
            f" {ADMIN.upper()} ",
            ("admin", "unsubscribed by a user in Mailchimp"),
            "unsubscribed-by-admin",
        ),
        ("subscribed", ADMIN, None, "subscribed-there"),
        ("transactional", "", None, "transactional-there"),
        ("archived", "", None, "archived-there"),
        ("pending", "", None, "pending-there"),
    ],
)
def test_the_no_that_a_status_stands_for(status: Any, reason: str, no: Any, rule: str) -> None:
    observed = observation_of(remote(status, unsubscribe_reason=reason), minutes(5), "pull")
    assert observed.opt_out == (OptOut(NOON, *no) if no else None)
    assert observed.rule == rule


def test_an_observation_tells_what_mailchimp_showed_and_when() -> None:
    member = remote(
        "unsubscribed", unsubscribe_reason="No longer interested", timestamp_opt=minutes(-99), spelling="A@x"
    )
    observed = observation_of(member, minutes(5), "webhook", evidence={"event": "unsubscribe"})
    assert observed == Observation(
        address=ANN,
        status="unsubscribed",
        status_at=NOON,
        observed_at=minutes(5),
        route="webhook",
        rule="unsubscribed-there",
        opt_out=OptOut(NOON, "person", "unsubscribed in Mailchimp"),
        subscribed_at=minutes(-99),
        contact_id="contact-1",
        spelling="A@x",
        evidence={
            "mailchimp_time": "2026-03-02T12:00:00.000000Z",
            "reason": "No longer interested",
            "event": "unsubscribe",
        },
    )


def test_without_a_reason_or_more_evidence_the_time_is_all_of_it() -> None:
    observed = observation_of(remote(), minutes(5), "pull")
    assert observed.evidence == {"mailchimp_time": "2026-03-02T12:00:00.000000Z"}


def test_a_member_without_a_time_counts_as_changed_when_it_was_asked_for() -> None:
    observed = observation_of(remote(at=None), minutes(5), "pull")
    assert observed.status_at == minutes(5)
    assert observed.opt_out is not None
    assert observed.opt_out.at == minutes(5)


def test_a_time_of_the_opt_in_that_is_known_better_counts() -> None:
    member = remote("subscribed", timestamp_opt=minutes(-99))
    assert observation_of(member, NOON, "pull", subscribed_at=minutes(-5)).subscribed_at == minutes(-5)


@pytest.mark.parametrize(("length", "kept"), [(199, 199), (200, 200), (201, 200)])
def test_a_long_reason_is_cut(length: int, kept: int) -> None:
    observed = observation_of(remote(unsubscribe_reason="r" * length), NOON, "pull")
    assert observed.evidence["reason"] == "r" * kept


def test_a_member_that_was_deleted_for_good_said_no() -> None:
    assert gone(ANN, NOON, minutes(5), "pull") == Observation(
        ANN,
        "forgotten",
        NOON,
        minutes(5),
        "pull",
        "deleted-there",
        OptOut(NOON, "admin", "deleted in Mailchimp"),
    )
    assert gone(ANN, NOON, NOON, "pull", {"seen": "before"}).evidence == {"seen": "before"}


# ----------------------------------------------------------------------------------------- what is kept, in what order


def test_a_no_is_owed_to_pracbill_and_marked_before_it_counts_as_known() -> None:
    """Whoever dies in between finds the same again; the mark that comes last is for a plan that read it meanwhile."""
    kept = KeptMembers(subscribed(ANN))
    assert observations(kept).apply(DEPARTMENT, [seen(ANN)]) == {"opted_out": 1}
    assert kept.writes == [
        ("outbox", key(ANN), "unsubscribed"),
        ("mark", key(ANN), "observing-2026-03-02T13:00:00.000000Z"),
        ("ledger", key(ANN), "unsubscribed-there"),
        ("state", key(ANN), "unsubscribed"),
        ("mark", key(ANN), "observed-2026-03-02T13:00:00.000000Z"),
    ]
    state = kept.states[key(ANN)].consent_state
    assert state is not None
    assert state.opt_out == OptOut(NOON, "person", "unsubscribed in Mailchimp")


def test_what_is_known_already_is_read_and_not_written() -> None:
    kept = KeptMembers(subscribed(ANN))
    observations(kept).apply(DEPARTMENT, [seen(ANN)])
    before = list(kept.writes)
    kept.asked_to_change.clear()
    assert observations(kept).apply(DEPARTMENT, [seen(ANN)]) == {}
    assert (kept.writes, kept.asked_to_change) == (before, [])


def test_the_state_alone_is_written_where_a_no_was_seen_again_at_a_later_time() -> None:
    kept = KeptMembers(subscribed(ANN))
    observations(kept).apply(DEPARTMENT, [seen(ANN)])
    kept.writes.clear()
    who: list[str] = []
    assert observations(kept).apply(DEPARTMENT, [seen(ANN, at=5)], who=who) == {}
    assert kept.writes == [("state", key(ANN), "unsubscribed")]
    assert who == []
    state = kept.states[key(ANN)].consent_state
    assert state is not None
    assert state.status_at == minutes(5)


def test_without_an_audience_nothing_is_looked_at() -> None:
    kept = KeptMembers(subscribed(ANN))
    assert observations(kept).apply(replace(DEPARTMENT, audience=None), [seen(ANN)]) == {}
    assert (kept.writes, kept.reads) == ([], [])


def test_a_caller_whose_plan_decides_everybody_gets_no_marks_and_all_the_rest() -> None:
    kept = KeptMembers(subscribed(ANN))
    assert observations(kept).apply(DEPARTMENT, [seen(ANN)], touch=False) == {"opted_out": 1}
    assert [write[0] for write in kept.writes] == ["outbox", "ledger", "state"]


def test_who_was_observed_anew_is_told_but_for_what_means_nothing_to_anybody() -> None:
    kept = KeptMembers(subscribed(ANN), subscribed(BOB), subscribed(CID))
    who = ["told before"]
    found = [seen(ANN), seen(BOB, "archived"), seen(CID, "subscribed"), seen("dot@clinic.test", "cleaned")]
    assert observations(kept).apply(DEPARTMENT, found, who=who) == {"opted_out": 1, "status": 1, "bounced": 1}
    assert who == ["told before", key(ANN), key("dot@clinic.test")]
    assert {write[1] for write in kept.written("mark")} == {key(ANN), key(BOB), key("dot@clinic.test")}


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_several_observations_of_one_address_are_applied_by_their_times(order: tuple[int, ...]) -> None:
    there_and_back = [seen(ANN, "archived", 1), seen(ANN, "unsubscribed", 2), seen(ANN, "cleaned", 3)]
    kept = KeptMembers(subscribed(ANN), subscribed(BOB))
    found = [*(there_and_back[number] for number in order), seen(BOB, "archived", 9)]
    counts = observations(kept).apply(DEPARTMENT, found)
    assert [write[2] for write in kept.written("state") if write[1] == key(ANN)] == [
        "archived",
        "unsubscribed",
        "cleaned",
    ]
    assert counts == {"status": 2, "opted_out": 1, "bounced": 1}
    assert [sorted(keys) for keys in kept.reads] == [sorted([key(ANN), key(BOB)]), [key(ANN)], [key(ANN)]]


def test_many_observations_are_looked_up_a_thousand_at_a_time() -> None:
    kept = KeptMembers()
    found = (seen(f"m{number}@clinic.test", "subscribed") for number in range(2_001))
    assert observations(kept).apply(DEPARTMENT, found) == {"status": 2_001}
    assert [len(keys) for keys in kept.reads] == [1000, 1000, 1]


def test_what_is_found_is_logged_before_a_repeat_would_find_nothing() -> None:
    kept = KeptMembers(subscribed(ANN), subscribed(BOB))
    logged: list[tuple[dict[str, int], list[str]]] = []

    def log(counts: Counter[str]) -> None:
        logged.append((dict(counts), [write[0] for write in kept.writes]))

    counts = observations(kept).apply(DEPARTMENT, [seen(ANN), seen(BOB, "cleaned"), seen(BOB, "archived", 1)], log=log)
    first, second = logged
    assert first[0] == {"opted_out": 1, "bounced": 1}
    assert "state" not in first[1]
    assert first[1].count("ledger") == 2
    assert second[0] == dict(counts)


# --------------------------------------------------------------------------------- noes of those who have moved away

NEW, NEWEST = "new@clinic.test", "newest@clinic.test"
CUSTOMER = Customer("7", "2026-01-01T00:00:00Z")
MARKS = ["no-moving-along", "no-moved-along"]


def marked_to_move(kept: KeptMembers) -> list[tuple[str, str]]:
    return [(write[1], write[2]) for write in kept.written("mark") if write[2] in MARKS]


@pytest.mark.parametrize("observed", [seen(ANN), gone(ANN, NOON, NOON, "pull")], ids=["unsubscribed", "deleted"])
def test_a_no_of_somebody_who_moved_is_decided_at_the_new_address(observed: Observation) -> None:
    kept = KeptMembers(subscribed(ANN), subscribed(NEW))
    kept.moved[key(ANN)] = key(NEW)
    kept.customers[key(NEW)] = CUSTOMER
    observations(kept).apply(DEPARTMENT, [observed], touch=False)
    assert marked_to_move(kept) == [(key(NEW), mark) for mark in MARKS]
    assert [write[0] for write in kept.writes] == ["outbox", "mark", "ledger", "state", "mark"]
    assert kept.states[key(NEW)] == subscribed(NEW)


def test_it_is_left_on_the_way_where_the_customer_went_on() -> None:
    kept = KeptMembers(subscribed(ANN), subscribed(NEW), subscribed(NEWEST))
    kept.moved = {key(ANN): key(NEW), key(NEW): key(NEWEST)}
    kept.customers[key(NEWEST)] = CUSTOMER
    observations(kept).apply(DEPARTMENT, [seen(ANN)])
    assert marked_to_move(kept) == [(key(one), mark) for mark in MARKS for one in (NEW, NEWEST)]
    on_the_way, at_the_end = kept.states[key(NEW)].consent_state, kept.states[key(NEWEST)].consent_state
    assert on_the_way is not None
    assert at_the_end is not None
    assert on_the_way.opt_out == OptOut(NOON, "person", "unsubscribed in Mailchimp")
    assert at_the_end.opt_out is None
    entry = kept.entries[0]
    assert (entry.rule, entry.at, entry.recorded_at, entry.was) == ("no-moved-along", NOON, minutes(60), "subscribed")


@pytest.mark.parametrize(
    "observed",
    [seen(ANN, "cleaned"), seen(ANN, "archived"), seen(ANN, "subscribed", 1)],
    ids=["a bounce is the address's own", "no no", "nothing new"],
)
def test_nothing_else_goes_along(observed: Observation) -> None:
    kept = KeptMembers(subscribed(ANN), subscribed(NEW))
    kept.moved[key(ANN)] = key(NEW)
    kept.customers[key(NEW)] = CUSTOMER
    observations(kept).apply(DEPARTMENT, [observed])
    assert marked_to_move(kept) == []


def test_of_whom_nothing_was_known_nobody_moved_away() -> None:
    """A first reading of an audience has many of them: none is looked up."""
    kept = KeptMembers()
    kept.moved[key(ANN)] = key(NEW)
    assert observations(kept).apply(DEPARTMENT, [seen(ANN)]) == {"opted_out": 1}
    assert marked_to_move(kept) == []


def test_customers_who_moved_in_a_circle_are_followed_once() -> None:
    kept = KeptMembers(subscribed(ANN), subscribed(NEW))
    kept.moved = {key(ANN): key(NEW), key(NEW): key(ANN)}
    observations(kept).apply(DEPARTMENT, [seen(ANN)])
    assert marked_to_move(kept) == [(key(NEW), mark) for mark in MARKS]


# ------------------------------------------------------------------------------------- states that are not stored yet


def test_states_that_are_new_are_stored_a_hundred_in_one_call() -> None:
    kept = KeptMembers()
    observations(kept).apply(DEPARTMENT, [seen(f"m{number}@clinic.test", "subscribed") for number in range(202)])
    assert kept.written("new states") == [("new states", 100), ("new states", 100), ("new states", 2)]
    assert kept.written("state") == []
    assert len(kept.states) == 202


@pytest.mark.parametrize("count", [1, 101])
def test_one_that_is_new_alone_needs_no_transaction(count: int) -> None:
    kept = KeptMembers()
    observations(kept).apply(DEPARTMENT, [seen(f"m{number}@clinic.test", "subscribed") for number in range(count)])
    assert len(kept.written("state")) == 1
    assert len(kept.written("new states")) == count // 100
    assert {one.address for one in kept.states.values()} == {f"m{number}@clinic.test" for number in range(count)}


class Overtaken(KeptMembers):
    """Between reading and writing, somebody else stores what he knows of an address."""

    def __init__(self, *states: MemberStates, meanwhile: MemberStates) -> None:
        super().__init__(*states)
        self._meanwhile = meanwhile

    def member_states(self, department_id: str, address_keys: Any) -> dict[str, MemberStates]:
        found = super().member_states(department_id, address_keys)
        self.states[self._meanwhile.address_key] = self._meanwhile
        return found


def test_where_one_of_them_exists_by_now_each_is_changed_by_itself() -> None:
    newer = ConsentState(HERE, "cleaned", minutes(30), minutes(30), OptOut(minutes(30), "bounce", "bounced"))
    kept = Overtaken(meanwhile=MemberStates(key(ANN), ANN, newer))
    observations(kept).apply(DEPARTMENT, [seen(ANN, "subscribed"), seen(BOB, "subscribed")])
    assert kept.written("new states") == []
    assert kept.states[key(ANN)].consent_state == newer
    assert kept.written("state") == [("state", key(BOB), "subscribed")]


def test_a_state_that_somebody_changed_meanwhile_is_changed_as_it_is_now() -> None:
    """The no that was stored meanwhile stays, though what was read first knew of none."""
    bounced = OptOut(minutes(-1), "bounce", "bounced")
    now = ConsentState(HERE, "subscribed", minutes(-60), minutes(-60), bounced)
    kept = Overtaken(subscribed(ANN), meanwhile=replace(subscribed(ANN), consent_state=now))
    observations(kept).apply(DEPARTMENT, [seen(ANN, "archived")])
    state = kept.states[key(ANN)].consent_state
    assert state is not None
    assert (state.status, state.opt_out) == ("archived", bounced)


@pytest.mark.parametrize("audience_id", [HERE, ELSEWHERE])
def test_a_member_that_we_have_pushed_to_this_audience_is_not_one_we_found_there(audience_id: str) -> None:
    """Such a one may be archived by us; one that was there before its customer may not."""
    elsewhere = ConsentState("audience-0", "subscribed", minutes(-90), minutes(-90))
    kept = KeptMembers(MemberStates(key(ANN), ANN, elsewhere, DeliveryState(audience_id, "subscribed", minutes(-80))))
    observations(kept).apply(DEPARTMENT, [seen(ANN, "transactional")])
    state = kept.states[key(ANN)].consent_state
    assert state is not None
    assert (state.audience_id, state.pre_existing) == (HERE, audience_id != HERE)


# ---------------------------------------------------------------------------------------------- refusals of a push


@pytest.mark.parametrize("code", ["compliance_state", "previously_unsubscribed"])
def test_a_push_that_was_refused_for_consent_is_the_persons_no(code: str) -> None:
    kept = KeptMembers(subscribed(ANN))
    observations(kept).refused(DEPARTMENT, Operation("update", key(ANN), ANN, "a-rule"), code, minutes(5))
    state = kept.states[key(ANN)].consent_state
    assert state is not None
    assert (state.status, state.status_at) == ("unsubscribed", minutes(5))
    assert state.opt_out == OptOut(minutes(5), "person", "compliance state")
    (entry,) = kept.entries
    assert (entry.rule, entry.route, entry.at, entry.recorded_at) == (f"refused-{code}", "sync", minutes(5), minutes(5))
    assert kept.written("mark") == []
    assert [entry.status for entry in kept.outbox] == ["unsubscribed"]


def test_a_push_that_was_refused_for_an_address_deleted_for_good_is_a_no_as_well() -> None:
    kept = KeptMembers(subscribed(ANN))
    observations(kept).refused(DEPARTMENT, Operation("update", key(ANN), ANN, "a-rule"), "forgotten", minutes(5))
    state = kept.states[key(ANN)].consent_state
    assert state is not None
    assert (state.status, state.opt_out) == ("forgotten", OptOut(minutes(5), "admin", "deleted in Mailchimp"))
    (entry,) = kept.entries
    assert (entry.rule, entry.route, entry.at, entry.recorded_at) == (
        *("refused-forgotten", "sync"),
        *(minutes(5), minutes(5)),
    )


# ------------------------------------------------------------------------------------------ fields changed in Mailchimp


def held(address: str, fingerprint: str) -> Observation:
    return seen(address, "subscribed", -60, held=fingerprint)


def test_fields_that_were_changed_in_mailchimp_are_marked_and_then_kept() -> None:
    """The mark first: once what is held is stored, the difference is not seen again."""
    kept = KeptMembers(subscribed(ANN), subscribed(BOB))
    assert observations(kept).apply(DEPARTMENT, [held(ANN, "theirs"), held(BOB, "as sent")]) == {}
    assert kept.writes == [("mark", key(ANN), "values"), ("delivery", key(ANN))]
    delivery = kept.states[key(ANN)].delivery
    assert delivery is not None
    assert (delivery.sent, delivery.held) == ("theirs", "theirs")
    assert kept.states[key(ANN)].address == ANN


def test_they_are_kept_without_a_mark_for_a_plan_that_decides_everybody() -> None:
    kept = KeptMembers(subscribed(ANN))
    observations(kept).apply(DEPARTMENT, [held(ANN, "theirs")], touch=False)
    assert kept.writes == [("delivery", key(ANN))]


@pytest.mark.parametrize(
    "states",
    [
        replace(subscribed(ANN), delivery=None),
        replace(subscribed(ANN), delivery=DeliveryState(ELSEWHERE, "subscribed", minutes(-90), sent="as sent")),
    ],
    ids=["nothing was sent", "sent to another audience"],
)
def test_fields_that_are_not_ours_are_nobodys_change(states: MemberStates) -> None:
    kept = KeptMembers(states, subscribed(BOB))
    observations(kept).apply(DEPARTMENT, [held(ANN, "theirs"), held(BOB, "theirs"), held(CID, "theirs")])
    assert kept.written("delivery") == [("delivery", key(BOB))]


def test_where_the_fields_were_not_read_nothing_is_said_of_them() -> None:
    kept = KeptMembers(subscribed(ANN), subscribed(BOB))
    observations(kept).apply(DEPARTMENT, [held(ANN, ""), held(BOB, "theirs")])
    assert kept.written("delivery") == [("delivery", key(BOB))]


@pytest.mark.parametrize("unsure", [False, True])
def test_what_mailchimp_refused_is_sent_again_while_values_are_unsure(unsure: bool) -> None:
    left_out = (LeftOut("PHONE", "value_refused"),)
    kept = KeptMembers(subscribed(ANN, left_out=left_out))
    department = replace(DEPARTMENT, values_unsure_since=NOON if unsure else None)
    observations(kept).apply(department, [held(ANN, "as sent")])
    assert bool(kept.written("mark")) is unsure
    delivery = kept.states[key(ANN)].delivery
    assert delivery is not None
    assert delivery.left_out == (() if unsure else left_out)
