"""Segments as staff handle them: what a builder needs, create, edit, delete, preview.

What is defined here is brought to Mailchimp by runs (segment_sync.py). Here Mailchimp is only asked whether a name is
free there, and told of a deletion; whatever it does not answer in time, a run mends.
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from chalicelib.domain.segments.segment import MOST_SEGMENTS, Segment, twin_of
from chalicelib.domain.segments.validation import Definition, name_key
from chalicelib.errors import RefuseRequest, ServiceError, conflict, not_found
from chalicelib.store.segments import ID_PREFIX, NameTaken
from chalicelib.sync.segments.builder import (
    CHOICE_FIELDS,
    choices_of,
    field_descriptions,
    segment_templates,
    texts_of,
)
from chalicelib.sync.segments.mailchimp_tags import foreign_tag, ids_of_ours
from chalicelib.sync.segments.views import view_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from chalicelib.contract.segments import SegmentFields, SegmentPreview, SegmentTemplate, SegmentView
    from chalicelib.domain.departments import Department
    from chalicelib.domain.segments.rules import Rule
    from chalicelib.store.stores import Stores
    from chalicelib.sync.account.registration import Registration
    from chalicelib.sync.ports import Clock, MailchimpFor, ReaderFor
    from chalicelib.sync.runs.runs import Runs
    from chalicelib.sync.segments.previews import Previews

# Somebody waits for the answer; a run does what Mailchimp does not do in this time.
_SECONDS_FOR_MAILCHIMP = 10.0
_SECONDS_FOR_CHOICES = 4.0


class Segments:
    """`entropy` gives a few hexadecimal digits for new ids."""

    def __init__(
        self,
        *,
        stores: Stores,
        registration: Registration,
        reader_for: ReaderFor,
        previews: Previews,
        runs: Runs,
        mailchimp_for: MailchimpFor,
        clock: Clock,
        entropy: Callable[[], str],
    ) -> None:
        self._segments, self._departments = stores.segments, stores.departments
        self._registration = registration
        self._reader_for = reader_for
        self._previews = previews
        self._runs = runs
        self._mailchimp_for = mailchimp_for
        self._clock = clock
        self._entropy = entropy

    # ------------------------------------------------------------------------------------------------------ builder

    def fields(self, department_id: str | None) -> SegmentFields:
        """What a segment builder needs; with a department, the values its customers have are offered."""
        if department_id is None:
            return field_descriptions()
        seen = self._texts(department_id, CHOICE_FIELDS)
        return field_descriptions({field: choices_of(field, texts) for field, texts in seen.items()})

    def templates(self, department_id: str | None) -> Sequence[SegmentTemplate]:
        """Ready-made segments; with a department, one for each state its customers live in."""
        if department_id is None:
            return segment_templates()
        seen = self._texts(department_id, ("state",))
        return segment_templates(state for state, _ in seen["state"].most_common())

    def _texts(self, department_id: str, fields: Sequence[str]) -> Mapping[str, Counter[str]]:
        department = self._departments.get(department_id)
        if department is None:
            return {field: Counter() for field in fields}
        return texts_of(self._reader_for(department), fields, seconds=_SECONDS_FOR_CHOICES)

    def preview(
        self, department_id: str, rules: tuple[Rule, ...], *, segment_id: str | None, per_rule: bool
    ) -> SegmentPreview:
        """Who would match the rules. With `segment_id`, also who would enter and leave that segment.

        Raises RefuseRequest (404) for an unknown segment or department.
        """
        present = self._existing(department_id, segment_id).rules if segment_id is not None else None
        department = self._registration.department(department_id)
        return self._previews.preview(department, rules, instead_of=present, per_rule=per_rule)

    # ------------------------------------------------------------------------------------------------------- asking

    def list(self, department_id: str) -> Sequence[SegmentView]:
        """All segments of the department, newest first."""
        department = self._departments.get(department_id)
        is_syncing = self._is_syncing(department)
        return [_view(segment, department, is_syncing) for segment in reversed(self._alive(department_id))]

    def get(self, department_id: str, segment_id: str) -> SegmentView:
        """Raises RefuseRequest (404) for an unknown segment."""
        return self._view(self._existing(department_id, segment_id))

    def defined(self, department_id: str) -> Sequence[Segment]:
        """All segments with their names and rules, for whoever explains a customer."""
        return self._alive(department_id)

    # ------------------------------------------------------------------------------------------------------- acting

    def create(self, department_id: str, wanted: Definition, *, by: str) -> SegmentView:
        """Create a segment; its members are tagged in Mailchimp by a run that starts at once.

        Raises RefuseRequest (409) for a name that another segment, or a tag in Mailchimp that is not ours, has already.
        """
        department = self._registration.department(department_id)
        self._refuse_too_many(department_id)
        self._refuse_name_in_mailchimp(department, wanted.name)
        now = self._clock()
        segment = Segment(
            department_id,
            f"{ID_PREFIX}{int(now.timestamp() * 1000):011x}{self._entropy()}",
            wanted.name,
            wanted.rules,
            created_at=now,
            created_by=by,
            customer_count=self._previews.count(department, wanted.rules),
            as_of=now,
        )
        with _name_free(wanted.name):
            self._segments.add(segment)
        self._runs.start_segments(department_id, by=by)
        return self._view(segment)

    def update(
        self, department_id: str, segment_id: str, wanted: Definition, *, version: int | None, by: str
    ) -> SegmentView:
        """Give a segment another name or other rules. With `version`, only if that is still the latest one.

        Raises RefuseRequest as `create` does, 404 for an unknown segment, and 409 with the `segment` as it is when
        somebody else has edited it.
        """
        known = self._existing(department_id, segment_id)
        self._refuse_other_version(known, version)
        if known.defined(wanted.name, wanted.rules) == known:
            return self._view(known)
        department = self._registration.department(department_id)
        if name_key(wanted.name) != name_key(known.name):
            self._refuse_name_in_mailchimp(department, wanted.name)
        count, now = self._previews.count(department, wanted.rules), self._clock()

        def edited(stored: Segment) -> Segment:
            self._refuse_other_version(stored, version)
            return replace(stored.defined(wanted.name, wanted.rules), customer_count=count, as_of=now)

        with _name_free(wanted.name):
            segment = self._change(department_id, segment_id, edited)
        self._runs.start_segments(department_id, by=by)
        return self._view(segment)

    def delete(self, department_id: str, segment_id: str, *, by: str) -> None:
        """Delete a segment, and its tag in Mailchimp at once if that answers, else by the next run.

        Raises RefuseRequest (404) for an unknown segment.
        """
        self._existing(department_id, segment_id)
        segment = self._change(department_id, segment_id, lambda stored: replace(stored, deleting=True))
        department = self._departments.get(department_id)
        if _is_unknown_to_mailchimp(segment) and not (department and department.active_run_id):
            self._segments.remove(department_id, segment_id)
            return
        self._delete_tag(department, segment)
        self._runs.start_segments(department_id, by=by)

    # ------------------------------------------------------------------------------------------------------- inside

    def _delete_tag(self, department: Department | None, segment: Segment) -> None:
        if department is None or department.audience is None or not department.is_connected or segment.tag is None:
            return
        if segment.tag.audience_id != department.audience.id:
            return
        try:
            mailchimp = self._mailchimp_for(department, _time_from_now())
            mailchimp.delete_segment(department.audience.id, segment.tag.id)
        except ServiceError:
            return  # a run tries again, and says so if it cannot either

    def _refuse_name_in_mailchimp(self, department: Department, name: str) -> None:
        """Refuse it when the audience has a tag of that name that is not ours. Mailchimp away is no reason."""
        if department.audience is None or not department.is_connected:
            return
        try:
            there = self._mailchimp_for(department, _time_from_now()).static_segments(department.audience.id)
        except ServiceError:
            return
        segments = self._segments.all(department.id)
        awaited = {name_key(s.name) for s in segments if s.asked_in == department.audience.id and s.tag is None}
        twin = twin_of(name, ((t.id, t.name) for t in there), ids_of_ours(segments, department.audience.id))
        if twin is not None and name_key(name) not in awaited:
            raise foreign_tag(name)

    def _refuse_too_many(self, department_id: str) -> None:
        if len(self._alive(department_id)) >= MOST_SEGMENTS:
            raise conflict(
                f"A department has at most {MOST_SEGMENTS} segments, since every sync works out who belongs to each of "
                "them. Delete one that is not needed any more.",
                code="too-many-segments",
            )

    def _refuse_other_version(self, segment: Segment, version: int | None) -> None:
        if segment.deleting:
            raise _unknown()
        if version is not None and version != segment.version:
            raise conflict(
                "Another user has changed this segment. Open it again and repeat your change.",
                code="changed-meanwhile",
                field="version",
                extra={"segment": self._view(segment)},
            )

    def _alive(self, department_id: str) -> Sequence[Segment]:
        return [segment for segment in self._segments.all(department_id) if not segment.deleting]

    def _existing(self, department_id: str, segment_id: str) -> Segment:
        segment = self._segments.get(department_id, segment_id)
        if segment is None or segment.deleting:
            raise _unknown()
        return segment

    def _change(self, department_id: str, segment_id: str, change: Callable[[Segment], Segment]) -> Segment:
        try:
            return self._segments.change(department_id, segment_id, change)
        except KeyError:
            raise _unknown() from None

    def _view(self, segment: Segment) -> SegmentView:
        department = self._departments.get(segment.department_id)
        return _view(segment, department, self._is_syncing(department))

    def _is_syncing(self, department: Department | None) -> bool:
        """Whether a run is just bringing segments to Mailchimp.

        One of their own is, from its start on. While it waits for a Mailchimp that has not answered it yet, what kept
        a segment from being synced before stays to be seen.
        """
        run = self._runs.active(department) if department is not None else None
        if run is None or run.phase != "segments":
            return False
        return run.type != "segments" or not run.code or bool(run.counts)


def _view(segment: Segment, department: Department | None, is_syncing: bool) -> SegmentView:
    audience = department.audience if department is not None else None
    return view_of(segment, audience_id=audience.id if audience else "", is_syncing=is_syncing)


def _is_unknown_to_mailchimp(segment: Segment) -> bool:
    """It was never sent to Mailchimp, and no customer is marked."""
    return segment.tag is None and not segment.asked_in and not segment.stale_marks


def _time_from_now() -> Callable[[], float]:
    end = time.monotonic() + _SECONDS_FOR_MAILCHIMP
    return lambda: end - time.monotonic()


@contextmanager
def _name_free(name: str) -> Iterator[None]:
    try:
        yield
    except NameTaken:
        raise conflict(
            f'This department already has a segment named "{name}". Choose another name.',
            code="name-taken",
            field="name",
        ) from None


def _unknown() -> RefuseRequest:
    return not_found("There is no such segment in this department.")
