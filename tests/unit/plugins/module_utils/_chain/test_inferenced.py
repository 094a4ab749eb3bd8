# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""The program for keys and signing, and the creator's key in its keyring."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.gonka.devshard.plugins.module_utils._chain.inferenced import (
    CliResult,
    Inferenced,
    last_line,
    runner,
)
from ansible_collections.gonka.devshard.plugins.module_utils._chain.models import EscrowParams
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    ConfigurationError,
    ConflictError,
    ProtocolError,
    TransportError,
    UnknownStateError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.keys import (
    CURVE_ORDER,
    check_private_key,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.reader import Reader
from ansible_collections.gonka.devshard.plugins.module_utils._core.timer import WaitBudget
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.creator import (
    KeyPlan,
    Membership,
    NotListedError,
    address_of,
    await_membership,
    membership,
    plan_key,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.recorded import (
    CREATOR,
    reader,
)

KEY = "0f1e2d3c4b5a69788796a5b4c3d2e1f0" * 2
OTHER = "gonka15jz7yqwxuv4eu8l6cysfrgslcyvh7f3ykf8ykp"
HELP = "Usage:\n  inferenced keys show [name_or_address...] [flags]\n\nFlags:\n  -a, --address\n\n"
MISSING = CliResult(
    1,
    "",
    HELP + "creator is not a valid name or address: decoding bech32 failed: invalid bech32 string"
    " length 7\n",
)
EXISTS = CliResult(1, "", HELP + "creator: cannot overwrite key [<source>]\n")


class Keyrings:
    """Answers as recorded, one keyring per directory, and keeps what it was asked."""

    def __init__(self, address: str = CREATOR) -> None:
        self.address = address
        self.held: dict[tuple[str, str], str] = {}
        self.asked: list[tuple[list[str], str | None]] = []
        self.fail: CliResult | None = None

    def __call__(self, argv: list[str], data: str | None) -> CliResult:
        self.asked.append((argv, data))
        if self.fail is not None:
            return self.fail
        folder = argv[argv.index("--keyring-dir") + 1]
        where = (folder, argv[3])
        if argv[2] == "show":
            held = self.held.get(where)
            return MISSING if held is None else CliResult(0, held + "\n", "")
        if where in self.held:
            return EXISTS
        Path(folder, "keyring-test").mkdir(parents=True, exist_ok=True)
        self.held[where] = self.address
        return CliResult(0, "", "")


@pytest.fixture
def keyrings() -> Keyrings:
    return Keyrings()


@pytest.fixture
def signer(keyrings: Keyrings, tmp_path: Path) -> Inferenced:
    return Inferenced(
        run=keyrings,
        path="/usr/local/bin/inferenced",
        home=str(tmp_path / "home"),
        keyring_dir=str(tmp_path / "keyring"),
        key_name="creator",
    )


# keys


@given(st.integers(min_value=1, max_value=CURVE_ORDER - 1), st.booleans())
def test_every_key_below_the_curves_order_is_one(number: int, upper: bool) -> None:
    key = f"{number:064X}" if upper else f"{number:064x}"
    assert check_private_key(key, "here") == key


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("", "it has 0 character"),
        (KEY[:62], "it has 62 character"),
        (KEY + "00", "it has 66 character"),
        ("0x" + KEY, "begins with 0x"),
        ("0X" + KEY, "begins with 0x"),
        ("0x" + KEY[:62], "begins with 0x"),
        (KEY[:63] + "g", "it has 64 character(s), some not hexadecimal"),
        (KEY + "\n", "begins or ends with a line break"),
        (KEY + "-", "it has 65 character(s), some not hexadecimal"),
        (" " + KEY, "some not hexadecimal"),
        (KEY[:63] + "١", "some not hexadecimal"),
        ("0" * 64, "above 0 and below the curve"),
        (f"{CURVE_ORDER:x}", "above 0 and below the curve"),
        ("f" * 64, "above 0 and below the curve"),
    ],
)
def test_what_is_no_key(key: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_private_key(key, "file.env: DEVSHARD_PRIVATE_KEY")
    message = str(caught.value)
    assert message.startswith("file.env: DEVSHARD_PRIVATE_KEY: ")
    assert told in message
    assert KEY[:16] not in message


def test_the_bounds_are_exact() -> None:
    for number in (1, CURVE_ORDER - 1):
        check_private_key(f"{number:064x}", "here")


# the program


def test_addresses(signer: Inferenced, keyrings: Keyrings) -> None:
    assert signer.address() is None
    assert keyrings.asked == [], "asking would make the program create its home"
    signer.import_key(KEY)
    assert signer.address() == CREATOR
    argv, data = keyrings.asked[-1]
    assert argv[1:5] == ["keys", "show", "creator", "-a"]
    assert argv[5:7] == ["--keyring-backend", "test"]
    assert data is None
    keyrings.held.clear()
    assert signer.address() is None


@pytest.mark.parametrize("stdout", ["", "gonka1\n", "name: creator", f"{CREATOR} {CREATOR}"])
def test_what_is_no_address(signer: Inferenced, keyrings: Keyrings, stdout: str) -> None:
    signer.import_key(KEY)
    keyrings.fail = CliResult(0, stdout, "")
    with pytest.raises(ProtocolError, match="something that is not an address"):
        signer.address()


def test_a_keyring_that_cannot_be_read_is_not_an_empty_one(
    signer: Inferenced, keyrings: Keyrings
) -> None:
    signer.import_key(KEY)
    keyrings.fail = CliResult(1, "", HELP + "open keyring-test/creator.info: permission denied\n")
    with pytest.raises(ProtocolError, match="could not read the keyring: open .* denied$"):
        signer.address()


def test_the_key_goes_by_standard_input_only(signer: Inferenced, keyrings: Keyrings) -> None:
    signer.import_key(KEY)
    (argv, data) = keyrings.asked[0]
    assert data == KEY + "\n"
    assert not any(KEY[:8] in word for word in argv)
    assert argv[1:4] == ["keys", "import-hex", "creator"]


def test_a_name_that_is_taken(signer: Inferenced) -> None:
    signer.import_key(KEY)
    with pytest.raises(ConflictError, match="already has a key named creator"):
        signer.import_key(KEY)


def test_a_failure_that_repeats_the_key(signer: Inferenced, keyrings: Keyrings) -> None:
    keyrings.fail = CliResult(1, "", HELP + f"cannot import {KEY}: disk full\n")
    with pytest.raises(ProtocolError, match="cannot import …: disk full") as caught:
        signer.import_key(KEY)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("result", "version"),
    [
        (CliResult(0, "v0.2.13\n", ""), "v0.2.13"),
        (CliResult(0, "", "0.2.13-devshard-v2\n"), "0.2.13-devshard-v2"),
    ],
)
def test_version(signer: Inferenced, keyrings: Keyrings, result: CliResult, version: str) -> None:
    keyrings.fail = result
    assert signer.version() == version


