/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/switch.h"
#include "apply/fault.h"
#include "base/macro.h"
#include "proc/arrival.h"
#include "proc/mem.h"
#include "proc/sharers.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
        DEADLINE_USEC = 5000000,
        BACKOFF_USEC = 1000,
        BACKOFF_MAX_USEC = 100000,
        SHORT_TRIES = 3,     /* a thread that is inside for longer is waited for by its exit */
        EXIT_USEC = 1000000, /* it may leave in another way */
        STOP_USEC = 30000,   /* a thread that has not stopped by then is not going to soon */
};

int refuse(EngineResult *res, RefusalCode code, const char *subject, const char *format, ...) {
        va_list ap;

        res->refusal = code;
        snprintf(res->subject, sizeof(res->subject), "%s", subject);
        va_start(ap, format);
        vsnprintf(res->detail, sizeof(res->detail), format, ap);
        va_end(ap);
        return ENGINE_REFUSED;
}

void switch_free(Switch *s) {
        edits_free(&s->edits);
        safe_set_free(&s->safe);
        free(s->marks);
}

static int write_mark(const Switch *s, const Mark *m, PatchState state, HeaderOp op, uint64_t txn) {
        Header h = m->from;
        uint8_t bytes[HEADER_STATE_BYTES];

        h.state = state;
        h.op = op;
        h.txn = txn;
        h.self = m->at;
        header_encode_state(&h, bytes);
        return mem_write(s->mem_fd, m->at + HEADER_STATE_AT, bytes, sizeof(bytes));
}

/* Of one that is put in again. The last thing to be written: a header that says it is reverted keeps its
 * time. */
static int write_time(const Switch *s, const Mark *m, uint64_t time_sec) {
        return m->time_sec ? mem_write(s->mem_fd, m->at + HEADER_TIME_AT, &time_sec, sizeof(time_sec)) : 0;
}

/* The headers are as we know them, in the memory that the process has now and that mem_fd writes. */
static bool same_memory(const Switch *s) {
        for (size_t i = 0; i < s->n_marks; i++) {
                uint8_t want[HEADER_STATE_BYTES], have[HEADER_STATE_BYTES], ours[HEADER_STATE_BYTES];
                uint64_t at = s->marks[i].at + HEADER_STATE_AT;

                header_encode_state(&s->marks[i].from, want);
                if (mem_read(s->pid, at, have, sizeof(have)) < 0 || memcmp(want, have, sizeof(want)) != 0 ||
                    mem_read_fd(s->mem_fd, at, ours, sizeof(ours)) < 0 ||
                    memcmp(want, ours, sizeof(want)) != 0)
                        return false;
        }
        return true;
}

/*
 * What was written, backwards. Each step leaves what a repair can go on from: a journal that lost its first
 * entries would not tell any more what a patch that is replaced had there.
 */
static void go_back(Switch *s, size_t journalled, size_t marked) {
        for (size_t i = 0; marked == s->n_marks && i < s->n_marks; i++) {
                write_time(s, &s->marks[i], s->marks[i].from.time_sec);
                fault("undo-time", NULL);
        }
        while (marked-- > 0) {
                write_mark(s, &s->marks[marked], PATCH_STATE_SWITCHING, s->marks[marked].op, s->txn);
                fault("undo-header", NULL);
        }
        edits_undo(&s->edits, s->mem_fd);
        while (journalled-- > 0) {
                const Mark *m = &s->marks[journalled];

                write_mark(s, m, m->from.state, m->from.op, m->from.txn);
                fault("undo-journal", NULL);
        }
}

static bool holds_breakpoint(const Switch *s, uint64_t addr) {
        uint8_t byte;

        return mem_read_fd(s->mem_fd, addr, &byte, sizeof(byte)) == 0 && byte == 0xcc;
}

