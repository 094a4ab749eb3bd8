# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Options of a container that were chosen for it, by their names in a compose file. Pure.

Values that may hold a secret, such as those of labels and of a log driver, are never among them.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    Attrs = Mapping[str, t.Any]

NO_NETWORK: t.Final = frozenset({"bridge", "host", "none"})
"""Of the engine itself: on these no container has a name."""
RESTARTS: t.Final = "unless-stopped"
_RIGHTS: t.Final = {
    "Privileged": "privileged",
    "CapAdd": "cap_add",
    "Devices": "devices",
    "DeviceRequests": "gpus",
    "DeviceCgroupRules": "device_cgroup_rules",
    "GroupAdd": "group_add",
    "Sysctls": "sysctls",
    "PidMode": "pid",
    "UTSMode": "uts",
    "UsernsMode": "userns_mode",
}
_BLKIO: t.Final = (
    *("BlkioWeight", "BlkioWeightDevice", "BlkioDeviceReadBps", "BlkioDeviceWriteBps"),
    *("BlkioDeviceReadIOps", "BlkioDeviceWriteIOps"),
)
_IPC: t.Final = ("", "none", "private", "shareable")
_NAMED: t.Final = {
    "Memory": "mem_limit",
    "MemoryReservation": "mem_reservation",
    "MemorySwap": "memswap_limit",
    "MemorySwappiness": "mem_swappiness",
    "NanoCpus": "cpus",
    "CpuQuota": "cpu_quota",
    "CpuPeriod": "cpu_period",
    "CpuShares": "cpu_shares",
    "CpuRealtimePeriod": "cpu_rt_period",
    "CpuRealtimeRuntime": "cpu_rt_runtime",
    "CpusetCpus": "cpuset",
    "CpusetMems": "cpuset_mems",
    "PidsLimit": "pids_limit",
    "StorageOpt": "storage_opt",
    "Annotations": "annotations",
    "OomScoreAdj": "oom_score_adj",
    "OomKillDisable": "oom_kill_disable",
    "CgroupParent": "cgroup_parent",
    "Ulimits": "ulimits",
    "CapDrop": "cap_drop",
    "SecurityOpt": "security_opt",
    "ReadonlyRootfs": "read_only",
    "Init": "init",
    "PublishAllPorts": "publish_all",
    "AutoRemove": "rm",
}
"""None of them is needed to serve: limits, hardening, and how it ends."""
_SHM: t.Final = 64 << 20
_USUAL: t.Final = {"Runtime": ("", "runc"), "ShmSize": (0, _SHM)}
_USUAL_NAMES: t.Final = {"Runtime": "runtime", "ShmSize": "shm_size"}
_TERMINAL: t.Final = {"Tty": "tty", "OpenStdin": "stdin_open"}
_COMPOSE: t.Final = "com.docker.compose."
_NOT_OWN: t.Final = (_COMPOSE, "desktop.docker.io/", "gonka.devshard.")
_STATUS_PATHS: t.Final = ("/v1/status", "/health")
"""A check of a guide asks one of them, as that of the collection does."""
_STOP_SECONDS: t.Final = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What is not as the engine and the image have it by themselves."""

    rights: tuple[str, ...] = ()
    """What the process may do on the host and a usual one may not."""
    named: tuple[str, ...] = ()
    """Limits, hardening, and what other programs read; each with its value where that is short."""
    stop_seconds: int | None = None
    log_size: str | None = None
    log_files: int | None = None


def options_of(attrs: Attrs, of_image: Attrs) -> Options:
    """``attrs`` is what the engine describes, ``of_image`` the configuration of the image."""
    config, host = attrs.get("Config") or {}, attrs.get("HostConfig") or {}
    log, size, files = _logging(host)
    stops = config.get("StopTimeout")
    kept = isinstance(stops, int) and stops > 0
    rights = [name for key, name in _RIGHTS.items() if host.get(key)]
    if str(host.get("IpcMode") or "") not in _IPC:
        rights.append("ipc")
    return Options(
        rights=tuple(rights),
        named=(
            *_labels(config, of_image),
            *log,
            *_process(config, of_image, str(attrs.get("Id") or "")),
            *_networks(attrs, config),
            *_restart(host),
            *(["stop_grace_period"] if stops is not None and not kept else []),
            *_host(attrs, host),
        ),
        stop_seconds=stops if kept and stops != _STOP_SECONDS else None,
        log_size=size,
        log_files=files,
    )


def _labels(config: Attrs, of_image: Attrs) -> list[str]:
    image = of_image.get("Labels") or {}
    names = [
        name
        for name, value in sorted((config.get("Labels") or {}).items())
        if image.get(name) != value and not name.startswith(_NOT_OWN)
    ]
    return [f"labels ({', '.join(names)})"] if names else []


def _logging(host: Attrs) -> tuple[list[str], str | None, int | None]:
    """What the next container does not have of it, and what the collection has an option for."""
    log = host.get("LogConfig") or {}
    driver, found = str(log.get("Type") or "json-file"), dict(log.get("Config") or {})
    if driver != "json-file":
        more = f" with {', '.join(sorted(found))}" if found else ""
        return [f"logging (driver {driver}{more})"], None, None
    size, files = found.pop("max-size", None), str(found.pop("max-file", ""))
    lost = [f"logging ({', '.join(sorted(found))})"] if found else []
    number = int(files) if files.isdecimal() and int(files) > 0 else None
    return lost, str(size) if size else None, number


def _process(config: Attrs, of_image: Attrs, full_id: str) -> list[str]:
    found = []
    check = (config.get("Healthcheck") or {}).get("Test") or []
    asked = " ".join(str(word) for word in check)
    if check != ((of_image.get("Healthcheck") or {}).get("Test") or []) and not any(
        path in asked for path in _STATUS_PATHS
    ):
        found.append("healthcheck")
    signal = config.get("StopSignal")
    if signal and signal != of_image.get("StopSignal"):
        found.append(f"stop_signal ({signal})")
    hostname = str(config.get("Hostname") or "")
    if hostname and not full_id.startswith(hostname):
        found.append(f"hostname ({hostname})")
    if domain := config.get("Domainname"):
        found.append(f"domainname ({domain})")
    found += [name for key, name in _TERMINAL.items() if config.get(key)]
    return found


def _networks(attrs: Attrs, config: Attrs) -> list[str]:
    """Names and addresses of its own by which others reach it, and services that start before it."""
    labels = config.get("Labels") or {}
    usual = {str(attrs.get("Name") or "").lstrip("/"), labels.get(f"{_COMPOSE}service")}
    aliases: set[str] = set()
    addresses: set[str] = set()
    for values in ((attrs.get("NetworkSettings") or {}).get("Networks") or {}).values():
        of_network = values or {}
        aliases |= set(of_network.get("Aliases") or ())
        addresses |= {str(one) for one in (of_network.get("IPAMConfig") or {}).values() if one}
    full_id = str(attrs.get("Id") or "")
    own = sorted(name for name in aliases - usual if not full_id.startswith(name))
    services = str(labels.get(f"{_COMPOSE}depends_on") or "").split(",")
    needed = [one.partition(":")[0] for one in services if one]
    return [
        f"{name} ({', '.join(found)})"
        for name, found in (
            ("aliases", own),
            ("ipv4_address", sorted(addresses)),
            ("depends_on", needed),
        )
        if found
    ]


def _restart(host: Attrs) -> list[str]:
    policy = str((host.get("RestartPolicy") or {}).get("Name") or "no")
    return [] if policy == RESTARTS else [f"restart ({policy})"]


def _host(attrs: Attrs, host: Attrs) -> list[str]:
    found = [
        name
        for key, name in _NAMED.items()
        if host.get(key) and not (key == "MemorySwap" and _is_usual_swap(host))
    ]
    found += [
        _USUAL_NAMES[key]
        for key, usual in _USUAL.items()
        if key in host and (host[key] or usual[0]) not in usual
    ]
    if any(host.get(key) for key in _BLKIO):
        found.append("blkio_config")
    mounted = [one for one in attrs.get("Mounts") or () if one.get("Type") == "tmpfs"]
    return [*found, *(["tmpfs"] if mounted or host.get("Tmpfs") else [])]


def _is_usual_swap(host: Attrs) -> bool:
    """What the engine sets by itself for a container with a memory limit."""
    return host.get("MemorySwap") == 2 * int(host.get("Memory") or 0)


def names_on_networks(attrs: Attrs) -> dict[str, frozenset[str]]:
    """By which names a container is known on each of its networks."""
    own = str(attrs.get("Name") or "").lstrip("/")
    found = {}
    for network, values in ((attrs.get("NetworkSettings") or {}).get("Networks") or {}).items():
        if network in NO_NETWORK:
            continue
        of_network = values or {}
        names = {
            own,
            *(of_network.get("Aliases") or ()),
            *(of_network.get("DNSNames") or ()),
        } - {""}
        both = {*names, *(f"{name}.{network}" for name in names)}
        found[str(network)] = frozenset(name.lower() for name in both)
    return found
