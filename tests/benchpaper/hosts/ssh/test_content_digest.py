"""A digest that was kept for later is trusted only if it is one."""

import pytest

from benchpaper.hosts.ssh.deploy import content_digest


@pytest.mark.parametrize("damaged", [b"", bytes(64), b"0" * 40, b"\xff" * 64])
def test_a_damaged_memo_is_made_again(tmp_path, damaged):
    program, memo = tmp_path / "program", tmp_path / "memo"
    program.write_text("text")
    digest = content_digest(program)
    assert content_digest(program, memo) == digest
    (kept,) = memo.iterdir()
    kept.write_bytes(damaged)
    assert content_digest(program, memo) == digest == kept.read_text()
