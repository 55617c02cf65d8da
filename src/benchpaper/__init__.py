"""benchpaper: a storage-systems paper as something you can run.

Data moves one way: spec, plan, trial, observations, Parquet, notebook, exhibits, paper. Each module
of this package is one step of that way; none of them knows anything about storage.
"""
