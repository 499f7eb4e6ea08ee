"""The control interface: what tests, the demo and the benchmark do that no API client can.

Every public method of `Control` is an action: in Python `standin.control.unsubscribe(email=...)`, over HTTP
`POST /_control/unsubscribe` with the same names in a JSON object. Actions that only read also take GET with
the names in the query. `GET /_control` lists them all. Wherever `audience_id` or `account_id` is left out, the
only audience or the first account is meant.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from . import events
from .accounts import ROLES, Account, ApiKey, new_account
from .acts import Acts
from .audiences import Audience, new_audience
from .faults import Fault
from .gate import Gate, Request, Response
from .interjections import Interjection
from .list_calls import read_list_settings
from .members import Member, member_view
from .merge_fields import MergeValue
from .problems import Problem

READS = frozenset({"accounts", "audiences", "journal", "members", "deliveries", "pending_deliveries", "faults"})
Document = dict[str, Any]


class Control:
    """The actions. Times are seconds; a member that is not there raises Problem (404 over HTTP)."""

    def __init__(self, gate: Gate, set_latency: Callable[..., None]) -> None:
        self._gate = gate
        self._world = gate.world
        self._set_latency = set_latency

    # --- accounts and keys ---

    def accounts(self) -> list[Document]:
        """All accounts with their keys and the ids of their audiences."""
        with self._world.lock:
            return [
                {
                    "account_id": account.id,
                    "name": account.name,
                    "active": account.active,
                    "max_audiences": account.max_audiences,
                    "keys": [asdict(key) | {"api_key": account.full_key(key)} for key in account.keys],
                    "audience_ids": list(account.audiences),
                }
                for account in self._world.accounts.values()
            ]

    def create_account(
        self, name: str = "Another Practice", datacenter: str = "us7", max_audiences: int = 3
    ) -> Document:
        """Another Mailchimp account with one owner: `{account_id, api_key}`."""
        with self._world.lock:
            account = new_account(name, datacenter=datacenter, max_audiences=max_audiences, now=self._world.now())
            api_key = account.new_key(user_id="owner", role="owner")
            self._world.add_account(account)
        return {"account_id": account.id, "api_key": api_key}

    def create_key(self, account_id: str | None = None, user_id: str = "owner", role: str = "owner") -> Document:
        """Another key, of the same user (who shares connections) or of another one: `{api_key}`."""
        _check_role(role)
        with self._world.lock:
            account = self._account(account_id)
            api_key = account.new_key(user_id=user_id, role=role)
            self._world.add_account(account)
        return {"api_key": api_key}

    def revoke_key(self, api_key: str) -> None:
        with self._world.lock:
            self._key(api_key).revoked = True

    def set_role(self, api_key: str, role: str) -> None:
        """Change the role of the key's user; viewer and author may only read."""
        _check_role(role)
        with self._world.lock:
            self._key(api_key).role = role

    def deactivate_account(self, account_id: str | None = None) -> None:
        """Suspend the account: every call answers 403 User Disabled."""
        with self._world.lock:
            self._account(account_id).active = False

    def reactivate_account(self, account_id: str | None = None) -> None:
        with self._world.lock:
            self._account(account_id).active = True

    def set_plan(self, max_audiences: int, account_id: str | None = None) -> None:
        """How many audiences the plan allows; -1 is unlimited."""
        with self._world.lock:
            self._account(account_id).max_audiences = max_audiences

    def _account(self, account_id: str | None) -> Account:
        return self._world.accounts[account_id] if account_id else self._world.default_account

    def _key(self, api_key: str) -> ApiKey:
        return self._world.keys[api_key.partition("-")[0]].key

    # --- audiences ---

    def create_audience(
        self, name: str = "Clients", account_id: str | None = None, double_optin: bool = False
    ) -> Document:
        """An audience made in the web app, whatever the plan allows: `{audience_id}`."""
        settings = read_list_settings(_audience_body(name, double_optin))
        with self._world.lock:
            audience = new_audience(settings, now=self._world.now(), readings=self._world.readings)
            self._account(account_id).audiences[audience.id] = audience
        return {"audience_id": audience.id}

    def edit_audience(self, audience_id: str | None = None, **settings: Any) -> None:
        """Settings changed in the web app, such as `name` and `double_optin`."""
        with self._world.lock:
            audience = self._audience(audience_id)
            unknown = settings.keys() - audience.settings.keys()
            if unknown:
                raise ValueError(f"no settings of an audience: {', '.join(sorted(unknown))}")
            audience.settings |= settings
            audience.settings_unsaved = True

    def audiences(self, account_id: str | None = None) -> list[Document]:
        """Names and counts by status, never cached."""
        with self._world.lock:
            return [
                {
                    "audience_id": audience.id,
                    "name": audience.settings["name"],
                    "counts": {status: count for status, count in audience.counts.items() if count},
                    "webhooks": [
                        {"id": hook.id, "url": hook.url, "disabled": hook.disabled} for hook in audience.webhooks
                    ],
                }
                for audience in self._account(account_id).audiences.values()
            ]

    def members(
        self, audience_id: str | None = None, status: str | None = None, limit: int = 1_000_000
    ) -> list[Document]:
        """Dump an audience: every member, archived ones too, with `blocked`, `confirmations_sent` and tag names."""
        with self._world.lock:
            audience = self._audience(audience_id)
            found = [member for member in audience.members.values() if status in (None, member.status)]
            return [_dump(audience, member) for member in found[:limit]]

    def _audience(self, audience_id: str | None) -> Audience:
        if audience_id:
            return self._world.audience(audience_id)
        audiences = [audience for account in self._world.accounts.values() for audience in account.audiences.values()]
        if len(audiences) != 1:
            raise LookupError("say which audience: there is not exactly one")
        return audiences[0]

    # --- the person ---

    def unsubscribe(
        self, email: str, audience_id: str | None = None, campaign_id: str = "cb398d21d2", reason: str = "NORMAL"
    ) -> Document:
        """The person follows the unsubscribe link of a campaign."""
        return self._act(audience_id, lambda acts: acts.unsubscribe(email, campaign_id=campaign_id, reason=reason))

    def complain(self, email: str, audience_id: str | None = None, campaign_id: str = "cb398d21d2") -> Document:
        """The person reports a campaign as spam."""
        return self._act(audience_id, lambda acts: acts.complain(email, campaign_id=campaign_id))

    def resubscribe(
        self, email: str, audience_id: str | None = None, merge_fields: Mapping[str, MergeValue] | None = None
    ) -> Document:
        """The person signs up by Mailchimp's form (again, or for the first time)."""
        return self._act(audience_id, lambda acts: acts.sign_up(email, merge_fields or {}))

    def confirm(self, email: str, audience_id: str | None = None) -> Document:
        """The person confirms a pending sign-up."""
        return self._act(audience_id, lambda acts: acts.confirm(email))

    def change_address(self, email: str, new_email: str, audience_id: str | None = None) -> Document:
        """The person changes the address on the preference page."""
        return self._act(audience_id, lambda acts: acts.change_address(email, new_email))

    def edit_profile(
        self, email: str, merge_fields: Mapping[str, MergeValue], audience_id: str | None = None
    ) -> Document:
        """The person edits the profile on the preference page."""
        return self._act(audience_id, lambda acts: acts.edit_profile(email, merge_fields, by_admin=False))

    # --- the admin ---

    def admin_unsubscribe(self, email: str, audience_id: str | None = None) -> Document:
        return self._act(audience_id, lambda acts: acts.admin_unsubscribe(email))

    def admin_archive(self, email: str, audience_id: str | None = None) -> Document:
        return self._act(audience_id, lambda acts: acts.admin_archive(email))

    def admin_delete(self, email: str, audience_id: str | None = None) -> None:
        """Delete permanently."""
        with self._world.lock:
            Acts(self._world, self._audience(audience_id)).admin_delete(email)

    def admin_edit(
        self, email: str, merge_fields: Mapping[str, MergeValue], audience_id: str | None = None
    ) -> Document:
        return self._act(audience_id, lambda acts: acts.edit_profile(email, merge_fields, by_admin=True))

    def admin_tag(self, email: str, name: str, active: bool = True, audience_id: str | None = None) -> Document:
        """Add or remove one tag."""
        return self._act(audience_id, lambda acts: acts.admin_tag(email, {name: active}))

    def admin_import(self, members: Sequence[Mapping[str, Any]], audience_id: str | None = None) -> Document:
        """Import members of any status; see `Acts.admin_import` for the extra keys. `{imported}`."""
        with self._world.lock:
            imported = Acts(self._world, self._audience(audience_id)).admin_import(members)
        return {"imported": len(imported)}

    # --- machines ---

    def bounce(
        self, email: str, audience_id: str | None = None, reason: str = "hard", campaign_id: str = "cb398d21d2"
    ) -> Document:
        """A campaign to the address bounces for good: cleaned."""
        return self._act(audience_id, lambda acts: acts.bounce(email, campaign_id=campaign_id, reason=reason))

    def send_campaign(self, subject: str = "News", audience_id: str | None = None) -> None:
        """Fire the `campaign` event."""
        with self._world.lock:
            audience = self._audience(audience_id)
            fields = events.campaign_fields(audience, "cb398d21d2", subject)
            self._world.emit(audience, "campaign", "system", lambda: fields, self._world.now())

    def throttle(self, email: str, audience_id: str | None = None, active: bool = True) -> None:
        """The address has signed up to a lot of lists recently: adding it is refused until switched off."""
        with self._world.lock:
            audience = self._audience(audience_id)
            (audience.throttled.add if active else audience.throttled.discard)(email.lower())
            audience.settings_unsaved = True

    def _act(self, audience_id: str | None, act: Callable[[Acts], Member]) -> Document:
        """Do it under the lock and answer the member as dumped."""
        with self._world.lock:
            audience = self._audience(audience_id)
            return _dump(audience, act(Acts(self._world, audience)))

    # --- faults, latency, journal, webhooks ---

    def inject_fault(self, **fault: Any) -> None:
        """Order a fault for coming calls; the names are those of `faults.Fault`."""
        self._gate.faults.add(Fault(**fault))

    def faults(self) -> list[Document]:
        """The faults that are still on order."""
        return [asdict(fault) for fault in self._gate.faults.waiting()]

    def clear_faults(self) -> None:
        self._gate.faults.clear()

    def interject(
        self,
        act: str,
        arguments: Mapping[str, Any],
        method: str = "*",
        path: str = "/**",
        moment: str = "before",
        skip: int = 0,
    ) -> None:
        """Do an action of this interface in the midst of the next call that matches; see `interjections`."""
        if act not in _actions():
            raise LookupError(f"no such action: {act}")
        todo = partial(getattr(self, act), **arguments)
        self._gate.interjections.add(Interjection(todo, method, path, moment, skip))

    def set_latency(self, **seconds: float) -> None:
        """Change `bulk_base`, `bulk_per_member`, `single` or `run_limit` while running."""
        self._set_latency(**seconds)

    def journal(self, limit: int = 1000, writes_only: bool = False) -> Document:
        """Counts by call, the peak of simultaneous connections, the 429s and the latest entries."""
        return self._gate.journal.summary(self._gate.slots, limit=limit, writes_only=writes_only)

    def reset_journal(self) -> None:
        self._gate.journal.reset()
        self._gate.slots.reset()

    def deliveries(self) -> list[Document]:
        """Every try to call a webhook, oldest first; status 0 means no answer."""
        return [asdict(attempt) for attempt in list(self._world.outbox.attempts)]

    def pending_deliveries(self) -> list[Document]:
        """Events that wait, with the seconds until the next try."""
        return self._world.outbox.record()

    def wait_for_deliveries(self, timeout: float = 5.0) -> bool:
        """Wait until no webhook call is due or under way; false if that took too long."""
        return self._world.outbox.wait_until_sent(timeout)


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise ValueError(f"role must be one of {sorted(ROLES)}")


