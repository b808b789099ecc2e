"""nginx -t, start and reload refuse what cannot work, with file and line."""

import grp
import os
import pwd
import time

import confluent_kafka
import pytest

from tests.lib import procs
from tests.lib.env import PATIENCE, wait_for
from tests.lib.tls import certificate

CONF = """
    kafka_producer main {
        brokers %%KAFKA%%;
        %%PRODUCER%%
        topic   declared;
    }
    server {
        listen 127.0.0.1:%%PORT%%;
        location = / {
            kafka_pass  main;
            kafka_topic declared;
            %%LOCATION%%
        }
        %%SERVER%%
    }
"""

BAD_PRODUCER = {
    "unknown property": ("property no.such.property 1;", "no.such.property"),
    "wrong value": ("property compression.type mp3;", "compression.type"),
    "out of range": ("property message.max.bytes 1;", "message.max.bytes"),
    "not a number": ("property linger.ms soon;", "linger.ms"),
    "missing CA file":
        ("property security.protocol ssl;"
         " property ssl.ca.location /no/such/ca.pem;", "ssl.ca.location"),
    "SASL without credentials":
        ("property security.protocol sasl_plaintext;"
         " property sasl.mechanisms PLAIN;", "sasl."),
    "contradiction, in flight":
        ("property max.in.flight.requests.per.connection 6;",
         "max.in.flight"),
    "contradiction, retries": ("property message.send.max.retries 0;",
                               "retries"),
    "duplicate property":
        ("property linger.ms 1; property linger.ms 2;", "linger.ms"),
    "property without a value": ("property linger.ms;", "property"),
    "unknown directive": ("propperty linger.ms 1;", "propperty"),
    "duplicate topic": ("topic declared;", "declared"),
    "duplicate brokers": ("brokers 127.0.0.1:1;", "brokers"),
    "duplicate timeout": ("timeout 5s; timeout 6s;", "timeout"),
    "duplicate queue": ("queue 1m; queue 2m;", "queue"),
    "timeout without sense": ("timeout never;", "timeout"),
    "queue without sense": ("queue much;", "queue"),
    "partitions without sense": ("topic other partitions=0 create;",
                                 "partitions"),
    "replication without sense": ("topic other replication=x create;",
                                  "replication"),
    "topic with an unknown option": ("topic other colour=red;", "colour"),
    "a name Kafka refuses": ("topic a/b;", "a/b"),
    "a name too long": (f"topic {'x' * 250};", "topic"),
    "property file that is not there":
        ("property_file sasl.password /no/such/file;", "/no/such/file"),
    "receipts without a group": ("kafka_receipts r;", "group="),
    "receipts of no group": ("kafka_receipts r group=;", "group="),
    "receipts of a variable group": ("kafka_receipts r group=$host;",
                                     "group=$host"),
    "receipts of two groups": ("kafka_receipts r group=a group=b;",
                               "group=b"),
    "two topics of receipts":
        ("kafka_receipts r group=a; kafka_receipts s group=a;",
         "kafka_receipts"),
    "receipts in a declared topic": ("kafka_receipts declared group=a;",
                                     "declared"),
    "receipts in an impossible topic": ("kafka_receipts a/b group=a;", "a/b"),
    "receipts with a schema": ("kafka_receipts r group=a schema=x;",
                               "schema="),
    "receipts with a key": ("kafka_receipts r group=a key=/x;", "key="),
    "receipts with an unknown option": ("kafka_receipts r group=a colour=red;",
                                        "colour"),
    "receipts without a topic": ("kafka_receipts;", "kafka_receipts"),
    "unknown property from a file":
        ("property_file no.such.property %%DIR%%/secret;",
         "no.such.property"),
    "topic's schema file that is not there":
        ("topic other schema=/no/such.json;", "/no/such.json"),
}

OWNED = ["acks", "request.required.acks", "enable.idempotence",
         "enable.gapless.guarantee", "delivery.report.only.error",
         "transactional.id", "bootstrap.servers", "metadata.broker.list",
         "log.queue", "message.timeout.ms", "delivery.timeout.ms",
         "plugin.library.paths", "test.mock.num.brokers", "group.id",
         "auto.offset.reset", "enable.auto.commit",
         "allow.auto.create.topics"]

