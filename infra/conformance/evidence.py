"""What the lists show: read once, looked at by every check.

A live department changes while it is read. Customers that the server itself reports as changed since the start are
therefore left out of comparisons between one reading and another.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

from infra.conformance.probe import Probe
from infra.conformance.reading import LARGEST_PAGE, LONG_AGO, Reading, read_list, read_page
from infra.conformance.rules import Customer, id_rank, read_time


@dataclass(frozen=True)
class Evidence:
    """All customers read twice (`first`, `second`), in between the changes since ever, all with different limits.

    `moved` are the ids of customers that changed meanwhile, by the server's own account.
    """

    first: Reading
    changes: Reading
    second: Reading
    moved: frozenset[str]

    @cached_property
    def settled(self) -> dict[str, Customer]:
        """Customers that both readings have and that did not move, as the second has them."""
        both = self.first.live.keys() & self.second.live.keys()
        return {i: c for i, c in self.second.live.items() if i in both and i not in self.moved}

    @cached_property
    def ordered_ids(self) -> list[str]:
        return sorted(self.second.live, key=id_rank)


def gather(probe: Probe) -> Evidence:
    start = server_time(probe)
    first = read_list(probe, limit=LARGEST_PAGE)
    size = len(first.customers)
    # Small enough for several pages, so that what goes wrong between pages is seen in small departments too.
    changes = read_list(probe, limit=_between(size // 3, LARGEST_PAGE - 70), since=LONG_AGO)
    second = read_list(probe, limit=_between(size // 4, LARGEST_PAGE - 170))
    latest = read_list(probe, limit=LARGEST_PAGE, since=start)
    return Evidence(first, changes, second, frozenset(c["id"] for c in latest.customers))


def server_time(probe: Probe) -> str:
    """Now, as the server counts it in `as_of`; failing that, some minutes ago by the clock in its head, or ours."""
    page = read_page(probe, limit=1, since=LONG_AGO)
    as_of, latest = read_time(page.as_of), page.reply.latest_now
    if page.as_of is not None and as_of is not None and as_of <= latest:
        return page.as_of
    return (latest - timedelta(minutes=10)).isoformat(timespec="seconds").replace("+00:00", "Z")


def read_one(probe: Probe, ordered_ids: list[str], customer_id: str) -> Customer | None:
    """One customer as the list of all has it now: the first after its predecessor. None when it is not there."""
    lower = [other for other in ordered_ids if id_rank(other) < id_rank(customer_id)]
    page = read_page(probe, limit=1, since=None, place=lower[-1] if lower else "")
    return next((customer for customer in page.customers if customer["id"] == customer_id), None)


def _between(size: int, most: int) -> int:
    return max(1, min(most, size))
