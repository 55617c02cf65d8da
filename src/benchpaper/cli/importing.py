"""The command `import`: published results of others, with where they come from."""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchpaper.cli.common import Function
from benchpaper.cli.sources import site_option
from benchpaper.core import temporary
from benchpaper.core.errors import UserError
from benchpaper.core.project import Project
from benchpaper.core.redact import Redactor
from benchpaper.design import catalog
from benchpaper.hosts import site as sites

if TYPE_CHECKING:
    from benchpaper.results.import_record import ImportRecord


def pairs_option(option: str, name: str, metavar: str, help: str) -> Function:
    """Return a decorator that adds an option NAME=VALUE, which may be given several times."""

    def parsed(
        _context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
    ) -> dict[str, str]:
        pairs: dict[str, str] = {}
        for value in values:
            key, equals, text = value.partition("=")
            if not (key.strip() and equals):
                raise UserError(f'{option} "{value}" must be {metavar}; write both, joined by "="')
            if pairs.setdefault(key.strip(), text) != text:
                raise UserError(f"{option} gives {key} twice; keep one")
        return pairs

    return click.option(option, name, multiple=True, metavar=metavar, callback=parsed, help=help)


@click.command("import")
@click.argument("table", type=click.Path(path_type=Path))
@click.option("--experiment", default="", metavar="FAMILY/NAME", help="Whose results they are.")
@click.option(
    "--origin", "source", default="", metavar="URL|DOI", help="Where the table is published."
)
@click.option("--licence", default="", help='Its SPDX name, or "facts only".')
@pairs_option("--host", "machine", "FACT=VALUE", "A known fact of the machine that measured.")
@pairs_option("--map", "columns", "NAME=COLUMN", "The column of a factor, metric, or evidence.")
@pairs_option("--set", "fixed", "FACTOR=LEVEL", "The level of a factor in all rows.")
@pairs_option("--times", "times", "METRIC=FACTOR", "Multiply, to convert the table's unit.")
@click.option(
    "--block", default="", metavar="COLUMN", help="What tells blocks apart: a run, a trace."
)
@click.option("--commit", default="", help="The commit at the source.")
@click.option("--sha256", help="The digest that the table was published with.")
@click.option("--note", default="", help="How the table was made from the source, in a line.")
@click.option("--by", "imported_by", default="", metavar="NAME", help="Who imports it, if named.")
@site_option
def import_(
    table: Path,
    experiment: str,
    columns: dict[str, str],
    fixed: dict[str, str],
    times: dict[str, str],
    sha256: str | None,
    site: str,
    **origin: Any,
) -> None:
    """Import published results that others measured.

    TABLE is a CSV, TSV, or Parquet file. The experiment declares factors and metrics; it needs
    neither a trial nor scales. A column with the name of a factor or metric needs no --map. Each
    row is a cell of one block; without --block there is one block, and so no interval.

    Source, licence, and a fact of the machine that measured are needed. The results get the state
    "imported", and everything that shows them says so. They go to artifacts/reference/SITE, with a
    copy of the table. Commit all four files.

    \b
    Example:  benchpaper import mr.csv --experiment caching/published --map miss_ratio=mr  \\
                  --origin https://example.org/mr.csv --licence CC-BY-4.0  \\
                  --host cpu="Xeon 6130" --block trace
    """
    from benchpaper.artifact import importing, strange_tables
    from benchpaper.results.import_record import ImportRecord

    project = Project.find()
    project.check_writable()
    sites.load(project, site)  # raises for an unknown one
    if not experiment:
        raise UserError("--experiment is missing; name the experiment that declares the results")
    declared = catalog.load(project, experiment).describe()
    with temporary.folder() as folder:
        read, data = strange_tables.table(table, folder)
    digest = hashlib.sha256(data).hexdigest()
    same = {name: name for name in _parts(declared) if name in {*read.columns} - {*fixed}}
    record = ImportRecord(
        experiment=experiment,
        table=f"{importing.TABLE}{table.suffix.lower()}",
        sha256=sha256 or digest,
        rows=len(read.rows),
        columns={**same, **columns},
        fixed=fixed,
        times={name: _factor(name, text) for name, text in times.items()},
        imported_on=datetime.now(UTC).date().isoformat(),
        **origin,
    )
    _check_file(table.name, digest, record.sha256)
    _check_private(project, record)
    for path in importing.save(project, site, record, data):
        click.echo(path.relative_to(project.root))
    click.echo(f"{record.rows} rows imported from {record.origin}; {record.replication}")


def _parts(declared: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of all parts of an experiment that a column can fill."""
    for kind in ("factors", "metrics", "evidence"):
        yield from (part["name"] for part in declared[kind])


def _check_file(name: str, digest: str, published: str) -> None:
    """Refuse a table that is not the published one."""
    if digest != published:
        raise UserError(
            f"{name} has the SHA-256 {digest}, not that of --sha256: it is another file, or "
            "cut off; get it again"
        )


def _check_private(project: Project, record: "ImportRecord") -> None:
    """Refuse a text that names a folder, a host, or a secret: the record is published."""
    redactor = Redactor(project.root)
    # A fact may have the name of a field, so the two are not joined.
    for name, text in (*record.to_json().items(), *record.machine.items()):
        if isinstance(text, str) and (shown := redactor.text(text)) != text:
            raise UserError(
                f"{name} would publish a folder, a host, or a secret of this machine "
                f'("{shown}" without it); reword it'
            )


def _factor(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(
            f'--times {name}="{text}" must be a number, as --times {name}=1000'
        ) from None


COMMANDS = (import_,)
