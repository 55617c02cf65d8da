# The pipeline: build, measure, collect, analyse, judge, gather, typeset. `benchpaper run` calls it; `snakemake` alone does too:
#
#     snakemake --cores all                                  everything, at scale quick
#     snakemake --cores all figures --config source=reference
#
# Each shell command is `exec`: with no shell in between, a step dies with Snakemake.
#
# `source` is the scale to measure at (smoke, quick, full), or "reference" for the committed results.

import re
from pathlib import Path

from benchpaper.analysis import claims
from benchpaper.artifact import bundle
from benchpaper.workflow import pipeline
from benchpaper.core.capabilities import find_capability
from benchpaper.core.project import REFERENCE, Project, slug
from benchpaper.core.revision import revision

pipeline.announce()
SITE = config.get("site", "local")
SOURCE = config.get("source", "quick")
PROJECT = Project(Path(str(workflow.current_basedir)))
PROJECT.check_code()
RUN = pipeline.Pipeline(PROJECT, SITE, SOURCE, int(config.get("seed", 1)))
EXPERIMENTS = RUN.choose(config.get("experiments", ""))
KEPT = config.get("kept", "").split()  # their results, measured on another machine, are analysed as they are
BUILD = f"build/{SITE}-{SOURCE}"
RESULTS = f"artifacts/reference/{SITE}" if SOURCE == REFERENCE else f"results/{SITE}/{SOURCE}"
AT = f"--site {SITE} --source {SOURCE}"
LOGS = f".benchpaper/logs/{SITE}-{SOURCE}"
LATEX = find_capability("latex").check()[0]
CLAIMS = [f"analysis/{path.name}" for path in claims.files(PROJECT)]  # a project may make none
TABLES = ["observations.parquet", "trials.parquet"]
PAPER_DATA = [name for name in ("CITATION.cff", "LICENSE", "README.md", "requirements.lock") if (PROJECT.root / name).exists()]
NOTEBOOKS = [slug(name) for name in EXPERIMENTS]

# What is asked for is named whole: Snakemake makes no missing file between others again unless it is a target itself.
MEASURED = expand(f"{RESULTS}/{{experiment}}/{{table}}", experiment=EXPERIMENTS, table=TABLES)
MANIFESTS = expand(f"{BUILD}/exhibits/{{notebook}}/exhibits.json", notebook=NOTEBOOKS)
EXECUTED = expand(f"{BUILD}/notebooks/{{notebook}}.ipynb", notebook=NOTEBOOKS)
FIGURES = [*MEASURED, *MANIFESTS, *EXECUTED, f"{BUILD}/verdicts.json", f"{BUILD}/claims.tex", f"{BUILD}/exhibits.tex"]
APPENDIX = [f"{BUILD}/appendix.tex", f"{BUILD}/appendix.md"]
PDF = [*APPENDIX, f"{BUILD}/paper.pdf"]


wildcard_constraints:
    block=r"\d+",
    notebook=r"\w+",


onstart:
    pipeline.hold_lock(PROJECT)


# All but measuring: on a cluster these run where Snakemake does.
localrules: all, results, figures, paper, report, bundle, build, collect, analyse, judge, gather, appendix, typeset, pages, pack


rule all:
    input:
        FIGURES,
        PDF if LATEX else [],


rule results:
    input:
        MEASURED,


rule figures:
    input:
        FIGURES,


rule paper:
    input:
        FIGURES,
        PDF,


rule report:
    input:
        FIGURES,
        APPENDIX,
        f"{BUILD}/paper.pdf" if LATEX else [],
        f"{BUILD}/report/index.html",


rule bundle:
    input:
        FIGURES,
        PDF,
        f"{BUILD}/bundle.zip",


# Compiles an experiment's programs. Without a compiler it says so in built.json, and the cells that need one are
# recorded as not testable here.
rule build:
    input:
        lambda w: RUN.sources(w.experiment),
    output:
        "build/programs/{experiment}/built.json",
    log:
        ".benchpaper/logs/build/{experiment}.log",
    params:
        tools=lambda w: RUN.tools(w.experiment),
    shell:
        "exec benchpaper step build {wildcards.experiment} > {log} 2>&1"


# One block: every cell once, in random order. It takes all cores, for nothing may run beside a measurement.
rule measure:
    input:
        "build/programs/{experiment}/built.json",
    output:
        f"results/{SITE}/{SOURCE}/{{experiment}}/blocks/{{block}}.observations.parquet",
        f"results/{SITE}/{SOURCE}/{{experiment}}/blocks/{{block}}.trials.parquet",
    log:
        f"{LOGS}/{{experiment}}/{{block}}.log",
    params:
        at=AT,
        seed=RUN.seed,
        key=lambda w: RUN.block_key(w.experiment, int(w.block)),
    threads: workflow.cores
    resources:
        measuring=1,
    priority: 10
    shell:
        "exec benchpaper step measure {wildcards.experiment} --block {wildcards.block} {params.at} --seed {params.seed} > {log} 2>&1"


