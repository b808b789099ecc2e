"""What kafka_status counts: exact, over workers, reloads and crashes."""

import itertools
import os
import shutil
import signal
import time

from tests.lib import procs, web
from tests.lib.env import MODULE, bound, wait_for
from tests.lib.metrics import scrape

CONF = """
    kafka_producer main {
        brokers %%KAFKA%%;
        timeout 3s;
        topic   %%TOPIC%%;
        %%MORE%%
    }
    server {
        listen 127.0.0.1:%%PORT%%;
        location ~ ^/topics/(?<t>[\\w.-]+)$ {
            kafka_pass   main;
            kafka_topic  $t;
            kafka_format json;
        }
        location ~ ^/queued/(?<t>[\\w.-]+)$ {
            kafka_pass  main;
            kafka_topic $t;
            kafka_ack   queued;
        }
        location ~ ^/lines/(?<t>[\\w.-]+)$ {
            kafka_pass   main;
            kafka_topic  $t;
            kafka_format ndjson;
        }
        location = /status { kafka_status json; }
        location = /metrics { kafka_status prometheus; }
    }
"""


def settled(server, kept):
    """What is scraped when so many records are kept."""
    return wait_for(lambda: next(
        (found for found in (scrape(server),)
         if found.sum("sluice_http_records_total", result="kept") >= kept),
        None), 20, f"{kept} records are kept")


def test_requests_records_and_bytes_are_counted_by_topic(nginx, topics):
    one, two = topics.create(), topics.create()
    server = nginx(CONF, TOPIC=one, MORE=f"topic {two};", workers=2)
    for _ in range(5):
        assert server.post(f"/topics/{one}", b'{"a":1}').status == 200
    for _ in range(3):
        assert server.post(f"/queued/{two}", b"12345").status == 202
    assert server.post(f"/lines/{two}", b"1\n2\n3\n4\n").status == 200
    assert server.post(f"/lines/{two}", b'1\n{\n', {
        "Prefer": "handling=lenient"}).status == 207
    assert server.post(f"/topics/{one}", b"{").status == 400
    for name in ("nobody", "declared", "it"):
        assert server.post(f"/topics/{name}", b"1").status == 404
    assert server.get(f"/topics/{one}").status == 405

    found = settled(server, 13)
    requests = {(labels["topic"], labels["code"], labels.get("status")): value
                for labels, value in found.find("sluice_http_requests_total")}
    # a topic that is declared has all codes from the start
    codes = {key[1:] for key in requests if key[0] == one}
    assert ("brokers-down", "503") in codes and len(codes) > 30
    assert codes == {key[1:] for key in requests if key[0] == two}
    assert {key: value for key, value in requests.items() if value} == {
        (one, "kept", "200"): 5, (one, "not-json", "400"): 1,
        (two, "kept", "200"): 1, (two, "queued", "202"): 3,
        (two, "partly", "207"): 1,
        ("(other)", "topic-not-declared", "404"): 3,
        ("(other)", "method-not-allowed", "405"): 1}
    records = "sluice_http_records_total"
    assert found.one(records, topic=one, result="kept") == 5
    assert found.one(records, topic=two, result="kept") == 8
    assert found.sum(records) == 13
    size = {topic: sum(len(record.value) + len(record.key or b"")
                       + sum(len(name) + len(value)
                             for name, value in record.headers)
                       for record in topics.records(topic))
            for topic in (one, two)}
    for topic in (one, two):
        assert found.one("sluice_http_record_bytes_total", topic=topic) \
            == size[topic]
    assert found.sum("sluice_http_queue_records") == 0
    assert found.sum("sluice_http_queue_bytes") == 0
    assert found.one("sluice_http_queue_limit_bytes") == 2 * 64 * 1024 * 1024
    assert found.one("sluice_http_workers") == 2

    status = server.get("/status").json
    assert status["requests"] == sum(requests.values())
    assert status["acked"] == 13


