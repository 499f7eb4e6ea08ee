"""Every refusal and every failure as an `application/problem+json` answer (RFC 9457)."""

from __future__ import annotations

import logging
import math
import traceback
from typing import TYPE_CHECKING

from chalice.app import Response

from chalicelib.api.answers import json_response, plain
from chalicelib.config import MissingSetting
from chalicelib.errors import FieldError, KeyRejected, RefuseRequest, RetryLater, StopRun
from chalicelib.store.faults import is_old_table, passing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CONTENT_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:pracbill-mailchimp:problem:"
_DEFAULT_RETRY_SECONDS = 30
_LONGEST_RETRY_SECONDS = 3600

logger = logging.getLogger("pracbill-mailchimp.api")

# What Chalice itself may answer before a view runs: status -> code, title, detail.
_CHALICE_ANSWERS = {
    400: ("bad-input", "Bad input", "The request cannot be read."),
    415: ("unsupported-media-type", "Unsupported media type", "Send the body as `Content-Type: application/json`."),
}


def problem(
    *,
    status: int,
    code: str,
    title: str,
    detail: str,
    errors: Sequence[FieldError] = (),
    extra: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem answer. `extra` adds members to the document but never replaces those of the standard."""
    document = {
        **(plain(extra) if extra else {}),
        "type": TYPE_PREFIX + code,
        "title": title,
        "status": status,
        "detail": detail,
    }
    if errors:
        document["errors"] = plain(list(errors))
    response = json_response(document, status=status, content_type=CONTENT_TYPE)
    response.headers.update(headers or {})
    return response


def problem_for(error: Exception, *, request_id: str) -> Response:
    """The answer to a request that ended with `error`. Unexpected errors are logged and tell the caller nothing."""
    match error:
        case RefuseRequest():
            return _refusal(error)
        case KeyRejected():
            return problem(
                status=409,
                code="key-rejected",
                title="Mailchimp refuses the key",
                detail=error.message,
                extra={"health_code": error.code},
            )
        case StopRun():
            _log_passing(error, request_id)
            return problem(status=502, code="upstream", title="Another service failed", detail=error.message)
        case RetryLater():
            _log_passing(error, request_id)
            return _come_back(error)
        case _:
            return _unexpected(error, request_id)


def _unexpected(error: Exception, request_id: str) -> Response:
    """A fault of AWS that passes asks the caller to come back; anything else is ours."""
    passes = passing(error)
    if passes is None:
        return _fault_of_ours(error, request_id)
    logger.warning("%s at %s, request %s", type(error).__name__, _place(error), request_id)
    return _come_back(passes)


def problem_from_chalice(response: Response, *, request_id: str) -> Response:
    """An error that Chalice answered by itself, in our form; any other answer as it is."""
    if response.status_code < 400 or response.headers.get("Content-Type") == CONTENT_TYPE:
        return response
    if response.status_code in _CHALICE_ANSWERS:
        code, title, detail = _CHALICE_ANSWERS[response.status_code]
        return problem(status=response.status_code, code=code, title=title, detail=detail)
    logger.error("Chalice answered %d by itself, request %s", response.status_code, request_id)
    return _internal(request_id)


def _refusal(error: RefuseRequest) -> Response:
    headers = {"WWW-Authenticate": 'Bearer realm="pracbill-mailchimp"'} if error.status == 401 else {}
    if "retry_after" in error.extra:
        headers["Retry-After"] = str(error.extra["retry_after"])
    return problem(
        status=error.status,
        code=error.code,
        title=error.title,
        detail=error.message,
        errors=error.errors,
        extra=error.extra,
        headers=headers,
    )


def _come_back(error: RetryLater) -> Response:
    wait = _DEFAULT_RETRY_SECONDS if error.after_seconds is None else math.ceil(error.after_seconds)
    wait = max(1, min(wait, _LONGEST_RETRY_SECONDS))
    return problem(
        status=503,
        code="try-again-later",
        title="Not available right now",
        detail=error.message,
        headers={"Retry-After": str(wait)},
    )


def _log_passing(error: StopRun | RetryLater, request_id: str) -> None:
    logger.warning("%s: %s, request %s", type(error).__name__, error.message, request_id)


def _fault_of_ours(error: Exception, request_id: str) -> Response:
    # Neither the error's text nor a full traceback: both may quote what the caller sent.
    if isinstance(error, MissingSetting):
        logger.error("The setting %s is missing, request %s", error.name, request_id)
    elif is_old_table(error):
        logger.error("A table has other keys than this version: docs/deploy.md, Old tables; request %s", request_id)
    else:
        logger.error("Unexpected %s at %s, request %s", type(error).__name__, _place(error), request_id)
    return _internal(request_id)


def _internal(request_id: str) -> Response:
    return problem(
        status=500,
        code="internal",
        title="Internal error",
        detail="Something went wrong on our side. Name the request id when you report it.",
        extra={"request_id": request_id},
    )


def _place(error: Exception) -> str:
    """The last few places an error passed through: file, line, function."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    return " > ".join(f"{frame.filename.rsplit('/', 2)[-1]}:{frame.lineno} {frame.name}" for frame in frames)
