"""Documents that several hands change: what is tried again, from what, and when it is given up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pynamodb.exceptions import PutError

from chalicelib.store.documents import from_document, to_document
from chalicelib.store.versions import LastRead, TooMuchContention, change_document, is_saved, until_written


@dataclass(frozen=True, slots=True)
class Page:
    """What the documents of these tests hold."""

    text: str = ""


@dataclass
class Item:
    """A stored document as one reader has it. `saves` are what comes of each write: an error, or nothing."""

    document: str
    saves: list[PutError] = field(default_factory=list)
    saved: list[str] = field(default_factory=list)

    def save(self) -> None:
        if self.saves:
            raise self.saves.pop(0)
        self.saved.append(self.document)


def refused(code: str) -> PutError:
    return PutError("no", ClientError({"Error": {"Code": code, "Message": "no"}}, "PutItem"))


FASTER = "ConditionalCheckFailedException"


def item(text: str, *saves: PutError) -> Item:
    return Item(to_document(Page(text)), list(saves))


def longer(page: Page) -> Page:
    return replace(page, text=page.text + "!")


def text_of(one: Item) -> str:
    return from_document(Page, one.document).text


# ----------------------------------------------------------------------------------------------------- what is at hand


def test_what_was_read_last_is_handed_out_once() -> None:
    kept: LastRead[Item] = LastRead()
    one, other = item("one"), item("other")
    kept.keep("a", one)
    kept.keep("b", other)
    assert kept.take("a") is one
    assert kept.take("a") is None
    assert kept.take("b") is other
    assert kept.take("never kept") is None


def test_what_is_kept_anew_replaces_the_old_and_nothing_forgets_it() -> None:
    kept: LastRead[Item] = LastRead()
    newer = item("newer")
    kept.keep("a", item("older"))
    kept.keep("a", newer)
    assert kept.take("a") is newer
    kept.keep("a", newer)
    kept.keep("a", None)
    assert kept.take("a") is None
    kept.keep("never kept", None)


def test_of_more_than_sixteen_the_one_kept_longest_goes() -> None:
    kept: LastRead[Item] = LastRead()
    for number in range(16):
        kept.keep(str(number), item(""))
    kept.keep("0", item("again"))  # the youngest now
    kept.keep("16", item(""))
    assert [number for number in range(17) if kept.take(str(number)) is None] == [1]


# ------------------------------------------------------------------------------------------------------- saving, trying


def test_a_write_that_came_too_late_is_told_and_any_other_failure_is_raised() -> None:
    assert is_saved(item("")) is True
    assert is_saved(item("", refused(FASTER))) is False
    with pytest.raises(PutError):
        is_saved(item("", refused("ProvisionedThroughputExceededException")))


def answers(*given: object) -> Callable[[], Any]:
    waiting = iter(given)
    return lambda: next(waiting)


def test_it_is_tried_until_an_attempt_was_in_time() -> None:
    assert until_written(answers(None, None, "done", "too far"), "it") == "done"
    for falsy in (0, "", False):
        assert until_written(answers(None, falsy), "it") == falsy


@pytest.mark.parametrize("attempts", [1, 3])
def test_after_so_many_attempts_it_is_given_up_by_name(attempts: int) -> None:
    assert until_written(answers(*[None] * (attempts - 1), "done"), "the page", attempts=attempts) == "done"
    with pytest.raises(TooMuchContention, match=r"^the page$"):
        until_written(answers(*[None] * attempts), "the page", attempts=attempts)


def test_unless_told_otherwise_there_are_twenty_attempts() -> None:
    assert until_written(answers(*[None] * 19, "done"), "it") == "done"
    with pytest.raises(TooMuchContention):
        until_written(answers(*[None] * 20, "done"), "it")
    late = [item("", refused(FASTER)) for _ in range(19)]
    assert change_document(Page, answers(*late, item("x")), longer) == Page("x!")
    with pytest.raises(TooMuchContention, match=r"^Page$"):
        change_document(Page, answers(*[item("", refused(FASTER)) for _ in range(20)], item("x")), longer)


# ----------------------------------------------------------------------------------------------------------- changing


def test_a_change_is_stored_and_answered() -> None:
    stored = item("a")
    kept: list[Item] = []
    assert change_document(Page, lambda: stored, longer, keep=kept.append) == Page("a!")
    assert [from_document(Page, one) for one in stored.saved] == [Page("a!")]
    assert kept == [stored]


def test_whoever_was_faster_is_read_and_changed_too() -> None:
    late, fresh = item("a", refused(FASTER)), item("b")
    kept: list[Item] = []
    assert change_document(Page, answers(late, fresh), longer, keep=kept.append) == Page("b!")
    assert (late.saved, text_of(fresh)) == ([], "b!")
    assert kept == [fresh]


def test_what_changes_nothing_is_not_written_but_known() -> None:
    stored = item("a", refused(FASTER))
    kept: list[Item] = []
    assert change_document(Page, lambda: stored, lambda page: page, keep=kept.append) == Page("a")
    assert (stored.saved, len(stored.saves), kept) == ([], 1, [stored])


def test_a_writer_of_ones_own_gets_the_new_document_and_what_was_before_and_after() -> None:
    seen = []

    def write(one: Item, before: Page, after: Page) -> bool:
        seen.append((text_of(one), before.text, after.text))
        return len(seen) > 1

    assert change_document(Page, answers(item("a"), item("b")), longer, write=write) == Page("b!")
    assert seen == [("a!", "a", "a!"), ("b!", "b", "b!")]


def test_a_change_that_refuses_is_raised_and_nothing_stored() -> None:
    stored = item("a")

    def refuse(page: Page) -> Page:
        raise LookupError(page.text)

    with pytest.raises(LookupError, match="a"):
        change_document(Page, lambda: stored, refuse)
    assert (stored.saved, text_of(stored)) == ([], "a")


def nobody_reads() -> Item:
    raise AssertionError("it was at hand")


def test_what_is_at_hand_is_changed_without_being_read_again() -> None:
    at_hand = item("a")
    kept: list[Item] = []
    assert change_document(Page, nobody_reads, longer, at_hand=at_hand, keep=kept.append) == Page("a!")
    assert (len(at_hand.saved), kept) == (1, [at_hand])


def test_what_was_at_hand_and_is_so_no_longer_is_read() -> None:
    at_hand, fresh = item("old", refused(FASTER)), item("new")
    kept: list[Item] = []
    changed = change_document(Page, answers(fresh), longer, at_hand=at_hand, keep=kept.append, attempts=1)
    assert (changed, kept) == (Page("new!"), [fresh])


def test_a_change_may_be_given_up_sooner() -> None:
    with pytest.raises(TooMuchContention):
        change_document(Page, answers(item("", refused(FASTER)), item("x")), longer, attempts=1)


@pytest.mark.parametrize("old", ["done!", "too long"], ids=["nothing to change", "refuses"])
def test_what_was_at_hand_is_no_reason_to_leave_things_as_they_are(old: str) -> None:
    """Only what is stored now is one: whoever changed it meanwhile may have made the change needed, or possible."""

    def once(page: Page) -> Page:
        if page.text == "too long":
            raise ValueError(page.text)
        return page if page.text.endswith("!") else longer(page)

    at_hand, fresh = item(old), item("new")
    assert change_document(Page, answers(fresh), once, at_hand=at_hand) == Page("new!")
    assert (at_hand.saved, len(fresh.saved)) == ([], 1)
