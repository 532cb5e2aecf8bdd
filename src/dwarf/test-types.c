/* SPDX-License-Identifier: Apache-2.0 */
#include "dwarf/types.h"

#include "base/macro.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/*
 * Each case is two texts, compiled by every compiler at hand and in each form of DWARF. `subject` is
 * a part of a finding's subject, `detail` a part of its detail; NULL: the layout must be the same.
 */
typedef struct Case {
        const char *name;
        bool cplusplus;
        const char *old, *new, *subject, *detail;
} Case;

#define S "struct s *keep; int use(struct s *p) { return sizeof(*p); }\n"

static const Case cases[] = {
        { "comment", false, "struct s { int a; long b; };" S, "/* new */\nstruct s { int a;\n long b; };" S,
          NULL, NULL },
        { "member-at-end", false, "struct s { long a; };" S, "struct s { long a, b; };" S, "struct s",
          "size 8 -> 16" },
        { "member-in-middle", false, "struct s { long a, c; };" S, "struct s { long a, b, c; };" S,
          "struct s", "member c 8 -> 16" },
        { "member-in-padding", false, "struct s { char a; long c; };" S,
          "struct s { char a; char b; long c; };" S, "struct s", "member b added at 1" },
        { "member-removed", false, "struct s { long a, b, c; };" S, "struct s { long a, c; };" S, "struct s",
          "member b removed" },
        { "reordered", false, "struct s { int a, b; };" S, "struct s { int b, a; };" S, "struct s",
          "member a 0 -> 4" },
        { "widened", false, "struct s { int a; int b; };" S, "struct s { long a; int b; };" S, "struct s",
          "a: int -> long" },
        { "int-to-float", false, "struct s { int a; };" S, "struct s { float a; };" S, "struct s",
          "a: int -> float" },
        { "int-to-bool", false, "struct s { char a; };" S, "struct s { _Bool a; };" S, "struct s",
          "member a" },
        { "bool-to-int", false, "struct s { _Bool a; };" S, "struct s { unsigned char a; };" S, NULL, NULL },
        { "bool-to-wider", false, "struct s { _Bool a; };" S, "struct s { short a; };" S, "struct s",
          "size 1 -> 2" },
        { "signedness", false, "struct s { int a; };" S, "struct s { unsigned a; };" S, NULL, NULL },
        { "renamed", false, "struct s { int a, b; };" S, "struct s { int a, c; };" S, NULL, NULL },
        { "renamed-other-type", false, "struct s { int a, b; };" S, "struct s { int a; float c; };" S,
          "struct s", "b removed" },
        { "bit-field-width", false, "struct s { unsigned a : 3, b : 4; };" S,
          "struct s { unsigned a : 4, b : 4; };" S, "struct s", "member a: 3 -> 4 bits" },
        { "bit-field-order", false, "struct s { unsigned a : 4, b : 4; };" S,
          "struct s { unsigned b : 4, a : 4; };" S, "struct s", "member a 0 -> 0 bit 4" },
        { "bit-field-new", false, "struct s { unsigned a : 4; };" S, "struct s { unsigned a : 4, b : 1; };" S,
          "struct s", "member b added at 0 bit 4" },
        { "array-bound", false, "struct s { char a[16]; };" S, "struct s { char a[32]; };" S, "struct s",
          "size 16 -> 32" },
        { "array-dimensions", false, "struct s { char a[2][3]; };" S, "struct s { char a[3][2]; };" S,
          "struct s", "member a" },
        { "flexible", false, "struct s { int n; int a[]; };" S, "struct s { int n; long a[]; };" S,
          "struct s", "member a" },
        { "flexible-same", false, "struct s { int n; int a[]; };" S, "struct s { int m; unsigned a[]; };" S,
          NULL, NULL },
        { "enum-middle", false, "enum e { A, B, C }; enum e keep = C;",
          "enum e { A, X, B, C }; enum e keep = C;", "enum e", "enumerator B: 1 -> 2" },
        { "enum-end", false, "enum e { A, B, C }; enum e keep = C;",
          "enum e { A, B, C, D }; enum e keep = C;", NULL, NULL },
        { "enum-renamed", false, "enum e { A, B }; enum e keep = B;", "enum e { A, C }; enum e keep = C;",
          NULL, NULL },
        { "enum-removed", false, "enum e { A, B, C }; enum e keep = A;", "enum e { A, B }; enum e keep = A;",
          "enum e", "C (2) removed" },
        { "enum-count", false, "enum e { A, B, N }; enum e keep = A;",
          "enum e { A, B, C, N }; enum e keep = A;", "enum e", "N: 2 -> 3" },
        { "enum-anonymous", false, "enum { A, B }; int f(void) { return B; }",
          "enum { X, A, B }; int f(void) { return B; }", "enumerator A", "0 -> 1" },
        { "enum-anonymous-end", false, "enum { A, B }; int f(void) { return B; }",
          "enum { A, B, C }; int f(void) { return B; }", NULL, NULL },
        { "enum-typedef", false, "typedef enum { A, B } e; e keep = B;",
          "typedef enum { X, A, B } e; e keep = B;", "typedef e", "enumerator A: 0 -> 1" },
        { "enum-member-of-int", false, "enum e { A, B }; enum e all; struct s { int a; };" S,
          "enum e { A, B }; enum e all; struct s { enum e a; };" S, NULL, NULL },
        { "union-member", false, "struct s { union { int i; float f; } u; };" S,
          "struct s { union { int i; double f; } u; };" S, "struct s", "member u" },
        { "union-anonymous", false, "struct s { union { int i; char c[4]; }; int z; };" S,
          "struct s { union { int i; char c[8]; }; int z; };" S, "struct s", "member z 4 -> 8" },
        { "union-renamed", false, "struct s { union { int i; char c[4]; }; };" S,
          "struct s { union { int j; char c[4]; }; };" S, NULL, NULL },
        { "nested", false, "struct in { int a; }; struct s { struct in i; int z; };" S,
          "struct in { int a, b; }; struct s { struct in i; int z; };" S, "struct in", "size 4 -> 8" },
        { "nested-outer", false, "struct in { int a; }; struct s { struct in i; int z; };" S,
          "struct in { int a, b; }; struct s { struct in i; int z; };" S, "struct s", "member z 4 -> 8" },
        { "pointer-to-changed", false, "struct t { int a; }; struct t *all; struct s { struct t *p; };" S,
          "struct t { long a; }; struct t *all; struct s { struct t *p; };" S, "struct t", "size 4 -> 8" },
        { "pointer-to-other", false,
          "struct t { int a; }; struct u { int a; }; struct t *x; struct u *y; struct s { struct t *p; };" S,
          "struct t { int a; }; struct u { int a; }; struct t *x; struct u *y; struct s { struct u *p; };" S,
          "struct s", "member p: struct t * -> struct u *" },
        { "pointer-to-signedness", false, "struct s { int *p; };" S, "struct s { const unsigned *p; };" S,
          NULL, NULL },
        { "callback", false, "struct s { int (*f)(int); };" S, "struct s { int (*f)(int, long); };" S,
          "struct s", "member f" },
        { "callback-same", false, "struct s { int (*f)(int, char *); };" S,
          "struct s { unsigned (*f)(unsigned, const char *); };" S, NULL, NULL },
        { "typedef-anonymous", false, "typedef struct { int a; } t; t *keep; int use(t *p) { return p->a; }",
          "typedef struct { int x; int a; } t; t *keep; int use(t *p) { return p->a; }", "t", "size 4 -> 8" },
        { "typedef-scalar", false, "typedef int id; id keep; id use(id x) { return x; }",
          "typedef long id; id keep; id use(id x) { return x; }", "typedef id", "int -> long" },
        { "typedef-introduced", false, "struct s { int a; };" S, "typedef int id; struct s { id a; };" S,
          NULL, NULL },
        { "static-type", false, "static struct { int a; } table; void *use(void) { return &table; }",
          "static struct { int a; long b; } table; void *use(void) { return &table; }", "table",
          "size 4 -> 16" },
        { "static-scalar", false, "static int n; void *use(void) { return &n; }",
          "static long n; void *use(void) { return &n; }", "n", "int -> long" },
        { "static-array", false, "static int n[4]; void *use(void) { return &n; }",
          "static int n[8]; void *use(void) { return &n; }", "n", "bound [4] -> [8]" },
        { "static-local", false, "void *use(void) { static int n; return &n; }",
          "void *use(void) { static long n; return &n; }", "use::n", "int -> long" },
        { "static-const-array", false, "static const int n[] = {1, 2}; int use(int i) { return n[i]; }",
          "static const int n[] = {1, 2, 3}; int use(int i) { return n[i]; }", NULL, NULL },
        { "static-moved-function", false, "void *use(void) { static int n; return &n; }",
          "void *other(void) { static long n; return &n; }", "use::n", "int -> long" },
        { "local-variable", false, "int use(int x) { int n = x; return n; }",
          "int use(int x) { long n = x; return n; }", NULL, NULL },
        { "tls", false, "__thread int n; void *use(void) { return &n; }",
          "__thread long n; void *use(void) { return &n; }", "n", "int -> long" },
        { "packed", false, "struct s { char a; long b; };" S,
          "struct __attribute__((packed)) s { char a; long b; };" S, "struct s", "size 16 -> 9" },
        { "aligned", false, "struct s { long a; };" S, "struct s { long a; } __attribute__((aligned(32)));" S,
          "struct s", "8 -> 32" },
        { "recursive", false, "struct s { struct s *next; int a; };" S,
          "struct s { struct s *next, *prev; int a; };" S, "struct s", "member a 8 -> 16" },
        { "recursive-same", false, "struct s { struct s *next; int a; };" S,
          "struct s { struct s *link; int a; };" S, NULL, NULL },
        { "mutually-recursive", false,
          "struct t; struct s { struct t *t; }; struct t { struct s s[2]; }; struct t *all;" S,
          "struct t; struct s { struct t *t; int n; }; struct t { struct s s[2]; }; struct t *all;" S,
          "struct t", "size 16 -> 32" },
        { "new-type", false, "struct s { int a; };" S,
          "struct n { int a; }; struct n *all; struct s { int a; };" S, NULL, NULL },
        { "gone-type", false, "struct n { int a; }; struct n *all; struct s { int a; };" S,
          "struct s { int a; };" S, NULL, NULL },
        { "became-array", false, "struct s { char *name; };" S, "struct s { char name[8]; };" S, "struct s",
          "char * -> char[8]" },
        { "vector", false, "typedef int v __attribute__((vector_size(16))); v keep;",
          "typedef int v __attribute__((vector_size(32))); v keep;", "v", "" },
        { "namespace", true,
          "namespace n { struct s { int a; }; s *keep; } namespace m { struct s { int a; }; s *keep; }",
          "namespace n { struct s { int a; }; s *keep; } namespace m { struct s { long a; }; s *keep; }",
          "struct m::s", "size 4 -> 8" },
        { "base-class", true,
          "struct b { int x; }; struct s : b { int a; }; s *keep; s make() { return s(); }",
          "struct b { int x, y; }; struct s : b { int a; }; s *keep; s make() { return s(); }", "struct s",
          "member a 4 -> 8" },
        { "base-added", true,
          "struct b { }; struct s { int a; }; s make() { return s(); } b other() { return b(); }",
          "struct b { }; struct s : b { int a; }; s make() { return s(); } b other() { return b(); }",
          "struct s", "base struct b added" },
        { "virtual-added", true, "struct s { virtual void f(); int a; }; void s::f() { a = 1; }",
          "struct s { virtual void f(); virtual void g(); int a; }; void s::f() { a = 1; } void s::g() { }",
          "struct s", "added at slot 1" },
        { "virtual-reordered", true,
          "struct s { virtual void f(); virtual void g(); }; void s::f() { } void s::g() { }",
          "struct s { virtual void g(); virtual void f(); }; void s::f() { } void s::g() { }", "struct s",
          "slot 0 -> 1" },
        { "virtual-same", true, "struct s { virtual void f(); int a; }; void s::f() { a = 1; }",
          "struct s { virtual void f(); void h() { a = 3; } int a; }; void s::f() { h(); }", NULL, NULL },
        { "static-member", true, "struct s { int a; static int n; }; int s::n; s *keep;",
          "struct s { int a; static long n; }; long s::n; s *keep;", "s::n", "int -> long" },
        { "class-to-struct", true, "class s { public: int a; }; s *keep; int use(s *p) { return p->a; }",
          "struct s { int a; }; s *keep; int use(s *p) { return p->a; }", NULL, NULL },
        { "template", true, "template <class T> struct s { T a; }; s<int> i; s<long> l;",
          "template <class T> struct s { T a, b; }; s<int> i; s<long> l;", "struct s<long", "size 8 -> 16" },
        { "local-type", true, "int use() { struct in { int a; }; static in n; return n.a; }",
          "int use() { struct in { long a; }; static in n; return n.a; }", "in", "size 4 -> 8" },
};

