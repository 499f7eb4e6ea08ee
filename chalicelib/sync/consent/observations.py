"""The one way by which an observation changes what we know, and how PracBill is updated.

Pull, webhook and refused pushes bring news of members; the rules of domain/consent/observations.py say what it changes.
For each address the writes come in an order that loses nothing when the function dies in between: first the word for
PracBill and the mark that the address must be decided anew, then the ledger, last the facet by which the change counts
as known. A repeat writes the same again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from chalicelib.domain.consent.members import AddressCustomers, ConsentState, OptOut, Push, with_values_held
from chalicelib.domain.consent.observations import Observation, ObservationResult, OutboxEntry, Told, apply_observation
from chalicelib.domain.customers import address_in_letters, address_key, mail_address
from chalicelib.domain.departments import Department, OutboxBacklog
from chalicelib.domain.logs import Route
from chalicelib.domain.moments import moment_text
from chalicelib.domain.planning import AddressState, Operation
from chalicelib.errors import RetryLater, StopRun
from chalicelib.iteration import map_concurrently, slices
from chalicelib.mailchimp.answers import RemoteMember
from chalicelib.pracbill.client import MOST_CHANGES_A_CALL, ConsentChange, PracBillClient
from chalicelib.pracbill.errors import ConsentRefused
from chalicelib.store.departments import DepartmentStore
from chalicelib.store.logs import LedgerStore
from chalicelib.store.members import MemberStates, MemberStore
from chalicelib.sync.ports import Clock

_NEWS_AT_ONCE = 1000
_FACETS_A_TRANSACTION = 100  # what DynamoDB takes
# What Mailchimp gives as reason when an admin or an API client unsubscribed a member.
_ADMIN_REASON = "n/a (unsubscribed by admin)"
_LONGEST_REASON = 200
# The mark of an address whose fields were changed in Mailchimp.
VALUES_MARK = "values"
# Finding one word among 500 that PracBill refuses takes ten refused calls.
_MOST_REFUSED_CALLS = 30
_OTHERS_TELL = "They are being sent now."


@dataclass(frozen=True, slots=True)
class Change:
    """An observation that is not known yet. `member_states` are what was known when it was made."""

    address_key: str
    observation: Observation
    member_states: MemberStates
    applied: ObservationResult


@dataclass(slots=True)
class _Telling:
    words: int = 0
    known: int = 0
    refused_calls: int = 0
    refusal: ConsentRefused | None = None


class Observations:
    def __init__(
        self, *, departments: DepartmentStore, members: MemberStore, ledger: LedgerStore, clock: Clock
    ) -> None:
        self._departments = departments
        self._members = members
        self._ledger = ledger
        self._clock = clock

    # ------------------------------------------------------------------------------------------------- applying

    def apply(
        self,
        department: Department,
        observation: Iterable[Observation],
        *,
        touch: bool = True,
        who: list[str] | None = None,
    ) -> Counter[str]:
        """Apply observations of members of the selected audience; answers how often each `Kind` of change came.

        An observation that is known already costs one read for a hundred addresses. `touch` False leaves out the marks
        for the next plan, for callers who know that it decides every address anyway. The keys of addresses that were
        observed anew are added to `who`, but for changes of status that mean nothing to anybody.
        """
        counts: Counter[str] = Counter()
        if department.audience is None:
            return counts
        for part in slices(observation, _NEWS_AT_ONCE):
            for one_each in _one_an_address(part):
                by_key = {address_key(department.salt, one.address): one for one in one_each}
                known = self._members.member_states(department.id, by_key)
                self._note_held(department, by_key, known, touch=touch)
                changes = _changes(department, by_key, known)
                self._keep(department, changes, touch=touch)
                counts.update(change.applied.kind for change in changes if change.applied.kind)
                if who is not None:
                    who += [c.address_key for c in changes if c.applied.kind not in (None, "status")]
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
        changed: list[tuple[MemberStates, Push]] = []
        for key, one in by_key.items():
            states = known.get(key)
            if states is None or states.push is None or not one.held:
                continue
            if states.push.audience_id == department.audience_id:
                push = with_values_held(states.push, one.held, one.observed_at, retry_refused=retry_refused)
                changed += [(states, push)] if push != states.push else []
        batch = self._members.batch(department.id)
        if touch:
            # Before the states: once they are written, the difference is not seen again.
            for states, _ in changed:
                batch.mark(states.address_key, VALUES_MARK)
            batch.flush()
        for states, push in changed:
            batch.put_delivery(states.address_key, states.address, push)
        batch.flush()

    def _keep(self, department: Department, changes: Sequence[Change], *, touch: bool) -> None:
        map_concurrently(
            lambda word: self._members.keep_outbox_entry(department.id, word),
            [change.applied.outbox_entry for change in changes if change.applied.outbox_entry],
        )
        # Marked before and after: a plan that reads the address in between must not clear the new state's only mark.
        marked = [change for change in changes if touch and change.applied.kind is not None]
        self._touch(department, marked, "hearing")
        entries = [(change.address_key, change.applied.entry) for change in changes]
        self._ledger.append_all(department.id, [(key, entry) for key, entry in entries if entry is not None])
        self._know(department, changes)
        self._touch(department, marked, "heard")

    def _touch(self, department: Department, changes: Sequence[Change], what: str) -> None:
        batch = self._members.batch(department.id)
        for change in changes:
            batch.mark(change.address_key, f"{what}-{moment_text(change.observation.observed_at)}")
        batch.flush()

    def _know(self, department: Department, changes: Sequence[Change]) -> None:
        """Store the facets, many new ones in one call; where somebody was faster, the news is held against theirs."""
        new = [change for change in changes if change.member_states.consent_state is None]
        known = [change for change in changes if change.member_states.consent_state is not None]
        for part in slices(new, _FACETS_A_TRANSACTION):
            member_states = [
                (change.address_key, change.observation.address, change.applied.consent_state) for change in part
            ]
            if len(part) == 1 or not self._members.add_consent_states(department.id, member_states):
                known += part
        map_concurrently(lambda change: self._change(department, change), known)

    def _change(self, department: Department, change: Change) -> None:
        def consent_state(known: ConsentState) -> ConsentState:
            push, audience_id = change.member_states.push, department.audience_id
            return apply_observation(change.address_key, known, push, audience_id, change.observation).consent_state

        self._members.change_consent_state(department.id, change.address_key, change.observation.address, consent_state)

    # ------------------------------------------------------------------------------------------- telling PracBill

    def send_to_pracbill(self, department: Department, pracbill: PracBillClient) -> Told:
        """Send PracBill every consent change it has not confirmed.

        Telling twice changes nothing there. A word that was replaced while it was told stays for the next time, and so
        does one that PracBill refuses: it keeps none of the others back. Raises what PracBillClient raises for other
        failures, after everything that was told is noted; what waits is noted with the department either way.
        """
        telling = _Telling()
        try:
            for words in slices(self._members.outbox(department.id), MOST_CHANGES_A_CALL):
                self._tell(department, pracbill, words, telling)
        except (RetryLater, StopRun) as failed:
            self.note_backlog(department.id, failed.message)
            raise
        if telling.refusal is None and not telling.words and department.backlog is None:
            return Told()
        why = telling.refusal.message if telling.refusal is not None else ""
        return Told(telling.known, self.note_backlog(department.id, why))

    def note_backlog(self, department_id: str, why: str) -> OutboxBacklog | None:
        """Count what PracBill has not been told and note it with the department, for its health; `why` it is so."""
        count, now = self._members.outbox_count(department_id), self._clock()

        def noted(known: Department) -> Department:
            since = known.backlog.since if known.backlog is not None else now
            return replace(known, backlog=OutboxBacklog(count, since, why or _OTHERS_TELL) if count else None)

        return self._departments.change(department_id, noted).backlog

    def backlog(self, department_id: str) -> OutboxBacklog | None:
        """What PracBill has not been told, as last noted."""
        department = self._departments.get(department_id)
        return department.backlog if department is not None else None

    def _tell(
        self, department: Department, pracbill: PracBillClient, words: Sequence[OutboxEntry], telling: _Telling
    ) -> None:
        """Tell some words; where PracBill refuses them, half and half, until it is known which ones it means."""
        if telling.refused_calls >= _MOST_REFUSED_CALLS:
            return
        changes = [change for word in words for change in self._changes_of(department, word)]
        middle = len(words) // 2
        if len(changes) > MOST_CHANGES_A_CALL and middle:
            self._tell(department, pracbill, words[:middle], telling)
            self._tell(department, pracbill, words[middle:], telling)
            return
        telling.words += len(words)
        try:
            written = pracbill.write_consent(department.id, changes)
        except ConsentRefused as refused:
            telling.refusal, telling.refused_calls = refused, telling.refused_calls + 1
            for part in (words[:middle], words[middle:]) if middle else ():
                self._tell(department, pracbill, part, telling)
            return
        unknown = {email.strip().lower() for email in written.unknown}
        known = {mail_address(change.email) for change in changes if change.email.strip().lower() not in unknown}
        told = [word for word in words if mail_address(word.email) in known]
        map_concurrently(lambda word: self._note_told(department.id, word), told)
        map_concurrently(lambda word: self._members.drop_outbox_entry(department.id, word.address_key, word), words)
        telling.known += len(told)

    def _changes_of(self, department: Department, word: OutboxEntry) -> list[ConsentChange]:
        """What PracBill is told of a word: in its own spelling of the address, in both where nobody has it."""
        in_letters = address_in_letters(word.email)
        if in_letters == word.email:
            return [_change_of(word)]
        state = self._members.state(department.id, word.address_key, department.audience_id)
        own = (
            {customer.email for customer in state.address_customers.customers}
            if state.address_customers is not None
            else set()
        )
        return [_change_of(replace(word, email=email)) for email in sorted(own or {word.email, in_letters})]

    def owe_pracbill(self, department: Department, states: Iterable[AddressState]) -> None:
        """Queue for PracBill the opt-outs that were observed before it had this customer with the address."""
        for state in states:
            opt_out, member = state.member.opt_out, state.member
            if state.address_customers is None or opt_out is None or member.erased:
                continue
            if opt_out.route == "pracbill" or state.address_customers.consent == "unsubscribed":
                continue
            if opt_out.customers and not state.address_customers.ids <= {*opt_out.customers}:
                continue  # PracBill would write it down for everybody who has the address
            if opt_out.sent_to_pracbill and not _was_never_told(state.address_customers, opt_out):
                continue
            word = OutboxEntry(
                member.address_key, member.address, "unsubscribed", opt_out.at, "mailchimp", opt_out.reason
            )
            self._members.keep_outbox_entry(department.id, word)

    def _note_told(self, department_id: str, word: OutboxEntry) -> None:
        def told(consent_state: ConsentState) -> ConsentState:
            opt_out = consent_state.opt_out
            if word.status != "unsubscribed" or opt_out is None or opt_out.at > word.occurred_at:
                return consent_state
            return replace(consent_state, opt_out=replace(opt_out, sent_to_pracbill=True))

        self._members.change_consent_state(department_id, word.address_key, word.email, told)


def observation_of(
    member: RemoteMember,
    observed_at: datetime,
    route: Route,
    *,
    subscribed_at: datetime | None = None,
    evidence: dict[str, str] | None = None,
) -> Observation:
    """News from a member as Mailchimp shows it. `observed_at` is our clock before it was asked for."""
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
    """News of a member that was there and is no longer in any state: Mailchimp shows deleted ones nowhere.

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
        applied = apply_observation(key, consent_state, member_states.push, department.audience_id, one)
        if applied.kind is not None or applied.consent_state != consent_state:
            found.append(Change(key, one, member_states, applied))
    return found


def _observation_of_refusal(operation: Operation, code: str, at: datetime) -> Observation:
    if code == "forgotten":
        return replace(gone(operation.address, at, at, "sync"), rule="refused-forgotten")
    opt_out = OptOut(at, "person", "compliance state")
    return Observation(operation.address, "unsubscribed", at, at, "sync", f"refused-{code}", opt_out)


def _was_never_told(address_customers: AddressCustomers, no: OptOut) -> bool:
    """Whether PracBill, once told of the no, must have entered the customer anew: what it says now is older than that.

    A yes without a time is left alone: it may be later.
    """
    if address_customers.consent is None:
        return True
    return address_customers.consent_at is not None and address_customers.consent_at <= no.at


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


def _change_of(word: OutboxEntry) -> ConsentChange:
    return ConsentChange(
        email=word.email,
        status=word.status,
        occurred_at=word.occurred_at,
        source=word.source,
        reason=word.reason,
    )
