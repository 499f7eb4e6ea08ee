"""Between the product and the servers it calls: steps are taken at a call, and answers spoiled, as the script says."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from infra.standins.mailchimp.gate import DROPPED, Request, Response, html_response
from infra.standins.pracbill.answers import Answer
from infra.standins.pracbill.server import Hangup
from tests.soak.script import Step

Take = Callable[[Step], None]


@dataclass
class Spoiling:
    """How the next calls of a kind fail: a status, or lose, drop, truncate, html403."""

    call: str
    how: str
    times: int


def mailchimp_kind(method: str, path: str) -> str:
    parts = path.strip("/").split("/")
    match parts:
        case ["lists", _] if method == "POST":
            return "bulk"
        case ["lists", _, "segments", *_] if method != "GET":
            return "tags"
        case ["lists", _, "members"] if method == "GET":
            return "listing"
        case ["lists", _, "members", *_]:
            return "member"
        case ["lists", _, "merge-fields", *_]:
            return "fields"
        case _:
            return "audience"


class Tap:
    """`take` carries out a step of the script; `is_quiet` lets every call through untouched and uncounted."""

    def __init__(self, take: Take, clock: Callable[[], datetime]) -> None:
        self._take, self._clock = take, clock
        self.is_quiet = True
        self.begin(())

        self.lost: list[datetime] = []  # when a call was carried out whose answer did not arrive

    def begin(self, steps: tuple[Step, ...]) -> None:
        """What is to happen during the next run."""
        self.waiting = list(steps)
        self.counts: Counter[str] = Counter()
        self.spoilings: list[Spoiling] = []
        self.culprits: list[tuple[str, str]] = []

    # ------------------------------------------------------------------------------------------------- Mailchimp

    def mailchimp(self, answer: Callable[[Request], Response]) -> Callable[[Request], Response]:
        def tapped(request: Request) -> Response:
            if self.is_quiet:
                return answer(request)
            kind = mailchimp_kind(request.method, request.path)
            nth = self._arrive(kind)
            how = self._spoiled(kind) or self._blamed(request)
            if how in ("lose", "truncate"):
                self.lost.append(self._clock())
                response = answer(request)
                self._leave(kind, nth)
                half = replace(response, body=response.body[: len(response.body) // 2])
                return half if how == "truncate" else DROPPED
            if how:
                return _failed(how)
            response = answer(request)
            self._leave(kind, nth)
            return response

        return tapped

    def _blamed(self, request: Request) -> str:
        """How a call fails that names a culprit."""
        body = request.body.decode(errors="replace").lower()
        return next((how for address, how in self.culprits if f'"{address}"' in body), "")

    # ------------------------------------------------------------------------------------------------- PracBill

    def pracbill(self, respond: Callable[[Any], Answer]) -> Callable[[Any], Answer]:
        def tapped(request: Any) -> Answer:
            if self.is_quiet or request.segments[0] != "departments":
                return respond(request)
            kind = "consent" if request.method == "POST" else "customers"
            nth = self._arrive(kind)
            how = self._spoiled(kind)
            if how == "drop":
                raise Hangup
            if how.isdigit():
                return Answer(int(how), b'{"title": "Away"}', "application/problem+json")
            answer = respond(request)
            self._leave(kind, nth)
            if how == "lose":
                raise Hangup
            if how == "truncate":
                return replace(answer, body=answer.body[: len(answer.body) // 2])
            return answer

        return tapped

    # ------------------------------------------------------------------------------------------------- both

    def _arrive(self, kind: str) -> int:
        self.counts[kind] += 1
        nth = self.counts[kind]
        self._do(kind, nth, "before")
        return nth

    def _leave(self, kind: str, nth: int) -> None:
        self._do(kind, nth, "after")

    def _do(self, kind: str, nth: int, when: str) -> None:
        due = [s for s in self.waiting if (s.call, s.nth, s.when) == (kind, nth, when)]
        for step in due:
            self.waiting.remove(step)
            if step.actor == "server" and step.act == "fail":
                times = int(step.words[1]) if len(step.words) > 1 else 1
                self.spoilings.append(Spoiling(kind, step.words[0], times))
            else:
                self._take(step)

    def _spoiled(self, kind: str) -> str:
        for spoiling in self.spoilings:
            if spoiling.call == kind and spoiling.times > 0:
                spoiling.times -= 1
                return spoiling.how
        return ""


def _failed(how: str) -> Response:
    if how == "drop":
        return DROPPED
    if how == "html403":
        return html_response(403)
    status = int(how)
    if status == 403:
        return Response(403)
    title = {429: "Too Many Requests", 500: "InternalServerError"}.get(status, "Service Unavailable")
    document = {"type": "about:blank", "title": title, "status": status, "detail": title, "instance": "soak"}
    return Response(status, json.dumps(document).encode(), {"Content-Type": "application/problem+json"}, title)
