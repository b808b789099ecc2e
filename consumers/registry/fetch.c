/* Requests by libcurl's multi interface, its sockets in an epoll of our own. */

#include "registry/fetch.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#if (SLUICE_CURL)

#include <curl/curl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "version.h"


#define FETCH_EVENTS  8
#define FETCH_ACCEPT                                                          \
    "Accept: application/vnd.schemaregistry.v1+json, application/json"


struct fetch_s {
    const conf_t       *conf;
    CURLM              *multi;
    CURL               *easy;
    struct curl_slist  *headers;
    int                 fd;            /* epoll */
    int64_t             deadline;
    bool                busy;
    bool                failed;        /* before it was under way */
    bool                long_body;
    buf_t               body;
    char                error[CURL_ERROR_SIZE];
    char                reason[CONF_ERROR_MAX];
};


static int fetch_on_socket(CURL *easy, curl_socket_t fd, int what, void *data,
    void *known);
static int fetch_on_timer(CURLM *multi, long ms, void *data);
static int fetch_options(fetch_t *fetch, const char *url);
static int fetch_credentials(fetch_t *fetch);


fetch_t *
fetch_create(const conf_t *conf, char *err)
{
    fetch_t  *fetch;

    static bool  initialized;

    snprintf(err, CONF_ERROR_MAX, "could not start libcurl");

    if (!initialized && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return NULL;
    }

    initialized = true;
    fetch = calloc(1, sizeof(fetch_t));

    if (fetch == NULL) {
        return NULL;
    }

    fetch->conf = conf;
    fetch->multi = curl_multi_init();
    fetch->fd = epoll_create1(EPOLL_CLOEXEC);

    if (fetch->multi == NULL || fetch->fd == -1
        || curl_multi_setopt(fetch->multi, CURLMOPT_SOCKETFUNCTION,
                             fetch_on_socket) != CURLM_OK
        || curl_multi_setopt(fetch->multi, CURLMOPT_SOCKETDATA, fetch)
           != CURLM_OK
        || curl_multi_setopt(fetch->multi, CURLMOPT_TIMERFUNCTION,
                             fetch_on_timer) != CURLM_OK
        || curl_multi_setopt(fetch->multi, CURLMOPT_TIMERDATA, fetch)
           != CURLM_OK)
    {
        fetch_destroy(fetch);
        return NULL;
    }

    return fetch;
}


void
fetch_destroy(fetch_t *fetch)
{
    if (fetch == NULL) {
        return;
    }

    fetch_stop(fetch);
    curl_multi_cleanup(fetch->multi);
    buf_free(&fetch->body);

    if (fetch->fd != -1) {
        close(fetch->fd);
    }

    free(fetch);
}


int
fetch_fd(const fetch_t *fetch)
{
    return fetch->fd;
}


int64_t
fetch_deadline(const fetch_t *fetch)
{
    return fetch->deadline;
}


