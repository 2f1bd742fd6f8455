/* Controllers join the quorum and leave it (KIP-853). */
#include "cli/metadata_quorum.h"

#include "log/log.h"

#include <errno.h>
#include <stdlib.h>

#define META_BYTES_MAX (64 << 10)
#define TIMEOUT_MS 30000

#define IS_IT_VALID "Is this a valid controller configuration file?"

int quorum_check_add(struct quorum_tool *x)
{
    struct tool *t = &x->tool;

    if (!given(t, MQ_COMMAND_CONFIG))
        return fail_set(&t->fail, -EINVAL,
                        "You must supply the configuration file of the controller you are adding "
                        "when using add-controller.");
    return 0;
}

int quorum_check_remove(struct quorum_tool *x)
{
    struct tool *t = &x->tool;
    int64_t id;

    TRY(needs(t, MQ_ID));
    TRY(needs(t, MQ_DIRECTORY));
    if (str_to_i64(value_of(t, MQ_ID), INT32_MIN, INT32_MAX, &id) < 0)
        return wrong_words(t, "--controller-id %.*s: a node's id is expected", STR_ARG(value_of(t, MQ_ID)));
    if (id < 0)
        return fail_set(&t->fail, -EINVAL, "Invalid negative --controller-id: %lld", (long long)id);
    x->voter.id = (int32_t)id;
    if (uuid_parse(value_of(t, MQ_DIRECTORY), &x->voter.directory_id) < 0)
        return fail_set(&t->fail, -EINVAL,
                        "Failed to parse --controller-directory-id: %.*s is no directory id: 22 letters "
                        "are expected",
                        STR_ARG(value_of(t, MQ_DIRECTORY)));
    return 0;
}

/* ---- the controller that is added, by its own settings ------------------------------------------
 */

/* settings_load takes a file without node.id and roles for a whole node's: here it is the wrong
 * file. */
static int file_is_a_controllers(struct quorum_tool *x)
{
    struct config *said = config_new(&broker_settings);
    int error = tool_file_take(&x->tool, said);

    if (error == 0 && config_source(said, BROKER_NODE_ID) == CONFIG_DEFAULT)
        error = fail_set(&x->tool.fail, -EINVAL, "node.id not found in configuration file. " IS_IT_VALID);
    else if (error == 0 && !config_has_role(said, STR("controller")))
        error = fail_set(&x->tool.fail, -EINVAL,
                         "process.roles did not contain 'controller' in configuration file. " IS_IT_VALID);
    config_free(said);
    return error;
}

static int take_settings(struct quorum_tool *x)
{
    const struct config *c = x->load.config;
    struct settings_dirs dirs;

    TRY(quorum_own_voter(c, config_node_id(c), &x->voter, &x->tool.fail));
    TRY(settings_dirs(c, &dirs, &x->tool.fail));
    struct str path = arena_printf(&x->tool.arena, "%s/meta.properties", dirs.paths[dirs.metadata]);
    settings_dirs_deinit(&dirs);
    x->directory_path = str_dup(path);
    return 0;
}

static int take_directory(struct quorum_tool *x, int64_t result)
{
    struct meta_properties meta;

    if (result < 0)
        return fail_set(&x->tool.fail, (int)result, "Unable to read %s: %s; kafka-storage.sh format makes it",
                        x->directory_path, error_text((int)result));
    if (meta_properties_parse(text_str(&x->directory_text), &meta, &x->tool.fail) < 0)
        return fail_wrap(&x->tool.fail, "%s", x->directory_path);
    if (uuid_is_zero(meta.directory_id))
        return fail_set(&x->tool.fail, -EINVAL, "No directory id found in %s", x->directory_path);
    x->voter.directory_id = meta.directory_id;
    return 0;
}

static void make_add(struct quorum_tool *x)
{
    add_raft_voter_request_init(&x->add);
    x->add.cluster_id = STR_NULL; /* that of whoever is asked */
    x->add.timeout_ms = TIMEOUT_MS;
    x->add.voter_id = x->voter.id;
    x->add.voter_directory_id = x->voter.directory_id;
    x->add.listeners = x->listeners;
    x->add.listeners_count = (int32_t)x->voter.endpoint_count;
    for (uint32_t i = 0; i < x->voter.endpoint_count; i++) {
        add_raft_voter_request_listeners_init(&x->listeners[i]);
        x->listeners[i].name = str_of(x->voter.endpoints[i].name);
        x->listeners[i].host = str_of(x->voter.endpoints[i].host);
        x->listeners[i].port = x->voter.endpoints[i].port;
    }
}

