# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""RIPEMD-160 for Pythons whose OpenSSL hides it from :mod:`hashlib`."""

from __future__ import annotations

import struct

_MASK = 0xFFFFFFFF

# Order of the message words, and how far each word's step rotates.
_RHO = (7, 4, 13, 1, 10, 6, 15, 3, 12, 0, 9, 5, 2, 14, 11, 8)
_SHIFTS = (
    (11, 14, 15, 12, 5, 8, 7, 9, 11, 13, 14, 15, 6, 7, 9, 8),
    (12, 13, 11, 15, 6, 9, 9, 7, 12, 15, 11, 13, 7, 8, 7, 7),
    (13, 15, 14, 11, 7, 7, 6, 8, 13, 14, 13, 12, 5, 5, 6, 9),
    (14, 11, 12, 14, 8, 6, 5, 5, 15, 12, 15, 14, 9, 9, 8, 6),
    (15, 12, 13, 13, 9, 5, 8, 6, 14, 11, 12, 11, 8, 6, 5, 5),
)
_LEFT_CONSTANTS = (0x00000000, 0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xA953FD4E)
_RIGHT_CONSTANTS = (0x50A28BE6, 0x5C4DD124, 0x6D703EF3, 0x7A6D76E9, 0x00000000)


def _word_orders() -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    left = [tuple(range(16))]
    right = [tuple((9 * i + 5) % 16 for i in range(16))]
    for _unused in range(4):
        left.append(tuple(_RHO[i] for i in left[-1]))
        right.append(tuple(_RHO[i] for i in right[-1]))
    return left, right


_LEFT_WORDS, _RIGHT_WORDS = _word_orders()


def _rol(value: int, count: int) -> int:
    value &= _MASK
    return ((value << count) | (value >> (32 - count))) & _MASK


def _mix(number: int, x: int, y: int, z: int) -> int:
    if number == 0:
        return x ^ y ^ z
    if number == 1:
        return (x & y) | (~x & z)
    if number == 2:
        return (x | ~y) ^ z
    if number == 3:
        return (x & z) | (y & ~z)
    return x ^ (y | ~z)


def _line(
    state: tuple[int, ...],
    words: tuple[int, ...],
    orders: list[tuple[int, ...]],
    constants: tuple[int, ...],
    functions: tuple[int, ...],
) -> tuple[int, int, int, int, int]:
    a, b, c, d, e = state
    for number in range(5):
        for word in orders[number]:
            mixed = a + _mix(functions[number], b, c, d) + words[word] + constants[number]
            rotated = (_rol(mixed, _SHIFTS[number][word]) + e) & _MASK
            a, e, d, c, b = e, d, _rol(c, 10), b, rotated
    return a, b, c, d, e


def ripemd160(data: bytes) -> bytes:
    """Return the RIPEMD-160 digest of ``data``."""
    padded = data + b"\x80" + b"\x00" * ((55 - len(data)) % 64) + struct.pack("<Q", 8 * len(data))
    state: tuple[int, ...] = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0)
    for start in range(0, len(padded), 64):
        words = struct.unpack("<16L", padded[start : start + 64])
        al, bl, cl, dl, el = _line(state, words, _LEFT_WORDS, _LEFT_CONSTANTS, (0, 1, 2, 3, 4))
        ar, br, cr, dr, er = _line(state, words, _RIGHT_WORDS, _RIGHT_CONSTANTS, (4, 3, 2, 1, 0))
        state = (
            (state[1] + cl + dr) & _MASK,
            (state[2] + dl + er) & _MASK,
            (state[3] + el + ar) & _MASK,
            (state[4] + al + br) & _MASK,
            (state[0] + bl + cr) & _MASK,
        )
    return struct.pack("<5L", *state)
