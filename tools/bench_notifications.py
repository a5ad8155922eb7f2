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
"""Measure how many notifications a second are stored, and how late.

A real RabbitMQ, processes that publish what Nova published when a server
failed to build, as oslo.messaging does, and the process of the engine
that listens. Both sides have durable queues.

    python tools/bench_notifications.py [RATE [SECONDS [restart]]]

prints, for each ten seconds, how many were published and stored, the lag of
the last of them, and the share of a core and the memory of the listener; with
``restart``, the broker is stopped and started in the middle. Then it counts
what is stored: each that was published, once.
"""

import collections
import datetime
import json
import multiprocessing
import pathlib
import sys
import tarfile
import tempfile
import time
from typing import Any
import uuid

import kombu
import psutil

# Chooses threads first, as every program of the project does.
import openstack_rca.tests  # noqa: F401
from openstack_rca.tests.faults import test_notifications
from openstack_rca.tests.functional.servers import publishing
from openstack_rca.tests.functional.servers import rabbitmq

RECORDING = (pathlib.Path(__file__).resolve().parent.parent / 'openstack_rca'
             / 'tests' / 'fixtures' / 'recordings' / 'port-not-plugged.tar.xz')
PUBLISHERS = 4
# In a text within a text.
_NUMBER = '\\"@number@\\"'
SHOWN = 10.0
PATIENCE = 120.0


def recorded() -> list[dict[str, Any]]:
    """Notifications of a recorded cloud."""
    with tarfile.open(RECORDING) as archive:
        for member in archive:
            if member.name.endswith('notifications.jsonl'):
                held = archive.extractfile(member)
                assert held is not None
                return [json.loads(line) for line in held]
    raise SystemExit(f'{RECORDING} has no notifications')


class Wire:
    """Publishes what oslo.messaging would, for less of a processor.

    What a service takes to notify is not measured here, and two processors
    are not enough for a thousand a second of it beside broker and listener.

    :param url: the bus
    """

    def __init__(self, url: str) -> None:
        # The exchange, and the durable queue of a service's own.
        base = publishing.notifier(url)
        base.info({}, 'bench.begins', {'number': -1})
        base.transport.cleanup()
        self._connection = kombu.Connection(
            url.partition('?')[0].replace('rabbit://', 'amqp://', 1),
            transport_options={'confirm_publish': True})
        producer = self._connection.Producer()
        self._publish = self._connection.ensure(
            producer, producer.publish, interval_start=0.1, interval_max=1)

    def info(self, text: str, number: int) -> None:
        """Publish, and return once the broker has it.

        :param text: see :func:`prepared`
        :param number: what it is known by
        """
        self._publish(
            text.replace(_NUMBER, str(number)).replace(
                '@id@', uuid.uuid4().hex).replace('@now@', str(
                    datetime.datetime.now(datetime.UTC))[:26]),
            exchange='nova', routing_key='notifications.info',
            content_type='application/json', content_encoding='utf-8',
            delivery_mode='persistent')


def prepared(row: dict[str, Any]) -> str:
    """What oslo.messaging sends, with gaps for what differs each time.

    :param row: as a recorder wrote it
    """
    return json.dumps({'oslo.version': '2.0', 'oslo.message': json.dumps({
        **{f'_context_{k}': v for k, v in row['ctxt'].items()},
        '_unique_id': '@id@', 'message_id': '@id@', 'priority': 'INFO',
        'publisher_id': row['publisher_id'],
        'event_type': row['event_type'], 'timestamp': '@now@',
        'payload': {**row['payload'], 'number': '@number@'}})})


def publish(url: str, rate: float, seconds: float, first: int,
            told: Any) -> None:
    """Publish at a rate, and tell how many the broker has.

    :param url: the bus
    :param rate: a second
    :param seconds: how long
    :param first: number of the first
    :param told: shared count
    """
    texts = [prepared(row) for row in recorded()]
    wire = Wire(url)
    begin = time.monotonic()
    for number in range(int(rate * seconds)):
        pause = begin + number / rate - time.monotonic()
        if pause > 0:
            time.sleep(pause)
        wire.info(texts[number % len(texts)], first + number)
        told.value = number + 1


