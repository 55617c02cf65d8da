"""Emulated guests: what this machine lacks, the kernel that they boot, and their command line."""

import lzma
import os
import shutil
import struct
import subprocess

import pytest

from benchpaper.core.capabilities import find_capability
from benchpaper.core.errors import UserError
from benchpaper.hosts import HostError, emulated_kernel, facts, guest_kernel
from benchpaper.hosts.agent import probing
from benchpaper.hosts.guests import initial_disk, modules, native, qemu, uml
from benchpaper.hosts.guests.hardware import Hardware
from benchpaper.hosts.guests.machine import KINDS
from benchpaper.hosts.lab import kernel_package
from benchpaper.hosts.lab.namespaces import Lab
from benchpaper.hosts.site import GUESTS

MODULES = [*emulated_kernel.BOOT, "rdma_rxe", "nfsd"]
CONTENT = b"<the content of a module>"
with_compiler = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler here")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Return `add(version)`: an unpacked kernel of which nothing but the names is real."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def add(version, suffix=""):
        folder = emulated_kernel.folder() / version
        (folder / "modules").mkdir(parents=True)
        (folder / "image").touch()
        for name in MODULES:
            (folder / "modules" / f"{name}.ko{suffix}").write_bytes(CONTENT)
        lines = "".join(f"{name}.ko{suffix}:\n" for name in MODULES)
        (folder / "modules" / "modules.dep").write_text(lines)
        (folder / "modules" / "modules.builtin").write_text("kernel/fs/ext4/ext4.ko\n")
        (folder / "modules" / "modules.alias").write_text("alias rdma-link-rxe rdma_rxe\n")
        return folder

    return add


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Return `only(*names)`: PATH leads to these programs, which do nothing."""

    def only(*names):
        folder = tmp_path / "bin"
        folder.mkdir()
        for name in names:
            (folder / name).write_text("#!/bin/sh\n")
            (folder / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))

    return only


# ---- what this machine lacks ----


@pytest.mark.parametrize("missing", emulated_kernel.PACKAGES)
def test_a_missing_program_is_named_by_its_package(programs, cache, missing):
    programs(*(set(emulated_kernel.PACKAGES) - {missing}))
    cache("6.1.0-1-amd64")
    why = f"install the packages {emulated_kernel.PACKAGES[missing]}"
    assert emulated_kernel.lacking() == why
    assert find_capability("emulated_guests").check() == (False, why)


def test_a_missing_kernel_is_named_with_the_command_that_gets_it(programs, cache, make_project):
    programs(*emulated_kernel.PACKAGES)
    why = 'no kernel for them is unpacked; run "benchpaper lab kernel"'
    assert emulated_kernel.lacking() == emulated_kernel.lacking_for("qemu") == why


@pytest.mark.parametrize("kind", GUESTS)
def test_a_lab_of_guests_that_cannot_boot_is_refused_before_it_is_made(
    make_project, monkeypatch, kind
):
    project = make_project({})
    monkeypatch.setattr(emulated_kernel, "lacking", lambda: "no QEMU")
    monkeypatch.setattr(guest_kernel, "lacking", lambda: "no UML")
    wanted = dict(uml="no UML", qemu="no QEMU")[kind]
    with pytest.raises(UserError, match=f"cannot boot guests: {wanted}"):
        Lab(project).up(0, guests=1, kind=kind, kept=False)
    assert not (project.root / "sites" / "lab.yaml").exists()


def test_the_probe_names_the_newest_kernel_and_what_it_lacks(programs, cache, monkeypatch):
    programs(*emulated_kernel.PACKAGES)
    monkeypatch.setattr(guest_kernel, "sandbox_fails", lambda: None)
    for version in ("6.1.0-9-amd64", "6.1.0-57-amd64", "6.1.0-10-amd64"):
        cache(version)
    present, detail = find_capability("emulated_guests").check()
    assert present and detail.startswith("Linux 6.1.0-57-amd64, without NFS client")
    assert "soft-RoCE" not in detail and "NFS server" not in detail and "ext4" not in detail


# ---- the kernel ----


def image(payload):
    """Return a kernel's image around a payload."""
    head = bytearray(3 * 512)
    head[0x1F1] = 1
    struct.pack_into("<II", head, 0x248, 512, len(payload))
    return bytes(head) + payload


def test_an_image_that_xz_compresses_is_unpacked_and_another_is_left_alone():
    elf = b"\x7fELF" + bytes(1000)
    assert kernel_package.uncompressed(image(lzma.compress(elf))) == elf
    other = image(b"\x28\xb5\x2f\xfd zstd")
    assert kernel_package.uncompressed(other) == other


@pytest.mark.parametrize("failing, message", [
    ("apt-cache", 'apt knows no kernel package; run: apt-get update'),
    ("apt-get", "apt-get failed: no network"),
])  # fmt: skip
def test_a_kernel_that_cannot_be_had_leaves_nothing(cache, monkeypatch, failing, message):
    def run(argv, folder=None, check=True):
        if argv[0] == failing:
            if check:
                raise UserError(f"{failing} failed: no network")
            return ""
        return " Depends: linux-image-6.1.0-57-amd64\n"

    monkeypatch.setattr(kernel_package, "_run", run)
    monkeypatch.setattr(kernel_package.shutil, "which", lambda tool, path: tool)
    (emulated_kernel.folder() / "part-killed").mkdir(parents=True)
    with pytest.raises(UserError, match=message):
        kernel_package.unpack()
    assert emulated_kernel.kernel() is None
    left = {path.name for path in emulated_kernel.folder().iterdir()} - {"part-killed"}
    assert left <= {"lock"}


