"""What an error of MLflow means: may the request work later, and what is it called in one line without secrets."""

import re

from textlstm.tracking.secrets import Redactor

_HTTP_TOO_MANY_REQUESTS = 429
_NO_ANSWER = re.compile("connection (refused|reset|aborted)|timed out|name resolution", re.IGNORECASE)
_MAX_LENGTH = 300


def may_pass(error: Exception) -> bool:
    """Return whether the same request may work later: no answer, a 5xx answer, a busy database, a full disk."""
    from mlflow.exceptions import MlflowException

    if isinstance(error, MlflowException):
        status = int(error.get_http_status_code())
        return status >= 500 or status == _HTTP_TOO_MANY_REQUESTS
    return isinstance(error, OSError)  # requests' exceptions are OSErrors


def is_missing(error: Exception) -> bool:
    """Return whether the store says that it does not have what was asked for."""
    return getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST"


def one_line(error: Exception) -> str:
    """Return the reason in one line, at most 300 characters, without passwords."""
    text = Redactor().text(" ".join(str(error).split()))
    if match := _NO_ANSWER.search(text):
        return f"no answer: {match[0].lower()}"
    return text[:_MAX_LENGTH] or type(error).__name__
