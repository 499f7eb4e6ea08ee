"""Every function and every part of the API over the whole stack: the gateway, the real queues, the deployed functions.

A department of its own, with a Mailchimp account of its own, so that nothing here disturbs other tests. Each test uses
customers of its own and leaves the department connected and at rest.

What is proven here beside the answers is that each function may do what it does: at the end of the session every call
to AWS is held against the permissions of the function that made it.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
import requests

from infra.local import verify
from infra.local.journey import NEW_AUDIENCE
from infra.local.stack import LocalStack
from tests.stack.test_nothing_leaks import log_lines

pytestmark = pytest.mark.stack

DEPARTMENT = "service-tests"
PREFIX = "pracbill-mailchimp-local"
# Who has agreed to be mailed, each for one test.
SUBSCRIBED = (
    "webhook", "erased", "approved", "cancelled", "nudged", "stuck", "dead-step", "dead-chunk", "disconnected",
    "tagged-a", "tagged-b", "explained", "moving", "leaving", "edited", "bouncing", "renamed",
)  # fmt: skip
# Mailchimp's call, our queue and PracBill's answer: a second or two when the machine is at rest, as make demo shows.
# Other work on the machine only ever adds.
WEBHOOK_SECONDS = 30.0
# How long a stand-in may be too slow for the service's own time-outs.
BUSY_SECONDS = 120.0


def address_of(name: str) -> str:
    return f"{name}@service-practice.test"


def customer_id_of(name: str) -> str:
    return str(900_000 + SUBSCRIBED.index(name))


@dataclass(frozen=True)
class Service:
    """The department as its users, PracBill and Mailchimp see it."""

    stack: LocalStack
    tokens: Mapping[str, str]
    api_key: str
    account_id: str
    audience_id: str = ""

    # the service's API

    def ask(self, method: str, path: str, body: Any = None, *, access: str = "write") -> requests.Response:
        """Call the API; `D` at the start of a path stands for the department."""
        path = f"/departments/{DEPARTMENT}{path[1:]}" if path.startswith("D/") else path
        headers = {"Authorization": f"Bearer {self.tokens[access]}"}
        return session().request(method, self.stack.api_url + path, json=body, headers=headers, timeout=60)

    def call(self, method: str, path: str, body: Any = None, *, access: str = "write") -> Any:
        answer = self.ask(method, path, body, access=access)
        until = time.monotonic() + BUSY_SECONDS
        while answer.status_code == 503 and time.monotonic() < until:  # as it says: "Try again in a minute."
            time.sleep(5)
            answer = self.ask(method, path, body, access=access)
        assert answer.ok, f"{method} {path} answered {answer.status_code}: {answer.text[:500]}"
        return answer.json() if answer.content else None

    def sync(self, kind: str = "incremental") -> dict[str, Any]:
        """A run from its start to its end, when the department is at rest."""
        self.rest()
        return self.end_of(self.call("POST", "D/syncs", {"type": kind})["id"])

    def end_of(self, run_id: str) -> dict[str, Any]:
        return self.run_when(run_id, lambda run: run["finished_at"] is not None)

    def run_when(self, run_id: str, happened: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            run: dict[str, Any] = self.call("GET", f"D/syncs/{run_id}")
            return run if happened(run) else None

        found: dict[str, Any] = wait_for(look)
        return found

    def rest(self) -> None:
        """Wait until no run is active."""
        wait_for(lambda: self.call("GET", "D/connection")["active_run"] is None)

    # the other two

    def mailchimp(self, action: str, **arguments: Any) -> Any:
        """Somebody does something in Mailchimp."""
        return post(f"{self.stack.mailchimp['control_url']}/{action}", arguments)

    def member(self, name: str) -> dict[str, Any] | None:
        """The member of one of our customers, as Mailchimp keeps it."""
        members = self.mailchimp("members", audience_id=self.audience_id)
        return next((member for member in members if member["email_address"] == address_of(name)), None)

    def tags(self, name: str) -> set[str]:
        return set((self.member(name) or {}).get("tag_names", ()))

    def hooks(self) -> list[dict[str, Any]]:
        audiences = self.mailchimp("audiences", account_id=self.account_id)
        return list(next(a for a in audiences if a["audience_id"] == self.audience_id)["webhooks"])

    def delete_in_mailchimp(self, path: str) -> None:
        """Delete something by Mailchimp's own API."""
        base = self.stack.mailchimp["url"].replace("{dc}", self.api_key.rpartition("-")[2])
        answer = session().delete(base + path, auth=("test", self.api_key), timeout=30)
        assert answer.ok, answer.text

    def pracbill(self, path: str, body: Any, *, method: str = "POST") -> Any:
        """Somebody does something in PracBill."""
        url = f"{self.stack.pracbill['control_url']}/departments/{DEPARTMENT}/{path}"
        answer = session().request(method, url, json=body, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def customers(self) -> dict[str, dict[str, Any]]:
        pracbill = verify.PracBill(self.stack.pracbill["url"], self.stack.pracbill["token"], DEPARTMENT)
        return {customer["id"]: customer for customer in pracbill.customers()}

    def consent(self, name: str) -> str | None:
        """What PracBill's own record of a customer says."""
        return (self.customers()[customer_id_of(name)].get("marketing_consent") or {}).get("status")

    def opt_out_in_pracbill(self, name: str) -> None:
        self.pracbill(f"customers/{customer_id_of(name)}/consent", {"status": "unsubscribed"})

    # AWS

    def invoke_on_schedule(self, function: str) -> None:
        """What EventBridge does when a rule is due."""
        event = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "source": "aws.events",
            "detail-type": "Scheduled Event",
            "account": "000000000000",
            "region": "eu-central-1",
            "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "resources": [],
            "detail": {},
        }
        functions = self.stack.client("lambda")
        answer = functions.invoke(FunctionName=f"{PREFIX}-{function}", Payload=json.dumps(event))
        assert "FunctionError" not in answer, answer["Payload"].read()

    def put_among_dead_letters(self, kind: str, run_id: str, number: int) -> None:
        """What the queue does with a message after its last delivery."""
        sqs = self.stack.client("sqs")
        step = {"kind": kind, "department_id": DEPARTMENT, "run_id": run_id, "number": number, "nudge": 0}
        sqs.send_message(
            QueueUrl=sqs.get_queue_url(QueueName=f"{PREFIX}-sync-dlq.fifo")["QueueUrl"],
            MessageBody=json.dumps(step),
            MessageGroupId=DEPARTMENT,
            MessageDeduplicationId=str(uuid.uuid4()),
        )

    def die_after_approval(self, run_id: str, *, quiet_for: timedelta) -> int:
        """Leave a run that waits for approval as a function leaves it that dies between approving and queueing.

        Returns the number of the step that nobody sends.
        """
        database, table = self.stack.client("dynamodb"), f"{PREFIX}-runs"
        key = {"pk": {"S": DEPARTMENT}, "sk": {"S": run_id}}
        item = database.get_item(TableName=table, Key=key)["Item"]
        run = json.loads(item["document"]["S"])
        run |= {
            "status": "running",
            "phase": "apply",
            "brake": "",
            "approved_by": "somebody",
            "step_number": run["step_number"] + 1,
            "progress_at": (datetime.now(UTC) - quiet_for).isoformat(),
        }
        item["document"]["S"] = json.dumps(run)
        item["version"]["N"] = str(int(item["version"]["N"]) + 1)
        database.put_item(TableName=table, Item=item)
        return int(run["step_number"])

    @contextmanager
    def braked_run(self, name: str) -> Iterator[str]:
        """A run that would unsubscribe a customer and waits for approval. At the end the department is at rest."""
        self.rest()
        limits = self.call("GET", "D/settings")["brake"]
        self.call("PUT", "D/settings", {"brake": {"removals": 0, "removals_percent": 0}})
        try:
            self.opt_out_in_pracbill(name)
            run_id = self.call("POST", "D/syncs", {"type": "incremental"})["id"]
            run = self.run_when(run_id, lambda run: run["status"] != "running")
            assert run["status"] == "awaiting_approval", run
            assert run["brake"]["planned_counts"]["unsubscribe"] >= 1
        finally:
            self.call("PUT", "D/settings", {"brake": limits})
        yield run_id
        self.rest()