@pytest.mark.parametrize("result", [CliResult(0, "", ""), CliResult(1, "v1.2.3", "broken")])
def test_no_version(signer: Inferenced, keyrings: Keyrings, result: CliResult) -> None:
    keyrings.fail = result
    with pytest.raises(ProtocolError, match="does not report its version"):
        signer.version()


def test_the_reason_is_the_last_line() -> None:
    assert last_line(HELP + "the reason\n\n") == "the reason"
    assert last_line("\n") == "it printed nothing"


def test_signing_names_its_files_and_no_secret(signer: Inferenced, keyrings: Keyrings) -> None:
    keyrings.fail = CliResult(0, "out", "")
    common: dict[str, t.Any] = {"chain_id": "c", "fee": 1, "gas": 2, "lifetime": 120}
    assert signer.generate_create(5_000_000_000, "a/b", **common) == "out"
    assert signer.generate_settle("/x/settlement.json", **common) == "out"
    assert signer.sign("/x/u.json", account_number=2, chain_id="c") == "out"
    assert signer.encode("/x/s.json") == "out"
    create, settle, sign, _encode = (" ".join(argv) for argv, _unused in keyrings.asked)
    assert "create-devshard-escrow 5000000000 a/b --generate-only --unordered" in create
    assert "--timeout-duration 120s --gas 2 --fees 1ngonka --from creator" in create
    assert "settle-devshard-escrow /x/settlement.json --generate-only --unordered" in settle
    assert "tx sign /x/u.json --offline --account-number 2 --sequence 0" in sign
    assert all(data is None for _unused, data in keyrings.asked)
    keyrings.fail = CliResult(1, "", HELP + "no such key\n")
    with pytest.raises(ProtocolError, match="could not sign the transaction: no such key"):
        signer.sign("/x/u.json", account_number=2, chain_id="c")


def test_a_program_that_cannot_be_run() -> None:
    def run_command(*_args: t.Any, **_more: t.Any) -> tuple[int, str, str]:
        raise OSError(8, "Exec format error")

    with pytest.raises(ConfigurationError, match="^/x/inferenced cannot be run: Exec format error"):
        runner(run_command)(["/x/inferenced", "version"], None)


