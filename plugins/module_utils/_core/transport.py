# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The port to HTTP, over ``requests``: time-outs always, writes sent once, strict decoding.

Reads are repeated on failures that pass by themselves; a write never is. No redirect is followed:
a gateway's 308 is a state, and a key must not travel to another host. Credentials come only from
the caller (no netrc).
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
import time
import typing as t
from urllib.parse import urlsplit

from .decoding import database_busy, retry_after
from .errors import (
    ConfigurationError,
    ProtocolError,
    TransportError,
)
from .exchange import Request, Response

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .timer import WaitBudget


try:
    import requests
    from requests.utils import get_environ_proxies
    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

    REQUESTS_IMPORT_ERROR: ImportError | None = None
except ImportError as exc:
    REQUESTS_IMPORT_ERROR = exc


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
    ) -> None:
        self._replies: dict[tuple[str, str], Response] | None = {} if read_once else None
        self._timeout = timeout
        self._deadline = deadline
        self._retries = retries
        self._verify: bool | str = ca_path or True if validate_certs else False
        self._sleep = sleep
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["User-Agent"] = USER_AGENT

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
    def stream(self, request: Request) -> Iterator[tuple[int, Mapping[str, str], Iterator[bytes]]]:
        """Send once; status and headers, and the body as it arrives."""
        timeout = self._time_out(request)
        try:
            answer = self._session.request(
                request.method,
                request.url,
                json=request.json,
                headers=dict(request.headers),
                timeout=timeout,
                allow_redirects=False,
                verify=self._verify,
                proxies=_proxies(request.url),
                stream=True,
            )
        except requests.RequestException as exc:
            raise _no_answer(request, exc) from exc
        try:
            yield answer.status_code, answer.headers, _chunks(request, answer)
        finally:
            answer.close()


def _proxies(url: str) -> dict[str, str]:
    """The environment's proxies, but none for this host itself: a key stays on its loopback."""
    host = urlsplit(url).hostname or ""
    with contextlib.suppress(ValueError):
        if host == "localhost" or ipaddress.ip_address(host).is_loopback:
            return {}
    return dict(get_environ_proxies(url, no_proxy=None))


def _chunks(request: Request, answer: requests.Response) -> Iterator[bytes]:
    try:
        yield from answer.iter_content(chunk_size=None)
    except requests.RequestException as exc:
        raise TransportError(
            f"{request.where}: the answer broke off: {_reason(exc)}", url=request.url, sent=True
        ) from exc
    # urllib3 before 2.0 takes a connection that closes early for the end of the answer
    length = answer.headers.get("Content-Length", "")
    if re.fullmatch("[0-9]+", length) and answer.raw.tell() < int(length):
        raise TransportError(f"{request.where}: the answer broke off", url=request.url, sent=True)


def _no_answer(request: Request, exc: requests.RequestException) -> TransportError:
    """``sent`` is False only where no connection was made, otherwise None: unknown."""
    unsent = False if _unconnected(exc) else None
    return TransportError(f"{request.where}: {_reason(exc)}", url=request.url, sent=unsent)


def _cause(exc: requests.RequestException) -> object:
    """What urllib3 says behind the exception of ``requests``."""
    return getattr(exc.args[0], "reason", None) if exc.args else None


def _unconnected(exc: requests.RequestException) -> bool:
    return isinstance(exc, requests.exceptions.ConnectTimeout) or isinstance(
        _cause(exc), (NewConnectionError, ConnectTimeoutError)
    )


def _reason(exc: requests.RequestException) -> str:
    """Short words for the long messages of ``requests``, without URLs and keys."""
    if isinstance(exc, requests.exceptions.ConnectTimeout):
        return "no connection within the time-out"
    if isinstance(exc, requests.exceptions.Timeout):
        return "no answer within the time-out"
    if isinstance(exc, requests.exceptions.SSLError):
        return "the TLS certificate or handshake was refused"
    cause = _cause(exc)
    if isinstance(cause, NewConnectionError):
        system = cause.__cause__ or cause.__context__
        if isinstance(system, socket.gaierror):
            return "the host name cannot be resolved"
        if isinstance(system, OSError) and not isinstance(system, ConnectionRefusedError):
            return f"no connection: {system.strerror}"
        return "the connection was refused"
    return f"the connection failed ({type(cause or exc).__name__})"
