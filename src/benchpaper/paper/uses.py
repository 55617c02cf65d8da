"""Which exhibits the paper's sources name, and where."""

import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

USES = re.compile(
    r"\\(result|resultci|resultblocks|exhibitfigure|exhibittable)\*?"
    r"(?:\[\s*site\s*=\s*([^]]*?)\s*\])?\{([^}]*)\}"
)
COMMENT = re.compile(r"(?<!\\)%")
OPTIONAL = re.compile(r"\\(begin|end)\{whenmeasured\}(?:\{([^}]*)\})?")


def uses(paper: Path, declared: Collection[str] = ()) -> Iterator[tuple[str, str, str]]:
    """Yield (file and line, macro, name) of each exhibit that the paper's sources name.

    A number of another site, `[site=SITE]{NAME}`, has the name SITE/NAME. In the environment
    `whenmeasured`, which LaTeX leaves out without results, only names in `declared` count.
    """
    for path in sorted(Path(paper).rglob("*.tex")):
        optional = False
        for number, line in enumerate(path.read_text().splitlines(), 1):
            text = COMMENT.split(line)[0]
            if edge := OPTIONAL.search(text):
                optional = edge[1] == "begin"
            for macro, site, name in USES.findall(text):
                whole = f"{site}/{name}" if site else name
                if not optional or whole in declared:
                    yield f"{path.relative_to(paper.parent)}:{number}", macro, whole


def printed(lines: Iterable[str], measured: Collection[str]) -> Iterator[str]:
    """Yield the lines that LaTeX prints, without comments.

    Those in the environment `whenmeasured` of an experiment that is not in `measured` are left out.
    """
    left_out = False
    for line in lines:
        text = COMMENT.split(line)[0]
        if edge := OPTIONAL.search(text):
            left_out = edge[1] == "begin" and edge[2] not in measured
        elif not left_out:
            yield text
