"""Requests that must be carried out once, however often they come: one small item each, which expires by itself.

They lie in the table of webhook events, under a key of their own: `{department_id}#requests`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pynamodb.exceptions import PutError

from chalicelib.store.documents import from_document, to_document
from chalicelib.store.models import RequestItem

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class KeptRequest:
    """A request that came with a key: what it asked for, as a digest, and what became of it."""

    digest: str
    begun_at: datetime
    known: tuple[str, ...] | None = None  # what was there before, noted right before something is created
    made: str = ""  # the id of what was created
    is_done: bool = False


class RequestStore:
    def __init__(self, *, keep: timedelta) -> None:
        self._keep = keep

    def begin(self, department_id: str, key: str, request: KeptRequest) -> KeptRequest | None:
        """Keep a request that comes for the first time: None. Otherwise the one that was kept under the key."""
        if self._put(department_id, key, request, is_first=True):
            return None
        try:
            item = RequestItem.get(_requests(department_id), key, consistent_read=True)
        except RequestItem.DoesNotExist:  # forgotten at this very moment
            return self.begin(department_id, key, request)
        kept = from_document(KeptRequest, item.document)
        if request.begun_at - kept.begun_at < self._keep:
            return kept
        self._put(department_id, key, request)  # what has expired is taken away with some delay
        return None

    def about_to_create(self, department_id: str, key: str, request: KeptRequest, known: Sequence[str]) -> KeptRequest:
        return self._changed(department_id, key, replace(request, known=tuple(known)))

    def made(self, department_id: str, key: str, request: KeptRequest, made: str) -> KeptRequest:
        return self._changed(department_id, key, replace(request, made=made))

    def done(self, department_id: str, key: str, request: KeptRequest) -> None:
        self._changed(department_id, key, replace(request, is_done=True))

    def forget(self, department_id: str, key: str) -> None:
        """Nothing came of it, so it may come again under the same key."""
        RequestItem(_requests(department_id), key).delete()

    def _changed(self, department_id: str, key: str, request: KeptRequest) -> KeptRequest:
        self._put(department_id, key, request)
        return request

    def _put(self, department_id: str, key: str, request: KeptRequest, *, is_first: bool = False) -> bool:
        item = RequestItem(_requests(department_id), key, document=to_document(request))
        item.expires_at = request.begun_at + self._keep
        try:
            item.save(RequestItem.sk.does_not_exist() if is_first else None)
        except PutError as error:
            if error.cause_response_code != "ConditionalCheckFailedException":
                raise
            return False
        return True


def _requests(department_id: str) -> str:
    return f"{department_id}#requests"
