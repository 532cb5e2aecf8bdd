# SPDX-License-Identifier: Apache-2.0
"""Shapes in C++."""

from shape import Class, Fields, Record, Shape, WORDS


class Cxx(Record):
    lang = 'cxx'

    def class_(self, name, head, text):
        return Class(self.fill(name), self.fill(head), self.fill(text))

    def method(self, cls, name, ret, params, text, **more):
        made = self.fn(f'{cls}::{name}', ret, params, text, of=cls, **more)
        made.name = name
        return made


class Virtual(Cxx):
    """Classes with virtual functions, whose objects are old when the code is new."""

    def setup(self):
        super().setup()
        self.virtuals = [f'v{i}' for i in range(self.r.randint(2, 5))]
        self.classes = [f'D{i}' for i in range(self.r.randint(2, 4))]
        self.over = {c: sorted(self.r.sample(self.virtuals, self.r.randint(1, len(self.virtuals)))) for c in self.classes}
        self.own = {c: Fields(self.r, self.r.randint(1, 3), 'w') for c in self.classes}
        self.called = list(self.virtuals)
        self.late, self.dtor = set(), self.r.random() < 0.6
        self.mult = {c: self.r.randint(2, 90) for c in self.classes}

    def items(self):
        fns = []
        out = [self.class_('@Base', 'struct @Base', self.fields.text() + ('\n        virtual ~@Base() {}' if self.dtor else ''))]
        for v in self.virtuals:
            fns.append(self.method('@Base', v, 'u64', 'u64 b', 'u64 x = b, y = 3;\n~\n' + self.touch(f'Base{v}', 'this->') + '\nreturn x ^ y;', virtual=True))
        for c in self.classes:
            out.append(self.class_('@' + c, f'struct @{c} : @Base', self.own[c].text()))
            for v in self.virtuals:
                body = f'u64 x = b, y = {self.mult[c]};\n~\n' + self.own[c].lines(c + v, 'this->', 1) + '\n' + self.touch(c + v, 'this->', 1) + '\nreturn x * y;'
                if v in self.over[c]:
                    fns.append(self.method('@' + c, v, 'u64', 'u64 b', body, virtual=True))
                elif (c, v) in self.late:
                    hidden = self.method('@' + c, v, 'u64', 'u64 b', f'return @Base::{v}(b);', virtual=True, hidden=True)
                    fns.append(hidden)
        make = '\n'.join(f'case {i}:\n        o = new @{c}();\n        break;' for i, c in enumerate(self.classes))
        call = '\n'.join(f'x = hash_add(x, o->{v}(y));' for v in self.called)
        out += fns
        out += [self.var('@all', 'static @Base *@all[16];'),
                self.fn('@make', '@Base *', 'u64 k', f'u64 x = k, y = 1;\n@Base *o = nullptr;\n~\nswitch (k % {len(self.classes)}) {{\n{make}\n}}\nif (x == y)\n        note("same");\nreturn o;', tail='y++;'),
                self.fn('@use', 'u64', '@Base *o, u64 b', f'u64 x = b, y = 0;\n~\n{call}\n' + self.touch('use') + '\nreturn x ^ y;'),
                self.fn('@step', 'u64', 'u64 k', 'u64 x = k, y = 1;\nif (k % 7 == 0)\n        @all[k % 16] = @make(k);\nfor (u32 i = 0; i < 16; i++)\n        x = hash_add(x, @use(@all[i], k));\n~\nreturn x ^ y;')]
        return out

    def start(self):
        return ['for (u64 i = 0; i < 16; i++) @all[i] = @make(i * 3 + zero);']

    def state(self):
        return ['for (u64 i = 0; i < 16; i++) { @Base *o = @all[i]; ' + self.fields.state('o->') + ' h += !!o; }']

    def never_virtual_inserted(self):
        self.virtuals.insert(self.r.randrange(len(self.virtuals)), 'vn')
        self.called.append('vn')
        return True

    def never_virtual_appended(self):
        self.virtuals.append('vz')
        self.called.append('vz')
        return True

    def never_virtuals_exchanged(self):
        i, j = self.r.sample(range(len(self.virtuals)), 2)
        self.virtuals[i], self.virtuals[j] = self.virtuals[j], self.virtuals[i]
        return True

    def never_virtual_removed(self):
        v = self.r.choice(self.virtuals[:-1])
        self.virtuals.remove(v)
        self.called.remove(v)
        for c in self.classes:
            self.over[c] = [w for w in self.over[c] if w != v]
        return True

    def never_own_member(self):
        c = self.r.choice([c for c in self.classes if self.over[c]])
        self.own[c].edit_middle()
        return True

    def safe_class_added(self):
        c = f'D{len(self.classes)}z'
        self.own[c], self.over[c], self.mult[c] = Fields(self.r, 2, 'w'), [self.r.choice(self.virtuals)], 77
        self.classes.append(c)
        return True

    def safe_mult(self):
        self.mult[self.r.choice(self.classes)] += 2
        return True


