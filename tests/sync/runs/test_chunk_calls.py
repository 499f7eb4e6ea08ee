"""The calls for one chunk and what their answers mean, in process: Mailchimp answers by script."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from chalicelib.domain.consent.members import ConsentState, DeliveryState, PushRefusal, Status
from chalicelib.domain.departments import Department
from chalicelib.domain.planning import Action, Operation
from chalicelib.domain.push_results import PushResult
from chalicelib.domain.refusals import refusal
from chalicelib.domain.runs import Run
from chalicelib.mailchimp.answers import MemberAnswer, PushAnswer, RefusedMember, RemoteMember
from chalicelib.mailchimp.client import MailchimpClient
from chalicelib.store.members import MemberStates
from chalicelib.sync.account.audience_fields import AudienceFields
from chalicelib.sync.consent.address_changes import AddressChange, AddressChanges
from chalicelib.sync.runs.chunk_calls import SECONDS_FOR_A_BULK_CALL, ChunkCalls
from chalicelib.sync.runs.chunk_sender import _sort_out
from chalicelib.sync.runs.sending import Known, Sending
from chalicelib.sync.runs.single_calls import REST_FOLLOWS, Interruption

pytestmark = pytest.mark.fast


@pytest.fixture(autouse=True)
def within_their_rights() -> None:
    """Nothing here calls AWS: whose rights the package's other tests hold is no matter, and costs a process."""


NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HERE = "audience-1"
ANN, BOB = "ann@clinic.test", "bob@clinic.test"
DEPARTMENT = Department("d1", "North", "UTC", "AU", "AUD", "00")


def remote(address: str, status: Status, contact_id: str = "", **fields: Any) -> RemoteMember:
    return RemoteMember("", contact_id, address, status, NOON, **fields)


def operation(action: Action, address: str = ANN, status: Status | None = "subscribed", **fields: Any) -> Operation:
    return Operation(action, address[:3], address, "a-rule", status=status, values={"FNAME": "Ann"}, **fields)


def known_as(status: Status, contact_id: str = "", **push: Any) -> MemberStates:
    state = ConsentState(HERE, status, observed_at=NOON - timedelta(hours=1), contact_id=contact_id)
    return MemberStates("ann", ANN, state, DeliveryState(HERE, status, NOON - timedelta(hours=2), **push))


@dataclass
class ScriptedMailchimp:
    """Answers the calls of a chunk as it is told, and notes them."""

    pushed: Callable[[Sequence[Mapping[str, Any]]], PushAnswer] = lambda members: PushAnswer()
    unsubscribed: tuple[RemoteMember, ...] = ()
    status_set: MemberAnswer = field(default_factory=lambda: MemberAnswer("done"))
    archived: MemberAnswer = field(default_factory=lambda: MemberAnswer("done"))
    members: dict[str, RemoteMember] = field(default_factory=dict)
    contacts: dict[str, RemoteMember] = field(default_factory=dict)
    calls: list[tuple[str, Any]] = field(default_factory=list)

    def push_surely(self, audience: str, members: Sequence[Mapping[str, Any]], *, go_on: Callable[[], bool]) -> Any:
        self.calls.append(("push", [(one["email_address"], go_on()) for one in members]))
        return self.pushed(members)

    def members_changed(self, audience: str, *, since: datetime, status: str) -> Iterator[tuple[RemoteMember, ...]]:
        self.calls.append(("changed", (since, status)))
        return iter([self.unsubscribed])

    def set_member_status(self, audience: str, address: str, status: str) -> MemberAnswer:
        self.calls.append(("status", (address, status)))
        return self.status_set

    def member(self, audience: str, address: str) -> RemoteMember | None:
        return self.members.get(address)

    def archive_member(self, audience: str, address: str) -> MemberAnswer:
        self.calls.append(("archive", address))
        return self.archived

    def contact(self, audience: str, contact_id: str) -> RemoteMember | None:
        self.calls.append(("contact", contact_id))
        return self.contacts.get(contact_id)

    def audience(self, audience: str) -> None:
        self.calls.append(("audience", audience))

    def is_up(self) -> bool:
        return True


