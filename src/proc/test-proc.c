/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "proc/arrival.h"
#include "proc/hold.h"
#include "proc/list.h"
#include "proc/loaded.h"
#include "proc/maps.h"
#include "proc/sharers.h"
#include "proc/stop.h"
#include "proc/task.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int parse(const char *text, Maps *m) {
        Error e;

        return maps_parse(text, strlen(text), m, &e);
}

static void maps_lines(void **state) {
        Maps m;

        (void)state;
        assert_int_equal(parse("1000-2000 r-xp 00000400 08:02 77                    /a b (deleted)\n"
                               "2000-4000 rw-s 00000000 00:00 0 \n"
                               "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0    [vsyscall]\n",
                               &m),
                         0);
        assert_int_equal(m.n, 3);
        assert_string_equal(m.items[0].path, "/a b");
        assert_true(m.items[0].deleted);
        assert_int_equal(m.items[0].prot, MAP_R | MAP_X);
        assert_int_equal(m.items[0].offset, 0x400);
        assert_int_equal(m.items[0].inode, 77);
        assert_string_equal(m.items[1].path, "");
        assert_true(m.items[1].shared);
        assert_string_equal(m.items[2].path, "[vsyscall]");
        assert_ptr_equal(maps_at(&m, 0x1fff), &m.items[0]);
        assert_ptr_equal(maps_at(&m, 0x2000), &m.items[1]);
        assert_null(maps_at(&m, 0xfff));
        assert_null(maps_at(&m, 0x4000));
        assert_true(maps_vacant(&m, 0x4000, 0x9000));
        assert_false(maps_vacant(&m, 0x3fff, 0x9000));
        assert_true(maps_vacant(&m, 0, 0x1000));
        maps_free(&m);
}

static void maps_malformed(void **state) {
        static const char *const bad[] = {
                "2000-1000 r-xp 00000000 08:02 77 /a\n",
                "1000-1000 r-xp 00000000 08:02 77 /a\n",
                "1000-2000 r-qp 00000000 08:02 77 /a\n",
                "1000-2000 r-xp 00000000 08:02\n",
                "1000-20000000000000000 r-xp 00000000 08:02 77 /a\n",
                "1000-3000 r-xp 0 0:0 1 /a\n2000-4000 r-xp 0 0:0 1 /b\n",
                "\n",
        };
        Maps m;

        (void)state;
        for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
                assert_int_equal(parse(bad[i], &m), -EBADMSG);
}

static void units(void **state) {
        static const char *const pairs[][2] = {
                { "0::/system.slice/nginx.service\n", "nginx.service" },
                { "0::/user.slice/user-0.slice/user@0.service/app.slice/nginx.service\n", "user@0.service" },
                { "0::/system.slice/docker-1.scope/system.slice/nginx.service\n", "docker-1.scope" },
                { "0::/system.slice/system-postgresql.slice/postgresql@15-main.service\n",
                  "postgresql@15-main.service" },
                { "12:cpu:/a.service\n1:name=systemd:/system.slice/b.service\n", "b.service" },
                { "0::/\n", "" },
                { "0::/system.slice\n", "" },
                { "0::/.service\n", "" },
                { "nonsense", "" },
        };
        char unit[64], small[8];

        (void)state;
        for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
                process_unit(pairs[i][0], unit, sizeof(unit));
                assert_string_equal(unit, pairs[i][1]);
        }
        process_unit(pairs[0][0], small, sizeof(small)); /* does not fit: not cut */
        assert_string_equal(small, "");
}

static void own_process(void **state) {
        Loaded *loaded;
        TaskStatus status;
        ProcessList list;
        bool found = false;
        Maps maps;
        size_t n, own = 0;
        Error e;

        (void)state;
        assert_int_equal(maps_read(getpid(), &maps, &e), 0);
        assert_int_equal(loaded_list(getpid(), &maps, &loaded, &n, &e), 0);
        for (size_t i = 0; i < n; i++) {
                uint64_t at = (uint64_t)(uintptr_t)&own_process;

                assert_false(loaded[i].unusual);
                own += at >= loaded[i].base + loaded[i].head.lo && at < loaded[i].base + loaded[i].head.hi;
        }
        assert_int_equal(own, 1);
        free(loaded);
        maps_free(&maps);
        assert_int_equal(task_status(getpid(), 0, &status, &e), 0);
        assert_int_equal(status.tgid, getpid());
        assert_int_equal(process_list(&list, &e), 0);
        for (size_t i = 0; i < list.n; i++)
                found |= list.items[i].pid == getpid() && !list.items[i].kernel && !list.items[i].zombie;
        assert_true(found);
        process_list_free(&list);
}