class Overridden(Virtual):
    """The same, where a class overrides one more function: the tables of old objects would have to change."""

    def setup(self):
        super().setup()
        free = [(c, v) for c in self.classes for v in self.virtuals if v not in self.over[c]]
        if not free:
            c = self.classes[0]
            v = self.over[c].pop()
            free = [(c, v)]
        self.late = {self.r.choice(free)}

    def safe_override(self):
        for c, v in self.late:
            if v in self.over[c]:
                return False
            self.over[c].append(v)
        return True


class Containers(Cxx):
    """Members that are strings, vectors and maps; their templates are everybody's."""

    def setup(self):
        super().setup()
        self.members = [['std::string', 'name'], ['std::vector<$e>', 'list'], ['std::map<std::string, $v>', 'byname'], ['std::vector<std::string>', 'lines']]
        self.r.shuffle(self.members)
        self.members += [['u64', 'total']]
        self.e, self.v = self.r.choice(['u32', 'u64', 'u16']), self.r.choice(['u64', 'u32'])
        self.limit, self.word = self.r.randint(5, 30), self.r.choice(WORDS)
        self.noise_in = self.r.random() < 0.5

    def items(self):
        members = '\n'.join(f'        {self.fill(t)} {n}{{}};' for t, n in self.members) + '\n' + '\n'.join(f"        {t} {n}{f'[{c}]' if c > 1 else ''}{{}};" for t, n, c in self.fields.list)
        return [self.class_('@Box', 'struct @Box', members),
                self.method('@Box', 'add', 'void', 'u64 b', f'u64 x = b, y = 2;\n~\nif (list.size() < {self.limit})\n        list.push_back(x);\nelse\n        list[x % list.size()] ^= y;\nbyname[name + std::to_string(b % 9)] += x & 255;\n' + self.touch('add', 'this->'), tail='y++;'),
                self.method('@Box', 'say', 'u64', 'const std::string &s, u64 b', f'u64 x = b, y = s.size();\nstd::string t = s + "{self.word}" + std::to_string(list.size());\nif (lines.size() < {self.limit})\n        lines.push_back(t);\n~\nreturn x ^ y ^ hash_str(t.c_str());'),
                self.method('@Box', 'sum', 'u64', '', 'u64 x = 0, y = total;\nfor (auto v : list)\n        x = x * 3 + v;\nfor (auto &p : byname)\n        y = y * 5 + p.second + p.first.size();\nfor (auto &s : lines)\n        x ^= hash_str(s.c_str());\n~\ntotal += x & 7;\n' + self.touch('sum', 'this->') + '\nreturn x ^ y;'),
                self.var('@all', 'static @Box *@all[5];'), self.var('@shared', 'static std::map<u64, std::string> @shared;'),
                self.fn('@step', 'u64', 'u64 k', 'u64 x = k, y = 1;\n@Box *o = @all[k % 5];\no->add(k);\nx += o->say(@shared[k % 11], k) + o->sum();\n@shared[k * 3 % 11] += char(\'a\' + k % 26);\nif (@shared[k % 11].size() > 20)\n        @shared.erase(k % 11);\n~\nreturn x ^ y;')]

    def start(self):
        return ['for (u64 i = 0; i < 5; i++) { @all[i] = new @Box; @all[i]->name = i & 1 ? "box" : "a box with a long name of its own"; @all[i]->add(i + zero); }']

    def state(self):
        return ['for (u64 i = 0; i < 5; i++) { @Box *o = @all[i]; ' + self.fields.state('o->') + ' h += o->total; }', 'for (auto &p : @shared) h = hash_add(h, p.first + hash_str(p.second.c_str()));']

    def never_element(self):
        self.e = {'u16': 'u32', 'u32': 'u64', 'u64': 'u32'}[self.e]
        return True

    def never_members_exchanged(self):
        i, j = self.r.sample(range(4), 2)
        self.members[i], self.members[j] = self.members[j], self.members[i]
        return True

    def never_member_added(self):
        self.members.insert(self.r.randint(0, 4), ['std::string', 'extra'])
        return True

    def safe_limit(self):
        self.limit -= 1
        return True

    def safe_word(self):
        self.word += ' changed'
        return True


