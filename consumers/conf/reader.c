/* The file's tokens, texts, errors, memory and secrets; knows no key. */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "conf/reader.h"


#define CONF_SECRET_MAX  65535    /* bytes of a file named by { "file": } */


struct conf_block_s {
    conf_block_t    *next;
    json_pointer_t  *pointer;    /* or NULL */
    max_align_t      data[];
};


static char *conf_expand_text(conf_reader_t *cr, char *s);


int
conf_load(conf_reader_t *cr, const char *text, size_t len)
{
    char          *to;
    uint32_t       i;
    unsigned       line, column;
    json_error_t   err;
    json_token_t  *t;

    memset(&cr->doc, 0, sizeof(json_doc_t));
    cr->words = NULL;
    cr->text = text;
    cr->len = len;

    if (json_parse(&cr->doc, text, len, &err) == -1) {
        json_position(text, len, err.offset, &line, &column);
        snprintf(cr->err, CONF_ERROR_MAX, "%s:%u:%u: %s", cr->file, line,
                 column, err.reason);
        return -1;
    }

    /* a decoded string is never longer; each text has a NUL */
    cr->words = calloc(cr->doc.count, sizeof(conf_word_t));
    to = conf_alloc(cr, len + cr->doc.count);

    if (cr->words == NULL || to == NULL) {
        return conf_fail(cr, 0, "out of memory");
    }

    for (i = 0; i < cr->doc.count; i++) {
        t = &cr->doc.tokens[i];

        if (t->type == JSON_ARRAY || t->type == JSON_OBJECT) {
            continue;
        }

        cr->words[i].text = to;

        if (t->type == JSON_STRING) {
            to += json_unescape(&cr->doc, i, to);

        } else {
            to = mempcpy(to, text + t->start, t->end - t->start);
        }

        *to++ = '\0';
    }

    return 0;
}


void
conf_unload(conf_reader_t *cr)
{
    free(cr->words);
    json_doc_free(&cr->doc);
}


int
conf_fail(conf_reader_t *cr, uint32_t token, const char *fmt, ...)
{
    int                  n;
    char                *p;
    va_list              ap;
    unsigned             line, column;
    const json_token_t  *at;

    /* a string's token begins behind its quote, but not that of a file */
    at = &cr->doc.tokens[token];
    json_position(cr->text, cr->len, at->start
                  - (at->type == JSON_STRING && cr->words
                     && !cr->words[token].secret), &line, &column);

    n = snprintf(cr->err, CONF_ERROR_MAX, "%s:%u:%u: %s%s%s", cr->file, line,
                 column, cr->column ? "column \"" : "",
                 cr->column ? cr->column : "", cr->column ? "\": " : "");
    if (n < 0 || n >= CONF_ERROR_MAX) {
        return -1;
    }

    va_start(ap, fmt);
    vsnprintf(cr->err + n, CONF_ERROR_MAX - (size_t) n, fmt, ap);
    va_end(ap);

    /* names may hold any character, the message is one line */

    for (p = cr->err + strlen(cr->file); *p; p++) {
        if ((unsigned char) *p < 0x20 || *p == 0x7f) {
            *p = '?';
        }
    }

    return -1;
}


int
conf_rules(conf_reader_t *cr, uint32_t place, const conf_rule_t *rules,
    size_t n)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        if (rules[i].wrong) {
            return conf_fail(cr, place, "%s", rules[i].words);
        }
    }

    return 0;
}


void *
conf_alloc(conf_reader_t *cr, size_t size)
{
    conf_block_t  *block;

    block = calloc(1, sizeof(conf_block_t) + size);
    if (block == NULL) {
        conf_fail(cr, 0, "out of memory");
        return NULL;
    }

    block->next = *cr->memory;
    *cr->memory = block;

    return block->data;
}


char *
conf_copy(conf_reader_t *cr, const char *s, size_t len)
{
    char  *copy;

    copy = conf_alloc(cr, len + 1);

    return copy ? memcpy(copy, s, len) : NULL;
}


json_pointer_t *
conf_pointer(conf_reader_t *cr, uint32_t token)
{
    const char    *s, *reason;
    conf_block_t  *block;

    if (conf_alloc(cr, 0) == NULL) {
        return NULL;
    }

    block = *cr->memory;
    s = cr->words[token].text;
    block->pointer = json_pointer_compile(s, strlen(s), &reason);

    if (block->pointer == NULL) {
        /* the text itself may be a secret in a wrong place */
        conf_fail(cr, token, "it is not a JSON Pointer: %s", reason);
    }

    return block->pointer;
}


void
conf_memory_free(conf_block_t *memory)
{
    conf_block_t  *next;

    for ( /* void */ ; memory; memory = next) {
        next = memory->next;
        json_pointer_free(memory->pointer);
        free(memory);
    }
}


