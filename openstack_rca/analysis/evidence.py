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
"""Which events a question needs: those that detectors and words point at."""

import dataclasses
import datetime
import itertools
import math
import re
from typing import Any

import polars as pl

from openstack_rca.analysis import clues
from openstack_rca.analysis import components
from openstack_rca.analysis import details
from openstack_rca.analysis import ranking
from openstack_rca.analysis import scope as scopes
from openstack_rca.detectors import base as detectors
from openstack_rca.events import schema
from openstack_rca.store import base as stores

#: Groups (what one process said alike) that are read at most.
_MOST_GROUPS = 1500
#: Events of a group that are read.
_SAMPLES = 3
_MOST_RELATED = 400
_LEAST_QUIET = 25.0
#: Weight of a window's logarithm of points.
_SCALE = 2.0
#: Seconds from which a request is slow.
_SLOW = 1.0
#: How many times its other gaps a silence has to last.
_HUSH = 2.5

#: First line of a traceback.
TRACEBACK = 'Traceback (most recent call last)'

_KEY = ['service', 'binary', 'host', 'template']
#: What services tell at INFO though somebody was refused or is gone.
TOLD = (r'Quota exceeded|OverQuota|exceeds allowed|over limit|'
        r"Policy doesn't allow|not authorized|allocation candidates from|"
        r'returned <\*> hosts|Filtering removed all hosts|dead agents|'
        r'outcome=failure|Shutdown complete|Normal shutdown|'
        r'Starting MariaDB|startup complete|closing AMQP connection|alarm|'
        r'Caught SIG|rejected authorization|Invalid user token')
#: What Nova tells as an error when its user deletes a server while it is built
#: or changed; it tidies up then, and nothing is wrong.
WITHDRAWN = (r'UnexpectedDeletingTaskStateError|'
             r'instance\.create\.error .*\bInstanceNotFound')
_NO_CANDIDATES = 'no allocation candidates'


@dataclasses.dataclass
class Evidence:
    """What was looked at.

    :param current: profile of the time under question
    :param reference: profile of the quiet time
    :param onset: where the quiet time ends, or None
    :param symptoms: what detectors found
    :param samples: event rows, with ``count``, ``expected``, ``score``,
        ``why``, ``related``
    :param templates: patterns by template
    """

    current: pl.DataFrame
    reference: pl.DataFrame
    onset: datetime.datetime | None
    symptoms: pl.DataFrame
    samples: list[dict[str, Any]]
    templates: dict[int, str]


def split(profile: pl.DataFrame,
          told: pl.Series) -> datetime.datetime | None:
    """Where the quiet part of logs ends.

    The moment that best divides the bad events (errors, failed requests,
    warnings that are no habit) into two Poisson rates, the second one higher:
    a likelihood ratio test for one change point (Hinkley, Biometrika 1970).

    :param profile: the whole time
    :param told: templates of refusals and the like that services tell at
        INFO
    :returns: the moment, or None where nothing changes for the worse
    """
    if profile.is_empty():
        return None
    windows = profile['window'].n_unique()
    habit = profile.group_by('template').agg(
        spread=pl.col('window').n_unique()).filter(
            pl.col('spread') > max(2, windows * 0.4))
    bad = profile.filter(
        (pl.col('level') >= schema.ERROR) | (pl.col('status') >= 500)
        | (pl.col('status') == 403)
        | pl.col('template').is_in(told.implode())
        | ((pl.col('level') >= schema.WARNING)
           & ~pl.col('template').is_in(habit['template'].implode())))
    if bad.is_empty():
        return None
    start, end = profile['window'].min(), profile['window'].max()
    counts = dict(bad.with_columns(
        points=pl.col('count').clip(0, 5)
        * pl.when(pl.col('level') >= schema.ERROR).then(3).otherwise(1)
    ).group_by('window').agg(pl.col('points').sum()).iter_rows())
    step = datetime.timedelta(seconds=detectors.WINDOW_SECONDS)
    assert isinstance(start, datetime.datetime)
    assert isinstance(end, datetime.datetime)
    n = int((end - start) / step) + 1
    if n > 20000:
        # Days of logs: coarser windows do.
        step *= math.ceil(n / 20000)
        n = int((end - start) / step) + 1
    series = [0.0] * n
    for window, points in counts.items():
        series[int((window - start) / step)] += points
    # The first errors count nearly as much as the flood that they start.
    series = [_SCALE * math.log1p(points) for points in series]
    total, best, where = sum(series), 0.0, None
    before = 0.0
    for i in range(1, n):
        before += series[i - 1]
        low, high = before / i, (total - before) / (n - i)
        if high <= low:
            continue
        ratio = (_log(before, low) + _log(total - before, high)
                 - _log(total, total / n))
        if ratio > best:
            best, where = ratio, i
    if where is None or best < 3.0:
        return None
    return start + where * step


