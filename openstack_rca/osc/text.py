# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.
"""Text of logs made fit for a human's screen.

Whatever a log holds, it is data: control characters and the format controls
of Unicode (bidirectional overrides, zero-width characters) are shown, never
sent to a terminal, a browser or a Markdown viewer.
"""

from collections.abc import Iterable
import datetime
import re
import unicodedata

#: What usually says the reason in a log line, strongest first.
TELLING = (
    re.compile(r'[\w.]*(?:Error|Exception|Timeout|Refused|NotFound|Failed|'
               r'Failure|Exists|Denied)\b(?=[:(])'),
    re.compile(r'no valid host|refused|denied|unreachable|timed? ?out|'
               r'exhausted|no space|out of memory|not enough|exceeded|'
               r'lost connection|gone away|unauthorized|forbidden|killed',
               re.IGNORECASE),
    re.compile(r'fail(?:ed|ure)?\b|error|exception|unable|cannot|could not|'
               r'not found|invalid|abort|traceback|\b5\d\d\b',
               re.IGNORECASE),
)

#: The beginning of an oslo.log line: its parts are shown beside the text.
HEADER = re.compile(
    r'^(?:\w{3} +\d+ [\d:]{8} \S+ \S+ )?'
    r'\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d+)?\S* '
    r'(?:\d+ )?(?:[A-Z]+ )?'
    r'(?P<logger>[A-Za-z_][\w.]*(?:\[\w+\])? )?'
    r'(?:\[(?:None |-|req-|None\b|instance)[^\]\n]*\] ?)?')

#: The parts of a notification that tell; a notification may be JSON in
#: JSON, with its quotes escaped.
_EVENT_TYPE = re.compile(r'\\*"event_type\\*": *\\*"([\w.-]{1,200})')
_REASON = re.compile(r'\\*"(?:exception_message|reason|message|fault|'
                     r'exception|state)\\*": *'
                     r'\\*"([^"\\\n]{1,300})')

#: The last line of a traceback.
RAISED = re.compile(r'^[A-Za-z_][\w.]*(?:Error|Exception|Timeout|Exit|'
                    r'Interrupt|NotFound|Refused|Failed|Failure|Exists|'
                    r'Invalid|Forbidden|Unauthorized|Conflict|Host|'
                    r'BadRequest|Warning|_Remote)\b')


def visible(text: object, *, keep: str = '') -> str:
    """Show what would be invisible or act on the screen.

    :param text: anything; it is converted to a string
    :param keep: control characters that stay as they are
    :returns: the text with ``\\xNN``, ``\\uNNNN`` or ``\\UNNNNNNNN`` in
        place of control, format, surrogate and unassigned characters
    """
    text = text if isinstance(text, str) else str(text)
    if text.isprintable():
        return text
    out = []
    for char in text:
        if char.isprintable() or char in keep:
            out.append(char)
            continue
        code = ord(char)
        if unicodedata.category(char) == 'Zs':
            out.append(' ')
        elif char in _SHORT:
            out.append(_SHORT[char])
        elif code < 0x100:
            out.append(f'\\x{code:02x}')
        elif code < 0x10000:
            out.append(f'\\u{code:04x}')
        else:
            out.append(f'\\U{code:08x}')
    return ''.join(out)


_SHORT = {'\n': '\\n', '\r': '\\r', '\t': ' '}


def sound(text: str) -> str:
    """Replace what came as undecodable bytes on the command line."""
    return text.encode('utf-8', 'surrogateescape').decode('utf-8', 'replace')


def width(text: str) -> int:
    """The columns that a visible text takes on a terminal."""
    if text.isascii():
        return len(text)
    total = 0
    for char in text:
        if unicodedata.combining(char):
            continue
        total += 2 if unicodedata.east_asian_width(char) in 'WF' else 1
    return total


def fit(text: str, columns: int) -> int:
    """How many characters of a visible text fit in so many columns."""
    if text.isascii():
        return min(len(text), columns)
    used = 0
    for index, char in enumerate(text):
        used += width(char)
        if used > columns:
            return index
    return len(text)


def wrap(text: str, columns: int) -> list[str]:
    """Break a visible text into lines by words, and hard where it must.

    :param text: one paragraph
    :param columns: columns of a line, at least ten are used
    :returns: the lines, none for an empty text
    """
    columns = max(columns, 10)
    lines: list[str] = []
    line = ''
    for word in text.split():
        if line and width(line) + 1 + width(word) <= columns:
            line += ' ' + word
            continue
        if line:
            # A long path or id begins on the line that has room for it.
            room = columns - width(line) - 1
            if width(word) > columns and room > columns // 3:
                cut = fit(word, room)
                line, word = line + ' ' + word[:cut], word[cut:]
            lines.append(line)
        while width(word) > columns:
            cut = max(fit(word, columns), 1)
            lines.append(word[:cut])
            word = word[cut:]
        line = word
    if line:
        lines.append(line)
    return lines


