"""Writing consent. Without a test address nothing is written that is not so already."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from infra.conformance.access import WRONG_TOKEN
from infra.conformance.evidence import Evidence, read_one, server_time
from infra.conformance.probe import Probe, Reply
from infra.conformance.reading import LARGEST_PAGE, read_list
from infra.conformance.requirements import Finding, judge, not_checked
from infra.conformance.rules import Customer, address_key, consent_of, read_time

NAMES = (
    *("consent-token-required", "consent-answer-shape", "consent-unknown-listed", "consent-repeat-changes-nothing"),
    *("consent-bad-change-refused", "consent-over-limit-refused"),
)
TEST_NAMES = ("consent-changes-customers", "consent-moves-updated-at", "consent-old-news-ignored")
_REPEATED = 5
_MOST_CHANGES = 500


@dataclass(frozen=True, slots=True)
class Sharers:
    """The customers of one address, and the consent that they all have."""

    email: str
    ids: tuple[str, ...]
    status: str
    changed_at: str


def check_writing(probe: Probe, evidence: Evidence) -> list[Finding]:
    """Writes consents that are so already, and changes for addresses that nobody can have."""
    nobody = "nobody.7b1f@pracbill-conformance.invalid"
    sharers = list(_agreeing(evidence))[:_REPEATED]
    before = {i: evidence.second.live[i] for s in sharers for i in s.ids}
    repeat = probe.write_consent([_change(nobody), *(_change(s.email, s.status, s.changed_at) for s in sharers)])
    stranger = {name: probe.write_consent([], token=token) for name, token in _STRANGERS.items()}
    bad = {
        "status maybe": probe.write_consent([_change(nobody, "maybe")]),
        "a time without a zone": probe.write_consent([_change(nobody, occurred_at="2026-03-04T05:06:07")]),
    }
    many = probe.write_consent([_change(f"{n}.{nobody}") for n in range(_MOST_CHANGES + 1)])
    return [
        judge("consent-token-required", _not(401, stranger), otherwise="401 without a token and with a wrong one"),
        judge("consent-answer-shape", list(_shape_faults(repeat)), otherwise="as described"),
        judge("consent-unknown-listed", list(_unknown_faults(repeat, nobody, sharers)), otherwise="the one nobody has"),
        _check_repeat(probe, evidence, before),
        judge("consent-bad-change-refused", _not(400, bad), otherwise=f"400 for {' and '.join(bad)}"),
        judge("consent-over-limit-refused", _not(400, {"501 changes": many}), otherwise="400 for 501 changes"),
    ]


_STRANGERS = {"without a token": None, "with a wrong token": WRONG_TOKEN}


def _not(status: int, replies: dict[str, Reply]) -> list[str]:
    return [f"{what}: {reply}, not {status}" for what, reply in replies.items() if reply.status != status]


def _agreeing(evidence: Evidence) -> Iterator[Sharers]:
    """Addresses whose customers all have the same explicit consent; opt-outs first, whose repeat hurts nobody."""
    groups: dict[str, list[Customer]] = defaultdict(list)
    for customer in evidence.second.live.values():
        groups[address_key(customer)].append(customer)
    found = []
    for key, customers in groups.items():
        status, changed_at = consent_of(customers[0])
        agree = all(consent_of(customer) == (status, changed_at) for customer in customers)
        settled = all(customer["id"] in evidence.settled for customer in customers)
        if agree and settled and "@" in key and status and changed_at:
            ids = tuple(customer["id"] for customer in customers)
            told_at = customers[0]["marketing_consent"]["changed_at"]
            found.append(Sharers(customers[0]["email"], ids, status, told_at))
    return iter(sorted(found, key=lambda sharers: sharers.status != "unsubscribed"))


def _change(email: str, status: str = "unsubscribed", occurred_at: str = "2020-01-01T00:00:00Z") -> dict[str, str]:
    return {
        "email": email,
        "status": status,
        "occurred_at": occurred_at,
        "source": "pracbill-conformance",
        "reason": "conformance check",
    }


def _shape_faults(reply: Reply) -> Iterator[str]:
    value: Any = reply.value
    if reply.status != 200 or not isinstance(value, dict):
        yield f"the answer is {reply}, JSON object: {isinstance(value, dict)}"
        return
    if not isinstance(value.get("applied"), int) or isinstance(value.get("applied"), bool):
        yield f"applied is {type(value.get('applied')).__name__}, not a number"
    unknown = value.get("unknown")
    if not isinstance(unknown, list) or not all(isinstance(email, str) for email in unknown):
        yield "unknown is not a list of texts"


def _unknown_faults(reply: Reply, nobody: str, sharers: Sequence[Sharers]) -> Iterator[str]:
    unknown = reply.value.get("unknown") if isinstance(reply.value, dict) else None
    listed = (
        {email.strip().lower() for email in unknown or () if isinstance(email, str)}
        if isinstance(unknown, list)
        else set()
    )
    if nobody not in listed:
        yield "an address that nobody has is not in unknown"
    yield from (
        f"the address of customer {s.ids[0]} is in unknown" for s in sharers if s.email.strip().lower() in listed
    )


def _check_repeat(probe: Probe, evidence: Evidence, before: dict[str, Customer]) -> Finding:
    name = "consent-repeat-changes-nothing"
    if not before:
        return not_checked(name, "no customer with an address has a consent with a time")
    after = {customer_id: read_one(probe, evidence.ordered_ids, customer_id) for customer_id in before}
    faults = [
        f"customer {i} changed in {_differing(customer, after[i])} by a consent that was so already"
        for i, customer in before.items()
        if customer != after[i]
    ]
    return judge(name, faults, otherwise=f"{len(before)} customers read the same afterwards")


def _differing(before: Customer, after: Customer | None) -> str:
    if after is None:
        return "everything (it is gone)"
    return ", ".join(sorted(n for n in before.keys() | after.keys() if before.get(n) != after.get(n))[:5])


def check_test_address(probe: Probe, evidence: Evidence, address: str) -> list[Finding]:
    """Turns the consent of the customers with that address round, tries to undo it with old news, and puts it back."""
    ids = [i for i, customer in evidence.second.live.items() if address_key(customer) == address.strip().lower()]
    if not ids:
        return [not_checked(name, "no customer has the test address") for name in TEST_NAMES]
    trial = _Trial(probe, evidence, address, tuple(ids))
    status, _ = consent_of(evidence.second.live[ids[0]])
    wanted = "subscribed" if status == "unsubscribed" else "unsubscribed"
    turned_at = trial.free_moment()
    start = server_time(probe)
    untidy = f"  {address.strip().upper()} "
    probe.write_consent([_change(untidy, wanted, turned_at)])
    turned = trial.read()
    other = "unsubscribed" if wanted == "subscribed" else "subscribed"
    probe.write_consent([_change(address, other, _shifted(turned_at, days=-1))])
    unturned = trial.read()
    moved = {customer["id"] for customer in read_list(probe, limit=LARGEST_PAGE, since=start).customers}
    if status is not None:
        probe.write_consent([_change(address, status, _shifted(turned_at, seconds=1))])
    return [
        judge(
            "consent-changes-customers",
            list(_turn_faults(turned, wanted, turned_at)),
            otherwise=f"{len(ids)} customers",
        ),
        judge("consent-moves-updated-at", list(trial.stay_faults(turned, moved)), otherwise=f"{len(ids)} customers"),
        _check_old_news(turned, unturned, wanted),
    ]


def _check_old_news(turned: dict[str, Customer], unturned: dict[str, Customer], wanted: str) -> Finding:
    name = "consent-old-news-ignored"
    if any(consent_of(customer)[0] != wanted for customer in turned.values()):
        return not_checked(name, "the change before it was not taken")
    faults = [f"customer {i} changed in {_differing(c, unturned[i])}" for i, c in turned.items() if c != unturned[i]]
    return judge(name, faults, otherwise=f"{len(turned)} customers stayed as they were")


@dataclass(frozen=True, slots=True)
class _Trial:
    probe: Probe
    evidence: Evidence
    address: str
    ids: tuple[str, ...]

    def read(self) -> dict[str, Customer]:
        """The customers as they are now; one that is gone reads as empty."""
        return {i: read_one(self.probe, self.evidence.ordered_ids, i) or {} for i in self.ids}

    def free_moment(self) -> str:
        """A time after everything these customers' consents tell of, so that it must count as news."""
        told = [moment for i in self.ids if (moment := consent_of(self.evidence.second.live[i])[1])]
        recent = (read_time(server_time(self.probe)) or datetime.now(UTC)) - timedelta(minutes=1)
        return _written(max([recent, *(moment + timedelta(seconds=1) for moment in told)]))

    def stay_faults(self, turned: dict[str, Customer], moved: set[str]) -> Iterator[str]:
        for customer_id, customer in turned.items():
            before = self.evidence.second.live[customer_id]["updated_at"]
            earlier, later = read_time(before), read_time(customer.get("updated_at"))
            if earlier and (later is None or later <= earlier):
                yield f"updated_at of customer {customer_id} stayed at {before}"
            elif customer_id not in moved:
                yield f"customer {customer_id} is not among the changes since"


def _turn_faults(turned: dict[str, Customer], wanted: str, turned_at: str) -> Iterator[str]:
    for customer_id, customer in turned.items():
        status, changed_at = consent_of(customer)
        if status != wanted:
            yield f"customer {customer_id} is {status}, not {wanted}"
        elif changed_at is None or abs(changed_at - (read_time(turned_at) or changed_at)) >= timedelta(seconds=1):
            yield f"changed_at of customer {customer_id} is not the time the change occurred"


def _shifted(text: str, **span: float) -> str:
    moment = read_time(text)
    return _written(moment + timedelta(**span)) if moment else text


def _written(moment: datetime) -> str:
    """Whole seconds: not every server keeps more."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
