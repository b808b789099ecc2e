/* The JDBC URL of a connector as a conninfo string of libpq. */

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "tools/connector.h"


#define CONNECTOR_SCHEME  "jdbc:postgresql:"
#define CONNECTOR_VALUE   1024    /* bytes of a value of the URL */


static int connector_hosts(const connector_t *cn, const char *s, size_t len,
    buf_t *out);
static int connector_parameters(const connector_t *cn, const char *s,
    bool user, buf_t *out);
static void connector_parameter(const char *name, const char *value, bool user,
    buf_t *out);
static int connector_decode(const connector_t *cn, const char *s, size_t len,
    char *out);
static void connector_add(buf_t *out, const char *name, const char *value);


/* The names of pgJDBC that libpq has too; a NULL says no more than "why". */
static const struct {
    const char  *name;
    const char  *libpq;
    const char  *why;
} connector_parameters_known[] = {
    { "user", "user", NULL },
    { "password", NULL, "no password is copied: put it into the daemon's "
      "~/.pgpass, or the conninfo into a file and \"postgres\": { \"file\": "
      "... }" },
    { "sslmode", "sslmode", NULL },
    { "sslrootcert", "sslrootcert", NULL },
    { "sslcert", "sslcert", NULL },
    { "sslkey", NULL, "libpq takes the key in PEM, pgJDBC in DER: convert it "
      "and add sslkey to \"postgres\"" },
    { "sslpassword", NULL, "no password is copied" },
    { "ApplicationName", "application_name", NULL },
    { "options", "options", NULL },
    { "channelBinding", "channel_binding", NULL },
    { "reWriteBatchedInserts", NULL, "rows are written by COPY" },
    { "prepareThreshold", NULL, "rows are written by COPY" },
    { "connectTimeout", NULL, "each address has 8 s to answer" },
    { "socketTimeout", NULL, "the daemon's own deadlines bound a statement" },
    { "stringtype", NULL, "strings are read by the type of their column" },
    { NULL, NULL, "libpq has no such parameter, or under another name" }
};


int
connector_conninfo(const connector_t *cn, buf_t *out)
{
    char         name[CONNECTOR_VALUE];
    size_t       len;
    const char  *url, *user;

    url = connector_get(cn, "connection.url");
    if (url == NULL || strncmp(url, CONNECTOR_SCHEME, strlen(CONNECTOR_SCHEME)))
    {
        return connector_refuse(cn, "connection.url", "it must begin with "
                                "\"jdbc:postgresql:\"");
    }

    user = connector_get(cn, cn->sink == CONNECTOR_DEBEZIUM
                             ? "connection.username" : "connection.user");
    url += strlen(CONNECTOR_SCHEME);

    if (strncmp(url, "//", 2) == 0) {
        url += 2;
        len = strcspn(url, "/?");
        if (connector_hosts(cn, url, len, out) == -1) {
            return -1;
        }
        url += len;
        url += *url == '/';

    } else {
        connector_add(out, "host", "localhost");
    }

    len = strcspn(url, "?");
    if (connector_decode(cn, url, len, name) == -1) {
        return -1;
    }

    if (len) {
        connector_add(out, "dbname", name);
    }

    if (user) {
        connector_add(out, "user", user);
    }

    url += len;

    return connector_parameters(cn, *url ? url + 1 : url, user != NULL, out);
}


/* "h1:5432,[::1]" becomes "host=h1,::1 port=5432,5432". */

