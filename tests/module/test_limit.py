"""kafka_limit: records and bytes of a key, in every worker and reload."""

import concurrent.futures
import re
import time

import pytest

from tests.lib.env import wait_for
from tests.lib.problem import assert_problem

CONF = """
    kafka_producer main {
        brokers %%KAFKA%%;
        topic   %%TOPIC%%;
    }
    kafka_topic %%TOPIC%%;
    %%ZONES%%
    server {
        listen 127.0.0.1:%%PORT%%;
        location = / {
            kafka_pass main;
            %%LIMITS%%
        }
        location = /other {
            kafka_pass main;
            %%LIMITS%%
        }
        location = /free { kafka_pass main; }
    }
"""

# refills so slowly that no test sees it
SLOW = "kafka_limit_zone $http_who zone=a:1m records=1/m;"


@pytest.fixture
def limited(nginx, topic):
    def make(zones, limits, **more):
        return nginx(CONF, TOPIC=topic, ZONES=zones, LIMITS=limits, **more)
    return make


def post(server, who="me", body=b"x", path="/"):
    return server.post(path, body, {"Who": who})


def items(value):
    """A list of strings with parameters (RFC 9651), as a dict."""
    found = {}
    for item in value.split(", "):
        name, *parameters = item.split(";")
        assert re.fullmatch(r'"[^"\\]+"', name), value
        found[name.strip('"')] = dict(p.split("=") for p in parameters)
    return found


def assert_limited(answer):
    assert_problem(answer, 429, code="rate-limited")
    assert int(answer.headers["retry-after"]) >= 1
    return answer


def test_a_burst_passes_and_no_more(limited, topics, topic):
    server = limited(SLOW, "kafka_limit zone=a burst_records=3;")
    for left in (2, 1, 0):
        answer = post(server)
        assert answer.status == 200, answer
        state = items(answer.headers["ratelimit"])["a-records"]
        assert state["r"] == str(left)
        assert 1 <= int(state["t"]) <= (3 - left) * 60
        assert items(answer.headers["ratelimit-policy"]) == {
            "a-records": {"q": "3", "qu": '"records"', "w": "180"}}
    answer = assert_limited(post(server))
    assert 50 <= int(answer.headers["retry-after"]) <= 60
    assert items(answer.headers["ratelimit"])["a-records"]["r"] == "0"
    assert_limited(post(server, path="/other"))
    assert post(server, path="/free").status == 200
    assert post(server, who="you").status == 200
    assert topics.count(topic) == 5


def test_it_fits_after_retry_after(limited, topics, topic):
    server = limited("kafka_limit_zone $http_who zone=a:1m records=2/s;",
                     "kafka_limit zone=a burst_records=2;")
    kept = 0
    for _ in range(3):
        while (answer := post(server)).status == 200:
            kept += 1
        assert_limited(answer)
        end = time.monotonic() + int(answer.headers["retry-after"])
        wait_for(lambda: time.monotonic() >= end, 5, "Retry-After is over")
        assert post(server).status == 200
        kept += 1
    assert topics.count(topic) == kept


def test_the_rate_holds(limited, topics, topic):
    server = limited("kafka_limit_zone $http_who zone=a:1m records=50/s;",
                     "kafka_limit zone=a burst_records=25;")
    # the first waits for its topic, and nothing refills what is full
    assert post(server).status == 200
    begin = last = time.monotonic()
    kept = tried = lost = 0
    while last < begin + 2:
        kept += post(server).status == 200
        tried += 1
        now = time.monotonic()
        # what refills beyond the burst while an answer is waited for
        lost += max(0, now - last - 25 / 50)
        last = now
    took = last - begin
    assert min(tried, 24 + 50 * (took - lost) * 0.8) <= kept \
        <= 24 + 50 * took + 1
    assert topics.count(topic) == kept + 1