def session() -> requests.Session:
    opened = requests.Session()
    opened.trust_env = False
    return opened


def post(url: str, body: Mapping[str, Any]) -> Any:
    answer = session().post(url, json=dict(body), timeout=30)
    assert answer.ok, f"{url} answered {answer.status_code}: {answer.text[:500]}"
    return answer.json()


def wait_for(look: Callable[[], Any], *, seconds: float = 120.0) -> Any:
    """What `look` answers as soon as it answers something."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.15)
    return found


@pytest.fixture(scope="module")
def service(stack: LocalStack) -> Iterator[Service]:
    """The department, connected, its audience created by us, and synced once."""
    control = stack.pracbill["control_url"]
    post(f"{control}/departments", {"id": DEPARTMENT})
    tokens = {
        access: post(f"{control}/tokens", {"subject": f"{access}r", "mailchimp_access": {DEPARTMENT: access}})["token"]
        for access in ("read", "write")
    }
    account = post(f"{stack.mailchimp['control_url']}/create_account", {"name": "Service Practice"})
    service = Service(stack, tokens, api_key=account["api_key"], account_id=account["account_id"])
    add_customers(service)
    service.call("PUT", "D/connection", {"api_key": service.api_key})
    audience = service.call("POST", "D/audiences", NEW_AUDIENCE)
    service = Service(stack, tokens, service.api_key, service.account_id, audience["id"])
    assert service.sync("full")["status"] == "success"
    yield service
    remove_audience(service)


def add_customers(service: Service) -> None:
    for name in SUBSCRIBED:
        customer = {
            "id": customer_id_of(name),
            "email": address_of(name),
            "company_name": f"Practice of {name}",
            "first_name": name.title(),
            "marketing_consent": {"status": "subscribed", "changed_at": "2026-01-05T10:00:00Z"},
        }
        service.pracbill("customers", customer)
    service.pracbill("generate", {"count": 40, "seed": 7})


def remove_audience(service: Service) -> None:
    """Other tests speak of `the` audience; ours must not be a second one."""
    service.rest()
    service.call("DELETE", "D/connection")
    service.delete_in_mailchimp(f"/lists/{service.audience_id}")


# ------------------------------------------------------------------------------------------------------ the API itself


def test_every_deployed_route_is_described(service: Service) -> None:
    described = service.call("GET", "/openapi.json")
    gateway = service.stack.client("apigateway")
    found = gateway.get_resources(restApiId=service.stack.api_url.split("/")[-2], limit=500)["items"]
    deployed = {
        (item["path"], method.lower())
        for item in found
        for method in item.get("resourceMethods", {})
        if method != "OPTIONS" and item["path"] != "/{proxy+}"
    }
    assert described["openapi"].startswith("3.1")
    assert deployed == {(path, method) for path, methods in described["paths"].items() for method in methods}


def test_a_reader_changes_nothing_and_a_stranger_sees_nothing(service: Service) -> None:
    assert service.ask("GET", "D/connection", access="read").status_code == 200
    for method, path, body in (
        ("PUT", "D/settings", {"paused": True}),
        ("POST", "D/syncs", {"type": "full"}),
        ("DELETE", "D/connection", None),
        ("POST", f"D/customers/{customer_id_of('explained')}/erase", {"confirm": customer_id_of("explained")}),
    ):
        assert service.ask(method, path, body, access="read").status_code == 403, path
    assert service.ask("GET", f"/departments/{service.stack.department_id}/connection").status_code == 403


# ------------------------------------------------------------------------------------------------------------ segments

NAMED_TAGGED = [{"field": "email", "operator": "contains", "value": "tagged-"}]
ONLY_A = [{"field": "email", "operator": "contains", "value": "tagged-a"}]


def synced_segment(service: Service, segment_id: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        segment: dict[str, Any] = service.call("GET", f"D/segments/{segment_id}", access="read")
        assert segment["sync_state"] != "error", segment["message"]
        return segment if segment["sync_state"] == "synced" else None

    found: dict[str, Any] = wait_for(look)
    service.rest()
    return found


def test_a_segment_lives_in_mailchimp_as_long_as_here(service: Service) -> None:
    created = service.call("POST", "D/segments", {"name": "Tagged", "rules": NAMED_TAGGED})
    assert created["customer_count"] == 2
    synced = synced_segment(service, created["id"])
    assert (synced["tagged_count"], synced["mailchimp_segment_id"] is not None) == (2, True)
    assert service.tags("tagged-a") == service.tags("tagged-b") == {"Tagged"}
    assert service.tags("explained") == set()

    change = {"name": "Only A", "rules": ONLY_A, "version": created["version"]}
    edited = service.call("PUT", f"D/segments/{created['id']}", change)
    refused = service.ask("PUT", f"D/segments/{created['id']}", {**change, "name": "Too late"})
    assert (refused.status_code, refused.json()["segment"]["name"]) == (409, "Only A")
    assert edited["version"] == created["version"] + 1
    synced_segment(service, created["id"])
    assert (service.tags("tagged-a"), service.tags("tagged-b")) == ({"Only A"}, set())

    service.call("DELETE", f"D/segments/{created['id']}")
    assert service.ask("GET", f"D/segments/{created['id']}").status_code == 404
    wait_for(lambda: service.tags("tagged-a") == set())
    service.rest()


def test_a_full_run_gives_back_a_tag_that_somebody_took_away_by_hand(service: Service) -> None:
    created = service.call("POST", "D/segments", {"name": "Kept", "rules": ONLY_A})
    synced_segment(service, created["id"])
    service.mailchimp(
        "admin_tag", email=address_of("tagged-a"), name="Kept", active=False, audience_id=service.audience_id
    )
    assert service.tags("tagged-a") == set()
    assert service.sync("full")["status"] == "success"
    assert service.tags("tagged-a") == {"Kept"}
    service.call("DELETE", f"D/segments/{created['id']}")
    service.rest()


def test_a_tag_of_somebody_else_is_left_alone(service: Service) -> None:
    service.mailchimp("admin_tag", email=address_of("explained"), name="VIP", audience_id=service.audience_id)
    refused = service.ask("POST", "D/segments", {"name": "VIP", "rules": ONLY_A})
    assert refused.status_code == 409
    assert service.tags("explained") == {"VIP"}
    service.mailchimp(
        "admin_tag", email=address_of("explained"), name="VIP", active=False, audience_id=service.audience_id
    )


def test_a_builder_learns_fields_templates_and_counts(service: Service) -> None:
    fields = service.call("GET", f"/segment-fields?department_id={DEPARTMENT}", access="read")["fields"]
    by_name = {field["field"]: field for field in fields}
    assert {"company_name", "balance_greater_than", "has_invoice_in_last_months"} <= by_name.keys()
    assert by_name["state"]["choices"], "the states of the department's own customers are offered"
    assert service.call("GET", "/segment-fields", access="read")["max_rules"] == 20
    templates = service.call("GET", f"/segment-templates?department_id={DEPARTMENT}", access="read")["items"]
    for template in templates[:5]:
        preview = service.call("POST", "D/segments/preview", {"rules": template["rules"]}, access="read")
        assert 0 <= preview["reachable_count"] <= preview["total"], template["name"]


def test_a_preview_counts_each_rule_and_tells_who_enters_and_leaves(service: Service) -> None:
    segment = service.call("POST", "D/segments", {"name": "Previewed", "rules": ONLY_A})
    rules = [*NAMED_TAGGED, {"field": "company_name", "operator": "contains", "value": "tagged-b"}]
    body = {"rules": rules, "segment_id": segment["id"], "per_rule": True}
    preview = service.call("POST", "D/segments/preview", body, access="read")
    assert (preview["count"], preview["reachable_count"]) == (1, 1)
    assert [rule["count"] for rule in preview["per_rule"]] == [2, 1]
    assert [customer["id"] for customer in preview["entering"]["sample"]] == [customer_id_of("tagged-b")]
    assert [customer["id"] for customer in preview["leaving"]["sample"]] == [customer_id_of("tagged-a")]
    assert preview["total"] == len(service.customers())
    listed = service.call("GET", "D/segments", access="read")["items"]
    assert segment["id"] in {one["id"] for one in listed}
    service.call("DELETE", f"D/segments/{segment['id']}")
    service.rest()


# ---------------------------------------------------------------------------------------------------- one customer, all


def test_a_customer_is_explained(service: Service) -> None:
    view = service.call("GET", f"D/customers/{customer_id_of('explained')}", access="read")
    assert (view["in_audience"], view["member_status"]) == (True, "subscribed")
    assert view["last_push"]["status"] == "subscribed"
    assert view["address"] == address_of("explained")  # who may read the customer may read the address
    assert service.ask("GET", "D/customers/nobody", access="read").status_code == 404


@pytest.mark.parametrize("customer_id", ["a/b", "50%", "%2e%2e", "a%2Fb", "Müller & Co/7 +%?#"])
def test_an_id_of_any_characters_reaches_its_customer(service: Service, customer_id: str) -> None:
    path = f"D/customers/{quote(customer_id, safe='')}"
    assert service.ask("POST", f"{path}/erase", {"confirm": "somebody else"}).status_code == 400
    # Confirmed with the id as the service understood it, it is looked for.
    refused = service.ask("POST", f"{path}/erase", {"confirm": customer_id})
    assert (refused.status_code, refused.json()["detail"][:35]) == (404, "There is no customer with this id h")


def test_one_incremental_run_brings_edits_moves_and_removals(service: Service) -> None:
    service.pracbill("customers", {"id": customer_id_of("edited"), "first_name": "Edith"})
    service.pracbill("customers", {"id": customer_id_of("moving"), "email": address_of("moved")})
    service.pracbill(f"customers/{customer_id_of('leaving')}", None, method="DELETE")
    run = service.sync()
    assert run["status"] == "success", run["message"]
    edited, moved, left = (service.member(name) for name in ("edited", "moved", "leaving"))
    assert edited is not None and edited["merge_fields"]["FNAME"] == "Edith"
    assert moved is not None and moved["status"] == "subscribed"
    assert left is not None and left["status"] == "archived"
    assert service.sync()["status"] == "skipped"


def test_an_erased_person_is_gone_everywhere_and_stays_away(service: Service) -> None:
    path, customer = f"D/customers/{customer_id_of('erased')}/erase", customer_id_of("erased")
    assert service.ask("POST", path, {"confirm": "somebody else"}).status_code == 400
    assert service.member("erased") is not None
    assert service.call("POST", path, {"confirm": customer})["customer_id"] == customer
    gone = service.member("erased")
    assert gone is None or gone["status"] == "forgotten"
    service.pracbill("customers", {"id": customer, "first_name": "Edited"})
    service.sync("full")
    still = service.member("erased")
    assert still is None or still["status"] == "forgotten"
    view = service.ask("GET", f"D/customers/{customer}")
    assert (view.status_code, "erased" in view.json()["detail"]) == (404, True)
    assert service.call("GET", "D/logs?trigger=erasure")["items"]


def test_the_difference_of_the_counts_is_explained_to_the_last_one(service: Service) -> None:
    service.sync()
    found = service.call("GET", "D/reconciliation", access="read")
    reasons = {reason["code"]: reason["count"] for reason in found["reasons"]}
    assert found["difference"] == found["pracbill_count"] - found["mailchimp_count"] == sum(reasons.values())
    # Held against who is subscribed in truth, nothing may be left unexplained.
    members = service.mailchimp("members", audience_id=service.audience_id, status="subscribed")
    assert found["mailchimp_count"] == len(members)
    assert "not_counted_yet" not in reasons
    # An erased customer is still PracBill's, and no longer ours.
    assert abs(len(service.customers()) - found["pracbill_count"]) <= 1
    assert reasons["transactional"] > 0
    # Who changed the address in Mailchimp matches no customer until PracBill has the new one.
    assert reasons.get("foreign", 0) >= -1


# -------------------------------------------------------------------------------------------------------- runs and logs


def test_runs_records_and_logs_are_read_page_by_page(service: Service) -> None:
    run = service.sync("full")
    pages = [service.call("GET", "D/syncs?limit=1", access="read")]
    assert pages[0]["items"][0]["id"] == run["id"]
    pages.append(service.call("GET", f"D/syncs?limit=1&cursor={pages[0]['next_cursor']}", access="read"))
    assert pages[1]["items"][0]["id"] < run["id"]
    first_full = service.call("GET", "D/syncs?limit=100", access="read")["items"][-2]
    refused = service.call("GET", f"D/syncs/{first_full['id']}/records?outcome=held&limit=100", access="read")["items"]
    assert refused and all(record["cause"] and record["outcome"] == "held" for record in refused)
    entries = service.call("GET", "D/logs?direction=push&type=full&limit=100", access="read")["items"]
    assert {(entry["direction"], entry["type"]) for entry in entries} == {("push", "full")}
    assert run["id"] in {entry["run_id"] for entry in entries}


def test_a_second_run_is_refused_and_a_dry_one_sends_nothing(service: Service) -> None:
    with service.braked_run("cancelled") as run_id:
        refused = service.ask("POST", "D/syncs", {"type": "full"})
        assert refused.status_code == 409
        assert run_id in refused.text
        assert service.call("POST", f"D/syncs/{run_id}/cancel")["status"] == "cancelled"
    dry = service.end_of(service.call("POST", "D/syncs", {"type": "full", "dry_run": True})["id"])
    assert (dry["status"], dry["counts"]["unsubscribe"] >= 1) == ("success", True)
    member = service.member("cancelled")
    assert member is not None and member["status"] == "subscribed"


def test_an_approved_run_goes_on(service: Service) -> None:
    with service.braked_run("approved") as run_id:
        service.call("POST", f"D/syncs/{run_id}/approve")
        assert service.end_of(run_id)["status"] == "success"
    member = service.member("approved")
    assert member is not None and member["status"] == "unsubscribed"


# ------------------------------------------------------------------------------------------- schedule, sweeper, letters


def test_the_schedule_starts_runs_where_they_are_wanted(service: Service) -> None:
    service.rest()
    newest = service.call("GET", "D/syncs?limit=1")["items"][0]["id"]
    assert service.call("PUT", "D/settings", {"paused": True})["paused"] is True
    service.invoke_on_schedule("dispatcher")
    assert service.call("GET", "D/settings", access="read")["paused"] is True
    time.sleep(1.1)  # the next occasion is another second
    assert service.call("GET", "D/syncs?limit=1")["items"][0]["id"] == newest
    service.call("PUT", "D/settings", {"paused": False})
    service.invoke_on_schedule("dispatcher")

    def started() -> Any:
        run = service.call("GET", "D/syncs?limit=1")["items"][0]
        return run if run["id"] > newest else None

    run = wait_for(started)
    assert (run["type"], run["trigger"]) == ("incremental", "schedule")
    assert service.end_of(run["id"])["status"] in {"success", "skipped"}
    rest_elsewhere(service.stack)


def rest_elsewhere(stack: LocalStack) -> None:
    """The schedule is everybody's: leave the stack's own department at rest, too."""
    path = f"/departments/{stack.department_id}/connection"
    wait_for(lambda: stack.call("GET", path).json()["active_run"] is None)


def test_settings_are_kept_and_wrong_ones_refused(service: Service) -> None:
    before = service.call("GET", "D/settings", access="read")
    after = service.call("PUT", "D/settings", {"on_removed": "keep", "ask_again": True, "brake": {"additions": 7}})
    assert after == {**before, "on_removed": "keep", "ask_again": True, "brake": {**before["brake"], "additions": 7}}
    assert service.call("GET", "D/settings", access="read") == after
    refused = service.ask("PUT", "D/settings", {"unknown_consent": "whatever"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "unknown_consent")
    assert service.call("PUT", "D/settings", before) == before


def test_the_sweeper_sends_a_lost_message_again(service: Service) -> None:
    with service.braked_run("nudged") as run_id:
        service.die_after_approval(run_id, quiet_for=timedelta(minutes=7))
        service.invoke_on_schedule("sweeper")
        assert service.end_of(run_id)["status"] == "success"
    member = service.member("nudged")
    assert member is not None and member["status"] == "unsubscribed"


def test_the_sweeper_closes_a_run_without_progress(service: Service) -> None:
    with service.braked_run("stuck") as run_id:
        service.die_after_approval(run_id, quiet_for=timedelta(minutes=31))
        service.invoke_on_schedule("sweeper")
        run = service.call("GET", f"D/syncs/{run_id}")
        assert (run["status"], "no progress" in run["message"]) == ("error", True)
        assert service.call("GET", "D/connection")["active_run"] is None
    entry = next(e for e in service.call("GET", "D/logs?status=error")["items"] if e["run_id"] == run_id)
    assert entry["message"] == run["message"]
    assert service.sync()["status"] == "success"
    member = service.member("stuck")
    assert member is not None and member["status"] == "unsubscribed"


def test_a_dead_step_ends_its_run(service: Service) -> None:
    with service.braked_run("dead-step") as run_id:
        step = service.die_after_approval(run_id, quiet_for=timedelta())
        service.put_among_dead_letters("step", run_id, step)
        run = service.end_of(run_id)
        assert (run["status"], "operators" in run["message"]) == ("error", True), run["message"]
    assert service.sync()["status"] == "success"


def test_a_dead_chunk_fails_alone_and_can_be_tried_again(service: Service) -> None:
    with service.braked_run("dead-chunk") as run_id:
        service.die_after_approval(run_id, quiet_for=timedelta())
        service.put_among_dead_letters("chunk", run_id, 0)
        run = service.end_of(run_id)
        assert (run["status"], run["progress"]["failed"] >= 1) == ("error", True)
    failed = service.call("GET", f"D/syncs/{run_id}/records?outcome=failed")["items"]
    assert customer_id_of("dead-chunk") in {record["customer_id"] for record in failed}
    again = service.end_of(service.call("POST", f"D/syncs/{run_id}/retry")["id"])
    assert (again["trigger"], again["status"]) == ("retry", "success")
    member = service.member("dead-chunk")
    assert member is not None and member["status"] == "unsubscribed"


# ----------------------------------------------------------------------------------------------- webhook and connection


def test_pracbill_hears_of_an_opt_out_within_seconds(service: Service) -> None:
    service.rest()
    assert service.consent("webhook") == "subscribed"
    service.mailchimp("unsubscribe", email=address_of("webhook"), audience_id=service.audience_id)
    wait_for(lambda: service.consent("webhook") == "unsubscribed", seconds=WEBHOOK_SECONDS)
    view = service.call("GET", f"D/customers/{customer_id_of('webhook')}")
    assert view["member_status"] == "unsubscribed"
    assert [entry["after"] for entry in view["consent_ledger"] if entry["route"] == "webhook"] == ["unsubscribed"]
    entry = service.call("GET", "D/logs?trigger=webhook")["items"][0]
    assert (entry["direction"], entry["status"], entry["run_id"]) == ("pull", "success", None)


def test_a_bounce_and_an_address_changed_by_its_owner_are_heard_too(service: Service) -> None:
    service.rest()
    seen = len(webhook_entries(service))
    service.mailchimp("bounce", email=address_of("bouncing"), audience_id=service.audience_id)
    new_address = "renamed-by-owner@elsewhere.test"
    service.mailchimp(
        "change_address", email=address_of("renamed"), new_email=new_address, audience_id=service.audience_id
    )
    wait_for(lambda: service.consent("bouncing") == "unsubscribed", seconds=WEBHOOK_SECONDS)
    wait_for(lambda: len(webhook_entries(service)) >= seen + 2, seconds=WEBHOOK_SECONDS)
    service.sync()
    addresses = {m["email_address"] for m in service.mailchimp("members", audience_id=service.audience_id)}
    assert new_address in addresses
    assert address_of("renamed") not in addresses


def webhook_entries(service: Service) -> list[dict[str, Any]]:
    return list(service.call("GET", "D/logs?trigger=webhook&limit=100")["items"])


def test_a_run_puts_back_a_hook_that_somebody_removed(service: Service) -> None:
    (hook,) = service.hooks()
    service.delete_in_mailchimp(f"/lists/{service.audience_id}/webhooks/{hook['id']}")
    assert service.hooks() == []
    service.sync()
    (again,) = service.hooks()
    assert session().get(again["url"], timeout=30).status_code == 200
    if again["url"] != hook["url"]:
        assert session().get(hook["url"], timeout=30).status_code == 404


def test_our_hook_is_probed_with_the_right_token_only(service: Service) -> None:
    (hook,) = service.hooks()
    assert hook["url"].startswith(f"{service.stack.api_url}/webhooks/mailchimp/{DEPARTMENT}/")
    assert session().get(hook["url"], timeout=30).status_code == 200
    assert session().get(f"{hook['url'][:-4]}abcd", timeout=30).status_code == 404


def test_a_disconnected_department_connects_again_and_goes_on(service: Service) -> None:
    (hook,) = service.hooks()
    with service.braked_run("disconnected") as run_id:
        status = service.call("DELETE", "D/connection")
        assert (status["state"], status["key_hint"], status["active_run"]) == ("not_connected", None, None)
        assert service.call("GET", f"D/syncs/{run_id}")["status"] == "cancelled"
        assert service.hooks() == []
        assert session().get(hook["url"], timeout=30).status_code == 404
        assert service.ask("POST", "D/syncs", {"type": "full"}).status_code == 409
        assert service.call("GET", "D/logs")["items"]
        status = service.call("PUT", "D/connection", {"api_key": service.api_key})
    assert (status["state"], status["audience"]["id"]) == ("connected", service.audience_id)
    assert len(service.hooks()) == 1
    assert service.hooks()[0]["url"] != hook["url"]
    assert service.sync()["status"] == "success"
    member = service.member("disconnected")
    assert member is not None and member["status"] == "unsubscribed"


def test_a_dead_key_is_told_and_replaced(service: Service) -> None:
    other = service.mailchimp("create_key", account_id=service.account_id)["api_key"]
    assert service.call("PUT", "D/connection", {"api_key": other})["key_hint"] == other.partition("-")[0][-4:]
    service.mailchimp("revoke_key", api_key=other)
    run = service.sync()
    assert run["status"] == "error"
    status = service.call("GET", "D/connection")
    assert status["state"] == "key_rejected"
    assert "key_rejected" in [finding["code"] for finding in status["health"]]
    strange = service.mailchimp("create_account", name="Somebody Else")["api_key"]
    assert service.ask("PUT", "D/connection", {"api_key": strange}).status_code == 409
    assert service.call("PUT", "D/connection", {"api_key": service.api_key})["state"] == "connected"
    assert service.sync()["status"] in {"success", "skipped"}


def test_audiences_are_offered_and_the_chosen_one_is_summed_up(service: Service) -> None:
    found = service.call("GET", "D/audiences", access="read")
    assert [audience["id"] for audience in found["items"]] == [service.audience_id]
    assert found["may_create"] is True
    chosen = service.call("PUT", "D/audience", {"audience_id": service.audience_id})
    assert chosen["id"] == service.audience_id
    service.rest()
    overview = service.call("GET", "D/audience", access="read")
    assert (overview["name"], overview["segments"]) == (NEW_AUDIENCE["name"], 0)
    members = service.mailchimp("members", audience_id=service.audience_id, status="subscribed")
    assert overview["member_count"] == len(members) > 0


# ---------------------------------------------------------------------------------------------------------------- leaks


def test_no_log_holds_an_address_or_a_key_of_the_department(service: Service) -> None:
    """Whatever happened to it so far; test_nothing_leaks.py lets another department live without these troubles."""
    secrets = (service.api_key.partition("-")[0], *service.tokens.values(), *(hook["url"] for hook in service.hooks()))
    lines = list(log_lines(service.stack))
    assert [source for source, line in lines if DEPARTMENT in line]
    found = {source for source, line in lines if "@service-practice.test" in line.replace("***@", "")}
    assert found == set()
    assert {source for source, line in lines if any(secret in line for secret in secrets)} == set()
