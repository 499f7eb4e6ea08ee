"""The operators' command line: `python -m infra.operate --help`.

Looking changes nothing. Whatever acts says first what it will do, and does it after a yes: at the prompt, or `--yes`.
"""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any

import boto3
import click
from botocore.exceptions import BotoCoreError, ClientError

from infra.operate.stage import LOCAL, NoStage, join

if TYPE_CHECKING:
    from chalicelib.container import Container

Row = Mapping[str, Any]


class Operator:
    """The stage that is operated, and how its operator is spoken to."""

    def __init__(self, stage: str, profile: str | None, region: str | None, *, as_json: bool) -> None:
        self.stage, self._profile, self._region, self.as_json = stage, profile, region, as_json
        self._service: Container | None = None

    @property
    def service(self) -> Container:
        if self._service is None:
            self._service = join(self.stage, profile=self._profile, region=self._region)
        return self._service

    def show(self, value: Row | Sequence[Row]) -> None:
        if self.as_json:
            click.echo(json.dumps(value, indent=2, ensure_ascii=False))
        elif isinstance(value, Mapping):
            click.echo(_lines(value))
        else:
            click.echo(_table(value))

    def confirm(self, what: str, *, yes: bool) -> None:
        """Say what will be done, beside what `--json` prints, and go on after a yes; without one nothing is done."""
        click.echo(f"On stage {self.stage}: {what}", err=True)
        if yes:
            return
        if not sys.stdin.isatty():
            raise click.ClickException("Nothing was done: nobody can be asked here. Say --yes.")
        if not click.confirm("Do it?", err=True):
            raise click.ClickException("Nothing was done.")


def _told(command: Callable[..., None]) -> Callable[..., None]:
    """Faults that are none of ours, in their own words instead of a traceback."""

    @wraps(command)
    def telling(*arguments: Any, **options: Any) -> None:
        from chalicelib.errors import ServiceError

        try:
            command(*arguments, **options)
        except (NoStage, ServiceError) as error:
            raise click.ClickException(str(error)) from error
        except (ClientError, BotoCoreError) as error:
            raise click.ClickException(f"AWS refused: {error}") from error

    return telling


yes_option = click.option("--yes", is_flag=True, help="Do it without asking.")


@click.group()
@click.option("--stage", default=LOCAL, show_default=True, help="dev, prod or another stage on AWS; local: make run's.")
@click.option("--profile", help="Of the AWS configuration.")
@click.option("--region", help="Where the stage is; else that of the profile.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def operate(context: click.Context, stage: str, profile: str | None, region: str | None, as_json: bool) -> None:
    """Look after the service of a stage: its departments, runs, webhooks, ledger."""
    context.obj = Operator(stage, profile, region, as_json=as_json)


@operate.command()
@click.pass_obj
@_told
def departments(operator: Operator) -> None:
    """List the departments with their state."""
    from infra.operate import actions

    operator.show(actions.departments(operator.service))


@operate.command()
@click.argument("department")
@click.argument("run_id", required=False)
@click.pass_obj
@_told
def run(operator: Operator, department: str, run_id: str | None) -> None:
    """Show a run with its phases; without RUN_ID the newest."""
    from infra.operate import actions

    operator.show(actions.run(operator.service, department, run_id))


@operate.command()
@yes_option
@click.pass_obj
@_told
def redrive(operator: Operator, yes: bool) -> None:
    """Send the webhook events among the dead letters again."""
    from infra.local.redrive import redrive_events, waiting_events

    operator.service  # noqa: B018 - points the SDK at the stage
    sqs = boto3.client("sqs")
    operator.confirm(f"send about {waiting_events(sqs, stage=operator.stage)} dead events again.", yes=yes)
    operator.show({"sent again": redrive_events(sqs, stage=operator.stage)})


@operate.command()
@yes_option
@click.pass_obj
@_told
def sweep(operator: Operator, yes: bool) -> None:
    """Look after every active run now: nudge those that lost their message, close those without progress."""
    from infra.operate import actions

    ids = actions.with_runs(operator.service)
    if not ids:
        operator.show({"done": "Nothing: no department has a sync under way or waiting."})
        return
    operator.confirm(f"look after the active and waiting runs of {_named(ids)}.", yes=yes)
    operator.show({"done": actions.sweep(operator.service)})


@operate.command("register-webhooks")
@click.argument("department", nargs=-1)
@yes_option
@click.pass_obj
@_told
def register_webhooks(operator: Operator, department: tuple[str, ...], yes: bool) -> None:
    """See that each DEPARTMENT's audience has our webhook; without any, of all that are connected."""
    from infra.operate import actions

    chosen = actions.connected(operator.service, department)
    if not chosen:
        click.echo("Nothing was done: no such department is connected and has an audience.", err=True)
        operator.show([])
        return
    operator.confirm(f"look after the webhook in Mailchimp of {_named(d.id for d in chosen)}.", yes=yes)
    operator.show(actions.register_webhooks(operator.service, chosen))


@operate.command()
@click.argument("department")
@click.option("--address", help="Of one address alone; without it the table of all departments is read.")
@click.option("--out", type=click.File("w", encoding="utf-8"), default="-", help="A file instead of the screen.")
@click.pass_obj
@_told
def ledger(operator: Operator, department: str, address: str | None, out: Any) -> None:
    """Export the consent ledger of DEPARTMENT: one JSON object a line."""
    from infra.operate import actions

    for row in actions.ledger(operator.service, department, address):
        out.write(json.dumps(row, ensure_ascii=False) + "\n")


@operate.command()
@click.argument("department")
@click.argument("address")
@yes_option
@click.pass_obj
@_told
def erase(operator: Operator, department: str, address: str, yes: bool) -> None:
    """Erase whoever has ADDRESS, in Mailchimp and here, for good."""
    from infra.operate import actions

    ids = operator.service.eraser.customers_of(department, address)
    whose = f"the customers {', '.join(ids)}" if ids else "an address that no customer here has"
    operator.confirm(f"erase {whose} of department {department}, in Mailchimp and here, for good.", yes=yes)
    operator.show(actions.erase(operator.service, department, address, by=f"operator {getpass.getuser()}"))


def _named(ids: Iterable[str]) -> str:
    named = sorted(ids)
    shown = ", ".join(named[:10])
    return shown if len(named) <= 10 else f"{shown} and {len(named) - 10} more"


def _table(rows: Sequence[Row]) -> str:
    if not rows:
        return "none"
    heads = list(rows[0])
    cells = [heads, *([_text(row[head]) for head in heads] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(heads))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells
    )


def _lines(row: Row, indent: str = "") -> str:
    lines = []
    for name, value in row.items():
        if isinstance(value, Mapping) and value:
            lines += [f"{indent}{name}:", _lines(value, indent + "  ")]
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            lines += [f"{indent}{name}:", *(f"{indent}  {line}" for line in _table(value).splitlines())]
        else:
            lines.append(f"{indent}{name}: {_text(value)}")
    return "\n".join(lines)


def _text(value: Any) -> str:
    match value:
        case None:
            return "-"
        case True | False:
            return "yes" if value else "no"
        case dict() | list():
            return json.dumps(value, ensure_ascii=False) if value else "-"
        case _:
            return str(value)


if __name__ == "__main__":
    operate(prog_name="python -m infra.operate")
