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
"""What the engine adds to its Guru Meditation Report.

A report is asked for at the process that systemd knows, and the work is done
by one that it started: that one is asked, too, and writes a report of its
own.
"""

from collections.abc import Callable
import os
import pathlib
import signal
import threading
from typing import Any

from oslo_reports import guru_meditation_report as gmr
from oslo_reports.models import with_default_views
from oslo_reports.views.text import generic

#: What the process does, by which it is known to hold an engine.
Describe = Callable[[], dict[str, Any]]


class Section:
    """A part of the report, made when it is asked for."""

    def __init__(self) -> None:
        #: Tells of the engine, in the process that holds it.
        self.describe: Describe | None = None
        self._first = os.getpid()

    def __call__(self) -> with_default_views.ModelWithDefaultViews:
        """What there is to tell."""
        if self.describe is not None:
            told = self.describe()
            told['threads'] = sorted(t.name for t in threading.enumerate())
        else:
            told = {'process': 'This one starts the engine, and holds none.',
                    'asked': self._ask()}
        return with_default_views.ModelWithDefaultViews(
            told, text_view=generic.KeyValueView(dict_sep=': '))

    def _ask(self) -> list[int]:
        """Ask the processes that this one started.

        :returns: which ones
        """
        if os.getpid() != self._first:
            # The engine is not there yet, or any more.
            return []
        asked = []
        for path in pathlib.Path('/proc/self/task').glob('*/children'):
            for word in path.read_text().split():
                os.kill(int(word), signal.SIGUSR2)
                asked.append(int(word))
        return asked


ENGINE = Section()


def register() -> None:
    """Have the section in all reports of this process and its children."""
    gmr.TextGuruMeditation.register_section('Engine', ENGINE)
