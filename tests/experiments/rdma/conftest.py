"""The object store, compiled, and a host to run it on."""

import pytest

from benchpaper.hosts.local import LocalHost
from experiments.rdma import store

SANITIZE = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


@pytest.fixture(scope="session")
def binary(tmp_path_factory):
    return store.build(tmp_path_factory.mktemp("store") / "store")


@pytest.fixture(scope="session")
def sanitized(tmp_path_factory):
    return store.build(tmp_path_factory.mktemp("sanitized") / "store", SANITIZE)


@pytest.fixture
def host(tmp_path):
    return LocalHost(folder=tmp_path)
