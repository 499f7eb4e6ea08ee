"""The form fields of webhook events, flattened with brackets as Mailchimp sends them."""

from __future__ import annotations

from .addresses import unique_email_id
from .audiences import Audience
from .members import Member

Fields = list[tuple[str, str]]


def contact_fields(audience: Audience, member: Member, *, with_signup_ip: bool = False) -> Fields:
    """What `subscribe`, `unsubscribe` and `profile` say of the contact; `id` is not the md5 of the address."""
    fields = [
        ("data[id]", unique_email_id(member.address)),
        ("data[list_id]", audience.id),
        ("data[email]", audience.shown_address(member)),
        ("data[email_type]", member.email_type),
        ("data[ip_opt]", member.ip_opt),
        ("data[web_id]", str(member.web_id)),
        ("data[merges][EMAIL]", audience.shown_address(member)),
    ]
    if with_signup_ip and member.ip_signup:
        fields.append(("data[ip_signup]", member.ip_signup))
    for tag in audience.merge_tags:
        fields.extend(_merge_fields(tag, member))
    fields.append(("data[merges][INTERESTS]", ""))
    return fields


def _merge_fields(tag: str, member: Member) -> Fields:
    value = member.merges.get(tag, "")
    if isinstance(value, dict):
        return [(f"data[merges][{tag}][{part}]", text) for part, text in value.items()]
    return [(f"data[merges][{tag}]", str(value))]


def unsubscribe_fields(audience: Audience, member: Member, *, action: str, reason: str) -> Fields:
    """`action` is unsub or delete (archived or deleted), `reason` manual or abuse."""
    fields = [("data[action]", action), ("data[reason]", reason), *contact_fields(audience, member)]
    if member.campaign_id and action == "unsub":
        fields.append(("data[campaign_id]", member.campaign_id))
    return fields


def upemail_fields(audience: Audience, member: Member, old_address: str) -> Fields:
    return [
        ("data[list_id]", audience.id),
        ("data[new_id]", unique_email_id(member.address)),
        ("data[new_email]", audience.shown_address(member)),
        ("data[old_email]", old_address),
    ]


def cleaned_fields(audience: Audience, member: Member, *, reason: str) -> Fields:
    """A bounced address; there is no `id` and there are no merges."""
    return [
        ("data[list_id]", audience.id),
        ("data[campaign_id]", member.campaign_id),
        ("data[reason]", reason),
        ("data[email]", audience.shown_address(member)),
    ]


def campaign_fields(audience: Audience, campaign_id: str, subject: str) -> Fields:
    return [
        ("data[id]", campaign_id),
        ("data[subject]", subject),
        ("data[status]", "sent"),
        ("data[reason]", ""),
        ("data[list_id]", audience.id),
    ]
