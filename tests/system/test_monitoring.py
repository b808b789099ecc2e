"""monitoring/: rules that fire and do not fire, dashboards that Grafana reads,
and a real Prometheus that scrapes nginx and a daemon and answers all of it."""

import json
import re
import shutil
import subprocess
import urllib.parse

import pytest
import yaml

from tests.lib import web
from tests.lib.env import ROOT, free_port, tail, wait_for
from tests.lib.stored import Way

MONITORING = ROOT / "monitoring"
RULES = MONITORING / "prometheus"
BOARDS = sorted((MONITORING / "grafana").glob("*.json"))
NAME = re.compile(r"(?<![\w:])(?:(?:job_)?topic:)?(?:sluice|process)_[\w:]+")


def said(*words, cwd=ROOT, timeout=400):
    done = subprocess.run([str(word) for word in words], cwd=cwd, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=timeout)
    assert done.returncode == 0, done.stdout
    return done.stdout


def rules(name):
    group, = yaml.safe_load((RULES / name).read_text())["groups"]
    return group["rules"]


def panels(board):
    return json.loads(board.read_text())["panels"]


def expressions():
    """Of all dashboards, as Grafana would send them."""
    return [target["expr"].replace("$__rate_interval", "1m")
            .replace("$topic", ".*")
            for board in BOARDS for panel in panels(board)
            for target in panel["targets"]]


def test_prometheus_takes_the_rules():
    said("promtool", "check", "config", RULES / "prometheus.yml")
    # the first error ends it
    said("promtool", "check", "rules", "--lint-fatal",
         RULES / "recorded.yml", RULES / "alerts.yml")


def test_each_alert_fires_and_does_not_fire():
    assert "SUCCESS" in said("promtool", "test", "rules",
                             RULES / "alerts.test.yml")
    names = {rule["alert"] for rule in rules("alerts.yml")}
    well, *others = yaml.safe_load(
        (RULES / "alerts.test.yml").read_text())["tests"]
    quiet = {case["alertname"] for case in well["alert_rule_test"]
             if not case["exp_alerts"]}
    fires = {case["alertname"] for test in others
             for case in test["alert_rule_test"] if case["exp_alerts"]}
    assert quiet == fires == names
    # all that an alert asks for has a series while all is well
    given = "".join(series["series"] for series in well["input_series"])
    asked = {rule["record"]: rule["expr"] for rule in rules("recorded.yml")}
    for rule in rules("alerts.yml"):
        for name in NAME.findall(rule["expr"]):
            for other in NAME.findall(asked.get(name, name)):
                assert other in given, (rule["alert"], other)


READ = """
import enum, json, sys, typing
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import prometheus
from grafana_foundation_sdk.models.dashboard import Dashboard

def faults(value, hint, where):
    hint = prometheus.Dataquery if hint is Dataquery else hint
    inner = typing.get_args(hint)
    origin = typing.get_origin(hint)
    if origin is typing.Union:
        each = [list(faults(value, one, where)) for one in inner
                if value is None or one is not type(None)]
        yield from [] if [] in each else min(each, key=len)
    elif origin is typing.Literal:
        yield from [] if value in inner else [f"{where}: {value!r}"]
    elif origin is list:
        yield from [] if isinstance(value, list) else [f"{where}: no list"]
        for i, one in enumerate(value if isinstance(value, list) else ()):
            yield from faults(one, inner[0], f"{where}/{i}")
    elif hasattr(hint, "from_json") and hint is not type(None):
        if not isinstance(value, dict):
            yield f"{where}: {value!r} is no {hint.__name__}"
            return
        read = hint.from_json(value)
        yield from lost(value, plain(read), where)
        for name, kind in typing.get_type_hints(hint).items():
            yield from faults(plain(getattr(read, name)), kind,
                              f"{where}/{name}")
    elif isinstance(hint, enum.EnumMeta):
        yield from [] if value in [one.value for one in hint] \\
            else [f"{where}: {value!r} is no {hint.__name__}"]
    elif isinstance(hint, type) and hint is not object:
        number = hint is float and isinstance(value, int)
        if not (isinstance(value, hint) or number) \\
                or (isinstance(value, bool) and hint is not bool):
            yield f"{where}: {value!r} is no {hint.__name__}"

def lost(value, wrote, where):
    for name, one in value.items() if isinstance(value, dict) \\
            else enumerate(value) if isinstance(value, list) else ():
        if one not in (None, [], {}):
            yield from lost(one, wrote[name], f"{where}/{name}") \\
                if isinstance(name, int) or name in wrote \\
                else [f"{where}: there is no {name}"]

def plain(value):
    return json.loads(json.dumps(value, default=lambda one: one.to_json()
                                 if hasattr(one, "to_json") else one.value))

print("\\n".join(faults(json.load(sys.stdin), Dashboard, "")))
"""


