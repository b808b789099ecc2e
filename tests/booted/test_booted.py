"""The Debian packages in a Debian that has booted, with systemd as its init:
make check-compat T=booted.  SLUICE_BOOTED names the suite."""

import json
import os
import re
import subprocess

import pytest

from tests.lib.daemon import Daemon
from tests.lib.env import ROOT, free_port, wait_for
from tests.lib.history import check_answers, check_order, check_stored
from tests.lib.machine import MADE, Machine

SUITE = os.environ.get("SLUICE_BOOTED", "")
PACKAGES = MADE / "deb" / SUITE
UNIT = "sluice-consumer@order.service"
MODULE = "/usr/lib/nginx/modules/ngx_http_kafka_module.so"
PROGRAM = "/usr/sbin/sluice-consumer"

NGINX = """
user www-data;
worker_processes 2;
pid /run/nginx.pid;
error_log /var/log/nginx/error.log;
include /etc/nginx/modules-enabled/*.conf;
events {}
http {
    access_log off;
    kafka_producer main {
        brokers %(kafka)s;
        topic   %(topic)s;
    }
    server {
        listen 127.0.0.1:%(port)d;
        location = / {
            kafka_pass  main;
            kafka_topic %(topic)s;
            kafka_key   $arg_key;
        }
        location = /status { kafka_status json; }
    }
}
"""


class Site:
    """A machine with both packages, one daemon "order" and nginx."""

    def __init__(self, machine, directory, kafka, topics, database):
        self.machine = machine
        self.kafka = kafka
        self.database = database
        self.directory = directory
        self.topic = topics.create(partitions=4)
        self.port = free_port()
        # only writes the configuration, which the machine then reads
        self.daemon = Daemon(directory, {
            "topic": self.topic, "group": "g", "start": "earliest",
            "table": "t", "create_table": True,
            "columns": {
                "id": {"path": "/id", "type": "text"},
                "body": {"path": "", "type": "text"},
                "part": {"meta": "partition", "type": "integer"},
                "off": {"meta": "offset", "type": "bigint"}},
        }, kafka, database.conninfo)

    def install(self, version=""):
        """By apt, which proves what the packages depend on."""
        files = [self.machine.copy(self.package(name, version))
                 for name in ("libnginx-mod-http-kafka", "sluice-consumer")]
        if not version:
            self.machine.run("apt-get", "update", "-q")
        self.machine.run("apt-get", "install", "-y", "-q",
                         "--no-install-recommends", *files)

    def package(self, name, version):
        """The package that was built, or the same as another version."""
        package, = PACKAGES.glob(f"{name}_*.deb")
        if not version:
            return package
        tree = self.directory / name
        made = self.directory / f"{name}_{version}.deb"
        subprocess.run(["dpkg-deb", "-R", package, tree], check=True)
        control = tree / "DEBIAN" / "control"
        control.write_text(re.sub(r"^Version: .*", f"Version: {version}",
                                  control.read_text(), flags=re.M))
        subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, made],
                       check=True, stdout=subprocess.DEVNULL)
        return made

    def configure(self):
        self.machine.write("/etc/nginx/nginx.conf", NGINX % {
            "kafka": self.kafka.bootstrap, "topic": self.topic,
            "port": self.port})
        self.machine.write("/etc/sluice/consumers/order.json",
                           self.daemon.file.read_text())
        self.machine.run("mkdir", "-p", "/etc/sluice/credentials/order")
        self.machine.run("systemctl", "restart", "nginx")

    def start(self):
        self.configure()
        # as docs/how-to/run-as-a-service.md says
        self.machine.run("systemctl", "enable", "--now",
                         "sluice-consumer@order")
        return self

    def main(self):
        return self.machine.show(UNIT, "MainPID")

    def new_program(self):
        """The daemon runs the file that is installed."""
        return self.machine.run(
            "stat", "-L", "-c", "%d:%i", f"/proc/{self.main()}/exe") \
            == self.machine.run("stat", "-c", "%d:%i", PROGRAM)

    def new_module(self):
        """All of nginx's workers have loaded the module installed."""
        workers = self.machine.run("pgrep", "-f", "nginx: worker").split()
        maps = [self.machine.run("cat", f"/proc/{pid}/maps")
                for pid in workers]
        return bool(maps) and all(MODULE in text
                                  and f"{MODULE} (deleted)" not in text
                                  for text in maps)

    def rows(self):
        return self.database.query("SELECT id, body FROM t")

    def check(self, *loads):
        """Nothing but 2xx, and each a row once."""
        events = [event for one in loads for event in one.stop()
                  # nginx closed the connection as idle, nothing was read
                  if event.status]
        assert not any(one.refused for one in loads)
        check_answers(events, only=("ok",))
        check_order(events)
        wait_for(lambda: self.database.try_count("t") >= len(events), 60,
                 f"{len(events)} rows", pause=0.2)
        check_stored(events, ((ident, body.encode())
                              for ident, body in self.rows()))
        self.daemon.verify()
        return len(events)


