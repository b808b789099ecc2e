"""Each file of examples/nginx does what it says: kept records are in Kafka,
refused ones are not."""

import base64
import http.client
import http.server
import pathlib
import re
import ssl
import threading

import pytest

from tests.lib import web
from tests.lib.env import wait_for
from tests.lib.examples import FOLDER, values
from tests.lib.problem import assert_problem
from tests.lib.tls import certificate


def refused(answer, status, detail=None):
    """nginx's own error in the form of the module's."""
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json
    assert problem["status"] == status
    assert problem["persisted"] == "no"
    assert problem["title"]
    if detail:
        assert detail in problem["detail"], problem
    return problem


def post_from(address, server, path, body, headers=None):
    connection = http.client.HTTPConnection(
        "127.0.0.1", server.port, timeout=20, source_address=(address, 0))
    try:
        connection.request("POST", path, body, headers or {})
        reply = connection.getresponse()
        return web.Answer(reply.status, {name.lower(): value for name, value
                                         in reply.getheaders()}, reply.read())
    finally:
        connection.close()


def headers_of(server, path, name):
    """Every header of that name in the answer to an empty POST."""
    with web.connect(server.port) as connection:
        connection.sendall(b"POST %b HTTP/1.1\r\nHost: x\r\nConnection: "
                           b"close\r\nContent-Length: 0\r\n\r\n"
                           % path.encode())
        with connection.makefile("rb") as file:
            head = file.read().partition(b"\r\n\r\n")[0].decode()
    return re.findall(rf"(?mi)^{name}: (.*?)\r?$", head)


class App(http.server.ThreadingHTTPServer):
    """The application beside Kafka: answers 201 and keeps what it saw."""

    def __init__(self):
        self.seen = []
        super().__init__(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.serve_forever,
                                       kwargs={"poll_interval": 0.02})
        self.thread.start()

    @property
    def address(self):
        return f"127.0.0.1:{self.server_address[1]}"

    def stop(self):
        self.shutdown()
        self.thread.join(10)
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.seen.append((self.command, self.path, body))
        self.send_response(201)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"app")

    do_GET = do_POST

    def log_message(self, *_):
        pass


@pytest.fixture
def app():
    made = App()
    yield made
    made.stop()


def test_every_example_is_tested_and_listed():
    names = {path.stem for path in FOLDER.glob("*.conf")}
    text = "".join(path.read_text() for path in
                   pathlib.Path(__file__).parent.glob("test_*.py"))
    index = (FOLDER.parent / "README.md").read_text()
    assert len(names) >= 8
    for name in names:
        assert re.search(rf'(example|text)\("{name}"', text), name
        assert f"nginx/{name}.conf" in index, name


def test_limit_except_sends_some_methods_to_kafka(example, event_topics):
    server = example("methods")
    answer = server.get("/events")
    assert answer.status == 200 and b"post" in answer.body
    assert server.request("HEAD", "/events").status == 200

    answer = server.post("/events", b'{"n":1}')
    assert answer.status == 200 and answer.json["topic"] == "events"
    assert_problem(server.post("/events", b"{"), 400)
    answer = server.request("DELETE", "/events")
    assert_problem(answer, 405)
    assert "POST" in answer.headers["allow"]

    # reading is for all, writing is not
    refused(post_from("127.0.0.2", server, "/events", b'{"n":2}'), 403)
    assert values(event_topics) == [b'{"n":1}']


def test_auth_request_is_asked_before_a_record_is_made(example,
                                                       event_topics):
    server = example("auth_request")

    def post(body, token=None):
        return server.post("/events", body, {"Authorization": token}
                           if token else {})

    answer = post(b"1")
    refused(answer, 401)
    assert answer.headers["www-authenticate"].startswith("Bearer")
    refused(post(b"2", "Bearer wrong"), 401)
    refused(post(b"3", "Bearer example-of-reader"), 403)
    assert post(b"4", "Bearer example-of-writer").status == 200
    assert_problem(post(b"{", "Bearer example-of-writer"), 400)
    assert server.get("/check").status == 404
    assert [(record.key, record.value)
            for record in event_topics.records("events")] == [(b"writer",
                                                               b"4")]


