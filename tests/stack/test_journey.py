"""A newcomer's journey through the whole stack, checked from outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.local.demonstration import Demonstration
from infra.local.servers import ExternalServers
from infra.local.stack import LocalStack

pytestmark = pytest.mark.stack


def test_the_first_sync_and_an_opt_out_leave_the_audience_as_it_should_be(stack: LocalStack) -> None:
    told: list[str] = []
    assert Demonstration(stack, say=told.append, patience=60).give() == []
    assert any(line.startswith("Sync Logs") for line in told)
    assert any(line.startswith("PracBill knows it") for line in told)


def test_servers_of_others_take_the_stand_ins_places(stack: LocalStack, tmp_path: Path) -> None:
    """Another stack whose Mailchimp and PracBill run elsewhere: here, the first stack's."""
    servers = ExternalServers(
        mailchimp_api_url=stack.mailchimp["url"],
        mailchimp_api_key=stack.mailchimp["api_key"],
        pracbill_api_url=stack.pracbill["url"],
        pracbill_token=stack.pracbill["token"],
        pracbill_jwks_url=stack.pracbill["jwks_url"],
        pracbill_issuer=stack.pracbill["issuer"],
        access_token=stack.about["tokens"]["write"],
        department_id=stack.department_id,
    )
    with LocalStack(tmp_path, servers=servers) as other:
        assert other.about["tokens"] == {"read": None, "write": None}
        assert other.about["department_id"] == stack.department_id
        assert not {"mailchimp", "pracbill"} & other.about["processes"].keys()
        secret = stack.mailchimp["api_key"]
        assert not [path for path in tmp_path.glob("*.json") if secret in path.read_text()]
        assert Demonstration(other, servers, say=lambda line: None, patience=60).first_sync() == []