@pytest.fixture(scope="module")
def grafana():
    """What Grafana's own published types find wrong with a dashboard."""
    venv = said(ROOT / "stack" / "venv", "tests/monitoring.pip").strip()

    def read(board):
        done = subprocess.run([f"{venv}/bin/python", "-c", READ],
                              input=json.dumps(board), text=True,
                              capture_output=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.split("\n")[:-1] if done.stdout.strip() else []

    return read


@pytest.mark.parametrize("board", BOARDS, ids=lambda path: path.stem)
def test_grafana_reads_the_dashboards(grafana, board):
    whole = json.loads(board.read_text())
    assert grafana(whole) == []
    assert whole["uid"] == board.stem and whole["title"]
    # what is wrong is found
    for path, value in ((("panels", 0, "gridPos", "h"), "8"),
                        (("panels", 0, "fieldConfig", "defaults", "unt"), "s"),
                        (("templating", "list", 1, "type"), "qery"),
                        (("schemaVersion",), "39"), (("pannels",), [1])):
        wrong = json.loads(board.read_text())
        inner = wrong
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = value
        assert grafana(wrong), path


@pytest.mark.parametrize("board", BOARDS, ids=lambda path: path.stem)
def test_panels_lie_beside_each_other_and_say_what_they_show(board):
    taken, ids = set(), set()
    for panel in panels(board):
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}
        assert place["x"] + place["w"] <= 24 and not cells & taken, panel
        taken |= cells
        assert panel["id"] not in ids
        ids.add(panel["id"])
        assert panel["title"] and panel["description"].endswith(".")
        assert panel["targets"]


class Prometheus:
    """With the shipped rules, once a second."""

    def __init__(self, directory, **targets):
        self.directory, self.port = directory, free_port()
        shutil.copytree(RULES, directory)
        config = yaml.safe_load((RULES / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s",
                            "evaluation_interval": "1s"}
        for job in config["scrape_configs"]:
            port = targets[job["job_name"].partition("-")[2]]
            job["static_configs"] = [{"targets": [f"127.0.0.1:{port}"]}]
        (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
        with open(directory / "prometheus.log", "wb") as log:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={directory}/prometheus.yml",
                 f"--storage.tsdb.path={directory}/data",
                 f"--web.listen-address=127.0.0.1:{self.port}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def ask(self, path, **more):
        answer = web.request(self.port, "GET", f"/api/v1/{path}"
                             + ("?" + urllib.parse.urlencode(more)
                                if more else ""), timeout=20)
        assert answer.status == 200, answer
        return answer.json["data"]

    def query(self, expression):
        return self.ask("query", query=expression)["result"]

    def ready(self):
        assert self.process.poll() is None, \
            tail(self.directory / "prometheus.log")
        try:
            return web.request(self.port, "GET", "/-/ready",
                               timeout=5).status == 200
        except OSError:
            return False

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


@pytest.fixture
def way(nginx, consumer, kafka, topics, database):
    return Way(nginx, consumer, kafka, topics, database,
               config={"dead_letters": None}, wait="30s")


@pytest.fixture
def prometheus(directory, way):
    server = Prometheus(directory / "prometheus", consumer=way.daemon.port,
                        gateway=way.nginx.port)
    try:
        wait_for(server.ready, 60, "Prometheus is ready")
        yield server
    finally:
        server.stop()


def test_a_prometheus_answers_all_that_is_asked(way, prometheus, database):
    for n in range(20):
        assert way.post({"id": f"n{n}"}).status == 200
    used = {name for text in expressions() for name in NAME.findall(text)}
    used |= {name for rule in rules("alerts.yml") + rules("recorded.yml")
             for name in NAME.findall(rule["expr"])}
    assert len(used) > 40
    # brokers have figures after a while, rates after two scrapes
    missing = [None]

    def all_there():
        missing[:] = used - set(prometheus.ask("label/__name__/values"))
        return not missing

    wait_for(all_there, 60, missing)
    assert {result["value"][1] for result in prometheus.query(
        'up{job=~"sluice-.*"}')} == {"1"}
    # two panels show only what happens: answers, and what is retried
    database.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                   " WHERE application_name LIKE 'sluice:%%'"
                   " AND datname = current_database()")
    empty, sent = [None], 20

    def all_answer():
        nonlocal sent
        assert way.post({"id": f"n{sent}"}).status == 200
        sent += 1
        empty[:] = [text for text in expressions()
                    if not prometheus.query(text)]
        return not empty

    wait_for(all_answer, 60, empty)
    for board in BOARDS:
        for variable in json.loads(board.read_text())["templating"]["list"]:
            found = re.fullmatch(r"label_values\((\w+), (\w+)\)",
                                 variable["query"])
            if found:
                assert way.topic in {
                    result["metric"].get(found[2])
                    for result in prometheus.query(found[1])}, variable
    # figures are those of what was sent
    wait_for(lambda: [found["value"][1] for found in prometheus.query(
        f'sluice_consumer_rows_total{{topic="{way.topic}"}}')]
        == [str(sent + 1)], 20, "all rows")
    groups = prometheus.ask("rules")["groups"]
    assert {rule["health"] for group in groups for rule in group["rules"]} \
        == {"ok"}

    # a record that is no row: its alert comes, and no other of the daemon
    def firing():
        return {alert["labels"]["alertname"]
                for alert in prometheus.ask("alerts")["alerts"]
                if alert["state"] == "firing"}

    assert "SluiceDeadLetters" not in firing()
    assert way.post({"id": "bad"}).status == 422
    wait_for(lambda: "SluiceDeadLetters" in firing(), 60, "the alert")
    assert not {"SluiceTargetDown", "SluiceDaemonHolds",
                "SluiceRequestsFail"} & firing()
