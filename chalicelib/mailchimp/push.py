"""Sending members in bulk: one `POST /lists/{id}` for up to 500 of them, answered member by member."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from chalicelib.domain.customers import mail_address
from chalicelib.errors import RetryLater
from chalicelib.http_client.calls import Call
from chalicelib.mailchimp.answers import Document, PushAnswer, RefusedMember, objects, read_member, read_refused
from chalicelib.mailchimp.api import BULK_READ_SECONDS, Resource, object_of
from chalicelib.mailchimp.errors import AudienceGone, WholeCallRefused, problem_of, refused_whole

MOST_MEMBERS_A_CALL = 500
# A culprit that Mailchimp does not name is found among 500 members in 18 calls, half of which get somebody through.
# Where that many get nobody through, the members are not to blame.
MOST_CALLS_IN_VAIN = 40
# Our own code, beside Mailchimp's ERROR_GENERIC and ERROR_CONTACT_EXISTS: the member spoiled the call for all.
SPOILED_CALL = "SPOILED_CALL"

PushMember = Mapping[str, Any]


class PushCalls(Resource):
    """The bulk call."""

    def push(self, audience_id: str, members: Sequence[PushMember]) -> PushAnswer:
        """Create or update members; each is an object of the bulk call with `email_address`, no address twice.

        Safe to repeat. Existing members keep their status unless the object has `status`. Required merge fields may
        be empty: a field that somebody made required for a form must not keep all customers out. Raises
        WholeCallRefused, AudienceGone.
        """
        if len(members) > MOST_MEMBERS_A_CALL:
            raise ValueError(f"more than {MOST_MEMBERS_A_CALL} members in one call")
        if not members:
            return PushAnswer()
        body = {"members": list(members), "update_existing": True, "sync_tags": False}
        ids, query = {"audience": audience_id}, {"skip_merge_validation": "true"}
        answer = self._api.send(
            Call("POST", "/lists/{audience}", ids, query, body=body, read_seconds=BULK_READ_SECONDS)
        )
        if answer.status == 400:
            raise refused_whole(problem_of(answer))
        return _read_answer(object_of(answer, missing=AudienceGone()), members)

    def push_surely(
        self, audience_id: str, members: Sequence[PushMember], *, go_on: Callable[[], bool] = lambda: True
    ) -> PushAnswer:
        """Push, and when the call is refused as a whole find those who spoil it: they are refused, the others go.

        Members that Mailchimp names are taken out; where it names none the call is halved. The rest is left `untried`
        when `go_on` says no between two calls, or when a fault comes after somebody was settled; it is `unsettled`
        when Mailchimp refuses all and everything. Raises what `push` raises, but not WholeCallRefused.
        """
        answer, waiting, in_vain = PushAnswer(), [tuple(members)], 0
        while waiting:
            if in_vain >= MOST_CALLS_IN_VAIN:
                return answer + PushAnswer(unsettled=_addresses(waiting))
            if answer != PushAnswer() and not go_on():
                break
            part = waiting.pop()
            try:
                answer += self.push(audience_id, part)
                in_vain = 0
            except WholeCallRefused as refusal:
                spoilers, rest = _part_spoilers(part, refusal)
                answer += PushAnswer(refused=spoilers)
                waiting += rest
                # Who is named by Mailchimp is out of the way, even where it names one a call.
                in_vain = 0 if spoilers and rest else in_vain + 1
            except RetryLater:
                if answer == PushAnswer():
                    raise
                waiting.append(part)
                break
        return answer + PushAnswer(untried=_addresses(waiting))


def _part_spoilers(
    part: tuple[PushMember, ...], refusal: WholeCallRefused
) -> tuple[tuple[RefusedMember, ...], list[tuple[PushMember, ...]]]:
    """Who is to blame for a refused call, and the parts that are to be tried without them."""
    named = {
        error.index: RefusedMember(
            _address(part[error.index]), refusal.detail, SPOILED_CALL, error.field, error.message
        )
        for error in reversed(refusal.errors)  # of several reasons for one member the first is kept
        if error.index is not None and error.index < len(part)
    }
    if named:
        rest = tuple(member for index, member in enumerate(part) if index not in named)
        return tuple(named.values()), [rest] if rest else []
    if len(part) == 1:
        name, message = (refusal.errors[0].field, refusal.errors[0].message) if refusal.errors else ("", "")
        return (RefusedMember(_address(part[0]), refusal.detail, SPOILED_CALL, name, message),), []
    middle = len(part) // 2
    return (), [part[middle:], part[:middle]]


def _read_answer(document: Document, members: Sequence[PushMember]) -> PushAnswer:
    created = tuple(read_member(item) for item in objects(document, "new_members"))
    updated = tuple(read_member(item) for item in objects(document, "updated_members"))
    refused = tuple(read_refused(item) for item in objects(document, "errors"))
    spoken_of = {member.address for group in (created, updated, refused) for member in group}
    sent = (_address(member) for member in members)
    return PushAnswer(created, updated, refused, tuple(address for address in sent if address not in spoken_of))


def _addresses(parts: Iterable[Sequence[PushMember]]) -> tuple[str, ...]:
    return tuple(_address(member) for part in parts for member in part)


def _address(member: PushMember) -> str:
    return mail_address(str(member.get("email_address") or ""))
