# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Measures what a run of the site costs that changes nothing, against the guide as a plain playbook.

``make bench-redeploy`` makes hosts of its own, deploys them, measures, removes them, and writes
``results/redeploy.json`` and ``results/redeploy.png`` beside this folder. With ``--only`` parts of
it are measured and nothing is kept but with ``--results``; ``--keep`` uses the hosts that an earlier
run with ``--keep`` left.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import shlex
import subprocess
import sys
import typing as t
from pathlib import Path

from ansible_collections.gonka.devshard.benchmarks import hosts
from ansible_collections.gonka.devshard.benchmarks.hosts import RESULTS, say
from ansible_collections.gonka.devshard.benchmarks.redeploy import fleet, measure, report
from ansible_collections.gonka.devshard.tests.swap.lab import ROOT, Lab
from simnet.crypto import PrivateKey

Result = dict[str, t.Any]

PARTS = ("site", "guide", "ping", "fleet", "swap")
PROJECT = "gonka-devshard-redeploy"
# Names of hosts; the fleet is the host of the site and others.
SITE, GUIDE, FLEET = "bench-site", "bench-guide", "bench-fleet"
# what the guide's playbook needs and the inventory does not have; the simulator takes any
GUIDE_KEYS: Result = {
    "guide_api_key": "sk-" + "a1" * 24,
    "guide_admin_key": "sk-admin-" + "b2" * 24,
}


