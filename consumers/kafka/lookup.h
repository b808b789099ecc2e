/*
 * Looks up a topic's partitions and their offsets, or all topics, on a thread
 * of its own: these calls of librdkafka 2.0 block.
 */

#ifndef SLUICE_LOOKUP_H
#define SLUICE_LOOKUP_H


#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"


#define LOOKUP_REASON  256


typedef struct lookup_s  lookup_t;


typedef struct {
    int32_t  partition;
    int64_t  begin;        /* the first offset of the log */
    int64_t  end;          /* the offset behind its last record */
    int64_t  at;           /* of the first record from "timestamp" on */
} lookup_range_t;


typedef struct {
    char              error[LOOKUP_REASON];    /* "": none */
    bool              unreached;               /* no broker answered */
    char              cluster[64];
    int               partitions;              /* of the topic */
    int               replicas;                /* of its first partition */
    lookup_range_t   *ranges;
    size_t            nranges;
    char            **names;                   /* of all topics that have */
    size_t            nnames;                  /* partitions */
    int              *counts;                  /* their partitions */
} lookup_result_t;


/* "conf" and "topic" must outlive it.  NULL when memory is short. */
lookup_t *lookup_create(const conf_t *conf, const char *topic);

/* The topic of the next lookup; NULL: it lists all of the cluster. */
void lookup_set_topic(lookup_t *lookup, const char *topic);

/* Waits for the end of a lookup under way: seconds at most. */
void lookup_destroy(lookup_t *lookup);

/* Readable when a lookup has ended. */
int lookup_fd(const lookup_t *lookup);

/*
 * Starts a lookup; none may be under way.  It uses the client "rk", which must
 * outlive it; NULL: it creates one for itself.  "n" partitions are looked up;
 * 0: all of the topic.  "with" asks for their offsets too, and a "timestamp"
 * (ms, else -1) for "at".  Returns -1 when it could not be started.
 */
int lookup_start(lookup_t *lookup, rd_kafka_t *rk, const int32_t *partitions,
    size_t n, bool with, int64_t timestamp);

bool lookup_busy(const lookup_t *lookup);

/*
 * Once lookup_fd() is readable: the result, valid until the next start; else
 * NULL.
 */
const lookup_result_t *lookup_result(lookup_t *lookup);


#endif
