/* SPDX-License-Identifier: Apache-2.0 */
#include "elf/debug.h"
#include "base/macro.h"

#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#if HAVE_DEBUGINFOD
#include <elfutils/debuginfod.h>
#endif

typedef struct Search {
        const Image *image;
        const char *root;
        struct stat self; /* the image's own file; st_ino 0: it is not at its path */
        char *found;
} Search;

/* The CRC-32 of .gnu_debuglink, which is that of zlib. */
static uint32_t crc32_of(const uint8_t *bytes, size_t size) {
        uint32_t table[256], crc = UINT32_MAX;

        for (uint32_t i = 0; i < 256; i++) {
                uint32_t v = i;

                for (int bit = 0; bit < 8; bit++)
                        v = v & 1 ? (v >> 1) ^ UINT32_C(0xedb88320) : v >> 1;
                table[i] = v;
        }
        for (size_t i = 0; i < size; i++)
                crc = (crc >> 8) ^ table[(crc ^ bytes[i]) & 0xff];
        return ~crc;
}

/* 1: the file at `path` describes the image; 0: it is another's; negative: it cannot be read. */
static int describes(const Image *image, const char *path, Error *e) {
        _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        BuildId id = { 0 };
        FileBytes file = { 0 };
        Image *debug = NULL;
        bool same;
        int r;

        if (fd < 0)
                return error_errno(e, -errno, "%s", path);
        if (image->build_id.n == 0) {
                if (!image->debug_link)
                        return 0;
                r = file_read_fd(fd, path, IMAGE_MAX_SIZE, &file, e);
                if (r < 0)
                        return r;
                same = crc32_of(file.bytes, file.size) == image->debug_link_crc;
                file_release(&file);
                return same;
        }
        if (image_build_id_fd(fd, path, &id, NULL) == 0 && build_id_equal(&id, &image->build_id))
                return 1;
        /* Some tools leave the program headers of a debug file as the program's: its sections count. */
        r = image_open_fd(fd, path, &debug, e);
        if (r != 0)
                return r < 0 ? r : e ? e->code : -ENOEXEC;
        same = build_id_equal(&debug->build_id, &image->build_id);
        image_free(debug);
        return same;
}

/* True when the search is over: *s->found is set. A file that is missing, broken or another's is
 * passed over: the search goes on elsewhere. Takes `path` over. */
static bool consider(Search *s, char *path) {
        struct stat st;
        Error ignored = { 0 };

        if (!path)
                return false;
        if (stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
            !(s->self.st_ino && st.st_ino == s->self.st_ino && st.st_dev == s->self.st_dev) &&
            describes(s->image, path, &ignored) > 0) {
                s->found = path;
                return true;
        }
        free(path);
        return false;
}

static char *format(const char *f, ...) __attribute__((format(printf, 1, 2)));
static char *format(const char *f, ...) {
        va_list ap;
        char *p = NULL;

        va_start(ap, f);
        if (vasprintf(&p, f, ap) < 0)
                p = NULL;
        va_end(ap);
        return p;
}

static bool by_build_id(Search *s) {
        char hex[2 * BUILD_ID_MAX + 1];

        if (s->image->build_id.n < 2)
                return false;
        build_id_text(&s->image->build_id, hex);
        return consider(s, format("%s/usr/lib/debug/.build-id/%.2s/%s.debug", s->root, hex, hex + 2));
}

/* `directory` is absolute and within the root. */
static bool by_link_in(Search *s, const char *directory) {
        const char *link = s->image->debug_link;

        return consider(s, format("%s%s/%s", s->root, directory, link)) ||
               consider(s, format("%s%s/.debug/%s", s->root, directory, link)) ||
               consider(s, format("%s/usr/lib/debug%s/%s", s->root, directory, link));
}

