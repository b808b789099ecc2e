"""examples/nginx/front.conf: another host is tried only where nothing was
kept, and what the front itself says is true."""

import http.server
import json
import re
import socket
import threading
import time

import pytest

from tests.lib import examples
from tests.lib.env import ROOT, wait_for

NOT_KEPT = (503, {"persisted": "no"}, {"Retry-After": "1"})
KEPT = (200, {"offset": 1}, {})
UNSURE = (504, {"persisted": "possibly", "results": [1]}, {})
# without an answer: the connection ends, or nothing comes
DIES, SILENT = "dies", "silent"


class Host:
    """Answers each request as it is told, and keeps what it saw."""

    def __init__(self):
        self.says = KEPT
        self.delay = 0
        self.seen = []
        self.over = threading.Event()
        host = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                size = int(self.headers.get("content-length", 0))
                host.seen.append((self.command, self.rfile.read(size)))
                if host.says == SILENT:
                    host.over.wait(20)
                host.over.wait(host.delay)
                if host.says in (DIES, SILENT):
                    return
                status, answer, headers = host.says
                body = json.dumps(answer).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_PUT = do_DELETE = do_POST

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0),
                                                      Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever,
                                       kwargs={"poll_interval": 0.02})
        self.thread.start()

    def refuse(self):
        """Nothing listens there from now on."""
        if self.thread.is_alive():
            self.over.set()
            self.server.shutdown()
            self.thread.join(10)
            self.server.server_close()


@pytest.fixture
def three():
    made = [Host() for _ in range(3)]
    yield made
    for host in made:
        host.refuse()


@pytest.fixture
def front(nginx, three):
    replaced = {f"192.0.2.{number}:8080": host.address
                for number, host in enumerate(three, 1)}
    replaced["proxy_read_timeout     10s"] = "proxy_read_timeout 1500ms"
    replaced["proxy_next_upstream_timeout  8s"] = \
        "proxy_next_upstream_timeout 600ms"
    return nginx(examples.text("front", replaced, producer=""))


def seen(three):
    return [len(host.seen) for host in three]


def says(three, *words):
    """The next request goes to the first of them: the order of a round."""
    for host, word in zip(three, words):
        host.says = word
        host.seen.clear()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_503_goes_to_another_host(front, three, method):
    says(three, NOT_KEPT, KEPT, KEPT)
    begin = time.monotonic()
    for number in range(9):
        answer = front.request(method, "/x", b"%d" % number)
        assert answer.status == 200 and answer.json == {"offset": 1}
    kept = three[1].seen + three[2].seen
    assert sorted(kept) == [(method, b"%d" % number)
                            for number in range(9)]
    # for two seconds nobody asks the host that said 503
    assert len(three[0].seen) == 1 or time.monotonic() - begin > 2


def test_a_503_of_all_hosts_goes_to_the_client(front, three):
    says(three, NOT_KEPT, NOT_KEPT, NOT_KEPT)
    answer = front.post("/x", b"1")
    assert answer.status == 503 and answer.json == {"persisted": "no"}
    assert answer.headers["retry-after"] == "1"
    assert seen(three) == [1, 1, 1]
    # and they are asked again at once, as another topic may be well
    says(three, KEPT, KEPT, KEPT)
    assert front.post("/x", b"2").status == 200


def test_the_search_has_an_end(front, three):
    says(three, NOT_KEPT, NOT_KEPT, NOT_KEPT)
    for host in three:
        host.delay = 0.4
    answer = front.post("/x", b"1")
    assert answer.status == 503 and answer.json == {"persisted": "no"}
    assert sum(seen(three)) < 3


@pytest.mark.parametrize("method, says_nothing", [
    ("POST", DIES), ("PUT", DIES), ("DELETE", DIES),
    ("POST", SILENT), ("PUT", SILENT)])
def test_what_may_be_kept_is_sent_once(front, three, method, says_nothing):
    says(three, says_nothing, says_nothing, says_nothing)
    answer = front.request(method, "/x", b"1")
    assert answer.status == 504 and answer.json["persisted"] == "possibly"
    assert answer.headers["content-type"] == "application/problem+json"
    assert "retry-after" not in answer.headers
    assert sum(seen(three)) == 1
    # nor where a host before it said that it kept nothing
    says(three, NOT_KEPT, says_nothing, says_nothing)
    for _ in range(2):
        answer = front.request(method, "/x", b"2")
        assert answer.status == 504, answer
    assert sum(seen(three[1:])) == 2


def test_a_504_of_a_host_passes_as_it_is(front, three):
    says(three, UNSURE, UNSURE, UNSURE)
    answer = front.post("/x", b"1")
    assert answer.status == 504 and answer.json == UNSURE[1]
    assert sum(seen(three)) == 1


def test_a_host_that_refuses_costs_no_request(front, three):
    three[1].refuse()
    for number in range(9):
        assert front.post("/x", b"%d" % number).status == 200
    assert sorted(body for host in three for _, body in host.seen) \
        == [b"%d" % number for number in range(9)]


def test_a_host_that_drops_packets_costs_no_request(front, three):
    """As many connections wait there as its backlog takes: it answers no
    further one."""
    three[1].refuse()
    host, _, port = three[1].address.rpartition(":")
    with socket.create_server((host, int(port)), backlog=0):
        waiting = [socket.socket() for _ in range(8)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex((host, int(port)))
        try:
            for number in range(6):
                assert front.post("/x", b"%d" % number).status == 200
        finally:
            for one in waiting:
                one.close()
    assert "timed out" in front.log()


def test_no_host_at_all(front, three):
    for host in three:
        host.refuse()
    for _ in range(2):
        answer = front.post("/x", b"1")
        assert answer.status == 503 and answer.json["persisted"] == "no"
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["content-type"] == "application/problem+json"


def test_one_host_is_enough_when_all_were_put_aside(front, three):
    """Two hosts are gone, and a topic in trouble had the third one put
    aside: other topics go on."""
    three[0].refuse()
    three[1].refuse()
    says(three, KEPT, KEPT, NOT_KEPT)
    wait_for(lambda: front.post("/x", b"1").status == 503, 10)
    says(three, KEPT, KEPT, KEPT)
    assert [front.post("/x", b"2").status for _ in range(6)] == [200] * 6


def test_a_503_of_the_module_says_that_nothing_was_kept():
    """What the front relies on, of every error there is."""
    table = re.findall(r"^\| `[\w-]+` \| (\d+) \| ([\w-]+) \| (\S+)",
                       (ROOT / "docs/reference/module.md").read_text(), re.M)
    unavailable = {(kept, after != "–") for status, kept, after in table
                   if status == "503"}
    assert len(table) > 30 and unavailable == {("no", True)}
    assert {status for status, kept, _ in table if kept == "possibly"} \
        == {"504"}
