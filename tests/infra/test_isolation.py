"""The tests' own fence: nothing leaves this machine."""

from __future__ import annotations

import os
import socket

import pytest

from tests.conftest import OutsideWorldReached


def test_a_connection_to_another_machine_is_refused() -> None:
    with socket.socket() as client, pytest.raises(OutsideWorldReached):
        client.connect(("192.0.2.1", 80))  # reserved for documentation


def test_a_look_up_of_another_machine_is_refused() -> None:
    with pytest.raises(OutsideWorldReached):
        socket.create_connection(("us1.api.mailchimp.com", 443))


def test_this_machine_is_within_reach() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        client.sendall(b"here")


def test_the_credentials_open_nothing() -> None:
    assert os.environ["AWS_ACCESS_KEY_ID"] == "testing"
    assert "AWS_PROFILE" not in os.environ
