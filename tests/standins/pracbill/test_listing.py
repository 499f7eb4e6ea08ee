"""GET /departments/{d} and its two lists of customers."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import requests

from infra.standins.pracbill import PracBillStandIn
from infra.standins.pracbill.department import id_key
from infra.standins.pracbill.moments import format_time, parse_time
from tests.standins.pracbill.conftest import LONG_AGO, NOON, Caller, Clock, document_of, updated_at


def ids(customers: list[dict[str, Any]]) -> list[str]:
    return [customer["id"] for customer in customers]


def test_a_department_tells_its_zone_country_and_currency(seeded: Caller) -> None:
    assert seeded.get().json() == {
        "id": "melbourne-north",
        "name": "Melbourne North",
        "timezone": "Australia/Melbourne",
        "country": "AU",
        "currency": "AUD",
    }


@pytest.mark.parametrize("path", ["", "/customers", "/customers?updated_since=1970-01-01T00:00:00Z"])
@pytest.mark.parametrize("header", [None, "Bearer wrong", "Basic {token}", "{token}", "Bearer", "Bearer é"])
def test_nothing_is_read_without_the_right_token(seeded: Caller, path: str, header: str | None) -> None:
    headers = {"Authorization": header.format(token=seeded.standin.token).encode()} if header else {}
    answer = requests.get(f"{seeded.standin.url}/departments/melbourne-north{path}", headers=headers, timeout=60)
    assert answer.status_code == 401
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json()["status"] == 401


def test_consent_is_not_written_without_the_right_token(pracbill: PracBillStandIn) -> None:
    pracbill.upsert("1", email="ann@clinic.test", marketing_consent={"status": "subscribed"})
    url = f"{pracbill.url}/departments/{pracbill.department_id}/marketing-consent"
    body = {"changes": [{"email": "ann@clinic.test", "status": "unsubscribed", "occurred_at": "2026-03-04T11:00:00Z"}]}
    assert requests.post(url, json=body, timeout=60).status_code == 401
    assert document_of(pracbill, "1")["marketing_consent"]["status"] == "subscribed"


@pytest.mark.parametrize("path", ["", "/customers", "/customers?updated_since=1970-01-01T00:00:00Z"])
def test_an_unknown_department_is_404(seeded: Caller, path: str) -> None:
    answer = seeded.get(path, department="atlantis")
    assert (answer.status_code, answer.json()["title"]) == (404, "Not found")


def test_an_unknown_resource_is_404_and_a_wrong_method_405(seeded: Caller) -> None:
    assert seeded.get("/invoices").status_code == 404
    assert seeded.session.put(f"{seeded.standin.url}/departments/melbourne-north", timeout=60).status_code == 405


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "501"}, "limit"),
        ({"limit": "-1"}, "limit"),
        ({"limit": "ten"}, "limit"),
        ({"limit": "²"}, "limit"),
        ({"updated_since": ""}, "updated_since"),
        ({"updated_since": "yesterday"}, "updated_since"),
        ({"updated_since": "2026-03-04"}, "updated_since"),
        ({"updated_since": "2026-03-04T00:00:00"}, "updated_since"),
        ({"updated_since": "2026-13-04T00:00:00Z"}, "updated_since"),
        ({"updated_since": LONG_AGO, "cursor": "nonsense"}, "cursor"),
        ({"updated_since": LONG_AGO, "cursor": "W10"}, "cursor"),
        ({"updated_since": LONG_AGO, "after": "1"}, "after"),
        ({"cursor": "x"}, "cursor"),
        ({"page": "2"}, "page"),
    ],
)
def test_a_bad_parameter_is_400_and_named(seeded: Caller, query: dict[str, Any], field: str) -> None:
    answer = seeded.get("/customers", params=query)
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_a_cursor_of_another_list_is_refused(seeded: Caller) -> None:
    page = seeded.get("/customers", params={"updated_since": LONG_AGO, "limit": 1}).json()
    answer = seeded.get("/customers", params={"updated_since": "2026-01-01T00:00:00Z", "cursor": page["next_cursor"]})
    assert answer.status_code == 400


def test_ids_of_digits_come_first_by_number_and_others_by_bytes(pracbill: PracBillStandIn, caller: Caller) -> None:
    for customer_id in ["b", "10", "B", "é", "9", "100", "a-7", "z", "2"]:
        pracbill.upsert(customer_id)
    assert ids(caller.all_customers(limit=2)) == ["2", "9", "10", "100", "B", "a-7", "b", "z", "é"]


@pytest.mark.parametrize("limit", [37, 499, 500])
def test_all_customers_come_once_and_in_order_whatever_the_limit(seeded: Caller, limit: int) -> None:
    found = ids(seeded.all_customers(limit=limit))
    assert len(found) == len(set(found)) == 2_000
    assert found == sorted(found, key=id_key)


def test_a_page_holds_at_most_the_limit_and_500_when_nothing_is_said(seeded: Caller) -> None:
    assert len(seeded.get("/customers", params={"limit": 7}).json()["customers"]) == 7
    assert len(seeded.get("/customers").json()["customers"]) == 500


def test_next_after_is_the_last_id_and_null_at_the_end(pracbill: PracBillStandIn, caller: Caller) -> None:
    for customer_id in "1234":
        pracbill.upsert(customer_id)
    assert caller.get("/customers", params={"limit": 2}).json()["next_after"] == "2"
    last = caller.get("/customers", params={"limit": 2, "after": "2"}).json()
    assert (ids(last["customers"]), last["next_after"]) == (["3", "4"], None)


def test_an_empty_department_answers_one_empty_page(caller: Caller) -> None:
    assert caller.get("/customers").json() == {"customers": [], "next_after": None}
    changes = caller.get("/customers", params={"updated_since": LONG_AGO}).json()
    assert changes == {"customers": [], "next_cursor": None, "as_of": format_time(NOON)}


def test_the_list_goes_on_after_an_id_that_is_gone(pracbill: PracBillStandIn, caller: Caller) -> None:
    for customer_id in ["1", "2", "3"]:
        pracbill.upsert(customer_id)
    pracbill.remove("2")
    assert ids(caller.get("/customers", params={"after": "2"}).json()["customers"]) == ["3"]


def test_a_customer_removed_or_added_while_the_list_is_read_costs_no_other(
    pracbill: PracBillStandIn, caller: Caller
) -> None:
    for number in range(1, 10):
        pracbill.upsert(str(number))
    first = caller.get("/customers", params={"limit": 3}).json()
    pracbill.remove("1")
    pracbill.remove("3")
    pracbill.upsert("0")
    rest = caller.get("/customers", params={"after": first["next_after"]}).json()
    assert ids(rest["customers"]) == ["4", "5", "6", "7", "8", "9"]


def test_removed_customers_are_not_among_all_customers(seeded: Caller) -> None:
    removed = set(seeded.standin.kinds()["removed"])
    assert len(removed) == 25
    assert not removed & set(ids(seeded.all_customers()))


@pytest.mark.parametrize("limit", [41, 500])
def test_changes_come_by_time_then_id(seeded: Caller, limit: int) -> None:
    keys = [(parse_time(c["updated_at"]), id_key(c["id"])) for c in seeded.all_changes(limit=limit)]
    assert len(keys) == 2_025
    assert keys == sorted(set(keys))


def test_customers_changed_at_one_instant_are_not_lost_between_pages(pracbill: PracBillStandIn, caller: Caller) -> None:
    pracbill.generate(25)
    changes = caller.all_changes(limit=4)
    assert len({c["updated_at"] for c in changes}) == 1
    assert sorted(ids(changes)) == sorted(ids(pracbill.customers()))


def test_a_removed_customer_is_told_by_id_and_time_alone(
    pracbill: PracBillStandIn, caller: Caller, clock: Clock
) -> None:
    pracbill.upsert("7", email="ann@clinic.test")
    clock.move(minutes=1)
    pracbill.remove("7")
    assert caller.all_changes() == [{"id": "7", "deleted": True, "updated_at": "2026-03-04T12:01:00.000000Z"}]


def test_only_changes_since_the_time_are_listed_and_the_time_counts(
    pracbill: PracBillStandIn, caller: Caller, clock: Clock
) -> None:
    for customer_id in ["1", "2", "3"]:
        pracbill.upsert(customer_id)
        clock.move(minutes=1)
    assert ids(caller.all_changes("2026-03-04T12:01:00Z")) == ["2", "3"]
    assert ids(caller.all_changes("2026-03-04T23:01:00+11:00")) == ["2", "3"]
    assert ids(caller.all_changes("2026-03-04T12:01:00.000001Z")) == ["3"]


def test_what_changes_after_the_first_page_stands_in_the_list_from_as_of_on(
    pracbill: PracBillStandIn, caller: Caller
) -> None:
    for customer_id in ["1", "2", "3", "4"]:
        pracbill.upsert(customer_id)
    first = caller.get("/customers", params={"updated_since": LONG_AGO, "limit": 2}).json()
    pracbill.upsert("1", phone="1")
    pracbill.upsert("4", phone="4")
    rest = caller.get("/customers", params={"updated_since": LONG_AGO, "cursor": first["next_cursor"]}).json()
    assert (ids(first["customers"]), ids(rest["customers"])) == (["1", "2"], ["3"])
    assert rest["as_of"] == first["as_of"]
    assert ids(caller.all_changes(first["as_of"])) == ["1", "4"]


def test_a_cursor_sent_twice_gives_the_same_page(seeded: Caller) -> None:
    query = {"updated_since": LONG_AGO, "limit": 3}
    query["cursor"] = seeded.get("/customers", params=query).json()["next_cursor"]
    assert seeded.get("/customers", params=query).json() == seeded.get("/customers", params=query).json()


def test_departments_do_not_show_each_others_customers(seeded: Caller) -> None:
    other = seeded.get("/customers", department=seeded.standin.second_department_id).json()["customers"]
    assert len(other) == 150
    own = {c["id"]: c for c in seeded.all_customers()}
    same_id = [c for c in other if c["id"] in own]
    assert same_id
    assert all(c != own[c["id"]] for c in same_id)


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p.upsert("1", phone="0491 570 006"),
        lambda p: p.upsert("1", address={"city": "Coburg"}),
        lambda p: p.upsert("1", unset=("phone",)),
        lambda p: p.upsert("1", touch=True),
        lambda p: p.set_consent("1", "unsubscribed"),
        lambda p: p.add_invoice("1", "0.00", issued_at=NOON - timedelta(days=900)),
        lambda p: p.add_payment("1", "10.00"),
        lambda p: p.remove("1"),
    ],
)
def test_updated_at_moves_with_every_change(
    pracbill: PracBillStandIn, change: Callable[[PracBillStandIn], object]
) -> None:
    pracbill.upsert("1", phone="1", balance="5.00", last_invoice_at="2026-01-01T00:00:00Z")
    before = updated_at(pracbill, "1")
    change(pracbill)
    assert updated_at(pracbill, "1") > before


def test_updated_at_stays_when_nothing_differs(pracbill: PracBillStandIn, clock: Clock) -> None:
    pracbill.upsert("1", phone="1", address={"city": "Coburg", "state": "VIC"})
    clock.move(hours=1)
    pracbill.upsert("1", phone="1", address={"city": "Coburg"})
    assert updated_at(pracbill, "1") == NOON


def test_an_update_leaves_the_other_fields_alone(pracbill: PracBillStandIn) -> None:
    pracbill.upsert("1", email="ann@clinic.test", address={"city": "Coburg", "state": "VIC"})
    pracbill.upsert("1", address={"city": "Preston"})
    document = document_of(pracbill, "1")
    assert (document["email"], document["address"]) == ("ann@clinic.test", {"city": "Preston", "state": "VIC"})


def test_invoices_and_payments_move_the_balance_and_the_last_invoice(pracbill: PracBillStandIn, clock: Clock) -> None:
    pracbill.upsert("1")
    pracbill.add_invoice("1", "120.50")
    clock.move(days=1)
    pracbill.add_invoice("1", "10", issued_at=NOON - timedelta(days=30))
    pracbill.add_payment("1", "200.00")
    document = document_of(pracbill, "1")
    assert (document["balance"], document["last_invoice_at"]) == ("-69.50", format_time(NOON))


def test_a_removed_customer_that_comes_back_is_listed_again(pracbill: PracBillStandIn, caller: Caller) -> None:
    pracbill.upsert("1", email="ann@clinic.test")
    pracbill.remove("1")
    pracbill.upsert("1", email="ann@clinic.test")
    assert ids(caller.all_customers()) == ["1"]
    assert caller.all_changes() == caller.all_customers()


def test_half_of_a_surrogate_pair_is_refused_and_stops_no_list(pracbill: PracBillStandIn, caller: Caller) -> None:
    pracbill.upsert("1")
    with pytest.raises(ValueError):
        pracbill.upsert("2", first_name="\ud83d")
    assert ids(caller.all_customers()) == ["1"]


def test_fifty_thousand_customers_are_listed_at_ten_thousand_a_second(
    pracbill: PracBillStandIn, caller: Caller
) -> None:
    pracbill.generate(1)
    (document,) = pracbill.customers()
    del document["updated_at"]
    pracbill.department().add_bulk(({**document, "id": str(number)}, "") for number in range(100, 50_099))
    started_at = time.process_time()
    pages = 0
    after: str | None = ""
    while after is not None:
        # The bytes are what the stand-in costs; reading them as JSON is the caller's own work.
        raw = caller.get("/customers", params={"limit": 500, "after": after}).content
        after = None if raw.endswith(b'"next_after":null}') else raw.rsplit(b'"', 2)[1].decode()
        pages += 1
    assert pages == 100
    assert 50_000 / (time.process_time() - started_at) >= 10_000
