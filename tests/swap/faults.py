# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Everything that can go wrong in a swap, on a real host: each ends with everything serving.

``python -m …tests.swap INVENTORY HOST [NAME…]`` runs the faults in order, with clients that
stream all the while. Each fault is one swap that is disturbed until it stops, then healed and run
again. What must hold afterwards is always the same, see :func:`settled`.
"""

from __future__ import annotations

import argparse
import functools
import sys
import threading
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.gonka.devshard.plugins.module_utils._swap.steps import sequence
from ansible_collections.gonka.devshard.tests.swap.clients import Clients
from ansible_collections.gonka.devshard.tests.swap.lab import (
    DEPLOY,
    MAIN,
    STATE,
    TEMP,
    Lab,
    Run,
    wait_until,
)
from ansible_collections.gonka.devshard.tests.swap.second import (
    ALIAS,
    PARTNER,
    AliasEdge,
    Partner,
    wait_for,
)

STEPS = [step.value for step in sequence("temp", "import")]
VARIABLES: dict[str, t.Any] = {
    "hot_swap_min_blocks": 50,
    "hot_swap_wait_timeout": 60,
    "hot_swap_drain_timeout": 90,
    "hot_swap_min_free_mb": 100,
}
ROTATION_LOOKS = "/requests?method=GET&path=/v1/debug/rotation"
PER_WEIGHT = "max_concurrent_requests_per_10000_weight"
ROTATION = {
    "enabled": True,
    "settlement_enabled": False,
    "pre_poc_blocks": 77,
    "models": [],
}


class Broken(AssertionError):
    """A promise was not kept."""


def expect(kept: bool, what: str) -> None:
    if not kept:
        raise Broken(what)


@dataclass(frozen=True)
class Before:
    """The host before a fault."""

    image: str
    rotation: t.Any
    minted: int
    active: frozenset[str]


def look(lab: Lab) -> Before:
    return Before(
        image=lab.image(),
        rotation=lab.rotation(),
        minted=lab.minted(),
        active=frozenset(key for key, item in lab.escrows().items() if item["active"]),
    )


def settled(lab: Lab, before: Before, *, image: str, minted: int, imported: int) -> None:
    """What holds when a swap has ended, however often it was disturbed."""
    expect(lab.slot() == "main", "main is not in service")
    expect(lab.journal() is None, "a swap is still open")
    expect(not lab.exists(TEMP), "the temporary gateway still exists")
    expect(lab.image() == image, f"main runs {lab.image()}, not {image}")
    expect(lab.rotation() == before.rotation, "the rotation is not as it was")
    new = lab.minted() - before.minted
    expect(new == minted, f"{new} escrows were paid for, not {minted}")
    records = lab.escrows()
    idle = [key for key, item in records.items() if not (item["active"] and "runtime" in item)]
    expect(not idle, f"escrows {idle} are not in use")
    expect(before.active <= set(records), "an escrow got lost")
    expect(len(records) == len(before.active) + imported, "main did not get temp's escrows")
    violations = lab.net("/violations")["violations"]
    expect(not violations, f"the hosts noticed: {violations}")


class Runs:
    """Runs of one play until what it began has ended."""

    lab: Lab

    def run(self, **given: t.Any) -> Run:
        raise NotImplementedError

    def again(self, **given: t.Any) -> Run:
        """To the end. What a killed controller left running may hold a lock for a moment."""
        for _attempt in range(4):
            run = self.run(**given)
            if run.rc == 0 or '"kind": "busy"' not in run.text:
                break
            wait_until(lambda: not self.lab.moves_money(), "what was left running ends")
        expect(run.rc == 0, f"the run that should finish it failed: {run.message}")
        return run

    def stops(self, run: Run, step: str, *words: str) -> None:
        """The run failed at this step, says why, and says what to do."""
        expect(run.rc != 0, f"the run went through, it should have stopped at {step}")
        expect(f"the swap stopped at {step}" in run.message, f"another stop: {run.message}")
        for word in words:
            expect(word in run.message, f"{word!r} is missing in: {run.message}")

    def done(self) -> None:
        raise NotImplementedError


class Swap(Runs):
    """One swap of the lab's host to the other image."""

    def __init__(self, lab: Lab, before: Before) -> None:
        self.lab = lab
        self.before = before
        self.other = "1.0" if before.image == "1.1" else "1.1"

    def reference(self, tag: str) -> str:
        return str(self.lab.vars["gateway_image"]).rpartition(":")[0] + f":{tag}"

    def run(self, tag: str | None = None, **given: t.Any) -> Run:
        wanted = self.reference(tag or self.other)
        return self.lab.play(**{"hot_swap_image": wanted, **VARIABLES, **given})

    def back(self) -> Run:
        run = self.lab.play(**{"hot_swap_rollback": True, **VARIABLES})
        expect(run.rc == 0, f"the rollback failed: {run.message}")
        return run

    def done(
        self, *, image: str | None = None, minted: int = 1, imported: int | None = None
    ) -> None:
        settled(
            self.lab,
            self.before,
            image=image or self.other,
            minted=minted,
            imported=minted if imported is None else imported,
        )


