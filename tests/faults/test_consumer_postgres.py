"""PostgreSQL fails in ways a single server does not show by itself: a lost
reply, another primary, an older one, a full disk, a pooler between."""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from tests.lib import procs
from tests.lib.env import TEST_CONSUMER, free_port, loops, tail, wait_for
from tests.lib.history import check_coverage
from tests.lib.numbered import CONFIG, SHORT_SESSION, Sender, check, value
from tests.lib.servers import Postgres
from tests.lib.standby import One

class Swallower(threading.Thread):
    """Passes bytes on between a client and PostgreSQL, until it has seen a
    string that commits so many times: the client gets no answer to that."""

    def __init__(self, port, text, count):
        super().__init__(daemon=True)
        self.target, self.text, self.left = port, text.encode(), count
        self.swallowed = b""
        self.release = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target))
            silent = threading.Event()
            threading.Thread(target=self._pass, daemon=True,
                             args=(client, server, silent, True)).start()
            threading.Thread(target=self._pass, daemon=True,
                             args=(server, client, silent, False)).start()

    def _pass(self, source, sink, silent, to_server):
        try:
            while data := source.recv(65536):
                if to_server and self.text in data and b"COMMIT" in data:
                    self.left -= 1
                    if self.left == 0:
                        silent.set()
                if silent.is_set() and not to_server:
                    # it is done, and nobody hears of it
                    self.swallowed += data
                    if b"COMMIT" not in self.swallowed:
                        continue
                    self.release.wait(60)
                    break
                sink.sendall(data)
        except OSError:
            pass
        for one in (source, sink):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass        # the other way was faster

    def close(self):
        self.listener.close()


@pytest.fixture
def swallower(database):
    """Of the so manieth string that holds the text; and what to connect
    to."""
    made = []

    def make(text, count):
        between = Swallower(database.postgres.port, text, count)
        made.append(between)
        between.start()
        return between, database.conninfo.replace(
            f"port={database.postgres.port}", f"port={between.port}")

    yield make
    for between in made:
        between.release.set()
        between.close()


ADVANCE = "UPDATE sluice.offsets SET next_offset"


@pytest.mark.parametrize("commits", [1, 3])
@pytest.mark.parametrize("end", ["told", "killed"])
def test_the_reply_to_commit_is_lost(swallower, consumer, topics, database,
                                     commits, end):
    """The rows are there, and the daemon does not know."""
    topic = topics.create(partitions=2)
    between, conninfo = swallower(ADVANCE, commits)
    # small batches: more than one COMMIT
    daemon = consumer({**CONFIG, "topic": topic, "batch": {"rows": 50},
                       "kafka": SHORT_SESSION}, conninfo=conninfo)
    topics.produce(topic, [value(n) for n in range(1000)])
    wait_for(lambda: b"COMMIT" in between.swallowed, 30,
             "a reply is swallowed")
    known = daemon.metric("sluice_consumer_rows_total")
    assert daemon.metric("sluice_consumer_batches_total") == commits - 1
    assert known < database.try_count("t") <= 50 * commits
    if end == "killed":
        daemon.kill()
    between.release.set()
    if end == "killed":
        daemon.start()
    check(database, topic, 1000)


@pytest.mark.parametrize("text", ["CREATE TABLE IF NOT EXISTS sluice.batches",
                                  "WITH claimed AS"])
def test_the_reply_to_the_schema_or_a_claim_is_lost(
        swallower, consumer, topics, database, text):
    topic = topics.create(partitions=2)
    between, conninfo = swallower(text, 1)
    consumer({**CONFIG, "topic": topic}, conninfo=conninfo)
    topics.produce(topic, [value(n) for n in range(1000)])
    wait_for(lambda: b"COMMIT" in between.swallowed, 30,
             "a reply is swallowed")
    assert database.try_count("t") == 0
    between.release.set()
    check(database, topic, 1000)


