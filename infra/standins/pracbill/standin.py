"""The stand-in as one object: departments, issuer, faults and server, with the controls that tests need."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from infra.standins.pracbill import state as state_file
from infra.standins.pracbill.answers import Answer, Refusal, Request, problem
from infra.standins.pracbill.api import BillingApi, ReceivedChange
from infra.standins.pracbill.control import Control
from infra.standins.pracbill.department import Department, Document
from infra.standins.pracbill.faults import Fault, FaultQueue, refuse, spoil
from infra.standins.pracbill.issuer import TokenIssuer
from infra.standins.pracbill.moments import utc_now
from infra.standins.pracbill.seeding import PER, draft_customers, seed_records, share_addresses
from infra.standins.pracbill.server import Hangup, LoopbackServer

ISSUER = "https://pracbill.local"
FIRST_DEPARTMENT: Mapping[str, str] = {
    "id": "melbourne-north",
    "name": "Melbourne North",
    "timezone": "Australia/Melbourne",
    "country": "AU",
    "currency": "AUD",
}
SECOND_DEPARTMENT: Mapping[str, str] = {
    "id": "hobart-south",
    "name": "Hobart South",
    "timezone": "Australia/Hobart",
    "country": "AU",
    "currency": "AUD",
}
_SECOND_SIZE = 150
_SHARED_BETWEEN_DEPARTMENTS = 10
_SAVE_EVERY_SECONDS = 5.0
_CALLS_KEPT = 1_000


@dataclass(frozen=True, slots=True)
class Call:
    """A call of PracBill's API as it was met; `query` holds ids and times, no addresses."""

    method: str
    path: str
    query: Mapping[str, str]
    status: int | None


