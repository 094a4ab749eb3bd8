# Copyright (c) 2026 The gonka.devshard authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways in which gateways are replaced elsewhere, done by hand on the test host.

All but the restart in place use a second gateway that stands ready with an escrow of its own. No
image is changed: what clients notice comes from the switch and the stop.
"""

from __future__ import annotations

import contextlib
import time
import typing as t

from ansible_collections.gonka.devshard.benchmarks.swap.report import Swap
from ansible_collections.gonka.devshard.tests.swap.lab import DEPLOY, MAIN, TEMP, Lab, LabError

Clock = t.Callable[[], float]
Change = t.Callable[[Clock], Swap]

STORAGE = f"{DEPLOY}/.devshardctl/partner"
VHOST = "/etc/nginx/conf.d/gonka-devshard.conf"
ALIAS = "/etc/nginx/devshard/alias.conf"
PASSED = (
    "DEVSHARD_PRIVATE_KEY DEVSHARD_API_KEYS DEVSHARD_ADMIN_API_KEY DEVSHARD_CHAIN_REST"
    " DEVSHARD_TX_QUERY_REST DEVSHARD_PUBLIC_API DEVSHARD_CHAIN_ID DEVSHARD_MODEL"
    " GATEWAY_DEFAULT_MAX_TOKENS GATEWAY_MAX_TOKENS_CAP"
)
PORTS = {MAIN: 18080, TEMP: 18081}

_VHOST = """
include {alias};
map $upstream_addr $bench_slot {{ default main; ~:18081$ temp; }}
server {{
    listen 80 default_server;
    keepalive_timeout {keepalive};
    client_max_body_size 16m;
    client_body_timeout 600s;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_read_timeout 3600s;
    add_header X-Devshard-Slot $bench_slot always;
    location = /-/edge {{ return 200 '{{"slot":"bench"}}'; }}
    location / {{ proxy_buffering off; gzip off; proxy_pass http://devshard_alias; }}
}}
"""


class Partner:
    """A second gateway on the temp slot's port, while the context lasts."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def __enter__(self) -> Partner:
        lab = self._lab
        image = lab.on_host("docker", "inspect", "--format", "{{.Config.Image}}", MAIN).strip()
        network = lab.on_host(
            "docker", "inspect", "--format", "{{.HostConfig.NetworkMode}}", MAIN
        ).strip()
        variables = " ".join(f"-e {name}" for name in PASSED.split())
        lab.on_host(
            "sh",
            "-c",
            f"docker rm -f {TEMP} 2>/dev/null; set -a; . {DEPLOY}/config.devshard.env; set +a;"
            f" mkdir -p {STORAGE}; docker run -d --name {TEMP} --network {network} {variables}"
            f" -e DEVSHARDS_JSON='[]' -p 127.0.0.1:18081:8080 -v {STORAGE}:/root/.devshardctl"
            f" --restart unless-stopped {image}",
        )
        wait_for(lab, TEMP)
        self._give_escrow()
        return self

    def _give_escrow(self) -> None:
        lab = self._lab
        settings = lab.admin("/v1/admin/settings")
        names = ("model_limits", "max_concurrent_requests_per_10000_weight", "tx_gas_limit")
        lab.admin("/v1/admin/settings", {name: settings[name] for name in names}, gateway=TEMP)
        if lab.admin("/v1/admin/state", gateway=TEMP)["devshards"]:
            return
        model = lab.vars["devshard_models"][0]
        lab.admin(
            "/v1/admin/escrows",
            {
                "model_id": model["id"],
                "amount": model["amount"],
                "private_key_env": "DEVSHARD_PRIVATE_KEY",
                "chain_id": lab.vars["devshard_chain_id"],
                "fee_amount": 1_000_000,
                "gas_limit": 500_000,
                "register": True,
            },
            gateway=TEMP,
        )

    def __exit__(self, *_exc: object) -> None:
        self._lab.on_host("docker", "rm", "-f", TEMP)


def wait_for(lab: Lab, gateway: str, timeout: float = 60) -> None:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        try:
            lab.admin("/v1/admin/state", gateway=gateway)
        except LabError:
            time.sleep(0.5)
        else:
            return
    raise LabError(f"{gateway} does not answer")


def drain(lab: Lab, gateway: str, timeout: float = 120) -> None:
    """Until three looks in a row find nobody."""
    deadline = time.monotonic() + timeout
    idle = 0
    while idle < 3:
        state = lab.admin("/v1/admin/state", gateway=gateway)
        busy = sum(item["runtime"]["active_requests"] for item in state["devshards"])
        idle = 0 if busy or state["limiter"]["in_flight_requests"] else idle + 1
        if time.monotonic() > deadline:
            raise LabError(f"{gateway} is not drained: {busy} requests left")
        time.sleep(0.5)


def restart(lab: Lab) -> None:
    lab.on_host("docker", "restart", MAIN)
    wait_for(lab, MAIN)


@contextlib.contextmanager
def in_place(lab: Lab) -> t.Iterator[Change]:
    """The container is restarted while it serves."""

    def change(now: Clock) -> Swap:
        begin = now()
        restart(lab)
        return Swap(begin=begin, switched=None, drained=None, end=now())

    yield change


@contextlib.contextmanager
def stop_at_once(lab: Lab) -> t.Iterator[Change]:
    """The usual blue/green role: switch, stop the old one at once, switch back, stop temp."""
    flag = "/etc/nginx/devshard/temp-in-service"

    def change(now: Clock) -> Swap:
        begin = now()
        lab.on_host("touch", flag)
        switched = now()
        restart(lab)
        back = now()
        lab.on_host("rm", flag)
        lab.on_host("docker", "restart", TEMP)
        return Swap(begin=begin, switched=switched, drained=None, end=now(), back=back)

    try:
        yield change
    finally:
        lab.on_host("rm", "-f", flag)
        wait_for(lab, TEMP)


def write_alias(lab: Lab, gateway: str) -> None:
    """By a rename in the same directory, as it should be done."""
    text = f"upstream devshard_alias {{ server 127.0.0.1:{PORTS[gateway]}; keepalive 64; }}\n"
    lab.on_host("sh", "-c", f"cat >{ALIAS}.new && mv {ALIAS}.new {ALIAS}", stdin=text)


def reload(lab: Lab) -> None:
    lab.on_host("nginx", "-t")
    lab.on_host("nginx", "-s", "reload")


def _alias(lab: Lab, keepalive: str) -> t.Iterator[Change]:
    lab.on_host("cp", VHOST, f"{VHOST}.kept")
    write_alias(lab, MAIN)
    lab.on_host("sh", "-c", f"cat >{VHOST}", stdin=_VHOST.format(alias=ALIAS, keepalive=keepalive))
    reload(lab)
    time.sleep(1)

    def change(now: Clock) -> Swap:
        begin = now()
        write_alias(lab, TEMP)
        reload(lab)
        switched = now()
        time.sleep(1)
        drain(lab, MAIN)
        drained = now()
        restart(lab)
        write_alias(lab, MAIN)
        reload(lab)
        back = now()
        time.sleep(1)
        drain(lab, TEMP)
        return Swap(begin=begin, switched=switched, drained=drained, end=now(), back=back)

    try:
        yield change
    finally:
        lab.on_host("mv", f"{VHOST}.kept", VHOST)
        lab.on_host("rm", "-f", ALIAS)
        reload(lab)


@contextlib.contextmanager
def alias_reload(lab: Lab) -> t.Iterator[Change]:
    """An alias include and a reload, with a drain before each stop: the guide's way."""
    yield from _alias(lab, "75s")


@contextlib.contextmanager
def alias_reload_closing(lab: Lab) -> t.Iterator[Change]:
    """The same with ``keepalive_timeout 0`` in force from the start."""
    yield from _alias(lab, "0")


OTHERS: dict[str, t.Callable[[Lab], t.ContextManager[Change]]] = {
    "alias + reload": alias_reload,
    "alias + reload, keepalive_timeout 0": alias_reload_closing,
    "switch, old stopped at once": stop_at_once,
    "restart in place": in_place,
}
