"""What an experiment may declare, and the one line that says why something may not be declared."""

import pickle

import pytest

from benchpaper import results
from benchpaper.core.errors import UserError
from benchpaper.design.spec import (
    Cell,
    Evidence,
    Experiment,
    Factor,
    Metric,
    Scale,
    SpecError,
    make_cell,
)

SCALES = {name: Scale(blocks=2) for name in ("smoke", "quick", "full")}


def declare(**changes):
    """Return a sound experiment, apart from `changes`."""
    parts = dict(
        title="Toy", question="What does it cost?",
        factors=[Factor("way", ["pipe", "socket"]), Factor("size_bytes", [8, 4096])],
        metrics=[Metric("latency_us", unit="µs", better="lower")], scales=SCALES,
    )  # fmt: skip
    return Experiment(**{**parts, **changes})


def with_smoke(**levels):
    return declare(scales={**SCALES, "smoke": Scale(blocks=2, **levels)})


REFUSED = [
    (
        lambda: Factor("Way", ["a"]),
        "factor name 'Way' must match [a-z][a-z0-9_]* (it becomes a column name)",
    ),
    (lambda: Factor("cell", ["a"]), 'factor name "cell" is taken by the framework; choose another'),
    (lambda: Factor("way", []), 'factor "way" has no levels; give at least one'),
    (lambda: Factor("way", ["a", "b", "a"]), "factor \"way\" has a level twice: ['a', 'b', 'a']"),
    (
        lambda: Factor("size", [8, "4k"]),
        "factor \"size\": level '4k' is str, but the others are int; make them all one type",
    ),
    (
        lambda: Factor("on", [1, True]),
        'factor "on": level True is bool, but the others are int; make them all one type',
    ),
    (
        lambda: Factor("way", [None]),
        'factor "way": a level must be str, int, float or bool, not NoneType',
    ),
    (
        lambda: Factor("way", [["a"], ["b"]]),
        'factor "way": a level must be str, int, float or bool, not list',
    ),
    (lambda: Factor("way", "abc"), "factor \"way\": levels 'abc' must be a list"),
    (
        lambda: Metric("latency_us", unit="", better="lower"),
        'metric "latency_us" has no unit; give one (unit="1" for a pure number)',
    ),
    (
        lambda: Metric("x", unit="s", better="less"),
        'metric "x": better=\'less\' must be "lower", "higher" or "neither"',
    ),
    (
        lambda: Metric("x", unit="s", better="lower", kept="mean"),
        'metric "x": kept=\'mean\' must be "value" or "all samples"',
    ),
    (
        lambda: Metric("block", unit="s", better="lower"),
        'metric name "block" is taken by the framework; choose another',
    ),
    (lambda: Evidence("row"), 'evidence name "row" is taken by the framework; choose another'),
    (lambda: Scale(blocks=0), "blocks=0 must be a whole number of at least 1"),
    (lambda: Scale(blocks=2.0), "blocks=2.0 must be a whole number of at least 1"),
    (lambda: Scale(blocks=True), "blocks=True must be a whole number of at least 1"),
    (lambda: Scale(blocks=1, trial_seconds=0), "trial_seconds 0 must be above 0"),
    (lambda: declare(title=""), "an experiment needs a title"),
    (lambda: declare(question=None), "an experiment needs a question"),
    (lambda: declare(metrics=[]), "an experiment needs at least one metric"),
    (lambda: declare(roles="client"), "roles 'client' must be a list of names"),
    (
        lambda: declare(roles=["client", "counts"]),
        'role name "counts" is taken by the framework; choose another',
    ),
    (lambda: declare(attempts=0), "attempts=0 must be a whole number of at least 1"),
    (lambda: declare(timeout_s=0), "timeout_s 0 must be above 0"),
    (
        lambda: declare(evidence=[Evidence("way")]),
        '"way" is declared twice; factors, metrics and evidence share one table',
    ),
    (lambda: declare(scales={}), "an experiment needs at least one scale"),
    (
        lambda: declare(scales={"smoke": Scale(blocks=1)}).check_scales(list(SCALES)),
        "scales lack quick, full; every experiment declares smoke, quick, full",
    ),
    (
        lambda: declare(scales={**SCALES, "ful": Scale(blocks=1)}).check_scales(list(SCALES)),
        'scale "ful" is not one of smoke, quick, full; did you mean "full"?',
    ),
    (
        lambda: with_smoke(size_byte=[8]),
        'scale "smoke": no factor "size_byte"; did you mean "size_bytes"?',
    ),
    (
        lambda: with_smoke(way=["sock"]),
        (
            'scale "smoke": way=\'sock\' is not a level; did you mean "socket"? (there are: '
            "pipe, socket)"
        ),
    ),
    (
        lambda: with_smoke(size_bytes=["8"]),
        "factor \"size_bytes\": level '8' is str, but the others are int; make them all one type",
    ),
    (lambda: with_smoke(size_bytes=[8, 8]), 'scale "smoke": size_bytes has a level twice: [8, 8]'),
    (lambda: declare(twin=dict(way="pipe")), "twin gives no level for size_bytes"),
    (lambda: declare(twin=dict(wy="pipe")), 'twin: no factor "wy"; did you mean "way"?'),
    (
        lambda: declare(twin=dict(way="pip", size_bytes=8)),
        "twin: way='pip' is not a level; did you mean \"pipe\"? (there are: pipe, socket)",
    ),
    (
        lambda: declare(twin=dict(way="pipe", size_bytes=8), controls=dict(way=["pipe"])),
        "twin={'way': 'pipe', 'size_bytes': 8} is a control, which is quieter than what is "
        "measured; name the noisiest real cell, or leave the twin out",
    ),
    (
        lambda: declare(twin=dict(way="pipe", size_bytes=8), null=dict(way="pipe")),
        "twin={'way': 'pipe', 'size_bytes': 8} is a control, which is quieter than what is "
        "measured; name the noisiest real cell, or leave the twin out",
    ),
    (lambda: declare(controls=dict(wy=["pipe"])), 'controls: no factor "wy"; did you mean "way"?'),
    (lambda: declare(controls=dict(way="pipe")), "controls: way='pipe' must be a list of levels"),
    (
        lambda: declare(controls=dict(way=["pip"])),
        "controls: way='pip' is not a level; did you mean \"pipe\"? (there are: pipe, socket)",
    ),
]


