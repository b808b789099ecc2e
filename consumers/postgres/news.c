/* Fields that are no columns of their table yet: which ones may become some. */

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/types.h"
#include "postgres/ddl.h"
#include "postgres/news.h"
#include "postgres/target_impl.h"


#define NEWS_SHOWN  100    /* bytes of a name in the log */


static const char *news_refused(const news_t *news, const target_t *target,
    const char *name, size_t len);
static bool news_is_name(const news_t *news, const char *name, size_t len);


/* By json_type_t: what takes whatever else a value of that kind may be. */
static const char *const  news_types[] = {
    [JSON_FALSE] = "boolean",
    [JSON_TRUE] = "boolean",
    [JSON_NUMBER] = "numeric",
    [JSON_STRING] = "text",
    [JSON_ARRAY] = "jsonb",
    [JSON_OBJECT] = "jsonb"
};


void
news_add(news_t *news, const target_t *target, const char *name, size_t len,
    json_type_t type)
{
    char            text[TYPE_NAME_MAX];
    size_t          i;
    const char     *why;
    const conf_t   *conf;
    conf_column_t  *columns;

    conf = target->conf;
    why = news_refused(news, target, name, len);

    if (why == NULL) {
        memcpy(text, name, len);
        text[len] = '\0';

        if (target_row(target->rows, text) != -1) {
            return;
        }

        for (i = 0; i < news->n; i++) {
            if (strcmp(news->columns[i].name, text) == 0) {
                return;
            }
        }

        if ((size_t) PQntuples(target->rows) + news->n
            >= (size_t) conf->evolve_columns)
        {
            why = "the table has \"evolve_columns\" columns";
        }
    }

    if (why) {
        log_limited(&news->left, "table \"%s\": field \"%.*s\" becomes no "
                    "column: %s", conf->table,
                    (int) (len < NEWS_SHOWN ? len : NEWS_SHOWN), name, why);
        return;
    }

    columns = realloc(news->columns, (news->n + 1) * sizeof(conf_column_t));
    if (columns == NULL) {
        return;
    }

    news->columns = columns;
    memset(&columns[news->n], 0, sizeof(conf_column_t));
    columns[news->n].name = strdup(text);
    columns[news->n].type = conf->evolve_type ? conf->evolve_type
                            : (char *) news_types[type];

    news->n += columns[news->n].name != NULL;
}


/*
 * Why a name becomes no column; NULL: it may.  Two that differ in the case of
 * their letters would be one to whoever does not quote them.
 */

static const char *
news_refused(const news_t *news, const target_t *target, const char *name,
    size_t len)
{
    int          row;
    size_t       i;
    const char  *own;

    if (!news_is_name(news, name, len)) {
        return "PostgreSQL takes no such name";
    }

    for (row = 0; row < PQntuples(target->rows); row++) {
        own = PQgetvalue(target->rows, row, TARGET_NAME);

        if (strlen(own) == len && strncasecmp(own, name, len) == 0) {
            return memcmp(own, name, len) == 0
                   ? NULL : "a column differs in case alone";
        }
    }

    for (i = 0; i < news->n; i++) {
        own = news->columns[i].name;

        if (strlen(own) == len && strncasecmp(own, name, len) == 0
            && memcmp(own, name, len) != 0)
        {
            return "a column differs in case alone";
        }
    }

    return NULL;
}


static bool
news_is_name(const news_t *news, const char *name, size_t len)
{
    size_t         i;
    unsigned char  c;

    static const char *const  system[] = {
        "tableoid", "ctid", "xmin", "cmin", "xmax", "cmax"
    };

    if (len == 0 || len >= TYPE_NAME_MAX) {
        return false;
    }

    for (i = 0; i < len; i++) {
        c = (unsigned char) name[i];

        if (c < ' ' || c == 0x7f || (c > 0x7f && news->ascii)) {
            return false;
        }
    }

    for (i = 0; i < sizeof(system) / sizeof(system[0]); i++) {
        if (strlen(system[i]) == len && strncasecmp(system[i], name, len) == 0)
        {
            return false;
        }
    }

    return true;
}


size_t
news_columns(const news_t *news, const target_t *target, buf_t *sql)
{
    size_t  i, n;

    for (i = 0, n = 0; i < news->n; i++) {

        if (target_row(target->rows, news->columns[i].name) != -1) {
            continue;
        }

        log_info("table \"%s\" has no column \"%s\": adding it, of type %s",
                 target->conf->table, news->columns[i].name,
                 news->columns[i].type);
        ddl_add_column(sql, target->name, &news->columns[i]);
        buf_addf(sql, ";");
        n++;
    }

    return n;
}


void
news_clear(news_t *news)
{
    size_t  i;

    for (i = 0; i < news->n; i++) {
        free(news->columns[i].name);
    }

    free(news->columns);
    news->columns = NULL;
    news->n = 0;
}
