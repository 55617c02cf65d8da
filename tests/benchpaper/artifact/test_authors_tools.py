"""The author's tools while writing: watch, changed, explain, the appendix, the checklist."""

import json
import shutil

import pytest
import small_project

from benchpaper.analysis.exhibits import NOTHING_ASKED
from benchpaper.artifact import appendix, checklist
from benchpaper.artifact.bundle import metadata
from benchpaper.core.errors import UserError
from benchpaper.core.project import Project
from benchpaper.paper import kernel_server, labels, notebook, number_diff
from benchpaper.workflow import watch

EXHIBIT = "toy-pipe-cost-latency"


@pytest.fixture
def copy(small, tmp_path):
    """A copy of the small project that a test may change."""
    shutil.copytree(small.root, tmp_path / "copy", symlinks=True)
    return Project(tmp_path / "copy")


@pytest.fixture
def server(copy, monkeypatch):
    with kernel_server.serving(copy) as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield


def test_a_warm_notebook_gives_the_bytes_of_a_cold_one(copy, server):
    folder = copy.build("local", "smoke") / "exhibits" / "toy_pipe_cost"
    assert kernel_server.ask(copy, "local", "smoke", small_project.NAME)
    warmly = {path.name: path.read_bytes() for path in folder.iterdir()}
    notebook.analyse(copy, "local", "smoke", small_project.NAME)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == warmly


def test_a_notebook_runs_warm_where_the_folder_for_temporary_files_has_a_long_name(
    copy, tmp_path, monkeypatch
):
    long = tmp_path / ("x" * 120)  # the path of a socket has at most 107 bytes
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with kernel_server.serving(copy) as environment:
        monkeypatch.setenv(kernel_server.VARIABLE, environment[kernel_server.VARIABLE])
        assert kernel_server.ask(copy, "local", "smoke", small_project.NAME)


def test_what_a_warm_notebook_raises_is_told_and_a_killed_one_is_no_riddle(copy, server):
    path = copy.notebook(small_project.NAME)
    good = path.read_text()
    path.write_text(good.replace("style.use()", "1 / 0"))
    with pytest.raises(UserError, match=r"cell \d: ZeroDivisionError"):
        kernel_server.ask(copy, "local", "smoke", small_project.NAME)
    path.write_text(good.replace("style.use()", "import os; os.kill(os.getpid(), 9)"))
    with pytest.raises(UserError, match="[Kk]ernel died"):
        kernel_server.ask(copy, "local", "smoke", small_project.NAME)


def test_without_a_server_nothing_is_asked(copy, monkeypatch):
    monkeypatch.delenv(kernel_server.VARIABLE, raising=False)
    assert kernel_server.ask(copy, "local", "smoke", small_project.NAME) is False


def test_saving_the_settings_redraws_every_figure(copy, server):
    said, place = [], copy.root / "benchpaper.toml"
    watcher = watch.Watcher(copy, "local", "smoke", [small_project.NAME], said.append)
    figure = copy.build("local", "smoke") / "exhibits/toy_pipe_cost/toy-pipe-cost-latency.pdf"
    before = figure.read_bytes()
    place.write_text("[paper]\ncolumn_width_in = 5.0\n")
    assert watcher.saved() == {place} and watcher.rebuild({place}), said
    assert figure.read_bytes() != before
    place.write_text("[paper]\ncolumn_width_in = 500\n")
    assert watcher.saved() == {place} and not watcher.rebuild({place})
    assert "must be a number of inches" in said[-1] and "\n" not in said[-1]


def test_saving_rebuilds_what_depends_on_it_and_a_mistake_is_told(copy, server):
    said = []
    watcher = watch.Watcher(copy, "local", "smoke", [small_project.NAME], said.append)
    assert watcher.saved() == set()
    path, pdf = copy.notebook(small_project.NAME), copy.build("local", "smoke") / "paper.pdf"
    before = pdf.read_bytes()
    path.write_text(path.read_text().replace("median latency", "middle latency"))
    assert watcher.rebuild(watcher.saved()) and "figures and PDF in" in said[-1]
    assert pdf.read_bytes() != before
    text = copy.paper / "main.tex"
    text.write_text(
        text.read_text().replace(r"\section{Results}", r"\section{Results}\result{no-such}")
    )
    assert not watcher.rebuild(watcher.saved()) and '"no-such" is not declared' in said[-1]