BAD_LOCATION = {
    "unknown producer": ("", "location = /x { kafka_pass nobody; "
                             "kafka_topic declared; }", "nobody"),
    "undeclared topic literal":
        ("", "location = /x { kafka_pass main; kafka_topic stranger; }",
         "stranger"),
    "no topic": ("", "location = /x { kafka_pass main; }", "kafka_topic"),
    "wrong format": ("kafka_format yaml;", "", "yaml"),
    "wrong ack": ("kafka_ack maybe;", "", "maybe"),
    "stored without receipts": ("kafka_ack stored;", "", "kafka_receipts"),
    "duplicate ack": ("kafka_ack client; kafka_ack client;", "", "kafka_ack"),
    "schema file that is not there": ("kafka_schema /no/such.json;", "",
                                      "/no/such.json"),
    "duplicate pass": ("kafka_pass main;", "", "kafka_pass"),
    "duplicate topic": ("kafka_topic declared;", "", "kafka_topic"),
    "duplicate key": ("kafka_key a; kafka_key b;", "", "kafka_key"),
    "duplicate format": ("kafka_format raw; kafka_format raw;", "",
                         "kafka_format"),
    "answer's deadline below the record's": ("kafka_timeout 1s;", "",
                                             "kafka_timeout"),
    "timeout without sense": ("kafka_timeout soon;", "", "kafka_timeout"),
    "a base of problems that is no URI": ("kafka_problem_base 'a b';", "",
                                          "kafka_problem_base"),
    "a base of problems that JSON would escape":
        ("kafka_problem_base 'https://a/\"';", "", "kafka_problem_base"),
    "a base of problems that is too long":
        (f"kafka_problem_base https://{'a' * 249};", "", "kafka_problem_base"),
    "inflate limit without sense": ("kafka_inflate_limit much;", "",
                                    "kafka_inflate_limit"),
    "inflate limit of nothing": ("kafka_inflate_limit 0;", "",
                                 "kafka_inflate_limit"),
    "inflate limit above the queue": ("kafka_inflate_limit 65m;", "",
                                      "kafka_inflate_limit"),
    "duplicate inflate limit":
        ("kafka_inflate_limit 1m; kafka_inflate_limit 1m;", "",
         "kafka_inflate_limit"),
    "a delete without a key": ("kafka_delete on;", "", "kafka_key"),
    "a delete by a field of the body":
        ("kafka_format json; kafka_key_field /id; kafka_delete on;", "",
         "kafka_key"),
    "nothing without a key": ("kafka_empty null;", "", "kafka_empty null"),
    "an empty body of another kind": ("kafka_key k; kafka_empty none;", "",
                                      "none"),
    "a batch that is no field": ("kafka_format array; kafka_batch_field '';",
                                 "", "kafka_batch_field"),
    "a batch too deep":
        (f"kafka_format array; kafka_batch_field {'/a' * 17};", "",
         "kafka_batch_field"),
    "a batch without a pointer":
        ("kafka_format array; kafka_batch_field batch;", "", "batch"),
    "a batch of another format":
        ("kafka_format ndjson; kafka_batch_field /batch;", "",
         "kafka_format array"),
    "two batches":
        ("kafka_format array; kafka_batch_field /a; kafka_batch_field /b;",
         "", "kafka_batch_field"),
    "a secret that is passed":
        ("kafka_pass_headers x-a Authorization;", "", "kafka_header"),
    "a secret of a proxy that is passed":
        ("kafka_pass_headers proxy-authorization;", "", "kafka_header"),
    "cookies that are passed": ("kafka_pass_headers cookie;", "",
                                "kafka_header"),
    "a header of the connection that is passed":
        ("kafka_pass_headers transfer-encoding;", "", "connection"),
    "a length that is passed": ("kafka_pass_headers content-length;", "",
                                "as it was sent"),
    "a star inside": ("kafka_pass_headers x-*-id;", "", "x-*-id"),
    "two stars": ("kafka_pass_headers x-**;", "", "x-**"),
    "no header's name": ("kafka_pass_headers '';", "", "invalid header"),
    "no headers to pass": ("kafka_pass_headers;", "", "kafka_pass_headers"),
    "two lists of headers":
        ("kafka_pass_headers a; kafka_pass_headers b;", "",
         "kafka_pass_headers"),
    "a step that is none": ("kafka_decode gzip rot13;", "", "rot13"),
    "a step without a field": ("kafka_decode form=;", "", "form="),
    "identity as a step": ("kafka_decode identity;", "", "identity"),
    "off and a step": ("kafka_decode off gzip;", "", "off"),
    "five steps": ("kafka_decode gzip gzip gzip gzip gzip;", "",
                   "kafka_decode"),
    "two chains": ("kafka_decode gzip; kafka_decode br;", "",
                   "kafka_decode"),
    "a status of an error": ("kafka_response 404;", "", "kafka_response"),
    "a status that promises another thing": ("kafka_response 201 made;", "",
                                             "kafka_response"),
    "a body of 204": ("kafka_response 204 x;", "", "204"),
    "two bodies": ("kafka_response a b;", "", "kafka_response"),
    "two responses": ("kafka_response a; kafka_response 204;", "",
                      "kafka_response"),
    "unknown variable": ("kafka_key $no_such_variable;", "",
                         "no_such_variable"),
    "status of an unknown kind":
        ("", "location = /s { kafka_status xml; }", "xml"),
    "two statuses": ("", "location = /s { kafka_status json; kafka_status json; }",
                     "kafka_status"),
    "drain without a file":
        ("", "location = /r { kafka_ready drain=; }", "drain="),
    "ready with an unknown parameter":
        ("", "location = /r { kafka_ready file=/x; }", "file=/x"),
    "live with a parameter":
        ("", "location = /l { kafka_live now; }", "kafka_live"),
}


