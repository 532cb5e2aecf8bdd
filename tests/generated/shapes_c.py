# SPDX-License-Identifier: Apache-2.0
"""Shapes in C. 'safe_' edits can be carried over; 'never_' ones change what memory or a kept number means in a way that the build
shows; 'meaning_' ones change what stored data mean, in a way that often nothing but the source shows."""

from shape import Record, Shape, WORDS


class Tagged(Record):
    """Heap objects with an enumerated kind, dispatched by switch and compare."""

    def setup(self):
        super().setup()
        n = self.r.randint(4, 9)
        self.kinds = [f'K{i}' for i in range(n)]
        self.does = {k: [self.r.randint(1, 900), self.r.choice(['x += $c', 'y ^= x * $c', 'x = (x ^ y) + $c'])] for k in self.kinds}
        self.made = list(self.kinds)
        self.asked = self.r.sample(self.kinds, 2)
        self.first = self.r.choice([0, 0, 1, 100])
        self.wide = self.r.choice(['u8', 'u32', 'enum @kind'])
        self.at = self.r.randint(0, len(self.fields.list))

    def items(self):
        lines = self.fields.text().split('\n')
        lines.insert(min(self.at, len(lines)), f'        {self.wide} kind;')
        cases = '\n'.join(f"case @{k}:\n        {self.does[k][1].replace('$c', str(self.does[k][0]))};\n        break;" for k in self.kinds)
        make = '\n'.join(f'case {i}:\n        o->kind = @{k};\n        break;' for i, k in enumerate(self.made))
        return [self.type('@kind', 'enum @kind { ' + ', '.join(f'@{k}' + (f' = {self.first}' if not i else '') for i, k in enumerate(self.kinds)) + ' };'),
                self.type('@obj', 'struct @obj {\n' + '\n'.join(lines) + '\n        struct @obj *next;\n};'),
                self.var('@head', 'static struct @obj *@head;'), self.var('@count', 'static u32 @count;'),
                self.fn('@make', 'void', 'u64 a, u64 b', f'u64 x = a, y = b;\n~\nstruct @obj *o = calloc(1, sizeof(*o));\nswitch (a % {len(self.made)}) {{\n{make}\n}}\n' + self.touch('make') +
                        '\no->next = @head;\n@head = o;\n@count++;', tail='return;'),
                self.fn('@act', 'u64', 'struct @obj *o, u64 b', f'u64 x = b, y = 1;\n~\nswitch (o->kind) {{\n{cases}\ndefault:\n        y += 99;\n}}\n' + self.touch('act') + '\nreturn x ^ y;'),
                self.fn('@ask', 'u64', 'struct @obj *o, u64 b', f'u64 x = b, y = 3;\nif (o->kind == @{self.asked[0]})\n        x += 7;\nelse if (o->kind == @{self.asked[1]})\n        y += b;\n~\n' + self.touch('ask') + '\nreturn x ^ y;'),
                self.fn('@step', 'u64', 'u64 k', 'u64 x = k, y = 2;\nif (@count < 40)\n        @make(k, k * 3);\n~\nfor (struct @obj *o = @head; o; o = o->next)\n        x = hash_add(x, @act(o, x) + @ask(o, k));\nreturn x ^ y;')]

    def start(self):
        return ['if (zero) @count = zero;', 'for (u64 i = 0; i < 12; i++) @make(i + zero, i * 77);']

    def state(self):
        return ['for (struct @obj *o = @head; o; o = o->next) { ' + self.fields.state('o->') + ' h++; }']

    def never_kind_inserted(self):
        k = f'K{len(self.kinds)}n'
        self.does[k] = [self.r.randint(1, 900), 'x += $c']
        # Before one that exists and is asked for: all from there on get other numbers.
        self.kinds.insert(self.r.randrange(1, len(self.kinds)), k)
        self.made.append(k)
        return True

    def never_kinds_exchanged(self):
        i, j = self.r.sample(range(1, len(self.kinds)), 2)
        self.kinds[i], self.kinds[j] = self.kinds[j], self.kinds[i]
        return True

    def never_kind_removed(self):
        k = [k for k in self.kinds[1:-1] if k not in self.asked]
        if not k:
            return False
        k = self.r.choice(k)
        self.kinds.remove(k)
        self.made.remove(k)
        return True

    def safe_kind_appended(self):
        k = f'K{len(self.kinds)}z'
        self.does[k] = [self.r.randint(1, 900), 'x += $c']
        self.kinds.append(k)
        self.made.append(k)
        return True

    def safe_case(self):
        self.does[self.r.choice(self.kinds)][0] += 5
        return True


