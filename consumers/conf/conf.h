/*
 * The daemon's configuration file.
 *
 * Room: the file becomes conf_t, which nobody changes after.
 */

#ifndef SLUICE_CONF_H
#define SLUICE_CONF_H


#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "json/json.h"
#include "json/json_number.h"


#define CONF_ERROR_MAX  512


typedef enum {
    CONF_FROM_PATH = 0,
    CONF_FROM_TOPIC,
    CONF_FROM_PARTITION,
    CONF_FROM_OFFSET,
    CONF_FROM_TIMESTAMP,
    CONF_FROM_KEY,
    CONF_FROM_VALUE,
    CONF_FROM_HEADERS,      /* all of them */
    CONF_FROM_ELEMENT,      /* its number among those of "each" */
    CONF_FROM_IDENTITY,     /* PostgreSQL's own; not part of the COPY */
    CONF_FROM_HEADER,
    CONF_FROM_CONSTANT,
    CONF_FROM_REST,         /* the members no other column's path begins with */
    CONF_FROM_KEY_FIELD     /* a field of the record's key */
} conf_from_t;


/* What a record's value is. */
typedef enum {
    CONF_FORMAT_JSON = 0,
    CONF_FORMAT_TEXT,
    CONF_FORMAT_BYTES,
    CONF_FORMAT_CLOUDEVENTS,
    CONF_FORMAT_DEBEZIUM
} conf_format_t;


/* What is behind the frame of a schema registry. */
typedef enum {
    CONF_FRAME_PLAIN = 0,   /* there is no frame */
    CONF_FRAME_JSON,
    CONF_FRAME_AVRO
} conf_frame_t;


/* Whether a key or value without its frame is bad. */
typedef enum {
    CONF_FRAME_REQUIRED = 0,
    CONF_FRAME_OPTIONAL     /* it is taken as it is */
} conf_framed_t;


/* What happens to a zero byte, which no text can hold. */
typedef enum {
    CONF_NUL_REJECT = 0,
    CONF_NUL_STRIP,
    CONF_NUL_REPLACE        /* by U+FFFD */
} conf_nul_t;


/* What a column takes if its field is missing or null. */
typedef enum {
    CONF_ON_UNSET = 0,      /* by "required" and "default" */
    CONF_ON_NULL,
    CONF_ON_DEFAULT,
    CONF_ON_REJECT,
    CONF_ON_KEEP,           /* what the row has; in a new row the default */
    CONF_ON_JSON            /* JSON's null */
} conf_on_t;


/* Where a column's path begins, with "each". */
typedef enum {
    CONF_ROOT_UNSET = 0,    /* the element */
    CONF_ROOT_ELEMENT,
    CONF_ROOT_RECORD
} conf_root_t;


/* Of a number that is a time. */
typedef enum {
    CONF_UNIT_NONE = 0,
    CONF_UNIT_S,
    CONF_UNIT_MS,
    CONF_UNIT_US,
    CONF_UNIT_NS,
    CONF_UNIT_DAYS
} conf_epoch_t;


/* How a string holds a value that is no text. */
typedef enum {
    CONF_ENCODING_NONE = 0,
    CONF_ENCODING_BASE64,
    CONF_ENCODING_HEX,
    CONF_ENCODING_DECIMAL,  /* base64 of a number in two's complement */
    CONF_ENCODING_BITS,     /* base64 of bits, the last ones first */
    CONF_ENCODING_JSON
} conf_encoding_t;


typedef enum {
    CONF_TRIM = 0,
    CONF_LOWER,
    CONF_UPPER,
    CONF_SHA256,
    CONF_MASK,
    CONF_CAST
} conf_transform_kind_t;


typedef struct {
    conf_transform_kind_t  kind;
    size_t                 keep;      /* characters CONF_MASK leaves */
} conf_transform_t;


/* A value that "where" compares with. */
typedef struct {
    json_type_t     type;
    const char     *text;      /* of a string, decoded */
    size_t          len;
    json_number_t   number;    /* JSON_NUMBER */
} conf_value_t;


typedef struct conf_where_s  conf_where_t;

/* The condition "where", on a field or a header, or of other conditions. */
struct conf_where_s {
    json_pointer_t  *pointer;
    uint32_t         field;       /* the "pointer"'s number among those of the
                                     whole condition */
    char            *header;
    conf_value_t    *values;      /* the field is one of these */
    size_t           nvalues;     /* 0: "exists" decides */
    bool             exists;
    conf_where_t    *parts;       /* without "pointer" and "header"; NULL:
                                     every record is taken */
    size_t           nparts;
    bool             any;         /* of "parts" one has to hold, not all */
};


typedef enum {
    CONF_START_EARLIEST = 0,
    CONF_START_LATEST,
    CONF_START_TIME
} conf_start_t;


/* What the daemon does about a column that the table lacks. */
typedef enum {
    CONF_EVOLVE_HOLD = 0,
    CONF_EVOLVE_ADD
} conf_evolve_t;


