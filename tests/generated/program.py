# SPDX-License-Identifier: Apache-2.0
"""Random C programs, edits to them, and the three texts of a pair: old, new, and the oracle, which holds
both versions of whatever changed and goes from old to new at a step that it is told."""

import copy, random

# Seeds from here on have these shapes, too; the programs of earlier ones stay what they were.
RECORDS = 30000

OPS = ['+', '-', '*', '^', '&', '|']
WORDS = ['open', 'close', 'timeout', 'retry', 'bad request', 'not found', 'found', 'limit', 'queue', 'ok', 'denied',
         'short', 'a much longer message with some detail in it', 'state', 'peer', 'tls', 'header', 'body']


class Program:
    """Expressions and statements are lists, [kind, ...], so that an edit can change them where they are."""

    def __init__(self):
        self.structs, self.globals, self.tls, self.tables, self.texts = [], [], [], [], []
        self.functions, self.order, self.ctor, self.slots = [], None, False, []
        self.records = []

    def function(self, name):
        return next(f for f in self.functions if f['name'] == name)


class Maker:
    def __init__(self, rng, records):
        self.r, self.p, self.n = rng, Program(), 0
        self.more = ['record', 'record', 'element', 'element', 'walk'] if records else []

    def name(self, stem):
        self.n += 1
        return f'{stem}{self.n}'

    # -- what a program is made of --------------------------------------------------------------
    def make(self):
        r, p = self.r, self.p
        for _ in range(r.randint(1, 3)):
            p.structs.append({'name': self.name('S'), 'members': [
                {'name': self.name('m'), 'type': r.choice(['u64', 'u64', 'u32', 'u16', 'u8', 'double']), 'n': r.choice([1, 1, 1, 4])}
                for _ in range(r.randint(2, 6))], 'n': r.choice([4, 8, 16])})
        for _ in range(r.randint(4, 12)):
            p.globals.append(self.variable())
        for _ in range(r.randint(0, 3)):
            p.tls.append({'name': self.name('t'), 'type': 'u64', 'init': r.choice([0, 0, r.randint(1, 99)])})
        for _ in range(r.randint(1, 3)):
            p.tables.append({'name': self.name('k'), 'type': r.choice(['u64', 'u32', 'u16', 'u8', 'double']),
                             'values': [r.randint(0, 250) for _ in range(r.randint(3, 12))]})
        for _ in range(r.randint(0, 2)):
            p.texts.append({'name': self.name('w'), 'values': [r.choice(WORDS) + str(r.randint(0, 9))
                                                              for _ in range(r.randint(3, 8))]})
        if self.more:
            for _ in range(r.randint(1, 3)):
                p.records.append({'name': self.name('r'), 'values': [[r.choice(WORDS) + str(r.randint(0, 9)), r.randint(0, 250)]
                                                                    for _ in range(r.randint(3, 9))]})
        for i in range(r.randint(8, 24)):
            p.functions.append(self.new_function())
        p.slots = [{'name': self.name('fp'), 'fn': r.choice(self.plain())} for _ in range(r.randint(1, 3))]
        for f in p.functions:  # now that every name exists
            f['body'] = self.block(f, r.randint(2, 6), 2)
        p.order = [f['name'] for f in p.functions]
        return p

    def variable(self):
        r = self.r
        return {'name': self.name('g'), 'type': r.choice(['u64', 'u64', 'u32', 'u16', 'u8', 'double']),
                'n': r.choice([1, 1, 1, 1, 8, 16, 64]), 'init': r.choice([0, 0, r.randint(1, 200)]),
                'touched': r.random() < 0.8, 'static': r.random() < 0.8}

    def new_function(self):
        r = self.r
        return {'name': self.name('f'), 'kind': r.choice(['plain'] * 6 + ['real', 'varargs', 'object']),
                'attribute': r.choice(['NOINLINE '] * 6 + ['', '', '__attribute__((cold)) ', '__attribute__((noinline)) ']),
                'static': r.random() < 0.7, 'struct': r.choice(self.p.structs)['name'], 'locals': [], 'body': [],
                'rank': self.n}

    def plain(self):
        return [f['name'] for f in self.p.functions if f['kind'] == 'plain'] or [self.force_plain()]

    def force_plain(self):
        self.p.functions[0]['kind'] = 'plain'
        return self.p.functions[0]['name']

    # -- expressions ----------------------------------------------------------------------------
    def expr(self, f, depth=2):
        r, p = self.r, self.p
        if depth <= 0:
            return r.choice([['c', r.randint(0, 300)], ['v', 'a'], ['v', 'b'], ['v', 'x'], ['v', 'y']])
        kind = r.choice(['bin', 'bin', 'bin', 'leaf', 'g', 'g', 'shift', 'table', 'field', 'call', 'tls', 'string', 'text',
                         'compare', 'choose', 'mod', 'big', 'real', 'slot', 'isfn', 'local', 'jump'] + self.more)
        e = lambda: self.expr(f, depth - 1)
        if kind == 'bin':
            return ['bin', r.choice(OPS), e(), e()]
        if kind == 'shift':
            return ['shift', r.choice(['<<', '>>']), e(), r.randint(1, 31)]
        if kind == 'g':
            return ['g', r.choice(p.globals)['name'], e()]
        if kind == 'table':
            return ['table', r.choice(p.tables)['name'], e()]
        if kind == 'field':
            s = r.choice(p.structs)
            return ['field', s['name'], e(), r.choice(s['members'])['name'], r.randint(0, 3)]
        if kind == 'call':
            below = [g for g in p.functions if g['rank'] < f['rank']]
            if below:
                return self.call(r.choice(below), e, f)
        if kind == 'tls' and p.tls:
            return ['tls', r.choice(p.tls)['name']]
        if kind == 'string':
            return ['string', r.choice(WORDS) + ' ' + r.choice(WORDS)]
        if kind == 'text' and p.texts:
            return ['text', r.choice(p.texts)['name'], e()]
        if kind == 'compare':
            return ['compare', r.choice(['<', '>', '==', '!=']), e(), e()]
        if kind == 'choose':
            return ['choose', e(), e(), e()]
        if kind == 'mod':
            return ['mod', e(), r.choice([3, 7, 10, 13, 64, 100])]
        if kind == 'big':
            return ['c', r.getrandbits(r.choice([16, 31, 40, 64]))]
        if kind == 'real':
            return ['real', r.choice(['*', '+', '-']), e(), r.choice([0.5, 1.25, 2.75, 3.5, 0.125, 7.75])]
        if kind == 'slot' and p.slots:
            return ['slot', r.choice(p.slots)['name'], e(), e()]
        if kind == 'isfn' and p.slots:
            return ['isfn', r.choice(p.slots)['name'], r.choice(self.plain())]
        if kind == 'record':
            return ['record', r.choice(p.records)['name'], e(), r.choice(['name', 'value'])]
        if kind == 'element':
            t = r.choice(p.records + p.texts + p.tables)
            return ['element', t['name'], e(), *r.sample(range(len(t['values'])), 2),
                    'record' if t in p.records else 'text' if t in p.texts else 'number']
        if kind == 'walk':
            return ['walk', r.choice(p.records)['name'], e()]
        if kind == 'local' and f['locals']:
            return ['local', r.choice(f['locals'])['name']]
        return self.expr(f, 0)

    def call(self, g, e, f):
        if g['kind'] == 'varargs':
            return ['vcall', g['name'], [e() for _ in range(self.r.randint(0, 4))]]
        if g['kind'] == 'object':
            return ['ocall', g['name'], e(), e()]
        if g['kind'] == 'real':
            return ['rcall', g['name'], e(), e()]
        if self.r.random() < 0.08:
            return ['worker', g['name'], e(), e()]
        return ['call', g['name'], e(), e()]

    # -- statements -----------------------------------------------------------------------------
    def block(self, f, n, depth):
        return [self.statement(f, depth) for _ in range(n)]

    def statement(self, f, depth):
        r, p = self.r, self.p
        kind = r.choice(['set', 'set', 'set', 'gset', 'gset', 'gset', 'fset', 'fset', 'if', 'if', 'loop', 'switch', 'note',
                         'tset', 'return', 'local', 'slotset', 'recurse', 'array', 'objset'])
        if depth <= 0 and kind in ('if', 'loop', 'switch'):
            kind = 'gset'
        e = lambda d=2: self.expr(f, d)
        if kind == 'gset':
            return ['gset', r.choice(p.globals)['name'], e(1), r.choice(['=', '+=', '^=']), e()]
        if kind == 'fset':
            s = r.choice(p.structs)
            return ['fset', s['name'], e(1), r.choice(s['members'])['name'], r.randint(0, 3), r.choice(['=', '+=']), e()]
        if kind == 'if':
            return ['if', e(), self.block(f, r.randint(1, 3), depth - 1), self.block(f, r.randint(0, 2), depth - 1)]
        if kind == 'loop':
            return ['loop', r.randint(2, 6), self.block(f, r.randint(1, 2), depth - 1)]
        if kind == 'switch':
            first, n = r.randint(0, 20), r.randint(3, 11)
            return ['switch', e(1), first, [self.block(f, 1, 0) for _ in range(n)]]
        if kind == 'note':
            return ['note', r.choice(WORDS), e(1), r.choice(WORDS)]
        if kind == 'tset' and p.tls:
            return ['tset', r.choice(p.tls)['name'], e()]
        if kind == 'return':
            return ['return', ['compare', '>', e(1), ['c', r.getrandbits(r.choice([5, 20, 60]))]], e(1)]
        if kind == 'local':
            if len(f['locals']) < 2:
                f['locals'].append({'name': self.name('l'), 'init': r.choice([0, r.randint(1, 50)])})
            return ['lset', r.choice(f['locals'])['name'], e()]
        if kind == 'slotset' and p.slots:
            return ['slotset', r.choice(p.slots)['name'], e(1), r.choice(self.plain()), r.choice(self.plain())]
        if kind == 'recurse' and f['kind'] == 'plain':
            return ['recurse', e(1)]
        if kind == 'array':
            return ['array', r.choice([8, 16, 33]), e(1), e(1)]
        return ['set', r.choice('xy'), e()]