# what is done to it


def straight(swap: Swap) -> None:
    """Nothing goes wrong; a second run changes nothing, check mode neither; and back again."""
    plan = swap.run(check=True)
    expect(plan.rc == 0 and all(step in plan.text for step in STEPS), "no plan in check mode")
    expect(swap.lab.journal() is None, "check mode began a swap")
    expect(swap.run().rc == 0, "the swap failed")
    swap.done()
    second = swap.run()
    expect((second.rc, second.changed) == (0, 0), "the second run changed something")
    back = swap.back()
    expect("swap back" in back.text, "no rollback")
    swap.done(image=swap.before.image, minted=2)
    again = swap.back()
    expect((again.rc, again.changed) == (0, 0), "a second rollback changed something")


def settles(swap: Swap) -> None:
    """The temporary escrows are settled instead of imported."""
    run = swap.run(hot_swap_temp_escrows="settle")
    expect(run.rc == 0, run.message)
    escrows = swap.lab.net("/chain/escrows")["escrows"]
    newest = max(escrows, key=lambda item: int(item["id"]))
    expect(bool(newest["settled"]), "the temporary escrow is not settled")
    expect(len(swap.lab.escrows()) == len(swap.before.active), "main got an escrow")
    expect(swap.lab.image() == swap.other, "the image is not the new one")
    expect(not swap.lab.exists(TEMP), "the temporary gateway still exists")


def killed_begun(runs: Runs, steps: t.Sequence[str]) -> None:
    """SIGKILL to the controller at each step, when the step has begun; then to the end."""
    for step in steps:
        run = runs.run(kill_in=f"Run step {step}")
        expect(run.rc < 0, f"the run ended before it came to {step}: {run.text[-1500:]}")
        serves(runs.lab)
    runs.again()
    runs.done()


def killed_done(runs: Runs, steps: t.Sequence[str]) -> None:
    """SIGKILL to the controller at each step, when its work is done and not yet noted."""
    for step, following in zip(steps, steps[1:], strict=False):
        run = runs.run(kill_at=f"Run step {following}")
        expect(run.rc < 0, f"the run ended before {step} was done: {run.text[-1500:]}")
        serves(runs.lab)
    runs.again()
    runs.done()


def controller_killed(swap: Swap) -> None:
    killed_begun(swap, STEPS)


def controller_killed_late(swap: Swap) -> None:
    killed_done(swap, STEPS)


def disturbed(swap: Swap, step: str, **given: t.Any) -> tuple[Swap, Run]:
    """A run that comes to this step. What broke at the step before may have left nothing to do for
    it: then the swap went to its end, or was killed at a later step. It is finished, and the next
    swap comes to the step undisturbed."""
    run = swap.run(**given)
    if run.rc <= 0 and f"Run step {step}" not in run.text:
        if run.rc < 0:
            swap.again()
        swap.done()
        swap = Swap(swap.lab, look(swap.lab))
        run = swap.run(**given)
    expect(f"Run step {step}" in run.text, f"{step} was never reached: {run.message}")
    return swap, run


