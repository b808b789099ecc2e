/* Writes the configuration that does what a JDBC sink connector does. */

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "tools/connector.h"
#include "tools/report.h"


#define CONNECTOR_PLACE  "${topic}"
#define CONNECTOR_LIST   ", \t"


/* What a table's key is made of, and the names of its columns. */
typedef struct {
    const char  *mode;      /* none, kafka, record_key, record_value ... */
    const char  *fields;    /* with commas, or NULL */
    const char  *option;    /* the names of both in this connector */
    const char  *names;
} connector_pk_t;


static int connector_topics(const connector_t *cn, buf_t *out);
static int connector_pattern(const connector_t *cn, const char *format,
    buf_t *out);
static int connector_table(const connector_t *cn, const char *format,
    const char *topic, size_t len, buf_t *out);
static bool connector_mapped(const connector_t *cn, const char *topic,
    size_t len, char *table);
static int connector_add_table(const connector_t *cn, const char *table,
    buf_t *out);
static int connector_rows(const connector_t *cn, buf_t *out);
static const char *connector_word(const connector_t *cn, const char *name,
    const char *const *words);
static void connector_delete(const connector_t *cn, bool upserts, buf_t *out);
static int connector_columns(const connector_t *cn, const connector_pk_t *pk,
    buf_t *out);
static void connector_column(const connector_t *cn, const connector_pk_t *pk,
    const char *name, size_t len, buf_t *out);
static bool connector_has(const char *list, const char *name, size_t len);
static void connector_tail(const connector_t *cn, buf_t *out);


/* The first is the default. */
static const char *const  connector_inserts[] = {
    "insert", "multi", "upsert", "update", NULL
};

static const char *const  connector_modes[] = {
    "none", "kafka", "record_key", "record_value", "record_header", NULL
};


int
connector_conf(const connector_t *cn, const char *name, buf_t *out)
{
    int          rc;
    buf_t        conninfo = { 0 };
    const char  *value;

    buf_addf(out, "{\n");

    if (connector_topics(cn, out) == -1) {
        return -1;
    }

    value = connector_get(cn, "consumer.override.group.id");
    buf_addf(out, "    \"group\": ");
    connector_string(out, value ? value : name, strlen(value ? value : name));

    value = connector_get(cn, "consumer.override.auto.offset.reset");
    if (value && strcmp(value, "latest") == 0
        && connector_get(cn, "topics") == NULL)
    {
        connector_note("consumer.override.auto.offset.reset", "a pattern of "
                       "topics starts at the earliest record");
        value = NULL;
    }

    buf_addf(out, ",\n    \"start\": \"%s\",\n",
             value && strcmp(value, "latest") == 0 ? value : "earliest");

    value = connector_get(cn, "consumer.override.bootstrap.servers");
    if (value == NULL) {
        value = "127.0.0.1:9092";
        report_error("look over \"bootstrap.servers\" of \"kafka\": the "
                     "connector has its brokers from its worker");
    }

    buf_addf(out, "    \"kafka\": { \"bootstrap.servers\": ");
    connector_string(out, value, strlen(value));
    buf_addf(out, " },\n    \"postgres\": ");

    rc = connector_conninfo(cn, &conninfo);
    if (rc == 0 && !buf_failed(&conninfo)) {
        connector_string(out, conninfo.data, conninfo.len);
    }
    buf_free(&conninfo);

    if (rc == -1 || connector_format(cn, out) == -1
        || connector_rows(cn, out) == -1)
    {
        return -1;
    }

    connector_transforms(cn);
    connector_tail(cn, out);
    buf_addf(out, "    \"listen\": \"127.0.0.1:9465\"\n}\n");

    if (buf_failed(out)) {
        return report_error("out of memory");
    }

    return 0;
}


/* "topic" or "topics", and "table" where "topics" does not name them. */

static int
connector_topics(const connector_t *cn, buf_t *out)
{
    size_t       len;
    unsigned     n;
    const char  *topics, *format, *s, *item;

    topics = connector_get(cn, "topics");
    format = connector_get(cn, "collection.name.format");
    format = format ? format : connector_get(cn, "table.name.format");
    format = format ? format : CONNECTOR_PLACE;

    if (topics == NULL) {
        return connector_pattern(cn, format, out);
    }

    for (n = 0, s = topics; connector_item(&s, &item); n++) { /* void */ }

    if (n == 0) {
        return connector_refuse(cn, "topics", "it names no topic");
    }

    buf_addf(out, n == 1 ? "    \"topic\": " : "    \"topics\": {");

    for (s = topics; (len = connector_item(&s, &item)) > 0; ) {
        buf_addf(out, "%s", n == 1 ? "" : "\n        ");
        connector_string(out, item, len);
        buf_addf(out, n == 1 ? ",\n    \"table\": " : ": ");

        if (connector_table(cn, format, item, len, out) == -1) {
            return -1;
        }

        buf_addf(out, n == 1 || s[strspn(s, CONNECTOR_LIST)] ? "," : "");
    }

    buf_addf(out, n == 1 ? "\n" : "\n    },\n");

    return 0;
}


