/* SPDX-License-Identifier: Apache-2.0 */
/* Processes of every kind: stacks, signals, filters, families. */
#include "apply/test-support.h"
#include "proc/task.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Waits until another thread than the leader (or, with `sharer`, that process) is in read() or vfork(). */
static void wait_blocked(pid_t pid, pid_t sharer) {
        for (bool found = false; !found; usleep(1000)) {
                pid_t *tids = NULL;
                size_t n = 0;

                assert_int_equal(task_threads(sharer ? sharer : pid, &tids, &n), 0);
                for (size_t i = 0; i < n; i++) {
                        char path[64], text[32];
                        FILE *f;

                        snprintf(path, sizeof(path), "/proc/%d/syscall", tids[i]);
                        f = tids[i] == pid ? NULL : fopen(path, "r");
                        if (!f)
                                continue;
                        found |= fgets(text, sizeof(text), f) &&
                                 (strncmp(text, "0 ", 2) == 0 || strncmp(text, "58 ", 3) == 0);
                        fclose(f);
                }
                free(tids);
        }
}

/* Refused while somebody is inside, naming the function; applied when it has left. */
static void refused_then_applied(const char *command, const char *function, RefusalCode code) {
        Victim v = victim_start_with(NULL, NULL);
        Patch *p = patch_one(function, 7);
        EngineResult res;

        int r = victim_ask(&v, command, NULL);

        assert_true(r >= 0);
        while (code == REFUSAL_CODE_PROCESS_BUSY && victim_ask(&v, "counter", NULL) == 0)
                usleep(1000); /* not inside yet */
        wait_blocked(v.pid, r);
        assert_int_equal(apply_within(v.pid, p, 30000, &res), ENGINE_REFUSED);
        if (res.refusal != code)
                fail_msg("%s: refused with %s %s %s", command, refusal_get(res.refusal)->code, res.subject,
                         res.detail);
        if (code == REFUSAL_CODE_PROCESS_BUSY)
                assert_string_equal(res.subject, function);
        assert_int_equal(victim_ask(&v, "release", NULL), 0);
        assert_int_equal(apply_within(v.pid, p, 5000000, &res), 0);
        victim_stop(&v);
}

static void frame_under_alternate_stack_is_seen(void **state) {
        (void)state;
        refused_then_applied("alternate", "interrupted", REFUSAL_CODE_PROCESS_BUSY);
}

static void frame_in_sharer_is_seen(void **state) {
        (void)state;
        refused_then_applied("share", "hold", REFUSAL_CODE_PROCESS_BUSY);
}

/* The first thread of the process that shares the memory has ended: it has none any more. */
static void sharer_without_leader_is_seen(void **state) {
        (void)state;
        refused_then_applied("share and end", "hold", REFUSAL_CODE_PROCESS_BUSY);
}

static void vfork_is_waited_for(void **state) {
        (void)state;
        refused_then_applied("vfork", "visit", REFUSAL_CODE_PROCESS_STOP);
}

/* A page of a stack that only the stopped process could bring: the guardian waits for it, and is ended. */
static void blocked_guardian_lets_go(void **state) {
        Victim v = victim_start_with(NULL, NULL);
        Patch *p = patch_simple(code_two, 2);
        EngineResult res;

        (void)state;
        if (victim_ask(&v, "hole", NULL) < 0) {
                victim_stop(&v);
                print_message("no userfaultfd here\n");
                skip();
        }
        wait_blocked(v.pid, 0);
        assert_int_equal(victim_apply(&v, p, &res), -ECHILD);
        assert_int_equal(victim_ask(&v, "call", NULL), 1);
        assert_int_equal(victim_ask(&v, "release", NULL), 0);
        assert_int_equal(victim_apply(&v, p, &res), 0);
        assert_int_equal(victim_ask(&v, "call", NULL), 2);
        victim_stop(&v);
}

static void stale_words_are_told_apart(void **state) {
        Victim v = victim_start_with(NULL, NULL);
        EngineResult res;

        (void)state;
        assert_true(victim_ask(&v, "stale", NULL) > 0); /* there are some */
        wait_blocked(v.pid, 0);
        assert_int_equal(victim_apply(&v, patch_one("visit", 7), &res), 0);
        assert_int_equal(res.attempts, 1);
        assert_int_equal(victim_ask(&v, "release", NULL), 0);
        victim_stop(&v);
}

