"""`kafka_format confluent`: the wire of Confluent's REST Proxy, v2 and v3.
What is asked for here is what its documentation of v2 and its published
OpenAPI document of v3 say; where Sluice differs stands in
docs/how-to/move-from-rest-proxy.md."""

import base64
import json
import re

import pytest

from tests.lib import web
from tests.lib.env import wait_for
from tests.module import test_receipts

stored = test_receipts.stored

CONF = """
    kafka_producer main {
        brokers %%KAFKA%%;
        timeout 2s;
        topic   %%TOPIC%% partitions=3;
        topic   %%OTHER%% schema=%%DIR%%/n.schema.json key=/n;
    }
    server {
        listen 127.0.0.1:%%PORT%%;
        kafka_format confluent;
        location /topics { kafka_pass main; kafka_header tenant t1; }
        location /v3/    { kafka_pass main; kafka_header tenant t1; }
        location /rest/  { kafka_pass main; kafka_max_records 3; }
        location = /metrics { kafka_status prometheus; }
    }
"""

V2 = "application/vnd.kafka.v2+json"
JSON = {"Content-Type": "application/vnd.kafka.json.v2+json", "Accept": V2}
BINARY = {"Content-Type": "application/vnd.kafka.binary.v2+json",
          "Accept": f"{V2}, application/vnd.kafka+json, application/json"}
V3 = {"Content-Type": "application/json"}


def b64(data):
    return base64.b64encode(data).decode()


@pytest.fixture
def topic(topics):
    return topics.create(partitions=3)


@pytest.fixture
def other(topics):
    return topics.create()


@pytest.fixture
def server(nginx, topic, other):
    made = nginx(CONF, start=False, TOPIC=topic, OTHER=other)
    (made.directory / "n.schema.json").write_text(
        '{"type":"object","required":["n"]}')
    made.start()
    return made


def produce(server, path, records, headers=JSON, **more):
    return server.post(path, json.dumps({"records": records, **more}).encode(),
                       headers)


def assert_error(answer, status, code, media=V2):
    assert answer.status == status, answer
    assert answer.headers["content-type"] == media
    assert set(answer.json) - {"offsets"} == {"error_code", "message"}
    assert answer.json["error_code"] == code
    return answer.json["message"]


def assert_v2(answer, count):
    """An answer of v2 with all records kept."""
    assert answer.status == 200, answer
    assert answer.headers["content-type"] == V2
    assert set(answer.json) == {"offsets", "key_schema_id", "value_schema_id"}
    assert answer.json["key_schema_id"] is None
    assert answer.json["value_schema_id"] is None
    assert len(answer.json["offsets"]) == count
    for place in answer.json["offsets"]:
        assert set(place) == {"partition", "offset", "error_code", "error"}
        assert place["error_code"] is None and place["error"] is None
        assert place["partition"] >= 0 and place["offset"] >= 0
    return [(place["partition"], place["offset"])
            for place in answer.json["offsets"]]


def reports(answer):
    """The concatenated JSON of v3."""
    text = answer.body.decode()
    found = []
    while text:
        report, end = json.JSONDecoder().raw_decode(text)
        found.append(report)
        text = text[end:].lstrip()
    return found


def assert_report(report, topic, cluster="any"):
    """ProduceResponse of the OpenAPI document, of a record that is kept."""
    assert report["error_code"] == 200, report
    assert set(report) <= {"error_code", "message", "cluster_id", "topic_name",
                           "partition_id", "offset", "timestamp", "key",
                           "value"}
    assert report["cluster_id"] == cluster and report["topic_name"] == topic
    assert isinstance(report["partition_id"], int)
    assert isinstance(report["offset"], int)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
                        report["timestamp"])
    for name in ("key", "value"):
        if name in report:
            assert set(report[name]) == {"type", "size"}
    return report["partition_id"], report["offset"]


def by_place(topics, topic):
    return {(record.partition, record.offset): record
            for record in topics.records(topic)}


# v2


