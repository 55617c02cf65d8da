"""`benchpaper verify` trusts no archive: it finds changed bytes, numbers and pictures."""

import hashlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import time
import zipfile
from importlib.metadata import version

import pytest
from checkout import ROOT

from benchpaper import results
from benchpaper.analysis.estimates import load
from benchpaper.analysis.exhibits import Exhibits
from benchpaper.artifact.bundle import archive, crate, regenerate, verify
from benchpaper.core.errors import UserError
from benchpaper.core.project import Project

MANIFEST = "build/local-smoke/exhibits/toy_pipe_cost/exhibits.json"
needs_latex = pytest.mark.skipif(
    not shutil.which("latexmk"), reason="a bundle holds the PDF, which needs LaTeX"
)


def again(path, files, date=(2026, 1, 2, 3, 4, 6)):
    """Write files as a well-formed archive; crate and manifest follow them."""
    files = {name: data for name, data in files.items() if name != archive.MANIFEST}
    graph = json.loads(files[crate.METADATA])
    for entity in graph["@graph"]:
        if entity["@id"] in files and "sha256" in entity:
            entity["sha256"] = hashlib.sha256(files[entity["@id"]]).hexdigest()
    files[crate.METADATA] = json.dumps(graph).encode()
    archive.write(path, files, date)
    return path


def white(png):
    import matplotlib.image as images
    import numpy as np

    target = io.BytesIO()
    images.imsave(target, np.ones_like(images.imread(io.BytesIO(png))), format="png")
    return target.getvalue()


@needs_latex
def test_all_is_made_again_from_the_archive_alone_and_what_differs_is_told(small_files, tmp_path):
    """An archive with a changed picture and manifest differs in exactly these two."""
    names = (
        "exhibits/toy_pipe_cost/toy-pipe-cost-latency.png",
        "exhibits/toy_pipe_cost/exhibits.json",
    )
    changed, steps = dict(small_files), []
    changed[MANIFEST] = small_files[MANIFEST].replace(b'"blocks": 2', b'"blocks": 3')
    changed[f"build/local-smoke/{names[0]}"] = white(small_files[f"build/local-smoke/{names[0]}"])
    found = regenerate.regenerate(
        again(tmp_path / "b.zip", changed), lambda *step: steps.append(step)
    )
    words = {name: word for name, word in found["files"].items() if word != regenerate.EQUAL}
    assert words == dict.fromkeys(names, regenerate.DIFFERENT)
    assert (
        found["files"]["paper.pdf"] == regenerate.EQUAL
        and regenerate.counted(found["files"])[regenerate.DIFFERENT] == 2
    )
    assert [step[:2] for step in steps] == [(1, 3), (2, 3), (3, 3)] and steps[-1][2] == "paper.pdf"
    if subprocess.run(["unshare", "--net", "true"], capture_output=True).returncode == 0:
        assert "without a network" in found["network"]


# ---- the archive's own code, which may be anybody's ----

ANYBODYS = "import os, subprocess, sys, time\n"
LEAVES = "subprocess.Popen(['sleep', '60'], start_new_session=True{})\n"


@pytest.fixture
def run_code(tmp_path):
    """Return `run(code, tell)`: `regenerate.run` of an archive whose framework is this code."""

    def run(code, tell=lambda *step: None):
        package = tmp_path / "src" / "benchpaper" / "workflow"
        package.mkdir(parents=True)
        for folder in (package.parent, package):
            (folder / "__init__.py").touch()
        (package / "rebuild.py").write_text(ANYBODYS + code)
        regenerate.run(Project(tmp_path), "local", "smoke", ["toy/pipe"], "it does not run", tell)

    return run


def test_it_is_given_what_to_make_and_its_steps_are_told(run_code):
    steps = []
    code = (
        "print('step 1 of 2:', *sys.argv[1:]); print('else'); os.write(1, b'\\xff\\n'); "
        "print('step 2 of 2: end')"
    )
    run_code(code, lambda *step: steps.append(step))
    assert steps == [(1, 2, "local smoke toy/pipe"), (2, 2, "end")]


