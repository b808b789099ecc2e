/* Keeps schemas in memory, and asks the registry for those that are not. */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "json/json.h"
#include "registry/fetch.h"
#include "registry/schemas.h"


#define SCHEMAS_RETRY_LEAST  100     /* ms, while the registry is away */
#define SCHEMAS_RETRY_MOST   3000
#define SCHEMAS_HOLD         2000    /* ms, while a schema is unknown */
#define SCHEMAS_MESSAGE      200     /* bytes of the registry's own words */


/* A schema's text, and where it is. */
typedef struct {
    buf_t  path;
    buf_t  text;
} schemas_text_t;


struct schemas_s {
    const conf_t       *conf;
    fetch_t            *fetch;
    schema_t            list[SCHEMAS_MOST];
    size_t              n;
    size_t              bytes;
    uint64_t            clock;

    bool                wanting;
    uint32_t            id;
    bool                asking;      /* a request is under way */
    size_t              url;         /* the one that is asked */
    unsigned            tries;       /* that failed */
    int64_t             due;         /* ms, of the next request */
    schemas_text_t      texts[SCHEMAS_TEXTS];
    size_t              ntexts;      /* the schema's, then those it names */
    size_t              ndone;
    char                type[SCHEMAS_TYPE];

    json_doc_t          doc;
    schemas_figures_t   figures;
    char                reason[SCHEMAS_REASON];
};


