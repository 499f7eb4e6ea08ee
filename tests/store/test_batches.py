"""Reading and writing many items: no call too large, nothing left behind, and no end of trying."""

from __future__ import annotations

import random
import time
from typing import Any, cast

import pytest

from chalicelib.errors import RetryLater
from chalicelib.store.batches import WriteBatch, delete, get_all, put, query, query_pages, write_all

TABLE = "table"


class Database:
    """Holds items by one key. It leaves undone all but `takes` of each call, `busy_for` calls long."""

    def __init__(self, *, takes: int = 10_000, busy_for: int = 0) -> None:
        self.items: dict[str, Any] = {}
        self.sizes: list[int] = []
        self.wanted: list[dict[str, Any]] = []
        self._takes, self._busy_for = takes, busy_for

    def _share(self, asked: list[Any]) -> tuple[list[Any], list[Any]]:
        self.sizes.append(len(asked))
        takes = self._takes if len(self.sizes) <= self._busy_for else len(asked)
        return asked[:takes], asked[takes:]

    def batch_write_item(self, *, RequestItems: dict[str, list[Any]]) -> dict[str, Any]:
        ((table, requests),) = RequestItems.items()
        assert table == TABLE
        done, left = self._share(requests)
        for one in done:
            if "PutRequest" in one:
                item = one["PutRequest"]["Item"]
                self.items[item["k"]["S"]] = item
            else:
                self.items.pop(one["DeleteRequest"]["Key"]["k"]["S"], None)
        return {"UnprocessedItems": {table: left} if left else {}}

    def batch_get_item(self, *, RequestItems: dict[str, Any]) -> dict[str, Any]:
        ((table, wanted),) = RequestItems.items()
        assert table == TABLE
        self.wanted.append({name: value for name, value in wanted.items() if name != "Keys"})
        done, left = self._share(wanted["Keys"])
        found = [self.items[key["k"]["S"]] for key in done if key["k"]["S"] in self.items]
        return {
            "Responses": {table: found} if found else {},
            "UnprocessedKeys": {table: {**wanted, "Keys": left}} if left else {},
        }


def key(number: int, sort: str = "s") -> dict[str, Any]:
    return {"k": {"S": str(number)}, "r": {"S": sort}}


def item(number: int, text: str = "") -> dict[str, Any]:
    return {**key(number), "text": {"S": text}}


def client(database: object) -> Any:
    return cast(Any, database)


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The longest that each pause may be; nothing waits for them."""
    longest: list[float] = []
    monkeypatch.setattr(time, "sleep", longest.append)
    monkeypatch.setattr(random, "uniform", lambda least, most: most if least == 0 else -1)
    return longest


# ------------------------------------------------------------------------------------------------------------ writing


def test_writes_go_in_calls_of_25() -> None:
    database = Database()
    write_all(client(database), TABLE, [put(item(number)) for number in range(60)])
    assert (sorted(database.sizes), len(database.items)) == ([10, 25, 25], 60)
    write_all(client(database), TABLE, [delete(key(number)) for number in range(59)])
    assert database.items == {"59": item(59)}


def test_what_a_busy_table_leaves_undone_is_sent_again_after_a_pause_that_grows(pauses: list[float]) -> None:
    database = Database(takes=2, busy_for=3)
    write_all(client(database), TABLE, [put(item(number)) for number in range(9)])
    assert database.sizes == [9, 7, 5, 3]
    assert len(database.items) == 9
    assert pauses == [0.05, 0.1, 0.2]


def test_a_table_that_stays_busy_is_left_to_the_queue_after_ten_calls(pauses: list[float]) -> None:
    database = Database(takes=0, busy_for=100)
    with pytest.raises(RetryLater, match="database is busy"):
        write_all(client(database), TABLE, [put(item(1))])
    with pytest.raises(RetryLater, match="database is busy"):
        get_all(client(database), TABLE, [key(1)])
    assert len(database.sizes) == 20
    assert max(pauses) == 5.0
    write_all(client(Database(takes=0, busy_for=9)), TABLE, [put(item(1))])


def test_of_two_writes_about_one_key_the_later_one_counts() -> None:
    database = Database()
    batch = WriteBatch(client(database), TABLE, key=("k", "r"))
    for request in (put(item(1, "old")), put(item(1, "new")), put(item(2)), delete(key(2)), delete(key(3))):
        batch.add(request)
    batch.add(put(item(3, "back")))
    assert len(batch) == 3
    batch.flush()
    assert database.items == {"1": item(1, "new"), "3": item(3, "back")}
    assert len(batch) == 0
    batch.flush()
    assert database.sizes == [3]


def test_both_parts_of_a_key_tell_items_apart() -> None:
    batch = WriteBatch(client(Database()), TABLE, key=("k", "r"))
    for number, sort in ((1, "a"), (1, "b"), (2, "a"), (1, "a")):
        batch.add(delete(key(number, sort)))
    assert len(batch) == 3


def test_a_batch_that_could_not_be_written_is_kept() -> None:
    batch = WriteBatch(client(Database(takes=0, busy_for=100)), TABLE, key=("k", "r"))
    batch.add(put(item(1)))
    with pytest.raises(RetryLater):
        batch.flush()
    assert len(batch) == 1


# ------------------------------------------------------------------------------------------------------------ reading


def test_items_are_read_in_calls_of_a_hundred_and_those_that_do_not_exist_are_left_out() -> None:
    database = Database()
    write_all(client(database), TABLE, [put(item(number)) for number in range(0, 250, 2)])
    database.sizes.clear()
    found = get_all(client(database), TABLE, [key(number) for number in range(250)])
    assert sorted(int(one["k"]["S"]) for one in found) == list(range(0, 250, 2))
    assert sorted(database.sizes) == [50, 100, 100]
    assert database.wanted == [{"ConsistentRead": True}] * 3
    assert get_all(client(database), TABLE, [key(1)]) == []


def test_keys_that_a_busy_table_left_out_are_asked_for_again(pauses: list[float]) -> None:
    database = Database(takes=3, busy_for=2)
    database.items = {str(number): item(number) for number in range(8)}
    found = get_all(client(database), TABLE, [key(number) for number in range(8)], attributes="k, r")
    assert [one["k"]["S"] for one in found] == [str(number) for number in range(8)]
    assert database.sizes == [8, 5, 2]
    assert database.wanted == [{"ConsistentRead": True, "ProjectionExpression": "k, r"}] * 3
    assert pauses == [0.05, 0.1]


class Pages:
    """Answers a Query in pages; each tells where the next begins."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def query(self, **asked: Any) -> dict[str, Any]:
        self.asked.append(asked)
        number = asked.get("ExclusiveStartKey", 0)
        page: dict[str, Any] = {"Items": [number, -number], "Count": 2}
        return page | {"LastEvaluatedKey": number + 1} if number < 2 else page


def test_a_query_is_followed_to_its_last_page() -> None:
    pages = Pages()
    found: list[Any] = list(query(client(pages), TableName=TABLE))
    assert found == [0, 0, 1, -1, 2, -2]
    assert pages.asked == [
        {"TableName": TABLE},
        {"TableName": TABLE, "ExclusiveStartKey": 1},
        {"TableName": TABLE, "ExclusiveStartKey": 2},
    ]
    assert [page["Count"] for page in query_pages(client(Pages()), TableName=TABLE)] == [2, 2, 2]
