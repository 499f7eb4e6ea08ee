"""The whole service on this machine: emulator, stand-ins, deployed template, pollers. Started, stopped, found again.

    with LocalStack(folder, latency=False, customers=200) as stack:
        stack.call("GET", f"/departments/{stack.department_id}/connection", access="read")

Everything lives in one folder: state, logs, the deployed code, and the description of a running stack (stack_state.py).
State survives `stop` and the next `start` in the same folder. What ends by itself is started again (watch.py).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

from infra.deploy.bytecode import add_byte_code
from infra.deploy.package import PROJECT, build_package
from infra.local import emulator, permissions, processes, smoke
from infra.local import stack_state as stack_state
from infra.local.deployment import STAGE, DataChanged, Deployment, QueueConsumer, data_shape, read_template
from infra.local.emulator import Emulator
from infra.local.processes import Command
from infra.local.servers import ExternalServers

# Processes for each function that takes messages. On AWS the mapping's MaximumConcurrency bounds them.
WORKERS = {"sync_worker": 10, "event_worker": 2, "dead_letters": 1}
_REHEARSAL = "smoke"
_REHEARSAL_WORKERS = 3
CALL_NOTES_FOLDER = PROJECT / "infra" / "local" / "call_notes"
_USUAL_PORTS = {"emulator": emulator.DEFAULT_PORT, "mailchimp": 4580, "pracbill": 4590, "host": 4600}
# What a developer may set for the functions of the local stack.
PASSED_ON = ("ALLOWED_ORIGINS", "LOG_LEVEL", "LOG_RETENTION_DAYS", "PUBLIC_URL", "SYNC_SCHEDULE")


def _plain() -> dict[str, str]:
    """The environment of a process that is no function."""
    return {**emulator.bare_environment(), "PYTHONPATH": str(PROJECT)}


class AlreadyRunning(Exception):
    """Another stack runs from this folder; the message says where."""


@dataclass(slots=True)
class _Started:
    """What a stack is made of while it comes up and runs."""

    processes: dict[str, int] = field(default_factory=dict)
    commands: dict[str, Command] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    mailchimp: dict[str, Any] = field(default_factory=dict)
    pracbill: dict[str, Any] = field(default_factory=dict)


class LocalStack:
    """One stack in one folder.

    `latency`: whether the Mailchimp stand-in takes as long as Mailchimp. `customers`: size of a newly seeded
    department (None: the stand-in's own choice). `mailchimp_options`: further arguments of its stand-in.
    `usual_ports`: try the well-known ports first, not just any free ones. `servers`: servers to use instead of
    stand-ins. `host`: also show the page, embedded as in PracBill's front end. `environment`: variables for the
    functions. `trace_calls`: note the functions' AWS calls, for `denied_calls`.
    """

    def __init__(  # noqa: PLR0913 - each is a choice of who starts a stack
        self,
        folder: Path,
        *,
        latency: bool = True,
        customers: int | None = None,
        mailchimp_options: Sequence[str] = (),
        usual_ports: bool = False,
        servers: ExternalServers | None = None,
        host: bool = False,
        environment: Mapping[str, str] | None = None,
        workers: Mapping[str, int] | None = None,
        trace_calls: bool = False,
    ) -> None:
        self.folder = folder.resolve()
        self._latency = latency
        self._customers = customers
        self._mailchimp_options = mailchimp_options
        self._usual_ports = usual_ports
        self._servers = servers or ExternalServers()
        self._with_host = host
        self._environment = dict(environment or {})
        self._workers = {**WORKERS, **(workers or {})}
        self._trace = self.folder / "calls.jsonl" if trace_calls else None
        self._started = _Started()
        self.about: dict[str, Any] = {}

    # what is known of a running stack

    @property
    def api_url(self) -> str:
        return str(self.about["api_url"])

    @property
    def department_id(self) -> str:
        return str(self.about["department_id"])

    @property
    def mailchimp(self) -> dict[str, Any]:
        """The Mailchimp stand-in's url, control_url and api_key."""
        return dict(self.about["mailchimp"])

    @property
    def pracbill(self) -> dict[str, Any]:
        """The PracBill stand-in's url, control_url, token, jwks_url, issuer."""
        return dict(self.about["pracbill"])

    @property
    def host_url(self) -> str:
        """Where the page is shown. KeyError for a stack without it."""
        return str(self.about["host_url"])

    def started_pids(self) -> list[int]:
        """Ids of the processes that the last start began, also of one that failed."""
        return list(self._started.processes.values())

    def client(self, service: str) -> Any:
        """A boto3 client of the emulator."""
        return emulator.client(service, str(self.about["emulator_url"]))

    def denied_calls(self) -> list[permissions.Call]:
        """Calls that the functions made so far and that their roles would not allow on AWS."""
        if self._trace is None:
            raise ValueError("the stack was started without trace_calls")
        template = read_template(self.folder / "package" / "sam.yaml")
        calls = [call for call in permissions.read_calls(self._trace) if call.function != _REHEARSAL]
        return permissions.denied_calls(template, calls, stage=STAGE)

    def call(self, method: str, path: str, *, json: Any = None, access: str = "write") -> requests.Response:
        """Call the API with the stand-in issuer's token of that access."""
        session = requests.Session()
        session.trust_env = False
        headers = {"Authorization": f"Bearer {self.about['tokens'][access]}"}
        return session.request(method, self.api_url + path, json=json, headers=headers, timeout=60)

    # starting

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> dict[str, Any]:
        """Start everything and check it. Returns what stack.json says.

        Raises AlreadyRunning, ProcessFailed, DeploymentFailed, DataChanged or SmokeTestFailed; nothing is left
        running then.
        """
        with locked(self.folder):
            self._refuse_second()
            self._bring_up_somewhere()
        return self.about

    def _refuse_second(self) -> None:
        known = stack_state.read(self.folder)
        if known is None:
            return
        if "emulator" not in (gone := stack_state.missing(self.folder, known)):
            trouble = f" Of it {', '.join(gone)} ended: make stop and make run again mend that." if gone else ""
            where = known.get("host_url", known["api_url"])
            raise AlreadyRunning(f"A stack is running already: {where} (make stop ends it).{trouble}")
        stack_state.end(self.folder, known["processes"])
        stack_state.forget(self.folder)
        print("The last stack was not stopped but broke down: the emulator's state since its start is lost.")

    def _bring_up_somewhere(self) -> None:
        """Bring everything up; on other ports when another server was faster to take one."""
        for last in (False, False, True):
            try:
                return self._bring_up()
            except BaseException as error:
                stack_state.end(self.folder, self._started.processes)
                stack_state.forget(self.folder)
                taken = [port for port in self._started.ports.values() if not processes.is_free(port)]
                if last or not taken or not isinstance(error, processes.ProcessFailed):
                    raise
                self._started = _Started()

    def _bring_up(self) -> None:
        self._choose_ports()
        template = package_for_here(self.folder / "package")
        self._refuse_changed_data(template)
        self._unpack()
        self._start_standins()
        running = self._start_emulator()
        self._await_standins()
        deployment = Deployment(running, template=template, archive=self.folder / "package" / "deployment.zip")
        self._deploy(deployment)
        self._store_token(running)
        with self._rehearsed(deployment, running):
            smoke.check_stack(deployment, running)
        self._start_pollers(deployment, running)
        self._start_host(deployment)
        self._describe(deployment, running)

    def _start_emulator(self) -> Emulator:
        scratch, log = self.folder / "scratch", self.folder / "emulator.log"
        shutil.rmtree(scratch, ignore_errors=True)  # the emulator leaves unpacked code behind
        port = self._started.ports["emulator"]
        running = emulator.launch(
            port=port, state=self.folder / "emulator", scratch=scratch, log=log, further=self._tracing()
        )
        self._started.processes["emulator"] = running.pid
        emulator.wait_until_ready(running, log)
        return running

    def _choose_ports(self) -> None:
        path = self.folder / "ports.json"
        last: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}
        usual = _USUAL_PORTS if self._usual_ports else {}
        for name in _USUAL_PORTS:
            taken = set(self._started.ports.values())
            port = processes.choose_port(last.get(name), usual.get(name))
            while port in taken:
                port = processes.choose_port()
            self._started.ports[name] = port
        path.write_text(json.dumps(self._started.ports))

    def _refuse_changed_data(self, template: Path) -> None:
        """A kept stack goes on only with the tables, queues and functions it was made with."""
        path = self.folder / "shape.json"
        shape = data_shape(read_template(template))
        if path.exists() and (self.folder / "emulator").exists() and json.loads(path.read_text()) != shape:
            raise DataChanged(
                f"The template's tables, queues or functions changed since {self.folder} was made. "
                "FRESH=1 make run starts anew (the old state is lost)."
            )
        path.write_text(json.dumps(shape))

    def _unpack(self) -> None:
        code = self.folder / "code"
        shutil.rmtree(code, ignore_errors=True)
        with zipfile.ZipFile(self.folder / "package" / "deployment.zip") as archive:
            archive.extractall(code)

    # stand-ins

    def _start_standins(self) -> None:
        if not self._servers.has_mailchimp:
            options = [*self._mailchimp_options, *([] if self._latency else ["--no-latency"])]
            self._start_standin("mailchimp", options)
        if not self._servers.has_pracbill:
            self._start_standin("pracbill", [] if self._customers is None else ["--customers", str(self._customers)])

    def _start_standin(self, name: str, options: Sequence[str]) -> None:
        state, port = self.folder / f"{name}.json", self._started.ports[name]
        command = [sys.executable, "-m", f"infra.standins.{name}", "--port", str(port), "--state", str(state), *options]
        self._start(name, command, environment=_plain())

    def _tracing(self) -> dict[str, str]:
        """What makes a function's process note its calls."""
        return {"PYTHONPATH": str(CALL_NOTES_FOLDER), "CALL_TRACE": str(self._trace)} if self._trace else {}

    def _await_standins(self) -> None:
        for name in ("mailchimp", "pracbill"):
            if name in self._started.processes:
                log = self.folder / f"{name}.log"
                announced = processes.read_announcement(self._started.processes[name], log)
                setattr(self._started, name, announced)

    def _start(
        self,
        name: str,
        arguments: list[str],
        *,
        environment: dict[str, str],
        secret: Mapping[str, str] | None = None,
    ) -> None:
        """`secret`: variables that are not written down."""
        log = self.folder / f"{name}.log"
        command = processes.Command(arguments, environment, log=str(log), directory=str(self.folder))
        self._started.commands[name] = command
        self._started.processes[name] = replace(command, environment={**environment, **(secret or {})}).start()

    # deployment

    def _deploy(self, deployment: Deployment) -> None:
        addresses = self._addresses()
        schedule = self._environment.get("SYNC_SCHEDULE", "rate(4 hours)")
        if deployment.exists():
            deployment.renew()
            deployment.set_schedule(schedule)
        else:
            deployment.create(
                {
                    "Stage": STAGE,
                    "PracBillApiUrl": addresses["PRACBILL_API_URL"],
                    "PracBillJwksUrl": addresses["PRACBILL_JWKS_URL"],
                    "PracBillIssuer": addresses["PRACBILL_ISSUER"],
                    "MailchimpApiUrl": addresses["MAILCHIMP_API_URL"],
                    "SyncSchedule": schedule,
                }
            )
        deployment.repair()
        variables = {"PUBLIC_URL": deployment.api_url, "SYNC_SCHEDULE": schedule, **self._environment, **addresses}
        if self._with_host:
            origins = [self._environment.get("ALLOWED_ORIGINS", ""), *self._host_origins()]
            variables["ALLOWED_ORIGINS"] = ",".join(filter(None, origins))
        deployment.set_environment(variables)

    def _addresses(self) -> dict[str, str]:
        servers, pracbill, mailchimp = self._servers, self._started.pracbill, self._started.mailchimp
        return {
            "PRACBILL_API_URL": servers.pracbill_api_url or pracbill["url"],
            "PRACBILL_JWKS_URL": servers.pracbill_jwks_url or pracbill["jwks_url"],
            "PRACBILL_ISSUER": servers.pracbill_issuer or pracbill["issuer"],
            "MAILCHIMP_API_URL": servers.mailchimp_api_url or mailchimp["url"],
        }

    def _store_token(self, running: Emulator) -> None:
        secrets = running.client("secretsmanager")
        name, token = f"pracbill-mailchimp/{STAGE}/pracbill-token", self._servers.pracbill_token
        token = token or self._started.pracbill["token"]
        try:
            secrets.put_secret_value(SecretId=name, SecretString=token)
        except secrets.exceptions.ResourceNotFoundException:
            secrets.create_secret(Name=name, SecretString=token)

    # the page

    def _host_origins(self) -> list[str]:
        return [f"http://{name}:{self._started.ports['host']}" for name in ("127.0.0.1", "localhost")]

    def _start_host(self, deployment: Deployment) -> None:
        if not self._with_host:
            return
        pracbill = self._started.pracbill
        command = [
            sys.executable, "-m", "infra.local.host", str(self.folder),
            "--port", str(self._started.ports["host"]),
            "--api", deployment.api_url,
            "--department", self._servers.department_id or pracbill["department_id"],
        ]  # fmt: skip
        command += [] if self._servers.has_pracbill else ["--pracbill", pracbill["control_url"]]
        # Somebody's own token stays out of running.json, so after a breakdown only make run can hand it on again.
        self._start("host", command, environment=_plain(), secret={"ACCESS_TOKEN": self._servers.access_token})
        processes.read_announcement(self._started.processes["host"], self.folder / "host.log")

    # pollers

    def _start_pollers(self, deployment: Deployment, running: Emulator) -> None:
        for consumer in deployment.consumers():
            name = consumer.function.rpartition("-")[2]
            self._start_poller(name, consumer, deployment.function(consumer.function), running)

    def _start_poller(self, name: str, consumer: QueueConsumer, function: Mapping[str, Any], running: Emulator) -> None:
        configuration = {
            "function": consumer.function,
            "handler": function["Handler"],
            "queue_url": consumer.queue_url,
            "queue_arn": consumer.queue_arn,
            "reports_failures": consumer.reports_failures,
            "workers": self._workers.get(name, _REHEARSAL_WORKERS),
            "timeout": function["Timeout"],
            "memory": function["MemorySize"],
            "code": str(self.folder / "code"),
        }
        path = self.folder / f"{name}.poller.json"
        path.write_text(json.dumps(configuration))
        command = [sys.executable, "-m", "infra.local.pollers", str(path)]
        self._start(name, command, environment=self._poller_environment(consumer.function, function, running))

    def _poller_environment(self, name: str, function: Mapping[str, Any], running: Emulator) -> dict[str, str]:
        return {
            **emulator.bare_environment(),
            **emulator.CREDENTIALS,
            "AWS_ENDPOINT_URL": running.url,
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function["MemorySize"]),
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "LAMBDA_TASK_ROOT": str(self.folder / "code"),
            **self._tracing(),
            "PYTHONPATH": os.pathsep.join([str(CALL_NOTES_FOLDER)] * bool(self._trace) + [str(PROJECT)]),
            "OBJC_DISABLE_INITIALIZE_FORK_SAFETY": "YES",  # macOS would end forked workers at their first call
            **function.get("Environment", {}).get("Variables", {}),
        }

    @contextlib.contextmanager
    def _rehearsed(self, deployment: Deployment, running: Emulator) -> Iterator[None]:
        """Send two groups through workers that do nothing but meet, while the block runs."""
        sync = next(c for c in deployment.consumers() if c.function.endswith("-sync_worker"))
        rehearsal = smoke.GroupRehearsal(running, like=sync, folder=self.folder / _REHEARSAL)
        function = {"Handler": "infra.local.smoke.meet", "Timeout": 30, "MemorySize": 128}
        self._start_poller(_REHEARSAL, rehearsal.prepare(), function, running)
        try:
            yield
            rehearsal.check()
        finally:
            processes.ask_to_end(self._started.processes.pop(_REHEARSAL))
            del self._started.commands[_REHEARSAL]
            rehearsal.clean_up()

    # telling, and stopping

    def _describe(self, deployment: Deployment, running: Emulator) -> None:
        pracbill = self._started.pracbill
        self.about = {
            "api_url": deployment.api_url,
            "webhook_base_url": self._environment.get("PUBLIC_URL", deployment.api_url),
            "department_id": self._servers.department_id or pracbill["department_id"],
            "tokens": pracbill.get("tokens") or {"read": None, "write": None},
            "processes": dict(self._started.processes),
            "commands": {name: asdict(command) for name, command in self._started.commands.items()},
            "emulator_url": running.url,
            **({"host_url": self._host_origins()[0]} if self._with_host else {}),
            "mailchimp": self._started.mailchimp or None,
            "pracbill": {k: v for k, v in pracbill.items() if k != "tokens"} or None,
            "logs": str(self.folder),
        }
        stack_state.write(self.folder, self.about)  # the watch reads it
        command = [sys.executable, "-m", "infra.local.watch", str(self.folder)]
        self._start(stack_state.WATCH, command, environment=_plain())
        self.about["processes"][stack_state.WATCH] = self._started.processes[stack_state.WATCH]
        self.about = stack_state.write(self.folder, self.about)

    def stop(self) -> bool:
        """End everything, state saved. Whether there was anything to end."""
        return stack_state.stop(self.folder) is not None


def package_for_here(out: Path) -> Path:
    """Package what this machine's own Python runs; returns the template's path.

    The byte code comes with it: each function and each poller has a copy of the code and would compile it by itself.
    """
    template = build_package(out=out, stage=STAGE, sources_only=True)
    add_byte_code(out / "deployment.zip", python=sys.executable)
    return template


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Nobody else starts or stops a stack in the folder meanwhile. Raises AlreadyRunning."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(f"A stack is being started or stopped in {folder} by somebody else.") from None
        yield
