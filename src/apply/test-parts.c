/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a switch that can be looked at by themselves. */
#include "apply/edit.h"
#include "apply/header.h"
#include "apply/safe.h"
#include "base/macro.h"
#include "proc/mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static void entry_is_not_inside(void **state) {
        SafeSet s = { 0 };

        (void)state;
        safe_set_add(&s, (SafeRange){ .start = 0x1000, .end = 0x1100, .entry = 0x1000, .name = "f" });
        safe_set_add(&s, (SafeRange){ .start = 0x2000, .end = 0x2100, .name = "f.cold" });
        safe_set_add(&s,
                     (SafeRange){ .start = 0x3000, .end = 0x3100, .entry = 0x3000, .ends_in_call = true });
        safe_set_sort(&s);
        assert_null(safe_running(&s, 0x1000)); /* about to be called */
        assert_non_null(safe_running(&s, 0x1001));
        assert_non_null(safe_running(&s, 0x2000)); /* no entry: jumped to from the middle */
        assert_null(safe_running(&s, 0x1100));
        assert_null(safe_returning(&s, 0x1000)); /* a function pointer, or a return into what lies before */
        assert_non_null(safe_returning(&s, 0x1001));
        assert_null(safe_returning(&s, 0x1100));
        assert_non_null(safe_returning(&s, 0x3100)); /* behind a call that ends the function */
        assert_null(safe_returning(&s, 0x3101));
        assert_null(safe_running(&s, 0));
        assert_null(safe_running(&s, UINT64_MAX));
        safe_set_free(&s);
}

/* A long range hides no short one that begins later, and none that reaches further. */
static void ranges_may_overlap(void **state) {
        SafeSet s = { 0 };

        (void)state;
        safe_set_add(&s, (SafeRange){ .start = 0x1000, .end = 0x9000, .name = "long" });
        safe_set_add(&s, (SafeRange){ .start = 0x2000, .end = 0x2010, .entry = 0x2000, .name = "short" });
        safe_set_add(&s, (SafeRange){ .start = 0x3000, .end = 0x3010, .name = "other" });
        safe_set_sort(&s);
        assert_string_equal(safe_running(&s, 0x2000)->name, "long");
        assert_string_equal(safe_running(&s, 0x8fff)->name, "long");
        assert_string_equal(safe_returning(&s, 0x8000)->name, "long");
        safe_set_free(&s);
}

static uint8_t code[8192] __attribute__((aligned(4096)));

/* The later edit of a byte wins, and what must be there is what the first one says. */
static void edits_are_layered(void **state) {
        Edits s = { 0 };
        uint64_t at = (uint64_t)(uintptr_t)code + 4094; /* over a page's end */
        int fd = mem_open(getpid());
        uint32_t owner = 0;
        uint64_t addr;
        Error e;

        (void)state;
        assert_true(fd >= 0);
        memcpy(code + 4094, "abcdef", 6);
        edits_add(&s, at, (const uint8_t *)"abcd", (const uint8_t *)"wxyz", 4, false, 1);
        edits_add(&s, at + 2, (const uint8_t *)"yz", (const uint8_t *)"12", 2, false, 2);
        edits_prepare(&s);
        assert_int_equal(s.n_spans, 2);
        assert_int_equal(edits_check(&s, getpid(), &owner, &addr, &e), 0);
        assert_int_equal(edits_write(&s, fd, &e), 0);
        assert_memory_equal(code + 4094, "wx12ef", 6);
        edits_undo(&s, fd);
        assert_memory_equal(code + 4094, "abcdef", 6);
        code[4095] = '?';
        assert_int_equal(edits_check(&s, getpid(), &owner, &addr, &e), EDIT_DIFFERS);
        assert_int_equal(owner, 1);
        assert_int_equal(addr, at + 1);
        edits_free(&s);
        close(fd);
}

/* What the stack of a thread that stands at `sp` is found to hold. */
static int look_at(const Maps *before, const uint8_t *sp, uint64_t thread_pointer, uint64_t inside) {
        StoppedThread t = { .tid = getpid(),
                            .regs = { .rsp = (uintptr_t)sp, .rip = 1, .fs_base = thread_pointer } };
        World w = { .threads = &t, .n = 1 };
        SafeSet s = { 0 };
        SafeBlame blame;
        StackReader *r;
        Error e;
        int q;

        safe_set_add(&s, (SafeRange){ .start = inside - 4, .end = inside + 4, .name = "f" });
        safe_set_sort(&s);
        r = stack_reader_new(getpid(), before, 1, &e);
        assert_non_null(r);
        q = safe_check(&s, &w, r, NULL, &blame);
        stack_reader_free(r);
        safe_set_free(&s);
        return q;
}

