"""How often expensive calls may be made: by one caller, and by a department's callers together."""

from __future__ import annotations

from dataclasses import dataclass

WINDOW_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Allowance:
    """Calls of one kind within WINDOW_SECONDS. Several routes may draw on the same one."""

    kind: str
    of_caller: int
    of_department: int


# A builder asks for a preview 400 ms after each change and for each rule 1.5 s after it: 31 in ten seconds, from
# somebody who never rests. Asking every 300 ms fits too. A department has some people at work at once.
PREVIEWS = Allowance("previews", of_caller=50, of_department=150)
SEARCHES = Allowance("searches", of_caller=50, of_department=150)
RECONCILIATIONS = Allowance("reconciliations", of_caller=10, of_department=40)
# An export is a row of pages, one after the other; only many at the same time come so far.
LISTS = Allowance("lists", of_caller=400, of_department=1_200)
