"""`kafka_ack stored`, the whole way: what an answer says is what another
connection finds in PostgreSQL."""

import json
import time
from concurrent import futures

import pytest
from confluent_kafka.admin import ConfigResource

from tests.lib import web
from tests.lib.env import bound, loops, wait_for
from tests.lib.stored import Way
from tests.lib.problem import assert_problem

TABLES = """
    CREATE TABLE house (name text PRIMARY KEY);
    INSERT INTO house VALUES ('red');
    CREATE TABLE t (id text UNIQUE CHECK (id NOT LIKE 'bad%'),
        n numeric(4), at date, house text REFERENCES house,
        part integer, off bigint);
"""
COLUMNS = {
    "id": {"path": "/id", "type": "text", "required": True},
    "n": {"path": "/n", "type": "numeric"},
    "at": {"path": "/at", "type": "date"},
    "house": {"path": "/house", "type": "text"},
    "part": {"meta": "partition", "type": "integer"},
    "off": {"meta": "offset", "type": "bigint"},
}


@pytest.fixture
def way(nginx, consumer, kafka, topics, database):
    def make(wait="30s", **more):
        return Way(nginx, consumer, kafka, topics, database, wait=wait, **more)

    return make


@pytest.mark.parametrize("connections, count", [
    (1, 40), (64, 1000), (1000, 4000)])
def test_after_each_200_a_select_finds_the_row(way, load, connections,
                                               count):
    one = way()
    asker = one.load(load, connections, timeout=40)
    count = loops(count, 20 * count)
    begin = time.monotonic()
    asker.wait_ok(count, loops(20, 400))
    seconds = time.monotonic() - begin
    events = asker.stop()
    told = one.check(events, told=("ok",))
    assert set(told) == {"ok"}, told
    assert asker.looks and count / seconds > bound(20, 2)
    one.coverage()


def test_a_refused_record_is_a_422_with_its_sqlstate(way):
    """Its neighbours in the transaction are rows all the same."""
    one = way(table=TABLES, config={"columns": COLUMNS})
    assert one.post({"id": "taken"}).status == 200
    wrong = [({"id": "taken"}, "23505", "t_id_key"),
             ({"id": "bad one"}, "23514", "t_id_check"),
             ({"id": "b", "n": 123456}, "22003", ""),
             ({"id": "c", "n": "many"}, "22P02", "many"),
             ({"id": "d", "at": "2026-02-31"}, "22007", "at"),
             ({"id": None}, "23502", "id")]
    right = [({"id": f"right {n}", "n": n, "house": "red"}, None, None)
             for n in range(20)]
    with futures.ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda pair: one.post(pair[0]),
                                wrong + right))
    for (record, sqlstate, word), answer in zip(wrong + right, answers):
        if sqlstate is None:
            assert answer.status == 200 and answer.json["stored"] == "row"
            assert one.database.query(
                "SELECT house, part, off FROM t WHERE id = %s",
                record["id"]) == [("red", answer.json["partition"],
                                   answer.json["offset"])]
        else:
            problem = one.refused(answer, sqlstate)
            assert word in problem["reason"], problem


def test_a_foreign_key_is_waited_for(way):
    """The row that it names may come 5 s later."""
    one = way(table=TABLES, config={"columns": COLUMNS})
    with futures.ThreadPoolExecutor() as pool:
        never = pool.submit(one.post, {"id": "a", "house": "blue"})
        later = pool.submit(one.post, {"id": "b", "house": "green"})
        one.daemon.wait_log("23503")
        one.database.query("INSERT INTO house VALUES ('green')")
        problem = one.refused(never.result(), "23503")
        assert "t_house_fkey" in problem["reason"]
        answer = later.result()
    assert answer.status == 200 and answer.json["stored"] == "row"
    assert one.database.try_count("t WHERE house = 'green'") == 1


def test_the_reason_stays_where_values_may_not_leave(way):
    one = way(config={"dead_letters": {"hold_above": 1, "store": "reason"}})
    assert one.post({"id": "twice"}).status == 200
    answer = one.post({"id": "twice"})
    problem = assert_problem(answer, 422, "dead-letter", "not-a-row")
    assert problem["sqlstate"] == "23505" and "reason" not in problem
    assert (problem["partition"], problem["offset"]) in one.dead_letters()


