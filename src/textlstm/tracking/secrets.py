"""Takes secrets out of what is about to be written down."""

import os
import re
from typing import cast

MASK = "***"
_USERINFO = re.compile(r"(?<=://)[^/\s@\"']+@")
_SECRET_NAME = re.compile(r"(TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|PRIVATE|API_?KEY|ACCESS_?KEY)", re.IGNORECASE)
_MIN_LENGTH = 8  # a shorter "secret" would mask ordinary words


class Redactor:
    """Masks user:password in addresses, and the values of environment variables whose names speak of secrets."""

    def __init__(self) -> None:
        """Read the secrets of this process's environment once."""
        # A path in such a variable names the file of a secret and is none itself.
        found = {
            value
            for name, value in os.environ.items()
            if _SECRET_NAME.search(name) and len(value) >= _MIN_LENGTH and not value.startswith("/")
        }
        self._secrets = sorted(found, key=len, reverse=True)  # a secret may hold another one

    def text(self, text: str) -> str:
        """Return `text` with every secret masked."""
        masked = _USERINFO.sub(f"{MASK}@", text)
        for secret in self._secrets:
            masked = masked.replace(secret, MASK)
        return masked

    def data(self, value: object) -> object:
        """Return plain data (dicts, lists, strings, numbers) with every string masked."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(str(key)): self.data(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.data(inner) for inner in cast("list[object]", value)]
        return value
