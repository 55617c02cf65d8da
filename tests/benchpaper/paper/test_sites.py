"""Results of several sites in one paper: those of the run, and stored ones next to them."""

import json
import shutil
import subprocess
from dataclasses import replace

import pytest

from benchpaper import results
from benchpaper.analysis import manifests
from benchpaper.analysis.exhibits import Exhibits
from benchpaper.analysis.sites import load
from benchpaper.artifact.bundle import exhibit_check
from benchpaper.artifact.bundle.archive import NotVerified
from benchpaper.core.errors import UserError
from benchpaper.core.project import REFERENCE
from benchpaper.hosts import site as hosts
from benchpaper.paper import gather, latex, provenance
from benchpaper.paper.gather import PaperError
from benchpaper.workflow import dependencies
from benchpaper.workflow.pipeline import Pipeline

PIPE_1 = dict(way="pipe", size_bytes=1)
PAPER = r"""\documentclass{article}
\usepackage[utf8]{inputenc}\usepackage{textcomp}\usepackage{benchpaper}
\input{exhibits.tex}
\begin{document}
Here: \result{pipe-1}. Local: \result[site=local]{pipe-1}. Stored: \resultci[site=cloudlab]{pipe-1},
of \resultblocks[ site = cloudlab ]{pipe-1} blocks. \result[site=cloudlab]{nic-1}
\exhibitfigure{both}
\end{document}
"""


@pytest.fixture
def project(make_project, measured_project, monkeypatch):
    """A project with a run on site local, and stored results of site cloudlab, twice as slow."""
    made = make_project({"analysis/toy_pipe.ipynb": "{}", "paper/main.tex": PAPER})
    shutil.copytree(measured_project.experiments, made.experiments, dirs_exist_ok=True)
    monkeypatch.setenv("BENCHPAPER_PROJECT", str(made.root))
    run = made.results("local", "quick")
    shutil.copytree(
        measured_project.results("local", "quick"),
        run,
        ignore=shutil.ignore_patterns("blocks", "journal", "failed"),
    )
    store(made, run)
    return made


def store(project, run, site="cloudlab", factor=2.0):
    """Store the results of a run as those of another site, slower by a factor."""
    for kind in (results.OBSERVATIONS, results.TRIALS):
        table, described = results.read(run / "toy/pipe" / kind)
        rows = table.to_pylist(maps_as_pydicts="strict")
        for row in rows:
            if kind == results.TRIALS:
                row |= {"site": site, "started": int(row["started"].timestamp() * 1e6)}
            elif row["latency_us"]:
                row["latency_us"]["values"] = [factor * v for v in row["latency_us"]["values"]]
        path = project.results(site, REFERENCE) / "toy/pipe" / kind
        results.write(path, rows, described, kind.split(".")[0])


@pytest.fixture
def saved(project):
    """The exhibits of a notebook that shows both sites; returns the frames that a figure drew."""
    both = load("toy/pipe", "results/local/quick", sites=["cloudlab"])
    exhibits = Exhibits(both, project.build("local", "quick") / "exhibits" / "toy_pipe")
    exhibits.number("pipe-1", both.estimate("latency_us", **PIPE_1))
    exhibits.number("nic-1", both.estimate("latency_us", way="nic", size_bytes=1))
    frames = []
    exhibits.figure("both", lambda frame: draw(frame, frames), both.summary("latency_us"))
    return frames


def draw(frame, frames):
    from matplotlib import pyplot

    frames.append(frame)
    return pyplot.figure(figsize=(1, 1))


def manifest(project):
    return manifests.read_all(project.build("local", "quick"))["toy_pipe"]


def test_a_figure_has_the_site_as_its_first_factor(saved):
    [frame] = saved
    assert list(frame.columns)[:3] == ["site", "way", "size_bytes"]
    assert set(frame["site"]) == {"local", "cloudlab"}
    values = frame[(frame["way"] == "pipe") & (frame["size_bytes"] == 1)].set_index("site")["value"]
    assert values["cloudlab"] == pytest.approx(2 * values["local"], rel=1e-3)


def test_sites_are_not_divided_by_each_other(project):
    both = load("toy/pipe", "results/local/quick", sites=["cloudlab"])
    ratios = both.ratio("latency_us", of=dict(size_bytes=4096), to=dict(size_bytes=1), way="pipe")
    assert ratios["local"].value == pytest.approx(ratios["cloudlab"].value, rel=1e-3)
    assert both["cloudlab"].source.startswith("reference results of site cloudlab")
    assert list(both.estimate("latency_us", **PIPE_1)) == ["local", "cloudlab"]
    assert both.source.startswith("results of site local, ") and "next to reference" in both.source
    of_own = [f"local: {warning}" for warning in both["local"].warnings()]
    assert both.warnings()[: len(of_own)] == of_own
    with pytest.raises(UserError, match="sites='cloudlab' must be a list of names"):
        load("toy/pipe", "results/local/quick", sites="cloudlab")


