"""Who said no, when, and whether it still stands: a small reading of docs/consent.md, for judging, not for deciding.

Where the table leaves room, or a case needs more than these few lines, the answer is "not known for certain" and nobody
is judged by it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.soak.chronicle import Chronicle, Record

_GOOD_ENDS = ("success", "skipped")
_NOES = {
    ("person", "unsubscribe"),
    ("person", "complain"),
    ("colleague", "unsubscribe"),
    ("colleague", "delete"),
    ("machine", "bounce"),
}


@dataclass(frozen=True, slots=True)
class No:
    """`at` is when it was said, `since` when it could be seen; `audience_id` is empty for PracBill's own."""

    at: datetime
    since: datetime
    who: str  # person, colleague, machine, pracbill
    what: str
    audience_id: str = ""


class Words:
    """`runs` are the runs as the service shows them."""

    def __init__(self, chronicle: Chronicle, runs: Iterable[Any]) -> None:
        self._chronicle = chronicle
        self._runs = sorted(runs, key=lambda run: run.started_at)

    # ----------------------------------------------------------------------------------------------- what was said

    def noes(self, address: str) -> list[No]:
        found = [
            No(e.at, e.at, e.who, e.what, e.audience_id)
            for e in self._chronicle.events
            if e.address == address
            and ((e.who, e.what) in _NOES or (e.what == "import" and e.became == "unsubscribed"))
        ]
        found += {
            No(record.changed_at or record.since, record.since, "pracbill", record.customer_id)
            for _, records in self._chronicle.records
            for record in records.values()
            if record.address == address and record.status == "unsubscribed" and not record.is_told
        }
        return sorted(found, key=lambda no: no.since)

    def person_yes_after(self, address: str, moment: datetime) -> bool:
        return any(
            e.address == address and e.who == "person" and e.what in ("resubscribe", "confirm") and e.at > moment
            for e in self._chronicle.events
        )

    def is_moved(self, address: str) -> bool:
        """Whether somebody changed to or from the address in Mailchimp: who is who then needs more than this."""
        return any(e.address == address and e.what == "move" for e in self._chronicle.events)

    def is_touched(self, address: str, *whats: str) -> bool:
        return any(e.address == address and e.what in whats for e in self._chronicle.events)

    # ----------------------------------------------------------------------------------------------- what stands

    def standing(self, address: str, moment: datetime) -> list[No]:
        """The noes that certainly stand at the moment, and that the service must know of."""
        return [
            no
            for no in self.noes(address)
            if no.since < moment
            and not self._may_have_ended(no, address, moment)
            and self._is_known(no, address, moment)
        ]

    def _may_have_ended(self, no: No, address: str, moment: datetime) -> bool:
        if self.person_yes_after(address, no.at) or self.is_moved(address):
            return True
        return no.who == "pracbill" and any(
            no.since <= at <= moment and self._all_agreed_after(no.at, _at(records, address))
            for at, records in self._chronicle.records
        )

    @staticmethod
    def _all_agreed_after(moment: datetime, records: list[Record]) -> bool:
        return bool(records) and all(
            r.status == "subscribed" and r.changed_at is not None and r.changed_at > moment for r in records
        )

    def _is_known(self, no: No, address: str, moment: datetime) -> bool:
        """A run began after it was said and came to a good end, or one is under way that must have read it."""
        for run in self._runs:
            if run.dry_run or not no.since < run.started_at < moment:
                continue
            ended_well = run.status in _GOOD_ENDS and run.finished_at is not None and run.finished_at < moment
            if no.who == "pracbill":
                if not self._is_said_from(no, address, run.started_at, run.finished_at if ended_well else moment):
                    continue
                if ended_well or run.type != "segments":
                    return True
            elif ended_well and run.type != "segments" and self._selected_at(run.started_at) == no.audience_id:
                return True
        return False

    def _is_said_from(self, no: No, address: str, start: datetime, end: datetime) -> bool:
        """Whether PracBill's customer says it at the address all the time from `start` to `end`."""
        shown = [self._chronicle.customers_at(start)]
        shown += [records for at, records in self._chronicle.records if start < at <= end]
        return all(
            (r := records.get(no.what)) is not None and r.address == address and r.status == "unsubscribed"
            for records in shown
        )

    def _selected_at(self, moment: datetime) -> str:
        return self._chronicle.audience_at(moment)


def _at(records: dict[str, Record], address: str) -> list[Record]:
    return [record for record in records.values() if record.address == address]
