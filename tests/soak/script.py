"""A history as text: one step a line, so that it can be read, shortened and replayed.

    bulk 1 before: person unsubscribe ann        during the next run, before the first bulk call is carried out
    sync full

Words before the colon say when; without a colon a step is taken at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# Kinds of calls at which a step may be taken, or a server fail.
MAILCHIMP_CALLS = ("bulk", "tags", "member", "listing", "fields", "audience")
PRACBILL_CALLS = ("customers", "consent")


@dataclass(frozen=True, slots=True)
class Step:
    """`call` and `nth` name a call of the next run, `when` is before or after it is carried out; or all are empty."""

    actor: str
    act: str
    words: tuple[str, ...] = ()
    call: str = ""
    nth: int = 0
    when: str = ""

    @property
    def is_during(self) -> bool:
        return bool(self.call)

    def __str__(self) -> str:
        during = f"{self.call} {self.nth} {self.when}: " if self.call else ""
        return during + " ".join((self.actor, self.act, *self.words))


def read_step(line: str) -> Step:
    during, colon, rest = line.rpartition(": ")
    actor, act, *words = rest.split()
    if not colon:
        return Step(actor, act, tuple(words))
    call, nth, when = during.split()
    return Step(actor, act, tuple(words), call, int(nth), when)


def read_script(text: str) -> tuple[Step, ...]:
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return tuple(read_step(line) for line in lines if line)


def write_script(steps: Iterable[Step]) -> str:
    return "\n".join(str(step) for step in steps)
