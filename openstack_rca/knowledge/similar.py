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
"""What a report resembles: what happened before, and what was written.

Past incidents and judged analyses are similar where they say much of what the
report says. Sections of documents and signatures are worded otherwise: those
that fit best are named, where they share telling words at all.
"""

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Any
from typing import Protocol

from openstack_rca.knowledge import entries

#: Kinds that tell what happened; the others tell what can happen.
PAST = (entries.INCIDENT, entries.ANALYSIS)
#: Likeness that a document or a signature has to have: less are chance words.
LEAST = 0.2
#: Characters of a text that a reader needs to know whether to read on.
_MOST_SHOWN = 2000
_MOST_RESOLUTION = 1000
#: Characters of what a report says that documents are sought with.
_MOST_PROSE = 400


@dataclasses.dataclass(frozen=True)
class Found:
    """An entry that a search found.

    :param entry: which one
    :param score: share of what was asked that it says too, 0 to 1; rare
        words count more
    :param likeness: the same both ways: 1 where each says what the other
        does
    """

    entry: entries.Entry
    score: float
    likeness: float


class Search(Protocol):
    """Finds entries, the best first."""

    def __call__(self, question: str, limit: int,
                 kinds: Collection[str] = ()) -> Sequence[Found]:
        """Find entries.

        :param question: in words
        :param limit: at most so many
        :param kinds: only of these kinds; all where empty
        """


def add(report: dict[str, Any], search: Search, *, threshold: float,
        incidents: int, documents: int) -> None:
    """Name in a report what it resembles.

    :param report: changed in place, its ``similar``
    :param search: finds what the project of the report may see
    :param threshold: likeness from which something past is similar
    :param incidents: how many past ones are named at most
    :param documents: how many sections are named at most, and how many
        signatures
    """
    question = entries.symptoms(report)
    if not question or report.get('verdict') == 'nothing_abnormal':
        return
    found = [f for f in search(question, incidents, PAST)
             if f.likeness >= threshold] if incidents else []
    found.sort(key=lambda f: -f.likeness)
    for kind in (entries.SIGNATURE, entries.DOCUMENT):
        if documents:
            # A document is found by the cause, not by what was logged.
            asked = (question if kind == entries.SIGNATURE
                     else question[:_MOST_PROSE])
            found += [f for f in search(asked, documents, (kind,))
                      if f.likeness >= LEAST]
    # A signature whose records were found is surer than one that resembles.
    matched = list(report.get('similar') or ())
    named = {(m['kind'], m['id']) for m in matched}
    report['similar'] = matched + [
        shown(f) for f in found if (f.entry.kind, f.entry.id) not in named]


def services(report: Mapping[str, Any]) -> set[str]:
    """What a report is about: the parts that it blames, and their services.

    What was learned of a part is about the part, not about its service.

    :param report: the document
    """
    blamed = {str(h['component']) for h in report.get('hypotheses') or ()
              if h.get('component')}
    return blamed | {part.partition('-')[0] for part in blamed}


def shown(found: Found) -> dict[str, Any]:
    """What a report says of something similar."""
    entry = found.entry
    return {'kind': entry.kind, 'id': entry.id, 'title': entry.title,
            'score': round(found.likeness, 3),
            'resolution': entry.resolution[:_MOST_RESOLUTION]
            if entry.resolution else None,
            'url': entry.place}


def described(found: Found, most: int = _MOST_SHOWN) -> dict[str, Any]:
    """What a search shows of an entry.

    :param found: it
    :param most: characters of its text
    """
    entry = found.entry
    written = entry.written
    return {
        'id': entry.id, 'kind': entry.kind, 'title': entry.title,
        'score': round(found.score, 3), 'text': entry.text[:most],
        'source': entry.source, 'service': entry.service, 'url': entry.url,
        'resolution': entry.resolution, 'incident_id': entry.incident_id,
        'analysis_id': entry.analysis_id,
        'updated_at': f'{written.isoformat()}+00:00' if written else None}


def of_signatures(signatures: Sequence[Any]) -> list[entries.Entry]:
    """Signatures as entries.

    :param signatures: see :class:`openstack_rca.knowledge.schema.Signature`
    """
    made = []
    for one in signatures:
        told = [one.cause, *(p.text.replace('*', ' ') for p in (
            one.find.message, *one.find.texts, *one.find.any_of)),
            one.component, one.category]
        made.append(entries.Entry(
            id=one.id, kind=entries.SIGNATURE,
            title=_worded(one.title), text=_worded('\n'.join(told)),
            service=(one.find.services or (one.component,))[0],
            url=one.bug or (one.references or (None,))[0],
            resolution=_worded('\n'.join(one.remedy)) or None))
    return made


def _worded(text: str) -> str:
    """A text of a signature without the braces of its variables."""
    return text.replace('{', '').replace('}', '')


def from_rows(rows: Sequence[Mapping[str, Any]]) -> list[entries.Entry]:
    """Entries of an exported file.

    :param rows: as ``knowledge export`` writes them
    """
    return [entries.Entry(
        id=str(row.get('id') or number), kind=row['kind'],
        title=row['title'], text=row['text'],
        source=row.get('source') or '', service=row.get('service'),
        tags=tuple(row.get('tags') or ()), url=row.get('url'),
        resolution=row.get('resolution'),
        incident_id=row.get('incident_id'),
        analysis_id=row.get('analysis_id'))
        for number, row in enumerate(rows, 1)]
