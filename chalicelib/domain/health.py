"""What of a department's connection needs attention, decided from what is stored: no call to anybody. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from chalicelib.domain.departments import (
    Connection,
    ConnectionState,
    Department,
    Finding,
    OutboxBacklog,
    RefusedOptOuts,
    Unreadable,
)
from chalicelib.domain.moments import moment_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from chalicelib.domain.runs import Run, RunType

# A department on schedule that has not been synced for this long has a problem that no log entry may tell of.
OVERDUE_AFTER = timedelta(hours=24)
# Findings that the look at the webhook leaves behind; each look replaces the last one's.
HOOK_CODES = frozenset({"webhook_missing"})

_NEW_KEY = "Generate a new API key in Mailchimp (Account & billing, Extras, API keys) and connect again with it."
# The state of a connection that does not work -> what it means, and the fix.
_STATES: Mapping[ConnectionState, tuple[str, str]] = {
    "key_rejected": ("Invalid API key: Mailchimp no longer accepts it.", _NEW_KEY),
    "account_deactivated": (
        "Mailchimp has deactivated the account.",
        "Log in to Mailchimp to see why. When the account is active again, connect again, with the same key if it "
        "still exists.",
    ),
    "wrong_data_centre": ("Invalid API key: its server prefix is not the server of its Mailchimp account.", _NEW_KEY),
}
# A run's type in a sentence.
_RUN_WORDS: Mapping[RunType, str] = {
    "incremental": "incremental sync",
    "full": "full sync",
    "segments": "sync of segments",
}
# What rules read of a customer -> the finding's code, its name in a sentence, and what it should look like.
_READABLE: Mapping[str, tuple[str, str, str]] = {
    "balance": ("unreadable_balance", "a balance", "digits with a point, such as 1250.00"),
    "last_invoice_on": ("unreadable_last_invoice_at", "a last invoice date", "a date such as 2026-07-14"),
    "created_on": ("unreadable_created_at", "a creation date", "a date such as 2026-07-14"),
}
_NO_AUDIENCE = Finding(
    "no_audience",
    "warning",
    "No audience is selected, so nothing is synced.",
    "Select an audience of the account, or create one.",
)
_PAUSED = Finding(
    "paused",
    "warning",
    "Scheduled syncs are paused. Opt-outs still arrive by webhook, everything else only with a sync started by hand.",
    "Switch scheduled syncs on again in the settings to sync this department on schedule.",
)
AUDIENCE_GONE = Finding(
    "audience_gone",
    "error",
    "The audience no longer exists in Mailchimp.",
    "Select another audience for this department, or create one.",
)
MAILCHIMP_AWAY = Finding(
    "mailchimp_away",
    "info",
    "Mailchimp did not answer just now. The member count may be out of date.",
    "Wait a few minutes and load the page again.",
)
HOOK_LEFT_BEHIND = Finding(
    "webhook_left_behind",
    "info",
    "Our webhook could not be removed from the audience. It has no effect any more.",
    "Remove it in Mailchimp (Audience, Settings, Webhooks), or leave it: connecting again removes it.",
)


def health(department: Department | None, *, run: Run | None, failed: Run | None, now: datetime) -> tuple[Finding, ...]:
    """What staff should see, the worst first; a department that is not connected is well.

    `run` is the active one. `failed` is the last sync if it ended in an error, None when one has come to a good end
    since. What the last look at the audience found is part of it.
    """
    if department is None or department.connection is None:
        return ()
    findings = [*_state(department.connection), *_audience(department), *_schedule(department, run, now)]
    findings += [_backlog(department.backlog, now)] if department.backlog else []
    findings += [_refused_opt_outs(department.refused_opt_outs)] if department.refused_opt_outs else []
    findings += [_unreadable(each) for each in department.unreadable]
    if failed is not None and _still_concerns(department.connection, failed):
        findings.append(_failed(failed))
    return worst_first([*findings, *_seen_in_mailchimp(department)])


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda finding: ("error", "warning", "info").index(finding.severity)))


def with_hook_finding(findings: Iterable[Finding], new: Finding | None) -> tuple[Finding, ...]:
    """An audience's findings after another look at its webhook; `new` is None when the webhook is well."""
    kept = tuple(finding for finding in findings if finding.code not in HOOK_CODES)
    return (*kept, new) if new else kept


def webhook_missing(why: str, reason: str) -> Finding:
    """`why` says in plain words what kept the webhook from being registered, `reason` as a code."""
    return Finding(
        "webhook_missing",
        "warning",
        f"The webhook is missing, so opt-outs arrive with the next sync instead of at once. {why}",
        "Nothing is lost: each sync reads opt-outs, and the webhook is tried again at least once a day. Select the "
        "audience again to try at once.",
        {"reason": reason},
    )


