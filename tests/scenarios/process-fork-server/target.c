/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <sys/wait.h>

static long calls;
NOINLINE static long work(long v) { calls++; return v + PICK(1, 2); }

struct Child { int to, from; pid_t pid; };
static struct Child early, late;

static struct Child spawn(void) {
        int a[2], b[2];
        CALL(pipe(a)), CALL(pipe(b));
        struct Child c = { a[1], b[0], fork() };
        if (c.pid == 0) {
                long v;
                close(a[1]), close(b[0]);
                if (early.to)
                        close(early.to);
                if (late.to)
                        close(late.to);
                while (read(a[0], &v, sizeof(v)) == sizeof(v)) {
                        v = work(v);
                        if (write(b[1], &v, sizeof(v)) < 0)
                                break;
                }
                _exit(0);
        }
        close(a[0]), close(b[1]);
        return c;
}
static long ask(const struct Child *c, long v) {
        EXPECT_EQ(write(c->to, &v, sizeof(v)), sizeof(v));
        EXPECT_EQ(read(c->from, &v, sizeof(v)), sizeof(v));
        return v;
}
static void end(struct Child *c) {
        int status = -1;
        close(c->to), close(c->from);
        EXPECT_EQ(waitpid(c->pid, &status, 0), c->pid);
        EXPECT_EQ(status, 0);
}
void target_start(void) { early = spawn(); harness_pid(getpid()); }
void target_work(void) {
        if (harness_turns() % 16 == 0) {
                struct Child c = spawn();
                long r = ask(&c, 1);
                EXPECT(r == 2 || r == 3);
                end(&c);
        }
}
void target_command(const char *word) {
        long want = 5 + atol(strchr(word, ' ') + 1);
        if (!strncmp(word, "child", 5)) {
                struct Child c = spawn();
                EXPECT_EQ(ask(&c, 5), want);
                if (late.pid)
                        end(&c);
                else
                        late = c; /* lives on with the patch it inherited when the parent's is taken out */
        } else {
                EXPECT_EQ(ask(word[0] == 'e' ? &early : &late, 5), want);
        }
}
void target_check(int version) { EXPECT_EQ(work(5), version >= 2 ? 7 : 6); }
void target_end(void) {
        end(&early);
        if (late.pid)
                end(&late);
}
