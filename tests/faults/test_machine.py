"""What the machine runs out of, and what it tells wrongly."""

import contextlib
import http.client
import os
import pathlib
import signal
import subprocess
import threading
import time

import pytest

from tests.lib import procs, web
from tests.lib.env import LONG, bound, loops, wait_for
from tests.lib.history import check_answers, check_topic
from tests.lib.problem import assert_problem
from tests.lib.servers import Kafka
from tests.lib.topics import Topics

CONF = """
    kafka_producer main {
        brokers %%KAFKA%%;
        timeout 3s;
        queue   %%QUEUE%%;
        topic   %%TOPIC%%;
    }
    kafka_drain_timeout 5s;
    client_max_body_size 2m;
    client_body_buffer_size 1m;
    server {
        listen 127.0.0.1:%%PORT%%;
        location = / {
            kafka_pass    main;
            kafka_topic   %%TOPIC%%;
            kafka_key     $arg_key;
            kafka_timeout 4s;
        }
        location = /queued {
            kafka_pass    main;
            kafka_topic   %%TOPIC%%;
            kafka_ack     queued;
            kafka_timeout 4s;
        }
        location = /many {
            kafka_pass            main;
            kafka_topic           %%TOPIC%%;
            kafka_format          ndjson;
            kafka_ack             queued;
            kafka_request_headers off;
            kafka_max_records     10000;
        }
        location = /status { kafka_status json; }
        location = /ready  { kafka_ready; }
        location = /live   { kafka_live; }
    }
"""


long_only = pytest.mark.skipif(not LONG, reason="only in make faults")


IDLE = """
    server {
        listen 127.0.0.1:%%PORT%%;
        location = /live { return 204; }
    }
"""


class Pulse:
    """Asks for /live all the time on one connection: how long the worker's
    loop stood still at most."""

    def __init__(self, port):
        self.port = port
        self.slowest = 0.0
        self.asked = 0
        self._end = False
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end = True
        self._thread.join()

    def _run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port,
                                                timeout=30)
        while not self._end:
            begin = time.monotonic()
            try:
                connection.request("GET", "/live")
                connection.getresponse().read()
            except (OSError, http.client.HTTPException):
                connection.close()      # its worker has left
                continue
            self.slowest = max(self.slowest, time.monotonic() - begin)
            self.asked += 1
            time.sleep(0.002)


@contextlib.contextmanager
def never_still(nginx, server):
    """The loop goes on meanwhile, as that of an nginx that does nothing: on
    a busy machine neither runs at once."""
    idle = nginx(IDLE)
    with Pulse(idle.port) as other, Pulse(server.port) as pulse:
        yield
    assert pulse.asked > 100
    assert pulse.slowest < max(bound(0.1, 1), 3 * other.slowest), \
        (pulse.slowest, other.slowest)


def test_a_resolver_that_never_answers(nginx, silent_resolver):
    """Row 14a: neither requests nor reload nor quit wait for it."""
    server = nginx(CONF, prefix=silent_resolver, TOPIC="t", QUEUE="8m",
                   KAFKA="one.test:9092,two.test:9092")
    with never_still(nginx, server):
        waiting = []
        for _ in range(20):
            waiting.append(web.connect(server.port))
            waiting[-1].sendall(b"POST / HTTP/1.1\r\nHost: x\r\n"
                                b"Content-Length: 1\r\n\r\nx")
        for connection in waiting:
            answer = web.read_answer(connection.makefile("rb"))
            connection.close()
            assert_problem(answer, 503, "no")
        assert server.post("/queued", b"x").status in (202, 503)
        for _ in range(loops(2, 10)):
            server.reload(wait_old=8)
    assert server.get("/ready").status == 503
    assert server.post("/queued", b"x").status in (202, 503)
    assert server.stop(signal.SIGTERM, 10) < bound(1.5, 6)


