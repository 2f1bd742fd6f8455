#include "main/http.h"

#include <dlfcn.h>
#include <errno.h>

#define LIBRARY "libmicrohttpd.so.12" /* the interface that its header describes since 0.9.60 */

/* A pointer to a function may not be cast from void *: its bytes are kept. */
static int find(void *library, const char *name, void *out, struct fail *f)
{
    void *at = dlsym(library, name);

    if (at == NULL)
        return fail_set(f, -ENOENT, "%s has no %s", LIBRARY, name);
    memcpy(out, &at, sizeof at);
    return 0;
}

int http_load(struct http *out, struct fail *f)
{
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);

    if (library == NULL)
        return fail_set(f, -ENOENT, "metrics are served by libmicrohttpd, which cannot be loaded: %s", dlerror());
#define HTTP_FIND(name) TRY(find(library, #name, &out->name, f));
    HTTP_CALLS(HTTP_FIND)
#undef HTTP_FIND
    return 0;
}
