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
"""Who calls whom in the source of a package, as far as names tell.

Imports, ``self``, classes and what variables were made by are followed.
They find most of the calls inside of a service; the rest is guessed by the
name of the class, or by that of the method alone.
"""

from collections.abc import Iterator

from openstack_rca.analysis import codesource

#: Classes of one name that a call may mean.
_MOST_CLASSES = 3
#: Names that lead to names, and classes that inherit from each other.
_DEEPEST = 8
_MOST_BASES = 40


class Resolver:
    """Finds out what a call means, as far as names tell.

    :param package: what was read
    """

    def __init__(self, package: codesource.Package) -> None:
        self._modules = {m.name: m for m in package.modules}
        self._functions: dict[tuple[str, str], int] = {}
        self._named: dict[str, list[int]] = {}
        self._classes: dict[str, list[codesource.Module]] = {}
        for module in package.modules:
            for name in module.classes:
                self._classes.setdefault(name, []).append(module)
        number = 0
        for module in package.modules:
            for function in module.functions:
                # The last of equal names is the one that Python keeps.
                self._functions[module.name, function.name] = number
                if function.name:
                    self._named.setdefault(
                        function.name.rpartition('.')[2], []).append(number)
                number += 1

    def named(self, name: str) -> list[int]:
        """All functions of a bare name."""
        return self._named.get(name, [])

    def of_class(self, name: str) -> list[int]:
        """Methods that a call through a class may mean, wherever it is.

        Some packages bind their classes at run time, so that imports do not
        tell of them; the name of a class that has the method does.

        :param name: what is called, as written
        """
        parts = name.replace('()', '').split('.')
        if len(parts) < 2:
            return []
        for owner, method in ((parts[-2], parts[-1]),
                              (parts[-1], '__init__')):
            found = {number for where in self._classes.get(owner, ())
                     if (number := self._method(where, owner, method, 0))
                     is not None}
            if found:
                return sorted(found)[:_MOST_CLASSES]
        return []

    def call(self, module: codesource.Module, function: codesource.Function,
             name: str) -> int | None:
        """The number of the function that a call means, or None.

        :param module: where the call stands
        :param function: the same
        :param name: what is called, as written
        """
        place = self._place(module, function, name, 0)
        if place is None:
            return None
        where, inside = place
        number = self._functions.get((where.name, inside)) \
            if inside else None
        if number is None and inside in where.classes:
            return self._method(where, inside, '__init__', 0)
        return number

    def _place(self, module: codesource.Module,
               function: codesource.Function, name: str,
               depth: int) -> tuple[codesource.Module, str] | None:
        """Module and name inside of it that a dotted name means."""
        if depth > _DEEPEST:
            return None
        first, _dot, rest = name.partition('.')
        if first in ('self', 'cls') and function.owner:
            return self._member(module, function.owner, rest, depth)
        if first == 'super()' and function.owner and rest:
            return self._above(module, function.owner, rest, depth)
        if first.endswith('()'):
            made = self._made(self._place(module, function, first[:-2],
                                          depth + 1))
            if made and rest:
                return self._member(*made, rest, depth + 1)
            return None
        made_by = function.types.get(first)
        if made_by and rest and made_by != first:
            made = self._made(self._place(module, function, made_by,
                                          depth + 1))
            if made:
                return self._member(*made, rest, depth + 1)
        # A function inside of this one, or beside it.
        scope = function.name
        while scope and not rest:
            if (module.name, f'{scope}.{first}') in self._functions:
                return module, f'{scope}.{first}'
            scope = scope.rpartition('.')[0]
        return self._global(module, name, depth)

    def _global(self, module: codesource.Module, name: str,
                depth: int) -> tuple[codesource.Module, str] | None:
        if depth > _DEEPEST:
            return None
        first, _dot, rest = name.partition('.')
        if (module.name, name) in self._functions or name in module.classes:
            return module, name
        if first in module.classes and rest:
            return self._member(module, first, rest, depth + 1)
        made_by = module.types.get(first)
        if made_by and rest:
            made = self._made(self._global(module, made_by, depth + 1))
            if made:
                return self._member(*made, rest, depth + 1)
        bound = module.names.get(first)
        if bound is None:
            for star in module.stars:
                where = self._modules.get(star)
                if where is not None and where is not module:
                    found = self._global(where, name, depth + 1)
                    if found:
                        return found
            return None
        full = f'{bound}.{rest}' if rest else bound
        parts = full.split('.')
        for cut in range(len(parts), 0, -1):
            where = self._modules.get('.'.join(parts[:cut]))
            if where is None:
                continue
            inside = '.'.join(parts[cut:])
            if not inside:
                return where, ''
            if where is module and inside == name:
                return None
            return self._global(where, inside, depth + 1)
        return None

    def _member(self, module: codesource.Module, owner: str, rest: str,
                depth: int) -> tuple[codesource.Module, str] | None:
        if depth > _DEEPEST or not rest:
            return None
        name, _dot, more = rest.partition('.')
        if not more:
            found = self._find(module, owner, name, depth)
            return found
        for where, inside in self._line(module, owner, depth):
            made_by = where.classes[inside].types.get(name)
            if made_by:
                made = self._made(self._global(where, made_by, depth + 1))
                if made:
                    return self._member(*made, more, depth + 1)
        return None

    def _made(self, place: tuple[codesource.Module, str] | None) -> tuple[
            codesource.Module, str] | None:
        """The class of what a call makes.

        A function that is named like a class below its package chooses one
        at run time: ``nova.compute.API()``.
        """
        if place is None or place[1] in place[0].classes:
            return place
        where, inside = place
        if not inside[:1].isupper():
            return None
        below = [m for m in self._classes.get(inside, ())
                 if m.name.startswith(f'{where.name}.')]
        return (min(below, key=lambda m: (m.name.count('.'), m.name)),
                inside) if below else None

    def _above(self, module: codesource.Module, owner: str, name: str,
               depth: int) -> tuple[codesource.Module, str] | None:
        for where, inside in list(self._line(module, owner, depth))[1:]:
            if (where.name, f'{inside}.{name}') in self._functions:
                return where, f'{inside}.{name}'
        return None

    def _find(self, module: codesource.Module, owner: str, name: str,
              depth: int) -> tuple[codesource.Module, str] | None:
        for where, inside in self._line(module, owner, depth):
            if (where.name, f'{inside}.{name}') in self._functions:
                return where, f'{inside}.{name}'
        return None

    def _method(self, module: codesource.Module, owner: str, name: str,
                depth: int) -> int | None:
        found = self._find(module, owner, name, depth)
        return self._functions.get((found[0].name, found[1])) \
            if found else None

    def _line(self, module: codesource.Module, owner: str,
              depth: int) -> Iterator[tuple[codesource.Module, str]]:
        """A class and those that it inherits from, itself first."""
        todo = [(module, owner)]
        seen: set[tuple[str, str]] = set()
        while todo and len(seen) < _MOST_BASES:
            where, name = todo.pop(0)
            if (where.name, name) in seen or name not in where.classes:
                continue
            seen.add((where.name, name))
            yield where, name
            for base in where.classes[name].bases:
                found = self._global(where, base, depth + 1)
                if found:
                    todo.append(found)


