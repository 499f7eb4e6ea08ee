"""What a function's start costs: processor time until it can make its first call, beside what it cannot do without.

    python -m infra.bench.starts

Each start is a process of its own, with what the zip holds: our sources as byte code, the packages, of the SDK's
descriptions only those that ship. All are measured in turn, several times, and the least counts, since the processor is
shared. The floor is what `chalice`, `boto3` and `pynamodb` need, imported and with a client each, to their first call;
their imports alone stand beside it.
"""

from __future__ import annotations

import compileall
import os
import py_compile
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from infra.bench.table import Row, Section, note, to_text
from infra.deploy.licences import shipped
from infra.deploy.package import PROJECT, load_resources
from infra.deploy.wheels import AWS_SERVICES

IMPORTS = "import chalice, boto3, pynamodb.models"
FLOOR = f"""
{IMPORTS}
from pynamodb.attributes import UnicodeAttribute
chalice.Chalice("floor")
boto3.client("dynamodb"), boto3.client("sqs")
class Item(pynamodb.models.Model):
    class Meta:
        table_name, region = "floor", "eu-central-1"
    key = UnicodeAttribute(hash_key=True)
Item._get_connection().connection.client
"""
# Of the floor, at most: the webhook, which must answer Mailchimp at once, and all others.
TARGETS = {"webhook": 0.8}
TARGET_OF_OTHERS = 1.3
# What a first call makes beyond that, by its function: a step of a run needs one phase, a request what it asks for.
FIRST_CALLS = {
    "sync_worker": [f"phases[{phase!r}]" for phase in ("pull", "ingest", "plan", "apply", "segments", "close")],
    "api_handler": ["panels", "segments"],
}
ROUNDS = 7
BESIDE = ("imports", "floor")


def handlers() -> dict[str, str]:
    """The functions by name, with where Lambda enters."""
    named: dict[str, str] = {"api_handler": "app.app"}
    for resource_ in load_resources()["Resources"].values():
        properties = resource_.get("Properties", {})
        if "Handler" in properties:
            named[properties["FunctionName"]["Fn::Sub"].rpartition("-")[2]] = properties["Handler"]
    return named


def lay_out(folder: Path) -> None:
    """What the zip holds, for this Python: our sources with their byte code, links to the packages."""
    shutil.copy(PROJECT / "app.py", folder)
    shutil.copytree(PROJECT / "chalicelib", folder / "chalicelib", ignore=shutil.ignore_patterns("__pycache__"))
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(folder, quiet=1, invalidation_mode=unchecked)
    for distribution in shipped():
        tops = {file.parts[0] for file in distribution.files or [] if file.parts[0] not in {"..", "__pycache__"}}
        for top in tops - {"botocore"}:
            (folder / top).symlink_to(Path(str(distribution.locate_file(top))))
    _lay_out_sdk(folder)


def _lay_out_sdk(folder: Path) -> None:
    import boto3
    import botocore
    import chalice
    import s3transfer

    for package in (boto3, chalice, s3transfer):  # of the floor; what ships holds less
        source = Path(str(package.__file__)).parent
        if not (folder / source.name).exists():
            (folder / source.name).symlink_to(source)
    source = Path(str(botocore.__file__)).parent
    others = {entry.name for entry in (source / "data").iterdir() if entry.is_dir()} - AWS_SERVICES
    shutil.copytree(source, folder / "botocore", ignore=lambda _, names: others.intersection(names))


def cpu_seconds(code: str, folder: Path) -> float:
    """Processor time of one process that runs `code` with nothing but the folder's packages."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-S", "-c", code], env=_environment(folder), check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _environment(folder: Path) -> dict[str, str]:
    given = dict.fromkeys(("PRACBILL_API_URL", "PRACBILL_JWKS_URL", "PUBLIC_URL"), "https://start.example")
    return {
        **given,
        "PATH": os.environ.get("PATH", ""),
        "PYTHONPATH": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_LAMBDA_FUNCTION_NAME": "start",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",  # nothing is called
        "STAGE": "start",
        "PRACBILL_ISSUER": "start",
        "PRACBILL_TOKEN_SECRET": "start",
        "SYNC_QUEUE_URL": "https://sqs.start.example/sync.fifo",
        "EVENT_QUEUE_URL": "https://sqs.start.example/events.fifo",
    }


def measure(rounds: int = ROUNDS) -> dict[str, float]:
    """Seconds by name: `imports` and `floor`, then the functions, some of them also with what a first call needs."""
    cases = {"imports": IMPORTS, "floor": FLOOR}
    for name, dotted in handlers().items():
        cases[name] = start = f"import {dotted.rpartition('.')[0]}"
        for part in FIRST_CALLS.get(name, []):
            cases[f"{name}, {part}"] = f"{start}; from chalicelib import bootstrap; bootstrap.workflows().{part}"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        lay_out(folder)
        taken: dict[str, list[float]] = {name: [] for name in cases}
        for _ in range(rounds):
            for name, code in cases.items():
                taken[name].append(cpu_seconds(code, folder))
    return {name: min(seconds) for name, seconds in taken.items()}


def section(seconds: Mapping[str, float]) -> Section:
    """The starts beside the floor, and what they may take of it."""
    floor = seconds["floor"]
    rows = [note(f"{name} of chalice, boto3, pynamodb", f"{seconds[name] * 1000:.0f} ms CPU") for name in BESIDE]
    for name, taken in seconds.items():
        if name not in BESIDE:
            most = TARGETS.get(name, TARGET_OF_OTHERS)
            value = f"{taken * 1000:.0f} ms CPU, {taken / floor:.2f} of the floor"
            rows.append(Row(name, value, f"<= {most:.2f}", taken <= most * floor))
    return Section("Starts of functions, to their first call", rows)


if __name__ == "__main__":
    print(to_text([section(measure())]))
