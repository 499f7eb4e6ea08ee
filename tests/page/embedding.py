"""Ways into the page: the host's own, and host pages that a test writes itself, under the same strict policy."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlencode

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, ViewportSize
from playwright.sync_api import Request as SentRequest

from infra.local.host import Host, content_security_policy, standin_mint
from infra.local.stack import LocalStack
from infra.standins.pracbill.answers import Answer, Request
from infra.standins.pracbill.server import LoopbackServer

# Other work on the machine only ever adds to what a step takes.
STEP_MS = 20_000
WINDOW: ViewportSize = {"width": 1280, "height": 900}
SCRIPT = '<script type="module" src="/assets/pracbill-mailchimp.js"></script>'
# What the host's script looks for.
_CHOICES = """\
<form hidden>
  <select name="access" data-chosen="write"><option>write</option></select>
  <select name="theme" data-chosen="auto"><option>auto</option></select>
</form>"""
HOST_SCRIPT = '<script type="module" src="/host.js"></script>'


@dataclass
class Watched:
    """What a browser's page complained of and asked for."""

    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


def watch(page: Page) -> Watched:
    """Note what the page complains of (errors, refused by the policy) and asks for from now on."""
    seen = Watched()

    def on_console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            seen.complaints.append(message.text)

    def on_request(request: SentRequest) -> None:
        seen.requests.append(request.url)

    page.on("console", on_console)
    page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    page.on("request", on_request)
    return seen


def new_context(browser: Browser) -> BrowserContext:
    """A browser without memory, as wide as a desk's."""
    opened = browser.new_context(viewport=WINDOW, locale="en-AU", reduced_motion="reduce")
    opened.set_default_timeout(STEP_MS)
    return opened


def open_page(
    page: Page,
    stack: LocalStack,
    *,
    access: str = "write",
    theme: str = "light",
    view: str = "overview",
    item: str = "",
) -> None:
    """The page in the stand-in's host, at one of its views."""
    place = urlencode({"view": view, **({"item": item} if item else {})})
    page.goto(f"{stack.host_url}/?{urlencode({'access': access, 'theme': theme})}#{place}")


class OwnHost:
    """A host whose page a test writes itself. It hands out tokens and the built script as the stand-in's does."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._port = port
        self._pages: dict[str, Answer] = {}
        self._department_id = ""
        self._stack: LocalStack | None = None
        self._server: LoopbackServer | None = None

    def start(self, stack: LocalStack) -> None:
        self._stack = stack
        self._server = LoopbackServer(self._answer, port=self._port)

    def _answer(self, request: Request) -> Answer:
        """A page of the test's, or what the stand-in's host answers; tokens are for the department shown last."""
        assert self._stack is not None
        mint = standin_mint(self._stack.pracbill["control_url"], self._department_id)
        usual = Host(self._stack.api_url, self._department_id, mint, port=lambda: self._port)
        return self._pages.get(request.path) or usual.answer(request)

    def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    def open(
        self, page: Page, body: str, *, head: str = SCRIPT, css: str = "", department_id: str = "", at: str = ""
    ) -> None:
        """Show a page. In `body`, ELEMENT stands for our element with its attributes; `at`: its place, as `view=sync`.

        The department is the stack's unless said otherwise.
        """
        assert self._stack is not None
        self._department_id = department_id or self._stack.department_id
        api, department = self._stack.api_url, self._department_id
        element = f'<pracbill-mailchimp department="{department}" api="{api}"></pracbill-mailchimp>'
        html = (
            f'<!doctype html><html lang="en-AU"><head><title>A host</title><link rel="icon" href="/host.svg">{head}'
            f'<link rel="stylesheet" href="/test.css">{HOST_SCRIPT}</head>'
            f"<body><main><h1>A host</h1>{body.replace('ELEMENT', element)}{_CHOICES}</main></body></html>"
        )
        policy = content_security_policy(api, script_origin="/".join(api.split("/")[:3]))
        headers = {"Content-Security-Policy": policy, "Cache-Control": "no-store"}
        self._pages = {
            "/embedding": Answer(200, html.encode(), content_type="text/html; charset=utf-8", headers=headers),
            "/test.css": Answer(200, css.encode(), content_type="text/css"),
        }
        page.goto(f"{self.url}/embedding#{at}")