def test_changed_numbers_are_listed_with_old_and_new_value(copy, monkeypatch):
    path = copy.notebook(small_project.NAME)
    monkeypatch.setenv("BENCHPAPER_PROJECT", str(copy.root))
    shutil.copytree(copy.build("local", "smoke"), copy.build("local", "reference"))
    notebook.store(copy, small_project.NAME)
    small_project.commit(copy)
    assert number_diff.changed(copy, "local") == []
    stored = path.read_text()
    value = number_diff.numbers(stored)["toy-pipe-cost-4k"]
    manifest = copy.build("local", "reference") / "exhibits" / "toy_pipe_cost" / "exhibits.json"
    data = json.loads(manifest.read_text())
    data["exhibits"]["toy-pipe-cost-4k"]["text"] = "9.99 µs"
    data["exhibits"]["toy-pipe-cost-new"] = data["exhibits"].pop("toy-pipe-cost-floor")
    manifest.write_text(json.dumps(data))
    changes = {
        number.name: (number.old, number.new) for number in number_diff.changed(copy, "local")
    }
    assert changes["toy-pipe-cost-4k"] == (value, "9.99 µs (n = 2)")
    assert changes["toy-pipe-cost-new"][0] is None and changes["toy-pipe-cost-floor"][1] is None
    with pytest.raises(UserError, match='no commit "nonsense"'):
        number_diff.changed(copy, "local", "nonsense")


@pytest.mark.parametrize("name", ["Figure 1", "figure 1", "Fig. 1", "fig 1", "fig:latency"])
def test_a_label_as_it_stands_in_the_pdf_names_its_exhibit(small, name):
    assert labels.exhibits(small, small.build("local", "smoke"), name) == [EXHIBIT]


def test_explain_takes_a_label_and_knows_what_there_is(small, run_benchpaper):
    done = run_benchpaper(small, "explain", "Figure 1", "--scale", "smoke")
    assert (
        done.returncode == 0
        and done.stdout.startswith(f"figure {EXHIBIT}")
        and "program.py pipe 4096" in done.stdout
    )
    assert (
        "(there are: Figure 1, Table 1)"
        in run_benchpaper(small, "explain", "Figure 7", "--scale", "smoke").stderr
    )
    assert (
        "benchpaper claims"
        in run_benchpaper(small, "explain", "Table 1", "--scale", "smoke").stderr
    )


# ---- the appendix ----


def test_the_appendix_has_what_committees_ask_for(small):
    build = small.build("local", "smoke")
    text = (build / "appendix.md").read_text()
    for words in (
        "Badges sought",
        "**Available**",
        "**Functional**",
        "**Reproduced**",
        "Hardware",
        "Major claims",
        "### E1: Pipe cost [C1]",
        "./reproduce toy/pipe_cost --scale quick",
        "human-minutes",
        "measured trials at scale smoke",
        "MB of results (measured)",
        "expected above 1; here",
        "Scaled down",
        "Why less is measured",
    ):
        assert words in text, words
    assert r"\subsubsection*{E1: Pipe cost [C1]}" in (build / "appendix.tex").read_text()


def test_minutes_and_megabytes_come_from_the_measured_trials(small):
    [item] = appendix.make(small, "local", "smoke", [small_project.NAME])["experiments"]
    from benchpaper import results

    folder = small.results("local", "smoke") / small_project.NAME
    frame = results.read(folder / "trials.parquet")[0].to_pandas()
    assert item["minutes"]["smoke"] == pytest.approx(
        (frame["seconds"].sum() + frame["overhead_s"].sum()) / 60
    )
    per_cell = frame.groupby("cell")["seconds"].median()
    assert item["minutes"]["full"] == pytest.approx(15 * per_cell.sum() / 60) and item[
        "trials"
    ] == len(frame)
    assert item["disk_mb"] == pytest.approx(
        sum(path.stat().st_size for path in folder.glob("*.parquet")) / 1e6
    )


# ---- the checklist ----


def broken(name, text, check, words):
    return pytest.param(name, text, check, words, id=f"{check.__name__}-{words.split()[-1]}")


