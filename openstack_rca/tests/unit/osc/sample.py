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
"""A report and a trace as the analysis gives them."""

from typing import Any

REQUEST = 'req-0b1f5a4e-7f3d-4f2b-9f0e-1d2c3b4a5968'
SERVER = '6f70656e-7374-4163-8b72-636173657276'

NO_HOST = (
    '2026-11-21 03:00:04.250 2211 ERROR nova.scheduler.manager '
    f'[None {REQUEST} demo demo - - default default] Failed to schedule '
    'instances: nova.exception_Remote.NoValidHost_Remote: No valid host was '
    'found. There are not enough hosts available.\n'
    'Traceback (most recent call last):\n\n'
    '  File "/usr/lib/python3/dist-packages/oslo_messaging/rpc/server.py", '
    'line 244, in inner\n'
    '    return func(*args, **kwargs)\n'
    'nova.exception.NoValidHost: No valid host was found. There are not '
    'enough hosts available.')

FILTER = ('2026-11-21 03:00:03.900 2210 INFO nova.filters '
          f'[None {REQUEST} demo demo - - default default] Filter '
          'ComputeFilter returned 0 hosts')


def evidence(name: str, **values: Any) -> dict[str, Any]:
    """One piece of evidence."""
    return {'id': name, 'kind': 'log',
            'timestamp': '2026-11-21T03:00:03.900000+00:00', 'host': 'ctl1',
            'service': 'nova', 'binary': 'nova-scheduler', 'level': 'INFO',
            'source': 'nova/nova-scheduler.log', 'line': 7, 'offset': 900,
            'request_id': REQUEST, 'resources': [SERVER],
            'template': f'{int(name[1:]):016x}', 'text': FILTER,
            'score': .8, 'why': 'not seen in quiet logs', **values}


def report(**values: Any) -> dict[str, Any]:
    """A complete report; ``values`` replace parts of it."""
    pieces = [
        evidence('E1'),
        evidence('E2', timestamp='2026-11-21T03:00:04.250000+00:00',
                 level='ERROR', binary='nova-conductor', text=NO_HOST,
                 source='nova/nova-conductor.log', line=12,
                 why='an ERROR record'),
        evidence('E3', timestamp='2026-11-21T03:00:09.900000+00:00',
                 line=9, template=f'{1:016x}'),
        evidence('E4', kind='notification', binary='', level='WARNING',
                 source='notifications.jsonl', line=3, text='{"a": 1}'),
    ]
    return {
        'version': 1, 'id': '2f1c6d1e-0000-4000-8000-000000000001',
        'status': 'complete', 'verdict': 'cause_found', 'error': None,
        'project_id': None, 'incident_id': None,
        'created_at': '2026-11-21T03:10:00+00:00',
        'finished_at': '2026-11-21T03:10:01+00:00',
        'issue': 'server web-3 went to ERROR', 'mode': 'fast',
        'scope': {'since': '2026-11-21T03:00:00+00:00',
                  'until': '2026-11-21T03:05:00+00:00',
                  'request_ids': [REQUEST], 'resources': [SERVER],
                  'services': ['nova']},
        'summary': 'nova-compute stopped reporting on cmp3.',
        'category': 'process_down', 'severity': 'high', 'confidence': .82,
        'impact': {'services': ['nova-conductor'], 'hosts': ['cmp3'],
                   'projects': ['demo'], 'resources': [SERVER],
                   'requests_failed': 4},
        'hypotheses': [
            {'rank': 1, 'cause': 'nova-compute stopped reporting on cmp3.',
             'component': 'nova-compute', 'category': 'process_down',
             'host': 'cmp3', 'confidence': .82,
             'location': {'module': 'nova.scheduler.manager',
                          'file': 'nova/scheduler/manager.py',
                          'function': 'select_destinations'},
             'locations': [{'module': 'nova.conductor.manager',
                            'file': 'nova/conductor/manager.py',
                            'function': 'build_instances'}],
             'evidence': ['E1', 'E2', 'E3'],
             'remedy': ['Start nova-compute on cmp3.'], 'signature': None},
            {'rank': 2, 'cause': 'The hosts are full.',
             'component': 'compute-capacity', 'category': 'capacity',
             'host': None, 'confidence': .2, 'location': None,
             'locations': [], 'evidence': ['E2', 'E4'],
             'remedy': ['Add hosts.'], 'signature': None},
            {'rank': 3, 'cause': 'keystone was silent.',
             'component': 'keystone', 'category': 'hang', 'host': None,
             'confidence': .01, 'location': None, 'locations': [],
             'evidence': ['E4'], 'remedy': [], 'signature': None}],
        'evidence': pieces,
        'timeline': [
            {'timestamp': piece['timestamp'], 'service': 'nova-scheduler',
             'host': 'ctl1', 'text': 'Filter ComputeFilter returned 0 hosts',
             'evidence': piece['id']} for piece in pieces[:3]],
        'patterns': {
            'services': {'nova-scheduler': 120, 'nova-conductor': 12},
            'levels': {'INFO': 1200, 'ERROR': 3, 'CRITICAL': 1},
            'templates': [{'template': f'{1:016x}',
                           'pattern': 'Filter <*> returned <*> hosts',
                           'service': 'nova-scheduler', 'sign': 'new',
                           'why': 'not seen in quiet logs', 'count': 6,
                           'score': .9}],
            'relevant_events': 9},
        'similar': [],
        'recommendations': [
            {'text': 'Start nova-compute on cmp3.', 'evidence': ['E1']},
            {'text': 'Watch the service list.', 'evidence': ['E2']}],
        'narrative': None,
        'coverage': [{'source': 'nova/nova-scheduler.log',
                      'from': '2026-11-21T02:50:00+00:00',
                      'to': '2026-11-21T03:06:00+00:00', 'events': 1234,
                      'clock': 'UTC'}],
        'skipped': [{'source': 'nova/core.1234',
                     'reason': 'not a text file', 'bytes': 52_428_800}],
        'statistics': {'events': 1300, 'templates': 90,
                       'seconds': {'rank': .01, 'total': .31}},
        **values}


