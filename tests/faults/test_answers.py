"""What each error of a broker's becomes, from a cluster that is told to give
it."""

import signal
import subprocess
import time

import pytest

from tests.lib.env import BUILD, bound, wait_for
from tests.lib.problem import assert_problem

CONF = """
    kafka_producer main {
        brokers  %%MOCK%%;
        timeout  3s;
        property retry.backoff.ms 20;
        topic    t;
    }
    # two records a request, and requests do not wait for each other
    kafka_producer pairs {
        brokers  %%MOCK%%;
        timeout  3s;
        property batch.num.messages 2;
        property max.in.flight 5;
        property retry.backoff.ms 300;
        topic    t;
    }
    server {
        listen 127.0.0.1:%%PORT%%;
        location = / {
            kafka_pass      main;
            kafka_topic     t;
            kafka_key       $arg_key;
            kafka_timestamp $arg_ts;
        }
        location = /batch {
            kafka_pass   pairs;
            kafka_topic  t;
            kafka_format ndjson;
        }
        location = /status { kafka_status json; }
    }
"""

SIX = b"".join(b"%d\n" % number for number in range(6))
LENIENT = {"Prefer": "handling=lenient"}
KEPT, NOT_KEPT, UNKNOWN = (200, "yes"), (503, "no"), (504, "possibly")

# librdkafka tries again, and nobody notices
AGAIN = {
    "LEADER_NOT_AVAILABLE": 5, "NOT_LEADER_FOR_PARTITION": 6,
    "REQUEST_TIMED_OUT": 7, "BROKER_NOT_AVAILABLE": 8,
    "NOT_ENOUGH_REPLICAS": 19, "NOT_ENOUGH_REPLICAS_AFTER_APPEND": 20,
    "KAFKA_STORAGE_ERROR": 56,
}
# refused before it is appended: it is certain that nothing was kept
NEVER = {
    "INVALID_TOPIC_EXCEPTION": 17, "INVALID_REQUIRED_ACKS": 21,
    "TOPIC_AUTHORIZATION_FAILED": 29, "CLUSTER_AUTHORIZATION_FAILED": 31,
    "UNSUPPORTED_FOR_MESSAGE_FORMAT": 43, "UNSUPPORTED_COMPRESSION_TYPE": 76,
}
# so is this, perhaps for another record of the batch: each is tried alone, and
# what is refused again is told so: the answer without a key and with a
# timestamp of the client's
ALONE = {
    "CORRUPT_MESSAGE": (2, 503, "not-delivered"),
    "MSG_SIZE_TOO_LARGE": (10, 413, "record-too-large"),
    "RECORD_LIST_TOO_LARGE": (18, 413, "record-too-large"),
    "INVALID_TIMESTAMP": (32, 400, "bad-timestamp"),
    "POLICY_VIOLATION": (44, 422, "record-refused"),
    "INVALID_RECORD": (87, 422, "no-key"),
}
# the producer's state and the broker's differ: it may have been kept
UNSURE = {
    "OUT_OF_ORDER_SEQUENCE_NUMBER": 45, "DUPLICATE_SEQUENCE_NUMBER": 46,
    "INVALID_PRODUCER_EPOCH": 47, "UNKNOWN_PRODUCER_ID": 59,
    "UNKNOWN_SERVER_ERROR": -1,
}


