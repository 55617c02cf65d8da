"""`benchpaper verify` trusts no archive: it finds changed bytes, numbers and pictures."""

import contextlib
import io
import json
import random
import zipfile

import pytest
from changed_archives import (
    BUILD,
    EXHIBITS,
    NOTEBOOK,
    OBSERVATIONS,
    RESULTS,
    VERDICTS,
    again,
    edited,
    inspected,
    needs_latex,
    with_inputs,
    with_table,
)
from small_project import AUTHOR

from benchpaper import results
from benchpaper.artifact.bundle import SCHEMA_VERSION, archive, crate, generated, inspection, verify
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
            inspected(path, tmp_path)


def number(manifest):
    manifest["exhibits"]["toy-pipe-cost-4k"] |= {"value": 0.01, "text": "0.01 µs"}


def half(rows):
    return rows[: len(rows) // 2]


def pdf_by_eve(files):
    cited = files["CITATION.cff"].replace(AUTHOR.encode(), b"Eve Forger")
    return {**files, "CITATION.cff": cited}


def other_setting(files):
    """The PDF says 9731.25 s, which no value and no axis shows; the sources say 9731.75."""
    sources = files["paper/main.tex"].replace(b"9731.25", b"9731.75")
    return {**files, "paper/main.tex": sources}


def other_sentence(files):
    """Claims, verdicts, and what the paper inputs agree; the PDF was typeset with other words."""
    old, new = "takes longer than one of a byte", "takes no longer than one of a byte"

    def change(rows):
        rows[0]["sentence"] = rows[0]["sentence"].replace(old, new)

    claims = "analysis/claims_toy.py"
    assert old.encode() in files[claims]
    changed = files[claims].replace(old.encode(), new.encode())
    return {**edited(files, VERDICTS, change), claims: changed}


# One forgery for each check; test_verify_*.py have many more. The digests of all are mended.
FORGERIES = {
    "metadata": (
        lambda f: edited(f, crate.SBOM, lambda bom: bom.update(components=[])),
        "sbom.cdx.json: /components has 0 entries",
    ),
    "results": (
        lambda f: with_table(f, OBSERVATIONS, half),
        "is measured in one of its tables only",
    ),
    "exhibits": (
        lambda f: edited(f, EXHIBITS, number),
        'number "toy-pipe-cost-4k" is 0.01 µs .* but the data inside give',
    ),
    "notebook": (
        lambda f: {**f, NOTEBOOK: f["analysis/toy_pipe_cost.ipynb"]},
        "ran with other parameters: {}",
    ),
    "verdict": (
        lambda f: edited(f, VERDICTS, lambda rows: rows[0].update(verdict="reproduced")),
        "claim C1: /verdict is 'reproduced', but the other files give 'inconclusive'",
    ),
    "authors": (pdf_by_eve, 'paper.pdf names the author "Ada Quillfeather", whom CITATION.cff'),
    "number in the PDF": (other_setting, "the PDF prints 9731.25, which no exhibit"),
    "claim in the PDF": (other_sentence, "the PDF does not print claim C1 as it is inside"),
    "experiment without results": (
        lambda f: {name: data for name, data in f.items() if not name.startswith(RESULTS)},
        "has results at results/local/smoke, but no Parquet files of toy/pipe_cost",
    ),
}


@needs_latex
@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_of_each_kind_is_found_although_all_digests_are_right(
    small_files, tmp_path, name
):
    change, words = FORGERIES[name]
    files = with_inputs(change(small_files), tmp_path)
    path = again(tmp_path / "a.zip", files, kept=[crate.SBOM] if name == "metadata" else ())
    with pytest.raises(UserError, match=words):
        inspected(path, tmp_path)


@needs_latex
@pytest.mark.parametrize("name", ["claims.tex", "exhibits.tex"])
def test_a_verdict_in_one_of_the_files_that_the_paper_inputs_is_found(small_files, tmp_path, name):
    path = f"{BUILD}/{name}"
    assert b"inconclusive" in small_files[path]
    files = {**small_files, path: small_files[path].replace(b"inconclusive", b"reproduced")}
    with pytest.raises(archive.NotVerified, match=f"{name} is not what"):
        inspected(again(tmp_path / "a.zip", files), tmp_path)


@needs_latex
def test_files_of_another_date_than_the_commit_are_found(small_files, tmp_path):
    path = again(tmp_path / "a.zip", small_files, date=(2026, 1, 2, 3, 4, 6))
    with pytest.raises(archive.NotVerified, match="are not dated as the commit in bundle.json"):
        inspected(path, tmp_path)


@needs_latex
def test_another_digest_in_the_manifest_s_place_is_found_by_the_crate(small_files, tmp_path):
    changed = {name: data for name, data in small_files.items() if name != archive.MANIFEST}
    changed["README.md"] += b"more"
    _, _, date = archive.read_dated(again(tmp_path / "a.zip", small_files))
    archive.write(tmp_path / "b.zip", changed, date)
    with pytest.raises(archive.NotVerified, match="ro-crate-metadata.json: /@graph/README.md/"):
        inspected(tmp_path / "b.zip", tmp_path)


def about_json(site):
    """What an archive of this site says of itself."""
    described = dict(
        benchpaper_bundle=SCHEMA_VERSION,
        benchpaper="0.1.0",
        results_schema=results.SCHEMA_VERSION,
        site=site,
        source="smoke",
        commit="0" * 40,
        commit_seconds=0,
        experiments=[],
    )
    return {
        archive.ABOUT: json.dumps(
            {**described, "clean": True, "build": f"build/{site}-smoke"}
        ).encode()
    }


@pytest.mark.parametrize("site", ["local", "my.lab", "lab-2.uni_x", "a..b"])
def test_what_may_be_a_site_s_name_is_a_name(site):
    assert inspection.describe(about_json(site))["site"] == site


@pytest.mark.parametrize(
    "site",
    ["", ".", "..", ".lab", "-lab", "../lab", "/lab", "a/b", "a/../b", "a\\b", "lab\n", "a b"],
)
def test_a_path_is_no_site_s_name(site):
    with pytest.raises(verify.NotVerified, match="^bundle.json: site (?s:.*) is no name$"):
        inspection.describe(about_json(site))


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
        (lambda f: f.pop(crate.METADATA) and None, "it has no ro-crate-metadata.json"),
        (lambda f: f.pop(archive.ABOUT) and None, "it has no bundle.json"),
        (
            lambda f: f.__setitem__(
                archive.ABOUT,
                f[archive.ABOUT].replace(b'"benchpaper_bundle": 3', b'"benchpaper_bundle": 7'),
            ),
            "schema version 7, this program reads 3",
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
        (lambda f: f.__setitem__(archive.ABOUT, b"[" * 100_000), "bundle.json is no valid JSON"),
        (lambda f: f.__setitem__(EXHIBITS, b"[]"), "exhibits.json of toy_pipe_cost holds no dict"),
        (
            lambda f: f.__setitem__("results/local/smoke/toy/pipe_cost/trials.parquet", bomb()),
            "claims 1,000,001 rows",
        ),
        (
            lambda f: f.__setitem__("extra.txt", b"x"),
            "ro-crate-metadata.json: /@graph/",
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
    if archive.ABOUT in changed and crate.METADATA in changed and "extra.txt" not in changed:
        with contextlib.suppress(UserError, KeyError):  # what follows from a broken description
            own = {name: data for name, data in changed.items() if name not in generated.NAMES}
            changed |= generated.make(own, json.loads(small_files[archive.ABOUT]))
    _, _, date = archive.read_dated(again(tmp_path / "date.zip", small_files))
    archive.write(tmp_path / "a.zip", changed, date)
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
