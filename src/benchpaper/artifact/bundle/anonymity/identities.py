"""What identifies somebody or a machine: its kind, its text, and where it comes from."""

import re
from dataclasses import dataclass
from enum import StrEnum

# They identify nobody, and hiding them would break commands and sources.
PLACEHOLDERS = frozenset([
    "admin", "alice", "anonymous", "author", "authors", "bob", "build", "builder", "carol",
    "ci", "debian", "example", "foo", "git", "guest", "home", "jovyan", "local", "localhost",
    "me", "name", "nobody", "noreply", "none", "null", "root", "runner", "site", "somebody",
    "someone", "ubuntu", "unknown", "user", "username", "users", "vagrant", "work", "you",
    "your-name", "yourname",
])  # fmt: skip
PUBLIC_ADDRESS = re.compile(r"127\.[\d.]+|0\.0\.0\.0|::1|localhost(\.localdomain\d?)?")


class Kind(StrEnum):
    """What an identity is; the rules for its parts follow from that."""

    PERSON = "person"
    ORGANISATION = "organisation"
    EMAIL = "e-mail address"
    ORCID = "ORCID iD"
    ADDRESS = "address"
    LOGIN = "login"
    HOST = "host"
    PATH = "folder"
    COMMIT = "commit"
    WORD = "word of --also"


@dataclass(frozen=True)
class Identity:
    """A text that identifies somebody or a machine; `origin` says where it comes from."""

    kind: Kind
    text: str
    origin: str

    @property
    def is_placeholder(self) -> bool:
        """Whether it names nobody ("Anonymous Author(s)"), or is the address of any machine."""
        words = set(re.findall(r"[^\W_]{2,}", self.text.lower()))
        return self.kind is not Kind.WORD and (
            words <= PLACEHOLDERS
            or (self.kind in (Kind.PERSON, Kind.ORGANISATION) and "anonymous" in words)
            or (self.kind is Kind.COMMIT and not self.text.strip("0"))
            or (self.kind is Kind.HOST and bool(PUBLIC_ADDRESS.fullmatch(self.text)))
        )
