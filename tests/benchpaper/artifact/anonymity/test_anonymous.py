"""`bundle --anonymous` takes out who and where, and builds and verifies the rest, or refuses."""

import gzip
import json
import shutil
import stat

import pytest
import small_project
from plants import a_png, a_tar, a_zip, json_escaped
from small_project import AUTHOR, HOST, LOGIN

from benchpaper.artifact.bundle import anonymous, archive, verify
from benchpaper.artifact.bundle.anonymity import report
from benchpaper.artifact.bundle.anonymity.search import Search
from benchpaper.core.errors import UserError
from benchpaper.core.revision import known_revision

pytestmark = pytest.mark.skipif(
    not shutil.which("latexmk"), reason="a bundle holds the PDF, which needs LaTeX"
)
COLLEAGUE = "bmeyerhoff"  # in no history and no metadata; a traceback names the home folder
TAKEN_OUT = {  # {file: content}, which are cleaned without a word
    "notes/accents.md": f"By Ada Quill\u00adfeather, A. Quillfeather, and {LOGIN}@quill.example.\n",
    "notes/traceback.txt": f'File "/home/{COLLEAGUE}/venv/x.py"\nasked by {COLLEAGUE}\n',
    "notes/orcid.txt": "0000-0002-1825-0097 0000000218250097\n",
    "notes/a.png": a_png((b"tEXt", b"Author\0Somebody Unheardof"), after=b"Somebody Unheardof"),
    "notes/a.tar": a_tar(b"x", uname="unheardof"),
    "notes/a.zip": a_zip(b"x", comment=b"Somebody Unheardof"),
    "notes/AUTHORS.md": "Somebody Unheardof\n",
    "notes/quillfeather.txt": "",
    "notes/quillbox.yaml": "ssh: quillbox\n",
    "sites/far.yaml": "hosts:\n  - {name: far, kind: ssh, address: 10.31.7.4, ssh: quillbox,"
    " roles: [client]}\n",
}
CITATION = """
    given-names: Ada
    family-names: Quillfeather
    orcid: https://orcid.org/0000-0002-1825-0097
    affiliation: Quillshire University
contact:
  - name: Somebody Unheardof
"""
PLANTED = (
    AUTHOR, "Quillfeather", "ada@quill.example", "quill.example", "quillgroup", HOST, LOGIN,
    "quillbox", f"/home/{LOGIN}/artifact", COLLEAGUE, "0000000218250097", "Quillshire",
    "Unheardof", "10.31.7.4",
)  # fmt: skip


@pytest.fixture
def planted(small):
    """Return `plant(files)`: add {name: content} to the small project until the test ends."""
    before = (small.root / "CITATION.cff").read_text()
    added = []

    def plant(files):
        for name, content in files.items():
            path = small.root / name
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            added.append(path)
        small_project.git(small, "add", "-A")
        return small

    yield plant
    for path in added:
        path.unlink(missing_ok=True)
    (small.root / "CITATION.cff").write_text(before)
    small_project.git(small, "add", "-A")


def test_nothing_is_left_of_who_and_where(planted, tmp_path):
    project = planted(TAKEN_OUT)
    citation = (project.root / "CITATION.cff").read_text()
    (project.root / "CITATION.cff").write_text(
        citation.replace(f"  - name: {AUTHOR}\n", f"  -{CITATION[4:]}")
    )
    account = report.Report()
    options = anonymous.Options(also=(HOST, LOGIN, "more.md"))
    path = anonymous.make(project, "local", "smoke", tmp_path / "a.zip", options, account)[0]
    inside = archive.read(path)[0]
    wanted = anonymous.needles_for(project, {}, anonymous.Options(also=PLANTED), report.Report())
    assert [str(finding) for finding in Search(wanted).findings(inside)] == []
    everything = b"\n".join([*inside.values(), *map(str.encode, inside)]).lower()
    assert [word for word in PLANTED if word.lower().encode() in everything] == []
    assert known_revision(project).commit[:10].encode() not in everything
    assert "notes/more.md" in verify_names(project) and "notes/more.md" not in inside
    assert "notes/AUTHORS.md" not in inside and "notes/anonymous.txt" in inside
    assert json.loads(inside[".zenodo.json"])["creators"] == [{"name": "Anonymous"}]
    verify.verify(path)

    text = account.text()
    for line in (
        "Quillfeather: anywhere, also within words (part of Ada Quillfeather",
        f"{COLLEAGUE}: anywhere, also within words (a home folder in notes/traceback.txt)",
        "- notes/AUTHORS.md: left out: it only names people",
        "- notes/a.png: metadata written anew",
        "- notes/traceback.txt: 2 places replaced",
        "- notes/quillfeather.txt: renamed to notes/anonymous.txt",
        "## Left: 0",
    ):
        assert line in text, line


def verify_names(project):
    return {path.relative_to(project.root).as_posix() for path in project.root.rglob("*.md")}


def test_what_cannot_be_scrubbed_stops_the_bundle(planted, tmp_path):
    project = planted({
        "notes/scan.gz": gzip.compress(AUTHOR.encode(), mtime=0),
        "notes/escaped.json": json.dumps(json_escaped("Quillfeather")),
    })  # fmt: skip
    account = report.Report()
    with pytest.raises(
        UserError, match=r'"Quillfeather" is left in notes/escaped.json \(.*more'
    ) as e:
        anonymous.make(project, "local", "smoke", tmp_path / "a.zip", account=account)
    assert "\n" not in str(e.value) and not (tmp_path / "a.zip").exists()
    assert '"Ada Quillfeather" is left in notes/scan.gz (gzip)' in account.text()


def test_the_report_comes_also_when_the_bundle_is_refused(planted, tmp_path, run_benchpaper):
    project = planted({"notes/scan.gz": gzip.compress(AUTHOR.encode(), mtime=0)})
    path = tmp_path / "report.md"
    done = run_benchpaper(
        project,
        "bundle",
        "--scale",
        "smoke",
        "--anonymous",
        "--report",
        path,
        "--keep",
        "quillgroup",
    )
    assert done.returncode == 2 and "no archive was written" in done.stderr
    assert done.stderr.count("\n") <= 2 and "Traceback" not in done.stderr
    assert (
        "is left in notes/scan.gz" in path.read_text() and "Keep it to yourself" in path.read_text()
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "- quillgroup: " not in path.read_text() and "## Kept by --keep: 1" in path.read_text()


@pytest.mark.parametrize(
    "path, why",
    [("README.md", "would go into bundles"), ("no/such/a.md", "name a file in a folder")],
)
def test_a_report_has_a_place_outside_the_archive(small, run_benchpaper, path, why):
    before = (small.root / "README.md").read_bytes()
    done = run_benchpaper(small, "bundle", "--scale", "smoke", "--anonymous", "--report", path)
    assert done.returncode == 2 and why in done.stderr and "Traceback" not in done.stderr
    assert (small.root / "README.md").read_bytes() == before


def test_the_options_need_each_other(small, run_benchpaper):
    for words in (["--keep", "x"], ["--also", "x"], ["--report", "-"]):
        done = run_benchpaper(small, "bundle", "--scale", "smoke", *words)
        assert done.returncode == 2 and "need --anonymous" in done.stderr
