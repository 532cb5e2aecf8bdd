/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/judge-parts.h"

#include <string.h>

/* Functions of libraries, by the kind of object that they are given, and as which argument. */

static const struct {
        const char *name; /* with a '*' at its end: all that begin so */
        uint8_t kind, argument;
} given[] = {
        { "pthread_mutex_*", KIND_MUTEX, 0 },
        { "mtx_*", KIND_MUTEX, 0 }, /* the C library's threads of C11 are its POSIX ones */
        { "pthread_cond_wait", KIND_MUTEX, 1 },
        { "pthread_cond_timedwait", KIND_MUTEX, 1 },
        { "pthread_cond_clockwait", KIND_MUTEX, 1 },
        { "cnd_wait", KIND_MUTEX, 1 },
        { "cnd_timedwait", KIND_MUTEX, 1 },
        { "pthread_cond_*", KIND_CONDITION, 0 },
        { "cnd_*", KIND_CONDITION, 0 },
        { "pthread_spin_*", KIND_SPIN, 0 },
        { "pthread_rwlock_*", KIND_RWLOCK, 0 },
        { "pthread_barrier_*", KIND_BARRIER, 0 },
        { "pthread_mutexattr_*", KIND_ATTRIBUTES, 0 },
        { "pthread_condattr_*", KIND_ATTRIBUTES, 0 },
        { "pthread_rwlockattr_*", KIND_ATTRIBUTES, 0 },
        { "pthread_barrierattr_*", KIND_ATTRIBUTES, 0 },
        { "sem_clockwait", KIND_SEMAPHORE, 0 },
        { "sem_close", KIND_SEMAPHORE, 0 },
        { "sem_destroy", KIND_SEMAPHORE, 0 },
        { "sem_getvalue", KIND_SEMAPHORE, 0 },
        { "sem_init", KIND_SEMAPHORE, 0 },
        { "sem_post", KIND_SEMAPHORE, 0 },
        { "sem_timedwait", KIND_SEMAPHORE, 0 },
        { "sem_trywait", KIND_SEMAPHORE, 0 },
        { "sem_wait", KIND_SEMAPHORE, 0 },
        { "g_mutex_clear", KIND_G_MUTEX, 0 },
        { "g_mutex_init", KIND_G_MUTEX, 0 },
        { "g_mutex_lock", KIND_G_MUTEX, 0 },
        { "g_mutex_trylock", KIND_G_MUTEX, 0 },
        { "g_mutex_unlock", KIND_G_MUTEX, 0 },
        { "g_cond_wait", KIND_G_MUTEX, 1 },
        { "g_cond_wait_until", KIND_G_MUTEX, 1 },
        { "g_cond_broadcast", KIND_G_CONDITION, 0 },
        { "g_cond_clear", KIND_G_CONDITION, 0 },
        { "g_cond_init", KIND_G_CONDITION, 0 },
        { "g_cond_signal", KIND_G_CONDITION, 0 },
        { "g_cond_wait", KIND_G_CONDITION, 0 },
        { "g_cond_wait_until", KIND_G_CONDITION, 0 },
        { "g_rec_mutex_*", KIND_G_RECURSIVE, 0 },
        { "g_rw_lock_*", KIND_G_RWLOCK, 0 },
        { "_IO_getc", KIND_STREAM, 0 },
        { "_IO_putc", KIND_STREAM, 1 },
        { "__fgets_chk", KIND_STREAM, 3 },
        { "__fprintf_chk", KIND_STREAM, 0 },
        { "__fread_chk", KIND_STREAM, 4 },
        { "__getdelim", KIND_STREAM, 3 },
        { "__isoc23_fscanf", KIND_STREAM, 0 },
        { "__isoc99_fscanf", KIND_STREAM, 0 },
        { "__overflow", KIND_STREAM, 0 },
        { "__uflow", KIND_STREAM, 0 },
        { "__vfprintf_chk", KIND_STREAM, 0 },
        { "clearerr", KIND_STREAM, 0 },
        { "fclose", KIND_STREAM, 0 },
        { "feof", KIND_STREAM, 0 },
        { "ferror", KIND_STREAM, 0 },
        { "fflush", KIND_STREAM, 0 },
        { "fgetc", KIND_STREAM, 0 },
        { "fgetpos", KIND_STREAM, 0 },
        { "fgets", KIND_STREAM, 2 },
        { "fgets_unlocked", KIND_STREAM, 2 },
        { "fileno", KIND_STREAM, 0 },
        { "flockfile", KIND_STREAM, 0 },
        { "fprintf", KIND_STREAM, 0 },
        { "fputc", KIND_STREAM, 1 },
        { "fputc_unlocked", KIND_STREAM, 1 },
        { "fputs", KIND_STREAM, 1 },
        { "fputs_unlocked", KIND_STREAM, 1 },
        { "fread", KIND_STREAM, 3 },
        { "fread_unlocked", KIND_STREAM, 3 },
        { "freopen", KIND_STREAM, 2 },
        { "freopen64", KIND_STREAM, 2 },
        { "fscanf", KIND_STREAM, 0 },
        { "fseek", KIND_STREAM, 0 },
        { "fseeko", KIND_STREAM, 0 },
        { "fseeko64", KIND_STREAM, 0 },
        { "fsetpos", KIND_STREAM, 0 },
        { "ftell", KIND_STREAM, 0 },
        { "ftello", KIND_STREAM, 0 },
        { "ftello64", KIND_STREAM, 0 },
        { "funlockfile", KIND_STREAM, 0 },
        { "fwrite", KIND_STREAM, 3 },
        { "fwrite_unlocked", KIND_STREAM, 3 },
        { "getc", KIND_STREAM, 0 },
        { "getc_unlocked", KIND_STREAM, 0 },
        { "getdelim", KIND_STREAM, 3 },
        { "getline", KIND_STREAM, 2 },
        { "pclose", KIND_STREAM, 0 },
        { "putc", KIND_STREAM, 1 },
        { "putc_unlocked", KIND_STREAM, 1 },
        { "rewind", KIND_STREAM, 0 },
        { "setbuf", KIND_STREAM, 0 },
        { "setlinebuf", KIND_STREAM, 0 },
        { "setvbuf", KIND_STREAM, 0 },
        { "ungetc", KIND_STREAM, 1 },
        { "vfprintf", KIND_STREAM, 0 },
        { "gzbuffer", KIND_GZ, 0 },
        { "gzclearerr", KIND_GZ, 0 },
        { "gzclose*", KIND_GZ, 0 },
        { "gzdirect", KIND_GZ, 0 },
        { "gzeof", KIND_GZ, 0 },
        { "gzerror", KIND_GZ, 0 },
        { "gzflush", KIND_GZ, 0 },
        { "gzfread", KIND_GZ, 3 },
        { "gzfwrite", KIND_GZ, 3 },
        { "gzgetc*", KIND_GZ, 0 },
        { "gzgets", KIND_GZ, 0 },
        { "gzoffset*", KIND_GZ, 0 },
        { "gzprintf", KIND_GZ, 0 },
        { "gzputc", KIND_GZ, 0 },
        { "gzputs", KIND_GZ, 0 },
        { "gzread", KIND_GZ, 0 },
        { "gzrewind", KIND_GZ, 0 },
        { "gzseek*", KIND_GZ, 0 },
        { "gzsetparams", KIND_GZ, 0 },
        { "gztell*", KIND_GZ, 0 },
        { "gzungetc", KIND_GZ, 1 },
        { "gzwrite", KIND_GZ, 0 },
        { "BZ2_bzRead*", KIND_BZ, 1 },
        { "BZ2_bzWrite*", KIND_BZ, 1 },
        { "BZ2_bzclose", KIND_BZ, 0 },
        { "BZ2_bzerror", KIND_BZ, 0 },
        { "BZ2_bzflush", KIND_BZ, 0 },
        { "BZ2_bzread", KIND_BZ, 0 },
        { "BZ2_bzwrite", KIND_BZ, 0 },
        { "deflate*", KIND_DEFLATE, 0 },
        { "inflate*", KIND_INFLATE, 0 },
        { "closedir", KIND_DIRECTORY, 0 },
        { "dirfd", KIND_DIRECTORY, 0 },
        { "readdir*", KIND_DIRECTORY, 0 },
        { "rewinddir", KIND_DIRECTORY, 0 },
        { "seekdir", KIND_DIRECTORY, 0 },
        { "telldir", KIND_DIRECTORY, 0 },
        { "iconv", KIND_ICONV, 0 },
        { "iconv_close", KIND_ICONV, 0 },
        { "dlclose", KIND_IMAGE, 0 },
        { "dlsym", KIND_IMAGE, 0 },
        { "dlvsym", KIND_IMAGE, 0 },
        { "regcomp", KIND_PATTERN, 0 },
        { "regexec", KIND_PATTERN, 0 },
        { "regfree", KIND_PATTERN, 0 },
        { "re_search", KIND_PATTERN, 0 },
        { "freelocale", KIND_LOCALE, 0 },
        { "uselocale", KIND_LOCALE, 0 },
        { "catclose", KIND_CATALOGUE, 0 },
        { "catgets", KIND_CATALOGUE, 0 },
};

