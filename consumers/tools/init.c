/* The subcommand init: from a sample event to files to start from. */

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "postgres/ddl.h"
#include "tools/init.h"


#define INIT_SAMPLE_MAX  (1024 * 1024)    /* bytes */
#define INIT_NAME_MAX    63               /* bytes of an SQL name */
#define INIT_PATH_MAX    4096
#define INIT_BIGINT      18               /* digits that surely fit */


typedef struct {
    const char  *sample;
    const char  *name;         /* of topic, group, table and files */
    const char  *directory;
    char        *text;
    size_t       len;
    json_doc_t   doc;
} init_t;


static int init_options(init_t *init, int argc, char **argv);
static int init_read(init_t *init);
static void init_schema(const init_t *init, buf_t *out, uint32_t token,
    int indent);
static void init_conf(const init_t *init, buf_t *out);
static int init_ddl(const init_t *init, const buf_t *text, buf_t *out);
static int init_write(const init_t *init, const char *suffix,
    const buf_t *text);


const char  init_usage[] =
    "--sample FILE [--name NAME] [--directory DIRECTORY]\n"
    "\n"
    "Makes of one event, a JSON object, what a topic needs to begin with: the\n"
    "JSON Schema nginx checks by, the configuration of a daemon and the SQL\n"
    "of its table.  NAME is that of topic, group, table and files; by default\n"
    "FILE's without its extension.  Overwrites nothing.\n";


int
init_run(const conf_t *conf, int argc, char **argv)
{
    int     rc;
    buf_t   schema, config, sql;
    init_t  init;

    (void) conf;
    memset(&init, 0, sizeof(init_t));

    if (init_options(&init, argc, argv) == -1) {
        return COMMAND_USAGE;
    }

    memset(&schema, 0, sizeof(buf_t));
    memset(&config, 0, sizeof(buf_t));
    memset(&sql, 0, sizeof(buf_t));
    rc = COMMAND_FAILED;

    if (init_read(&init) == -1) {
        goto failed;
    }

    init_schema(&init, &schema, 0, 0);
    buf_addf(&schema, "\n");
    init_conf(&init, &config);

    if (buf_failed(&schema) || buf_failed(&config)) {
        fprintf(stderr, "out of memory\n");
        goto failed;
    }

    if (init_ddl(&init, &config, &sql) == -1
        || init_write(&init, ".schema.json", &schema) == -1
        || init_write(&init, ".json", &config) == -1
        || init_write(&init, ".sql", &sql) == -1)
    {
        goto failed;
    }

    printf("\nIn the kafka_producer block of nginx.conf:\n\n"
           "    topic  %s partitions=4 create schema=%s.schema.json;\n\n"
           "Look the types over, say where Kafka and PostgreSQL are, then:\n\n"
           "    sluice-consumer --config %s.json --check\n", init.name,
           init.name, init.name);
    rc = COMMAND_OK;

failed:

    buf_free(&schema);
    buf_free(&config);
    buf_free(&sql);
    json_doc_free(&init.doc);
    free(init.text);

    return rc;
}


/* The name stands in nginx's configuration and in names of files. */

static int
init_options(init_t *init, int argc, char **argv)
{
    int          i;
    size_t       len;
    const char  *slash, *p;
    static char  name[INIT_NAME_MAX + 1];

    init->directory = ".";

    for (i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--sample") == 0) {
            init->sample = argv[i + 1];

        } else if (strcmp(argv[i], "--name") == 0) {
            init->name = argv[i + 1];

        } else if (strcmp(argv[i], "--directory") == 0) {
            init->directory = argv[i + 1];

        } else {
            return -1;
        }
    }

    if (i != argc || init->sample == NULL) {
        return -1;
    }

    if (init->name == NULL) {
        slash = strrchr(init->sample, '/');
        slash = slash ? slash + 1 : init->sample;
        len = strcspn(slash, ".");
        snprintf(name, sizeof(name), "%.*s", (int) len, slash);
        init->name = name;
    }

    len = strlen(init->name);

    for (p = init->name; isalnum((unsigned char) *p) || *p == '_'
                         || *p == '-'; p++)
    {
        /* void */
    }

    if (*p != '\0' || len == 0 || len > INIT_NAME_MAX) {
        fprintf(stderr, "--name must be of 1 to %d letters, digits, \"_\" and "
                "\"-\"\n", INIT_NAME_MAX);
        return -1;
    }

    return 0;
}