/* All threads are stopped at a safe point. The journal first, then the code, then the journal. */
static int commit(Switch *s, EngineResult *res, Error *e) {
        size_t journalled = 0, marked = 0;
        uint32_t owner;
        uint64_t addr;
        int r;

        if (!same_memory(s))
                return refuse(res, REFUSAL_CODE_PROCESS_GONE, "", "the process replaced its memory (exec)");
        r = edits_check(&s->edits, s->pid, &owner, &addr, e);
        if (r == EDIT_DIFFERS)
                return refuse(res, REFUSAL_CODE_IMAGE_MODIFIED, s->owner_name(s, owner), "at 0x%llx%s",
                              (unsigned long long)addr,
                              holds_breakpoint(s, addr) ? ": a breakpoint, of a tracer's probe or a debugger"
                                                        : "");
        if (r == 0)
                r = fault("switch-checked", e);
        for (; r == 0 && journalled < s->n_marks; journalled++) {
                const Mark *m = &s->marks[journalled];

                r = write_mark(s, m, PATCH_STATE_SWITCHING, m->op, s->txn);
                if (r < 0)
                        error_errno(e, r, "write the journal");
                else
                        r = fault("switch-journal", e);
        }
        if (r == 0)
                r = edits_write(&s->edits, s->mem_fd, e);
        if (r == 0)
                r = fault("switch-written", e);
        for (; r == 0 && marked < s->n_marks; marked++) {
                const Mark *m = &s->marks[marked];

                r = write_mark(s, m, m->to, OP_NONE, s->txn);
                if (r < 0)
                        error_errno(e, r, "write the journal");
                else
                        r = fault("switch-header", e);
        }
        for (size_t i = 0; r == 0 && i < s->n_marks; i++) {
                r = write_time(s, &s->marks[i], s->marks[i].time_sec);
                if (r < 0)
                        error_errno(e, r, "write the time");
        }
        if (r == 0)
                r = fault("switch-marked", e);
        if (r < 0)
                go_back(s, journalled, marked);
        return r;
}

static int give_up(const World *w, int stop, const SafeBlame *b, EngineResult *res) {
        char subject[128];

        if (stop)
                return w->stuck ? (snprintf(subject, sizeof(subject), "thread %d", w->stuck),
                                   refuse(res, REFUSAL_CODE_PROCESS_STOP, subject, "did not stop"))
                                : refuse(res, REFUSAL_CODE_PROCESS_STOP, "",
                                         "processes that share its memory kept appearing");
        snprintf(subject, sizeof(subject), "%s", b->name && b->name[0] ? b->name : "stack");
        if (b->unwind)
                return refuse(res, REFUSAL_CODE_UNWIND_FAILED, subject,
                              "thread %d: 0x%llx on its stack may be a return address", b->tid,
                              (unsigned long long)b->pc);
        if (!b->pc)
                return refuse(res, REFUSAL_CODE_UNWIND_FAILED, subject, "thread %d: its stack cannot be read",
                              b->tid);
        return refuse(res, REFUSAL_CODE_PROCESS_BUSY, subject, "thread %d is at 0x%llx", b->tid,
                      (unsigned long long)b->pc);
}

static void sleep_usec(uint64_t usec) {
        struct timespec ts = { (time_t)(usec / 1000000), (long)(usec % 1000000) * 1000 };

        nanosleep(&ts, NULL);
}

/* The blamed thread's way out, watched from before it goes on. */
static Arrival watch_exit(const Switch *s, const World *w, Unwinder *unwinder, const SafeBlame *b) {
        uint64_t addr = b->name && b->name[0] ? safe_exit(&s->safe, w, unwinder, b->tid) : 0;

        return addr ? arrival_watch(b->tid, addr) : (Arrival){ .fd = -1 };
}

/*
 * What is done in the stop is done once beforehand, with everybody running, as far as it only reads: a
 * guardian has just been made, and would meet its own code, its memory and the process's pages for the first
 * time with all threads stopped. No file is waited for there, either. What is found counts in the stop only.
 */
