# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Event source for ansible-rulebook: the alarms of the playbook status."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import tempfile
import time
import typing as t
from collections.abc import Iterator, Mapping
from pathlib import Path

DOCUMENTATION = r"""
---
short_description: The alarms of gonka.devshard.status
description:
  - Runs the playbook C(gonka.devshard.status) at an interval, or watches the file that it writes
    (C(status_json_file)), and puts an event for each alarm.
  - An event is put when the alarm is new, and again while it is still there after O(repeat) seconds, or after
    O(settle_repeat) where a settle helps. It has the key C(alarm) with C(state), C(kind), C(severity), C(host),
    C(escrow), C(settles), C(text) and C(command). The event of an alarm that is gone has the key C(cleared) with the
    same fields.
  - C(kind) is what endangers an escrow, such as C(deadline) or C(version), or C(wallet), C(no_escrow) for a model
    without a usable escrow, or what else a finding is about. C(settles) says whether the playbook settle helps.
  - A state that could not be read is an alarm of the kind C(source), and clears nothing.
options:
  file:
    description:
      - The file that C(status_json_file) names. It is read whenever it changes.
    type: str
  max_age:
    description:
      - Age of O(file) in seconds at which it is an alarm by itself. V(0) means never.
    type: int
    default: 3600
  inventory:
    description:
      - The inventory for the playbook, instead of O(file).
    type: str
  arguments:
    description:
      - More arguments for C(ansible-playbook), for example C(--vault-password-file) and its file.
    type: list
    elements: str
    default: []
  program:
    description:
      - The program that runs a playbook.
    type: str
    default: ansible-playbook
  interval:
    description:
      - Seconds between two looks.
    type: float
    default: 60, or 600 with O(inventory)
  timeout:
    description:
      - Maximum time for one run of the playbook, in seconds.
    type: float
    default: 1800
  repeat:
    description:
      - Seconds after which an alarm that is still there is put again. V(0) means never.
    type: float
    default: 21600
  settle_repeat:
    description:
      - The same for an alarm that the playbook settle ends, so that a settle that failed is tried again while there are
        blocks left. Longer than a rulebook keeps events back (C(throttle)).
    type: float
    default: 900
  looks:
    description:
      - Number of looks before the source ends. V(0) means without end.
    type: int
    default: 0
"""

EXAMPLES = r"""
- gonka.devshard.escrow_alarms:
    file: /var/lib/gonka-devshard/status.json

- gonka.devshard.escrow_alarms:
    inventory: /etc/gonka-devshard/inventory.yml
    interval: 600
"""

Data = dict[str, t.Any]

DANGER, UNKNOWN = "danger", "not known"
SETTLE, ESCROW = "gonka.devshard.settle", "gonka.devshard.escrow"
OPTIONS = {
    *("file", "max_age", "inventory", "arguments", "program", "interval", "timeout", "repeat"),
    *("settle_repeat", "looks"),
}
# a number by itself changes from look to look; one that is part of a name does not
_NUMBER = re.compile(r"(?<![\w./:-])\d[\d.,:]*(?![\w-])")


class Unreadable(Exception):
    """Why the state is not known."""


class Alarms:
    """What was put before: an alarm is put again only after a pause."""

    def __init__(self, repeat: float, settle_repeat: float) -> None:
        self._repeat = repeat
        self._settle_repeat = settle_repeat
        self._held: dict[tuple[str, ...], Data] = {}

    def events(self, document: object, now: float) -> list[Data]:
        """The events that a state of all hosts gives."""
        hosts = hosts_of(document)
        found = {
            key_of(alarm): alarm for host, state in hosts.items() for alarm in judge(host, state)
        }
        put = self._put(found, now)
        for key, held in list(self._held.items()):
            unknown = any(
                alarm["severity"] == UNKNOWN and alarm["host"] == held["alarm"]["host"]
                for alarm in found.values()
            )
            seen = held["alarm"]["host"] in hosts or held["alarm"]["kind"] == "source"
            if key not in found and seen and not unknown:
                del self._held[key]
                put.append({"cleared": {**held["alarm"], "state": "cleared"}})
        return put

    def problem(self, text: str, now: float) -> list[Data]:
        """The event of a state that could not be read. What was found before still counts."""
        alarm = as_alarm("", "source", UNKNOWN, text)
        return self._put({key_of(alarm): alarm}, now)

    def _put(self, found: Mapping[tuple[str, ...], Data], now: float) -> list[Data]:
        put = []
        for key, alarm in found.items():
            held = self._held.get(key)
            repeat = self._settle_repeat if alarm["settles"] else self._repeat
            due = held is None or (repeat > 0 and now - held["at"] >= repeat)
            if due:
                state = "new" if held is None else "still there"
                put.append({"alarm": {**alarm, "state": state}})
            self._held[key] = {
                "alarm": alarm,
                "at": now if held is None or due else held["at"],
            }
        return put


def hosts_of(document: object) -> dict[str, object]:
    hosts = document.get("hosts") if isinstance(document, Mapping) else None
    if not isinstance(hosts, list) or not hosts:
        raise Unreadable("the file does not hold the state of any host")
    if not all(isinstance(state, Mapping) and state.get("host") for state in hosts):
        raise Unreadable("the file holds the state of a host without a name")
    return {str(state["host"]): state for state in hosts}


