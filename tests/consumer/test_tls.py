"""TLS to both sides for real, and secrets that show nowhere."""

import json
import os
import pathlib
import pwd
import re
import shutil
import types

import confluent_kafka
import psycopg2
import pytest

from tests.lib import servers, tls, web
from tests.lib.database import Database
from tests.lib.env import free_port, wait_for
from tests.lib.topics import Topics

KAFKA_SECRET = "kafka-canary-5f1e9a"
PG_SECRET = "postgres-canary-71c0de"
CANARIES = (KAFKA_SECRET, PG_SECRET)

CONFIG = {
    "group": "g", "start": "earliest", "table": "t", "create_table": True,
    "batch": {"linger": "5ms"},
    "columns": {"id": {"path": "/id", "type": "integer"}},
}


# librdkafka before 2.6.1 repeats its nonce, which Kafka 4 refuses
MECHANISM = "SCRAM-SHA-512" if (
    confluent_kafka.libversion()[1] >= 0x020601ff
    or os.environ.get("KAFKA_VERSION", "").startswith("3.")) else "PLAIN"


def certificate(directory, host):
    """A server's certificate and key for a host's name."""
    key, cert = directory / f"{host}.key", directory / f"{host}.pem"
    (directory / "names").write_text(f"subjectAltName=DNS:{host}\n")
    tls.openssl(directory, "req", "-newkey", "rsa:2048", "-nodes", "-subj",
                f"/CN={host}", "-keyout", key, "-out", "request.pem")
    tls.openssl(directory, "x509", "-req", "-in", "request.pem", "-CA",
                "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-extfile", "names", "-out", cert)
    return cert, key


