"""Writes about a department's addresses, collected and carried out together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.domain.moments import moment_text
from chalicelib.store.address_status import put_address_statuses, put_end_of_plan
from chalicelib.store.batches import Item, WriteBatch, delete, put
from chalicelib.store.documents import to_document
from chalicelib.store.member_keys import address_item, list_item
from chalicelib.store.tag_rechecks import NO_ADDRESS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from chalicelib.domain.address_status import AddressStatus
    from chalicelib.domain.consent.members import DeliveryState
    from chalicelib.domain.planning import Arrival


class MemberBatch:
    """Nothing is written before `flush`. Of two writes of one item the later one counts.

    What must be written before something else goes into a batch of its own, or is flushed before.
    """

    def __init__(self, writes: WriteBatch, department_id: str) -> None:
        self._writes = writes
        self._department_id = department_id

    def __len__(self) -> int:
        return len(self._writes)

    def flush(self) -> None:
        """Carry out what was collected. Raises RetryLater when the table stays throttled."""
        self._writes.flush()

    # What plans and segments must look at

    def mark(self, address_key: str, why: str) -> None:
        """A plan must decide the address; `why` names one of the change markers it can have."""
        self._put(list_item(self._department_id, "markers", f"{address_key}#{why}"))

    def unmark(self, marker_key: str) -> None:
        self._delete(list_item(self._department_id, "markers", marker_key))

    def recheck(
        self,
        address_key: str,
        *,
        left_by: str = "",
        segments: Sequence[str] = (),
        left_out: Sequence[str] = (),
        is_gone: bool = False,
    ) -> None:
        """The next sync of segments must look at the address; at the customer `left_by`, where there is no address.

        `left_by` is the customer who left the address, with the `segments` whose tag the member carried through them;
        `left_out` as it was stored with the customer if it `is_gone`.
        """
        item = list_item(self._department_id, "tags", f"{address_key or NO_ADDRESS}#{left_by}")
        if segments:
            item["segments"] = {"SS": sorted(set(segments))}
        if left_out:
            item["left_out"] = {"SS": sorted(left_out)}
        if is_gone:
            item["is_gone"] = {"BOOL": True}
        self._put(item)

    # Customers' documents

    def put_document(self, address_key: str, customer_key: str, document: str, arrival: Arrival | None = None) -> None:
        item = self._item(address_key, f"#c#{customer_key}") | {"document": {"S": document}}
        if arrival is not None:
            item["moved_from"] = {"S": arrival.from_key}
            item["moved_at"] = {"S": moment_text(arrival.at) if arrival.at is not None else ""}
        self._put(item)

    def remove_document(self, address_key: str, customer_key: str) -> None:
        self._delete(self._item(address_key, f"#c#{customer_key}"))

    def put_move(self, old_address_key: str, new_address_key: str) -> None:
        """The customer of the old address has the new one now."""
        self._put(self._item(old_address_key, "#m") | {"moved_to": {"S": new_address_key}})

    # The delivery state

    def put_delivery(self, address_key: str, address: str, delivery: DeliveryState) -> None:
        item = self._item(address_key, "#p")
        self._put(item | {"address": {"S": address}, "document": {"S": to_document(delivery)}})

    def remove_delivery(self, address_key: str) -> None:
        self._delete(self._item(address_key, "#p"))

    # The address status index

    def put_statuses(
        self,
        audience_id: str,
        plan: str,
        now: Mapping[str, AddressStatus],
        planned: Mapping[str, AddressStatus] | None,
    ) -> None:
        """A whole part of the walk: where its addresses stand and, of a plan to be carried out, will stand."""
        for request in put_address_statuses(self._department_id, audience_id, plan, now, planned):
            self._writes.add(request)

    def put_end_of_plan(self, audience_id: str, plan: str, at: datetime) -> None:
        """Every address was planned."""
        self._writes.add(put_end_of_plan(self._department_id, audience_id, plan, at))

    def _item(self, address_key: str, suffix: str) -> Item:
        return address_item(self._department_id, address_key, suffix)

    def _put(self, item: Item) -> None:
        self._writes.add(put(item))

    def _delete(self, key: Item) -> None:
        self._writes.add(delete(key))
