/*
 * What each key of a JDBC sink connector becomes: its JSON is read here, and
 * keys without a counterpart are named.  connector_conf.c writes the rest.
 */

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "tools/connector.h"
#include "tools/report.h"


#define CONNECTOR_OLD  (CONNECTOR_CONFLUENT | CONNECTOR_AIVEN)
#define CONNECTOR_ANY  (CONNECTOR_OLD | CONNECTOR_DEBEZIUM)

#define CONNECTOR_RETRIES  "the daemon tries again until it succeeds"
#define CONNECTOR_ONE      "a daemon has one connection to PostgreSQL"
#define CONNECTOR_EXISTS   "create the topic of dead letters with its replicas"
#define CONNECTOR_LOG      "bad records are in sluice.dead_letters; the log "  \
                           "has their places and reasons"
#define CONNECTOR_UTC      "a time without an offset is UTC"
#define CONNECTOR_LAST     "a batch always writes the last record of a key "   \
                           "alone"
#define CONNECTOR_NAMING   "columns have the names of the fields: list "       \
                           "others in \"columns\""


/* A key; one that ends with "." or "*" stands for all that begin so. */
typedef struct {
    const char  *name;
    unsigned     sinks;
    const char  *same;    /* with this value there is nothing to say, or NULL */
    const char  *why;     /* it is not converted; NULL: it is read by
                             connector_conf.c, which names what it leaves out */
} connector_key_t;


static int connector_pairs(connector_t *cn, const char *text,
    const json_doc_t *doc);
static int connector_take(connector_t *cn, const char *text,
    const json_doc_t *doc, uint32_t name, char **p);
static int connector_class(connector_t *cn);
static void connector_quoting(connector_t *cn);
static const connector_key_t *connector_find(const connector_t *cn,
    const char *name);
static bool connector_is_provided(const char *value);