@pytest.mark.parametrize(
    "code, words",
    [
        ("sys.exit('first\\nlast')", "it does not run: last"),
        ("os.write(2, b'\\xff!\\n'); sys.exit(1)", "it does not run: \ufffd!"),
        ("sys.exit(1)", "it does not run: it said nothing"),
    ],
)
def test_why_it_does_not_run_is_the_last_line_that_it_said(run_code, code, words):
    with pytest.raises(UserError) as error:
        run_code(code)
    assert str(error.value) == words


@pytest.mark.parametrize(
    "code", ["", "os.close(1)\n", LEAVES.format(""), "subprocess.Popen(['sleep', '60'])\n"]
)
def test_code_that_does_not_end_is_ended_with_all_that_it_started(
    run_code, monkeypatch, left_behind, code
):
    monkeypatch.setattr(regenerate, "TIMEOUT_S", 1)
    with pytest.raises(UserError, match="^it does not run: it did not end within 1 s$"):
        run_code(f"{code}time.sleep(60)")
    assert left_behind() == {}


def test_what_the_code_leaves_running_ends_with_it(run_code, left_behind):
    run_code(LEAVES.format(""))
    assert left_behind() == {}


def test_a_process_that_hides_and_holds_the_output_does_not_hold_up_verify(
    run_code, monkeypatch, tmp_path
):
    monkeypatch.setattr(regenerate, "TIMEOUT_S", 5)  # for the code to get as far as hiding it
    hidden = (
        f"open({str(tmp_path / 'hidden')!r}, "
        f"'w').write(str({LEAVES.format(', env={}').strip()}.pid))\n"
    )
    began = time.monotonic()
    with pytest.raises(UserError, match="it did not end within 5 s"):
        run_code(f"{hidden}time.sleep(60)")
    os.kill(int((tmp_path / "hidden").read_text()), signal.SIGKILL)
    assert time.monotonic() - began < 50


LOCK = (
    "numpy=={} ; python_version < '3.12' \\\n    "
    "--hash=sha256:0\nnumpy==0.1 ; "
    "python_version >= "
    "'3.12'\nPandas=={}\nidna==3.7\n"
)


@pytest.mark.parametrize(
    "files, words",
    [
        (
            {"requirements.lock": LOCK.format(version("numpy"), version("pandas"))},
            "with the packages of its lock",
        ),
        (
            {"requirements.lock": LOCK.format("0.2", version("pandas"))},
            f"with other versions than the lock's: numpy {version('numpy')} (lock: 0.2 or 0.1)",
        ),
        (
            {"requirements.lock": LOCK.format("0.2", "0.3")},
            f"with other versions than the lock's: numpy {version('numpy')} (lock: 0.2 or 0.1), "
            f"pandas {version('pandas')} (lock: 0.3)",
        ),
        ({}, "with the packages that are here, for it has no requirements.lock"),
    ],
)
def test_packages_of_other_versions_than_the_locks_are_named(files, words):
    assert regenerate._environment({name: text.encode() for name, text in files.items()}) == words


def test_a_package_of_the_lock_that_is_not_here_is_missing(monkeypatch):
    monkeypatch.setattr(regenerate, "DRAWING", ("no-such-package",))
    found = regenerate._environment({"requirements.lock": b"No-Such-Package==1.0\n"})
    assert found == "with other versions than the lock's: no-such-package missing (lock: 1.0)"


