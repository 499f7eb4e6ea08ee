"""The differences between who belongs to segments and who carries their tags: found, sent, noted.

Customers are held against all segments, in one reading of everybody or of those who changed. The addresses of those who
enter or leave go out at most 500 each way in a call, and a customer's mark changes only after Mailchimp's answer said
so: whatever is cut short is found again, and sent again it changes nothing. Mailchimp passes over addresses that are
not in the audience in silence, so what it answers is compared with what was asked. Whom it passed over is remembered
and not sent again and again. A call that fails says nothing about its members: the next run sends them again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.domain.consent.members import TAGGABLE
from chalicelib.domain.customers import address_key
from chalicelib.domain.segments.evaluation import rule_sets
from chalicelib.domain.segments.membership_counts import MembershipCounts
from chalicelib.domain.segments.segment import Segment, Tag, reason_of
from chalicelib.errors import RefuseRequest
from chalicelib.iteration import slices
from chalicelib.mailchimp.errors import SegmentGone, WholeCallRefused
from chalicelib.store.customer_reading import CustomerRow, place_of
from chalicelib.store.customer_tags import CustomerTags, left_out_text
from chalicelib.store.tag_rechecks import failed_call
from chalicelib.sync.segments.segment_work import (
    Batch,
    Difference,
    Doing,
    Passed,
    Target,
    Work,
    holds,
    is_alone,
    is_taggable,
    is_tried_again,
    leaves_alone,
    may_be_tagged,
    member_at,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import date

    from chalicelib.domain.runs import Run
    from chalicelib.domain.seen_addresses import SeenAddresses
    from chalicelib.store.members import MemberStore

_CUSTOMERS_AT_ONCE = 500
# The run is looked at, whether it was cancelled, once for so many parts of customers: about once a second.
_PARTS_A_LOOK = 20
MOST_STATES_KEPT = 20_000


class Differences:
    """`note(run, added, removed)` counts what was done in the run, and answers whether the run goes on."""

    def __init__(self, *, members: MemberStore, tags: CustomerTags, note: Callable[[Run, int, int], bool]) -> None:
        self._members = members
        self._tags = tags
        self._note = note

    def carry_out(
        self, work: Work, segments: Sequence[Segment], rows: Iterable[CustomerRow], *, after: str = ""
    ) -> Passed:
        """Hold customers against segments that have their tags, and send the differences.

        The clock is looked at between two parts of the customers. Who does not get the time for everything stops at a
        place before which everything is settled, and never stops without having gone on. `after` is where the rows
        begin. Rechecks come after the rows.
        """
        doings = {segment.id: Doing(work, segment, segment.tag) for segment in segments if segment.tag is not None}
        place, is_stopped = after, False
        for number, part in enumerate(slices(rows, _CUSTOMERS_AT_ONCE)):
            found = list(differences(part, doings, work.today, work.seen))
            if not self._take_all(work, doings, found, place):
                is_stopped = True
                break
            place = place_of(part[-1].customer_key)
            if work.is_short_of_time or (number % _PARTS_A_LOOK == 0 and not work.goes_on()):
                is_stopped = True
                break
        if not is_stopped:
            # What is left is a call or two for each segment, and no lane would send fewer.
            work.most_calls = None
            is_stopped = not self._take_all(work, doings, list(_rechecks_of(work, doings)), place)
        stopped_at = self._send_waiting(work, doings, place, is_stopped=is_stopped)
        self.keep_marks(work)
        return Passed({key: d.trouble for key, d in doings.items() if d.trouble is not None}, stopped_at)

    def _take_all(self, work: Work, doings: Mapping[str, Doing], found: Sequence[Difference], place: str) -> bool:
        """Put customers into the calls of their segments; False when the step should end."""
        for part in slices(found, _CUSTOMERS_AT_ONCE):
            self._look_up(work, part)
            for one in part:
                if not self._take(doings, one, place):
                    return False
            if work.has_many_marks:
                self.keep_marks(work)
        return True

    def _send_waiting(self, work: Work, doings: Mapping[str, Doing], place: str, *, is_stopped: bool) -> str | None:
        """Send what waits, in the order in which it began to; None when everything is settled, else where to go on.

        A step that has to stop sends one call more, so that each step settles something.
        """
        for doing in sorted((d for d in doings.values() if d.is_waiting), key=lambda d: d.waiting_since):
            if is_stopped and not work.goes_on():
                break
            if not self._send(doing) or is_stopped:
                break
        left = [doing.waiting_since for doing in doings.values() if doing.is_waiting]
        return min([place, *left]) if is_stopped or left else None

    def keep_marks(self, work: Work) -> None:
        """Store the marks that Mailchimp's answers asked for so far."""
        changes, work.to_change = work.to_change, {}
        self._tags.change(work.department.id, changes)

    def count(self, work: Work, segments: Sequence[Segment]) -> MembershipCounts:
        """What there is now in some segments, of all customers."""
        self.keep_marks(work)
        counts = MembershipCounts([segment.id for segment in segments])
        for row in work.reader.walk():
            tags, left_out = row.in_segments, row.left_out
            if tags or left_out:
                key = row.address_key
                noted = work.noted_statuses.get(key) if key is not None else None
                counts.add(
                    key,
                    tags,
                    left_out,
                    is_reached=noted is not None and noted.is_reached,
                    is_alone=work.are_statuses_certain and noted is not None and noted.customer_count == 1,
                )
        return counts

    def forget_marks(self, work: Work, segment: Segment) -> bool:
        """Take everything of the segment from all customers; False when time was over before the end."""
        concerned = (row for row in work.reader.walk() if segment.id in row.in_segments or segment.id in row.left_out)
        for part in slices(concerned, _CUSTOMERS_AT_ONCE):
            self._tags.unmark(segment.department_id, segment.id, part)
            if work.is_short_of_time:
                return False
        return True

    def keep_unsettled(self, work: Work) -> None:
        """Note whom the next run must look at again, since a call about them failed."""
        batch = self._members.batch(work.department.id)
        for segment_id, keys in work.unfinished.items():
            for key in sorted(keys):
                # The segment takes a customer's place, so that one address can be noted for each of several segments.
                batch.recheck(key, left_by=failed_call(segment_id, work.run.id), segments=(segment_id,))
        batch.flush()

    # ---------------------------------------------------------------------------------------------------- finding

    def _look_up(self, work: Work, part: Sequence[Difference]) -> None:
        """Read what is known of addresses that may be sent; what was read before is remembered."""
        if len(work.states) + len(work.member_states) + len(part) > MOST_STATES_KEPT:
            work.states.clear()
            work.member_states.clear()
        asked = [(one.address_key, one) for one in part if one.address_key is not None]
        unknown = [(key, one) for key, one in asked if key not in work.states]
        shared = list(dict.fromkeys(key for key, one in unknown if one.leaves and not leaves_alone(work, key, one)))
        found = self._members.states(work.department.id, shared, work.audience_id)
        work.states.update(zip(shared, found, strict=True))
        others = dict.fromkeys(key for key, one in unknown if one.leaves or may_be_tagged(work, key))
        unread = [key for key in others if key not in work.states and key not in work.member_states]
        known = self._members.member_states(work.department.id, unread) if unread else {}
        work.member_states.update({key: known.get(key) for key in unread})

    def _take(self, doings: Mapping[str, Doing], one: Difference, place: str) -> bool:
        """Put a customer into the calls of the segments concerned, and send those that are full."""
        entered = [doing for segment_id in one.enters if (doing := doings[segment_id]).trouble is None]
        left = [doing for segment_id in one.leaves if (doing := doings[segment_id]).trouble is None]
        for doing in (*entered, *left):
            if not doing.is_waiting:
                doing.waiting_since = place
        for doing in entered:
            _take_entering(doing, one)
        for doing in left:
            _take_leaving(doing, one)
        for segment_id in one.obsolete:
            _let_in(doings[segment_id], one)
        due = (doing for doing in (*entered, *left) if doing.is_due)
        return all(self._send(doing) and not doing.work.is_to_be_shared for doing in due)

    # ---------------------------------------------------------------------------------------------------- sending

    def _send(self, doing: Doing) -> bool:
        """One call, its answer noted; False when the step should end."""
        work, segment_id = doing.work, doing.segment.id
        adding, removing = doing.adding, doing.removing
        doing.adding, doing.removing = Batch(), Batch()
        try:
            change = work.mailchimp.change_segment_surely(
                work.audience_id,
                doing.tag.id,
                add=adding.addresses,
                remove=removing.addresses,
                go_on=lambda: not work.is_short_of_time,
            )
        except (SegmentGone, RefuseRequest, WholeCallRefused) as trouble:
            doing.trouble = trouble
            return True
        work.calls += 1
        work.progress.add(len(adding.targets) + len(removing.targets))
        inside = adding.confirmed((*change.added, *change.already_in))
        # An address that Mailchimp passed over is not in the audience, so it carries no tag either.
        outside = removing.confirmed((*change.removed, *change.already_out, *change.ignored))
        failed, untried = adding.confirmed(change.failed), adding.confirmed(change.untried)
        answered = inside.keys() | failed.keys() | untried.keys()
        passed_over = {key: t for key, t in adding.targets.items() if key not in answered}
        for one in _customers(inside.values()):
            _mark(doing, one)
        for one in _customers(outside.values()):
            _unmark(doing, one)
        for one in _customers(passed_over.values()):
            _leave_out(doing, one, "not_taken")
        for one in _customers(failed.values()):
            _leave_out(doing, one, "not_yet")
        if work.has_many_marks:
            self.keep_marks(work)
        doing.tagged |= {key for key in inside if not is_alone(work, key)}
        doing.passed_over |= {key for key in passed_over if not is_alone(work, key)}
        doing.failed |= failed.keys()
        work.unfinished.setdefault(segment_id, set()).update(failed, removing.confirmed(change.failed))
        # Who was not got to is sent again, by this step or the next one.
        doing.adding = Batch(untried)
        doing.removing = Batch(removing.confirmed(change.untried))
        goes_on = self._note(work.run, len(change.added), len(change.removed))
        return goes_on and not change.untried and not work.is_short_of_time


