#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the scenarios: builds a target's versions, starts the old one, patches it while it works, and
asks it whether the new behaviour is there and nothing else broke. See README.md beside this file."""

import argparse, concurrent.futures, errno, fnmatch, hashlib, json, os, select, shlex, shutil, subprocess, sys, tempfile, threading, zlib

HERE = os.path.dirname(os.path.abspath(__file__))
SILENCE_SEC = int(os.environ.get('SCENARIO_SILENCE_SEC', 120))  # a target or tool that says nothing for so long hangs: the test's verdict, not its measure
KEYS = {'title', 'expect', 'source', 'cflags', 'cxxflags', 'ldflags', 'lib', 'host', 'libs', 'combos', 'only', 'needs', 'steps',
        'apply', 'advice', 'silent', 'deadline', 'accept', 'old-ldflags', 'new-ldflags', 'new-cflags', 'extra', 'self', 'todo'}
LEVELS = ['O0', 'O1', 'O2', 'O3', 'Os']
BASE = [f'{cc}-{o}' for cc in ('gcc', 'clang') for o in LEVELS]
EXTRA = ['gcc-O2-g', 'clang-O2-g', 'gcc-O0-g', 'gcc-O2-sym', 'gcc-O2-lto', 'clang-O2-lto', 'gcc-O2-nopie',
         'clang-O2-nopie', 'gcc-O0-nopie', 'gcc-O2-static', 'gcc-O2-staticpie', 'gcc-O2-cet', 'gcc-O3-nocet',
         'gcc-O2-noplt', 'gcc-O2-lazy', 'gcc-O2-fp', 'clang-O1-fp', 'gcc-Os-lto', 'gcc-O2-sections',
         'gcc-O2-gnu11', 'gcc-O3-native', 'gcc-O2-fortify']
TAG_C = {'g': ['-g'], 'sym': [], 'lto': ['-flto'], 'nopie': ['-fno-pie'], 'static': ['-fno-pie'],
         'staticpie': ['-fPIE'], 'cet': ['-fcf-protection=full'], 'nocet': ['-fcf-protection=none'],
         'noplt': ['-fno-plt'], 'lazy': [], 'fp': ['-fno-omit-frame-pointer'],
         'sections': ['-ffunction-sections', '-fdata-sections'], 'gnu11': ['-std=gnu11'], 'native': ['-mavx2'],
         'fortify': ['-D_FORTIFY_SOURCE=2', '-fstack-protector-strong', '-fstack-clash-protection']}
TAG_LD = {'lto': ['-flto'], 'nopie': ['-no-pie'], 'static': ['-static', '-no-pie'], 'staticpie': ['-static-pie'],
          'lazy': ['-Wl,-z,lazy'], 'sections': ['-Wl,--gc-sections']}


def text_of(*names):
    texts = []
    for name in names:
        with open(os.path.join(HERE, name)) as f:
            texts.append(f.read())
    return texts


HARNESS = text_of('harness.c', 'harness.h')


class Failed(Exception):
    pass


class Skipped(Exception):
    pass


class Blocked(Exception):
    pass


class Scenario:
    def __init__(self, folder):
        self.folder, self.name = folder, os.path.basename(folder)
        self.expect, self.keys, self.steps = [], {}, None
        with open(os.path.join(folder, 'scenario')) as f:
            for n, line in enumerate(f, 1):
                line = line.strip()
                if not line or line.startswith('#'):
                    continue
                key, _, value = line.partition(':')
                key, value = key.strip(), value.strip()
                base, _, pattern = key.partition('@')
                if base not in KEYS:
                    raise SystemExit(f'{self.name}/scenario:{n}: unknown key {key!r}')
                if base == 'expect':
                    self.expect.append((pattern or '*', value))
                elif base in ('steps', 'extra'):
                    self.keys[base] = self.keys.get(base, []) + [value]
                else:
                    self.keys[key] = value
        if not self.expect:
            raise SystemExit(f'{self.name}/scenario: no expect')

    def get(self, key, combo=None, default=''):
        if combo:
            for k, v in self.keys.items():
                base, _, pattern = k.partition('@')
                if base == key and pattern and matches(combo, pattern):
                    return v
        return self.keys.get(key, default)

    def expected(self, combo):
        """{'patched': set(), 'refused': {codes}, 'blocked': {codes}}: what the combination may end as."""
        value = [v for p, v in self.expect if matches(combo, p)][-1]
        out = {}
        for part in value.split('|'):
            word, _, codes = part.strip().partition(':')
            if word not in ('patched', 'refused', 'blocked'):
                raise SystemExit(f'{self.name}/scenario: expect {word!r}')
            out[word] = {c.strip() for c in codes.split(',') if c.strip()}
        return out

    def combos(self, every):
        pinned = self.get('combos').split()
        only = self.get('only').split()
        if every:
            pool = list(dict.fromkeys(pinned + (BASE + EXTRA if not self.get('combos@') else [])))
            return [c for c in pool if not only or any(matches(c, o) for o in only)]
        if pinned:
            return pinned
        pool = [c for c in BASE + EXTRA if not only or any(matches(c, o) for o in only)]
        seed, picked = zlib.crc32(self.name.encode()), []
        if 'gcc-O2' in pool:
            picked.append('gcc-O2')
            pool.remove('gcc-O2')
        for want in ('clang', 'gcc'):  # one of each besides, another for each scenario
            some = [c for c in pool if c.startswith(want)]
            if some:
                picked.append(some[seed % len(some)])
        return picked


def matches(combo, pattern):
    """A pattern is a glob over the combination's name, or words it must (or, with !, must not) be made of."""
    if fnmatch.fnmatch(combo, pattern):
        return True
    words, tags = combo.split('-'), pattern.split('+')
    return all((t[1:] not in words) if t.startswith('!') else (t in words) for t in tags)


