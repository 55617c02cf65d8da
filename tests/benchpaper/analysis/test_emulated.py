"""What emulated machines cannot measure is no result: not shown, not averaged, not compared."""

import copy

import pytest

from benchpaper.analysis import claims, estimates
from benchpaper.analysis.compare import compare
from benchpaper.analysis.exhibits import Exhibits
from benchpaper.analysis.values import InsufficientDataError
from benchpaper.core.errors import UserError
from benchpaper.design.spec import Metric

EMULATED = {"client.virtualised": "emulated (QEMU TCG)", "server.virtualised": "no"}
REAL = {"client.virtualised": "yes", "server.virtualised": "User-Mode Linux"}
A1, B1 = ("a", 1), ("b", 1)
VALUES = {A1: [1.0, 1.1, 1.2, 1.0, 1.1], B1: [2.0, 2.1, 2.2, 2.0, 2.1]}
RATES = {cell: [7.0] * 5 for cell in VALUES}
WHOLLY = "latency_us was measured on an emulated machine, whose times are no results"
PARTLY = "latency_us was measured partly on emulated machines, whose times do not compare with real"
REMEDY = "measure it on a real machine, or declare emulation=True if it is a count"


@pytest.fixture
def measured(known):
    """Return `write(hosts, ...)`: results of those hosts, where emulation may measure `rate`."""
    described = copy.deepcopy(known.described)
    described["metrics"][1] |= dict(emulation=True, unit="count")

    def write(*hosts, source="quick", site="local", values=VALUES):
        """Write a block of each of `hosts` in turn."""
        load, record = known.load, known._record
        known._record = lambda block, *rest: (
            record(block, *rest) | {"hosts": hosts[block % len(hosts)]}
        )
        results = known.write(
            source, values, site=site, rate={cell: RATES[cell] for cell in values},
            described=described, twin=[1.0] * 5,
        )  # fmt: skip
        known._record = record
        assert load(source, site).blocks == 5
        return results

    write.known = known
    return write


WAYS = {
    "a value": lambda r: r.estimate("latency_us", way="a", size=1),
    "a quantile": lambda r: r.estimate("latency_us", q=0.9, way="a", size=1),
    "a ratio": lambda r: r.ratio("latency_us", of=dict(way="b"), to=dict(way="a"), size=1),
    "a function": lambda r: r.combined("latency_us", ["way=a size=1"], lambda v: sum(v.values())),
    "a share": lambda r: r.pooled_share("latency_us", "rate", way="a", size=1),
    "a summary": lambda r: r.summary("latency_us", way=["a", "b"], size=1).estimates[0],
    "an order": lambda r: r.rank_agreement("latency_us", "rate", way=["a", "b"], size=1),
    "a noise floor": lambda r: r.noise_floor("latency_us"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("hosts, why", [
    ([EMULATED], WHOLLY), ([REAL, EMULATED], PARTLY), ([EMULATED, REAL], PARTLY),
], ids=["emulated", "first real", "first emulated"])  # fmt: skip
def test_no_estimate_is_made_of_a_time_of_an_emulated_machine(measured, way, hosts, why):
    estimate = WAYS[way](measured(*hosts))
    assert (estimate.value, estimate.values) == (None, ())
    assert why in estimate.missing and REMEDY in estimate.missing and "\n" not in estimate.missing


@pytest.mark.parametrize("way", sorted(WAYS.keys() - {"a share", "an order", "a quantile"}))
def test_the_same_estimates_exist_on_real_machines(measured, way):
    assert WAYS[way](measured(REAL)).value is not None


@pytest.mark.parametrize("hosts", [[EMULATED], [REAL, EMULATED], [REAL]], ids=str)
def test_a_count_is_a_result_wherever_it_was_measured(measured, hosts):
    estimate = measured(*hosts).estimate("rate", way="a", size=1)
    assert (estimate.value, estimate.n, estimate.unit) == (7.0, 5, "count")


def test_a_notebook_finds_no_such_time_in_the_tables_either(measured):
    results = measured(EMULATED, REAL)
    frame = results.observation_df
    assert set(frame.loc[frame["latency_us"].notna(), "block"]) == {1, 3}
    assert frame["rate"].notna().sum() == 10  # of two cells; their twin has none
    whole = estimates.load(
        "toy/known", measured.known.project.results("local", "quick"), whole=True
    )
    assert whole.observation_df["latency_us"].notna().all()
    with pytest.raises((InsufficientDataError, UserError)):
        results.samples("latency_us", "way=a size=1")


def test_an_emulated_time_is_not_typeset(measured, tmp_path, capsys):
    results = measured(EMULATED)
    exhibits = Exhibits(results, tmp_path)
    exhibits.number("slow", results.estimate("latency_us", way="a", size=1))
    exhibits.number("exact", results.estimate("rate", way="a", size=1))
    said = capsys.readouterr().out
    assert f"slow: not measured here: {WHOLLY}; {REMEDY}" in said and "exact: 7 " in said


def test_no_run_is_compared_with_an_emulated_one(measured):
    known = measured.known
    known.claims("")
    measured(EMULATED)
    measured(REAL, source="reference")
    done = compare(known.project, "toy/known", "local", "quick", "local")
    assert all(WHOLLY in str(cell.ratio.to_json()) for cell in done.cells) and done.cells
    counts = compare(known.project, "toy/known", "local", "quick", "local", metric="rate")
    assert not any(WHOLLY in str(cell.ratio.to_json()) for cell in counts.cells)


def test_a_claim_on_an_emulated_time_is_not_testable(measured):
    measured.known.claims('''
        @claim("C1", experiment="toy/known")
        def first(results):
            """a is quick."""
            return results.estimate("latency_us", way="a", size=1).below(100)
    ''')
    measured(EMULATED)
    row = claims.judge_all(measured.known.project, "local", "quick", False)[0]
    assert row.verdict == "not testable here" and WHOLLY in row.why


@pytest.mark.parametrize("unit", ["µs", "s", "GB/s", "s/GB", "1/s", "h", "ns"])
def test_no_unit_of_time_can_be_declared_as_a_count(unit):
    with pytest.raises(UserError, match="an emulated machine cannot measure"):
        Metric("x", unit=unit, better="neither", emulation=True)


@pytest.mark.parametrize("unit", ["count", "B", "1", "packets/GET", "MiB"])
def test_counts_are_declared_per_metric_and_described_only_then(unit):
    metric = Metric("x", unit=unit, better="neither", emulation=True)
    assert metric.describe()["emulation"] is True
    assert "emulation" not in Metric("x", unit=unit, better="neither").describe()
