/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Asks services over HTTP and TCP, many at once, and tells how long each took: the part of staunch-net that
 * meets the network. Of an answer at most 1 MiB is read, and its first 64 KiB are searched.
 */
typedef struct Fetcher Fetcher;

typedef struct FetchRequest {
        unsigned id;
        bool tcp;           /* only connects (and reads what it is told first, when something is expected) */
        const char *url;    /* "http://HOST:PORT" for TCP */
        const char *expect; /* as Probe's; NULL: any success */
        uint64_t timeout_usec;
        bool verify_tls;
} FetchRequest;

/* `done` is called once for each request that was begun; `failed` NULL: it went well, in `usec`. */
typedef void FetchDone(void *data, unsigned id, uint64_t usec, const char *failed);

int fetcher_new(FetchDone *done, void *data, Fetcher **out, Error *e);
/* Copies what it needs. A request that can't be begun is done at once. */
void fetch_begin(Fetcher *f, const FetchRequest *request);
/* Waits for the network, for one of `extra`, or for `timeout_msec`; goes on with what can go on. */
int fetch_wait(Fetcher *f, struct curl_waitfd *extra, unsigned n, int timeout_msec, Error *e);
