"""Whether all came out right, told from the servers' state, the history as it was put down, and the API's answers.

Nothing here knows how the service decides; what must hold is taken from docs/consent.md, docs/segments.md and the
design, and small enough to be read at once.
"""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import datetime
from typing import Any

from chalicelib.domain.logs import LogFilter
from tests.soak.addresses import canonical, is_mailable
from tests.soak.segments import matches
from tests.soak.words import Words
from tests.soak.world import World

Document = dict[str, Any]
_TAGGABLE = ("subscribed", "pending", "transactional")
_TYPES = {"FNAME": "text", "LNAME": "text", "COMPANY": "text", "PHONE": "phone", "ADDRESS": "address"}
_WRITES = ("add", "update", "subscribe", "unsubscribe", "ask", "archive", "rename")
# Of the ledger's rules those that stand for a no, whatever became of the member since.
_NO_RULES = {
    *("no-recorded", "no-moved-along", "unsubscribed-there", "complained-there", "unsubscribed-by-admin"),
    *("unsubscribed-meanwhile", "bounced-there", "deleted-there"),
}
_STRANGE = ("erase", "archive", "delete", "bounce", "move", "unsubscribe", "complain", "confirm")


class Oracle:
    def __init__(self, world: World) -> None:
        self._world = world
        self.faults: list[str] = []

    def blame(self, text: str) -> None:
        self.faults.append(text)

    def look(self) -> None:
        """Everything is at rest."""
        self._read()
        self._check_runs()
        self._check_moments()
        self._check_erased()
        for address, customers in sorted(self._customers.items()):
            self._check_no(address, customers)
            self._check_yes(address, customers)
            self._check_told(address, customers)
            self._check_ledger(address, customers)
        self._check_the_others()
        self._check_telling()
        self._check_fields()
        self._check_segments()
        self._check_health()

    def look_at_a_further_sync(self) -> None:
        latest = self._service.runs.list(self._world.id, limit=1, after=None)[0][0]
        if writes := self._world.writes():
            self.blame(f"a further sync wrote: {writes[:5]}")
        if latest.status != "skipped":
            self.blame(f"a further sync ended as {latest.status}: {latest.message}")
        self._check_nothing_waits()

    # ------------------------------------------------------------------------------------------------- reading

    @property
    def _service(self) -> Any:
        return self._world.product.service

    def _read(self) -> None:
        world = self._world
        self._now = world.clock()
        self._runs = list(self._service.runs.list(world.id, limit=100, after=None)[0])[::-1]
        self._words = Words(world.chronicle, self._runs)
        self._members = {canonical(m["email_address"]): m for m in world.members()}
        self._documents = world.pracbill.customers(department_id=world.id)
        self._customers: dict[str, list[Document]] = defaultdict(list)
        for document in self._documents:
            address = canonical(document.get("email") or "")
            if is_mailable(address):
                self._customers[address].append(document)
        self._settings = self._service.settings.get(world.id)
        _, found = world.colleague_calls("GET", "/merge-fields?count=100")
        self._fields = {field["tag"]: field for field in found["merge_fields"]}

    def _status(self, address: str) -> str:
        member = self._members.get(address)
        return member["status"] if member else "absent"

    def _product_events(self, address: str) -> list[Any]:
        events = self._world.chronicle.events
        return [e for e in events if e.who == "product" and e.address == address]

    # ------------------------------------------------------------------------------------------------- consent

    def _check_moments(self) -> None:
        """At no moment was somebody subscribed by us after their no."""
        for event in self._world.chronicle.events:
            if event.who != "product" or event.became != "subscribed" or event.was == "subscribed":
                continue
            if noes := self._words.standing(event.address, event.at):
                self.blame(f"{event.address} was subscribed by us at {event.at:%d %H:%M:%S} after {_told(noes[-1])}")

    def _check_erased(self) -> None:
        """Who was erased while we had them in the audience is never added again."""
        erased: dict[str, datetime] = {}
        ours = set()
        for event in self._world.chronicle.events:
            if event.what == "erase" and event.address in ours:
                erased[event.address] = event.at
            if event.who == "product" and event.became:
                ours.add(event.address)
                if event.address in erased and not event.was:
                    self.blame(f"{event.address} was erased at {erased[event.address]:%d %H:%M:%S} and added again")
            if event.what == "resubscribe":
                erased.pop(event.address, None)

    def _check_no(self, address: str, customers: list[Document]) -> None:
        status = self._status(address)
        if status not in ("subscribed", "pending"):
            return
        said = [c["id"] for c in customers if _word(c) == "unsubscribed"]
        if said:
            self.blame(f"{address} is {status} although PracBill's customers {said} say no")
        elif (noes := self._words.standing(address, self._now)) and not (
            status == "pending" and self._was_asked(address)
        ):
            self.blame(f"{address} is {status} after {_told(noes[-1])}")

    def _was_asked(self, address: str) -> bool:
        return any(e.became == "pending" for e in self._product_events(address))

    def _check_yes(self, address: str, customers: list[Document]) -> None:
        """Who agreed and never said anything else is subscribed; who said nothing is there as the setting says."""
        words = {_word(c) for c in customers}
        if "unsubscribed" in words or self._is_strange(address) or self._lacks_a_required_field(customers):
            return
        if self._may_have_come_with_a_no(address, customers):
            return
        status, audience = self._status(address), self._world.audience_id
        imported = [e for e in self._world.chronicle.events if e.address == address and e.what == "import"]
        noes = self._words.noes(address)
        if words == {"subscribed"}:
            agreed = [_said_at(c) for c in customers]
            is_later = all(at is not None and all(at > no.at for no in noes) for at in agreed) if noes else True
            if is_later and not any(e.became != "subscribed" for e in imported) and status != "subscribed":
                self.blame(f"{address} is {status} although its customers {_ids(customers)} say yes")
        elif not noes and not any(e.audience_id == audience for e in imported):
            wished = self._settings.unknown_consent
            if status == "absent" and wished != "skip":
                self.blame(f"{address} is not there although unknown consent is {wished}")
            if status == "archived" and wished != "skip":
                self.blame(f"{address} stays archived although its customers {_ids(customers)} are back")

    def _may_have_come_with_a_no(self, address: str, customers: list[Document]) -> bool:
        """A customer was elsewhere when a no was said there, and it may have been theirs: then either is right."""
        ids = _ids(customers)
        elsewhere = self._linked(address) - {address}
        return any(no.who != "pracbill" or no.what in ids for other in elsewhere for no in self._words.noes(other))

    def _is_strange(self, address: str) -> bool:
        """Others had a hand in it: what then is right needs more than a few lines."""
        return self._words.is_touched(address, *_STRANGE)

    def _lacks_a_required_field(self, customers: list[Document]) -> bool:
        wanted = _values(_primary(customers))
        return any(field["required"] and not wanted.get(tag) for tag, field in self._fields.items())

    def _check_told(self, address: str, customers: list[Document]) -> None:
        """PracBill knows every no that was said in Mailchimp: one of the customers says it, or all agreed later."""
        if any(_word(customer) == "unsubscribed" for customer in customers):
            return
        for no in self._words.standing(address, self._now):
            late = [c["id"] for c in customers if not self._may_have_agreed_after(c, no.at)]
            if no.who != "pracbill" and late:
                self.blame(f"PracBill was not told of {address}, customers {late}: {_told(no)}")

    @staticmethod
    def _may_have_agreed_after(customer: Document, moment: datetime) -> bool:
        said_at = _said_at(customer)
        return _word(customer) == "subscribed" and (said_at is None or said_at >= moment)

    def _check_telling(self) -> None:
        """PracBill was told of nothing that nobody said."""
        for line in self._world.pracbill.consent_changes(department_id=self._world.id):
            change = line.change
            linked = self._linked(canonical(change.email))
            if change.status == "unsubscribed":
                said = any(no.who != "pracbill" for address in linked for no in self._words.noes(address))
            else:
                said = any(self._words.is_touched(address, "resubscribe", "confirm") for address in linked)
            if not said:
                self.blame(f"PracBill was told {change.status} of {change.email}, which nobody said")

    def _linked(self, address: str) -> set[str]:
        """The addresses that one person may have had: by a change in Mailchimp, or of the customer's record."""
        linked = {address}
        for event in self._world.chronicle.events:
            if event.what == "move" and event.address == address:
                linked |= {e.address for e in self._world.chronicle.events if e.contact_id == event.contact_id}
        for _, records in self._world.chronicle.records:
            for customer_id, record in records.items():
                if record.address == address:
                    linked |= {r[customer_id].address for _, r in self._world.chronicle.records if customer_id in r}
        return linked

    def _check_ledger(self, address: str, customers: list[Document]) -> None:
        """The customer's page shows the member as it is, and the ledger every no and every change of ours."""
        if self._words.is_touched(address, "move", "erase"):
            return  # the contact has become another address's, and its history with it
        view = self._service.customers.explain(self._world.id, customers[0]["id"])
        if view.member_status not in (self._status(address), "forgotten"):
            self.blame(
                f"the page of {customers[0]['id']} shows {view.member_status}, {address} is {self._status(address)}"
            )
        became = [entry.after for entry in view.consent_ledger]
        rules = {entry.rule for entry in view.consent_ledger}
        is_noted = {"unsubscribed", "cleaned", "forgotten"} & set(became) or _NO_RULES & rules
        if self._words.standing(address, self._now) and not is_noted:
            self.blame(f"the ledger of {address} knows of no no: {became}")
        for event in self._product_events(address):
            is_here = event.audience_id == self._world.audience_id and event.was and event.was != event.became
            if is_here and event.became and event.became not in became:
                self.blame(f"the ledger of {address} does not show that we made it {event.became}: {became}")

    def _check_the_others(self) -> None:
        """Addresses without customers: foreign members are left alone, those we added follow the setting."""
        ever = {r.address for _, records in self._world.chronicle.records for r in records.values()}
        for address, member in self._members.items():
            if address in self._customers:
                continue
            events = [e for e in self._world.chronicle.events if e.address == address]
            ours = [e for e in events if e.who == "product"]
            if address not in ever and ours and not self._words.is_moved(address):
                self.blame(f"{address} is foreign and was changed by us: {ours[-1].was} to {ours[-1].became}")
            here = [e for e in events if e.audience_id == self._world.audience_id]
            only_ours = bool(here) and all(e.who == "product" for e in here)
            if (
                only_ours
                and self._settings.on_removed == "archive"
                and member["status"] in ("subscribed", "transactional")
            ):
                self.blame(f"{address} has no customer any more and is still {member['status']}")

    # ------------------------------------------------------------------------------------------------- data

    def _check_fields(self) -> None:
        for tag, type in _TYPES.items():
            if tag not in self._fields:
                self.blame(f"the merge field {tag} is missing")
            elif self._fields[tag]["type"] != type and tag not in str(self._findings()):
                self.blame(f"the merge field {tag} is {self._fields[tag]['type']}, and no finding says so")
        good = [tag for tag, type in _TYPES.items() if tag in self._fields and self._fields[tag]["type"] == type]
        for address, customers in self._customers.items():
            if self._status(address) != "subscribed" or self._words.noes(address) or self._is_strange(address):
                continue
            if self._lacks_a_required_field(customers):
                continue
            wanted, holds = _values(_primary(customers)), self._members[address]["merge_fields"]
            for tag in good:
                if holds.get(tag, "") != wanted[tag]:
                    self.blame(f"{address} holds {tag}={holds.get(tag, '')!r} instead of {wanted[tag]!r}")

    def _check_segments(self) -> None:
        _, found = self._world.colleague_calls("GET", "/segments?type=static&count=100")
        there = {segment["name"] for segment in found["segments"]}
        for segment in self._service.segments.list(self._world.id):
            rules = tuple((rule.field, rule.operator, rule.value) for rule in segment.rules)
            if segment.name not in there:
                self.blame(f"the tag {segment.name} is missing")
                continue
            for address, member in self._members.items():
                if member["status"] not in _TAGGABLE or self._words.is_moved(address):
                    continue
                wanted = any(matches(rules, customer) for customer in self._customers.get(address, ()))
                if wanted != (segment.name in member["tag_names"]):
                    self.blame(f"{address} ({member['status']}) should {'' if wanted else 'not '}carry {segment.name}")

    # ------------------------------------------------------------------------------------------------- runs

    def _check_runs(self) -> None:
        entries = self._service.logs.list(self._world.id, LogFilter(direction="push"), limit=100, after=None)[0]
        for index, run in enumerate(self._runs):
            if run.status in ("running", "awaiting_approval"):
                self.blame(f"run {run.id} is still {run.status}")
                continue
            # A run tells of tags that it had to make again in entries of their own.
            own = [entry for entry in entries if entry.run_id == run.id and entry.message == run.message]
            if len(own) != 1:
                self.blame(f"run {run.id} ({run.status}) has {len(own)} log entries")
                continue
            until = self._runs[index + 1].started_at if index + 1 < len(self._runs) else self._now
            if not any(run.started_at < at < until for at in self._world.tap.lost):
                self._check_entry(own[0], self._changed_between(run.started_at, until))
        if active := self._world.product.active_run_id():
            self.blame(f"run {active} still holds the department")

    def _changed_between(self, start: datetime, end: datetime) -> int:
        events = self._world.chronicle.events
        ours = [e for e in events if (e.who, e.what) == ("product", "in a run")]
        return len({e.contact_id for e in ours if start < e.at < end})

    def _check_entry(self, entry: Any, changed: int) -> None:
        counted = sum(entry.counts.get(name, 0) for name in _WRITES)
        if changed and entry.status == "skipped":
            self.blame(f"log entry {entry.run_id}: Skipped, but {changed} contacts were changed: {entry.message}")
        said = re.search(r"(\d+) of (\d+) changes", entry.message)
        if said and int(said[1]) < changed:
            self.blame(f"log entry {entry.run_id}: {said[0]}, but {changed} contacts were changed")
        elif changed > counted and not counted:
            self.blame(f"log entry {entry.run_id} counts nothing, but {changed} contacts were changed: {entry.message}")

    def _check_nothing_waits(self) -> None:
        for name, waiting in self._world.product.work_lists().items():
            if waiting:
                self.blame(f"{name} after all has come to rest: {waiting[:3]}")

    def _findings(self) -> list[Any]:
        return list(self._service.connections.status(self._world.id).health)

    def _check_health(self) -> None:
        for finding in self._findings():
            if finding.severity == "error" or finding.code in ("last_sync_failed", "consent_untold"):
                self.blame(f"health at rest: {finding.code}: {finding.message}")


