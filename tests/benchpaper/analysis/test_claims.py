"""Claims: every verdict on known and on measured results, and every mistake."""

import json
import math
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchpaper.analysis import claims
from benchpaper.core.errors import UserError
from benchpaper.core.project import Project
from benchpaper.results import TRIALS, ResultsError

A, TWIN = (
    [10.0, 10.2, 9.9, 10.1, 9.8, 10.05],
    [10.5, 10.1, 9.5, 10.0, 9.9, 9.7],
)  # a noise floor of 4 %
CLAIM = """
    @claim("C1", experiment="toy/known")
    def first(results):
        \"\"\"A sentence.\"\"\"
        return {asked}
"""
A_1 = 'results.estimate("latency_us", way="a", size=1)'
B_TO_A = 'results.ratio("latency_us", of=dict(way="b"), to=dict(way="a"), size=1)'


def times(values, factor):
    return [value * factor for value in values]


@pytest.fixture
def judge(known):
    """Return `judge(asked, values, ...)`: the row of one claim on known results."""

    def judge(asked, values, source="quick", twin=TWIN, family_wise=False, **options):
        known.claims(CLAIM.format(asked=asked))
        known.write(source, values, twin=twin, **options)
        return claims.judge_all(known.project, "local", source, family_wise)[0]

    return judge


# --- the words -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "asked, source, word",
    [
        (f"{A_1}.below(11)", "quick", "reproduced"),
        (f"{A_1}.below(9)", "quick", "contradicted"),
        (f"{A_1}.above(10)", "quick", "inconclusive"),  # the interval holds the bound
        (f"{A_1}.below(10.3)", "quick", "inconclusive"),  # below, but not by the noise floor
        (f"{A_1}.equal(margin=0.10, target=10)", "quick", "reproduced"),
        (f"{A_1}.equal(margin=0.10, target=20)", "quick", "contradicted"),
        (
            f"{A_1}.equal(margin=0.01, target=10)",
            "quick",
            "inconclusive",
        ),  # a margin below the noise floor
        (f"{B_TO_A}.above(1.5)", "quick", "reproduced"),
        (f"{A_1}.below(11)", "reference", "holds in the reference"),
        (f"{A_1}.below(9)", "reference", "does not hold in the reference"),
        (f"{A_1}.above(10)", "reference", "inconclusive"),
    ],
)
def test_a_verdict_by_the_rule(judge, asked, source, word):
    row = judge(asked, {("a", 1): A, ("b", 1): times(A, 2)}, source)
    assert row["verdict"] == word and row["n"] == 6


def test_a_row_says_what_was_asked_found_and_why(judge):
    row = judge(f"{A_1}.below(11)", {("a", 1): A})
    assert (row["id"], row["sentence"], row["experiment"], row["asked"]) == (
        "C1",
        "A sentence.",
        "toy/known",
        "below 11 µs",
    )
    assert (
        row["value"] == pytest.approx(math.sqrt(10.0 * 10.05))
        and row["low"] >= min(A)
        and row["high"] <= max(A)
    )
    assert row["text"] == "10.0 µs [9.8, 10.2] (n = 6)" and row["cells"] == ["way=a size=1"]
    assert row["why"] == (
        "10.02 [9.836, 10.16] (n = 6) against 11: below, and by more than the noise floor of 4.00%"
    )
    assert row["short"] == "below, and by more than the noise floor of 4.00%"


@pytest.mark.parametrize(
    "values, word, why",
    [
        ("needs rdma", "not testable here", "needs rdma"),
        ([None] * 6, "inconclusive", "all 6 trials failed (it broke)"),
        (
            [1.0, 1.0, None, None, 1.0, 1.0],
            "inconclusive",
            "4 blocks are too few for an interval; measure at least 5",
        ),
        ([1.0, 1.0, None, 1.0, 1.0, 1.0], "reproduced", "against 11"),
    ],
)
def test_what_was_not_measured_here(judge, values, word, why):
    row = judge(
        'results.estimate("latency_us", way="b", size=1).below(11)', {("a", 1): A, ("b", 1): values}
    )
    assert row["verdict"] == word and why in row["why"] and row["short"] in row["why"]
    assert (row["text"] == "") == (row["value"] is None) == (row["n"] == 0)


def test_without_results_a_claim_was_not_run(known):
    known.claims(CLAIM.format(asked=f"{A_1}.below(11)"))
    row = claims.judge_all(known.project, "local", "quick")[0]
    assert (row["verdict"], row["why"], row["value"]) == (
        "not run",
        "no results of toy/known at quick",
        None,
    )
    assert row["short"] == row["why"]


