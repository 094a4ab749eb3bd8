# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""JSON in and out as the real gateway's Go libraries do it: texts, types, layouts."""

from __future__ import annotations

import json
import re
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

JSON = "application/json"
TEXT = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}
_INTEGERS = {
    "uint64": (0, (1 << 64) - 1),
    "uint32": (0, (1 << 32) - 1),
    "int": (-(1 << 63), (1 << 63) - 1),
    "int64": (-(1 << 63), (1 << 63) - 1),
}


class ApiError(Exception):
    """An error that is answered as ``E-TXT``: JSON text that is not labelled JSON."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        **more: t.Any,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers or {}
        self.more = more

    def response(self, headers: Mapping[str, str] | None = None) -> web.Response:
        return text_error(
            self.status, self.message, {**(headers or {}), **self.headers}, **self.more
        )


class ProxyError(Exception):
    """An error from inside the proxy, answered as ``E-JSON``."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message

    @property
    def body(self) -> bytes:
        return compact({"error": {"message": self.message}})


def number(value: float) -> int | float:
    """Go prints a whole float without a fraction."""
    return int(value) if float(value).is_integer() else value


def _escaped(text: str) -> str:
    return re.sub("[<>&]", lambda match: _ESCAPES[match[0]], text)


def compact(data: t.Any) -> bytes:
    return _escaped(json.dumps(data, separators=(",", ":"), ensure_ascii=False)).encode()


def indented(data: t.Any, *, newline: bool = True) -> bytes:
    text = _escaped(json.dumps(data, indent=2, ensure_ascii=False))
    return (text + "\n" * newline).encode()


def reply(data: t.Any, *, newline: bool = True, status: int = 200) -> web.Response:
    body = indented(data, newline=newline)
    return web.Response(body=body, status=status, headers={"Content-Type": JSON})


def text_error(
    status: int, message: str, headers: Mapping[str, str] | None = None, **more: t.Any
) -> web.Response:
    body = json.dumps({"error": {"message": message, **more}}, separators=(",", ":")) + "\n"
    return web.Response(body=body.encode(), status=status, headers={**TEXT, **(headers or {})})


def plain(status: int, text: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(
        body=(text + "\n").encode(), status=status, headers={**TEXT, **(headers or {})}
    )


def not_found() -> web.Response:
    return plain(404, "404 page not found")


def wrong_method(allow: str | None = None) -> web.Response:
    if allow is None:
        return plain(405, "method not allowed")
    return plain(405, "Method Not Allowed", {"Allow": allow})


# --- decoding ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Struct:
    """A Go struct: JSON name to kind (``string``, ``uint64``, a struct, a list of one)."""

    name: str
    fields: Mapping[str, t.Any]


@dataclass(frozen=True, slots=True)
class Strings:
    """A list of strings."""


def _kind_of(value: t.Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if isinstance(value, list):
        return "array"
    return "object" if isinstance(value, dict) else "number"


def _mismatch(value: t.Any, where: str, kind: str) -> ApiError:
    shown = _kind_of(value)
    if shown == "number" and (kind in _INTEGERS):
        shown = f"number {value}"
    return ApiError(
        400, f"json: cannot unmarshal {shown} into Go struct field {where} of type {kind}"
    )


def parse(body: bytes, *, whole: bool = False) -> t.Any:
    """Read the first JSON value; what follows it is ignored, or not. Errors are Go's texts."""
    try:
        text = body.decode().lstrip(" \t\r\n")
    except UnicodeDecodeError as error:
        raise ValueError("invalid character '\\ufffd' looking for beginning of value") from error
    if not text:
        raise ValueError("EOF")
    try:
        value, end = json.JSONDecoder().raw_decode(text)
    except json.JSONDecodeError as error:
        if error.pos >= len(text) or error.msg.startswith("Unterminated string"):
            raise ValueError("unexpected EOF") from error
        raise ValueError(
            f"invalid character {text[error.pos]!r} looking for beginning of value"
        ) from error
    rest = text[end:].lstrip(" \t\r\n")
    if whole and rest:
        raise ValueError(f"invalid character {rest[0]!r} after top-level value")
    return value


def decode(body: bytes, struct: Struct, *, whole: bool = False) -> dict[str, t.Any]:
    """Read a request: unknown fields are ignored, ``null`` is as good as absent."""
    try:
        value = parse(body, whole=whole)
    except ValueError as error:
        raise ApiError(400, str(error)) from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ApiError(
            400,
            f"json: cannot unmarshal {_kind_of(value)} into Go value of type main.{struct.name}",
        )
    return _fields(value, struct, struct.name)


def _fields(value: dict[str, t.Any], struct: Struct, where: str) -> dict[str, t.Any]:
    known = {name.lower(): name for name in struct.fields}
    found: dict[str, t.Any] = {}
    for key, item in value.items():
        name = known.get(key.lower())
        if name is not None and item is not None:
            found[name] = _value(item, struct.fields[name], f"{where}.{name}")
    return found


def _value(item: t.Any, kind: t.Any, where: str) -> t.Any:
    if isinstance(kind, Struct):
        if not isinstance(item, dict):
            raise _mismatch(item, where, f"main.{kind.name}")
        return _fields(item, kind, where)
    if isinstance(kind, Strings):
        if not isinstance(item, list):
            raise _mismatch(item, where, "[]string")
        return [_value(entry, "string", where) for entry in item]
    if isinstance(kind, list):
        if not isinstance(item, list):
            raise _mismatch(item, where, f"[]main.{kind[0].name}")
        return [_value(entry or {}, kind[0], where) for entry in item]
    if kind in _INTEGERS:
        low, high = _INTEGERS[kind]
        if isinstance(item, bool) or not isinstance(item, int) or not low <= item <= high:
            raise _mismatch(item, where, kind)
        return item
    if kind == "float64":
        if isinstance(item, bool) or not isinstance(item, (int, float)):
            raise _mismatch(item, where, kind)
        return item
    if not isinstance(item, bool if kind == "bool" else str):
        raise _mismatch(item, where, kind)
    return item
