# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The page of the playbook status in Chromium: layout, accessibility, keyboard, age."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from ansible_collections.gonka.devshard.tests.page.conftest import DESK, PHONE, Opened, Opens
from ansible_collections.gonka.devshard.tests.page.fleets import fleet, name

# however slow the machine is; its own five seconds are for a quick one
expect.set_options(timeout=60_000)

# what reaches over the right edge of the window; a closed part has no size
WIDE = """() => [...document.querySelectorAll("body *")]
  .filter((part) => part.getBoundingClientRect().right > innerWidth + 0.5)
  .map((part) => part.outerHTML.slice(0, 120))"""
# texts of one chart that lie over each other
CROSSED = """() => [...document.querySelectorAll("svg g")].filter((row) => {
  const [label, value] = [...row.querySelectorAll("text")].map((text) => text.getBoundingClientRect());
  return label.width > 0 && label.right > value.left;
}).map((row) => row.textContent)"""


@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("count", [1, 30, 300])
def test_the_page_fits_and_is_silent(opens: Opens, count: int, width: int) -> None:
    opened = opens(count, width=width)
    page = opened.page
    assert len(opened.hosts()) == count
    page.locator("#open").click()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(WIDE) == []
    assert page.evaluate(CROSSED) == []
    assert opened.said == []
    assert [url for url in opened.asked if not url.startswith(("file:", "data:"))] == []


# a gateway in each state and one that is not known at all; more of them have no other elements
SOME_OPEN = """() => [...document.querySelectorAll("details")].slice(0, 9)
  .forEach((part) => { part.open = true; })"""


@pytest.mark.parametrize(
    ("count", "width", "scheme"),
    [
        *itertools.product([1], [PHONE, DESK], ["light", "dark"]),
        (30, PHONE, "light"),
        (30, DESK, "dark"),
    ],
)
def test_axe_finds_nothing(opens: Opens, count: int, width: int, scheme: str) -> None:
    opened = opens(count, width=width, scheme=scheme)
    opened.page.evaluate(SOME_OPEN)
    found = Axe().run(opened.page)
    assert found.violations_count == 0, found.generate_report()


def test_a_scheme_is_really_used(opens: Opens) -> None:
    back = "getComputedStyle(document.body).backgroundColor"
    light, dark = (opens(1, scheme=scheme).page.evaluate(back) for scheme in ("light", "dark"))
    assert light != dark


def press_to(opened: Opened, selector: str) -> None:
    """Goes there by the tab key alone."""
    for _step in range(60):
        opened.page.keyboard.press("Tab")
        if opened.page.evaluate("(s) => document.activeElement.matches(s)", selector):
            return
    raise AssertionError(f"{selector} is not reached by the keyboard")


def test_the_worst_stand_first_and_the_keyboard_sorts(opens: Opens) -> None:
    opened = opens(30)
    states = opened.states()
    order = ["danger", "not known", "warning", "ok"]
    assert states == sorted(states, key=order.index)
    assert set(states) == set(order)
    head = opened.page.locator("#fleet thead th").first
    press_to(opened, "#fleet th:first-child button")
    opened.page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert opened.page.locator("#fleet th[aria-sort]").count() == 1
    rising = opened.hosts()
    assert rising[0] == name(1)
    opened.page.keyboard.press("Space")
    assert head.get_attribute("aria-sort") == "descending"
    assert opened.hosts() == rising[::-1]
    # what is not known stands before every number
    opened.page.get_by_role("button", name="Next deadline").press("Enter")
    cells = opened.page.locator("#fleet tbody tr td:nth-child(7)").all_inner_texts()
    assert [text.strip() for text in cells[:2]] == ["not known", "not known"]
    blocks = [int(text.split()[0]) for text in cells[2:]]
    assert blocks == sorted(blocks)


def test_the_keyboard_finds_a_gateway_and_opens_it(opens: Opens) -> None:
    opened = opens(300)
    press_to(opened, "#find")
    opened.page.keyboard.type("GW026")
    assert opened.hosts() == [name(26)]
    shown = opened.page.locator("#shown")
    assert (shown.get_attribute("role"), shown.inner_text()) == (
        "status",
        "1 of 300 gateways are shown.",
    )
    press_to(opened, "#fleet a")
    opened.page.keyboard.press("Enter")
    # not wait_for_function: what it evaluates again and again, the page's policy refuses
    expect(opened.page.locator("details[data-host][open]:not([hidden])")).to_have_count(1)
    assert "has the reason" in opened.page.locator("details[open]:visible").last.inner_text()


