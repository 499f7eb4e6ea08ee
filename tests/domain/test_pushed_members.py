"""What is taken for an echo of our own push, and what never is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.consent.members import Status
from chalicelib.domain.pushed_members import PushedMembers, pushed_print

AT = datetime(2026, 3, 2, 10, 0, 1, tzinfo=UTC)
KEY = "ab" * 16


def pushed() -> bytes:
    return pushed_print(KEY, "contact", "subscribed", AT)


def test_a_member_just_as_it_was_pushed_is_known() -> None:
    assert len(pushed()) == 8  # as many bytes are stored of each
    assert pushed() in PushedMembers([pushed()])


@pytest.mark.parametrize(
    ("address_key", "contact_id", "status", "changed_at"),
    [
        ("cd" * 16, "contact", "subscribed", AT),
        (KEY, "another contact", "subscribed", AT),
        (KEY, "contact", "transactional", AT),
        (KEY, "contact", "subscribed", AT + timedelta(seconds=1)),
        (KEY, "contact", "unsubscribed", AT),
        (KEY, "", "subscribed", AT),
        (KEY, "contact", "subscribed", None),
    ],
)
def test_a_member_that_differs_in_anything_is_not(
    address_key: str, contact_id: str, status: Status, changed_at: datetime | None
) -> None:
    assert pushed_print(address_key, contact_id, status, changed_at) not in PushedMembers([pushed()])


@pytest.mark.parametrize(("contact_id", "changed_at"), [("", AT), ("contact", None), ("", None)])
def test_a_member_of_which_not_enough_is_known_is_never_remembered(
    contact_id: str, changed_at: datetime | None
) -> None:
    assert pushed_print(KEY, contact_id, "subscribed", changed_at) == b""


@pytest.mark.parametrize("status", sorted({*get_args(Status)} - {"subscribed", "transactional"}))
def test_a_status_that_may_be_somebodys_no_is_never_remembered(status: Status) -> None:
    """Not even when the push itself brought it about."""
    said = pushed_print(KEY, "contact", status, AT)
    assert said == b""
    assert said not in PushedMembers([said, pushed()])


@given(st.sets(st.binary(min_size=8, max_size=8), max_size=50), st.binary(min_size=8, max_size=8))
def test_it_is_a_set(known: set[bytes], other: bytes) -> None:
    members = PushedMembers([b"".join(sorted(known)[:20]), *sorted(known)[20:]])
    assert all(one in members for one in known)
    assert (other in members) == (other in known)
    assert len(members) == len(known)