def test_the_latency_is_a_histogram_in_seconds(nginx, own_kafka, own_topics):
    """Of 20 records one waits for longer than a second."""
    topic = own_topics.create()
    server = nginx(CONF, TOPIC=topic, KAFKA=own_kafka.bootstrap, MORE="")
    for _ in range(19):
        assert server.post(f"/topics/{topic}", b"1").status == 200
    own_kafka.pause()
    waiting = server_connection(server, topic)
    wait_for(lambda: scrape(server).sum("sluice_http_requests_in_flight")
             == 1, 10, "it waits")
    time.sleep(1.2)
    own_kafka.resume()
    wait_for(lambda: scrape(server).find("sluice_http_ack_latency_seconds"
                                         "_count")[0][1] == 20, 10, "kept")
    waiting.close()
    found = scrape(server)
    name = "sluice_http_ack_latency_seconds"
    assert found.types[name] == "histogram"
    buckets = [(float(labels["le"]), value)
               for labels, value in found.find(f"{name}_bucket")]
    assert buckets == sorted(buckets)
    assert buckets[-1] == (float("inf"), 20)
    assert found.one(f"{name}_count") == 20
    assert 1 < found.one(f"{name}_sum") < 20
    within = dict(buckets)
    assert within[1.0] <= 19 < within[10.0] == 20
    values = [value for _, value in buckets]
    assert values == sorted(values)


def test_types_and_names_are_prometheus_conventions(nginx, topic):
    server = nginx(CONF, TOPIC=topic, MORE="")
    found = scrape(server)
    for name, kind in found.types.items():
        assert name.startswith("sluice_http_")
        # the parser takes _total off a counter's name
        assert kind in ("counter", "gauge", "histogram"), name
    assert found.types["sluice_http_requests"] == "counter"
    assert found.types["sluice_http_queue_bytes"] == "gauge"


def test_a_killed_worker_takes_its_gauges_and_leaves_its_counters(
        nginx, own_kafka, own_topics):
    name = own_topics.create()
    server = nginx(CONF, TOPIC=name, KAFKA=own_kafka.bootstrap, MORE="",
                   workers=2)
    server.expect(r"exited on signal")
    for _ in range(30):
        assert server.post(f"/topics/{name}", b"1").status == 200
    own_kafka.pause()
    waiting = [server_connection(server, name) for _ in range(8)]
    for _ in range(8):
        assert server.post(f"/queued/{name}", b"q").status == 202
    wait_for(lambda: scrape(server).sum("sluice_http_requests_in_flight")
             == 8, 20, "8 requests wait")
    found = scrape(server)
    assert found.sum("sluice_http_queue_records") == 16
    # docs/reference/module.md, queue: a byte each, 320, and by headers 128 and 80
    assert found.sum("sluice_http_queue_bytes") >= 16 * (1 + 320)
    assert found.sum("sluice_http_queue_bytes") \
        <= 16 * (1 + 320 + 128 + 2 * (80 + 100))
    for worker in server.workers():
        os.kill(worker, signal.SIGKILL)
        procs.wait_gone([worker], 20)
    wait_for(lambda: len(server.workers()) == 2, 20, "new workers")
    for connection in waiting:
        connection.close()
    found = scrape(server)
    assert found.sum("sluice_http_requests_in_flight") == 0
    assert found.sum("sluice_http_queue_records") == 0
    assert found.sum("sluice_http_queue_bytes") == 0
    assert found.one("sluice_http_workers") == 2
    assert found.one("sluice_http_requests_total", code="kept") == 30
    assert found.one("sluice_http_requests_total", code="queued") == 8
    assert found.one("sluice_http_records_total", result="kept") == 30
    assert found.one("sluice_http_records_unreported_total") == 16
    own_kafka.resume()
    wait_for(lambda: server.post(f"/topics/{name}", b"1").status == 200, 20,
             "it serves again")
    assert scrape(server).one("sluice_http_records_total", result="kept") > 30


def test_a_leaving_worker_that_is_killed_takes_its_gauges_too(
        nginx, own_kafka, own_topics):
    """Nobody is started in its place."""
    name = own_topics.create()
    server = nginx(CONF, TOPIC=name, KAFKA=own_kafka.bootstrap, MORE="")
    server.expect(r"exited on signal")
    assert server.post(f"/topics/{name}", b"1").status == 200
    own_kafka.pause()
    waiting = server_connection(server, name)
    wait_for(lambda: scrape(server).sum("sluice_http_requests_in_flight")
             == 1, 20, "it waits")
    old, = server.reload()
    found = scrape(server)
    assert found.one("sluice_http_workers") == 2
    assert found.sum("sluice_http_queue_records") == 1
    leaving = {worker["pid"]: worker["leaving"]
               for worker in server.get("/status").json["processes"]}
    assert set(leaving) == {old, server.worker()}
    os.kill(old, signal.SIGKILL)
    procs.wait_gone([old], 20)
    found = scrape(server)
    assert found.one("sluice_http_workers") == 1
    assert found.sum("sluice_http_requests_in_flight") == 0
    assert found.sum("sluice_http_queue_records") == 0
    assert found.one("sluice_http_records_unreported_total") == 1
    waiting.close()
    own_kafka.resume()


