# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""What clients get. Pure."""

from __future__ import annotations

import typing as t

from .scene import REDIRECT, SITE, Data, Finding, Scene, Severity, danger, listed, unknown, warning

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def clients_of(scene: Scene, models: Sequence[Data]) -> dict[str, t.Any]:
    """Whether a client is served, and why not."""
    state, why, to = _reached(scene)
    if state != "served":
        return {"state": state, "why": why, "to": to}
    served = [model["id"] for model in models if model["served"]]
    if len(served) == len(models):
        return {"state": "served", "why": "", "to": None}
    unsure = [model["id"] for model in models if model["served"] is None]
    if unsure:
        return {
            "state": "not known",
            "why": f"whether the escrows for {listed(unsure)} can be used is not known",
            "to": None,
        }
    if served:
        return {"state": "partly", "why": f"only {listed(served)} served", "to": None}
    return {"state": "turned away", "why": "no wanted model is served", "to": None}


def _reached(scene: Scene) -> tuple[str, str, str | None]:
    """How far a client comes: to a gateway that answers, elsewhere, or nowhere."""
    if scene.seen is None:
        return "not known", scene.seen_error, None
    route = scene.route
    if route is None:
        why = scene.part("route") or "the public route was not asked"
        nginx = scene.seen["nginx"]
        if nginx not in (None, "active", "running") and not scene.direct:
            return "nobody", f"nginx is {nginx}", None
        gone = "refused" in why or "within the" in why or "certificate" in why
        return ("nobody" if gone else "not known"), why, None
    if 300 <= route["status"] < 400:
        return _sent(route)
    return _answered(route, direct=scene.direct)


def _answered(route: Data, *, direct: bool) -> tuple[str, str, str | None]:
    if route["status"] in (502, 503, 504):
        return "nobody", f"the edge returns {route['status']}: no gateway behind it answers", None
    if route["status"] != 200:
        return "nobody", f"{route['url']} answers {route['status']}: {route['message']}", None
    if route["slot"] is None and not direct:
        why = f"{route['url']} does not name the slot, so it is not known which gateway answers"
        return "not known", why, None
    if route["chat"] in (404, 405) or route["chat"] >= 500 or 300 <= route["chat"] < 400:
        return "nobody", f"the path for chats answers {route['chat']}", None
    return "served", "", None


def _sent(route: Data) -> tuple[str, str, str | None]:
    target = route["target"]
    if target and target == route["url"].replace("http://", "https://", 1):
        why = f"the edge sends HTTP to {target}: set devshard_client_base_url to it"
        return "not known", why, None
    return "redirected", "", target or "no address"


def client_findings(scene: Scene, clients: Data) -> Iterator[Finding]:
    state, why = clients["state"], clients["why"]
    meant = scene.redirect
    if state == "redirected":
        if meant is None:
            yield danger(
                "clients",
                f"clients are sent to {clients['to']} by a disabled state that the playbook"
                " redirect did not set",
                f"{REDIRECT} -e redirect_enabled=false",
            )
        elif not meant["exists"]:
            yield warning("clients", f"clients are sent to {clients['to']} by the gateway alone")
        else:
            yield Finding(
                severity=Severity.OK,
                about="clients",
                text=f"clients are redirected to {clients['to']} by the playbook redirect",
            )
        return
    if meant is not None:
        yield danger(
            "clients",
            f"a redirect to {meant['base_url']} is set up, but clients are not sent there",
            f"{REDIRECT} -e redirect_enabled=true -e redirect_base_url={meant['base_url']}",
        )
    if state == "not known":
        # the parts and the models say it too; the verdict must not depend on that
        yield unknown("clients", f"whether clients are served is not known: {why}")
    elif state == "nobody":
        yield danger("clients", f"no client is served: {why}", SITE)
    elif scene.route is not None and scene.route["chat"] == 429:
        yield warning("clients", "the gateway is at its limit and refuses some requests (429)")


def accounting_findings(scene: Scene, clients: Data) -> Iterator[Finding]:
    """Whether dashboards get what ``edge_accounting`` promises them. No request and no coin depends
    on it, so it is never more than a warning."""
    if not scene.asked("accounting") or clients["state"] in ("redirected", "nobody"):
        return
    found, why = (scene.seen or {})["accounting"], scene.part("accounting")
    if found is None:
        yield warning("accounting", f"the public accounting could not be asked: {why}")
    elif found["status"] == 200 and found["schema"] is not None:
        return
    elif found["status"] != 503:
        what = "200, but not with an accounting" if found["status"] == 200 else found["status"]
        yield warning("accounting", f"{found['url']} answers {what}", SITE)
    elif scene.swap is not None:
        yield warning("accounting", "the accounting is not public while the gateway is replaced")
    else:
        yield warning(
            "accounting",
            f"{found['url']} answers 503: the gateway does not answer for its accounting. Its log"
            " says why, in a line with 'start accounting server'",
        )
