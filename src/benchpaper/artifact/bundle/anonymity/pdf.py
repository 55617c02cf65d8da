"""Everything a PDF says: its strings, streams, and the text that it shows."""

import io
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

from benchpaper.artifact.bundle.anonymity.limits import Budget, CannotSearch

KERNING = re.compile(rb"\)\s{0,9}-?[\d.]{1,9}\s{0,9}\(|>\s{0,9}-?[\d.]{1,9}\s{0,9}<")
PICTURE_FILTERS = {"/DCTDecode", "/JPXDecode", "/JBIG2Decode", "/CCITTFaxDecode"}
MAX_LZW_BYTES = 256 << 10  # compressed; LZW and run lengths expand up to 1400 times
PATIENCE_S = 120
MAX_NESTING = 100
Part = tuple[str, str | bytes]


def read(data: bytes, budget: Budget) -> Iterator[Part]:
    """Yield the strings, streams, and shown text of a PDF."""
    import pikepdf

    try:
        with pikepdf.open(io.BytesIO(data)) as pdf:
            yield from _objects(pdf, budget)
    except pikepdf.PasswordError:
        raise CannotSearch("it is encrypted") from None
    except pikepdf.PdfError as error:
        raise CannotSearch(f"it is no readable PDF: {error}") from None
    yield from _older_streams(data, budget)
    yield "the text that it shows", _shown(data)


def _objects(pdf: Any, budget: Budget) -> Iterator[Part]:
    import pikepdf

    strings: list[str] = []
    _add_strings(pdf.trailer, strings)
    for item in pdf.objects:
        _add_strings(item, strings)
        if isinstance(item, pikepdf.Stream):
            place = f"stream {item.objgen[0]}"
            for content in _stream(item, budget):
                yield place, content
    yield "its strings", "\n".join(strings)


def _add_strings(item: Any, strings: list[str], nesting: int = 0) -> None:
    """Add the strings and names of an object, without following references."""
    import pikepdf

    if nesting > MAX_NESTING:
        raise CannotSearch("its objects are nested too deeply")
    if isinstance(item, pikepdf.String):
        strings.append(str(item))  # decodes UTF-16 and PDF's own encoding
    elif isinstance(item, pikepdf.Name):
        strings.append(str(item)[1:])
    elif isinstance(item, (pikepdf.Dictionary, pikepdf.Stream)):
        for key, value in item.items():
            strings.append(key[1:])
            if not getattr(value, "is_indirect", False):
                _add_strings(value, strings, nesting + 1)
    elif isinstance(item, pikepdf.Array):
        for value in item:
            if not getattr(value, "is_indirect", False):
                _add_strings(value, strings, nesting + 1)


def _stream(stream: Any, budget: Budget) -> Iterator[bytes]:
    """Yield the content of a stream, decoded; of pictures only what is more than pixels."""
    filters = _filters(stream)
    if set(filters) & PICTURE_FILTERS:
        yield stream.read_raw_bytes()
        return
    if stream.get("/Subtype") == "/Image":
        return
    raw = stream.read_raw_bytes()
    content = raw
    for name in filters:
        if name not in ("/FlateDecode", "/Fl"):
            break
        content = budget.inflate(content)  # bounded, unlike the next step
    if (
        set(filters) & {"/LZWDecode", "/LZW", "/RunLengthDecode", "/RL"}
        and len(raw) > MAX_LZW_BYTES
    ):
        raise CannotSearch(f"its stream {stream.objgen[0]} may unpack to too much")
    content = stream.read_bytes()
    yield content
    if (joined := KERNING.sub(b"", content)) != content:
        yield joined


def _filters(stream: Any) -> list[str]:
    import pikepdf

    filters = stream.get("/Filter")
    if filters is None:
        return []
    return [str(name) for name in filters] if isinstance(filters, pikepdf.Array) else [str(filters)]


def _older_streams(data: bytes, budget: Budget) -> Iterator[Part]:
    """Yield the streams in the file's bytes, since a later revision only hides older ones."""
    end = 0
    while (start := data.find(b"stream", end)) >= 0 and (
        end := data.find(b"endstream", start)
    ) >= 0:
        content = data[start + len(b"stream") : end].lstrip(b"\r\n")
        end += len(b"endstream")
        if content[:1] in (b"\x78", b"\x48", b"\x68"):  # zlib's, for the usual sizes of window
            yield "a stream", budget.inflate(content)


def _shown(data: bytes) -> str:
    """Return the text on the pages, which only knows who decodes the fonts."""
    if not shutil.which("pdftotext"):
        raise CannotSearch("there is no pdftotext to read its pages; install poppler-utils")
    try:
        done = subprocess.run(
            ["pdftotext", "-q", "-", "-"], input=data, capture_output=True, timeout=PATIENCE_S
        )
    except subprocess.TimeoutExpired:
        raise CannotSearch(f"pdftotext did not end within {PATIENCE_S} s") from None
    if done.returncode:
        raise CannotSearch("pdftotext cannot read it")
    return done.stdout.decode(errors="replace")


def error() -> type[Exception]:
    """Return the exception that a damaged PDF raises."""
    import pikepdf

    return pikepdf.PdfError


def clean(data: bytes) -> bytes:
    """Return a PDF without its information dictionary, XMP, attachments, and private data."""
    import pikepdf

    with pikepdf.open(io.BytesIO(data)) as pdf:
        for key in ("/Info", "/ID"):
            if key in pdf.trailer:
                del pdf.trailer[key]
        for item in pdf.objects:
            if isinstance(item, (pikepdf.Dictionary, pikepdf.Stream)):
                for key in ("/Metadata", "/PieceInfo", "/LastModified", "/AF", "/EF"):
                    if key in item:
                        del item[key]
        if "/EmbeddedFiles" in pdf.Root.get("/Names", {}):
            del pdf.Root.Names["/EmbeddedFiles"]
        pdf.remove_unreferenced_resources()
        sink = io.BytesIO()
        pdf.save(sink, deterministic_id=True, fix_metadata_version=False)
    return sink.getvalue()
