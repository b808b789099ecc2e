"""Bodies with a Content-Encoding: decoded through a bound, or refused."""

import gzip
import json
import random
import subprocess
import zlib

import pytest

from tests.lib import procs
from tests.lib.env import SANITIZED
from tests.lib.problem import assert_problem

BUFFER = 16 * 1024
LIMIT = 1_000_000           # message.max.bytes of librdkafka
PLACES = ["buffers", "file", "small"]
SIZES = [1, 4095, 4096, 4097, BUFFER, 3 * BUFFER + 7, 990_000]

CONF = """
    kafka_producer main {
        brokers %%KAFKA%%;
        topic   %%TOPIC%%;
    }
    client_max_body_size    8m;
    client_body_buffer_size 16k;
    kafka_topic %%TOPIC%%;
    server {
        listen 127.0.0.1:%%PORT%%;
        location = /buffers { kafka_pass main; }
        location = /json    { kafka_pass main; kafka_format json; }
        location = /file {
            client_body_in_file_only clean;
            kafka_pass main;
        }
        location = /small {
            client_body_buffer_size 1k;
            kafka_pass main;
        }
    }
"""


def noise(size):
    return random.Random(size).randbytes(size)


def text(size):
    """What deflates about four to one."""
    chance = random.Random(size)
    return "".join(chance.choices("abcd \n", k=size)).encode()


def zstd(body, *options):
    return subprocess.run(["zstd", "-q", "-c", *options], input=body,
                          check=True, stdout=subprocess.PIPE).stdout


def brotli(body, window=22):
    return subprocess.run(["brotli", "-c", "-q", "5", "-w", str(window)],
                          input=body, check=True,
                          stdout=subprocess.PIPE).stdout


def bare(body):
    return zlib.compress(body, wbits=-15)


CODINGS = {"gzip": gzip.compress, "x-gzip": gzip.compress, "zstd": zstd,
           "GZIP": gzip.compress, "deflate": zlib.compress, "br": brotli}
ALL = ["gzip", "deflate", "zstd", "br"]


def post(server, body, coding="gzip", place="buffers", **more):
    return server.post(f"/{place}", body, {"Content-Encoding": coding},
                       **more)


def assert_values(topics, topic, values):
    assert [record.value for record in topics.records(topic)] == values


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("place", PLACES)
def test_decoded_byte_for_byte(nginx, topics, topic, place, coding):
    server = nginx(CONF, TOPIC=topic)
    bodies = [make(size) for size in SIZES for make in (noise, text)]
    for body in bodies:
        answer = post(server, CODINGS[coding](body), coding, place)
        assert answer.status == 200, (len(body), answer)
    assert_values(topics, topic, bodies)


@pytest.mark.parametrize("coding", ALL)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("step", [1, 7, 5000])
def test_chunked(nginx, topics, topic, place, coding, step):
    server = nginx(CONF, TOPIC=topic)
    body = text(2000 if step < 100 else 200_000)
    sent = CODINGS[coding](body)
    pieces = [sent[at:at + step] for at in range(0, len(sent), step)]
    answer = server.post(f"/{place}", iter(pieces),
                         {"Content-Encoding": coding,
                          "Transfer-Encoding": "chunked"}, chunked=True)
    assert answer.status == 200, answer
    assert_values(topics, topic, [body])


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
@pytest.mark.parametrize("place", PLACES)
def test_members_follow_each_other(nginx, topics, topic, place, coding):
    server = nginx(CONF, TOPIC=topic)
    parts = [text(5000), b"", noise(100), text(40_000), b""]
    answer = post(server, b"".join(map(CODINGS[coding], parts)), coding,
                  place)
    assert answer.status == 200, answer
    assert_values(topics, topic, [b"".join(parts)])


@pytest.mark.parametrize("coding", ALL)
def test_an_empty_body_decoded(nginx, topics, topic, coding):
    server = nginx(CONF, TOPIC=topic)
    assert post(server, CODINGS[coding](b""), coding).status == 200
    assert_problem(post(server, CODINGS[coding](b""), coding, "json"), 400,
                   code="empty-body")
    assert_values(topics, topic, [b""])


