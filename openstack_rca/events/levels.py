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
"""How severe a record is, as Python's logging numbers it."""

#: Severity of a level name, as Python's logging numbers it. Names of other
#: programs are folded into these. 0 means that the line tells no level.
LEVELS = {
    'TRACE': 10, 'DEBUG': 10, 'DBG': 10,
    'INFO': 20, 'AUDIT': 20, 'NOTE': 20, 'NOTICE': 20, 'SYSTEM': 20,
    'SAMPLE': 20,
    'WARNING': 30, 'WARN': 30, 'WRN': 30,
    'ERROR': 40, 'ERR': 40, 'EXCEPTION': 40,
    'CRITICAL': 50, 'CRIT': 50, 'ALERT': 50, 'EMERG': 50, 'EMER': 50,
    'FATAL': 50, 'PANIC': 50,
}

#: Name of a severity, for people.
LEVEL_NAMES = {0: '', 10: 'DEBUG', 20: 'INFO', 30: 'WARNING', 40: 'ERROR',
               50: 'CRITICAL'}

WARNING = 30
ERROR = 40
