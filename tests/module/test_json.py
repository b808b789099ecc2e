"""kafka_format json and kafka_schema: strict, and the bytes stay."""

import json

import pytest

from tests.lib import procs
from tests.lib.env import SANITIZED
from tests.lib.nginx import Nginx
from tests.lib.problem import assert_problem
from tests.lib.topics import Topics

JSON = """
    kafka_producer main {
        brokers  %%KAFKA%%;
        property message.max.bytes 20000000;
        topic    %%TOPIC%%;
    }
    client_max_body_size 16m;
    server {
        listen 127.0.0.1:%%PORT%%;
        location = / {
            kafka_pass   main;
            kafka_topic  %%TOPIC%%;
            kafka_format json;
        }
    }
"""

SCHEMA = """
    kafka_producer main {
        brokers %%KAFKA%%;
        topic   %%TOPIC%%;
    }
    server {
        listen 127.0.0.1:%%PORT%%;
        location = / {
            kafka_pass   main;
            kafka_topic  %%TOPIC%%;
            kafka_format json;
            kafka_schema %%DIR%%/post.schema.json;
        }
    }
"""

TOPIC_SCHEMA = """
    kafka_producer main {
        brokers %%KAFKA%%;
        topic   %%TOPIC%% schema=%%DIR%%/post.schema.json;
    }
    server {
        listen 127.0.0.1:%%PORT%%;
        location = /topics {
            kafka_pass   main;
            kafka_topic  %%TOPIC%%;
            kafka_format json;
        }
        location = /own {
            kafka_pass   main;
            kafka_topic  %%TOPIC%%;
            kafka_format json;
            kafka_schema %%DIR%%/any.schema.json;
        }
    }
"""

POST_SCHEMA = {
    "type": "object",
    "required": ["title", "content"],
    "properties": {
        "title": {"type": "string", "minLength": 1},
        "content": {"type": "string", "minLength": 1},
        "author": {"type": "object", "required": ["name"], "properties": {
            "name": {"type": ["string", "null"]},
            "a/b~c": {"type": "integer"}}},
    },
}

HOSTILE = {
    "empty": b"",
    "space only": b" \n\t ",
    "cut": b'{"a":',
    "depth 65": b"[" * 65 + b"]" * 65,
    "depth 1,000,000": b"[" * 1000000 + b"]" * 1000000,
    "depth 1,000,000 of objects": b'{"a":' * 1000000,
    "1,025 members": json.dumps({str(n): n for n in range(1025)}).encode(),
    "1,000,000 members": b'{"k":0' + b",".join(
        b'"%d":0' % n for n in range(1000000)) + b"}",
    "1,001 digits": b"1" * 1001,
    "200,000 digits": b"1" * 200000,
    "exponent 400,000": b"1e400000",
    "exponent -15,001": b"1e-15001",
    "leading zero": b"01",
    "leading plus": b"+1",
    "no digit behind the point": b"1.",
    "no digit before the point": b".5",
    "NaN": b"NaN",
    "capital True": b"True",
    "trailing bytes": b"{} x",
    "two values": b"1 2",
    "trailing NUL": b"{}\0",
    "byte order mark": b"\xef\xbb\xbf{}",
    "lone high surrogate": b'"\\ud800"',
    "lone low surrogate": b'"\\udc00"',
    "high surrogate twice": b'"\\ud800\\ud800"',
    "escaped NUL": b'"\\u0000"',
    "raw NUL": b'"\0"',
    "raw control": b'"\x1f"',
    "raw line feed in a string": b'"a\nb"',
    "unknown escape": b'"\\x41"',
    "bare continuation byte": b'"\x80"',
    "overlong": b'"\xc0\xaf"',
    "overlong of three": b'"\xe0\x80\xaf"',
    "surrogate in UTF-8": b'"\xed\xa0\x80"',
    "above U+10FFFF": b'"\xf4\x90\x80\x80"',
    "cut UTF-8": b'"\xe2\x82"',
    "duplicate member": b'{"a":1,"a":2}',
    "duplicate by escape": b'{"a":1,"\\u0061":2}',
    "trailing comma": b'{"a":1,}',
    "trailing comma in array": b"[1,]",
    "comment": b"{} // x",
    "single quotes": b"{'a':1}",
    "unquoted name": b"{a:1}",
    "gzip": b"\x1f\x8b\x08\0\0\0\0\0",
}

