"""POST /departments/{d}/marketing-consent."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal

import pytest

from infra.standins.pracbill import PracBillStandIn
from infra.standins.pracbill.consent import ConsentChange, Effect, decide
from tests.standins.pracbill.conftest import NOON, Caller, Clock, document_of, opt_in, opt_out, updated_at

Word = Literal["subscribed", "unsubscribed"]
EARLIER = NOON - timedelta(hours=1)


def consent(pracbill: PracBillStandIn, customer_id: str) -> tuple[str | None, str | None]:
    document = pracbill.customer(customer_id)
    assert document is not None
    told = document.get("marketing_consent") or {}
    return told.get("status"), told.get("changed_at")


def test_an_opt_out_is_set_with_the_time_it_occurred(pracbill: PracBillStandIn, caller: Caller) -> None:
    pracbill.upsert("1", email="ann@clinic.test")
    answer = caller.post_consent(opt_out("ann@clinic.test", "2026-03-04T11:00:00Z"))
    assert (answer.status_code, answer.json()) == (200, {"applied": 1, "unknown": []})
    assert consent(pracbill, "1") == ("unsubscribed", "2026-03-04T11:00:00.000000Z")


def test_a_change_moves_updated_at(pracbill: PracBillStandIn, caller: Caller, clock: Clock) -> None:
    pracbill.upsert("1", email="ann@clinic.test")
    clock.move(minutes=5)
    caller.post_consent(opt_out("ann@clinic.test"))
    assert updated_at(pracbill, "1") == clock.moment


def test_a_repeat_changes_nothing_and_answers_the_same(pracbill: PracBillStandIn, caller: Caller, clock: Clock) -> None:
    pracbill.upsert("1", email="ann@clinic.test")
    changes = opt_out("ann@clinic.test"), opt_out("nobody@clinic.test")
    first = caller.post_consent(*changes).json()
    after_first = pracbill.customer("1")
    clock.move(minutes=5)
    assert caller.post_consent(*changes).json() == first == {"applied": 1, "unknown": ["nobody@clinic.test"]}
    assert pracbill.customer("1") == after_first


def test_the_same_status_at_a_later_time_changes_nothing(
    pracbill: PracBillStandIn, caller: Caller, clock: Clock
) -> None:
    pracbill.upsert("1", email="ann@clinic.test")
    caller.post_consent(opt_out("ann@clinic.test", "2026-03-04T10:00:00Z"))
    before = pracbill.customer("1")
    clock.move(minutes=5)
    caller.post_consent(opt_out("ann@clinic.test", "2026-03-04T11:00:00Z"))
    assert pracbill.customer("1") == before


def test_a_consent_between_two_opt_outs_that_arrives_late_is_old_news(
    pracbill: PracBillStandIn, caller: Caller
) -> None:
    pracbill.upsert("1", email="ann@clinic.test")
    caller.post_consent(opt_out("ann@clinic.test", "2026-03-04T09:00:00Z"))
    caller.post_consent(opt_out("ann@clinic.test", "2026-03-04T11:00:00Z"))
    caller.post_consent(opt_in("ann@clinic.test", "2026-03-04T10:00:00Z"))
    assert consent(pracbill, "1")[0] == "unsubscribed"


def test_every_customer_with_the_address_is_told_whatever_its_case_and_spaces(
    pracbill: PracBillStandIn, caller: Caller
) -> None:
    for customer_id, email in [("1", "ann@clinic.test"), ("2", " Ann@Clinic.TEST "), ("3", "anna@clinic.test")]:
        pracbill.upsert(customer_id, email=email, marketing_consent={"status": "subscribed"})
    assert caller.post_consent(opt_out(" ANN@clinic.test")).json() == {"applied": 1, "unknown": []}
    assert [consent(pracbill, i)[0] for i in "123"] == ["unsubscribed", "unsubscribed", "subscribed"]


def test_an_unknown_address_is_given_back_as_sent_and_once(pracbill: PracBillStandIn, caller: Caller) -> None:
    pracbill.upsert("1", email="ann@clinic.test")
    answer = caller.post_consent(
        opt_out("Nobody@Clinic.test"), opt_out("ann@clinic.test"), opt_in("Nobody@Clinic.test")
    )
    assert answer.json() == {"applied": 1, "unknown": ["Nobody@Clinic.test"]}


def test_a_removed_or_renamed_customer_does_not_have_its_old_address(pracbill: PracBillStandIn, caller: Caller) -> None:
    pracbill.upsert("1", email="ann@clinic.test")
    pracbill.upsert("2", email="bob@clinic.test")
    pracbill.remove("1")
    pracbill.upsert("2", email="rob@clinic.test")
    answer = caller.post_consent(opt_out("ann@clinic.test"), opt_out("bob@clinic.test"), opt_out("rob@clinic.test"))
    assert answer.json() == {"applied": 1, "unknown": ["ann@clinic.test", "bob@clinic.test"]}


def test_another_department_with_the_same_address_is_not_told(pracbill: PracBillStandIn, caller: Caller) -> None:
    other = pracbill.second_department_id
    pracbill.upsert("1", email="ann@clinic.test")
    pracbill.upsert("1", email="ann@clinic.test", department_id=other)
    caller.post_consent(opt_out("ann@clinic.test"), department=other)
    assert consent(pracbill, "1") == (None, None)
    assert document_of(pracbill, "1", department_id=other)["marketing_consent"]["status"] == "unsubscribed"


def test_an_old_consent_does_not_undo_a_newer_opt_out(pracbill: PracBillStandIn, caller: Caller) -> None:
    pracbill.upsert("1", email="ann@clinic.test")
    pracbill.set_consent("1", "unsubscribed", changed_at=NOON)
    before = pracbill.customer("1")
    assert caller.post_consent(opt_in("ann@clinic.test")).json() == {"applied": 1, "unknown": []}
    assert pracbill.customer("1") == before


def test_staff_may_set_consent_after_a_later_word_from_mailchimp(pracbill: PracBillStandIn, caller: Caller) -> None:
    pracbill.upsert("1", email="ann@clinic.test")
    caller.post_consent(opt_out("ann@clinic.test", "2026-03-04T11:59:00Z"))
    pracbill.set_consent("1", "subscribed", changed_at=NOON)
    assert consent(pracbill, "1")[0] == "subscribed"
    caller.post_consent(opt_out("ann@clinic.test", "2026-03-04T11:59:30Z"))
    assert consent(pracbill, "1")[0] == "subscribed"


@pytest.mark.parametrize(
    ("status", "heard_at", "told", "effect"),
    [
        ("subscribed", EARLIER, "unsubscribed", Effect.CHANGED),
        ("unsubscribed", EARLIER, "subscribed", Effect.CHANGED),
        ("subscribed", NOON + timedelta(hours=1), "unsubscribed", Effect.STALE),
        ("unsubscribed", NOON + timedelta(hours=1), "subscribed", Effect.STALE),
        ("subscribed", NOON, "unsubscribed", Effect.CHANGED),
        ("unsubscribed", NOON, "subscribed", Effect.STALE),
        ("subscribed", EARLIER, "subscribed", Effect.UNCHANGED),
        ("unsubscribed", None, "unsubscribed", Effect.UNCHANGED),
        ("unsubscribed", None, "subscribed", Effect.CHANGED),
        (None, None, "unsubscribed", Effect.CHANGED),
        (None, NOON + timedelta(hours=1), "subscribed", Effect.CHANGED),
    ],
)
def test_the_newest_word_counts_and_an_opt_out_wins_a_tie(
    status: Word | None, heard_at: datetime | None, told: Word, effect: Effect
) -> None:
    change = ConsentChange("ann@clinic.test", told, NOON)
    assert decide(status=status, heard_at=heard_at, change=change) is effect


def test_five_hundred_changes_are_taken_and_one_more_is_refused(pracbill: PracBillStandIn, caller: Caller) -> None:
    changes = [opt_out(f"p{number}@clinic.test") for number in range(501)]
    assert len(caller.post_consent(*changes[:500]).json()["unknown"]) == 500
    assert caller.post_consent(*changes).status_code == 400


@pytest.mark.parametrize(
    ("fault", "field"),
    [
        ({"email": ""}, "email"),
        ({"email": None}, "email"),
        ({"status": "cleaned"}, "status"),
        ({"status": None}, "status"),
        ({"occurred_at": "2026-03-04T11:00:00"}, "occurred_at"),
        ({"occurred_at": None}, "occurred_at"),
        ({"source": 7}, "source"),
        ({"note": "x"}, "note"),
    ],
)
def test_one_unreadable_change_is_named_and_none_is_applied(
    pracbill: PracBillStandIn, caller: Caller, fault: dict[str, Any], field: str
) -> None:
    pracbill.upsert("1", email="ann@clinic.test")
    answer = caller.post_consent(opt_out("ann@clinic.test"), {**opt_out("bob@clinic.test"), **fault})
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [f"changes[1].{field}"]
    assert consent(pracbill, "1") == (None, None)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"changes": {}}', b'{"changes": [], "x": 1}', b'{"changes": [1]}']
)
def test_a_body_of_another_shape_is_400(pracbill: PracBillStandIn, caller: Caller, body: bytes) -> None:
    url = f"{pracbill.url}/departments/{pracbill.department_id}/marketing-consent"
    assert caller.session.post(url, data=body, timeout=60).status_code == 400


def test_what_was_received_stands_in_the_journal(pracbill: PracBillStandIn, caller: Caller) -> None:
    pracbill.upsert("1", email="ann@clinic.test")
    pracbill.upsert("2", email="ANN@clinic.test")
    caller.post_consent(opt_out("ann@clinic.test"), opt_in("nobody@clinic.test"))
    first, second = pracbill.consent_changes()
    assert (first.effect, first.customer_ids, first.change.reason) == (Effect.CHANGED, ("1", "2"), "asked")
    assert (second.effect, second.customer_ids) == (Effect.UNKNOWN, ())
