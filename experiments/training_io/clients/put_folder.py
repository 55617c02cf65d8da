"""Put the files of a folder and its subfolders into an S3 bucket, under their names below it.

python -m experiments.training_io.clients.put_folder '{"folder": ..., "endpoint": {...}}'
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from experiments.systems.s3 import Endpoint

AT_ONCE = 8


def main(text):
    plan = json.loads(text)
    store = Endpoint.from_dict(plan["endpoint"]).obstore()
    folder = Path(plan["folder"])
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(
            pool.map(
                lambda path: store.put(str(path.relative_to(folder)), path.read_bytes()),
                sorted(path for path in folder.rglob("*") if path.is_file()),
            )
        )


if __name__ == "__main__":
    main(sys.argv[1])
