"""The archive: the same bytes again, nothing in it that was not meant, and nothing believed that it only claims."""

import gzip
import hashlib
import io
import json
import random
import shutil
import stat
import struct
import subprocess
import zipfile
import zlib
from pathlib import Path

import pytest

import small_project
from benchpaper import bundle
from benchpaper.bundle import anonymous, archive, crate, identities, regenerate, validator, verify
from benchpaper.errors import UserError
from small_project import AUTHOR, HOST, LOGIN

pytestmark = pytest.mark.skipif(not shutil.which("latexmk"), reason="a bundle holds the PDF, which needs LaTeX")
PLANTED = (AUTHOR, "ada@quill.example", "quillgroup", HOST, LOGIN, f"/home/{LOGIN}/artifact")


@pytest.fixture(scope="module")
def made(small):
    return bundle.make(small, "local", "smoke")[0]


@pytest.fixture(scope="module")
def files(made):
    return archive.read(made)[0]


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


# ---- what is right ----


def test_the_same_files_give_the_same_bytes(small, made, tmp_path):
    assert bundle.make(small, "local", "smoke", tmp_path / "b.zip")[0].read_bytes() == made.read_bytes()


def test_it_holds_what_a_committee_needs_and_each_file_with_its_digest(made, files):
    assert made.stat().st_size < 100e6
    build = "build/local-smoke"
    for name in (
        "requirements.lock", "Snakefile", "results/local/smoke/toy/pipe_cost/trials.parquet", f"{build}/paper.pdf", ".zenodo.json",
        f"{build}/notebooks/toy_pipe_cost.ipynb", f"{build}/exhibits/toy_pipe_cost/exhibits.json", f"{build}/verdicts.json",
        "sbom.cdx.json", "CITATION.cff", "ro-crate-metadata.json", "src/benchpaper/cli.py", f"{build}/appendix.md",
    ):  # fmt: skip
        assert name in files, name
    listed = dict(reversed(line.split("  ")) for line in files[archive.MANIFEST].decode().splitlines())
    assert listed == {name: hashlib.sha256(data).hexdigest() for name, data in files.items() if name != archive.MANIFEST}
    assert json.loads(files[".zenodo.json"])["creators"] == [{"name": AUTHOR}]


def test_the_bill_of_materials_has_every_locked_package(files):
    parts = json.loads(files["sbom.cdx.json"])
    assert parts["bomFormat"] == "CycloneDX"
    pins = {line.split("==")[0] for line in files["requirements.lock"].decode().splitlines() if line[:1].isalnum()}
    found = {part["name"]: part for part in parts["components"]}
    assert pins <= set(found) and len(pins) > 100 and "latexmk" in found
    assert found["pandas"]["purl"].startswith("pkg:pypi/pandas@") and found["pandas"]["properties"]
    assert len({part["bom-ref"] for part in parts["components"]}) == len(parts["components"])


def test_verify_says_what_holds(made, tmp_path, run_benchpaper, small):
    digest = hashlib.sha256(made.read_bytes()).hexdigest()
    done = run_benchpaper(small, "verify", made, "--sha256", digest, "--into", tmp_path / "unpacked")
    assert done.returncode == 0, done.stderr
    assert "satisfies workflow-run-crate-0.5" in done.stdout and "2 numbers follow from the data inside" in done.stdout
    assert (tmp_path / "unpacked" / "Snakefile").read_bytes() == (small.root / "Snakefile").read_bytes()
    assert run_benchpaper(small, "verify", made, "--sha256", "0" * 64).returncode == 1


def test_the_exhibits_are_made_again_from_the_archive_alone(made):
    found = regenerate.regenerate(made)
    assert found["files"] and set(found["files"].values()) == {regenerate.EQUAL}
    assert "paper.pdf" in found["files"] and "exhibits/toy_pipe_cost/toy-pipe-cost-latency.png" in found["files"]
    if subprocess.run(["unshare", "--net", "true"], capture_output=True).returncode == 0:
        assert "without a network" in found["network"]


def test_another_picture_or_number_is_told_as_different(files, tmp_path):
    names = ("exhibits/toy_pipe_cost/toy-pipe-cost-latency.png", "exhibits/toy_pipe_cost/exhibits.json")
    changed = dict(files)
    changed[f"build/local-smoke/{names[1]}"] = files[f"build/local-smoke/{names[1]}"].replace(b'"blocks": 2', b'"blocks": 3')
    changed[f"build/local-smoke/{names[0]}"] = white(files[f"build/local-smoke/{names[0]}"])
    found = regenerate.regenerate(again(tmp_path / "b.zip", changed))["files"]
    assert {name for name, word in found.items() if word == regenerate.DIFFERENT} == set(names)


