from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import pytest

from chalicelib.domain.customers import ConsentWord, Customer, RemovedCustomer
from chalicelib.errors import RetryLater, StopRun
from chalicelib.pracbill.answers import BadRecord, ConsentChange, ConsentWritten
from chalicelib.pracbill.client import PracBillClient
from chalicelib.pracbill.errors import ConsentRefused, ContractViolation, DepartmentUnknown, TokenRefused
from tests.http_client.scripted import HANG_UP, Asked, Reply, ScriptedServer, Waiting

WHEN = "2026-01-05T10:00:00Z"


def client_of(url: str, waiting: Waiting, token: str = "our-token") -> PracBillClient:
    return PracBillClient(
        url,
        lambda: token,
        remaining=waiting.remaining,
        sleep=waiting.sleep,
        random=waiting.random,
        on_call=waiting.calls.append,
    )


@pytest.fixture
def client(server: ScriptedServer, waiting: Waiting) -> PracBillClient:
    return client_of(server.url, waiting)


def customer(id: Any, **more: Any) -> dict[str, Any]:
    return {"id": id, "updated_at": WHEN, "email": f"c{id}@clinic.test", **more}


def page(*ids: Any, next_after: Any = None) -> Reply:
    return Reply(200, {"customers": [customer(i) for i in ids], "next_after": next_after})


def read_ids(client: PracBillClient, after: str | None = None) -> list[str]:
    pages = client.customers("d1", after=after)
    return [record.id for page in pages for record in page.records if isinstance(record, Customer)]


def changes_page(*records: tuple[str, str], cursor: str | None = None) -> Reply:
    customers = [{"id": i, "updated_at": at} for i, at in records]
    return Reply(200, {"customers": customers, "next_cursor": cursor, "as_of": WHEN})


# The department


def test_a_department_is_read(client: PracBillClient, server: ScriptedServer) -> None:
    body = {"id": "d1", "name": "North", "timezone": "Australia/Melbourne", "country": "AU", "currency": "AUD"}
    server.will(Reply(200, body))
    department = client.department("d 1/2")
    assert server.asked[0].target == "/departments/d%201%2F2"
    assert server.asked[0].headers["Authorization"] == "Bearer our-token"
    assert (department.id, department.name, department.timezone) == ("d 1/2", "North", "Australia/Melbourne")
    assert (department.country, department.currency, department.note) == ("AU", "AUD", "")


@pytest.mark.parametrize(
    "zone", [None, "", "Melbourne", "Australia", "../../etc/passwd", "/etc/passwd", "UTC+10", "Europe/B\0rlin", 10, {}]
)
def test_a_time_zone_that_is_none_becomes_utc_and_is_told(
    client: PracBillClient, server: ScriptedServer, zone: Any
) -> None:
    server.will(Reply(200, {"id": "d1", "name": None, "timezone": zone}))
    department = client.department("d1")
    assert department.timezone == "UTC"
    assert "time zone" in department.note


# All customers


def test_all_customers_are_read_page_by_page(client: PracBillClient, server: ScriptedServer) -> None:
    server.will(page("1", "2", next_after="2"), page("10", "a", next_after="a"), page("b"))
    pages = list(client.customers("d1"))
    assert [[r.id for r in p.records if isinstance(r, Customer)] for p in pages] == [["1", "2"], ["10", "a"], ["b"]]
    assert [p.next_after for p in pages] == ["2", "a", None]
    assert [asked.query for asked in server.asked] == [
        {"limit": "500"},
        {"limit": "500", "after": "2"},
        {"limit": "500", "after": "a"},
    ]
    assert "clinic.test" not in repr(pages)


def test_reading_goes_on_after_an_id(client: PracBillClient, server: ScriptedServer) -> None:
    server.will(page("11", "12"))
    assert read_ids(client, after="9") == ["11", "12"]
    assert server.asked[0].query["after"] == "9"


def test_an_empty_department_has_one_empty_page(client: PracBillClient, server: ScriptedServer) -> None:
    server.will(page())
    assert [p.records for p in client.customers("d1")] == [()]


def test_ids_may_be_numbers_in_json(client: PracBillClient, server: ScriptedServer) -> None:
    server.will(page(1, 2, next_after=2), page(3))
    assert read_ids(client) == ["1", "2", "3"]


