/* Takes keys and values out of their frames. */

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "json/json.h"
#include "registry/avro.h"
#include "registry/registry.h"


/*
 * Confluent's documentation, "Wire Format": a zero byte, then the schema's
 * number in four bytes, the highest first.
 */
#define REGISTRY_FRAME  5

#define REGISTRY_TURN   100    /* ms of registry_wait()'s poll() */


/* A key or a value. */
typedef struct {
    const char  *what;
    const char  *s;
    size_t       len;
} registry_part_t;


struct registry_s {
    const conf_t  *conf;
    schemas_t     *schemas;    /* NULL: there is no Avro */
    json_doc_t     doc;
    buf_t          key;
    buf_t          text;       /* of a key that is a string */
    buf_t          value;
};


static int registry_part(registry_t *registry, conf_frame_t kind,
    registry_part_t *part, buf_t *out, record_fault_t *fault);
static int registry_avro(registry_t *registry, uint32_t id,
    registry_part_t *part, buf_t *out, record_fault_t *fault);
static int registry_unquote(registry_t *registry, registry_part_t *part);


registry_t *
registry_create(const conf_t *conf, char *err)
{
    registry_t  *registry;

    snprintf(err, CONF_ERROR_MAX, "out of memory");
    registry = calloc(1, sizeof(registry_t));

    if (registry == NULL) {
        return NULL;
    }

    registry->conf = conf;

    if (conf->registry_value == CONF_FRAME_AVRO
        || conf->registry_key == CONF_FRAME_AVRO)
    {
        registry->schemas = schemas_create(conf, err);

        if (registry->schemas == NULL) {
            free(registry);
            return NULL;
        }
    }

    return registry;
}


void
registry_destroy(registry_t *registry)
{
    if (registry) {
        schemas_destroy(registry->schemas);
        json_doc_free(&registry->doc);
        buf_free(&registry->key);
        buf_free(&registry->text);
        buf_free(&registry->value);
        free(registry);
    }
}


static bool
registry_frame(const char *s, size_t len, uint32_t *id)
{
    const unsigned char  *p = (const unsigned char *) s;

    if (s == NULL || len < REGISTRY_FRAME || p[0] != 0) {
        return false;
    }

    *id = (uint32_t) p[1] << 24 | (uint32_t) p[2] << 16
          | (uint32_t) p[3] << 8 | p[4];

    return true;
}


bool
registry_ready(registry_t *registry, const record_t *record)
{
    uint32_t  id;

    if (registry->schemas == NULL) {
        return true;
    }

    if (registry->conf->registry_key == CONF_FRAME_AVRO
        && registry_frame(record->key, record->key_len, &id)
        && schemas_find(registry->schemas, id) == NULL)
    {
        schemas_want(registry->schemas, id);
        return false;
    }

    if (registry->conf->registry_value == CONF_FRAME_AVRO
        && registry_frame(record->value, record->value_len, &id)
        && schemas_find(registry->schemas, id) == NULL)
    {
        schemas_want(registry->schemas, id);
        return false;
    }

    return true;
}


bool
registry_waits(const registry_t *registry)
{
    return registry->schemas && schemas_wanting(registry->schemas);
}


void
registry_forget(registry_t *registry)
{
    if (registry->schemas) {
        schemas_forget(registry->schemas);
    }
}


int
registry_wait(registry_t *registry, const record_t *record, int64_t ms,
    const char **reason)
{
    int64_t        end;
    struct pollfd  fd;

    end = clock_ms() + ms;

    while (!registry_ready(registry, record)) {

        *reason = schemas_figures(registry->schemas)->reason;

        if (clock_ms() >= end || schemas_figures(registry->schemas)->held) {
            return -1;
        }

        schemas_poll(registry->schemas, clock_ms());

        if (schemas_wanting(registry->schemas)) {
            fd.fd = schemas_fd(registry->schemas);
            fd.events = POLLIN;
            (void) poll(&fd, 1, REGISTRY_TURN);
        }
    }

    return 0;
}


/* No schema has the number 0, and who is allowed to ask is told so. */