# -- edits --------------------------------------------------------------------------------------------
def nodes(x):
    if isinstance(x, list):
        if x and isinstance(x[0], str):
            yield x
        for y in x:
            yield from nodes(y)


def blocks(body):
    """Every list of statements, so that one can be put in or taken out."""
    yield body
    for x in body:
        inner = {'if': x[2:4], 'loop': x[2:3], 'switch': x[3] if x[0] == 'switch' else []}.get(x[0], [])
        for b in inner:
            yield from blocks(b)


class Editor:
    """Turns old into new. `refuse` names an edit that no process can take over while it runs."""

    def __init__(self, rng, maker):
        self.r, self.m, self.p = rng, maker, maker.p
        self.done = []

    def edit(self):
        self.targets = self.r.sample(self.p.functions, min(len(self.p.functions), self.r.randint(1, 4)))
        kinds = [k for k in dir(self) if k.startswith(('safe_', 'more_') if self.m.more else 'safe_')]
        wanted = self.r.randint(1, 5)
        for _ in range(60):
            if len(self.done) >= wanted:
                break
            k = self.r.choice(kinds)
            if getattr(self, k)(self.r.choice(self.targets)):
                self.done.append(k[5:])
        refuse = None
        if self.r.random() < 0.25:
            kinds = [k for k in dir(self) if k.startswith('never_')]
            for _ in range(20):
                k = self.r.choice(kinds)
                if getattr(self, k)(self.r.choice(self.targets)):
                    refuse = k[6:]
                    break
        return refuse

    def some(self, f, kind):
        found = [n for n in nodes(f['body']) if n[0] == kind]
        return self.r.choice(found) if found else None

    def put(self, f, statement):
        b = self.r.choice([b for b in blocks(f['body'])] or [f['body']])
        b.insert(self.r.randint(0, len(b)), statement)
        return True

    def safe_constant(self, f):
        n = self.some(f, 'c')
        if n:
            n[1] = n[1] + self.r.choice([1, 2, 16, 1000])
        return bool(n)

    def safe_operator(self, f):
        n = self.some(f, 'bin')
        if n:
            n[1] = self.r.choice([o for o in OPS if o != n[1]])
        return bool(n)

    def safe_other_variable(self, f):
        n = self.some(f, self.r.choice(['g', 'gset']))
        if not n:
            return False
        n[1] = self.r.choice([g['name'] for g in self.p.globals if g['name'] != n[1]])
        return True

    def safe_other_member(self, f):
        n = self.some(f, self.r.choice(['field', 'fset']))
        if not n:
            return False
        s = next(s for s in self.p.structs if s['name'] == n[1])
        n[3] = self.r.choice(s['members'])['name']
        return True

    def safe_string(self, f):
        n = self.some(f, 'string') or self.some(f, 'note')
        if not n:
            return False
        n[1] = self.r.choice(WORDS) + ' changed'
        return True

    def safe_insert(self, f):
        return self.put(f, self.m.statement(f, 1))

    def safe_insert_check(self, f):
        f['body'].insert(0, ['return', ['compare', '>', ['mod', ['v', 'a'], 100], ['c', self.r.randint(40, 95)]], ['v', 'b']])
        return True

    def safe_delete(self, f):
        b = [b for b in blocks(f['body']) if len(b) > 1]
        if not b:
            return False
        b = self.r.choice(b)
        del b[self.r.randrange(len(b))]
        return True

    def safe_swap_statements(self, f):
        b = [b for b in blocks(f['body']) if len(b) > 1]
        if not b:
            return False
        b = self.r.choice(b)
        i = self.r.randrange(len(b) - 1)
        b[i], b[i + 1] = b[i + 1], b[i]
        return True

    def safe_other_call(self, f):
        n = self.some(f, 'call')
        below = [g['name'] for g in self.p.functions if g['kind'] == 'plain' and g['rank'] < f['rank'] and (not n or g['name'] != n[1])]
        if not n or not below:
            return False
        n[1] = self.r.choice(below)
        return True

    def safe_new_function(self, f):
        if f['kind'] == 'object':
            return False
        g = self.m.new_function()
        g['kind'], g['rank'] = 'plain', f['rank'] - 0.5
        g['body'] = self.m.block(g, self.r.randint(1, 4), 1)
        self.p.functions.append(g)
        self.p.order.insert(self.r.randint(0, len(self.p.order)), g['name'])
        return self.put(f, ['set', 'x', ['bin', '^', ['v', 'x'], ['call', g['name'], ['v', 'a'], ['v', 'y']]]])

    def safe_remove_function(self, f):
        g = self.r.choice([g for g in self.p.functions])
        if g['kind'] != 'plain' or any(g['name'] == s['fn'] for s in self.p.slots):
            return False
        users = [n for h in self.p.functions for n in nodes(h['body']) if g['name'] in n[1:]]
        if len(users) > 6 or len(self.p.functions) < 6 or g in self.targets:
            return False
        self.p.functions.remove(g)
        self.p.order.remove(g['name'])
        for n in users:
            if n[0] in ('call', 'worker'):
                n[:] = ['bin', '+', n[2], n[3]]
            elif n[0] == 'isfn':
                n[:] = ['c', 22]
            else:
                n[3:5] = [self.r.choice(self.m.plain()), self.r.choice(self.m.plain())]
        return True

    def safe_new_variable(self, f):
        g = dict(self.m.variable(), static=True, touched=False)
        self.p.globals.insert(self.r.randint(0, len(self.p.globals)), g)
        self.put(f, ['gset', g['name'], ['v', 'a'], '+=', ['v', 'b']])
        return self.put(f, ['set', 'x', ['bin', '+', ['v', 'x'], ['g', g['name'], ['v', 'a']]]])

    def safe_new_local(self, f):
        l = {'name': self.m.name('l'), 'init': self.r.choice([0, 5])}
        f['locals'].append(l)
        self.put(f, ['lset', l['name'], ['bin', '+', ['local', l['name']], ['c', 1]]])
        return self.put(f, ['set', 'y', ['bin', '^', ['v', 'y'], ['local', l['name']]]])

    def safe_case(self, f):
        n = self.some(f, 'switch')
        if n:
            n[3].append(self.m.block(f, 1, 0))
        return bool(n)

    def safe_table_value(self, f):
        t = self.r.choice(self.p.tables)
        i = self.r.randrange(len(t['values']))
        t['values'][i] = (t['values'][i] + 3) & 0xff
        return True

    def safe_table_grown(self, f):
        self.r.choice(self.p.tables)['values'] += [self.r.randint(0, 250) for _ in range(self.r.randint(1, 4))]
        return True

    def safe_text(self, f):
        if not self.p.texts:
            return False
        t = self.r.choice(self.p.texts)
        t['values'][self.r.randrange(len(t['values']))] = self.r.choice(WORDS) + ' renewed'
        return True

    def safe_order(self, f):
        i = self.r.randrange(len(self.p.order))
        self.p.order.insert(self.r.randrange(len(self.p.order)), self.p.order.pop(i))
        return True

    def safe_variable_order(self, f):
        g = self.p.globals
        g.insert(self.r.randrange(len(g)), g.pop(self.r.randrange(len(g))))
        return True

    def safe_stored_function(self, f):
        if not self.p.slots:
            return False
        return self.put(f, ['slotset', self.r.choice(self.p.slots)['name'], ['v', 'a'],
                            self.r.choice(self.m.plain()), self.r.choice(self.m.plain())])

    def more_record_value(self, f):
        v = self.r.choice(self.r.choice(self.p.records)['values'])
        v[1] = (v[1] + 3) & 0xff
        return True

    def more_record_text(self, f):
        self.r.choice(self.r.choice(self.p.records)['values'])[0] = self.r.choice(WORDS) + ' renewed'
        return True

    def more_record_grown(self, f):
        t = self.r.choice(self.p.records)
        t['values'] += [[self.r.choice(WORDS) + ' added', self.r.randint(0, 250)] for _ in range(self.r.randint(1, 3))]
        return True

    def more_text_grown(self, f):
        if not self.p.texts:
            return False
        self.r.choice(self.p.texts)['values'] += [self.r.choice(WORDS) + ' added' for _ in range(self.r.randint(1, 3))]
        return True

    def more_element(self, f):
        n = self.some(f, 'element')
        if not n:
            return False
        t = next(t for t in self.p.records + self.p.texts + self.p.tables if t['name'] == n[1])
        n[3] = self.r.randrange(len(t['values']))
        return True

    def never_member(self, f):
        s = self.r.choice(self.p.structs)
        m = {'name': self.m.name('m'), 'type': 'u64', 'n': 1}
        s['members'].insert(self.r.randrange(len(s['members'])), m)
        return self.put(f, ['fset', s['name'], ['v', 'a'], m['name'], 0, '+=', ['v', 'b']])

    def never_initial(self, f):
        g = [g for g in self.p.globals if g['touched'] and g['init'] and g['type'] != 'double']
        if g:
            self.r.choice(g)['init'] += 1
        return bool(g)

    def never_tls(self, f):
        t = {'name': self.m.name('t'), 'type': 'u64', 'init': 3}
        self.p.tls.append(t)
        self.put(f, ['tset', t['name'], ['bin', '+', ['tls', t['name']], ['v', 'a']]])
        return self.put(f, ['set', 'x', ['bin', '+', ['v', 'x'], ['tls', t['name']]]])

    def never_tls_initial(self, f):
        if not self.p.tls:
            return False
        self.r.choice(self.p.tls)['init'] += 7
        return True

    def never_constructor(self, f):
        self.p.ctor = True
        return True


