"""No network for a while: whoever tries to reach it gets an error, and the attempt is written down."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn
from unittest.mock import patch


class Offline(OSError):
    """There is no network here."""


@contextmanager
def offline(attempts: list[str]) -> Iterator[None]:
    """Block name look-ups and connections of this process, and add to `attempts` what was to be reached.

    Sockets within the machine's file system (AF_UNIX) go on working. Child processes are not watched.
    """

    def refuse(where: object) -> NoReturn:
        host, port = where[:2] if isinstance(where, tuple) else (where, "")
        named = f"{host}:{port}" if port else str(host)
        if named not in attempts:
            attempts.append(named)
        raise Offline(f"no network is allowed here, and {named} was to be reached")

    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX:
            refuse(address)
        connect(self, address)

    def guarded_ex(self: socket.socket, address: Any) -> int:
        return connect_ex(self, address) if self.family == socket.AF_UNIX else refuse(address)

    with (
        patch.object(socket, "getaddrinfo", lambda host, port=0, *rest, **more: refuse((host, port))),
        patch.object(socket, "gethostbyname", refuse),
        patch.object(socket, "create_connection", lambda address, *rest, **more: refuse(address)),
        patch.object(socket.socket, "connect", guarded),
        patch.object(socket.socket, "connect_ex", guarded_ex),
    ):
        yield
