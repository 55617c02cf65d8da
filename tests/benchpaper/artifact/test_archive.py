"""Archives that mean harm or are none: each is refused in one line, and nothing is written."""

import stat
import struct
import zipfile
from pathlib import Path

import pytest

from benchpaper.artifact.bundle import archive, verify


def crafted(path, entries, **options):
    """A ZIP file of (name, bytes, mode, method) entries as they are, its manifest right."""
    with zipfile.ZipFile(path, "w") as made:
        listed = {name: data for name, data, *_ in entries}
        for name, data, *more in [*entries, (archive.MANIFEST, archive.manifest(listed))]:
            info = zipfile.ZipInfo(name, (2026, 1, 2, 3, 4, 6))
            info.create_system, info.external_attr = (
                3,
                (more[0] if more else stat.S_IFREG | 0o644) << 16,
            )
            made.writestr(
                info, data, compress_type=more[1] if len(more) > 1 else zipfile.ZIP_STORED
            )
    return path


@pytest.mark.parametrize(
    "entries, words",
    [
        ([("../out", b"x")], "would not stay inside"),
        ([("/tmp/out-of-a-bad-archive", b"x")], "would not stay inside"),
        ([("a/../../out", b"x")], "would not stay inside"),
        ([("a\\..\\out", b"x")], "would not stay inside"),
        ([("C:out", b"x")], "would not stay inside"),
        ([("a//b", b"x")], "would not stay inside"),
        ([("./a", b"x")], "would not stay inside"),
        ([("link", b"/etc/passwd", stat.S_IFLNK | 0o777)], "is a symbolic link"),
        ([("pipe", b"", stat.S_IFIFO | 0o644)], "is no plain file"),
        ([("folder/", b"", stat.S_IFDIR | 0o755)], "only plain files"),
        ([("device", b"", stat.S_IFCHR | 0o644)], "is no plain file"),
        ([("bomb", b"\0" * 50_000_000, stat.S_IFREG, zipfile.ZIP_DEFLATED)], "is compressed"),
        ([("a", b"1"), ("A", b"2")], "but for case"),
        ([("a", b"1"), ("a/b", b"2")], "lies below another file"),
        ([("n" * 300, b"x")], "too long a name"),
        ([("a/.Git/config", b"x")], "is of git"),
        ([("caf\u00e9", b"1"), ("cafe\u0301", b"2")], "two entries are called"),
        ([("li\u202enk", b"/etc", stat.S_IFLNK | 0o777)], '"li\\u202enk" is a symbolic'),
    ],
)
def test_an_archive_that_means_harm_is_refused_in_one_line(entries, words, tmp_path):
    path = crafted(tmp_path / "bad.zip", entries)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(archive.ArchiveError) as error:
        verify.verify(path, into=tmp_path / "into")
    assert words in str(error.value) and "\n" not in str(error.value)
    assert sorted(tmp_path.rglob("*")) == before and not Path("/tmp/out-of-a-bad-archive").exists()


def test_two_entries_of_one_name_are_refused(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = crafted(tmp_path / "bad.zip", [("a", b"1"), ("a", b"2")])
    with pytest.raises(archive.ArchiveError, match='two entries are called "a"'):
        archive.read(path)


def test_sizes_that_lie_are_refused(tmp_path):
    path = crafted(tmp_path / "bad.zip", [("a", b"1" * 100)])
    data = path.read_bytes()
    place = data.index(b"PK\x01\x02") + 20
    path.write_bytes(
        data[:place] + struct.pack("<II", 4_000_000_000, 4_000_000_000) + data[place + 8 :]
    )
    with pytest.raises(
        archive.ArchiveError,
        match="claim 4,000,0.* more than the .* of the whole archive|no readable ZIP",
    ):
        archive.read(path)


@pytest.mark.parametrize("data", [b"", b"PK", b"no zip", b"PK\x05\x06" + b"\0" * 18, b"\0" * 1000])
def test_what_is_no_archive_is_one_line(data, tmp_path):
    path = tmp_path / "bad.zip"
    path.write_bytes(data)
    with pytest.raises(archive.ArchiveError) as error:
        archive.read(path)
    assert "\n" not in str(error.value)
