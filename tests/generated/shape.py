# SPDX-License-Identifier: Apache-2.0
"""What shapes are made of. A shape is a part of a program with a subject of its own (a hash table, classes with
virtual functions): parameters, the text that they give, and edits of the parameters. A program is one shape, some
others beside it, and what they share. Its text is a list of items, so that the oracle can have both versions
of each function and table."""

import re

WORDS = ['open', 'close', 'timeout', 'retry', 'bad request', 'not found', 'limit', 'queue', 'denied', 'a longer message with detail']
WIDTH = {'u64': 8, 'u32': 4, 'u16': 2, 'u8': 1, 'double': 8, 'float': 4}


class Fn:
    def __init__(self, name, ret, params, body, attr='NOINLINE static ', statics=(), before='', of=None, virtual=False, const=False,
                 hidden=False):
        self.name, self.ret, self.params, self.body, self.attr = name, ret, params, body, attr
        self.statics, self.before, self.of, self.virtual, self.const, self.hidden = list(statics), before, of, virtual, const, hidden

    def args(self):
        return ', '.join(re.search(r'(\w+)(\[\])?$', p.strip()).group(1) for p in self.params.split(',') if p.strip() not in ('', 'void'))

    def head(self, suffix='', attr=None, inside=False):
        a = self.attr if attr is None else attr
        if self.of and not inside:
            return f'{self.ret} {self.of}::{self.name}{suffix}({self.params}){" const" if self.const else ""}'
        if self.of:
            a = 'virtual ' if self.virtual and not suffix else a.replace('static ', '')
        return f'{self.before}{a}{self.ret} {self.name}{suffix}({self.params}){" const" if self.const else ""}'

    def text(self, suffix='', attr=None, statics=True):
        own = [f'        static {t} {n}{i};' for t, n, i in self.statics] if statics else [
            f'        {t} &{n} = {n}_once();' for t, n, i in self.statics if i.startswith('(')]
        return [self.head(suffix, attr) + ' {'] + own + self.body + ['}', '']

    def key(self):
        return (self.of, self.name)

    def same(self, other):
        return (self.ret, self.params, self.body, self.statics) == (other.ret, other.params, other.body, other.statics)


class Var:
    def __init__(self, name, text):
        self.name, self.text = name, text

    def key(self):
        return type(self).__name__, self.name


class Table:
    """Constants. The oracle has one that is filled anew when it goes to the other version: addresses in it stay."""

    def __init__(self, name, type_, values, const='static const '):
        self.name, self.type, self.values, self.const = name, type_, values, const

    def key(self):
        return type(self).__name__, self.name

    def array(self, name, const, n=''):
        return f"{const}{self.type} {name}[{n}] = {{ {', '.join(self.values)} }};"


class Type:
    """A type, or anything else that a safe edit leaves alone or only adds."""

    def __init__(self, name, text):
        self.name, self.text = name, text

    def key(self):
        return type(self).__name__, self.name


class Class:
    """A C++ class whose functions are items."""

    def __init__(self, name, head, text):
        self.name, self.head, self.text = name, head, text

    def key(self):
        return type(self).__name__, self.name


class Noise:
    """Statements on x and y, which make functions differ from one another and are what ordinary edits change."""

    KINDS = ['mix', 'mix', 'test', 'test', 'loop', 'text', 'note', 'table', 'texts', 'var', 'var', 'help', 'shift', 'switch']

    def __init__(self, r, common):
        self.r, self.common = r, common

    def one(self, deep=True):
        r, c = self.r, self.common
        k = r.choice(self.KINDS)
        if k == 'help' and not deep:
            k = 'mix'
        return {'mix': lambda: ['mix', r.choice([3, 31, 131, 65599]), r.randint(1, 40)],
                'test': lambda: ['test', r.choice([3, 7, 10, 13]), r.randint(0, 2), r.randint(1, 300)],
                'loop': lambda: ['loop', r.randint(2, 9), r.randint(1, 30)], 'text': lambda: ['text', r.choice(WORDS) + ' ' + r.choice(WORDS)],
                'note': lambda: ['note', r.choice(WORDS)], 'table': lambda: ['table', r.choice(c.tables)[0]],
                'texts': lambda: ['texts', c.texts[0]], 'var': lambda: ['var', r.choice(c.vars), r.randint(1, 9)],
                'help': lambda: ['help', r.choice(c.helpers)['name']], 'shift': lambda: ['shift', r.randint(1, 31)],
                'switch': lambda: ['switch', [r.randint(1, 999) for _ in range(r.randint(3, 8))]]}[k]()

    def lines(self, n, tail='return x ^ y;'):
        k = n[0]
        if k == 'mix':
            return [f'x = x * {n[1]}u + (y >> {n[2]});']
        if k == 'test':
            return [f'if (x % {n[1]} == {n[2]})', f'        y += {n[3]};']
        if k == 'loop':
            return [f'for (u64 i = 0; i < {n[1]}; i++)', f'        x ^= (y + i) * {n[2]};']
        if k == 'text':
            return [f'y ^= hash_str("{n[1]}");']
        if k == 'note':
            return [f'note("{n[1]} %llu", (unsigned long long)(x ^ y));']
        if k == 'table':
            return [f'x += {n[1]}[y % {n[1]}_n];']
        if k == 'texts':
            return [f'y += hash_str({n[1]}[x % {n[1]}_n]);']
        if k == 'var':
            return [f'x ^= {n[1]};', f'{n[1]} += (y & 7) + {n[2]};']
        if k == 'help':
            h = next((h for h in self.common.helpers if h['name'] == n[1]), self.common.helpers[0])
            return [f"x += {h['name']}{'__v2' if h['more'] else ''}(x, y{', 5' if h['more'] else ''});"]
        if k == 'shift':
            return [f'y = y << {n[1]} ^ x;']
        if k == 'switch':
            out = [f'switch (x % {len(n[1]) + 1}) {{']
            for i, v in enumerate(n[1]):
                out += [f'case {i}:', f'        y = y * {v}u ^ {i};', '        break;']
            return out + ['default:', '        x++;', '}']
        if k == 'exit':  # an error path
            return [f'if (y % 100 > {n[1]})', '        ' + tail]
        if k == 'static':
            return [f'{n[1]} += y & 3;', f'x ^= {n[1]};']
        if k == 'new':
            return [f'y += {n[1]}(y, x);']
        raise ValueError(k)