def test_json_records_of_v2(server, topics, topic):
    places = assert_v2(produce(server, f"/topics/{topic}", [
        {"key": "k\u00e9", "value": {"a": [1, "\u00fc"]}},
        {"value": "text", "partition": 2},
        {"key": {"b": 1, "a": "/"}, "value": 7}, {"value": False}]), 4)
    found = by_place(topics, topic)
    assert len(found) == 4 and places[1][0] == 2
    records = [found[place] for place in places]
    # a key is written as REST Proxy writes it, a value stays as it came
    assert [record.key for record in records] == [
        '"k\u00e9"'.encode(), None, b'{"b":1,"a":"/"}', None]
    assert [record.value for record in records] == [
        b'{"a": [1, "\\u00fc"]}', b'"text"', b"7", b"false"]
    assert {record.headers for record in records} == {(("tenant", b"t1"),)}


@pytest.mark.parametrize("text, key", [
    (rb'"\u00e9\u20AC\ud83d\ude00"', '"\u00e9\u20ac\U0001f600"'.encode()),
    (rb'"\/\"\\\b\f\n\r\t\u0041"', rb'"/\"\\\b\f\n\r\tA"'),
    (rb'"\u000a\u001f\u007f\u0022\u005c"', b'"\\n\\u001F\x7f\\"\\\\"'),
    (b' { "a b" :\t[ 1 ,2.50, null ]\r\n} ', b'{"a b":[1,2.50,null]}'),
    (b"-1e3", b"-1e3"), (b"true", b"true"), (b'""', b'""')])
def test_a_key_has_the_bytes_of_rest_proxy(server, topics, topic, text, key):
    answer = server.post(f"/topics/{topic}", b'{"records":[{"key":' + text
                         + b',"value":1}]}', JSON)
    assert_v2(answer, 1)
    record, = topics.records(topic)
    assert record.key == key


def test_binary_records_of_v2(server, topics, topic):
    places = assert_v2(produce(server, f"/topics/{topic}", [
        {"key": b64(b"\x00k"), "value": b64(b"\xff\x00any")},
        {"value": ""}, {"value": "YQ"}], BINARY), 3)
    found = by_place(topics, topic)
    assert [(found[place].key, found[place].value) for place in places] == [
        (b"\x00k", b"\xff\x00any"), (None, b""), (None, b"a")]
    # as PHP's json_encode() writes "/"
    answer = server.post(f"/topics/{topic}", rb'{"records":[{"value":"\/\/8="}]'
                         b'}', BINARY)
    place, = assert_v2(answer, 1)
    assert by_place(topics, topic)[place].value == b"\xff\xff"


def test_a_partition_of_v2_by_the_path(server, topics, topic):
    places = assert_v2(produce(server, f"/topics/{topic}/partitions/1", [
        {"value": 1}, {"value": 2, "partition": None},
        {"value": 3, "partition": 0}]), 3)
    assert [place[0] for place in places] == [1, 1, 0]
    for path in ("9", "-1", "x", "99999999999"):
        assert_error(produce(server, f"/topics/{topic}/partitions/{path}",
                             [{"value": 1}]), 400, 400)
    assert topics.count(topic) == 3


def test_null_is_a_tombstone(server, topics, topic):
    places = assert_v2(produce(server, f"/topics/{topic}", [
        {"key": 1, "value": None}, {"key": 2}]), 2)
    found = by_place(topics, topic)
    assert [(found[place].key, found[place].value) for place in places] \
        == [(b"1", None), (b"2", None)]
    assert "needs a key" in assert_error(produce(
        server, f"/topics/{topic}", [{"key": None, "value": None}]), 422, 422)
    assert topics.count(topic) == 2


def test_a_prefix_before_the_api(server, topics, topic):
    assert_v2(produce(server, f"/rest/topics/{topic}/", [{"value": 1}]), 1)
    assert server.get("/rest/topics").json == server.get("/topics").json
    assert_error(produce(server, f"/rest/topics/{topic}",
                         [{"value": n} for n in range(4)]), 413, 413)
    assert topics.count(topic) == 1


