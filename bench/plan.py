#!/usr/bin/python3
"""How many hosts, brokers, partitions, daemons and databases some load takes,
by what the benchmark measured.

    bench/plan.py EVENTS=100000 [BYTES=500 DAYS=30 GROWTH=2 NAME=VALUE...]
    bench/plan.py --write    the tables of docs/how-to/plan-capacity.md

CPU comes from "make bench", of this machine where it ran here; bytes and
what a replica costs from bench/hosts.py, in bench/results/hosts.json."""

import functools
import json
import math
import os
import pathlib
import re
import sys

import report
from answers import median

TOP = pathlib.Path(__file__).resolve().parent.parent
GUIDE = TOP / "docs/how-to/plan-capacity.md"
RESULTS = TOP / "bench/results/results.json"
OWN = TOP / os.environ.get("BUILD", "build") / "bench/results/results.json"
HOSTS = TOP / "bench/results/hosts.json"

# name, default, least, most, what
KEYS = (
    ("EVENTS", None, 1, 1e9, "events a second in the busiest hour, today"),
    ("BYTES", 500, 1, 1e6, "bytes of an event"),
    ("DAYS", 30, 0.01, 1e4, "days that PostgreSQL keeps a row"),
    ("GROWTH", 1, 0.01, 1e4, "events at the end of the plan, of today's"),
    ("MEAN", 0.5, 0.01, 1, "events of a usual hour, of the busiest's"),
    ("BATCH", 1, 1, 1e5, "records in a request"),
    ("GROUPS", 1, 1, 100, "tables that each event goes into"),
    ("INDEXES", 1, 0, 50, "indexes of a table"),
    ("REPLICAS", 3, 1, 9, "replicas of a partition"),
    ("KAFKA_DAYS", 2, 0.01, 1e4, "days that Kafka keeps a record"),
    ("STANDBYS", 1, 0, 9, "standbys of each PostgreSQL"),
    ("OUTAGE", 60, 0, 1e5, "minutes that PostgreSQL may be away"),
    ("CORES", 8, 1, 1024, "cores of a host"),
    ("NETWORK", 10, 0.01, 1e4, "Gbit/s of a host, each way"),
    ("WRITES", 1000, 1, 1e6, "MB/s that a host's disk writes for long"),
    ("DISK", 20, 0.001, 1e5, "TB of a host's disk"),
    ("BUSY", 0.5, 0.01, 1, "share of CPU, network and writes that the "
     "busiest hour may take"),
    ("FULL", 0.75, 0.01, 1, "share of a disk that may be full"),
)
WHOLE = ("GROUPS", "INDEXES", "REPLICAS", "STANDBYS", "CORES")
# a mode, and its name in the benchmark
MODES = {"append": "consumer", "upsert": "upsert", "update": "update",
         "dedupe": "dedupe more"}

HEAD = 250      # bytes of a request's head, and of an answer
INDEX = 1.4     # rows of \copy that one more index of keys in any order
                # takes, in CPU: decision 0072
TABLE = 32 * 2 ** 40    # bytes that one table can have
EXAMPLES = (1e4, 1e5, 1e6, 1e7)    # events a second in the guide


class Wrong(Exception):
    """What was given, or measured, does not make a plan."""


def read(words):
    """{name: value} of NAME=VALUE words and of the defaults."""
    given = {name: value for name, value, *_ in KEYS} | {"MODE": "append"}
    bounds = {name: (least, most) for name, _, least, most, _ in KEYS}
    for word in words:
        name, sign, text = word.partition("=")
        if not sign or name not in given:
            raise Wrong(f'"{word}": say NAME=VALUE, with a name of '
                        + ", ".join(given))
        if name == "MODE":
            if text not in MODES:
                raise Wrong(f'MODE "{text}": say one of ' + ", ".join(MODES))
            given[name] = text
            continue
        try:
            given[name] = float(text)
        except ValueError:
            raise Wrong(f'{name} "{text}": say a number') from None
        if name in WHOLE and not given[name].is_integer():
            raise Wrong(f'{name} "{text}": say a whole number')
        least, most = bounds[name]
        if not least <= given[name] <= most:
            raise Wrong(f'{name} "{text}": say a number from {least:,g} to '
                        f"{most:,g}")
    if given["EVENTS"] is None:
        raise Wrong("EVENTS is missing: say how many a second, as in "
                    "EVENTS=10000")
    return given