def _told(no: Any) -> str:
    return f"the no of {no.at:%d %H:%M:%S} ({no.who} {no.what})"


def _word(customer: Document) -> str | None:
    return (customer.get("marketing_consent") or {}).get("status")


def _said_at(customer: Document) -> datetime | None:
    at = (customer.get("marketing_consent") or {}).get("changed_at")
    return datetime.fromisoformat(at) if at else None


def _ids(customers: list[Document]) -> list[str]:
    return [customer["id"] for customer in customers]


def _primary(customers: list[Document]) -> Document:
    newest_first = sorted(customers, key=lambda c: datetime.fromisoformat(c["updated_at"]), reverse=True)
    return sorted(newest_first, key=lambda c: c.get("inactive") == "1")[0]


def _values(customer: Document) -> dict[str, Any]:
    address = customer.get("address") or {}
    parts = [(address.get(part) or "").strip() for part in ("line1", "line2", "city", "state", "postcode", "country")]
    is_whole = all(parts[index] for index in (0, 2, 3, 4, 5))
    return {
        "FNAME": (customer.get("first_name") or "").strip(),
        "LNAME": (customer.get("last_name") or "").strip(),
        "COMPANY": (customer.get("company_name") or "").strip(),
        "PHONE": (customer.get("phone") or "").strip(),
        "ADDRESS": dict(zip(("addr1", "addr2", "city", "state", "zip", "country"), parts, strict=True))
        if is_whole
        else "",
    }
