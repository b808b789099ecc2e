"""The checker of histories sees each kind of fault."""

import dataclasses

import pytest

from tests.lib.history import (Event, check_answers, check_order,
                               check_stored, outcome_of, settle)


def event(ident, outcome="ok", key="k", start=0.0, end=1.0, partition=0,
          offset=0):
    return Event(ident, key, ident.encode(), start, end, 200, outcome,
                 partition, offset)


GOOD = [event("a", offset=0), event("b", "maybe", offset=None),
        event("c", "queued", offset=None), event("d", "fail", offset=None),
        event("e", start=2.0, end=3.0, offset=1)]
STORED = [("a", b"a"), ("c", b"c"), ("e", b"e")]


def test_a_good_history_passes():
    check_answers(GOOD)
    check_stored(GOOD, STORED)
    check_stored(GOOD, STORED + [("b", b"b")])
    check_order(GOOD)


@pytest.mark.parametrize("stored, word", [
    (STORED[1:], "stored 0 times"),
    (STORED + [("a", b"a")], "stored 2 times"),
    (STORED + [("b", b"b")] * 2, "stored 2 times"),
    (STORED + [("c", b"c")], "stored 2 times"),
    (STORED + [("d", b"d")], "refused, yet stored"),
    (STORED + [("z", b"z")], "never sent"),
    ([("a", b"A")] + STORED[1:], "bytes differ"),
])
def test_a_loss_a_double_or_other_bytes_fail(stored, word):
    with pytest.raises(AssertionError, match=word):
        check_stored(GOOD, stored)


def test_a_wrong_order_of_one_key_fails():
    with pytest.raises(AssertionError, match="out of order"):
        check_order([dataclasses.replace(GOOD[0], offset=5), GOOD[4]])
    with pytest.raises(AssertionError, match="several partitions"):
        check_order([dataclasses.replace(GOOD[0], partition=1), GOOD[4]])
    # requests that overlap have no order
    check_order([dataclasses.replace(GOOD[0], offset=5, end=9.0), GOOD[4]])


@pytest.mark.parametrize("status, answer, outcome", [
    (200, {"offset": 1}, "ok"), (202, None, "queued"),
    (400, None, "fail"), (422, None, "fail"),
    (503, {"persisted": "no"}, "fail"), (500, {"persisted": "no"}, "fail"),
    (504, {"persisted": "possibly"}, "maybe"),
    (500, {"persisted": "possibly"}, "maybe"),
    (503, None, "untruthful"), (502, None, "untruthful"),
    (504, {"persisted": "no"}, "untruthful"), (500, "x", "untruthful"),
])
def test_an_answer_has_one_outcome(status, answer, outcome):
    assert outcome_of(status, answer) == outcome
    if outcome == "untruthful":
        with pytest.raises(AssertionError, match="untruthful"):
            check_answers([event("x", outcome)])


YES = {"status": 200, "persisted": "yes", "partition": 1, "offset": 7}
NO = {"status": 503, "persisted": "no"}
MAYBE = {"status": 504, "persisted": "possibly"}


@pytest.mark.parametrize("status, persisted, results, outcomes", [
    (200, None, [YES, YES], ["ok", "ok"]),
    (503, "no", [NO, NO], ["fail", "fail"]),
    (503, "no", None, ["fail", "fail"]),
    (504, "possibly", [YES, NO], ["ok", "fail"]),
    (504, "possibly", [MAYBE, MAYBE], ["maybe", "maybe"]),
    # better or worse than its results, or not one for each
    (200, None, [YES, NO], ["untruthful"] * 2),
    (503, "no", [NO, MAYBE], ["untruthful"] * 2),
    (504, "possibly", [YES, YES], ["untruthful"] * 2),
    (504, "possibly", [NO, NO], ["untruthful"] * 2),
    (200, None, [YES], ["untruthful"] * 2),
])
def test_a_batch_has_an_outcome_a_record(status, persisted, results,
                                         outcomes):
    answer = {"persisted": persisted}
    if results is not None:
        answer["results"] = results
    events = [event("a", "maybe", offset=None),
              event("b", "maybe", offset=None)]
    settle(events, status, answer)
    assert [one.outcome for one in events] == outcomes
    assert events[0].offset == (7 if outcomes[0] == "ok" else None)