def crash_both(lab: Lab) -> None:
    lab.crash(TEMP)
    lab.crash(MAIN)


def gateway_crashes(swap: Swap) -> None:
    """Both gateways get SIGKILL as each step begins; the play fails there, or goes on one step."""
    for step, following in zip(STEPS, [*STEPS[1:], "the end"], strict=True):
        crash = functools.partial(crash_both, swap.lab)
        swap, _run = disturbed(
            swap, step, hooks={f"Run step {step}": crash}, kill_at=f"Run step {following}"
        )
    swap.again()
    swap.done()


def host_reboots(swap: Swap) -> None:
    """The host reboots as each step begins, with the controller cut off."""
    for step in STEPS:
        swap, run = disturbed(swap, step, kill_in=f"Run step {step}")
        expect(run.rc < 0, f"the run went on after {step} had begun: {run.message}")
        swap.lab.reboot()
    swap.again()
    swap.done()


def stream_at_drain(swap: Swap) -> None:
    """One stream outlives the time for the drain: it is not cut, and the play stops."""
    lab = swap.lab
    kinds: dict[t.Any, int] = {"close": 1}
    with Clients(lab, kinds, stream_s=(60, 61)) as long:
        run = swap.run(hot_swap_drain_timeout=12)
        swap.stops(run, "drain_main", "request(s) left", "continue waiting")
        expect(lab.slot() == "temp" and lab.runs(MAIN), "not both gateways serve")
        expect(lab.rotation() == swap.before.rotation, "the rotation stays off")
    expect(not long.harmed(), f"the stream was cut: {long.harmed()}")
    swap.again()
    swap.done()


def late_uploads(swap: Swap) -> None:
    """Bodies that are complete long after the switch still reach the slot that was chosen."""
    kinds: dict[t.Any, int] = {"slow": 3}
    with Clients(swap.lab, kinds, upload_s=45) as slow:
        run = swap.run()
        expect(run.rc == 0, run.message)
    expect(not slow.harmed(), f"an upload was lost: {slow.harmed()}")
    swap.done()


DRAIN_ANSWERS: dict[str, dict[str, t.Any]] = {
    "500": {"action": "status", "status": 500, "body": '{"error":{"message":"broken"}}'},
    "401": {"action": "status", "status": 401, "body": '{"error":{"message":"unauthorized"}}'},
    "308": {"action": "status", "status": 308, "body": '{"status":"disabled"}'},
    "html": {"action": "html", "status": 200},
    "missing field": {
        "action": "status",
        "status": 200,
        "content_type": "application/json",
        "body": '{"capacity":{},"settings":{},"devshards":[{"id":"1","active":true}],"limiter":{}}',
    },
}


def admin_api_broken(swap: Swap) -> None:
    """The admin API answers nonsense during the drain: unknown is not drained."""
    lab = swap.lab
    for name, answer in DRAIN_ANSWERS.items():
        rule = {**answer, "method": "GET", "path": "^/v1/admin/state"}
        run = swap.run(
            hot_swap_drain_unknown_timeout=5,
            hooks={"Run step drain_main": lambda rule=rule: lab.gateway_fault("/faults", rule)},
        )
        swap.stops(run, "drain_main", "unknown")
        expect(lab.slot() == "temp" and lab.runs(MAIN), f"{name}: not both gateways serve")
        lab.heal()
    swap.again()
    swap.done()


def image_unhealthy(swap: Swap) -> None:
    """A new image that exits at once, or never becomes healthy: nothing has moved."""
    lab = swap.lab
    for tag in ("broken-exit", "broken-unhealthy"):
        run = swap.run(tag, hot_swap_wait_timeout=20)
        swap.stops(run, "start_temp", "nothing has moved", "hot_swap_rollback=true")
        expect(lab.slot() == "main", "main is not in service")
        expect(lab.rotation() == swap.before.rotation, "the rotation stays off")
        swap.back()
        swap.done(image=swap.before.image, minted=0)


