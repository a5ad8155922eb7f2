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
"""Whether a caller may do something: the rules in code, and policy.yaml."""

import threading
from typing import Any

from oslo_policy import policy

from openstack_rca import conf
from openstack_rca import context
from openstack_rca import exception
from openstack_rca import policies

_lock = threading.Lock()
_enforcer: policy.Enforcer | None = None


def enforcer() -> policy.Enforcer:
    """The enforcer of this process, made at the first use."""
    global _enforcer
    with _lock:
        if _enforcer is None:
            made = policy.Enforcer(conf.CONF)
            made.register_defaults(policies.list_rules())
            made.load_rules()
            _enforcer = made
        return _enforcer


def reset() -> None:
    """Forget the rules; the next use reads the configuration anew."""
    global _enforcer
    with _lock:
        if _enforcer is not None:
            _enforcer.clear()
        _enforcer = None


def get_enforcer() -> policy.Enforcer:
    """The enforcer for oslo.policy's command line tools.

    They have read the command line into oslo.config's own ConfigOpts; the
    files that it names are read again into ours.
    """
    conf.load()
    return enforcer()


def authorize(caller: context.RequestContext, rule: str,
              target: dict[str, Any] | None = None) -> None:
    """Let a caller go on who may.

    :param caller: who asks
    :param rule: name of a rule, such as ``rca:analyses:list``
    :param target: what it is done to; the caller's own project where None
    :raises Forbidden: the policy does not allow it
    :raises RCAException: the policy file cannot be read
    """
    if target is None:
        target = {'project_id': caller.project_id,
                  'user_id': caller.user_id}
    try:
        enforcer().authorize(rule, target, caller, do_raise=True)
    except policy.InvalidScope as error:
        raise exception.Forbidden(
            f'The policy allows {rule} with a token of a project only. Log '
            'in to a project (--os-project-name).') from error
    except policy.PolicyNotAuthorized as error:
        raise exception.Forbidden(action=rule) from error
    except (ValueError, TypeError, AttributeError, OSError) as error:
        # What oslo.policy raises when it reads the file (again).
        raise exception.RCAException(
            'The policy file of this service cannot be read: it is no YAML '
            'of rules. Ask its administrator to check [oslo_policy] '
            'policy_file.') from error