static int
connector_hosts(const connector_t *cn, const char *s, size_t len, buf_t *out)
{
    int          n;
    bool         six;
    char         hosts[CONNECTOR_VALUE], ports[CONNECTOR_VALUE];
    size_t       h, p, part, host;
    const char  *end, *port;

    if (len >= CONNECTOR_VALUE / 6) {
        return connector_refuse(cn, "connection.url", "too many hosts");
    }

    for (h = 0, p = 0, end = s + len; s <= end; s += part + 1) {
        part = strcspn(s, ",/?");
        host = strcspn(s, *s == '[' ? "]," : ":,/?");
        six = *s == '[';

        if (six && s[host] != ']') {
            return connector_refuse(cn, "connection.url", "\"[\" must be "
                                    "followed by an address and \"]\"");
        }

        port = s + host + six;
        port = *port == ':' ? port + 1 : "5432";

        n = snprintf(hosts + h, sizeof(hosts) - h, "%s%.*s", h ? "," : "",
                     (int) (host - six), s + six);
        h += (size_t) n;
        n = snprintf(ports + p, sizeof(ports) - p, "%s%.*s", p ? "," : "",
                     (int) strcspn(port, ",/?"), port);
        p += (size_t) n;
    }

    connector_add(out, "host", h ? hosts : "localhost");
    connector_add(out, "port", ports);

    return 0;
}


static int
connector_parameters(const connector_t *cn, const char *s, bool user,
    buf_t *out)
{
    char    name[CONNECTOR_VALUE], value[CONNECTOR_VALUE];
    size_t  len, part;

    for ( ; *s; s += len, s += *s == '&') {
        len = strcspn(s, "&");
        part = strcspn(s, "=&");

        if (connector_decode(cn, s, part, name) == -1
            || connector_decode(cn, s + part + (s[part] == '='),
                                len - part - (s[part] == '='), value) == -1)
        {
            return -1;
        }

        if (*name) {
            connector_parameter(name, value, user, out);
        }
    }

    return 0;
}


/* With "user" the connector names one itself, which counts. */

static void
connector_parameter(const char *name, const char *value, bool user, buf_t *out)
{
    char    text[CONNECTOR_VALUE + 32];
    size_t  i;

    if (strcmp(name, "currentSchema") == 0) {
        snprintf(text, sizeof(text), "-csearch_path=%s", value);
        connector_add(out, "options", text);
        return;
    }

    if (strcmp(name, "ssl") == 0 && strcmp(value, "false") != 0) {
        connector_add(out, "sslmode", "verify-full");
        return;
    }

    if (strcmp(name, "targetServerType") == 0
        && (strcmp(value, "primary") == 0 || strcmp(value, "master") == 0))
    {
        connector_add(out, "target_session_attrs", "read-write");
        return;
    }

    for (i = 0; connector_parameters_known[i].name; i++) {
        if (strcmp(name, connector_parameters_known[i].name) == 0) {
            break;
        }
    }

    if (connector_parameters_known[i].libpq == NULL) {
        snprintf(text, sizeof(text), "connection.url ?%s", name);
        connector_note(text, connector_parameters_known[i].why);

    } else if (!user || strcmp(name, "user") != 0) {
        connector_add(out, connector_parameters_known[i].libpq, value);
    }
}


/* Decodes %XX into "out", which has CONNECTOR_VALUE bytes. */

static int
connector_decode(const connector_t *cn, const char *s, size_t len, char *out)
{
    char        *p;
    const char  *end;

    if (len >= CONNECTOR_VALUE) {
        return connector_refuse(cn, "connection.url", "a part of it is too "
                                "long");
    }

    for (p = out, end = s + len; s < end; p++) {
        if (*s != '%') {
            *p = *s++;
            continue;
        }

        if (end - s < 3 || text_get_hex(p, s + 1, 2) == NULL || *p == '\0') {
            return connector_refuse(cn, "connection.url", "\"%\" must be "
                                    "followed by two hexadecimal digits");
        }
        s += 3;
    }

    *p = '\0';

    return 0;
}


/* Appends name=value, quoted where libpq asks for it. */

static void
connector_add(buf_t *out, const char *name, const char *value)
{
    bool  plain;

    plain = *value && strpbrk(value, " '\\\t\n") == NULL;
    buf_addf(out, "%s%s=%s", out->len ? " " : "", name, plain ? "" : "'");

    for ( ; *value; value++) {
        buf_addf(out, "%s%c", strchr("'\\", *value) ? "\\" : "", *value);
    }

    buf_addf(out, plain ? "" : "'");
}
