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
"""The routes, and the layers around them."""

from typing import Any

import falcon
from oslo_config import cfg
from oslo_middleware import http_proxy_to_wsgi
from oslo_middleware import request_id

from openstack_rca import exception
from openstack_rca import policy
from openstack_rca.api import errors
from openstack_rca.api import middleware
from openstack_rca.api import openapi
from openstack_rca.api import versions
from openstack_rca.api.v1 import analyses
from openstack_rca.api.v1 import incidents
from openstack_rca.api.v1 import index
from openstack_rca.api.v1 import knowledge
from openstack_rca.api.v1 import models
from openstack_rca.api.v1 import queries
from openstack_rca.api.v1 import sources
from openstack_rca.engine import rpcapi

# From the outside to the inside.
MIDDLEWARE: tuple[Any, ...] = (
    middleware.Errors,
    http_proxy_to_wsgi.HTTPProxyToWSGI,
    request_id.RequestId,
    middleware.Doors,
)


def routes(conf: cfg.ConfigOpts) -> dict[str, object]:
    """What answers at which path.

    :param conf: the options
    """
    engine = rpcapi.EngineAPI()
    return {
        '/': versions.Versions(),
        '/v1': versions.Version(),
        '/v1/openapi.json': openapi.Document(conf),
        '/v1/analyses': analyses.Analyses(conf, engine),
        '/v1/analyses/{id}': analyses.Analysis(),
        '/v1/analyses/{id}/rating': analyses.Rating(conf),
        '/v1/analyses/{id}/questions': analyses.Questions(conf, engine),
        '/v1/analyses/{id}/questions/{question_id}': analyses.Question(),
        '/v1/queries': queries.Queries(conf, engine),
        '/v1/queries/{id}': queries.Query(),
        '/v1/incidents': incidents.Incidents(conf),
        '/v1/incidents/{id}': incidents.Incident(conf),
        '/v1/index': index.Index(conf, engine),
        '/v1/knowledge': knowledge.Knowledge(conf),
        '/v1/knowledge/{id}': knowledge.Entry(),
        '/v1/models': models.Models(conf, engine),
        '/v1/models/{id}': models.Model(conf),
        '/v1/sources': sources.Sources(),
    }


def _check_policy(conf: cfg.ConfigOpts) -> None:
    """Read the policy file now, and not in the middle of a request."""
    try:
        policy.enforcer()
    except Exception as error:
        # Whatever the YAML library and the parser of rules raise.
        raise exception.InvalidInput(
            f'The policy file {conf.oslo_policy.policy_file} cannot be '
            f'used: {" ".join(str(error).split())}') from error


def create(conf: cfg.ConfigOpts) -> middleware.Application:
    """Build the WSGI application.

    :param conf: the options, with their values read
    :raises InvalidInput: the policy file cannot be used
    """
    _check_policy(conf)
    routed: falcon.App[Any, Any] = falcon.App()
    routed.req_options.strip_url_path_trailing_slash = True
    # Of two handlers falcon takes the one for the nearer class.
    routed.add_error_handler(Exception, errors.on_unexpected)
    routed.add_error_handler(falcon.HTTPError, errors.on_http_error)
    routed.add_error_handler(exception.RCAException, errors.on_expected)
    for path, resource in routes(conf).items():
        routed.add_route(path, resource)
    application: Any = routed
    for layer in reversed(MIDDLEWARE):
        application = layer(application, conf)
    built: middleware.Application = application
    return built