# -- text -----------------------------------------------------------------------------------------------
class Text:
    """One version's text; oracle: the pair's."""

    def __init__(self, old, new=None):
        self.p, self.new = old, new
        self.q = new or old
        self.sizes = {g['name']: g for g in old.globals + self.q.globals}
        self.fields = {(s['name'], m['name']): m for p in (old, self.q) for s in p.structs for m in s['members']}

    def e(self, x):
        k = x[0]
        if k == 'c':
            return f'{x[1] & (2**64 - 1)}u' + ('ll' if x[1] >> 32 else '')
        if k == 'v':
            return x[1]
        if k == 'bin':
            return f'((u64)({self.e(x[2])}) {x[1]} (u64)({self.e(x[3])}))'
        if k == 'shift':
            return f'((u64)({self.e(x[2])}) {x[1]} {x[3]})'
        if k == 'g':
            return self.read(self.sizes[x[1]]['type'], self.g(x[1], x[2]))
        if k == 'table':
            return f'(u64){x[1]}[({self.e(x[2])}) % {x[1]}_n]'
        if k == 'field':
            return self.read(self.fields[x[1], x[3]]['type'], self.field(x))
        if k in ('call', 'slot'):
            return f'{x[1]}({self.e(x[2])}, {self.e(x[3])})'
        if k == 'worker':
            return f'(on_main ? on_main = 0, keep = on_worker({x[1]}, {self.e(x[2])}, {self.e(x[3])}), on_main = 1, keep : 5u)'
        if k == 'vcall':
            return f'{x[1]}({len(x[2])}' + ''.join(f', (u64)({self.e(a)})' for a in x[2]) + ')'
        if k == 'ocall':
            s = self.function(x[1])['struct']
            return f'{x[1]}({s}_all[({self.e(x[2])}) % {s}_N], {self.e(x[3])})'
        if k == 'rcall':
            return f'hash_double({x[1]}((double)(u32)({self.e(x[2])}) / 1024.0, {self.e(x[3])}))'
        if k == 'tls':
            return x[1]
        if k == 'string':
            return f'hash_str("{x[1]}")'
        if k == 'text':
            return f'hash_str({x[1]}[({self.e(x[2])}) % {x[1]}_n])'
        if k == 'record':
            cell = f'{x[1]}[({self.e(x[2])}) % {x[1]}_n].{x[3]}'
            return f'hash_str({cell})' if x[3] == 'name' else cell
        if k == 'element':
            cell = f'(({self.e(x[2])}) & 1 ? &{x[1]}[{x[3]}] : &{x[1]}[{x[4]}])'
            return {'text': f'hash_str(*{cell})', 'number': f'(u64)*{cell}', 'record': f'hash_record({cell})'}[x[5]]
        if k == 'walk':
            return f'walk({x[1]}, {x[1]}_n, {self.e(x[2])})'
        if k == 'compare':
            return f'(u64)((u64)({self.e(x[2])}) {x[1]} (u64)({self.e(x[3])}))'
        if k == 'choose':
            return f'(({self.e(x[1])}) & 1 ? (u64)({self.e(x[2])}) : (u64)({self.e(x[3])}))'
        if k == 'mod':
            return f'((u64)({self.e(x[1])}) % {x[2]})'
        if k == 'real':
            return f'hash_double((double)(u32)({self.e(x[2])}) {x[1]} {x[3]!r})'
        if k == 'isfn':
            return f'(u64)({x[1]} == {x[2]} ? 11 : 22)'
        if k == 'local':
            return x[1]
        raise ValueError(k)

    def function(self, name):
        for p in (self.p, self.q):
            for f in p.functions:
                if f['name'] == name:
                    return f

    def read(self, type_, text):
        return f'hash_double({text})' if type_ == 'double' else f'(u64)({text})'

    def g(self, name, index):
        g = self.sizes[name]
        return name if g['n'] == 1 else f"{name}[({self.e(index)}) % {g['n']}]"

    def field(self, x):
        m = self.fields[x[1], x[3]]
        index = f"[{x[4] % m['n']}]" if m['n'] > 1 else ''
        return f'{x[1]}_all[({self.e(x[2])}) % {x[1]}_N]->{x[3]}{index}'

    def store(self, type_, place, op, value):
        if type_ == 'double':
            if op == '^=':
                op = '+='
            return f'{place} = bounded({place if op == "+=" else "0.5"} + (double)(u32)({value}) / 64.0);'
        return f'{place} {op} (u64)({value});'

    def s(self, x, ind, f):
        pad, k = '        ' * ind, x[0]
        if k == 'set':
            return [f'{pad}{x[1]} = {self.e(x[2])};']
        if k == 'gset':
            return [pad + self.store(self.sizes[x[1]]['type'], self.g(x[1], x[2]), x[3], self.e(x[4]))]
        if k == 'fset':
            return [pad + self.store(self.fields[x[1], x[3]]['type'], self.field(x), x[5], self.e(x[6]))]
        if k == 'if':
            out = [f'{pad}if (({self.e(x[1])}) & 3) {{'] + self.b(x[2], ind + 1, f)
            return out + ([f'{pad}}} else {{'] + self.b(x[3], ind + 1, f) if x[3] else []) + [pad + '}']
        if k == 'loop':
            return [f'{pad}for (u64 i{ind} = 0; i{ind} < {x[1]} && fuel; i{ind}++) {{', f'{pad}        fuel--, y += i{ind};'] + self.b(x[2], ind + 1, f) + [pad + '}']
        if k == 'switch':
            out = [f'{pad}switch (({self.e(x[1])}) % {len(x[3]) + 2} + {x[2]}) {{']
            for i, b in enumerate(x[3]):
                out += [f'{pad}case {x[2] + i}:'] + self.b(b, ind + 1, f) + [f'{pad}        break;']
            return out + [f'{pad}default:', f'{pad}        y ^= 77;', pad + '}']
        if k == 'note':
            return [f'{pad}note("{x[1]} %llu {x[3]}", (unsigned long long)({self.e(x[2])}));']
        if k == 'tset':
            return [f'{pad}{x[1]} = {self.e(x[2])};']
        if k == 'return':
            return [f'{pad}if ({self.e(x[1])})', f"{pad}        return {'1.5' if f['kind'] == 'real' else self.e(x[2])};"]
        if k == 'lset':
            return [f'{pad}{x[1]} += {self.e(x[2])};']
        if k == 'slotset':
            return [f'{pad}{x[1]} = ({self.e(x[2])}) & 1 ? {x[3]} : {x[4]};']
        if k == 'recurse':
            return [f'{pad}if (fuel > 350)', f"{pad}        x ^= {f['name']}({self.e(x[1])}, y + 1);"]
        if k == 'array':
            return [f'{pad}{{', f'{pad}        u64 room[{x[1]}];', f'{pad}        for (u64 j = 0; j < {x[1]}; j++)',
                    f'{pad}                room[j] = j * ({self.e(x[2])});',
                    f'{pad}        x += room[({self.e(x[3])}) % {x[1]}];', pad + '}']
        raise ValueError(k)

    def b(self, block, ind, f):
        return [line for x in block for line in self.s(x, ind, f)]

    def head(self, f, suffix='', attribute=None):
        a = (f['attribute'] if attribute is None else attribute) + ('static ' if f['static'] else '')
        name = f['name'] + suffix
        return {'plain': f'{a}u64 {name}(u64 a, u64 b)', 'real': f'{a}double {name}(double d, u64 b)',
                'varargs': f'{a}u64 {name}(unsigned n, ...)',
                'object': f"{a}u64 {name}(struct {f['struct']} *o, u64 b)"}[f['kind']]

    def body(self, f, suffix='', local_statics=True):
        out = [self.head(f, suffix) + ' {']
        if f['kind'] == 'real':
            out += ['        u64 a = hash_double(d), x = a, y = b;']
        elif f['kind'] == 'object':
            s = next(s for s in self.q.structs if s['name'] == f['struct'])
            m = s['members'][-1]
            out += [f"        u64 a = {self.read(m['type'], 'o->' + m['name'] + ('[0]' if m['n'] > 1 else ''))}, x = a, y = b;"]
        elif f['kind'] == 'varargs':
            out += ['        u64 a = n, b = 3, x = 1, y = 2;', '        __builtin_va_list ap;', '        __builtin_va_start(ap, n);',
                    '        for (unsigned i = 0; i < n; i++)', '                x = x * 31 + __builtin_va_arg(ap, u64), b ^= x;',
                    '        __builtin_va_end(ap);']
        else:
            out += ['        u64 x = a, y = b;']
        if local_statics:
            out += [f"        static u64 {l['name']} = {l['init']};" for l in f['locals']]
        out += ['        if (fuel == 0)', f"                return {'0.25' if f['kind'] == 'real' else 'a ^ b'};", '        fuel--;']
        out += self.b(f['body'], 1, f)
        out += [f"        return {'bounded(d * 0.5 + (double)(u32)(x ^ y) / 4096.0)' if f['kind'] == 'real' else 'x ^ (y << 1) ^ (a & b)'};", '}', '']
        return out

    def render(self):
        p, q, oracle = self.p, self.q, self.new is not None
        out = ['#include "runtime.h"', '']
        if oracle:
            out += ['int oracle_new;', '']
        for s in q.structs:
            out += [f"struct {s['name']} {{"] + [f"        {m['type']} {m['name']}" + (f"[{m['n']}]" if m['n'] > 1 else '') + ';'
                                                 for m in s['members']] + ['};', f"enum {{ {s['name']}_N = {s['n']} }};",
                                                                           f"static struct {s['name']} *{s['name']}_all[{s['n']}];", '']
        seen = set()
        for g in p.globals + q.globals:
            if g['name'] in seen:
                continue
            seen.add(g['name'])
            init = '' if not g['init'] else f" = {g['init']}" if g['n'] == 1 else f" = {{ {g['init']}, {g['init'] + 1}, 3 }}"
            out.append(('static ' if g['static'] else '') + f"{g['type']} {g['name']}" + (f"[{g['n']}]" if g['n'] > 1 else '') + init + ';')
        for t in q.tls:
            out.append(f"static __thread u64 {t['name']}" + (f" = {t['init']}" if t['init'] else '') + ';')
        out += ['static __thread u64 on_main, keep;', '']
        if q.records:
            out += ['struct Record {', '        const char *name;', '        u64 value;', '};', '',
                    'static inline u64 hash_record(const struct Record *r) {', '        return hash_str(r->name) ^ r->value;', '}', '',
                    'static inline u64 walk(const struct Record *r, u32 n, u64 x) {', '        for (u32 i = 0; i < n; i++)',
                    '                if (r[i].value >= x % 256)', '                        return hash_str(r[i].name) + i;',
                    '        return n;', '}', '']
        for kind, group in (('number', 'tables'), ('text', 'texts'), ('record', 'records')):
            news = {t['name']: t for t in getattr(q, group)}
            for t in getattr(p, group):
                n = news[t['name']]
                if oracle and n != t:
                    out += self.table(kind, t, '__old') + self.table(kind, n, '__new')
                    out += [f"#define {t['name']} (oracle_new ? {t['name']}__new : {t['name']}__old)",
                            f"#define {t['name']}_n (oracle_new ? {len(n['values'])}u : {len(t['values'])}u)"]
                else:
                    out += self.table(kind, n, '') + [f"#define {t['name']}_n {len(n['values'])}u"]
        out.append('')
        names = [n for n in p.order + [m for m in q.order if m not in p.order]] if oracle else p.order
        fs = {n: [next((f for f in v.functions if f['name'] == n), None) for v in (p, q)] for n in names}
        for n in names:
            f = fs[n][1] or fs[n][0]
            out.append(self.head(f, attribute='') + ';')
        for s in p.slots:
            out.append(f"static Fn {s['name']} = {s['fn']};")
        out.append('')
        plain = Text(p), Text(q)
        for n in names:
            f, g = fs[n]
            if oracle and f and g and (plain[0].body(f) != plain[1].body(g) or f['locals'] != g['locals']):
                for l in {l['name']: l for l in f['locals'] + g['locals']}.values():
                    out.append(f"static u64 {l['name']} = {l['init']};")
                out += self.body(f, '__old', False) + self.body(g, '__new', False) + self.dispatcher(f)
            else:
                out += self.body(g or f)
        out += self.driver(p)
        return '\n'.join(out) + '\n'

    def table(self, kind, t, suffix):
        if kind == 'record':
            return [f"static const struct Record {t['name']}{suffix}[] = {{ " + ', '.join(f'{{ "{v}", {n}u }}' for v, n in t['values']) + ' };']
        if kind == 'text':
            return [f"static const char *const {t['name']}{suffix}[] = {{ " + ', '.join(f'"{v}"' for v in t['values']) + ' };']
        return [f"static const {t['type']} {t['name']}{suffix}[] = {{ " + ', '.join(map(str, t['values'])) + ' };']

    def dispatcher(self, f):
        name, head = f['name'], self.head(f, attribute='NOINLINE ')
        if f['kind'] == 'varargs':
            # The longest list that is ever passed has four members.
            return [head + ' {', '        u64 v[4] = { 0 };', '        __builtin_va_list ap;', '        __builtin_va_start(ap, n);',
                    '        for (unsigned i = 0; i < n; i++)', '                v[i] = __builtin_va_arg(ap, u64);',
                    '        __builtin_va_end(ap);',
                    f'        return oracle_new ? {name}__new(n, v[0], v[1], v[2], v[3]) : {name}__old(n, v[0], v[1], v[2], v[3]);', '}', '']
        args = {'plain': 'a, b', 'real': 'd, b', 'object': 'o, b'}[f['kind']]
        return [head + ' {', f'        return oracle_new ? {name}__new({args}) : {name}__old({args});', '}', '']

    def driver(self, p):
        """Start, step and digest: never edited. They also are what shows where most of the data lies."""
        first = p.original
        out = ['NOINLINE void program_start(u64 zero) {']
        for s in first.structs:
            out += [f"        for (u64 i = 0; i < {s['name']}_N; i++) {{", f"                {s['name']}_all[i] = calloc(1, sizeof(struct {s['name']}));"]
            for m in s['members']:
                at = '[0]' if m['n'] > 1 else ''
                out.append(f"                {s['name']}_all[i]->{m['name']}{at} = ({m['type']})(i * 7 + {len(m['name'])});")
            out.append('        }')
        out += ['        if (zero) {']
        for g in first.globals:
            if g['touched']:
                out.append(f"                {g['name']}{'[zero % ' + str(g['n']) + ']' if g['n'] > 1 else ''} = ({g['type']})zero;")
        for t in first.tls:
            out.append(f"                {t['name']} = zero;")
        out += ['        }', '}', '', 'NOINLINE static u64 state(void) {', '        u64 h = 1;']
        for g in first.globals:
            if g['touched'] or g['type'] != 'double':
                cell = f"{g['name']}[i % {g['n']}]" if g['n'] > 1 else g['name']
                loop = f"        for (u64 i = 0; i < {g['n']}; i++)\n        " if g['n'] > 1 else ''
                out.append(f"{loop}        h = hash_add(h, {self.read(g['type'], cell)});")
        for s in first.structs:
            out.append(f"        for (u64 i = 0; i < {s['name']}_N; i++) {{")
            for m in s['members']:
                out.append(f"                h = hash_add(h, {self.read(m['type'], s['name'] + '_all[i]->' + m['name'] + ('[1]' if m['n'] > 1 else ''))});")
            out.append('        }')
        for t in first.tls:
            out.append(f"        h = hash_add(h, {t['name']});")
        out += ['        return h;', '}', '']
        if self.q.ctor:
            out += ['__attribute__((constructor)) static void early(void) {', '        setenv("GENERATED_EARLY", "1", 1);', '}', '']
        entries = [f['name'] for f in first.functions if f['kind'] == 'plain' and f['name'] in {g['name'] for g in self.q.functions}
                   and f['name'] in p.entries]
        out += ['static const Fn entry[] = { ' + ', '.join(entries) + ' };', '', 'NOINLINE u64 program_step(u64 k) {',
                '        u64 h = k;', '        on_main = 1;',
                '        for (u64 i = 0; i < 3; i++)', f'                h = hash_add(h, entry[(k * 7 + i) % {len(entries)}](k + i, h));',
                '        return hash_add(h, state());', '}']
        return out