def refused(nginx, word, **names):
    """Both nginx -t and a reload refuse; returns what -t said."""
    names = {"PRODUCER": "", "LOCATION": "", "SERVER": "", **names}
    server = nginx(CONF, PRODUCER="", LOCATION="", SERVER="", start=False)
    (server.directory / "secret").write_text("x")
    server.write(CONF, **names)
    code, said = server.test()
    assert code != 0, said
    emerg = [line for line in said.splitlines() if "[emerg]" in line]
    assert emerg, said
    assert word in emerg[0], said
    server.expect(r"\[emerg\]")
    return server, emerg[0]


def assert_line(server, said, marker):
    assert f"nginx.conf:{server.line_of(marker)}" in said, \
        f"not line {server.line_of(marker)}: {said}"


@pytest.mark.parametrize("case", BAD_PRODUCER)
def test_a_wrong_producer_is_refused(nginx, case):
    text, word = BAD_PRODUCER[case]
    server, said = refused(nginx, word, PRODUCER=text)
    # "topic declared" stands twice in one case, the second time below ours;
    # what librdkafka alone finds, and only together, is said at the block
    if case == "duplicate topic":
        assert_line(server, said, "topic   declared")
    else:
        assert_line(server, said, text.replace(
            "%%DIR%%", str(server.directory)))


@pytest.mark.parametrize("name", OWNED)
def test_a_property_the_module_owns_is_refused(nginx, name):
    text = f"property {name} 1;"
    server, said = refused(nginx, name, PRODUCER=text)
    assert_line(server, said, text)


@pytest.mark.parametrize("case", BAD_LOCATION)
def test_a_wrong_location_is_refused(nginx, case):
    location, more, word = BAD_LOCATION[case]
    server, said = refused(nginx, word, LOCATION=location, SERVER=more)
    if case != "unknown variable":      # nginx's own message, at the end
        assert_line(server, said, location or more)


@pytest.mark.parametrize("schema, word, line", [
    ('{\n"type": "object",\n"patternProperties": {}\n}', "patternProperties", 3),
    ('{\n"properties": {\n"a": {"minContains": 1}}}', "minContains", 3),
    ('{\n"type": "text"}', "type", 2),
    ('{\n"minLength": -1}', "minLength", 2),
    ('{\n"required": "a"}', "required", 2),
    ('{\n"type": ', "", 2),
    ("[]", "", 1),
])
@pytest.mark.parametrize("place", ["topic", "location"])
def test_a_schema_that_is_not_understood_is_refused(nginx, schema, word,
                                                    line, place):
    server = nginx(CONF, PRODUCER="", LOCATION="", SERVER="", start=False)
    file = server.directory / "s.json"
    file.write_text(schema)
    if place == "topic":
        server.write(CONF, PRODUCER=f"topic other schema={file};")
    else:
        server.write(CONF, LOCATION=f"kafka_schema {file};")
    code, said = server.test()
    server.expect(r"\[emerg\]")
    assert code != 0
    assert word in said
    assert f"s.json:{line}" in said, said
    assert_line(server, said, "s.json")


