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
"""What leaves: secrets that pass the gate, and harmless words that do not.

Secrets are made by the rules of detect-secrets, and by those of OpenStack;
each is planted in a field of a report, between words of real logs, and what
would be sent is looked at by all rules of detect-secrets.

Usage: python tools/bench_egress.py [--cases N] [--seed N] [--processes N]
       [LOGS ...]
"""

import argparse
import collections
from concurrent import futures
import copy
import ipaddress
import json
import pathlib
import random
import re
import sys
import time
from typing import Any

from openstack_rca.llms import egress
from openstack_rca.llms import redaction
from openstack_rca.tests.unit.llms import corpus
from openstack_rca.tests.unit.llms import planting

#: Fields of a piece of evidence, and of a hypothesis, that hold text of logs.
_FIELDS = ('text', 'text', 'text', 'host', 'binary', 'level', 'request_id',
           'why', 'timestamp')
_LOGS = pathlib.Path(__file__).parents[1] / 'examples'


def _planted(report: dict[str, Any], text: str, line: str,
             dice: random.Random) -> dict[str, Any]:
    """A report with a text in one of its fields."""
    document = copy.deepcopy(report)
    row = document['evidence'][0]
    row['text'] = line
    document['evidence'] = [row]
    hypothesis = document['hypotheses'][0]
    document['hypotheses'] = [hypothesis | {'evidence': [row['id']]}]
    document['timeline'] = []
    where = dice.randrange(12)
    if where == 0:
        document['issue'] = f'why {text} and what'
    elif where == 1:
        hypothesis['cause'] = document['hypotheses'][0]['cause'] = (
            f'It failed: {text} was seen.')
    elif where == 2:
        document['hypotheses'][0]['location'] = {'file': text}
    else:
        field = dice.choice(_FIELDS)
        words = line.split(' ')
        at = dice.randrange(len(words) + 1)
        row[field] = ' '.join((*words[:at], text, *words[at:])) \
            if field == 'text' else text
    return document


def _told(user: str) -> str:
    """What is sent, as a model reads it."""
    out = [user]
    for line in user.split('\n'):
        if line.startswith('{'):
            todo = [json.loads(line)]
            while todo:
                item = todo.pop()
                if isinstance(item, dict):
                    todo += item.values()
                elif isinstance(item, list):
                    todo += item
                else:
                    out.append(str(item))
    return '\n'.join(out)


def _secrets(cases: int, seed: int, lines: list[str]
             ) -> tuple[collections.Counter[str], list[tuple[
                 planting.Planted, str]]]:
    """Plant secrets; which kinds, and what passed."""
    dice = random.Random(seed)
    source = planting.Source(dice)
    report = corpus.report()
    kinds: collections.Counter[str] = collections.Counter()
    passed = []
    for number in range(cases):
        planted = source.draw() if number % 3 else source.openstack()
        kinds[planted.kind] += 1
        document = _planted(report, planted.text,
                            dice.choice(lines)[:600], dice)
        told = _told(egress.Gate(redaction.Rules()).request(document).user)
        secret = planted.secret
        if planted.kind == 'PrivateKeyDetector':
            # What is found is the first line; what matters is the next.
            secret = planted.text.split('\n')[1] if (
                '\n' in planted.text) else secret
        if len(secret) > 5 and secret in told:
            passed.append((planted, secret))
        else:
            passed += [(planted, s) for s in list(source.seen(told))[:1]]
    return kinds, passed


def _all_secrets(cases: int, seed: int, lines: list[str],
                 processes: int) -> int:
    """Plant secrets in several processes, and print what passed."""
    begun = time.perf_counter()
    shares = [cases // processes + (n < cases % processes)
              for n in range(processes)]
    with futures.ProcessPoolExecutor(processes) as pool:
        results = list(pool.map(
            _secrets, shares, (seed + n for n in range(processes)),
            [lines] * processes))
    kinds = sum((r[0] for r in results), collections.Counter())
    passed = [p for r in results for p in r[1]]
    took = time.perf_counter() - begun
    print(f'planted secrets that pass: {len(passed)} of {kinds.total()}, of '
          f'{len(kinds)} kinds ({took:.0f} s)')
    for planted, secret in passed[:10]:
        print(f'  {planted.kind}: {planted.text!r} shows {secret!r}')
    return len(passed)


def _harmless(lines: list[str]) -> float:
    """The share of harmless words that come through unchanged.

    Harmless is what is no address, no name of a host, no id of a project or
    a user and no token, by other rules than those of the gate.
    """
    redactor = redaction.Redactor()
    words, kept = 0, 0
    lost: collections.Counter[str] = collections.Counter()
    for line in lines:
        line = redaction.clean(line)
        out = collections.Counter(_words(redactor.text(line)))
        for word in _words(line):
            if not _harmful(word):
                words += 1
                if out[word] > 0:
                    out[word] -= 1
                    kept += 1
                else:
                    lost[word] += 1
    share = kept / words if words else 0.0
    print(f'harmless words that come through: {kept} of {words} '
          f'({share:.2%}), of {len(lines)} lines')
    for word, count in lost.most_common(5):
        print(f'  {count} times hidden: {word[:60]!r}')
    return share


def _words(line: str) -> list[str]:
    return re.findall(r'[^\s"\'()\[\]{},;=<>]+', line)


def _harmful(word: str) -> bool:
    bare = word.strip('.:/')
    try:
        ipaddress.ip_address(bare.partition('/')[0].strip('[]'))
        return True
    except ValueError:
        pass
    return bool(re.search(
        r'\d+\.\d+\.\d+\.\d+|[0-9a-fA-F]{24}|(?:[0-9a-f]{2}:){5}|gAAAA|@|'
        r'\b(?:cmp|ctl|vm)\d*\b|://', word))


def main() -> int:
    """Print both figures.

    :returns: 1 where one of them is not what is promised
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--cases', type=int, default=100_000)
    parser.add_argument('--seed', type=int, default=6)
    parser.add_argument('--processes', type=int, default=2)
    parser.add_argument('logs', nargs='*', type=pathlib.Path,
                        default=[_LOGS], help='folders of real logs')
    wanted = parser.parse_args()
    lines = [line for folder in wanted.logs
             for path in sorted(folder.rglob('*.log'))
             for line in path.read_text(errors='replace').split('\n')
             if line.strip()]
    dice = random.Random(wanted.seed)
    sample = dice.sample(lines, min(len(lines), 20_000))
    share = _harmless(sample)
    passed = _all_secrets(wanted.cases, wanted.seed, sample,
                          wanted.processes)
    return 1 if passed or share < .95 else 0


if __name__ == '__main__':
    sys.exit(main())
