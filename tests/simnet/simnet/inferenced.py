# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The simulated ``inferenced``: the part of the CLI that operators of a gateway use.

Same flags, streams, outputs and exit statuses as the real one answered.
Its queries speak JSON to the simulated RPC; its transactions are real bytes.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from simnet import crypto, queries, txs
from simnet.cliflags import Parsed, UsageError, duration_ns, need_args, parse, unsigned
from simnet.keyring import KeyExistsError, Keyring, Record
from simnet.timestamps import Timestamp

_VALUES = frozenset(
    {
        "home", "keyring-dir", "keyring-backend", "output", "node", "chain-id", "from", "gas",
        "fees", "timeout-duration", "account-number", "sequence", "output-document", "note",
        "log_level", "log_format", "broadcast-mode", "gas-adjustment", "gas-prices", "type",
        "sign-mode", "fee-payer", "fee-granter", "timeout-height", "height",
    }
)  # fmt: skip
_SWITCHES = frozenset(
    {
        "help", "long", "address", "pubkey", "list-names", "generate-only", "unordered",
        "offline", "yes", "log_no_color", "trace",
    }
)  # fmt: skip
_SHORT = {
    "o": "output", "a": "address", "p": "pubkey", "y": "yes", "h": "help", "n": "list-names",
    "s": "sequence",
}  # fmt: skip
_DEFAULT_NODE = "tcp://localhost:26657"
_DEFAULT_GAS = "200000"
_RPC_TIMEOUT = 30.0


class CommandError(Exception):
    """A command failed; only its message is printed."""


@dataclass(frozen=True, slots=True)
class Streams:
    """Where a run reads and writes."""

    read_line: Callable[[], str]
    out: Callable[[str], object]
    err: Callable[[str], object]
    now_ns: Callable[[], int]


