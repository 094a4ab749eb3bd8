#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: chat_completion
short_description: Send a chat request as a client does, and judge the reply
version_added: 0.1.0
author:
  - The gonka.devshard authors (@gonka-devshard)
description:
  - Sends one request to C(/v1/chat/completions) with a client's key (guide §5) and fails unless it gets a complete
    reply, which has a C(finish_reason). A stream must end with C([DONE]).
  - The prompt gets a token that no earlier request had. The gateway answers a repeated prompt from its cache
    for an hour, errors included, which would prove nothing.
  - A gateway whose limiter answers 429 is serving other clients at this moment. That is a warning with
    RV(limited=true), not a failure.
  - No redirect is followed, because a reply of another host would prove nothing.
  - During a PoC phase the network serves no client. The deployment is not at fault, so the module waits for the end of
    the phase.
options:
  base_url:
    description:
      - Base URL of the edge or of a gateway, seen from the managed host, without C(/v1).
    type: str
    required: true
  model:
    description:
      - The model.
    type: str
  models:
    description:
      - Several models, in place of O(model). Each is asked twice, streamed and unstreamed.
    type: list
    elements: str
  api_key:
    description:
      - The client's key. By default the first one in C(DEVSHARD_API_KEYS) of O(env_file).
    type: str
  env_file:
    description:
      - Environment file of the gateway on the managed host.
    type: path
    default: /srv/gonka/devshard-gateway/config.devshard.env
  prompt:
    description:
      - The prompt of the request.
    type: str
    default: How long do hamsters live?
  max_tokens:
    description:
      - Maximum number of tokens of the reply.
    type: int
    default: 32
  stream:
    description:
      - Request a stream. O(models) are asked both ways.
    type: bool
    default: false
  reply_timeout:
    description:
      - Maximum time between two parts of the reply, in seconds.
    type: int
    default: 120
extends_documentation_fragment:
  - gonka.devshard._attributes
  - gonka.devshard._http
  - gonka.devshard._wait
attributes:
  check_mode:
    support: full
    details:
      - A request costs a little of an escrow, so none is sent in check mode.
  diff_mode:
    support: N/A
    details:
      - Nothing is configured.
  idempotent:
    support: N/A
    details:
      - Each run sends a request. It never reports a change.
seealso:
  - module: gonka.devshard.escrow_info
"""

EXAMPLES = r"""
- name: Request a streamed reply through the edge
  gonka.devshard.chat_completion:
    base_url: https://gateway.example.org
    model: "{{ model }}"
    stream: true
  register: reply
"""

RETURN = r"""
chats:
  description:
    - The replies, each with its C(model), as RV(chat) and C(limited) describe them. Without a reply where C(limited) is
      true. Empty in check mode.
  returned: success
  type: list
  elements: dict
  sample:
    - model: some/model
      stream: true
      limited: false
      first_chunk_seconds: 0.412
      total_seconds: 2.113
chat:
  description: The first reply. Null in check mode, and where RV(limited=true).
  returned: success
  type: dict
  contains:
    content:
      description: Its text.
      type: str
      sample: Two to three years.
    stream:
      description: Whether it came as a stream.
      type: bool
      sample: true
    chunks:
      description: Number of parts.
      type: int
      sample: 12
    finish_reason:
      description: Why the model ended it.
      type: str
      sample: stop
    first_byte_seconds:
      description: Time to the first byte, in seconds.
      type: float
      sample: 0.412
    first_chunk_seconds:
      description: Time to the first part of a stream, in seconds. Null for a reply that did not come as a stream.
      type: float
      sample: 0.412
    total_seconds:
      description: Time to the end, in seconds.
      type: float
      sample: 2.113
    devshard_id:
      description: The escrow that paid for it.
      type: str
      sample: "4711"
    request_id:
      description: The gateway's name for the request.
      type: str
      sample: req-1
    slot:
      description: The slot that answered, when an edge of this collection is in front.
      type: str
      sample: main
limited:
  description: Whether the gateway refused the first request with 429, because it already serves as many requests as it
    may.
  returned: success
  type: bool
  sample: false
"""

from ansible_collections.gonka.devshard.plugins.module_utils import _argspec
from ansible_collections.gonka.devshard.plugins.module_utils._adapter import (
    Context,
    Outcome,
    run_module,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    ConfigurationError,
    RateLimitedError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.keys import API_KEYS
from ansible_collections.gonka.devshard.plugins.module_utils._core.timer import WaitBudget
from ansible_collections.gonka.devshard.plugins.module_utils._core.transport import base_url
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.chat import (
    ChatOptions,
    ChatReply,
    ask,
    ask_through_poc,
    at_its_limit,
)

SPEC = _argspec.ArgumentSpec(
    options={
        "base_url": {"type": "str", "required": True},
        "model": {"type": "str"},
        "models": {"type": "list", "elements": "str"},
        "api_key": {"type": "str", "no_log": True},
        "env_file": {"type": "path", "default": "/srv/gonka/devshard-gateway/config.devshard.env"},
        "prompt": {"type": "str", "default": "How long do hamsters live?"},
        "max_tokens": {"type": "int", "default": 32, "no_log": False},
        "stream": {"type": "bool", "default": False},
        "reply_timeout": {"type": "int", "default": 120},
    },
    mutually_exclusive=(("model", "models"),),
    required_one_of=(("model", "models"),),
).merge(_argspec.http(), _argspec.wait())


def work(context: Context) -> Outcome:
    params = context.params
    url = base_url(params["base_url"], "devshard_client_base_url (base_url)")
    context.positive("max_tokens", "reply_timeout")
    if params["models"] == []:
        raise ConfigurationError("models names no model")
    if context.check_mode:
        return Outcome(changed=False, values={"chat": None, "limited": False, "chats": []})
    key = context.secret("api_key", API_KEYS).split(",")[0].strip()
    context.hide(key)
    models, wait = params["models"], context.deadline()
    asked = (
        [(params["model"], params["stream"])]
        if models is None
        else [(model, stream) for model in models for stream in (True, False)]
    )
    chats = []
    for model, stream in asked:
        options = ChatOptions(
            model=model,
            prompt=params["prompt"],
            max_tokens=params["max_tokens"],
            stream=stream,
            timeout=params["reply_timeout"],
        )
        reply = _reply(context, options, url, key, wait)
        told = {"stream": stream} if reply is None else reply.to_result()
        chats.append({"model": model, "limited": reply is None, **told})
    first = chats[0]
    shown = {name: value for name, value in first.items() if name not in ("model", "limited")}
    return Outcome(
        changed=False,
        values={
            "chat": None if first["limited"] else shown,
            "limited": first["limited"],
            "chats": chats,
        },
    )


def _reply(
    context: Context, options: ChatOptions, url: str, key: str, wait: WaitBudget
) -> ChatReply | None:
    """None where the gateway is at its limit."""
    try:
        return ask_through_poc(
            lambda: ask(context.transport, url, key, options),
            wait,
            max(context.params["wait_interval"], 5),
            context.warn,
        )
    except RateLimitedError as exc:
        if not at_its_limit(exc):
            raise
        context.warn(
            f"the gateway is at its limit and serves other clients, so no reply was tried: {exc}"
        )
        return None


def main() -> None:
    run_module(SPEC, work)


if __name__ == "__main__":
    main()
