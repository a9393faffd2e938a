"""What a link to a demo shows where it is shared, and the icon of its page: in place of Gradio's own.

Gradio's page says that it is by Gradio, and has a picture on somebody else's server. (https://ogp.me)
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jinja2 import BaseLoader, Environment

ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#2563eb"/>'
    '<path d="M6 23l7-8 5 4 8-11" fill="none" stroke="#fff" stroke-width="3.5" stroke-linecap="round" '
    'stroke-linejoin="round"/></svg>'
)
ICON_ADDRESS, PICTURE_ADDRESS = "/favicon.ico", "/picture.png"
GRADIOS = re.compile(r'<meta\s+(?:property="og:|name="twitter:)[^>]*>\s*')
OURS = f"""<head>
{{% set link = request.app.link %}}
<title>{{{{ link.title }}}}</title>
<link rel="icon" type="image/svg+xml" href=".{ICON_ADDRESS}">
<meta name="description" content="{{{{ link.description }}}}">
<meta property="og:type" content="website">
<meta property="og:title" content="{{{{ link.title }}}}">
<meta property="og:description" content="{{{{ link.description }}}}">
{{% if link.picture %}}
<meta property="og:image" content="{{{{ config['root'] }}}}{PICTURE_ADDRESS}">
<meta property="og:image:alt" content="{{{{ link.description }}}}">
<meta name="twitter:card" content="summary_large_image">
{{% endif %}}"""


@dataclass(frozen=True)
class Link:
    """What a shared link shows; `picture` is a PNG file's content, of 1200 to 630 pixels."""

    title: str
    description: str = ""
    picture: bytes | None = None


class OwnTags(BaseLoader):
    """Gradio's templates with our tags in their heads."""

    def __init__(self, inner: BaseLoader):
        self.inner = inner

    def get_source(self, environment: Environment, template: str) -> tuple[str, str | None, Callable[[], bool] | None]:
        source, file, is_fresh = self.inner.get_source(environment, template)
        return GRADIOS.sub("", source).replace("<head>", OURS, 1), file, is_fresh


def link_of(blocks: Any) -> Link:
    """What a page's attribute `link` says; its title alone where it has none."""
    found: Link = getattr(blocks, "link", Link(blocks.title))
    return found