@pytest.mark.parametrize("body, status, code", [
    (b"", 422, 42206), (b"{}", 422, 42206), (b"[]", 422, 42206),
    (b'{"records":[]}', 422, 42206), (b'{"records":{}}', 422, 42206),
    (b'{"records":[{"value":1}]', 400, 400), (b"x", 400, 400),
    (b'{"records":[1]}', 400, 400),
    (b'{"records":[{"values":1}]}', 400, 400),
    (b'{"records":[{"value":1,"partition":"0"}]}', 400, 400),
    (b'{"records":[{"value":1,"partition":-1}]}', 400, 400),
    (b'{"records":[{"value":1,"partition":7}]}', 400, 400)])
def test_what_is_no_request_of_v2(server, topics, topic, body, status, code):
    assert_error(server.post(f"/topics/{topic}", body, JSON), status, code)
    assert topics.count(topic) == 0


@pytest.mark.parametrize("value", ["!", "Y", "YQ=", "YQ===", "Y=Q=", 1, {}])
def test_what_is_no_base64(server, topics, topic, value):
    message = assert_error(produce(server, f"/topics/{topic}", [
        {"value": "YQ=="}, {"value": value}], BINARY), 400, 400)
    assert "base64" in message and "index 1" in message
    assert topics.count(topic) == 0


@pytest.mark.parametrize("media", [
    "application/vnd.kafka.avro.v2+json", "application/json", None,
    "application/vnd.kafka.jsonschema.v2+json", "text/plain"])
def test_other_media_types_of_v2_are_415(server, topic, media):
    assert_error(produce(server, f"/topics/{topic}", [{"value": 1}],
                         {"Content-Type": media} if media else {}), 415, 415)


def test_paths_and_methods(server, topic):
    for path in ("/topics/none", "/topics/none/partitions/0"):
        assert "none" in assert_error(
            produce(server, path, [{"value": 1}]), 404, 40401)
    for path in ("/v3/clusters/x/topics/none/records",):
        assert_error(server.post(path, b"{}", V3), 404, 40401,
                     "application/json")
    for path in ("/topics/a/b", "/topicsx", f"/topics/{topic}/partitions/0/x"):
        assert_error(server.get(path), 404, 404, server.get(path).headers[
            "content-type"])
    for method, path, allow in (
            ("PUT", f"/topics/{topic}", "GET, HEAD, POST, OPTIONS"),
            ("POST", "/topics", "GET, HEAD, OPTIONS"),
            ("DELETE", f"/topics/{topic}", "GET, HEAD, POST, OPTIONS"),
            ("GET", f"/v3/clusters/x/topics/{topic}/records",
             "POST, OPTIONS")):
        answer = server.request(method, path)
        assert answer.status == 405 and answer.headers["allow"] == allow
    assert server.request("OPTIONS", "/topics").status == 204


def test_a_schema_checks_the_value(server, topics, other):
    places = assert_v2(produce(server, f"/topics/{other}", [
        {"value": {"n": 5}}, {"key": "own", "value": {"n": 6}}]), 2)
    found = by_place(topics, other)
    assert [found[place].key for place in places] == [b"5", b'"own"']
    message = assert_error(produce(server, f"/topics/{other}", [
        {"value": {"n": 1}}, {"value": {"m": 1}}]), 422, 42207)
    assert "index 1" in message
    # what is decoded is checked too
    assert_v2(produce(server, f"/topics/{other}",
                      [{"value": b64(b'{"n": "x"}')}], BINARY), 1)
    assert_error(produce(server, f"/topics/{other}",
                         [{"value": b64(b"[]")}], BINARY), 422, 42207)
    assert_error(produce(server, f"/topics/{other}",
                         [{"value": b64(b"no")}], BINARY), 400, 400)
    assert topics.count(other) == 3


