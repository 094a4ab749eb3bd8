# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""A real HTTP server in a thread that says whatever a test wants, also nonsense."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import struct
import threading
import typing as t
from dataclasses import dataclass, field

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True)
class Seen:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """``length`` other than the body's makes an answer that breaks off."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    reset: bool = False
    """Cut the connection without an answer."""
    chunked: bool = False
    """Say no length and send the body in chunks; one of length 0 ends them, where it is sent."""
    delay: threading.Event | None = None
    """Wait for this before answering."""


def json_answer(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    kind = {"Content-Type": "application/json"}
    return Answer(status, json.dumps(body).encode(), {**kind, **(headers or {})})


def html_answer(text: str, status: int = 200) -> Answer:
    return Answer(status, text.encode(), {"Content-Type": "text/html; charset=utf-8"})


class Server:
    """``reply`` decides about each request; ``seen`` keeps them all."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.reply: Callable[[Seen], Answer] = lambda _seen: json_answer({})
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                seen = Seen(self.command, self.path, dict(self.headers.items()), body)
                outer.seen.append(seen)
                answer = outer.reply(seen)
                if answer.delay is not None:
                    answer.delay.wait(10)
                if answer.reset:
                    self._cut()
                    return
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                if answer.chunked:
                    self._in_chunks(answer)
                    return
                length = len(answer.body) if answer.length is None else answer.length
                self.send_header("Content-Length", str(length))
                self.end_headers()
                self.wfile.write(answer.body)
                self.wfile.flush()
                if length != len(answer.body):
                    self.close_connection = True

            def _in_chunks(self, answer: Answer) -> None:
                self.send_header("Transfer-Encoding", "chunked")
                self.send_header("Connection", "close")
                self.end_headers()
                for part in (answer.body[:3], answer.body[3:], b""):
                    if part or answer.length is None:
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
                self.wfile.flush()
                self.close_connection = True

            def _cut(self) -> None:
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.close_connection = True
                self.connection.close()

            def finish(self) -> None:
                with contextlib.suppress(OSError):
                    super().finish()

            def log_message(self, *_said: t.Any) -> None:
                """Say nothing."""

        for method in ("DELETE", "GET", "POST", "PUT"):
            setattr(Handler, f"do_{method}", Handler._answer)

        class Quiet(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: t.Any, client_address: t.Any) -> None:
                """A client that went away, which some tests want."""

        self._http = Quiet(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answers(self, *answers: Answer) -> None:
        """These one after the other, the last one for ever."""
        left = list(answers)
        self.reply = lambda _seen: left.pop(0) if len(left) > 1 else left[0]

    def by_path(self, table: dict[str, Answer], other: Answer | None = None) -> None:
        """By the beginning of the path, the longest first; else 501 as the chain says it."""
        missing = other or json_answer({"code": 12, "message": "Not Implemented"}, 501)
        order = sorted(table, key=len, reverse=True)

        def reply(seen: Seen) -> Answer:
            return next((table[path] for path in order if seen.path.startswith(path)), missing)

        self.reply = reply

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@contextlib.contextmanager
def running() -> Iterator[Server]:
    server = Server()
    try:
        yield server
    finally:
        server.stop()


def refused_url() -> str:
    """A URL at which surely nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"
