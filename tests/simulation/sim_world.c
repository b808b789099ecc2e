/*
 * In place of what the daemon asks of its machine: a clock of this world,
 * descriptors, chance, silence; and a table that is always ready.
 */

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "postgres/catalog.h"
#include "sim.h"


int64_t __wrap_clock_ms(void);
void __wrap_log_line(log_level_t level, int err, const char *fmt, ...);
void __wrap_log_limited(log_limit_t *limit, const char *fmt, ...);
long __wrap_random(void);
int __wrap_eventfd(unsigned count, int flags);
ssize_t __wrap_read(int fd, void *buf, size_t size);
ssize_t __wrap_write(int fd, const void *buf, size_t size);
int __wrap_close(int fd);


int64_t
__wrap_clock_ms(void)
{
    return sim.now;
}


long
__wrap_random(void)
{
    return sim_random(1 << 30);
}


/* The only descriptors there are: one eventfd a daemon, by its number. */

int
__wrap_eventfd(unsigned count, int flags)
{
    sim_member->signalled = false;

    return (int) (sim_member - sim.members);
}


ssize_t
__wrap_read(int fd, void *buf, size_t size)
{
    if (!sim.members[fd].signalled) {
        return -1;
    }

    sim.members[fd].signalled = false;

    return (ssize_t) size;
}


ssize_t
__wrap_write(int fd, const void *buf, size_t size)
{
    sim.members[fd].signalled = true;

    return (ssize_t) size;
}


int
__wrap_close(int fd)
{
    return 0;
}


static void
sim_log(const char *fmt, va_list args)
{
    if (sim.verbose) {
        printf("%8" PRId64 "   %td: ", sim.now, sim_member - sim.members);
        vprintf(fmt, args);
        putchar('\n');
    }
}


void
__wrap_log_line(log_level_t level, int err, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    sim_log(fmt, args);
    va_end(args);
}


void
__wrap_log_limited(log_limit_t *limit, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    sim_log(fmt, args);
    va_end(args);
}


/* What the daemon asks of its table, and of backends in its way. */

struct catalog_s {
    target_t          target;
    outcome_pt        done;
    void             *data;
    bool              news;    /* a record has a new field */
};


/* Of no type that tuples are made for: sim_copy() reads lines. */

catalog_t *
catalog_create(const conf_t *conf)
{
    catalog_t  *catalog;

    static const char  *types[] = { "bigint", "text", "integer", "bigint" };
    static const char  *table_types[sizeof(types) / sizeof(types[0])];
    static uint32_t     oids[sizeof(types) / sizeof(types[0])];
    static const char  *receives[sizeof(types) / sizeof(types[0])];
    static uint32_t     elements[sizeof(types) / sizeof(types[0])];
    static const char  *bases[sizeof(types) / sizeof(types[0])];
    static const char  *defaults[sizeof(types) / sizeof(types[0])];

    catalog = calloc(1, sizeof(catalog_t));
    if (catalog) {
        target_init(&catalog->target, conf);
        catalog->target.name = conf->table;
        catalog->target.ncolumns = conf->ncolumns;
        catalog->target.types = types;
        catalog->target.table_types = table_types;
        catalog->target.oids = oids;
        catalog->target.receives = receives;
        catalog->target.elements = elements;
        catalog->target.bases = bases;
        catalog->target.defaults = defaults;
    }

    return catalog;
}


void
catalog_destroy(catalog_t *catalog)
{
    free(catalog);
}


static void
sim_on_catalog(void *data, const pg_reply_t *reply)
{
    outcome_t   outcome;
    catalog_t  *catalog = data;

    sqlstate_outcome(&outcome, reply, "could not read the catalogue");
    catalog->done(catalog->data, &outcome);
}


void
catalog_prepare(catalog_t *catalog, pg_t *pg, outcome_pt done,
    void *data)
{
    catalog->done = done;
    catalog->data = data;
    catalog->news = sim_random(8) == 0;
    pg_query(pg, "sim catalogue", NULL, sim_on_catalog, catalog);
}


const target_t *
catalog_target(const catalog_t *catalog)
{
    return &catalog->target;
}


void
catalog_add_news(void *data, const char *name, size_t len, json_type_t type)
{
    catalog_t  *catalog = data;

    (void) name;
    (void) len;
    (void) type;

    catalog->news = true;
}


size_t
catalog_news(const catalog_t *catalog)
{
    return catalog->news;
}


/* A daemon here has no backend that blocks it. */

unblock_t *
unblock_create(const conf_t *conf, offsets_t *offsets, const char *name)
{
    return NULL;
}


void
unblock_destroy(unblock_t *unblock)
{
}


uint64_t
unblock_count(const unblock_t *unblock)
{
    return 0;
}
