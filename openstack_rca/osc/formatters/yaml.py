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
"""The document as YAML."""

from typing import Any

from openstack_rca.osc.formatters import base


class YamlFormatter(base.DocumentFormatter):
    """The same document as JSON gives, in YAML."""

    kinds = frozenset({'report', 'trace', 'answer'})

    def render(self, kind: str, document: dict[str, Any],
               options: base.Options) -> str:
        """Write a document, see the base class."""
        # Importing yaml takes longer than any other format needs at all.
        import yaml

        class Dumper(yaml.SafeDumper):
            """No anchors: the same list twice is written twice."""

            def ignore_aliases(self, data: Any) -> bool:
                return True

        text: str = yaml.dump(document, Dumper=Dumper, sort_keys=False,
                              default_flow_style=False, width=10**6)
        return text
