# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The three secrets of a gateway: which values are usable. No message shows a value."""

from __future__ import annotations

import re
import typing as t

from .errors import ConfigurationError

if t.TYPE_CHECKING:
    from collections.abc import Mapping

PRIVATE_KEY: t.Final = "DEVSHARD_PRIVATE_KEY"
API_KEYS: t.Final = "DEVSHARD_API_KEYS"
ADMIN_API_KEY: t.Final = "DEVSHARD_ADMIN_API_KEY"
SECRETS: t.Final = (PRIVATE_KEY, API_KEYS, ADMIN_API_KEY)

SETTINGS: t.Final = {
    "gateway_private_key": PRIVATE_KEY,
    "gateway_api_keys": API_KEYS,
    "gateway_admin_api_key": ADMIN_API_KEY,
}
"""The variables of the role, and which secret each of them brings."""

CURVE_ORDER: t.Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Order of secp256k1: a key lies above 0 and below this."""

_SECRET_WORDS: t.Final = frozenset(
    {
        *("KEY", "KEYS", "SECRET", "TOKEN", "PASSWORD", "PASSWD", "PASS", "CREDENTIALS", "DSN"),
        *("AUTH", "HEADERS"),
    }
)
_SECRET: t.Final = re.compile(r"[A-Za-z0-9_.,+=/-]+")
_MIN_KEY: t.Final = 16
"""The gateway logs the last 8 characters of a presented key; shorter ones would show too much."""


def is_secret(name: str) -> bool:
    """Whether a variable holds a secret: one of the three, or one that is called so."""
    return name in SECRETS or bool(_SECRET_WORDS & set(name.upper().split("_")))


def _check_line_break(value: str, where: str) -> None:
    if value.strip("\r\n") != value:
        raise ConfigurationError(
            f"{where}: the value begins or ends with a line break. In YAML write it on one line, or"
            " after '|-' instead of '|'"
        )


def check_private_key(key: str, where: str) -> str:
    """A bare hexadecimal key. The message never shows it."""
    _check_line_break(key, where)
    if key[:2] in ("0x", "0X"):
        raise ConfigurationError(
            f"{where}: the key begins with 0x; give the 64 hexadecimal digits alone. The gateway"
            " would create escrows with it that it cannot load"
        )
    if not re.fullmatch(r"[0-9a-fA-F]{64}", key):
        raise ConfigurationError(
            f"{where}: the key must be exactly 64 hexadecimal digits, it has {len(key)}"
            f" character(s){'' if re.fullmatch('[0-9a-fA-F]*', key) else ', some not hexadecimal'}."
            " A key of another length would belong to another address"
        )
    if not 0 < int(key, 16) < CURVE_ORDER:
        raise ConfigurationError(
            f"{where}: this is not a private key: it must lie above 0 and below the curve's order"
        )
    return key


def check_secret(name: str, value: str, where: str) -> str:
    """Refuse what would not survive quoting or would be printed whole in the gateway's log."""
    return _check(name, value, f"{where}: {name}")


def _check(name: str, value: str, where: str) -> str:
    if not value:
        raise ConfigurationError(
            f"{where} is empty. Give a value, or leave it out to have one generated"
        )
    if name == PRIVATE_KEY:
        return check_private_key(value, where)
    _check_line_break(value, where)
    if _SECRET.fullmatch(value) is None:
        raise ConfigurationError(
            f"{where} holds a blank, a quote, a line break or another character that is"
            " not a letter, a digit or one of _.,+=/-"
        )
    for key in value.split(","):
        if len(key) < _MIN_KEY:
            raise ConfigurationError(
                f"{where}: a key in it has {len(key)} characters; it needs at least {_MIN_KEY}"
            )
    return value


def key_faults(given: Mapping[str, object]) -> list[str]:
    """What is wrong with the role's variables, each by its name. None means that it is not set."""
    faults = []
    for setting, name in SETTINGS.items():
        value = given.get(setting)
        if value is None:
            continue
        if isinstance(value, (list, tuple)):
            how = (
                "write the keys as one text, separated by commas"
                if name == API_KEYS
                else "give one key, as text"
            )
            faults.append(f"{setting} is a list; {how}")
        elif not isinstance(value, str):
            faults.append(
                f"{setting} must be text, it is of type {type(value).__name__}; put it in quotes"
            )
        else:
            try:
                _check(name, value, setting)
            except ConfigurationError as exc:
                faults.append(str(exc))
    return faults
