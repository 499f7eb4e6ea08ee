"""Where Mailchimp's behaviour is not published: the reading this stand-in takes, as named switches.

Each default is the reading that is hardest for a client, unless there is better evidence for another one.
Every switch can be set with ``--reading NAME=VALUE`` or ``MailchimpStandIn(readings=Readings(...))``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace


@dataclass(frozen=True)
class Readings:
    """One switch per open question; see the comment at each."""

    # Are archived members part of a listing that names no status?
    archived_in_listing: bool = False
    # Does `status_if_new` alone bring an archived member back? Otherwise it is updated in place and stays archived.
    archived_restored_by_status_if_new: bool = False
    # Explicit statuses with which PUT, PATCH and the bulk call bring an archived member back (POST: any status).
    archived_restored_by: tuple[str, ...] = ("subscribed", "pending")
    # Order of new_members, updated_members and errors in the bulk answer: "reversed" or "sent".
    answer_order: str = "reversed"
    # Does a bulk call that is refused as a whole write the members before the faulty one? Believed not.
    refused_call_writes_part: bool = False
    # May a bulk call turn a pending member into a subscribed one without the person's confirmation?
    bulk_confirms_pending: bool = False
    # Does a bulk call judge the address of a member that it knows (an imported one that looks fake)?
    bulk_judges_known_addresses: bool = False
    # Are `id` and `unique_email_id` inside a bulk member a per-member error?
    foreign_keys_refused: bool = True
    # Does `sync_tags` clear the tags of a member that comes without `tags`?
    sync_tags_without_tags_clears: bool = True
    # Does PATCH move a member to another address, as PUT does, or pass over `email_address`?
    patch_renames: bool = True
    # Does a single PUT honour `tags` for a member that exists?
    put_tags_on_existing: bool = False
    # Order of members with an equal last_changed: "stable" (arbitrary, the same in every call) or "shuffled".
    tie_order: str = "stable"
    # How an address reads back: "first" (as it was first written) or "lower".
    address_case: str = "first"
    # Members with these statuses count as "subscribed to the list" for segment calls; others as absent.
    segment_statuses: tuple[str, ...] = ("subscribed", "pending", "transactional")
    # What error_count of a segment call counts: "groups" or "addresses".
    segment_error_count: str = "groups"
    # Does a second static segment of the same name come into being?
    duplicate_segment_names: bool = True
    # Value of an event or a source that a webhook's creation leaves out.
    omitted_webhook_events: bool = False
    omitted_webhook_sources: bool = False
    # Are new webhooks signed (since 2026), and may they point to this machine?
    webhook_signing: bool = True
    private_webhook_urls: bool = True
    # Do imports made inside Mailchimp fire webhooks? Reported not to.
    imports_fire_webhooks: bool = False
    # Do opted-out members accept changes of their merge fields? Two live clients rely on it.
    opted_out_take_profile: bool = True
    # Are required merge fields checked on every write, or on creation only?
    required_fields_on_every_write: bool = True
    # Are repeated spaces inside a text value made one? Forms of the web app do that.
    values_lose_spaces: bool = False
    # Is an address without a state taken outside the United States, Canada and Australia?
    stateless_addresses_taken: bool = False
    # Does the listing of a segment show its pending members?
    segment_listing_shows_pending: bool = True
    # Wording of the refusals: "current" or "older".
    wording: str = "current"
    # HTTP code for a good key on another data centre: 403 or 401.
    wrong_datacenter_status: int = 403
    # Seconds in a Retry-After header of a 429; 0 sends none, as in every recording.
    retry_after: int = 0
    # Does a very old `since_*` date (before 1980) run into the time limit?
    old_dates_hang: bool = True
    # Age in seconds up to which an audience's `stats` are served from a cache.
    stats_cached_seconds: int = 300

    def with_text(self, settings: Iterable[str]) -> Readings:
        """Apply settings like ``archived_in_listing=true``; raises ValueError for an unknown name or value."""
        known = {field.name: getattr(self, field.name) for field in fields(self)}
        changes: dict[str, object] = {}
        for setting in settings:
            name, _, text = setting.partition("=")
            if name not in known:
                raise ValueError(f"unknown reading: {name}")
            changes[name] = _parse(text, like=known[name])
        return replace(self, **changes)  # type: ignore[arg-type]


def _parse(text: str, *, like: object) -> object:
    if isinstance(like, bool):
        if text.lower() not in ("true", "false"):
            raise ValueError(f"expected true or false, got: {text}")
        return text.lower() == "true"
    if isinstance(like, int):
        return int(text)
    if isinstance(like, tuple):
        return tuple(part for part in text.split(",") if part)
    return text