def _stamp() -> dict[str, str]:
    text = resources.files("simnet").joinpath("_stamp.json").read_text()
    stamp: dict[str, str] = json.loads(text)
    return stamp


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _pruned(value: Any) -> Any:
    """What proto JSON without default values leaves: no false, null, zero, empty."""
    if isinstance(value, Mapping):
        kept = {key: _pruned(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if not _is_default(item)}
    if isinstance(value, list):
        return [_pruned(item) for item in value]
    return value


def _is_default(value: Any) -> bool:
    return (
        value is None
        or value is False
        or value in ("", "0")
        or value == []
        or (isinstance(value, int) and value == 0)
    )


def _yaml(value: Any, indent: str = "") -> str:
    """Print plain data in the block style that ``--output text`` has."""
    if isinstance(value, Mapping):
        if not value:
            return " {}\n"
        body = "".join(f"{indent}{key}:{_yaml(value[key], indent + '  ')}" for key in sorted(value))
        return ("\n" if indent else "") + body
    if isinstance(value, list):
        if not value:
            return " []\n"
        return "\n" + "".join(
            f"{indent[:-2]}-{_yaml(item, indent).replace(chr(10) + indent, ' ', 1)}"
            for item in value
        )
    if isinstance(value, str):
        plain = value and not re.fullmatch(r"[\d.]+|true|false|null", value)
        return f" {value if plain else json.dumps(value)}\n"
    return f" {json.dumps(value)}\n"


class Rpc:
    """JSON-RPC to a node. The URL is used as it is: no slash is added."""

    def __init__(self, node: str) -> None:
        self._url = node.replace("tcp://", "http://", 1)

    def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        parts = urlsplit(self._url)
        secure = parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        port = parts.port or (443 if secure else 80)
        connection = kind(parts.hostname or "", port, timeout=_RPC_TIMEOUT)
        body = json.dumps({"jsonrpc": "2.0", "id": 0, "method": method, "params": params})
        try:
            connection.request(
                "POST", parts.path or "/", body, {"Content-Type": "application/json"}
            )
            response = connection.getresponse()
            status, raw = response.status, response.read()
        except ConnectionRefusedError as error:
            raise CommandError(
                f'post failed: Post "{self._url}": dial tcp {parts.hostname}:{port}: '
                "connect: connection refused"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise CommandError(f'post failed: Post "{self._url}": {error}') from error
        finally:
            connection.close()
        try:
            answer = json.loads(raw)
        except ValueError as error:
            raise CommandError(
                "error unmarshalling: invalid character looking for beginning of value"
            ) from error
        if "error" in answer:
            failure = answer["error"]
            raise CommandError(
                "error in json rpc client, with http response metadata: "
                f"(Status: {status} OK, Protocol HTTP/1.1). RPC error {failure['code']} - "
                f"{failure['message']}: {failure['data']}"
            )
        result: dict[str, Any] = answer["result"]
        return result

    def query(self, path: str, data: dict[str, Any]) -> dict[str, Any]:
        question, shape = queries.QUERIES[path]
        encoded = queries.encode(question, data).hex()
        response = self.call("abci_query", {"path": path, "data": encoded})["response"]
        if response["code"]:
            raise CommandError(f"rpc error: code = NotFound desc = {response['log']}")
        try:
            return queries.decode(shape, base64.b64decode(response["value"] or ""))
        except ValueError as error:
            raise CommandError(f"rpc error: code = Internal desc = {error}") from error


class Cli:
    def __init__(self, flags: Parsed, streams: Streams) -> None:
        self.flags = flags
        self.io = streams
        self.home = Path(flags.value("home") or os.path.expanduser("~/.inference"))

    def prepare_home(self) -> None:
        for name in ("config", "data"):
            (self.home / name).mkdir(parents=True, exist_ok=True)
        client = self.home / "config" / "client.toml"
        if not client.exists():
            client.write_text(
                'chain-id = ""\nkeyring-backend = "os"\noutput = "text"\n'
                f'node = "{_DEFAULT_NODE}"\nbroadcast-mode = "sync"\n'
            )

    # --- helpers ---------------------------------------------------------------

    @property
    def keyring(self) -> Keyring:
        backend = self.flags.value("keyring-backend", "os")
        if backend != "test":
            raise UsageError(f"unknown keyring backend {backend}")
        return Keyring(Path(self.flags.value("keyring-dir") or self.home))

    @property
    def rpc(self) -> Rpc:
        return Rpc(self.flags.value("node", _DEFAULT_NODE))

    @property
    def as_json(self) -> bool:
        return self.flags.value("output") == "json"

    def _print_query(self, answer: dict[str, Any]) -> None:
        pruned = _pruned(answer)
        if self.as_json:
            self.io.out(json.dumps(pruned, indent=2, ensure_ascii=False) + "\n")
        else:
            self.io.out(_yaml(pruned).lstrip())

    def _print_response(self, answer: dict[str, Any]) -> None:
        self.io.out(_compact(answer) + "\n" if self.as_json else _yaml(answer).lstrip())

    def _emit(self, text: str) -> None:
        target = self.flags.value("output-document")
        if target:
            Path(target).write_text(text)
        else:
            self.io.out(text)

    def _sender(self) -> tuple[str, Record | None]:
        name = self.flags.value("from")
        if not name:
            raise UsageError('required flag(s) "from" not set')
        record = self.keyring.get(name)
        if record is not None:
            return record.address, record
        try:
            crypto.decode_address(name)
        except crypto.AddressError as error:
            raise UsageError(f"{name}.info: key not found") from error
        return name, self.keyring.by_address(name)

    def _read_tx(self, path: str) -> txs.Tx:
        try:
            text = sys.stdin.read() if path == "-" else Path(path).read_text()
        except FileNotFoundError as error:
            raise UsageError(f"open {path}: no such file or directory") from error
        try:
            return txs.Tx.from_json(json.loads(text))
        except ValueError as error:
            raise UsageError(str(error)) from error

    # --- version and keys ------------------------------------------------------

    def version(self) -> None:
        stamp = _stamp()
        if "long" not in self.flags.switches:
            self.io.out(stamp["version"] + "\n")
            return
        info = {
            "name": "inference-chain",
            "server_name": "inferenced",
            "version": stamp["version"],
            "commit": "8a35022b",
            "build_tags": "",
            "go": f"go version go1.26.8 linux/{stamp['arch']}",
            "build_deps": ["simulated@(devel)"],
            "cosmos_sdk_version": "v0.50.14",
        }
        self.io.out(_compact(info) + "\n" if self.as_json else _yaml(info).lstrip())

    def keys_import_hex(self) -> None:
        words = self.flags.positionals
        if len(words) not in (1, 2):
            raise UsageError(f"accepts between 1 and 2 arg(s), received {len(words)}")
        keyring, name = self.keyring, words[0]
        text = words[1] if len(words) == 2 else self._read_key()
        key = _lenient_key(text)
        try:
            known = keyring.add(name, key)
        except KeyExistsError as error:
            raise UsageError(f"{name}: cannot overwrite key [simnet/keys/import.go:1]") from error
        if known:
            raw = crypto.decode_address(key.address).hex()
            self.io.err(
                f'address "{raw}" exists but pubkey itself does not\nrecreating pubkey record\n'
            )

    def _read_key(self) -> str:
        line = self.io.read_line()
        if not line:
            raise UsageError("EOF")
        text = line.strip()
        if len(text) < 8:
            raise UsageError("password must be at least 8 characters")
        return text

    def keys_show(self) -> None:
        name = need_args(self.flags, 1)[0]
        record = self.keyring.get(name)
        if record is None:
            try:
                crypto.decode_address(name)
            except crypto.AddressError as error:
                raise UsageError(f"{name} is not a valid name or address: {error}") from error
            record = self.keyring.by_address(name)
            if record is None:
                raise UsageError(f"key with address {name} not found: key not found")
        if "address" in self.flags.switches:
            self.io.out(record.address + "\n")
        elif "pubkey" in self.flags.switches:
            self.io.out(_pubkey_json(record) + "\n")
        elif self.as_json:
            self.io.out(_compact(_key_json(record)) + "\n")
        else:
            self.io.out(_keys_text([record]))

    def keys_list(self) -> None:
        need_args(self.flags, 0)
        records = self.keyring.all()
        if "list-names" in self.flags.switches:
            self.io.out("".join(record.name + "\n" for record in records))
        elif self.as_json:
            self.io.out(_compact([_key_json(record) for record in records]) + "\n")
        elif not records:
            self.io.err("No records were found in keyring\n")
        else:
            self.io.out(_keys_text(records))

    # --- queries ---------------------------------------------------------------

    def query_params(self) -> None:
        need_args(self.flags, 0)
        self._print_query(self.rpc.query(queries.PARAMS, {}))

    def query_escrow(self) -> None:
        text = need_args(self.flags, 1)[0]
        if re.fullmatch(r"\d{1,19}", text) is None:
            raise CommandError(
                f'invalid argument "{text}" for "--0" flag: strconv.ParseUint: '
                f'parsing "{text}": invalid syntax'
            )
        self._print_query(self.rpc.query(queries.ESCROW, {"id": text}))

    def query_balances(self) -> None:
        address = need_args(self.flags, 1)[0]
        try:
            crypto.decode_address(address)
        except crypto.AddressError as error:
            raise CommandError(
                f'invalid argument "{address}" for "--0" flag: '
                f"invalid account address or key name: {error}"
            ) from error
        self._print_query(self.rpc.query(queries.BALANCES, {"address": address}))

    def query_tx(self) -> None:
        digest = need_args(self.flags, 1)[0]
        try:
            raw = bytes.fromhex(digest)
        except ValueError as error:
            raise UsageError(f"encoding/hex: {error}") from error
        try:
            found = self.rpc.call("tx", {"hash": txs.b64(raw), "prove": False})
            block = self.rpc.call("block", {"height": found["height"]})
        except CommandError as error:
            raise UsageError(str(error)) from error
        result = found["tx_result"]
        moment = Timestamp.parse(block["block"]["header"]["time"])
        self._print_response(
            {
                "height": found["height"],
                "txhash": found["hash"],
                "codespace": result["codespace"],
                "code": result["code"],
                "data": base64.b64decode(result["data"]).hex().upper(),
                "raw_log": result["log"],
                "logs": [],
                "info": result["info"],
                "gas_wanted": result["gas_wanted"],
                "gas_used": result["gas_used"],
                "tx": {
                    "@type": "/cosmos.tx.v1beta1.Tx",
                    **txs.Tx.decode(base64.b64decode(found["tx"])).to_json(),
                },
                "timestamp": moment.rfc3339_seconds(),
                "events": result["events"],
            }
        )

    # --- transactions ----------------------------------------------------------

    def create_escrow(self) -> None:
        amount, model_id = need_args(self.flags, 2)
        number = unsigned(amount, "invalid amount")
        sender, _unused = self._sender()
        self._generate(txs.MsgCreate(sender, number, model_id))

    def settle_escrow(self) -> None:
        path = need_args(self.flags, 1)[0]
        sender, _unused = self._sender()
        try:
            settlement = json.loads(Path(path).read_text())
        except FileNotFoundError as error:
            raise UsageError(
                f"read settlement file: open {path}: no such file or directory"
            ) from error
        except ValueError as error:
            raise UsageError(f"parse settlement JSON: {error}") from error
        if not isinstance(settlement, dict) or not settlement.get("version"):
            old = _stamp()["version"] in ("v0.2.13", "v0.2.14")
            missing = "version" if old else "state_root_and_protocol_version"
            raise UsageError(f"settlement JSON missing {missing}")
        try:
            message = txs.MsgSettle.from_settlement(sender, settlement)
        except txs.TxDecodeError as error:
            raise UsageError(f"parse settlement JSON: {error}") from error
        self._generate(message)

    def _generate(self, message: txs.Message) -> None:
        switches = self.flags.switches
        if "generate-only" not in switches:
            raise UsageError("this simulated CLI makes transactions with --generate-only only")
        unordered = "unordered" in switches
        timeout = None
        if self.flags.value("timeout-duration"):
            lifetime = duration_ns(self.flags.value("timeout-duration"))
            timeout = Timestamp.from_ns(self.io.now_ns() + lifetime)
        if unordered and timeout is None:
            raise UsageError("unordered transactions require a timeout duration to be set")
        body = txs.TxBody((message,), self.flags.value("note"), 0, unordered, timeout)
        gas = unsigned(self.flags.value("gas", _DEFAULT_GAS), "invalid gas")
        auth_info = txs.AuthInfo((), _coins(self.flags.value("fees")), gas)
        self._emit(_compact(txs.Tx.build(body, auth_info).to_json()) + "\n")

    def tx_sign(self) -> None:
        tx = self._read_tx(need_args(self.flags, 1)[0])
        sender, record = self._sender()
        if record is None:
            raise UsageError(f"{sender}: key not found")
        if not self.flags.value("chain-id"):
            raise UsageError("chain ID required but not specified")
        if tx.signer != record.address:
            raise UsageError(f"tx intended signer does not match the given signer: {record.name}")
        number, sequence = self._account_numbers(record.address)
        signed = txs.sign_tx(
            tx.body,
            record.key,
            chain_id=self.flags.value("chain-id"),
            account_number=number,
            fee=tx.auth_info.fee,
            gas_limit=tx.auth_info.gas_limit,
            sequence=sequence,
        )
        self._emit(_compact(signed.to_json()) + "\n")

    def _account_numbers(self, address: str) -> tuple[int, int]:
        if "offline" not in self.flags.switches:
            found = self.rpc.query(queries.ACCOUNT, {"address": address})["account"]
            account = queries.decode(queries.BASE_ACCOUNT, txs.unb64(found["value"]))
            return int(account["account_number"]), int(account["sequence"])
        for name in ("account-number", "sequence"):
            if name not in self.flags.values:
                raise UsageError('required flag(s) "account-number", "sequence" not set')
        return (
            unsigned(self.flags.value("account-number"), "invalid account number"),
            unsigned(self.flags.value("sequence"), "invalid sequence"),
        )

    def tx_encode(self) -> None:
        tx = self._read_tx(need_args(self.flags, 1)[0])
        self._emit(txs.b64(tx.encode()) + "\n")

    def tx_broadcast(self) -> None:
        tx = self._read_tx(need_args(self.flags, 1)[0])
        answer = {"code": 19, "codespace": "sdk", "log": "", "hash": tx.hash}
        try:
            answer = self.rpc.call("broadcast_tx_sync", {"tx": txs.b64(tx.encode())})
        except CommandError as error:
            if "tx already exists in cache" not in str(error):
                raise
        self._print_response(
            {
                "height": "0",
                "txhash": answer["hash"],
                "codespace": answer["codespace"],
                "code": answer["code"],
                "data": "",
                "raw_log": answer["log"],
                "logs": [],
                "info": "",
                "gas_wanted": "0",
                "gas_used": "0",
                "tx": None,
                "timestamp": "",
                "events": [],
            }
        )


def _lenient_key(text: str) -> crypto.PrivateKey:
    """Read a key as leniently as the real CLI: a short one gives another key."""
    digits = text.removeprefix("0x")
    try:
        raw = bytes.fromhex(digits)
    except ValueError as error:
        reason = "odd length hex string" if len(digits) % 2 else "invalid byte"
        raise UsageError(f"encoding/hex: {reason}") from error
    try:
        # The real one copies what it got into 32 zero bytes, from the left.
        number = int.from_bytes(raw[:32].ljust(32, b"\0"), "big")
        return crypto.PrivateKey(number % crypto.CURVE_ORDER)
    except crypto.InvalidKeyError as error:
        raise UsageError("invalid private key") from error


def _pubkey_json(record: Record) -> str:
    return _compact({"@type": txs.PUBKEY_TYPE, "key": txs.b64(record.key.public_key)})


def _key_json(record: Record) -> dict[str, str]:
    return {
        "name": record.name,
        "type": "local",
        "address": record.address,
        "pubkey": _pubkey_json(record),
    }


def _keys_text(records: list[Record]) -> str:
    return "".join(
        f"- address: {record.address}\n  name: {record.name}\n"
        f"  pubkey: '{_pubkey_json(record)}'\n  type: local\n"
        for record in records
    )


def _coins(text: str) -> tuple[txs.Coin, ...]:
    if not text:
        return ()
    coins = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)([a-z][a-z0-9/:._-]{2,127})", part.strip())
        if match is None:
            raise UsageError(f"invalid decimal coin expression: {part}")
        coins.append(txs.Coin(match[2], int(match[1])))
    return tuple(coins)


Command = Callable[[Cli], None]

# Words of the command, its function, the arguments in its usage, its description.
_COMMANDS: list[tuple[str, Command, str, str]] = [
    ("version", Cli.version, "", "Print the application binary version information"),
    (
        "keys import-hex",
        Cli.keys_import_hex,
        "<name> [hex]",
        "Import private keys into the local keybase",
    ),
    ("keys show", Cli.keys_show, "[name_or_address]", "Retrieve key information by name"),
    ("keys list", Cli.keys_list, "", "List all keys"),
    ("query inference params", Cli.query_params, "", "Shows the parameters of the module"),
    (
        "query inference show-devshard-escrow",
        Cli.query_escrow,
        "[id]",
        "Shows a devshard escrow",
    ),
    ("query bank balances", Cli.query_balances, "[address]", "Query for account balances"),
    ("query tx", Cli.query_tx, "[hash]", "Query for a transaction by hash"),
    (
        "tx inference create-devshard-escrow",
        Cli.create_escrow,
        "[amount] [model-id]",
        "Create a devshard escrow",
    ),
    (
        "tx inference settle-devshard-escrow",
        Cli.settle_escrow,
        "<settlement-file.json>",
        "Settle a devshard escrow using a settlement JSON file produced by devshardctl",
    ),
    ("tx sign", Cli.tx_sign, "[file]", "Sign a transaction generated offline"),
    ("tx encode", Cli.tx_encode, "[file]", "Encode transactions generated offline"),
    ("tx broadcast", Cli.tx_broadcast, "[file_path]", "Broadcast transactions generated offline"),
]
_ALIASES = {"q": "query"}


def _usage(command: str, arguments: str) -> str:
    names = sorted(_VALUES | _SWITCHES)
    flags = "".join(f"      --{name}\n" for name in names[:16])
    line = " ".join(part for part in ("inferenced", command, arguments, "[flags]") if part)
    return f"Usage:\n  {line}\n\nFlags:\n{flags}\n"


def run(argv: list[str], streams: Streams) -> int:
    words = [_ALIASES.get(argv[0], argv[0]), *argv[1:]] if argv else []
    for command, function, arguments, description in _COMMANDS:
        head = command.split(" ")
        if words[: len(head)] == head:
            break
    else:
        name = argv[0] if argv else ""
        streams.err(f'{_usage("", "[command]")}\nunknown command "{name}" for "inferenced"\n')
        return 1
    try:
        flags = parse(words[len(head) :], _VALUES, _SWITCHES, _SHORT)
        if "help" in flags.switches:
            streams.out(f"{description}\n\n{_usage(command, arguments)}")
            return 0
        cli = Cli(flags, streams)
        cli.prepare_home()
        function(cli)
    except UsageError as error:
        streams.err(f"{_usage(command, arguments)}\n{error}\n")
        return 1
    except CommandError as error:
        streams.err(f"{error}\n")
        return 1
    return 0


def main(argv: list[str]) -> int:
    streams = Streams(
        read_line=sys.stdin.readline,
        out=sys.stdout.write,
        err=sys.stderr.write,
        now_ns=time.time_ns,
    )
    return run(argv, streams)
