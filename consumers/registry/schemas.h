/*
 * The schemas of a registry, by number: those in memory, and the one that is
 * asked for.
 */

#ifndef SLUICE_SCHEMAS_H
#define SLUICE_SCHEMAS_H


#include "conf/conf.h"
#include "registry/avro_schema.h"


#define SCHEMAS_MOST    1000          /* in memory, and their bytes */
#define SCHEMAS_BYTES   (64 << 20)
#define SCHEMAS_TEXTS   64            /* of one schema, with those it names */
#define SCHEMAS_TYPE    24
#define SCHEMAS_REASON  768


typedef struct schemas_s  schemas_t;


typedef struct {
    uint32_t        id;
    uint64_t        used;                  /* larger: later */
    avro_schema_t  *schema;                /* NULL: it is no Avro, */
    char            type[SCHEMAS_TYPE];    /* but this */
    size_t          size;
} schema_t;


typedef struct {
    uint64_t     requests;
    uint64_t     failures;
    uint64_t     schemas;     /* in memory */
    bool         held;        /* a person has to mend something */
    int          status;      /* of the last answer, as HTTP has it; 0: none */
    uint64_t     turns;       /* of the reason, for who logs it */
    const char  *reason;      /* why a schema is waited for; "": it is not, or
                                 only just */
} schemas_figures_t;


/* As fetch_create(). */
schemas_t *schemas_create(const conf_t *conf, char *err);
void schemas_destroy(schemas_t *schemas);

/* One that is in memory, until the next schemas_poll(); or NULL. */
const schema_t *schemas_find(schemas_t *schemas, uint32_t id);

/*
 * Asks for a schema that is not in memory, instead of another one, until it
 * is.  A registry that is away, and a schema that it does not know, are asked
 * again and again.
 */
void schemas_want(schemas_t *schemas, uint32_t id);
void schemas_forget(schemas_t *schemas);
bool schemas_wanting(const schemas_t *schemas);

int schemas_fd(const schemas_t *schemas);
/* ms, monotonic, when schemas_poll() is due without an event; 0: never. */
int64_t schemas_deadline(const schemas_t *schemas);
void schemas_poll(schemas_t *schemas, int64_t now);

const schemas_figures_t *schemas_figures(const schemas_t *schemas);


#endif
