"""Signatures by SSH keys: made and checked by ssh-keygen itself."""

import shutil
import subprocess

import pytest
from changed_archives import needs_latex

from benchpaper.artifact.bundle import archive, signature, verify
from benchpaper.core.errors import UserError

pytestmark = pytest.mark.skipif(
    not shutil.which("ssh-keygen"), reason="signatures need ssh-keygen (openssh-client)"
)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Key pairs without a passphrase, as {name: path}."""
    folder = tmp_path_factory.mktemp("keys")
    for name, options in {
        "ada": ["-t", "ed25519"], "eve": ["-t", "ed25519"], "ecdsa": ["-t", "ecdsa"],
    }.items():  # fmt: skip
        command = ["ssh-keygen", "-q", *options, "-N", "", "-C", name, "-f", folder / name]
        subprocess.run(command, check=True)
    return {path.name: path for path in folder.iterdir()}


@pytest.fixture
def signed(keys, tmp_path):
    """A file, signed by ada."""
    path = tmp_path / "a.zip"
    path.write_bytes(b"the archive")
    signature.sign(path, keys["ada"])
    return path


@pytest.mark.parametrize("name", ["ada", "ecdsa"])
def test_a_signature_is_right_for_its_key(keys, tmp_path, name):
    path = tmp_path / "a.zip"
    path.write_bytes(b"the archive")
    assert signature.sign(path, keys[name]) == tmp_path / "a.zip.sig"
    assert signature.check(path, keys[f"{name}.pub"]).startswith("signed by ")


def test_one_of_many_keys_suffices_and_a_name_is_said(keys, signed, tmp_path):
    both = tmp_path / "many"
    both.write_text(
        "# our keys\n\n" + keys["eve.pub"].read_text() + "ada@quill.example,a@b.example "
        + keys["ada.pub"].read_text()
    )  # fmt: skip
    line = signature.check(signed, both)
    assert line.startswith("signed by ada@quill.example, ED25519 key SHA256:")


def changed(path):
    path.write_bytes(b"the archivf")


def of_another_purpose(path):
    """A signature of the same key and bytes, made for git."""
    path.with_name("a.zip.sig").unlink()
    key = path.parent / "again"
    command = ["ssh-keygen", "-q", "-Y", "sign", "-n", "git", "-f", key, path]
    subprocess.run(command, check=True, capture_output=True)


@pytest.mark.parametrize(
    "harm, words",
    [
        (changed, "is no signature of this archive"),
        (lambda path: path.with_name("a.zip.sig").unlink(), "the signature .* does not exist"),
        (lambda path: path.with_name("a.zip.sig").write_text("x"), "no key of .* made a.zip.sig"),
        (lambda path: path.with_name("a.zip.sig").write_bytes(b"\0" * 3_000_000), "has more than"),
        (of_another_purpose, "is no signature of this archive"),
    ],
)
def test_what_ada_did_not_sign_as_an_archive_is_found(keys, signed, harm, words):
    shutil.copy(keys["ada"], signed.parent / "again")
    harm(signed)
    with pytest.raises(archive.NotVerified, match=words) as error:
        signature.check(signed, keys["ada.pub"])
    assert "\n" not in str(error.value)


def test_a_key_that_nobody_named_does_not_count(keys, signed, tmp_path):
    with pytest.raises(archive.NotVerified, match="no key of .*eve.pub made a.zip.sig"):
        signature.check(signed, keys["eve.pub"])
    (tmp_path / "none").write_text("no keys here\n")
    for path in (tmp_path / "none", tmp_path / "missing"):
        with pytest.raises(archive.NotVerified):
            signature.check(signed, path)


def test_a_key_that_cannot_sign_is_one_line(keys, tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(b"the archive")
    open_key = tmp_path / "open"
    shutil.copy(keys["eve"], open_key)
    open_key.chmod(0o644)
    (tmp_path / "text").write_text("no key\n")
    for key in (open_key, tmp_path / "text", tmp_path / "missing"):
        with pytest.raises(UserError, match=f'^key "{key}" ') as error:
            signature.sign(path, key)
        assert "\n" not in str(error.value)
    assert not (tmp_path / "a.zip.sig").exists()


@needs_latex
def test_bundle_signs_and_verify_checks(small, keys, tmp_path, run_benchpaper):
    path = tmp_path / "s.zip"
    options = ("bundle", "--scale", "smoke", "--output", path, "--sign", keys["ada"])
    done = run_benchpaper(small, *options)
    assert done.returncode == 0 and f"signature {path}.sig" in done.stdout, done.stderr
    report = verify.verify(path, signers=keys["ada.pub"])
    assert report["checks"][0].startswith("signed by ED25519 key SHA256:")
    done = run_benchpaper(small, "verify", path, "--signed-by", keys["eve.pub"])
    assert done.returncode == 1 and done.stderr.startswith("NOT VERIFIED  s.zip: no key of ")
    done = run_benchpaper(small, "bundle", "--scale", "smoke", "--anonymous", "--sign", keys["ada"])
    assert done.returncode == 2 and "--sign tells whose archive it is" in done.stderr
