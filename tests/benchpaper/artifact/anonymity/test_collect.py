"""Whom a project identifies: everybody in its history, metadata, title block, and machines."""

import getpass
import socket
import subprocess

import pytest

from benchpaper.artifact.bundle import anonymous
from benchpaper.artifact.bundle.anonymity import collect, report
from benchpaper.artifact.bundle.anonymity.identities import Identity, Kind
from benchpaper.core.errors import UserError
from benchpaper.core.project import Project

FILES = {
    "CITATION.cff": """
title: x
authors:
  - {given-names: Ada, name-particle: van, family-names: Quillfeather, alias: adaq,
     email: ada@quill.example,
     orcid: "https://orcid.org/0000-0002-1825-0097", affiliation: Quillshire}
  - {name: Quill Group}
contact: [{name: The Quill Desk}]
repository-code: https://git.example/quill/pipe
""",
    "benchpaper.toml": """
[paper]
authors = ["Tom Tomlin"]
""",
    "pyproject.toml": """
[project]
name = "pipework"
authors = [{name = "Paula Pyne"}]
maintainers = [{name = "Mo Maintain", email = "mo@pyne.example"}]
urls = {home = "https://pyne.example/pipe"}
""",
    "paper/main.tex": r"""
\author[1]{Lea Latexia\thanks{Grant 17} \and Jos{\'e} Setter, Tess Typo\\ \texttt{tess@tex.example}}
\affiliation{\institution{Institute of Ligatures}}
\orcid{0000-0001-5109-3700}
\IEEEauthorblockN{Ike Triple}
""",
    "sites/far.yaml": """
hosts:
  - {name: farhost1, kind: ssh, address: 10.31.7.4, ssh: sid@faralias, ssh_config: lab/config}
""",
    "lab/config": """
Host jumpbox *.lan
  HostName jump.quill.example
  User=jess
  ProxyJump pat@gate:22
""",
    "requirements.lock": "quillpack-client==1.0 \\\n    --hash=sha256:" + "0" * 64 + "\n",
}
MESSAGE = """Work

Co-authored-by: Cora Coauthor <cora@co.example>
Signed-off-by: Sig Nature <s@co.example>
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    home = tmp_path / "homes" / "hanna"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "config").write_text("Host ownalias\n  HostName 10.31.7.5\n")
    monkeypatch.setenv("HOME", str(home))
    root = tmp_path / "project"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    author = {"GIT_AUTHOR_NAME": "Alma Author", "GIT_AUTHOR_EMAIL": "alma@quill.example"}
    for words in (
        ["init", "-q"], ["config", "user.name", "Cleo Committer"],
        ["config", "user.email", "77+cleo@users.noreply.github.com"],
        ["remote", "add", "origin", "ssh://git@code.quill.example:22/quillgroup/sub/pipe.git"],
        ["remote", "add", "near", "/srv/store/pipe.git"], ["add", "-A"], ["commit", "-qm", MESSAGE],
    ):  # fmt: skip
        subprocess.run(
            ["git", "-C", root, *words], check=True, env={"PATH": "/usr/bin:/bin", **author}
        )
    return Project(root)


def test_it_names_everybody(project):
    collected = {(i.kind, i.text) for i in collect.of(project, ["own"])}
    for kind, texts in {
        Kind.PERSON: ["Alma Author", "Cleo Committer", "Cora Coauthor", "Sig Nature", "Paula Pyne",
                      "Tom Tomlin",
                      "Ada van Quillfeather", "Mo Maintain", "Lea Latexia", "Jose Setter",
                      "Tess Typo", "Ike Triple"],
        Kind.ORGANISATION: ["Quill Group", "The Quill Desk", "Quillshire",
                            "Institute of Ligatures"],
        Kind.EMAIL: ["alma@quill.example", "77+cleo@users.noreply.github.com", "cora@co.example",
                     "ada@quill.example", "mo@pyne.example", "tess@tex.example"],
        Kind.ORCID: ["https://orcid.org/0000-0002-1825-0097", "0000-0001-5109-3700"],
        Kind.LOGIN: ["adaq", "quillgroup", "sub", "sid", "jess", "pat", getpass.getuser()],
        Kind.HOST: ["farhost1", "10.31.7.4", "faralias", "jumpbox", "jump.quill.example", "gate",
                    "ownalias", "10.31.7.5", "code.quill.example", socket.gethostname()],
        Kind.ADDRESS: ["https://git.example/quill/pipe", "sub/pipe", "https://pyne.example/pipe"],
        Kind.PATH: [str(project.root), "/srv/store/pipe"],
        Kind.WORD: ["own"],
    }.items():  # fmt: skip
        named = (Identity(kind, text, "a test") for text in texts)
        assert {(i.kind, i.text) for i in named if not i.is_placeholder} - collected == set()
    assert len([i for i in collect.of(project) if i.kind is Kind.COMMIT]) == 1


@pytest.mark.parametrize(
    "kind, text",
    [(Kind.PERSON, "Anonymous"), (Kind.PERSON, "Anonymous Author(s)"),
     (Kind.ORGANISATION, "Anonymous Lab"),
     (Kind.LOGIN, "root"), (Kind.LOGIN, "git"), (Kind.HOST, "localhost"), (Kind.HOST, "127.0.1.1"),
     (Kind.PERSON, ""), (Kind.COMMIT, "0" * 40)],
)  # fmt: skip
def test_nobody_is_nobody(kind, text):
    assert Identity(kind, text, "a test").is_placeholder


def test_only_what_is_looked_for_is_replaced(project):
    account = report.Report()
    options = anonymous.Options(keep=["Quill"])
    lock = {"requirements.lock": FILES["requirements.lock"].encode()}
    needles = anonymous.needles_for(project, lock, options, account)
    for text, expected in {
        "by Ada van Quillfeather (Quillshire)": "by x (x)",
        "QUILLFEATHER's": "x's",
        "Quill\u00adfeather, A.": "x, A.",
        "Jose\u0301 Setter": "x",
        "ssh faralias 10.31.7.4": "ssh x 192.0.2.1",
        "a quill": "a quill",  # by --keep
        "quillpack pipework": "quillpack pipework",  # a package of the lock, and the project itself
        "an author": "an author",
    }.items():
        assert needles.replace(text, "x")[0] == expected
    assert "quillpack" not in account.text() and "## Kept by --keep: 1\n- Quill\n" in account.text()


@pytest.mark.parametrize("name", ["CITATION.cff", "pyproject.toml", "sites/far.yaml"])
def test_a_broken_file_is_one_line(project, name):
    (project.root / name).write_text("{[: \n=")
    with pytest.raises(UserError, match=f"{name} is not valid"):
        collect.of(project)