def test_the_site_of_the_run_is_not_read_twice(project):
    store(project, project.results("local", "quick"), "local", factor=5.0)
    both = load("toy/pipe", "results/local/quick", sites=["local", "cloudlab"])
    assert list(both.by_site) == ["local", "cloudlab"]
    assert both["local"].source.startswith("results of")
    other = load("toy/pipe", "artifacts/reference/cloudlab", sites=["local", "cloudlab"])
    assert list(other.by_site) == ["cloudlab", "local"]


def test_latex_prints_the_number_of_each_site(project, saved):
    gather.gather(project, "local", "quick", ["toy/pipe"])
    latex.check_uses(project.paper, kinds(project))
    entries = manifest(project).exhibits
    assert (entries["pipe-1"].text, entries["local/pipe-1"]) == (
        entries["local/pipe-1"].text,
        entries["pipe-1"],
    )
    assert list(entries["cloudlab/pipe-1"].elsewhere) == ["cloudlab"]
    text = (project.build("local", "quick") / "exhibits.tex").read_text()
    assert "next to reference results of site cloudlab" in text
    assert r"\bpcount{exhibits}{5}" in text  # a second name of a number is no second number
    if not shutil.which("latexmk"):
        pytest.skip("the rest needs LaTeX")
    pdf = latex.typeset(project, "local", "quick")
    printed = subprocess.run(["pdftotext", pdf, "-"], capture_output=True, text=True).stdout
    printed = "".join(printed.split())
    for name, before in (
        ("pipe-1", "Here:"),
        ("local/pipe-1", "Local:"),
        ("cloudlab/pipe-1", "Stored:"),
    ):
        assert before + entries[name].text.replace(" ", "") in printed
    assert f"{entries['cloudlab/pipe-1'].interval}".replace(" ", "") in printed
    assert "of5blocks" in printed and "notmeasuredhere" in printed


def kinds(project):
    exhibits = gather.all_exhibits(project.build("local", "quick"))
    return {name: placed.exhibit.kind for name, placed in exhibits.items()}


@pytest.mark.parametrize(
    "text, message",
    [
        (
            r"\result[site=cloudlba]{pipe-1}",
            'paper/main.tex:1: number "pipe-1" has no value of site "cloudlba"; did you mean '
            '"cloudlab"? its notebook reads it by load(..., sites=["cloudlba"])',
        ),
        (
            r"\exhibitfigure[site=cloudlab]{both}",
            'paper/main.tex:1: "[site=cloudlab]" chooses a number; a figure shows all sites of its '
            "notebook",
        ),
        (r"\result[site=cloudlab]{pipe-2}", 'paper/main.tex:1: number "cloudlab/pipe-2" is not'),
    ],
)
def test_a_mistake_in_the_paper_is_one_line(project, saved, text, message):
    (project.paper / "main.tex").write_text(text)
    with pytest.raises(PaperError) as refused:
        latex.check_uses(project.paper, kinds(project))
    assert str(refused.value).startswith(message) and "\n" not in str(refused.value)


def test_a_site_without_stored_results_is_refused(project):
    with pytest.raises(UserError) as refused:
        load("toy/pipe", "results/local/quick", sites=["clodlab"])
    assert str(refused.value) == (
        'toy/pipe: stored site "clodlab" not found; did you mean "cloudlab"? '
        "(there are: local, cloudlab); store its results in artifacts/reference/SITE/toy/pipe"
    )


def test_a_change_of_the_stored_results_makes_the_exhibits_stale(project, saved):
    gather.gather(project, "local", "quick", ["toy/pipe"])
    store(project, project.results("local", "quick"), factor=3.0)
    with pytest.raises(PaperError, match="are stale: toy/pipe/observations.parquet has changed"):
        gather.gather(project, "local", "quick", ["toy/pipe"])
    run = Pipeline(project, "local", "quick", 1)
    elsewhere = dependencies.stored_elsewhere(run, "toy/pipe")
    assert [path.as_posix() for path in elsewhere] == [
        f"artifacts/reference/cloudlab/toy/pipe/{kind}"
        for kind in (results.OBSERVATIONS, results.TRIALS)
    ]


def test_the_trail_leads_to_the_other_site(project, saved):
    trail = provenance.explain(project, "cloudlab/pipe-1", "local", "quick")
    assert [cell.cell for cell in trail.cells] == ["way=pipe size_bytes=1, site cloudlab"]
    assert trail.source.startswith("reference results of site cloudlab, ")
    paths = [file.path for file in trail.files]
    assert "artifacts/reference/cloudlab/toy/pipe/trials.parquet" in paths and not trail.stale
    both = provenance.explain(project, "both", "local", "quick")
    cells = both.cells
    assert both.source.startswith("results of site local, ")
    assert ", next to reference results of site cloudlab, " in both.source
    assert {cell.cell.partition(", ")[2] for cell in cells} == {"", "site cloudlab"}


