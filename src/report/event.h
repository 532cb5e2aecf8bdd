/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* What happened, in the form in which it is kept: docs/events.md. */

typedef enum EventKind {
#define EVENT(name, number, kind, priority, id, meaning) EVENT_##name,
#include "report/event.def"
#undef EVENT
        EVENT_N
} EventKind;

typedef struct EventType {
        unsigned number;        /* 19: installed, ... */
        const char *kind;       /* "patch-installed" */
        int priority;           /* syslog level */
        const char *message_id; /* 32 hex digits */
        const char *meaning;
} EventType;

const EventType *event_type(EventKind k);
/* By its kind ("patch-installed") or number ("19"); EVENT_N when there is none. */
EventKind event_find(const char *name);

/* A field's key is upper case with underscores, as the journal wants it: "STAUNCH_PATCH". A NULL value is
 * left out. One may be there several times, as STAUNCH_CVE is. */
#define EVENT_CVE "STAUNCH_CVE"
typedef struct EventField {
        const char *key, *value;
} EventField;

typedef struct Event {
        EventKind kind;
        uint64_t time_usec; /* CLOCK_REALTIME; 0: now */
        const char *message;
        const EventField *fields;
        size_t n;
} Event;

enum {
        EVENT_MAX = 16384, /* bytes as JSON */
        EVENT_CVES = 256,
        EVENT_FIELDS = 64 + EVENT_CVES,
};

/*
 * Where events go: the journal when there is one, else the file (one JSON object a line, appended in one
 * write, moved aside at EVENT_FILE_MAX). `file` NULL: the journal only.
 */
#define EVENT_FILE "/var/log/staunch/events.jsonl"
enum { EVENT_FILE_MAX = 16 << 20 };
int event_emit(const Event *event, const char *file, Error *e);
/*
 * Every event that this process and its forks emit is also sent to this SOCK_SEQPACKET socket, as event_json;
 * -1: to none. Nobody is waited for: what does not fit is lost there (not in the journal), which the log says
 * once a minute. The descriptor stays the caller's.
 */
void event_forward(int fd);
/* Every event that this process and its forks emit adds 1 to counts[kind] (EVENT_N of them, in memory that
 * the forks share). NULL: to none. It stays the caller's. */
void event_count(uint64_t *counts);
/* The JSON object of one line, malloc'ed; the CVEs are an array, all other fields strings: several values of
 * one field with a space between two. NULL: no memory. */
char *event_json(const Event *event);