def white(png):
    import matplotlib.image as images
    import numpy as np

    target = io.BytesIO()
    images.imsave(target, np.ones_like(images.imread(io.BytesIO(png))), format="png")
    return target.getvalue()


# ---- tampering ----


def test_a_change_of_any_byte_of_any_file_is_found(made, files, tmp_path):
    """200 random bytes of the files' contents (each file alike, so that small ones are hit too) and 100 of the archive itself."""
    chance = random.Random(11)
    whole = made.read_bytes()
    with zipfile.ZipFile(made) as opened:
        starts = {entry.filename: entry.header_offset + 30 + len(entry.filename.encode()) for entry in opened.infolist()}
    names = sorted(name for name in files if files[name])
    places = [starts[name] + chance.randrange(len(files[name])) for name in (chance.choice(names) for _ in range(200))]
    places += [chance.randrange(len(whole)) for _ in range(100)]
    for place in places:
        data = bytearray(whole)
        data[place] ^= 1 << chance.randrange(8)
        path = tmp_path / "t.zip"
        path.write_bytes(data)
        with pytest.raises(UserError):
            verify.verify(path)


def test_a_change_that_mends_crc_and_manifest_is_found_by_the_crate_and_by_the_numbers(files, tmp_path):
    name = "build/local-smoke/exhibits/toy_pipe_cost/exhibits.json"
    manifest = json.loads(files[name])
    manifest["exhibits"]["toy-pipe-cost-4k"]["text"] = "0.01 µs"
    changed = {**files, name: json.dumps(manifest).encode()}
    with pytest.raises(verify.NotVerified, match='number "toy-pipe-cost-4k" is 0.01 µs .* but the data inside give'):
        verify.verify(again(tmp_path / "a.zip", changed))
    del changed[archive.MANIFEST]
    archive.write(tmp_path / "b.zip", changed, (2026, 1, 2, 3, 4, 6))
    with pytest.raises(verify.NotVerified, match="the crate has another SHA-256"):
        verify.verify(tmp_path / "b.zip")


def test_a_factor_that_is_no_change_of_unit_is_found(files, tmp_path):
    name = "build/local-smoke/exhibits/toy_pipe_cost/exhibits.json"
    manifest = json.loads(files[name])
    manifest["exhibits"]["toy-pipe-cost-4k"]["how"]["factor"] = 0.5
    with pytest.raises(verify.NotVerified, match="a factor of 0.5 does not turn µs into µs"):
        verify.verify(again(tmp_path / "a.zip", {**files, name: json.dumps(manifest).encode()}))


def test_a_pdf_that_was_typeset_from_something_else_is_found(small, files, tmp_path):
    """The text of the paper says 2.25 s; the sources in the archive then say 3.75."""
    changed = {**files, "paper/main.tex": files["paper/main.tex"].replace(b"2.25", b"3.75")}
    with pytest.raises(verify.NotVerified, match="the PDF prints 2.25, which no exhibit"):
        verify.verify(again(tmp_path / "a.zip", changed))


def test_a_verdict_that_was_changed_is_found(files, tmp_path):
    name = "build/local-smoke/verdicts.json"
    changed = {**files, name: files[name].replace(b'"inconclusive"', b'"reproduced"')}
    with pytest.raises(verify.NotVerified, match="exhibits.tex is not what"):
        verify.verify(again(tmp_path / "a.zip", changed))


def test_a_crate_that_breaks_the_profile_is_found(files, tmp_path):
    graph = json.loads(files[crate.METADATA])
    next(entity for entity in graph["@graph"] if entity["@id"] == "./").pop("mainEntity")
    with pytest.raises(verify.NotVerified, match="the crate breaks its profile: .*Main Workflow"):
        verify.verify(again(tmp_path / "a.zip", {**files, crate.METADATA: json.dumps(graph).encode()}))


