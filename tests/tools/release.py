# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Releases the version that galaxy.yml names: checks everything, builds, and publishes when told to.

    tests/tools/release                      checks all and builds the tarball
    tests/tools/release --publish            and publishes it, and tags the commit
    tests/tools/release --publish --check    says what that would do

The token of Galaxy comes from the file after --token-file, or from GALAXY_TOKEN. It is handed over
in the environment, so it is in no list of processes.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import stat
import subprocess
import sys
import typing as t
from dataclasses import dataclass
from pathlib import Path

import published
import tarball
from _gates import BUILD, ROOT, Failed, Step, link_tree, run_all

SERVER = "https://galaxy.ansible.com/"
TOKEN = "GALAXY_TOKEN"
# the tests that hold the version to be the same everywhere
METADATA = ("test_metadata.py", "test_package.py", "test_awx.py")


@dataclass(frozen=True)
class Wish:
    publish: bool = False
    check: bool = False
    server: str = SERVER
    token_file: Path | None = None


def git(folder: Path, *words: str) -> str:
    asked = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=False)
    if asked.returncode != 0:
        raise Failed(f"git {words[0]} failed in {folder}: {asked.stderr.strip()}")
    return asked.stdout


def version_of(folder: Path) -> str:
    found = re.search(r"^version: *(\S+)$", (folder / "galaxy.yml").read_text(), re.MULTILINE)
    if found is None:
        raise Failed("galaxy.yml has no version")
    return found[1]


def refusals(folder: Path, version: str) -> list[str]:
    """Everything that forbids a release, so that one look is enough."""
    found = []
    changes = git(folder, "status", "--porcelain").splitlines()
    if changes:
        shown = ", ".join(line[3:] for line in changes[:3])
        found.append(f"the work tree has changes ({shown}): commit them or remove them")
    if git(folder, "tag", "--list", f"v{version}").strip():
        found.append(f"the tag v{version} exists: give galaxy.yml the next version")
    fragments = sorted(path.name for path in folder.glob("changelogs/fragments/*.y*ml"))
    if fragments:
        found.append(
            f"changelogs/fragments holds {', '.join(fragments)}: run antsibull-changelog release"
        )
    if version not in released(folder):
        found.append(f"the changelog has no {version}: run antsibull-changelog release")
    return found


def released(folder: Path) -> list[str]:
    text = (folder / "changelogs/changelog.yaml").read_text()
    return re.findall(r"^  (\d+\.\d+\.\d+\S*):$", text, re.MULTILINE)


def token(wish: Wish, environment: t.Mapping[str, str]) -> str:
    if wish.token_file is None:
        given = environment.get(TOKEN, "")
        source = TOKEN
    else:
        source = str(wish.token_file)
        if not wish.token_file.is_file():
            raise Failed(f"--token-file {source} does not exist")
        if wish.token_file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise Failed(f"--token-file {source} can be read by others: chmod 600 {source}")
        given = wish.token_file.read_text()
    if not given.strip():
        raise Failed(f"--publish needs a token of Galaxy, and {source} holds none")
    return given.strip()


def export(folder: Path, target: Path) -> Path:
    """The commit without anything else that is in the folder."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    packed = target.parent / f"{target.name}.tar"
    git(folder, "archive", "--output", str(packed), "HEAD")
    subprocess.run(["tar", "--extract", "--file", packed, "--directory", target], check=True)
    packed.unlink()
    return target


def build_twice(step: Step, folder: Path) -> Path:
    work = BUILD / "release"
    shutil.rmtree(work, ignore_errors=True)
    seconds = tarball.commit_time(folder)
    one, two = (
        tarball.build(step, export(folder, work / name), work / f"{name}-built", seconds)
        for name in ("one", "two")
    )
    if tarball.checksum(one) != tarball.checksum(two):
        raise Failed("two builds of the commit differ")
    return one


def examine(step: Step, built: Path) -> None:
    tests = [ROOT / "tests" / "unit" / "collection" / name for name in METADATA]
    step.call(
        *("python", "-m", "pytest", "-q", "-p", "no:cacheprovider"),
        *tests,
        env={"PYTHONPATH": f"{ROOT / '.tree'}{os.pathsep}{ROOT / 'tests' / 'simnet'}"},
    )
    step.call(ROOT / "tests" / "tools" / "setup", "package")
    published.galaxy_importer(step, built, lint=True)


def publish(step: Step, wish: Wish, built: Path, secret: str) -> None:
    try:
        step.call(
            *("ansible-galaxy", "collection", "publish", built),
            env={
                "ANSIBLE_GALAXY_SERVER_LIST": "release",
                "ANSIBLE_GALAXY_SERVER_RELEASE_URL": wish.server,
                "ANSIBLE_GALAXY_SERVER_RELEASE_TOKEN": secret,
            },
        )
    except Failed as problem:
        raise Failed(
            f"{problem}. Whether {wish.server} has the version is unknown: look there before you"
            " run this again. The commit is not tagged."
        ) from problem


def release(step: Step, folder: Path, wish: Wish, environment: t.Mapping[str, str]) -> list[str]:
    """Returns what was done, or with `check` what would be done, as lines for the terminal."""
    version = version_of(folder)
    found = refusals(folder, version)
    secret = ""
    if wish.publish:
        try:
            secret = token(wish, environment)
        except Failed as problem:
            found.append(str(problem))
    if found:
        raise Failed("\n  ".join([f"{version} cannot be released:", *found]))
    built = build_twice(step, folder)
    examine(step, built)
    kept = BUILD / built.name
    shutil.copyfile(built, kept)
    lines = [f"{tarball.checksum(kept)}  {kept}"]
    if not wish.publish:
        return [*lines, "Nothing was published and no tag was set: that needs --publish."]
    steps = (f"publish {kept.name} to {wish.server}", f"tag the commit v{version}")
    if wish.check:
        return [*lines, *(f"Would {one}." for one in steps)]
    publish(step, wish, kept, secret)
    git(folder, "tag", "--annotate", f"v{version}", "--message", f"Version {version}")
    return [*lines, *(f"Done: {one}." for one in steps), f"Next: git push origin v{version}"]


def arguments(words: list[str]) -> Wish:
    parser = argparse.ArgumentParser(description="Release the version that galaxy.yml names.")
    parser.add_argument("--publish", action="store_true", help="publish it and tag the commit")
    parser.add_argument("--check", action="store_true", help="only say what --publish would do")
    parser.add_argument("--server", default=SERVER, help="where to publish (default: %(default)s)")
    parser.add_argument("--token-file", type=Path, help=f"holds the token (default: ${TOKEN})")
    given = parser.parse_args(words)
    return Wish(given.publish, given.check, given.server, given.token_file)


def main(words: list[str]) -> int:
    wish = arguments(words)
    link_tree()
    environment = dict(os.environ)
    # none of the programs that examine the package needs it
    os.environ.pop(TOKEN, None)
    lines: list[str] = []

    def work(step: Step) -> None:
        lines.extend(release(step, ROOT, wish, environment))

    code = run_all("release", [Step("release", work)])
    print("\n".join(lines))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