def test_a_cell_that_the_scale_leaves_out_was_not_run(judge):
    row = judge('results.estimate("latency_us", way="b", size=4).below(11)', {("a", 1): A})
    assert (row["verdict"], row["why"]) == ("not run", "not planned at this scale")


def test_a_metric_that_the_cell_does_not_have_is_no_lack_of_the_host(judge):
    row = judge('results.estimate("rate", way="a", size=1).above(1)', {("a", 1): A})
    assert (row["verdict"], row["why"]) == ("inconclusive", "this cell does not have this metric")


# --- what defeats a verdict ------------------------------------------------------------------

DRIFTING = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7]


def test_blocks_that_drift_leave_a_level_inconclusive_and_a_paired_ratio_not(judge):
    values = {("a", 1): DRIFTING, ("b", 1): times(DRIFTING, 3)}
    level = judge(
        'results.estimate("latency_us", way="b", size=1).below(100)', values, twin=DRIFTING
    )
    assert level["short"] == "the 8 blocks drift"
    assert level["verdict"] == "inconclusive" and level["why"].startswith(
        "the 8 blocks drift (Mann-Kendall, exact: 1.00"
    )
    assert judge(f"{B_TO_A}.above(2)", values, twin=DRIFTING)["verdict"] == "reproduced"
    shuffled = {
        cell: [block[i] for i in (3, 6, 0, 5, 2, 7, 1, 4)] for cell, block in values.items()
    }
    still = judge(
        'results.estimate("latency_us", way="b", size=1).below(100)',
        shuffled,
        twin=shuffled["a", 1],
    )
    assert still["verdict"] == "reproduced"


TWO = (
    CLAIM
    + """
    @claim("C2", experiment="toy/known")
    def second(results):
        \"\"\"Another sentence.\"\"\"
        return {other}
"""
)


def test_when_identical_cells_differ_in_a_metric_nothing_of_the_experiment_is_decided(known):
    values, twin = A + A, TWIN + TWIN  # six blocks are too few for a look at two metrics
    rates = {("a", 1): values, ("a", 1, "twin"): twin, ("b", 1): times(values, 5)}
    known.claims(
        TWO.format(
            asked=f"{B_TO_A}.above(2)", other='results.estimate("rate", way="b", size=1).above(1)'
        )
    )
    known.write(
        "quick", {("a", 1): values, ("b", 1): times(values, 4)}, twin=times(twin, 1.2), rate=rates
    )
    rows = claims.judge_all(known.project, "local", "quick")
    assert [row["verdict"] for row in rows] == ["inconclusive"] * 2
    for row in rows:
        assert row["why"].startswith("two identical cells differ in latency_us (A/A' = 0.8")
        assert row["short"] == "two identical cells differ in latency_us"
        assert row["why"].endswith(
            "so nothing in toy/known is decided; find what distinguishes them, and measure again"
        )
    known.claims(CLAIM.format(asked='results.estimate("rate", way="b", size=1).above(1)'))
    alone = claims.judge_all(
        known.project, "local", "quick"
    )  # only metrics that a claim uses are looked at
    assert [row["verdict"] for row in alone] == ["reproduced"]


def test_without_a_noise_floor_nothing_is_decided(judge, known):
    rates = {("b", 1): A}
    row = judge(
        'results.estimate("rate", way="b", size=1).above(1)', {("a", 1): A, ("b", 1): A}, rate=rates
    )
    assert (row["verdict"], row["why"]) == (
        "inconclusive",
        "the noise floor of rate is unknown: the twin has no rate",
    )
    described = {**known.described, "twin": None}
    for asked in (f"{A_1}.below(11)", f"{A_1}.equal(margin=0.5, target=10)"):
        row = judge(asked, {("a", 1): A}, described=described)
        assert (row["verdict"], row["why"]) == (
            "inconclusive",
            "the noise floor of latency_us is unknown: the experiment declares no twin",
        )


def test_counts_of_zero_are_judged_on_their_own_scale(judge):
    nothing = [0.0] * 6
    row = judge(
        'results.estimate("rate", way="a", size=1).below(1)',
        {("a", 1): A},
        rate={("a", 1): nothing, ("a", 1, "twin"): nothing},
    )
    assert (row["verdict"], row["value"], row["high"]) == ("reproduced", 0, 0)
    row = judge(
        'results.estimate("rate", way="a", size=1).below(1)',
        {("a", 1): A},
        rate={("a", 1): nothing, ("a", 1, "twin"): [0, 0, 1, 0, 0, 0]},
    )
    assert row["why"] == "the noise floor of rate is unknown: a value of 0 or below has no ratio"