class Linked(Record):
    """A list and a tree through links inside of the objects (container-of)."""

    def setup(self):
        super().setup()
        self.link, self.order = self.r.randint(0, len(self.fields.list)), '<'
        self.bound = self.r.randint(8, 20)
        self.fields.seen.add(self.fields.list[0][1])

    def items(self):
        lines = self.fields.text().split('\n')
        lines.insert(min(self.link, len(lines)), '        struct @link link;')
        return [self.type('@link', 'struct @link {\n        struct @link *next, *left, *right;\n        u64 key;\n};\n#define @of(l) ((struct @item *)((char *)(l) - offsetof(struct @item, link)))'),
                self.type('@item', 'struct @item {\n' + '\n'.join(lines) + '\n};'),
                self.var('@first', 'static struct @link *@first, *@root;'), self.var('@n', 'static u32 @n;'),
                self.fn('@insert', 'void', 'struct @link **at, struct @link *l', f'u64 x = l->key, y = 1;\nwhile (*at)\n        at = l->key {self.order} (*at)->key ? &(*at)->left : &(*at)->right;\n*at = l;\n~\n@of(l)->{self.fields.list[0][1]}{self.zero()} = x ^ y;', tail='return;'),
                self.fn('@find', 'struct @link *', 'u64 key', f'struct @link *l = @root;\nu64 x = key, y = 0;\nfor (u32 i = 0; i < {self.bound} && l && l->key != key; i++)\n        l = key {self.order} l->key ? l->left : l->right;\n~\nif (y == 12345)\n        note("rare");\nreturn l;', tail='return l;'),
                self.fn('@add', 'void', 'u64 key', 'u64 x = key, y = 5;\nstruct @item *o = calloc(1, sizeof(*o));\no->link.key = key;\no->link.next = @first;\n@first = &o->link;\n~\n' + self.touch('add') + '\n@insert(&@root, &o->link);\n@n++;', tail='y = 3;'),
                self.fn('@walk', 'u64', 'u64 b', 'u64 x = b, y = 0;\nfor (struct @link *l = @first; l; l = l->next) {\n        struct @item *o = @of(l);\n' + self.touch('walk') + '\n}\n~\nreturn x ^ y;'),
                self.fn('@use', 'u64', 'struct @item *o, u64 b', 'u64 x = b, y = 0;\n' + self.touch('use') + '\n~\nreturn x ^ y;'),
                self.fn('@step', 'u64', 'u64 k', 'u64 x = k, y = 9;\nif (@n < 30)\n        @add(k * 2654435761u % 1000);\nstruct @link *l = @find(k % 60 * 2654435761u % 1000);\nif (l)\n        x += @use(@of(l), k);\n~\nreturn x ^ @walk(y);')]

    def zero(self):
        return '[0]' if self.fields.list[0][2] > 1 else ''

    def start(self):
        return ['if (zero) @n = zero;', 'for (u64 i = 0; i < 10; i++) @add((i + 60 + zero) * 2654435761u % 1000);']

    def state(self):
        return ['for (struct @link *l = @first; l; l = l->next) { struct @item *o = @of(l); ' + self.fields.state('o->') + ' h += l->key + !!o; }']

    def meaning_order(self):
        self.order = '>'
        return True

    def safe_bound(self):
        self.bound += 1
        return True


