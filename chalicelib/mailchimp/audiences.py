"""The account, its audiences and their merge fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.http_client.calls import Answer, Call
from chalicelib.mailchimp.answers import (
    Account,
    Audience,
    Audiences,
    objects,
    read_account,
    read_audience,
    read_audiences,
    read_merge_field,
    total_items,
)
from chalicelib.mailchimp.api import Resource, object_of
from chalicelib.mailchimp.errors import AudienceGone, NotPermitted, PlanLimitReached, problem_of, refused_request

if TYPE_CHECKING:
    from chalicelib.domain.audiences import MergeField, NewAudience


class AudienceCalls(Resource):
    """Account, audiences, merge fields."""

    def account(self) -> Account:
        """The account behind the key: the call that tells whether a key is good."""
        return read_account(self._api.read(Call("GET", "/")))

    def audiences(self) -> Audiences:
        """All audiences of the account, and whether another may be created."""
        pages = tuple(self._api.pages("/lists", "lists", ids={}, query={}))
        return read_audiences(tuple(item for page in pages for item in objects(page, "lists")), pages[0])

    def audience(self, audience_id: str) -> Audience:
        """Raises AudienceGone."""
        call = Call("GET", "/lists/{audience}", {"audience": audience_id})
        return read_audience(self._api.read(call, missing=AudienceGone()))

    def subscribed_count(self, audience_id: str) -> int:
        """How many members are subscribed now; the audience's own count is some minutes old. Raises AudienceGone."""
        query = {"status": "subscribed", "fields": "total_items", "count": "1"}
        call = Call("GET", "/lists/{audience}/members", {"audience": audience_id}, query)
        return total_items(self._api.read(call, missing=AudienceGone())) or 0

    def create_audience(self, new: NewAudience) -> Audience:
        """Raises PlanLimitReached, RequestRefused naming the fields, UncertainCreation."""
        answer = self._api.send(Call("POST", "/lists", body=_audience_body(new), creates=True))
        try:
            return read_audience(_created(answer))
        except NotPermitted:
            # For this call Mailchimp says the same for a plan's limit as for a missing right.
            raise PlanLimitReached() from None

    def merge_fields(self, audience_id: str) -> tuple[MergeField, ...]:
        """All merge fields but EMAIL, which Mailchimp does not list. Raises AudienceGone."""
        found = self._api.read_all(
            "/lists/{audience}/merge-fields",
            "merge_fields",
            ids={"audience": audience_id},
            query={},
            missing=AudienceGone(),
        )
        return tuple(read_merge_field(item) for item in found)

    def create_merge_field(self, audience_id: str, *, tag: str, name: str, type: str) -> MergeField:
        """Create a merge field; look at the answer's `tag`, which Mailchimp may have cut or replaced.

        Raises RequestRefused (for example when the audience has as many as it may), AudienceGone, UncertainCreation.
        """
        body = {"tag": tag, "name": name, "type": type, "required": False, "public": False}
        template, ids = "/lists/{audience}/merge-fields", {"audience": audience_id}
        answer = self._api.send(Call("POST", template, ids, body=body, creates=True))
        return read_merge_field(_created(answer, missing=AudienceGone()))


def _created(answer: Answer, missing: AudienceGone | None = None) -> dict[str, object]:
    if answer.status == 400:
        raise refused_request(problem_of(answer))
    return object_of(answer, missing=missing)


def _audience_body(new: NewAudience) -> dict[str, object]:
    return {
        "name": new.name,
        "contact": {
            "company": new.company,
            "address1": new.address.line1,
            "address2": new.address.line2,
            "city": new.address.city,
            "state": new.address.state,
            "zip": new.address.postcode,
            "country": new.address.country,
            "phone": "",
        },
        "permission_reminder": new.permission_reminder,
        "campaign_defaults": {
            "from_name": new.from_name,
            "from_email": new.from_email,
            "subject": "",
            "language": new.language,
        },
        "email_type_option": False,
        "double_optin": False,
    }
