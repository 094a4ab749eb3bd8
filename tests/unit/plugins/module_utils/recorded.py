# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""What the real gateway and chain answered, and a transport that repeats it.

``data/recorded_answers.json`` holds excerpts of the contract's recordings.
"""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

from ansible_collections.gonka.devshard.plugins.module_utils._core.exchange import Request, Response
from ansible_collections.gonka.devshard.plugins.module_utils._core.reader import Reader

ANSWERS: dict[str, dict[str, t.Any]] = json.loads(
    Path(__file__).with_name("data").joinpath("recorded_answers.json").read_text()
)
CREATOR = "gonka17cn3h2092t8nec7meke592jzwz6seza8367yt9"
QWEN = "Qwen/Qwen3-235B-A22B-Instruct-2507-FP8"
KIMI = "moonshotai/Kimi-K2-Instruct"


def body(name: str) -> t.Any:
    """A copy that a test may change."""
    return json.loads(json.dumps(ANSWERS[name]["body"]))


def reader(name: str) -> Reader:
    return Reader(body(name), name)


def response(name: str) -> Response:
    found = ANSWERS[name]
    content = found["body"]
    text = content if isinstance(content, str) else json.dumps(content)
    headers = {"Content-Type": found.get("type", "application/json")}
    return Response(status=found["status"], headers=headers, body=text.encode())


def as_response(content: object, status: int = 200) -> Response:
    headers = {"Content-Type": "application/json"}
    return Response(status=status, headers=headers, body=json.dumps(content).encode())


class ScriptedTransport:
    """Answers by the beginning of ``METHOD path``, the longest first, and keeps what was asked.

    A name stands for a recorded answer; a list is used up one by one.
    """

    def __init__(self, base: str, table: dict[str, t.Any]) -> None:
        self._base = base
        self._table = table
        self.asked: list[Request] = []

    def send(self, request: Request) -> Response:
        self.asked.append(request)
        call = f"{request.method} {request.url.removeprefix(self._base)}"
        key = max((key for key in self._table if call.startswith(key)), key=len, default=None)
        if key is None:
            raise AssertionError(f"nobody expected {call}")
        answer = self._table[key]
        if isinstance(answer, list):
            answer = answer.pop(0)
        if isinstance(answer, Response):
            return answer
        return response(answer) if isinstance(answer, str) else as_response(answer)
