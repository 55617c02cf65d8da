"""Known claims and known runs, written as real results."""

import pytest
import two_runs
from known_claims import CLAIM, TWIN
from two_runs import HERE, REFERENCE, times

from benchpaper.analysis import claims


@pytest.fixture
def judge(known):
    """Return `judge(condition, values, ...)`: the row of one claim on known results."""

    def judge(condition, values, source="quick", twin=TWIN, family_wise=False, **options):
        known.claims(CLAIM.format(condition=condition))
        known.write(source, values, twin=twin, **options)
        return claims.judge_all(known.project, "local", source, family_wise)[0]

    return judge


CLAIMS = '''
@claim("C1", experiment="toy/known")
def first(results):
    """b takes longer than a."""
    return results.ratio("latency_us", of=dict(way="b"), to=dict(way="a"), size=1).above(1)

@claim("C2", experiment="toy/known")
def second(results):
    """The largest are fast."""
    return results.estimate("latency_us", way="a", size=4).below(100)
'''


@pytest.fixture
def both(known):
    """Known results here and in the reference, measured on other machines."""
    known.claims(CLAIMS)
    known.write("quick", HERE, twin=times(10, two_runs.TWIN))
    hosts = {
        "client.cpu": "Slow 100",
        "client.cpus": "2",
        "client.kernel": "5.10",
        "client.memory_gib": "4",
    }
    known.write(
        "reference",
        REFERENCE,
        twin=times(10, two_runs.TWIN),
        hosts=hosts,
        tools={"cc": "11"},
        code_digest="d" * 64,
    )
    return known
