"""What was measured as Markdown, beside the goals, and as plots."""

import answers
import plot
import rows
import stored
import way

START, END = "<!-- measured: written by bench/run -->", "<!-- measured -->"

# (section, name, what, goal, at least?, how it is written)
GOALS = (
    ("answers", "delivered_256", "delivered (acks=all), of bare nginx, 256 "
     "connections", 0.85, True, "{:.2f}"),
    ("answers", "delivered_1000", "delivered, of bare nginx, 1,000 "
     "connections", 0.90, True, "{:.2f}"),
    ("answers", "delivered_10000", "delivered, of bare nginx, 10,000 "
     "connections", 0.85, True, "{:.2f}"),
    ("answers", "errors", "errors in all of it", 0, False, "{:,.0f}"),
    ("answers", "queued_64", "queued, of bare nginx, 64 connections", 0.90,
     True, "{:.2f}"),
    ("answers", "trip", "one connection, p50, of a bare librdkafka "
     "producer's", 1.3, False, "{:.2f} ×"),
    ("answers", "batch_records", "batches of 1,000 NDJSON records, acks=all, "
     "records/s", 1e6, True, "{:,.0f}"),
    ("answers", "in_flight_kb", "memory of a request in flight, KiB", 8,
     False, "{:.1f}"),
    ("answers", "request_spread", "worker's CPU of a delivered request, 10 "
     "to 10,000 connections, most by least", 1.22, False, "{:.2f}"),
    ("answers", "express_256", "delivered, of Express + KafkaJS, 256 "
     "connections", 25, True, "{:.1f} ×"),
    ("answers", "express_400", "the same, 400 connections", 25, True,
     "{:.1f} ×"),
    ("rows", "consumer", "one daemon, of psql `\\copy` of the same rows",
     0.95, True, "{:.2f}"),
    ("rows", "two_daemons", "two daemons, of `\\copy`", 1.0, True, "{:.2f}"),
    ("rows", "upsert", "upsert of new keys, of `\\copy`", 0.4, True,
     "{:.2f}"),
    ("rows", "update", "upsert of known keys, of `\\copy`", 0.4, True,
     "{:.2f}"),
    ("rows", "dedupe", "dedupe by a header, of `\\copy`", 0.4, True,
     "{:.2f}"),
    ("rows", "dedupe_more", "the same, with as many other keys known", 0.4, True,
     "{:.2f}"),
    ("rows", "connect", "one daemon, of Kafka Connect with Debezium JDBC", 6,
     True, "{:.1f} ×"),
    ("rows", "rss_mb", "the daemon's memory at any backlog, MiB", 64, False,
     "{:.0f}"),
    ("rows", "row_spread", "daemon's CPU of a row, backlogs of 10⁵ to 10⁷, "
     "most by least", 1.22, False, "{:.2f}"),
    ("rows", "idle_percent", "its CPU when idle, %", 0.5, False, "{:.2f}"),
    ("late", "p50_ms", "event to row at 1,000 events/s, p50 ms", 20, False,
     "{:.1f}"),
    ("late", "p99_ms", "event to row at 1,000 events/s, p99 ms", 100, False, "{:.1f}"),
    ("way", "rate", "the whole way, POST → 200 → committed row, /s", 75000,
     True, "{:,.0f}"),
    ("way", "lag_s", "its lag at the end, s", 1, False, "{:.2f}"),
    *(("stored", f"beyond_{linger}", "POST → committed row → 200, one "
       f"connection, p50 beyond `batch.linger` of {linger} ms, ms", 15, False,
       "{:.1f}") for linger in stored.LINGERS),
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
SHOWN = {"delivered_256", "delivered_1000", "queued_64", "batch_records",
         "express_256", "consumer", "connect", "rss_mb", "p99_ms", "rate",
         "beyond_0"}


def summaries(data):
    found = {}
    if data.get("answers"):
        found["answers"] = answers.summary(data["answers"])
    if data.get("rows"):
        found["rows"] = rows.summary(data["rows"], data.get("backlogs"))
    if data.get("stored"):
        found["stored"] = stored.summary(data["stored"])
    for name in ("way", "late"):
        if data.get(name):
            found[name] = data[name]
    return found


def goals(data):
    """[(name, what, goal, measured, reached?)] of what was measured."""
    found = summaries(data)
    lines = []
    for section, name, what, goal, least, form in GOALS:
        value = found.get(section, {}).get(name)
        if value is None:
            continue
        reached = value >= goal if least else value <= goal
        sign = ("≥ " if least else "≤ ") if goal else ""
        lines.append((name, what, sign + form.format(goal),
                      form.format(value), reached))
    return lines


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
    if data.get("way") or data.get("late"):
        lines += ["", "## The whole way", "", *pictures(data, "way"), "",
                  *way.table(data.get("way"), data.get("late"))]
    if data.get("stored"):
        lines += ["", "## Until it is a row", "",
                  *stored.table(data["stored"])]
    for reason in data.get("failed", ()):
        lines += ["", f"Not measured: {reason}"]
    return "\n".join(lines) + "\n"


def readme(text, data):
    """README.md with the table between its two marks written anew."""
    if START not in text or END not in text:
        return text
    lines = [START, f"| on {data['machine']} that also run broker, database "
             "and load | measured |", "| --- | ---: |"]
    lines += [f"| {what} | {value} |" for name, what, _, value, _
              in goals(data) if name in SHOWN]
    before, rest = text.split(START, 1)
    return before + "\n".join(lines + [""]) + END + rest.split(END, 1)[1]


TITLES = {
    "throughput": ("requests", "Requests a second over connections"),
    "latency": ("requests", "Latency over connections"),
    "distribution": ("requests", "Latency distribution at 256 connections"),
    "batches": ("rows", "Rows a second over rows a batch"),
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
        if data.get("rows"):
            copied = answers.median(data["rows"]["copy"], "rate")
            series.append(("psql \\copy", [(size, copied) for size, _
                                           in data["sizes"]]))
        made["batches"] = plot.chart(TITLES["batches"][1], "rows a batch",
                                     "rows/s", series)
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
