# The pipeline of this paper: build, measure, collect, analyse, judge, gather, typeset. Its rules are benchpaper's.
# `benchpaper run` calls Snakemake. You can also run it without benchpaper:
#
#     snakemake --cores all                                  everything, at scale quick
#     snakemake --cores all figures --config source=reference
#
# `source` is a scale to measure at (smoke, quick, full), or "reference" for the committed results.
from benchpaper.workflow.rules import PIPELINE


include: PIPELINE
