"""The stack's department as tests of the page bring it into a state, by the API and past the page."""

from __future__ import annotations

import time
from typing import Any

import requests

from infra.local.journey import NEW_AUDIENCE
from infra.local.stack import LocalStack

_REST_SECONDS = 120.0


class Department:
    """One department and its Mailchimp account."""

    def __init__(self, stack: LocalStack) -> None:
        self.stack = stack
        self.path = f"/departments/{stack.department_id}"

    @property
    def api_key(self) -> str:
        return str(self.stack.mailchimp["api_key"])

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Call the API with write access; `path` goes on after the department's."""
        answer = self.stack.call(method, self.path + path, json=body)
        assert answer.ok, f"{method} {path} answered {answer.status_code}: {answer.text[:500]}"
        return answer.json() if answer.content else None

    def connect(self) -> None:
        """Connected, an audience selected (the account's, or a new one), and no run under way."""
        known = self.call("GET", "/connection")
        if known["state"] != "connected":
            known = self.call("PUT", "/connection", {"api_key": self.api_key})
        if known["audience"] is None:
            audiences = self.call("GET", "/audiences")["items"]
            if audiences:
                self.call("PUT", "/audience", {"audience_id": audiences[0]["id"]})
            else:
                self.call("POST", "/audiences", NEW_AUDIENCE)
        self.rest()

    def rest(self) -> None:
        """Wait until no run is active."""
        deadline = time.monotonic() + _REST_SECONDS
        while (run := self.call("GET", "/panel")["newest_run"]) and run["finished_at"] is None:
            assert time.monotonic() < deadline, "the run did not end in time"
            time.sleep(0.2)

    def disconnect(self) -> None:
        if self.call("GET", "/panel")["connection"]["state"] != "not_connected":
            self.call("DELETE", "/connection")

    def mailchimp(self, action: str, **arguments: Any) -> Any:
        """Somebody does something in Mailchimp."""
        return self._lever(f"{self.stack.mailchimp['control_url']}/{action}", arguments)

    def token(self, access: str = "write", *, expires_in: float = 300) -> str:
        """A token of PracBill's users."""
        wanted = {
            "subject": f"test-{access}",
            "mailchimp_access": {} if access == "none" else {self.stack.department_id: access},
            "expires_in": expires_in,
        }
        return str(self._lever(f"{self.stack.pracbill['control_url']}/tokens", wanted)["token"])

    @staticmethod
    def _lever(url: str, body: dict[str, Any]) -> Any:
        session = requests.Session()
        session.trust_env = False
        answer = session.post(url, json=body, timeout=30)
        assert answer.ok, f"{url} answered {answer.status_code}: {answer.text[:500]}"
        return answer.json()
