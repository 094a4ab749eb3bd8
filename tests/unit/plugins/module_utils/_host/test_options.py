# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Options of a container that the next one would not have, by their names in a compose file."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._host.options import (
    Options,
    options_of,
)

ID = "56ee3b8a219b" + "0" * 52
# as the engine describes a container of the guide's compose file
HOST: dict[str, t.Any] = {
    "LogConfig": {"Type": "json-file", "Config": {}},
    "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0},
    "CgroupnsMode": "private",
    "IpcMode": "private",
    "PidMode": "",
    "UTSMode": "",
    "UsernsMode": "",
    "Privileged": False,
    "ReadonlyRootfs": False,
    "SecurityOpt": None,
    "ShmSize": 67108864,
    "Runtime": "runc",
    "Memory": 0,
    "MemorySwap": 0,
    "PidsLimit": None,
    "Ulimits": None,
    "ExtraHosts": [],
    "CapAdd": None,
    "CapDrop": None,
    "Init": None,
}
CONFIG: dict[str, t.Any] = {
    "Hostname": "56ee3b8a219b",
    "Domainname": "",
    "Labels": {
        "com.docker.compose.project": "gateway",
        "org.opencontainers.image.version": "1.0",
    },
    "Healthcheck": {"Test": ["CMD", "curl", "-f", "http://localhost:8080/v1/status"]},
}
IMAGE = {"Labels": {"org.opencontainers.image.version": "1.0"}, "StopSignal": "SIGTERM"}


def options(config: t.Any = (), host: t.Any = (), **more: t.Any) -> Options:
    attrs = {"Id": ID, "Config": {**CONFIG, **dict(config)}, "HostConfig": {**HOST, **dict(host)}}
    return options_of({**attrs, **more}, IMAGE)


def test_a_container_by_a_guide_loses_none() -> None:
    assert options() == Options()
    assert options({"StopSignal": "SIGTERM", "StopTimeout": 10}) == Options()
    assert options_of({}, {}).rights == ()


@pytest.mark.parametrize(
    ("host", "rights"),
    [
        ({"Privileged": True}, ("privileged",)),
        ({"CapAdd": ["NET_ADMIN"], "Sysctls": {"a": "1"}}, ("cap_add", "sysctls")),
        ({"Devices": [{}], "DeviceRequests": [{}]}, ("devices", "gpus")),
        (
            {"DeviceCgroupRules": ["c 1:3 mr"], "GroupAdd": ["999"]},
            ("device_cgroup_rules", "group_add"),
        ),
        ({"PidMode": "host", "UTSMode": "host"}, ("pid", "uts")),
        ({"UsernsMode": "host", "IpcMode": "host"}, ("userns_mode", "ipc")),
        ({"IpcMode": "shareable"}, ()),
    ],
)
def test_rights_that_the_next_container_would_not_have(
    host: dict[str, t.Any], rights: tuple[str, ...]
) -> None:
    assert options(host=host) == Options(rights=rights)