# --- how many verdicts are wrong by chance ---------------------------------------------------


def test_by_chance_counts_what_each_interval_attains():
    rows = [{"confidence": 0.95}, {"confidence": 0.9375}, {"confidence": None}]
    assert claims.by_chance(rows) == (2, pytest.approx(0.025 + 0.03125))
    assert claims.by_chance([]) == (0, 0)


def test_family_wise_intervals_are_wider_and_their_confidence_is_shared_out(judge):
    values = {("a", 1): A * 3, ("b", 1): times(A, 2) * 3}
    rng = np.random.default_rng(1)
    values = {
        cell: (np.array(v) * rng.lognormal(0, 0.02, len(v))).tolist() for cell, v in values.items()
    }
    asked = 'results.estimate("latency_us", way="b", size=1).above(1)'
    many = asked + "".join(
        f'\n    @claim("D{n}", experiment="toy/known")\n    def more{n}(results):\n'
        f'        """More."""\n        return {A_1}.below(11)\n'
        for n in range(9)
    )
    alone, family = (
        judge(many, values, twin=values["a", 1], family_wise=wide) for wide in (False, True)
    )
    assert alone["confidence"] == 0.95 and family["confidence"] == pytest.approx(1 - 0.05 / 10)
    assert (
        family["low"] < alone["low"]
        and family["high"] > alone["high"]
        and family["value"] == alone["value"]
    )
    assert alone["verdict"] == family["verdict"] == "reproduced"


def test_too_few_blocks_for_a_family_say_how_many_it_takes(known):
    known.claims(TWO.format(asked=f"{A_1}.below(11)", other=f"{A_1}.below(12)"))
    known.write("quick", {("a", 1): A[:5]}, twin=TWIN[:5])
    alone, family = (
        claims.judge_all(known.project, "local", "quick", wide)[0] for wide in (False, True)
    )
    assert alone["verdict"] == "reproduced"
    assert (family["verdict"], family["why"]) == (
        "inconclusive",
        (
            "over all claims together 5 blocks are too few for an interval at 97.50%; measure at "
            "least 7"
        ),
    )
    known.write("quick", {("a", 1): [*A, 10.0]}, twin=[*TWIN, 10.0])
    assert claims.judge_all(known.project, "local", "quick", True)[0]["verdict"] == "reproduced"


@pytest.mark.parametrize(
    "values, blocks",
    [
        (
            np.exp([-0.2, -0.1, 0.0, 0.1, 0.2]).tolist(),
            math.ceil((2.46 * 1.4826 * 0.1 / 0.05) ** 2),
        ),
        (A, 5),
        ([1.0, 1.0, 1.0, 1.0, 9.0, 9.0, 9.0], None),  # two groups: no number of blocks narrows that
        ([1.0, 2.0, 3.0, 4.0], None),
    ],
)
def test_how_many_blocks_five_percent_would_take(judge, values, blocks):
    assert (
        judge(f"{A_1}.below(1)", {("a", 1): values}, twin=values)["blocks_for_5_percent"] == blocks
    )


# --- mistakes --------------------------------------------------------------------------------

MISTAKES = [
    ('results.estimate("latency", way="a", size=1).below(1)',
     ('claim C1 (toy/known): toy/known: metric "latency" not found; did you mean '
     '"latency_us"? (there are: latency_us, rate)')),
    ('results.estimate("latency_us", wya="a", size=1).below(1)',
     'claim C1 (toy/known): toy/known: no factor "wya"; did you mean "way"?'),
    ('results.estimate("latency_us", way="d", size=1).below(1)',
     'claim C1 (toy/known): toy/known: level of way "d" not found (there are: a, b, c, null)'),
    ('results.estimate("latency_us", way="a").below(1)',
     "claim C1 (toy/known): toy/known: 2 cells have {'way': 'a'}; say which size"),
    ('results.ratio("latency_us", of=dict(way="b"), to=dict(size=1), size=1).below(1)',
        "say which way"),
    ("results.mean('latency_us').below(1)",
     "claim C1 (toy/known): AttributeError: 'Results' object has no attribute 'mean'"),
    ('results.ratio("latency_us", of=dict(way="a"), to=dict(way="a"), size=1).below(1)',
     "claim C1 (toy/known): toy/known: a ratio needs two cells, and both sides are way=a size=1"),
    (A_1, ("claim C1 (toy/known) has no bound: return an estimate's .below(...), .above(...) or "
          ".equal(...)")),
    ("None", "claim C1 (toy/known) has no bound"),
    (f"{A_1}.below('x')", ("claim C1 (toy/known): ValueError: could not convert string to float: "
                          "'x'")),
    (f"{A_1}.below(float('nan'))",
     "claim C1 (toy/known) below nan µs: a bound of nan decides nothing; pass a finite one"),
    (f"{A_1}.above(0)", ("claim C1 (toy/known) above 0 µs: a bound of 0.0 cannot be cleared by a "
                        "factor")),
    (f"{A_1}.equal(margin=0)", "a margin of 0.0 is not positive; pass 0.05 for 5 %"),
    (f"{A_1}.equal(0.1, target=-1)", "a target of -1.0 is not positive"),
]  # fmt: skip


