"""Whether the program knows Snakemake's records, and which caches it trusts."""

import pytest

from benchpaper.core.project import Project
from benchpaper.workflow import damage


@pytest.fixture
def project(tmp_path):
    (tmp_path / ".snakemake" / "metadata").mkdir(parents=True)
    return Project(tmp_path)


@pytest.mark.parametrize("length", [1, 100, 250, 700])
def test_records_are_where_snakemake_puts_them(project, length):
    from snakemake.persistence.file import FilePersistence

    name, records = "build/" + "x/" * (length // 2) + "y", project.root / ".snakemake" / "metadata"
    snakemake = FilePersistence.__new__(FilePersistence)
    snakemake._max_len = None
    assert str(damage._record(project, project.root / name)) == snakemake._record_path(
        str(records), name
    )


def test_caches_are_trusted_until_damage_or_the_next_start_of_the_machine(project, monkeypatch):
    cache = project.home / ".cache" / "fonts"
    fetched = project.state / "cache" / "jars-1" / "big.jar"

    def refresh(is_damaged):
        for path in (cache, fetched):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        damage.refresh_caches(project, is_damaged)
        return cache.exists()

    assert not refresh(False)  # nobody noted when it was made
    assert refresh(False)
    assert not refresh(True)
    assert refresh(False)
    monkeypatch.setattr(damage, "_boot", lambda: b"another start\n")
    assert not refresh(False)
    assert refresh(False)
    (project.state / "boot").write_bytes(b"")
    assert not refresh(False)
    assert fetched.exists()
