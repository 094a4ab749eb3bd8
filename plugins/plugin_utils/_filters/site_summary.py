# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Filter: what an operator needs to know at the end of a deployment."""

from __future__ import annotations

import json
import shlex
import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.deadline_alarms import (
    deadline_alarms,
)
from ansible_collections.gonka.devshard.plugins.plugin_utils._filters.site_changes import (
    NAMES,
    plan_lines,
)


def _curl(url: str, env_file: str, model: str, *, with_key: bool) -> str:
    """One line that works when it is pasted on the host, and shows no key."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": "How long do hamsters live?"}],
        "max_tokens": 64,
    }
    words = ["curl", "--silent", "--show-error", f"{url.rstrip('/')}/v1/chat/completions"]
    command = " ".join(shlex.quote(word) for word in words)
    command += f" --header 'Content-Type: application/json' --data {shlex.quote(json.dumps(body))}"
    if not with_key:
        return command
    # by stdin, so that no other user of the host sees the key among the arguments
    header = 'printf "header = \\"Authorization: Bearer %s\\"\\n" "${DEVSHARD_API_KEYS%%,*}"'
    inner = f". {shlex.quote(env_file)} && {header} | {command} --config -"
    return f"sudo sh -c {shlex.quote(inner)}"


def _left(seconds: float) -> str:
    return f"in {int(seconds // 3600)} h" if seconds >= 3600 else f"in {int(seconds // 60)} min"


def _settles(facts: Mapping[str, t.Any], escrow: Mapping[str, t.Any]) -> str | None:
    """What settles an escrow without an operator; None when nothing does."""
    if facts.get("scheduled"):
        return str(facts["scheduled"])
    rotation = facts.get("rotation") or {}
    models = [model.get("model_id") for model in rotation.get("models") or ()]
    # it retires what is in service, and settles only what it retires (contract gateway.md §5.4)
    covered = escrow.get("active") and escrow.get("model") in models
    if rotation.get("enabled") and rotation.get("settlement_enabled") and covered:
        return "The rotation of the gateway"
    return None


def _deadline(facts: Mapping[str, t.Any], found: Mapping[str, t.Any]) -> str:
    """The deposit that must come home first, those first that nothing settles by itself."""
    if found["not_known"]:
        return f"Deadlines are not all known: {'; '.join(map(str, found['not_known']))}."
    due = [
        (escrow["deadline"]["blocks_left"], escrow)
        for escrow in found["escrows"]
        if escrow.get("settled") is False
        and escrow.get("deadline")
        # those that another gateway of this creator serves are named by its own summary
        and (escrow.get("recorded") or escrow["id"] not in (facts.get("elsewhere") or ()))
    ]
    if not due:
        return "No escrow is open, so nothing has to be settled."
    alone = [item for item in due if _settles(facts, item[1]) is None]
    _blocks, escrow = min(alone or due, key=lambda item: item[0])
    deadline = escrow["deadline"]
    seconds = deadline.get("seconds_left")
    left = "" if seconds is None else f" ({_left(seconds)})"
    by = _settles(facts, escrow)
    if by is not None:
        return (
            f"Escrow {escrow['id']} must be settled before block {deadline['height']}{left}."
            f" {by} settles it. The playbook gonka.devshard.status shows whether it is done."
        )
    return (
        f"Settle escrow {escrow['id']} before block {deadline['height']}{left}, or its deposit is"
        " lost. Nothing does it by itself: run the playbook gonka.devshard.settle in time, or put"
        " it on a schedule (role gonka.devshard.schedule)."
    )


def _work(facts: Mapping[str, t.Any]) -> list[str]:
    """What this run did, or would do, and what is left."""
    host, plan, remaining = facts["host"], facts.get("plan"), facts.get("remaining")
    if plan is None:
        return []
    if not plan:
        return [f"{host}: no change was needed, since everything is as the settings want it"]
    if facts.get("check"):
        return [f"{host}: a run without --check would work on {_names(plan)}"]
    lines = [f"{host}: this run worked on {_names(plan)}"]
    if remaining:
        lines += [f"WARNING, still not as wanted: {line}" for line in plan_lines(remaining)]
    return lines


def _names(plan: Mapping[str, t.Any]) -> str:
    *names, last = [NAMES.get(part, part) for part in plan]
    return f"{', '.join(names)} and {last}" if names else last


def _replies(facts: Mapping[str, t.Any]) -> list[str]:
    lines = []
    for reply in facts.get("replies") or ():
        if reply["limited"]:
            said = "the gateway is at its limit and serves other clients"
        elif reply["stream"]:
            said = (
                f"first chunk after {reply['first_chunk_seconds']} s, whole reply after"
                f" {reply['total_seconds']} s"
            )
        else:
            said = f"reply at once after {reply['total_seconds']} s"
        lines.append(f"{reply['model']}: {said}")
    return lines


def site_summary(facts: object) -> list[str]:
    """Return the lines: work, URL, key, a request to paste, the next deadline, warnings."""
    if not isinstance(facts, Mapping):
        raise AnsibleFilterError("site_summary: a dict is needed")
    url, env_file = str(facts["url"]), str(facts["env_file"])
    lines = _work(facts)
    lines.append(
        f"{facts['host']} sends clients elsewhere (playbook gonka.devshard.redirect), so no request"
        " was tried"
        if facts.get("redirected")
        else f"{facts['host']} serves clients at {url}"
    )
    lines += _replies(facts)
    models = [model for model in facts["models"] if model["access_mode"] != "admin_only"]
    if any(model["access_mode"] == "api_key" for model in models):
        lines.append(
            f"The key for clients is on the host in {env_file}: the first one of DEVSHARD_API_KEYS"
        )
    if models:
        with_key = models[0]["access_mode"] == "api_key"
        lines.append("Ask it, on the host:")
        lines.append("  " + _curl(url, env_file, str(models[0]["id"]), with_key=with_key))
    else:
        lines.append("No model is open to clients (access_mode), so only the admin key can ask.")
    rotation = facts.get("rotation") or {}
    if "enabled" in rotation:
        lines.append(f"Rotation of the escrows is {'on' if rotation['enabled'] else 'off'}.")
    if facts.get("found") is not None:
        lines.append(_deadline(facts, facts["found"]))
        alarms = deadline_alarms(
            {**facts["found"], "not_known": []}, facts.get("elsewhere") or (), facts["host"]
        )
        lines += [f"DANGER: {line}" for line in alarms]
    lines += [str(line) for line in facts.get("receipt") or ()]
    lines += [f"NOTE: {note}" for note in facts.get("notes") or ()]
    lines += [f"WARNING: {text}" for text in facts.get("warnings") or () if text]
    return lines