@pytest.fixture
def lazy_postgres(own_postgres, own_database):
    """Writes its log late, unless a commit waits for that."""
    settings = {"wal_writer_delay": "10s", "wal_writer_flush_after": "1GB",
                "bgwriter_lru_maxpages": "0"}
    for name, to in settings.items():
        own_database.query(f"ALTER SYSTEM SET {name} = '{to}'")
    own_database.query("SELECT pg_reload_conf()")
    yield own_postgres
    own_database.query("ALTER SYSTEM RESET ALL")
    own_database.query("SELECT pg_reload_conf()")


@pytest.mark.parametrize("commit", ["on", "off"])
@pytest.mark.parametrize("how", ["SIGQUIT", "SIGKILL"])
def test_a_crash_of_postgres_loses_and_doubles_nothing(
        lazy_postgres, own_database, consumer, topics, commit, how):
    """With synchronous_commit off the server forgets what it said last."""
    topic = topics.create(partitions=2)
    own_database.query(f'ALTER DATABASE "{own_database.name}"'
                       f" SET synchronous_commit = {commit}")
    daemon = consumer({**CONFIG, "topic": topic, "batch": {"rows": 20}},
                      conninfo=own_database.conninfo)
    sender = Sender(topics, topic)
    sender.start()
    forgotten = []
    for _ in range(loops(2, 20)):
        before = own_database.try_count("t")
        wait_for(lambda b=before: own_database.try_count("t") > b + 200, 30,
                 "rows")
        daemon.pause()
        before = own_database.try_count("t")
        # to the postmaster: with SIGQUIT all backends go at once
        pid = lazy_postgres.pid
        os.kill(pid, getattr(signal, how))
        wait_for(lambda p=pid: not procs.alive(p), 20, "it has stopped")
        lazy_postgres.start()
        forgotten.append(before - own_database.try_count("t"))
        daemon.resume()
    if commit == "on":
        assert max(forgotten) <= 0
    else:
        assert max(forgotten) > 0
    check(own_database, topic, sender.end())


def test_a_deadlock_is_retried(consumer, topics, database):
    """The daemon is the one that PostgreSQL chooses."""
    database.query("CREATE TABLE t (n integer, body bytea, part integer,"
                   " off bigint)")
    topic = topics.create()
    config = {**CONFIG, "topic": topic,
              "batch": {"rows": 100, "linger": "60s"}}
    daemon = consumer(config, program=TEST_CONSUMER,
                      SLUICE_TEST_STOP="after-copy:2")
    topics.produce(topic, [value(n) for n in range(100)])
    wait_for(lambda: database.try_count("t") == 100, 30, "rows")
    topics.produce(topic, [value(n) for n in range(100, 200)])
    wait_for(lambda: procs.stopped(daemon.pid), 30, "it has copied")
    other = database.begin()
    with other.cursor() as cursor:
        cursor.execute("SELECT 1 FROM sluice.offsets FOR UPDATE")
        asking = threading.Thread(target=cursor.execute, daemon=True, args=(
            "LOCK TABLE t IN ACCESS EXCLUSIVE MODE",))
        asking.start()
        wait_for(lambda: database.value(
            "SELECT count(*) FROM pg_locks WHERE NOT granted"), 20,
            "the other waits")
        # past its own look for deadlocks
        end = time.monotonic() + 1.5
        wait_for(lambda: time.monotonic() > end, 5)
        daemon.resume()
        daemon.wait_log("40P01|deadlock", 30)
        asking.join(30)
        other.rollback()
    other.close()
    check(database, topic, 200)


def own(data):
    """As PostgreSQL's user has it, where the test is run by root."""
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", "postgres", data], check=True)