/* Another file that says it is the same build, with other unwind data: it counts for its own process only. */
static void unwind_data_is_of_the_file(void **state) {
        char copy[] = "/tmp/staunch-victim-XXXXXX", command[8192];
        const char *path = victim_path;
        Patch *p = patch_one("visit", 7);
        EngineResult res;
        Elf64_Ehdr ehdr;
        Elf64_Phdr phdr;
        int fd = mkstemp(copy);
        Victim v;

        (void)state;
        snprintf(command, sizeof(command), "cp %s %s && chmod +x %s", path, copy, copy);
        assert_int_equal(system(command), 0);
        assert_int_equal(pread(fd, &ehdr, sizeof(ehdr), 0), sizeof(ehdr));
        for (unsigned i = 0; i < ehdr.e_phnum; i++) {
                assert_int_equal(pread(fd, &phdr, sizeof(phdr), (off_t)(ehdr.e_phoff + i * sizeof(phdr))),
                                 sizeof(phdr));
                if (phdr.p_type == PT_GNU_EH_FRAME)
                        assert_int_equal(pwrite(fd, "\xff\xff\xff\xff", 4, (off_t)phdr.p_offset), 4);
        }
        close(fd);
        victim_path = copy;
        v = victim_start_with(NULL, NULL);
        victim_path = path;
        unlink(copy);
        assert_true(victim_ask(&v, "stale", NULL) > 0);
        wait_blocked(v.pid, 0);
        assert_int_equal(apply_within(v.pid, p, 30000, &res), ENGINE_REFUSED);
        assert_int_equal(res.refusal, REFUSAL_CODE_UNWIND_FAILED);
        victim_stop(&v);

        v = victim_start_with(NULL, NULL);
        assert_true(victim_ask(&v, "stale", NULL) > 0);
        wait_blocked(v.pid, 0);
        assert_int_equal(apply_within(v.pid, p, 5000000, &res), 0);
        victim_stop(&v);
}

static void seccomp_is_suspended(void **state) {
        Victim v = victim_start_with("c", NULL);
        EngineResult res;

        (void)state;
        assert_int_equal(victim_apply(&v, patch_simple(code_two, 2), &res), 0);
        assert_int_equal(victim_ask(&v, "call", NULL), 2);
        assert_int_equal(victim_revert(&v, &res), 0);
        assert_int_equal(victim_ask(&v, "call", NULL), 1);
        victim_stop(&v);
}

/* It may end at any moment of the apply. */
static void ended_leader_is_no_hindrance(void **state) {
        (void)state;
        for (int i = 0; i < 20; i++) {
                Victim v = victim_start_with("l", NULL);
                EngineResult res;

                assert_int_equal(victim_apply(&v, patch_simple(code_two, 2), &res), 0);
                assert_int_equal(victim_ask(&v, "call", NULL), 2);
                victim_stop(&v);
        }
}

static void traced_is_refused(void **state) {
        Victim v = victim_start_with(NULL, NULL);
        EngineResult res;

        (void)state;
        assert_int_equal(ptrace(PTRACE_SEIZE, v.pid, 0, 0), 0);
        assert_int_equal(apply_within(v.pid, patch_simple(code_two, 2), 30000, &res), ENGINE_REFUSED);
        assert_int_equal(res.refusal, REFUSAL_CODE_PROCESS_TRACED);
        victim_stop(&v);
}

static void stopped_stays_stopped(void **state) {
        Victim v = victim_start_with(NULL, NULL);
        EngineResult res;
        int status;

        (void)state;
        kill(v.pid, SIGSTOP);
        assert_int_equal(waitpid(v.pid, &status, WUNTRACED), v.pid);
        assert_true(WIFSTOPPED(status));
        assert_int_equal(victim_apply(&v, patch_simple(code_two, 2), &res), 0);
        /* its parent, who is told of each stop and going on, hears nothing of all this */
        assert_int_equal(waitpid(v.pid, &status, WUNTRACED | WCONTINUED | WNOHANG), 0);
        assert_int_equal(victim_revert(&v, &res), 0);
        assert_int_equal(victim_apply(&v, patch_simple(code_two, 2), &res), 0);
        assert_int_equal(waitpid(v.pid, &status, WUNTRACED | WCONTINUED | WNOHANG), 0);
        /* still stopped: it goes on only when told, and tells us that it did */
        kill(v.pid, SIGCONT);
        assert_int_equal(waitpid(v.pid, &status, WCONTINUED), v.pid);
        assert_true(WIFCONTINUED(status));
        assert_int_equal(victim_ask(&v, "call", NULL), 2);
        victim_stop(&v);
}

/* A process whose core is being written is not interrupted in that: what goes to a program would be cut off.
 */
