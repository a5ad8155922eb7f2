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
"""What can go wrong, said so that the operator knows what to do."""

from typing import Any


class RCAException(Exception):
    """Base of all expected errors.

    :param message: the finished text, instead of ``msg_fmt``
    :param kwargs: values for the placeholders of ``msg_fmt``
    :cvar code: the HTTP status that says the same to a client of the API
    """

    msg_fmt = 'An unexpected error occurred.'
    code = 500

    def __init__(self, message: str | None = None, **kwargs: Any) -> None:
        self.kwargs = kwargs
        super().__init__(message or self.msg_fmt % kwargs)


class InvalidInput(RCAException):
    """A question or an option that cannot be understood."""

    code = 400

    msg_fmt = '%(reason)s'


class SourceNotFound(RCAException):
    """The folder or file that was named is not there."""

    msg_fmt = ("%(path)s does not exist. Name a folder of logs, or a tar "
               "archive of one.")


class SourceUnreadable(RCAException):
    """The folder or file is there and cannot be read."""

    msg_fmt = "%(path)s cannot be read: %(reason)s"


class SourceEmpty(RCAException):
    """Nothing in the folder looks like a log or a notification file."""

    msg_fmt = ("There is no log file in %(path)s. Looked for plain or "
               "compressed logs, journal exports, tar archives and "
               "notifications.jsonl. %(detail)s")


class NothingRecognised(RCAException):
    """Files were read and no line of them is a log record."""

    msg_fmt = ("No line of the %(files)d files in %(path)s is a log record "
               "that this program knows. %(detail)s")


class UnknownRequest(RCAException):
    """A request id that no event carries."""

    code = 404

    msg_fmt = ("No event carries the request id %(request_id)s. Check the id "
               "and the time range; 'openstack rca source list' shows what "
               "was read.")


class DriverNotFound(RCAException):
    """A driver name that no entry point provides."""

    msg_fmt = ("There is no driver '%(name)s' in %(namespace)s. Known: "
               "%(known)s.")


class StoreError(RCAException):
    """The event store cannot be read or written."""

    msg_fmt = "The event store at %(path)s failed: %(reason)s"


class DatasetError(RCAException):
    """A benchmark dataset that does not have the documented form."""

    msg_fmt = "%(path)s is no dataset of task '%(task)s': %(reason)s"


class NotFound(RCAException):
    """No row of the caller's project has the id."""

    code = 404
    msg_fmt = "There is no %(what)s %(id)s in this project."


class MarkerNotFound(RCAException):
    """A page is to begin behind a row that is not there."""

    code = 400
    msg_fmt = ("marker: there is no %(what)s %(id)s in this project. List "
               "from the beginning.")


class Conflict(RCAException):
    """What was asked for does not fit the state of the row."""

    code = 409
    msg_fmt = '%(reason)s'


class TooManyJobs(RCAException):
    """A project has as many unfinished jobs as it may."""

    code = 429
    msg_fmt = ("This project has %(count)d unfinished analyses and queries, "
               "which is the most it may have. Wait until some are "
               "complete.")


class Forbidden(RCAException):
    """The caller's roles do not allow it."""

    code = 403
    msg_fmt = "The policy does not allow %(action)s with these roles."


class DatabaseUnavailable(RCAException):
    """The database does not answer, or has not got the tables."""

    code = 503
    msg_fmt = "The database cannot be used at the moment: %(reason)s"


class SignatureInvalid(RCAException):
    """A signature that cannot be used."""

    msg_fmt = "%(path)s, line %(line)s: %(reason)s."


class SignaturesUnreadable(RCAException):
    """A folder of signatures that cannot be read."""

    msg_fmt = ("The signatures of %(path)s cannot be read: %(reason)s. "
               "Check [knowledge] signature_dirs.")


class DocumentInvalid(RCAException):
    """A document that cannot become knowledge."""

    code = 400
    msg_fmt = "%(name)s cannot be read: %(reason)s."


class JobFailed(RCAException):
    """Work that a worker could not do."""

    msg_fmt = '%(reason)s'


class ModelError(RCAException):
    """A trained model that cannot be used, kept or found."""

    msg_fmt = "The model %(name)s cannot be used: %(reason)s"


class ReportInvalid(RCAException):
    """A report that does not pass its own check."""

    msg_fmt = ("The report did not pass its check and is not published: "
               "%(reason)s. Ask again, and report this as a bug with the log "
               "of the engine.")


class CodeMapError(RCAException):
    """A code map, or the source to make one of, that cannot be used."""

    msg_fmt = "There is no code map in %(path)s: %(reason)s"
