"""What `doctor` says of code that the authors could not run on the hardware that it is for."""

from datetime import UTC, datetime

import pytest

from benchpaper import Factor
from benchpaper.cli import diagnosis_text
from benchpaper.core import output
from benchpaper.design.checks import SpecError
from benchpaper.design.spec import Experiment, Metric, Scale
from benchpaper.workflow import executed

HOSTS = [("client.kernel", "6.1.0"), ("client.virtualised", "emulated (QEMU)")]


def experiment(**same_code):
    return Experiment(
        title="Toy",
        question="Is it one?",
        factors=[
            Factor("link", ["nic", "nic_emulated", "dc"], same_code=same_code),
            Factor("size", [1, 2]),
        ],
        metrics=[Metric("latency_us", unit="µs", better="lower")],
        scales=dict(full=Scale(blocks=2, trial_seconds=1)),
    )


def rows(*cells):
    return [
        dict(
            cell=cell,
            state=state,
            tools=[("ucx", "1.23")],
            hosts=HOSTS,
            started=datetime(2026, 11, day, tzinfo=UTC),
        )
        for cell, state, day in cells
    ]


@pytest.fixture
def reference(tmp_path, monkeypatch):
    """Return a function that says what the trials of a reference are."""
    monkeypatch.setattr(executed.Project, "results", lambda *_: tmp_path / "local", raising=False)

    def make(*cells):
        (tmp_path / "emulated" / "toy").mkdir(parents=True, exist_ok=True)
        (tmp_path / "emulated" / "toy" / "trials.parquet").touch()
        monkeypatch.setattr(executed.results, "read_columns", lambda *_: rows(*cells))
        return executed.in_reference(executed.Project(tmp_path), "toy")

    return make


def test_code_that_only_emulated_machines_ran_is_told_with_date_and_versions(reference):
    toy = experiment(nic_emulated="nic")
    runs = reference(
        ("link=nic_emulated size=1", "measured", 3),
        ("link=nic_emulated size=1", "measured", 5),
        ("link=nic_emulated size=2", "failed", 6),
    )
    cells = toy.cells("full")
    emulated = executed.elsewhere(toy, cells, runs)
    [(cell, (stand_in, execution))] = emulated.items()
    assert (cell, stand_in) == ("link=nic size=1", "link=nic_emulated size=1")
    assert execution.date == "2026-11-05"
    assert execution.versions == {"ucx": "1.23", "kernel": "6.1.0"}


def test_a_cell_that_ran_itself_needs_no_stand_in(reference):
    toy = experiment(nic_emulated="nic")
    runs = reference(
        ("link=nic size=1", "measured", 3), ("link=nic_emulated size=1", "measured", 5)
    )
    assert executed.elsewhere(toy, toy.cells("full"), runs) == {}
    assert executed.elsewhere(experiment(), experiment().cells("full"), runs) == {}


def test_the_diagnosis_has_a_line_for_it(capsys):
    run = {"as": "link=nic_emulated size=1", "when": "2026-11-05", "versions": {"ucx": "1.23"}}
    item = dict(
        roles={}, runnable=1, cells=3, waiting_for={}, changed_since_reference="",
        never_executed_by_the_authors=["link=dc size=1"],
        executed_in_emulation={"link=nic size=1": run},
    )  # fmt: skip
    diagnosis_text._show_runnable(output.console(), "toy", item, {})
    said = " ".join(capsys.readouterr().out.split())
    assert "never been executed by the authors (for one: link=dc size=1)" in said
    assert "emulated machines, last on 2026-11-05 (ucx 1.23)" in said
    assert "(for one: link=nic size=1, by link=nic_emulated size=1)" in said


@pytest.mark.parametrize("same_code", [{"nic_emulated": "wire"}, {"nic_emulate": "nic"}])
def test_levels_that_stand_in_must_be_declared(same_code):
    with pytest.raises(SpecError, match='factor "link": same_code: link=.* is not a level'):
        experiment(**same_code)
