"""Importing the project's own modules: an error in one is its author's mistake, in one line."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchpaper.core.errors import UserError


@contextmanager
def mistakes_of(root: Path, path: Path) -> Iterator[None]:
    """Report an error while the module at `path` is imported as the mistake that it is.

    `root` is the project's folder. Raises `UserError`.
    """
    where = path.relative_to(root)
    try:
        yield
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    except (Exception, SystemExit) as error:
        what = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
        raise UserError(
            f"{where} does not import: {_at(error, root)}{type(error).__name__}: {what}"
        ) from error


def _at(error: BaseException, root: Path) -> str:
    """Return `file:line: ` of the deepest frame inside the project, or ""."""
    if (
        isinstance(error, SyntaxError)
        and error.filename
        and Path(error.filename).is_relative_to(root)
    ):
        return f"{Path(error.filename).relative_to(root)}:{error.lineno}: "
    frames = [
        f
        for f in traceback.extract_tb(error.__traceback__)
        if Path(f.filename).is_relative_to(root)
    ]
    return f"{Path(frames[-1].filename).relative_to(root)}:{frames[-1].lineno}: " if frames else ""
