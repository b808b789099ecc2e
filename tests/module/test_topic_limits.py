"""A topic's max.message.bytes: at it, lowered, raised, not to be read."""

import concurrent.futures
import json
import re
import threading
import time

import pytest
from confluent_kafka.admin import ConfigResource

from tests.lib.env import wait_for
from tests.lib.problem import assert_problem
from tests.lib.topics import Topics

LIMIT = 5000
# of a batch of one record without key, value of 128 to 8,191 bytes: 61 of
# the batch, 2 of the record's length, 3, 1 (no key), 2 (value), 1 (headers)
OVERHEAD = 70

CONF = """
    kafka_producer main {
        brokers %%KAFKA%%;
        topic   %%TOPIC%%;
        topic   %%OTHER%%;
    }
    client_max_body_size 8m;
    kafka_request_headers off;
    server {
        listen 127.0.0.1:%%PORT%%;
        location = /ready { kafka_ready; }
        location / {
            kafka_pass  main;
            kafka_topic %%TOPIC%%;
            kafka_key   $http_key;
        }
        location /other { kafka_pass main; kafka_topic %%OTHER%%; }
        location /headers {
            kafka_pass            main;
            kafka_topic           %%TOPIC%%;
            kafka_header          long $http_long;
            kafka_header          request-id $request_id;
        }
    }
"""


def set_limit(topics, topic, limit):
    resource = ConfigResource("topic", topic,
                              {"max.message.bytes": str(limit)})
    topics.admin.alter_configs([resource])[resource].result(20)


@pytest.fixture
def small_topic(topics):
    return topics.create(config={"max.message.bytes": str(LIMIT)})


def wait_refused(server, size, code="record-too-large", path="/"):
    """Until a record of that size is refused as too large."""
    def refused():
        answer = server.post(path, b"x" * size)
        assert answer.status in (200, 413, 503), answer
        return answer.status == 413
    wait_for(refused, 20, "the limit is known")
    return assert_problem(server.post(path, b"x" * size), 413, code=code)


def test_at_the_limit_and_beside_it(nginx, topics, topic, small_topic):
    server = nginx(CONF, TOPIC=small_topic, OTHER=topic)
    wait_refused(server, LIMIT)
    before = topics.count(small_topic)
    fits = LIMIT - OVERHEAD
    for size in (fits - 1, fits):
        assert server.post("/", b"x" * size).status == 200
    problem = assert_problem(server.post("/", b"x" * (fits + 1)), 413,
                             code="record-too-large")
    assert str(fits) in problem["detail"]
    # a key counts, the length of its length is there without one
    key = {"Key": "k" * 63}
    assert server.post("/", b"x" * (fits - 63), key).status == 200
    assert_problem(server.post("/", b"x" * (fits - 62), key), 413,
                   code="record-too-large")
    # so do headers: 1 byte for each length, request-id and its 32
    fits -= 1 + 1 + len("request-id") + 32
    assert server.post("/headers", b"x" * fits).status == 200
    assert_problem(server.post("/headers", b"x" * (fits + 1)), 413,
                   code="record-too-large")
    # and 2 bytes where it is 64 and longer
    long = {"Long": "l" * 100}
    fits -= 1 + 2 + len("long") + 100
    assert server.post("/headers", b"x" * fits, long).status == 200
    assert_problem(server.post("/headers", b"x" * (fits + 1), long), 413,
                   code="record-too-large")
    assert topics.count(small_topic) == before + 5
    # it is that topic's limit only
    assert server.post("/other", b"x" * 900_000).status == 200


@pytest.mark.parametrize("limit", [100, 197, 198, 199, 200, 8262, 8263, 8264,
                                   8265, 8266])
def test_the_broker_takes_what_fits(nginx, topics, topic, limit):
    # where the length of a length changes
    small = topics.create(config={"max.message.bytes": str(limit)})
    server = nginx(CONF, TOPIC=small, OTHER=topic)
    detail = wait_refused(server, limit)["detail"]
    fits = int(re.search(r"(\d+) bytes", detail).group(1))
    assert limit - OVERHEAD - 2 <= fits < limit
    assert server.post("/", b"x" * fits).status == 200
    assert_problem(server.post("/", b"x" * (fits + 1)), 413)
    assert topics.records(small)[-1].value == b"x" * fits


def test_batches_fit_into_the_smallest_limit(nginx, topics, topic,
                                             small_topic):
    server = nginx(CONF, TOPIC=small_topic, OTHER=topic)
    wait_refused(server, LIMIT)
    wait_for(lambda: "with such batches" in server.log(), 10,
             "a client with smaller batches")
    before = topics.count(small_topic)
    # together far more than the limit
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(
            lambda n: server.post("/", b"%04d" % n * 250).status,
            range(1000)))
    assert answers.count(200) == 1000
    assert topics.count(small_topic) == before + 1000