/* How much time a partition of the table has. */
typedef enum {
    CONF_PERIOD_NONE = 0,   /* the daemon makes no partitions */
    CONF_PERIOD_HOUR,
    CONF_PERIOD_DAY,
    CONF_PERIOD_WEEK,       /* from Monday on */
    CONF_PERIOD_MONTH
} conf_period_t;


/* What becomes of a row that no partition takes or may be made for. */
typedef enum {
    CONF_OUTSIDE_HOLD = 0,
    CONF_OUTSIDE_DEAD
} conf_outside_t;


/* What happens if a row with the same key exists. */
typedef enum {
    CONF_MODE_APPEND = 0,
    CONF_MODE_IGNORE,
    CONF_MODE_UPSERT,
    CONF_MODE_UPSERT_DELETE,
    CONF_MODE_UPDATE        /* nothing is added */
} conf_mode_t;


/* What becomes of a record of CONF_MODE_UPDATE without a row. */
typedef enum {
    CONF_ABSENT_FILTER = 0,
    CONF_ABSENT_DEAD
} conf_absent_t;


/* What is kept of a dead letter. */
typedef enum {
    CONF_STORE_ALL = 0,
    CONF_STORE_REASON       /* no key, headers and value */
} conf_store_t;


typedef struct {
    char  *name;
    char  *value;
    char  *file;      /* that the value was read from, or NULL */
} conf_property_t;


typedef struct {
    char   **names;
    size_t   n;
} conf_names_t;


typedef struct {
    char            *name;
    uint32_t         token;        /* while the file is read */
    conf_from_t      from;
    char            *path;         /* as written; NULL unless from a path */
    json_pointer_t  *pointer;
    json_pointer_t  *key;          /* NULL unless from a field of the key */
    char            *header;       /* its name; NULL unless from a header */
    char            *constant;     /* JSON; NULL unless from a constant */
    char            *type;         /* as written; NULL: the table's own */
    char            *fallback;     /* "default" as JSON, or NULL */
    bool             required;
    conf_on_t        on_missing;
    conf_on_t        on_null;
    conf_root_t      root;
    conf_epoch_t     unit;
    conf_encoding_t  encoding;
    size_t           ntransforms;
    conf_transform_t *transforms;
} conf_column_t;


typedef struct conf_s  conf_t;


/* What happens to a record without a table in "route". */
typedef enum {
    CONF_ROUTE_DEAD = 0,
    CONF_ROUTE_FILTER,
    CONF_ROUTE_TABLE
} conf_route_default_t;


/* A value of the routing field, and its table. */
typedef struct {
    char      *value;
    char      *alias;      /* another value that has the same table; or NULL */
    conf_t    *conf;       /* the alias's, or its own */
    uint16_t   target;     /* in "targets" */
    uint32_t   token;      /* while the file is read */
} conf_route_t;


/* A topic of "topics". */
typedef struct {
    char         *name;
    char         *table_schema;  /* as it is written in "topics", or NULL */
    char         *table_name;
    char         *table;
    const conf_t *conf;          /* as if the daemon read this topic alone */
    uint16_t      target;        /* in "targets", unless "route" chooses */
} conf_topic_t;


/*
 * The fields before "file" are a table's own; the others are the same in each
 * table of "route".
 */
struct conf_s {
    char             *table;              /* the key of offsets, for people:
                                             as written, or as in SQL */
    char             *table_schema;       /* NULL: found by search_path */
    char             *table_name;         /* NULL: "route" knows them all */
    bool              create_table;
    bool              override_identity;  /* GENERATED ALWAYS is filled too */
    conf_evolve_t     evolve;
    char             *evolve_type;        /* of columns that are added to those
                                             of "auto"; NULL: by the value */
    int64_t           evolve_columns;     /* of the table, at most */
    conf_period_t     partition_by;
    int64_t           partition_ahead;    /* partitions that come, */
    int64_t           partition_behind;   /* and before the current one */
    char             *partition_column;   /* NULL: the one that the table has */
    conf_outside_t    partition_outside;
    conf_mode_t       mode;
    conf_names_t      key;                /* columns; none for append */
    conf_on_t         on_missing;         /* of columns that do not say */
    conf_absent_t     absent;
    json_pointer_t   *each;               /* the array whose elements become
                                             rows; NULL: the record does */
    char             *newer;              /* column; NULL: the last wins */
    conf_column_t    *columns;
    size_t            ncolumns;
    bool              columns_auto;       /* they are the table's */
    char             *rest;               /* column of the other members */

    conf_route_t     *routes;             /* by value, sorted; not a table's */
    size_t            nroutes;
    const conf_t    **targets;            /* the tables; without "route" this
                                             one; not a table's */
    size_t            ntargets;