class Hash(Record):
    """A table of chains by the hash of a text or a number."""

    def setup(self):
        super().setup()
        self.by, self.n, self.heap = self.r.choice([31, 33, 131, 65599]), self.r.choice([7, 16, 31, 64]), self.r.random() < 0.5
        self.basis = self.r.choice([0, 5381, 17])
        self.attr = self.r.choice(['NOINLINE static ', 'static ', 'static inline '])

    def items(self):
        return [self.type('@entry', 'struct @entry {\n        struct @entry *next;\n        char *name;\n' + self.fields.text() + '\n};'),
                self.var('@all', 'static struct @entry **@all;' if self.heap else f'static struct @entry *@all[{self.n}];'), self.var('@n', 'static u32 @n;'),
                self.fn('@hash', 'u32', 'const char *s', f'u32 h = {self.basis};\nwhile (*s)\n        h = h * {self.by} + (u8)*s++;\nreturn h;', attr=self.attr),
                self.fn('@new', 'void', '', f'@all = calloc({self.n}, sizeof(*@all));' if self.heap else '@all[0] = NULL;'),
                self.fn('@get', 'struct @entry *', 'const char *s', f'u64 x = 0, y = 1;\nstruct @entry *o = @all[@hash(s) % {self.n}];\nwhile (o && strcmp(o->name, s))\n        o = o->next;\n~\nif (y == 999)\n        note("%s", s);\nreturn o;', tail='return o;'),
                self.fn('@put', 'struct @entry *', 'const char *s', f'u64 x = 4, y = 1;\nu32 i = @hash(s) % {self.n};\nstruct @entry *o = calloc(1, sizeof(*o));\no->name = strdup(s);\no->next = @all[i];\n@all[i] = o;\n@n++;\n~\n' + self.touch('put') + '\nreturn o;', tail='return o;'),
                self.fn('@hit', 'u64', 'struct @entry *o, u64 b', 'u64 x = b, y = 0;\n~\n' + self.touch('hit') + '\nreturn x ^ y;'),
                self.fn('@step', 'u64', 'u64 k', 'u64 x = k, y = 9;\nchar s[32];\nsnprintf(s, sizeof(s), "key%llu", (unsigned long long)(k % 50));\nstruct @entry *o = @get(s);\nif (!o)\n        o = @put(s);\n~\nreturn x ^ @hit(o, y);')]

    def start(self):
        return ['if (zero) @n = zero;', '@new();'] + (['if (zero) @all = NULL;'] if self.heap else []) + ['@put("key1"), @put("key2"), @put("key30");']

    def state(self):
        return [f'for (u64 i = 0; i < {self.n if not self.heap else 1}; i++) for (struct @entry *o = @all[i]; o; o = o->next) {{ ' + self.fields.state('o->') + ' h += hash_str(o->name); }', 'h += @n;']

    def meaning_multiplier(self):
        self.by += 2
        return True

    def meaning_basis(self):
        self.basis += 4
        return True

    def never_buckets(self):
        if self.n == 7:
            return False
        self.n = self.n * 2 + 1 if self.n % 2 else self.n * 2
        return True


class States(Shape):
    """A state machine by switch, or by a table whose rows have functions; the state is kept."""

    def setup(self):
        n = self.r.randint(4, 8)
        self.names = [f'S{i}' for i in range(n)]
        self.go = {s: [self.r.choice(self.names) for _ in range(3)] for s in self.names}
        self.add = {s: self.r.randint(1, 500) for s in self.names}
        self.by_table, self.n = self.r.random() < 0.5, self.r.randint(4, 12)
        self.heap = self.r.random() < 0.5

    def items(self):
        out = [self.type('@states', 'enum @state { ' + ', '.join('@' + s for s in self.names) + ' };'),
               self.type('@machine', 'struct @machine {\n        u64 sum;\n        u32 state, steps;\n};'),
               self.var('@at', f'static struct @machine *@at[{8}];' if self.heap else 'static struct @machine @at[8];')]
        m = 'struct @machine *m = @at[k % 8];' if self.heap else 'struct @machine *m = &@at[k % 8];'
        if self.by_table:
            fns = [self.fn(f'@do{s}', 'u64', 'struct @machine *m, u64 b', f'u64 x = b, y = m->steps;\n' + ('~\n' if i < 3 else '') + f'm->sum += {self.add[s]} + (x & 7);\nreturn x ^ y;') for i, s in enumerate(self.names)]
            rows = [f"{{ @do{s}, {{ {', '.join('@' + g for g in self.go[s])} }}, \"{s}\" }}" for s in self.names]
            out.append(self.type('@row', 'struct @row {\n        u64 (*act)(struct @machine *m, u64 b);\n        u8 next[3];\n        const char *name;\n};'))
            out += [self.table('@rows', 'struct @row', rows)] + fns
            out.append(self.fn('@turn', 'u64', 'struct @machine *m, u64 b', 'u64 x = b, y = 2;\nconst struct @row *r = &@rows[m->state];\n~\nx += r->act(m, b) + hash_str(r->name);\nm->state = r->next[(b + m->steps) % 3];\nm->steps++;\nreturn x ^ y;'))
        else:
            cases = '\n'.join(f"case @{s}:\n        m->sum += {self.add[s]};\n        m->state = b % 3 == 0 ? @{self.go[s][0]} : b % 3 == 1 ? @{self.go[s][1]} : @{self.go[s][2]};\n        break;" for s in self.names)
            out.append(self.fn('@turn', 'u64', 'struct @machine *m, u64 b', f'u64 x = b, y = 2;\n~\nswitch (m->state) {{\n{cases}\ndefault:\n        note("no such state");\n}}\nm->steps++;\nreturn x ^ y;'))
            out.append(self.fn('@last', 'u64', 'const struct @machine *m, u64 b', f'u64 x = b, y = 1;\n~\nreturn m->state == @{self.asked()} ? x : y;'))
        out.append(self.fn('@step', 'u64', 'u64 k', f'u64 x = k, y = 4;\n{m}\nfor (u32 i = 0; i < {self.n}; i++)\n        x = hash_add(x, @turn(m, x + i)' + ('' if self.by_table else ' + @last(m, x)') + ');\n~\nreturn x ^ y;'))
        return out

    def asked(self):
        self.ask = getattr(self, 'ask', None) or self.r.choice(self.names[1:])
        return self.ask

    def start(self):
        return ['for (u64 i = 0; i < 8; i++) ' + ('(@at[i] = calloc(1, sizeof(struct @machine)))->sum = i + zero;' if self.heap else '@at[i].sum = i + zero;'), 'for (u64 i = 1; i < 12; i++) @step(i);']

    def state(self):
        p = '@at[i]->' if self.heap else '@at[i].'
        return [f'for (u64 i = 0; i < 8; i++) h = hash_add(h, {p}sum + {p}steps);']

    def never_state_inserted(self):
        s = f'S{len(self.names)}n'
        self.add[s], self.go[s] = self.r.randint(1, 500), [self.r.choice(self.names) for _ in range(3)]
        at = self.r.randrange(1, len(self.names))
        if not any(g in self.names[at:] for s2 in self.names for g in self.go[s2]):
            return False
        self.go[self.r.choice(self.names)][0] = s
        self.names.insert(at, s)
        return True

    def never_states_exchanged(self):
        used = {g for s in self.names for g in self.go[s]}
        pairs = [(i, j) for i in range(1, len(self.names)) for j in range(1, i) if {self.names[i], self.names[j]} <= used]
        if not pairs:
            return False
        i, j = self.r.choice(pairs)
        self.names[i], self.names[j] = self.names[j], self.names[i]
        return True

    def safe_transition(self):
        self.go[self.r.choice(self.names)][self.r.randrange(3)] = self.r.choice(self.names)
        return True

    def safe_state_appended(self):
        s = f'S{len(self.names)}z'
        self.add[s], self.go[s] = self.r.randint(1, 500), [self.r.choice(self.names) for _ in range(3)]
        self.go[self.r.choice(self.names)][0] = s
        self.names.append(s)
        return True

    def safe_add(self):
        self.add[self.r.choice(self.names)] += 3
        return True

    def safe_bound(self):
        self.n += self.r.choice([-1, 1])
        return True