def test_two_producers_of_one_name_are_refused(nginx):
    server = nginx(CONF + "    kafka_producer main { brokers b:1; }  # second",
                   PRODUCER="", LOCATION="", SERVER="", start=False)
    code, said = server.test()
    server.expect(r"\[emerg\]")
    assert code != 0 and "main" in said
    assert_line(server, said, "# second")


def test_a_producer_without_brokers_is_refused(nginx):
    server = nginx("    kafka_producer main { topic t; }", start=False)
    code, said = server.test()
    server.expect(r"\[emerg\]")
    assert code != 0 and "brokers" in said
    assert_line(server, said, "kafka_producer main")


def test_a_good_configuration_passes_without_a_broker(nginx):
    server = nginx(CONF, start=False, LOCATION="", SERVER="",
                   KAFKA="127.0.0.1:1", PRODUCER="""
        property compression.type lz4;
        timeout  2s;
        queue    8m;
        topic    other partitions=3 replication=1 create;""")
    code, said = server.test()
    assert code == 0, said


def test_the_old_name_of_a_variable_warns(nginx):
    for name, warned in (("status", 1), ("persisted", 0)):
        server = nginx(CONF, start=False, PRODUCER="", SERVER="",
                       LOCATION=f'kafka_header kept "$kafka_{name}";')
        code, said = server.test()
        assert code == 0, said
        assert said.count('called "$kafka_persisted" now') == warned, said


@pytest.mark.parametrize("broker", [
    "::1", "2001:db8::1:9092", "[localhost]:9092", "[1:2]:9092",
    "[127.0.0.1]:9092", "[::1:9092", "[::1]9092", "[::1]:", "[::1]:65536",
    "[]:9092", "k1:0", "k1:x", ":9092"])
def test_a_wrong_broker_is_refused(nginx, broker):
    server, said = refused(nginx, f'invalid broker "{broker}", give host:port '
                           "or [IPv6]:port", KAFKA=f"k1:9092,{broker}")
    assert_line(server, said, broker)


@pytest.mark.parametrize("brokers", [
    "[::1]:9092", "[2001:db8::1]", "k1 k2:9092,[::ffff:192.0.2.1]:9092",
    "SSL://[::1]:9093", "[fe80::1%eth0]:9092"])
def test_names_and_addresses_of_brokers_are_taken(nginx, brokers):
    server = nginx(CONF, start=False, PRODUCER="", LOCATION="", SERVER="",
                   KAFKA=brokers)
    code, said = server.test()
    assert code == 0, said


@pytest.mark.parametrize("value", ["true", "1"])
def test_a_token_that_would_crash_librdkafka_is_refused(nginx, value):
    """Before 2.2.0 a client has no queue for the second such token."""
    text = f"property enable.sasl.oauthbearer.unsecure.jwt {value};"
    more = ("property security.protocol sasl_plaintext;"
            " property sasl.mechanism OAUTHBEARER;"
            " property sasl.oauthbearer.config principal=a; ")
    if confluent_kafka.libversion()[1] >= 0x020200ff:
        server = nginx(CONF, PRODUCER=more + text, LOCATION="", SERVER="",
                       start=False)
        code, said = server.test()
        assert code == 0, said
        return
    server, said = refused(nginx, "crashes", PRODUCER=more + text)
    assert_line(server, said, text)
    server.write(CONF, PRODUCER=text.replace(value, "false"))
    code, said = server.test()
    assert code == 0, said


def test_start_refuses_too(nginx):
    server = nginx(CONF, PRODUCER="property no.such.property 1;",
                   LOCATION="", SERVER="", start=False)
    server.expect(r"\[emerg\]")
    server.exit_code = 1
    with pytest.raises(AssertionError, match="no.such.property"):
        server.start()


