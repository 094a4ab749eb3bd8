# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Keys and addresses against the contract's vectors."""

from __future__ import annotations

import hashlib

import pytest

from simnet import crypto
from simnet._ripemd160 import ripemd160

VECTORS = [
    ("00" * 31 + "01", "gonka1w508d6qejxtdg4y5r3zarvary0c5xw7k2gsyg6"),
    ("01" * 32, "gonka10xcqpzrky6eff2g52qdye53xkk9jxkvr34az8p"),
    (
        "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318",
        "gonka1nduq8yy8h4nr7g9vuuglzklqatmaquq9mhvl49",
    ),
    (
        "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140",
        "gonka14h0ycu78h88wzldxc7e79vhw5xsde0n85evmum",
    ),
]


@pytest.mark.parametrize(("key", "address"), VECTORS)
def test_address_vectors(key: str, address: str) -> None:
    private = crypto.PrivateKey.from_hex(key)
    assert private.address == address
    assert private.hex == key
    assert crypto.encode_address(crypto.decode_address(address)) == address


@pytest.mark.parametrize(
    "key",
    [
        "00" * 32,
        "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
        "ff" * 32,
        "01" * 31,
        "0x" + "01" * 32,
        "zz" * 32,
        "",
    ],
)
def test_not_a_key(key: str) -> None:
    with pytest.raises(crypto.InvalidKeyError):
        crypto.PrivateKey.from_hex(key)


def test_the_secret_is_not_in_repr() -> None:
    private = crypto.PrivateKey.from_hex("01" * 32)
    assert private.hex not in repr(private)
    assert str(private.secret) not in repr(private)


@pytest.mark.parametrize(
    ("data", "digest"),
    [
        (b"", "9c1185a5c5e9fc54612808977ee8f548b2258d31"),
        (b"abc", "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc"),
        (b"1234567890" * 8, "9b752e45573d4b39f4dbd3323cab82bf63326bfb"),
        (b"a" * 1_000, "aa69deee9a8922e92f8105e007f76110f381e9cf"),
    ],
)
def test_ripemd160_vectors(data: bytes, digest: str) -> None:
    assert ripemd160(data).hex() == digest


def test_hash160_without_openssl_ripemd(monkeypatch: pytest.MonkeyPatch) -> None:
    def hidden(name: str, data: bytes = b"") -> None:
        raise ValueError(f"unsupported hash type {name}")

    monkeypatch.setattr(hashlib, "new", hidden)
    assert crypto.PrivateKey.from_hex("01" * 32).address == VECTORS[1][1]


def test_signature_is_deterministic_low_s_and_verifies() -> None:
    key = crypto.PrivateKey.from_seed("a host")
    for number in range(20):
        message = b"message %d" % number
        signature = key.sign(message)
        assert len(signature) == 64
        assert signature == key.sign(message)
        assert int.from_bytes(signature[32:], "big") <= crypto.CURVE_ORDER // 2
        assert crypto.verify(key.public_key, message, signature)
        assert not crypto.verify(key.public_key, message + b"x", signature)
        assert not crypto.verify(
            crypto.PrivateKey.from_seed("other").public_key, message, signature
        )


def test_rfc6979_vector() -> None:
    """A published secp256k1 vector: key 1, message 'Satoshi Nakamoto'."""
    signature = crypto.PrivateKey(1).sign(b"Satoshi Nakamoto")
    assert signature.hex() == (
        "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8"
        "2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5"
    )


def test_high_s_is_refused() -> None:
    key = crypto.PrivateKey.from_seed("a")
    signature = key.sign(b"m")
    high = crypto.CURVE_ORDER - int.from_bytes(signature[32:], "big")
    assert not crypto.verify(key.public_key, b"m", signature[:32] + high.to_bytes(32, "big"))


def test_recover_finds_the_signer() -> None:
    for number in range(8):
        key = crypto.PrivateKey.from_seed(f"host {number}")
        signature = key.sign_recoverable(b"state")
        assert crypto.recover(b"state", signature) == key.public_key
        assert crypto.recover(b"other", signature) != key.public_key
    assert crypto.recover(b"state", b"\x00" * 65) is None
    assert crypto.recover(b"state", b"short") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("creator", "decoding bech32 failed: invalid bech32 string length 7"),
        ("bad", "decoding bech32 failed: invalid bech32 string length 3"),
        ("gonka1xyz", "decoding bech32 failed: invalid separator index 5"),
    ],
)
def test_address_errors_say_what_the_chain_says(text: str, message: str) -> None:
    with pytest.raises(crypto.AddressError) as caught:
        crypto.decode_address(text)
    assert str(caught.value) == message


def test_module_accounts() -> None:
    assert crypto.module_address("fee_collector") == "gonka17xpfvakm2amg962yls6f84z3kell8c5lqvy7vl"
    assert crypto.module_address("inference") == "gonka1jftn8khawsmfn7shgzfjn27myu5d4zd6ns09y8"
