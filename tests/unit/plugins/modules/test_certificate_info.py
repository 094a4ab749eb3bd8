# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
"""Certificates made by the openssl program, and what is wrong with them for clients."""

from __future__ import annotations

import subprocess
import typing as t
from datetime import datetime, timezone
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._edge.certificate import (
    Certificate,
    faults_of,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.module_run import failed, run_module

NAME = "gw.example.org"


def make(folder: Path, *, start: str, end: str, names: str = f"DNS:{NAME}") -> tuple[str, str]:
    """A self-signed one; dates as openssl's ca has them, YYYYMMDDHHMMSSZ."""
    (folder / "index").write_text("")
    (folder / "serial").write_text("01")
    (folder / "ca.cnf").write_text(
        f"[ca]\ndefault_ca=x\n[x]\ndir={folder}\ndatabase={folder}/index\nserial={folder}/serial\n"
        f"new_certs_dir={folder}\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n"
        f"[e]\nsubjectAltName={names}\n"
    )
    key, request, certificate = folder / "key.pem", folder / "request.pem", folder / "cert.pem"
    for argv in (
        ["req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-subj", "/CN=x",
         "-out", request],
        ["ca", "-batch", "-selfsign", "-config", folder / "ca.cnf", "-keyfile", key, "-in", request,
         "-startdate", start, "-enddate", end, "-extensions", "e", "-notext", "-out", certificate],
    ):  # fmt: skip
        subprocess.run(["openssl", *map(str, argv)], check=True, capture_output=True)
    return str(certificate), str(key)


GOOD = {"start": "20200101000000Z", "end": "20990101000000Z"}


def params(pair: tuple[str, str], **more: t.Any) -> dict[str, t.Any]:
    return {"path": pair[0], "key_path": pair[1], "names": [NAME], **more}


def test_a_good_certificate(tmp_path: Path) -> None:
    pair = make(tmp_path, **GOOD, names=f"DNS:{NAME},DNS:*.other.example.org,IP:192.0.2.7")
    names = [NAME, "a.other.example.org", "192.0.2.7"]
    run = run_module("certificate_info", params(pair, names=names))
    assert run.result["certificate"]["not_after"] == "2099-01-01T00:00:00Z"
    assert run.result["certificate"]["names"] == [NAME, "*.other.example.org", "192.0.2.7"]


@pytest.mark.parametrize(
    ("dates", "words"),
    [
        ({"start": "20200101000000Z", "end": "20210203040506Z"}, "it expired on 2021-02-03 04:05"),
        ({"start": "20980101000000Z", "end": "20990101000000Z"}, "valid only from 2098-01-01"),
    ],
)
def test_dates(tmp_path: Path, dates: dict[str, str], words: str) -> None:
    run = failed("certificate_info", params(make(tmp_path, **dates)))
    assert words in run.msg
    assert "edge_tls_certificate" in run.msg


def test_another_name_and_another_key_are_named_at_once(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    one, two = make(tmp_path / "a", **GOOD), make(tmp_path / "b", **GOOD)
    run = failed("certificate_info", params((one[0], two[1]), names=["x.example.org"]))
    assert f"it is for {NAME}, not for x.example.org" in run.msg
    assert "edge_tls_key is the key of another certificate" in run.msg


def test_files_that_are_none(tmp_path: Path) -> None:
    pair = make(tmp_path, **GOOD)
    run = failed("certificate_info", params(("/none", pair[1])))
    assert "there is no /none on this host (edge_tls_certificate)" in run.msg
    (tmp_path / "text").write_text("not PEM")
    run = failed("certificate_info", params((str(tmp_path / "text"), pair[1])))
    assert "(edge_tls_certificate) cannot be read" in run.msg
    locked = str(tmp_path / "locked.pem")
    subprocess.run(
        ["openssl", "pkey", "-in", pair[1], "-aes256", "-passout", "pass:x", "-out", locked],
        check=True,
        capture_output=True,
    )
    run = failed("certificate_info", params((pair[0], locked)))
    assert "must have no passphrase" in run.msg


@pytest.mark.parametrize(
    ("name", "covered"),
    [
        ("GW.example.org", True),
        ("a.wild.org", True),
        ("a.b.wild.org", False),
        ("wild.org", False),
        ("org", False),
    ],
)
def test_names(name: str, covered: bool) -> None:
    now = datetime(2026, 1, 1, tzinfo=timezone.utc)
    one = Certificate(names=(NAME, "*.wild.org"), not_before=now, not_after=now, public_key="k")
    assert one.covers(name) is covered
    assert bool(faults_of(one, "k", [name], now)) is not covered
