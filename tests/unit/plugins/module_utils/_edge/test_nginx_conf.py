# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors
from __future__ import annotations

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._edge import nginx_conf as conf

TEXT = r"""
# configuration file /etc/nginx/nginx.conf:
user www-data;
worker_shutdown_timeout 1h30m; # comment with ; and }
events { worker_connections 768; }
http {
    log_format main '$remote_addr "$request" {$status}; "$http_user_agent"';
    include /etc/nginx/conf.d/*.conf;
}
# configuration file /etc/nginx/conf.d/devshard.conf:
upstream devshard_main { server 127.0.0.1:18080 max_fails=0; server 127.0.0.1:18081 backup max_fails=0; keepalive 64; }
server {
    set $devshard_slot main;
    if (-f /etc/nginx/devshard/temp-in-service) { set $devshard_slot temp; }
    location = /v1/chat/completions { proxy_pass http://devshard_$devshard_slot; }
    location ~ "^/x{1,3}$" { return 404; }
}
"""


def test_flag_is_found_by_its_path_alone() -> None:
    tree = conf.parse(TEXT)
    assert conf.tests_flag(tree, "/etc/nginx/devshard/temp-in-service")
    assert not conf.tests_flag(tree, "/etc/nginx/devshard/temp-in-servic")


def test_upstream_servers() -> None:
    servers = conf.upstream(conf.parse(TEXT), "devshard_main")
    assert servers is not None
    assert [server.args for server in servers] == [
        ("127.0.0.1:18080", "max_fails=0"),
        ("127.0.0.1:18081", "backup", "max_fails=0"),
    ]
    assert conf.upstream(conf.parse(TEXT), "devshard") is None


def test_worker_shutdown_timeout() -> None:
    assert conf.worker_shutdown_timeout(conf.parse(TEXT)) == 5400
    assert conf.worker_shutdown_timeout(conf.parse("events {}")) is None


@pytest.mark.parametrize(
    ("value", "seconds"), [("0", 0), ("75", 75), ("10s", 10), ("500ms", 0.5), ("x", None)]
)
def test_duration(value: str, seconds: float | None) -> None:
    assert conf.duration_seconds(value) == seconds


@pytest.mark.parametrize("text", ["a {", "a b", "}", "{ a; }", 'a "b'])
def test_broken_text_is_an_error(text: str) -> None:
    with pytest.raises(conf.NginxSyntaxError):
        conf.parse(text)
