"""Which files a module runs: found by one look at each folder, and anew for each question."""

from collections import Counter
from pathlib import Path

import pytest

from benchpaper.core import syntax


@pytest.fixture
def tree(tmp_path):
    """A package of a package; the module `user` uses both a dozen times, and their data."""
    texts = {
        "pack/__init__.py": "",
        "pack/deep/__init__.py": "",
        "pack/deep/data.txt": "data",
        "pack/deep/tool.py": "",
        "pack/user.py": "".join(f"from pack.deep.tool import name{n}\n" for n in range(12)),
    }
    for name, text in texts.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def reached(root):
    files = syntax.reached(syntax.files(root, "pack.user"), root, "pack")
    return {path.relative_to(root / "pack").as_posix() for path in files}


def test_each_package_is_listed_once(tree, monkeypatch):
    listed, rglob = Counter(), Path.rglob

    def counted(path, pattern):
        listed[path] += 1
        return rglob(path, pattern)

    monkeypatch.setattr(Path, "rglob", counted)
    everything = {"__init__.py", "user.py", "deep/__init__.py", "deep/data.txt", "deep/tool.py"}
    assert reached(tree) == everything
    assert listed == {tree / "pack/deep": 1}


def test_what_appears_or_goes_later_counts_though_nothing_that_uses_it_changes(tree):
    before = reached(tree)
    (tree / "pack/deep/more.txt").write_text("more")
    (tree / "pack/deep/tool.c").write_text('#include "../head.h"\n')
    assert reached(tree) - before == {"deep/more.txt", "deep/tool.c"}
    (tree / "pack/head.h").write_text("")
    assert reached(tree) - before == {"deep/more.txt", "deep/tool.c", "head.h"}
    for name in ("more.txt", "tool.c"):
        (tree / "pack/deep" / name).unlink()
    assert reached(tree) == before
