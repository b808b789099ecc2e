/*
 * The subcommand init: makes the files of a new topic from a sample event, or
 * the configuration that takes the place of a JDBC sink connector.
 */

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "postgres/ddl.h"
#include "tools/command.h"
#include "tools/connector.h"


#define INIT_SAMPLE_MAX  (1024 * 1024)    /* bytes */
#define INIT_NAME_MAX    63               /* bytes of an SQL name */
#define INIT_PATH_MAX    4096
#define INIT_BIGINT      18               /* digits that a bigint holds */


typedef struct {
    tool_t       tool;

    /* options */
    const char  *sample;
    const char  *connector;
    const char  *name;         /* of topic, group, table and files */
    const char  *directory;

    char         own_name[INIT_NAME_MAX + 1];
    buf_t        text;         /* the sample */
    json_doc_t   doc;
    buf_t        schema;
    buf_t        conf;
    buf_t        sql;
} init_t;


typedef struct {
    const buf_t  *text;
    bool          made;
    char          path[INIT_PATH_MAX];
    char          part[INIT_PATH_MAX + sizeof(".part")];
} init_file_t;


/* The types that a value of the sample suggests. */
typedef struct {
    const char  *column;    /* type of PostgreSQL */
    const char  *type;      /* of JSON Schema; NULL: any */
    const char  *format;    /* a member of JSON Schema, or "" */
} init_kind_t;


static int init_check(tool_t *tool);
static int init_run(tool_t *tool);
static const char *init_input(const init_t *init);
static int init_connector(init_t *init);
static int init_read(init_t *init);
static int init_parse(init_t *init);
static int init_make(init_t *init);
static void init_schema(const init_t *init, buf_t *out, uint32_t token,
    int indent);
static void init_conf(const init_t *init, buf_t *out);
static void init_column(const init_t *init, buf_t *out, uint32_t name);
static init_kind_t init_kind(const init_t *init, uint32_t token);
static init_kind_t init_string(const char *s, size_t len);
static bool init_has_form(const char *s, size_t len, const char *form);
static int init_ddl(init_t *init);
static int init_write(const init_t *init);
static int init_put(init_file_t *file, const init_t *init);


static const option_t  init_options[] = {
    OPTION("sample",         TEXT, init_t, sample),
    OPTION("from-connector", TEXT, init_t, connector),
    OPTION("name",           TEXT, init_t, name),
    OPTION("directory",      TEXT, init_t, directory),
    OPTION_END
};

const command_t  command_init = {
    .name = "init",
    .help = "make a configuration from a sample event or a connector",
    .bare = true,
    .size = sizeof(init_t),
    .options = init_options,
    .check = init_check,
    .run = init_run,
    .usage =
    "--sample FILE | --from-connector FILE [--name NAME]\n"
    "    [--directory DIRECTORY]\n"
    "\n"
    "With --sample, reads one event, a JSON object, and makes the files that\n"
    "a topic needs to begin with: a JSON Schema for nginx, the configuration\n"
    "of a daemon and the SQL of its table.  NAME is used for topic, group,\n"
    "table and files.\n"
    "\n"
    "With --from-connector, reads the JSON of a sink connector of Kafka\n"
    "Connect, the JDBC sink of Confluent, Aiven or Debezium, and makes the\n"
    "configuration of a daemon.  Keys that it has no part of are named on\n"
    "standard error, \"not converted: KEY: REASON\".  No password is copied.\n"
    "NAME is used for the group and the file.\n"
    "\n"
    "By default NAME is the name of FILE without its extension.  No file is\n"
    "overwritten: if one of them exists, none is written.\n"
};


/* The name must suit nginx's configuration and the names of files. */

static int
init_check(tool_t *tool)
{
    size_t       len;
    init_t      *init = (init_t *) tool;
    const char  *slash;

    if ((init->sample == NULL) == (init->connector == NULL)) {
        return -1;
    }

    if (init->name == NULL) {
        slash = strrchr(init_input(init), '/');
        slash = slash ? slash + 1 : init_input(init);
        snprintf(init->own_name, sizeof(init->own_name), "%.*s",
                 (int) strcspn(slash, "."), slash);
        init->name = init->own_name;
    }

    for (len = 0; isalnum((unsigned char) init->name[len])
                  || init->name[len] == '_' || init->name[len] == '-'; len++)
    {
        /* void */
    }

    if (init->name[len] != '\0' || len == 0 || len > INIT_NAME_MAX) {
        return report_error("--name must be of 1 to %d letters, digits, \"_\" "
                            "and \"-\"", INIT_NAME_MAX);
    }

    return 0;
}


