# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""A release is refused for each reason that there is, and publishes only when it is told to."""

from __future__ import annotations

import importlib
import subprocess
import typing as t
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"
SECRET = "not-in-any-argument"
CHANGELOG = "releases:\n  1.0.0:\n    release_date: '2026-01-01'\n  1.1.0:\n    changes: {}\n"


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> t.Any:
    monkeypatch.syspath_prepend(TOOLS)
    module: t.Any = importlib.import_module("release")
    monkeypatch.setattr(module, "BUILD", tmp_path / "build")
    (tmp_path / "build").mkdir()
    return module


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *words],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "a")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "a@example.org")
    folder = tmp_path / "checkout"
    (folder / "changelogs/fragments").mkdir(parents=True)
    (folder / "galaxy.yml").write_text("namespace: a\nname: b\nversion: 1.1.0\n")
    (folder / "changelogs/changelog.yaml").write_text(CHANGELOG)
    git(folder, "init", "--quiet")
    commit(folder)
    return folder


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Change")


class Recorded:
    """Runs nothing; builds write what `built` says."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[str], dict[str, str]]] = []
        self.built: t.Callable[[], str] = lambda: "same"

    def call(self, *argv: object, cwd: object = None, env: t.Any = None) -> str:
        self.calls.append(([str(word) for word in argv], dict(env or {})))
        return ""

    def named(self, word: str) -> list[tuple[list[str], dict[str, str]]]:
        return [call for call in self.calls if word in call[0]]


@pytest.fixture
def step(tool: t.Any, monkeypatch: pytest.MonkeyPatch) -> Recorded:
    recorded = Recorded()

    def build(step: Recorded, source: Path, target: Path, seconds: int) -> Path:
        assert (source / "galaxy.yml").is_file()
        assert not (source / ".git").exists()
        assert seconds > 0
        target.mkdir()
        path = target / "a-b-1.1.0.tar.gz"
        path.write_text(step.built())
        return path

    monkeypatch.setattr(tool.tarball, "build", build)
    monkeypatch.setattr(
        tool.published,
        "galaxy_importer",
        lambda step, built, *, lint: step.call("importer", built, lint),
    )
    return recorded


def released(tool: t.Any, step: Recorded, folder: Path, **wish: t.Any) -> str:
    lines = tool.release(step, folder, tool.Wish(**wish), {tool.TOKEN: SECRET})
    return "\n".join(lines)


def test_a_released_version_in_a_clean_tree_is_refused_nothing(tool: t.Any, checkout: Path) -> None:
    assert tool.refusals(checkout, tool.version_of(checkout)) == []


def test_a_tree_with_changes_is_refused(tool: t.Any, checkout: Path) -> None:
    (checkout / "forgotten").touch()
    assert tool.refusals(checkout, "1.1.0") == [
        "the work tree has changes (forgotten): commit them or remove them"
    ]


def test_a_version_that_has_a_tag_is_refused(tool: t.Any, checkout: Path) -> None:
    git(checkout, "tag", "v1.1.0")
    assert tool.refusals(checkout, "1.1.0") == [
        "the tag v1.1.0 exists: give galaxy.yml the next version"
    ]


def test_a_fragment_that_is_not_released_is_refused(tool: t.Any, checkout: Path) -> None:
    (checkout / "changelogs/fragments/topic.yml").write_text("---\n")
    commit(checkout)
    assert tool.refusals(checkout, "1.1.0") == [
        "changelogs/fragments holds topic.yml: run antsibull-changelog release"
    ]


def test_a_version_that_the_changelog_lacks_is_refused(tool: t.Any, checkout: Path) -> None:
    assert tool.refusals(checkout, "1.2.0") == [
        "the changelog has no 1.2.0: run antsibull-changelog release"
    ]


def test_all_reasons_come_at_once_and_nothing_is_run(
    tool: t.Any, checkout: Path, step: Recorded
) -> None:
    git(checkout, "tag", "v1.1.0")
    (checkout / "changelogs/fragments/topic.yml").write_text("---\n")
    with pytest.raises(tool.Failed) as refused:
        tool.release(step, checkout, tool.Wish(publish=True), {})
    for words in ("has changes", "v1.1.0 exists", "topic.yml", "GALAXY_TOKEN holds none"):
        assert words in str(refused.value)
    assert step.calls == []


def test_without_the_flag_it_builds_and_publishes_nothing(
    tool: t.Any, checkout: Path, step: Recorded
) -> None:
    said = released(tool, step, checkout)
    assert (tool.BUILD / "a-b-1.1.0.tar.gz").read_text() == "same"
    assert "Nothing was published" in said
    assert step.named("importer")[0][0][-1] == "True"
    assert step.named("publish") == []
    assert git(checkout, "tag") == ""


def test_check_mode_says_what_publishing_would_do(
    tool: t.Any, checkout: Path, step: Recorded
) -> None:
    said = released(tool, step, checkout, publish=True, check=True)
    assert "Would publish a-b-1.1.0.tar.gz to https://galaxy.ansible.com/." in said
    assert "Would tag the commit v1.1.0." in said
    assert step.named("publish") == []
    assert git(checkout, "tag") == ""


def test_publishing_hands_the_token_over_in_the_environment_only(
    tool: t.Any, checkout: Path, step: Recorded
) -> None:
    said = released(tool, step, checkout, publish=True)
    ((argv, env),) = step.named("publish")
    assert argv[-1] == str(tool.BUILD / "a-b-1.1.0.tar.gz")
    assert env["ANSIBLE_GALAXY_SERVER_RELEASE_TOKEN"] == SECRET
    assert SECRET not in said + "".join(word for call, _env in step.calls for word in call)
    assert [env for call, env in step.calls if SECRET in env.values() and call != argv] == []
    assert git(checkout, "tag") == "v1.1.0\n"


def test_a_publication_that_fails_is_unknown_and_sets_no_tag(
    tool: t.Any, checkout: Path, step: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def call(*argv: object, **_given: t.Any) -> str:
        if "publish" in argv:
            raise tool.Failed("exit code 1")
        return ""

    monkeypatch.setattr(step, "call", call)
    with pytest.raises(tool.Failed, match="has the version is unknown: look there"):
        released(tool, step, checkout, publish=True)
    assert git(checkout, "tag") == ""


def test_builds_that_differ_are_refused(tool: t.Any, checkout: Path, step: Recorded) -> None:
    contents = iter(("one", "other"))
    step.built = lambda: next(contents)
    with pytest.raises(tool.Failed, match="two builds of the commit differ"):
        released(tool, step, checkout, publish=True)
    assert step.calls == []


def test_a_token_comes_from_a_file_that_only_its_owner_reads(tool: t.Any, tmp_path: Path) -> None:
    file = tmp_path / "token"
    wish = tool.Wish(publish=True, token_file=file)
    with pytest.raises(tool.Failed, match="does not exist"):
        tool.token(wish, {})
    file.write_text(f"{SECRET}\n")
    file.chmod(0o640)
    with pytest.raises(tool.Failed, match="can be read by others: chmod 600"):
        tool.token(wish, {tool.TOKEN: "another"})
    file.chmod(0o600)
    assert tool.token(wish, {tool.TOKEN: "another"}) == SECRET
    file.write_text("\n")
    with pytest.raises(tool.Failed, match="holds none"):
        tool.token(wish, {tool.TOKEN: "another"})