/* Java matches the whole name.  What POSIX reads otherwise is refused. */

static int
connector_pattern(const connector_t *cn, const char *format, buf_t *out)
{
    buf_t        text = { 0 };
    const char  *regex, *p, *place;

    regex = connector_get(cn, "topics.regex");
    if (regex == NULL) {
        return connector_refuse(cn, "topics", "neither it nor topics.regex is "
                                "there");
    }

    for (p = regex; *p; p++) {
        if ((*p == '\\' && (isalnum((unsigned char) p[1]) || p[1] == '\0'))
            || (*p == '(' && p[1] == '?') || (*p == '&' && p[1] == '&')
            || (strchr("*+?}", *p) && (p[1] == '?' || p[1] == '+')))
        {
            return connector_refuse(cn, "topics.regex", "it has forms of Java "
                "that POSIX does not have, such as \"\\d\" and \"(?\": write "
                "it as a POSIX extended regular expression ([0-9])");
        }
    }

    buf_addf(&text, "^(%s)$", regex);
    buf_addf(out, "    \"topics\": ");
    if (!buf_failed(&text)) {
        connector_string(out, text.data, text.len);
    }
    buf_free(&text);
    buf_addf(out, ",\n    \"table\": ");

    place = strstr(format, CONNECTOR_PLACE);
    if (place == NULL) {
        if (connector_add_table(cn, format, out) == -1) {
            return -1;
        }
        buf_addf(out, ",\n");
        return 0;
    }

    p = strchr(format, '.');
    if (strchr(place, '.') || strpbrk(format, "\"\\") || strchr(place + 1, '$')
        || (p && strchr(p + 1, '.')))
    {
        return connector_refuse(cn, "the table's name with topics.regex",
                                "${topic} must be in the last part of "
                                "\"SCHEMA.TABLE\": list the topics in "
                                "\"topics\"");
    }

    connector_note("topics.regex with ${topic}", "a topic's name is the "
                   "table's byte for byte, with its dots: if a topic has dots, "
                   "list the topics in \"topics\"");

    buf_addf(out, "\"%.*s%.*s{topic}%s\",\n    \"tables\": [\"%.*s.*\"],\n",
             p ? 0 : 7, "public.", (int) (place - format), format,
             place + strlen(CONNECTOR_PLACE), p ? (int) (p - format) : 6,
             p ? format : "public");

    return 0;
}


/* The table of one topic, by the rules of the sink. */

static int
connector_table(const connector_t *cn, const char *format, const char *topic,
    size_t len, buf_t *out)
{
    int          n;
    char         table[CONNECTOR_NAME], *p, *end;
    size_t       before;
    const char  *place;

    if (connector_mapped(cn, topic, len, table)) {
        return connector_add_table(cn, table, out);
    }

    place = strstr(format, CONNECTOR_PLACE);
    if (place == NULL) {
        return connector_add_table(cn, format, out);
    }

    before = (size_t) (place - format);
    n = snprintf(table, sizeof(table), "%.*s%.*s%s", (int) before, format,
                 (int) len, topic, place + strlen(CONNECTOR_PLACE));
    if (n < 0 || (size_t) n >= sizeof(table)) {
        return connector_refuse(cn, "the table's name", "it is too long");
    }

    /* Debezium's sink alone writes a topic's dots as underscores */
    if (cn->sink == CONNECTOR_DEBEZIUM) {
        for (p = table + before, end = p + len; p < end; p++) {
            *p = *p == '.' ? '_' : *p;
        }
    }

    return connector_add_table(cn, table, out);
}


/* Aiven's "topic:table,topic:table". */

static bool
connector_mapped(const connector_t *cn, const char *topic, size_t len,
    char *table)
{
    size_t       n;
    const char  *s, *item;

    s = connector_get(cn, "topics.to.tables.mapping");

    while (s && (n = connector_item(&s, &item)) > 0) {
        if (n > len && item[len] == ':' && strncmp(item, topic, len) == 0
            && n - len < CONNECTOR_NAME)
        {
            snprintf(table, CONNECTOR_NAME, "%.*s", (int) (n - len - 1),
                     item + len + 1);
            return true;
        }
    }

    return false;
}


/* "TABLE", "SCHEMA.TABLE" or "CATALOG.SCHEMA.TABLE". */

