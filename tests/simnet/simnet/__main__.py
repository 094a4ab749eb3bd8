# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""``python -m simnet net|run|gateway``."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import json
import logging
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from simnet import crypto
from simnet.chainrelease import RELEASES
from simnet.gateway.generation import FACES, GENERATIONS
from simnet.launch import GatewayProcess, ready_line
from simnet.net import NetOptions, Network, Ports
from simnet.network import (
    DEFAULT_BALANCE,
    DEFAULT_CHAIN_ID,
    Model,
    NetworkConfig,
    creator_key,
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="simnet", description="A simulated Gonka network.")
    commands = parser.add_subparsers(dest="command", required=True)
    net = commands.add_parser("net", help="chain, hosts, public API, release server, faults")
    run = commands.add_parser("run", help="net and a gateway; one JSON line when ready")
    commands.add_parser("gateway", help="only the gateway; configured by its environment")
    for command in (net, run):
        command.add_argument("--dir", type=Path, help="state directory (default: a temporary one)")
        command.add_argument("--host", default="127.0.0.1")
        command.add_argument("--advertise", help="base URL of the public API for others")
        command.add_argument("--chain", choices=sorted(RELEASES), default="v0.2.13", help="release")
        command.add_argument("--chain-id", default=DEFAULT_CHAIN_ID)
        command.add_argument("--block-interval", type=float, default=1.0)
        command.add_argument("--creator-key", help="hex key of the funded creator")
        command.add_argument("--balance", type=int, default=DEFAULT_BALANCE)
        command.add_argument("--account", action="append", default=[], metavar="ADDRESS=AMOUNT")
        command.add_argument("--allow", action="append", default=[], metavar="ADDRESS")
        command.add_argument("--open", action="store_true", help="empty allowlist: all may create")
        command.add_argument("--model", action="append", default=[])
        for port in dataclasses.fields(Ports):
            name = port.name.replace("_", "-")
            command.add_argument(f"--{name}-port", type=int, default=0)
    run.add_argument(
        "--gateway", choices=sorted(GENERATIONS), default="v2", help="generation of the gateway"
    )
    run.add_argument("--face", choices=FACES, help="of v4.1, which is known by reading (base)")
    run.add_argument("--gateway-port", type=int, default=0)
    run.add_argument(
        "--gateway-env",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="one more variable for the gateway",
    )
    return parser


def _config(options: argparse.Namespace, creator: crypto.PrivateKey) -> NetworkConfig:
    config = NetworkConfig(chain_id=options.chain_id, release=RELEASES[options.chain])
    config.balances = {creator.address: options.balance}
    for entry in options.account:
        address, _unused, amount = entry.partition("=")
        crypto.decode_address(address)
        config.balances[address] = int(amount)
    config.allowlist = [] if options.open else [creator.address, *options.allow]
    if options.model:
        config.models = [Model(name) for name in options.model]
    return config


async def _until_signal() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()


async def _serve(options: argparse.Namespace, directory: Path) -> int:
    text = options.creator_key
    creator = creator_key(options.chain_id) if text is None else crypto.PrivateKey.from_hex(text)
    ports = Ports(
        **{port.name: getattr(options, f"{port.name}_port") for port in dataclasses.fields(Ports)}
    )
    network = Network(
        NetOptions(directory, options.host, ports, options.block_interval, options.advertise),
        _config(options, creator),
    )
    stopping = asyncio.create_task(_until_signal())
    gateway: GatewayProcess | None = None
    await network.start()
    try:
        line: dict[str, Any] = ready_line(network, creator, directory)
        if options.command == "run":
            # No generation opens the store of another one.
            name = "gateway" if options.gateway == "v2" else f"gateway-{options.gateway}"
            gateway = GatewayProcess(network, creator, directory / name, options)
            line.update(await gateway.start())
        print(json.dumps(line), flush=True)
        waits = {stopping}
        if network.blocks is not None:
            waits.add(network.blocks)
        if gateway is not None:
            waits.add(asyncio.create_task(gateway.supervise()))
        done, _unused = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for task in waits - done:
            task.cancel()
        for task in done:
            # Says why, if it is not the signal that ended us.
            task.result()
        return 0
    finally:
        stopping.cancel()
        if gateway is not None:
            await gateway.stop()
        await network.stop()


def main(argv: list[str]) -> int:
    if argv[:1] == ["gateway"]:
        from simnet.gateway import main as gateway_main

        return gateway_main(argv[1:])
    options = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(name)s: %(message)s")
    with contextlib.ExitStack() as stack:
        directory = options.dir
        if directory is None:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="simnet-")))
        return asyncio.run(_serve(options, directory))


def console() -> None:
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    console()
