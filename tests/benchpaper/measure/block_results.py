"""What the tests of blocks read from results."""

import json

from benchpaper import results


def records(block):
    return [json.loads(line) for line in block.journal_path.read_text().splitlines()]


def trials(project, scale="smoke", name="toy/one", block=0):
    table, _ = results.read(
        results.block_file(project.results("local", scale) / name, block, results.TRIALS)
    )
    return table.to_pylist(maps_as_pydicts="strict")


def observations(project, scale="smoke", name="toy/one", block=0):
    table, _ = results.read(
        results.block_file(project.results("local", scale) / name, block, results.OBSERVATIONS)
    )
    return table.to_pylist()
