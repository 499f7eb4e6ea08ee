"""The pre-flight: what an audience is like before the first member is sent to it. Pure.

It answers which merge fields we may fill and what staff should know about the audience. Facts about Mailchimp are from
the Marketing API's documentation ("Merge fields", "Audiences"): a merge field's type cannot be changed, required fields
bind Mailchimp's own forms, `subscribed` sent by an API client asks nobody for confirmation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from chalicelib.domain.departments import Finding
from chalicelib.domain.fieldmap import WANTED_FIELDS, FieldMap, WantedField

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chalicelib.domain.audiences import MergeField

# Findings about webhooks, which a look at the fields does not renew.
WEBHOOK_CODES = frozenset({"webhook_missing", "foreign_webhooks", "audience_shared"})
_FIELDS_PAGE = "Audience, Settings, Audience fields and *|MERGE|* tags"


@dataclass(frozen=True, slots=True)
class AudienceTraits:
    """What else an audience says of itself. `foreign_hook_hosts` are the servers that other webhooks report to.

    `is_shared`: a webhook of another department's is among them.
    """

    double_optin: bool = False
    marketing_permissions: bool = False
    foreign_hook_hosts: tuple[str, ...] = ()
    is_shared: bool = False


@dataclass(frozen=True, slots=True)
class PreFlight:
    """The outcome: the fields we may fill, and what to show."""

    fields: FieldMap
    findings: tuple[Finding, ...]


def missing_fields(found: Iterable[MergeField]) -> tuple[WantedField, ...]:
    """The fields we fill and the audience has not, whatever their type: those are to be created."""
    tags = {field.tag.upper() for field in found}
    return tuple(wanted for wanted in WANTED_FIELDS if wanted.tag not in tags)


def check_audience(found: Sequence[MergeField], traits: AudienceTraits, *, country: str) -> PreFlight:
    """Judge an audience by its fields, after the missing ones were created as far as Mailchimp did.

    `country` is the department's ISO code, for addresses that name none.
    """
    by_tag = {field.tag.upper(): field for field in found}
    clashing = tuple(w for w in WANTED_FIELDS if w.tag in by_tag and by_tag[w.tag].type != w.type)
    absent = tuple(w for w in WANTED_FIELDS if w.tag not in by_tag)
    usable = tuple(w.tag for w in WANTED_FIELDS if w not in clashing and w not in absent)
    us_phone = "PHONE" in usable and by_tag["PHONE"].phone_format.upper() == "US"
    findings = [_clash(wanted, by_tag[wanted.tag].type) for wanted in clashing]
    findings += [_not_created(absent)] if absent else []
    findings += _required(found, usable)
    findings += [_US_PHONE] if us_phone else []
    findings += _traits(traits)
    ids = tuple(by_tag[tag].merge_id for tag in usable)
    fields = FieldMap(tags=usable, us_phone=us_phone, country=country.upper(), ids=ids)
    return PreFlight(fields, tuple(findings))


def differ(known: FieldMap, found: FieldMap) -> bool:
    """Whether members may hold other values than before: a field came, went, or is not the one it was."""
    return known != (found if known.ids else replace(found, ids=()))


def findings_after_look(before: Iterable[Finding], found: Iterable[Finding]) -> tuple[Finding, ...]:
    """An audience's findings after a look at its fields and traits; what is known of its webhooks stays."""
    return (*found, *(finding for finding in before if finding.code in WEBHOOK_CODES))


def fields_message(known: FieldMap, found: FieldMap) -> str:
    """The log entry's words for fields that changed in Mailchimp since they were known."""
    ids = dict(zip(known.tags, known.ids, strict=False))
    gone = [tag for tag in known.tags if tag not in found.tags]
    new = [tag for tag in found.tags if tag not in known.tags]
    other = [tag for tag, at in zip(found.tags, found.ids, strict=False) if tag in ids and ids[tag] != at]
    parts = [
        f"The {_fields(new)} can be filled from now on." if new else "",
        f"The {_fields(other)} {'was' if len(other) == 1 else 'were'} deleted in Mailchimp and created again."
        if other
        else "",
        f"The {_fields(gone)} can no longer be filled; the connection's health says why." if gone else "",
        "The format of the field PHONE changed." if known.us_phone != found.us_phone and "PHONE" in found.tags else "",
        "The department's country changed." if known.country != found.country else "",
    ]
    return " ".join([*filter(None, parts), "Customers with values that are missing in Mailchimp are sent again."])


