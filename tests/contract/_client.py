# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Plain HTTP for the tests: no redirects, no retries, every answer as it came."""

from __future__ import annotations

import http.client
import json
import time
import typing as t
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests

WRONG_KEY: t.Final = "not-a-key-of-this-gateway-0123456789abcdef"
TEXT: t.Final = "text/plain; charset=utf-8"
JSON: t.Final = "application/json"
SSE: t.Final = "text/event-stream"
Found = t.TypeVar("Found")


@dataclass(frozen=True)
class Answer:
    where: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> t.Any:
        return json.loads(self.body)

    @property
    def kind(self) -> str:
        return self.headers.get("Content-Type", "")

    @property
    def message(self) -> str:
        """The text of an error in any of the gateway's JSON shapes."""
        return str(self.json["error"]["message"])

    def __str__(self) -> str:
        return f"{self.where}: {self.status} {self.kind} {self.text[:600]}"

    def good(self) -> t.Any:
        """The JSON of a success."""
        assert self.status == 200, self
        assert self.kind.partition(";")[0] == JSON, self
        return self.json


class Http:
    """One base URL."""

    def __init__(self, base: str, keys: Mapping[str, str] | None = None) -> None:
        self.base = base.rstrip("/")
        self._keys = dict(keys or {})
        self._session = requests.Session()
        self._session.trust_env = False

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        auth: str | None = None,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 120,
    ) -> Answer:
        """``auth`` is the name of a key: ``admin``, ``client`` or ``wrong``."""
        data = raw
        headers = {"User-Agent": "contract-tests", **(headers or {})}
        if auth is not None:
            headers["Authorization"] = f"Bearer {self._keys[auth]}"
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = JSON
        answer = self._session.request(
            method,
            self.base + path,
            data=data,
            headers=headers,
            timeout=timeout,
            allow_redirects=False,
        )
        where = f"{method} {path}"
        return Answer(where, answer.status_code, answer.headers, answer.content)

    def send_only(
        self, method: str, path: str, body: object, *, auth: str | None
    ) -> http.client.HTTPConnection:
        """The connection on which the request was sent; nobody reads an answer."""
        parts = urlsplit(self.base)
        kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        connection = kind(parts.netloc)
        headers = {"Content-Type": JSON}
        if auth is not None:
            headers["Authorization"] = f"Bearer {self._keys[auth]}"
        connection.request(method, parts.path + path, json.dumps(body), headers)
        return connection

    def get(self, path: str, auth: str | None = None) -> Answer:
        return self.ask("GET", path, auth=auth)

    def post(
        self, path: str, body: object = None, auth: str | None = "admin", **more: t.Any
    ) -> Answer:
        return self.ask("POST", path, body, auth=auth, **more)


class TooLateError(AssertionError):
    """A deadline passed."""


def until(
    condition: Callable[[], Found | None], what: str, seconds: float = 300, pause: float = 0.1
) -> Found:
    """Ask until the answer is true; fail when the deadline passes."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise TooLateError(f"after {seconds:.0f} seconds still not true: {what}")
        time.sleep(pause)


# the five error shapes of gateway.md §1.0


def is_text_error(answer: Answer, status: int, message: str | None = None) -> None:
    """``E-TXT``: JSON that is labelled as text."""
    assert answer.status == status, answer
    assert answer.kind == TEXT, answer
    assert answer.headers.get("X-Content-Type-Options") == "nosniff", answer
    assert answer.body.endswith(b"\n"), answer
    assert set(answer.json) == {"error"}, answer
    assert "message" in answer.json["error"], answer
    if message is not None:
        assert answer.message == message, answer


def is_plain_error(answer: Answer, status: int, text: str) -> None:
    """``E-PLAIN``."""
    assert (answer.status, answer.text) == (status, text + "\n"), answer
    assert answer.kind == TEXT, answer
    assert answer.headers.get("X-Content-Type-Options") == "nosniff", answer


def is_unknown(answer: Answer) -> None:
    is_plain_error(answer, 404, "404 page not found")


def is_wrong_method(answer: Answer) -> None:
    is_plain_error(answer, 405, "method not allowed")


def is_unauthorized(answer: Answer) -> None:
    """``E-AUTH``."""
    assert answer.status == 401, answer
    assert answer.kind == JSON, answer
    assert "X-Content-Type-Options" not in answer.headers, answer
    assert answer.json == {
        "error": {
            "message": "Invalid admin API key.",
            "type": "invalid_request_error",
            "code": "invalid_api_key",
        }
    }


def is_retired(answer: Answer, message: str, new_url: str) -> None:
    """The 308 of gateway.md §1.3."""
    assert answer.status == 308, answer
    assert answer.kind == JSON, answer
    assert "Location" not in answer.headers, answer
    assert answer.json == {"message": message, "new_url": new_url, "status": 308}
    assert list(answer.json) == ["message", "new_url", "status"]
    assert answer.body.endswith(b"}\n"), answer
    assert answer.body.count(b"\n") == 1, answer
