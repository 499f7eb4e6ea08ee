"""How the official client does the same work, against the same Mailchimp with the same latency.

Each way works on a sample; the time for all members follows from its rate, and the table says so.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import mailchimp_marketing

from infra.bench.stackrun import BenchStack

THREADS = 10  # Mailchimp's ten connections, all of them
MEMBERS_A_CALL = 500


@dataclass(frozen=True, slots=True)
class Rival:
    """What a sample showed: `members` in `seconds`, `lost` of them not taken."""

    members: int
    seconds: float
    lost: int

    @property
    def rate(self) -> float:
        return self.members / self.seconds


def put_each(stack: BenchStack, members: int) -> Rival:
    """One PUT a member, from ten threads."""
    lists, audience_id = _official(stack), _audience(stack, "Single calls")

    def put(member: Mapping[str, Any]) -> int:
        name = hashlib.md5(str(member["email_address"]).lower().encode(), usedforsecurity=False).hexdigest()
        lists.set_list_member(audience_id, name, {**member, "status_if_new": "subscribed"})
        return 1

    def work(sample: Sequence[Mapping[str, Any]]) -> int:
        with ThreadPoolExecutor(THREADS) as pool:
            return sum(pool.map(put, sample))

    return _timed(work, _members(stack, members))


def bulk_in_sequence(stack: BenchStack, calls: int) -> Rival:
    """The bulk call with 500 members, one call after the other."""
    lists, audience_id = _official(stack), _audience(stack, "Bulk calls")

    def work(sample: Sequence[Mapping[str, Any]]) -> int:
        taken = 0
        for start in range(0, len(sample), MEMBERS_A_CALL):
            part = [{**member, "status": "subscribed"} for member in sample[start : start + MEMBERS_A_CALL]]
            answer = lists.batch_list_members(audience_id, {"members": part, "update_existing": True})
            taken += answer["total_created"] + answer["total_updated"]
        return taken

    return _timed(work, _members(stack, calls * MEMBERS_A_CALL))


def _timed(work: Callable[[Sequence[Mapping[str, Any]]], int], sample: Sequence[Mapping[str, Any]]) -> Rival:
    began = time.monotonic()
    taken = work(sample)
    return Rival(len(sample), time.monotonic() - began, len(sample) - taken)


def _official(stack: BenchStack) -> Any:
    client = mailchimp_marketing.Client({"api_key": stack.mailchimp["api_key"]})
    client.api_client.host = stack.mailchimp["url"]
    return client.lists


def _audience(stack: BenchStack, name: str) -> str:
    audience_id: str = stack.control_mailchimp("create_audience", name=name)["audience_id"]
    return audience_id


def _members(stack: BenchStack, count: int) -> list[dict[str, Any]]:
    return [
        {
            "email_address": customer["email"],
            "merge_fields": {"FNAME": customer["first_name"], "LNAME": customer["last_name"]},
        }
        for customer in stack.ordinary_customers(count)
    ]