@dataclass
class NotedChanges:
    """Notes who changed the address."""

    noted: list[AddressChange] = field(default_factory=list)

    def apply(self, department: Department, mailchimp: Any, change: AddressChange, *, was_there: bool) -> None:
        assert was_there
        self.noted.append(change)


class NoFieldIsRefused:
    """Nothing is sent again without a value, so nobody looks at the audience's fields."""

    def look(self, *arguments: object) -> Department:
        raise AssertionError("the fields were looked at")

    look_again = note_state_required = look


class Chunk:
    def __init__(self, mailchimp: ScriptedMailchimp, **known: MemberStates) -> None:
        self.mailchimp, self.changes = mailchimp, NotedChanges()
        self.left = 290.0
        self.known = Known(HERE, known)

    def send(self, *operations: Operation) -> tuple[list[PushResult], Interruption | None]:
        changes = cast(AddressChanges, self.changes)
        fields = cast(AudienceFields, NoFieldIsRefused())
        calls = ChunkCalls(address_changes=changes, fields=fields, clock=lambda: NOON)
        mailchimp = cast(MailchimpClient, self.mailchimp)
        pulled_at = NOON - timedelta(minutes=9)
        sending = Sending(DEPARTMENT, mailchimp, lambda: self.left, self.known, pulled_at, NOON)
        return calls.send(Run("north", "run-1", "full", "manual", NOON), sending, operations)


def answering(*, new: bool = False, **fields: Any) -> Callable[[Sequence[Mapping[str, Any]]], PushAnswer]:
    """All are taken, and shown with the status that was sent unless another is given."""

    def answer(members: Sequence[Mapping[str, Any]]) -> PushAnswer:
        shown = tuple(
            remote(one["email_address"], fields.get("status") or one.get("status") or one["status_if_new"], "c1")
            for one in members
        )
        return PushAnswer(created=shown) if new else PushAnswer(updated=shown)

    return answer


# ------------------------------------------------------------------------------------------- what Mailchimp did not do


@pytest.mark.parametrize(("action", "sent"), [("subscribe", "subscribed"), ("ask", "pending")])
def test_a_restore_that_mailchimp_did_not_carry_out_is_refused_and_not_done(action: Action, sent: Status) -> None:
    """Taken for done it would be sent by every run, for ever, and staff never read of it."""
    chunk = Chunk(ScriptedMailchimp(pushed=answering(status="archived")), ann=known_as("archived", "c1"))
    (one,), interruption = chunk.send(operation(action, status=sent))
    assert (one.result, interruption) == ("refused", None)
    assert one.refusal == refusal("stays_archived")
    assert one.shown is not None and one.shown.status == "archived"


def test_data_of_an_archived_member_are_sent_all_the_same() -> None:
    chunk = Chunk(ScriptedMailchimp(pushed=answering(status="archived")), ann=known_as("archived", "c1"))
    (one,), _ = chunk.send(operation("update"))
    assert (one.result, one.status, one.refusal) == ("done", "archived", None)


@pytest.mark.parametrize("status", ["unsubscribed", "cleaned", "pending"])
def test_a_status_that_is_not_there_after_the_call_is_somebody_elses_word(status: Status) -> None:
    chunk = Chunk(ScriptedMailchimp(pushed=answering(status=status)), ann=known_as("transactional", "c1"))
    (one,), _ = chunk.send(operation("subscribe"))
    assert one.result == "held"
    assert one.shown is not None and (one.shown.status, one.shown.route) == (status, "sync")


def test_what_mailchimp_says_nothing_of_belongs_into_a_later_run() -> None:
    (one,), _ = Chunk(ScriptedMailchimp(), ann=known_as("subscribed")).send(operation("update"))
    assert one.result == "unsettled"


# --------------------------------------------------------------------------------------------------- our own writes