def hush(profile: pl.DataFrame) -> datetime.datetime | None:
    """Where a process falls silent, in logs without any bad event.

    :param profile: the whole time
    :returns: the window in which the longest silence of a process begins
        that is many times longer than its others, or None
    """
    best: tuple[float, datetime.datetime | None] = (0.0, None)
    end = profile['last'].max()
    living = profile.filter(pl.col('kind') != 'notification')
    for _key, part in living.group_by('service', 'binary', 'host'):
        lines = part.group_by('window').agg(
            first=pl.col('first').min(), last=pl.col('last').max()).sort(
                'first').select('window', 'first', 'last').rows()
        gaps = [((b[1] - a[2]).total_seconds(), a[0])
                for a, b in zip(lines, lines[1:], strict=False)]
        if lines:
            gaps.append(((end - lines[-1][2]).total_seconds(), lines[-1][0]))
        gaps.sort(reverse=True)
        if len(gaps) < 4 or gaps[0][0] < _LEAST_QUIET:
            continue
        ratio = gaps[0][0] / max(1.0, gaps[1][0])
        if ratio >= _HUSH and ratio > best[0]:
            best = (ratio, gaps[0][1])
    return best[1]


def _log(count: float, rate: float) -> float:
    return count * math.log(rate) if count and rate else 0.0


def gather(store: stores.Store, baseline: stores.Store | None,
           scope: scopes.Scope,
           found_by: list[tuple[str, detectors.Detector]]) -> Evidence:
    """Detect, and read the events that are worth it.

    :param store: events
    :param baseline: events of a quiet time, or None
    :param scope: what the question is about
    :param found_by: name and instance of each detector
    """
    query = stores.Query(since=scope.since, until=scope.until,
                         services=scope.only_services)
    profile = detectors.profile(store.narrow(query))
    templates = store.templates()
    told = templates.filter(
        pl.col('pattern').str.contains(TOLD))['template']
    reference, current, onset = _divide(store, baseline, scope, profile,
                                        told)
    view = detectors.View(current, reference, store, query, onset)
    parts = [d.look(view) for _name, d in found_by]
    symptoms = pl.concat(parts) if parts else detectors.no_symptoms()
    groups = _groups(current, reference, symptoms, told)
    samples = _sample(store, query, onset, groups)
    samples += _asked(store, query, samples)
    if scope.requests or scope.resources:
        samples += _related(store, scope, groups)
    known = {s['template'] for s in samples}
    known |= set(symptoms['template'].drop_nulls().to_list())
    templates = templates.filter(pl.col('template').is_in(
        pl.Series(sorted(known), dtype=pl.UInt64).implode()))
    return Evidence(current, reference, onset, symptoms, samples,
                    dict(templates.iter_rows()))


