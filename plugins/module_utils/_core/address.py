# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Account addresses: bech32 with the prefix ``gonka`` (BIP 173). Pure."""

from __future__ import annotations

import typing as t

PREFIX: t.Final = "gonka"
_LETTERS: t.Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR: t.Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM: t.Final = 6
_ACCOUNT: t.Final = 20
"""Bytes of an account's address."""


def account_address(digest: bytes) -> str:
    """The address of an account whose public key has this 20-byte hash."""
    values = _regroup(digest)
    checksum = _polymod([*_expanded(PREFIX), *values, *[0] * _CHECKSUM]) ^ 1
    values += [(checksum >> 5 * (_CHECKSUM - 1 - place)) & 31 for place in range(_CHECKSUM)]
    return f"{PREFIX}1{''.join(_LETTERS[value] for value in values)}"


def refuse_address(address: str, where: str) -> str | None:
    """Why a text is not the address of an account, or None."""
    prefix, separator, data = address.rpartition("1")
    if not separator or prefix != PREFIX:
        kind = f", this one begins with {prefix}1" if separator else ""
        return f"{where} must be the address of an account, which begins with {PREFIX}1{kind}"
    if any(letter not in _LETTERS for letter in data):
        return f"{where}: {address} has a character that no address has"
    values = [_LETTERS.index(letter) for letter in data]
    if _polymod([*_expanded(prefix), *values]) != 1:
        return f"{where}: {address} is misspelled, its checksum is wrong"
    if len(values) - _CHECKSUM != len(_regroup(bytes(_ACCOUNT))):
        return f"{where}: {address} is not the address of an account, its length is wrong"
    return None


def _expanded(prefix: str) -> list[int]:
    return [ord(letter) >> 5 for letter in prefix] + [0] + [ord(letter) & 31 for letter in prefix]


def _polymod(values: list[int]) -> int:
    checksum = 1
    for value in values:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for place, generator in enumerate(_GENERATOR):
            checksum ^= generator if (top >> place) & 1 else 0
    return checksum


def _regroup(data: bytes) -> list[int]:
    """Bytes as groups of five bits, the last one filled up with zeros."""
    bits = "".join(f"{byte:08b}" for byte in data)
    bits += "0" * (-len(bits) % 5)
    return [int(bits[place : place + 5], 2) for place in range(0, len(bits), 5)]