def test_an_idempotency_key(server, topics, topic):
    headers = {**JSON, "Idempotency-Key": "once"}
    places = assert_v2(produce(server, f"/topics/{topic}", [
        {"value": 1}, {"key": 1, "value": None}], headers), 2)
    found = by_place(topics, topic)
    assert [dict(found[place].headers)["idempotency-key"]
            for place in places] == [b"once:0", b"once:1"]


# v3


def records_of(topic, cluster="any"):
    return f"/v3/clusters/{cluster}/topics/{topic}/records"


def test_one_record_of_v3(server, topics, topic):
    answer = server.post(records_of(topic), json.dumps({
        "partition_id": 1,
        "headers": [{"name": "h-\u00e9", "value": b64(b"\x00\xff")},
                    {"name": "empty", "value": ""}, {"name": "null"}],
        "key": {"type": "BINARY", "data": b64(b"key")},
        "value": {"type": "JSON", "data": {"foo": "bar"}},
        "timestamp": "2021-02-05T19:14:42.5Z"}).encode(), V3)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert "preference-applied" not in answer.headers
    report, = reports(answer)
    place = assert_report(report, topic)
    assert report["key"] == {"type": "BINARY", "size": 3}
    assert report["value"] == {"type": "JSON", "size": 14}
    assert report["timestamp"] == "2021-02-05T19:14:42.500Z"
    record = by_place(topics, topic)[place]
    assert place[0] == 1 and record.key == b"key"
    assert record.value == b'{"foo": "bar"}'
    assert record.timestamp == 1612552482500
    assert record.headers == (("tenant", b"t1"), ("h-\u00e9", b"\x00\xff"),
                              ("empty", b""), ("null", None))


@pytest.mark.parametrize("data, key, shape", [
    ({"type": "STRING", "data": "t\u00e9xt"}, "t\u00e9xt".encode(),
     ("STRING", 5)),
    ({"type": "STRING", "data": ""}, b"", ("STRING", 0)),
    ({"type": "JSON", "data": "t\u00e9xt"}, '"t\u00e9xt"'.encode(),
     ("JSON", 7)),
    ({"type": "JSON", "data": [1, {"a": " "}]}, b'[1,{"a":" "}]',
     ("JSON", 13)),
    ({"type": "BINARY", "data": "AA=="}, b"\x00", ("BINARY", 1)),
    ({"type": "JSON", "data": None}, None, ("JSON", 0)),
    ({"type": "BINARY"}, None, ("BINARY", 0)), (None, None, None)])
def test_types_of_v3(server, topics, topic, data, key, shape):
    answer = server.post(records_of(topic), json.dumps({
        "key": data, "value": {"type": "STRING", "data": "v"}}).encode(), V3)
    report, = reports(answer)
    place = assert_report(report, topic)
    assert by_place(topics, topic)[place].key == key
    assert report.get("key") == (shape and {"type": shape[0],
                                            "size": shape[1]})


@pytest.mark.parametrize("record, code, word", [
    ([], 400, "object"), ({"valu": {}}, 400, "valu"),
    ({"value": {"data": 1}}, 400, "registry"),
    ({"value": {"type": "AVRO", "data": 1}}, 400, "registry"),
    ({"value": {"type": "JSON", "schema_id": 1, "data": 1}}, 400, "schema_id"),
    ({"value": {"type": "BINARY", "data": 1}}, 400, "base64"),
    ({"value": {"type": "STRING", "data": 1}}, 400, "string"),
    ({"headers": {}}, 400, "headers"), ({"headers": [{}]}, 400, "header"),
    ({"headers": [{"name": "a", "value": "!"}]}, 400, "base64"),
    ({"headers": [{"name": "tenant", "value": ""}]}, 400, "server alone"),
    ({"headers": [{"name": "a"}] * 65}, 400, "64"),
    ({"partition_id": -1}, 400, "partition"),
    ({"timestamp": 1}, 400, "timestamp"),
    ({"timestamp": "2021-02-30T00:00:00Z"}, 400, "timestamp"),
    ({"timestamp": "2021-02-05T19:14:42"}, 400, "timestamp"), ({}, 422, "key")])
