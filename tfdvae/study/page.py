"""A report in Markdown to one HTML page, with its pictures inside."""

import base64
import re
from html import escape

import markdown

STYLE = """body { max-width: 65rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 sans-serif; color: #111; background: #fff }
p, li { overflow-wrap: anywhere }
img { max-width: 100% } table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto; font-size: 0.8rem }
th, td { border-bottom: 1px solid #bbb; padding: 0.25rem 0.4rem; text-align: left; vertical-align: bottom } td { white-space: nowrap }
@media print { body { font-size: 10pt } table { display: table; font-size: 7pt } th, td { padding: 1pt 2pt } pre { white-space: pre-wrap } }
code { background: #f2f2f2; padding: 0 0.2rem } pre { overflow-x: auto; background: #f2f2f2; padding: 0.5rem } pre code { padding: 0 }"""


def html(text, folder, title):
    """Return the report as one HTML page, with its pictures inside."""

    def inside(match):
        content = base64.b64encode((folder / match[2]).read_bytes()).decode()
        return f'{match[1]}src="data:image/png;base64,{content}"'

    page = markdown.Markdown(extensions=["tables", "fenced_code"])
    page.ESCAPED_CHARS += "$~"  # as GitHub does
    body = re.sub(r'(<img [^>]*)src="([^"]+\.png)"', inside, page.convert(text))
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title><style>{STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>\n'