static int
fetch_on_socket(CURL *easy, curl_socket_t fd, int what, void *data,
    void *known)
{
    fetch_t             *fetch = data;
    struct epoll_event   event;

    memset(&event, 0, sizeof(event));
    event.data.fd = fd;
    event.events = (what & CURL_POLL_IN ? EPOLLIN : 0)
                   | (what & CURL_POLL_OUT ? EPOLLOUT : 0);

    if (what == CURL_POLL_REMOVE) {
        /* it may be closed already */
        (void) epoll_ctl(fetch->fd, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }

    if (epoll_ctl(fetch->fd, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd,
                  &event)
        == -1)
    {
        return -1;
    }

    (void) curl_multi_assign(fetch->multi, fd, fetch);

    return 0;
}


static int
fetch_on_timer(CURLM *multi, long ms, void *data)
{
    fetch_t  *fetch = data;

    fetch->deadline = ms < 0 ? 0 : clock_ms() + ms;

    return 0;
}


static size_t
fetch_on_body(char *s, size_t size, size_t n, void *data)
{
    fetch_t  *fetch = data;

    if (fetch->body.len + size * n > FETCH_BYTES) {
        fetch->long_body = true;
        return 0;
    }

    return buf_append(&fetch->body, s, size * n) == -1 ? 0 : size * n;
}


void
fetch_start(fetch_t *fetch, size_t url, const char *path)
{
    buf_t        whole = { 0 };
    const char  *base;

    fetch_stop(fetch);
    fetch->body.len = 0;
    fetch->long_body = false;
    fetch->failed = true;
    fetch->error[0] = '\0';
    snprintf(fetch->reason, sizeof(fetch->reason), "out of memory");

    base = fetch->conf->registry_url.names[url];
    buf_addf(&whole, "%s", base);

    while (whole.len && whole.data[whole.len - 1] == '/') {
        whole.len--;
    }

    buf_addf(&whole, "%s", path);
    fetch->easy = curl_easy_init();

    if (!buf_failed(&whole) && fetch->easy
        && fetch_options(fetch, whole.data) == 0
        && fetch_credentials(fetch) == 0)
    {
        fetch->failed = curl_multi_add_handle(fetch->multi, fetch->easy)
                        != CURLM_OK;
        fetch->busy = !fetch->failed;
    }

    buf_free(&whole);
}


static int
fetch_options(fetch_t *fetch, const char *url)
{
    size_t         i;
    CURL          *easy = fetch->easy;
    const conf_t  *conf = fetch->conf;

    const struct {
        CURLoption  option;
        long        value;
    } numbers[] = {
        { CURLOPT_NOSIGNAL, 1 },
        { CURLOPT_TIMEOUT_MS, (long) conf->registry_timeout },
        { CURLOPT_CONNECTTIMEOUT_MS, (long) conf->registry_timeout },
#if LIBCURL_VERSION_NUM >= 0x075700
        /* a resolver that does not answer holds up nobody */
        { CURLOPT_QUICK_EXIT, 1 },
#endif
        { CURLOPT_HTTPAUTH, (long) CURLAUTH_BASIC }
    };

    const struct {
        CURLoption   option;
        const void  *value;
    } pointers[] = {
        { CURLOPT_URL, url },
        { CURLOPT_USERAGENT, "sluice-consumer/" SLUICE_VERSION },
        { CURLOPT_WRITEDATA, fetch },
        { CURLOPT_ERRORBUFFER, fetch->error },
        { CURLOPT_CAINFO, conf->registry_ca },
        { CURLOPT_SSLCERT, conf->registry_certificate },
        { CURLOPT_SSLKEY, conf->registry_certificate_key },
#if LIBCURL_VERSION_NUM >= 0x075500
        { CURLOPT_PROTOCOLS_STR, "http,https" }
#endif
    };

    for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (curl_easy_setopt(easy, numbers[i].option, numbers[i].value)
            != CURLE_OK)
        {
            return -1;
        }
    }

    for (i = 0; i < sizeof(pointers) / sizeof(pointers[0]); i++) {
        if (pointers[i].value
            && curl_easy_setopt(easy, pointers[i].option, pointers[i].value)
               != CURLE_OK)
        {
            return -1;
        }
    }

    return curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, fetch_on_body)
           == CURLE_OK ? 0 : -1;
}


/* A value as its file has it now; freed by free(). */

static int
fetch_secret(fetch_t *fetch, const char *value, const char *file,
    char **secret)
{
    char  err[CONF_ERROR_MAX];

    *secret = file ? conf_secret(file, err) : value ? strdup(value) : NULL;

    if (*secret == NULL && (file || value)) {
        snprintf(fetch->reason, sizeof(fetch->reason), "%s",
                 file ? err : "out of memory");
        return -1;
    }

    return 0;
}


