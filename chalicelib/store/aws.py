"""Clients of AWS, made once a process; the endpoint comes from the SDK's own variables.

Every new session of the SDK reads AWS's descriptions of its services anew, which takes longer than any call: a function
that starts would read them for each table. So all sessions, PynamoDB's too (models.py), read them through one loader.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING

from botocore.config import Config
from botocore.loaders import Loader
from botocore.session import Session, get_session

from chalicelib.store.wire import pass_items_through

if TYPE_CHECKING:
    from typing import Any

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient


def region() -> str:
    """The region of this function; tests and the local stack set it as the AWS SDK expects."""
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"


@lru_cache(maxsize=1)
def _descriptions() -> Loader:
    loader: Loader = get_session().get_component("data_loader")
    return loader


def sdk_session() -> Session:
    """A new session that need not read the descriptions of services again.

    Its clients go by our name: else the SDK puts a name together anew for every call, a tenth of what a call computes.
    """
    session = get_session()
    session.set_default_client_config(Config(user_agent="pracbill-mailchimp"))
    session.register_component("data_loader", _descriptions())
    return session


@lru_cache(maxsize=1)
def _clients_of_tables() -> dict[tuple[str, str | None], Any]:
    return {}


class TablesSession:
    """What PynamoDB takes for a session of the SDK (models.py).

    It asks a session of its own for a client of its own for each table. Each would take its time to make, and its own
    connections to open: all tables get one.
    """

    def create_client(
        self, service: str, region_name: str, *, endpoint_url: str | None = None, config: Config | None = None
    ) -> Any:
        clients, place = _clients_of_tables(), (region_name, endpoint_url)
        if place not in clients:
            session = sdk_session()
            clients[place] = session.create_client(service, region_name, endpoint_url=endpoint_url, config=config)
        return clients[place]


@lru_cache(maxsize=1)
def _session() -> Any:
    """The SDK's lower half: boto3 would add resources and transfers of files, which nobody here uses, to each start."""
    return sdk_session()


@lru_cache(maxsize=1)
def dynamodb() -> DynamoDBClient:
    """For the two tables that are written by the ten thousand.

    The SDK's own checks of parameters cost as much as the rest of a call; our items are made in one place each.
    """
    config = Config(
        parameter_validation=False,
        max_pool_connections=16,
        retries={"mode": "standard", "max_attempts": 8},
    )
    client: DynamoDBClient = _session().create_client("dynamodb", region_name=region(), config=config)
    pass_items_through(client)
    return client


@lru_cache(maxsize=1)
def sqs() -> SQSClient:
    # Nothing here waits for messages. A call that hangs would hold up the end of a step: its heartbeat is waited for.
    config = Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard", "max_attempts": 4})
    client: SQSClient = _session().create_client("sqs", region_name=region(), config=config)
    return client


@lru_cache(maxsize=1)
def kms() -> KMSClient:
    # Mailchimp waits for the webhook's answer meanwhile.
    config = Config(connect_timeout=2, read_timeout=3, retries={"mode": "standard", "max_attempts": 3})
    client: KMSClient = _session().create_client("kms", region_name=region(), config=config)
    return client


@lru_cache(maxsize=1)
def secretsmanager() -> SecretsManagerClient:
    client: SecretsManagerClient = _session().create_client("secretsmanager", region_name=region())
    return client