static int
init_read(init_t *init)
{
    FILE          *fp;
    unsigned       line, column;
    json_error_t   err;

    init->text = malloc(INIT_SAMPLE_MAX + 1);
    fp = fopen(init->sample, "re");

    if (init->text == NULL || fp == NULL) {
        fprintf(stderr, "%s: %s\n", init->sample, strerror(errno));
        goto failed;
    }

    init->len = fread(init->text, 1, INIT_SAMPLE_MAX + 1, fp);

    if (ferror(fp) || init->len > INIT_SAMPLE_MAX) {
        fprintf(stderr, "%s: %s\n", init->sample, ferror(fp)
                ? strerror(errno) : "larger than 1 MiB");
        goto failed;
    }

    if (json_parse(&init->doc, init->text, init->len, &err) == -1) {
        json_position(init->text, init->len, err.offset, &line, &column);
        fprintf(stderr, "%s:%u:%u: %s\n", init->sample, line, column,
                err.reason);
        goto failed;
    }

    if (init->doc.tokens[0].type != JSON_OBJECT
        || init->doc.tokens[0].next == 1)
    {
        fprintf(stderr, "%s:1:1: the sample must be an object with at least "
                "one member\n", init->sample);
        goto failed;
    }

    fclose(fp);

    return 0;

failed:

    if (fp) {
        fclose(fp);
    }

    return -1;
}


static const char *
init_token(const init_t *init, uint32_t token, size_t *len)
{
    const json_token_t  *t;

    t = &init->doc.tokens[token];
    *len = t->end - t->start;

    return init->text + t->start;
}


static int
init_is_integer(const init_t *init, uint32_t token)
{
    size_t       len;
    const char  *s;

    s = init_token(init, token, &len);

    return memchr(s, '.', len) == NULL && memchr(s, 'e', len) == NULL
           && memchr(s, 'E', len) == NULL;
}


/* Whether a string has a form: 'x' a hex digit, '0' a digit, else itself. */

static int
init_has_form(const init_t *init, uint32_t token, const char *form)
{
    size_t         i, len;
    const char    *s;
    unsigned char  c;

    s = init_token(init, token, &len);

    for (i = 0; i < len && form[i]; i++) {
        c = (unsigned char) s[i];
        if (form[i] == 'x' ? !isxdigit(c)
            : form[i] == '0' ? !isdigit(c) : c != (unsigned char) form[i])
        {
            return 0;
        }
    }

    /* a time may go on: fraction and zone */
    return form[i] == '\0' && (i == len || strchr(form, ':'));
}


static const char *
init_type(const init_t *init, uint32_t token)
{
    size_t  len;

    switch (init->doc.tokens[token].type) {

    case JSON_TRUE:
    case JSON_FALSE:
        return "boolean";

    case JSON_NUMBER:
        (void) init_token(init, token, &len);
        return init_is_integer(init, token) && len <= INIT_BIGINT
               ? "bigint" : "numeric";

    case JSON_OBJECT:
    case JSON_ARRAY:
        return "jsonb";

    case JSON_STRING:
        return init_has_form(init, token,
                             "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx") ? "uuid"
               : init_has_form(init, token, "0000-00-00T00:00:00")
               ? "timestamptz"
               : init_has_form(init, token, "0000-00-00") ? "date" : "text";

    default:
        return "text";
    }
}


/* So that nginx refuses what the column could not take. */

static const char *
init_format(const init_t *init, uint32_t token)
{
    size_t       len;
    const char  *s, *type;

    s = init_token(init, token, &len);
    type = init_type(init, token);

    if (strcmp(type, "uuid") == 0) {
        return ", \"format\": \"uuid\"";
    }

    if (strcmp(type, "date") == 0) {
        return ", \"format\": \"date\"";
    }

    /* a time without a zone is none of RFC 3339 */
    return strcmp(type, "timestamptz") == 0
           && (s[len - 1] == 'Z' || s[len - 6] == '+' || s[len - 6] == '-')
           ? ", \"format\": \"date-time\"" : "";
}


static void
init_schema(const init_t *init, buf_t *out, uint32_t token, int indent)
{
    size_t               len;
    uint32_t             name;
    const char          *s;
    const json_token_t  *tokens;

    static const char *const  types[] = {
        "null", "boolean", "boolean", "number", "string", "array", "object"
    };

    tokens = init->doc.tokens;

    if (tokens[token].type == JSON_NULL) {
        /* it may be anything as well */
        buf_addf(out, "{}");
        return;
    }

    if (tokens[token].type != JSON_OBJECT || tokens[token].next == token + 1) {
        buf_addf(out, "{ \"type\": \"%s\"%s }",
                 tokens[token].type == JSON_NUMBER
                 && init_is_integer(init, token)
                 ? "integer" : types[tokens[token].type],
                 tokens[token].type == JSON_STRING
                 ? init_format(init, token) : "");
        return;
    }

    buf_addf(out, "{\n%*s\"type\": \"object\",\n%*s\"required\": [",
             indent + 4, "", indent + 4, "");

    for (name = token + 1, len = 0; name < tokens[token].next;
         name = tokens[name + 1].next)
    {
        if (tokens[name + 1].type != JSON_NULL) {
            buf_addf(out, len ? ", \"" : "\"");
            s = init_token(init, name, &len);
            buf_add(out, s, len);
            buf_addf(out, "\"");
            len = 1;
        }
    }

    buf_addf(out, "],\n%*s\"properties\": {", indent + 4, "");

    for (name = token + 1; name < tokens[token].next;
         name = tokens[name + 1].next)
    {
        /* names go as they came, escapes and all */
        s = init_token(init, name, &len);
        buf_addf(out, "%s\n%*s\"", name == token + 1 ? "" : ",", indent + 8,
                 "");
        buf_add(out, s, len);
        buf_addf(out, "\": ");
        init_schema(init, out, name + 1, indent + 8);
    }

    buf_addf(out, "\n%*s}\n%*s}", indent + 4, "", indent, "");
}


