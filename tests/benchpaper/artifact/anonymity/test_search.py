"""The search for names: every encoding in every container, and texts that only look like a name."""

import base64
import hashlib
import random
import zlib

import pytest
from plants import CONTAINERS, ENCODINGS, PLACES, a_png, encoded

from benchpaper.artifact.bundle.anonymity import rules
from benchpaper.artifact.bundle.anonymity.identities import PLACEHOLDERS, Identity, Kind
from benchpaper.artifact.bundle.anonymity.needles import Maker, Needles
from benchpaper.artifact.bundle.anonymity.search import Search

HOME = "/home"  # apart, so that an anonymous bundle leaves these tests alone
ADA, JOSE = "Ada Quillfeather", "José Gonçalves-Ellström"


def search_for(*identities):
    """Return a search for these (kind, text)."""
    maker = Maker(PLACEHOLDERS)
    listed = [Identity(kind, text, "a test") for kind, text in identities]
    return Search(Needles(n for identity in listed for n in rules.needles_of(identity, maker)))


def places(search, data, name="notes.bin"):
    data = data.encode() if isinstance(data, str) else data
    return [str(finding) for finding in search.findings({name: data})]


@pytest.mark.parametrize("name", [ADA, JOSE])
@pytest.mark.parametrize("container", CONTAINERS)
def test_every_encoding_in_every_container(container, name):
    search = search_for((Kind.PERSON, name))
    missed = [
        encoding
        for encoding in ENCODINGS
        if not places(search, CONTAINERS[container](encoded(encoding, name)))
    ]
    assert " ".join(missed) == ""


@pytest.mark.parametrize("container", CONTAINERS)
def test_no_container_is_itself_a_name(container):
    search = search_for((Kind.PERSON, ADA), (Kind.PERSON, JOSE))
    assert places(search, CONTAINERS[container](b"by somebody else")) == []


@pytest.mark.parametrize("name", [ADA, "Will Quillfeather"])
@pytest.mark.parametrize("place", PLACES)
def test_every_place(place, name):
    file, data = PLACES[place](name)
    assert places(search_for((Kind.PERSON, name)), data, file)
    file, data = PLACES[place]("Nobody Inparticular")
    assert places(search_for((Kind.PERSON, name)), data, file) == []


def test_a_finding_names_its_place():
    search = search_for((Kind.PERSON, ADA))
    deep = CONTAINERS["jar in jar"](b"\n\nby " + encoded("JSON escapes", ADA))
    assert places(search, deep, "lib/a.jar")[0] == (
        '"Ada Quillfeather" is left in lib/a.jar (ZIP, a.txt) (ZIP, a.txt) (ZIP, a.txt) (gzip) '
        "(escapes), line 3; take it out of the sources, or build without it"
    )