def tagged_in(work: Work, tag: Tag, seen_addresses: SeenAddresses, *, start: int) -> int | None:
    """Note the members who carry the tag in Mailchimp, from the `start`-th on.

    Answers where to go on when time is over, None at the end. Raises SegmentGone.
    """
    for page in work.mailchimp.segment_members(work.audience_id, tag.id, start=start):
        for member in page:
            if member.status in TAGGABLE:
                seen_addresses.add(address_key(work.department.salt, member.address))
        start += len(page)
        work.progress.add(len(page))
        # An empty page is the end, however little time there is.
        if page and work.is_short_of_time:
            return start
    return None


def differences(
    rows: Iterable[CustomerRow], doings: Mapping[str, Doing], today: date, seen: Mapping[str, SeenAddresses]
) -> Iterator[Difference]:
    """Who of some customers enters or leaves any of the segments, with an address or not.

    Where the tag's members were read back (`seen`), these are what counts: who is marked and lost the tag enters again,
    who has it without belonging to the segment leaves. Foreign members keep what somebody gave them.
    """
    rules = rule_sets({key: doing.segment.rules for key, doing in doings.items()}, today)
    for row in rows:
        fields, tags, left_out, address = row.filterable, row.in_segments, row.left_out, row.address_key
        enters, leaves, obsolete, lost = [], [], [], []
        for segment_id, wanted in rules.items():
            is_tagged = segment_id in tags
            if wanted.matches(fields):
                if not is_tagged:
                    enters.append(segment_id)
                elif segment_id in seen and _has_lost(doings[segment_id], address, seen[segment_id]):
                    enters.append(segment_id)
                    lost.append(segment_id)
                elif segment_id in left_out:
                    obsolete.append(segment_id)
                continue
            if is_tagged or (segment_id in seen and address is not None and address in seen[segment_id]):
                leaves.append(segment_id)
            if segment_id in left_out:
                obsolete.append(segment_id)
        if enters or leaves or obsolete:
            yield Difference(
                row.customer_key, address, tuple(enters), tuple(leaves), tuple(obsolete), tuple(lost), left_out
            )


