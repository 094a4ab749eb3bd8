# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""New keys for a gateway whose clients stream: none is cut, and the earlier keys end when they should.

``python -m …tests.swap.keys INVENTORY HOST``; the host is deployed by the site already.
"""

from __future__ import annotations

import argparse
import json
import sys
import typing as t
from pathlib import Path

from ansible_collections.gonka.devshard.plugins.module_utils._core.keys import (
    ADMIN_API_KEY,
    API_KEYS,
    PRIVATE_KEY,
)
from ansible_collections.gonka.devshard.plugins.module_utils._gateway import env_file
from ansible_collections.gonka.devshard.tests.swap.clients import Clients
from ansible_collections.gonka.devshard.tests.swap.faults import (
    VARIABLES,
    Before,
    Broken,
    Runs,
    expect,
    look,
    prepare,
    settled,
)
from ansible_collections.gonka.devshard.tests.swap.lab import DEPLOY, MAIN, Lab, Run, wait_until

PLAY = "gonka.devshard.rotate_keys"
ENV_FILE = f"{DEPLOY}/config.devshard.env"
STATE = "/v1/admin/state"
COMPOSE = "/usr/libexec/docker/cli-plugins/docker-compose"


class Rotation(Runs):
    """Rotations of one host."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    def run(self, **given: t.Any) -> Run:
        return self.lab.play(**{"name": PLAY, **VARIABLES, **given})

    def ended(self, before: Before, before_rotation: dict[str, str]) -> dict[str, str]:
        """What holds after each of them; the keys that the gateway has now."""
        settled(self.lab, before, image=before.image, minted=1, imported=1)
        now = self.keys()
        expect(now[PRIVATE_KEY] == before_rotation[PRIVATE_KEY], "the creator's key is another one")
        listed = self.lab.on_host("docker", "inspect", "--format", "{{json .Config.Env}}", MAIN)
        running = dict(item.split("=", 1) for item in json.loads(listed))
        expect({name: running[name] for name in now} == now, "the container has other keys")
        waiting = json.loads(self.lab.on_host("cat", f"{ENV_FILE}.rotation.json"))
        expect(waiting["staged"] == {}, "a key still waits")
        return now

    def keys(self) -> dict[str, str]:
        found = env_file.parse(self.lab.on_host("cat", ENV_FILE), "the environment file")
        return {name: found[name] for name in (ADMIN_API_KEY, API_KEYS, PRIVATE_KEY)}

    def answers(self, path: str, key: str) -> int:
        """With which status the gateway answers a key, which no argument shows."""
        url = f"http://127.0.0.1:18080{path}"
        config = f'header = "Authorization: Bearer {key}"\nurl = "{url}"\n'
        argv = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--config", "-"]
        return int(self.lab.on_host(*argv, stdin=config))


def check(lab: Lab) -> None:
    rotation = Rotation(lab)
    old = rotation.keys()
    refused = rotation.run()
    expect(refused.rc != 0 and "rotate_keys_actions is not set" in refused.text, refused.message)
    wish: dict[str, t.Any] = {"rotate_keys_actions": "admin,client_add", "rotate_keys_name": "one"}
    plan = rotation.run(check=True, **wish)
    expect(plan.rc == 0 and "replace_main" in plan.text, f"no plan in check mode: {plan.message}")
    expect(rotation.keys() == old, "check mode made a key")

    before = look(lab)
    with Clients(lab, {"reuse": 2, "close": 2, "slow": 1}) as clients:
        killed = rotation.run(kill_in="Run step replace_main", **wish)
        expect(killed.rc < 0, f"the run ended before: {killed.message}")
        other = rotation.run(rotate_keys_actions="client_drop", rotate_keys_name="two")
        expect(other.rc != 0 and "waits for a container still" in other.text, other.message)
        nameless = rotation.run(rotate_keys_actions="client_add")
        told = "rotate_keys_name=one" in nameless.text
        expect(nameless.rc != 0 and told, f"no name, and not told which: {nameless.message}")
        wait_until(lambda: not lab.moves_money(), "what was left running ends")
        # the file has the new keys then, and the container the earlier ones
        hooks = {"Run step replace_main": lambda: lab.on_host("mv", COMPOSE, f"{COMPOSE}.away")}
        failed = rotation.run(hooks=hooks, **wish)
        lab.on_host("mv", f"{COMPOSE}.away", COMPOSE)
        expect(failed.rc > 0 and "Start the container" in failed.text, f"{failed.message}")
        written = rotation.keys()
        expect(written[ADMIN_API_KEY] != old[ADMIN_API_KEY], "the file was not written before")
        codes = [rotation.answers(STATE, keys[ADMIN_API_KEY]) for keys in (written, old)]
        expect(codes == [401, 200], f"main was replaced without Compose: it answers {codes}")
        rotation.again(**wish)
    expect(not clients.harmed(), f"clients were harmed: {clients.harmed()[:3]}")
    expect(clients.count("ok") > 0, "no client got an answer")
    new = rotation.ended(before, old)
    expect(new[API_KEYS].split(",")[1:] == [old[API_KEYS]], "the earlier key is not valid any more")
    expect(new[ADMIN_API_KEY] != old[ADMIN_API_KEY], "the admin key is the earlier one")
    codes = [rotation.answers(STATE, keys[ADMIN_API_KEY]) for keys in (new, old)]
    expect(codes == [200, 401], f"the gateway answers the new and the earlier admin key {codes}")

    for name, given in ((PLAY, wish), ("gonka.devshard.site", {})):
        again = rotation.run(name=name, **given)
        expect((again.rc, again.changed) == (0, 0), f"{name} changed something: {again.message}")

    before = look(lab)
    drop = {"rotate_keys_actions": "client_drop", "rotate_keys_name": "one"}
    rotation.again(**drop)
    last = rotation.ended(before, new)
    expect(last == {**new, API_KEYS: new[API_KEYS].partition(",")[0]}, "not the newest key is left")
    expect(rotation.run(**drop).changed == 0, "the second run changed something")


def main(argv: t.Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("inventory", type=Path)
    parser.add_argument("host")
    parser.add_argument("--log", type=Path)
    options = parser.parse_args(argv)
    lab = Lab(options.inventory, options.host)
    lab.log = options.log
    prepare(lab)
    try:
        check(lab)
    except Broken as exc:
        print(f"BROKEN: {exc}", flush=True)
        return 1
    print("keys: ok")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
