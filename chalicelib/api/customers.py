"""One customer, and the count of all of them."""

from __future__ import annotations

from chalicelib.api.bodies import EraseBody, NoBody
from chalicelib.api.queries import HistoryQuery, NoQuery, SearchQuery
from chalicelib.api.routing import Call, Need, PlainCall, Routes
from chalicelib.contract.customers import CustomerView, ErasureReceipt, FoundCustomers, Reconciliation
from chalicelib.contract.runs import History
from chalicelib.domain.limits import RECONCILIATIONS, SEARCHES
from chalicelib.errors import FieldError, bad_input

routes = Routes("Customers")


@routes.get("/departments/{department_id}/customers", needs=Need.READ, allowance=SEARCHES)
def find_customers(call: Call[NoBody, SearchQuery]) -> FoundCustomers:
    """Find customers by e-mail address, id, company or name, at most 20.

    A text with an @ is an address, to be given in full. Any other is an id, given in full, or a part of the company's,
    first or last name, whatever its case. Without a text nobody is found.
    """
    return call.services.search.find(call.department_id, call.query.query or "")


@routes.get("/departments/{department_id}/customers/{customer_id}", needs=Need.READ)
def explain_customer(call: PlainCall) -> CustomerView:
    """Say why a customer is, or is not, in the audience and in each segment."""
    return call.services.customers.explain(call.department_id, call.path["customer_id"])


@routes.post("/departments/{department_id}/customers/{customer_id}/erase", needs=Need.WRITE)
def erase_customer(call: Call[EraseBody, NoQuery]) -> ErasureReceipt:
    """Erase what is known of a customer here and in Mailchimp, for good. `confirm` repeats the customer's id."""
    customer_id = call.path["customer_id"]
    if call.body.confirm != customer_id:
        raise bad_input(FieldError("confirm", "Repeat the id of the customer.", "not_repeated"))
    return call.services.customers.erase(call.department_id, customer_id, by=call.by)


@routes.get("/departments/{department_id}/history", needs=Need.READ)
def read_history(call: Call[NoBody, HistoryQuery]) -> History:
    """Show members, customers, additions and opt-outs day by day. Days without a sync or an opt-out are left out."""
    return call.services.history.get(call.department_id, days=call.query.days)


@routes.get("/departments/{department_id}/reconciliation", needs=Need.READ, allowance=RECONCILIATIONS)
def read_reconciliation(call: PlainCall) -> Reconciliation:
    """Hold PracBill's count of customers against Mailchimp's, the whole difference split by reason."""
    return call.services.reconciliation.get(call.department_id)