static void print_added(struct quorum_tool *x)
{
    struct text *out = &x->tool.cli->out;
    char id[UUID_TEXT_BYTES];

    text_printf(out, "%s controller %d with directory id %s and endpoints: ",
                given(&x->tool, MQ_DRY_RUN) ? "DRY RUN of adding" : "Added", x->voter.id,
                uuid_text(x->voter.directory_id, id));
    for (uint32_t i = 0; i < x->voter.endpoint_count; i++) {
        const struct raft_endpoint *e = &x->voter.endpoints[i];
        bool ipv6 = strchr(e->host, ':') != NULL;
        text_printf(out, "%s%s://%s%s%s:%u", i == 0 ? "" : ", ", e->name, ipv6 ? "[" : "", e->host, ipv6 ? "]" : "",
                    e->port);
    }
    text_printf(out, "\n");
}

static int add_answer(struct quorum_tool *x)
{
    const struct add_raft_voter_response *r = admin_add_raft_voter_answer(&x->tool.call, 0);

    return r->error_code == KERR_NONE ? 0 : answer_fails(&x->tool, r->error_code, r->error_message);
}

void quorum_add_run(struct flow *f)
{
    struct quorum_tool *x = container_of(f, struct quorum_tool, tool.work);
    struct tool *t = &x->tool;

    FLOW_BEGIN(f);
    x->settings_path = str_dup(value_of(t, MQ_COMMAND_CONFIG));
    FLOW_TRY(f, "settings", settings_load(&x->load, t->cli, x->settings_path, &t->fail, &f->op));
    f->result = file_is_a_controllers(x);
    if (f->result == 0)
        f->result = take_settings(x);
    if (f->result < 0)
        goto failed;
    FLOW_WAIT(f, "directory", file_read_all(t->io, x->directory_path, META_BYTES_MAX, &x->directory_text, &f->op));
    f->result = take_directory(x, f->result);
    if (f->result == 0 && !given(t, MQ_DRY_RUN)) {
        make_add(x);
        FLOW_WAIT(f, "add", admin_add_raft_voter(t->admin, &t->call, &x->add, &f->op));
        f->result = f->result < 0 ? call_trouble(t, &t->call) : add_answer(x);
    }
    if (f->result == 0)
        print_added(x);
    FLOW_END(f);
failed:
    flow_done(f, f->result);
}

/* ---- one that is removed ------------------------------------------------------------------------
 */

static int remove_answer(struct quorum_tool *x)
{
    const struct remove_raft_voter_response *r = admin_remove_raft_voter_answer(&x->tool.call, 0);

    return r->error_code == KERR_NONE ? 0 : answer_fails(&x->tool, r->error_code, r->error_message);
}

void quorum_remove_run(struct flow *f)
{
    struct quorum_tool *x = container_of(f, struct quorum_tool, tool.work);
    struct tool *t = &x->tool;
    char id[UUID_TEXT_BYTES];

    FLOW_BEGIN(f);
    remove_raft_voter_request_init(&x->remove);
    x->remove.cluster_id = STR_NULL;
    x->remove.voter_id = x->voter.id;
    x->remove.voter_directory_id = x->voter.directory_id;
    if (given(t, MQ_DRY_RUN)) {
        FLOW_WAIT(f, "nothing", io_yield(t->io, &f->op));
    } else {
        FLOW_WAIT(f, "remove", admin_remove_raft_voter(t->admin, &t->call, &x->remove, &f->op));
        f->result = f->result < 0 ? call_trouble(t, &t->call) : remove_answer(x);
    }
    if (f->result == 0) /* two blanks, as Kafka's */
        text_printf(&t->cli->out, "%s  KRaft controller %d with directory id %s\n",
                    given(t, MQ_DRY_RUN) ? "DRY RUN of removing" : "Removed", x->voter.id,
                    uuid_text(x->voter.directory_id, id));
    FLOW_END(f);
    flow_done(f, f->result);
}