def _divide(store: stores.Store, baseline: stores.Store | None,
            scope: scopes.Scope, profile: pl.DataFrame,
            told: pl.Series) -> tuple[
                pl.DataFrame, pl.DataFrame, datetime.datetime | None]:
    """Quiet part and the rest."""
    none = profile.head(0)
    if baseline is not None:
        return detectors.profile(baseline.scan()), profile, scope.since
    if scope.since is not None:
        before = detectors.profile(store.narrow(stores.Query(
            until=scope.since - datetime.timedelta(microseconds=1),
            since=scope.since - datetime.timedelta(days=1),
            services=scope.only_services)))
        if before.height and detectors.seconds(before) >= _LEAST_QUIET:
            return before, profile, scope.since
    onset = split(profile, told)
    if onset is None and not profile.select((
            (pl.col('level') >= schema.ERROR)
            & (pl.col('kind') != 'notification')).any()).item():
        onset = hush(profile)
    if onset is None:
        return none, profile, None
    quiet = profile.filter(pl.col('window') < onset)
    if detectors.seconds(quiet) < _LEAST_QUIET:
        return none, profile, None
    return quiet, profile.filter(pl.col('window') >= onset), onset


def _groups(current: pl.DataFrame, reference: pl.DataFrame,
            symptoms: pl.DataFrame, told: pl.Series) -> pl.DataFrame:
    """What each process said, how often, and how unusual that is."""
    best = symptoms.filter(pl.col('template').is_not_null()).sort(
        'score', descending=True).group_by(_KEY, maintain_order=True).agg(
            score=pl.col('score').first(), why=pl.col('why').first(),
            sign=pl.col('sign').first())
    share = (detectors.seconds(current) / detectors.seconds(reference)
             if reference.height else 0.0)
    past = reference.group_by('binary', 'template').agg(
        past=pl.col('count').sum())
    groups = current.group_by(_KEY).agg(
        count=pl.col('count').sum(), level=pl.col('level').max(),
        status=pl.col('status').max(), kind=pl.col('kind').first(),
        first=pl.col('first').min(), last=pl.col('last').max())
    together = groups.group_by('binary', 'template').agg(
        together=pl.col('count').sum())
    groups = groups.join(past, on=['binary', 'template'], how='left').join(
        together, on=['binary', 'template'], how='left').join(
            best, on=_KEY, how='left', nulls_equal=True).with_columns(
                pl.col('score').fill_null(0.0),
                expected=pl.col('past').fill_null(0) * share)
    telling = ((pl.col('level') >= schema.WARNING)
               | (pl.col('status') >= 400) | (pl.col('score') >= 0.15)
               | pl.col('template').is_in(told.implode()))
    return groups.filter(telling).sort(
        pl.col('level') >= schema.ERROR, pl.col('status').fill_null(0) >= 500,
        'score', 'level', descending=True).head(_MOST_GROUPS)


def _sample(store: stores.Store, query: stores.Query,
            onset: datetime.datetime | None,
            groups: pl.DataFrame) -> list[dict[str, Any]]:
    """The first events of each group."""
    if groups.is_empty():
        return []
    since = max((t for t in (query.since, onset) if t), default=None)
    wanted = groups['template'].unique()
    places = store.narrow(stores.Query(
        since=since, until=query.until, services=query.services)).filter(
            pl.col('template').is_in(wanted.implode())).select(
                *_KEY, 'timestamp', 'source', 'line').collect(
                    engine='streaming')
    places = places.join(groups.select(_KEY), on=_KEY, how='semi').sort(
        'timestamp', 'source', 'line').group_by(
            _KEY, maintain_order=True).head(_SAMPLES)
    rows = store.narrow(stores.Query(since=since, until=query.until)).filter(
        pl.col('source').is_in(places['source'].unique().implode())).join(
            places.select('source', 'line').lazy(), on=['source', 'line'],
            how='semi').collect(engine='streaming')
    rows = rows.join(groups.select(
        *_KEY, 'count', 'together', 'expected', 'score', 'why', 'sign'),
        on=_KEY, how='left').sort('timestamp', 'source', 'line')
    return [{**r, 'related': False} for r in rows.iter_rows(named=True)]


