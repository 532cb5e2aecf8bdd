#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""agree.py STAUNCH: what --help says of each command, its options and its exit codes is what staunch(1) and the completions for zsh
and fish say; the shapes of docs/json.md are those of shape.py; the packaged policy is valid when nothing in it is commented out, and
has the defaults; docs/policy.md and staunch.toml(5) have all keys, and config show prints a policy with each of them as it was;
documents in the packages lead to documents in the packages, and links of all documents somewhere."""

import glob
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib

import shape

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.normpath(os.path.join(HERE, "../.."))
STAUNCH = os.path.abspath(sys.argv[1])
COMMON = {"--help", "--explain"}
failures = 0


def read(path):
    with open(os.path.join(TOP, path)) as f:
        return f.read()


def fail(text):
    global failures
    failures += 1
    print(f"FAILED: {text}")


def within(what, few, where, many):
    if few - many:
        fail(f"{what}: not {where}: {sorted(few - many)}")


def same(what, one, is_one, other, is_other):
    within(what, one, is_other, other)
    within(what, other, is_one, one)


def staunch(*args):
    return subprocess.run([STAUNCH, *args], check=True, capture_output=True, text=True).stdout


def options(text):
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", text)) - COMMON


HELP = {c: staunch(c, "--help") for c in re.findall(r"^  ([a-z]+)  ", staunch("--help"), re.M)}


def manual():
    page = read("man/staunch.1").replace("\\-", "-")
    section = {s.split("\n", 1)[0]: s for s in page.split("\n.SH ")[1:]}
    entries = {e.split("\n", 1)[0]: e for e in section["COMMANDS"].split("\n.SS ")[1:]}
    same("staunch(1)", set(entries), "there", set(HELP), "in --help")
    synopsis = {re.match(r"\.B (\w+)", s)[1]: s for s in section["SYNOPSIS"].split("\n.SY staunch\n")[1:]}
    same("synopsis of staunch(1)", set(synopsis), "there", set(HELP), "in --help")
    described = {o for head in re.findall(r"\.TP\n(.*)", section["OPTIONS"]) for o in options(head)}
    for command, text in HELP.items():
        same(f"synopsis of {command}", options(synopsis[command]) | {"--output"} & options(text), "there", options(text), "in --help")
    same("options of staunch(1)", described, "there", set().union(*map(options, HELP.values())) | {"--version"}, "in --help")
    status = {int(n): set(re.findall(r"\b[a-z]+\b", text)) & set(HELP)
              for n, text in re.findall(r"\.TP\n\.B (\d)\n(.*?)(?=\n\.TP|\Z)", section["EXIT STATUS"], re.S)}
    for number in range(3, 10):
        tell = {c for c, text in HELP.items() if re.search(rf"\b{number}\b", text.partition("Exit code: ")[2])}
        same(f"exit code {number} in staunch(1)", status.get(number, set()), "there", tell, "in --help")


def completion():
    zsh, fish = read("packaging/completion/_staunch"), read("packaging/completion/staunch.fish")
    named = dict(re.findall(r"^ {8}([a-z]+)=\((.*?)\)$", zsh, re.M | re.S))
    cases = dict(re.findall(r"^ {8}([a-z]+)\) (_arguments .*) ;;$", zsh, re.M))
    same("zsh", set(re.findall(r"^ {16}'([a-z]+):", zsh, re.M)), "in its list", set(HELP), "in --help")
    same("zsh", set(cases), "in its cases", set(HELP), "in --help")
    offered = {c: set() for c in HELP}
    for commands, rest in re.findall(r"^complete -c staunch -n '__fish_seen_subcommand_from ([a-z ]+)'(.*)", fish, re.M):
        for command in commands.split():
            offered[command] |= {"--" + o for o in re.findall(r" -l ([a-z-]+)", rest)}
    same("fish", set(re.findall(r" -a ([a-z]+) -d", fish)), "there", set(HELP), "in --help")
    for command, text in HELP.items():
        words = re.sub(r"\$([a-z]+)\b", lambda m: named.get(m[1], ""), cases.get(command, ""))
        same(f"zsh: {command}", options(words), "there", options(text), "in --help")
        same(f"fish: {command}", offered[command], "there", options(text), "in --help")


def keys(shape):
    """Of a shape of shape.py: its keys and theirs, without types."""
    if isinstance(shape, tuple):
        return keys(shape[1])
    if isinstance(shape, list):
        return keys(shape[0])
    if isinstance(shape, dict):
        return {k.rstrip("?"): keys(v) for k, v in shape.items()}
    return {}


class Notation:
    """What docs/json.md writes: {key, key: value, key: [value]}; a value that is neither has no keys."""

    def __init__(self, text):
        self.words = re.findall(r"\.\.\.|[\w-]+|[{}\[\]:,|]", text)

    def take(self, *wanted):
        if self.words and self.words[0] in wanted:
            return self.words.pop(0)
        return None

    def value(self):
        if self.take("["):
            inner = self.value()
            assert self.take("]"), self.words[:5]
        elif self.take("{"):
            inner = {}
            while not self.take("}"):
                key = self.words.pop(0)
                if key == "...":
                    inner["..."] = {}
                else:
                    inner[key] = self.value() if self.take(":") else {}
                while self.words[0] not in ("}", ","):  # a choice, null
                    self.words.pop(0)
                self.take(",")
        else:
            inner = {}
        while self.words and self.words[0] not in ("}", "]", ","):
            self.words.pop(0)
        return inner


def compare_keys(where, text, has):
    if not text or not has or "..." in text:
        return  # said elsewhere: "findings", "functions", the other side
    same(f"docs/json.md: {where}", set(text), "there", set(has), "in shape.py")
    for key in set(text) & set(has):
        compare_keys(f"{where}.{key}", text[key], has[key])


def shapes():
    seen = set()
    for title, body in re.findall(r"^## ([^\n]*)\n(.*?)(?=^## |\Z)", read("docs/json.md"), re.M | re.S):
        for i, block in enumerate(re.findall(r"(?:^ {4}.*\n)+", body, re.M)):
            name = NAMED.get((title, i))
            assert name, f"docs/json.md: '{title}' has a shape that tests/cli/agree.py does not know"
            seen.add(name)
            compare_keys(title, Notation(block).value(), keys(shape.SHAPES[name]))
    same("docs/json.md", seen, "there", set(shape.SHAPES) - {"builds"}, "in shape.py")


NAMED = {("diff", 0): "diff", ("build", 0): "build", ("show", 0): "show", ("apply, revert", 0): "actions",
         ("status, verify", 0): "status", ("converge", 0): "converge", ("window", 0): "windows", ("window", 1): "plan",
         ("health", 0): "health", ("doctor", 0): "doctor", ("cve", 0): "cve", ("assess", 0): "assess", ("history", 0): "history",
         ("list", 0): "list", ("snapshot", 0): "snapshots", ("rollback", 0): "rollback", ("rollback", 1): "rollback-plan",
         ("events", 0): "event", ("config show", 0): "config"}


EVERY = """
patch_mode = "assess-only"
safe_point_deadline = "1500ms"
unresponsive_after = "90s"
scan_interval = "1h"
package_wait = "2min"
package_restarts = "hold"
[exclude]
unit = ["postgresql@*.service", "a \\"b\\".service"]
user = ["postgres"]
cgroup = ["/machine.slice/*"]
path = ["/opt/*"]
[[accept]]
package = "libxml2"
code = "layout-unproved"
[[accept]]
package = "*"
code = "data-const"
[[hook]]
events = ["patch-failed", "restart-pending"]
command = ["/usr/local/bin/tell", "--all"]
user = "backup"
timeout = "1min"
[baseline]
snapshot = "hook"
keep = 3
keep_for = "30d"
min_free = "512MiB"
max_size = 1000001
limit = "3min"
settle = "0s"
automatic_rollback = false
require_snapshot = true
hook = ["/usr/local/lib/my-snapshot", "x"]
hook_timeout = "2min"
[[window]]
name = "once"
start = "2026-12-01 22:00"
duration = "90min"
[[window]]
name = "often"
start = "2026-12-01 22:00"
duration = "3h"
time_zone = "Europe/Berlin"
expiration = "2027-12-01 22:00"
recur = "1Month Second Tuesday Offset-4"
unit = ["a*.service", "machine"]
[restart]
reboot = "IfRequired"
timeout = "10min"
settle = "7s"
stop_at_failure = false
never = ["db.service"]
allow = ["docker.service"]
reboot_command = "systemctl kexec"
reboot_required = "/run/other"
[[drain]]
unit = "shop.service"
before = "/usr/local/bin/off"
after = "/usr/local/bin/on"
timeout = "1min"
force = true
[[drain]]
unit = "web.service"
haproxy = "/run/haproxy/admin.sock"
server = ["shop/web1", "shop/web2"]
timeout = "2min"
force = false
[health]
automatic_rollback = false
crash_within = "12h"
sample_interval = "50ms"
[[probe]]
unit = "nginx.service"
name = "front"
http = "https://127.0.0.1/"
expect = "204"
interval = "5s"
timeout = "10ms"
verify_tls = false
[[probe]]
process = "haproxy"
name = "port"
tcp = "[::1]:80"
interval = "10s"
timeout = "5s"
verify_tls = true
[[probe]]
unit = "x.service"
name = "own"
command = ["/usr/local/bin/ask", "it"]
user = "backup"
interval = "1d"
timeout = "5s"
verify_tls = true
[metrics]
listen = "[::1]:9464"
"""


def keys_within(value):
    if isinstance(value, list):
        return set().union(*map(keys_within, value))
    if isinstance(value, dict):
        return set(value).union(*map(keys_within, value.values()))
    return set()


def policy():
    """The packaged policy with its comment marks taken away, once as it is and once empty."""
    text = read("packaging/staunch.toml")
    # config check looks for the programs that a policy names; those of examples are not here.
    def with_programs(policy):
        return re.sub(r'"/usr/local/[^"]*"', '"/bin/true"', policy)
    full = with_programs(re.sub(r"^#(?! )", "", text, flags=re.M))
    with tempfile.TemporaryDirectory() as folder:
        written = os.path.join(folder, "staunch.toml")
        with open(written, "w") as f:
            f.write(full)
        staunch("config", "check", written)
        got = json.loads(staunch("config", "show", "--json", written))
        shape.check(shape.SHAPES["config"], got, "config show")
        default = json.loads(staunch("config", "show", "--json", os.path.join(folder, "none.toml")))
        for key, value in default.items():
            if not isinstance(value, (list, dict)) and key not in ("windows", "drains") and got[key] != value:
                fail(f"packaging/staunch.toml: {key} is {got[key]} there, and {value} by default")
        with open(written, "w") as f:
            f.write(EVERY)
        told, tree = tomllib.loads(staunch("config", "show", written)), tomllib.loads(EVERY)
        for section in tree:
            if told.get(section) != tree[section]:
                fail(f"config show of a policy with every key: {section} is {told.get(section)}, and was {tree[section]}")
        if json.loads(staunch("config", "show", "--json", written))["policy"] != tree:
            fail("config show --json of a policy with every key has another one")
        for at, example in enumerate(re.findall(r"^```toml\n(.*?)^```", read("docs/policy.md") + read("docs/guide.md"), re.M | re.S)):
            with open(written, "w") as f:
                f.write(with_programs(example))
            if "HOST" not in example:
                staunch("config", "check", written)
        assert at >= 3, "where are the examples?"
    page = read("man/staunch.toml.5")
    table, key, section = read("docs/policy.md"), None, ""
    documented, defaults, plain = set(), {}, table.index("## Maintenance windows")
    for at in re.finditer(r"^\| (`.*?) \| (.*?) \|", table, re.M):
        row, values = at.groups()
        values = re.findall(r"`([^`]+)`", values)
        for word in re.findall(r"`([^`]+)`", row):
            found = re.match(r"(\[+\w+\]+)(?: (\w+))?$", word)
            section = found[1] if found else section
            key = found[2] if found else word
            if key:
                documented.add(key)
                if values and at.start() < plain and not section.startswith("[[") and section != "[exclude]":
                    defaults.setdefault(section, []).append(f"{key} = {values.pop(0)}")
    with tempfile.TemporaryDirectory() as folder:
        written = os.path.join(folder, "staunch.toml")
        with open(written, "w") as f:
            f.write("\n".join(line for header, lines in defaults.items() for line in [header, *lines]))
        told = tomllib.loads(staunch("config", "show", written))
    have = {key: value for key, value in default["policy"].items() if value not in ({}, [])}
    if told != have:
        fail(f"the defaults of docs/policy.md are {told}, and those of the program {have}")
    within("keys with a default", keys_within(list(have.values())), "in docs/policy.md", {
        line.split()[0] for lines in defaults.values() for line in lines})
    same("keys of docs/policy.md", documented, "there", keys_within(tree) - set(tree) | {k for k in tree if k in documented},
         "in the policy with every key")
    within("keys of packaging/staunch.toml", keys_within(tomllib.loads(full)) - set(default["policy"]), "in docs/policy.md", documented)
    within("keys of docs/policy.md", documented, "in staunch.toml(5)", set(re.findall(r"\w+", page)))


def documents():
    packed = {line for path in glob.glob(os.path.join(TOP, "debian/*.docs")) for line in read(path).split()}
    for path in sorted(packed - {"README.md"}):
        leads = {os.path.normpath(os.path.join(os.path.dirname(path), m)) for m in re.findall(r"\]\(([\w./-]+\.md)", read(path))}
        within(f"documents that {path} leads to", leads, "packed", packed)
    for path in sorted(glob.glob(os.path.join(TOP, "docs/*.md")) + glob.glob(os.path.join(TOP, "*.md"))):
        for target, anchor in re.findall(r"\]\(([\w./-]*\.md)?(#[\w-]+)?\)", read(path)):
            whole = os.path.normpath(os.path.join(os.path.dirname(path), target)) if target else path
            titles = {re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in re.findall(r"^#+ (.*)", read(whole), re.M)} \
                if os.path.exists(whole) else None
            if titles is None or (anchor and anchor[1:] not in titles):
                fail(f"{os.path.relpath(path, TOP)} leads to {target + anchor}, which is not there")


for part in (manual, completion, shapes, policy, documents):
    part()
sys.exit(1 if failures else 0)
