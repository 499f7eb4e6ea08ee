"""The department's one primary audience, and the audiences it can be chosen from."""

from __future__ import annotations

from dataclasses import replace

from chalicelib.api.bodies import NewAudienceBody, NoBody, SelectAudienceBody
from chalicelib.api.cursors import Listing
from chalicelib.api.queries import AudiencesQuery, NoQuery
from chalicelib.api.routing import Call, Need, PlainCall, Routes
from chalicelib.contract.account import AudienceList, AudienceOverview

routes = Routes("Audience")


@routes.get("/departments/{department_id}/audiences", needs=Need.READ)
def list_audiences(call: Call[NoBody, AudiencesQuery]) -> AudienceList:
    """List the account's audiences, and say whether another may be created.

    With a name it tells whether the account has an audience of that name already: Mailchimp allows a second one, which
    nobody can tell from the first.
    """
    query = call.query
    found = call.services.audiences.list(call.department_id, name=query.name)
    page = Listing("audiences", call.department_id, (query.name,)).page_of_all(
        found.items, key=lambda audience: audience.id, limit=query.limit, cursor=query.cursor
    )
    return replace(found, items=page.items, next_cursor=page.next_cursor)


@routes.post("/departments/{department_id}/audiences", needs=Need.WRITE, status=201, takes_key=True)
def create_audience(call: Call[NewAudienceBody, NoQuery]) -> AudienceOverview:
    """Create an audience and select it.

    Where the account's plan allows no further audience, the answer is a 409 that explains it and offers the audiences
    there are. A request that comes again with the same `Idempotency-Key` creates no second audience.
    """
    return call.services.audiences.create(call.department_id, call.body.to_audience(), by=call.by, key=call.key)


@routes.put("/departments/{department_id}/audience", needs=Need.WRITE)
def select_audience(call: Call[SelectAudienceBody, NoQuery]) -> AudienceOverview:
    """Select the primary audience.

    Checks it, adds missing merge fields, registers the webhook and starts a first run that reads every member before
    anything is sent.
    """
    return call.services.audiences.select(call.department_id, call.body.audience_id, by=call.by)


@routes.get("/departments/{department_id}/audience", needs=Need.READ)
def read_audience(call: PlainCall) -> AudienceOverview:
    """Show the primary audience: its name, member count, number of segments, last sync."""
    return call.services.audiences.overview(call.department_id)
