/* Looks up member names of a schema and of an object. */

#include <string.h>

#include "schema/schema_names.h"


#define SCHEMA_LINEAR  16    /* so many names are compared one by one */


static inline int
schema_is_name(const json_doc_t *doc, uint32_t token,
    const schema_member_t *member)
{
    const json_token_t  *t = &doc->tokens[token];

    if (t->escaped) {
        return json_equals(doc, token, member->name, member->len);
    }

    return t->end - t->start == member->len
           && memcmp(doc->text + t->start, member->name, member->len) == 0;
}


int
schema_names_index(schema_compiler_t *c, schema_names_t *names)
{
    uint32_t          i, k, size;
    uint64_t          hash;
    schema_member_t  *member;

    if (names->n <= SCHEMA_LINEAR) {
        return 0;
    }

    for (size = SCHEMA_LINEAR; size < 2 * names->n; size *= 2) {
        /* void */
    }

    names->slots = schema_alloc(c, size * sizeof(uint32_t));
    if (names->slots == NULL) {
        return -1;
    }

    names->mask = size - 1;

    for (i = 0; i < names->n; i++) {
        member = &names->members[i];
        hash = json_hash(&c->schema->work->seed, member->name, member->len);

        for (k = (uint32_t) hash; names->slots[k & names->mask] != 0; k++) {
            /* void */
        }

        names->slots[k & names->mask] = i + 1;
    }

    return 0;
}


uint32_t
schema_names_find(schema_checker_t *c, const schema_names_t *names,
    uint32_t token)
{
    size_t       len;
    uint32_t     i, k;
    const char  *text;

    if (names->slots == NULL) {
        c->steps -= names->n;
        text = NULL;
        len = 0;

    } else {
        /* without memory the names are compared one by one */
        text = schema_text(c->work, c->doc, token, &len);
    }

    if (text == NULL) {
        for (i = 0; i < names->n; i++) {
            if (schema_is_name(c->doc, token, &names->members[i])) {
                break;
            }
        }

        return i;
    }

    c->steps -= 2;
    schema_charge_text(c, c->doc, token);
    k = (uint32_t) json_hash(&c->work->seed, text, len);

    for ( /* void */ ; names->slots[k & names->mask] != 0; k++) {
        i = names->slots[k & names->mask] - 1;

        if (schema_is_name(c->doc, token, &names->members[i])) {
            return i;
        }
    }

    return names->n;
}


/* The first token from "i" on that is the member's name, or "end". */

static inline uint32_t
schema_search(const json_doc_t *doc, uint32_t i, uint32_t end,
    const schema_member_t *member, int64_t *steps)
{
    while (i < end && !schema_is_name(doc, i, member)) {
        i = doc->tokens[i + 1].next;
        (*steps)++;
    }

    return i;
}


uint32_t
schema_member(schema_checker_t *c, uint32_t object,
    const schema_member_t *member, uint32_t *hint)
{
    int64_t            steps;
    uint32_t           i, end;
    const json_doc_t  *doc = c->doc;

    end = doc->tokens[object].next;
    steps = 0;

    i = schema_search(doc, *hint, end, member, &steps);

    if (i == end) {
        end = *hint;
        i = schema_search(doc, object + 1, end, member, &steps);
    }

    c->steps -= steps;

    if (i == end) {
        return JSON_NONE;
    }

    *hint = doc->tokens[i + 1].next;

    return i + 1;
}