class Thrown(Cxx):
    """Exceptions thrown, passed through and caught; destructors that run on the way."""

    def setup(self):
        super().setup()
        self.depth, self.at, self.types = self.r.randint(3, 6), self.r.randint(3, 9), ['E0', 'E1', 'E2']
        self.caught = self.r.sample(self.types, 2)
        self.weight = self.r.randint(1, 50)
        self.own = Fields(self.r, 2, 'w')

    def items(self):
        out = [self.class_('@E', 'struct @E', '        u64 code;\n        @E(u64 c) : code(c) {}\n        virtual ~@E() {}\n        virtual u64 what() const {\n                return code;\n        }')]
        for i, t in enumerate(self.types):
            out.append(self.type('@' + t, f'struct @{t} : @{"E" if i != 1 else "E0"} {{\n        std::string text;\n        @{t}(u64 c) : @{"E" if i != 1 else "E0"}(c), text(c & 1 ? "odd" : "a long text about an even number") {{}}\n        u64 what() const override {{\n                return code * {i + 3} + text.size();\n        }}\n}};'))
        out.append(self.type('@Guard', 'static u64 @undone;\nstruct @Guard {\n        u64 v;\n        ~@Guard() {\n                @undone += v;\n        }\n};'))
        out += [self.class_('@O', 'struct @O', self.fields.text()), self.var('@o', 'static @O *@o;'),
                self.fn('@throw', 'void', 'u64 a, u64 b', f'u64 x = a, y = b;\n~\nif (b % {self.at} == 0)\n        throw @E0(x);\nif (b % {self.at} == 1)\n        throw @E1(y);\nif (b % {self.at} == 2)\n        throw @E2(x ^ y);\nif (b % 29 == 3)\n        throw 5;', tail='throw @E1(77);')]
        for i in range(self.depth):
            inner = f'@f{i - 1}(x, y)' if i else '(@throw(x, b), x)'
            catch = i == self.depth // 2
            if catch:
                body = f'u64 x = a, y = b;\n@Guard g{{ a % 5 }};\n~\ntry {{\n        @Guard h{{ 3 }};\n        x += {inner};\n}} catch (const @{self.caught[0]} &e) {{\n        y += e.what() * {self.weight};\n        if (y % 3 == 0)\n                throw;\n}}\n' + 'auto o = @o;\n' + self.touch(f'f{i}') + '\nreturn x ^ y;'
            else:
                body = f'u64 x = a, y = b;\n@Guard g{{ {i + 1} }};\nstd::string s(b % 40, \'x\');\n~\nx += {inner} + s.size();\n' + 'auto o = @o;\n' + self.touch(f'f{i}') + '\nreturn x ^ y;'
            out.append(self.fn(f'@f{i}', 'u64', 'u64 a, u64 b', body))
        out.append(self.fn('@step', 'u64', 'u64 k', f'u64 x = k, y = 1;\nfor (u32 i = 0; i < 4; i++)\n        try {{\n                x = hash_add(x, @f{self.depth - 1}(k, k + i));\n        }} catch (const @{self.caught[1]} &e) {{\n                y += e.what();\n        }} catch (const @E &e) {{\n                y ^= hash_str(typeid(e) == typeid(@E2) ? "two" : "other") + e.code;\n        }} catch (...) {{\n                y++;\n        }}\n~\nreturn x ^ y ^ @undone;'))
        return out

    def start(self):
        return ['@o = (@O *)calloc(1, sizeof(@O));', 'if (zero) @undone = zero, @o = nullptr;', '@step(3 + zero);']

    def state(self):
        return ['h += @undone; { @O *o = @o; ' + self.fields.state('o->') + ' h += !!o; }']

    def safe_weight(self):
        self.weight += 3
        return True

    def safe_at(self):
        self.at += 1
        return True

    def safe_caught(self):
        self.caught = [self.caught[1], self.caught[0]]
        return True