def costs(results, hosts):
    """What was measured: us of CPU and bytes an event, rows a second."""
    try:
        rows, way = results["rows"], results["way"]["cpu_us"]
        return {
            "nginx": way["nginx's worker"], "broker": way["broker"],
            "daemon": way["daemon"], "PostgreSQL": way["PostgreSQL"],
            "record": median(results["answers"]["batch"][16], "cpu_us") / 1e3,
            "rates": {mode: median(rows[name], "rate")
                      for mode, name in MODES.items() if name in rows},
            "copy": median(rows["copy"], "rate"),
            "bare": results["way"]["bare_cpu_us"], **hosts["costs"]}
    except KeyError as error:
        raise Wrong(f"the benchmark's results have no {error}: run \"make "
                    'bench", or "make bench QUICK=1"') from None


def cpu(given, cost):
    """{process: us of CPU an event}, over all hosts."""
    kb = max(0, given["BYTES"] - cost["body"]) / 1000
    more = {name: us * kb for name, us in cost["kb"].items()}
    fetches = given["REPLICAS"] + given["GROUPS"] - 2
    row = (cost["PostgreSQL"] * slower(given, cost) + more["PostgreSQL"]
           + max(0, given["INDEXES"] - 1) * INDEX * 1e6 / cost["copy"])
    return {
        "nginx": cost["record"] + more["nginx"]
        + (cost["nginx"] - cost["record"]) / given["BATCH"],
        "broker": (cost["broker"] + more["broker"])
        * (1 + cost["fetch"] * fetches),
        "daemon": given["GROUPS"] * (cost["daemon"] + more["daemon"]),
        "PostgreSQL": given["GROUPS"] * row}


def slower(given, cost):
    """Times that a row takes what an appended one takes."""
    rates = cost["rates"]
    if given["MODE"] not in rates:
        raise Wrong(f"MODE {given['MODE']}: only \"make bench\" without "
                    "QUICK=1 measures it")
    return rates["append"] / rates[given["MODE"]]


def flows(given, cost):
    """{role: bytes an event in, out, written, and kept}, over all hosts."""
    groups, replicas = given["GROUPS"], given["REPLICAS"]
    record = given["BYTES"] + cost["kafka"]
    rows = groups * (given["BYTES"] + cost["heap"]
                     + cost["index"] * given["INDEXES"])
    wal = rows * cost["wal"]
    return {
        "nginx": (given["BYTES"] + HEAD / given["BATCH"],
                  record + HEAD / given["BATCH"], 0, 0),
        "broker": (record * replicas, record * (replicas - 1 + groups),
                   record * replicas, record * replicas * given["KAFKA_DAYS"]),
        "daemon": (record * groups, given["BYTES"] * groups, 0, 0),
        "PostgreSQL": (given["BYTES"] * groups, wal * given["STANDBYS"],
                       wal + rows, rows * given["DAYS"])}


