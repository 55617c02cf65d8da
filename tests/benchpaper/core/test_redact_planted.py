"""No planted secret is shown, in whatever form; texts that only look like secrets stay."""

import json
import shlex
from urllib.parse import quote

import planted_secrets as planted
import pytest
from ordinary_texts import ARGUMENTS, COMMANDS, LINES
from redacted_texts import PROJECT

from benchpaper.core import excerpt
from benchpaper.core.processes import OUTPUT_BOUND, outputs
from benchpaper.core.redact import Redactor

pytestmark = pytest.mark.usefixtures("bare_environment")

SHOWN = 6  # characters of a secret that count as shown
FILLER = "2026-11-29 07:32:06 INFO an ordinary line\n"


def secrets_of(form):
    values = {**planted.VALUES, "login": planted.LOGIN}
    return [value for name, value in values.items() if f"{{{name}}}" in form]


def shown_part(shown, secrets):
    """Return a part of a secret that stands in a text, or None."""
    parts = (s[n : n + SHOWN] for s in secrets for n in range(len(s) - SHOWN + 1))
    return next((part for part in parts if part in shown), None)


@pytest.mark.parametrize("form", planted.COMMANDS)
def test_a_secret_planted_in_a_command_is_hidden_and_the_rest_is_not(form):
    forms = [argument.replace("~", " ") for argument in form.split(" ")]
    argv = [planted.fill(argument) for argument in forms]
    shown = Redactor(PROJECT).command(argv)
    assert shown_part(" ".join(shown), secrets_of(form)) is None
    kept = [
        n
        for n, argument in enumerate(forms)
        if "{" not in argument and argument != "ACCESS1" and not argument.startswith("//")
    ]
    assert [shown[n] for n in kept] == [forms[n] for n in kept]


@pytest.mark.parametrize("form", planted.COMMANDS)
def test_a_secret_planted_in_a_command_is_hidden_where_a_program_prints_the_command(form):
    argv = [planted.fill(argument.replace("~", " ")) for argument in form.split(" ")]
    texts = [
        shlex.join(argv),
        f"+ {shlex.join(argv)}",
        repr(argv),
        " ".join(argv),
        json.dumps(argv),
    ]
    texts.append(f"Command '{argv}' returned non-zero exit status 1.")
    for text in texts:
        shown = Redactor(PROJECT).text(text)
        assert shown_part(shown, secrets_of(form)) is None, shown


@pytest.mark.parametrize("form", planted.COMMANDS)
def test_a_secret_of_a_command_is_hidden_in_what_the_program_prints(form):
    redactor = Redactor(PROJECT)
    redactor.learn([planted.fill(argument.replace("~", " ")) for argument in form.split(" ")])
    for secret in secrets_of(form):
        assert secret not in redactor.text(f"cannot log in with {secret}x")
        assert secret not in redactor.text(quote(f"?{secret}"))


@pytest.mark.parametrize("name", planted.VARIABLES)
def test_a_secret_planted_under_a_variables_name_is_hidden_in_every_notation(name):
    redactor = Redactor(PROJECT)
    for notation in planted.NOTATIONS:
        if name == "PASS" and "{name}: " in notation:  # the result of a test
            continue
        for value in planted.VALUES.values():
            text = notation.replace("{name}", name).replace("{key}", value)
            shown = redactor.text(text)
            assert shown_part(shown, [value]) is None, text


@pytest.mark.parametrize("name", planted.VARIABLES)
def test_a_secret_of_the_environment_is_hidden_in_the_notations_of_programs(monkeypatch, name):
    secret = f"{planted.RANDOM}\"'&/ü"
    monkeypatch.setenv(name, secret)
    redactor = Redactor(PROJECT)
    forms = [secret, json.dumps(secret), repr(secret), quote(secret, safe=""), shlex.quote(secret)]
    for form in forms:
        assert shown_part(redactor.text(f"<{form}>"), [planted.RANDOM]) is None


@pytest.mark.parametrize("form", planted.TEXTS)
def test_a_secret_planted_in_a_line_of_output_is_hidden(form):
    shown = Redactor(PROJECT).text(f"{FILLER}{planted.fill(form)}\n{FILLER}")
    assert shown_part(shown, secrets_of(form)) is None
    assert shown.startswith(FILLER) and shown.endswith(FILLER)


