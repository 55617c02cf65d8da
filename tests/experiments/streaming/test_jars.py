"""Jars that a power cut has damaged count as missing, so that they are fetched again."""

import zipfile

import pytest

from experiments.systems import jars


@pytest.mark.parametrize("damage", [
    lambda data: b"", lambda data: data[: len(data) // 2],
    lambda data: data[: len(data) // 2] + bytes(len(data) // 2),
], ids=["empty", "cut", "zeroed tail"])  # fmt: skip
def test_damaged_jars_are_not_present(tmp_path, monkeypatch, damage):
    monkeypatch.setattr(jars, "CACHE", tmp_path)
    jars.folder().mkdir()
    for name in ("pekko", "akka"):
        with zipfile.ZipFile(jars.path(name), "w") as jar:
            jar.writestr("a.class", bytes(1000))
    assert not jars.present()
    (jars.folder() / "complete").touch()
    assert jars.present()
    jars.path("akka").write_bytes(damage(jars.path("akka").read_bytes()))
    assert not jars.present()