# {kind of identity: (the identity, texts that reveal it, texts that do not)}
KINDS = {
    "long part": (
        Kind.PERSON,
        ADA,
        [
            "quillfeathers",
            "QUILLFEATHER",
            "theQuillfeatherLab",
            "the quillfeather17 box",
            "AdaQuillfeather",
            "Quillfeather, A.",
            "aquillfeather@x",
            "Quill-\nfeather",
        ],
        ["Ada is a language", "quill and feather pen", "a feather, a quill", "Adaptive"],
    ),
    "short surname": (
        Kind.PERSON,
        "Tom Allen",
        [
            "by Allen",
            "allen_2024",
            "AllenLab",
            "tallen@x",
            "tomallen",
            "T. Allen",
            "Allen's",
            "/data/allen/x",
            "Al-\nlen",
        ],
        ["challenges", "fallen", "Tom and Jerry", "a tom-tom", "Allende"],
    ),
    "ordinary words": (
        Kind.PERSON,
        "Will Grant",
        [
            "Will Grant",
            "by WILL GRANT",
            "Grant, Will",
            "W. Grant",
            "Grant, W.",
            "will.grant@x",
            "willgrant",
            "Will J. Grant",
            "wgrant/paper",
            "Will\nGrant",
        ],
        [
            "it will grant access",
            "Will you mark the data?",
            "a grant",
            "it will, granted",
            "The Will to X. Grant",
        ],
    ),
    "accents": (
        Kind.PERSON,
        "Jörg Müller",
        [
            "Müller",
            "Muller",
            "Mueller",
            "MÜLLER",
            r"M\"uller",
            r"M{\"u}ller",
            "Mu\u0308ller",
            "Joerg Mueller",
            "jmueller",
        ],
        ["a mulled wine", "mule", "Jörg"],
    ),
    "ordinary surname": (
        Kind.PERSON,
        "Emma Stone",
        ["Emma Stone", "E. Stone", "estone", "emma-stone", "Emma Sto-\nne", "Stone, Emma"],
        ["a stone", "Stone", "Emma Watson"],
    ),
    "given name of others": (
        Kind.PERSON,
        "Elizabeth Quillfeather",
        ["Elizabeth Quillfeather"],
        ["Elizabeth Bennet"],
    ),
    "rare given name": (Kind.PERSON, "Quillfeather Bo", ["Quillfeather's"], ["Bo"]),
    "ideographs": (
        Kind.PERSON,
        "王小明",
        ["作者王小明。", r"\u738b\u5c0f\u660e"],
        ["王", "小明天"],
    ),
    "e-mail": (
        Kind.EMAIL,
        "ada.q@quill.example",
        [
            "mail ada.q@quill.example.",
            "ada.q at quill dot example",
            "ada.q (at) quill.example",
            "www.quill.example/x",
            "host7.quill.example",
            "the quill group",
            r"\href{mailto:ada.q\%40quill.example}",
            r"ada\.q@quill\.example",
            "ada.q@quill.<wbr>example",
            "ada.q%40quill.example",
        ],
        ["for example", "quilling", "an example of quilts"],
    ),
    "e-mail at a public host": (
        Kind.EMAIL,
        "quillfeather.ada@gmail.com",
        [
            "quillfeather.ada",
            "quillfeather",
        ],
        ["gmail.com", "ask x@gmail.com"],
    ),
    "ORCID": (
        Kind.ORCID,
        "https://orcid.org/0000-0002-1825-0097",
        [
            "0000-0002-1825-0097",
            "0000000218250097",
            "0000 0002 1825 0097",
            "orcid=0000%2D0002%2D1825%2D0097",
        ],
        ["https://orcid.org", "0000-0002-1825-0098", "10000000218250097"],
    ),
    "host": (
        Kind.HOST,
        "storagebox17",
        ["ssh storagebox17", "on STORAGEBOX17:22", "storagebox17.lan"],
        ["storage box 18", "storagebox"],
    ),
    "SSH alias": (Kind.HOST, "qbox", ["ssh qbox", "qbox:/data"], ["qboxes", "faqbox"]),
    "address": (
        Kind.HOST,
        "10.31.7.4",
        ["at 10.31.7.4:80", "10.31.7.4/16"],
        ["110.31.7.4", "10.31.7.45", "1031074"],
    ),
    "login": (Kind.LOGIN, "aquill", [f"{HOME}/aquill/x", "aquill@h", "user=aquill"], ["aquilla"]),
    "short login": (
        Kind.LOGIN,
        "dev",
        [f"{HOME}/dev/x", "dev@node", "~dev/x"],
        ["/dev/shm", "dev mode", "devel"],
    ),
    "remote": (
        Kind.ADDRESS,
        "quill/pipe-cost",
        ["github.com/quill/pipe-cost.git", r"quill\/pipe-cost"],
        ["pipe-cost"],
    ),
    "folder": (
        Kind.PATH,
        "/data/ada/paper",
        ["in /data/ada/paper/x", r"\/data\/ada\/paper"],
        ["/data/x", "/data/ada"],
    ),
    "commit": (
        Kind.COMMIT,
        "3f2a9c1d7e" + "0" * 30,
        ["3f2a9c1d7e", "3f2a9c1d7e00"],
        ["3f2a9c1", "83f2a9c1d7e"],
    ),
    "own word": (Kind.WORD, "data", ["the data"], ["database"]),
    "own long word": (
        Kind.WORD,
        "Project Swift",
        ["ProjectSwift", "project-swift"],
        ["a swift project"],
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_counts_as_a_part_of_it(kind):
    identity, text, revealing, innocent = KINDS[kind]
    search = search_for((identity, text))
    assert [t for t in revealing if not places(search, f"see {t} there")] == []
    assert [t for t in innocent if places(search, f"see {t} there")] == []


@pytest.mark.parametrize(
    "text, reveals",
    [
        ('File "/home/{login}/x.py", line 3', True),
        ("/Users/{login}/x", True),
        (r"C:\Users\{login}\x", True),
        (r"\"C:\\Users\\{login}\\x\"", True),
        ("file:///home/{login}", True),
        ("/export/home/{login}.x/y", True),
        (base64.b64encode(b"at /home/%b/x.py" % b"bmeyer").decode(), True),
        ("/home/user/x", False),
        ("/home/{name}/x", False),
        ("/home/$USER", False),
        ("api/home/page", False),
        ("see /home", False),
    ],
)
def test_a_home_folder_reveals_anybody(text, reveals):
    assert bool(places(search_for(), text.replace("{login}", "bmeyer"))) is reveals


def test_noise_is_no_name():
    """Short names are everywhere in compressed data and digests."""
    search = search_for(*((Kind.PERSON, f"Xq {name}") for name in ("Abed", "Chen", "Emma", "Dade")))
    noise = random.Random(1).randbytes(300_000)
    digests = "\n".join(hashlib.sha256(noise[n : n + 9]).hexdigest() for n in range(3000))
    for data in (
        noise, base64.b64encode(noise), base64.encodebytes(noise), noise.hex().encode(),
        digests.encode(),
        zlib.compress(digests.encode()), a_png((b"IDAT", noise)),
    ):  # fmt: skip
        assert places(search, data) == []