class Mock:
    def __init__(self):
        self.process = subprocess.Popen(
            [str(BUILD / "test" / "mock"), "t"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        self.bootstrap = self.process.stdout.readline().strip()

    def fail(self, code, times=1):
        self.process.stdin.write(f"{code} {times}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "ok\n"

    def stop(self):
        self.process.stdin.close()
        assert self.process.wait(20) == 0
        self.process.stdout.close()


@pytest.fixture
def mocked(nginx):
    mock = Mock()
    server = nginx(CONF, MOCK=mock.bootstrap)
    wait_for(lambda: server.post("/", b"x").status == 200, 20, "it serves")
    server.mock = mock
    yield server
    mock.stop()


def back(server):
    begin = time.monotonic()
    wait_for(lambda: server.post("/", b"x").status == 200, 20, "back")
    assert time.monotonic() - begin < bound(2, 6)


def test_what_is_tried_again_is_kept(mocked):
    for name, code in AGAIN.items():
        for times in (1, 3):
            mocked.mock.fail(code, times)
            answer = mocked.post("/", b"x")
            assert answer.status == 200, (name, times, answer)


def test_what_is_refused_was_not_kept(mocked):
    for code in NEVER.values():
        mocked.mock.fail(code)
        assert_problem(mocked.post("/", b"x"), 503, "no")
        back(mocked)


def alone(server, code, path="/?ts=1767225600000"):
    """The answer to a record that is refused, and refused alone."""
    server.mock.fail(code, 2)
    return server.post(path, b"x")


def test_what_is_refused_with_its_batch_is_tried_alone_once(mocked):
    for name, (code, status, problem) in ALONE.items():
        mocked.mock.fail(code)
        answer = mocked.post("/", b"x")
        assert answer.status == 200, (name, answer)
        assert answer.json["offset"] >= 0, (name, answer)
        answer = alone(mocked, code)
        if name == "CORRUPT_MESSAGE" and answer.status == 200:
            continue    # librdkafka 2.4 and newer tries it again itself
        assert_problem(answer, status, "no", problem)
        assert ("retry-after" in answer.headers) == (status == 503), answer
        back(mocked)


def test_who_is_at_fault_is_told_by_the_record_too(mocked):
    # the client sent no timestamp: some clock is wrong
    answer = alone(mocked, ALONE["INVALID_TIMESTAMP"][0], "/")
    assert_problem(answer, 503, "no", "not-delivered")
    assert "retry-after" in answer.headers
    back(mocked)
    # it has a key: what else is wrong is not known
    answer = alone(mocked, ALONE["INVALID_RECORD"][0], "/?key=k")
    assert_problem(answer, 422, "no", "record-refused")
    assert "retry-after" not in answer.headers


def test_what_is_not_certain_is_not_called_kept_or_not(mocked):
    """A 200 with its place is fine too, where librdkafka starts its sequence
    anew and sends again."""
    for name, code in UNSURE.items():
        mocked.mock.fail(code)
        answer = mocked.post("/", b"x")
        if answer.status == 200:
            assert answer.json["offset"] >= 0, (name, answer)
        else:
            assert_problem(answer, 504, "possibly")
        back(mocked)
    assert mocked.get("/status").json["in_flight"] == 0


def said(answer):
    return [(result["status"], result["persisted"])
            for result in answer.json["results"]]


@pytest.fixture
def batched(mocked):
    wait_for(lambda: mocked.post("/batch", SIX).status == 200, 20,
             "it serves batches")
    return mocked


def test_a_batch_that_is_tried_again_is_kept(batched):
    batched.mock.fail(AGAIN["NOT_LEADER_FOR_PARTITION"], 2)
    answer = batched.post("/batch", b"1\n2\n")
    assert answer.status == 200
    assert said(answer) == [KEPT] * 2


@pytest.mark.parametrize("headers", [{}, LENIENT])
def test_a_batch_of_which_nothing_was_kept(batched, headers):
    batched.mock.fail(NEVER["TOPIC_AUTHORIZATION_FAILED"], 3)
    answer = batched.post("/batch", SIX, headers)
    assert_problem(answer, 503, "no", "not-delivered")
    assert said(answer) == [NOT_KEPT] * 6


def assert_part(answer, headers, wanted):
    """The answer to the whole says no more than is true, and each result
    what is."""
    if headers:
        assert answer.status == 207
        assert answer.headers["preference-applied"] == "handling=lenient"
    else:
        assert_problem(answer, 504, "possibly", "maybe-delivered")
    assert said(answer) == wanted
    assert all((result["status"] == 200) == (result.get("offset", -1) >= 0)
               for result in answer.json["results"])


@pytest.mark.parametrize("headers", [{}, LENIENT])
def test_a_batch_of_which_a_part_was_kept(batched, headers):
    """The second of three requests is refused."""
    batched.mock.fail(0)
    batched.mock.fail(NEVER["TOPIC_AUTHORIZATION_FAILED"])
    assert_part(batched.post("/batch", SIX, headers), headers,
                [KEPT] * 2 + [NOT_KEPT] * 2 + [KEPT] * 2)


@pytest.mark.parametrize("headers", [{}, LENIENT])
def test_a_batch_of_which_a_part_may_be_kept(batched, headers):
    """The third of three requests is taken first; tried again, the others
    are called duplicates, which they are not."""
    def answered():
        batched.mock.fail(AGAIN["NOT_LEADER_FOR_PARTITION"], 2)
        return batched.post("/batch", SIX, headers)

    def last_first():
        """All are kept where the others were sent too late for that; on a
        slow machine only the first one was."""
        answer = answered()
        return answer.status != 200 and answer

    answer = wait_for(last_first, 20, "the last one is taken first")
    unknown = said(answer).count(UNKNOWN)
    assert 0 < unknown < 6
    assert_part(answer, headers, [UNKNOWN] * unknown + [KEPT] * (6 - unknown))


def test_a_batch_of_which_nobody_knows(batched):
    batched.mock.process.send_signal(signal.SIGSTOP)
    answer = batched.post("/batch", SIX)
    batched.mock.process.send_signal(signal.SIGCONT)
    assert_problem(answer, 504, "possibly")
    assert said(answer) == [UNKNOWN] * 6
