"""What is mounted below a folder. Standard library only: this module is sent to target hosts."""

import re
from pathlib import Path


def below(folder: Path) -> list[Path]:
    """Return the mount points at or below a folder, the last one first."""
    names = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    points = [Path(re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), name)) for name in names]
    return [point for point in reversed(points) if point.is_relative_to(folder.resolve())]