def test_our_own_unsubscribe_shown_by_the_answer_is_nobodys_word() -> None:
    chunk = Chunk(ScriptedMailchimp(pushed=answering()), ann=known_as("subscribed", "c1"))
    (one,), _ = chunk.send(operation("unsubscribe", status="unsubscribed"))
    assert (one.result, one.status, one.shown) == ("done", "unsubscribed", None)


def test_the_first_look_at_somebody_just_added_is_not_one_who_was_there_before() -> None:
    added = ScriptedMailchimp(pushed=answering(new=True, status="unsubscribed"))
    (one,), _ = Chunk(added).send(operation("add"))
    assert one.shown is not None and one.shown.pre_existing is False
    there = ScriptedMailchimp(pushed=answering(status="unsubscribed"))
    (one,), _ = Chunk(there).send(operation("add"))
    assert one.shown is not None and one.shown.pre_existing is None


def test_who_was_unsubscribed_since_the_pull_is_not_subscribed() -> None:
    mailchimp = ScriptedMailchimp(
        pushed=answering(), unsubscribed=(remote(ANN, "unsubscribed"), remote("x@y.test", "unsubscribed"))
    )
    (one,), _ = Chunk(mailchimp, ann=known_as("transactional")).send(operation("subscribe"))
    assert one.result == "held"
    assert one.shown is not None and one.shown.status == "unsubscribed"
    assert mailchimp.calls == [("changed", (NOON - timedelta(minutes=9), "unsubscribed"))]


def test_who_is_known_as_unsubscribed_is_not_looked_for() -> None:
    mailchimp = ScriptedMailchimp(pushed=answering())
    Chunk(mailchimp, ann=known_as("unsubscribed", "c1")).send(operation("subscribe"))
    assert [name for name, _ in mailchimp.calls] == ["push"]


# --------------------------------------------------------------------------------------------------- time, and tries


@pytest.mark.parametrize(("left", "goes_on"), [(SECONDS_FOR_A_BULK_CALL, False), (SECONDS_FOR_A_BULK_CALL + 1, True)])
def test_a_bulk_call_is_made_however_late_it_is_and_divided_only_while_there_is_time(
    left: float, goes_on: bool
) -> None:
    chunk = Chunk(ScriptedMailchimp(pushed=answering()), ann=known_as("subscribed", "c1"))
    chunk.left = left
    (one,), interruption = chunk.send(operation("update"))
    assert chunk.mailchimp.calls == [("push", [(ANN, goes_on)])]
    assert (one.result, interruption) == ("done", None)


def test_whom_the_call_did_not_get_to_goes_with_the_repeat() -> None:
    chunk = Chunk(ScriptedMailchimp(pushed=lambda members: PushAnswer(untried=(ANN,))), ann=known_as("subscribed"))
    results, interruption = chunk.send(operation("update"))
    assert results == []
    assert interruption is not None and interruption.message == REST_FOLLOWS


def test_who_made_a_call_fail_before_goes_in_a_call_of_its_own_after_the_others() -> None:
    kept = PushRefusal("no_answer", "", NOON, 1, "inputs")
    chunk = Chunk(ScriptedMailchimp(pushed=answering()), ann=known_as("subscribed", "c1", refusal=kept))
    results, _ = chunk.send(operation("update"), operation("add", BOB))
    assert chunk.mailchimp.calls == [("push", [(BOB, True)]), ("push", [(ANN, True)])]
    assert [one.result for one in results] == ["done", "done"]


def test_an_opt_out_that_the_bulk_call_refused_is_told_once_more_by_itself() -> None:
    refused = PushAnswer(refused=(RefusedMember(ANN, "looks fake", "ERROR_GENERIC"),))
    mailchimp = ScriptedMailchimp(pushed=lambda members: refused)
    chunk = Chunk(mailchimp, ann=known_as("subscribed", "c1"))
    (one,), _ = chunk.send(operation("unsubscribe", status="unsubscribed"))
    assert mailchimp.calls[1:] == [("status", (ANN, "unsubscribed"))]
    assert (one.result, one.status) == ("done", "unsubscribed")
    mailchimp.status_set = MemberAnswer("refused", refused=RefusedMember(ANN, "no"))
    (one,), _ = chunk.send(operation("unsubscribe", status="unsubscribed"))
    assert one.result == "refused" and one.refusal is not None and one.refusal.code == "looks_fake"


