# SPDX-License-Identifier: Apache-2.0
"""More shapes: ways of control, of the process, and of keeping objects."""

from shape import Fields, Record
from shapes_cxx import Cxx


class Control(Record):
    """Ways through a function that are not plain: jumps, stacks of unknown size, lists of arguments, registers of other kinds."""

    WAYS = ['setjmp', 'goto', 'alloca', 'vla', 'varargs', 'recursion', 'vector', 'long double', 'callback', 'nested', 'tail', 'asm']

    def setup(self):
        super().setup()
        self.ways = self.r.sample(self.WAYS, 4)
        self.k = {w: self.r.randint(3, 40) for w in self.WAYS}

    def way(self, w):
        k, f, u64 = self.k[w], self.fn, 'u64'
        args = 'u64 a, u64 b'
        if w == 'setjmp':
            return [self.var('@env', 'static jmp_buf @env;\nstatic u64 @jumps;'),
                    f('@jump', 'void', args, 'u64 x = a, y = b;\n~\nif ((x ^ y) % 3)\n        longjmp(@env, 1 + (x & 7));', tail='return;'),
                    f('@setjmp', u64, args, f'u64 x = a, y = b;\nvolatile u64 z = a;\nint n = setjmp(@env);\nif (n) {{\n        @jumps++;\n        return z * {k} + n;\n}}\n~\nz++;\n@jump(x, y);\nreturn z ^ x;')]
        if w == 'goto':
            return [f('@goto', u64, args, f'static const void *const to[] = {{ &&l0, &&l1, &&l2, &&l3 }};\nu64 x = a, y = b;\nu32 n = 0;\n~\ngoto *to[x & 3];\nl0:\n        x += {k};\nl1:\n        y ^= x;\nl2:\n        x = x * 5 + 1;\nl3:\n        if (n++ < 5)\n                goto *to[(x >> n) & 3];\nreturn x ^ y;')]
        if w == 'alloca':
            return [f('@alloca', u64, args, f'u64 x = a, y = b;\nu32 n = a % {k} + 1;\nu8 *room = alloca(n);\nfor (u32 i = 0; i < n; i++)\n        room[i] = x + i;\n~\nreturn x ^ y ^ room[b % n];')]
        if w == 'vla':
            return [f('@vla', u64, args, f'u64 x = a, y = b;\nu32 n = a % {k} + 2;\nu64 room[n];\nfor (u32 i = 0; i < n; i++)\n        room[i] = x * i;\n~\nreturn x ^ y ^ room[b % n] ^ room[n - 1];')]
        if w == 'varargs':
            return [f('@pass', u64, args, f'u64 x = a, y = b;\nchar s[80];\n~\nsnprintf(s, sizeof(s), "%llu %s %.2f %{k % 9}d", (unsigned long long)x, "text", (double)(u32)y / 3, (int)b);\nreturn hash_str(s) ^ x;'),
                    f('@varargs', u64, args, f'u64 x = a, y = b;\nreturn @pass(x, y) + {k};')]
        if w == 'recursion':
            return [f('@recursion', u64, args, f'u64 x = a, y = b;\nif (a % {k} == 0 || fuel < 20)\n        return b;\nfuel--;\n~\nreturn x + y + @recursion(a - 1, b ^ a);')]
        if w == 'vector':
            return [self.type('@v4', 'typedef u32 @v4 __attribute__((vector_size(16)));'), self.var('@v', 'static @v4 @v;'),
                    f('@vector', u64, args, f'u64 x = a, y = b;\n@v4 t = {{ (u32)a, (u32)b, {k}, 9 }};\n~\n@v = (@v + t) * (@v4){{ 3, 5, 7, {k} }};\nt ^= @v;\nreturn x ^ y ^ t[a & 3];')]
        if w == 'long double':
            return [self.var('@ld', 'static long double @ld = 1.5L;'),
                    f('@long_double', u64, args, f'u64 x = a, y = b;\n~\n@ld = @ld * 0.5L + (long double)(u32)x / {k};\nreturn (x ^ y) + (u64)(@ld * 16);')]
        if w == 'callback':
            return [f('@cb', 'int', 'const void *p, const void *q', 'u64 x = *(const u32 *)p, y = *(const u32 *)q;\nreturn x < y ? -1 : x > y;'),
                    f('@callback', u64, args, f'u64 x = a, y = b;\nu32 v[9];\nfor (u32 i = 0; i < 9; i++)\n        v[i] = (a * {k} + i * b) % 1000;\nqsort(v, 9, sizeof(*v), @cb);\n~\nreturn x ^ y ^ v[4];')]
        if w == 'nested':
            return [f('@inner', u64, 'u64 a, const u64 *room', f'u64 x = a, y = room[a & 3];\n~\nreturn x * {k} ^ y;'),
                    f('@nested', u64, args, 'u64 x = a, y = b, room[4] = { a, b, a ^ b, 7 };\n~\nfor (u32 i = 0; i < 4; i++)\n        room[i] += @inner(x + i, room);\nreturn room[0] ^ room[3] ^ y;')]
        if w == 'tail':
            return [f('@end', u64, args, f'u64 x = a, y = b;\n~\nreturn x * {k} + y;'),
                    f('@tail', u64, args, 'u64 x = a, y = b;\n~\nif (x & 1)\n        return @end(y, x);\nreturn @end(x + 1, y);')]
        return [f('@asm', u64, args, f'u64 x = a, y = b;\n__asm__ volatile("xorq %1, %0\\n\\troll $3, %k0" : "+r"(x) : "r"(y) : "cc");\n~\nreturn x + y * {k};')]

    def items(self):
        out = []
        for w in self.ways:
            out += self.way(w)
        calls = '\n'.join(f'x = hash_add(x, @{w.replace(" ", "_")}(x, y + {i}));' for i, w in enumerate(self.ways))
        return out + [self.fn('@step', 'u64', 'u64 k', f'u64 x = k, y = k >> 1;\n~\n{calls}\nreturn x ^ y;')]

    def start(self):
        return ['@step(zero + 1);'] + (['if (zero) @v[0] = zero;'] if 'vector' in self.ways else []) + (['if (zero) @ld = zero;'] if 'long double' in self.ways else [])

    def state(self):
        return ['h += @v[0] + @v[3];'] if 'vector' in self.ways else ['h++;']

    # No objects that are kept.
    never_middle = never_end = never_padding = never_swap = never_widen = never_remove = never_array = safe_touch = lambda self: False

    def safe_k(self):
        self.k[self.r.choice(self.ways)] += 1
        return True


