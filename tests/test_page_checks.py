"""Negative controls of `page_checks`: each check sees the fault that it is for."""

from pathlib import Path
from typing import Any

import pytest

from page_checks import faults

GOOD = "<main><p>one line</p><p>another line</p></main>"
BAD = {
    "text over text": '<main><p style="position:absolute;top:9px">under</p><p style="position:absolute;top:9px">over</p></main>',
    "cut": '<main><p style="overflow:hidden;width:40px;white-space:nowrap">a name that is much too long</p></main>',
    "contrast": '<main><p style="color:#aaa">grey on white</p></main>',
    "fetched": '<main><img src="none.png" alt=""></main>',
    "scrolls sideways": '<main><p style="width:3000px">wide</p></main>',
    "on purpose": "<main></main><script>throw new Error('on purpose')</script>",
}


def written(folder: Path, content: str) -> Path:
    path = folder / "page.html"
    path.write_text(f"<!doctype html><meta charset=utf-8><title>t</title><body>{content}", encoding="utf-8")
    return path


def test_a_plain_page_has_no_faults(browser: Any, tmp_path: Path) -> None:
    assert faults(browser, written(tmp_path, GOOD)) == []


@pytest.mark.parametrize("fault", list(BAD))
def test_each_check_sees_its_fault(browser: Any, tmp_path: Path, fault: str) -> None:
    found = faults(browser, written(tmp_path, BAD[fault]))
    assert any(fault in entry for entry in found), found
