# SPDX-License-Identifier: Apache-2.0
"""Programs of shapes: which ones, their edits, and the three texts of a pair. Seed 100000 + 10000 * N + i is about shape N."""

import collections, copy, random

import shape, shapes_c, shapes_cxx, shapes_more

FIRST, EACH = 100000, 10000
# A seed's program follows from the place in this list: new ones go to its end.
ALL = shapes_c.ALL + shapes_cxx.ALL + shapes_more.ALL
Pair = collections.namedtuple('Pair', 'old new oracle edits refuse lang shape edit_kind')


def names():
    return [s.__name__ for s in ALL]


def seed_of(name, i):
    return FIRST + EACH * names().index(name) + i


def name_of(seed):
    return ALL[(seed - FIRST) // EACH].__name__ if FIRST <= seed < FIRST + EACH * len(ALL) else None


def dual(f, g):
    """Both versions of a function, and the one that everybody calls."""
    out = []
    news = {n: i for _, n, i in g.statics}
    for t, n, i in {v[1]: v for v in g.statics + f.statics}.values():
        if i.startswith('('):  # made when it is come to first, by the version that does
            out += [f'static {t} &{n}_once() {{', f'        static {t} {n}(oracle_new ? {news.get(n, i)} : {i});', f'        return {n};', '}']
        else:
            out.append(f'static {t} {n}{i};')
    result = '' if f.ret.endswith('void') else 'return '
    attr = None if f.of else 'static '
    out += f.text('__old', attr, False) + g.text('__new', attr, False)
    args = f.args()
    both = f'{result}{f.name}__new({args}); else {result}{f.name}__old({args});'
    return out + [f.head('', None if f.of else 'NOINLINE ' + ('static ' if 'static' in f.attr else '')) + ' {', f'        if (oracle_new) {both}', '}', '']


def merge(old, new):
    """Items of both, in an order that suits both."""
    out = list(old)
    have = {i.key() for i in old}
    at = 0
    place = {i.key(): n for n, i in enumerate(out)}
    for i in new:
        if i.key() in have:
            at = next(n for n, o in enumerate(out) if o.key() == i.key()) + 1
        else:
            out.insert(at, i)
            at += 1
    return out


def render(lang, old, new, start, step, state):
    """One version (new is None), or the oracle."""
    oracle = new is not None
    items = merge(old, new) if oracle else old
    a, b = {i.key(): i for i in old}, {i.key(): i for i in (new or old)}
    out = ['#include "runtime.h"', '']
    if lang == 'cxx':
        out += ['#include <cstdio>', '#include <functional>', '#include <map>', '#include <memory>', '#include <string>', '#include <typeinfo>',
                '#include <vector>', '']
    if oracle:
        out += ['int oracle_new;' if lang == 'c' else 'extern "C" { int oracle_new; }', '']
    fns = [i for i in items if isinstance(i, shape.Fn) and (oracle or not i.hidden)]
    for i in items:
        if isinstance(i, shape.Type):
            # Only what safe edits add to may differ, and then the new text is good for both.
            out += [b.get(i.key(), i).text, '']
        elif isinstance(i, shape.Class):
            out += [i.head + ' {'] + i.text.split('\n')
            for f in fns:
                if f.of != i.name:
                    continue
                out.append(f'        {f.head(inside=True)};')
                f1, f2 = a.get(f.key()), b.get(f.key())
                if oracle and f1 and f2 and not f1.same(f2):
                    out += [f"        {f.head('__old', '', inside=True)};", f"        {f.head('__new', '', inside=True)};"]
            out += ['};', '']
    out += [f.head(attr='' if f.before else None) + ';' for f in fns if not f.of]
    out.append('')
    switch = []
    for i in items:
        if isinstance(i, shape.Var):
            out.append(i.text)
        elif isinstance(i, shape.Table):
            t, u = a.get(i.key(), i), b.get(i.key(), i)
            if not oracle or t.values == u.values:
                out += [i.array(i.name, i.const), f'#define {i.name}_n {len(i.values)}u']
                continue
            kind = copy.copy(i)
            kind.type = i.type.replace('*const', '*')
            for x, v in ((t, '__old'), (u, '__new')):
                x = copy.copy(x)
                x.type = kind.type
                out.append(x.array(i.name + v, 'static const '))
            kind.values = t.values
            const = 'const ' if 'char' in i.type else ''
            out += [kind.array(i.name, 'static ' + const, max(len(t.values), len(u.values))),
                    f'#define {i.name}_n (oracle_new ? {len(u.values)}u : {len(t.values)}u)']
            switch.append(f'        if (v) memcpy((void *){i.name}, {i.name}__new, sizeof({i.name}__new)); else memcpy((void *){i.name}, {i.name}__old, sizeof({i.name}__old));')
    out.append('')
    for f in fns:
        f1, f2 = a.get(f.key()), b.get(f.key())
        if oracle and f1 and f2 and not f1.same(f2):
            out += dual(f1, f2)
        else:
            out += (f2 or f1).text()
    c = 'extern "C" ' if lang == 'cxx' else ''
    if oracle:
        out += [c + 'void oracle_switch(int v) {'] + switch + ['}', '']
    out += [f'NOINLINE {"extern " + chr(34) + "C" + chr(34) if c else ""} void program_start(u64 zero) {{'] + [f'        {l}' for l in start] + ['}', '']
    out += ['NOINLINE static u64 state(void) {', '        u64 h = 1;'] + [f'        {l}' for l in state] + ['        return h;', '}', '']
    out += [f'NOINLINE {c}u64 program_step(u64 k) {{', '        u64 h = k;'] + [f'        {l}' for l in step] + ['        return hash_add(h, state());', '}']
    text = '\n'.join(out) + '\n'
    return text if oracle else text.replace('__v2', '')


def items_of(common, parts):
    out = []
    for s in parts:
        out += s.items()
    out += common.items()
    seen, rest = set(), []
    for i in out:
        if i.key() not in seen:
            seen.add(i.key())
            rest.append(i)
    return rest


def pair(seed):
    n = (seed - FIRST) // EACH
    r = random.Random(seed)
    main = ALL[n]
    others = [s for s in ALL[:n + 1] if s.lang == main.lang]
    common = shape.Common(r)
    parts = [s(r, common, f'{"abcd"[i]}') for i, s in enumerate([main] + r.sample(others, min(len(others), r.choice([0, 1, 1, 2]))))]
    first = parts[0]
    old = items_of(common, parts)
    start, state, step = common.start(), common.state(), []
    for s in parts:
        start += [s.fill(l) for l in s.start()]
        state += [s.fill(l) for l in s.state()]
        step.append(s.fill('fuel = 400;'))
        step.append(s.fill('h = hash_add(h, @step(k + h % 64));'))
    edits, refuse, kind = [], None, None
    if r.random() < 0.45:
        names = [k for k in dir(first) if k.startswith(('never_', 'meaning_'))]
        r.shuffle(names)
        for k in names:
            if getattr(first, k)():
                kind, _, refuse = k.partition('_')
                break
    own = [k for k in dir(first) if k.startswith('safe_')]
    wanted = r.randint(0 if refuse else 1, 4)
    for _ in range(40):
        if len(edits) >= wanted:
            break
        if own and r.random() < 0.4:
            k = r.choice(own)
            if getattr(first, k)():
                edits.append(k[5:])
        else:
            k = common.edit(r, r.choice(parts))
            if k:
                edits.append(k)
    new = items_of(common, parts)
    a, b = render(main.lang, old, None, start, step, state), render(main.lang, new, None, start, step, state)
    oracle = None if refuse else render(main.lang, old, new, start, step, state)
    return Pair(a, b, oracle, edits, refuse, main.lang, main.__name__, kind)
