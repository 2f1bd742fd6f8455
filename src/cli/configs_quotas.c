/* kafka-configs.sh for users, clients and addresses: their quotas, and users' SCRAM credentials. */
#include "cli/configs.h"
#include "cli/scram.h"

#include <errno.h>

/* match_type of DescribeClientQuotas. */
enum { MATCH_EXACT = 0, MATCH_DEFAULT = 1, MATCH_ANY = 2 };

static bool is_of_ips(const struct configs *x)
{
    return str_equal(str_of(x->named[0].type->quota_entity), STR("ip"));
}

/* Users alone, and not their default, have credentials. */
static bool may_have_credentials(const struct configs *x)
{
    return x->named_count == 1 && x->named[0].name.n != 0 &&
           str_equal(str_of(x->named[0].type->quota_entity), STR("user"));
}

/* ---- describe --------------------------------------------------------------------------------- */

static void make_ask(struct configs *x)
{
    struct quotas *q = &x->quotas;

    describe_client_quotas_request_init(&q->ask);
    q->ask.strict = true;
    q->ask.components = q->components;
    q->ask.components_count = (int32_t)x->named_count;
    for (uint32_t i = 0; i < x->named_count; i++) {
        struct describe_client_quotas_request_components *c = &q->components[i];
        describe_client_quotas_request_components_init(c);
        c->entity_type = str_of(x->named[i].type->quota_entity);
        c->match_type = str_is_null(x->named[i].name) ? MATCH_ANY : x->named[i].name.n == 0 ? MATCH_DEFAULT : MATCH_EXACT;
        c->match = c->match_type == MATCH_EXACT ? x->named[i].name : STR_NULL;
    }
}

static void print_entity(struct text *out, const struct describe_client_quotas_response_entries *e)
{
    static const struct {
        const char *type, *word;
    } words[] = {{"user", "user-principal"}, {"client-id", "client-id"}, {"ip", "ip"}};
    bool first = true;

    for (size_t w = 0; w < array_count(words); w++) {
        for (int32_t i = 0; i < e->entity_count; i++) {
            if (!str_equal(e->entity[i].entity_type, str_of(words[w].type)))
                continue;
            text_printf(out, "%s", first ? "" : ", ");
            if (str_is_null(e->entity[i].entity_name))
                text_printf(out, "the default %s", words[w].word);
            else
                text_printf(out, "%s '%.*s'", words[w].word, STR_ARG(e->entity[i].entity_name));
            first = false;
        }
    }
}

static void table_line(struct configs *x, struct str entity, struct str name, struct str value, const char *source)
{
    table_row(&x->table,
              (struct str[]){str_of(x->named[0].type->singular), entity, name, value, str_of(source)});
}

static struct str kept(struct configs *x, struct text *t)
{
    struct str s = arena_str(&x->tool.arena, text_str(t));

    text_deinit(t);
    return s;
}

static void table_quotas(struct configs *x, const struct describe_client_quotas_response_entries *e)
{
    struct text who = {0};

    print_entity(&who, e);
    struct str entity = kept(x, &who);
    for (int32_t k = 0; k < e->values_count; k++) {
        struct text value = {0};
        double_print(e->values[k].value, &value);
        table_line(x, entity, arena_str(&x->tool.arena, e->values[k].key), kept(x, &value), "QUOTA");
    }
}

static int print_quotas(struct configs *x)
{
    const struct describe_client_quotas_response *r = admin_describe_client_quotas_answer(&x->tool.call, 0);
    struct text *out = &x->tool.cli->out;

    if (r->error_code != KERR_NONE)
        return answer_fails(&x->tool, r->error_code, r->error_message);
    for (int32_t i = 0; i < r->entries_count; i++) {
        if (configs_in_table(x)) {
            table_quotas(x, &r->entries[i]);
            continue;
        }
        text_printf(out, "Quota configs for ");
        print_entity(out, &r->entries[i]);
        text_printf(out, " are ");
        for (int32_t k = 0; k < r->entries[i].values_count; k++) {
            text_printf(out, "%s%.*s=", k == 0 ? "" : ", ", STR_ARG(r->entries[i].values[k].key));
            double_print(r->entries[i].values[k].value, out);
        }
        text_printf(out, "\n");
    }
    return 0;
}

