# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""One exchange over Python's library, for a host that has no ``requests`` yet.

It does what :mod:`.over_requests` does, and the same tests hold for both. Each exchange has a
connection of its own.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import ssl
import typing as t
from pathlib import Path
from urllib.parse import urlsplit

from .errors import ConfigurationError, TransportError
from .exchange import Exchange, Headers, Request
from .urls import is_loopback

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from urllib.parse import SplitResult

    from .proxies import Proxy

_CHUNK: t.Final = 1 << 16
_PORTS: t.Final = {"http": 80, "https": 443}


class OverStdlib:
    """Reads no netrc, follows nothing, and of the environment knows only the proxies."""

    def __init__(self, *, verify: bool, ca_path: str | None, user_agent: str) -> None:
        self._verify = verify
        self._ca_path = ca_path
        self._user_agent = user_agent

    @contextlib.contextmanager
    def exchange(self, request: Request, timeout: float) -> Iterator[Exchange]:
        parts = urlsplit(request.url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ConfigurationError(f"{request.where}: not an http or https URL")
        proxy = _proxy(parts.geturl())
        connection = self._connection(request, parts, proxy, timeout)
        try:
            _connect(request, connection)
            answer = self._send(request, parts, connection, through=proxy)
            headers = Headers(dict(answer.headers.items()))
            yield answer.status, headers, _chunks(request, answer)
        finally:
            connection.close()

    def _connection(
        self, request: Request, parts: SplitResult, proxy: Proxy | None, timeout: float
    ) -> http.client.HTTPConnection:
        if proxy is not None and proxy.url.scheme != "http":
            raise ConfigurationError(
                f"{request.where}: the proxy in the environment is not one of HTTP, and another one"
                " needs the Python library requests"
            )
        first = parts if proxy is None else proxy.url
        host, port = first.hostname or "", first.port or _PORTS[first.scheme]
        if parts.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=timeout)
        secure = http.client.HTTPSConnection(host, port, timeout=timeout, context=self._context())
        if proxy is not None:
            secure.set_tunnel(parts.hostname or "", parts.port or 443, proxy.headers)
        return secure

    def _context(self) -> ssl.SSLContext:
        if not self._verify:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return context
        if self._ca_path is None:
            return ssl.create_default_context()
        if Path(self._ca_path).is_dir():
            return ssl.create_default_context(capath=self._ca_path)
        return ssl.create_default_context(cafile=self._ca_path)

    def _send(
        self,
        request: Request,
        parts: SplitResult,
        connection: http.client.HTTPConnection,
        *,
        through: Proxy | None,
    ) -> http.client.HTTPResponse:
        body = None
        headers = {
            "User-Agent": self._user_agent,
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            "Connection": "close",
        }
        if request.json is not None:
            body = json.dumps(request.json, allow_nan=False).encode()
            headers["Content-Type"] = "application/json"
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if through is not None and parts.scheme == "http":
            target = f"http://{parts.netloc}{target}"
            headers |= through.headers
        try:
            connection.request(request.method, target, body, headers | dict(request.headers))
            return connection.getresponse()
        except TimeoutError as exc:
            raise _failed(request, "no answer within the time-out") from exc
        except (OSError, http.client.HTTPException) as exc:
            raise _failed(request, f"the connection failed ({type(exc).__name__})") from exc


def _connect(request: Request, connection: http.client.HTTPConnection) -> None:
    """``sent`` is False: a request that met no connection certainly never left."""
    try:
        connection.connect()
    except ssl.SSLError as exc:
        raise _failed(request, "the TLS certificate or handshake was refused") from exc
    except TimeoutError as exc:
        raise _failed(request, "no connection within the time-out", sent=False) from exc
    except socket.gaierror as exc:
        raise _failed(request, "the host name cannot be resolved", sent=False) from exc
    except ConnectionRefusedError as exc:
        raise _failed(request, "the connection was refused", sent=False) from exc
    except ConnectionError as exc:
        # within the handshake
        raise _failed(request, f"the connection failed ({type(exc).__name__})") from exc
    except OSError as exc:
        reason = f"no connection: {exc.strerror or exc}"
        raise _failed(request, reason, sent=False) from exc


def _failed(request: Request, reason: str, *, sent: bool | None = None) -> TransportError:
    return TransportError(f"{request.where}: {reason}", url=request.url, sent=sent)


def _chunks(request: Request, answer: http.client.HTTPResponse) -> Iterator[bytes]:
    length, read = answer.headers.get("Content-Length", ""), 0
    try:
        while chunk := answer.read1(_CHUNK):
            read += len(chunk)
            yield chunk
    except TimeoutError as exc:
        reason = "the answer broke off: no answer within the time-out"
        raise _failed(request, reason, sent=True) from exc
    except (OSError, http.client.HTTPException) as exc:
        reason = f"the answer broke off: the connection failed ({type(exc).__name__})"
        raise _failed(request, reason, sent=True) from exc
    # a connection that closes early looks like the end of the answer
    if re.fullmatch("[0-9]+", length) and read < int(length) and answer.status not in (204, 304):
        raise _failed(request, "the answer broke off", sent=True)


def _proxy(url: str) -> Proxy | None:
    """The environment's proxy, but none for this host itself: a key stays on its loopback."""
    if is_loopback(url):
        return None
    # what reads the environment takes longer to import than a gateway to answer
    from .proxies import proxy_for

    return proxy_for(url)