uint32_t
conf_next(const conf_reader_t *cr, uint32_t in, uint32_t after)
{
    uint32_t             next;
    const json_token_t  *tokens;

    tokens = cr->doc.tokens;
    next = after == 0 ? in + 1
           : tokens[tokens[in].type == JSON_OBJECT ? after + 1 : after].next;

    return next < tokens[in].next ? next : 0;
}


size_t
conf_count(const conf_reader_t *cr, uint32_t token)
{
    size_t    n;
    uint32_t  i;

    for (n = 0, i = conf_next(cr, token, 0); i; n++) {
        i = conf_next(cr, token, i);
    }

    return n;
}


int
conf_resolve(conf_reader_t *cr, uint32_t token)
{
    char  *path, *text, *found, reason[CONF_ERROR_MAX];

    if (conf_type(cr, token) != JSON_OBJECT || conf_count(cr, token) != 1
        || strcmp(cr->words[token + 1].text, "file") != 0
        || conf_type(cr, token + 2) != JSON_STRING)
    {
        return 0;
    }

    path = conf_expand_text(cr, cr->words[token + 2].text);
    if (path == NULL) {
        return -1;
    }

    found = conf_secret(path, reason);
    if (found == NULL) {
        return conf_fail(cr, token + 2, "%s", reason);
    }

    text = conf_copy(cr, found, strlen(found));
    free(found);

    if (text == NULL) {
        return -1;
    }

    cr->doc.tokens[token].type = JSON_STRING;
    cr->words[token].text = text;
    cr->words[token].secret = true;
    cr->words[token].file = path;

    return 0;
}


char *
conf_secret(const char *file, char *err)
{
    int     rc;
    char   *found;
    buf_t   text = { 0 };
    size_t  len;

    found = NULL;
    rc = buf_load(&text, file, CONF_SECRET_MAX);
    len = text.len;

    if (rc == -1 || (len && memchr(text.data, '\0', len))) {
        snprintf(err, CONF_ERROR_MAX, "could not read \"%s\": %s", file,
                 rc == -1 && errno != EFBIG ? strerror(errno)
                 : "not a text of less than 64 KiB");

    } else {
        while (len && strchr("\r\n", text.data[len - 1])) {
            len--;
        }

        found = strndup(len ? text.data : "", len);
        if (found == NULL) {
            snprintf(err, CONF_ERROR_MAX, "out of memory");
        }
    }

    if (text.data) {
        explicit_bzero(text.data, text.size);
    }

    buf_free(&text);

    return found;
}


/* Only this variable is replaced; any other "$" stands for itself. */

static char *
conf_expand_text(conf_reader_t *cr, char *s)
{
    static const char  name[] = "${CREDENTIALS_DIRECTORY}";

    char        *out;
    size_t       before, len;
    const char  *at, *directory;

    at = strstr(s, name);
    directory = getenv("CREDENTIALS_DIRECTORY");

    if (at == NULL || directory == NULL) {
        return s;
    }

    before = (size_t) (at - s);
    len = strlen(s) + strlen(directory) + 1;
    out = conf_alloc(cr, len);

    if (out) {
        snprintf(out, len, "%.*s%s%s", (int) before, s, directory,
                 at + sizeof(name) - 1);
    }

    return out;
}


char *
conf_expand(conf_reader_t *cr, uint32_t token)
{
    return cr->words[token].secret
           ? cr->words[token].text
           : conf_expand_text(cr, cr->words[token].text);
}


/* Copied from the file, so that numbers keep their digits. */

char *
conf_json(conf_reader_t *cr, uint32_t token)
{
    char                *json;
    buf_t                text;
    const char          *s;
    const json_token_t  *t;

    s = cr->words[token].text;

    if (!cr->words[token].secret) {
        t = &cr->doc.tokens[token];
        return t->type == JSON_STRING
               ? conf_copy(cr, cr->text + t->start - 1, t->end - t->start + 2)
               : conf_copy(cr, cr->text + t->start, t->end - t->start);
    }

    memset(&text, 0, sizeof(buf_t));
    buf_add(&text, "\"", 1);
    text_add_json(&text, s, strlen(s));
    buf_add(&text, "\"", 1);

    if (buf_failed(&text)) {
        conf_fail(cr, 0, "out of memory");
        return NULL;
    }

    json = conf_copy(cr, text.data, text.len);
    buf_free(&text);

    return json;
}


unsigned
conf_given(const conf_reader_t *cr, uint32_t object, const char *names)
{
    size_t    len;
    unsigned  n;

    for (n = 0; *names; names += len + (names[len] == '|')) {
        len = strcspn(names, "|");
        n += json_member(&cr->doc, object, names, len) != JSON_NONE;
    }

    return n;
}