def plan(given, cost):
    """Roles with their needs and hosts, and what follows from them."""
    peak = given["EVENTS"] * given["GROWTH"]
    have = {"CPU": given["CORES"] * given["BUSY"],
            "network": given["NETWORK"] * 125e6 * given["BUSY"],
            "writes": given["WRITES"] * 1e6 * given["BUSY"],
            "disk": given["DISK"] * 1e12 * given["FULL"]}
    us, moved = cpu(given, cost), flows(given, cost)
    roles = {}
    for name, (into, out, written, kept) in moved.items():
        need = {"CPU": peak * us[name] / 1e6, "in": peak * into,
                "out": peak * out, "network": peak * max(into, out),
                "writes": peak * written,
                "disk": peak * given["MEAN"] * 86400 * kept}
        share = {what: need[what] / have[what] for what in have}
        limits = [(max(1, math.ceil(share[what])), what)
                  for what in sorted(share, key=share.get, reverse=True)]
        roles[name] = {**need, "hosts": limits[0][0], "first": limits[0][1],
                       "limits": "{} {}, then {} {}".format(
                           limits[0][1], limits[0][0], limits[1][1],
                           limits[1][0])}
    one = 1e6 / (1e6 / cost["rates"]["append"] * slower(given, cost)
                 + us["PostgreSQL"] / given["GROUPS"]
                 - cost["PostgreSQL"] * slower(given, cost))
    working = math.ceil(peak / (one * given["BUSY"]))
    brokers = max(int(given["REPLICAS"]), roles["broker"]["hosts"] + 1)
    databases = roles["PostgreSQL"]["hosts"]
    nginxes = roles["nginx"]["hosts"] + 1
    workers = max(1, int(given["CORES"]) - 1)
    partitions = brokers * math.ceil(2 * max(working + 1, brokers) / brokers)
    most = min(working * one,
               databases * given["CORES"] * 1e6 / us["PostgreSQL"],
               databases * given["WRITES"] * 1e6 / moved["PostgreSQL"][2])
    daemons = int(given["GROUPS"]) * (working + 1)
    standbys = databases * int(given["STANDBYS"])
    return {
        "peak": peak, "us": us, "roles": roles, "workers": workers,
        "hosts": {"nginx": nginxes, "broker": brokers,
                  "daemon": roles["daemon"]["hosts"] + 1,
                  "PostgreSQL": databases + standbys},
        "partitions": partitions, "one": one, "working": working,
        "daemons": daemons, "databases": databases,
        "to a broker": 2 * (nginxes * workers + daemons),
        "backends": 2 * daemons,
        "queue": 5 * peak / (nginxes - 1) / workers * (given["BYTES"] + 320),
        "ratio": most / peak,
        "catch up": given["OUTAGE"] / (most / peak - 1)
        if most > peak else math.inf,
        "table": roles["PostgreSQL"]["disk"] / given["GROUPS"]}


def notes(given, found):
    """What breaks first, and the way past it."""
    peak, said = found["peak"], []
    if found["table"] > TABLE:
        said.append(f"a table would hold {found['table'] / 1e12:,.0f} TB, "
                    "and PostgreSQL gives it 32 TiB: partition it by time")
    if found["databases"] > 1:
        said.append(f"one PostgreSQL is too small "
                    f"({found['roles']['PostgreSQL']['first']} first): "
                    "keep rows for a shorter time, or spread groups or "
                    f"topics over {found['databases']} primaries")
    if found["working"] > 1:
        said.append(f"one daemon stores up to {found['one']:,.0f} rows/s, so "
                    f"{found['working']} of each group share the partitions")
    if given["BATCH"] == 1 and found["hosts"]["nginx"] > 3:
        said.append("a request costs ten records: send several in one")
    gone = peak * given["MEAN"] * 86400 * given["GROUPS"]
    if gone > 1e8:
        said.append(f"{gone:,.0f} rows end each day: drop partitions of a "
                    "table, do not delete rows")
    return said or ["nothing: one of each does it, and the others are for "
                    "the one that is lost"]


def sources():
    """(results, where from): this machine's own, where they are whole
    enough, or those that came with the project."""
    for path in (OWN, RESULTS):
        try:
            found = report.load(path.read_text())
        except (OSError, ValueError):
            continue
        if {"answers", "rows", "way"} <= found.keys():
            return found, f"{path.relative_to(TOP)}, {found['about'][0]}"
    raise Wrong('there are no results: run "make bench QUICK=1"')


def number(value):
    """As it may be given, without 1e+06."""
    return f"{value:.6f}".rstrip("0").rstrip(".")