class Bench:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self._inventory: Path | None = None

    # hosts

    def lab(self, name: str) -> Lab:
        lab = Lab(self.inventory(), name)
        lab.log = self.options.log
        return lab

    def names(self) -> list[str]:
        """The hosts that the wanted parts need."""
        found = [SITE] if set(self.options.only) - {"guide"} else []
        found += [GUIDE] if "guide" in self.options.only else []
        if "fleet" in self.options.only:
            found += [f"{FLEET}-{number}" for number in range(2, self.options.fleet_hosts + 1)]
        return found

    def inventory(self) -> Path:
        """Each host has a creator of its own, so that none finds the escrows of another one."""
        if self._inventory is None:
            given = hosts.up(self.options.project, self.names())
            content = json.loads(given.read_text())
            group = content["devshard_gateways"]
            addresses = []
            for name, variables in group["hosts"].items():
                key = PrivateKey.from_seed(f"benchmark {name}")
                variables["gateway_private_key"] = key.hex
                variables["creator_address"] = key.address
                addresses.append(key.address)
            path = given.with_name("creators.json")
            path.touch(mode=0o600)
            path.write_text(json.dumps(content, indent=2) + "\n")
            self._inventory = path
            self._fund(addresses)
        return self._inventory

    def _fund(self, addresses: t.Sequence[str]) -> None:
        lab = Lab(self.inventory(), self.names()[0])
        lab.net("/chain/allowlist", {"addresses": addresses})
        for address in addresses:
            lab.net("/chain/accounts", {"address": address, "balance": 10**12})

    # parts

    def deployed(self, name: str, playbook: str, **variables: t.Any) -> tuple[Lab, Result]:
        """The first run, which deploys unless an earlier benchmark did, and one that is counted."""
        lab = self.lab(name)
        result: Result = {}
        if not hosts.is_deployed(lab):
            say(f"{name}: the first run, which deploys")
            first, _unused = measure.run(lab, playbook, changes=True, **variables)
            result["first_run"] = first.to_dict()
        say(f"{name}: a run that is counted")
        events, timing = measure.recorded(lab, playbook, **variables)
        modules = report.on_host(events, "module")
        result["module_runs"] = len(modules)
        result["modules"] = report.by_name(modules)
        result["commands_on_host"] = len(report.on_host(events, "command"))
        result["tasks"] = sum(item["kind"] == "task" for item in events)
        result["lines_without_skipped"] = timing.lines
        return lab, result

    def one_host(self) -> Result:
        """The site and the guide, in turn."""
        wanted: dict[str, tuple[str, str, Result]] = {
            "site": (SITE, measure.SITE, {}),
            "guide": (GUIDE, measure.GUIDE, GUIDE_KEYS),
        }
        lanes = {name: lane for name, lane in wanted.items() if name in self.options.only}
        labs: dict[str, Lab] = {}
        result: Result = {}
        for name, (host, playbook, variables) in lanes.items():
            labs[name], result[name] = self.deployed(host, playbook, **variables)
        timings: dict[str, list[report.Timing]] = {name: [] for name in lanes}
        for number in range(self.options.rounds):
            for name, (_unused, playbook, variables) in lanes.items():
                timing, _run = measure.run(labs[name], playbook, **variables)
                timings[name].append(timing)
                say(
                    f"{name}, round {number + 1} of {self.options.rounds}:"
                    f" {timing.wall_s:.1f} s, controller {timing.cpu_s:.1f} s"
                )
        for name, taken in timings.items():
            result[name]["runs"] = [timing.to_dict() for timing in taken]
            result[name]["median"] = report.middle(taken).to_dict()
        if len(timings) == 2:
            pairs = report.pairwise(timings["site"], timings["guide"])
            result["pairs"] = [round(pair, 3) for pair in pairs]
        return result

    def ping(self) -> Result:
        lab = self.site_host()
        say(f"{self.options.pairs} pairs with ping")
        events, _unused = measure.recorded(lab, measure.PAIRS, bench_rounds=self.options.pairs)
        return {
            "how": "tasks in turn in one play; each one's duration against that of the ping before",
            "seconds": {k: round(v, 3) for k, v in report.durations(events).items()},
            "ratios": {k: [round(x, 3) for x in v] for k, v in report.ratios(events).items()},
        }

    def site_host(self) -> Lab:
        lab = self.lab(SITE)
        hosts.deploy([lab])
        return lab

    def fleet(self) -> Result:
        real = [self.lab(name) for name in self.names() if name != GUIDE]
        hosts.deploy(real)
        forks = len(real)
        small, large = self.options.fleet
        result: Result = {
            "how": (
                f"{len(real)} test hosts. Larger fleets have several names in the inventory for"
                " each of them, in turn, so that no two forks look at the same host at once. To"
                " the controller each name is a host of its own, and each look at it is real."
            ),
            "forks": forks,
        }
        fleets: list[fleet.Fleet] = []
        for size in (small, large, small):
            expected = fleets[0].per_host()["wall_s"] * size if fleets else 0.0
            if size == large and expected > self.options.fleet_seconds:
                result["left_out"] = f"{large} hosts would take {expected:.0f} s"
                say(result["left_out"])
                break
            inventory = self._fleet_inventory(real, size)
            timing, _unused = measure.run(
                Lab(inventory, "fleet-001"),
                measure.SITE,
                forks=forks,
                devshard_hosts="devshard_gateways",
            )
            fleets.append(fleet.Fleet(size, timing))
            say(f"{size} hosts: {timing.wall_s / size:.2f} s for each")
        result["runs"] = [
            {
                "hosts": item.hosts,
                **item.timing.to_dict(),
                "per_host": {k: round(v, 3) for k, v in item.per_host().items()},
            }
            for item in fleets
        ]
        for number in ("wall_s", "cpu_s"):
            grown = fleet.growth(fleets, number)
            result[f"growth_{number}"] = None if grown is None else round(grown, 3)
        return result

    def _fleet_inventory(self, real: t.Sequence[Lab], size: int) -> Path:
        content = json.loads(self.inventory().read_text())
        group = content["devshard_gateways"]
        names = fleet.names([lab.host for lab in real], size)
        group["hosts"] = {name: group["hosts"][host] for name, host in names.items()}
        path = self.inventory().with_name(f"fleet-{size}.json")
        path.touch(mode=0o600)
        path.write_text(json.dumps(content, indent=2) + "\n")
        return path

    def swap(self) -> Result:
        """To the other image and back. The host is as the site left it, and there are no clients."""
        lab = self.site_host()
        seconds, timings = [], []
        for number in range(2 * self.options.swaps):
            other = "1.0" if lab.image() == "1.1" else "1.1"
            image = str(lab.vars["gateway_image"]).rpartition(":")[0] + f":{other}"
            timing, done = measure.run(
                lab,
                measure.SWAP,
                changes=True,
                hot_swap_image=image,
                hot_swap_min_blocks=50,
                hot_swap_min_free_mb=100,
            )
            seconds.append(round(report.span(done.lines), 1))
            timings.append(timing.to_dict())
            say(f"swap {number + 1} of {2 * self.options.swaps}: {seconds[-1]} s")
        return {"seconds": seconds, "runs": timings}

    def all(self) -> Result:
        result: Result = {}
        if {"site", "guide"} & set(self.options.only):
            result.update(self.one_host())
        for name in ("ping", "fleet", "swap"):
            if name in self.options.only:
                result[name] = getattr(self, name)()
        return result