static bool by_link(Search *s) {
        const char *link = s->image->debug_link, *path = s->image->path, *slash;
        _cleanup_(freep) char *directory = NULL, *real = NULL;
        size_t n = strlen(s->root);

        /* The name comes from the image: it may not lead elsewhere. */
        if (!link || !*link || strchr(link, '/') || strcmp(link, "..") == 0)
                return false;
        slash = strrchr(path, '/');
        if (!slash)
                return consider(s, strdup(link)) || consider(s, format(".debug/%s", link));
        directory = strndup(path, (size_t)(slash - path));
        if (!directory)
                return false;
        /* Beside the image, wherever that is; then where its place in the root says. */
        if (consider(s, format("%s/%s", directory, link)) ||
            consider(s, format("%s/.debug/%s", directory, link)))
                return true;
        real = realpath(*directory ? directory : "/", NULL);
        if (n && strncmp(directory, s->root, n) == 0)
                memmove(directory, directory + n, strlen(directory + n) + 1);
        if (*directory == '/' && by_link_in(s, directory))
                return true;
        return real && strncmp(real, s->root, n) == 0 && real[n] == '/' && by_link_in(s, real + n);
}

#if HAVE_DEBUGINFOD
/* Servers that keep silent cost minutes for each file (DEBUGINFOD_TIMEOUT, several tries): this program asks
 * no more when that happened once. */
static atomic_bool silent;

/* The library brings some thirty others along (an HTTP client, TLS, Kerberos, LDAP), so it is loaded by who
 * has servers to ask. Where it is not installed nothing is found. */
static int ask_servers(const BuildId *id, char **path) {
        void *library = dlopen(DEBUGINFOD_SONAME, RTLD_NOW | RTLD_LOCAL);
        __typeof__(&debuginfod_begin) begin = NULL;
        __typeof__(&debuginfod_find_debuginfo) find = NULL;
        __typeof__(&debuginfod_end) end = NULL;
        debuginfod_client *client;
        int fd;

        if (!library)
                return -ENOENT;
        *(void **)&begin = dlsym(library, "debuginfod_begin");
        *(void **)&find = dlsym(library, "debuginfod_find_debuginfo");
        *(void **)&end = dlsym(library, "debuginfod_end");
        client = begin && find && end ? begin() : NULL;
        if (!client)
                return -ENOENT;
        fd = find(client, id->bytes, (int)id->n, path);
        end(client);
        return fd; /* the library stays: what it brought along may have work to do at the end of the process
                    */
}

static bool by_debuginfod(Search *s) {
        const char *urls = getenv(DEBUGINFOD_URLS_ENV_VAR);
        char *path = NULL;
        int fd;

        if (!urls || !*urls || s->image->build_id.n == 0 || silent)
                return false;
        fd = ask_servers(&s->image->build_id, &path);
        if (fd == -ETIME)
                silent = true;
        if (fd < 0)
                return false;
        close(fd);
        return consider(s, path);
}
#else
static bool by_debuginfod(Search *s) {
        return false;
}
#endif

static int take_explicit(const Image *image, const char *path, char **out, Error *e) {
        int r = describes(image, path, e);

        if (r < 0)
                return r;
        if (r == 0)
                return error_set(e, -EINVAL, "%s: is not the debug information of %s: %s", path, image->path,
                                 image->build_id.n || image->debug_link ? "their build-ids differ"
                                                                        : "that has no build-id to compare");
        *out = strdup(path);
        return *out ? 0 : error_errno(e, -ENOMEM, "%s", path);
}

/* True when the file at the image's path is the one that was read. An image's path is for messages: it
 * may be a package's member, or have been replaced since. */
static bool is_own_file(const Image *image) {
        FileBytes file = { 0 };
        bool same;

        if (image->build_id.n)
                return describes(image, image->path, NULL) > 0;
        if (file_read(image->path, IMAGE_MAX_SIZE, &file, NULL) < 0)
                return false;
        same = file.size == image->file.size && memcmp(file.bytes, image->file.bytes, file.size) == 0;
        file_release(&file);
        return same;
}

int debug_find(const Image *image, const char *explicit_path, const char *root, char **path, Error *e) {
        Search s = { .image = image, .root = root ? root : "" };

        if (explicit_path)
                return take_explicit(image, explicit_path, path, e);
        if (image->has_debug_info && is_own_file(image)) {
                s.found = strdup(image->path);
                if (!s.found)
                        return error_errno(e, -ENOMEM, "%s", image->path);
        } else {
                if (stat(image->path, &s.self) < 0)
                        s.self.st_ino = 0;
                if (!by_build_id(&s) && !by_link(&s) && !by_debuginfod(&s))
                        return DEBUG_NONE;
        }
        *path = s.found;
        return 0;
}
