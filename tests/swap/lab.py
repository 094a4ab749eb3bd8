# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""A deployed test host, the play that swaps its gateway, and what both look like from outside."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import typing as t
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = "/srv/gonka/devshard-gateway"
STATE = "/var/lib/gonka-devshard"
MAIN = "devshardctl-multi"
TEMP = "devshardctl-temp"
URLS = {MAIN: "http://127.0.0.1:18080", TEMP: "http://127.0.0.1:18081"}

RESULT = re.compile(r"(ok|changed|skipping|failed|fatal): ")

ON_HOST = Path(__file__).with_name("on_host.py").read_text(encoding="utf-8")


class LabError(Exception):
    """The lab itself does not work as it should."""


def wait_until(
    done: t.Callable[[], object], what: str, *, timeout: float = 60, interval: float = 0.5
) -> None:
    """Looks until it is so. A host that does not answer meanwhile is only not there yet."""
    deadline = time.monotonic() + timeout
    while True:
        with contextlib.suppress(LabError):
            if done():
                return
        if time.monotonic() >= deadline:
            raise LabError(f"{what}: not within {timeout:.0f} s")
        time.sleep(interval)


@dataclass
class Run:
    """One run of a play: what it said, when, and how it ended."""

    rc: int
    lines: list[tuple[float, str]] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join(line for _unused, line in self.lines)

    @property
    def message(self) -> str:
        """What the user is told at the end of a run that failed."""
        found = re.findall(r'"msg": "([^\n]*the swap stopped at[^\n]*)"', self.text)
        return found[-1] if found else self.text[-2000:]

    @property
    def changed(self) -> int:
        return sum(int(number) for number in re.findall(r"\bchanged=(\d+)", self.text))

    def at(self, words: str) -> float | None:
        """When a line with these words came."""
        return next((moment for moment, line in self.lines if words in line), None)


Hook = t.Callable[[], object]


