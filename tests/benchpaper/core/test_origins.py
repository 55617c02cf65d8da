"""One rule for DOIs and addresses, for inputs and for imports alike."""

import pytest

from benchpaper.core import origins
from benchpaper.core.errors import UserError
from benchpaper.design.inputs import Input
from benchpaper.results.import_record import check_source

FORMS = ["10.5281/zenodo.1", "doi:10.5281/zenodo.1", "https://doi.org/10.5281/zenodo.1"]
NO_DOI = ["", "10.1/x", "10.5281/a b", "see 10.5281/zenodo.1", "https://example.org/10.5281/x"]
NO_ADDRESS = ["", "file:///x", "ftp://example.org/x", "https://", "http://[::1", "example.org/x"]


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_a_doi_is_the_same_for_inputs_and_imports(form):
    assert origins.doi(form) == "10.5281/zenodo.1"
    item = Input("data/x", sha256="a" * 64, doi=form)
    assert (item.doi, item.origin) == ("10.5281/zenodo.1", "https://doi.org/10.5281/zenodo.1")
    check_source(form)


@pytest.mark.parametrize("text", NO_DOI)
def test_what_is_no_doi(text):
    assert origins.doi(text) == ""
    if text:
        with pytest.raises(UserError, match="must be like 10.5281"):
            Input("data/x", sha256="a" * 64, doi=text)


@pytest.mark.parametrize("text", NO_ADDRESS)
def test_what_is_no_address_of_the_web(text):
    assert origins.address(text) is None
    with pytest.raises(UserError):
        check_source(text)
    if text:
        with pytest.raises(UserError, match="must begin with https"):
            Input("data/x", sha256="a" * 64, url=text)


def test_a_login_is_seen():
    for text, login in (("https://a:b@example.org/x", True), ("https://example.org/x", False)):
        assert origins.has_login(origins.address(text)) is login
