"""The stand-in with one thing broken at a time: what a PracBill that is not ready yet looks like."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from infra.standins.pracbill import PracBillStandIn
from infra.standins.pracbill.answers import Answer, Refusal, Request, encode, ok
from infra.standins.pracbill.api import Cursor
from infra.standins.pracbill.consent import address_key
from infra.standins.pracbill.department import id_key, make_record
from infra.standins.pracbill.moments import format_time, parse_time

Page = dict[str, Any]
Proceed = Callable[[Request], Answer]
# Takes the stand-in, the request, and the way to the true answer.
Alter = Callable[["Broken", Request, Proceed], Answer]


class Broken(PracBillStandIn):
    """`alter` stands between every caller and the true answer; `memory` is its own."""

    def __init__(self, alter: Alter, **options: Any) -> None:
        self._alter = alter
        self.memory: dict[str, Any] = {}
        super().__init__(**options)

    def respond(self, request: Request) -> Answer:
        return self._alter(self, request, super().respond)


@dataclass(frozen=True)
class Variant:
    """`breaks` are the requirements that must be reported as not met, `advice` those as advice: no more, no fewer."""

    name: str
    alter: Alter
    breaks: frozenset[str] = frozenset()
    advice: frozenset[str] = frozenset()


VARIANTS: list[Variant] = []


def variant(*breaks: str, advice: tuple[str, ...] = ()) -> Callable[[Alter], Alter]:
    def register(alter: Alter) -> Alter:
        VARIANTS.append(Variant(alter.__name__, alter, frozenset(breaks), frozenset(advice)))
        return alter

    return register


def is_list(request: Request) -> bool:
    return request.method == "GET" and request.segments[-1] == "customers" and request.segments[0] == "departments"


def is_changes(request: Request) -> bool:
    return is_list(request) and "updated_since" in request.query


def is_all(request: Request) -> bool:
    return is_list(request) and not is_changes(request)


def is_write(request: Request) -> bool:
    return request.method == "POST" and request.segments[-1] == "marketing-consent"


def repage(answer: Answer, change: Callable[[Page], None]) -> Answer:
    if answer.status != 200:
        return answer
    page = answer.json()
    change(page)
    return replace(answer, body=encode(page))


def without(field: str) -> Callable[[Page], None]:
    def change(page: Page) -> None:
        for customer in page["customers"]:
            customer.pop(field, None)

    return change


def with_query(request: Request, **changes: str | None) -> Request:
    query = {name: value for name, value in {**request.query, **changes}.items() if value is not None}
    return replace(request, query=query)


def with_token(standin: PracBillStandIn, request: Request) -> Request:
    return replace(request, headers={**request.headers, "authorization": f"Bearer {standin.token}"})


def each_customer(change: Callable[[Page], None]) -> Alter:
    """Changes every customer, removed ones not, of both lists."""

    def alter(standin: Broken, request: Request, proceed: Proceed) -> Answer:
        answer = proceed(request)
        if not is_list(request):
            return answer

        def change_all(page: Page) -> None:
            for customer in page["customers"]:
                if "deleted" not in customer:
                    change(customer)

        return repage(answer, change_all)

    return alter


# Access


@variant("token-required")
def answers_without_a_token(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    return proceed(request if "authorization" in request.headers or is_write(request) else with_token(standin, request))


@variant("token-checked")
def takes_any_token(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    return proceed(
        with_token(standin, request) if "authorization" in request.headers and not is_write(request) else request
    )


@variant("consent-token-required")
def writes_consent_without_a_token(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    return proceed(with_token(standin, request) if is_write(request) else request)


@variant("unknown-department")
def shows_unknown_departments_as_empty(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    try:
        return proceed(request)
    except Refusal as refusal:
        if refusal.status == 404 and is_list(request):
            return ok({"customers": [], "next_after": None, "next_cursor": None, "as_of": format_time(standin.now())})
        raise


@variant("bad-updated-since-refused")
def takes_any_time(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    if is_changes(request):
        try:
            parse_time(request.query["updated_since"])
        except ValueError:
            return proceed(with_query(request, updated_since="1970-01-01T00:00:00Z"))
    return proceed(request)


@variant("bad-cursor-refused")
def starts_over_at_a_bad_cursor(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    return proceed(with_query(request, cursor=None) if request.query.get("cursor") == "made-up-cursor" else request)


@variant(advice=("bad-limit-refused",))
def takes_any_limit(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    known = request.query.get("limit", "1").isdigit() and request.query.get("limit") != "0"
    return proceed(request if known else with_query(request, limit="1"))


@variant(advice=("errors-are-problems",))
def refuses_in_plain_json(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    try:
        answer = proceed(request)
    except Refusal as refusal:
        answer = refusal.answer()
    return replace(answer, content_type="application/json")


# The department


@variant("department-read")
def has_a_made_up_time_zone(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    answer = proceed(request)
    is_department = request.segments[0] == "departments" and len(request.segments) == 2
    return repage(answer, lambda d: d.update(timezone="Melbourne")) if is_department else answer


@variant("department-read")
def has_no_currency(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    answer = proceed(request)
    is_department = request.segments[0] == "departments" and len(request.segments) == 2
    return repage(answer, lambda d: d.pop("currency")) if is_department else answer


# All customers


@variant("customers-in-order")
def lists_customers_out_of_order(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    def swap(page: Page) -> None:
        page["customers"][:2] = page["customers"][:2][::-1]

    limit = request.query.get("limit", "")
    long_enough = is_all(request) and limit.isdigit() and int(limit) > 2
    return repage(proceed(request), swap) if long_enough else proceed(request)


@variant("customers-page-shape")
def leaves_next_after_out_at_the_end(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    answer = proceed(request)

    def leave_out(page: Page) -> None:
        if page["next_after"] is None:
            del page["next_after"]

    return repage(answer, leave_out) if is_all(request) else answer


@variant("customers-page-shape")
def calls_next_after_next(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    answer = proceed(request)
    return repage(answer, lambda p: p.update(next=p.pop("next_after"))) if is_all(request) else answer


@variant("customers-page-shape")
def ends_with_an_empty_next_after(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    answer = proceed(request)
    return repage(answer, lambda p: p.update(next_after=p["next_after"] or "")) if is_all(request) else answer


@variant("customers-next-after")
def repeats_next_after(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    answer = proceed(request)
    stuck = is_all(request) and request.query.get("after") and request.query["limit"] != "1"
    return repage(answer, lambda p: p.update(next_after=request.query["after"])) if stuck else answer


@variant("customers-once")
def lists_the_last_customer_twice(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    def repeat(page: Page) -> None:
        if page["next_after"] is None and 0 < len(page["customers"]) < int(request.query["limit"]):
            page["customers"].append(page["customers"][-1])

    return repage(proceed(request), repeat) if is_all(request) else proceed(request)


@variant("customers-once")
def lists_a_customer_on_two_pages(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    answer = proceed(request)
    if not is_all(request) or request.query["limit"] == "1" or not request.query.get("after"):
        return answer
    last = standin.customer(request.query["after"])

    def repeat(page: Page) -> None:
        page["customers"] = [last, *page["customers"]][: int(request.query["limit"])]
        page["next_after"] = page["next_after"] and page["customers"][-1]["id"]

    return repage(answer, repeat)


@variant("customers-limit-kept")
def ignores_the_limit_of_all_customers(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    known = is_all(request) and request.query.get("limit", "").isdigit() and 1 < int(request.query["limit"]) <= 500
    return proceed(with_query(request, limit="500") if known else request)


@variant("customers-after-gone")
def looks_for_the_customer_in_after(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    after = request.query.get("after")
    if after and all(document["id"] != after for document in standin.customers()):
        return ok({"customers": [], "next_after": None})
    return proceed(request)


@variant("customers-same-twice")
def loses_a_customer_at_some_limits(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    answer = proceed(request)
    first_page = is_all(request) and not request.query.get("after") and 1 < int(request.query["limit"]) < 500
    return repage(answer, lambda p: p["customers"].pop(0)) if first_page else answer


# Fields


@variant("id-and-updated-at", "customers-next-after")
def sends_ids_as_numbers(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    def change(customer: Page) -> None:
        customer["id"] = int(customer["id"])

    return each_customer(change)(standin, request, proceed)


@variant("id-and-updated-at")
def has_customers_without_updated_at(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    def change(customer: Page) -> None:
        if customer["id"].endswith("2"):
            del customer["updated_at"]

    return each_customer(change)(standin, request, proceed)


@variant("field-types")
def sends_inactive_as_a_truth_value(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    return each_customer(lambda c: c.update(inactive=c.get("inactive") == "1"))(standin, request, proceed)


@variant("field-types")
def sends_balances_as_numbers(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    return each_customer(lambda c: c.update(balance=12.5))(standin, request, proceed)


@variant("field-types")
def writes_balances_with_a_currency(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    return each_customer(lambda c: c.update(balance="$1,200.00"))(standin, request, proceed)


@variant("field-types")
def sends_another_word_for_consent(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    def change(customer: Page) -> None:
        if int(customer["id"]) < 90_000:
            customer["marketing_consent"] = {"status": "yes"}

    return each_customer(change)(standin, request, proceed)


@variant("field-types")
def sends_the_address_as_one_text(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    return each_customer(lambda c: c.update(address="12 Station St, Coburg"))(standin, request, proceed)


@variant("times-have-zone")
def writes_created_at_without_a_zone(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    return each_customer(lambda c: c.update(created_at="2021-07-01T09:30:00"))(standin, request, proceed)


@variant("times-have-zone")
def writes_the_last_invoice_as_a_date(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    return each_customer(lambda c: c.update(last_invoice_at="2021-07-01"))(standin, request, proceed)


@variant("times-have-zone")
def writes_updated_at_without_a_zone(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    return each_customer(lambda c: c.update(updated_at=c["updated_at"].rstrip("Z")))(standin, request, proceed)


@variant("updated-at-moves")
def forgets_to_move_updated_at_for_an_invoice(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    """The invoice comes after the first reading and before the changes are read."""
    answer = proceed(request)
    standin.memory["invoiced"] = standin.memory.get("invoiced") or (
        is_changes(request) and request.query["limit"] != "1"
    )
    invoiced = standin.memory["invoiced"] and is_list(request)

    def invoice(page: Page) -> None:
        for customer in page["customers"]:
            if customer["id"] == standin.customers()[5]["id"]:
                customer["balance"] = "999.99"

    return repage(answer, invoice) if invoiced else answer


@variant("updated-at-moves")
def forgets_to_move_updated_at_for_a_consent(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    def change(customer: Page) -> None:
        if (customer.get("marketing_consent") or {}).get("changed_at"):
            later = parse_time(customer["updated_at"]) + timedelta(seconds=1)
            customer["marketing_consent"]["changed_at"] = format_time(later)

    return each_customer(change)(standin, request, proceed)


# Changes


@variant("changes-in-order")
def lists_changes_out_of_order(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    def swap(page: Page) -> None:
        page["customers"][:2] = page["customers"][:2][::-1]

    long_enough = is_changes(request) and 2 < int(request.query["limit"]) < 500
    return repage(proceed(request), swap) if long_enough else proceed(request)


@variant("changes-cursor-moves")
def repeats_the_cursor(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    answer = proceed(request)
    stuck = is_changes(request) and request.query.get("cursor") and request.query["limit"] != "1"
    return repage(answer, lambda p: p.update(next_cursor=request.query["cursor"])) if stuck else answer


@variant("changes-page-shape")
def leaves_as_of_out(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    answer = proceed(request)
    return repage(answer, lambda p: p.pop("as_of")) if is_changes(request) else answer


@variant("changes-page-shape")
def writes_as_of_without_a_zone(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    answer = proceed(request)
    return repage(answer, lambda p: p.update(as_of=p["as_of"].rstrip("Z"))) if is_changes(request) else answer


@variant("as-of-not-ahead")
def has_an_as_of_in_the_future(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    answer = proceed(request)
    ahead = format_time(standin.now() + timedelta(hours=1))
    return repage(answer, lambda p: p.update(as_of=ahead)) if is_changes(request) else answer


@variant("changes-once")
def lists_a_change_twice(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    def repeat(page: Page) -> None:
        if page["next_cursor"] is None and 0 < len(page["customers"]) < int(request.query["limit"]):
            page["customers"].append(page["customers"][-1])

    return repage(proceed(request), repeat) if is_changes(request) else proceed(request)


@variant("changes-limit-kept")
def ignores_the_limit_of_changes(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    known = is_changes(request) and not request.query.get("cursor")
    return proceed(with_query(request, limit="50") if known and request.query["limit"] != "500" else request)


@variant("changes-since-kept")
def ignores_updated_since(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    if not is_changes(request):
        return proceed(request)
    parse_time_or_refuse(request)
    return proceed(with_query(request, updated_since="1970-01-01T00:00:00Z"))


@variant(advice=("changes-since-inclusive",))
def takes_updated_since_as_after(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    def leave_out(page: Page) -> None:
        since = parse_time(request.query["updated_since"])
        page["customers"] = [c for c in page["customers"] if parse_time(c["updated_at"]) != since]

    # One a page is how ties are looked at; a server such as this one has none at the very start.
    answer = proceed(request)
    return repage(answer, leave_out) if is_changes(request) and request.query["limit"] != "1" else answer


@variant("changes-complete")
def leaves_customers_without_an_address_out_of_changes(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    answer = proceed(request)

    def leave_out(page: Page) -> None:
        page["customers"] = [c for c in page["customers"] if "deleted" in c or address_key(c.get("email"))]

    return repage(answer, leave_out) if is_changes(request) else answer


@variant("changes-ties-kept")
def goes_on_after_the_time_alone(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    answer = proceed(request)
    cursor = request.query.get("cursor")
    if not is_changes(request) or not cursor:
        return answer
    last = Cursor.decode(cursor).updated_at

    def skip(page: Page) -> None:
        page["customers"] = [c for c in page["customers"] if parse_time(c["updated_at"]) != last]

    # Only where a page ends inside a tie is anything lost, which larger pages hide.
    return repage(answer, skip) if request.query["limit"] == "1" else answer


@variant("changes-same-content")
def shows_less_among_changes(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    answer = proceed(request)
    return repage(answer, without("phone")) if is_changes(request) else answer


@variant("changes-page-repeatable")
def keeps_the_place_in_the_server(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    answer = proceed(request)
    cursor = request.query.get("cursor", "")
    met = standin.memory.get(cursor, 0)
    standin.memory[cursor] = met + 1
    again = is_changes(request) and cursor and request.query["limit"] != "1" and met
    return repage(answer, lambda p: p["customers"].__delitem__(slice(0, met))) if again else answer


# Removed customers


@variant("removed-reported")
def does_not_report_removed_customers(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    answer = proceed(request)

    def leave_out(page: Page) -> None:
        page["customers"] = [c for c in page["customers"] if "deleted" not in c]

    return repage(answer, leave_out) if is_changes(request) else answer


@variant("removed-reported")
def reports_removed_customers_as_if_they_were_there(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    answer = proceed(request)
    return repage(answer, without("deleted")) if is_changes(request) else answer


@variant("removed-reported")
def marks_removed_customers_with_a_text(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    answer = proceed(request)

    def mark(page: Page) -> None:
        for customer in page["customers"]:
            if "deleted" in customer:
                customer["deleted"] = "yes"

    return repage(answer, mark) if is_changes(request) else answer


@variant("removed-not-listed")
def keeps_removed_customers_among_all(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    kept = standin.department()._by_id
    for customer_id in standin.kinds()["removed"]:
        if id_key(customer_id) not in kept:
            insort(kept, id_key(customer_id))
    return proceed(request)


# Writing consent


@variant("consent-answer-shape")
def counts_as_text(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    answer = proceed(request)
    return repage(answer, lambda r: r.update(applied=str(r["applied"]))) if is_write(request) else answer


@variant("consent-unknown-listed")
def does_not_list_unknown_addresses(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    answer = proceed(request)
    return repage(answer, lambda r: r.update(unknown=[])) if is_write(request) else answer


@variant("consent-unknown-listed")
def lists_every_address_as_unknown(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    answer = proceed(request)
    emails = [change["email"] for change in request.json()["changes"]] if is_write(request) else []
    return repage(answer, lambda r: r.update(unknown=emails)) if is_write(request) else answer


def _ids_written(standin: Broken, request: Request) -> list[str]:
    keys = {address_key(change["email"]) for change in request.json()["changes"]}
    return [c["id"] for c in standin.customers() if address_key(c.get("email")) in keys - {""}]


@variant("consent-repeat-changes-nothing", "consent-old-news-ignored")
def moves_updated_at_with_every_write(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    answer = proceed(request)
    if is_write(request):
        for customer_id in _ids_written(standin, request):
            standin.upsert(customer_id, touch=True)
    return answer


@variant("consent-bad-change-refused")
def takes_any_status(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    if is_write(request) and any(change["status"] == "maybe" for change in request.json()["changes"]):
        return ok({"applied": 0, "unknown": [change["email"] for change in request.json()["changes"]]})
    return proceed(request)


@variant(advice=("consent-over-limit-refused",))
def takes_any_number_of_changes(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    if is_write(request) and len(changes := request.json()["changes"]) > 500:
        return ok({"applied": 0, "unknown": [change["email"] for change in changes]})
    return proceed(request)


@variant("consent-changes-customers", "consent-moves-updated-at")
def compares_addresses_letter_by_letter(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    if not is_write(request):
        return proceed(request)
    exact = {c.get("email") for c in standin.customers()}
    kept = [change for change in request.json()["changes"] if change["email"] in exact]
    unknown = [c["email"] for c in request.json()["changes"] if c["email"] not in exact]
    if len(request.json()["changes"]) > 500 or "maybe" in request.body.decode() or '06:07"' in request.body.decode():
        return proceed(request)
    answer = proceed(replace(request, body=encode({"changes": kept})))
    return repage(answer, lambda r: r.update(unknown=unknown))


@variant("consent-changes-customers", "consent-moves-updated-at")
def changes_nothing(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    documents = {c["id"]: c for c in standin.customers()} if is_write(request) else {}
    answer = proceed(request)
    for customer_id, document in documents.items():
        if standin.customer(customer_id) != document:
            _restore(standin, document)
    return answer


@variant("consent-moves-updated-at")
def changes_consent_and_leaves_updated_at(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    documents = {c["id"]: c for c in standin.customers()} if is_write(request) else {}
    answer = proceed(request)
    for customer_id, document in documents.items():
        now = standin.customer(customer_id)
        if now and now != document:
            _restore(standin, {**now, "updated_at": document["updated_at"]})
    return answer


@variant("consent-old-news-ignored")
def takes_the_last_word_for_the_newest(standin: Broken, request: Request, proceed: Proceed) -> Answer:
    answer = proceed(request)
    changes = request.json()["changes"] if is_write(request) else []
    for change in changes:
        for customer in standin.customers():
            consent = customer.get("marketing_consent") or {}
            same = address_key(customer.get("email")) == address_key(change["email"])
            if same and consent.get("status") != change["status"]:
                standin.set_consent(customer["id"], change["status"], changed_at=parse_time(change["occurred_at"]))
    return answer


def _restore(standin: Broken, document: Page) -> None:
    """Put a customer back as it was, `updated_at` too, past the stand-in's own bookkeeping."""
    fields = {name: value for name, value in document.items() if name != "updated_at"}
    standin.department()._put(make_record(fields, parse_time(document["updated_at"])))


def parse_time_or_refuse(request: Request) -> None:
    try:
        parse_time(request.query["updated_since"])
    except ValueError:
        raise Refusal(400, "updated_since") from None