static const char *mechanism_name(int8_t mechanism)
{
    return mechanism == 1 ? "SCRAM-SHA-256" : mechanism == 2 ? "SCRAM-SHA-512" : "UNKNOWN";
}

static void make_ask_users(struct configs *x)
{
    struct quotas *q = &x->quotas;

    describe_user_scram_credentials_request_init(&q->ask_users);
    describe_user_scram_credentials_request_users_init(&q->user);
    q->user.name = x->named[0].name;
    q->ask_users.users = str_is_null(q->user.name) ? NULL : &q->user;
    q->ask_users.users_count = str_is_null(q->user.name) ? -1 : 1;
}

/* A user without credentials is not worth a word. */
static int print_users(struct configs *x)
{
    const struct describe_user_scram_credentials_response *r =
        admin_describe_user_scram_credentials_answer(&x->tool.call, 0);
    struct text *out = &x->tool.cli->out;

    if (r->error_code != KERR_NONE)
        return answer_fails(&x->tool, r->error_code, r->error_message);
    for (int32_t i = 0; i < r->results_count; i++) {
        const struct describe_user_scram_credentials_response_results *u = &r->results[i];
        if (u->error_code == KERR_RESOURCE_NOT_FOUND)
            continue;
        if (u->error_code != KERR_NONE)
            return answer_fails(&x->tool, u->error_code, u->error_message);
        if (configs_in_table(x)) {
            for (int32_t k = 0; k < u->credential_infos_count; k++)
                table_line(x, arena_str(&x->tool.arena, u->user), str_of(mechanism_name(u->credential_infos[k].mechanism)),
                           arena_printf(&x->tool.arena, "iterations=%d", u->credential_infos[k].iterations), "SCRAM");
            continue;
        }
        text_printf(out, "SCRAM credential configs for user-principal '%.*s' are ", STR_ARG(u->user));
        for (int32_t k = 0; k < u->credential_infos_count; k++)
            text_printf(out, "%s%s=iterations=%d", k == 0 ? "" : ", ",
                        mechanism_name(u->credential_infos[k].mechanism), u->credential_infos[k].iterations);
        text_printf(out, "\n");
    }
    return 0;
}

void configs_quotas_describe_run(struct flow *f)
{
    struct configs *x = container_of(f, struct configs, tool.work);

    FLOW_BEGIN(f);
    configs_table_begin(x);
    make_ask(x);
    FLOW_WAIT(f, "quotas", admin_describe_client_quotas(x->tool.admin, &x->tool.call, &x->quotas.ask, &f->op));
    f->result = f->result < 0 ? call_trouble(&x->tool, &x->tool.call) : print_quotas(x);
    if (f->result < 0 || !may_have_credentials(x))
        goto ended;
    admin_call_release(&x->tool.call);
    make_ask_users(x);
    FLOW_WAIT(f, "users",
              admin_describe_user_scram_credentials(x->tool.admin, &x->tool.call, &x->quotas.ask_users, &f->op));
    f->result = f->result < 0 ? call_trouble(&x->tool, &x->tool.call) : print_users(x);
    FLOW_END(f);
ended:
    if (f->result >= 0)
        configs_table_print(x);
    flow_done(f, f->result);
}

/* ---- alter: what is asked for ------------------------------------------------------------------ */

