"""What was measured as Markdown, beside the goals, and as plots."""

import json

import answers
import plot
import rows
import stored
import way

START, END = "<!-- measured: written by bench/run -->", "<!-- measured -->"

# (section, name, what, goal, at least?, how it is written)
GOALS = (
    ("answers", "delivered_256", "delivered (acks=all), of bare nginx, 256 "
     "connections", 0.65, True, "{:.2f}"),
    ("answers", "delivered_1000", "delivered, of bare nginx, 1,000 "
     "connections", 0.70, True, "{:.2f}"),
    ("answers", "delivered_10000", "delivered, of bare nginx, 10,000 "
     "connections", 0.85, True, "{:.2f}"),
    ("answers", "errors", "errors of delivered and queued", 0, False,
     "{:,.0f}"),
    ("answers", "queued_64", "queued, of bare nginx, 64 connections", 0.90,
     True, "{:.2f}"),
    ("answers", "now_p50", "one connection, p50, of what `linger.ms` 0 gives "
     "there", 1.3, False, "{:.2f} ×"),
    ("answers", "now_rate", "delivered, 16 connections, of what `linger.ms` 0 "
     "gives there", 1.0, True, "{:.2f}"),
    ("answers", "trip", "one connection, p50, of a bare librdkafka "
     "producer's", 1.3, False, "{:.2f} ×"),
    ("answers", "cpu_256", "worker's CPU of a delivered request, of bare "
     "nginx's, 256 connections", 1.5, False, "{:.2f} ×"),
    ("answers", "request_spread", "worker's CPU of a delivered request, 16 "
     "to 10,000 connections, most by least", 1.22, False, "{:.2f}"),
    ("answers", "batch_of_bare", "batches of 1,000 NDJSON records, acks=all, "
     "records of a bare librdkafka producer's", 0.50, True, "{:.2f}"),
    ("answers", "in_flight_kb", "memory of a request in flight, KiB", 8,
     False, "{:.1f}"),
    ("answers", "express_256", "delivered, of Express + KafkaJS, 256 "
     "connections", 25, True, "{:.1f} ×"),
    ("answers", "express_400", "delivered, of Express + KafkaJS, 400 "
     "connections", 25, True, "{:.1f} ×"),
    ("answers", "go_256", "delivered, of Go (net/http + franz-go), 256 "
     "connections", 1.5, True, "{:.2f} ×"),
    ("answers", "rust_256", "delivered, of Rust (axum + rdkafka), 256 "
     "connections", 1.5, True, "{:.2f} ×"),
    ("rows", "consumer", "one daemon, of psql `\\copy` of the same rows",
     0.95, True, "{:.2f}"),
    ("rows", "two_daemons", "two daemons, of `\\copy`", 1.0, True, "{:.2f}"),
    ("rows", "types", "one daemon, table of uuid, numeric, boolean, "
     "timestamptz, double precision, of `\\copy` of the same", 0.95, True,
     "{:.2f}"),
    ("rows", "upsert", "upsert of new keys, of `\\copy`", 0.4, True,
     "{:.2f}"),
    ("rows", "update", "upsert of known keys, of `\\copy`", 0.50, True,
     "{:.2f}"),
    ("rows", "dedupe", "dedupe by a header, of `\\copy`", 0.4, True,
     "{:.2f}"),
    ("rows", "dedupe_more", "dedupe by a header with as many other keys "
     "known, of `\\copy`", 0.50, True, "{:.2f}"),
    ("rows", "connect", "one daemon, of Kafka Connect with Debezium JDBC", 6,
     True, "{:.1f} ×"),
    ("rows", "pgx", "one daemon, of Go (franz-go + pgx `CopyFrom`)", 1.5,
     True, "{:.2f} ×"),
    ("rows", "rss_mb", "the daemon's memory at any backlog, MiB", 64, False,
     "{:.0f}"),
    ("rows", "row_spread", "daemon's CPU of a row, backlogs of 10⁵ to 10⁷, "
     "most by least", 1.22, False, "{:.2f}"),
    ("rows", "idle_percent", "the idle daemon's CPU, % of a core", 0.5, False,
     "{:.2f}"),
    ("way", "p50", "event to row at 1,000 events/s, p50, of `batch.linger` "
     "(20 ms)", 1, False, "{:.2f} ×"),
    ("way", "p99", "event to row at 1,000 events/s, p99, of `batch.linger` "
     "(20 ms)", 5, False, "{:.1f} ×"),
    ("way", "of_bare", "the whole way, POST → 200 → committed row, of bare "
     "nginx", 0.50, True, "{:.2f}"),
    ("way", "lag", "the whole way's lag at the end, of `batch.linger` "
     "(20 ms)", 50, False, "{:.1f} ×"),
    ("way", "stack", "the stack of `make up`, two workers, two groups: POST "
     "→ row, of bare nginx with two workers", 0.50, True, "{:.2f}"),
    ("stored", "wait_0", "POST → committed row → 200, one connection, p50, "
     "`batch.linger` 0: of delivered's", 10, False, "{:.1f} ×"),
    ("stored", "wait_5", "POST → committed row → 200, one connection, p50, "
     "`batch.linger` 5 ms: of these 5 ms", 4, False, "{:.1f} ×"),
    ("stored", "wait_20", "POST → committed row → 200, one connection, p50, "
     "`batch.linger` 20 ms: of these 20 ms", 1.75, False, "{:.2f} ×"),
    ("stored", "not_told", "stored, answers that did not tell", 0, False,
     "{:,.0f}"),
    ("stored", "delivered", "delivered with receipts on, of off", 0.97, True,
     "{:.2f}"),
    ("stored", "rows", "one daemon with receipts on, of off", 0.97, True,
     "{:.2f}"),
    ("stored", "waiting_kb", "memory of a request that waits for its row, "
     "KiB", 4, False, "{:.1f}"),
)

