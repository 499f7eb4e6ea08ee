"""Where a pull stands, from step to step."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, cast, get_args

from chalicelib.domain.logs import MOST_NAMED
from chalicelib.domain.moments import moment_text, parse_moment

Part = Literal["live", "archived", "missing", "tell", "end"]


@dataclass(slots=True)
class PullCursor:
    """Where a pull stands, and what it has counted. `since` and `shard` belong to the part it is in."""

    part: Part = "live"
    since: datetime | None = None
    shard: int = 0
    look_ups: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    who: list[str] = field(default_factory=list)  # the first addresses that were observed anew, for the log entry

    @classmethod
    def of(cls, cursor: dict[str, str]) -> PullCursor:
        counts = {name[1:]: int(value) for name, value in cursor.items() if name.startswith("#")}
        part = cursor.get("part", "live")
        return cls(
            part=cast(Part, part) if part in get_args(Part) else "live",
            since=parse_moment(cursor.get("since", "")),
            shard=int(cursor.get("shard", "0")),
            look_ups=int(cursor.get("look_ups", "0")),
            counts=Counter(counts),
            who=cursor["who"].split(",") if cursor.get("who") else [],
        )

    def cursor(self) -> dict[str, str]:
        place = {"part": self.part, "shard": str(self.shard), "look_ups": str(self.look_ups)}
        if self.since is not None:
            place["since"] = moment_text(self.since)
        return place | self.counted()

    def counted(self) -> dict[str, str]:
        """Of the cursor, what the log entry will tell."""
        who = {"who": ",".join(self.who[:MOST_NAMED])} if self.who else {}
        return who | {f"#{name}": str(count) for name, count in self.counts.items()}

    def move(self, part: Part) -> None:
        self.part, self.since, self.shard = part, None, 0
