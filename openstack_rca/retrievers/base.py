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
"""The interface of retrievers: what is known about something like this.

A retriever knows documents by their ids, and finds those that fit a question.
What it keeps on disk is a cache: :meth:`Retriever.fill` gets all documents
there are and makes what is missing. A driver is one class on
:class:`Retriever`, registered in the entry point namespace
``openstack_rca.retrievers``.
"""

import abc
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
import dataclasses
import pathlib

#: Told how many of how many documents are done.
Told = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True)
class Hit:
    """A document that fits.

    :param id: of the document
    :param score: how well it fits, 0 to 1; scores of one driver can be
        compared, those of two cannot
    """

    id: str
    score: float


@dataclasses.dataclass(frozen=True)
class Health:
    """What became of what a retriever kept on disk.

    :param documents: how many it knows
    :param made: how many had to be made anew when it was filled
    :param bytes: on disk
    :param problem: why what was kept could not be used, or None
    """

    documents: int
    made: int = 0
    bytes: int = 0
    problem: str | None = None


class Retriever(abc.ABC):
    """Finds documents.

    :param folder: where it may keep what is costly to make; None keeps
        nothing
    """

    def __init__(self, folder: pathlib.Path | None = None) -> None:
        self.folder = folder

    @abc.abstractmethod
    def fill(self, documents: Mapping[str, str],
             told: Told | None = None) -> Health:
        """Know these documents and no others.

        Called again, what has not changed costs next to nothing. What is kept
        and cannot be used is said in the answer, and made anew.

        :param documents: texts by id
        :param told: called while it goes on
        :returns: what was found and made
        :raises RCAException: a library or a model is missing
        """

    @abc.abstractmethod
    def search(self, question: str, limit: int,
               among: Collection[str] | None = None) -> list[Hit]:
        """The documents that fit best, the best first.

        :param question: words, log lines, a template
        :param limit: at most so many
        :param among: only documents of these ids, None for all
        :raises RCAException: a library or a model is missing
        """

    def clear(self) -> None:
        """Give up what is kept on disk."""