class Operations(Shape):
    """Tables of functions, const and not; callbacks that were registered; objects that hold the place in a table, or its address."""

    def setup(self):
        n = self.r.randint(3, 7)
        self.ops = [f'op{i}' for i in range(n)]
        self.noisy, self.held = self.r.sample(self.ops, 2), self.r.choice(['number', 'address', 'function'])
        self.const = self.r.choice(['static const ', 'static const ', 'static '])
        self.texts = {o: self.r.choice(WORDS) + o for o in self.ops}
        self.chosen = list(self.ops)

    def items(self):
        out = [self.type('@op', 'struct @op {\n        const char *name;\n        u64 (*run)(u64 a, u64 b);\n        u32 cost;\n};'),
               self.type('@task', 'struct @task {\n        u64 sum;\n        ' + {'number': 'u32 op;', 'address': 'const struct @op *op;', 'function': 'Fn op;'}[self.held] + '\n        u32 runs;\n};')]
        rows = [f'{{ "{self.texts[o]}", @{o}, {len(o) * 3 + int(o[2:].rstrip("nz"))} }}' for o in self.ops]
        out.append(self.table('@ops', 'struct @op', rows, const=self.const) if 'const' in self.const else self.var('@ops', 'static struct @op @ops[] = { ' + ', '.join(rows) + ' };\n#define @ops_n ' + str(len(rows)) + 'u'))
        out.append(self.var('@tasks', 'static struct @task *@tasks[16];'))
        out.append(self.var('@hooks', 'static Fn @hooks[4];'))
        for o in self.ops:
            out.append(self.fn(f'@{o}', 'u64', 'u64 a, u64 b', 'u64 x = a, y = b;\n' + ('~\n' if o in self.noisy else f'x = x * {len(o) + 3} + {hash(o) % 1 + int(o[2:].rstrip("nz")) * 13};\n') + 'return x * 3 ^ y;'))
        put = {'number': 'a % @ops_n', 'address': '&@ops[a % @ops_n]', 'function': '@ops[a % @ops_n].run'}[self.held]
        get = {'number': '@ops[t->op].run', 'address': 't->op->run', 'function': 't->op'}[self.held]
        name = {'number': 'hash_str(@ops[t->op].name)', 'address': 'hash_str(t->op->name) + t->op->cost', 'function': f't->op == @{self.ops[0]}'}[self.held]
        out += [self.fn('@new', 'void', 'u64 a', f'u64 x = a, y = 1;\n~\nstruct @task *t = calloc(1, sizeof(*t));\nt->op = {put};\nt->sum = x ^ y;\n@tasks[a % 16] = t;', tail='y++;'),
                self.fn('@run', 'u64', 'struct @task *t, u64 b', f'u64 x = b, y = t->runs;\n~\nt->sum += {get}(x, y) + {name};\nt->runs++;\nreturn x ^ y;'),
                self.fn('@hook', 'void', 'u64 a', 'u64 x = a, y = 0;\n~\n@hooks[a % 4] = @ops[(a + y) % @ops_n].run;', tail='return;'),
                self.fn('@step', 'u64', 'u64 k', 'u64 x = k, y = 1;\nif (k % 5 == 0)\n        @new(k);\n@hook(k);\nfor (u32 i = 0; i < 16; i++)\n        if (@tasks[i])\n                x = hash_add(x, @run(@tasks[i], k));\n~\nfor (u32 i = 0; i < 4; i++)\n        if (@hooks[i])\n                x += @hooks[i](x, y);\nreturn x ^ y;')]
        return out

    def start(self):
        return ['for (u64 i = 0; i < 11; i++) @new(i * 3 + zero);', '@hook(1 + zero);'] + ([] if 'const' in self.const else ['if (zero) @ops[0].cost = zero;'])

    def state(self):
        return ['for (u64 i = 0; i < 16; i++) if (@tasks[i]) h = hash_add(h, @tasks[i]->sum);']

    def never_inserted(self):
        if self.held != 'number' and 'const' in self.const or self.held == 'function':
            return False
        o = f'op{len(self.ops)}n'
        self.texts[o] = 'inserted'
        self.ops.insert(self.r.randrange(len(self.ops) - 1), o)
        return True

    def never_exchanged(self):
        if self.held != 'number':
            return False
        i = self.r.randrange(len(self.ops) - 1)
        self.ops[i], self.ops[i + 1] = self.ops[i + 1], self.ops[i]
        return True

    def safe_appended(self):
        if 'const' not in self.const:
            return False
        o = f'op{len(self.ops)}z'
        self.texts[o] = 'appended'
        self.ops.append(o)
        return True

    def safe_text(self):
        if 'const' not in self.const:
            return False
        self.texts[self.r.choice(self.ops)] = 'renamed ' + self.r.choice(WORDS)
        return True

    def never_initial(self):
        if 'const' in self.const:
            return False
        self.texts[self.r.choice(self.ops)] = 'renamed'
        return True


