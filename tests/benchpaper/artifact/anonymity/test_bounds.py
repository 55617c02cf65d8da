"""The search ends in bounded memory and linear time, and passes over nothing."""

import base64
import bz2
import gzip
import io
import json
import time
import zipfile
import zlib

import pikepdf
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from plants import a_pdf, a_png, a_zip, with_stream

from benchpaper.artifact.bundle.anonymity import limits
from benchpaper.artifact.bundle.anonymity.containers import leaves
from benchpaper.artifact.bundle.anonymity.identities import Identity, Kind
from benchpaper.artifact.bundle.anonymity.needles import Maker, Needles
from benchpaper.artifact.bundle.anonymity.rules import needles_of
from benchpaper.artifact.bundle.anonymity.search import Search

MIB = 1 << 20
ZEROS = bytes(8 * MIB)


def nested(depth):
    data = b"Quillfeather"
    for _ in range(depth):
        data = gzip.compress(data)
    return data


def a_parquet_bomb():
    sink = io.BytesIO()
    pq.write_table(pa.table({"x": ["y" * 1000] * 20_000}), sink, compression="zstd")
    return sink.getvalue()


def a_flate_bomb(pdf):
    twice = zlib.compress(zlib.compress(ZEROS, 9), 9)
    filters = pikepdf.Array([pikepdf.Name.FlateDecode, pikepdf.Name.FlateDecode])
    stream = pikepdf.Stream(pdf, b"")
    stream.write(twice, filter=filters)
    pdf.Root.Extra = pdf.make_indirect(stream)


def encrypted_pdf():
    pdf, sink = pikepdf.open(io.BytesIO(a_pdf(with_stream(b"x")))), io.BytesIO()
    pdf.save(sink, encryption=pikepdf.Encryption(owner="a", user="b"))
    return sink.getvalue()


def encrypted_zip():
    data = bytearray(a_zip(b"x"))
    data[data.index(b"PK\1\2") + 8] |= 1
    return bytes(data)


# {what: (bytes, what the refusal says)}
UNSEARCHABLE = {
    "gzip": (gzip.compress(ZEROS), "unpacks to more than 4,194,304 bytes"),
    "bzip2": (bz2.compress(ZEROS), "unpacks to more than"),
    "ZIP": (a_zip(ZEROS), "unpacks to more than"),
    "ZIP in ZIP": (a_zip(a_zip(ZEROS)), "unpacks to more than"),
    "PNG": (a_png((b"zTXt", b"A\0\0" + zlib.compress(ZEROS))), "unpacks to more than"),
    "Parquet": (a_parquet_bomb(), "unpacks to more than"),
    "PDF": (a_pdf(a_flate_bomb), "unpacks to more than"),
    "base64 of gzip": (base64.b64encode(gzip.compress(ZEROS)), "unpacks to more than"),
    "depth": (nested(20), "more than 8 files within each other"),
    "encrypted PDF": (encrypted_pdf(), "is encrypted"),
    "encrypted ZIP": (encrypted_zip(), "is encrypted"),
    "7z": (b"7z\xbc\xaf\x27\x1c\0\4" + bytes(30), "cannot be read here"),
    "cut gzip": (gzip.compress(b"x" * 99)[:-9], "cannot be read"),
    "cut ZIP": (a_zip(b"x" * 99)[:60], "cannot be read"),
    "cut PNG": (a_png()[:-20], "cannot be read"),
    "cut Parquet": (a_parquet_bomb()[:-9], "cannot be read"),
    "broken PDF": (b"%PDF-1.5\0\xff nothing", "no readable PDF"),
}


@pytest.mark.parametrize("what", UNSEARCHABLE)
def test_what_cannot_be_searched_is_refused(what, monkeypatch):
    monkeypatch.setattr(limits.Budget.__init__, "__defaults__", (4 * MIB, 600.0))
    data, why = UNSEARCHABLE[what]
    (finding,) = Search(Needles([])).findings({"a.bin": data})
    assert finding.problem == "no name can be ruled out in" and "a.bin" in finding.place
    assert why in finding.place and "\n" not in str(finding)


def test_as_deep_as_it_goes():
    assert any(leaf.text == "Quillfeather" for leaf in leaves(nested(8), limits.Budget()))


def test_time_is_bounded():
    with pytest.raises(limits.OutOfBounds, match="longer than 0 s"):
        list(leaves(b"x", limits.Budget(max_seconds=0)))


LINEAR = {  # patterns that could try each position again and again
    "letters": "a" * MIB,
    "base64": "Ab1" * (MIB // 3),
    "hexadecimal": "4a" * (MIB // 2),
    "escapes": "\\" * MIB,
    "percents": "%" * MIB,
    "entities": "&" * MIB,
    "open tags": "<" * MIB,
    "braces": "{" * MIB,
    "LaTeX accents": "\\'{" * (MIB // 3),
    "blanks": "q" + " " * MIB,
    "letters of the name": "q " * (MIB // 2),
    "most of the name": "quillfeathe " * (MIB // 12),
    "home folders": "/home/" * (MIB // 6),
    "nested JSON": "[" * 100_000 + "]" * 100_000,
    "streams": "stream\n" * (MIB // 7),
    "initials": "A. " * (MIB // 3),
    "new lines": "-\n" * (MIB // 2),
    "equals": "=\n=" * (MIB // 3),
}


@pytest.mark.parametrize("what", LINEAR)
def test_the_search_takes_linear_time(what):
    """Four times the text takes about four times as long; quadratic time would be sixteen."""
    maker = Maker()
    needles = Needles(
        needle
        for name in ("Ada Quillfeather", "Will Grant", "Tom Allen")
        for needle in needles_of(Identity(Kind.PERSON, name, "a test"), maker)
    )
    seconds = []
    for text in (LINEAR[what][: MIB // 16], LINEAR[what][: MIB // 4]):
        start = time.process_time()
        Search(needles).findings({"a.txt": text.encode()})
        seconds.append(time.process_time() - start)
    assert seconds[1] < 0.5 or seconds[1] / seconds[0] < 10


def test_json_of_any_depth_is_text():
    deep = json.loads("[" * 900 + '"\\u0051uillfeather"' + "]" * 900)
    assert any(
        "Quillfeather" in leaf.text for leaf in leaves(json.dumps(deep).encode(), limits.Budget())
    )


def test_a_zip_of_itself_ends():
    """Each content is read once, so repeating it costs nothing."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(50):
            archive.writestr(f"{number}.gz", gzip.compress(b"y" * MIB, mtime=0))
    assert Search(Needles([])).findings({"a.zip": sink.getvalue()}) == []


@pytest.mark.parametrize("name", ["a.br", "lib/a.RPM", "a.7z"])
def test_a_format_that_nothing_reads_is_refused(name):
    (finding,) = Search(Needles([])).findings({name: b"x"})
    assert "nothing here reads such files" in str(finding) and name in str(finding)