@pytest.mark.parametrize("form", planted.KEY_FORMS)
def test_a_private_key_is_hidden_however_its_lines_are_joined(form):
    text = f"before {planted.KEY_FORMS[form]}"
    assert shown_part(Redactor(PROJECT).text(text), [planted.RANDOM * 3]) is None


@pytest.mark.parametrize("form", planted.KEY_FORMS)
def test_a_private_key_of_the_environment_is_hidden_line_by_line(monkeypatch, form):
    monkeypatch.setenv("DEPLOY_KEY", planted.PRIVATE_KEY)
    redactor = Redactor(PROJECT)
    body = planted.PRIVATE_KEY.split("\n")[1:-1]
    for text in ["".join(body), " | ".join(body), "\n> ".join(body), body[1], "\\n".join(body)]:
        assert shown_part(redactor.text(text), [planted.RANDOM * 3]) is None


@pytest.mark.parametrize("kind", planted.TOKENS)
@pytest.mark.parametrize(
    "frame", ["{}", "got {} today", "x={}", "'{}',", "({})", "/a/{}", "{}.", '{"a":"{}"}', "a,{}"]
)
def test_a_token_is_hidden_by_its_format_alone(kind, frame):
    token = planted.TOKENS[kind]
    shown = Redactor(PROJECT).text(frame.replace("{}", token))
    assert token[8:14] not in shown and token[-SHOWN:] not in shown


CUT = {
    **{form: planted.fill(form) for form in planted.TEXTS},
    **{
        notation: planted.fill(notation.replace("{name}", "DB_PASSWORD"))
        for notation in planted.NOTATIONS
    },
    **{form: planted.fill(form.replace("~", " ")) for form in planted.COMMANDS},
}


@pytest.mark.parametrize("form", CUT)
def test_no_part_of_a_secret_is_left_at_a_cut(form):
    redactor = Redactor(PROJECT)
    text, secrets = CUT[form], secrets_of(form)
    for position in range(0, len(text), 3):
        size = len((FILLER + text[:position]).encode())
        assert shown_part(redactor.shortened(FILLER + text + FILLER, size), secrets) is None
        whole = f"{FILLER}{text}\n{FILLER}".encode()
        tail = excerpt.tail(whole, len((text[position:] + "\n" + FILLER).encode()))
        assert shown_part(redactor.text(tail), secrets) is None, tail


@pytest.mark.parametrize("form", planted.KEY_FORMS)
def test_no_part_of_a_private_key_is_left_at_a_cut(form):
    redactor, key = Redactor(PROJECT), planted.KEY_FORMS[form]
    for position in range(0, len(key), 7):
        kept = redactor.shortened(FILLER + key, len(FILLER) + position)
        assert shown_part(kept, [planted.RANDOM * 3]) is None
        tail = excerpt.tail(key.encode(), len(key) - position)
        assert shown_part(redactor.text(tail), [planted.RANDOM * 3]) is None, tail


@pytest.mark.parametrize("offset", range(0, 60, 4))
def test_no_part_of_a_secret_is_left_where_the_output_of_a_process_is_cut(tmp_path, offset):
    line = f"DB_PASSWORD={planted.RANDOM}\n"
    rest = ("an ordinary line\n" * OUTPUT_BOUND)[-OUTPUT_BOUND + offset :]
    (tmp_path / "stdout").write_text(f"{FILLER}{line}{rest}")
    shown = Redactor(PROJECT).text(outputs(tmp_path))
    assert shown_part(shown, [planted.RANDOM]) is None
    assert OUTPUT_BOUND - 100 < len(shown) < OUTPUT_BOUND + 100


@pytest.mark.parametrize("argument", ARGUMENTS)
def test_an_ordinary_argument_stays(argument):
    assert Redactor(PROJECT).command([argument]) == [argument]


def test_ordinary_arguments_stay_next_to_each_other():
    assert Redactor(PROJECT).command(ARGUMENTS) == ARGUMENTS


@pytest.mark.parametrize("command", COMMANDS)
def test_an_ordinary_command_stays(command):
    redactor = Redactor(PROJECT)
    assert redactor.command(command.split()) == command.split()
    assert redactor.text(command) == command


@pytest.mark.parametrize("line", LINES)
def test_an_ordinary_line_of_output_stays(line):
    assert Redactor(PROJECT).text(line) == line
