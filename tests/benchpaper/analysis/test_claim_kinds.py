"""Findings and checks, and expected ranges."""

import pytest
from known_claims import A_1, TWIN, A, times

from benchpaper.analysis import claim_rows, claims
from benchpaper.core.errors import UserError
from benchpaper.paper import claims_tex

KINDS = """
    @claim("C1", experiment="toy/known", matters_to="whoever waits")
    def first(results):
        \"\"\"It could have come out otherwise.\"\"\"
        return results.estimate("latency_us", way="a", size=1).below(11)

    @claim("C2", experiment="toy/known", kind="{kind}")
    def second(results):
        \"\"\"It could not.\"\"\"
        return results.estimate("latency_us", way="a", size=1).above(1)
"""


def test_a_claim_is_a_finding_unless_it_says_otherwise(known):
    known.claims(KINDS.format(kind="check"))
    known.write("quick", {("a", 1): A}, twin=TWIN)
    rows = claims.judge_all(known.project, "local", "quick")
    assert [(row.kind, row.matters_to) for row in rows] == [
        ("finding", "whoever waits"),
        ("check", ""),
    ]
    again = [claim_rows.ClaimRow.from_json(row.to_json()) for row in rows]
    assert again == rows and [row.id for row in claims.of_kind(rows, "check")] == ["C2"]
    assert claims_tex.counts(rows) == {"claims": 2, "findings": 1, "checks": 1}


def test_another_kind_is_refused_with_the_known_ones(known):
    known.claims(KINDS.format(kind="checks"))
    with pytest.raises(UserError, match='^claim C2: kind "checks" .*did you mean "check"'):
        claims.load_claims(known.project)


@pytest.mark.parametrize(
    "low, high, verdict, why",
    [
        (9, 11, "reproduced", "within"),
        (11, 12, "contradicted", "below"),
        (5, 8, "contradicted", "above"),
        (9, 10.1, "inconclusive", "the interval reaches beyond the range, but not clearly"),
        (9.9, 10.2, "inconclusive", "the range is narrower than the noise floor of"),
    ],
)
def test_a_value_is_judged_against_an_expected_range(judge, low, high, verdict, why):
    row = judge(f"{A_1}.within({low}, {high})", {("a", 1): A, ("b", 1): times(A, 2)})
    assert row.verdict == verdict and row.short.startswith(why)
    assert row.asked == f"from {low:g} to {high:g} µs"
    assert claim_rows.ClaimRow.from_json(row.to_json()) == row


@pytest.mark.parametrize("low, high", [(11, 9), (9, 9), (0, 9), (9, float("inf"))])
def test_a_range_that_holds_nothing_is_refused(judge, low, high):
    with pytest.raises(UserError, match=r"^claim C1 \(toy/known\) from .*pass a"):
        judge(f"{A_1}.within({low}, float('{high}'))", {("a", 1): A})