def _audience_body(name: str, double_optin: bool) -> Document:
    return {
        "name": name,
        "contact": {"company": "Example Practice", "address1": "1 Road", "city": "Melbourne", "country": "AU"},
        "permission_reminder": "You are a client of ours.",
        "campaign_defaults": {
            "from_name": "Example Practice",
            "from_email": "hello@practice.test",
            "subject": "",
            "language": "en",
        },
        "email_type_option": False,
        "double_optin": double_optin,
    }


def _dump(audience: Audience, member: Member) -> Document:
    extra = {
        "blocked": member.blocked,
        "confirmations_sent": member.confirmations_sent,
        "tag_names": [audience.segments[tag].name for tag in member.tags],
    }
    return member_view(audience, member) | extra


# --- over HTTP ---


def answer_control(control: Control, request: Request) -> Response:
    """Run the action in the path; 404 for an unknown one, 400 for wrong names or values."""
    name = request.path.strip("/")
    if not name:
        return _json(200, _index())
    if name not in _actions() or (request.method == "GET" and name not in READS):
        return _json(404, {"error": f"no such action: {request.method} {name}"})
    try:
        return _json(200, _run(getattr(control, name), _arguments(request)))
    except Problem as problem:
        return _json(problem.status, {"error": problem.detail})
    except (LookupError, TypeError, ValueError) as error:
        return _json(400, {"error": str(error)})


def _run(action: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    return action(**arguments)


def _arguments(request: Request) -> dict[str, Any]:
    """From the body, or from the query with numbers and booleans read as such."""
    if request.body.strip():
        arguments = json.loads(request.body)
        if not isinstance(arguments, dict):
            raise ValueError("the body must be a JSON object")
        return arguments
    return {name: _value(text) for name, text in parse_qsl(request.query)}


def _value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else text


def _actions() -> list[str]:
    return [name for name, _ in inspect.getmembers(Control, inspect.isfunction) if not name.startswith("_")]


def _index() -> Document:
    return {
        name: {
            "arguments": str(inspect.signature(getattr(Control, name))).replace("self, ", "").replace("self", ""),
            "does": inspect.getdoc(getattr(Control, name)) or "",
        }
        for name in _actions()
    }


def _json(status: int, document: Any) -> Response:
    body = json.dumps(document).encode()
    return Response(status, body, {"Content-Type": "application/json; charset=utf-8"})