def test_its_tools_use_the_proxy_of_the_user_and_nothing_else(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://proxy:1")
    monkeypatch.setenv("ANYTHING", "else")
    names = {line.partition("=")[0] for line in kernel_package._run(["env"]).splitlines()}
    assert "http_proxy" in names and "ANYTHING" not in names


def test_its_missing_tools_are_named(cache, monkeypatch):
    monkeypatch.setattr(kernel_package.shutil, "which", lambda tool, path: None)
    with pytest.raises(UserError, match="needs the packages apt, dpkg, tar, kmod"):
        kernel_package.unpack()


# ---- what boots ----


@with_compiler
@pytest.mark.parametrize("suffix", ["", ".xz"])
def test_the_initial_disk_holds_the_program_and_its_modules_in_load_order(cache, tmp_path, suffix):
    folder = cache("6.1.0-1-amd64", suffix)
    if suffix:
        for path in folder.glob("modules/*.xz"):
            path.write_bytes(lzma.compress(path.read_bytes()))
    disk = tmp_path / "disk"
    program = native.program(native.BOOT, tmp_path / "programs")
    initial_disk.make(emulated_kernel.kernel(), program, disk)
    data = disk.read_bytes()
    assert program.read_bytes() in data
    assert data.startswith(b"070701") and data.rstrip(b"\0").endswith(b"TRAILER!!!")
    order = [f"modules/{place:03}-{name}" for place, name in enumerate(emulated_kernel.BOOT)]
    places = [data.index(name.encode()) for name in order]
    assert places == sorted(places) and b"\x7fELF" in data
    assert data.count(CONTENT) == len(order)  # whole, and not compressed


@with_compiler
def test_a_program_that_does_not_compile_is_an_error_of_one_line(tmp_path, monkeypatch):
    (tmp_path / native.BOOT).write_text("int main(void) { return none; }\n")
    monkeypatch.setattr(native, "SOURCES", tmp_path)
    with pytest.raises(OSError, match="cc could not compile boot.c: .*none") as error:
        native.program(native.BOOT, tmp_path / "programs")
    assert "\n" not in str(error.value) and not list((tmp_path / "programs").iterdir())
    monkeypatch.setattr(native, "COMMAND", ("no-such-compiler",))
    with pytest.raises(OSError, match="no cc on PATH; install the packages gcc and libc6-dev"):
        native.program(native.BOOT, tmp_path / "programs")


def test_a_module_is_found_by_its_name_or_the_kernels_alias(cache):
    folder = cache("6.1.0-1-amd64") / "modules"
    for name in ("rdma-rxe", "rdma_rxe", "rdma-link-rxe"):
        assert modules.files(name, folder) == [folder / "rdma_rxe.ko"]


def test_a_module_that_cannot_be_unpacked_is_named_with_the_package(programs, tmp_path):
    programs()
    packed = tmp_path / "rdma_rxe.ko.zst"
    packed.touch()
    with pytest.raises(OSError, match="rdma_rxe.ko.zst is compressed; install the package zstd"):
        modules.content(packed)


@pytest.mark.parametrize("kind", GUESTS)
@pytest.mark.parametrize("tap, port", [("bpl-g1", None), (None, 7)])
@pytest.mark.parametrize("disk", ["", "/run/exchange/disk"])
def test_each_kind_gets_its_network_its_disk_and_its_first_program(kind, tap, port, disk):
    machine = KINDS[kind]
    hardware = Hardware(300, disk, tap, port, None, "198.18.0.101")
    program = ["/usr/bin/python", "PYTHONPATH=/src", "--", "-m", "init"]
    words = " ".join(machine.command(hardware, 9, program))
    assert hardware.mac in words and "300M" in words and "PYTHONPATH=/src" in words
    assert (disk in words) if disk else "disk" not in words.replace("initial-disk", "")
    assert ("bpl-g1" in words) if tap else ("=7" in words)
    assert "kvm" not in words and "-m init" in words


def test_every_kind_of_guest_has_a_machine():
    assert set(KINDS) == set(GUESTS) and {uml, qemu} == set(KINDS.values())


def test_the_emulator_takes_its_command_line():
    """It checks names of machine, CPU, and devices before it looks for a kernel."""
    if (why := emulated_kernel.lacking()) and "kernel" not in why:
        pytest.skip(f"no emulated guests here: {why}")
    hardware = Hardware(128, "", None, None, None, "198.18.0.101")
    argv = qemu.command(hardware, 0, ["/bin/true", "--"])
    argv = [word.replace(",path=/run/exchange", f",path={os.getcwd()}") for word in argv]
    argv[argv.index("-netdev") + 1] = "hubport,hubid=0,id=net"
    argv[argv.index("socket,id=line,fd=0")] = "null,id=line"
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "could not open kernel file" in done.stderr.lower()


@pytest.mark.parametrize("kind, seconds", [("yes", 50), ("emulated (QEMU)", 500)])
def test_an_emulated_machine_may_take_longer_to_probe(monkeypatch, kind, seconds):
    def run(*_, timeout, **__):
        raise subprocess.TimeoutExpired("python", timeout)

    monkeypatch.setattr(facts, "virtualised", lambda: kind)
    monkeypatch.setattr(probing.subprocess, "run", run)
    with pytest.raises(HostError, match=f"took more than {seconds} s to probe"):
        probing.ask("python", {})
