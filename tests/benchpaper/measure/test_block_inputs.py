"""What trials read is part of what they depend on, and of where their results come from."""

import pytest

from benchpaper import results
from benchpaper.analysis.changes import changed_since
from benchpaper.core.deployment import Software
from benchpaper.core.errors import UserError
from benchpaper.hosts import HostError
from benchpaper.hosts.local import LocalHost
from benchpaper.measure.inside import Inside, Recorder
from benchpaper.measure.mistakes import TrialMistake
from benchpaper.measure.provisions import Provider, Provisions
from benchpaper.results import journal
from benchpaper.workflow import reasons

READ = """
    text = site.inputs["data/x"].read_text()
    yield dict(latency_us=float(len(text)))
"""
DECLARE = "from benchpaper.design.inputs import Input\nexperiment.inputs = {}"


@pytest.fixture
def toy(make_toy):
    """Return `make(inputs, body)`: toy/one with declared inputs, and data/x of one byte."""

    def make(inputs="(Input('data/x'),)", body=READ, **options):
        return make_toy(
            body, more=DECLARE.format(inputs), files={"data/x": "1", "data/f/a": "1"}, **options
        )

    return make


def measured(project, block):
    block.measure()
    results.collect(project.results("local", "smoke") / "toy/one", 1)
    return results.read(project.results("local", "smoke") / "toy/one" / results.TRIALS)


def test_an_experiment_without_inputs_depends_on_what_it_did_before(make_toy, block_of):
    block = block_of(make_toy("yield dict(latency_us=1.0)"))
    assert "inputs" not in block.depends
    assert set(block.depends) == {
        "sources", "plan", "levels", "block", "hosts", "tools", "capabilities", "facts", "counts",
        "schema",
    }  # fmt: skip
    block.measure()
    _, described = results.read(block.files[1])
    assert results.INPUTS not in described


def test_a_trial_reads_its_input_and_the_results_name_it(toy, block_of):
    project = toy("(Input('data/x', licence='CC0-1.0'), Input('data/f'))")
    table, described = measured(project, block_of(project))
    assert table.column("state").to_pylist() == ["measured"]
    file, folder = described[results.INPUTS]
    assert (file["path"], file["licence"], file["bytes"], file["files"]) == (
        "data/x", "CC0-1.0", 1, 1,
    )  # fmt: skip
    assert len(file["sha256"]) == len(folder["sha256"]) == 64 and folder["path"] == "data/f"


def test_a_changed_input_makes_results_stale_and_the_old_one_makes_them_fresh(toy, block_of):
    project = toy()
    block = block_of(project)
    measured(project, block)
    path = project.results("local", "smoke") / "toy/one" / results.TRIALS
    assert changed_since(project, "toy/one", path) == []
    (project.root / "data/x").write_text("22")
    assert changed_since(project, "toy/one", path) == ["input data/x"]
    other = block_of(project)
    assert other.key != block.key
    assert reasons.reasons(other.before(), other.depends) == ["input data/x changed"]
    other.measure()
    (project.root / "data/x").write_text("1")
    again = block_of(project)
    assert again.key == block.key and again.measure() == 0  # its trials were never lost


def test_an_absent_input_with_a_digest_leaves_its_results_valid(toy, block_of):
    digest = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"
    project = toy(f"(Input('data/x', sha256='{digest}'),)")
    key = block_of(project).key
    measured(project, block_of(project))
    (project.root / "data/x").unlink()
    block = block_of(project)
    assert block.key == key and block.is_finished and block.measure() == 0
    path = project.results("local", "smoke") / "toy/one" / results.TRIALS
    assert changed_since(project, "toy/one", path) == []


REFUSED = {
    "missing": (lambda path: path.unlink(), "()", "input data/x is missing"),
    "changed": (lambda path: path.write_text("2"), f"sha256='{'0' * 64}'", "input data/x changed"),
}


@pytest.mark.parametrize("change, fields, words", REFUSED.values(), ids=REFUSED)
def test_nothing_is_measured_with_a_wrong_input(toy, block_of, change, fields, words):
    fields = "" if fields == "()" else fields
    project = toy(f"(Input('data/x', {fields}),)")
    change(project.root / "data/x")
    block = block_of(project)
    with pytest.raises(UserError, match=words):
        block.measure()
    assert journal.finished(block.journal_path) == 0