@pytest.mark.parametrize(
    ("host", "named"),
    [
        ({"Memory": 2 << 30, "MemorySwap": 4 << 30}, ("mem_limit",)),
        ({"Memory": 2 << 30, "MemorySwap": -1}, ("mem_limit", "memswap_limit")),
        ({"MemoryReservation": 1, "MemorySwappiness": 10}, ("mem_reservation", "mem_swappiness")),
        ({"NanoCpus": 1500000000}, ("cpus",)),
        ({"CpuQuota": 1, "CpuShares": 2, "CpusetCpus": "0"}, ("cpu_quota", "cpu_shares", "cpuset")),
        ({"PidsLimit": 100, "BlkioWeight": 5}, ("pids_limit", "blkio_config")),
        ({"BlkioDeviceReadBps": [{"Path": "/dev/sda", "Rate": 1}]}, ("blkio_config",)),
        ({"CpuPeriod": 1, "CpusetMems": "0"}, ("cpu_period", "cpuset_mems")),
        ({"StorageOpt": {"size": "1G"}, "Annotations": {"a": "b"}}, ("storage_opt", "annotations")),
        ({"OomScoreAdj": -5, "OomKillDisable": True}, ("oom_score_adj", "oom_kill_disable")),
        ({"CgroupParent": "a.slice"}, ("cgroup_parent",)),
        ({"Ulimits": [{"Name": "nofile", "Hard": 65536, "Soft": 65536}]}, ("ulimits",)),
        ({"CapDrop": ["ALL"], "SecurityOpt": ["x"]}, ("cap_drop", "security_opt")),
        ({"ReadonlyRootfs": True, "Tmpfs": {"/run": ""}}, ("read_only", "tmpfs")),
        ({"Init": True, "ShmSize": 134217728}, ("init", "shm_size")),
        ({"Runtime": "runsc"}, ("runtime",)),
        ({"PublishAllPorts": True, "AutoRemove": True}, ("publish_all", "rm")),
        ({"RestartPolicy": {"Name": "always"}}, ("restart (always)",)),
        ({"RestartPolicy": {"Name": ""}}, ("restart (no)",)),
        ({"LogConfig": {"Type": "journald"}}, ("logging (driver journald)",)),
        (
            {"LogConfig": {"Type": "splunk", "Config": {"splunk-token": "hush", "a": "b"}}},
            ("logging (driver splunk with a, splunk-token)",),
        ),
        ({"LogConfig": {"Type": "json-file", "Config": {"tag": "hush"}}}, ("logging (tag)",)),
    ],
)
def test_options_of_the_engine_that_are_named(
    host: dict[str, t.Any], named: tuple[str, ...]
) -> None:
    assert options(host=host) == Options(named=named)


@pytest.mark.parametrize(
    ("config", "named"),
    [
        (
            {"Labels": {"traefik.enable": "hush", "org.opencontainers.image.version": "mine"}},
            ("labels (org.opencontainers.image.version, traefik.enable)",),
        ),
        ({"Healthcheck": {"Test": ["CMD", "true"]}}, ("healthcheck",)),
        ({"Healthcheck": {"Test": ["NONE"]}}, ("healthcheck",)),
        ({"StopSignal": "SIGINT"}, ("stop_signal (SIGINT)",)),
        ({"StopTimeout": -1}, ("stop_grace_period",)),
        ({"Tty": True, "OpenStdin": True}, ("tty", "stdin_open")),
        (
            {"Labels": {"com.docker.compose.depends_on": "node:service_healthy:false,db:x:true"}},
            ("depends_on (node, db)",),
        ),
        (
            {"Hostname": "gw", "Domainname": "example.org"},
            ("hostname (gw)", "domainname (example.org)"),
        ),
    ],
)
def test_options_of_the_container_that_are_named(
    config: dict[str, t.Any], named: tuple[str, ...]
) -> None:
    assert options(config) == Options(named=named)


def test_names_and_addresses_on_a_network_of_its_own() -> None:
    network = {"Aliases": ["mine", "llm", "56ee3b8a219b", "gw.alias"], "IPAMConfig": None}
    fixed = {"IPAMConfig": {"IPv4Address": "172.18.0.9"}, "Aliases": None}
    config = {**CONFIG, "Labels": {"com.docker.compose.service": "llm"}}
    attrs = {"Id": ID, "Name": "/mine", "Config": config, "HostConfig": HOST}
    for networks, named in (
        ({"a": network, "b": None}, ("aliases (gw.alias)",)),
        ({"a": fixed}, ("ipv4_address (172.18.0.9)",)),
        ({"a": {"IPAMConfig": {}}}, ()),
    ):
        found = options_of({**attrs, "NetworkSettings": {"Networks": networks}}, IMAGE)
        assert found == Options(named=named)


def test_a_mounted_tmpfs_is_one_too() -> None:
    mounts = [{"Type": "tmpfs", "Source": "", "Destination": "/run"}]
    assert options(Mounts=mounts) == Options(named=("tmpfs",))


def test_what_the_role_has_an_option_for() -> None:
    log = {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "2"}}
    assert options({"StopTimeout": 90}, {"LogConfig": log}) == Options(
        stop_seconds=90, log_size="10m", log_files=2
    )
    odd = {"Type": "json-file", "Config": {"max-file": "none"}}
    assert options(host={"LogConfig": odd}) == Options()
