"""What is kept of a chunk's results, and in which order: nothing here needs a server."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from chalicelib.domain.consent.members import BegunCall, ConsentState, DeliveryState, OptOut, PushRefusal, Status
from chalicelib.domain.consent.observations import Observation
from chalicelib.domain.consent.overtaken import call_before
from chalicelib.domain.customers import address_key
from chalicelib.domain.departments import Audience, Department
from chalicelib.domain.fieldmap import FieldMap, LeftOut
from chalicelib.domain.logs import LogEntry, Record
from chalicelib.domain.planning import Action, Operation
from chalicelib.domain.push_results import PushResult
from chalicelib.domain.pushed_members import pushed_print
from chalicelib.domain.refusals import refusal
from chalicelib.domain.runs import Run
from chalicelib.mailchimp.answers import RemoteMember
from chalicelib.store.members import MemberStates
from chalicelib.sync.consent.observations import Observations, observation_of
from chalicelib.sync.runs.chunk_results import ChunkResults
from chalicelib.sync.runs.sending import Known, Sending
from tests.sync.kept import KeptMembers, Write

pytestmark = pytest.mark.fast

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HERE, ELSEWHERE = "audience-1", "audience-2"
ANN, BOB, OLD = "ann@clinic.test", "bob@clinic.test", "old@clinic.test"
DEPARTMENT = Department("d1", "North", "UTC", "AU", "AUD", "00", audience=Audience(HERE, "Clients", FieldMap(()), NOON))
RUN = Run("d1", "r1", "full", "schedule", NOON - timedelta(hours=1), apply_started_at=NOON - timedelta(minutes=30))
VALUES: Any = {"FNAME": "Ann"}
CUT, REFUSED = LeftOut("COMPANY", "cut"), LeftOut("PHONE", "value_refused")
REFUSED_NOW = LeftOut("ADDRESS", "state_missing")


@pytest.fixture(autouse=True)
def within_their_rights() -> None:
    """Nothing here calls AWS."""


def minutes(count: float) -> datetime:
    return NOON + timedelta(minutes=count)


def key(address: str) -> str:
    return address_key(DEPARTMENT.salt, address)


def operation(action: Action, address: str = ANN, **fields: Any) -> Operation:
    known = {"status": "subscribed", "customer_id": "7", "values": VALUES, "values_fingerprint": "new", "inputs": "in"}
    if action in ("archive", "unsubscribe"):
        known |= {"values": None, "values_fingerprint": ""}
    if action == "unsubscribe":
        known["status"] = "unsubscribed"
    return Operation(action, key(address), address, "a-rule", **cast(Any, known | fields))


def done(action: Action, status: Status = "subscribed", address: str = ANN, **fields: Any) -> PushResult:
    result = {name: fields.pop(name) for name in RESULT if name in fields}
    return PushResult(operation(action, address, **fields), "done", status, **result)


RESULT = ("contact_id", "changed_at", "held", "shown", "old", "is_kept", "action")


def refused(action: Action, code: str = "invalid_email", **fields: Any) -> PushResult:
    return PushResult(operation(action, **fields), "refused", refusal=refusal(code, field="", words="no"))


def held(action: Action = "update", **fields: Any) -> PushResult:
    return PushResult(operation(action, **fields), "held")


def shown(status: Any, address: str = ANN, at: float = 1) -> Observation:
    return observation_of(RemoteMember("", "", address, status, minutes(at)), NOON, "sync")


def known_as(status: Status, address: str = ANN, *, audience_id: str = HERE, **push: Any) -> MemberStates:
    """A member that was pushed before, and of which the pull read this status."""
    state = ConsentState(audience_id, status, minutes(-90), minutes(-60))
    before = {"sent": "before", "held": "held before", "left_out": (REFUSED,), "owner": "3", "contact_id": "c-before"}
    delivery = DeliveryState(audience_id, status, minutes(-120), **{**before, **push})
    return MemberStates(key(address), address, state, delivery)


@dataclass
class Office:
    """The keeping of results, with everything that is written noted in one row."""

    kept: KeptMembers
    department: Department = DEPARTMENT
    now: Department | None = DEPARTMENT
    records: list[Record] = field(default_factory=list)
    log: list[LogEntry] = field(default_factory=list)
    pushed: list[tuple[Any, ...]] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)

    def keep(self, *results: PushResult, run: Run = RUN) -> list[PushResult]:
        return self.results().keep(run, 4, self.sending(), results)

    def results(self) -> ChunkResults:
        me: Any = self
        observations = Observations(members=cast(Any, self.kept), ledger=cast(Any, self.kept))
        return ChunkResults(
            departments=me,
            members=cast(Any, self.kept),
            logs=me,
            ledger=cast(Any, self.kept),
            pushed_members=cast(Any, Pushed(self)),
            observations=observations,
            meter=me,
        )

    def sending(self) -> Sending:
        me: Any = self
        return Sending(
            self.department,
            me,
            lambda: 200.0,
            Known(HERE, dict(self.kept.states)),
            pulled_at=minutes(-60),
            asked_at=NOON,
        )

    def delivery(self, address: str = ANN) -> DeliveryState:
        found = self.kept.states[key(address)].delivery
        assert found is not None
        return found

    def state(self, address: str = ANN) -> ConsentState:
        found = self.kept.states[key(address)].consent_state
        assert found is not None
        return found

    # the department's store, the logs, the meter and Mailchimp

    def get(self, department_id: str) -> Department | None:
        assert department_id == "d1"
        return self.now

    def add_records(self, department_id: str, run_id: str, records: list[Record]) -> None:
        assert (department_id, run_id) == ("d1", "r1")
        self.records += records
        self.kept.writes += [("record", record.key, record.outcome) for record in records]

    def add(self, department_id: str, entry: LogEntry, *, key: str) -> None:
        assert department_id == "d1"
        self.log.append(entry)
        self.kept.writes.append(("log", key))

    def count(self, name: str, value: float = 1, unit: str = "Count") -> None:
        self.counted[name] += int(value)

    def delete_permanently(self, audience_id: str, address: str) -> None:
        assert audience_id == HERE
        self.kept.writes.append(("deleted", address))


@dataclass
class Pushed:
    """The store of what need not be read again."""

    office: Office

    def add(self, *what: Any) -> None:
        self.office.pushed.append(what)
        self.office.kept.writes.append(("pushed",))


def office(*states: MemberStates, **fields: Any) -> Office:
    return Office(KeptMembers(*states), **fields)


# ---------------------------------------------------------------------------------------------- what comes first


def test_consent_is_kept_first_then_the_record_then_what_was_sent_then_the_marks() -> None:
    desk = office(known_as("unsubscribed"))
    assert desk.keep(one := done("subscribe", marks=(f"{key(ANN)}#customer",))) == [one]
    assert desk.kept.writes == [
        ("ledger", key(ANN), "a-rule"),
        ("state", key(ANN), "subscribed"),
        ("record", key(ANN), "done"),
        ("delivery", key(ANN)),
        ("unmark", f"{key(ANN)}#customer"),
        ("pushed",),
    ]
    assert [(record.code, record.at) for record in desk.records] == [("a-rule", NOON)]


def test_a_repeat_writes_no_second_change_of_consent() -> None:
    desk = office(known_as("subscribed"))
    desk.keep(done("subscribe"))
    assert desk.kept.written("ledger") == []


def test_what_an_earlier_delivery_kept_is_not_kept_again_but_its_marks_go() -> None:
    desk = office(known_as("unsubscribed"))
    desk.keep(done("subscribe", is_kept=True, marks=("a-mark",)))
    assert desk.kept.writes == [("unmark", "a-mark"), ("pushed",)]


# -------------------------------------------------------------------------------------------------- what was sent


@pytest.mark.parametrize("action", ["add", "update"])
def test_data_that_mailchimp_took_are_known_as_sent(action: Action) -> None:
    desk = office(known_as("subscribed"))
    desk.keep(done(action, held="as held", contact_id="c-now", left_out=(CUT, REFUSED_NOW)))
    assert desk.delivery() == DeliveryState(
        HERE,
        "subscribed",
        NOON,
        owner="7",
        sent="new",
        held="as held",
        left_out=(REFUSED_NOW,),
        rule="a-rule",
        contact_id="c-now",
    )
    assert desk.kept.states[key(ANN)].address == ANN
    assert desk.kept.written("recheck") == []


@pytest.mark.parametrize("action", ["unsubscribe", "archive"])
def test_a_status_that_went_without_data_leaves_them_as_they_were(action: Action) -> None:
    desk = office(known_as("subscribed"))
    became: Status = "archived" if action == "archive" else "unsubscribed"
    desk.keep(done(action, became, held="ignored", left_out=(REFUSED, REFUSED)))
    assert desk.delivery() == DeliveryState(
        HERE,
        became,
        NOON,
        owner="7",
        sent="before",
        held="held before",
        left_out=(REFUSED,),
        rule="a-rule",
        contact_id="c-before",
    )


def test_somebody_of_whom_nothing_was_known_is_known_from_now_on() -> None:
    desk = office()
    desk.keep(done("add", contact_id="c-now"))
    assert desk.delivery() == DeliveryState(HERE, "subscribed", NOON, "7", "new", rule="a-rule", contact_id="c-now")
    assert desk.kept.states[key(ANN)].address == ANN
    (entry,) = desk.kept.entries
    assert (entry.was, entry.became, entry.rule, entry.at) == ("absent", "subscribed", "a-rule", minutes(-30))
    assert entry.recorded_at == NOON


@pytest.mark.parametrize(
    ("one", "before", "expected"),
    [
        (done("subscribe", changed_at=minutes(1)), {}, minutes(1)),
        (done("subscribe"), {"subscribed_at": minutes(-5)}, minutes(2)),  # no call takes longer
        (done("update", changed_at=minutes(1)), {"subscribed_at": minutes(-5)}, minutes(-5)),
        (done("update", changed_at=minutes(1)), {}, None),
        (done("update"), {"subscribed_at": minutes(-5), "audience_id": ELSEWHERE}, None),
    ],
    ids=["as answered", "at the latest", "kept", "never", "in another audience"],
)
def test_when_we_last_subscribed_somebody_is_kept(
    one: PushResult, before: dict[str, Any], expected: datetime | None
) -> None:
    desk = office(known_as("subscribed", **before))
    desk.keep(one)
    assert desk.delivery().subscribed_at == expected


@pytest.mark.parametrize("one", [done("add"), refused("add")], ids=["done", "refused"])
def test_which_call_subscribed_somebody_in_the_audience_before_stays_known(one: PushResult) -> None:
    """A no that this call undid may be heard of later still."""
    desk = office(known_as("subscribed", audience_id=ELSEWHERE, subscribed_at=minutes(-5)))
    there = call_before(desk.delivery())
    assert there is not None
    assert there.audience_id == ELSEWHERE
    desk.keep(one)
    assert (desk.delivery().audience_id, desk.delivery().call_before) == (HERE, there)
    desk.keep(done("update"))
    assert desk.delivery().call_before == there


def test_nothing_is_known_of_when_somebody_new_was_subscribed_before() -> None:
    desk = office(MemberStates(key(ANN), ANN, ConsentState(HERE, "transactional", observed_at=minutes(-60))))
    desk.keep(done("update", "transactional"))
    assert desk.delivery().subscribed_at is None


@pytest.mark.parametrize(
    ("one", "is_looked_at"),
    [
        (done("update", "unsubscribed"), True),
        (done("update", "subscribed"), False),
        (done("archive", "archived"), False),
        (done("subscribe", "pending"), True),
        (done("update", shown=shown("subscribed")), True),
        (replace(held(), shown=shown("unsubscribed")), True),
        (held(), False),
        (PushResult(operation("update"), "unsettled"), False),
        (refused("update"), True),
    ],
)
def test_segments_look_again_at_whoever_is_other_than_the_plan_foresaw(one: PushResult, is_looked_at: bool) -> None:
    desk = office(known_as("subscribed"))
    desk.keep(one)
    assert desk.kept.written("recheck") == ([("recheck", key(ANN))] if is_looked_at else [])


@pytest.mark.parametrize(
    ("states", "was"),
    [([], "absent"), ([known_as("unsubscribed", audience_id=ELSEWHERE)], "absent"), ([known_as("pending")], "pending")],
    ids=["nothing", "of another audience", "here"],
)
def test_the_ledger_tells_from_what_a_status_was_changed(states: list[MemberStates], was: Status) -> None:
    desk = office(*states)
    desk.keep(done("subscribe"))
    (entry,) = desk.kept.entries
    assert (entry.was, entry.became, entry.at, entry.recorded_at) == (was, "subscribed", minutes(-30), NOON)
    assert desk.kept.states[key(ANN)].address == ANN


# ------------------------------------------------------------------------------------- calls whose answer may be lost

BEFORE = BegunCall("subscribed", minutes(-9))
NOW = BegunCall("subscribed", NOON)


def test_a_call_that_sets_a_status_on_purpose_is_noted_before_it_is_made() -> None:
    desk = office(known_as("unsubscribed"))
    before = desk.delivery()
    desk.results().note_begun(desk.sending(), [operation("subscribe"), operation("update", BOB)])
    assert desk.kept.writes == [("delivery", key(ANN))]
    assert desk.delivery() == replace(before, begun=NOW)
    assert desk.kept.states[key(ANN)].address == ANN


@pytest.mark.parametrize("states", [[], [known_as("subscribed", audience_id=ELSEWHERE)]], ids=["nothing", "elsewhere"])
def test_of_somebody_to_whom_nothing_was_sent_in_this_audience_only_the_call_is_noted(
    states: list[MemberStates],
) -> None:
    desk = office(*states)
    desk.results().note_begun(desk.sending(), [operation("subscribe")])
    assert desk.delivery() == DeliveryState(HERE, "absent", None, begun=NOW)


@pytest.mark.parametrize(
    ("one", "left"),
    [
        (done("subscribe"), None),
        (refused("subscribe"), None),
        (refused("subscribe", "no_answer"), NOW),
        (done("update"), BEFORE),
        (refused("update"), BEFORE),
        (refused("update", "no_answer"), BEFORE),
    ],
    ids=["answered", "refused", "no answer", "data", "data refused", "no answer to data"],
)
def test_a_call_stays_noted_until_its_own_answer_is_kept(one: PushResult, left: BegunCall | None) -> None:
    desk = office(known_as("unsubscribed", begun=BEFORE, subscribed_at=minutes(-20)))
    desk.keep(one)
    assert desk.delivery().begun == left
    assert one.result == "done" or desk.delivery().subscribed_at == minutes(-20)


def test_a_call_that_was_not_carried_out_as_mailchimp_shows_is_noted_no_more() -> None:
    desk = office(known_as("unsubscribed"))
    before = desk.delivery()
    sending = desk.sending()
    subscribe = operation("subscribe")
    desk.results().note_begun(sending, [subscribe])
    desk.results().keep(RUN, 4, sending, [replace(held("subscribe"), shown=shown("unsubscribed"))])
    assert desk.delivery() == before


def test_a_call_about_an_old_address_goes_along_with_the_member() -> None:
    desk = office(known_as("subscribed", OLD, begun=BEFORE, subscribed_at=minutes(-20)))
    desk.keep(done("rename", old="absent", old_address_key=key(OLD), old_address=OLD))
    assert (desk.delivery().begun, desk.delivery().subscribed_at) == (BEFORE, minutes(-20))


# ------------------------------------------------------------------------------------------------- what was refused


def test_a_refusal_is_kept_beside_what_was_sent_before() -> None:
    desk = office(known_as("subscribed"))
    desk.keep(refused("update"))
    found = desk.delivery()
    assert found == DeliveryState(
        HERE,
        "subscribed",
        minutes(-120),
        owner="3",
        sent="before",
        held="held before",
        left_out=(REFUSED,),
        refusal=found.refusal,
        contact_id="c-before",
    )
    assert found.refusal == PushRefusal("invalid_email", "no", NOON, 1, "in")
    assert [write[0] for write in desk.kept.writes] == ["record", "delivery", "recheck", "pushed"]


def test_the_refusal_of_somebody_unknown_names_its_customer_and_counts_the_tries() -> None:
    desk = office()
    desk.keep(refused("add", "no_answer"))
    assert desk.kept.states[key(ANN)].address == ANN
    assert (desk.delivery().owner, desk.delivery().pushed_at, desk.delivery().status) == ("7", None, "absent")
    desk.keep(refused("add", "no_answer"))
    assert desk.delivery().refusal is not None
    assert desk.delivery().refusal.attempts == 2  # type: ignore[union-attr]


@pytest.mark.parametrize("code", ["compliance_state", "previously_unsubscribed", "forgotten"])
def test_a_refusal_for_consent_is_an_opt_out_and_a_refusal(code: str) -> None:
    desk = office(known_as("subscribed"))
    desk.keep(refused("update", code))
    no = desk.state().opt_out
    assert no is not None
    assert no.at == NOON
    assert [entry.rule for entry in desk.kept.entries] == [f"refused-{code}"]
    assert desk.delivery().refusal is not None


# ------------------------------------------------------------------------------------------------------ the marks


@pytest.mark.parametrize(
    ("one", "stays"),
    [
        (done("update"), False),
        (refused("update"), False),  # not before an edit
        (refused("update", "no_answer"), True),
        (refused("unsubscribe"), True),  # an opt-out is owed, whatever the refusal
        (held(), True),
        (PushResult(operation("update"), "unsettled"), True),
    ],
    ids=["done", "refused", "tried again", "owed", "held", "unsettled"],
)
def test_whoever_is_tried_again_by_itself_is_marked_for_it_and_others_lose_their_marks(
    one: PushResult, stays: bool
) -> None:
    desk = office(known_as("subscribed"))
    desk.keep(replace(one, operation=replace(one.operation, marks=("m1", "m2"))))
    assert desk.kept.written("mark", "unmark") == (
        [("mark", key(ANN), "retry")] if stays else [("unmark", "m1"), ("unmark", "m2")]
    )


def test_whom_an_undelivered_chunk_left_out_goes_with_a_later_run() -> None:
    desk = office(known_as("subscribed"))
    results = [done("update"), refused("update"), held(address=BOB), PushResult(operation("update"), "unsettled")]
    desk.results().keep_undelivered(RUN, results, minutes(9))
    assert desk.kept.writes == [
        ("record", key(BOB), "held"),
        ("record", key(ANN), "failed"),
        ("mark", key(BOB), "retry"),
        ("mark", key(ANN), "retry"),
    ]
    assert {record.at for record in desk.records} == {minutes(9)}


# ---------------------------------------------------------------------------------------------- addresses that changed


def renamed(old: Status, **fields: Any) -> PushResult:
    return done("rename", old=old, old_address_key=key(OLD), old_address=OLD, **fields)


def test_the_old_address_of_a_renamed_member_is_in_the_audience_no_longer() -> None:
    desk = office(known_as("subscribed", OLD))
    desk.keep(renamed("absent"))
    assert (desk.state(OLD).status, desk.state(OLD).observed_at) == ("absent", NOON)
    assert desk.kept.states[key(OLD)].address == OLD
    assert desk.kept.states[key(OLD)].delivery is None
    assert desk.state(OLD).opt_out is None
    assert [(entry.was, entry.became) for entry in desk.kept.entries] == [("absent", "subscribed")]


def test_a_renamed_members_id_goes_with_it() -> None:
    before = known_as("subscribed", OLD)
    assert before.consent_state is not None
    desk = office(replace(before, consent_state=replace(before.consent_state, contact_id="c-1")))
    desk.keep(renamed("absent"))
    assert desk.state(OLD).contact_id == ""


@pytest.mark.parametrize(
    "state",
    [ConsentState(ELSEWHERE, "subscribed", observed_at=minutes(-60)), ConsentState(HERE, "cleaned", NOON, minutes(1))],
    ids=["of another audience", "observed while the call ran"],
)
def test_what_is_known_of_an_old_address_otherwise_or_newer_stays(state: ConsentState) -> None:
    desk = office(MemberStates(key(OLD), OLD, state))
    desk.kept.states[key(OLD)] = replace(desk.kept.states[key(OLD)], delivery=known_as("subscribed").delivery)
    desk.keep(renamed("absent"))
    assert desk.state(OLD) == state


def test_an_old_address_that_could_not_be_renamed_is_archived_beside_the_new_one() -> None:
    desk = office(known_as("subscribed", OLD))
    desk.keep(renamed("archived"))
    assert (desk.state(OLD).status, desk.state(OLD).archived_by_us) == ("archived", True)
    assert (desk.delivery(OLD).status, desk.delivery().status) == ("archived", "subscribed")
    assert {(entry.was, entry.became) for entry in desk.kept.entries} == {
        ("absent", "subscribed"),
        ("subscribed", "archived"),
    }
    assert [record.key for record in desk.records] == [key(ANN)]


def test_an_old_address_whose_archiving_was_kept_by_an_earlier_delivery_is_left_alone() -> None:
    desk = office(known_as("subscribed", OLD))
    desk.keep(renamed("archived", is_kept=True))
    assert desk.state(OLD).status == "subscribed"


@pytest.mark.parametrize("was", ["subscribed", "transactional", "archived"])
def test_the_ledger_tells_of_those_who_come_in_with_a_status_they_had_not(was: Status) -> None:
    desk = office(known_as(was))
    desk.keep(done("add"))
    told = [(entry.was, entry.became) for entry in desk.kept.entries]
    assert told == ([] if was == "subscribed" else [(was, "subscribed")])


# -------------------------------------------------------------------------------------------- what others did meanwhile


def test_what_an_answer_shows_and_we_did_not_send_is_taken_as_the_pull_takes_it() -> None:
    desk = office(known_as("subscribed"), known_as("subscribed", BOB))
    desk.keep(done("update", shown=shown("unsubscribed")), done("update", address=BOB, shown=shown("cleaned", BOB)))
    no = desk.state().opt_out
    assert no is not None
    assert (no.route, no.at) == ("person", minutes(1))
    (entry,) = desk.log
    assert entry == LogEntry(
        NOON,
        "pull",
        "full",
        "schedule",
        "success",
        "From Mailchimp: 1 unsubscribed, 1 bounced.",
        "r1",
        {"opted_out": 1, "bounced": 1},
    )
    assert desk.kept.written("log") == [("log", "r1:observed-4")]
    assert desk.counted == {"OptOutsHeard": 2}
    observed, own = (
        desk.kept.writes.index(("log", "r1:observed-4")),
        desk.kept.writes.index(("record", key(ANN), "done")),
    )
    assert observed < own


def test_a_member_deleted_there_counts_as_heard_too() -> None:
    desk = office(known_as("subscribed"))
    desk.keep(done("update", shown=replace(shown("unsubscribed"), status="forgotten")))
    assert desk.log[0].counts == {"deleted": 1}
    assert desk.counted == {"OptOutsHeard": 1}


def test_a_status_that_means_nothing_to_anybody_is_no_line_in_the_logs() -> None:
    desk = office(known_as("subscribed"))
    desk.keep(done("update", shown=shown("archived")))
    assert desk.state().status == "archived"
    assert (desk.log, desk.counted) == ([], {})


def test_somebody_who_answered_our_question_at_once_was_asked_all_the_same() -> None:
    desk = office(known_as("unsubscribed"))
    desk.keep(replace(held("ask", status="pending"), shown=shown("subscribed")))
    assert desk.state().asked_at == NOON
    first = desk.kept.entries[0]
    assert (first.was, first.became) == ("unsubscribed", "pending")


@pytest.mark.parametrize(
    "one",
    [
        replace(held("ask", status="pending"), shown=None),
        replace(held("subscribe"), shown=shown("subscribed")),
        replace(refused("ask", status="pending"), shown=shown("subscribed")),
    ],
    ids=["nothing shown", "not asked", "refused"],
)
def test_nobody_else_was_asked(one: PushResult) -> None:
    desk = office(known_as("unsubscribed"))
    desk.keep(one)
    assert desk.state().asked_at is None
    assert "pending" not in [entry.became for entry in desk.kept.entries]


def test_a_no_that_our_call_undid_is_seen_by_the_next_plan() -> None:
    no = OptOut(minutes(1), "person", "unsubscribed in Mailchimp")
    told = ConsentState(HERE, "unsubscribed", minutes(1), minutes(1), opt_out=no)
    before = known_as("subscribed", BOB, subscribed_at=minutes(1.5))
    desk = office(MemberStates(key(ANN), ANN, told), replace(before, consent_state=told))
    desk.keep(done("subscribe", changed_at=minutes(1.5)), done("update", address=BOB))
    assert desk.state() == replace(told, status="subscribed", status_at=minutes(1.5))
    assert [write for write in desk.kept.writes if write[0] in ("mark", "state", "pushed")] == [
        ("mark", key(ANN), "undoing"),
        ("state", key(ANN), "subscribed"),
        ("mark", key(ANN), "undone"),
        ("pushed",),
    ]


def test_a_no_that_an_event_told_of_before_our_call_was_answered_stands() -> None:
    no = OptOut(minutes(1), "person", "unsubscribed in Mailchimp")
    desk = office(
        MemberStates(key(ANN), ANN, ConsentState(HERE, "transactional", observed_at=minutes(-60), told_no=no))
    )
    desk.keep(done("subscribe", changed_at=minutes(1.5)))
    assert desk.state().opt_out == no
    assert [entry.status for entry in desk.kept.outbox] == ["unsubscribed"]
    assert {entry.route for entry in desk.kept.entries} == {"sync"}
    assert len(desk.kept.entries) == 2


# ----------------------------------------------------------------------------------------------------------- erasures

ERASED = MemberStates(key(ANN), "", ConsentState(HERE, "forgotten", erased=True))
WITH_ERASURES = replace(DEPARTMENT, has_erasures=True)


def test_whoever_was_erased_while_the_call_ran_is_deleted_and_nothing_is_kept_of_them() -> None:
    desk = office(ERASED, now=WITH_ERASURES)
    results = desk.keep(done("add", contact_id="c-1"), done("update", address=BOB))
    assert [(one.result, one.contact_id) for one in results] == [("held", ""), ("done", "")]
    assert desk.kept.states[key(ANN)] == ERASED
    assert desk.kept.written("deleted") == [("deleted", ANN)]
    assert [(record.key, record.outcome) for record in desk.records] == [(key(ANN), "held"), (key(BOB), "done")]


def test_whoever_was_only_archived_need_not_be_looked_for() -> None:
    desk = office(ERASED, now=WITH_ERASURES)
    desk.keep(done("archive", "archived"))
    assert desk.kept.written("deleted") == []
    assert [record.outcome for record in desk.records] == ["done"]


@pytest.mark.parametrize("now", [DEPARTMENT, None], ids=["nobody was erased", "the department is gone"])
def test_without_erasures_nobody_is_looked_for(now: Department | None) -> None:
    desk = office(ERASED, now=now)
    desk.keep(done("update"))
    assert desk.kept.written("deleted") == []


# --------------------------------------------------------------------------------------------- what need not be read


def test_the_next_pull_is_spared_what_this_chunk_wrote() -> None:
    desk = office(known_as("subscribed"), known_as("subscribed", BOB))
    desk.keep(done("update", contact_id="c-1", changed_at=minutes(1)), replace(held(address=BOB), contact_id="c-2"))
    prints = [pushed_print(key(ANN), "c-1", "subscribed", minutes(1))]
    assert desk.pushed == [("d1", HERE, "r1-4", prints, NOON)]
    last: Write = desk.kept.writes[-1]
    assert last == ("pushed",)
