"""Which exhibits the paper's sources name, and where."""

import re
from collections.abc import Iterator
from pathlib import Path

USES = re.compile(
    r"\\(result|resultci|resultblocks|exhibitfigure|exhibittable)\*?"
    r"(?:\[\s*site\s*=\s*([^]]*?)\s*\])?\{([^}]*)\}"
)
COMMENT = re.compile(r"(?<!\\)%")


def uses(paper: Path) -> Iterator[tuple[str, str, str]]:
    """Yield (file and line, macro, name) of each exhibit that the paper's sources name.

    A number of another site, `[site=SITE]{NAME}`, has the name SITE/NAME.
    """
    for path in sorted(Path(paper).rglob("*.tex")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for macro, site, name in USES.findall(COMMENT.split(line)[0]):
                place = f"{path.relative_to(paper.parent)}:{number}"
                yield place, macro, f"{site}/{name}" if site else name
