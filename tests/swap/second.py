# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""A second gateway that stands in the temp slot, and an edge that others manage."""

from __future__ import annotations

from ansible_collections.gonka.devshard.tests.swap.lab import (
    DEPLOY,
    MAIN,
    TEMP,
    Lab,
    wait_until,
)

PARTNER = "/srv/gonka/partner"
STORAGE = f"{PARTNER}/.devshardctl"
VHOST = "/etc/nginx/conf.d/gonka-devshard.conf"
ALIAS = "/etc/nginx/devshard/alias.conf"
PASSED = (
    "DEVSHARD_PRIVATE_KEY DEVSHARD_API_KEYS DEVSHARD_ADMIN_API_KEY DEVSHARD_CHAIN_REST"
    " DEVSHARD_TX_QUERY_REST DEVSHARD_PUBLIC_API DEVSHARD_CHAIN_ID DEVSHARD_MODEL"
    " GATEWAY_DEFAULT_MAX_TOKENS GATEWAY_MAX_TOKENS_CAP"
)
PORTS = {MAIN: 18080, TEMP: 18081}

_TITLES = (
    "master=$(cat /run/nginx.pid) && for pid in $(cat /proc/$master/task/$master/children); do"
    ' echo "$pid $(tr "\\0" " " <"/proc/$pid/cmdline")"; done'
)

_VHOST = """
include {alias};
server {{
    listen 80 default_server;
    keepalive_timeout {keepalive};
    client_max_body_size 16m;
    client_body_timeout 600s;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_read_timeout 3600s;
    add_header X-Devshard-Slot $devshard_served always;
    location = /-/edge {{ return 200 '{{"slot":"alias"}}'; }}
    location / {{ proxy_buffering off; gzip off; proxy_pass http://devshard; }}
}}
"""


# As the playbook site has deployed it, of which only the deploy record counts here.
_RECORD = """
import json, pathlib
record = json.loads(pathlib.Path("{deploy}/.gonka-devshard.json").read_text())
record.update(container="{container}", port=18081, storage="{storage}", project="partner")
pathlib.Path("{partner}/.gonka-devshard.json").write_text(json.dumps(record))
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
        record = _RECORD.format(deploy=DEPLOY, container=TEMP, storage=STORAGE, partner=PARTNER)
        lab.on_host("python3", "-c", record)
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
        # it stays after a swap, so the swap does not drain it
        wait_until(self._is_idle, "the edge holds no request for the second gateway", timeout=60)
        self._lab.on_host("docker", "rm", "-f", TEMP)

    def _is_idle(self) -> bool:
        argv = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}"]
        return self._lab.on_host(*argv, "http://127.0.0.1/-/busy/temp") != "503"


def wait_for(lab: Lab, gateway: str, timeout: float = 60) -> None:
    wait_until(
        lambda: lab.admin("/v1/admin/state", gateway=gateway),
        f"{gateway} answers",
        timeout=timeout,
    )


def alias_text(gateway: str) -> str:
    """What the module edge_slot would write, without the other gateway as a backup."""
    return (
        f"upstream devshard {{ server 127.0.0.1:{PORTS[gateway]} max_fails=0; keepalive 64; }}\n"
        "map $upstream_addr $devshard_served { default main; ~:18081$ temp; }\n"
    )


def write_alias(lab: Lab, gateway: str) -> None:
    """By a rename in the same directory, as it should be done."""
    lab.on_host(
        "sh", "-c", f"cat >{ALIAS}.new && mv {ALIAS}.new {ALIAS}", stdin=alias_text(gateway)
    )


def taking_workers(lab: Lab) -> set[str]:
    """nginx's workers that take requests."""
    titles = lab.on_host("sh", "-c", _TITLES)
    return {
        line.partition(" ")[0]
        for line in titles.splitlines()
        if "nginx: worker process" in line and "is shutting down" not in line
    }


def reload(lab: Lab) -> None:
    """Until none of the workers of before takes requests: nginx returns earlier."""
    lab.on_host("nginx", "-t")
    before = taking_workers(lab)
    lab.on_host("nginx", "-s", "reload")

    def turned() -> bool:
        now = taking_workers(lab)
        return bool(now) and not now & before

    wait_until(turned, "nginx has new workers")


class AliasEdge:
    """nginx with an alias include in the place of the role's own server, while it lasts."""

    def __init__(self, lab: Lab, keepalive: str) -> None:
        self._lab = lab
        self._keepalive = keepalive

    def __enter__(self) -> AliasEdge:
        lab = self._lab
        lab.on_host("cp", VHOST, f"{VHOST}.kept")
        write_alias(lab, MAIN)
        text = _VHOST.format(alias=ALIAS, keepalive=self._keepalive)
        lab.on_host("sh", "-c", f"cat >{VHOST}", stdin=text)
        reload(lab)
        return self

    def __exit__(self, *_exc: object) -> None:
        lab = self._lab
        lab.on_host("mv", f"{VHOST}.kept", VHOST)
        lab.on_host("sh", "-c", f"rm -f {ALIAS}*")
        reload(lab)
