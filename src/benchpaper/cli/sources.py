"""The results that a command reads: --site, --scale, and --from mean the same in every command."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from benchpaper.cli.common import Function
from benchpaper.core import settings
from benchpaper.core.errors import UserError, one_of
from benchpaper.core.project import GATHERED, REFERENCE, Project
from benchpaper.hosts import site as sites
from benchpaper.results import TRIALS


@dataclass(frozen=True)
class Chosen:
    """Existing results of a site, at a scale or from the reference.

    `note` is a line for the user if these are not the results of the request.
    """

    site: str
    source: str
    note: str = ""

    def has(self, project: Project, experiment: str) -> bool:
        """Return whether these results include an experiment."""
        return (project.results(self.site, self.source) / experiment / TRIALS).exists()


@dataclass(frozen=True)
class Request:
    """The results that the user requested; without a scale, those at the default scale."""

    site: str
    scale: str | None
    reference: bool

    @property
    def source(self) -> str:
        return REFERENCE if self.reference else self.scale or settings.scales_here().default

    def measured(self, project: Project) -> Chosen:
        """Choose among results. Raises `UserError` if the requested ones do not exist."""

        def there(source: str) -> bool:
            return any(project.results(self.site, source).glob(f"*/*/{TRIALS}"))

        return self._choose(project, there, "no results")

    def built(self, project: Project) -> Chosen:
        """Choose among builds (exhibits, PDF). Raises `UserError` if the requested is missing."""

        def there(source: str) -> bool:
            return (project.build(self.site, source) / GATHERED).exists()

        return self._choose(project, there, "nothing is built")

    def _choose(self, project: Project, there: Callable[[str], bool], nothing: str) -> Chosen:
        if there(self.source):
            return Chosen(self.site, self.source)
        others = [
            source for source in (*settings.scales(project.root).names, REFERENCE) if there(source)
        ]
        if not others:
            _check_site(project, self.site)
            raise UserError(
                f'{nothing} for site "{self.site}"; run ./reproduce to measure, '
                "or ./reproduce --from reference"
            )
        if others == [REFERENCE] and self.scale is None:
            note = (
                f'no run of yours on site "{self.site}" yet, '
                "so these are the authors' results (--from reference)"
            )
            return Chosen(self.site, REFERENCE, note)
        options = " or ".join(_option(source) for source in others)
        raise UserError(f'{nothing} for site "{self.site}" {_words(self.source)}; choose {options}')


def source_options(function: Function) -> Function:
    """Add --site, --scale, and --from to a command, as one argument `request`."""

    @site_option
    @scale_option
    @click.option(
        "--from",
        "source",
        metavar=REFERENCE,
        callback=_from,
        help="The authors' committed results, not yours.",
    )
    @functools.wraps(function)
    def command(site: str, scale: str | None, source: str | None, **others: Any) -> Any:
        if scale and source:
            raise UserError(
                "--scale is for your own results, and --from reference for the authors'; "
                "give one of them"
            )
        return function(request=Request(site, scale, bool(source)), **others)

    return command


def site_option(function: Function) -> Function:
    """Add --site to a command, as the argument `site`."""
    return click.option(
        "--site",
        default="local",
        show_default=True,
        help="Target hosts, sites/NAME.yaml, or the name of stored results.",
    )(function)


def scale_option(function: Function) -> Function:
    """Add --scale to a command, as the argument `scale`, which is None by default."""
    return click.option("--scale", cls=ScaleOption, callback=_scale)(function)


class ScaleOption(click.Option):
    """An option whose help names the scales of the project around the working directory."""

    @property
    def metavar(self) -> str:
        return "|".join(settings.scales_here().names)

    @metavar.setter
    def metavar(self, _: object) -> None: ...

    @property
    def help(self) -> str:
        return f"Your own results at this scale (default: {settings.scales_here().default})."

    @help.setter
    def help(self, _: object) -> None: ...


def reference_site_option(function: Function) -> Function:
    """Add --reference-site to a command, as the argument `reference_site`."""
    words = "The site of the authors' results."
    return click.option("--reference-site", default="local", show_default=True, help=words)(
        function
    )


def reference_site(project: Project, name: str) -> str:
    """Check the name of a site of reference results. The default one need not exist."""
    there = sorted(path.name for path in project.results("x", REFERENCE).parent.glob("*/"))
    return name if name == "local" else one_of("site of reference results", name, there)


def _scale(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    if value == REFERENCE:
        raise UserError('"reference" is not a scale to measure at; use --from reference')
    return value and one_of("scale", value, settings.scales_here().names)


def _from(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    if value not in (None, REFERENCE):
        raise UserError(
            f'--from "{value}": the only other source is "{REFERENCE}"; for a scale use --scale'
        )
    return value


def _check_site(project: Project, name: str) -> None:
    """Refuse a site that is neither declared nor has results."""
    reference = project.results("x", REFERENCE).parent
    folders = [*reference.glob("*/"), *(project.root / "results").glob("*/")]
    names = sorted({*sites.names(project), *(path.name for path in folders)})
    one_of("site", name, names, "a site is a file sites/NAME.yaml")


def _option(source: str) -> str:
    return f"--from {REFERENCE}" if source == REFERENCE else f"--scale {source}"


def _words(source: str) -> str:
    return "from the reference" if source == REFERENCE else f"at scale {source}"
