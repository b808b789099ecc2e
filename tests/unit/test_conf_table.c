/* The table of keys: each row is whole, its example and default are taken. */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "conf/keys.h"
#include "conf/units.h"
#include "tap.h"


#define SCOPE  65536    /* bytes, more than any scope's struct */


typedef struct {
    const char  *text;
    const char  *error;
} case_t;


#define GOOD  "\"topic\": \"t\", \"group\": \"g\", \"start\": \"earliest\",\n" \
              "\"kafka\": { \"bootstrap.servers\": \"b:1\" },\n" \
              "\"postgres\": \"dbname=x\", \"table\": \"t\""
#define COLS  "\"columns\": { \"a\": \"/a\" }"


static const case_t  errors[] = {
    { "{ " GOOD ",\n  \"colums\": {} }",
      "f:4:3: unknown key \"colums\", did you mean \"columns\"?" },
    { "{ " GOOD ",\n  \"batch\": {\n    \"rws\": 1 } }",
      "f:5:5: unknown key \"rws\", did you mean \"rows\"?" },
    { "{ " GOOD ",\n  \"linger\": \"1s\" }",
      "f:4:3: unknown key \"linger\" here, did you mean \"batch.linger\"?" },
    { "{ " GOOD ",\n  \"batch\": { \"rows\":\n  true } }",
      "f:5:3: \"batch.rows\" must be a whole number" },
    { "{ " GOOD ",\n  \"columns\": { \"a\": { \"pth\": \"/a\" } } }",
      "f:4:23: column \"a\": unknown key \"pth\", did you mean \"path\"?" },
    { "{ " GOOD ",\n  \"columns\": { \"a\": {\n\"path\": \"/a\", "
      "\"required\": 1 } } }",
      "f:5:27: column \"a\": \"required\" must be true or false" },
    { "{ " GOOD " }", "f:1:1: key \"columns\" is missing" },
    { "{ " GOOD ", " COLS ",\n \"$schema\": 1 }",
      "f:4:13: \"$schema\" must be a string" },
    { "{ " GOOD ", " COLS ",\n \"table\": \"x\" }", "f:4:2: duplicate member" }
};


static void
test_errors(void)
{
    char           err[CONF_ERROR_MAX];
    size_t         i;
    const conf_t  *conf;

    for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        err[0] = '\0';
        conf = conf_parse("f", errors[i].text, strlen(errors[i].text), err);
        ok(conf == NULL, "refused");
        is_str(err, errors[i].error, "line, column, key and nearest name");
        conf_free(conf);
    }
}


/* Whether a value is one that the row takes. */

static int
taken(const conf_key_t *key, const char *text, char *err)
{
    int            rc;
    void          *scope;
    conf_block_t  *memory;
    conf_reader_t  cr;

    memory = NULL;
    memset(&cr, 0, sizeof(cr));
    cr.file = "example";
    cr.err = err;
    cr.memory = &memory;
    cr.keys = conf_keys;
    scope = calloc(1, SCOPE);

    rc = scope == NULL || conf_load(&cr, text, strlen(text)) == -1
         ? -1 : conf_set(&cr, key, 0, scope);

    conf_unload(&cr);
    conf_memory_free(memory);
    free(scope);

    return rc == 0;
}


/* Both bounds are taken as values are, and what is beyond them is not. */

static void
test_range(const conf_key_t *key)
{
    int      i;
    char     text[64], err[CONF_ERROR_MAX], words[128];
    int64_t  bounds[2];

    static const struct {
        int         (*parse)(const char *s, int64_t *n);
        const char   *bound;
        const char   *number;
    } kinds[] = {
        [CONF_COUNT] = { conf_parse_count, "%s", "%lld" },
        [CONF_SIZE] = { conf_parse_size, "\"%s\"", "\"%lld\"" },
        [CONF_TIME] = { conf_parse_time, "\"%s\"", "\"%lldms\"" }
    };

    snprintf(words, sizeof(words), "must be between %s and %s", key->min,
             key->max);

    for (i = 0; i < 2; i++) {
        snprintf(text, sizeof(text), kinds[key->kind].bound,
                 i ? key->max : key->min);
        ok(taken(key, text, err), "its bound %s is taken: %s", text, err);
        ok(kinds[key->kind].parse(i ? key->max : key->min, &bounds[i]) == 0,
           "as a value is");
    }

    ok(bounds[0] < bounds[1], "it has a range");

    for (i = bounds[0] > 0 ? 0 : 1; i < 2; i++) {
        snprintf(text, sizeof(text), kinds[key->kind].number,
                 (long long) (bounds[i] + (i ? 1 : -1)));
        ok(!taken(key, text, err) && strstr(err, words), "%s", err);
    }
}


