# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What the edge answers when it is asked whether it holds a request."""

from __future__ import annotations

import typing as t
from types import SimpleNamespace

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    TransportError,
    UnknownStateError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.exchange import Request, Response
from ansible_collections.gonka.devshard.plugins.module_utils._edge.nginx import is_edge_busy

URL = "http://127.0.0.1/-/busy/main"


def ask(status: int | None) -> bool:
    def send(request: Request) -> Response:
        assert (request.method, request.url, request.retry) == ("GET", URL, False)
        if status is None:
            raise TransportError("connection refused")
        return Response(status=status, headers={}, body=b"")

    transport: t.Any = SimpleNamespace(send=send)
    return is_edge_busy(transport, URL)


def test_the_edge_tells_by_its_status() -> None:
    assert ask(503)
    assert not ask(204)


@pytest.mark.parametrize("status", [200, 308, 404, 502])
def test_any_other_answer_is_unknown(status: int) -> None:
    with pytest.raises(UnknownStateError, match=f"{URL} answered {status}.*edge_counts=false"):
        ask(status)


def test_no_answer_is_unknown() -> None:
    with pytest.raises(UnknownStateError, match=r"does not answer \(connection refused\)"):
        ask(None)