def test_what_is_no_record_of_v3(server, topics, topic, record, code, word):
    if isinstance(record, dict) and record and "value" not in record:
        record["value"] = {"type": "STRING", "data": "v"}
    answer = server.post(records_of(topic), json.dumps(record).encode(), V3)
    message = assert_error(answer, code, code, "application/json")
    assert word in message
    assert topics.count(topic) == 0


@pytest.mark.parametrize("text, ms", [
    ("1970-01-01T00:00:00.001Z", 1), ("2000-02-29t23:59:59.1239z",
                                      951868799123),
    ("2021-02-05T19:14:42+02:00", 1612545282000),
    ("2021-02-05T19:14:42-00:30", 1612554282000)])
def test_timestamps_of_v3(server, topics, topic, text, ms):
    answer = server.post(records_of(topic), json.dumps({
        "value": {"type": "STRING", "data": "v"}, "timestamp": text}).encode(),
        V3)
    assert_report(reports(answer)[0], topic)
    record, = topics.records(topic)
    assert record.timestamp == ms


@pytest.mark.parametrize("between", [b"", b"\n", b" \r\n\t "])
def test_records_of_v3_have_a_report_each(server, topics, topic, between):
    good = {"value": {"type": "JSON", "data": {"n": 1}}}
    bad = {"value": {"type": "BINARY", "data": "!"}}
    answer = server.post(records_of(topic), between.join(
        json.dumps(record).encode() for record in (good, bad, good))
        + between, V3)
    assert answer.status == 200
    first, second, third = reports(answer)
    places = [assert_report(first, topic), assert_report(third, topic)]
    assert second["error_code"] == 400 and "base64" in second["message"]
    assert set(by_place(topics, topic)) == set(places)


def test_what_follows_broken_json_of_v3_is_not_read(server, topics, topic):
    good = b'{"value":{"type":"STRING","data":"v"}}'
    answer = server.post(records_of(topic), good + b'{"value":x}' + good, V3)
    first, second = reports(answer)
    assert_report(first, topic)
    assert second["error_code"] == 400 and answer.status == 200
    assert topics.count(topic) == 1
    # nothing is kept: the status says so
    answer = server.post(records_of(topic), b'{"value":1} {"value":2}', V3)
    assert answer.status == 400
    assert [report["error_code"] for report in reports(answer)] == [400, 400]


def test_an_empty_body_of_v3(server, topic):
    for body in (b"", b" \n"):
        assert_error(server.post(records_of(topic), body, V3), 422, 42206,
                     "application/json")
    assert_error(server.post(records_of(topic), b"{}", JSON), 415, 415,
                 "application/json")


def test_a_long_stream_of_v3(server, topics, topic):
    """In several turns of the loop, chunked and in a file."""
    record = json.dumps({"value": {"type": "STRING", "data": "x" * 700}})
    body = (record + " " * 300).encode() * 900
    answer = web.request(server.port, "POST", records_of(topic), iter(
        [body[:100000], body[100000:]]), V3, chunked=True)
    found = reports(answer)
    assert len(found) == 900
    places = {assert_report(report, topic) for report in found}
    assert set(by_place(topics, topic)) == places


# what clients read first


def assert_links(thing, names):
    for name in names:
        assert thing[name]["related"].startswith("http://")


