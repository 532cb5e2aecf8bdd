/* SPDX-License-Identifier: Apache-2.0 */
/* Processes with habits that few have. */
#include "apply/guardian.h"
#include "apply/header.h"
#include "apply/test-support.h"
#include "proc/mem.h"
#include "proc/task.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* A worker of the kernel in the process makes a request: it is neither stopped nor used, and the request does
 * not fail. */
static void kernel_workers_are_left_alone(void **state) {
        Victim v = victim_start_with(NULL, NULL);
        EngineResult res;
        pid_t *tids;
        size_t n;

        (void)state;
        if (victim_ask(&v, "submit", NULL) < 0) {
                victim_stop(&v);
                print_message("no io_uring here\n");
                skip();
        }
        for (int tries = 0; tries == 0 || (n < 2 && tries < 5000); tries++) {
                assert_int_equal(task_threads(v.pid, &tids, &n), 0);
                free(tids);
                usleep(1000);
        }
        if (n < 2) {
                victim_stop(&v);
                print_message("the kernel's workers are not threads of the process here\n");
                skip();
        }
        assert_int_equal(victim_apply(&v, patch_one("answer", 2), &res), 0);
        assert_int_equal(victim_ask(&v, "call", NULL), 2);
        assert_int_equal(victim_revert(&v, &res), 0);
        assert_int_equal(victim_ask(&v, "reap", NULL), 1);
        victim_stop(&v);
}

/* The frame of a function lies in another mapping than the stack pointer. */
static void split_stack_is_followed(void **state) {
        Victim v = victim_start_with(NULL, NULL);
        Patch *p = patch_one("outer", 3);
        EngineResult res;

        (void)state;
        assert_int_equal(victim_ask(&v, "outer", NULL), 0);
        while (victim_ask(&v, "counter", NULL) < 2)
                usleep(1000);
        assert_int_equal(apply_within(v.pid, p, 30000, &res), ENGINE_REFUSED);
        assert_int_equal(res.refusal, REFUSAL_CODE_PROCESS_BUSY);
        assert_string_equal(res.subject, "outer");
        assert_int_equal(victim_ask(&v, "release", NULL), 0);
        assert_int_equal(apply_within(v.pid, p, 5000000, &res), 0);
        victim_stop(&v);
}

/* It executes itself again and again: each time all that is known of it is wrong from then on. */
static void executing_process_is_not_lost(void **state) {
        Patch *p = patch_one("answer", 2);
        EngineResult res;
        int status;
        pid_t pid = fork();

        (void)state;
        if (pid == 0) {
                int null = open("/dev/null", O_RDWR);

                dup2(null, 0);
                dup2(null, 1);
                execl(victim_path, victim_path, "x400", NULL);
                _exit(127);
        }
        while (waitpid(pid, &status, WNOHANG) == 0)
                apply_within(pid, p, 10000, &res);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
}

static bool put(const char *folder, const char *file, const char *text) {
        char path[512];
        ssize_t n;
        int fd;

        snprintf(path, sizeof(path), "%s/%s", folder, file);
        fd = open(path, O_WRONLY);
        if (fd < 0)
                return false;
        n = write(fd, text, strlen(text));
        close(fd);
        return n == (ssize_t)strlen(text);
}

static bool is_frozen(const char *folder) {
        char path[512], text[128] = "";
        FILE *f;

        snprintf(path, sizeof(path), "%s/cgroup.events", folder);
        f = fopen(path, "r");
        if (!f || fread(text, 1, sizeof(text) - 1, f) == 0)
                abort();
        fclose(f);
        return strstr(text, "frozen 1");
}

/* A control group of our own for one process: its folder. */
static bool own_group(pid_t pid, char *folder, size_t size) {
        char line[512], where[256], type[32], id[16];
        FILE *f = fopen("/proc/mounts", "r");
        bool found = false;

        while (!found && f && fgets(line, sizeof(line), f))
                found = sscanf(line, "%*s %255s %31s", where, type) == 2 && strcmp(type, "cgroup2") == 0;
        if (f)
                fclose(f);
        if (!found)
                return false;
        snprintf(folder, size, "%s/staunch-frozen-%d", where, pid);
        snprintf(id, sizeof(id), "%d", pid);
        if (mkdir(folder, 0755) < 0)
                return false;
        if (put(folder, "cgroup.procs", id) && put(folder, "cgroup.freeze", "0"))
                return true;
        rmdir(folder);
        return false;
}