def test_a_trial_that_changes_its_input_is_not_kept(toy, block_of):
    project = toy(body=READ + "    site.inputs['data/x'].write_text('3')\n")
    block = block_of(project)
    with pytest.raises(UserError, match="input data/x changed while it was used"):
        block.measure()
    assert journal.finished(block.journal_path) == 0


# ---- what is sent to hosts ----

SEND = "yield dict(latency_us=float(bool(site.client.provide({path}))))"
COVERED = {
    "an input": "site.inputs['data/x']",
    "a file of an input": "site.inputs['data/f'] / 'a'",
    "a program": "site.programs / 'tool'",
    "a source": "Path(__file__)",
    "a package": "Path(sys.prefix) / 'lib'",
    "a program of the system": "'/usr/bin/env'",
    "a file of the trial": "site.client.scratch() / 'x'",
}


@pytest.mark.parametrize("path", COVERED.values(), ids=COVERED)
def test_what_the_key_covers_is_sent(toy, block_of, path):
    project = toy("(Input('data/x'), Input('data/f'))", SEND.format(path=path))
    table, _ = measured(project, block_of(project))
    assert table.column("reason").to_pylist() == [""]


UNDECLARED = ["'data/y'", "'/etc/hostname'", "site.inputs['data/x'].parent"]


@pytest.mark.parametrize("path", UNDECLARED)
def test_anything_else_is_refused(toy, block_of, path):
    project = toy(body=SEND.format(path=path))
    table, _ = measured(project, block_of(project))
    [reason] = table.column("reason").to_pylist()
    assert "is no declared input, so a change of it would go unnoticed" in reason


def test_a_host_outside_an_environment_gets_no_more(tmp_path):
    here, provisions = LocalHost(folder=tmp_path), Provisions({"data/x": tmp_path / "x"})
    inside = Inside(here, Software("gcc/13"), Recorder(lambda host, argv: lambda status: None))
    with pytest.raises(HostError, match="is no declared input"):
        Provider(inside, provisions, print).outside.provide("/etc/hostname")
    assert not hasattr(Provider(here, provisions, print), "outside")


def test_a_link_to_something_else_does_not_help(toy, block_of):
    project = toy(body=SEND.format(path="Path(__file__).with_name('link')"))
    (project.experiments / "toy/one/link").symlink_to("/etc/hostname")
    table, _ = measured(project, block_of(project))
    assert "is no declared input" in table.column("reason").to_pylist()[0]


def test_without_declared_inputs_it_is_said_and_recorded(toy, block_of):
    project = toy("()", SEND.format(path="'/etc/hostname'"))
    said = []
    block = block_of(project, report=lambda event, **facts: said.append((event, facts)))
    table, _ = measured(project, block)
    [tools] = table.column("tools").to_pylist(maps_as_pydicts="strict")
    assert len(tools["undeclared input hostname"]) == 16
    [message] = [facts["message"] for event, facts in said if event == "undeclared"]
    assert message.startswith("undeclared input hostname was sent to a host") and "Input" in message


def test_an_unknown_input_is_named_with_the_known_ones(toy, block_of):
    project = toy(body="yield dict(latency_us=float(len(site.inputs['data/z'].name)))")
    with pytest.raises(TrialMistake, match=r'"data/z" is no declared input.*data/x'):
        block_of(project).measure()


def test_the_place_of_an_input_is_in_no_result(toy, block_of, tmp_path):
    place = tmp_path / "secret-place"
    place.write_text("1")
    digest = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"
    body = "site.client.run(['cat', site.inputs['data/x']])\nyield dict(latency_us=1.0)"
    project = toy(f"(Input('data/x', sha256='{digest}'),)", body)
    hosts = "hosts: [{name: local, roles: [client]}]"
    (project.root / "sites/far.yaml").write_text(f"{hosts}\ninputs: {{data/x: {place}}}\n")
    block = block_of(project, site="far")
    block.measure()
    text = str(results.read(block.files[1])[0].column("commands").to_pylist())
    assert "secret-place" not in text and "$INPUTS/data/x" in text
    path = block.files[1]
    assert changed_since(project, "toy/one", path) == []
    place.write_text("2")
    assert changed_since(project, "toy/one", path) == ["input data/x"]
