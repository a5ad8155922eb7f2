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
"""What the engine tells of itself: metrics for Prometheus, and its health.

The main process counts what it does, and what its other processes tell it;
a thread asks the database now and then. Whoever asks for the metrics waits
for neither.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import datetime
import http.server
import ipaddress
import json
import socket
import socketserver
import threading
import time
from typing import Any

from oslo_log import log as logging
import prometheus_client as prometheus
from prometheus_client import metrics_core
from prometheus_client import registry

from openstack_rca import conf
from openstack_rca import exception
from openstack_rca import version
from openstack_rca.db import gauges
from openstack_rca.db import rows

LOG = logging.getLogger(__name__)

#: Seconds between two looks into the database.
_LOOK = 10.0
#: Seconds that somebody has to ask.
_PATIENCE = 5
#: Who is answered at the same time.
_MOST = 16
#: Processes that tell of themselves all the time.
_LIVELY = frozenset(('reader', 'listener', 'watcher'))

# Each counter would tell when it began, which nobody asks.
prometheus.disable_created_metrics()  # type: ignore[no-untyped-call]

REGISTRY = prometheus.CollectorRegistry()
_PREFIX = 'openstack_rca'


def _counter(name: str, what: str, *labels: str) -> prometheus.Counter:
    return prometheus.Counter(name, what, labels, namespace=_PREFIX,
                              registry=REGISTRY)


def _gauge(name: str, what: str, *labels: str) -> prometheus.Gauge:
    return prometheus.Gauge(name, what, labels, namespace=_PREFIX,
                            registry=REGISTRY)


BUILD = _gauge('build_info', 'Always 1, with the release of the engine.',
               'version')
UP = _gauge('process_up', 'Whether a process of the engine runs.', 'process')
RESTARTS = _counter(
    'process_restarts', 'Processes of the engine that ended by themselves.',
    'process')
DATABASE = _gauge('database_up', 'Whether the database answered last.')
EVENTS = _gauge('source_events', 'Events of a source in the store.',
                'source')
BYTES = _gauge('source_bytes', 'Bytes that a source was read from.',
               'source')
NEWEST = _gauge(
    'source_newest_timestamp_seconds',
    'When the newest event of a source was logged, by the clock of its host.',
    'source')
LAG = _gauge(
    'source_lag_seconds',
    'For how long the oldest thing of a source waits that is not stored.',
    'source')
LINES = _counter('lines', 'Lines and notifications that were stored.',
                 'source')
DROPPED = _counter('dropped', 'What had to be dropped, by reason.', 'reason')
DEPTH = _gauge('queue_depth', 'What waits in a queue of the engine.',
               'queue')
SYMPTOMS = _counter('symptoms', 'Symptoms that a detector found.',
                    'detector')
RUNS = _counter('detector_runs', 'Judgements of a detector.',
                'detector')
TIME = _counter('detector_seconds',
                'Seconds that a detector judged for.',
                'detector')
FINISHED = _counter('jobs_finished', 'Jobs that this engine worked on.',
                    'kind', 'result')
DURATION = prometheus.Histogram(
    'job_duration_seconds', 'How long jobs took that were finished.',
    ('kind',), namespace=_PREFIX, registry=REGISTRY,
    buckets=(0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 3600))
TOKENS = _counter('llm_tokens', 'Tokens of language models.')
COST = _counter('llm_cost', 'What language models cost, by the prices of '
                'the configuration.')
PUBLISHED = _counter(
    'published', 'Attempts to tell others of incidents and analyses.',
    'target', 'result')

prometheus.ProcessCollector(registry=REGISTRY)


class _Snapshot(registry.Collector):
    """What the database said last, and what a function says now."""

    #: Name in :mod:`openstack_rca.db.gauges`: what it is, and its labels.
    NAMES: Mapping[str, tuple[str, tuple[str, ...]]] = {
        'jobs': ('Jobs that are not finished, of all engines.',
                 ('kind', 'state')),
        'incidents': ('Incidents that are not resolved.',
                      ('status', 'severity')),
        'outbox': ('What targets are still to be told.', ('target',)),
        'jobs_held': ('Jobs that this engine works on.', ('kind',)),
    }

    def __init__(self) -> None:
        self.values: Mapping[str, gauges.Gauge] = {}
        self.held: Callable[[], Iterable[str]] = tuple

    def collect(self) -> Iterator[metrics_core.Metric]:
        """What there is, for the registry."""
        held: gauges.Gauge = {}
        for kind in self.held():
            held[kind,] = held.get((kind,), 0) + 1
        values = {**self.values, 'jobs_held': held}
        for name, (what, labels) in self.NAMES.items():
            family = metrics_core.GaugeMetricFamily(
                f'{_PREFIX}_{name}', what, labels=labels)
            for key, value in values.get(name, {}).items():
                family.add_metric(key, value)
            yield family


SNAPSHOT = _Snapshot()
REGISTRY.register(SNAPSHOT)


class Health:
    """Whether the engine can do its work.

    :param now: tells the time, for tests
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._database = now()
        self._down: dict[str, float] = {}
        self._heard: dict[str, float] = {}

    def database(self) -> None:
        """The database answered."""
        self._database = self._now()

    def process(self, name: str, up: bool) -> None:
        """A process was started, or ended.

        :param name: what it does
        :param up: whether it runs now
        """
        if up:
            self._down.pop(name, None)
        else:
            self._down.setdefault(name, self._now())
        self._heard.pop(name, None)

    def heard(self, name: str, waits: bool = False) -> None:
        """A process that tells of itself all the time did so.

        :param name: what it does
        :param waits: it says nothing more until another one has ended
        """
        if waits:
            self._heard.pop(name, None)
        else:
            self._heard[name] = self._now()

    def described(self) -> dict[str, str]:
        """What is known of the processes, in words."""
        now = self._now()
        found = {'database': f'answered {now - self._database:.0f} s ago'}
        for told, words in ((self._heard, 'heard of {:.0f} s ago'),
                            (self._down, 'ended {:.0f} s ago')):
            found |= {name: words.format(now - moment)
                      for name, moment in list(told.items())}
        return found

    def ok(self, patience: float, pause: float = 0.0) -> bool:
        """Whether nothing is wrong for too long.

        :param patience: how long is too long, in seconds
        :param pause: how long a process that is well may say nothing
        """
        since = self._now() - patience
        return (self._database >= since
                and all(t >= since for t in list(self._down.values()))
                and all(t >= since - pause
                        for t in list(self._heard.values())))


