"""Sending members in bulk: one `POST /lists/{id}` for up to 500 of them, answered member by member."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from chalicelib.domain.customers import mail_address
from chalicelib.http_client.calls import Call, FailedAlike
from chalicelib.mailchimp.answers import (
    Document,
    PushAnswer,
    RefusedMember,
    failed_member,
    objects,
    read_member,
    read_refused,
)
from chalicelib.mailchimp.api import Resource, bulk_read_seconds, object_of
from chalicelib.mailchimp.dividing import Culprit, DividedCall, halves
from chalicelib.mailchimp.errors import AudienceGone, problem_of, refused_whole

MOST_MEMBERS_A_CALL = 500
# Our own code, beside Mailchimp's ERROR_GENERIC and ERROR_CONTACT_EXISTS: the member spoiled the call for all.
SPOILED_CALL = "SPOILED_CALL"

PushMember = Mapping[str, Any]


class PushCalls(Resource):
    """The bulk call."""

    def push(self, audience_id: str, members: Sequence[PushMember], *, tries: int | None = None) -> PushAnswer:
        """Create or update members; each is an object of the bulk call with `email_address`, no address twice.

        Safe to repeat. Existing members keep their status unless the object has `status`. Required merge fields may
        be empty: a field that somebody made required for a form must not keep all customers out. `tries` limits how
        often the call is made. Raises WholeCallRefused, AudienceGone.
        """
        if len(members) > MOST_MEMBERS_A_CALL:
            raise ValueError(f"more than {MOST_MEMBERS_A_CALL} members in one call")
        if not members:
            return PushAnswer()
        body = {"members": list(members), "update_existing": True, "sync_tags": False}
        ids, query = {"audience": audience_id}, {"skip_merge_validation": "true"}
        read_seconds = bulk_read_seconds(len(members))
        call = Call(
            "POST", "/lists/{audience}", ids, query, body=body, read_seconds=read_seconds, tries=tries, divisible=True
        )
        answer = self._api.send(call)
        if answer.status == 400:
            raise refused_whole(problem_of(answer))
        return _read_answer(object_of(answer, missing=AudienceGone()), members)

    def push_surely(
        self, audience_id: str, members: Sequence[PushMember], *, go_on: Callable[[], bool] = lambda: True
    ) -> PushAnswer:
        """Push, and when the call fails as a whole find those who make it fail: they are refused, the others go.

        Opt-outs go first, apart from the others. The rest is left `untried` when `go_on` says no between two calls, or
        when an error comes after some have a result; it is `unsettled` when Mailchimp refuses all and everything.
        Raises what `push` raises, but not WholeCallRefused.
        """
        if not members:
            return PushAnswer()
        call = DividedCall(
            lambda part, once: self.push(audience_id, part, tries=1) if once else self.push(audience_id, part),
            is_up=self.is_up,
            go_on=go_on,
            cut=_opt_outs_first,
        )
        divided = call.make(sorted(members, key=lambda member: not _is_opt_out(member)))
        refused = PushAnswer(
            refused=tuple(_refused(culprit) for culprit in divided.culprits),
            unsettled=_addresses(divided.unsettled),
            untried=_addresses(divided.untried),
        )
        return sum(divided.got, PushAnswer()) + refused


def _is_opt_out(member: PushMember) -> bool:
    return member.get("status") == "unsubscribed"


def _opt_outs_first(members: tuple[PushMember, ...]) -> list[tuple[PushMember, ...]]:
    """Opt-outs and the others apart, then halves."""
    opt_outs = sum(map(_is_opt_out, members))
    return [members[:opt_outs], members[opt_outs:]] if 0 < opt_outs < len(members) else halves(members)


def _refused(culprit: Culprit[PushMember]) -> RefusedMember:
    address, cause = _address(culprit.item), culprit.cause
    if isinstance(cause, FailedAlike):
        return failed_member(address, cause)
    name, message = (culprit.error.field, culprit.error.message) if culprit.error else ("", "")
    return RefusedMember(address, cause.detail, SPOILED_CALL, name, message)


def _read_answer(document: Document, members: Sequence[PushMember]) -> PushAnswer:
    created = tuple(read_member(item) for item in objects(document, "new_members"))
    updated = tuple(read_member(item) for item in objects(document, "updated_members"))
    refused = tuple(read_refused(item) for item in objects(document, "errors"))
    spoken_of = {member.address for group in (created, updated, refused) for member in group}
    sent = (_address(member) for member in members)
    return PushAnswer(created, updated, refused, tuple(address for address in sent if address not in spoken_of))


def _addresses(members: Iterable[PushMember]) -> tuple[str, ...]:
    return tuple(map(_address, members))


def _address(member: PushMember) -> str:
    return mail_address(str(member.get("email_address") or ""))
