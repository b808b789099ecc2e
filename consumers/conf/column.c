/* What a table's own keys say of one of its columns. */

#include <string.h>

#include "conf/conf.h"


bool
conf_is_key(const conf_names_t *key, const char *name)
{
    size_t  i;

    for (i = 0; i < key->n; i++) {
        if (strcmp(key->names[i], name) == 0) {
            return true;
        }
    }

    return false;
}


bool
conf_may_keep(const conf_t *conf, const char *name)
{
    return conf->mode >= CONF_MODE_UPSERT && !conf_is_key(&conf->key, name)
           && (conf->newer == NULL || strcmp(conf->newer, name) != 0);
}
