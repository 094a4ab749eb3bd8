# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""The program that exports metrics: installed by its module, and run against a simulated network."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
import typing as t
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._adapter import Context, Outcome
from ansible_collections.gonka.devshard.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import UnknownStateError
from ansible_collections.gonka.devshard.plugins.module_utils._monitor import program
from ansible_collections.gonka.devshard.plugins.module_utils._monitor.metrics import PREFIX
from ansible_collections.gonka.devshard.plugins.module_utils._wiring import (
    alone,
    gateway_status,
    monitor,
    presence_info,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_run import failed, succeeded
from ansible_collections.gonka.devshard.tests.unit.plugins.module_utils._status.test_rules import (
    well,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.modules.site import Site
from ansible_collections.gonka.devshard.tests.unit.plugins.modules.test_gateway_status import (
    look,
    serve,
)

Params = dict[str, t.Any]


def settings(site: Site, **more: t.Any) -> Path:
    """The file that the role writes."""
    folder = site.folder
    names = ("gateway_url", "env_file", "chain_rest", "chain_rpc", "public_api", "chain_id")
    status = {name: value for name, value in site.money().items() if name in names}
    status |= {"ledger_path": site.ledger()["ledger_path"], "gateway_profile": "v2", "slot": "main"}
    status |= {"public_url": site.net.ready["gateway"], "time_limit": 5, "creator": site.creator}
    body = {
        "gateway": "default",
        "textfile": str(folder / "metrics.prom"),
        "samples": str(folder / "monitoring" / "samples.jsonl"),
        "keep": 10,
        "window": 3600,
        "backup_dir": str(folder / "backups"),
        "certificate": None,
        "presence": {
            "deploy_dir": str(folder),
            "state_dir": str(folder / "state"),
            "gateway_port": urlsplit(site.net.ready["gateway"]).port,
        },
        "status": status,
        "other_url": "http://127.0.0.1:1",
        "wish": {
            "models": [{"id": site.model, "amount": site.net.ready["amount"]}],
            "slot": "main",
            "fee": 1_000_000,
            "settle_fee": 1_000_000,
            "min_free_mb": 0,
            "rotation": None,
            "gateway_url": site.net.ready["gateway"],
            "client_url": site.net.ready["gateway"],
        },
        **more,
    }
    path = folder / "monitoring.json"
    path.write_text(json.dumps(body))
    return path


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway is proved to be ours, which needs an engine otherwise."""
    presence, _seen = well()
    presence["gateway_proved"] = True
    presence["record"] |= {"profile": "v2", "protocol": None}

    def work(context: Context) -> Outcome:
        return Outcome(changed=False, values={"presence": presence})

    monkeypatch.setattr(presence_info, "work", work)
    # here is no systemd
    monkeypatch.setattr(gateway_status, "nginx_state", lambda _context: "active")


def metrics(site: Site) -> dict[str, float]:
    text = (site.folder / "metrics.prom").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def only(found: dict[str, float], name: str) -> float:
    (value,) = [v for key, v in found.items() if re.match(rf"{PREFIX}{name}(\{{|$)", key)]
    return value


@pytest.mark.usefixtures("ours")
def test_a_gateway_that_serves(site: Site) -> None:
    number = serve(site)
    (site.folder / "backups" / "20261129T220000Z").mkdir(parents=True)
    manifest = {"schema": 1, "storage_dir": "/srv/x"}
    (site.folder / "backups/20261129T220000Z/manifest.json").write_text(json.dumps(manifest))
    assert monitor.main([str(settings(site))]) == 0
    found = metrics(site)
    assert only(found, "up") == only(found, "clients_served") == 1
    assert only(found, "look_failures_total") == 0
    assert only(found, "look_success_timestamp_seconds") == only(found, "look_timestamp_seconds")
    (deposit,) = [
        value
        for key, value in found.items()
        if key.startswith(f'{PREFIX}escrow_deposit_ngonka{{gateway="default",escrow_id="{number}"')
    ]
    assert deposit == site.net.ready["amount"]
    assert only(found, "backups") == 1
    assert only(found, "backup_timestamp_seconds") == 1_795_989_600
    assert only(found, "wallet_reserve_ngonka") == site.net.ready["amount"] + 2_000_000
    # one sample is no rate
    assert f'{PREFIX}unknown{{gateway="default",what="escrow_burn",escrow_id="{number}"}}' in found
    assert site.net.writes() == []


@pytest.mark.usefixtures("ours")
def test_the_journal_has_what_is_not_known_and_why(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(site)
    assert monitor.main([str(settings(site))]) == 0
    assert capsys.readouterr().err == ""

    def work(_context: Context) -> Outcome:
        raise UnknownStateError("the engine is silent")

    monkeypatch.setattr(presence_info, "work", work)
    assert monitor.main([str(settings(site))]) == 0
    assert "the engine is silent" in capsys.readouterr().err


@pytest.mark.usefixtures("ours")
def test_the_files_have_the_rights_they_need_and_no_secret(site: Site) -> None:
    serve(site)
    assert monitor.main([str(settings(site))]) == 0
    text = (site.folder / "metrics.prom").read_text()
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode)
        for path in (site.folder / "metrics.prom", *(site.folder / "monitoring").iterdir())
    }
    assert modes == {"metrics.prom": 0o644, "samples.jsonl": 0o600, "looks.json": 0o600}
    kept = (site.folder / "monitoring" / "samples.jsonl").read_text()
    for secret in site.secrets.values():
        assert secret not in text + kept


@pytest.mark.usefixtures("ours")
def test_a_rate_from_two_looks(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    number = serve(site)
    path = settings(site)
    assert monitor.main([str(path)]) == 0
    kept = site.folder / "monitoring" / "samples.jsonl"
    body = json.loads(kept.read_text())
    # as if it had been an hour ago, with more in the session
    body["at"] -= 3600
    body["uptime"] -= 3600
    body["sessions"][str(number)][0] += 7200
    kept.write_text(json.dumps(body) + "\n")
    assert monitor.main([str(path)]) == 0
    burn = {
        key: value for key, value in metrics(site).items() if "escrow_burn_ngonka_per_hour" in key
    }
    (rate,) = [value for key, value in burn.items() if f'escrow_id="{number}"' in key]
    assert rate == pytest.approx(7200, rel=0.05)
    assert len(kept.read_text().splitlines()) == 2


@pytest.mark.usefixtures("ours")
def test_the_status_measures_with_the_samples_that_were_kept(site: Site) -> None:
    number = serve(site)
    assert monitor.main([str(settings(site))]) == 0
    kept = site.folder / "monitoring" / "samples.jsonl"

    def burn() -> Params | None:
        found = look(site, samples_path=str(kept))["escrows"]
        (row,) = [row for row in found if row["id"] == number]
        rate: Params | None = row["burn"]
        return rate

    assert burn() is None, "it was a moment ago"
    body = json.loads(kept.read_text())
    body["uptime"] -= 7200
    body["sessions"][str(number)][0] += 500
    kept.write_text(json.dumps(body) + "\n")
    before = kept.read_bytes()
    rate = burn()
    assert rate is not None
    assert rate["ngonka_per_hour"] == pytest.approx(250, rel=0.05)
    assert rate["seconds"] == pytest.approx(7200, rel=0.05)
    assert kept.read_bytes() == before


@pytest.mark.usefixtures("ours")
def test_a_chain_that_is_silent(site: Site) -> None:
    serve(site)
    path = settings(site)
    assert monitor.main([str(path)]) == 0
    before = only(metrics(site), "look_success_timestamp_seconds")
    body = json.loads(path.read_text())
    body["status"] |= {"chain_rest": "http://127.0.0.1:1", "request_timeout": 1, "time_limit": 3}
    path.write_text(json.dumps(body))
    assert monitor.main([str(path)]) == 0
    found = metrics(site)
    assert found[f'{PREFIX}unknown{{gateway="default",what="chain"}}'] == 1
    assert not [key for key in found if re.search(r"_(wallet_balance|escrow_at_risk\{)", key)]
    assert only(found, "look_failures_total") == 1
    assert only(found, "look_success_timestamp_seconds") == before
    assert only(found, "up") == 1


def test_a_gateway_that_is_not_proved_gets_no_key(site: Site) -> None:
    """Here is no engine, or none that has this gateway: it is unknown, and it is not asked."""
    site.net.forget()
    assert monitor.main([str(settings(site))]) == 0
    found = metrics(site)
    assert found[f'{PREFIX}unknown{{gateway="default",what="gateway_main"}}'] == 1
    assert not [key for key in found if key.startswith(f"{PREFIX}up")]
    log = site.net.gateway.get("/requests")["requests"]
    assert not [entry for entry in log if "admin" in entry["path"]]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "No such file"),
        ("{", "cannot be used"),
        ("{}", "needs an option"),
        ('{"gateway": 7}', "option gateway is of type int"),
    ],
)
def test_settings_that_cannot_be_used(
    content: str | None, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "monitoring.json"
    if content is not None:
        path.write_text(content)
    assert monitor.main([str(path)]) == 1
    assert told in capsys.readouterr().err


def test_it_needs_one_argument(capsys: pytest.CaptureFixture[str]) -> None:
    assert monitor.main([]) == 2
    assert capsys.readouterr().err.startswith("usage: ")


# the module that installs it


def test_it_is_installed_once_and_runs_without_ansible(tmp_path: Path) -> None:
    path = tmp_path / "metrics.pyz"
    first = succeeded("monitor_program", {"path": str(path)})
    assert first["changed"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    again = succeeded("monitor_program", {"path": str(path)})
    assert (again["changed"], again["program"]) == (False, first["program"])
    # nothing of this environment is left in the path, and an import of ansible ends it
    banned = (
        "import runpy, sys; sys.modules['ansible'] = None;"
        f"sys.argv = ['metrics.pyz', {str(tmp_path / 'none.json')!r}];"
        f"runpy.run_path({str(path)!r}, run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", banned], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "none.json cannot be used" in done.stderr


def test_it_holds_only_what_it_needs(tmp_path: Path) -> None:
    path = tmp_path / "metrics.pyz"
    succeeded("monitor_program", {"path": str(path)})
    with zipfile.ZipFile(path) as packed:
        names = packed.namelist()
        assert {info.date_time for info in packed.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert names == sorted(names)
    inside = {name.removeprefix("ansible_collections/gonka/devshard/plugins/") for name in names}
    assert "module_utils/_wiring/gateway_status.py" in inside
    # nothing that creates, settles or signs comes to the host with it
    for part in ("_escrows/create.py", "_escrows/settle.py", "_wiring/escrow.py", "_swap/host.py"):
        assert f"module_utils/{part}" not in inside


def test_from_a_zip_as_ansible_sends_it_the_program_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "metrics.pyz"
    succeeded("monitor_program", {"path": str(path)})
    again = (
        f"import sys; sys.path.insert(0, {str(path)!r});"
        f"from {program.__name__} import build, needed;"
        f"sys.stdout.buffer.write(build({monitor.__name__!r}))"
    )
    with zipfile.ZipFile(path, "a") as packed:
        inside = program.__name__.replace(".", "/") + ".py"
        packed.write(str(program.__file__), inside)
    done = subprocess.run([sys.executable, "-I", "-c", again], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    fresh = tmp_path / "fresh.pyz"
    succeeded("monitor_program", {"path": str(fresh)})
    assert done.stdout == fresh.read_bytes()


def test_a_program_without_its_start_is_not_written() -> None:
    with pytest.raises(UnknownStateError, match="no program was written"):
        program.build(f"{program.ROOT}._none")


def test_check_mode_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "metrics.pyz"
    assert succeeded("monitor_program", {"path": str(path)}, check=True)["changed"]
    assert not path.exists()


def test_it_is_removed_once(tmp_path: Path) -> None:
    path = tmp_path / "metrics.pyz"
    succeeded("monitor_program", {"path": str(path)})
    absent = {"path": str(path), "state": "absent"}
    assert succeeded("monitor_program", absent, check=True)["changed"]
    assert path.exists()
    assert succeeded("monitor_program", absent)["changed"]
    assert not path.exists()
    assert not succeeded("monitor_program", absent)["changed"]


def test_an_old_program_and_wrong_rights_are_replaced(tmp_path: Path) -> None:
    path = tmp_path / "metrics.pyz"
    path.write_text("old")
    assert succeeded("monitor_program", {"path": str(path)})["changed"]
    path.chmod(0o600)
    assert succeeded("monitor_program", {"path": str(path)})["changed"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


@pytest.mark.parametrize("kind", ["directory", "link", "no directory"])
def test_what_cannot_be_written_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "metrics.pyz"
    if kind == "directory":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path = tmp_path / "none" / "metrics.pyz"
    run = failed("monitor_program", {"path": str(path)}, check=kind != "no directory")
    assert str(tmp_path) in run.msg


def test_imports_are_followed_wherever_they_stand() -> None:
    root = program.ROOT
    texts = {
        f"{root}._a.start": ("def f():\n    from .._b import one\n", False),
        f"{root}._b.one": (f"import {root}._b.two\n", False),
        f"{root}._b.two": ("import json\n", False),
        f"{root}._b.three": ("", False),
    }
    found = program.needed(f"{root}._a.start", texts.get)
    assert sorted(found) == [f"{root}._a.start", f"{root}._b.one", f"{root}._b.two"]


def test_a_program_that_it_starts_gives_code_output_and_errors() -> None:
    runner = alone.Alone(ArgumentSpec(options={}), {})

    def run(*argv: str) -> tuple[int, str, str]:
        return runner.run_command(
            list(argv), environ_update={"NOTE": "x"}, check_rc=False, handle_exceptions=True
        )

    assert run("sh", "-c", 'echo "$NOTE"; echo no >&2; exit 3') == (3, "x\n", "no\n")
    with pytest.raises(UnknownStateError, match="/nowhere/docker does not run"):
        run("/nowhere/docker")