GOOD = [
    b"{}", b"null", b" [1, 2,\r\n\t3 ] ", b'"\\ud83d\\ude00"',
    '"\u00e9\U0010ffff"'.encode(), b"-0.0e+15000", b"1" * 1000,
    b"[" * 64 + b"]" * 64, b'{"a":1,"A":2}', b'{"":{"":0}}',
    json.dumps({str(n): n for n in range(1024)}).encode(),
    b'{ "b" : 1.50 , "a":"\\u0041\\/" }',
]


@pytest.fixture(scope="module")
def json_server(request, run_directory, kafka):
    topics = Topics(kafka)
    name = topics.create(config={"max.message.bytes": "20000000"})
    server = Nginx(run_directory / "hostile-json", JSON, TOPIC=name,
                   KAFKA=kafka.bootstrap).start()
    yield server, topics, name
    server.finish()
    topics.clean()


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_json_is_400_and_nothing_is_produced(json_server, case):
    server, topics, name = json_server
    worker = server.worker()
    before = topics.count(name)
    cpu = procs.cpu_seconds(worker)
    answer = server.post("/", HOSTILE[case])
    problem = assert_problem(answer, 400)
    # one tick of the kernel's clock is 10 ms; reading megabytes of body
    # costs some, the check itself stops at the first fault
    limit = 0.02 + len(HOSTILE[case]) / 100e6
    assert procs.cpu_seconds(worker) - cpu <= limit or SANITIZED, "too long"
    assert worker in server.workers()
    assert topics.count(name) == before
    detail = problem.get("detail", problem["title"])
    assert "byte" in detail or "empty" in detail, \
        "the place is named"


def test_the_bytes_produced_are_the_clients(json_server):
    server, topics, name = json_server
    sent = {}
    for text in GOOD:
        answer = server.post("/", text)
        assert answer.status == 200, (text[:50], answer)
        sent[answer.json["offset"]] = text
    found = {record.offset: record.value for record in topics.records(name)}
    for offset, text in sent.items():
        assert found[offset] == text


def test_a_problem_never_echoes_raw_bytes(json_server):
    server, _, _ = json_server
    for text in (b'{"\x1b[31m":', b'{"a":"\xff"}', b'{"<script>":<script>}'):
        answer = assert_problem(server.post("/", text), 400)
        assert "\x1b" not in json.dumps(answer)
    assert "\x1b" not in server.log()


@pytest.mark.parametrize("text, pointer, keyword", [
    ('{"content":"c"}', "", "required"),
    ('{"title":"t"}', "", "required"),
    ('{"title":"","content":"c"}', "/title", "minLength"),
    ('{"title":"t","content":7}', "/content", "type"),
    ('{"title":null,"content":"c"}', "/title", "type"),
    ("[]", "", "type"),
    ("7", "", "type"),
    ('{"title":"t","content":"c","author":{}}', "/author", "required"),
    ('{"title":"t","content":"c","author":{"name":1}}', "/author/name",
     "type"),
    ('{"title":"t","content":"c","author":{"name":null,"a/b~c":1.5}}',
     "/author/a~1b~0c", "type"),
])
def test_schema_violation_is_422_with_pointer_and_keyword(
        nginx, directory, topics, topic, text, pointer, keyword):
    server = nginx(SCHEMA, TOPIC=topic, start=False)
    (server.directory / "post.schema.json").write_text(
        json.dumps(POST_SCHEMA))
    server.start()
    problem = assert_problem(server.post("/", text.encode()), 422)
    assert problem["pointer"] == pointer
    assert problem["keyword"] == keyword
    good = b'{"title":"\\u00e9","content":"c","author":' \
        b'{"name":null,"a/b~c":1.0}}'
    assert server.post("/", good).status == 200
    assert [record.value for record in topics.records(topic)] == [good]


def test_a_topics_schema_holds_and_a_location_overrides_it(nginx, topics,
                                                           topic):
    server = nginx(TOPIC_SCHEMA, TOPIC=topic, start=False)
    (server.directory / "post.schema.json").write_text(
        json.dumps(POST_SCHEMA))
    (server.directory / "any.schema.json").write_text("true")
    server.start()
    assert_problem(server.post("/topics", b"{}"), 422)
    assert server.post("/own", b"{}").status == 200
    assert_problem(server.post("/own", b"{"), 400)
    assert topics.count(topic) == 1