class Copied(Record):
    """Objects that are copied, sorted, grown as wholes."""

    def setup(self):
        super().setup()
        self.how, self.n, self.step_ = self.r.choice(['assign', 'memcpy', 'local']), self.r.choice([12, 20, 33]), self.r.randint(1, 4)
        self.key = self.r.choice([f[1] for f in self.fields.list if f[2] == 1] or [None])
        self.fields.seen |= {self.key} - {None}

    def items(self):
        copy = {'assign': '*d = *s;', 'memcpy': 'memcpy(d, s, sizeof(*d));', 'local': 'struct @rec t = *s;\n@mix(&t, y);\n*d = t;'}[self.how]
        key = (lambda p: f'{p}->{self.key}') if self.key else (lambda p: f'*(const u8 *){p}')
        return [self.type('@rec', 'struct @rec {\n' + self.fields.text() + '\n};'), self.var('@all', 'static struct @rec *@all;\nstatic u32 @n, @room;'),
                self.fn('@mix', 'u64', 'struct @rec *o, u64 b', 'u64 x = b, y = 0;\n~\n' + self.touch('mix') + '\nreturn x ^ y;'),
                self.fn('@copy', 'u64', 'struct @rec *d, const struct @rec *s, u64 b', f'u64 x = b, y = 1;\n~\n{copy}\nreturn x ^ y;'),
                self.fn('@cmp', 'int', 'const void *a, const void *b', f'const struct @rec *p = a, *q = b;\nreturn {key("p")} < {key("q")} ? -1 : {key("p")} > {key("q")};'),
                self.fn('@push', 'struct @rec *', 'u64 b', 'u64 x = b, y = 0;\nif (@n == @room) {\n        @room = @room ? @room * 2 : 4;\n        @all = realloc(@all, @room * sizeof(*@all));\n}\nstruct @rec *o = &@all[@n++];\nmemset(o, 0, sizeof(*o));\n~\n' + self.touch('push') + '\nreturn o;', tail='return o;'),
                self.fn('@sum', 'u64', 'u64 b', f'u64 x = b, y = 0;\nfor (u32 i = 0; i < @n; i += {self.step_}) {{\n        struct @rec *o = &@all[i];\n' + self.touch('sum') + '\n}\n~\nreturn x ^ y;'),
                self.fn('@step', 'u64', 'u64 k', f'u64 x = k, y = 4;\nif (@n < {self.n})\n        @push(k);\nx += @mix(&@all[k % @n], x);\nx += @copy(&@all[k * 7 % @n], &@all[k % @n], k);\nif (k % 4 == 0)\n        qsort(@all, @n, sizeof(*@all), @cmp);\n~\nreturn x ^ @sum(y);')]

    def start(self):
        return ['for (u64 i = 0; i < 8; i++) @push(i + zero);']

    def state(self):
        return ['for (u64 i = 0; i < @n; i++) { struct @rec *o = &@all[i]; ' + self.fields.state('o->') + ' h += !!o; }']

    def safe_limit(self):
        self.n -= 1
        return True

    def safe_stride(self):
        self.step_ += 1
        return True


