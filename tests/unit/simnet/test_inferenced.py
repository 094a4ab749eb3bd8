# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The simulated CLI: outputs, streams and exit statuses as recorded from the real one."""

from __future__ import annotations

import base64
import json
import subprocess
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from simnet import crypto, inferenced, release, txs
from simnet.inferenced import Streams
from simnet.rpc import RpcApi, RpcError
from simnet.testing import AMOUNT, MODEL, START, Session, World

KEY = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"
ADDRESS = "gonka1nduq8yy8h4nr7g9vuuglzklqatmaquq9mhvl49"


@dataclass
class Result:
    rc: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def last(self) -> str:
        return self.err.rstrip("\n").splitlines()[-1]


Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    stamp = {"version": "v0.2.13", "arch": "amd64"}
    monkeypatch.setattr(inferenced, "_stamp", lambda: stamp)
    monkeypatch.chdir(tmp_path)

    def call(*argv: str, stdin: str = "") -> Result:
        out: list[str] = []
        err: list[str] = []
        streams = Streams(lambda: stdin, out.append, err.append, lambda: START)
        words = list(argv)
        words += ["--home", str(tmp_path / "home")]
        if argv[0] in ("keys", "tx") and "encode" not in argv:
            words += ["--keyring-backend", "test"]
        rc = inferenced.run(words, streams)
        return Result(rc, "".join(out), "".join(err))

    return call


@pytest.fixture
def with_key(run: Run) -> Run:
    assert run("keys", "import-hex", "creator", stdin=KEY + "\n") == Result(0, "", "")
    return run


def _is_usage_error(result: Result, message: str) -> bool:
    head = result.err.startswith("Usage:") and result.err.count("\n") > 15
    return result.rc == 1 and result.out == "" and head and result.last.startswith(message)


def test_version(run: Run) -> None:
    assert run("version") == Result(0, "v0.2.13\n", "")
    long = run("version", "--long", "--output", "json")
    assert long.json["version"] == "v0.2.13"
    assert long.json["server_name"] == "inferenced"


def test_every_command_makes_config_and_data(run: Run, tmp_path: Path) -> None:
    run("version")
    assert (tmp_path / "home" / "config").is_dir()
    assert (tmp_path / "home" / "data").is_dir()


def test_import_and_show(with_key: Run, tmp_path: Path) -> None:
    assert with_key("keys", "show", "creator", "-a") == Result(0, ADDRESS + "\n", "")
    names = {path.name for path in (tmp_path / "home" / "keyring-test").iterdir()}
    assert names == {"creator.info", crypto.decode_address(ADDRESS).hex() + ".address"}
    again = with_key("keys", "import-hex", "creator", stdin=KEY + "\n")
    assert _is_usage_error(again, "creator: cannot overwrite key")


def test_the_same_key_under_other_names(with_key: Run) -> None:
    raw = crypto.decode_address(ADDRESS).hex()
    note = f'address "{raw}" exists but pubkey itself does not\nrecreating pubkey record\n'
    assert with_key("keys", "import-hex", "other", stdin=KEY + "\n") == Result(0, "", note)
    assert with_key("keys", "import-hex", "with0x", stdin=f"0x{KEY}\n") == Result(0, "", note)
    assert with_key("keys", "import-hex", "viaargv", KEY) == Result(0, "", note)
    listed = with_key("keys", "list", "--output", "json")
    assert [entry["name"] for entry in listed.json] == ["creator", "other", "viaargv", "with0x"]
    assert {entry["address"] for entry in listed.json} == {ADDRESS}
    assert json.loads(listed.json[0]["pubkey"])["@type"] == txs.PUBKEY_TYPE


def test_key_of_62_digits_is_taken_and_gives_another_address(run: Run) -> None:
    short = "6078257233538ca6f3aef39c10f483c261236552201e386f30e94fd0c88ec0"
    assert run("keys", "import-hex", "short62", stdin=short + "\n") == Result(0, "", "")
    shown = run("keys", "show", "short62", "-a")
    assert shown.out == "gonka15jz7yqwxuv4eu8l6cysfrgslcyvh7f3ykf8ykp\n"


@pytest.mark.parametrize(
    ("stdin", "message"),
    [
        ("abcd\n", "password must be at least 8 characters"),
        ("zz\n", "password must be at least 8 characters"),
        ("zzzzzzzzzz\n", "encoding/hex: "),
        ("", "EOF"),
        ("00" * 32 + "\n", "invalid private key"),
    ],
)
def test_bad_keys(run: Run, stdin: str, message: str) -> None:
    assert _is_usage_error(run("keys", "import-hex", "bad", stdin=stdin), message)


