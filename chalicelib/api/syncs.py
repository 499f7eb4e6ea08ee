"""Runs: start a sync, watch it, decide about it."""

from __future__ import annotations

from chalicelib.api.bodies import NoBody, StartSyncBody
from chalicelib.api.cursors import Listing
from chalicelib.api.queries import NoQuery, PageQuery, RecordsQuery
from chalicelib.api.routing import Call, Need, PlainCall, Routes
from chalicelib.contract.common import Page
from chalicelib.contract.runs import RecordView, RunView
from chalicelib.domain.limits import LISTS

routes = Routes("Syncs")
_RECORD_COLUMNS = ("customer_id", "address", "action", "outcome", "code", "cause", "fix", "at")


@routes.post("/departments/{department_id}/syncs", needs=Need.WRITE, status=202)
def start_sync(call: Call[StartSyncBody, NoQuery]) -> RunView:
    """Start a sync.

    `incremental` syncs what changed, `full` everything. The run goes on in the background; while one is active another
    is refused with 409, and the active one is shown. A dry run ends with the plan and sends nothing.
    """
    return call.services.runs.start(call.department_id, call.body.type, dry_run=call.body.dry_run, by=call.by)


@routes.get("/departments/{department_id}/syncs", needs=Need.READ)
def list_syncs(call: Call[NoBody, PageQuery]) -> Page[RunView]:
    """List the department's runs, the newest first."""
    listing = Listing("syncs", call.department_id)
    after = listing.key_after(call.query.cursor)
    return listing.page(call.services.runs.list(call.department_id, limit=call.query.limit, after=after))


@routes.get("/departments/{department_id}/syncs/{run_id}", needs=Need.READ)
def read_sync(call: PlainCall) -> RunView:
    """Show a run: its phase, its progress, what was done so far."""
    return call.services.runs.get(call.department_id, call.path["run_id"])


@routes.get(
    "/departments/{department_id}/syncs/{run_id}/records",
    needs=Need.READ,
    csv_columns=_RECORD_COLUMNS,
    allowance=LISTS,
)
def list_sync_records(call: Call[NoBody, RecordsQuery]) -> Page[RecordView]:
    """List what a run did for single customers, those that were unchanged left out.

    Problems come first: failed, refused, held, partly sent, then planned and done. A page may be short, even empty,
    though `next_cursor` says that there is more: a filter looks at so many records and no more.
    """
    run_id, query = call.path["run_id"], call.query
    filters = (run_id, ",".join(query.outcome or ()), query.code, query.action, query.customer_id)
    listing = Listing("records", call.department_id, filters)
    return listing.page(
        call.services.records.list(
            call.department_id,
            run_id,
            outcomes=query.outcome or (),
            code=query.code,
            action=query.action,
            customer_id=query.customer_id,
            limit=query.rows(is_csv=call.is_csv),
            after=listing.key_after(query.cursor),
        )
    )


@routes.post("/departments/{department_id}/syncs/{run_id}/approve", needs=Need.WRITE)
def approve_sync(call: PlainCall) -> RunView:
    """Let a run go on that stopped for approval."""
    return call.services.runs.approve(call.department_id, call.path["run_id"], by=call.by)


@routes.post("/departments/{department_id}/syncs/{run_id}/cancel", needs=Need.WRITE)
def cancel_sync(call: PlainCall) -> RunView:
    """Stop a run. What is done stays done; the rest is left to the next sync."""
    return call.services.runs.cancel(call.department_id, call.path["run_id"], by=call.by)


@routes.post("/departments/{department_id}/syncs/{run_id}/retry", needs=Need.WRITE, status=202)
def retry_sync(call: PlainCall) -> RunView:
    """Start a new run of what failed in this one."""
    return call.services.runs.retry(call.department_id, call.path["run_id"], by=call.by)