def test_the_keyboard_filters_by_state(opens: Opens) -> None:
    opened = opens(30)
    button = opened.page.locator("#states button").first
    press_to(opened, "#states button")
    opened.page.keyboard.press("Space")
    assert button.get_attribute("aria-pressed") == "true"
    assert set(opened.states()) == {"danger"}
    opened.page.keyboard.press("Space")
    assert len(opened.states()) == 30


def test_a_command_can_be_copied(opens: Opens) -> None:
    opened = opens(1)
    opened.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    place = opened.page.locator("main .command").first
    place.get_by_role("button").press("Enter")
    expect(opened.page.locator("#told")).not_to_be_empty()
    assert opened.page.evaluate("navigator.clipboard.readText()") == (
        "ansible-playbook -i /srv/fleet/inventory.yml gonka.devshard.settle -e settle_ids=4003"
        f" -e devshard_hosts={name(1)}"
    )


@pytest.mark.parametrize(
    ("minutes", "said", "old"),
    [
        (0, "This is 0 minutes old.", False),
        (1, "This is 1 minute old.", False),
        (59, "This is 59 minutes old.", False),
        (61, "This is 61 minutes old. Look again before you rely on it.", True),
        (60 * 49, "This is 2 days old. Look again before you rely on it.", True),
        (-30, "The clock of this device is 30 minutes behind the time of the look", True),
    ],
)
def test_the_page_says_how_old_it_is(opens: Opens, minutes: int, said: str, old: bool) -> None:
    page = opens(1, minutes=minutes).page
    assert page.locator("#age").inner_text().startswith(said)
    assert page.locator("body.old").count() == old


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_the_page_can_be_read_without_a_script(opens: Opens, width: int) -> None:
    opened = opens(30, width=width, script=False)
    assert len(opened.hosts()) == 30
    assert opened.page.get_by_role("button").count() == 0
    assert opened.page.locator("input:visible").count() == 0
    assert "2026-01-31 12:00:00 UTC" in opened.page.locator("header").inner_text()
    assert opened.page.locator("#age").inner_text() == "The page does not renew itself."
    # a part opens without a script too
    opened.page.locator("details[data-host] summary").last.click()
    assert opened.page.locator("details[data-host]").last.get_attribute("open") is not None


def test_a_script_that_is_put_in_does_not_run(
    opens: Opens, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Should a text ever escape its place, the browser refuses it."""
    file = tmp_path_factory.mktemp("injected") / "page.html"
    bad = "<script>document.title = 'taken'</script><img src=x onerror=\"document.title='taken'\">"
    file.write_text(fleet(1).replace("<main>", f"<main>{bad}"), encoding="utf-8")
    opened = opens(1)
    opened.said.clear()
    opened.page.goto(file.as_uri())
    assert opened.page.title() != "taken"
    assert any("Content Security Policy" in text for text in opened.said)


PICTURES = Path(__file__).parents[2] / "build" / "page"
"""Those of the guide; docs/docsite/images has copies."""


@pytest.mark.parametrize(
    ("picture", "width", "height", "scheme", "at"),
    [
        ("status_desk", 1200, 820, "light", "header"),
        ("status_charts", 1200, 620, "light", ".charts"),
        ("status_phone", PHONE, 760, "dark", "header"),
    ],
)
def test_pictures_for_the_guide(
    opens: Opens, picture: str, width: int, height: int, scheme: str, at: str
) -> None:
    page = opens(30, width=width, scheme=scheme, minutes=4).page
    page.set_viewport_size({"width": width, "height": height})
    page.locator(at).first.evaluate("(part) => part.scrollIntoView()")
    PICTURES.mkdir(parents=True, exist_ok=True)
    file = PICTURES / f"{picture}.png"
    page.screenshot(path=file)
    assert 10_000 < file.stat().st_size < 200_000
