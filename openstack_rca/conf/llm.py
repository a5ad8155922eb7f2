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
"""Options of the language model that tells a report in words."""

from oslo_config import cfg

GROUP = cfg.OptGroup(
    'llm',
    title='Language model',
    help="""
A language model can tell a report in words. It is asked once for each analysis
that found something, it gets numbered evidence and nothing else, and each of
its sentences is checked against the evidence that it cites. Out of the box
there is none: the words are made from the report itself, and nothing leaves.
""")

OPTIONS = (
    cfg.StrOpt(
        'backend',
        default='none',
        help="""
What tells the report in words: the name of a driver in the entry point
namespace ``openstack_rca.llms``.

Possible values:

* ``none``: sentences made from the report. Nothing is sent anywhere.
* ``anthropic``: the Messages API of Anthropic.
* ``openai``: any server with the chat completions API of OpenAI, such as vLLM
  or Ollama.
* The name of any other driver that is installed.

Related options:

* ``[llm] model``
* ``[llm] base_url``
"""),
    cfg.StrOpt(
        'model',
        default='',
        help="""
Name of the model, as the server calls it. All backends but ``none`` need one.
"""),
    cfg.URIOpt(
        'base_url',
        schemes=['http', 'https'],
        help="""
Address of the server. ``anthropic`` knows its own; ``openai`` needs one, such
as ``http://llm.example.org:8000/v1`` for vLLM or
``http://127.0.0.1:11434/v1`` for Ollama.
"""),
    cfg.StrOpt(
        'api_key',
        secret=True,
        help="""
Key for the server. ``anthropic`` needs one, servers of your own may not.

Related options:

* ``[llm] api_key_file``
"""),
    cfg.StrOpt(
        'api_key_file',
        help="""
File that holds the key, and nothing else. It is read for each question, so
that a new key needs no restart.

Related options:

* ``[llm] api_key`` goes before it.
"""),
    cfg.StrOpt(
        'ca_file',
        help="""
File of the certificates that the server is checked with, instead of those of
the system.
"""),
    cfg.FloatOpt(
        'timeout',
        default=60.0,
        min=0.1,
        max=600.0,
        help="""
Seconds that an analysis waits for the model at most, all attempts together.
Then the report goes out without it. ``[engine] job_timeout`` has to be longer.
"""),
    cfg.IntOpt(
        'retries',
        default=2,
        min=0,
        max=10,
        help="""
Further attempts where the server is busy, cannot be reached, or breaks off.
"""),
    cfg.IntOpt(
        'max_tokens',
        default=2048,
        min=64,
        max=65536,
        help='Tokens that an answer may have.'),
    cfg.IntOpt(
        'max_evidence',
        default=40,
        min=1,
        max=200,
        help="""
Pieces of evidence that are sent at most, those that causes cite first.
"""),
    cfg.IntOpt(
        'max_evidence_chars',
        default=1200,
        min=100,
        max=12000,
        help="""
Characters of one piece of evidence that are sent at most: its beginning and
its end.
"""),
    cfg.IntOpt(
        'max_request_bytes',
        default=65536,
        min=4096,
        max=1 << 20,
        help="""
Bytes of one request at most. Evidence that does not fit is left out.
"""),
    cfg.IntOpt(
        'max_tokens_per_analysis',
        default=50000,
        min=0,
        help="""
Tokens that one analysis may use, the question and the answer together. What
would need more is not sent.

Possible values:

* 0: as many as it needs.
* Any positive number.
"""),
    cfg.IntOpt(
        'max_tokens_per_day',
        default=2000000,
        min=0,
        help="""
Tokens that all analyses of one UTC day may use together. The processes of an
engine count together; engines on other hosts count for themselves.

Possible values:

* 0: as many as they need.
* Any positive number.
"""),
    cfg.FloatOpt(
        'max_cost_per_analysis',
        default=0.0,
        min=0.0,
        help="""
What one analysis may cost, in the currency of the prices.

Possible values:

* 0 (default): whatever it costs; tokens are limited all the same.
* Any positive number. Needs the prices.

Related options:

* ``[llm] price_input``
* ``[llm] price_output``
"""),
    cfg.FloatOpt(
        'max_cost_per_day',
        default=0.0,
        min=0.0,
        help="""
What all analyses of one UTC day may cost together, as in
``max_cost_per_analysis``.
"""),
    cfg.FloatOpt(
        'price_input',
        default=0.0,
        min=0.0,
        help="""
Price of a million tokens that are sent. Look it up at your provider: prices
change, and this program knows none.
"""),
    cfg.FloatOpt(
        'price_output',
        default=0.0,
        min=0.0,
        help='Price of a million tokens that are answered.'),
    cfg.FloatOpt(
        'price_cache_read',
        min=0.0,
        help="""
Price of a million sent tokens that the provider had kept. Without it that of
``price_input``.
"""),
    cfg.FloatOpt(
        'price_cache_write',
        min=0.0,
        help="""
Price of a million sent tokens that the provider is to keep. Without it that
of ``price_input``.
"""),
    cfg.IntOpt(
        'breaker_failures',
        default=3,
        min=1,
        max=100,
        help="""
Failures in a row after which the server is left alone for a while.

Related options:

* ``[llm] breaker_time``
"""),
    cfg.FloatOpt(
        'breaker_time',
        default=300.0,
        min=0.0,
        help="""
Seconds for which a failing server is left alone. One analysis tries then; the
others follow when it worked.
"""),
    cfg.IntOpt(
        'cache_time',
        default=86400,
        min=0,
        help="""
Seconds for which an answer is kept. The same evidence of the same project is
answered from there, and costs nothing.

Possible values:

* 0: keep no answer.
* Any positive number.
"""),
    cfg.StrOpt(
        'directory',
        default='',
        help="""
Folder of ``llm.sqlite``, which counts tokens and keeps answers. It is made
with mode 0700 when it is missing. All processes that have it count together.

Possible values:

* A path. It has to be on a disk of the host.
* Empty (default): ``[DEFAULT] state_path`` where that is a folder that can be
  written, else ``[local_cache] directory``.
"""),
    cfg.BoolOpt(
        'redact',
        default=True,
        help="""
Whether secrets, addresses and names are taken out of what is sent. Turn it
off only for a model on hosts of your own.
"""),
    cfg.BoolOpt(
        'redact_hosts',
        default=True,
        help="""
Whether names of hosts are replaced by ``<host-1>`` and so on, and put back
in the answer.
"""),
    cfg.BoolOpt(
        'redact_projects',
        default=True,
        help="""
Whether names and ids of projects and users are replaced by ``<project-1>``
and so on, and put back in the answer. Names such as ``admin`` and ``nova``,
which every cloud has, are left.
"""),
    cfg.BoolOpt(
        'redact_uuids',
        default=False,
        help="""
Whether UUIDs and request ids are replaced by ``<uuid-1>`` and so on, and put
back in the answer. They tell nobody anything outside of the cloud.
"""),
    cfg.ListOpt(
        'redact_words',
        default=[],
        help="""
Further words that must not leave, such as names of customers or domains.
They are replaced by ``<name-1>`` and so on, and put back in the answer.
"""),
)
