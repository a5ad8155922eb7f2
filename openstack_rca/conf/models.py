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
"""Options of trained models."""

from oslo_config import cfg

GROUP = cfg.OptGroup(
    'models',
    title='Models',
    help="""
Where trained models are kept, and what their training may cost. Which model of
a detector is active stands in the database; all engines follow it.
""")

OPTIONS = (
    cfg.StrOpt(
        'driver',
        default='filesystem',
        help="""
What keeps the weights of models: the name of a driver in the entry point
namespace ``openstack_rca.models``.

Possible values:

* ``filesystem``: folders below ``[models] directory``.
* The name of any other driver that is installed.
"""),
    cfg.StrOpt(
        'directory',
        default='$state_path/models',
        help="""
Folder of the weights. It is made with mode 0700 when it is missing.

Several engines can share one folder. With a folder each, a model that one
engine trained has to be copied to the others with ``openstack-rca-manage
model import``.
"""),
    cfg.IntOpt(
        'max_bytes',
        default=512 << 20,
        min=1 << 10,
        help="""
Bytes that the weights of one model may have; larger ones are neither written
nor read. The default is 512 MiB.
"""),
    cfg.IntOpt(
        'train_timeout',
        default=4 * 3600,
        min=1,
        help="""
Seconds that one training may take. Its process is ended then, and it fails.

Related options:

* ``[engine] job_memory`` bounds the memory.
"""),
    cfg.FloatOpt(
        'max_age',
        default=90.0,
        min=0.0,
        help="""
Days after which a model is called old, since what is normal changes.

Possible values:

* 0: never.
* Any positive number; the default is 90 days.
"""),
    cfg.FloatOpt(
        'max_unseen',
        default=0.1,
        min=0.0,
        max=1.0,
        help="""
Share of the lately logged events whose template the model has never seen,
above which the model is said to have drifted.
"""),
    cfg.FloatOpt(
        'max_shift',
        default=0.25,
        min=0.0,
        help="""
Population stability index of the scores of a model, against its scores when it
was trained, above which it is said to have drifted. Below 0.1 nothing moved;
above 0.25 scores are distributed differently.
"""),
    cfg.IntOpt(
        'measure_interval',
        default=3600,
        min=0,
        help="""
Seconds between two measurements of how active models fit what is logged. Each
looks at the last day in a process of its own.

Possible values:

* 0: never; models are judged by their age alone.
* Any positive number.
"""),
    cfg.FloatOpt(
        'retrain_interval',
        default=0.0,
        min=0.0,
        help="""
Days after which an active model that was trained here is trained again, from
the same sources and up to now. The new model has to be activated by somebody.

Possible values:

* 0 (default): never.
* Any positive number.
"""),
)
