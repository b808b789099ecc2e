/* Looking up the member names of a schema and of an object. */

#include <string.h>

#include "schema/schema_impl.h"


static inline int
schema_is_name(const json_doc_t *doc, uint32_t token,
    const schema_member_t *member)
{
    const json_token_t  *t;

    t = &doc->tokens[token];

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
    size_t                  len;
    uint32_t                i, k;
    uint64_t                hash;
    const char             *text;
    const schema_member_t  *member;

    if (names->slots == NULL) {
        c->steps -= names->n;

        for (i = 0; i < names->n; i++) {
            member = &names->members[i];

            if (json_equals(c->doc, token, member->name, member->len)) {
                return i;
            }
        }

        return names->n;
    }

    text = schema_text(c->work, c->doc, token, &len);
    if (text == NULL) {
        /* slower, but an answer all the same */
        for (i = 0; i < names->n; i++) {
            member = &names->members[i];

            if (json_equals(c->doc, token, member->name, member->len)) {
                break;
            }
        }

        return i;
    }

    c->steps -= 1 + (int64_t) (len / 16);
    hash = json_hash(&c->work->seed, text, len);

    for (k = (uint32_t) hash; names->slots[k & names->mask] != 0; k++) {
        i = names->slots[k & names->mask] - 1;
        member = &names->members[i];

        if (json_equals(c->doc, token, member->name, member->len)) {
            return i;
        }
    }

    return names->n;
}


uint32_t
schema_member(schema_checker_t *c, uint32_t object,
    const schema_member_t *member, uint32_t *hint)
{
    uint32_t             i, end, from;
    int64_t              steps;
    const json_doc_t    *doc;

    doc = c->doc;
    end = doc->tokens[object].next;
    from = *hint;
    steps = 0;

    for (i = from; i < end; i = doc->tokens[i + 1].next) {
        if (schema_is_name(doc, i, member)) {
            goto found;
        }

        steps++;
    }

    for (i = object + 1; i < from; i = doc->tokens[i + 1].next) {
        if (schema_is_name(doc, i, member)) {
            goto found;
        }

        steps++;
    }

    c->steps -= steps;

    return JSON_NONE;

found:

    c->steps -= steps;
    *hint = doc->tokens[i + 1].next;

    return i + 1;
}
