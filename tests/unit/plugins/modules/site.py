# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""A simulated network with a gateway, and a host's files, for whole modules."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.gonka.devshard.plugins.module_utils._chain.inferenced import (
    CliResult,
    Inferenced,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.creator import close, exposed
from ansible_collections.gonka.devshard.tests.money.network import ROOT, Port, Process

FAST = ("SIMNET_POLL_SECONDS=0.3",)
READS = ("GET", "HEAD")


# Keys as the real program keeps them, which starts much slower: its recorded answers and files.
PROGRAM = """#!/bin/sh
verb=$2 name=$3
while [ $# -gt 0 ]; do
  case $1 in
    --keyring-dir) keyring=$2/keyring-test ;;
    --home) home=$2 ;;
  esac
  shift
done
mkdir -p "$home/config" "$home/data"
if [ "$verb" = import-hex ]; then
  [ ! -e "$keyring/$name.info" ] || { echo "$name: cannot overwrite key [<source>]" >&2; exit 1; }
  read -r key
  mkdir -p "$keyring"
  echo "$key" > "$keyring/$name.info"
  echo "$name" > "$keyring/$key.address"
else
  [ -e "$keyring/$name.info" ] || {
    echo "Usage: a lot of help" >&2
    echo "$name is not a valid name or address: decoding bech32 failed" >&2
    exit 1
  }
  read -r key < "$keyring/$name.info"
  [ "$key" = '@KEY@' ] && echo '@ADDRESS@' || echo 'gonka15jz7yqwxuv4eu8l6cysfrgslcyvh7f3ykf8ykp'
fi
"""


def _run(argv: list[str], data: str | None) -> CliResult:
    done = subprocess.run(argv, input=data, capture_output=True, text=True, check=False)
    return CliResult(done.returncode, done.stdout, done.stderr)


class Net:
    """A chain and a gateway in a process group of their own."""

    def __init__(self, folder: Path, *more: str) -> None:
        argv = [sys.executable, "-m", "simnet", "run", "--dir", str(folder / "state")]
        argv += ["--block-interval", "0.2", *[f"--gateway-env={entry}" for entry in FAST], *more]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests" / "simnet")}
        self._process = Process(argv, environment, folder / "simnet.log")
        line = self._process.first_line()
        if not line:
            raise AssertionError((folder / "simnet.log").read_text()[-4000:])
        self.ready: dict[str, t.Any] = json.loads(line)
        self.chain = Port(self.ready["faults"])
        self.gateway = Port(self.ready["gateway_faults"])
        self.admin = Port(self.ready["gateway"], self.ready["admin_key"])
        self.defaults = self.admin.get("/v1/admin/settings")

    def stop(self) -> None:
        self._process.stop()

    def heal(self) -> None:
        """No fault is left, the creator is listed and solvent, the settings are the first ones."""
        self.chain.post("/reset")
        self.gateway.post("/reset")
        self.chain.post("/chain/allowlist", {"addresses": [self.ready["creator"]]})
        self.fund(10**15)
        settings = {"model_limits": [], **self.defaults}
        if self.admin.get("/v1/admin/settings") != self.defaults:
            self.admin.post("/v1/admin/settings", {**settings, "disabled": self._enabled()})
        self.forget()

    def _enabled(self) -> dict[str, t.Any]:
        return {"new_url": "", **self.defaults["disabled"]}

    def fund(self, amount: int) -> None:
        self.chain.post("/chain/accounts", {"address": self.ready["creator"], "balance": amount})

    def forget(self) -> None:
        self.chain.delete("/requests")
        self.gateway.delete("/requests")

    def writes(self) -> list[str]:
        """Everything but reads that chain and gateway were asked since ``forget``."""
        seen = [entry for port in (self.chain, self.gateway) for entry in self._log(port)]
        return [f"{e['method']} {e['path']}" for e in seen if e["method"] not in READS]

    def _log(self, port: Port) -> list[dict[str, t.Any]]:
        found = port.get("/requests")["requests"]
        # a gateway speaks with hosts and chain on its own
        return [entry for entry in found if entry.get("service", "gateway") != "hosts"]


@dataclass
class Site:
    """One host: its files below ``folder``, and the options that name them."""

    net: Net
    folder: Path
    cli: Path = field(init=False)
    secrets: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        ready = self.net.ready
        self.cli = self.folder.parent / "inferenced"
        text = PROGRAM.replace("@KEY@", ready["creator_key"])
        self.cli.write_text(text.replace("@ADDRESS@", ready["creator"]))
        self.cli.chmod(0o755)
        self.secrets = {
            "DEVSHARD_PRIVATE_KEY": ready["creator_key"],
            "DEVSHARD_API_KEYS": ready["api_key"],
            "DEVSHARD_ADMIN_API_KEY": ready["admin_key"],
        }
        self.write_env(self.secrets)

    @property
    def env_file(self) -> Path:
        return self.folder / "config.devshard.env"

    def write_env(self, variables: t.Mapping[str, str]) -> None:
        text = "".join(f"export {name}={value}\n" for name, value in variables.items())
        self.env_file.write_text(text)
        self.env_file.chmod(0o600)

    @property
    def model(self) -> str:
        return str(self.net.ready["models"][0])

    @property
    def creator(self) -> str:
        return str(self.net.ready["creator"])

    def chain(self) -> dict[str, t.Any]:
        ready = self.net.ready
        return {
            "chain_rest": ready["chain_rest"],
            "chain_rpc": ready["chain_rpc"],
            "public_api": ready["public_api"],
            "chain_id": ready["chain_id"],
        }

    def admin(self) -> dict[str, t.Any]:
        return {"gateway_url": self.net.ready["gateway"], "env_file": str(self.env_file)}

    def inferenced(self) -> dict[str, t.Any]:
        return {
            "inferenced_path": str(self.cli),
            "inferenced_home": str(self.folder / "inferenced"),
            "keyring_dir": str(self.folder / "inferenced" / "keyring"),
        }

    def ledger(self) -> dict[str, t.Any]:
        return {"ledger_path": str(self.folder / "state" / "ledger.db")}

    def money(self) -> dict[str, t.Any]:
        return {
            **self.admin(),
            **self.chain(),
            **self.inferenced(),
            **self.ledger(),
        }

    def escrow(self, **more: t.Any) -> dict[str, t.Any]:
        wish = {"model_id": self.model, "amount": self.net.ready["amount"], "wait_interval": 1}
        return {**self.money(), **wish, **more}

    def import_key(self) -> None:
        """The creator's key is in the keyring, as after the role creator."""
        options = self.inferenced()
        signer = Inferenced(
            run=_run,
            path=options["inferenced_path"],
            home=options["inferenced_home"],
            keyring_dir=options["keyring_dir"],
            key_name="devshard-create",
        )
        signer.import_key(self.net.ready["creator_key"])
        close(exposed(Path(options["keyring_dir"])))

    def snapshot(self) -> dict[str, tuple[int, str]]:
        return snapshot_of(self.folder)

    def writes(self) -> list[str]:
        """What chain and gateway were asked to change since the last call."""
        found = self.net.writes()
        self.net.forget()
        return found


def snapshot_of(folder: Path) -> dict[str, tuple[int, str]]:
    """All files and folders with their modes and contents."""
    found = {}
    for path in sorted(folder.rglob("*")):
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path.relative_to(folder))] = (path.stat().st_mode, content)
    return found
