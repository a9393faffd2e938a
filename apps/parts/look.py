"""The look of every demo: Gradio's theme with local fonts, and the CSS on top of it."""

import gradio as gr

from common.reporting.report import TEMPLATES

# Those of the report, for the evidence.
CSS_FILES = (TEMPLATES / "report.css", TEMPLATES / "browser.css")
CSS = """
.gradio-container { width: 100%; max-width: 70rem !important; margin: 0 auto !important; }
.report { max-width: 100%; margin: 0;
  --amber: light-dark(#92400e, #fcd34d); --amber-ground: light-dark(#fef3c7, #3a2a0b); }
.html-container { padding: 0 !important; }

/* The first screen. */
.report.first h1 { font-size: clamp(1.5rem, 3.2vw, 2.1rem); line-height: 1.2; font-weight: 700; margin: .2rem 0 .3rem; }
.report.first p { margin: .15rem 0; max-width: none; }
.report.first .byline { color: var(--muted); }
.report.first .byline b { color: var(--ink); font-weight: 600; }
.report.first .byline a { color: var(--accent); text-decoration: underline; }
.report.first .result { font-size: 1.05rem; margin-top: .6rem; }

/* An answer. */
.answer { font-size: 1.02rem; line-height: 1.45; padding: .9rem 1.1rem; border-style: solid !important;
  border-width: 1px 1px 1px 6px !important; border-color: var(--line) var(--line) var(--line) var(--bar);
  border-radius: 8px; }
.answer.unsure { border-color: var(--amber); background: var(--amber-ground); }
.answer .label { font-size: 1.6rem; font-weight: 650; line-height: 1.2; margin: 0 0 .15rem; overflow-wrap: anywhere; }
.answer.unsure .label { color: var(--amber); }
.answer.unsure .label::before { content: "?"; display: inline-block; width: 1.25em; line-height: 1.25em;
  margin-right: .4em; border-radius: 50%; text-align: center; color: var(--amber-ground); background: var(--amber); }
.answer p { margin: .25rem 0; overflow-wrap: anywhere; }
.answer .beside { border-top: 1px solid var(--line); margin-top: .6rem; padding-top: .4rem; font-size: .95rem; }
.answer.unsure .beside { border-color: color-mix(in srgb, var(--amber) 35%, transparent); }
.answer .nearest { list-style: none; padding: 0; margin: .2rem 0 0; }
.answer .nearest li { margin: .3rem 0; padding: 0; max-width: none; overflow-wrap: anywhere; }
.answer .nearest:has(img) { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; }
.answer .nearest img { display: inline-block; vertical-align: middle; height: 3rem; width: auto; border-radius: 4px;
  margin: 0 0 0 .4rem; }
.answer .took { margin-top: .5rem; }
.answer .bars { display: grid; grid-template-columns: fit-content(45%) 1fr max-content; gap: .25rem .8rem;
  align-items: center; font-size: .95rem; margin: .6rem 0 .3rem; }
.answer .bars span { overflow-wrap: anywhere; }
.answer .track { position: relative; height: .6rem; border-radius: 4px;
  background: color-mix(in srgb, var(--ink) 14%, transparent); }
.answer .track i { display: block; height: 100%; border-radius: 4px;
  background: color-mix(in srgb, var(--ink) 45%, transparent); }
.answer .bars > .track:nth-child(2) i { background: var(--bar); }
.answer.unsure .bars > .track:nth-child(2) i { background: var(--amber); }
.answer .track u { position: absolute; top: -.2rem; bottom: -.2rem; width: 2px; background: var(--ink); }
.answer .bars .value { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.truth { margin: 0 0 .5rem !important; padding: .5rem 1.1rem; border-radius: 8px; border-left: 6px solid var(--line);
  background: color-mix(in srgb, var(--ink) 7%, transparent); overflow-wrap: anywhere; }
.truth.right { border-color: var(--good); background: var(--good-ground); color: var(--good); }
.truth.wrong { border-color: var(--bad); background: var(--bad-ground); color: var(--bad); }
.truth b { color: inherit; }

/* A loss is as loud as a gain; several sets may need more than a line. */
.first .pill.clause { white-space: normal; border-radius: 8px; padding: 0 .5rem; }

/* A sentence says what was wrong: nothing has to stand over the answer that is still there. */
[data-testid="status-tracker"]:has(> .error) { display: none !important; }

/* Why: the input, shaded. */
.why { font-size: 1.02rem; line-height: 1.5; }
.why .shaded { line-height: 2; white-space: pre-wrap; overflow-wrap: anywhere; margin: .3rem 0; }
.why mark { color: inherit; border-radius: 4px; padding: .1rem .2rem; margin: 0 -.1rem; }
.why mark.supports { background: color-mix(in srgb, var(--bar) calc(8% + 42% * var(--weight)), transparent); }
.why mark.opposes { text-decoration: underline dotted 2px; text-underline-offset: .25em;
  background: color-mix(in srgb, light-dark(#ea580c, #f59e0b) calc(8% + 42% * var(--weight)), transparent); }
.why img.light { display: block; width: min(100%, 22rem); border-radius: 8px; }
.why summary { cursor: pointer; }

/* Gradio puts its own classes into each part of a selector with commas, so that it beats what comes later. */
.report .chart svg polyline { fill: none !important; }

/* Examples, tabs, tables. */
.examples { gap: .4rem !important; }
.examples button, .why-button { background: none; border: 1px solid var(--border-color-primary); font-weight: 400;
  font-size: .9rem; color: var(--body-text-color); }
.examples button { justify-content: flex-start; text-align: left; white-space: normal; line-height: 1.35; gap: .6rem;
  padding: .4rem .7rem; overflow-wrap: anywhere; }
.examples button.failure { border-left: 4px solid #c2410c; }
:is(.examples button, .why-button):hover { border-color: var(--primary-500); }
.examples button img { width: 2.6rem; height: 2.6rem; object-fit: contain; border-radius: 4px; margin: 0; }
.examples.pictures { flex-direction: row !important; flex-wrap: wrap !important; }
.examples.pictures button { flex: 1 1 9rem; }
.why-button { align-self: flex-start; width: auto; flex: none; padding: .4rem .9rem; }
button[role="tab"] { min-height: 2.5rem; }
button[role="tab"].selected { color: var(--primary-700); box-shadow: inset 0 -2px currentcolor !important; }
.dark button[role="tab"].selected { color: var(--primary-300); }
.picture img { width: 100% !important; height: 100% !important; object-fit: contain; }
.dark :is(img.lesson, #plane img) { filter: invert(.93) hue-rotate(180deg); }
.quiet { opacity: .85; font-size: .9rem; }
.prose pre, .prose pre code { white-space: pre-wrap !important; overflow-wrap: anywhere; }
.prose table { display: block; overflow-x: auto; border: 0 !important; }
.prose :is(table, tr) { border: 0 !important; background: none !important; }
.prose :is(th, td) { overflow-wrap: normal; word-break: normal; border: 0 !important;
  border-bottom: 1px solid var(--border-color-primary) !important; }
footer a, footer button { text-decoration: underline; }
footer :is(.divider, img) { display: none; }
@media (max-width: 44rem) {
  .gradio-container main { padding-left: .8rem !important; padding-right: .8rem !important; }
  .tab-container button { padding: 0 .6rem !important; }
  .prose :is(thead, td:empty) { display: none !important; }
  .prose :is(table, tbody, tr) { display: block; }
  .prose table tr { padding: .5rem 0; border-bottom: 1px solid var(--border-color-primary) !important; }
  .prose table td { display: block; border: 0 !important; padding: 0 !important; text-align: left !important; }
  .prose td:first-child { font-weight: 600; }
  .prose td:not(:first-child)::before { content: attr(data-name) ": "; color: var(--body-text-color-subdued); }
}
@media (pointer: coarse) {
  .report :is(.byline a, summary), footer :is(a, button), :is(.examples button, .why-button, .pad button) {
    min-height: 44px; }
  .report .byline a, footer a { display: inline-flex; align-items: center; }
}
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
