# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""The role notify sends each alarm once, to a real receiver, and never shows a secret."""

from __future__ import annotations

import json
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.gonka.devshard.tests.unit.collection.collection_files import (
    ROOT,
    read_yaml,
    run_ansible,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.http_server import (
    Answer,
    Seen,
    Server,
    refused_url,
    running,
)

Data = dict[str, t.Any]

SECRET = "T0K3N-in-the-path"
TOKEN = "T0K3N-of-the-header"


def finding(severity: str, text: str, run: str = "") -> Data:
    return {"severity": severity, "about": "escrows", "text": text, "run": run}


NEAR = finding(
    "danger",
    "escrow 7 (5 GNK): 900 blocks, 1 h 30 min left to settle it",
    "gonka.devshard.settle -e settle_ids=7",
)
IDLE = finding("warning", "escrow 8 is out of service and not settled")


def status(*findings: Data) -> Data:
    failed = any(one["severity"] != "warning" for one in findings)
    return {"findings": list(findings), "escrows": [{"id": 7}, {"id": 8}], "failed": failed}


class Fleet:
    """Some hosts with a canned status, and a receiver."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.folder = folder
        self.server = server
        self.url = f"{server.url}/hooks/{SECRET}"
        self.settings: Data = {"notify_state_file": str(folder / "state/notify.json")}

    def run(self, hosts: dict[str, Data | None], *options: str) -> subprocess.CompletedProcess[str]:
        (self.folder / "hosts.yml").write_text(
            yaml.safe_dump(
                {
                    "devshard_gateways": {
                        "hosts": {
                            name: {} if result is None else {"status_result": result}
                            for name, result in hosts.items()
                        },
                        # what a delegated task must not inherit
                        "vars": {"ansible_become": True, "ansible_host": "192.0.2.1"},
                    }
                }
            )
        )
        play = read_yaml(ROOT / "playbooks/status.yml")[0]
        # a proxy of the gateways, which the controller cannot reach
        play["environment"] = {"http_proxy": "http://127.0.0.1:9"}
        # what is canned stands in for the role that looks; all else is the playbook itself
        play["tasks"][0]["block"] = [
            {
                "name": "Report the verdict",
                "ansible.builtin.assert": {"that": "not status_result.failed", "quiet": True},
            }
        ]
        (self.folder / "play.yml").write_text(yaml.safe_dump([play]))
        settings = {"notify_webhook_url": self.url, **self.settings}
        (self.folder / "vars.json").write_text(json.dumps(settings))
        ran = run_ansible(
            "playbook",
            *("-i", self.folder / "hosts.yml", "-e", f"@{self.folder / 'vars.json'}"),
            self.folder / "play.yml",
            *options,
        )
        assert SECRET not in ran.stdout + ran.stderr
        assert TOKEN not in ran.stdout + ran.stderr
        return ran

    def bodies(self) -> list[Data]:
        return [json.loads(request.body) for request in self.server.seen]


@pytest.fixture
def fleet(tmp_path: Path) -> t.Iterator[Fleet]:
    with running() as server:
        yield Fleet(tmp_path, server)


def said(ran: subprocess.CompletedProcess[str]) -> str:
    return " ".join((ran.stdout + ran.stderr).split())


def test_the_webhook_is_in_no_file_while_it_is_posted(fleet: Fleet) -> None:
    fleet.settings["notify_webhook_token"] = TOKEN
    written = fleet.folder / "tmp"
    fleet.settings["ansible_remote_tmp"] = str(written)
    found: list[str] = []

    def look(_request: Seen) -> Answer:
        files = [file for file in written.rglob("*") if file.is_file()]
        found.extend(file.name for file in files if TOKEN in file.read_text(errors="ignore"))
        return Answer()

    fleet.server.reply = look
    assert fleet.run({"bad": status(NEAR)}).returncode == 2
    assert len(fleet.server.seen) == 1
    assert written.is_dir()
    assert found == []


def test_an_alarm_is_sent_once_for_all_hosts_and_the_verdict_still_fails(fleet: Fleet) -> None:
    fleet.settings["notify_webhook_token"] = TOKEN
    hosts = {"bad": status(NEAR, IDLE), "good": status(), "silent": None}
    ran = fleet.run(hosts)
    assert ran.returncode == 2, said(ran)
    (request,) = fleet.server.seen
    assert request.method == "POST"
    assert request.path == f"/hooks/{SECRET}"
    assert request.headers["Authorization"] == f"Bearer {TOKEN}"
    body = json.loads(request.body)
    assert body["title"] == "gonka.devshard: 2 new"
    assert [(one["host"], one["state"], one["severity"]) for one in body["alarms"]] == [
        ("bad", "new", "danger"),
        ("silent", "new", "not known"),
    ]
    assert body["alarms"][0]["command"] == (
        "ansible-playbook gonka.devshard.settle -e devshard_hosts=bad -e settle_ids=7"
    )
    assert NEAR["text"] in body["text"]
    # fewer blocks are left, and it is the same alarm
    hosts["bad"] = status(NEAR | {"text": NEAR["text"].replace("900", "850")}, IDLE)
    assert fleet.run(hosts).returncode == 2
    assert len(fleet.server.seen) == 1
    # another escrow is another alarm, and what is gone is cleared
    hosts["bad"] = status(NEAR | {"text": NEAR["text"].replace("escrow 7", "escrow 8")})
    fleet.run(hosts)
    assert [one["state"] for one in fleet.bodies()[1]["alarms"]] == ["new", "cleared"]
    mode = (fleet.folder / "state/notify.json").stat().st_mode & 0o777
    assert mode == 0o600
    assert SECRET not in (fleet.folder / "state/notify.json").read_text()


def test_check_mode_shows_the_message_and_sends_nothing(fleet: Fleet) -> None:
    ran = fleet.run({"bad": status(NEAR)}, "--check")
    assert "[new] bad: danger: escrow 7" in said(ran)
    assert fleet.server.seen == []
    assert not (fleet.folder / "state").exists()
    fleet.run({"bad": status(NEAR)})
    assert len(fleet.server.seen) == 1


def test_a_webhook_that_refuses_gets_it_again(fleet: Fleet) -> None:
    fleet.server.answers(Answer(403, b"no"), Answer(200))
    ran = fleet.run({"bad": status(NEAR)})
    assert (
        "The webhook (notify_webhook_url) did not accept the alarms: Status code was 403"
        in said(ran)
    )
    assert ran.returncode == 2
    fleet.settings["notify_webhook_format"] = "text"
    fleet.run({"bad": status(NEAR)})
    first, again = fleet.bodies()
    assert first["alarms"][0]["state"] == "new"
    assert list(again) == ["text"]
    assert "run: ansible-playbook gonka.devshard.settle" in again["text"]


def test_a_webhook_that_does_not_answer_is_named_without_its_secret(fleet: Fleet) -> None:
    fleet.url = f"{refused_url()}/{SECRET}"
    ran = fleet.run({"good": status(IDLE)}, "-e", "notify_severity=warning")
    assert ran.returncode == 2
    assert "Connection refused" in said(ran)
    assert "They are sent again by the next run." in said(ran)


MAILER = """\
#!/bin/sh
printf '%s\\n' "$*" >> "$0.arguments"
cat >> "$0.mail"
"""


def test_mail_goes_through_the_program_of_the_controller(fleet: Fleet) -> None:
    program = fleet.folder / "sendmail"
    program.write_text(MAILER)
    program.chmod(0o755)
    fleet.settings |= {
        "notify_webhook_url": "",
        "notify_mail_to": ["a@example.org", "b@example.org"],
        "notify_mail_from": "gateways@example.org",
        "notify_mail_program": str(program),
    }
    ran = fleet.run({"bad": status(NEAR)})
    head, _blank, text = (fleet.folder / "sendmail.mail").read_text().partition("\n\n")
    assert head.splitlines()[:3] == [
        "To: a@example.org, b@example.org",
        "From: gateways@example.org",
        "Subject: gonka.devshard: 1 new",
    ], said(ran)
    assert "[new] bad: danger: escrow 7" in text
    assert (fleet.folder / "sendmail.arguments").read_text() == "-t -i\n"
    assert fleet.server.seen == []


def test_settings_that_are_not_usable_are_named(fleet: Fleet) -> None:
    fleet.settings |= {"notify_webhook_url": "", "notify_mail_to": ["a@example.org\nBcc: b"]}
    ran = fleet.run({"bad": status(NEAR)})
    assert "notify_mail_to must be a list whose entries are mail addresses, not" in said(ran)