def image_deactivates(swap: Swap) -> None:
    """A new image that starts and takes an escrow out of service: found out, rolled back."""
    lab = swap.lab
    run = swap.run("broken-deactivate")
    swap.stops(run, "check_main", "was deactivated", "hot_swap_rollback=true")
    expect(lab.slot() == "temp", "temp does not serve")
    swap.back()
    swap.done(image=swap.before.image)


def disk_full(swap: Swap) -> None:
    """No room for the backup before main is stopped: it is not stopped."""
    lab = swap.lab
    backups = f"{STATE}/backups"
    lab.on_host("mkdir", "-p", backups)
    lab.on_host("mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", backups)
    try:
        run = swap.run()
        swap.stops(run, "replace_main", "The temporary gateway serves")
        expect(lab.slot() == "temp" and lab.runs(MAIN), "not both gateways serve")
    finally:
        lab.on_host("umount", backups)
    swap.again()
    swap.done()


def registry_down(swap: Swap) -> None:
    """Without the registry no swap begins; one that is under way goes on."""
    lab = swap.lab
    registry = lab.container.removesuffix(lab.host) + "registry"
    killed = swap.run(kill_at="Run step check_temp")
    expect(killed.rc < 0, killed.text[-1500:])
    lab.docker("stop", registry)
    try:
        swap.again()
        swap.done()
        other = Swap(lab, look(lab))
        other.other = "never-built"
        run = other.run()
        swap.stops(run, "its plan", "registry", "Nothing was changed")
    finally:
        lab.docker("start", registry)


def chain_down(swap: Swap) -> None:
    """The chain is silent after the switch: main is not stopped, it could not start again."""
    lab = swap.lab
    rule = {"action": "drop", "service": "chain"}
    run = swap.run(hooks={"Run step drain_main": lambda: lab.net("/faults", rule)})
    swap.stops(run, "replace_main", "The temporary gateway serves")
    expect(lab.slot() == "temp" and lab.runs(MAIN), "not both gateways serve")
    lab.heal()
    swap.again()
    swap.done()


def rolled_back_late(swap: Swap) -> None:
    """Given up after main was replaced: temp takes over again, the earlier image comes back."""
    run = swap.run(kill_at="Run step drain_temp")
    expect(run.rc < 0, run.text[-1500:])
    swap.back()
    swap.done(image=swap.before.image)


def temp_comes_back(swap: Swap) -> None:
    """Somebody starts temp again after its escrows were imported: it has nothing to serve."""
    lab = swap.lab
    expect(swap.run().rc == 0, "the swap failed")
    swap.done()
    folders = lab.on_host("sh", "-c", f"ls -dt {DEPLOY}/.devshardctl/temp-*").split()
    image = lab.on_host("docker", "inspect", "--format", "{{.Config.Image}}", MAIN).strip()
    environment = f"set -a; . {DEPLOY}/config.devshard.env; set +a; "
    names = "DEVSHARD_PRIVATE_KEY DEVSHARD_API_KEYS DEVSHARD_ADMIN_API_KEY DEVSHARD_CHAIN_REST"
    names += " DEVSHARD_PUBLIC_API DEVSHARD_CHAIN_ID"
    pass_on = " ".join(f"-e {name}" for name in names.split())
    lab.on_host(
        "sh",
        "-c",
        f"{environment} docker run -d --name {TEMP} {pass_on} -e DEVSHARDS_JSON='[]'"
        f" -p 127.0.0.1:18081:8080 -v {folders[0]}:/root/.devshardctl {image}",
    )
    try:
        wait_for(lab, TEMP)
        served = lab.admin("/v1/admin/state", gateway=TEMP)["devshards"]
        expect(served == [], f"temp serves {served} a second time")
    finally:
        lab.on_host("docker", "rm", "-f", TEMP)
    swap.done()


