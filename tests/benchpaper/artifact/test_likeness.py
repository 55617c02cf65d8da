"""A forged figure is found in its PDF and in its PNG; what only renders otherwise passes."""

import io
import json
from base64 import b64encode
from dataclasses import replace

import drawn_figures as drawn
import numpy as np
import pikepdf
import pytest
from PIL import Image, PngImagePlugin

from benchpaper.artifact.bundle import likeness
from benchpaper.artifact.bundle.likeness import canvas, files, marks


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """Return {ending: path} of the figure as the archive's code draws it."""
    folder = tmp_path_factory.mktemp("honest")
    return {ending: drawn.save(folder / f"figure{ending}") for ending in (".pdf", ".png")}


def move(change):
    def act(figure, axes):
        curve = axes[0].lines[0]
        curve.set_ydata(change(np.array(curve.get_ydata())))

    return act


def first(value):
    """Return a change that puts the first point of the curve at `value`."""
    return lambda values: np.concatenate([[value], values[1:]])


def swap_labels(figure, axes):
    texts = figure.legends[0].get_texts()
    for text, word in zip(texts, ("posix", "fabric"), strict=True):
        text.set_text(word)


def swap_colours(figure, axes):
    for curve, colour in zip(axes[0].lines, ("tab:orange", "tab:blue"), strict=True):
        curve.set_color(colour)


def relabel_axis(figure, axes):
    axes[0].yaxis.set_major_formatter(lambda value, position: f"{value * 10:g}")


def stretch_axis(figure, axes):
    axes[0].set_ylim(0.01, 20)


def blank(figure, axes):
    for item in [*axes[0].lines, *axes[0].collections]:
        item.set_visible(False)


