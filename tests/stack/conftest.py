"""The whole local stack, started once for all tests that need it, those of the page among them.

Tests that break or restart a stack have their own (test_chaos.py, test_restart.py).
"""

from __future__ import annotations

import pytest

from infra.local.stack import LocalStack


@pytest.fixture(scope="session", autouse=True)
def one_package(packaged_once: None) -> None:
    """Also for the stacks that a test starts by itself."""


@pytest.fixture(scope="session")
def stack(local_stack: LocalStack) -> LocalStack:
    return local_stack
