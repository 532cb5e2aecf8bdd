/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/edit.h"
#include "apply/fault.h"
#include "base/macro.h"
#include "base/vec.h"
#include "proc/mem.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

enum { BATCH = 512 };

void edits_add(Edits *s, uint64_t addr, const uint8_t *from, const uint8_t *to, size_t n, bool either,
               uint32_t owner) {
        while (s->room < s->n + n) {
                s->room = s->room ? s->room * 2 : 256;
                s->bytes = vec_grow(s->bytes, s->room, sizeof(*s->bytes));
        }
        for (size_t i = 0; i < n; i++)
                s->bytes[s->n++] = (EditByte){ .addr = addr + i,
                                               .from = from[i],
                                               .to = to[i],
                                               .between = from[i],
                                               .either = either,
                                               .owner = owner };
}

void edits_add_word(Edits *s, uint64_t addr, uint64_t from, uint64_t to, bool either, uint32_t owner) {
        size_t first = s->n;
        uint8_t a[8], b[8];

        memcpy(a, &from, sizeof(a));
        memcpy(b, &to, sizeof(b));
        edits_add(s, addr, a, b, sizeof(a), either, owner);
        for (size_t i = first; i < s->n; i++)
                s->bytes[i].word = true;
}

static int by_addr(const EditByte *x, const EditByte *y) {
        return (x->addr > y->addr) - (x->addr < y->addr);
}

/* Stable: the order of edits of one byte matters. */
static void merge_sort(EditByte *v, EditByte *spare, size_t n) {
        size_t half = n / 2, i = 0, j = half, k = 0;

        if (n < 2)
                return;
        merge_sort(v, spare, half);
        merge_sort(v + half, spare, n - half);
        memcpy(spare, v, n * sizeof(*v));
        while (i < half || j < n)
                v[k++] = j == n || (i < half && by_addr(&spare[i], &spare[j]) <= 0) ? spare[i++] : spare[j++];
}

void edits_prepare(Edits *s) {
        EditByte *spare = vec_grow(NULL, s->n + 1, sizeof(*spare));
        VEC(EditSpan) spans = { 0 };
        size_t n = 0;

        merge_sort(s->bytes, spare, s->n);
        free(spare);
        for (size_t i = 0; i < s->n; i++) {
                if (n && s->bytes[n - 1].addr == s->bytes[i].addr) {
                        s->bytes[n - 1].to = s->bytes[i].to;
                        s->bytes[n - 1].between = s->bytes[i].from;
                        s->bytes[n - 1].owner = s->bytes[i].owner;
                } else {
                        s->bytes[n++] = s->bytes[i];
                }
        }
        s->n = n;
        s->size = 0;
        for (size_t i = 0; i < n; i++) {
                uint64_t addr = s->bytes[i].addr;
                EditSpan *last = spans.n ? &spans.items[spans.n - 1] : NULL;

                if (last && last->addr / PAGE_SIZE_X86 == addr / PAGE_SIZE_X86) {
                        size_t size = addr + 1 - last->addr;

                        s->size += size - last->size;
                        last->size = size;
                } else {
                        vec_push(&spans, (EditSpan){ .addr = addr, .size = 1, .at = s->size });
                        s->size++;
                }
                spans.items[spans.n - 1].words |= s->bytes[i].word;
        }
        s->spans = spans.items;
        s->n_spans = spans.n;
        s->before = vec_grow(NULL, s->size + 1, 1);
        s->after = vec_grow(NULL, s->size + 1, 1);
        memset(s->before, 0, s->size);
        memset(s->after, 0, s->size);
}

int edits_check(Edits *s, pid_t pid, uint32_t *owner, uint64_t *addr, Error *e) {
        size_t span = 0;

        for (size_t first = 0; first < s->n_spans;) {
                struct iovec local[BATCH], remote[BATCH];
                size_t n = MIN(s->n_spans - first, BATCH), want = 0;
                ssize_t got;

                for (size_t i = 0; i < n; i++) {
                        const EditSpan *x = &s->spans[first + i];

                        local[i] = (struct iovec){ s->before + x->at, x->size };
                        remote[i] = (struct iovec){ (void *)(uintptr_t)x->addr, x->size };
                        want += x->size;
                }
                got = process_vm_readv(pid, local, n, remote, n, 0);
                if (got < 0 && errno != EFAULT)
                        return error_errno(e, -errno, "process %d: read the code", pid);
                for (size_t i = 0; got != (ssize_t)want && i < n; i++) {
                        int r = mem_read_code(pid, s->spans[first + i].addr, local[i].iov_base,
                                              local[i].iov_len);

                        if (r < 0)
                                return error_errno(e, r, "process %d: read the code", pid);
                }
                first += n;
        }
        memcpy(s->after, s->before, s->size);
        for (size_t i = 0; i < s->n; i++) {
                const EditByte *b = &s->bytes[i];
                size_t at;

                while (b->addr >= s->spans[span].addr + s->spans[span].size)
                        span++;
                at = s->spans[span].at + (b->addr - s->spans[span].addr);
                if (s->before[at] != b->from &&
                    !(b->either && (s->before[at] == b->to || s->before[at] == b->between))) {
                        *owner = b->owner;
                        *addr = b->addr;
                        return EDIT_DIFFERS;
                }
                s->after[at] = b->to;
        }
        s->written = 0;
        return 0;
}

void edits_undo(Edits *s, int mem_fd) {
        while (s->written > 0) {
                const EditSpan *x = &s->spans[--s->written];

                mem_write(mem_fd, x->addr, s->before + x->at, x->size);
                fault("undo-page", NULL);
        }
}

int edits_write(Edits *s, int mem_fd, Error *e) {
        int r = 0;

        for (s->written = 0; s->written < s->n_spans; s->written++) {
                const EditSpan *x = &s->spans[s->written];

                r = mem_write(mem_fd, x->addr, s->after + x->at, x->size);
                if (r < 0)
                        error_errno(e, r, "write to 0x%llx", (unsigned long long)x->addr);
                else
                        r = fault("switch-page", e);
                if (r == 0 && x->words)
                        r = fault("switch-word", e);
                if (r < 0) {
                        s->written++; /* it may be there in part */
                        break;
                }
        }
        if (r < 0)
                edits_undo(s, mem_fd);
        return r;
}

void edits_free(Edits *s) {
        free(s->bytes);
        free(s->spans);
        free(s->before);
        free(s->after);
        *s = (Edits){ 0 };
}
