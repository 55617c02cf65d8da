"""The pipeline's rules, which the Snakefile of each project includes."""

from pathlib import Path

PIPELINE = str(Path(__file__).with_name("pipeline.smk"))
