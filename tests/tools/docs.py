# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Builds the documentation site in build/docs/html: the guides and the reference of all content.

A warning is an error. Afterwards every link of every page is followed inside the site. Links to
other sites are checked as syntax only, since not every machine that builds this can reach them.
"""

from __future__ import annotations

import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from _gates import BUILD, NAME, NAMESPACE, ROOT, Failed, Step, link_tree, run_all

WORK = BUILD / "docs"
SITE = WORK / "html"
# an attribute that leads to another place, by element
LINKS = {"a": "href", "iframe": "src", "img": "src", "link": "href", "script": "src"}
# "<link>" names these for servers; nothing is fetched
NOT_FETCHED = {"dns-prefetch", "preconnect"}


class Page(HTMLParser):
    """The places that a page has, and those it leads to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[tuple[int, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors.update(values[name] for name in ("id", "name") if name in values)
        attribute = LINKS.get(tag)
        if attribute in values and values.get("rel") not in NOT_FETCHED:
            self.links.append((self.getpos()[0], values[attribute]))


def is_web_address(link: str) -> bool:
    """Whether a link to another site is well formed; it is not asked."""
    parts = urlsplit(link)
    host = parts.hostname or ""
    return parts.scheme == "https" and "." in host and not set(link) & set(' "<>\\^`{|}')


def dead_links(site: Path) -> list[str]:
    """Links of the site's pages whose page, file or place on the page does not exist."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        for line, link in page.links:
            if not leads_somewhere(link, path, pages):
                found.append(f"{path.relative_to(site)}:{line}: dead link: {link}")
    return found


def leads_somewhere(link: str, path: Path, pages: dict[Path, Page]) -> bool:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return is_web_address(link)
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if target.suffix != ".html" or not parts.fragment:
        return target.is_file()
    return target in pages and unquote(parts.fragment) in pages[target].anchors


def build(step: Step) -> None:
    shutil.rmtree(WORK, ignore_errors=True)
    pages = WORK / "rst"
    pages.mkdir(parents=True)
    # antsibull-docs wants a folder that only its owner can write to
    pages.chmod(0o755)
    step.call(
        *("antsibull-docs", "collection", "--use-current", "--fail-on-error", "--squash-hierarchy"),
        *("--no-add-antsibull-docs-version", "--dest-dir", pages, f"{NAMESPACE}.{NAME}"),
    )
    step.call(
        *("sphinx-build", "-b", "html", "--quiet", "--fail-on-warning", "--keep-going"),
        *("-c", ROOT / "docs", "-d", WORK / "doctrees", pages, SITE),
    )
    dead = dead_links(SITE)
    if dead:
        step.output.append("".join(f"{line}\n" for line in dead))
        raise Failed(f"{len(dead)} dead links")


def main() -> int:
    link_tree()
    code = run_all("docs", [Step("documentation site", build)])
    if code == 0:
        print(f"open {SITE.relative_to(ROOT)}/index.html")
    return code


if __name__ == "__main__":
    sys.exit(main())
