# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Filter: the address that a creator's private key gives."""

from __future__ import annotations

import hashlib

from ansible.errors import AnsibleFilterError
from ansible.module_utils.basic import missing_required_lib

from ansible_collections.gonka.devshard.plugins.module_utils._core.address import account_address
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import ConfigurationError
from ansible_collections.gonka.devshard.plugins.module_utils._core.keys import check_private_key

try:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
except ImportError as exc:
    CRYPTOGRAPHY_ERROR: ImportError | None = exc
else:
    CRYPTOGRAPHY_ERROR = None


def key_address(key: object) -> str:
    """Return the address of the account that the key belongs to. No message shows the key."""
    if CRYPTOGRAPHY_ERROR is not None:
        raise AnsibleFilterError(missing_required_lib("cryptography")) from CRYPTOGRAPHY_ERROR
    try:
        number = int(check_private_key(str(key), "key_address"), 16)
    except ConfigurationError as exc:
        raise AnsibleFilterError(str(exc)) from None
    public = ec.derive_private_key(number, ec.SECP256K1()).public_key()
    point = public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    # RIPEMD-160 over SHA-256, as on every chain of the Cosmos SDK
    digest = hashlib.new("ripemd160", hashlib.sha256(point).digest(), usedforsecurity=False)
    return account_address(digest.digest())
