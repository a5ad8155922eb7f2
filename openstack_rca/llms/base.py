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
"""The interface of what tells a report in words.

A driver is one class on :class:`Local` or :class:`Remote`, registered in the
entry point namespace ``openstack_rca.llms``.

* A *local* one makes claims from the report, in this process.
* A *remote* one hands a question to a model. It never sees the report: it
  gets a :class:`Request`, whose text went through the gate
  (:mod:`openstack_rca.llms.egress`), and gives back what the model said, as
  it was said. It parses nothing, checks nothing and counts nothing; it tries
  once, and tells with :class:`Unavailable` whether trying again may help.

Whatever a driver gives, each claim is checked against the evidence that it
cites before anybody sees it.
"""

import abc
import dataclasses
from typing import Any

from openstack_rca import exception


class LLMError(exception.RCAException):
    """The model gave no answer that can be used.

    :ivar tokens: that it may have taken all the same
    :ivar cost: of them
    """

    tokens = 0
    cost = 0.0
    msg_fmt = 'The language model was not used: %(reason)s'


class Unavailable(LLMError):
    """The server is busy, cannot be reached, broke off or refused.

    :param again: whether another attempt may help
    :param after: seconds that the server wants to be left alone, or None
    :param charged: attempts that the server may charge for
    """

    msg_fmt = 'The language model gave no answer: %(reason)s'

    def __init__(self, reason: str, *, again: bool,
                 after: float | None = None, charged: int = 0) -> None:
        super().__init__(reason=reason)
        self.again = again
        self.after = after
        self.charged = charged


class LimitReached(LLMError):
    """A limit of the configuration forbids the question."""

    msg_fmt = 'The language model was not asked: %(reason)s'


class EgressRefused(LLMError):
    """The gate lets nothing out."""

    msg_fmt = 'Nothing was sent to the language model: %(reason)s'


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a remote driver is made with.

    :param model: as the server calls it
    :param base_url: address of the server, empty for the driver's own
    :param api_key: empty where there is none
    :param ca_file: certificates to check the server with, empty for those of
        the system
    """

    model: str
    base_url: str = ''
    api_key: str = dataclasses.field(default='', repr=False)
    ca_file: str = ''


@dataclasses.dataclass(frozen=True)
class Request:
    """What is sent. Only the gate makes one.

    :param system: what the model is to do; the same for all analyses, so that
        a provider can keep it
    :param user: the question with the numbered evidence
    :param schema: JSON schema of the answer
    :param max_tokens: of the answer
    """

    system: str
    user: str
    schema: dict[str, Any]
    max_tokens: int


@dataclasses.dataclass(frozen=True)
class Usage:
    """Tokens, as the server counted them.

    :param sent: tokens of the question, but those below
    :param answered: tokens of the answer
    :param cache_read: tokens of the question that the provider had kept
    :param cache_written: tokens of the question that it is to keep
    """

    sent: int = 0
    answered: int = 0
    cache_read: int = 0
    cache_written: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return (self.sent + self.answered + self.cache_read
                + self.cache_written)


@dataclasses.dataclass(frozen=True)
class Reply:
    """What a model said.

    :param text: as it came
    :param usage: what it took; None where the server does not say
    :param model: which model answered, as the server calls it
    """

    text: str
    usage: Usage | None
    model: str


@dataclasses.dataclass(frozen=True)
class Claim:
    """A sentence with the evidence for it.

    :param text: one sentence
    :param evidence: ids such as ``E1``
    """

    text: str
    evidence: tuple[str, ...]


class Backend(abc.ABC):
    """What tells a report in words; derive from one of those below."""


class Local(Backend):
    """Makes claims in this process. It takes no argument."""

    @abc.abstractmethod
    def claims(self, report: dict[str, Any]) -> list[Claim]:
        """What there is to say of a report, in order.

        :param report: the verified document; it is not changed
        """


class Remote(Backend):
    """Asks a model elsewhere.

    :param settings: which, and where
    :raises LLMError: something is missing
    """

    #: Characters of an answer. A server that never ends is left.
    MOST = 1 << 18

    def __init__(self, settings: Settings) -> None:
        if not settings.model:
            raise LLMError(reason='[llm] model is not set.')
        self.settings = settings

    @property
    @abc.abstractmethod
    def address(self) -> str:
        """Where questions go."""

    @abc.abstractmethod
    def body(self, request: Request) -> dict[str, Any]:
        """What is sent for a request, as the server gets it, without keys.

        :param request: from the gate
        """

    @abc.abstractmethod
    def complete(self, request: Request, timeout: float) -> Reply:
        """Ask once.

        :param request: from the gate
        :param timeout: seconds that there are
        :raises Unavailable: there is no answer
        """