HEALTH = Health()


def process(name: str, up: bool) -> None:
    """A process of the engine was started, or ended.

    :param name: what it does
    :param up: whether it runs now
    """
    UP.labels(name).set(up)
    HEALTH.process(name, up)


def taken(name: str, message: Mapping[str, Any]) -> None:
    """Count what a process of the engine tells of itself.

    :param name: what it does
    :param message: as it came. Its field ``metrics`` may have ``lines`` by
        source and ``dropped`` by reason since the last message, ``lag`` by
        source in seconds, ``queues`` by name, and ``detectors``: of each
        how often it judged since then, and for how many seconds
    """
    if name in _LIVELY:
        HEALTH.heard(name, bool(message.get('waiting')))
    for symptom in message.get('symptoms') or ():
        SYMPTOMS.labels(symptom['detector']).inc()
    if 'source' in message:
        source = message['source']
        EVENTS.labels(source).set(message['events'])
        BYTES.labels(source).set(message['bytes'])
        newest = max((f['to'] for f in message['files'] if f['to']),
                     default=None)
        if newest:
            NEWEST.labels(source).set(_seconds(newest))
    told = message.get('metrics') or {}
    for counter, counts in ((LINES, told.get('lines')),
                            (DROPPED, told.get('dropped'))):
        for label, count in (counts or {}).items():
            counter.labels(label).inc(count)
    for gauge, numbers in ((LAG, told.get('lag')),
                           (DEPTH, told.get('queues'))):
        for label, number in (numbers or {}).items():
            gauge.labels(label).set(number)
    for detector, (runs, seconds) in (told.get('detectors') or {}).items():
        RUNS.labels(detector).inc(runs)
        TIME.labels(detector).inc(seconds)


def _seconds(text: str) -> float:
    moment = datetime.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return moment.timestamp()


