"""The one way by which an observation changes what we know.

Pull, webhook and refused pushes observe members; the rules of domain/consent/observations.py say what that changes.
For each address the writes come in an order that loses nothing when the function dies in between: first the entry in
the PracBill outbox and the change marker, then the ledger, last the consent state by which the change counts as known.
A repeat writes the same again.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from chalicelib.domain.consent.members import ConsentState, DeliveryState, OptOut, with_values_held
from chalicelib.domain.consent.observations import Observation, ObservationResult, apply_observation, is_left_by_a_call
from chalicelib.domain.customers import address_key
from chalicelib.domain.moments import moment_text
from chalicelib.iteration import map_concurrently, slices
from chalicelib.store.members import MemberStates, MemberStore
from chalicelib.sync.consent.moved_noes import MovedNoes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from chalicelib.domain.departments import Department
    from chalicelib.domain.logs import Route
    from chalicelib.domain.planning import Operation
    from chalicelib.mailchimp.answers import RemoteMember
    from chalicelib.store.logs import LedgerStore

_OBSERVATIONS_AT_ONCE = 1000
_STATES_A_TRANSACTION = 100  # what DynamoDB takes
# What Mailchimp gives as reason when an admin or an API client unsubscribed a member.
_ADMIN_REASON = "n/a (unsubscribed by admin)"
_LONGEST_REASON = 200
# The mark of an address whose fields were changed in Mailchimp.
VALUES_MARK = "values"


def _no_log(counts: Counter[str]) -> None:
    """For callers that log afterwards."""


@dataclass(frozen=True, slots=True)
class Change:
    """An observation that is not known yet. `member_states` are what was known when it was made."""

    address_key: str
    observation: Observation
    member_states: MemberStates
    applied: ObservationResult


class Observations:
    def __init__(self, *, members: MemberStore, ledger: LedgerStore) -> None:
        self._members = members
        self._ledger = ledger
        self._moved = MovedNoes(members, ledger)

    def apply(
        self,
        department: Department,
        observation: Iterable[Observation],
        *,
        touch: bool = True,
        who: list[str] | None = None,
        erased: list[str] | None = None,
        log: Callable[[Counter[str]], None] = _no_log,
    ) -> Counter[str]:
        """Apply observations of members of the selected audience; answers how often each `Kind` of change came.

        An observation that is known already costs one read for a hundred addresses. `touch` False leaves out the marks
        for the next plan, for callers who know that it decides every address anyway. The keys of addresses that were
        observed anew are added to `who`, but for changes of status that mean nothing to anybody. The addresses that
        were erased and that a call of ours brought back are added to `erased`. `log` is called with the counts so far
        before the states are written: from then on a repeat finds nothing new to tell of.
        """
        counts: Counter[str] = Counter()
        if department.audience is None:
            return counts
        for part in slices(observation, _OBSERVATIONS_AT_ONCE):
            for one_each in _one_an_address(part):
                by_key = {address_key(department.salt, one.address): one for one in one_each}
                known = self._members.member_states(department.id, by_key)
                self._note_held(department, by_key, known, touch=touch)
                changes = _changes(department, by_key, known)
                counts.update(change.applied.kind for change in changes if change.applied.kind)
                if erased is not None:
                    erased += [one.address for key, one in by_key.items() if _is_left_by_a_call(known.get(key), one)]
                if who is not None:
                    who += [c.address_key for c in changes if c.applied.kind not in (None, "status")]
                self._keep(department, changes, partial(log, counts), touch=touch)
        return counts

    def refused(self, department: Department, operation: Operation, code: str, at: datetime) -> None:
        """Mailchimp refused a push for a consent that we did not know of; `at` is our clock before the push.

        `code` is a refusal of domain/refusals.py: `forgotten`, or one that says that the person is opted out. When that
        happened is not told, so the moment counts in which we learned of it.
        """
        self.apply(department, [_observation_of_refusal(operation, code, at)], touch=False)

    def _note_held(
        self,
        department: Department,
        by_key: Mapping[str, Observation],
        known: Mapping[str, MemberStates],
        *,
        touch: bool,
    ) -> None:
        """Take what Mailchimp holds in our fields, where it differs, for what was sent: the plan mends it then."""
        retry_refused = department.values_unsure_since is not None
        changed: list[tuple[MemberStates, DeliveryState]] = []
        for key, one in by_key.items():
            states = known.get(key)
            if states is None or states.delivery is None or not one.held:
                continue
            if states.delivery.audience_id == department.audience_id:
                delivery = with_values_held(states.delivery, one.held, one.observed_at, retry_refused=retry_refused)
                changed += [(states, delivery)] if delivery != states.delivery else []
        if touch:
            # Before the states: once they are written, the difference is not seen again.
            self._members.mark(department.id, [states.address_key for states, _ in changed], VALUES_MARK)
        batch = self._members.batch(department.id)
        for states, delivery in changed:
            batch.put_delivery(states.address_key, states.address, delivery)
        batch.flush()

    def _keep(self, department: Department, changes: Sequence[Change], log: Callable[[], None], *, touch: bool) -> None:
        map_concurrently(
            lambda entry: self._members.keep_outbox_entry(department.id, entry),
            [change.applied.outbox_entry for change in changes if change.applied.outbox_entry],
        )
        # Marked before and after: a plan that reads the address in between must not clear the new state's only mark.
        marked = [change for change in changes if touch and change.applied.kind is not None]
        followed = self._moved.followed(department, _noes_of_the_known(changes))
        self._mark(department, marked, "observing")
        self._members.mark(department.id, followed, "no-moving-along")
        entries = [(change.address_key, change.applied.entry) for change in changes]
        self._ledger.append_all(department.id, [(key, entry) for key, entry in entries if entry is not None])
        log()
        self._know(department, changes)
        self._mark(department, marked, "observed")
        self._members.mark(department.id, followed, "no-moved-along")

    def _mark(self, department: Department, changes: Sequence[Change], what: str) -> None:
        batch = self._members.batch(department.id)
        for change in changes:
            batch.mark(change.address_key, f"{what}-{moment_text(change.observation.observed_at)}")
        batch.flush()

    def _know(self, department: Department, changes: Sequence[Change]) -> None:
        """Store the states, many new ones in one call; one that somebody changed meanwhile is read again."""
        new = [change for change in changes if change.member_states.consent_state is None]
        known = [change for change in changes if change.member_states.consent_state is not None]
        for part in slices(new, _STATES_A_TRANSACTION):
            member_states = [
                (change.address_key, change.observation.address, change.applied.consent_state) for change in part
            ]
            if len(part) == 1 or not self._members.add_consent_states(department.id, member_states):
                known += part
        map_concurrently(lambda change: self._change(department, change), known)

    def _change(self, department: Department, change: Change) -> None:
        def consent_state(known: ConsentState) -> ConsentState:
            delivery, audience_id = change.member_states.delivery, department.audience_id
            return apply_observation(change.address_key, known, delivery, audience_id, change.observation).consent_state

        self._members.change_consent_state(department.id, change.address_key, change.observation.address, consent_state)


def observation_of(
    member: RemoteMember,
    observed_at: datetime,
    route: Route,
    *,
    subscribed_at: datetime | None = None,
    evidence: dict[str, str] | None = None,
) -> Observation:
    """An observation of a member as Mailchimp shows it. `observed_at` is our clock before it was asked for."""
    status_at = member.last_changed or observed_at
    opt_out, rule = _no_of(member, status_at)
    seen = {"mailchimp_time": moment_text(status_at)}
    if member.unsubscribe_reason:
        seen["reason"] = member.unsubscribe_reason[:_LONGEST_REASON]
    return Observation(
        address=member.address,
        status=member.status,
        status_at=status_at,
        observed_at=observed_at,
        route=route,
        rule=rule,
        opt_out=opt_out,
        subscribed_at=subscribed_at or member.timestamp_opt,
        contact_id=member.contact_id,
        spelling=member.spelling,
        evidence=seen | (evidence or {}),
    )


def gone(
    address: str, at: datetime, observed_at: datetime, route: Route, evidence: dict[str, str] | None = None
) -> Observation:
    """An observation of a member that was there and is no longer in any state: Mailchimp shows deleted ones nowhere.

    Somebody deleted it for good, mostly because the person wished so; it is taken as a no.
    """
    opt_out = OptOut(at, "admin", "deleted in Mailchimp")
    return Observation(address, "forgotten", at, observed_at, route, "deleted-there", opt_out, evidence=evidence or {})


def _no_of(member: RemoteMember, at: datetime) -> tuple[OptOut | None, str]:
    """The no that a member's status stands for, and the name of the case."""
    if member.status == "cleaned":
        return OptOut(at, "bounce", "bounced"), "bounced-there"
    if member.status != "unsubscribed":
        return None, f"{member.status}-there"
    if member.unsubscribe_reason.strip().casefold() == _ADMIN_REASON:
        return OptOut(at, "admin", "unsubscribed by a user in Mailchimp"), "unsubscribed-by-admin"
    return OptOut(at, "person", "unsubscribed in Mailchimp"), "unsubscribed-there"


