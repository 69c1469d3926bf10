"""A small, safe XML reader: no DOCTYPE, bounded size, depth and names, namespaces only noted.

Standard library expat only; it is not asked to expand namespaces, since a long one would be copied
for every element. Text of elements never enters a message except where the caller puts it there,
because headers carry names of patients.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from ultrahand.errors import InputError

MAX_BYTES: Final = 8 * 2**20
MAX_DEPTH: Final = 40
MAX_ELEMENTS: Final = 100_000
MAX_NAME: Final = 100
"""Characters of an element's name."""
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")


@dataclass(slots=True)
class Node:
    """One element: local name, text, children in order."""

    name: str
    path: str
    """Names from the root, for messages: ``encoding/encodedSpace/matrixSize``."""
    namespace: str
    """As the element itself declares it; empty where it does not."""
    children: list[Node] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.parts).strip()

    def all(self, name: str) -> list[Node]:
        """Return the children of that name, in order."""
        return [child for child in self.children if child.name == name]

    def one(self, name: str) -> Node | None:
        """Return the only child of that name, or None; two contradict each other."""
        found = self.all(name)
        if len(found) > 1:
            raise InputError(
                f"xml {self.path}/{name}",
                found=f"{len(found)} elements",
                expected="at most one",
                remedy="remove the duplicate from the header",
            )
        return found[0] if found else None


def parse(document: bytes) -> Node:
    """Parse a document into its root element.

    Raises
    ------
    InputError
        Empty, larger than `MAX_BYTES`, a DOCTYPE, deeper than `MAX_DEPTH`, or not well-formed.
    """
    if len(document) > MAX_BYTES:
        raise _refuse(f"{len(document)} bytes", f"at most {MAX_BYTES}")
    if not document.startswith(_UTF16):
        document = document.rstrip(b"\0 \t\r\n")
    if not document:
        raise _refuse("an empty document", "an ismrmrdHeader")
    builder = _Builder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = builder.doctype
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    try:
        parser.Parse(document, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise _refuse(f"no well-formed XML ({error})", "an ismrmrdHeader") from None
    return builder.root.children[0]


class _Builder:
    """Collects elements while expat reads."""

    def __init__(self) -> None:
        self.root = Node(name="", path="", namespace="")
        self.open = [self.root]
        self.count = 0

    def doctype(self, *_: object) -> None:
        raise _refuse("a DOCTYPE declaration", "none: entities are not read")

    def start(self, full_name: str, attributes: dict[str, str]) -> None:
        if len(full_name) > MAX_NAME:
            raise _refuse(f"an element whose name has {len(full_name)} characters", str(MAX_NAME))
        prefix, _, name = full_name.rpartition(":")
        namespace = attributes.get(f"xmlns:{prefix}" if prefix else "xmlns", "")
        self.count += 1
        if len(self.open) > MAX_DEPTH or self.count > MAX_ELEMENTS:
            raise _refuse(
                f"element {self.count} at depth {len(self.open)}",
                f"at most {MAX_ELEMENTS} elements and depth {MAX_DEPTH}",
            )
        parent = self.open[-1]
        path = f"{parent.path}/{name}" if len(self.open) > 2 else name
        node = Node(name=name, path=path, namespace=namespace)
        parent.children.append(node)
        self.open.append(node)

    def end(self, _name: str) -> None:
        self.open.pop()

    def text(self, data: str) -> None:
        self.open[-1].parts.append(data)


def _refuse(found: str, expected: str) -> InputError:
    return InputError(
        "xml header",
        found=found,
        expected=expected,
        remedy="convert the measurement again or repair the header",
    )
