"""Directives that write pages from the code itself, so that no page can contradict it.

`public` documents names of the public face, `commands` the command line, `columns` a table of
results, and `fields` the keys of a JSON object. The page gives the meaning of each key; the build
fails if its keys are not those of the code.
"""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any, NotRequired, get_args, get_origin

import click
from docutils import nodes
from numpy.typing import ArrayLike
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import stringify_annotation

import benchpaper
from benchpaper import results
from benchpaper.analysis.arrays import FloatArray
from benchpaper.analysis.tables import Measured
from benchpaper.artifact import bundle
from benchpaper.cli.commands import cli
from benchpaper.design.declarations import Level

VERSIONS = {
    "results_version": results.SCHEMA_VERSION,
    "bundle_version": bundle.SCHEMA_VERSION,
}
HELP_WIDTH = 80
WITH_INHERITED = ("analysis.estimates.Results",)  # classes whose base is of no interest by itself
# Types that public names take or give, {name: its place}.
TYPES = {
    "Capability": "core.capabilities.Capability",
    "Comparison": "analysis.values.Comparison",
    "Completed": "hosts.Completed",
    "ExhibitError": "analysis.exhibits.ExhibitError",
    "ImportRecord": "results.import_record.ImportRecord",
    "InsufficientDataError": "analysis.values.InsufficientDataError",
    "NotPlanned": "analysis.tables.NotPlanned",
    "Results": "analysis.estimates.Results",
    "Sites": "analysis.sites.Sites",
    "SpecError": "design.checks.SpecError",
}
# What a signature shows instead of a type's definition, {definition: name}.
ALIASES = {
    stringify_annotation(alias, "smart"): name
    for name, alias in {
        "ArrayLike": ArrayLike,
        "FloatArray": FloatArray,
        "Level": Level,
        "~benchpaper.analysis.estimates.Results": Measured,  # its base, of no interest by itself
    }.items()
}
NOT_FOR_USERS = ("step",)  # commands that only the pipeline calls


class Public(SphinxDirective):
    """Documents names below `benchpaper`: `.. public:: NAME ...`; a module with all it holds."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        lines: list[str] = []
        for name in " ".join(self.content).split():
            try:
                lines += _documented(name)
            except ImportError as error:
                raise self.error(f"benchpaper.{name} is not there: {error}") from None
        return self.parse_text_to_nodes("\n".join(lines))


def _documented(name: str) -> Iterator[str]:
    """Yield reStructuredText that documents a name."""
    path = f"benchpaper.{name}"
    thing = _at(path)
    if inspect.ismodule(thing):
        yield from (f".. py:module:: {path}", "", inspect.getdoc(thing) or "", "")
        for member in _exported(thing):
            yield from _documented(f"{name}.{member}")
    elif inspect.isclass(thing):
        yield from (f".. autoclass:: {path}", "   :members:")
        yield from ("   :inherited-members: ABC" if name in WITH_INHERITED else "", "")
    elif callable(thing):
        yield from (f".. autofunction:: {path}", "")
    else:
        raise ValueError(f"{path} is neither a module, a class, nor a function")


def _at(path: str) -> Any:
    parts = path.split(".")
    thing = benchpaper
    for number, part in enumerate(parts[1:], 2):
        try:
            thing = getattr(thing, part)
        except AttributeError:
            thing = importlib.import_module(".".join(parts[:number]))
    return thing


def _exported(module: ModuleType) -> Iterator[str]:
    """Yield a module's public classes and functions: its own, and those imported as themselves.

    `from x import y as y` marks a name for export, as type checkers have it. What is a public name
    of the package itself has its own place.
    """
    imports = [
        n for n in ast.walk(ast.parse(inspect.getsource(module))) if isinstance(n, ast.ImportFrom)
    ]
    exported = {
        alias.name for node in imports for alias in node.names if alias.asname == alias.name
    }
    for name, value in vars(module).items():
        is_code = inspect.isclass(value) or inspect.isfunction(value)
        is_ours = is_code and (value.__module__ == module.__name__ or name in exported)
        if is_ours and not name.startswith("_"):
            yield name


class Commands(SphinxDirective):
    """Documents every command by its own `--help`."""

    def run(self) -> list[nodes.Node]:
        settings = {**cli.context_settings, "terminal_width": HELP_WIDTH}
        text = "\n".join(_helps(click.Context(cli, info_name="benchpaper", **settings)))
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def _helps(context: click.Context) -> Iterator[str]:
    command = context.command
    yield from (f"## {context.command_path}", "", "```text", command.get_help(context), "```", "")
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            if name not in NOT_FOR_USERS:
                yield from _helps(click.Context(below, parent=context, info_name=name))


class Columns(SphinxDirective):
    """Lists the columns that every table of results has: `{columns} IDENTITY`."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        rows = [
            [
                f"`{column.name}`",
                f"`{column.type}`" + (f", {column.unit}" if column.unit else ""),
                column.meaning + (" (optional)" if column.optional else ""),
            ]
            for column in getattr(results, self.arguments[0])
        ]
        return self.parse_text_to_nodes(_table(["column", "type, unit", "meaning"], rows))


