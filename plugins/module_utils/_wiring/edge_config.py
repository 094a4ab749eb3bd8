# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Options and work of the module ``edge_config``."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

from .. import _argspec
from .._adapter import Context, Outcome
from .._core.errors import ConfigurationError
from .._edge.config import (
    Applying,
    judge_default_site,
    plan,
    stamped,
)
from .._edge.nginx import (
    LoopbackAnswer,
    Nginx,
    ask_loopback,
    packaged_md5,
)

SPEC = _argspec.ArgumentSpec(
    options={
        "path": {"type": "path", "required": True},
        "content": {"type": "str"},
        "probe_url": {"type": "str", "required": True},
        "probe_name": {"type": "str"},
        "expect": {
            "type": "str",
            "default": "generation",
            "choices": ["generation", "location", "status"],
        },
        "location": {"type": "str"},
        "status": {"type": "int", "default": 410},
        "watch": {"type": "list", "elements": "path", "default": []},
        "default_site": {"type": "path"},
        "remove_default_site": {"type": "bool", "default": False},
        "keep_backup": {"type": "bool", "default": False},
        "allow_shutdown_timeout": {"type": "bool", "default": False},
        "error_log": {"type": "path", "default": "/var/log/nginx/error.log"},
        "confirmations": {"type": "int", "default": 5},
        "nginx_path": {"type": "path", "default": "/usr/sbin/nginx"},
    },
    required_if=(("expect", "generation", ("content",)),),
).merge(_argspec.wait(30, 1))

PROBE_TIMEOUT: t.Final = 5


def proof(params: dict[str, t.Any], generation: str) -> t.Callable[[LoopbackAnswer], bool]:
    """What an answer must be like that proves the file."""

    def told_generation(answer: LoopbackAnswer) -> bool:
        try:
            body = json.loads(answer.body)
        except ValueError:
            return False
        return isinstance(body, dict) and body.get("generation") == generation

    if params["expect"] == "generation":
        return told_generation
    if params["expect"] == "location":
        wanted = params["location"] if params["content"] is not None else None
        return lambda answer: answer.headers.get("Location") == wanted
    present = params["content"] is not None
    return lambda answer: (answer.status == params["status"]) is present


def work(context: Context) -> Outcome:
    params = context.params
    context.positive("confirmations")
    if params["expect"] == "location" and params["content"] and not params["location"]:
        raise ConfigurationError("location is needed with expect=location and content")
    wanted, generation = None, ""
    if params["content"] is not None:
        wanted, generation = stamped(params["content"])
    site = None if params["default_site"] is None else Path(params["default_site"])
    example = Path("/etc/nginx/sites-available/default")
    applying = Applying(
        nginx=Nginx(context.run, program=params["nginx_path"], pid=None),
        path=Path(params["path"]),
        ask=lambda: ask_loopback(params["probe_url"], params["probe_name"], PROBE_TIMEOUT),
        is_live=proof(params, generation),
        watched=[Path(item) for item in params["watch"]],
        error_log=Path(params["error_log"]),
        allow_shutdown_timeout=params["allow_shutdown_timeout"],
        keep_backup=params["keep_backup"],
        confirmations=params["confirmations"],
        deadline=context.deadline(),
        interval=params["wait_interval"],
        default_site=site,
        example_site=example,
        packaged_md5=packaged_md5(context.run, "nginx-common", str(example)) if site else None,
        remove_default=params["remove_default_site"],
    )
    applying.refuse(wanted)
    seen = applying.look()
    planned = plan(seen, wanted)
    values: dict[str, t.Any] = {
        "reasons": list(planned.reasons),
        "default_site": (
            judge_default_site(site, example, applying.packaged_md5).value if site else "absent"
        ),
        "backup_file": None,
        "workers": [],
    }
    if planned.reload and context.check_mode and not planned.write:
        applying.refuse_reload()
    if planned.reload and not context.check_mode:
        change = applying.apply(wanted, planned)
        values |= {"backup_file": change.backup_file, "workers": list(change.workers)}
    return Outcome(
        changed=planned.reload,
        values={"edge_config": values},
        before=seen.text or "",
        after=wanted or "",
    )
