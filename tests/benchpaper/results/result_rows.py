"""Rows of results, valid ones."""

from benchpaper import results
from benchpaper.results.records import TrialRecord

DESCRIBED = {
    "name": "toy/one", "title": "Toy", "question": "?", "roles": ["client"], "twin": None,
    "factors": [
        {"name": "way", "levels": ["a", "b"], "unit": "", "meaning": "how"},
        {"name": "size_bytes", "levels": [8, 4096], "unit": "B", "meaning": "how much"},
        {"name": "share", "levels": [0.5, 1.0], "unit": "1", "meaning": ""},
        {"name": "direct", "levels": [False, True], "unit": "", "meaning": ""},
    ],
    "metrics": [
        dict(name="latency_us", unit="µs", better="lower", meaning="one way", kept="all samples",
            minimum=0.0, optional=False),
        dict(name="rate", unit="1/s", better="higher", meaning="", kept="value", minimum=None,
            optional=True),
    ],
    "evidence": [{"name": "used", "meaning": "what was used"}],
}  # fmt: skip


def row(block=0, position=0, **changes):
    """Return a trial's record as plain data, as the journal holds it."""
    same = {
        "block": block, "position": position, "cell": f"way=a size_bytes=8 {position}",
        "twin": False,
        "way": "a", "size_bytes": 8, "share": 0.5, "direct": True,
        "experiment": "toy/one", "site": "local", "scale": "smoke", "seed": 2**40,
        "state": "measured", "reason": "",
        "attempts": [{"started": 1.5, "seconds": 0.25, "outcome": "ok", "message": ""}],
        "started": 1_700_000_000.123456, "seconds": 0.25, "overhead_s": 0.1, "paused_s": 0.0,
        "suspended_s": 0.0,
        "steal_s": 0.0, "load_1m": 0.5, "swapped_mb": 0.5, "throttled_s": None, "overheated": 3,
        "commands": [{"host": "local", "argv": ["true", "µ"], "status": 0}],
        "code_digest": "c" * 64, "plan_digest": "p" * 64, "git_commit": "abc", "git_clean": True,
        "tools": {"cc": "12"}, "hosts": {"client.cpu": "x"}, "capabilities": ["cc"],
        "observations": [results.check_observation(DESCRIBED,
            dict(latency_us=[3.0, 1.0, 1.0], used="shm")).to_json()],
    }  # fmt: skip
    return {**same, **changes}


def record(block=0, position=0, **changes):
    return TrialRecord.from_json(row(block, position, **changes))


def rows(path):
    return results.read(path)[0].to_pylist(maps_as_pydicts="strict")
