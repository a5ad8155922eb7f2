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
"""Configuration of Sphinx. The build needs no network."""

project = 'openstack_rca'
author = 'OpenStack RCA contributors'
copyright = '2026, OpenStack RCA contributors'

extensions = [
    'cliff.sphinxext',
    'openstackdocstheme',
    'oslo_config.sphinxext',
    'oslo_policy.sphinxext',
]

# The theme would ask git and a server about repository, bugs and versions.
openstackdocs_auto_name = False
openstackdocs_auto_version = False
openstackdocs_use_storyboard = False
openstackdocs_bug_project = ''
openstackdocs_bug_tag = ''

html_theme = 'openstackdocs'
html_copy_source = False
pygments_style = 'native'
nitpicky = True
# Types of other projects are not part of this documentation.
nitpick_ignore_regex = [('py:.*', r'(?!openstack_rca).*')]

# The name of the program on the pages of the commands.
autoprogram_cliff_application = 'openstack'
autoprogram_cliff_ignored = ['--help']
