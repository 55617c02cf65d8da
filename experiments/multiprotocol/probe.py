"""Program that probes a running system, on a host with the role client.

Run it as `python -m experiments.multiprotocol.probe`. Its argument is a JSON object: `what` to do,
`views` (from `stacks.Stack`), counts, and a `seed`. It prints one JSON object per line as it goes,
so that the results so far survive when a server hangs, and `{"done": true}` last.
"""

import json
import sys
import threading

from experiments.multiprotocol import measure, random_history
from experiments.multiprotocol.anomalies import trying
from experiments.multiprotocol.views import open_views

_one_line = threading.Lock()  # of the lanes that speak


def say(**result):
    """Print one JSON object on a line of its own."""
    with _one_line:
        print(json.dumps(result), flush=True)


DO = {
    "anomalies": lambda plan, new: trying.anomalies(plan, new, say),
    "history": random_history.history,
    "visibility": measure.visibility,
    "tradeoff": measure.tradeoff,
}


def main():
    plan = json.loads(sys.argv[1])
    new = open_views(plan["views"])
    for result in DO[plan["what"]](plan, new) or ():
        say(**result)
    say(done=True)


if __name__ == "__main__":
    main()