static int
connector_add_table(const connector_t *cn, const char *table, buf_t *out)
{
    size_t       dots;
    const char  *p;

    for (dots = 0, p = table; *p; p++) {
        dots += *p == '.';
    }

    if (strpbrk(table, "\"${}") || *table == '\0' || dots > 2) {
        return report_error("%s: cannot convert the table's name \"%s\": it "
                            "must be TABLE or SCHEMA.TABLE, with ${topic} "
                            "alone in it: name the table in table.name.format "
                            "or collection.name.format", cn->file, table);
    }

    p = dots == 2 ? strchr(table, '.') + 1 : table;
    connector_name(cn, out, p, strlen(p));

    return 0;
}


/* "mode", "key" and "columns". */

static int
connector_rows(const connector_t *cn, buf_t *out)
{
    bool             debezium, keyed;
    size_t           len;
    const char      *mode, *s, *item, *between;
    connector_pk_t   pk;

    debezium = cn->sink == CONNECTOR_DEBEZIUM;
    pk.option = debezium ? "primary.key.mode" : "pk.mode";
    pk.names = debezium ? "primary.key.fields" : "pk.fields";
    pk.mode = connector_word(cn, pk.option, connector_modes);
    s = connector_get(cn, pk.names);
    pk.fields = s && connector_item(&s, &item) ? connector_get(cn, pk.names)
                                               : NULL;

    if (pk.mode && strcmp(pk.mode, "kafka") == 0 && pk.fields == NULL) {
        pk.fields = "__connect_topic,__connect_partition,__connect_offset";
    }

    mode = connector_word(cn, "insert.mode", connector_inserts);
    if (mode == NULL || pk.mode == NULL) {
        return -1;
    }

    keyed = strcmp(mode, "upsert") == 0 || strcmp(mode, "update") == 0;

    if (keyed && pk.fields == NULL) {
        return connector_refuse(cn, pk.names, "upsert and update need the "
                                "columns of the key: name them there");
    }

    connector_delete(cn, strcmp(mode, "upsert") == 0, out);

    if (strcmp(mode, "update") == 0) {
        buf_addf(out, "    \"mode\": \"update\",\n");
    }

    if (keyed) {
        buf_addf(out, "    \"key\": [");
        s = pk.fields;
        for (between = ""; (len = connector_item(&s, &item)); between = ", ") {
            buf_addf(out, "%s", between);
            connector_name(cn, out, item, len);
        }
        buf_addf(out, "],\n");
    }

    return connector_columns(cn, &pk, out);
}


/* A key's value in the case of "words", or NULL after an error line. */

static const char *
connector_word(const connector_t *cn, const char *name,
    const char *const *words)
{
    const char         *value;
    const char *const  *word;

    value = connector_get(cn, name);

    for (word = words; value && *word; word++) {
        if (strcasecmp(value, *word) == 0) {
            return *word;
        }
    }

    if (value) {
        report_error("%s: cannot convert %s: \"%s\" is no value that is known",
                     cn->file, name, value);
        return NULL;
    }

    return words[0];
}


/* "mode" of an upsert, by whether a record deletes; else only what is said. */

static void
connector_delete(const connector_t *cn, bool upserts, buf_t *out)
{
    size_t       i, len;
    const char  *name;

    if (!upserts) {
        if (connector_is_on(cn, "delete.enabled")) {
            connector_note("delete.enabled", "only \"mode\": "
                           "\"upsert_delete\" deletes rows, and it needs "
                           "\"key\"");
        }
        return;
    }

    buf_addf(out, "    \"mode\": \"%s\",\n",
             connector_is_on(cn, "delete.enabled") ? "upsert_delete"
                                                   : "upsert");

    for (i = 0; connector_is_on(cn, "delete.enabled") && i < cn->n; i++) {
        name = cn->pairs[i].name;
        len = strlen(name);

        if (strncmp(name, "transforms.", 11) == 0 && len > 14
            && strcmp(name + len - 14, ".handling.mode") == 0
            && strcmp(cn->pairs[i].value, "rewrite") == 0)
        {
            buf_addf(out, "    \"delete_when\": { \"path\": \"/__deleted\", "
                     "\"equals\": \"true\" },\n");
            break;
        }
    }
}


/* "auto", or the columns that the connector names and those of the key. */

