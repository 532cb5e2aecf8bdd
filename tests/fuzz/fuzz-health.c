/* SPDX-License-Identifier: Apache-2.0 */
/* What is read for health and metrics: figures of control groups and processes, addresses, an Accept header.
 */
#include "agent/scrape.h"
#include "verify/figures.h"
#include "verify/probe.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct sockaddr_storage address;
        char *text = malloc(size + 1), host[64];
        socklen_t length;
        uint16_t port;
        double value;
        Usage u;

        if (!text)
                abort();
        memcpy(text, data, size);
        text[size] = 0;
        if (figures_parse_cpu(text, &value) && value < 0)
                abort();
        if (figures_parse_memory(text, &value) && value < 0)
                abort();
        if (figures_parse_process(text, &u) && (u.cpu_sec < 0 || strlen(u.subject) >= sizeof(u.subject)))
                abort();
        if (probe_address(text, host, sizeof(host), &port) &&
            (!*host || strlen(host) >= sizeof(host) || !port))
                abort();
        if (probe_loopback(text, &address, &length) && length > sizeof(address))
                abort();
        if (probe_status(text) > 599 || (probe_is_url(text) && strlen(text) > 2048))
                abort();
        scrape_wants_openmetrics(text);
        free(text);
        return 0;
}
