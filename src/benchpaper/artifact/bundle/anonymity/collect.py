"""Whom and what a project identifies: people, organisations, addresses, machines, folders."""

import contextlib
import getpass
import re
import socket
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from benchpaper.artifact.bundle import metadata
from benchpaper.artifact.bundle.anonymity.forms import without_latex
from benchpaper.artifact.bundle.anonymity.identities import Identity, Kind
from benchpaper.core import settings
from benchpaper.core.errors import UserError
from benchpaper.core.project import Project
from benchpaper.core.revision import git, known_revision

TRAILERS = (
    "Co-authored-by", "Signed-off-by", "Reviewed-by", "Acked-by", "Tested-by", "Reported-by",
)  # fmt: skip
PERSON_AND_ADDRESS = re.compile(r"([^<>\n]*)<([^<>\n]+)>")
LATEX_AUTHOR = re.compile(
    r"\\(author|email|orcid|institution|affiliation|affil|IEEEauthorblockN)\b\*?\s*"
    r"(?:\[[^\[\]]*\]\s*)?\{((?:[^{}]|\{[^{}]*\})*)\}"
)
SSH_OPTION = re.compile(r"^\s*(Host|HostName|User|ProxyJump)\s*[\s=]\s*(.+?)\s*$", re.I | re.M)


def of(project: Project, more: Iterable[str] = ()) -> list[Identity]:
    """Return who and what identifies the authors of a project and their machines.

    They come from git (its history, settings, and remotes), CITATION.cff, benchpaper.toml,
    pyproject.toml, the paper's title block, the site files, SSH's configuration, and this machine;
    `more` are the user's own words.
    """
    collected = [Identity(Kind.WORD, text, "--also") for text in more]
    for identities in (
        _of_git,
        _of_citation,
        _of_settings,
        _of_pyproject,
        _of_paper,
        _of_sites,
        _of_machine,
    ):
        collected += identities(project)
    kept = [identity for identity in collected if not identity.is_placeholder]
    return sorted(set(kept), key=lambda identity: (identity.kind, identity.text, identity.origin))


def _of_git(project: Project) -> Iterator[Identity]:
    log = git(project, "log", "--format=%an <%ae>%n%cn <%ce>%n%aN <%aE>")
    keys = "".join(f"%(trailers:key={key},valueonly)" for key in TRAILERS)
    log += git(project, "log", f"--format={keys}")
    for name, email in sorted(set(PERSON_AND_ADDRESS.findall(log))):
        yield Identity(Kind.PERSON, name.strip(), "an author in git's history")
        yield Identity(Kind.EMAIL, email, "an author in git's history")
    yield Identity(Kind.PERSON, git(project, "config", "user.name").strip(), "git's user.name")
    yield Identity(Kind.EMAIL, git(project, "config", "user.email").strip(), "git's user.email")
    for line in git(project, "remote", "-v").splitlines():
        yield from _remote(line.split()[1])
    yield Identity(Kind.COMMIT, known_revision(project).commit, "the measured commit")


def _remote(address: str) -> Iterator[Identity]:
    """Yield a remote of git, and its host, login, owners, and repository."""
    origin = "a remote of git"
    yield Identity(Kind.ADDRESS, address, origin)
    plain = re.sub(r"^[a-z+]+://", "", address).removesuffix("/").removesuffix(".git")
    if address.startswith(("/", ".", "file:")):
        yield Identity(Kind.PATH, plain, origin)
        return
    host, *path = re.split(r"[:/]+", plain)
    login, _, host = host.rpartition("@")
    yield Identity(Kind.LOGIN, login.partition(":")[0], origin)
    yield Identity(Kind.HOST, host, origin)
    for owner in path[:-1]:
        if not owner.isdigit():  # a port
            yield Identity(Kind.LOGIN, owner.lstrip("~"), origin)
    yield Identity(Kind.ADDRESS, "/".join(path[-2:]), origin)


def _of_citation(project: Project) -> Iterator[Identity]:
    path, origin = project.root / "CITATION.cff", "CITATION.cff"
    cited = _yaml(path, origin) if path.exists() else {}
    for author in [*cited.get("authors", []), *cited.get("contact", [])]:
        yield from _cited(author, origin)
    for key in ("repository-code", "url", "repository"):
        if cited.get(key):
            yield Identity(Kind.ADDRESS, str(cited[key]), origin)


