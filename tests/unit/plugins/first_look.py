# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""A host of its own for the first look: files, processes, sockets, and a docker program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.gonka.devshard.plugins.module_utils._presence.asked import Asked, Host
from ansible_collections.gonka.devshard.plugins.module_utils._presence.look import look
from ansible_collections.gonka.devshard.plugins.module_utils._presence.model import Presence
from ansible_collections.gonka.devshard.plugins.module_utils._swap.journal_model import Journal
from ansible_collections.gonka.devshard.plugins.module_utils._swap.notes import SwapNotes
from ansible_collections.gonka.devshard.plugins.module_utils._swap.steps import Step

IMAGE = f"registry.example.org/gateway@sha256:{'a' * 64}"
SECRET = "admin-key-that-nobody-may-see"
INSIDE = "/root/.devshardctl"

# answers ps and inspect from a file; a file "engine" says how it fails
DOCKER = """#!{python}
import json, pathlib, sys
here = pathlib.Path(__file__).parent
fails = here / "fails"
if fails.exists():
    print(fails.read_text(), file=sys.stderr)
    sys.exit(1)
found = json.loads((here / "containers.json").read_text())
argv = sys.argv[1:]
if argv[0] == "ps":
    print("\\n".join(one["Id"] for one in found))
elif argv[:2] == ["container", "inspect"]:
    print(json.dumps([one for one in found if one["Id"] in argv]))
elif argv[:2] == ["image", "inspect"]:
    known = here / "images.json"
    images = json.loads(known.read_text()) if known.exists() else [
        {{
            "Id": one["Image"],
            "RepoDigests": [],
            "Config": {{"Entrypoint": one["Config"]["Entrypoint"], "Cmd": None}},
        }}
        for one in {{one["Image"]: one for one in found}}.values()
    ]
    print(json.dumps([one for one in images if {{one["Id"], *one["RepoDigests"]}} & set(argv)]))
else:
    sys.exit(f"not asked by us: {{argv}}")
"""


