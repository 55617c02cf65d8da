"""Results: their schema, Parquet files, distributions, and the journal of a block.

The names `schema` and `distribution` mean the functions here, not the modules that define them.
"""

from benchpaper.results.distribution import (
    LARGEST,
    RAW_BOUND,
    SUB_BUCKETS,
    Distribution,
    InvalidObservation,
    distribution,
)
from benchpaper.results.parquet import (
    INPUTS,
    JOURNALS,
    OBSERVATIONS,
    TRIALS,
    ResultsError,
    block_file,
    collect,
    file_digest,
    read,
    read_description,
    records_of,
    write,
    write_block,
)
from benchpaper.results.schema import (
    FAILED,
    IDENTITY,
    MEASURED,
    NOT_TESTABLE,
    OBSERVATION,
    SCHEMA_VERSION,
    TRIAL,
    Column,
    check_observation,
    columns,
    schema,
)

__all__ = [
    "FAILED",
    "IDENTITY",
    "INPUTS",
    "JOURNALS",
    "LARGEST",
    "MEASURED",
    "NOT_TESTABLE",
    "OBSERVATION",
    "OBSERVATIONS",
    "RAW_BOUND",
    "SCHEMA_VERSION",
    "SUB_BUCKETS",
    "TRIAL",
    "TRIALS",
    "Column",
    "Distribution",
    "InvalidObservation",
    "ResultsError",
    "block_file",
    "check_observation",
    "collect",
    "columns",
    "distribution",
    "file_digest",
    "read",
    "read_description",
    "records_of",
    "schema",
    "write",
    "write_block",
]