class Bits(Shape):
    """Bit fields, and unions with a tag."""

    def setup(self):
        r = self.r
        self.bits = [[f'b{i}', r.choice([1, 1, 2, 3, 5, 9])] for i in range(r.randint(3, 6))]
        self.arms = [['u64', 'n'], ['double', 'd'], ['u32', 'w'], ['struct { u32 a, b; }', 'p']]
        r.shuffle(self.arms)
        self.tag = {a[1]: i for i, a in enumerate(self.arms)}
        self.does = [[r.choice(self.bits)[0], r.choice(['test', 'set', 'add', 'read']), r.randint(1, 40)] for _ in range(r.randint(3, 6))]
        self.unit_ = r.choice(['u32', 'u64'])

    def use(self, o):
        out = []
        for b, k, c in o:
            out.append({'test': f'if (o->{b})\n        x += {c};', 'set': f'o->{b} = x;', 'add': f'o->{b} += {c};', 'read': f'x = x * 3 + o->{b};'}[k])
        return '\n'.join(out)

    def items(self):
        get = {'n': 'o->v.n', 'd': 'hash_double(o->v.d)', 'w': 'o->v.w', 'p': '(u64)(o->v.p.a * 3 + o->v.p.b)'}
        set_ = {'n': 'o->v.n = x;', 'd': 'o->v.d = (double)(u32)x;', 'w': 'o->v.w = x;', 'p': 'o->v.p.a = x, o->v.p.b = y;'}
        arms = list(self.tag)
        cases = '\n'.join(f'case {self.tag[a]}:\n        x += {get[a]};\n        break;' for a in arms)
        sets = '\n'.join(f'case {self.tag[a]}:\n        {set_[a]}\n        break;' for a in arms)
        return [self.type('@b', 'struct @b {\n        u64 id;\n' + '\n'.join(f'        {self.unit_} {n} : {w};' for n, w in self.bits) + '\n        u32 tag;\n        union {\n' + '\n'.join(f'                {t} {n};' for t, n in self.arms) + '\n        } v;\n};'),
                self.var('@all', 'static struct @b *@all[10];'),
                self.fn('@set', 'void', 'struct @b *o, u64 b', f'u64 x = b, y = b >> 3;\n~\no->tag = b % 4;\nswitch (o->tag) {{\n{sets}\n}}\n' + self.use(self.does[:2]), tail='return;'),
                self.fn('@get', 'u64', 'struct @b *o, u64 b', f'u64 x = b, y = 1;\nswitch (o->tag) {{\n{cases}\ndefault:\n        y = 3;\n}}\n~\n' + self.use(self.does[1:4]) + '\nreturn x ^ y;'),
                self.fn('@test', 'u64', 'struct @b *o, u64 b', 'u64 x = b, y = 1;\n~\n' + self.use(self.does[2:]) + '\nreturn x ^ y;'),
                self.fn('@step', 'u64', 'u64 k', 'u64 x = k, y = 4;\nfor (u32 i = 0; i < 10; i++)\n        x = hash_add(x, @get(@all[i], k) + @test(@all[i], x));\nif (k % 3 == 0)\n        @set(@all[k % 10], k * 31);\n~\nreturn x ^ y;')]

    def start(self):
        return ['for (u64 i = 0; i < 10; i++) { @all[i] = calloc(1, sizeof(struct @b)); @set(@all[i], i * 5 + zero); }']

    def state(self):
        return ['for (u64 i = 0; i < 10; i++) h = hash_add(h, @all[i]->id + @all[i]->tag);']

    def used(self):
        return {d[0] for d in self.does}

    def never_inserted(self):
        i = self.r.randrange(len(self.bits))
        if not any(b[0] in self.used() for b in self.bits[i:]):
            return False
        self.bits.insert(i, ['bn', 2])
        self.does += [['bn', 'add', 1], ['bn', 'read', 1]]
        return True

    def never_width(self):
        i = self.r.randrange(len(self.bits))
        if not any(b[0] in self.used() for b in self.bits[i + 1:]):
            return False
        self.bits[i][1] += 1
        return True

    def never_exchanged(self):
        pairs = [(i, j) for i in range(len(self.bits)) for j in range(i) if {self.bits[i][0], self.bits[j][0]} <= self.used()]
        if not pairs:
            return False
        i, j = self.r.choice(pairs)
        self.bits[i], self.bits[j] = self.bits[j], self.bits[i]
        return True

    def never_in_use(self):
        """A bit in what was padding before."""
        self.bits.append(['bn', 1])
        self.does += [['bn', 'add', 1], ['bn', 'test', 1]]
        return True

    def meaning_tags(self):
        a, b = self.r.sample(sorted(self.tag), 2)
        self.tag[a], self.tag[b] = self.tag[b], self.tag[a]
        return True

    def safe_use(self):
        self.does.append([self.r.choice(self.bits)[0], self.r.choice(['test', 'set', 'read']), self.r.randint(1, 40)])
        return True


