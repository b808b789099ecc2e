"""TLS and SASL to a broker that asks for them, and secrets that stay so."""

import concurrent.futures
import pathlib
import re
import shutil
import subprocess
import time

import confluent_kafka
import pytest

from tests.lib import procs, tls
from tests.lib.env import BUILD, free_port, wait_for
from tests.lib.history import check_answers
from tests.lib.problem import assert_problem
from tests.lib.servers import Kafka
from tests.lib.topics import Topics

# three ways to the same broker; what is wrong stands in a fourth
CONF = """
    kafka_producer scram {
        brokers       127.0.0.1:%%SASL%%;
        topic         %%TOPIC%%;
        property      security.protocol sasl_ssl;
        property      sasl.mechanism SCRAM-SHA-512;
        property      sasl.username sluice;
        property_file sasl.password %%CERTS%%/scram.password;
        property      ssl.ca.location %%CERTS%%/ca.pem;
        property      debug security,broker,conf;
    }
    kafka_producer plain {
        brokers       127.0.0.1:%%SASL%%;
        topic         %%TOPIC%%;
        property      security.protocol sasl_ssl;
        property      sasl.mechanism PLAIN;
        property      sasl.username sluice;
        property_file sasl.password %%CERTS%%/plain.password;
        property_file ssl.ca.pem %%CERTS%%/ca.pem;
        property      debug security,broker,conf;
    }
    kafka_producer certificate {
        brokers       127.0.0.1:%%SSL%%;
        topic         %%TOPIC%%;
        property      security.protocol ssl;
        property      ssl.ca.location %%CERTS%%/ca.pem;
        property_file ssl.certificate.pem %%CERTS%%/client.pem;
        property_file ssl.key.pem %%CERTS%%/client.key;
        property_file ssl.key.password %%CERTS%%/key.password;
        property      debug security,broker,conf;
    }
    kafka_producer wrong {
        brokers       127.0.0.1:%%SASL%%;
        timeout       2s;
        topic         %%TOPIC%%;
        property      security.protocol sasl_ssl;
        property      sasl.mechanism SCRAM-SHA-512;
        property      sasl.username sluice;
        property_file sasl.password %%CERTS%%/wrong.password;
        property      ssl.ca.location %%CERTS%%/ca.pem;
        property      debug all;
    }
    kafka_producer stranger {
        brokers       127.0.0.1:%%SSL%%;
        timeout       2s;
        topic         %%TOPIC%%;
        property      security.protocol ssl;
        property      ssl.ca.location %%CERTS%%/other.pem;
    }
    server {
        listen 127.0.0.1:%%PORT%%;
        kafka_topic %%TOPIC%%;
        location = /scram       { kafka_pass scram; }
        location = /plain       { kafka_pass plain; }
        location = /certificate { kafka_pass certificate; }
        location = /wrong       { kafka_pass wrong; }
        location = /stranger    { kafka_pass stranger; }
        location = /status      { kafka_status json; }
        location = /ready       { kafka_ready; }
    }
"""

PASSWORDS = {"scram": "canary-scram-4b1d", "plain": "canary-plain-7e2a",
             "wrong": "canary-wrong-90cf", "key": "canary-key-3d58"}


def certificate(directory, name, *key):
    tls.openssl(directory, "req", "-newkey", "rsa:2048", *key, "-subj",
            f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1",
            "-keyout", f"{name}.key", "-out", f"{name}.csr")
    tls.openssl(directory, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem",
            "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-copy_extensions", "copy", "-out", f"{name}.pem")


@pytest.fixture(scope="module")
def certs(run_directory):
    directory = run_directory / "certs"
    directory.mkdir()
    tls.certificate(directory, "ca", "/CN=ca")
    tls.certificate(directory, "other", "/CN=other")
    certificate(directory, "broker", "-nodes")
    certificate(directory, "client", "-passout", f"pass:{PASSWORDS['key']}")
    tls.openssl(directory, "pkcs12", "-export", "-in", "broker.pem", "-inkey",
            "broker.key", "-passout", "pass:broker", "-out", "broker.p12")
    for name, password in PASSWORDS.items():
        (directory / f"{name}.password").write_text(password + "\n")
    yield directory
    shutil.rmtree(directory)


