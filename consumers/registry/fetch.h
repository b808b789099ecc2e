/*
 * One request at a time to the schema registry, over HTTP, which never blocks
 * the daemon's loop; knows no schema.
 */

#ifndef SLUICE_FETCH_H
#define SLUICE_FETCH_H


#include "base/buf.h"
#include "conf/conf.h"


#define FETCH_BYTES  (4 << 20)    /* of a body */


typedef struct fetch_s  fetch_t;


/* What became of a request. */
typedef enum {
    FETCH_BUSY = 0,      /* it is under way, or there is none */
    FETCH_ANSWERED,
    FETCH_FAILED         /* there is no answer */
} fetch_outcome_t;


/* Valid until the next request. */
typedef struct {
    int           status;
    const buf_t  *body;
    const char   *reason;    /* why there is no answer */
} fetch_result_t;


/*
 * "conf" must outlive it.  NULL with a text in "err" (CONF_ERROR_MAX bytes),
 * also where the program is built without libcurl.
 */
fetch_t *fetch_create(const conf_t *conf, char *err);
void fetch_destroy(fetch_t *fetch);

/* Readable when fetch_poll() has something to do. */
int fetch_fd(const fetch_t *fetch);
/* ms, monotonic, when it has something to do without that; 0: never. */
int64_t fetch_deadline(const fetch_t *fetch);

/*
 * Asks the registry at "url", its place in "registry.url", for a path; ends a
 * request that is under way.  Where that fails at once the next fetch_poll()
 * says so.
 */
void fetch_start(fetch_t *fetch, size_t url, const char *path);
void fetch_stop(fetch_t *fetch);

fetch_outcome_t fetch_poll(fetch_t *fetch, int64_t now,
    fetch_result_t *result);

/* Appends bytes as a part of a path. */
void fetch_escape(buf_t *path, const char *s, size_t len);


#endif
