"""Under a service manager: sd_notify(3)'s protocol, SIGHUP, logs, root."""

import contextlib
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid

import pytest

from tests.lib import procs
from tests.lib.env import CONSUMER, SANITIZED, wait_for

CONFIG = {
    "group": "g", "start": "earliest", "table": "t", "create_table": True,
    "batch": {"linger": "5ms"},
    "columns": {"id": {"path": "/id", "type": "integer"}},
}


class Manager:
    """What a service manager hears."""

    def __init__(self, abstract=False):
        self.folder = tempfile.TemporaryDirectory()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        name = f"sluice-{uuid.uuid4().hex}"
        self.address = f"@{name}" if abstract \
            else f"{self.folder.name}/{name}"
        self.socket.bind("\0" + name if abstract else self.address)
        self.socket.setblocking(False)
        self.heard = []

    def listen(self):
        """All lines so far, with the time each was read."""
        with contextlib.suppress(BlockingIOError):
            while True:
                for line in self.socket.recv(4096).decode().splitlines():
                    self.heard.append((time.monotonic(), line))
        return self.heard

    def lines(self):
        return [line for _, line in self.listen()]

    def wait(self, pattern, timeout=30, start=0):
        wait_for(lambda: any(re.fullmatch(pattern, line)
                             for line in self.lines()[start:]), timeout,
                 f"the manager hears {pattern}")
        return len(self.heard)

    def environment(self, **more):
        return {"NOTIFY_SOCKET": self.address, **more}

    def close(self):
        self.socket.close()
        self.folder.cleanup()


@pytest.fixture
def manager():
    made = []

    def make(**more):
        made.append(Manager(**more))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize("abstract", [False, True])
def test_the_manager_is_told_what_happens(consumer, topics, database,
                                          manager, abstract):
    boss = manager(abstract=abstract)
    topic = topics.create()
    topics.produce(topic, ['{"id":1}', "bad"])
    daemon = consumer({**CONFIG, "topic": topic}, **boss.environment())
    boss.wait("READY=1")
    boss.wait("STATUS=running: 1 rows, 1 dead letters, lag 0")
    assert "WATCHDOG=1" not in boss.lines()      # nobody asked for it
    daemon.stop()
    assert "STOPPING=1" in boss.lines()
    assert "RELOADING=1" not in boss.lines()


def test_without_a_manager_or_with_a_dead_one_it_runs(consumer, topics,
                                                      database, manager):
    boss = manager()
    boss.socket.close()
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic}, **boss.environment())
    daemon.wait_healthy()
    assert "service manager" in daemon.log()
    odd = consumer({**CONFIG, "topic": topic, "group": "h"},
                   NOTIFY_SOCKET="vsock:2:1234").wait_healthy()
    assert "NOTIFY_SOCKET" in odd.log()


def signs(boss, start=0):
    return [when for when, line in boss.listen()[start:]
            if line == "WATCHDOG=1"]


def test_signs_of_life_go_on_without_postgresql(consumer, topics, manager):
    """An outage is no reason to be killed; the state says what is awaited."""
    boss = manager()
    daemon = consumer({**CONFIG, "topic": topics.create(),
                       "postgres": "host=127.0.0.1 port=1 dbname=x"},
                      **boss.environment(WATCHDOG_USEC="900000"))
    boss.wait("READY=1")
    boss.wait("STATUS=waiting for PostgreSQL: .*")
    wait_for(lambda: len(signs(boss)) > 8, 20, "signs of life")
    # nor does it keep a new configuration waiting
    start = len(boss.listen())
    daemon.process.send_signal(signal.SIGHUP)
    boss.wait("READY=1", start=start)
    assert daemon.alive()


def keep_alive(boss, status, seconds=3):
    """A manager that kills after 0.9 s without a sign has no reason to, and
    the state says what is waited for."""
    boss.wait(f"STATUS={status}")
    end = time.monotonic() + seconds
    wait_for(lambda: boss.listen() and time.monotonic() > end, seconds + 10)
    came = [when for when in signs(boss) if when > end - seconds]
    assert max(later - when for when, later in zip(
        [end - seconds, *came], [*came, end])) < 0.9


def test_signs_of_life_go_on_while_held(consumer, topics, database, manager):
    boss = manager()
    topic = topics.create()
    topics.produce(topic, ['{"id":1}'])
    daemon = consumer({**CONFIG, "topic": topic, "create_table": False},
                      **boss.environment(WATCHDOG_USEC="900000"))
    daemon.wait_held()
    keep_alive(boss, "held: .*")
    database.query("CREATE TABLE t (id integer)")
    boss.wait("STATUS=running: 1 rows, .*")
    assert daemon.alive()


