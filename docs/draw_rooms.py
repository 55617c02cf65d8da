"""Draws the rooms of `src/benchpaper` and their imports between the markers of ARCHITECTURE.md.

`draw_rooms.py` writes the drawing; `draw_rooms.py --check` fails if it is not current.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "ARCHITECTURE.md"
BEGIN, END = "<!-- rooms: begin -->\n", "<!-- rooms: end -->\n"
BELOW_ALL = "core"  # every room imports it, so its arrows would hide the others
FLOW = ["design", "results", "hosts", "measure", "analysis", "paper", "artifact", "workflow", "cli"]


def imported_modules(source: str) -> Iterator[str]:
    """Yield the full name of each module and name that the source imports, at any place."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def arrows(package: Path) -> set[tuple[str, str]]:
    """Return (importing room, imported room) for every two rooms of the package."""
    pairs = set()
    for path in package.glob("*/**/*.py"):
        room = path.relative_to(package).parts[0]
        for name in imported_modules(path.read_text()):
            parts = name.split(".")
            if parts[0] == package.name and len(parts) > 1 and (package / parts[1]).is_dir():
                pairs.add((room, parts[1]))
    return {(room, other) for room, other in pairs if room != other}


def direct(pairs: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Leave out each arrow that a longer path implies."""
    targets = {room: {other for first, other in pairs if first == room} for room, _ in pairs}

    def reach(room: str, seen: frozenset[str]) -> set[str]:
        new = targets.get(room, set()) - seen
        return new.union(*(reach(other, seen | {room}) for other in new))

    return {
        (room, other)
        for room, other in pairs
        if not any(
            other in reach(between, frozenset({room})) for between in targets[room] - {other}
        )
    }


def drawing(package: Path) -> str:
    """Return the rooms in the order of the flow, and their arrows, as a Mermaid block."""
    pairs = direct({pair for pair in arrows(package) if BELOW_ALL not in pair})
    lines = ["flowchart RL", *(f"    {room}" for room in FLOW)]
    lines += [
        f"    {room} --> {other}"
        for room, other in sorted(pairs, key=lambda pair: [FLOW.index(room) for room in pair])
    ]
    return "\n".join(["```mermaid", *lines, "```", ""])


def with_drawing(document: str, block: str) -> str:
    """Return the document with the block between its markers."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{block}{END}{after}"


def main(check: bool) -> int:
    """Write the drawing, or only check it; return the exit status."""
    old = DOCUMENT.read_text()
    new = with_drawing(old, drawing(ROOT / "src/benchpaper"))
    if check and new != old:
        print(f"{DOCUMENT.name} does not show today's imports; run docs/draw_rooms.py")
        return 1
    if not check:
        DOCUMENT.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
