"""`python -m infra.bench`: measure, print the table. A target that is missed is told, and is no error."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from chalicelib.store.queue import LANES
from infra.bench import starts
from infra.bench.lanes import best_seconds
from infra.bench.rivals import MEMBERS_A_CALL, THREADS, Rival, bulk_in_sequence, put_each
from infra.bench.stackrun import BenchStack, Measured, bench_stack
from infra.bench.table import Row, Section, at_least, at_most, note, to_text, unmeasured
from infra.deploy.package import PROJECT
from infra.standins.mailchimp.traffic import Latency

_SEGMENTS = "infra.bench.segments"
_UNITS = "infra.bench.units"
_LEAST_SHARE = 85  # percent of what eight lanes can do
_LEAST_PLANNED = 1_000  # customers a second
_LEAST_REPEATED = 3_000
_MOST_CPU = 0.4  # milliseconds a customer
_MOST_GROWTH = 20  # percent


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured: customers, members of the rivals' samples, customers of the benchmarks apart."""

    customers: int
    memory: tuple[int, int]
    put_members: int
    bulk_calls: int
    segments: int
    units: int


FULL = Sizes(customers=20_000, memory=(2_000, 50_000), put_members=300, bulk_calls=4, segments=100_000, units=20_000)
QUICK = Sizes(customers=2_000, memory=(1_000, 4_000), put_members=100, bulk_calls=2, segments=5_000, units=2_000)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    # The official client asks the environment for proxies; everything here is on this machine.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
    sizes, latency = (
        QUICK if options.quick else FULL,
        Latency(options.bulk_base, options.bulk_per_member, options.single),
    )
    began = time.monotonic()
    sections = _measure(sizes, latency)
    print(_heading(sizes, latency))
    print(to_text(sections))
    print(to_text([starts.section(starts.measure())]))
    if not options.no_segments:
        print(f"\nSegments ({sizes.segments:,} customers, DynamoDB Local)")
        print(_apart(_SEGMENTS, sizes.segments))
    if not options.no_units:
        print(f"\nWhat is asked of the database ({sizes.units:,} customers, DynamoDB Local)")
        print(_apart(_UNITS, sizes.units))
    print(f"\nTook {(time.monotonic() - began) / 60:.1f} minutes")
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    usual = Latency()
    parser = argparse.ArgumentParser(
        prog="python -m infra.bench", description="Measure the service on the local stack."
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, two minutes; the figures are rough")
    parser.add_argument("--no-segments", action="store_true", help=f"leave out {_SEGMENTS}")
    parser.add_argument("--no-units", action="store_true", help=f"leave out {_UNITS}")
    parser.add_argument("--bulk-base", type=float, default=usual.bulk_base, metavar="S", help="a bulk call takes S")
    parser.add_argument(
        "--bulk-per-member", type=float, default=usual.bulk_per_member, metavar="S", help="and S a member"
    )
    parser.add_argument("--single", type=float, default=usual.single, metavar="S", help="any other call takes S")
    return parser.parse_args(arguments)


def _heading(sizes: Sizes, latency: Latency) -> str:
    return (
        f"{sizes.customers:,} customers, local stack, {os.cpu_count()} cores, {platform.system()}, "
        f"Python {platform.python_version()}\n"
        f"Mailchimp stand-in: bulk call {latency.bulk_base:g} s + {latency.bulk_per_member * 1000:g} ms a member, "
        f"other calls {latency.single:g} s (assumed; Mailchimp publishes no figures)"
    )


def _measure(sizes: Sizes, latency: Latency) -> list[Section]:
    with bench_stack(sizes.customers, latency) as stack:
        _say(f"First full sync of {sizes.customers:,} customers")
        first = stack.sync()
        _say("The same again, nothing changed")
        repeat = stack.sync()
        incremental = stack.sync("incremental")
        _say("The official client")
        rivals = put_each(stack, sizes.put_members), bulk_in_sequence(stack, sizes.bulk_calls)
    memory = [_memory_run(customers) for customers in sizes.memory]
    return [
        Section("First full sync", [*_plan_rows(first, stack), *_apply_rows(first, latency)]),
        Section("A repeat in which nothing changed", _repeat_rows(repeat, incremental, stack)),
        Section("Peak memory of one worker", [_memory_row(phase, sizes, memory) for phase in ("plan", "apply")]),
        Section("The same members with Mailchimp's official client", _rival_rows(first, rivals)),
    ]


def _memory_run(customers: int) -> Measured:
    """A first full sync on a stack of its own. How long Mailchimp takes changes nothing about memory."""
    _say(f"Memory at {customers:,} customers")
    with bench_stack(customers, Latency.none()) as stack:
        return stack.sync()


def _plan_rows(run: Measured, stack: BenchStack) -> list[Row]:
    plan = run.span("plan")
    rows = [
        note("pull (audience still empty)", f"{run.span('pull').seconds:.1f} s"),
        at_least("plan (store and decide)", stack.customers / plan.seconds, _LEAST_PLANNED, "customers/s"),
    ]
    name, target = "own CPU in the plan", f"< {_MOST_CPU:g} ms/customer"
    if plan.cpu_seconds is None:
        return [*rows, unmeasured(name, target)]
    spent = plan.cpu_seconds * 1000 / stack.customers
    return [*rows, Row(name, f"{spent:.2f} ms/customer", target, spent < _MOST_CPU)]


def _apply_rows(run: Measured, latency: Latency) -> list[Row]:
    done, seconds = _operations(run), run.span("apply").seconds
    chunks = run.document["chunks_total"]
    best = best_seconds(run.document["planned"], chunks, latency)
    share = 100 * best / seconds
    return [
        note("apply", f"{done:,} operations in {seconds:.1f} s, {done / seconds:,.0f}/s"),
        note("best that eight lanes can do", f"{best:.1f} s, {done / best:,.0f}/s ({chunks} chunks)"),
        Row("of that best", f"{share:.0f} %", f">= {_LEAST_SHARE} %", share >= _LEAST_SHARE),
        note("calls to Mailchimp", f"{run.journal['total']:,}, of them bulk {run.bulk_calls:,}"),
        at_most("connections at once, at most", run.journal["peak_connections"], LANES),
        at_most("calls turned away (429)", run.too_many, 0),
        note("the whole run", f"{run.seconds:.1f} s"),
    ]


def _repeat_rows(full: Measured, incremental: Measured, stack: BenchStack) -> list[Row]:
    return [
        at_least(
            "plan (store and decide)", stack.customers / full.span("plan").seconds, _LEAST_REPEATED, "customers/s"
        ),
        at_most("writes to Mailchimp", full.journal["writes"] + incremental.journal["writes"], 0),
        note("pull (every member read)", f"{full.span('pull').seconds:.1f} s"),
        note("the whole run, full", f"{full.seconds:.1f} s"),
        note("the whole run, incremental", f"{incremental.seconds:.1f} s"),
    ]


def _memory_row(phase: str, sizes: Sizes, runs: Sequence[Measured]) -> Row:
    small, large = (run.span(phase).peak_megabytes for run in runs)
    name, target = f"{phase}, {sizes.memory[0]:,} and {sizes.memory[1]:,} customers", f"within {_MOST_GROWTH} %"
    if small is None or large is None:
        return unmeasured(name, target)
    growth = 100 * (large / small - 1)
    return Row(name, f"{small:.0f} MB and {large:.0f} MB ({growth:+.0f} %)", target, growth <= _MOST_GROWTH)


def _rival_rows(run: Measured, rivals: tuple[Rival, Rival]) -> list[Row]:
    members, single, bulk = _operations(run), *rivals
    return [
        note("this service, apply", _rate(members / run.span("apply").seconds, members)),
        note(f"one PUT a member, {THREADS} threads", f"{_rate(single.rate, members)}, {_sample(single)}"),
        note(f"bulk calls of {MEMBERS_A_CALL} in sequence", f"{_rate(bulk.rate, members)}, {_sample(bulk)}"),
    ]


def _rate(rate: float, members: int) -> str:
    return f"{rate:,.0f} members/s, {members:,} in {members / rate:,.0f} s"


def _sample(rival: Rival) -> str:
    lost = f", {rival.lost} not taken" if rival.lost else ""
    return f"reckoned from {rival.members:,} in {rival.seconds:.1f} s{lost}"


def _operations(run: Measured) -> int:
    done: int = run.document["done"] + run.document["failed"]
    return done


def _apart(module: str, customers: int) -> str:
    """What a benchmark on DynamoDB Local prints; it may fail where the others do not."""
    command = [sys.executable, "-m", module, str(customers)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    text = done.stdout if done.returncode == 0 else f"failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}"
    return "\n".join(f"  {line}" for line in text.rstrip().splitlines())


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