def test_show_unknown(run: Run) -> None:
    message = (
        "creator is not a valid name or address: decoding bech32 failed: "
        "invalid bech32 string length 7"
    )
    assert _is_usage_error(run("keys", "show", "creator", "-a"), message)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("keys", "show"), "accepts 1 arg(s), received 0"),
        (("keys", "show", "x", "--nonsense"), "unknown flag: --nonsense"),
        (("tx", "encode", "./absent.json"), "open ./absent.json: no such file or directory"),
        (("nonsense",), 'unknown command "nonsense"'),
        (("keys", "list", "extra"), "accepts 0 arg(s), received 1"),
    ],
)
def test_usage_errors(run: Run, argv: tuple[str, ...], message: str) -> None:
    assert _is_usage_error(run(*argv), message)


def test_help(run: Run) -> None:
    result = run("tx", "inference", "settle-devshard-escrow", "--help")
    assert result.rc == 0
    assert result.out.startswith(
        "Settle a devshard escrow using a settlement JSON file produced by devshardctl\n\n"
        "Usage:\n  inferenced tx inference settle-devshard-escrow <settlement-file.json> [f"
    )


GENERATE = (
    "--gas", "500000", "--fees", "1000000ngonka", "--generate-only", "--unordered",
    "--timeout-duration", "2m", "--from", "creator", "--chain-id", "gonka-sim",
    "--node", "http://127.0.0.1:1",
)  # fmt: skip
SIGN = ("--offline", "--sequence", "0", "--from", "creator", "--chain-id", "gonka-sim")


def test_create_sign_encode_is_accepted_by_the_chain(with_key: Run, tmp_path: Path) -> None:
    world = World()
    world.chain.bank.set_balance(ADDRESS, 10 * AMOUNT)
    number = world.chain.bank.account(ADDRESS)
    assert number is not None
    unsigned = with_key("tx", "inference", "create-devshard-escrow", str(AMOUNT), MODEL, *GENERATE)
    assert (unsigned.rc, unsigned.err) == (0, "")
    assert unsigned.json["body"]["unordered"] is True
    assert unsigned.json["body"]["timeout_timestamp"] == "2027-01-15T08:02:00Z"
    assert unsigned.json["auth_info"]["signer_infos"] == []
    (tmp_path / "u.json").write_text(unsigned.out)
    signed = with_key("tx", "sign", "./u.json", "--account-number", str(number.number), *SIGN)
    assert (signed.rc, signed.err) == (0, "")
    (tmp_path / "s.json").write_text(signed.out)
    encoded = with_key("tx", "encode", "./s.json")
    raw = base64.b64decode(encoded.out)
    answer = world.chain.broadcast(raw)
    assert (answer.code, answer.raw_log) == (0, "")
    world.block()
    assert [escrow["creator"] for escrow in world.chain.escrows.all()] == [ADDRESS]


def test_settlement_file_becomes_an_accepted_settlement(run: Run, tmp_path: Path) -> None:
    world = World()
    message = Session(world, world.create()).settlement()
    run("keys", "import-hex", "creator", stdin=world.creator.hex + "\n")
    settlement = {
        "escrow_id": "1",
        "version": "v2",
        "state_root": txs.b64(message.state_root),
        "nonce": message.nonce,
        "fees": message.fees,
        "rest_hash": txs.b64(message.rest_hash),
        "host_stats": [entry.to_json() for entry in message.host_stats],
        "signatures": [entry.to_json() for entry in message.signatures],
    }
    (tmp_path / "settle.json").write_text(json.dumps(settlement))
    unsigned = run("tx", "inference", "settle-devshard-escrow", "./settle.json", *GENERATE)
    assert (unsigned.rc, unsigned.err) == (0, "")
    (tmp_path / "u.json").write_text(unsigned.out)
    number = world.chain.bank.account(world.creator.address)
    assert number is not None
    signed = run("tx", "sign", "./u.json", "--account-number", str(number.number), *SIGN)
    (tmp_path / "s.json").write_text(signed.out)
    raw = base64.b64decode(run("tx", "encode", "./s.json").out)
    assert world.chain.broadcast(raw).code == 0
    world.block()
    record = world.chain.tx(txs.tx_hash(raw))
    assert record is not None
    assert record.code == 0, record.raw_log


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("x", MODEL), "invalid amount: strconv.ParseUint: parsing"),
        (("-5", MODEL), "unknown shorthand flag"),
        (("5000000000",), "accepts 2 arg(s), received 1"),
    ],
)
def test_bad_create(with_key: Run, words: tuple[str, ...], message: str) -> None:
    result = with_key("tx", "inference", "create-devshard-escrow", *words, *GENERATE)
    assert _is_usage_error(result, message)