def _asked(store: stores.Store, query: stores.Query,
           samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What Placement was asked for where it had nothing.

    The scheduler does not say what was asked for, and Placement says it of
    every request, most of which are answered.
    """
    requests = sorted({r['request_id'] for r in samples
                       if r['request_id'] and _NO_CANDIDATES in r['text']})
    if not requests:
        return []
    rows = store.query(stores.Query(
        since=query.since, until=query.until,
        requests=tuple(requests[:_SAMPLES]), limit=_MOST_RELATED)).filter(
            pl.col('path').str.contains('/allocation_candidates?',
                                        literal=True))
    return [{**r, 'count': None, 'together': None, 'expected': None,
             'score': None, 'why': None, 'sign': None, 'related': False}
            for r in rows.head(_SAMPLES).iter_rows(named=True)]


def _related(store: stores.Store, scope: scopes.Scope,
             groups: pl.DataFrame) -> list[dict[str, Any]]:
    """Events of the requests and resources that the question names."""
    rows = pl.DataFrame(schema=schema.EVENTS)
    if scope.resources:
        rows = store.query(stores.Query(
            since=scope.since, until=scope.until,
            resources=scope.resources, limit=_MOST_RELATED))
    requests = {*scope.requests,
                *rows['request_id'].drop_nulls().unique().to_list()}
    if requests:
        more = store.query(stores.Query(
            since=scope.since, until=scope.until,
            requests=tuple(sorted(requests))[:100], limit=_MOST_RELATED))
        rows = pl.concat([rows, more]).unique(
            ['source', 'line'], maintain_order=True)
    rows = rows.filter((pl.col('level') >= schema.WARNING)
                       | (pl.col('status') >= 400)
                       | (pl.col('kind') == 'notification'))
    rows = rows.join(groups.select(
        *_KEY, 'count', 'together', 'expected', 'score', 'why', 'sign'),
        on=_KEY, how='left').sort('timestamp', 'source', 'line')
    return [{**r, 'related': True} for r in rows.iter_rows(named=True)]


def message(row: dict[str, Any]) -> str:
    """The message of an event row, with its traceback."""
    return str(row['message'] if row['message'] is not None
               else row['text'][row['body']:])


def findings(evidence: Evidence) -> list[ranking.Finding]:
    """What the messages say of whose fault it is."""
    found = []
    told: list[clues.Blame] = []
    for row in evidence.samples:
        for blame, weight, host in blames(row):
            found.append(ranking.Finding(
                component=blame.component, category=blame.category,
                clue=blame.clue, weight=weight, cause=blame.cause,
                remedy=blame.remedy, direct=blame.direct, events=[row],
                host=host,
                related=row['related'], since=row['timestamp'],
                processes={(row['binary'], row['host'])}, via=blame.via))
            told.append(blame)
    return _one_behind(_one_login(_one_caller(_detailed(found, told))))


def blames(row: dict[str, Any]) -> list[tuple[clues.Blame, float, str]]:
    """What one event says of whose fault it is.

    :param row: of the event, with ``count`` and the like of a sample or not
    :returns: what it says, how strong that is, and the host that is meant
    """
    component = components.of_binary(row['binary'])
    text = message(row)
    share = unusual(row)
    found = []
    for blame in (clues.read(clues.Message(
            text, component, row['level'], row['status'], row['kind']))
            or ([] if re.search(WITHDRAWN, text)
                else _plain(row, component))):
        weight = blame.weight * share
        if row['level'] < schema.WARNING and row['status'] is None \
                and blame.clue not in _TOLD_AT_INFO:
            weight *= 0.5
        found.append((blame, weight, _host(blame, row, component, text)))
    return found


def _detailed(found: list[ranking.Finding],
              told: list[clues.Blame]) -> list[ranking.Finding]:
    """Causes with the details that their messages hold.

    Only of messages that a report cites: a cause names nothing else.

    :param found: reasons
    :param told: what each was made of
    """
    groups: dict[tuple[str, str], dict[str, list[int]]] = {}
    for n, finding in enumerate(found):
        groups.setdefault((finding.component, finding.category), {}
                          ).setdefault(finding.clue, []).append(n)
    for group in groups.values():
        cited = {clue: sorted(places, key=lambda n: (
            not found[n].related,
            found[n].events[0]['timestamp']))[:_CITED]
            for clue, places in group.items()}
        # The next reason is cited as well, and may tell the rest: which
        # host was silent, and which filter took it away.
        order = sorted(group, key=lambda c: -max(
            found[n].weight for n in group[c]))
        for clue, places in group.items():
            other = next((c for c in order if c != clue), clue)
            words = list(details.bounded(
                d for c in (clue, other) for n in cited[c]
                for d in told[n].details))
            seen = sorted({
                str(binary) for n in cited[clue] if told[n].heard
                for binary in [found[n].events[0]['binary']]
                if components.of_binary(binary) != found[n].component})
            if seen:
                words.append('seen by ' + ' and '.join(filter(None, (
                    ', '.join(seen[:-1]), seen[-1]))))
            if words:
                cause = f'{found[places[0]].cause}: {"; ".join(words)}'
                for n in places:
                    found[n].cause = cause
    return found


#: Messages of one reason that a report cites, the first ones.
_CITED = 4


def _one_caller(found: list[ranking.Finding]) -> list[ranking.Finding]:
    """Blame the caller when several services refuse it.

    A service that refuses does what its policy says. When several refuse at
    the same time, it is a caller that asks for what it may not have.
    """
    refused = [f for f in found if f.category == 'permission']
    services = {f.component for f in refused}
    if len(services) < _MANY_REFUSE:
        return found
    return [dataclasses.replace(
        f, component='client', weight=max(f.weight, 0.85),
        cause='A caller without the role for it is refused by '
              + ', '.join(sorted(services)),
        remedy=('Find the caller by the user id and address in the lines '
                'below; stop it or give it the role.',))
        if f in refused else f for f in found]


_MANY_REFUSE = 3


def _one_login(found: list[ranking.Finding]) -> list[ranking.Finding]:
    """Blame the project when it is the only one whose login is refused.

    A password that was changed for all of them is refused to all; what the
    database or the message bus says of a single one repeats what that says.
    """
    refused = [f for f in found if f.clue in _LOGINS]
    if len({components.of_service(f.component) for f in refused}) != 1:
        return found
    return [dataclasses.replace(f, direct=False, weight=_REPEATS)
            if f.clue == clues.REFUSES else f for f in found]


#: What a service says whose login is refused, and what it is then worth that
#: others say so.
_LOGINS = frozenset(('database access denied', 'message bus login'))
_REPEATS = 0.3


def _one_behind(found: list[ranking.Finding]) -> list[ranking.Finding]:
    """Blame the database when services that share nothing else hang.

    Those who answer no call at the same time wait for the same. A message
    bus that hangs breaks connections, too, and no call needs an API.
    """
    hung: dict[str, list[ranking.Finding]] = {}
    for finding in found:
        if finding.clue == _UNANSWERED and finding.since:
            hung.setdefault(components.of_service(finding.component), []
                            ).append(finding)
    firsts = [min(group, key=_begins) for group in hung.values()]
    if (len(firsts) < _MANY_HANG
            or any(f.component in _SHARED and f.weight >= _NOTEWORTHY
                   for f in found)
            or max(map(_begins, firsts)) - min(map(_begins, firsts))
            > _TOGETHER):
        return found
    # An API that answers no request meanwhile waits for it as well.
    slow = [f for f in found if f.clue == _TIMED_OUT and f.since
            and 'mariadb' in components.NEEDS.get(f.component, ())
            and abs(min(map(_begins, firsts)) - f.since) < _LONG]
    names = sorted({f.component for f in (*itertools.chain(*hung.values()),
                                          *slow)})
    return [*(dataclasses.replace(f, direct=False)
              if any(f is one for one in slow) else f for f in found),
            *(ranking.Finding(
                component='mariadb', category='hang', clue='nobody answers',
                weight=0.65, cause='The database hangs: '
                + ', '.join(names[:-1]) + f' and {names[-1]} wait for it, '
                'and stopped answering at the same time',
                remedy=('See what the database does: SHOW FULL PROCESSLIST, '
                        'the status of the cluster, its disk.',),
                direct=True, events=f.events, since=f.since,
                processes={p for group in hung.values() for f in group
                           for p in f.processes}) for f in [*firsts, *slow])]


def _begins(finding: ranking.Finding) -> datetime.datetime:
    assert finding.since is not None
    return finding.since


#: A call over the message bus that was not answered, of so many services
#: within so much time.
_UNANSWERED = 'call not answered'
_MANY_HANG = 2
_TOGETHER = datetime.timedelta(seconds=30)
#: A request that was not, and how much sooner or later who asked gives up.
_TIMED_OUT = 'request timed out'
_LONG = datetime.timedelta(minutes=2)
#: What speaks for itself, with a reason of so much weight.
_SHARED = frozenset(('rabbitmq', 'mariadb'))
_NOTEWORTHY = 0.3


#: Clues that services tell at INFO: refusals are no error of theirs.
_TOLD_AT_INFO = frozenset((
    'quota', 'policy', 'no allocation candidates', 'compute filter',
    'capacity filter', 'other filter', 'database stopped',
    'message bus stopped', 'client of the bus lost',
    'login of a service failed', 'agents dead', 'message bus alarm',
    'service credentials refused'))

_HOSTED = frozenset(('nova-compute', 'neutron-l2-agent', 'disk', 'libvirt',
                     'neutron-l3-agent', 'neutron-dhcp-agent', 'network',
                     'cinder-volume', 'storage'))
_SILENT_HOST = re.compile(r'^\(([\w.\-]+), ')


def _host(blame: clues.Blame, row: dict[str, Any], component: str,
          text: str) -> str:
    """The host that a blame means."""
    if blame.component not in _HOSTED:
        return ''
    if blame.host:
        return blame.host
    named = _SILENT_HOST.match(text)
    if named:
        return named[1]
    if blame.component in (component, 'disk', 'libvirt', 'network',
                           'neutron-l2-agent'):
        return str(row['host'] or '').split('@')[0]
    return ''


def unusual(row: dict[str, Any]) -> float:
    """How much of what a process says is not its habit, 0 to 1."""
    count, expected = row.get('together'), row.get('expected')
    if not count:
        return 1.0
    return max(0.08, 1 - min(1.0, float(expected or 0.0) / float(count)))


def _plain(row: dict[str, Any], component: str) -> list[clues.Blame]:
    """What an event without any clue says: that its process fails."""
    if component == 'other':
        return []
    status = row['status']
    if row['level'] >= schema.ERROR:
        return [clues.Blame(
            'error', component, 'unknown', .3,
            f'{component} logs errors',
            (f'Read the lines of {component} below.',), False)]
    if status is not None and status >= 500:
        return [clues.Blame(
            'failed requests', component, 'unknown', .2,
            f'{component} fails to answer requests',
            (f'Look for the request ids in the log of {component}.',),
            False)]
    if status == 403 and row.get('count', 0) and row['count'] >= 3:
        return [clues.Blame(
            'refused requests', component, 'permission', .3,
            f'{component} refuses requests of a caller that lacks the role',
            ('Give the user the role, or stop the client.',), False)]
    if row.get('sign') == 'latency' and (row['latency'] or 0) >= _SLOW:
        return [clues.Blame(
            'slow requests', component, 'hang', .15,
            f'{component} answers slowly',
            (f'See what {component} waits for.',), False)]
    return []
