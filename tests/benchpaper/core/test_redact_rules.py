"""The rules find what detect-secrets, a maintained set of rules, finds."""

import planted_secrets as planted
import pytest
from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.plugins.base import RegexBasedDetector
from detect_secrets.settings import default_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ordinary_texts import ARGUMENTS, LINES
from redacted_texts import PROJECT

from benchpaper.core.redact import Redactor

pytestmark = pytest.mark.usefixtures("bare_environment")

with default_settings():
    PLUGINS = {name: kind() for name, kind in get_mapping_from_secret_type_to_class().items()}
ASCII = st.characters(codec="ascii")
# Rules that cannot be followed: they call ordinary words or public addresses secrets, take any
# value under the name `key` or `id`, or look at the name of a file for a format.
NOT_FOLLOWED = {
    "Artifactory Credentials": "AP and nine more letters, as in APBenchmark",
    "IBM Cloud IAM Key": "the name may be `key` alone",
    "IBM COS HMAC Credentials": "the name may be `secret` within any word",
    "SoftLayer Credentials": "the name may be `sl`",
    "Cloudant Credentials": "the name may be `cl`",
    "Public IP (ipv4)": "an address is no secret",
    "Secret Keyword": "compared below",
    "AWS Access Key": "compared below",
    "Private Key": "a key's first line is no secret",
    "NPM tokens": "compared below",
}
FORMATS = [
    (name, number)
    for name, plugin in PLUGINS.items()
    if isinstance(plugin, RegexBasedDetector) and name not in NOT_FOLLOWED
    for number in range(len(plugin.denylist))
]


def test_every_rule_of_detect_secrets_is_followed_or_has_a_reason():
    assert NOT_FOLLOWED.keys() <= PLUGINS.keys()
    assert len({name for name, _ in FORMATS}) >= 15


@pytest.mark.parametrize("name, number", FORMATS)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_a_rule_of_detect_secrets_matches_is_hidden(name, number, data):
    plugin = PLUGINS[name]
    text = data.draw(st.from_regex(plugin.denylist[number], fullmatch=True, alphabet=ASCII))
    shown = Redactor(PROJECT).text(f"before {text} after")
    for secret in plugin.analyze_string(text):
        if len(secret) >= 16:  # a group of the pattern may hold its prefix alone
            assert secret not in shown


def texts():
    for name in planted.VARIABLES:
        for notation in planted.NOTATIONS:
            yield planted.fill(notation.replace("{name}", name))
    yield from map(planted.fill, planted.TEXTS)
    yield from planted.TOKENS.values()


def test_what_detect_secrets_finds_in_planted_texts_is_hidden():
    redactor, finds = Redactor(PROJECT), 0
    with default_settings():
        for text in texts():
            shown = redactor.text(text)
            for name, plugin in PLUGINS.items():
                if name in ("Public IP (ipv4)", "Private Key"):
                    continue
                for secret in plugin.analyze_string(text):
                    random = [v for v in planted.VALUES.values() if v in str(secret)]
                    finds += 1
                    assert not any(value in shown for value in random), (name, text)
    assert finds > 500


@pytest.mark.parametrize("text", [*ARGUMENTS, *LINES])
def test_detect_secrets_names_no_secret_in_an_ordinary_text_that_we_show(text):
    """The ordinary texts are no list of excuses: the maintained rules call them harmless, too."""
    quiet = {"Public IP (ipv4)", "Base64 High Entropy String", "Hex High Entropy String"}
    finds = {name for name, plugin in PLUGINS.items() if set(plugin.analyze_string(text))}
    assert finds <= quiet