class Ambient(Record):
    """Threads and their own variables, signals, constructors, weak symbols, what runs at the end."""

    def setup(self):
        super().setup()
        self.sig, self.local = self.r.randint(1, 60), [['u64', '@t0', 3], ['u32', '@t1', 0], ['u64', '@t2', 0]][:self.r.randint(1, 3)]
        self.weak, self.ctor, self.bound = self.r.randint(1, 90), False, self.r.randint(3, 9)

    def items(self):
        tls = '\n'.join(f'static __thread {t} {n}' + (f' = {i};' if i else ';') for t, n, i in self.local)
        turn = ' '.join(f'{n} += x & 7; y += {n};' for _, n, _ in self.local)
        out = [self.type('@ctx', 'struct @ctx {\n' + self.fields.text() + '\n};'), self.var('@tls', tls + '\nstatic __thread struct @ctx @mine;'),
               self.var('@hits', 'static volatile u64 @hits;'), self.var('@ctx', 'static struct @ctx *@c;'),
               self.fn('@handle', 'void', 'int sig', f'u64 x = sig, y = 1;\n@hits = @hits * 3 + {self.sig};\nif (x == y)\n        @hits++;'),
               self.fn('@weak', 'u64', 'u64 a, u64 b', f'u64 x = a, y = {self.weak};\n~\nreturn x ^ y;', attr='__attribute__((weak, noinline)) '),
               self.fn('@turn', 'u64', 'u64 a, u64 b', f'u64 x = a, y = b;\nstruct @ctx *o = &@mine;\n~\n{self.fill(turn)}\n' + self.touch('turn') + '\nreturn x ^ y;'),
               self.fn('@all', 'u64', 'struct @ctx *o, u64 b', 'u64 x = b, y = 1;\n~\n' + self.touch('all') + '\nreturn x ^ y;'),
               self.fn('@step', 'u64', 'u64 k', f'u64 x = k, y = 1;\nfor (u32 i = 0; i < {self.bound}; i++)\n        x = hash_add(x, @turn(x, i) + on_worker(@turn, x, k));\nif (k % 3 == 0)\n        raise(SIGUSR1);\n~\nreturn x ^ y ^ @hits ^ @weak(x, y) ^ @all(@c, x);')]
        if self.ctor:
            out.append(self.fn('@early', 'void', '', 'setenv("GENERATED_EARLY", "1", 1);', attr='__attribute__((constructor)) static '))
        return out

    def start(self):
        return ['@c = calloc(1, sizeof(*@c));', 'signal(SIGUSR1, @handle);', 'if (zero) @hits = zero, @t0 = zero, @c = NULL;' + ''.join(f' if (zero) {n} = zero;' for _, n, _ in self.local[1:])]

    def state(self):
        return ['h += @hits + @t0; { struct @ctx *o = @c; ' + self.fields.state('o->') + ' h += !!o; }']

    def never_local(self):
        self.local.insert(self.r.randint(0, len(self.local)), ['u64', '@tn', 5])
        return True

    def never_local_initial(self):
        self.local[0][2] += 1
        return True

    def never_constructor(self):
        self.ctor = True
        return True

    def safe_handler(self):
        self.sig += 1
        return True

    def safe_weak(self):
        self.weak += 1
        return True

    def safe_bound(self):
        self.bound -= 1
        return True


