"""Sphinx's settings for the documentation: those of the report, which the framework's theme gives.

`./reproduce docs` builds it below build/docs. The pages load nothing from other servers.
"""

import runpy
import sys
from pathlib import Path

HERE = Path(__file__).parent
THEME = HERE.parent / "src/benchpaper/paper/html/theme"
globals().update(runpy.run_path(str(THEME / "conf.py")))
sys.path.insert(0, str(HERE))

from from_code import VERSIONS  # noqa: E402  # it lies here

project = html_title = "benchpaper"
extensions = ["myst_parser", "sphinx.ext.autodoc", "from_code"]
exclude_patterns: list[str] = []
html_context = {"first_page": "benchpaper"}
html_sidebars = {"**": ["navigation.html", "searchbox.html"]}
templates_path = [str(THEME / "_templates")]
html_static_path = [str(THEME / "_static")]
html_js_files = [("report.js", {"defer": "defer"})]
html_extra_path: list[str] = []
html_permalinks = True
suppress_warnings: list[str] = []

myst_heading_anchors = 3
myst_enable_extensions = ["deflist", "substitution"]
myst_substitutions = VERSIONS

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
maximum_signature_line_length = 100
python_use_unqualified_type_names = True
add_module_names = False

nitpick_ignore_regex = [
    # Types of other projects: their documentation is elsewhere, and the build asks no server.
    ("py:.*", r"(collections|pathlib|typing|types|os|numpy|np|pandas|pd|matplotlib)\b.*|Figure"),
    # Type variables: a decorator returns the function that it takes.
    ("py:class", r"benchpaper\..*\.(Trial|Valid|Needs|Build|Uses|F)"),
]
