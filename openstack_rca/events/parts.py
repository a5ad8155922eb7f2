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
"""The words of reports and signatures: parts of a cloud, kinds of fault."""

#: Names that ``component`` of a hypothesis can have.
COMPONENTS = (
    'nova-api', 'nova-conductor', 'nova-scheduler', 'nova-compute',
    'placement', 'neutron-server', 'neutron-rpc-server', 'neutron-l2-agent',
    'neutron-l3-agent', 'neutron-dhcp-agent', 'neutron-metadata-agent',
    'ovn', 'cinder-api', 'cinder-scheduler', 'cinder-volume',
    'cinder-backup', 'glance', 'keystone', 'heat-engine', 'mariadb',
    'rabbitmq', 'memcached', 'libvirt', 'storage', 'disk', 'network', 'dns',
    'clock', 'compute-capacity', 'client', 'other')

CATEGORIES = (
    'capacity', 'quota', 'connectivity', 'authentication', 'permission',
    'configuration', 'database', 'messaging', 'storage', 'network', 'image',
    'process_down', 'hang', 'code_defect', 'data', 'unknown')
