"""The brake: when a plan would do so much that somebody should look at it first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from chalicelib.domain.departments import BrakeLimits
    from chalicelib.domain.runs import Run


@dataclass(frozen=True, slots=True)
class BrakeReason:
    """Why a plan must be approved before it is applied."""

    code: Literal["share", "removals", "additions", "segments"]
    message: str
    params: dict[str, str | int]


def planned_removals(run: Run) -> int:
    return run.planned_counts.get("unsubscribe", 0) + run.planned_counts.get("archive", 0)


def planned_additions(run: Run) -> int:
    """People whom campaigns, or Mailchimp's request to confirm, would newly reach."""
    return sum(run.planned_counts.get(action, 0) for action in ("add", "subscribe", "ask"))


def brake_reason(
    run: Run, audience_size: int, member_count: int, limits: BrakeLimits, *, leaving_segments: int = 0
) -> BrakeReason | None:
    """Why a plan must be approved before it is applied; None when it need not.

    `member_count` are the members who are customers of the department, `audience_size` are all of the audience.
    `leaving_segments` are members who would stay in the audience and lose the tags of all segments. Removals brake
    every run, additions only what nobody is watching: scheduled runs.
    """
    if run.approved_by:
        return None
    removals, most_removals = planned_removals(run), _most(limits.removals, limits.removals_percent, audience_size)
    if _is_over_a_third(leaving_segments, member_count) or leaving_segments > most_removals:
        return _of_segments(leaving_segments, member_count)
    if _is_over_a_third(removals, member_count):
        return _of_share(removals, member_count)
    if removals > most_removals:
        return BrakeReason(
            "removals",
            f"The plan would unsubscribe or archive {removals} of {audience_size} members, more than the limit of "
            f"{most_removals}. Look at the records, then approve or cancel the run.",
            {"planned": removals, "audience": audience_size, "limit": most_removals},
        )
    additions, most_additions = planned_additions(run), _most(limits.additions, limits.additions_percent, audience_size)
    if run.trigger == "schedule" and additions > most_additions:
        return BrakeReason(
            "additions",
            f"The scheduled run would add or subscribe {additions} members to {audience_size}, more than the limit of "
            f"{most_additions}. Look at the records, then approve or cancel the run.",
            {"planned": additions, "audience": audience_size, "limit": most_additions},
        )
    return None


def _most(count: int, percent: int, audience_size: int) -> int:
    return max(count, audience_size * percent // 100)


def _is_over_a_third(count: int, member_count: int) -> bool:
    return 3 * count > member_count


def _of_segments(leaving: int, member_count: int) -> BrakeReason:
    members = max(member_count, leaving)
    return BrakeReason(
        "segments",
        f"PracBill no longer lists the customers of {leaving} of the department's {members} members. They would stay "
        "in the audience and lose the tags of all segments. Check that PracBill sends all customers, then approve or "
        "cancel the run.",
        {"planned": leaving, "members": members},
    )


def _of_share(removals: int, member_count: int) -> BrakeReason:
    share, members = "all" if removals >= member_count else "more than a third", max(member_count, removals)
    return BrakeReason(
        "share",
        f"The plan would unsubscribe or archive {removals} of the department's {members} members, {share} of them. "
        "Check that PracBill sends all customers, look at the records, then approve or cancel the run.",
        {"planned": removals, "members": members},
    )