class Texts(Shape):
    """Addresses of constants that objects keep, compare and show."""

    def setup(self):
        n = self.r.randint(4, 8)
        self.names = [f'{self.r.choice(WORDS)} {i}' for i in range(n)]
        self.single = self.r.choice(WORDS)
        self.fixed = self.r.choice(WORDS) + ' itself'
        self.count = self.r.randint(1, 3)

    def items(self):
        return [self.type('@o', 'struct @o {\n        const char *name;\n        const char *why;\n        u64 n;\n};'),
                self.table('@names', 'char *const', [f'"{n}"' for n in self.names]),
                self.var('@usual', f'static const char @usual[] = "{self.fixed}";'),
                self.var('@all', 'static struct @o *@all[8];'),
                self.fn('@give', 'const char *', 'u64 a', f'u64 x = a, y = 1;\n~\nif (a % 3 == 0)\n        return @usual;\nreturn (x ^ y) % 1000 == 999 ? "rare" : @names[a % @names_n];', tail='return @usual;'),
                self.fn('@set', 'void', 'struct @o *o, u64 b', 'u64 x = b, y = 1;\n~\no->name = @give(b);\nif (b % 4 == 1)\n        o->why = "because of the weather";\no->n += x + y;', tail='return;'),
                self.fn('@look', 'u64', 'const struct @o *o, u64 b', f'u64 x = b, y = o->n;\n~\nif (o->name == @usual)\n        x += {self.count};\nif (o->why)\n        y += hash_str(o->why);\nreturn x + hash_str(o->name) + hash_str("{self.single}") + y;'),
                self.fn('@step', 'u64', 'u64 k', 'u64 x = k, y = 4;\nif (k % 6 == 0)\n        @set(@all[k % 8], k);\nfor (u32 i = 0; i < 8; i++)\n        x = hash_add(x, @look(@all[i], k));\n~\nreturn x ^ y;')]

    def start(self):
        return ['for (u64 i = 0; i < 8; i++) { @all[i] = calloc(1, sizeof(struct @o)); @set(@all[i], i + zero); }']

    def state(self):
        return ['for (u64 i = 0; i < 8; i++) h = hash_add(h, @all[i]->n);']

    def safe_literal(self):
        self.single += ' changed'
        return True

    def safe_count(self):
        self.count += 2
        return True

    def safe_grown(self):
        self.names.append('appended')
        return True


