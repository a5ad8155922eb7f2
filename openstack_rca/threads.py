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
"""Chooses native threads; imported before anything that would choose others.

oslo.messaging makes oslo.service use eventlet unless the choice was made. And
several libraries load eventlet where it is installed, which takes 12 MB, asks
for other modules again, and warns of itself in each log: here it is not.
"""

import sys
from typing import cast

from oslo_service import backend

# An import of it fails from now on, as where it is not installed.
cast('dict[str, object]', sys.modules).setdefault('eventlet', None)

backend.register_backend_default_hook(
    lambda: backend.BackendType.THREADING)
