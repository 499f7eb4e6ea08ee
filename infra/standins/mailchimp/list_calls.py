"""Root, ping, audiences and their merge fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import problems
from .accounts import Account
from .audiences import Audience, new_audience
from .calls import NO_CONTENT, Answer, Call, Shape, read_projection
from .clock import stamp
from .merge_fields import MAX_FIELDS, MAX_TAG_LENGTH, TYPES, MergeField
from .schema import choice_fault, expect_fields

_STATS_WITH_ALL = "total_contacts"
_LIST_TYPES: Mapping[str, str] = {
    "name": "string",
    "contact": "object",
    "permission_reminder": "string",
    "campaign_defaults": "object",
    "email_type_option": "boolean",
    "double_optin": "boolean",
    "marketing_permissions": "boolean",
    "use_archive_bar": "boolean",
    "notify_on_subscribe": "string",
    "notify_on_unsubscribe": "string",
}
_LIST_REQUIRED = ("name", "contact", "permission_reminder", "campaign_defaults", "email_type_option")
_CONTACT = ("company", "address1", "address2", "city", "state", "zip", "country", "phone")
_CONTACT_REQUIRED = ("company", "address1", "city", "country")
_CAMPAIGN_DEFAULTS = ("from_name", "from_email", "subject", "language")
_LIST_KEYS = frozenset(
    "id web_id name contact permission_reminder use_archive_bar campaign_defaults notify_on_subscribe "
    "notify_on_unsubscribe date_created list_rating email_type_option subscribe_url_short subscribe_url_long "
    "beamer_address visibility double_optin has_welcome marketing_permissions modules stats _links".split()
)
_LISTS_SHAPE: Shape = {"lists": _LIST_KEYS, "total_items": None, "constraints": None, "_links": None}
_LIST_SHAPE: Shape = dict.fromkeys(_LIST_KEYS)
_FIELD_KEYS = frozenset(
    "merge_id tag name type required default_value public display_order options help_text list_id _links".split()
)
_FIELDS_SHAPE: Shape = {"merge_fields": _FIELD_KEYS, "list_id": None, "total_items": None, "_links": None}


def get_root(call: Call) -> Answer:
    account, key = call.caller.account, call.caller.key
    document = {
        "account_id": account.id,
        "login_id": account.login_id,
        "account_name": account.name,
        "email": "owner@practice.test",
        "first_name": "Alex",
        "last_name": "Owner",
        "username": "practice",
        "avatar_url": "",
        "role": key.role,
        "member_since": stamp(account.created),
        "pricing_plan_type": "monthly",
        "first_payment": "",
        "account_timezone": "Australia/Melbourne",
        "account_industry": "",
        "contact": dict.fromkeys(("company", "addr1", "addr2", "city", "state", "zip", "country"), ""),
        "pro_enabled": False,
        "last_login": stamp(account.created),
        "total_subscribers": sum(audience.counts["subscribed"] for audience in account.audiences.values()),
        "industry_stats": {"open_rate": 0.2, "bounce_rate": 0.01, "click_rate": 0.02},
        "_links": [],
    }
    return Answer(read_projection(call, dict.fromkeys(document)).of(document))


def get_ping(call: Call) -> Answer:
    return Answer({"health_status": "Everything's Chimpy!"})


# --- audiences ---


def get_lists(call: Call) -> Answer:
    account = call.caller.account
    page, projection = call.page(), read_projection(call, _LISTS_SHAPE)
    audiences = _select_lists(call, account)
    document = {
        "lists": [_list_view(call, audience) for audience in audiences[page]],
        "total_items": len(audiences),
        "constraints": {
            "may_create": account.may_create_audience,
            "max_instances": account.max_audiences,
            "current_total_instances": len(account.audiences),
        },
        "_links": [],
    }
    return Answer(projection.of(document))


def _select_lists(call: Call, account: Account) -> list[Audience]:
    """The account's audiences by creation date; `email` names those that an address is on."""
    audiences = sorted(account.audiences.values(), key=lambda audience: audience.created)
    since, before = call.instant("since_date_created"), call.instant("before_date_created")
    if since is not None:
        audiences = [audience for audience in audiences if audience.created > since]
    if before is not None:
        audiences = [audience for audience in audiences if audience.created < before]
    if "email" in call.query:
        audiences = [audience for audience in audiences if call.query["email"].lower() in audience.by_address]
    return audiences[::-1] if call.choice("sort_dir", ("ASC", "DESC")) == "DESC" else audiences


def get_list(call: Call) -> Answer:
    return Answer(read_projection(call, _LIST_SHAPE).of(_list_view(call, call.audience())))


def _list_view(call: Call, audience: Audience) -> dict[str, Any]:
    stats = dict(audience.stats(call.now))
    if not call.flag("include_total_contacts"):
        del stats[_STATS_WITH_ALL]
    return {
        "id": audience.id,
        "web_id": audience.web_id,
        **audience.settings,
        "date_created": stamp(audience.created),
        "list_rating": 0,
        "subscribe_url_short": "",
        "subscribe_url_long": "",
        "beamer_address": "",
        "visibility": "prv",
        "has_welcome": False,
        "modules": [],
        "stats": stats,
        "_links": [],
    }


def post_list(call: Call) -> Answer:
    """Create an audience if the plan allows another one."""
    settings = read_list_settings(call.body)
    account = call.caller.account
    if not account.may_create_audience:
        raise problems.not_permitted()
    audience = new_audience(settings, now=call.now, readings=call.world.readings)
    account.audiences[audience.id] = audience
    return Answer(_list_view(call, audience))