@pytest.mark.parametrize("build, message", REFUSED, ids=[message[:50] for _, message in REFUSED])
def test_what_cannot_be_is_refused_in_one_line(build, message):
    with pytest.raises(SpecError) as refused:
        build()
    assert str(refused.value) == message


NAN, INF, HUGE = float("nan"), float("inf"), 10**10_000
IMPOSSIBLE = {
    "levels": lambda value: Factor("way", [value]),
    "minimum": lambda value: Metric("x", unit="s", better="lower", minimum=value),
    "count": lambda value: Scale(blocks=1, counts=dict(requests=value)),
    "counts": lambda value: Scale(blocks=1, counts=dict(requests=[1, value])),
    "blocks": lambda value: Scale(blocks=value),
    "trial_seconds": lambda value: Scale(blocks=1, trial_seconds=value),
    "disk_mb": lambda value: Scale(blocks=1, disk_mb=value),
    "half_width": lambda value: Scale(blocks=9, pilot=9, half_width=value),
    "budget_s": lambda value: Scale(blocks=9, pilot=9, half_width=0.05, budget_s=value),
    "timeout_s": lambda value: declare(timeout_s=value),
}
TEXTS = {
    "levels": lambda text: Factor("way", [text]),
    "unit of a factor": lambda text: Factor("way", ["a"], unit=text),
    "unit": lambda text: Metric("x", unit=text, better="lower"),
    "meaning": lambda text: Metric("x", unit="s", better="lower", meaning=text),
    "evidence": lambda text: Evidence("used", text),
    "title": lambda text: declare(title=text),
    "question": lambda text: declare(question=text),
}


@pytest.mark.parametrize(
    "value",
    [2**63, -(2**63) - 1, HUGE, -HUGE, NAN, INF, -INF],
    ids=lambda v: f"{v:.3}" if isinstance(v, float) else v.bit_length(),
)
@pytest.mark.parametrize("build", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_a_number_that_no_column_holds_is_refused_in_one_short_line(build, value):
    with pytest.raises(SpecError) as refused:
        build(value)
    assert len(str(refused.value)) < 150 and str(refused.value).isprintable()


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), 1.7e308, 5e-324, 0, 0.0, True, "ä b=c"])
def test_a_number_or_text_that_a_column_holds_may_be_a_level(value):
    assert Factor("way", [value]).levels == (value,)


