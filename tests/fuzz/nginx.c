/*
 * Names of nginx that the units under test refer to, in functions that no
 * target calls.  A call ends the target.
 */

#include <stdlib.h>


#define NOT_CALLED(name)                                                      \
    void name(void);                                                          \
    void name(void) { abort(); }


NOT_CALLED(ngx_create_temp_buf)
NOT_CALLED(ngx_http_discard_request_body)
NOT_CALLED(ngx_http_output_filter)
NOT_CALLED(ngx_http_send_header)
NOT_CALLED(ngx_list_push)
NOT_CALLED(ngx_log_error_core)
NOT_CALLED(ngx_pcalloc)
NOT_CALLED(ngx_slprintf)
NOT_CALLED(ngx_strlow)
NOT_CALLED(ngx_utf8_decode)

void  *ngx_cached_time;
