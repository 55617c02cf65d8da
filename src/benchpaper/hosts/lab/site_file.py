"""The site file of a lab."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

HEADER = '# Written by "benchpaper lab up", removed by "benchpaper lab down".\n'


def hosts(addresses: Sequence[str], ssh_config: str) -> list[dict[str, Any]]:
    """Return the entries of the hosts with these addresses."""
    return [
        {
            "name": f"lab{number}",
            "kind": "ssh",
            "address": address,
            "interface": "eth0",
            "ssh_config": ssh_config,
            "roles": ["server", "client"],
        }
        for number, address in enumerate(addresses, 1)
    ]


def write(path: Path, entries: Sequence[dict[str, Any]]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(HEADER + yaml.safe_dump({"hosts": list(entries)}, sort_keys=False))
