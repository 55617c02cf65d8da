"""Metadata that contradict the other files of an archive are found."""

import io
import json

import pytest
from changed_archives import edited, needs_latex

from benchpaper.artifact.bundle import (
    archive,
    authors,
    crate,
    generated,
    inspection,
    metadata,
    strict,
)
from benchpaper.core.errors import UserError

PDF = "build/local-smoke/paper.pdf"


def entity(graph, name):
    return next(item for item in graph["@graph"] if item["@id"] == name)


def component(content, name):
    return next(part for part in content["components"] if part["name"] == name)


FORGERIES = {
    "bill of materials emptied": (
        crate.SBOM, lambda c: c.update(components=[]), "/components has 0 entries"),
    "no components": (crate.SBOM, lambda c: c.pop("components"), "/components is missing"),
    "a version": (
        crate.SBOM, lambda c: component(c, "pandas").update(version="0.1"), "/version is '0.1'"),
    "a digest of a package": (
        crate.SBOM, lambda c: component(c, "pandas")["properties"].pop(), "/properties has"),
    "a supplier": (
        crate.SBOM, lambda c: c["metadata"].update(authors=[{"name": "Eve"}]),
        "/metadata/authors is not accounted for"),
    "author of the deposit": (
        crate.ZENODO, lambda c: c["creators"][0].update(name="Eve"), "/creators/0/name is 'Eve'"),
    "title of the deposit": (crate.ZENODO, lambda c: c.update(title="Mine"), "/title is 'Mine'"),
    "licence of the deposit": (
        crate.ZENODO, lambda c: c.update(license="MIT"), "/license is 'MIT'"),
    "date of the deposit": (
        crate.ZENODO, lambda c: c.update(publication_date="1999-01-01"), "/publication_date is"),
    "author in the crate": (
        crate.METADATA, lambda c: entity(c, "#ada-quillfeather").update(name="Eve"),
        "/@graph/#ada-quillfeather/name is 'Eve'"),
    "an id twice": (
        crate.METADATA, lambda c: c["@graph"].append(dict(entity(c, "./"))), "/@graph has"),
    "a context to fetch": (
        crate.METADATA, lambda c: c.update({"@context": "http://127.0.0.1:9/context"}),
        "/@context is 'http://127.0.0.1:9/context'"),
    "a context within an entity": (
        crate.METADATA, lambda c: entity(c, "./").update({"@context": {"@import": "http://a.b"}}),
        "/@context is not accounted for"),
    "a digest in the crate": (
        crate.METADATA, lambda c: entity(c, PDF).update(sha256="0" * 64), "/sha256 is '000"),
    "a file less": (
        crate.METADATA, lambda c: entity(c, "./")["hasPart"].pop(), "/@graph/"),
    "no main workflow": (
        crate.METADATA, lambda c: entity(c, "./").pop("mainEntity"), "/mainEntity is missing"),
    "another result": (
        crate.METADATA, lambda c: entity(c, "#value-source").update(value="full"),
        "/value is 'full'"),
}  # fmt: skip


@pytest.fixture(scope="module")
def made(small_files):
    """The generated metadata of the small project, as `verify` makes them again."""
    return {name: small_files[name] for name in generated.NAMES}


@needs_latex
@pytest.mark.parametrize("name", FORGERIES)
def test_metadata_that_contradict_the_sources_are_found(small_files, made, name):
    file, change, words = FORGERIES[name]
    with pytest.raises(archive.NotVerified) as error:
        generated.compare(edited(small_files, file, change), made)
    assert str(error.value).startswith(f"{file}: ") and words in str(error.value)


@needs_latex
@pytest.mark.parametrize("name", generated.NAMES)
def test_a_key_that_stands_twice_and_another_form_are_found(made, name):
    """One parser takes the first of two equal keys, another the last."""
    twice = {**made, name: made[name].replace(b"{", b'{"a": 1, "a": 2, ', 1)}
    with pytest.raises(UserError, match=f'{name} is no valid JSON: an object has the key "a"'):
        generated.compare(twice, made)
    with pytest.raises(archive.NotVerified, match=f"{name}: it is not in its canonical form"):
        generated.compare({**made, name: made[name] + b"\n"}, made)