def test_clusters_topics_and_partitions_of_v3(server, topic, other):
    wait_for(lambda: server.get("/v3/clusters").status == 200, 20,
             "the cluster's id is known")
    root = f"http://127.0.0.1:{server.port}/v3/clusters"
    answer = server.get("/v3/clusters")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["kind"] == "KafkaClusterList"
    assert answer.json["metadata"] == {"self": root, "next": None}
    cluster, = answer.json["data"]
    name = cluster["cluster_id"]
    assert cluster["metadata"] == {"self": f"{root}/{name}",
                                   "resource_name": f"crn:///kafka={name}"}
    assert_links(cluster, ["acls", "brokers", "broker_configs",
                           "consumer_groups", "topics",
                           "partition_reassignments"])
    assert server.get(f"/v3/clusters/{name}").json == cluster
    assert cluster["topics"]["related"] == f"{root}/{name}/topics"

    wait_for(lambda: server.get(f"/v3/clusters/{name}/topics/{topic}").status
             == 200, 20, "the partitions are known")
    listed = server.get(f"/v3/clusters/{name}/topics").json
    assert listed["kind"] == "KafkaTopicList"
    assert [one["topic_name"] for one in listed["data"]] == [topic, other]
    one = server.get(f"/v3/clusters/{name}/topics/{topic}").json
    assert one == listed["data"][0]
    assert one["kind"] == "KafkaTopic" and one["is_internal"] is False
    assert one["partitions_count"] == 3 and one["replication_factor"] == 1
    assert_links(one, ["partitions", "configs", "partition_reassignments"])

    path = one["partitions"]["related"].split(str(server.port))[1]
    found = server.get(path).json
    assert found["kind"] == "KafkaPartitionList"
    assert [part["partition_id"] for part in found["data"]] == [0, 1, 2]
    for part in found["data"]:
        assert part["kind"] == "KafkaPartition"
        assert_links(part, ["replicas", "reassignment"])
    assert server.get(f"{path}/2").json == found["data"][2]
    assert_error(server.get(f"{path}/3"), 404, 404, "application/json")
    assert_error(server.get("/v3/clusters/other"), 404, 404,
                 "application/json")
    assert_error(server.get(f"/v3/clusters/{name}/topics/none"), 404, 40401,
                 "application/json")


def test_topics_and_partitions_of_v2(server, topic, other):
    wait_for(lambda: server.get(f"/topics/{topic}").status == 200, 20,
             "the partitions are known")
    answer = server.get("/topics", headers={"Accept": V2})
    assert answer.json == [topic, other]
    assert answer.headers["content-type"] == V2
    one = server.get(f"/topics/{topic}").json
    assert set(one) == {"name", "configs", "partitions"}
    assert one["name"] == topic
    parts = server.get(f"/topics/{topic}/partitions").json
    assert parts == one["partitions"]
    assert [part["partition"] for part in parts] == [0, 1, 2]
    for part in parts:
        assert set(part) == {"partition", "leader", "replicas"}
    assert server.get(f"/topics/{topic}/partitions/1").json == parts[1]
    assert_error(server.get("/topics/none"), 404, 40401)
    head = server.request("HEAD", "/topics")
    assert head.status == 200 and head.body == b""


# what cannot be kept


def test_a_topic_that_does_not_exist(nginx, topics):
    absent = topics.name()
    server = nginx(CONF.replace(
        "topic   %%OTHER%% schema=%%DIR%%/n.schema.json key=/n;", ""),
        TOPIC=absent)
    assert_error(server.get(f"/topics/{absent}"), 503, 50003)
    answer = produce(server, f"/topics/{absent}", [{"value": 1}])
    assert_error(answer, 503, 50003)
    assert int(answer.headers["retry-after"]) > 0
    answer = server.post(records_of(absent), b'{"value":{"type":"STRING",'
                         b'"data":"{\\"id\\":1}"}}', V3)
    assert_error(answer, 503, 50003, "application/json")


def test_a_bad_record_of_v2_and_a_client_that_asks(server, topics, topic):
    """Without the preference nothing is kept."""
    records = [{"value": b64(b"a")}, {"value": "!"}, {"value": b64(b"c")}]
    assert_error(produce(server, f"/topics/{topic}", records, BINARY), 400,
                 400)
    assert topics.count(topic) == 0
    answer = produce(server, f"/topics/{topic}", records,
                     {**BINARY, "Prefer": "handling=lenient"})
    assert answer.status == 200
    assert answer.headers["preference-applied"] == "handling=lenient"
    first, bad, third = answer.json["offsets"]
    assert bad["error_code"] == 400 and "base64" in bad["error"]
    assert bad["partition"] is None and bad["offset"] is None
    assert {(place["partition"], place["offset"]) for place in (first, third)}\
        == set(by_place(topics, topic))


