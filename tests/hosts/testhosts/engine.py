# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""A Docker Engine to work with: the one that runs, or one of our own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
import typing as t
from pathlib import Path

from testhosts.shell import HostsError, cache_dir, exclusive, run, say, step, tail

_START_SECONDS = 60.0
_STOP_SECONDS = 30.0


def _directory() -> Path:
    return cache_dir() / "engine"


def _own_host() -> str:
    return f"unix://{_directory() / 'docker.sock'}"


def _answers(host: str | None) -> bool:
    env = dict(os.environ)
    if host is not None:
        env["DOCKER_HOST"] = host
    try:
        done = subprocess.run(
            ["docker", "info", "--format", "{{.ServerVersion}}"],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=False,
        )
    except FileNotFoundError:
        return False
    # Older clients end with 0 although no engine answers, with nothing on stdout.
    return done.returncode == 0 and bool(done.stdout.strip())


def need(programs: t.Mapping[str, str]) -> None:
    """Install the Debian packages of the programs that are missing."""
    install(sorted({package for name, package in programs.items() if not _program(name)}))


def install(packages: t.Sequence[str]) -> None:
    if not packages:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise HostsError(
            f"missing: {' '.join(packages)}. Install these packages, or run this as root on Debian or Ubuntu"
        )
    log = cache_dir() / "logs" / "apt.log"
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    with step(f"Installing {' '.join(packages)}"), exclusive("apt"):
        run(["apt-get", "update"], env=env, log=log)
        run(["apt-get", "install", "--yes", "--no-install-recommends", *packages], env=env, log=log)


def _program(name: str) -> bool:
    folders = (Path(folder, name) for folder in ("/usr/sbin", "/sbin"))
    return shutil.which(name) is not None or any(path.exists() for path in folders)


def find() -> str | None:
    """The DOCKER_HOST to use: "" for the client's default, None when no engine answers."""
    if _answers(None):
        return ""
    if (_directory() / "docker.sock").exists() and _answers(_own_host()):
        return _own_host()
    return None


def ensure() -> None:
    """From here on, the docker client of this process reaches an engine."""
    host = find()
    if host is None:
        need({"dockerd": "docker.io", "iptables": "iptables"})
        # From Debian 13 on, the client is a package of its own.
        need({"docker": "docker-cli"})
        # With systemd, the package has started it.
        host = find()
    if host is None:
        host = _start()
    if host:
        os.environ["DOCKER_HOST"] = host


def use_running() -> bool:
    """Like ensure, but starts and installs nothing."""
    host = find()
    if host:
        os.environ["DOCKER_HOST"] = host
    return host is not None


def _start() -> str:
    if os.geteuid() != 0:
        raise HostsError(
            "no Docker Engine answers. Start one that you may use ('docker info' must work), or run this as root"
        )
    directory = _directory()
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / "log"
    with step("Starting a Docker Engine of our own"):
        # A crash leaves it behind, and dockerd refuses to start then.
        (directory / "docker.pid").unlink(missing_ok=True)
        with log.open("a") as output:
            process = subprocess.Popen(
                [
                    "dockerd",
                    f"--data-root={directory / 'data'}",
                    f"--exec-root={directory / 'exec'}",
                    f"--host={_own_host()}",
                    f"--pidfile={directory / 'docker.pid'}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(_own_host()):
            if process.poll() is not None or time.monotonic() > deadline:
                raise HostsError(f"dockerd does not come up:\n{tail(log)}")
            time.sleep(0.3)
    return _own_host()


def stop() -> None:
    """Stop the engine that we started, if any."""
    pid_file = _directory() / "docker.pid"
    if not pid_file.exists():
        return
    pid = int(pid_file.read_text())
    if not _is_ours(pid):
        pid_file.unlink()
        return
    with step("Stopping our Docker Engine"):
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        while _is_ours(pid):
            if time.monotonic() > deadline:
                raise HostsError(f"dockerd (process {pid}) does not stop")
            time.sleep(0.2)


def _is_ours(pid: int) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return False
    return str(_directory()).encode() in command


def docker(*argv: str, stdin: str | None = None, log: Path | None = None) -> str:
    return run(["docker", *argv], stdin=stdin, log=log)


def explain() -> None:
    host = os.environ.get("DOCKER_HOST")
    say(f"Docker Engine: {host or 'the default one'}")