static void ended_process(void **state) {
        pid_t pid = fork();
        TaskStat st;
        Maps maps;
        siginfo_t info;

        (void)state;
        if (pid == 0)
                _exit(0);
        assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
        assert_int_equal(task_stat(pid, &st), 0);
        assert_int_equal(st.state, 'Z');
        assert_int_equal(task_with_memory(pid), -ESRCH);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_int_equal(task_stat(pid, &st), -ESRCH);
        assert_int_equal(maps_read(pid, &maps, NULL), -ESRCH);
}

/* A process names itself, and may do so with nothing, or with what looks like the rest of the line. */
static void odd_names(void **state) {
        static const char *const names[] = { "", ") R 1", "a b" };
        pid_t pids[] = { getpid(), 0x7ffffff0 };
        char own[16];

        (void)state;
        assert_int_equal(prctl(PR_GET_NAME, own), 0);
        for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
                ProcessList list = { 0 };
                TaskStat st;

                assert_int_equal(prctl(PR_SET_NAME, names[i]), 0);
                assert_int_equal(process_select(pids, 2, &list, NULL), 0);
                assert_int_equal(task_stat(getpid(), &st), 0);
                assert_true(process_exists(&list.items[0]) && !list.items[0].kernel);
                assert_false(process_exists(&list.items[1]));
                assert_string_equal(list.items[0].comm, names[i]);
                assert_true(list.items[0].start_time == st.start_time && st.start_time && st.vsize);
                process_list_free(&list);
        }
        prctl(PR_SET_NAME, own);
}

static void *wait_for_end(void *fd) {
        char c;

        assert_int_equal(read(*(int *)fd, &c, 1), 0);
        return NULL;
}

