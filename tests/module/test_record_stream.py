"""`kafka_stream on`: records are produced while they come, a report each."""

import base64
import json
import os
import signal
import socket
import threading
import time

import pytest

from tests.lib import procs, web
from tests.lib.env import SANITIZED, bound, loops, wait_for
from tests.lib.http2 import Streams
from tests.lib.metrics import scrape
from tests.lib.problem import assert_problem

CONF = """
    kafka_producer main {
        brokers %%KAFKA%%;
        timeout 2s;
        property message.max.bytes 20000;
        topic   %%TOPIC%%;
    }
    kafka_limit_zone $arg_who zone=few:1m records=60/m;
    client_body_timeout 10s;
    send_timeout        %%SEND%%;
    log_format own "$kafka_records $kafka_persisted $kafka_error";
    server {
        listen 127.0.0.1:%%PORT%%;
        listen 127.0.0.1:%%PORT2%% http2;
        client_max_body_size 0;
        access_log own.log own;
        kafka_timeout 3s;
        location / {
            kafka_pass      main;
            kafka_topic     %%TOPIC%%;
            kafka_key_field /k;
            kafka_format    auto;
            kafka_stream    on;
        }
        location = /queued {
            kafka_pass   main;
            kafka_topic  %%TOPIC%%;
            kafka_format ndjson;
            kafka_ack    queued;
            kafka_stream on;
        }
        location = /few {
            kafka_pass   main;
            kafka_topic  %%TOPIC%%;
            kafka_format ndjson;
            kafka_limit  zone=few burst_records=5;
            kafka_stream on;
        }
        location = /small {
            client_max_body_size 1k;
            kafka_pass   main;
            kafka_topic  %%TOPIC%%;
            kafka_format ndjson;
            kafka_stream on;
        }
        location /v3/ {
            kafka_pass   main;
            kafka_format confluent;
            kafka_stream on;
        }
        location = /status  { kafka_status json; }
        location = /metrics { kafka_status prometheus; }
    }
"""

JSON = {"Content-Type": "application/json"}
LENIENT = ("Content-Type: application/x-ndjson\r\n"
           "Prefer: handling=lenient\r\n")


class Stream:
    """A request whose body is sent chunk by chunk, and its reports."""

    def __init__(self, port, path="/", head=LENIENT, receive=None):
        self.socket = socket.socket()
        if receive:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                                   receive)
        self.socket.settimeout(bound(20, 100))
        self.socket.connect(("127.0.0.1", port))
        self.socket.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\n{head}"
                            "Transfer-Encoding: chunked\r\n\r\n".encode())
        self.file = self.socket.makefile("rb")
        self.left = b""
        self.whole = False
        self.status = None
        self.headers = {}

    def send(self, data):
        self.socket.sendall(b"%x\r\n%s\r\n" % (len(data), data))

    def end(self):
        self.socket.sendall(b"0\r\n\r\n")

    def head(self):
        if self.status is None:
            self.status = int(self.file.readline().split()[1])
            for line in iter(self.file.readline, b"\r\n"):
                name, value = line.decode().strip().split(": ", 1)
                self.headers[name.lower()] = value
            assert self.headers["transfer-encoding"] == "chunked"
        return self.status

    def line(self):
        """The next report; None: no more, self.whole: by a clean end."""
        assert self.head() == 200
        while b"\n" not in self.left:
            try:
                size = self.file.readline()
            except ConnectionResetError:
                return None
            if not size:
                return None
            data = self.file.read(int(size, 16))
            self.file.readline()
            if not data:
                self.whole = True
                return None
            self.left += data
        line, self.left = self.left.split(b"\n", 1)
        return json.loads(line)

    def lines(self):
        return list(iter(self.line, None))

    def close(self):
        self.file.close()
        self.socket.close()


@pytest.fixture
def topic(topics):
    return topics.create(partitions=3)


