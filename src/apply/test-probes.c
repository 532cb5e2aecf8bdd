/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that a tracer has put probes into (uprobes): the kernel writes to their code as well. */
#include "apply/test-support.h"
#include "base/macro.h"

#include <linux/perf_event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

/* A probe on a function, as tracers of whole machines set them, or on the return from it: the file's offset
 * of its symbol. */
static int probe(pid_t pid, const char *function, bool of_return) {
        struct perf_event_attr attr = { .size = sizeof(attr), .config = of_return };
        FILE *f = fopen("/sys/bus/event_source/devices/uprobe/type", "r");
        Image *image;
        Error e;

        if (!f || fscanf(f, "%u", &attr.type) != 1)
                return -1;
        fclose(f);
        assert_int_equal(image_open(victim_path, &image, &e), 0);
        for (size_t i = 0; i < image->n_syms; i++)
                if (strcmp(image->syms[i].name, function) == 0) {
                        const ImageSegment *g = image_segment_at(image, image->syms[i].addr);

                        attr.probe_offset = image->syms[i].addr - g->addr + g->offset;
                }
        image_free(image);
        assert_true(attr.probe_offset);
        attr.uprobe_path = (uintptr_t)victim_path;
        return (int)syscall(SYS_perf_event_open, &attr, pid, -1, -1, 0);
}

/* The kernel has put another address in the place of the return address. */
static void probed_return_is_seen(void **state) {
        Victim v = victim_start_with(NULL, NULL);
        Patch *p = patch_one("probing", 3);
        EngineResult res;
        int fd = probe(v.pid, "probed", true);

        (void)state;
        if (fd < 0) {
                victim_stop(&v);
                print_message("no probes here\n");
                skip();
        }
        assert_int_equal(victim_ask(&v, "probing", NULL), 0);
        while (victim_ask(&v, "counter", NULL) < 2)
                usleep(1000);
        assert_int_equal(apply_within(v.pid, p, 30000, &res), ENGINE_REFUSED);
        assert_int_equal(res.refusal, REFUSAL_CODE_PROCESS_BUSY);
        assert_string_equal(res.subject, "a probe on a return");
        assert_int_equal(victim_ask(&v, "release", NULL), 0);
        assert_int_equal(apply_within(v.pid, p, 5000000, &res), 0);
        close(fd);
        victim_stop(&v);
}

/* The kernel puts a breakpoint on the first byte, and would put the file's byte back over ours. */
static void probed_entry_is_refused(void **state) {
        Victim v = victim_start_with(NULL, NULL);
        Patch *p = patch_one("answer", 3);
        EngineResult res;
        int fd = probe(v.pid, "answer", false);

        (void)state;
        if (fd < 0) {
                victim_stop(&v);
                print_message("no probes here\n");
                skip();
        }
        assert_int_equal(victim_apply(&v, p, &res), ENGINE_REFUSED);
        assert_int_equal(res.refusal, REFUSAL_CODE_IMAGE_MODIFIED);
        assert_non_null(strstr(res.detail, "a breakpoint"));
        assert_int_equal(victim_ask(&v, "call", NULL), 1);
        close(fd);
        assert_int_equal(victim_apply(&v, p, &res), 0);
        assert_int_equal(victim_ask(&v, "call", NULL), 2);
        victim_stop(&v);
}

/* The page of a function that is as it is in the file is a copy of its own, for a probe that lies there. */
static void probe_is_no_patch(void **state) {
        Victim v = victim_start_with(NULL, NULL);
        Patch *p = patch_one("answer", 3);
        ProcessPatch *patches;
        EngineResult res;
        size_t n;
        int fd, in_page;
        Error e;

        (void)state;
        assert_int_equal(victim_apply(&v, p, &res), 0);
        assert_int_equal(victim_ask(&v, "forget text", &in_page), 0);
        assert_true(in_page);
        fd = probe(v.pid, "beside_answer", false);
        if (fd < 0) {
                victim_stop(&v);
                print_message("no probes here\n");
                skip();
        }
        assert_int_equal(victim_ask(&v, "call", NULL), 1);
        assert_int_equal(engine_status(v.pid, &patches, &n, &e), 0);
        free(patches);
        assert_int_equal(n, 0);
        assert_int_equal(victim_apply(&v, p, &res), 0);
        assert_int_equal(victim_ask(&v, "call", NULL), 2);
        close(fd);
        victim_stop(&v);
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(probed_return_is_seen),
                cmocka_unit_test(probed_entry_is_refused),
                cmocka_unit_test(probe_is_no_patch),
        };

        if (argc < 4)
                return 2;
        victim_path = argv[3];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
