/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of the control socket, which sends the input in pieces: the first byte says how large they are.
 * However it goes on, the client gets at most one line, which is JSON, and its place is free again.
 */
#include "agent/control.h"
#include "base/macro.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static char folder[] = "/tmp/staunch-fuzz-control-XXXXXX", path[64];
static sd_event *loop;
static Control *control;

static json_t *ask(void *data, const char *op, bool *wait) {
        (void)data;
        if (strcmp(op, "status") == 0)
                return json_pack("{s:b}", "ok", 1);
        *wait = strcmp(op, "converge") == 0;
        return NULL;
}

static void waits(void *data) {
        (void)data;
}

static void end(void) {
        control_close(control);
        sd_event_unref(loop);
        rmdir(folder);
}

static void begin(void) {
        Error e = { 0 };

        if (!mkdtemp(folder) || sd_event_new(&loop) < 0)
                __builtin_trap();
        snprintf(path, sizeof(path), "%s/control", folder);
        if (control_open(path, loop, ask, waits, NULL, &control, &e) < 0)
                __builtin_trap();
        atexit(end);
}

static void turn(void) {
        while (sd_event_run(loop, 0) > 0)
                ;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        char answer[8192];
        size_t piece;
        ssize_t n;

        if (!control)
                begin();
        if (!size)
                return 0;
        memcpy(address.sun_path, path, strlen(path) + 1);
        if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                __builtin_trap();
        turn();
        piece = bytes[0] ? (size_t)bytes[0] * 64 : 1;
        for (size_t at = 1; at < size; at += piece) {
                if (send(fd, bytes + at, MIN(piece, size - at), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                        break;
                turn();
        }
        if (control_waits(control)) {
                control_job_begins(control);
                control_job_ended(control, 0);
        }
        n = recv(fd, answer, sizeof(answer), MSG_DONTWAIT);
        if (n > 0) {
                json_t *j = json_loadb(answer, (size_t)n - 1, 0, NULL);

                if (answer[n - 1] != '\n' || !json_is_object(j))
                        __builtin_trap();
                json_decref(j);
        }
        shutdown(fd, SHUT_RDWR);
        turn();
        if (control_waits(control))
                __builtin_trap();
        return 0;
}