static void rehearse(Switch *s, StackReader *reader) {
        StoppedThread t = { .tid = s->pid };
        World w = { .threads = &t, .n = 1 };
        SafeBlame ignored;

        for (size_t i = 0; i < s->maps->n; i++)
                if (strcmp(s->maps->items[i].path, "[stack]") == 0)
                        t.regs.rsp = s->maps->items[i].end - PAGE_SIZE_X86;
        safe_check(&s->safe, &w, reader, NULL, &ignored);
        stack_reader_warm(reader);
        same_memory(s);
        edits_check(&s->edits, s->pid, &(uint32_t){ 0 }, &(uint64_t){ 0 }, NULL);
}

int switch_run(Switch *s, const EngineOptions *options, EngineResult *res, Error *e) {
        uint64_t limit =
                now_usec() + (options && options->deadline_usec ? options->deadline_usec : DEADLINE_USEC);
        uint64_t backoff = options && options->retry_usec ? options->retry_usec : BACKOFF_USEC;
        StackReader *reader = NULL;
        Unwinder *unwinder;
        SafeBlame blame = { 0 };
        World w = { 0 };
        Arrival exit = { .fd = -1 };
        bool ready, blamed = false;
        uint64_t now;
        int r, stop;

        unwinder = unwinder_new(s->pid, s->maps, s->loaded, s->n_loaded);
        edits_prepare(&s->edits);
        safe_set_look(&s->safe, s->pid);
        safe_set_sort(&s->safe);
        r = world_init(&w, s->pid, e);
        if (r == 0 && !(reader = stack_reader_new(s->pid, s->maps, world_threads(&w), e)))
                r = -ESRCH;
        if (r == 0)
                rehearse(s, reader);
        while (r == 0) {
                res->attempts++;
                stop = world_stop(&w, STOP_USEC, e);
                if (stop == WORLD_TRACED || stop == WORLD_PERMISSION) {
                        r = refuse(res,
                                   stop == WORLD_TRACED ? REFUSAL_CODE_PROCESS_TRACED
                                                        : REFUSAL_CODE_PROCESS_PERMISSION,
                                   "", "thread %d", w.stuck);
                        break;
                }
                if (stop < 0) {
                        r = stop;
                        break;
                }
                ready = false;
                if (stop == 0) {
                        res->threads = (uint32_t)w.n;
                        r = fault("stopped", e);
                        ready = r == 0 && safe_check(&s->safe, &w, reader, unwinder, &blame) == 0;
                        if (ready)
                                r = commit(s, res, e);
                        else if (r == 0 && res->attempts > SHORT_TRIES)
                                exit = watch_exit(s, &w, unwinder, &blame);
                        world_resume(&w);
                        blamed = true;
                }
                res->pause_usec = w.end_usec - w.begin_usec;
                res->pause_total_usec += res->pause_usec;
                if (ready || r)
                        break;
                now = now_usec();
                if (now >= limit) {
                        r = give_up(&w, blamed ? 0 : stop, &blame, res);
                        break;
                }
                if (exit.fd >= 0)
                        arrival_await(&exit, MIN((uint64_t)EXIT_USEC, limit - now + 1));
                else
                        sleep_usec(MIN(backoff, limit - now + 1));
                backoff = MIN(backoff * 2, BACKOFF_MAX_USEC);
                if ((stop && !w.stuck) ||
                    world_outdated(&w)) { /* new sharers, or too many to tell: look again */
                        world_free(&w);
                        r = world_init(&w, s->pid, e);
                }
        }
        arrival_end(&exit);
        world_free(&w);
        stack_reader_free(reader);
        unwinder_free(unwinder);
        if (r == 0)
                sharers_settle(s->pid); /* its headers were those that were there before (same_memory) */
        if (r == 0)
                fault("resumed", NULL); /* it is done: an error here changes nothing */
        return r;
}
