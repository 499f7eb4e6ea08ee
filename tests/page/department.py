"""The stack's department as tests of the page bring it into a state, by the API and past the page."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property
from typing import Any, Self
from uuid import uuid4

import requests

from infra.local.journey import NEW_AUDIENCE
from infra.local.stack import LocalStack

_REST_SECONDS = 120.0
_TOKEN_SECONDS = 3600.0


class Department:
    """One department and its Mailchimp account; the stack's own, unless said otherwise."""

    def __init__(self, stack: LocalStack, *, department_id: str = "", api_key: str = "") -> None:
        self.stack = stack
        self.id = department_id or stack.department_id
        self.path = f"/departments/{self.id}"
        self.api_key = api_key or str(stack.mailchimp["api_key"])

    @classmethod
    def found(cls, stack: LocalStack, *, customers: int) -> Self:
        """A new one with that many customers, and a Mailchimp account without an audience."""
        name = f"practice-{uuid4().hex[:8]}"
        made = cls(stack, department_id=name)
        made.pracbill("departments", {"id": name})
        made.pracbill(f"departments/{name}/generate", {"count": customers, "seed": 7})
        made.api_key = made.mailchimp("create_account", name="Another Practice", datacenter="us7")["api_key"]
        return made

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Call the API with write access; `path` goes on after the department's."""
        url, headers = self.stack.api_url + self.path + path, {"Authorization": f"Bearer {self._write_token}"}
        answer = self._session.request(method, url, json=body, headers=headers, timeout=60)
        assert answer.ok, f"{method} {path} answered {answer.status_code}: {answer.text[:500]}"
        return answer.json() if answer.content else None

    @cached_property
    def _write_token(self) -> str:
        return self.token(expires_in=_TOKEN_SECONDS)

    @cached_property
    def _session(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        return session

    def connect(self) -> None:
        """Connected, an audience selected (the account's, or a new one), and no run under way."""
        known = self.call("GET", "/panel")
        if known["connection"]["state"] == "connected" and known["audience"] is not None and is_at_rest(known):
            return
        if known["connection"]["state"] != "connected":
            known["audience"] = self.call("PUT", "/connection", {"api_key": self.api_key})["audience"]
        if known["audience"] is None:
            audiences = self.call("GET", "/audiences")["items"]
            if audiences:
                self.call("PUT", "/audience", {"audience_id": audiences[0]["id"]})
            else:
                self.call("POST", "/audiences", NEW_AUDIENCE)
        self.rest()

    def rest(self) -> None:
        """Wait until no run is active."""
        self._await(is_at_rest)

    def sync_fully(self) -> str:
        """The id of the newest sync, which is a full one that staff started: one is made where it is another."""
        if not _is_full_sync(self.call("GET", "/panel")["newest_run"] or {}):
            self.call("POST", "/syncs", {"type": "full"})
            self.rest()
        return str(self.call("GET", "/panel")["newest_run"]["id"])

    def await_sending(self) -> None:
        """Wait until the newest run sends changes to Mailchimp."""
        self._await(lambda known: (known["newest_run"] or {}).get("phase") == "apply")

    def _await(self, is_there: Callable[[dict[str, Any]], bool]) -> None:
        deadline = time.monotonic() + _REST_SECONDS
        while not is_there(self.call("GET", "/panel")):
            assert time.monotonic() < deadline, "the run did not get there in time"
            time.sleep(0.2)

    def disconnect(self) -> None:
        if self.call("GET", "/panel")["connection"]["state"] != "not_connected":
            self.call("DELETE", "/connection")

    def mailchimp(self, action: str, **arguments: Any) -> Any:
        """Somebody does something in Mailchimp."""
        return self._lever(f"{self.stack.mailchimp['control_url']}/{action}", arguments)

    def pracbill(self, lever: str, body: dict[str, Any] | None, method: str = "POST") -> Any:
        """Somebody does something in PracBill."""
        return self._lever(f"{self.stack.pracbill['control_url']}/{lever}", body, method)

    def token(self, access: str = "write", *, expires_in: float = 300) -> str:
        """A token of PracBill's users."""
        wanted = {
            "subject": f"test-{access}",
            "mailchimp_access": {} if access == "none" else {self.id: access},
            "expires_in": expires_in,
        }
        return str(self.pracbill("tokens", wanted)["token"])

    def _lever(self, url: str, body: dict[str, Any] | None, method: str = "POST") -> Any:
        answer = self._session.request(method, url, json=body, timeout=30)
        assert answer.ok, f"{url} answered {answer.status_code}: {answer.text[:500]}"
        return answer.json()


def is_at_rest(known: dict[str, Any]) -> bool:
    """Whether no run is active, as of an answer of `GET D/panel`."""
    return known["newest_run"] is None or known["newest_run"]["finished_at"] is not None


def _is_full_sync(run: dict[str, Any]) -> bool:
    kind = (run.get("type"), run.get("trigger"), run.get("dry_run"))
    return kind == ("full", "manual", False) and run["status"] in ("success", "skipped")