@pytest.mark.parametrize(
    "text",
    [
        "\ud800",
        "a\udcff",
        "a\0",
        "a\nb",
        "a\tb",
        "\x1b[31m",
        "a\x7f",
        " a",
        "a ",
        "\u2028",
        "a\u200b",
        " ",
    ],
)
@pytest.mark.parametrize("build", TEXTS.values(), ids=TEXTS)
def test_a_text_that_is_no_line_of_print_is_refused_in_one_line(build, text):
    with pytest.raises(SpecError) as refused:
        build(text)
    assert len(str(refused.value)) < 200 and str(refused.value).isprintable()


@pytest.mark.parametrize("build, message", [
    (lambda: Factor("way", [-0.0]),
        'factor "way": level -0.0 equals 0.0 and reads differently; write 0.0'),
    (lambda: Factor("way", [1.0, -0.0, 0.0]),
        'factor "way": level -0.0 equals 0.0 and reads differently; write 0.0'),
    (lambda: Factor("way", [True, 1]),
        'factor "way": level 1 is int, but the others are bool; make them all one type'),
    (lambda: Factor("way", [1, 1.0]),
        'factor "way": level 1.0 is float, but the others are int; make them all one type'),
    (lambda: Factor("way", [1, 2**63]),
        ('factor "way": level 2**63 or more does not fit into 64 bits; take a larger unit, or '
        'a float')),
    (lambda: Factor("way", [1.0, HUGE]),
        ('factor "way": level 2**33219 or more is int, but the others are float; make them '
        'all one type')),
    (lambda: Factor("way", [""]), "factor \"way\": level '' must be a text that is not empty"),
    (lambda: Factor("way", ["a" * 201]),
        f"factor \"way\": level '{'a' * 39}... has 201 characters; 200 are the most"),
    (lambda: Factor("w" * 64, ["a"]),
        f"factor name '{'w' * 20}'... has 64 characters; 63 are the most"),
    (lambda: Scale(blocks=100_001), "blocks=100001 must be at most 100000"),
    (lambda: Scale(blocks=1, counts={"a b": 1}),
        "count name 'a b' must match [a-z][a-z0-9_]* (it becomes an attribute of site.counts)"),
    (lambda: Metric("x", unit="s", better="lower", minimum="0"),
        "metric \"x\": minimum '0' must be a number"),
])  # fmt: skip
def test_what_is_wrong_with_a_value_is_said(build, message):
    with pytest.raises(SpecError) as refused:
        build()
    assert str(refused.value) == message


@pytest.mark.parametrize("table", ["observations", "trials"])
def test_no_factor_can_take_the_name_of_a_column_of_the_framework(table):
    experiment = declare(factors=[Factor("way", ["a"])])
    experiment.name = "toy/one"
    names = {column.name for column in results.columns(experiment.describe(), table)} - {
        "way",
        "latency_us",
    }
    assert {"cell", "twin"} < names
    for name in names:
        with pytest.raises(SpecError, match="taken by the framework"):
            Factor(name, ["a"])


@pytest.mark.parametrize("name", ["id", "levels", "trial_seconds", "disk_mb", "metric", "q"])
def test_no_factor_can_take_a_name_that_cells_scales_and_estimates_use_themselves(name):
    with pytest.raises(SpecError, match="taken by the framework"):
        Factor(name, ["a"])


def test_cells_are_the_valid_combinations_in_declared_order_with_the_twin_last():
    experiment = declare(twin=dict(size_bytes=8, way="pipe"))
    experiment.valid(lambda cell: not (cell.way == "socket" and cell.size_bytes == 4096))
    assert [cell.id for cell in experiment.cells("smoke")] == [
        "way=pipe size_bytes=8", "way=pipe size_bytes=4096", "way=socket size_bytes=8",
        "way=pipe size_bytes=8 twin",
    ]  # fmt: skip
    assert [cell.twin for cell in experiment.cells("smoke")] == [False, False, False, True]


def test_a_scale_restricts_a_factor_to_some_levels():
    experiment = with_smoke(size_bytes=[4096])
    assert [cell.size_bytes for cell in experiment.cells("smoke")] == [4096, 4096]
    assert len(experiment.cells("full")) == 4


def test_a_scale_at_which_no_cell_is_valid_is_refused():
    experiment = declare()
    experiment.name = "toy/one"
    experiment.valid(lambda cell: False)
    with pytest.raises(
        SpecError, match=r'^toy/one: no valid cell at scale "quick"; widen its levels or valid\(\)$'
    ):
        experiment.cells("quick")


