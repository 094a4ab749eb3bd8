# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""What a session's state root, diffs and signatures are made of.

Shared by the chain (verifies a settlement), the hosts (sign) and the
gateway (writes the diffs). The settlement part is the real chain's formula;
the diffs carry a simplified content, since no host executes anything here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from simnet.txs import HostStats, field_bytes, field_message, field_varint

PHASE_ACTIVE = 0
PHASE_FINALIZING = 1
PHASE_SETTLEMENT = 2


def quorum(slots: int) -> int:
    """Slot signatures that a settlement needs: two thirds and one."""
    return 2 * slots // 3 + 1


def host_stats_hash(host_stats: Iterable[HostStats]) -> bytes:
    entries = sorted(host_stats, key=lambda entry: entry.slot_id)
    return hashlib.sha256(b"".join(field_message(1, entry.encode()) for entry in entries)).digest()


def state_root(
    host_stats: Iterable[HostStats],
    fees: int,
    rest_hash: bytes,
    version: str,
    phase: int = PHASE_SETTLEMENT,
) -> bytes:
    """The root that hosts sign; the chain recomputes it for phase settlement."""
    version_hash = hashlib.sha256(version.encode()).digest()
    preimage = host_stats_hash(host_stats) + fees.to_bytes(8, "big") + rest_hash
    return hashlib.sha256(preimage + version_hash + bytes([phase])).digest()


def signature_message(escrow_id: int, nonce: int, root: bytes) -> bytes:
    """What a host signs (recoverable signature over its SHA-256)."""
    return field_bytes(1, root) + field_bytes(2, str(escrow_id)) + field_varint(3, nonce)


def diff_txs(nonce: int, payload: bytes) -> bytes:
    """A diff's transactions as hosts keep them: the nonce in field 1, then the rest.

    A gateway's own storage keeps only ``payload``.
    """
    return field_varint(1, nonce) + payload


def diff_message(escrow_id: int, txs: bytes, root: bytes) -> bytes:
    """What the creator signs for one diff (recoverable signature)."""
    return txs + field_bytes(3, str(escrow_id)) + field_bytes(4, root)