static void
test_rows(void)
{
    char               err[CONF_ERROR_MAX];
    size_t             i, j, len;
    const conf_key_t  *key;

    for (i = 0; conf_keys[i].path; i++) {
        key = &conf_keys[i];
        len = strlen(key->doc);

        ok(len && key->doc[len - 1] == '.', "\"%s\" has a sentence",
           key->path);

        for (j = 0; j < i && strcmp(conf_keys[j].path, key->path) != 0; j++) {
            /* void */
        }
        ok(j == i, "and is there once");

        if (key->kind == CONF_SECTION) {
            continue;
        }

        ok((key->kind != CONF_TEXT && key->kind != CONF_CUSTOM)
           || (key->set && (key->form || key->choices)),
           "and says what it takes");
        ok(key->kind != CONF_CUSTOM || key->schema, "to editors, too");
        ok(key->example && taken(key, key->example, err),
           "its example is taken: %s", err);

        if (key->fallback) {
            ok(taken(key, key->fallback, err), "so is its default: %s", err);
        }

        if (key->kind == CONF_COUNT || key->kind == CONF_SIZE
            || key->kind == CONF_TIME)
        {
            test_range(key);
        }
    }
}


/* A letter too few in any name finds the name. */

static void
test_nearest(void)
{
    char           text[256], err[CONF_ERROR_MAX], words[256];
    size_t         i;
    const conf_t  *conf;

    for (i = 0; conf_keys[i].path; i++) {
        if (strchr(conf_keys[i].path, '.') || strlen(conf_keys[i].path) < 4) {
            continue;
        }

        snprintf(text, sizeof(text), "{ \"%s\": 1 }", conf_keys[i].path + 1);
        snprintf(words, sizeof(words), "did you mean \"%s\"?",
                 conf_keys[i].path);
        conf = conf_parse("f", text, strlen(text), err);
        ok(conf == NULL && strstr(err, words), "%s", err);
        conf_free(conf);
    }
}


/* Any string may come from a file, and its content shows nowhere. */

static void
test_files(void)
{
    int            fd;
    char           path[] = "/tmp/test_conf_table.XXXXXX";
    char           text[1024], err[CONF_ERROR_MAX];
    const conf_t  *conf;

    fd = mkstemp(path);
    ok(fd != -1 && write(fd, "from-a-file\n", 12) == 12, "a file");
    close(fd);

    snprintf(text, sizeof(text), "{ \"topic\": { \"file\": \"%s\" }, "
             "\"group\": { \"file\": \"%s\" }, \"start\": \"earliest\", "
             "\"kafka\": { \"bootstrap.servers\": { \"file\": \"%s\" } }, "
             "\"postgres\": \"dbname=x\", \"table\": { \"file\": \"%s\" }, "
             "\"columns\": { \"file\": \"/file\", \"a\": { \"path\": \"/a\", "
             "\"default\": { \"file\": \"%s\" } } } }", path, path, path,
             path, path);

    conf = conf_parse("f", text, strlen(text), err);

    if (ok(conf != NULL, "strings from a file: %s", conf ? "" : err)) {
        is_str(conf->topic, "from-a-file", "a string, without its line end");
        is_str(conf->table, "from-a-file", "a string with a setter");
        is_str(conf_property(conf, "bootstrap.servers"), "from-a-file",
               "a property");
        is_str(conf->columns[0].path, "/file", "a column may be called file");
        is_str(conf->columns[1].fallback, "\"from-a-file\"",
               "a default, as JSON");
    }

    conf_free(conf);

    snprintf(text, sizeof(text), "{ \"start\": { \"file\": \"%s\" } }", path);
    conf = conf_parse("f", text, strlen(text), err);
    ok(conf == NULL && strstr(err, "from-a-file") == NULL, "refused: %s",
       err);

    unlink(path);
}


int
main(void)
{
    test_errors();
    test_rows();
    test_nearest();
    test_files();

    return tap_done();
}
