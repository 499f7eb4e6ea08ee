"""The department itself, who is let in, and what is refused."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterator, Mapping

from infra.conformance.probe import Probe, Reply
from infra.conformance.reading import LONG_AGO
from infra.conformance.requirements import Finding, judge

_DEPARTMENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
WRONG_TOKEN = "not-the-token"  # noqa: S105 - it is meant to let nobody in
# Query of each read that must be guarded, by what it is called in the report.
_READS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "the department": ("", {}),
    "all customers": ("/customers", {"limit": "1"}),
    "changes": ("/customers", {"limit": "1", "updated_since": LONG_AGO}),
}


def check_department(probe: Probe) -> Finding:
    reply = probe.get()
    if reply.status != 200 or not isinstance(reply.value, dict):
        return judge("department-read", [f"the answer is {reply}, JSON: {reply.value is not None}"], otherwise="")
    return judge("department-read", list(_department_faults(reply.value, probe.department)), otherwise="all there")


def _department_faults(details: Mapping[str, object], department: str) -> Iterator[str]:
    for name in ("id", "name", "timezone", "country", "currency"):
        if not isinstance(details.get(name), str):
            yield f"{name} is {type(details.get(name)).__name__}, not text"
    if details.get("id") != department:
        yield "id is not the one that was asked for"
    if not _DEPARTMENT_ID.fullmatch(department):
        yield "the id is not 1 to 64 letters, digits, _, . or -, of which the first a letter or digit"
    timezone = details.get("timezone")
    if isinstance(timezone, str) and not _is_timezone(timezone):
        yield f"timezone {timezone[:40]} is not in the IANA database"
    for name, length in (("country", 2), ("currency", 3)):
        code = details.get(name)
        if isinstance(code, str) and not (code.isascii() and code.isupper() and len(code) == length):
            yield f"{name} is not {length} capital letters"


def _is_timezone(name: str) -> bool:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # it looks for files, and some names are folders
        return False
    return True


def check_access(probe: Probe) -> list[Finding]:
    without = {name: probe.get(path, query, token=None) for name, (path, query) in _READS.items()}
    wrong = {name: probe.get(path, query, token=WRONG_TOKEN) for name, (path, query) in _READS.items()}
    elsewhere = {
        name: probe.get(path, query, department="no-such-department-7b1f") for name, (path, query) in _READS.items()
    }
    times = {
        f"updated_since={text}": _changes(probe, updated_since=text) for text in ("yesterday", "2026-13-45T00:00:00Z")
    }
    cursors = {"a made-up cursor": _changes(probe, updated_since=LONG_AGO, cursor="made-up-cursor")}
    limits = {f"limit={text}": probe.get("/customers", {"limit": text}) for text in ("0", "ten", "-1")}
    refusals = [reply for group in (without, elsewhere, times, cursors, limits) for reply in group.values()]
    return [
        _expect("token-required", 401, without),
        _expect("token-checked", 401, wrong),
        _expect("unknown-department", 404, elsewhere),
        _expect("bad-updated-since-refused", 400, times),
        _expect("bad-cursor-refused", 400, cursors),
        _expect("bad-limit-refused", 400, limits),
        judge("errors-are-problems", list(_problem_faults(refusals)), otherwise=f"{len(refusals)} refusals looked at"),
    ]


def _changes(probe: Probe, **query: str) -> Reply:
    return probe.get("/customers", {"limit": "1", **query})


def _expect(name: str, status: int, replies: Mapping[str, Reply]) -> Finding:
    faults = [f"{what}: {reply}, not {status}" for what, reply in replies.items() if reply.status != status]
    return judge(name, faults, otherwise=f"{status} for {', '.join(replies)}")


def _problem_faults(refusals: list[Reply]) -> Iterator[str]:
    for reply in refusals:
        if not 400 <= reply.status < 500:
            continue
        if not reply.content_type.startswith("application/problem+json"):
            yield f"a {reply} is {reply.content_type or 'of no content type'}"
        elif not isinstance(reply.value, dict) or reply.value.get("status") != reply.status:
            yield f"a {reply} does not repeat its status"
