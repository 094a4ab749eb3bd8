# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""One set of tests for both forms of an exchange: over ``requests`` and over Python's library."""

from __future__ import annotations

import contextlib
import json
import threading
import traceback
import typing as t
from pathlib import Path

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._core import transport
from ansible_collections.gonka.devshard.plugins.module_utils._core.decoding import (
    expect_json,
    expect_json_list,
    expect_json_object,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.errors import (
    AuthenticationError,
    ConfigurationError,
    ConflictError,
    DevshardError,
    NotFoundError,
    ProtocolError,
    RateLimitedError,
    RedirectedError,
    TransportError,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.exchange import (
    Exchange,
    Headers,
    Request,
    Wire,
)
from ansible_collections.gonka.devshard.plugins.module_utils._core.over_requests import OverRequests
from ansible_collections.gonka.devshard.plugins.module_utils._core.over_stdlib import OverStdlib
from ansible_collections.gonka.devshard.plugins.module_utils._core.timer import WaitBudget
from ansible_collections.gonka.devshard.plugins.module_utils._core.transport import (
    ByPlace,
    HttpTransport,
    base_url,
    bearer,
)
from ansible_collections.gonka.devshard.tests.unit.plugins.http_server import (
    Answer,
    Server,
    html_answer,
    json_answer,
    refused_url,
)

KEY = "sk-admin-0123456789abcdef0123456789abcdef"
READS = ["GET"]
WRITES = ["POST", "DELETE", "PUT"]
PASSING = [408, 429, 502, 503, 504]


class Sleeps(list[float]):
    def __call__(self, seconds: float) -> None:
        self.append(seconds)


@pytest.fixture
def sleeps() -> Sleeps:
    return Sleeps()


Over = t.Callable[..., Wire]


@pytest.fixture(params=[OverRequests, OverStdlib])
def over(request: pytest.FixtureRequest) -> Over:
    found: Over = request.param
    return found


@pytest.fixture
def http(sleeps: Sleeps, over: Over) -> HttpTransport:
    return HttpTransport(timeout=5, retries=3, sleep=sleeps, over=over)


def ask(http: HttpTransport, server: Server, method: str = "GET") -> t.Any:
    request = Request(method=method, url=f"{server.url}/v1/x", headers=bearer(KEY, "the key"))
    return expect_json(request, http.send(request))


# what is repeated


@pytest.mark.parametrize("status", PASSING)
def test_a_read_is_repeated(http: HttpTransport, server: Server, status: int) -> None:
    server.answers(json_answer({}, status), json_answer({}, status), json_answer({"ok": 1}))
    assert ask(http, server) == {"ok": 1}
    assert len(server.seen) == 3


@pytest.mark.parametrize("status", PASSING)
@pytest.mark.parametrize("method", WRITES)
def test_a_write_never_is(
    http: HttpTransport, server: Server, method: str, status: int, sleeps: Sleeps
) -> None:
    server.answers(json_answer({}, status))
    with pytest.raises(ProtocolError):
        ask(http, server, method)
    assert len(server.seen) == 1
    assert sleeps == []


@pytest.mark.parametrize("status", [400, 401, 404, 409, 500, 501])
def test_what_will_not_pass_by_itself_is_not_repeated(
    http: HttpTransport, server: Server, status: int
) -> None:
    server.answers(json_answer({}, status))
    with pytest.raises(ProtocolError):
        ask(http, server)
    assert len(server.seen) == 1


def test_a_read_can_ask_not_to_be_repeated(http: HttpTransport, server: Server) -> None:
    server.answers(json_answer({}, 503))
    request = Request(method="GET", url=server.url, retry=False)
    assert http.send(request).status == 503
    assert len(server.seen) == 1


def test_reads_give_up_in_the_end(http: HttpTransport, server: Server, sleeps: Sleeps) -> None:
    server.answers(json_answer({"error": {"message": "busy"}}, 503))
    with pytest.raises(ProtocolError, match="got 503: busy"):
        ask(http, server)
    assert len(server.seen) == 4
    assert sleeps == [0.5, 1.0, 2.0]


@pytest.mark.parametrize(
    ("header", "pause"),
    [("7", 7.0), ("99999", 10.0), ("0", 0.5), ("Wed, 21 Oct 2026 07:28:00 GMT", 0.5), ("²", 0.5)],
)
def test_the_server_may_ask_for_a_longer_pause(
    http: HttpTransport, server: Server, sleeps: Sleeps, header: str, pause: float
) -> None:
    server.answers(json_answer({}, 429, {"Retry-After": header}), json_answer({}))
    ask(http, server)
    assert sleeps == [pause]


@pytest.mark.parametrize("method", READS + WRITES)
def test_a_connection_cut_before_the_answer(
    http: HttpTransport, server: Server, method: str
) -> None:
    server.answers(Answer(reset=True))
    with pytest.raises(TransportError, match=f"^{method} {server.url}/v1/x: ") as caught:
        ask(http, server, method)
    assert caught.value.details["sent"] is None, "nobody knows whether it was done"
    assert len(server.seen) == (4 if method == "GET" else 1)


@pytest.mark.parametrize("method", READS + WRITES)
def test_an_answer_that_breaks_off(http: HttpTransport, server: Server, method: str) -> None:
    server.answers(Answer(body=b'{"a": ', length=100))
    with pytest.raises(TransportError, match="the answer broke off") as caught:
        ask(http, server, method)
    assert caught.value.details["sent"] is True
    assert len(server.seen) == (4 if method == "GET" else 1)


def test_nobody_listens(http: HttpTransport, sleeps: Sleeps) -> None:
    request = Request(method="POST", url=refused_url(), json={"a": 1})
    with pytest.raises(TransportError, match="the connection was refused$") as caught:
        http.send(request)
    assert caught.value.details["sent"] is False
    assert sleeps == []


def test_no_such_host(http: HttpTransport) -> None:
    request = Request(method="POST", url="http://node.invalid/x")
    with pytest.raises(TransportError, match="the host name cannot be resolved$") as caught:
        http.send(request)
    assert caught.value.details["sent"] is False


def test_an_answer_that_does_not_come(server: Server, sleeps: Sleeps, over: Over) -> None:
    late = threading.Event()
    server.answers(Answer(delay=late))
    # long enough for a slow machine to connect
    request = Request(method="POST", url=server.url, timeout=3)
    with pytest.raises(TransportError, match="no answer within the time-out$") as caught:
        HttpTransport(sleep=sleeps, over=over).send(request)
    late.set()
    assert caught.value.details["sent"] is None
    assert len(server.seen) == 1


def test_a_host_that_does_not_take_connections(sleeps: Sleeps, over: Over) -> None:
    # TEST-NET-1: either no route leads there, or nobody answers
    request = Request(method="POST", url="http://192.0.2.1:81/", timeout=0.2)
    with pytest.raises(TransportError) as caught:
        HttpTransport(sleep=sleeps, over=over).send(request)
    assert caught.value.details["sent"] is False


def test_a_plain_server_where_tls_is_expected(http: HttpTransport, server: Server) -> None:
    url = server.url.replace("http:", "https:")
    with pytest.raises(TransportError, match="TLS") as caught:
        http.send(Request(method="POST", url=url))
    assert caught.value.details["sent"] is None
    assert server.seen == []


# what an answer may be


def test_json_labelled_as_text_is_json(http: HttpTransport, server: Server) -> None:
    server.answers(Answer(body=b'{"a": 1}', headers={"Content-Type": "text/plain"}))
    assert ask(http, server) == {"a": 1}


def test_a_web_page_is_no_answer(http: HttpTransport, server: Server) -> None:
    server.answers(html_answer("<html><title>Welcome</title></html>"))
    with pytest.raises(ProtocolError, match="a web page, not JSON; is the URL right") as caught:
        ask(http, server)
    assert caught.value.details == {"http_status": 200, "url": f"{server.url}/v1/x"}


@pytest.mark.parametrize("body", [b"", b'{"a": 1', b"\xff\xfe", b"nonsense", b"1" * 5000])
def test_what_is_no_json(http: HttpTransport, server: Server, body: bytes) -> None:
    server.answers(Answer(body=body))
    with pytest.raises(ProtocolError, match="the answer is not complete JSON"):
        ask(http, server)


def test_the_wrong_kind_of_json(server: Server, http: HttpTransport) -> None:
    request = Request(method="GET", url=server.url)
    server.answers(json_answer([1]))
    assert expect_json_list(request, http.send(request)) == [1]
    with pytest.raises(ProtocolError, match="expected a JSON object, got list"):
        expect_json_object(request, http.send(request))
    server.answers(json_answer({"a": 1}))
    assert expect_json_object(request, http.send(request)) == {"a": 1}
    with pytest.raises(ProtocolError, match="expected a JSON list, got dict"):
        expect_json_list(request, http.send(request))


@pytest.mark.parametrize("status", [201, 204, 206])
def test_only_200_is_success(http: HttpTransport, server: Server, status: int) -> None:
    server.answers(Answer(status=status, body=b""))
    with pytest.raises(ProtocolError, match=f"got {status}"):
        ask(http, server)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ProtocolError),
        (401, AuthenticationError),
        (403, AuthenticationError),
        (404, NotFoundError),
        (409, ConflictError),
        (429, RateLimitedError),
        (308, RedirectedError),
        (500, ProtocolError),
    ],
)
@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "what it says"}},
        {"error": "what it says"},
        {"code": 5, "message": "what it says", "details": []},
        {"message": "what it says", "new_url": "https://x.example", "status": 308},
    ],
)
def test_errors_by_cause(
    http: HttpTransport, server: Server, status: int, kind: type[DevshardError], body: object
) -> None:
    server.answers(json_answer(body, status))
    with pytest.raises(
        kind, match=f"POST {server.url}/v1/x: got {status}: what it says$"
    ) as caught:
        ask(http, server, "POST")
    assert caught.type is kind
    assert caught.value.details["http_status"] == status
    assert caught.value.details["server_message"] == "what it says"


