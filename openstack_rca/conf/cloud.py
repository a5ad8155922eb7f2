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
"""Options of the cloud that is asked beside its logs."""

from typing import Any

from oslo_config import cfg

GROUP = cfg.OptGroup(
    'cloud',
    title='Cloud',
    help="""
The cloud whose logs the engine reads. With credentials for it, an analysis
also asks the cloud, with GET requests alone, for failed servers and their
actions, services, agents, ports, volumes, quotas and capacity. Without
``auth_type`` it is not asked. The credentials need the role ``admin``.
""")

OPTIONS = (
    cfg.BoolOpt(
        'enabled',
        default=True,
        help="""
Whether analyses ask the cloud. Without ``auth_type`` they do not, whatever
stands here.

Related options:

* ``[cloud] auth_type``
"""),
    cfg.FloatOpt(
        'time_limit',
        default=2.0,
        min=0.1,
        max=60.0,
        help="""
Seconds that an analysis waits at most for all answers of the cloud together.
It reads its events meanwhile. The report tells what did not come in time.
"""),
    cfg.FloatOpt(
        'cache_time',
        default=30.0,
        min=0.0,
        max=3600.0,
        help="""
Seconds that an answer of the cloud is kept for the analyses that follow.
"""),
    cfg.IntOpt(
        'max_items',
        default=100,
        min=1,
        max=1000,
        help="""
Facts of the cloud that an analysis considers at most, those of what the
question names first.
"""),
    cfg.IntOpt(
        'recent',
        default=900,
        min=1,
        help="""
Seconds. The present state of the cloud (services that are down, limits that
are reached, capacity) counts only in an analysis whose time ends so long ago
or less. Faults and actions of servers have times of their own.
"""),
    cfg.StrOpt(
        'region_name',
        help="""
Region whose endpoints are asked. Without it, the first one of the catalog.
"""),
    cfg.StrOpt(
        'interface',
        default='public',
        choices=[('public', 'Endpoints for everybody'),
                 ('internal', 'Endpoints inside of the cloud'),
                 ('admin', 'Endpoints for administrators')],
        help='Kind of the endpoints that are asked.'),
)

#: Plugins of keystoneauth whose options the sample file shows.
PLUGINS = ('password', 'v3applicationcredential')


def register_auth(conf: cfg.ConfigOpts) -> None:
    """Make the options of keystoneauth in this group known.

    The library is imported here: most programs of this project need no
    credentials of the cloud.

    :param conf: where to register them
    """
    from keystoneauth1 import loading
    loading.register_auth_conf_options(conf, GROUP.name)
    loading.register_session_conf_options(conf, GROUP.name)


def auth(conf: cfg.ConfigOpts) -> Any:
    """The plugin of keystoneauth that logs in.

    keystoneauth's own function registers its options as required, which
    whoever reads the configuration again would stumble over.

    :param conf: where :func:`register_auth` registered
    :raises keystoneauth1.exceptions.ClientException: there is no such plugin,
        or an option of it is missing
    """
    from keystoneauth1 import loading
    group = conf[GROUP.name].auth_section or GROUP.name
    if group != GROUP.name:
        loading.register_auth_conf_options(conf, group)
    loader: Any = loading.get_plugin_loader(conf[group].auth_type)
    plugins = loading.get_auth_plugin_conf_options(loader)
    for option in plugins:
        option.required = False
    conf.register_opts(plugins, group=group)
    return loader.load_from_options_getter(
        lambda option: conf[group][option.dest])


def auth_options() -> list[cfg.Opt]:
    """The options of keystoneauth in this group, for oslo.config's tools."""
    from keystoneauth1 import loading
    found = [*loading.get_auth_common_conf_options(),
             *loading.get_session_conf_options()]
    for plugin in PLUGINS:
        known = {option.dest for option in found}
        found += [option for option in
                  loading.get_auth_plugin_conf_options(plugin)
                  if option.dest not in known]
    return found
