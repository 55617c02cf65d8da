"""Starting a paper from the wheel alone: `benchpaper init`, then everything up to the PDF."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from checkout import ROOT

from benchpaper.artifact import start
from benchpaper.core import settings
from benchpaper.core.errors import UserError
from benchpaper.core.project import Project
from benchpaper.results import reference_log

TITLE = r'What 100 % of a "pipe" costs & why_it is C:\ {#1}'
PAPER = start.Description(TITLE, ("Ada Quillfeather", 'Bo "B" Ruud'), "CC-BY-4.0")
# What this repository's own paper is about; neither a fresh project nor the package may say it.
THIS_PAPER = re.compile(
    r"rdma|ganesha|mooncake|seaweed|juicefs|memcached|nfs|storage|akka|pekko|transformer|rclone"
    r"|minio|webdataset|kafka|nats_|flink|rxjava|bytewax|libcachesim|ucx|fabric|multiprotocol"
    r"|training_io|streaming/|systems/ucx|linearizab|get-posix", re.I
)  # fmt: skip
# Words that are no statement on any paper: a dictionary, names of secrets, mount points, an API.
ALLOWED = {
    "artifact/bundle/anonymity/ordinary_words.txt": None,
    "analysis/history/stated.py": {"transformer"},  # of syntax trees
    "core/secrets/names.py": {"storage"},
    "core/secrets/programs.py": {"rclone"},
    "artifact/bundle/anonymity/homes.py": {"nfs"},
    "artifact/bundle/anonymity/tables.py": {"storage"},
    "paper/html/theme/_static/report.js": {"storage"},
    "hosts/guest_kernel.py": {"nfs"},  # modules of Linux
    "hosts/emulated_kernel.py": {"nfs", "rdma"},
}


@pytest.fixture
def installed(wheel_bin):
    """Return a function that runs `benchpaper` from a wheel in a folder."""

    def run(cwd, *words):
        return _do([wheel_bin / "benchpaper", *words], cwd)

    run.package = next(wheel_bin.parent.glob("lib/python3*/site-packages/benchpaper"))
    return run


def _do(command, cwd):
    variables = {name: text for name, text in os.environ.items() if name != "BENCHPAPER_PROJECT"}
    done = subprocess.run(
        command, cwd=cwd, env=variables, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_from_the_wheel_to_the_paper(installed, tmp_path):
    flags = ["--title", TITLE, "--author", "Ada Quillfeather"]
    installed(tmp_path, "init", "paper", *flags)
    root = tmp_path / "paper"
    for words in (["init", "-q"], ["add", "-A"], ["-c", "user.name=a", "-c", "user.email=a@b",
                                                  "commit", "-qm", "Begin"]):  # fmt: skip
        _do(["git", *words], root)
    targets = ["results", "paper", "report"] if shutil.which("latexmk") else ["figures"]
    installed(root, "run", *targets, "--scale", "smoke")
    build = root / "build/local-smoke"
    assert (build / "exhibits/first_pipe_cost/first-pipe-cost-latency.pdf").exists()
    if "paper" in targets:
        text = _do(["pdftotext", build / "paper.pdf", "-"], root)
        assert TITLE in " ".join(text.split()).replace("”", '"').replace("“", '"')
        assert "C1" in text and "??" not in text
        assert (build / "report/index.html").exists()
    for command in (["list"], ["plan"], ["claims", "--scale", "smoke"], ["doctor"]):
        installed(root, *command)
    _do([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"], root)


@pytest.mark.slow
def test_the_installed_package_says_nothing_of_this_paper(installed):
    texts = [path for path in installed.package.rglob("*") if path.is_file()]
    assert len(texts) > 200
    for path in texts:
        name = path.relative_to(installed.package).as_posix()
        words = {word.lower() for word in THIS_PAPER.findall(path.read_text(errors="replace"))}
        if "__pycache__" not in name and words:
            allowed = ALLOWED.get(name, set())
            assert allowed is None or words <= allowed, f"{name}: {words}"


def test_it_writes_at_most_15_files_and_says_nothing_of_this_paper(tmp_path):
    written = start.init(tmp_path / "paper", PAPER)
    assert len(written) <= 15
    assert sorted(written) == sorted(
        path for path in (tmp_path / "paper").rglob("*") if path.is_file()
    )
    for path in written:
        assert not THIS_PAPER.search(path.read_text()), path
        assert not re.search(r"@[A-Z_]+@", path.read_text()), path
    assert os.access(tmp_path / "paper/reproduce", os.X_OK)


def test_no_message_sends_an_author_to_a_page_that_the_project_lacks():
    package = Path(start.__file__).parents[1]
    pages = {
        (path.name, page)
        for path in [*package.rglob("*.py"), *package.rglob("*.txt")]
        for page in re.findall(r"[\w./@-]+\.md\b(?!\.txt)", path.read_text())
    }
    ours = {page for _, page in pages if "/" in page or page.isupper() or page == "README.md"}
    log = reference_log.path(Project(Path()))  # which adopt writes before it names it
    assert ours <= {"README.md", log.as_posix()}, pages


def test_what_the_author_said_is_in_the_settings_and_the_citation(tmp_path):
    import yaml

    start.init(tmp_path, PAPER)
    paper = settings.read(tmp_path)
    assert (paper.title, paper.authors) == (PAPER.title, PAPER.authors)
    assert paper.licence == PAPER.licence
    cited = yaml.safe_load((tmp_path / "CITATION.cff").read_text())
    assert cited["title"] == PAPER.title and cited["license"] == PAPER.licence
    assert [author["name"] for author in cited["authors"]] == list(PAPER.authors)


@pytest.mark.parametrize(
    "changes, words",
    [
        (dict(title=" "), "title ' ' must be one line"),
        (dict(title="a\nb"), "must be one line"),
        (dict(authors=()), "needs an author"),
        (dict(authors=("\x1b[31m",)), "author .* must be one line"),
        (dict(experiment="one"), "must be FAMILY/NAME"),
        (dict(experiment="class/x"), "a word of Python"),
    ],
)
def test_a_bad_description_is_refused_and_nothing_written(tmp_path, changes, words):
    described = dict(title="T", authors=("A",)) | changes
    with pytest.raises(UserError, match=words):
        start.init(tmp_path / "paper", start.Description(**described))
    assert not (tmp_path / "paper").exists()


@pytest.mark.parametrize("name", ["Snakefile", "README.md", "paper/main.tex", "experiments/x.py"])
def test_nothing_of_the_author_is_overwritten(tmp_path, name):
    mine = tmp_path / name
    mine.parent.mkdir(parents=True, exist_ok=True)
    mine.write_text("mine")
    with pytest.raises(UserError, match="already has"):
        start.init(tmp_path, PAPER)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [mine]


def test_upgrade_is_a_patch_that_restores_what_init_writes(tmp_path):
    start.init(tmp_path, PAPER)
    project = Project(tmp_path)
    assert start.upgrade(project) == ""
    before = {name: (tmp_path / name).read_text() for name in start.FROM_US}
    (tmp_path / "Snakefile").write_text("# of an older version\n" + before["Snakefile"])
    (tmp_path / ".gitignore").unlink()
    (tmp_path / "README.md").write_text("mine")
    patch = start.upgrade(project)
    subprocess.run(["git", "apply", "-"], cwd=tmp_path, input=patch, text=True, check=True)
    assert {name: (tmp_path / name).read_text() for name in start.FROM_US} == before
    assert (tmp_path / "README.md").read_text() == "mine"


def test_this_repository_runs_the_same_snakefile():
    templates = Path(start.__file__).with_name("templates") / "project"
    assert (templates / "Snakefile.txt").read_text() == (ROOT / "Snakefile").read_text()