@pytest.fixture
def machine(directory):
    made = Machine(SUITE, directory / "machine")
    try:
        yield made.boot()
    finally:
        made.stop()


@pytest.fixture
def site(machine, directory, kafka, topics, database):
    made = Site(machine, directory, kafka, topics, database)
    made.install()
    return made


def posted(site, load, number=30):
    """So many records, each a row once."""
    one = load(site.port, "/", connections=2, rate=50)
    one.wait_ok(number)
    return one


def test_what_is_enabled_runs_after_a_reboot(site, load):
    machine = site.machine
    assert machine.active("sluice-consumer.target") == "active"
    site.start()
    before = posted(site, load)
    before.stop()
    machine.reboot()
    assert machine.active(UNIT) == "active"
    assert machine.active("nginx") == "active"
    site.check(before, posted(site, load))
    # the secrets' folder, and the target as a switch of all
    assert machine.run("stat", "-c", "%a",
                       "/etc/sluice/credentials").strip() == "700"
    machine.run("systemctl", "stop", "sluice-consumer.target")
    # the target is stopped while the daemon stores what is in memory
    wait_for(lambda: machine.active(UNIT) == "inactive", 30, "it has ended")
    machine.run("systemctl", "start", "sluice-consumer.target")
    wait_for(lambda: machine.active(UNIT) == "active", 30, "it runs again")
    # one that nobody enabled stays off
    machine.run("systemctl", "disable", "--now", "sluice-consumer@order")
    machine.reboot()
    assert machine.active(UNIT) == "inactive"
    assert machine.active("sluice-consumer.target") == "active"


def test_an_upgrade_under_load_answers_all_and_stores_each_once(site, load):
    machine = site.start().machine
    kept = load(site.port, "/", connections=4, keys=20, rate=200)
    fresh = load(site.port, "/", connections=2, keys=20, keepalive=False,
                 rate=50)
    fresh.wait_ok(40)
    old = site.main()
    site.install("0.1.0+next")
    assert machine.active(UNIT) == "active"
    assert machine.active("nginx") == "active"
    assert site.main() != old
    assert site.new_program()
    wait_for(site.new_module, 60, "all workers have the new module")
    fresh.wait_ok(40)
    # systemd knows the new master and the new daemon: it can reload both
    pid = site.main()
    machine.run("systemctl", "reload", "nginx", "sluice-consumer@order")
    fresh.wait_ok(40)
    assert site.main() == pid and site.new_program()
    machine.run("systemctl", "restart", "sluice-consumer.target")
    fresh.wait_ok(40)
    assert machine.active(UNIT) == "active"
    assert site.check(kept, fresh) > 160


def test_an_upgrade_leaves_a_stopped_daemon_alone(site):
    machine = site.start().machine
    machine.run("systemctl", "stop", "sluice-consumer@order")
    site.install("0.1.0+next")
    assert machine.active(UNIT) == "inactive"
    assert machine.active("sluice-consumer.target") == "active"


def test_nginx_has_time_to_drain(site, load, own_kafka):
    """As soon as the package is there.  Its broker stands still for longer
    than the 5 s that Debian's unit gives, and the request gets its 200."""
    machine = site.machine
    assert machine.show("nginx", "TimeoutStopUSec") == "1min 30s"
    site.kafka = own_kafka
    site.configure()
    machine.run("sed", "-i", "s/topic   .*;/topic %s create;/" % site.topic,
                "/etc/nginx/nginx.conf")
    machine.run("sed", "-i", "s/brokers .*;/& timeout 30s;/",
                "/etc/nginx/nginx.conf")
    machine.run("systemctl", "restart", "nginx")
    one = load(site.port, "/", connections=1)
    one.wait_ok(1, timeout=60)
    own_kafka.pause()
    stopping = subprocess.Popen(
        ["nsenter", "--target", str(machine.init), "--all", "systemctl",
         "stop", "nginx"])
    with pytest.raises(subprocess.TimeoutExpired):
        stopping.wait(timeout=12)
    own_kafka.resume()
    stopping.wait(timeout=60)
    check_answers([event for event in one.stop() if event.status],
                  only=("ok",))


