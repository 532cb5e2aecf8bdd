/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/values.h"

#include <string.h>

#define A0 1
#define A1 2
#define A2 4
#define A3 8

/* Sorted by name (known_find searches it in halves; a unit test checks the order). */
static const Known known[] = {
        { "BIO_read", A2, 1, 0, 0 },
        { "BIO_write", A2, 1, 0, 0 },
        { "CRYPTO_clear_free", A1, 0, 0, KNOWN_FREE },
        { "CRYPTO_clear_realloc", A1 | A2, 0, 0, KNOWN_SAME },
        { "CRYPTO_malloc", A0, -1, 0, KNOWN_FRESH },
        { "CRYPTO_malloc_array", A0 | A1, -1, 0, KNOWN_FRESH },
        { "CRYPTO_memcmp", A2, 0, A0 | A1, KNOWN_COMPARE },
        { "CRYPTO_memdup", A1, 0, A0, KNOWN_FRESH },
        { "CRYPTO_realloc", A1, -1, 0, KNOWN_SAME },
        { "CRYPTO_secure_clear_free", A1, 0, 0, KNOWN_FREE },
        { "CRYPTO_secure_malloc", A0, -1, 0, KNOWN_FRESH },
        { "CRYPTO_secure_zalloc", A0, -1, 0, KNOWN_FRESH },
        { "CRYPTO_strdup", 0, -1, A0, KNOWN_FRESH },
        { "CRYPTO_zalloc", A0, -1, 0, KNOWN_FRESH },
        { "OPENSSL_cleanse", A1, 0, A0, 0 },
        { "_Unwind_Resume", 0, -1, 0, KNOWN_NORETURN },
        { "_ZSt17__throw_bad_allocv", 0, -1, 0, KNOWN_NORETURN },
        { "_ZSt19__throw_logic_errorPKc", 0, -1, 0, KNOWN_NORETURN },
        { "_ZSt20__throw_length_errorPKc", 0, -1, 0, KNOWN_NORETURN },
        { "_ZSt20__throw_out_of_rangePKc", 0, -1, 0, KNOWN_NORETURN },
        { "_ZSt24__throw_out_of_range_fmtPKcz", 0, -1, 0, KNOWN_NORETURN },
        { "_ZSt25__throw_bad_function_callv", 0, -1, 0, KNOWN_NORETURN },
        { "_ZSt9terminatev", 0, -1, 0, KNOWN_NORETURN },
        { "_ZdaPvm", A1, 0, 0, KNOWN_FREE },
        { "_ZdlPvm", A1, 0, 0, KNOWN_FREE },
        { "_ZdlPvmSt11align_val_t", A1, 0, 0, KNOWN_FREE },
        { "_Znam", A0, -1, 0, KNOWN_FRESH },
        { "_ZnamRKSt9nothrow_t", A0, -1, 0, KNOWN_FRESH },
        { "_Znwm", A0, -1, 0, KNOWN_FRESH },
        { "_ZnwmRKSt9nothrow_t", A0, -1, 0, KNOWN_FRESH },
        { "_ZnwmSt11align_val_t", A0, -1, 0, KNOWN_FRESH },
        { "__assert_fail", 0, -1, 0, KNOWN_NORETURN },
        { "__cxa_allocate_exception", A0, -1, 0, KNOWN_FRESH },
        { "__cxa_bad_cast", 0, -1, 0, KNOWN_NORETURN },
        { "__cxa_rethrow", 0, -1, 0, KNOWN_NORETURN },
        { "__cxa_throw", 0, -1, 0, KNOWN_NORETURN },
        { "__cxa_throw_bad_array_new_length", 0, -1, 0, KNOWN_NORETURN },
        { "__errno_location", 0, -1, 0, KNOWN_NOARGS },
        { "__explicit_bzero_chk", A1, 0, A0, 0 },
        { "__fread_chk", A1 | A2, 0, 0, 0 },
        { "__longjmp_chk", 0, -1, 0, KNOWN_NORETURN },
        { "__memcpy_chk", A2 | A3, 0, A0 | A1, KNOWN_SAME },
        { "__memmove_chk", A2 | A3, 0, A0 | A1, KNOWN_SAME },
        { "__memset_chk", A2 | A3, 0, A0, KNOWN_SAME },
        { "__read_chk", A2 | A3, 1, 0, 0 },
        { "__recv_chk", A2 | A3, 1, 0, 0 },
        { "__snprintf_chk", A1 | A3, 0, A0, 0 },
        { "__sprintf_chk", A2, 0, A0, 0 },
        { "__stack_chk_fail", 0, -1, 0, KNOWN_NORETURN },
        { "__strcat_chk", A2, 0, A0 | A1, KNOWN_SAME },
        { "__strcpy_chk", A2, 0, A0 | A1, KNOWN_SAME },
        { "__strdup", 0, -1, A0, KNOWN_FRESH },
        { "__strncat_chk", A2 | A3, 0, A0 | A1, KNOWN_SAME },
        { "__strncpy_chk", A2 | A3, 0, A0 | A1, KNOWN_SAME },
        { "__vsnprintf_chk", A1 | A3, 0, A0, 0 },
        { "_exit", 0, -1, 0, KNOWN_NORETURN },
        { "abort", 0, -1, 0, KNOWN_NORETURN },
        { "aligned_alloc", A0 | A1, -1, 0, KNOWN_FRESH },
        { "apr_palloc", A1, -1, 0, KNOWN_FRESH },
        { "apr_pcalloc", A1, -1, 0, KNOWN_FRESH },
        { "apr_pmemdup", A2, 1, A1, KNOWN_FRESH },
        { "bcmp", A2, 0, A0 | A1, KNOWN_COMPARE },
        { "bcopy", A2, 1, A0 | A1, 0 },
        { "bzero", A1, 0, A0, 0 },
        { "calloc", A0 | A1, -1, 0, KNOWN_FRESH },
        { "exit", 0, -1, 0, KNOWN_NORETURN },
        { "explicit_bzero", A1, 0, A0, 0 },
        { "fgets", A1, 0, A0, KNOWN_SAME },
        { "fread", A1 | A2, 0, A0, 0 },
        { "fwrite", A1 | A2, 0, A0, 0 },
        { "g_malloc", A0, -1, 0, KNOWN_FRESH },
        { "g_malloc0", A0, -1, 0, KNOWN_FRESH },
        { "g_malloc0_n", A0 | A1, -1, 0, KNOWN_FRESH },
        { "g_malloc_n", A0 | A1, -1, 0, KNOWN_FRESH },
        { "g_memdup", A1, 0, A0, KNOWN_FRESH },
        { "g_realloc", A1, -1, 0, KNOWN_SAME },
        { "g_realloc_n", A1 | A2, -1, 0, KNOWN_SAME },
        { "g_slice_alloc", A0, -1, 0, KNOWN_FRESH },
        { "g_slice_alloc0", A0, -1, 0, KNOWN_FRESH },
        { "g_slice_free1", A0, 1, 0, KNOWN_FREE },
        { "g_strdup", 0, -1, A0, KNOWN_FRESH },
        { "g_try_malloc", A0, -1, 0, KNOWN_FRESH },
        { "g_try_malloc0", A0, -1, 0, KNOWN_FRESH },
        { "getcwd", A1, 0, A0, 0 },
        { "inet_ntop", A3, 2, 0, 0 },
        { "je_calloc", A0 | A1, -1, 0, KNOWN_FRESH },
        { "je_malloc", A0, -1, 0, KNOWN_FRESH },
        { "je_realloc", A1, -1, 0, KNOWN_SAME },
        { "longjmp", 0, -1, 0, KNOWN_NORETURN },
        { "malloc", A0, -1, 0, KNOWN_FRESH },
        { "memalign", A0 | A1, -1, 0, KNOWN_FRESH },
        { "memchr", A2, 0, A0, 0 },
        { "memcmp", A2, 0, A0 | A1, KNOWN_COMPARE },
        { "memcpy", A2, 0, A0 | A1, KNOWN_SAME },
        { "memmem", 0, 0, A0 | A2, 0 },
        { "memmove", A2, 0, A0 | A1, KNOWN_SAME },
        { "mempcpy", A2, 0, A0 | A1, 0 },
        { "memrchr", A2, 0, A0, 0 },
        { "memset", A2, 0, A0, KNOWN_SAME },
        { "mmap", A1, -1, 0, 0 },
        { "mmap64", A1, -1, 0, 0 },
        { "munmap", A1, 0, 0, 0 },
        { "ngx_alloc", A0, -1, 0, KNOWN_FRESH },
        { "ngx_array_create", A2, -1, 0, KNOWN_FRESH },
        { "ngx_array_init", A3, -1, 0, 0 },
        { "ngx_calloc", A0, -1, 0, KNOWN_FRESH },
        { "ngx_list_create", A2, -1, 0, KNOWN_FRESH },
        { "ngx_palloc", A1, -1, 0, KNOWN_FRESH },
        { "ngx_pcalloc", A1, -1, 0, KNOWN_FRESH },
        { "ngx_pnalloc", A1, -1, 0, KNOWN_FRESH },
        { "posix_memalign", A1 | A2, 0, 0, 0 },
        { "pread", A2, 1, A1, 0 },
        { "pwrite", A2, 1, A1, 0 },
        { "qsort", A1 | A2, 0, 0, 0 },
        { "rawmemchr", 0, -1, A0, 0 },
        { "read", A2, 1, A1, 0 },
        { "realloc", A1, -1, 0, KNOWN_SAME },
        { "reallocarray", A1 | A2, -1, 0, KNOWN_SAME },
        { "recv", A2, 1, A1, 0 },
        { "recvfrom", A2, 1, A1, 0 },
        { "send", A2, 1, A1, 0 },
        { "sendto", A2, 1, A1, 0 },
        { "siglongjmp", 0, -1, 0, KNOWN_NORETURN },
        { "snprintf", A1, 0, A0, 0 },
        { "sprintf", 0, 0, A0, 0 },
        { "stpcpy", 0, 0, A0 | A1, 0 },
        { "strcasecmp", 0, 0, A0 | A1, 0 },
        { "strcat", 0, 0, A0 | A1, KNOWN_SAME },
        { "strchr", 0, 0, A0, 0 },
        { "strchrnul", 0, 0, A0, 0 },
        { "strcmp", 0, 0, A0 | A1, 0 },
        { "strcpy", 0, 0, A0 | A1, KNOWN_SAME },
        { "strcspn", 0, 0, A0 | A1, 0 },
        { "strdup", 0, -1, A0, KNOWN_FRESH },
        { "strlcat", A2, 0, A0 | A1, 0 },
        { "strlcpy", A2, 0, A0 | A1, 0 },
        { "strlen", 0, 0, A0, 0 },
        { "strncasecmp", A2, 0, A0 | A1, KNOWN_COMPARE },
        { "strncat", A2, 0, A0 | A1, KNOWN_SAME },
        { "strncmp", A2, 0, A0 | A1, KNOWN_COMPARE },
        { "strncpy", A2, 0, A0 | A1, KNOWN_SAME },
        { "strndup", 0, -1, A0, KNOWN_FRESH },
        { "strnlen", A1, 0, A0, 0 },
        { "strpbrk", 0, 0, A0 | A1, 0 },
        { "strrchr", 0, 0, A0, 0 },
        { "strspn", 0, 0, A0 | A1, 0 },
        { "strstr", 0, 0, A0 | A1, 0 },
        { "strtol", 0, 0, A0, 0 },
        { "strtoul", 0, 0, A0, 0 },
        { "valloc", A0, -1, 0, KNOWN_FRESH },
        { "vsnprintf", A1, 0, A0, 0 },
        { "write", A2, 1, A1, 0 },
        { "xcalloc", A0 | A1, -1, 0, KNOWN_FRESH },
        { "xmalloc", A0, -1, 0, KNOWN_FRESH },
        { "xrealloc", A1, -1, 0, KNOWN_SAME },
        { "xstrdup", 0, -1, A0, KNOWN_FRESH },
        { "zcalloc", A0, -1, 0, KNOWN_FRESH },
        { "zmalloc", A0, -1, 0, KNOWN_FRESH },
        { "zrealloc", A1, -1, 0, KNOWN_SAME },
};

const Known *known_find(const char *name) {
        size_t lo = 0, hi = ELEMENTSOF(known);

        while (lo < hi) {
                size_t mid = (lo + hi) / 2;
                int c = strcmp(name, known[mid].name);

                if (c == 0)
                        return &known[mid];
                if (c < 0)
                        hi = mid;
                else
                        lo = mid + 1;
        }
        return NULL;
}

size_t known_count(void) {
        return ELEMENTSOF(known);
}

const Known *known_at(size_t i) {
        return &known[i];
}
