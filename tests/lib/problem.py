"""The shape of an error: application/problem+json (RFC 9457)."""

import re

BASE = "https://sluice.example/problems/"
INSTANCE = re.compile("urn:sluice:request:[0-9a-f]{32}")


def assert_problem(answer, status, persisted="no", code=None):
    """Returns the problem's object."""
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["content-length"]) == len(answer.body)
    problem = answer.json
    assert problem["status"] == status
    assert problem["persisted"] == persisted
    # what is wrong, which request it was, and the way out
    for member in ("type", "title", "instance", "remedy"):
        assert isinstance(problem[member], str) and problem[member], problem
    assert INSTANCE.fullmatch(problem["instance"]), problem
    # said once
    assert problem.get("detail") not in ("", problem["title"]), problem
    if code:
        assert problem["type"] == BASE + code, problem
    return problem
