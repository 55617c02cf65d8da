"""Redaction takes time in proportion to the length of a text, whatever a trial prints."""

import socket
import time

import pytest
from redacted_texts import PROJECT

from benchpaper.core.redact import Redactor

pytestmark = pytest.mark.usefixtures("bare_environment")

# What is repeated to make a long text; "~" is a blank.
PATHS = [
    "f", "0123456789abcdef", "a_", "A_", "-----BEGIN", "/", "//", "://", "://a@", "a@", "'/",
    '"/x', "'/\"/x~'", "/a~", "/a:", "/home/", "\\\\~", "/a\\\\~", "$HOME/", "=", "a=", "-",
    "--", "{host}.", "@{host}.a", "/..", "\\xe9", "\\n", "/\\n", "BASE64\\n", "/usr/:",
    "{project}/x:", ":{project}", "\\ud800", "~",
]  # fmt: skip
SECRETS = [
    "A_KEY", "A_KEY=", "-----BEGIN~PRIVATE~KEY-----", "-----END~PRIVATE~KEY-----",
    "PRIVATE~KEY", "PRIVATE", "--token~", "--token=", "token", "token=", "token='",
    "secret-valu",
    "sk-", "ghp_", "eyJa.", "eyJaaaaaaaaa-", "eyJaaaaaaaaaaa.", "xoxb-", "SG.", "AIza",
    "token=(", "token=)", 'token=["', 'token=\\"', 'token=\\\\"', "key=", 'key="', "key:~",
    '"key":"a",', "password:~", "password:\n", "token~>", "<token>", "token%3D",
    "token=http://a?", "auth=a-", "auth=http://", "token=/usr/", "curl~-u~", "-u~a:",
    '"curl"~"', "sh~-c~'curl~'", "mysql~-p", "token='\"'\"'", "Bearer~", "Bearer~a",
    "basic~aaaaaaaa~", "login~a~password~", "password~'", "https://hooks.slack.com/services/",
    "a:b@", "a:b@tcp(", "://a:b", "123456789:", "aB3", "aB3/", "A1b-", "token,", "'token','",
    "authorization:~", "Authorization:~Bearer~", "Cookie:~a", 'cookie="', "----BEGIN~A1~",
    "Private-Lines:~1\na\n", "MIIaaAIBA", "FlyV1~a", "api~key:~", ";PWD=x", "token:~|\n~",
    "token:\n\n", "token~", "auth.password~aB1x2Y3", '\\"', "xxxxxxxxxxxxxxx~", "--token~a,",
    "&quot;", "token&quot;:&quot;", "|~token~|~", "setenv~", "'cookie':~[", "$6$",
    "h:543:a:b:", "\\\\nCookie:~a", "token:~Some('", "-----BEGIN~CERTIFICATE-----",
]  # fmt: skip
SHORT, LONG = 2_000, 16_000  # characters
# Linear work takes eight times as long for the longer text, quadratic work 64 times.
MAX_RATIO = 24
NEGLIGIBLE_S = 0.004  # of CPU time; what a clock shows below is chance


def cpu_seconds(text):
    redactor = Redactor(PROJECT, secrets=["secret-value"])
    begin = time.process_time()
    redactor.command([text])  # which redacts it as a text, too
    return time.process_time() - begin


@pytest.mark.parametrize("unit", PATHS + SECRETS)
def test_eight_times_the_text_takes_about_eight_times_as_long(monkeypatch, unit):
    monkeypatch.setattr(socket, "gethostname", lambda: "node")
    unit = unit.replace("~", " ").replace("{host}", "node").replace("{project}", PROJECT)
    unit = unit.encode("latin-1").decode("unicode_escape")
    short, long = (unit * (size // len(unit)) for size in (SHORT, LONG))
    ratios = (cpu_seconds(long) / max(cpu_seconds(short), NEGLIGIBLE_S) for _ in range(3))
    assert any(ratio < MAX_RATIO for ratio in ratios)