@needs_latex
@pytest.mark.parametrize(
    "changes, words",
    [
        (dict(clean="True"), "clean is no bool"),
        (dict(commit_seconds="1"), "commit_seconds is no int"),
        (dict(experiments="toy/pipe_cost"), "experiments is no list"),
        (dict(commit="HEAD"), 'commit "HEAD" is no name'),
        (dict(source=None), 'source "None" is no name'),
        (dict(prize="best paper"), '"prize" is not accounted for'),
        (dict(build="build/moon-smoke"), "is not that of its site and source"),
    ],
)
def test_a_description_of_another_form_is_found(small_files, changes, words):
    content = json.loads(small_files[archive.ABOUT]) | changes
    with pytest.raises(UserError) as error:
        inspection.describe({archive.ABOUT: strict.as_json(content)})
    assert words in str(error.value)


# ---- authors ----


def by(name):
    """The PDF of nobody, with an author in its document information."""
    import pikepdf

    pdf, target = pikepdf.new(), io.BytesIO()
    pdf.add_blank_page()
    if name:
        pdf.docinfo["/Author"] = name
    pdf.save(target)
    return target.getvalue()


def with_xmp(name):
    import pikepdf

    pdf, target = pikepdf.new(), io.BytesIO()
    pdf.add_blank_page()
    with pdf.open_metadata() as data:
        data["dc:creator"] = [name]
    pdf.save(target)
    return target.getvalue()


CITED = (
    b"cff-version: 1.2.0\ntitle: T\nversion: 1\nlicense: MIT\nauthors:\n"
    b"  - {family-names: Quillfeather, given-names: Ada Maria}\n"
    b"  - {family-names: M\xc3\xbcller, given-names: Jos\xc3\xa9}\n"
)
BOTH = "Ada Maria Quillfeather and José Müller"
NAMING = {
    "pyproject.toml": lambda name: f'[project]\nauthors = [{{name = "{name}"}}]\n'.encode(),
    "benchpaper.toml": lambda name: f'[paper]\nauthors = ["{name}"]\n'.encode(),
    "codemeta.json": lambda name: json.dumps({"author": [{"name": name}]}).encode(),
    "datacite.json": lambda name: json.dumps({"creators": [{"name": name}]}).encode(),
    "paper.pdf": by,
}


@pytest.mark.parametrize("file", NAMING)
@pytest.mark.parametrize(
    "name",
    [
        BOTH,
        "Quillfeather, Ada M.; Müller, J.",
        "jose\u0301 mu\u0308ller, A. Quillfeather",
        "Anonymous",
    ],
)
def test_the_same_authors_in_other_order_or_with_initials_are_the_same(file, name):
    text = authors.check({"CITATION.cff": CITED, file: NAMING[file](name)}, "paper.pdf")
    assert text.endswith("no other file" if name == "Anonymous" else file)


@pytest.mark.parametrize("file", NAMING)
@pytest.mark.parametrize(
    "name, words",
    [
        (f"{BOTH} and Eve Forger", "whom CITATION.cff does not"),
        ("Eve Forger", "whom CITATION.cff does not"),
        ("Ada Quillfeather", 'leaves out "müller josé"'),
        ("A. Q. and José Müller", 'leaves out "quillfeather ada maria"'),
    ],
)
def test_other_authors_are_found_in_each_file(file, name, words):
    with pytest.raises(UserError) as error:
        authors.check({"CITATION.cff": CITED, file: NAMING[file](name)}, "paper.pdf")
    assert str(error.value).startswith(f"{file} names the author") and words in str(error.value)


@pytest.mark.parametrize(
    "file, data",
    [
        ("paper.pdf", with_xmp("Eve Forger")),
        ("codemeta.json", b'{"author": {"givenName": "Eve", "familyName": "Forger"}}'),
        ("codemeta.json", b'{"creator": "Eve Forger"}'),
        ("datacite.json", b'{"creators": [{"givenName": "Eve", "familyName": "Forger"}]}'),
    ],
)
def test_other_authors_are_found_wherever_a_file_names_them(file, data):
    with pytest.raises(UserError, match='names the author "Eve Forger"'):
        authors.check({"CITATION.cff": CITED, file: data}, "paper.pdf")


@pytest.mark.parametrize(
    "text, words",
    [
        (b"title: A\ntitle: B\n", 'has the key "title" twice'),
        (b"a: &x [1, 2]\nb: *x\n", "it has an alias"),
        (b"a: [", "is no valid YAML"),
        (b"- 1\n", "holds no mapping"),
        (b"[" * 5_000, "is no valid YAML"),
        (b"!!python/object/apply:os.system [true]", "is no valid YAML"),
    ],
)
def test_a_citation_that_programs_may_read_differently_is_refused_in_one_line(text, words):
    with pytest.raises(UserError, match="^CITATION.cff ") as error:
        metadata.citation({"CITATION.cff": text})
    assert words in str(error.value) and "\n" not in str(error.value)