# the creator's key in the keyring


def test_a_fresh_keyring(signer: Inferenced, keyrings: Keyrings) -> None:
    assert plan_key(signer, KEY, None) == KeyPlan(address=CREATOR, present=False, exposed=())
    assert all(folder != signer.keyring_dir for folder, _unused in keyrings.held), "only asked"
    signer.import_key(KEY)
    plan = plan_key(signer, KEY, CREATOR)
    assert (plan.address, plan.present) == (CREATOR, True)
    assert plan.exposed == (Path(signer.keyring_dir), Path(signer.keyring_dir, "keyring-test"))


def test_the_scratch_keyring_is_removed(
    signer: Inferenced, keyrings: Keyrings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    assert address_of(signer, KEY) == CREATOR
    assert list(scratch.iterdir()) == []
    keyrings.fail = CliResult(1, "", "disk full")
    with pytest.raises(ProtocolError):
        address_of(signer, KEY)
    assert list(scratch.iterdir()) == []


def test_another_address_than_expected(signer: Inferenced, keyrings: Keyrings) -> None:
    with pytest.raises(ConfigurationError, match=f"belongs to {CREATOR}, but {OTHER} is expected"):
        plan_key(signer, KEY, OTHER)
    assert all(folder != signer.keyring_dir for folder, _unused in keyrings.held)


def test_another_key_under_the_name(signer: Inferenced, keyrings: Keyrings) -> None:
    signer.import_key(KEY)
    keyrings.address = OTHER
    with pytest.raises(ConfigurationError, match=f"holds the key of {CREATOR} under the name"):
        plan_key(signer, KEY, None)


def test_a_bad_key_never_reaches_the_program(signer: Inferenced, keyrings: Keyrings) -> None:
    for bad in (KEY[:62], "0x" + KEY):
        for call in (lambda key: plan_key(signer, key, None), signer.import_key):
            with pytest.raises(ConfigurationError):
                call(bad)
    assert keyrings.asked == []


# the allowlist


def params(*allowed: str) -> EscrowParams:
    raw = reader("params").child("params").raw()
    raw["devshard_escrow_params"]["allowed_creator_addresses"] = list(allowed)
    return EscrowParams.from_api(Reader(raw, "params"))


def test_membership() -> None:
    assert membership(params(), CREATOR) is Membership.OPEN
    assert membership(params(CREATOR, OTHER), CREATOR) is Membership.LISTED
    assert membership(params(OTHER), CREATOR) is Membership.NOT_LISTED
    assert [item.may_create for item in Membership] == [True, True, False]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Asked:
    """A chain that gives its answers one after the other, the last one for ever."""

    def __init__(self, *answers: EscrowParams | Exception) -> None:
        self._answers = list(answers)

    def head(self) -> None:
        if isinstance(self._answers[0], Exception):
            raise self._next()

    def escrow_params(self) -> t.Any:
        return self._next()

    def _next(self) -> t.Any:
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def wait_for(*answers: EscrowParams | Exception, seconds: float | None = None) -> t.Any:
    clock = Clock()
    deadline = None if seconds is None else WaitBudget(seconds, clock=clock, sleep=clock.sleep)
    chain: t.Any = Asked(*answers)
    found, _unused = await_membership(chain, CREATOR, deadline=deadline, interval=10)
    return found


def test_the_three_answers() -> None:
    assert wait_for(params(CREATOR)) is Membership.LISTED
    with pytest.raises(NotListedError, match="is not on the chain's list .*governance vote") as no:
        wait_for(params(OTHER))
    assert no.value.kind == "not_listed"
    for problem in (TransportError("refused"), ProtocolError("html"), UnknownStateError("old")):
        with pytest.raises(UnknownStateError, match="could not be asked: ") as unknown:
            wait_for(problem)
        assert unknown.value.kind == "unknown"


def test_a_vote_and_a_node_are_waited_for() -> None:
    answers: list[EscrowParams | Exception] = [
        params(OTHER),
        TransportError("refused"),
        params(OTHER),
        params(CREATOR),
    ]
    assert wait_for(*answers, seconds=60) is Membership.LISTED
    with pytest.raises(NotListedError):
        wait_for(params(OTHER), seconds=60)
    with pytest.raises(UnknownStateError, match="could not be asked"):
        wait_for(params(OTHER), TransportError("refused"), seconds=60)


def test_a_wrong_chain_is_not_waited_for() -> None:
    with pytest.raises(ConfigurationError, match="another chain"):
        wait_for(ConfigurationError("another chain"), params(CREATOR), seconds=60)