def test_signs_of_life_go_on_when_postgresql_goes(
        consumer, topics, own_postgres, own_database, manager):
    boss = manager()
    topic = topics.create()
    topics.produce(topic, ['{"id":1}'])
    daemon = consumer({**CONFIG, "topic": topic},
                      conninfo=own_database.conninfo,
                      **boss.environment(WATCHDOG_USEC="900000"))
    boss.wait("STATUS=running: 1 rows, .*")
    own_postgres.stop()
    topics.produce(topic, ['{"id":2}'])
    keep_alive(boss, "waiting for PostgreSQL: .*")
    own_postgres.start()
    boss.wait("STATUS=running: 2 rows, .*")
    assert daemon.alive()


def test_signs_of_life_go_on_when_postgresql_hangs(
        consumer, topics, database, manager):
    """Its process is stopped in the middle of a batch; the query has minutes
    before it counts as one that never ends."""
    boss = manager()
    topic = topics.create()
    topics.produce(topic, ['{"id":1}'])
    daemon = consumer({**CONFIG, "topic": topic},
                      **boss.environment(WATCHDOG_USEC="900000"))
    boss.wait("STATUS=running: 1 rows, .*")
    backend = database.value(
        "SELECT pid FROM pg_stat_activity WHERE application_name LIKE"
        " 'sluice:%%' AND datname = current_database()")
    os.kill(backend, signal.SIGSTOP)
    try:
        topics.produce(topic, ['{"id":2}'])
        keep_alive(boss, "running: 1 rows, 0 dead letters, lag 1")
    finally:
        os.kill(backend, signal.SIGCONT)
    boss.wait("STATUS=running: 2 rows, .*")
    assert daemon.alive()


def test_no_sign_of_life_from_one_that_hangs(consumer, topics, database,
                                             manager):
    """SIGSTOP is the loop that hangs: the signs end; and another process'
    watchdog is none of ours."""
    boss = manager()
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic},
                      **boss.environment(WATCHDOG_USEC="900000"))
    wait_for(lambda: len(signs(boss)) > 2, 20, "signs of life")
    daemon.pause()
    boss.listen()
    begin = len(boss.heard)
    time.sleep(1)
    assert not signs(boss, begin)
    daemon.resume()
    wait_for(lambda: signs(boss, begin), 20, "it lives again")

    other = manager()
    consumer({**CONFIG, "topic": topic, "group": "h"}, **other.environment(
        WATCHDOG_USEC="300000", WATCHDOG_PID="1")).wait_healthy()
    other.wait("STATUS=running.*")
    assert not signs(other)


def rewrite(daemon, **change):
    config = json.loads(daemon.file.read_text())
    config.update(change)
    daemon.file.write_text(json.dumps(config))


def test_sighup_takes_a_new_configuration_and_loses_nothing(
        consumer, topics, database, manager):
    """Twenty records a turn while it reloads; the process stays, the table
    becomes another's."""
    boss = manager()
    topic = topics.create(partitions=2)
    daemon = consumer({**CONFIG, "topic": topic}, **boss.environment())
    daemon.wait_healthy()
    boss.wait("READY=1")
    pid, sent = daemon.pid, 0

    def send():
        nonlocal sent
        topics.produce(topic, ['{"id":%d}' % n
                               for n in range(sent, sent + 20)])
        sent += 20

    send()
    for turn in range(3):
        start = len(boss.listen())
        rewrite(daemon, batch={"linger": f"{turn + 1}ms"})
        daemon.process.send_signal(signal.SIGHUP)
        send()
        boss.wait("RELOADING=1", start=start)
        boss.wait(r"MONOTONIC_USEC=\d+", start=start)
        boss.wait("READY=1", start=start)
        send()
    wait_for(lambda: database.try_count("t") == sent, 30, "all rows")
    assert [row[0] for row in database.query("SELECT id FROM t ORDER BY 1")] \
        == list(range(sent))
    assert daemon.alive() and daemon.pid == pid
    assert "STOPPING=1" not in boss.lines()
    descriptors = procs.descriptors(pid)

    start = len(boss.listen())
    rewrite(daemon, columns={**CONFIG["columns"], "off": {
        "meta": "offset", "type": "bigint"}}, evolve="add")
    daemon.process.send_signal(signal.SIGHUP)
    boss.wait("READY=1", start=start)
    send()
    wait_for(lambda: database.try_count("t") == sent, 30, "rows after it")
    assert database.value("SELECT count(*) FROM t WHERE off IS NOT NULL") \
        == 20
    # nothing is left open from run to run
    daemon.wait_healthy()
    wait_for(lambda: procs.descriptors(pid) <= descriptors + 2, 20,
             "descriptors as before")
    daemon.stop()
    assert "STOPPING=1" in boss.lines()