int
registry_reach(registry_t *registry, int64_t ms, const char **reason)
{
    int             rc;
    const record_t  nobody = {
        .key = "\0\0\0\0", .key_len = REGISTRY_FRAME,
        .value = "\0\0\0\0", .value_len = REGISTRY_FRAME
    };

    rc = registry_wait(registry, &nobody, ms, reason);

    return rc == 0 || schemas_figures(registry->schemas)->status == 404
           ? 0 : -1;
}


int
registry_fd(const registry_t *registry)
{
    return registry->schemas ? schemas_fd(registry->schemas) : -1;
}


int64_t
registry_deadline(const registry_t *registry)
{
    return registry->schemas ? schemas_deadline(registry->schemas) : 0;
}


void
registry_poll(registry_t *registry, int64_t now)
{
    if (registry->schemas) {
        schemas_poll(registry->schemas, now);
    }
}


const schemas_figures_t *
registry_figures(const registry_t *registry)
{
    return registry->schemas ? schemas_figures(registry->schemas) : NULL;
}


int
registry_decode(registry_t *registry, const record_t *record, record_t *plain,
    record_fault_t *fault)
{
    int               rc;
    registry_part_t   key = { "key", record->key, record->key_len };
    registry_part_t   value = { "value", record->value, record->value_len };
    const conf_t     *conf = registry->conf;

    *plain = *record;

    rc = registry_part(registry, conf->registry_key, &key, &registry->key,
                       fault);

    if (rc == 0 && conf->registry_key != CONF_FRAME_PLAIN) {
        rc = registry_unquote(registry, &key);
    }

    if (rc == 0) {
        rc = registry_part(registry, conf->registry_value, &value,
                           &registry->value, fault);
    }

    plain->key = key.s;
    plain->key_len = key.len;
    plain->value = value.s;
    plain->value_len = value.len;

    return rc;
}


static int
registry_part(registry_t *registry, conf_frame_t kind, registry_part_t *part,
    buf_t *out, record_fault_t *fault)
{
    uint32_t  id;

    if (kind == CONF_FRAME_PLAIN || part->s == NULL) {
        return 0;
    }

    if (!registry_frame(part->s, part->len, &id)) {
        return registry->conf->registry_frame == CONF_FRAME_OPTIONAL
               ? 0 : record_fault(fault, "22P03", "the %s does not begin with "
                                  "the frame of a schema registry, a zero "
                                  "byte and the number of a schema",
                                  part->what);
    }

    if (kind == CONF_FRAME_AVRO) {
        return registry_avro(registry, id, part, out, fault);
    }

    part->s += REGISTRY_FRAME;
    part->len -= REGISTRY_FRAME;

    return 0;
}


static int
registry_avro(registry_t *registry, uint32_t id, registry_part_t *part,
    buf_t *out, record_fault_t *fault)
{
    int              rc;
    char             reason[RECORD_REASON / 2];
    const schema_t  *schema;

    schema = schemas_find(registry->schemas, id);

    if (schema == NULL || schema->schema == NULL) {
        return record_fault(fault, "22P03", "the %s is of schema %u, which is "
                            "%s and not Avro", part->what, id,
                            schema ? schema->type : "unknown");
    }

    out->len = 0;
    rc = avro_read(schema->schema, part->s + REGISTRY_FRAME,
                   part->len - REGISTRY_FRAME, out, reason, sizeof(reason));

    if (rc == 1) {
        return record_fault(fault, "22P03", "the %s is no Avro of schema %u: "
                            "%s", part->what, id, reason);
    }

    if (rc == -1) {
        buf_free(out);
        return -1;
    }

    part->s = out->data;
    part->len = out->len;

    return 0;
}


/* A key that is a JSON string becomes the text, as a plain key would be. */

static int
registry_unquote(registry_t *registry, registry_part_t *part)
{
    json_error_t         err;
    const json_token_t  *t;

    if (part->s == NULL || part->len == 0 || part->s[0] != '"') {
        return 0;
    }

    if (json_parse(&registry->doc, part->s, part->len, &err) == -1) {
        return err.reason == json_no_memory ? -1 : 0;
    }

    t = &registry->doc.tokens[0];
    registry->text.len = 0;

    if (buf_reserve(&registry->text, t->end - t->start + 1) == -1) {
        return -1;
    }

    part->len = json_unescape(&registry->doc, 0, registry->text.data);
    part->s = registry->text.data;

    return 0;
}
