"""Calls to the server under test. Whatever it does, the caller gets a Reply, so no fault of it stops the suite."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import requests

_TIMEOUT_SECONDS = 30
_SKEW = timedelta(seconds=5)
_UNKNOWN_SKEW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Reply:
    """`status` 0 means that no answer came, and `failure` says why. `value` is the JSON, None if there is none."""

    status: int
    value: Any = None
    content_type: str = ""
    date: str | None = None
    seconds: float = 0.0
    failure: str = ""

    @property
    def latest_now(self) -> datetime:
        """A time that the server's clock cannot have passed when it answered: its Date, or else ours, and some."""
        try:
            if self.date:
                return parsedate_to_datetime(self.date).astimezone(UTC) + _SKEW
        except ValueError:
            pass  # an unusable Date is as good as none
        return datetime.now(UTC) + _UNKNOWN_SKEW

    def __str__(self) -> str:
        return str(self.status) if self.status else self.failure


@dataclass(frozen=True, slots=True)
class Probe:
    """Speaks to one department with the right token, unless a call says otherwise."""

    url: str
    token: str
    department: str
    session: requests.Session = field(default_factory=requests.Session)

    def get(
        self, path: str = "", query: Mapping[str, str] | None = None, *, token: str | None = "", department: str = ""
    ) -> Reply:
        """`token` None sends none, another text that one; `path` is below the department."""
        return self._call("GET", path, token, department, params=query)

    def write_consent(self, changes: list[dict[str, str]], *, token: str | None = "") -> Reply:
        return self._call("POST", "/marketing-consent", token, "", json={"changes": changes})

    def _call(self, method: str, path: str, token: str | None, department: str, **options: Any) -> Reply:
        url = f"{self.url.rstrip('/')}/departments/{quote(department or self.department, safe='')}{path}"
        bearer = _Bearer(self.token if token == "" else token)
        started_at = time.monotonic()
        try:
            answer = self.session.request(
                method, url, auth=bearer, timeout=_TIMEOUT_SECONDS, allow_redirects=False, **options
            )
        except requests.RequestException as error:
            return Reply(0, failure=f"no answer ({type(error).__name__})", seconds=time.monotonic() - started_at)
        return Reply(
            answer.status_code,
            _json(answer.content),
            answer.headers.get("Content-Type", ""),
            answer.headers.get("Date"),
            time.monotonic() - started_at,
        )


class _Bearer(requests.auth.AuthBase):
    """Also keeps a .netrc file from putting another authorization in its place."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None