def test_what_where_leaves_out_is_filtered(way):
    one = way(config={"where": {"path": "/keep", "equals": True}})
    answer = one.post({"id": "no", "keep": False})
    assert answer.status == 200 and answer.json["stored"] == "filtered"
    answer = one.post({"id": "yes", "keep": True})
    assert answer.status == 200 and answer.json["stored"] == "row"
    assert one.database.query("SELECT id FROM t") == [("yes",)]


def test_a_retry_is_a_duplicate(way):
    one = way(config={"dedupe": {"header": "idempotency-key"}})
    for wanted in ("row", "duplicate", "duplicate"):
        answer = one.post({"id": f"{wanted}"}, "/key?key=k",
                          {"Idempotency-Key": '"one"'})
        assert answer.status == 200 and answer.json["stored"] == wanted
        assert one.database.query(
            "SELECT id FROM t WHERE id <> 'ready'") == [("row",)]


ROUTE = {"route": {"path": "/id", "tables": {
    "ready": {"table": "t", "columns": {"id": "/id"}},
    "cat": {"table": "cats", "mode": "upsert", "key": ["name"],
            "columns": {"name": "/name", "age": "/age"}},
    "dog": {"table": "dogs", "columns": {"name": "/name"}}}}}


def test_each_table_of_a_route_and_an_upsert(way, database):
    database.query("CREATE TABLE cats (name text PRIMARY KEY, age integer);"
                   "CREATE TABLE dogs (name text CHECK (name <> 'cat'))")
    one = way(config={"table": None, "columns": None, **ROUTE})
    for age in range(5):
        answer = one.post({"id": "cat", "name": "Tom", "age": age},
                          "/key?key=k")
        assert answer.status == 200 and answer.json["stored"] == "row"
        assert database.query("SELECT name, age FROM cats") == [("Tom", age)]
    answer = one.post({"id": "dog", "name": "Rex"})
    assert answer.status == 200 and answer.json["stored"] == "row"
    assert database.query("SELECT name FROM dogs") == [("Rex",)]
    one.refused(one.post({"id": "dog", "name": "cat"}), "23514")
    answer = one.post({"id": "cow"})
    assert one.database.query("SELECT name FROM dogs") == [("Rex",)]
    if answer.status == 200:
        assert answer.json["stored"] == "filtered"
    else:
        one.refused(answer, answer.json["sqlstate"])


def lines(*idents):
    return b"".join(json.dumps({"id": ident}).encode() + b"\n"
                    for ident in idents)


def test_a_batch_tells_of_each_record(way):
    one = way()
    answer = one.nginx.post("/batch", lines("a", "b", "c"))
    assert answer.status == 200
    assert [(r["status"], r["stored"]) for r in answer.json["results"]] \
        == [(200, "row")] * 3
    assert one.database.value("SELECT count(*) FROM t WHERE id < 'd'") == 3

    answer = one.nginx.post("/batch", lines("d", "a", "e", "bad"))
    problem = assert_problem(answer, 422, "dead-letter", "not-a-row")
    lenient = one.nginx.post("/batch", lines("f", "a", "g", "bad"),
                             {"Prefer": "handling=lenient"})
    assert lenient.status == 207
    assert lenient.headers["preference-applied"] == "handling=lenient"
    letters = one.dead_letters()
    for results, rows in ((problem["results"], "de"),
                          (lenient.json["results"], "fg")):
        assert [r["status"] for r in results] == [200, 422, 200, 422]
        assert [r.get("sqlstate") for r in results] \
            == [None, "23505", None, "23514"]
        for result, ident in zip(results, (rows[0], "", rows[1], "")):
            place = result["partition"], result["offset"]
            if ident:
                assert one.database.query(
                    "SELECT part, off FROM t WHERE id = %s", ident) \
                    == [place]
            else:
                assert letters[place] == (result["sqlstate"],
                                          result["reason"])


def test_batches_under_load(way, load):
    one = way()
    asker = one.load(load, 8, "/batch", batch=50, timeout=40)
    asker.wait_ok(loops(4000, 100000), 60)
    assert set(one.check(asker.stop())) == {"ok"}
    one.coverage()


