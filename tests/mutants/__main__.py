"""Puts small faults into one module, one after another, and tells which its fast tests do not notice.

make mutants MODULE=chalicelib/domain/consent/rules.py            all faults of the module
make mutants MODULE=... AGAIN=1                                   only those that went unnoticed the last time
make mutants MODULE=... SAMPLE=80                                 so many of them, the same ones each time
make mutants                                                      every module of the list, the worst last

Which tests belong to a module is written in pyproject.toml ([tool.mutants.tests]); faults that change nothing that
anybody could see, and why, in harmless.toml beside this file. The tests run in a copy below build/mutants.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.mutants.report import Fault, Report, read_faults, read_harmless

ROOT = Path(__file__).resolve().parents[2]
_COPIES = ROOT / "build" / "mutants"
_POLITE = 19
_NO_FAULT = "the name of none"


def main() -> int:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    tests: dict[str, list[str]] = project["mutants"]["tests"]
    chosen = os.environ.get("MODULE", "")
    if chosen and chosen not in tests:
        _say("\n  ".join([f"{chosen} is not in [tool.mutants.tests]. Its modules are:", *tests]))
        return 2
    if hasattr(os, "nice"):
        os.nice(max(0, _POLITE - os.nice(0)))
    reports = [
        _try_module(module, tests[module], project["mutmut"]) for module in ([chosen] if chosen else sorted(tests))
    ]
    for report in sorted(reports, key=lambda one: -one.share):
        _say(report.line())
    return 0 if all(report.share >= project["mutants"]["least_share"] for report in reports) else 1


def _try_module(module: str, tests: list[str], settings: dict[str, object]) -> Report:
    if not (ROOT / module).is_file():
        sys.exit(f"{module} is in [tool.mutants.tests], but there is no such file.")
    copy = _COPIES / module.removesuffix(".py").replace("/", ".")
    known = read_faults(copy, module) if os.environ.get("AGAIN") else []
    chosen = [fault.name for fault in known if fault.is_tried and not fault.is_noticed]
    _prepare(copy, module, tests, settings, fresh=not chosen)
    if size := int(os.environ.get("SAMPLE", "0")):
        _run(copy, [_NO_FAULT])  # makes them all and tries none
        names = sorted(fault.name for fault in read_faults(copy, module))
        chosen = random.Random(module).sample(names, min(size, len(names)))
    done = _run(copy, chosen)
    faults = read_faults(copy, module)
    if done.returncode or not faults:
        sys.exit(f"{done.stdout[-4000:]}\nThe tests of {module} could not be tried: {', '.join(tests)}")
    harmless = read_harmless(Path(__file__).with_name("harmless.toml"), module)
    report = Report(module, [fault for fault in faults if fault.is_tried], harmless)
    _tell(report)
    return report


def _run(copy: Path, chosen: list[str]) -> subprocess.CompletedProcess[str]:
    # Kept, it would have mutmut run those that -k or --deselect leaves out, as if they were new.
    (copy / "mutants" / "mutmut-stats.json").unlink(missing_ok=True)
    command = [str(Path(sys.executable).with_name("mutmut")), "run", "--max-children", "1", *chosen]
    return subprocess.run(command, cwd=copy, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


def _prepare(copy: Path, module: str, tests: list[str], settings: dict[str, object], *, fresh: bool) -> None:
    """A folder that looks like the project, but names one module and its tests only."""
    if fresh:
        shutil.rmtree(copy, ignore_errors=True)
    shutil.rmtree(copy / "mutants" / "tests", ignore_errors=True)
    copy.mkdir(parents=True, exist_ok=True)
    for name in {"chalicelib", "tests", *_texts(settings["also_copy"])}:
        link = copy / name
        if not link.exists():
            link.symlink_to(ROOT / name)
    table = {**settings, "only_mutate": [module], "pytest_add_cli_args_test_selection": tests}
    lines = [f"{key} = {_toml(value)}" for key, value in table.items()]
    (copy / "pyproject.toml").write_text("\n".join(["[tool.mutmut]", *lines, ""]))


def _texts(value: object) -> list[str]:
    assert isinstance(value, list)
    return [str(one) for one in value]


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def _tell(report: Report) -> None:
    for fault in report.unnoticed:
        _say(_told(fault))
    _say(report.line())


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _told(fault: Fault) -> str:
    return "\n".join([f"{fault.function}: {fault.state}", *(f"    {line}" for line in fault.change), ""])


if __name__ == "__main__":
    sys.exit(main())