static const char *const kind_names[] = {
        [KIND_MUTEX] = "a mutex",
        [KIND_CONDITION] = "a condition variable",
        [KIND_SPIN] = "a spin lock",
        [KIND_RWLOCK] = "a reader-writer lock",
        [KIND_BARRIER] = "a barrier",
        [KIND_SEMAPHORE] = "a semaphore",
        [KIND_ATTRIBUTES] = "attributes",
        [KIND_G_MUTEX] = "a mutex of GLib",
        [KIND_G_CONDITION] = "a condition variable of GLib",
        [KIND_G_RECURSIVE] = "a recursive mutex of GLib",
        [KIND_G_RWLOCK] = "a reader-writer lock of GLib",
        [KIND_STREAM] = "a stream of the C library",
        [KIND_GZ] = "a file of zlib",
        [KIND_BZ] = "a file of libbz2",
        [KIND_DEFLATE] = "a compressor of zlib",
        [KIND_INFLATE] = "a decompressor of zlib",
        [KIND_DIRECTORY] = "an open directory",
        [KIND_ICONV] = "a conversion of texts",
        [KIND_IMAGE] = "a loaded image",
        [KIND_PATTERN] = "a regular expression",
        [KIND_LOCALE] = "a locale",
        [KIND_CATALOGUE] = "a catalogue of messages",
};