@pytest.mark.parametrize(
    "ids",
    [
        ["1", "2", "10", "A", "a", "ä"],  # digits first
        ["#1", "9", "10", "A"],  # by bytes between the kinds
        ["#1", "#2", "2", "10", "a1"],
        ["-", "7", "_x"],
    ],
)
def test_both_orders_of_mixed_ids_are_accepted(client: PracBillClient, server: ScriptedServer, ids: list[str]) -> None:
    server.will(page(*ids))
    assert read_ids(client) == ids


@pytest.mark.parametrize(
    "ids",
    [
        ["2", "1"],
        ["1", "1"],
        ["10", "9"],
        ["b", "a"],
        ["a", "B"],
        ["a", "1"],  # fits neither: digits come late, and "1" sorts below "a"
        ["1", "a", "2"],
        ["#1", "5", "a", "#2"],
        ["#1", "9", "a", "10"],
    ],
)
def test_customers_out_of_order_stop_the_run_naming_pracbill(
    client: PracBillClient, server: ScriptedServer, ids: list[str]
) -> None:
    server.will(page(*ids))
    with pytest.raises(ContractViolation, match="PracBill sent customers out of order") as raised:
        read_ids(client)
    assert isinstance(raised.value, StopRun)
    assert "Nothing was sent to Mailchimp" in raised.value.message
    assert "GET /departments/{id}/customers." in raised.value.message


def test_order_is_kept_across_pages(client: PracBillClient, server: ScriptedServer) -> None:
    server.will(page("1", "5", next_after="5"), page("5", "6"))
    with pytest.raises(ContractViolation, match="out of order"):
        read_ids(client)
    server.will(page("#1", "5", next_after="5"), page("a", "#2"))
    with pytest.raises(ContractViolation, match="out of order"):
        read_ids(client)


def test_a_server_that_ignores_after_is_noticed(client: PracBillClient, server: ScriptedServer) -> None:
    server.will(page("1", "2"))
    with pytest.raises(ContractViolation, match="out of order"):
        read_ids(client, after="2")


@pytest.mark.parametrize("mark", ["1", "3", "", 7.5, True, [], {}])
def test_the_next_page_starts_after_the_last_id(client: PracBillClient, server: ScriptedServer, mark: Any) -> None:
    server.will(page("1", "2", next_after=mark))
    with pytest.raises(ContractViolation, match="next_after"):
        read_ids(client)
    assert len(server.asked) == 1


def test_an_empty_page_cannot_have_a_next_one(client: PracBillClient, server: ScriptedServer) -> None:
    server.will(page(next_after="9"))
    with pytest.raises(ContractViolation, match="next_after"):
        read_ids(client)


def test_a_full_page_that_leaves_out_the_mark_is_not_taken_for_the_last(
    client: PracBillClient, server: ScriptedServer
) -> None:
    full, short = [customer(n) for n in range(500)], [customer(n) for n in range(499)]
    server.will(Reply(200, {"customers": full}))
    with pytest.raises(ContractViolation, match="full page without 'next_after'"):
        read_ids(client)
    server.will(Reply(200, {"customers": short}), Reply(200, {"customers": full, "next_after": None}))
    assert len(read_ids(client)) == 499
    assert len(read_ids(client)) == 500


def test_an_unusable_record_does_not_stop_its_page(client: PracBillClient, server: ScriptedServer) -> None:
    records = [customer("1"), None, {"id": "2"}, {"updated_at": WHEN}, "text", customer("3", balance=[], address="x")]
    server.will(Reply(200, {"customers": records, "next_after": None}))
    (only,) = client.customers("d1")
    bad = [r for r in only.records if isinstance(r, BadRecord)]
    assert [r.position for r in bad] == [1, 2, 3, 4]
    assert "updated_at" in bad[1].cause
    assert [r.id for r in only.records if isinstance(r, Customer)] == ["1", "3"]


