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
"""What Python source says of itself: log statements, raises and calls.

The source is parsed, never imported and never run, so that any release of any
service can be read, whatever this interpreter could import.
"""

import ast
from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import dataclasses
import importlib.metadata
import os
import pathlib
import re
import stat
import tarfile
import warnings
import zipfile
import zlib

from openstack_rca import exception

#: Bytes of one file of source. The largest of OpenStack has 600 KB.
MAX_FILE = 4 << 20
#: Files and bytes of one package.
MAX_FILES = 20000
MAX_BYTES = 256 << 20

#: Logger methods, with the level of what they write.
LEVELS = {'debug': 10, 'trace': 10, 'info': 20, 'audit': 20, 'warning': 30,
          'warn': 30, 'error': 40, 'exception': 40, 'critical': 50,
          'fatal': 50}

#: Stands among the variables that keep a result when it is returned.
RETURN = 'return'

#: What stands for a value in a format string.
HOLE = '\ue000'

_LOGGERS = re.compile(r'(?:^|[._])log(?:ger|ging)?$', re.IGNORECASE)
_TRANSLATE = frozenset(('_', '_LE', '_LI', '_LW', '_LC', '_C', '_P',
                        'gettext', 'ugettext', 'text_type', 'str'))
_PERCENT = re.compile(
    r'%(?:\([^()]*\))?[#0\- +]*(?:\*|\d+)?(?:\.(?:\*|\d+))?[hlL]?'
    r'([diouxXeEfFgGcrsa%])')
_FIELD = re.compile(r'\{\{|\}\}|\{[^{}]*\}')
_SKIPPED_FOLDERS = frozenset(('tests', 'test', '__pycache__'))
#: Parts of RPC clients: the method that they name runs elsewhere.
_REMOTE = frozenset(('call', 'cast', 'fanout_cast'))
_MOST_TEXT = 1000
#: Variables of one assignment that are kept.
_MOST_TARGETS = 4
#: Arguments of a call that are kept.
_MOST_GIVEN = 24
#: Texts that one variable may have.
_MOST_BRANCHES = 6
_RELEASE = re.compile(r'^Version:[ \t]*(\S+)', re.MULTILINE)
_NAME = re.compile(r'^Name:[ \t]*(\S+)', re.MULTILINE)

#: What was a name, or a form of a statement, before Python 3.7. Each keeps
#: its line, which is all that counts here.
_OLD = (
    (re.compile(rb'\basync\b(?![ \t]+(?:def|for|with)\b)'), b'async_'),
    (re.compile(rb'^([ \t]*except[ \t]+[^\n#:]+?),[ \t]*(\w+)[ \t]*:',
                re.MULTILINE), rb'\1 as \2:'),
    (re.compile(rb'^([ \t]*)print[ \t]+(?![=(])(.*)$', re.MULTILINE),
     rb'\1print(\2)'),
    (re.compile(rb'(?<![\w.])0([0-7]+)[lL]?(?![\w.])'), rb'0o\1'),
    (re.compile(rb'(?<!\w)[uU][rR](?=["\'])'), b'r'),
)

Read = Callable[[], bytes]


@dataclasses.dataclass
class Call:
    """One call in a function.

    :param line: where it stands
    :param chain: what is called, as written: ``self.driver.spawn``
    :param target: the variable that keeps the result, or an empty string
    :param given: what its arguments are made of, joined by commas
    """

    line: int
    chain: str
    target: str = ''
    given: str = ''


@dataclasses.dataclass
class Function:
    """One function, or the body of a module (an empty name).

    :param name: qualified by classes and functions around it
    :param first: its first line
    :param last: its last line
    :param gives: whether it returns a value
    :param owner: qualified name of the class that it is a method of
    """

    name: str
    first: int
    last: int
    gives: bool = False
    owner: str = ''
    calls: list[Call] = dataclasses.field(default_factory=list)
    logs: list[tuple[int, int, str]] = dataclasses.field(
        default_factory=list)
    raises: list[tuple[int, str, str]] = dataclasses.field(
        default_factory=list)
    types: dict[str, str] = dataclasses.field(default_factory=dict)
    returned: set[str] = dataclasses.field(default_factory=set)
    arguments: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Class:
    """One class of a module.

    :param name: qualified name
    :param bases: what it inherits from, as written
    :param types: what its attributes were made by: ``self.driver`` to
        ``fake.Driver``
    :param text: the message of an exception, or an empty string
    """

    name: str
    bases: list[str]
    types: dict[str, str] = dataclasses.field(default_factory=dict)
    text: str = ''


