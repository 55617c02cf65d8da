"""Tables on the terminal; on a narrow one they become lists."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

NARROW = 80  # columns: in fewer, a table becomes a list
PLAIN: dict[str, Any] = {"box": None, "padding": (0, 2, 0, 0)}


def show_table(
    console: Console,
    columns: Mapping[str, Mapping[str, Any]],
    rows: Iterable[Sequence[str | Text]],
    **look: Any,
) -> None:
    """Print rows of cells below their columns, {name: options of `Table.add_column`}.

    On a narrow terminal, each row becomes a few lines: its first cell, and below it the other cells
    with the names of their columns. `look` are options of `Table`.
    """
    if console.width >= NARROW:
        table = Table(pad_edge=False, **look)
        for name, options in columns.items():
            table.add_column(name, **{"overflow": "fold", **options})  # never cuts a name
        for row in rows:
            table.add_row(*row)
        console.print(table)
        return
    for first, *others in rows:
        console.print(first, style="bold")
        for name, cell in zip(list(columns)[1:], others, strict=False):
            if str(cell) not in ("", "-"):
                text = cell if isinstance(cell, Text) else Text.from_markup(cell)
                line = Text.assemble(f"{name}: " if name else "", text)
                console.print(Padding(line, (0, 0, 0, 2), expand=False))
        if look.get("show_lines"):
            console.print()