def how(argv: t.Sequence[str], busy: float) -> Result:
    """All that one must know to repeat it."""

    def said(*command: str) -> str:
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
        return done.stdout.strip()

    docker = ROOT / ".tree/ansible_collections/community/docker/MANIFEST.json"
    return {
        "command": shlex.join(
            ["make", "bench-redeploy", *([f"ARGS={shlex.join(argv)}"] * bool(argv))]
        ),
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "revision": said("git", "rev-parse", "--short=12", "HEAD"),
        "uncommitted_files": len(said("git", "status", "--porcelain").splitlines()),
        "cores": os.cpu_count(),
        "machine": f"{platform.system()} {platform.release()} {platform.machine()}",
        "load_before": busy,
        "python": platform.python_version(),
        "ansible_core": said(
            sys.executable, "-c", "import ansible.release as r; print(r.__version__)"
        ),
        "community_docker": json.loads(docker.read_text())["collection_info"]["version"],
        "connection": "community.docker.docker, pipelining, hosts on the machine of the controller",
    }


def parts(text: str) -> list[str]:
    found = text.split(",")
    if unknown := sorted(set(found) - set(PARTS)):
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: choose from {', '.join(PARTS)}")
    return found


def sizes(text: str) -> tuple[int, int]:
    small, large = (int(part) for part in text.split(","))
    return small, large


def main(argv: t.Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks/redeploy", description=__doc__)
    parser.add_argument("--only", type=parts, default=list(PARTS), metavar=",".join(PARTS))
    parser.add_argument("--rounds", type=int, default=3, help="of the site and the guide in turn")
    parser.add_argument("--pairs", type=int, default=10, help="of a module and ping")
    parser.add_argument("--fleet", type=sizes, default=(10, 100), metavar="SMALL,LARGE")
    parser.add_argument("--fleet-hosts", type=int, default=4, help="real ones, and forks")
    parser.add_argument(
        "--fleet-seconds", type=float, default=480, help="leave the large fleet out above that"
    )
    parser.add_argument("--swaps", type=int, default=1, help="there and back each")
    parser.add_argument("--keep", action="store_true", help="keep the hosts, and use kept ones")
    parser.add_argument("--project", default=PROJECT, help="of the test hosts")
    parser.add_argument("--log", type=Path, help="append what the plays print")
    parser.add_argument("--results", type=Path, help="folder; by default only of a whole run")
    options = parser.parse_args(argv)
    busy = measure.load()
    if not options.keep:
        hosts.down(options.project)
    bench = Bench(options)
    result = bench.all()
    judged = report.judge(report.figures(result))
    whole: Result = {"how": how(argv, busy), "figures": judged, **result}
    target = options.results or (RESULTS if set(options.only) == set(PARTS) else None)
    if target is None:
        print(json.dumps(whole, indent=2))
    else:
        target.mkdir(parents=True, exist_ok=True)
        (target / "redeploy.json").write_text(json.dumps(whole, indent=2) + "\n")
        report.draw(target / "redeploy.png", whole)
    print(report.table(judged))
    if not options.keep:
        hosts.down(options.project)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
