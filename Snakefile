# The pipeline: build, measure, collect, analyse, gather, paper. `benchpaper run` calls it; `snakemake` alone does too:
#
#     snakemake --cores all                                  everything, at scale quick
#     snakemake --cores all figures --config source=reference
#
# `source` is the scale to measure at (smoke, quick, full), or "reference" for the committed results.

import shutil
from pathlib import Path

from benchpaper import catalog, pipeline
from benchpaper.project import REFERENCE, Project, slug

SITE = config.get("site", "local")
SOURCE = config.get("source", "quick")
PROJECT = Project(Path(str(workflow.current_basedir)))
RUN = pipeline.Pipeline(PROJECT, SITE, SOURCE, int(config.get("seed", 1)))
EXPERIMENTS = RUN.choose(config.get("experiments", ""))
BUILD = f"build/{SITE}-{SOURCE}"
RESULTS = f"artifacts/reference/{SITE}" if SOURCE == REFERENCE else f"results/{SITE}/{SOURCE}"
STEP = "exec benchpaper step"  # exec: no shell in between, so that a step dies with Snakemake
AT = f"--site {SITE} --source {SOURCE}"
PDF = [f"{BUILD}/paper.pdf"] if shutil.which("latexmk") else []
TABLES = ["observations.parquet", "trials.parquet"]
ANALYSIS_CODE = expand("src/benchpaper/{module}.py", module=["estimates", "exhibits", "results", "stats"])


wildcard_constraints:
    block=r"\d+",
    notebook=r"\w+",


localrules: all, results, figures, paper, gather, collect


rule all:
    input:
        f"{BUILD}/exhibits.tex",
        PDF,


rule results:
    input:
        expand(f"{RESULTS}/{{experiment}}/{{table}}", experiment=EXPERIMENTS, table=TABLES),


rule figures:
    input:
        f"{BUILD}/exhibits.tex",


rule paper:
    input:
        f"{BUILD}/paper.pdf",


# Compiles an experiment's programs. Without a compiler it says so in built.json, and the cells that need one are
# recorded as not testable here.
rule build:
    input:
        lambda w: RUN.sources(w.experiment),
    output:
        "build/programs/{experiment}/built.json",
    params:
        tools=lambda w: RUN.tools(w.experiment),
    shell:
        "{STEP} build {wildcards.experiment}"


# One block: every cell once, in random order. It takes all cores, for nothing may run beside a measurement.
rule measure:
    input:
        "build/programs/{experiment}/built.json",
    output:
        f"results/{SITE}/{SOURCE}/{{experiment}}/blocks/{{block}}.observations.parquet",
        f"results/{SITE}/{SOURCE}/{{experiment}}/blocks/{{block}}.trials.parquet",
    params:
        key=lambda w: RUN.block_key(w.experiment, int(w.block)),
    threads: workflow.cores
    resources:
        measuring=1,
    priority: 10
    shell:
        "{STEP} measure {wildcards.experiment} --block {wildcards.block} {AT} --seed {RUN.seed}"


rule collect:
    input:
        lambda w: RUN.block_files(w.experiment),
    output:
        f"results/{SITE}/{SOURCE}/{{experiment}}/observations.parquet",
        f"results/{SITE}/{SOURCE}/{{experiment}}/trials.parquet",
    shell:
        "{STEP} collect {wildcards.experiment} {AT}"


# Runs a notebook by papermill; the executed copy keeps the traceback when it fails.
rule analyse:
    input:
        notebook="analysis/{notebook}.ipynb",
        code=ANALYSIS_CODE,
        results=lambda w: [f"{RESULTS}/{RUN.named(w.notebook)}/{table}" for table in TABLES],
    output:
        f"{BUILD}/notebooks/{{notebook}}.ipynb",
        f"{BUILD}/exhibits/{{notebook}}/exhibits.json",
    params:
        experiment=lambda w: RUN.named(w.notebook),
    shell:
        "{STEP} analyse {params.experiment} {AT}"


rule gather:
    input:
        expand(f"{BUILD}/exhibits/{{notebook}}/exhibits.json", notebook=map(slug, EXPERIMENTS)),
    output:
        f"{BUILD}/exhibits.tex",
    params:
        experiments=" ".join(EXPERIMENTS),
    shell:
        "{STEP} gather {params.experiments} {AT}"


rule typeset:
    input:
        f"{BUILD}/exhibits.tex",
        lambda w: RUN.paper_sources(),
    output:
        f"{BUILD}/paper.pdf",
    shell:
        "{STEP} typeset {AT}"
