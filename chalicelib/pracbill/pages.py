"""Checks of PracBill's lists: a page that lies about its order would make customers look removed.

Ids of digits come by number, others by bytes. Where both kinds meet in one list, PracBill may put digits first or sort
everything by bytes between the kinds; one list must keep to one of the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib.domain.customers import customer_key
from chalicelib.domain.moments import parse_moment
from chalicelib.pracbill.errors import ContractViolation, Endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping


class IdOrder:
    """Follows the ids of one list, page by page."""

    def __init__(self, after: str | None = None) -> None:
        self._last_id = ""
        self._last_key = ""
        self._last_of_kind = {"0": "", "1": ""}  # by the first character of customer_key: digits, others
        self._digits_first_fits = True
        self._bytes_fit = True
        if after is not None:
            self.follows(after)

    def follows(self, customer_id: str) -> bool:
        """Whether this id may come next; remembers it as the last one."""
        key = customer_key(customer_id)
        kind = key[0]
        in_order = key > self._last_of_kind[kind] and (
            key[0] == self._last_key[:1] or self._may_switch(kind, customer_id)
        )
        self._last_of_kind[kind] = key
        self._last_key, self._last_id = key, customer_id
        return in_order

    def _may_switch(self, kind: str, customer_id: str) -> bool:
        """Whether an id of the other kind may come after the last one, by at least one of the two orders so far."""
        if not self._last_key:
            return True
        self._digits_first_fits = self._digits_first_fits and kind == "1"
        self._bytes_fit = self._bytes_fit and _bytes(customer_id) > _bytes(self._last_id)
        return self._digits_first_fits or self._bytes_fit


class ChangeOrder:
    """Follows the list of changes, which ascends by time and within one time by id.

    Nothing is concluded from the order of ids here, so they may come by number or by bytes; only not at random.
    """

    def __init__(self) -> None:
        self._text = ""
        self._moment = parse_moment("0001-01-01T00:00:00Z")
        self._ids, self._last_id = IdOrder(), ""
        self._numbers_fit = self._bytes_fit = True

    def follows(self, updated_at: str, customer_id: str) -> bool:
        """Whether this change may come next. A time that cannot be read is not judged."""
        if updated_at == self._text:
            self._numbers_fit = self._ids.follows(customer_id) and self._numbers_fit
            self._bytes_fit = self._bytes_fit and _bytes(customer_id) > _bytes(self._last_id)
            self._last_id = customer_id
            return self._numbers_fit or self._bytes_fit
        moment = parse_moment(updated_at)
        in_order = moment is None or self._moment is None or moment >= self._moment
        self._text, self._moment = updated_at, moment or self._moment
        self._ids, self._last_id = IdOrder(customer_id), customer_id
        self._numbers_fit = self._bytes_fit = True
        return in_order


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def object_of(document: Any, endpoint: Endpoint) -> Mapping[str, Any]:
    """Raises ContractViolation for anything but a JSON object."""
    if not isinstance(document, dict):
        raise ContractViolation("answered with something that is not a JSON object", endpoint)
    return document


def page_parts(document: Any, endpoint: Endpoint) -> tuple[Mapping[str, Any], list[Any]]:
    """The page and its list of customers. Raises ContractViolation."""
    page = object_of(document, endpoint)
    customers = page.get("customers")
    if not isinstance(customers, list):
        raise ContractViolation("sent a page without the list 'customers'", endpoint)
    return page, customers


def next_mark(page: Mapping[str, Any], name: str, *, count: int, limit: int, endpoint: Endpoint) -> str | None:
    """The mark of the next page under `name`, None on the last one. Raises ContractViolation.

    A full page that leaves the mark out may have been cut off: taking it for the last would lose everybody after it.
    """
    mark = page.get(name)
    if mark is None:
        if name not in page and count >= limit:
            raise ContractViolation(f"sent a full page without '{name}'", endpoint)
        return None
    text = str(mark) if isinstance(mark, int) and not isinstance(mark, bool) else mark
    if not isinstance(text, str) or not text:
        raise ContractViolation(f"sent a '{name}' that is not a text", endpoint)
    return text