def read_list_settings(body: object) -> dict[str, Any]:
    """Check the body of a new audience and fill in what may be left out."""
    document = expect_fields(body, _LIST_TYPES, required=_LIST_REQUIRED)
    contact, defaults = document["contact"], document["campaign_defaults"]
    _expect_parts(contact, _CONTACT_REQUIRED, "contact")
    _expect_parts(defaults, _CAMPAIGN_DEFAULTS, "campaign_defaults")
    return {
        "name": document["name"],
        "contact": {part: contact.get(part, "") for part in _CONTACT},
        "permission_reminder": document["permission_reminder"],
        "use_archive_bar": document.get("use_archive_bar", False),
        "campaign_defaults": {part: defaults[part] for part in _CAMPAIGN_DEFAULTS},
        "notify_on_subscribe": document.get("notify_on_subscribe", ""),
        "notify_on_unsubscribe": document.get("notify_on_unsubscribe", ""),
        "email_type_option": document["email_type_option"],
        "double_optin": document.get("double_optin", False),
        "marketing_permissions": document.get("marketing_permissions", False),
    }


def _expect_parts(value: Mapping[str, Any], names: tuple[str, ...], field: str) -> None:
    missing = [name for name in names if name not in value]
    if missing:
        raise problems.required_missing(*missing, field=field)
    bad = [name for name in value if not isinstance(value[name], str)]
    if bad:
        expect_fields({f"{field}.{name}": value[name] for name in bad}, {f"{field}.{name}": "string" for name in bad})


def delete_list(call: Call) -> Answer:
    audience = call.audience()
    for hook in audience.webhooks:
        hook.deleted = True
    del call.caller.account.audiences[audience.id]
    return NO_CONTENT


# --- merge fields ---


def get_merge_fields(call: Call) -> Answer:
    audience = call.audience()
    page, projection = call.page(), read_projection(call, _FIELDS_SHAPE)
    fields = [item for item in audience.merge_fields if call.query.get("type") in (None, item.type)]
    if "required" in call.query:
        fields = [item for item in fields if item.required == call.flag("required")]
    document = {
        "merge_fields": [item.view(audience.id) for item in fields[page]],
        "list_id": audience.id,
        "total_items": len(fields),
        "_links": [],
    }
    return Answer(projection.of(document))


def get_merge_field(call: Call) -> Answer:
    audience = call.audience()
    return Answer(_field(call, audience).view(audience.id))


def _field(call: Call, audience: Audience) -> MergeField:
    for item in audience.merge_fields:
        if str(item.merge_id) == call.path["merge_id"]:
            return item
    raise problems.not_found()


_FIELD_TYPES: Mapping[str, str] = {
    "name": "string",
    "tag": "string",
    "type": "string",
    "required": "boolean",
    "default_value": "string",
    "public": "boolean",
    "display_order": "integer",
    "options": "object",
    "help_text": "string",
}


def post_merge_field(call: Call) -> Answer:
    """Add a merge field; a tag of more than ten characters is cut without a word."""
    audience = call.audience()
    body = expect_fields(call.body, _FIELD_TYPES, required=("name", "type"))
    fault = choice_fault(body["type"], TYPES, "type")
    if fault:
        raise problems.not_validated(fault)
    if len(audience.merge_fields) >= MAX_FIELDS:
        raise problems.invalid_resource(f"This list already has the maximum of {MAX_FIELDS} merge fields.")
    tag = _new_tag(audience, body.get("tag") or f"MMERGE{audience.next_merge_id}")
    values = {name: body[name] for name in _FIELD_TYPES if name in body} | {"tag": tag}
    values.setdefault("display_order", len(audience.merge_fields) + 2)
    values["options"] = _default_options(body["type"]) | body.get("options", {})
    item = MergeField(audience.next_merge_id, **values)
    audience.next_merge_id += 1
    audience.merge_fields.append(item)
    audience.refresh_fields()
    return Answer(item.view(audience.id))


def _default_options(field_type: str) -> dict[str, Any]:
    options: Mapping[str, dict[str, Any]] = {
        "text": {"size": 25},
        "phone": {"phone_format": "none"},
        "address": {"default_country": 164},
    }
    return dict(options.get(field_type, {}))


def _new_tag(audience: Audience, tag: str) -> str:
    """The tag as it will be, cut and in capitals; raises 400 if another field has it."""
    tag = tag.upper()[:MAX_TAG_LENGTH]
    if tag in audience.fields_by_tag or tag == "EMAIL":
        raise problems.invalid_resource(f'A Merge Field with the tag "{tag}" already exists for this list.')
    return tag


def patch_merge_field(call: Call) -> Answer:
    audience = call.audience()
    item = _field(call, audience)
    body = expect_fields(call.body, _FIELD_TYPES, required=("name",))
    if body.get("tag", item.tag) != item.tag:
        _retag(audience, item, _new_tag(audience, body["tag"]))
    for name in ("name", "required", "default_value", "public", "display_order", "options", "help_text"):
        if name in body:
            setattr(item, name, body[name])
    audience.refresh_fields()
    return Answer(item.view(audience.id))


def _retag(audience: Audience, item: MergeField, tag: str) -> None:
    for member in audience.members.values():
        if item.tag in member.merges:
            member.merges[tag] = member.merges.pop(item.tag)
            audience.mark(member)
    item.tag = tag


def delete_merge_field(call: Call) -> Answer:
    """Delete the field and with it every member's value."""
    audience = call.audience()
    item = _field(call, audience)
    for member in audience.members.values():
        if item.tag in member.merges:
            del member.merges[item.tag]
            audience.mark(member)
    audience.merge_fields.remove(item)
    audience.refresh_fields()
    return NO_CONTENT
