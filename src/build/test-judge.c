/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layout verdict on compiled pairs. Argument: the folder of judge-cases.c. With
 * STAUNCH_TEST_ALL=1 every optimisation level is tried; with STAUNCH_TEST_CASE=n one case, verbosely.
 */
#include "base/macro.h"
#include "build/judge.h"
#include "build/values.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

static const char *folder;
static char scratch[] = "/tmp/staunch-judge-XXXXXX";

typedef struct Case {
        int number;
        const char *what;
} Case;

static const Case layout_changes[] = {
        { 1, "a member in the middle" },
        { 2, "a member at the end" },
        { 3, "an int in padding" },
        { 4, "a char in padding" },
        { 5, "an int widened into padding" },
        { 6, "an int that became a float" },
        { 7, "an array element that grew" },
        { 8, "a member narrowed, in an array" },
        { 9, "an inner array that grew" },
        { 10, "a nested struct that grew" },
        { 11, "a value in the middle of an enum" },
        { 12, "the header of a flexible array" },
        { 13, "members in the middle of a global struct" },
        { 14, "a callback at the end of a table" },
        { 15, "the link moved to the front" },
        { 16, "members in another order" },
        { 17, "a member removed" },
        { 18, "a long narrowed to an int" },
        { 19, "a char that became an array, in padding" },
        { 20, "bit fields that moved" },
        { 22, "array elements of a global pointer that grew" },
        { 25, "a pointer that became an array of the same size" },
        { 26, "a member in padding of a struct on the stack" },
        { 28, "a double that became a float" },
        { 29, "a callback in the middle of a table" },
        { 31, "two members swapped" },
};

static const Case fixes[] = {
        { 101, "a bounds check" },
        { 102, "an early return" },
        { 103, "another limit" },
        { 104, "another format string and a computed argument" },
        { 105, "a call of an existing function" },
        { 106, "fields that the function did not use before" },
        { 107, "statements in another order" },
        { 108, "another loop condition" },
        { 109, "a check in a loop" },
        { 110, "another buffer on the stack" },
        { 111, "a new function" },
        { 112, "a new variable" },
        { 113, "free and clear" },
        { 114, "an overflow check" },
        { 115, "a buffer cleared before it is freed" },
        { 116, "a bounded copy" },
        { 117, "a new flag in a word of flags" },
        { 119, "a failure handled" },
        { 120, "an element skipped" },
        { 121, "a retry" },
        { 122, "room for a terminator" },
        { 124, "a case at the end of a switch" },
        { 125, "a function that is inlined now" },
        { 126, "another limit of a floating-point value" },
        { 127, "an unsigned comparison" },
};

__attribute__((format(printf, 1, 2))) static int run(const char *format, ...) {
        char command[2048];
        va_list ap;
        int status;

        va_start(ap, format);
        vsnprintf(command, sizeof(command), format, ap);
        va_end(ap);
        status = system(command);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool have(const char *compiler) {
        return run("command -v %s >/dev/null 2>&1", compiler) == 0;
}

/* The verdict of a case: true when nothing but advice is in it. */
static bool judged(const Case *c, const char *compiler, const char *flags, bool *consistent) {
        _cleanup_(image_freep) Image *old = NULL, *new = NULL;
        _cleanup_(diff_freep) Diff *d = NULL;
        char path[2][256];
        Error e = { 0 };
        bool verbose = getenv("STAUNCH_TEST_CASE") != NULL;

        for (int side = 0; side < 2; side++) {
                snprintf(path[side], sizeof(path[side]), "%s/%s%s-%d-%d", scratch, compiler, flags, c->number,
                         side);
                assert_int_equal(run("%s %s -fPIE -pie -s -w -DCASE=%d -DNEW=%d -o '%s' '%s/judge-cases.c'",
                                     compiler, flags, c->number, side, path[side], folder),
                                 0);
        }
        assert_int_equal(image_open(path[0], &old, &e), 0);
        assert_int_equal(image_open(path[1], &new, &e), 0);
        assert_int_equal(diff_run(old, new, &(DiffOptions){ .no_debug = true }, &d, &e), 0);
        *consistent = d->verdict.grade == GRADE_CONSISTENT;
        if (verbose) {
                printf("%s %s %d %s: %s\n", compiler, flags, c->number, c->what,
                       layout_grade_text(d->verdict.grade));
                for (size_t i = 0; i < d->verdict.n; i++)
                        printf("    %s %s: %s\n", refusal_get(d->verdict.findings[i].code)->code,
                               d->verdict.findings[i].subject, d->verdict.findings[i].detail);
        } else {
                unlink(path[0]);
                unlink(path[1]);
        }
        return verdict_hotpatchable(&d->verdict, NULL);
}

static void each(const Case *cases, size_t n, bool fix) {
        static const char *const compilers[] = { "gcc", "clang" };
        static const char *const levels[] = { "-O0", "-O2", "-O1", "-O3", "-Os" };
#ifdef __SANITIZE_ADDRESS__
        enum { USUAL = 1 }; /* it looks at the judge, and not at what compilers make of the cases */
#else
        enum { USUAL = 2 };
#endif
        const char *only = getenv("STAUNCH_TEST_CASE");
        size_t wrong = 0, tried = 0, n_levels = getenv("STAUNCH_TEST_ALL") ? ELEMENTSOF(levels) : USUAL;

        for (size_t k = 0; k < ELEMENTSOF(compilers); k++) {
                if (!have(compilers[k]))
                        continue;
                for (size_t l = 0; l < n_levels; l++)
                        for (size_t i = 0; i < n; i++) {
                                bool consistent, hotpatchable;

                                if (only && atoi(only) != cases[i].number)
                                        continue;
                                hotpatchable = judged(&cases[i], compilers[k], levels[l], &consistent);
                                tried++;
                                if (fix ? !consistent : (consistent && hotpatchable)) {
                                        printf("%s %s case %d (%s): %s\n", compilers[k], levels[l],
                                               cases[i].number, cases[i].what, fix ? "refused" : "accepted");
                                        wrong++;
                                }
                        }
        }
        printf("%zu of %zu wrong\n", wrong, tried);
        assert_int_equal(wrong, 0);
        assert_true(tried > 0 || only);
}

static void test_layout_changes(void **state) {
        (void)state;
        each(layout_changes, ELEMENTSOF(layout_changes), false);
}

static void test_fixes(void **state) {
        (void)state;
        each(fixes, ELEMENTSOF(fixes), true);
}

static void test_known_sorted(void **state) {
        (void)state;
        for (size_t i = 0; i < known_count(); i++) {
                assert_ptr_equal(known_find(known_at(i)->name), known_at(i));
                if (i)
                        assert_true(strcmp(known_at(i - 1)->name, known_at(i)->name) < 0);
        }
        assert_null(known_find("no_such_function"));
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_known_sorted),
                cmocka_unit_test(test_layout_changes),
                cmocka_unit_test(test_fixes),
        };
        int r;

        if (argc < 2 || !mkdtemp(scratch))
                return 2;
        folder = argv[1];
        r = cmocka_run_group_tests(tests, NULL, NULL);
        if (!getenv("STAUNCH_TEST_CASE"))
                run("rm -rf '%s'", scratch);
        return r;
}