def judge(host: str, state: object) -> Iterator[Data]:
    """The alarms of one host, as its status says them."""
    if not isinstance(state, Mapping) or not isinstance(state.get("findings"), list):
        yield as_alarm(host, "host", UNKNOWN, "the state of the host could not be determined")
        return
    for alarm in state.get("alarms") or ():
        yield as_alarm(
            host,
            str(alarm["kind"]),
            str(alarm["severity"]),
            f"escrow {alarm['id']}: {alarm['reason']}. {alarm['advice']}",
            str(alarm.get("run") or ""),
            escrow=alarm["id"],
        )
    for finding in state["findings"]:
        about, severity = str(finding["about"]), str(finding["severity"])
        run = str(finding.get("run") or "")
        # those of escrows in danger are the alarms above, each by itself
        if severity == "ok" or (about == "escrows" and severity == DANGER):
            continue
        missing = about == "models" and severity == DANGER and run.partition(" ")[0] == ESCROW
        yield as_alarm(host, "no_escrow" if missing else about, severity, str(finding["text"]), run)


def as_alarm(
    host: str, kind: str, severity: str, text: str, run: str = "", escrow: object = None
) -> Data:
    name, _blank, rest = run.partition(" ")
    command = f"ansible-playbook {name} -e devshard_hosts={host} {rest}".rstrip() if run else ""
    return {
        "kind": kind,
        "severity": severity,
        "host": host,
        "escrow": escrow,
        "settles": severity == DANGER and name == SETTLE,
        "text": text,
        "command": command,
    }


def key_of(alarm: Data) -> tuple[str, ...]:
    """Which alarm it is, whatever the numbers in its text are."""
    what = alarm["text"] if alarm["escrow"] is None else alarm["escrow"]
    text = _NUMBER.sub("#", what) if alarm["escrow"] is None else str(what)
    return (alarm["host"], alarm["kind"], alarm["severity"], text)


def read(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise Unreadable(f"{path} cannot be read: {exc}") from exc


async def run_status(args: Mapping[str, t.Any]) -> object:
    """Run the playbook, and return what it wrote. Its exit status says only how bad the state is."""
    with tempfile.TemporaryDirectory(prefix="gonka-devshard-") as folder:
        path = Path(folder) / "status.json"
        process = await asyncio.create_subprocess_exec(
            str(args.get("program") or "ansible-playbook"),
            *("-i", str(args["inventory"]), "gonka.devshard.status"),
            *("-e", json.dumps({"status_json_file": str(path)})),
            *[str(word) for word in args.get("arguments") or ()],
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            printed, _none = await asyncio.wait_for(
                process.communicate(), float(args.get("timeout") or 1800)
            )
        except asyncio.TimeoutError:
            raise Unreadable("the playbook gonka.devshard.status did not end in time") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if not path.is_file():
            last = printed.decode(errors="replace").strip()[-500:]
            raise Unreadable(
                "the playbook gonka.devshard.status wrote no state and ended with"
                f" {process.returncode}: {last}"
            )
        return read(path)


class Watch:
    """A file that is read when it has changed."""

    def __init__(self, path: Path, max_age: float) -> None:
        self._path = path
        self._max_age = max_age
        self._read: tuple[int, int] | None = None

    def changed(self, now: float) -> object:
        """What it holds, or None where that was read before."""
        try:
            found = self._path.stat()
        except OSError as exc:
            raise Unreadable(f"{self._path} cannot be read: {exc.strerror}") from exc
        if self._max_age > 0 and now - found.st_mtime > self._max_age:
            raise Unreadable(f"{self._path} is older than {self._max_age:.0f} seconds")
        mark = (found.st_mtime_ns, found.st_ino)
        if mark == self._read:
            return None
        document = read(self._path)
        self._read = mark
        return document


def check(args: Mapping[str, t.Any]) -> None:
    """Refuse what would watch nothing."""
    if unknown := sorted(set(args) - OPTIONS - {"name"}):
        raise ValueError(f"escrow_alarms: unknown option {', '.join(unknown)}")
    if bool(args.get("file")) == bool(args.get("inventory")):
        raise ValueError("escrow_alarms: give either file or inventory")


async def main(queue: asyncio.Queue[Data], args: Data) -> None:
    """Put the alarms until the rulebook ends."""
    check(args)
    alarms = Alarms(float(args.get("repeat", 21600)), float(args.get("settle_repeat", 900)))
    watch = (
        Watch(Path(args["file"]), float(args.get("max_age", 3600))) if args.get("file") else None
    )
    pause = float(args.get("interval") or (60 if watch else 600))
    left = int(args.get("looks") or 0) or sys.maxsize
    while True:
        now = time.time()
        try:
            document = await run_status(args) if watch is None else watch.changed(now)
            events = [] if document is None else alarms.events(document, now)
        except Unreadable as exc:
            events = alarms.problem(str(exc), now)
        for event in events:
            await queue.put(event)
        left -= 1
        if not left:
            return
        await asyncio.sleep(pause)


if __name__ == "__main__":

    class Printer(asyncio.Queue[Data]):
        """Shows what a rulebook would get."""

        async def put(self, item: Data) -> None:
            sys.stdout.write(f"{json.dumps(item)}{os.linesep}")

    asyncio.run(main(Printer(), {"file": sys.argv[1], "looks": 1}))
