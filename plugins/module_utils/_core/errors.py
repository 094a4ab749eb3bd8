# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Errors by cause. Libraries raise them with data; one place turns them into a module's failure."""

from __future__ import annotations

import typing as t


class DevshardError(Exception):
    """Base of all errors that are reported to the user; ``details`` are for machines, never
    secrets."""

    kind: t.ClassVar[str] = "error"

    def __init__(self, msg: str, **details: t.Any) -> None:
        super().__init__(msg)
        self.details: dict[str, t.Any] = details

    def to_failure(self) -> dict[str, t.Any]:
        """What a failed module returns as ``failure``."""
        return {"kind": self.kind, "message": str(self), **self.details}


class ConfigurationError(DevshardError):
    """An option, a file or a setting of the user is wrong; nothing was changed."""

    kind = "configuration"


class UnsafeError(DevshardError):
    """Refused, because continuing could lose money or cut a stream."""

    kind = "unsafe"


class UnknownStateError(DevshardError):
    """A state that must be known is unknown, which is never treated as fine."""

    kind = "unknown"


class PocPhaseError(UnknownStateError):
    """503: the network generates proofs of compute and serves no client now; nothing is wrong."""

    kind = "poc_phase"


class BusyError(DevshardError):
    """Another process works on it at this moment."""

    kind = "busy"


class WaitTimeoutError(DevshardError):
    """The deadline passed; ``details`` hold the last observed state."""

    kind = "timeout"


class TransportError(DevshardError):
    """No usable answer arrived. ``sent`` is False only when the request certainly never left."""

    kind = "transport"


class OutcomeUnknownError(TransportError):
    """A write was answered, but the answer does not say whether it was done: check first."""

    kind = "outcome_unknown"


class ProtocolError(DevshardError):
    """The answer does not match the contract; ``http_status`` where there is one."""

    kind = "protocol"


class AuthenticationError(ProtocolError):
    """The other side does not accept the key (401, 403)."""

    kind = "authentication"


class NotFoundError(ProtocolError):
    """404, or the other side's own words for it."""

    kind = "not_found"


class ConflictError(ProtocolError):
    """409: the state of the other side forbids it now."""

    kind = "conflict"


class RateLimitedError(ProtocolError):
    """429."""

    kind = "rate_limited"


class RedirectedError(ProtocolError):
    """308 of a gateway in its disabled state (contract gateway.md §1.3)."""

    kind = "redirected"


class ChainRejectedError(DevshardError):
    """The chain executed or checked a transaction and refused it; ``code``, ``raw_log``."""

    kind = "chain_rejected"
