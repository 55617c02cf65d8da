"""Wheels of a few hundred bytes, and an index that offers them as PEP 691 says."""

import hashlib
import json
import threading
import zipfile
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def write(folder, name, version="1.0", requires=(), module="", tag="py3-none-any", script=""):
    """Write a wheel to a folder, and return (its file name, its SHA-256)."""
    info = f"{name}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {need}\n" for need in requires)
    path = folder / f"{name}-{version}-{tag}.whl"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"little_{name}.py", module)
        for file, text in {
            "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
            "WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
            "entry_points.txt": f"[console_scripts]\n{script}\n" if script else "",
            "RECORD": "",
        }.items():
            wheel.writestr(f"{info}/{file}", text)
    return path.name, hashlib.sha256(path.read_bytes()).hexdigest()


def unpack(folder, *wheels):
    """Install wheels into a folder as pip would, as far as metadata tell."""
    for wheel in wheels:
        zipfile.ZipFile(wheel).extractall(folder)


@contextmanager
def index(files):
    """Serve {package: {file name: SHA-256}}; yield the address, and the packages asked for."""
    asked_for = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path.strip("/").split("/")[-1]
            asked_for.append(name)
            listed = [
                {"filename": file, "hashes": {"sha256": digest}}
                for file, digest in files.get(name, {}).items()
            ]
            self.send_response(200 if name in files else 404)
            self.end_headers()
            self.wfile.write(json.dumps({"files": listed}).encode())

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/simple", asked_for
        finally:
            server.shutdown()