def test_bytes_are_of_key_and_value_as_decoded(limited, topics, topic):
    server = limited("kafka_limit_zone $http_who zone=a:1m bytes=60/m;"
                     "kafka_key $http_key;",
                     "kafka_limit zone=a burst_bytes=1000;")
    assert server.post("/", b"x" * 590, {"Who": "me", "Key": "k" * 10}
                       ).status == 200
    answer = post(server, body=b"x" * 500)
    assert_limited(answer)
    # 100 more than fit, of which a second gives 1
    assert 95 <= int(answer.headers["retry-after"]) <= 100
    answer = post(server, body=b"x" * 400)
    assert answer.status == 200
    assert items(answer.headers["ratelimit-policy"]) == {
        "a-bytes": {"q": "1000", "qu": '"content-bytes"', "w": "1000"}}
    assert int(items(answer.headers["ratelimit"])["a-bytes"]["r"]) < 10
    assert topics.count(topic) == 2


def test_what_never_fits_is_413(limited, topics, topic):
    server = limited("kafka_limit_zone $http_who zone=a:1m bytes=1k/s;",
                     "kafka_limit zone=a;")
    answer = post(server, body=b"x" * 1025)
    problem = assert_problem(answer, 413, code="over-burst")
    assert "1025 bytes" in problem["detail"]
    assert "1024" in problem["detail"]
    assert "retry-after" not in answer.headers
    # it has charged nothing
    assert post(server, body=b"x" * 1024).status == 200
    assert topics.count(topic) == 1


def test_all_limits_or_none_is_charged(limited, topics, topic):
    server = limited(
        "kafka_limit_zone $http_who zone=b:1m records=1/m;"
        "kafka_limit_zone $http_all zone=c:1m records=1/m;"
        "kafka_limit_zone $http_who zone=a:1m records=1/m bytes=1/m;",
        "kafka_limit zone=c burst_records=2;"
        "kafka_limit zone=a burst_records=10 burst_bytes=100;"
        "kafka_limit zone=b burst_records=10;")

    def send(who, body=b"x"):
        return server.post("/", body, {"Who": who, "All": "all"})

    def left(answer):
        return {name: int(state["r"]) for name, state
                in items(answer.headers["ratelimit"]).items()}

    answer = send("me")
    assert answer.status == 200
    assert left(answer) == {"a-records": 9, "a-bytes": 99, "b-records": 9,
                            "c-records": 1}
    # its bytes do not fit: no record is charged anywhere
    for _ in range(5):
        answer = assert_limited(send("me", b"x" * 100))
        assert left(answer) == {"a-records": 9, "a-bytes": 99,
                                "b-records": 9, "c-records": 1}
    assert send("you").status == 200
    for _ in range(5):
        answer = assert_limited(send("me"))
        assert left(answer) == {"a-records": 9, "a-bytes": 99,
                                "b-records": 9, "c-records": 0}
    assert topics.count(topic) == 2


def test_an_empty_key_is_not_limited(limited, topics, topic):
    server = limited(SLOW, "kafka_limit zone=a;")
    for _ in range(3):
        answer = server.post("/", b"x")
        assert answer.status == 200
        assert "ratelimit" not in answer.headers
    assert post(server).status == 200
    assert_limited(post(server))


def test_keys_of_any_bytes_and_length(limited, topics, topic):
    server = limited(SLOW, "kafka_limit zone=a;")
    keys = ["a", "a" * 5000, "a" * 4999 + "b", "é", "b"]
    for key in keys:
        assert post(server, key.encode()).status == 200
    for key in keys:
        assert_limited(post(server, key.encode()))
    assert topics.count(topic) == len(keys)


def test_what_is_refused_otherwise_costs_nothing(limited, topics, topic):
    server = limited(SLOW + "kafka_format json;", "kafka_limit zone=a;")
    for _ in range(3):
        assert_problem(post(server, body=b"{"), 400, code="not-json")
    assert post(server, body=b"{}").status == 200
    assert_limited(post(server, body=b"{}"))