def test_a_last_record_that_is_unusable_still_moves_the_reading_on(
    client: PracBillClient, server: ScriptedServer
) -> None:
    bad = {"id": "5"}
    server.will(Reply(200, {"customers": [customer("4"), bad], "next_after": "5"}), page("6"))
    assert read_ids(client) == ["4", "6"]
    server.will(Reply(200, {"customers": [bad], "next_after": "5"}))
    with pytest.raises(ContractViolation, match="goes back"):
        read_ids(client, after="5")


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        (b"<html>", "not a JSON object"),
        (b"[]", "not a JSON object"),
        (b"", "not a JSON object"),
        (b'{"customers": {}}', "without the list 'customers'"),
        (b'{"items": []}', "without the list 'customers'"),
    ],
)
def test_a_page_that_is_none_stops_the_run(
    client: PracBillClient, server: ScriptedServer, waiting: Waiting, body: bytes, wrong: str
) -> None:
    for read in (lambda: read_ids(client), lambda: list(client.changes("d1", since=WHEN))):
        server.will(Reply(200, body))
        with pytest.raises(ContractViolation, match=wrong):
            read()
    assert waiting.slept == []


# Changed customers


def test_changes_are_read_with_removed_customers(client: PracBillClient, server: ScriptedServer) -> None:
    records = [
        customer("9"),
        {"id": "10", "deleted": True, "updated_at": WHEN},
        customer("3", updated_at="2026-01-05T10:00:01Z"),
    ]
    server.will(
        Reply(200, {"customers": records, "next_cursor": "c1", "as_of": "2026-01-05T11:00:00Z"}),
        Reply(200, {"customers": [], "next_cursor": None, "as_of": "2026-01-05T11:00:01.5Z"}),
    )
    first, second = client.changes("d1", since="2026-01-05T09:00:00+00:00")
    assert [type(r) for r in first.records] == [Customer, RemovedCustomer, Customer]
    assert (first.next_cursor, first.as_of) == ("c1", "2026-01-05T11:00:00Z")
    assert (second.next_cursor, second.as_of) == (None, "2026-01-05T11:00:01.5Z")
    assert [asked.query for asked in server.asked] == [
        {"updated_since": "2026-01-05T09:00:00+00:00", "limit": "500"},
        {"updated_since": "2026-01-05T09:00:00+00:00", "limit": "500", "cursor": "c1"},
    ]


def test_changes_go_on_from_a_cursor(client: PracBillClient, server: ScriptedServer) -> None:
    server.will(changes_page(("1", WHEN)))
    list(client.changes("d1", since=WHEN, cursor="c7"))
    assert server.asked[0].query["cursor"] == "c7"


@pytest.mark.parametrize(
    "records",
    [
        [("1", WHEN), ("2", WHEN), ("10", WHEN)],
        [("1", WHEN), ("10", WHEN), ("2", WHEN), ("b", WHEN)],  # ids of one time by bytes
        [("2", WHEN), ("1", "2026-01-05T10:00:00.001Z")],
        [("2", "2026-01-05T10:00:00Z"), ("1", "2026-01-05T10:00:00.000Z")],  # one instant, written in two ways
        [("2", "2026-01-05T12:00:00+02:00"), ("1", "2026-01-05T10:00:01Z")],
        [("2", WHEN), ("1", "some day"), ("3", WHEN)],  # a time that cannot be read is not judged
        [("1", WHEN), ("1", "2026-01-05T10:00:01Z")],  # it changed again meanwhile
    ],
)
def test_changes_ascend_by_time_and_then_by_id(
    client: PracBillClient, server: ScriptedServer, records: list[tuple[str, str]]
) -> None:
    server.will(changes_page(*records))
    (only,) = client.changes("d1", since=WHEN)
    assert len(only.records) == len(records)


@pytest.mark.parametrize(
    "records",
    [
        [("2", WHEN), ("1", WHEN)],
        [("1", WHEN), ("1", WHEN)],
        [("1", WHEN), ("10", WHEN), ("2", WHEN), ("11", WHEN)],  # neither by number nor by bytes
        [("1", "2026-01-05T10:00:01Z"), ("2", WHEN)],
        [("1", "2026-01-05T10:00:00.5Z"), ("2", "2026-01-05T10:00:00Z")],
        [("1", "2026-01-05T10:00:01Z"), ("2", "some day"), ("3", WHEN)],
    ],
)
def test_changes_out_of_order_stop_the_run(
    client: PracBillClient, server: ScriptedServer, records: list[tuple[str, str]]
) -> None:
    server.will(changes_page(*records))
    with pytest.raises(ContractViolation, match="PracBill sent changes out of order"):
        list(client.changes("d1", since=WHEN))
    server.will(changes_page(*records[:1], cursor="c1"), changes_page(*records[1:]))
    with pytest.raises(ContractViolation, match="PracBill sent changes out of order"):
        list(client.changes("d1", since=WHEN))