def tool(argv, log, cwd=None, ok=(0,)):
    log.append('$ ' + ' '.join(shlex.quote(a) for a in argv))
    r = subprocess.run(argv, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=SILENCE_SEC * 5)
    text = r.stderr.decode(errors='replace') + ('' if '--json' in argv else r.stdout.decode(errors='replace')[:4000])
    if text.strip():
        log.append(text.rstrip())
    if ok is not None and r.returncode not in ok:
        raise Failed(f'{os.path.basename(argv[0])} {argv[1] if len(argv) > 1 else ""}: exit {r.returncode}')
    return r


class Builder:
    """Builds what a scenario needs into dir/v1, dir/v2, ...; dir/host when the subject is a library."""

    def __init__(self, scenario, combo, directory, objects, log):
        self.s, self.combo, self.dir, self.objects, self.log = scenario, combo, directory, objects, log
        words = combo.split('-')
        self.cc_name, self.level, self.tags = words[0], '-' + words[1], words[2:]
        self.subject = None

    def compiler(self, path):
        cxx = path.endswith('.cc')
        name = {'gcc': ('gcc', 'g++'), 'clang': ('clang', 'clang++')}[self.cc_name][cxx]
        if not shutil.which(name):
            raise Skipped(f'{name} is not installed')
        return name

    def flags(self, table):
        return [f for t in self.tags for f in table.get(t, [])]

    def command(self, source, version, directory, more):
        std = ['-std=gnu17'] if source.endswith('.c') and 'gnu11' not in self.tags else []
        return [self.compiler(source), *std, self.level, *self.flags(TAG_C), '-D_GNU_SOURCE', f'-DVERSION={version}', '-I' + HERE,
                '-w', '-pthread', *more, *shlex.split(self.s.get('cflags', self.combo)),
                *(shlex.split(self.s.get('cxxflags', self.combo)) if source.endswith('.cc') else []),
                *(shlex.split(self.s.get('new-cflags', self.combo)) if directory != f'{self.dir}/v1' else []), '-c', source]

    def compile(self, source, out, version, more=()):
        if not os.path.exists(out):
            tool([*self.command(source, version, os.path.dirname(out), more), '-o', out], self.log)
        return out

    def harness(self, directory, more):
        """Its object: compiled once for all versions and scenarios that have it built in the same way."""
        command = self.command(os.path.join(HERE, 'harness.c'), 1, directory, more)
        out = os.path.join(self.objects, hashlib.sha256(repr((HARNESS, os.stat(shutil.which(command[0])).st_mtime_ns, command)).encode())
                           .hexdigest()[:20] + '.o')
        if not os.path.exists(out):
            mine = f'{out}.{os.getpid()}.{threading.get_native_id()}'
            tool([*command, '-o', mine], self.log)
            os.rename(mine, out)
        return out

    def strip(self, path):
        if 'g' not in self.tags and 'sym' not in self.tags:
            tool(['strip', '--strip-all' if not path.endswith('.o') else '-g', path], self.log)

    def sources(self, key, default):
        names = self.s.get(key, self.combo).split() or default
        out = [os.path.normpath(os.path.join(self.s.folder, n)) for n in names]
        for n in out:
            if not os.path.exists(n):
                raise Failed(f'{n}: no such file')
        return out

    def default_source(self, stem):
        for ext in ('.c', '.cc', '.rs'):
            if os.path.exists(os.path.join(self.s.folder, stem + ext)):
                return [stem + ext]
        return []

    def link(self, objects, out, cxx, more):
        cc = {'gcc': ('gcc', 'g++'), 'clang': ('clang', 'clang++')}[self.cc_name][cxx]
        tool([cc, self.level, *self.flags(TAG_LD), '-pthread', *objects, '-o', out, *more], self.log)
        self.strip(out)

    def version(self, v):
        d = os.path.join(self.dir, f'v{v}')
        os.makedirs(d, exist_ok=True)
        which = {1: 'old-ldflags'}.get(v, 'new-ldflags')
        ld = shlex.split(self.s.get('ldflags', self.combo) + ' ' + self.s.get(which, self.combo))
        ld = [a.replace('@DIR@', d) for a in ld]
        for extra in self.s.keys.get('extra', []):  # an auxiliary library: NAME SOURCE
            name, source = extra.split()
            path = os.path.join(self.dir, name)
            if not os.path.exists(path):
                o = self.compile(os.path.join(self.s.folder, source), path + '.o', 1, ['-fPIC'])
                tool([self.compiler(source), '-shared', o, '-o', path, '-Wl,-soname,' + name], self.log)
        ld = [a.replace('@AUX@', self.dir).replace('@SRC@', self.s.folder) for a in ld]
        if self.s.get('lib') or self.default_source('lib'):
            name = 'libsubject.so'
            objects, cxx = [], False
            for n, source in enumerate(self.sources('lib', self.default_source('lib'))):
                cxx |= source.endswith('.cc')
                objects.append(self.compile(source, f'{d}/lib{n}.o', v, ['-fPIC']))
            self.link(objects, f'{d}/{name}', cxx, ['-shared', '-Wl,-soname,' + name, *ld])
            self.subject = name
            if v == 1:
                self.host(d)
            return f'{d}/{name}'
        if self.default_source('target') == ['target.rs']:
            return self.rust(d, v)
        pic = [] if {'nopie', 'static', 'staticpie'} & set(self.tags) else ['-fPIE']
        if {'nopie', 'static', 'staticpie'} & set(self.tags) == set():
            ld = ld + ['-pie'] if '-no-pie' not in ld else ld
        objects, cxx = [], False
        for n, source in enumerate(self.sources('source', self.default_source('target'))):
            cxx |= source.endswith('.cc')
            objects.append(self.compile(source, f'{d}/target{n}.o', v, pic))
        objects.append(self.harness(d, pic))
        self.link(objects, f'{d}/target', cxx, ld)
        self.subject = 'target'
        return f'{d}/target'

    def host(self, libdir):
        sources = self.sources('host', self.default_source('host'))
        objects, cxx = [], False
        for n, source in enumerate(sources):
            cxx |= source.endswith('.cc')
            objects.append(self.compile(source, f'{self.dir}/host{n}.o', 1, ['-fPIE']))
        objects.append(self.harness(self.dir, ['-fPIE']))
        ld = ['-pie', '-ldl']
        if 'dlopen' not in self.s.get('libs'):
            ld += [f'-L{libdir}', '-Wl,--no-as-needed', '-lsubject', '-Wl,-rpath,$ORIGIN']
        self.link(objects, f'{self.dir}/host', cxx, ld)

    def rust(self, d, v):
        if not shutil.which('rustc'):
            raise Skipped('rustc is not installed')
        out = f'{d}/target'
        tool(['rustc', '--edition=2021', '-Copt-level=' + self.level[2:], '-Ccodegen-units=1', '-Cdebuginfo=0',
              *(['-Ctarget-feature=+crt-static'] if 'staticpie' in self.tags else []),
              *(['-Cprefer-dynamic', '-Crpath'] if 'sharedstd' in self.tags else []), *(['--cfg', 'new'] if v > 1 else []), '-o', out, os.path.join(self.s.folder, 'target.rs')], self.log)
        self.strip(out)
        self.subject = 'target'
        return out


