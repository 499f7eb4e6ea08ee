"""Addresses that keys, tokens and people's data may be sent to."""

from __future__ import annotations

from urllib.parse import urlsplit

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def is_protected(url: str) -> bool:
    """Whether what is sent to a web address is encrypted on its way, or never leaves this machine."""
    scheme, host = _parts(url)
    return bool(host) and (scheme == "https" or (scheme == "http" and host in LOOPBACK))


def is_plain_http(url: str) -> bool:
    """Whether it is a web address that anybody on the way could listen at."""
    scheme, host = _parts(url)
    return scheme == "http" and bool(host) and host not in LOOPBACK


def _parts(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname or ""
    except ValueError:  # brackets that hold no IPv6 address
        return "", ""
