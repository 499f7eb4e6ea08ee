"""Records of webhooks on a real table, sealed by a real key."""

from __future__ import annotations

import uuid

import pytest
from botocore.exceptions import ClientError

from chalicelib.store.aws import dynamodb, kms
from chalicelib.store.hook_records import HookRecordStore
from tests.sync.conftest import aws as aws  # first: it names the stage
from tests.sync.conftest import lasting_aws as lasting_aws

TABLE, KEY = "pracbill-mailchimp-test-hooks", "alias/pracbill-mailchimp-test-webhook"
SIGNED = {"token_hash": "0a" * 32, "account_id": "account-1", "signing_secret": "0f" * 32}


@pytest.fixture
def department_id() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def store(aws: str) -> HookRecordStore:
    return HookRecordStore(dynamodb(), kms, table=TABLE, key=KEY)


def stored_item(department_id: str) -> dict[str, object]:
    answer = dynamodb().get_item(TableName=TABLE, Key={"department_id": {"S": department_id}})
    return dict(answer["Item"])


def test_a_record_is_opened_as_it_was_stored_and_read_without_its_secret(
    store: HookRecordStore, department_id: str
) -> None:
    store.put(department_id, SIGNED)
    assert store.open(department_id) == SIGNED
    assert store.read(department_id) == {name: text for name, text in SIGNED.items() if name != "signing_secret"}
    assert SIGNED["signing_secret"] not in str(stored_item(department_id))


def test_one_that_does_not_sign_needs_no_key(aws: str, department_id: str) -> None:
    store = HookRecordStore(dynamodb(), lambda: pytest.fail("KMS was asked"), table=TABLE, key=KEY)
    store.put(department_id, SIGNED | {"signing_secret": ""})
    assert (
        store.open(department_id) == store.read(department_id) == {"token_hash": "0a" * 32, "account_id": "account-1"}
    )


def test_a_removed_record_is_gone_at_once_and_a_new_one_is_seen_at_once(
    store: HookRecordStore, department_id: str
) -> None:
    store.put(department_id, SIGNED)
    assert store.open(department_id) == SIGNED
    store.remove(department_id)
    assert store.open(department_id) == {}
    store.put(department_id, SIGNED | {"signing_secret": "1e" * 32})
    assert store.open(department_id)["signing_secret"] == "1e" * 32


def test_a_record_put_in_another_departments_place_cannot_be_opened(store: HookRecordStore, department_id: str) -> None:
    store.put(department_id, SIGNED)
    item = stored_item(department_id) | {"department_id": {"S": "another"}}
    dynamodb().put_item(TableName=TABLE, Item=item)  # type: ignore[arg-type]
    with pytest.raises(ClientError):
        store.open("another")


def test_what_was_opened_once_needs_no_key_again(store: HookRecordStore, department_id: str) -> None:
    store.put(department_id, SIGNED)
    openers = iter([kms()])
    other = HookRecordStore(dynamodb(), lambda: next(openers), table=TABLE, key=KEY)
    assert other.open(department_id) == other.open(department_id) == SIGNED
