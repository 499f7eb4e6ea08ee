"""The next run does not read what the last one pushed, and misses nothing by it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from chalicelib.store.members import MemberStates, MemberStore
from chalicelib.store.pushed_members import PushedMemberStore
from tests.sync.engine import Killed, Practice

pytest_plugins = ("tests.sync.engine_fixtures",)

ANN, BEN = "c1@clinic.test", "c2@clinic.test"


@pytest.fixture
def pushed(practice: Practice) -> Practice:
    """Three customers, pushed a moment ago."""
    practice.customers(3)
    assert practice.sync("full").done == 3
    return practice


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The address keys whose states were read."""
    read: list[str] = []
    states = MemberStore.member_states

    def noted(self: MemberStore, department_id: str, address_keys: Iterable[str]) -> dict[str, MemberStates]:
        keys = list(address_keys)
        read.extend(keys)
        return states(self, department_id, keys)

    monkeypatch.setattr(MemberStore, "member_states", noted)
    yield read


def act_at_once(practice: Practice, name: str, address: str, *arguments: str) -> None:
    """Somebody does something in the very second of the push."""
    getattr(practice.control, name)(address, *arguments, audience_id=practice.audience_id)


def test_what_the_last_run_pushed_is_not_read_again(pushed: Practice, reads: list[str]) -> None:
    run = pushed.sync("incremental", seconds=1)
    assert (run.status, run.counts) == ("skipped", {})
    assert reads == []
    assert pushed.writes() == []


def test_a_full_run_reads_it_all_the_same(pushed: Practice, reads: list[str]) -> None:
    pushed.sync("full", seconds=1)
    assert {pushed.key(address) for address in pushed.audience()} <= set(reads)


@pytest.mark.parametrize("is_at_once", [True, False], ids=["in the second of the push", "a minute later"])
@pytest.mark.parametrize(
    ("act", "status"),
    [("unsubscribe", "unsubscribed"), ("admin_unsubscribe", "unsubscribed"), ("admin_archive", "archived")],
)
def test_an_unsubscribe_right_after_a_push_is_never_skipped(
    pushed: Practice, act: str, status: str, is_at_once: bool
) -> None:
    (act_at_once if is_at_once else Practice.act)(pushed, act, ANN)
    pushed.sync("incremental", seconds=1)
    assert pushed.known(ANN).status == status
    assert pushed.audience()[ANN] == status
    if status == "unsubscribed":
        assert (ANN, "unsubscribed") in pushed.told()
        assert pushed.known(ANN).opt_out is not None


def test_a_bounce_right_after_a_push_is_never_skipped(pushed: Practice) -> None:
    act_at_once(pushed, "bounce", ANN)
    pushed.sync("incremental", seconds=1)
    assert pushed.known(ANN).status == "cleaned"
    assert (ANN, "unsubscribed") in pushed.told()


def test_an_address_changed_right_after_a_push_is_never_skipped(pushed: Practice) -> None:
    act_at_once(pushed, "change_address", ANN, "new@clinic.test")
    pushed.sync("full", seconds=1)  # who is missing is looked for by full runs
    assert pushed.known("new@clinic.test").status == "subscribed"


def test_a_status_that_changed_twice_is_heard(pushed: Practice, reads: list[str]) -> None:
    pushed.act("unsubscribe", ANN)
    pushed.act("resubscribe", ANN)
    assert pushed.audience()[ANN] == "subscribed"
    pushed.sync("incremental", seconds=1)
    assert pushed.key(ANN) in reads
    assert pushed.key(BEN) not in reads


def test_a_yes_after_a_no_that_was_heard_meanwhile_is_heard(pushed: Practice) -> None:
    pushed.act("unsubscribe", ANN)
    pushed.sync("incremental", seconds=1)
    assert pushed.known(ANN).opt_out is not None
    pushed.act("resubscribe", ANN)
    pushed.sync("incremental", seconds=1)
    assert pushed.known(ANN).status == "subscribed"
    assert pushed.known(ANN).opt_out is None


def test_what_was_pushed_to_another_audience_says_nothing_of_this_one(pushed: Practice, reads: list[str]) -> None:
    pushed.select_new_audience()
    pushed.join(ANN, status="subscribed")
    pushed.sync("incremental", seconds=1)
    assert pushed.key(ANN) in reads
    pushed.act("unsubscribe", ANN)
    pushed.sync("incremental", seconds=1)
    assert pushed.known(ANN).status == "unsubscribed"
    assert (ANN, "unsubscribed") in pushed.told()


def test_a_run_killed_between_push_and_remembering_has_everything_heard(
    practice: Practice, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    add, killed = PushedMemberStore.add, iter([True])

    def dies_once(*arguments: object, **options: object) -> None:
        if next(killed, False):
            raise Killed("before it was remembered")
        add(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(PushedMemberStore, "add", dies_once)
    practice.customers(3)
    assert practice.sync("full").done == 3
    act_at_once(practice, "unsubscribe", ANN)
    reads.clear()
    practice.sync("incremental", seconds=1)
    assert {practice.key(f"c{number}@clinic.test") for number in (1, 2, 3)} <= set(reads)
    assert practice.known(ANN).status == "unsubscribed"
    assert (ANN, "unsubscribed") in practice.told()


def test_what_somebody_edited_in_mailchimp_since_is_heard(pushed: Practice, reads: list[str]) -> None:
    pushed.act("edit_profile", ANN, {"FNAME": "Other"})
    pushed.sync("incremental", seconds=1)
    assert pushed.key(ANN) in reads


def test_who_was_unsubscribed_by_us_is_heard(pushed: Practice, reads: list[str]) -> None:
    """An echo of our own, but a no: it is read, whatever it costs."""
    pushed.edit("1", marketing_consent={"status": "unsubscribed", "changed_at": "2026-03-01T00:00:00Z"})
    assert pushed.sync("incremental").done == 1
    reads.clear()
    pushed.sync("incremental", seconds=1)
    assert pushed.key(ANN) in reads
    assert pushed.key(BEN) not in reads
