/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/passes.h"

#include <string.h>
#include <sys/syscall.h>

/* Functions that wait for events: what a server does most of its life. */

bool waits_for_events(const char *name) {
        static const char *const names[] = { "accept",
                                             "accept4",
                                             "epoll_wait",
                                             "epoll_pwait",
                                             "poll",
                                             "__poll_chk",
                                             "ppoll",
                                             "pause",
                                             "pselect",
                                             "select",
                                             "sigsuspend",
                                             "sigwait",
                                             "sigwaitinfo",
                                             "recvfrom",
                                             "recvmsg",
                                             "ev_run",
                                             "event_base_dispatch",
                                             "event_base_loop",
                                             "g_application_run",
                                             "g_main_loop_run",
                                             "sd_event_loop",
                                             "uv_run" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (strcmp(name, names[i]) == 0)
                        return true;
        return false;
}

/* The numbers of the system calls behind those, which an image that has the C library in it makes itself. */
static bool call_waits(uint32_t number) {
        static const uint16_t numbers[] = { SYS_accept,      SYS_accept4,       SYS_epoll_wait,
                                            SYS_epoll_pwait, SYS_epoll_pwait2,  SYS_poll,
                                            SYS_ppoll,       SYS_pause,         SYS_pselect6,
                                            SYS_select,      SYS_rt_sigsuspend, SYS_rt_sigtimedwait,
                                            SYS_recvfrom,    SYS_recvmsg };

        for (size_t i = 0; i < ELEMENTSOF(numbers); i++)
                if (number == numbers[i])
                        return true;
        return false;
}

/* Whether the part makes such a call: the number was put into eax a few instructions before. */
static bool part_waits(const Code *code, const CodePart *p) {
        enum { NEAR = 12 };
        const uint8_t *b = image_bytes(code->image, p->addr, p->size);
        uint32_t number = 0, loaded = 0;

        for (uint32_t i = 0; b && i < p->n_insns; i++) {
                const Insn *insn = &code->insns[p->insn + i];
                const uint8_t *at = b + (insn_addr(code, insn) - p->addr);

                if (insn->length == 5 && at[0] == 0xb8) {
                        memcpy(&number, at + 1, sizeof(number));
                        loaded = i;
                } else if (insn->length == 2 && at[0] == 0x0f && at[1] == 0x05 && number &&
                           i - loaded <= NEAR && call_waits(number)) {
                        return true;
                }
        }
        return false;
}

bool *functions_that_wait(const Code *code, Arena *arena) {
        bool *out = arena_newa(arena, bool, code->n_functions + 1), more = true;

        for (size_t i = 0; i < code->n_refs; i++) {
                const Ref *r = &code->refs[i];
                Place p = r->lea ? (Place){ 0 } : place_of(code, r->target);

                if (p.kind == PLACE_IMPORT && waits_for_events(p.name))
                        out[r->function] = true;
        }
        for (uint32_t i = 0; i < code->n_parts && !code->image->n_needed; i++)
                out[code->parts[i].function] |= part_waits(code, &code->parts[i]);
        while (more) {
                more = false;
                for (size_t i = 0; i < code->n_refs; i++) {
                        const Ref *r = &code->refs[i];

                        if (r->begins != NO_FUNCTION && !takes_address(r) && out[r->begins] &&
                            !out[r->function])
                                out[r->function] = more = true;
                }
        }
        return out;
}