/* The first that fits counts. */
static const connector_key_t  connector_keys[] = {

    /* Connect's own */
    { "name", CONNECTOR_ANY, NULL, NULL },
    { "connector.class", CONNECTOR_ANY, NULL, NULL },
    { "topics", CONNECTOR_ANY, NULL, NULL },
    { "topics.regex", CONNECTOR_ANY, NULL, NULL },
    { "tasks.max", CONNECTOR_ANY, "1",
      "a daemon is one task: start as many daemons with this file" },
    { "tasks.max.enforce", CONNECTOR_ANY, NULL,
      "any number of daemons may run in one group" },
    { "key.converter", CONNECTOR_ANY, NULL, NULL },
    { "value.converter", CONNECTOR_ANY, NULL, NULL },
    { "key.converter.schemas.enable", CONNECTOR_ANY, "false",
      "a key is read with its schema by \"format\": \"debezium\", else "
      "\"key\" has paths such as \"/payload/id\"" },
    { "value.converter.schemas.enable", CONNECTOR_ANY, NULL, NULL },
    { "key.converter.schema.registry.url", CONNECTOR_ANY, NULL, NULL },
    { "value.converter.schema.registry.url", CONNECTOR_ANY, NULL, NULL },
    { "key.converter.basic.auth.*", CONNECTOR_ANY, NULL,
      "put the password into a file and name both in \"registry\": "
      "\"user\": ..., \"password\": { \"file\": ... }" },
    { "value.converter.basic.auth.*", CONNECTOR_ANY, NULL,
      "put the password into a file and name both in \"registry\": "
      "\"user\": ..., \"password\": { \"file\": ... }" },
    { "key.converter.", CONNECTOR_ANY, NULL,
      "look in the keys of \"registry\" for a counterpart" },
    { "value.converter.", CONNECTOR_ANY, NULL,
      "look in the keys of \"registry\" for a counterpart" },
    { "header.converter*", CONNECTOR_ANY, NULL,
      "a header's bytes are its text" },
    { "errors.tolerance", CONNECTOR_ANY, NULL, NULL },
    { "errors.deadletterqueue.topic.name", CONNECTOR_ANY, NULL, NULL },
    { "errors.deadletterqueue.topic.replication.factor", CONNECTOR_ANY, NULL,
      CONNECTOR_EXISTS },
    { "errors.deadletterqueue.context.headers.enable", CONNECTOR_ANY, NULL,
      "dead letters always have the headers sluice-topic, sluice-partition, "
      "sluice-offset, sluice-sqlstate and sluice-reason" },
    { "errors.log.", CONNECTOR_ANY, NULL, CONNECTOR_LOG },
    { "errors.retry.", CONNECTOR_ANY, NULL, CONNECTOR_RETRIES },
    { "transforms", CONNECTOR_ANY, "", NULL },
    { "transforms.", CONNECTOR_ANY, NULL, NULL },
    { "predicates*", CONNECTOR_ANY, "",
      "\"where\" says which records are stored" },
    { "config.action.reload", CONNECTOR_ANY, NULL,
      "files with secrets are read again for each connection; SIGHUP reads "
      "the configuration again" },
    { "consumer.override.bootstrap.servers", CONNECTOR_ANY, NULL, NULL },
    { "consumer.override.auto.offset.reset", CONNECTOR_ANY, NULL, NULL },
    { "consumer.override.group.id", CONNECTOR_ANY, NULL, NULL },
    { "consumer.override.max.poll.records", CONNECTOR_ANY, NULL,
      "\"batch\" bounds what is in memory" },
    { "consumer.override.", CONNECTOR_ANY, NULL,
      "\"kafka\" takes librdkafka's properties; secrets belong in files" },
    { "producer.override.", CONNECTOR_ANY, NULL,
      "dead letters are sent with the properties of \"kafka\"" },

    /* the database */
    { "connection.url", CONNECTOR_ANY, NULL, NULL },
    { "connection.user", CONNECTOR_OLD, NULL, NULL },
    { "connection.username", CONNECTOR_DEBEZIUM, NULL, NULL },
    { "connection.password", CONNECTOR_ANY, NULL,
      "no password is copied: put HOST:PORT:DATABASE:USER:PASSWORD into the "
      "daemon's ~/.pgpass (mode 0600), or the conninfo into a file and "
      "\"postgres\": { \"file\": ... }" },
    { "jdbc.credentials.provider.", CONNECTOR_CONFLUENT, NULL,
      "libpq takes the password from ~/.pgpass, or the conninfo from a file: "
      "\"postgres\": { \"file\": ... }" },
    { "connection.attempts", CONNECTOR_CONFLUENT, NULL, CONNECTOR_RETRIES },
    { "connection.backoff.ms", CONNECTOR_CONFLUENT, NULL, CONNECTOR_RETRIES },
    { "connection.restart.on.errors", CONNECTOR_DEBEZIUM, NULL,
      CONNECTOR_RETRIES },
    { "connection.pool.", CONNECTOR_DEBEZIUM, NULL, CONNECTOR_ONE },
    { "connection.provider", CONNECTOR_DEBEZIUM, NULL, CONNECTOR_ONE },
    { "hibernate.", CONNECTOR_DEBEZIUM, NULL,
      "libpq reaches the database: its parameters stand in \"postgres\"" },
    { "dialect.name", CONNECTOR_OLD, "PostgreSqlDatabaseDialect",
      "the database is PostgreSQL" },
    { "dialect.", CONNECTOR_DEBEZIUM, NULL,
      "types are found by search_path; the database is PostgreSQL" },
    { "mssql.", CONNECTOR_CONFLUENT, NULL, "the database is PostgreSQL" },

    /* the rows */
    { "insert.mode", CONNECTOR_ANY, NULL, NULL },
    { "delete.enabled", CONNECTOR_ANY, NULL, NULL },
    { "truncate.enabled", CONNECTOR_DEBEZIUM, "false",
      "a truncation becomes a dead letter: truncate the table yourself" },
    { "pk.mode", CONNECTOR_OLD, NULL, NULL },
    { "pk.fields", CONNECTOR_OLD, NULL, NULL },
    { "primary.key.mode", CONNECTOR_DEBEZIUM, NULL, NULL },
    { "primary.key.fields", CONNECTOR_DEBEZIUM, NULL, NULL },
    { "table.name.format", CONNECTOR_ANY, NULL, NULL },
    { "collection.name.format", CONNECTOR_DEBEZIUM, NULL, NULL },
    { "topics.to.tables.mapping", CONNECTOR_AIVEN, NULL, NULL },
    { "table.name.normalize", CONNECTOR_AIVEN, "false",
      "compare the tables' names in the file with the catalogue" },
    { "table.naming.strategy", CONNECTOR_DEBEZIUM, NULL,
      "compare the tables' names in the file with the catalogue" },
    { "collection.naming.strategy", CONNECTOR_DEBEZIUM, NULL,
      "compare the tables' names in the file with the catalogue" },
    { "column.naming.*", CONNECTOR_DEBEZIUM, NULL, CONNECTOR_NAMING },
    { "collection.table.format", CONNECTOR_DEBEZIUM, "${table}",
      "compare the tables' names in the file with the catalogue" },
    { "table.types", CONNECTOR_CONFLUENT, NULL, "\"table\" may be a table, a "
      "view or a foreign table" },
    { "fields.whitelist", CONNECTOR_OLD, NULL, NULL },
    { "field.include.list", CONNECTOR_DEBEZIUM, NULL, NULL },
    { "field.exclude.list", CONNECTOR_DEBEZIUM, "",
      "list the table's other columns in \"columns\"" },
    { "auto.create", CONNECTOR_OLD, "false",
      "the table has to exist, as the connector made it; or name columns with "
      "their types in \"columns\" and say \"create_table\": true" },
    { "auto.evolve", CONNECTOR_OLD, "false",
      "add columns with ALTER TABLE; or name columns with their types in "
      "\"columns\" and say \"evolve\": \"add\"" },
    { "schema.evolution", CONNECTOR_DEBEZIUM, "none",
      "add columns with ALTER TABLE; or name columns with their types in "
      "\"columns\" and say \"create_table\": true, \"evolve\": \"add\"" },
    { "quote.sql.identifiers", CONNECTOR_CONFLUENT, NULL, NULL },
    { "sql.quote.identifiers", CONNECTOR_AIVEN, NULL, NULL },
    { "quote.identifiers", CONNECTOR_DEBEZIUM, NULL, NULL },
    { "db.timezone", CONNECTOR_OLD, "UTC", CONNECTOR_UTC },
    { "date.timezone", CONNECTOR_CONFLUENT, "UTC", CONNECTOR_UTC },
    { "use.time.zone", CONNECTOR_DEBEZIUM, "UTC", CONNECTOR_UTC },
    { "database.time_zone", CONNECTOR_DEBEZIUM, "UTC", CONNECTOR_UTC },
    { "date.calendar.system", CONNECTOR_CONFLUENT, "PROLEPTIC_GREGORIAN",
      "dates before 1582-10-15 are Gregorian, as PostgreSQL's are" },
    { "timestamp.*", CONNECTOR_CONFLUENT, NULL,
      "\"unit\" of a column says what its numbers are" },
    { "replace.null.with.default", CONNECTOR_CONFLUENT, "false",
      "say \"on_null\": \"default\" and \"default\" in the column" },
    { "string.output.value.column.name", CONNECTOR_CONFLUENT, NULL,
      "\"format\": \"text\" and a column with \"path\": \"\" take the whole "
      "value" },
    { "batch.size", CONNECTOR_ANY, NULL, NULL },
    { "use.reduction.buffer", CONNECTOR_DEBEZIUM, NULL, CONNECTOR_LAST },
    { "keyed.message.batch.mode", CONNECTOR_DEBEZIUM, NULL, CONNECTOR_LAST },
    { "cloud.events.", CONNECTOR_DEBEZIUM, NULL,
      "paths reach into a CloudEvent: \"/data/id\"" },
    { "max.retries", CONNECTOR_OLD, NULL, CONNECTOR_RETRIES },
    { "retry.backoff.ms", CONNECTOR_OLD, NULL, CONNECTOR_RETRIES },
    { "flush.max.retries", CONNECTOR_DEBEZIUM, NULL, CONNECTOR_RETRIES },
    { "flush.retry.delay.ms", CONNECTOR_DEBEZIUM, NULL, CONNECTOR_RETRIES },
    { "trim.sensitive.log", CONNECTOR_CONFLUENT, NULL,
      "the log holds no values of a record" },
    { NULL, 0, NULL, NULL }
};


