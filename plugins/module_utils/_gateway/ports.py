# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What use cases need of a gateway, whatever implements it."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from .models import CreateReply, GatewayState, RotationStatus, SessionStatus, SettleReply


class GatewayPort(t.Protocol):
    """``GatewayApi`` says what each of them means."""

    def state(self) -> GatewayState: ...

    def settings(self) -> dict[str, t.Any]: ...

    def rotation(self) -> RotationStatus: ...

    def session(self, number: str) -> SessionStatus: ...

    def finalized(self, number: str) -> dict[str, t.Any]: ...

    def post_settings(self, patch: dict[str, t.Any]) -> dict[str, t.Any]: ...

    def add(
        self, number: str, *, private_key_env: str | None = None, model: str | None = None
    ) -> dict[str, t.Any]: ...

    def activate(self, number: str) -> dict[str, t.Any]: ...

    def import_session(
        self,
        number: str,
        *,
        storage_path: str,
        private_key_env: str,
        model: str,
        perf_path: str | None = None,
    ) -> dict[str, t.Any]: ...

    def deactivate(self, number: str) -> dict[str, t.Any]: ...

    def delete(self, number: str) -> dict[str, t.Any]: ...

    def create_escrow(
        self,
        *,
        model_id: str,
        amount: int,
        private_key_env: str,
        chain_id: str,
        fee_amount: int,
        gas_limit: int,
    ) -> CreateReply: ...

    def finalize(self, number: str) -> dict[str, t.Any]: ...

    def settle(
        self,
        number: str,
        *,
        private_key_env: str,
        chain_id: str,
        fee_amount: int,
        gas_limit: int,
    ) -> SettleReply: ...
