"""The stand-in's levers over HTTP, below /_control: for tests and demos in other processes. Needs no token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from infra.standins.pracbill.answers import Answer, Refusal, Request, ok
from infra.standins.pracbill.department import CUSTOMER_FIELDS, Department, Record
from infra.standins.pracbill.faults import Fault
from infra.standins.pracbill.moments import parse_time
from infra.standins.pracbill.seeding import survey

if TYPE_CHECKING:
    from infra.standins.pracbill.standin import PracBillStandIn

_PAGE = 1_000


class Control:
    """Routes:

    GET    /_control                                      what there is: departments, counts, pending faults
    POST   /_control/departments {id, name?, timezone?, country?, currency?}
    GET    /_control/departments/{d}/customers?after=     up to 1,000 with their kinds
    POST   /_control/departments/{d}/customers {id, ...}  create or change; also `unset: [field]`, `touch: true`
    GET    /_control/departments/{d}/customers/{id}
    DELETE /_control/departments/{d}/customers/{id}
    POST   /_control/departments/{d}/customers/{id}/consent {status, changed_at?}
    POST   /_control/departments/{d}/customers/{id}/invoices {amount, issued_at?}
    POST   /_control/departments/{d}/customers/{id}/payments {amount}
    POST   /_control/departments/{d}/generate {count, seed?}
    GET    /_control/departments/{d}/kinds                ids by kind
    GET    /_control/departments/{d}/survey               counts of what customers differ in
    GET    /_control/departments/{d}/consent-changes      the journal, oldest first
    GET    /_control/calls                                calls of PracBill's API: counts, and the last 1,000
    DELETE /_control/calls
    GET, POST, DELETE /_control/faults                    a body as the fields of faults.Fault
    POST   /_control/tokens {subject, mailchimp_access, expires_in?, alg?, claims?, published_key?}
    POST   /_control/keys/rotate {keep_old?}
    POST   /_control/keys/retire
    POST   /_control/save                                 write the state file now
    """

    def __init__(self, standin: PracBillStandIn) -> None:
        self._standin = standin

    def answer(self, request: Request) -> Answer:
        """Raises Refusal: 404 for what is not there, 400 for what cannot be read."""
        try:
            return ok(self._route(request))
        except KeyError as error:
            raise Refusal(404, f"There is no {error.args[0]}.") from None
        except (ValueError, TypeError, ArithmeticError) as error:
            raise Refusal(400, str(error)) from None

    def _route(self, request: Request) -> object:
        match request.method, request.segments[1:]:
            case "GET", ():
                return self._overview()
            case "POST", ("departments",):
                body = _body(request)
                return self._standin.add_department(str(_required(body, "id")), **_without_id(body)).details
            case _, ("departments", department_id, *more):
                return self._route_department(request, self._standin.department(department_id), tuple(more))
            case _, ("calls",):
                return self._calls(request)
            case _, ("faults",):
                return self._faults(request)
            case "POST", ("tokens",):
                return {"token": self._standin.issuer_keys.mint(**_body(request))}
            case "POST", ("keys", "rotate"):
                return {"kids": self._standin.issuer_keys.rotate(**_body(request))}
            case "POST", ("keys", "retire"):
                return {"kids": self._standin.issuer_keys.retire_old_keys()}
            case "POST", ("save",):
                self._standin.save()
                return {"saved": True}
        raise Refusal(404, "There is no such lever.")

    def _route_department(self, request: Request, department: Department, rest: tuple[str, ...]) -> object:
        match request.method, rest:
            case "GET", ("customers",):
                page = department.page_after(request.query.get("after") or None, _PAGE)
                return {"customers": [_shown(record) for record in page]}
            case "POST", ("customers",):
                return _shown(_upsert(department, _body(request)))
            case _, ("customers", customer_id, *more):
                return _route_customer(request, department, customer_id, tuple(more))
            case "POST", ("generate",):
                body = _body(request)
                return {"customers": self._standin.generate(department_id=str(department.details["id"]), **body)}
            case "GET", ("kinds",):
                return self._standin.kinds(department_id=str(department.details["id"]))
            case "GET", ("survey",):
                return survey([record.document for record in department.records()], now=self._standin.now())
            case "GET", ("consent-changes",):
                changes = self._standin.consent_changes(department_id=str(department.details["id"]))
                return {"changes": [change.to_json() for change in changes]}
        raise Refusal(404, "There is no such lever.")

    def _overview(self) -> object:
        departments = {
            department_id: {**department.details, "customer_count": len(department.records())}
            for department_id, department in self._standin.departments.items()
        }
        return {"departments": departments, "faults": self._standin.faults.pending()}

    def _calls(self, request: Request) -> object:
        if request.method == "DELETE":
            self._standin.calls.clear()
            self._standin.call_counts.clear()
        return {
            "counts": dict(self._standin.call_counts),
            "calls": [asdict(call) for call in list(self._standin.calls)],
        }

    def _faults(self, request: Request) -> object:
        if request.method == "DELETE":
            self._standin.faults.clear()
        elif request.method == "POST":
            self._standin.faults.add(Fault.from_json(_body(request)))
        return {"faults": self._standin.faults.pending()}


def _route_customer(request: Request, department: Department, customer_id: str, rest: tuple[str, ...]) -> object:
    record = department.get(customer_id)
    if record is None or (record.deleted and request.method == "POST"):
        raise KeyError(f"customer {customer_id}")
    body = _body(request) if request.body else {}
    levers: dict[tuple[str, tuple[str, ...]], Callable[[], Record | bool]] = {
        ("GET", ()): lambda: record,
        ("DELETE", ()): lambda: department.remove(customer_id),
        ("POST", ("consent",)): lambda: department.set_consent(
            customer_id, _required(body, "status"), changed_at=_optional_time(body, "changed_at")
        ),
        ("POST", ("invoices",)): lambda: department.add_invoice(
            customer_id, str(_required(body, "amount")), issued_at=_optional_time(body, "issued_at")
        ),
        ("POST", ("payments",)): lambda: department.add_payment(customer_id, str(_required(body, "amount"))),
    }
    if (request.method, rest) not in levers:
        raise Refusal(404, "There is no such lever.")
    result = levers[request.method, rest]()
    return _shown(result) if isinstance(result, Record) else {"removed": result}


def _upsert(department: Department, body: dict[str, Any]) -> Record:
    customer_id, unset, touch = str(_required(body, "id")), body.get("unset", []), body.get("touch") is True
    if unknown := [name for name in unset if name not in CUSTOMER_FIELDS]:
        raise ValueError(f"{unknown[0]} is not a field of a customer")
    fields = {name: value for name, value in _without_id(body).items() if name not in ("unset", "touch")}
    return department.upsert(customer_id, fields, unset=unset, touch=touch)


def _shown(record: Record) -> dict[str, Any]:
    return {"customer": record.document, "kind": record.kind}


def _body(request: Request) -> dict[str, Any]:
    body = request.json() if request.body else {}
    if not isinstance(body, dict):
        raise TypeError("the body must be an object")
    return body


def _required(body: dict[str, Any], name: str) -> Any:
    if name not in body:
        raise ValueError(f"{name} is needed")
    return body[name]


def _without_id(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "id"}


def _optional_time(body: dict[str, Any], name: str) -> Any:
    return parse_time(body[name]) if body.get(name) is not None else None
