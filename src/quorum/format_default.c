/* Formatting without being asked: what a server with an empty directory writes. */
#include "config/config.h"
#include "quorum/quorum.h"

#include <stdio.h>
#include <stdlib.h>

/* The name of the first of controller.listener.names. */
static struct str controller_listener(const struct config *settings)
{
    struct str rest = config_str(settings, BROKER_CONTROLLER_LISTENER_NAMES), name = STR_NULL;

    if (!str_is_null(rest))
        (void)str_cut(&rest, ',', &name);
    return name.n > 0 ? str_trim(name) : name;
}

static const struct listener *find_listener(const struct listener *listeners, int count,
                                            struct str name)
{
    for (int i = 0; i < count; i++) {
        if (str_equal(str_of(listeners[i].name), name))
            return &listeners[i];
    }
    return NULL;
}

int quorum_own_voter(const struct config *settings, int32_t node_id, struct raft_voter *out,
                     struct fail *f)
{
    struct listener listeners[LISTENERS_MAX];
    struct str name = controller_listener(settings);
    struct raft_voter v = {.id = node_id, .endpoint_count = 1, .kraft_version_max = 1};

    int count = config_advertised_listeners(settings, listeners, LISTENERS_MAX, f);
    TRY(count);
    const struct listener *own = find_listener(listeners, count, name);
    if (own == NULL) {
        count = config_listeners(settings, listeners, LISTENERS_MAX, f);
        TRY(count);
        own = find_listener(listeners, count, name);
    }
    if (own == NULL)
        return fail_set(f, -EINVAL,
                        "No controller listeners found: controller.listener.names must name one of "
                        "the listeners.");
    snprintf(v.endpoints[0].name, sizeof(v.endpoints[0].name), "%s", own->name);
    snprintf(v.endpoints[0].host, sizeof(v.endpoints[0].host), "%s",
             own->host[0] == '\0' ? "localhost" : own->host);
    v.endpoints[0].port = own->port;
    *out = v;
    return 0;
}

struct format_default {
    struct format_options o;
    struct op done;
    struct op *parent;
};

static void format_default_done(struct op *op, int64_t result)
{
    struct format_default *d = container_of(op, struct format_default, done);
    struct op *parent = d->parent;

    free(d);
    parent->done(parent, result);
}

void quorum_format_default(struct io *io, const struct config *settings, const char *const *dirs,
                           uint32_t dir_count, uint32_t metadata_dir, struct str cluster_id,
                           int32_t node_id, struct text *out, struct fail *f, struct op *op)
{
    struct format_default *d = calloc(1, sizeof(*d));

    ASSERT(d != NULL);
    d->o = (struct format_options){.cluster_id = cluster_id,
                                   .node_id = node_id,
                                   .dirs = dirs,
                                   .dir_count = dir_count,
                                   .metadata_dir = metadata_dir,
                                   .metadata_version = FORMAT_METADATA_VERSION,
                                   .ignore_formatted = true};
    if (config_str(settings, BROKER_CONTROLLER_QUORUM_VOTERS).n <= 0) {
        int error = quorum_own_voter(settings, node_id, &d->o.initial_voters.voters[0], f);
        if (error < 0) {
            free(d);
            io_complete(io, op, error);
            return;
        }
        d->o.standalone = true;
        d->o.initial_voters.count = 1;
    }
    d->parent = op;
    op_init(&d->done, format_default_done);
    quorum_format(io, &d->o, out, f, &d->done);
}
