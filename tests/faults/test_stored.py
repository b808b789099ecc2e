"""`kafka_ack stored` while parts die: a 200 names a row of that moment, a 422
a dead letter, and a 202 a record that becomes either.  Each client looks
after each answer."""

import itertools
import os
import signal
from concurrent import futures

import pytest

from tests.lib.env import LONG, TEST_CONSUMER, loops, wait_for
from tests.lib.nginx import Daemon as Upgraded
from tests.lib.stored import Way

BAD = itertools.count()
POINTS = ["before-copy", "before-commit", "after-commit"] + (
    ["in-copy", "after-copy"] if LONG else [])


def body(ident, key):
    """One of eight is refused by the table."""
    word = "bad " if next(BAD) % 8 == 0 else ""
    return f'{{"id":"{word}{ident}"}}'


@pytest.fixture
def way(nginx, consumer, kafka, topics, database):
    def make(**more):
        return Way(nginx, consumer, more.pop("kafka", kafka),
                   more.pop("topics", topics),
                   more.pop("database", database), **more)

    return make


@pytest.fixture
def ask(load):
    """Starts load on a way: good and bad records."""

    def start(one, connections=6, **more):
        asker = one.load(load, connections, body=body, **more)
        asker.wait_ok(20)
        return asker

    return start


def test_a_stopped_daemon_leaves_answers_pending(way, ask):
    one = way()
    asker = ask(one)
    one.daemon.pause()
    wait_for(lambda: asker.count("pending") >= 6, 20, "pending answers")
    one.daemon.resume()
    asker.wait_ok(20)
    one.check(asker.stop(), told=("ok", "dead", "pending"))
    one.coverage()


@pytest.mark.parametrize("point", POINTS)
def test_a_daemon_killed_at_a_point(way, ask, point):
    one = way()
    asker = ask(one)
    batches = ask(one, 2, path="/batch", batch=10)
    for turn in range(loops(1, 40)):
        one.daemon.kill()
        one.daemon.program = TEST_CONSUMER
        one.daemon.start(SLUICE_TEST_STOP=f"{point}:{turn % 5 + 2}",
                         SLUICE_TEST_SIGNAL="KILL")
        wait_for(lambda: not one.daemon.alive(), 30, f"its end {point}")
        one.daemon.start()
        asker.wait_ok(20)
        batches.wait_ok(20)
    one.check(asker.stop() + batches.stop(), told=("ok", "dead"))
    one.coverage()


@pytest.mark.parametrize("record, status", [("good", 200), ("bad", 422)])
def test_a_receipt_that_was_not_sent_is_made_good(way, record, status):
    """Killed between COMMIT and receipt; the next daemon tells."""
    one = way(wait="30s")
    one.daemon.stop()
    one.daemon.program = TEST_CONSUMER
    one.daemon.start(SLUICE_TEST_STOP="after-commit",
                     SLUICE_TEST_SIGNAL="KILL")
    with futures.ThreadPoolExecutor() as pool:
        answer = pool.submit(one.post, {"id": record})
        wait_for(lambda: not one.daemon.alive(), 30, "its end")
        assert not answer.done()
        one.daemon.start()
        answer = answer.result()
    assert answer.status == status, answer
    if status == 422:
        one.refused(answer, "23514")
    else:
        assert answer.json["stored"] == "row"
        assert one.database.query(
            "SELECT part, off FROM t WHERE id = 'good'") \
            == [(answer.json["partition"], answer.json["offset"])]


@pytest.mark.parametrize("point", ["before-commit", "after-commit"])
def test_a_zombie_tells_nothing_that_is_not_so(way, ask, point):
    """Stopped in its transaction, fenced by another, and continued."""
    one = way()
    asker = ask(one)
    one.daemon.kill()
    zombie = one.make(program=TEST_CONSUMER, SLUICE_TEST_STOP=f"{point}:3")
    wait_for(lambda: zombie.alive() and "was reached" in zombie.log(), 30,
             f"it stops {point}")
    one.daemon.start()
    asker.wait_ok(40)
    zombie.resume()
    asker.wait_ok(40)
    zombie.stop()
    asker.wait_ok(20)
    one.check(asker.stop(), told=("ok", "dead"))
    one.coverage()