def test_the_trail_names_what_each_site_that_it_shows_used(project, saved, monkeypatch):
    item = {"path": "data/x", "url": "", "doi": "", "licence": "CC0-1.0"}
    ran_in = {"role": "client", "name": "conda:x", "contents": ["y==1"]}
    read = results.read

    def with_more(path):
        table, described = read(path)
        digest = ("c" if "cloudlab" in path.parts else "a") * 64
        more = {
            results.INPUTS: [{**item, "sha256": digest}],
            results.ENVIRONMENTS: [{**ran_in, "identity": digest}],
        }
        return table, {**described, **more}

    monkeypatch.setattr(provenance.results, "read", with_more)
    listed = {}
    for name in ("pipe-1", "cloudlab/pipe-1", "both"):
        trail = provenance.explain(project, name, "local", "quick")
        listed[name] = [(item.site, item.sha256[0]) for item in trail.inputs]
        assert [(item.site, item.identity[0]) for item in trail.environments] == listed[name]
    assert listed["both"] == [("", "a"), ("cloudlab", "c")]
    assert listed["cloudlab/pipe-1"] == [("cloudlab", "c")]
    assert listed["pipe-1"][0] == ("", "a")
    trail = provenance.explain(project, "cloudlab/pipe-1", "local", "quick")
    assert str(trail.inputs[0]).endswith("(CC0-1.0, site cloudlab)")
    assert str(trail.environments[0]).endswith("(site cloudlab)")


def test_only_cells_that_others_measured_are_shown_as_imported(project, saved, capsys):
    trail = provenance.explain(project, "both", "local", "quick")
    own, *_ = trail.cells
    imported = tuple(replace(trial, state="imported") for trial in own.trials)
    provenance.show(replace(trail, cells=(own, replace(own, cell="other", trials=imported))))
    text = capsys.readouterr().out
    assert f"  cell      other: {len(imported)} imported\n" in text
    assert text.count("    code     commit ") == 1


def verified(project, change=lambda entries: None):
    """Check the exhibits against the results of both sites, as `verify` does."""
    content = manifest(project).to_json()
    change(content)
    own = load("toy/pipe", project.results("local", "quick"))
    stored = project.results("cloudlab", REFERENCE)
    read = {stored / "toy/pipe": load("toy/pipe", stored)}
    others = exhibit_check._others(project, "toy/pipe", content, read)
    exhibit_check._check_origin(content, own, others)
    folder = project.build("local", "quick") / "exhibits" / "toy_pipe"
    exhibit_check._check_files(folder, content)
    for name, entry in content["exhibits"].items():
        exhibit_check._checked(name, entry, folder, own, others)
    exhibit_check._check_warnings(content, own, others)


@pytest.mark.parametrize(
    "key, value, message",
    [
        ("value", 1.0, "with value 1.0, but the data inside give"),
        ("text", "1.00 µs", "but the data inside give"),
        ("elsewhere", {"moon": ["way=pipe size_bytes=1"]}, "has cells of another site"),
        ("elsewhere", {"cloudlab": ["way=pipe size_bytes=4096"]}, "other cells than its recipe"),
        ("warnings", ["all is well"], "has other warnings than its trials give"),
    ],
)
def test_verify_computes_the_numbers_of_other_sites_again(project, saved, key, value, message):
    verified(project)  # as saved, all is right

    def forge(content):
        content["exhibits"]["cloudlab/pipe-1"][key] = value

    with pytest.raises(NotVerified, match=message):
        verified(project, forge)


def test_verify_compares_the_stored_files(project, saved):
    def forge(content):
        content["sites"]["cloudlab"]["files"]["trials.parquet"]["sha256"] = "0" * 64

    with pytest.raises(NotVerified, match=r"exhibits.json of toy/pipe"):
        verified(project, forge)
    with pytest.raises(NotVerified, match='shows site "moon", whose results are not inside'):
        verified(
            project, lambda content: content["sites"].update(moon=content["sites"]["cloudlab"])
        )


def test_without_other_sites_a_manifest_is_as_before(project):
    own = load("toy/pipe", "results/local/quick")
    folder = project.build("local", "quick") / "exhibits" / "toy_pipe"
    Exhibits(own, folder).number("pipe-1", own.estimate("latency_us", **PIPE_1))
    content = json.loads((folder / manifests.MANIFEST).read_text())
    assert "sites" not in content and "elsewhere" not in content["exhibits"]["pipe-1"]


def test_stored_results_need_no_site_file(project):
    stored = Pipeline(project, "cloudlab", REFERENCE, 1)
    assert stored.choose("") == ["toy/pipe"]
    assert not stored.probed.hosts  # none was asked
    with pytest.raises(UserError) as refused:
        hosts.load(project, "cloudlab")
    assert str(refused.value) == (
        'site "cloudlab" has stored results, but no file sites/cloudlab.yaml with its hosts; read '
        "them by --from reference, or write the file to measure there"
    )
