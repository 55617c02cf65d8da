# The pipeline: build, measure, collect, analyse, judge, gather, typeset. A project's Snakefile includes it.
#
# What code a step runs is found only if the step is wanted (`lambda`), because that takes a while.
#
# Each shell command starts with `exec`, so that no shell keeps a step alive when Snakemake dies.

import re
from pathlib import Path

from benchpaper.analysis import claims, history
from benchpaper.artifact import bundle
from benchpaper.workflow import dependencies, pipeline
from benchpaper.core import settings
from benchpaper.core.capabilities import find_capability
from benchpaper.paper import latex
from benchpaper.core.project import REFERENCE, Project, slug
from benchpaper.core.revision import revision

pipeline.announce()
SITE = config.get("site", "local")
PROJECT = Project(Path(str(workflow.basedir)))
SOURCE = config.get("source", settings.scales(PROJECT.root).default)
PROJECT.check_code()
RUN = pipeline.Pipeline(PROJECT, SITE, SOURCE, int(config.get("seed", 1)))
EXPERIMENTS = RUN.choose(config.get("experiments", ""))
KEPT = config.get("kept", "").split()  # their results come from another machine, and stay as they are
BUILD = f"build/{SITE}-{SOURCE}"
RESULTS = f"artifacts/reference/{SITE}" if SOURCE == REFERENCE else f"results/{SITE}/{SOURCE}"
AT = f"--site {SITE} --source {SOURCE}"
LOGS = f".benchpaper/logs/{SITE}-{SOURCE}"
LATEX = find_capability("latex").check()[0]
CLAIMS = [f"analysis/{path.name}" for path in claims.files(PROJECT)]  # a project may have no claims
TABLES = ["observations.parquet", "trials.parquet"]
PAPER_DATA = [name for name in ("CITATION.cff", "LICENSE", "README.md", "requirements.lock") if (PROJECT.root / name).exists()]
SETTINGS = ["benchpaper.toml"] if (PROJECT.root / "benchpaper.toml").exists() else []
CAPABILITIES = [name for name in ("experiments/capabilities.py",) if (PROJECT.root / name).exists()]
NOTEBOOKS = [slug(name) for name in EXPERIMENTS]

# The targets name every output, because Snakemake rebuilds a missing intermediate file only if it is itself a target.
MEASURED = expand(f"{RESULTS}/{{experiment}}/{{table}}", experiment=EXPERIMENTS, table=TABLES)
MANIFESTS = expand(f"{BUILD}/exhibits/{{notebook}}/exhibits.json", notebook=NOTEBOOKS)
EXECUTED = expand(f"{BUILD}/notebooks/{{notebook}}.ipynb", notebook=NOTEBOOKS)
FIGURES = [*MEASURED, *MANIFESTS, *EXECUTED, f"{BUILD}/verdicts.json", f"{BUILD}/claims-history.json", f"{BUILD}/claims.tex", f"{BUILD}/exhibits.tex"]
APPENDIX = [f"{BUILD}/appendix.tex", f"{BUILD}/appendix.md"]
PDFS = [f"{BUILD}/{name}" for name, _ in zip(latex.PDFS, settings.read(PROJECT.root).documents)]
PDF = [*APPENDIX, *PDFS]


wildcard_constraints:
    block=r"\d+",
    notebook=r"\w+",


onstart:
    pipeline.hold_lock(PROJECT)


# On a cluster, only measuring runs on other nodes. These rules run where Snakemake does.
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
        PDFS if LATEX else [],
        f"{BUILD}/report/index.html",


rule bundle:
    input:
        FIGURES,
        PDF,
        f"{BUILD}/bundle.zip",


# Compiles an experiment's programs. Without a compiler, built.json says so, and the results record the cells that need one
# as not testable here.
rule build:
    input:
        lambda w: dependencies.sources(RUN, w.experiment),
    output:
        "build/programs/{experiment}/built.json",
    log:
        ".benchpaper/logs/build/{experiment}.log",
    params:
        tools=lambda w: RUN.tools(w.experiment),
    shell:
        "exec benchpaper step build {wildcards.experiment} > {log} 2>&1"


# Measures one block: every cell once, in random order. It takes all cores, so that nothing else runs meanwhile.
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
        lambda w: dependencies.block_files(RUN, w.experiment),
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


# Runs a notebook with papermill. If it fails, the executed copy keeps the traceback.
rule analyse:
    input:
        SETTINGS,
        notebook="analysis/{notebook}.ipynb",
        code=lambda w: dependencies.code(RUN, "benchpaper.paper.notebook", f"analysis/{w.notebook}.ipynb"),
        results=lambda w: [f"{RESULTS}/{RUN.named(w.notebook)}/{table}" for table in TABLES],
        elsewhere=lambda w: dependencies.stored_elsewhere(RUN, RUN.named(w.notebook)),
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


# Gives each claim its verdict, from the results of this source.
rule judge:
    input:
        CLAIMS,
        code=lambda w: dependencies.code(RUN, "benchpaper.analysis.claims", *CLAIMS),
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
        code=lambda w: dependencies.code(RUN, "benchpaper.paper.gather"),
    output:
        f"{BUILD}/claims-history.json",
        f"{BUILD}/claims.tex",
        f"{BUILD}/exhibits.tex",
    log:
        f"{LOGS}/gather.log",
    params:
        at=AT,
        experiments=" ".join(EXPERIMENTS),
        history=history.key(PROJECT),
    shell:
        "exec benchpaper step gather {params.experiments} {params.at} > {log} 2>&1"


# Writes the artifact appendix from the declarations, the verdicts, and the trials.
rule appendix:
    input:
        f"{BUILD}/verdicts.json",
        MEASURED,
        lambda w: sorted({path for name in EXPERIMENTS for path in dependencies.sources(RUN, name)}),
        lambda w: dependencies.accepted_changes(RUN, EXPERIMENTS),
        PAPER_DATA,
        SETTINGS,
        CAPABILITIES,
        code=lambda w: dependencies.code(RUN, "benchpaper.artifact.appendix"),
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
        SETTINGS,
        lambda w: dependencies.paper_sources(PROJECT),
        code=lambda w: dependencies.code(RUN, "benchpaper.paper.latex"),
    output:
        PDFS,
    log:
        f"{LOGS}/typeset.log",
    params:
        at=AT,
    shell:
        "exec benchpaper step typeset {params.at} > {log} 2>&1"


# Builds the report: web pages that work from the file system.
rule pages:
    input:
        f"{BUILD}/exhibits.tex",
        f"{BUILD}/appendix.md",
        SETTINGS,
        lambda w: dependencies.accepted_changes(RUN, EXPERIMENTS),
        PDFS if LATEX else [],
        code=lambda w: dependencies.code(RUN, "benchpaper.paper.html"),
    output:
        f"{BUILD}/report/index.html",
    log:
        f"{LOGS}/report.log",
    params:
        at=AT,
        experiments=" ".join(EXPERIMENTS),
    shell:
        "exec benchpaper step report {params.experiments} {params.at} > {log} 2>&1"


# Packs every file that git tracks, and the outputs. Each file in the archive has the date of the commit.
rule pack:
    input:
        PDFS,
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
