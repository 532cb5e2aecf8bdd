# SPDX-License-Identifier: Apache-2.0
"""Libraries, each inside a program that lives on and uses it when asked."""

import http.server
import subprocess
import sys
import threading

from common import Host, Live, need
from squid import Origin


class Libxml2(Host):
    name = "libxml2"
    source = "libxml2"
    packages = ("libxml2",)
    script = """
x = lib("libxml2.so.2")
x.xmlReadMemory.restype = x.xmlDocGetRootElement.restype = x.xmlXPathNewContext.restype = x.xmlXPathEvalExpression.restype = ctypes.c_void_p
x.xmlXPathCastToString.restype = ctypes.c_void_p
x.xmlXPathCastToString.argtypes = [ctypes.c_void_p]
x.xmlReadMemory.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int]
for f in ("xmlXPathNewContext", "xmlFreeDoc", "xmlXPathFreeContext", "xmlXPathFreeObject"):
    getattr(x, f).argtypes = [ctypes.c_void_p]
x.xmlXPathEvalExpression.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
x.htmlReadMemory.restype = ctypes.c_void_p
x.htmlReadMemory.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int]
x.xmlDocDumpMemory.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
XML = b'<!DOCTYPE r [<!ENTITY e "ent"><!ELEMENT r (a*)><!ATTLIST a k CDATA "d">]><r xmlns:n="u"><a k="1">one</a><a>&e;</a><n:b/><![CDATA[x]]></r>'
def evaluate(read, data, expression):
    doc = read(data, len(data), b"x.xml", None, 2 | 8 | 32 | 64)
    if not doc:
        return "no document"
    context = x.xmlXPathNewContext(doc)
    result = x.xmlXPathEvalExpression(expression.encode(), context)
    text = ctypes.string_at(x.xmlXPathCastToString(result)).decode() if result else "nothing"
    x.xmlXPathFreeObject(result)
    x.xmlXPathFreeContext(context)
    buffer, size = ctypes.c_void_p(), ctypes.c_int()
    x.xmlDocDumpMemory(doc, ctypes.byref(buffer), ctypes.byref(size))
    x.xmlFreeDoc(doc)
    return "%s %d" % (text, size.value > 50)
def answer(line):
    kind, expression = line.split(" ", 1)
    if kind == "xml":
        return evaluate(x.xmlReadMemory, XML, expression)
    if kind == "bad":
        return evaluate(x.xmlReadMemory, b"<r><a></r>" , expression)
    return evaluate(x.htmlReadMemory, b"<html><body><p class=x>one<p>two<script>a<b</script></body>" * 3, expression)
"""
    questions = (("xml string(/r/a[@k='1'])", "one 1"), ("xml count(//a)", "2 1"), ("html count(//p)", "6 1"),
                 ("xml string(/r/a[2]/@k)", "d 1"), ("xml concat(name(/r/*[3]), substring-after('a-b', '-'))", "n:bb 1"),
                 ("bad string(/r)", "no document"))