def lines(given, cost, about):
    """The plan for people, with all that it assumes."""
    found = plan(given, cost)
    roles = found["roles"]
    out = [f"{found['peak']:,.0f} events/s in the busiest hour "
           f"({number(given['EVENTS'])} × {number(given['GROWTH'])}), "
           f"{given['BYTES']:,.0f} bytes each", "",
           f"{'':<12}{'hosts':>6}{'cores':>9}{'MB/s in':>10}{'out':>9}"
           f"{'written':>9}{'TB':>10}  hosts by"]
    out += [f"{name:<12}{found['hosts'][name]:>6}{role['CPU']:>9.2f}"
            f"{role['in'] / 1e6:>10,.1f}{role['out'] / 1e6:>9,.1f}"
            f"{role['writes'] / 1e6:>9,.1f}{role['disk'] / 1e12:>10,.2f}  "
            f"{role['limits']}" for name, role in roles.items()]
    out += [
        "", "Cores, MB/s and TB are those of all hosts together, without "
        "spare hosts and standbys.", "",
        f"nginx         {found['workers']} workers a host, queue "
        f"{found['queue'] / 1e6:,.0f} MB (5 s of it)",
        f"Kafka         {found['partitions']} partitions of a topic",
        f"daemons       {found['daemons']}: {found['working'] + 1} of each "
        f"group, one of them spare; one stores {found['one']:,.0f} rows/s",
        f"PostgreSQL    {found['databases']} × (a primary and "
        f"{number(given['STANDBYS'])} standbys)",
        f"connections   {found['to a broker']:,} to each broker, "
        f"{found['backends']:,} sessions in PostgreSQL",
        f"catching up   {found['ratio']:.1f} × the peak is stored: "
        f"{found['catch up']:,.0f} minutes after {number(given['OUTAGE'])} "
        "of outage",
        "", "What breaks first:",
        *(f"- {note}" for note in notes(given, found)), "",
        "us of CPU an event: " + ", ".join(
            f"{name} {us:.2f}" for name, us in found["us"].items())
        + f"; a request of bare nginx {cost['bare']:.2f}",
        f"measured: {about}", "", "Assumed:"]
    out += [f"  {name}={number(given[name])}".ljust(19) + what
            for name, *_, what in KEYS]
    return out + [
        f"  MODE={given['MODE']}".ljust(19) + "of " + ", ".join(MODES),
        f"  {HEAD} bytes of a request's head, and of an answer; no TLS, "
        "nothing compressed", "  one host of each role may be lost"]


def cost_table(cost):
    """What one event costs, in the units of anybody's machine."""
    us = cpu(read(["EVENTS=1", f"BYTES={cost['body']}", "REPLICAS=1"]), cost)
    copied = 1e6 / cost["copy"]
    out = ["| one | µs of CPU | in bare nginx requests "
           "| in rows of `\\copy` |", "| --- | ---: | ---: | ---: |"]
    for what, value in (
            ("request, a record each", us["nginx"]),
            ("record of a batch of 1,000", cost["record"]),
            ("record in its leader, read by one group", us["broker"]),
            ("further replica, or group that reads",
             us["broker"] * cost["fetch"]),
            ("row in the daemon", us["daemon"]),
            ("row in PostgreSQL, appended", us["PostgreSQL"])):
        out.append(f"| {what} | {value:.2f} | {value / cost['bare']:.2f} "
                   f"| {value / copied:.2f} |")
    out += [f"| row, `{mode}` | {us['PostgreSQL'] * rate:.2f} "
            f"| {us['PostgreSQL'] * rate / cost['bare']:.2f} "
            f"| {us['PostgreSQL'] * rate / copied:.2f} |"
            for mode, rate in ((mode, cost["rates"]["append"] / rows)
                               for mode, rows in cost["rates"].items())
            if mode != "append"]
    return out


def example_table(cost):
    """Plans of some loads, all else as assumed."""
    found = [plan(read([f"EVENTS={events}"]), cost) for events in EXAMPLES]

    def row(what, values):
        return f"| {what} | " + " | ".join(map(str, values)) + " |"

    def of(role, limit, form, unit):
        return [form.format(one["roles"][role][limit] / unit)
                for one in found]

    out = [row("events/s", [f"{events:,.0f}" for events in EXAMPLES]),
           row("---", ["---:"] * len(EXAMPLES))]
    for role in found[0]["hosts"]:
        out.append(row(f"hosts: {role}", [
            f"{one['hosts'][role]:,} ({one['roles'][role]['limits']})"
            for one in found]))
    out += [row(f"{role}, cores", of(role, "CPU", "{:,.2f}", 1))
            for role in found[0]["hosts"]]
    return out + [
        row("brokers, MB/s out", of("broker", "out", "{:,.0f}", 1e6)),
        row("Kafka, TB", of("broker", "disk", "{:,.1f}", 1e12)),
        row("PostgreSQL, MB/s written",
            of("PostgreSQL", "writes", "{:,.0f}", 1e6)),
        row("PostgreSQL, TB", of("PostgreSQL", "disk", "{:,.1f}", 1e12)),
        row("partitions", [one["partitions"] for one in found]),
        row("daemons", [one["daemons"] for one in found]),
        row("primaries", [one["databases"] for one in found]),
        row("stored, of the peak", [f"{one['ratio']:.1f} ×"
                                    for one in found])]