def shorten(text: str, columns: int, ellipsis: str = '...',
            around: int | None = None) -> str:
    """Cut a visible text to so many columns.

    :param text: one line
    :param columns: columns that it may take
    :param ellipsis: what stands for the part left out
    :param around: position of a character that must stay; the beginning
        stays when it is not given
    """
    if width(text) <= columns:
        return text
    mark = width(ellipsis)
    columns = max(columns, 2 * mark + 1)
    if around is None or around < fit(text, columns - mark) - 8:
        return text[:fit(text, columns - mark)].rstrip() + ellipsis
    start = around - min(around, columns // 3)
    # Better to begin with a word than in the middle of one.
    space = text.find(' ', start, around)
    start = space + 1 if 0 <= space < around else start
    rest = text[start:]
    if width(rest) <= columns - mark:
        # The telling part stands near the end: show all of the end.
        start = len(text)
        used = mark
        while start and used + width(text[start - 1]) <= columns:
            start -= 1
            used += width(text[start])
        return ellipsis + text[start:].lstrip()
    return ellipsis + rest[:fit(rest, columns - 2 * mark)].strip() + ellipsis


def message(line: str) -> str:
    """A log line without time, process, level, logger and context."""
    match = HEADER.match(line)
    if match and match.end() < len(line):
        return line[match.end():]
    return line


def notification(text: str) -> str | None:
    """What a notification says: its type, and the reason in it.

    :param text: the notification as JSON, possibly cut off
    :returns: one line, or None where it is no notification
    """
    found = _EVENT_TYPE.search(text[:200000])
    if not found:
        return None
    reasons = dict.fromkeys(
        match[1] for match in _REASON.finditer(text[:200000]))
    return ': '.join([found[1], *list(reasons)[:2]])


def telling(text: str, words: Iterable[str] = ()) -> int | None:
    """Where in a text the reason stands.

    :param text: a visible line
    :param words: words of the question, which tell more than any list
    """
    for pattern in TELLING:
        match = pattern.search(text)
        if match:
            return match.start()
    for word in words:
        index = text.lower().find(word)
        if index >= 0:
            return index
    return None


def excerpt(text: str, columns: int, lines: int = 3, ellipsis: str = '...',
            words: Iterable[str] = ()) -> tuple[list[str], int]:
    """The part of an event that tells why, in a few short lines.

    :param text: verbatim text, a traceback in it or not
    :param columns: columns of a line
    :param lines: the most lines to return
    :param ellipsis: what stands for the part left out
    :param words: words of the question
    :returns: the lines, ready for a screen, and how many lines of the event
        are not among them
    """
    # No more of a monstrous line is looked at than could ever be shown.
    head, _, rest = text.partition('\n')
    others = [line for line in rest[-200000:].split('\n') if line.strip()]
    raised = None
    for line in reversed(others[-400:]):
        body = message(line[:20000]).strip()
        if RAISED.match(body):
            raised = visible(body)
            break
    first = visible(message(head[:20000])).strip()
    if raised and raised.partition(': ')[2][:200] in first and (
            raised.partition(': ')[2] or raised in first):
        raised = None
    room = lines - 1 if raised else lines
    at = telling(first, words)
    if width(first) > columns * room:
        first = shorten(first, columns * room - room, ellipsis, at)
    out = wrap(first, columns)
    if len(out) > room:
        # Words do not fill lines to their ends.
        out = out[:max(room - 1, 0)] + [
            shorten(' '.join(out[max(room - 1, 0):]), columns, ellipsis)
        ] * (room > 0)
    shown = 1
    if raised:
        out.append(shorten(raised, columns, ellipsis))
        shown = 2
    return out, max(0, 1 + len(others) - shown)


def moment(value: object) -> datetime.datetime | None:
    """A timestamp of a document, or None where it is none."""
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.datetime.fromisoformat(value.replace('Z', '+00:00'))
    except ValueError:
        return None
    if parsed.tzinfo is None:
        return parsed.replace(tzinfo=datetime.UTC)
    return parsed.astimezone(datetime.UTC)


def clock(value: object) -> str:
    """The time of day of a timestamp, to the millisecond."""
    parsed = moment(value)
    if parsed is None:
        return visible(value if value is not None else '')
    return parsed.strftime('%H:%M:%S.') + f'{parsed.microsecond // 1000:03d}'


def day(value: object) -> str:
    """The date of a timestamp."""
    parsed = moment(value)
    return parsed.strftime('%Y-%m-%d') if parsed else ''


def instant(value: object) -> str:
    """Date and time of a timestamp, to the second."""
    parsed = moment(value)
    if parsed is None:
        return visible(value if value is not None else '')
    return parsed.strftime('%Y-%m-%d %H:%M:%S')


def number(value: object) -> str:
    """A count with separators, as people read it."""
    return f'{value:,}' if isinstance(value, int) else visible(value)


def plural(count: int, noun: str) -> str:
    """``1 line``, ``2 lines``."""
    return f'{count:,} {noun}' if count == 1 else f'{count:,} {noun}s'


def percent(value: object) -> str:
    """A confidence as a percentage."""
    if isinstance(value, (int, float)):
        return f'{round(100 * value)} %'
    return 'unknown'


def size(value: object) -> str:
    """A number of bytes in the unit that people use for it."""
    if not isinstance(value, (int, float)):
        return visible(value)
    amount = float(value)
    for unit in ('bytes', 'KB', 'MB', 'GB'):
        if amount < 1000 or unit == 'GB':
            break
        amount /= 1000
    return (f'{int(amount)} {unit}' if unit == 'bytes'
            else f'{amount:.1f} {unit}')
