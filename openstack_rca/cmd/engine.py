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
"""``openstack-rca-engine``: answers what users of the API ask."""

from openstack_rca import threads  # noqa: F401

# isort: split
import sys

from oslo_log import log as logging
from oslo_reports import guru_meditation_report as gmr
from oslo_reports import opts as gmr_opts
from oslo_service import service

from openstack_rca import conf
from openstack_rca import exception
from openstack_rca import rpc
from openstack_rca import version
from openstack_rca.engine import bus
from openstack_rca.engine import drivers
from openstack_rca.engine import meditation
from openstack_rca.engine import publisher
from openstack_rca.engine import service as engine_service
from openstack_rca.engine import state


def check() -> None:
    """Refuse a configuration with which the engine could not work.

    A service that fails after the fork is started again for ever, and looks
    healthy.

    :raises RCAException: what is wrong
    """
    state.stores()
    state.prepare()
    if state.notifications() is not None:
        bus.urls()
    drivers.check('openstack_rca.detectors', conf.CONF.detectors.enabled)
    drivers.check('openstack_rca.llms', [conf.CONF.llm.backend])
    drivers.check('openstack_rca.models', [conf.CONF.models.driver])
    drivers.check('openstack_rca.retrievers', [conf.CONF.retrieval.driver])
    publisher.check()
    if rpc.configured():
        rpc.transport().cleanup()


def run(args: list[str]) -> int:
    """Run the engine until it is told to end.

    :param args: the options of the command line
    :returns: the exit status
    """
    gmr_opts.set_defaults(conf.CONF)
    try:
        conf.load(args)
        logging.setup(conf.CONF, conf.PROJECT)
        check()
    except exception.RCAException as error:
        print(f'openstack-rca-engine: {error}', file=sys.stderr)
        return 1
    meditation.register()
    gmr.TextGuruMeditation.setup_autorun(version, conf=conf.CONF)
    launcher = service.launch(
        conf.CONF, engine_service.EngineService(args), workers=1,
        restart_method='mutate')
    launcher.wait()
    return 0


def main() -> int:
    """Run the console script."""
    return run(sys.argv[1:])


if __name__ == '__main__':
    sys.exit(main())