def stores(p):
    count = {}
    for f in p.functions:
        for n in nodes(f['body']):
            if n[0] in ('gset', 'lset', 'slotset'):
                count[n[1]] = count.get(n[1], 0) + 1
    return count


def revertible(old, new):
    """False when only new code may store to a variable of the old build: its compiler knew then that the
    variable never changes, and old code, when it is back, goes by the value it had."""
    touched = {g['name'] for g in old.globals if g['touched']}
    a, b = stores(old), stores(new)
    return all(name in touched or n <= a.get(name, 0) for name, n in b.items())


def frozen_by_new(old, new):
    """Variables that old code stores to and new code no longer does: its compiler takes the initial value for
    granted, where the oracle goes by what the old code left."""
    touched = {g['name'] for g in old.globals if g['touched']}
    return set(stores(old)) - set(stores(new)) - touched


def pair(seed):
    """(old text, new text, oracle text, edits, name of an edit that must be refused or None, whether the
    oracle is right about what follows the patch, and about what follows a revert)"""
    rng = random.Random(seed)
    maker = Maker(rng, seed >= RECORDS)
    old = maker.make()
    plain = [f['name'] for f in old.functions if f['kind'] == 'plain']
    old.original = copy.deepcopy(old)
    old.entries = set(rng.sample(plain, max(1, len(plain) * 2 // 3)))
    frozen = copy.deepcopy(old)
    editor = Editor(rng, maker)
    # An entry point is named by code that is never edited, so it stays.
    editor.keep = old.entries
    refuse = editor.edit()
    new = maker.p
    have = {f['name'] for f in new.functions}
    if not old.entries <= have:  # an entry was removed: both versions do without
        frozen.entries = new.entries = old.entries & have
    return (Text(frozen).render(), Text(new).render(), Text(frozen, new).render() if refuse is None else None,
            editor.done, refuse, not frozen_by_new(frozen, new), revertible(frozen, new))