def server_connection(server, topic):
    """A request that is sent whole and not read."""
    connection = web.connect(server.port)
    connection.sendall(b"POST /topics/%s HTTP/1.1\r\nHost: x\r\n"
                       b"Content-Length: 1\r\n\r\n1" % topic.encode())
    return connection


def test_counters_go_on_while_topics_come_and_go(nginx, topics):
    """A worker of an old configuration still counts, into the same sums."""
    names = [topics.create() for _ in range(3)]
    server = nginx(CONF, TOPIC=names[0], MORE="")
    head = (b"POST /topics/%s HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
            b"\r\n" % names[0].encode())
    late = web.connect(server.port)
    late.sendall(head)
    assert server.post(f"/topics/{names[0]}", b"1").status == 200

    sent = dict.fromkeys(names, 0)
    sent[names[0]] = 1
    # the first topic goes and comes back
    for topic, more in ((names[1], names[2]), (names[2], names[1]),
                        (names[0], names[1])):
        server.write(CONF, TOPIC=topic, MORE=f"topic {more};")
        server.reload()
        for name in (topic, more):
            assert server.post(f"/topics/{name}", b"1").status == 200
            sent[name] += 1
        for name in names:
            assert scrape(server).sum("sluice_http_records_total", topic=name,
                                      result="kept") == sent[name], name

    server.write(CONF, TOPIC=names[1], MORE="")
    server.reload()
    late.sendall(b"1")
    assert web.read_answer(late.makefile("rb")).status == 200
    late.close()
    sent[names[0]] += 1
    wait_for(lambda: scrape(server).one("sluice_http_workers") == 1, 20,
             "old workers are gone")
    found = scrape(server)
    for name in names:
        assert found.one("sluice_http_records_total", topic=name,
                         result="kept") == sent[name]
        assert found.one("sluice_http_requests_total", topic=name,
                         code="kept") == sent[name]
    assert server.get("/status").json["requests"] == sum(sent.values())


def test_reloads_under_load_never_let_a_counter_go_back(nginx, topic, load):
    server = nginx(CONF.replace("location = /status",
                                "location = /load { kafka_pass main; "
                                "kafka_topic %%TOPIC%%; }\n"
                                "location = /status"),
                   TOPIC=topic, MORE="", workers=2)
    one = load(server.port, "/load", connections=4, rate=400)
    before = {}
    for _ in range(4):
        one.wait_ok(30)
        old = server.reload()
        found = scrape(server)
        for key, value in found.samples.items():
            if key[0].endswith(("_total", "_bucket", "_count", "_sum")):
                assert value >= before.get(key, 0), key
                before[key] = value
        os.kill(server.worker(), signal.SIGKILL)
        server.expect("exited on signal")
        wait_for(lambda: len(server.workers()) == 2, 20, "two workers")
    one.stop()
    procs.wait_gone(old, 20)
    found = wait_for(lambda: next(
        (found for found in (scrape(server),)
         if found.one("sluice_http_workers") == 2), None), 20, "two remain")
    assert found.sum("sluice_http_requests_in_flight") == 0
    assert found.sum("sluice_http_queue_records") == 0


def test_a_client_that_left_is_counted(nginx, own_kafka, own_topics):
    name = own_topics.create()
    server = nginx(CONF, TOPIC=name, KAFKA=own_kafka.bootstrap, MORE="")
    assert server.post(f"/topics/{name}", b"1").status == 200
    own_kafka.pause()
    gone = server_connection(server, name)
    wait_for(lambda: scrape(server).sum("sluice_http_requests_in_flight"),
             20, "it waits")
    web.reset(gone)
    wait_for(lambda: scrape(server).sum("sluice_http_requests_total",
                                         code="client-left"), 20, "it left")
    own_kafka.resume()
    found = settled(server, 2)
    assert found.one("sluice_http_requests_total", code="client-left") == 1


def test_what_is_lost_after_a_202_is_counted_and_the_rebuild_too(
        nginx, own_kafka, own_topics):
    name = own_topics.create()
    server = nginx(CONF.replace("timeout 3s;", "timeout 1s;"), TOPIC=name,
                   KAFKA=own_kafka.bootstrap, MORE="")
    assert server.post(f"/topics/{name}", b"1").status == 200
    own_kafka.pause()
    assert server.post(f"/queued/{name}", b"lost").status == 202
    wait_for(lambda: scrape(server).sum("sluice_http_records_dropped_total"),
             20, "it is dropped")
    found = scrape(server)
    assert found.one("sluice_http_records_dropped_total") == 1
    assert found.sum("sluice_http_records_total", result="not-kept") \
        + found.sum("sluice_http_records_total", result="maybe-kept") == 1
    assert found.one("sluice_http_producer_rebuilds_total",
                     reason="timeout") >= 1
    own_kafka.resume()


