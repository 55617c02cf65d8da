"""Mount points below a folder, from the kernel's table."""

from pathlib import Path

import pytest

from benchpaper.core import mounts

LINES = [
    r"1 0 8:1 / / rw - ext4 /dev/a rw",
    r"2 1 0:5 / /data rw - tmpfs t rw",
    r"3 1 0:6 / /data/a\040b rw - tmpfs t rw",
    r"4 1 0:7 / /data/a\040b/c rw - tmpfs t rw",
    r"5 1 0:8 / /database rw - tmpfs t rw",
]


@pytest.mark.parametrize(
    "folder, points",
    [
        ("/", ["/database", "/data/a b/c", "/data/a b", "/data", "/"]),
        ("/data", ["/data/a b/c", "/data/a b", "/data"]),
        ("/data/../data/a b", ["/data/a b/c", "/data/a b"]),
        ("/data/a", []),
        ("/elsewhere", []),
    ],
)
def test_only_what_is_at_or_below_it_the_last_one_first(monkeypatch, folder, points):
    monkeypatch.setattr(mounts.Path, "read_text", lambda path: "\n".join(LINES))
    assert mounts.below(Path(folder)) == [Path(point) for point in points]


def test_a_folder_is_resolved_once_however_much_is_mounted(monkeypatch):
    resolved = []
    real = Path.resolve
    monkeypatch.setattr(mounts.Path, "read_text", lambda path: "\n".join(LINES * 100))
    monkeypatch.setattr(
        mounts.Path, "resolve", lambda path, *more: resolved.append(path) or real(path, *more)
    )
    mounts.below(Path("/elsewhere"))
    assert len(resolved) == 1
