"""The messages of what an account's lanes carry out for a run: chunks of its plan, shares of its tags."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.store.queue import Step, lane_group

if TYPE_CHECKING:
    from chalicelib.domain.departments import Department
    from chalicelib.domain.runs import Run


def lane_messages(run: Run, department: Department, *, nudge: int = 0) -> list[tuple[Step, str]]:
    """All that the run may wait for, with the group of each. Whatever is done already is left alone by its message."""
    if department.connection is None:
        return []
    if run.phase == "apply":
        lanes = [(number, number) for number in range(run.chunks_total)]
    else:
        lanes = [(share.number, share.lane) for share in run.tag_shares]
    account = department.connection.account_id
    return [
        (Step("chunk", run.department_id, run.id, number, nudge), lane_group(account, lane)) for number, lane in lanes
    ]