static void schemas_ask(schemas_t *schemas);
static void schemas_away(schemas_t *schemas, const char *why);
static void schemas_hold(schemas_t *schemas, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static void schemas_refused(schemas_t *schemas, const fetch_result_t *result);
static void schemas_take(schemas_t *schemas, const buf_t *body);
static int schemas_string(schemas_t *schemas, uint32_t object,
    const char *name, buf_t *out);
static int schemas_references(schemas_t *schemas);
static int schemas_reference(schemas_t *schemas, uint32_t token);
static void schemas_compile(schemas_t *schemas);
static void schemas_keep(schemas_t *schemas, avro_schema_t *schema);


schemas_t *
schemas_create(const conf_t *conf, char *err)
{
    schemas_t  *schemas;

    snprintf(err, CONF_ERROR_MAX, "out of memory");
    schemas = calloc(1, sizeof(schemas_t));

    if (schemas == NULL) {
        return NULL;
    }

    schemas->conf = conf;
    schemas->figures.reason = schemas->reason;
    schemas->fetch = fetch_create(conf, err);

    if (schemas->fetch == NULL) {
        free(schemas);
        return NULL;
    }

    return schemas;
}


void
schemas_destroy(schemas_t *schemas)
{
    size_t  i;

    if (schemas == NULL) {
        return;
    }

    for (i = 0; i < schemas->n; i++) {
        avro_schema_free(schemas->list[i].schema);
    }

    for (i = 0; i < SCHEMAS_TEXTS; i++) {
        buf_free(&schemas->texts[i].path);
        buf_free(&schemas->texts[i].text);
    }

    fetch_destroy(schemas->fetch);
    json_doc_free(&schemas->doc);
    free(schemas);
}


const schema_t *
schemas_find(schemas_t *schemas, uint32_t id)
{
    size_t  i;

    for (i = 0; i < schemas->n; i++) {
        if (schemas->list[i].id == id) {
            schemas->list[i].used = ++schemas->clock;
            return &schemas->list[i];
        }
    }

    return NULL;
}


void
schemas_want(schemas_t *schemas, uint32_t id)
{
    if (schemas->wanting && schemas->id == id) {
        return;
    }

    schemas_forget(schemas);
    schemas->wanting = true;
    schemas->id = id;
    schemas->tries = 0;
    schemas->due = clock_ms();
}


void
schemas_forget(schemas_t *schemas)
{
    if (schemas->asking) {
        fetch_stop(schemas->fetch);
    }

    schemas->wanting = false;
    schemas->asking = false;
    schemas->reason[0] = '\0';
    schemas->figures.held = false;
    schemas->ntexts = 0;
    schemas->ndone = 0;
}


bool
schemas_wanting(const schemas_t *schemas)
{
    return schemas->wanting;
}


int
schemas_fd(const schemas_t *schemas)
{
    return fetch_fd(schemas->fetch);
}


int64_t
schemas_deadline(const schemas_t *schemas)
{
    int64_t  deadline;

    deadline = fetch_deadline(schemas->fetch);

    return schemas->wanting && !schemas->asking
           && (deadline == 0 || schemas->due < deadline)
           ? schemas->due : deadline;
}


const schemas_figures_t *
schemas_figures(const schemas_t *schemas)
{
    return &schemas->figures;
}


void
schemas_poll(schemas_t *schemas, int64_t now)
{
    fetch_result_t  result;

    switch (fetch_poll(schemas->fetch, now, &result)) {

    case FETCH_ANSWERED:
        schemas->asking = false;
        schemas->figures.status = result.status;

        if (result.status == 200) {
            schemas_take(schemas, result.body);
        } else {
            schemas_refused(schemas, &result);
        }
        break;

    case FETCH_FAILED:
        schemas->asking = false;
        schemas_away(schemas, result.reason);
        break;

    case FETCH_BUSY:
        break;
    }

    if (schemas->wanting && !schemas->asking && now >= schemas->due) {
        schemas_ask(schemas);
    }
}


static void
schemas_ask(schemas_t *schemas)
{
    schemas_text_t  *text;

    if (schemas->ndone == schemas->ntexts) {
        /* the first one, or all once more */
        schemas->ntexts = 1;
        schemas->ndone = 0;
        text = &schemas->texts[0];
        text->path.len = 0;
        buf_addf(&text->path, "/schemas/ids/%u", schemas->id);
    }

    text = &schemas->texts[schemas->ndone];

    if (buf_failed(&text->path)) {
        schemas_away(schemas, "out of memory");
        buf_free(&text->path);
        return;
    }

    schemas->figures.requests++;
    schemas->asking = true;
    fetch_start(schemas->fetch, schemas->url, text->path.data);
}


/* Notes why a schema is not there. */

static void
schemas_note(schemas_t *schemas, bool held, const char *reason)
{
    schemas->figures.failures++;

    schemas->figures.held = held;
    schemas->figures.turns += strcmp(schemas->reason, reason) != 0;
    snprintf(schemas->reason, sizeof(schemas->reason), "%s", reason);
}


/* The next of its servers is asked at once, then all again after a while. */

static void
schemas_away(schemas_t *schemas, const char *why)
{
    char     reason[SCHEMAS_REASON];
    int64_t  wait;

    snprintf(reason, sizeof(reason), "could not get schema %u from the schema "
             "registry at %.300s: %.300s", schemas->id,
             schemas->conf->registry_url.names[schemas->url], why);

    schemas->tries++;
    schemas->url = (schemas->url + 1) % schemas->conf->registry_url.n;
    schemas->due = clock_ms();

    if (schemas->tries < schemas->conf->registry_url.n) {
        schemas->figures.failures++;
        return;
    }

    schemas_note(schemas, false, reason);

    wait = SCHEMAS_RETRY_LEAST << (schemas->tries < 8 ? schemas->tries : 8);
    wait = wait < SCHEMAS_RETRY_MOST ? wait : SCHEMAS_RETRY_MOST;
    schemas->due += wait - random() % (wait / 4 + 1);
}


/* What the registry says of this schema may be mended there. */

static void
schemas_hold(schemas_t *schemas, const char *fmt, ...)
{
    char     reason[SCHEMAS_REASON];
    va_list  args;

    va_start(args, fmt);
    (void) vsnprintf(reason, sizeof(reason), fmt, args);
    va_end(args);

    schemas_note(schemas, true, reason);

    schemas->ndone = schemas->ntexts;
    schemas->url = (schemas->url + 1) % schemas->conf->registry_url.n;
    schemas->due = clock_ms() + SCHEMAS_HOLD - random() % (SCHEMAS_HOLD / 4);
}


static void
schemas_refused(schemas_t *schemas, const fetch_result_t *result)
{
    char          status[32];
    buf_t         message = { 0 };
    uint32_t      token;
    json_error_t  err;
    const char   *path = schemas->texts[schemas->ndone].path.data;
    const char   *url;

    if (result->status >= 500 || result->status == 408
        || result->status == 429)
    {
        snprintf(status, sizeof(status), "HTTP %d", result->status);
        schemas_away(schemas, status);
        return;
    }

    token = JSON_NONE;
    url = schemas->conf->registry_url.names[schemas->url];

    if (result->body->len
        && json_parse(&schemas->doc, result->body->data, result->body->len,
                      &err) == 0)
    {
        token = json_member(&schemas->doc, 0, "error_code", 10);
        (void) schemas_string(schemas, 0, "message", &message);
        json_one_line(message.data, message.len);
    }

    schemas_hold(schemas, "schema %u is %s: the schema registry at %.300s "
                 "answers HTTP %d%s%.*s to %.100s%s%.*s", schemas->id,
                 result->status == 404 ? "unknown" : "not given", url,
                 result->status, token == JSON_NONE ? "" : ", error ",
                 token == JSON_NONE ? 0
                 : (int) (schemas->doc.tokens[token].end
                          - schemas->doc.tokens[token].start),
                 token == JSON_NONE ? ""
                 : schemas->doc.text + schemas->doc.tokens[token].start,
                 path, message.len ? ": " : "",
                 message.len < SCHEMAS_MESSAGE ? (int) message.len
                                               : SCHEMAS_MESSAGE,
                 message.len ? message.data : "");

    buf_free(&message);
}


/* A string member, decoded; -1: there is none, or no memory. */

static int
schemas_string(schemas_t *schemas, uint32_t object, const char *name,
    buf_t *out)
{
    uint32_t             token;
    const json_token_t  *t;

    token = json_member(&schemas->doc, object, name, strlen(name));
    t = token == JSON_NONE ? NULL : &schemas->doc.tokens[token];
    out->len = 0;

    if (t == NULL || t->type != JSON_STRING
        || buf_reserve(out, t->end - t->start + 1) == -1)
    {
        return -1;
    }

    out->len = json_unescape(&schemas->doc, token, out->data);
    out->data[out->len] = '\0';

    return 0;
}


/* One of the texts has come. */

static void
schemas_take(schemas_t *schemas, const buf_t *body)
{
    buf_t            type = { 0 };
    json_error_t     err;
    schemas_text_t  *text;

    text = &schemas->texts[schemas->ndone];

    if (json_parse(&schemas->doc, body->len ? body->data : "", body->len,
                   &err) == -1
        || schemas_string(schemas, 0, "schema", &text->text) == -1)
    {
        schemas_hold(schemas, "schema %u: the answer of %.300s to %.100s is "
                     "not that of a schema registry", schemas->id,
                     schemas->conf->registry_url.names[schemas->url],
                     text->path.data);
        return;
    }

    if (schemas_string(schemas, 0, "schemaType", &type) == -1) {
        buf_free(&type);
    }

    if (schemas->ndone == 0) {
        json_one_line(type.data, type.len);
        snprintf(schemas->type, sizeof(schemas->type), "%s",
                 type.len ? type.data : "AVRO");
    }

    buf_free(&type);

    if (strcmp(schemas->type, "AVRO") != 0) {
        schemas_keep(schemas, NULL);
        return;
    }

    if (schemas_references(schemas) == -1) {
        return;
    }

    if (++schemas->ndone == schemas->ntexts) {
        schemas_compile(schemas);
    }
}


/* Adds what the text names, unless another one has named it before. */

static int
schemas_references(schemas_t *schemas)
{
    uint32_t  list, i;

    list = json_member(&schemas->doc, 0, "references", 10);

    if (list == JSON_NONE || schemas->doc.tokens[list].type != JSON_ARRAY) {
        return 0;
    }

    for (i = list + 1; i < schemas->doc.tokens[list].next;
         i = schemas->doc.tokens[i].next)
    {
        if (schemas_reference(schemas, i) == -1) {
            return -1;
        }
    }

    return 0;
}


static int
schemas_reference(schemas_t *schemas, uint32_t token)
{
    size_t               i;
    buf_t                subject = { 0 };
    buf_t               *path;
    uint32_t             version;
    const json_token_t  *t;

    version = json_member(&schemas->doc, token, "version", 7);

    if (schemas->ntexts == SCHEMAS_TEXTS || version == JSON_NONE
        || schemas->doc.tokens[version].type != JSON_NUMBER
        || schemas_string(schemas, token, "subject", &subject) == -1)
    {
        schemas_hold(schemas, schemas->ntexts == SCHEMAS_TEXTS
                     ? "schema %u refers to %d other schemas or more"
                     : "schema %u: a reference of it or of its first %d names "
                       "no subject and version", schemas->id, SCHEMAS_TEXTS);
        buf_free(&subject);
        return -1;
    }

    t = &schemas->doc.tokens[version];
    path = &schemas->texts[schemas->ntexts].path;
    path->len = 0;
    buf_addf(path, "/subjects/");
    fetch_escape(path, subject.data, subject.len);
    buf_addf(path, "/versions/%.*s", (int) (t->end - t->start),
             schemas->doc.text + t->start);
    buf_free(&subject);

    for (i = 0; !buf_failed(path) && i < schemas->ntexts; i++) {
        if (strcmp(schemas->texts[i].path.data, path->data) == 0) {
            return 0;
        }
    }

    schemas->ntexts++;

    return 0;
}


static void
schemas_compile(schemas_t *schemas)
{
    char            reason[SCHEMAS_MESSAGE];
    size_t          i;
    avro_text_t     texts[SCHEMAS_TEXTS];
    avro_schema_t  *schema;

    for (i = 0; i < schemas->ntexts; i++) {
        texts[i].s = schemas->texts[i].text.data;
        texts[i].len = schemas->texts[i].text.len;
    }

    schema = avro_schema_compile(texts, schemas->ntexts, reason,
                                 sizeof(reason));

    if (schema) {
        schemas_keep(schemas, schema);

    } else {
        schemas_hold(schemas, "schema %u cannot be read: %s", schemas->id,
                     reason);
    }
}


/* The schema takes the place of those that were not used for longest. */

static void
schemas_keep(schemas_t *schemas, avro_schema_t *schema)
{
    size_t     i, last, size;
    schema_t  *entry;

    size = schema ? avro_schema_size(schema) : 0;

    while (schemas->n == SCHEMAS_MOST
           || (schemas->n && schemas->bytes + size > SCHEMAS_BYTES))
    {
        for (i = 1, last = 0; i < schemas->n; i++) {
            last = schemas->list[i].used < schemas->list[last].used ? i : last;
        }

        schemas->bytes -= schemas->list[last].size;
        avro_schema_free(schemas->list[last].schema);
        schemas->list[last] = schemas->list[--schemas->n];
    }

    entry = &schemas->list[schemas->n++];
    entry->id = schemas->id;
    entry->schema = schema;
    entry->size = size;
    entry->used = ++schemas->clock;
    memcpy(entry->type, schemas->type, SCHEMAS_TYPE);
    schemas->bytes += size;
    schemas->figures.schemas = schemas->n;

    schemas->figures.turns += schemas->reason[0] != '\0';

    for (i = 0; i < schemas->ntexts; i++) {
        buf_free(&schemas->texts[i].text);
    }

    schemas_forget(schemas);
}
