"""Several records in one request: split, admitted whole, answered each."""

import json

import pytest

from tests.lib.env import wait_for
from tests.lib.problem import assert_problem

CONF = """
    kafka_producer main {
        brokers %%KAFKA%%;
        queue   4m;
        topic   %%TOPIC%%;
        topic   %%DEAD%%;
    }
    client_max_body_size 16m;
    kafka_max_records    2000;
    kafka_schema         %%DIR%%/n.schema.json;
    log_format kafka '$kafka_topic $kafka_persisted $kafka_records $kafka_error';
    server {
        listen 127.0.0.1:%%PORT%%;
        access_log %%DIR%%/kafka.log kafka;
        kafka_topic %%TOPIC%%;
        location = /ndjson {
            kafka_pass   main;
            kafka_format ndjson;
        }
        location = /array {
            kafka_pass   main;
            kafka_format array;
        }
        location = /auto {
            kafka_pass   main;
            kafka_format auto;
        }
        location = /dead {
            kafka_pass    main;
            kafka_format  ndjson;
            kafka_invalid dead_letter %%DEAD%%;
        }
        location = /dead-json {
            kafka_pass    main;
            kafka_format  json;
            kafka_invalid dead_letter %%DEAD%%;
        }
        location = /few {
            kafka_pass        main;
            kafka_format      ndjson;
            kafka_max_records 3;
        }
        location = /queued {
            kafka_pass   main;
            kafka_format ndjson;
            kafka_ack    queued;
        }
        location = /status {
            kafka_status json;
        }
    }
"""

SCHEMA = {"type": "object", "required": ["n"],
          "properties": {"n": {"type": "integer"}}}


@pytest.fixture
def server(nginx, topics, directory):
    name = topics.create(partitions=3)
    dead = topics.create()
    made = nginx(CONF, start=False, TOPIC=name, DEAD=dead)
    (made.directory / "n.schema.json").write_text(json.dumps(SCHEMA))
    made.start()
    made.topic, made.dead = name, dead
    return made


def values(topics, name):
    return sorted(record.value for record in topics.records(name))


def lines(*records):
    return b"".join(record + b"\n" for record in records)


def test_ndjson_is_a_record_a_line(server, topics):
    body = (b'{"n":1}\r\n\n{"n": 2, "pad": "\xc3\xa4"}\n'
            b'  {"n":3}\n\r\n{"n":4}')
    answer = server.post("/ndjson", body)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    results = answer.json["results"]
    assert answer.json["topic"] == server.topic and len(results) == 4
    found = {(record.partition, record.offset): record
             for record in topics.records(server.topic)}
    wanted = [b'{"n":1}', b'{"n": 2, "pad": "\xc3\xa4"}', b'  {"n":3}',
              b'{"n":4}']
    for result, value in zip(results, wanted):
        assert (result["status"], result["persisted"]) == (200, "yes")
        record = found[result["partition"], result["offset"]]
        assert record.value == value
        assert record.timestamp == result["timestamp"]


def test_an_array_is_a_record_an_element(server, topics):
    body = b' [ {"n":1.0} ,\n{"n":2,"deep":[[1],{"x":"]"}]}, {"n":3} ] '
    answer = server.post("/array", body)
    assert answer.status == 200 and len(answer.json["results"]) == 3
    assert values(topics, server.topic) == sorted(
        [b'{"n":1.0}', b'{"n":2,"deep":[[1],{"x":"]"}]}', b'{"n":3}'])


def test_the_elements_keep_their_own_bytes(nginx, topics, topic):
    """Strings with their quotes, numbers as they are written."""
    server = nginx("""
        kafka_producer main { brokers %%KAFKA%%; topic %%TOPIC%%; }
        server {
            listen 127.0.0.1:%%PORT%%;
            location = / {
                kafka_pass   main;
                kafka_topic  %%TOPIC%%;
                kafka_format array;
            }
        }""", TOPIC=topic)
    wanted = [b'"a\\u00e4\\""', b'""', b"1.50e1", b"null", b"true", b"[]",
              b'{"a" : 1}', b"-0"]
    answer = server.post("/", b"[" + b" , ".join(wanted) + b"]")
    assert answer.status == 200
    found = topics.records(topic)
    assert [record.value for record in found] == wanted
    assert [result["offset"] for result in answer.json["results"]] \
        == [record.offset for record in found]


@pytest.mark.parametrize("path, body, status, code", [
    ("/ndjson", b"", 400, "empty-body"),
    ("/ndjson", b"\n\r\n\n", 400, "empty-body"),
    ("/array", b"", 400, "empty-body"),
    ("/array", b"[]", 400, "empty-body"),
    ("/array", b'{"n":1}', 400, "not-json"),
    ("/array", b'[{"n":1},]', 400, "not-json"),
    ("/array", b'[{"n":1}] {"n":2}', 400, "not-json"),
])
def test_a_body_that_is_bad_as_a_whole(server, topics, path, body, status,
                                       code):
    problem = assert_problem(server.post(path, body), status, "no", code)
    assert "results" not in problem
    assert topics.count(server.topic) == 0