typedef struct Build {
        const char *c, *cplusplus, *flags;
} Build;

static const Build builds[] = {
        { "gcc", "g++", "-gdwarf-5" },
        { "gcc", "g++", "-gdwarf-4" },
        { "gcc", "g++", "-gdwarf-5 -fdebug-types-section -O2" },
        { "gcc", "g++", "-gdwarf-4 -fdebug-types-section" },
        { "gcc", "g++", "-gdwarf-3 -gstrict-dwarf -Wl,--compress-debug-sections=zlib" },
        { "clang", "clang++", "-gdwarf-5 -fstandalone-debug" },
        { "clang", "clang++", "-gdwarf-4 -O2 -fstandalone-debug" },
};

static char directory[] = "/tmp/staunch-dwarf-XXXXXX";

static bool run(const char *command) {
        int status = system(command);

        return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool have(const char *compiler) {
        char command[128];

        snprintf(command, sizeof(command), "command -v %s >/dev/null 2>&1", compiler);
        return run(command);
}

static void write_text(const char *name, const char *text) {
        char path[128];
        FILE *f;

        snprintf(path, sizeof(path), "%s/%s", directory, name);
        f = fopen(path, "we");
        assert_non_null(f);
        assert_true(fputs(text, f) >= 0);
        assert_int_equal(fclose(f), 0);
}

/* Compiles in a directory of its own, as packages are: under different build paths. */
static void compile(const char *side, const char *compiler, const char *flags, const char *sources) {
        char command[1024];

        snprintf(command, sizeof(command),
                 "cd %s && mkdir -p %s && cp %s %s && cd %s && %s %s -fPIC -shared -nostdlib -o ../%s.so %s",
                 directory, side, sources, side, side, compiler, flags, side, sources);
        if (!run(command))
                fail_msg("failed: %s", command);
}

static void compare(Verdict *v, Arena *a, bool *complete) {
        char old[128], new[128];
        Error e = { 0 };

        verdict_init(v, a);
        snprintf(old, sizeof(old), "%s/old.so", directory);
        snprintf(new, sizeof(new), "%s/new.so", directory);
        if (dwarf_compare_types(old, new, v, complete, &e) != 0)
                fail_msg("%s", e.text);
}

static void print_findings(const Verdict *v) {
        for (size_t i = 0; i < v->n; i++)
                print_message("    %s: %s\n", v->findings[i].subject, v->findings[i].detail);
}

static bool found(const Verdict *v, const char *subject, const char *detail) {
        for (size_t i = 0; i < v->n; i++)
                if (strstr(v->findings[i].subject, subject) && strstr(v->findings[i].detail, detail) &&
                    v->findings[i].code == REFUSAL_CODE_LAYOUT_CHANGED)
                        return true;
        return false;
}

static void one(const Case *c, const Build *b) {
        _cleanup_(arena_freep) Arena *a = arena_new();
        const char *compiler = c->cplusplus ? b->cplusplus : b->c, *file = c->cplusplus ? "a.cc" : "a.c";
        bool complete = false;
        Verdict v;

        write_text(file, c->old);
        compile("old", compiler, b->flags, file);
        write_text(file, c->new);
        compile("new", compiler, b->flags, file);
        compare(&v, a, &complete);
        if (!complete)
                fail_msg("%s (%s %s): not complete: %s", c->name, compiler, b->flags, v.evidence);
        if (c->subject ? !found(&v, c->subject, c->detail) : v.n > 0) {
                print_findings(&v);
                fail_msg("%s (%s %s): expected %s %s", c->name, compiler, b->flags,
                         c->subject ? c->subject : "no change", c->detail ? c->detail : "");
        }
}

static void test_cases(void **state) {
#ifdef __SANITIZE_ADDRESS__
        enum { STEP = 3 }; /* both compilers, and both versions of DWARF */
#else
        enum { STEP = 1 };
#endif

        for (size_t b = 0; b < ELEMENTSOF(builds); b += STEP) {
                if (!have(builds[b].c) || !have(builds[b].cplusplus))
                        continue;
                for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                        one(&cases[i], &builds[b]);
        }
}

/* Two files have a type of one name; only one of them changes it. */
static void test_same_name_in_two_files(void **state) {
        static const char *const one_int =
                "struct node { int a; }; struct node *%s; int %s_use(void) { return sizeof(struct node); }";
        static const char *const two_ints = "struct node { int a, b; }; struct node *%s; int %s_use(void) { "
                                            "return sizeof(struct node); }";
        static const struct {
                const char *a[2], *b[2];
                bool changed;
        } variants[] = {
                { { one_int, two_ints }, { one_int, two_ints }, false },
                { { one_int, two_ints }, { two_ints, one_int }, true },
                { { one_int, two_ints }, { two_ints, two_ints }, true },
                { { one_int, one_int }, { one_int, two_ints }, true },
                { { two_ints, one_int }, { two_ints, two_ints }, true },
        };

        for (size_t i = 0; i < ELEMENTSOF(variants); i++) {
                for (int types_section = 0; types_section < 2; types_section++) {
                        _cleanup_(arena_freep) Arena *arena = arena_new();
                        const char *flags = types_section ? "-g -fdebug-types-section" : "-g";
                        bool complete = false;
                        char text[2][256];
                        Verdict v;

                        for (int side = 0; side < 2; side++) {
                                const char *const *texts = side ? variants[i].b : variants[i].a;

                                for (int f = 0; f < 2; f++) {
                                        const char *name = f ? "b" : "a", *at = strstr(texts[f], "%s");

                                        snprintf(text[f], sizeof(text[f]),
                                                 "%.*s%s; int %s_use(void) { return sizeof(struct node); }",
                                                 (int)(at - texts[f]), texts[f], name, name);
                                        write_text(f ? "b.c" : "a.c", text[f]);
                                }
                                compile(side ? "new" : "old", "gcc", flags, "a.c b.c");
                        }
                        compare(&v, arena, &complete);
                        assert_true(complete);
                        if ((v.n > 0) != variants[i].changed) {
                                print_findings(&v);
                                fail_msg("variant %zu (%s): expected %s", i, flags,
                                         variants[i].changed ? "a change" : "none");
                        }
                }
        }
}

/* What was compiled without types must not be called complete. */
static void test_incomplete(void **state) {
        static const char *const flags[] = { "", "-g1", "-gsplit-dwarf" };
        static const char text[] =
                "struct s { int a; }; struct s *keep; int use(struct s *p) { return p->a; }";

        for (size_t i = 0; i < ELEMENTSOF(flags); i++) {
                _cleanup_(arena_freep) Arena *a = arena_new();
                bool complete = true;
                Verdict v;

                write_text("a.c", text);
                compile("old", "gcc", "-g", "a.c");
                compile("new", "gcc", flags[i], "a.c");
                compare(&v, a, &complete);
                assert_false(complete);
                assert_non_null(v.evidence);
                assert_int_equal(v.n, 0);
        }
        if (have("clang")) {
                _cleanup_(arena_freep) Arena *a = arena_new();
                bool complete = true;
                Verdict v;

                compile("new", "clang", "-gline-tables-only", "a.c");
                compare(&v, a, &complete);
                assert_false(complete);
        }
}

/* One object of two without -g: its functions are in the symbol table only. */
static void test_object_without_debug(void **state) {
        _cleanup_(arena_freep) Arena *a = arena_new();
        bool complete = true;
        char command[512];
        Verdict v;

        write_text("a.c", "int a(void) { return 1; }");
        write_text("b.c", "int b(void) { return 2; }");
        compile("old", "gcc", "-g", "a.c b.c");
        snprintf(command, sizeof(command),
                 "cd %s && gcc -g -fPIC -c a.c -o a.o && gcc -fPIC -c b.c -o b.o && gcc -shared -nostdlib -o "
                 "new.so a.o b.o",
                 directory);
        assert_true(run(command));
        compare(&v, a, &complete);
        assert_false(complete);
        assert_non_null(strstr(v.evidence, "among them b"));
        /* Assembly has no types to miss. */
        snprintf(command, sizeof(command),
                 "cd %s && printf '.globl b\\n.type b,@function\\nb: ret\\n.size b,.-b\\n.section "
                 ".note.GNU-stack\\n' > b.s && "
                 "gcc -g -c b.s -o b.o && gcc -shared -nostdlib -o new.so a.o b.o && cp new.so old.so",
                 directory);
        assert_true(run(command));
        compare(&v, a, &complete);
        if (!complete)
                fail_msg("assembly counts: %s", v.evidence);
}

/* Common parts moved to a third file by dwz, and that file lost. */
static void test_dwz(void **state) {
        static const char text[] =
                "struct s { int a; long b; struct s *next; char name[40]; }; struct s *%c_keep;\n"
                "int %c_use(struct s *p) { return p->a + sizeof(*p); }\n"
                "struct t { struct s s; int z; }; struct t %c_all;\n";
        static const char command[] = "cd %s && for n in old new; do gcc -g -O1 -fPIC -shared -nostdlib "
                                      "-Wl,--build-id -o $n.so $n-a.c $n-b.c && "
                                      "gcc -g -O1 -fPIC -shared -nostdlib -Wl,--build-id -o $n-2.so $n-b.c "
                                      "$n-a.c -Dextra=1 || exit 1; "
                                      "rm -f $n.common; dwz -m $n.common -M $n.common $n.so $n-2.so || exit "
                                      "1; done; test -e new.common";
        char line[1024], name[16];

        if (!have("dwz"))
                skip();
        for (int changed = 0; changed < 2; changed++) {
                _cleanup_(arena_freep) Arena *a = arena_new();
                bool complete = false;
                Verdict v;

                for (int i = 0; i < 4; i++) {
                        char source[512];
                        const char *at = text;
                        size_t n = 0;

                        for (; *at && n + 1 < sizeof(source); at++) {
                                if (at[0] == '%' && at[1] == 'c') {
                                        source[n++] = i % 2 ? 'b' : 'a';
                                        at++;
                                } else {
                                        source[n++] = *at;
                                }
                        }
                        source[n] = 0;
                        if (changed && i >= 2)
                                memcpy(strstr(source, "[40]"), "[48]", 4);
                        snprintf(name, sizeof(name), "%s-%c.c", i < 2 ? "old" : "new", i % 2 ? 'b' : 'a');
                        write_text(name, source);
                }
                snprintf(line, sizeof(line), command, directory);
                assert_true(run(line));
                compare(&v, a, &complete);
                if (!complete)
                        fail_msg("%s", v.evidence);
                assert_int_equal(found(&v, "struct s", "name"), changed);
                assert_int_equal(v.n > 0, changed);
                snprintf(line, sizeof(line), "rm %s/new.common", directory);
                assert_true(run(line));
                compare(&v, a, &complete);
                assert_false(complete);
        }
}

static void test_errors(void **state) {
        _cleanup_(arena_freep) Arena *a = arena_new();
        bool complete = true;
        Error e = { 0 };
        Verdict v;

        verdict_init(&v, a);
        assert_true(dwarf_compare_types("/nonexistent", "/nonexistent", &v, &complete, &e) < 0);
        assert_non_null(strstr(e.text, "/nonexistent"));
        assert_true(dwarf_compare_types("/dev/null", "/dev/null", &v, &complete, &e) < 0);
        write_text("text", "not an ELF file");
        assert_int_equal(v.n, 0);
}

static const DwarfVariable *variable(const DwarfPlaces *p, const char *name, const char *unit) {
        for (size_t i = 0; i < p->n_variables; i++)
                if (strcmp(p->variables[i].name, name) == 0 && strcmp(p->variables[i].unit, unit) == 0)
                        return &p->variables[i];
        return NULL;
}

static const DwarfFunction *function(const DwarfPlaces *p, const char *name) {
        for (size_t i = 0; i < p->n_functions; i++)
                if (strcmp(p->functions[i].name, name) == 0)
                        return &p->functions[i];
        return NULL;
}

/* Every place that debug information gives is the one that the symbol table gives. */
static void test_places(void **state) {
        for (size_t b = 0; b < ELEMENTSOF(builds); b++) {
                _cleanup_(arena_freep) Arena *a = arena_new();
                const DwarfVariable *v;
                char path[128], command[512];
                DwarfPlaces p = { 0 };
                Error e = { 0 };
                uint64_t size;
                FILE *f;
                unsigned long addr;

                if (!have(builds[b].c))
                        continue;
                write_text("a.c",
                           "static int same = 1; int shared[3] = {1}; __thread long first; __thread char "
                           "second[5];\n"
                           "int *f(void) { static int inner = 2; return second[0] ? &inner : &same; }\n");
                write_text("b.c", "static int same = 3; extern int shared[3]; int *g(void) { return "
                                  "shared[1] ? &same : 0; }\n");
                compile("old", builds[b].c, builds[b].flags, "a.c b.c");
                snprintf(path, sizeof(path), "%s/old.so", directory);
                assert_int_equal(dwarf_places(path, a, &p, &e), 0);
                assert_non_null(v = variable(&p, "same", "a.c"));
                assert_true(v->size == 4 && !v->external && !v->tls);
                assert_non_null(variable(&p, "same", "b.c"));
                assert_true(variable(&p, "same", "b.c")->addr != v->addr);
                assert_non_null(v = variable(&p, "f::inner", "a.c"));
                assert_int_equal(v->size, 4);
                assert_non_null(v = variable(&p, "shared", "a.c"));
                assert_true(v->size == 12 && v->external);
                snprintf(command, sizeof(command), "nm %s | awk '$3 == \"shared\" { print $1 }'", path);
                assert_non_null(f = popen(command, "r"));
                assert_int_equal(fscanf(f, "%lx", &addr), 1);
                assert_int_equal(pclose(f), 0);
                assert_int_equal(addr, v->addr);
                assert_non_null(v = variable(&p, "second", "a.c"));
                assert_true(v->tls && v->size == 5);
                assert_non_null(variable(&p, "first", "a.c"));
                assert_true(variable(&p, "first", "a.c")->addr != v->addr);
                assert_non_null(function(&p, "f"));
                size = function(&p, "f")->size;
                assert_true(size > 0 && strcmp(function(&p, "g")->unit, "b.c") == 0);
                for (size_t i = 1; i < p.n_variables; i++)
                        assert_true(p.variables[i].tls || p.variables[i - 1].addr <= p.variables[i].addr);
                compile("old", builds[b].c, "-O1", "a.c b.c");
                assert_int_equal(dwarf_places(path, a, &p, &e), DWARF_NONE);
        }
}

static int setup(void **state) {
        return mkdtemp(directory) ? 0 : -1;
}

static int teardown(void **state) {
        char command[128];

        snprintf(command, sizeof(command), "rm -rf %s", directory);
        return run(command) ? 0 : -1;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_cases),      cmocka_unit_test(test_same_name_in_two_files),
                cmocka_unit_test(test_incomplete), cmocka_unit_test(test_object_without_debug),
                cmocka_unit_test(test_dwz),        cmocka_unit_test(test_places),
                cmocka_unit_test(test_errors),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