class Target:
    """A running target and the conversation with it."""

    def __init__(self, directory, program, log):
        self.log = log
        env = dict(os.environ, SCENARIO_DIR=directory)
        log.append(f'$ {program}')
        while True:
            try:
                self.p = subprocess.Popen([program], cwd=directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env,
                                          start_new_session=True)
                break
            except OSError as e:
                # Another run of this runner forked while the copy was open for writing; it lets go when it execs.
                if e.errno != errno.ETXTBSY:
                    raise
                os.sched_yield()
        self.buffer = b''
        self.pids = []

    def line(self):
        while b'\n' not in self.buffer:
            ready, _, _ = select.select([self.p.stdout], [], [], SILENCE_SEC)
            if not ready:
                raise Failed(f'the target said nothing for {SILENCE_SEC} s: {self.states()}')
            got = os.read(self.p.stdout.fileno(), 65536)
            if not got:
                self.p.wait()
                raise Failed(f'the target ended: status {self.p.returncode}')
            self.buffer += got
        text, _, self.buffer = self.buffer.partition(b'\n')
        text = text.decode(errors='replace')
        self.log.append('< ' + text)
        if text.startswith('SKIP '):
            raise Skipped(text[5:])
        return text

    def states(self):
        out = []
        for pid in self.pids or [self.p.pid]:
            try:
                for tid in sorted(os.listdir(f'/proc/{pid}/task'))[:8]:
                    with open(f'/proc/{pid}/task/{tid}/stat') as f:
                        out.append(f'{tid}:{f.read().rpartition(")")[2].split()[0]}')
            except OSError:
                out.append(f'{pid}:gone')
        return ' '.join(out)

    def ready(self):
        words = self.line().split()
        if not words or words[0] != 'READY':
            raise Failed(f'no READY but {" ".join(words)}')
        self.pids = [int(w) for w in words[1:]]

    def ask(self, command):
        self.log.append('> ' + command)
        try:
            self.p.stdin.write((command + '\n').encode())
            self.p.stdin.flush()
        except BrokenPipeError:
            self.p.wait()
            raise Failed(f'the target ended before {command!r}: status {self.p.returncode}')
        text = self.line()
        if text != 'ok':
            raise Failed(f'{command!r}: {text}')

    def quit(self):
        try:
            self.p.stdin.write(b'quit\n')
            self.p.stdin.close()
        except (BrokenPipeError, ValueError):
            pass
        try:
            self.p.wait(SILENCE_SEC)
        except subprocess.TimeoutExpired:
            raise Failed(f'the target does not end: {self.states()}')
        rest = self.buffer + self.p.stdout.read()
        if rest.strip():
            self.log.append('< ' + rest.decode(errors='replace').strip())
        if self.p.returncode:
            raise Failed(f'the target ended with status {self.p.returncode} {rest.decode(errors="replace").strip()}')

    def end(self):
        if self.p.poll() is None:
            try:
                os.killpg(self.p.pid, 9)
            except ProcessLookupError:
                pass
            self.p.wait()
        self.p.stdout.close()