def _changes(
    department: Department, by_key: Mapping[str, Observation], known: Mapping[str, MemberStates]
) -> list[Change]:
    found = []
    for key, one in by_key.items():
        member_states = known.get(key) or MemberStates(key, one.address)
        consent_state = member_states.consent_state or ConsentState()
        applied = apply_observation(key, consent_state, member_states.delivery, department.audience_id, one)
        if applied.kind is not None or applied.consent_state != consent_state:
            found.append(Change(key, one, member_states, applied))
    return found


def _noes_of_the_known(changes: Sequence[Change]) -> dict[str, Observation]:
    """New noes by address key. Of whom nothing was known before, nobody has moved away since."""
    return {
        change.address_key: change.observation
        for change in changes
        if change.applied.kind in ("opted_out", "deleted") and _was_known(change.member_states)
    }


def _was_known(states: MemberStates) -> bool:
    return states.consent_state is not None or states.delivery is not None


def _is_left_by_a_call(states: MemberStates | None, observation: Observation) -> bool:
    return states is not None and is_left_by_a_call(states.consent_state or ConsentState(), observation)


def _observation_of_refusal(operation: Operation, code: str, at: datetime) -> Observation:
    if code == "forgotten":
        return replace(gone(operation.address, at, at, "sync"), rule="refused-forgotten")
    opt_out = OptOut(at, "person", "compliance state")
    return Observation(operation.address, "unsubscribed", at, at, "sync", f"refused-{code}", opt_out)


def _one_an_address(observation: Sequence[Observation]) -> Iterator[list[Observation]]:
    """The observations by time, in parts without a repeated address: each is applied after the one before."""
    rest = sorted(observation, key=lambda one: one.rank)
    while rest:
        first: dict[str, Observation] = {}
        later = []
        for one in rest:
            if first.setdefault(one.address, one) is not one:
                later.append(one)
        yield list(first.values())
        rest = later