def _has_lost(doing: Doing, address: str | None, seen: SeenAddresses) -> bool:
    """Whether a marked customer's member lost the tag in Mailchimp.

    Pending members keep the mark, since it is not documented whether the listing shows them.
    """
    if address is None:
        return True
    if address in seen:
        return False
    known = doing.work.address_statuses.get(address)
    return known is None or known.status != "pending"


def _rechecks_of(work: Work, doings: Mapping[str, Doing]) -> Iterator[Difference]:
    """Addresses that may carry a tag without a marked customer, as if they left the segment."""
    for segment_id in doings:
        for key in sorted(work.rechecks.get(segment_id, ())):
            yield Difference("", key, leaves=(segment_id,))


def _mark(doing: Doing, one: Difference) -> None:
    changes = doing.work.marks_of(one.customer_key)
    changes.mark.add(doing.segment.id)
    changes.unmark.discard(doing.segment.id)
    _let_in(doing, one)


def _unmark(doing: Doing, one: Difference) -> None:
    if one.customer_key:
        doing.work.marks_of(one.customer_key).unmark.add(doing.segment.id)


def _leave_out(doing: Doing, one: Difference, code: str) -> None:
    """Note why a customer who belongs to the segment does not carry its tag, where that is not known."""
    if one.left_out.get(doing.segment.id) != code:
        _let_in(doing, one)
        doing.work.marks_of(one.customer_key).leave_out.add(left_out_text(doing.segment.id, code))


