/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * Serves metrics over HTTP on listening sockets: GET and HEAD of /metrics. What they are is asked of somebody
 * else (`ask`), and the client waits until scrape_answer(). 16 clients at once on each socket, 10 seconds
 * each without a word, 16 KiB of request.
 */
typedef struct Scrape Scrape;
typedef void ScrapeAsk(void *data, unsigned id, bool openmetrics);

enum { SCRAPE_SOCKETS = 2 };

Scrape *scrape_new(ScrapeAsk *ask, void *data);
/* Serves on the listening socket, which it takes over. The one in this place (0, 1) before is closed. */
int scrape_listen(Scrape *s, size_t place, int fd, Error *e);
/* Descriptors to wait for input on; returns how many. *timeout_msec is lowered to when scrape_run() is due.
 */
size_t scrape_fds(Scrape *s, int fds[SCRAPE_SOCKETS], int *timeout_msec);
void scrape_run(Scrape *s);
/* Copies the text. NULL: there are none to be had now. An id that is not known (any more) is no error. */
void scrape_answer(Scrape *s, unsigned id, const char *text, size_t size);

/* Does an Accept header prefer OpenMetrics to the classic text format? NULL: there was none. */
bool scrape_wants_openmetrics(const char *accept);