static void core_is_not_disturbed(void **state) {
        Patch *p = patch_simple(code_two, 2);
        TaskStatus s = { 0 };

        (void)state;
        for (int tries = 0; !s.dumping; tries++) {
                char folder[] = "/tmp/staunch-core-XXXXXX", command[64];
                Victim v = victim_start_with(NULL, NULL);
                EngineResult res = { .refusal = REFUSAL_N };
                int r = -1;

                if (tries == 20) {
                        victim_stop(&v);
                        print_message("the core is written too fast to be met\n");
                        skip();
                }
                assert_non_null(mkdtemp(folder));
                snprintf(command, sizeof(command), "crash %s", folder);
                if (victim_ask(&v, command, NULL) < 0) {
                        victim_stop(&v);
                        rmdir(folder);
                        print_message("no core files here\n");
                        skip();
                }
                while (task_status(v.pid, 0, &s, NULL) == 0 && s.state != 'Z' && !s.dumping)
                        ;
                if (s.dumping)
                        r = apply_within(v.pid, p, 30000, &res);
                if (task_status(v.pid, 0, &s, NULL) < 0)
                        s.dumping = false;
                victim_stop(&v);
                snprintf(command, sizeof(command), "rm -r %s", folder);
                assert_int_equal(system(command), 0);
                if (s.dumping) { /* it still was afterwards */
                        assert_int_equal(r, ENGINE_REFUSED);
                        assert_int_equal(res.refusal, REFUSAL_CODE_PROCESS_GONE);
                }
        }
}

static void no_signal_is_lost(void **state) {
        Victim v = victim_start_with("s4", "r");
        Patch *p = patch_simple(code_two, 2);
        EngineResult res;
        pid_t sender;
        int status, total = 4000, seen = -1;

        (void)state;
        sender = fork();
        if (sender == 0) {
                for (int i = 0; i < total; i++) {
                        while (sigqueue(v.pid, SIGRTMIN, (union sigval){ 0 }) < 0 && errno == EAGAIN)
                                ;
                        if (i % 8 == 0)
                                usleep(50);
                }
                _exit(0);
        }
        while (waitpid(sender, &status, WNOHANG) == 0) {
                assert_int_equal(victim_apply(&v, p, &res), 0);
                assert_int_equal(victim_revert(&v, &res), 0);
        }
        for (int i = 0; i < 2000 && seen != total; i++) {
                seen = victim_ask(&v, "signals", NULL);
                usleep(1000);
        }
        assert_int_equal(seen, total);
        victim_stop(&v);
}

static void child_inherits(void **state) {
        Victim v = victim_start_with(NULL, NULL);
        EngineResult res;
        ProcessPatch *patches;
        pid_t child;
        size_t n;
        Error e;

        (void)state;
        assert_int_equal(victim_apply(&v, patch_simple(code_two, 2), &res), 0);
        child = victim_ask(&v, "fork", NULL);
        assert_int_equal(engine_status(child, &patches, &n, &e), 0);
        assert_int_equal(n, 1);
        assert_int_equal(patches[0].state, PATCH_STATE_ACTIVE);
        assert_int_equal(patches[0].sites_intact, 4);
        free(patches);
        /* each of the two goes its own way */
        assert_int_equal(engine_revert(child, NULL, NULL, &res, &e), 0);
        assert_int_equal(engine_status(child, &patches, &n, &e), 0);
        assert_int_equal(patches[0].state, PATCH_STATE_REVERTED);
        free(patches);
        assert_int_equal(victim_ask(&v, "call", NULL), 2);
        victim_stop(&v);
}

static void modified_code_is_refused(void **state) {
        Victim v = victim_start_with(NULL, NULL);
        Patch *p = patch_simple(code_two, 8);
        EngineResult res;

        (void)state;
        p->sites[1].expect[0] ^= 0xff;
        patch_seal(p);
        assert_int_equal(apply_within(v.pid, p, 30000, &res), ENGINE_REFUSED);
        assert_int_equal(res.refusal, REFUSAL_CODE_IMAGE_MODIFIED);
        assert_string_equal(res.subject, p->sites[1].name);
        assert_int_equal(victim_ask(&v, "call", NULL), 1);
        victim_stop(&v);
}

static void modified_word_is_refused(void **state) {
        Victim v = victim_start_with(NULL, NULL);
        Patch *p = patch_simple(code_two, 18);
        EngineResult res;

        (void)state;
        p->words[1].old_value += 8;
        patch_seal(p);
        assert_int_equal(apply_within(v.pid, p, 30000, &res), ENGINE_REFUSED);
        assert_int_equal(res.refusal, REFUSAL_CODE_IMAGE_MODIFIED);
        assert_string_equal(res.subject, "constant table");
        assert_int_equal(victim_ask(&v, "call", NULL), 1);
        assert_int_equal(victim_ask(&v, "tables", NULL), 1);
        victim_stop(&v);
}

