"""How a name can hide in a file: every encoding of text, and every container of it."""

import base64
import bz2
import gzip
import html
import io
import json
import lzma
import quopri
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from urllib.parse import quote

import pikepdf
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq


def json_escaped(text):
    return "".join(f"\\u{ord(c):04x}" for c in text)


LATEX = {"é": r"\'{e}", "ú": r"\'u", "ñ": r"\~{n}", "ö": r"{\"o}", "ç": r"\c{c}", "ø": r"\o{}"}

# {encoding: function from a text to a text or to bytes}
ENCODINGS = {
    "plain": str,
    "lower case": str.lower,
    "upper case": str.upper,
    "JSON escapes": json_escaped,
    "JSON in JSON": lambda t: json.dumps(json.dumps([t])),
    "Python bytes": lambda t: "".join(f"\\x{b:02x}" for b in t.encode()),
    "Python name": lambda t: "".join(f"\\N{{{unicodedata.name(c)}}}" for c in t),
    "octal": lambda t: "".join(f"\\{b:03o}" for b in t.encode()),
    "JavaScript": lambda t: "".join(f"\\u{{{ord(c):x}}}" for c in t),
    "NFD": lambda t: unicodedata.normalize("NFD", t),
    "without accents": lambda t: "".join(
        c for c in unicodedata.normalize("NFD", t) if not unicodedata.combining(c)
    ),
    "full width": lambda t: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in t),
    "zero width": "\u200b".join,
    "soft hyphens": lambda t: t.replace("ll", "l\u00adl"),
    "LaTeX": lambda t: "".join(LATEX.get(c, c) for c in t),
    "LaTeX command": lambda t: rf"\textsc{{{t[:6]}}}\emph{{{t[6:]}}}",
    "LaTeX hyphenation": lambda t: t.replace("ll", r"l\-l"),
    "decimal entities": lambda t: "".join(f"&#{ord(c)};" for c in t),
    "hexadecimal entities": lambda t: "".join(f"&#x{ord(c):X};" for c in t),
    "named entities": lambda t: html.escape(t).replace("é", "&eacute;").replace("ö", "&ouml;"),
    "entities in JSON": lambda t: json.dumps("".join(f"&#{ord(c)};" for c in t)),
    "tags": lambda t: f"<tspan>{t[:7]}</tspan><tspan x='1'>{t[7:]}</tspan>",
    "percent": lambda t: "".join(f"%{b:02X}" for b in t.encode()),
    "percent of others": quote,
    "percent twice": lambda t: quote(quote(t)),
    "percent u": lambda t: "".join(f"%u{ord(c):04X}" for c in t),
    "base64": lambda t: base64.b64encode(t.encode()).decode(),
    "base64 in a line": lambda t: f"key: data;base64,{base64.b64encode(t.encode()).decode()} x",
    "base64 for URLs": lambda t: base64.urlsafe_b64encode(f"??>>{t}".encode()).decode().rstrip("="),
    "base64 in a path": lambda t: f"/api/v1/{base64.b64encode(t.encode()).decode()}",
    "base64 in lines": lambda t: base64.encodebytes(f"{'.' * 100}{t}{'.' * 100}".encode()).decode(),
    "base64 twice": lambda t: base64.b64encode(base64.b64encode(t.encode())).decode(),
    "base64 of UTF-16": lambda t: base64.b64encode(t.encode("utf-16-le")).decode(),
    "base64 of gzip": lambda t: base64.b64encode(gzip.compress(t.encode())).decode(),
    "base64 of escapes": lambda t: base64.b64encode(json_escaped(t).encode()).decode(),
    "base64 of percents": lambda t: base64.b64encode(
        "".join(f"%{b:02x}" for b in t.encode()).encode()
    ).decode(),
    "hexadecimal": lambda t: t.encode().hex(),
    "hexadecimal dump": lambda t: t.encode().hex(" "),
    "C array": lambda t: "{" + ", ".join(f"0x{b:02x}" for b in t.encode()) + "}",
    "quoted-printable": lambda t: quopri.encodestring(t.encode(), quotetabs=True).decode(),
    "encoded word": lambda t: f"=?utf-8?B?{base64.b64encode(t.encode()).decode()}?=",
    "over a line": lambda t: t.replace("ll", "l-\nl"),
    "over lines of a comment": lambda t: t.replace("ll", "l\n    # l"),
    "over strings": lambda t: t.replace("ll", "l'\n    'l"),
    "letter by letter": " ".join,
    "in an identifier": lambda t: f"my{t.replace(' ', '').replace('-', '')}Lab2",
    "in snake case": lambda t: f"of_{t.lower().replace(' ', '_')}_lab",
    "UTF-16": lambda t: t.encode("utf-16"),
    "UTF-16 without a mark": lambda t: f"by {t}".encode("utf-16-be"),
    "UTF-32": lambda t: t.encode("utf-32"),
    "Latin-1": lambda t: f"by {t}.".encode("latin-1"),
}


