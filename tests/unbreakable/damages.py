"""What a power cut does to a file, the files it can do that to, and what may be left of them."""

import os

FOLDERS = ("results", "build", ".benchpaper", ".snakemake")


def _zero_tail(data):
    half = len(data) // 2
    return data[:half] + bytes(len(data) - half)


DAMAGES = {
    "zero length": lambda data: b"",
    "zeroed tail": _zero_tail,
    "truncated": lambda data: data[: len(data) // 2],
}


def files(project):
    """Return every file that a run left below the four folders, in a fixed order."""
    paths = (path for name in FOLDERS for path in (project.root / name).rglob("*"))
    return sorted(path for path in paths if path.is_file() and not path.is_symlink())


def damage(path, kind):
    """Damage a file as `kind` says; its times stay. Return whether its content changed."""
    status, before = path.stat(), path.read_bytes()
    after = DAMAGES[kind](before)
    path.write_bytes(after)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    return after != before
