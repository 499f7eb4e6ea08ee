"""The journey of a newcomer, each step of it checked from outside: what `make demo` shows and the tests repeat."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import requests

from infra.local import verify
from infra.local.journey import PATIENCE_SECONDS, Api, Journey
from infra.local.servers import ExternalServers
from infra.local.stack import LocalStack
from infra.standins.mailchimp.addresses import is_well_formed, looks_fake

_WEBHOOK_SECONDS = 30.0  # Mailchimp's call, our queue and PracBill's answer take a second or two


def open_api(stack: LocalStack, servers: ExternalServers) -> Api:
    """The started service, as a user with write access."""
    token = servers.access_token or stack.about["tokens"]["write"]
    return Api(stack.api_url, stack.department_id, token)


def api_key_of(stack: LocalStack, servers: ExternalServers) -> str:
    return servers.mailchimp_api_key or str(stack.mailchimp["api_key"])


class Demonstration:
    """Needs a started stack. `say` is given each line; see Journey for `patience`."""

    def __init__(
        self,
        stack: LocalStack,
        servers: ExternalServers | None = None,
        *,
        say: Callable[[str], None] = print,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        servers = servers or ExternalServers()
        self._stack = stack
        self._servers = servers
        self._say = say
        self._api = open_api(stack, servers)
        self._journey = Journey(self._api, say=say, patience=patience)
        self._mailchimp = verify.Mailchimp(
            servers.mailchimp_api_url or stack.mailchimp["url"], api_key_of(stack, servers)
        )
        self._pracbill = verify.PracBill(
            servers.pracbill_api_url or stack.pracbill["url"],
            servers.pracbill_token or stack.pracbill["token"],
            stack.department_id,
        )

    def give(self) -> list[str]:
        """The whole of it. Returns what was found wrong, in words; nothing if all is right."""
        differences = self.first_sync()
        if not differences and not (self._servers.has_mailchimp or self._servers.has_pracbill):
            differences = self.opt_out()
        return differences

    def first_sync(self) -> list[str]:
        """Connect, choose an audience, sync all."""
        audiences = self._mailchimp.audience_ids()
        before = self._mailchimp.members(audiences[0]) if audiences else {}
        runs = self._journey.travel(self._mailchimp.api_key)
        return self._check(before, runs)

    def opt_out(self) -> list[str]:
        """Somebody unsubscribes in a mail: PracBill must hear of it by the webhook, and no sync may bring them back."""
        address = min(a for a, member in self._members().items() if member["status"] == "subscribed")
        self._say(f"{verify.mask(address)} unsubscribes")
        control = f"{self._stack.mailchimp['control_url']}/unsubscribe"
        requests.post(control, json={"email": address}, timeout=30).raise_for_status()
        members = self._members()
        unheard = self._await_opt_out(address)
        runs = [self._journey.sync("incremental"), self._journey.sync("full")]
        return [*unheard, *self._check(members, runs)]

    def _await_opt_out(self, address: str) -> list[str]:
        started = time.monotonic()
        while time.monotonic() < started + _WEBHOOK_SECONDS:
            if verify.strictest_consent(verify.by_address(self._pracbill.customers())[address]) == "unsubscribed":
                self._say(f"PracBill knows it after {time.monotonic() - started:.1f} s")
                return []
            time.sleep(0.25)
        return [f"PracBill did not hear within {_WEBHOOK_SECONDS:.0f} s that {verify.mask(address)} unsubscribed"]

    def _check(self, before: Mapping[str, verify.Document], runs: list[dict[str, Any]]) -> list[str]:
        members, customers = self._members(), list(self._pracbill.customers())
        report = verify.Verification(
            customers,
            members,
            before=before,
            is_refused=self._judge_of_refusals(members.keys() - before.keys(), customers, runs),
            unknown_consent=self._api.call("GET", "D/settings")["unknown_consent"],
            country=self._pracbill.country(),
            foreign_fields=self._mailchimp.foreign_fields(self._api.call("GET", "D/connection")["audience"]["id"]),
        ).compare()
        self._say(f"Checked from outside: {report.summary()}")
        return report.differences

    def _judge_of_refusals(
        self, added: Collection[str], customers: Sequence[verify.Document], runs: list[dict[str, Any]]
    ) -> Callable[[str], bool]:
        """Our stand-in's own rule; what another Mailchimp refused only the records of the runs can tell."""
        if not self._servers.has_mailchimp:
            return lambda address: not is_well_formed(address) or looks_fake(address)
        ids = {record["customer_id"] for run in runs for record in self._refusals(run["id"])}
        refused = {
            a
            for a, address_customers in verify.by_address(customers).items()
            if ids & {str(c["id"]) for c in address_customers}
        }
        return lambda address: address not in added and (address in refused or not is_well_formed(address))

    def _refusals(self, run_id: str) -> Iterator[dict[str, Any]]:
        path, cursor = f"D/syncs/{run_id}/records?outcome=refused&limit=100", ""
        while cursor is not None:
            page = self._api.call("GET", f"{path}&cursor={quote(cursor)}" if cursor else path)
            yield from page["items"]
            cursor = page["next_cursor"]

    def _members(self) -> dict[str, dict[str, Any]]:
        return self._mailchimp.members(self._api.call("GET", "D/connection")["audience"]["id"])
