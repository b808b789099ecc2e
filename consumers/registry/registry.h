/*
 * Records as serializers of a schema registry write them: a frame with the
 * schema's number, and JSON or Avro behind it.
 *
 * Room: frames and schemas of a registry; knows no Kafka and no PostgreSQL.
 */

#ifndef SLUICE_REGISTRY_H
#define SLUICE_REGISTRY_H


#include "conf/conf.h"
#include "record/record.h"
#include "registry/schemas.h"


typedef struct registry_s  registry_t;


/*
 * "conf" must outlive it, and has a key or a value in frames.  NULL with a
 * text in "err" (CONF_ERROR_MAX bytes).
 */
registry_t *registry_create(const conf_t *conf, char *err);
void registry_destroy(registry_t *registry);

/*
 * Whether the schemas of a record are in memory.  If not, they are asked for:
 * registry_waits() until they are, or until registry_forget().
 */
bool registry_ready(registry_t *registry, const record_t *record);
bool registry_waits(const registry_t *registry);
void registry_forget(registry_t *registry);

/*
 * The same, waiting up to "ms" for them, but not for a person.  Returns 0, or
 * -1 with the reason, which may be "".
 */
int registry_wait(registry_t *registry, const record_t *record, int64_t ms,
    const char **reason);

/* Whether the registry answers, within "ms", as one does; else as above. */
int registry_reach(registry_t *registry, int64_t ms, const char **reason);

/*
 * Makes "plain" of the record, with its key and value out of their frames and
 * as JSON; a key that is a JSON string becomes the string's text.  The bytes
 * live until the next call.  Returns 0; 1 with *fault set; -1 when memory is
 * short.
 */
int registry_decode(registry_t *registry, const record_t *record,
    record_t *plain, record_fault_t *fault);

/* As those of fetch.h; without Avro -1 and 0. */
int registry_fd(const registry_t *registry);
int64_t registry_deadline(const registry_t *registry);
void registry_poll(registry_t *registry, int64_t now);

/* NULL: there is no Avro. */
const schemas_figures_t *registry_figures(const registry_t *registry);


#endif