def nothing(**values: Any) -> dict[str, Any]:
    """A report that found nothing."""
    return report(verdict='nothing_abnormal', hypotheses=[], timeline=[],
                  evidence=[], recommendations=[], severity='low',
                  category='unknown', confidence=0.0, skipped=[],
                  summary='Nothing in these logs points at a fault.',
                  **values)


def trace() -> dict[str, Any]:
    """The way of one request."""
    def event(**values: Any) -> dict[str, Any]:
        return {'timestamp': '2026-11-21T03:00:03.900000+00:00',
                'host': 'ctl1', 'service': 'nova',
                'binary': 'nova-scheduler', 'level': 'INFO',
                'logger': 'nova.filters', 'request_id': REQUEST,
                'global_request_id': None, 'resources': [],
                'template': f'{1:016x}', 'pattern': 'Filter <*>',
                'text': FILTER, 'source': 'nova/nova-scheduler.log',
                'line': 7, 'offset': 900, 'kind': 'log', 'delta_ms': 0.0,
                **values}

    return {
        'request_ids': [REQUEST], 'global_request_id': None,
        'services': [
            {'service': 'nova', 'binary': 'nova-scheduler', 'host': 'ctl1',
             'first': '2026-11-21T03:00:03.900000+00:00',
             'last': '2026-11-21T03:00:04.250000+00:00', 'events': 2,
             'errors': 1}],
        'events': [event(), event(
            timestamp='2026-11-21T03:00:04.250000+00:00', level='ERROR',
            text=NO_HOST, delta_ms=350.0)]}


def story() -> dict[str, Any]:
    """The story of one server."""
    place = {'timestamp': '2026-11-21T03:00:04.250000+00:00',
             'binary': 'nova-scheduler', 'host': 'ctl1',
             'source': 'nova/nova-scheduler.log', 'line': 9, 'offset': 990}
    return {
        'server': {'id': '5f0f5e3c-7f4e-4f0a-9a3c-1d2e3f405162',
                   'name': 'web-3', 'flavor': 'm1.small', 'image': None,
                   'host': None, 'state': 'error', 'task_state': None,
                   'others': []},
        'operations': [
            {'operation': 'create', 'outcome': 'failed',
             'reason': 'No valid host was found.',
             'request_ids': [REQUEST],
             'start': '2026-11-21T03:00:03.900000+00:00',
             'end': '2026-11-21T03:00:04.250000+00:00', 'seconds': 0.35,
             'hosts': [], 'steps': [{'text': 'state error', **place}],
             'evidence': [place]},
            {'operation': 'delete', 'outcome': 'finished', 'reason': '',
             'request_ids': ['req-2'],
             'start': '2026-11-21T03:01:03.900000+00:00',
             'end': '2026-11-21T03:01:04.250000+00:00', 'seconds': 0.35,
             'hosts': ['cmp1', 'cmp2'], 'steps': [], 'evidence': []}],
        'notes': [{'text': 'the server went to ERROR', **place}],
        'looks': 12, 'request_ids': [REQUEST, 'req-2'],
        'services': trace()['services'], 'events': trace()['events']}


#: What may stand in the place of any part of a document.
ODD: tuple[Any, ...] = (None, [], {}, 'x', 7, [None], [[]], [{}])

#: Text that acts on terminals, browsers and Markdown viewers.
HOSTILE = (
    '\x1b[2J\x1b]0;owned\x07 \x9b31m \u202egnp.exe \u200b\u2066x '
    '<script>alert(1)</script> <img src=x onerror=alert(1)> '
    '![x](https://evil.example/x.png) [y](javascript:alert(1)) '
    'https://evil.example/ www.evil.example @everyone '
    '"\'--> ]]> </pre></style> ``` ```` | # heading \x00\x08\x7f\ud800 &lt;')


def hostile() -> dict[str, Any]:
    """A report in which every text is hostile."""
    def poison(value: Any, key: str = '') -> Any:
        if isinstance(value, dict):
            return {name: poison(item, name)
                    for name, item in value.items()}
        if isinstance(value, list):
            return [poison(item, key) for item in value]
        keep = ('id', 'evidence', 'timestamp', 'verdict', 'status', 'from',
                'to', 'since', 'until')
        if isinstance(value, str) and key not in keep:
            return f'{HOSTILE}\n```\n# {HOSTILE}\r\n{value}'
        return value

    document: dict[str, Any] = poison(report())
    document['evidence'] = [
        {**poison(piece), 'id': piece['id']}
        for piece in report()['evidence']]
    document['timeline'] = [
        {**poison(entry), 'evidence': entry['evidence']}
        for entry in report()['timeline']]
    document['hypotheses'] = [
        {**poison(item), 'evidence': item['evidence']}
        for item in report()['hypotheses']]
    document['recommendations'] = [
        {'text': HOSTILE, 'evidence': ['E1', HOSTILE]}]
    return document
