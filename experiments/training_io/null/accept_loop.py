"""The loop of the null servers: accept connections, and answer their requests in turn."""

import selectors
import socket
from collections.abc import Callable


def serve(
    address: str,
    port: int,
    split: Callable[[bytes], tuple[list[bytes], bytes]],
    reply: Callable[[bytes], bytes],
    pause: Callable[[], None] = lambda: None,
) -> None:
    """Print the port, then serve until killed.

    `split(data)` returns the complete requests in `data`, and the rest, which waits for more.
    `reply(request)` returns the bytes to send. `pause()` comes before each reading.
    """
    listener = socket.create_server(
        (address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET
    )
    print(listener.getsockname()[1], flush=True)
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    unanswered: dict[socket.socket, bytes] = {}
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(connection, selectors.EVENT_READ, connection)
                unanswered[connection] = b""
                continue
            pause()
            connection = key.data
            try:
                data = connection.recv(65536)
                requests, unanswered[connection] = split(unanswered[connection] + data)
                for request in requests:
                    connection.sendall(reply(request))
            except ConnectionError:
                data = b""
            if not data:  # the client is gone
                selector.unregister(connection)
                del unanswered[connection]
                connection.close()
