# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The port to HTTP: time-outs always, writes sent once, strict decoding.

Reads are repeated on failures that pass by themselves; a write never is. No redirect is followed:
a gateway's 308 is a state, and a key must not travel to another host. Credentials come only from
the caller (no netrc).

What sends one request has two forms: over ``requests``, and over Python's library, for this host
itself and where a host does not have ``requests`` yet.
"""

from __future__ import annotations

import contextlib
import functools
import re
import time
import typing as t
from urllib.parse import urlsplit

from .decoding import database_busy, retry_after
from .errors import (
    ConfigurationError,
    ProtocolError,
    TransportError,
)
from .exchange import Exchange, Request, Response
from .over_stdlib import OverStdlib
from .urls import is_loopback

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .exchange import Wire
    from .timer import WaitBudget


USER_AGENT: t.Final = "gonka.devshard"


_RETRY_STATUS: t.Final = frozenset({408, 429, 502, 503, 504})


# Seconds between the reads of a gateway that is writing its database.
_BUSY_PAUSES: t.Final = (0.2, 0.4, 0.8, 1.6, 3.0, 4.0)


_MAX_BODY: t.Final = 64 * 1024 * 1024


def base_url(url: str, option: str) -> str:
    """A base URL as the clients want it: http(s), no credentials, no trailing slash."""
    if "@" in url:
        raise ConfigurationError(f"{option} must not contain a user name or a password ('@')")
    if "?" in url or "#" in url:
        raise ConfigurationError(f"{option} must not contain '?' or '#'")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or re.search(r"[^\x21-\x7e]", url):
        raise ConfigurationError(
            f"{option} must be an http or https URL such as https://node.example.org, got '{url}'"
        )
    return url.rstrip("/")


def bearer(key: str, where: str) -> dict[str, str]:
    """The header that carries a key. One that cannot travel in a header is never shown."""
    if re.fullmatch(r"[\x21-\x7e]+", key) is None:
        raise ConfigurationError(
            f"{where} is empty, or holds a blank, a line break or a character that is not ASCII"
        )
    return {"Authorization": f"Bearer {key}"}


class ByPlace:
    """Over ``requests``, but over Python's library in plain HTTP to this host itself.

    There neither proxies nor certificates matter, and to import ``requests`` takes longer than all
    that a module asks its gateway.
    """

    def __init__(self, *, verify: bool, ca_path: str | None, user_agent: str) -> None:
        self._verify, self._ca_path, self._user_agent = verify, ca_path, user_agent
        self._near = OverStdlib(verify=verify, ca_path=ca_path, user_agent=user_agent)

    def exchange(
        self, request: Request, timeout: float
    ) -> contextlib.AbstractContextManager[Exchange]:
        near = request.url.startswith("http:") and is_loopback(request.url)
        return (self._near if near else self._far).exchange(request, timeout)

    @functools.cached_property
    def _far(self) -> Wire:
        from .over_requests import OverRequests

        return OverRequests(verify=self._verify, ca_path=self._ca_path, user_agent=self._user_agent)


class HttpTransport:
    """One session for one module run.

    ``deadline`` is the end of all waiting of all its requests together. Without one each request
    has its own time-out, and a read that is repeated waits several times as long. With ``read_once``
    what was read is remembered, so that all who ask judge the same moment.
    """

    def __init__(
        self,
        *,
        timeout: float = 10,
        retries: int = 3,
        validate_certs: bool = True,
        ca_path: str | None = None,
        sleep: Callable[[float], None] = time.sleep,
        deadline: WaitBudget | None = None,
        read_once: bool = False,
        over: Callable[..., Wire] = ByPlace,
    ) -> None:
        self._replies: dict[tuple[str, str], Response] | None = {} if read_once else None
        self._timeout = timeout
        self._deadline = deadline
        self._retries = retries
        self._sleep = sleep
        self._wire = over(verify=validate_certs, ca_path=ca_path, user_agent=USER_AGENT)

    def send(self, request: Request) -> Response:
        if self._replies is None or request.method != "GET":
            return self._patiently(request)
        # an answer depends on who asks
        key = (request.url, str(sorted(request.headers.items())))
        if key not in self._replies:
            self._replies[key] = self._patiently(request)
        return self._replies[key]

    def _patiently(self, request: Request) -> Response:
        for pause in _BUSY_PAUSES if request.method == "GET" and request.retry else ():
            response = self._send(request)
            if not database_busy(response) or not self._may_wait(pause):
                return response
            self._sleep(pause)
        return self._send(request)

    def _send(self, request: Request) -> Response:
        attempts = 1 + (self._retries if request.method == "GET" and request.retry else 0)
        for attempt in range(1, attempts + 1):
            pause = min(0.5 * 2 ** (attempt - 1), 5.0)
            try:
                response = self._once(request)
            except TransportError:
                if attempt == attempts or not self._may_wait(pause):
                    raise
            else:
                if response.status not in _RETRY_STATUS or attempt == attempts:
                    return response
                pause = max(pause, retry_after(response))
                if not self._may_wait(pause):
                    return response
            self._sleep(pause)
        raise AssertionError("the loop above always returns or raises")

    def _may_wait(self, seconds: float) -> bool:
        return self._deadline is None or self._deadline.left > seconds

    def _time_out(self, request: Request) -> float:
        """The time for which this request may wait; refused when no time is left for any."""
        wanted = request.timeout or self._timeout
        if self._deadline is None:
            return wanted
        self._refuse_late(request, sent=False)
        return min(wanted, self._deadline.left)

    def _refuse_late(self, request: Request, *, sent: bool | None) -> None:
        if self._deadline is not None and self._deadline.expired():
            raise TransportError(
                f"{request.where}: no answer within the time for all requests",
                url=request.url,
                sent=sent,
            )

    def _once(self, request: Request) -> Response:
        with self.stream(request) as (status, headers, chunks):
            body = bytearray()
            for chunk in chunks:
                body += chunk
                self._refuse_late(request, sent=True)
                if len(body) > _MAX_BODY:
                    raise ProtocolError(f"{request.where}: the answer is larger than 64 MiB")
            return Response(status=status, headers=headers, body=bytes(body))

    @contextlib.contextmanager
    def stream(self, request: Request) -> Iterator[Exchange]:
        """Send once; status and headers, and the body as it arrives."""
        with self._wire.exchange(request, self._time_out(request)) as answer:
            yield answer
