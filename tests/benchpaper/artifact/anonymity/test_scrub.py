"""Scrubbing: what is replaced in which file, and what happens to names, digests, and oddities."""

import hashlib
import io

import pyarrow.parquet as pq
import pytest
from plants import a_parquet

from benchpaper.artifact.bundle.anonymity.identities import PLACEHOLDERS, Identity, Kind
from benchpaper.artifact.bundle.anonymity.needles import Maker, Needles
from benchpaper.artifact.bundle.anonymity.rules import needles_of
from benchpaper.artifact.bundle.anonymity.scrub import COMMIT, scrub
from benchpaper.core.errors import UserError

MAKER = Maker(PLACEHOLDERS)
NEEDLES = Needles(
    needle
    for kind, text in ((Kind.PERSON, "Zoë Quillfeather"), (Kind.HOST, "10.31.7.4"))
    for needle in needles_of(Identity(kind, text, "a test"), MAKER)
)


@pytest.mark.parametrize(
    "text, scrubbed",
    [
        ("by Zoë Quillfeather.", "by anonymous."),
        ("by Zoe\u0308 Quillfeather\u0308!", "by anonymous!"),
        ("Straße, ŒUVRE: Quillfeather ﬁn", "Straße, ŒUVRE: anonymous ﬁn"),
        ("# Quill-\n# feather et al.", "# anonymous et al."),
        ("theQuillfeatherLab", "theanonymousLab"),
        ("10.31.7.4:80, 110.31.7.4", "192.0.2.1:80, 110.31.7.4"),
        ("/home/zo/x /home/user/y", "/home/anonymous/x /home/user/y"),
        ("nobody: 你好\r\n\u200b", "nobody: 你好\r\n\u200b"),
    ],
)
def test_texts(text, scrubbed):
    assert scrub({"a.md": text.encode()}, NEEDLES).files == {"a.md": scrubbed.encode()}


def test_digests_follow_their_tables():
    table = a_parquet(column=["Quillfeather", "x"])
    digest = hashlib.sha256(table).hexdigest()
    files = {"t.parquet": table, "a.json": f"{digest} {digest[:16]}".encode()}
    result = scrub(files, NEEDLES)
    new = hashlib.sha256(result.files["t.parquet"]).hexdigest()
    assert result.files["a.json"].decode() == f"{new} {new[:16]}"
    assert "1 different texts replaced" in result.changes["t.parquet"]


def test_commits_go():
    table = scrub({"t.parquet": a_parquet(column=["a" * 40], name="git_commit")}, NEEDLES)
    column = pq.read_table(io.BytesIO(table.files["t.parquet"])).column("git_commit")
    assert column.to_pylist() == [COMMIT]


@pytest.mark.parametrize("name", ["a.parquet", "a.ipynb", "CITATION.cff", "a.png", "a.md"])
@pytest.mark.parametrize(
    "data", [b"", b"[]", b"PAR1", b"null", b"\xff\0", b"{}", b"\x89PNG\r\n\x1a\n"]
)
def test_a_file_that_is_not_what_it_is_called_stays(name, data):
    result = scrub({name: data}, NEEDLES).files[name]
    assert result == data or (name == "CITATION.cff" and b"Anonymous" in result)


def test_two_files_never_become_one():
    with pytest.raises(UserError, match='two files would both be called "anonymous.md"'):
        scrub({"Quillfeather.md": b"", "quillfeather.md": b""}, NEEDLES)