class Common:
    """Tables, texts, variables and helpers that all shapes of a program use."""

    def __init__(self, r):
        self.r = r
        self.tables = [[f'tab{i}', r.choice(['u64', 'u32', 'u16', 'u8']), [r.randint(0, 250) for _ in range(r.randint(3, 12))]] for i in range(2)]
        self.texts = ['words', [r.choice(WORDS) + str(r.randint(0, 9)) for _ in range(r.randint(3, 8))]]
        self.vars = [f'level{i}' for i in range(r.randint(2, 4))]
        self.init = {v: r.choice([0, 0, r.randint(1, 90)]) for v in self.vars}
        self.helpers, self.new_vars, self.added = [], [], []
        noise = Noise(r, self)
        for i in range(r.randint(2, 4)):
            self.helpers.append({'name': f'help{i}', 'more': False, 'noise': [noise.one(False) for _ in range(r.randint(1, 3))],
                                 'attr': r.choice(['NOINLINE static ', 'NOINLINE static ', 'static ', '__attribute__((noinline)) static '])})

    def items(self):
        noise = Noise(self.r, self)
        out = [Var(v, f'static u64 {v} = {self.init[v]};') for v in self.vars] + [Var(v, f'static u64 {v} = {i};') for v, i in self.new_vars]
        out += [Table(n, t, [f'{v}u' for v in values]) for n, t, values in self.tables]
        out += [Table(self.texts[0], 'char *const', [f'"{v}"' for v in self.texts[1]])]
        for h in self.added + self.helpers:
            body = ['        u64 x = a, y = b;'] + [f'        {l}' for n in h['noise'] for l in noise.lines(n)] + ['        return x * 7 + y;']
            more = h['more']
            if more:
                body[-1] = '        return x * 7 + y * c;'
            out.append(Fn(h['name'] + ('__v2' if more else ''), 'u64', 'u64 a, u64 b' + (', u64 c' if more else ''), body, attr=h['attr']))
        return out

    def start(self):
        return [f'if (zero) {v} = zero;' for v in self.vars]

    def state(self):
        return [f'h = hash_add(h, {v});' for v in self.vars]

    # -- edits of anything that has noise: (list of statements, may leave early) --------------------
    def edit(self, r, shape):
        noise = Noise(r, self)
        lists = list(shape.noise.items())
        name, where = r.choice(lists) if lists and r.random() < 0.75 else (None, r.choice(self.helpers)['noise'])
        kind = r.choice(['change', 'change', 'insert', 'insert', 'delete', 'swap', 'exit', 'exit', 'function', 'static', 'global', 'table', 'grow',
                         'texts', 'more', 'attr', 'order'])
        if kind == 'change' and where:
            n = r.choice(where)
            i = next((i for i, v in enumerate(n) if i and isinstance(v, int)), None)
            if i is None:
                n[:] = noise.one(name is not None)
            else:
                n[i] += r.choice([1, 2, 5])
        elif kind == 'insert':
            where.insert(r.randint(0, len(where)), noise.one(name is not None))
        elif kind == 'delete' and len(where) > 1:
            del where[r.randrange(len(where))]
        elif kind == 'swap' and len(where) > 1:
            i = r.randrange(len(where) - 1)
            where[i], where[i + 1] = where[i + 1], where[i]
        elif kind == 'exit':
            where.insert(0, ['exit', r.randint(60, 96)])
        elif kind == 'function':
            f = {'name': f'added{len(self.added)}', 'more': False, 'noise': [noise.one(False) for _ in range(2)], 'attr': r.choice(['NOINLINE static ', 'static '])}
            self.added.append(f)
            where.append(['new', f['name']])
        elif kind == 'static' and name is not None:
            v = f'{shape.unit}_kept{sum(map(len, shape.statics.values()))}'
            shape.statics.setdefault(name, []).append(('u64', v, r.choice(['', ' = 5'])))
            where.append(['static', v])
        elif kind == 'global':
            v = f'extra{len(self.new_vars)}'
            self.new_vars.append((v, r.choice([0, 9])))
            where.append(['var', v, 2])
        elif kind == 'table':
            t = r.choice(self.tables)[2]
            t[r.randrange(len(t))] += 3
        elif kind == 'grow':
            r.choice(self.tables)[2].append(r.randint(0, 250))
        elif kind == 'texts':
            t = self.texts[1]
            t[r.randrange(len(t))] = r.choice(WORDS) + ' renewed'
        elif kind == 'more':
            h = r.choice(self.helpers)
            if h['more']:
                return None
            h['more'] = True
        elif kind == 'attr':
            r.choice(self.helpers)['attr'] = r.choice(['static ', 'static inline __attribute__((always_inline)) ', 'NOINLINE static '])
        elif kind == 'order':
            r.shuffle(self.vars)
        else:
            return None
        return kind


