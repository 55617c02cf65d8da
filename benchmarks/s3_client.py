"""Compare our S3 reader with wrk: GETs per second of the client's own CPU, on the same requests.

`python benchmarks/s3_client.py [SECONDS]` needs nginx and wrk (Debian packages). nginx serves the
objects as files, and checks no signature, so that the server costs little. Each client sends the
same signed GET over one connection, in turns; the best of three rounds counts.
"""

import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from experiments.training_io.clients import s3_wire

LIMIT, ROUNDS, SIZES = 0.8, 3, (4 << 10, 64 << 10, 1 << 20)
HOST, BUCKET, CREDENTIALS = "127.0.0.1", "bench", ("ACCESS16CHARS000", "SECRET20CHARS0000000")
CONFIGURATION = """
daemon off; worker_processes 1; pid {folder}/pid; error_log stderr crit; {user}
events {{ worker_connections 64; }}
http {{
    access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000;
    client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{ listen {host}:{port}; root {folder}; }}
}}
"""


@contextmanager
def served(folder: Path) -> Iterator[int]:
    """Serve `folder` by nginx; yield the port."""
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    user = "user root;" if os.geteuid() == 0 else ""
    text = CONFIGURATION.format(folder=folder, host=HOST, port=port, user=user)
    (folder / "conf").write_text(text)
    server = subprocess.Popen(["nginx", "-p", folder, "-c", folder / "conf"])
    try:
        while server.poll() is None:
            try:
                s3_wire.Connection(HOST, port).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.01)
        yield port
    finally:
        server.terminate()
        server.wait()


def ours(signer: s3_wire.Signer, port: int, key: str, size: int, seconds: float) -> float:
    """Return GETs per CPU second of a reader in this process, which checks each length."""
    connection, request, count = s3_wire.Connection(HOST, port), signer.get(key), 0
    ends, cpu = time.perf_counter() + seconds, time.process_time()
    while time.perf_counter() < ends:
        if len(connection.fetch(request)) != size:
            raise RuntimeError(f"a GET of {key} brought other than {size} B")
        count += 1
    cpu = time.process_time() - cpu
    connection.close()
    return count / cpu


def wrk(signer: s3_wire.Signer, port: int, key: str, size: int, seconds: float) -> float:
    """Return GETs per CPU second of wrk, with one thread and one connection."""
    lines = signer.get(key).decode().split("\r\n")[1:]
    headers = [word for line in lines if line for word in ("-H", line)]
    command = ["wrk", "-t1", "-c1", f"-d{max(1, round(seconds))}s", *headers]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [*command, f"http://{HOST}:{port}/{BUCKET}/{key}"], capture_output=True, text=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode or "Non-2xx" in done.stdout:
        raise RuntimeError(done.stdout + done.stderr)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return int(done.stdout.split(" requests in ")[0].split()[-1]) / cpu


def main(seconds: float) -> bool:
    """Print a line for each size. Return True if a size misses the limit."""
    if lacking := [name for name in ("nginx", "wrk") if not shutil.which(name)]:
        sys.exit(f"not on PATH: {', '.join(lacking)}; ./reproduce --for benchmarks installs them")
    missed = False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / BUCKET).mkdir()
        for size in SIZES:
            (folder / BUCKET / str(size)).write_bytes(bytes(size))
        with served(folder) as port:
            signer = s3_wire.Signer(HOST, port, BUCKET, CREDENTIALS)
            for size in SIZES:
                clients: tuple[Callable[..., float], ...] = (ours, wrk)
                rates = [
                    max(client(signer, port, str(size), size, seconds) for _ in range(ROUNDS))
                    for client in clients
                ]
                ratio = rates[0] / rates[1]
                missed |= ratio < LIMIT
                print(
                    f"{size >> 10:>5} KiB: ours {rates[0]:>8.0f} GETs per CPU second, "
                    f"wrk {rates[1]:>8.0f}, ratio {ratio:.2f}, limit {LIMIT}",
                    flush=True,
                )
    return missed


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 3.0))