def _of_settings(project: Project) -> Iterator[Identity]:
    for author in settings.read(project.root).authors:
        yield Identity(Kind.PERSON, author, settings.FILE)


def _yaml(path: Path, name: str) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text()) or {}
    except (yaml.YAMLError, UnicodeDecodeError):
        content = None
    if not isinstance(content, dict):
        raise UserError(f"{name} is not valid YAML; correct it")
    return content


def _cited(author: Mapping[str, Any], origin: str) -> Iterator[Identity]:
    if "family-names" in author:
        particle = author.get("name-particle", "")
        names = (author.get("given-names", ""), particle, author["family-names"])
        yield Identity(Kind.PERSON, " ".join(str(name) for name in names if name), origin)
    for key, kind in (
        ("name", Kind.ORGANISATION),
        ("alias", Kind.LOGIN),
        ("affiliation", Kind.ORGANISATION),
        ("email", Kind.EMAIL),
        ("orcid", Kind.ORCID),
        ("website", Kind.ADDRESS),
    ):
        if author.get(key):
            yield Identity(kind, str(author[key]), origin)


def _of_pyproject(project: Project) -> Iterator[Identity]:
    table, origin = metadata.pyproject(project), "pyproject.toml"
    for author in [*table.get("authors", []), *table.get("maintainers", [])]:
        yield Identity(Kind.PERSON, author.get("name", ""), origin)
        yield Identity(Kind.EMAIL, author.get("email", ""), origin)
    for address in table.get("urls", {}).values():
        yield Identity(Kind.ADDRESS, address, origin)


def _of_paper(project: Project) -> Iterator[Identity]:
    """Yield those in the title blocks of the paper: article, acmart, and IEEEtran."""
    for path in sorted(project.paper.glob("*.tex")):
        origin = f"paper/{path.name}"
        for command, text in LATEX_AUTHOR.findall(path.read_text(errors="replace")):
            names = re.split(r"\\(?:and|And|AND|\\)|,", re.sub(r"\\thanks\s*\{[^{}]*\}", "", text))
            for name in (_plain(part) for part in names):
                kind = {"email": Kind.EMAIL, "orcid": Kind.ORCID, "author": Kind.PERSON}.get(
                    command, Kind.PERSON if command.startswith("IEEE") else Kind.ORGANISATION
                )
                yield Identity(Kind.EMAIL if "@" in name else kind, name, origin)


def _plain(latex: str) -> str:
    return " ".join(re.sub(r"[~^$]", " ", without_latex(latex)).split())


def _of_sites(project: Project) -> Iterator[Identity]:
    for path in sorted((project.root / "sites").glob("*.yaml")):
        origin = f"sites/{path.name}"
        for host in _yaml(path, origin).get("hosts", []):
            login = str(host.get("ssh", "")).rpartition("@")
            for name in (host.get("name"), host.get("address"), host.get("hostname"), login[2]):
                yield Identity(Kind.HOST, str(name or ""), origin)
            for name in (host.get("user"), login[0]):
                yield Identity(Kind.LOGIN, str(name or ""), origin)
            if host.get("key"):
                yield Identity(Kind.PATH, str(host["key"]), origin)
            if host.get("ssh_config"):
                yield from _of_ssh(project.root / str(host["ssh_config"]))


def _of_ssh(path: Path) -> Iterator[Identity]:
    """Yield the aliases, hosts, and users in a configuration of SSH."""
    try:
        text = path.expanduser().read_text(errors="replace")
    except OSError:
        return
    for option, value in SSH_OPTION.findall(text):
        for name in re.split(r"[\s,]+", value.strip('"')):
            login, _, host = name.rpartition("@")
            if not re.search(r"[*?!%]", host):
                kind = Kind.LOGIN if option.lower() == "user" else Kind.HOST
                yield Identity(kind, host.partition(":")[0], "SSH's configuration")
                yield Identity(Kind.LOGIN, login, "SSH's configuration")


def _of_machine(project: Project) -> Iterator[Identity]:
    origin = "this machine"
    yield Identity(Kind.HOST, socket.gethostname(), origin)
    yield Identity(Kind.HOST, socket.getfqdn(), origin)
    yield Identity(Kind.PATH, str(Path.home()), origin)
    yield Identity(Kind.PATH, str(project.root), origin)
    with contextlib.suppress(KeyError, OSError):  # a container's user may have no name
        yield Identity(Kind.LOGIN, getpass.getuser(), origin)
    yield from _of_ssh(Path.home() / ".ssh" / "config")
