from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.http_client.scripted import ScriptedServer, Waiting, scripted_server


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as script:
        yield script


@pytest.fixture
def waiting() -> Waiting:
    return Waiting()