class Lab:
    """``inventory`` is what tests/hosts wrote; ``host`` is deployed by the site already."""

    def __init__(self, inventory: Path, host: str) -> None:
        self.inventory = inventory
        self.host = host
        group = json.loads(inventory.read_text())["devshard_gateways"]
        self.vars: dict[str, t.Any] = {**group["vars"], **group["hosts"][host]}
        self.container = str(self.vars["ansible_host"])
        extra = str(self.vars.get("ansible_docker_extra_args", ""))
        self._docker = ["docker", *extra.split()]
        self.log: Path | None = None

    # the host

    def docker(self, *argv: str, stdin: str | None = None) -> str:
        done = subprocess.run(
            [*self._docker, *argv],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise LabError(f"docker {' '.join(argv)[:200]}: {done.stderr.strip()}")
        return done.stdout

    def on_host(self, *argv: str, stdin: str | None = None) -> str:
        # the end of an empty stdin may be lost on its way, so none is opened without need
        options = [] if stdin is None else ["-i"]
        return self.docker("exec", *options, self.container, *argv, stdin=stdin)

    def reboot(self) -> None:
        self.docker("restart", self.container)
        wait_until(self._is_up, f"{self.container} comes back", timeout=120, interval=1)

    def _is_up(self) -> bool:
        self.on_host("docker", "info")
        self.on_host("curl", "-sf", "-o", "/dev/null", "http://127.0.0.1/-/edge")
        return True

    def moves_money(self) -> bool:
        """Whether some process on the host holds the lock of the ledger."""
        try:
            self.on_host("flock", "--nonblock", f"{STATE}/ledger.db.lock", "true")
        except LabError:
            return True
        return False

    def edge(self) -> str:
        """Base URL of the edge; the engine may give the port a new number at a restart."""
        port = self.docker("port", self.container, "80").split()[0]
        return f"http://{port}"

    # the gateways

    def admin(
        self, path: str, body: t.Any = None, *, gateway: str = MAIN, method: str | None = None
    ) -> t.Any:
        wish = {
            "env_file": f"{DEPLOY}/config.devshard.env",
            "url": URLS[gateway] + path,
            "body": body,
            "method": method or ("GET" if body is None else "POST"),
        }
        return json.loads(self.on_host("python3", "-c", ON_HOST, stdin=json.dumps(wish)))

    def gateway_fault(self, path: str, body: t.Any = None, *, gateway: str = MAIN) -> t.Any:
        """The faults port of a simulated gateway, which listens inside its container."""
        argv = ["docker", "exec", gateway, "curl", "-sS", "--max-time", "60"]
        if body is not None:
            argv += ["-H", "Content-Type: application/json", "--data-binary", json.dumps(body)]
        text = self.on_host(*argv, f"http://127.0.0.1:9101{path}")
        return json.loads(text) if text.strip() else None

    def crash(self, gateway: str) -> None:
        """SIGKILL to a gateway; one that does not run cannot crash."""
        if self.runs(gateway):
            try:
                self.gateway_fault("/crash", {}, gateway=gateway)
            except LabError:
                # it dies before it answers
                return

    def runs(self, gateway: str) -> bool:
        listed = self.on_host("docker", "ps", "--format", "{{.Names}}")
        return gateway in listed.split()

    def exists(self, gateway: str) -> bool:
        listed = self.on_host("docker", "ps", "--all", "--format", "{{.Names}}")
        return gateway in listed.split()

    def api_key(self) -> str:
        text = self.on_host("cat", f"{DEPLOY}/config.devshard.env")
        found = re.search(r"DEVSHARD_API_KEYS='?([^',\n]+)", text)
        if found is None:
            raise LabError("the environment file holds no client key")
        return found[1]

    # the simulated network

    def net(self, path: str, body: t.Any = None) -> t.Any:
        """The faults port of the network."""
        return self.get(self.vars["simnet_urls"]["faults"] + path, body)

    def get(self, url: str, body: t.Any = None) -> t.Any:
        request = urllib.request.Request(
            url,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=30) as response:
                return json.load(response)
        except urllib.error.HTTPError as exc:
            raise LabError(f"{url}: {exc.read().decode()}") from exc

    def heal(self) -> None:
        """Nothing is broken any more, neither in the network nor in a gateway."""
        self.net("/reset", {})
        for gateway in (MAIN, TEMP):
            if self.runs(gateway):
                self.gateway_fault("/reset", {}, gateway=gateway)

    # the play

    def play(
        self,
        name: str = "gonka.devshard.hot_swap",
        *,
        hooks: t.Mapping[str, Hook] | None = None,
        kill_at: str | None = None,
        kill_in: str | None = None,
        check: bool = False,
        inventories: t.Sequence[Path] = (),
        clock: t.Callable[[], float] = time.monotonic,
        settings: t.Mapping[str, str] | None = None,
        **variables: t.Any,
    ) -> Run:
        """Runs a playbook. A hook is called once, when a line with its words comes; at
        ``kill_at`` the controller gets SIGKILL, with all that it started. At ``kill_in`` it gets
        it when the first task after such a line has come back. ``settings`` are environment
        variables for Ansible."""
        argv = [sys.executable, "-m", "ansible", "playbook", "--inventory", str(self.inventory)]
        for inventory in inventories:
            argv += ["--inventory", str(inventory)]
        argv += ["--extra-vars", json.dumps({"devshard_hosts": self.host, **variables})]
        argv += [*(["--check"] if check else []), name]
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".tree"),
            "ANSIBLE_PIPELINING": "true",
            # molecule forces colour, and what a line begins with must be found
            "ANSIBLE_FORCE_COLOR": "0",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "false",
            "PYTHONUNBUFFERED": "1",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            **(settings or {}),
        }
        waiting = dict(hooks or {})
        process = subprocess.Popen(
            argv,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            start_new_session=True,
        )
        run = Run(0)
        came = False
        assert process.stdout is not None
        for line in process.stdout:
            run.lines.append((clock(), line.rstrip()))
            self._write(line)
            for words in [words for words in waiting if words in line]:
                waiting.pop(words)()
            came = came or (kill_in is not None and kill_in in line)
            back = came and RESULT.match(line) is not None
            if back or (kill_at is not None and kill_at in line):
                os.killpg(process.pid, signal.SIGKILL)
                break
        run.rc = process.wait()
        process.stdout.close()
        return run

    def _write(self, line: str) -> None:
        if self.log is not None:
            with self.log.open("a") as handle:
                handle.write(line)

    # what is left in the end

    def rotation(self) -> t.Any:
        return self.admin("/v1/admin/settings")["escrow_rotation"]

    def escrows(self) -> dict[str, dict[str, t.Any]]:
        """The gateway's records by the id of their escrow."""
        return {item["id"]: item for item in self.admin("/v1/admin/state")["devshards"]}

    def minted(self) -> int:
        return len(self.net("/chain/escrows")["escrows"])

    def image(self, gateway: str = MAIN) -> str:
        """The version that the image of a running gateway tells."""
        return str(self.gateway_fault("/process", gateway=gateway)["image_version"])

    def slot(self) -> str:
        return str(json.loads(self.on_host("curl", "-sf", "http://127.0.0.1/-/edge"))["slot"])

    def journal(self) -> dict[str, t.Any] | None:
        text = self.on_host("sh", "-c", f"cat {STATE}/swap.json 2>/dev/null || true")
        return json.loads(text) if text.strip() else None