def test_sign_needs_a_known_key_and_the_right_one(with_key: Run, tmp_path: Path) -> None:
    unsigned = with_key("tx", "inference", "create-devshard-escrow", "1", MODEL, *GENERATE)
    (tmp_path / "u.json").write_text(unsigned.out)
    with_key("keys", "import-hex", "other", stdin="01" * 32 + "\n")
    wrong = [word if word != "creator" else "other" for word in SIGN]
    result = with_key("tx", "sign", "./u.json", "--account-number", "1", *wrong)
    assert _is_usage_error(result, "tx intended signer does not match the given signer: other")
    absent = [word if word != "creator" else "absent" for word in SIGN]
    result = with_key("tx", "sign", "./u.json", "--account-number", "1", *absent)
    assert _is_usage_error(result, "absent.info: key not found")
    result = with_key("tx", "sign", "./u.json", *SIGN)
    assert _is_usage_error(result, "required flag(s)")


class _FakeRpc:
    """Answers from a chain in memory, in the words of the RPC client."""

    def __init__(self, world: World) -> None:
        self._api = RpcApi(world.chain)

    def __call__(self, rpc: inferenced.Rpc, method: str, params: dict[str, Any]) -> Any:
        try:
            return self._api._methods[method](params)
        except RpcError as error:
            raise inferenced.CommandError(
                f"RPC error {error.code} - {error.message}: {error.data}"
            ) from error


@pytest.fixture
def online(run: Run, world: World, monkeypatch: pytest.MonkeyPatch) -> Run:
    fake = _FakeRpc(world)

    def call(rpc: inferenced.Rpc, method: str, params: dict[str, Any]) -> Any:
        return fake(rpc, method, params)

    monkeypatch.setattr(inferenced.Rpc, "call", call)
    return run


def test_queries(online: Run, world: World) -> None:
    address = world.creator.address
    balances = online("query", "bank", "balances", address, "--output", "json")
    assert balances.json == {
        "balances": [{"denom": "ngonka", "amount": str(100 * AMOUNT)}],
        "pagination": {"total": "1"},
    }
    assert '{\n  "balances": [\n' in balances.out
    missing = online("query", "inference", "show-devshard-escrow", "99", "-o", "json")
    assert missing == Result(0, "{}\n", "")
    world.create()
    found = online("query", "inference", "show-devshard-escrow", "1", "-o", "json").json
    assert found["found"] is True
    assert "settled" not in found["escrow"]
    params = online("query", "inference", "params", "--output", "json").json["params"]
    assert params["devshard_escrow_params"]["min_amount"] == "5000000000"
    assert "epoch_shift" not in params["epoch_params"]
    bad = online("query", "bank", "balances", "bad")
    assert bad == Result(
        1,
        "",
        'invalid argument "bad" for "--0" flag: invalid account address or key name: '
        "decoding bech32 failed: invalid bech32 string length 3\n",
    )


def test_query_tx_and_broadcast(online: Run, world: World, tmp_path: Path) -> None:
    raw = world.sign(world.create_message())
    (tmp_path / "s.json").write_text(json.dumps(txs.Tx.decode(raw).to_json()))
    sent = online("tx", "broadcast", "./s.json", "--output", "json").json
    assert (sent["code"], sent["txhash"]) == (0, txs.tx_hash(raw))
    assert online("tx", "broadcast", "./s.json", "--output", "json").json["code"] == 19
    missing = online("query", "tx", txs.tx_hash(raw), "--output", "json")
    assert _is_usage_error(missing, "RPC error -32603 - Internal error: tx (")
    assert missing.last.endswith(") not found")
    world.block()
    found = online("query", "tx", txs.tx_hash(raw), "--output", "json").json
    assert (found["code"], found["height"]) == (0, str(world.chain.height))
    assert found["tx"]["@type"] == "/cosmos.tx.v1beta1.Tx"


def test_node_that_is_down(run: Run) -> None:
    result = run("query", "bank", "balances", ADDRESS, "--node", "http://127.0.0.1:1")
    assert result == Result(
        1,
        "",
        'post failed: Post "http://127.0.0.1:1": dial tcp 127.0.0.1:1: '
        "connect: connection refused\n",
    )


def test_the_built_file_runs_alone(tmp_path: Path) -> None:
    target = release.write_inferenced(tmp_path / "inferenced", "v0.2.14", "arm64")
    done = subprocess.run(
        [str(target), "keys", "import-hex", "k", "--keyring-backend", "test", "--home", "h"],
        input=KEY + "\n",
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin:/usr/local/bin"},
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = subprocess.run(
        [str(target), "version"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": str(tmp_path)},
        check=True,
    )
    assert done.stdout == "v0.2.14\n"


def test_builds_are_stable_and_stamped(tmp_path: Path) -> None:
    first = release.build_zip("v0.2.13", "amd64")
    assert first == release.build_zip("v0.2.13", "amd64")
    assert first != release.build_zip("v0.2.13", "arm64")
    assert first != release.build_zip("v0.2.14", "amd64")
    (tmp_path / "a.zip").write_bytes(first)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == ["inferenced"]
        assert archive.read("inferenced") == release.build_inferenced("v0.2.13", "amd64")