def main() -> int:
    """Measure.

    :returns: the exit status: 1 where something was lost or is there twice
    """
    rate = float(sys.argv[1]) if len(sys.argv) > 1 else 1000.0
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 60.0
    restart = 'restart' in sys.argv[3:]
    broker = rabbitmq.RabbitMQ()
    broker.setUp()
    folder = pathlib.Path(tempfile.mkdtemp(prefix='rca-bench-'))
    try:
        return measure(broker, folder, rate, seconds, restart)
    finally:
        broker.cleanUp()


def measure(broker: rabbitmq.RabbitMQ, folder: pathlib.Path, rate: float,
            seconds: float, restart: bool) -> int:
    """Measure with a broker."""
    url = broker.create_virtual_host() + publishing.DURABLE
    listener = test_notifications.Listener(folder / 'state', url,
                                           batch_timeout=0.5)
    while 'Listens to' not in listener.said():
        listener.listen()
    context = multiprocessing.get_context('spawn')
    counts = [context.Value('i', 0) for _ in range(PUBLISHERS)]
    running = [context.Process(target=publish, args=(
        url, rate / PUBLISHERS, seconds, n * 10_000_000, count))
        for n, count in enumerate(counts)]
    process = psutil.Process(listener.process.pid)
    for one in running:
        one.start()
    while not all(c.value for c in counts):
        listener.listen()
    begin = last = time.monotonic()
    used = process.cpu_times()
    before = (0, 0)
    worst = 0.0
    lags: list[float] = []
    restarted = not restart
    print('seconds  published/s  stored/s   lag s   core  MiB')
    while True:
        told = listener.listen(0.2)
        now = time.monotonic()
        if told.get('metrics', {}).get('lines', {}).get('notifications'):
            lags.append(told['lag'])
        published = sum(c.value for c in counts)
        if not restarted and now - begin > seconds / 2:
            broker.stop()
            broker.start()
            restarted = True
        alive = any(one.is_alive() for one in running)
        if now - last >= SHOWN or not alive:
            cpu = process.cpu_times()
            worst = max(worst, *lags, 0.0)
            core = sum(cpu[:2]) - sum(used[:2])
            stored = told.get('stored', 0)
            print(f'{now - begin:7.0f} '
                  f'{(published - before[0]) / (now - last):12.0f} '
                  f'{(stored - before[1]) / (now - last):9.0f} '
                  f'{max(lags, default=0.0):7.2f} '
                  f'{core / (now - last):6.2f} '
                  f'{process.memory_info().rss >> 20:4d}', flush=True)
            last, before, used = now, (published, stored), cpu
            lags = []
        if not alive:
            break
    total = sum(c.value for c in counts)
    deadline = time.monotonic() + PATIENCE
    while listener.listen().get('stored', 0) < total + PUBLISHERS and (
            time.monotonic() < deadline):
        pass
    late = time.monotonic() - last
    listener.end()
    found = listener.numbers(folder)
    # Each process begins with one that makes its queue.
    found.pop(-1, None)
    wanted = {n * 10_000_000 + i for n, count in enumerate(counts)
              for i in range(count.value)}
    lost = len(wanted - set(found))
    twice = sum(c > 1 for c in found.values())
    print(f'{total} published in {last - begin:.0f} s, the last stored '
          f'{late:.1f} s later; {lost} lost, {twice} twice, '
          f'{listener.told.get("twice", 0)} came again and were known; '
          f'the largest lag was {worst:.2f} s')
    again = collections.Counter(found.values())
    return int(bool(lost or twice or len(again) > 1))


if __name__ == '__main__':
    sys.exit(main())