@pytest.mark.parametrize("change, words", [
    (lambda f: f.pop(crate.METADATA) and None, "the crate is missing"),
    (lambda f: f.pop(archive.ABOUT) and None, "it has no bundle.json"),
    (lambda f: f.__setitem__(archive.ABOUT, f[archive.ABOUT].replace(b'"benchpaper_bundle": 1', b'"benchpaper_bundle": 7')), "schema version 7, this program reads 1"),
    (lambda f: f.__setitem__(archive.ABOUT, f[archive.ABOUT].replace(b'"build": "', b'"build": "../')), "is no name"),
    (lambda f: f.__setitem__("extra.txt", b"x"), '"extra.txt" is in the crate or in the archive, but not in both'),
    (lambda f: f.__setitem__("results/local/smoke/toy/pipe_cost/trials.parquet", b"PAR1"), "cannot be read"),
])  # fmt: skip
def test_what_is_missing_or_of_another_schema_is_one_line(files, tmp_path, change, words):
    changed = {name: data for name, data in files.items() if name != archive.MANIFEST}
    change(changed)
    graph = json.loads(changed.get(crate.METADATA, files[crate.METADATA]))
    for entity in graph["@graph"]:
        if entity["@id"] in changed and "sha256" in entity:
            entity["sha256"] = hashlib.sha256(changed[entity["@id"]]).hexdigest()
    if crate.METADATA in changed:
        changed[crate.METADATA] = json.dumps(graph).encode()
    archive.write(tmp_path / "a.zip", changed, (2026, 1, 2, 3, 4, 6))
    with pytest.raises(UserError) as error:
        verify.verify(tmp_path / "a.zip", into=tmp_path / "into")
    assert words in str(error.value) and "\n" not in str(error.value) and not (tmp_path / "into").exists()


# ---- archives that mean harm ----


def crafted(path, entries, **options):
    """A ZIP file of (name, bytes, mode, method) entries as they are, its manifest right."""
    with zipfile.ZipFile(path, "w") as made:
        listed = {name: data for name, data, *_ in entries}
        for name, data, *more in [*entries, (archive.MANIFEST, archive.manifest(listed))]:
            info = zipfile.ZipInfo(name, (2026, 1, 2, 3, 4, 6))
            info.create_system, info.external_attr = 3, (more[0] if more else stat.S_IFREG | 0o644) << 16
            made.writestr(info, data, compress_type=more[1] if len(more) > 1 else zipfile.ZIP_STORED)
    return path


@pytest.mark.parametrize("entries, words", [
    ([("../out", b"x")], "would not stay inside"), ([("/tmp/out", b"x")], "would not stay inside"),
    ([("a/../../out", b"x")], "would not stay inside"), ([("a\\..\\out", b"x")], "would not stay inside"),
    ([("C:out", b"x")], "would not stay inside"), ([("a//b", b"x")], "would not stay inside"), ([("./a", b"x")], "would not stay inside"),
    ([("link", b"/etc/passwd", stat.S_IFLNK | 0o777)], "is a symbolic link"), ([("pipe", b"", stat.S_IFIFO | 0o644)], "is no plain file"),
    ([("folder/", b"", stat.S_IFDIR | 0o755)], "plain files alone"), ([("device", b"", stat.S_IFCHR | 0o644)], "is no plain file"),
    ([("bomb", b"\0" * 50_000_000, stat.S_IFREG, zipfile.ZIP_DEFLATED)], "is compressed"),
    ([("a", b"1"), ("A", b"2")], "but for case"), ([("a", b"1"), ("a/b", b"2")], "lies below another file"),
    ([("n" * 300, b"x")], "too long a name"),
])  # fmt: skip
def test_an_archive_that_means_harm_is_refused_in_one_line(entries, words, tmp_path, capsys):
    path = crafted(tmp_path / "bad.zip", entries)
    before = sorted(p for p in tmp_path.parent.rglob("*"))
    with pytest.raises(archive.ArchiveError) as error:
        verify.verify(path, into=tmp_path / "into")
    assert words in str(error.value) and "\n" not in str(error.value)
    assert sorted(p for p in tmp_path.parent.rglob("*")) == before and not Path("/tmp/out").exists()


