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
"""Options of what the engine tells of itself."""

from oslo_config import cfg

GROUP = cfg.OptGroup(
    'metrics',
    title='Metrics and health of the engine',
    help="""
The engine answers ``/metrics``, for Prometheus, and ``/healthcheck``. Whoever
reaches the port can read both, without a token.
""")

OPTIONS = (
    cfg.BoolOpt(
        'enabled',
        default=True,
        help='Whether the engine listens.'),
    cfg.StrOpt(
        'listen',
        default='127.0.0.1',
        help="""
Address to listen on. The names of sources, hosts and receivers are in the
metrics: let no more than the monitoring reach another address than that of
the loopback.
"""),
    cfg.PortOpt(
        'port',
        default=8991,
        min=1,
        help='Port to listen on.'),
    cfg.IntOpt(
        'unhealthy_after',
        default=60,
        min=15,
        max=3600,
        mutable=True,
        help="""
Seconds. ``/healthcheck`` says that the engine is not ok when the database, or
a process of the engine, was away for longer, or when a process that reads
logs, listens to notifications or judges them gave no sign of life for longer.
"""),
)