def encoded(name, text):
    content = ENCODINGS[name](text)
    return content if isinstance(content, bytes) else content.encode()


def a_zip(data, kind=zipfile.ZIP_DEFLATED, comment=b"", extra=b"", name="a.txt", of_entry=b""):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", kind) as archive:
        info = zipfile.ZipInfo(name)
        info.compress_type, info.comment, info.extra = kind, of_entry, extra
        archive.writestr(info, data)
        archive.comment = comment
    return sink.getvalue()


def a_tar(data, **fields):
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("a.txt")
        info.size = len(data)
        for key, value in fields.items():
            setattr(info, key, value)
        archive.addfile(info, io.BytesIO(data))
    return sink.getvalue()


def a_chunk(kind, content):
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def a_png(*chunks, after=b""):
    header = a_chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    pixels = a_chunk(b"IDAT", zlib.compress(b"\0\x80"))
    parts = [header, *(a_chunk(*chunk) for chunk in chunks), pixels, a_chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + after


def a_jpeg(marker, content):
    segment = b"\xff" + bytes([marker]) + struct.pack(">H", len(content) + 2) + content
    return b"\xff\xd8" + segment + b"\xff\xda\0\2\x11\x22\x33\xff\xd9"


def a_notebook(data, output=None, **metadata):
    picture = {"image/png": base64.encodebytes(data).decode()}
    cell = {
        "cell_type": "code", "id": "a", "execution_count": 1, "metadata": metadata.pop("cell", {}),
        "source": ["1\n"], "outputs": [{"output_type": "display_data", "data": picture,
        "metadata": {}} if output is None else output],
    }  # fmt: skip
    return json.dumps(
        {"cells": [cell], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    ).encode()


def a_pdf(change):
    """Return a PDF of one page after `change(pdf)`."""
    pdf = pikepdf.new()
    pdf.add_blank_page()
    change(pdf)
    sink = io.BytesIO()
    pdf.save(sink)
    return sink.getvalue()


def with_stream(data):
    def change(pdf):
        pdf.Root.Extra = pdf.make_indirect(pikepdf.Stream(pdf, data))

    return change


def with_xmp(pdf, author):
    with pdf.open_metadata() as metadata:
        metadata["dc:creator"] = [author]


def a_table(metadata=None, of_field=None, column=("x",), name="c", kind=None):
    field = pa.field(name, kind or pa.string(), metadata=of_field)
    return pa.table([pa.array(column, field.type)], schema=pa.schema([field], metadata=metadata))


def a_parquet(**options):
    sink = io.BytesIO()
    pq.write_table(a_table(**options), sink, compression="zstd")
    return sink.getvalue()


def a_feather(data):
    sink = io.BytesIO()
    pyarrow.feather.write_feather(a_table(column=[data], kind=pa.binary()), sink, compression="lz4")
    return sink.getvalue()


MAP = pa.map_(pa.string(), pa.list_(pa.binary()))

# {container: function from the bytes of a text to a file}
CONTAINERS = {
    "text": bytes,
    "binary": lambda d: b"\x00\x01\x02\xff" + d + b"\x00\xfe",
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda d: pa.compress(d, "zstd", asbytes=True),
    "jar": a_zip,
    "jar in jar": lambda d: a_zip(a_zip(a_zip(gzip.compress(d)))),
    "program that unpacks a ZIP": lambda d: b"#!/bin/sh\nexit\n" + a_zip(d),
    "comment of a ZIP": lambda d: a_zip(b"", comment=d),
    "comment of an entry": lambda d: a_zip(b"", of_entry=d),
    "tar": a_tar,
    "tar.gz": lambda d: gzip.compress(a_tar(d)),
    "PNG text": lambda d: a_png((b"tEXt", b"Author\0" + d)),
    "compressed PNG text": lambda d: a_png((b"zTXt", b"Author\0\0" + zlib.compress(d))),
    "international PNG text": lambda d: a_png((b"iTXt", b"A\0\1\0\0\0" + zlib.compress(d))),
    "EXIF in a PNG": lambda d: a_png((b"eXIf", b"MM\0*" + d)),
    "after a PNG": lambda d: a_png(after=d),
    "EXIF in a JPEG": lambda d: a_jpeg(0xE1, b"Exif\0\0" + d),
    "picture in a notebook": lambda d: a_notebook(a_png((b"zTXt", b"A\0\0" + zlib.compress(d)))),
    "Parquet column": lambda d: a_parquet(column=[d], kind=pa.binary()),
    "Parquet map of lists": lambda d: a_parquet(column=[[("k", [b"x", d])]], kind=MAP),
    "Parquet metadata": lambda d: a_parquet(metadata={b"k": d}),
    "Parquet field metadata": lambda d: a_parquet(of_field={b"k": d}),
    "Feather": a_feather,
    "stream of a PDF": lambda d: a_pdf(with_stream(d)),
}

# Where a text stands in a file by itself: {place: function from a text to (file name, bytes)}.
PLACES = {
    "name of a file": lambda t: (f"notes/{t}.md", b""),
    "name of a file, percent": lambda t: (f"notes/{quote(t)}.md", b""),
    "owner of a tar": lambda t: ("a.tar", a_tar(b"", uname=t[:31])),
    "header of a tar": lambda t: ("a.tar", a_tar(b"", pax_headers={"comment": t})),
    "name in a ZIP": lambda t: ("a.zip", a_zip(b"", name=f"{t}.txt")),
    "name in a gzip": lambda t: ("a.gz", gzip_named(t)),
    "author of a PDF in UTF-16": lambda t: ("a.pdf", a_pdf(lambda pdf: pdf.docinfo.__setitem__(
        "/Author", pikepdf.String(f"{t} \u4e00")))),
    "annotation of a PDF": lambda t: ("a.pdf", a_pdf(lambda pdf: pdf.pages[0].__setitem__(
        "/Annots", pdf.make_indirect(pikepdf.Array([pikepdf.Dictionary(Contents=t)]))))),
    "kerned text of a PDF": lambda t: ("a.pdf", a_pdf(with_stream(
        b"[" + b" -20 ".join(b"(%c)" % ord(c) for c in t if c.isascii()) + b"] TJ"))),
    "attachment of a PDF": lambda t: ("a.pdf", a_pdf(lambda pdf: pdf.attachments.__setitem__(
        "a.gz", gzip.compress(t.encode())))),
    "XMP of a PDF": lambda t: ("a.pdf", a_pdf(lambda pdf: with_xmp(pdf, t))),
    "name of a column": lambda t: ("a.parquet", a_parquet(name=t)),
    "output of a notebook": lambda t: ("a.ipynb", a_notebook(b"", {"output_type": "stream",
        "name": "stdout", "text": [f"{t[:9]}", f"{t[9:]}\n"]})),
    "metadata of a notebook": lambda t: ("a.ipynb", a_notebook(b"", authors=[{"name": t}])),
    "metadata of a cell": lambda t: ("a.ipynb", a_notebook(b"", cell={"by": json_escaped(t)})),
}  # fmt: skip


def gzip_named(text):
    sink = io.BytesIO()
    with gzip.GzipFile(text, "wb", fileobj=sink) as file:
        file.write(b"x")
    return sink.getvalue()