static const char *
init_input(const init_t *init)
{
    return init->sample ? init->sample : init->connector;
}


static int
init_run(tool_t *tool)
{
    int      rc;
    init_t  *init = (init_t *) tool;

    rc = -1;

    if (init->connector) {
        rc = init_connector(init);

    } else if (init_read(init) == 0 && init_make(init) == 0
        && init_write(init) == 0)
    {
        printf("\nIn the kafka_producer block of nginx.conf:\n\n"
               "    topic  %s partitions=4 create schema=%s.schema.json;\n\n"
               "Look the types over, say where Kafka and PostgreSQL are, "
               "then:\n\n"
               "    sluice-consumer --config %s.json --check\n", init->name,
               init->name, init->name);
        rc = 0;
    }

    buf_free(&init->schema);
    buf_free(&init->conf);
    buf_free(&init->sql);
    json_doc_free(&init->doc);
    buf_free(&init->text);

    return rc;
}


/* The configuration alone: the connector's table is there. */

static int
init_connector(init_t *init)
{
    int            rc;
    char           err[CONF_ERROR_MAX];
    connector_t    cn;
    const conf_t  *conf;

    memset(&cn, 0, sizeof(cn));

    rc = init_parse(init);
    if (rc == 0) {
        rc = connector_read(&cn, init->connector, init->text.data, &init->doc);
    }
    if (rc == 0) {
        rc = connector_conf(&cn, init->name, &init->conf);
    }
    connector_free(&cn);

    if (rc == -1) {
        return -1;
    }

    /* the configuration's own reader proves the text that was made */
    conf = conf_parse(init->name, init->conf.data, init->conf.len, err);
    if (conf == NULL) {
        return report_error("%s makes a configuration that cannot be used: %s",
                            init->connector, err);
    }
    conf_free(conf);

    rc = init_write(init);
    if (rc == 0) {
        printf("\nLook it over, then:\n\n"
               "    sluice-consumer --config %s.json --check\n", init->name);
    }

    return rc;
}


static int
init_read(init_t *init)
{
    if (init_parse(init) == -1) {
        return -1;
    }

    if (init->doc.tokens[0].type != JSON_OBJECT
        || init->doc.tokens[0].next == 1)
    {
        return report_error("%s:1:1: the sample must be an object with at "
                            "least one member", init->sample);
    }

    return 0;
}


static int
init_parse(init_t *init)
{
    unsigned      line, column;
    const char   *file;
    json_error_t  err;

    file = init_input(init);

    if (buf_load(&init->text, file, INIT_SAMPLE_MAX) == -1) {
        return report_error("%s: %s", file, errno == EFBIG ? "larger than 1 MiB"
                            : strerror(errno));
    }

    if (json_parse(&init->doc, init->text.data, init->text.len, &err) == -1) {
        json_position(init->text.data, init->text.len, err.offset, &line,
                      &column);
        return report_error("%s:%u:%u: %s", file, line, column, err.reason);
    }

    return 0;
}


static int
init_make(init_t *init)
{
    init_schema(init, &init->schema, 0, 0);
    buf_addf(&init->schema, "\n");
    init_conf(init, &init->conf);

    if (buf_failed(&init->schema) || buf_failed(&init->conf)) {
        return report_error("out of memory");
    }

    return init_ddl(init);
}


/* The names of members are copied with their escapes. */

static void
init_schema(const init_t *init, buf_t *out, uint32_t token, int indent)
{
    bool                 comma;
    uint32_t             name;
    init_kind_t          kind;
    const json_token_t  *t, *n;

    t = &init->doc.tokens[token];

    if (t->type != JSON_OBJECT || t->next == token + 1) {
        kind = init_kind(init, token);
        if (kind.type) {
            buf_addf(out, "{ \"type\": \"%s\"%s }", kind.type, kind.format);
        } else {
            buf_addf(out, "{}");
        }
        return;
    }

    buf_addf(out, "{\n%*s\"type\": \"object\",\n%*s\"required\": [",
             indent + 4, "", indent + 4, "");

    for (name = token + 1, comma = false; name < t->next;
         name = init->doc.tokens[name + 1].next)
    {
        if (init->doc.tokens[name + 1].type != JSON_NULL) {
            n = &init->doc.tokens[name];
            buf_addf(out, "%s\"%.*s\"", comma ? ", " : "",
                     (int) (n->end - n->start), init->text.data + n->start);
            comma = true;
        }
    }

    buf_addf(out, "],\n%*s\"properties\": {", indent + 4, "");

    for (name = token + 1; name < t->next;
         name = init->doc.tokens[name + 1].next)
    {
        n = &init->doc.tokens[name];
        buf_addf(out, "%s\n%*s\"%.*s\": ", name == token + 1 ? "" : ",",
                 indent + 8, "", (int) (n->end - n->start),
                 init->text.data + n->start);
        init_schema(init, out, name + 1, indent + 8);
    }

    buf_addf(out, "\n%*s}\n%*s}", indent + 4, "", indent, "");
}


