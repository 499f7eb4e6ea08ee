"""Audiences of Mailchimp, as the core speaks of them: what a new one needs, and the merge fields that one has."""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.domain.customers import Address


# Mailchimp wants an audience to carry the sender's postal address: anti-spam laws require it in every mail.
@dataclass(frozen=True, slots=True)
class NewAudience:
    """What is needed to create an audience. The country is an ISO code of two letters, `language` such as `en`."""

    name: str
    from_name: str
    from_email: str
    company: str
    address: Address
    language: str
    permission_reminder: str


@dataclass(frozen=True, slots=True)
class MergeField:
    """A merge field of an audience. `type` is text, number, address, phone, date, ..."""

    merge_id: int
    tag: str
    type: str
    required: bool
    phone_format: str = ""  # `US` or `none`
