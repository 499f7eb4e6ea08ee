"""External servers: all of a side, or none of it."""

from __future__ import annotations

import pytest

from infra.local.servers import MAILCHIMP_VARIABLES, PRACBILL_VARIABLES, ExternalServers, IncompleteServers

MAILCHIMP = dict.fromkeys(MAILCHIMP_VARIABLES, "m")
PRACBILL = dict.fromkeys(PRACBILL_VARIABLES, "p")


def test_without_variables_both_sides_are_stand_ins() -> None:
    servers = ExternalServers.from_environment({"PATH": "/bin"})
    assert not servers.has_mailchimp
    assert not servers.has_pracbill


def test_one_side_may_be_replaced_alone() -> None:
    servers = ExternalServers.from_environment(MAILCHIMP)
    assert servers.has_mailchimp
    assert not servers.has_pracbill


def test_both_sides_may_be_replaced() -> None:
    servers = ExternalServers.from_environment({**MAILCHIMP, **PRACBILL})
    assert servers.mailchimp_api_key == "m"
    assert servers.department_id == "p"


@pytest.mark.parametrize("missing", [*MAILCHIMP_VARIABLES, *PRACBILL_VARIABLES])
def test_a_partial_side_is_refused_naming_what_is_missing(missing: str) -> None:
    given = {name: value for name, value in {**MAILCHIMP, **PRACBILL}.items() if name != missing}
    with pytest.raises(IncompleteServers, match=f"missing: {missing} "):
        ExternalServers.from_environment(given)


def test_an_empty_variable_is_a_missing_one() -> None:
    with pytest.raises(IncompleteServers, match="missing: MAILCHIMP_API_KEY"):
        ExternalServers.from_environment({**MAILCHIMP, "MAILCHIMP_API_KEY": " "})
