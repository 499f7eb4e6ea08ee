from __future__ import annotations

import pytest

from chalicelib.errors import KeyRejected
from chalicelib.mailchimp.keys import MalformedKey, parse_api_key

SECRET = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("text", "prefix"), [(f"{SECRET}-us21", "us21"), (f"{SECRET}-us6", "us6"), (f"  {SECRET}-eux999\n", "eux999")]
)
def test_a_key_tells_its_server_and_a_hint_of_its_secret_part(text: str, prefix: str) -> None:
    key = parse_api_key(text)
    assert key.value == text.strip()
    assert key.server_prefix == prefix
    assert key.hint == "cdef"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "us21",
        SECRET,
        f"{SECRET}-",
        f"{SECRET}-us",
        f"{SECRET}-u1",
        f"{SECRET}-us1234",
        f"{SECRET}-usus1",
        f"{SECRET}-US21",
        f"{SECRET.upper()}-us21",
        f"{SECRET[:-1]}-us21",
        f"{SECRET}0-us21",
        f"{SECRET}-us21.evil.test/",
        f"{SECRET}-us2١",
        f"{SECRET}-us21\nX: y",
        f"evil.test/{SECRET}-us21",
        f"{SECRET} -us21",
    ],
)
def test_anything_else_is_no_key_and_the_message_does_not_repeat_it(text: str) -> None:
    with pytest.raises(MalformedKey) as raised:
        parse_api_key(text)
    assert isinstance(raised.value, KeyRejected)
    assert raised.value.code == "key_rejected"
    assert raised.value.message.startswith("Invalid API key")
    assert SECRET[:8] not in raised.value.message


def test_a_key_never_shows_itself() -> None:
    key = parse_api_key(f"{SECRET}-us21")
    assert SECRET not in repr(key)
    assert SECRET not in str(key)
    assert f"{key}".count("us21") == 1