def test_one_bad_record_and_nothing_is_kept(server, topics):
    body = lines(b'{"n":0}', b'{"n":"x"}', b'{"n":2}', b"{", b'{"m":1}')
    problem = assert_problem(server.post("/ndjson", body), 422, "no",
                             "schema")
    assert [(result["index"], result["status"], result["persisted"])
            for result in problem["results"]] \
        == [(1, 422, "no"), (3, 400, "no"), (4, 422, "no")]
    first, second, third = problem["results"]
    assert first["pointer"] == "/n" and first["keyword"] == "type"
    assert second["type"].endswith("/not-json")
    assert third["keyword"] == "required"
    assert topics.count(server.topic) == 0
    assert server.get("/status").json["queued"] == 0


def test_in_an_array_too(server, topics):
    problem = assert_problem(
        server.post("/array", b'[{"n":0},{"n":"x"},7]'), 422, "no", "schema")
    assert [result["index"] for result in problem["results"]] == [1, 2]
    assert topics.count(server.topic) == 0


def test_the_bad_ones_named_are_bounded(server, topics):
    body = lines(*[b'{"n":"%d"}' % n for n in range(1500)])
    problem = assert_problem(server.post("/ndjson", body), 422, "no")
    assert "1500 of 1500" in problem["detail"]
    assert [result["index"] for result in problem["results"]] \
        == list(range(100))
    assert topics.count(server.topic) == 0


def test_lenient_keeps_the_good_ones(server, topics):
    body = lines(b'{"n":0}', b'{"n":"x"}', b'{"n":2}', b"nonsense")
    answer = server.post("/ndjson", body,
                         {"Prefer": "wait=5, handling=lenient"})
    assert answer.status == 207
    assert answer.headers["preference-applied"] == "handling=lenient"
    assert [(result["status"], result["persisted"])
            for result in answer.json["results"]] \
        == [(200, "yes"), (422, "no"), (200, "yes"), (400, "no")]
    assert values(topics, server.topic) == [b'{"n":0}', b'{"n":2}']
    # all good: no reason for 207
    answer = server.post("/ndjson", lines(b'{"n":5}', b'{"n":6}'),
                         {"Prefer": "handling=lenient"})
    assert answer.status == 200
    # all bad: no reason for 2xx
    assert_problem(server.post("/ndjson", lines(b"1", b"2"),
                               {"Prefer": "handling=lenient"}), 422)


def test_strict_is_the_default_of_a_preference_too(server, topics):
    for prefer in ("handling=strict", "handling", "xhandling=lenient",
                   "foo; handling=lenient"):
        answer = server.post("/ndjson", lines(b'{"n":0}', b"1"),
                             {"Prefer": prefer})
        assert_problem(answer, 422)
        assert "preference-applied" not in answer.headers
    assert topics.count(server.topic) == 0


def test_bad_ones_go_to_the_dead_letter_topic(server, topics):
    body = lines(b'{"n":0}', b'{"n":"x"}', b"\xff{")
    answer = server.post("/dead", body)
    assert answer.status == 200, answer
    good, schema, broken = answer.json["results"]
    assert "topic" not in good
    assert schema["topic"] == broken["topic"] == server.dead
    assert schema["type"].endswith("/schema") and schema["pointer"] == "/n"
    assert broken["persisted"] == "yes"
    assert values(topics, server.topic) == [b'{"n":0}']
    dead = topics.records(server.dead)
    assert [record.value for record in dead] == [b'{"n":"x"}', b"\xff{"]
    headers = dict(dead[0].headers)
    assert headers["sluice-topic"] == server.topic.encode()
    assert headers["sluice-error"] == b"schema"
    assert headers["sluice-pointer"] == b"/n"
    assert headers["sluice-keyword"] == b"type"
    assert dict(dead[1].headers)["sluice-error"] == b"not-json"


def test_a_single_bad_record_too(server, topics):
    answer = server.post("/dead-json", b'{"n":"x"}')
    assert answer.status == 200
    assert answer.json["topic"] == server.dead
    assert answer.json["dead_letter"] == "schema"
    assert server.post("/dead-json", b'{"n":1}').json["topic"] == server.topic
    assert_problem(server.post("/dead-json", b""), 400, "no", "empty-body")
    assert values(topics, server.dead) == [b'{"n":"x"}']


def test_too_many_records_are_413(server, topics):
    body = lines(*[b'{"n":%d}' % n for n in range(4)])
    assert_problem(server.post("/few", body), 413, "no", "too-many-records")
    assert topics.count(server.topic) == 0
    assert server.post("/few", body[:-8]).status == 200


