"""`benchpaper bundle --anonymous`: the same archive without who and where, for double-blind review.

A copy of the files is scrubbed: the identifying words (`identities`) go from every text and from the text columns of
Parquet files, the commit from the results, and what names a file by its digest follows. The exhibits, verdicts and PDF
are made again from that copy. Then every byte is searched; if a word is left anywhere, there is no archive.
"""

import hashlib
import io
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from benchpaper.artifact import bundle
from benchpaper.artifact.bundle import archive, identities, regenerate
from benchpaper.core.errors import UserError
from benchpaper.core.project import Project
from benchpaper.core.revision import known_revision

INSTEAD = "anonymous"
COMMIT = "0" * 40


def make(project, site, source, output=None, more=()):
    """Write the anonymous archive; returns what `bundle.make` returns. `more` are further words that must not be in it.
    Raises `UserError` naming the file in which something is left."""
    state = known_revision(project)  # first, for where git refuses, it names no authors either
    words = identities.of(project, more)
    found = identities.pattern(words)
    files, executable = bundle.collect(project, site, source)
    output = output or project.root / "build" / f"{site}-{source}" / "bundle-anonymous.zip"
    with tempfile.TemporaryDirectory(prefix="benchpaper-anonymous-") as folder:
        copy = Project(Path(folder) / "artifact")
        experiments = [
            m["experiment"] for m in bundle.manifests(project.build(site, source)).values()
        ]
        files = scrubbed(files, found)
        _refuse(
            {name: data for name, data in files.items() if not name.startswith("build/")}, found
        )  # before the work
        archive.unpack(files, executable, copy.root)
        shutil.rmtree(copy.build(site, source))
        note = replace(state, commit=COMMIT, seconds=state.seconds - state.seconds % 86_400)
        _note(copy, files, note, site, source)
        regenerate.run(
            copy, site, source, experiments, "without the authors' names it does not build"
        )
        made = bundle.make(copy, site, source, Path(folder) / bundle.NAME)
        _refuse(archive.read(made[0])[0], found)
        Path(output).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(made[0], output)
    return (output, *made[1:])


def _refuse(files, found):
    """Raise `UserError` when something is left in one of the files."""
    for name, data in files.items():
        for place, word in identities.where(name, data, found):
            raise UserError(
                f'"{word}" is left in {place}; take it out of the sources, or build without it; no archive was written'
            )


def _note(copy, files, note, site, source):
    """What an unpacked bundle says of itself, so that the copy counts as one."""
    about = {
        "benchpaper_bundle": bundle.SCHEMA_VERSION,
        "commit": note.commit,
        "commit_seconds": note.seconds,
        "clean": note.clean,
    }
    (copy.root / archive.ABOUT).write_bytes(bundle._json(about))
    own = {name: data for name, data in files.items() if not name.startswith("build/")}
    (copy.root / archive.MANIFEST).write_bytes(archive.manifest(own))


def scrubbed(files, found):
    """Return the files without what the pattern `found` finds in texts and Parquet, digests following."""
    after, digests = {}, {}
    for name, data in files.items():
        if name.endswith(".parquet"):
            after[name] = _parquet(data, found)
            digests[hashlib.sha256(data).hexdigest()] = hashlib.sha256(after[name]).hexdigest()
    for name, data in files.items():
        if name not in after:
            after[name] = _text(data, found, digests)
    return {found.sub(INSTEAD, name): data for name, data in after.items()}


def _text(data, found, digests):
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return data  # what is no text is searched in the end
    text = found.sub(INSTEAD, text)
    for old, new in digests.items():
        text = text.replace(old, new).replace(old[:16], new[:16])  # notebooks print the beginning
    return text.encode()


def _parquet(data, found):
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(data), use_threads=False)
    about = {
        key: found.sub(INSTEAD, value.decode()).encode()
        for key, value in table.schema.metadata.items()
        if key != b"ARROW:schema"
    }
    columns = []
    for field in table.schema:
        column = table.column(field.name)
        if field.name == "git_commit":
            column = pa.chunked_array([[COMMIT] * len(column)], field.type)
        elif identities._holds_text(field.type):
            column = pa.chunked_array(
                [[_value(value, found) for value in column.to_pylist()]], field.type
            )
        columns.append(column)
    table = pa.Table.from_arrays(columns, schema=table.schema.with_metadata(about))
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", compression_level=9, write_page_checksum=True)
    return sink.getvalue()


def _value(value, found):
    if isinstance(value, str):
        return found.sub(INSTEAD, value)
    if isinstance(value, (list, tuple)):
        return type(value)(_value(item, found) for item in value)
    if isinstance(value, dict):
        return {key: _value(item, found) for key, item in value.items()}
    return value