def test_daemons_that_join_and_leave(way, ask):
    one = way()
    asker = ask(one)
    other = one.make()
    for turn in range(loops(2, 30)):
        other.wait_healthy()
        asker.wait_ok(40)
        other.kill() if turn % 2 else other.stop()
        asker.wait_ok(40)
        other.start()
    asker.wait_ok(40)
    one.check(asker.stop(), told=("ok", "dead"))
    one.coverage()


def test_receipts_that_nobody_sends(way, load):
    """Their topic is missing: what is kept is pending, and is stored."""
    one = way(start=False, config={"receipts": None}, create="")
    one.daemon = one.make()
    asker = one.load(load, 6, body=body)
    wait_for(lambda: asker.count("pending") >= 12, 30, "pending answers")
    assert set(one.check(asker.stop())) == {"pending"}
    assert "it does not exist" in one.nginx.log()


def test_receipts_topic_deleted_and_made_again(way, ask):
    one = way()
    asker = ask(one)
    for _ in range(loops(1, 10)):
        one.topics.delete(one.receipts)
        asker.wait_ok(40, 60)
    one.check(asker.stop(), told=("ok", "dead"))
    one.coverage()


def test_topic_deleted_and_made_again(way, ask):
    """Its offsets begin again: no receipt of the old ones is believed."""
    one = way()
    asker = ask(one)
    for _ in range(loops(1, 10)):
        one.topics.delete(one.topic)
        one.topics.create(name=one.topic, partitions=4)
        before = len(asker.events)
        wait_for(lambda b=before: len(asker.events) > b + 30, 60, "answers")
    events = asker.stop()
    lies = [event.lie for event in events if hasattr(event, "lie")]
    assert not lies, f"{len(lies)} lies, the first: {lies[0]}"
    assert {event.outcome for event in events if event.status} \
        <= {"ok", "dead", "pending", "maybe", "fail"}


def test_postgres_killed_and_restarted(way, ask, own_postgres, own_database):
    one = way(database=own_database)
    asker = ask(one)
    for _ in range(loops(1, 20)):
        own_postgres.kill()
        wait_for(lambda: asker.count("pending"), 20, "pending answers")
        own_postgres.start()
        asker.wait_ok(40, 40)
    one.check(asker.stop(), told=("ok", "dead", "pending"))
    one.coverage()


def test_sessions_of_postgres_ended(way, ask):
    one = way()
    asker = ask(one)
    for _ in range(loops(4, 100)):
        one.database.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE"
            " datname = current_database() AND application_name LIKE"
            " 'sluice%'")
        asker.wait_ok(30)
    one.check(asker.stop(), told=("ok", "dead"))
    one.coverage()


def test_the_broker_killed_and_restarted(way, ask, own_kafka, own_topics):
    one = way(kafka=own_kafka, topics=own_topics)
    asker = ask(one)
    for _ in range(loops(1, 20)):
        own_kafka.kill()
        own_kafka.start()
        asker.wait_ok(40, 60)
    one.check(asker.stop(), told=("ok", "dead"))
    one.coverage()


def test_a_worker_killed_and_a_reload(way, ask):
    one = way(workers=2)
    one.nginx.expect(r"exited on signal")
    asker, fresh = ask(one), ask(one, 3, keepalive=False)
    for turn in range(loops(2, 40)):
        if turn % 2:
            one.nginx.reload()
        else:
            os.kill(one.nginx.worker(), signal.SIGKILL)
            wait_for(lambda: len(one.nginx.workers()) == 2, 20, "a worker")
        asker.wait_ok(30)
        fresh.wait_ok(10)
    one.check(asker.stop() + fresh.stop(), told=("ok", "dead"))
    one.coverage()


def test_another_binary_and_the_way_back(way, ask):
    one = way(kind=Upgraded, workers=2)
    asker, fresh = ask(one), ask(one, 3, keepalive=False)
    for _ in range(loops(1, 10)):
        old = one.nginx.master
        new = one.nginx.upgrade()
        asker.wait_ok(30)
        one.nginx.end(old)
        one.nginx.master = new
        asker.wait_ok(30)
        fresh.wait_ok(10)
    kept, short = asker.stop(), fresh.stop()
    one.check(kept + short, told=("ok", "dead"))
    # nginx closes a kept connection that is idle, while the next request of
    # its client may be on the way: such a client has no answer
    assert not [(event.status, event.end - event.start)
                for event in kept + short if event.outcome == "maybe"
                and (event.status or event in short)]
    one.coverage()
