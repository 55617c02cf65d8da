"""Metadata are written anew, so names that nobody knows of go too; the content stays."""

import base64
import gzip
import io
import json
import lzma
import tarfile
import zipfile
import zlib

import pikepdf
import pyarrow.parquet as pq
import pytest
import yaml
from plants import a_jpeg, a_notebook, a_parquet, a_pdf, a_png, a_tar, a_zip, gzip_named, with_xmp

from benchpaper.artifact.bundle.anonymity import rewrite, tables
from benchpaper.artifact.bundle.anonymity.containers import leaves
from benchpaper.artifact.bundle.anonymity.limits import Budget

UNKNOWN = "Unheardof"
NAME = UNKNOWN.encode()
PICTURE = a_png()


def with_everything(pdf):
    with_xmp(pdf, UNKNOWN)
    pdf.docinfo["/Author"] = f"{UNKNOWN} \u4e00"
    pdf.attachments["a.txt"] = NAME
    pdf.pages[0]["/PieceInfo"] = pikepdf.Dictionary(By=UNKNOWN)


CITATION = f"""cff-version: 1.2.0  # by {UNKNOWN}
message: Cite it.
title: A pipe
version: 1.0
license: MIT
authors: [{{given-names: {UNKNOWN}, family-names: X, orcid: https://orcid.org/1}}]
contact: [{{name: {UNKNOWN}}}]
repository-code: https://git.example/{UNKNOWN}
preferred-citation: {{authors: [{{name: {UNKNOWN}}}]}}
"""

# {what: (file name, bytes)}: each names somebody in its metadata.
NAMING = {
    "citation": ("CITATION.cff", CITATION.encode()),
    "notebook": ("a.ipynb", a_notebook(PICTURE, authors=[{"name": UNKNOWN}])),
    "kernel": ("a.ipynb", a_notebook(PICTURE, kernelspec={"name": "x", "display_name": UNKNOWN})),
    "cell": ("a.ipynb", a_notebook(PICTURE, cell={"by": UNKNOWN, "tags": ["parameters"]})),
    "picture in a notebook": ("a.ipynb", a_notebook(a_png((b"tEXt", b"A\0" + NAME)))),
    "text in a PNG": ("a.png", a_png((b"tEXt", b"Author\0" + NAME))),
    "zipped text in a PNG": ("a.png", a_png((b"zTXt", b"Author\0\0" + zlib.compress(NAME)))),
    "unknown chunk of a PNG": ("a.png", a_png((b"quIL", NAME))),
    "after a PNG": ("a.png", a_png(after=NAME)),
    "EXIF in a JPEG": ("a.jpg", a_jpeg(0xE1, NAME)),
    "comment in a JPEG": ("a.jpg", a_jpeg(0xFE, NAME)),
    "PDF": ("a.pdf", a_pdf(with_everything)),
    "name in a gzip": ("a.gz", gzip_named(UNKNOWN)),
    "comment of a ZIP": ("a.zip", a_zip(b"x", comment=NAME)),
    "comment of an entry": ("a.zip", a_zip(b"x", of_entry=NAME)),
    "extra field of a ZIP": ("a.zip", a_zip(b"x", extra=b"\xff\xff\x09\0" + NAME)),
    "owner of a tar": ("a.tar", a_tar(b"x", uname=UNKNOWN, uid=1234)),
    "group of a tar": ("a.tar", a_tar(b"x", gname=UNKNOWN)),
    "header of a tar": ("a.tar", a_tar(b"x", pax_headers={"comment": UNKNOWN})),
    "owner of a tar.gz": ("a.tar.gz", gzip.compress(a_tar(b"x", uname=UNKNOWN), mtime=0)),
    "owner of a tar.xz": ("a.tar.xz", lzma.compress(a_tar(b"x", uname=UNKNOWN))),
    "PNG in a tar in a ZIP": ("a.zip", a_zip(a_tar(a_png((b"tEXt", b"A\0" + NAME))))),
}  # fmt: skip


def texts(data):
    return "\n".join(leaf.text for leaf in leaves(data, Budget()))


@pytest.mark.parametrize("what", NAMING)
def test_no_metadata_stay(what):
    name, data = NAMING[what]
    assert UNKNOWN in texts(data)  # else this would test nothing
    clean = rewrite.rewritten(name, data)
    assert UNKNOWN not in texts(clean) and clean != data
    assert rewrite.rewritten(name, clean) == clean  # so the same sources give the same bytes


def test_content_stays():
    rewritten = {what: rewrite.rewritten(*NAMING[what]) for what in NAMING}
    assert rewritten["text in a PNG"] == PICTURE
    assert gzip.decompress(rewritten["name in a gzip"]) == b"x"
    with zipfile.ZipFile(io.BytesIO(rewritten["comment of a ZIP"])) as archive:
        assert archive.read("a.txt") == b"x"
    with tarfile.open(fileobj=io.BytesIO(rewritten["owner of a tar.gz"])) as archive:
        assert archive.extractfile("a.txt").read() == b"x"
    with pikepdf.open(io.BytesIO(rewritten["PDF"])) as pdf:
        assert len(pdf.pages) == 1
    cited = yaml.safe_load(rewritten["citation"])
    assert cited["title"] == "A pipe" and cited["authors"] == [{"name": "Anonymous"}]
    cell = json.loads(rewritten["cell"])["cells"][0]
    assert cell["metadata"] == {"tags": ["parameters"]} and cell["source"] == ["1\n"]
    picture = json.loads(rewritten["picture in a notebook"])["cells"][0]["outputs"][0]["data"]
    assert base64.b64decode(picture["image/png"]) == PICTURE


def test_tables_keep_what_explains_them_and_nothing_else():
    kept = {b"benchpaper.schema": b"1", b"mine": NAME}
    of_field = {b"unit": b"B", b"meaning": b"by Ada", b"author": NAME}
    data = a_parquet(metadata=kept, of_field=of_field, column=["x Ada", "x Ada", None], name="git")
    clean = tables.rewrite(data, lambda text: text.replace("Ada", "nobody"), {})
    table = pq.read_table(io.BytesIO(clean))
    assert table.schema.metadata == {b"benchpaper.schema": b"1"}
    assert table.schema.field("git").metadata == {b"unit": b"B", b"meaning": b"by nobody"}
    assert table.column("git").to_pylist() == ["x nobody", "x nobody", None]
    fixed = tables.rewrite(data, str, {"git": "0"})
    assert pq.read_table(io.BytesIO(fixed)).column("git").to_pylist() == ["0", "0", None]


@pytest.mark.parametrize(
    "name, only_names",
    [("AUTHORS", True), ("docs/Contributors.md", True), (".mailmap", True), ("codemeta.json", True),
     (".github/CODEOWNERS", True), ("authors.py", False), ("src/credits/a.md", False)],
)  # fmt: skip
def test_files_of_names_are_left_out(name, only_names):
    assert rewrite.is_left_out(name) is only_names


@pytest.mark.parametrize(
    "name", ["CITATION.cff", "a.ipynb", "a.png", "a.pdf", "a.gz", "a.zip", "a.tar"]
)
def test_what_cannot_be_read_stays_for_the_search(name):
    magic = {
        "a.png": b"\x89PNG\r\n\x1a\n",
        "a.pdf": b"%PDF-1.5",
        "a.gz": b"\x1f\x8b\x08",
        "a.zip": b"PK\x03\x04",
    }
    data = magic.get(name, b"") + b"{[: \0\0\0\xff not one" + bytes(300)
    assert rewrite.rewritten(name, data) == data
