"""The list of changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime

from infra.conformance.evidence import Evidence, read_one
from infra.conformance.listing import limit_faults
from infra.conformance.probe import Probe
from infra.conformance.reading import LARGEST_PAGE, LONG_AGO, Page, Reading, read_list, read_page
from infra.conformance.requirements import Finding, judge, not_checked
from infra.conformance.rules import change_rank, id_rank, read_time

_NOT_WHOLE = "a list could not be read to its end"


def check_changes(probe: Probe, evidence: Evidence, *, removed: Sequence[str]) -> list[Finding]:
    changes = evidence.changes
    seen = str(changes)
    as_of_faults = [f"page {p.number}: as_of has no zone" for p in changes.pages if p.as_of and not read_time(p.as_of)]
    return [
        judge("changes-page-shape", changes.shape_faults + as_of_faults, otherwise=seen),
        judge("changes-in-order", list(_disorder(changes)), otherwise=seen),
        judge("changes-once", list(_repeats(changes)), otherwise=seen),
        judge("changes-limit-kept", limit_faults(changes), otherwise=seen),
        judge("changes-cursor-moves", [changes.loop] if changes.loop else [], otherwise=seen),
        _check_repeatable(probe, changes),
        *_check_since(probe, evidence),
        _check_ties(probe, evidence),
        _check_same_content(evidence),
        judge("as-of-not-ahead", [f for page in changes.pages for f in _ahead(page)], otherwise=seen),
        _check_removed_reported(probe, evidence, removed),
        _check_removed_not_listed(evidence, removed),
    ]


def _disorder(reading: Reading) -> Iterator[str]:
    for page, first, second in reading.neighbours():
        earlier, later = change_rank(first), change_rank(second)
        if earlier and later and later < earlier:
            places = f"{second['updated_at']} ({second['id']}) comes after {first['updated_at']} ({first['id']})"
            yield f"page {page}: {places}"


def _repeats(reading: Reading) -> Iterator[str]:
    counts = Counter((customer["id"], customer["updated_at"]) for customer in reading.customers)
    yield from (f"customer {i} of {moment} comes {count} times" for (i, moment), count in counts.items() if count > 1)


def _check_repeatable(probe: Probe, changes: Reading) -> Finding:
    name = "changes-page-repeatable"
    cursor = changes.pages[0].following
    if cursor is None:
        return not_checked(name, "the changes fit on one page")
    # On a busy server a page may truly change; three times in a row it does not.
    for _ in range(3):
        pages = [read_page(probe, limit=changes.limit, since=LONG_AGO, place=cursor) for _ in range(2)]
        if pages[0].customers == pages[1].customers and pages[0].reply.status == 200:
            return judge(name, [], otherwise=f"{len(pages[0].customers)} customers both times")
    statuses = " and ".join(str(page.reply) for page in pages)
    return judge(name, [f"the second page differed each time it was asked for ({statuses})"], otherwise="")


def _check_since(probe: Probe, evidence: Evidence) -> list[Finding]:
    """Changes since the middle of the times that there are, against those since ever and all customers."""
    names = ("changes-since-kept", "changes-since-inclusive", "changes-complete")
    ranked = [(rank[0], customer) for customer in evidence.changes.customers if (rank := change_rank(customer))]
    if not ranked:
        missing = _missing(evidence)
        return [
            *(not_checked(name, "there are no changes") for name in names[:2]),
            judge(names[2], missing, otherwise="no customers, no changes"),
        ]
    since, sample = ranked[len(ranked) // 2]
    reading = read_list(probe, limit=LARGEST_PAGE, since=sample["updated_at"])
    older = [c for c in reading.customers if (rank := change_rank(c)) and rank[0] < since]
    if not (reading.is_whole and evidence.changes.is_whole):
        return [
            judge(names[0], [f"customer {c['id']} is of {c['updated_at']}" for c in older], otherwise=str(reading)),
            *(not_checked(name, _NOT_WHOLE) for name in names[1:]),
        ]
    found = {customer["id"] for customer in reading.customers} | evidence.moved
    lost = [(moment, c["id"]) for moment, c in ranked if moment >= since and c["id"] not in found]
    at_since = [f"customer {i} is not among the changes since its own time" for moment, i in lost if moment == since]
    after = [f"customer {i} is not among the changes since {sample['updated_at']}" for m, i in lost if m > since]
    return [
        judge(names[0], [f"customer {c['id']} is of {c['updated_at']}" for c in older], otherwise=str(reading)),
        judge(names[1], at_since, otherwise=f"since {sample['updated_at']}"),
        judge(
            names[2],
            _missing(evidence) + after,
            otherwise=f"{evidence.changes}; since {sample['updated_at']}, {reading}",
        ),
    ]


def _missing(evidence: Evidence) -> list[str]:
    listed = {customer["id"] for customer in evidence.changes.customers}
    missing = sorted(evidence.settled.keys() - listed, key=id_rank)
    return [f"customer {i} is among all customers, not among the changes" for i in missing]


def _check_ties(probe: Probe, evidence: Evidence) -> Finding:
    name = "changes-ties-kept"
    groups: dict[datetime, list[str]] = {}
    for customer in evidence.changes.customers:
        if (rank := change_rank(customer)) and customer["id"] not in evidence.moved:
            groups.setdefault(rank[0], []).append(customer["id"])
    tied = [ids for ids in groups.values() if len(set(ids)) > 1]
    if not tied:
        return not_checked(name, "no two customers have the same updated_at")
    moment = next(c["updated_at"] for c in evidence.changes.customers if c["id"] == tied[0][0])
    expected = sorted(set(tied[0]), key=id_rank)[:5]
    reading = read_list(probe, limit=1, since=moment, most_pages=len(expected))
    found = [c["id"] for c in reading.customers]
    faults = [f"customer {i}, of {moment}, got lost between pages of one" for i in expected if i not in found]
    return judge(name, faults, otherwise=f"{len(expected)} customers of {moment}, one a page")


def _check_same_content(evidence: Evidence) -> Finding:
    name = "changes-same-content"
    first, changed = evidence.first.live, evidence.changes.live
    # One that differs from the first reading alone was edited in between; see updated-at-moves.
    differing = [i for i, c in evidence.settled.items() if i in changed and changed[i] != c and changed[i] != first[i]]
    names = {
        i: sorted(n for n in changed[i].keys() | first[i].keys() if changed[i].get(n) != first[i].get(n))
        for i in differing
    }
    faults = [f"customer {i} differs in {', '.join(fields[:5])}" for i, fields in names.items()]
    return judge(name, faults, otherwise=f"{len(evidence.settled.keys() & changed.keys()):,} customers compared")


def _ahead(page: Page) -> Iterator[str]:
    as_of = read_time(page.as_of)
    if as_of is None:
        return
    latest = page.reply.latest_now
    if as_of > latest:
        yield f"page {page.number} says as_of {page.as_of}, but it was {latest.isoformat(timespec='seconds')} at most"


def _check_removed_reported(probe: Probe, evidence: Evidence, removed: Sequence[str]) -> Finding:
    name = "removed-reported"
    reported = evidence.changes.removed
    faults = _odd_marks(evidence.changes)
    if evidence.changes.is_whole:
        faults += [f"customer {i} was removed and is not reported" for i in removed if i not in reported]
    if evidence.first.is_whole and evidence.second.is_whole:
        gone = evidence.changes.live.keys() | evidence.first.live.keys()
        gone -= evidence.second.live.keys() | reported.keys() | evidence.moved
        faults += [
            f"customer {i} is not among all customers any more and is not reported as removed"
            for i in sorted(gone, key=id_rank)
            if read_one(probe, evidence.ordered_ids, i) is None
        ]
    if not faults and not reported:
        return not_checked(name, "no removed customer was seen: remove a test customer and name it with --removed")
    return judge(name, faults, otherwise=f"{len(reported)} removed customers reported")


def _odd_marks(changes: Reading) -> list[str]:
    marks = [(c["id"], c["deleted"]) for c in changes.customers if "deleted" in c]
    return [
        f"deleted of customer {i} is {type(mark).__name__}, not true" for i, mark in marks if mark not in (True, False)
    ]


def _check_removed_not_listed(evidence: Evidence, removed: Sequence[str]) -> Finding:
    name = "removed-not-listed"
    gone = evidence.changes.removed.keys() | set(removed)
    if not gone:
        return not_checked(name, "no removed customer is known")
    listed = sorted((gone & evidence.second.live.keys()) - evidence.moved, key=id_rank)
    marked = [c["id"] for c in evidence.second.removed.values()]
    faults = [f"customer {i} is removed and still among all customers" for i in [*listed, *marked]]
    return judge(name, faults, otherwise=f"{len(gone)} removed customers looked for")
