"""A small, safe XML reader: no DOCTYPE, bounded size and depth, namespaces ignored but noted.

Standard library expat only. Text of elements never enters a message except where the caller
puts it there, because headers carry names of patients.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.parsers import expat

from ultrahand.errors import InputError

MAX_BYTES = 8 * 2**20
MAX_DEPTH = 40
MAX_ELEMENTS = 200_000


@dataclass(slots=True)
class Node:
    """One element: local name, text, children in order."""

    name: str
    path: str
    """Names from the root, for messages: ``encoding/encodedSpace/matrixSize``."""
    namespace: str
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
    document = document.rstrip(b"\0 \t\r\n")
    if not document:
        raise _refuse("an empty document", "an ismrmrdHeader")
    if len(document) > MAX_BYTES:
        raise _refuse(f"{len(document)} bytes", f"at most {MAX_BYTES}")
    builder = _Builder()
    parser = expat.ParserCreate(namespace_separator="\n")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = builder.doctype
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    try:
        parser.Parse(document, True)
    except (expat.ExpatError, UnicodeError, ValueError) as error:
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

    def start(self, full_name: str, _attributes: dict[str, str]) -> None:
        namespace, _, name = full_name.rpartition("\n")
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