@pytest.fixture
def server(nginx, topic):
    return nginx(CONF, TOPIC=topic, SEND="10s")


def record(number, key="k", size=0):
    return json.dumps({"n": number, "k": key, "x": "x" * size},
                      separators=(",", ":")).encode() + b"\n"


def numbers(topics, topic):
    """The numbers in the topic, in the order of their offsets."""
    return [json.loads(found.value)["n"] for found in
            sorted(topics.records(topic), key=lambda r: r.offset)]


def test_reports_come_while_the_client_still_sends(server, topics, topic):
    count = 10000
    server.wait_prompt()
    warm = record(-1)
    assert server.post("/", warm, JSON).status == 200
    stream = Stream(server.port)
    sent = []
    reports = []

    def read():
        for _ in range(count):
            reports.append((stream.line(), len(sent)))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(count):
        if number == count // 2:
            wait_for(lambda: reports, 60, "the first report comes")
        if number == count - 1:
            # the last one is not sent before most are reported
            wait_for(lambda: len(reports) >= count - 1, 60, "reports come")
        stream.send(record(number))
        sent.append(number)
    stream.end()
    reader.join()
    assert stream.line() is None and stream.whole
    assert reports[0][1] <= count / 2
    lines = [line for line, _ in reports]
    assert [line["index"] for line in lines] == list(range(count))
    assert all(line["status"] == 200 and line["persisted"] == "yes"
               for line in lines)
    # one key, one partition: in the order in which they were sent
    assert numbers(topics, topic) == list(range(-1, count))
    offsets = [line["offset"] for line in lines]
    assert offsets == sorted(offsets)
    assert stream.headers["preference-applied"] == "handling=lenient"
    assert stream.headers["content-type"] == "application/x-ndjson"
    assert scrape(server).sum("sluice_http_requests_total", code="kept") == 2
    # the connection takes another request
    stream.socket.sendall(b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n")
    assert web.read_answer(stream.file).json["in_flight"] == 0
    stream.close()
    assert "10000 yes -" in (server.directory / "own.log").read_text()


def test_one_record_one_report(server, topics, topic):
    """In lock-step, cut at every byte; the head comes before the first."""
    stream = Stream(server.port)
    assert stream.head() == 200
    begin = time.monotonic()
    for number in range(300):
        line = record(number)
        cut = number % len(line)
        if cut:
            stream.send(line[:cut])
        stream.send(line[cut:])
        assert stream.line()["index"] == number
    assert time.monotonic() - begin < bound(6, 60)
    stream.send(b"\r\n\n" + record(300)[:-1])
    stream.end()
    assert stream.line()["status"] == 200
    assert stream.line() is None and stream.whole
    assert numbers(topics, topic) == list(range(301))


def test_a_body_of_known_length_and_of_nothing(server, topics, topic):
    answer = server.post("/", b"".join(map(record, range(3000))),
                         {"Content-Type": "application/x-ndjson",
                          "Prefer": "handling=lenient"})
    lines = [json.loads(line) for line in answer.body.splitlines()]
    assert [line["index"] for line in lines] == list(range(3000))
    assert {line["status"] for line in lines} == {200}
    assert numbers(topics, topic) == list(range(3000))
    stream = Stream(server.port)
    stream.end()
    assert stream.line() is None and stream.whole
    # others are read whole, and answered as ever
    answer = server.post("/", record(1), {"Content-Type":
                                          "application/x-ndjson"})
    assert answer.json["results"][0]["status"] == 200
    answer = server.post("/", record(1), {"Content-Type": "application/json",
                                          "Prefer": "handling=lenient"})
    assert answer.json["offset"] >= 0


def test_bad_lines_amid_good_ones(server, topics, topic):
    stream = Stream(server.port)
    large = b'{"k":"k","n":"' + b"x" * 30000 + b'"}\n'
    for number in range(0, 40, 4):
        stream.send(record(number) + b"{\n" + b'{"n":1}\n')
        for at in range(0, len(large), 7000):
            stream.send(large[at:at + 7000])
    stream.end()
    lines = stream.lines()
    assert stream.whole
    assert [line["status"] for line in lines] == [200, 400, 422, 413] * 10
    assert lines[1]["persisted"] == "no"
    assert lines[1]["type"].endswith("/not-json")
    assert lines[3]["type"].endswith("/record-too-large")
    assert numbers(topics, topic) == list(range(0, 40, 4))
    assert scrape(server).sum("sluice_http_requests_total",
                              code="partly") == 1
    assert "40 partly -" in (server.directory / "own.log").read_text()


def test_each_record_has_its_verdict_of_a_limit(server, topics, topic):
    stream = Stream(server.port, "/few?who=me")
    stream.send(b"".join(map(record, range(20))))
    stream.end()
    statuses = [line["status"] for line in stream.lines()]
    assert statuses[:5] == [200] * 5
    assert statuses.count(429) >= 13
    assert numbers(topics, topic) == [number for number in range(20)
                                      if statuses[number] == 200]


def test_keys_of_a_stream_go_on(server, topics, topic):
    """The same stream sent again has the same keys."""
    stream = Stream(server.port, "/queued",
                    LENIENT + "Idempotency-Key: abc\r\n")
    for number in range(3):
        stream.send(record(number))
        assert stream.line() == {"index": number, "status": 202,
                                 "persisted": "possibly"}
    stream.end()
    assert stream.lines() == [] and stream.whole
    wait_for(lambda: topics.count(topic) == 3, 10, "kept")
    keys = {json.loads(found.value)["n"]: dict(found.headers)
            for found in topics.records(topic)}
    assert keys == {number: {"idempotency-key": b"abc:%d" % number}
                    for number in range(3)}


def test_the_size_of_a_body_ends_a_stream_truthfully(server, topics, topic):
    stream = Stream(server.port, "/small")
    stream.send(record(0, size=500))
    assert stream.line()["status"] == 200
    stream.send(record(1, size=800))
    end = stream.line()
    assert "index" not in end
    assert end["status"] == 413 and end["persisted"] == "no"
    assert "client_max_body_size" in end["detail"]
    assert stream.line() is None and stream.whole
    assert numbers(topics, topic) == [0]


def test_before_the_first_record_a_problem_has_its_status(server):
    answer = server.post("/v3/clusters/none/topics/none/records", b"{}",
                         {"Content-Type": "application/json"})
    assert answer.status == 404
    stream = Stream(server.port, head=LENIENT + "Content-Encoding: lzma\r\n")
    assert_problem(web.read_answer(stream.file), 415)


def test_a_client_that_never_reads(nginx, topics, topic):
    """It is stopped, its memory is bounded, and it ends in time."""
    server = nginx(CONF, TOPIC=topic, SEND="2s")
    worker = server.worker()
    before = procs.rss(worker)
    stream = Stream(server.port, receive=4096)
    stream.socket.settimeout(2)
    sent = 0
    stopped = False
    piece = b"".join(record(n) for n in range(100))
    while not stopped and sent < 64 << 20:
        try:
            stream.send(piece)
            sent += len(piece)
        except (TimeoutError, BrokenPipeError, ConnectionResetError):
            stopped = True
    assert stopped, "the client sends on and on"
    # a sanitizer keeps what is freed for a while
    assert SANITIZED or procs.rss(worker) - before < 16 << 20
    wait_for(lambda: scrape(server).sum("sluice_http_requests_total",
                                        code="client-left") == 1, 15,
             "it is ended")
    stream.close()
    # nothing comes twice, and in order, as far as it was taken
    found = numbers(topics, topic)
    assert found == [number % 100 for number in range(len(found))]
    assert server.get("/status").json["queued"] == 0


def test_a_broker_that_goes_away(nginx, own_kafka, own_topics):
    """Its lines are truthful: judged by what is in the topic."""
    name = own_topics.create()
    server = nginx(CONF, TOPIC=name, KAFKA=own_kafka.bootstrap, SEND="10s")
    stream = Stream(server.port)
    statuses = []

    def step():
        stream.send(record(len(statuses)))
        statuses.append(stream.line()["status"])
        return statuses[-1]

    wait_for(lambda: step() == 200, 20, "the broker is there")
    assert [step() for _ in range(20)] == [200] * 20
    own_kafka.kill()
    wait_for(lambda: step() == 503, 15, "known down")
    stream.end()
    assert stream.line() is None and stream.whole
    # its start may take longer than a client may send nothing
    own_kafka.start()
    stream = Stream(server.port)
    wait_for(lambda: step() == 200, 30, "back")
    stream.end()
    assert stream.line() is None and stream.whole
    assert set(statuses) <= {200, 503, 504}
    found = [json.loads(kept.value)["n"] for kept in own_topics.records(name)]
    for number, status in enumerate(statuses):
        possible = {200: {1}, 503: {0}, 504: {0, 1}}[status]
        assert found.count(number) in possible, (number, status)


@pytest.mark.parametrize("how", ["reload", "quit"])
def test_an_exiting_worker_ends_the_stream_behind_a_record(server, topics,
                                                           topic, how):
    idle = Stream(server.port)
    busy = Stream(server.port)
    assert idle.head() == busy.head() == 200
    idle.send(record(-1) + b'{"n":')
    assert idle.line()["status"] == 200
    stop = threading.Event()
    sent = []

    def send():
        try:
            while not stop.is_set():
                sent.append(len(sent))
                busy.send(record(sent[-1]))
                time.sleep(0.002)
        except OSError:
            pass

    sender = threading.Thread(target=send)
    sender.start()
    lines = [busy.line() for _ in range(50)]
    old = server.workers()
    if how == "reload":
        server.reload()
    else:
        os.kill(server.pid, signal.SIGQUIT)
    lines += busy.lines()
    stop.set()
    sender.join()
    assert busy.whole
    *reports, end = lines
    assert end["status"] == 503 and end["persisted"] == "no"
    assert end["type"].endswith("/not-sent") and "index" not in end
    rest = idle.lines()
    assert idle.whole and [line["status"] for line in rest] == [503]
    idle.close()
    busy.close()
    procs.wait_gone(old, 20, "the old worker is gone")
    assert [line["index"] for line in reports] == list(range(len(reports)))
    assert {line["status"] for line in reports} == {200}
    found = numbers(topics, topic)
    found.remove(-1)
    assert found == list(range(len(reports)))


def test_clients_that_leave(server, topics, topic):
    """RST at different moments: in a line, behind it, while reports come."""
    worker = server.worker()
    assert server.post("/", record(-1), JSON).status == 200
    server.wait_prompt()
    before = procs.descriptors(worker)
    for number in range(loops(1000, 10000)):
        stream = Stream(server.port)
        how = number % 5
        stream.send(record(number)[:10] if how == 0
                    else record(number) * (how * how))
        if how == 3:
            stream.line()
        if how == 4:
            stream.end()
        stream.file.close()
        web.reset(stream.socket)
    assert server.worker() == worker
    wait_for(lambda: server.get("/status").json["in_flight"] == 0
             and server.get("/status").json["queued"] == 0, 20, "all over")
    wait_for(lambda: abs(procs.descriptors(worker) - before) <= 3, 20,
             "descriptors as before")
    assert scrape(server).sum("sluice_http_requests_total",
                              code="client-left") >= loops(200, 2000)


def test_http2(server, topics, topic):
    client = Streams(server.port2)
    headers = [("content-type", "application/x-ndjson"),
               ("prefer", "handling=lenient")]
    one = client.begin("/", headers=headers)
    two = client.begin("/", headers=headers)
    client.hear([one, two])
    for number in range(200):
        client.send(one, record(2 * number, "a"))
        client.send(two, record(2 * number + 1, "b"))
        while client.answers[one].body.count(b"\n") <= number \
                or client.answers[two].body.count(b"\n") <= number:
            client.wait_some()
    client.send(one, record(400, "a", 10000) * 20, end=True)
    client.send(two, b"", end=True)
    client.wait([one, two])
    for stream, count in (one, 220), (two, 200):
        lines = [json.loads(line) for line
                 in client.answers[stream].body.splitlines()]
        assert [line["index"] for line in lines] == list(range(count))
        assert {line["status"] for line in lines} == {200}
    assert topics.count(topic) == 420
    # one that leaves, and one that cannot be told anything
    for number in range(loops(200, 2000)):
        if number % 50 == 49:
            # nginx ends a connection with too many of them at once
            client.close()
            client = Streams(server.port2)
        stream = client.begin("/", headers=headers)
        client.send(stream, record(number) * (number % 7))
        client.reset(stream)
    assert client.post("/status", b"", "GET").json["in_flight"] == 0
    client.close()


V3 = "Content-Type: application/json\r\n"


def envelope(number):
    return json.dumps({"key": {"type": "STRING", "data": "k"},
                       "value": {"type": "JSON", "data": {"n": number}}},
                      indent=1).encode()


@pytest.fixture
def v3(server, topic):
    found = wait_for(lambda: server.get("/v3/clusters").json.get("data"), 10,
                     "the cluster is known")
    return f"/v3/clusters/{found[0]['cluster_id']}/topics/{topic}/records"


def test_v3_has_its_own_reports(server, topics, topic, v3):
    stream = Stream(server.port, v3, V3)
    for number in range(200):
        text = envelope(number)
        cut = number % len(text)
        if cut:
            stream.send(text[:cut])
        stream.send(text[cut:])
        report = stream.line()
        assert report["error_code"] == 200 and report["topic_name"] == topic
        assert report["value"]["type"] == "JSON"
    stream.send(b"".join(map(envelope, range(200, 400)))
                + b'{"value":{"type":"AVRO","data":1}}'
                + json.dumps({"key": {"type": "BINARY", "data":
                                      base64.b64encode(b"k").decode()},
                              "value": {"type": "JSON", "data": {"n": 400}}}
                             ).encode())
    assert [stream.line()["error_code"] for _ in range(202)] \
        == [200] * 200 + [400, 200]
    stream.end()
    assert stream.line() is None and stream.whole
    assert stream.headers["content-type"] == "application/json"
    assert sorted(numbers(topics, topic)) == list(range(401))


@pytest.mark.parametrize("broken", [b'{"value":01}', b"x", b'{"value":'])
def test_v3_nothing_is_read_behind_a_broken_text(server, topics, topic, v3,
                                                 broken):
    stream = Stream(server.port, v3, V3)
    stream.send(envelope(0) + broken + envelope(1))
    stream.end()
    assert [line["error_code"] for line in stream.lines()] == [200, 400]
    assert stream.whole
    assert numbers(topics, topic) == [0]


def test_v3_of_known_length_has_the_status_of_its_record(server, v3):
    answer = server.post(v3, b'{"value":{"type":"AVRO","data":1}}',
                         {"Content-Type": "application/json"})
    assert answer.status == 400
    answer = server.post(v3, envelope(1), {"Content-Type":
                                           "application/json"})
    assert answer.status == 200 and answer.json["error_code"] == 200


@pytest.mark.parametrize("more, says", [
    ("kafka_format json;", "needs \"kafka_format\""),
    ("kafka_format ndjson; kafka_body $arg_a;", "kafka_body"),
])
def test_what_does_not_fit(nginx, topic, more, says):
    server = nginx(CONF.replace("kafka_format    auto;", more), start=False,
                   TOPIC=topic, SEND="10s")
    server.expect(r"\[emerg\]")
    code, said = server.test()
    assert code != 0 and says in said and "nginx.conf:" in said