def _fields(tags: Sequence[str]) -> str:
    return f"audience's field{'' if len(tags) == 1 else 's'} {', '.join(tags)}"


def _clash(wanted: WantedField, type_there: str) -> Finding:
    return Finding(
        "field_type_clash",
        "warning",
        f"The audience's field {wanted.tag} is of type {type_there or 'unknown'} instead of {wanted.type}, so "
        f"{wanted.nouns} are not synced.",
        f"In Mailchimp ({_FIELDS_PAGE}) give this field another tag, or delete it if nobody needs it, then start a "
        f"sync or select the audience again: the field {wanted.tag} is then created with the right type.",
        {"field": wanted.tag, "type": type_there or "unknown", "wanted": wanted.type},
    )


def _not_created(absent: Sequence[WantedField]) -> Finding:
    tags = ", ".join(wanted.tag for wanted in absent)
    contents = ", ".join(wanted.nouns for wanted in absent)
    return Finding(
        "field_not_created",
        "warning",
        f"Mailchimp did not create the audience's field {tags}, so {contents} are not synced. Most often the "
        "audience already has as many fields as Mailchimp allows.",
        f"Delete fields that nobody needs in Mailchimp ({_FIELDS_PAGE}), then start a sync or select the audience "
        "again.",
        {"fields": tags},
    )


def _required(found: Sequence[MergeField], usable: tuple[str, ...]) -> list[Finding]:
    """Our calls tell Mailchimp to let required fields pass, so this stops no sync; it explains gaps."""
    tags = [field.tag for field in found if field.required and field.tag.upper() not in usable]
    if not tags:
        return []
    return [
        Finding(
            "required_fields",
            "info",
            f"The audience requires values that PracBill does not have: {', '.join(tags)}. Customers are synced "
            "without them.",
            "If forms or other tools fail without these values, make these fields optional in Mailchimp "
            f"({_FIELDS_PAGE}).",
            {"fields": ", ".join(tags)},
        )
    ]


_US_PHONE = Finding(
    "us_phone_only",
    "info",
    "The audience's field PHONE takes only numbers of the form (123) 456-7890; other numbers are left out.",
    f"Set the field's phone format to international in Mailchimp ({_FIELDS_PAGE}); the next sync sends them.",
)
_DOUBLE_OPTIN = Finding(
    "double_optin",
    "info",
    "The audience has double opt-in. It holds for Mailchimp's own forms: customers whose consent is recorded in "
    "PracBill are subscribed without a confirmation mail.",
    "Record a customer's consent in PracBill only if the person has given it.",
)
_MARKETING_PERMISSIONS = Finding(
    "marketing_permissions",
    "info",
    "The audience has marketing permissions (GDPR fields). PracBill does not record them, so synced customers have "
    "none, and campaigns that are limited to a permission do not reach them.",
    "Let people tick permissions on a Mailchimp form, or do not limit campaigns for synced customers to a permission.",
)
_SHARED = Finding(
    "audience_shared",
    "warning",
    "Another department keeps this audience up to date, too. When either of them removes a customer, the contact may "
    "be archived although the other one still has the customer.",
    "Choose an audience of its own for each department.",
)


def _traits(traits: AudienceTraits) -> list[Finding]:
    findings = [_DOUBLE_OPTIN] if traits.double_optin else []
    findings += [_MARKETING_PERMISSIONS] if traits.marketing_permissions else []
    findings += [_SHARED] if traits.is_shared else []
    hosts = sorted(set(traits.foreign_hook_hosts))
    if hosts:
        findings.append(
            Finding(
                "foreign_webhooks",
                "info",
                f"The audience also reports changes to: {', '.join(hosts)}. Another tool may sync this audience, too.",
                "Check that no other tool subscribes or archives the same people. If one is no longer used, remove its "
                "webhook in Mailchimp (Audience, Settings, Webhooks).",
                {"hosts": ", ".join(hosts)},
            )
        )
    return findings