def test_two_entries_of_one_name_are_refused(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = crafted(tmp_path / "bad.zip", [("a", b"1"), ("a", b"2")])
    with pytest.raises(archive.ArchiveError, match='two entries are called "a"'):
        archive.read(path)


def test_sizes_that_lie_are_refused(tmp_path):
    path = crafted(tmp_path / "bad.zip", [("a", b"1" * 100)])
    data = path.read_bytes()
    place = data.index(b"PK\x01\x02") + 20
    path.write_bytes(data[:place] + struct.pack("<II", 4_000_000_000, 4_000_000_000) + data[place + 8 :])
    with pytest.raises(archive.ArchiveError, match="claim 4,000,0.* more than the .* of the whole archive|no readable ZIP"):
        archive.read(path)


def test_bytes_before_between_and_after_the_files_are_found(made, tmp_path):
    whole = made.read_bytes()
    for number, data in enumerate((b"#!/bin/sh\n" + whole, whole + b"\0", whole[:-2] + b"\x01\x00x")):
        path = tmp_path / f"{number}.zip"
        path.write_bytes(data)
        with pytest.raises(archive.ArchiveError):
            archive.read(path)


@pytest.mark.parametrize("data", [b"", b"PK", b"no zip", b"PK\x05\x06" + b"\0" * 18, b"\0" * 1000])
def test_what_is_no_archive_is_one_line(data, tmp_path):
    path = tmp_path / "bad.zip"
    path.write_bytes(data)
    with pytest.raises(archive.ArchiveError) as error:
        archive.read(path)
    assert "\n" not in str(error.value)


def test_the_command_says_one_line_and_fails(tmp_path, run_benchpaper, small):
    done = run_benchpaper(small, "verify", crafted(tmp_path / "bad.zip", [("../out", b"x")]))
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and done.stderr.startswith("NOT VERIFIED  bad.zip: entry '../out'")


# ---- anonymity ----


def test_nothing_is_left_of_who_and_where(small, tmp_path):
    path = anonymous.make(small, "local", "smoke", tmp_path / "a.zip", more=(HOST, LOGIN, "more.md"))[0]
    found = identities.pattern(PLANTED)
    inside = archive.read(path)[0]
    assert [place for name, data in inside.items() for place in identities.where(name, data, found)] == []
    commit = subprocess.run(["git", "-C", small.root, "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
    assert all(commit.encode() not in data for data in inside.values())
    assert [n for n in bundle_names(bundle.make(small, "local", "smoke", tmp_path / "b.zip")[0]) if "more.md" in n] and "notes/more.md" not in inside
    verify.verify(path)


def bundle_names(path):
    return list(archive.read(path)[0])


def test_the_search_looks_into_every_kind_of_file(tmp_path):
    import nbformat
    import pyarrow as pa
    import pyarrow.parquet as pq

    word, found = "quillgroup", identities.pattern(["quillgroup"])
    parquet, compressed = io.BytesIO(), gzip.compress(b"by quillgroup")
    pq.write_table(pa.table({"hosts": pa.array([[("k", f"{word} box")]], pa.map_(pa.string(), pa.string()))}), parquet, compression="zstd")
    jar = io.BytesIO()
    with zipfile.ZipFile(jar, "w", zipfile.ZIP_DEFLATED) as inner:
        inner.writestr("META-INF/a.gz", compressed)
    text = zlib.compress(b"Author quillgroup")
    png = b"\x89PNG\r\n\x1a\n....zTXtAuthor\0\0" + text
    pdf = b"%PDF-1.5\nstream\n" + text + b"\nendstream"
    import base64

    cell = nbformat.v4.new_code_cell(outputs=[nbformat.v4.new_output("display_data", {"image/png": base64.b64encode(png).decode()})])
    book = nbformat.writes(nbformat.v4.new_notebook(cells=[cell])).encode()
    planted = {
        "a.txt": b"the QuillGroup", "a.parquet": parquet.getvalue(), "a.gz": compressed, "a.jar": jar.getvalue(), "a.png": png, "a.pdf": pdf,
        "a.ipynb": book, "quillgroup.md": b"", "wide.bin": b"\xff\xfe\x80" + "quillgroup".encode("utf-16-le"),
    }  # fmt: skip
    for name, data in planted.items():
        assert list(identities.where(name, data, found)), name
    assert not list(identities.where("a.txt", b"quillgroups", found))


def test_what_cannot_be_scrubbed_stops_the_bundle(small, tmp_path):
    path = small.root / "notes" / "scan.gz"
    path.write_bytes(gzip.compress(AUTHOR.encode(), mtime=0))
    small_project.git(small, "add", "-A")
    try:
        with pytest.raises(UserError, match='"Ada Quillfeather" is left in notes/scan.gz'):
            anonymous.make(small, "local", "smoke", tmp_path / "a.zip")
        assert not (tmp_path / "a.zip").exists()
    finally:
        small_project.git(small, "rm", "-qf", "notes/scan.gz")


def test_the_validator_sees_what_it_should(files, tmp_path):
    archive.unpack(files, (), tmp_path / "crate")
    assert validator.issues(tmp_path / "crate") == []
