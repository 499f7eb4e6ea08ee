"""The workflows around a connection, joined as in production, with levers for tests."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote

import requests

from chalicelib.contract.runs import RunProgress, RunView
from chalicelib.domain.audiences import NewAudience
from chalicelib.domain.customers import Address
from chalicelib.domain.departments import Audience, Department
from chalicelib.domain.runs import Run
from chalicelib.foundations import Seams
from chalicelib.http_client.retry import RetryPolicy
from chalicelib.store.hook_records import HookRecordStore
from chalicelib.store.secret_store import SecretStore
from chalicelib.store.stores import AwsClients, Retention
from chalicelib.sync.account.connection_panel import RunCalls
from chalicelib.sync.account.webhook_registration import WebhookRecord, secret_hash
from infra.standins.mailchimp import MailchimpStandIn
from infra.standins.pracbill import PracBillStandIn
from infra.standins.service import StandInService
from tests.aws_emulator import client

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

# The emulator removes what has expired by the real clock, which is not the office's.
_KEEP = timedelta(days=3650)
NEW_AUDIENCE = NewAudience(
    name="Customer Newsletter",
    from_name="North Practice",
    from_email="hello@practice.test",
    company="North Practice",
    address=Address(line1="1 High Road", line2="Level 2", city="Melbourne", state="VIC", postcode="3000", country="AU"),
    language="en",
    permission_reminder="You are a client of ours.",
)


class HookAddress:
    """Where Mailchimp reaches us in tests: answers 200 when the token is the one on record, else 404."""

    def __init__(self) -> None:
        self.answered: list[tuple[str, int]] = []
        self.record_of: Callable[[str], WebhookRecord | None] = lambda department_id: None
        address = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status = address.status_for(self.path)
                address.answered.append(("GET", status))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Silence."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/api"

    def status_for(self, path: str) -> int:
        *start, department_id, token = path.split("/")
        record = self.record_of(unquote(department_id))
        known = start == ["", "api", "webhooks", "mailchimp"] and record is not None
        return 200 if known and record and record.token_hash == secret_hash(token) else 404


def hook_records() -> HookRecordStore:
    address = os.environ["AWS_ENDPOINT_URL"]
    return HookRecordStore(
        client("dynamodb", address),
        lambda: client("kms", address),
        table="pracbill-mailchimp-test-hooks",
        key="alias/pracbill-mailchimp-test-webhook",
    )


class OfficeService(StandInService):
    """The service's own wiring; what is asked of runs and segments is noted, or answered, by the office."""

    def __init__(self, office: Office, secrets: SecretsManagerClient) -> None:
        address = secrets.meta.endpoint_url
        seams = Seams(
            clock=lambda: office.now,
            sleep=lambda seconds: None,
            random=lambda: 0.0,
            request_time=lambda: 60.0,
            retry_policy=RetryPolicy(attempts=2),
            aws=AwsClients(
                dynamodb=lambda: client("dynamodb", address),
                kms=lambda: client("kms", address),
                sqs=lambda: client("sqs", address),
                secretsmanager=lambda: secrets,
            ),
            retention=Retention(attempts=_KEEP),
        )
        super().__init__(office.mailchimp, office.pracbill, seams, {"SYNC_SCHEDULE": "cron(30 10 * * ? *)"})
        self._office = office

    @cached_property
    def run_calls(self) -> RunCalls:
        office = self._office
        return RunCalls(
            active=office.active_run,
            last_failed=lambda department: office.failed,
            view=office.view,
            first_plan=lambda *plan: office.planned.append(plan),
        )

    def stop_run(self, department_id: str, reason: str) -> None:
        self._office.stopped.append((department_id, reason))

    def segment_count(self, department_id: str) -> int:
        return 3

    def key_secret(self, department_id: str) -> str:
        return self._office.key_secret(department_id)

    def public_url(self) -> str:
        return self._office.public_url


