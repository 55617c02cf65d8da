"""A figure like those of a paper, and how to change the drawing or the file that holds it."""

import io
import re

import pikepdf

from benchpaper.analysis import style

METADATA = {".pdf": {"CreationDate": None}, ".png": {"Software": None}}


def save(path, change=None):
    """Draw curves of two systems and a map, let `change(figure, axes)` change them, and save."""
    import matplotlib.pyplot as plt
    import numpy as np

    style.use()
    figure, axes = style.panels(2)
    sizes = np.array([8, 64, 512, 4096, 32768])
    for name, values, colour, marker in (
        ("fabric", np.array([0.06, 0.07, 0.1, 0.4, 2.5]), "tab:blue", "o"),
        ("posix", np.array([1.1, 1.2, 1.5, 2.8, 9.1]), "tab:orange", "s"),
    ):
        axes[0].plot(sizes, values, label=name, color=colour, marker=marker)
        axes[0].fill_between(sizes, values * 0.9, values * 1.1, color=colour, alpha=0.2)
    axes[0].set(xscale="log", yscale="log", xlabel="size [B]", ylabel="latency [µs]")
    # Chosen, since their number would change with the least change of the panel's width.
    axes[0].set(xticks=[10, 1000], yticks=[0.1, 1, 10])
    axes[0].minorticks_off()
    axes[1].imshow(np.arange(12).reshape(3, 4), aspect="auto")
    axes[1].set(
        xlabel="depth", ylabel="threads", title="efficient", xticks=range(4), yticks=range(3)
    )
    axes[1].grid(False)
    axes[1].text(0.5, 0.5, "17.3", color="white")
    style.legend_above(figure, axes[0])
    if change:
        change(figure, axes)
    figure.savefig(path, dpi=200, metadata=METADATA[path.suffix])
    plt.close(figure)
    return path


def edit(source, target, change, **options):
    """Save a PDF again after `change(pdf, page)` of its first page."""
    with pikepdf.open(source) as pdf:
        change(pdf, pdf.pages[0])
        pdf.save(target, **options)
    return target


def add(operators):
    """Return a change that paints `operators` after all else, with a font /T of its own."""

    def change(pdf, page):
        page.Resources.Font.T = pikepdf.Dictionary(
            Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica
        )
        page.contents_add(f" q {operators} Q ".encode())

    return change


def substitute(pattern, replacement, count=1):
    """Return a change that replaces the first matches in the page's operators."""

    def change(pdf, page):
        page.contents_coalesce()
        text, times = re.subn(pattern, replacement, page.Contents.read_bytes(), count=count)
        assert times, pattern
        page.Contents.write(text)

    return change


def redraw(glyph, other):
    """Return a change that lets the font draw one glyph with another's outline; the text stays."""
    return lambda pdf, page: _redraw(page, glyph, other)


def _redraw(page, glyph, other):
    from fontTools.ttLib import TTFont

    for font in page.Resources.Font.values():
        file = font.DescendantFonts[0].FontDescriptor.FontFile2
        loaded = TTFont(io.BytesIO(file.read_bytes()))
        if {glyph, other} <= set(loaded.getGlyphOrder()):
            loaded["glyf"][glyph] = loaded["glyf"][other]
            changed = io.BytesIO()
            loaded.save(changed)
            file.write(changed.getvalue())
            return
    raise AssertionError("no font has both glyphs")


def hide_optional(pdf, page):
    """Put all that is painted into a layer that readers do not show."""
    layer = pdf.make_indirect(pikepdf.Dictionary(Type=pikepdf.Name.OCG, Name="layer"))
    page.Resources.Properties = pikepdf.Dictionary(L=layer)
    page.contents_add(b"/OC /L BDC ", prepend=True)
    page.contents_add(b" EMC")
    off = pikepdf.Dictionary(OFF=[layer])
    pdf.Root.OCProperties = pikepdf.Dictionary(OCGs=[layer], D=off)


def annotate(pdf, page):
    """Lay a note with a picture of its own over the page."""
    form = pdf.make_stream(b"1 g 0 0 50 50 re f", Type=pikepdf.Name.XObject)
    form.Subtype, form.BBox = pikepdf.Name.Form, [0, 0, 50, 50]
    note = pikepdf.Dictionary(
        Type=pikepdf.Name.Annot,
        Subtype=pikepdf.Name.Stamp,
        Rect=[60, 60, 110, 110],
        AP=pikepdf.Dictionary(N=form),
    )
    page.Annots = pdf.make_indirect(pikepdf.Array([pdf.make_indirect(note)]))


def paint_picture(pdf, page):
    """Reverse the colours of the first picture."""
    picture = next(x for x in page.Resources.XObject.values() if x.Subtype == "/Image")
    palette = picture.get("/ColorSpace")
    data = bytes(255 - byte for byte in picture.read_bytes())
    picture.write(data)
    assert palette is not None


def rename(pdf, page):
    """Give resources other names."""
    page.contents_coalesce()
    text = page.Contents.read_bytes()
    for kind in ("Font", "XObject", "ExtGState"):
        old = page.Resources[f"/{kind}"]
        new = pikepdf.Dictionary()
        for name in sorted(old.keys()):
            new[f"{name}x"] = old[name]
            text = re.sub(rb"%s\b" % name.encode(), f"{name}x".encode(), text)
        page.Resources[f"/{kind}"] = new
    page.Contents.write(text)


def wrap(pdf, page):
    """Paint the page through a form XObject."""
    page.contents_coalesce()
    form = pdf.make_stream(page.Contents.read_bytes())
    form.Type, form.Subtype = pikepdf.Name.XObject, pikepdf.Name.Form
    form.BBox, form.Resources = page.MediaBox, page.Resources
    page.Resources = pikepdf.Dictionary(XObject=pikepdf.Dictionary(All=form))
    page.Contents = pdf.make_stream(b"q /All Do Q")


def shorten(pdf, page):
    """Write each number with three decimals."""
    page.contents_coalesce()
    text = page.Contents.read_bytes()
    short = re.sub(rb"\d+\.\d{4,}", lambda match: b"%.3f" % float(match[0]), text)
    assert short != text
    page.Contents.write(short)
