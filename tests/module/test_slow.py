"""Clients that take their time must not cost the others theirs."""

import time

from tests.lib import web
from tests.lib.env import bound, loops, wait_for

CONF = """
    kafka_producer main {
        brokers %%KAFKA%%;
        topic   %%TOPIC%%;
    }
    client_header_timeout 60s;
    client_body_timeout   60s;
    server {
        listen 127.0.0.1:%%PORT%%;
        location = / {
            kafka_pass  main;
            kafka_topic %%TOPIC%%;
            kafka_key   $arg_key;
        }
        location = /status { kafka_status json; }
    }
"""

HEAD = (b"POST / HTTP/1.1\r\nHost: x\r\nX-Pad: " + b"x" * 100
        + b"\r\nContent-Length: 100\r\n\r\n")


def slowest_but_one_percent(load, server):
    one = load(server.port, "/", connections=4, rate=200)
    one.wait_ok(loops(200, 2000), 60)
    taken = sorted(event.end - event.start for event in one.stop())
    assert {event.outcome for event in one.events} == {"ok"}
    return taken[int(len(taken) * 0.99)]


def test_slow_heads_and_bodies_leave_the_others_their_time(nginx, topics,
                                                           topic, load):
    """Row 30.  Two thousand clients in the middle of a head or a body, each
    with a byte now and then."""
    server = nginx(CONF, TOPIC=topic)
    assert server.post("/", b'{"id":"warm"}').status == 200
    alone = slowest_but_one_percent(load, server)
    slow = []
    whole = HEAD + b"y" * 100
    for number in range(loops(500, 2000)):
        connection = web.connect(server.port)
        connection.sendall(whole[:30 if number % 2 else len(HEAD) + 10])
        slow.append((connection, whole[30 if number % 2
                                       else len(HEAD) + 10:]))
    beside = slowest_but_one_percent(load, server)
    assert beside <= max(2 * alone, bound(0.02, 0.3)), (alone, beside)
    # a byte more of each, then the rest of some: those are answered
    for number, (connection, rest) in enumerate(slow):
        connection.sendall(rest[:1])
        slow[number] = connection, rest[1:]
    for connection, rest in slow[:20]:
        connection.sendall(rest)
        assert web.read_answer(connection.makefile("rb")).status == 200
    for connection, _ in slow:
        connection.close()
    begin = time.monotonic()
    wait_for(lambda: server.get("/status").json["in_flight"] == 0, 10, "none")
    assert time.monotonic() - begin < 10
    values = [record.value for record in topics.records(topic)]
    # a body that was not whole is no record
    assert values.count(b"y" * 100) == 20
    assert all(value == b"y" * 100 or value[:1] == b"{" for value in values)