class PracBillStandIn:
    """A PracBill that listens on loopback from its making until `stop`, or for a `with` block.

    `customers` is the size of the first department (0: none in either); `state` a file to start from and keep;
    `now` the clock behind `updated_at`, `as_of` and tokens. Wherever a method takes `department_id`, the first
    department is meant unless said otherwise. Attributes: `url`, `token` (ours towards PracBill), `issuer`.
    """

    def __init__(
        self,
        *,
        customers: int = PER,
        seed: int = 1,
        now: Callable[[], datetime] = utc_now,
        state: Path | str | None = None,
        port: int = 0,
        token: str | None = None,
        issuer: str = ISSUER,
    ) -> None:
        self.now = now
        self.issuer_keys = TokenIssuer(issuer, now=now)
        self.faults = FaultQueue()
        self.departments: dict[str, Department] = {}
        self.calls: deque[Call] = deque(maxlen=_CALLS_KEPT)
        self.call_counts: Counter[str] = Counter()
        self._path = Path(state) if state is not None else None
        self._saving = threading.Lock()
        self._saved_revision = -1
        self._stopping = threading.Event()
        self.token = token or secrets.token_urlsafe(24)
        self._load_or_seed(token=token, customers=customers, seed=seed)
        self._control = Control(self)
        self._server = LoopbackServer(self._respond_and_count, port=port)
        if self._path is not None:
            threading.Thread(target=self._save_now_and_then, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop serving and keep the state. Stopping twice is harmless."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._server.close()
        self.save()

    # where things are

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.port}"

    @property
    def control_url(self) -> str:
        return f"{self.url}/_control"

    @property
    def jwks_url(self) -> str:
        return f"{self.url}/.well-known/jwks.json"

    @property
    def issuer(self) -> str:
        return self.issuer_keys.issuer

    @property
    def headers(self) -> dict[str, str]:
        """What a caller of PracBill's API sends."""
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def department_id(self) -> str:
        return FIRST_DEPARTMENT["id"]

    @property
    def second_department_id(self) -> str:
        return SECOND_DEPARTMENT["id"]

    # customers

    def department(self, department_id: str | None = None) -> Department:
        """Raises KeyError when there is none of that id."""
        return self.departments[department_id or self.department_id]

    def add_department(self, department_id: str, **details: str) -> Department:
        """A new, empty department; details that are not given are the first one's."""
        if department_id in self.departments:
            raise ValueError("there is already such a department")
        new = Department({**FIRST_DEPARTMENT, "name": department_id, **details, "id": department_id}, now=self.now)
        self.departments[department_id] = new
        return new

    def upsert(
        self,
        customer_id: str,
        *,
        department_id: str | None = None,
        unset: tuple[str, ...] = (),
        touch: bool = False,
        as_is: bool = False,
        **fields: Any,
    ) -> Document:
        """Create or change a customer; see Department.upsert."""
        changed = self.department(department_id).upsert(customer_id, fields, unset=unset, touch=touch, as_is=as_is)
        return changed.to_json()

    def remove(self, customer_id: str, *, department_id: str | None = None) -> bool:
        return self.department(department_id).remove(customer_id)

    def set_consent(
        self,
        customer_id: str,
        status: str | None,
        *,
        changed_at: datetime | None = None,
        department_id: str | None = None,
    ) -> Document:
        return self.department(department_id).set_consent(customer_id, status, changed_at=changed_at).to_json()

    def add_invoice(
        self,
        customer_id: str,
        amount: str = "100.00",
        *,
        issued_at: datetime | None = None,
        department_id: str | None = None,
    ) -> Document:
        return self.department(department_id).add_invoice(customer_id, amount, issued_at=issued_at).to_json()

    def add_payment(self, customer_id: str, amount: str, *, department_id: str | None = None) -> Document:
        return self.department(department_id).add_payment(customer_id, amount).to_json()

    def generate(self, count: int, *, seed: int = 2, department_id: str | None = None) -> int:
        """Import `count` new customers of the usual mixture, all with one `updated_at`."""
        department = self.department(department_id)
        drafts = draft_customers(count=count, seed=seed, first_number=department.next_number(), now=self.now())
        return department.add_bulk(drafts)

    def customer(self, customer_id: str, *, department_id: str | None = None) -> Document | None:
        """What the API shows of a customer, or of a removed one; None if there never was one."""
        record = self.department(department_id).get(customer_id)
        return record.to_json() if record else None

    def customers(self, *, department_id: str | None = None) -> list[Document]:
        """By ascending id, without removed ones."""
        return [record.to_json() for record in self.department(department_id).records()]

    def kinds(self, *, department_id: str | None = None) -> dict[str, list[str]]:
        """Ids by the kind they were seeded as (seeding.KINDS, "ordinary", "removed")."""
        found: dict[str, list[str]] = {}
        for record in self.department(department_id).everything():
            found.setdefault(record.kind, []).append(record.id)
        return found

    def consent_changes(self, *, department_id: str | None = None) -> list[ReceivedChange]:
        """Every consent change received for the department, oldest first."""
        wanted = department_id or self.department_id
        return [line for line in list(self.api.journal) if line.department_id == wanted]

    # tokens and faults

    def mint(self, subject: str = "user-1", mailchimp_access: Mapping[str, str] | str = "write", **options: Any) -> str:
        """A user's token; "read" or "write" alone means for the first department. Options: TokenIssuer.mint."""
        if isinstance(mailchimp_access, str):
            mailchimp_access = {self.department_id: mailchimp_access}
        return self.issuer_keys.mint(subject, mailchimp_access, **options)

    def inject(self, kind: str, **options: Any) -> None:
        """Order a fault; see Fault."""
        self.faults.add(Fault(kind, **options))

    # state

    def save(self) -> None:
        """Write the state file, if there is one and something has changed."""
        with self._saving:
            revision = self._revision()
            if self._path is not None and revision != self._saved_revision:
                state_file.write_state(self._path, self._to_state())
                self._saved_revision = revision

    def _revision(self) -> int:
        parts = [department.revision for department in list(self.departments.values())]
        return sum(parts) + len(parts) + self.issuer_keys.revision + self.api.received_count

    def _to_state(self) -> dict[str, Any]:
        return {
            "version": state_file.VERSION,
            "token": self.token,
            "issuer": self.issuer,
            "keys": self.issuer_keys.to_state(),
            "departments": [state_file.department_to_state(d) for d in list(self.departments.values())],
            "journal": state_file.journal_to_state(list(self.api.journal)),
        }

    def _load_or_seed(self, *, token: str | None, customers: int, seed: int) -> None:
        stored = state_file.read_state(self._path) if self._path is not None else None
        if stored is None:
            self._seed(customers, seed)
            self.api = BillingApi(self.token, self.departments, now=self.now)
            return
        self.token = token or stored["token"]
        self.issuer_keys.load_state(stored["keys"])
        for entry in stored["departments"]:
            self.departments[entry["details"]["id"]] = state_file.department_from_state(entry, now=self.now)
        self.api = BillingApi(self.token, self.departments, now=self.now)
        self.api.journal.extend(state_file.journal_from_state(stored["journal"]))

    def _seed(self, customers: int, seed: int) -> None:
        now = self.now()
        records = seed_records(customers=customers, seed=seed, now=now)
        others = seed_records(customers=min(customers, _SECOND_SIZE), seed=seed + 1, now=now)
        first = Department(FIRST_DEPARTMENT, now=self.now)
        first.load(records)
        second = Department(SECOND_DEPARTMENT, now=self.now)
        second.load(share_addresses(others, records, _SHARED_BETWEEN_DEPARTMENTS))
        self.departments = {self.department_id: first, self.second_department_id: second}

    def _save_now_and_then(self) -> None:
        pause = _SAVE_EVERY_SECONDS
        while not self._stopping.wait(pause):
            started_at = time.monotonic()
            with contextlib.suppress(OSError):  # a full disk may be emptied before the next time; stop() will tell
                self.save()
            # Large departments take long to write; most of the time still belongs to answering.
            pause = max(_SAVE_EVERY_SECONDS, 20 * (time.monotonic() - started_at))

    # serving

    def respond(self, request: Request) -> Answer:
        """The true answer to a request, faults aside. Raises Refusal."""
        match request.segments:
            case ("_control", *_):
                return self._control.answer(request)
            case (".well-known", "jwks.json") if request.method == "GET":
                return self.issuer_keys.key_set_answer()
        return self.api.answer(request)

    def _respond_and_count(self, request: Request) -> Answer:
        if request.segments[0] != "departments":
            return self._respond(request)
        name = f"{request.method} {request.segments[-1] if len(request.segments) > 2 else 'department'}"
        self.call_counts[name] += 1
        status: int | None = None
        try:
            answer = self._respond(request)
            status = answer.status
            return answer
        finally:
            self.calls.append(Call(request.method, request.path, request.query, status))

    def _respond(self, request: Request) -> Answer:
        fault = self.faults.take(request)
        if fault is None:
            return self._respond_or_refuse(request)
        if fault.kind == "status":
            return refuse(fault)
        if fault.kind == "hang":
            self._stopping.wait(fault.seconds)
        if fault.kind in ("hang", "drop"):
            raise Hangup
        return spoil(fault, request, self._respond_or_refuse(request))

    def _respond_or_refuse(self, request: Request) -> Answer:
        try:
            return self.respond(request)
        except Refusal as refusal:
            return refusal.answer()
        except Exception as error:  # noqa: BLE001 - our own fault must not look like a lost connection
            return problem(500, f"The stand-in failed: {type(error).__name__}.")
