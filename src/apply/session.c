/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/session.h"
#include "base/macro.h"
#include "base/vec.h"
#include "proc/mem.h"
#include "proc/task.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

enum { REMOTE_USEC = 2000000, REMOTE_TRIES = 64, REMOTE_LOOK = 16 };

int session_read(Session *s, Error *e) {
        int r;

        free(s->loaded);
        s->loaded = NULL;
        headers_free(&s->headers, s->n_headers);
        s->n_headers = 0;
        maps_free(&s->maps);
        r = maps_read(s->pid, &s->maps, e);
        if (r == 0)
                r = loaded_list(s->pid, &s->maps, &s->loaded, &s->n_loaded, e);
        if (r == 0)
                r = header_find(s->pid, &s->maps, &s->headers, &s->n_headers, e);
        return r;
}

static bool is_32bit(pid_t pid) {
        char path[64];
        _cleanup_(closep) int fd = -1;

        snprintf(path, sizeof(path), "/proc/%d/exe", pid);
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        return fd >= 0 && elf_head_is_32bit(fd);
}

/* One engine at a time: a lock on the process's mem file, which only those can open that may trace it. */
static int lock_process(Session *s) {
        uint64_t limit =
                now_usec() + (s->options && s->options->deadline_usec ? s->options->deadline_usec : 5000000);

        s->mem_fd = mem_open(s->pid);
        if (s->mem_fd == -ENOENT || s->mem_fd == -ESRCH)
                return refuse(s->res, REFUSAL_CODE_PROCESS_GONE, "", "process %d has ended", s->pid);
        if (s->mem_fd < 0)
                return refuse(s->res, REFUSAL_CODE_PROCESS_PERMISSION, "", "cannot open its memory");
        while (flock(s->mem_fd, LOCK_EX | LOCK_NB) < 0) {
                if (now_usec() >= limit)
                        return refuse(s->res, REFUSAL_CODE_PROCESS_TRACED, "", "another staunch works on it");
                usleep(1000);
        }
        return 0;
}

int session_open(Session *s, pid_t pid, const EngineOptions *options, ShadowCache *cache, EngineResult *res,
                 Error *e) {
        TaskStatus status;
        TaskStat stat;
        int r;

        *s = (Session){ .pid = pid, .options = options, .cache = cache, .res = res, .mem_fd = -1 };
        if (task_stat(pid, &stat) < 0)
                return refuse(res, REFUSAL_CODE_PROCESS_GONE, "", "no process %d", pid);
        if (stat.kernel)
                return refuse(res, REFUSAL_CODE_IMAGE_NOT_MAPPED, stat.comm, "a kernel thread");
        /* A leader that ended first has no memory any more: one of its threads speaks for the process. */
        s->pid = stat.vsize ? pid : task_with_memory(pid);
        if (s->pid < 0)
                return refuse(res, REFUSAL_CODE_PROCESS_GONE, stat.comm, "process %d has ended", pid);
        if (is_32bit(s->pid))
                return refuse(res, REFUSAL_CODE_PROCESS_32BIT, stat.comm, "process %d", pid);
        r = lock_process(s);
        if (r)
                return r;
        r = task_status(s->pid, 0, &status, e);
        if (r == -ESRCH || (r == 0 && status.tgid != pid))
                return refuse(res, REFUSAL_CODE_PROCESS_GONE, "", "no process %d", pid);
        if (r < 0)
                return r;
        s->single = status.threads == 1;
        if (status.dumping)
                return refuse(res, REFUSAL_CODE_PROCESS_GONE, status.comm,
                              "process %d has crashed: its core is being written", pid);
        if (status.tracer)
                return refuse(res, REFUSAL_CODE_PROCESS_TRACED, status.comm, "by process %d", status.tracer);
        r = session_read(s, e);
        if (r == -EACCES || r == -EPERM)
                return refuse(res, REFUSAL_CODE_PROCESS_PERMISSION, status.comm, "cannot read its mappings");
        if (r == -ESRCH)
                return refuse(res, REFUSAL_CODE_PROCESS_GONE, status.comm, "process %d has ended", pid);
        if (r == -E2BIG)
                return refuse(res, REFUSAL_CODE_IMAGE_MODIFIED, status.comm,
                              "process %d says more of patches than can be", pid);
        if (r < 0)
                return r;
        return session_repair(s, e);
}

void session_close(Session *s) {
        free(s->loaded);
        headers_free(&s->headers, s->n_headers);
        maps_free(&s->maps);
        if (s->mem_fd >= 0)
                close(s->mem_fd);
        *s = (Session){ .mem_fd = -1 };
}

/* One that sleeps is missed least; else in their order. */
static void idle_first(pid_t pid, pid_t *tids, size_t n) {
        for (size_t i = 0; n > 1 && i < n; i++) {
                TaskLook look = task_look(pid, tids[i]);

                if (look.asleep && !look.worker) {
                        pid_t idle = tids[i];

                        memmove(tids + 1, tids, i * sizeof(*tids));
                        tids[0] = idle;
                        return;
                }
        }
}