class Shape:
    lang = 'c'

    def __init__(self, r, common, unit):
        self.r, self.common, self.unit = r, common, unit
        self.noise, self.statics = {}, {}
        self.setup()

    def setup(self):
        pass

    def fill(self, text):
        """'@' is the unit's name; '$name' a member."""
        text = re.sub(r'\$([a-z]\w*)', lambda m: str(getattr(self, m.group(1))), text)
        return text.replace('@', self.unit + '_')

    def fn(self, name, ret, params, text, **more):
        """'~' stands for noise; a function that returns no number says what to do instead by 'tail'."""
        tail = more.pop('tail', 'return x ^ y;')
        lines = []
        name = self.fill(name)
        made = Noise(self.r, self.common)
        for line in text.strip('\n').split('\n'):
            if line.strip() == '~':
                if name not in self.noise:
                    self.noise[name] = [made.one() for _ in range(self.r.randint(1, 3))]
                lines += [f'        {l}' for n in self.noise[name] for l in made.lines(n, self.fill(tail))]
            else:
                lines.append('        ' + self.fill(line))
        statics = [(t, n, i) for t, n, i in self.statics.get(name, [])] + [tuple(map(self.fill, s)) for s in more.pop('statics', ())]
        for k in ('of', 'before', 'attr'):
            if more.get(k):
                more[k] = self.fill(more[k])
        return Fn(name, self.fill(ret), self.fill(params), lines, statics=statics, **more)

    def var(self, name, text):
        return Var(self.fill(name), self.fill(text))

    def type(self, name, text):
        return Type(self.fill(name), self.fill(text))

    def table(self, name, type_, values, **more):
        return Table(self.fill(name), self.fill(type_), list(map(self.fill, values)), **more)