def run_program(argv: list[str]) -> tuple[int, str, str]:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@dataclass
class FakeHost:
    folder: Path
    containers: list[dict[str, t.Any]] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)
    docker: bool = True
    images: list[dict[str, t.Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.bin = self._made("bin")
        self.deploy = self._made("srv/gateway")
        self.state = self.folder / "state"
        self.nginx = self._made("nginx")
        self.proc = self._made("proc")
        self.usual = self.folder / "usual"
        self._made("proc/self/net")

    def _made(self, name: str) -> Path:
        place = self.folder / name
        place.mkdir(parents=True, exist_ok=True)
        return place

    @property
    def storage(self) -> Path:
        return self.deploy / ".devshardctl"

    def write(self, path: Path, content: t.Any = "") -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    def deployed(self, **changes: t.Any) -> None:
        """As 0.1.0 left it: record, environment file, storage, keyring, ledger, a container."""
        record = {"profile": "v2", "storage": str(self.storage), "image": "g:1", "digest": IMAGE}
        self.write(self.deploy / ".gonka-devshard.json", {**record, **changes})
        self.write(
            self.deploy / "config.devshard.env",
            f"export INFERENCED_HOME={self.state}/inferenced\n"
            f"export DEVSHARD_ADMIN_API_KEY={SECRET}\n",
        )
        self.write(self.storage / "gateway.db")
        self.keys()

    def keys(self) -> None:
        self.write(self.state / "ledger.db")
        self.write(self.state / "keyring.info")

    def retired(self) -> None:
        self.write(self.deploy / ".retired.json", {"settled": [], "gateway_db": "x"})

    def journal(self, *steps: Step, slot: str = "main", **changes: t.Any) -> Path:
        journal = Journal(
            id="20260731T101500Z",
            mode="temp",
            temp_escrows="import",
            target=f"g@sha256:{'b' * 64}",
            origin=IMAGE,
            asked="g:2",
            origin_asked="g:1",
            started=steps,
            done=steps[:-1],
            data=SwapNotes(run="77", temp_escrow_ids=(9, 10)),
        )
        name = "swap.json" if slot == "main" else f"swap-{slot}.json"
        return self.write(self.state / name, {**journal.to_dict(), **changes})

    def move(self, *steps: Step, **changes: t.Any) -> Path:
        """The journal of a move from v2 to v4.1."""
        move = {
            "origin": {"profile": "v2", "protocol": None},
            "target": {"profile": "v4.1", "protocol": "v4.1"},
            "origin_storage": str(self.storage),
            "storage": str(self.new_storage),
            "ours": True,
        }
        data = {"run": "77", "move": move}
        return self.journal(*steps, mode="generation", data=data, **changes)

    @property
    def new_storage(self) -> Path:
        return self.deploy / ".devshardctl-v4.1"

    def redirected(self, url: str) -> None:
        self.write(
            self.nginx / "devshard/server.d/redirect.conf",
            f"if ($devshard_redirect) {{\n    return 308 {url}$request_uri;\n}}\n",
        )

    def container(
        self,
        name: str,
        storage: Path | None,
        *,
        number: int = 1,
        port: int = 18080,
        running: bool = True,
        seen: Path | None = None,
        **changes: t.Any,
    ) -> str:
        """``seen`` is what it really mounts, where that is not what the name leads to now."""
        found = f"{number:064x}"
        pid = 1000 + number if running else 0
        mounts = []
        if storage is not None:
            mounts = [{"Destination": INSIDE, "Source": str(storage), "Type": "bind"}]
        if running:
            self.process(pid, "devshardctl", container=found)
            if storage is not None:
                link = self.proc / str(pid) / "root" / INSIDE.lstrip("/")
                link.parent.mkdir(parents=True)
                link.symlink_to(seen or storage)
        labels = {"com.docker.compose.project": "gateway"}
        self.containers.append(
            {
                "Id": found,
                "Name": f"/{name}",
                "Image": f"sha256:{number:064x}",
                "Config": {
                    "Image": changes.get("image", IMAGE),
                    "Env": [f"DEVSHARD_STORAGE_DIR={INSIDE}", f"DEVSHARD_ADMIN_API_KEY={SECRET}"],
                    "Labels": {**labels, **changes.get("labels", {})},
                    "Entrypoint": changes.get("command", ["/usr/bin/devshardctl"]),
                    "Cmd": None,
                    "WorkingDir": "/",
                },
                "State": {
                    "Status": "running" if running else "exited",
                    "Pid": pid,
                    "ExitCode": 0 if running else 137,
                    "Health": {"Status": "healthy"},
                },
                "HostConfig": {
                    "PortBindings": {
                        "8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}],
                    },
                },
                "NetworkSettings": {"Ports": {"8080/tcp": None}},
                "Mounts": mounts,
            }
        )
        if running:
            self.listens(port, self.process(pid + 5000, "docker-proxy"))
        return found

    def process(self, pid: int, program: str, container: str | None = None) -> int:
        place = self._made(f"proc/{pid}")
        (place / "fd").mkdir(exist_ok=True)
        self.write(place / "comm", f"{program}\n")
        self.write(place / "cmdline", f"/usr/bin/{program}\0-x\0")
        where = f"/system.slice/docker-{container}.scope" if container else "/init.scope"
        self.write(place / "cgroup", f"0::{where}\n")
        return pid

    def listens(self, port: int, pid: int | None, address: str = "0100007F") -> None:
        inode = 70000 + len(self.rows)
        self.rows.append(
            f"{len(self.rows)}: {address}:{port:04X} 00000000:0000 0A 0 0 0 0 0 {inode}"
        )
        if pid is not None:
            (self.proc / str(pid) / "fd" / str(inode)).symlink_to(f"socket:[{inode}]")

    def asked(self, **changes: t.Any) -> Asked:
        values: dict[str, t.Any] = {
            "deploy_dir": self.deploy,
            "state_dir": self.state,
            "env_file": self.deploy / "config.devshard.env",
            "keyring": self.state / "keyring.info",
            "ledger": self.state / "ledger.db",
            "container": "devshardctl-multi",
            "temp_container": "devshardctl-temp",
            "storage_dir": INSIDE,
            "ports": (("gateway", 18080), ("temp", 18081), ("edge", 80)),
        }
        return Asked(**{**values, **changes})

    def install(self) -> None:
        """Put everything where the look finds it."""
        for table in ("tcp", "tcp6"):
            rows = self.rows if table == "tcp" else []
            self.write(self.proc / "self/net" / table, "\n".join(["  sl  local", *rows]) + "\n")
        program = self.bin / "docker"
        if self.docker:
            self.write(program, DOCKER.format(python=sys.executable))
            program.chmod(0o755)
            self.write(self.bin / "containers.json", self.containers)
            if self.images:
                self.write(self.bin / "images.json", self.images)

    def engine_fails(self, told: str) -> None:
        self.write(self.bin / "fails", told)

    @property
    def host(self) -> Host:
        return Host(
            run=run_program,
            proc=self.proc,
            nginx=self.nginx,
            default_state_dir=self.usual,
            sockets=(self.socket,),
        )

    @property
    def socket(self) -> Path:
        return self.folder / "docker.sock"

    def look(self, **changes: t.Any) -> Presence:
        self.install()
        path = os.environ["PATH"]
        os.environ["PATH"] = str(self.bin)
        try:
            return look(self.asked(**changes), self.host)
        finally:
            os.environ["PATH"] = path