static int
connector_columns(const connector_t *cn, const connector_pk_t *pk, buf_t *out)
{
    size_t       len;
    const char  *option, *fields, *s, *item, *between;

    option = cn->sink == CONNECTOR_DEBEZIUM ? "field.include.list"
                                            : "fields.whitelist";
    fields = connector_get(cn, option);

    if (fields && strchr(fields, ':')) {
        return connector_refuse(cn, option, "it names the topic of a field: "
                                "give each topic a daemon of its own");
    }

    s = fields ? fields : "";

    if (connector_item(&s, &item) == 0) {
        if (strcmp(pk->mode, "kafka") == 0
            || strcmp(pk->mode, "record_header") == 0)
        {
            return report_error("%s: cannot convert %s: %s: the table's other "
                                "columns are not known: name them in %s",
                                cn->file, pk->option, pk->mode, option);
        }

        if (strcmp(pk->mode, "record_key") == 0) {
            connector_note(pk->option, "the columns of \"key\" take the "
                           "value's fields of these names; if only the "
                           "record's key has them, list all columns: "
                           "\"id\": { \"key\": \"/id\" }");
        }

        if (cn->folds) {
            connector_note(cn->quoting, "names were not quoted, so those of "
                           "columns are lower case: if a field has upper case, "
                           "list all columns: \"userid\": \"/userId\"");
        }

        buf_addf(out, "    \"columns\": \"auto\",\n");
        return 0;
    }

    buf_addf(out, "    \"columns\": {");
    between = "";

    for (s = pk->fields; s && (len = connector_item(&s, &item)) > 0; ) {
        buf_addf(out, "%s", between);
        connector_column(cn, pk, item, len, out);
        between = ",";
    }

    for (s = fields; (len = connector_item(&s, &item)) > 0; ) {
        if (!connector_has(pk->fields, item, len)) {
            buf_addf(out, "%s", between);
            connector_column(cn, NULL, item, len, out);
            between = ",";
        }
    }

    buf_addf(out, "\n    },\n");

    return 0;
}


/* A column of the key, or with NULL one of the value. */

static void
connector_column(const connector_t *cn, const connector_pk_t *pk,
    const char *name, size_t len, buf_t *out)
{
    char         pointer[2 * CONNECTOR_NAME];
    size_t       n, i;
    const char  *s, *item, *from, *class;

    static const char *const  metas[] = { "topic", "partition", "offset" };

    len = len < CONNECTOR_NAME ? len : CONNECTOR_NAME;
    n = (size_t) (json_pointer_escape(pointer, name, len) - pointer);
    buf_addf(out, "\n        ");
    connector_name(cn, out, name, len);
    from = "path";

    if (pk && strcmp(pk->mode, "kafka") == 0) {
        s = pk->fields;
        for (i = 0; i < 2 && connector_item(&s, &item) && item != name; i++) {
            /* void */
        }
        buf_addf(out, ": { \"meta\": \"%s\" }", metas[i]);
        return;
    }

    if (pk && strcmp(pk->mode, "record_header") == 0) {
        buf_addf(out, ": { \"header\": ");
        connector_string(out, name, len);
        buf_addf(out, " }");
        return;
    }

    if (pk && strcmp(pk->mode, "record_key") == 0) {
        class = connector_get(cn, "key.converter");
        if (class && (strstr(class, "StringConverter")
                      || strstr(class, "ByteArrayConverter")))
        {
            buf_addf(out, ": { \"meta\": \"key\" }");
            return;
        }
        from = "key";
    }

    buf_addf(out, ": { \"%s\": \"/", from);
    text_add_json(out, pointer, n);
    buf_addf(out, "\" }");
}


static bool
connector_has(const char *list, const char *name, size_t len)
{
    size_t       n;
    const char  *item;

    while (list && (n = connector_item(&list, &item)) > 0) {
        if (n == len && memcmp(item, name, n) == 0) {
            return true;
        }
    }

    return false;
}


/* Batches and bad records. */

static void
connector_tail(const connector_t *cn, buf_t *out)
{
    long         rows;
    char        *end;
    const char  *size, *tolerance, *topic;

    size = connector_get(cn, "batch.size");
    if (size) {
        rows = strtol(size, &end, 10);
        if (*end == '\0' && rows >= 1 && rows <= 1000000) {
            buf_addf(out, "    \"batch\": { \"rows\": %ld },\n", rows);
        } else {
            connector_note("batch.size", "\"rows\" of \"batch\" is 1 to "
                           "1000000");
        }
    }

    tolerance = connector_get(cn, "errors.tolerance");
    topic = connector_get(cn, "errors.deadletterqueue.topic.name");
    topic = topic && *topic ? topic : NULL;

    if (tolerance == NULL && topic == NULL) {
        return;
    }

    buf_addf(out, "    \"dead_letters\": { ");

    if (topic) {
        buf_addf(out, "\"topic\": ");
        connector_string(out, topic, strlen(topic));
    }

    if (tolerance) {
        buf_addf(out, "%s\"hold_above\": %d", topic ? ", " : "",
                 strcasecmp(tolerance, "all") == 0);
    }

    buf_addf(out, " },\n");
}