def test_the_loop_goes_on_while_a_client_is_given_up(nginx, own_kafka,
                                                     own_topics):
    """A thousand requests are answered at once when their time is over."""
    name = own_topics.create()
    server = nginx(CONF, TOPIC=name, QUEUE="8m", KAFKA=own_kafka.bootstrap)
    assert server.post("/", b"x").status == 200
    own_kafka.pause()
    waiting = []
    with never_still(nginx, server):
        for _ in range(1000):
            waiting.append(web.connect(server.port))
            waiting[-1].sendall(b"POST / HTTP/1.1\r\nHost: x\r\n"
                                b"Content-Length: 1\r\n\r\nx")
        for connection in waiting:
            assert web.read_answer(connection.makefile("rb")).status \
                in (503, 504)
            connection.close()
    own_kafka.resume()
    wait_for(lambda: server.post("/", b"y").status == 200, 20, "back")


def test_the_loop_goes_on_while_a_full_queue_is_given_up(nginx, own_kafka,
                                                         own_topics):
    """Of the smallest records there are 150,000 in it, reported at once."""
    name = own_topics.create()
    server = nginx(CONF, TOPIC=name, QUEUE="64m", KAFKA=own_kafka.bootstrap)
    assert server.post("/", b"x").status == 200
    own_kafka.pause()
    body = b'{"pad":"%090d"}\n' % 0 * 10000
    wait_for(lambda: server.post("/many", body).status == 503, 20, "full",
             pause=0)
    left = [server.get("/status").json["queued"]]
    assert left[0] > 100000
    with never_still(nginx, server):
        wait_for(lambda: server.get("/status").json["queued"] < left[0], 20,
                 "the first are given up", pause=0)
        begin = time.monotonic()
        wait_for(lambda: left.append(server.get("/status").json["queued"])
                 or left[-1] == 0, 20, "all are", pause=0)
    # requests are answered in between, and nothing waits for a timer
    assert len(set(left)) > 4, left
    assert time.monotonic() - begin < 2
    own_kafka.resume()
    wait_for(lambda: server.post("/", b"y").status == 200, 20, "back")


def test_no_more_descriptors(nginx, topics, load):
    """Row 22.  nginx closes what it cannot serve; what it answers is true,
    and afterwards all is as before."""
    name = topics.create()
    server = nginx(CONF, TOPIC=name, QUEUE="8m",
                   prefix=["prlimit", "--nofile=48:48"])
    server.expect(r"\(24: .*\)|worker_connections (exceed|are not enough)")
    assert server.post("/", b'{"id":"before"}').status == 200
    one = load(server.port, "/", connections=80, timeout=3)
    wait_for(lambda: one.count("maybe") > 10 or one.refused > 10
             or one.count("ok") > 5000, 20, "some go without")
    one.wait_ok(100, 40)
    events = one.stop()
    wait_for(lambda: server.post("/", b'{"id":"after"}').status == 200, 20,
             "all is well")
    check_answers(events)
    check_topic(events, [record for record in topics.records(name)
                         if record.value not in (b'{"id":"before"}',
                                                 b'{"id":"after"}')])
    wait_for(lambda: server.get("/status").json["in_flight"] == 0, 10, "none")


@long_only
def test_a_broker_is_found_again_without_descriptors(nginx, own_kafka,
                                                     own_topics):
    """No descriptor is left when the broker's connection has to be made
    again."""
    name = own_topics.create()
    server = nginx(CONF, TOPIC=name, QUEUE="8m", KAFKA=own_kafka.bootstrap,
                   prefix=["prlimit", "--nofile=48:48"])
    server.expect(r"\(24: .*\)|worker_connections (exceed|are not enough)")
    assert server.post("/", b"before").status == 200
    idle = [web.connect(server.port) for _ in range(60)]
    own_kafka.kill()
    own_kafka.start()
    for connection in idle:
        connection.close()
    wait_for(lambda: server.post("/", b"after").status == 200, 30, "back")
    values = [record.value for record in own_topics.records(name)]
    assert values.count(b"before") == 1 and values[-1] == b"after"