@needs_latex
def test_a_change_of_any_byte_of_any_file_is_found(small_bundle, small_files, tmp_path):
    """Change 200 random bytes of the contents and 100 of the archive itself.

    Each file is equally likely, so that small files are hit too.
    """
    chance = random.Random(11)
    whole = small_bundle.read_bytes()
    with zipfile.ZipFile(small_bundle) as opened:
        starts = {
            entry.filename: entry.header_offset + 30 + len(entry.filename.encode())
            for entry in opened.infolist()
        }
    names = sorted(name for name in small_files if small_files[name])
    places = [
        starts[name] + chance.randrange(len(small_files[name]))
        for name in (chance.choice(names) for _ in range(200))
    ]
    places += [chance.randrange(len(whole)) for _ in range(100)]
    for place in places:
        data = bytearray(whole)
        data[place] ^= 1 << chance.randrange(8)
        path = tmp_path / "t.zip"
        path.write_bytes(data)
        with pytest.raises(UserError):
            verify.verify(path)


@needs_latex
def test_a_change_that_mends_crc_and_manifest_is_found_by_the_crate_and_by_the_numbers(
    small_files, tmp_path
):
    manifest = json.loads(small_files[MANIFEST])
    manifest["exhibits"]["toy-pipe-cost-4k"]["text"] = "0.01 µs"
    changed = {**small_files, MANIFEST: json.dumps(manifest).encode()}
    with pytest.raises(
        verify.NotVerified, match='number "toy-pipe-cost-4k" is 0.01 µs .* but the data inside give'
    ):
        verify.verify(again(tmp_path / "a.zip", changed))
    del changed[archive.MANIFEST]
    archive.write(tmp_path / "b.zip", changed, (2026, 1, 2, 3, 4, 6))
    with pytest.raises(verify.NotVerified, match="the crate has another SHA-256"):
        verify.verify(tmp_path / "b.zip")


@needs_latex
def test_a_factor_that_is_no_change_of_unit_is_found(small_files, tmp_path):
    manifest = json.loads(small_files[MANIFEST])
    manifest["exhibits"]["toy-pipe-cost-4k"]["how"]["factor"] = 0.5
    with pytest.raises(verify.NotVerified, match="a factor of 0.5 does not turn µs into µs"):
        verify.verify(
            again(tmp_path / "a.zip", {**small_files, MANIFEST: json.dumps(manifest).encode()})
        )


@needs_latex
def test_a_pdf_that_was_typeset_from_something_else_is_found(small, small_files, tmp_path):
    """The PDF says 9731.25 s, which no value and no axis shows; the archive says 9731.75."""
    changed = {
        **small_files,
        "paper/main.tex": small_files["paper/main.tex"].replace(b"9731.25", b"9731.75"),
    }
    with pytest.raises(verify.NotVerified, match="the PDF prints 9731.25, which no exhibit"):
        verify.verify(again(tmp_path / "a.zip", changed))


@needs_latex
def test_a_verdict_that_was_changed_is_found(small_files, tmp_path):
    name = "build/local-smoke/verdicts.json"
    changed = {**small_files, name: small_files[name].replace(b'"inconclusive"', b'"reproduced"')}
    with pytest.raises(verify.NotVerified, match="exhibits.tex is not what"):
        verify.verify(again(tmp_path / "a.zip", changed))


@needs_latex
def test_a_crate_that_breaks_the_profile_is_found(small_files, tmp_path):
    graph = json.loads(small_files[crate.METADATA])
    next(entity for entity in graph["@graph"] if entity["@id"] == "./").pop("mainEntity")
    with pytest.raises(verify.NotVerified, match="the crate breaks its profile: .*Main Workflow"):
        verify.verify(
            again(tmp_path / "a.zip", {**small_files, crate.METADATA: json.dumps(graph).encode()})
        )


def about(site):
    """What an archive of this site says of itself."""
    found = dict(
        benchpaper_bundle=1,
        results_schema=results.SCHEMA_VERSION,
        site=site,
        source="smoke",
        commit="0" * 40,
    )
    return {
        archive.ABOUT: json.dumps({**found, "clean": True, "build": f"build/{site}-smoke"}).encode()
    }


@pytest.mark.parametrize("site", ["local", "my.lab", "lab-2.uni_x", "a..b"])
def test_what_may_be_a_site_s_name_is_a_name(site):
    assert verify._about(about(site))["site"] == site


