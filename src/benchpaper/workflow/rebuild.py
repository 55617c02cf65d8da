"""Rebuilds exhibits, verdicts, and PDF of an unpacked archive with the archive's own code.

`verify --figures` starts it in the archive's folder:
`python -m benchpaper.workflow.rebuild SITE SOURCE EXPERIMENT...`
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed

from benchpaper.analysis import claims
from benchpaper.artifact import appendix
from benchpaper.core.errors import UserError
from benchpaper.core.project import Project
from benchpaper.hosts import probe  # noqa: F401  (registers the capabilities in the appendix)
from benchpaper.paper import gather, kernel_server, latex


def _main(site: str, source: str, *experiments: str) -> None:
    """Run every notebook, judge, gather, and typeset; print a line after each step."""
    project = Project.find()
    total = len(experiments) + 2

    def finished(done: int, what: str) -> None:
        print(f"step {done} of {total}: {what}", flush=True)

    with (
        kernel_server.serving(project) as server,
        ThreadPoolExecutor(os.cpu_count() or 1) as pool,
    ):
        os.environ.update(server)
        running = {
            pool.submit(kernel_server.ask, project, site, source, name): name
            for name in experiments
        }
        try:
            for done, future in enumerate(as_completed(running), 1):
                future.result()
                finished(done, running[future])
        finally:
            pool.shutdown(cancel_futures=True)  # after a failure, no further notebook starts
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
