"""Redaction hides secrets and logins, and leaves public text and plain words."""

import os
import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from redacted_texts import PROJECT, properties, words

from benchpaper.core.redact import Redactor
from benchpaper.core.secrets.names import FILE, SETTINGS

pytestmark = pytest.mark.usefixtures("bare_environment")

SECRET = "s3cr3t-Value/with+all&kinds=of'signs"


def below_a_folder_here(text):
    """Whether a text is a path below a folder of this machine's root; such paths are shown."""
    return text.startswith("/") and os.path.exists("/" + text.split("/")[1])


STANDS_ANYWAY = "$SECRET $HOME $PROJECT $ELSEWHERE before: after"
secrets = st.text(string.ascii_letters + string.digits + "-_+/.!", min_size=6, max_size=40).filter(
    lambda s: (
        sum(map(str.isalpha, s)) > 3
        and not os.path.exists(s)
        and not below_a_folder_here(s)
        and s not in STANDS_ANYWAY
        and s.lower() not in SETTINGS
        and not FILE.fullmatch(s)
        and not s.startswith("--")  # an option
    )
)


@properties
@given(
    secrets,
    st.sampled_from(
        [
            "MY_TOKEN",
            "DB_PASSWORD",
            "AWS_SECRET_ACCESS_KEY",
            "api_key",
            "GithubToken",
            "PRIVATE_KEY",
        ]
    ),
)
def test_a_secret_of_the_environment_appears_in_no_text_and_no_command(secret, name):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(name, secret)
        redactor = Redactor(PROJECT)
    assert secret not in redactor.text(f"before: {secret} after") and "before:" in redactor.text(
        f"before: {secret} after"
    )
    assert secret not in "\0".join(
        redactor.command(["curl", secret, f"X:{secret}", f"--data=a{secret}b"])
    )


@properties
@given(secrets)
def test_a_secret_given_to_the_redactor_is_hidden(secret):
    redactor = Redactor(PROJECT, secrets=[secret])
    assert secret not in redactor.text(f"x{secret}x")


@properties
@given(
    secrets,
    st.sampled_from(
        ["--password", "--db-password", "-token", "--api_key", "--auth-key", "--secret"]
    ),
)
def test_the_value_of_an_option_with_a_secret_name_is_hidden_and_stays_hidden(secret, option):
    assume(not any(secret in other for other in ("db", option, "--size")))
    redactor = Redactor(PROJECT)
    assert redactor.command(["db", option, secret, "--size", "8"]) == [
        "db",
        option,
        "$SECRET",
        "--size",
        "8",
    ]
    assert secret not in redactor.text(f"db: cannot log in with {secret}")


@properties
@given(secrets, st.sampled_from(["--password", "TOKEN", "DB_PASSWORD", "secret_key"]))
def test_the_value_of_an_assignment_to_a_secret_name_is_hidden_and_stays_hidden(secret, name):
    redactor = Redactor(PROJECT)
    assert redactor.command(["env", f"{name}={secret}", "db", "8"]) == [
        "env",
        f"{name}=$SECRET",
        "db",
        "8",
    ]
    assert secret not in redactor.text(f"db: cannot log in with {secret}")


@properties
@given(
    secrets,
    st.sampled_from(
        [
            "KEY={}",
            "DB_PASS={}",
            "API_KEY={}",
            "SSH_PASSPHRASE={}",
            "PG_PWD={}",
            "sh -c 'TOKEN={} db'",
        ]
    ),
)
def test_what_is_learned_is_hidden_where_it_was_told_before_too(secret, command):
    redactor = Redactor(PROJECT)
    harmless = ["db", secret, f"--mode={secret}"]
    redactor.learn(["env", command.replace("{}", secret)])
    assert redactor.command(harmless) == ["db", "$SECRET", "--mode=$SECRET"]


@pytest.mark.parametrize(
    "argument",
    [
        "--key-size=64",
        "MONKEY=banana",
        "KEYS=abcdefg",
        "keyboard=german",
        "PWD=relative",
        "--key=abcdefg",
    ],
)
def test_names_that_only_look_like_a_keys_hide_nothing(redactor, argument):
    assert redactor.command(["env", argument]) == ["env", argument]


@pytest.mark.parametrize("kind", ["OPENSSH PRIVATE KEY", "RSA PRIVATE KEY", "PRIVATE KEY"])
@pytest.mark.parametrize("end", ["\n-----END {}-----\nafter", ""])
def test_a_private_key_is_hidden_even_when_it_is_cut_off(redactor, kind, end):
    shown = redactor.text(f"before\n-----BEGIN {kind}-----\nb3BlbnNz\naC1rZXk{end.format(kind)}")
    assert (
        shown.startswith(f"before\n-----BEGIN {kind}----- $SECRET")
        and "b3Blb" not in shown
        and "aC1r" not in shown
    )
    assert shown.endswith("after") == bool(end)


@pytest.mark.parametrize("text, shown", [
    (f"db --password {SECRET[:12]} --size 8", "db --password $SECRET --size 8"),
    ("ran TOKEN=abcdef db", "ran TOKEN=$SECRET db"),
    ("5 tokens per second, private memory", "5 tokens per second, private memory"),
])  # fmt: skip
def test_secrets_named_in_a_text_are_hidden_and_words_are_not(redactor, text, shown):
    assert redactor.text(text) == shown


@properties
@given(words, secrets.filter(lambda s: "/" not in s))
def test_a_login_in_a_url_is_hidden(user, password):
    redactor = Redactor(PROJECT)
    url = f"http://{user}:{password}@host:80/path"
    assert redactor.text(f"get {url} failed") == "get http://$SECRET@host:80/path failed"
    assert redactor.command([url, f"--from={url}"]) == [
        "http://$SECRET@host:80/path",
        "--from=http://$SECRET@host:80/path",
    ]


def test_a_password_with_an_at_sign_is_hidden_whole(redactor):
    assert redactor.text("postgres://bob:p@ss@host/db") == "postgres://$SECRET@host/db"


def test_numbers_and_short_values_are_hidden_where_they_stand_but_not_everywhere(redactor):
    assert redactor.command(["llm", "--password=100000", "--token", "abc"]) == [
        "llm",
        "--password=$SECRET",
        "--token",
        "$SECRET",
    ]
    assert redactor.text("read 100000 bytes; abc") == "read 100000 bytes; abc"


def test_a_long_secret_and_one_that_is_no_path_do_no_harm(monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "x" * 5000)
    monkeypatch.setenv("KEYFILE_TOKEN", "/etc/passwd")
    monkeypatch.setenv("EMPTY_TOKEN", "")
    redactor = Redactor(PROJECT)
    assert redactor.text("a " + "x" * 5000) == "a $SECRET"
    assert redactor.text("reads /etc/passwd") == "reads /etc/passwd"
