# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The command line."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import sys
import typing as t
from pathlib import Path

from testhosts import engine, images, inventory
from testhosts.project import Project
from testhosts.shell import HostsError, cache_dir, say

_NAME = re.compile(r"[a-z][a-z0-9-]{0,40}")


def _name(text: str) -> str:
    if not _NAME.fullmatch(text) or text in ("net", "registry"):
        raise argparse.ArgumentTypeError(f"{text!r}: letters, digits, dashes; not net, registry")
    return text


def _generation(text: str) -> tuple[str, str]:
    name, separator, generation = text.rpartition("=")
    if generation not in images.GENERATIONS or bool(name) != bool(separator):
        known = ", ".join(images.GENERATIONS)
        raise argparse.ArgumentTypeError(f"{text!r}: one of {known}, or NAME= and one of them")
    return name, generation


def generations(names: t.Sequence[str], given: t.Sequence[tuple[str, str]]) -> t.Mapping[str, str]:
    """By host: what is given for it alone, else what is given for all."""
    chosen = dict(given)
    if unknown := sorted(set(chosen) - {"", *names}):
        raise HostsError(
            f"--generation: no host {', '.join(unknown)}; there are {', '.join(names)}"
        )
    return {name: chosen.get(name, chosen.get("", images.DEFAULT_GENERATION)) for name in names}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hosts", description=__doc__)
    parser.add_argument(
        "--project",
        type=_name,
        default="gonka-devshard",
        help="projects live side by side, each with a network and hosts of its own",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="engine, images, simulator, registry and the named hosts")
    up.add_argument("names", nargs="+", type=_name, metavar="NAME")
    up.add_argument("--inventory", type=Path, help="write an Ansible inventory (JSON) there")
    up.add_argument("--vars", type=Path, help="write the rest there, for -e @FILE")
    up.add_argument("--fresh", action="store_true", help="make the named hosts bare again")
    up.add_argument("--net-arg", action="append", default=[], help="option for 'simnet net'")
    up.add_argument(
        "--generation",
        action="append",
        default=[],
        type=_generation,
        metavar="[NAME=]GENERATION",
        help="of the gateway in the inventory, for one host or all: "
        + ", ".join(images.GENERATIONS),
    )
    down = commands.add_parser("down", help="remove the project")
    down.add_argument("--images", action="store_true", help="and all images of ours")
    down.add_argument("--engine", action="store_true", help="and stop the engine we started")
    commands.add_parser("images", help="only build the images")
    commands.add_parser("status", help="containers and addresses, as JSON")
    commands.add_parser("env", help="shell lines that let docker reach the engine")
    return parser


def _up(project: Project, options: argparse.Namespace) -> None:
    engine.ensure()
    engine.explain()
    project.up(images.ensure(), options.names, options.net_arg, fresh=options.fresh)
    if options.inventory is not None:
        chosen = generations(project.hosts(), options.generation)
        inventory.write(options.inventory, inventory.inventory(project, chosen))
    if options.vars is not None:
        inventory.write(options.vars, inventory.dynamic(project))


def _down(project: Project, options: argparse.Namespace) -> None:
    if not engine.use_running():
        say("No Docker Engine answers, so nothing runs")
        return
    project.down()
    if options.images:
        images.remove()
    if options.engine:
        engine.stop()


def _status(project: Project) -> None:
    if not engine.use_running():
        raise HostsError("no Docker Engine answers")
    print(json.dumps(project.state(), indent=2))


def _env() -> None:
    engine.use_running()
    if os.environ.get("DOCKER_HOST"):
        print(f"export DOCKER_HOST={shlex.quote(os.environ['DOCKER_HOST'])}")


def main(argv: t.Sequence[str]) -> int:
    options = _parser().parse_args(argv)
    project = Project(options.project)
    cache_dir().mkdir(parents=True, exist_ok=True)
    try:
        if options.command == "up":
            _up(project, options)
        elif options.command == "down":
            _down(project, options)
        elif options.command == "images":
            engine.ensure()
            images.ensure()
        elif options.command == "status":
            _status(project)
        else:
            _env()
    except HostsError as error:
        print(f"hosts: {error}", file=sys.stderr)
        return 1
    return 0
