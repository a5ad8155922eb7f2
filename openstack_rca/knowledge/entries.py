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
"""What is known: entries that searches find, and what they say.

An entry is a section of a document, an incident with its resolution, an
analysis that somebody judged, or a signature.
"""

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import datetime
import hashlib
import re
from typing import Any

DOCUMENT = 'document'
INCIDENT = 'incident'
ANALYSIS = 'analysis'
SIGNATURE = 'signature'
#: Kinds that stand in the database.
STORED = (DOCUMENT, INCIDENT, ANALYSIS)
KINDS = (*STORED, SIGNATURE)

#: Characters of the fields of an entry.
MOST_TITLE = 255
MOST_TEXT = 1 << 20
MOST_RESOLUTION = 10000

#: Pieces of evidence whose words tell what an incident looked like.
_MOST_EVIDENCE = 8
#: Characters of each: what follows is a traceback.
_MOST_LINE = 300
_MOST_WORDS = 4000
#: What differs from one time to the next: identifiers, addresses, numbers.
_VARIABLE = re.compile(
    r'\b(?:req-)?[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?'
    r'[0-9a-f]{12}\b|\b0x[0-9a-f]+\b|\b\d{4}-\d\d-\d\d[T ][\d:.,]+\S*'
    r'|\b\d+(?:\.\d+)*\b', re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Entry:
    """Something that is known.

    :param id: of the row, or the name of the signature
    :param kind: one of :data:`KINDS`
    :param title: what it is called
    :param text: what it says
    :param project_id: whose it is; None for signatures, which all may see
    :param source: name of the document that it is a section of, or empty
    :param service: project or program that it is about, or None
    :param tags: words of whoever wrote it down
    :param url: where there is more, or None
    :param resolution: what solved it, or None
    :param incident_id: of the incident that it was learned from, or None
    :param analysis_id: of the analysis, or None
    :param written: when it was written down, UTC without a zone, or None
    """

    id: str
    kind: str
    title: str
    text: str
    project_id: str | None = None
    source: str = ''
    service: str | None = None
    tags: tuple[str, ...] = ()
    url: str | None = None
    resolution: str | None = None
    incident_id: str | None = None
    analysis_id: str | None = None
    written: datetime.datetime | None = None

    @property
    def words(self) -> str:
        """All that a search looks at."""
        return '\n'.join(filter(None, (
            self.title, self.text, self.resolution, ' '.join(self.tags))))

    def about(self, service: str) -> bool:
        """Whether it concerns a service, or one of its programs.

        :param service: such as ``nova``, which ``nova-compute`` is of
        """
        return self.service is not None and (
            self.service == service
            or self.service.startswith(service + '-'))

    @property
    def place(self) -> str | None:
        """Where it is read in full: an address, or the document."""
        return self.url or self.source or None


def fingerprint(values: Mapping[str, Any]) -> str:
    """What an entry is known by: all that it says.

    :param values: of the fields of an entry
    """
    told = [str(values.get(name) or '') for name in (
        'kind', 'title', 'text', 'source', 'service', 'url', 'resolution',
        'incident_id', 'analysis_id')]
    told.append(' '.join(values.get('tags') or ()))
    return hashlib.blake2b('\0'.join(told).encode('utf-8', 'replace'),
                           digest_size=16).hexdigest()


def plain(text: str) -> str:
    """A record without what differs from one time to the next.

    :param text: of a log
    """
    return ' '.join(_VARIABLE.sub(' ', text).split())


def _lines(report: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """What some evidence of a report says, each line once."""
    wanted = list(names)
    known = {item.get('id'): item for item in report.get('evidence') or ()}
    lines: dict[str, None] = {}
    for name in wanted:
        text = str((known.get(name) or {}).get('text') or '')
        lines.setdefault(plain(text.split('\n', 1)[0])[:_MOST_LINE])
        if len(lines) >= _MOST_EVIDENCE:
            break
    return [line for line in lines if line]


def symptoms(report: Mapping[str, Any], judged: bool = True) -> str:
    """What a report saw, in words that the next one will use too.

    :param report: the document
    :param judged: whether its first cause counts as one; otherwise only
        what was logged counts
    """
    first = (report.get('hypotheses') or [{}])[0]
    cited = list(first.get('evidence') or ())
    cited += [e.get('id') for e in report.get('evidence') or ()
              if e.get('id') not in cited]
    told = [str(first.get(name) or '') for name in (
        'cause', 'component', 'category')] if judged else []
    told += _lines(report, cited)
    return '\n'.join(filter(None, told))[:_MOST_WORDS]


def of_incident(incident: Mapping[str, Any],
                report: Mapping[str, Any] | None) -> dict[str, Any]:
    """What is learned from an incident that was resolved.

    :param incident: the row
    :param report: of its analysis, None where there is none any more
    :returns: values of an entry
    """
    told = [incident['summary'], incident['component'], incident['category'],
            symptoms(report) if report else None]
    return {
        'kind': INCIDENT, 'title': incident['title'],
        'text': '\n'.join(str(t) for t in told if t),
        'resolution': incident['resolution'], 'source': '', 'tags': [],
        'service': incident['component'], 'url': None,
        'incident_id': incident['id'],
        'analysis_id': incident['analysis_id']}


def of_rating(analysis_id: str, issue: str, report: Mapping[str, Any],
              rating: Mapping[str, Any]) -> dict[str, Any] | None:
    """What is learned from the judgement of a report.

    A report that is right is knowledge; of one that is not, what was logged
    and the cause in truth are.

    :param analysis_id: which analysis
    :param issue: what was asked
    :param report: the document
    :param rating: ``rating``, ``cause``, ``component`` and ``comment``
    :returns: values of an entry, or None where nothing is learned
    """
    right = rating['rating'] == 'right'
    first = (report.get('hypotheses') or [{}])[0]
    cause = rating['cause'] or (first.get('cause') if right else None)
    if not cause:
        return None
    told = [issue, cause, rating['component'], symptoms(report, right)]
    remedy = [rating['comment']]
    if right:
        remedy += [str(r) for r in first.get('remedy') or ()]
    return {
        'kind': ANALYSIS, 'title': str(cause),
        'text': '\n'.join(str(t) for t in told if t),
        'resolution': '\n'.join(str(r) for r in remedy if r)
        [:MOST_RESOLUTION] or None,
        'source': '', 'tags': [],
        'service': rating['component'] or (
            first.get('component') if right else None), 'url': None,
        'incident_id': None, 'analysis_id': analysis_id}