def refused(swap: Swap) -> None:
    """What must not be swapped is refused before anything is touched, with the reason."""
    lab = swap.lab

    def refuses(*words: str, **given: t.Any) -> None:
        for check in (True, False):
            swap.stops(swap.run(check=check, **given), "preflight", *words)
        expect(lab.journal() is None, "a refused preflight left a journal")
        expect(lab.minted() == swap.before.minted, "an escrow was paid for")
        expect(not lab.exists(TEMP), "a temporary gateway was started")

    refuses("blocks are left to the epoch switch", hot_swap_min_blocks=16_000)
    refuses("nearly full", hot_swap_min_free_mb=10_000_000)
    creator = lab.vars["creator_address"]
    rest = lab.vars["simnet_urls"]["chain_rest"]
    path = f"/cosmos/bank/v1beta1/balances/{creator}/by_denom?denom=ngonka"
    money = int(lab.get(rest + path)["balance"]["amount"])
    lab.net("/chain/accounts", {"address": creator, "balance": 5})
    try:
        refuses("ngonka are missing")
    finally:
        lab.net("/chain/accounts", {"address": creator, "balance": money})
    run = lab.play(**{**VARIABLES, "hot_swap_image": swap.reference("v0.2.13-v3-latest")})
    swap.stops(run, "its plan", "generation v3", "generation_upgrade")
    absent = swap.reference("1.1").rpartition(":")[0] + f"@sha256:{'de' * 32}"
    for check in (True, False):
        run = lab.play(**{**VARIABLES, "hot_swap_image": absent, "check": check})
        swap.stops(run, "its plan", "the registry has no image")
    expect(lab.journal() is None, "a refused plan left a journal")
    swap.done(image=swap.before.image, minted=0)


def phase(lab: Lab) -> str:
    return str(lab.admin("/v1/debug/rotation")["chain"]["phase"])


def looks_at_rotation(lab: Lab) -> list[float]:
    """When the gateway was asked where the chain stands."""
    return [entry["time"] for entry in lab.gateway_fault(ROTATION_LOOKS)["requests"]]


def waits_for_window(swap: Swap) -> None:
    """A PoC phase is refused, or waited for."""
    lab = swap.lab
    lab.net("/chain", {"phase": "PoCGenerate"})
    wait_until(lambda: phase(lab) == "PoCGenerate", "the gateway sees the phase")
    swap.stops(swap.run(), "preflight", "PoCGenerate", "hot_swap_wait_for_window=true")
    released: list[float] = []

    since = max(looks_at_rotation(lab))

    def end_phase() -> None:
        def waits() -> bool:
            # the play has found the window closed, and looked again
            return sum(moment > since for moment in looks_at_rotation(lab)) >= 2

        wait_until(waits, "the play waits for the window", timeout=120)
        released.append(time.monotonic())
        lab.net("/chain", {"phase": None})

    run = swap.run(
        hot_swap_wait_for_window=True,
        hooks={
            "Verify that the edge can switch": lambda: threading.Thread(target=end_phase).start()
        },
    )
    expect(run.rc == 0, run.message)
    started = run.at("Run step start_temp")
    expect(bool(released) and (started or 0) > released[0], "it did not wait for the phase to end")
    swap.done()


def pool(swap: Swap) -> None:
    """Two gateways behind one edge: the other one serves meanwhile, and nothing is paid."""
    lab = swap.lab
    with Partner(lab):
        minted = lab.minted()
        run = swap.run(hot_swap_mode="pool")
        expect(run.rc == 0, run.message)
        expect(lab.runs(TEMP), "the second gateway is gone")
        expect(lab.minted() == minted, "an escrow was paid for")
    lab.on_host("rm", "-rf", PARTNER)
    swap.done(minted=lab.minted() - swap.before.minted, imported=0)


def others_nginx(swap: Swap) -> None:
    """An nginx that others manage: alias include and reload, refused while it would cut."""
    lab = swap.lab
    given = {"hot_swap_via": "reload", "hot_swap_alias_path": ALIAS}
    with AliasEdge(lab, "75s"):
        swap.stops(swap.run(**given), "preflight", "keepalive_timeout 0")
    with AliasEdge(lab, "0"):
        run = swap.run(**given)
        expect(run.rc == 0, run.message)
    swap.done()


@dataclass(frozen=True)
class Fault:
    """``unharmed``: clients must not notice anything. A crash cuts, whoever swaps."""

    run: t.Callable[[Swap], None]
    unharmed: bool = True

    @property
    def name(self) -> str:
        return self.run.__name__