class Standing(Record):
    """Objects that are static: arrays of structures, and one that is handed around; a structure in a structure."""

    def setup(self):
        super().setup()
        self.inner, self.n, self.at = Fields(self.r, self.r.randint(2, 4), 'w'), self.r.choice([4, 7, 16]), 0
        self.at = self.r.randint(0, len(self.fields.list))
        self.dims = self.r.choice([[3, 5], [4, 8]])

    def items(self):
        lines = self.fields.text().split('\n')
        lines.insert(min(self.at, len(lines)), '        struct @in in;')
        p, q = self.dims
        return [self.type('@in', 'struct @in {\n' + self.inner.text() + '\n};'), self.type('@out', 'struct @out {\n' + '\n'.join(lines) + '\n};'),
                self.var('@all', f'static struct @out @all[{self.n}];'), self.var('@one', 'static struct @out @one;'), self.var('@grid', f'static u16 @grid[{p}][{q}];'),
                self.fn('@in', 'u64', 'struct @in *o, u64 b', 'u64 x = b, y = 2;\n~\n' + self.inner.lines('in') + '\nreturn x ^ y;'),
                self.fn('@out', 'u64', 'struct @out *o, u64 b', 'u64 x = b, y = 2;\n' + self.touch('out') + '\n~\nreturn x ^ y ^ @in(&o->in, b);'),
                self.fn('@index', 'u64', 'u32 i, u64 b', f'u64 x = b, y = 2;\nstruct @out *o = &@all[i % {self.n}];\n~\n' + self.touch('index') + '\n' + self.inner.lines('index', 'o->in.', 1) + f'\n@grid[i % {p}][b % {q}] += y;\nreturn x ^ y ^ @grid[b % {p}][i % {q}];'),
                self.fn('@step', 'u64', 'u64 k', f'u64 x = k, y = 2;\nx += @out(&@one, k) + @out(&@all[k % {self.n}], x);\nfor (u32 i = 0; i < {self.n}; i++)\n        x = hash_add(x, @index(i + k, x));\n~\nreturn x ^ y;')]

    def start(self):
        return ['@step(5 + zero);']

    def state(self):
        return [f'for (u64 i = 0; i < {self.n}; i++) {{ struct @out *o = &@all[i]; ' + self.fields.state('o->') + ' h += !!o; }', f'for (u64 i = 0; i < {self.dims[0]}; i++) h = hash_add(h, @grid[i][2]);']

    def never_inner_middle(self):
        return self.inner.edit_middle()

    def never_inner_swap(self):
        return self.inner.edit_swap()

    def never_inner_widen(self):
        return self.inner.edit_widen()

    def never_count(self):
        self.n += 3
        return True

    def never_rows(self):
        if self.dims[0] * 2 == self.dims[1]:
            self.dims.reverse()
        else:
            self.dims[1] += 1
        return True