def test_a_check_that_is_down_lets_nobody_through(example, event_topics):
    server = example("auth_request", {
        "        return 204;": "        proxy_pass http://127.0.0.1:1;"})
    answer = server.post("/events", b"1", {
        "Authorization": "Bearer example-of-writer"})
    refused(answer, 500)
    assert answer.headers["retry-after"] == "1"
    assert event_topics.count("events") == 0


def test_limit_req_answers_429_and_makes_no_record(example, event_topics):
    server = example("limits")
    kept = []
    for number in range(60):
        body = b"%d" % number
        answer = server.post("/events", body)
        if answer.status == 200:
            kept.append(body)
            continue
        refused(answer, 429, "a second")
        assert answer.headers["retry-after"] == "1"
    assert 21 <= len(kept) < 60
    assert values(event_topics) == sorted(kept)


def test_limit_conn_answers_429_and_makes_no_record(example, event_topics):
    server = example("limits")
    head = (b"POST /events HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n"
            b'"a')
    slow = [web.connect(server.port) for _ in range(8)]
    kept = [b'"a"\n'] * len(slow)
    for connection in slow:
        connection.sendall(head)

    def one_too_many():
        answer = server.post("/events", b'"b"')
        if answer.status == 200:
            kept.append(b'"b"')
            return False
        return "at once" in refused(answer, 429)["detail"]

    wait_for(one_too_many, 10, "eight requests are open", pause=0.2)
    for connection in slow:
        connection.sendall(b'"\n')
    for connection in slow:
        with connection, connection.makefile("rb") as file:
            assert web.read_answer(file).status == 200
    assert values(event_topics) == sorted(kept)


def test_mirror_copies_to_kafka_and_from_it(example, event_topics, app):
    server = example("mirror", {"127.0.0.1:3000": app.address})
    answer = server.post("/app/orders?x=1", b"form=1")
    assert (answer.status, answer.body) == (201, b"app")
    assert server.get("/app/orders").status == 201
    assert server.post("/events", b'{"n":1}').json["topic"] == "events"
    assert_problem(server.post("/events", b"{"), 400)
    wait_for(lambda: len(app.seen) == 4, 10, "the copies")
    # the copy is made before the check: it is no record
    assert sorted(app.seen) == [
        ("GET", "/app/orders", b""), ("POST", "/app/events", b"{"),
        ("POST", "/app/events", b'{"n":1}'),
        ("POST", "/app/orders?x=1", b"form=1")]
    wait_for(lambda: event_topics.count("events") == 2, 10, "both records")
    assert values(event_topics) == [b"form=1", b'{"n":1}']
    assert server.post("/copy/kafka", b"x").status == 404


def test_a_mirror_that_is_down_does_not_change_the_answer(example,
                                                          event_topics):
    server = example("mirror", {"127.0.0.1:3000": "127.0.0.1:1"})
    assert server.post("/events", b"1").status == 200
    assert server.post("/app/x", b"2").status == 502
    wait_for(lambda: values(event_topics) == [b"1", b"2"], 10, "both")


def test_client_certificates_decide_who_may_produce(example, event_topics,
                                                    directory):
    certificate(directory, "server", "/CN=localhost")
    certificate(directory, "clients", "/CN=the authority")
    certificate(directory, "other", "/CN=another authority")
    certificate(directory, "good", "/O=Example/CN=sensor-17", "clients")
    certificate(directory, "forged", "/O=Example/CN=sensor-17", "other")
    certificate(directory, "nameless", "/O=Example", "clients")
    server = example("client_certificates",
                     {"/etc/sluice/tls": str(directory)})

    def post(body, name=None):
        context = ssl.create_default_context(cafile=directory / "server.pem")
        context.check_hostname = False
        if name:
            context.load_cert_chain(directory / f"{name}.pem",
                                    directory / f"{name}.key")
        connection = http.client.HTTPSConnection(
            "127.0.0.1", server.port, timeout=20, context=context)
        try:
            connection.request("POST", "/events", body)
            reply = connection.getresponse()
            return web.Answer(reply.status,
                              {key.lower(): value for key, value
                               in reply.getheaders()}, reply.read())
        finally:
            connection.close()

    refused(post(b"1"), 401)
    refused(post(b"2", "forged"), 403, "not valid")
    refused(post(b"3", "nameless"), 403, "name")
    assert post(b"4", "good").status == 200
    assert [(record.key, record.value)
            for record in event_topics.records("events")] == [(b"sensor-17",
                                                               b"4")]