class Libxslt(Host):
    name = "libxslt"
    source = "libxslt"
    packages = ("libxslt1.1",)
    also = ("libxml2",)
    script = """
x = lib("libxml2.so.2"); s = lib("libxslt.so.1")
P = ctypes.c_void_p
for l, names in ((x, ("xmlReadMemory",)), (s, ("xsltParseStylesheetDoc", "xsltApplyStylesheet"))):
    for n in names: getattr(l, n).restype = P
x.xmlReadMemory.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int]
s.xsltParseStylesheetDoc.argtypes = [P]
s.xsltApplyStylesheet.argtypes = [P, P, P]
s.xsltSaveResultToString.argtypes = [P, P, P, P]
x.xmlFreeDoc.argtypes = s.xsltFreeStylesheet.argtypes = [P]
SHEET = b'''<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><xsl:output method="text"/>
<xsl:key name="k" match="i" use="@c"/><xsl:variable name="v" select="'v'"/>
<xsl:template match="/"><xsl:for-each select="//i"><xsl:sort select="." order="descending"/><xsl:number value="position()" format="a"/>=<xsl:value-of select="."/>;</xsl:for-each>
<xsl:value-of select="format-number(1234.5, '#,##0.00')"/><xsl:value-of select="count(key('k', 'x'))"/><xsl:call-template name="t"/></xsl:template>
<xsl:template name="t"><xsl:choose><xsl:when test="$v='v'">yes</xsl:when><xsl:otherwise>no</xsl:otherwise></xsl:choose></xsl:template></xsl:stylesheet>'''
def answer(line):
    sheet = s.xsltParseStylesheetDoc(x.xmlReadMemory(SHEET, len(SHEET), b"s", None, 0))
    data = ("<r>" + "".join("<i c='x'>%s</i>" % w for w in line.split()) + "</r>").encode()
    doc = x.xmlReadMemory(data, len(data), b"d", None, 0)
    result = s.xsltApplyStylesheet(sheet, doc, None)
    out, n = ctypes.c_char_p(), ctypes.c_int()
    s.xsltSaveResultToString(ctypes.byref(out), ctypes.byref(n), result, sheet)
    text = out.value.decode().replace("\\n", "")
    x.xmlFreeDoc(result); x.xmlFreeDoc(doc); s.xsltFreeStylesheet(sheet)
    return text
"""
    questions = (("b c a", "a=c;b=b;c=a;1,234.503yes"), ("q", "a=q;1,234.501yes"))


class Expat(Host):
    name = "expat"
    source = "expat"
    packages = ("libexpat1",)
    script = """
import xml.parsers.expat
def answer(line):
    out = []
    p = xml.parsers.expat.ParserCreate("utf-8", "|")
    p.StartElementHandler = lambda n, a: out.append("<" + n + "".join(sorted(a)))
    p.EndElementHandler = lambda n: out.append(">")
    p.CharacterDataHandler = out.append
    p.buffer_text = True
    try:
        for i in range(0, len(line), 7):
            p.Parse(line[i:i + 7], False)
        p.Parse("", True)
    except xml.parsers.expat.ExpatError as e:
        return "error %d" % e.code
    return "".join(out)
"""
    questions = (("<r xmlns='u' a='1'>x<b/>&amp;y</r>", "<u|ra" + "x<u|b>&y>"),
                 ("<!DOCTYPE r [<!ENTITY e 'value'>]><r>&e;</r>", "<rvalue>"), ("<r><a></r>", "error 7"),
                 ("<r>" + "<a k='v'>t</a>" * 30 + "</r>", "<r" + "<akt>" * 30 + ">"))


