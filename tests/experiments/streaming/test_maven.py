"""The build of the pipelines by Maven: what comes of it without Maven, network, or right jars."""

import hashlib
import json
import zipfile

import pytest

from experiments.streaming import maven, pipelines

# A Maven that leaves a jar for each engine, and counts its calls. "offline" has its own jars.
FAKE = """#!/bin/sh
echo "$@" >> "{folder}/calls"
for word in "$@"; do case "$word" in
  -Doutput=*) out="${{word#-Doutput=}}";;
  --offline) offline=-offline;;
esac; done
for engine in pekko akka flink kafka; do
  mkdir -p "$out/$engine"
  cp "{folder}/lib$offline.jar" "$out/$engine/lib.jar"
done
{more}
"""


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache and a lock of their own."""
    monkeypatch.setattr(maven, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(maven, "LOCK", tmp_path / "jars.lock")
    with zipfile.ZipFile(tmp_path / "lib.jar", "w") as jar:
        jar.writestr("a.class", bytes(1000))
    digest = hashlib.sha256((tmp_path / "lib.jar").read_bytes()).hexdigest()
    (tmp_path / "jars.lock").write_text(f"{digest}  lib.jar\n")
    (tmp_path / "work").mkdir()
    return tmp_path


def fake_maven(cache, monkeypatch, more="exit 0"):
    (cache / "mvn").write_text(FAKE.format(folder=cache, more=more))
    (cache / "mvn").chmod(0o755)
    monkeypatch.setenv("PATH", f"{cache}:/usr/bin:/bin")


def calls(cache):
    return (cache / "calls").read_text().splitlines()


def test_the_network_is_read_once(cache, monkeypatch):
    fake_maven(cache, monkeypatch)
    (cache / "lib-offline.jar").write_bytes((cache / "lib.jar").read_bytes())
    for _ in range(2):
        assert {path.name for path in maven.build(cache / "work").iterdir()} == set(maven.ENGINES)
    assert ["--offline" in call for call in calls(cache)] == [False, True]
    assert all("--strict-checksums" in call for call in calls(cache))
    assert maven._maven_jars() == (True, "fetched")


def test_what_was_damaged_is_fetched_again(cache, monkeypatch):
    fake_maven(cache, monkeypatch)
    (cache / "lib-offline.jar").write_bytes(b"")
    maven.build(cache / "work")
    maven.build(cache / "work")
    assert ["--offline" in call for call in calls(cache)] == [False, True, False]


@pytest.mark.parametrize("lock, reason", [
    (f"{'0' * 64}  lib.jar\n", "lib.jar has another digest than in jars.lock"),
    ("", "lib.jar is not in jars.lock"),
])  # fmt: skip
def test_other_jars_than_the_locked_are_refused(cache, monkeypatch, lock, reason):
    fake_maven(cache, monkeypatch)
    maven.LOCK.write_text(lock)
    with pytest.raises(maven.JarsMissing, match=reason):
        maven.build(cache / "work")
    assert maven._maven_jars() == (False, reason)


def test_a_maven_without_a_network_is_a_missing_capability(cache, monkeypatch):
    fake_maven(cache, monkeypatch, 'echo "[ERROR] Could not transfer artifact"; exit 1')
    assert maven._maven_jars() == (True, "not fetched yet")
    pipelines.build(cache / "programs" / "one")  # does not raise: its cells are not testable
    present, detail = maven._maven_jars()
    assert not present and "Could not transfer artifact" in detail and "\n" not in detail
    assert pipelines.tools()["pekko"] == "not fetched"


def test_no_maven_is_a_missing_capability(cache, monkeypatch):
    monkeypatch.setenv("PATH", str(cache))
    assert maven._maven_jars() == (False, "no mvn on PATH")
    with pytest.raises(maven.JarsMissing, match="no mvn on PATH"):
        maven.build(cache / "work")


@pytest.mark.parametrize("words", ["error: no.", "value First is not a member of object Stage"])
def test_what_the_compiler_refuses_is_an_error(cache, monkeypatch, words):
    goal = f"Failed to execute goal net.alchim31.maven:{maven.COMPILER}"
    said = f"[ERROR] a.scala:1: {words} [ERROR] {goal}"
    fake_maven(cache, monkeypatch, f'echo "{said}"; exit 1')
    with pytest.raises(RuntimeError, match="the Scala compiler refused the pipelines: .*a.scala"):
        maven.build(cache / "work")


@pytest.mark.parametrize("damage", [
    lambda data: b"", lambda data: data[: len(data) // 2],
    lambda data: data[: len(data) // 2] + bytes(len(data) // 2),
], ids=["empty", "cut", "zeroed tail"])  # fmt: skip
def test_a_damaged_jar_makes_a_set_not_whole(cache, damage):
    for engine in maven.ENGINES:
        (cache / engine).mkdir()
        (cache / engine / "lib.jar").write_bytes((cache / "lib.jar").read_bytes())
    assert maven.whole(cache)
    path = cache / "akka" / "lib.jar"
    path.write_bytes(damage(path.read_bytes()))
    assert not maven.whole(cache)


def test_all_versions_are_pinned():
    assert maven.version("pekko") == "1.4.0" and maven.version("akka") == "2.6.21"
    assert json.dumps({name: maven.version(name) for name in pipelines.TOOLS})
    with pytest.raises(KeyError, match="pins no version of scalding"):
        maven.version("scalding")


def test_the_pom_has_no_open_version():
    for path in maven.HERE.rglob("pom.xml"):
        text = path.read_text()
        assert "SNAPSHOT" not in text and "LATEST" not in text and "[" not in text.split("-->")[1]
