/* SPDX-License-Identifier: Apache-2.0 */
/* A stand-in for libgcc_s.so.1, of which a test lets a victim have two. */
#include <unistd.h>

int registered;
volatile int hangs;
static void *object_of;

void __register_frame_info(const void *begin, void *object);
void *__deregister_frame_info(const void *begin);

void __register_frame_info(const void *begin, void *object) {
        (void)begin;
        while (hangs)
                pause();
        object_of = object;
        registered++;
}

void *__deregister_frame_info(const void *begin) {
        (void)begin;
        registered--;
        return object_of;
}
