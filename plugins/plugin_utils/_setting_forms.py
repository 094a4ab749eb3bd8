# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This file is private to the collection.

"""The form that each setting of a role must have. Pure: values in, sentences out.

What a number must be stands here and not in the module that uses it, because a role may come to that
module only after it has paid for an escrow or turned clients away.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ansible.module_utils.common.validation import check_type_int

Values = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class Number:
    """A whole number, as modules take one."""

    least: int
    most: int | None = None
    unit: str = ""
    # into a file or to a filter, where 80.0 is not 80
    written: bool = False

    def fits(self, value: object) -> bool:
        found = _written(value) if self.written else _taken(value)
        return (
            found is not None and self.least <= found and (self.most is None or found <= self.most)
        )

    def __str__(self) -> str:
        unit = f" of {self.unit}" if self.unit else ""
        if self.most is not None:
            return f"a whole number{unit} from {self.least} to {self.most}"
        return f"a whole number{unit}, {self.least} or more"


def _written(value: object) -> int | None:
    text = str(value)
    return int(text) if re.fullmatch(r"-?[0-9]+", text) is not None else None


def _taken(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    try:
        found: int = check_type_int(value)
    except (TypeError, OverflowError, ValueError):
        return None
    return found


@dataclass(frozen=True)
class Text:
    """A text that matches a pattern as a whole."""

    pattern: str
    wanted: str

    def fits(self, value: object) -> bool:
        return re.fullmatch(self.pattern, str(value)) is not None

    def __str__(self) -> str:
        return self.wanted


@dataclass(frozen=True)
class Each:
    """A list whose entries have a form. An empty text counts as not set."""

    entry: Text

    def fits(self, value: object) -> bool:
        return value == "" or (
            isinstance(value, (list, tuple)) and all(self.entry.fits(item) for item in value)
        )

    def __str__(self) -> str:
        return f"a list whose entries are {self.entry}"


Form = Number | Text | Each

_SECONDS: t.Final = Number(1, unit="seconds")
_PORT: t.Final = Number(1, 65535, written=True)
_COUNT: t.Final = Number(0)
_FEE: t.Final = Number(1, unit="ngonka")
_GAS: t.Final = Number(1, unit="gas")
_PLACE: t.Final = Text(r"/[A-Za-z0-9._/-]+", "an absolute path of letters, digits and ._-")
# of files that others make
_PATH: t.Final = Text(r"/[^\s'\"\\$;{}%]+", "an absolute path without spaces and quotes")
# of files that only modules use
_FOLDER: t.Final = Text(r"/[^\x00-\x1f\x7f]+", "an absolute path without control characters")
_CONTAINER: t.Final = Text(
    r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", "the name of a container, of letters, digits and _.-"
)
_MAIL: t.Final = Text(r"[^@\s,<>]+@[^@\s,<>]+", "mail addresses")

FORMS: t.Final[t.Mapping[str, t.Mapping[str, Form]]] = {
    "adopt": {"adopt_backup_dir": _FOLDER},
    "devshard": {
        "devshard_ca_path": _FOLDER,
        "devshard_deadline_blocks": Number(1, unit="blocks"),
        "devshard_deploy_dir": _PLACE,
        "devshard_env_file": _PLACE,
        "devshard_inferenced_home": _PATH,
        "devshard_inferenced_path": _PATH,
        "devshard_keyring_dir": _PATH,
        "devshard_ledger_path": _PATH,
        "devshard_state_dir": _PATH,
    },
    # its numbers are in the files of the container
    "gateway": {
        "gateway_container_name": _CONTAINER,
        "gateway_default_max_tokens": Number(1, unit="tokens", written=True),
        # empty where there is no default, which has a sentence of its own
        "gateway_image": Text(
            r"|[a-z0-9][A-Za-z0-9._:/-]*(@sha256:[0-9a-f]{64})?", "NAME:TAG or NAME@sha256:DIGEST"
        ),
        "gateway_log_max_files": Number(1, written=True),
        "gateway_max_concurrent_requests": Number(0, written=True),
        "gateway_max_input_tokens_in_flight": Number(0, unit="tokens", written=True),
        "gateway_max_tokens_cap": Number(1, unit="tokens", written=True),
        "gateway_storage_dir": _PLACE,
        "gateway_tx_gas_limit": Number(0, written=True),
        "gateway_wait_timeout": Number(1, unit="seconds", written=True),
    },
    "creator": {
        "creator_allowlist_wait_timeout": _SECONDS,
        "creator_fee_amount": Number(1, unit="ngonka", written=True),
    },
    "edge": {
        "edge_accounting_max_age": Number(1, 300, "seconds", written=True),
        "edge_accounting_rate": Number(0, 100_000, written=True),
        "edge_client_max_body_size": Text(r"[0-9]+[kmg]?", "a size such as 7m"),
        "edge_error_log": _PATH,
        "edge_http_port": _PORT,
        "edge_https_port": _PORT,
        "edge_keepalive_timeout": Text(r"[0-9]+(s|m)?", "a time such as 75s"),
        "edge_proxy_timeout": Text(
            r"(1[89][0-9]{2}|[2-9][0-9]{3}|[1-9][0-9]{4,})s",
            "seconds with the unit s, 1800s or more, so that no stream is cut",
        ),
        "edge_server_name": Text(r"[A-Za-z0-9._* -]+", "names of servers, separated by spaces"),
        "edge_tls_certificate": _PATH,
        "edge_tls_key": _PATH,
    },
    "escrow": {
        "escrow_create_pause": Number(0, unit="seconds"),
        "escrow_fee_amount": _FEE,
        "escrow_gas_limit": _GAS,
        "escrow_max_creates_per_run": _COUNT,
        "escrow_max_total_locked": Number(0, unit="ngonka"),
        "escrow_min_blocks_to_poc": Number(0, unit="blocks"),
        "escrow_wait_timeout": _SECONDS,
    },
    "rotation": {
        "rotation_other_gateways_need": Number(0, unit="ngonka"),
        "rotation_pre_poc_blocks": Number(1, unit="blocks"),
        # the module judges that of a rotation which is on
        "rotation_temp_count": Number(0, written=True),
    },
    "inferenced": {"inferenced_install_dir": _PATH},
    "hot_swap": {
        "hot_swap_alias_path": _PATH,
        "hot_swap_archive_dir": _FOLDER,
        "hot_swap_confirmations": Number(1),
        "hot_swap_drain_polls": Number(1),
        "hot_swap_drain_timeout": _SECONDS,
        "hot_swap_drain_unknown_timeout": _SECONDS,
        "hot_swap_fee_amount": _FEE,
        "hot_swap_flag_path": _PATH,
        "hot_swap_min_blocks": Number(1, unit="blocks"),
        "hot_swap_min_free_mb": Number(0, unit="MB"),
        "hot_swap_temp_amount": _FEE,
        "hot_swap_temp_container": _CONTAINER,
        "hot_swap_temp_count": Number(1),
        "hot_swap_wait_timeout": _SECONDS,
        "hot_swap_window_timeout": _SECONDS,
    },
    "settlement": {
        "settlement_fee_amount": _FEE,
        "settlement_gas_limit": _GAS,
        "settlement_wait_timeout": _SECONDS,
    },
    "retire": {"retire_archive_dir": _FOLDER, "retire_wait_timeout": _SECONDS},
    "backup": {"backup_dir": _FOLDER, "backup_keep": _COUNT, "backup_wait_timeout": _SECONDS},
    "monitoring": {
        "monitoring_burn_window": _SECONDS,
        "monitoring_keep_samples": Number(2),
        "monitoring_program_dir": _PLACE,
        "monitoring_settings_dir": _PLACE,
        "monitoring_textfile_dir": _PLACE,
        "monitoring_time_limit": _SECONDS,
    },
    "notify": {
        "notify_mail_from": Text(r"[^@\n]+@[^@\n]+", "a mail address"),
        "notify_mail_to": Each(_MAIL),
        "notify_repeat": Number(0, unit="hours"),
        "notify_timeout": _SECONDS,
    },
    "schedule": {
        "schedule_ansible_playbook": _PLACE,
        "schedule_collections_path": Text(
            r"/[A-Za-z0-9_./:-]*", "absolute paths of letters, digits and ._-, separated by colons"
        ),
        "schedule_directory": _PLACE,
        "schedule_inventory": _PLACE,
        "schedule_name": Text(r"[a-z][a-z0-9-]*", "small letters, digits and dashes"),
        "schedule_playbook": Text(
            r"[A-Za-z0-9_./-]+", "the name of a playbook, or the path of one"
        ),
        "schedule_vault_password_file": _PLACE,
    },
}
"""By role, then by setting."""

ON_THE_CONTROLLER: t.Final = frozenset(
    {
        "adopt_inventory_file",
        "backup_fetch_dir",
        "notify_mail_program",
        "notify_state_file",
        "status_json_file",
        "status_page_file",
    }
)
"""Paths that the controller reads, where ~, names and relative ones have their usual meaning."""


def form_faults(role: str, values: Values) -> list[str]:
    """A sentence for each setting that is given and has not the form that the role needs."""
    return [
        f"{name} must be {form}, not {_shown(values[name])}"
        for name, form in FORMS.get(role, {}).items()
        if values.get(name) is not None and not form.fits(values[name])
    ]


def _shown(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(str(item) for item in value)
    return str(value) or "empty"
