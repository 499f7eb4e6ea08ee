"""A stage to operate: its settings, as the deployed functions have them, and the service joined with them here.

What the service would do in a function is done in this process, with the rights of whoever runs it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra.deploy.package import load_resources
from infra.local import stack_state
from infra.local.emulator import CREDENTIALS

if TYPE_CHECKING:
    from chalicelib.container import Container

LOCAL = "local"
PROJECT = Path(__file__).resolve().parents[2]
# A command may take longer than a request of the API.
_SECONDS = 600.0
_OLD = (
    "The stage was deployed from another version. On this machine FRESH=1 make run starts anew; for AWS, "
    "docs/deploy.md says what to do under Old tables."
)


class NoStage(Exception):
    """The stage cannot be operated; the message says why and what to do."""


def join(stage: str, *, profile: str | None = None, region: str | None = None) -> Container:
    """The service of a stage. Raises NoStage. Once a process: clients and tables are those of the first stage."""
    _point_at(stage, profile=profile, region=region)
    os.environ.update(_settings_of(stage))
    check_tables(stage)
    # Names of tables are read when these modules are imported.
    from chalicelib.config import Settings
    from chalicelib.container import Container
    from chalicelib.foundations import Seams

    return Container(Settings(dict(os.environ)), Seams(request_time=lambda: _SECONDS))


def _point_at(stage: str, *, profile: str | None, region: str | None) -> None:
    """Let the SDK, in this process, mean the stage's account."""
    if stage == LOCAL and "AWS_ENDPOINT_URL" not in os.environ:
        about = stack_state.answering(PROJECT / ".local")
        if about is None:
            raise NoStage("No local stack runs; make run starts one. For a stage on AWS, give --stage.")
        os.environ.update(CREDENTIALS, AWS_ENDPOINT_URL=str(about["emulator_url"]))
        return
    if profile:
        os.environ["AWS_PROFILE"] = profile
    try:
        found = region or boto3.session.Session().region_name
    except BotoCoreError as error:  # no such profile
        raise NoStage(str(error)) from error
    if not found:
        raise NoStage("Which region? Give --region, AWS_REGION or a profile that has one.")
    os.environ["AWS_REGION"] = os.environ["AWS_DEFAULT_REGION"] = found


def _settings_of(stage: str) -> Mapping[str, str]:
    """The environment of the stage's functions; they hold no secret."""
    name = f"pracbill-mailchimp-{stage}-api_handler"
    try:
        function = boto3.client("lambda").get_function_configuration(FunctionName=name)
    except (ClientError, BotoCoreError) as error:
        raise NoStage(f"The settings of the stage {stage} cannot be read from the function {name}: {error}") from error
    variables = function.get("Environment", {}).get("Variables", {})
    return {key: value for key, value in variables.items() if not key.startswith(("AWS_", "POWERTOOLS_"))}


def check_tables(stage: str) -> None:
    """Raise NoStage when a table of the stage has other keys than this version's: it is from before a change."""
    dynamodb = boto3.client("dynamodb")
    for table in (r["Properties"] for r in load_resources()["Resources"].values() if "TableName" in r["Properties"]):
        name = str(table["TableName"]["Fn::Sub"]).replace("${Stage}", stage)
        try:
            found = dynamodb.describe_table(TableName=name)["Table"]["KeySchema"]
        except dynamodb.exceptions.ResourceNotFoundException:
            raise NoStage(f"There is no table {name}. {_OLD}") from None
        keys = [part["AttributeName"] for part in found]
        wanted = [part["AttributeName"] for part in table["KeySchema"]]
        if keys != wanted:
            raise NoStage(f"The table {name} has the keys {', '.join(keys)}, not {', '.join(wanted)}. {_OLD}")