class Buffer(Shape):
    """Fixes of the usual kind: bounds, limits, lengths."""

    def setup(self):
        r = self.r
        self.size, self.limit, self.where = r.choice([16, 32, 64]), r.choice([6, 8, 10]), r.choice(['static', 'heap', 'member'])
        self.check, self.less, self.guard = r.random() < 0.5, 0, False
        self.skip = r.randint(1, 3)

    def items(self):
        size = self.size
        buf = {'static': f'static char @text[{size}];', 'heap': 'static char *@text;', 'member': f'struct @c {{\n        u64 id;\n        char text[{size}];\n        u32 used;\n}};\nstatic struct @c *@c;'}[self.where]
        t, room = {'static': ('@text', 'sizeof(@text)'), 'heap': ('@text', str(size)), 'member': ('@c->text', 'sizeof(@c->text)')}[self.where]
        new = {'static': '@used = 0;', 'heap': f'@text = calloc(1, {size});', 'member': '@c = calloc(1, sizeof(*@c));'}[self.where]
        return [self.type('@buf', '') if self.where != 'member' else self.type('@buf', buf.split('\nstatic')[0]),
                self.var('@text', buf if self.where != 'member' else 'static struct @c *@c;'), self.var('@used', 'static u32 @used;'), self.var('@words', f'static u64 @got[{self.limit}];'),
                self.fn('@new', 'void', '', new),
                self.fn('@put', 'u64', 'const char *s, u64 n', f'u64 x = n, y = @used;\n~\nif ({"n == 0 || " if self.guard else ""}@used + n >= {room}{f" - {self.less}" if self.less else ""})\n        @used = 0;\nmemcpy({t} + @used, s, n);\n@used += n;\n{t}[@used] = 0;\nreturn x ^ y;'),
                self.fn('@scan', 'u64', 'u64 b', f'u64 x = b, y = 0;\nu32 n = 0;\nfor (const char *s = {t}; *s; s += *s == \' \' ? {self.skip} : 1) {{\n        if (*s == \' \' && n < {self.limit})\n                @got[n++] += *s + x % 9;\n        y = y * 31 + (u8)*s;\n        if (s >= {t} + @used - {self.skip})\n                break;\n}}\n~\nreturn x ^ y ^ n;'),
                self.fn('@step', 'u64', 'u64 k', f'u64 x = k, y = 4;\nx += @put("GET /a b c" + k % 5, {"k % 12 > 5 ? 5 : k % 12" if self.check else "k % 6"});\n~\nreturn x ^ @scan(y);')]

    def start(self):
        return ['if (zero) @used = zero;', '@new();', '@put("start up", 8);'] + {'static': [], 'heap': ['if (zero) @text = NULL;'], 'member': ['if (zero) @c = NULL;']}[self.where]

    def state(self):
        return [f'for (u64 i = 0; i < {self.limit}; i++) h = hash_add(h, @got[i]);', 'h += @used;']

    def never_larger(self):
        self.size += max(self.size, 32)  # more than what variables are aligned to: there may be nothing behind it
        return True

    def never_more(self):
        self.limit += 3
        return True

    def safe_check(self):
        self.check = True
        return True

    def safe_guard(self):
        self.guard = True
        return True

    def safe_less(self):
        self.less += 1
        return True

    def safe_skip(self):
        self.skip = 1
        return True


class Units(Record):
    """Numbers whose unit, sign or packing only the source tells."""

    def setup(self):
        super().setup()
        self.scale, self.shift, self.bit = self.r.choice([1, 60, 1000]), self.r.choice([4, 8, 12]), self.r.randint(0, 6)
        self.base = self.r.choice([0, 1])
        self.lim = self.r.randint(20, 60)

    def items(self):
        return [self.type('@t', 'struct @t {\n        u64 due;\n        u32 packed, flags, refs;\n' + self.fields.text() + '\n};'), self.var('@all', 'static struct @t *@all[6];'),
                self.fn('@arm', 'void', 'struct @t *o, u64 b', f'u64 x = b, y = 1;\n~\no->due = (b % 50) * {self.scale};\no->packed = (b % 9) << {self.shift} | (b & 7);\no->flags |= 1u << {self.bit};\no->refs = {self.base};\n' + self.touch('arm'), tail='return;'),
                self.fn('@left', 'u64', 'struct @t *o, u64 b', f'u64 x = b, y = 1;\n~\nx += o->due / {self.scale} + (o->packed >> {self.shift});\nif (o->flags & 1u << {self.bit})\n        y += 3;\nif (o->refs == {self.base})\n        y ^= {self.lim};\n' + self.touch('left') + '\nreturn x ^ y;'),
                self.fn('@step', 'u64', 'u64 k', 'u64 x = k, y = 4;\nif (k % 5 == 0)\n        @arm(@all[k % 6], k);\nfor (u32 i = 0; i < 6; i++)\n        x = hash_add(x, @left(@all[i], k));\n~\nreturn x ^ y;')]

    def start(self):
        return ['for (u64 i = 0; i < 6; i++) { @all[i] = calloc(1, sizeof(struct @t)); @arm(@all[i], i * 7 + zero); }']

    def state(self):
        return ['for (u64 i = 0; i < 6; i++) { struct @t *o = @all[i]; ' + self.fields.state('o->') + ' h += !!o; }']

    def meaning_scale(self):
        self.scale = 10
        return True

    def meaning_shift(self):
        self.shift -= 1
        return True

    def meaning_bit(self):
        self.bit += 1
        return True

    def meaning_base(self):
        self.base = 1 - self.base
        return True

    def safe_lim(self):
        self.lim += 4
        return True


ALL = [Tagged, Linked, Hash, States, Operations, Copied, Bits, Texts, Buffer, Units]
