"""What people, admins and mail servers do to a member, beside the API. Each fires the event it would at Mailchimp."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from . import events
from .addresses import old_subscriber_hash
from .audiences import Audience
from .members import Member
from .merge_fields import MergeValue
from .problems import not_found
from .world import World
from .writes import Write, Writer, read_write


class Acts:
    """Acts on one audience at one moment; callers hold the world's lock. An unknown address raises 404."""

    def __init__(self, world: World, audience: Audience) -> None:
        self.world = world
        self.audience = audience
        self.now = world.now()

    def member(self, email: str) -> Member:
        member = self.audience.by_address.get(email.lower())
        if member is None:
            raise not_found()
        return member

    def _writer(self, source: str, origin: str = "Admin Add") -> Writer:
        return Writer(self.world, self.audience, self.now, source=source, origin=origin, skip_required=True)

    # --- the person ---

    def unsubscribe(self, email: str, *, campaign_id: str, reason: str) -> Member:
        """By the link in a mail: from now on the API cannot subscribe the address again."""
        return self._opt_out(email, "person", campaign_id, reason)

    def complain(self, email: str, *, campaign_id: str) -> Member:
        """Mark a mail as spam."""
        return self._opt_out(email, "complaint", campaign_id, "Abuse complaint")

    def _opt_out(self, email: str, blocked: str, campaign_id: str, reason: str) -> Member:
        member = self.member(email)
        member.blocked, member.campaign_id = blocked, campaign_id
        self._writer("user").change_status(member, "unsubscribed")
        member.unsubscribe_reason = reason
        self.audience.touch(member, self.now)
        return member

    def sign_up(self, email: str, merges: Mapping[str, MergeValue]) -> Member:
        """By Mailchimp's form: works for everybody, also the forgotten; a double opt-in audience asks to confirm."""
        self.audience.forgotten.discard(email.lower())
        self.audience.settings_unsaved = True
        status = "pending" if self.audience.settings["double_optin"] else "subscribed"
        member = self.audience.by_address.get(email.lower())
        if member is None:
            return self._writer("user", "Hosted Signup Form").create(Write(address=email, merges=merges), status)
        if status == "subscribed":
            return self._let_in(member)
        self._writer("user").change_status(member, status)
        self.audience.touch(member, self.now)
        return member

    def confirm(self, email: str) -> Member:
        """Follow the link in the confirmation mail."""
        return self._let_in(self.member(email))

    def _let_in(self, member: Member) -> Member:
        """The person's own consent lifts every block."""
        member.blocked = member.unsubscribe_reason = ""
        member.timestamp_opt = 0
        if member.status != "subscribed":
            self._writer("user").change_status(member, "subscribed")
        self.audience.touch(member, self.now)
        return member

    def change_address(self, email: str, new_email: str) -> Member:
        member, writer = self.member(email), self._writer("user")
        writer.check_rename(member, new_email)
        writer.rename(member, new_email)
        return member

    def edit_profile(self, email: str, merges: Mapping[str, MergeValue], *, by_admin: bool) -> Member:
        member = self.member(email)
        self._writer("admin" if by_admin else "user").update(member, Write(merges=merges))
        return member

    # --- the admin in the web app ---

    def admin_unsubscribe(self, email: str) -> Member:
        member = self.member(email)
        self._writer("admin").change_status(member, "unsubscribed")
        self.audience.touch(member, self.now)
        return member

    def admin_archive(self, email: str) -> Member:
        member = self.member(email)
        self._writer("admin").archive(member)
        return member

    def admin_delete(self, email: str) -> Member:
        """Delete permanently."""
        member = self.member(email)
        self._writer("admin").delete_permanently(member)
        return member

    def admin_tag(self, email: str, tags: Mapping[str, bool]) -> Member:
        member = self.member(email)
        self._writer("admin").tag(member, tags)
        return member

    def admin_import(self, rows: Sequence[Mapping[str, Any]]) -> list[Member]:
        """Import members as the web app does: any status, any address, usually without events.

        A row is a member object of the API with, optionally, `blocked` ("person", "complaint", "bounce") and
        `old_id` (true: the id is the md5 of the address as written, as very old lists have it).
        """
        return [self._import_row(row) for row in rows]

    def _import_row(self, row: Mapping[str, Any]) -> Member:
        writer = self._writer("admin", "Import")
        if not self.world.readings.imports_fire_webhooks:
            writer = replace(writer, silent=True)
        write = read_write(row)
        member = self.audience.by_address.get((write.address or "").lower())
        if member is None:
            member = writer.insert(write, write.status or "subscribed")
            if row.get("old_id"):
                self._use_old_id(member)
        else:
            writer.update(member, replace(write, status=None))
        member.blocked = row.get("blocked", member.blocked)
        if member.blocked and member.status == "unsubscribed":
            member.unsubscribe_reason = row.get("unsubscribe_reason", "NORMAL")
        return member

    def _use_old_id(self, member: Member) -> None:
        del self.audience.by_id[member.id]
        member.id = old_subscriber_hash(member.address)
        self.audience.by_id[member.id] = member

    # --- machines ---

    def bounce(self, email: str, *, campaign_id: str, reason: str) -> Member:
        """A mail came back for good: the member is cleaned."""
        member = self.member(email)
        member.blocked, member.campaign_id = "bounce", campaign_id
        writer = replace(self._writer("system"), silent=True)
        writer.change_status(member, "cleaned")
        self.audience.touch(member, self.now)
        self.world.emit(
            self.audience,
            "cleaned",
            "system",
            lambda: events.cleaned_fields(self.audience, member, reason=reason),
            self.now,
        )
        return member