static void
init_conf(const init_t *init, buf_t *out)
{
    size_t               i, n;
    uint32_t             name;
    const json_token_t  *tokens;

    /*
     * The columns that tell of the record, by which verify and where look at
     * rows.  Each has the first of its names that is not in the event.
     */
    static const struct {
        const char  *meta;
        const char  *type;
        const char  *names[3];
    } own[] = {
        { "partition", "integer", { "kafka_partition", "sluice_partition" } },
        { "offset", "bigint", { "kafka_offset", "sluice_offset" } },
        { "timestamp", "timestamptz",
          { "created_at", "kafka_timestamp", "sluice_timestamp" } },
    };

    tokens = init->doc.tokens;

    buf_addf(out, "{\n"
             "    \"topic\": \"%s\",\n"
             "    \"group\": \"%s\",\n"
             "    \"start\": \"earliest\",\n"
             "    \"kafka\": { \"bootstrap.servers\": \"127.0.0.1:9092\" },\n"
             "    \"postgres\": \"host=127.0.0.1 dbname=sluice"
             " user=app_writer\",\n"
             "    \"table\": \"%s\",\n"
             "    \"create_table\": true,\n"
             "    \"columns\": {\n", init->name, init->name, init->name);

    for (name = 1; name < tokens[0].next; name = tokens[name + 1].next) {
        init_column(init, out, name);
    }

    for (i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        for (n = 0; n < 2 && own[i].names[n + 1]; n++) {
            if (json_member(&init->doc, 0, own[i].names[n],
                            strlen(own[i].names[n])) == JSON_NONE)
            {
                break;
            }
        }

        buf_addf(out, "%s        \"%s\": { \"meta\": \"%s\", \"type\": "
                 "\"%s\" }", i ? ",\n" : "", own[i].names[n], own[i].meta,
                 own[i].type);
    }

    buf_addf(out, "\n    },\n    \"listen\": \"127.0.0.1:9465\"\n}\n");
}


static void
init_column(const init_t *init, buf_t *out, uint32_t name)
{
    char     *decoded, pointer[2 * INIT_NAME_MAX];
    size_t    len;
    uint32_t  value;

    value = name + 1;
    decoded = malloc(init->doc.tokens[name].end - init->doc.tokens[name].start
                     + 1);
    if (decoded == NULL) {
        report_error("out of memory: a column is left out");
        return;
    }

    len = json_unescape(&init->doc, name, decoded);

    if (len == 0 || len > INIT_NAME_MAX) {
        report_error("member \"%.*s\" is left out: no column can have its "
                     "name", (int) len, decoded);

    } else {
        buf_addf(out, "        \"");
        text_add_json(out, decoded, len);
        buf_addf(out, "\": { \"path\": \"/");
        text_add_json(out, pointer,
                      (size_t) (json_pointer_escape(pointer, decoded, len)
                                - pointer));
        buf_addf(out, "\", \"type\": \"%s\"%s },\n",
                 init_kind(init, value).column,
                 init->doc.tokens[value].type == JSON_NULL
                 ? "" : ", \"required\": true");
    }

    free(decoded);
}


static init_kind_t
init_kind(const init_t *init, uint32_t token)
{
    size_t               len;
    const char          *s;
    const json_token_t  *t = &init->doc.tokens[token];

    s = init->text.data + t->start;
    len = t->end - t->start;

    switch (t->type) {

    case JSON_TRUE:
    case JSON_FALSE:
        return (init_kind_t) { "boolean", "boolean", "" };

    case JSON_NUMBER:
        if (memchr(s, '.', len) || memchr(s, 'e', len) || memchr(s, 'E', len))
        {
            return (init_kind_t) { "numeric", "number", "" };
        }
        return (init_kind_t) { len <= INIT_BIGINT ? "bigint" : "numeric",
                               "integer", "" };

    case JSON_OBJECT:
        return (init_kind_t) { "jsonb", "object", "" };

    case JSON_ARRAY:
        return (init_kind_t) { "jsonb", "array", "" };

    case JSON_STRING:
        return init_string(s, len);

    default:
        return (init_kind_t) { "text", NULL, "" };
    }
}


