"""Code and commands out of a document's own text, for the tests that run what a README says."""

import re


def code(text, start, end):
    """Return the indented code between two pieces of a text, without its indentation."""
    text = text[text.index(start) :]
    text = text[: text.index(end)]
    return "\n".join(
        line[4:] for line in text.splitlines() if line.startswith("    ") or not line.strip()
    )


def steps(text):
    """Return the steps of a tutorial, in order.

    Each is ("file", name, content) for the code after `<!-- file: NAME -->`, or ("run",
    command) for each line of any other indented code.
    """
    result = []
    for part in re.split(r"(?m)^(?=<!-- file: )", text):
        named = re.match(r"<!-- file: (\S+) -->\n", part)
        lines = part.splitlines()[1 if named else 0 :]
        if named:
            end = next(
                (n for n, line in enumerate(lines) if line and not line.startswith("    ")),
                len(lines),
            )
            result.append(
                ("file", named[1], "\n".join(line[4:] for line in lines[:end]).strip("\n") + "\n")
            )
            lines = lines[end:]
        result += [("run", line.strip()) for line in lines if line.startswith("    ")]
    return result
