"""Everything the stand-in knows, behind one lock: accounts, keys, the clock, the switches, the outgoing hooks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime

from .accounts import DEFAULT_SECRET, Account, Caller, new_account
from .audiences import Audience
from .clock import plain_stamp
from .delivery import Outbox
from .problems import not_found
from .readings import Readings

Clock = Callable[[], float | datetime]


class World:
    """The whole state. Whoever reads or changes it holds `lock`; nobody sleeps or talks to others under it."""

    def __init__(
        self,
        *,
        readings: Readings | None = None,
        now: Clock = time.time,
        retry_after: tuple[float, ...] | None = None,
    ) -> None:
        self.lock = threading.RLock()
        self.readings = readings or Readings()
        self._clock = now
        self.accounts: dict[str, Account] = {}
        self.keys: dict[str, Caller] = {}
        self.outbox = Outbox(now=self.seconds, retry_after=retry_after)

    def seconds(self) -> float:
        """Now, in seconds since 1970."""
        moment = self._clock()
        return moment.timestamp() if isinstance(moment, datetime) else moment

    def now(self) -> int:
        """Now, in the whole seconds that Mailchimp keeps."""
        return int(self.seconds())

    def seed(self) -> None:
        """The default account: three audiences allowed, none made, one owner with one key."""
        account = new_account("Example Practice", datacenter="us21", max_audiences=3, now=self.now())
        account.new_key(user_id="owner", role="owner", secret=DEFAULT_SECRET)
        self.add_account(account)

    def add_account(self, account: Account) -> None:
        self.accounts[account.id] = account
        for key in account.keys:
            self.keys[key.secret] = Caller(account, key)

    @property
    def default_account(self) -> Account:
        return next(iter(self.accounts.values()))

    def audience(self, audience_id: str) -> Audience:
        """An audience of any account; raises the 404 of the API."""
        for account in self.accounts.values():
            if audience_id in account.audiences:
                return account.audiences[audience_id]
        raise not_found()

    def emit(
        self, audience: Audience, event: str, source: str, data: Callable[[], list[tuple[str, str]]], now: int
    ) -> None:
        """Queue an event for every hook that wants it; `data` is only built if there is one."""
        hooks = [hook for hook in audience.webhooks if hook.wants(event, source)]
        if not hooks:
            return
        fields = [("type", event), ("fired_at", plain_stamp(now)), *data()]
        for hook in hooks:
            self.outbox.post(audience.id, hook, fields)
