"""What each answer of an agent must look like. A host may lie, but only within these forms.

Names that become files here are plain names; texts can be encoded, and those for people show their
control characters. Only the output of a trial's own commands arrives as it is, for the experiment.
"""

import ipaddress
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from benchpaper.core.deployment import containers
from benchpaper.core.printable import printable, printable_line
from benchpaper.hosts import facts
from benchpaper.hosts.agent import disturbances
from benchpaper.hosts.agent.wire import Malformed

Form = Callable[[Any], Any]  # returns the value to use; raises `Malformed`

ERRORS = ("CommandFailed", "HostError", "OSError")
MAX_ITEMS = 10_000
LONGEST_PATH = 4096
PLAIN_NAME = re.compile(r"\w[\w.-]{0,254}", re.ASCII)
VERSION = re.compile(r"[0-9.]{0,20}")
HEX = re.compile(r"[0-9a-f]{16}")
ENGINE = re.compile("|".join(("", *containers.ENGINES)))
WORD = re.compile(r"[\w.+-]{0,64}", re.ASCII)


def broken(what: str) -> Malformed:
    return Malformed(f"an answer that is not {what}")


def nothing(value: Any) -> None:
    if value is not None:
        raise broken("empty")


def exact(value: Any) -> str:
    """A text as it is: what a command printed."""
    try:
        _text(value).encode()
    except UnicodeEncodeError:
        raise broken("a text that can be encoded") from None
    return value


def text(value: Any) -> str:
    return printable(_text(value))


def line(value: Any) -> str:
    return printable_line(_text(value))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise broken("a text")
    return value


def whole(least: int, most: int) -> Form:
    def form(value: Any) -> int:
        if type(value) is not int or not least <= value <= most:
            raise broken(f"a whole number from {least} to {most}")
        return value

    return form


def number(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise broken("a finite number")
    return value


def truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise broken("true or false")
    return value


def matching(pattern: re.Pattern[str], what: str) -> Form:
    def form(value: Any) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise broken(what)
        return value

    return form


def path(value: Any) -> str:
    """An absolute path on the host, without control characters."""
    plain = exact(value)
    if not plain.startswith("/") or not plain.isprintable() or len(plain) > LONGEST_PATH:
        raise broken("an absolute path of printable characters")
    return plain


def socket_path(value: Any) -> str:
    if ":" in path(value):  # it separates the parts of ssh's option
        raise broken("a path without a colon")
    return value


def optional(form: Form) -> Form:
    return lambda value: None if value is None else form(value)


def items(form: Form) -> Form:
    def check(value: Any) -> list[Any]:
        if not isinstance(value, list) or len(value) > MAX_ITEMS:
            raise broken(f"a list of at most {MAX_ITEMS} items")
        return [form(item) for item in value]

    return check


def row(*forms: Form) -> Form:
    def check(value: Any) -> list[Any]:
        if not isinstance(value, list) or len(value) != len(forms):
            raise broken(f"a list of {len(forms)} items")
        return [form(item) for form, item in zip(forms, value, strict=True)]

    return check


def table(key: Form, form: Form) -> Form:
    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict) or len(value) > MAX_ITEMS:
            raise broken(f"a table of at most {MAX_ITEMS} rows")
        return {key(name): form(item) for name, item in value.items()}

    return check


def record(**forms: Form) -> Form:
    """A table with exactly these keys."""

    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict) or set(value) != set(forms):
            raise broken(f"a table of {', '.join(forms)}")
        return {name: form(value[name]) for name, form in forms.items()}

    return check


def address(value: Any) -> str:
    try:
        return str(ipaddress.ip_address(exact(value)))
    except ValueError:
        raise broken("an IP address") from None


def fact(value: Any) -> str | float:
    return number(value) if isinstance(value, (int, float)) else line(value)


PORT = whole(1, 65535)
STATUS = whole(-255, 255)


def host_facts(value: Any) -> dict[str, Any]:
    """The facts of every host, and those that only some hosts have."""
    more = [name for name in facts.WHERE_PRESENT if isinstance(value, dict) and name in value]
    return record(**dict.fromkeys((*facts.NAMES, *more), fact))(value)