# of these the README shows a line each
SHOWN = {"delivered_256", "delivered_1000", "queued_64", "batch_of_bare",
         "express_256", "go_256", "rust_256", "consumer", "connect", "pgx",
         "rss_mb", "p99", "of_bare", "stack", "wait_0"}

# what may lie between two runs on one machine, of the last result: a short
# run has one round of two seconds
TOLERANCE, QUICK_TOLERANCE = 0.10, 0.25


def load(text):
    """What was written as results.json, numbers of connections as such."""
    return json.loads(text, object_pairs_hook=lambda pairs: {
        int(key) if key.isdigit() else key: value for key, value in pairs})


def summaries(data):
    found = {"way": way.summary(data)}
    if data.get("answers"):
        found["answers"] = answers.summary(data["answers"])
    if data.get("rows") or data.get("backlogs"):
        found["rows"] = rows.summary(data.get("rows", {}),
                                     data.get("backlogs"))
    if data.get("stored"):
        found["stored"] = stored.summary(data["stored"])
    return found


def measured(data):
    """[(goal, value)] of what was measured."""
    found = summaries(data)
    return [(goal, found[goal[0]][goal[1]]) for goal in GOALS
            if goal[1] in found.get(goal[0], ())]


def goals(data):
    """[(name, what, goal, measured, reached?)] of what was measured."""
    lines = []
    for (_, name, what, goal, least, form), value in measured(data):
        reached = value >= goal if least else value <= goal
        sign = ("≥ " if least else "≤ ") if goal else ""
        lines.append((name, what, sign + form.format(goal),
                      form.format(value), reached))
    return lines


def slower(data, last, tolerance):
    """Lines on what is worse than in the last results by more than the
    tolerance, the worst first.  All are ratios, so that another machine's
    may be compared; what only one of both has is left out."""
    before = {goal[:2]: value for goal, value in measured(last)}
    found = []
    for (section, name, what, _, least, form), value in measured(data):
        old = before.get((section, name))
        if old is None:
            continue
        good, bad = (value, old) if least else (old, value)
        if good < bad * (1 - tolerance):
            of = f", {value / old:.2f} of it" if old else ""
            found.append((good / bad, f"{what}: {form.format(value)}, was "
                          f"{form.format(old)}{of}"))
    return [line for _, line in sorted(found)]


def comparison(data, last, tolerance):
    about = last.get("about") or ["no command"]
    lines = slower(data, last, tolerance)
    return [f"Worse than the last result ({about[0]}) by more than "
            f"{tolerance * 100:.0f} %: {len(lines) or 'nothing'}",
            *(f"  {line}" for line in lines)]


