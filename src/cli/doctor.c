/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor.h"
#include "base/file.h"
#include "base/macro.h"
#include "cli/ask.h"
#include "cli/cli.h"

#include <dirent.h>
#include <errno.h>
#include <linux/kcmp.h>
#include <linux/landlock.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/timex.h>

enum { ANSWER_SEC = 5 };

const char *doctor_path(const Doctor *d, const char *path) {
        return *d->root ? arena_printf(d->arena, "%s%s", d->root, path) : path;
}

/* Files of /proc have no size, so it is read to its end. */
const char *doctor_read(const Doctor *d, const char *path) {
        FILE *f = fopen(doctor_path(d, path), "re");
        char *text = NULL;
        size_t n;

        if (!f)
                return NULL;
        text = arena_alloc(d->arena, DOCTOR_FILE_MAX + 1);
        n = fread(text, 1, DOCTOR_FILE_MAX, f);
        if (ferror(f))
                text = NULL;
        fclose(f);
        while (text && n && text[n - 1] == '\n')
                text[--n] = 0;
        return text;
}

bool doctor_exists(const Doctor *d, const char *path) {
        return access(doctor_path(d, path), F_OK) == 0;
}

size_t doctor_count(const Doctor *d, const char *folder, const char *suffix) {
        DIR *dir = opendir(doctor_path(d, folder));
        struct dirent *entry;
        size_t n = 0;

        while (dir && (entry = readdir(dir))) {
                size_t len = strlen(entry->d_name), end = strlen(suffix);

                n += entry->d_name[0] != '.' && len >= end && strcmp(entry->d_name + len - end, suffix) == 0;
        }
        if (dir)
                closedir(dir);
        return n;
}

const char *doctor_status(const Doctor *d, const char *key) {
        const char *line = doctor_read(d, "/proc/self/status");
        size_t n = strlen(key);

        for (; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
                if (strncmp(line, key, n) == 0 && line[n] == ':')
                        return line + n + 1 + strspn(line + n + 1, " \t");
        return NULL;
}

DoctorFinding doctor_found(const Doctor *d, DoctorGrade grade, const char *todo, const char *format, ...) {
        char text[1024];
        va_list ap;

        va_start(ap, format);
        vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        return (DoctorFinding){ grade, arena_strdup(d->arena, text), todo };
}

const char *doctor_grade_text(DoctorGrade g) {
        static const char *const texts[DOCTOR_GRADES] = { "ok", "warning", "problem", "not-applicable" };

        return texts[g];
}

/* The folder of the state, or the nearest above it that is there. */
static int64_t space(const Doctor *d) {
        static const char *const folders[] = { "/var/lib/staunch", "/var/lib", "/" };
        struct statvfs st;

        for (size_t i = 0; i < ELEMENTSOF(folders); i++)
                if (statvfs(doctor_path(d, folders[i]), &st) == 0)
                        return (int64_t)(st.f_bfree * st.f_frsize);
        return -1;
}

static DoctorSystem ask_system(void) {
        struct timex clock = { 0 };
        int state = adjtimex(&clock), abi;

        abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
        return (DoctorSystem){
                .landlock_abi = MAX(abi, 0),
                .kcmp = syscall(SYS_kcmp, getpid(), getpid(), KCMP_VM, 0, 0) == 0 ? 1
                        : errno == ENOSYS                                         ? 0
                                                                                  : -1,
                .clock_synced = state < 0 ? -1 : !(clock.status & STA_UNSYNC),
                .debuginfod_urls = getenv("DEBUGINFOD_URLS"),
        };
}

void doctor_init(Doctor *d, const char *root) {
        Error e = { 0 };
        json_t *agent;

        *d = (Doctor){ .root = root, .arena = arena_new(), .system = { -1, -1, -1, -1, NULL } };
        if (!*root)
                d->system = ask_system();
        d->system.space_bytes = space(d);
        if (agent_ask(doctor_path(d, RUNTIME_DIR "/control"), "status", ANSWER_SEC, &agent, &e) == 0)
                d->agent = agent;
        else
                d->agent_error = arena_strdup(d->arena, e.text);
}

void doctor_free(Doctor *d) {
        json_decref((json_t *)d->agent);
        d->agent = NULL;
        d->arena = arena_free(d->arena);
}
