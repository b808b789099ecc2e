/* What a kafka_producer block says, and its proof; knows no HTTP. */

#ifndef NGX_KAFKA_CONF_H
#define NGX_KAFKA_CONF_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <librdkafka/rdkafka.h>
#include "json/json.h"
#include "schema/schema.h"
#include "kafka/ngx_kafka_counters.h"


#define NGX_KAFKA_DEFAULT  -1       /* the broker's own default */


typedef struct {
    ngx_str_t            file;
    ngx_uint_t           line;
} ngx_kafka_place_t;

/* The place of the directive that the parser is at. */
#define ngx_kafka_conf_here(cf)                                               \
    (ngx_kafka_place_t) { (cf)->conf_file->file.name, (cf)->conf_file->line }


typedef struct {
    ngx_str_t            name;      /* NUL-terminated */
    ngx_str_t            value;     /* NUL-terminated */
    ngx_kafka_place_t    place;
} ngx_kafka_property_t;


/* In shared memory, one for each topic and configuration; 16 words. */
typedef struct {
    ngx_atomic_t         exists;
    ngx_atomic_t         made;      /* when it was made here, ms, or 0 */
    ngx_atomic_t         error;     /* of the last creation, as positive */
    ngx_atomic_t         limit;     /* max.message.bytes; 0: neither it is
                                       known nor what the next four say */
    ngx_atomic_t         compacted; /* it takes no record without a key */
    ngx_atomic_t         bounded;   /* it takes no timestamp out of bounds: */
    ngx_atomic_t         before;    /* ms in the past */
    ngx_atomic_t         after;     /* ms in the future */
    ngx_atomic_t         asked;     /* when they were asked for, ms, or 0 */
    ngx_atomic_t         wanted;    /* ask again, a broker refused a record */
    ngx_atomic_t         refused;   /* they may not be read */
    ngx_atomic_t         replication;   /* replicas, 0: not known */
    ngx_atomic_t         in_sync;   /* min.insync.replicas, 0: not known */
    volatile uint32_t    unclean;   /* leader elections are enabled */
    volatile uint32_t    partitions;    /* 0: not known */
    ngx_atomic_t         weak;      /* why a 200 promises less, as logged */
    ngx_atomic_t         looked;    /* of topic 0: when the metadata was, ms */
} ngx_kafka_topic_state_t;


typedef struct {
    ngx_str_t            name;          /* NUL-terminated */
    ngx_int_t            partitions;
    ngx_int_t            replication;
    ngx_uint_t           create;        /* unsigned  create:1; */
    ngx_uint_t           told;          /* by this worker, that partitions
                                           lack; unsigned  told:1; */
    schema_t            *schema;        /* default of locations, or NULL */
    json_pointer_t      *key;           /* likewise: where the key lies */
    ngx_kafka_topic_counts_t *counts;   /* shared */
} ngx_kafka_topic_conf_t;


/* What "kafka_receipts" says. */
typedef struct {
    ngx_kafka_topic_conf_t  topic;      /* no schema, key or counts */
    ngx_kafka_place_t    place;
    ngx_str_t            group;         /* data NULL: the topic's own name */
    ngx_uint_t           named;         /* a group is */
    ngx_uint_t           used;          /* some location asks for receipts */
    ngx_msec_t           longest;       /* kafka_timeout of those */
} ngx_kafka_receipts_conf_t;


struct ngx_kafka_producer_s;

typedef struct {
    ngx_str_t                     name;
    ngx_kafka_place_t             place;
    ngx_str_t                     brokers;      /* NUL-terminated */
    ngx_array_t                   properties;   /* ngx_kafka_property_t */
    ngx_array_t                   topics;       /* ngx_kafka_topic_conf_t */
    ngx_rbtree_t                  names;        /* of those, by a hash */
    ngx_rbtree_node_t             sentinel;
    ngx_msec_t                    timeout;
    size_t                        queue;        /* bytes a worker */
    ngx_kafka_receipts_conf_t    *receipts;     /* NULL: none */
    ngx_kafka_topic_state_t      *states;       /* of topics[], shared */
    ngx_kafka_producer_counts_t  *counts;       /* shared */
    ngx_kafka_gauges_t           *gauges;       /* of this worker, shared */
    struct ngx_kafka_producer_s  *producer;     /* of this worker, or NULL */
} ngx_kafka_conf_t;


/*
 * An error, logged at [emerg], that names "place" instead of the parser's.
 * Returns NGX_ERROR.
 */
ngx_int_t ngx_cdecl ngx_kafka_conf_error(ngx_log_t *log,
    ngx_kafka_place_t *place, const char *fmt, ...);

/*
 * Adds a librdkafka property; what the module owns, does not know, or has
 * already is refused and logged.  With "file" the value is that file's first
 * line and never appears in a message.
 */
char *ngx_kafka_conf_property(ngx_conf_t *cf, ngx_kafka_conf_t *kcf,
    ngx_str_t *name, ngx_str_t *value, ngx_uint_t file);

/* Whether a block sets this property, by any of its names. */
ngx_uint_t ngx_kafka_conf_sets(ngx_kafka_conf_t *kcf, const char *name);

/*
 * librdkafka's configuration of a block; without "brokers" no broker is ever
 * contacted.  Returns NULL with the reason in errstr.  The caller owns it.
 */
rd_kafka_conf_t *ngx_kafka_conf_build(ngx_kafka_conf_t *kcf,
    ngx_uint_t brokers, char *errstr, size_t size);

/*
 * Makes a block's configuration a consumer's, which reads receipts.  Returns
 * it, or NULL with the reason in errstr; it is destroyed then.
 */
rd_kafka_conf_t *ngx_kafka_conf_reader(rd_kafka_conf_t *conf, char *errstr,
    size_t size);

/*
 * Proves each of "n" blocks by rd_kafka_new() in a short-lived child, as
 * threads may not live in the master.
 */
ngx_int_t ngx_kafka_conf_prove(ngx_cycle_t *cycle, ngx_kafka_conf_t **kcf,
    ngx_uint_t n);

/*
 * Logs why a block cannot start, with the line of the property the reason is
 * about, else of the block.
 */
void ngx_kafka_conf_blame(ngx_log_t *log, ngx_kafka_conf_t *kcf,
    const char *reason);

/*
 * Copies what librdkafka, a broker or a client says into "buf" of "size"
 * bytes as one line fit for a log, with a NUL.  "text" may be "buf".  Returns
 * buf.
 */
u_char *ngx_kafka_conf_one_line(u_char *buf, size_t size, const char *text);

/*
 * Declares a topic, with no option.  The name stays the caller's, for as long
 * as the configuration.  NULL without memory.
 */
ngx_kafka_topic_conf_t *ngx_kafka_conf_declare(ngx_kafka_conf_t *kcf,
    ngx_str_t *name);

/* The index of a declared topic, or NGX_ERROR. */
ngx_int_t ngx_kafka_conf_topic(ngx_kafka_conf_t *kcf, ngx_str_t *name);


#endif
