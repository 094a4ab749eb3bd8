# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""Waits for a gateway that was started."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._core.errors import DevshardError
from .._core.exchange import Request
from .._core.keys import SECRETS
from .._core.transport import base_url
from .._gateway.wait import SHOWN, GatewayAnswer, GatewayWait, last_lines
from .._host import docker

if t.TYPE_CHECKING:
    from .._adapter import Context
    from .._host.docker import Container


@dataclass(frozen=True, kw_only=True, slots=True)
class _Options:
    gateway_url: str
    container_name: str
    timeout_variable: str
    request_timeout: int
    wait_interval: float


def wait_until_up(context: Context, *, health_check: bool) -> float:
    """Seconds that were waited. In check mode nothing was started, so there is nothing to wait for.

    For a module with the options of starting, HTTP and waiting.
    """
    options = context.read(_Options)
    url = base_url(options.gateway_url, "devshard_gateway_url (gateway_url)")
    name = options.container_name
    context.need_docker()
    environment = context.environment or {}
    secrets = [
        part.strip()
        for variable in SECRETS
        for part in str(environment.get(variable) or "").split(",")
    ]

    def answers(left: float) -> GatewayAnswer:
        timeout = max(0.1, min(options.request_timeout, left))
        request = Request(method="GET", url=f"{url}/v1/status", timeout=timeout, retry=False)
        try:
            status = context.transport.send(request).status
        except DevshardError as exc:
            return GatewayAnswer(problem=str(exc))
        # one that redirects its clients is up
        up = status in (200, 308)
        return GatewayAnswer(problem=None if up else f"{request.where} answers HTTP {status}")

    def checks(container: Container, left: float) -> bool:
        if not container.health_command:
            return False
        timeout = max(1, min(options.request_timeout, int(left)))
        try:
            return docker.execute(name, container.health_command, timeout)[0] == 0
        except DevshardError:
            # the engine's own check says why, in the container's state
            return False

    wait = GatewayWait(
        name=name,
        url=url,
        look=lambda: docker.inspect(name),
        answers=answers,
        checks=checks if health_check else None,
        # some lines are empty
        log=lambda: last_lines(docker.log(name, 4 * SHOWN), secrets),
        deadline=context.deadline(),
        interval=options.wait_interval,
        option=options.timeout_variable,
    )
    return 0.0 if context.check_mode else wait.run()
