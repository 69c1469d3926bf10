"""A page as a parser reads it, independent of what wrote it."""

from html.parser import HTMLParser


class Read(HTMLParser):
    """What a page is made of: its tags in order, and the text of each."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.tags, self.text, self.inline, self._in = [], [], [], None
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._in = (tag, dict(attrs))

    def handle_endtag(self, tag):
        self.tags.append((f"/{tag}", {}))
        self._in = None

    def handle_data(self, data):
        if self._in and self._in[0] in ("script", "style"):
            self.inline.append((*self._in, data))
        else:
            self.text.append(data)

    @property
    def skeleton(self):
        """Tags with the names of their attributes, without any value."""
        return [(tag, tuple(attributes)) for tag, attributes in self.tags]

    @property
    def attributes(self):
        return [(tag, *pair) for tag, attributes in self.tags for pair in attributes.items()]