def test_a_stopped_broker(nginx, own_kafka, own_topics):
    """No report has an offset, and each says whether it may be kept."""
    topic = own_topics.create()
    server = nginx("""
        kafka_producer main {
            brokers %%KAFKA%%; timeout 1s; topic %%TOPIC%%;
        }
        server {
            listen 127.0.0.1:%%PORT%%;
            location / { kafka_pass main; kafka_format confluent; }
        }""", TOPIC=topic, KAFKA=own_kafka.bootstrap)
    # a broker that has just started has no room for producers yet
    wait_for(lambda: produce(server, f"/topics/{topic}", [
        {"value": "first"}]).status == 200, 20, "serving")
    own_kafka.pause()
    answer = produce(server, f"/topics/{topic}", [{"value": "a"},
                                                  {"value": "b"}])
    code = {503: 50003, 504: 50401}[answer.status]
    assert_error(answer, answer.status, code)
    maybe = 0
    for place in answer.json.get("offsets", []):
        assert place["error_code"] in (50003, 50401)
        assert place["partition"] is None and place["offset"] is None
        maybe += place["error_code"] == 50401
    answer = server.post(records_of(topic),
                         b'{"value":{"type":"STRING","data":"c"}}' * 2, V3)
    assert answer.status in (503, 504)
    for report in reports(answer):
        assert set(report) == {"error_code", "message"}
        assert report["error_code"] in (50003, 50401)
        maybe += report["error_code"] == 50401
    own_kafka.resume()
    wait_for(lambda: produce(server, f"/topics/{topic}", [
        {"value": "last"}]).status == 200, 20, "serving")
    values = [record.value for record in own_topics.records(topic)]
    assert b'"first"' in values and b'"last"' in values
    assert sum(value in (b'"a"', b'"b"', b"c") for value in values) <= maybe


def test_a_limit_and_a_field_for_retries(nginx, topics, topic):
    server = nginx("""
        kafka_producer main { brokers %%KAFKA%%; topic %%TOPIC%%; }
        kafka_limit_zone $remote_addr zone=per:1m records=1/m;
        server {
            listen 127.0.0.1:%%PORT%%;
            location / {
                kafka_pass main;
                kafka_format confluent;
                kafka_limit zone=per burst_records=2;
                kafka_idempotency_field /id;
            }
        }""", TOPIC=topic)
    record = {"value": {"type": "STRING", "data": '{"id":"a"}'}}
    body = json.dumps(record).encode()
    answer = server.post(records_of(topic), body * 3, V3)
    assert_error(answer, 413, 413, "application/json")
    assert server.post(records_of(topic), body, V3).status == 200
    answers = [server.post(records_of(topic), body, V3) for _ in range(4)]
    assert_error(answers[-1], 429, 429, "application/json")
    assert int(answers[-1].headers["retry-after"]) > 0
    # without the field: the record is refused
    answer = server.post(records_of(topic), b'{"key":{"type":"JSON","data":1}}',
                         V3)
    assert answer.status in (422, 429)
    found = topics.records(topic)
    assert {dict(one.headers)["idempotency-key"] for one in found} == {b"a"}


def test_records_that_wait_for_their_topic(nginx, topics):
    """They are copied meanwhile: what is null stays null."""
    name = topics.name()
    server = nginx("""
        kafka_producer main {
            brokers %%KAFKA%%;
            topic %%TOPIC%% partitions=1 replication=1 create;
        }
        server {
            listen 127.0.0.1:%%PORT%%;
            location / { kafka_pass main; kafka_format confluent; }
        }""", TOPIC=name)
    answer = server.post(records_of(name), json.dumps({
        "headers": [{"name": "null"}, {"name": "empty", "value": ""}],
        "key": {"type": "STRING", "data": "k"}}).encode(), V3)
    assert_report(reports(answer)[0], name)
    record, = topics.records(name)
    assert record.headers == (("null", None), ("empty", b""))
    assert (record.key, record.value) == (b"k", None)