int
connector_read(connector_t *cn, const char *file, const char *text,
    const json_doc_t *doc)
{
    size_t                  i;
    const connector_key_t  *key;

    cn->file = file;

    if (connector_pairs(cn, text, doc) == -1 || connector_class(cn) == -1) {
        return -1;
    }

    for (i = 0; i < cn->n; i++) {
        key = connector_find(cn, cn->pairs[i].name);

        if (key->name == NULL) {
            connector_note(cn->pairs[i].name, "no key of this connector's that "
                           "is known here");

        } else if (key->why) {
            if (key->same == NULL
                || strcasecmp(cn->pairs[i].value, key->same) != 0)
            {
                connector_note(cn->pairs[i].name, key->why);
            }

        } else if (connector_is_provided(cn->pairs[i].value)) {
            connector_note(cn->pairs[i].name, "its value is looked up by a "
                           "ConfigProvider of the worker: write it into the "
                           "configuration, or into a file for { \"file\": ... "
                           "}");
        }
    }

    return 0;
}


void
connector_free(connector_t *cn)
{
    free(cn->pairs);
    free(cn->texts);
}


static int
connector_pairs(connector_t *cn, const char *text, const json_doc_t *doc)
{
    char      *p;
    uint32_t   in, i, end;

    in = json_member(doc, 0, "config", strlen("config"));
    if (in == JSON_NONE) {
        in = 0;
    }

    if (doc->tokens[in].type != JSON_OBJECT) {
        return report_error("%s: %s must be an object", cn->file,
                            in ? "\"config\"" : "a connector");
    }

    end = doc->tokens[in].next;
    cn->pairs = calloc(end - in, sizeof(connector_pair_t));
    /* a decoded text is no longer than the written one, and has one NUL where
       that has a colon or a comma */
    cn->texts = malloc(2 * (doc->tokens[in].end - doc->tokens[in].start) + 2);

    if (cn->pairs == NULL || cn->texts == NULL) {
        return report_error("out of memory");
    }

    for (i = in + 1, p = cn->texts; i < end; i = doc->tokens[i + 1].next) {
        if (connector_take(cn, text, doc, i, &p) == -1) {
            return -1;
        }
    }

    return 0;
}