def test_sighup_after_an_upgrade_runs_the_new_program(
        consumer, topics, database, directory, manager):
    """As a package's upgrade does, by a rename; and the old one again if its
    place is empty."""
    boss = manager()
    program = directory / "sluice-consumer"
    shutil.copy(CONSUMER, program)
    daemon = consumer({**CONFIG, "topic": topics.create()}, program=program,
                      **boss.environment())
    daemon.wait_healthy()

    def reload():
        start = boss.wait("READY=1")
        daemon.process.send_signal(signal.SIGHUP)
        boss.wait("READY=1", start=start)
        daemon.wait_healthy()
        return os.readlink(f"/proc/{daemon.pid}/exe")

    boss.wait("READY=1")
    shutil.copy(CONSUMER, directory / "new")
    os.rename(directory / "new", program)
    assert os.readlink(f"/proc/{daemon.pid}/exe") == f"{program} (deleted)"
    assert reload() == str(program)
    assert os.path.samefile(f"/proc/{daemon.pid}/exe", program)
    program.unlink()
    assert reload() == f"{program} (deleted)"


@pytest.mark.parametrize("text, words", [
    ("{", "consumer.json:1:"),
    (None, '"tabel", did you mean "table"'),
    ("kafka", '"kafka"'),
])
def test_sighup_refuses_what_cannot_be_used(consumer, topics, database,
                                            manager, text, words):
    boss = manager()
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic}, **boss.environment())
    daemon.wait_healthy()
    start = boss.wait("READY=1")
    old = daemon.file.read_text()
    if text == "{":
        daemon.file.write_text(text)
    elif text is None:
        rewrite(daemon, tabel="x")
    else:
        rewrite(daemon, kafka={"bootstrap.servers": "x:1",
                               "security.protocol": "ssl",
                               "ssl.ca.location": "/no/such/ca.pem"})
    daemon.process.send_signal(signal.SIGHUP)
    boss.wait("RELOADING=1", start=start)
    boss.wait("READY=1", start=start)
    daemon.wait_log("the old one stays: .*" + re.escape(words))
    topics.produce(topic, ['{"id":1}'])
    wait_for(lambda: database.try_count("t") == 1, 20, "it goes on")
    daemon.file.write_text(old)


def test_sigterm_while_it_reloads_ends_it(consumer, topics, database,
                                          manager):
    boss = manager()
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic}, **boss.environment())
    daemon.wait_healthy()
    daemon.process.send_signal(signal.SIGHUP)
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(20) == 0
    assert "STOPPING=1" in boss.lines()


def test_log_formats(consumer, topics, database, directory):
    topic = topics.create()
    daemon = consumer({**CONFIG, "topic": topic, "table": ["a\u00fc\"\\t"]},
                      start=False)

    def said(*words, **environment):
        """The lines of a run that ends when its file is gone."""
        config = json.loads(daemon.file.read_text())
        config["listen"] = "127.0.0.1:1"     # may be bound by root only
        config["tabel"] = "\u00fc\"\\\n"
        daemon.file.write_text(json.dumps(config))
        return daemon.run(*words)[1]

    line = json.loads(said("--log-format", "json"))
    assert line["level"] == "error"
    assert '"tabel", did you mean "table"' in line["message"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
                        line["time"])
    assert re.match(r"<3>/.*tabel", said("--log-format=journal"))
    assert re.match(r"\d{4}-.*Z error: .*tabel", said())
    code, text = daemon.run("--log-format", "xml")
    assert code == 2
    assert "xml" in text
    code, text = daemon.run("--debug", "--log-level", "loud")
    assert code == 2
    assert "loud" in text
    code, text = daemon.run("--debug=no")
    assert code == 2
    assert "debug" in text

    # as systemd does: the variable names the stream that it opened
    log = directory / "journal.log"
    with open(log, "wb") as stream:
        at = os.fstat(stream.fileno())
        subprocess.run(
            [CONSUMER, "--config", daemon.file, "--allow-root"],
            stderr=stream, check=False, env={
                **os.environ, "JOURNAL_STREAM": f"{at.st_dev}:{at.st_ino}"})
    assert log.read_text().startswith("<3>")