static void
init_column(const init_t *init, buf_t *out, uint32_t name)
{
    char        *decoded, path[2 * INIT_NAME_MAX + 1];
    size_t       i, n, len;

    (void) init_token(init, name, &len);
    decoded = malloc(len + 1);
    if (decoded == NULL) {
        buf_free(out);
        return;
    }

    len = json_unescape(&init->doc, name, decoded);

    if (len == 0 || len > INIT_NAME_MAX) {
        fprintf(stderr, "left out, as no column can have its name: \"%.*s\"\n",
                (int) len, decoded);
        free(decoded);
        return;
    }

    buf_addf(out, "        \"");
    text_add_json(out, decoded, len);
    buf_addf(out, "\": { \"path\": \"/");

    /* RFC 6901, section 3 */
    for (i = 0, n = 0; i < len; i++) {
        if (decoded[i] == '~' || decoded[i] == '/') {
            path[n++] = '~';
            path[n++] = decoded[i] == '~' ? '0' : '1';
        } else {
            path[n++] = decoded[i];
        }
    }

    text_add_json(out, path, n);
    buf_addf(out, "\", \"type\": \"%s\"%s },\n", init_type(init, name + 1),
             init->doc.tokens[name + 1].type == JSON_NULL
             ? "" : ", \"required\": true");
    free(decoded);
}


/* The name of a column for the record's time that the event does not use. */

static const char *
init_free_name(const init_t *init)
{
    size_t  i;

    static const char *const  names[] = {
        "created_at", "kafka_timestamp", "sluice_timestamp"
    };

    for (i = 0; i < 2; i++) {
        if (json_member(&init->doc, 0, names[i], strlen(names[i]))
            == JSON_NONE)
        {
            break;
        }
    }

    return names[i];
}


static void
init_conf(const init_t *init, buf_t *out)
{
    uint32_t             name;
    const json_token_t  *tokens;

    tokens = init->doc.tokens;

    buf_addf(out, "{\n"
             "    \"topic\": \"%s\",\n"
             "    \"group\": \"%s\",\n"
             "    \"start\": \"earliest\",\n"
             "    \"kafka\": { \"bootstrap.servers\": \"127.0.0.1:9092\" },\n"
             "    \"postgres\": \"host=127.0.0.1 dbname=sluice user=sluice\","
             "\n"
             "    \"table\": \"%s\",\n"
             "    \"create_table\": true,\n"
             "    \"columns\": {\n", init->name, init->name, init->name);

    for (name = 1; name < tokens[0].next; name = tokens[name + 1].next) {
        init_column(init, out, name);
    }

    buf_addf(out, "        \"%s\": { \"meta\": \"timestamp\", \"type\": "
             "\"timestamptz\" }\n    },\n"
             "    \"listen\": \"127.0.0.1:9465\"\n}\n",
             init_free_name(init));
}


/* By the configuration's own reader, which so proves it. */

static int
init_ddl(const init_t *init, const buf_t *text, buf_t *out)
{
    char     err[CONF_ERROR_MAX];
    conf_t  *conf;

    conf = conf_parse(init->name, text->data, text->len, err);
    if (conf == NULL) {
        fprintf(stderr, "%s\n", err);
        return -1;
    }

    ddl_table(out, conf);
    buf_addf(out, ";\n");
    conf_free(conf);

    return buf_failed(out) ? -1 : 0;
}


static int
init_write(const init_t *init, const char *suffix, const buf_t *text)
{
    int    rc;
    char   path[INIT_PATH_MAX];
    FILE  *fp;

    if (snprintf(path, sizeof(path), "%s/%s%s", init->directory, init->name,
                 suffix) >= (int) sizeof(path))
    {
        fprintf(stderr, "the directory's name is too long\n");
        return -1;
    }

    fp = fopen(path, "wxe");
    if (fp == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return -1;
    }

    rc = fwrite(text->data, 1, text->len, fp) == text->len ? 0 : -1;
    rc = fclose(fp) == 0 ? rc : -1;

    if (rc == -1) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return -1;
    }

    printf("wrote %s\n", path);

    return 0;
}