def test_a_thousand_refusals_and_more(way):
    """Above what a receipt names nobody knows: pending, never a row."""
    one = way(config={"batch": {"rows": 5000, "linger": "300ms"}})
    idents = [f"bad {n}" if n % 2 else f"good {n}" for n in range(2200)]
    # of one partition, and so of one receipt or of several
    answer = one.nginx.post("/batch?key=0", lines(*idents),
                            {"Prefer": "handling=lenient"})
    assert answer.status == 207
    results = answer.json["results"]
    assert len(results) == len(idents)
    letters = one.dead_letters()
    rows = set(one.database.query("SELECT id, part, off FROM t"))
    for ident, result in zip(idents, results):
        place = result["partition"], result["offset"]
        if result["status"] == 422:
            assert letters[place][0] == "23514" and "bad" in ident
        elif result["stored"] == "row":
            assert (ident, *place) in rows
        else:
            assert result["status"] == 202
            assert result["stored"] == "pending"
    assert sum(result["status"] == 422 for result in results) >= 1000


@pytest.mark.parametrize("above, status", [(0.2, 202), (1, 200)])
def test_one_clients_refusals_and_another_client(way, above, status):
    """With the default share the daemon holds; 1 is for clients that wait."""
    one = way(config={"dead_letters": {"hold_above": above}},
              wait="3s" if above < 1 else "30s")
    one.nginx.post("/batch", lines(*(f"bad {n}" for n in range(1000))))
    if above < 1:
        one.daemon.wait_held(reason="bad")
    answer = one.post({"id": "another"})
    assert answer.status == status, answer
    assert answer.json["stored"] == ("row" if above == 1 else "pending")


def test_times_of_the_client_and_of_the_broker(way):
    """A receipt names the times of its records, whoever gave them."""
    one = way()
    for when in (1, 1767225600000, 2):
        answer = one.post({"id": f"at {when}"}, f"/at?ms={when}")
        assert answer.status == 200, answer
        assert answer.json["stored"] == "row"
        assert answer.json["timestamp"] == when
    one.topics.admin.alter_configs([ConfigResource("topic", one.topic, {
        "message.timestamp.type": "LogAppendTime"})])[
            ConfigResource("topic", one.topic)].result(20)

    def appended():
        answer = one.post({"id": f"id {time.monotonic()}"}, "/at?ms=1000")
        assert answer.status == 200 and answer.json["stored"] == "row"
        return answer.json["timestamp"] != 1000

    wait_for(appended, 20, "the broker's time")
    assert one.database.value(
        "SELECT count(*) FROM sluice.batches WHERE kind = 'records'") > 0


EVENT = {"specversion": "1.0", "source": "/shop", "type": "made"}


def test_cloudevents(way):
    one = way()
    answer = one.nginx.post("/event", b'{"id":"binary"}', {
        "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/shop",
        "ce-type": "made", "Content-Type": "application/json"})
    assert answer.status == 200 and answer.json["stored"] == "row"
    assert one.database.try_count("t WHERE id = 'binary'") == 1
    event = {**EVENT, "id": "structured"}
    kind = {"Content-Type": "application/cloudevents+json"}
    answer = one.post(event, "/event", kind)
    assert answer.status == 200 and answer.json["stored"] == "row"
    assert one.database.try_count("t WHERE id = 'structured'") == 1
    one.refused(one.post(event, "/event", kind), "23505")
    answer = one.post(
        [{**EVENT, "id": ident} for ident in ("x", "structured", "y")],
        "/event", {"Content-Type": "application/cloudevents-batch+json"})
    assert answer.status == 422
    assert [r["status"] for r in answer.json["results"]] == [200, 422, 200]
    assert one.database.try_count("t WHERE id IN ('x', 'y')") == 2


def test_http2(way):
    one = way()
    answer = web.request_http2(one.nginx.port2, "/", b'{"id":"two"}')
    assert answer.status == 200 and answer.json["stored"] == "row"
    assert one.database.try_count("t WHERE id = 'two'") == 1
    answer = web.request_http2(one.nginx.port2, "/", b'{"id":"two"}')
    one.refused(answer, "23505")
