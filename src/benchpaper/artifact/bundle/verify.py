"""`benchpaper verify`: checks that an archive is what it claims, without running its code.

This module compares the archive's digest and signature. `inspection` does the rest, in a child
process that cannot take all memory, run for ever, or reach the network.
"""

import hashlib
import tempfile
from pathlib import Path
from typing import Any

from benchpaper.artifact.bundle import archive, confined, signature
from benchpaper.artifact.bundle.archive import NotVerified
from benchpaper.artifact.bundle.confined import DEFAULT_LIMITS, Limits

INSPECT = "benchpaper.artifact.bundle.inspection:inspect"


def verify(
    path: Path,
    digest: str | None = None,
    into: Path | None = None,
    signers: Path | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> dict[str, Any]:
    """Check an archive; return its digest, its description, and "checks": a line for each check.

    `digest` is the SHA-256 that the archive was published with; `signers` is a file of the keys
    that may have signed it (`signature.check`). The files are unpacked to `into` after the checks.
    Raises `NotVerified` or `ArchiveError` at the first problem.
    """
    path = _existing(Path(path))
    with open(path, "rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if digest and actual != digest.lower():
        raise NotVerified(f"its SHA-256 is {actual}, not {digest}")
    signed = [signature.check(path, signers)] if signers else []
    with tempfile.TemporaryDirectory(prefix="benchpaper-verify-") as folder:
        work = Path(folder).resolve()
        try:
            report = confined.call(
                INSPECT, str(path.resolve()), str(work / "unpacked"), folder=work, limits=limits
            )
        except confined.Refused as error:
            raise NotVerified(str(error)) from None
    checks = [*signed, *report.pop("checks")]
    if into:
        archive.unpack(*archive.read(path), into)
        checks.append(f"unpacked to {into}")
    return {"archive": path.name, "sha256": actual, **report, "checks": checks}


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise NotVerified(f"{path} does not exist, or is no file")
    return path
