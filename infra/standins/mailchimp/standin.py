"""The stand-in as a whole: world, gate, server, outgoing hooks and the state file, started and stopped together."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from .control import Control, answer_control
from .gate import Gate
from .readings import Readings
from .server import API_ROOT, CONTROL_ROOT, HttpServer
from .storage import StateFile
from .traffic import Latency
from .world import Clock, World

SAVE_EVERY = 2.0


class MailchimpStandIn:
    """A Mailchimp on this machine.

    `port` 0 takes a free one. `state` is the file that survives a restart; without it nothing is kept. `now` gives
    the time for everything that Mailchimp stamps. `retry_after` are the seconds between tries of a webhook,
    `save_every` those between saves.

        with MailchimpStandIn(latency=Latency.none()) as mailchimp:
            requests.get(mailchimp.url + "/ping", auth=("any", mailchimp.api_key))
    """

    def __init__(
        self,
        *,
        port: int = 0,
        state: Path | None = None,
        latency: Latency | None = None,
        readings: Readings | None = None,
        now: Clock = time.time,
        retry_after: tuple[float, ...] | None = None,
        save_every: float = SAVE_EVERY,
    ) -> None:
        self._port = port
        self._save_every = save_every
        self._file = StateFile(state) if state else None
        self._stopped = threading.Event()
        self._saver = threading.Thread(target=self._save_often, name="saver", daemon=True)
        self.world = World(readings=readings, now=now, retry_after=retry_after)
        self._gate = Gate(self.world, latency=latency or Latency(), stopped=self._stopped)
        self.control = Control(self._gate, self._change_latency)
        self._server: HttpServer | None = None

    def start(self) -> Self:
        """Load the state and listen; the seeded account is made if there is no state yet."""
        if not (self._file and self._file.load(self.world)):
            self.world.seed()
        self.world.outbox.on_disabled = self._note_disabled
        self._server = HttpServer(self._port, self._gate, lambda request: answer_control(self.control, request))
        self._server.begin()
        self.world.outbox.start()
        self._saver.start()
        return self

    def stop(self) -> None:
        """Hang up on everybody, end every wait and save."""
        self._stopped.set()
        if self._server:
            self._server.close()
        self.world.outbox.stop()
        self._saver.join()
        self._save()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Base of the API: `http://127.0.0.1:PORT/3.0`."""
        return self._origin + API_ROOT

    @property
    def control_url(self) -> str:
        return self._origin + CONTROL_ROOT

    @property
    def api_key(self) -> str:
        """The first key of the first account."""
        account = self.world.default_account
        return account.full_key(account.keys[0])

    @property
    def _origin(self) -> str:
        if self._server is None:
            raise RuntimeError("the stand-in is not started")
        return self._server.origin

    def _change_latency(self, **seconds: float) -> None:
        self._gate.latency = replace(self._gate.latency, **seconds)

    def _note_disabled(self, audience_id: str) -> None:
        with self.world.lock:
            self.world.audience(audience_id).settings_unsaved = True

    def _save_often(self) -> None:
        while not self._stopped.wait(self._save_every):
            self._save()

    def _save(self) -> None:
        if self._file:
            self._file.save(self.world)