def edges(package: codesource.Package) -> Iterator[
        tuple[int, list[tuple[int, int | str, str, str]]]]:
    """Who calls whom.

    :param package: what was read
    :returns: number of the caller, and line, callee, kept variable and
        arguments of its calls. The callee is a number, or a name that some
        functions of the package have.
    """
    resolver = Resolver(package)
    number = -1
    for module in package.modules:
        for function in module.functions:
            number += 1
            found: dict[tuple[int, int | str, str, str], None] = {}
            for call in function.calls:
                target = call.target
                if target and function.returned.intersection(
                        target.split(',')):
                    target = f'{target},{codesource.RETURN}'
                for what in _meant(resolver, module, function, call.chain):
                    if what != number:
                        found.setdefault(
                            (call.line, what, target, call.given))
            if found:
                yield number, sorted(
                    found, key=lambda c: (c[0], str(c[1]), *c[2:]))


def _meant(resolver: Resolver, module: codesource.Module,
           function: codesource.Function, name: str) -> list[int | str]:
    """What a call may mean: numbers of functions, or a bare name."""
    number = resolver.call(module, function, name)
    if number is not None:
        return [number]
    found: list[int | str] = [*resolver.of_class(name)]
    bare = name.rpartition('.')[2]
    if not found and '.' in name and resolver.named(bare):
        found = [bare]
    return found