def test_tenants_are_told_apart_by_their_api_keys(example, event_topics):
    server = example("tenants")

    def post(body, key=None, path="/events"):
        return server.post(path, body,
                           {} if key is None else {"X-Api-Key": key})

    answer = post(b"1")
    refused(answer, 401)
    assert answer.headers["www-authenticate"].startswith("ApiKey")
    refused(post(b"2", ""), 401)
    for key in ("wrong", "example-of-acme:", ":example-of-acme",
                "example-of-acme, example-of-globex"):
        refused(post(b"3", key), 403)
    assert post(b"4", "example-of-acme", "/events?key=k").json["topic"] \
        == "events-acme"
    assert post(b"5", "example-of-globex").json["topic"] == "events-globex"
    assert [(record.key, record.value)
            for record in event_topics.records("events-acme")] == [(b"k",
                                                                    b"4")]
    assert values(event_topics, "events-globex") == [b"5"]
    assert event_topics.count("events") == 0


@pytest.fixture
def password(directory):
    file = directory / "htpasswd"
    file.write_text("me:{PLAIN}secret\n")
    word = base64.b64encode(b"me:secret").decode()
    return str(file), {"Authorization": f"Basic {word}"}


def test_every_error_of_nginx_is_problem_json(example, event_topics, app,
                                              password):
    file, right = password
    server = example("errors", {
        "192.0.2.0/24": "127.0.0.2", "/etc/sluice/htpasswd": file,
        "127.0.0.1:3000": "127.0.0.1:1"})
    assert server.post("/events", b"1", right).status == 200

    refused(server.request("B@D", "/events"), 400)
    with web.connect(server.port) as connection:
        connection.sendall(b"POST /events HTTP/1.1\r\nHost: x\r\n"
                           b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n")
        refused(web.read_answer(connection.makefile("rb")), 400)
    for headers in ({}, {"Authorization": "Basic bWU6d3Jvbmc="}):
        refused(server.post("/events", b"2", headers), 401)
    assert headers_of(server, "/events", "WWW-Authenticate") \
        == ['Basic realm="events"']
    refused(post_from("127.0.0.2", server, "/events", b"3", right), 403)
    refused(server.get("/nowhere"), 404)
    refused(server.post("/events", b"4" * (2 << 20), right), 413)
    answer = server.request("TRACE", "/events")
    refused(answer, 405)
    assert answer.headers["allow"] == "POST, PUT, OPTIONS"
    answer = server.get("/app/x")
    refused(answer, 502)
    assert answer.headers["retry-after"] == "1"

    # the module's own stay as they are
    assert_problem(server.post("/events", b"{", right), 400)

    # no room for a body: the folder is gone, a file has its name
    body = server.directory / "body"
    body.rmdir()
    body.write_bytes(b"")
    answer = server.post("/events", b'"%s"' % (b"5" * 100000), right)
    refused(answer, 500)
    assert answer.headers["retry-after"] == "1"
    body.unlink()

    limited = wait_for(lambda: next(
        (answer for answer in (server.post("/events", b"{", right)
                               for _ in range(40))
         if answer.status == 429), None), 10, "429")
    refused(limited, 429)
    assert limited.headers["retry-after"] == "1"
    assert values(event_topics) == [b"1"]
