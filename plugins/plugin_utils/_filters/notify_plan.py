# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Filter: which alarms have to be sent, and what is remembered of those that were."""

from __future__ import annotations

import hashlib
import json
import re
import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone

from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.module_utils._status.scene import ORDER, Severity

Data = dict[str, t.Any]

SCHEMA: t.Final = 1
NEW, STILL, CLEARED = "new", "still there", "cleared"
# a number by itself; one that is part of a name stays
_NUMBER: t.Final = re.compile(r"(?<![\w./:-])\d[\d.,:]*(?![\w-])")


@dataclass(kw_only=True)
class _Alarms:
    """What is wrong now, by a key that does not change while only numbers in its text do."""

    found: dict[str, Data] = field(default_factory=dict)
    judged: set[str] = field(default_factory=set)
    """The hosts of which everything is known: what is not found there is cleared."""


def notify_plan(
    hosts: object,
    state: object = "",
    now: object = 0,
    severity: object = Severity.UNKNOWN.value,
    repeat: object = 24,
) -> Data:
    """Return what has to be sent, as text and as data, and the state that follows from it."""
    if not isinstance(hosts, Mapping):
        raise AnsibleFilterError("notify_plan: a dict of hosts with their status is needed")
    try:
        least = ORDER.index(Severity(str(severity)))
    except ValueError as exc:
        raise AnsibleFilterError(f"notify_plan: {exc}") from None
    seconds, pause = float(str(now)), float(str(repeat)) * 3600
    alarms = _alarms(hosts, ORDER[: least + 1])
    held, lost = _held(str(state))
    sent, kept = [], {}
    for key, alarm in alarms.found.items():
        before = held.get(key)
        first = seconds if before is None else before["first"]
        due = before is None or (pause > 0 and seconds - before["sent"] >= pause)
        kept[key] = {
            **alarm,
            "first": first,
            "sent": seconds if before is None or due else before["sent"],
        }
        if due:
            sent.append({**alarm, "state": NEW if before is None else STILL, "since": _time(first)})
    for key, before in held.items():
        if key in kept:
            continue
        alarm = {name: before.get(name, "") for name in ("host", "severity", "about", "text")}
        if before["host"] in alarms.judged:
            sent.append({**alarm, "command": "", "state": CLEARED, "since": _time(before["first"])})
        else:
            kept[key] = before
    return _plan(sent, kept, lost, seconds)


def _plan(sent: list[Data], kept: Data, lost: bool, seconds: float) -> Data:
    counts = {
        state: sum(1 for one in sent if one["state"] == state) for state in (NEW, STILL, CLEARED)
    }
    title = "gonka.devshard: " + ", ".join(f"{n} {state}" for state, n in counts.items() if n)
    lines = [title]
    if lost:
        lines.append("The file of earlier alarms could not be read, so each alarm counts as new.")
    for alarm in sent:
        lines += ["", f"[{alarm['state']}] {alarm['host']}: {alarm['severity']}: {alarm['text']}"]
        if alarm["state"] != NEW:
            lines.append(f"since {alarm['since']}")
        if alarm["command"]:
            lines.append(f"run: {alarm['command']}")
    return {
        "send": bool(sent),
        "title": title,
        "text": "\n".join(lines),
        "body": {"title": title, "text": "\n".join(lines), "at": _time(seconds), "alarms": sent},
        "state": json.dumps({"schema": SCHEMA, "alarms": kept}, indent=1, sort_keys=True),
    }


def _alarms(hosts: Mapping[str, t.Any], wanted: t.Sequence[Severity]) -> _Alarms:
    found = _Alarms()
    words = {severity.value for severity in wanted}
    for host, status in hosts.items():
        findings = status.get("findings") if isinstance(status, Mapping) else None
        if not isinstance(findings, Sequence):
            findings = [
                {
                    "severity": Severity.UNKNOWN.value,
                    "about": "host",
                    "text": "its state could not be determined, see the output of the playbook",
                    "run": "",
                }
            ]
            ids: set[str] = set()
        else:
            ids = {str(row.get("id")) for row in status.get("escrows") or ()}
        if not any(one["severity"] == Severity.UNKNOWN.value for one in findings):
            found.judged.add(str(host))
        for one in findings:
            if one["severity"] in words and one["severity"] != Severity.OK.value:
                alarm = {
                    "host": str(host),
                    "severity": str(one["severity"]),
                    "about": str(one["about"]),
                    "text": str(one["text"]),
                    "command": _command(str(host), str(one.get("run") or "")),
                }
                found.found[_key(alarm, ids)] = alarm
    return found


def _key(alarm: Data, ids: set[str]) -> str:
    """Blocks, hours and amounts change from look to look; which escrow it is does not."""
    text = _NUMBER.sub(
        lambda match: match[0] if match[0].rstrip(".,:") in ids else "#", alarm["text"]
    )
    whole = "\0".join((alarm["host"], alarm["severity"], alarm["about"], text))
    return hashlib.sha256(whole.encode()).hexdigest()


def _command(host: str, run: str) -> str:
    if not run or ";" in run:
        return run
    name, _blank, rest = run.partition(" ")
    return f"ansible-playbook {name} -e devshard_hosts={host} {rest}".rstrip()


def _held(state: str) -> tuple[dict[str, Data], bool]:
    """The alarms that were sent before, and whether they were lost. Then each is sent again."""
    if not state:
        return {}, False
    try:
        content = json.loads(state)
        alarms: dict[str, Data] = content["alarms"]
        whole = content["schema"] == SCHEMA and all(
            isinstance(one["host"], str)
            and isinstance(one["first"], (int, float))
            and isinstance(one["sent"], (int, float))
            for one in alarms.values()
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}, True
    return (alarms, False) if whole else ({}, True)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
