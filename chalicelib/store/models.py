"""The DynamoDB tables that PynamoDB looks after. A Model never leaves this folder.

Values are kept as one JSON document each, beside the few attributes that conditions and filters need. Customers and
members, which are written by the ten thousand, have leaner stores of their own (customers.py, members.py).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pynamodb.connection.base
from pynamodb.attributes import BinaryAttribute, TTLAttribute, UnicodeAttribute, VersionAttribute
from pynamodb.connection import Connection
from pynamodb.indexes import AllProjection, LocalSecondaryIndex
from pynamodb.models import Model

from chalicelib.config import settings
from chalicelib.store.aws import TablesSession, region

# PynamoDB makes a session and a client for each table, and has no setting for it.
pynamodb.connection.base.get_session = TablesSession  # type: ignore[attr-defined, assignment]


@lru_cache(maxsize=1)
def transactions() -> Connection:
    """For transactions over several items; making one takes longer than a transaction does."""
    return Connection(region=region())


class Table(type):
    """What PynamoDB asks of a model's table. Stage and region are read when it asks, not on import."""

    table: str
    billing_mode = "PAY_PER_REQUEST"

    @property
    def table_name(cls) -> str:
        return settings().table(cls.table)

    @property
    def region(cls) -> str:
        return region()


def connect() -> None:
    """Make the client of all tables here, for a function that starts."""
    DepartmentItem._get_connection().connection.client  # noqa: B018 - making it is the point


class DepartmentItem(Model):
    class Meta(metaclass=Table):
        table = "departments"

    department_id = UnicodeAttribute(hash_key=True)
    document = UnicodeAttribute()
    version = VersionAttribute()


class SegmentItem(Model):
    class Meta(metaclass=Table):
        table = "segments"

    department_id = UnicodeAttribute(hash_key=True)
    segment_id = UnicodeAttribute(range_key=True)
    document = UnicodeAttribute()
    version = VersionAttribute()


class RunItem(Model):
    """A run: pk department, sk run id."""

    class Meta(metaclass=Table):
        table = "runs"

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    document = UnicodeAttribute()
    version = VersionAttribute()
    expires_at = TTLAttribute(null=True)


class ChunkItem(Model):
    """A chunk of a run, in the runs' table: pk department#run, sk chunk#number. `operations` go when it is done."""

    class Meta(metaclass=Table):
        table = "runs"

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    state = UnicodeAttribute()
    operations = BinaryAttribute(null=True, legacy_encoding=False)
    expires_at = TTLAttribute(null=True)


class PhaseItem(Model):
    """How far a phase of a run is, in the runs' table: pk department#run, sk phase#name."""

    class Meta(metaclass=Table):
        table = "runs"

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    document = UnicodeAttribute()
    expires_at = TTLAttribute(null=True)


class ProblemIndex(LocalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    """Records of what was not done, by outcome and code; what went well is not in it."""

    class Meta:
        index_name = "by-problem"
        projection = AllProjection()

    pk = UnicodeAttribute(hash_key=True)
    problem = UnicodeAttribute(range_key=True)


class LogItem(Model):
    """A log entry (pk department, sk its time) or a record of a run (pk department#run#bucket, sk whose it is)."""

    class Meta(metaclass=Table):
        table = "logs"

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    document = UnicodeAttribute()
    direction = UnicodeAttribute(null=True)
    type = UnicodeAttribute(null=True)
    status = UnicodeAttribute(null=True)
    trigger = UnicodeAttribute(null=True)
    outcome = UnicodeAttribute(null=True)
    problem = UnicodeAttribute(null=True)
    by_problem = ProblemIndex()
    expires_at = TTLAttribute(null=True)


class LedgerItem(Model):
    """One change of consent: pk department#address_key, sk time#what. Written once, never changed."""

    class Meta(metaclass=Table):
        table = "ledger"

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    document = UnicodeAttribute()


class EventItem(Model):
    """A webhook event that was applied: pk department, sk the event's identity."""

    class Meta(metaclass=Table):
        table = "events"

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    expires_at = TTLAttribute()


class RequestItem(Model):
    """A request that must be carried out once: pk department#requests, sk its key."""

    class Meta(metaclass=Table):
        table = "events"

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    document = UnicodeAttribute()
    expires_at = TTLAttribute()
