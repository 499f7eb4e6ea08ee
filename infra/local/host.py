"""Stands in for PracBill's front end: a page that embeds ours, and the tokens of whoever is signed in there.

    python -m infra.local.host FOLDER --port 4600 --api URL --department ID [--pracbill CONTROL_URL]

Its page is as strict as PracBill's should be (docs/page.md): a closed Content-Security-Policy with Trusted Types.
Tokens last five minutes, so that renewing them happens for real. Only for this machine: it listens on loopback, and
hands out a token to nobody but its own page.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import urlsplit

import requests

from infra.standins.pracbill.answers import Answer, Refusal, Request, encode
from infra.standins.pracbill.server import LoopbackServer

ACCESSES = ("write", "read", "none")
THEMES = ("auto", "light", "dark")
TOKEN_SECONDS = 300
ASSETS = Path(__file__).resolve().parent / "host_page"
BUNDLE = Path(__file__).resolve().parents[2] / "chalicelib" / "page" / "pracbill-mailchimp.js"
_ASSET_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}

# Mints a token for an access of ACCESSES.
Mint = Callable[[str], str]


def content_security_policy(api_url: str, *, script_origin: str = "") -> str:
    """The policy for a page that embeds ours; `script_origin` where the script comes from the service itself."""
    parts = urlsplit(api_url)
    scripts = f"'self' {script_origin}".strip()
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'self'; img-src 'self'; "
        f"connect-src 'self' {parts.scheme}://{parts.netloc}; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types lit-html 'allow-duplicates'"
    )


@dataclass(frozen=True, slots=True)
class Host:
    """Answers the page's requests. `port` is its own."""

    api_url: str
    department_id: str
    mint: Mint
    port: Callable[[], int]

    def answer(self, request: Request) -> Answer:
        try:
            self._refuse_strangers(request)
            return self._route(request)
        except Refusal as refusal:
            return refusal.answer()

    def _refuse_strangers(self, request: Request) -> None:
        """A name that somebody points at this machine must not lead here (DNS rebinding)."""
        if request.headers.get("host") not in (f"127.0.0.1:{self.port()}", f"localhost:{self.port()}"):
            raise Refusal(403, "This is for the browser on this machine.")

    def _route(self, request: Request) -> Answer:
        match request.method, request.path:
            case "GET", "/":
                return self._page(request)
            case "GET", "/assets/pracbill-mailchimp.js":
                return _file(BUNDLE, missing="The page is not built: make page.")
            case "GET", "/host.js" | "/host.css" | "/host.svg":
                return _file(ASSETS / request.segments[0], missing="")
            case "POST", "/token":
                return self._token(request)
        raise Refusal(404, "There is nothing here.")

    def _page(self, request: Request) -> Answer:
        access = _choice(request.query.get("access"), ACCESSES)
        theme = _choice(request.query.get("theme"), THEMES)
        html = (ASSETS / "host.html").read_text(encoding="utf-8")
        for name, value in (
            ("{department}", self.department_id),
            ("{api}", self.api_url),
            ("{access}", access),
            ("{theme}", theme),
        ):
            html = html.replace(name, escape(value, quote=True))
        headers = {
            "Cache-Control": "no-store",
            "Content-Security-Policy": content_security_policy(self.api_url),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        }
        return Answer(200, html.encode(), content_type="text/html; charset=utf-8", headers=headers)

    def _token(self, request: Request) -> Answer:
        if request.headers.get("sec-fetch-site") != "same-origin":
            raise Refusal(403, "Tokens are for this host's own page.")
        body = request.json()
        access = _choice(body.get("access") if isinstance(body, dict) else None, ACCESSES)
        return Answer(200, encode({"token": self.mint(access)}), headers={"Cache-Control": "no-store"})


def _choice(given: str | None, choices: tuple[str, ...]) -> str:
    return given if given in choices else choices[0]


def _file(path: Path, *, missing: str) -> Answer:
    """A file as it is on the disk now: a reload shows what was built last."""
    try:
        body = path.read_bytes()
    except FileNotFoundError:
        raise Refusal(404, missing) from None
    return Answer(200, body, content_type=_ASSET_TYPES[path.suffix], headers={"Cache-Control": "no-store"})


def standin_mint(control_url: str, department_id: str, *, seconds: float = TOKEN_SECONDS) -> Mint:
    """Tokens of the PracBill stand-in."""

    def mint(access: str) -> str:
        session = requests.Session()
        session.trust_env = False
        granted = {} if access == "none" else {department_id: access}
        wanted = {"subject": f"local-{access}", "mailchimp_access": granted, "expires_in": seconds}
        answer = session.post(f"{control_url}/tokens", json=wanted, timeout=10)
        if answer.status_code != 200:
            raise Refusal(502, "The PracBill stand-in gives no token.")
        return str(answer.json()["token"])

    return mint


def handed_on(token: str) -> Mint:
    """The one token there is, whatever access it gives."""

    def mint(access: str) -> str:
        if not token:
            raise Refusal(503, "ACCESS_TOKEN is not known any more: make stop and make run again.")
        return token

    return mint


def serve(*, port: int, api_url: str, department_id: str, mint: Mint) -> LoopbackServer:
    """A running host; `close` ends it."""
    started: list[LoopbackServer] = []
    host = Host(api_url, department_id, mint, port=lambda: started[0].port)
    started.append(LoopbackServer(host.answer, port=port))
    return started[0]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.local.host")
    parser.add_argument("folder", help="of the stack that this belongs to")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--api", required=True)
    parser.add_argument("--department", required=True)
    parser.add_argument("--pracbill", default="", help="where the PracBill stand-in mints tokens; else ACCESS_TOKEN")
    options = parser.parse_args()
    token = os.environ.get("ACCESS_TOKEN", "")
    mint = standin_mint(options.pracbill, options.department) if options.pracbill else handed_on(token)
    server = serve(port=options.port, api_url=options.api, department_id=options.department, mint=mint)
    print(json.dumps({"url": f"http://127.0.0.1:{server.port}"}), flush=True)
    threading.Event().wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
