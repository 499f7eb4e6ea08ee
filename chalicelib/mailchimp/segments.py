"""Static segments, which are tags: creating, changing members, reading them back.

Mailchimp's rules for the batch call (500 each way, which addresses it passes over in silence): Marketing API,
"Segments", and what integrations report of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chalicelib.domain.customers import mail_address
from chalicelib.http_client.calls import Answer, Call, FailedAlike
from chalicelib.mailchimp.answers import Document, RemoteMember, Segment, objects, read_member, read_segment
from chalicelib.mailchimp.api import Resource, bulk_read_seconds, check_success, object_of
from chalicelib.mailchimp.dividing import DividedCall, halves
from chalicelib.mailchimp.errors import (
    AudienceGone,
    Problem,
    SegmentGone,
    WholeCallRefused,
    problem_of,
    refused_request,
    refused_whole,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MOST_MEMBERS_A_CALL = 500
_MEMBER_FIELDS = "members.id,members.contact_id,members.email_address,members.status,members.last_changed,total_items"
_ONE = "/lists/{audience}/segments/{segment}"
_ALREADY_IN, _ALREADY_OUT = "already exist", "do not exist"


@dataclass(frozen=True, slots=True)
class SegmentChange:
    """What became of each address, lower-cased.

    After the call `added` and `already_in` carry the tag, `removed` and `already_out` do not. `ignored` are addresses
    that Mailchimp passed over, as it does with those that are not in the audience. `errors` are other reasons in
    Mailchimp's words, with their addresses. `failed` are those whose calls fail again and again, so nothing is known of
    them. `untried` are those that the change did not get to.
    """

    added: tuple[str, ...] = field(default=(), repr=False)
    removed: tuple[str, ...] = field(default=(), repr=False)
    already_in: tuple[str, ...] = field(default=(), repr=False)
    already_out: tuple[str, ...] = field(default=(), repr=False)
    ignored: tuple[str, ...] = field(default=(), repr=False)
    errors: tuple[tuple[str, tuple[str, ...]], ...] = field(default=(), repr=False)
    failed: tuple[str, ...] = field(default=(), repr=False)
    untried: tuple[str, ...] = field(default=(), repr=False)

    def __add__(self, other: SegmentChange) -> SegmentChange:
        return SegmentChange(
            self.added + other.added,
            self.removed + other.removed,
            self.already_in + other.already_in,
            self.already_out + other.already_out,
            self.ignored + other.ignored,
            self.errors + other.errors,
            self.failed + other.failed,
            self.untried + other.untried,
        )


@dataclass(frozen=True, slots=True)
class _Change:
    """One address to tag or to untag."""

    address: str
    adds: bool


class SegmentCalls(Resource):
    """Segments of an audience."""

    def static_segments(self, audience_id: str) -> tuple[Segment, ...]:
        """All static segments, ours and others'. Raises AudienceGone."""
        found = self._api.read_all(
            "/lists/{audience}/segments",
            "segments",
            ids={"audience": audience_id},
            query={"type": "static"},
            missing=AudienceGone(),
        )
        return tuple(read_segment(item) for item in found)

    def create_static_segment(self, audience_id: str, name: str) -> Segment:
        """Create an empty static segment. Mailchimp may accept a name twice: look it up first.

        Raises RequestRefused, AudienceGone, UncertainCreation.
        """
        body = {"name": name, "static_segment": []}
        answer = self._api.send(
            Call("POST", "/lists/{audience}/segments", {"audience": audience_id}, body=body, creates=True)
        )
        return read_segment(_accepted(answer, AudienceGone()))

    def rename_segment(self, audience_id: str, segment_id: int, name: str) -> Segment:
        """Rename the segment and with it the tag; its members stay. Raises RequestRefused, SegmentGone."""
        # Without `static_segment` in the body the members are left alone.
        answer = self._api.send(Call("PATCH", _ONE, _ids(audience_id, segment_id), body={"name": name}))
        return read_segment(_accepted(answer, SegmentGone()))

    def delete_segment(self, audience_id: str, segment_id: int) -> None:
        """Delete the segment and with it the tag; the members stay. One that is gone already is fine."""
        answer = self._api.send(Call("DELETE", _ONE, _ids(audience_id, segment_id)))
        if answer.status != 404:
            check_success(answer)

    def change_segment_surely(
        self,
        audience_id: str,
        segment_id: int,
        *,
        add: Sequence[str] = (),
        remove: Sequence[str] = (),
        go_on: Callable[[], bool] = lambda: True,
    ) -> SegmentChange:
        """Tag and untag at most 500 addresses each; who makes the call fail is left out, and the others go.

        Those who lose the tag go first. Addresses whose calls get no answer are `failed`. The rest is left `untried`
        when `go_on` says no between two calls, or when a fault comes after something was done. Raises what
        `change_segment_members` raises when nothing goes through.
        """
        if not add and not remove:
            return SegmentChange()
        call = DividedCall(
            lambda part, once: self._change_some(audience_id, segment_id, part, tries=1 if once else None),
            is_up=self.is_up,
            go_on=go_on,
            cut=_removals_first,
        )
        divided = call.make([_Change(a, adds=False) for a in remove] + [_Change(a, adds=True) for a in add])
        refused = [one.cause for one in divided.culprits if isinstance(one.cause, WholeCallRefused)]
        if refused and not divided.got:
            raise refused[0]
        failed = [one.item.address for one in divided.culprits if isinstance(one.cause, FailedAlike)]
        untried = [change.address for change in divided.untried + divided.unsettled]
        return sum(divided.got, SegmentChange(failed=_addresses(failed), untried=_addresses(untried)))

    def _change_some(
        self, audience_id: str, segment_id: int, changes: Sequence[_Change], *, tries: int | None
    ) -> SegmentChange:
        add = [change.address for change in changes if change.adds]
        remove = [change.address for change in changes if not change.adds]
        return self.change_segment_members(audience_id, segment_id, add=add, remove=remove, tries=tries)

    def change_segment_members(
        self,
        audience_id: str,
        segment_id: int,
        *,
        add: Sequence[str] = (),
        remove: Sequence[str] = (),
        tries: int | None = None,
    ) -> SegmentChange:
        """Tag and untag at most 500 addresses each. `tries` limits how often the call is made.

        Raises SegmentGone, and WholeCallRefused when Mailchimp refuses the call for a reason not known here.
        """
        if max(len(add), len(remove)) > MOST_MEMBERS_A_CALL:
            raise ValueError(f"more than {MOST_MEMBERS_A_CALL} addresses in one call")
        if not add and not remove:
            return SegmentChange()
        body = {"members_to_add": list(add), "members_to_remove": list(remove)}
        ids, read_seconds = _ids(audience_id, segment_id), bulk_read_seconds(len(add) + len(remove))
        call = Call("POST", _ONE, ids, body=body, read_seconds=read_seconds, tries=tries, divisible=True)
        answer = self._api.send(call)
        if answer.status == 400:
            return self._change_the_other_half(audience_id, segment_id, problem_of(answer), add, remove, tries)
        return _read_change(object_of(answer, missing=SegmentGone()), add, remove)

    def _change_the_other_half(
        self,
        audience_id: str,
        segment_id: int,
        problem: Problem,
        add: Sequence[str],
        remove: Sequence[str],
        tries: int | None,
    ) -> SegmentChange:
        """A side of which no address is in the audience fails the whole call: that side is passed over."""
        words = problem.words
        if "static segment with an id" in words:
            raise SegmentGone()
        if "none of the emails" not in words:
            raise refused_whole(problem)
        blamed = {name for name, _ in problem.errors}
        add_fails, remove_fails = "members_to_add" in blamed, "members_to_remove" in blamed
        if add and remove and add_fails != remove_fails:
            half = self.change_segment_members(
                audience_id,
                segment_id,
                add=() if add_fails else add,
                remove=() if remove_fails else remove,
                tries=tries,
            )
            return _passed_over(half, add if add_fails else remove)
        return SegmentChange(ignored=_addresses((*add, *remove)))

    def segment_members(
        self, audience_id: str, segment_id: int, *, start: int = 0
    ) -> Iterator[tuple[RemoteMember, ...]]:
        """Who carries the tag, page by page from the `start`-th on, whatever their status. Raises SegmentGone."""
        query = {
            "fields": _MEMBER_FIELDS,
            "include_cleaned": "true",
            "include_transactional": "true",
            "include_unsubscribed": "true",
        }
        pages = self._api.pages(
            _ONE + "/members",
            "members",
            ids=_ids(audience_id, segment_id),
            query=query,
            missing=SegmentGone(),
            start=start,
        )
        for page in pages:
            yield tuple(read_member(item) for item in objects(page, "members"))


