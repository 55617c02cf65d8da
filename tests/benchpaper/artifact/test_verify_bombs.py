"""Files that would take all memory, time, disk, or the network of their reader."""

import http.server
import io
import json
import os
import sys
import tempfile
import threading
import zlib
from pathlib import Path

import pytest
from changed_archives import RESULTS, again, needs_latex

from benchpaper.artifact.bundle import confined, crate, verify
from benchpaper.artifact.bundle.confined import Limits

SMALL = Limits(memory_bytes=1 << 30, cpu_s=10, wall_s=240, file_bytes=50 << 20)
TOO_MUCH = "memory|Memory|ended the reader|CPU time|cannot be read|malloc|too much|more than"


def wide_table():
    """A Parquet file of a few kilobytes whose only text, in 100,000 rows, takes 100 GB."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = pa.DictionaryArray.from_arrays(pa.array([0] * 100_000, pa.int32()), ["x" * 1_000_000])
    target = io.BytesIO()
    pq.write_table(pa.table({"block": text}), target, compression="zstd", use_dictionary=True)
    assert len(target.getvalue()) < 10_000
    return target.getvalue()


def pdf(stream, filters="/FlateDecode"):
    """A PDF of one page with these contents."""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /Contents 4 0 R "
        b"/Resources << /Font << /F 5 0 R >> >> >>",
        b"<< /Length %d /Filter %s >>\nstream\n%s\nendstream"
        % (len(stream), filters.encode(), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    data, places = b"%PDF-1.5\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return (
        data
        + b"xref\n0 6\n0000000000 65535 f \n%strailer\n<< /Size 6 /Root 1 0 R >>\n" % (table)
        + b"startxref\n%d\n%%%%EOF\n" % len(data)
    )


def wordy_pdf():
    """A PDF of below a megabyte that prints text for ever, as far as its readers can tell."""
    line = b"BT /F 1 Tf 1 1 Td (" + b"w" * 200 + b") Tj ET\n"
    return pdf(zlib.compress(line * 1_000_000, 9))


def deep_json(opening):
    return opening * 200_000


BOMBS = {
    "Parquet": (f"{RESULTS}/trials.parquet", wide_table),
    "PDF": ("build/local-smoke/paper.pdf", wordy_pdf),
    "JSON that nests": ("build/local-smoke/verdicts.json", lambda: deep_json(b'[{"a":')),
    "JSON that is wide": ("build/local-smoke/verdicts.json", lambda: b"[" + b"[],[]," * 6_000_000),
    "notebook": ("build/local-smoke/notebooks/toy_pipe_cost.ipynb", lambda: deep_json(b"[")),
    "TOML": ("pyproject.toml", lambda: b"a = " + deep_json(b"[")),
}


@needs_latex
def test_an_archive_needs_less_than_the_limits_of_these_tests(small_bundle):
    assert verify.verify(small_bundle, limits=SMALL)["site"] == "local"


@needs_latex
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_in_an_archive_is_one_line(small_files, tmp_path, monkeypatch, name):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    file, make = BOMBS[name]
    path = again(tmp_path / "a.zip", {**small_files, file: make()})
    with pytest.raises(verify.NotVerified) as error:
        verify.verify(path, limits=SMALL)
    assert "\n" not in str(error.value) and len(str(error.value)) < 500
    assert not list(temporary.iterdir())


# ---- the limits, one by one ----


def limited(tmp_path, body, **limits):
    """Run a function of this text in a confined process."""
    (tmp_path / "hostile.py").write_text(f"def run(argument):\n    {body}\n")
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    values = dict(memory_bytes=2 << 30, cpu_s=20, wall_s=240, file_bytes=1 << 20) | limits
    return confined.call("hostile:run", "argument", folder=work, limits=Limits(**values))


@pytest.fixture(autouse=True)
def importable(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.pathsep.join(sys.path)}")


SPIN = "while True: pass"
NAP = "import time; time.sleep(600)"
HOARD = "return len(b'x' * (3 << 30))"
FILL = "open('full', 'wb').write(b'x' * (2 << 20))"
CHATTER = "from benchpaper.artifact.bundle import confined; confined.reading('x' * 999)"
CRASH = "import os; os.abort()"


@pytest.mark.parametrize(
    "body, limits, words",
    [
        (SPIN, dict(cpu_s=1), "reading it takes more than 1 s of CPU time"),
        (NAP, dict(wall_s=2), "reading it takes more than 2 s"),
        (HOARD, {}, "it takes more than 2,147,483,648 bytes of memory"),
        (FILL, {}, "writes a file above 1,048,576 bytes"),
        (CHATTER, dict(report_bytes=100), "the report on it has more than 100 bytes"),
        (CRASH, {}, "ended the reader \\(SIGABRT\\)"),
        ("import os; os._exit(0)", {}, "ended the reader \\(status 0\\)"),
        ("raise ValueError('no')", {}, "ended the reader \\(status 1\\)"),
    ],
)
def test_a_limit_ends_the_child_and_is_named(tmp_path, body, limits, words):
    with pytest.raises(confined.Refused, match=words):
        limited(tmp_path, body, **limits)


def test_a_result_comes_back_and_prints_of_libraries_do_not_disturb_it(tmp_path):
    assert limited(tmp_path, "print('noise'); return {'got': argument}") == {"got": "argument"}


def test_a_death_names_the_file_that_was_read(tmp_path):
    body = "from benchpaper.artifact.bundle import confined; confined.reading('a.pdf'); " + CRASH
    with pytest.raises(confined.Refused, match="reading a.pdf ended the reader"):
        limited(tmp_path, body)


def test_nothing_that_the_child_started_survives_it(tmp_path):
    body = "import subprocess; p = subprocess.Popen(['sleep', '600']); return p.pid"
    pid = limited(tmp_path, body)
    for _ in range(500):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":
            return
        threading.Event().wait(0.01)
    pytest.fail("it still runs")


# ---- the network ----


@pytest.fixture
def server():
    """A server on this machine: (its address, the requests that reached it)."""
    requests = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append(self.path)
            self.send_error(404)

        def log_message(self, *words):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}", requests
        serving.shutdown()
        thread.join()


CONNECT = "import urllib.request; return urllib.request.urlopen({0!r}).status"
RESOLVE = "import socket; return str(socket.getaddrinfo('example.org', 80))"


@pytest.mark.parametrize("body", [CONNECT, RESOLVE])
def test_the_child_reaches_no_other_machine(tmp_path, server, body):
    address, requests = server
    with pytest.raises(confined.Refused, match="made the reader use the network|ended the reader"):
        limited(tmp_path, body.format(address))
    assert requests == []


@needs_latex
@pytest.mark.parametrize("place", ["the crate", "an entity", "an import"])
def test_an_address_in_a_crate_is_never_fetched(small_files, tmp_path, server, place):
    address, requests = server
    graph = json.loads(small_files[crate.METADATA])
    if place == "the crate":
        graph["@context"] = [graph["@context"], f"{address}/context"]
    elif place == "an entity":
        graph["@graph"][0]["@context"] = f"{address}/context"
    else:
        graph["@context"] = {"@import": f"{address}/context"}
    files = {**small_files, crate.METADATA: json.dumps(graph).encode()}
    with pytest.raises(verify.NotVerified, match="^ro-crate-metadata.json: "):
        verify.verify(again(tmp_path / "a.zip", files, kept=[crate.METADATA]))
    assert requests == []
