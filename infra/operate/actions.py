"""What operators look at and do, on the service joined for a stage. Rows are plain values, ready for JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from chalicelib.domain.departments import Department
from chalicelib.errors import ServiceError, not_found

if TYPE_CHECKING:
    from chalicelib.container import Container

Row = dict[str, Any]


def departments(service: Container) -> list[Row]:
    """Every department with its state, by id."""
    return sorted((_department(each) for each in service.stores.departments.each()), key=lambda row: row["department"])


def _department(department: Department) -> Row:
    connection, audience = department.connection, department.audience
    return {
        "department": department.id,
        "name": department.name,
        "state": connection.state if connection else "not connected",
        "audience": audience.name if audience else None,
        "schedule": "paused" if department.settings.paused else "on" if department.runs_on_schedule else "off",
        "last_synced_at": department.last_synced_at.isoformat() if department.last_synced_at else None,
        "active_run": department.active_run_id or None,
        "webhook": bool(audience and audience.hook_id),
        "waiting_for_pracbill": department.backlog is not None,
    }


def run(service: Container, department_id: str, run_id: str | None) -> Row:
    """One run with its phases; without an id the newest. Raises RefuseRequest (404)."""
    known(service, department_id)
    if run_id is None:
        runs, _ = service.runs.list(department_id, limit=1, after=None)
        if not runs:
            raise not_found("This department has no sync yet.")
        run_id = runs[0].id
    return plain(service.runs.get(department_id, run_id))


def with_runs(service: Container) -> list[str]:
    """The departments that a sweep would look after: with an active run, or with segments whose run has not started."""
    return [each.id for each in service.stores.departments.each() if each.active_run_id or each.segments_waiting]


def sweep(service: Container) -> str:
    service.sweeper.sweep()
    return "Every active run was looked after."


def connected(service: Container, wanted: Sequence[str]) -> list[Department]:
    """The departments that have an audience, of those wanted, or of all. Raises RefuseRequest for an unknown one."""
    chosen = [known(service, each) for each in wanted] if wanted else list(service.stores.departments.each())
    return [department for department in chosen if department.is_connected and department.audience is not None]


def register_webhooks(service: Container, chosen: Sequence[Department]) -> list[Row]:
    """See that each department's audience has our webhook, at today's address."""
    return [{"department": department.id, "webhook": _registered(service, department)} for department in chosen]


def _registered(service: Container, department: Department) -> str:
    try:
        client = service.mailchimp_for(department, service.seams.request_time)
        audience = service.hooks.repair(department, client).audience
    except ServiceError as error:
        return error.message
    if audience is not None and audience.hook_id:
        return "in place"
    missing = (found.message for found in (audience.findings if audience else ()) if found.code == "webhook_missing")
    return next(missing, "not in place")


def ledger(service: Container, department_id: str, address: str | None) -> Iterator[Row]:
    """The ledger of an address, or of the whole department. Raises RefuseRequest."""
    department = known(service, department_id)
    if address is None:
        for key, entry in service.stores.ledger.all_entries(department.id):
            yield {"address_key": key, **plain(entry)}
        return
    key = service.eraser.key_of(department_id, address)
    for entry in service.stores.ledger.entries(department_id, key, most=10_000):
        yield {"address_key": key, **plain(entry)}


def erase(service: Container, department_id: str, address: str, *, by: str) -> list[Row]:
    """Erase whoever has an address. Raises ServiceError."""
    return [plain(receipt) for receipt in service.eraser.erase_address(department_id, address, by=by)]


def known(service: Container, department_id: str) -> Department:
    """The department. Raises RefuseRequest (404)."""
    department = service.stores.departments.get(department_id)
    if department is None:
        raise not_found(f"There is no department {department_id} here.")
    return department


def plain(value: Any) -> Row:
    """A frozen dataclass as JSON has it."""
    from chalicelib.store.documents import to_document

    document: Row = json.loads(to_document(value))
    return document
