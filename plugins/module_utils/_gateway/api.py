# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Client for the gateway's admin API (contract gateway.md §1)."""

from __future__ import annotations

import typing as t
from pathlib import PurePosixPath
from urllib.parse import quote

from .._core.decoding import expect_json_object
from .._core.errors import AuthenticationError, ConfigurationError, NotFoundError, ProtocolError
from .._core.exchange import Request
from .._core.reader import Reader
from .._core.transport import base_url, bearer
from .models import CreateReply, GatewayState, RotationStatus, SessionStatus, SettleReply
from .profiles import PROBES

if t.TYPE_CHECKING:
    from .._core.exchange import Transport
    from .profiles import Profile

# Seconds; all are longer than the gateway's own worst case, which the contract sums up in §1.13.
_LOAD: t.Final = 300.0
_CREATE: t.Final = 420.0
_FINALIZE: t.Final = 1200.0
_SETTINGS: t.Final = 300.0


def _is_not_active(exc: NotFoundError) -> bool:
    """What a generation that unloads says of a record that it has not loaded."""
    return str(exc.details.get("server_message") or "").endswith(" is not active")


class GatewayApi:
    """One gateway. Each call is sent once; after a lost answer the caller checks the result."""

    def __init__(
        self,
        transport: Transport,
        *,
        url: str,
        admin_key: str,
        profile: Profile,
        storage_dir: str | None = None,
    ) -> None:
        """``storage_dir`` is the storage as the gateway sees it, where it is not the usual one."""
        self._storage_dir = storage_dir or profile.storage_dir
        self._http = transport
        self.url = base_url(url, "devshard_gateway_url (gateway_url)")
        self._headers = bearer(admin_key, "the gateway's admin key")
        self._profile = profile

    def _call(
        self, method: str, path: str, body: t.Any = None, timeout: float | None = None
    ) -> dict[str, t.Any]:
        request = Request(
            method=method, url=self.url + path, json=body, headers=self._headers, timeout=timeout
        )
        try:
            return expect_json_object(request, self._http.send(request))
        except AuthenticationError as exc:
            raise AuthenticationError(
                f"{str(exc).rstrip('.')}. The gateway has a different admin key than the one that "
                f"was used"
                " (gateway_admin_api_key, else DEVSHARD_ADMIN_API_KEY in the environment file). It"
                " reads its key when the container is created",
                **exc.details,
            ) from exc
        except NotFoundError as exc:
            if exc.details.get("server_message") == "404 page not found":
                raise NotFoundError(
                    f"{str(exc).rstrip('.')}. A gateway started without an admin key returns this "
                    f"for every admin path; a gateway of another generation returns it for paths "
                    f"that it does not know",
                    **exc.details,
                ) from exc
            raise

    # reading

    def state(self) -> GatewayState:
        return GatewayState.from_api(Reader(self._call("GET", "/v1/admin/state"), "state"))

    def settings(self) -> dict[str, t.Any]:
        return self._call("GET", "/v1/admin/settings")

    def rotation(self) -> RotationStatus:
        return RotationStatus.from_api(Reader(self._call("GET", "/v1/debug/rotation"), "rotation"))

    def has(self, path: str) -> bool:
        """Whether a path answers at all; False for 404 and 405."""
        request = Request(method="GET", url=self.url + path, headers=self._headers)
        return self._http.send(request).status not in (404, 405)

    def has_batch_settle(self) -> bool:
        """Whether several escrows can be settled in one call. Nothing is named, so nothing is done:
        one that has it says what is missing, others search an escrow of that name."""
        request = Request(
            method="POST", url=self.url + PROBES.batch_settle, json={}, headers=self._headers
        )
        answer = self._http.send(request)
        if answer.status == 404:
            return False
        if answer.status == 400 and PROBES.batch_settle_wants.encode() in answer.body:
            return True
        raise ProtocolError(
            f"{request.where} answers HTTP {answer.status}, which shows nothing",
            http_status=answer.status,
        )

    def accounting_schema(self, url: str) -> int:
        """The schema of the accounting at ``url``, which is asked without a key."""
        request = Request(
            method="GET",
            url=base_url(url, "gateway_accounting_port (accounting_url)") + PROBES.accounting,
        )
        found = expect_json_object(request, self._http.send(request))
        return Reader(found, "epochs").whole("schema_version")

    def session(self, number: str) -> SessionStatus:
        """Nonce and balance of one session; refused (308) while the gateway is disabled.

        One that is not loaded is read from its folder, by generations that can load it again.
        """
        body = self._call("GET", f"/devshard/{quote(number)}/v1/status")
        return SessionStatus.from_api(Reader(body, f"status of {number}"))

    def finalized(self, number: str) -> dict[str, t.Any]:
        """The settlement of a session that is finalized already; ConflictError when it is not."""
        return self._call("GET", f"/devshard/{quote(number)}/v1/finalize")

    def participants(self, number: str) -> dict[str, t.Any]:
        """The hosts of one loaded session, and which of them the gateway does not ask now."""
        return self._call("GET", f"/v1/admin/devshards/{quote(number)}/participants")

    # writing

    def post_settings(self, patch: dict[str, t.Any]) -> dict[str, t.Any]:
        """Merge; lists in it replace the gateway's lists whole."""
        return self._call("POST", "/v1/admin/settings", patch, _SETTINGS)

    def add(
        self, number: str, *, private_key_env: str | None = None, model: str | None = None
    ) -> dict[str, t.Any]:
        """Register an escrow, or activate one that has a record; the result is always active."""
        fields = {"id": number, "private_key_env": private_key_env, "model": model}
        body = {key: value for key, value in fields.items() if value is not None} | self._pinned()
        return self._call("POST", "/v1/admin/devshards", body, _LOAD)

    def activate(self, number: str) -> dict[str, t.Any]:
        """Activate a record that exists."""
        path = self._profile.activate_path.format(id=quote(number))
        body = {"id": number} if self._profile.activate_with_id_in_body else None
        return self._call("POST", path, body, _LOAD)

    def import_session(
        self,
        number: str,
        *,
        storage_path: str,
        private_key_env: str,
        model: str,
        perf_path: str | None = None,
    ) -> dict[str, t.Any]:
        """Load a session that another process served, inactive. Does not prove that it is there."""
        fields = {
            "id": number,
            "storage_path": self._session_path(storage_path),
            "private_key_env": private_key_env,
            "model": model,
            "perf_path": perf_path,
            "active": False,
        }
        body = {key: value for key, value in fields.items() if value is not None} | self._pinned()
        return self._call("POST", "/v1/admin/devshards/import", body, _LOAD)

    def _pinned(self) -> dict[str, str]:
        """Where the hosts of an escrow serve it: said at its birth, so that no later environment
        decides it."""
        field = self._profile.escrow_prefix_field
        return {} if field is None else {field: self._profile.route}

    def _session_path(self, path: str) -> str:
        """The folder of a session as this generation takes it.

        A relative one, where it is not meant to be, is searched below the working directory of the
        process: the answer is 200, and the session is a new one that no host has ever seen.
        """
        base, whole = PurePosixPath(self._storage_dir), PurePosixPath(path)
        if not whole.is_absolute() or ".." in whole.parts:
            raise ConfigurationError(
                "storage_path must be the absolute path of the session as the gateway sees it, not"
                f" {path}"
            )
        if self._profile.absolute_storage_path:
            return path
        if base not in whole.parents:
            raise ConfigurationError(
                f"storage_path must lie below {base}, the storage as the gateway sees it, not {path}:"
                f" a gateway of generation {self._profile.name} imports from there alone"
            )
        return str(whole.relative_to(base))

    def deactivate(self, number: str) -> dict[str, t.Any]:
        """Take out of service. Where that unloads the session too, a second call finds none."""
        path = f"/v1/admin/devshards/{quote(number)}/deactivate"
        try:
            return self._call("POST", path, timeout=_LOAD)
        except NotFoundError as exc:
            if self._profile.deactivate_idempotent or not _is_not_active(exc):
                raise
            if not any(one.id == number and not one.active for one in self.state().devshards):
                raise
            return {"id": number, "active": False}

    def delete(self, number: str) -> dict[str, t.Any]:
        """Remove the record **and the session**; the gateway does not ask whether it is settled."""
        return self._call("DELETE", f"/v1/admin/devshards/{quote(number)}", timeout=_LOAD)

    def create_escrow(
        self,
        *,
        model_id: str,
        amount: int,
        private_key_env: str,
        chain_id: str,
        fee_amount: int,
        gas_limit: int,
    ) -> CreateReply:
        """Let the gateway create and register. Each call locks another deposit."""
        body = {
            "model_id": model_id,
            "amount": amount,
            "private_key_env": private_key_env,
            "chain_id": chain_id,
            "fee_amount": fee_amount,
            "gas_limit": gas_limit,
            "register": True,
            **self._pinned(),
        }
        reply = self._call("POST", "/v1/admin/escrows", body, _CREATE)
        return CreateReply.from_api(Reader(reply, "escrows"))

    def finalize(self, number: str) -> dict[str, t.Any]:
        """Finalize one session; the answer is the settlement."""
        path = f"/devshard/{quote(number)}/v1/finalize"
        return self._call("POST", path, timeout=_FINALIZE)

    def settle(
        self,
        number: str,
        *,
        private_key_env: str,
        chain_id: str,
        fee_amount: int,
        gas_limit: int,
    ) -> SettleReply:
        """Let the gateway settle. Its 200 means sent; the chain shows whether it was executed."""
        body = {
            "private_key_env": private_key_env,
            "chain_id": chain_id,
            "fee_amount": fee_amount,
            "gas_limit": gas_limit,
        }
        path = f"/v1/admin/devshards/{quote(number)}/settle"
        return SettleReply.from_api(Reader(self._call("POST", path, body, _FINALIZE), "settle"))