@pytest.mark.parametrize("asked, message", MISTAKES)
def test_a_mistake_in_a_claim_is_one_line_that_names_the_claim_and_what_there_is(
    judge, asked, message
):
    values = {("a", 1): A, ("a", 2): A, ("b", 1): A}
    with pytest.raises(UserError) as refused:
        judge(asked, values)
    assert message in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "text, message",
    [
        (
            CLAIM.format(asked="1").replace("toy/known", "toy/knwon"),
            (
                'claims.py: claim C1: experiment "toy/knwon" not found; did you mean '
                '"toy/known"? (there are: toy/known)'
            ),
        ),
        (
            CLAIM.format(asked="1").replace('"""A sentence."""', "pass"),
            "claim C1: needs a docstring, the sentence as the paper prints it",
        ),
        (
            TWO.format(asked="1", other="1").replace("C2", "C1"),
            "claim C1 is made twice; each id belongs to one sentence",
        ),
        ("import nothing_of_this_name", "analysis/claims.py does not import: ModuleNotFoundError"),
        ("    x = = 1", "analysis/claims.py does not import: SyntaxError"),
    ],
)
def test_a_mistake_in_the_file_of_claims_is_one_line(known, text, message):
    known.claims(text)
    with pytest.raises(UserError) as refused:
        claims.load_claims(known.project)
    assert message in str(refused.value) and "\n" not in str(refused.value)


def test_claims_keep_their_order_and_a_second_loading_starts_anew(known):
    known.claims(TWO.format(asked="1", other="2"))
    for _ in range(2):
        assert [claim.id for claim in claims.load_claims(known.project)] == ["C1", "C2"]
    (known.project.analysis / "claims.py").unlink()
    assert claims.load_claims(known.project) == []


def test_each_family_may_make_its_claims_in_a_file_of_its_own(known):
    known.claims(CLAIM.format(asked="1"))
    other = known.project.analysis / "claims_other.py"
    other.write_text((known.project.analysis / "claims.py").read_text().replace("C1", "C9"))
    assert [claim.id for claim in claims.load_claims(known.project)] == ["C1", "C9"]
    other.write_text(other.read_text().replace("C9", "C1"))
    with pytest.raises(UserError, match="C1 is made twice"):
        claims.load_claims(known.project)


def test_results_of_another_schema_are_not_taken_for_results_that_are_missing(known):
    known.claims(CLAIM.format(asked=f"{A_1}.below(11)"))
    known.write("reference", {("a", 1): A}, twin=TWIN)
    path = known.project.results("local", "reference") / "toy/known" / TRIALS
    table = pq.read_table(path)
    pq.write_table(
        table.replace_schema_metadata({**table.schema.metadata, b"benchpaper.schema": b"0"}), path
    )
    with pytest.raises(ResultsError, match="schema version 0, but this program reads 1"):
        claims.judge_all(known.project, "local", "reference")


# --- the command line ------------------------------------------------------------------------


@pytest.fixture
def shop(known):
    """Known results of two claims, one reproduced and one contradicted; the reference differs."""
    known.claims(TWO.format(asked=f"{B_TO_A}.above(1.5)", other=f"{A_1}.below(9)"))
    known.write("quick", {("a", 1): A, ("b", 1): times(A, 2)}, twin=TWIN)
    known.write("reference", {("a", 1): times(A, 0.5), ("b", 1): A}, twin=times(TWIN, 0.5))
    return known.project


def test_the_table_shows_the_papers_value_beside_this_sites(shop, run_benchpaper):
    done = run_benchpaper(shop, "claims")
    assert done.returncode == 0, done.stderr
    for shown in (
        "C1",
        "A sentence.",
        "(below 9 µs)",
        "10.0 µs [9.8, 10.2]",
        "5.01 µs",
        "reproduced",
        "contradicted",
    ):
        assert shown in done.stdout, shown
    assert (
        "2 of 2 claims have an interval; by chance alone at most 0.05 of these verdicts are "
        "wrong on average"
    ) in done.stdout


