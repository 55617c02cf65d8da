"""A download resumes, and nothing but the declared file ever takes its place."""

import errno
import hashlib
import os
import shutil
from collections import namedtuple

import pytest
from file_server import served

from benchpaper.core.disk_space import NoRoom
from benchpaper.core.errors import UserError
from benchpaper.workflow import download as downloading
from benchpaper.workflow.download import download

DATA = bytes(range(256)) * 8192  # 2 MiB
SHA = hashlib.sha256(DATA).hexdigest()
HALF = len(DATA) // 2


@pytest.fixture
def fetch(tmp_path, monkeypatch):
    """Return `call(url, sha256)`: download to data/x; it returns the file."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "notes").mkdir(mode=0o700)

    def call(url, sha256=SHA, progress=lambda here, total: None):
        target = tmp_path / "data" / "deep" / "x"
        download(url, sha256, target, tmp_path / "notes", progress)
        return target

    return call


def kept(folder):
    return [path.stat().st_size for path in (folder / "notes").glob("*.part")]


GOOD = {
    "as usual": ({}, [None]),
    "cut off once": ({"cut": [HALF]}, [None, f"bytes={HALF}-"]),
    "cut off twice": ({"cut": [HALF, 10]}, [None, f"bytes={HALF}-", f"bytes={HALF + 10}-"]),
    "cut off, and no ranges": ({"cut": [HALF], "ranges": False}, [None, f"bytes={HALF}-"]),
    "cut off, and a wrong range": ({"cut": [HALF], "shift": 1}, None),
    "no length": ({"length": False}, [None]),
    "cut off before anything": ({"cut": [0]}, [None, None]),
}


@pytest.mark.parametrize("how, ranges", GOOD.values(), ids=GOOD)
def test_a_file_arrives_whole(fetch, tmp_path, how, ranges):
    steps = []
    with served(DATA, **how) as (url, behaviour):
        path = fetch(url, progress=lambda here, total: steps.append((here, total)))
    assert path.read_bytes() == DATA and kept(tmp_path) == []
    assert ranges is None or behaviour.ranges == ranges
    assert steps[-1] == (len(DATA), None if how.get("length") is False else len(DATA))


BAD = {
    "another file": (dict(data=DATA[::-1]), "has the sha256", []),
    "not found": (dict(status=404), "answers 404", []),
    "broken": (dict(status=503), "answers 503", []),
    "always cut off": (dict(cut=[10, 10, 10]), "the 30 bytes so far are kept", [30]),
    "cut off without a length": (dict(cut=[HALF], length=False), "has the sha256", []),
}


@pytest.mark.parametrize("how, words, parts", BAD.values(), ids=BAD)
def test_what_fails_says_why_and_puts_nothing_there(fetch, tmp_path, how, words, parts):
    with (
        served(**{"data": DATA, **how}) as (url, _),
        pytest.raises(UserError, match=words) as error,
    ):
        fetch(url)
    assert "\n" not in str(error.value) and url in str(error.value)
    assert not (tmp_path / "data" / "deep" / "x").exists() and kept(tmp_path) == parts


def test_nobody_answers(fetch, tmp_path):
    with served(DATA) as (url, _):
        pass
    with pytest.raises(UserError, match="cannot be fetched"):
        fetch(url)


BEFORE = {
    "a half": (DATA[:HALF], [f"bytes={HALF}-"]),
    "the whole": (DATA, [f"bytes={len(DATA)}-"]),
    "nothing": (b"", [None]),
    "half of another file": (b"y" * HALF, [f"bytes={HALF}-", None]),
    "more than the file": (DATA + b"y", [f"bytes={len(DATA) + 1}-", None]),
}


@pytest.mark.parametrize("before, ranges", BEFORE.values(), ids=BEFORE)
def test_an_earlier_part_is_used_if_it_is_one(fetch, tmp_path, before, ranges):
    (tmp_path / "notes" / f"{SHA}.part").write_bytes(before)
    with served(DATA) as (url, behaviour):
        assert fetch(url).read_bytes() == DATA
    assert behaviour.ranges == ranges


def test_a_place_on_another_file_system(fetch, monkeypatch):
    real = os.replace

    def replace(source, target):
        if str(source).endswith(f"{SHA}.part"):
            raise OSError(errno.EXDEV, "another file system")
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with served(DATA) as (url, _):
        assert fetch(url).read_bytes() == DATA


def test_a_file_that_has_no_room_is_not_begun(fetch, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1, 1, HALF))
    with served(DATA) as (url, _), pytest.raises(NoRoom, match="are free"):
        fetch(url)
    assert kept(tmp_path) == []


def test_a_redirect_within_the_web_is_followed(fetch):
    with served(DATA, redirect={"/x": "/y"}) as (url, _):
        assert fetch(url).read_bytes() == DATA


@pytest.mark.parametrize("to", ["file:///etc/hostname", "ftp://127.0.0.1/x", "data:,x", "gopher:x"])
def test_no_redirect_leads_out_of_the_web(fetch, tmp_path, to):
    with (
        served(DATA, redirect={"/x": to}) as (url, behaviour),
        pytest.raises(UserError, match="inputs come by https or http only|not allowed") as error,
    ):
        fetch(url)
    assert "correct the url" in str(error.value) and len(behaviour.ranges) == 1
    assert kept(tmp_path) == [] and not (tmp_path / "data").exists()


@pytest.mark.parametrize("length", [True, False])
def test_what_is_above_the_limit_is_given_up_and_not_kept(fetch, tmp_path, monkeypatch, length):
    monkeypatch.setattr(downloading, "MAX_BYTES", HALF)
    with (
        served(DATA, length=length) as (url, behaviour),
        pytest.raises(UserError, match=rf"has more than {HALF:,} bytes, .* get it by hand"),
    ):
        fetch(url)
    assert kept(tmp_path) == [] and len(behaviour.ranges) == 1
