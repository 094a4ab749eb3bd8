# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""A host as version 0.1.0 left it: its files, databases and containers, below a folder."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import typing as t
from pathlib import Path

from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import ROOT
from ansible_collections.gonka.devshard.tests.unit.plugins.first_look import INSIDE, FakeHost

FIXTURES = ROOT / "tests/unit/fixtures/v0.1.0"
MOVED = ("/srv/gonka", "/opt/gw", "/var/lib/gonka-devshard", "/var/backups", "/etc/nginx")


class EarlierHost(FakeHost):
    """``state`` names the fixture. Everything lies where it lay, below the folder."""

    def __init__(
        self, folder: Path, state: str, deploy: str = "/srv/gonka/devshard-gateway"
    ) -> None:
        super().__init__(folder)
        text = (FIXTURES / f"{state}.json").read_text(encoding="utf-8")
        for prefix in MOVED:
            text = text.replace(prefix, f"{folder}{prefix}")
        self.found: dict[str, t.Any] = json.loads(text)
        self.deploy = self.at(deploy)
        self.state = self.at("/var/lib/gonka-devshard")
        self.nginx = self.at("/etc/nginx")
        self.usual = self.state
        for name, file in self.found["files"].items():
            self._put(Path(name), file)
        self.images = self.found["images"]
        for attrs in self.found["containers"]:
            self._run(attrs)

    def at(self, path: str) -> Path:
        return self.folder / path.lstrip("/")

    def _put(self, path: Path, file: dict[str, t.Any]) -> None:
        if not path.is_relative_to(self.folder):
            path = self.at(str(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        if "folder" in file:
            path.mkdir(exist_ok=True)
        elif "link" in file:
            path.symlink_to(file["link"])
            return
        elif "sql" in file:
            with contextlib.closing(sqlite3.connect(path)) as database:
                database.executescript("\n".join(file["sql"]))
        else:
            path.write_text("\n".join(file["lines"]), encoding="utf-8")
        path.chmod(int(file["mode"], 8))

    def _run(self, attrs: dict[str, t.Any]) -> None:
        self.containers.append(attrs)
        pid = attrs["State"]["Pid"]
        if not pid:
            return
        self.process(pid, "devshardctl", container=attrs["Id"])
        for mount in attrs["Mounts"]:
            link = self.proc / str(pid) / "root" / INSIDE.lstrip("/")
            link.parent.mkdir(parents=True)
            link.symlink_to(mount["Source"])
        for bound in attrs["NetworkSettings"]["Ports"].values():
            for one in bound or ():
                proxy = pid + 50_000 + int(one["HostPort"])
                self.listens(int(one["HostPort"]), self.process(proxy, "docker-proxy"))

    def text(self, path: Path) -> str:
        return path.read_text(encoding="utf-8")

    @property
    def record(self) -> dict[str, t.Any]:
        found = json.loads(self.text(self.deploy / ".gonka-devshard.json"))
        return t.cast("dict[str, t.Any]", found)

    @property
    def keyring(self) -> Path:
        return next((self.state / "inferenced").rglob("*.info"))