DRAWINGS = {  # name: change of the drawing; all are found in PDF and PNG
    "the curve's first point moved from 0.06 to 0.88": move(first(0.88)),
    "a curve moved by a tenth of its axis": move(lambda values: values * 1.7),
    "a curve made flat": move(lambda values: values * 0 + 0.1),
    "a curve left out": lambda figure, axes: axes[0].lines[0].remove(),
    "all curves left out": blank,
    "a point erased": move(lambda values: np.where(values == 0.4, np.nan, values)),
    "markers taken away": lambda figure, axes: axes[0].lines[1].set_marker(""),
    "a band taken away": lambda figure, axes: axes[0].collections[0].remove(),
    "labels of the legend swapped": swap_labels,
    "colours of the curves swapped": swap_colours,
    "a curve in another style": lambda figure, axes: axes[0].lines[0].set_linestyle(":"),
    "an axis with other numbers": relabel_axis,
    "an axis with another range": stretch_axis,
    "an axis with another unit": lambda figure, axes: axes[0].set_ylabel("latency [ms]"),
    "another map": lambda figure, axes: axes[1].images[0].set_data(np.eye(3, 4) * 11),
    "another title": lambda figure, axes: axes[1].set_title("eff1cient"),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_forged_drawing_is_found_in_either_file(honest, tmp_path, name):
    """Whatever the versions of the packages: labels that may move leave no room for a forgery."""
    for ending, path in honest.items():
        forged = drawn.save(tmp_path / f"forged{ending}", DRAWINGS[name])
        assert files.difference(forged, path, files.OTHER), ending


SMALL = {  # found in the PDF always, in the PNG with the packages of the lock
    "a curve moved by 1 %": move(lambda values: values * 1.05),
    "another digit in the map": lambda figure, axes: axes[1].texts[0].set_text("17.8"),
    "another number in the map": lambda figure, axes: axes[1].texts[0].set_text("47.3"),
}


@pytest.mark.parametrize("name", SMALL)
def test_a_small_forgery_is_found_in_the_pdf(honest, tmp_path, name):
    forged = drawn.save(tmp_path / "forged.pdf", SMALL[name])
    assert files.difference(forged, honest[".pdf"], files.OTHER)
    forged = drawn.save(tmp_path / "forged.png", SMALL[name])
    assert files.difference(forged, honest[".png"], files.SAME)


FILES = {  # name: change of the finished PDF
    "white over a curve": drawn.add("1 g 40 60 30 30 re f"),
    "white over a label, and another word": drawn.add(
        "1 g 36 0 60 9 re f 0 g BT /T 7 Tf 45 2 Td (size [MiB]) Tj ET"
    ),
    "invisible text": drawn.add("BT 3 Tr /T 7 Tf 60 60 Td (0.06) Tj ET"),
    "white text": drawn.add("1 g BT /T 7 Tf 5 5 Td (0.06) Tj ET"),
    "text outside the page": drawn.add("BT /T 7 Tf -90 -90 Td (0.06) Tj ET"),
    "a page that is cut": lambda pdf, page: setattr(page, "CropBox", [0, 0, 120, 130]),
    "a page that is turned": lambda pdf, page: setattr(page, "Rotate", 180),
    "a page more": lambda pdf, page: pdf.pages.append(page),
    "a page replaced": lambda pdf, page: (
        page.contents_add(b" q ", prepend=True)
        or setattr(page, "Contents", pdf.make_stream(b"0 0 10 10 re f"))
    ),
    "a note over the page": drawn.annotate,
    "a layer that is not shown": drawn.hide_optional,
    "a digit drawn as another": drawn.redraw("one", "seven"),
    "a space drawn as a digit": drawn.redraw("space", "seven"),
    "a picture repainted": drawn.paint_picture,
    "a curve in white": drawn.substitute(rb"0\.1215\d* 0\.4666\d* 0\.7058\d* RG", b"1 1 1 RG", 0),
    "a curve that cannot be seen": lambda pdf, page: [
        look.update({"/CA": 0}) if hasattr(look, "update") else look.__setitem__("/CA", 0)
        for look in page.Resources.ExtGState.values()
    ],
    "a point of a curve moved by 0.3 pt": drawn.substitute(
        rb"(\d+\.\d+) (\d+\.\d+) l\n(?=\d+\.\d+ \d+\.\d+ l\s+S)",
        lambda match: b"%s %.4f l\n" % (match[1], float(match[2]) + 0.3),
    ),
    "an operator that nobody knows": drawn.add("1 2 frobnicate"),
    "a clip around all": lambda pdf, page: page.contents_add(b"0 0 9 9 re W n ", prepend=True),
}


@pytest.mark.parametrize("name", FILES)
def test_a_forged_pdf_is_found(honest, tmp_path, name):
    forged = drawn.edit(honest[".pdf"], tmp_path / "forged.pdf", FILES[name])
    assert files.difference(forged, honest[".pdf"], files.OTHER)


def nothing(pdf, page):
    """Change nothing but how the file is written."""


def date(pdf, page):
    pdf.docinfo["/CreationDate"] = "D:20300101000000Z"
    pdf.docinfo["/Producer"] = "another"


INNOCENT = {  # name: (change of the PDF, options of saving)
    "dates and producer": (date, {}),
    "no compression": (nothing, {"compress_streams": False, "recompress_flate": True}),
    "plain operators": (nothing, {"normalize_content": True}),
    "objects in streams": (nothing, {"object_stream_mode": pikepdf.ObjectStreamMode.generate}),
    "objects in another order": (nothing, {"linearize": True}),
    "an object more": (lambda pdf, page: pdf.make_indirect(pikepdf.Dictionary()), {}),
    "other names of resources": (drawn.rename, {}),
    "a form around the page": (drawn.wrap, {}),
    "numbers with three decimals": (drawn.shorten, {}),
}


@pytest.mark.parametrize("name", INNOCENT)
def test_a_pdf_that_is_only_written_otherwise_passes(honest, tmp_path, name):
    change, options = INNOCENT[name]
    other = drawn.edit(honest[".pdf"], tmp_path / "other.pdf", change, **options)
    assert other.read_bytes() != honest[".pdf"].read_bytes()
    assert files.difference(other, honest[".pdf"], files.SAME) == ""


def with_note(picture, path):
    note = PngImagePlugin.PngInfo()
    note.add_text("Software", "another")
    picture.save(path, "PNG", pnginfo=note)


def with_noise(picture, path):
    """Change smooth edges a little, as another processor does."""
    pixels = np.asarray(picture.convert("RGB"), dtype=int)
    noise = np.random.default_rng(1).integers(-9, 10, pixels.shape)
    Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8)).save(path)


