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
"""Which symptoms are one trouble.

A trouble makes a hundred symptoms, and an operator wants one incident. A
symptom belongs to an incident, in this order:

1. that names the same request, server, volume or the like;
2. in which the same program said the same before;
3. whose likeliest cause is whom the symptom blames;
4. whose likeliest cause stands behind whom the symptom blames: an API fails
   because the database does, which is known of the services of OpenStack;
5. whose symptoms its own blame would explain: the cause may speak last;
6. of the same process, where neither names a cause.

The likeliest cause of an incident is worked out as that of an analysis is
(:mod:`openstack_rca.analysis.ranking`), of all that its symptoms say. Two
incidents that come to have the same one are merged. What an analysis finds
replaces what was guessed here.
"""

from collections.abc import Iterable
from collections.abc import Sequence
import datetime
from typing import Any

from oslo_log import log as logging

from openstack_rca import conf
from openstack_rca.analysis import components
from openstack_rca.analysis import ranking
from openstack_rca.db import incidents
from openstack_rca.db import rows

LOG = logging.getLogger(__name__)

#: Reasons, processes and the like that one incident remembers.
_MOST_REASONS = 60
_MOST_PROCESSES = 50
_MOST_KEYS = 50
#: From this score on a cause explains what others complain of.
_SURE = 0.6
#: A reason of so much weight names a fault; a plain error does not.
_NAMES = 0.5
#: Seconds between the first symptom and the first analysis: what explains it
#: may be logged a moment later.
_SETTLE = 4.0
#: Seconds between two analyses of an incident, at least.
_AGAIN = 60.0
#: Analyses of one incident.
_MOST_ANALYSES = 3
#: Seconds before the first symptom that an analysis looks at.
_BEFORE = 300
_TICK = datetime.timedelta(microseconds=1)
#: Categories of faults of one machine: the same fault elsewhere is another.
_LOCAL = frozenset(('process_down', 'hang', 'storage'))
#: What a fault elsewhere looks like; the other categories are of the part
#: that is blamed.
_SPREADS = frozenset(incidents.GONE) - {'process_down'}
#: Symptoms of those who learned what is usual say that something is wrong,
#: and not what. One odd minute is nobody's concern: they have to come again
#: after the time that all windows of a minute tell of which have it in them,
#: and not long after that.
_LEARNED = 'model'
_WINDOWS = datetime.timedelta(seconds=120)
_LASTING = datetime.timedelta(minutes=5)

SEVERITIES = ('low', 'medium', 'high', 'critical')
#: What the whole cloud needs.
_VITAL = frozenset(('mariadb', 'rabbitmq', 'keystone'))