def version():
    """Kafka 4 takes no SCRAM from librdkafka before 2.6.1."""
    installed = subprocess.run(["pkg-config", "--modversion", "rdkafka"],
                               check=True, stdout=subprocess.PIPE, text=True)
    numbers = tuple(map(int, installed.stdout.split(".")[:3]))
    return {} if numbers >= (2, 6, 1) else {"KAFKA_VERSION": "3.9.2"}


@pytest.fixture(scope="module")
def secure_kafka(certs, run_directory):
    """With a plain listener for the test, and two that ask who is there."""
    plain, sasl, ssl, controller = (free_port() for _ in range(4))
    module = "org.apache.kafka.common.security"
    listeners = (f"PLAINTEXT://127.0.0.1:{plain},"
                 f"SASL_SSL://127.0.0.1:{sasl},SSL://127.0.0.1:{ssl}")
    made = Kafka(run_directory / "kafka-secure", [
        f"listeners={listeners},CONTROLLER://127.0.0.1:{controller}",
        f"advertised.listeners={listeners}",
        "listener.security.protocol.map=CONTROLLER:PLAINTEXT,"
        "PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL",
        f"controller.quorum.voters=1@127.0.0.1:{controller}",
        f"ssl.keystore.location={certs}/broker.p12",
        "ssl.keystore.type=PKCS12", "ssl.keystore.password=broker",
        f"ssl.truststore.location={certs}/ca.pem", "ssl.truststore.type=PEM",
        "listener.name.ssl.ssl.client.auth=required",
        "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512",
        f"listener.name.sasl_ssl.plain.sasl.jaas.config={module}.plain."
        "PlainLoginModule required username=\"x\" password=\"x\""
        f" user_sluice=\"{PASSWORDS['plain']}\";",
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config="
        f"{module}.scram.ScramLoginModule required;",
    ], plain, **version())
    made.sasl, made.ssl = sasl, ssl
    try:
        made.start()
        made.tool("kafka.admin.ConfigCommand", "--bootstrap-server",
                  made.bootstrap, "--alter", "--entity-type", "users",
                  "--entity-name", "sluice", "--add-config",
                  f"SCRAM-SHA-512=[password={PASSWORDS['scram']}]")
        yield made
    finally:
        made.stop()
        shutil.rmtree(made.directory, ignore_errors=True)


