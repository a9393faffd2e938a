"""A pad to draw on with finger, pen or mouse: a canvas of its own, because Gradio's editor is a paint program.

The drawing travels as a data URL, and comes back as a PNG file like any upload.
"""

import base64
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from common.system.errors import UserError

SIDE = 280
# A stroke is so wide as that of a pen on a small card: MNIST's are a twelfth of the side.
STROKE = SIDE // 12
# In base64; the plainest drawing has 2,000, the fullest that anybody draws 40,000.
LONGEST = 200_000
PREFIX = "data:image/png;base64,"

CSS = """
.pad { display: flex; flex-direction: column; align-items: flex-start; gap: .6rem; }
.pad canvas { width: min(280px, 100%); border: 1px solid var(--body-text-color-subdued); border-radius: 8px;
  touch-action: none; cursor: crosshair; }
.pad button { font: inherit; color: var(--body-text-color); background: var(--button-secondary-background-fill);
  border: 1px solid var(--border-color-primary); border-radius: 8px; padding: .35rem 1rem; cursor: pointer; }
"""
DRAW = """
const canvas = element.querySelector('canvas'), pen = canvas.getContext('2d');
const clear = () => { pen.fillStyle = canvas.dataset.ground; pen.fillRect(0, 0, canvas.width, canvas.height); };
const place = event => {
  const box = canvas.getBoundingClientRect();
  return [(event.clientX - box.left) * canvas.width / box.width,
    (event.clientY - box.top) * canvas.height / box.height];
};
const line = (from, to) => { pen.beginPath(); pen.moveTo(...from); pen.lineTo(...to); pen.stroke(); };
let last = null;
canvas.addEventListener('pointerdown', event => {
  canvas.setPointerCapture(event.pointerId); last = place(event); line(last, last);
});
canvas.addEventListener('pointermove', event => {
  if (last) { const now = place(event); line(last, now); last = now; }
});
for (const end of ['pointerup', 'pointercancel']) canvas.addEventListener(end, () => { last = null; });
element.querySelector('button').addEventListener('click', clear);
Object.assign(pen, {lineWidth: Number(canvas.dataset.stroke), lineCap: 'round', lineJoin: 'round',
  strokeStyle: canvas.dataset.ink});
clear();
"""
# On a phone an open pad would stand before the answer, and draw where a finger means to scroll.
FOLD = "() => { if (window.innerWidth < 640) document.querySelector('.drawing button.open')?.click(); }"
# In the browser, in place of the event's input.
READ = "() => [document.querySelector('.pad canvas').toDataURL('image/png')]"


def pad(ground: str) -> None:
    """The pad, of a black or a white ground, with a button that clears it."""
    ink = "white" if ground == "black" else "black"
    colours = f'data-ground="{ground}" data-ink="{ink}" data-stroke="{STROKE}"'
    canvas = f'<canvas width="{SIDE}" height="{SIDE}" role="img" aria-label="A pad to draw on" {colours}></canvas>'
    gr.HTML(f'<div class="pad">{canvas}<button type="button">Clear</button></div>', css_template=CSS, js_on_load=DRAW)


def save(drawing: Any, file: Path) -> None:
    """Write what `READ` gave as a PNG file.  Raises UserError where it is no drawing."""
    if not isinstance(drawing, str) or not drawing.startswith(PREFIX) or len(drawing) > LONGEST:
        raise UserError("This is no drawing from the pad: draw one, or upload a picture.")
    try:
        file.write_bytes(base64.b64decode(drawing.removeprefix(PREFIX), validate=True))
        with Image.open(file, formats=["PNG"]) as image:
            if image.size != (SIDE, SIDE):
                raise ValueError(image.size)
            extremes = image.convert("L").getextrema()
    except Exception:  # what Pillow's parsers raise is written nowhere
        raise UserError("This is no drawing from the pad: draw one, or upload a picture.") from None
    if extremes[0] == extremes[1]:
        raise UserError("There is no drawing yet: draw one first.")
