"""Where things are, how long the loops run, and waiting for a condition."""

import os
import pathlib
import random
import socket
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("SLUICE_BUILD", "build")
SCRATCH = BUILD / "tests"
LONG = os.environ.get("SLUICE_LONG") == "1"
KEEP = os.environ.get("SLUICE_KEEP") == "1"
ASAN = BUILD.name == "asan"
# the module's tests under memcheck
VALGRIND = os.environ.get("SLUICE_VALGRIND") == "1"
# bounds of time and memory do not hold
SANITIZED = ASAN or VALGRIND
# of what waits: memcheck runs one thread at a time, 20 to 50 times slower
PATIENCE = 6 if VALGRIND else 1

MODULE = BUILD / "module" / "ngx_http_kafka_module.so"
CONSUMER = BUILD / "consumers" / "sluice-consumer"
# the same program with places to stop at (SLUICE_TEST_STOP)
TEST_CONSUMER = BUILD / "test" / "sluice-consumer"

SANITIZER_LINE = (
    r"AddressSanitizer|LeakSanitizer|UndefinedBehaviorSanitizer"
    r"|: runtime error: "
)


def loops(short, long):
    """A count: the short one in make check, the long one in make faults."""
    return long if LONG else short


def bound(strict, loose):
    """A time or size: the strict one in make faults, on a machine that does
    nothing else; the loose one where others run beside it."""
    return strict if LONG and not SANITIZED else loose


def wait_for(condition, timeout=15.0, what="", pause=0.02):
    """Calls condition until it gives a true value, and returns that."""
    end = time.monotonic() + timeout * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise AssertionError(
                f"not within {timeout} s: {what or condition}; last: {value!r}"
            )
        time.sleep(pause)


_given_ports = set()


def free_port():
    """A free TCP port below the range of outgoing connections."""
    while True:
        port = random.randrange(10000, 30000)
        if port in _given_ports:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given_ports.add(port)
        return port


def tail(path, lines=40):
    try:
        text = pathlib.Path(path).read_text(errors="replace")
    except OSError as reason:
        return f"({reason})"
    return "\n".join(text.splitlines()[-lines:])