@pytest.mark.parametrize("start", [None, "c1"])
def test_a_cursor_that_comes_again_stops_the_run(
    client: PracBillClient, server: ScriptedServer, start: str | None
) -> None:
    server.otherwise = lambda asked: changes_page(cursor="c1")
    with pytest.raises(ContractViolation, match="sent before"):
        list(client.changes("d1", since=WHEN, cursor=start))
    assert len(server.asked) <= 2


@pytest.mark.parametrize("as_of", [None, "", "now", 17])
def test_changes_say_up_to_when_they_are_complete(client: PracBillClient, server: ScriptedServer, as_of: Any) -> None:
    server.will(Reply(200, {"customers": [], "next_cursor": None, "as_of": as_of}))
    with pytest.raises(ContractViolation, match="as_of"):
        list(client.changes("d1", since=WHEN))


# Consent


def consent(number: int) -> ConsentChange:
    there = timezone(timedelta(hours=11))
    return ConsentChange(
        f"c{number}@clinic.test", "unsubscribed", datetime(2026, 1, 5, 21, 0, 0, 900_000, there), "mailchimp", "manual"
    )


def test_consent_is_written_in_calls_of_five_hundred(client: PracBillClient, server: ScriptedServer) -> None:
    def answer(asked: Asked) -> Reply:
        changes = asked.json()["changes"]
        return Reply(200, {"applied": len(changes) - 1, "unknown": [changes[0]["email"]]})

    server.otherwise = answer
    written = client.write_consent("d1", [consent(n) for n in range(1001)])
    assert [len(asked.json()["changes"]) for asked in server.asked] == [500, 500, 1]
    assert written == ConsentWritten(998, ("c0@clinic.test", "c500@clinic.test", "c1000@clinic.test"))
    assert server.asked[0].json()["changes"][0] == {
        "email": "c0@clinic.test",
        "status": "unsubscribed",
        "occurred_at": "2026-01-05T10:00:01Z",
        "source": "mailchimp",
        "reason": "manual",
    }
    assert "clinic.test" not in repr(written) + repr(consent(1))


@pytest.mark.parametrize(("status", "told"), [("unsubscribed", "10:00:01Z"), ("subscribed", "10:00:00Z")])
def test_a_no_within_a_second_is_told_as_later_and_a_yes_as_earlier(
    client: PracBillClient, server: ScriptedServer, status: ConsentWord, told: str
) -> None:
    server.will(Reply(200, {"applied": 1, "unknown": []}))
    observed_at = datetime(2026, 1, 5, 10, 0, 0, 400_000, tzinfo=UTC)
    client.write_consent("d1", [ConsentChange("ann@clinic.test", status, observed_at, "mailchimp")])
    assert server.asked[0].json()["changes"][0]["occurred_at"] == f"2026-01-05T{told}"


def test_no_change_is_no_call(client: PracBillClient, server: ScriptedServer) -> None:
    assert client.write_consent("d1", []) == ConsentWritten()
    assert server.asked == []


def test_writing_consent_is_repeated_when_its_answer_is_lost(
    client: PracBillClient, server: ScriptedServer, waiting: Waiting
) -> None:
    server.will(HANG_UP, Reply(200, {"applied": 1, "unknown": None}))
    assert client.write_consent("d1", [consent(1)]).applied == 1
    assert len(waiting.slept) == 1


def test_consent_that_pracbill_refuses_is_told_as_such(client: PracBillClient, server: ScriptedServer) -> None:
    server.will(Reply(422, {"title": "bad"}))
    with pytest.raises(
        ContractViolation, match=r"HTTP 422.*Consent changes were not sent to PracBill.*POST /departments"
    ):
        client.write_consent("d1", [consent(1)])


@pytest.mark.parametrize("status", [400, 422])
def test_changes_that_pracbill_refuses_are_told_apart_from_other_nonsense(
    client: PracBillClient, server: ScriptedServer, status: int
) -> None:
    server.will(Reply(status, {"title": "bad"}))
    with pytest.raises(ConsentRefused):
        client.write_consent("d1", [consent(1)])