@pytest.mark.parametrize(
    "name, text, check, words",
    [
        broken("README.md", None, checklist.readme, "there is no README.md"),
        broken("LICENSE", None, checklist.licence, "there is no LICENSE"),
        broken(
            "pyproject.toml", '[project]\nlicense = "MIT"\n', checklist.licence, "make them one"
        ),
        broken("CITATION.cff", "title: x\n", checklist.citation, "lacks authors"),
        broken("benchpaper.toml", "[paper]\ntitle = 'Other'", checklist.citation, 'title "Other"'),
        broken("benchpaper.toml", "[paper]\nlicence = 'MIT'", checklist.licence, "says MIT"),
        broken("requirements.lock", "pandas==2.0\n", checklist.lock, "no hash of pandas==2.0"),
        broken(
            "requirements.lock", "--index-url https://example.org\n", checklist.lock, "names a host"
        ),
        broken("paper/main.tex", r"\claim{C9}", checklist.linked_claims, '"C9", which is not made'),
        broken(
            "paper/main.tex", "nothing", checklist.linked_claims, "claim C1 is nowhere in the paper"
        ),
        broken(
            "paper/main.tex", r"% \claim{C1}", checklist.linked_claims, "claim C1 is nowhere in"
        ),
        broken("paper/main.tex", r"\checkstable", checklist.linked_claims, "claim C1 is nowhere"),
        broken(
            "tests/experiments/test_toy_pipe_cost.py",
            None,
            checklist.whole_experiments,
            "is in no test",
        ),
        broken(
            "notes/where.md",
            "see /home/someone/data\n",
            checklist.absolute_paths,
            "notes/where.md:1 has an absolute path",
        ),
        broken("notes/big.bin", "x" * 5_000_001, checklist.small_files, "keep files below 5 MB"),
        broken("notes/more.md", "changed", checklist.committed, "uncommitted changes"),
    ],
)
def test_the_checklist_finds_what_is_wrong_and_says_what_to_do(copy, name, text, check, words):
    if text is None:
        (copy.root / name).unlink()
    else:
        (copy.root / name).write_text(text)
    small_project.git(copy, "add", "-A")
    problems = checklist.problems(copy, check)
    assert any(words in problem for problem in problems) and all(
        "; " in problem for problem in problems
    ), problems


@pytest.mark.parametrize("cells, missing, problem", [
    (None, "", ""),
    ([], "", "it names no cells of the results"),
    ([], NOTHING_ASKED, "it names no cells of the results"),
    ([], "these results are older than the table", ""),
])  # fmt: skip
def test_an_exhibit_has_a_trail_or_says_why_it_is_a_gap(copy, cells, missing, problem):
    build = copy.build("local", "reference")
    shutil.copytree(copy.build("local", "smoke"), build)
    small_runs = copy.results("local", "smoke")
    shutil.copytree(small_runs, copy.results("local", "reference"), dirs_exist_ok=True)
    if cells is not None:
        manifest = build / "exhibits" / "toy_pipe_cost" / "exhibits.json"
        data = json.loads(manifest.read_text())
        data["exhibits"][EXHIBIT].update(cells=cells, missing=missing)
        manifest.write_text(json.dumps(data))
    problems = [each for each in checklist.problems(copy, checklist.trails) if EXHIBIT in each]
    assert len(problems) == bool(problem) and all(problem in each for each in problems)


@pytest.mark.parametrize("text, named", [
    ("see {root}", True), ("see {root}/data", True), ("file://{root}", True),
    ("https://example.org/policies{root}-review", False), ("{root}s", False),
])  # fmt: skip
def test_the_projects_own_folder_is_named_only_by_a_path_of_its_own(tmp_path, text, named):
    (tmp_path / "notes.md").write_text(text.format(root=tmp_path))
    assert bool(checklist.problems(Project(tmp_path), checklist.absolute_paths)) == named


def test_the_checklist_is_content_with_the_small_project(copy):
    (copy.root / "notes" / "where.md").write_text("nowhere\n")
    small_project.commit(copy)
    problems = {check: checklist.problems(copy, check) for check in checklist.FILES}
    assert {check: wrong for check, wrong in problems.items() if wrong} == {}


def test_a_clean_clone_is_built_twice(copy, run_benchpaper):
    assert checklist.problems(copy, checklist.clean_clone) == []
    (copy.root / ".gitignore").write_text((copy.root / ".gitignore").read_text() + "/paper/\n")
    small_project.git(copy, "rm", "-q", "--cached", "-r", "paper")
    small_project.commit(copy)
    assert "clean clone fails" in checklist.problems(copy, checklist.clean_clone)[0]


def test_a_deposit_names_people_as_zenodo_does():
    files = {
        "CITATION.cff": (
            b"title: x\nlicense: MIT\nversion: 1\nauthors:\n  - "
            b"{family-names: Q, given-names: "
            b"A, orcid: https://orcid.org/0000-1}\n"
        )
    }
    state = type("State", (), {"day": "2026-01-01"})
    deposit = metadata.zenodo(files, state)
    assert deposit["creators"] == [{"name": "Q, A", "orcid": "0000-1"}]
    assert deposit["keywords"] == ["artifact"]
    files["benchpaper.toml"] = b"[paper]\nkeywords = ['pipes']"
    assert metadata.zenodo(files, state)["keywords"] == ["pipes"]
    with pytest.raises(UserError, match="CITATION.cff lacks authors"):
        metadata.citation({"CITATION.cff": b"title: x\nlicense: MIT\nversion: 1\n"})