static int
fetch_credentials(fetch_t *fetch)
{
    int                 rc;
    char               *password, *authorization;
    buf_t               line = { 0 };
    const conf_t       *conf = fetch->conf;
    struct curl_slist  *more;

    if (fetch_secret(fetch, conf->registry_password,
                     conf->registry_password_file, &password)
        == -1)
    {
        return -1;
    }

    if (fetch_secret(fetch, conf->registry_authorization,
                     conf->registry_authorization_file, &authorization)
        == -1)
    {
        free(password);
        return -1;
    }

    fetch->headers = curl_slist_append(NULL, FETCH_ACCEPT);
    more = fetch->headers;

    if (more && authorization) {
        buf_addf(&line, "Authorization: %s", authorization);
        more = buf_failed(&line) ? NULL
               : curl_slist_append(fetch->headers, line.data);
    }

    rc = more == NULL
         || curl_easy_setopt(fetch->easy, CURLOPT_HTTPHEADER, fetch->headers)
            != CURLE_OK
         || (conf->registry_user
             && (curl_easy_setopt(fetch->easy, CURLOPT_USERNAME,
                                  conf->registry_user) != CURLE_OK
                 || curl_easy_setopt(fetch->easy, CURLOPT_PASSWORD, password)
                    != CURLE_OK)) ? -1 : 0;

    buf_free(&line);
    free(password);
    free(authorization);

    return rc;
}


void
fetch_stop(fetch_t *fetch)
{
    if (fetch->easy) {
        if (fetch->busy) {
            curl_multi_remove_handle(fetch->multi, fetch->easy);
        }
        curl_easy_cleanup(fetch->easy);
        curl_slist_free_all(fetch->headers);
    }

    fetch->easy = NULL;
    fetch->headers = NULL;
    fetch->busy = false;
    fetch->failed = false;
}


fetch_outcome_t
fetch_poll(fetch_t *fetch, int64_t now, fetch_result_t *result)
{
    int                  i, n, running, left;
    long                 status;
    CURLMsg             *message;
    CURLcode             code;
    struct epoll_event   events[FETCH_EVENTS];

    result->body = &fetch->body;
    result->reason = fetch->reason;
    result->status = 0;

    if (fetch->failed) {
        fetch_stop(fetch);
        return FETCH_FAILED;
    }

    n = epoll_wait(fetch->fd, events, FETCH_EVENTS, 0);

    for (i = 0; i < n; i++) {
        curl_multi_socket_action(fetch->multi, events[i].data.fd,
            (events[i].events & EPOLLIN ? CURL_CSELECT_IN : 0)
            | (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0)
            | (events[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR
                                                        : 0),
            &running);
    }

    if (fetch->deadline && now >= fetch->deadline) {
        fetch->deadline = 0;
        curl_multi_socket_action(fetch->multi, CURL_SOCKET_TIMEOUT, 0,
                                 &running);
    }

    while ((message = curl_multi_info_read(fetch->multi, &left)) != NULL) {

        if (message->msg != CURLMSG_DONE || !fetch->busy) {
            continue;
        }

        code = message->data.result;
        status = 0;
        curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &status);
        result->status = (int) status;

        if (code != CURLE_OK) {
            snprintf(fetch->reason, sizeof(fetch->reason), "%s",
                     fetch->long_body ? "its answer is too long"
                     : fetch->error[0] ? fetch->error
                     : curl_easy_strerror(code));
        }

        fetch_stop(fetch);

        return code == CURLE_OK ? FETCH_ANSWERED : FETCH_FAILED;
    }

    return FETCH_BUSY;
}

#else

fetch_t *
fetch_create(const conf_t *conf, char *err)
{
    snprintf(err, CONF_ERROR_MAX, "this sluice-consumer is built without "
             "libcurl");

    return NULL;
}


void
fetch_destroy(fetch_t *fetch)
{
}


int
fetch_fd(const fetch_t *fetch)
{
    return -1;
}


int64_t
fetch_deadline(const fetch_t *fetch)
{
    return 0;
}


void
fetch_start(fetch_t *fetch, size_t url, const char *path)
{
}


void
fetch_stop(fetch_t *fetch)
{
}


fetch_outcome_t
fetch_poll(fetch_t *fetch, int64_t now, fetch_result_t *result)
{
    return FETCH_FAILED;
}

#endif


/* RFC 3986, section 2.3. */

void
fetch_escape(buf_t *path, const char *s, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if (isalnum((unsigned char) s[i]) || strchr("-._~", s[i])) {
            buf_add(path, s + i, 1);
        } else {
            buf_addf(path, "%%%02X", (unsigned char) s[i]);
        }
    }
}