def test_a_reload_learns_it_anew(nginx, topics, topic, small_topic):
    server = nginx(CONF, TOPIC=small_topic, OTHER=topic, workers=2)
    wait_refused(server, LIMIT)
    set_limit(topics, small_topic, 2 * LIMIT)
    server.reload(wait_old=20)
    wait_for(lambda: server.post("/", b"x" * LIMIT).status == 200, 10,
             "the raised limit is known")
    wait_refused(server, 2 * LIMIT)


def test_lowered_under_load(nginx, topics, topic):
    """1,000 small records a second with a large one among them."""
    other = topics.create()
    server = nginx(CONF, TOPIC=topic, OTHER=other, workers=2)
    wait_for(lambda: server.get("/ready").status == 200, 20, "ready")
    large = b"L" * 50_000
    assert server.post("/", large).status == 200
    stop = threading.Event()
    lock = threading.Lock()
    sent = []                       # (when it began, body, status)

    def small(number):
        turn = 0
        while not stop.is_set():
            begin = time.monotonic()
            body = b'{"n":%d,"turn":%d}' % (number, turn)
            answer = server.post("/", body)
            with lock:
                sent.append((begin, body, answer))
            turn += 1
            stop.wait(max(0, begin + 0.016 - time.monotonic()))

    threads = [threading.Thread(target=small, args=(number,))
               for number in range(16)]
    for thread in threads:
        thread.start()
    larges = []
    try:
        wait_for(lambda: len(sent) > 500, 20, "the load runs")
        set_limit(topics, topic, 20_000)

        def refused():
            larges.append(server.post("/", large))
            return larges[-1].status == 413

        wait_for(refused, 20, "the large one is refused")
        learned = time.monotonic()
        count = len(sent)
        for _ in range(20):
            larges.append(server.post("/", large))
        wait_for(lambda: len(sent) > count + 1000, 30, "the load goes on")
    finally:
        stop.set()
        for thread in threads:
            thread.join()

    # taken before the broker applied it, then not kept, then 413 for good
    statuses = [answer.status for answer in larges]
    assert statuses == sorted(statuses, key=[200, 503, 413].index), statuses
    assert statuses.count(413) >= 21
    assert statuses.count(503) <= 10
    for answer in larges:
        if answer.status == 413:
            assert_problem(answer, 413, code="record-too-large")
        elif answer.status == 503:
            assert_problem(answer, 503)
            assert int(answer.headers["retry-after"]) >= 1
    # a small one may share the large one's batch until the limit is read
    for begin, _, answer in sent:
        if begin > learned:
            assert answer.status == 200, answer
        elif answer.status != 200:
            assert_problem(answer, 503)
    kept = [record.value for record in topics.records(topic)]
    good = [body for _, body, answer in sent if answer.status == 200]
    good += [large] * (1 + statuses.count(200))
    assert sorted(kept) == sorted(good)
    # and those of one connection in their order
    for number in range(16):
        turns = [json.loads(value)["turn"] for value in kept
                 if value != large and json.loads(value)["n"] == number]
        assert turns == sorted(turns)


def test_a_limit_that_may_not_be_read(nginx, guarded_kafka):
    topics = Topics(guarded_kafka)
    small = topics.create(config={"max.message.bytes": str(LIMIT)})
    guarded_kafka.acl("--add", "--allow-principal", "All", small)
    guarded_kafka.acl("--add", "--deny-principal", "DescribeConfigs", small)
    server = nginx(CONF, TOPIC=small, OTHER=topics.create(), workers=2,
                   KAFKA=guarded_kafka.bootstrap)
    warning = f'could not read the configuration of topic "{small}"'
    wait_for(lambda: warning in server.log(), 20, "it says so")
    assert "allow the principal DescribeConfigs" in server.log()

    # only the broker knows, and says it of each
    for _ in range(3):
        answer = server.post("/", b"x" * LIMIT)
        assert_problem(answer, 413, code="record-too-large")
        assert "retry-after" not in answer.headers
        assert server.post("/", b"small").status == 200
    assert_problem(server.post("/", b"x" * 1_000_001), 413)
    assert server.log().count(warning) == 1

    # allowed at last: the next refusal makes it known
    guarded_kafka.acl("--remove", "--deny-principal", "DescribeConfigs", small)
    wait_refused(server, LIMIT)
    assert {record.value for record in topics.records(small)} == {b"small"}
