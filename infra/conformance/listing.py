"""The list of all customers, and the customers in it."""

from __future__ import annotations

from collections.abc import Iterator

from infra.conformance.evidence import Evidence, read_one
from infra.conformance.probe import Probe
from infra.conformance.reading import Reading, read_page
from infra.conformance.requirements import Finding, judge, not_checked
from infra.conformance.rules import (
    LONGEST_ID,
    Customer,
    id_rank,
    is_usable,
    late_facts,
    time_faults,
    type_faults,
)

_SLOW_SECONDS = 5.0
_NO_CUSTOMERS = "the department has no customers"
_NOT_WHOLE = "a list could not be read to its end"


def check_listing(probe: Probe, evidence: Evidence) -> list[Finding]:
    readings = (evidence.first, evidence.second)
    slow = [
        f"{p.reply.seconds:.1f} s"
        for r in (*readings, evidence.changes)
        for p in r.pages
        if p.reply.seconds > _SLOW_SECONDS
    ]
    return [
        judge("customers-page-shape", [f for r in readings for f in r.shape_faults], otherwise=str(evidence.first)),
        judge("customers-in-order", [f for r in readings for f in _disorder(r)], otherwise=str(evidence.first)),
        judge("customers-once", [f for r in readings for f in _repeats(r)], otherwise=str(evidence.first)),
        judge("customers-limit-kept", [f for r in readings for f in limit_faults(r)], otherwise=str(evidence.second)),
        judge("customers-next-after", [f for r in readings for f in _place_faults(r)], otherwise=str(evidence.second)),
        _check_after_gone(probe, evidence),
        _check_same_twice(probe, evidence),
        judge("pages-in-time", slow, otherwise=f"slowest {_slowest(evidence):.1f} s"),
    ]


def _slowest(evidence: Evidence) -> float:
    return max(page.reply.seconds for page in (*evidence.first.pages, *evidence.changes.pages))


def _disorder(reading: Reading) -> Iterator[str]:
    for page, first, second in reading.neighbours():
        if id_rank(second["id"]) < id_rank(first["id"]):
            yield f"page {page}: {second['id']} comes after {first['id']}"


def _repeats(reading: Reading) -> Iterator[str]:
    seen: set[str] = set()
    for page in reading.pages:
        for customer in page.customers:
            if customer["id"] in seen:
                yield f"page {page.number}: customer {customer['id']} comes again"
            seen.add(customer["id"])


def limit_faults(reading: Reading) -> list[str]:
    return [
        f"page {page.number} holds {len(page.entries)} where {reading.limit} was the limit"
        for page in reading.pages
        if len(page.entries) > reading.limit
    ]


def _place_faults(reading: Reading) -> Iterator[str]:
    for page in reading.pages:
        last = page.entries[-1].get("id") if page.entries and isinstance(page.entries[-1], dict) else None
        if page.following is not None and page.following != last:
            yield f"page {page.number} ends with customer {last} and gives next_after {page.following[:100]}"
    if reading.loop:
        yield reading.loop


def _check_after_gone(probe: Probe, evidence: Evidence) -> Finding:
    name = "customers-after-gone"
    gone = list(_ids_not_there(evidence))[:3]
    if not evidence.second.is_whole:
        return not_checked(name, _NOT_WHOLE)
    if not gone:
        return not_checked(name, "no id is known that could be asked for but is not there")
    faults = [fault for customer_id in gone for fault in _after_faults(probe, evidence, customer_id)]
    return judge(name, faults, otherwise=f"went on after {', '.join(gone)}")


def _ids_not_there(evidence: Evidence) -> Iterator[str]:
    """Ids of removed customers, or numbers between ids that are numbers."""
    known = evidence.first.live.keys() | evidence.second.live.keys() | evidence.moved
    yield from (customer_id for customer_id in evidence.changes.removed if customer_id not in known)
    numbers = sorted(int(i) for i in known if i.isascii() and i.isdigit())
    taken = set(numbers)
    yield from (str(number + 1) for number in numbers[:-1] if number + 1 not in taken)


def _after_faults(probe: Probe, evidence: Evidence, gone: str) -> Iterator[str]:
    page = read_page(probe, limit=1, since=None, place=gone)
    if page.reply.status != 200:
        yield f"after={gone}: the answer is {page.reply}"
        return
    expected = next((i for i in evidence.ordered_ids if id_rank(i) > id_rank(gone)), None)
    found = page.customers[0]["id"] if page.customers else None
    if found != expected and not {found, expected} & evidence.moved:
        yield f"after={gone} goes on with {found}, not with {expected}"


def _check_same_twice(probe: Probe, evidence: Evidence) -> Finding:
    name = "customers-same-twice"
    if not (evidence.first.is_whole and evidence.second.is_whole):
        return not_checked(name, _NOT_WHOLE)
    in_one = (evidence.first.live.keys() ^ evidence.second.live.keys()) - evidence.moved
    faults = [
        f"customer {i} was in one reading only and is there now"
        for i in sorted(in_one, key=id_rank)
        if i in evidence.second.live or read_one(probe, evidence.ordered_ids, i) is not None
    ]
    return judge(name, faults, otherwise=f"limits of {evidence.first.limit} and {evidence.second.limit} agree")


def check_customers(evidence: Evidence) -> list[Finding]:
    readings = (evidence.first, evidence.changes)
    entries = [(page.number, entry) for r in readings for page in r.pages for entry in page.entries]
    unusable = [f"page {number}: {_unusable(entry)}" for number, entry in entries if not is_usable(entry)]
    customers = list(evidence.first.customers)
    seen = f"{len(customers):,} customers"
    # Of the changes only what the first list does not show already: removed customers' times.
    times = [f for c in (*customers, *evidence.changes.removed.values()) for f in time_faults(c)]
    types = [f for c in customers for f in type_faults(c)]
    moves = [*(f for c in customers for f in late_facts(c)), *_silent_changes(evidence)]
    if not entries:
        names = ("id-and-updated-at", "field-types", "times-have-zone", "updated-at-moves")
        return [not_checked(name, _NO_CUSTOMERS) for name in names]
    return [
        judge("id-and-updated-at", unusable, otherwise=seen),
        judge("field-types", types, otherwise=seen),
        judge("times-have-zone", times, otherwise=seen),
        judge("updated-at-moves", moves, otherwise=f"{seen}, read twice"),
    ]


def _unusable(entry: object) -> str:
    if not isinstance(entry, dict):
        return f"an entry is {type(entry).__name__}"
    if not isinstance(entry.get("id"), str) or not 1 <= len(entry["id"]) <= LONGEST_ID:
        return f"an id is {type(entry.get('id')).__name__}, not text of 1 to {LONGEST_ID} characters"
    return f"customer {entry['id']} has no updated_at"


def _silent_changes(evidence: Evidence) -> Iterator[str]:
    """Customers that read differently the second time although updated_at is the same."""
    earlier = evidence.first.live
    for customer_id, later in evidence.second.live.items():
        before = earlier.get(customer_id)
        if before is not None and before != later and before["updated_at"] == later["updated_at"]:
            yield f"customer {customer_id} changed in {_differing(before, later)} and updated_at stayed"


def _differing(before: Customer, after: Customer) -> str:
    return ", ".join(sorted(n for n in before.keys() | after.keys() if before.get(n) != after.get(n))[:5])