def test_a_port_in_use_is_waited_for_and_a_wrong_file_is_told(site):
    machine = site.machine
    site.configure()
    port = site.daemon.port
    taken = subprocess.Popen(
        ["/usr/bin/python3", "-m", "http.server", "--bind", "127.0.0.1",
         str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: subprocess.run(
            ["bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{port}"],
            stderr=subprocess.DEVNULL, check=False).returncode == 0, 20)
        machine.run("systemctl", "--no-block", "start",
                    "sluice-consumer@order")
        # more than systemd's own limit of 5 starts in 10 s
        wait_for(lambda: int(machine.show(UNIT, "NRestarts")) >= 7, 60,
                 "it is started again and again", pause=0.3)
    finally:
        taken.kill()
        taken.wait()
    wait_for(lambda: machine.active(UNIT) == "active", 30, "it runs")
    machine.run("systemctl", "stop", "sluice-consumer@order")
    machine.write("/etc/sluice/consumers/order.json", "{")
    machine.run("systemctl", "start", "sluice-consumer@order", check=False)
    wait_for(lambda: machine.active(UNIT) == "failed", 30, "it has failed")
    assert machine.show(UNIT, "NRestarts") == "0"
    assert machine.show(UNIT, "ExecMainStatus") == "78"
    assert "order.json:1:2" in machine.run("journalctl", "-u", UNIT)


def test_a_daemon_that_is_killed_comes_back(site, load):
    machine = site.start().machine
    one = posted(site, load)
    for _ in range(7):
        old = site.main()
        machine.run("kill", "-KILL", old)
        wait_for(lambda: site.main() not in ("0", old)
                 and machine.active(UNIT) == "active", 30, "another runs")
    one.wait_ok(20)
    site.check(one)


def test_remove_stops_and_purge_leaves_nothing_that_starts(site):
    machine = site.start().machine
    names = ("sluice-consumer", "libnginx-mod-http-kafka")
    machine.write("/etc/nginx/nginx.conf",
                  "include /etc/nginx/modules-enabled/*.conf; events {}\n")
    machine.run("apt-get", "remove", "-y", "-q", *names)
    assert machine.active(UNIT) in ("inactive", "failed")
    assert not machine.run("pgrep", "-f", PROGRAM, check=False)
    assert machine.active("nginx") == "active"
    machine.run("systemctl", "reload", "nginx")
    # the configuration stays, and serves again
    site.install()
    assert (machine.root / "etc/sluice/consumers/order.json").exists()
    machine.run("apt-get", "purge", "-y", "-q", *names)
    left = machine.run("find", "/etc/systemd", "/usr/lib/systemd", "/var/lib",
                       "/usr/share/sluice", "/etc/nginx", "-name", "*sluice*",
                       check=False)
    assert not [line for line in left.splitlines()
                if "No such file" not in line and "apt/" not in line], left
    machine.reboot()
    assert machine.active("nginx") == "active"


def test_the_example_and_what_a_client_needs_are_where_they_lie(site):
    machine = site.machine
    said = machine.run(
        "nginx", "-t", "-c",
        "/usr/share/doc/libnginx-mod-http-kafka/nginx.conf.example")
    assert "test is successful" in said
    for name in ("openapi.yaml", "openapi-formats.yaml",
                 "sluice-consumer.schema.json", "status.html"):
        assert (machine.root / "usr/share/sluice" / name).exists(), name
    json.loads((machine.root / "usr/share/sluice"
                / "sluice-consumer.schema.json").read_text())


def test_the_packages_own_tests(machine, directory, kafka, topics, database):
    """debian/tests, which autopkgtest runs."""
    site = Site(machine, directory, kafka, topics, database)
    site.install()
    for name in ("daemon", "module"):
        test = machine.copy(ROOT / "packaging/debian/tests" / name)
        machine.run("env", "AUTOPKGTEST_TMP=/tmp", test)
