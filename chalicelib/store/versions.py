"""Documents that several hands change: each change is written against the version it was read at, or made anew."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from pynamodb.exceptions import PutError

from chalicelib.store.documents import from_document, to_document

if TYPE_CHECKING:
    from collections.abc import Callable

Value = TypeVar("Value")
Written = TypeVar("Written")

_MAX_ATTEMPTS = 20
_MOST_KEPT = 16


class TooMuchContention(Exception):
    """A document kept changing under our hands; the caller's step comes again by the queue."""


class Versioned(Protocol):
    """An item of PynamoDB with a document and a VersionAttribute, by which `save` is conditional."""

    document: str

    def save(self) -> Any: ...


Item = TypeVar("Item", bound=Versioned)


class LastRead(Generic[Item]):
    """The items that were read or written last, each handed out once, since whoever takes one changes it.

    A step reads its run and its department first and changes them some moments later. That what was read is still so
    is found out by the condition of the write.
    """

    def __init__(self) -> None:
        self._items: OrderedDict[str, Item] = OrderedDict()
        self._lock = Lock()  # the steps of a worker have threads

    def keep(self, key: str, item: Item | None) -> None:
        with self._lock:
            self._items.pop(key, None)
            if item is not None:
                self._items[key] = item
            if len(self._items) > _MOST_KEPT:
                self._items.popitem(last=False)

    def take(self, key: str) -> Item | None:
        with self._lock:
            return self._items.pop(key, None)


def is_saved(item: Versioned) -> bool:
    """Write the item; False when somebody wrote it since it was read (or made: for a new one, when there is one)."""
    try:
        item.save()
    except PutError as error:
        if error.cause_response_code != "ConditionalCheckFailedException":
            raise
        return False
    return True


def until_written(attempt: Callable[[], Written | None], name: str, *, attempts: int = _MAX_ATTEMPTS) -> Written:
    """The answer of the first attempt that was in time: read, change, write against the version that was read.

    An attempt answers None when somebody was faster. Raises TooMuchContention, with the `name` of what is written.
    """
    for _ in range(attempts):
        if (written := attempt()) is not None:
            return written
    raise TooMuchContention(name)


def change_document(
    kind: type[Value],
    read: Callable[[], Item],
    change: Callable[[Value], Value],
    *,
    write: Callable[[Item, Value, Value], bool] = lambda item, before, after: is_saved(item),
    at_hand: Item | None = None,
    keep: Callable[[Item], None] = lambda item: None,
    attempts: int = _MAX_ATTEMPTS,
) -> Value:
    """Apply `change` to the value in the item's document; again from a fresh read when somebody was faster.

    `write` gets the item with the new document, the value before and after, and answers whether it was in time.
    `at_hand` is the item as read before: it is tried first, and counts if the write shows that it is still so.
    `keep` gets the item as it is stored now. Whatever `read` and `change` raise is passed on and nothing is stored.
    Raises TooMuchContention.
    """

    def attempt(item: Item, change: Callable[[Value], Value | None]) -> Value | None:
        before = from_document(kind, item.document)
        after = change(before)
        if after is None:
            return None
        if after != before:
            item.document = to_document(after)
            if not write(item, before, after):
                return None
        keep(item)
        return after

    if at_hand is not None and (done := attempt(at_hand, _if_it_changes(change))) is not None:
        return done
    return until_written(lambda: attempt(read(), change), kind.__name__, attempts=attempts)


def _if_it_changes(change: Callable[[Value], Value]) -> Callable[[Value], Value | None]:
    """None where nothing is to be written, or where `change` refuses: only what is stored now is a reason for that."""

    def changed(before: Value) -> Value | None:
        with suppress(Exception):
            after = change(before)
            return after if after != before else None
        return None

    return changed
