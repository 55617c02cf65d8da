"""Builds exhibits, verdicts and PDF of an unpacked archive anew, by the archive's own code: `python -m
benchpaper.workflow.rebuild SITE SOURCE EXPERIMENT...`, which `verify --figures` starts in the archive's folder."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed

from benchpaper.analysis import claims
from benchpaper.artifact import appendix
from benchpaper.core.errors import UserError
from benchpaper.core.project import Project
from benchpaper.hosts import probe  # noqa: F401  (registers what the appendix names)
from benchpaper.paper import gather, kernel_server, latex


def _main(site, source, *experiments):
    """In the unpacked archive, by its own code: run every notebook, judge, gather, typeset; say each step that is
    done."""
    project = Project.find()
    total = len(experiments) + 2

    def finished(done, what):
        print(f"step {done} of {total}: {what}", flush=True)

    own = {
        "PYTHONPATH": os.environ["PYTHONPATH"]
    }  # the archive's code, not that which is installed here
    with (
        kernel_server.serving(project, **own) as server,
        ThreadPoolExecutor(os.cpu_count() or 1) as pool,
    ):
        os.environ.update(server)
        asked = {
            pool.submit(kernel_server.ask, project, site, source, name): name
            for name in experiments
        }
        try:
            for done, answer in enumerate(as_completed(asked), 1):
                answer.result()
                finished(done, asked[answer])
        finally:
            pool.shutdown(cancel_futures=True)  # when one failed, the others need not begin
    claims.save(project, site, source)
    gather.gather(project, site, source, experiments)
    appendix.write(project, site, source, experiments)
    finished(total - 1, "verdicts and appendix")
    latex.typeset(project, site, source)
    finished(total, "paper.pdf")


if __name__ == "__main__":
    try:
        _main(*sys.argv[1:])
    except UserError as error:
        sys.exit(str(error))
