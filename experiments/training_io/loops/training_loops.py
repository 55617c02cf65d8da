"""Several training jobs, one after another in one process: see `training_loop`.

    python -m experiments.training_io.loops.training_loops '[{"store": {...}, "loop": {...}}, ...]'

prints a JSON array, with an object for each job.
"""

import json
import sys
from contextlib import closing

from experiments.training_io.clients import stores
from experiments.training_io.loops.training_loop import Loop, run


def main(text):
    reports = []
    for job in json.loads(text):
        with closing(stores.open_store(job["store"])) as store:
            reports.append(run(Loop(**job["loop"]), store))
    print(json.dumps(reports))


if __name__ == "__main__":
    main(sys.argv[1])