class Fields:
    """The members of a structure, and who uses them."""

    def __init__(self, r, n=None, stem='m'):
        self.r, self.n, self.stem = r, 0, stem
        self.list = [self.new() for _ in range(n or r.randint(3, 7))]
        self.uses = {}
        self.seen = {f[1] for f in self.list if r.random() < 0.6}

    def new(self, type_=None):
        self.n += 1
        return [type_ or self.r.choice(['u64', 'u64', 'u32', 'u32', 'u16', 'u8', 'double']), f'{self.stem}{self.n}', self.r.choice([1, 1, 1, 1, 4]) if not type_ else 1]

    def text(self, pad='        '):
        return '\n'.join(f"{pad}{t} {n}{f'[{c}]' if c > 1 else ''};" for t, n, c in self.list)

    def named(self, name):
        return next(f for f in self.list if f[1] == name)

    def layout(self):
        at, out = 0, {}
        for t, n, c in self.list:
            w = WIDTH[t]
            at = (at + w - 1) // w * w
            out[n] = (at, t, c)
            at += w * c
        return out

    def touch(self, f):
        r = self.r
        return [f[1], r.choice(['read', 'store', 'add', 'test', 'bit']), r.randint(0, 3), r.randint(1, 99)]

    def lines(self, name, o='o->', n=None):
        """What the function does with the members."""
        if name not in self.uses:
            self.uses[name] = [self.touch(f) for f in self.r.sample(self.list, min(len(self.list), n or self.r.randint(1, 4)))]
        out = []
        for m, k, i, c in self.uses[name]:
            f = self.named(m)
            real = f[0] in ('double', 'float')
            at = f'{o}{m}' + (f'[{i % f[2]}]' if f[2] > 1 else '')
            value = f'hash_double({at})' if real else f'(u64){at}'
            if k == 'store':
                out.append(f'{at} = {"(double)(u32)" if real else ""}(x + {c});')
            elif k == 'add':
                out.append(f'{at} = bounded({at} + {c}.5);' if real else f'{at} += y + {c};')
            elif k == 'test':
                out.append(f'if ({value} % 7 > {c % 7}) y += {c};')
            elif k == 'bit' and not real:
                out.append(f'if ({at} & {1 << c % 8}) x ^= {c};')
            else:
                out.append(f'x = x * 5 + {value};')
        return '\n'.join(out)

    def state(self, o):
        return ' '.join(f'h = hash_add(h, {f"hash_double({o}{n}{at})" if t in ("double", "float") else f"(u64){o}{n}{at}"});'
                        for t, n, c in self.list if n in self.seen for at in ['[1]' if c > 1 else ''])

    def use(self, f):
        """In two functions at least, if there are."""
        for k in self.r.sample(sorted(self.uses), min(2, len(self.uses))):
            self.uses[k] += [[f[1], 'add', 0, 3], [f[1], 'read', 0, 3]]

    # -- edits ------------------------------------------------------------------------------------
    def edit_touch(self):
        if not self.uses:
            return False
        k = self.r.choice(sorted(self.uses))
        self.uses[k].append(self.touch(self.r.choice(self.list)))
        return True

    def edit_middle(self):
        before = self.layout()
        f = self.new()
        at = self.r.randrange(len(self.list))
        self.list.insert(at, f)
        after = self.layout()
        if all(after[n] == v for n, v in before.items()):
            del self.list[at]
            return False  # into padding: nothing moved
        self.use(f)
        return True

    def edit_end(self):
        f = self.new()
        self.list.append(f)
        self.use(f)
        return True

    def edit_padding(self):
        gaps, at = [], 0
        for i, (t, n, c) in enumerate(self.list):
            w = WIDTH[t]
            if at % w:
                gaps.append((i, at))
            at = (at + w - 1) // w * w + w * c
        if not gaps:
            return False
        i, at = self.r.choice(gaps)
        f = self.new('u8' if at % 2 else self.r.choice(['u8', 'u16']))
        self.list.insert(i, f)
        self.use(f)
        return True

    def edit_swap(self):
        pairs = [(i, j) for i in range(len(self.list)) for j in range(i) if self.list[i][0] == self.list[j][0] and self.list[i][2] == self.list[j][2]
                 and all(any(u[0] == self.list[k][1] for us in self.uses.values() for u in us) for k in (i, j))]
        if not pairs:
            return False
        i, j = self.r.choice(pairs)
        self.list[i], self.list[j] = self.list[j], self.list[i]
        return True

    def edit_widen(self):
        wider = {'u8': 'u32', 'u16': 'u64', 'u32': 'u64'}
        used = {u[0] for us in self.uses.values() for u in us}
        f = [f for f in self.list if f[0] in wider and f[1] in used]
        if not f:
            return False
        f = self.r.choice(f)
        f[0] = wider[f[0]]
        return True

    def edit_remove(self):
        before = self.layout()
        f = self.r.choice(self.list)
        if len(self.list) < 3 or f[1] in self.seen:
            return False
        all_, self.list = self.list, [g for g in self.list if g is not f]
        if all(before[n] == v for n, v in self.layout().items()):
            self.list = all_
            return False
        self.uses = {k: [u for u in us if u[0] != f[1]] for k, us in self.uses.items()}
        return True

    def edit_array(self):
        f = [f for f in self.list[:-1] if f[2] > 1]
        if not f:
            return False
        f = self.r.choice(f)
        f[2] += max(f[2], 8)  # more than padding: what comes behind moves
        return True


class Record(Shape):
    """A shape whose objects have such members."""

    def setup(self):
        self.fields = Fields(self.r)

    def touch(self, name, o='o->', n=None):
        return self.fields.lines(name, o, n)

    def safe_touch(self):
        return self.fields.edit_touch()

    def never_middle(self):
        return self.fields.edit_middle()

    def never_end(self):
        return self.fields.edit_end()

    def never_padding(self):
        return self.fields.edit_padding()

    def never_swap(self):
        return self.fields.edit_swap()

    def never_widen(self):
        return self.fields.edit_widen()

    def never_remove(self):
        return self.fields.edit_remove()

    def never_array(self):
        return self.fields.edit_array()
