"""Records of our webhooks: whose token is let in, and what Mailchimp signs with.

They have a table of their own, which only the webhook's function and those that register webhooks may use. What
Mailchimp signs with is encrypted with a key of KMS, bound to the department: whoever registers may only encrypt, the
webhook may only decrypt.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kms import KMSClient

SIGNING_SECRET = "signing_secret"  # noqa: S105 - the name of a field
# Decrypted once a process: what a ciphertext stands for never changes.
_MOST_OPENED = 500


class HookRecordStore:
    """`kms` opens the client of KMS, which most calls do not need; `key` is the alias of the key."""

    def __init__(self, dynamodb: DynamoDBClient, kms: Callable[[], KMSClient], *, table: str, key: str) -> None:
        self._dynamodb = dynamodb
        self._kms = kms
        self._table = table
        self._key = key
        self._opened: dict[tuple[str, bytes], str] = {}

    def read(self, department_id: str) -> dict[str, str]:
        """The record as it is stored now, without what Mailchimp signs with; empty when there is none."""
        fields, _ = self._stored(department_id)
        return fields

    def open(self, department_id: str) -> dict[str, str]:
        """The record as it is stored now, with what Mailchimp signs with; empty when there is none."""
        fields, sealed = self._stored(department_id)
        if sealed:
            fields[SIGNING_SECRET] = self._unseal(department_id, sealed)
        return fields

    def put(self, department_id: str, fields: Mapping[str, str]) -> None:
        """Store a record, new or in place of the old one."""
        open_fields = {name: text for name, text in fields.items() if name != SIGNING_SECRET}
        sealed = self._seal(department_id, fields.get(SIGNING_SECRET, ""))
        self._dynamodb.put_item(
            TableName=self._table,
            Item={
                "department_id": {"S": department_id},
                "record": {"S": json.dumps(open_fields)},
                **({"sealed": {"B": sealed}} if sealed else {}),
            },
        )

    def remove(self, department_id: str) -> None:
        """Forget a record: from now on its token opens nothing."""
        self._dynamodb.delete_item(TableName=self._table, Key={"department_id": {"S": department_id}})

    def _stored(self, department_id: str) -> tuple[dict[str, str], bytes]:
        # Consistent: Mailchimp probes a hook right after its record was written, and a retired one must not live on.
        answer = self._dynamodb.get_item(
            TableName=self._table, Key={"department_id": {"S": department_id}}, ConsistentRead=True
        )
        item = answer.get("Item")
        if item is None:
            return {}, b""
        return dict(json.loads(item["record"]["S"])), bytes(item.get("sealed", {}).get("B", b""))

    def _seal(self, department_id: str, text: str) -> bytes:
        if not text:
            return b""
        context = _context(department_id)
        return self._kms().encrypt(KeyId=self._key, Plaintext=text.encode(), EncryptionContext=context)[
            "CiphertextBlob"
        ]

    def _unseal(self, department_id: str, sealed: bytes) -> str:
        known = self._opened.get((department_id, sealed))
        if known is None:
            context = _context(department_id)
            answer = self._kms().decrypt(KeyId=self._key, CiphertextBlob=sealed, EncryptionContext=context)
            known = answer["Plaintext"].decode()
            if len(self._opened) >= _MOST_OPENED:
                self._opened.clear()
            self._opened[department_id, sealed] = known
        return known


def _context(department_id: str) -> dict[str, str]:
    """What must be said again to decrypt, so that no record can stand in for another department's."""
    return {"department_id": department_id}
