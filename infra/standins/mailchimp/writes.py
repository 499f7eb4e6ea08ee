"""The rules of writing a member: what is refused, what changes, which event follows.

One `Writer` serves one request (or one act of a person or an admin). It checks everything before it changes
anything, so a refused member is left as it was.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from . import events, problems
from .addresses import is_well_formed, looks_fake, subscriber_hash
from .audiences import Audience, Segment
from .clock import parse_instant
from .members import ADMIN_REASON, Member
from .merge_fields import InvalidValue, MergeValue
from .problems import FieldError
from .world import World

# Thirteen rounds of adding and removing an address within seconds were seen to be stopped.
MAX_JOINS = 12
JOIN_WINDOW_SECONDS = 60
_PROFILE = ("email_type", "language", "vip", "location", "ip_signup", "ip_opt")
_INSTANTS = ("timestamp_signup", "timestamp_opt")


@dataclass(frozen=True, slots=True)
class Write:
    """What is asked for one member. The shape is known to be right; `tags` None means that none were sent."""

    address: str | None = None
    status: str | None = None
    status_if_new: str | None = None
    merges: Mapping[str, MergeValue] = field(default_factory=dict)
    tags: tuple[str, ...] | None = None
    profile: Mapping[str, Any] = field(default_factory=dict)
    interests: tuple[str, ...] = ()


def read_write(body: Mapping[str, Any]) -> Write:
    """A member object of the API as a Write."""
    profile = {name: body[name] for name in _PROFILE if name in body}
    profile |= {name: int(parse_instant(body[name])) for name in _INSTANTS if body.get(name)}
    return Write(
        address=body.get("email_address"),
        status=body.get("status"),
        status_if_new=body.get("status_if_new"),
        merges=body.get("merge_fields", {}),
        tags=tuple(body["tags"]) if "tags" in body else None,
        profile=profile,
        interests=tuple(body.get("interests", ())),
    )


@dataclass(frozen=True, slots=True)
class Writer:
    """The circumstances of a write. `source` is who acts, in webhook words: user, admin or api."""

    world: World
    audience: Audience
    now: int
    source: str = "api"
    origin: str = "API - Generic"
    caller_ip: str = ""
    skip_required: bool = False
    in_bulk: bool = False
    silent: bool = False

    # --- new members ---

    def create(self, write: Write, status: str) -> Member:
        """Add an address that is not on the list; raises a Problem."""
        address = write.address or ""
        self.check_new_address(address)
        if address.lower() in self.audience.throttled:
            raise problems.signed_up_too_often(address)
        self._check_interests(write)
        return self.insert(write, status)

    def insert(self, write: Write, status: str) -> Member:
        """Add a member whose address may be anything that an import brings."""
        merges = self._merged({}, write, is_new=True)
        member = self._new_member(write.address or "", status, merges, write.profile)
        for name in write.tags or ():
            self.audience.add_tag(member, self._tag(name), self.now)
        self.audience.add(member)
        if status == "subscribed":
            self._emit_subscribe(member)
        return member

    def check_new_address(self, address: str) -> None:
        """Refuse what is malformed, was permanently deleted or looks made up."""
        if not is_well_formed(address):
            raise problems.malformed_address()
        if address.lower() in self.audience.forgotten:
            raise problems.forgotten(address, self.world.readings.wording)
        if looks_fake(address):
            raise problems.fake_address(address)

    def _new_member(
        self, address: str, status: str, merges: dict[str, MergeValue], profile: Mapping[str, Any]
    ) -> Member:
        member = Member(
            contact_id=secrets.token_hex(16),
            id=subscriber_hash(address),
            address=address,
            web_id=self.audience.new_number(),
            status=status,
            last_changed=self.now,
            created=self.now,
            merges=merges,
            source=self.origin,
            joins=[self.now],
        )
        if status == "subscribed":
            member.timestamp_opt, member.ip_opt = self.now, self.caller_ip
        self._note_status(member, status)
        for name, value in profile.items():
            setattr(member, name, value)
        return member

    # --- known members ---

    def update(self, member: Member, write: Write, *, clear_tags: bool = False, rename_to: str | None = None) -> bool:
        """Change a known member; true if it came back from the archive. Raises a Problem and then changes nothing."""
        if rename_to is not None:
            self.check_rename(member, rename_to)
        if self.in_bulk and self.world.readings.bulk_judges_known_addresses:
            self.check_new_address(member.address)
        self._check_interests(write)
        status = self._wanted_status(member, write)
        restored = member.status == "archived" and status != "archived"
        if restored:
            self._check_join(member)
        if member.blocked and member.status == status and not self.world.readings.opted_out_take_profile:
            raise problems.compliance_state(member.address, self.world.readings.wording)
        merges = self._merged(member.merges, write, is_new=False)
        if rename_to is not None:
            self.rename(member, rename_to)
        self._apply(member, status, merges, write, clear_tags=clear_tags)
        return restored

    def restore(self, member: Member, write: Write, status: str) -> None:
        """Bring an archived member back as POST does: with any status, as if it had just opted in."""
        if status == "subscribed" and member.blocked:
            raise problems.compliance_state(write.address or member.address, self.world.readings.wording)
        self._check_interests(write)
        self._check_join(member)
        merges = self._merged(member.merges, write, is_new=True)
        member.timestamp_opt = 0
        self._apply(member, status, merges, write, clear_tags=False)

    def _apply(
        self, member: Member, status: str, merges: dict[str, MergeValue], write: Write, *, clear_tags: bool
    ) -> None:
        """Carry out what was checked; what changes nothing moves no `last_changed` and fires nothing."""
        profile_changed = self._apply_profile(member, merges, write.profile)
        tags_changed = self._apply_tags(member, write.tags, clear=clear_tags)
        status_changed = member.status != status
        if status_changed:
            self.change_status(member, status)
        elif profile_changed and status not in ("archived", "pending"):
            self._emit_profile(member)
        if profile_changed or tags_changed or status_changed:
            self.audience.touch(member, self.now)

    def check_rename(self, member: Member, address: str) -> None:
        """Only a subscribed member may change its address, and only to one that no contact has."""
        if member.status != "subscribed":
            raise problems.cannot_rename(member.status)
        self.check_new_address(address)
        holder = self.audience.by_address.get(address.lower())
        if holder is not None:
            raise problems.address_taken(address, holder.status)

    def rename(self, member: Member, address: str) -> None:
        """Give a member a new address that was checked before."""
        old_address = self.audience.shown_address(member)
        self.audience.rename(member, address)
        self.audience.touch(member, self.now)
        self._emit(member, "upemail", lambda: events.upemail_fields(self.audience, member, old_address))

    def archive(self, member: Member) -> None:
        """Archive; raises 405 for bounced, pending and archived members."""
        if member.status in ("cleaned", "pending", "archived"):
            raise problems.cannot_archive()
        self.audience.set_status(member, "archived")
        self.audience.touch(member, self.now)
        self._emit_unsubscribe(member, action="delete")

    def delete_permanently(self, member: Member) -> None:
        """Forget the member; its address cannot come back by API."""
        self.audience.remove(member)
        self.audience.forgotten.add(member.address.lower())
        self.audience.settings_unsaved = True
        if member.status == "subscribed":
            self._emit_unsubscribe(member, action="delete")

    def tag(self, member: Member, names: Mapping[str, bool]) -> None:
        """Add (true) and remove (false) tags by name; unknown ones to remove are no error. No event."""
        changed = False
        for name, active in names.items():
            if active:
                changed |= self.audience.add_tag(member, self._tag(name), self.now)
            elif (segment := self.audience.segment_named(name)) is not None:
                changed |= self.audience.remove_tag(member, segment)
        if changed:
            self.audience.touch(member, self.now)

    def change_status(self, member: Member, status: str) -> None:
        """Set a new status, with what it brings along and its event; the caller touches the member."""
        was_archived = member.status == "archived"
        self.audience.set_status(member, status)
        self._note_status(member, status)
        if was_archived:
            member.joins = [*member.joins[-MAX_JOINS:], self.now]
        if status == "subscribed":
            member.timestamp_opt = member.timestamp_opt or self.now
            self._emit_subscribe(member)
        elif status == "unsubscribed":
            self._emit_unsubscribe(member, action="unsub")
        elif status == "cleaned":
            self._emit(
                member, "cleaned", lambda: events.cleaned_fields(self.audience, member, reason="hard"), source="system"
            )

    # --- rules ---

    def _wanted_status(self, member: Member, write: Write) -> str:
        """The status after the write; raises the compliance refusal."""
        readings = self.world.readings
        if member.status == "archived":
            return self._wanted_of_archived(member, write)
        status = write.status or member.status
        if status == "subscribed" and status != member.status:
            unconfirmed = member.status == "pending" and self.in_bulk and not readings.bulk_confirms_pending
            if member.blocked or unconfirmed:
                raise problems.compliance_state(write.address or member.address, readings.wording)
        if member.status == "cleaned" and status != "pending":
            return "cleaned"
        return status

    def _wanted_of_archived(self, member: Member, write: Write) -> str:
        """Some explicit statuses bring the member back; otherwise it is changed in place and stays archived."""
        readings = self.world.readings
        if write.status in readings.archived_restored_by:
            status = write.status
        elif write.status is None and readings.archived_restored_by_status_if_new:
            status = write.status_if_new or "archived"
        else:
            status = "archived"
        if status == "subscribed" and member.blocked:
            raise problems.compliance_state(write.address or member.address, readings.wording)
        return status

    def _check_join(self, member: Member) -> None:
        recent = [moment for moment in member.joins if moment > self.now - JOIN_WINDOW_SECONDS]
        if len(recent) >= MAX_JOINS or member.address.lower() in self.audience.throttled:
            raise problems.signed_up_too_often(member.address)

    def _check_interests(self, write: Write) -> None:
        """The stand-in's audiences have no interest groups, so every interest id is unknown."""
        for interest_id in write.interests:
            raise problems.unknown_interest(interest_id)

    def _merged(self, known: Mapping[str, MergeValue], write: Write, *, is_new: bool) -> dict[str, MergeValue]:
        """The merge values after the write; unknown tags are ignored. Raises with one entry per bad field."""
        merges = dict(known)
        errors: list[FieldError] = []
        for tag, value in write.merges.items():
            definition = self.audience.fields_by_tag.get(tag)
            if definition is None:
                continue
            try:
                merges[tag] = self._kept(
                    definition.clean(value, stateless=self.world.readings.stateless_addresses_taken)
                )
            except InvalidValue as error:
                errors.append(FieldError(tag, str(error)))
        if is_new or self.world.readings.required_fields_on_every_write:
            errors.extend(self._missing(merges, {error.field for error in errors}))
        if errors:
            raise problems.invalid_merge_fields(errors)
        return merges

    def _kept(self, value: MergeValue) -> MergeValue:
        """The value in the form in which it is stored."""
        if isinstance(value, str) and self.world.readings.values_lose_spaces:
            return " ".join(value.split())
        return value

    def _missing(self, merges: Mapping[str, MergeValue], refused: set[str]) -> list[FieldError]:
        if self.skip_required:
            return []
        required = (tag for tag in self.audience.required_tags if tag not in refused)
        return [FieldError(tag, "Please enter a value") for tag in required if merges.get(tag, "") == ""]

    # --- changes ---

    def _apply_profile(self, member: Member, merges: dict[str, MergeValue], profile: Mapping[str, Any]) -> bool:
        """True if anything is different from before; a cleared field that was empty is not."""
        changed = False
        if merges != member.merges:
            changed = any(member.merges.get(tag, "") != value for tag, value in merges.items())
            member.merges = merges
        for name, value in profile.items():
            if getattr(member, name) != value:
                setattr(member, name, value)
                changed = True
        return changed

    def _apply_tags(self, member: Member, tags: tuple[str, ...] | None, *, clear: bool) -> bool:
        changed = False
        wanted = [self._tag(name) for name in tags or ()]
        if clear:
            kept = {segment.id for segment in wanted}
            for tag_id in [tag_id for tag_id in member.tags if tag_id not in kept]:
                changed |= self.audience.remove_tag(member, self.audience.segments[tag_id])
        for segment in wanted:
            changed |= self.audience.add_tag(member, segment, self.now)
        return changed

    def _tag(self, name: str) -> Segment:
        return self.audience.tag_for(name, self.now)

    def _note_status(self, member: Member, status: str) -> None:
        if status == "unsubscribed":
            member.unsubscribed_at = self.now
            # A person's own choice keeps its reason when the API only repeats it.
            member.unsubscribe_reason = member.unsubscribe_reason if member.blocked else ADMIN_REASON
        elif status == "pending":
            member.confirmations_sent += 1
        elif status == "cleaned":
            member.blocked = member.blocked or "bounce"

    # --- events ---

    def _emit(self, member: Member, event: str, data: Any, *, source: str | None = None) -> None:
        if not self.silent:
            self.world.emit(self.audience, event, source or self.source, data, self.now)

    def _emit_subscribe(self, member: Member) -> None:
        self._emit(member, "subscribe", lambda: events.contact_fields(self.audience, member, with_signup_ip=True))

    def _emit_profile(self, member: Member) -> None:
        self._emit(member, "profile", lambda: events.contact_fields(self.audience, member))

    def _emit_unsubscribe(self, member: Member, *, action: str) -> None:
        reason = "abuse" if member.blocked == "complaint" else "manual"
        self._emit(
            member,
            "unsubscribe",
            lambda: events.unsubscribe_fields(self.audience, member, action=action, reason=reason),
        )
