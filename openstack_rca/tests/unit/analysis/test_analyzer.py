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
"""Tests of the way from a folder of logs to a report."""

import datetime
import json
import pathlib
from typing import Any

from openstack_rca import conf
from openstack_rca.analysis import components
from openstack_rca.analysis import evidence
from openstack_rca.analysis import scope
from openstack_rca.engine import local
from openstack_rca.tests import base

T = datetime.datetime(2026, 11, 21, 2, 0)
EXAMPLE = (pathlib.Path(__file__).parents[4] / 'examples' / 'no-valid-host')


def line(second: float, logger: str, text: str, level: str = 'INFO',
         pid: int = 7, user: str = '1' * 32, request: int = 1) -> str:
    moment = T + datetime.timedelta(seconds=second)
    return (f'{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d} '
            f'{pid} {level} {logger} [None req-00000000-0000-4000-8000-'
            f'{request:012d} {user} {"2" * 32} - - default default] {text}')


class AnalyzerTestCase(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        conf.load()
        self.folder = self.make_folder()

    def make_folder(self) -> pathlib.Path:
        import shutil
        import tempfile
        folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        return folder

    def write(self, name: str, lines: list[str]) -> None:
        (self.folder / name).write_text('\n'.join(lines) + '\n')

    def quiet(self, seconds: int = 120, logger: str = 'nova.compute.manager',
              pid: int = 7) -> list[str]:
        return [line(s, logger, f'Took {s}.1 seconds to build instance.',
                     pid=pid) for s in range(0, seconds, 3)]

    def analyze(self, issue: str = 'servers fail', **more: Any) -> dict[
            str, Any]:
        session = local.open_folder(self.folder)
        return session.analyze(scope.Question(issue=issue, **more))

    def test_error_line_is_placed_by_the_code_map(self) -> None:
        self.write('neutron-server.log', self.quiet(
            logger='neutron.wsgi') + [line(
                121, 'neutron.plugins.ml2.managers',
                'Failed to bind port 0a1b2c3d-1111-4222-8333-444455556666 '
                'on host cmp1 for vnic_type normal using segments []',
                level='ERROR')])
        report = self.analyze()
        places = [p for h in report['hypotheses']
                  for p in (h['location'], *h['locations']) if p]
        self.assertEqual('bind_port', places[0]['function'])
        self.config('analysis', codemaps=str(self.folder))
        report = self.analyze()
        places = [p for h in report['hypotheses']
                  for p in (h['location'], *h['locations']) if p]
        self.assertEqual([('neutron/plugins/ml2/managers.py', None)], [
            (p['file'], p['function']) for p in places][:1])

    def test_nothing_abnormal(self) -> None:
        self.write('nova-compute.log', self.quiet())
        report = self.analyze('')
        self.assertEqual('nothing_abnormal', report['verdict'])
        self.assertEqual([], report['hypotheses'])
        self.assertEqual('low', report['severity'])

    def test_refused_peer(self) -> None:
        self.write('nova-compute.log', self.quiet() + [
            line(130 + s, 'nova.compute.manager', 'Instance failed to spawn: '
                 'Unable to establish connection to http://10.0.0.1:9292/v2:'
                 ' [Errno 111] Connection refused', 'ERROR', request=s)
            for s in range(5)])
        report = self.analyze()
        self.assertEqual('cause_found', report['verdict'])
        first = report['hypotheses'][0]
        self.assertEqual(('glance', 'process_down'),
                         (first['component'], first['category']))
        cited = {e['id']: e for e in report['evidence']}
        shown = cited[first['evidence'][0]]
        self.assertEqual('nova-compute.log', shown['source'])
        self.assertEqual(41, shown['line'])
        data = (self.folder / 'nova-compute.log').read_bytes()
        self.assertTrue(data[shown['offset']:].decode().startswith(
            shown['text']))

    def test_habitual_errors_are_no_cause(self) -> None:
        noise = [line(s, 'nova.virt.driver', 'Something odd happened',
                      'ERROR') for s in range(0, 240, 12)]
        failed = [line(150 + s, 'nova.compute.manager', 'No space left on '
                       'device', 'ERROR') for s in range(4)]
        self.write('nova-compute-cmp1.log', sorted(
            self.quiet(240) + noise + failed))
        report = self.analyze()
        self.assertEqual('disk', report['hypotheses'][0]['component'])
        self.assertEqual('cmp1', report['hypotheses'][0]['host'])

    def test_traceback_gives_the_place(self) -> None:
        trace = ['Traceback (most recent call last):',
                 '  File "/usr/lib/python3/dist-packages/nova/compute/'
                 'manager.py", line 7, in _reboot',
                 'TypeError: no']
        self.write('nova-compute.log', self.quiet() + [
            line(130, 'nova.compute.manager', 'Cannot reboot', 'ERROR')
            + '\n' + '\n'.join(trace)])
        first = self.analyze()['hypotheses'][0]
        self.assertEqual(('nova-compute', 'code_defect'),
                         (first['component'], first['category']))
        self.assertEqual({'module': 'nova.compute.manager',
                          'file': 'nova/compute/manager.py',
                          'function': '_reboot'}, first['location'])

    def test_silent_failure_is_no_cause(self) -> None:
        self.write('nova-compute.log', self.quiet())
        report = self.analyze('server web-1 does not answer')
        self.assertEqual('insufficient_evidence', report['verdict'])
        self.assertLess(report['confidence'], 0.25)

    def test_question_about_a_request(self) -> None:
        self.write('nova-compute.log', self.quiet() + [
            line(130, 'nova.compute.manager', 'Corrupt image download',
                 'ERROR', request=4242)])
        report = self.analyze('', request_ids=(
            'req-00000000-0000-4000-8000-000000004242',))
        self.assertEqual(['req-00000000-0000-4000-8000-000000004242'],
                         report['scope']['request_ids'])
        self.assertEqual('glance', report['hypotheses'][0]['component'])

    def test_one_caller_refused_everywhere(self) -> None:
        for name, logger in (('nova-api', 'nova.api.openstack.wsgi'),
                             ('cinder-api', 'cinder.api.openstack.wsgi'),
                             ('keystone', 'keystone.server')):
            self.write(f'{name}.log', self.quiet(logger=logger) + [
                line(130 + s, logger, "Policy doesn't allow os:admin to be "
                     'performed.', 'WARNING', request=s) for s in range(5)])
        first = self.analyze('403 from every call')['hypotheses'][0]
        self.assertEqual(('client', 'permission'),
                         (first['component'], first['category']))

    def _locked_out(self, *services: str) -> dict[str, Any]:
        """What is named first when the message bus refuses some services."""
        said = []
        for second in range(130, 140):
            moment = T + datetime.timedelta(seconds=second)
            head = f'{moment:%Y-%m-%d %H:%M:%S}.101000+00:00 [error] <0.9.0> '
            said += [f'{head}Error on AMQP connection <0.9.0> (10.0.0.1:50000 '
                     '-> 10.0.0.5:5672, state: starting):',
                     f"{head}PLAIN login refused: user 'rca' - invalid "
                     'credentials']
        self.write('rabbitmq.log', said)
        for pid, name in enumerate(('cinder-volume', 'nova-compute',
                                    'neutron-l2-agent'), 7):
            logger = name.replace('-', '.', 1)
            self.write(f'{name}.log', self.quiet(logger=logger, pid=pid) + [
                line(130 + s, 'oslo.messaging._drivers.impl_rabbit',
                     'Failed to consume message from queue: (0, 0): (403) '
                     'ACCESS_REFUSED - Login was refused using '
                     'authentication mechanism PLAIN.', 'ERROR',
                     request=s, pid=pid) for s in range(5)
                if name in services])
        first: dict[str, Any] = self.analyze('nothing goes on')[
            'hypotheses'][0]
        self.assertEqual('authentication', first['category'])
        return first

    def test_one_service_has_another_password(self) -> None:
        first = self._locked_out('cinder-volume')
        self.assertEqual('cinder-volume', first['component'])
        self.assertIn('refuses the credentials of cinder-volume',
                      first['cause'])

    def test_all_services_have_another_password(self) -> None:
        first = self._locked_out('cinder-volume', 'nova-compute',
                                 'neutron-l2-agent')
        self.assertEqual('rabbitmq', first['component'])
        self.assertIn('The message bus refuses logins: user rca',
                      first['cause'])

    def _unanswered(self, second: float) -> dict[str, Any]:
        """Nova's conductor hangs, and some seconds later Neutron."""
        timeout = ('oslo_messaging.exceptions.MessagingTimeout: Timed out '
                   'waiting for a reply to message ID ' + '3' * 32)
        self.write('nova-compute.log', self.quiet() + [
            line(130 + s, 'nova.servicegroup.drivers.db', 'Lost connection '
                 f'to nova-conductor for reporting service status.: {timeout}',
                 'WARNING') for s in range(3)])
        agent = 'neutron.plugins.ml2.drivers.openvswitch.agent'
        self.write('neutron-openvswitch-agent.log', self.quiet(
            logger=agent) + [line(
                130 + second + s, agent, f'Failed reporting state!: {timeout}',
                'ERROR') for s in range(3)])
        first: dict[str, Any] = self.analyze('')['hypotheses'][0]
        return first

    def test_nobody_answers(self) -> None:
        """Who hangs at the same time waits for the same."""
        first = self._unanswered(2)
        self.assertEqual(('mariadb', 'hang'),
                         (first['component'], first['category']))
        self.assertIn('neutron-rpc-server and nova-conductor wait for it',
                      first['cause'])

    def test_an_api_waits_as_well(self) -> None:
        """Who hangs for all the others may be waiting, too."""
        logger = 'keystonemiddleware.auth_token._identity'
        for pid, name in enumerate(('nova-api', 'cinder-api',
                                    'neutron-server'), 7):
            self.write(f'{name}.log', self.quiet(logger=logger, pid=pid) + [
                line(125 + 2 * s, logger, 'keystoneauth1.exceptions.'
                     'connection.ConnectTimeout: Request to '
                     'http://10.0.0.5:5000/v3/auth/tokens timed out',
                     'ERROR', request=10 * pid + s, pid=pid)
                for s in range(5)])
        first = self._unanswered(2)
        self.assertEqual(('mariadb', 'hang'),
                         (first['component'], first['category']))
        self.assertIn('keystone, neutron-rpc-server and nova-conductor wait '
                      'for it', first['cause'])

    def test_one_after_the_other(self) -> None:
        self.assertNotEqual('mariadb', self._unanswered(50)['component'])

    def test_the_bus_breaks(self) -> None:
        """A message bus that hangs breaks connections, too."""
        self.write('nova-conductor.log', self.quiet(
            logger='nova.conductor.manager', pid=8) + [line(
                129, 'oslo.messaging._drivers.impl_rabbit',
                'AMQP server on 10.0.0.5:5672 is unreachable: timed out.',
                'ERROR', pid=8)])
        self.assertEqual('rabbitmq', self._unanswered(2)['component'])

    def test_baseline(self) -> None:
        known = [line(s, 'nova.compute.manager', 'Corrupt image download',
                      'ERROR') for s in range(0, 120, 4)]
        self.write('nova-compute.log', self.quiet() + known)
        base_folder, self.folder = self.folder, self.make_folder()
        self.write('nova-compute.log', self.quiet() + known + [
            line(130 + s, 'nova.compute.manager', 'No space left on device',
                 'ERROR') for s in range(5)])
        session = local.open_folder(self.folder, baseline=base_folder)
        report = session.analyze(scope.Question(issue='servers fail'))
        self.assertEqual('disk', report['hypotheses'][0]['component'])

    def test_report_document(self) -> None:
        session = local.open_folder(EXAMPLE / 'logs')
        report = session.analyze(scope.Question(
            issue=(EXAMPLE / 'ISSUE').read_text()))
        truth = json.loads((EXAMPLE / 'truth.json').read_text())
        first = report['hypotheses'][0]
        self.assertIn(first['component'], truth['components'])
        self.assertIn(first['category'], truth['categories'])
        self.assertEqual(report, json.loads(json.dumps(report)))
        ids = {e['id'] for e in report['evidence']}
        self.assertEqual(len(report['evidence']), len(ids))
        for hypothesis in report['hypotheses']:
            self.assertTrue(hypothesis['evidence'])
            self.assertLessEqual(set(hypothesis['evidence']), ids)
            self.assertIn(hypothesis['component'], components.COMPONENTS)
            self.assertIn(hypothesis['category'], components.CATEGORIES)
        for entry in report['timeline']:
            self.assertIn(entry['evidence'], ids)
        for advice in report['recommendations']:
            self.assertLessEqual(set(advice['evidence']), ids)
        failed = {s['id'] for s in truth['servers']
                  if s['status'] == 'ERROR'}
        self.assertLessEqual(failed, set(report['impact']['resources']))
        self.assertLessEqual(len(report['hypotheses']), 10)
        self.assertLessEqual(len(json.dumps(report)), 1 << 20)

    def test_limits(self) -> None:
        conf.CONF.set_override('max_evidence', 3, 'analysis')
        conf.CONF.set_override('max_hypotheses', 1, 'analysis')
        self.addCleanup(conf.CONF.clear_override, 'max_evidence', 'analysis')
        self.addCleanup(conf.CONF.clear_override, 'max_hypotheses',
                        'analysis')
        report = local.open_folder(EXAMPLE / 'logs').analyze(
            scope.Question(issue='No valid host was found'))
        self.assertEqual(3, len(report['evidence']))
        self.assertEqual(1, len(report['hypotheses']))


class SplitTestCase(base.TestCase):
    """Where the quiet part ends."""

    def _split(self, levels: list[int]) -> datetime.datetime | None:
        import polars as pl

        from openstack_rca.detectors import base as detectors
        rows = [{
            'service': 'nova', 'binary': 'nova-api', 'host': '',
            'template': level,
            'window': T + datetime.timedelta(seconds=10 * i),
            'kind': 'log', 'count': 1, 'level': level, 'status': None,
            'latency': None, 'first': T + datetime.timedelta(seconds=10 * i),
            'last': T + datetime.timedelta(seconds=10 * i)}
            for i, level in enumerate(levels)]
        return evidence.split(
            pl.DataFrame(rows, schema=detectors.PROFILE),
            pl.Series([], dtype=pl.UInt64))

    def test_onset(self) -> None:
        self.assertEqual(T + datetime.timedelta(seconds=100),
                         self._split([20] * 10 + [40] * 10))

    def test_no_onset(self) -> None:
        self.assertIsNone(self._split([20] * 20))
        self.assertIsNone(self._split([40] * 20))

    def test_errors_that_end(self) -> None:
        self.assertIsNone(self._split([40] * 10 + [20] * 10))