class Statics(Cxx):
    """Static locals with guards, inline variables, statics of templates, and thread-local objects."""

    def setup(self):
        super().setup()
        self.args = [self.r.randint(1, 90) for _ in range(2)]
        self.shared, self.kinds = self.r.randint(1, 60), ['u8', 'u64']
        self.f = self.r.randint(1, 9)
        self.once, self.grow = True, 0

    def items(self):
        self.count = self.shared
        out = [self.class_('@T', 'struct @T', self.fields.text() + '\n        std::string name;\n        @T(u64 a) : name(std::to_string(a)) {\n                memset((void *)&' + self.fields.list[0][1] + ', 0, sizeof(' + self.fields.list[0][1] + '));\n                ' + self.zeroed() + '\n        }\n        ~@T() {\n                name = "gone";\n        }'),
               self.type('@inline', f'inline u64 @total = {self.shared};\ntemplate <class T> struct @Count {{\n        static inline u64 n = {self.shared + 1};\n        static u64 next(u64 b) {{\n                static u64 calls = sizeof(T);\n                n += b & 3;\n                return calls++ ^ n;\n        }}\n}};\ntemplate <class T> T &@single() {{\n        static T one{{ {self.args[0]} }};\n        return one;\n}}'),
               self.fn('@kept', '@T &', 'u64 b', 'u64 x = b, y = 1;\n~\nif (x == y)\n        @one.name += "y";\nreturn @one;', tail='return @one;',
                       statics=[('@T', '@one', f'({self.args[1]} + fuel / 100000)')]) if self.once else None,
               self.fn('@tick', 'u64', 'T v, u64 b', f'u64 x = b + v, y = {self.f};\n~\nx += @Count<T>::next(x);\nreturn x ^ y;', before='template <class T> ', attr='NOINLINE '),
               self.var('@tls', 'static thread_local u64 @tls = 4;'), self.var('@others', 'static thread_local std::string @text;'),
               self.fn('@use', 'u64', '@T &t, u64 b', 'u64 x = b, y = 1;\n@T *o = &t;\n~\nif (t.name.size() < 30)\n        t.name += char(\'a\' + b % 26);\n' + self.touch('use') + '\nreturn x ^ y ^ hash_str(t.name.c_str());')]
        more = ''.join(f' + @tick<{k}>(x, k)' for k in self.kinds)
        out.append(self.fn('@step', 'u64', 'u64 k', f'u64 x = k, y = 1;\n@total += k & 15;\nx += @use(@kept(k), k) + @use(@single<@T>(), x){more};\n@tls += x & 3;\n@text = std::to_string(@tls);\ny += @text.size() + @tls;\n~\nreturn x ^ y ^ @total;'))
        return [i for i in out if i]

    def zeroed(self):
        return ' '.join(f'memset((void *)&{n}, 0, sizeof({n}));' for t, n, c in self.fields.list[1:])

    def start(self):
        return ['if (zero) @tls = @total = zero;', '@step(3 + zero);']

    def state(self):
        return ['h += @total + @tls + @Count<u8>::n; { @T *o = &@single<@T>(); ' + self.fields.state('o->') + ' h += !!o; }']

    def never_initial(self):
        self.shared += 5
        return True

    def safe_instance(self):
        if len(self.kinds) > 2:
            return False
        self.kinds.append(self.r.choice(['u16', 'u32']))
        return True

    def safe_argument(self):
        self.args[1] += 1
        return True

    def safe_f(self):
        self.f += 1
        return True


