"""A conversation with the agent: requests with their answers, one at a time."""

import socket
import threading
from collections.abc import Callable
from typing import Any

from benchpaper.core.printable import printable_line
from benchpaper.hosts import CommandFailed, HostError, HostLost, HostUnreliable
from benchpaper.hosts.agent import wire
from benchpaper.hosts.agent.wire import Channel
from benchpaper.hosts.ssh import answers

ANSWER_S = 15.0  # for an answer, beyond the time that the request itself may take
LONGEST_QUOTE = 300


def no_words() -> str:
    """Return the last words of a host that leaves none."""
    return ""


class Conversation:
    """One conversation with the agent. Everything that it started ends with it.

    `connection` is a socket to the agent, and `name` is the host in error texts. `last_words()`
    returns what the machine said as it went down, if that can be known. An answer may take
    `answer_s` beyond the time that the request itself may take. `status` is the exit status of the
    command that the last answer was about, if it has one.
    """

    def __init__(
        self,
        connection: socket.socket,
        name: str,
        last_words: Callable[[], str] = no_words,
        answer_s: float | None = None,
    ):
        self._name, self._last_words = name, last_words
        self._answer_s = ANSWER_S if answer_s is None else answer_s
        self._channel = Channel(connection)
        self._ending = f"the connection to {name} is lost (the connection is closed)"
        self._requests = 0
        self.lock = threading.Lock()
        self.status: int | None = None

    def call(
        self,
        operation: str,
        patience: float = 0.0,
        sending: Callable[[Channel], object] | None = None,
        receiving: Callable[[Channel, int], object] | None = None,
        **options: Any,
    ) -> Any:
        """Send a request, which may take `patience` seconds, and return the answer.

        `sending(channel)` sends a stream of bytes after the request. `receiving(channel, size)`
        receives one of `size` bytes, with its own answer after it. Raises what the agent's
        `LocalHost` raised, `HostLost` when no whole answer comes in time, and `HostUnreliable` when
        the answer breaks the protocol. After that, each call raises `HostLost` with the reason that
        ended the conversation.
        """
        if self.closed:
            raise HostLost(self._ending)
        try:
            self._channel.allow(patience + self._answer_s)
            self._requests += 1
            request = {"do": operation, "request": self._requests, **options}
            wire.send(self._channel, request)
            if sending:
                sending(self._channel)
            answer = self._receive()
            if receiving and "error" not in answer:
                receiving(self._channel, answers.value(answer, operation, options))
                answer, operation = self._receive(), "put"  # which returns nothing either
            self.status = answer["status"]
            if "error" not in answer:
                return answers.value(answer, operation, options)
        except TimeoutError:
            late = f"did not answer within {patience + self._answer_s:g} s"
            raise HostLost(self._end(f"{self._name} {late}; the connection is given up")) from None
        except (wire.Closed, ConnectionError):
            said = self._last_words()
            quoted = f"; it said: {said}" if said else ""
            why = f"the connection to {self._name} is lost{quoted}"
            raise HostLost(self._end(why)) from None
        except wire.Malformed as error:
            why = (
                f'{self._name} sent {error}, to "{operation}"; the connection is given up: '
                "see what runs there instead of the agent"
            )
            raise HostUnreliable(self._end(why)) from None
        except BaseException as error:  # perhaps within a message, so it cannot go on
            why = printable_line(str(error) or type(error).__name__, LONGEST_QUOTE)
            self._end(f'the connection to {self._name} was given up in "{operation}": {why}')
            raise
        raise self._error(answer)

    def _receive(self) -> dict[str, Any]:
        return answers.envelope(wire.receive(self._channel), self._requests)

    def _error(self, answer: dict[str, Any]) -> HostError:
        if answer["error"] == "OSError":
            file = f" ({answer['name']})" if answer["name"] else ""
            return HostError(f"{answer['text']} on {self._name}{file}")
        kind = CommandFailed if answer["error"] == "CommandFailed" else HostError
        return kind(answer["text"])

    def _end(self, why: str) -> str:
        """Close the conversation, and return the reason, which later calls repeat."""
        self.close()
        self._ending = why
        return why

    @property
    def closed(self) -> bool:
        return self._channel.closed

    def close(self) -> None:
        self._channel.close()
