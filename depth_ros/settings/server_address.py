"""The address of a model on an inference server."""

import re
from typing import NamedTuple

_HOST = r'(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])'
_URL = re.compile(rf'(?P<scheme>grpcs?)://{_HOST}(?::(?P<port>[1-9]\d{{0,4}}))?/(?P<model>[A-Za-z0-9_.-]+)')
_PORT = 8001
"""Port of Triton for gRPC."""


class ServerAddress(NamedTuple):
    """A model on an inference server."""

    host: str
    """Name or address with the port, such as ``gpu.local:8001`` or ``[fd00::1]:8001``."""
    model: str
    encrypted: bool
    """Whether the connection uses TLS."""

    def __str__(self) -> str:
        return f'{"grpcs" if self.encrypted else "grpc"}://{self.host}/{self.model}'


def parse_url(url: str) -> ServerAddress:
    """Return the address in a URL of the form ``grpc://host:port/model`` or ``grpcs://host:port/model``.

    Raises:
        ValueError: the URL has another form. The text does not contain the URL if that seems to contain a password.
    """
    match = _URL.fullmatch(url)
    if match is None or int(match['port'] or _PORT) > 65535:
        shown = 'a text with a user name or password' if '@' in url else f"'{url}'"
        raise ValueError(
            f'url is {shown}; expected grpc://host:port/model or grpcs://host:port/model. A token belongs in '
            'remote_token_file'
        )
    return ServerAddress(f'{match["host"]}:{match["port"] or _PORT}', match['model'], match['scheme'] == 'grpcs')
