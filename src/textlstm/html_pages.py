"""HTML pages: one jinja environment and one base page for all; what comes from outside is escaped.

A page extends `templates/base.html.jinja`. Its style is `templates/base.css` and then its own sheet, and the page's
content security policy allows nothing but that style and, where the page has one, its own script, by their digests.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from textlstm.figure_text import counted, fixed, percent_text, score_text

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_PACKAGE = "textlstm"


def fill_template(
    package: str, template: str, *, style: str, values: Mapping[str, object], script: str | None = None
) -> str:
    """Return the page of `template` with `values`.

    The template also gets `style`, the text of both style sheets, and `style_hash`, its SHA-256 in base64 for the
    page's content security policy; with a script, `script` and `script_hash` likewise.

    Args:
        package: the package that holds the folder `templates`.
        template: name of a file in that folder; it extends `base.html.jinja`.
        style: name of the style sheet beside it.
        values: what the template asks for; a name without a value is an error.
        script: name of a script beside the template.
    """
    # The style sheet goes into the page, and its digest into the policy that allows it.
    sheet = "".join(
        (files(owner) / "templates" / name).read_text(encoding="utf-8")
        for owner, name in ((_PACKAGE, "base.css"), (package, style))
    )
    parts = {"style": sheet, "style_hash": _digest(sheet)}
    if script is not None:
        code = (files(package) / "templates" / script).read_text(encoding="utf-8")
        parts |= {"script": code, "script_hash": _digest(code)}
    return _environment(package).get_template(template).render({**values, **parts})


def breakable(name: str) -> "Markup":
    """Return a label as HTML that a narrow column may break behind its marks, and not in the middle of a word.

    >>> str(breakable("card_<not>_working"))
    'card_&lt;not&gt;_<wbr>working'
    """
    from markupsafe import Markup, escape

    parts = re.split(r"(?<=[_/])(?=\w)", name)
    return Markup("<wbr>").join(escape(part) for part in parts)


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


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
        "breakable": breakable,
    }
    return environment
