#!/usr/bin/env python3
"""Sends each line of its input, a JSON value, as a record of its own.

    send.py URL [SECONDS] < records

What may be sent again is sent again for SECONDS (60), with the same
Idempotency-Key: with "dedupe" in the daemon each record becomes one row.
Exit status 1: a record was refused, or nobody knows whether it was kept."""

import http.client
import json
import random
import sys
import time
import urllib.error
import urllib.request
import uuid

AGAIN = (408, 429, 500, 502, 503, 504)


def post(url, record, key):
    """Status, answer, and the seconds that the server asks to wait."""
    request = urllib.request.Request(url, record, {
        "Content-Type": "application/json", "Idempotency-Key": key})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, {}, None
    except urllib.error.HTTPError as error:
        wait = error.headers.get("Retry-After", "")
        with error:
            text = error.read()
        try:
            said = json.loads(text)
        except ValueError:
            said = {"title": error.reason}
        return error.code, said, int(wait) if wait.isdigit() else None
    except (OSError, ValueError, http.client.HTTPException) as error:
        # no answer, or half of one: the record may have been kept
        return 0, {"title": str(error), "persisted": "possibly"}, None


def send(url, record, seconds):
    """Whether the record is kept; says why not."""
    # it begins with the time, so that PostgreSQL finds its place at once
    key = f"{time.time_ns() // 1000000}-{uuid.uuid4()}"
    deadline = time.monotonic() + seconds
    maybe = False
    pause = 0.2

    while True:
        status, answer, wait = post(url, record, key)
        if 200 <= status < 300:
            return True
        maybe = maybe or answer.get("persisted") == "possibly"
        wait = wait or pause * random.uniform(0.5, 1)
        if status not in (0, *AGAIN) or time.monotonic() + wait > deadline:
            print(f"{'maybe kept' if maybe else 'not kept'}: {status or ''} "
                  f"{answer.get('title')} {answer.get('detail', '')}: "
                  f"{record.decode(errors='replace')}", file=sys.stderr)
            return False
        time.sleep(wait)
        pause = min(pause * 2, 5)


def main():
    if not 2 <= len(sys.argv) <= 3:
        sys.exit(__doc__)
    seconds = float(sys.argv[2]) if len(sys.argv) == 3 else 60
    kept = [send(sys.argv[1], line.strip(), seconds)
            for line in sys.stdin.buffer if line.strip()]
    print(f"{sum(kept)} of {len(kept)} records are kept")
    sys.exit(0 if all(kept) else 1)


if __name__ == "__main__":
    main()
