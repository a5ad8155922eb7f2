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
"""Cut a recording to the minutes of a fault, small enough for a test.

    python tools/trim_recording.py FOLDER ARCHIVE.tar.xz --since TIME \
        --until TIME [--only GLOB ...] [--without GLOB ...]

FOLDER holds log files and ``notifications.jsonl``. Whole records are kept, as
the parser of the project sees them, with their tracebacks. From notifications
come no credentials. The same input gives the same archive, byte by byte.
"""

import argparse
import datetime
import fnmatch
import io
import json
import lzma
import pathlib
import re
import sys
import tarfile
from typing import Any

import polars as pl

from openstack_rca import conf
from openstack_rca import exception
from openstack_rca.analysis import scope
from openstack_rca.engine import local

#: What notifications hold and nobody may read.
_SECRET = frozenset(('auth_token', 'service_catalog', 'trust_id',
                     'user_auth_plugin'))
#: How a token of Keystone begins.
_TOKEN = re.compile(rb'gAAAA[\w\-]{40}')
_READ_ONLY = 0o644


def without_secrets(value: Any) -> Any:
    """A value of JSON without the keys that hold credentials.

    :param value: of a notification
    """
    if isinstance(value, dict):
        return {key: without_secrets(inner) for key, inner in value.items()
                if key not in _SECRET}
    if isinstance(value, list):
        return [without_secrets(inner) for inner in value]
    return value


def cut(folder: pathlib.Path, since: datetime.datetime,
        until: datetime.datetime, only: list[str],
        without: list[str]) -> dict[str, bytes]:
    """The records of a time, by the name of their file.

    :param folder: of the recording
    :param since: first moment, naive UTC
    :param until: last moment, naive UTC
    :param only: patterns of file names, empty for all
    :param without: patterns of file names that are left out
    :raises RCAException: the folder cannot be read
    :raises InvalidInput: a token would be kept
    """
    store = local.open_folder(folder, cache=False).store
    rows = store.scan().filter(pl.col('timestamp').is_between(
        since, until)).select('source', 'offset', 'length').sort(
            'source', 'offset').collect()
    kept: dict[str, bytes] = {}
    for (source,), part in rows.group_by('source', maintain_order=True):
        path = folder / str(source)
        if (only and not any(fnmatch.fnmatch(path.name, p) for p in only)
                or any(fnmatch.fnmatch(path.name, p) for p in without)):
            continue
        whole = path.read_bytes()
        records = [whole[offset:offset + length].rstrip(b'\n') + b'\n'
                   for offset, length in part.select(
                       'offset', 'length').iter_rows()]
        if path.suffix == '.jsonl':
            records = [json.dumps(without_secrets(json.loads(record))
                                  ).encode() + b'\n' for record in records]
        kept[str(source)] = b''.join(records)
        if _TOKEN.search(kept[str(source)]):
            raise exception.InvalidInput(
                reason=f'{source} holds a token of Keystone in this time.')
    return kept


def pack(files: dict[str, bytes], target: pathlib.Path) -> None:
    """Write an archive that is the same for the same files.

    :param files: contents by name
    :param target: the archive
    """
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode='w',
                      format=tarfile.USTAR_FORMAT) as archive:
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), _READ_ONLY
            archive.addfile(member, io.BytesIO(content))
    target.write_bytes(lzma.compress(
        plain.getvalue(), preset=9 | lzma.PRESET_EXTREME))


def main(argv: list[str]) -> int:
    """Cut and pack.

    :param argv: the arguments
    :returns: the exit status
    """
    parser = argparse.ArgumentParser(
        description=(__doc__ or '').partition('\n')[0])
    parser.add_argument('folder', type=pathlib.Path)
    parser.add_argument('target', type=pathlib.Path)
    for name in ('since', 'until'):
        parser.add_argument(f'--{name}', required=True,
                            type=datetime.datetime.fromisoformat,
                            help='ISO 8601, UTC where it has no offset')
    for name in ('only', 'without'):
        parser.add_argument(f'--{name}', action='append', default=[],
                            metavar='GLOB', help='of names of files')
    args = parser.parse_args(argv)
    conf.load([])
    since, until = scope.naive(args.since), scope.naive(args.until)
    assert since is not None and until is not None
    try:
        files = cut(args.folder, since, until, args.only, args.without)
    except exception.RCAException as error:
        sys.stderr.write(f'{error}\n')
        return 1
    pack(files, args.target)
    sys.stdout.write(f'{args.target}: {len(files)} files, '
                     f'{args.target.stat().st_size:,} bytes\n')
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
