"""Which results a command is about: --site, --scale and --from mean the same in every command that reads results."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import click

from benchpaper.core.errors import UserError, one_of
from benchpaper.core.project import GATHERED, REFERENCE, Project
from benchpaper.design.spec import SCALES
from benchpaper.hosts import site as sites
from benchpaper.results import TRIALS

DEFAULT = "quick"


@dataclass(frozen=True)
class Chosen:
    """Results that exist: of a site, measured at a scale or the reference's. `note` says what the user did not ask for."""

    site: str
    source: str
    note: str = ""

    def has(self, project: Project, experiment: str) -> bool:
        return (project.results(self.site, self.source) / experiment / TRIALS).exists()


@dataclass(frozen=True)
class Asked:
    """What the user asked for; without a scale, the default one."""

    site: str
    scale: str | None
    reference: bool

    @property
    def source(self) -> str:
        return REFERENCE if self.reference else self.scale or DEFAULT

    def measured(self, project: Project) -> Chosen:
        """Choose among results. Raises `UserError` when there are none such."""

        def there(source):
            return any(project.results(self.site, source).glob(f"*/*/{TRIALS}"))

        return self._choose(project, there, "no results")

    def built(self, project: Project) -> Chosen:
        """Choose among what is built from results: exhibits, PDF. Raises `UserError` when there is none such."""
        return self._choose(
            project,
            lambda source: (project.build(self.site, source) / GATHERED).exists(),
            "nothing is built",
        )

    def _choose(self, project: Project, there: Callable[[str], bool], nothing: str) -> Chosen:
        if there(self.source):
            return Chosen(self.site, self.source)
        others = [source for source in (*SCALES, REFERENCE) if there(source)]
        if not others:
            _check_site(project, self.site)
            raise UserError(
                f'{nothing} for site "{self.site}"; run ./reproduce to measure, or ./reproduce --from reference'
            )
        if others == [REFERENCE] and self.scale is None:
            note = f'no run of yours on site "{self.site}" yet, so these are the authors\' results (--from reference)'
            return Chosen(self.site, REFERENCE, note)
        options = " or ".join(_option(source) for source in others)
        raise UserError(f'{nothing} for site "{self.site}" {_words(self.source)}; choose {options}')


def source_options(function):
    """Decorator: give a command --site, --scale and --from, as one argument `asked`."""

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
    def command(site, scale, source, **others):
        if scale and source:
            raise UserError(
                "--scale is for your own results, and --from reference for the authors'; give one of them"
            )
        return function(asked=Asked(site, scale, bool(source)), **others)

    return command


def site_option(function):
    return click.option(
        "--site", default="local", show_default=True, help="Target hosts: sites/NAME.yaml."
    )(function)


def scale_option(function):
    words = f"Your own results at this scale (default: {DEFAULT})."
    return click.option("--scale", metavar="|".join(SCALES), callback=_scale, help=words)(function)


def reference_site_option(function):
    words = "The site of the authors' results."
    return click.option("--reference-site", default="local", show_default=True, help=words)(
        function
    )


def reference_site(project: Project, name: str) -> str:
    """Return a site of reference results; the default one need not exist. Raises `UserError` for any other."""
    there = sorted(path.name for path in project.results("x", REFERENCE).parent.glob("*"))
    return name if name == "local" else one_of("site of reference results", name, there)


def _scale(_context, _option, value):
    if value == REFERENCE:
        raise UserError('"reference" is not a scale to measure at; use --from reference')
    return value and one_of("scale", value, SCALES)


def _from(_context, _option, value):
    if value not in (None, REFERENCE):
        raise UserError(
            f'--from "{value}": the only other source is "{REFERENCE}"; for a scale use --scale'
        )
    return value


def _check_site(project, name):
    """Refuse a site that is neither declared nor has results."""
    reference = project.results("x", REFERENCE).parent
    places = [*reference.glob("*"), *(project.root / "results").glob("*")]
    one_of(
        "site",
        name,
        sorted({*sites.names(project), *(path.name for path in places)}),
        "a site is a file sites/NAME.yaml",
    )


def _option(source):
    return f"--from {REFERENCE}" if source == REFERENCE else f"--scale {source}"


def _words(source):
    return "from the reference" if source == REFERENCE else f"at scale {source}"
