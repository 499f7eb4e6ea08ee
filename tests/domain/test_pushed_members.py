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
PUSHED = pushed_print("ab" * 16, "contact", "subscribed", AT)


def test_a_member_just_as_it_was_pushed_is_known() -> None:
    assert PUSHED in PushedMembers([PUSHED])


@pytest.mark.parametrize(
    "listed",
    [
        pushed_print("cd" * 16, "contact", "subscribed", AT),
        pushed_print("ab" * 16, "another contact", "subscribed", AT),
        pushed_print("ab" * 16, "contact", "transactional", AT),
        pushed_print("ab" * 16, "contact", "subscribed", AT + timedelta(seconds=1)),
        pushed_print("ab" * 16, "contact", "unsubscribed", AT),
        pushed_print("ab" * 16, "", "subscribed", AT),
        pushed_print("ab" * 16, "contact", "subscribed", None),
    ],
)
def test_a_member_that_differs_in_anything_is_not(listed: bytes) -> None:
    assert listed not in PushedMembers([PUSHED])


@pytest.mark.parametrize("status", sorted({*get_args(Status)} - {"subscribed", "transactional"}))
def test_a_status_that_may_be_somebodys_no_is_never_remembered(status: Status) -> None:
    """Not even when the push itself brought it about."""
    said = pushed_print("ab" * 16, "contact", status, AT)
    assert said == b""
    assert said not in PushedMembers([said, PUSHED])


@given(st.sets(st.binary(min_size=8, max_size=8), max_size=50), st.binary(min_size=8, max_size=8))
def test_it_is_a_set(known: set[bytes], other: bytes) -> None:
    members = PushedMembers([b"".join(sorted(known)[:20]), *sorted(known)[20:]])
    assert all(one in members for one in known)
    assert (other in members) == (other in known)
    assert len(members) == len(known)