static bool is_quota(const struct configs *x, struct str name)
{
    static const char *const of_clients[] = {"producer_byte_rate", "consumer_byte_rate", "request_percentage",
                                             "controller_mutation_rate"};

    if (is_of_ips(x))
        return str_equal(name, STR("connection_creation_rate"));
    for (size_t i = 0; i < array_count(of_clients); i++) {
        if (str_equal(name, str_of(of_clients[i])))
            return true;
    }
    return false;
}

static bool is_mechanism(struct str name)
{
    return str_equal(name, STR("SCRAM-SHA-256")) || str_equal(name, STR("SCRAM-SHA-512"));
}

static int add_quota(struct configs *x, const struct change *c)
{
    struct alter_client_quotas_request_entries_ops *op = &x->quotas.entry.ops[x->quotas.entry.ops_count++];

    alter_client_quotas_request_entries_ops_init(op);
    op->key = c->name;
    op->remove = str_is_null(c->value);
    if (!op->remove && double_parse(c->value, &op->value) < 0)
        return fail_set(&x->tool.fail, -EINVAL, "Cannot parse quota configuration value for %.*s: %.*s",
                        STR_ARG(c->name), STR_ARG(c->value));
    return 0;
}

static int add_credential(struct configs *x, const struct change *c)
{
    struct alter_user_scram_credentials_request *m = &x->quotas.alter_users;
    struct scram_secret *secret;

    if (str_is_null(c->value)) {
        struct alter_user_scram_credentials_request_deletions *d = &m->deletions[m->deletions_count++];
        alter_user_scram_credentials_request_deletions_init(d);
        d->name = x->named[0].name;
        d->mechanism = str_ends(c->name, STR("256")) ? 1 : 2;
        return 0;
    }
    secret = arena_take(&x->tool.arena, sizeof *secret);
    ASSERT(secret != NULL);
    TRY(scram_secret(x->tool.io, c->name, c->value, secret, &x->tool.fail));
    struct alter_user_scram_credentials_request_upsertions *u = &m->upsertions[m->upsertions_count++];
    alter_user_scram_credentials_request_upsertions_init(u);
    u->name = x->named[0].name;
    u->mechanism = secret->mechanism;
    u->iterations = secret->iterations;
    u->salt = (struct bytes){secret->salt, SCRAM_SALT_BYTES};
    u->salted_password = (struct bytes){secret->salted, secret->salted_bytes};
    return 0;
}

static bool changes_users(const struct configs *x)
{
    return x->quotas.alter_users.deletions_count + x->quotas.alter_users.upsertions_count > 0;
}

static int make_alter(struct configs *x)
{
    struct quotas *q = &x->quotas;
    size_t room = x->change_count + 1;

    alter_client_quotas_request_init(&q->alter);
    alter_client_quotas_request_entries_init(&q->entry);
    alter_user_scram_credentials_request_init(&q->alter_users);
    q->entry.ops = arena_take_array(&x->tool.arena, room, sizeof *q->entry.ops);
    q->alter_users.deletions = arena_take_array(&x->tool.arena, room, sizeof *q->alter_users.deletions);
    q->alter_users.upsertions = arena_take_array(&x->tool.arena, room, sizeof *q->alter_users.upsertions);
    ASSERT(q->entry.ops != NULL && q->alter_users.deletions != NULL && q->alter_users.upsertions != NULL);
    q->alter.entries = &q->entry;
    q->alter.entries_count = 1;
    q->entry.entity = q->entities;
    q->entry.entity_count = (int32_t)x->named_count;
    for (uint32_t i = 0; i < x->named_count; i++) {
        alter_client_quotas_request_entries_entity_init(&q->entities[i]);
        q->entities[i].entity_type = str_of(x->named[i].type->quota_entity);
        q->entities[i].entity_name = x->named[i].name.n == 0 ? STR_NULL : x->named[i].name;
    }
    for (uint32_t i = 0; i < x->change_count; i++) {
        const struct change *c = &x->changes[i];
        bool credential = is_mechanism(c->name) && may_have_credentials(x);
        if (!credential && !is_quota(x, c->name))
            return fail_set(&x->tool.fail, -EINVAL, "Only quota%s configs can be %s for '%s'. Unexpected config names: %.*s",
                            may_have_credentials(x) ? " and SCRAM credential" : "",
                            str_is_null(c->value) ? "deleted" : "added", x->named[0].type->plural, STR_ARG(c->name));
        TRY(credential ? add_credential(x, c) : add_quota(x, c));
    }
    if (q->entry.ops_count > 0 && changes_users(x))
        return fail_set(&x->tool.fail, -EINVAL,
                        "Cannot alter both quota and SCRAM credential configs simultaneously for 'users'");
    return 0;
}

