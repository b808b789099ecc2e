/* The daemon's configuration file. */

#ifndef SLUICE_CONF_H
#define SLUICE_CONF_H


#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "json.h"


#define CONF_ERROR_MAX  512


typedef enum {
    CONF_FROM_PATH = 0,
    CONF_FROM_TOPIC,
    CONF_FROM_PARTITION,
    CONF_FROM_OFFSET,
    CONF_FROM_TIMESTAMP,
    CONF_FROM_KEY,
    CONF_FROM_VALUE,
    CONF_FROM_IDENTITY      /* PostgreSQL's own; not part of the COPY */
} conf_from_t;


typedef enum {
    CONF_START_EARLIEST = 0,
    CONF_START_LATEST,
    CONF_START_TIME
} conf_start_t;


/* What is done about a column the table lacks. */
typedef enum {
    CONF_EVOLVE_HOLD = 0,
    CONF_EVOLVE_ADD
} conf_evolve_t;


typedef struct {
    char  *name;
    char  *value;
} conf_property_t;


typedef struct {
    char   **names;
    size_t   n;
} conf_names_t;


typedef struct {
    char            *name;
    unsigned         sources;      /* keys that say what fills it */
    conf_from_t      from;
    char            *path;         /* as written; NULL unless from a path */
    json_pointer_t  *pointer;
    char            *type;         /* as written; NULL: the table's own */
    char            *fallback;     /* for a missing value, as text; or NULL */
    bool             required;
} conf_column_t;


typedef struct {
    char             *file;
    char             *topic;
    char             *group;
    char             *postgres;           /* conninfo; may hold a secret */
    char             *table;              /* as written: the key of offsets */
    char             *table_schema;       /* NULL: found by search_path */
    char             *table_name;
    char             *start_text;
    conf_start_t      start;
    int64_t           start_time;         /* ms since 1970, CONF_START_TIME */

    unsigned          kafka_line;         /* of "kafka" in the file */
    unsigned          kafka_column;
    conf_property_t  *properties;         /* for librdkafka */
    size_t            nproperties;
    conf_column_t    *columns;
    size_t            ncolumns;

    int64_t           batch_rows;
    int64_t           batch_bytes;
    int64_t           batch_linger;       /* ms */
    int64_t           flush_timeout;      /* ms */
    double            hold_above;         /* share of the last 1,000 records */
    bool              create_table;
    conf_evolve_t     evolve;

    char             *listen;             /* NULL: no HTTP */
    char             *listen_host;
    uint16_t          listen_port;
} conf_t;


/*
 * Both return NULL with a text in "err" (CONF_ERROR_MAX bytes) that begins
 * with "file:line:column: "; it holds no value, so no secret.  Freed by
 * conf_free(), which takes NULL.
 */
conf_t *conf_read(const char *file, char *err);
conf_t *conf_parse(const char *file, const char *text, size_t len, char *err);
void conf_free(conf_t *conf);

/* Value of a librdkafka property as given, or NULL. */
const char *conf_property(const conf_t *conf, const char *name);


#endif