@pytest.mark.parametrize(
    "site",
    ["", ".", "..", ".lab", "-lab", "../lab", "/lab", "a/b", "a/../b", "a\\b", "lab\n", "a b"],
)
def test_a_path_is_no_site_s_name(site):
    with pytest.raises(verify.NotVerified, match="^bundle.json: site (?s:.*) is no name$"):
        verify._about(about(site))


def bomb():
    """A Parquet file of a few hundred bytes that claims more rows than any results have."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    target = io.BytesIO()
    pq.write_table(
        pa.table({"block": pa.array([0] * 1_000_001, pa.int8())}), target, compression="zstd"
    )
    return target.getvalue()


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda f: f.pop(crate.METADATA) and None, "the crate is missing"),
        (lambda f: f.pop(archive.ABOUT) and None, "it has no bundle.json"),
        (
            lambda f: f.__setitem__(
                archive.ABOUT,
                f[archive.ABOUT].replace(b'"benchpaper_bundle": 1', b'"benchpaper_bundle": 7'),
            ),
            "schema version 7, this program reads 1",
        ),
        (
            lambda f: f.__setitem__(
                archive.ABOUT, f[archive.ABOUT].replace(b'"build": "', b'"build": "../')
            ),
            "is no name",
        ),
        (
            lambda f: f.__setitem__(
                archive.ABOUT, f[archive.ABOUT].replace(b'"site": "', b'"site": "/etc/')
            ),
            'site "/etc/local" is no name',
        ),
        (lambda f: f.__setitem__(archive.ABOUT, b"[" * 100_000), "is no JSON object"),
        (lambda f: f.__setitem__(MANIFEST, b"[]"), "an exhibits.json is broken"),
        (
            lambda f: f.__setitem__("results/local/smoke/toy/pipe_cost/trials.parquet", bomb()),
            "claims 1,000,001 rows",
        ),
        (
            lambda f: f.__setitem__("extra.txt", b"x"),
            '"extra.txt" is in the crate or in the archive, but not in both',
        ),
        (
            lambda f: f.__setitem__("results/local/smoke/toy/pipe_cost/trials.parquet", b"PAR1"),
            "cannot be read",
        ),
    ],
)
@needs_latex
def test_what_is_missing_or_of_another_schema_is_one_line(small_files, tmp_path, change, words):
    changed = {name: data for name, data in small_files.items() if name != archive.MANIFEST}
    change(changed)
    graph = json.loads(changed.get(crate.METADATA, small_files[crate.METADATA]))
    for entity in graph["@graph"]:
        if entity["@id"] in changed and "sha256" in entity:
            entity["sha256"] = hashlib.sha256(changed[entity["@id"]]).hexdigest()
    if crate.METADATA in changed:
        changed[crate.METADATA] = json.dumps(graph).encode()
    archive.write(tmp_path / "a.zip", changed, (2026, 1, 2, 3, 4, 6))
    with pytest.raises(UserError) as error:
        verify.verify(tmp_path / "a.zip", into=tmp_path / "into")
    assert (
        words in str(error.value)
        and "\n" not in str(error.value)
        and not (tmp_path / "into").exists()
    )


@needs_latex
def test_bytes_before_between_and_after_the_files_are_found(small_bundle, tmp_path):
    whole = small_bundle.read_bytes()
    for number, data in enumerate(
        (b"#!/bin/sh\n" + whole, whole + b"\0", whole[:-2] + b"\x01\x00x")
    ):
        path = tmp_path / f"{number}.zip"
        path.write_bytes(data)
        with pytest.raises(archive.ArchiveError):
            archive.read(path)


def test_the_command_says_one_line_and_fails(tmp_path, run_benchpaper, pipe_project):
    (tmp_path / "bad.zip").write_bytes(b"no zip")
    done = run_benchpaper(pipe_project, "verify", tmp_path / "bad.zip")
    assert (
        done.returncode == 1
        and done.stderr.count("\n") == 1
        and done.stderr.startswith("NOT VERIFIED  bad.zip: bad.zip is no readable ZIP")
    )


# ---- numbers, of each kind ----

PAPER = (
    r"It takes \resultci{time}, in \result{share} of \result{tries} tries; again: \result{time}."
)
SHOWN = {
    "time": dict(kind="number", missing="", text="1.21 µs", interval="[0.32, 1.22]"),
    "share": dict(kind="number", missing="", text="75.0 %", interval=""),
    "tries": dict(kind="number", missing="", text="12,345", interval=""),
}
TYPESET = "It takes 1.21 µs [0.32,\n1.22], in 75.0 % of 12,345 tries; again: 1.21 µs."


@pytest.fixture
def check_text(tmp_path, monkeypatch):
    """Return `check(text)`: check a PDF that has this text against PAPER and SHOWN."""
    project = Project(tmp_path)
    build = project.build("local", "smoke")
    (build / "exhibits").mkdir(parents=True)
    project.paper.mkdir()
    (project.paper / "main.tex").write_text(PAPER)
    (build / "exhibits.tex").write_text(
        " ".join(f"{entry['text']} {entry['interval']}" for entry in SHOWN.values())
    )
    monkeypatch.setattr(verify.shutil, "which", lambda name: name)

    def check(text):
        monkeypatch.setattr(verify, "_pdf_text", lambda path: text)
        return verify._check_pdf(project, build, SHOWN)

    return check


def test_a_pdf_with_the_numbers_is_right(check_text):
    assert "3 numbers" in check_text(TYPESET)


@pytest.mark.parametrize(
    "old, new, words",
    [
        (
            "1.21 µs [",
            "1.12 µs [",
            r"\(1.21.s\) is in the text of the PDF 1 times, and named 2 times",
        ),
        ("1.21 µs.", "1.22 µs.", r"\(1.21.s\) is in the text of the PDF 1 times"),
        ("µs", "ms", r"\(1.21.s\) is in the text of the PDF 0 times"),
        ("1.22]", "1.23]", r"\(\[0.32,1.22\]\)"),
        ("75.0 %", "57.0 %", r'"share" \(75.0%\)'),
        ("12,345", "12,354", r'"tries" \(12,345\)'),
        ("again", "again, 3.41", "the PDF prints 3.41, which no exhibit"),
        ("again", "again, 7,890 times", "the PDF prints 7,890, which"),
        ("again", "again, 451 times", "the PDF prints 451, which"),
    ],
)
def test_a_number_that_was_changed_in_the_pdf_is_found_whatever_its_kind(
    check_text, old, new, words
):
    assert old in TYPESET
    with pytest.raises(verify.NotVerified, match=words):
        check_text(TYPESET.replace(old, new))


@pytest.fixture
def pooled(tmp_path):
    """The exhibits of the reference's pooled share (Wilson's interval over all tries)."""
    found = load("multiprotocol/anomalies", ROOT / "artifacts" / "reference" / "local")
    estimate = found.pooled_share(
        "lost_update", "tries_lost_update", system="seaweedfs", setting="default"
    )
    assert estimate.value is not None and estimate.tries
    Exhibits(found, tmp_path / "exhibits" / "multiprotocol_anomalies").number("lost", estimate)
    return tmp_path


def test_a_pooled_share_is_reckoned_again(pooled):
    assert "1 numbers follow from the data" in verify._check_numbers(
        pooled, ROOT / "artifacts" / "reference" / "local"
    )


@pytest.mark.parametrize("change", [dict(text="0.123"), dict(interval="[0.1, 0.2]"), dict(n=3)])
def test_a_pooled_share_that_was_changed_is_found(pooled, change):
    path = pooled / "exhibits" / "multiprotocol_anomalies" / "exhibits.json"
    manifest = json.loads(path.read_text())
    manifest["exhibits"]["lost"] |= change
    path.write_text(json.dumps(manifest))
    with pytest.raises(verify.NotVerified, match='number "lost" is .* but the data inside give'):
        verify._check_numbers(pooled, ROOT / "artifacts" / "reference" / "local")