static int
connector_take(connector_t *cn, const char *text, const json_doc_t *doc,
    uint32_t name, char **p)
{
    size_t                len;
    unsigned              line, column;
    connector_pair_t     *pair;
    const json_token_t   *value;

    pair = &cn->pairs[cn->n];
    value = &doc->tokens[name + 1];
    len = value->end - value->start;

    pair->name = *p;
    *p += json_unescape(doc, name, *p);
    *(*p)++ = '\0';

    if (value->type == JSON_NULL) {
        return 0;
    }

    if (value->type == JSON_OBJECT || value->type == JSON_ARRAY) {
        json_position(text, doc->tokens[0].end, value->start, &line, &column);
        return report_error("%s:%u:%u: a value of a connector must be a "
                            "string, a number, true or false", cn->file, line,
                            column);
    }

    pair->value = *p;

    if (value->type == JSON_STRING) {
        *p += json_unescape(doc, name + 1, *p);
    } else {
        memcpy(*p, text + value->start, len);
        *p += len;
    }

    *(*p)++ = '\0';
    cn->n++;

    return 0;
}


static int
connector_class(connector_t *cn)
{
    size_t       i;
    const char  *s;

    static const struct {
        const char  *name;
        unsigned     sink;
    } classes[] = {
        { "io.confluent.connect.jdbc.JdbcSinkConnector", CONNECTOR_CONFLUENT },
        { "io.aiven.connect.jdbc.JdbcSinkConnector", CONNECTOR_AIVEN },
        { "io.debezium.connector.jdbc.JdbcSinkConnector", CONNECTOR_DEBEZIUM },
    };

    s = connector_get(cn, "connector.class");

    for (i = 0; s && i < sizeof(classes) / sizeof(classes[0]); i++) {
        /* Connect takes the class's own name too; it is Confluent's first */
        if (strcmp(s, classes[i].name) == 0
            || strcmp(s, strrchr(classes[i].name, '.') + 1) == 0)
        {
            cn->sink = classes[i].sink;
            connector_quoting(cn);
            return 0;
        }
    }

    return connector_refuse(cn, "connector.class", "it must be the JDBC sink "
                            "of Confluent, Aiven or Debezium, such as "
                            "\"io.confluent.connect.jdbc.JdbcSinkConnector\"");
}


