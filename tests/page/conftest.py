# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""A real browser without a window, and the page of a fleet in it."""

from __future__ import annotations

import contextlib
import os
import shutil
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from ansible_collections.gonka.devshard.tests.page.fleets import AT, fleet

PHONE, DESK = 360, 1440
CHROMIUM = next(
    path
    for name in (os.environ.get("DEVSHARD_CHROMIUM", "chromium"), "google-chrome")
    if (path := shutil.which(name)) is not None
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as program:
        found = program.chromium.launch(executable_path=CHROMIUM)
        yield found
        found.close()


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """The pages, by the number of gateways."""
    folder = tmp_path_factory.mktemp("pages")
    found = {count: folder / f"{count}.html" for count in (1, 30, 300)}
    for count, file in found.items():
        file.write_text(fleet(count), encoding="utf-8")
    return found


class Opened:
    """A page, what it wrote to the console, and what it asked the network for."""

    def __init__(self, page: Page, file: Path) -> None:
        self.page = page
        self.said: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))
        page.goto(file.as_uri())

    def hosts(self) -> list[str]:
        """The gateways that are shown, from above."""
        rows = self.page.locator("#fleet tbody tr:visible th")
        return [text.strip() for text in rows.all_inner_texts()]

    def states(self) -> list[str]:
        rows = self.page.locator("#fleet tbody tr:visible")
        return [row.get_attribute("data-state") or "" for row in rows.all()]


class Opens(t.Protocol):
    def __call__(
        self,
        count: int,
        *,
        width: int = ...,
        scheme: str = ...,
        minutes: int = ...,
        script: bool = ...,
    ) -> Opened: ...


@pytest.fixture
def opens(browser: Browser, files: dict[int, Path]) -> Iterator[Opens]:
    """Opens a page some minutes after the look, by the clock of the browser."""
    with contextlib.ExitStack() as stack:

        def open_page(
            count: int,
            *,
            width: int = DESK,
            scheme: str = "light",
            minutes: int = 1,
            script: bool = True,
        ) -> Opened:
            context = browser.new_context(
                viewport={"width": width, "height": 900},
                color_scheme="dark" if scheme == "dark" else "light",
                java_script_enabled=script,
            )
            stack.callback(context.close)
            page = context.new_page()
            page.clock.set_fixed_time(AT_SECONDS + minutes * 60)
            return Opened(page, files[count])

        yield open_page


AT_SECONDS = 1_769_860_800
"""AT."""
assert AT == "2026-01-31T12:00:00Z"
