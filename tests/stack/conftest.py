"""The whole local stack, started once for all tests that need it, those of the page among them."""

from __future__ import annotations

import pytest

from infra.local.stack import LocalStack


@pytest.fixture(scope="session")
def stack(local_stack: LocalStack) -> LocalStack:
    return local_stack