    char             *file;
    char             *topic;              /* with "topics": they, as text */
    char             *daemon_topic;       /* as text, of the whole daemon's */
    bool              several;            /* "topics" is given */
    bool              by_topic;           /* each topic has its own table */
    char             *topics_pattern;     /* NULL: they are listed */
    conf_topic_t     *topics;             /* by name, sorted */
    size_t            ntopics;            /* of a pattern: 0 before
                                             conf_choose() */
    conf_names_t      tables;             /* those that topics may name */
    char             *topics_left;        /* which are not read, and why; or
                                             NULL */
    char             *group;
    char             *postgres;           /* conninfo; may hold a secret */
    char             *postgres_file;      /* that it was read from, or NULL */
    char             *start_text;
    conf_start_t      start;
    int64_t           start_time;         /* ms since 1970, CONF_START_TIME */

    unsigned          kafka_line;         /* of "kafka" in the file */
    unsigned          kafka_column;
    conf_property_t  *properties;         /* for librdkafka */
    size_t            nproperties;
    conf_format_t     format;
    conf_nul_t        nul;
    conf_where_t      where;
    uint32_t          nwhere;             /* pointers in it */
    conf_where_t      delete_when;        /* of records that delete a row */
    uint32_t          ndelete_when;       /* pointers in it */
    bool              deletes;            /* "delete_when" is given */
    char             *unavailable;        /* stands for a value that Debezium
                                             does not know */

    conf_frame_t      registry_value;
    conf_frame_t      registry_key;
    conf_framed_t     registry_frame;
    conf_names_t      registry_url;
    char             *registry_user;      /* NULL: no basic authentication */
    char             *registry_password;
    char             *registry_password_file;    /* or NULL, both */
    char             *registry_authorization;    /* the header's value */
    char             *registry_authorization_file;
    char             *registry_ca;        /* file names, or NULL */
    char             *registry_certificate;
    char             *registry_certificate_key;
    int64_t           registry_timeout;   /* ms */

    int64_t           batch_rows;
    int64_t           batch_bytes;
    int64_t           batch_linger;       /* ms */
    int64_t           flush_timeout;      /* ms */
    conf_store_t      dead_store;
    char             *dead_topic;         /* NULL: the table alone */
    int64_t           dead_keep;          /* ms; 0: for ever */
    double            hold_above;         /* share of the last 1,000 records */
    char             *receipts_topic;     /* NULL: no receipts */
    char             *trace_file;         /* NULL: no spans */
    int64_t           trace_bytes;
    char             *dedupe_header;      /* NULL: retries are records */
    int64_t           dedupe_window;      /* ms */

    json_pointer_t   *route_pointer;      /* of the field, or */
    char             *route_header;       /* a header's name */
    conf_route_default_t  route_default;

    char             *listen;             /* NULL: no HTTP */
    char             *listen_host;
    uint16_t          listen_port;

    struct conf_block_s  *memory;         /* of all above, and of this */
};


/*
 * Both return NULL with a text in "err" (CONF_ERROR_MAX bytes) that begins
 * with "file:line:column: "; it holds no value, so no secret.  Freed by
 * conf_free(), which takes NULL.
 */
const conf_t *conf_read(const char *file, char *err);
const conf_t *conf_parse(const char *file, const char *text, size_t len,
    char *err);
void conf_free(const conf_t *conf);

/*
 * The configuration for those of the topics "names" that it reads.  What it
 * cannot read is told by "topics_left".  It is freed by conf_free(), before
 * "conf".  Returns NULL with a text in "err".
 */
const conf_t *conf_choose(const conf_t *conf, const char *const *names,
    size_t n, char *err);

/* Value of a librdkafka property as given, or NULL. */
const char *conf_property(const conf_t *conf, const char *name);

/*
 * What a file named by { "file": } holds now, without its last line end.
 * Freed by free().  NULL with the reason in "err", CONF_ERROR_MAX bytes.
 */
char *conf_secret(const char *file, char *err);

/*
 * Whether it is NAME or SCHEMA.NAME as "table" takes them in a string.  "dot"
 * is the dot between them, or NULL.
 */
bool conf_is_table(const char *s, const char **dot);

/* Whether it is one of the key's columns. */
bool conf_is_key(const conf_names_t *key, const char *name);

/* Whether a record may leave a column of that name as it is in the row. */
bool conf_may_keep(const conf_t *conf, const char *name);

/* Whether Kafka takes it as a topic's name. */
bool conf_is_topic(const char *s);


/* The topics that are read, from 0 on: how many, their names and tables. */

static inline size_t
conf_topics(const conf_t *conf)
{
    return conf->several ? conf->ntopics : 1;
}


static inline const char *
conf_topic(const conf_t *conf, size_t topic)
{
    return conf->several ? conf->topics[topic].name : conf->topic;
}


static inline const conf_t *
conf_of_topic(const conf_t *conf, size_t topic)
{
    return conf->several ? conf->topics[topic].conf : conf;
}


#endif