def test_tls_and_sasl_and_no_secret_shows(nginx, certs, secure_kafka):
    topics = Topics(secure_kafka)
    name = topics.create()
    server = nginx(CONF, TOPIC=name, CERTS=certs, SASL=secure_kafka.sasl,
                   SSL=secure_kafka.ssl)
    for way in ("scram", "plain", "certificate"):
        wait_for(lambda way=way: server.post(f"/{way}", way.encode()).status
                 == 200, 20, way)
    values = {record.value for record in topics.records(name)}
    assert values == {b"scram", b"plain", b"certificate"}

    # who has the wrong password, or trusts another authority, gets nothing
    # kept and is told so
    for way in ("wrong", "stranger"):
        assert_problem(server.post(f"/{way}", b"never"), 503, "no")
    # neither is lost among what "debug" tells
    wait_for(lambda: re.search("SASL authentication error|_AUTHENTICATION",
                               server.log()), 5, "the wrong password")
    wait_for(lambda: re.search("certificate verify failed|_SSL", server.log()),
             5, "the other authority")
    assert topics.count(name) >= 3
    assert b"never" not in {r.value for r in topics.records(name)}

    # the three others go on beside those two
    for way in ("scram", "plain", "certificate"):
        assert server.post(f"/{way}", b"again").status == 200

    code, dump = server.test("-T")
    assert code == 0, dump
    # each line with SCRAM is warned of where librdkafka is too old for Kafka 4
    assert dump.count("cannot authenticate by SCRAM-SHA-512 to Kafka 4") \
        == (2 if version() else 0)
    said = (dump + server.log() + server.get("/status").body.decode()
            + server.get("/ready").body.decode())
    key = (pathlib.Path(certs) / "client.key").read_text().splitlines()
    for secret in [*PASSWORDS.values(), key[1], key[len(key) // 2]]:
        assert secret not in said
    topics.clean()


def test_a_secret_that_is_replaced_is_taken_by_a_reload(nginx, certs,
                                                        secure_kafka):
    topics = Topics(secure_kafka)
    name = topics.create()
    file = certs / "wrong.password"
    server = nginx(CONF, TOPIC=name, CERTS=certs, SASL=secure_kafka.sasl,
                   SSL=secure_kafka.ssl)
    assert_problem(server.post("/wrong", b"x"), 503, "no")
    try:
        file.write_text(PASSWORDS["scram"])
        server.reload(wait_old=10)
        wait_for(lambda: server.post("/wrong", b"right").status == 200, 20,
                 "the new password")
    finally:
        file.write_text(PASSWORDS["wrong"])
    assert b"right" in {record.value for record in topics.records(name)}
    topics.clean()


SUCCESSOR = """
    kafka_producer main {
        brokers       127.0.0.1:%%SASL%%;
        timeout       2s;
        topic         %%TOPIC%%;
        property      security.protocol sasl_ssl;
        property      sasl.mechanism PLAIN;
        property      sasl.username sluice;
        property_file sasl.password %%CERTS%%/plain.password;
        property      ssl.ca.location %%DIR%%/many.pem;
    }
    server {
        listen 127.0.0.1:%%PORT%%;
        location = /     { kafka_pass main; kafka_topic %%TOPIC%%; }
        location = /live { kafka_live; }
        location = /status { kafka_status json; }
    }
"""


def longest_stall(server, until):
    """Seconds that the worker took to answer at worst."""
    longest = 0
    while not until():
        begin = time.monotonic()
        assert server.get("/live").status == 200
        longest = max(longest, time.monotonic() - begin)
    return longest


@pytest.fixture
def with_authorities(nginx, certs, secure_kafka, directory):
    """A server with ten times the system's authorities, and the seconds that
    reading them takes."""
    system = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
    if not system.exists():
        pytest.skip("the system has no bundle of authorities")
    topics = Topics(secure_kafka)
    server = nginx(SUCCESSOR, start=False, TOPIC=topics.create(), CERTS=certs,
                   SASL=secure_kafka.sasl,
                   preload=[BUILD / "test" / "faults.so"],
                   env={"SLUICE_FATAL": str(directory / "fatal")})
    server.fatal = directory / "fatal"
    bundle = server.directory / "many.pem"
    bundle.write_bytes((certs / "ca.pem").read_bytes()
                       + system.read_bytes() * 10)
    server.start()
    wait_for(lambda: server.post("/", b"x").status == 200, 20, "it serves")
    begin = time.monotonic()
    confluent_kafka.Producer({"security.protocol": "ssl", "log_level": 0,
                              "ssl.ca.location": str(bundle)})
    server.reading = time.monotonic() - begin
    yield server
    topics.clean()


def test_a_successor_reads_its_authorities_beside_the_loop(with_authorities,
                                                           secure_kafka):
    server = with_authorities

    def threads():
        return procs.threads(server.worker())

    secure_kafka.pause()
    try:
        before = threads()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            post = pool.submit(server.post, "/", b"y")
            stall = longest_stall(server, lambda: threads() > before + 2
                                  or post.done())
            assert not post.done(), "there was no successor"
            stall = max(stall, longest_stall(server, post.done))
    finally:
        secure_kafka.resume()
    assert stall < server.reading / 2, (stall, server.reading)
    wait_for(lambda: server.post("/", b"z").status == 200, 20, "it serves")


def test_a_client_that_fails_is_followed_beside_the_loop(with_authorities,
                                                         load):
    """What comes meanwhile waits for the next client."""
    server = with_authorities
    one = load(server.port, "/", connections=4, rate=100)
    one.wait_ok(50)
    server.fatal.touch()
    wait_for(lambda: not server.fatal.exists(), 10, "it has failed")
    begin = time.monotonic()
    stall = longest_stall(server, lambda: time.monotonic()
                          > begin + 3 * server.reading)
    one.wait_ok(50)
    events = one.stop()
    check_answers(events)
    assert stall < server.reading / 2, (stall, server.reading)
    rebuilt = server.get("/status").json["producers"][0]["rebuilds"]
    assert rebuilt["fatal"] == 1
    # one turn of the loop lies between the failure and what is told of it
    failed = [event for event in events if event.outcome != "ok"]
    assert len(failed) <= 8, failed
    assert not [event for event in failed if event.start > begin + 0.5]