def test_a_record_too_large_names_its_index(server, topics):
    big = b'{"n":1,"pad":"' + b"x" * 1100000 + b'"}'
    problem = assert_problem(
        server.post("/ndjson", lines(b'{"n":0}', big)), 413, "no",
        "record-too-large")
    assert [result["index"] for result in problem["results"]] == [1]
    assert topics.count(server.topic) == 0


def test_a_batch_beyond_the_queue_is_413_and_none_is_sent(server, topics):
    """Each record fits, all of them do not."""
    one = b'{"n":1,"pad":"' + b"x" * 900000 + b'"}'
    assert_problem(server.post("/ndjson", lines(*[one] * 5)), 413)
    assert topics.count(server.topic) == 0
    assert server.post("/ndjson", lines(*[one] * 3)).status == 200
    wait_for(lambda: server.get("/status").json["queued"] == 0, 10, "empty")


@pytest.mark.parametrize("count", [1, 2, 127, 128, 129, 2000])
def test_batches_of_every_size(server, topics, count):
    body = lines(*[b'{"n":%d}' % n for n in range(count)])
    answer = server.post("/ndjson", body)
    assert answer.status == 200
    assert len(answer.json["results"]) == count
    found = {(record.partition, record.offset): record.value
             for record in topics.records(server.topic)}
    assert len(found) == count
    for number, result in enumerate(answer.json["results"]):
        assert found[result["partition"], result["offset"]] \
            == b'{"n":%d}' % number


def test_a_queued_batch_is_202(server, topics):
    body = lines(*[b'{"n":%d}' % n for n in range(300)])
    answer = server.post("/queued", body)
    assert answer.status == 202
    assert {(result["status"], result["persisted"])
            for result in answer.json["results"]} == {(202, "possibly")}
    wait_for(lambda: topics.count(server.topic) == 300, 10, "all records")


@pytest.mark.parametrize("kind, body, count", [
    ("application/json", b'{"n":1}', None),
    ("application/json; charset=utf-8", b'{"n":1}', None),
    ("application/vnd.api+json", b'{"n":1}', None),
    ("application/x-ndjson", b'{"n":1}\n{"n":2}\n', 2),
    ("Application/NDJSON", b'{"n":1}\n', 1),
    ("application/jsonl", b'{"n":1}\n{"n":2}', 2),
    ("text/plain", b'{\n"n":1\n}\n', None),
    ("text/plain;charset=UTF-8", b'{"n":1}\n{"n":2}\n', 2),
    (None, b'{"n":1}', None),
    (None, b'{"n":1}\n{"n":2}\n', 2),
])
def test_auto_goes_by_content_type(server, topics, kind, body, count):
    answer = server.post("/auto", body, {"Content-Type": kind} if kind
                         else {})
    assert answer.status == 200, answer
    if count is None:
        assert "results" not in answer.json
        assert values(topics, server.topic) == [body]
    else:
        assert len(answer.json["results"]) == count
        assert topics.count(server.topic) == count


@pytest.mark.parametrize("kind", [
    "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
    "text/html", "application/xml", "application/cloudevents+avro", ";"])
def test_another_type_is_415(server, topics, kind):
    if kind == ";":
        # an empty type counts as none
        assert server.post("/auto", b'{"n":1}',
                           {"Content-Type": kind}).status == 200
        return
    assert_problem(server.post("/auto", b'{"n":1}', {"Content-Type": kind}),
                   415, "no", "content-type")
    assert topics.count(server.topic) == 0


def test_what_is_neither_json_nor_ndjson_is_400(server, topics):
    problem = assert_problem(server.post("/auto", b'{"n":1}\nhello\n'), 400,
                             "no", "not-json")
    assert [result["index"] for result in problem["results"]] == [1]
    assert_problem(server.post("/auto", b"hello"), 400, "no", "not-json")
    assert topics.count(server.topic) == 0


def test_an_explicit_format_ignores_the_type(server):
    assert server.post("/ndjson", b'{"n":1}\n', {
        "Content-Type": "application/x-www-form-urlencoded"}).status == 200


def test_the_variables_say_what_became_of_it(server):
    server.post("/ndjson", lines(b'{"n":1}', b'{"n":2}'))
    server.post("/ndjson", lines(b'{"n":1}', b"x"))
    server.post("/ndjson", lines(b'{"n":1}', b"x"),
                {"Prefer": "handling=lenient"})
    server.post("/queued", lines(b'{"n":1}'))
    log = server.directory / "kafka.log"
    wait_for(lambda: log.read_text().count("\n") == 4, 5, "four lines")
    assert log.read_text().splitlines() == [
        f"{server.topic} yes 2 -", f"{server.topic} no 2 not-json",
        f"{server.topic} partly 2 -", f"{server.topic} queued 1 -"]
