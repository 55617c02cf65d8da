# The pipeline of this paper: build, measure, collect, analyse, judge, gather, typeset. Its rules are benchpaper's.
# `benchpaper run` calls Snakemake. You can also run it without benchpaper:
#
#     snakemake --cores all                                  everything, at the default scale
#     snakemake --cores all figures --config source=reference
#
# `source` is a scale to measure at, as benchpaper.toml names them, or "reference" for the committed results.
from benchpaper.workflow.rules import PIPELINE


include: PIPELINE