def test_a_restore_to_an_earlier_time_heals(directory, consumer, topics):
    """A cold copy put back: the offsets in it say where to go on."""
    server = Postgres(directory / "postgres-restored").start()
    topic = topics.create(partitions=2)
    conninfo = server.conninfo()
    try:
        consumer({**CONFIG, "topic": topic}, conninfo=conninfo)
        topics.produce(topic, [value(n) for n in range(500)])
        database = One(server)
        wait_for(lambda: database.try_count("t") == 500, 60, "rows")
        database.close()
        server.stop()
        data = server.directory / "data"
        shutil.copytree(data, directory / "copy", symlinks=True)
        server.start()
        topics.produce(topic, [value(n) for n in range(500, 1000)])
        database = One(server)
        wait_for(lambda: database.try_count("t") == 1000, 60, "more rows")
        database.close()
        server.stop()
        shutil.rmtree(data)
        shutil.copytree(directory / "copy", data, symlinks=True)
        own(data)
        data.chmod(0o700)
        server.start()
        topics.produce(topic, [value(n) for n in range(1000, 1200)])
        database = One(server)
        check(database, topic, 1200)
        database.close()
    finally:
        server.stop()


@pytest.fixture
def small_disk(directory):
    place = directory / "small"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m,mode=0777",
                           "tmpfs", place], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {made.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_full_disk_is_waited_for(small_disk, consumer, topics, database):
    """Row 21: of the table's own tablespace."""
    space = small_disk / "space"
    space.mkdir()
    own(space)
    name = f"small_{database.name}"
    database.query(f"CREATE TABLESPACE {name} LOCATION '{space}'")
    database.query(f"CREATE TABLE t (n integer, body bytea, part integer,"
                   f" off bigint) TABLESPACE {name}")
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic})

    def wide(number):
        # hexadecimal digits that no compression halves
        return '{"n":%d,"pad":"%s"}' % (number, os.urandom(2000).hex())

    topics.produce(topic, [wide(n) for n in range(5000)])
    daemon.wait_log("53100", 60)
    assert database.try_count("t") < 5000
    subprocess.run(["mount", "-o", "remount,size=200m", small_disk],
                   check=True)
    wait_for(lambda: database.try_count("t") == 5000, 60, "all rows")
    assert database.value("SELECT count(DISTINCT n) FROM t") == 5000
    assert database.value("SELECT count(*) FROM sluice.dead_letters") == 0
    daemon.verify()
    daemon.stop()
    database.query("DROP TABLE t")
    database.query(f"DROP TABLESPACE {name}")


@pytest.fixture
def pooler(directory, database):
    """pgbouncer in transaction pooling with two server connections."""
    port = free_port()
    place = directory / "pgbouncer"
    place.mkdir(mode=0o777)
    place.chmod(0o777)
    (place / "users").write_text('"sluice" ""\n')
    (place / "ini").write_text(
        "[databases]\n"
        f"* = host=127.0.0.1 port={database.postgres.port}\n"
        "[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\n"
        "unix_socket_dir =\nauth_type = trust\n"
        f"auth_file = {place}/users\npool_mode = transaction\n"
        "default_pool_size = 2\nserver_reset_query_always = 1\n"
        "server_reset_query = DISCARD ALL\n"
        "ignore_startup_parameters = extra_float_digits\n")
    for file in ("users", "ini"):
        (place / file).chmod(0o644)
    command = ["pgbouncer", str(place / "ini")]
    if os.geteuid() == 0:
        command = ["setpriv", "--reuid", "postgres", "--clear-groups",
                   "--inh-caps", "+dac_read_search", "--ambient-caps",
                   "+dac_read_search", *command]
    log = open(place / "log", "wb")
    process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/")
    log.close()

    def answers():
        assert process.poll() is None, tail(place / "log")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    wait_for(answers, 20, "pgbouncer listens")
    yield port
    process.terminate()
    process.wait(20)


def test_a_pooler_that_keeps_no_session(pooler, consumer, topics, database):
    """Two daemons over two pooled connections: no session state counts."""
    topic = topics.create(partitions=2)
    conninfo = database.conninfo.replace(f"port={database.postgres.port}",
                                         f"port={pooler}")
    config = {**CONFIG, "topic": topic, "kafka": SHORT_SESSION,
              "batch": {"rows": 100}}
    first = consumer(config, conninfo=conninfo, name="first")
    consumer(config, conninfo=conninfo, name="second")
    sender = Sender(topics, topic)
    sender.start()
    for _ in range(loops(2, 20)):
        before = database.try_count("t")
        wait_for(lambda b=before: database.try_count("t") > b + 200, 30,
                 "rows")
        first.kill()
        first.start()
    check(database, topic, sender.end())