STORED = """
    kafka_producer main {
        brokers %%KAFKA%%;
        timeout 1s;
        topic   %%TOPIC%%;
        kafka_receipts %%RECEIPTS%% group=%%GROUP%%;
        %%PRODUCER%%
    }
    server {
        listen 127.0.0.1:%%PORT%%;
        location / {
            kafka_pass    main;
            kafka_format  confluent;
            kafka_ack     stored;
            kafka_timeout %%WAIT%%;
        }
        location = /status { kafka_status json; }
    }
"""
DEAD = {"offset": 0, "stored": "dead-letter", "sqlstate": "23505",
        "reason": 'duplicate key "a"'}


@pytest.mark.parametrize("version", [2, 3])
def test_a_report_waits_for_the_row(stored, version):
    receipts = stored(STORED)
    path, body, headers = (
        f"/topics/{receipts.topic}", b'{"records":[{"value":1}]}', JSON) \
        if version == 2 else (records_of(receipts.topic),
                              b'{"value":{"type":"JSON","data":1}}', V3)

    def post():
        made = receipts.post(path, body, headers)
        receipts.waiting()
        return made

    answer = post()
    receipts.send({"partition": 0, "first": 0, "next": 1,
                   "exceptions": [DEAD]})
    answer = answer.result()
    message = assert_error(answer, 422, 422, V2 if version == 2
                           else "application/json")
    if version == 2:
        message = answer.json["offsets"][0]["error"]
    assert "23505 duplicate key \"a\"" in message
    answer = post()
    receipts.row(1, 2)
    answer = answer.result()
    assert answer.status == 200
    if version == 2:
        assert_v2(answer, 1)
    else:
        assert_report(reports(answer)[0], receipts.topic)
    # no receipt in time
    answer = post().result()
    assert answer.status == 202
    assert version == 2 or reports(answer)[0]["error_code"] == 202


@pytest.mark.parametrize("line, word", [
    ("kafka_topic t;", "kafka_topic"), ("kafka_key k;", "kafka_key"),
    ("kafka_partition 1;", "kafka_partition"),
    ("kafka_timestamp $msec;", "kafka_timestamp"),
    ("kafka_body x;", "kafka_body"), ("kafka_response x;", "kafka_response"),
    ("kafka_invalid dead_letter t;", "kafka_invalid dead_letter"),
    ("kafka_ack queued;", "kafka_ack queued"),
    ("kafka_ack client;", "kafka_ack client")])
def test_directives_that_do_not_fit_are_refused(nginx, line, word):
    server = nginx("""
        kafka_producer main { brokers 127.0.0.1:1; topic t; }
        server {
            listen 127.0.0.1:%%PORT%%;
            location / {
                kafka_pass main;
                kafka_format confluent;
                %%LINE%%
            }
        }""", start=False, LINE=line)
    server.expect(r"\[emerg\]")
    code, said = server.test()
    assert code == 1
    assert f'"{word}" cannot be used with "kafka_format confluent"' in said
    assert f"nginx.conf:{server.line_of('kafka_pass')}" in said


def test_what_does_not_fit_is_not_inherited(nginx, topic, topics):
    server = nginx("""
        kafka_producer main { brokers %%KAFKA%%; topic %%TOPIC%%; }
        kafka_topic %%TOPIC%%; kafka_key k; kafka_partition 1;
        kafka_timestamp 5; kafka_response x;
        kafka_invalid dead_letter %%TOPIC%%;
        server {
            listen 127.0.0.1:%%PORT%%;
            location / { kafka_pass main; kafka_format confluent; }
        }""", TOPIC=topic)
    place, = assert_v2(produce(server, f"/topics/{topic}",
                               [{"key": 1, "value": 2, "partition": 0}]), 1)
    record = by_place(topics, topic)[place]
    assert (place[0], record.key) == (0, b"1") and record.timestamp > 5