/* `docker pause`: it stops for us, and then does not go on. */
static void frozen_process_is_refused(void **state) {
        Victim v = victim_start_with(NULL, NULL);
        Patch *p = patch_one("answer", 2);
        EngineResult res;
        char folder[300];

        (void)state;
        if (!own_group(v.pid, folder, sizeof(folder))) {
                victim_stop(&v);
                print_message("no control group of our own to be had\n");
                skip();
        }
        assert_true(put(folder, "cgroup.freeze", "1"));
        while (!is_frozen(folder))
                usleep(1000);
        assert_int_equal(apply_within(v.pid, p, 30000, &res), ENGINE_REFUSED);
        assert_int_equal(res.refusal, REFUSAL_CODE_PROCESS_STOP);
        assert_true(is_frozen(folder));
        assert_true(put(folder, "cgroup.freeze", "0"));
        assert_int_equal(victim_ask(&v, "call", NULL), 1);
        assert_int_equal(victim_apply(&v, p, &res), 0);
        assert_int_equal(victim_ask(&v, "call", NULL), 2);
        victim_stop(&v);
        assert_int_equal(rmdir(folder), 0);
}

/* Puts a header that says `h` into the first page of a mapping that the process made for it. */
static void forge(Victim *v, Header *h, const char *command) {
        uint8_t fixed[HEADER_FIXED];
        int hi, lo = 0, fd;

        hi = victim_ask(v, command, &lo);
        assert_true(hi > 0);
        h->self = (uint64_t)hi << 32 | (uint32_t)lo;
        header_encode_fixed(h, fixed);
        fd = mem_open(v->pid);
        assert_int_equal(mem_write(fd, h->self, fixed, sizeof(fixed)), 0);
        close(fd);
}

static uint64_t image_base(Victim *v, const Patch *p) {
        uint64_t base = 0;
        Loaded *loaded;
        Maps maps;
        size_t n;
        Error e;

        assert_int_equal(maps_read(v->pid, &maps, &e), 0);
        assert_int_equal(loaded_list(v->pid, &maps, &loaded, &n, &e), 0);
        for (size_t i = 0; i < n; i++)
                if (build_id_equal(&loaded[i].head.build_id, &p->old_id))
                        base = loaded[i].base;
        free(loaded);
        maps_free(&maps);
        return base;
}

/* A process that writes its own journal, and whenever it was repaired, writes it again. */
static void forged_journal_is_given_up_on(void **state) {
        Victim v = victim_start_with(NULL, NULL);
        Patch *p = patch_one("answer", 2);
        Header h = { .state = PATCH_STATE_SWITCHING,
                     .op = OP_REVERT,
                     .image_base = image_base(&v, p),
                     .old_id = p->old_id,
                     .new_id = p->new_id,
                     .name = "forged" };
        EngineResult res, reverted;
        Error e;

        (void)state;
        forge(&v, &h, "page");
        assert_int_equal(victim_ask(&v, "keep", NULL), 0);
        while (apply_within(v.pid, p, 5000000, &res) == 0) /* it was not quick enough */
                engine_revert(v.pid, NULL, NULL, &reverted, &e);
        assert_int_equal(res.refusal, REFUSAL_CODE_IMAGE_MODIFIED);
        assert_string_equal(res.subject, "forged");
        victim_stop(&v);
}

/* A process maps what somebody else gave it, to read it, and that says that it is a patch which was not
 * finished: what it says to be its place is not taken away from the process. */
static void foreign_header_is_not_believed(void **state) {
        static const uint8_t zeros[16];
        Victim v = victim_start_with(NULL, NULL);
        Patch *p = patch_one("answer", 2);
        Header h = { .state = PATCH_STATE_STAGED,
                     .old_id = p->old_id,
                     .new_id = p->new_id,
                     .hi = 1 << 30,
                     .name = "forged" };
        EngineResult res;
        int fd;

        (void)state;
        forge(&v, &h, "page");
        assert_int_equal(victim_ask(&v, "copies 1", NULL), 0);
        fd = mem_open(v.pid);
        assert_int_equal(mem_write(fd, h.self, zeros, sizeof(zeros)), 0);
        close(fd);
        assert_int_equal(apply_within(v.pid, p, 5000000, &res), 0);
        assert_int_equal(victim_ask(&v, "call", NULL), 2);
        victim_stop(&v);
}

