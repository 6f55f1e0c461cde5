"""Mustache, as the original's engine understands it.

Own code because the exact escapes, white space rules and oddities decide
names, command lines and job references; see the table in the compatibility
notes. Partials are not read from files (a job must not depend on what lies
in the current directory): they render as nothing, as a missing file did.
"""

from __future__ import annotations

from factotum.core import errors
from factotum.core.factfile.tags import BLANKS, WHITE_SPACE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from factotum.core.factfile.bounds import Bounds

_TEXT, _ESCAPED, _UNESCAPED, _SECTION, _INVERTED, _END, _PARTIAL = range(7)

_Token = tuple[int, str, list[str]]
"""Kind, literal text, and the name's parts."""


def render(template: str, variables: Mapping[str, str], bounds: Bounds | None = None) -> str:
    """Return the template with its placeholders filled in, once.

    Raises:
        TooLargeError: More is filled in than the bounds allow.
        TemplateError: The template is malformed, or uses ``{{.}}`` outside of
            a section.
    """
    if "{{" not in template:
        return template  # delimiters can only be changed by a tag
    return _fill(_Parser(template).parse(), variables, template, bounds)


def check(template: str) -> None:
    """Raise TemplateError if the template is malformed."""
    if "{{" in template:
        _Parser(template).parse()


def escape(value: str) -> str:
    """Return the value with the five characters escaped that the original escapes."""
    return (
        value.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace('"', "&quot;")
        .replace("'", "&#39;")
    )


def _fill(
    tokens: list[_Token], variables: Mapping[str, str], template: str, bounds: Bounds | None
) -> str:
    ends = _section_ends(tokens)
    output: list[str] = []
    values: list[str] = []  # of the sections that are open
    position = 0
    while position < len(tokens):
        kind, text, path = tokens[position]
        if kind == _TEXT:
            output.append(text)
        elif kind in (_ESCAPED, _UNESCAPED):
            value = _look_up(path, variables, values, template)
            if value:
                output.append(_filled(kind, value, bounds))
        elif kind == _SECTION:
            value = _look_up(path, variables, values, template)
            if value:
                values.append(value)
            else:
                position = ends[position]
        elif kind == _INVERTED:
            if _look_up(path, variables, values, template) is not None:
                position = ends[position]
        elif kind == _END and text == "#":
            values.pop()
        position += 1
    return "".join(output)


def _filled(kind: int, value: str, bounds: Bounds | None) -> str:
    filled = escape(value) if kind == _ESCAPED else value
    if bounds is not None:
        bounds.take(len(filled))
    return filled


def _section_ends(tokens: list[_Token]) -> dict[int, int]:
    ends: dict[int, int] = {}
    open_sections: list[int] = []
    for position, (kind, _, _) in enumerate(tokens):
        if kind in (_SECTION, _INVERTED):
            open_sections.append(position)
        elif kind == _END:
            ends[open_sections.pop()] = position
    return ends


def _look_up(
    path: list[str], variables: Mapping[str, str], values: list[str], template: str
) -> str | None:
    if not path:
        if not values:
            raise errors.TemplateError("'.' has no value here", template)
        return values[-1]
    # Values are strings, so a name with dots never leads anywhere.
    return variables.get(path[0]) if len(path) == 1 else None