def test_a_reload_keeps_the_counts(limited, topics, topic):
    server = limited(SLOW, "kafka_limit zone=a burst_records=2;")
    assert post(server).status == 200
    server.reload()
    assert post(server).status == 200
    assert_limited(post(server))
    server.reload()
    assert_limited(post(server))
    # the same bucket by another burst
    server.write(CONF, LIMITS="kafka_limit zone=a burst_records=3;")
    server.reload()
    assert post(server).status == 200
    assert_limited(post(server))
    assert topics.count(topic) == 3


def test_a_reload_with_another_key_is_refused(limited):
    server = limited(SLOW, "kafka_limit zone=a;")
    server.write(CONF, ZONES=SLOW.replace("$http_who", "$http_whom"))
    assert 'previously it used the "$http_who" key' in server.reload_refused()
    assert post(server).status == 200
    assert_limited(post(server))


def test_workers_share_the_counts(limited, topics, topic):
    server = limited(SLOW, "kafka_limit zone=a burst_records=100;",
                     workers=2)
    assert len(server.workers()) == 2
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: post(server).status, range(400)))
    assert answers.count(200) == 100
    assert answers.count(429) == 300
    assert topics.count(topic) == 100


def test_a_full_zone_forgets_the_oldest(limited, topics, topic):
    server = limited("kafka_limit_zone $http_who zone=a:32k records=1/m;",
                     "kafka_limit zone=a;")
    assert post(server, "first").status == 200
    assert_limited(post(server, "first"))
    for number in range(1000):
        assert post(server, f"k{number}").status == 200
    # bounded, and it says so; those seen last are kept
    assert 'kafka_limit_zone "a" is full' in server.log()
    for number in range(999, 979, -1):
        assert_limited(post(server, f"k{number}"))
    assert post(server, "first").status == 200
    assert "[crit]" not in server.log()


@pytest.mark.parametrize("zones, limits, words", [
    ("", "kafka_limit zone=a;", 'unknown kafka_limit_zone "a"'),
    (SLOW, "kafka_limit;", "invalid number of arguments"),
    (SLOW, "kafka_limit burst_records=1;", '"zone" parameter'),
    (SLOW, "kafka_limit zone=a burst_records=0;", "invalid parameter"),
    (SLOW, "kafka_limit zone=a burst_records=1k;", "invalid parameter"),
    (SLOW, "kafka_limit zone=a burst_bytes=1k;", 'needs "bytes"'),
    (SLOW, "kafka_limit zone=a; kafka_limit zone=a;", "is duplicate"),
    (SLOW + SLOW, "", "is duplicate"),
    ("kafka_limit_zone $uri zone=a:1m burst=1;", "", "invalid parameter"),
    ("kafka_limit_zone $uri zone=a:1k records=1/s;", "", "too small"),
    ("kafka_limit_zone $uri zone=a records=1/s;", "", "invalid parameter"),
    ('kafka_limit_zone $uri "zone=a\\"b:1m" records=1/s;', "",
     "invalid parameter"),
    ("kafka_limit_zone $uri zone=a:1m records=1;", "", "invalid rate"),
    ("kafka_limit_zone $uri zone=a:1m records=0/s;", "", "invalid rate"),
    ("kafka_limit_zone $uri zone=a:1m records=1k/s;", "", "invalid rate"),
    ("kafka_limit_zone $uri zone=a:1m bytes=1m/h;", "", "invalid rate"),
    ("kafka_limit_zone $uri records=1/s bytes=1/s;", "", '"zone" parameter'),
])
def test_refused_with_its_place(limited, zones, limits, words):
    server = limited(zones, limits, start=False)
    server.expect(r"\[emerg\]")
    code, said = server.test()
    assert code != 0
    assert words in said
    assert re.search(r"nginx\.conf:\d+", said), said