/* Of two images of one interrupted switch one was unloaded: the other is repaired, and nothing is written
 * where the first one was. */
static void repair_without_an_image(void **state) {
        Victim v = victim_start_with(NULL, NULL);
        Patch *p = patch_one("answer", 2);
        HeaderSite site = { .old_addr = 1, .new_addr = 1, .patch_addr = 1, .jump_addr = 1, .n = 5 };
        char strings[] = "";
        Header gone = { .state = PATCH_STATE_SWITCHING,
                        .op = OP_APPLY,
                        .txn = 7,
                        .image_base = 0x10000,
                        .old_id = p->old_id,
                        .new_id = p->new_id,
                        .n_sites = 1,
                        .sites = &site,
                        .strings = strings,
                        .strings_size = sizeof(strings),
                        .name = "gone" };
        uint8_t bytes[HEADER_STATE_BYTES], whole[4096] = { 0 };
        Header *headers;
        EngineResult res;
        size_t n;
        Maps maps;
        Error e;
        int fd;

        (void)state;
        assert_int_equal(victim_apply(&v, p, &res), 0);
        forge(&v, &gone, "page");
        assert_int_equal(header_size(&gone), sizeof(whole));
        header_encode(&gone, whole);
        fd = mem_open(v.pid);
        assert_int_equal(mem_write(fd, gone.self, whole, sizeof(whole)), 0);
        assert_int_equal(maps_read(v.pid, &maps, &e), 0);
        assert_int_equal(header_find(v.pid, &maps, &headers, &n, &e), 0);
        assert_int_equal(n, 2);
        for (size_t i = 0; i < n; i++)
                if (headers[i].self != gone.self) {
                        headers[i].state = PATCH_STATE_SWITCHING;
                        headers[i].op = OP_REVERT;
                        headers[i].txn = gone.txn;
                        header_encode_state(&headers[i], bytes);
                        assert_int_equal(
                                mem_write(fd, headers[i].self + HEADER_STATE_AT, bytes, sizeof(bytes)), 0);
                }
        headers_free(&headers, n);
        close(fd);
        if (victim_revert(&v, &res) != 0)
                fail_msg("%s %s", res.subject, res.detail);
        assert_int_equal(victim_ask(&v, "call", NULL), 1);
        assert_int_equal(header_find(v.pid, &maps, &headers, &n, &e), 0);
        for (size_t i = 0; i < n; i++)
                assert_int_equal(headers[i].state, PATCH_STATE_REVERTED);
        headers_free(&headers, n);
        maps_free(&maps);
        victim_stop(&v);
}

/* A control group of our own with a limit of memory, and the names of its two files. */
static bool memory_group(pid_t pid, char *folder, size_t size, const char **limit) {
        char line[512], where[256], type[32], options[128], id[16];
        FILE *f = fopen("/proc/mounts", "r");
        bool found = false;

        while (!found && f && fgets(line, sizeof(line), f)) {
                if (sscanf(line, "%*s %255s %31s %127s", where, type, options) != 3)
                        continue;
                *limit = strcmp(type, "cgroup2") == 0 ? "memory.max" : "memory.limit_in_bytes";
                snprintf(folder, size, "%s/staunch-memory-%d", where, pid);
                if (strncmp(type, "cgroup", 6) != 0 || mkdir(folder, 0755) < 0)
                        continue;
                snprintf(id, sizeof(id), "%d", pid);
                found = put(folder, *limit, "4194304") && put(folder, "cgroup.procs", id);
                if (!found)
                        rmdir(folder);
        }
        if (f)
                fclose(f);
        return found;
}

