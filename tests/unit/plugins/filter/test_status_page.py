# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The page of the playbook status: escaped, without a secret, and never kinder than the table."""

from __future__ import annotations

import base64
import hashlib
import re
import shlex
import typing as t
from html.parser import HTMLParser

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.module_utils._status.keys import KEYS
from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.status_fleet import (
    status_fleet,
)
from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.status_page import status_page
from ansible_collections.gonka.devshard.tests.unit.plugins.filter.test_status_filters import (
    AT,
    status_of,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._status.test_rules import (
    SWAP,
    escrow,
)

Data = dict[str, t.Any]
VOID = {"meta", "link", "input", "br"}


class Page(HTMLParser):
    """Elements with their attributes and text, and whether each is closed where it must be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str], list[str]]] = []
        self.open: list[int] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_data(" ")
        self.elements.append((tag, {name: value or "" for name, value in attrs}, []))
        if tag not in VOID:
            self.open.append(len(self.elements) - 1)

    def handle_endtag(self, tag: str) -> None:
        assert self.elements[self.open.pop()][0] == tag

    def handle_data(self, data: str) -> None:
        for number in self.open:
            self.elements[number][2].append(data)

    def all(self, tag: str, class_: str = "") -> list[tuple[dict[str, str], str]]:
        return [
            (attributes, " ".join("".join(text).split()))
            for name, attributes, text in self.elements
            if name == tag and class_ in attributes.get("class", "").split() + [""]
        ]

    def rows(self) -> list[tuple[dict[str, str], str]]:
        return [row for row in self.all("tr") if "data-state" in row[0]]

    def commands(self) -> list[str]:
        return [text for _attributes, text in self.all("code")]


def look(host: str = "gw1", **changes: t.Any) -> Data:
    status = status_of(lambda _presence, seen: seen.update(changes))
    return {**status, "host": host}


def danger(number: int = 7, blocks: int = 20, **changes: t.Any) -> Data:
    found = {"kind": "deadline", "reason": "the deadline is near", "advice": "Settle it"}
    left = {"height": 120, "blocks_left": blocks, "seconds_left": None, "last_epoch": True}
    return escrow(number, dangers=[found], deadline=left, **changes)


def page(*looks: Data, hosts: t.Sequence[str] = (), **more: t.Any) -> Page:
    names = [*hosts, *(str(one["host"]) for one in looks)]
    return Page(status_page(list(looks), names, AT, **more))


def test_a_fleet_where_all_is_well() -> None:
    shown = page(look())
    assert shown.all("title")[0][1] == "all ok: 1 gateways"
    assert shown.all("li", "advice") == []
    ((attributes, text),) = shown.rows()
    assert attributes["data-state"] == "ok"
    assert text == "gw1 ok served 1 of 1 0 4.9 GNK 5000 blocks, 8 h 20 min 100 GNK"
    (looked,) = shown.all("time")
    assert looked[0]["datetime"] == AT


def test_the_worst_stands_first_and_a_host_without_a_look_is_not_known() -> None:
    shown = page(
        look("a-well"),
        look("b-warned", disks=[{"path": "/srv", "free_mb": 900}]),
        look("c-later", escrows=[danger(7, 30)]),
        look("d-sooner", escrows=[danger(8, 20)]),
        hosts=["e-away"],
    )
    assert [(text.split()[0], found["data-state"]) for found, text in shown.rows()] == [
        ("d-sooner", "danger"),
        ("c-later", "danger"),
        ("e-away", "not known"),
        ("b-warned", "warning"),
        ("a-well", "ok"),
    ]
    assert shown.all("title")[0][1] == "2 danger, 1 not known, 1 warning: 5 gateways"
    advices = [found["class"] for found, _text in shown.all("li", "advice")]
    ranks = ["advice danger", "advice danger", "advice not-known", "advice warning"]
    assert advices[: len(ranks)] == ranks


def test_what_is_not_known_is_never_shown_as_well_or_as_nothing() -> None:
    lost: Data = {
        "escrows": [escrow(7, balance=None, amount=None, deadline=None, on_chain=None)],
        "creator": {"address": "gonka1ours", "balance": None, "membership": None},
        "complete": False,
    }
    shown = page(look(**lost), hosts=["away"])
    cells = {
        (number, found["data-label"]): (text, found["data-v"])
        for number, row in enumerate(cells_of(shown))
        for found, text in row
    }
    for column in ("Unspent", "Next deadline", "Wallet"):
        assert cells[0, column] == cells[1, column] == ("not known", "-1")
    for column in ("Models served", "Requests now"):
        assert cells[0, column] == ("not known", "-1")
    assert cells[0, "Clients"][0] == "not known"
    assert cells[0, "State"][0] == "not known"
    # and the bar of an unknown value is not drawn
    assert not [found for found, _text in shown.all("rect", "bar") if found["width"] != "0"]


def cells_of(shown: Page) -> list[list[tuple[dict[str, str], str]]]:
    """The cells of the table of gateways, by row."""
    found = [cell for cell in shown.all("td") if "data-v" in cell[0]]
    width = len(found) // len(shown.rows())
    return [found[start : start + width] for start in range(0, len(found), width)]


def test_a_deadline_that_is_known_is_not_hidden_by_one_that_is_not() -> None:
    shown = page(look(escrows=[danger(7, 20), escrow(8, deadline=None)]))
    (text,) = [text for found, text in cells_of(shown)[0] if found["data-label"] == "Next deadline"]
    assert text == "20 blocks, others not known"


HOSTILE = "<script>alert(1)</script>\"'&<img src=x onerror=y>\u202e\x07"


def test_every_text_is_escaped() -> None:
    bad = escrow(7, model=HOSTILE, usable=False, why_not=[HOSTILE])
    one = look(HOSTILE, escrows=[bad], phase=HOSTILE)
    one["creator"] |= {"address": HOSTILE}
    one["findings"].append(
        {"severity": "danger", "about": HOSTILE, "text": HOSTILE, "run": "x", "back": ""}
    )
    one["models"][0]["id"] = HOSTILE
    one["clients"] |= {"state": "redirected", "to": HOSTILE}
    one["verdict"] = "danger"
    text = status_page([one], [HOSTILE, f"{HOSTILE}2"], AT, [HOSTILE], HOSTILE)
    shown = Page(text)
    assert len(shown.all("script")) == 1
    assert shown.all("img") == []
    assert not any(name.startswith("on") for _t, found, _x in shown.elements for name in found)
    assert "\u202e" not in text
    assert "\x07" not in text


def test_the_page_has_nothing_that_it_does_not_name() -> None:
    """A field that is new, and a secret that somebody puts into the look, stay behind."""
    secret = "sk-this-must-not-be-seen"
    one = look()
    for place in (one, one["presence"], one["presence"]["record"], one["creator"], one["epoch"]):
        place["novel"] = secret
    gateway = one["slots"]["main"]["gateway"]
    gateway["settings"] |= {"admin_api_key": secret, "api_keys": [secret]}
    for row in (*gateway["devshards"], *one["escrows"], *one["models"]):
        row |= {"private_key_env": secret, "plain_key": secret, "block_reason": secret}
    one["transactions"] = [{"raw": secret}]
    assert secret not in status_page([one], ["gw1"], AT)


def test_the_command_is_the_one_of_the_finding_for_its_host_and_inventory() -> None:
    shown = page(look(escrows=[danger()]), inventory=["/srv/my inventory.yml"])
    line = (
        "ansible-playbook -i '/srv/my inventory.yml' gonka.devshard.settle -e settle_ids=7 -e"
        " devshard_hosts=gw1"
    )
    assert line in shown.commands()
    assert shlex.split(line)[2] == "/srv/my inventory.yml"


def test_a_swap_has_a_command_for_each_way() -> None:
    swap: Data = dict.fromkeys(("error", "since", "rolling_back", "only_forward"))
    swap |= {"known": True, "open": True, "asked": "reg/gw:2; rm", "slot": "main"}
    swap |= {"origin_asked": "reg/gw:1", "step": "drain", "mode": "temp"}
    status = status_of(lambda presence, _seen: presence.update(swap=swap))
    commands = page(status).commands()
    assert any("-e 'hot_swap_image=reg/gw:2;' rm" in line for line in commands)
    assert any("hot_swap_rollback=true" in line for line in commands)


def test_what_is_wrong_everywhere_is_said_once_with_one_command() -> None:
    shown = page(look("a", escrows=[]), look("b", escrows=[]), look("c"))
    command = "ansible-playbook gonka.devshard.escrow -e devshard_hosts=a,b"
    assert shown.commands().count(command) == 1


def test_a_creator_of_several_hosts_counts_each_escrow_once() -> None:
    shown = page(look("a", escrows=[escrow(7)]), look("b", escrows=[escrow(7), escrow(8)]))
    wallets = [text for found, text in shown.all("td") if found.get("data-label") == "Deposits"]
    assert wallets == ["10 GNK"]
    counted = [text for found, text in shown.all("td") if found.get("data-label") == "Open escrows"]
    assert counted == ["2"]


def test_a_chart_says_in_words_what_it_draws() -> None:
    shown = page(look(escrows=[danger(7), escrow(8)]))
    told = {text for _found, text in shown.all("desc")}
    assert "7 on gw1: 20 blocks (danger); 8 on gw1: 5000 blocks, 8 h 20 min" in told
    for found, _text in shown.all("svg"):
        assert found["role"] == "img"
        names = {attributes.get("id") for _tag, attributes, _text in shown.elements}
        assert set(found["aria-labelledby"].split()) <= names
    assert len(shown.all("rect", "danger")) == 2
    ids = [found["id"] for _tag, found, _text in shown.elements if "id" in found]
    assert len(ids) == len(set(ids))


def test_the_page_may_load_nothing_and_run_only_its_own_script() -> None:
    text = status_page([look()], ["gw1"], AT)
    shown = Page(text)
    (policy,) = [
        found["content"]
        for found, _text in shown.all("meta")
        if found.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for name in ("script", "style"):
        (inside,) = re.findall(f"<{name}>(.*?)</{name}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    places = [
        value
        for _tag, found, _text in shown.elements
        for key, value in found.items()
        if key in ("src", "href") and not value.startswith(("#", "data:image/svg+xml,"))
    ]
    assert places == []
    assert not any("style" in found for _tag, found, _text in shown.elements)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("x", [], AT), "the input must be a list"),
        (([], "gw1", AT), "hosts must be a list"),
        (([], [], AT, "inv.yml"), "inventory must be a list"),
        (([{"host": "gw1"}], [], AT), "what status_verdict returns"),
        (([], [], "yesterday"), "at is a time like"),
    ],
)
def test_what_the_filter_refuses(arguments: tuple[t.Any, ...], message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=message):
        status_page(*arguments)


def test_a_verdict_that_is_new_is_not_taken_for_well() -> None:
    shown = page({**look(), "verdict": "novel"})
    assert shown.rows()[0][0]["data-state"] == "not known"


def test_the_same_as_data() -> None:
    looks = [look("b"), look("a", escrows=[danger()])]
    found = status_fleet(looks, ["b", "a", "away"], AT)
    assert (found["verdict"], found["failed"], found["looked_at"]) == ("danger", True, AT)
    assert found["counts"] == {"danger": 1, "not known": 1, "warning": 0, "ok": 1}
    assert [host["host"] for host in found["hosts"]] == ["a", "away", "b"]
    assert found["hosts"][0] == looks[1]
    away = found["hosts"][1]
    assert (away["verdict"], away["failed"], away["escrows"]) == ("not known", True, None)
    assert set(away) == set(KEYS)
    fine = status_fleet([look()], ["gw1"], AT)
    assert (fine["verdict"], fine["failed"]) == ("ok", False)
    assert status_fleet([], [], AT)["verdict"] == "not known"


def test_the_burn_rate_is_shown_where_it_was_measured() -> None:
    burn = {"ngonka_per_hour": 490_000_000.4, "nonces_per_hour": 12.3, "seconds": 3600.0}
    measured, idle = escrow(7, burn=burn), escrow(8, burn={**burn, "ngonka_per_hour": 0.0})
    shown = page(look(escrows=[measured, idle]))
    told = [text for found, text in shown.all("td") if found.get("data-label") == "spent per hour"]
    assert told == ["0.49 GNK, 12 nonces, lasts 9 h", "0 GNK, 12 nonces"]
    whole = [text for found, text in shown.all("td") if found.get("data-label") == "Spent per hour"]
    assert whole == ["0.49 GNK"]
    shown = page(look(escrows=[measured, escrow(8, burn=None)]))
    told = [text for found, text in shown.all("td") if found.get("data-label") == "spent per hour"]
    assert told[1] == "not known"
    whole = [text for found, text in shown.all("td") if found.get("data-label") == "Spent per hour"]
    assert whole == ["not known"]


@pytest.mark.parametrize(
    ("spent", "told", "colours"),
    [
        (None, "not known", set()),
        (0.0, "nothing is spent", set()),
        (5_000_000_000.0, "20 h (danger)", {"bar danger"}),
        (2_000_000_000.0, "50 h", {"bar warning"}),
        (500_000_000.0, "200 h", set()),
    ],
)
def test_how_long_a_wallet_lasts(spent: float | None, told: str, colours: set[str]) -> None:
    """It holds 100 GNK, which pay for the escrows of both gateways."""
    burn = {"nonces_per_hour": 1.0, "seconds": 3600.0}
    half = None if spent is None else {**burn, "ngonka_per_hour": spent / 2}
    looks = [
        {**look(escrows=[escrow(number, burn=half)]), "host": host}
        for number, host in ((7, "a"), (8, "b"))
    ]
    shown = page(*looks)
    cells = [text for found, text in shown.all("td") if found.get("data-label") == "Lasts"]
    assert cells == [told]
    figure = next(text for _f, text in shown.all("figure") if text.startswith("How long"))
    assert told in figure
    assert {found["class"] for found, _text in shown.all("rect")} - {"track", "bar ok"} == colours


def test_a_swap_that_has_begun_is_drawn_as_far_as_it_is() -> None:
    swapping = look()
    swapping["presence"]["swap"] = {**SWAP, "step": "drain_main"}
    text = " ".join(text for _found, text in page(swapping).all("figure"))
    assert "Swaps that have begun and not ended" in text
    assert "gw1 at drain_main" in text
    swapping["presence"]["swap"] = {**SWAP, "rolling_back": True, "step": "of tomorrow"}
    assert "back, at of tomorrow" in " ".join(text for _f, text in page(swapping).all("figure"))
    assert "Swaps" not in " ".join(text for _found, text in page(look()).all("figure"))
