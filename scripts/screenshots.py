"""Takes the screenshots in docs/ with a real browser, so that each can be taken again when a page changes.

    python scripts/screenshots.py tensorboard              docs/tensorboard.png and docs/tensorboard_hparams.png
    python scripts/screenshots.py page report.html docs/report.png --width 830
    python scripts/screenshots.py demo http://127.0.0.1:5006   docs/demo.png, docs/demo_phone.png; make demo runs

It needs a browser and what drives it: apt-get install chromium, or playwright install chromium; pip install playwright.
"""

import argparse
import io
import math
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from cnnlab.cli import console

DOCS = Path(__file__).resolve().parents[1] / "docs"
NUM_COLOURS = 128
# TIME SERIES as people see it: charts as SVG, because a browser without a graphics card draws none with WebGL, and
# cards of a width of which two fit beside each other.
TIME_SERIES = "?darkMode=false&forceSVG=true#timeseries"
HPARAMS = "?darkMode=false#hparams"

Stroke = list[tuple[float, float]]


def arc(x: float, y: float, width: float, height: float, first: float, last: float) -> Stroke:
    """Points of an ellipse around (x, y) with these half axes, from one angle to another in degrees."""
    angles = [math.radians(first + (last - first) * step / 24) for step in range(25)]
    return [(x + width * math.cos(angle), y + height * math.sin(angle)) for angle in angles]


# The strokes of a number and of a digit, x and y from 0 to 1.
NUMBER = [
    [(0.10, 0.38), (0.16, 0.32), (0.16, 0.68)],
    [*arc(0.345, 0.41, 0.07, 0.09, 0, -360), (0.415, 0.41), (0.40, 0.68)],
    [*arc(0.60, 0.41, 0.06, 0.085, 90, -270), *arc(0.60, 0.59, 0.07, 0.095, -90, 270)],
    [(0.82, 0.32), (0.78, 0.52), (0.93, 0.52)],
    [(0.89, 0.38), (0.88, 0.69)],
]
THREE = [[*arc(0.48, 0.34, 0.15, 0.16, -150, 90), *arc(0.48, 0.67, 0.18, 0.17, -90, 150)]]


@console.script()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    board = kinds.add_parser("tensorboard", help="TIME SERIES and HPARAMS of the runs in a folder")
    board.add_argument("--logdir", default="outputs/runs", help="a folder with about five runs")
    digits = kinds.add_parser("demo", help="the digit page with a number and on a phone")
    digits.add_argument("address", help="what make demo prints")
    page = kinds.add_parser("page", help="any address or HTML file")
    page.add_argument("source", help="an address or a file")
    page.add_argument("target", type=Path, help="the PNG file")
    page.add_argument("--width", type=int, default=1280)
    page.add_argument("--height", type=int, default=0, help="0 for the whole page")
    page.add_argument("--seconds", type=float, default=2.0, help="how long the page may take to draw itself")
    arguments = parser.parse_args()
    with browser() as chromium:
        if arguments.kind == "tensorboard":
            shoot_tensorboard(chromium, arguments.logdir)
        elif arguments.kind == "demo":
            desk = {"viewport": {"width": 1280, "height": 800}}
            phone = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
            shoot_demo(chromium.new_context(**desk).new_page(), arguments.address, NUMBER, 4, DOCS / "demo.png")
            shoot_demo(chromium.new_context(**phone).new_page(), arguments.address, THREE, 6, DOCS / "demo_phone.png")
        else:
            source = arguments.source
            address = source if "://" in source else Path(source).resolve().as_uri()
            opened = chromium.new_page(viewport={"width": arguments.width, "height": arguments.height or 800})
            opened.goto(address)
            opened.wait_for_timeout(1000 * arguments.seconds)
            save(opened, arguments.target, whole=arguments.height == 0)


@contextmanager
def browser() -> Iterator[Any]:
    """Start the machine's Chromium, or else the one that playwright has installed."""
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        sys.exit("error: screenshots need a browser: pip install playwright; apt-get install chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        yield chromium
        chromium.close()


def shoot_tensorboard(chromium: Any, logdir: str) -> None:
    with tensorboard(logdir) as address:
        page = chromium.new_page(viewport={"width": 1280, "height": 1140})
        page.goto(address + TIME_SERIES)
        page.get_by_text("1_epochs/val/accuracy").wait_for()
        page.get_by_role("button", name="Settings").click()  # which closes that pane
        page.wait_for_timeout(5000)
        save(page, DOCS / "tensorboard.png")
        page = chromium.new_page(viewport={"width": 1680, "height": 480})
        page.goto(address + HPARAMS)
        page.get_by_text("TinyVGG").first.wait_for()
        page.wait_for_timeout(3000)
        save(page, DOCS / "tensorboard_hparams.png")


def shoot_demo(page: Any, address: str, strokes: list[Stroke], pen: int, target: Path) -> None:
    """Draw with the mouse and wait for the answer. The page's security policy forbids waiting for a function."""
    page.goto(address)
    page.wait_for_selector("#title:not(:has-text('being loaded'))", timeout=120_000)
    page.locator("#width").fill(str(pen))
    box = page.locator("#canvas").bounding_box()
    for stroke in strokes:
        points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point)
        page.mouse.up()
    page.wait_for_timeout(2500)
    save(page, target)


@contextmanager
def tensorboard(logdir: str) -> Iterator[str]:
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", logdir, "--host", "127.0.0.1", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        try:
            yield next(found[0] for line in server.stderr if (found := re.search(r"http://127\S+", line)))
        finally:
            server.kill()


def save(page: Any, target: Path, whole: bool = False) -> None:
    """Write a PNG with few colours, which is a third as large and looks the same."""
    picture = Image.open(io.BytesIO(page.screenshot(full_page=whole))).convert("RGB")
    picture.quantize(NUM_COLOURS, dither=Image.Dither.NONE).save(target, optimize=True)
    print(f"{target}  {picture.width}x{picture.height}  {target.stat().st_size // 1000} KB")


if __name__ == "__main__":
    main()
