"""HTML as the services keep it: unknown tags and attributes go, text stays."""

import html
import re
from html.parser import HTMLParser

TEAMS = set("a at attachment b blockquote br code codeblock customemoji div em emoji h1 h2 h3 hr i img li ol p pre s span strike strong sub sup systemeventmessage table tbody td th thead tr u ul".split())
OUTLOOK = TEAMS | set("html head body meta title style font center h4 h5 h6 small tfoot colgroup col caption dl dt dd big tt".split())
ATTRIBUTES = set("alt bgcolor border align cellpadding cellspacing class colspan content dir height href http-equiv id itemid itemscope itemtype lang name rowspan size src style tabindex title valign width".split())
# what is in these is no text
DROPPED = {"script", "object", "iframe", "applet", "embed", "form", "noscript"}
VOID = {"br", "hr", "img", "meta", "col"}


class Sanitiser(HTMLParser):
    def __init__(self, tags):
        super().__init__(convert_charrefs=False)
        self.tags, self.out, self.dropping = tags, [], []

    def handle_starttag(self, tag, attributes):
        if tag in DROPPED and tag not in ("embed",):
            self.dropping.append(tag)
        if self.dropping or tag not in self.tags:
            return
        kept = [
            f' {name}="{html.escape(value or "", quote=True)}"'
            for name, value in attributes
            if name in ATTRIBUTES and not (value or "").strip().lower().startswith(("javascript:", "vbscript:"))
        ]
        self.out.append(f"<{tag}{''.join(kept)}>")

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID and tag in self.tags and not self.dropping:
            self.out.append(f"</{tag}>")
        if self.dropping and self.dropping[-1] == tag:
            self.dropping.pop()

    def handle_endtag(self, tag):
        if self.dropping:
            if self.dropping[-1] == tag:
                self.dropping.pop()
            return
        if tag in self.tags and tag not in VOID:
            self.out.append(f"</{tag}>")

    def handle_data(self, data):
        if not self.dropping:
            self.out.append(html.escape(data, quote=False))

    def handle_entityref(self, name):
        self.handle_data(html.unescape(f"&{name};"))

    def handle_charref(self, name):
        self.handle_data(html.unescape(f"&#{name};"))


def sanitised(text, tags):
    parser = Sanitiser(tags)
    parser.feed(text)
    parser.close()
    return "".join(parser.out)


class Text(HTMLParser):
    def __init__(self):
        super().__init__()
        self.out, self.hidden = [], 0

    def handle_starttag(self, tag, attributes):
        self.hidden += tag in ("style", "script", "title")
        if tag in ("br", "p", "div", "hr", "tr", "li"):
            self.out.append("\r\n")

    def handle_endtag(self, tag):
        self.hidden -= tag in ("style", "script", "title")

    def handle_data(self, data):
        if not self.hidden:
            self.out.append(data)


def text_of(markup):
    parser = Text()
    parser.feed(markup)
    parser.close()
    return "".join(parser.out).strip()


def preview(body):
    """The first 255 characters of the text."""
    content = body.get("content", "")
    text = text_of(content) if body.get("contentType") == "html" else content
    return re.sub(r"[ \t]+", " ", text).strip()[:255]


def wrapped(content):
    """As Exchange keeps HTML: a whole document."""
    if re.search(r"<html\b", content, re.I):
        return content
    return (
        '<html><head>\r\n<meta http-equiv="Content-Type" content="text/html; charset=utf-8"></head><body>'
        f"{content}</body></html>"
    )