@pytest.mark.parametrize("text", [
    "property no.such.property 1;",
    "property max.in.flight.requests.per.connection 6;",
    "property acks 0;",
    "property transactional.id t;",
    "property security.protocol ssl; property ssl.ca.location /no/ca.pem;",
    "property security.protocol sasl_plaintext;"
    " property sasl.mechanisms PLAIN;",
    "topic declared;",
])
def test_a_refused_reload_leaves_the_old_workers_serving(nginx, topics, text,
                                                         topic):
    conf = CONF.replace("declared", topic)
    server = nginx(conf, PRODUCER="", LOCATION="", SERVER="", workers=2)
    assert server.post("/", b"before").status == 200
    workers = server.workers()
    server.write(conf, PRODUCER=text.replace("declared", topic))
    said = server.reload_refused()
    assert f"nginx.conf:{server.line_of(text.split()[0] + ' ')}" in said \
        or "nginx.conf:" in said
    assert server.workers() == workers
    assert server.post("/", b"after").status == 200
    server.write(conf, PRODUCER="")
    server.reload(wait_old=10)
    assert server.post("/", b"again").status == 200
    assert [r.value for r in topics.records(topic)] \
        == [b"before", b"after", b"again"]


def test_a_secret_from_a_file_shows_nowhere(nginx, topic):
    secret = "s3cr3t-9f2c"
    conf = CONF.replace("declared", topic)
    server = nginx(conf, start=False, LOCATION="", SERVER="", PRODUCER="""
        property      sasl.username sluice;
        property_file sasl.password %%DIR%%/secret;""")
    (server.directory / "secret").write_text(secret + "\n")
    code, said = server.test()
    assert code == 0, said
    _, dump = server.test("-T")
    assert secret not in said + dump
    server.start()
    assert server.post("/", b"x").status == 200
    server.stop()
    assert secret not in server.log()


@pytest.mark.parametrize("name", [
    "sasl.password", "ssl.key.password", "ssl.key.pem",
    "ssl.keystore.password"])
def test_a_secret_in_a_property_is_taken_with_a_warning(nginx, name):
    text = f"property {name} s3cr3t-9f2c;"
    server = nginx(CONF, PRODUCER=text, LOCATION="", SERVER="", start=False)
    code, said = server.test()
    assert code == 0, said
    warned, = [line for line in said.splitlines() if "[warn]" in line]
    assert name in warned and "property_file" in warned
    assert_line(server, warned, text)
    assert "s3cr3t-9f2c" not in said
    (server.directory / "secret").write_text("s3cr3t-9f2c")
    server.write(CONF, PRODUCER=f"property_file {name} %%DIR%%/secret;")
    code, said = server.test()
    assert code == 0 and "[warn]" not in said, said


def test_the_line_break_behind_a_secret_is_no_part_of_it(nginx):
    # a value librdkafka checks itself: with the line break it would refuse
    server = nginx(CONF, start=False, LOCATION="", SERVER="",
                   PRODUCER="property_file linger.ms %%DIR%%/number;")
    (server.directory / "number").write_text("7\n")
    code, said = server.test()
    assert code == 0, said
    (server.directory / "number").write_text("seven\n")
    code, said = server.test()
    server.expect(r"\[emerg\]")
    assert code != 0
    assert "linger.ms" in said


def test_configuration_is_proved_by_an_unprivileged_user_too(
        nginx, directory, open_directory):
    """The proving child drops to the worker's user; a CA file that only
    root may read is refused now, not in every worker."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to be able to drop to another user")
    nobody = pwd.getpwnam("nobody")
    group = grp.getgrgid(nobody.pw_gid).gr_name
    server = nginx(CONF, user=f"nobody {group}", start=False, LOCATION="", SERVER="",
                   PRODUCER="property security.protocol ssl;"
                   f" property ssl.ca.location {open_directory}/ca.pem;")
    # as in a clone that nobody else may read
    directory.chmod(0o700)
    certificate(open_directory, "ca", "/CN=the authority")
    (open_directory / "ca.pem").chmod(0o600)
    code, said = server.test()
    server.expect(r"\[emerg\]")
    assert code != 0
    assert "ssl.ca.location" in said or "ca.pem" in said
    (open_directory / "ca.pem").chmod(0o644)
    code, said = server.test()
    assert code == 0, said


def test_signals_and_tests_start_no_producer(nginx, topic):
    """nginx -t leaves no process and no thread behind, and is quick."""
    conf = CONF.replace("declared", topic)
    server = nginx(conf, PRODUCER="", LOCATION="", SERVER="")
    begin = time.monotonic()
    code, _ = server.test()
    assert code == 0
    assert time.monotonic() - begin < 3 * PATIENCE
    # the master has no thread but its own
    assert procs.threads(server.pid) == 1
    wait_for(lambda: server.post("/", b"x").status == 200, 5)
