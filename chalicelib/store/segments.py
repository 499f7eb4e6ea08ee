"""Segments' definitions and their state. A name belongs to one segment of a department at a time.

Beside each segment lies a claim of its name, written together with it: two people who choose one name at the same
moment cannot both get it. A segment that is being deleted has given its name back.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from pynamodb.exceptions import TransactWriteError
from pynamodb.transactions import TransactWrite

from chalicelib.domain.segments.segment import Segment
from chalicelib.domain.segments.validation import name_key
from chalicelib.store import models
from chalicelib.store.documents import from_document, to_document
from chalicelib.store.models import SegmentItem
from chalicelib.store.versions import change_document, is_saved

if TYPE_CHECKING:
    from collections.abc import Callable

# Segments' ids begin with it, claims of names with something else.
ID_PREFIX = "s"


class NameTaken(Exception):
    """Another segment of the department has this name."""


class SegmentStore:
    def add(self, segment: Segment) -> None:
        """Store a new segment. Raises NameTaken."""
        with_claim = _claim(segment.department_id, segment.name, segment.id)
        try:
            with TransactWrite(connection=models.transactions()) as transaction:
                transaction.save(SegmentItem(segment.department_id, segment.id, document=to_document(segment)))
                transaction.save(with_claim)
        except TransactWriteError:
            if self._owner(segment.department_id, segment.name) is None:
                raise
            raise NameTaken(segment.id) from None

    def get(self, department_id: str, segment_id: str) -> Segment | None:
        """The segment, one that is being deleted too."""
        item = self._item(department_id, segment_id) if segment_id.startswith(ID_PREFIX) else None
        return from_document(Segment, item.document) if item else None

    def all(self, department_id: str) -> list[Segment]:
        """Every segment, oldest first, those that are being deleted among them."""
        items = SegmentItem.query(department_id, SegmentItem.segment_id.startswith(ID_PREFIX), consistent_read=True)
        return [from_document(Segment, item.document) for item in items]

    def change(self, department_id: str, segment_id: str, change: Callable[[Segment], Segment]) -> Segment:
        """Apply `change` to the stored segment; run again from a fresh read when somebody was faster.

        Whatever `change` raises is passed on and nothing is stored. Raises KeyError for an unknown segment, NameTaken
        when another one has the new name.
        """
        return change_document(Segment, lambda: self._existing(department_id, segment_id), change, write=self._replace)

    def remove(self, department_id: str, segment_id: str) -> None:
        """Forget a segment whose name was given back before. One that is gone already is fine."""
        item = self._item(department_id, segment_id)
        if item is not None:
            item.delete()

    def _replace(self, item: SegmentItem, before: Segment, after: Segment) -> bool:
        """Write the item and move its claim; False when somebody changed the segment meanwhile."""
        old, new = _claimed(before), _claimed(after)
        if old == new:
            return is_saved(item)
        try:
            with TransactWrite(connection=models.transactions()) as transaction:
                transaction.save(item)
                if new:
                    transaction.save(_claim(after.department_id, after.name, after.id))
                if old:
                    transaction.delete(
                        SegmentItem(before.department_id, _claim_id(before.name)), add_version_condition=False
                    )
        except TransactWriteError as error:
            if new and self._owner(after.department_id, after.name) not in (None, after.id):
                raise NameTaken(after.id) from None
            if error.cause_response_code not in ("TransactionCanceledException", "TransactionInProgressException"):
                raise
            return False
        return True

    def _owner(self, department_id: str, name: str) -> str | None:
        item = self._item(department_id, _claim_id(name))
        return item.document if item else None

    def _item(self, department_id: str, segment_id: str) -> SegmentItem | None:
        try:
            return SegmentItem.get(department_id, segment_id, consistent_read=True)
        except SegmentItem.DoesNotExist:
            return None

    def _existing(self, department_id: str, segment_id: str) -> SegmentItem:
        item = self._item(department_id, segment_id)
        if item is None:
            raise KeyError(segment_id)
        return item


def _claimed(segment: Segment) -> str:
    """The name that the segment holds, in the form in which names are compared; none while it is being deleted."""
    return "" if segment.deleting else name_key(segment.name)


def _claim(department_id: str, name: str, segment_id: str) -> SegmentItem:
    return SegmentItem(department_id, _claim_id(name), document=segment_id)


def _claim_id(name: str) -> str:
    """Of a length that a key may have, however long the name is in bytes."""
    return f"name#{hashlib.blake2b(name_key(name).encode(), digest_size=16).hexdigest()}"
