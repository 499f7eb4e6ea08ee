"""The page's script, for a front end that does not serve it from its own origin."""

from __future__ import annotations

from chalicelib import __version__
from chalicelib.api.answers import File
from chalicelib.api.routing import Need, PlainCall, Routes
from chalicelib.errors import not_found
from chalicelib.page import bundle

routes = Routes("Page")

# The version is a part of the path, so what is behind it never changes. A parameter could not hold the dots.
SCRIPT_PATH = f"/page/pracbill-mailchimp-{__version__}.js"
# Whatever the gate says of other answers: everybody may keep this one, and every page may load it with its hash.
SCRIPT_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Cache-Control": "public, max-age=31536000, immutable",
    "Cross-Origin-Resource-Policy": "cross-origin",
}


@routes.get(SCRIPT_PATH, needs=Need.NOTHING, content_type="text/javascript; charset=utf-8", headers=SCRIPT_HEADERS)
def read_page_script(call: PlainCall) -> File:
    """Read the script that defines the page's elements, for a `<script type="module" integrity=… crossorigin>`."""
    try:
        return File(bundle())
    except FileNotFoundError:
        raise not_found("The page was not built into this package (make page).") from None
