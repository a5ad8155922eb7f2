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
"""Figures as an image."""

from collections.abc import Mapping
from collections.abc import Sequence
import html

_INKS = ('#0b6e99', '#c4472b', '#3d8b37', '#7a4fa3', '#8a6d1d', '#555555')
_SIDE = 400


def plot(curves: Mapping[str, Sequence[tuple[float, float]]], across: str,
         up: str, diagonal: bool = False) -> str:
    """Curves between 0 and 1 as an SVG image.

    :param curves: points, across first, by name
    :param across: what the horizontal axis tells
    :param up: what the vertical one tells
    :param diagonal: whether to draw where both are equal
    """
    lines = [
        '<svg xmlns="http://www.w3.org/2000/svg" width="560" height="470" '
        'viewBox="-50 -20 560 470" font-family="sans-serif" font-size="12">',
        '<rect x="-50" y="-20" width="560" height="470" fill="white"/>']
    for step in range(0, 11, 2):
        at = step * _SIDE // 10
        lines += [
            f'<path d="M{at} 0V{_SIDE}M0 {at}H{_SIDE}" stroke="#ddd"/>',
            f'<text x="{at}" y="{_SIDE + 18}" text-anchor="middle">'
            f'{step / 10:.1f}</text>',
            f'<text x="-8" y="{_SIDE - at + 4}" text-anchor="end">'
            f'{step / 10:.1f}</text>']
    lines += [
        f'<text x="{_SIDE // 2}" y="{_SIDE + 38}" text-anchor="middle">'
        f'{html.escape(across)}</text>',
        f'<text transform="translate(-36 {_SIDE // 2}) rotate(-90)" '
        f'text-anchor="middle">{html.escape(up)}</text>']
    if diagonal:
        lines.append(f'<path d="M0 {_SIDE}L{_SIDE} 0" stroke="#888" '
                     'stroke-dasharray="4"/>')
    for number, (name, points) in enumerate(curves.items()):
        ink = _INKS[number % len(_INKS)]
        path = ' '.join(f'{x * _SIDE:.1f},{(1 - y) * _SIDE:.1f}'
                        for x, y in points)
        lines += [
            f'<polyline points="{path}" fill="none" stroke="{ink}" '
            'stroke-width="2"/>',
            f'<text x="10" y="{_SIDE - 12 - 16 * number}" fill="{ink}">'
            f'{html.escape(name)}</text>']
    return '\n'.join([*lines, '</svg>', ''])