def host_table(hosts, cost):
    """What was measured on one, two and three hosts, beside the formula."""
    out = ["| records a request | µs of CPU | 1 host | 2 | formula | 3 "
           "| formula | full load's costs |",
           "| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
    runs = {(run["batch"], run["hosts"]): run
            for run in reversed(hosts["runs"])
            if run["body"] == cost["body"]
            and run["replicas"] == run["hosts"]}

    def of(run, form):
        return form(read(["EVENTS=1", f"BYTES={run['body']}",
                          f"BATCH={run['batch']}",
                          f"REPLICAS={run['replicas']}"]), cost)

    for batch in sorted({batch for batch, _ in runs}):
        one = runs[batch, 1]
        for name in of(one, cpu):
            cells = [f"{one['us'][name]:.1f}"]
            for count in (2, 3):
                run = runs[batch, count]
                us = (one["us"][name] * of(run, cpu)[name]
                      / of(one, cpu)[name])
                cells += [f"{run['us'][name]:.1f}",
                          f"{us:.1f} ({us / run['us'][name]:.2f})"]
            out.append(f"| {batch} | {name} | " + " | ".join(cells)
                       + f" | {of(run, cpu)[name]:.1f} |")
    for batch in sorted({batch for batch, _ in runs}):
        for name, what in (("kafka", "bytes in Kafka, a replica"),
                           ("heap", "bytes of the table"),
                           ("index", "bytes of its index"),
                           ("wal", "bytes of WAL"),
                           ("in", "bytes into the hosts' networks")):
            cells = []
            for count in (1, 2, 3):
                run = runs[batch, count]
                predicted = of(run, functools.partial(bytes_of, run))[name]
                cells.append(f"{run['bytes'][name]:.0f}")
                if count > 1:
                    cells.append(f"{predicted:.0f} "
                                 f"({predicted / run['bytes'][name]:.2f})")
            out.append(f"| {batch} | {what} | " + " | ".join(cells) + " | |")
    return out


def bytes_of(run, given, cost):
    """Bytes an event of such a run. What two processes of one host say to
    each other is in no network; PostgreSQL is on the first host, its standby
    on the second."""
    away = 1 - 1 / run["hosts"]
    moved = flows(given, cost)
    record = moved["broker"][0] / run["replicas"]
    heap = given["BYTES"] + cost["heap"]
    wal = (heap + cost["index"]) * cost["wal"]
    return {"kafka": record, "heap": heap, "index": cost["index"],
            "wal": wal, "in": moved["nginx"][0] + wal
            + record * (run["replicas"] - 1)
            + away * (2 * record + given["BYTES"])}


def key_table():
    return ["| name | default | what |", "| --- | ---: | --- |",
            *(f"| `{name}` | {'' if value is None else number(value)} "
              f"| {what} |" for name, value, _, _, what in KEYS),
            f"| `MODE` | append | {', '.join(MODES)} |"]


def guide(text, results, hosts):
    """The guide with its tables as they follow from what was measured."""
    cost = costs(results, hosts)
    for name, table in (("costs", cost_table(cost)), ("keys", key_table()),
                        ("examples", example_table(cost)),
                        ("hosts", host_table(hosts, cost))):
        begin, end = f"<!-- {name}: bench/plan.py --write -->", "<!-- end -->"
        text = re.sub(f"(?s)(?<={re.escape(begin)}\n).*?(?={end})",
                      lambda _, table=table: "\n".join([*table, ""]), text, count=1)
    return text


def write():
    """The guide's tables, from the results that came with the project."""
    GUIDE.write_text(guide(GUIDE.read_text("utf-8"),
                           report.load(RESULTS.read_text()),
                           json.loads(HOSTS.read_text())), "utf-8")


def main(words):
    try:
        if words == ["--write"]:
            return write()
        given = read(words)
        results, about = sources()
        cost = costs(results, json.loads(HOSTS.read_text()))
        print("\n".join(lines(given, cost, about)))
    except Wrong as error:
        sys.exit(f"plan: {error}")
    except BrokenPipeError:     # of "make plan | head"
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
