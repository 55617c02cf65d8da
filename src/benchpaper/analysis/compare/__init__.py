"""This run next to the reference: see `comparison`."""

from benchpaper.analysis.compare.comparison import ExperimentComparison as ExperimentComparison
from benchpaper.analysis.compare.comparison import cells as cells
from benchpaper.analysis.compare.comparison import claim_rows as claim_rows
from benchpaper.analysis.compare.comparison import compare as compare
from benchpaper.analysis.compare.differences import differences as differences
from benchpaper.analysis.compare.pairs import Pair as Pair
from benchpaper.analysis.compare.pairs import directed as directed
from benchpaper.analysis.compare.pairs import noise as noise
from benchpaper.analysis.compare.pairs import pair_of as pair_of
from benchpaper.analysis.compare.printing import drawn as drawn
from benchpaper.analysis.compare.printing import drawn_families as drawn_families
from benchpaper.analysis.compare.printing import show as show
from benchpaper.analysis.compare.printing import show_all as show_all
from benchpaper.analysis.compare.shapes import crossovers as crossovers
from benchpaper.analysis.compare.shapes import shape as shape
