"""The look of every demo: Gradio's theme with local fonts, and the CSS on top of it."""

import gradio as gr

from common.reporting.report import TEMPLATES

CSS_FILE = TEMPLATES / "report.css"
CSS = """
.gradio-container { width: 100%; max-width: 68rem !important; margin: 0 auto !important; }
.answer { font-size: 1.05rem; line-height: 1.5; min-height: 8.5rem; padding: .9rem 1.1rem;
  border: 1px solid var(--border-color-primary); border-radius: 8px; }
.answer .label { font-size: 1.6rem; font-weight: 600; margin: 0 0 .2rem; overflow-wrap: anywhere; }
.answer p { margin: .25rem 0; }
.answer .bars { display: grid; grid-template-columns: fit-content(45%) 1fr max-content; gap: .2rem .8rem;
  align-items: center; font-size: .95rem; }
.answer .bars span { overflow-wrap: anywhere; }
.answer .track { height: .55rem; background: var(--border-color-primary); border-radius: 4px; }
.answer .track i { display: block; height: 100%; background: #2563eb; border-radius: 4px; }
.answer .bars .value { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
button[role="tab"].selected { color: var(--primary-700); }
.dark button[role="tab"].selected { color: var(--primary-300); }
.picture img { width: 100% !important; height: 100% !important; object-fit: contain; }
.quiet { opacity: .85; font-size: .92rem; }
.dark .marked .text { color: #fff !important; }
.prose pre, .prose pre code { white-space: pre-wrap !important; overflow-wrap: anywhere; }
.prose table { display: block; overflow-x: auto; }
.prose th, .prose td { overflow-wrap: normal; word-break: normal; }
footer a, footer button { text-decoration: underline; }
"""


def theme() -> gr.themes.Base:
    """Gradio's own look with fonts that every system has: nothing is fetched from elsewhere."""
    return gr.themes.Default(
        primary_hue=gr.themes.colors.blue,
        neutral_hue=gr.themes.colors.slate,
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    ).set(
        # White on these reaches the contrast of 4.5 that WCAG 2.2 asks for.
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_600",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
    )
