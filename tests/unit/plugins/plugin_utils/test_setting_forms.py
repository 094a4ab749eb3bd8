# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The form of each setting: one sentence for each that is wrong, with its name and its value."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.gonka.devshard.plugins.plugin_utils._setting_forms import (
    FORMS,
    ON_THE_CONTROLLER,
    form_faults,
)
from ansible_collections.gonka.devshard.plugins.plugin_utils._settings import faults_of

ROLES: t.Final = Path(__file__).resolve().parents[4] / "roles"
# has a rule of its own, since it must not be the gateway's port either
ELSEWHERE: t.Final = {"gateway_accounting_port"}
# for a restore that an operator asks for by an escrow's nonce and by another storage
ASKED: t.Final = {"backup_force", "backup_from_storage"}


def spec_of(role: str) -> dict[str, dict[str, t.Any]]:
    """The options of all entry points of a role."""
    text = (ROLES / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    options: dict[str, dict[str, t.Any]] = {}
    for entry in yaml.safe_load(text)["argument_specs"].values():
        options |= entry.get("options") or {}
    return options


def of_type(*types: str) -> dict[str, str]:
    """The settings of these types, with their role."""
    return {
        name: role.name
        for role in sorted(ROLES.iterdir())
        for name, option in spec_of(role.name).items()
        if option.get("type") in types
    }


def test_every_number_has_its_least_value() -> None:
    lacking = {
        name
        for name, role in of_type("int", "float").items()
        if name not in FORMS.get(role, {}) and name not in ELSEWHERE | ASKED
    }
    assert lacking == set()


def test_every_path_on_a_host_is_absolute() -> None:
    lacking = {
        name
        for name, role in of_type("path").items()
        if name not in FORMS.get(role, {}) and name not in ON_THE_CONTROLLER | ASKED
    }
    assert lacking == set()
    assert set(of_type("path")) >= ON_THE_CONTROLLER


def test_every_form_is_about_a_setting_of_its_role() -> None:
    assert {(role, name) for role, forms in FORMS.items() for name in forms} == {
        (role, name) for role, forms in FORMS.items() for name in forms if name in spec_of(role)
    }


def test_the_default_of_every_setting_has_its_form() -> None:
    for role in FORMS:
        file = ROLES / role / "defaults" / "main.yml"
        defaults = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        plain = {name: value for name, value in defaults.items() if "{{" not in str(value)}
        assert form_faults(role, plain) == []


@pytest.mark.parametrize(
    ("role", "name", "value", "fault"),
    [
        # a swap would have paid for its escrow by the time that the drain refuses it
        ("hot_swap", "hot_swap_drain_polls", 0, "a whole number, 1 or more, not 0"),
        ("hot_swap", "hot_swap_confirmations", -1, "a whole number, 1 or more, not -1"),
        (
            "hot_swap",
            "hot_swap_wait_timeout",
            "5m",
            "a whole number of seconds, 1 or more, not 5m",
        ),
        ("hot_swap", "hot_swap_temp_count", 0, "a whole number, 1 or more, not 0"),
        # clients would be turned away by then
        (
            "retire",
            "retire_wait_timeout",
            0,
            "a whole number of seconds, 1 or more, not 0",
        ),
        ("edge", "edge_http_port", 99999, "a whole number from 1 to 65535, not 99999"),
        (
            "edge",
            "edge_proxy_timeout",
            "1799s",
            "seconds with the unit s, 1800s or more, so that no stream is cut, not 1799s",
        ),
        (
            "edge",
            "edge_proxy_timeout",
            "3600",
            "seconds with the unit s, 1800s or more, so that no stream is cut, not 3600",
        ),
        ("edge", "edge_accounting_max_age", 0, "a whole number of seconds from 1 to 300, not 0"),
        ("edge", "edge_accounting_rate", -1, "a whole number from 0 to 100000, not -1"),
        (
            "devshard",
            "devshard_deploy_dir",
            "srv/gw",
            "an absolute path of letters, digits and ._-, not srv/gw",
        ),
        ("gateway", "gateway_image", "Foo Bar", "NAME:TAG or NAME@sha256:DIGEST, not Foo Bar"),
        (
            "monitoring",
            "monitoring_keep_samples",
            1,
            "a whole number, 2 or more, not 1",
        ),
        (
            "notify",
            "notify_mail_to",
            ["a@b", "nobody"],
            "a list whose entries are mail addresses, not a@b, nobody",
        ),
        (
            "schedule",
            "schedule_name",
            "Nightly",
            "small letters, digits and dashes, not Nightly",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_value(
    role: str, name: str, value: object, fault: str
) -> None:
    assert form_faults(role, {name: value}) == [f"{name} must be {fault}"]


@pytest.mark.parametrize(
    ("role", "name", "value"),
    [
        # as every module takes a number
        ("hot_swap", "hot_swap_window_timeout", 14400.0),
        ("hot_swap", "hot_swap_window_timeout", "14400.0"),
        ("hot_swap", "hot_swap_window_timeout", " 14400"),
        # the module judges it where rotation is to be on
        ("rotation", "rotation_temp_count", 0),
        ("backup", "backup_dir", "/mnt/My Disk/backups"),
        ("retire", "retire_archive_dir", "/mnt/My Disk/é"),
        ("hot_swap", "hot_swap_archive_dir", "/mnt/a 'b'"),
        ("adopt", "adopt_backup_dir", "/mnt/My Disk"),
        ("devshard", "devshard_ca_path", "/etc/My CA/all.pem"),
        # the controller finds it by PATH
        ("notify", "notify_mail_program", "msmtp"),
        # an empty text counts as not set
        ("notify", "notify_mail_to", ""),
    ],
)
def test_what_works_is_not_refused(role: str, name: str, value: object) -> None:
    assert form_faults(role, {name: value}) == []


@pytest.mark.parametrize(
    ("role", "name"),
    [
        ("edge", "edge_http_port"),
        ("edge", "edge_https_port"),
        ("edge", "edge_accounting_max_age"),
        ("edge", "edge_accounting_rate"),
        ("creator", "creator_fee_amount"),
        ("rotation", "rotation_temp_count"),
        ("gateway", "gateway_log_max_files"),
        ("gateway", "gateway_max_tokens_cap"),
        ("gateway", "gateway_wait_timeout"),
    ],
)
def test_a_number_that_is_written_as_it_is_has_no_decimal_point(role: str, name: str) -> None:
    assert form_faults(role, {name: 80}) == form_faults(role, {name: "80"}) == []
    for value in (80.0, "80.0", " 80"):
        (fault,) = form_faults(role, {name: value})
        assert fault.endswith(f", not {value}")


@pytest.mark.parametrize(
    "value", [True, 1.5, "1.5", "nan", "inf", float("inf"), float("nan"), "", "many", [1], {}]
)
def test_what_is_no_whole_number_is_refused(value: object) -> None:
    assert len(form_faults("hot_swap", {"hot_swap_drain_polls": value})) == 1


@pytest.mark.parametrize("value", ["relative dir", "/a\nb", "/a\x7f", "/"])
def test_a_folder_is_absolute_and_without_control_characters(value: str) -> None:
    (fault,) = form_faults("backup", {"backup_dir": value})
    assert "an absolute path without control characters" in fault


@pytest.mark.parametrize("value", ["1800s", "1900s", "2000s", "3600s", "9999s", "10000s", "86400s"])
def test_a_long_time_for_a_stream_is_allowed(value: str) -> None:
    assert form_faults("edge", {"edge_proxy_timeout": value}) == []


def test_what_is_wrong_is_said_once() -> None:
    (fault,) = faults_of(
        "hot_swap",
        {"hot_swap_drain_polls": "many", "hot_swap_image": "a:b"},
        {"hot_swap_drain_polls": {"type": "int"}, "hot_swap_image": {"type": "str"}},
    )
    assert fault == "hot_swap_drain_polls must be a whole number, 1 or more, not many"


@pytest.mark.parametrize(
    ("role", "values", "fault"),
    [
        ("hot_swap", {}, "hot_swap_image is not set, and neither is gateway_image"),
        (
            "hot_swap",
            {"hot_swap_image": "a:b", "hot_swap_slot": "temp"},
            "hot_swap_slot is temp, which needs hot_swap_mode: pool",
        ),
        (
            "hot_swap",
            {
                "hot_swap_image": "a:b",
                "hot_swap_mode": "generation",
                "hot_swap_temp_escrows": "settle",
            },
            "hot_swap_temp_escrows must be import for a move",
        ),
        (
            "hot_swap",
            {"hot_swap_image": "a:b", "hot_swap_via": "reload"},
            "hot_swap_alias_path is not set",
        ),
        (
            "hot_swap",
            {"hot_swap_image": "a:b", "hot_swap_create_via": "gateway"},
            "hot_swap_creator is not set",
        ),
        (
            "edge",
            {"edge_public_paths": ["/v1/models", "/v1/admin/state", "/a b"]},
            "edge_public_paths names /v1/admin/state, /a b. Each must be a plain path",
        ),
        # a template would take a text by its characters
        *(
            (
                "edge",
                {"edge_public_paths": paths},
                "edge_public_paths must be a list, also where it has one path",
            )
            for paths in ("/v1/models", "", None, 5)
        ),
        ("edge", {"edge_tls_key": "/k"}, "edge_tls_key is set and edge_tls_certificate is not"),
        # the roles take a certificate that is null for one
        (
            "edge",
            {"edge_tls_certificate": None},
            "edge_tls_certificate is set and edge_tls_key is not",
        ),
        (
            "edge",
            {"edge_tls_certificate": "/c", "edge_tls_key": None},
            "edge_tls_key is empty. Set both edge_tls_certificate and edge_tls_key, or remove both",
        ),
        (
            "gateway",
            {"gateway_default_max_tokens": 9000, "gateway_max_tokens_cap": "4096"},
            "gateway_default_max_tokens (9000) must not be more than gateway_max_tokens_cap (4096)",
        ),
        ("notify", {}, "notify_webhook_url and notify_mail_to are not set"),
        ("schedule", {}, "schedule_inventory is not set"),
    ],
)
def test_what_does_not_go_together_is_named(
    role: str, values: dict[str, t.Any], fault: str
) -> None:
    (found,) = faults_of(role, values, {name: {"type": "raw"} for name in values})
    assert found.startswith(fault)


@pytest.mark.parametrize(
    ("role", "values"),
    [
        ("hot_swap", {"hot_swap_rollback": True}),
        ("hot_swap", {"gateway_image": "a:b", "hot_swap_slot": "temp", "hot_swap_mode": "pool"}),
        ("edge", {"edge_tls_key": "/k", "edge_tls_certificate": "/c"}),
        ("edge", {"edge_public_paths": ["/v1/chat/completions", "/v1/models", "/v1/status"]}),
        ("gateway", {"gateway_default_max_tokens": 4096, "gateway_max_tokens_cap": 4096}),
        ("notify", {"notify_webhook_url": "https://hooks.example.org/x"}),
        ("notify", {"notify_mail_to": ["ops@example.org"]}),
        ("schedule", {"schedule_state": "absent"}),
    ],
)
def test_what_goes_together_is_fine(role: str, values: dict[str, t.Any]) -> None:
    kinds = {bool: "bool", int: "int", list: "list"}
    options = {name: {"type": kinds.get(type(value), "str")} for name, value in values.items()}
    assert faults_of(role, values, options) == []


def test_a_webhook_that_is_not_a_url_is_not_shown() -> None:
    secret = "hooks.example.org/T0KEN"
    (fault,) = faults_of("notify", {"notify_webhook_url": secret}, {})
    assert fault == "notify_webhook_url must be an http or https URL"