def _ids(audience_id: str, segment_id: int) -> dict[str, str]:
    return {"audience": audience_id, "segment": str(segment_id)}


def _accepted(answer: Answer, missing: AudienceGone | SegmentGone) -> Document:
    if answer.status == 400:
        raise refused_request(problem_of(answer))
    return object_of(answer, missing=missing)


def _removals_first(changes: tuple[_Change, ...]) -> list[tuple[_Change, ...]]:
    """Who loses the tag and who gets it apart, then halves."""
    removals = sum(not change.adds for change in changes)
    return [changes[:removals], changes[removals:]] if 0 < removals < len(changes) else halves(changes)


def _addresses(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(mail_address(text) for text in texts)


def _read_change(document: Document, add: Sequence[str], remove: Sequence[str]) -> SegmentChange:
    added = _addresses([member.address for member in map(read_member, objects(document, "members_added"))])
    removed = _addresses([member.address for member in map(read_member, objects(document, "members_removed"))])
    groups = tuple(_read_error(error) for error in objects(document, "errors"))
    already_in = tuple(a for text, addresses in groups if _ALREADY_IN in text for a in addresses)
    already_out = tuple(a for text, addresses in groups if _ALREADY_OUT in text for a in addresses)
    others = tuple((text, a) for text, a in groups if _ALREADY_IN not in text and _ALREADY_OUT not in text)
    spoken_of = {*added, *removed, *already_in, *already_out, *(a for _, group in others for a in group)}
    ignored = tuple(a for a in _addresses((*add, *remove)) if a not in spoken_of)
    return SegmentChange(added, removed, already_in, already_out, ignored, others)


def _read_error(error: Document) -> tuple[str, tuple[str, ...]]:
    addresses = error.get("email_addresses")
    listed = [a for a in addresses if isinstance(a, str)] if isinstance(addresses, list) else []
    text = error.get("error")
    return (text.lower() if isinstance(text, str) else "", _addresses(listed))


def _passed_over(half: SegmentChange, ignored: Sequence[str]) -> SegmentChange:
    return SegmentChange(
        half.added, half.removed, half.already_in, half.already_out, half.ignored + _addresses(ignored), half.errors
    )
