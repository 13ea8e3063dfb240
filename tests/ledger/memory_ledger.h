/* SPDX-License-Identifier: MIT */
/* A log in memory in place of a database: for one thread, or with turns that take turns. */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "ledger/ledger.h"

struct memory_part {
    struct ledger_part part; /* its body is its own */
    struct memory_part *next;
};

/* What becomes of the next rows. */
enum memory_fault {
    FAULT_NONE,
    FAULT_LOST,    /* the connection is, and they are not there */
    FAULT_UNSAID,  /* the connection is, and they are there */
    FAULT_REFUSED, /* they are not there */
    FAULT_SLOW,    /* they are there, after so long that it is said */
};

struct memory_ledger {
    atomic_uint fault; /* an enum memory_fault */
    void (*slow)(void *context);
    void *slow_context;
    unsigned away;    /* so many times nobody can connect */
    unsigned refuses; /* so many times it refuses to look for a snapshot */
    unsigned hasty;   /* refusals after which nobody waited before the next */
    bool connected;
    struct ledger_row *rows;   /* their bodies are its own; NULL: removed */
    _Atomic uint64_t rows_len; /* counted when they are whole */
    uint64_t rows_max;
    _Atomic uint64_t first; /* the first that is not removed */
    struct memory_part *parts;
    int64_t now_us;
    atomic_uint fetches, waits; /* so far */
    /* Called once, as the next turn begins; NULL: nothing is. In that thread. */
    void (*_Atomic on_begin)(void);
};

extern const struct ledger_ops memory_ops;

void memory_ledger_init(struct memory_ledger *ledger, uint64_t rows_max);
void memory_ledger_release(struct memory_ledger *ledger);