/* Where stacks ended before the stop is a hint: a stack that goes on further by now is read to its end. */
static void stacks_end_where_they_do_now(void **state) {
        enum { PAGE = 4096, PAGES = 4 };
        const uint64_t inside = UINT64_C(0x123456789a0);
        uint8_t *at = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        _cleanup_(maps_free) Maps before = { 0 }, later = { 0 };
        Error e;

        (void)state;
        assert_true(at != MAP_FAILED);
        memcpy(at + 2 * PAGE, &inside, sizeof(inside));
        assert_int_equal(mprotect(at + PAGE, (PAGES - 1) * PAGE, PROT_NONE), 0);
        assert_int_equal(maps_read(getpid(), &before, &e), 0);
        assert_int_equal(look_at(&before, at, 0, inside), 0);
        assert_int_equal(mprotect(at + PAGE, (PAGES - 2) * PAGE, PROT_READ | PROT_WRITE), 0);
        assert_int_equal(look_at(&before, at, 0, inside), SAFE_BUSY); /* one mapping with what was its end */
        assert_int_equal(madvise(at + PAGE, PAGE, MADV_DONTFORK),
                         0); /* not mlock(): the sanitizer makes it do nothing */
        assert_int_equal(look_at(&before, at, 0, inside), SAFE_BUSY); /* another */
        assert_int_equal(maps_read(getpid(), &later, &e), 0);
        assert_int_equal(look_at(&later, at, 0, inside), SAFE_BUSY);
        /* Not behind the thread's own block: with the hint, and without. */
        assert_int_equal(look_at(&later, at, (uintptr_t)at + PAGE / 2, inside), 0);
        assert_int_equal(look_at(&before, at, (uintptr_t)at + PAGE / 2, inside), 0);
        assert_int_equal(look_at(&later, at, (uintptr_t)at + 2 * PAGE, inside), 0);
        assert_int_equal(look_at(&before, at, (uintptr_t)at + 2 * PAGE, inside), 0);
        assert_int_equal(look_at(&later, at, (uintptr_t)at + 2 * PAGE + 1, inside), SAFE_BUSY);
        assert_int_equal(look_at(&before, at, (uintptr_t)at + 2 * PAGE + 1, inside), SAFE_BUSY);
        assert_int_equal(look_at(&later, at, (uintptr_t)at + 2 * PAGE + PAGE / 2, inside), SAFE_BUSY);
        assert_int_equal(madvise(at + PAGE, PAGE, MADV_DOFORK), 0);
        assert_int_equal(mprotect(at + PAGE, (PAGES - 1) * PAGE, PROT_NONE), 0);
        assert_int_equal(look_at(&later, at, 0, inside), 0); /* it ends earlier by now */
        assert_int_equal(look_at(&later, at, (uintptr_t)at + 2 * PAGE + PAGE / 2, inside), 0);
        munmap(at, PAGES * PAGE);
        assert_int_equal(look_at(&later, at, 0, inside), SAFE_BUSY); /* no stack at all */
}

/* Words are looked at in blocks, and closer where a block holds something: wherever a word lies, whatever
 * lies beside it, and however far the ranges are apart. */
static void no_word_is_overlooked(void **state) {
        enum { WORDS = 53, RANGE = 0x100 };
        static const uint64_t apart[] = { RANGE,
                                          RANGE + 1,
                                          4096,
                                          UINT64_C(1) << 31,
                                          UINT64_C(1) << 46,
                                          UINT64_C(1) << 62,
                                          UINT64_MAX - 0x10000 };
        const uint64_t lo = 0x8000;
        uint8_t *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        uint64_t *words = (uint64_t *)(void *)(page + 4096) - WORDS;
        _cleanup_(maps_free) Maps before = { 0 };
        StackReader *r;
        Error e;

        (void)state;
        assert_true(page != MAP_FAILED);
        assert_int_equal(mprotect(page + 4096, 4096, PROT_NONE), 0);
        assert_int_equal(maps_read(getpid(), &before, &e), 0);
        r = stack_reader_new(getpid(), &before, 1, &e);
        assert_non_null(r);
        for (size_t k = 0; k < ELEMENTSOF(apart); k++) {
                StoppedThread t = { .tid = getpid(), .regs = { .rsp = (uintptr_t)words, .rip = 1 } };
                World w = { .threads = &t, .n = 1 };
                const uint64_t hi = lo + apart[k], inside[] = { lo + 1, lo + RANGE - 1, hi - 1, hi },
                               beside[] = { 0, lo, lo - 1, hi + 1, lo + RANGE + 1, 0x2b000000000034 };
                SafeSet s = { 0 };
                SafeBlame blame;

                safe_set_add(&s, (SafeRange){ .start = lo, .end = lo + RANGE, .name = "first" });
                safe_set_add(&s,
                             (SafeRange){ .start = hi - 4, .end = hi, .ends_in_call = true, .name = "last" });
                safe_set_sort(&s);
                for (size_t i = 0; i < WORDS; i++)
                        for (size_t x = 0; x < ELEMENTSOF(inside); x++)
                                for (size_t y = 0; y < ELEMENTSOF(beside); y++) {
                                        uint64_t other = safe_returning(&s, beside[y]) ? 0 : beside[y];

                                        for (size_t j = 0; j < WORDS; j++)
                                                words[j] = other;
                                        assert_int_equal(safe_check(&s, &w, r, NULL, &blame), 0);
                                        words[i] = inside[x];
                                        assert_int_equal(safe_check(&s, &w, r, NULL, &blame), SAFE_BUSY);
                                        assert_int_equal(blame.pc, inside[x]);
                                }
                memset(words, 0, WORDS * sizeof(*words));
                for (size_t i = 3; i < WORDS;
                     i++) { /* signal frames: the first byte of a range is its inside */
                        words[i] = i % 2 ? UINT64_C(0x002b000000000033) : UINT64_C(0xe02b00000000e033);
                        words[i - 2] = lo;
                        words[i - 3] = (uintptr_t)words;
                        assert_int_equal(safe_check(&s, &w, r, NULL, &blame), SAFE_BUSY);
                        assert_int_equal(blame.pc, lo);
                        words[i] = words[i - 2] = words[i - 3] = 0;
                }
                safe_set_free(&s);
        }
        stack_reader_free(r);
        munmap(page, 8192);
}

