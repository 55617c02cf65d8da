"""The imported results of caching/msr_miss_ratios follow from the table, and name its source."""

from pathlib import Path

from benchpaper.artifact import importing
from benchpaper.core.project import Project
from benchpaper.design import catalog

PROJECT = Project(Path(__file__).resolve().parents[1])
NAME = "caching/msr_miss_ratios"


def test_the_results_follow_from_the_table_by_the_recorded_map():
    assert importing.flaw(PROJECT, "local", catalog.load(PROJECT, NAME)) == ""


def test_the_record_names_commit_and_licence():
    record, _ = importing.recorded(PROJECT, "local", NAME)
    assert record.commit in record.source and record.licence == "Apache-2.0"
