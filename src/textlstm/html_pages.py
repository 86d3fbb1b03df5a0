"""HTML pages: one jinja environment and one base page for all; what comes from outside is escaped.

A page extends `templates/base.html.jinja`. Its style is `templates/base.css` and then its own sheet, and the page's
content security policy allows nothing but that style, by its digest.
"""

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from textlstm.figure_text import counted, fixed, percent_text, score_text

if TYPE_CHECKING:
    from jinja2 import Environment

_PACKAGE = "textlstm"


def fill_template(package: str, template: str, *, style: str, values: Mapping[str, object]) -> str:
    """Return the page of `template` with `values`.

    The template also gets `style`, the text of both style sheets, and `style_hash`, its SHA-256 in base64 for the
    page's content security policy.

    Args:
        package: the package that holds the folder `templates`.
        template: name of a file in that folder; it extends `base.html.jinja`.
        style: name of the style sheet beside it.
        values: what the template asks for; a name without a value is an error.
    """
    # The style sheet goes into the page, and its digest into the policy that allows it.
    sheet = "".join(
        (files(owner) / "templates" / name).read_text(encoding="utf-8")
        for owner, name in ((_PACKAGE, "base.css"), (package, style))
    )
    digest = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode()
    page = _environment(package).get_template(template)
    return page.render({**values, "style": sheet, "style_hash": digest})


@cache
def _environment(package: str) -> "Environment":
    """Return the environment that finds the templates of `package` and the base page."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    # Escape every value, and fail on a name that has none.
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package, "templates"), PackageLoader(_PACKAGE, "templates")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "signed": lambda value, decimals: fixed(value, decimals, sign=True),
        "fixed": fixed,
        "score": score_text,
        "percent": percent_text,
        "counted": counted,
    }
    return environment