class _Parser:
    """One pass over a template, character by character as the original's."""

    def __init__(self, template: str) -> None:
        self._template = template
        self._position = 0
        self._opening = "{{"
        self._closing = "}}"
        self._tokens: list[_Token] = []
        # Open sections: position, name, and whether the tag stood alone on its line.
        self._sections: list[tuple[int, list[str], bool]] = []

    def parse(self) -> list[_Token]:
        """Return the flat list of tokens, sections closed by end tokens."""
        template = self._template
        while self._position < len(template):
            start = self._find_opening()
            if start < 0:
                self._add_text(template[self._position :])
                break
            self._add_text(template[self._position : start])
            self._position = start + len(self._opening)
            self._add_tag(self._read_tag())
        if self._sections:
            raise self._error(f"the section '{'.'.join(self._sections[-1][1])}' is not closed")
        return self._tokens

    def _error(self, problem: str) -> errors.TemplateError:
        return errors.TemplateError(problem, self._template)

    def _add_text(self, text: str) -> None:
        if text:
            self._tokens.append((_TEXT, text, []))

    def _find_opening(self) -> int:
        template, opening = self._template, self._opening
        start = template.find(opening, self._position)
        if start <= 0 or opening[0] * 2 == opening[:2]:
            return start
        # The original does not look back: '<<%' with the delimiter '<%' is text,
        # because the first '<' was taken as its beginning.
        position = self._position
        while True:
            position = template.find(opening[0], position)
            if position < 0 or template.startswith(opening, position):
                return position
            matched = 1
            while template[position + matched : position + matched + 1] == opening[matched]:
                matched += 1
            position += matched + 1

    def _read_tag(self) -> str:
        """Return what stands between the delimiters and step behind the tag."""
        template, closing = self._template, self._closing
        position = begin = self._position
        braced = template.startswith("{", position)
        if braced:
            position += 1
        while position < len(template):
            character = template[position]
            if braced and character == "}":
                braced = False
            elif character == closing[0]:
                if not template.startswith(closing, position):
                    raise self._error(f"a tag is not closed by '{closing}'")
                self._position = position + len(closing)
                return template[begin:position]
            position += 1
        raise self._error("a tag is not closed")

    def _add_tag(self, content: str) -> None:
        sigil = content[:1]
        if sigil == "!":
            self._stands_alone()
        elif sigil == "&":
            self._add_variable(_UNESCAPED, self._name(content[1:]))
        elif sigil == "{":
            if not content.endswith("}"):
                raise self._error("the braces of an unescaped tag are not balanced")
            self._add_variable(_UNESCAPED, self._name(content[1:-1]))
        elif sigil in ("#", "^"):
            self._open_section(_SECTION if sigil == "#" else _INVERTED, content)
        elif sigil == "/":
            self._close_section(content)
        elif sigil == ">":
            self._stands_alone()
            self._tokens.append((_PARTIAL, self._name(content[1:]), []))
        elif sigil == "=":
            self._change_delimiters(content)
        else:
            self._add_variable(_ESCAPED, self._name(content))

    def _name(self, content: str) -> str:
        name = content.strip(WHITE_SPACE)
        if not name:
            raise self._error("a tag is empty")
        return name

    def _add_variable(self, kind: int, name: str) -> None:
        self._tokens.append((kind, "", [] if name == "." else _split(name)))

    def _open_section(self, kind: int, content: str) -> None:
        alone = self._stands_alone()
        name = _split(self._name(content[1:]))
        self._sections.append((len(self._tokens), name, alone))
        self._tokens.append((kind, "", name))

    def _close_section(self, content: str) -> None:
        self._stands_alone()
        name = _split(self._name(content[1:]))
        if not self._sections:
            raise self._error(f"the section '{'.'.join(name)}' is closed but was not opened")
        position, opened, _ = self._sections.pop()
        if opened != name:
            raise self._error(f"the section '{'.'.join(opened)}' is closed by '{'.'.join(name)}'")
        sigil = "#" if self._tokens[position][0] == _SECTION else "^"
        self._tokens.append((_END, sigil, []))

    def _change_delimiters(self, content: str) -> None:
        self._stands_alone()
        parts = content[1:-1].split()
        # What follows the first gap is the closing one, inner blanks included.
        if len(content) < 3 or not content.endswith("=") or len(parts) < 2:
            raise self._error("the tag that changes the delimiters is malformed")
        inside = content[1:-1].strip(WHITE_SPACE)
        self._opening = parts[0]
        self._closing = inside[len(parts[0]) :].strip(WHITE_SPACE)

    def _stands_alone(self) -> bool:
        """Whether the tag just read is alone on its line; if so, remove the line."""
        template = self._template
        if self._position < len(template) and not template.startswith(
            ("\n", "\r\n"), self._position
        ):
            return False
        if not self._tokens:
            self._skip_line_end()
            return True
        kind, text, _ = self._tokens[-1]
        if kind == _TEXT:
            before = text.rstrip(BLANKS)
            if not text or not (before.endswith("\n") or (not before and len(self._tokens) == 1)):
                return False
            # An empty text stays in its place: it keeps the next line from standing alone.
            self._tokens[-1] = (_TEXT, before, [])
            self._skip_line_end()
            return True
        alone = bool(self._sections) and (
            self._sections[-1][0] == len(self._tokens) - 1 and self._sections[-1][2]
        )
        if alone:
            self._skip_line_end()
        return alone

    def _skip_line_end(self) -> None:
        if self._template.startswith("\r", self._position):
            self._position += 1
        self._position += 1


def _split(name: str) -> list[str]:
    parts = name.split(".")
    if parts[-1] == "":
        parts.pop()
    return parts