@long_only
def test_no_more_memory(nginx, own_kafka, own_topics, load):
    """Row 22.  The queue is larger than what the worker may have: 503, or a
    new worker, and no 200 is lost."""
    name = own_topics.create()
    server = nginx(CONF.replace("timeout 3s;", "timeout 20s;")
                   .replace("kafka_timeout 4s;", "kafka_timeout 21s;")
                   .replace("kafka_drain_timeout 5s;", ""),
                   TOPIC=name, QUEUE="2000m", KAFKA=own_kafka.bootstrap)
    server.expect(r"exited on signal|\(12: |open socket #")
    one = load(server.port, "/", connections=4, rate=40)
    one.wait_ok(20)
    worker = server.worker()
    limit = procs.virtual(worker) + 50 * 1024 * 1024
    subprocess.run(["prlimit", f"--pid={worker}", f"--as={limit}:{limit}"],
                   check=True)
    own_kafka.pause()
    begin = time.monotonic()
    ended = None
    body = b"x" * 900000
    while time.monotonic() < begin + 9 and ended is None:
        try:
            answer = server.post("/queued", body)
            if answer.status >= 500:
                ended = answer.status
        except (OSError, http.client.HTTPException):
            ended = "a new worker"
    assert ended, "it never came to that"
    own_kafka.resume()
    one.wait_ok(40, 60)
    events = one.stop()
    wait_for(lambda: server.get("/status").json["queued"] == 0, 40, "empty")
    assert ended != "a new worker" or server.worker() != worker
    check_topic(events, [record for record in own_topics.records(name)
                         if record.value != body])


def faketime():
    found = list(pathlib.Path("/usr/lib").glob("*/faketime/"
                                               "libfaketimeMT.so.1"))
    if not found:
        pytest.skip("needs libfaketime")
    return found[0]


@pytest.mark.parametrize("jump", loops(["-3600"], ["-3600", "+3600"]))
def test_the_clock_jumps_by_an_hour(nginx, topics, load, directory, jump):
    """Row 23.  Time-outs go by the monotonic clock: nothing ends early, and
    nothing waits for an hour."""
    file = directory / "offset"
    file.write_text("+0")
    name = topics.create(partitions=2)
    names = {"FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_NO_CACHE": "1",
             "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    server = nginx(CONF, TOPIC=name, QUEUE="8m", preload=[faketime()],
                   env=names, main=" ".join(f"env {name};" for name in names))
    one = load(server.port, "/", connections=8, keys=4, rate=200)
    one.wait_ok(100)
    for _ in range(loops(2, 20)):
        file.write_text(jump)
        one.wait_ok(200, 20)
        file.write_text("+0")
        one.wait_ok(200, 20)
    events = one.stop()
    check_answers(events, only=("ok",))
    records = topics.records(name)
    check_topic(events, records)
    times = [record.timestamp for record in records]
    # the clock did jump, for the program
    assert max(times) - min(times) > 3500000
    # a request that cannot be kept ends by its own time, after a jump too
    topics.delete(name)
    begin = time.monotonic()
    file.write_text(jump)
    assert server.post("/", b"x").status in (503, 504)
    assert time.monotonic() - begin < 6


@pytest.fixture
def small_disk(directory):
    """A tmpfs of 60 MB; grow() makes room."""
    if os.geteuid() != 0:
        pytest.skip("needs root, for a file system of its own")
    place = directory / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=60m", "tmpfs", str(place)]
    if subprocess.run(mount, check=False).returncode != 0:
        pytest.skip("cannot mount a tmpfs here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@long_only
def test_the_brokers_disk_is_full(nginx, small_disk, load):
    """Row 21.  Back-pressure, then 503; with room again it goes on."""
    kafka = Kafka(small_disk / "kafka", ["log.segment.bytes=10485760",
                                         "log.index.size.max.bytes=65536"])
    try:
        kafka.start()
        topics = Topics(kafka)
        name = topics.create()
        server = nginx(CONF, TOPIC=name, QUEUE="8m", KAFKA=kafka.bootstrap)
        one = load(server.port, "/", connections=8, size=200000, rate=150)
        one.wait_ok(20)
        worker = server.worker()
        wait_for(lambda: server.get("/ready").status == 503, 90, "full")
        assert one.count("ok") > 50
        refused = one.count("fail")
        wait_for(lambda: one.count("fail") > refused + 50, 30, "refusals")
        assert server.worker() == worker
        subprocess.run(["mount", "-o", "remount,size=400m", str(small_disk)],
                       check=True)
        if kafka.alive():
            kafka.kill()
        kafka.start()
        one.wait_ok(20, 60)
        events = one.stop()
        assert server.worker() == worker
        wait_for(lambda: server.get("/status").json["queued"] == 0, 20)
        check_topic(events, topics.records(name))
        assert procs.alive(server.pid)
    finally:
        kafka.stop()