/* Its control group has next to no memory left: what we would need the kernel would get by killing it. */
static void memory_limit_is_kept(void **state) {
        Victim v = victim_start_with(NULL, NULL);
        Patch *p = patch_one("answer", 2);
        char folder[512];
        const char *limit = NULL;
        EngineResult res;

        (void)state;
        if (!memory_group(v.pid, folder, sizeof(folder), &limit)) {
                victim_stop(&v);
                print_message("no control group for memory\n");
                skip();
        }
        assert_int_equal(victim_ask(&v, "eat 1008", NULL), 0);
        assert_int_equal(apply_within(v.pid, p, 1000000, &res), ENGINE_REFUSED);
        assert_int_equal(res.refusal, REFUSAL_CODE_NO_ROOM);
        assert_int_equal(victim_ask(&v, "call", NULL), 1);
        assert_true(put(folder, limit, "8388608"));
        assert_int_equal(apply_within(v.pid, p, 5000000, &res), 0);
        assert_int_equal(victim_ask(&v, "call", NULL), 2);
        victim_stop(&v);
        while (rmdir(folder) < 0 && errno == EBUSY) /* it is being taken apart */
                usleep(1000);
}

/* One page of a file, mapped again and again, says that it is a patch; and a few say that they are large. */
static void forged_headers_have_a_limit(void **state) {
        Victim v = victim_start_with(NULL, NULL);
        Patch *p = patch_one("answer", 2);
        Header h = {
                .state = PATCH_STATE_STAGED, .old_id = p->old_id, .new_id = p->new_id, .name = "forged"
        };
        ProcessPatch *patches;
        EngineResult res;
        size_t n;
        Error e;

        (void)state;
        forge(&v, &h, "page");
        assert_int_equal(victim_ask(&v, "copies 40", NULL), 0);
        assert_int_equal(engine_status(v.pid, &patches, &n, &e), 0);
        free(patches);
        assert_int_equal(victim_ask(&v, "copies 4000", NULL), 0);
        assert_int_equal(engine_status(v.pid, &patches, &n, &e), -E2BIG);
        assert_int_equal(apply_within(v.pid, p, 30000, &res), ENGINE_REFUSED);
        assert_int_equal(res.refusal, REFUSAL_CODE_IMAGE_MODIFIED);
        victim_stop(&v);

        v = victim_start_with(NULL, NULL);
        h.strings_size = 48 << 20;
        forge(&v, &h, "page");
        assert_int_equal(victim_ask(&v, "copies 8", NULL), 0);
        assert_int_equal(engine_status(v.pid, &patches, &n, &e), -E2BIG);
        victim_stop(&v);
}

/* No memory, at each step of staging: refused with nothing left behind, or applied. */
static void out_of_mappings(void **state) {
        Patch *p = patch_one("answer", 2);
        unsigned refused = 0, applied = 0;

        (void)state;
        for (int left = 0; left <= 16; left += 2) {
                Victim v = victim_start_with(NULL, NULL);
                char command[32];
                EngineResult res;
                size_t before, after;
                Maps maps;
                Error e;
                int r;

                snprintf(command, sizeof(command), "fill %d", left);
                assert_int_equal(victim_ask(&v, command, NULL), 0);
                assert_int_equal(maps_read(v.pid, &maps, &e), 0);
                before = maps.n;
                maps_free(&maps);
                r = victim_apply(&v, p, &res);
                assert_int_equal(victim_ask(&v, "call", NULL), r ? 1 : 2);
                assert_int_equal(maps_read(v.pid, &maps, &e), 0);
                after = maps.n;
                maps_free(&maps);
                if (r) {
                        assert_int_equal(r, ENGINE_REFUSED);
                        assert_int_equal(res.refusal, REFUSAL_CODE_NO_ROOM);
                        assert_int_equal(after, before);
                }
                refused += r != 0;
                applied += r == 0;
                victim_stop(&v);
        }
        assert_true(refused && applied);
}

/* Whatever it maps is locked, and may be refused for that. */
static void locked_memory(void **state) {
        Victim v = victim_start_with(NULL, NULL);
        Patch *p = patch_one("answer", 2);
        EngineResult res;

        (void)state;
        assert_int_equal(victim_ask(&v, "lock", NULL), 0);
        assert_int_equal(victim_apply(&v, p, &res), 0);
        assert_int_equal(victim_ask(&v, "call", NULL), 2);
        victim_stop(&v);

        v = victim_start_with(NULL, NULL);
        assert_int_equal(victim_ask(&v, "lock little", NULL), 0);
        assert_int_equal(apply_within(v.pid, p, 30000, &res), ENGINE_REFUSED);
        assert_int_equal(res.refusal, REFUSAL_CODE_NO_ROOM);
        assert_int_equal(victim_ask(&v, "call", NULL), 1);
        victim_stop(&v);
}

