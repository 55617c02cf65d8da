"""`benchpaper verify` trusts no archive: it finds changed bytes, numbers and pictures."""

import hashlib
import io
import json
import random
import zipfile

import pytest
from changed_archives import MANIFEST, again, needs_latex

from benchpaper import results
from benchpaper.artifact.bundle import archive, crate, verify
from benchpaper.core.errors import UserError


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
    assert verify._description(about(site))["site"] == site


@pytest.mark.parametrize(
    "site",
    ["", ".", "..", ".lab", "-lab", "../lab", "/lab", "a/b", "a/../b", "a\\b", "lab\n", "a b"],
)
def test_a_path_is_no_site_s_name(site):
    with pytest.raises(verify.NotVerified, match="^bundle.json: site (?s:.*) is no name$"):
        verify._description(about(site))


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
