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
    command) for each line of any other indented code. Fenced code is a sketch.
    """
    result = []
    text = re.sub(r"(?ms)^```.*?^```$", "", text)
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


NOT_RUN = "<!-- not run: "


def fenced_steps(text):
    """Return the steps of a tutorial with fenced code, in order, each as (what, arguments, code).

    What to do with a piece of code is in the sentence before it: ("replace", [PATH]) the whole
    file, ("part", [PATH, START, END]) of it, or ("cell", [PATH, START]) of a notebook. The lines of
    a shell's block are ("run", []), or ("not run", []) after a comment that says why.
    """
    forms = {
        "part": r"In `([^`]+)`, replace everything from `([^`]+)` to `([^`]+)` by:",
        "cell": r"In `([^`]+)`, replace the cell that begins with `([^`]+)` by:",
        "replace": r"Replace `([^`]+)` by:",
    }
    steps, before = [], ""
    for prose, language, code in re.findall(r"(.*?)^```(\w+)\n(.*?)^```$", text, re.M | re.S):
        before = " ".join(prose.split())
        if language == "sh":
            what = "not run" if NOT_RUN in before else "run"
            joined = code.replace("\\\n", " ")
            steps += [(what, [], line) for line in joined.splitlines()]
            continue
        [(what, match)] = [
            (what, match)
            for what, form in forms.items()
            if (match := re.search(rf"{form}$", before))
        ][:1]
        steps.append((what, list(match.groups()), code))
    return steps