/* movabs $import, %rax; jmp *%rax */
static const uint8_t imported[] = { 0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xe0 };

static void import_that_is_never_chosen(void **state) {
        const Replacement r = { "answer", imported, sizeof(imported), 2, R_X86_64_64, NULL, "odd_choice", 0 };
        Victim v = victim_start_with(NULL, NULL);
        EngineResult res;

        (void)state;
        assert_int_equal(apply_within(v.pid, patch_make(&r, 1, 5), 30000, &res), ENGINE_REFUSED);
        assert_int_equal(res.refusal, REFUSAL_CODE_IMPORT_UNRESOLVED);
        assert_string_equal(res.subject, "odd_choice");
        assert_int_equal(victim_ask(&v, "call", NULL), 1);
        victim_stop(&v);
}

/* A function of the process that a thread calls for us does not run on what that thread has left of its
 * stack. */
static void tiny_stack_is_left_alone(void **state) {
        const Replacement r = { "answer", imported, sizeof(imported), 2, R_X86_64_64, NULL, "odd_pick", 0 };
        Victim v = victim_start_with(NULL, NULL);
        EngineResult res;

        (void)state;
        assert_int_equal(victim_ask(&v, "tiny stack", NULL), 0);
        assert_int_equal(victim_apply(&v, patch_make(&r, 1, 5), &res), 0);
        assert_int_equal(victim_ask(&v, "x", NULL), 1);
        assert_int_equal(victim_ask(&v, "call", NULL), 7);
        victim_stop(&v);
}

/* Each of many imports is looked for in tables of the process's own making. */
static void forged_slots_have_a_limit(void **state) {
        enum { IMPORTS = 500 };
        const Replacement r = { "answer", imported, sizeof(imported), 2, R_X86_64_64, NULL, "odd_0", 0 };
        Victim v = victim_start_with(NULL, NULL);
        Patch *p = patch_make(&r, 1, 6);
        EngineResult res;

        (void)state;
        p->imports = arena_newa(p->arena, PatchImport, IMPORTS);
        p->n_imports = IMPORTS;
        for (int i = 0; i < IMPORTS; i++)
                p->imports[i] = (PatchImport){ .name = arena_printf(p->arena, "odd_%d", i), .version = "" };
        patch_seal(p);
        assert_int_equal(victim_ask(&v, "slots", NULL), 0);
        assert_int_equal(apply_within(v.pid, p, 30000, &res), ENGINE_REFUSED);
        assert_int_equal(res.refusal, REFUSAL_CODE_IMPORT_UNRESOLVED);
        victim_stop(&v);
}

/* The only child that is no victim. */
static pid_t guardian_of_mine(const Victim *v) {
        char path[64], text[256] = "", *at = text;
        pid_t pid = 0;
        FILE *f;

        snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
        f = fopen(path, "r");
        if (!f)
                return 0;
        if (!fgets(text, sizeof(text), f))
                text[0] = 0;
        fclose(f);
        for (char *end; (pid = (pid_t)strtol(at, &end, 10)) && pid == v->pid;)
                at = end;
        return pid;
}

/* A guardian that does not answer is not waited for for ever, and may go on. */
static void blocked_guardian_is_left_alone(void **state) {
        const EngineOptions options = { .deadline_usec = 1000 };
        uint64_t patience = guardian_patience_usec;
        char path[64], cwd[64] = "";
        Victim v = victim_start_with(NULL, NULL);
        Patch *p = patch_one("answer", 2);
        EngineResult res;
        pid_t guardian;
        int status;
        Error e;

        (void)state;
        guardian_end();
        assert_int_equal(victim_apply(&v, p, &res), 0);
        guardian = guardian_of_mine(&v);
        if (!guardian) {
                victim_stop(&v);
                print_message("the kernel does not tell of children\n");
                skip();
        }
        snprintf(path, sizeof(path), "/proc/%d/cwd", guardian);
        assert_int_equal(readlink(path, cwd, sizeof(cwd) - 1), 1); /* no file system is held by that */
        assert_string_equal(cwd, "/");
        for (int sig = SIGRTMIN; sig <= SIGRTMAX; sig++)
                kill(guardian, sig);
        kill(guardian, SIGHUP);
        kill(guardian, SIGSTOP);
        assert_int_equal(waitpid(guardian, &status, WUNTRACED), guardian);
        assert_true(WIFSTOPPED(status));
        guardian_patience_usec = 0;
        assert_int_equal(engine_revert(v.pid, NULL, &options, &res, &e), -ETIMEDOUT);
        guardian_patience_usec = patience;
        assert_int_equal(victim_ask(&v, "call", NULL), 2);
        kill(guardian, SIGCONT);
        assert_int_equal(waitpid(guardian, &status, 0), guardian);
        assert_true(WIFEXITED(status));
        assert_int_equal(victim_ask(&v, "call", NULL), 1);
        assert_int_equal(victim_apply(&v, p, &res), 0);
        assert_int_equal(victim_ask(&v, "call", NULL), 2);
        victim_stop(&v);
}

