"""Webhooks of an audience: made, listed, changed, removed. The URL is called before a hook is accepted."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from . import problems
from .audiences import Audience, Webhook
from .calls import NO_CONTENT, Answer, Call
from .delivery import probe
from .problems import FieldError
from .readings import Readings
from .schema import expect_fields, type_fault

EVENTS = ("subscribe", "unsubscribe", "profile", "cleaned", "upemail", "campaign")
SOURCES = ("user", "admin", "api")
_BODY: Mapping[str, str] = {"url": "string", "events": "object", "sources": "object"}
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def get_webhooks(call: Call) -> Answer:
    audience = call.audience()
    hooks = [_view(audience, hook) for hook in audience.webhooks]
    return Answer({"webhooks": hooks, "list_id": audience.id, "total_items": len(hooks), "_links": []})


def get_webhook(call: Call) -> Answer:
    audience = call.audience()
    return Answer(_view(audience, _hook(call, audience)))


def _hook(call: Call, audience: Audience) -> Webhook:
    for hook in audience.webhooks:
        if hook.id == call.path["webhook_id"]:
            return hook
    raise problems.not_found()


def _view(audience: Audience, hook: Webhook) -> dict[str, Any]:
    """The secret is not part of it: only the answer to the creation shows it."""
    return {
        "id": hook.id,
        "url": hook.url,
        "events": dict(hook.events),
        "sources": dict(hook.sources),
        "signing_enabled": bool(hook.secret),
        "list_id": audience.id,
        "_links": [],
    }


def post_webhook(call: Call) -> Answer:
    """Probe the URL and add a hook. Runs without the world's lock, because the URL may call us back."""
    world = call.world
    with world.lock:
        audience = call.audience()
        body = expect_fields(call.body, _BODY, required=("url",))
        events = _switches(body, "events", EVENTS, world.readings.omitted_webhook_events)
        sources = _switches(body, "sources", SOURCES, world.readings.omitted_webhook_sources)
        _check_url(audience, body["url"], world.readings)
    _check_answers(body["url"])
    with world.lock:
        # Another request may have added the same URL meanwhile.
        _check_url(audience, body["url"], world.readings)
        secret = secrets.token_hex(32) if world.readings.webhook_signing else ""
        hook = Webhook(secrets.token_hex(5), body["url"], events, sources, secret)
        audience.webhooks.append(hook)
        audience.settings_unsaved = True
        view = _view(audience, hook)
    return Answer(view | {"signing_secret": secret} if secret else view)


def patch_webhook(call: Call) -> Answer:
    """Change a hook; what is left out stays as it was."""
    world = call.world
    with world.lock:
        audience = call.audience()
        hook = _hook(call, audience)
        body = expect_fields(call.body, _BODY)
        events = hook.events | _sent(body, "events", EVENTS)
        sources = hook.sources | _sent(body, "sources", SOURCES)
        moves = body.get("url", hook.url) != hook.url
        if moves:
            _check_url(audience, body["url"], world.readings)
    if moves:
        _check_answers(body["url"])
    with world.lock:
        hook.url, hook.events, hook.sources = body.get("url", hook.url), events, sources
        audience.settings_unsaved = True
        return Answer(_view(audience, hook))


def delete_webhook(call: Call) -> Answer:
    with call.world.lock:
        audience = call.audience()
        hook = _hook(call, audience)
        hook.deleted = True
        audience.webhooks.remove(hook)
        audience.settings_unsaved = True
    return NO_CONTENT


def _sent(body: Mapping[str, Any], field: str, names: tuple[str, ...]) -> dict[str, bool]:
    given = body.get(field, {})
    faults = (type_fault(given[name], "boolean", f"{field}.{name}") for name in names if name in given)
    found = [fault for fault in faults if fault]
    if found:
        raise problems.not_validated(*found)
    return {name: given[name] for name in names if name in given}


def _switches(body: Mapping[str, Any], field: str, names: tuple[str, ...], omitted: bool) -> dict[str, bool]:
    return dict.fromkeys(names, omitted) | _sent(body, field, names)


def _check_url(audience: Audience, url: str, readings: Readings) -> None:
    """Refuse what is no http(s) URL, and a URL that the audience has already (whatever its query string)."""
    parts = urlsplit(url)
    local = parts.hostname in _LOOPBACK and not readings.private_webhook_urls
    if parts.scheme not in ("http", "https") or not parts.hostname or local:
        raise problems.not_validated(FieldError("url", "Invalid URL"))
    if any(_without_query(hook.url) == _without_query(url) for hook in audience.webhooks):
        raise problems.not_validated(FieldError("url", "Sorry, you can't set up multiple WebHooks for one URL"))


def _without_query(url: str) -> str:
    return url.partition("?")[0]


def _check_answers(url: str) -> None:
    code = probe(url)
    if code != 200:
        message = f"We couldn't verify the URL is working. Please double check and try again. HTTP Code: {code}"
        raise problems.not_validated(FieldError("url", message))