class Run:
    def __init__(self, scenario, combo, staunch, objects, keep=False):
        self.s, self.combo, self.staunch, self.objects = scenario, combo, staunch, objects
        self.log, self.keep = [], keep
        self.dir = tempfile.mkdtemp(prefix=f'scenario-{scenario.name}-')
        os.chmod(self.dir, 0o755)
        self.target, self.paths, self.outcome = None, {}, None
        self.const_left = False
        self.pauses = []
        self.may_block = set()

    # -- the parts of a run ---------------------------------------------------------------------
    def needs(self):
        for need in self.s.get('needs').split():
            if need == 'root' and os.geteuid() != 0:
                raise Skipped('needs root')
            if need == 'm32':
                probe = subprocess.run(['gcc', '-m32', '-x', 'c', '-', '-o', '/dev/null'], input=b'#include <stdio.h>\nint main(void){return 0;}\n',
                                       stderr=subprocess.DEVNULL)
                if probe.returncode:
                    raise Skipped('gcc -m32 does not work (gcc-multilib is not installed)')
            if need.startswith('cpu-'):
                with open('/proc/cpuinfo') as f:
                    if f' {need[4:]} ' not in f.read().replace('\n', ' '):
                        raise Skipped(f'the processor has no {need[4:]}')

    def build(self, v):
        if v not in self.paths:
            self.paths[v] = self.builder.version(v)
        return self.paths[v]

    def start(self, v=1):
        self.build(1)  # a library's host is linked with its first version
        path = self.build(v)
        live = os.path.join(self.dir, 'live')
        shutil.rmtree(live, ignore_errors=True)
        os.makedirs(live)
        shutil.copy(path, os.path.join(live, self.builder.subject))
        for extra in self.s.keys.get('extra', []):
            shutil.copy(os.path.join(self.dir, extra.split()[0]), live)
        program = os.path.join(live, 'target')
        if self.builder.subject != 'target':
            program = os.path.join(live, 'host')
            shutil.copy(os.path.join(self.dir, 'host'), program)
        self.target = Target(live, program, self.log)
        self.target.ready()

    def swap(self, v):
        live = os.path.join(self.dir, 'live')
        fresh = os.path.join(live, '.new')
        shutil.copy(self.build(v), fresh)
        os.rename(fresh, os.path.join(live, self.builder.subject))

    def json(self, argv, ok):
        r = tool([self.staunch, *argv, '--json'], self.log, ok=ok)
        try:
            return json.loads(r.stdout.decode()), r.returncode
        except ValueError:
            raise Failed(f'{argv[0]} --json: not JSON: {r.stdout[:200]!r}')

    def pid_args(self):
        return [a for p in self.target.pids for a in ('--pid', str(p))]

    def diff(self, old, new):
        """('hotpatch' | 'restart' | ..., {codes of kind update})"""
        out, code = self.json(['diff', self.build(old), self.build(new)], (0, 3))
        pair = out['pairs'][0]
        findings = pair['findings']
        self.log.append(f"  verdict {pair['verdict']} grade {pair.get('grade')} {pair.get('functions')} "
                        + ' '.join(f"{f['code']}({f['subject']}: {f['detail']})" for f in findings))
        codes = {f['code'] for f in findings if f['kind'] != 'advice'}
        if (pair['verdict'] in ('restart', 'unsupported')) != (code == 3):
            raise Failed(f"diff: verdict {pair['verdict']} but exit {code}")
        self.const_left = any(f['code'] == 'const-left' for f in findings)
        self.advice = {f['code'] for f in findings if f['kind'] == 'advice'}
        self.grade = pair.get('grade')
        return pair['verdict'], codes

    def patch(self, v):
        patch = os.path.join(self.dir, f'patch-{v}.spatch')
        if not os.path.exists(patch):
            accept = [a for c in self.s.get('accept').split() for a in ('--accept', c)]
            tool([self.staunch, 'build', self.build(1), self.build(v), '-o', patch, *accept], self.log)
        return patch

    def deadline(self):
        return self.s.get('deadline', default='10')

    def outcomes(self, out, want):
        if not out['processes']:
            raise Failed('no process in the answer')
        for p in out['processes']:
            if p.get('pause_usec') is not None and p['outcome'] == 'patched':
                self.pauses.append(p['pause_usec'])
            if p['outcome'] not in want:
                refusal = p.get('refusal') or {}
                if p['outcome'] == 'refused' and refusal.get('code') in self.may_block:
                    raise Blocked(refusal['code'])
                raise Failed(f"process {p['pid']}: {p['outcome']} {refusal.get('code', '')} "
                             f"{refusal.get('subject', '')} {refusal.get('detail', '')}")

    def apply(self, v, want=('patched',)):
        ok = (3,) if 'refused' in want else (0,)
        out, _ = self.json(['apply', self.patch(v), *self.pid_args(), '--deadline', self.deadline()], (0, 1, 3))
        self.outcomes(out, want)
        return out

    def converge(self, v):
        self.swap(v)
        accept = [a for c in self.s.get('accept').split() for a in ('--accept', c)]
        out, code = self.json(['converge', *self.pid_args(), '--deadline', self.deadline(), *accept], (0, 1, 3, 4))
        found = [i for p in out['processes'] for i in p['images'] if i['outcome'] != 'current']
        for f in (f for i in found for f in i.get('findings') or []):
            if f['kind'] == 'process' and f['code'] in self.may_block:
                raise Blocked(f['code'])
        if len({p['pid'] for p in out['processes'] if any(i['outcome'] == 'patched' for i in p['images'])}) != \
                len(self.target.pids) or any(i['outcome'] != 'patched' for i in found) or code != 4:
            raise Failed('converge: exit %d, %s' % (code, json.dumps(found)[:600]))

    def verify(self, patched=True):
        tool([self.staunch, 'verify', *self.pid_args()], self.log)
        out, _ = self.json(['status', *self.pid_args()], (0,))
        by_pid = {p['pid']: p['patches'] for p in out['processes']}
        for pid in self.target.pids:
            active = [q for q in by_pid.get(pid, []) if q['state'] == 'active']
            if bool(active) != patched:
                raise Failed(f'status of {pid}: {len(active)} active patches')
            for q in active:
                if q['sites'] < 1 or q['sites'] != q['sites_intact']:
                    raise Failed(f"status of {pid}: {q['sites_intact']} of {q['sites']} sites intact")

    def blocked(self, v, codes, patched=False):
        out, _ = self.json(['apply', self.patch(v), *self.pid_args(), '--deadline', self.deadline()], (1, 3))
        self.outcomes(out, ('refused',))
        got = {(p.get('refusal') or {}).get('code') for p in out['processes']}
        if not got <= codes:
            raise Failed(f'refused with {got}, want one of {codes}')
        self.verify(patched=patched)

    def revert(self):
        out, _ = self.json(['revert', *self.pid_args(), '--deadline', self.deadline(), '--accept', 'revert-unproved'], (0, 1, 3))
        self.outcomes(out, ('reverted',))

    def check(self, words):
        flags = ' const-left' if self.const_left else ''
        self.target.ask('check ' + words + flags)

    def step(self, words):
        verb, _, rest = words.partition(' ')
        if verb == 'check':
            self.check(rest)
        elif verb == 'swap':
            self.swap(int(rest))
        elif verb == 'apply':
            self.apply(int(rest))
        elif verb == 'apply-current':
            self.apply(int(rest), ('current',))
        elif verb == 'apply-blocked':
            v, _, codes = rest.partition(' ')
            self.blocked(int(v), set(codes.split(',')))
        elif verb == 'apply-stays':
            v, _, codes = rest.partition(' ')
            self.blocked(int(v), set(codes.split(',')), patched=True)
        elif verb == 'converge':
            self.converge(int(rest))
        elif verb == 'revert':
            self.revert()
        elif verb == 'verify':
            self.verify(patched=rest != 'none')
        elif verb == 'send':
            self.target.ask('send ' + rest)
        elif verb == 'ready':
            self.target.ready()
        elif verb == 'delete':
            os.unlink(os.path.join(self.dir, 'live', self.builder.subject))
        else:
            raise SystemExit(f'{self.s.name}/scenario: step {words!r}')

    # -- whole runs -----------------------------------------------------------------------------
    def self_check(self):
        """Each version by itself, unpatched: is the target right about itself?"""
        versions = sorted({1, 2} | {int(w.split()[1]) for line in self.s.keys.get('steps', [])
                                    for w in line.split(';') if w.split()[0] in ('apply', 'converge')})
        if self.s.get('self') == 'old':  # the new version cannot run here by itself
            versions = [1]
        for v in versions:
            self.start(v)
            self.target.ask(f'check {v}')
            self.target.ask(f'check {v}')
            self.target.quit()
            self.target.end()
        self.outcome = 'ok'

    def patched(self, blocked):
        if blocked is not None and not self.s.keys.get('steps'):
            steps = ['check 1', 'swap 2', 'apply-blocked 2 ' + ','.join(sorted(blocked)), 'check 1']
        elif self.s.keys.get('steps'):
            steps = [w.strip() for line in self.s.keys['steps'] for w in line.split(';') if w.strip()]
        elif self.s.get('apply') == 'converge' or zlib.crc32(self.s.name.encode()) % 4 == 0 and 'apply' not in self.s.keys:
            steps = ['check 1', 'converge 2', 'check 2', 'verify', 'revert', 'check 1', 'verify none']
        else:
            steps = ['check 1', 'swap 2', 'apply 2', 'check 2', 'verify', 'revert', 'check 1', 'verify none', 'apply 2', 'check 2']
        self.start()
        for words in steps:
            self.step(words)
        self.target.quit()

    def run(self):
        expected = self.s.expected(self.combo)
        if 'blocked' in expected and self.s.get('apply') == 'no-diff':
            verdict, codes = 'hotpatch', set()
        else:
            verdict, codes = self.diff(1, 2)
        accepted = set(self.s.get('accept').split())
        if verdict in ('hotpatch', 'unchanged') or codes <= accepted:
            if 'patched' not in expected and 'blocked' not in expected:
                raise Failed(f'WRONG HOTPATCH: verdict {verdict}, must be refused with one of '
                             + ', '.join(sorted(expected['refused'])))
            if verdict == 'unchanged':
                raise Failed('WRONG: verdict unchanged')
            for code in self.s.get('advice').split():
                if code not in self.advice:
                    raise Failed(f'no advice {code}')
            for code in self.s.get('silent').split():
                if code in self.advice:
                    raise Failed(f'advice {code}')
            if 'patched' not in expected:
                self.patched(expected['blocked'])
                self.outcome = 'blocked'
                return
            self.may_block = expected.get('blocked', set())
            try:
                self.patched(None)
                self.outcome = f'patched ({self.grade})'
            except Blocked as e:
                self.outcome = f'blocked {e}'
            return
        if 'refused' not in expected:
            raise Failed('needless restart: ' + ', '.join(sorted(codes)))
        if not codes & expected['refused']:
            raise Failed(f"refused with {', '.join(sorted(codes))}; want one of {', '.join(sorted(expected['refused']))}")
        build = tool([self.staunch, 'build', self.build(1), self.build(2), '-o', os.path.join(self.dir, 'refused')], self.log, ok=None)
        if build.returncode not in (3, 1 if verdict == 'unsupported' else 3) or os.path.exists(os.path.join(self.dir, 'refused')):
            raise Failed(f'build: exit {build.returncode} where diff refuses')
        self.outcome = 'refused ' + ','.join(sorted(codes))

    def diff_only(self):
        expected = self.s.expected(self.combo)
        verdict, codes = self.diff(1, 2)
        if verdict == 'restart':
            if 'refused' not in expected:
                raise Failed('needless restart: ' + ', '.join(sorted(codes)))
            if not codes & expected['refused']:
                raise Failed(f"refused with {', '.join(sorted(codes))}; want one of {', '.join(sorted(expected['refused']))}")
        elif verdict != 'hotpatch' or not expected.keys() & {'patched', 'blocked'}:
            raise Failed(f'WRONG HOTPATCH: verdict {verdict}')
        self.outcome = f'{verdict} ({self.grade}) ' + ','.join(sorted(codes))

    def go(self, mode):
        """('ok' | 'not ok' | 'skip', text)"""
        try:
            self.builder = Builder(self.s, self.combo, self.dir, self.objects, self.log)
            self.needs()
            {'self': self.self_check, 'diff': self.diff_only, 'run': self.run}[mode]()
            result = 'ok', self.outcome
        except Skipped as e:
            result = 'skip', str(e)
        except Failed as e:
            result = 'not ok', str(e)
        except subprocess.TimeoutExpired as e:
            result = 'not ok', f'{e.cmd[:2]} hangs'
        except (KeyError, IndexError, TypeError, OSError) as e:
            result = 'not ok', f'{type(e).__name__}: {e}'
        finally:
            if self.target:
                self.target.end()
            if not self.keep:
                shutil.rmtree(self.dir, ignore_errors=True)
            else:
                self.log.append(f'kept: {self.dir}')
        return result


