"""The pull: what changed in the audience since the last run is read before anything is planned.

An incremental run reads the members that changed since the watermark; a full run, and the first contact with an
audience, reads all of them, and what they hold in our fields, which somebody may have changed there. Archived members
are asked for by themselves, since nobody says whether they are part of the other listing. Deleted ones are in no
listing: a full run looks up, one by one, those it knows of but did not see. Last PracBill is told, so that the plan
reads customers who know of it.

A step does what fits into its time. Its place is saved when it ends; one that dies is done again from where it began,
and hears nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from chalicelib.domain.customers import address_key
from chalicelib.domain.departments import Audience, Department, OutboxBacklog
from chalicelib.domain.fieldmap import held_fingerprint
from chalicelib.domain.logs import MOST_NAMED, LogEntry, LogStatus
from chalicelib.domain.planning import customer_ids_of
from chalicelib.domain.pushed_members import PushedMembers, pushed_print
from chalicelib.domain.runs import Run
from chalicelib.domain.seen_addresses import SeenAddresses
from chalicelib.errors import RetryLater, StopRun
from chalicelib.iteration import prefetch
from chalicelib.mailchimp.client import MailchimpClient
from chalicelib.sync.consent.address_changes import AddressChange, AddressChanges
from chalicelib.sync.consent.observations import Observations, gone, observation_of
from chalicelib.sync.ports import Clock, Remaining
from chalicelib.sync.runs.free_connections import FreeConnections
from chalicelib.sync.runs.phase_progress import PhaseReporter
from chalicelib.sync.runs.progress import ENDED, ENOUGH_SECONDS, OVERLAP
from chalicelib.sync.runs.pull_cursor import Part, PullCursor
from chalicelib.sync.runs.pull_message import pull_message
from chalicelib.sync.runs.retries import Retries

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chalicelib.domain.consent.members import Member, Status
    from chalicelib.domain.consent.observations import Observation
    from chalicelib.mailchimp.answers import RemoteMember
    from chalicelib.store.stores import Stores
    from chalicelib.sync.consent.pracbill_outbox import PracBillOutbox
    from chalicelib.sync.runs.audience_opening import AudienceOpener

# Members that change in the run's first seconds are still read: whoever changes something and then starts a sync
# expects to find it. Later changes belong to the next run, so that the listing has an end.
_GRACE = timedelta(seconds=2)
# Mailchimp's clock and ours, and the time that a call takes: pushes are remembered by when they were sent.
_CLOCKS_DIFFER = timedelta(hours=1)
# A look-up is a call for one address. Beyond so many the next full run goes on; what is not looked up stays as known.
MOST_LOOK_UPS = 1000
_NOT_THERE: frozenset[Status] = frozenset({"absent", "forgotten"})

_DRY = "A dry run sends nothing to PracBill; the next sync does."


@dataclass(slots=True)
class Pull:
    """One step's doing."""

    run: Run
    department: Department
    audience_id: str
    mailchimp: MailchimpClient
    remaining: Remaining
    place: PullCursor
    seen_addresses: SeenAddresses | None  # None in an incremental run
    progress: PhaseReporter
    calls_at_once: Callable[[], int]
    is_audience_there: bool = False  # asked for before somebody is taken for deleted
    pushed: PushedMembers = field(default_factory=PushedMembers)  # members whom our last pushes left as they are listed
    backlog: OutboxBacklog | None = None  # what PracBill could not be sent in the end

    @property
    def is_short_of_time(self) -> bool:
        return self.remaining() < ENOUGH_SECONDS

    @property
    def since(self) -> datetime | None:
        """Where the listing goes on, or starts; None for all members."""
        if self.place.since is not None:
            return self.place.since
        watermark = None if self.seen_addresses is not None else self.department.members_watermark
        return watermark - OVERLAP if watermark is not None else None

    @property
    def is_whole(self) -> bool:
        """Whether all members are read, and with them what they hold in our fields."""
        return self.seen_addresses is not None

    def observation_of(self, member: RemoteMember, asked_at: datetime) -> Observation:
        observation = observation_of(member, asked_at, "pull")
        if not self.is_whole or self.department.audience is None:
            return observation
        return replace(observation, held=held_fingerprint(member.merge_fields, self.department.audience.fields))

    def is_ours(self, member: RemoteMember) -> bool:
        """Whether the member is listed just as our last push left it: by address, contact, status and time."""
        key = address_key(self.department.salt, member.address)
        return pushed_print(key, member.contact_id, member.status, member.last_changed) in self.pushed

    def see(self, page: Iterable[RemoteMember]) -> None:
        if self.seen_addresses is not None:
            for member in page:
                self.seen_addresses.add(address_key(self.department.salt, member.address))


