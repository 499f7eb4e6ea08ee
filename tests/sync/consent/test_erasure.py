"""Erasure: gone in Mailchimp, gone here, never added again, whatever happens in between."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.domain.consent.members import OptOut
from chalicelib.domain.consent.rules import ConsentPolicy, PracBillConsent, decide
from chalicelib.domain.planning import Operation, opt_out_time
from chalicelib.domain.push_results import still_right
from chalicelib.errors import KeyRejected, RefuseRequest, RetryLater
from chalicelib.store.customers import CustomerBatch
from chalicelib.store.member_batch import MemberBatch
from chalicelib.sync.consent.erasure import erased_among
from infra.standins.pracbill import PracBillStandIn
from tests.sync.observing import Clock, Desk, mailchimp_running

ANN, BOB = "ann@clinic.test", "bob@clinic.test"


@pytest.fixture
def desk(aws: str, pracbill: PracBillStandIn) -> Iterator[Desk]:
    clock = Clock()
    with mailchimp_running(clock) as mailchimp:
        yield Desk(aws, mailchimp, pracbill, clock)


@pytest.fixture
def ann(desk: Desk) -> Desk:
    """A customer who is a member, with everything that may be kept of one."""
    desk.customer("1", ANN)
    desk.push(ANN)
    desk.act("unsubscribe", ANN)
    desk.observe_now(ANN)
    return desk


def erase(desk: Desk, customer_id: str = "1") -> Any:
    return desk.erasure.erase(desk.department_id, customer_id, by="user-7")


@pytest.mark.fast
def test_an_erased_customer_is_deleted_for_good_in_mailchimp(ann: Desk) -> None:
    receipt = erase(ann)
    assert ann.at_mailchimp(ANN) is None
    assert receipt.customer_id == "1"
    assert receipt.erased_at == ann.clock()
    assert "deleted in Mailchimp for good" in receipt.message
    assert "Erase the customer in PracBill too." in receipt.message


def test_nothing_that_can_be_read_stays_of_an_erased_customer(ann: Desk) -> None:
    assert ANN in ann.everything_stored()
    erase(ann)
    assert ANN not in ann.everything_stored()
    assert (ann.backlog(), ann.is_marked(ANN)) == ([], False)
    assert ann.customers.get(ann.department_id, ["00011"]) == {}


def test_no_plan_adds_an_erased_address_whatever_pracbill_says(ann: Desk) -> None:
    erase(ann)
    member = ann.member(ANN)
    assert member.erased
    verdict = decide(PracBillConsent("subscribed", ann.clock.move(days=1)), member, ConsentPolicy())
    assert (verdict.act, verdict.report) == ("leave", "erased")


def test_a_sync_can_tell_whose_documents_must_not_be_stored_again(ann: Desk) -> None:
    ann.push(BOB)
    erase(ann)
    keys = [ann.key(ANN), ann.key(BOB), ann.key("nobody@clinic.test")]
    assert erased_among(ann.members, ann.department_id, keys) == {ann.key(ANN)}


@pytest.mark.parametrize("action", ["add", "update", "subscribe", "ask"])
def test_an_operation_planned_before_the_erasure_is_not_carried_out(ann: Desk, action: Any) -> None:
    known = opt_out_time(ann.member(ANN))
    operation = Operation(action, ann.key(ANN), ANN, "yes-absent", status="subscribed", known_opt_out=known)
    assert still_right(operation, ann.member(ANN))
    erase(ann)
    assert not still_right(operation, ann.member(ANN))


def test_the_ledger_keeps_the_erasure_without_personal_data(ann: Desk) -> None:
    ann.clock.move(minutes=1)
    erase(ann)
    entry = ann.ledger_of(ANN)[0]
    assert (entry.rule, entry.became, entry.route, entry.evidence) == ("erased", "forgotten", "admin", {"by": "user-7"})
    assert "ann" not in str(entry)


def test_the_log_keeps_the_erasure_without_personal_data(ann: Desk) -> None:
    erase(ann)
    (entry,) = ann.log_entries()
    assert (entry.type, entry.trigger, entry.status) == ("incremental", "erasure", "success")
    assert "ann" not in str(entry)


def test_an_erased_customer_who_was_never_a_member_is_erased_here(desk: Desk) -> None:
    desk.customer("1", ANN)
    erase(desk)
    assert ANN not in desk.everything_stored()
    assert desk.member(ANN).erased


def test_an_erased_customer_without_an_address_is_removed(desk: Desk) -> None:
    desk.customer("1", "")
    assert "erased here" in erase(desk).message
    with pytest.raises(RefuseRequest) as refused:
        erase(desk)
    assert refused.value.status == 404


@pytest.mark.parametrize("customer_id", ["2", "", "x" * 300])
def test_a_customer_who_is_not_kept_here_cannot_be_erased(ann: Desk, customer_id: str) -> None:
    with pytest.raises(RefuseRequest) as refused:
        erase(ann, customer_id)
    assert refused.value.status == 404


def test_a_department_without_a_connection_erases_what_is_here_and_says_so(ann: Desk) -> None:
    ann.change(connection=None)
    receipt = erase(ann)
    assert "nothing was deleted there" in receipt.message
    assert ANN not in ann.everything_stored()


@pytest.mark.fast
def test_customers_who_share_the_address_stay_and_are_named_in_the_receipt(ann: Desk) -> None:
    ann.customer("2", ANN)
    receipt = erase(ann)
    assert receipt.message.endswith("who are no longer synced: 2.")
    state = ann.members.state(ann.department_id, ann.key(ANN), ann.audience_id)
    assert state.address_customers is not None
    assert [customer.id for customer in state.address_customers.customers] == ["2"]
    assert state.member.erased
    assert ann.is_marked(ANN)


@pytest.mark.parametrize("now", [BOB, ""], ids=["another address now", "no address now"])
def test_the_addresses_a_customer_had_before_are_erased_as_well(desk: Desk, now: str) -> None:
    for previous_keys in (ANN, "ann@first.test"):
        desk.push(previous_keys)
        desk.act("admin_archive", previous_keys)
    if now:
        desk.push(now)
    desk.customer("1", now, previous_keys=(ANN, "ann@first.test"))
    erase(desk)
    assert [a for a in (ANN, "ann@first.test", BOB) if desk.at_mailchimp(a) is not None] == []
    assert [a for a in (ANN, "ann@first.test") if a in desk.everything_stored()] == []
    assert desk.member(ANN).erased and desk.member("ann@first.test").erased


@pytest.mark.parametrize("dies", [False, True])
def test_the_addresses_to_which_the_person_went_on_in_mailchimp_are_erased_as_well(desk: Desk, dies: bool) -> None:
    desk.customer("1", ANN)
    desk.push(ANN)
    for old, new in ((ANN, "ann@new.test"), ("ann@new.test", "ann@newest.test")):
        desk.act("change_address", old, new)
        desk.apply(desk.event("upemail", new, old_address=old))
    if dies:
        desk.control.inject_fault(method="POST", path="/lists/*/members/**", status=503)
        with pytest.raises(RetryLater):
            erase(desk)
    erase(desk)
    assert desk.at_mailchimp("ann@newest.test") is None
    assert [a for a in (ANN, "ann@new.test", "ann@newest.test") if a in desk.everything_stored()] == []
    consent_state = desk.consent_state("ann@newest.test")
    assert consent_state is not None and consent_state.erased


def test_an_address_that_somebody_else_has_now_is_left_alone(desk: Desk) -> None:
    desk.customer("2", ANN)
    desk.push(ANN)
    desk.customer("1", BOB, previous_keys=(ANN,))
    erase(desk)
    assert desk.at_mailchimp(ANN) is not None
    assert not desk.member(ANN).erased


# ----------------------------------------------------------------------------------------------------- dying in between


@pytest.mark.fast
@pytest.mark.parametrize(
    ("part", "write"),
    [
        ("members", "change_consent_state"),
        ("ledger", "append"),
        ("members", "drop_outbox_entry"),
        ("member_batch", "flush"),
        ("logs", "add"),
        ("customer_batch", "flush"),
    ],
)
def test_an_erasure_that_died_is_finished_by_calling_it_again(
    ann: Desk, monkeypatch: pytest.MonkeyPatch, part: str, write: str
) -> None:
    def die(*args: object, **options: object) -> Any:
        raise SystemExit

    with monkeypatch.context() as patch:
        batches = {"member_batch": MemberBatch, "customer_batch": CustomerBatch}
        patch.setattr(batches.get(part) or getattr(ann, part), write, die)
        with pytest.raises(SystemExit):
            erase(ann)
    erase(ann)
    assert ann.at_mailchimp(ANN) is None
    assert ANN not in ann.everything_stored()
    assert ann.member(ANN).erased


def test_while_mailchimp_is_down_the_address_is_kept_out_already_and_a_repeat_finishes(ann: Desk) -> None:
    ann.control.inject_fault(method="POST", path="/lists/*/members/**", status=503)
    with pytest.raises(RetryLater):
        erase(ann)
    assert ann.member(ANN).erased
    erase(ann)
    assert ann.at_mailchimp(ANN) is None
    assert ANN not in ann.everything_stored()


def test_with_a_dead_key_the_caller_learns_that_mailchimp_was_not_told(
    ann: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(ann.service, "rejection", KeyRejected("The key was revoked.", code="key_rejected"))
        with pytest.raises(KeyRejected):
            erase(ann)
    assert ann.at_mailchimp(ANN) is not None
    erase(ann)
    assert ann.at_mailchimp(ANN) is None


def test_an_erased_persons_opt_out_is_not_forgotten(desk: Desk) -> None:
    desk.customer("1", ANN)
    desk.know(ANN, status="unsubscribed", opt_out=OptOut(desk.clock(), "person", "unsubscribed in Mailchimp"))
    erase(desk)
    assert desk.member(ANN).opt_out is not None


def test_after_an_erasure_neither_webhook_nor_pull_bring_the_person_back(ann: Desk) -> None:
    erase(ann)
    ann.act("resubscribe", ANN)
    ann.apply(ann.event("subscribe", ANN))
    ann.pull("full")
    assert ann.member(ANN).erased
    assert ANN not in ann.everything_stored()


def test_by_address_every_customer_who_has_it_is_erased(ann: Desk) -> None:
    ann.customer("2", ANN)
    assert sorted(ann.erasure.customers_of(ann.department_id, " Ann@Clinic.test ")) == ["1", "2"]
    receipts = ann.erasure.erase_address(ann.department_id, ANN, by="operator kim")
    assert sorted(receipt.customer_id for receipt in receipts) == ["1", "2"]
    assert ann.at_mailchimp(ANN) is None
    assert ANN not in ann.everything_stored()


def test_by_address_a_member_whom_pracbill_does_not_know_is_erased_too(desk: Desk) -> None:
    desk.mailchimp.control.admin_import([{"email_address": BOB, "status": "subscribed"}])
    (receipt,) = desk.erasure.erase_address(desk.department_id, BOB, by="operator kim")
    assert receipt.customer_id == ""
    assert desk.at_mailchimp(BOB) is None
    assert desk.member(BOB).erased
    assert BOB not in desk.everything_stored()


@pytest.mark.parametrize("address", ["", "bob", "bob@", "bob@clinic"])
def test_what_is_no_address_is_refused(desk: Desk, address: str) -> None:
    with pytest.raises(RefuseRequest) as refused:
        desk.erasure.erase_address(desk.department_id, address, by="operator kim")
    assert refused.value.status == 400
