"""Histories by seed: the same seed writes the same script, whatever the service does with it.

A script is written without looking at the world: what cannot be done when its turn comes is passed over. People and
addresses are few, so that they meet often.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tests.soak.addresses import SPELLINGS
from tests.soak.script import Step, read_step
from tests.soak.segments import SEGMENTS

# What the service is known not to hold yet; a history is written without it until it does.
NOT_YET = frozenset[str]()
ALL = frozenset[str]()

_CONSENTS = ("old-yes",) * 6 + ("yes", "none", "none", "old-no", "yes?")
_EDITS = (
    *("first_name=Jo", "last_name=Ng", "state=NSW", "state=VIC", "state=", "balance=200.00", "balance=10.00"),
    *("inactive=1", "inactive=0", "phone=0412345678"),
)
_MACHINES = ("deliver", "deliver shuffled", "deliver doubled", "deliver last", "lose", "sweep 7", "wait 5")
_FAILURES = ("429", "403", "500", "503", "drop", "lose", "truncate")
_PRACBILL_FAILURES = ("503", "429", "drop", "lose", "truncate")


def write_history(seed: int, without: frozenset[str] = NOT_YET) -> tuple[Step, ...]:
    return tuple(read_step(line) for line in _Writer(Random(seed), without).lines())


class _Writer:
    def __init__(self, random: Random, without: frozenset[str]) -> None:
        self.random, self.without = random, without
        self.names = [name for name in SPELLINGS if name != "mia" or "two spellings" not in without]
        self.names = random.sample(self.names, random.randint(3, 6))
        self.customers = [str(number) for number in range(1, random.randint(3, 6) + 1)]
        self.segments = random.sample(list(SEGMENTS), random.choice((0, 1, 1, 2)))
        self.may_move = "no and move" not in without or random.random() < 0.5
        self.may_say_no = "no and move" not in without or not self.may_move

    def lines(self) -> list[str]:
        lines = self.beginning()
        for _ in range(self.random.choice((1, 2, 2, 3))):
            lines += self.round()
        return lines

    # ------------------------------------------------------------------------------------------------- parts

    def beginning(self) -> list[str]:
        random = self.random
        lines = []
        if random.random() < 0.3:
            statuses = ("subscribed", "subscribed", "unsubscribed", "transactional")
            lines += [f"colleague import {name} {random.choice(statuses)}" for name in self.some_names(2)]
        lines += self.settings() if random.random() < 0.4 else []
        lines += [self.add(customer) for customer in self.customers]
        lines += [f"staff segment {name}" for name in self.segments]
        return [*lines, *self.during(0.2), "sync full"]

    def round(self) -> list[str]:
        random = self.random
        lines = [self.act() for _ in range(random.randint(1, 5))]
        lines += self.during(0.6)
        lines += [f"worker die {random.randint(1, 60)}"] if random.random() < 0.25 else []
        culprit = [self.culprit()] if random.random() < 0.06 else []
        lines += culprit if "culprit" not in self.without else []
        return [*lines, "sync " + random.choice(("incremental", "incremental", "full", "schedule"))]

    def during(self, chance: float) -> list[str]:
        """What happens while a run is under way: at its calls, before or after they are carried out."""
        random, lines = self.random, []
        while random.random() < chance:
            chance /= 2
            call = random.choice(("bulk", "bulk", "bulk", "tags", "listing", "customers", "member", "consent"))
            when, nth = random.choice(("before", "after")), random.choice((1, 1, 1, 2))
            lines.append(f"{call} {nth} {when}: {self.act_in_a_run(call)}")
        return lines

    def act_in_a_run(self, call: str) -> str:
        random = self.random
        if random.random() < 0.4:
            failures = _PRACBILL_FAILURES if call in ("customers", "consent") else _FAILURES
            return f"server fail {random.choice(failures)} {random.choice((1, 1, 2, 6, 30))}"
        if random.random() < 0.1 and "cancel" not in self.without:
            return "staff cancel"
        if random.random() < 0.15:
            return "machine deliver"
        return self.act(in_a_run=True)

    # ------------------------------------------------------------------------------------------------- acts

    def act(self, *, in_a_run: bool = False) -> str:
        may_colleague = not in_a_run or "colleague in a run" not in self.without
        kinds: list[tuple[int, Callable[[], str]]] = [
            (8, self.pracbill),
            (4, self.person if may_colleague else self.pracbill),
            (3, self.colleague if may_colleague else self.pracbill),
            (1, self.machine),
            (2, self.staff),
        ]
        weights, writers = zip(*kinds, strict=True)
        written: str = self.random.choices(writers, weights)[0]()
        return written

    def add(self, customer: str) -> str:
        random = self.random
        more = [f"state={random.choice(('VIC', 'vic', 'NSW', ''))}"] if random.random() < 0.4 else []
        more += [f"balance={random.choice(('150.00', '100.00'))}"] if random.random() < 0.3 else []
        more += ["company="] if random.random() < 0.15 else []
        return " ".join(["pracbill add", customer, self.name(), self.consent(), *more])

    def pracbill(self) -> str:
        random, customer = self.random, self.random.choice(self.customers)
        kind = random.choice(("edit", "edit", "consent", "consent", "move", "move", "remove", "add", "edit"))
        if kind in ("move", "add") and not self.may_move:
            kind = "edit"
        if kind == "consent":
            return f"pracbill consent {customer} {self.consent(new=True)}"
        if kind == "move":
            return f"pracbill move {customer} {self.name()}"
        if kind == "remove":
            return f"pracbill remove {customer}"
        if kind == "add":
            return self.add(customer)
        return f"pracbill edit {customer} {random.choice(_EDITS)}"

    def person(self) -> str:
        act = self.random.choice(("unsubscribe",) * 4 + ("resubscribe",) * 2 + ("complain", "confirm", "move"))
        return f"person {act} {self.plain_name()}" + (f" {self.plain_name()}" if act == "move" else "")

    def colleague(self) -> str:
        random, name = self.random, self.plain_name()
        kinds = ["unsubscribe", "unsubscribe", "archive", "archive", "delete", "import", "untag", "delete-tag"]
        kinds += ["delete-hook"]
        kinds += [] if "fields" in self.without else ["delete-field", "delete-field", "retype-field"]
        kinds += [] if "edits" in self.without else ["edit"]
        kind = random.choice(kinds)
        segment = random.choice(self.segments) if self.segments else "Victoria"
        field = random.choice(("PHONE", "COMPANY", "LNAME"))
        more = {
            "import": f"{name} {random.choice(('subscribed', 'unsubscribed', 'transactional'))}",
            "untag": f"{name} {segment}",
            "delete-tag": segment,
            "delete-hook": "",
            "delete-field": field,
            "retype-field": f"PHONE {random.choice(('number', 'text', 'date'))}",
            "edit": f"{name} FNAME Changed",
        }
        return f"colleague {kind} {more.get(kind, name)}".strip()

    def machine(self) -> str:
        act = self.random.choice((*_MACHINES, "bounce", "die"))
        if act == "die":
            return f"worker die {self.random.randint(1, 30)}"
        return f"machine bounce {self.plain_name()}" if act == "bounce" else f"machine {act}"

    def staff(self) -> str:
        random = self.random
        if self.segments and random.random() < 0.4:
            segment = random.choice(self.segments)
            return f"staff segment {segment} {random.choice(list(SEGMENTS))}"
        if random.random() < 0.15:
            return f"staff delete-segment {random.choice(list(SEGMENTS))}"
        if random.random() < 0.1:
            return f"staff erase {random.choice(self.customers)}"
        if random.random() < 0.3:
            return f"staff select {random.choice(('new', 'same'))}"
        return self.settings()[0]

    def settings(self) -> list[str]:
        random = self.random
        choices = [f"unknown_consent {value}" for value in ("skip", "transactional", "subscribe")]
        choices += ["ask_again on", "ask_again off", "on_removed archive"]
        choices += [] if "keep" in self.without else ["on_removed keep", "on_removed keep"]
        return [f"staff set {random.choice(choices)}"]

    def culprit(self) -> str:
        return f"server culprit {self.plain_name()} {self.random.choice(('500', 'drop', 'truncate'))}"

    # ------------------------------------------------------------------------------------------------- words

    def consent(self, *, new: bool = False) -> str:
        word = self.random.choice(("yes", "yes", "no", "none", "old-yes") if new else _CONSENTS)
        return word.replace("no", "yes") if "no" in word and word != "none" and not self.may_say_no else word

    def plain_name(self) -> str:
        return self.random.choice(self.names)

    def name(self) -> str:
        """As PracBill writes it: now and then in another spelling, or one that no mail reaches."""
        random, name = self.random, self.plain_name()
        if random.random() < 0.04:
            return random.choice(("fake", "broken"))
        return f"{name}/{random.randint(1, 2)}" if random.random() < 0.2 else name

    def some_names(self, most: int) -> list[str]:
        return self.random.sample(self.names, self.random.randint(1, most))