class Generic(Record):
    """Objects of several types behind one allocator, one container and callbacks that get an address of nothing in particular."""

    def setup(self):
        super().setup()
        self.types = {t: Fields(self.r, self.r.randint(2, 5), t) for t in 'pqr'}
        self.fields = self.types['p']
        self.wrap = self.r.choice(['NOINLINE static ', 'static '])
        self.head, self.mult = self.r.random() < 0.5, self.r.randint(2, 30)

    def items(self):
        out = []
        for t, f in self.types.items():
            out.append(self.type('@' + t, f'struct @{t} {{\n        u32 type;\n' + f.text() + '\n};'))
        out += [self.type('@Visit', 'typedef u64 (*@Visit)(void *o, u64 b);'), self.var('@slots', 'static void *@slots[18];'), self.var('@used', 'static u64 @used;'),
                self.fn('@alloc', 'void *', 'u64 n', 'void *p = calloc(1, n + 16);\n@used += n & 0;\nreturn (char *)p + 16;' if self.head else '@used++;\nreturn calloc(1, n);', attr=self.wrap),
                self.fn('@get', 'void *', 'u64 i', 'u64 x = i, y = 0;\n~\nif (x == y + 77777777)\n        return NULL;\nreturn @slots[i % 18];', tail='y++;'),
                self.fn('@each', 'u64', '@Visit visit, u64 first, u64 b', 'u64 x = b, y = 0;\n~\nfor (u64 i = first; i < 18; i += 3)\n        x = hash_add(x, visit(@slots[i], b));\nreturn x ^ y;')]
        for n, (t, f) in enumerate(self.types.items()):
            out += [self.fn(f'@new_{t}', 'void', 'u64 i', f'u64 x = i, y = 2;\n~\nstruct @{t} *o = @alloc(sizeof(*o));\no->type = {n};\n' + f.lines(f'new{t}') + f'\n@slots[i * 3 % 18 + {n}] = o;', tail='y = 5;'),
                    self.fn(f'@visit_{t}', 'u64', 'void *p, u64 b', f'struct @{t} *o = p;\nu64 x = b, y = 2;\n~\n' + f.lines(f'visit{t}') + '\nreturn x ^ y;'),
                    self.fn(f'@use_{t}', 'u64', 'u64 i, u64 b', f'struct @{t} *o = @get(i * 3 % 18 + {n});\nu64 x = b, y = {self.mult};\n' + f.lines(f'use{t}') + '\n~\nreturn x ^ y;')]
        calls = ' + '.join(f'@each(@visit_{t}, {n}, k) * {n + 1} + @use_{t}(k, x)' for n, t in enumerate(self.types))
        out.append(self.fn('@step', 'u64', 'u64 k', f'u64 x = k, y = 3;\nif (k % 9 == 0)\n        @new_q(k % 6);\nx += {calls};\n~\nreturn x ^ y;'))
        return out

    def start(self):
        return ['for (u64 i = 0; i < 6; i++) @new_p(i + zero), @new_q(i), @new_r(i);']

    def state(self):
        return ['for (u64 i = 0; i < 18; i += 3) { struct @p *o = @slots[i]; ' + self.fields.state('o->') + ' h += o->type; }']

    def safe_mult(self):
        self.mult += 1
        return True


class Values(Cxx):
    """Structures by value in the library's templates, and behind its pointers."""

    def setup(self):
        super().setup()
        self.limit, self.mult, self.less = self.r.randint(6, 20), self.r.randint(2, 50), '<'
        self.key = next((f[1] for f in self.fields.list if f[2] == 1 and f[0] != 'double'), None)
        self.fields.seen |= {self.key} - {None}

    def items(self):
        key = self.key or 'id'
        members = '\n'.join(f"        {t} {n}{f'[{c}]' if c > 1 else ''}{{}};" for t, n, c in self.fields.list)
        return [self.class_('@V', 'struct @V', ('' if self.key else '        u32 id{};\n') + members + f'\n        bool operator<(const @V &o) const {{\n                return {key} {self.less} o.{key};\n        }}'),
                self.var('@list', 'static std::vector<@V> @list;'), self.var('@map', 'static std::map<u64, @V> @map;'), self.var('@ptr', 'static std::shared_ptr<@V> @ptr;\nstatic std::unique_ptr<@V[]> @room;'),
                self.fn('@fill', 'void', '@V *o, u64 b', 'u64 x = b, y = 1;\n~\n' + self.touch('fill'), tail='return;'),
                self.fn('@read', 'u64', 'const @V *p, u64 b', 'u64 x = b, y = 1;\n@V t = *p, *o = &t;\n~\n' + self.touch('read') + '\nreturn x ^ y;'),
                self.fn('@push', 'void', 'u64 b', f'u64 x = b, y = 1;\n~\n@V v;\n@fill(&v, x);\nif (@list.size() < {self.limit})\n        @list.push_back(v);\nelse\n        @list[y % @list.size()] = v;\n@map[b % 13] = v;\n@room[b % 8] = v;\nif (b % 5 == 0)\n        @ptr = std::make_shared<@V>(v);', tail='y++;'),
                self.fn('@sum', 'u64', 'u64 b', f'u64 x = b, y = {self.mult};\nfor (auto &v : @list)\n        x = hash_add(x, @read(&v, b));\nfor (auto &p : @map)\n        y += @read(&p.second, x) + p.first;\nif (@ptr)\n        @fill(@ptr.get(), x);\n~\nreturn x ^ y ^ @read(&@room[b % 8], b);'),
                self.fn('@step', 'u64', 'u64 k', 'u64 x = k, y = 1;\n@push(k);\nif (k % 7 == 0 && @list.size() > 3)\n        @list.erase(@list.begin());\nif (@list.size() > 2 && @list.back() < @list.front())\n        x++;\n~\nreturn x ^ @sum(y);')]

    def start(self):
        return ['@room.reset(new @V[8]());', 'for (u64 i = 0; i < 6; i++) @push(i * 3 + zero);']

    def state(self):
        return ['for (auto &v : @list) { const @V *o = &v; ' + self.fields.state('o->') + ' h += !!o; }']

    def safe_limit(self):
        self.limit -= 1
        return True

    def safe_mult(self):
        self.mult += 1
        return True


ALL = [Control, Ambient, Standing, Generic, Values]
