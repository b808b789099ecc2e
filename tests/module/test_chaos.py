"""Clients that leave at any stage leave nothing behind: no descriptor, no
socket in CLOSE-WAIT, no record that counts as waiting."""

import random
import socket

import pytest

from tests.lib import procs, web
from tests.lib.env import loops, wait_for
from tests.lib.http2 import Streams

CONF = """
    kafka_producer main {
        brokers %%KAFKA%%;
        property linger.ms 300;
        topic   %%TOPIC%%;
    }
    client_max_body_size    8m;
    client_body_buffer_size 16k;
    server {
        listen 127.0.0.1:%%PORT%%;
        listen 127.0.0.1:%%PORT2%% http2;
        location = /kafka {
            kafka_pass   main;
            kafka_topic  %%TOPIC%%;
            kafka_format ndjson;
        }
        # nginx alone: as long as a record waits, with the body read as well
        location = /bare   {
            proxy_pass         http://127.0.0.1:%%SILENT%%;
            proxy_read_timeout 300ms;
        }
        location = /status { kafka_status json; }
    }
"""

BODY = b'{"a":"' + b"x" * 1000 + b'"}\n'
LARGE = BODY * 60           # more than nginx's buffer
CLOSE_WAIT = "08"           # include/net/tcp_states.h


def close_waits(port):
    """Sockets of a port whose client is gone and that nobody closes."""
    found = 0
    with open("/proc/net/tcp", encoding="ascii") as file:
        for line in list(file)[1:]:
            _, local, _, state = line.split()[:4]
            found += state == CLOSE_WAIT and int(local.split(":")[1],
                                                 16) == port
    return found


def leave(connection, chance):
    """By RST, by FIN, or by half a FIN first."""
    how = chance.randrange(3)
    try:
        if how == 0:
            web.reset(connection)
            return
        if how == 1:
            connection.shutdown(socket.SHUT_WR)
    except OSError:
        pass
    connection.close()


STAGES = ["head", "before", "within", "waiting", "answered", "pipelined"]


def http1(server, path, stage, body, chance):
    connection = web.connect(server.port)
    head = (f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}"
            "\r\n\r\n").encode()
    whole = head + body
    sent = {"head": whole[:20], "before": head,
            "within": whole[:len(head) + chance.randrange(1, len(body))],
            "pipelined": whole * 3}.get(stage, whole)
    connection.sendall(sent)
    if stage == "answered":
        assert connection.recv(1)
    leave(connection, chance)


def http2(server, path, bodies, chance):
    """One connection: a stream for each stage, reset there.  The connection
    then ends with some of them still open."""
    client = Streams(server.port2, window=chance.choice([0, 65535]))
    for stage in STAGES[1:5]:
        for body in bodies:
            stream = client.begin(path)
            if stage == "within":
                client.send(stream, body[:len(body) // 2])
            elif stage != "before":
                client.send(stream, body, end=True)
            if stage == "answered":
                client.hear([stream])
            if stream not in client.ended and chance.randrange(4):
                client.reset(stream)
    leave(client.socket, chance)


@pytest.mark.parametrize("protocol", ["http1", "http2"])
@pytest.mark.parametrize("path", ["/kafka", "/bare"])
def test_clients_that_leave_at_every_stage_leave_nothing(nginx, topic, path,
                                                         protocol):
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as silent:
        server = nginx(CONF, TOPIC=topic, SILENT=silent.getsockname()[1])
        storm(server, path, protocol)


def storm(server, path, protocol):
    worker = server.worker()
    assert server.post("/kafka", BODY).status == 200
    assert server.post("/bare", BODY).status == 504
    connections = procs.descriptors(worker)
    chance = random.Random(protocol)
    for _ in range(loops(6, 200)):
        if protocol == "http2":
            http2(server, path, (BODY, LARGE), chance)
            continue
        for stage in STAGES:
            for body in (BODY, LARGE):
                http1(server, path, stage, body, chance)
    wait_for(lambda: server.get("/status").json["in_flight"] == 0, 20,
             "no request waits")
    # the request for the status itself is one
    wait_for(lambda: procs.descriptors(worker) <= connections + 1, 20,
             "descriptors are closed")
    wait_for(lambda: close_waits(server.port) + close_waits(server.port2)
             == 0, 20, "no socket is in CLOSE-WAIT")
    assert server.worker() == worker
    assert server.post("/kafka", BODY).status == 200
