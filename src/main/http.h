/* main/http.h - libmicrohttpd's calls, from the library that is loaded when a page is to be served (internal).
 *
 * Linked, it would be loaded at each start of each tool: with the nine libraries that it stands on, half of what a start
 * costs.
 */
#pragma once

#include <microhttpd.h>

#include "base/base.h"

#define HTTP_CALLS(X)                   \
    X(MHD_start_daemon)                 \
    X(MHD_stop_daemon)                  \
    X(MHD_get_daemon_info)              \
    X(MHD_create_response_from_buffer)  \
    X(MHD_add_response_header)          \
    X(MHD_queue_response)               \
    X(MHD_destroy_response)

struct http {
#define HTTP_CALL(name) __typeof__(name) *name;
    HTTP_CALLS(HTTP_CALL)
#undef HTTP_CALL
};

/* Load it, for the rest of the process. -ENOENT, and `f` says what this machine lacks. */
MUST int http_load(struct http *out, struct fail *f);
