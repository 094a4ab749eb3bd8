# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Errors by cause. Libraries raise them with data; one place turns them into a module's failure."""

from __future__ import annotations

import typing as t


class DevshardError(Exception):
    """Base of all errors the user is told about; ``details`` are for machines, never secrets."""

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
    """Refused, since going on could lose money or cut a stream."""

    kind = "unsafe"


class UnknownStateError(DevshardError):
    """What would have to be known could not be found out; unknown is never taken as fine."""

    kind = "unknown"


class PocPhaseError(UnknownStateError):
    """503: the network generates proofs of compute and serves nobody now; nothing is wrong."""

    kind = "poc_phase"


class BusyError(DevshardError):
    """Somebody else works on it at this moment."""

    kind = "busy"


class WaitTimeoutError(DevshardError):
    """The deadline passed; ``details`` hold what was seen last."""

    kind = "timeout"


class TransportError(DevshardError):
    """No usable answer came. ``sent`` is False only when the request surely never left."""

    kind = "transport"


class OutcomeUnknownError(TransportError):
    """A write was answered, and the answer does not tell whether it was done: look first."""

    kind = "outcome_unknown"


class ProtocolError(DevshardError):
    """An answer came that is not what the contract says; ``http_status`` where there is one."""

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