NAME = matching(PLAIN_NAME, "a plain name")
SOFTWARE = record(
    identity=line,
    contents=items(line),
    variables=table(exact, exact),
    engine=items(exact),
    options=items(exact),
    kind=matching(ENGINE, "an engine of containers"),
    image=exact,
)
DISTURBANCES = record(**dict.fromkeys(disturbances.COLUMNS, optional(number)))
KEPT = record(output=text, shortage=line, stood_still_s=number, found=items(line))
ANSWERS: Mapping[str, Form] = {
    "open": nothing,
    "run": row(STATUS, exact, exact),
    "start": row(whole(0, 1 << 31), whole(1, 1 << 31)),
    "scratch": path,
    "undo": nothing,
    "free_port": PORT,
    "put": nothing,
    "get": whole(0, 1 << 62),
    "lacks": items(NAME),
    "store": nothing,
    "facts": host_facts,
    "probe": record(facts=host_facts, capabilities=table(line, record(present=truth, detail=line))),
    "has": table(line, row(truth, line)),
    "environments": table(line, optional(SOFTWARE)),
    "disturbances": DISTURBANCES,
    "clock": number,
    "addresses": table(line, address),
    "conclude": table(NAME, KEPT),
}
PROCESS: Mapping[str, Form] = {
    "read_line": exact,
    "wait": STATUS,
    "poll": optional(STATUS),
    "stop": nothing,
    "stdout_text": exact,
    "stderr_text": exact,
}
GREETING = record(
    socket=socket_path,
    store=path,
    trials=path,
    temporary=path,
    home=path,
    python=path,
    version=row(whole(0, 999), whole(0, 999)),
    abi=matching(WORD, "a word"),
    libc=matching(VERSION, "a version"),
    machine=matching(WORD, "a word"),
    cpus=items(whole(0, 1 << 20)),
    boot=matching(WORD, "a word"),
    identity=matching(HEX, "16 hex digits"),
    hostname=line,
)
# Instead of a greeting, or in answer to an order; each is a table of one key.
MESSAGES: Mapping[str, Form] = {
    "no python": line,
    "old python": line,
    "error": line,
    "locked": truth,
    "held": line,
    "unlocked": truth,
}


def value(answer: Mapping[str, Any], operation: str, options: Mapping[str, Any]) -> Any:
    """Return the checked value in the answer to an operation with these options."""
    form = PROCESS[options["method"]] if operation == "process" else ANSWERS[operation]
    checked = form(answer.get("value"))
    if operation == "conclude":
        _all(checked, lambda name: name.startswith(options["prefix"]), "a trial of this checkout")
    if operation == "lacks":
        _all(checked, options["digests"].__contains__, "a digest of the request")
    if operation in ("has", "environments") and set(checked) != set(options["names"]):
        raise broken("about the capabilities of the request")
    return checked


def _all(names: Iterable[str], right: Callable[[str], bool], what: str) -> None:
    if not all(map(right, names)):
        raise Malformed(f"an answer with a name that is not {what}")


def envelope(answer: Any, request: int) -> dict[str, Any]:
    """Return the answer, whose value is still to be checked, if it answers this request."""
    if not isinstance(answer, dict) or not ("value" in answer) ^ ("error" in answer):
        raise Malformed("an answer with neither a value nor an error")
    if answer.get("request") != request:
        raise Malformed("an answer to another request")
    if "error" not in answer:
        return {**answer, "status": optional(STATUS)(answer.get("status"))}
    if answer["error"] not in ERRORS:
        raise Malformed("an error of an unknown kind")
    return {
        "error": answer["error"],
        "text": line(answer.get("text")),
        "name": line(answer.get("name", "")),
        "status": optional(STATUS)(answer.get("status")),
    }


def message(answer: Any) -> dict[str, Any]:
    """Return a checked message of the agent's main process."""
    if isinstance(answer, dict) and len(answer) == 1:
        ((kind, content),) = answer.items()
        if kind in MESSAGES:
            return {kind: MESSAGES[kind](content)}
    return GREETING(answer)
