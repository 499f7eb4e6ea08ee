"""Connections, latency, faults and the journal (fact sheet section 3)."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from infra.standins.mailchimp import Latency, MailchimpStandIn, Readings
from infra.standins.mailchimp.gate import Gate

from .conftest import Home, settle, wait_until


@pytest.fixture
def own() -> Iterator[MailchimpStandIn]:
    """A stand-in of its own: its journal, faults and latency are those of one test."""
    with MailchimpStandIn(latency=Latency.none()) as running:
        yield running


def at_once(count: int, call: Callable[[], Any]) -> list[Any]:
    """Call from `count` threads at the same moment."""
    barrier = threading.Barrier(count)
    results: list[Any] = []

    def work() -> None:
        barrier.wait()
        results.append(call())

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def ping(home: Home, key: str | None = None) -> requests.Response:
    return requests.get(home.api.url + "/ping", auth=("x", key or home.api.key), timeout=60)


# --- ten connections ---


def test_the_eleventh_simultaneous_call_of_a_user_is_refused(own: MailchimpStandIn) -> None:
    home = settle(own)
    own.control.set_latency(single=2.0)
    responses = at_once(12, lambda: ping(home))
    refused = [response for response in responses if response.status_code == 429]
    assert len(refused) == 2
    assert refused[0].json()["title"] == "Too Many Requests"
    assert refused[0].json()["detail"] == "You have exceeded the limit of 10 simultaneous connections."
    assert "Retry-After" not in refused[0].headers
    journal = own.control.journal()
    assert journal["peak_connections"] == 10
    assert len(journal["too_many_requests"]) == 2


def test_ten_at_a_time_are_never_refused(own: MailchimpStandIn) -> None:
    home = settle(own)
    responses = at_once(10, lambda: [ping(home).status_code for _ in range(10)])
    assert {status for statuses in responses for status in statuses} == {200}


def test_keys_of_one_user_share_the_ten_and_other_users_have_their_own(own: MailchimpStandIn) -> None:
    home = settle(own)
    same = own.control.create_key(home.account_id)["api_key"]
    other = own.control.create_key(home.account_id, user_id="colleague")["api_key"]
    own.control.set_latency(single=2.0)
    keys = iter([home.api.key] * 6 + [same] * 6 + [other] * 6)
    lock = threading.Lock()

    def call() -> tuple[str, int]:
        with lock:
            key = next(keys)
        return key, ping(home, key).status_code

    results = at_once(18, call)
    assert sum(status == 429 for _, status in results) == 2
    assert all(status == 200 for key, status in results if key == other)


def test_an_abandoned_request_holds_its_slot_until_it_ends(own: MailchimpStandIn) -> None:
    home = settle(own)
    own.control.set_latency(single=3.0)

    def give_up() -> None:
        with pytest.raises(requests.Timeout):
            requests.get(home.api.url + "/ping", auth=("x", home.api.key), timeout=(30, 0.1))

    at_once(10, give_up)
    assert ping(home).status_code == 429
    own.control.set_latency(single=0.0)
    wait_until(lambda: ping(home).status_code == 200)


def test_a_write_whose_client_gave_up_is_carried_out(own: MailchimpStandIn) -> None:
    home = settle(own)
    own.control.set_latency(bulk_base=0.3)
    body = {"members": [{"email_address": "ann@clinic.test", "status": "subscribed"}]}
    with pytest.raises(requests.Timeout):
        requests.post(home.api.url + home.path, json=body, auth=("x", home.api.key), timeout=(30, 0.1))
    wait_until(lambda: [member["email_address"] for member in own.control.members(home.id)] == ["ann@clinic.test"])


def test_a_retry_after_header_can_be_switched_on() -> None:
    with MailchimpStandIn(latency=Latency.none(), readings=Readings(retry_after=7)) as other:
        home = settle(other)
        other.control.set_latency(single=2.0)
        refused = [response for response in at_once(11, lambda: ping(home)) if response.status_code == 429]
        assert refused[0].headers["Retry-After"] == "7"


# --- latency ---


def test_a_bulk_call_takes_its_base_and_a_bit_for_each_member(
    own: MailchimpStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = settle(own)
    own.control.set_latency(bulk_base=0.1, bulk_per_member=0.01)
    waited: list[float] = []
    monkeypatch.setattr(Gate, "_wait", lambda gate, seconds: waited.append(seconds))
    home.bulk(*[{"email_address": f"p{number}@clinic.test", "status": "subscribed"} for number in range(20)])
    assert sum(waited) == pytest.approx(0.3)


def test_a_call_waits_as_long_as_it_is_told(own: MailchimpStandIn) -> None:
    home = settle(own)
    own.control.set_latency(single=0.2)
    start = time.monotonic()
    assert ping(home).status_code == 200
    assert time.monotonic() - start >= 0.2


def test_waiting_calls_do_not_wait_for_each_other(own: MailchimpStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    home = settle(own)
    own.control.set_latency(single=1.0)
    all_at_once = threading.Barrier(8)
    # Nobody gets past a wait before all eight are in it; one after another, the first would stay there.
    monkeypatch.setattr(Gate, "_wait", lambda gate, seconds: all_at_once.wait(60))
    assert [answer.status_code for answer in at_once(8, lambda: ping(home))] == [200] * 8


def test_the_usual_latency_is_the_documented_one() -> None:
    usual = Latency()
    assert usual.seconds(bulk=True, members=500) == pytest.approx(5.0)
    assert usual.seconds(bulk=False, members=0) == 0.3


# --- faults ---


def test_a_fault_hits_the_next_calls_that_match_and_no_others(own: MailchimpStandIn) -> None:
    home = settle(own)
    own.control.inject_fault(method="POST", path="/lists/{list_id}", times=2, status=429)
    assert home.api.get(home.path).status_code == 200
    statuses = [home.bulk().status_code for _ in range(3)]
    assert statuses == [429, 429, 200]


def test_a_fault_can_let_some_calls_pass_first(own: MailchimpStandIn) -> None:
    home = settle(own)
    own.control.inject_fault(method="GET", path="/ping", skip=1, status=503)
    assert [ping(home).status_code for _ in range(3)] == [200, 503, 200]


@pytest.mark.parametrize(("body", "content_type"), [("problem", "application/problem+json"), ("html", "text/html")])
def test_a_fault_answers_with_the_body_that_was_ordered(own: MailchimpStandIn, body: str, content_type: str) -> None:
    home = settle(own)
    own.control.inject_fault(path="/ping", status=403, body=body)
    response = ping(home)
    assert response.status_code == 403
    assert response.headers["Content-Type"].startswith(content_type)


def test_a_fault_may_be_about_one_address(own: MailchimpStandIn) -> None:
    home = settle(own)
    own.control.inject_fault(path="/**", times=99, status=500, about="Ann@clinic.test")
    ann = {"email_address": "ann@clinic.test", "status": "subscribed"}
    ben = {"email_address": "ben@clinic.test", "status": "subscribed"}
    hashed = hashlib.md5(b"ann@clinic.test", usedforsecurity=False).hexdigest()
    answers = [home.bulk(*members) for members in ([ann], [ann, ben], [ben])]
    answers += [home.api.get(f"{home.path}/members/{who}") for who in ("ann@clinic.test", hashed, "ben@clinic.test")]
    assert [answer.status_code for answer in answers] == [500, 500, 200, 500, 500, 200]


def test_a_truncated_answer_belongs_to_a_call_that_was_carried_out(own: MailchimpStandIn) -> None:
    home = settle(own)
    own.control.inject_fault(method="POST", path="/lists/{list_id}", kind="truncate")
    response = home.bulk({"email_address": "ann@clinic.test", "status": "subscribed"})
    assert response.status_code == 200
    with pytest.raises(ValueError, match=r"JSON|Unterminated|Expecting|delimiter"):
        response.json()
    assert [member["email_address"] for member in own.control.members(home.path.rsplit("/", 1)[1])] == [
        "ann@clinic.test"
    ]


def test_a_fault_may_have_no_body_at_all(own: MailchimpStandIn) -> None:
    home = settle(own)
    own.control.inject_fault(path="/ping", status=403, body="empty")
    assert ping(home).content == b""


def test_a_gateway_error_may_hide_a_call_that_was_carried_out(own: MailchimpStandIn) -> None:
    home = settle(own)
    own.control.inject_fault(method="POST", path="/lists/**", status=502, body="html", executes=True)
    assert home.bulk({"email_address": "ann@clinic.test", "status": "subscribed"}).status_code == 502
    assert home.listed() == ["ann@clinic.test"]


@pytest.mark.parametrize("executes", [True, False])
def test_a_connection_can_be_dropped_before_or_after_the_work(own: MailchimpStandIn, executes: bool) -> None:
    home = settle(own)
    own.control.inject_fault(method="POST", path="/lists/*", kind="drop", executes=executes)
    with pytest.raises(requests.ConnectionError):
        home.bulk({"email_address": "ann@clinic.test", "status": "subscribed"})
    assert len(home.listed()) == int(executes)


def test_a_call_can_hang_until_the_client_gives_up(own: MailchimpStandIn) -> None:
    home = settle(own)
    own.control.inject_fault(path="/ping", kind="hang", seconds=60)
    with pytest.raises(requests.Timeout):
        requests.get(home.api.url + "/ping", auth=("x", home.api.key), timeout=(30, 0.1))


def test_a_call_can_be_delayed_and_then_answered(own: MailchimpStandIn) -> None:
    home = settle(own)
    own.control.inject_fault(path="/ping", kind="delay", seconds=0.2)
    start = time.monotonic()
    assert ping(home).status_code == 200
    assert time.monotonic() - start >= 0.2


def test_a_call_can_be_held_until_the_faults_are_cleared(own: MailchimpStandIn) -> None:
    home = settle(own)
    own.control.inject_fault(path="/ping", kind="hold", seconds=60)
    with ThreadPoolExecutor() as pool:
        held = pool.submit(ping, home)
        while own.control.faults():
            time.sleep(0.01)
        assert not held.done()
        own.control.clear_faults()
        assert held.result(timeout=30).status_code == 200


def test_faults_can_be_seen_and_cleared(own: MailchimpStandIn) -> None:
    home = settle(own)
    own.control.inject_fault(path="/ping", status=500, times=5)
    assert own.control.faults()[0]["times"] == 5
    own.control.clear_faults()
    assert ping(home).status_code == 200


def test_a_fault_that_makes_no_sense_is_refused(own: MailchimpStandIn) -> None:
    with pytest.raises(ValueError, match="kind must be one of"):
        own.control.inject_fault(kind="explode")


# --- the journal ---


def test_the_journal_counts_calls_by_template_and_members(own: MailchimpStandIn) -> None:
    home = settle(own)
    home.bulk({"email_address": "ann@clinic.test", "status": "subscribed"})
    home.bulk({"email_address": "bob@clinic.test", "status": "subscribed"}, {"email_address": "c@clinic.test"})
    home.listed(status="subscribed")
    home.api.get("/lists/unknown")
    calls = {(call["method"], call["path"]): call for call in own.control.journal()["calls"]}
    assert calls["POST", "/lists/{list_id}"]["count"] == 2
    assert calls["POST", "/lists/{list_id}"]["members"] == 3
    assert calls["GET", "/lists/{list_id}"]["statuses"] == {"404": 1}
    assert own.control.journal()["writes"] == 2


def test_the_journal_tells_writes_alone_with_audience_and_query(own: MailchimpStandIn) -> None:
    home = settle(own)
    home.listed()
    home.bulk(query={"skip_merge_validation": "true"})
    [entry] = own.control.journal(writes_only=True)["entries"]
    assert (entry["method"], entry["path"], entry["audience_id"]) == ("POST", "/lists/{list_id}", home.id)
    assert entry["query"] == {"skip_merge_validation": "true"}
    assert (entry["status"], entry["is_write"]) == (200, True)


def test_the_journal_can_be_reset(own: MailchimpStandIn) -> None:
    home = settle(own)
    ping(home)
    own.control.reset_journal()
    journal = own.control.journal()
    assert (journal["total"], journal["entries"], journal["peak_connections"]) == (0, [], 0)


def test_refused_keys_are_in_the_journal_with_their_title(own: MailchimpStandIn) -> None:
    home = settle(own)
    ping(home, "0" * 32 + "-us7")
    [entry] = own.control.journal()["entries"]
    assert (entry["path"], entry["status"], entry["title"]) == ("/ping", 401, "API Key Invalid")
