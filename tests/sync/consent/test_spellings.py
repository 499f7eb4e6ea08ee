"""One mailbox, several spellings: capital letters, and a domain in letters or as browsers write it."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.sync.segments.segment_work import Batch, Difference, Target
from tests.sync.engine import Practice

pytest_plugins = ("tests.sync.engine_fixtures",)

LETTERS, TYPED = "pair@müller-praxis.de", "pair@xn--mller-praxis-dlb.de"
CAPITALS, APART = "Pair@MÜLLER-Praxis.DE", "pair@mu\u0308ller-praxis.de"  # the accent by itself


def told(practice: Practice) -> list[tuple[str, str]]:
    lines = practice.engine.pracbill.consent_changes(department_id=practice.id)
    return [(line.change.email, line.change.status) for line in lines]


def said(word: str) -> dict[str, Any]:
    return {"status": word, "changed_at": "2026-02-01T00:00:00Z"}


@pytest.mark.parametrize("other", [LETTERS, CAPITALS, APART])
def test_the_no_of_one_spelling_holds_for_all(practice: Practice, other: str) -> None:
    practice.customer("1", TYPED)
    practice.customer("2", other, marketing_consent=said("unsubscribed"))
    practice.sync("full")
    assert practice.audience() == {}


def test_two_spellings_of_a_mailbox_are_one_member(practice: Practice) -> None:
    practice.customer("1", TYPED, first_name="Ann")
    practice.customer("2", LETTERS, first_name="Bob")
    run = practice.sync("full")
    assert list(practice.audience().values()) == ["subscribed"]
    assert run.counts["add"] == 1
    assert practice.sync("full").counts.get("add") is None


def test_a_customer_who_only_changes_the_spelling_stays_the_same_member(practice: Practice) -> None:
    practice.customer("1", TYPED)
    practice.sync("full")
    before = practice.audience()
    practice.edit("1", email=LETTERS)
    practice.sync()
    assert practice.audience() == before


@pytest.mark.parametrize("spelling", [LETTERS, TYPED, CAPITALS])
def test_a_member_that_mailchimp_has_in_another_spelling_is_unsubscribed_there(
    practice: Practice, spelling: str
) -> None:
    practice.join(spelling)
    practice.customer("1", TYPED, marketing_consent=said("unsubscribed"))
    practice.sync("full")
    assert practice.audience() == {spelling: "unsubscribed"}


def test_a_member_that_mailchimp_has_in_letters_is_updated_there(practice: Practice) -> None:
    practice.join(LETTERS)
    practice.customer("1", TYPED, first_name="Ann")
    practice.sync("full")
    assert practice.audience() == {LETTERS: "subscribed"}
    assert practice.member(LETTERS)["merge_fields"]["FNAME"] == "Ann"
    practice.edit("1", first_name="Anna")
    practice.sync()
    assert practice.member(LETTERS)["merge_fields"]["FNAME"] == "Anna"


@pytest.mark.parametrize("there", [LETTERS, TYPED])
@pytest.mark.parametrize("own", [LETTERS, TYPED, CAPITALS])
def test_pracbill_hears_of_a_no_in_its_own_spelling(practice: Practice, own: str, there: str) -> None:
    practice.join(there)
    practice.customer("1", own)
    practice.sync("full")
    practice.act("unsubscribe", there)
    practice.sync()
    assert told(practice) == [(own, "unsubscribed")]
    record = practice.engine.pracbill.customer("1", department_id=practice.id)
    assert record is not None
    assert record["marketing_consent"]["status"] == "unsubscribed"


def test_letters_outside_ascii_before_the_sign_are_an_invalid_email(practice: Practice) -> None:
    practice.customer("1", "jürgen@clinic.test")
    run = practice.sync("full")
    assert practice.codes(run, "held") == [("1", "invalid_email")]
    assert practice.audience() == {}


def test_a_segment_is_told_of_a_member_in_mailchimps_spelling_and_reads_the_answer_in_ours() -> None:
    batch = Batch({"key": Target(TYPED, [Difference("1", "key")], LETTERS)})
    assert batch.addresses == [LETTERS]
    assert batch.confirmed([TYPED]) == batch.targets
