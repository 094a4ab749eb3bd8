# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""An answer as a value, or the error that it means."""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import replace

from .errors import (
    AuthenticationError,
    ConflictError,
    DevshardError,
    NotFoundError,
    OutcomeUnknownError,
    ProtocolError,
    RateLimitedError,
    RedirectedError,
)
from .exchange import Request, Response

_MAX_RETRY_AFTER: t.Final = 10.0


_DATABASE_BUSY: t.Final = "database is locked (5) (SQLITE_BUSY)"


_BODY_SHOWN: t.Final = 300


def retry_after(response: Response) -> float:
    value = response.headers.get("Retry-After", "")
    return min(float(value), _MAX_RETRY_AFTER) if re.fullmatch(r"[0-9]{1,9}", value) else 0.0


def _shown(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _BODY_SHOWN else text[:_BODY_SHOWN] + "…"


def _without_key(request: Request, response: Response) -> Response:
    """The answer without the request's key: a debug page repeats what it was asked."""
    key = request.headers.get("Authorization", "").removeprefix("Bearer ").encode()
    return replace(response, body=response.body.replace(key, b"***")) if key else response


def _excerpt(request: Request, response: Response) -> str:
    """The beginning of what should have been data. A broken-off admin state may hold keys."""
    text = _without_key(request, response).text
    return _shown(re.sub(r"[0-9a-fA-F]{16,}", "***", text))


def server_error(response: Response) -> tuple[str, t.Any]:
    """The other side's own message and its error object, in any of the shapes that occur.

    A gateway labels most of its JSON errors as text, the chain uses code and message.
    """
    try:
        body = json.loads(response.body)
    except ValueError:
        return _shown(response.text), None
    if isinstance(body, dict):
        error = body.get("error", body)
        if isinstance(error, dict) and isinstance(error.get("message"), str):
            return str(error["message"]), error
        if isinstance(error, str):
            return error, body
    return _shown(response.text), None


def database_busy(response: Response) -> bool:
    """The gateway's 500 while something else writes its database (contract gateway.md §1.0).

    An answer that names an escrow means more than that.
    """
    message, error = server_error(response)
    known = isinstance(error, dict) and "escrow_id" in error
    return response.status == 500 and message.endswith(_DATABASE_BUSY) and not known


def failure_of(request: Request, response: Response) -> DevshardError:
    """The error for an answer with an unexpected status, by its cause."""
    message, error = server_error(_without_key(request, response))
    details = {
        "http_status": response.status,
        "url": request.url,
        "server_message": message,
        "server_error": error,
    }
    target = response.headers.get("Location")
    if 300 <= response.status < 400 and target:
        # a gateway's own 308 names no target in its headers
        return ProtocolError(
            f"{request.where}: redirects to {_shown(target)}, which is not followed; give the URL"
            " of the service itself",
            **details,
        )
    text = f"{request.where}: got {response.status}: {message}"
    if request.method != "GET" and database_busy(response):
        return OutcomeUnknownError(
            f"{text}. The gateway was writing its database, so it is not known whether this was "
            f"done. It was not sent again. Run this again: it first checks what the gateway has",
            sent=True,
            url=request.url,
            server_message=message,
        )
    kinds: dict[int, type[ProtocolError]] = {
        401: AuthenticationError,
        403: AuthenticationError,
        404: NotFoundError,
        409: ConflictError,
        429: RateLimitedError,
        308: RedirectedError,
    }
    return kinds.get(response.status, ProtocolError)(text, **details)


def expect_json(request: Request, response: Response) -> t.Any:
    """Status 200, then JSON; anything else is an error that names both sides."""
    if response.status != 200:
        raise failure_of(request, response)
    kind = response.headers.get("Content-Type", "")
    if "html" in kind:
        raise ProtocolError(
            f"{request.where}: returned a web page, not JSON; is the URL right?"
            f" {_excerpt(request, response)}",
            http_status=200,
            url=request.url,
        )
    try:
        return json.loads(response.body)
    except ValueError as exc:
        raise ProtocolError(
            f"{request.where}: the answer is not complete JSON: {_excerpt(request, response)}",
            http_status=200,
            url=request.url,
        ) from exc


def expect_json_object(request: Request, response: Response) -> dict[str, t.Any]:
    body = expect_json(request, response)
    if not isinstance(body, dict):
        raise ProtocolError(
            f"{request.where}: expected a JSON object, got {type(body).__name__}",
            http_status=200,
            url=request.url,
        )
    return body


def expect_json_list(request: Request, response: Response) -> list[t.Any]:
    body = expect_json(request, response)
    if not isinstance(body, list):
        raise ProtocolError(
            f"{request.where}: expected a JSON list, got {type(body).__name__}",
            http_status=200,
            url=request.url,
        )
    return body