class Office:
    """One department's workflows. `now` is the time they see; `stopped` and `planned` what they asked of runs,
    `failed` the last run if it failed."""

    def __init__(
        self,
        secrets: SecretsManagerClient,
        mailchimp: MailchimpStandIn,
        pracbill: PracBillStandIn,
        hook_address: HookAddress,
    ) -> None:
        self.department_id = f"practice {uuid.uuid4().hex[:12]}"
        self.now = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
        self.mailchimp, self.pracbill, self.hook_address = mailchimp, pracbill, hook_address
        self.public_url = hook_address.url  # may be changed
        self.stopped: list[tuple[str, str]] = []
        self.planned: list[tuple[str, str]] = []
        self.failed: Run | None = None
        pracbill.add_department(self.department_id, name="North", timezone="Australia/Melbourne", country="AU")
        self.service = service = OfficeService(self, secrets)
        self.departments, self.attempts, self.secret_store = (
            service.stores.departments,
            service.stores.attempts,
            service.stores.secrets,
        )
        self.accounts, self.hooks, self.registration = service.accounts, service.hooks, service.registration
        self.audience_status, self.connections = service.audience_status, service.connections
        self.audiences, self.settings = service.audiences, service.settings
        # Another process than ours, which remembers nothing.
        self.other_secret_store = SecretStore(secrets)
        self.hook_records, self.other_hook_records = service.stores.hook_records, hook_records()
        hook_address.record_of = lambda department_id: WebhookRecord.from_fields(
            self.other_hook_records.open(department_id)
        )

    # joining

    def key_secret(self, department_id: str) -> str:
        return f"pracbill-mailchimp/test/departments/{department_id.replace(' ', '-')}"

    def active_run(self, department: Department) -> Run:
        return Run(department.id, department.active_run_id, "full", "manual", self.now, phase="apply")

    def view(self, run: Run) -> RunView:
        return RunView(
            id=run.id,
            type=run.type,
            dry_run=False,
            trigger=run.trigger,
            started_by="user-1",
            approved_by=None,
            phase=run.phase,
            status=run.status,
            started_at=run.started_at,
            finished_at=None,
            progress=RunProgress(planned=10, done=1, failed=0, rate=None, eta=None),
            counts={},
            held_by_reason={},
            message="",
            brake=None,
        )

    # acting

    @property
    def department(self) -> Department:
        department = self.departments.get(self.department_id)
        assert department is not None
        return department

    @property
    def audience(self) -> Audience:
        audience = self.department.audience
        assert audience is not None
        return audience

    def change(self, **fields: Any) -> Department:
        """Change the stored department behind the workflows' back."""
        return self.departments.change(self.department_id, lambda department: replace(department, **fields))

    def later(self, **delta: float) -> None:
        self.now += timedelta(**delta)

    def connect(self, api_key: str | None = None) -> None:
        key = self.mailchimp.api_key if api_key is None else api_key
        self.connections.connect(self.department_id, key, by="user-1")

    def new_audience(self, name: str = "Clients", **options: Any) -> str:
        """An audience made in Mailchimp's web app."""
        return str(self.mailchimp.control.create_audience(name, **options)["audience_id"])

    def connect_and_select(self, name: str = "Clients") -> str:
        self.connect()
        audience_id = self.new_audience(name)
        self.audiences.select(self.department_id, audience_id, by="user-1")
        return audience_id

    def key(self) -> dict[str, str]:
        return self.other_secret_store.fields_now(self.key_secret(self.department_id))

    def hook_record(self) -> WebhookRecord | None:
        return WebhookRecord.from_fields(self.other_hook_records.open(self.department_id))

    def api(self, method: str, path: str, body: object = None) -> Any:
        """A call of Mailchimp's API by somebody else."""
        answer = requests.request(
            method, self.mailchimp.url + path, json=body, auth=("any", self.mailchimp.api_key), timeout=60
        )
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def hooks_at_mailchimp(self, audience_id: str) -> list[dict[str, Any]]:
        hooks: list[dict[str, Any]] = self.api("GET", f"/lists/{audience_id}/webhooks")["webhooks"]
        return hooks

    def fail(self, path: str, *, method: str = "*", times: int = 2, **fault: Any) -> None:
        """Have Mailchimp fail for the next calls; twice is as often as the client tries."""
        fault.setdefault("status", 503)
        self.mailchimp.control.inject_fault(method=method, path=path, times=times, **fault)

    def calls(self) -> list[tuple[str, str]]:
        """The calls Mailchimp got since the journal was reset, oldest first."""
        return [(entry["method"], entry["path"]) for entry in self.mailchimp.control.journal()["entries"]]

    def writes(self) -> list[tuple[str, str]]:
        return [call for call in self.calls() if call[0] != "GET"]