/* Debezium's sink alone does not quote names unless it is told to. */

static void
connector_quoting(connector_t *cn)
{
    const char  *value;

    cn->quoting = cn->sink == CONNECTOR_CONFLUENT ? "quote.sql.identifiers"
                  : cn->sink == CONNECTOR_AIVEN ? "sql.quote.identifiers"
                  : "quote.identifiers";
    value = connector_get(cn, cn->quoting);

    cn->folds = value ? strcasecmp(value, "always") != 0
                        && strcasecmp(value, "true") != 0
                      : cn->sink == CONNECTOR_DEBEZIUM;
}


static const connector_key_t *
connector_find(const connector_t *cn, const char *name)
{
    char                    last;
    size_t                  len;
    const connector_key_t  *key;

    for (key = connector_keys; key->name; key++) {
        if ((key->sinks & cn->sink) == 0) {
            continue;
        }

        len = strlen(key->name);
        last = key->name[len - 1];

        if (last == '.' || last == '*') {
            len -= last == '*';
            if (strncmp(name, key->name, len) == 0) {
                break;
            }

        } else if (strcmp(name, key->name) == 0) {
            break;
        }
    }

    return key;
}


/* "${file:/etc/secrets:user}" is the worker's; "${topic}" is not. */

static bool
connector_is_provided(const char *value)
{
    size_t  len;

    for (value = strstr(value, "${"); value; value = strstr(value, "${")) {
        value += 2;
        len = strcspn(value, ":}");
        if (value[len] == ':') {
            return true;
        }
    }

    return false;
}


const char *
connector_get(const connector_t *cn, const char *name)
{
    size_t  i;

    for (i = 0; i < cn->n; i++) {
        if (strcmp(cn->pairs[i].name, name) == 0) {
            return connector_is_provided(cn->pairs[i].value)
                   ? NULL : cn->pairs[i].value;
        }
    }

    return NULL;
}


bool
connector_is_on(const connector_t *cn, const char *name)
{
    const char  *value;

    value = connector_get(cn, name);

    return value && strcasecmp(value, "true") == 0;
}


void
connector_note(const char *name, const char *why)
{
    report_error("not converted: %s: %s", name, why);
}


int
connector_refuse(const connector_t *cn, const char *name, const char *why)
{
    return report_error("%s: cannot convert %s: %s", cn->file, name, why);
}


size_t
connector_item(const char **s, const char **item)
{
    size_t  len;

    do {
        *s += strspn(*s, ", \t\n");
        len = strcspn(*s, ",");
        *item = *s;
        *s += len;

        while (len && isspace((unsigned char) (*item)[len - 1])) {
            len--;
        }
    } while (len == 0 && **s);

    return len;
}


void
connector_name(const connector_t *cn, buf_t *out, const char *s, size_t len)
{
    char    small[CONNECTOR_NAME];
    size_t  i;

    if (!cn->folds || len > sizeof(small)) {
        connector_string(out, s, len);
        return;
    }

    for (i = 0; i < len; i++) {
        small[i] = s[i] >= 'A' && s[i] <= 'Z' ? (char) (s[i] | 0x20) : s[i];
    }

    connector_string(out, small, len);
}


void
connector_string(buf_t *out, const char *s, size_t len)
{
    buf_addf(out, "\"");
    text_add_json(out, s, len);
    buf_addf(out, "\"");
}
