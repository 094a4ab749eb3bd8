# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The hosts: they keep every diff, notice forks and rollbacks, and sign.

The protocol is in the README ("Host protocol").
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from simnet import crypto, session, txs
from simnet.chain import Chain
from simnet.jsonbody import json_reply, read_json
from simnet.network import Host


def inference_url(public_url: str, host: Host) -> str:
    return f"{public_url}/hosts/{host.index:02d}"


@dataclass(eq=False)
class HostError(Exception):
    """A request that a host answers with an error."""

    status: int
    message: str
    nonce: int | None = None

    def to_json(self) -> dict[str, Any]:
        body: dict[str, Any] = {"error": self.message}
        if self.nonce is not None:
            body["nonce"] = self.nonce
        return body


@dataclass(frozen=True, slots=True)
class Diff:
    nonce: int
    txs: bytes
    user_sig: bytes
    root: bytes
    parent: bytes

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Diff:
        nonce = data.get("nonce")
        if isinstance(nonce, bool) or not isinstance(nonce, int) or nonce < 1:
            raise HostError(400, "diff without a positive nonce")
        try:
            diff = cls(
                nonce,
                txs.unb64(data.get("txs")),
                txs.unb64(data.get("user_sig")),
                txs.unb64(data.get("post_state_root")),
                txs.unb64(data.get("parent_state_root")),
            )
        except txs.TxDecodeError as error:
            raise HostError(400, f"diff {nonce}: {error}") from error
        if len(diff.root) != 32 or not diff.txs.startswith(session.diff_txs(nonce, b"")):
            raise HostError(400, f"diff {nonce}: wrong root or txs without the nonce")
        return diff


