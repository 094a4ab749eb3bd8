# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Targets run in their order or side by side, and no failure is lost or leaves anything running."""

from __future__ import annotations

import importlib
import os
import re
import signal
import subprocess
import sys
import typing as t
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
TOOLS = ROOT / "tests" / "tools"

# a shell that runs something in the background has it ignore interrupts, and its children too
CALLER = """
import pathlib, signal, sys, stages
signal.signal(signal.SIGINT, signal.default_int_handler)
folder = pathlib.Path(sys.argv[1])
stages.ROOT, stages.LOGS = folder, folder / "logs"
sys.exit(stages.main(["one+two"], ("bash", str(folder / "make"))))
"""


class Targets:
    """Stands for make: each target is a few lines of shell."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs = folder / "build" / "logs"
        self.script = folder / "make"
        self.script.write_text(f'cd {folder}; source "./$1.sh"\n')
        # opened for reading and writing a pipe never says that nobody listens
        os.mkfifo(folder / "pipe")

    @property
    def command(self) -> tuple[str, str]:
        return ("bash", str(self.script))

    def write(self, **lines: str) -> None:
        for name, line in lines.items():
            (self.folder / f"{name}.sh").write_text(f"{line}\n")


@pytest.fixture
def targets(tmp_path: Path) -> Targets:
    return Targets(tmp_path)


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch, targets: Targets) -> t.Any:
    monkeypatch.syspath_prepend(TOOLS)
    module: t.Any = importlib.import_module("stages")
    monkeypatch.setattr(module, "ROOT", targets.folder)
    monkeypatch.setattr(module, "LOGS", targets.logs)
    monkeypatch.setattr(module.signal, "signal", lambda *_words: None)
    return module


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("10359 passed, 2 skipped, 1 xfailed in 445.12s (0:07:25)", (10359, 2, 1)),
        ("===== 12 passed in 3.10s =====", (12, 0, 0)),
        ("\x1b[32m\x1b[1m7 passed\x1b[0m in 1.00s\x1b[0m", (7, 0, 0)),
        ("1 failed, 3 passed in 2.00s", (3, 0, 0)),
        ("ok    ruff check (1 s)", (1, 0, 0)),
        ("skip  ansible-core 2.21: no Python 3.13 or 3.12 here", (0, 1, 0)),
        ("site : actions=4  successful=4  disabled=0  skipped=0  missing=0  failed=0", (4, 0, 0)),
        ("ok: [gateway-1]", (0, 0, 0)),
        ("it said: 3 passed in 1.00s", (0, 0, 0)),
    ],
)
def test_what_a_line_counts(tool: t.Any, line: str, expected: tuple[int, int, int]) -> None:
    found = tool.count(line)
    assert (found["passed"], found["skipped"], found["xfailed"]) == expected


def test_steps_lanes_and_targets(tool: t.Any) -> None:
    assert tool.parse(["lint", "a,b+c"]) == [[["lint"]], [["a", "b"], ["c"]]]


def test_targets_in_their_order(
    tool: t.Any, targets: Targets, capsys: pytest.CaptureFixture[str]
) -> None:
    targets.write(one="echo 3 passed, 1 skipped in 0.10s", two="echo silent")
    assert tool.main(["one", "two"], targets.command) == 0
    out = capsys.readouterr().out
    assert re.findall(r" (\d of \d: \w+) ", out) == ["1 of 2: one", "2 of 2: two"]
    # "two" says nothing that is understood, and counts as one
    assert re.search(r"=+ 4 passed, 1 skipped in [\d.]+s =+$", out.strip())
    assert (targets.logs / "one.log").read_text() == "3 passed, 1 skipped in 0.10s\n"


def test_nothing_begins_after_a_failure(
    tool: t.Any, targets: Targets, capsys: pytest.CaptureFixture[str]
) -> None:
    targets.write(
        one="echo 'E   the reason'; echo 1 failed, 2 passed in 0.1s; exit 3", two="echo never"
    )
    assert tool.main(["one", "two"], targets.command) == 1
    out = capsys.readouterr().out
    assert "never" not in out
    assert "why:\nE   the reason\n" in out
    assert re.search(r"=+ 1 failed, 2 passed in [\d.]+s =+$", out.strip())


def test_lanes_run_side_by_side(
    tool: t.Any, targets: Targets, capsys: pytest.CaptureFixture[str]
) -> None:
    # the first lane ends only when the second target of the other lane has spoken
    targets.write(
        one="read -r word <>pipe; echo $word; echo 1 passed in 0.1s",
        two="echo 2 passed in 0.1s",
        three="echo word >pipe; echo 3 passed in 0.1s",
    )
    assert tool.main(["one+two,three"], targets.command) == 0
    out = capsys.readouterr().out
    assert "one | word\n" in out
    assert re.search(r"=+ 6 passed in [\d.]+s =+$", out.strip())
    assert (targets.logs / "one.log").read_text() == "word\n1 passed in 0.1s\n"


def test_the_first_lane_goes_before_the_others(tool: t.Any, targets: Targets) -> None:
    targets.write(one="nice", two="nice")
    assert tool.main(["one+two"], targets.command) == 0
    first, second = (int((targets.logs / f"{name}.log").read_text()) for name in ("one", "two"))
    assert second == min(first + 10, 19)


@pytest.mark.parametrize(
    "waiting",
    ["sleep infinity", "trap '' TERM; sleep infinity & wait; wait"],
    ids=["ends when it is asked", "is killed"],
)
def test_a_failure_stops_the_other_lane(
    tool: t.Any,
    targets: Targets,
    waiting: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(tool, "_GRACE", 0.1)
    # the child holds the output open: were it left running, this would never end
    targets.write(
        one=f'bash -c "echo up >pipe; {waiting}"; echo never',
        two="read -r word <>pipe; echo 'ERROR it broke'; exit 1",
        three="echo never",
    )
    assert tool.main(["one+two,three"], targets.command) == 1
    out = capsys.readouterr().out
    assert "never" not in out
    assert "two failed; its output is in build/logs/two.log" in out
    assert re.search(r"times: two \d+:\d\d, failed; one \d+:\d\d, stopped", out)
    assert re.search(r"=+ 1 failed in [\d.]+s =+$", out.strip())


def test_a_failure_of_the_first_lane_stops_the_other(
    tool: t.Any, targets: Targets, capsys: pytest.CaptureFixture[str]
) -> None:
    targets.write(
        one="read -r word <>pipe; exit 2", two="echo up >pipe; sleep infinity", three="echo never"
    )
    assert tool.main(["one+two,three"], targets.command) == 1
    out = capsys.readouterr().out
    assert "one failed" in out
    assert "never" not in out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_stops_every_lane(targets: Targets, number: signal.Signals) -> None:
    targets.write(one="echo up; sleep infinity", two="echo up; sleep infinity")
    with subprocess.Popen(
        [sys.executable, "-c", CALLER, str(targets.folder)],
        env={**os.environ, "PYTHONPATH": str(TOOLS)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        seen: Counter[str] = Counter()
        assert process.stdout is not None
        for line in process.stdout:
            seen[line.strip()] += 1
            if seen["one | up"] and seen["two | up"]:
                process.send_signal(number)
                break
        # its end is the end of all that holds the output
        assert "interrupted" in process.stdout.read()
    assert process.returncode == 130
