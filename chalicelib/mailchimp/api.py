"""Calls with one key: authorization, reading of JSON objects, paging by offset."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Unpack

from chalicelib.errors import RetryLater
from chalicelib.http_client.calls import Answer, Call, ClientOptions, HttpCalls, Server
from chalicelib.mailchimp.answers import Document, objects, total_items
from chalicelib.mailchimp.errors import NotFound, explain_fault, raise_refusal, unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from chalicelib.mailchimp.keys import ApiKey

# Mailchimp's page size is 10 unless asked for, and at most 1000.
PAGE_SIZE = 1000
# Mailchimp ends a request after 120 s; giving up earlier would leave it running and holding one of ten connections.
BULK_READ_SECONDS = 120.0
_MOST_PAGES = 1000
_PING_SECONDS = 10.0


def bulk_read_seconds(members: int) -> float:
    """How long the answer to a call about so many members is waited for: few take less time than many."""
    return 30.0 + (BULK_READ_SECONDS - 30.0) * min(members, 500) / 500


class MailchimpApi:
    """The calls of one key."""

    def __init__(self, key: ApiKey, *, url_template: str, **client_options: Unpack[ClientOptions]) -> None:
        # Any user name will do beside the key (Marketing API, "Authentication").
        authorization = "Basic " + b64encode(f"pracbill:{key.value}".encode()).decode()
        server = Server(
            url=url_template.replace("{dc}", key.server_prefix),
            name="Mailchimp",
            authorization=lambda: authorization,
            explain=explain_fault,
            silent_403=True,
            only_json=True,
        )
        self._calls = HttpCalls(server, **client_options)

    def send(self, call: Call) -> Answer:
        """The answer, whatever its status; raises RetryLater for faults that may pass."""
        return self._calls.send(call)

    def read(self, call: Call, *, missing: NotFound | None = None) -> Document:
        """The JSON object of a success; every other answer is raised."""
        answer = self.send(call)
        if answer.status == 400 and "fields" in call.query:
            # A field that Mailchimp does not know is an error, and an older contract knows fewer of them.
            all_fields = {name: value for name, value in call.query.items() if name != "fields"}
            answer = self.send(replace(call, query=all_fields))
        return object_of(answer, missing=missing)

    def read_all(
        self, template: str, name: str, *, ids: Mapping[str, str], query: Mapping[str, str], missing: NotFound
    ) -> tuple[Document, ...]:
        """All objects of a short list (audiences, merge fields, segments), page by page."""
        pages = self.pages(template, name, ids=ids, query=query, missing=missing)
        return tuple(item for page in pages for item in objects(page, name))

    def pages(
        self,
        template: str,
        name: str,
        *,
        ids: Mapping[str, str],
        query: Mapping[str, str],
        missing: NotFound | None = None,
        start: int = 0,
    ) -> Iterator[Document]:
        """Pages by growing offset from `start` on: fit for lists that hardly change while they are read."""
        offset = start
        for _ in range(_MOST_PAGES):
            asked = {**query, "count": str(PAGE_SIZE), "offset": str(offset)}
            page = self.read(Call("GET", template, ids, asked, read_seconds=BULK_READ_SECONDS), missing=missing)
            yield page
            items = page.get(name)
            offset += len(items) if isinstance(items, list) else 0
            total = total_items(page)
            if not items or (total is not None and offset >= total):
                return
        raise unreadable()

    def is_up(self) -> bool:
        """Whether Mailchimp answers at all at the moment: one cheap call, made once."""
        try:
            self.send(Call("GET", "/ping", read_seconds=_PING_SECONDS, tries=1))
        except RetryLater:
            return False
        return True

    def close(self) -> None:
        self._calls.close()


def check_success(answer: Answer, *, missing: NotFound | None = None) -> None:
    """Raises what any other answer than a success stands for."""
    if not answer.is_success:
        raise_refusal(answer, missing=missing)


def object_of(answer: Answer, *, missing: NotFound | None = None) -> dict[str, Any]:
    """The JSON object of a success. Raises what any other answer stands for."""
    check_success(answer, missing=missing)
    document = answer.document
    if not isinstance(document, dict):
        raise unreadable()
    return document


class Resource:
    """One area of Mailchimp's API, on top of the calls of one key."""

    def __init__(self, api: MailchimpApi) -> None:
        self._api = api

    def is_up(self) -> bool:
        """Whether Mailchimp answers at all at the moment: tells an outage from a call that fails for what it holds."""
        return self._api.is_up()
