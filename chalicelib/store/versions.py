"""Documents that several hands change: each change is written against the version it was read at, or made anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from pynamodb.exceptions import PutError

from chalicelib.store.documents import from_document, to_document

Value = TypeVar("Value")
Written = TypeVar("Written")

_MAX_ATTEMPTS = 20


class TooMuchContention(Exception):
    """A document kept changing under our hands; the caller's step comes again by the queue."""


class Versioned(Protocol):
    """An item of PynamoDB with a document and a VersionAttribute, by which `save` is conditional."""

    document: str

    def save(self) -> Any: ...


Item = TypeVar("Item", bound=Versioned)


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
    attempts: int = _MAX_ATTEMPTS,
) -> Value:
    """Apply `change` to the value in the item's document; again from a fresh read when somebody was faster.

    `write` gets the item with the new document, the value before and after, and answers whether it was in time.
    Whatever `read` and `change` raise is passed on and nothing is stored. Raises TooMuchContention.
    """

    def attempt() -> Value | None:
        item = read()
        before = from_document(kind, item.document)
        after = change(before)
        if after == before:
            return before
        item.document = to_document(after)
        return after if write(item, before, after) else None

    return until_written(attempt, kind.__name__, attempts=attempts)