class Curl(Host):
    name = "curl"
    source = "curl"
    packages = ("libcurl4",)
    script = """
c = lib("libcurl.so.4")
c.curl_easy_init.restype = ctypes.c_void_p
write = ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_void_p)
def answer(url):
    got = []
    def take(p, a, b, d):
        got.append(ctypes.string_at(p, a * b))
        return a * b
    take = write(take)
    h = ctypes.c_void_p(c.curl_easy_init())
    for option, value in ((10002, url.encode()), (20011, take), (52, ctypes.c_long(1)), (10031, b""), (10102, b"")):
        c.curl_easy_setopt(h, ctypes.c_int(option), value)
    code = c.curl_easy_perform(h)
    c.curl_easy_cleanup(h)
    return "%d %s" % (code, b"".join(got)[:12].decode())
"""

    def prepare(self):
        self.origin = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Origin)
        threading.Thread(target=self.origin.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{self.origin.server_address[1]}"
        self.questions = ((base + "/abc", "0 origin /abc/"), (base + "/%41?x#f", "0 origin /%41?"), ("bad://x/", "1 "),
                          ("http://127.0.0.1:1/", "7 "))

    def finish(self):
        super().finish()
        self.origin.shutdown()


class Xz(Host):
    name = "xz-utils"
    source = "xz-utils"
    packages = ("liblzma5",)
    script = """
import lzma, hashlib
def answer(line):
    n = int(line)
    data = bytes((i * i >> 3) & 255 for i in range(n))
    packed = lzma.compress(data, preset=n % 7)
    alone = lzma.compress(data, format=lzma.FORMAT_ALONE)
    d = lzma.LZMADecompressor()
    return d.decompress(packed) == data and lzma.decompress(alone) == data and d.eof and len(packed) < n
"""
    questions = (("20000", "True"), ("33333", "True"), ("70001", "True"))


class Brotli(Host):
    name = "brotli"
    source = "brotli"
    packages = ("libbrotli1",)
    script = """
e, d = lib("libbrotlienc.so.1"), lib("libbrotlidec.so.1")
def answer(line):
    data = (line * 500).encode()
    size = ctypes.c_size_t(len(data) + 1000)
    packed = ctypes.create_string_buffer(size.value)
    ok = e.BrotliEncoderCompress(9, 22, 0, ctypes.c_size_t(len(data)), data, ctypes.byref(size), packed)
    out = ctypes.create_string_buffer(len(data))
    n = ctypes.c_size_t(len(data))
    ok2 = d.BrotliDecoderDecompress(size, packed, ctypes.byref(n), out)
    return ok == 1 and ok2 == 1 and out.raw[:n.value] == data and size.value < len(data)
"""
    questions = (("hello", "True"), ("a longer text with more words", "True"))


class Libarchive(Host):
    name = "libarchive"
    source = "libarchive"
    packages = ("libarchive13",)
    script = """
import io, tarfile, zipfile
a = lib("libarchive.so.13")
P = ctypes.c_void_p
a.archive_read_new.restype = P
a.archive_entry_pathname.restype = ctypes.c_char_p
a.archive_entry_pathname.argtypes = [P]
a.archive_read_data.restype = ctypes.c_ssize_t
a.archive_read_data.argtypes = [P, P, ctypes.c_size_t]
a.archive_read_next_header.argtypes = [P, P]
a.archive_read_open_memory.argtypes = [P, ctypes.c_char_p, ctypes.c_size_t]
for f in ("archive_read_support_filter_all", "archive_read_support_format_all", "archive_read_free"):
    getattr(a, f).argtypes = [P]
def pack(kind):
    out = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
            z.writestr("f.txt", "hello" * 100)
            z.writestr("d/g", "x")
    else:
        with tarfile.open(fileobj=out, mode="w:" + kind, format=tarfile.PAX_FORMAT) as t:
            for n, b in (("f.txt", b"hello" * 100), ("d/g" + "y" * 120, b"x")):
                i = tarfile.TarInfo(n); i.size = len(b); t.addfile(i, io.BytesIO(b))
    return out.getvalue()
def answer(kind):
    data = pack(kind)
    r = a.archive_read_new()
    a.archive_read_support_filter_all(r); a.archive_read_support_format_all(r)
    if a.archive_read_open_memory(r, data, len(data)): return "not opened"
    entry, out = P(), []
    while a.archive_read_next_header(r, ctypes.byref(entry)) == 0:
        buffer = ctypes.create_string_buffer(4096)
        n = a.archive_read_data(r, buffer, 4096)
        out.append("%s:%d" % (a.archive_entry_pathname(entry).decode()[:5], n))
    a.archive_read_free(r)
    return " ".join(out)
"""
    questions = tuple((k, "f.txt:500 d/g" + ("yy" if k != "zip" else "") + ":1") for k in ("gz", "xz", "bz2", "zip"))


class Glib(Host):
    name = "glib2.0"
    source = "glib2.0"
    packages = ("libglib2.0-0",)
    script = """
g = lib("libglib-2.0.so.0"); o = lib("libgio-2.0.so.0")
P = ctypes.c_void_p
for f in ("g_base64_encode", "g_utf8_strup", "g_date_time_new_from_iso8601", "g_date_time_format", "g_variant_parse", "g_variant_print", "g_uri_escape_string", "g_markup_escape_text"):
    getattr(g, f).restype = P
g.g_free.argtypes = [P]
def text(p):
    s = ctypes.string_at(p).decode(); g.g_free(p); return s
done = []
callback = ctypes.CFUNCTYPE(ctypes.c_int, P)(lambda d: done.append(1) or 0)
def answer(line):
    b = line.encode()
    v = g.g_variant_parse(None, b"[('a', 1), ('b', 2)]", None, None, None)
    d = g.g_date_time_new_from_iso8601(b"2024-02-29T12:00:00Z", None)
    out = [text(g.g_utf8_strup(b, ctypes.c_ssize_t(-1))), text(g.g_base64_encode(b, ctypes.c_size_t(len(b)))),
           text(g.g_variant_print(P(v), 0)), text(g.g_date_time_format(P(d), b"%F")), text(g.g_uri_escape_string(b, None, 0)),
           text(g.g_markup_escape_text(b"<a>", ctypes.c_ssize_t(-1)))]
    g.g_variant_unref(P(v)); g.g_date_time_unref(P(d))
    done.clear(); g.g_timeout_add(1, callback, None)
    while not done: g.g_main_context_iteration(None, 1)
    return " ".join(out)
"""
    questions = (("h\u00e9 1", "H\u00c9 1 aMOpIDE= [('a', 1), ('b', 2)] 2024-02-29 h%C3%A9%201 &lt;a&gt;"),)


class Pipe(Host):
    """A program that answers each line of its standard input."""

    def command(self):
        raise NotImplementedError

    def start(self):
        self.host = self.spawn(self.command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self.extra())
        self._lock = threading.Lock()
        self._turn = 0

    def extra(self):
        return {}


class Jq(Pipe):
    name = "jq"
    source = "jq"
    packages = ("jq", "libjq1")

    def command(self):
        return [self.path("usr/bin/jq"), "-c", "--unbuffered", "[(.a // [] | map(. * 2) | add), (.s | ascii_upcase? // null), (.s | try test(\"^b+\") catch 0), (tojson | length)]"]

    questions = (('{"a":[1,2,3],"s":"bb"}', '[12,"BB",true,22]'), ('{"s":"x\\u00e9"}', '[null,"X\u00e9",false,10]'))


class Git(Pipe):
    name = "git"
    source = "git"
    packages = ("git",)

    def prepare(self):
        self.bin = self.path("usr/bin/git")
        repository = self.path("repo")
        for command in (["init", "-q", repository], ["-C", repository, "commit", "-q", "--allow-empty", "-m", "message"]):
            self.run([self.bin, "-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main",
                      "--exec-path=" + self.path("usr/lib/git-core"), *command])
        self.repository = repository

    def command(self):
        return [self.bin, "-C", self.repository, "cat-file", "--batch-check=%(objecttype) %(rest)"]

    questions = (("HEAD one", "commit one"), ("HEAD^{tree} two", "tree two"), ("4b825dc642cb6eb9a060e54bf8d69288fbee4904 x", "tree x"),
                 ("refs/heads/main y", "commit y"))


class Python(Pipe):
    name = "python3.11"
    source = "python3.11"
    packages = ("python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib")

    def prepare(self):
        self.write("loop.py", """
import sys, json, re, hashlib, decimal, collections, struct, zlib, datetime
def work(n):
    d = collections.OrderedDict((str(i), i * i) for i in range(n))
    s = json.dumps(d)
    assert json.loads(s) == d and re.sub(r"(\\d+)", lambda m: m[1] + m[1], "a1") == "a11"
    assert zlib.decompress(zlib.compress(s.encode())) == s.encode()
    return "%d %s %s %s" % (sum(d.values()), decimal.Decimal(1) / 8, datetime.date(2024, 2, 28) + datetime.timedelta(2), sorted("cab", key=lambda c: -ord(c)))
for line in sys.stdin:
    print(work(int(line)), flush=True)
""")

    def extra(self):
        return {"PYTHONHOME": self.path("usr"), "PYTHONDONTWRITEBYTECODE": "1"}

    def command(self):
        return [self.path("usr/bin/python3.11"), "-S", "-u", self.path("loop.py")]

    questions = (("100", "328350 0.125 2024-03-01 ['c', 'b', 'a']"), ("10", "285 0.125 2024-03-01 ['c', 'b', 'a']"))


class Perl(Pipe):
    name = "perl"
    source = "perl"
    packages = ("perl-base",)

    def command(self):
        return [self.path("usr/bin/perl"), "-e", r"""$| = 1; while (<STDIN>) { chomp; my %h = map { $_ => length } split / /;
my $s = join ",", map { "$_=$h{$_}" } sort keys %h; (my $t = $_) =~ s/(\w+)/\u$1/g; my @l = sort { $b <=> $a } map { $_ ** 2 } 1 .. 20;
print sprintf("%s %s %d %.2f %s\n", $s, $t, $l[0], 1 / 3, pack("H*", "616263")); }"""]

    questions = (("ab c", "ab=2,c=1 Ab C 400 0.33 abc"),)


class Node(Pipe):
    name = "nodejs"
    source = "nodejs"
    packages = ("nodejs", "libnode108")
    also = ("node-cjs-module-lexer", "node-undici", "node-acorn", "node-busboy", "node-xtend")
    private = True
    overlays = (("usr/share", "usr/share"),)

    def command(self):
        return [self.path("usr/bin/node"), "-e", """require('readline').createInterface({input: process.stdin}).on('line', l => {
let o = JSON.parse(l), h = require('crypto').createHash('sha256').update(l).digest('hex').length, z = require('zlib').gzipSync(l).length > 10;
console.log([o.a.map(x => x * 2).join(), h, z, l.replace(/[0-9]+/g, 'n'), new URL('http://a/b/../c?x#y').pathname].join(' ')); })"""]

    questions = (('{"a":[1,2,3]}', '2,4,6 64 true {"a":[n,n,n]} /c'),)


class Ruby(Pipe):
    name = "ruby3.1"
    source = "ruby3.1"
    packages = ("ruby3.1", "libruby3.1")

    def extra(self):
        lib = self.path("usr/lib")
        return {"RUBYLIB": f"{lib}/ruby/3.1.0:{lib}/x86_64-linux-gnu/ruby/3.1.0"}

    def command(self):
        return [self.path("usr/bin/ruby3.1"), "--disable=gems", "-e",
                "$stdout.sync = true; $stdin.each_line { |l| puts \"#{l.split.map(&:to_i).sort.reverse.join(',')} #{l =~ /3/} #{'%.2f' % (1 / 3.0)} #{[1, [2]].flatten.sum}\" }"]

    questions = (("1 3 2", "3,2,1 2 0.33 3"),)


class Ghostscript(Host):
    name = "ghostscript"
    source = "ghostscript"
    packages = ("libgs10",)
    also = ("libgs10-common", "libgs-common", "fonts-urw-base35")
    script = """
os.environ["GS_LIB"] = ":".join(ROOT + "/usr/share/ghostscript/10.00.0/" + d for d in ("Resource/Init", "lib", "Resource/Font", "iccprofiles"))
g = lib("libgs.so.10")
gs = ctypes.c_void_p()
out = []
T = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)
def take(h, p, n):
    out.append(ctypes.string_at(p, n).decode(errors="replace")); return n
quiet, take = T(lambda h, p, n: 0), T(take)
g.gsapi_new_instance(ctypes.byref(gs), None)
g.gsapi_set_stdio(gs, quiet, take, take)
words = [b"gs", b"-dNODISPLAY", b"-dNOSAFER", b"-q", b"-dBATCH", b"-dNOPAUSE", b"-I" + (ROOT + "/usr/share/ghostscript/10.00.0/Resource/Init").encode(), b"-sGenericResourceDir=" + (ROOT + "/usr/share/ghostscript/10.00.0/Resource/").encode()]
argv = (ctypes.c_char_p * len(words))(*words)
code = g.gsapi_init_with_args(gs, len(words), argv)
def answer(line):
    out.clear()
    c = ctypes.c_int()
    r = g.gsapi_run_string(gs, line.encode() + b"\\n", 0, ctypes.byref(c))
    return "%d %s" % (r, "".join(out).strip())
"""
    questions = (("1 2 add 3 mul = flush", "0 9"), ("(abc) length 10 string cvs = flush", "0 3"), ("[3 1 2] {lt} .sort == flush", "0 [1 2 3]"))
