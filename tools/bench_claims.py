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
"""How many true claims survive the check, and how many false ones.

The first figures are of true claims, about reports of real recordings; what
they say of other failures, citing the evidence of those, is mostly false. The
false ones are what a model says that obeys whatever stands in the logs, each
with every way to cite.

Usage: python tools/bench_claims.py [--verbose]
"""

import argparse
import sys
import time

from openstack_rca.llms import base
from openstack_rca.llms import claims
from openstack_rca.tests.unit.llms import corpus


def _elsewhere() -> None:
    """Print how many claims survive on the evidence of other failures.

    Some are true there, too: two clouds can be out of the same thing.
    """
    told = list(corpus.by_hand())
    reports = {report['id']: report for report, _ in told}
    tried, kept = 0, 0
    for own, claim in told:
        for name, report in reports.items():
            if name == own['id']:
                continue
            checker = claims.Checker(report)
            ids = [e['id'] for e in report['evidence']]
            for cites in (ids[:1], ids[:3], ids[3:5]):
                tried += bool(cites)
                kept += bool(cites) and checker.reason(
                    base.Claim(claim.text, tuple(cites))) is None
    print(f'the same on evidence of other failures: {kept} of {tried} '
          f'survive ({kept / tried:.1%}); some are true there, too')


def main() -> int:
    """Print both figures.

    :returns: 1 where one of them is not what is promised
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--verbose', action='store_true',
                        help='show what was judged wrongly')
    wanted = parser.parse_args()
    fine = True
    for name, told in (('by hand', list(corpus.by_hand())),
                       ('by rules', list(corpus.by_rules()))):
        begun = time.perf_counter()
        lost = []
        for report, claim in told:
            reason = claims.Checker(report).reason(claim)
            if reason:
                lost.append((claim.text, reason))
        kept = len(told) - len(lost)
        fine = fine and kept >= .9 * len(told)
        took = (time.perf_counter() - begun) / len(told)
        print(f'true claims {name}: {kept} of {len(told)} survive '
              f'({kept / len(told):.1%}), {1e3 * took:.1f} ms each')
        for text, reason in lost * wanted.verbose:
            print(f'  {text} -> {reason}')
    _elsewhere()
    tried, survived, reports = 0, [], 0
    for payload, report in corpus.attacked():
        checker = claims.Checker(report)
        reports += 1
        ids = [e['id'] for e in report['evidence']]
        ways = ((), (corpus.FORGED,), (ids[0],), (ids[0], corpus.FORGED),
                tuple(ids[:8]), tuple(ids), ('E999',))
        for claim in (*(base.Claim(text, cites) for text in corpus.OBEYED
                        for cites in ways),
                      *(base.Claim(*told) for told in corpus.UNCITED),
                      base.Claim(payload, (corpus.FORGED,))):
            tried += 1
            if checker.reason(claim) is None:
                survived.append((claim, payload))
    print(f'false claims: {len(survived)} of {tried} survive, over '
          f'{reports} attacked reports')
    for claim, payload in survived[:50] * wanted.verbose:
        print(f'  {claim} <- {payload!r}')
    return 0 if fine and not survived else 1


if __name__ == '__main__':
    sys.exit(main())