static void header_round_trip(void **state) {
        HeaderSite site = {
                .old_addr = 1, .new_addr = 2, .patch_addr = 3, .jump_addr = 4, .n = 5, .name = 1
        };
        HeaderRange range = { 0x4000, 16 };
        HeaderVariable variable = {
                .addr = 0x4010, .size = 8, .initial = 3, .bound = 0x7000, .align = 8, .name = 1
        };
        PatchTestimony testimony = { 77, 0 };
        PatchUser user = { 1, 2, 3 };
        HeaderWord word = { .where = 0x18, .old_value = 0x20, .value = 0x30, .shadow = true };
        char strings[] = "\0answer";
        Header h = { .state = PATCH_STATE_ACTIVE,
                     .lo = 0x4000,
                     .hi = 0x5000,
                     .n_sites = 1,
                     .sites = &site,
                     .n_code = 1,
                     .code = &range,
                     .strings = strings,
                     .strings_size = sizeof(strings),
                     .name = "image",
                     .n_variables = 1,
                     .variables = &variable,
                     .n_testimonies = 1,
                     .testimonies = &testimony,
                     .n_users = 1,
                     .users = &user,
                     .n_words = 1,
                     .words = &word,
                     .image_base = 0x10000,
                     .shadow_base = 0x20000,
                     .self = 0x1000,
                     .txn = 7,
                     .way_back = WAY_BACK_UNPROVED,
                     .way_back_why = "answer: why",
                     .startup_only = true };
        size_t size = header_size(&h);
        uint8_t *bytes = calloc(1, size);
        Header again;
        uint64_t value;

        (void)state;
        header_encode(&h, bytes);
        assert_int_equal(header_decode(bytes, size, &again), 0);
        assert_int_equal(again.sites[0].jump_addr, 4);
        assert_int_equal(again.way_back, WAY_BACK_UNPROVED);
        assert_true(again.startup_only);
        assert_string_equal(again.way_back_why, "answer: why");
        assert_string_equal(again.strings + again.sites[0].name, "answer");
        assert_memory_equal(again.variables, &variable, sizeof(variable));
        assert_int_equal(again.testimonies[0].key, 77);
        assert_memory_equal(again.users, &user, sizeof(user));
        assert_int_equal(header_word_before(&again, 0), 0x10020);
        assert_int_equal(header_word_after(&again, 0), 0x20030);
        memcpy(&value, bytes + header_bound_at(&h, 0), sizeof(value));
        assert_int_equal(value, 0x7000);
        header_free(&again);
        assert_int_equal(header_decode(bytes, size - 4000, &again), -EBADMSG); /* cut */
        bytes[HEADER_STATE_AT] = 9;
        assert_int_equal(header_decode(bytes, size, &again), -EBADMSG);
        bytes[HEADER_STATE_AT] = PATCH_STATE_ACTIVE;
        bytes[HEADER_FIXED + 32] = 17; /* more bytes than a site has */
        assert_int_equal(header_decode(bytes, size, &again), -EBADMSG);
        free(bytes);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(entry_is_not_inside),   cmocka_unit_test(ranges_may_overlap),
                cmocka_unit_test(edits_are_layered),     cmocka_unit_test(stacks_end_where_they_do_now),
                cmocka_unit_test(no_word_is_overlooked), cmocka_unit_test(header_round_trip),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
