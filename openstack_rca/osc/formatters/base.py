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
"""The interface of the output formats.

A format turns a finished document into text. The documents are those of the
API: a format adds nothing to them and decides nothing.
"""

import abc
import dataclasses
from typing import Any
from typing import ClassVar


@dataclasses.dataclass(frozen=True)
class Options:
    """What a format may know about the place where its text goes.

    :param columns: columns of a line
    :param colour: whether colour is welcome
    :param unicode: whether signs beyond ASCII can be shown
    """

    columns: int = 80
    colour: bool = False
    unicode: bool = True


class DocumentFormatter(abc.ABC):
    """One output format.

    :cvar kinds: the kinds of document that it can write: ``report`` (the
        result of an analysis), ``trace`` (the way of one request) and
        ``answer`` (to a question about an analysis)
    """

    kinds: ClassVar[frozenset[str]] = frozenset({'report'})

    @abc.abstractmethod
    def render(self, kind: str, document: dict[str, Any],
               options: Options) -> str:
        """Write a document.

        :param kind: one of ``kinds``
        :param document: the document
        :param options: the place where the text goes
        :returns: the text, with a newline at its end, and with no character
            in it that a terminal or a browser would obey
        """
