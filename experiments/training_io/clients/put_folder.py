"""Put the files of a folder into an S3 bucket, under their names.

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
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(
            pool.map(
                lambda path: store.put(path.name, path.read_bytes()),
                sorted(Path(plan["folder"]).iterdir()),
            )
        )


if __name__ == "__main__":
    main(sys.argv[1])