class Functions(Cxx):
    """Lambdas that are kept in std::function: their captures are old when their code is new."""

    def setup(self):
        super().setup()
        self.captures = {i: self.r.sample(['u64 p', 'u32 q', 'u16 w'], self.r.randint(1, 2)) for i in range(3)}
        self.mult = [self.r.randint(2, 80) for _ in range(3)]
        self.extra = self.r.random() < 0.5

    def items(self):
        out = [self.class_('@H', 'struct @H', '        std::function<u64(u64)> run;\n' + self.fields.text()), self.var('@all', 'static @H *@all[9];'), self.var('@queue', 'static std::vector<std::function<u64(u64)>> @queue;')]
        cases = ''
        for i, c in self.captures.items():
            names = [p.split()[1] for p in c]
            out.append(self.fn(f'@body{i}', 'u64', 'u64 a, ' + ', '.join(c), f'u64 x = a, y = {self.mult[i]};\n~\nreturn x * y + ' + ' + '.join(names) + ';', attr='static '))
            cases += f'case {i}: {{\n' + ''.join(f'        {p} = b * {n + 3};\n' for n, p in enumerate(c)) + f'        return [{", ".join(names)}](u64 a) {{ return @body{i}(a, {", ".join(names)}); }};\n}}\n'
        out += [self.fn('@make', 'std::function<u64(u64)>', 'u64 b', f'u64 x = b, y = 1;\n~\nif (x == y)\n        note("same");\nswitch (b % 3) {{\n{cases}}}\nreturn nullptr;', tail='return [](u64 a) { return a; };'),
                self.fn('@call', 'u64', '@H *o, u64 b', 'u64 x = b, y = 1;\n~\nif (o->run)\n        x += o->run(y);\n' + self.touch('call') + '\nreturn x ^ y;'),
                self.fn('@step', 'u64', 'u64 k', 'u64 x = k, y = 1;\nif (k % 4 == 0)\n        @all[k % 9]->run = @make(k);\nif (@queue.size() < 6)\n        @queue.push_back(@make(k));\nfor (u32 i = 0; i < 9; i++)\n        x = hash_add(x, @call(@all[i], k));\nfor (auto &f : @queue)\n        x = hash_add(x, f(y));\nif (k % 11 == 0)\n        @queue.erase(@queue.begin());\n~\nreturn x ^ y;')]
        return out

    def start(self):
        return ['for (u64 i = 0; i < 9; i++) { @all[i] = new @H(); @all[i]->run = @make(i + zero); }', '@queue.push_back(@make(5 + zero));']

    def state(self):
        return ['for (u64 i = 0; i < 9; i++) { @H *o = @all[i]; ' + self.fields.state('o->') + ' h += !!o; }']

    def never_capture_added(self):
        i = self.r.randrange(3)
        self.captures[i].insert(self.r.randint(0, len(self.captures[i])), 'u32 z')
        return True

    def never_captures_exchanged(self):
        i = [i for i, c in self.captures.items() if len(c) > 1]
        if not i:
            return False
        self.captures[self.r.choice(i)].reverse()
        return True

    def never_capture_widened(self):
        for c in self.captures.values():
            if 'u16 w' in c:
                c[c.index('u16 w')] = 'u64 w'
                return True
        return False

    def safe_mult(self):
        self.mult[self.r.randrange(3)] += 2
        return True