static bool is_called(const char *name, const char *pattern) {
        size_t n = strlen(pattern);

        return pattern[n - 1] == '*' ? strncmp(name, pattern, n - 1) == 0 : strcmp(name, pattern) == 0;
}

bool kind_given(const char *name, size_t *next, GivenKind *out) {
        for (size_t i = *next; i < ELEMENTSOF(given); i++) {
                if (!is_called(name, given[i].name))
                        continue;
                *out = (GivenKind){ given[i].kind, given[i].argument };
                *next = i + 1;
                return true;
        }
        return false;
}

/* Functions that make an object with the attributes behind it. */
bool kind_made(const char *name) {
        return strncmp(name, "pthread_", 8) == 0 && strcmp(name + strlen(name) - 5, "_init") == 0;
}

bool kind_state(const char *name, unsigned which) {
        static const struct {
                const char *name;
                unsigned which;
        } states[] = { { "mtx_init", 0 },
                       { "pthread_barrierattr_set*", 0 },
                       { "pthread_barrier_init", 1 },
                       { "pthread_condattr_set*", 0 },
                       { "pthread_mutexattr_set*", 0 },
                       { "pthread_rwlockattr_set*", 0 },
                       { "pthread_spin_init", 0 },
                       { "sem_init", 0 },
                       { "sem_init", 1 } };

        for (size_t i = 0; i < ELEMENTSOF(states); i++)
                if (states[i].which == which && is_called(name, states[i].name))
                        return true;
        return false;
}

const char *kind_name(uint8_t kind) {
        return kind_names[kind];
}
