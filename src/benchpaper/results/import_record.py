"""The record of an import: whose results they are, and how they follow from a published table.

It lies next to the table and the results, as import.json. The results' metadata repeats it, so that
they never pass for measured ones, wherever they are copied to.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchpaper.core import origins
from benchpaper.core.errors import UserError

RECORD = "import.json"
RECORD_VERSION = 1
MAX_TEXT = 500  # characters of a text about the source
MAX_FACTS = 50
FACT = re.compile(r"[a-z][a-z0-9_]{0,62}")
HEX = re.compile(r"[0-9a-f]+")
DAY = re.compile(r"\d{4}-\d\d-\d\d")
EMPTY_WORDS = {"", "-", "?", "none", "unknown", "n/a", "na", "tbd", "todo", "null"}
MAPPINGS = ("machine", "columns", "fixed", "times")
NO_BLOCK = "no column of the table tells blocks apart, so no interval can be shown"


class ImportRefused(UserError):
    """Results that cannot be imported; the text names place, rule, and remedy."""


@dataclass(frozen=True, kw_only=True)
class ImportRecord:
    """Where imported results come from, and the map from the table to them.

    `table` is the name of the copy next to the record, `sha256` its digest. `source` is a URL or a
    DOI, `commit` a commit at that URL. `machine` are the facts of the original machine, as far as
    known. `columns` are {factor, metric, or evidence: column of the table}, `fixed` {factor: its
    level in all rows}, `times` {metric: factor that brings the table's values to its unit}, and
    `block` is the column that tells blocks apart, "" without one. `imported_on` is a day;
    `imported_by` is empty unless a name was given.
    """

    experiment: str
    table: str
    sha256: str
    rows: int
    source: str
    commit: str = ""
    licence: str
    machine: Mapping[str, str]
    columns: Mapping[str, str]
    fixed: Mapping[str, str] = field(default_factory=dict)
    times: Mapping[str, float] = field(default_factory=dict)
    block: str = ""
    note: str = ""
    imported_on: str
    imported_by: str = ""

    def __post_init__(self) -> None:
        _check_digest("--sha256", self.sha256, 64, 64)
        if self.commit:
            _check_digest("--commit", self.commit, 7, 64)
        check_source(self.source)
        _check_words("--licence", self.licence, 'its SPDX name, as CC-BY-4.0, or "facts only"')
        _check_machine(self.machine)
        texts = {"--note": self.note, "--by": self.imported_by, "--block": self.block}
        texts |= {f"--map {name}": column for name, column in self.columns.items()}
        texts |= {f"--set {name}": level for name, level in self.fixed.items()}
        for option, text in texts.items():
            _check_line(option, text)
        for name, factor in self.times.items():
            if not (isinstance(factor, (int, float)) and math.isfinite(factor) and factor > 0):
                raise ImportRefused(
                    f"--times {name}={factor} must be a positive number, as --times {name}=1000"
                )
        if not DAY.fullmatch(self.imported_on):
            raise ImportRefused(
                f'{RECORD}: imported_on "{self.imported_on}" is not a day; import again'
            )

    @property
    def origin(self) -> str:
        """The source in a phrase, with its commit and licence."""
        commit = f" at commit {self.commit[:12]}" if self.commit else ""
        return f"{self.source}{commit} (licence: {self.licence})"

    @property
    def short(self) -> str:
        """The source in a word, for captions: a DOI, or the first parts of a URL."""
        if doi := origins.doi(self.source):
            return f"doi:{doi}"
        parts = urlsplit(self.source)
        return "/".join([parts.netloc, *parts.path.strip("/").split("/")[:2]]).rstrip("/")

    @property
    def when(self) -> str:
        """When, and by whom if a name was given."""
        return self.imported_on + (f" by {self.imported_by}" if self.imported_by else "")

    @property
    def replication(self) -> str:
        """What a block is, or why there is no interval."""
        return f'a block is a value of the column "{self.block}"' if self.block else NO_BLOCK

    @property
    def mapping(self) -> str:
        """The map from the table's columns, as text."""
        parts = [f"{name} from {column}" for name, column in self.columns.items()]
        parts += [f"{name} is {level}" for name, level in self.fixed.items()]
        parts += [f"{name} times {factor:g}" for name, factor in self.times.items()]
        return ", ".join(parts)

    @property
    def facts(self) -> str:
        """What is known of the original machine, as text."""
        return ", ".join(f"{name} {value}" for name, value in self.machine.items())

    @property
    def trail(self) -> dict[str, str]:
        """{what: text} for those who want to know where the results come from."""
        known = {
            "source": self.origin,
            "table": f"{self.table}, {self.rows} rows, SHA-256 {self.sha256}",
            "map": self.mapping,
            "blocks": self.replication,
            "machine": self.facts,
            "note": self.note,
            "imported": self.when,
        }
        return {name: text for name, text in known.items() if text}

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain data, with the version of its form."""
        return {"benchpaper_import": RECORD_VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, content: Any, where: str = RECORD) -> "ImportRecord":
        """Return the record that `to_json` wrote; raises `ImportRefused`, which names `where`."""
        if not isinstance(content, dict) or content.get("benchpaper_import") != RECORD_VERSION:
            raise ImportRefused(
                f"{where} is no record of an import in version {RECORD_VERSION}; import again"
            )
        known = {name: value for name, value in content.items() if name != "benchpaper_import"}
        try:
            record = cls(**known)
        except (AttributeError, TypeError) as error:
            raise ImportRefused(
                f"{where} has another form ({str(error)[:80]}); import again"
            ) from None
        except ImportRefused as error:
            raise ImportRefused(f"{where}: {error}") from None
        for name, value in known.items():
            expected = dict if name in MAPPINGS else int if name == "rows" else str
            if type(value) is not expected:
                raise ImportRefused(f"{where}: {name} is no {expected.__name__}; import again")
        return record


def read_record(path: Path) -> ImportRecord:
    """Return the record in a file. Raises `ImportRefused`."""
    try:
        return ImportRecord.from_json(json.loads(path.read_text()), path.name)
    except (OSError, ValueError) as error:
        raise ImportRefused(f"{path.name} cannot be read ({error}); import again") from None


def record_of(described: Mapping[str, Any]) -> ImportRecord | None:
    """Return the record in the description of imported results; None for measured ones."""
    if "imported" not in described:
        return None
    return ImportRecord.from_json(described["imported"], "the results' record of their import")


def check_source(source: str) -> None:
    """Raise `ImportRefused` unless `source` is a DOI, or a public URL without a password."""
    _check_words("--origin", source, "the URL or the DOI of the table")
    if origins.doi(source):
        return
    parts = origins.address(source)
    if parts is None or "." not in (parts.hostname or ""):
        raise ImportRefused(
            f'--origin "{source}" must be a public URL (https://…) or a DOI (10.…/…): '
            "others must be able to look there"
        )
    if origins.has_login(parts):
        raise ImportRefused("--origin holds a user or a password; give the URL without it")


def _check_digest(option: str, text: str, shortest: int, longest: int) -> None:
    length = f"{shortest}" if shortest == longest else f"{shortest} to {longest}"
    if not (
        isinstance(text, str) and HEX.fullmatch(text) and shortest <= len(text) <= longest
    ) or not text.strip("0"):
        raise ImportRefused(
            f'{option} "{text}" must be {length} hex digits in small letters, and not all zeros'
        )


def _check_words(option: str, text: str, remedy: str) -> None:
    _check_line(option, text)
    if text.strip().lower() in EMPTY_WORDS:
        raise ImportRefused(f'{option} "{text}" says nothing; give {remedy}')


def _check_line(option: str, text: str) -> None:
    if not isinstance(text, str) or not text.isprintable() or len(text) > MAX_TEXT:
        raise ImportRefused(
            f"{option} must be one line of at most {MAX_TEXT} printable characters; shorten it"
        )


def _check_machine(machine: Mapping[str, str]) -> None:
    if not machine:
        raise ImportRefused(
            "--host is missing: say what is known of the machine that measured, as "
            '--host cpu="Xeon 6130", or why nothing is, as --host note="the paper names no machine"'
        )
    if len(machine) > MAX_FACTS:
        raise ImportRefused(f"--host gives {len(machine)} facts; give at most {MAX_FACTS}")
    for name, value in machine.items():
        if not FACT.fullmatch(name):
            raise ImportRefused(
                f'--host "{name}" must be a short name in small letters, as --host cpu="Xeon 6130"'
            )
        _check_words(f"--host {name}", value, "what is known, or leave this fact out")