@pytest.fixture(scope="module")
def secure(run_directory):
    """A broker with a listener for SASL_SSL and a PostgreSQL that
    takes the role "app" with a password over TLS alone; both as localhost."""
    home = run_directory / "tls"
    home.mkdir()
    tls.certificate(home, "ca", "/CN=ca")
    tls.certificate(home, "other", "/CN=other")
    cert, key = certificate(home, "localhost")
    made = types.SimpleNamespace(ca=home / "ca.pem", other=home / "other.pem")

    chain = home / "broker.pem"
    chain.write_text(key.read_text() + cert.read_text())
    port, controller = free_port(), free_port()
    made.broker = f"localhost:{port}"
    kafka = servers.Kafka(run_directory / "kafka-tls")
    kafka.extra += [
        f"listeners=PLAINTEXT://127.0.0.1:{kafka.port},"
        f"SASL_SSL://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
        f"advertised.listeners=PLAINTEXT://127.0.0.1:{kafka.port},"
        f"SASL_SSL://localhost:{port}",
        f"controller.quorum.voters=1@127.0.0.1:{controller}",
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,"
        "SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT",
        "ssl.keystore.type=PEM", f"ssl.keystore.location={chain}",
        "sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN",
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config="
        "org.apache.kafka.common.security.scram.ScramLoginModule required;",
        "listener.name.sasl_ssl.plain.sasl.jaas.config="
        "org.apache.kafka.common.security.plain.PlainLoginModule required "
        f'user_sluice="{KAFKA_SECRET}";',
    ]

    postgres = servers.Postgres(run_directory / "postgres-tls")
    postgres.directory.mkdir()
    hba = postgres.directory / "hba.conf"
    hba.write_text("hostssl all app 127.0.0.1/32 scram-sha-256\n"
                   "host all sluice 127.0.0.1/32 trust\n")
    server_key = postgres.directory / "server.key"
    shutil.copy(key, server_key)
    server_key.chmod(0o600)
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(server_key, user.pw_uid, user.pw_gid)
    shutil.copy(cert, postgres.directory / "server.pem")
    postgres.extra += [
        "ssl=on", f"ssl_cert_file={postgres.directory}/server.pem",
        f"ssl_key_file={server_key}", f"hba_file={hba}"]

    made.kafka, made.postgres = kafka, postgres
    try:
        kafka.start()
        postgres.start()
        kafka.tool("kafka.admin.ConfigCommand", "--bootstrap-server",
                   kafka.bootstrap, "--alter", "--entity-type", "users",
                   "--entity-name", "sluice", "--add-config",
                   f"SCRAM-SHA-512=[iterations=4096,password={KAFKA_SECRET}]")
        yield made
    finally:
        for server in (kafka, postgres):
            server.stop()
            shutil.rmtree(server.directory, ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def setting(secure, directory):
    """One test's database, topic and credentials, and the configuration of
    a daemon that may use them."""
    database, topics = Database(secure.postgres), Topics(secure.kafka)
    database.query("CREATE ROLE app LOGIN PASSWORD %s", PG_SECRET)
    database.query("GRANT CREATE ON SCHEMA public TO app")
    database.query(f'GRANT CREATE ON DATABASE "{database.name}" TO app')
    credentials = directory / "credentials"
    credentials.mkdir()
    (credentials / "kafka").write_text(KAFKA_SECRET + "\n")
    passfile = credentials / "pgpass"
    passfile.write_text(f"localhost:*:*:app:{PG_SECRET}\n")
    passfile.chmod(0o600)
    service = credentials / "pg_service.conf"
    service.write_text(
        f"[app]\nhost=localhost\nport={secure.postgres.port}\nuser=app\n"
        f"dbname={database.name}\nsslmode=verify-full\n"
        f"sslrootcert={secure.ca}\n")
    config = {
        **CONFIG, "topic": topics.create(), "postgres": "service=app",
        "kafka": {
            "bootstrap.servers": secure.broker,
            "security.protocol": "SASL_SSL",
            "ssl.ca.location": str(secure.ca),
            "sasl.mechanism": MECHANISM, "sasl.username": "sluice",
            "sasl.password": {"file": "${CREDENTIALS_DIRECTORY}/kafka"}}}
    yield types.SimpleNamespace(
        database=database, topics=topics, config=config, service=service,
        credentials=credentials, environment={
            "CREDENTIALS_DIRECTORY": str(credentials),
            "PGPASSFILE": str(passfile), "PGSERVICEFILE": str(service)})
    topics.clean()
    database.query("DROP OWNED BY app")
    database.drop()
    database._admin("DROP ROLE app")


def silent(*texts):
    for text in texts:
        for canary in CANARIES:
            assert canary not in text


def test_tls_to_both_sides_and_no_secret_shows(consumer, setting, secure):
    """A service file, a password file and a credential; the canaries are
    looked for wherever the daemon speaks."""
    daemon = consumer(setting.config, start=False, **setting.environment)
    code, said = daemon.run("--check", "--debug")
    assert code == 0, said
    silent(said, *[daemon.run(word)[1] for word in ("print-ddl", "setup")])

    daemon.start().wait_healthy()
    setting.topics.produce(setting.config["topic"],
                           ['{"id":1}', '{"id":2}', "bad"])
    database = setting.database
    wait_for(lambda: database.try_count("t") == 2, 20, "rows")
    assert set(database.query(
        "SELECT s.ssl, a.usename FROM pg_stat_ssl s JOIN pg_stat_activity a"
        " USING (pid) WHERE a.application_name LIKE 'sluice:%%'"
        " AND a.datname = current_database()")) == {(True, "app")}
    command = pathlib.Path(f"/proc/{daemon.pid}/cmdline").read_bytes()
    silent(command.decode(), daemon.log(), *[
        web.request(daemon.port, "GET", path, timeout=5).body.decode()
        for path in ("/healthz", "/metrics")])

    # what was stored is no secret either
    everything = "".join(str(database.query(f"SELECT * FROM sluice.{table}"))
                         for table in ("offsets", "batches", "dead_letters"))
    silent(everything)
    daemon.stop()
    silent(daemon.log())


def test_a_rotated_password_is_read_from_its_file(consumer, setting, secure):
    """The password changes in PostgreSQL and in the file; the next
    connection takes it, without SIGHUP."""
    file = setting.credentials / "postgres"
    database = setting.database
    conninfo = (f"host=localhost port={secure.postgres.port} user=app"
                f" dbname={database.name} sslmode=verify-full"
                f" sslrootcert={secure.ca} password=")
    file.write_text(conninfo + PG_SECRET + "\n")
    setting.config["postgres"] = {"file": str(file)}
    daemon = consumer(setting.config, **setting.environment).wait_healthy()
    setting.topics.produce(setting.config["topic"], ['{"id":1}'])
    wait_for(lambda: database.try_count("t") == 1, 20, "a row")

    database.query("ALTER ROLE app PASSWORD %s", PG_SECRET + "-new")
    terminate = ("SELECT count(pg_terminate_backend(pid))"
                 " FROM pg_stat_activity WHERE usename = 'app'")
    database.query(terminate)
    assert "password authentication failed" in daemon.wait_held()["reason"]

    # what the file holds in between is waited for too
    file.write_text(f"{PG_SECRET}-new is not a conninfo")
    daemon.wait_log("does not hold a conninfo")
    file.unlink()

    file.write_text(conninfo + PG_SECRET + "-new\n")
    setting.topics.produce(setting.config["topic"], ['{"id":2}'])
    wait_for(lambda: database.try_count("t") == 2, 20, "the next row")
    daemon.wait_healthy()

    # in the better order nothing is said of a password
    start = len(daemon.log())
    database.query("ALTER ROLE app PASSWORD %s", PG_SECRET)
    file.write_text(conninfo + PG_SECRET)
    database.query(terminate)
    setting.topics.produce(setting.config["topic"], ['{"id":3}'])
    wait_for(lambda: database.try_count("t") == 3, 20, "the last row")
    assert "password" not in daemon.log()[start:]
    silent(daemon.log())


def break_postgres_password(setting, secure):
    path = setting.credentials / "pgpass"
    path.write_text(path.read_text().replace("canary", "canary-no"))


def break_postgres_ca(setting, secure):
    text = setting.service.read_text()
    setting.service.write_text(text.replace(str(secure.ca),
                                            str(secure.other)))


def break_postgres_host(setting, secure):
    text = setting.service.read_text()
    setting.service.write_text(text.replace("host=localhost",
                                            "host=127.0.0.1"))


def break_kafka_password(setting, secure):
    (setting.credentials / "kafka").write_text("kafka-canary-wrong")


def break_kafka_ca(setting, secure):
    setting.config["kafka"]["ssl.ca.location"] = str(secure.other)


@pytest.mark.parametrize("what, words", [
    (break_postgres_password, "password authentication failed"),
    (break_postgres_ca, "certificate verify failed"),
    (break_postgres_host, "does not match host name"),
    (break_kafka_password, "uthentication"),
    (break_kafka_ca, "certificate verify failed"),
])
def test_what_is_not_trusted_is_said_without_the_secret(consumer, setting,
                                                        secure, what, words):
    what(setting, secure)
    daemon = consumer(setting.config, **setting.environment)
    daemon.wait_log(words)
    setting.topics.produce(setting.config["topic"], ['{"id":1}'])
    silent(daemon.log())
    assert "canary" not in daemon.log()
    assert setting.database.try_count("t") == 0
    daemon.stop()
    silent(daemon.log())


def test_a_password_without_tls_is_of_no_use(secure, setting):
    """The tests above mean something: there is no way round TLS."""
    with pytest.raises(psycopg2.OperationalError, match="no encryption"):
        psycopg2.connect(host="localhost", port=secure.postgres.port,
                         user="app", dbname=setting.database.name,
                         password=PG_SECRET, sslmode="disable")
    assert re.search(r"SASL_SSL", json.dumps(setting.config))
