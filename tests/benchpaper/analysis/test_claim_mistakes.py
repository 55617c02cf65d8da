"""Claims: every mistake, the command line, and claims on measured results."""

import json
import shutil

import pyarrow.parquet as pq
import pytest
from known_claims import A_1, B_TO_A, CLAIM, TWIN, TWO, A, times

from benchpaper.analysis import claims
from benchpaper.analysis.claim_rows import ClaimRow
from benchpaper.core.errors import UserError
from benchpaper.core.project import Project
from benchpaper.results import TRIALS, ResultsError

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


@pytest.mark.parametrize("condition, message", MISTAKES)
def test_a_mistake_in_a_claim_is_one_line_that_names_the_claim_and_what_there_is(
    judge, condition, message
):
    values = {("a", 1): A, ("a", 2): A, ("b", 1): A}
    with pytest.raises(UserError) as refused:
        judge(condition, values)
    assert message in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("asked, message", [
    (".equal(1.0, target=0.0)", "a target of 0.0 is not positive"),
    (".equal(0.0)", "a margin of 0.0 is not positive"),
    (".within(2, 1)", "a range from 2.0 to 1.0 holds nothing"),
    (".above(float('inf'))", "a bound of inf decides nothing"),
])  # fmt: skip
def test_a_question_that_no_result_can_answer_is_refused_before_there_are_results(
    judge, asked, message
):
    gap = 'results.estimate("latency_us", way="b", size=1)'
    with pytest.raises(UserError, match=message):
        judge(f"{gap}{asked}", {("a", 1): A, ("b", 1): "needs x"})


@pytest.mark.parametrize(
    "text, message",
    [
        (
            CLAIM.format(condition="1").replace("toy/known", "toy/knwon"),
            (
                'claims.py: claim C1: experiment "toy/knwon" not found; did you mean '
                '"toy/known"? (there are: toy/known)'
            ),
        ),
        (
            CLAIM.format(condition="1").replace('"""A sentence."""', "pass"),
            "claim C1: needs a docstring, the sentence as the paper prints it",
        ),
        (
            TWO.format(condition="1", other="1").replace("C2", "C1"),
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
    known.claims(TWO.format(condition="1", other="2"))
    for _ in range(2):
        assert [claim.id for claim in claims.load_claims(known.project)] == ["C1", "C2"]
    (known.project.analysis / "claims.py").unlink()
    assert claims.load_claims(known.project) == []


def test_each_family_may_make_its_claims_in_a_file_of_its_own(known):
    known.claims(CLAIM.format(condition="1"))
    other = known.project.analysis / "claims_other.py"
    other.write_text((known.project.analysis / "claims.py").read_text().replace("C1", "C9"))
    assert [claim.id for claim in claims.load_claims(known.project)] == ["C1", "C9"]
    other.write_text(other.read_text().replace("C9", "C1"))
    with pytest.raises(UserError, match="C1 is made twice"):
        claims.load_claims(known.project)


def test_results_of_another_schema_are_not_taken_for_results_that_are_missing(known):
    known.claims(CLAIM.format(condition=f"{A_1}.below(11)"))
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
    known.claims(TWO.format(condition=f"{B_TO_A}.above(1.5)", other=f"{A_1}.below(9)"))
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
    judged = json.loads(done.stdout)
    assert [(row["verdict"], row["paper_verdict"]) for row in judged["claims"]] == [
        ("reproduced", "holds in the reference"),
        ("contradicted", "holds in the reference"),
    ]
    assert judged["claims"][1]["paper"] == "5.01 µs [4.92, 5.08] (n = 6)"
    assert (judged["decided"], judged["wrong_by_chance_at_most"]) == (2, 0.05)
    assert run_benchpaper(shop, "claims", "--strict", "--from", "reference").returncode == 0
    family = json.loads(run_benchpaper(shop, "claims", "--json", "--family-wise").stdout)
    assert (
        family["wrong_by_chance_at_most"] < 0.05
        and family["claims"][0]["verdict"] == "inconclusive"
    )  # 6 blocks for 97.5 %


def test_strict_holds_the_reference_to_its_own_claims(known):
    verdicts = {"C1": "does not hold in the reference", "C2": "inconclusive"}
    rows = [
        ClaimRow(id=id, sentence="", experiment="toy/known", verdict=word, why="", short="")
        for id, word in verdicts.items()
    ]
    assert claims.failing(rows) == ["C1"]


@pytest.mark.parametrize("condition, message", [MISTAKES[0], MISTAKES[7], MISTAKES[11]])
def test_a_mistake_never_reaches_the_user_as_a_traceback(shop, run_benchpaper, condition, message):
    (shop.analysis / "claims.py").write_text(
        "from benchpaper.analysis.claims import claim\n"
        + CLAIM.format(condition=condition).replace("\n    ", "\n")
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
    rows = {row.id: row for row in claims.judge_all(project, "local", "quick")}
    assert rows["P1"].n == 5 and rows["P1"].verdict in (
        "reproduced",
        "inconclusive",
    )  # as quiet as this machine is
    assert (rows["P2"].verdict, rows["P2"].why) == ("not testable here", "needs rdma")
    assert (rows["P3"].verdict, rows["P3"].why) == (
        "inconclusive",
        "all 5 trials failed (no buffer space)",
    )
    # The pipe's latency may have a biased A/A by chance, which spoils the counted bytes, too.
    assert rows["P4"].value == 4096 and (
        rows["P4"].verdict == "reproduced" or "identical cells differ" in rows["P4"].why
    )