rule collect:
    input:
        lambda w: RUN.block_files(w.experiment),
    output:
        f"results/{SITE}/{SOURCE}/{{experiment}}/observations.parquet",
        f"results/{SITE}/{SOURCE}/{{experiment}}/trials.parquet",
    wildcard_constraints:
        experiment="|".join(re.escape(name) for name in EXPERIMENTS if name not in KEPT) or "(?!)",
    log:
        f"{LOGS}/{{experiment}}/collect.log",
    params:
        at=AT,
    shell:
        "exec benchpaper step collect {wildcards.experiment} {params.at} > {log} 2>&1"


# Runs a notebook by papermill; the executed copy keeps the traceback when it fails.
rule analyse:
    input:
        notebook="analysis/{notebook}.ipynb",
        code=lambda w: RUN.code("benchpaper.paper.notebook", f"analysis/{w.notebook}.ipynb"),
        results=lambda w: [f"{RESULTS}/{RUN.named(w.notebook)}/{table}" for table in TABLES],
    output:
        f"{BUILD}/notebooks/{{notebook}}.ipynb",
        f"{BUILD}/exhibits/{{notebook}}/exhibits.json",
    log:
        f"{LOGS}/{{notebook}}.log",
    params:
        at=AT,
        experiment=lambda w: RUN.named(w.notebook),
    shell:
        "exec benchpaper step analyse {params.experiment} {params.at} > {log} 2>&1"


# Each claim of the paper gets its verdict from the results at hand.
rule judge:
    input:
        CLAIMS,
        code=RUN.code("benchpaper.analysis.claims", *CLAIMS),
        results=MEASURED,
    output:
        f"{BUILD}/verdicts.json",
    log:
        f"{LOGS}/judge.log",
    params:
        at=AT,
    shell:
        "exec benchpaper step judge {params.at} > {log} 2>&1"


rule gather:
    input:
        MANIFESTS,
        f"{BUILD}/verdicts.json",
        code=RUN.code("benchpaper.paper.gather"),
    output:
        f"{BUILD}/claims.tex",
        f"{BUILD}/exhibits.tex",
    log:
        f"{LOGS}/gather.log",
    params:
        at=AT,
        experiments=" ".join(EXPERIMENTS),
    shell:
        "exec benchpaper step gather {params.experiments} {params.at} > {log} 2>&1"


# The artifact appendix, from the declarations, the verdicts and the measured trials.
rule appendix:
    input:
        f"{BUILD}/verdicts.json",
        MEASURED,
        lambda w: sorted({path for name in EXPERIMENTS for path in RUN.sources(name)}),
        PAPER_DATA,
        code=RUN.code("benchpaper.artifact.appendix"),
    output:
        APPENDIX,
    log:
        f"{LOGS}/appendix.log",
    params:
        at=AT,
        experiments=" ".join(EXPERIMENTS),
    shell:
        "exec benchpaper step appendix {params.experiments} {params.at} > {log} 2>&1"


rule typeset:
    input:
        f"{BUILD}/exhibits.tex",
        f"{BUILD}/appendix.tex",
        lambda w: RUN.paper_sources(),
        code=RUN.code("benchpaper.paper.latex"),
    output:
        f"{BUILD}/paper.pdf",
    log:
        f"{LOGS}/typeset.log",
    params:
        at=AT,
    shell:
        "exec benchpaper step typeset {params.at} > {log} 2>&1"


# The web pages of all this, which work from the file system.
rule pages:
    input:
        f"{BUILD}/exhibits.tex",
        f"{BUILD}/appendix.md",
        f"{BUILD}/paper.pdf" if LATEX else [],
        code=RUN.code("benchpaper.paper.html"),
    output:
        f"{BUILD}/report/index.html",
    log:
        f"{LOGS}/report.log",
    params:
        at=AT,
        experiments=" ".join(EXPERIMENTS),
    shell:
        "exec benchpaper step report {params.experiments} {params.at} > {log} 2>&1"


# All that git tracks goes into the archive, and the commit's date on each file.
rule pack:
    input:
        f"{BUILD}/paper.pdf",
        lambda w: bundle.sources(PROJECT),
    output:
        f"{BUILD}/bundle.zip",
    log:
        f"{LOGS}/bundle.log",
    params:
        at=f"--site {SITE} " + ("--from reference" if SOURCE == REFERENCE else f"--scale {SOURCE}"),
        commit=lambda w: revision(PROJECT).commit,
    shell:
        "exec benchpaper bundle {params.at} > {log} 2>&1"