class Correlator:
    """Makes incidents of symptoms.

    :param host: name of the engine
    """

    def __init__(self, host: str) -> None:
        self._host = host

    def take(self, found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Write symptoms down, and the incidents that they make.

        What is told again, as after a crash, changes nothing.

        :param found: what the watcher told, in any order
        :returns: the symptoms that are new
        :raises DatabaseUnavailable: nothing of it was written
        """
        return incidents.write(
            conf.CONF.incidents.project_id,
            lambda book: _Round(book).take(self._host, found))

    def look_after(self) -> None:
        """Resolve what is quiet, and have analysed what is due.

        :raises DatabaseUnavailable: nothing of it was written
        """
        settings = conf.CONF.incidents
        # Where nothing is due, nothing is written at each look.
        if settings.project_id and incidents.waiting(
                settings.project_id, settings.resolve_after):
            incidents.write(settings.project_id,
                            lambda book: _Round(book).look_after())


class _Round:
    """One transaction.

    :param book: what can be done in it
    """

    def __init__(self, book: incidents.Book) -> None:
        self._book = book
        settings = conf.CONF.incidents
        self._opens = bool(settings.project_id)
        self._window = datetime.timedelta(seconds=settings.window)
        self._active = book.active(book.now - datetime.timedelta(
            seconds=settings.reopen_within)) if self._opens else {}

    # Symptoms

    def take(self, host: str,
             found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Write symptoms down, see :meth:`Correlator.take`."""
        new = []
        # With the cause of each before, and whether anything is new of it.
        touched: dict[str, tuple[dict[str, Any] | None, bool]] = {}
        for symptom in sorted(found, key=lambda s: str(s['since'])):
            name, incident, news = self._book.see(host, symptom)
            if not news:
                continue
            if incident is None:
                new.append(dict(symptom))
            if not self._opens:
                continue
            place = self._place(symptom, incident)
            if place is None:
                continue
            if place != incident:
                self._book.assign(name, place)
            state = self._active[place]['state']
            before, changed = touched.get(place, (state.get('lead'), False))
            if self._add(place, symptom):
                # The next one of the same look may belong to it.
                changed = True
                state['lead'] = _rank(state['reasons'])
            touched[place] = before, changed
        for name, (before, changed) in touched.items():
            if name in self._active:
                self._settle(name, before, changed)
        return new

    def _place(self, symptom: dict[str, Any],
               before: str | None) -> str | None:
        """The incident that a symptom belongs to; it may be opened."""
        keys = _keys(symptom)
        known = self._book.known(keys)
        said = _template(symptom)
        muted = [n for n in known.get(said, ())
                 if self._status(n) == incidents.SUPPRESSED]
        if muted:
            return muted[0]
        if before in self._active and self._status(
                before) != incidents.RESOLVED:
            return before
        fresh = [n for n, row in self._active.items() if row['status'] in (
            incidents.OPEN, incidents.ACKNOWLEDGED)]
        named = [n for n in fresh for key in keys
                 if key != said and n in known.get(key, ())] or [
                     n for n in fresh if n in known.get(said, ())]
        if named:
            return named[0]
        near = [n for n in fresh if self._near(n, symptom)]
        for fits in (self._blamed, self._behind, self._explains,
                     self._beside):
            for name in near:
                if fits(name, symptom):
                    return name
        if not symptom.get('opens') and (
                near or not self._lasts(symptom)):
            # What is only unusual belongs to what goes wrong meanwhile.
            usual = not symptom.get('reasons')
            return near[0] if usual and len(near) == 1 else None
        return self._reopened(symptom, known) or self._open(symptom)

    def _lasts(self, symptom: dict[str, Any]) -> bool:
        """Whether what nobody speaks of is more than an odd minute."""
        if symptom['sign'] != _LEARNED:
            return False
        since = _moment(symptom['since'])
        return self._book.heard(_LEARNED, since - _LASTING, since - _WINDOWS)

    def _status(self, name: str) -> str:
        row = self._active.get(name)
        return str(row['status']) if row else ''

    def _near(self, name: str, symptom: dict[str, Any]) -> bool:
        """Whether a symptom falls into the time of an incident."""
        row = self._active[name]
        return bool(
            _moment(symptom['since']) <= row['last_seen'] + self._window
            and _moment(symptom['until']) >= row['first_seen']
            - self._window)

    def _lead(self, name: str) -> dict[str, Any]:
        state = self._active[name]['state']
        # An analysis knows better than what single records say.
        found: dict[str, Any] = state.get('found') or state.get('lead') or {}
        return found

    def _blamed(self, name: str, symptom: dict[str, Any]) -> bool:
        """Whether a symptom blames who is to blame anyway."""
        lead = self._lead(name)
        own = _best(symptom)
        return bool(own and lead and own['weight'] >= _NAMES
                    and _same(lead, own))

    def _behind(self, name: str, symptom: dict[str, Any]) -> bool:
        """Whether the cause of an incident explains a symptom."""
        lead = self._lead(name)
        if not _sure(lead):
            return False
        own = _best(symptom)
        if own and own['weight'] >= _SURE and (
                own['direct'] or own['category'] not in _SPREADS):
            # It says clearly that something else is wrong.
            return own['component'] != lead['component'] and lead[
                'component'] in components.behind(own['component']) and lead[
                    'component'] in _VITAL
        if own and lead['component'] in own.get('via', ()):
            return True
        speaks = {symptom.get('component'), own and own['component']}
        return any(_is_behind(lead['component'], part)
                   for part in speaks if part)

    def _explains(self, name: str, symptom: dict[str, Any]) -> bool:
        """Whether a symptom names the cause of an incident without one."""
        own = _best(symptom)
        if not own or own['weight'] < _SURE or _sure(self._lead(name)):
            return False
        parts = {r['component'] for r in self._reasons(name)} | set(
            self._active[name]['state'].get('components') or ())
        return any(_is_behind(own['component'], part) for part in parts)

    def _beside(self, name: str, symptom: dict[str, Any]) -> bool:
        """Whether a process goes on to complain without saying of whom."""
        lead = self._lead(name)
        own = _best(symptom)
        if own and own['weight'] >= _NAMES or _sure(
                lead) and not self._only(name):
            return False
        return _process(symptom) in self._active[name]['state'].get(
            'processes', ())

    def _only(self, name: str) -> bool:
        """Whether nothing else goes on."""
        return [n for n in self._active if self._status(n) in (
            incidents.OPEN, incidents.ACKNOWLEDGED)] == [name]

    def _reasons(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._active[name]['state'].get(
            'reasons', [])
        return found

    def _reopened(self, symptom: dict[str, Any],
                  known: dict[str, set[str]]) -> str | None:
        """An incident that was over, and is not."""
        own = _best(symptom)
        for name, row in reversed(self._active.items()):
            if row['status'] != incidents.RESOLVED:
                continue
            lead = self._lead(name)
            if name in known.get(_template(symptom), ()) and (
                    not own or not lead or _same(lead, own)
                    or own['weight'] < _NAMES):
                row |= {'status': incidents.OPEN,
                        'reopened': row['reopened'] + 1}
                row['state'] |= {'due': self._later(_SETTLE), 'analyses': 0}
                self._book.change(
                    name, status=incidents.OPEN, resolved_at=None,
                    resolved_by=None, resolution=None,
                    touched_at=self._book.now, reopened=row['reopened'])
                LOG.warning('The incident %s is open again', name)
                return name
        return None

    def _open(self, symptom: dict[str, Any]) -> str:
        since = _moment(symptom['since'])
        lead = _best(symptom)
        row = self._book.open({
            'title': symptom['why'], 'component': lead['component']
            if lead else symptom.get('component'),
            'category': lead['category'] if lead else 'unknown',
            'host': (lead['host'] if lead else '') or None,
            'severity': 'medium', 'first_seen': since,
            'last_seen': _moment(symptom['until']),
            'touched_at': self._book.now, 'symptoms': 0,
            'state': {'reasons': [], 'processes': [], 'analyses': 0,
                      'due': self._later(_SETTLE),
                      'text': symptom.get('text') or symptom['why']}})
        self._active[row['id']] = row
        LOG.warning('The incident %s is open: %s blames %s', row['id'],
                    _process(symptom) or 'a detector', row['component'])
        return str(row['id'])

    def _later(self, seconds: float) -> str:
        return (self._book.now
                + datetime.timedelta(seconds=seconds)).isoformat()

    def _add(self, name: str, symptom: dict[str, Any]) -> bool:
        """Have an incident take a symptom.

        :returns: whether it says anything new of the cause
        """
        row = self._active[name]
        state = row['state']
        row['first_seen'] = min(row['first_seen'],
                                _moment(symptom['since']))
        row['last_seen'] = max(row['last_seen'], _moment(symptom['until']))
        row['symptoms'] += 1
        process = _process(symptom)
        _remember(state.setdefault('processes', []), [process],
                  _MOST_PROCESSES)
        _remember(state.setdefault('components', []),
                  [symptom.get('component')], _MOST_PROCESSES)
        for kind in ('requests', 'resources'):
            _remember(state.setdefault(kind, []), symptom.get(kind, ()),
                      _MOST_KEYS)
        self._book.name(name, _keys(symptom))
        changed = False
        for reason in symptom.get('reasons') or ():
            changed |= _take_reason(state['reasons'], reason, symptom,
                                    process)
        return changed

    def _settle(self, name: str, before: dict[str, Any] | None,
                changed: bool) -> None:
        """Write down what came of new symptoms.

        :param name: of the incident
        :param before: its likeliest cause before these
        :param changed: whether they say anything new of it
        """
        row = self._active[name]
        state = row['state']
        values: dict[str, Any] = {}
        if changed:
            lead = state.get('lead')
            if lead is not None and not state.get('analysed'):
                # An analysis knows better.
                values = {'component': lead['component'],
                          'category': lead['category'],
                          'host': lead['host'] or None,
                          'confidence': lead['score'],
                          'title': lead['cause']}
            severity = _severity(row, lead)
            if SEVERITIES.index(severity) > SEVERITIES.index(
                    row['severity'] or 'low'):
                values['severity'] = severity
                self._call_for(state)
            if before and lead and before['component'] != lead['component']:
                self._call_for(state)
        # What is suppressed is nobody's concern.
        told = self._status(name) != incidents.SUPPRESSED and any(
            row[key] != value for key, value in values.items()
            if key not in ('title', 'confidence'))
        row |= values
        self._book.change(
            name, told, **values, first_seen=row['first_seen'],
            last_seen=row['last_seen'], symptoms=row['symptoms'],
            touched_at=self._book.now, state=state)
        if changed:
            self._unite(name)

    def _call_for(self, state: dict[str, Any]) -> None:
        """Have an incident analysed again, as something is new."""
        if not state.get('due'):
            state['due'] = self._later(_SETTLE)

    def _unite(self, name: str) -> None:
        """Merge an incident with those of the same cause."""
        for other in list(self._active):
            if name not in self._active:
                return
            if other == name or not {
                    self._status(name), self._status(other)} <= {
                        incidents.OPEN, incidents.ACKNOWLEDGED}:
                continue
            if self._one(name, other) or self._one(other, name):
                # Whoever heard of the first one keeps it.
                kept, gone = sorted(
                    (name, other),
                    key=lambda n: (self._active[n]['created_at'], n))
                self._merge(kept, gone)
                name = kept

    def _one(self, cause: str, effect: str) -> bool:
        """Whether the cause of an incident explains another one."""
        first, second = self._active[cause], self._active[effect]
        if (first['first_seen'] > second['last_seen'] + self._window
                or second['first_seen'] > first['last_seen']
                + self._window):
            return False
        lead, other = self._lead(cause), self._lead(effect)
        if not _sure(lead):
            return False
        if other and _same(lead, other):
            return True
        if other and other['weight'] >= _SURE and (
                other['direct'] or other['category'] not in _SPREADS):
            return False
        parts = set(second['state'].get('components') or ())
        if other:
            parts.add(other['component'])
        return bool(parts) and all(
            _is_behind(lead['component'], part)
            for part in parts if part and part != 'other')

    def _merge(self, kept: str, gone: str) -> None:
        """Make two incidents one."""
        row, other = self._active[kept], self._active.pop(gone)
        state = row['state']
        for reason in other['state'].get('reasons', ()):
            held = _held(state['reasons'], reason)
            if held is None:
                state['reasons'].append(reason)
            else:
                _widen(held, reason)
        del state['reasons'][_MOST_REASONS:]
        for kind, most in (('processes', _MOST_PROCESSES),
                           ('components', _MOST_PROCESSES),
                           ('requests', _MOST_KEYS),
                           ('resources', _MOST_KEYS)):
            _remember(state.setdefault(kind, []),
                      other['state'].get(kind, ()), most)
        state['lead'] = _rank(state['reasons'])
        found = [one for one in (state.get('found'),
                                 other['state'].get('found')) if one]
        if found:
            # What an analysis found holds, whichever it was of.
            state |= {'analysed': True, 'found': max(
                found, key=lambda one: one['score'] or 0.0)}
        lead = self._lead(kept)
        values: dict[str, Any] = {
            'first_seen': min(row['first_seen'], other['first_seen']),
            'last_seen': max(row['last_seen'], other['last_seen']),
            'symptoms': row['symptoms'] + other['symptoms'],
            'severity': max(row['severity'] or 'low',
                            other['severity'] or 'low',
                            key=SEVERITIES.index)}
        if lead and lead['component'] != row['component']:
            values |= {'component': lead['component'],
                       'category': lead['category'],
                       'host': lead['host'] or None, 'title': lead['cause']}
            self._call_for(state)
        row |= values
        self._book.merge(gone, kept, {**values, 'state': state})
        LOG.info('The incident %s is a part of %s', gone, kept)

    # Time

    def look_after(self) -> None:
        """See :meth:`Correlator.look_after`."""
        settings = conf.CONF.incidents
        if not self._opens:
            return
        for name in self._book.expired():
            self._book.change(name, status=incidents.RESOLVED,
                              resolved_at=self._book.now,
                              resolved_by=incidents.ENGINE,
                              suppressed_by=None, suppressed_until=None)
        for name, row in list(self._active.items()):
            if row['state'].pop('fresh', None):
                # What was found may be what another one is about.
                self._book.change(name, False, state=row['state'])
                self._unite(name)
        for name, row in self._active.items():
            due = row['state'].get('due')
            if (settings.analyze and due and self._status(name) in (
                    incidents.OPEN, incidents.ACKNOWLEDGED)
                    and _moment(due) <= self._book.now):
                self._analyse(name)
        if not settings.resolve_after:
            return
        quiet = self._book.now - datetime.timedelta(
            seconds=settings.resolve_after)
        for row in self._book.due(quiet):
            self._book.change(row['id'], status=incidents.RESOLVED,
                              resolved_at=self._book.now,
                              resolved_by=incidents.ENGINE)
            LOG.info('The incident %s is resolved: it was quiet for %d s',
                     row['id'], settings.resolve_after)

    def _begin(self, row: dict[str, Any]) -> datetime.datetime:
        """Where an analysis of an incident begins to look.

        Causes are logged before what they cause. What a fault left that was
        over by then would be taken for one: that of an incident that is
        resolved, or whose cause is sure.
        """
        begin: datetime.datetime = row['first_seen'] - datetime.timedelta(
            seconds=_BEFORE)
        for past in self._book.past(begin, row['first_seen']):
            if (past['status'] == incidents.RESOLVED
                    or (past['confidence'] or 0.0) >= _SURE):
                begin = max(begin, past['last_seen'] + _TICK)
        return begin

    def _apart(self, name: str) -> dict[str, Any]:
        """Who is blamed for an incident, and who for others meanwhile."""
        own = self._active[name]['state'].get('lead')
        if not own or not own['named']:
            return {}
        leads = [self._lead(other) for other in self._active
                 if other != name and self._status(other) in (
                     incidents.OPEN, incidents.ACKNOWLEDGED)]
        return {'own': own['component'], 'elsewhere': [
            [lead['component'], category] for lead in leads
            if _sure(lead) and lead['component'] != own['component']
            for category in incidents.alike(lead['category'])]}

    def _analyse(self, name: str) -> None:
        """Ask what the cause of an incident is."""
        row = self._active[name]
        state = row['state']
        state['due'] = None
        asked = state.get('asked')
        if state['analyses'] >= _MOST_ANALYSES:
            self._book.change(name, False, state=state)
            return
        if asked and _moment(asked) > self._book.now - datetime.timedelta(
                seconds=_AGAIN):
            state['due'] = (_moment(asked) + datetime.timedelta(
                seconds=_AGAIN)).isoformat()
            self._book.change(name, False, state=state)
            return
        state['analyses'] += 1
        state['asked'] = self._book.now.isoformat()
        self._book.analyse(name, {
            'issue': state['text'],
            'since': self._begin(row).isoformat() + '+00:00',
            'until': (row['last_seen'] + self._window).isoformat()
            + '+00:00',
            'request_ids': state.get('requests', [])[:10],
            'servers': [], 'services': [], **self._apart(name),
            'mode': conf.CONF.incidents.mode})
        self._book.change(name, False, state=state)


def _keys(symptom: dict[str, Any]) -> set[str]:
    """By what a symptom is known to belong to others."""
    return {_template(symptom),
            *(_key('r', value) for value in symptom.get('requests') or ()),
            *(_key('e', value)
              for value in symptom.get('resources') or ())} - {''}


def _key(kind: str, value: str) -> str:
    """A value of a log as a key of a row."""
    return rows.clip(f'{kind}:{value}', 160) or ''


def _template(symptom: dict[str, Any]) -> str:
    if not symptom['template']:
        return ''
    return _key('t', f'{symptom["template"]}:{symptom["binary"]}')


def _process(symptom: dict[str, Any]) -> str:
    return '@'.join(filter(None, (symptom['binary'],
                                  symptom['event_host'])))


def _moment(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)


def _best(symptom: dict[str, Any]) -> dict[str, Any] | None:
    """The strongest thing that a symptom says of whose fault it is."""
    return max(symptom.get('reasons') or (), default=None, key=lambda r: (
        r['direct'] and r['weight'] >= _SURE, r['weight']))


def _is_behind(cause: str, part: str) -> bool:
    """Whether a part fails where another one does."""
    return cause == part or cause in components.behind(part)


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two causes are one."""
    if one['component'] != other['component']:
        # The programs of a service have one user, and Keystone does not know
        # which of them could not log in.
        return one['category'] == other['category'] == 'authentication' and (
            components.of_service(one['component'])
            == components.of_service(other['component']))
    return not (one['host'] and other['host']
                and one['host'] != other['host']
                and {one['category'], other['category']} & _LOCAL)


def _held(reasons: list[dict[str, Any]],
          reason: dict[str, Any]) -> dict[str, Any] | None:
    """The same reason, where an incident has it."""
    return next((r for r in reasons if all(
        r[key] == reason[key] for key in (
            'component', 'clue', 'category'))), None)


def _take_reason(reasons: list[dict[str, Any]], reason: dict[str, Any],
                 symptom: dict[str, Any], process: str) -> bool:
    """Add a reason.

    :returns: whether it is new, stronger or more widely heard
    """
    reason = {**reason, 'processes': [process], 'since': symptom['since'],
              'error': symptom['since'] if symptom.get('error') else None}
    held = _held(reasons, reason)
    if held is None:
        if len(reasons) >= _MOST_REASONS:
            return False
        reasons.append(reason)
        return True
    return _widen(held, reason)


def _widen(held: dict[str, Any], reason: dict[str, Any]) -> bool:
    before = dict(held, processes=list(held['processes']))
    held['weight'] = max(held['weight'], reason['weight'])
    if held['host'] != reason['host']:
        held['host'] = ''
    _remember(held['processes'], reason['processes'], _MOST_PROCESSES)
    held['since'] = min(held['since'], reason['since'])
    errors = [e for e in (held['error'], reason['error']) if e]
    held['error'] = min(errors, default=None)
    return held != before


def _remember(held: list[str], values: Iterable[str | None],
              most: int) -> None:
    """Add what is not there yet, as long as there is room."""
    for value in values:
        if value and value not in held and len(held) < most:
            held.append(value)


def _rank(reasons: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The likeliest cause, of all that was said."""
    ranked = ranking.rank([ranking.Finding(
        component=r['component'], category=r['category'], clue=r['clue'],
        weight=r['weight'], cause=r['cause'], remedy=(), direct=r['direct'],
        # When an error was logged is all that is asked of the events.
        events=[{'timestamp': _moment(r['error']), 'kind': 'log',
                 'level': 40, 'text': ''}] if r['error'] else [],
        host=r['host'], since=_moment(r['since']),
        processes={(p, '') for p in r['processes']},
        via=tuple(r.get('via', ()))) for r in reasons])
    if not ranked:
        return None
    first = ranked[0]
    # The strongest finding is the first one.
    named = first.findings[0].weight >= _NAMES
    return {'component': first.component, 'category': first.category,
            'host': first.host, 'score': round(first.score, 3),
            'cause': first.findings[0].cause,
            'weight': first.findings[0].weight,
            'direct': any(f.direct for f in first.findings),
            'named': named}


def _sure(lead: dict[str, Any] | None) -> bool:
    """Whether a cause is sure enough to explain what others say."""
    return bool(lead and lead['named'] and lead['score'] >= _SURE)


def _severity(row: dict[str, Any], lead: dict[str, Any] | None) -> str:
    """How bad it is, as far as its symptoms tell."""
    broad = len(row['state'].get('processes', ()))
    if lead and lead['direct'] and lead['component'] in _VITAL and lead[
            'category'] not in ('quota', 'permission'):
        return 'critical'
    if broad >= 4 or lead and lead['category'] in ('process_down', 'hang'):
        return 'high'
    return 'medium'