def test_brokers_have_a_state_and_a_round_trip(nginx, own_kafka, own_topics):
    name = own_topics.create()
    server = nginx(CONF, TOPIC=name, KAFKA=own_kafka.bootstrap, MORE="",
                   workers=2)
    labels = {"producer": "main", "broker": "1",
              "address": own_kafka.bootstrap}
    up = "sluice_http_broker_connected_workers"
    wait_for(lambda: scrape(server).sum(up, **labels) == 2, 20, "connected")
    assert server.post(f"/topics/{name}", b"1").status == 200
    wait_for(lambda: scrape(server).find("sluice_http_broker_rtt_seconds"),
             20, "a round trip")
    found = scrape(server)
    # milliseconds or microseconds would be far off
    rtt = found.one("sluice_http_broker_rtt_seconds", **labels)
    assert 0.00001 < rtt < bound(0.1, 0.5)
    assert found.one("sluice_http_broker_rtt_p99_seconds", **labels) \
        >= rtt / 2
    assert len(found.find(up)) == 1
    wait_for(lambda: scrape(server).one(
        "sluice_http_producer_connected_workers") == 2, 20, "both are")
    own_kafka.kill()
    wait_for(lambda: scrape(server).sum(up) == 0, 30, "none is connected")
    wait_for(lambda: scrape(server).one(
        "sluice_http_producer_connected_workers") == 0, 30, "none at all")
    broker, = server.get("/status").json["producers"][0]["brokers"]
    assert broker["address"] == own_kafka.bootstrap
    assert broker["up"] == 0


def test_a_label_may_hold_anything(nginx, topic):
    server = nginx(CONF.replace("main", '"we \\"like\\" \\\\ it"'),
                   TOPIC=topic, MORE="")
    assert server.post(f"/topics/{topic}", b"1").status == 200
    name = 'we "like" \\ it'
    assert scrape(server).sum("sluice_http_requests_total",
                              producer=name) == 1
    assert server.get("/status").json["producers"][0]["name"] == name


def test_more_topics_than_room_are_counted_as_other(nginx, topics):
    """Each reload declares others; what was declared keeps its room."""
    name = topics.create()
    number = itertools.count()
    server = nginx(CONF, TOPIC=name, MORE="")
    # unreachable, so that nothing asks for thousands of topics
    for _ in range(10):
        more = "\n".join(f"topic no-{next(number)};" for _ in range(1200))
        server.write(CONF, MORE=more, KAFKA="127.0.0.1:1")
        server.reload(wait_old=20)
        if "are counted as \"(other)\"" in server.log():
            break
    else:
        raise AssertionError("there was always room")
    last = f"no-{next(number) - 1}"
    assert server.post(f"/topics/{last}", b"{").status == 400
    assert server.post(f"/topics/{name}", b"{").status == 400
    found = scrape(server)
    assert found.one("sluice_http_requests_total", topic=name,
                     code="not-json") == 1
    assert found.one("sluice_http_requests_total", topic="(other)",
                     code="not-json") == 1
    assert not found.find("sluice_http_requests_total", topic=last)


def test_loaded_and_installed_version(nginx, topic, directory):
    module = directory / "module.so"
    shutil.copy(MODULE, module)
    module.chmod(0o644)
    server = nginx(CONF, TOPIC=topic, MORE="", MODULE=module)
    labels, _ = scrape(server).find("sluice_http_build_info")[0]
    assert labels["version"] == labels["installed"]
    assert labels["librdkafka"].startswith(labels["librdkafka_built"][:2])
    assert labels["nginx"] in server.log()
    other = b"9.9.9+x"
    text = module.read_bytes()
    mark = b"sluice nginx module "
    assert text.count(mark) == 1
    at = text.index(mark) + len(mark)
    new = directory / "new.so"
    new.write_bytes(text[:at] + other + b"\0" + text[at + len(other) + 1:])
    os.replace(new, module)
    now, _ = scrape(server).find("sluice_http_build_info")[0]
    assert now["installed"] == other.decode()
    assert now["version"] == labels["version"]
    module.unlink()
    now, _ = scrape(server).find("sluice_http_build_info")[0]
    assert now["installed"] == ""
