"""The cluster in numbers: a line a second for each host."""

import concurrent.futures
import sys
import threading
import time

from tests.cluster import parts
from tests.cluster.cluster import NAMES
from tests.lib import web

OLD = 3.0                       # seconds until an answer says nothing


class Asked:
    """Questions that are asked all the time, each by one thread at most:
    a host that is silent delays no other."""

    def __init__(self, questions):
        self.questions = questions
        self.pool = concurrent.futures.ThreadPoolExecutor(len(questions))
        self.running = {}
        self.answers = {}

    def ask(self):
        for name, question in self.questions.items():
            if name not in self.running or self.running[name].done():
                self.running[name] = self.pool.submit(
                    self._one, name, question)

    def _one(self, name, question):
        try:
            answer = question()
        except Exception:       # whatever keeps it from an answer
            answer = None
        self.answers[name] = (time.monotonic(), answer)

    def answer(self, *name):
        when, answer = self.answers.get(name, (0, None))
        return answer if time.monotonic() - when < OLD else None


class Show:
    """accepted, kept and failed are records of a host's nginx since its
    start (what is neither kept nor failed waits), rows and lag those of its
    daemon of "events"."""

    def __init__(self, cluster, out=sys.stdout):
        self.out = out
        self.asked = Asked({
            **{("nginx", name): self._nginx(one)
               for name, one in cluster.gateways.items()},
            **{("daemon", name): self._daemon(cluster.daemons[name, "events"])
               for name in NAMES},
            **{("role", name): one.is_standby
               for name, one in cluster.postgres.items()},
            ("leaders",): cluster.leaders,
        })
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)

    @staticmethod
    def _nginx(gateway):
        return lambda: gateway.request("GET", "/status", timeout=1).json

    @staticmethod
    def _daemon(daemon):
        def ask():
            text = web.request(daemon.port, "GET", "/metrics", timeout=1,
                               host=daemon.address).body.decode()
            lines = [line.rpartition(" ") for line in text.splitlines()]
            return {metric: sum(float(value) for name, _, value in lines
                                if name.split("{")[0]
                                == f"sluice_consumer_{metric}")
                    for metric in ("rows_total", "lag")}
        return ask

    def lines(self):
        leaders = self.asked.answer("leaders") or {}
        for name in NAMES:
            words = [name]
            nginx = self.asked.answer("nginx", name)
            daemon = self.asked.answer("daemon", name)
            if nginx:
                accepted = nginx["acked"] + nginx["failed"] + nginx["queued"]
                words += [f"accepted {accepted:>7,}",
                          f"kept {nginx['acked']:>7,}",
                          f"failed {nginx['failed']:>5,}"]
            else:
                words.append(f"{'nginx is silent':<45}")
            words.append(f"rows {daemon['rows_total']:>7,.0f}  "
                         f"lag {daemon['lag']:>5,.0f}" if daemon
                         else f"{'daemon is silent':<23}")
            words.append(f"leads {leaders.get(name, '?')}/{parts.PARTITIONS}")
            standby = self.asked.answer("role", name)
            if standby is not None:
                words.append("standby" if standby else "primary")
            yield "  ".join(words)

    def _loop(self):
        while not self._end.is_set():
            self.asked.ask()
            self._end.wait(1)
            clock = time.strftime("%H:%M:%S")
            print("\n".join(f"{clock}  {line}" for line in self.lines()),
                  file=self.out, flush=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join(10)


def show(cluster):
    """Until Ctrl-C."""
    try:
        with Show(cluster):
            threading.Event().wait()
    except KeyboardInterrupt:
        pass
