# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""One exchange over ``requests``, in one session, so that connections are used again."""

from __future__ import annotations

import contextlib
import re
import socket
import typing as t

from .errors import TransportError
from .exchange import Exchange, Request
from .urls import is_loopback

if t.TYPE_CHECKING:
    from collections.abc import Iterator

# one that is missing is reported by who needs it, see .libraries
with contextlib.suppress(ImportError):
    import requests
    from requests.utils import get_environ_proxies
    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError


class OverRequests:
    """The session knows no netrc, and of the environment only the proxies."""

    def __init__(self, *, verify: bool, ca_path: str | None, user_agent: str) -> None:
        self._verify: bool | str = ca_path or True if verify else False
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["User-Agent"] = user_agent

    @contextlib.contextmanager
    def exchange(self, request: Request, timeout: float) -> Iterator[Exchange]:
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
    return {} if is_loopback(url) else dict(get_environ_proxies(url, no_proxy=None))


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