def _seen_in_mailchimp(department: Department) -> tuple[Finding, ...]:
    """What the last look at the audience found; nothing while there is no working connection to look through."""
    if not department.is_connected or department.audience is None or department.audience.status is None:
        return ()
    return department.audience.status.findings


def _state(connection: Connection) -> list[Finding]:
    if connection.state not in _STATES:
        return []
    words, fix = _STATES[connection.state]
    return [Finding(connection.state, "error", f"{words} Syncs are stopped.", fix)]


def _audience(department: Department) -> list[Finding]:
    return [_NO_AUDIENCE] if department.audience is None else list(department.audience.findings)


def _schedule(department: Department, run: Run | None, now: datetime) -> list[Finding]:
    findings = [_PAUSED] if department.settings.paused else []
    if run is not None and run.status == "awaiting_approval":
        return [*findings, _waiting(run)]
    return findings + ([_overdue(department)] if _is_overdue(department, now) else [])


def _still_concerns(connection: Connection, failed: Run) -> bool:
    """A refused key ends every sync: that is said once, with what mends it, and no more once a new key is there."""
    return connection.state == "connected" and connection.connected_at <= (failed.finished_at or failed.started_at)


def _failed(run: Run) -> Finding:
    """The run's own message says what failed and what to check; the fix says where to go on."""
    when = run.finished_at or run.started_at
    what = "look at the audience" if run.trigger == "selection" else _RUN_WORDS[run.type]
    return Finding(
        "last_sync_failed",
        "error",
        f"The last {what} ended in an error on {when:%Y-%m-%d %H:%M} UTC. {run.message}".strip(),
        "Once the cause is fixed, press Sync Now. The Sync Logs show this sync as Error; the records of a sync "
        "that sent changes name each customer that was not synced.",
        {
            "run": run.id,
            "at": moment_text(when),
            "cause": run.code or run.status,
            "type": "selection" if run.trigger == "selection" else run.type,
        },
    )


def _waiting(run: Run) -> Finding:
    why = run.brake or "Its plan exceeds the limits."
    return Finding(
        "approval_needed",
        "warning",
        f"A sync waits for approval, and no other can start. {why}",
        "Look at the run's records, then approve or cancel it.",
        {"run": run.id, **run.brake_params},
    )


def _backlog(backlog: OutboxBacklog, now: datetime) -> Finding:
    return Finding(
        "pracbill_waiting",
        "error" if now - backlog.since > OVERDUE_AFTER else "warning",
        backlog.message,
        "Nothing is lost, and nobody who opted out is mailed. Once PracBill works again, the next sync or event "
        "sends these changes. If this lasts, contact PracBill's developers.",
        {"count": backlog.count, "since": moment_text(backlog.since)},
    )


def _refused_opt_outs(refused: RefusedOptOuts) -> Finding:
    one = refused.count == 1
    who = "1 person who opted out is" if one else f"{refused.count} people who opted out are"
    return Finding(
        "opt_out_refused",
        "error",
        f"{who} still subscribed: Mailchimp has refused the unsubscribe since {refused.since:%Y-%m-%d %H:%M} UTC.",
        "Unsubscribe these contacts in Mailchimp (Audience, All contacts), or correct the field that Mailchimp "
        "names there. The records of the last sync, under Refused, name each customer. Every sync tries again.",
        {"count": refused.count, "since": moment_text(refused.since)},
    )


def _unreadable(found: Unreadable) -> Finding:
    code, noun, expected = _READABLE[found.attribute]
    who = "1 customer has" if found.count == 1 else f"{found.count} customers have"
    example = "" if found.count == 1 else "for example "
    return Finding(
        code,
        "warning",
        f"{who} {noun} that cannot be read ({example}customer {found.example}). No segment rule about it finds them, "
        "neither Is nor Is Not.",
        f"Correct it in PracBill: {expected}. If it looks right there, ask PracBill's developers what PracBill sends.",
        {"count": found.count, "example": found.example},
    )


def _is_overdue(department: Department, now: datetime) -> bool:
    """No sync came to a good end for a day though the schedule was on, counted from when it could first run."""
    if not department.runs_on_schedule or department.connection is None or department.audience is None:
        return False
    since = max(department.connection.connected_at, department.audience.selected_at)
    return now - max(since, department.last_synced_at or since) > OVERDUE_AFTER


def _overdue(department: Department) -> Finding:
    last = department.last_synced_at
    when = f"since {last:%Y-%m-%d %H:%M} UTC" if last else "yet"
    return Finding(
        "no_recent_sync",
        "error",
        f"No sync has succeeded {when}, though syncs are scheduled.",
        "Look at the Sync Logs for the cause. Once it is fixed, press Sync Now.",
        {"since": moment_text(last)} if last else {},
    )
