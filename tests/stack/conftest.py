"""The whole local stack, started once for all tests that need it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from infra.local.stack import LocalStack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A stack with a small department and a Mailchimp that answers at once.

    At the end of the session everything that the functions called meanwhile is held against their permissions.
    """
    with LocalStack(tmp_path_factory.mktemp("stack"), latency=False, customers=120, trace_calls=True) as started:
        yield started
    assert started.denied_calls() == [], (
        "AWS would deny these calls: infra/deploy/resources/permissions.yaml lacks them"
    )