def _let_in(doing: Doing, one: Difference) -> None:
    segment_id = doing.segment.id
    if segment_id in one.left_out:
        doing.work.marks_of(one.customer_key).let_in.add(left_out_text(segment_id, one.left_out[segment_id]))


def _take_entering(doing: Doing, one: Difference) -> None:
    work, key, segment_id = doing.work, one.address_key, doing.segment.id
    if segment_id in one.lost:
        _unmark(doing, one)
    if key is None:
        _leave_out(doing, one, "no_address")
    elif key in doing.tagged:
        _mark(doing, one)
    elif key in doing.passed_over:
        _leave_out(doing, one, "not_taken")
    elif key in doing.failed:
        _leave_out(doing, one, "not_yet")
    elif key in doing.adding.targets:
        doing.adding.targets[key].customers.append(one)
    else:
        member = member_at(work, key)
        if not is_taggable(member):
            _leave_out(doing, one, reason_of(member.status))
        elif one.left_out.get(segment_id) == "not_taken" and not is_tried_again(work, member):
            return
        else:
            doing.adding.targets[key] = Target(member.address, [one], member.spelling)


def _take_leaving(doing: Doing, one: Difference) -> None:
    """Untag, unless the member carries no tag anyway, or must keep it for another customer with the address."""
    work, key = doing.work, one.address_key
    member = member_at(work, key) if key is not None else None
    if key is None or member is None or not is_taggable(member) or holds(doing, work.states.get(key)):
        _unmark(doing, one)
        return
    doing.removing.targets.setdefault(key, Target(member.address, spelling=member.spelling)).customers.append(one)


def _customers(targets: Iterable[Target]) -> list[Difference]:
    return [one for target in targets for one in target.customers]