def finished(kind: str, result: str, seconds: float,
             document: str | None = None) -> None:
    """Count a job.

    :param kind: of the job
    :param result: ``complete``, ``failed`` or ``lost``
    :param seconds: how long its process had it
    :param document: its result, as JSON
    """
    FINISHED.labels(kind, result).inc()
    DURATION.labels(kind).observe(seconds)
    if document is None or kind not in (rows.ANALYSIS, rows.QUESTION):
        return
    told = json.loads(document)
    told = told.get('narrative') or told
    TOKENS.inc(told.get('tokens') or 0)
    COST.inc(told.get('cost') or 0)


class Monitor:
    """Answers for the engine until it is stopped."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._server: _Server | None = None

    def start(self) -> None:
        """Begin to look and to answer, in threads of its own."""
        BUILD.labels(version.version_info.version_string()).set(1)
        threading.Thread(target=self._look, name='metrics',
                         daemon=True).start()
        if conf.CONF.metrics.enabled:
            threading.Thread(target=self._serve, name='metrics server',
                             daemon=True).start()

    def stop(self) -> None:
        """Answer nobody more: another engine may want the port."""
        self._stopping.set()
        server = self._server
        if server is not None:
            with contextlib.suppress(OSError):
                server.socket.shutdown(socket.SHUT_RDWR)
            server.socket.close()

    def _look(self) -> None:
        while not self._stopping.is_set():
            try:
                SNAPSHOT.values = gauges.gauges()
            except exception.DatabaseUnavailable as error:
                DATABASE.set(0)
                LOG.debug('Metrics: %s', error)
            except Exception:
                DATABASE.set(0)
                LOG.exception('The metrics go on after a bug')
            else:
                DATABASE.set(1)
                HEALTH.database()
            self._stopping.wait(_LOOK)

    def _serve(self) -> None:
        settings = conf.CONF.metrics
        if not loopback(settings.listen):
            LOG.warning('[metrics] listen is no address of the loopback: '
                        'whoever reaches %s can read the metrics',
                        settings.listen)
        told = False
        while not self._stopping.is_set():
            try:
                self._server = _Server((settings.listen, settings.port))
            except OSError as error:
                if not told:
                    LOG.warning(
                        'Nobody can be answered on %s port %d ([metrics] '
                        'port): %s. Trying again.', settings.listen,
                        settings.port, error.strerror or error)
                    told = True
                self._stopping.wait(1.0)
                continue
            LOG.info('Metrics and /healthcheck are on %s port %d',
                     *self._server.server_address[:2])
            with contextlib.suppress(OSError, ValueError):
                # Until its socket is closed.
                while not self._stopping.is_set():
                    self._server.handle_request()


def loopback(address: str) -> bool:
    """Whether only this machine reaches an address.

    :param address: such as ``127.0.0.1`` or ``localhost``
    """
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(address).is_loopback
    return address == 'localhost'


class _Server(http.server.ThreadingHTTPServer):
    """Answers some at a time: the rest waits in the kernel."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, where: tuple[str, int]) -> None:
        self._room = threading.BoundedSemaphore(_MOST)
        if ':' in where[0]:
            self.address_family = socket.AF_INET6
        super().__init__(where, _Handler)

    def server_bind(self) -> None:
        """Bind, without asking a name server what this machine is called."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = 'localhost', 0

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread, once there is room."""
        self._room.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any,
                               client_address: Any) -> None:
        """Answer in this thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever hangs up is no news."""
        LOG.debug('A question for metrics was not answered')


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers one question."""

    timeout = _PATIENCE
    server_version = 'openstack-rca'
    sys_version = ''

    def do_GET(self) -> None:
        """Answer."""
        path = self.path.partition('?')[0]
        kind = 'text/plain; charset=utf-8'
        status, body = 404, b'not found\n'
        if path == '/metrics':
            status, body = 200, prometheus.generate_latest(REGISTRY)
            kind = prometheus.CONTENT_TYPE_LATEST
        elif path == '/healthcheck':
            good = HEALTH.ok(conf.CONF.metrics.unhealthy_after, max(
                conf.CONF.sources.interval,
                conf.CONF.detectors.watch_interval))
            status, body = (200, b'OK\n') if good else (503, b'not ok\n')
        self.send_response(status)
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: this is asked all the time."""