def scenarios(names):
    out = [Scenario(os.path.join(HERE, n)) for n in sorted(os.listdir(HERE))
           if os.path.exists(os.path.join(HERE, n, 'scenario'))]
    if names:
        out = [s for s in out if any(fnmatch.fnmatch(s.name, n) for n in names)]
        if not out:
            raise SystemExit('no such scenario')
    return out


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('names', nargs='*', help='scenarios (globs); default: all')
    p.add_argument('--staunch', default=os.environ.get('STAUNCH', 'staunch'))
    p.add_argument('--list', action='store_true')
    p.add_argument('--self', dest='mode', action='store_const', const='self', default='run', help='each version by itself, without staunch')
    p.add_argument('--diff', dest='mode', action='store_const', const='diff', help='the verdicts only')
    p.add_argument('--every', action='store_true', help='every combination of compiler, level and kind of build')
    p.add_argument('--combo', action='append', help='this combination (glob over all of them, or exact)')
    p.add_argument('--keep', action='store_true', help='keep the temporary directories')
    p.add_argument('--few', action='store_true', help='of each scenario the first combination of one compiler only')
    p.add_argument('--objects', metavar='FOLDER', help='keep here what is built alike for many scenarios')
    p.add_argument('-j', type=int, default=2)
    p.add_argument('-v', action='store_true', help='print the log of what passes too')
    args = p.parse_args()
    found = scenarios(args.names)
    if args.list:
        print('\n'.join(s.name for s in found))
        return 0
    jobs = []
    for s in found:
        combos = s.combos(args.every)
        if args.combo:
            only = s.get('only').split()
            combos = [c for pattern in args.combo for c in (fnmatch.filter(BASE + EXTRA, pattern) or [pattern])
                      if not only or any(matches(c, o) for o in only)]
        if args.few:
            combos = list({c.split('-')[0]: c for c in reversed(combos)}.values())[::-1]
            combos = combos[zlib.crc32(s.name.encode()) % max(len(combos), 1):][:1]
        jobs += [(s, c) for c in combos]
    print(f'TAP version 13\n1..{len(jobs)}', flush=True)
    counts = {'ok': 0, 'not ok': 0, 'skip': 0, 'todo': 0}
    tally = {}

    objects = args.objects or tempfile.mkdtemp(prefix='scenario-objects-')
    os.makedirs(objects, exist_ok=True)

    def one(job):
        r = Run(*job, args.staunch, objects, args.keep)
        return r, r.go(args.mode)

    with concurrent.futures.ThreadPoolExecutor(args.j) as pool:
        for n, ((s, combo), (run, (result, text))) in enumerate(zip(jobs, pool.map(one, jobs)), 1):
            counts[result] += 1
            if result == 'skip':
                print(f'ok {n} {s.name} {combo} # SKIP {text}', flush=True)
                continue
            todo = s.get('todo', combo)
            if result == 'not ok' and todo and text.startswith(('needless restart', 'refused with')):
                counts['not ok'] -= 1
                counts['todo'] += 1
                print(f'not ok {n} {s.name} {combo} # TODO {todo}: {text}', flush=True)
                continue
            print(f'{result} {n} {s.name} {combo} # {text}', flush=True)
            key = (text or '').split()[0] if result == 'ok' else 'failed'
            tally[key] = tally.get(key, 0) + 1
            if result == 'not ok' or args.v:
                for entry in run.log if args.v else [e for e in run.log if not e.startswith(('$ gcc', '$ g++', '$ clang', '$ strip'))]:
                    for text in entry.splitlines():
                        print('#   ' + text, flush=True)
    if not args.objects:
        shutil.rmtree(objects)
    print(f"# {len(found)} scenarios, {len(jobs)} runs: {counts['ok']} passed, {counts['not ok']} failed, "
          f"{counts['skip']} skipped, {counts['todo']} restarted that need not be; " + ', '.join(f'{v} {k}' for k, v in sorted(tally.items())))
    return 1 if counts['not ok'] else 0


if __name__ == '__main__':
    sys.exit(main())
