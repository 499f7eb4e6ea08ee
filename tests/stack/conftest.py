"""The whole local stack, started once for all tests that need it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from infra.local.stack import LocalStack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A stack with a small department and a Mailchimp that answers at once."""
    with LocalStack(tmp_path_factory.mktemp("stack"), latency=False, customers=120) as started:
        yield started