def test_a_twin_of_a_cell_that_is_not_measured_is_refused():
    experiment = declare(
        twin=dict(way="pipe", size_bytes=8),
        scales={**SCALES, "smoke": Scale(blocks=1, size_bytes=[4096])},
    )
    experiment.name = "toy/one"
    with pytest.raises(SpecError) as refused:
        experiment.cells("smoke")
    assert (
        str(refused.value)
        == 'toy/one: the twin\'s cell "way=pipe size_bytes=8" is not measured at scale "smoke"'
    )


@pytest.mark.parametrize("factors, twin", [
    ([Factor("a", ["x", "x b=y"]), Factor("b", ["z", "y b=z"])], None),
    ([Factor("a", ["x", "x twin"])], dict(a="x")),
])  # fmt: skip
def test_two_cells_that_read_the_same_are_refused(factors, twin):
    experiment = declare(factors=factors, twin=twin)
    experiment.name = "toy/one"
    with pytest.raises(SpecError, match='^toy/one: two cells are both called "a=x '):
        experiment.cells("smoke")


def test_an_unknown_scale_is_refused_with_the_nearest():
    with pytest.raises(
        UserError,
        match=r'^scale "quik" not found; did you mean "quick"\? \(there are: smoke, quick, full\)$',
    ):
        declare().cells("quik")


def test_an_unknown_factor_of_a_cell_names_the_nearest():
    with pytest.raises(
        AttributeError, match='^a cell has no factor "size"; did you mean "sizes"\\?$'
    ):
        _ = make_cell(dict(sizes=8)).size


def test_a_cell_survives_pickling_and_is_equal_by_its_levels():
    cell = make_cell(dict(way="pipe", size_bytes=8), twin=True)
    copied = pickle.loads(pickle.dumps(cell))
    assert isinstance(copied, Cell) and copied == cell and hash(copied) == hash(cell)
    assert (copied.twin, copied.size_bytes, type(copied.size_bytes)) == (True, 8, int)
    assert copied != make_cell(dict(way="pipe", size_bytes=8))


def test_without_decorators_every_cell_is_valid_and_needs_nothing():
    experiment = declare()
    (cell, *_) = experiment.cells("smoke")
    assert experiment.capabilities(cell) == [] and experiment.tools() == {}


def test_tools_are_asked_for_once():
    experiment, calls = declare(), []
    experiment.uses(lambda: calls.append(1) or {"cc": "12"})
    assert experiment.tools() == experiment.tools() == {"cc": "12"} and calls == [1]


def test_what_is_declared_is_described_as_plain_data():
    experiment = declare(
        twin=dict(way="pipe", size_bytes=8), evidence=[Evidence("used", "what was used")]
    )
    experiment.name = "toy/one"
    described = experiment.describe()
    assert described["factors"][1] == {
        "name": "size_bytes",
        "levels": [8, 4096],
        "unit": "",
        "meaning": "",
    }
    assert described["metrics"][0]["unit"] == "µs" and described["metrics"][0]["minimum"] == 0.0
    assert described["evidence"] == [{"name": "used", "meaning": "what was used"}]
    assert described["twin"] == dict(way="pipe", size_bytes=8) and "controls" not in described
    controlled = declare(controls=dict(way=("socket",))).describe()
    assert controlled["controls"] == dict(way=["socket"])


NULLS = [Factor("path", ["null", "get"]), Factor("server", ["null-s3", "s3"])]


@pytest.mark.parametrize("factors, null, meant", [
    (NULLS, None, dict(path="null")), (NULLS, dict(server="null-s3"), dict(server="null-s3")),
    (NULLS[1:], None, None),
])  # fmt: skip
def test_the_null_target_is_the_level_called_so_unless_another_is_declared(factors, null, meant):
    experiment = declare(factors=factors, null=null)
    assert experiment.null == experiment.describe()["null"] == meant


@pytest.mark.parametrize("factors, null, message", [
    (NULLS, dict(path="nul"), ('null: path=\'nul\' is not a level; did you mean "null"? (there '
                              'are: null, get)')),
    (NULLS, dict(path="null", server="s3"),
     ("null={'path': 'null', 'server': 's3'} must be one level of one factor, as "
     "null=dict(path=\"null\")")),
    ([*NULLS, Factor("loader", ["null"])], None,
     'path and loader both have the level "null"; say which is the null target: null=dict(...)'),
])  # fmt: skip
def test_a_null_target_that_cannot_be_is_refused(factors, null, message):
    with pytest.raises(SpecError) as refused:
        declare(factors=factors, null=null)
    assert str(refused.value) == message