# ------------------------------------------------------------------------------------------------ who is elsewhere


def test_who_changed_the_address_while_the_call_ran_is_followed() -> None:
    moved = remote("new@clinic.test", "subscribed", "c1")
    chunk = Chunk(
        ScriptedMailchimp(pushed=lambda members: PushAnswer(updated=(moved,))), ann=known_as("subscribed", "c1")
    )
    (one,), _ = chunk.send(operation("update"))
    assert one.result == "held"
    assert [(change.old_address, change.new_address) for change in chunk.changes.noted] == [(ANN, "new@clinic.test")]


def test_a_write_that_met_another_contact_is_taken_back_where_the_known_one_is_elsewhere() -> None:
    mailchimp = ScriptedMailchimp(pushed=answering())
    mailchimp.contacts["c0"] = remote("new@clinic.test", "subscribed", "c0")
    chunk = Chunk(mailchimp, ann=known_as("subscribed", "c0"))
    (one,), _ = chunk.send(operation("update"))
    assert one.result == "held"
    assert [call for call in mailchimp.calls if call[0] in ("contact", "archive")] == [
        ("contact", "c0"),
        ("archive", ANN),
    ]
    assert [change.new_address for change in chunk.changes.noted] == ["new@clinic.test"]


def test_who_is_not_there_any_more_to_be_archived_was_deleted() -> None:
    chunk = Chunk(ScriptedMailchimp(), ann=known_as("subscribed", "c1"))
    (one,), _ = chunk.send(operation("archive"))
    assert one.result == "held"
    assert one.shown is not None and one.shown.status == "forgotten"
    assert ("audience", HERE) in chunk.mailchimp.calls, "all are missing where the audience itself was deleted"


@pytest.mark.parametrize(("status", "result"), [("subscribed", "done"), ("archived", "done"), ("unsubscribed", "held")])
def test_only_a_member_that_is_as_we_know_it_is_archived(status: Status, result: str) -> None:
    mailchimp = ScriptedMailchimp(members={ANN: remote(ANN, status, "c1")})
    (one,), _ = Chunk(mailchimp, ann=known_as("subscribed", "c1")).send(operation("archive"))
    assert one.result == result
    assert (("archive", ANN) in mailchimp.calls) is (result == "done")


# ----------------------------------------------------------------------------------------- a chunk that comes again


def test_a_refusal_is_neither_asked_for_again_nor_counted_twice_when_the_chunk_comes_again() -> None:
    refused = PushRefusal("looks_fake", "odd", NOON, 1, "as-sent")
    known = Known(HERE, {"ann": known_as("subscribed", refusal=refused)})
    planned = operation("update", inputs="as-sent")
    fresh, results = _sort_out([planned], known, since=NOON - timedelta(minutes=1))
    assert fresh == []
    assert results == [PushResult(planned, "refused", refusal=refusal("looks_fake", words="odd"), is_kept=True)]
    fresh, results = _sort_out([planned], known, since=NOON + timedelta(minutes=1))
    assert (fresh, results) == ([planned], [])


def test_what_an_earlier_delivery_did_is_done_and_what_is_not_right_any_more_is_held() -> None:
    sent = known_as("subscribed", sent="print")
    done = operation("update", values_fingerprint="print")
    fresh, results = _sort_out([done], Known(HERE, {"ann": sent}), since=NOON)
    assert (fresh, [(one.result, one.status) for one in results]) == ([], [("done", "subscribed")])
    assert sent.consent_state is not None
    erased = replace(sent, consent_state=replace(sent.consent_state, erased=True))
    fresh, results = _sort_out([done], Known(HERE, {"ann": erased}), since=NOON)
    assert (fresh, [one.result for one in results]) == ([], ["held"])
    assert _sort_out([operation("add")], Known(HERE, {}), since=NOON) == ([operation("add")], [])