@dataclasses.dataclass
class Module:
    """One file.

    :param file: its path from the package's parent on
    :param name: dotted name
    :param names: what imports bind: a name to a dotted name
    :param stars: modules of which it takes all names
    """

    file: str
    name: str
    names: dict[str, str] = dataclasses.field(default_factory=dict)
    stars: list[str] = dataclasses.field(default_factory=list)
    functions: list[Function] = dataclasses.field(default_factory=list)
    classes: dict[str, Class] = dataclasses.field(default_factory=dict)
    types: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Package:
    """What was read of one package.

    :param name: its name
    :param release: version of it, or an empty string
    :param modules: by path, in the order of the paths
    :param skipped: path and reason of what could not be read
    """

    name: str
    release: str
    modules: list[Module]
    skipped: list[tuple[str, str]]


# ---------------------------------------------------------------- literals

def percent(text: str) -> str:
    """A format string of the ``%`` kind with holes for its values."""
    return _PERCENT.sub(
        lambda m: '%' if m[1] == '%' else HOLE, text)


def _fields(text: str) -> str:
    """The same for ``str.format``."""
    return _FIELD.sub(
        lambda m: m[0][0] if m[0] in ('{{', '}}') else HOLE, text)


def chain(node: ast.AST) -> str:
    """A dotted name as it is written, or an empty string."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        parts.append(node.id)
    elif isinstance(node, ast.Call):
        inner = chain(node.func)
        if not inner:
            return ''.join(f'.{p}' for p in reversed(parts))
        parts.append(f'{inner}()')
    else:
        # Of something without a name: the method's name is left.
        parts.append('')
    return '.'.join(reversed(parts))


class _Texts:
    """Reads messages: what is literal in them, holes for the rest."""

    def __init__(self) -> None:
        #: What variables were given, all of it: a branch may choose.
        self.known: dict[str, list[str]] = {}

    def all(self, node: ast.AST) -> list[str]:
        """The texts that an expression may have."""
        if isinstance(node, ast.IfExp):
            return self.all(node.body) + self.all(node.orelse)
        if isinstance(node, ast.Name):
            return self.known.get(node.id, [])
        text = self.read(node)
        return [] if text is None else [text]

    def read(self, node: ast.AST, raw: bool = False) -> str | None:
        """The text of an expression, or None where nothing is literal.

        :param node: the expression
        :param raw: leave placeholders of the ``%`` kind as they are
        """
        if isinstance(node, ast.Constant):
            if not isinstance(node.value, str):
                return None
            return node.value if raw else percent(node.value)
        if isinstance(node, ast.JoinedStr):
            return ''.join(
                (v.value if raw else percent(v.value))
                if isinstance(v, ast.Constant) and isinstance(v.value, str)
                else HOLE for v in node.values)
        if isinstance(node, ast.BinOp):
            if isinstance(node.op, ast.Mod):
                return self.read(node.left)
            if isinstance(node.op, ast.Add):
                left = self.read(node.left, raw)
                right = self.read(node.right, raw)
                if left is None and right is None:
                    return None
                return (HOLE if left is None else left) + (
                    HOLE if right is None else right)
            return None
        if isinstance(node, ast.Name):
            known = self.known.get(node.id)
            return known[-1] if known else None
        if isinstance(node, ast.Call):
            return self._call(node, raw)
        if isinstance(node, ast.IfExp):
            return self.read(node.body, raw) or self.read(node.orelse, raw)
        return None

    def _call(self, node: ast.Call, raw: bool) -> str | None:
        if isinstance(node.func, ast.Attribute) \
                and node.func.attr == 'format':
            text = self.read(node.func.value, raw=True)
            return None if text is None else _fields(text)
        name = chain(node.func).rpartition('.')[2]
        if name in _TRANSLATE and node.args:
            return self.read(node.args[0], raw)
        return None


# ------------------------------------------------------------------ files

class _Reader(ast.NodeVisitor):
    """Reads one module."""

    def __init__(self, module: Module, package: bool) -> None:
        self.module = module
        self._package = package
        self._body = Function('', 1, 1)
        module.functions.append(self._body)
        self._functions = [self._body]
        self._scope: list[str] = []
        self._classes: list[Class] = []
        self._texts = _Texts()
        self._target = ''

    # Names.

    def visit_Import(self, node: ast.Import) -> None:
        for name in node.names:
            if name.asname:
                self.module.names[name.asname] = name.name
            else:
                first = name.name.partition('.')[0]
                self.module.names[first] = first

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = node.module or ''
        if node.level:
            parts = self.module.name.split('.')
            keep = len(parts) - node.level + self._package
            base = '.'.join(parts[:max(0, keep)]
                            + ([base] if base else []))
        for name in node.names:
            if name.name == '*':
                self.module.stars.append(base)
                continue
            self.module.names[name.asname or name.name] = (
                f'{base}.{name.name}' if base else name.name)

    # Scopes.

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        found = Class('.'.join([*self._scope, node.name]),
                      [c for b in node.bases if (c := chain(b))])
        for item in node.body:
            if isinstance(item, ast.Assign) and any(
                    isinstance(t, ast.Name) and t.id in (
                        'message', 'msg_fmt', '_msg_fmt', 'message_format')
                    for t in item.targets):
                found.text = (self._texts.read(item.value)
                              or '')[:_MOST_TEXT]
        self.module.classes[found.name] = found
        self._scope.append(node.name)
        self._classes.append(found)
        kept = self._functions
        self._functions = [self._body]
        for part in (*node.decorator_list, *node.body):
            self.visit(part)
        self._functions = kept
        self._classes.pop()
        self._scope.pop()

    def visit_FunctionDef(
            self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for expression in (*node.decorator_list, *node.args.defaults):
            self.visit(expression)
        inner = bool(self._functions[-1].name)
        owner = self._functions[-1].owner if inner else (
            self._classes[-1].name if self._classes else '')
        found = Function('.'.join([*self._scope, node.name]), node.lineno,
                         node.end_lineno or node.lineno, owner=owner,
                         arguments=[a.arg for a in (
                             *node.args.posonlyargs, *node.args.args,
                             *node.args.kwonlyargs)])
        self.module.functions.append(found)
        self._functions.append(found)
        self._scope.append(node.name)
        known = self._texts.known
        self._texts.known = {n: list(t) for n, t in known.items()}
        for statement in node.body:
            self.visit(statement)
        self._texts.known = known
        self._scope.pop()
        self._functions.pop()

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.visit_FunctionDef(node)

    # Statements.

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is None or (isinstance(node.value, ast.Constant)
                                  and node.value.value is None):
            return
        function = self._functions[-1]
        function.gives = True
        function.returned.update(_names(node.value))
        kept = self._target
        self._target = RETURN
        self.visit(node.value)
        self._target = kept

    def visit_Yield(self, node: ast.Yield) -> None:
        self._functions[-1].gives = True
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        names = [n for t in node.targets for n in _names(t)]
        if isinstance(node.value, ast.Call):
            made = chain(node.value.func)
            for name in names:
                self._made(name, made)
        if len(names) == 1 and '.' not in names[0]:
            texts = self._texts.all(node.value)
            known = self._texts.known.setdefault(names[0], [])
            known += texts[:_MOST_BRANCHES - len(known)]
        kept = self._target
        self._target = ','.join(n.rpartition('.')[2]
                                for n in names[:_MOST_TARGETS])
        self.visit(node.value)
        self._target = kept
        for target in node.targets:
            self.visit(target)

    def _made(self, name: str, made: str) -> None:
        if not made:
            return
        if name.startswith('self.'):
            if self._classes:
                self._classes[-1].types.setdefault(name[5:], made)
        elif self._functions[-1].name:
            self._functions[-1].types.setdefault(name, made)
        else:
            self.module.types.setdefault(name, made)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit_Assign(ast.copy_location(ast.Assign(
                targets=[node.target], value=node.value), node))

    def _kept(self, node: ast.AST, target: ast.AST | None) -> None:
        """Visit what a variable gets."""
        kept = self._target
        self._target = ','.join(
            n.rpartition('.')[2] for n in _names(target)[:_MOST_TARGETS]
            ) if target is not None else ''
        self.visit(node)
        self._target = kept

    def visit_For(self, node: ast.For) -> None:
        self._kept(node.iter, node.target)
        for item in (node.target, *node.body, *node.orelse):
            self.visit(item)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        self._kept(node.iter, node.target)
        for item in node.ifs:
            self.visit(item)

    def visit_With(self, node: ast.With) -> None:
        for item in node.items:
            self._kept(item.context_expr, item.optional_vars)
        for part in node.body:
            self.visit(part)

    def visit_Raise(self, node: ast.Raise) -> None:
        if node.exc is not None:
            what, text = node.exc, ''
            if isinstance(what, ast.Call):
                given = [*what.args[:1], *(
                    k.value for k in what.keywords
                    if k.arg in ('message', 'msg', 'reason', 'explanation',
                                 'detail', 'err'))]
                for argument in given:
                    text = self._texts.read(argument) or ''
                    if text:
                        break
                what = what.func
            name = chain(what).rpartition('.')[2]
            self._functions[-1].raises.append(
                (node.lineno, name, text[:_MOST_TEXT]))
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = chain(node.func)
        owner, _dot, method = name.rpartition('.')
        function = self._functions[-1]
        if owner and (method in LEVELS or method == 'log') \
                and _LOGGERS.search(owner.removesuffix('()')):
            self._log(node, method)
        elif name:
            given = _given(node)
            function.calls.append(Call(node.lineno, name, self._target,
                                       given))
            if method in _REMOTE and len(node.args) > 1 and isinstance(
                    node.args[1], ast.Constant) and isinstance(
                        node.args[1].value, str):
                function.calls.append(Call(
                    node.lineno, f'.{node.args[1].value}', self._target,
                    given))
        kept = self._target
        if isinstance(node.func, ast.Attribute):
            self.visit(node.func.value)
        elif not isinstance(node.func, ast.Name):
            self.visit(node.func)
        # What is an argument is not what the variable keeps.
        self._target = ''
        for argument in node.args:
            self.visit(argument)
        for keyword in node.keywords:
            self.visit(keyword.value)
        self._target = kept

    def _log(self, node: ast.Call, method: str) -> None:
        arguments = node.args
        level = LEVELS.get(method, 0)
        if method == 'log':
            if len(arguments) < 2:
                return
            level = LEVELS.get(
                chain(arguments[0]).rpartition('.')[2].lower(), 0)
            arguments = arguments[1:]
        given = arguments[0] if arguments else next(
            (k.value for k in node.keywords if k.arg == 'msg'), None)
        if given is None:
            return
        texts = self._texts.all(given) or [HOLE]
        self._functions[-1].logs += [
            (node.lineno, level, t[:_MOST_TEXT]) for t in texts]


def _given(node: ast.Call) -> str:
    """The arguments of a call: what each is, as far as a name tells it.

    A constant is an empty text, the result of a call that of the function
    with ``()``, and a keyword stands in front of its value with ``=``.
    """
    parts = [_source(a) for a in node.args]
    parts += [f'{k.arg or "**"}={_source(k.value)}' for k in node.keywords]
    return ','.join(parts[:_MOST_GIVEN])


def _source(node: ast.AST) -> str:
    while True:
        if isinstance(node, ast.Subscript | ast.Starred):
            node = node.value
        elif isinstance(node, ast.List | ast.Tuple) and len(node.elts) == 1:
            node = node.elts[0]
        elif isinstance(node, ast.BoolOp):
            node = node.values[0]
        else:
            break
    if isinstance(node, ast.Call):
        return f'{chain(node.func).rpartition(".")[2]}()'
    if isinstance(node, ast.Name | ast.Attribute):
        name = chain(node)
        return '' if '()' in name or name.startswith('.') else name
    return ''


def _names(node: ast.AST) -> list[str]:
    """Names that an assignment binds."""
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute):
        name = chain(node)
        return [name] if name else []
    if isinstance(node, ast.Tuple | ast.List):
        return [n for item in node.elts for n in _names(item)]
    if isinstance(node, ast.Starred):
        return _names(node.value)
    return []


def _tree_of(data: bytes) -> ast.Module:
    """Source as a tree, that of Python 2 as far as little repairs help."""
    try:
        return ast.parse(data)
    except SyntaxError:
        repaired = data
        for old, new in _OLD:
            repaired = old.sub(new, repaired)
        if repaired == data:
            raise
        with contextlib.suppress(SyntaxError):
            return ast.parse(repaired)
        raise


def parse(file: str, data: bytes) -> Module:
    """Read one module.

    :param file: its path from the package's parent on
    :param data: the source
    :raises SyntaxError: it is no Python of this interpreter's grammar
    :raises ValueError: it is no text
    """
    with warnings.catch_warnings():
        # Of old escapes and comparisons; whoever wrote it knows.
        warnings.simplefilter('ignore')
        try:
            tree = _tree_of(data)
        except (RecursionError, MemoryError) as error:
            raise ValueError('it is nested too deeply') from error
    parts = file.removesuffix('.py').split('/')
    package = parts[-1] == '__init__'
    module = Module(file, '.'.join(parts[:-1] if package else parts))
    try:
        _Reader(module, package).visit(tree)
    except RecursionError as error:
        raise ValueError('it is nested too deeply') from error
    return module


# ---------------------------------------------------------------- sources

def scan(files: list[tuple[str, int, Read]], name: str = '',
         release: str = '') -> Package:
    """Read a package.

    :param files: path below the package's parent, bytes and reader of each
    :param name: of the package; without it that with the most files
    :param release: its version
    :raises CodeMapError: there is no package in them
    """
    tops: dict[str, int] = {}
    held = {path for path, _size, _read in files}
    for path in held:
        top, _slash, rest = path.partition('/')
        if rest and f'{top}/__init__.py' in held:
            tops[top] = tops.get(top, 0) + 1
    if name:
        tops = {top: n for top, n in tops.items() if top == name}
    if not tops:
        raise exception.CodeMapError(
            path=name or 'the source',
            reason='it holds no Python package (a folder with __init__.py). '
                   'Name the folder of the package, or the one above it.')
    name = max(sorted(tops), key=lambda top: tops[top])
    modules: list[Module] = []
    skipped: list[tuple[str, str]] = []
    total = 0
    wanted = sorted((f for f in files if f[0].startswith(f'{name}/')),
                    key=lambda f: f[0])
    for path, size, read in wanted:
        if not path.endswith('.py') or _SKIPPED_FOLDERS.intersection(
                path.split('/')[:-1]):
            continue
        total += size
        if len(modules) >= MAX_FILES or total > MAX_BYTES:
            skipped.append((path, 'the package is too large'))
            break
        if size > MAX_FILE:
            skipped.append((path, f'it is larger than {MAX_FILE} bytes'))
            continue
        try:
            modules.append(parse(path, read()))
        except SyntaxError as error:
            skipped.append((path, f'line {error.lineno}: {error.msg}'))
        except OSError as error:
            # Its text would name a folder of this machine.
            skipped.append((path, f'it cannot be read: {error.strerror}'))
        except (ValueError, EOFError, zlib.error, tarfile.TarError,
                zipfile.BadZipFile, RuntimeError,
                NotImplementedError) as error:
            skipped.append((path, f'it cannot be read: {error}'))
    if not modules:
        raise exception.CodeMapError(
            path=name, reason='no file of it could be read as Python.')
    return Package(name, release, modules, skipped)


def installed(name: str, folder: str | None = None) -> Package:
    """Read an installed package; it is not imported.

    :param name: of the distribution, such as ``nova``
    :param folder: the ``site-packages`` that it is in, instead of this
        interpreter's
    :raises CodeMapError: it is not installed
    """
    found = next(iter(
        importlib.metadata.distributions(name=name, path=[folder]) if folder
        else importlib.metadata.distributions(name=name)), None)
    if found is None:
        raise exception.CodeMapError(
            path=name, reason='no such package is installed'
            + (f' in {folder}.' if folder else
               ' in this environment. Name the site-packages of another one '
               'with --path, or its source with --source.'))
    files: list[tuple[str, int, Read]] = []
    for entry in found.files or ():
        if entry.suffix != '.py' or '..' in entry.parts:
            continue
        path = pathlib.Path(str(found.locate_file(entry)))
        with contextlib.suppress(OSError):
            files.append((entry.as_posix(), path.stat().st_size,
                          path.read_bytes))
    if not files:
        raise exception.CodeMapError(
            path=name, reason='the installed package lists no source. Name '
            'its folder with --source.')
    return scan(files, release=found.version)


def given(path: pathlib.Path, release: str = '') -> Package:
    """Read a folder or an archive of source.

    :param path: a package, the folder above it, or a tar, zip or wheel
    :param release: its version, where the source does not say it
    :raises CodeMapError: it cannot be read, or holds no package
    """
    try:
        if path.is_dir():
            return _tree(path, release)
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return _archive(path, _zipped(archive), release)
        with tarfile.open(path) as tar:
            return _archive(path, _tarred(tar), release)
    except tarfile.TarError as error:
        raise exception.CodeMapError(
            path=path, reason='it is neither a folder nor a tar or zip '
                              'archive.') from error
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise exception.CodeMapError(
            path=path, reason=f'{reason or error}.') from error


def _tree(path: pathlib.Path, release: str) -> Package:
    path = path.resolve()
    one = path if (path / '__init__.py').is_file() else None
    root = path.parent if one else path
    tops = [one] if one else [
        child for child in sorted(path.iterdir())
        if (child / '__init__.py').is_file() and not child.is_symlink()]
    files: list[tuple[str, int, Read]] = []
    for top in tops:
        for folder, folders, held in os.walk(top):
            folders[:] = sorted(set(folders) - _SKIPPED_FOLDERS)
            for name in held:
                file = pathlib.Path(folder, name)
                if file.suffix != '.py':
                    continue
                told = file.lstat()
                # A link may lead anywhere, and a pipe nowhere.
                if stat.S_ISREG(told.st_mode):
                    files.append((file.relative_to(root).as_posix(),
                                  told.st_size, file.read_bytes))
    if not release:
        names = {t.name for t in tops}
        release = _told(root, names)
    return scan(files, release=release)


def _told(root: pathlib.Path, tops: set[str]) -> str:
    """The version that the metadata beside a package tells."""
    for pattern in ('PKG-INFO', '*.dist-info/METADATA',
                    '*.egg-info/PKG-INFO'):
        for file in sorted(root.glob(pattern)):
            text = file.read_text('utf-8', 'replace')
            name = _NAME.search(text)
            release = _RELEASE.search(text)
            if name and release and _same(name[1], tops):
                return release[1]
    return ''


def _same(distribution: str, tops: set[str]) -> bool:
    name = distribution.replace('-', '_').lower()
    return any(name in (top, f'openstack_{top}') for top in tops)


def _zipped(archive: zipfile.ZipFile) -> Iterator[
        tuple[str, int, Read]]:
    for info in archive.infolist():
        if not info.is_dir() and not stat.S_ISLNK(info.external_attr >> 16):
            yield info.filename, info.file_size, _of_zip(archive, info)


def _of_zip(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Read:
    def read() -> bytes:
        with archive.open(info) as stream:
            return stream.read(MAX_FILE + 1)
    return read


def _tarred(archive: tarfile.TarFile) -> Iterator[tuple[str, int, Read]]:
    for member in archive:
        if member.isreg():
            yield member.name, member.size, _of_tar(archive, member)


def _of_tar(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Read:
    def read() -> bytes:
        stream = archive.extractfile(member)
        return stream.read(MAX_FILE + 1) if stream else b''
    return read


def _archive(path: pathlib.Path, members: Iterator[tuple[str, int, Read]],
             release: str) -> Package:
    """The package of an archive, whatever folder it is packed in."""
    found: dict[str, tuple[int, Read]] = {}
    texts = []
    for name, size, read in members:
        parts = name.split('/')
        # Nothing is written, but such a name is no place in a package.
        if name.startswith('/') or '..' in parts or '\\' in name:
            continue
        parts = [p for p in parts if p not in ('', '.')]
        if len(found) >= MAX_FILES * 2:
            break
        if parts and parts[-1] in ('PKG-INFO', 'METADATA') \
                and size <= MAX_FILE:
            texts.append(('/'.join(parts), read))
        elif parts and parts[-1].endswith('.py'):
            found['/'.join(parts)] = (size, read)
    starts = {name.rpartition('/')[0] for name in found
              if name.endswith('/__init__.py')}
    roots = {s for s in starts if s.rpartition('/')[0] not in starts
             and not _SKIPPED_FOLDERS.intersection(s.split('/'))}
    if not roots:
        raise exception.CodeMapError(
            path=path, reason='it holds no Python package.')
    counts = {root: sum(n.startswith(f'{root}/') for n in found)
              for root in sorted(roots)}
    root = max(counts, key=lambda r: counts[r])
    above = root.rpartition('/')[0]
    cut = len(above) + 1 if above else 0
    package = root[cut:]
    if not release:
        for _name, read in sorted(texts, key=lambda t: t[0]):
            text = read().decode('utf-8', 'replace')
            called, version = _NAME.search(text), _RELEASE.search(text)
            if called and version and _same(called[1], {package}):
                release = version[1]
                break
    return scan([(n[cut:], size, read) for n, (size, read) in found.items()
                 if n.startswith(f'{root}/')], package, release)
