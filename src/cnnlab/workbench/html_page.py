"""What the HTML pages of runs and of studies have in common: one style, and figures inside of the one file."""

import base64
import html
from pathlib import Path


def style() -> str:
    """The style sheet, for light and dark screens of any width."""
    return Path(__file__).with_name("page.css").read_text(encoding="utf-8")


def escaped(text: str) -> str:
    """The text as it stands, whatever it holds."""
    return html.escape(text, quote=True)


def inlined_figure(png: bytes, caption: str) -> str:
    """A figure above its caption."""
    image = (
        f'<img src="data:image/png;base64,{base64.b64encode(png).decode()}" alt="{escaped(caption)}" loading="lazy">'
    )
    return f"<figure>{image}<figcaption>{escaped(caption)}</figcaption></figure>"
