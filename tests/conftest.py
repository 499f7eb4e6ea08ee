"""What holds for every test: AWS credentials that open nothing, no network beyond this machine, no stale caches."""

from __future__ import annotations

import gc
import importlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.distribution import OneServerAWorker, by_length, shuffled

if TYPE_CHECKING:
    from infra.local.stack import LocalStack

# How long an example takes tells how busy the machine is, not whether the code is right.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# For faults put in on purpose: that something fails is all there is to know, not the smallest example of it.
settings.register_profile("mutants", settings.get_profile("any machine"), phases=[Phase.explicit, Phase.generate])
# Half as many examples as `make test` has, of properties that name no number of their own.
settings.register_profile("fast", settings.get_profile("any machine"), max_examples=50)
settings.load_profile("any machine")

for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]
# The tables' names follow from the stage.
os.environ.setdefault("STAGE", "test")
os.environ.update(
    AWS_ACCESS_KEY_ID="testing",
    AWS_SECRET_ACCESS_KEY="testing",
    AWS_SESSION_TOKEN="testing",
    AWS_DEFAULT_REGION="eu-central-1",
    AWS_EC2_METADATA_DISABLED="true",
)


# Before any session of the SDK is made: what it adds holds for later ones only.
importlib.import_module("tests.aws_emulator")


_WORKFLOWS = Path(__file__).parent / "sync"


class OutsideWorldReached(BaseException):
    """A test tried to leave this machine. Not an Exception, so that no code under test can take it for a fault."""


class ServerStarted(BaseException):
    """A test of the fast tier started a process or a server. Not an Exception, for the same reason."""


def _is_loopback(address: Any) -> bool:
    if not isinstance(address, tuple):
        return True  # a socket in the file system
    host = str(address[0])
    return host.startswith("127.") or host in {"::1", "localhost"}


def _guard(connect: Any) -> Any:
    def guarded(self: socket.socket, address: Any) -> Any:
        if self.family in {socket.AF_INET, socket.AF_INET6} and not _is_loopback(address):
            raise OutsideWorldReached(f"a test tried to reach {address}")
        return connect(self, address)

    return guarded


def _guard_lookup(getaddrinfo: Any) -> Any:
    def guarded(host: Any, *arguments: Any, **options: Any) -> Any:
        if host and not _is_loopback((host if isinstance(host, str) else host.decode(),)):
            raise OutsideWorldReached(f"a test tried to look up {host}")
        return getaddrinfo(host, *arguments, **options)

    return guarded


def pytest_addoption(parser: pytest.Parser) -> None:
    told = "leave out what starts a process or listens on a port, and hold the rest to it"
    parser.addoption("--fast", action="store_true", help=told)
    told = "take the files, and the tests of each, in a random order that is the same for the same number"
    parser.addoption("--shuffle", type=int, metavar="SEED", help=told)


def pytest_sessionstart(session: pytest.Session) -> None:
    if session.config.option.fast and not session.config.getoption("--hypothesis-profile"):
        settings.load_profile("fast")  # tests that are collected from here on have it


def pytest_configure() -> None:
    socket.socket.connect = _guard(socket.socket.connect)  # type: ignore[method-assign]
    socket.socket.connect_ex = _guard(socket.socket.connect_ex)  # type: ignore[method-assign]
    socket.getaddrinfo = _guard_lookup(socket.getaddrinfo)


@pytest.fixture(scope="session", autouse=True)
def no_servers(pytestconfig: pytest.Config) -> None:
    """In the fast tier, nothing starts a process or listens."""

    def refuse(self: Any, *_: Any, **__: Any) -> Any:
        raise ServerStarted("this test starts a process or listens on a port: mark it as `server`")

    if pytestconfig.option.fast:
        subprocess.Popen.__init__ = refuse  # type: ignore[method-assign]
        socket.socket.listen = refuse  # type: ignore[method-assign]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    config.option.loadscopereorder = False  # our order, not that of how many tests a file has
    return OneServerAWorker(config, log)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """The fast tier does not even import files of workflows of which it takes none."""
    is_test = collection_path.name.startswith("test_") and collection_path.is_relative_to(_WORKFLOWS)
    return True if config.option.fast and is_test and "mark.fast" not in collection_path.read_text() else None


def _is_fast(item: pytest.Item) -> bool:
    if any(item.iter_markers("server")) or any(item.iter_markers("bulk")):
        return False
    return not item.path.is_relative_to(_WORKFLOWS) or any(item.iter_markers("fast"))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.option.fast:
        items[:] = [item for item in items if _is_fast(item)]
    if config.option.shuffle is not None:
        items[:] = shuffled([(item.nodeid.partition("::")[0], item) for item in items], config.option.shuffle)
    if hasattr(config, "workerinput"):
        place = by_length({item.nodeid for item in items})
        items.sort(key=lambda item: place[item.nodeid])


def pytest_collection_finish() -> None:
    """What is there by now stays: looking for garbage in it again and again took a tenth of the fast tier."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@pytest.fixture(scope="session")
def dynamodb_local_address() -> Iterator[str]:
    """One for all tests of the process: it takes seconds to start."""
    from tests import dynamodb_local

    try:
        with dynamodb_local.running() as address:
            yield address
    except dynamodb_local.Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def other_origin_port() -> int:
    """Where a test may show a page of its own; the local stack knows that origin from its start."""
    from infra.local.processes import choose_port

    return choose_port()


@pytest.fixture(scope="session")
def packaged_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """All stacks of the process run copies of one package: making it takes as long as a third of a start."""
    from infra.deploy import page
    from infra.local import stack

    page.build()  # the service serves it, and the host shows it
    made = stack.package_for_here(tmp_path_factory.mktemp("package")).parent

    def copy(out: Path) -> Path:
        shutil.copytree(made, out, dirs_exist_ok=True)
        return out / "sam.yaml"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stack, "package_for_here", copy)
        yield


@pytest.fixture(scope="session")
def local_stack(
    tmp_path_factory: pytest.TempPathFactory, other_origin_port: int, packaged_once: None
) -> Iterator[LocalStack]:
    """The whole local stack with a small department and a Mailchimp that answers at once, for all that need one.

    At the end of the session everything that the functions called meanwhile is held against their permissions.
    """
    from infra.local.stack import LocalStack

    environment = {"ALLOWED_ORIGINS": f"http://127.0.0.1:{other_origin_port}"}
    folder = tmp_path_factory.mktemp("stack")
    with LocalStack(
        folder,
        latency=False,
        customers=120,
        host=True,
        environment=environment,
        workers={"sync_worker": 4, "event_worker": 1},  # those that wait ask the queue all the time
        trace_calls=True,
    ) as started:
        yield started
    assert started.denied_calls() == [], (
        "AWS would deny these calls: infra/deploy/resources/permissions.yaml lacks them"
    )


@pytest.fixture(autouse=True)
def fresh_factories() -> Iterator[None]:
    """Settings and clients are built once per process; each test starts without them."""
    yield
    for clear in _caches(len(sys.modules)):
        clear()


@cache
def _caches(_modules: int) -> list[Callable[[], None]]:
    """What empties the caches of all modules loaded so far, but for AWS's descriptions of its services.

    Looked for again when there are more modules: after each test it would take longer than most of them.
    """
    return [
        value.cache_clear
        for name in [name for name in sys.modules if name.startswith("chalicelib")]
        for key, value in vars(sys.modules[name]).items()
        if callable(getattr(value, "cache_clear", None)) and key != "_descriptions"
    ]