class Hosts:
    """All hosts of the network over one store."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.silent: set[str] = set()
        self.down: set[str] = set()
        # The versions that they serve; nothing: those that the chain approves, or any.
        self.versions: set[str] | None = None
        self._store = chain.store
        self._good_signatures: set[tuple[int, int, bytes, bytes]] = set()

    # --- state -----------------------------------------------------------------

    def newest(self, escrow_id: int, host: str) -> tuple[int, bytes]:
        row = self._store.row(
            "SELECT nonce, root FROM diffs WHERE escrow_id = ? AND host = ? "
            "ORDER BY nonce DESC LIMIT 1",
            escrow_id,
            host,
        )
        return (0, b"") if row is None else (row["nonce"], row["root"])

    def _root_at(self, escrow_id: int, host: str, nonce: int) -> bytes:
        row = self._store.row(
            "SELECT root FROM diffs WHERE escrow_id = ? AND host = ? AND nonce = ?",
            escrow_id,
            host,
            nonce,
        )
        return b"" if row is None else bytes(row["root"])

    def _escrow(self, host: Host, text: str) -> dict[str, Any]:
        escrow = self.chain.escrows.get(int(text)) if text.isdigit() else None
        if escrow is None:
            raise HostError(404, f"escrow {text} not found")
        if host.address not in escrow["slots"]:
            raise HostError(400, f"host {host.address} is not in the group of escrow {text}")
        return escrow

    def serves(self, version: str) -> bool:
        served = self.versions
        if served is None:
            served = set(self.chain.approved_versions())
        return not served or version in served

    def violations(self) -> list[dict[str, Any]]:
        rows = self._store.rows("SELECT body FROM violations ORDER BY id")
        return [json.loads(row["body"]) for row in rows]

    def clear_violations(self) -> None:
        self._store.run("DELETE FROM violations")

    def _violation(
        self, kind: str, escrow_id: int, host: Host, nonce: int, process: str, previous: str
    ) -> None:
        body = {
            "kind": kind,
            "escrow_id": str(escrow_id),
            "host": host.address,
            "nonce": nonce,
            "process_id": process,
            "previous_process_id": previous,
            "height": self.chain.height,
        }
        self._store.run("INSERT INTO violations (body) VALUES (?)", json.dumps(body))

    # --- diffs -----------------------------------------------------------------

    def diffs(self, host: Host, escrow_text: str, first: int, last: int) -> list[dict[str, Any]]:
        escrow = self._escrow(host, escrow_text)
        rows = self._store.rows(
            "SELECT * FROM diffs WHERE escrow_id = ? AND host = ? AND nonce BETWEEN ? AND ? "
            "ORDER BY nonce",
            int(escrow["id"]),
            host.address,
            first,
            last,
        )
        return [
            {
                "diff": {
                    "nonce": row["nonce"],
                    "txs": txs.b64(row["txs"]),
                    "user_sig": txs.b64(row["user_sig"]),
                    "post_state_root": txs.b64(row["root"]),
                },
                "state_hash": txs.b64(row["root"]),
            }
            for row in rows
        ]

    def append(
        self, host: Host, escrow_text: str, process: str, diffs: list[Diff]
    ) -> dict[str, Any]:
        escrow = self._escrow(host, escrow_text)
        escrow_id = int(escrow["id"])
        accepted = skipped = 0
        refused = ""
        with self._store.transaction():
            for diff in diffs:
                verdict = self._append_one(host, escrow, process, diff)
                if verdict == "skipped":
                    skipped += 1
                elif verdict:
                    refused = verdict
                    break
                else:
                    accepted += 1
        nonce, root = self.newest(escrow_id, host.address)
        return {
            "nonce": nonce,
            "state_hash": txs.b64(root),
            "accepted": accepted,
            "skipped": skipped,
            "refused": refused,
        }

    def _append_one(self, host: Host, escrow: dict[str, Any], process: str, diff: Diff) -> str:
        escrow_id = int(escrow["id"])
        newest, root = self.newest(escrow_id, host.address)
        if diff.nonce <= newest:
            kept = self._store.row(
                "SELECT root, process_id FROM diffs WHERE escrow_id = ? AND host = ? AND nonce = ?",
                escrow_id,
                host.address,
                diff.nonce,
            )
            if kept is not None and kept["root"] == diff.root:
                return "skipped"
            previous = "" if kept is None else kept["process_id"]
            self._violation("fork", escrow_id, host, diff.nonce, process, previous)
            return "fork"
        if diff.nonce > newest + 1:
            return "gap"
        if diff.parent != root:
            self._violation("fork", escrow_id, host, diff.nonce, process, "")
            return "fork"
        if diff.nonce > int(self.chain.params()["devshard_escrow_params"]["max_nonce"]):
            return "max_nonce"
        if not self._signed_by_creator(escrow, diff):
            self._violation("bad_signature", escrow_id, host, diff.nonce, process, "")
            return "bad_signature"
        self._note_server(escrow_id, host, diff.nonce, process)
        self._store.run(
            "INSERT INTO diffs VALUES (?, ?, ?, ?, ?, ?, ?)",
            escrow_id,
            host.address,
            diff.nonce,
            diff.txs,
            diff.user_sig,
            diff.root,
            process,
        )
        return ""

    def _signed_by_creator(self, escrow: dict[str, Any], diff: Diff) -> bool:
        # The same diff goes to all hosts; one verification is enough.
        memo = (int(escrow["id"]), diff.nonce, diff.root, diff.user_sig)
        if memo in self._good_signatures:
            return True
        message = session.diff_message(int(escrow["id"]), diff.txs, diff.root)
        key = crypto.recover(message, diff.user_sig)
        if key is None or crypto.address_of(key) != escrow["creator"]:
            return False
        self._good_signatures.add(memo)
        return True

    def _note_server(self, escrow_id: int, host: Host, nonce: int, process: str) -> None:
        """Remember who serves an escrow; one that comes back after another is a violation."""
        rows = self._store.rows(
            "SELECT process_id, turn FROM serving WHERE escrow_id = ? ORDER BY turn DESC",
            escrow_id,
        )
        if rows and rows[0]["process_id"] == process:
            return
        if any(row["process_id"] == process for row in rows):
            previous = rows[0]["process_id"]
            self._violation("two_processes", escrow_id, host, nonce, process, previous)
        turn = rows[0]["turn"] + 1 if rows else 1
        self._store.run("INSERT OR REPLACE INTO serving VALUES (?, ?, ?)", escrow_id, process, turn)

    # --- signatures ------------------------------------------------------------

    def sign(
        self, host: Host, escrow_text: str, process: str, nonce: int, root: bytes
    ) -> dict[str, Any]:
        escrow = self._escrow(host, escrow_text)
        escrow_id = int(escrow["id"])
        newest, own_root = self.newest(escrow_id, host.address)
        if newest > nonce:
            kept = self._root_at(escrow_id, host.address, nonce)
            kind = "rollback" if kept == root else "fork"
            self._violation(kind, escrow_id, host, nonce, process, "")
            raise HostError(409, f"newest nonce {newest} is higher than {nonce}", newest)
        if newest < nonce:
            raise HostError(409, f"newest nonce {newest} is lower than {nonce}", newest)
        if own_root != root:
            self._violation("fork", escrow_id, host, nonce, process, "")
            raise HostError(409, f"state root at nonce {nonce} differs", newest)
        signature = host.key.sign_recoverable(session.signature_message(escrow_id, nonce, root))
        return {
            "signatures": [
                {"slot_id": slot, "signature": txs.b64(signature)}
                for slot, address in enumerate(escrow["slots"])
                if address == host.address
            ]
        }


class HostApi:
    """HTTP for :class:`Hosts`, below ``/hosts/{index}``."""

    def __init__(self, hosts: Hosts) -> None:
        self.hosts = hosts

    def routes(self) -> list[web.RouteDef]:
        routes = []
        for prefix in ("/v1/devshard", "/devshard/{version}"):
            base = f"/hosts/{{host}}{prefix}/sessions/{{id}}"
            routes += [
                web.get(f"{base}/diffs", self.get_diffs),
                web.post(f"{base}/diffs", self.post_diffs),
                web.post(f"{base}/signatures", self.post_signatures),
            ]
        return routes

    async def _host(self, request: web.Request) -> Host:
        text = request.match_info["host"]
        known = self.hosts.chain.hosts
        if not text.isdigit() or int(text) >= len(known):
            raise HostError(404, f"no host {text}")
        host = known[int(text)]
        if host.address in self.hosts.silent:
            # Until the client gives up or the server stops.
            await asyncio.Event().wait()
        if host.address in self.hosts.down:
            if request.transport is not None:
                request.transport.abort()
            raise HostError(499, f"host {host.address} is down")
        version = request.match_info.get("version")
        if version is not None and not self.hosts.serves(version):
            raise HostError(404, f'version "{version}" not found')
        return host

    async def get_diffs(self, request: web.Request) -> web.Response:
        try:
            host = await self._host(request)
            first = _nonce(request.query.get("from", "1"))
            last = _nonce(request.query.get("to", str(1 << 60)))
            answer = self.hosts.diffs(host, request.match_info["id"], first, last)
        except HostError as error:
            return json_reply(error.to_json(), status=error.status)
        return json_reply(answer)

    async def post_diffs(self, request: web.Request) -> web.Response:
        try:
            host = await self._host(request)
            body = await _body(request)
            entries = body.get("diffs")
            if not isinstance(entries, list):
                raise HostError(400, "diffs must be a list")
            diffs = [Diff.from_json(entry) for entry in entries]
            answer = self.hosts.append(host, request.match_info["id"], body["process_id"], diffs)
        except HostError as error:
            return json_reply(error.to_json(), status=error.status)
        return json_reply(answer)

    async def post_signatures(self, request: web.Request) -> web.Response:
        try:
            host = await self._host(request)
            body = await _body(request)
            nonce = body.get("nonce")
            if isinstance(nonce, bool) or not isinstance(nonce, int):
                raise HostError(400, "nonce must be a number")
            try:
                root = txs.unb64(body.get("state_root"))
            except txs.TxDecodeError as error:
                raise HostError(400, f"state_root: {error}") from error
            answer = self.hosts.sign(
                host, request.match_info["id"], body["process_id"], nonce, root
            )
        except HostError as error:
            return json_reply(error.to_json(), status=error.status)
        return json_reply(answer)


async def _body(request: web.Request) -> dict[str, Any]:
    body = await read_json(request)
    if body is None or not isinstance(body.get("process_id"), str):
        raise HostError(400, "expected a JSON object with process_id")
    return body


def _nonce(text: str) -> int:
    if not text.isdigit() or len(text) > 19:
        raise HostError(400, f"bad nonce {text!r}")
    return min(int(text), (1 << 63) - 1)
