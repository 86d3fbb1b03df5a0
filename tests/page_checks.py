"""What every page must be in a real browser: no text over text, none cut without a title, legible, from disk alone.

Other programs use it by `from page_checks import ...`; each check returns what is wrong, so that a test compares with [].
"""

import base64
import re
from pathlib import Path
from typing import Any

_WIDTHS = {"phone": 400, "desk": 1366, "print": 720}

_BOXES = """
const boxes = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node = walker.nextNode(); node; node = walker.nextNode()) {
  const parent = node.parentElement;
  if (!node.data.trim() || ["SCRIPT", "STYLE", "OPTION", "title"].includes(parent.tagName)) continue;
  if (!parent.checkVisibility({checkOpacity: true, checkVisibilityCSS: true})) continue;
  // The box of a slanted word is larger than the word; slanted words stand a line's height apart.
  if ((parent.getAttribute("transform") || "").includes("rotate")) continue;
  // What lies outside of a scrolled box is not seen.
  let left = -1e9, right = 1e9, top = -1e9, bottom = 1e9;
  for (let box = parent; box && box !== document.body; box = box.parentElement) {
    const style = getComputedStyle(box);
    if (!["auto", "scroll", "hidden"].includes(style.overflowX) || box instanceof SVGElement) continue;
    const area = box.getBoundingClientRect();
    left = Math.max(left, area.left); right = Math.min(right, area.right);
    top = Math.max(top, area.top); bottom = Math.min(bottom, area.bottom);
  }
  const range = document.createRange();
  range.selectNodeContents(node);
  for (const area of range.getClientRects()) {
    const box = {x: Math.max(area.left, left), X: Math.min(area.right, right),
                 y: Math.max(area.top, top), Y: Math.min(area.bottom, bottom), text: node.data.trim(), parent};
    if (box.X - box.x > 1 && box.Y - box.y > 1) boxes.push(box);
  }
}
"""

_OVERLAPS = (
    _BOXES
    + """
boxes.sort((one, other) => one.y - other.y);
const found = [];
for (let i = 0; i < boxes.length; i++) {
  for (let j = i + 1; j < boxes.length && boxes[j].y < boxes[i].Y - 3; j++) {
    const wide = Math.min(boxes[i].X, boxes[j].X) - Math.max(boxes[i].x, boxes[j].x);
    const high = Math.min(boxes[i].Y, boxes[j].Y) - Math.max(boxes[i].y, boxes[j].y);
    // A line's box is higher than its letters, so a few pixels of two lines may meet.
    if (wide > 2 && high > 5 && boxes[i].parent !== boxes[j].parent)
      found.push(`${boxes[i].text.slice(0, 40)} / ${boxes[j].text.slice(0, 40)}`);
  }
}
return found.slice(0, 10);
"""
)

_CUTS = """
const found = [];
for (const text of document.querySelectorAll("svg text")) {
  if (!text.checkVisibility()) continue;
  const area = text.getBoundingClientRect(), picture = text.ownerSVGElement.getBoundingClientRect();
  const clipped = getComputedStyle(text.ownerSVGElement).overflow !== "visible";
  const outside = clipped && (area.left < picture.left - 1 || area.right > picture.right + 1);
  const shortened = text.textContent.includes("…");
  if ((outside || shortened) && !text.querySelector("title")) found.push(text.textContent.slice(0, 60));
}
for (const box of document.querySelectorAll("main *, body > p, h1, h2, h3")) {
  const style = getComputedStyle(box);
  if (box instanceof SVGElement || !box.checkVisibility()) continue;
  if (style.overflowX === "hidden" && box.scrollWidth > box.clientWidth + 1 && !box.title)
    found.push(box.textContent.slice(0, 60));
}
return found.slice(0, 10);
"""

_CONTRASTS = (
    _BOXES
    + """
const parts = (color) => {
  const found = color.match(/[\\d.]+/g).map(Number);
  return found.length > 3 ? found : [...found, 1];
};
const over = (front, alpha, back) => front.map((value, k) => value * alpha + back[k] * (1 - alpha));
const light = (color) => {
  const [r, g, b] = color.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const paper = (element) => {
  // From the page up: every box that has a color lies over what is behind it.
  const chain = [];
  for (let box = element; box; box = box.parentElement) chain.unshift(box);
  let back = [255, 255, 255];
  for (const box of chain) {
    const [r, g, b, alpha] = parts(getComputedStyle(box).backgroundColor);
    back = over([r, g, b], alpha, back);
    // A cell of a picture has its color in a rectangle beside its text.
    const cell = box.tagName === "g" && box.querySelector(":scope > rect");
    if (cell) {
      const style = getComputedStyle(cell);
      const [R, G, B, A] = parts(style.fill === "none" ? "rgba(0, 0, 0, 0)" : style.fill);
      back = over([R, G, B], A * Number(style.fillOpacity), back);
    }
  }
  return back;
};
const found = new Map();
for (const {text, parent} of boxes) {
  const style = getComputedStyle(parent);
  const back = paper(parent);
  const [r, g, b, alpha] = parts(parent instanceof SVGElement ? style.fill : style.color);
  const [low, high] = [light(over([r, g, b], alpha, back)), light(back)].sort((one, other) => one - other);
  const ratio = (high + 0.05) / (low + 0.05);
  if (ratio < 4.5) found.set(`${parent.tagName}.${parent.getAttribute("class") || ""}`, `${ratio.toFixed(2)} ${text.slice(0, 40)}`);
}
return [...found].map((entry) => entry.join(" "));
"""
)

_FETCHED = """
return [...document.querySelectorAll("[src], link[href], object, iframe, use")]
  .map((element) => element.getAttribute("src") || element.tagName).filter((address) => !address.startsWith("data:"));
"""


def faults(browser: Any, page: Path, *, scheme: str = "light") -> list[str]:
    """Return everything that is wrong with a page on a phone, at a desk and on paper."""
    found: list[str] = []
    for name, width in _WIDTHS.items():
        _look(browser, page, width=width, media="print" if name == "print" else "screen", scheme=scheme)
        if browser.execute_script("return document.documentElement.scrollWidth > window.innerWidth + 1"):
            found.append(f"{name}: the page scrolls sideways")
        for kind, script in (("text over text", _OVERLAPS), ("cut", _CUTS), ("contrast", _CONTRASTS)):
            found += [f"{name}: {kind}: {entry}" for entry in browser.execute_script(script)]
        found += [f"{name}: {entry['message']}" for entry in browser.get_log("browser")]
        found += [f"{name}: fetched {address}" for address in browser.execute_script(_FETCHED)]
    _forget(browser)
    return found


def printed_pages(browser: Any, page: Path) -> int:
    """Return on how many sheets of A4 the page is printed."""
    browser.get(page.as_uri())
    result = browser.execute_cdp_cmd("Page.printToPDF", {"paperWidth": 8.27, "paperHeight": 11.69})
    return len(re.findall(rb"/Type\s*/Page[^s]", base64.b64decode(result["data"])))


def _look(browser: Any, page: Path, *, width: int, media: str, scheme: str) -> None:
    browser.get_log("browser")
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
    browser.get(page.as_uri())


def _forget(browser: Any) -> None:
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