def markdown(data):
    lines = ["# Results", "", *(f"- {line}" for line in data["about"]), "",
             "Against the goals:", "",
             "| what | goal | measured | |", "| --- | ---: | ---: | --- |"]
    for _, what, goal, value, reached in goals(data):
        lines.append(f"| {what} | {goal} | {value} "
                     f"| {'' if reached else 'short'} |")
    if data.get("answers"):
        lines += ["", "## Requests", "",
                  "One nginx worker, the same POST of 130 bytes, one wrk "
                  "thread.", "", *pictures(data, "requests"), "",
                  *answers.table(data["answers"])]
    if data.get("rows"):
        lines += ["", "## Rows", "", *pictures(data, "rows"), "",
                  *rows.table(data["rows"], data.get("sizes"),
                              data.get("backlogs"), data["count"])]
    if data.get("way") or data.get("late") or data.get("stack"):
        lines += ["", "## The whole way", "", *pictures(data, "way"), "",
                  *way.table(data)]
    if data.get("stored"):
        lines += ["", "## Until it is a row", "",
                  *stored.table(data["stored"])]
    for reason in data.get("failed", ()):
        lines += ["", f"Not measured: {reason}"]
    return "\n".join(lines) + "\n"


def shown(data):
    """The README's table."""
    return [f"| on {data['machine']} that also run broker, database "
            "and load | measured |", "| --- | ---: |",
            *(f"| {what} | {value} |" for name, what, _, value, _
              in goals(data) if name in SHOWN)]


def readme(text, data):
    """README.md with the table between its two marks written anew."""
    if START not in text or END not in text:
        return text
    before, rest = text.split(START, 1)
    return (before + "\n".join([START, *shown(data), ""]) + END
            + rest.split(END, 1)[1])


TITLES = {
    "throughput": ("requests", "Requests a second over connections"),
    "latency": ("requests", "Latency over connections"),
    "distribution": ("requests", "Latency distribution at 256 connections"),
    "batches": ("rows", "Rows a second over rows a batch"),
    "cost": ("way", "CPU of one event over the whole way, in us"),
    "event-to-row": ("way", "From event to committed row, 1,000 a second"),
}


def pictures(data, section):
    made = plots(data)
    return [f"![{title}](results/{name}.svg)"
            for name, (where, title) in TITLES.items()
            if where == section and name in made]


def plots(data):
    """{name: svg}"""
    made = {}
    if data.get("answers"):
        made.update(answer_plots(data["answers"]))
    if data.get("sizes"):
        series = [("sluice-consumer", data["sizes"])]
        if "copy" in data.get("rows", ()):
            copied = answers.median(data["rows"]["copy"], "rate")
            series.append(("psql \\copy", [(size, copied) for size, _
                                           in data["sizes"]]))
        made["batches"] = plot.chart(TITLES["batches"][1], "rows a batch",
                                     "rows/s", series)
    if data.get("way", {}).get("cpu_us"):
        costs = way.costs(data["way"])
        bare = data["way"]["bare_cpu_us"]
        made["cost"] = plot.bars(TITLES["cost"][1], costs, [
            f"{us:.1f} us, {us / bare:.2f} bare requests" for _, us in costs])
    if data.get("late"):
        made["event-to-row"] = plot.chart(
            TITLES["event-to-row"][1], "percentile", "ms",
            [("event to row", tail(data["late"]["percentiles_ms"]))],
            ylog=True, xticks=TAIL)
    return made


# percentiles on an axis that stretches towards 100
TAIL = [(1, "0"), (2, "50"), (10, "90"), (100, "99"), (1000, "99.9"),
        (10000, "99.99")]


def tail(percentiles):
    return [(100 / (100 - p), max(value, 0.001)) for p, value in percentiles]


def answer_plots(results):
    def over(field, scale):
        return [(name, [(connections, answers.median(runs, field) * scale)
                        for connections, runs in results[name].items()
                        if answers.median(runs, field)])
                for name in answers.KINDS]

    spread = []
    for name in answers.KINDS + ("express",):
        runs = results.get(name, {}).get(256)
        if runs:
            middle = sorted(runs, key=lambda r: r["p50_us"])[len(runs) // 2]
            points = tail([[p, us / 1000] for p, us
                           in middle["percentiles_us"]])
            if points and middle["requests"]:
                spread.append((name, points))
    made = {
        "throughput": plot.chart(TITLES["throughput"][1], "connections",
                                 "requests/s", over("rate", 1)),
        "latency": plot.chart(TITLES["latency"][1], "connections",
                              "p50, ms", over("p50_us", 1e-3), ylog=True),
    }
    if spread:
        made["distribution"] = plot.chart(
            TITLES["distribution"][1], "percentile", "ms", spread,
            ylog=True, xticks=TAIL)
    return made
