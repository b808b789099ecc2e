/*
 * libFuzzer target of the JSON reader.  Input is a JSON text.  With -DVERDICT
 * it is a program instead that says "0" or "1" (taken) for each file named.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "../unit/tokens.h"
#include "fuzz.h"
#include "json/json.h"


static json_doc_t  doc;


static void
check_strings(void)
{
    char                *out;
    size_t               len;
    uint32_t             i;
    const json_token_t  *t;

    for (i = 0; i < doc.count; i++) {
        t = &doc.tokens[i];

        if (t->type != JSON_STRING) {
            continue;
        }

        out = malloc(t->end - t->start + 1);
        len = json_unescape(&doc, i, out);

        demand(len <= t->end - t->start, "decoded is not longer");
        demand(t->escaped || len == t->end - t->start, "plain is as long");
        demand(json_equals(&doc, i, out, len), "a string equals itself");
        demand(memchr(out, '\0', len) == NULL, "no NUL");
        free(out);
    }
}


/* Whether cJSON reads on over a number: it takes 63 bytes of one. */

static int
has_long_number(void)
{
    uint32_t  i;

    for (i = 0; i < doc.count; i++) {
        if (doc.tokens[i].type == JSON_NUMBER
            && doc.tokens[i].end - doc.tokens[i].start > 63)
        {
            return 1;
        }
    }

    return 0;
}


static void
check_text(const char *text, size_t len)
{
    int           rc, wrapped;
    char         *own, *more;
    cJSON        *json;
    uint32_t      count;
    const char   *fault;
    json_error_t  err;

    own = copy(text, len, "", "");
    memset(&err, 0, sizeof(err));
    rc = json_parse(&doc, own, len, &err);

    if (rc != 0) {
        demand(err.reason != NULL && err.offset <= len, "an error is set");
        demand(doc.count == 0, "a refused text has no tokens");
        free(own);
        return;
    }

    fault = tokens_fault(&doc, len);
    demand(fault == NULL, fault);
    check_strings();

    if (!has_long_number()) {
        json = cJSON_ParseWithLength(own, len);
        demand(json != NULL, "cJSON takes what is taken here");
        cJSON_Delete(json);
    }

    count = doc.count;

    more = copy(own, len, "[ ", ", 0 ]");
    wrapped = json_parse(&doc, more, len + 7, &err);
    demand(wrapped == 0 ? doc.count == count + 2
                        : strcmp(err.reason, "nested too deeply") == 0,
           "as an element it is the same");
    free(more);

    more = copy(own, len, "{\"a\":", ",\"\\u0061\":0}");
    demand(json_parse(&doc, more, len + 16, &err) != 0, "a duplicate is seen");
    free(more);

    free(own);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_text((const char *) data, size);

    return 0;
}


#ifdef VERDICT

int
main(int argc, char **argv)
{
    int           i;
    FILE         *file;
    size_t        len;
    json_error_t  err;

    static char  text[1 << 20];

    for (i = 1; i < argc; i++) {
        file = fopen(argv[i], "rb");
        if (file == NULL) {
            return 1;
        }

        len = fread(text, 1, sizeof(text), file);
        (void) fclose(file);

        printf("%d\n", json_parse(&doc, text, len, &err) == 0);
    }

    json_doc_free(&doc);

    return 0;
}

#endif