@pytest.mark.parametrize("body", [{}, {"applied": None, "unknown": []}, {"status": "ok"}, {"applied": "1"}])
def test_an_answer_that_does_not_say_what_was_applied_is_no_word_that_was_heard(
    client: PracBillClient, server: ScriptedServer, body: Any
) -> None:
    server.will(Reply(200, body))
    with pytest.raises(ContractViolation, match="did not say how many consent changes"):
        client.write_consent("d1", [consent(1)])


# Failures


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_is_told_with_what_to_check(
    client: PracBillClient, server: ScriptedServer, waiting: Waiting, status: int
) -> None:
    server.will(Reply(status, b""))
    with pytest.raises(TokenRefused, match=r"PracBill refuses.*PRACBILL_TOKEN_SECRET"):
        read_ids(client)
    assert waiting.slept == []


def test_an_unknown_department_is_told(client: PracBillClient, server: ScriptedServer) -> None:
    server.will(Reply(404, b""))
    with pytest.raises(DepartmentUnknown, match="PracBill does not know this department"):
        client.department("d1")


@pytest.mark.parametrize("status", [302, 400, 409, 418])
def test_any_other_refusal_stops_the_run(client: PracBillClient, server: ScriptedServer, status: int) -> None:
    server.will(Reply(status, {"detail": "c1@clinic.test"}))
    with pytest.raises(ContractViolation, match=f"PracBill refused a request .HTTP {status}.") as raised:
        client.department("d1")
    assert "clinic.test" not in raised.value.message


@pytest.mark.parametrize(
    ("reply", "words"), [(Reply(429), "429"), (Reply(500), "500"), (Reply(503), "503"), (HANG_UP, "cannot be reached")]
)
def test_what_may_pass_is_left_to_the_queue(
    client: PracBillClient, server: ScriptedServer, reply: Reply, words: str
) -> None:
    server.will(*[reply] * 5)
    with pytest.raises(RetryLater, match=f"PracBill.*{words}"):
        read_ids(client)
    server.will(reply, page("1"))
    assert read_ids(client) == ["1"]


@pytest.mark.parametrize("token", ["", "  ", "two words", "line\nend", "snow☃"])
def test_a_token_that_cannot_be_sent_is_not_sent_and_not_shown(
    server: ScriptedServer, waiting: Waiting, token: str
) -> None:
    with pytest.raises(StopRun, match="PRACBILL_TOKEN_SECRET") as raised:
        client_of(server.url, waiting, token).department("d1")
    assert token.strip() == "" or token not in raised.value.message
    assert server.asked == []


def test_a_token_with_a_line_end_behind_it_is_taken_without(server: ScriptedServer, waiting: Waiting) -> None:
    server.will(Reply(200, {"id": "d1"}))
    client_of(server.url, waiting, "our-token\n").department("d1")
    assert server.asked[0].headers["Authorization"] == "Bearer our-token"


def test_a_token_is_asked_for_at_every_call(server: ScriptedServer, waiting: Waiting) -> None:
    tokens = iter(["first", "second"])
    client = PracBillClient(
        server.url, lambda: next(tokens), remaining=waiting.remaining, sleep=waiting.sleep, random=waiting.random
    )
    server.will(page("1", next_after="1"), page("2"))
    assert read_ids(client) == ["1", "2"]
    assert [asked.headers["Authorization"] for asked in server.asked] == ["Bearer first", "Bearer second"]


def test_metrics_hold_no_department(client: PracBillClient, server: ScriptedServer, waiting: Waiting) -> None:
    server.will(page("1"))
    read_ids(client)
    assert [(call.method, call.template) for call in waiting.calls] == [("GET", "/departments/{department}/customers")]


def test_reading_costs_one_call_a_page(client: PracBillClient, server: ScriptedServer) -> None:
    ids = [str(n) for n in range(1, 1801)]

    def answer(asked: Asked) -> Reply:
        start = ids.index(asked.query["after"]) + 1 if "after" in asked.query else 0
        part = ids[start : start + int(asked.query["limit"])]
        return page(*part, next_after=part[-1] if start + len(part) < len(ids) else None)

    server.otherwise = answer
    found = read_ids(client)
    assert found == ids
    assert all(int(a) < int(b) for a, b in pairwise(found))
    assert len(server.asked) == 4
    assert server.connections == 1
