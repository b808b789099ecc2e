/* The JSON of a Kafka Connect sink connector: its keys and their fate. */

#ifndef SLUICE_CONNECTOR_H
#define SLUICE_CONNECTOR_H


#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "json/json.h"


/* The JDBC sinks, as bits. */
#define CONNECTOR_CONFLUENT  1
#define CONNECTOR_AIVEN      2
#define CONNECTOR_DEBEZIUM   4

#define CONNECTOR_NAME  512    /* bytes of a table's or a key's name */


/* Both live as long as the connector. */
typedef struct {
    char  *name;
    char  *value;    /* its text */
} connector_pair_t;


typedef struct {
    const char        *file;      /* its name, for messages */
    unsigned           sink;
    const char        *quoting;   /* the key that says whether names are
                                     quoted */
    bool               folds;     /* they are not: PostgreSQL makes them lower
                                     case */
    connector_pair_t  *pairs;
    size_t             n;
    char              *texts;     /* of the pairs */
} connector_t;


/*
 * Takes the keys of a parsed text, with or without "config" around them, and
 * names those on standard error that have no counterpart.  Returns 0, or -1
 * after an error line.  connector_free() is due in either case.
 */
int connector_read(connector_t *cn, const char *file, const char *text,
    const json_doc_t *doc);
void connector_free(connector_t *cn);

/* A key's value, or NULL: also for one that Connect would look up. */
const char *connector_get(const connector_t *cn, const char *name);

/* Whether the key is "true". */
bool connector_is_on(const connector_t *cn, const char *name);

/* A line on standard error: the key has no part in the configuration. */
void connector_note(const char *name, const char *why);

/* An error line that names the key.  Returns -1. */
int connector_refuse(const connector_t *cn, const char *name,
    const char *why);

/*
 * The next item of a list with commas, without spaces around it; "*s" moves
 * behind it.  Returns its length, or 0 behind the last.
 */
size_t connector_item(const char **s, const char **item);

/* Appends the name of a table or a column, as PostgreSQL has it. */
void connector_name(const connector_t *cn, buf_t *out, const char *s,
    size_t len);

/* Appends "s" as a JSON string. */
void connector_string(buf_t *out, const char *s, size_t len);

/*
 * Appends what libpq needs to reach the database: a conninfo string.  Names
 * what is left out.  Returns 0, or -1 after an error line.
 */
int connector_conninfo(const connector_t *cn, buf_t *out);

/* Appends ",", "format", "registry" and ",".  Returns 0, or -1. */
int connector_format(const connector_t *cn, buf_t *out);

/* Names each key of each transform, but those that "format" stands for. */
void connector_transforms(const connector_t *cn);

/* Appends the whole configuration.  Returns 0, or -1 after an error line. */
int connector_conf(const connector_t *cn, const char *name, buf_t *out);


#endif
