"""The bundle: reproducible bytes, and all that a committee needs."""

import hashlib
import json
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import crate_validator
import pytest
import small_project
from small_project import AUTHOR

from benchpaper.artifact import bundle
from benchpaper.artifact.bundle import archive, metadata
from benchpaper.core.errors import UserError
from benchpaper.core.project import Project

pytestmark = pytest.mark.skipif(
    not shutil.which("latexmk"), reason="a bundle holds the PDF, which needs LaTeX"
)


# ---- what is right ----


def test_the_same_files_give_the_same_bytes(small, small_bundle, tmp_path):
    assert (
        bundle.make(small, "local", "smoke", tmp_path / "b.zip")[0].read_bytes()
        == small_bundle.read_bytes()
    )


CHATTY = """\
import sys, time
class Nameless:
    pass
for number in range(3):
    print("out", number, flush=True); print("err", number, file=sys.stderr, flush=True)
    time.sleep(0.3)
print(Nameless()); Nameless()"""


def test_the_same_commit_gives_the_same_bytes_wherever_and_whenever_it_is_built(small, tmp_path):
    """Both clones build from scratch, in different folders and time zones.

    The notebook prints much that differs.
    """
    import nbformat

    origin = tmp_path / "origin"
    shutil.copytree(
        small.root,
        origin,
        ignore=shutil.ignore_patterns("build", "results", ".snakemake", ".benchpaper"),
    )
    path = origin / "analysis" / "toy_pipe_cost.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(CHATTY))
    nbformat.write(notebook, path)
    small_project.commit(Project(origin))
    folders = {tmp_path / "a": "Pacific/Kiritimati", tmp_path / "longer" / "path" / "b": "UTC"}

    def build(number, folder):
        time.sleep(3 * number)  # the dates in a ZIP file have even seconds
        subprocess.run(["git", "clone", "-q", origin, folder], check=True)
        small_project.run(
            Project(folder), "run", "bundle", "--from", "reference", TZ=folders[folder]
        )
        return folder / "build" / "local-reference" / "bundle.zip"

    with ThreadPoolExecutor() as pool:
        made = list(pool.map(build, range(2), folders))
    first, second = (archive.read(path)[0] for path in made)
    assert [name for name in {**first, **second} if first.get(name) != second.get(name)] == []
    assert made[0].read_bytes() == made[1].read_bytes()


def test_what_no_manifest_speaks_of_stays_out(small, small_files, tmp_path):
    """For example, leftovers of a killed run, or the notebook of a renamed experiment."""
    left = [
        small.build("local", "smoke") / "notebooks" / name
        for name in ("toy_old.ipynb", "toy_pipe_cost.part.ipynb")
    ]
    for path in left:
        path.write_text("{}")
    try:
        assert bundle_names(bundle.make(small, "local", "smoke", tmp_path / "c.zip")[0]) == list(
            small_files
        )
    finally:
        for path in left:
            path.unlink()


def test_it_holds_what_a_committee_needs_and_each_file_with_its_digest(small_bundle, small_files):
    assert small_bundle.stat().st_size < 100e6
    build = "build/local-smoke"
    for name in (
        "requirements.lock",
        "Snakefile",
        "results/local/smoke/toy/pipe_cost/trials.parquet",
        f"{build}/paper.pdf",
        ".zenodo.json",
        f"{build}/notebooks/toy_pipe_cost.ipynb",
        f"{build}/exhibits/toy_pipe_cost/exhibits.json",
        f"{build}/verdicts.json",
        f"{build}/claims-history.json",
        "claims-history.json",
        "sbom.cdx.json",
        "CITATION.cff",
        "ro-crate-metadata.json",
        "src/benchpaper/cli/main.py",
        f"{build}/appendix.md",
    ):
        assert name in small_files, name
    listed = dict(
        reversed(line.split("  ")) for line in small_files[archive.MANIFEST].decode().splitlines()
    )
    assert listed == {
        name: hashlib.sha256(data).hexdigest()
        for name, data in small_files.items()
        if name != archive.MANIFEST
    }
    assert json.loads(small_files[".zenodo.json"])["creators"] == [{"name": AUTHOR}]


def test_the_bill_of_materials_has_every_locked_package(small_files):
    parts = json.loads(small_files["sbom.cdx.json"])
    assert parts["bomFormat"] == "CycloneDX"
    pins = {
        line.split("==")[0]
        for line in small_files["requirements.lock"].decode().splitlines()
        if line[:1].isalnum()
    }
    by_name = {part["name"]: part for part in parts["components"]}
    assert pins <= set(by_name) and len(pins) > 100 and "latexmk" in by_name
    assert (
        by_name["pandas"]["purl"].startswith("pkg:pypi/pandas@") and by_name["pandas"]["properties"]
    )
    assert len({part["bom-ref"] for part in parts["components"]}) == len(parts["components"])
    metadata.check_sbom(small_files["sbom.cdx.json"])
    parts["components"][0].pop("name")
    with pytest.raises(UserError, match="the bill of materials breaks the schema of CycloneDX: "):
        metadata.check_sbom(json.dumps(parts).encode())


def test_without_a_lock_the_remedy_is_one_line():
    with pytest.raises(UserError, match=r"^there is no requirements.lock, .* run that once"):
        metadata.locked({})


def test_verify_says_what_holds(small_bundle, tmp_path, run_benchpaper, small):
    digest = hashlib.sha256(small_bundle.read_bytes()).hexdigest()
    done = run_benchpaper(
        small, "verify", small_bundle, "--sha256", digest, "--into", tmp_path / "unpacked"
    )
    assert done.returncode == 0, done.stderr
    assert (
        "follow from the other files" in done.stdout
        and "2 numbers follow from the data inside" in done.stdout
    )
    assert (tmp_path / "unpacked" / "Snakefile").read_bytes() == (
        small.root / "Snakefile"
    ).read_bytes()
    assert run_benchpaper(small, "verify", small_bundle, "--sha256", "0" * 64).returncode == 1


def test_the_crate_satisfies_its_profile(small_files, tmp_path):
    archive.unpack(small_files, (), tmp_path / "crate")
    assert crate_validator.issues(tmp_path / "crate") == []


def bundle_names(path):
    return list(archive.read(path)[0])
