# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""chain.md §4: the CLI, call by call as recorded in inferenced.json, with a key of no value."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.tests.contract._cli import Cli, Ran
from ansible_collections.gonka.devshard.tests.contract._recordings import (
    CREATOR,
    NO_ESCROW,
    Exchange,
    between,
    one,
    plain,
)
from ansible_collections.gonka.devshard.tests.contract._shape import CLI_QUERY, differences
from ansible_collections.gonka.devshard.tests.contract._story import Story

# vectors of chain.md §1
VECTORS = {
    f"{1:064x}": "gonka1w508d6qejxtdg4y5r3zarvary0c5xw7k2gsyg6",
    "01" * 32: "gonka10xcqpzrky6eff2g52qdye53xkk9jxkvr34az8p",
    "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140": (
        "gonka14h0ycu78h88wzldxc7e79vhw5xsde0n85evmum"
    ),
}
KEY = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"
ADDRESS = "gonka1nduq8yy8h4nr7g9vuuglzklqatmaquq9mhvl49"
_HELP = "Usage: … [about 20 lines of help]\n\n"


@pytest.fixture(scope="module")
def scratch(story: Story, cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """A home of its own, in which the recording's calls follow each other."""
    home = tmp_path_factory.mktemp("home")
    return Cli(cli.program, home, story.chain_id, cli.node)


def replay(story: Story, cli: Cli, exchange: Exchange, known: dict[str, str] | None = None) -> Ran:
    """Run a recorded call with the target's words for what it names."""
    story.saw(exchange)
    words = {
        "/root/.inference": str(cli.home),
        "http://chain.test:26657": cli.node,
        **(known or {}),
    }
    argv = [words.get(word, word) for word in exchange.data["argv"][1:]]
    argv = [KEY if word == "<hex key>" else word for word in argv]
    stdin = exchange.data.get("stdin", "").replace("<hex key>", KEY)
    return cli.run(*argv, stdin=stdin)


def compare_errors(recorded: str, found: str) -> None:
    """The last line is the reason; help before it where there was help."""
    if not recorded:
        assert found == ""
        return
    helped = recorded.startswith(_HELP)
    ours, theirs = found.strip("\n").splitlines(), recorded.strip("\n").splitlines()
    assert plain(ours[-1]) == plain(theirs[-1])
    if helped:
        assert ours[0].startswith("Usage:")
        assert len(ours) > 10
    else:
        assert len(ours) == len(theirs)


@pytest.mark.parametrize(
    "exchange",
    between("inferenced", "keys_show_missing", "keys_list"),
    ids=lambda exchange: exchange.id,
)
def test_recorded_keyring(story: Story, scratch: Cli, exchange: Exchange) -> None:
    ran = replay(story, scratch, exchange)
    recorded = exchange.data["stdout"]
    assert ran.rc == exchange.data["rc"], ran
    if recorded.startswith("["):
        assert not differences([json.loads(recorded)], ran.json), ran
        assert [item["name"] for item in ran.json] == [
            item["name"] for item in json.loads(recorded)
        ]
    else:
        assert plain(ran.stdout) == plain(recorded), ran
    compare_errors(exchange.data["stderr"], ran.stderr)


def test_key_of_62_digits_gives_another_address(scratch: Cli) -> None:
    ours = scratch.run("keys", "show", "short62", "-a", *scratch.keyring).good().strip()
    # the key is in the recording, so its address must be the recorded one
    assert ours == one("inferenced", "keys_show_62_digits").data["stdout"].strip()
    assert scratch.run("keys", "show", "creator", "-a", *scratch.keyring).good().strip() == ADDRESS


@pytest.mark.parametrize("key", VECTORS)
def test_address_of_a_key(cli: Cli, tmp_path: Path, key: str) -> None:
    other = Cli(cli.program, tmp_path, cli.chain_id, cli.node)
    other.run("keys", "import-hex", "k", *other.keyring, stdin=f"{key}\n").good()
    assert other.run("keys", "show", "k", "-a", *other.keyring).good() == f"{VECTORS[key]}\n"


def test_key_files(scratch: Cli) -> None:
    """chain.md §4: one file for the key and one for its address; keeping them private is ours."""
    folder = scratch.home / "keyring-test"
    assert (folder / "creator.info").is_file()
    assert list(folder.glob("*.address"))
    assert (scratch.home / "config").is_dir()
    assert (scratch.home / "data").is_dir()


def test_version(story: Story, scratch: Cli) -> None:
    ran = replay(story, scratch, one("inferenced", "version"))
    text = ran.good() or ran.stderr
    assert re.fullmatch(r"v?\d+\.\d+\.\d+\S*\n", text), ran


def test_long_version(story: Story, scratch: Cli) -> None:
    found = replay(story, scratch, one("inferenced", "version_long_json")).json
    # the recording is cut in the list of what it was built from
    for key in ("name", "server_name", "version", "commit", "build_tags", "go"):
        assert isinstance(found[key], str), key
    assert found["server_name"] == "inferenced"


@pytest.mark.parametrize(
    "exchange",
    # query_escrow follows when there is one
    [
        item
        for item in between("inferenced", "query_params", "query_tx_missing")
        if item.name != "query_escrow"
    ],
    ids=lambda exchange: exchange.id,
)
def test_recorded_queries(scratch: Cli, story: Story, exchange: Exchange) -> None:
    known = {CREATOR: story.creator, "99999": NO_ESCROW}
    ran = replay(story, scratch, exchange, known)
    recorded = exchange.data["stdout"]
    assert ran.rc == exchange.data["rc"], ran
    if recorded:
        whole = not recorded.endswith("…")
        # what was cut is in the chain's recording: the same object over REST
        sample = json.loads(recorded) if whole else one("chain", "params").response["body"]
        wrong = differences([sample], ran.json, CLI_QUERY)
        assert not wrong, (wrong, ran)
    else:
        assert ran.stdout == "", ran
    if exchange.name == "query_escrow_missing":
        assert ran.json == {}, ran
    compare_errors(exchange.data["stderr"], ran.stderr)


def test_settle_needs_a_file(story: Story, scratch: Cli) -> None:
    exchange = one("inferenced", "settle_help")
    ran = replay(story, scratch, exchange)
    # the recorder cut it here
    assert ran.good().startswith(exchange.data["stdout"].partition("[f")[0]), ran