LEVELS = {"3": "error", "4": "warn", "6": "info", "7": "debug"}


@pytest.mark.parametrize("form", ["json", "journal"])
def test_every_line_of_a_running_daemon_has_the_form(consumer, topics,
                                                     database, form):
    """From debug to error, with an error's text that would break a line or
    a string."""
    topic = topics.create()
    topics.produce(topic, ['{"id":1}', "bad"])
    database.query("CREATE TABLE t (id integer)")
    database.query(
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE EXCEPTION E'a \"\u00fc\" \\\\ b\\n{c\\x01\\u009b}' USING"
        " ERRCODE = '40001'; END $$")
    database.query("CREATE TRIGGER no BEFORE INSERT ON t FOR EACH ROW"
                   " EXECUTE FUNCTION no()")
    daemon = consumer({**CONFIG, "topic": topic,
                       "kafka": {"debug": "cgrp"}}, start=False)
    daemon.start("--log-level", "debug", "--log-format", form)
    daemon.wait_log("trying again")
    database.query("ALTER TABLE t RENAME TO u")
    daemon.wait_log("holding")
    database.query("DROP TRIGGER no ON u")
    database.query("ALTER TABLE u RENAME TO t")
    wait_for(lambda: database.try_count("t") == 1, 20, "a row")
    daemon.stop()
    said = []
    for line in daemon.log().splitlines():
        if form == "json":
            found = json.loads(line)
            assert set(found) == {"time", "level", "message"}
            said.append((found["level"], found["message"]))
        else:
            number, message = re.fullmatch("<([3467])>(.+)", line).groups()
            said.append((LEVELS[number], message))
    assert {level for level, _ in said} == set(LEVELS.values())
    for level, words in (("error", "holding, nothing is skipped"),
                         ("warn", "trying again"), ("info", "going on: "),
                         ("debug", "librdkafka")):
        assert all(found == level for found, message in said
                   if message.startswith(words)), words
        assert any(message.startswith(words) for _, message in said), words
    assert any('a "\u00fc" \\ b {c???}' in message for _, message in said)


@pytest.mark.parametrize("words, told", [
    (["--debug", "--log-level", "info"], False),
    (["-d", "--log-level=info", "--debug"], True)])
def test_the_last_level_of_a_log_wins(consumer, topics, database, words,
                                      told):
    database.query("CREATE TABLE t (id integer)")
    daemon = consumer({**CONFIG, "topic": topics.create()}, start=False)
    daemon.start(*words).wait_healthy()
    daemon.stop()
    assert ("debug: daemon: " in daemon.log()) == told


def test_root_is_refused_unless_told(consumer, topics, database):
    daemon = consumer({**CONFIG, "topic": topics.create()}, start=False)
    command = [CONSUMER, "--config", daemon.file]
    if os.geteuid() != 0:
        pytest.skip("this is not root")
    done = subprocess.run(command, text=True, stderr=subprocess.PIPE,
                          timeout=30, check=False)
    assert done.returncode == 2
    assert "--allow-root" in done.stderr
    # reading only is nobody's harm
    done = subprocess.run([*command, "--check"], text=True, check=False,
                          stdout=subprocess.PIPE, timeout=60)
    assert done.returncode == 0, done.stdout


def dumps_core(pid):
    """Whether a child that aborts leaves a core where it may."""
    most = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.prlimit(pid, resource.RLIMIT_CORE, (most, most))
    os.kill(pid, signal.SIGABRT)
    _, status = os.waitpid(pid, 0)
    assert os.WTERMSIG(status) == signal.SIGABRT
    return os.WCOREDUMP(status)


@pytest.mark.skipif(SANITIZED, reason="leaks are looked for by ptrace")
def test_nothing_dumps_its_memory(consumer, topics, database, directory):
    """A crash leaves no core, though one of another program would; and its
    own user cannot read what is in memory."""
    other = subprocess.Popen(["sleep", "60"], cwd=directory)
    dumps = dumps_core(other.pid)
    other.returncode = -signal.SIGABRT
    if not dumps:
        pytest.skip("no program leaves a core here")
    daemon = consumer({**CONFIG, "topic": topics.create()}).wait_healthy()
    memory = pathlib.Path(f"/proc/{daemon.pid}/mem")
    assert memory.stat().st_uid == 0
    assert not dumps_core(daemon.pid)
    daemon.process.returncode = -signal.SIGABRT
