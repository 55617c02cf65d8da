"""Sphinx's settings for the report. The pages load nothing from other servers."""

project = "benchpaper report"
author = copyright = ""
language = "en"
extensions = ["myst_nb"]
exclude_patterns = ["extra", "as-is"]
html_theme = "alabaster"
html_theme_options = {
    "show_powered_by": False,
    "font_size": "16px",
    "page_width": "76rem",
    "sidebar_width": "15rem",
    "fixed_sidebar": False,
}
html_sidebars = {"**": ["navigation.html", "searchbox.html"]}
html_context = {"first_page": "Answers and verdicts"}
html_static_path = ["_static"]
html_extra_path = ["extra", "as-is"]
templates_path = ["_templates"]
html_css_files = ["report.css"]
html_js_files = [("report.js", {"defer": "defer"})]  # it loads plotly.min.js when asked to
pygments_style = "default"  # the theme's own colours have too little contrast
html_title = "benchpaper report"
html_permalinks = html_show_copyright = html_show_sphinx = html_copy_source = html_use_index = False
nb_execution_mode = "off"
nb_ipywidgets_js: dict[str, str] = {}
mathjax_path = "none.js"  # no MathJax from another server; no page has a formula
myst_heading_anchors = 0
suppress_warnings = [
    "myst.header",
    "myst.xref_missing",
    "mystnb.unknown_mime_type",
    "misc.highlighting_failure",
]
