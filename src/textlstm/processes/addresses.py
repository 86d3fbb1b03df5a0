"""Addresses that a server may listen on."""

import ipaddress
import socket

from textlstm.errors import ConfigError

_NUM_PORTS = 50


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def free_port(host: str, *, first: int) -> int:
    """Return `first`, or the next port on which nothing listens.

    Raises:
        ConfigError: None of the next 50 is free, or `host` is no address of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in range(first, min(first + _NUM_PORTS, 65536)):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # The port of a server that has just ended counts as free, as it does for a server that sets this option.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except PermissionError as error:
                raise ConfigError(f"port: {port} needs the rights of an administrator; take one above 1023") from error
            except OSError as error:
                # "Cannot assign requested address": the host is wrong, and so no other port will do.
                if error.errno is not None and "assign" in (error.strerror or ""):
                    raise ConfigError(f"host: {host} is no address of this machine") from error
                continue
            return port
    raise ConfigError(f"port: {first} and the {_NUM_PORTS - 1} after it are in use; set another port")