/* What the link count of /proc/PID/task says, and what one look tells of a thread that sleeps. */
static void thread_count(void **state) {
        enum { THREADS = 3 };
        pthread_t threads[THREADS];
        int fds[2];
        World w;
        Error e;

        (void)state;
        assert_int_equal(pipe(fds), 0);
        assert_int_equal(world_init(&w, getpid(), &e), 0);
        assert_int_equal(w.n_pids, 1);
        assert_true(w.task_fds[0] >= 0);
        for (size_t i = 0; i < THREADS; i++) {
                assert_int_equal(world_threads(&w), 1 + i);
                assert_int_equal(pthread_create(&threads[i], NULL, wait_for_end, &fds[0]), 0);
        }
        assert_int_equal(world_threads(&w), 1 + THREADS);
        assert_false(task_look(getpid(), getpid()).asleep);
        for (size_t asleep = 0; asleep < THREADS;) {
                pid_t *tids;
                size_t n;

                assert_int_equal(task_threads(getpid(), &tids, &n), 0);
                assert_int_equal(n, 1 + THREADS);
                asleep = 0;
                for (size_t i = 0; i < n; i++)
                        asleep += task_look(getpid(), tids[i]).asleep;
                free(tids);
        }
        close(fds[1]);
        for (size_t i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
        world_free(&w);
        close(fds[0]);
}

/* A hold ends with what was before it, however deep it was. */
static void holds(void **state) {
        int policy = sched_getscheduler(0), nice = getpriority(PRIO_PROCESS, 0);
        bool may = setpriority(PRIO_PROCESS, 0, nice - 1) == 0 && setpriority(PRIO_PROCESS, 0, nice) == 0;
        struct itimerval it;

        (void)state;
        hold_begin();
        hold_begin();
        hold_end();
        assert_int_equal(getitimer(ITIMER_REAL, &it), 0);
        assert_true(it.it_interval.tv_usec > 0);
        if (may)
                assert_true(sched_getscheduler(0) != policy || getpriority(PRIO_PROCESS, 0) == -20);
        hold_end();
        assert_int_equal(getitimer(ITIMER_REAL, &it), 0);
        assert_int_equal(it.it_interval.tv_usec, 0);
        assert_int_equal(sched_getscheduler(0), policy);
        assert_int_equal(getpriority(PRIO_PROCESS, 0), nice);
}

static atomic_ulong *passed; /* shared with the children */

__attribute__((noinline)) static void pass_by(void) {
        atomic_fetch_add(passed, 1);
}

static pid_t passer(void) {
        pid_t pid;

        passed = mmap(NULL, sizeof(*passed), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        assert_ptr_not_equal(passed, MAP_FAILED);
        pid = fork();
        while (pid == 0) {
                usleep(1000);
                pass_by();
        }
        return pid;
}

static void await_more(unsigned long than) {
        while (atomic_load(passed) <= than)
                usleep(1000);
}

static void arrivals(void **state) {
        pid_t pid = passer();
        Arrival a = arrival_watch(pid, (uint64_t)(uintptr_t)pass_by);

        (void)state;
        if (a.fd < 0) {
                kill(pid, SIGKILL);
                waitpid(pid, NULL, 0);
                print_message("no hardware breakpoint to be had\n");
                skip();
        }
        arrival_await(&a, UINT64_C(3600000000)); /* would be over in an hour */
        assert_int_equal(a.fd, -1);
        a = arrival_watch(pid, (uint64_t)(uintptr_t)arrivals); /* where it never comes */
        arrival_await(&a, 1000);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        arrival_end(&a);
        a = arrival_watch(pid, (uint64_t)(uintptr_t)pass_by);
        assert_int_equal(a.fd, -1);
        munmap(passed, sizeof(*passed));
}

/* What it watched goes on, and passes the place unharmed. */
static void watcher_that_is_killed(void **state) {
        pid_t pid = passer(), watcher;
        int armed[2], status;
        char c = 0;

        (void)state;
        assert_int_equal(pipe(armed), 0);
        watcher = fork();
        if (watcher == 0) {
                Arrival a = arrival_watch(pid, (uint64_t)(uintptr_t)pass_by);

                c = a.fd < 0 ? 'n' : 'y';
                if (write(armed[1], &c, 1) == 1)
                        pause();
                _exit(1);
        }
        assert_int_equal(read(armed[0], &c, 1), 1);
        await_more(atomic_load(passed) + 2);
        kill(watcher, SIGKILL);
        waitpid(watcher, NULL, 0);
        await_more(atomic_load(passed) + 2);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        close(armed[0]);
        close(armed[1]);
        munmap(passed, sizeof(*passed));
        if (c == 'n') {
                print_message("no hardware breakpoint to be had\n");
                skip();
        }
}

/* Killed while it is stopped: its parent hears of it while we live. */
static void killed_in_a_stop(void **state) {
        TaskStatus status;
        int fds[2];
        pid_t parent, pid;
        TaskStat st;
        World w;
        Error e;

        (void)state;
        assert_int_equal(pipe(fds), 0);
        parent = fork();
        if (parent == 0) {
                pid = fork();
                if (pid == 0)
                        for (;;)
                                pause();
                _exit(write(fds[1], &pid, sizeof(pid)) != sizeof(pid) || waitpid(pid, NULL, 0) != pid);
        }
        assert_int_equal(read(fds[0], &pid, sizeof(pid)), sizeof(pid));
        assert_int_equal(world_init(&w, pid, &e), 0);
        assert_int_equal(world_stop(&w, 1000000, &e), 0);
        kill(pid, SIGKILL);
        while (task_stat(pid, &st) == 0 && st.state != 'Z')
                ;
        world_resume(&w);
        world_free(&w);
        while (late_release())
                usleep(1000);
        assert_true(task_status(pid, 0, &status, &e) < 0 || status.tracer == 0);
        assert_int_equal(waitpid(parent, &fds[0], 0), parent);
        assert_int_equal(fds[0], 0);
}

static int told[2], asked[2]; /* pipes */
static char stacks[3][65536] __attribute__((aligned(16)));

static int waits(void *arg) {
        (void)arg;
        while (pause() < 0)
                ;
        return 1;
}

/* Its thread stays when it ends itself. */
static int ends_first(void *arg) {
        char c;

        clone(waits, stacks[2] + sizeof(stacks[2]), CLONE_VM | CLONE_THREAD | CLONE_SIGHAND | CLONE_FILES,
              arg);
        syscall(SYS_exit, read(asked[0], &c, 1) != 1);
        return 0;
}

static pid_t has_two_sharers(pid_t sharers[2]) {
        pid_t pid = fork();

        if (pid == 0) {
                sharers[0] = clone(waits, stacks[0] + sizeof(stacks[0]), CLONE_VM | SIGCHLD, NULL);
                sharers[1] = clone(ends_first, stacks[1] + sizeof(stacks[1]), CLONE_VM | SIGCHLD, NULL);
                _exit(write(told[1], sharers, 2 * sizeof(*sharers)) < 0 || waits(NULL));
        }
        assert_int_equal(read(told[0], sharers, 2 * sizeof(*sharers)), 2 * sizeof(*sharers));
        return pid;
}

static size_t count_sharers(pid_t pid) {
        pid_t *pids = NULL, *unborn = NULL;
        int fd = task_newest_open();
        size_t n = 0, n_unborn;

        if (sharers_find(pid, task_newest(fd), &pids, &n, &unborn, &n_unborn, NULL) < 0)
                n = 0;
        close(fd);
        free(pids);
        free(unborn);
        return n;
}

/* Whoever was seen between others must not hide a sharer; nor must a leader that has ended since. */
static int look_for_sharers(pid_t pid, const pid_t sharers[2], const pid_t *others, size_t n) {
        TaskStat st;

        if (count_sharers(pid) != 3 || count_sharers(sharers[0]) != 3)
                return 1;
        if (write(asked[1], "", 1) != 1)
                return 2;
        while (task_stat(sharers[1], &st) == 0 && st.state != 'Z')
                ;
        for (size_t i = 0; i < n; i++) {
                if (count_sharers(others[i]) != 1)
                        return 3;
                sharers_settle(others[i]);
                if (count_sharers(pid) != 3 || count_sharers(sharers[0]) != 3)
                        return 4;
        }
        sharers_settle(sharers[0]);
        return count_sharers(pid) != 3 || count_sharers(sharers[0]) != 3 ? 5 : 0;
}

static void sharers_among_others(void **state) {
        pid_t pid, looks, sharers[2], others[24];
        int status;

        (void)state;
        assert_int_equal(pipe(told), 0);
        assert_int_equal(pipe(asked), 0);
        pid = has_two_sharers(sharers);
        for (size_t i = 0; i < ELEMENTSOF(others); i++) {
                others[i] = fork();
                if (others[i] == 0)
                        waits(NULL);
        }
        looks = fork(); /* a list of processes of its own, made now */
        if (looks == 0)
                _exit(look_for_sharers(pid, sharers, others, ELEMENTSOF(others)));
        assert_int_equal(waitpid(looks, &status, 0), looks);
        for (size_t i = 0; i < ELEMENTSOF(others); i++)
                kill(others[i], SIGKILL);
        for (size_t i = 0; i < ELEMENTSOF(others); i++)
                waitpid(others[i], NULL, 0);
        kill(pid, SIGKILL);
        kill(sharers[0], SIGKILL);
        kill(sharers[1], SIGKILL);
        waitpid(pid, NULL, 0);
        assert_int_equal(status, 0);
}

/* What the ids that were given out before the stop are is known when it begins. */
static void ids_are_asked_about_before_the_stop(void **state) {
        pid_t pid = fork(), last = 0, listed, asked_about;
        World w;
        Error e;

        (void)state;
        if (pid == 0)
                waits(NULL);
        assert_int_equal(world_init(&w, pid, &e), 0);
        for (unsigned i = 0; i < 30; i++) {
                last = fork();
                if (last == 0)
                        _exit(0);
                assert_int_equal(waitpid(last, NULL, 0), last);
        }
        listed = w.newest;
        assert_int_equal(world_stop(&w, 1000000, &e), 0);
        asked_about = w.newest;
        world_resume(&w);
        world_free(&w);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_true(listed < last);
        assert_true(asked_about >= last);
}

/* A sharer that comes between the look for sharers and the stop is seen. */
static void new_sharer_is_seen(void **state) {
        pid_t pid, sharer = 0, stuck;
        int stop;
        World w;
        Error e;
        char c;

        (void)state;
        assert_int_equal(pipe(told), 0);
        assert_int_equal(pipe(asked), 0);
        pid = fork();
        if (pid == 0) {
                if (read(asked[0], &c, 1) == 1)
                        sharer = clone(waits, stacks[0] + sizeof(stacks[0]), CLONE_VM | SIGCHLD, NULL);
                _exit(write(told[1], &sharer, sizeof(sharer)) < 0 || waits(NULL));
        }
        assert_int_equal(world_init(&w, pid, &e), 0);
        assert_int_equal(write(asked[1], "x", 1), 1);
        assert_int_equal(read(told[0], &sharer, sizeof(sharer)), sizeof(sharer));
        stop = world_stop(&w, 1000000, &e);
        stuck = w.stuck;
        if (stop == 0)
                world_resume(&w);
        world_free(&w);
        kill(sharer, SIGKILL);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_int_equal(stop, WORLD_AGAIN);
        assert_int_equal(stuck, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(maps_lines),
                cmocka_unit_test(maps_malformed),
                cmocka_unit_test(units),
                cmocka_unit_test(own_process),
                cmocka_unit_test(ended_process),
                cmocka_unit_test(odd_names),
                cmocka_unit_test(thread_count),
                cmocka_unit_test(holds),
                cmocka_unit_test(killed_in_a_stop),
                cmocka_unit_test(sharers_among_others),
                cmocka_unit_test(ids_are_asked_about_before_the_stop),
                cmocka_unit_test(new_sharer_is_seen),
                cmocka_unit_test(arrivals),
                cmocka_unit_test(watcher_that_is_killed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