/* While a patch is staged the process begins to filter its calls, also those of the thread that works for us:
 * it would be killed for what it never does by itself. */
static void filter_of_this_moment_is_no_harm(void **state) {
        Patch *p = patch_one("answer", 2);

        (void)state;
        for (int usec = 0; usec < 6000; usec += 100) {
                Victim v = victim_start_with(NULL, NULL);
                char command[32];
                EngineResult res;

                snprintf(command, sizeof(command), "filter %d", usec);
                assert_int_equal(victim_ask(&v, command, NULL), 0);
                if (apply_within(v.pid, p, 5000000, &res) != 0)
                        fail_msg("%s %s", refusal_get(res.refusal)->code, res.detail);
                assert_int_equal(victim_ask(&v, "call", NULL), 2);
                victim_stop(&v);
        }
}

/* What becomes of an apply during which a process that shares the memory is made, and goes into the function:
 * it has its id before work on the process begins, and cannot be found until all have been stopped once. */
static RefusalCode apply_during_birth(Victim *v, pid_t maker, Patch *p) {
        siginfo_t ended = { 0 };
        TaskStatus s = { 0 };
        int status;
        pid_t pid = fork();

        if (pid == 0) {
                EngineResult res = { .refusal = REFUSAL_N };
                int r = apply_within(v->pid, p, 2000000, &res);

                _exit(r < 0 ? REFUSAL_N + 1 : (int)res.refusal);
        }
        while (!s.tracer && waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
               !ended.si_pid && task_status(v->pid, maker, &s, NULL) == 0)
                usleep(1000);
        assert_int_equal(victim_ask(v, "end birth", NULL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        return (RefusalCode)WEXITSTATUS(status);
}

static void sharer_that_is_being_made_is_seen(void **state) {
        Patch *p = patch_one("probing", 3);
        RefusalCode code;

        (void)state;
        do {
                Victim v = victim_start_with(NULL, NULL);
                int maker = 0;

                if (victim_ask(&v, "begin birth", &maker) < 0) {
                        victim_stop(&v);
                        print_message("no userfaultfd here\n");
                        skip();
                }
                code = apply_during_birth(&v, maker, p);
                victim_stop(&v);
        } while (code == REFUSAL_CODE_PROCESS_STOP); /* the birth took too long */
        assert_int_equal(code, REFUSAL_CODE_PROCESS_BUSY);
}

/* Code that the process itself cannot read (nor process_vm_readv() for it). */
static void code_that_is_not_readable(void **state) {
        Victim v = victim_start_with(NULL, NULL);
        Patch *p = patch_one("answer", 2);
        ProcessPatch *patches;
        uint8_t sha256[32];
        EngineResult res;
        size_t n;
        Error e;

        (void)state;
        assert_int_equal(victim_ask(&v, "hide code", NULL), 1);
        assert_int_equal(victim_apply(&v, p, &res), 0);
        assert_int_equal(victim_ask(&v, "call", NULL), 2);
        assert_int_equal(engine_status(v.pid, &patches, &n, &e), 0);
        assert_int_equal(n, 1);
        assert_int_equal(patches[0].sites_intact, patches[0].sites);
        free(patches);
        assert_int_equal(engine_read_back(v.pid, p->digest, sha256, &e), 0);
        assert_int_equal(victim_revert(&v, &res), 0);
        assert_int_equal(victim_ask(&v, "call", NULL), 1);
        victim_stop(&v);
}

static const char *unwinder_path;

static void load_unwinder(Victim *v, const char *folder) {
        char command[512];

        assert_int_equal(mkdir(folder, 0755), 0);
        snprintf(command, sizeof(command), "cp %s %s/libgcc_s.so.1", unwinder_path, folder);
        assert_int_equal(system(command), 0);
        snprintf(command, sizeof(command), "unwinder %s/libgcc_s.so.1", folder);
        assert_int_equal(victim_ask(v, command, NULL), 0);
        snprintf(command, sizeof(command), "rm -r %s", folder);
        assert_int_equal(system(command), 0);
}

/* The second of two libraries that are to know where exceptions pass does not answer: the first is told to
 * forget it, and nothing is left behind. */
static void second_unwinder_that_hangs(void **state) {
        char folder[] = "/tmp/staunch-unwinder-XXXXXX", a[64], b[64];
        Victim v = victim_start_with(NULL, NULL);
        Patch *p = patch_one("answer", 2);
        int second = -1;
        size_t before;
        EngineResult res;
        Maps maps;
        Error e;

        (void)state;
        p->eh_frame = p->sections[0].addr;
        p->eh_frame_size = p->sections[0].size;
        patch_seal(p);
        assert_non_null(mkdtemp(folder));
        snprintf(a, sizeof(a), "%s/a", folder);
        snprintf(b, sizeof(b), "%s/b", folder);
        load_unwinder(&v, a);
        load_unwinder(&v, b);
        assert_int_equal(rmdir(folder), 0);
        assert_int_equal(victim_ask(&v, "hang 1", NULL), 1);
        assert_int_equal(victim_ask(&v, "probing", NULL), 0); /* a thread with nothing of them on its stack */
        while (victim_ask(&v, "counter", NULL) < 2)
                usleep(1000);
        assert_int_equal(maps_read(v.pid, &maps, &e), 0);
        before = maps.n;
        maps_free(&maps);
        assert_int_equal(apply_within(v.pid, p, 5000000, &res), ENGINE_REFUSED);
        assert_int_equal(res.refusal, REFUSAL_CODE_PROCESS_BUSY);
        assert_int_equal(victim_ask(&v, "registered", &second), 0);
        assert_int_equal(second, 0);
        assert_int_equal(maps_read(v.pid, &maps, &e), 0);
        assert_int_equal(maps.n, before);
        maps_free(&maps);
        assert_int_equal(victim_ask(&v, "hang 0", NULL), 0);
        assert_int_equal(apply_within(v.pid, p, 5000000, &res), 0);
        assert_int_equal(victim_ask(&v, "registered", &second), 1);
        assert_int_equal(second, 1);
        assert_int_equal(victim_ask(&v, "call", NULL), 2);
        victim_stop(&v);
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(kernel_workers_are_left_alone),
                cmocka_unit_test(split_stack_is_followed),
                cmocka_unit_test(executing_process_is_not_lost),
                cmocka_unit_test(frozen_process_is_refused),
                cmocka_unit_test(blocked_guardian_is_left_alone),
                cmocka_unit_test(forged_journal_is_given_up_on),
                cmocka_unit_test(forged_headers_have_a_limit),
                cmocka_unit_test(code_that_is_not_readable),
                cmocka_unit_test(second_unwinder_that_hangs),
                cmocka_unit_test(sharer_that_is_being_made_is_seen),
                cmocka_unit_test(filter_of_this_moment_is_no_harm),
                cmocka_unit_test(out_of_mappings),
                cmocka_unit_test(locked_memory),
                cmocka_unit_test(import_that_is_never_chosen),
                cmocka_unit_test(tiny_stack_is_left_alone),
                cmocka_unit_test(foreign_header_is_not_believed),
                cmocka_unit_test(repair_without_an_image),
                cmocka_unit_test(memory_limit_is_kept),
                cmocka_unit_test(forged_slots_have_a_limit),
        };

        if (argc < 5)
                return 2;
        victim_path = argv[3];
        unwinder_path = argv[4];
        guardian_patience_usec =
                UINT64_C(3600000000); /* seconds of processor time are long where others work */
        return cmocka_run_group_tests(tests, NULL, NULL);
}
