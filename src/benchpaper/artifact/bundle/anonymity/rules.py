"""Which needles an identity of each kind has."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchpaper.artifact.bundle.anonymity import needles
from benchpaper.artifact.bundle.anonymity.identities import (
    PLACEHOLDERS,
    PUBLIC_ADDRESS,
    Identity,
    Kind,
)
from benchpaper.artifact.bundle.anonymity.needles import Maker, Needle

# Hosts of code and mail that anybody may use.
PUBLIC_HOSTS = frozenset([
    "aol.com", "bitbucket.org", "codeberg.org", "gmail.com", "github.com", "gitlab.com",
    "gmx.de", "gmx.net", "googlemail.com", "hotmail.com", "icloud.com", "live.com", "mail.ru",
    "me.com", "orcid.org", "outlook.com", "proton.me", "protonmail.com", "qq.com",
    "users.noreply.github.com", "web.de", "yahoo.com", "163.com", "126.com",
])  # fmt: skip


def needles_of(identity: Identity, make: Maker) -> Iterator[Needle]:
    """Yield the needles of an identity: none if it is too short or too common."""
    text, origin = identity.text.strip(), identity.origin
    match identity.kind:
        case Kind.PERSON:
            yield from make.person(text, origin)
        case Kind.ORGANISATION:
            yield from make.organisation(text, origin)
        case Kind.LOGIN:
            yield from make.handle(text, origin)
        case Kind.EMAIL:
            yield from _email(text, origin, make)
        case Kind.HOST:
            yield from _host(text, origin, make)
        case Kind.ORCID:
            if len(number := re.sub(r"[^\dXx]", "", text)[-16:]) == 16:
                yield needles.digits(number, text, origin)
        case Kind.PATH:
            if len(Path(text).parts) > 2:
                yield needles.literal(text, text, origin)
        case Kind.ADDRESS:
            if len(text) >= needles.LONG:
                yield needles.literal(text, text, origin)
        case Kind.COMMIT:
            yield needles.commit(text, origin)
        case Kind.WORD:
            plain = re.fullmatch(r"[^\W_]+(?:\s[^\W_]+)*", text) and len(text) >= needles.LONG
            yield (needles.anywhere if plain else needles.literal)(text, text, origin)


def _email(text: str, origin: str, make: Maker) -> Iterator[Needle]:
    local, _, domain = text.rpartition("@")
    if not local:
        return
    yield needles.literal(text, text, origin)
    yield needles.spelled_out_address(text, text, origin)
    local = local.rpartition("+")[2] if domain.startswith("users.noreply") else local
    if local.lower() not in PLACEHOLDERS:
        yield from make.handle(local, f"{text}, {origin}")
    yield from _host(domain, f"{text}, {origin}", make)


def _host(text: str, origin: str, make: Maker) -> Iterator[Needle]:
    """Yield the needles of a host or domain: the whole, and each label that says whose it is."""
    if text.lower() in PUBLIC_HOSTS or PUBLIC_ADDRESS.fullmatch(text) or not text:
        return
    if re.fullmatch(r"[\d.]+|[0-9a-fA-F:]*:[0-9a-fA-F:.]*", text):
        documentation = "2001:db8::1" if ":" in text else "192.0.2.1"  # RFC 3849 and 5737
        yield replace(needles.literal(text, text, origin), stand_in=documentation)
        return
    labels = text.split(".")
    if len(labels) > 1:
        yield needles.literal(text, text, origin)
        labels = [label for label in labels[:-1] if make.is_distinctive(label)]
    for label in labels:
        if label.lower() not in PLACEHOLDERS:
            yield from make.handle(label, origin, with_parts=False)
