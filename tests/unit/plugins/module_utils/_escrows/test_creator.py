# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._chain.inferenced import (
    CliResult,
    Inferenced,
)
from ansible_collections.gonka.devshard.plugins.module_utils._chain.models import ChainHead
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    ConfigurationError,
    ProtocolError,
    TransportError,
    UnknownStateError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._escrows import creator
from ansible_collections.gonka.devshard.plugins.module_utils._escrows.creator import Membership
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils.money_fakes import (
    CREATOR,
    FakeChain,
    fake_deadline,
)

KEY = "11" * 32
OURS = "gonka1" + "c" * 38
THEIRS = "gonka1" + "d" * 38


@pytest.fixture
def chain() -> FakeChain:
    return FakeChain()


def ask(chain: FakeChain, seconds: float | None = None) -> Membership:
    deadline = None if seconds is None else fake_deadline(chain, seconds)
    found, _params = creator.await_membership(chain, CREATOR, deadline=deadline, interval=1)
    return found


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [
        ((), Membership.OPEN),
        ((CREATOR,), Membership.LISTED),
        (("gonka1other", CREATOR), Membership.LISTED),
        (("gonka1other",), Membership.NOT_LISTED),
    ],
)
def test_an_empty_list_lets_everybody_create(
    allowed: tuple[str, ...], expected: Membership
) -> None:
    chain = FakeChain()
    chain.allowed = allowed
    found = creator.membership(chain.escrow_params(), CREATOR)
    assert found is expected
    assert found.may_create is (expected is not Membership.NOT_LISTED)


def test_not_listed_and_not_asked_are_two_answers(chain: FakeChain) -> None:
    chain.allowed = ("gonka1other",)
    with pytest.raises(creator.NotListedError, match="do not fund it yet") as caught:
        ask(chain)
    assert caught.value.to_failure()["kind"] == "not_listed"
    chain.silent = True
    with pytest.raises(UnknownStateError, match="could not be asked"):
        ask(chain)


def test_a_vote_and_a_node_that_comes_back_are_waited_for(
    chain: FakeChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain.allowed = ("gonka1other",)
    answers = iter(["silent", "not yet", "voted"])
    head = chain.head

    def later() -> ChainHead:
        answer = next(answers)
        if answer == "silent":
            raise TransportError("no answer", sent=False)
        if answer == "voted":
            chain.allowed = (CREATOR,)
        return head()

    monkeypatch.setattr(chain, "head", later)
    assert ask(chain, seconds=60) is Membership.LISTED


def test_waiting_ends(chain: FakeChain) -> None:
    chain.allowed = ("gonka1other",)
    before = chain.now
    with pytest.raises(creator.NotListedError):
        ask(chain, seconds=60)
    assert (chain.now - before).total_seconds() == 60


# the key


class Keyrings:
    """A program that keeps the key of each keyring in a file of its own."""

    def __init__(self, address: str = OURS) -> None:
        self.address = address
        self.folders: list[Path] = []

    def run(self, argv: list[str], data: str | None) -> CliResult:
        folder = Path(argv[argv.index("--keyring-dir") + 1])
        key = folder / "keyring-test" / "key"
        if "import-hex" in argv:
            assert data is not None
            self.folders.append(folder)
            key.parent.mkdir(parents=True, exist_ok=True)
            key.write_text(self.address)
            return CliResult(rc=0, stdout="", stderr="")
        if not key.exists():
            return CliResult(
                rc=1, stdout="", stderr="devshard-create is not a valid name or address"
            )
        return CliResult(rc=0, stdout=f"{key.read_text()}\n", stderr="")


def signer(keyrings: Keyrings, folder: Path) -> Inferenced:
    return Inferenced(
        run=keyrings.run,
        path="inferenced",
        home=str(folder / "home"),
        keyring_dir=str(folder / "keyring"),
        key_name="devshard-create",
    )


def test_the_address_is_asked_in_a_keyring_that_is_gone_afterwards(tmp_path: Path) -> None:
    keyrings = Keyrings()
    assert creator.address_of(signer(keyrings, tmp_path), KEY) == OURS
    (used,) = keyrings.folders
    assert used != tmp_path / "keyring"
    assert not used.exists()
    assert not used.parent.exists()


def test_nothing_is_imported_when_addresses_do_not_fit(tmp_path: Path) -> None:
    ours = signer(Keyrings(), tmp_path)
    with pytest.raises(ConfigurationError, match="but gonka1x is expected.*Nothing was imported"):
        creator.plan_key(ours, KEY, "gonka1x")
    assert not (tmp_path / "keyring").exists()
    plan = creator.plan_key(ours, KEY, OURS)
    assert (plan.address, plan.present, plan.exposed) == (OURS, False, ())


def test_a_key_of_another_creator_under_the_same_name_stays(tmp_path: Path) -> None:
    theirs = Keyrings(THEIRS)
    signer(theirs, tmp_path).import_key(KEY)
    with pytest.raises(ConfigurationError, match=f"holds the key of {THEIRS}"):
        creator.plan_key(signer(Keyrings(), tmp_path), KEY, None)


def test_a_program_that_does_not_find_its_key_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Inferenced, "address", lambda _self: None)
    with pytest.raises(ProtocolError, match="does not find it afterwards"):
        creator.address_of(signer(Keyrings(), tmp_path), KEY)


def test_what_others_can_reach_is_found_and_closed(tmp_path: Path) -> None:
    keyring = tmp_path / "keyring"
    assert creator.exposed(keyring) == ()
    keyring.mkdir(mode=0o755)
    (keyring / "open").touch(mode=0o644)
    (keyring / "closed").touch(mode=0o600)
    assert creator.exposed(keyring) == (keyring, keyring / "open")
    creator.close(creator.exposed(keyring))
    assert creator.exposed(keyring) == ()
    assert stat.S_IMODE(keyring.stat().st_mode) == 0o700
    assert stat.S_IMODE((keyring / "open").stat().st_mode) == 0o600