/* By the format, nginx refuses values that the column could not take. */

static init_kind_t
init_string(const char *s, size_t len)
{
    if (init_has_form(s, len, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")) {
        return (init_kind_t) { "uuid", "string", ", \"format\": \"uuid\"" };
    }

    if (init_has_form(s, len, "0000-00-00T00:00:00")) {
        /* RFC 3339 requires a zone */
        return (init_kind_t) {
            "timestamptz", "string",
            s[len - 1] == 'Z' || s[len - 6] == '+' || s[len - 6] == '-'
            ? ", \"format\": \"date-time\"" : "" };
    }

    if (init_has_form(s, len, "0000-00-00")) {
        return (init_kind_t) { "date", "string", ", \"format\": \"date\"" };
    }

    return (init_kind_t) { "text", "string", "" };
}


/* Whether a string has a form, in which 'x' is a hex digit, '0' a digit. */

static bool
init_has_form(const char *s, size_t len, const char *form)
{
    size_t         i;
    unsigned char  c;

    for (i = 0; i < len && form[i]; i++) {
        c = (unsigned char) s[i];
        if (form[i] == 'x' ? !isxdigit(c)
            : form[i] == '0' ? !isdigit(c) : c != (unsigned char) form[i])
        {
            return false;
        }
    }

    /* behind a time, a fraction and a zone may follow */
    return form[i] == '\0' && (i == len || strchr(form, ':'));
}


/* The configuration's own reader proves the text that was made. */

static int
init_ddl(init_t *init)
{
    char           err[CONF_ERROR_MAX];
    const conf_t  *conf;

    conf = conf_parse(init->name, init->conf.data, init->conf.len, err);
    if (conf == NULL) {
        return report_error("%s", err);
    }

    ddl_table(&init->sql, conf);
    buf_addf(&init->sql, ";\n");
    conf_free(conf);

    return buf_failed(&init->sql) ? -1 : 0;
}


/* Writes all files or none; each gets its name when it is whole. */

static int
init_write(const init_t *init)
{
    int          i, rc;
    init_file_t  files[3];

    static const char *const  suffixes[] = { ".schema.json", ".json", ".sql" };

    memset(files, 0, sizeof(files));
    files[0].text = &init->schema;
    files[1].text = &init->conf;
    files[2].text = &init->sql;

    for (i = 0, rc = 0; rc == 0 && i < 3; i++) {
        if (files[i].text->len == 0) {
            continue;
        }

        if (snprintf(files[i].path, INIT_PATH_MAX, "%s/%s%s",
                     init->directory ? init->directory : ".", init->name,
                     suffixes[i]) >= INIT_PATH_MAX)
        {
            return report_error("the path of the directory is too long");
        }

        rc = init_put(&files[i], init);
    }

    for (i = 0; i < 3; i++) {
        if (files[i].made && rc == -1) {
            (void) unlink(files[i].path);
        } else if (files[i].made) {
            printf("wrote %s\n", files[i].path);
        }
    }

    return rc;
}


/* Writes a file beside its name and links it there, if nothing is there. */

static int
init_put(init_file_t *file, const init_t *init)
{
    int          rc;
    FILE        *fp;
    struct stat  there, own;

    if (stat(file->path, &there) == 0 && stat(init_input(init), &own) == 0
        && there.st_dev == own.st_dev && there.st_ino == own.st_ino)
    {
        return report_error("%s is the %s itself: give --name or --directory",
                            file->path, init->sample ? "sample" : "connector");
    }

    snprintf(file->part, sizeof(file->part), "%s.part", file->path);

    fp = fopen(file->part, "wxe");
    if (fp == NULL) {
        return report_error("%s: %s", file->part, strerror(errno));
    }

    rc = fwrite(file->text->data, 1, file->text->len, fp) == file->text->len
         ? 0 : -1;
    rc = fclose(fp) == 0 ? rc : -1;
    rc = rc == 0 ? link(file->part, file->path) : -1;
    file->made = rc == 0;

    if (rc == -1) {
        report_error("%s: %s", file->path, strerror(errno));
    }

    (void) unlink(file->part);

    return rc;
}
