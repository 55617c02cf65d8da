"""The `ssh` process to a host.

The user's configuration, SSH agent, jump hosts, and known hosts apply. ssh always checks host keys.
"""

import subprocess
from contextlib import suppress
from pathlib import Path

from benchpaper.core.printable import printable_line
from benchpaper.hosts.site import HostEntry
from benchpaper.hosts.ssh import boot
from benchpaper.hosts.ssh.tunnel import LONGEST_QUOTE, Tunnel

CONNECT_S = 10  # to reach the SSH server
OPTIONS = {
    "BatchMode": "yes",
    "StrictHostKeyChecking": "yes",
    "ConnectTimeout": CONNECT_S,
    "ServerAliveInterval": 5,
    "ServerAliveCountMax": 3,
    "ControlMaster": "yes",
    "ControlPath": "master",
    "ControlPersist": "no",
    "ForwardX11": "no",
    "ForwardAgent": "no",
    "RequestTTY": "no",
    "LogLevel": "ERROR",
    "ExitOnForwardFailure": "no",
    "StreamLocalBindUnlink": "yes",
    "Compression": "no",
}


class SshTunnel(Tunnel):
    """A running `ssh` process; making the object starts to connect.

    `entry` is the host in the site file. `root` is the project's folder, and `state` the folder for
    sockets and logs. The agent ends everything after `silence` seconds without a heartbeat.
    """

    def __init__(self, root: Path, state: Path, entry: HostEntry, silence: float):
        self._root, self._entry = root, entry
        data = boot.agent(scratch=entry.scratch, silence=silence)
        super().__init__(state, lambda folder: [*self._command(), boot.command(entry.python)], data)

    def _command(self) -> list[str]:
        options = [f"-o{name}={value}" for name, value in OPTIONS.items()]
        if config := self._entry.ssh_config:
            options += ["-F", str(self._root / config)]
        if user := self._entry.user:
            options += ["-l", user]
        if port := self._entry.port:
            options += ["-p", str(port)]
        return ["ssh", *options, "-T", self._destination]

    @property
    def _destination(self) -> str:
        return self._entry.ssh or self._entry.address

    def forward(self, remote_socket: str, timeout: float) -> str:
        """Forward to the agent's socket. Return why that fails, or an empty string."""
        options = [f"-o{name}={OPTIONS[name]}" for name in ("ControlPath", "StreamLocalBindUnlink")]
        command = ["ssh", *options, "-O", "forward", "-L", f"./agent:{remote_socket}"]
        try:
            done = subprocess.run(
                [*command, self._destination],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout,
            )
        except subprocess.TimeoutExpired:
            return f"ssh did not forward to the agent within {timeout:g} s"
        said = printable_line(done.stderr, LONGEST_QUOTE)
        return f"ssh could not forward to the agent: {said}" * bool(done.returncode)

    # ---- what to tell the user when the host does not answer ----

    def why_no_answer(self, waited_s: float) -> str:
        """Return the reason that ssh gives for the missing answer, with the next step."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(0.5)
        said = self._errors.text()
        by_hand = " ".join(["ssh", *self._by_hand()])
        if "IDENTIFICATION HAS CHANGED" in said:
            return (
                "its host key is not the known one: find out why, and only then correct "
                f"your known_hosts ({by_hand})"
            )
        if "Host key verification failed" in said or "host key is known" in said:
            return (
                f'its host key is not known: connect once by hand ("{by_hand}"), '
                "compare the fingerprint, and accept it"
            )
        if "Permission denied" in said:
            who = f'user "{self._entry.user}"' if self._entry.user else "you"
            return f'it did not let {who} in: see that "{by_hand}" works without a password'
        if said:
            return f'ssh said: {said}; see that "{by_hand}" works'
        if self.running:
            return f'it did not answer within {waited_s:g} s; see that "{by_hand}" works'
        return f'the connection ended without a word; see that "{by_hand}" works'

    def _by_hand(self) -> list[str]:
        """Return the words that a user types after `ssh` to reach the host."""
        entry, destination = self._entry, self._destination
        words = ["-F", entry.ssh_config] if entry.ssh_config else []
        words += ["-p", str(entry.port)] if entry.port else []
        return [*words, f"{entry.user}@{destination}" if entry.user else destination]
