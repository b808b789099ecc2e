"""The shape of an error: application/problem+json (RFC 9457)."""


def assert_problem(answer, status, persisted="no", code=None):
    """Returns the problem's object."""
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["content-length"]) == len(answer.body)
    problem = answer.json
    assert problem["status"] == status
    assert problem["persisted"] == persisted
    # what is wrong, and the way out
    for member in ("type", "title", "detail"):
        assert isinstance(problem[member], str) and problem[member], problem
    if code:
        assert problem["type"].endswith(code), problem
    return problem
