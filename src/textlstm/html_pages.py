"""HTML pages from templates: everything from outside is escaped, and the one style sheet is allowed by its digest."""

import base64
import hashlib
from collections.abc import Mapping
from importlib.resources import files

from textlstm.figure_text import counted, fixed, percent_text, score_text


def fill_template(package: str, template: str, *, style: str, values: Mapping[str, object]) -> str:
    """Return the page of `template` with `values`.

    The template also gets `style`, the text of the style sheet, and `style_hash`, its SHA-256 in base64 for the
    page's content security policy.

    Args:
        package: the package that holds the folder `templates`.
        template: name of a file in that folder.
        style: name of the style sheet beside it.
        values: what the template asks for; a name without a value is an error.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    # The style sheet goes into the page, and its digest into the policy that allows it.
    sheet = (files(package) / "templates" / style).read_text(encoding="utf-8")
    # Escape every value, and fail on a name that has none.
    environment = Environment(
        loader=PackageLoader(package, "templates"),
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
    digest = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode()
    return environment.get_template(template).render({**values, "style": sheet, "style_hash": digest})