@pytest.mark.parametrize("coding", ALL)
@pytest.mark.parametrize("place", PLACES)
def test_cut_anywhere(nginx, topics, topic, place, coding):
    server = nginx(CONF, TOPIC=topic)
    sent = CODINGS[coding](text(60_000))
    for length in [0, 1, 2, 9, 10, 11, 2000, len(sent) // 2, len(sent) - 8,
                   len(sent) - 1]:
        assert_problem(post(server, sent[:length], coding, place), 400,
                       code="bad-encoding")
    assert topics.count(topic) == 0


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd"])
def test_damaged(nginx, topics, topic, place, coding):
    server = nginx(CONF, TOPIC=topic)
    whole = CODINGS[coding](text(60_000))
    if coding == "zstd":
        whole = zstd(text(60_000), "--check")
    damaged = [whole + b"x", whole + b"\0", whole + bytes(4096),
               whole + whole[:-1], b"x" + whole, text(60_000), b"{}"]
    for place_of_damage in (0, 1, 2, len(whole) // 2, -1, -5):
        copy = bytearray(whole)
        copy[place_of_damage] ^= 0x40
        # of the others: bits that nothing reads
        if coding == "gzip" or place_of_damage != -5:
            damaged.append(bytes(copy))
    if coding == "gzip":
        # zlib's and bare deflate are other codings
        damaged += [zlib.compress(text(100)), bare(text(100))]
    for sent in damaged:
        assert_problem(post(server, sent, coding, place), 400,
                       code="bad-encoding")
    assert topics.count(topic) == 0


def test_the_sums_are_checked(nginx, topics, topic):
    server = nginx(CONF, TOPIC=topic)
    body = text(1000)
    whole = gzip.compress(body)
    for at in range(len(whole) - 8, len(whole)):    # CRC-32 and length
        copy = bytearray(whole)
        copy[at] ^= 1
        assert_problem(post(server, bytes(copy)), 400, code="bad-encoding")
    assert post(server, whole).status == 200
    assert_values(topics, topic, [body])


@pytest.mark.parametrize("coding", ALL)
def test_the_limit_is_the_decoded_size(nginx, topics, topic, coding):
    server = nginx(CONF.replace("brokers",
                                "property message.max.bytes 100000; brokers"),
                   TOPIC=topic)
    fits = text(99_000)
    assert post(server, CODINGS[coding](fits), coding).status == 200
    for size in (100_001, 100_002, 131_072, 400_000):
        for place in PLACES:
            assert_problem(post(server, CODINGS[coding](text(size)), coding,
                                place), 413, code="record-too-large")
    # more than that is not even read
    assert_problem(post(server, CODINGS[coding](noise(100_001)), coding),
                   413, code="record-too-large")
    assert_values(topics, topic, [fits])


@pytest.mark.parametrize("coding", ALL)
@pytest.mark.parametrize("place", ["buffers", "file"])
def test_a_bomb_costs_no_more_than_the_limit(nginx, topics, topic, place,
                                             coding):
    server = nginx(CONF, TOPIC=topic)
    size = 512 * 1024 * 1024
    if coding in ("gzip", "deflate"):
        packer = zlib.compressobj(9, wbits=31 if coding == "gzip" else 15)
        block = bytes(1024 * 1024)
        bomb = b"".join(packer.compress(block)
                        for _ in range(size // len(block))) + packer.flush()
    else:
        bomb = (zstd(bytes(size)) if coding == "zstd"
                else brotli(bytes(size)))
    assert len(bomb) * 1000 < size * 1.1
    assert len(bomb) < LIMIT
    assert post(server, gzip.compress(b"warm"), place=place).status == 200
    worker = server.worker()
    before, cpu = procs.rss(worker), procs.cpu_seconds(worker)
    for _ in range(20):
        assert_problem(post(server, bomb, coding, place), 413,
                       code="record-too-large")
    # the body's buffers, the limit, zstd's window
    if not SANITIZED:
        grown = procs.peak_rss(worker) - before
        assert grown < 2 * LIMIT + 9 * 1024 * 1024, grown
        assert procs.cpu_seconds(worker) - cpu < 20 * 0.05
    assert server.worker() == worker
    assert topics.count(topic) == 1


def test_a_zstd_window_is_bounded(nginx, topics, topic):
    server = nginx(CONF, TOPIC=topic)

    def frame(log):         # RFC 8878, 3.1.1: one raw block
        return (b"\x28\xb5\x2f\xfd\0" + bytes([(log - 10) << 3])
                + b"\x19\0\0abc")

    assert post(server, frame(23), "zstd").status == 200
    # 16 MiB and 128 MiB to decode into
    for log in (24, 27):
        assert_problem(post(server, frame(log), "zstd"), 400,
                       code="bad-encoding")
    assert_values(topics, topic, [b"abc"])


def test_a_brotli_window_is_bounded(nginx, topics, topic):
    """8 MiB are taken, 16 MiB are not: RFC 7932, section 9.1."""
    server = nginx(CONF, TOPIC=topic)
    assert post(server, brotli(text(5000), 23), "br").status == 200
    assert_problem(post(server, brotli(text(5000), 24), "br"), 400,
                   code="bad-encoding")
    assert_values(topics, topic, [text(5000)])


@pytest.mark.parametrize("place", PLACES)
def test_deflate_without_its_wrapper(nginx, topics, topic, place):
    """As browsers take it from servers."""
    server = nginx(CONF, TOPIC=topic)
    bodies = [make(size) for size in SIZES for make in (noise, text)]
    for body in bodies:
        assert post(server, bare(body), "deflate", place).status == 200
    assert_problem(post(server, bare(text(100)) + b"x", "deflate", place),
                   400, code="bad-encoding")
    assert_problem(post(server, zlib.compress(text(100)) * 2, "deflate",
                        place), 400, code="bad-encoding")
    assert_values(topics, topic, bodies)


@pytest.mark.parametrize("coding", ["compress", "gzipp",
                                    "gzip;q=1", "gzip, gzip", "zstd,gzip",
                                    "gzip,\tbr", "*"])
def test_other_codings_are_refused(nginx, topics, topic, coding):
    server = nginx(CONF, TOPIC=topic)
    answer = post(server, gzip.compress(b"x"), coding)
    problem = assert_problem(answer, 415, code="content-encoding")
    assert answer.headers["accept-encoding"].split(", ") == ALL
    assert "Accept-Encoding" in problem["remedy"]
    assert topics.count(topic) == 0


@pytest.mark.parametrize("coding", ["identity", "Identity", " identity",
                                    "", ", ,"])
def test_identity_is_no_coding(nginx, topics, topic, coding):
    server = nginx(CONF, TOPIC=topic)
    body = gzip.compress(b"as it is")
    assert post(server, body, coding).status == 200
    assert post(server, body, f"gzip,{coding}").status == 200
    assert_values(topics, topic, [body, b"as it is"])


def test_what_is_checked_is_decoded(nginx, topics, topic):
    server = nginx(CONF, TOPIC=topic)
    good = json.dumps({"a": "é" * 3000}).encode()
    assert post(server, gzip.compress(good), place="json").status == 200
    assert_problem(post(server, gzip.compress(b'{"a":'), place="json"), 400,
                   code="not-json")
    assert_values(topics, topic, [good])