def test_error_object_is_kept(http: HttpTransport, server: Server) -> None:
    error = {"message": "no runtime", "escrow_id": "4711", "tx_hash": "AB" * 32}
    server.answers(json_answer({"error": error}, 500))
    with pytest.raises(ProtocolError) as caught:
        ask(http, server, "POST")
    assert caught.value.details["server_error"] == error


@pytest.mark.parametrize("body", ["[]", "3", '"x"', "{}", '{"error": 5}', '{"error": {}}'])
def test_an_error_of_another_shape_is_shown_as_it_is(
    http: HttpTransport, server: Server, body: str
) -> None:
    server.answers(Answer(status=500, body=body.encode()))
    with pytest.raises(ProtocolError) as caught:
        ask(http, server, "POST")
    assert caught.value.details["server_message"] == body


def test_long_pages_are_cut(http: HttpTransport, server: Server) -> None:
    server.answers(html_answer("a very long page\n" * 1000, 502))
    with pytest.raises(ProtocolError) as caught:
        ask(http, server, "POST")
    assert len(str(caught.value)) < 400
    assert str(caught.value).endswith("…")


def test_a_very_large_answer_is_refused(
    http: HttpTransport, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_MAX_BODY", 1000)
    server.answers(Answer(body=b" " * 2000))
    with pytest.raises(ProtocolError, match="is larger than"):
        ask(http, server, "POST")


# redirects and credentials


@pytest.mark.parametrize("method", READS + WRITES)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(
    http: HttpTransport, server: Server, method: str, status: int
) -> None:
    target = f"{server.url}/elsewhere"
    server.answers(Answer(status=status, body=b"", headers={"Location": target}))
    with pytest.raises(ProtocolError, match=f"redirects to {target}, which is not followed") as err:
        ask(http, server, method)
    assert not isinstance(err.value, RedirectedError), "that is a gateway's state"
    assert len(server.seen) == 1


def test_netrc_is_not_read(
    http: HttpTransport, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    http.send(Request(method="GET", url=server.url))
    ask(http, server)
    assert "Authorization" not in server.seen[0].headers
    assert server.seen[1].headers["Authorization"] == f"Bearer {KEY}"


def test_proxies_of_the_environment(
    http: HttpTransport, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    server.answers(json_answer({}))
    http.send(Request(method="GET", url="http://node.invalid/x"))
    assert server.seen[-1].path == "http://node.invalid/x"
    monkeypatch.setenv("no_proxy", "node.invalid")
    with pytest.raises(TransportError, match="cannot be resolved"):
        http.send(Request(method="POST", url="http://node.invalid/x"))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "localhost", "[::1]"])
def test_a_key_for_this_host_does_not_go_to_a_proxy(
    http: HttpTransport, server: Server, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("all_proxy", server.url)
    monkeypatch.delenv("no_proxy", raising=False)
    port = refused_url().rsplit(":", 1)[1]
    with pytest.raises(TransportError):
        http.send(Request(method="POST", url=f"http://{host}:{port}/", headers=bearer(KEY, "key")))
    assert server.seen == []


ECHOES = [
    html_answer("x" * 280 + f"You sent Bearer {KEY} here" + "x" * 300, 500),
    html_answer(f"<html>Bearer {KEY}</html>"),
    json_answer({"error": {"message": f"bad key {KEY}"}}, 401),
    json_answer({"code": 3, "message": KEY, "details": [KEY]}, 400),
    Answer(body=f'{{"headers": "{KEY}"'.encode()),
    Answer(body=b'{"devshards": [{"private_key": "' + b"0f1e" * 16),
    Answer(status=302, headers={"Location": "/login"}, body=KEY.encode()),
    Answer(body=b"{", length=10),
    Answer(reset=True),
]


@pytest.mark.parametrize("answer", ECHOES)
def test_no_key_is_in_an_error(http: HttpTransport, server: Server, answer: Answer) -> None:
    server.answers(answer)
    with pytest.raises(DevshardError) as caught:
        ask(http, server, "POST")
    told = "".join(traceback.format_exception(caught.value)) + json.dumps(caught.value.details)
    for fragment in (KEY, KEY[:16], KEY[-16:], "0f1e0f1e"):
        assert fragment not in told


@pytest.mark.parametrize("key", ["", "top secret", "abc\ndef", "schlüssel", "tabulator\t"])
def test_a_key_that_cannot_be_sent(key: str) -> None:
    with pytest.raises(ConfigurationError, match="^the key is empty, or holds") as caught:
        bearer(key, "the key")
    assert not key or key not in str(caught.value)


# base URLs


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("http://127.0.0.1:18080", "http://127.0.0.1:18080"),
        ("https://node3.gonka.ai/chain-api/", "https://node3.gonka.ai/chain-api"),
        ("https://node3.gonka.ai//", "https://node3.gonka.ai"),
        ("http://[::1]:18080/", "http://[::1]:18080"),
    ],
)
def test_base_url(given: str, used: str) -> None:
    assert base_url(given, "chain_rest") == used


