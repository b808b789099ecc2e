/* Member names of open objects: finds duplicates in linear time. */

#include <stdlib.h>
#include <string.h>

#include "json/json_hash.h"
#include "json/json_impl.h"


#define JSON_LINEAR  8       /* so many names are compared one by one, */
#define JSON_SHORT   256     /* of so many bytes */
#define JSON_SLOTS   2048    /* of one depth's table; a power of two */


_Static_assert(JSON_SLOTS >= 2 * JSON_MAX_MEMBERS,
               "a table is at most half full");


typedef struct {
    uint32_t  stamp;     /* the object the slot was filled for */
    uint32_t  hash;
    uint32_t  token;
} json_slot_t;


/*
 * One table a depth.  Objects at one depth follow each other, so a new stamp
 * empties their table.  The seed is drawn once and changes with
 * each text: names cannot be chosen to collide.
 */
struct json_keys_s {
    json_seed_t   seed;
    uint32_t      stamp;
    json_slot_t  *slots[JSON_MAX_DEPTH];
    char         *name;       /* the newest escaped name, decoded */
    size_t        size;
};


static int json_unique_hashed(json_parser_t *ps, json_frame_t *frame,
    uint32_t token);
static int json_insert(json_parser_t *ps, json_frame_t *frame, uint32_t token,
    const char *name, size_t len);
static const char *json_decoded(json_parser_t *ps, uint32_t token,
    size_t *len);
static json_keys_t *json_keys(json_doc_t *doc);


int
json_unique_name(json_parser_t *ps, uint32_t token)
{
    size_t         len;
    uint32_t       i;
    json_doc_t    *doc = ps->doc;
    const char    *name;
    json_token_t  *t;
    json_frame_t  *frame;

    t = &doc->tokens[token];
    frame = &ps->stack[ps->depth - 1];

    if (frame->members++ == 0) {
        return 1;
    }

    if (frame->members > JSON_LINEAR || frame->stamp != 0
        || t->end - t->start > JSON_SHORT)
    {
        return json_unique_hashed(ps, frame, token);
    }

    name = json_decoded(ps, token, &len);
    if (name == NULL) {
        return -1;
    }

    for (i = frame->token + 1; i < token; i = doc->tokens[i + 1].next) {
        t = &doc->tokens[i];

        if ((t->escaped || t->end - t->start == len)
            && json_equals(doc, i, name, len))
        {
            return 0;
        }
    }

    return 1;
}


static int
json_unique_hashed(json_parser_t *ps, json_frame_t *frame, uint32_t token)
{
    size_t         len;
    uint32_t       i;
    json_doc_t    *doc = ps->doc;
    const char    *name;
    json_keys_t   *keys;
    json_slot_t  **slots;

    keys = json_keys(doc);
    if (keys == NULL) {
        return -1;
    }

    i = token;

    if (frame->stamp == 0) {
        slots = &keys->slots[ps->depth - 1];

        if (*slots == NULL) {
            *slots = calloc(JSON_SLOTS, sizeof(json_slot_t));
            if (*slots == NULL) {
                return -1;
            }
        }

        frame->stamp = ++keys->stamp;
        i = frame->token + 1;
    }

    for ( ;; ) {
        name = json_decoded(ps, i, &len);
        if (name == NULL) {
            return -1;
        }

        if (!json_insert(ps, frame, i, name, len)) {
            return 0;
        }

        if (i == token) {
            return 1;
        }

        i = doc->tokens[i + 1].next;
    }
}


static int
json_insert(json_parser_t *ps, json_frame_t *frame, uint32_t token,
    const char *name, size_t len)
{
    uint32_t      hash, i;
    json_keys_t  *keys = ps->doc->keys;
    json_slot_t  *slot, *slots;

    slots = keys->slots[ps->depth - 1];
    hash = (uint32_t) json_hash(&keys->seed, name, len);

    for (i = hash; ; i++) {
        slot = &slots[i & (JSON_SLOTS - 1)];

        if (slot->stamp != frame->stamp) {
            break;
        }

        if (slot->hash == hash && json_equals(ps->doc, slot->token, name, len))
        {
            return 0;
        }
    }

    slot->stamp = frame->stamp;
    slot->hash = hash;
    slot->token = token;

    return 1;
}


/* A name's decoded bytes, in the text or in the one buffer for decoding. */

static const char *
json_decoded(json_parser_t *ps, uint32_t token, size_t *len)
{
    char          *name;
    size_t         size;
    json_doc_t    *doc = ps->doc;
    json_keys_t   *keys;
    json_token_t  *t;

    t = &doc->tokens[token];
    size = t->end - t->start;

    if (!t->escaped) {
        *len = size;
        return doc->text + t->start;
    }

    keys = json_keys(doc);
    if (keys == NULL) {
        return NULL;
    }

    if (keys->size < size) {
        name = realloc(keys->name, size * 2);
        if (name == NULL) {
            return NULL;
        }

        keys->name = name;
        keys->size = size * 2;
    }

    *len = json_unescape(doc, token, keys->name);

    return keys->name;
}


static json_keys_t *
json_keys(json_doc_t *doc)
{
    json_keys_t  *keys = doc->keys;

    if (keys != NULL) {
        return keys;
    }

    keys = calloc(1, sizeof(json_keys_t));
    if (keys == NULL) {
        return NULL;
    }

    json_seed(&keys->seed);
    doc->keys = keys;

    return keys;
}


/* The next text has another seed, and stamps that no slot holds. */

void
json_keys_next(json_keys_t *keys)
{
    size_t  i;

    keys->seed.start = json_mix(keys->seed.start ^ keys->stamp,
                                keys->seed.factor) + 1;

    if (keys->stamp < UINT32_MAX / 2) {
        return;
    }

    for (i = 0; i < JSON_MAX_DEPTH; i++) {
        if (keys->slots[i] != NULL) {
            memset(keys->slots[i], 0, JSON_SLOTS * sizeof(json_slot_t));
        }
    }

    keys->stamp = 0;
}


void
json_keys_free(json_keys_t *keys)
{
    size_t  i;

    if (keys == NULL) {
        return;
    }

    for (i = 0; i < JSON_MAX_DEPTH; i++) {
        free(keys->slots[i]);
    }

    free(keys->name);
    free(keys);
}
