"""The metadata that a bundle generates from its other files: crate, Zenodo's, bill of materials.

`verify` generates them once more and compares. So nothing in them can contradict the sources, and
no parser that follows links reads the archive's own copy.
"""

from collections.abc import Mapping
from typing import Any

from benchpaper.artifact.bundle import archive, crate, metadata, strict
from benchpaper.artifact.bundle.archive import NotVerified
from benchpaper.core.revision import Revision

NAMES = (crate.ZENODO, crate.SBOM, crate.METADATA)
MAX_QUOTE = 60  # characters of a value in a message


def make(files: Mapping[str, bytes], description: Mapping[str, Any]) -> dict[str, bytes]:
    """Return {name: bytes} of the generated files.

    `files` are all files but these and the manifest; `description` is the content of bundle.json.
    Raises `UserError` if CITATION.cff or the lock lacks what they need.
    """
    state = revision(description)
    made = {
        crate.ZENODO: strict.as_json(metadata.zenodo(files, state)),
        crate.SBOM: metadata.sbom(files, state),
    }
    described = crate.describe({**files, **made}, description, state)
    return {**made, crate.METADATA: strict.as_json(described)}


def revision(description: Mapping[str, Any]) -> Revision:
    """Return the revision that bundle.json names."""
    return Revision(
        description["commit"], description["commit_seconds"], bool(description["clean"])
    )


def check(files: Mapping[str, bytes], description: Mapping[str, Any]) -> str:
    """Compare the generated files with what the other files give; return a line on success.

    Raises `NotVerified` with the place of the first difference.
    """
    if missing := [name for name in NAMES if name not in files]:
        raise NotVerified(f"it has no {missing[0]}")
    sources = {name: data for name, data in files.items() if name not in (*NAMES, archive.MANIFEST)}
    compare(files, make(sources, description))
    return (
        f"the RO-Crate describes all {len(sources) + 2} files; "
        "crate, deposit metadata, and bill of materials follow from the other files"
    )


def compare(files: Mapping[str, bytes], made: Mapping[str, bytes]) -> None:
    """Compare files with those `made` again. Raises `NotVerified` with the first difference."""
    for name, data in made.items():
        if files[name] != data:
            where = difference(strict.from_json(files[name], name), strict.from_json(data, name))
            raise NotVerified(f"{name}: {where or 'it is not in its canonical form'}")


def difference(given: Any, expected: Any, place: str = "") -> str:
    """Return where two contents of JSON files differ first, as a sentence; "" if they are equal."""
    if type(given) is not type(expected):
        return _differ(given, expected, place)
    if isinstance(given, dict):
        for key in dict.fromkeys([*expected, *given]):
            below = f"{place}/{key}"
            if key not in given or key not in expected:
                return f"{below} is {'missing' if key not in given else 'not accounted for'}"
            if where := difference(given[key], expected[key], below):
                return where
        return ""
    if isinstance(given, list):
        for number, pair in enumerate(zip(given, expected, strict=False)):
            if where := difference(*pair, f"{place}/{_name(pair[1], number)}"):
                return where
        if len(given) != len(expected):
            return f"{place} has {len(given)} entries, but the other files give {len(expected)}"
        return ""
    return "" if given == expected else _differ(given, expected, place)


def _name(item: Any, number: int) -> str:
    """Return the name of a list's item: its id if it has one, else its place."""
    names = [item[key] for key in ("@id", "bom-ref") if key in item] if type(item) is dict else []
    return str(names[0] if names else number)


def _differ(given: Any, expected: Any, place: str) -> str:
    return f"{place} is {_quoted(given)}, but the other files give {_quoted(expected)}"


def _quoted(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MAX_QUOTE else f"{text[:MAX_QUOTE]}…"