def test_upserts_over_the_pooler(pooler, consumer, topics, database):
    """The temporary table lives within one transaction."""
    topic = topics.create()
    database.query("CREATE TABLE t (k integer PRIMARY KEY, n integer)")
    conninfo = database.conninfo.replace(f"port={database.postgres.port}",
                                         f"port={pooler}")
    consumer({"topic": topic, "group": "g", "start": "earliest",
              "table": "t", "mode": "upsert", "key": ["k"],
              "batch": {"rows": 50},
              "columns": {"k": {"path": "/k"}, "n": {"path": "/n"}}},
             conninfo=conninfo)
    topics.produce(topic, ['{"k":%d,"n":%d}' % (n % 10, n)
                           for n in range(1000)])
    wait_for(lambda: database.query("SELECT k, n FROM t ORDER BY k")
             == [(k, 990 + k) for k in range(10)], 60, "the last of each")


N_OF_BODY = "(convert_from(body, 'UTF8')::json->>'n')::integer"


def test_ddl_while_rows_flow(consumer, topics, database):
    """Whatever it breaks holds, and goes on when it is mended.  Without a
    value for a new column, or with one that its type refuses, each row is at
    fault by itself, up to "hold_above"."""
    topic = topics.create(partitions=2)
    daemon = consumer({**CONFIG, "topic": topic,
                       "dead_letters": {"hold_above": 0.02}})
    sender = Sender(topics, topic, 50)
    sender.start()
    wait_for(lambda: database.try_count("t") > 100, 30, "rows")
    for breaks, said, mends in [
        ("ALTER TABLE t ADD extra integer NOT NULL DEFAULT 0;"
         "ALTER TABLE t ALTER extra DROP DEFAULT", "too many",
         "ALTER TABLE t DROP extra"),
        ("ALTER TABLE t DROP n", 'column "n"',
         f"ALTER TABLE t ADD n integer; UPDATE t SET n = {N_OF_BODY}"),
        ("ALTER TABLE t ALTER n TYPE boolean USING n > 0", "too many",
         f"ALTER TABLE t ALTER n TYPE integer USING {N_OF_BODY}"),
        ("ALTER TABLE t RENAME TO away", '"public.t"',
         "ALTER TABLE away RENAME TO t"),
        # what has come so far fits, what comes now does not
        ("ALTER TABLE t RENAME TO old;"
         "CREATE TABLE t (LIKE old) PARTITION BY RANGE (n);"
         "DO $$BEGIN EXECUTE 'ALTER TABLE t ATTACH PARTITION old FOR VALUES"
         " FROM (0) TO (' || (SELECT max(n) + 1 FROM old) || ')'; END$$",
         "no partition",
         "DO $$BEGIN EXECUTE 'CREATE TABLE new PARTITION OF t FOR VALUES"
         " FROM (' || (SELECT max(n) + 1 FROM old) || ') TO (MAXVALUE)';"
         " END$$"),
    ]:
        database.query(breaks)
        daemon.wait_held(60, said)
        database.query(mends)
        daemon.wait_healthy(60)
        before = database.try_count("t")
        wait_for(lambda b=before: database.try_count("t") > b, 30, "rows")
    count = sender.end()
    stored = """SELECT body FROM t UNION ALL
                SELECT value FROM sluice.dead_letters"""
    wait_for(lambda: len(database.query(stored)) >= count, 60, "all")
    assert sorted(bytes(row[0]).decode() for row in database.query(stored)) \
        == sorted(value(n) for n in range(count))
    assert database.value(
        f"SELECT count(*) FROM t WHERE n IS DISTINCT FROM {N_OF_BODY}") == 0
    assert database.value("SELECT count(*) FROM sluice.dead_letters") <= 40
    assert database.query("SELECT DISTINCT sqlstate FROM sluice.dead_letters"
                          " WHERE sqlstate NOT IN ('23502', '22P02')") == []
    check_coverage(database, "t", topic, "g")
