/* The properties of librdkafka that the file sets or the daemon owns. */

#include <string.h>

#include <librdkafka/rdkafka.h>

#include "conf/properties.h"
#include "conf/setters.h"


/* the version of librdkafka that crashes no more, see conf_crashes() */
#define CONF_TOKEN_FIXED  0x020200ff


const conf_owned_t  conf_owned[] = {
    { "allow.auto.create.topics", "false",
      "a topic that reading creates has the wrong partitions" },
    { "auto.commit.enable", NULL, "offsets are kept in PostgreSQL" },
    { "auto.commit.interval.ms", NULL, "offsets are kept in PostgreSQL" },
    { "auto.offset.reset", "error",
      "use \"start\"; a lost range must hold, never jump" },
    { "enable.auto.commit", "false", "offsets are kept in PostgreSQL" },
    { "enable.auto.offset.store", "false", "offsets are kept in PostgreSQL" },
    { "enable.partition.eof", "true", "the daemon needs it for the lag" },
    { "go.*", NULL, "it belongs to another client" },
    { "group.id", NULL, "use \"group\"" },
    { "log.queue", "true", "the daemon reads the log in its own thread" },
    { "log.thread.name", NULL, "the daemon reads the log in its own thread" },
    { "offset.store.method", NULL, "offsets are kept in PostgreSQL" },
    { "partition.assignment.strategy", "range",
      "assignments are made once, with \"range\"" },
    { "plugin.library.paths", NULL, "the daemon loads no foreign code" },
    { "queued.max.messages.kbytes", NULL,
      "the daemon bounds what is read ahead over all partitions" },
    { "queued.min.messages", NULL,
      "the daemon bounds what is read ahead over all partitions" },
    { "test.mock.*", NULL, "it is for librdkafka's own tests" },
    /* a new topic of that name is then compared with what was stored */
    { "topic.metadata.propagation.max.ms", "0",
      "the daemon must learn at once of a deleted topic" },
    { "transactional.id", NULL, "the daemon uses no transactions of Kafka" },
    { NULL, NULL, NULL }
};


const char *
conf_property(const conf_t *conf, const char *name)
{
    size_t  i;

    for (i = 0; i < conf->nproperties; i++) {
        if (strcmp(conf->properties[i].name, name) == 0) {
            return conf->properties[i].value;
        }
    }

    return NULL;
}


/* Why a property cannot be given, or NULL if it can. */

static const char *
conf_refusal(const char *name)
{
    size_t               len;
    const conf_owned_t  *owned;

    for (owned = conf_owned; owned->name; owned++) {
        len = strlen(owned->name);

        if (owned->name[len - 1] == '*'
            ? strncmp(name, owned->name, len - 1) == 0
            : strcmp(name, owned->name) == 0)
        {
            return owned->reason;
        }
    }

    return NULL;
}


/* Whether librdkafka has no queue for the renewal of an unsecured token. */

static bool
conf_crashes(const rd_kafka_conf_t *rkconf)
{
    char    value[8];
    size_t  len;

    len = sizeof(value);

    return rd_kafka_version() < CONF_TOKEN_FIXED
           && rd_kafka_conf_get(rkconf, "enable.sasl.oauthbearer.unsecure.jwt",
                                value, &len)
              == RD_KAFKA_CONF_OK
           && strcmp(value, "true") == 0;
}


/* Asks librdkafka whether it takes the property. */

static int
conf_prove(conf_reader_t *cr, uint32_t name, const char *value)
{
    char                 text[256];
    const char          *reason;
    rd_kafka_conf_t     *rkconf;
    rd_kafka_conf_res_t  res;
    bool                 crashes;

    rkconf = rd_kafka_conf_new();
    res = rd_kafka_conf_set(rkconf, cr->words[name].text, value, text,
                            sizeof(text));
    crashes = conf_crashes(rkconf);
    rd_kafka_conf_destroy(rkconf);

    if (res == RD_KAFKA_CONF_OK && !crashes) {
        return 0;
    }

    /* the reason may hold the value, which may be a secret */
    reason = crashes
             ? "librdkafka before 2.2.0 crashes when it renews the token"
             : res == RD_KAFKA_CONF_UNKNOWN
             ? "librdkafka knows no such property"
             : cr->words[name + 1].secret ? "its value is invalid" : text;

    return conf_fail(cr, name, "property \"%s\": %s", cr->words[name].text,
                     reason);
}


int
conf_set_properties(conf_reader_t *cr, const conf_key_t *key, uint32_t token,
    void *scope)
{
    size_t            n;
    conf_t           *conf = scope;
    uint32_t          i;
    const char       *reason;
    conf_property_t  *property;

    n = conf_type(cr, token) == JSON_OBJECT ? conf_count(cr, token) : 0;
    if (n == 0) {
        return conf_must(cr, key, token, "an object of librdkafka's "
                         "properties");
    }

    conf->properties = conf_alloc(cr, n * sizeof(conf_property_t));
    if (conf->properties == NULL) {
        return -1;
    }

    json_position(cr->text, cr->len, cr->doc.tokens[token].start,
                  &conf->kafka_line, &conf->kafka_column);

    for (i = token + 1; i; i = conf_next(cr, token, i)) {
        property = &conf->properties[conf->nproperties++];
        property->name = cr->words[i].text;

        reason = conf_refusal(property->name);
        if (reason) {
            return conf_fail(cr, i, "property \"%s\" cannot be given: %s",
                             property->name, reason);
        }

        if (conf_resolve(cr, i + 1) == -1) {
            return -1;
        }

        if (cr->words[i + 1].text == NULL
            || conf_type(cr, i + 1) == JSON_NULL)
        {
            return conf_fail(cr, i + 1, "\"%s\" must be a string or "
                             "{ \"file\": PATH }", property->name);
        }

        property->value = conf_expand(cr, i + 1);
        property->file = cr->words[i + 1].file;

        if (property->value == NULL
            || conf_prove(cr, i, property->value) == -1)
        {
            return -1;
        }
    }

    return 0;
}