static void another_image_is_refused(void **state) {
        Victim v = victim_start_with(NULL, NULL);
        Patch *p = patch_simple(code_two, 9);
        EngineResult res;

        (void)state;
        p->old_id.bytes[3] ^= 1;
        patch_seal(p);
        assert_int_equal(apply_within(v.pid, p, 30000, &res), ENGINE_REFUSED);
        assert_int_equal(res.refusal, REFUSAL_CODE_IMAGE_NOT_MAPPED);
        assert_int_equal(apply_within(4194303, p, 30000, &res), ENGINE_REFUSED);
        assert_int_equal(res.refusal, REFUSAL_CODE_PROCESS_GONE);
        victim_stop(&v);
}

static void unresolved_import_is_refused(void **state) {
        static const uint8_t code[] = { 0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xe0 };
        const Replacement r = { "answer", code, sizeof(code), 2, R_X86_64_64, NULL, "no_such_function", 0 };
        Victim v = victim_start_with(NULL, NULL);
        EngineResult res;

        (void)state;
        assert_int_equal(apply_within(v.pid, patch_make(&r, 1, 5), 30000, &res), ENGINE_REFUSED);
        assert_int_equal(res.refusal, REFUSAL_CODE_IMPORT_UNRESOLVED);
        assert_string_equal(res.subject, "no_such_function");
        victim_stop(&v);
}

/* The file is gone, and was replaced by another. */
static void deleted_file_is_identified(void **state) {
        char copy[] = "/tmp/staunch-victim-XXXXXX", command[8192];
        const char *path = victim_path;
        EngineResult res;
        int fd = mkstemp(copy);
        Patch *p = patch_simple(code_two, 2);
        Victim v;

        (void)state;
        close(fd);
        snprintf(command, sizeof(command), "cp %s %s && chmod +x %s", path, copy, copy);
        assert_int_equal(system(command), 0);
        victim_path = copy;
        v = victim_start_with(NULL, NULL);
        victim_path = path;
        snprintf(command, sizeof(command), "rm %s && cp /bin/true %s", copy, copy);
        assert_int_equal(system(command), 0);
        assert_int_equal(victim_apply(&v, p, &res), 0);
        assert_int_equal(victim_ask(&v, "call", NULL), 2);
        unlink(copy);
        victim_stop(&v);
}

/* No descriptor and no mapping is left behind by a refusal. */
static size_t count_lines(pid_t pid, const char *what) {
        char command[128];
        size_t n = 0;
        FILE *f;

        snprintf(command, sizeof(command), "%s /proc/%d/%s", strcmp(what, "fd") == 0 ? "ls" : "cat", pid,
                 what);
        f = popen(command, "r");
        for (int c; (c = fgetc(f)) != EOF;)
                n += c == '\n';
        pclose(f);
        return n;
}

static void refusal_leaves_nothing_behind(void **state) {
        Victim v = victim_start_with(NULL, NULL);
        Patch *p = patch_one("hold", 7);
        size_t fds, maps;
        EngineResult res;

        (void)state;
        assert_int_equal(victim_ask(&v, "hold", NULL), 0);
        wait_blocked(v.pid, 0);
        fds = count_lines(v.pid, "fd");
        maps = count_lines(v.pid, "maps");
        assert_int_equal(apply_within(v.pid, p, 10000, &res), ENGINE_REFUSED);
        assert_int_equal(count_lines(v.pid, "fd"), fds);
        assert_int_equal(count_lines(v.pid, "maps"), maps);
        victim_stop(&v);
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(frame_under_alternate_stack_is_seen),
                cmocka_unit_test(frame_in_sharer_is_seen),
                cmocka_unit_test(sharer_without_leader_is_seen),
                cmocka_unit_test(vfork_is_waited_for),
                cmocka_unit_test(blocked_guardian_lets_go),
                cmocka_unit_test(stale_words_are_told_apart),
                cmocka_unit_test(unwind_data_is_of_the_file),
                cmocka_unit_test(seccomp_is_suspended),
                cmocka_unit_test(ended_leader_is_no_hindrance),
                cmocka_unit_test(traced_is_refused),
                cmocka_unit_test(stopped_stays_stopped),
                cmocka_unit_test(core_is_not_disturbed),
                cmocka_unit_test(no_signal_is_lost),
                cmocka_unit_test(child_inherits),
                cmocka_unit_test(modified_code_is_refused),
                cmocka_unit_test(modified_word_is_refused),
                cmocka_unit_test(another_image_is_refused),
                cmocka_unit_test(unresolved_import_is_refused),
                cmocka_unit_test(deleted_file_is_identified),
                cmocka_unit_test(refusal_leaves_nothing_behind),
        };

        if (argc < 2)
                return 2;
        victim_path = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
