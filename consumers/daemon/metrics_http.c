/* Metrics and health over HTTP, served by the daemon's loop. */

#include <errno.h>
#include <limits.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/metrics.h"


#define METRICS_CONNECTIONS  32
#define METRICS_TIMEOUT      5    /* seconds an idle connection may stay */


struct metrics_http_s {
    struct MHD_Daemon  *daemon;
    buf_t               topic;    /* as a label has it */
    metrics_get_pt      get;
    void               *data;
    int                 fd;
};


static enum MHD_Result metrics_answer(void *cls,
    struct MHD_Connection *connection, const char *url, const char *method,
    const char *version, const char *upload, size_t *upload_size,
    void **request);


metrics_http_t *
metrics_listen(const conf_t *conf, metrics_get_pt get, void *data, char *err)
{
    int                         rc;
    char                        port[8];
    const char                 *p;
    metrics_http_t             *http;
    struct addrinfo             hints, *addr;
    const union MHD_DaemonInfo *info;

    memset(&hints, 0, sizeof(hints));
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    hints.ai_socktype = SOCK_STREAM;
    snprintf(port, sizeof(port), "%u", conf->listen_port);

    rc = getaddrinfo(conf->listen_host, port, &hints, &addr);
    if (rc) {
        snprintf(err, CONF_ERROR_MAX, "\"listen\" %s: %s", conf->listen,
                 gai_strerror(rc));
        return NULL;
    }

    http = calloc(1, sizeof(metrics_http_t));

    if (http) {
        for (p = conf->topic; *p; p++) {
            buf_addf(&http->topic, *p == '\\' || *p == '"' ? "\\%c" : "%c",
                     *p);
        }

        http->get = get;
        http->data = data;
        errno = 0;

        http->daemon = MHD_start_daemon(
            MHD_USE_EPOLL | (addr->ai_family == AF_INET6 ? MHD_USE_IPv6 : 0),
            0, NULL, NULL, metrics_answer, http,
            MHD_OPTION_SOCK_ADDR, addr->ai_addr,
            MHD_OPTION_CONNECTION_LIMIT, METRICS_CONNECTIONS,
            MHD_OPTION_CONNECTION_TIMEOUT, METRICS_TIMEOUT,
            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t) 8192,
            MHD_OPTION_END);
    }

    freeaddrinfo(addr);

    if (http == NULL || http->daemon == NULL) {
        snprintf(err, CONF_ERROR_MAX, "could not listen on %s: %s",
                 conf->listen, errno ? strerror(errno) : "unknown error");
        free(http);
        return NULL;
    }

    info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    http->fd = info->epoll_fd;

    return http;
}


void
metrics_close(metrics_http_t *http)
{
    if (http) {
        MHD_stop_daemon(http->daemon);
        buf_free(&http->topic);
        free(http);
    }
}


int
metrics_fd(const metrics_http_t *http)
{
    return http->fd;
}


int
metrics_timeout(metrics_http_t *http)
{
    MHD_UNSIGNED_LONG_LONG  ms;

    if (MHD_get_timeout(http->daemon, &ms) != MHD_YES) {
        return -1;
    }

    return ms > INT_MAX ? INT_MAX : (int) ms;
}


void
metrics_serve(metrics_http_t *http)
{
    MHD_run(http->daemon);
}


static enum MHD_Result
metrics_answer(void *cls, struct MHD_Connection *connection, const char *url,
    const char *method, const char *version, const char *upload,
    size_t *upload_size, void **request)
{
    buf_t                 out = { 0 };
    unsigned              status;
    const char           *type;
    enum MHD_Result       rc;
    metrics_http_t       *http = cls;
    const metrics_t      *m;
    struct MHD_Response  *response;

    type = "text/plain; charset=utf-8";
    status = MHD_HTTP_OK;

    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0
        && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
    {
        status = MHD_HTTP_METHOD_NOT_ALLOWED;
        buf_addf(&out, "only GET and HEAD\n");

    } else if (strcmp(url, "/metrics") == 0) {
        type = "text/plain; version=0.0.4; charset=utf-8";
        metrics_prometheus(http->get(http->data), http->topic.data, &out);

    } else if (strcmp(url, "/healthz") == 0 || strcmp(url, "/livez") == 0
               || strcmp(url, "/readyz") == 0)
    {
        m = http->get(http->data);
        status = (url[1] == 'h' ? !m->held : url[1] == 'l' ? m->live : m->ready)
                 ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
        type = "application/json";
        metrics_health(m, &out);

    } else {
        status = MHD_HTTP_NOT_FOUND;
        buf_addf(&out, "/healthz, /livez, /readyz and /metrics are here\n");
    }

    if (buf_failed(&out)) {
        return MHD_NO;
    }

    response = MHD_create_response_from_buffer(out.len, out.data,
                                               MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        buf_free(&out);
        return MHD_NO;
    }

    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);

    if (status == MHD_HTTP_METHOD_NOT_ALLOWED) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    }

    rc = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);

    return rc;
}