int session_remote(Session *s, Remote *out, Error *e) {
        _cleanup_(freep) pid_t *tids = NULL;
        size_t n;
        int r, worst = REMOTE_BUSY;

        if (!s->gate)
                s->gate = stage_gate(s->pid, &s->maps);
        if (!s->gate)
                return refuse(s->res, REFUSAL_CODE_IMAGE_UNUSUAL, "",
                              "the process has no system call instruction");
        for (unsigned tries = 0; tries < REMOTE_TRIES; tries++) {
                free(TAKE_PTR(tids));
                if (s->single && !tries) {
                        tids = vec_grow(NULL, n = 1, sizeof(*tids));
                        tids[0] = s->pid;
                } else if (task_threads(s->pid, &tids, &n) < 0) {
                        return refuse(s->res, REFUSAL_CODE_PROCESS_GONE, "", "process %d", s->pid);
                }
                idle_first(s->pid, tids, MIN(n, REMOTE_LOOK));
                for (size_t i = 0; i < n && i < 8; i++) { /* the leader is the first */
                        r = remote_open(s->pid, tids[(i + tries / 4) % n], s->gate, REMOTE_USEC, out, e);
                        if (r <= 0)
                                return r;
                        worst = MAX(worst, r);
                        /* another may be without a filter, or that personality */
                        if (r != REMOTE_BUSY && r != REMOTE_SECCOMP && r != REMOTE_EXECUTES)
                                break;
                }
                if (worst != REMOTE_BUSY)
                        break;
                usleep(1000);
        }
        if (worst == REMOTE_ELSEWHERE)
                return refuse(s->res, REFUSAL_CODE_PROCESS_GONE, "", "process %d replaced its memory (exec)",
                              s->pid);
        if (worst == REMOTE_TRACED)
                return refuse(s->res, REFUSAL_CODE_PROCESS_TRACED, "", "process %d", s->pid);
        if (worst == REMOTE_SECCOMP)
                return refuse(s->res, REFUSAL_CODE_PROCESS_SECCOMP, "", "process %d", s->pid);
        if (worst == REMOTE_EXECUTES)
                return refuse(s->res, REFUSAL_CODE_IMAGE_UNUSUAL, "",
                              "what process %d may read it may execute (personality READ_IMPLIES_EXEC)",
                              s->pid);
        if (worst == REMOTE_PERMISSION)
                return refuse(s->res, REFUSAL_CODE_PROCESS_PERMISSION, "", "process %d", s->pid);
        return refuse(s->res, REFUSAL_CODE_PROCESS_STOP, "", "no thread could be stopped");
}

bool header_counts(const Session *s, const Header *h) {
        return header_is_current(s->pid, h, s->loaded, s->n_loaded);
}

const char *header_site_name(const Header *h, size_t i) {
        return i < h->n_sites                ? h->strings + h->sites[i].name
               : i < h->n_sites + h->n_words ? "constant table"
                                             : "";
}

void add_header_edits(const Header *h, bool out, bool either, uint32_t owner, Edits *edits) {
        for (size_t i = 0; i < h->n_sites; i++) {
                const HeaderSite *x = &h->sites[i];

                edits_add(edits, h->image_base + x->patch_addr, out ? x->after : x->before,
                          out ? x->before : x->after, x->n, either, owner + (uint32_t)i);
        }
        for (size_t i = 0; i < h->n_words; i++) {
                uint64_t before = header_word_before(h, i), after = header_word_after(h, i);

                edits_add_word(edits, h->image_base + h->words[i].where, out ? after : before,
                               out ? before : after, either, owner + (uint32_t)(h->n_sites + i));
        }
}

void add_site_bytes(const Header *h, SafeSet *set) {
        for (size_t i = 0; i < h->n_sites; i++) {
                const HeaderSite *x = &h->sites[i];

                safe_set_add(set, (SafeRange){ .start = h->image_base + x->patch_addr,
                                               .end = h->image_base + x->patch_addr + x->n,
                                               .entry = h->image_base + x->old_addr,
                                               .name = header_site_name(h, i) });
        }
}

void add_probes(const Session *s, SafeSet *set) {
        for (size_t i = 0; i < s->maps.n; i++)
                if (strcmp(s->maps.items[i].path, "[uprobes]") == 0) /* returns go to its first byte */
                        safe_set_add(set, (SafeRange){ .start = s->maps.items[i].start - 1,
                                                       .end = s->maps.items[i].end,
                                                       .name = "a probe on a return" });
}

static int site_by_new(const void *a, const void *b) {
        uint64_t x = (*(const HeaderSite *const *)a)->new_addr, y = (*(const HeaderSite *const *)b)->new_addr;

        return (x > y) - (x < y);
}

void add_shadow_ranges(const Session *s, const Header *h, SafeSet *set) {
        _cleanup_(freep) const HeaderSite **by_new = calloc(h->n_sites + 1, sizeof(*by_new));

        for (size_t i = 0; by_new && i < h->n_sites; i++)
                by_new[i] = &h->sites[i];
        if (by_new)
                qsort(by_new, h->n_sites, sizeof(*by_new), site_by_new);
        for (size_t i = 0; i < h->n_code; i++) {
                uint64_t start = h->shadow_base + h->code[i].addr, end = start + h->code[i].size;
                HeaderSite key = { .new_addr = h->code[i].addr };
                const HeaderSite *pkey = &key, **found = NULL;

                if (by_new)
                        found = bsearch(&pkey, by_new, h->n_sites, sizeof(*by_new), site_by_new);
                safe_set_add(set, (SafeRange){ .start = start,
                                               .end = end,
                                               .ask = true,
                                               .name = found ? h->strings + (*found)->name : "new code" });
        }
        add_site_bytes(h, set);
}
