"""The chunks of PNG pictures and the segments of JPEG pictures: what they say besides the picture.

Pixels are not searched: nothing here reads text that is drawn.
"""

import struct
import zlib
from collections.abc import Iterator

from benchpaper.artifact.bundle.anonymity.limits import Budget

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
DRAWN = frozenset([  # chunks that decide how the picture looks
    b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"bKGD",
    b"pHYs", b"acTL", b"fcTL", b"fdAT",
])  # fmt: skip
JPEG_SCAN = 0xDA  # from here on a JPEG is compressed data
JPEG_KEPT = {0xE0, 0xEE}  # JFIF's and Adobe's segments say how to decode; the others are metadata


def read_png(data: bytes, budget: Budget) -> Iterator[tuple[str, bytes]]:
    """Yield (chunk, text) of each PNG chunk that is not part of the picture."""
    for kind, content in _chunks(data):
        if kind in (b"zTXt", b"iCCP"):
            keyword, _, rest = content.partition(b"\0")
            yield kind.decode(), keyword + b" " + budget.inflate(rest[1:])
        elif kind == b"iTXt":
            keyword, _, rest = content.partition(b"\0")
            language, _, rest2 = rest[2:].partition(b"\0")
            translated, _, text = rest2.partition(b"\0")
            text = budget.inflate(text) if rest[:1] == b"\1" else text
            yield "iTXt", b" ".join([keyword, language, translated, text])
        elif kind not in DRAWN:
            yield (
                kind.decode("latin-1"),
                content.replace(b"\0", b" ") if kind == b"tEXt" else content,
            )


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (kind, content) of each chunk, and what follows the last as kind "after"."""
    position = len(PNG)
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        kind = data[position + 4 : position + 8]
        content = data[position + 8 : position + 8 + length]
        if len(content) < length:
            raise ValueError(f"its chunk {kind!r} is cut off")
        yield kind, content
        position += 12 + length
        if kind == b"IEND":
            break
    if position < len(data):
        yield b"after", data[position:]


def clean_png(data: bytes) -> bytes:
    """Return the same picture with only the chunks that draw it."""
    chunks = [(kind, content) for kind, content in _chunks(data) if kind in DRAWN]
    return PNG + b"".join(
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


def clean_jpeg(data: bytes) -> bytes:
    """Return the same picture without comments, EXIF, XMP, and other metadata."""
    kept, position = [data[:2]], 2
    while position + 4 <= len(data) and data[position] == 0xFF and data[position + 1] != JPEG_SCAN:
        marker = data[position + 1]
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4])
        is_metadata = (0xE0 <= marker <= 0xEF and marker not in JPEG_KEPT) or marker == 0xFE
        if not is_metadata:
            kept.append(data[position:end])
        position = end
    last = data.rfind(b"\xff\xd9")
    return b"".join([*kept, data[position : last + 2 if last > position else len(data)]])
