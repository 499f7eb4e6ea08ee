"""Opt-outs that Mailchimp does not take: every way is tried, and staff learn how many there are and what to do."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.health import health
from chalicelib.domain.hold_reasons import explanation
from tests.sync.engine import Engine, Practice

pytest_plugins = ("tests.sync.engine_fixtures",)

NO = {"status": "unsubscribed", "changed_at": "2026-03-02T12:11:00Z"}


def refuse(practice: Practice, address: str, **more: Any) -> None:
    """A field that PracBill does not fill is incomplete at the contact, and Mailchimp judges it in every write."""
    practice.fail(
        about=address,
        status=400,
        title="Invalid Resource",
        detail="Your merge fields were invalid.",
        field="SHIPPING",
        message="Please enter a complete address",
        **{"path": "/**", **more},
    )


@pytest.fixture
def stuck(practice: Practice) -> Practice:
    practice.customers(3)
    practice.sync("full")
    practice.edit("1", marketing_consent=NO)
    practice.edit("2", first_name="Anna")
    return practice


def findings(practice: Practice) -> list[tuple[str, str, str]]:
    found = health(practice.department, run=None, failed=None, now=practice.engine.clock())
    return [(f.severity, f.message, f.fix) for f in found if f.code == "opt_out_refused"]


def test_an_opt_out_that_bulk_call_and_patch_refuse_is_told_by_put(stuck: Practice) -> None:
    for method in ("POST", "PATCH"):
        refuse(stuck, "c1@clinic.test", method=method)
    run = stuck.sync()
    assert (run.status, run.counts, run.opt_outs_refused) == ("success", {"unsubscribe": 1, "update": 1}, 0)
    assert stuck.audience()["c1@clinic.test"] == "unsubscribed"
    assert findings(stuck) == []


def test_an_opt_out_that_is_refused_every_way_is_a_finding_with_how_many_and_since_when(stuck: Practice) -> None:
    refuse(stuck, "c1@clinic.test")
    run = stuck.sync()
    (record,) = stuck.records(run, "refused")
    assert (record.customer_id, record.code) == ("1", "foreign_field_invalid")
    assert "the field SHIPPING" in record.cause and "PracBill does not fill" in record.cause
    assert "in Mailchimp" in record.fix and "unsubscribe it in Mailchimp" in record.fix
    since = f"since {run.started_at:%Y-%m-%d %H:%M} UTC"
    ((severity, message, fix),) = findings(stuck)
    assert severity == "error"
    assert message.startswith("1 person who opted out is still subscribed") and since in message
    assert "in Mailchimp" in fix
    again = stuck.sync()
    assert (again.status, again.opt_outs_refused) == ("error", 1), "tried again by every sync"
    assert since in findings(stuck)[0][1], "not since the last one"


def test_the_finding_goes_when_staff_have_unsubscribed_the_contact_in_mailchimp(stuck: Practice) -> None:
    refuse(stuck, "c1@clinic.test")
    stuck.sync()
    stuck.control.clear_faults()
    stuck.act("admin_unsubscribe", "c1@clinic.test")
    stuck.sync()
    assert findings(stuck) == []


def test_what_was_refused_is_kept_with_its_field_so_that_every_page_names_it(stuck: Practice) -> None:
    refuse(stuck, "c2@clinic.test")
    run = stuck.sync()
    (record,) = stuck.records(run, "refused")
    kept = stuck.known("c2@clinic.test").refusal
    assert kept is not None and kept.field == "SHIPPING"
    told = explanation(kept.code, kept.text, field=kept.field)
    assert (told.cause, told.fix) == (record.cause, record.fix)


def test_refusals_in_words_that_nobody_knows_are_counted(engine: Engine, practice: Practice) -> None:
    practice.customers(2)
    practice.fail(about="c1@clinic.test", status=400, title="Odd", detail="The moon is in the way of c1@clinic.test.")
    run = practice.sync("full")
    (record,) = practice.records(run, "refused")
    assert record.code == "unknown"
    assert "Mailchimp says: The moon is in the way of (address)." in record.cause
    assert engine.meter.counts["RefusalsUnknown"] == 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"status": 429}, "Rate limit exceeded: Mailchimp has had too many requests from this account. Wait"),
        ({"status": 403, "body": "html"}, "Access blocked: a firewall in front of Mailchimp refuses"),
    ],
    ids=["limit", "blocked"],
)
def test_a_run_that_never_gets_in_says_why_and_what_to_do(
    practice: Practice, fault: dict[str, Any], words: str
) -> None:
    practice.customers(2)
    practice.control.inject_fault(path="/**", times=1000, **fault)
    run = practice.sync("full")
    assert run.status == "error"
    assert run.message.startswith(words)
    assert "Check that Mailchimp works" not in run.message
    assert practice.log()[0].message == run.message
