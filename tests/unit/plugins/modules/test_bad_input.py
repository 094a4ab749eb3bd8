# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""What is wrong, where, and what to do about it; and nothing was changed."""

from __future__ import annotations

import functools
import json
import typing as t
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core import transport
from ansible_collections.gonka.devshard.plugins.module_utils._core.keys import CURVE_ORDER
from ansible_collections.gonka.devshard.plugins.module_utils._core.transport import HttpTransport
from ansible_collections.gonka.devshard.tests.unit.plugins.http_server import (
    Server,
    html_answer,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_run import failed
from ansible_collections.gonka.devshard.tests.unit.plugins.modules.site import Site

Params = dict[str, t.Any]
OTHER = "gonka15jz7yqwxuv4eu8l6cysfrgslcyvh7f3ykf8ykp"
GONE = "http://127.0.0.1:1"
KEY = "0f1e2d3c4b5a69788796a5b4c3d2e1f0" * 2


def nothing(_site: Site) -> None:
    """Only the arguments are wrong."""


@dataclass(frozen=True)
class Case:
    name: str
    module: str
    params: Callable[[Site], Params]
    told: tuple[str, ...]
    kind: str = "configuration"
    prepare: Callable[[Site], object] = nothing


def in_env(**more: str | None) -> Callable[[Site], object]:
    """The environment file with some lines changed or, with None, without them."""

    def write(site: Site) -> None:
        wanted = {**site.secrets, **more}
        site.write_env({name: value for name, value in wanted.items() if value is not None})

    return write


def no_env(site: Site) -> None:
    site.env_file.unlink()


def text_in_env(text: str) -> Callable[[Site], object]:
    return lambda site: site.env_file.write_text(text)


def key(**more: t.Any) -> Callable[[Site], Params]:
    return lambda site: {"env_file": str(site.env_file), **site.inferenced(), **more}


def env(**more: t.Any) -> Callable[[Site], Params]:
    return lambda site: {"path": str(site.env_file), "variables": {"A": "1"}, **more}


def settings(**more: t.Any) -> Callable[[Site], Params]:
    return lambda site: {**site.admin(), **more}


def listed(**more: t.Any) -> Callable[[Site], Params]:
    return lambda site: {**site.chain(), **site.inferenced(), "address": site.creator, **more}


def creator(**more: t.Any) -> Callable[[Site], Params]:
    return lambda site: {**site.chain(), **site.inferenced(), **more}


def chat(**more: t.Any) -> Callable[[Site], Params]:
    return lambda site: {
        "base_url": site.net.ready["gateway"],
        "model": site.model,
        "env_file": str(site.env_file),
        **more,
    }


def escrow(**more: t.Any) -> Callable[[Site], Params]:
    return lambda site: site.escrow(**more)


def poor(site: Site) -> None:
    site.import_key()
    site.net.fund(4_000_000_000)


def new_keys(*actions: str, name: str | None = "one", **more: t.Any) -> Callable[[Site], Params]:
    given = {"name": name, "actions": list(actions), **more}
    return lambda site: {"env_file": str(site.env_file), **given}


def broken_keys(site: Site) -> None:
    site.env_file.with_name(f"{site.env_file.name}.rotation.json").write_text("{")


def unlisted(site: Site) -> None:
    site.import_key()
    site.net.chain.post("/chain/allowlist", {"addresses": [OTHER]})


def not_listed(site: Site) -> None:
    site.net.chain.post("/chain/allowlist", {"addresses": [OTHER]})


def stale(site: Site) -> None:
    site.net.chain.post("/chain", {"stale_seconds": 500})


def old_block_for_money(site: Site) -> None:
    site.import_key()
    stale(site)


def catching_up(site: Site) -> None:
    site.net.chain.post("/chain", {"catching_up": True})


def fault(**rule: t.Any) -> Callable[[Site], object]:
    return lambda site: site.net.chain.post("/faults", {"service": "chain", **rule})


WHERE = "DEVSHARD_PRIVATE_KEY: "
CASES = [
    # the key
    Case("62 digits", "creator_key", key(), (WHERE, "exactly 64", "it has 62"), prepare=in_env(
        DEVSHARD_PRIVATE_KEY=KEY[:62])),
    Case("0x", "creator_key", key(), (WHERE, "begins with 0x", "64 hexadecimal digits alone"),
         prepare=in_env(DEVSHARD_PRIVATE_KEY="0x" + KEY)),
    Case("0x in an option", "creator_key", key(private_key="0x" + KEY), ("begins with 0x",)),
    Case("zero", "creator_key", key(private_key="0" * 64), ("above 0 and below",)),
    Case("above the curve", "creator_key", key(private_key=f"{CURVE_ORDER:x}"),
         ("above 0 and below",)),
    Case("no key in the file", "creator_key", key(), ("config.devshard.env does not set DEVSHARD_P",),
         prepare=in_env(DEVSHARD_PRIVATE_KEY=None)),
    Case("empty key in the file", "creator_key", key(), ("does not set DEVSHARD_PRIVATE_KEY",),
         prepare=in_env(DEVSHARD_PRIVATE_KEY="")),
    Case("no file", "creator_key", key(), ("there is no ", "Set devshard_env_file (env_file)"),
         prepare=no_env),
    Case("another address", "creator_key", key(address=OTHER),
         ("belongs to gonka1", f"but {OTHER} is expected", "Nothing was imported")),
    Case("no program", "creator_key", key(inferenced_path="/nowhere/inferenced"),
         ("no program /nowhere/inferenced", "role gonka.devshard.inferenced")),
    Case("a program of another machine", "creator_key", key(inferenced_path="/etc/hostname"),
         ("/etc/hostname cannot be run",)),
    # the environment file
    Case("short key", "gateway_env", env(private_key=KEY[:62]), (WHERE, "it has 62"),
         prepare=no_env),
    Case("key with 0x", "gateway_env", env(private_key="0x" + KEY), (WHERE, "begins with 0x"),
         prepare=no_env),
    Case("another creator's key", "gateway_env", env(private_key=KEY),
         ("holds another creator key", "no longer be settled", "gonka.devshard.retire")),
    *(
        Case(f"{what} in {option}", "gateway_env", env(**{option: value}), told, prepare=no_env)
        for option in ("api_keys", "admin_api_key")
        for what, value, told in (
            ("nothing", "", ("is empty", "leave it out")),
            ("newline", "sk-0123456789abcdef\nX=1", ("the options: DEVSHARD_A", "a line break")),
            ("quote", "sk-0123456789'abcdef", ("the options: DEVSHARD_A", "a quote")),
            ("double quote", 'sk-0123456789"abcdef', ("the options: DEVSHARD_A", "a quote")),
            ("few characters", "sk-1", ("has 4 characters", "at least 16")),
        )
    ),
    Case("empty secret in the file", "gateway_env", env(), ("env: DEVSHARD_API_KEYS is empty",),
         prepare=in_env(DEVSHARD_API_KEYS="")),
    Case("no gateway whose keys are replaced", "gateway_keys", new_keys("admin"),
         ("no gateway is deployed here", "gonka.devshard.site"), prepare=no_env),
    Case("two things with the keys of clients", "gateway_keys", new_keys("client_add", "client_drop"),
         ("client_add and client_drop",)),
    Case("no name of a rotation", "gateway_keys", new_keys("admin", name="a b"), ("got 'a b'",)),
    Case("a rotation without a name", "gateway_keys", new_keys("admin", name=None),
         ("rotate_keys_name is not set", "-e rotate_keys_name=")),
    Case("keys of a pair", "gateway_keys", new_keys("admin", swap_mode="pool"),
         ("no key was made", "hot_swap_mode=pool", "gateway_admin_api_key")),
    Case("keys whose order nobody knows", "gateway_keys", new_keys("client_drop"),
         ("client_drop keeps only the first key", "Run client_add first"),
         prepare=in_env(DEVSHARD_API_KEYS="sk-0123456789abcdef,sk-fedcba9876543210")),
    Case("keys that wait unreadably", "gateway_keys", new_keys("admin"),
         ("rotation.json cannot be read", "rotate_keys_name"), kind="unknown", prepare=broken_keys),
    Case("keys that wait unreadably for the file", "gateway_env", env(),
         ("rotation.json cannot be read", "rotate_keys_name"), kind="unknown", prepare=broken_keys),
    Case("secret among the variables", "gateway_env",
         env(variables={"DEVSHARD_ADMIN_API_KEY": "sk-0123456789abcdef"}),
         ("DEVSHARD_ADMIN_API_KEY must not be given as plain", "use the options")),
    Case("quote in a value", "gateway_env", env(variables={"A": "it's"}),
         ("the value of A contains a single quote",)),
    Case("line break in a value", "gateway_env", env(variables={"A": "1\n2"}), ("line break",)),
    Case("null", "gateway_env", env(variables={"A": None}), ("variables.A must be", "NoneType")),
    Case("a list", "gateway_env", env(variables={"A": [1]}), ("variables.A must be", "to_json")),
    Case("a name", "gateway_env", env(variables={"A B": "1"}), ("'A B' is not a valid name",)),
    Case("no directory", "gateway_env", env(path="/nowhere/at/all/x.env"),
         ("there is no directory /nowhere/at/all",)),
    Case("a directory", "gateway_env", env(path="/etc"), ("/etc cannot be read",)),
    Case("a line of another tool", "gateway_env", env(), ("env, line 2: this is not a NAME=VALUE",),
         prepare=text_in_env("A=1\nset -x\n")),
    Case("what a shell expands", "gateway_env", env(), ("line 1: the shell or Compose would",),
         prepare=text_in_env('B="$HOME/x"\n')),
    # the chain
    *(
        Case(name, module, params(**more), told, kind, prepare)
        for module, params in (("allowlist", listed), ("creator_info", creator))
        for name, more, told, kind, prepare in (
            ("chain unreachable", {"chain_rest": GONE}, ("the connection was refused",),
             "unknown" if module == "allowlist" else "transport", nothing),
            ("chain unknown", {"chain_rest": "http://node.invalid"}, ("cannot be resolved",),
             "unknown" if module == "allowlist" else "transport", nothing),
            ("old block", {}, ("is behind", "seconds old (the limit is 120)",
             "Use another node, and check this host's clock"), "unknown", stale),
            ("node that catches up", {}, ("is behind", "it is still catching up"), "unknown",
             catching_up),
            ("another chain", {"chain_id": "gonka-mainnet"},
             ("serves chain gonka-sim, but gonka-mainnet is expected (devshard_chain_id)",),
             "configuration", nothing),
            ("web page", {}, ("returned a web page, not JSON; is the URL right?",),
             "unknown" if module == "allowlist" else "protocol",
             fault(action="html", status=200)),
            ("half an answer", {}, ("the answer is not complete JSON",),
             "unknown" if module == "allowlist" else "protocol", fault(action="truncate")),
            ("password in a URL", {"chain_rest": "http://user:hunter2-hunter2@node.example.org"},
             ("devshard_chain_rest (chain_rest) must not contain a user name",), "configuration", nothing),
            ("no URL", {"public_api": "node.example.org"},
             ("devshard_public_api (public_api) must be an http or https URL such as",), "configuration", nothing),
            ("no time", {"request_timeout": 0}, ("request_timeout must be more than 0, got 0",),
             "configuration", nothing),
            ("no age", {"max_block_age": 0}, ("max_block_age must be more than 0",),
             "configuration", nothing),
            ("no certificates", {"ca_path": "/nowhere/ca.pem"}, ("devshard_ca_path (ca_path): /nowhere/ca.pem does",
             "not exist on this host"), "configuration", nothing),
        )
    ),
    Case("rate limited", "creator_info", creator(), ("got 429",), "rate_limited",
         fault(action="status", status=429, body='{"message": "slow down"}')),
    Case("another key in the keyring", "creator_info", creator(address=OTHER),
         ("the key in the keyring belongs to gonka1", f"but {OTHER} is asked about (address)"),
         prepare=Site.import_key),
    Case("not listed", "allowlist", listed(),
         ("is not on the chain's list", "do not fund it yet", "governance vote", "after the vote"),
         "not_listed", not_listed),
    Case("no address", "allowlist", listed(address=None),
         ("there is no address to ask about", "gonka.devshard.creator_key")),
    Case("no interval", "allowlist", listed(wait=True, wait_interval=0),
         ("wait_interval must be more than 0",)),
    # the gateway
    Case("gateway unreachable", "gateway_settings", settings(gateway_url=GONE),
         ("the connection was refused",), "transport"),
    Case("different admin key", "gateway_settings", settings(), ("got 401: Invalid admin API key",
         "different admin key", "gateway_admin_api_key", "DEVSHARD_ADMIN_API_KEY"), "authentication",
         in_env(DEVSHARD_ADMIN_API_KEY="sk-0123456789abcdef")),
    Case("no admin key", "gateway_settings", settings(), ("does not set DEVSHARD_ADMIN_API_KEY",),
         prepare=in_env(DEVSHARD_ADMIN_API_KEY=None)),
    Case("no environment file", "gateway_info", settings(), ("there is no ",
         "Set devshard_env_file (env_file)"), prepare=no_env),
    Case("another generation", "gateway_info", settings(gateway_profile="v9"),
         ("no gateway profile 'v9'", "knows: v2, v3, v4, v4.1")),
    Case("a key that no header can carry", "gateway_info", settings(admin_api_key="a\nb"),
         ("the gateway's admin key is empty, or holds",)),
    Case("unknown setting", "gateway_settings", settings(settings={"max_requests": 5}),
         ("has no setting max_requests", "ignore it without an error", "max_concurrent_requests")),
    Case("setting of another type", "gateway_settings",
         settings(settings={"request_max_tokens_cap": "many"}),
         ("request_max_tokens_cap: the gateway holds int, got str",)),
    Case("a model twice", "gateway_settings",
         settings(model_limits=[{"model_id": "a"}, {"model_id": "a"}]), ("names a twice",)),
    Case("limits the gateway refuses", "gateway_settings",
         settings(settings={"request_max_tokens_cap": 1}),
         ("got 400: default_request_max_tokens must be <= request_max_tokens_cap",), "protocol"),
    Case("port", "gateway_drift_info", lambda s: {
        "container_name": "x", "image": "x", "env_file": str(s.env_file), "storage": "/x",
        "port": 70000}, ("port must be from 1 to 65535, got 70000",)),
    # chat
    Case("closed model", "chat_completion", chat(), ("got 401", "requires an admin API key",
         "set access_mode of the model in devshard_models"), "authentication"),
    Case("no edge", "chat_completion", chat(base_url=GONE),
         ("/v1/chat/completions: the connection was refused",), "transport"),
    Case("no client key", "chat_completion", chat(), ("does not set DEVSHARD_API_KEYS",),
         prepare=in_env(DEVSHARD_API_KEYS=None)),
    Case("no tokens", "chat_completion", chat(max_tokens=0), ("max_tokens must be more than 0",)),
    Case("with a query", "chat_completion", chat(base_url="http://x/?a=b"),
         ("devshard_client_base_url (base_url) must not contain '?' or '#'",)),
    # money
    Case("amount too small", "escrow", escrow(amount=49_999_999), ("amount", "49999999"), "unsafe",
         prepare=Site.import_key),
    Case("amount too large", "escrow", escrow(amount=10**12), ("amount", str(10**12)), "unsafe",
         prepare=Site.import_key),
    Case("unknown model", "escrow", escrow(model_id="no/such"), ("no/such",), "unsafe", prepare=Site.import_key),
    Case("creator not listed", "escrow", escrow(), ("allow",), "unsafe", unlisted),
    Case("wallet short", "escrow", escrow(), ("4000000000", "missing"), "unsafe", poor),
    Case("old block for money", "escrow", escrow(), ("is behind",), "unknown",
         old_block_for_money),
    Case("other chain for money", "escrow", escrow(chain_id="gonka-mainnet"),
         ("serves chain gonka-sim",), prepare=Site.import_key),
]  # fmt: skip


# what the other side refuses is sent once
SENT = {"limits the gateway refuses", "closed model"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.module}: {case.name}")
def test_bad_input(case: Case, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    no_sleep = functools.partial(HttpTransport, sleep=lambda _seconds: None)
    monkeypatch.setattr(transport, "HttpTransport", no_sleep)
    case.prepare(site)
    params = case.params(site)
    site.net.forget()
    files = site.snapshot()
    run = failed(case.module, params)
    for words in case.told:
        assert words in run.msg
    assert run.kind == case.kind
    assert run.result["failure"]["message"] == run.msg
    # these two, and before ansible-core 2.19 a traceback; an object is printed with each cause
    assert run.output.count(json.dumps(run.msg)[1:-1]) <= 3
    assert run.result["changed"] is False
    assert len(site.net.writes()) == (1 if case.name in SENT else 0)
    assert {k: v for k, v in site.snapshot().items() if not k.startswith("state")} == files
    for secret in (KEY, "hunter2", *site.secrets.values()):
        assert secret not in run.output


def test_a_web_page_instead_of_a_gateway(site: Site, server: Server) -> None:
    server.answers(html_answer("<html>Welcome to nginx</html>"))
    run = failed("gateway_info", {**site.admin(), "gateway_url": server.url})
    assert "returned a web page, not JSON; is the URL right?" in run.msg
    assert run.kind == "protocol"


def test_limits_that_contradict_are_refused_in_check_mode_too(site: Site) -> None:
    params = settings(settings={"nonsense": 1})(site)
    assert (
        failed("gateway_settings", params, check=True).msg == failed("gateway_settings", params).msg
    )


def test_a_program_needs_root(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_args: object) -> t.NoReturn:
        raise PermissionError(13, "Permission denied", str(site.env_file))

    site.env_file.unlink()
    monkeypatch.setattr(
        "ansible_collections.gonka.devshard.plugins.module_utils._wiring.gateway_env.write_private",
        denied,
    )
    run = failed("gateway_env", env()(site))
    assert run.msg.startswith(f"{site.env_file}: permission denied. Run with become: true")


def test_a_full_disk_is_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object) -> t.NoReturn:
        raise OSError(28, "No space left on device", str(site.env_file))

    site.env_file.unlink()
    monkeypatch.setattr(
        "ansible_collections.gonka.devshard.plugins.module_utils._wiring.gateway_env.write_private",
        full,
    )
    run = failed("gateway_env", env()(site))
    assert run.msg.startswith(
        f"{site.env_file}: No space left on device. Make room and run this again"
    )
