"""Single members, and the listing of changed ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Literal

from chalicelib.domain.customers import address_in_letters, mail_address
from chalicelib.http_client.calls import Answer, Call
from chalicelib.mailchimp.answers import (
    MemberAnswer,
    RefusedMember,
    RemoteMember,
    id_of_spelling,
    objects,
    read_member,
    subscriber_hash,
    total_items,
)
from chalicelib.mailchimp.api import BULK_READ_SECONDS, PAGE_SIZE, Resource, check_success, object_of
from chalicelib.mailchimp.errors import AudienceGone, problem_of
from chalicelib.mailchimp.feed import FeedPage, changed_members, changed_pages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from chalicelib.domain.consent.members import Status

_ONE = "/lists/{audience}/members/{member}"
_LISTED_FIELDS = ",".join(
    f"members.{name}"
    for name in (
        "id",
        "contact_id",
        "email_address",
        "status",
        "unsubscribe_reason",
        "timestamp_opt",
        "last_changed",
    )
)


class MemberCalls(Resource):
    """Members of an audience, one by one and as a feed of changes."""

    def member(self, audience_id: str, address: str) -> RemoteMember | None:
        """The member with this address in any state, archived too; None when there is none."""
        answer = self._about(Call("GET", _ONE), audience_id, address)
        return None if answer.status == 404 else read_member(object_of(answer))

    def contact(self, audience_id: str, contact_id: str) -> RemoteMember | None:
        """The member with this contact id, under whatever address; None when there is none, or ids are not taken.

        The id survives a change of the address (Marketing API, "List members"); newer contracts take it in a path.
        """
        answer = self._api.send(_for_member(Call("GET", _ONE), audience_id, contact_id))
        if answer.status in (400, 404, 405):
            return None
        found = read_member(object_of(answer))
        return found if found.contact_id == contact_id else None

    def members_changed(
        self,
        audience_id: str,
        *,
        since: datetime | None,
        before: datetime | None = None,
        status: Status | None = None,
    ) -> Iterator[tuple[RemoteMember, ...]]:
        """Members that changed at `since` or later, up to `before`, in pages of at most 1000 and without repeats.

        Whether archived members are part of it is not documented: ask for them with `status="archived"`. Deleted ones
        never appear. Memory stays flat. Raises AudienceGone.
        """
        query = _listing_query(_LISTED_FIELDS, before, status)
        fetch = partial(self._changed_page, audience_id, query, None)
        return changed_members(fetch, since=since, page_size=PAGE_SIZE)

    def member_pages(
        self,
        audience_id: str,
        *,
        since: datetime | None,
        before: datetime,
        clock: Callable[[], datetime],
        at_once: Callable[[], int],
        status: Status | None = None,
        with_values: bool = False,
        on_total: Callable[[int], None] | None = None,
    ) -> Iterator[FeedPage]:
        """The pages of `members_changed`, each with `clock` before it was asked for; a long listing by several calls.

        `at_once` tells before each page how many calls there may be at once. `with_values`: with their merge fields.
        `on_total` is told how many members there are, as the first page says.
        """
        fields = f"{_LISTED_FIELDS},members.merge_fields" if with_values else _LISTED_FIELDS
        query = _listing_query(fields, before, status)
        fetch = _telling_total(partial(self._changed_page, audience_id, query, clock), on_total)
        return changed_pages(fetch, since=since, page_size=PAGE_SIZE, at_once=at_once)

    def _changed_page(
        self,
        audience_id: str,
        query: Mapping[str, str],
        clock: Callable[[], datetime] | None,
        after: datetime | None,
        offset: int,
    ) -> FeedPage:
        asked = {**query, "count": str(PAGE_SIZE), "offset": str(offset)}
        # No start at all instead of a very early one: such a request was seen to hang.
        if after is not None:
            asked["since_last_changed"] = _time(after)
        ids = {"audience": audience_id}
        call = Call("GET", "/lists/{audience}/members", ids, asked, read_seconds=BULK_READ_SECONDS)
        asked_at = clock() if clock is not None else None
        page = self._api.read(call, missing=AudienceGone())
        return FeedPage(tuple(read_member(item) for item in objects(page, "members")), total_items(page), asked_at)

    def set_member_status(
        self, audience_id: str, address: str, status: Literal["subscribed", "unsubscribed", "pending"]
    ) -> MemberAnswer:
        """Set the status of a member that is there, on purpose; nobody is created.

        `pending` makes Mailchimp mail the person for a confirmation, once.
        """
        # No field that somebody made required may stand in the way.
        query = {"skip_merge_validation": "true"}
        answer = self._about(Call("PATCH", _ONE, query=query, body={"status": status}), audience_id, address)
        if answer.status == 400 and status == "unsubscribed":
            # PATCH may judge what the member holds in a field that we do not fill. PUT is another way to say the same;
            # the member is there, or else PATCH had answered 404, so nobody is created.
            body = {"email_address": mail_address(address), "status": status}
            other = self._about(Call("PUT", _ONE, query=query, body=body), audience_id, address)
            answer = other if other.is_success else answer
        return _member_answer(answer, address)

    def archive_member(self, audience_id: str, address: str) -> MemberAnswer:
        """Archive a member. One that is archived already is `done`; bounced and pending ones are refused."""
        answer = self._about(Call("DELETE", _ONE), audience_id, address)
        if answer.status != 405:
            return _member_answer(answer, address)
        # One text stands for three states, so the member is asked for its own.
        member = self.member(audience_id, address)
        if member is None:
            return MemberAnswer("absent")
        if member.status == "archived":
            return MemberAnswer("done", member)
        return MemberAnswer("refused", member, _refused_member(answer, address))

    def rename_member(self, audience_id: str, old: str, new: str, merge_fields: Mapping[str, object]) -> MemberAnswer:
        """Move a member to another address; only a subscribed one can be moved, and only to an address that is free.

        `absent` also when an earlier try did it already: send the new address as an ordinary update then. `unmoved`
        when Mailchimp took the call and left the address as it was.
        """
        # PATCH, not PUT: for an unknown old address PUT would create the new one.
        body = {"email_address": new, "merge_fields": dict(merge_fields)}
        call = Call("PATCH", _ONE, query={"skip_merge_validation": "true"}, body=body)
        answer = _member_answer(self._about(call, audience_id, old), new)
        # That PATCH moves a member is practice, not documented, so the answer is not taken at its status alone.
        is_unmoved = answer.member is not None and answer.member.address == mail_address(old)
        return replace(answer, outcome="unmoved") if is_unmoved else answer

    def delete_permanently(self, audience_id: str, address: str) -> MemberAnswer:
        """Erase a member for good: Mailchimp never takes the address again by API."""
        answer = self._about(Call("POST", _ONE + "/actions/delete-permanent"), audience_id, address)
        return _member_answer(answer, address)

    def _about(self, call: Call, audience_id: str, address: str) -> Answer:
        """Make a call about the member with this address.

        Audiences from before about 2015 have ids that are not the hash of the lower-cased address. Where the hash is
        not found the address itself is tried, which newer contracts accept in its place; and where its domain has a
        second spelling, that one.
        """
        answer = self._api.send(_for_member(call, audience_id, subscriber_hash(address)))
        if answer.status == 404 and "@" in address:
            answer = self._api.send(_for_member(call, audience_id, mail_address(address)))
        in_letters = address_in_letters(mail_address(address))
        if answer.status == 404 and not in_letters.isascii():
            answer = self._api.send(_for_member(call, audience_id, id_of_spelling(in_letters)))
        return answer


def _telling_total(
    fetch: Callable[[datetime | None, int], FeedPage], on_total: Callable[[int], None] | None
) -> Callable[[datetime | None, int], FeedPage]:
    """`fetch`, whose first page tells its total."""
    to_tell = [on_total] if on_total is not None else []

    def telling(after: datetime | None, offset: int) -> FeedPage:
        page = fetch(after, offset)
        if to_tell and page.total is not None:
            to_tell.pop()(page.total)
        return page

    return telling


def _listing_query(fields: str, before: datetime | None, status: Status | None) -> dict[str, str]:
    query = {"fields": f"{fields},total_items", "sort_field": "last_changed", "sort_dir": "ASC"}
    if before is not None:
        query["before_last_changed"] = _time(before)
    if status is not None:
        query["status"] = status
    return query


def _for_member(call: Call, audience_id: str, member: str) -> Call:
    ids = {"audience": audience_id, "member": member}
    return Call(call.method, call.template, ids, call.query, call.body)


def _member_answer(answer: Answer, address: str) -> MemberAnswer:
    if answer.status == 404:
        return MemberAnswer("absent")
    if answer.status in (400, 405):
        return MemberAnswer("refused", refused=_refused_member(answer, address))
    check_success(answer)
    document = answer.document
    return MemberAnswer("done", read_member(document) if isinstance(document, dict) else None)


def _refused_member(answer: Answer, address: str) -> RefusedMember:
    problem = problem_of(answer)
    name, message = problem.errors[0] if problem.errors else ("", "")
    text = f"{problem.title}: {problem.detail}"
    return RefusedMember(mail_address(address), text, "", name, message)


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