@pytest.mark.parametrize(
    "given",
    [
        "",
        "node3.gonka.ai",
        "ftp://node3.gonka.ai",
        "http://",
        "http:///path",
        "http://[::1",
        "http://host:port",
        "http://host:99999",
        "http://host/a b",
        "http://host\n.example.org",
        "https://user:hunter2@node3.gonka.ai",
        "ftp://user:hunter2@node3.gonka.ai",
        "user:hunter2@node3.gonka.ai",
        "https://node3.gonka.ai/?token=hunter2",
        "https://node3.gonka.ai/#hunter2",
    ],
)
def test_base_url_refused(given: str) -> None:
    with pytest.raises(ConfigurationError, match="^chain_rest must ") as caught:
        base_url(given, "chain_rest")
    assert "hunter2" not in str(caught.value)


class Clock:
    """Time that only passes when somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_all_requests_together_wait_no_longer_than_the_deadline(server: Server) -> None:
    """Each has a time-out of its own, and a read is repeated: without an end that adds up."""
    clock = Clock()
    deadline = WaitBudget(4, clock=clock, sleep=clock.sleep)
    http = HttpTransport(retries=9, sleep=clock.sleep, deadline=deadline)
    server.by_path({}, json_answer({}, status=503))
    assert http.send(Request(method="GET", url=server.url)).status == 503
    assert clock.now <= 4
    asked = len(server.seen)
    clock.sleep(4)
    with pytest.raises(TransportError, match="no answer within the time for all requests") as found:
        http.send(Request(method="GET", url=server.url))
    assert found.value.details["sent"] is False
    assert len(server.seen) == asked


class Told:
    """A wire that sends nothing, and keeps for how long it might have waited."""

    def __init__(self, chunks: t.Callable[[], t.Iterator[bytes]] = lambda: iter((b"{}",))) -> None:
        self.timeouts: list[float] = []
        self._chunks = chunks

    def __call__(self, **_options: object) -> Told:
        return self

    @contextlib.contextmanager
    def exchange(self, _request: Request, timeout: float) -> t.Iterator[Exchange]:
        self.timeouts.append(timeout)
        yield 200, Headers({}), self._chunks()


def test_an_answer_that_trickles_in_ends_with_the_deadline() -> None:
    """Each part comes within the time-out, so only the deadline ends it."""
    clock = Clock()

    def slowly() -> t.Iterator[bytes]:
        while True:
            clock.sleep(3)
            yield b" "

    deadline = WaitBudget(4, clock=clock, sleep=clock.sleep)
    http = HttpTransport(retries=0, deadline=deadline, over=Told(slowly))
    with pytest.raises(TransportError, match="no answer within the time"):
        http.send(Request(method="GET", url="http://node.invalid"))
    assert clock.now == 6


def test_a_request_gets_no_more_time_than_is_left() -> None:
    clock, told = Clock(), Told()
    deadline = WaitBudget(4, clock=clock, sleep=clock.sleep)
    http = HttpTransport(timeout=10, deadline=deadline, over=told)
    url = "http://node.invalid"
    http.send(Request(method="GET", url=url))
    clock.sleep(3)
    http.send(Request(method="GET", url=url, timeout=300))
    http.send(Request(method="GET", url=url, timeout=0.5))
    assert told.timeouts == [4, 1, 0.5]


# what both forms send


@pytest.mark.parametrize("method", READS + WRITES)
@pytest.mark.parametrize("body", [None, {"a": ["ü", 1]}])
def test_what_is_sent(http: HttpTransport, server: Server, method: str, body: object) -> None:
    request = Request(
        method=method,
        url=f"{server.url}/v1/x%20y?denom=ngonka&query=a%3D'b'",
        json=body,
        headers=bearer(KEY, "the key"),
    )
    assert expect_json(request, http.send(request)) == {}
    (seen,) = server.seen
    assert (seen.method, seen.path) == (method, "/v1/x%20y?denom=ngonka&query=a%3D'b'")
    assert seen.headers["Host"] == server.url.removeprefix("http://")
    assert seen.headers["User-Agent"] == "gonka.devshard"
    assert seen.headers["Authorization"] == f"Bearer {KEY}"
    assert seen.headers.get("Content-Type") == (None if body is None else "application/json")
    assert (json.loads(seen.body) if seen.body else None) == body


def test_names_of_headers_have_no_case(http: HttpTransport, server: Server) -> None:
    server.answers(Answer(headers={"X-Devshard-SLOT": "temp"}))
    answer = http.send(Request(method="GET", url=server.url))
    assert answer.headers.get("x-devshard-slot") == "temp"
    assert answer.headers.get("X-Other") is None


def test_a_body_comes_as_it_is_sent(http: HttpTransport, server: Server) -> None:
    body = bytes(range(256)) * 3000
    server.answers(Answer(body=body))
    assert http.send(Request(method="GET", url=server.url)).body == body
    with http.stream(Request(method="GET", url=server.url)) as (status, _headers, chunks):
        assert status == 200
        assert b"".join(chunks) == body


def test_a_body_in_chunks(http: HttpTransport, server: Server) -> None:
    server.answers(Answer(body=b'{"a": 1}', chunked=True))
    assert ask(http, server) == {"a": 1}
    # the last one is missing, so more may have been meant
    server.answers(Answer(body=b'{"a": 1}', chunked=True, length=0))
    with pytest.raises(TransportError, match="the answer broke off") as caught:
        ask(http, server, "POST")
    assert caught.value.details["sent"] is True


@pytest.mark.parametrize("network", ["192.0.2.0/24", "192.0.2.1", "*", "x.example, 192.0.2.1"])
def test_a_network_that_needs_no_proxy(
    http: HttpTransport, server: Server, monkeypatch: pytest.MonkeyPatch, network: str
) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("no_proxy", network)
    # TEST-NET-1: what matters is that the proxy does not see it
    with contextlib.suppress(TransportError):
        http.send(Request(method="POST", url="http://192.0.2.1:81/", timeout=0.2))
    assert server.seen == []
    monkeypatch.setenv("no_proxy", "192.0.3.0/24")
    http.send(Request(method="POST", url="http://192.0.2.1:81/", timeout=5))
    assert len(server.seen) == 1


def test_a_proxy_for_all_and_its_password(
    http: HttpTransport, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("http_proxy", raising=False)
    monkeypatch.setenv("all_proxy", server.url.replace("//", "//me:s%40cret@"))
    http.send(Request(method="GET", url="http://node.invalid:81/x?y=1"))
    assert server.seen[-1].path == "http://node.invalid:81/x?y=1"
    assert server.seen[-1].headers["Host"] == "node.invalid:81"
    assert server.seen[-1].headers["Proxy-Authorization"] == "Basic bWU6c0BjcmV0"


def test_tls_goes_through_a_tunnel(
    http: HttpTransport, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy of the test makes none, and says so."""
    monkeypatch.setenv("https_proxy", server.url)
    with pytest.raises(TransportError):
        http.send(Request(method="POST", url="https://node.invalid/x", headers=bearer(KEY, "key")))
    assert server.seen == [], "a proxy sees nothing but the name of the host"


@pytest.mark.parametrize(
    ("url", "near"),
    [
        ("http://127.0.0.1:18080/v1/status", True),
        ("http://[::1]:18080/", True),
        ("http://localhost/v1/models", True),
        # certificates and proxies are those of requests
        ("https://127.0.0.1/", False),
        ("http://192.0.2.1/", False),
        ("http://node.example.org:8000/chain-api", False),
    ],
)
def test_plain_http_to_this_host_itself_goes_over_pythons_library(url: str, near: bool) -> None:
    class Asked:
        def __init__(self, name: str) -> None:
            self.name = name

        def exchange(self, _request: Request, _timeout: float) -> str:
            return self.name

    place = ByPlace(verify=True, ca_path=None, user_agent="x")
    vars(place).update(_near=Asked("near"), _far=Asked("far"))
    found: t.Any = place.exchange(Request(method="GET", url=url), 1)
    assert found == ("near" if near else "far")