/* ---- alter: answers ------------------------------------------------------------------------------ */

/* What is to be removed must be there: AlterClientQuotas does not tell. */
static int check_removals(struct configs *x)
{
    const struct describe_client_quotas_response *r = admin_describe_client_quotas_answer(&x->tool.call, 0);

    if (r->error_code != KERR_NONE)
        return answer_fails(&x->tool, r->error_code, r->error_message);
    for (int32_t i = 0; i < x->quotas.entry.ops_count; i++) {
        const struct alter_client_quotas_request_entries_ops *op = &x->quotas.entry.ops[i];
        bool there = !op->remove;
        for (int32_t k = 0; !there && r->entries_count == 1 && k < r->entries[0].values_count; k++)
            there = str_equal(r->entries[0].values[k].key, op->key);
        if (!there)
            return fail_set(&x->tool.fail, -EINVAL, "Invalid config(s): %.*s", STR_ARG(op->key));
    }
    return 0;
}

static int altered_quotas(struct configs *x)
{
    const struct alter_client_quotas_response *r = admin_alter_client_quotas_answer(&x->tool.call, 0);

    for (int32_t i = 0; i < r->entries_count; i++) {
        if (r->entries[i].error_code != KERR_NONE)
            return answer_fails(&x->tool, r->entries[i].error_code, r->entries[i].error_message);
    }
    return 0;
}

static int altered_users(struct configs *x)
{
    const struct alter_user_scram_credentials_response *r = admin_alter_user_scram_credentials_answer(&x->tool.call, 0);

    for (int32_t i = 0; i < r->results_count; i++) {
        if (r->results[i].error_code != KERR_NONE)
            return answer_fails(&x->tool, r->results[i].error_code, r->results[i].error_message);
    }
    return 0;
}

void configs_quotas_alter_run(struct flow *f)
{
    struct configs *x = container_of(f, struct configs, tool.work);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "a turn", io_yield(x->tool.io, &f->op)); /* a mistake in words ends the tool later, too */
    if ((f->result = make_alter(x)) < 0)
        goto ended;
    if (changes_users(x)) {
        FLOW_WAIT(f, "users", admin_alter_user_scram_credentials(x->tool.admin, &x->tool.call, &x->quotas.alter_users,
                                                                 &f->op));
        f->result = f->result < 0 ? call_trouble(&x->tool, &x->tool.call) : altered_users(x);
        goto altered;
    }
    make_ask(x);
    FLOW_WAIT(f, "quotas", admin_describe_client_quotas(x->tool.admin, &x->tool.call, &x->quotas.ask, &f->op));
    f->result = f->result < 0 ? call_trouble(&x->tool, &x->tool.call) : check_removals(x);
    if (f->result < 0)
        goto ended;
    admin_call_release(&x->tool.call);
    FLOW_WAIT(f, "alter", admin_alter_client_quotas(x->tool.admin, &x->tool.call, &x->quotas.alter, &f->op));
    f->result = f->result < 0 ? call_trouble(&x->tool, &x->tool.call) : altered_quotas(x);
    FLOW_END(f);
altered:
    if (f->result >= 0)
        configs_say_altered(x);
ended:
    flow_done(f, f->result < 0 ? f->result : 0);
}
