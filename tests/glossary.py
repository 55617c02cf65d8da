"""Find words that GLOSSARY.md forbids, in documents, docstrings and messages."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from checkout import ROOT

DOCUMENTS = ["*.md", "docs/**/*.md", "experiments/**/*.md", "benchmarks/*.md"]
CODE = ["src/benchpaper/**/*.py"]
NOT_PROSE = re.compile(r"^```.*?^```|^(?: {4}|\t).*?$|`[^`\n]*`", re.M | re.S)


def synonyms(glossary: str) -> dict[str, str]:
    """Return {word not to write: word of the glossary} from the rows of its table."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in glossary.splitlines()]
    terms = [row for row in rows if len(row) == 3][2:]  # below the heading and its rule
    return {
        synonym: term for term, _, list_ in terms for synonym in re.split(r",\s*", list_) if synonym
    }


def prose_of_document(text: str) -> Iterator[tuple[int, str]]:
    """Yield (line number, line) without code."""
    blank = NOT_PROSE.sub(lambda code: re.sub(r"[^\n]", " ", code[0]), text)
    yield from enumerate(blank.splitlines(), 1)


def prose_of_code(text: str) -> Iterator[tuple[int, str]]:
    """Yield (line number, text) of each string that holds more than one word."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            for offset, line in enumerate(node.value.splitlines()):
                yield node.lineno + offset, line


def problems(root: Path) -> Iterator[str]:
    """Yield a line for each forbidden word below `root`."""
    words = synonyms((root / "GLOSSARY.md").read_text())
    pattern = re.compile(rf"\b({'|'.join(map(re.escape, words))})\b", re.I)
    for patterns, prose in ((DOCUMENTS, prose_of_document), (CODE, prose_of_code)):
        for path in sorted({path for pattern in patterns for path in root.glob(pattern)}):
            if path.name == "GLOSSARY.md":
                continue
            for number, line in prose(path.read_text()):
                for word in pattern.findall(line):
                    term = words[word.lower()]
                    yield f'{path.relative_to(root)}:{number}: "{word}": GLOSSARY.md says "{term}"'


def main() -> int:
    """Print the problems of this project; return the exit status."""
    lines = list(problems(ROOT))
    print(*lines, sep="\n", end="\n" if lines else "")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