def test_json_has_both_sides_and_strict_fails_when_one_is_contradicted(shop, run_benchpaper):
    done = run_benchpaper(shop, "claims", "--json", "--strict")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert [(row["verdict"], row["paper_verdict"]) for row in found["claims"]] == [
        ("reproduced", "holds in the reference"),
        ("contradicted", "holds in the reference"),
    ]
    assert found["claims"][1]["paper"] == "5.01 µs [4.92, 5.08] (n = 6)"
    assert (found["decided"], found["wrong_by_chance_at_most"]) == (2, 0.05)
    assert run_benchpaper(shop, "claims", "--strict", "--from", "reference").returncode == 0
    family = json.loads(run_benchpaper(shop, "claims", "--json", "--family-wise").stdout)
    assert (
        family["wrong_by_chance_at_most"] < 0.05
        and family["claims"][0]["verdict"] == "inconclusive"
    )  # 6 blocks for 97.5 %


def test_strict_holds_the_reference_to_its_own_claims(known):
    assert claims.failing(
        [
            {"id": "C1", "verdict": "does not hold in the reference"},
            {"id": "C2", "verdict": "inconclusive"},
        ]
    ) == ["C1"]


@pytest.mark.parametrize("asked, message", [MISTAKES[0], MISTAKES[7], MISTAKES[11]])
def test_a_mistake_never_reaches_the_user_as_a_traceback(shop, run_benchpaper, asked, message):
    (shop.analysis / "claims.py").write_text(
        "from benchpaper.analysis.claims import claim\n"
        + CLAIM.format(asked=asked).replace("\n    ", "\n")
    )
    done = run_benchpaper(shop, "claims")
    assert done.returncode == 2 and "Traceback" not in done.stderr and done.stderr.count("\n") == 1
    assert done.stderr.startswith("benchpaper: ") and (
        message in done.stderr or "size" in done.stderr
    )


def test_an_unknown_source_is_refused(shop, run_benchpaper):
    done = run_benchpaper(shop, "claims", "--scale", "qick")
    assert done.returncode == 2 and 'scale "qick" not found; did you mean "quick"?' in done.stderr


# --- on what was measured --------------------------------------------------------------------

MEASURED = """
    @claim("P1", experiment="toy/pipe")
    def pipes_are_fast(results):
        \"\"\"A byte through a pipe takes less than a millisecond.\"\"\"
        return results.estimate("latency_us", way="pipe", size_bytes=1).below(1000)

    @claim("P2", experiment="toy/pipe")
    def adapters(results):
        \"\"\"A byte through an adapter takes less than a millisecond.\"\"\"
        return results.estimate("latency_us", way="nic", size_bytes=1).below(1000)

    @claim("P3", experiment="toy/pipe")
    def sockets(results):
        \"\"\"A socket takes as long as a pipe.\"\"\"
        cells = dict(of=dict(way="socket"), to=dict(way="pipe"), size_bytes=4096)
        return results.ratio("latency_us", **cells).equal(0.1)

    @claim("P4", experiment="toy/pipe")
    def bytes_are_counted(results):
        \"\"\"All bytes arrive.\"\"\"
        cells = dict(of=dict(size_bytes=4096), to=dict(size_bytes=1), way="pipe")
        return results.ratio("bytes_moved", **cells).equal(0.01, target=4096)
"""


def test_claims_on_what_was_really_measured(measured_project, tmp_path):
    project = Project(tmp_path / "copy")
    shutil.copytree(measured_project.root, project.root)
    project.analysis.mkdir()
    (project.analysis / "claims.py").write_text(
        "from benchpaper.analysis.claims import claim\n" + MEASURED.replace("\n    ", "\n")
    )
    rows = {row["id"]: row for row in claims.judge_all(project, "local", "quick")}
    assert rows["P1"]["n"] == 5 and rows["P1"]["verdict"] in (
        "reproduced",
        "inconclusive",
    )  # as quiet as this machine is
    assert (rows["P2"]["verdict"], rows["P2"]["why"]) == ("not testable here", "needs rdma")
    assert (rows["P3"]["verdict"], rows["P3"]["why"]) == (
        "inconclusive",
        "all 5 trials failed (no buffer space)",
    )
    # The pipe's latency may have a biased A/A by chance, which spoils the counted bytes, too.
    assert rows["P4"]["value"] == 4096 and (
        rows["P4"]["verdict"] == "reproduced" or "identical cells differ" in rows["P4"]["why"]
    )
