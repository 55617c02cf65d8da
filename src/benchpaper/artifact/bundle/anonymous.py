"""`benchpaper bundle --anonymous`: the same archive without names and places, for blind review.

Scrubbing a copy of the files removes the identifying words (`identities`) from every text and from
the text columns of Parquet files, and the commit from the results; digests of files are updated.
Exhibits, verdicts and PDF are made again from that copy. Finally a search goes through every byte.
If it finds a word, no archive is written.
"""

import hashlib
import io
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchpaper.artifact import bundle
from benchpaper.artifact.bundle import archive, identities, regenerate
from benchpaper.core.errors import UserError
from benchpaper.core.project import Project
from benchpaper.core.revision import Revision, known_revision

REPLACEMENT = "anonymous"
COMMIT = "0" * 40


def make(
    project: Project,
    site: str,
    source: str,
    output: Path | None = None,
    more: Iterable[str] = (),
) -> bundle.Made:
    """Write the anonymous archive.

    `more` are further words that the archive must not contain. Raises `UserError` naming the file
    that still contains a word.
    """
    state = known_revision(project)  # first, because a git that refuses does not name authors
    words = identities.pattern(identities.of(project, more))
    files, executable = bundle.collect(project, site, source)
    output = output or project.root / "build" / f"{site}-{source}" / "bundle-anonymous.zip"
    with tempfile.TemporaryDirectory(prefix="benchpaper-anonymous-") as folder:
        copy = Project(Path(folder) / "artifact")
        experiments = [m.experiment for m in bundle.manifests(project.build(site, source)).values()]
        files = scrubbed(files, words)
        # The search of the sources is fast, so it comes before rebuilding.
        _refuse(
            {name: data for name, data in files.items() if not name.startswith("build/")}, words
        )
        archive.unpack(files, executable, copy.root)
        shutil.rmtree(copy.build(site, source))
        midnight = state.seconds - state.seconds % 86_400
        _describe(copy, files, replace(state, commit=COMMIT, seconds=midnight))
        regenerate.run(
            copy, site, source, experiments, "without the authors' names it does not build"
        )
        made = bundle.make(copy, site, source, Path(folder) / bundle.NAME)
        _refuse(archive.read(made.path)[0], words)
        Path(output).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(made.path, output)
    return made._replace(path=output)


def _refuse(files: Mapping[str, bytes], words: re.Pattern[str]) -> None:
    """Raise `UserError` if a file contains one of the words."""
    for name, data in files.items():
        for place, word in identities.where(name, data, words):
            raise UserError(
                f'"{word}" is left in {place}; take it out of the sources, or build without it; '
                "no archive was written"
            )


def _describe(copy: Project, files: Mapping[str, bytes], state: Revision) -> None:
    """Write the files that make the copy count as an unpacked bundle."""
    description = {
        "benchpaper_bundle": bundle.SCHEMA_VERSION,
        "commit": state.commit,
        "commit_seconds": state.seconds,
        "clean": state.clean,
    }
    (copy.root / archive.ABOUT).write_bytes(bundle.as_json(description))
    own = {name: data for name, data in files.items() if not name.startswith("build/")}
    (copy.root / archive.MANIFEST).write_bytes(archive.manifest(own))


def scrubbed(files: Mapping[str, bytes], words: re.Pattern[str]) -> dict[str, bytes]:
    """Return the files without the words in their names, texts and Parquet columns.

    The digests of changed Parquet files are replaced wherever a text names them.
    """
    scrubbed_files: dict[str, bytes] = {}
    digests: dict[str, str] = {}
    for name, data in files.items():
        if name.endswith(".parquet"):
            scrubbed_files[name] = new = _parquet(data, words)
            digests[hashlib.sha256(data).hexdigest()] = hashlib.sha256(new).hexdigest()
    for name, data in files.items():
        if name not in scrubbed_files:
            scrubbed_files[name] = _text(data, words, digests)
    return {words.sub(REPLACEMENT, name): data for name, data in scrubbed_files.items()}


def _text(data: bytes, words: re.Pattern[str], digests: Mapping[str, str]) -> bytes:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return data  # binary files stay; the final search goes through them
    text = words.sub(REPLACEMENT, text)
    for old, new in digests.items():
        text = text.replace(old, new).replace(old[:16], new[:16])  # notebooks print 16 digits
    return text.encode()


def _parquet(data: bytes, words: re.Pattern[str]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(data), use_threads=False)
    metadata = {
        key: words.sub(REPLACEMENT, value.decode()).encode()
        for key, value in table.schema.metadata.items()
        if key != b"ARROW:schema"
    }
    columns = []
    for field in table.schema:
        column = table.column(field.name)
        if field.name == "git_commit":
            column = pa.chunked_array([[COMMIT] * len(column)], field.type)
        elif identities.holds_text(field.type):
            column = pa.chunked_array(
                [[_value(value, words) for value in column.to_pylist()]], field.type
            )
        columns.append(column)
    table = pa.Table.from_arrays(columns, schema=table.schema.with_metadata(metadata))
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", compression_level=9, write_page_checksum=True)
    return sink.getvalue()


def _value(value: Any, words: re.Pattern[str]) -> Any:
    if isinstance(value, str):
        return words.sub(REPLACEMENT, value)
    if isinstance(value, (list, tuple)):
        return type(value)(_value(item, words) for item in value)
    if isinstance(value, dict):
        return {key: _value(item, words) for key, item in value.items()}
    return value