class Fields(SphinxDirective):
    """Lists the keys of a JSON object: `{fields} MODULE.TYPED_DICT`, then lines `KEY: MEANING`.

    The types are the code's. The keys must be, too, and in its order.
    """

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        module, _, name = self.arguments[0].rpartition(".")
        types = getattr(importlib.import_module(f"benchpaper.{module}"), name).__annotations__
        meanings = {
            key: meaning for key, _, meaning in (line.partition(": ") for line in self.content)
        }
        if list(meanings) != list(types):
            wrong = sorted(set(meanings) ^ set(types)) or "the order"
            raise self.error(f"{name} of the code has other keys than this page: {wrong}")
        rows = []
        for key, annotation in types.items():
            optional = get_origin(annotation) is NotRequired
            shown = _shown(get_args(annotation)[0] if optional else annotation)
            rows.append(
                [f"`{key}`", f"`{shown}`" + (", optional" if optional else ""), meanings[key]]
            )
        return self.parse_text_to_nodes(_table(["key", "type", "meaning"], rows))


def _shown(annotation: Any) -> str:
    """Return a type as a reader writes it, without modules."""
    is_class = isinstance(annotation, type) and not get_args(annotation)
    text = annotation.__name__ if is_class else str(annotation)
    return re.sub(r"\b(?:[a-z]\w*\.)+", "", text)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    )


def _with_links(
    app: Sphinx, kind: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    """Turn `CODE` of a docstring into a link if it is a public name, and else into literal text."""
    lines[:] = re.sub(r"`((?:[^`\n]|\n(?!\n))+)`(\w?)", _linked, "\n".join(lines)).split("\n")


def _linked(match: re.Match[str]) -> str:
    name = " ".join(match[1].split())
    path = name if name in benchpaper.__all__ else TYPES.get(name)
    text = f":py:obj:`{name} <benchpaper.{path}>`" if path else f"``{name}``"
    return f"{text}\\ {match[2]}" if match[2] else text  # a plural: `Estimate`s


def _with_aliases(
    app: Sphinx,
    kind: str,
    name: str,
    thing: Any,
    options: Any,
    signature: str | None,
    result: str | None,
) -> tuple[str | None, str | None]:
    """Show the names of types instead of their definitions."""
    return _shortened(signature), _shortened(result)


def _shortened(text: str | None) -> str | None:
    for definition, name in ALIASES.items():
        text = text and text.replace(definition, name)
    return text


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directives to Sphinx."""
    app.add_directive("public", Public)
    app.add_directive("commands", Commands)
    app.add_directive("columns", Columns)
    app.add_directive("fields", Fields)
    app.connect("autodoc-process-docstring", _with_links)
    app.connect("autodoc-process-signature", _with_aliases)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
