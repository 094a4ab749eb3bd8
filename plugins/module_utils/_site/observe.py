# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Looks at files, packages, services and programs of this host. Needs Python's library alone."""

from __future__ import annotations

import contextlib
import grp
import hashlib
import json
import os
import platform
import pwd
import stat
import typing as t
import zipfile
import zlib
from pathlib import Path

from .model import FileSeen, FileWish, Kind, ServiceSeen

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Run = t.Callable[[list[str]], tuple[int, str, str]]
"""Runs a program: status, stdout and stderr. One that cannot be run is an ``OSError``."""

_CHUNK: t.Final = 1 << 20
NGINX: t.Final = "/usr/sbin/nginx"


def see_file(wish: FileWish) -> FileSeen:
    """A link is looked at itself where one is wanted, else what it leads to."""
    path = Path(wish.path)
    try:
        info = path.lstat()
        if stat.S_ISLNK(info.st_mode) and wish.state not in ("link", "absent"):
            info = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return FileSeen(kind="absent")
    except OSError as exc:
        return FileSeen(kind="other", error=exc.strerror or str(exc))
    kind = _kind(info.st_mode)
    seen: dict[str, t.Any] = {
        "kind": kind,
        "mode": f"{stat.S_IMODE(info.st_mode):04o}",
        "owner": _name(lambda: pwd.getpwuid(info.st_uid).pw_name, info.st_uid),
        "group": _name(lambda: grp.getgrgid(info.st_gid).gr_name, info.st_gid),
    }
    try:
        if kind == "link":
            seen["target"] = str(path.readlink())
        if kind == "file" and wish.sha256 is not None:
            seen["sha256"] = checksum(path, "sha256")
        if kind == "file" and wish.entry_of is not None:
            seen["is_entry"] = is_entry(path, Path(wish.entry_of))
        if kind == "file" and wish.fields is not None:
            seen["fields"] = fields_of(path.read_text(encoding="utf-8", errors="replace"))
        if kind == "file" and wish.options is not None:
            seen["options"] = options_of(path.read_text(encoding="utf-8", errors="replace"))
    except OSError as exc:
        return FileSeen(kind=kind, error=exc.strerror or str(exc))
    return FileSeen(**seen)


def _kind(mode: int) -> Kind:
    if stat.S_ISLNK(mode):
        return "link"
    if stat.S_ISDIR(mode):
        return "directory"
    return "file" if stat.S_ISREG(mode) else "other"


def _name(find: Callable[[], str], number: int) -> str:
    try:
        return find()
    except KeyError:
        return str(number)


def checksum(path: Path, algorithm: str) -> str:
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as handle:
        while chunk := handle.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def is_entry(path: Path, archive: Path) -> bool:
    """Whether a file is the entry of its name in a zip file, by size and checksum."""
    try:
        with zipfile.ZipFile(archive) as opened:
            entry = opened.getinfo(path.name)
    except (OSError, KeyError, zipfile.BadZipFile):
        return False
    if path.stat().st_size != entry.file_size:
        return False
    crc = 0
    with path.open("rb") as handle:
        while chunk := handle.read(_CHUNK):
            crc = zlib.crc32(chunk, crc)
    return crc == entry.CRC


def fields_of(text: str) -> dict[str, str]:
    """``Name: value`` lines; what has another shape counts as a field of its own."""
    found = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if line.strip() and not line.startswith("#"):
            found[name.strip() if colon else line] = value.strip()
    return found


def options_of(text: str) -> dict[str, t.Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def see_packages(names: Sequence[str], run: Run) -> set[str]:
    """Those of the packages that are installed."""
    if not names:
        return set()
    show = ["dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\n"]
    # 1: at least one of them is not known
    _rc, stdout, _stderr = run([*show, *dict.fromkeys(names)])
    lines = (line.split() for line in stdout.splitlines())
    return {words[0] for words in lines if words[1:] == ["installed"]}


def see_services(names: Sequence[str], run: Run) -> Mapping[str, ServiceSeen]:
    """Each of the units, as systemd has it."""
    if not names:
        return {}
    properties = "Id,LoadState,ActiveState,UnitFileState"
    units = [f"{name}.service" for name in dict.fromkeys(names)]
    rc, stdout, stderr = run(["systemctl", "show", f"--property={properties}", *units])
    if rc != 0:
        raise OSError(rc, stderr.strip() or "systemctl show fails")
    blocks = [
        dict(line.partition("=")[::2] for line in block.splitlines())
        for block in stdout.strip().split("\n\n")
    ]
    # an alias has the name of the unit that it means, so the order counts
    return {
        name: ServiceSeen(
            load=block.get("LoadState", "unknown"),
            active=block.get("ActiveState", "unknown"),
            enabled=block.get("UnitFileState", "") or "unknown",
        )
        for name, block in zip(dict.fromkeys(names), blocks, strict=True)
    }


def see_stat(path: str) -> dict[str, t.Any]:
    """A path in the words of ``ansible.builtin.stat``."""
    try:
        info = Path(path).stat()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return {"exists": False}
    found: dict[str, t.Any] = {"exists": True, "isreg": stat.S_ISREG(info.st_mode)}
    if stat.S_ISREG(info.st_mode):
        with contextlib.suppress(PermissionError):
            found["checksum"] = checksum(Path(path), "sha1")
    return found


def see_text(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None


def see_host(run: Run) -> dict[str, t.Any]:
    """The few facts that the roles need, under Ansible's names, and the version of nginx."""
    release: dict[str, str] = {}
    for place in ("/etc/os-release", "/usr/lib/os-release"):
        with contextlib.suppress(OSError):
            lines = Path(place).read_text(encoding="utf-8", errors="replace").splitlines()
            release = {
                name: value.strip().strip("\"'")
                for name, _equals, value in (line.partition("=") for line in lines)
            }
            break
    name = release.get("ID", "unknown").capitalize()
    version = release.get("VERSION_ID", "")
    family = {name, *(word.capitalize() for word in release.get("ID_LIKE", "").split())}
    systemd = Path("/run/systemd/system").is_dir()
    facts = {
        "architecture": platform.machine(),
        "distribution": name,
        "distribution_version": version,
        "distribution_major_version": version.partition(".")[0],
        "distribution_release": release.get("VERSION_CODENAME", ""),
        "os_family": "Debian" if "Debian" in family else name,
        "service_mgr": "systemd" if systemd else "unknown",
    }
    return {"ansible_facts": facts, "uid": os.geteuid(), "nginx_version": _nginx_version(run)}


def _nginx_version(run: Run) -> str:
    """Empty where there is none."""
    try:
        _rc, stdout, stderr = run([NGINX, "-v"])
    except OSError:
        return ""
    return (stdout + stderr).partition("nginx/")[2].partition(" ")[0].strip()
