"""Fixtures: a session's servers, and what one test makes and removes."""

import os
import pathlib
import re
import shutil
import tempfile

import pytest

from tests.lib import servers
from tests.lib.daemon import Daemon
from tests.lib.database import Database
from tests.lib.env import CONSUMER, KEEP, MODULE, SCRATCH, tail
from tests.lib.history import Load
from tests.lib.nginx import Nginx
from tests.lib.topics import Topics


@pytest.fixture(scope="session")
def session_servers():
    started = servers.session_start()
    yield started
    servers.session_stop(started)


@pytest.fixture(scope="session", autouse=True)
def run_directory():
    directory = servers.run_directory()
    yield directory
    if not any(directory.iterdir()):
        directory.rmdir()


@pytest.fixture(scope="session")
def kafka(session_servers):
    return session_servers[0]


@pytest.fixture(scope="session")
def postgres(session_servers):
    return session_servers[1]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        item.failed_somewhere = True
        folder = item.funcargs.get("directory")
        for log in sorted(folder.rglob("*.log")) if folder else ():
            report.sections.append((str(log), tail(log)))


@pytest.fixture
def directory(request, run_directory):
    """The test's own folder; kept when the test fails."""
    name = re.sub(r"[^\w.-]+", "_", request.node.name)[:80]
    path = run_directory / name
    path.mkdir(exist_ok=True)
    yield path
    if not getattr(request.node, "failed_somewhere", False):
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def open_directory():
    """A folder that every user may enter, wherever the clone is."""
    with tempfile.TemporaryDirectory(prefix="sluice-", dir="/tmp") as path:
        os.chmod(path, 0o755)
        yield pathlib.Path(path)


@pytest.fixture
def topics(kafka):
    made = Topics(kafka)
    yield made
    made.clean()


@pytest.fixture
def guarded_kafka(directory):
    """A broker with an authorizer; what has no ACL is allowed."""
    broker = servers.Kafka(directory / "kafka-guarded", [
        "authorizer.class.name="
        "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found=true"])
    try:
        yield broker.start()
    finally:
        broker.stop()


@pytest.fixture
def topic(topics):
    """A fresh topic of one partition."""
    return topics.create()


@pytest.fixture
def database(postgres):
    made = Database(postgres)
    yield made
    made.drop()


@pytest.fixture
def nginx(directory, topics, kafka, request):
    """Makes nginx from the http block's content; start=False leaves the
    start to the test.  %%KAFKA%% is the session's broker."""
    made = []

    def make(http, start=True, kind=Nginx, **more):
        more.setdefault("KAFKA", kafka.bootstrap)
        name = f"nginx{len(made) or ''}"
        server = kind(directory / name, http, **more)
        made.append(server)
        return server.start() if start else server

    yield make
    _finish(made, request)


@pytest.fixture
def consumer(directory, topics, kafka, database, request):
    """Makes a daemon from its configuration; start=False leaves the start
    to the test."""
    made = []

    def make(config, start=True, broker=kafka, conninfo=database.conninfo,
             **more):
        more.setdefault("name", f"consumer{len(made) or ''}")
        daemon = Daemon(directory, config, broker, conninfo, **more)
        made.append(daemon)
        return daemon.start() if start else daemon

    yield make
    _finish(made, request)


@pytest.fixture
def proved(consumer, database):
    """Every offset is accounted for in the end."""
    yield
    for (name, *_), daemon in list(Daemon.latest.items()):
        if name == database.name and database.try_count("sluice.offsets"):
            daemon.stop()
            daemon.verify()


@pytest.fixture
def load():
    """Starts load that the test's end stops at the latest."""
    made = []

    def make(*words, kind=Load, **more):
        made.append(kind(*words, **more))
        return made[-1].start()

    yield make
    for one in made:
        one.stop()


def _finish(made, request):
    failures = []
    for one in reversed(made):
        try:
            one.finish()
        except AssertionError as failure:
            failures.append(str(failure))
    if failures:
        request.node.failed_somewhere = True
        pytest.fail("\n".join(failures), pytrace=False)


@pytest.fixture(scope="session")
def victim_kafka(run_directory):
    yield from _victim(servers.Kafka, run_directory)


@pytest.fixture(scope="session")
def victim_postgres(run_directory):
    yield from _victim(servers.Postgres, run_directory)


def _victim(kind, run_directory):
    server = kind(run_directory / f"{kind.script}-victim")
    yield server
    server.stop()
    shutil.rmtree(server.directory, ignore_errors=True)


@pytest.fixture
def own_kafka(victim_kafka):
    """A broker that the test may kill and stop; alive when it begins."""
    victim_kafka.start()
    yield victim_kafka
    if victim_kafka.alive():
        victim_kafka.resume()


@pytest.fixture
def own_postgres(victim_postgres):
    """A PostgreSQL that the test may kill; alive when it begins."""
    victim_postgres.start()
    yield victim_postgres


@pytest.fixture
def own_topics(own_kafka):
    made = Topics(own_kafka)
    yield made
    if own_kafka.alive():
        own_kafka.resume()
    made.clean()


@pytest.fixture
def own_database(own_postgres):
    made = Database(own_postgres)
    yield made
    made.drop()


def pytest_sessionstart():
    missing = [str(path) for path in (MODULE, CONSUMER) if not path.exists()]
    if missing:
        pytest.exit(f"not built: {' '.join(missing)} (make all)", 2)


def pytest_report_header():
    return (f"binaries: {os.environ.get('SLUICE_BUILD', 'build')}; "
            f"servers and logs: {pathlib.Path(SCRATCH).name}/"
            f"{'kept' if KEEP else f'run-{os.getpid()}'}")