PICTURES = {
    "metadata": with_note,
    "compression": lambda picture, path: picture.save(path, compress_level=1),
    "no transparency": lambda picture, path: picture.convert("RGB").save(path),
    "smooth edges": with_noise,
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_png_that_is_only_written_otherwise_passes(honest, tmp_path, name):
    with Image.open(honest[".png"]) as picture:
        PICTURES[name](picture, tmp_path / "other.png")
    assert files.difference(tmp_path / "other.png", honest[".png"], files.SAME) == ""


def wider_labels(figure, axes):
    """Draw as another version does: labels wider by a hair, axes moved by a point."""
    for axis in axes:
        axis.xaxis.labelpad += 0.6
        axis.yaxis.labelpad += 0.6


@pytest.mark.parametrize("ending", [".pdf", ".png"])
def test_labels_that_move_the_axes_pass_only_with_other_versions(honest, tmp_path, ending):
    other = drawn.save(tmp_path / f"other{ending}", wider_labels)
    assert files.difference(other, honest[ending], files.OTHER) == ""
    assert files.difference(other, honest[ending], files.SAME)


def notebook(path, picture, text="0.06 us"):
    data = {"image/png": b64encode(picture).decode(), "text/plain": [text]}
    path.write_text(json.dumps({"cells": [{"outputs": [{"data": data}]}]}))
    return path


def test_pictures_in_executed_notebooks_are_compared_and_text_is_exact(honest, tmp_path):
    picture, again, forged = honest[".png"].read_bytes(), io.BytesIO(), tmp_path / "forged.png"
    with_note(Image.open(io.BytesIO(picture)), again)
    drawn.save(forged, DRAWINGS["a curve left out"])
    made = notebook(tmp_path / "made.ipynb", picture)
    for contents, words in (
        ((again.getvalue(),), ""),
        ((picture, "0.88 us"), "has other text"),
        ((forged.read_bytes(),), "picture 1: "),
    ):
        reason = files.difference(notebook(tmp_path / "a.ipynb", *contents), made, files.SAME)
        assert reason.startswith(words) and bool(reason) == bool(words)


BROKEN = (b"", b"%PDF-1.7\n", b"\x89PNG\r\n\x1a\n", b"\0" * 5000, b'{"cells": ' * 20_000)


def test_broken_files_are_different_and_end_nothing(honest, tmp_path):
    """Files that break a parser differ, each with a reason; the others are still compared."""
    pairs = {
        f"{number}/broken{ending}": (content, path.read_bytes())
        for number, content in enumerate(BROKEN)
        for ending, path in honest.items()
    }
    pairs["table.tex"] = (b"a\nb\n", b"a\nc\n")
    pairs["deep.ipynb"] = (b"[" * 100_000, b"[]")
    reasons = likeness.differences(pairs, True, tmp_path, None)
    assert set(reasons) == set(pairs) and all(reasons.values())
    assert reasons["table.tex"] == "line 2 differs"


def test_what_has_no_marks_is_drawn_and_compared(honest, tmp_path, monkeypatch):
    """If the archive's code draws with an operator unknown here, pages are compared as pictures."""
    strange = drawn.add("1 2 frobnicate")
    made = drawn.edit(honest[".pdf"], tmp_path / "made.pdf", strange)
    again = drawn.edit(made, tmp_path / "again.pdf", date)
    assert files.difference(again, made, files.SAME) == ""
    forged = drawn.edit(made, tmp_path / "forged.pdf", drawn.add("1 g 40 60 30 30 re f"))
    assert "pixels differ" in files.difference(forged, made, files.SAME)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "poppler-utils" in files._safely(again, made, files.SAME)


HUGE = b"9" * 400  # more than a float holds


@pytest.mark.parametrize("matrix", [b"%s 0 0 1 0 0", b"1 0 0 1 %s 0", b"0 0 0 1 %s -%s"])
def test_places_that_are_no_numbers_differ(honest, tmp_path, matrix):
    operator = b"q " + matrix.replace(b"%s", HUGE) + b" cm "
    change = lambda pdf, page: page.contents_add(operator, prepend=True)  # noqa: E731
    forged = drawn.edit(honest[".pdf"], tmp_path / "forged.pdf", change)
    assert files.difference(forged, honest[".pdf"], files.OTHER)


@pytest.mark.parametrize(
    "values", [{"points": ((float("nan"), 1.0),)}, {"lengths": (float("nan"),)}]
)
def test_a_mark_without_a_place_or_size_is_not_where_it_should_be(values):
    made = canvas.Mark(("line", ""), ((1.0, 1.0),), lengths=(1.0,))
    assert marks.difference([replace(made, **values)], [made], files.OTHER.marks)
