"""Downloads one file: it resumes, and nothing takes the file's place before its digest is right."""

import errno
import hashlib
import http
import http.client
import os
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPMessage
from pathlib import Path
from typing import IO
from urllib.request import Request

from benchpaper.core import origins
from benchpaper.core.atomic_write import flush, make_folder, replacing
from benchpaper.core.disk_space import NEXT_STEP, NoRoom, is_full
from benchpaper.core.errors import UserError
from benchpaper.core.private import own_folder

TRIES = 3
STALL_S = 30.0  # a server that sends nothing for so long is given up
CHUNK = 1 << 20
MAX_BYTES = 100 * 10**9  # of a file; larger ones are fetched by hand
BROKEN = (OSError, http.client.HTTPException)  # a connection that another try may restore

Progress = Callable[[int, int | None], object]  # (bytes that are here, bytes in all if known)


class WrongDigest(UserError):
    """An address gives something else than was declared."""


def download(url: str, sha256: str, target: Path, folder: Path, progress: Progress) -> None:
    """Fetch `url` to `target`. `folder` keeps the part of an unfinished download.

    Raises `UserError` if the address does not answer, or gives something else; `NoRoom` on a full
    disk. What came so far is kept, and the next call continues there.
    """
    own_folder(folder)
    part = folder / f"{sha256}.part"
    resumed = part.exists()
    _complete(url, part, progress)
    if (actual := _digest(part)) != sha256 and resumed:
        part.unlink()  # the file may have changed there since the first part came
        _complete(url, part, progress)
        actual = _digest(part)
    if actual != sha256:
        part.unlink()
        raise WrongDigest(
            f"{url} has the sha256 {actual}, and {sha256} is declared; "
            "correct the url or the digest"
        )
    make_folder(target.parent)
    flush(part)
    try:
        os.replace(part, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with replacing(target) as copy:  # `target` is on another file system
            shutil.copyfile(part, copy)
        part.unlink()
    flush(target.parent)


def _complete(url: str, part: Path, progress: Progress) -> None:
    """Add to `part` what is missing of it, in some tries."""
    for left in reversed(range(TRIES)):
        try:
            _continue(url, part, progress)
            return
        except urllib.error.HTTPError as error:
            error.close()
            if error.code < 500 or not left:
                raise UserError(
                    f"{url} answers {error.code} {error.reason}; {_again(part)}"
                ) from None
        except BROKEN as error:
            if isinstance(error, OSError) and is_full(error):
                raise NoRoom(f"{error.strerror} while {url} was fetched; {NEXT_STEP}") from None
            if not left:
                reason = getattr(error, "reason", None) or str(error) or type(error).__name__
                raise UserError(f"{url} cannot be fetched ({reason}); {_again(part)}") from None


def _again(part: Path) -> str:
    here = part.stat().st_size if part.exists() else 0
    kept = f"; the {here:,} bytes so far are kept" if here else ""
    return f"correct the url, or try again later{kept}"


def _continue(url: str, part: Path, progress: Progress) -> None:
    here = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity", "User-Agent": "benchpaper"}
    if here:
        headers["Range"] = f"bytes={here}-"
    try:
        answer = _opener().open(urllib.request.Request(url, headers=headers), timeout=STALL_S)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and here:
            error.close()
            return  # it is whole, or longer than the file there: its digest will tell
        raise
    with answer:
        if answer.status != http.HTTPStatus.PARTIAL_CONTENT:
            here = 0
        elif _first(answer) != here:
            part.unlink()
            raise http.client.HTTPException("it sends another part than the requested")
        rest = answer.headers.get("Content-Length")
        total = here + int(rest) if rest and rest.isdigit() else None
        _check_size(part, url, total or 0)
        _check_room(part.parent, url, (total or 0) - here)
        with open(part, "r+b" if here else "wb") as file:
            file.seek(here)
            progress(here, total)
            while chunk := answer.read(CHUNK):
                file.write(chunk)
                here += len(chunk)
                _check_size(part, url, here)
                if total is None:
                    _check_room(part.parent, url, CHUNK)
                progress(here, total)
    if total is not None and here < total:
        raise http.client.IncompleteRead(b"", total - here)


def _first(answer: http.client.HTTPResponse) -> int:
    """Return the number of the first byte that a partial answer holds."""
    match = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range") or "")
    return int(match[1]) if match else -1


class _WebOnly(urllib.request.HTTPRedirectHandler):
    """Follows redirects within the web: those to ftp: and file: are another kind of source."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        if origins.address(newurl) is None:
            fp.close()
            raise UserError(
                f"{req.full_url} leads to {newurl}, and inputs come by https or http only; "
                "correct the url"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """Return what opens addresses of the web, and nothing else."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
        _WebOnly(),
    ):
        opener.add_handler(handler)
    return opener


def _check_size(part: Path, url: str, size: int) -> None:
    """Refuse a file above the limit, and what has come of it: a server may never end."""
    if size > MAX_BYTES:
        part.unlink(missing_ok=True)
        raise UserError(
            f"{url} has more than {MAX_BYTES:,} bytes, the most that is fetched; get it by hand, "
            "and put it where the input is declared, or name its place in sites/NAME.yaml (inputs:)"
        )


def _check_room(folder: Path, url: str, size: int) -> None:
    if size > (free := shutil.disk_usage(folder).free):
        raise NoRoom(f"{url} has {size:,} more bytes, and {free:,} are free; {NEXT_STEP}")


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