class PullPhase:
    def __init__(
        self,
        *,
        observations: Observations,
        outbox: PracBillOutbox,
        opener: AudienceOpener,
        stores: Stores,
        clock: Clock,
    ) -> None:
        self._free_connections = FreeConnections(stores.departments, clock)
        self._observations = observations
        self._outbox = outbox
        self._opener = opener
        self._address_changes = AddressChanges(stores.members, observations)
        self._retries = Retries(members=stores.members, runs=stores.runs, logs=stores.logs, clock=clock)
        self._members, self._runs, self._logs = stores.members, stores.runs, stores.logs
        self._seen_addresses, self._pushed_members = stores.seen_addresses, stores.pushed_members
        self._clock = clock

    def step(self, run: Run, department: Department, remaining: Remaining) -> Run | None:
        """Pull as long as there is time. Answers the run to continue with, or None when everything is read and sent.

        A dry run hears as well, or its plan would not be true, but leaves it to the next run to tell PracBill.
        """
        if run.cursor == ENDED or department.audience is None:
            return None
        if run.retry_of:
            run = self._retries.take_up(run, remaining)
            if run.retry_of or remaining() < ENOUGH_SECONDS:
                return run
        pull = self._open(run, department, remaining)
        try:
            while self._do(pull):
                if pull.place.part == "end":
                    break
                if pull.is_short_of_time:
                    return self._save(pull)
            else:
                return self._save(pull)
        except RetryLater:
            self._save(pull)
            raise
        self._log(pull)
        self._save_end(pull)
        return None

    def _open(self, run: Run, department: Department, remaining: Remaining) -> Pull:
        department, mailchimp = self._opener.open(run, department, remaining)
        assert department.audience is not None
        place, seen_addresses = PullCursor.of(run.cursor), None
        if _is_whole(run, department, department.audience):
            seen_addresses = self._seen_addresses.load(run.department_id, run.id) if run.cursor else SeenAddresses()
            if seen_addresses is None:
                # Who was seen is not known any more: the listing begins again; what was applied before changes nothing.
                place, seen_addresses = PullCursor(counts=place.counts, who=place.who), SeenAddresses()
        progress = PhaseReporter(self._runs, run, "pull", self._clock)
        audience_id = department.audience.id
        at_once = self._free_connections.of(department)
        pull = Pull(run, department, audience_id, mailchimp, remaining, place, seen_addresses, progress, at_once)
        if pull.since is not None and not pull.is_whole:
            # Who reads all members compares what they hold, in those whom we pushed as well.
            pull.pushed = self._pushed_members.load(department.id, audience_id, pull.since - _CLOCKS_DIFFER)
        return pull

    def _do(self, pull: Pull) -> bool:
        """Do the current part and move on to the next; False when time was over before its end."""
        match pull.place.part:
            case "live":
                return self._observe(pull, None, then="archived")
            case "archived":
                return self._observe(pull, "archived", then="missing" if pull.seen_addresses is not None else "tell")
            case "missing":
                return self._look_for_missing(pull)
            case _:
                return self._tell(pull)

    def _observe(self, pull: Pull, status: Status | None, *, then: Part) -> bool:
        """Hear the members of one listing, page by page."""
        until, began_at = pull.run.started_at + _GRACE, pull.place.since
        pages = pull.mailchimp.member_pages(
            pull.audience_id,
            since=pull.since,
            before=until,
            clock=self._clock,
            at_once=pull.calls_at_once,
            status=status,
            with_values=pull.is_whole,
            on_total=pull.progress.expect_more,
        )
        for page in prefetch(pages):
            members = page.members
            self._apply_observations(pull, members, page.asked_at or pull.run.started_at)
            pull.see(members)
            pull.progress.add(len(members))
            pull.place.since = max((m.last_changed for m in members if m.last_changed), default=pull.place.since)
            # The next step reads the last second again: only beyond the one where this step began is it a step forward.
            if pull.is_short_of_time and pull.place.since != began_at:
                return False
        pull.place.move(then)
        return True

    def _apply_observations(self, pull: Pull, members: Iterable[RemoteMember], asked_at: datetime) -> None:
        # Whoever selects an audience has every address decided: then marks would only be more to write and to clear.
        touch = not pull.department.replan_all
        news = (member for member in members if member.address and not (pull.pushed and pull.is_ours(member)))
        observation = (pull.observation_of(member, asked_at) for member in news)
        erased: list[str] = []
        found = self._observations.apply(pull.department, observation, touch=touch, who=pull.place.who, erased=erased)
        for address in erased if not pull.run.dry_run else ():
            pull.mailchimp.delete_permanently(pull.audience_id, address)
        pull.place.counts.update(found)
        del pull.place.who[MOST_NAMED:]
        if found:
            self._save_counts(pull)

    def _look_for_missing(self, pull: Pull) -> bool:
        """Look up the members we know of that no listing showed: deleted, or moved to another address."""
        place = pull.place
        for members, next_part in self._members.walk_members(pull.department.id, pull.audience_id, start=place.shard):
            for member in members:
                if not _is_missing(member, pull.seen_addresses) or place.look_ups >= MOST_LOOK_UPS:
                    continue
                self._look_up(pull, member)
                if pull.is_short_of_time:
                    return False
            place.shard = next_part
            if pull.is_short_of_time:
                return False
        place.move("tell")
        return True

    def _look_up(self, pull: Pull, member: Member) -> None:
        pull.place.look_ups += 1
        asked_at = self._clock()
        found = pull.mailchimp.member(pull.audience_id, member.address)
        if found is not None:
            news = observation_of(found, asked_at, "pull")
            counts = self._observations.apply(pull.department, [news], who=pull.place.who)
        elif (elsewhere := self._elsewhere(pull, member)) is not None:
            # The webhook's event never arrived.
            moved_at = elsewhere.last_changed or asked_at
            move = AddressChange(member.address, elsewhere.address, elsewhere, moved_at, asked_at, "pull")
            counts = self._address_changes.apply(pull.department, pull.mailchimp, move, was_there=True)
            pull.place.who += [member.address_key]
        else:
            news = gone(member.address, asked_at, asked_at, "pull")
            counts = self._observations.apply(pull.department, [news], who=pull.place.who)
        pull.place.counts.update(counts)
        if counts:
            self._save_counts(pull)
        if pull.seen_addresses is not None:
            pull.seen_addresses.add(member.address_key)

    def _elsewhere(self, pull: Pull, member: Member) -> RemoteMember | None:
        """The same contact under another address; None when it is gone, or its id is not known."""
        if not pull.is_audience_there:
            # Nobody is found any more when the audience itself was deleted meanwhile.
            pull.mailchimp.audience(pull.audience_id)
            pull.is_audience_there = True
        found = pull.mailchimp.contact(pull.audience_id, member.contact_id) if member.contact_id else None
        return found if found is not None and found.address not in ("", member.address) else None

    def _tell(self, pull: Pull) -> bool:
        if pull.run.dry_run:
            pull.backlog = self._outbox.note_backlog(pull.department.id, _DRY)
        else:
            try:
                sent = self._outbox.send(pull.department, pull.remaining)
            except (RetryLater, StopRun):
                # The end of another try replaces the entry; should the run be given up, it stays.
                pull.backlog = self._outbox.backlog(pull.department.id)
                self._log(pull, status="error")
                raise
            pull.place.counts["told"] += sent.confirmed
            pull.backlog = sent.backlog
        pull.place.move("end")
        return True

    # ---------------------------------------------------------------------------------------------------- keeping

    def _save(self, pull: Pull) -> Run:
        pull.progress.tell()
        if pull.seen_addresses is not None:
            self._seen_addresses.save(pull.run.department_id, pull.run.id, pull.seen_addresses, self._clock())
        cursor = pull.place.cursor()
        return self._runs.change(
            pull.run.department_id,
            pull.run.id,
            lambda stored: replace(stored, cursor=cursor, progress_at=self._clock()),
        )

    def _save_counts(self, pull: Pull) -> None:
        """Keep what was counted, beside the place that was saved last: what is applied is not found new by a repeat."""
        counted = pull.place.counted()
        self._runs.change(
            pull.run.department_id,
            pull.run.id,
            lambda stored: replace(stored, cursor=stored.cursor | counted),
        )

    def _save_end(self, pull: Pull) -> None:
        """From here on the run knows up to when changes are known; its good end makes that the watermark."""
        pull.progress.tell()
        self._runs.change(
            pull.run.department_id,
            pull.run.id,
            lambda stored: replace(stored, cursor=ENDED, members_until=pull.run.started_at, progress_at=self._clock()),
        )

    def _log(self, pull: Pull, status: LogStatus = "success") -> None:
        """One entry for a run that read or sent something, or could not send; a repeated end writes the same one."""
        counts = {name: count for name, count in pull.place.counts.items() if count and name != "status"}
        customer_ids = self._customers_of(pull)
        message = pull_message(counts, customer_ids)
        if pull.backlog is not None:
            counts["waiting"] = pull.backlog.count
            message = f"{message} {pull.backlog.message}".strip()
        if not counts:
            return
        entry = LogEntry(
            date=pull.run.started_at,
            direction="pull",
            type=pull.run.log_type,
            trigger=pull.run.log_trigger,
            status=status,
            message=message,
            run_id=pull.run.id,
            counts=counts,
            customer_ids=customer_ids,
            code="pulled" if status == "success" else "pracbill_not_told",
            params={"waiting": pull.backlog.count} if pull.backlog is not None else {},
        )
        self._logs.add(pull.run.department_id, entry, key=f"{pull.run.id}:pull")

    def _customers_of(self, pull: Pull) -> tuple[str, ...]:
        """The customers of the first addresses that were observed anew."""
        keys = list(dict.fromkeys(pull.place.who))[:MOST_NAMED]
        return customer_ids_of(self._members.states(pull.department.id, keys, pull.audience_id))


def _is_whole(run: Run, department: Department, audience: Audience) -> bool:
    """Whether the run reads all members: asked for, on first contact, or because fields are not what they were."""
    if run.type == "full" or department.values_unsure_since is not None:
        return True
    return not audience.first_contact_done or department.members_watermark is None


def _is_missing(member: Member, seen_addresses: SeenAddresses | None) -> bool:
    if member.status in _NOT_THERE or member.erased or not member.address:
        return False
    return seen_addresses is not None and member.address_key not in seen_addresses
