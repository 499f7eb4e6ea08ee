"""A request after it was let in, its answer, and what both have in common: fields, paging, booleans."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import problems
from .accounts import Caller
from .audiences import Audience
from .clock import parse_instant
from .problems import FieldError
from .world import World
from .writes import Writer

MAX_COUNT = 1000
# Keys of a document, and of the items in its lists: {"members": {"id", ...}, "total_items": None}.
Shape = Mapping[str, frozenset[str] | None]


@dataclass(frozen=True)
class Call:
    """One request: path parameters by name, the last value of each query parameter, the body as sent."""

    world: World
    caller: Caller
    method: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any = None
    client_ip: str = ""
    written: Callable[[], None] = lambda: None  # what happens between the writing and the answer

    @property
    def now(self) -> int:
        return self.world.now()

    def audience(self) -> Audience:
        """The audience in the path; raises 404."""
        audience = self.caller.account.audiences.get(self.path["list_id"])
        if audience is None:
            raise problems.not_found()
        return audience

    def writer(self, *, in_bulk: bool = False) -> Writer:
        """A Writer that acts as this API client."""
        return Writer(
            self.world,
            self.audience(),
            self.now,
            caller_ip=self.client_ip,
            skip_required=self.flag("skip_merge_validation"),
            in_bulk=in_bulk,
        )

    def flag(self, name: str) -> bool:
        return self.query.get(name, "").lower() in ("true", "1")

    def instant(self, name: str) -> float | None:
        """A date parameter in seconds since 1970; None if it was not sent. Raises 400, or 502 for the very old."""
        text = self.query.get(name)
        if text is None:
            return None
        try:
            moment = parse_instant(text)
        except ValueError:
            raise problems.not_validated(FieldError(name, "Please enter a valid date")) from None
        if moment < _OLD and name == "since_last_changed" and self.world.readings.old_dates_hang:
            raise problems.GatewayTimeout
        return moment

    def choice(self, name: str, choices: tuple[str, ...]) -> str | None:
        value = self.query.get(name)
        if value is not None and value not in choices:
            message = f"Data presented is not one of the accepted values: {', '.join(choices)}"
            raise problems.not_validated(FieldError(name, message))
        return value

    def page(self) -> slice:
        """`count` (10, at most 1000 without a word) and `offset`."""
        offset = self._number("offset", 0)
        return slice(offset, offset + min(self._number("count", 10), MAX_COUNT))

    def _number(self, name: str, default: int) -> int:
        text = self.query.get(name, str(default))
        if not (text.isascii() and text.isdigit()):
            raise problems.not_validated(FieldError(name, "Schema describes integer, string found instead"))
        return int(text)


_OLD = parse_instant("1980-01-01")


@dataclass(frozen=True)
class Answer:
    """A successful answer; `document` None is 204 without a body."""

    document: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


NO_CONTENT = Answer(None, 204)


@dataclass(frozen=True)
class Projection:
    """Which keys of a document the caller wants, by `fields` or `exclude_fields`."""

    only: tuple[tuple[str, ...], ...] = ()
    without: tuple[tuple[str, ...], ...] = ()

    def of(self, document: dict[str, Any]) -> dict[str, Any]:
        kept: dict[str, Any] = document
        if self.only:
            kept = _keep(document, self.only)
        elif self.without:
            kept = _drop(document, self.without)
        return kept


def read_projection(call: Call, shape: Shape) -> Projection:
    """The `fields` and `exclude_fields` of a call. Both together, or an unknown name in `fields`, is an error."""
    only, without = _paths(call.query.get("fields")), _paths(call.query.get("exclude_fields"))
    if (only and without) or not all(_is_known(path, shape) for path in only):
        raise problems.fields_invalid()
    return Projection(only, without)


def _paths(text: str | None) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(path.strip().split(".")) for path in (text or "").split(",") if path.strip())


def _is_known(path: tuple[str, ...], shape: Shape) -> bool:
    if path[0] not in shape:
        return False
    items = shape[path[0]]
    return len(path) == 1 or items is None or path[1] in items


def _keep(value: Any, paths: tuple[tuple[str, ...], ...]) -> Any:
    """The parts of the value on the paths; lists are gone through item by item."""
    if isinstance(value, list):
        return [_keep(item, paths) for item in value]
    if not isinstance(value, dict):
        return value
    kept: dict[str, Any] = {}
    for name in dict.fromkeys(path[0] for path in paths):
        if name in value:
            deeper = tuple(path[1:] for path in paths if path[0] == name)
            kept[name] = value[name] if () in deeper else _keep(value[name], deeper)
    return kept


def _drop(value: Any, paths: tuple[tuple[str, ...], ...]) -> Any:
    if isinstance(value, list):
        return [_drop(item, paths) for item in value]
    if not isinstance(value, dict):
        return value
    left: dict[str, Any] = {}
    for name, item in value.items():
        deeper = tuple(path[1:] for path in paths if path[0] == name)
        if () not in deeper:
            left[name] = _drop(item, deeper) if deeper else item
    return left