class Inherited(Cxx):
    """Several bases, virtual bases, and what objects say about their types."""

    def setup(self):
        super().setup()
        self.bases = ['A', 'B']
        self.virtual_ = self.r.choice(['', 'virtual '])
        self.own = Fields(self.r, 2, 'w')
        self.asked, self.n = self.r.sample(['A', 'B', 'Leaf'], 2), self.r.randint(1, 50)
        self.other = self.r.randint(2, 40)

    def items(self):
        v = self.virtual_
        out = [self.class_('@Root', 'struct @Root', self.fields.text() + '\n        virtual ~@Root() {}\n        virtual u64 id() const {\n                return 1;\n        }'),
               self.class_('@A', f'struct @A : {v}@Root', self.own.text() + '\n        u64 id() const override {\n                return 2;\n        }'),
               self.class_('@B', 'struct @B', '        u64 side;\n        virtual ~@B() {}'),
               self.class_('@Leaf', 'struct @Leaf : ' + ', '.join(f'@{b}' for b in self.bases), '        u64 tail;\n        u64 id() const override {\n                return 4;\n        }'),
               self.method('@A', 'grow', 'u64', 'u64 b', 'u64 x = b, y = 1;\n~\n' + self.own.lines('grow', 'this->') + '\nreturn x ^ y;', virtual=True),
               self.method('@B', 'side_of', 'u64', 'u64 b', f'u64 x = b, y = side;\n~\nside += {self.other};\nreturn x ^ y;', virtual=True),
               self.method('@Leaf', 'grow', 'u64', 'u64 b', 'u64 x = b, y = tail;\n~\ntail += x & 7;\nreturn x + @A::grow(y);', virtual=True),
               self.method('@Leaf', 'side_of', 'u64', 'u64 b', 'u64 x = b, y = tail;\n~\nreturn x * 3 + @B::side_of(y);', virtual=True),
               self.var('@all', 'static @Root *@all[8];'),
               self.fn('@make', '@Root *', 'u64 k', 'u64 x = k, y = 1;\n~\nif (x == y)\n        note("same");\nif (k % 3 == 0)\n        return new @A();\nif (k % 3 == 1)\n        return new @Leaf();\nreturn new @Root();', tail='y++;'),
               self.fn('@use', 'u64', '@Root *o, u64 b', f'u64 x = b, y = o->id();\nif (auto *a = dynamic_cast<@A *>(o))\n        x += a->grow(y);\nif (auto *l = dynamic_cast<@B *>(o))\n        y += l->side_of(x) * {self.n};\n~\nif (typeid(*o) == typeid(@{self.asked[0]}))\n        x ^= 5;\nif (dynamic_cast<@{self.asked[1]} *>(o))\n        y ^= 9;\n' + self.touch('use') + '\nreturn x ^ y;'),
               self.fn('@step', 'u64', 'u64 k', 'u64 x = k, y = 1;\nif (k % 6 == 0)\n        @all[k % 8] = @make(k);\nfor (u32 i = 0; i < 8; i++)\n        x = hash_add(x, @use(@all[i], k));\n~\nreturn x ^ y;')]
        return out

    def start(self):
        return ['for (u64 i = 0; i < 8; i++) @all[i] = @make(i + zero);']

    def state(self):
        return ['for (u64 i = 0; i < 8; i++) { @Root *o = @all[i]; ' + self.fields.state('o->') + ' h += o->id(); }']

    def never_bases(self):
        self.bases.reverse()
        return True

    def never_own_member(self):
        self.own.edit_middle()
        return True

    def safe_n(self):
        self.n += 1
        return True

    def safe_other(self):
        self.other += 1
        return True

    def safe_asked(self):
        self.asked.reverse()
        return True


ALL = [Virtual, Overridden, Containers, Thrown, Statics, Functions, Inherited]
