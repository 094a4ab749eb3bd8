# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Keys, addresses and signatures of the simulated network.

Only pure Python dependencies, because the simulated CLI ships as one file.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import bech32
from ecdsa import SECP256k1, rfc6979  # type: ignore[import-untyped, unused-ignore]
from ecdsa.ellipticcurve import (  # type: ignore[import-untyped, unused-ignore]
    Point,
    PointJacobi,
)
from ecdsa.keys import (  # type: ignore[import-untyped, unused-ignore]
    BadSignatureError,
    MalformedPointError,
    VerifyingKey,
)
from ecdsa.util import sigdecode_string  # type: ignore[import-untyped, unused-ignore]

from simnet._ripemd160 import ripemd160

ADDRESS_PREFIX = "gonka"
CURVE_ORDER: int = int(SECP256k1.order)
_HALF_ORDER = CURVE_ORDER // 2
_FIELD_PRIME: int = int(SECP256k1.curve.p())


class InvalidKeyError(ValueError):
    """The text or number is not a usable secp256k1 private key."""


class AddressError(ValueError):
    """The text is not an address of this network; says why as the chain does."""


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def hash160(data: bytes) -> bytes:
    """RIPEMD-160 of SHA-256, with our own RIPEMD-160 where OpenSSL hides it."""
    inner = sha256(data)
    try:
        return hashlib.new("ripemd160", inner).digest()
    except ValueError:
        return ripemd160(inner)


def _encode_point(point: PointJacobi | Point) -> bytes:
    return bytes([2 + (int(point.y()) & 1)]) + int(point.x()).to_bytes(32, "big")


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A secp256k1 private key; its text form never appears in ``repr``."""

    secret: int

    def __post_init__(self) -> None:
        if not 0 < self.secret < CURVE_ORDER:
            raise InvalidKeyError("private key is zero or not below the curve order")

    def __repr__(self) -> str:
        return f"PrivateKey({self.address})"

    @classmethod
    def from_hex(cls, text: str) -> PrivateKey:
        """Read exactly 64 hexadecimal digits, without ``0x``."""
        if len(text) != 64:
            raise InvalidKeyError(f"private key must be 32 bytes, got {len(text)} characters")
        try:
            return cls(int.from_bytes(bytes.fromhex(text), "big"))
        except ValueError as error:
            raise InvalidKeyError("private key is not hexadecimal or out of range") from error

    @classmethod
    def from_seed(cls, seed: str) -> PrivateKey:
        """Derive a key from a name, for simulated accounts that must be stable."""
        return cls(int.from_bytes(sha256(seed.encode()), "big") % (CURVE_ORDER - 1) + 1)

    @property
    def hex(self) -> str:
        return self.secret.to_bytes(32, "big").hex()

    @property
    def public_key(self) -> bytes:
        """The compressed public key, 33 bytes."""
        return _encode_point(SECP256k1.generator * self.secret)

    @property
    def address(self) -> str:
        return address_of(self.public_key)

    def sign(self, message: bytes) -> bytes:
        """Sign SHA-256 of ``message``: 64 bytes r and s, low s, deterministic."""
        return self._sign_digest(sha256(message))[0]

    def sign_recoverable(self, message: bytes) -> bytes:
        """Like :meth:`sign` with the recovery id as a 65th byte (0 or 1)."""
        signature, recovery = self._sign_digest(sha256(message))
        return signature + bytes([recovery])

    def _sign_digest(self, digest: bytes) -> tuple[bytes, int]:
        number = int.from_bytes(digest, "big")
        retry = 0
        while True:
            nonce = rfc6979.generate_k(
                CURVE_ORDER, self.secret, hashlib.sha256, digest, retry_gen=retry
            )
            point = SECP256k1.generator * nonce
            r = int(point.x()) % CURVE_ORDER
            s = pow(nonce, -1, CURVE_ORDER) * (number + r * self.secret) % CURVE_ORDER
            retry += 1
            if r and s:
                break
        recovery = int(point.y()) & 1
        if s > _HALF_ORDER:
            s, recovery = CURVE_ORDER - s, recovery ^ 1
        return r.to_bytes(32, "big") + s.to_bytes(32, "big"), recovery


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether the 64-byte ``signature`` over SHA-256 of ``message`` is good.

    As on the chain, a high s is refused.
    """
    if len(signature) != 64 or len(public_key) != 33:
        return False
    if int.from_bytes(signature[32:], "big") > _HALF_ORDER:
        return False
    try:
        key = VerifyingKey.from_string(public_key, curve=SECP256k1)
        return bool(key.verify_digest(signature, sha256(message), sigdecode=sigdecode_string))
    except (BadSignatureError, MalformedPointError):
        return False


def recover(message: bytes, signature: bytes) -> bytes | None:
    """Return the compressed public key that made a 65-byte signature, or nothing."""
    if len(signature) != 65 or signature[64] > 1:
        return None
    r = int.from_bytes(signature[:32], "big")
    s = int.from_bytes(signature[32:64], "big")
    if not (0 < r < CURVE_ORDER and 0 < s < CURVE_ORDER):
        return None
    square = (pow(r, 3, _FIELD_PRIME) + 7) % _FIELD_PRIME
    root = pow(square, (_FIELD_PRIME + 1) // 4, _FIELD_PRIME)
    if root * root % _FIELD_PRIME != square:
        return None
    y = root if root & 1 == signature[64] else _FIELD_PRIME - root
    inverse = pow(r, -1, CURVE_ORDER)
    number = int.from_bytes(sha256(message), "big")
    point = PointJacobi(SECP256k1.curve, r, y, 1, CURVE_ORDER)
    generator = SECP256k1.generator
    public = point * (s * inverse % CURVE_ORDER) + generator * (-number * inverse % CURVE_ORDER)
    return _encode_point(public)


def address_of(public_key: bytes) -> str:
    return encode_address(hash160(public_key))


def module_address(name: str) -> str:
    """Address of a module account: the first 20 bytes of SHA-256 of its name."""
    return encode_address(sha256(name.encode())[:20])


def encode_address(raw: bytes, prefix: str = ADDRESS_PREFIX) -> str:
    words = bech32.convertbits(raw, 8, 5) or []
    return str(bech32.bech32_encode(prefix, words))


def decode_address(text: str) -> bytes:
    """Return the 20 bytes of an address or raise :class:`AddressError`."""
    if len(text) < 8:
        raise AddressError(f"decoding bech32 failed: invalid bech32 string length {len(text)}")
    separator = text.rfind("1")
    if separator < 1 or separator + 7 > len(text):
        raise AddressError(f"decoding bech32 failed: invalid separator index {separator}")
    prefix, words = bech32.bech32_decode(text)
    if prefix is None or words is None:
        raise AddressError("decoding bech32 failed: invalid checksum")
    if prefix != ADDRESS_PREFIX:
        raise AddressError(f"invalid Bech32 prefix; expected {ADDRESS_PREFIX}, got {prefix}")
    raw = bech32.convertbits(words, 5, 8, False)
    if raw is None or len(raw) != 20:
        raise AddressError("decoding bech32 failed: wrong address length")
    return bytes(raw)