FAULTS = [
    Fault(straight),
    Fault(refused),
    Fault(waits_for_window, unharmed=False),
    Fault(stream_at_drain),
    Fault(late_uploads),
    Fault(admin_api_broken),
    Fault(image_unhealthy),
    Fault(image_deactivates),
    Fault(disk_full),
    Fault(registry_down),
    Fault(chain_down),
    Fault(rolled_back_late),
    Fault(temp_comes_back),
    Fault(controller_killed),
    Fault(controller_killed_late),
    Fault(gateway_crashes, unharmed=False),
    Fault(host_reboots, unharmed=False),
    Fault(settles),
    Fault(pool),
    # the two reloads of the test itself close idle connections
    Fault(others_nginx, unharmed=False),
]


def serves(lab: Lab) -> None:
    lab.on_host("curl", "-sf", "-o", "/dev/null", "http://127.0.0.1/v1/models")


def prepare(lab: Lab) -> None:
    """More requests at once than the simulated weights allow, and a rotation to be restored."""
    lab.heal()
    settings = lab.admin("/v1/admin/settings")
    model = lab.vars["devshard_models"][0]
    rotation = {
        **ROTATION,
        "models": [
            {
                "model_id": model["id"],
                "temp_count": 1,
                "target_count": 1,
                "amount": model["amount"],
                "private_key_env": "DEVSHARD_PRIVATE_KEY",
            }
        ],
    }
    wanted = {PER_WEIGHT: 1000, "escrow_rotation": rotation}
    if any(settings.get(key) != value for key, value in wanted.items()):
        lab.admin("/v1/admin/settings", wanted)


class Keep:
    """Hosts are left with the settings and the image that they had."""

    def __init__(self, labs: t.Sequence[Lab]) -> None:
        self._labs = labs
        self._kept: list[tuple[dict[str, t.Any], str]] = []

    def __enter__(self) -> Keep:
        self._kept = [(lab.admin("/v1/admin/settings"), lab.image()) for lab in self._labs]
        return self

    def __exit__(self, kind: type[BaseException] | None, *_exc: object) -> None:
        for lab, (settings, image) in zip(self._labs, self._kept, strict=True):
            if kind is not None:
                # left as it is, to be looked at
                continue
            if lab.image() != image:
                reference = str(lab.vars["gateway_image"]).rpartition(":")[0] + f":{image}"
                run = lab.play(**{**VARIABLES, "hot_swap_image": reference})
                expect(run.rc == 0, f"{lab.host}: the way back failed: {run.message}")
            kept = {name: settings[name] for name in ("escrow_rotation", PER_WEIGHT)}
            kept["escrow_rotation"].setdefault("models", [])
            lab.admin("/v1/admin/settings", kept)
            lab.heal()


def try_one(lab: Lab, fault: Fault) -> None:
    prepare(lab)
    swap = Swap(lab, look(lab))
    kinds: dict[t.Any, int] = {"reuse": 2, "close": 2, "slow": 1}
    with Clients(lab, kinds) as clients:
        fault.run(swap)
    if fault.unharmed:
        expect(not clients.harmed(), f"clients were harmed: {clients.harmed()[:3]}")
    expect(clients.count("ok") > 0, "no client got an answer")


def main(argv: t.Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("inventory", type=Path)
    parser.add_argument("host")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--not", dest="left_out", action="append", default=[], metavar="NAME")
    parser.add_argument("--log", type=Path, help="append what the plays print to this file")
    options = parser.parse_args(argv)
    known = {fault.name: fault for fault in FAULTS}
    if unknown := sorted({*options.names, *options.left_out} - set(known)):
        parser.error(f"no fault {', '.join(unknown)}; there are {', '.join(known)}")
    lab = Lab(options.inventory, options.host)
    lab.log = options.log
    try:
        with Keep([lab]):
            for name in options.names or known:
                if name not in options.left_out:
                    began = time.monotonic()
                    try_one(lab, known[name])
                    print(f"{name}: ok ({time.monotonic() - began:.0f} s)", flush=True)
    except Broken as exc:
        # the next one would need a host that is as it should be
        print(f"BROKEN: {exc}", flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
