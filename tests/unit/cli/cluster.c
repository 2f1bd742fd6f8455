/* Tools of a cluster before scripted brokers: what is asked of whom, what is printed, how they end. */
#include "script.h"

#include "cli/cli.h"
#include "protocol/alter_partition_reassignments.h"
#include "protocol/elect_leaders.h"
#include "protocol/incremental_alter_configs.h"
#include "protocol/list_partition_reassignments.h"
#include "protocol/remove_raft_voter.h"
#include "protocol/unregister_broker.h"

#include <stdio.h>

struct run {
    struct script *script;
    struct cli cli;
    int64_t status;
    uint32_t lists;        /* answers of ListPartitionReassignments that still say that orders-0 moves */
    struct text moves;     /* that were asked for: "0:2 1:3 " */
    struct text configs;   /* that were altered: "1 leader...rate=5; "; without = one that was removed */
    bool cluster_is_named; /* by RemoveRaftVoter */
};

static void run_begin(struct run *r, uint32_t brokers)
{
    *r = (struct run){.script = script_new(1, brokers)};
    r->cli.io = script_io(r->script);
}

static void run(struct run *r, const char *line)
{
    static char copy[400];
    static char *argv[40];
    struct script_wait w;

    snprintf(copy, sizeof(copy), "%s", line);
    r->cli.argc = 0;
    for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " "))
        argv[r->cli.argc++] = word;
    r->cli.argv = argv;
    text_clear(&r->cli.out);
    text_clear(&r->cli.err);
    cluster_tool_run(&r->cli, script_wait_begin(&w));
    r->status = script_wait_end(r->script, &w);
    CHECK_EQ(sim_node_in_flight(script_machine(r->script)), 0);
}

static void run_end(struct run *r)
{
    text_deinit(&r->cli.out);
    text_deinit(&r->cli.err);
    text_deinit(&r->moves);
    text_deinit(&r->configs);
    script_free(r->script);
}

/* ---- elections -------------------------------------------------------------------------------- */

static void answer_election(struct script_request *r, void *ctx)
{
    static const int16_t errors[] = {KERR_NONE, KERR_ELECTION_NOT_NEEDED, KERR_PREFERRED_LEADER_NOT_AVAILABLE,
                                     KERR_NONE};
    struct elect_leaders_response *a = r->response;

    a->replica_election_results = arena_take_array(&r->arena, 1, sizeof(*a->replica_election_results));
    a->replica_election_results_count = 1;
    elect_leaders_response_replica_election_results_init(a->replica_election_results);
    a->replica_election_results->topic = STR("orders");
    a->replica_election_results->partition_result =
        arena_take_array(&r->arena, array_count(errors), sizeof(*a->replica_election_results->partition_result));
    a->replica_election_results->partition_result_count = array_count(errors);
    for (int32_t i = 0; i < (int32_t)array_count(errors); i++) {
        struct elect_leaders_response_replica_election_results_partition_result *p =
            &a->replica_election_results->partition_result[i];
        elect_leaders_response_replica_election_results_partition_result_init(p);
        p->partition_id = i;
        p->error_code = errors[i];
        p->error_message = i == 2 ? STR("it is away") : STR_NULL;
    }
}

TEST(cli_cluster, elections_say_what_was_done_what_was_needless_what_failed)
{
    struct run r;

    run_begin(&r, 1);
    script_on(r.script, 0, API_ELECT_LEADERS, answer_election, NULL);
    run(&r, "kafka-leader-election.sh --bootstrap-server b1:9092 --election-type preferred --all-topic-partitions");
    CHECK_EQ(r.status, 1);
    CHECK_TEXT(text_str(&r.cli.out),
               "Successfully completed leader election (PREFERRED) for partitions orders-0, orders-3\n"
               "Valid replica already elected for partitions orders-1\n"
               "Error completing leader election (PREFERRED) for partition: orders-2: it is away\n");
    CHECK_TEXT(text_str(&r.cli.err), "1 replica(s) could not be elected\n");
    run_end(&r);
}

TEST(cli_cluster, mistakes_of_words_reach_no_broker)
{
    static const char *const lines[] = {
        "kafka-leader-election.sh --bootstrap-server b1:9092 --all-topic-partitions",
        "kafka-leader-election.sh --bootstrap-server b1:9092 --election-type best --all-topic-partitions",
        "kafka-leader-election.sh --bootstrap-server b1:9092 --election-type unclean --topic t",
        "kafka-reassign-partitions.sh --bootstrap-server b1:9092 --list --execute",
        "kafka-reassign-partitions.sh --bootstrap-server b1:9092 --verify",
        "kafka-reassign-partitions.sh --bootstrap-controller b1:9092 --list",
        "kafka-metadata-quorum.sh --bootstrap-server b1:9092 add-controller",
        "kafka-metadata-quorum.sh --bootstrap-server b1:9092 remove-controller -i 2 -d short",
        "kafka-metadata-quorum.sh --bootstrap-server b1:9092 describe --status --controller-id 2",
        "cluster decommission -b b1:9092",
        "cluster decommission 1 2 -b b1:9092",
        "cluster balance 1 -b b1:9092",
        "cluster status --dry-run -b b1:9092",
        "cluster status --throttle 5 -b b1:9092",
        "cluster balance --throttle 0 -b b1:9092",
        "cluster balance --throttle fast -b b1:9092",
        "kafka-cluster.sh balance -b b1:9092",
    };
    struct run r;

    run_begin(&r, 1);
    for (size_t i = 0; i < array_count(lines); i++) {
        run(&r, lines[i]);
        CHECK_EQ(r.status, 1);
        CHECK(r.cli.out.n + r.cli.err.n > 0);
    }
    CHECK_EQ(script_connections(r.script, 1), 0);
    run_end(&r);
}

/* ---- controllers ------------------------------------------------------------------------------ */

static void answer_remove(struct script_request *r, void *ctx)
{
    const struct remove_raft_voter_request *q = r->message;

    ((struct run *)ctx)->cluster_is_named = !str_is_null(q->cluster_id);
    CHECK_EQ(q->voter_id, 2);
}

TEST(cli_cluster, a_controller_is_removed_by_id_and_directory)
{
    struct run r;

    run_begin(&r, 1);
    script_on(r.script, 0, API_REMOVE_RAFT_VOTER, answer_remove, &r);
    run(&r, "kafka-metadata-quorum.sh --bootstrap-server b1:9092 remove-controller -i 2 -d AAAAAAAAAAAAAAAAAAAAAQ "
            "--dry-run");
    CHECK_TEXT(text_str(&r.cli.out),
               "DRY RUN of removing  KRaft controller 2 with directory id AAAAAAAAAAAAAAAAAAAAAQ\n");
    CHECK_EQ(script_count(r.script, 0, API_REMOVE_RAFT_VOTER), 0);
    run(&r, "quorum remove -i 2 -d AAAAAAAAAAAAAAAAAAAAAQ -b b1:9092");
    CHECK_EQ(r.status, 0);
    CHECK_TEXT(text_str(&r.cli.out), "Removed  KRaft controller 2 with directory id AAAAAAAAAAAAAAAAAAAAAQ\n");
    CHECK(!r.cluster_is_named);
    run_end(&r);
}

/* ---- moves ------------------------------------------------------------------------------------ */

/* Done at once, in the brokers' metadata, whatever ListPartitionReassignments says. */
static void answer_alter(struct script_request *r, void *ctx)
{
    const struct alter_partition_reassignments_request *q = r->message;
    struct run *x = ctx;

    x->lists = 3;
    for (int32_t t = 0; t < q->topics_count; t++) {
        for (int32_t i = 0; i < q->topics[t].partitions_count; i++) {
            CHECK_EQ(q->topics[t].partitions[i].replicas_count, 1);
            text_printf(&x->moves, "%d:%d ", q->topics[t].partitions[i].partition_index,
                        q->topics[t].partitions[i].replicas[0]);
            script_move(x->script, "orders", q->topics[t].partitions[i].partition_index,
                        q->topics[t].partitions[i].replicas[0]);
        }
    }
}

static void answer_list(struct script_request *r, void *ctx)
{
    struct list_partition_reassignments_response *a = r->response;
    struct run *x = ctx;

    if (x->lists == 0)
        return;
    x->lists--;
    a->topics = arena_take_array(&r->arena, 1, sizeof(*a->topics));
    a->topics_count = 1;
    list_partition_reassignments_response_topics_init(a->topics);
    a->topics->name = STR("orders");
    a->topics->partitions = arena_take_array(&r->arena, 1, sizeof(*a->topics->partitions));
    a->topics->partitions_count = 1;
    list_partition_reassignments_response_topics_partitions_init(a->topics->partitions);
}

static void answer_nothing(struct script_request *r, void *ctx) {}

static void moves_begin(struct run *r)
{
    run_begin(r, 3);
    script_topic(r->script, "orders", 4);
    for (int32_t i = 0; i < 4; i++)
        script_move(r->script, "orders", i, 1);
    script_on(r->script, 0, API_ALTER_PARTITION_REASSIGNMENTS, answer_alter, r);
    script_on(r->script, 0, API_LIST_PARTITION_REASSIGNMENTS, answer_list, r);
    script_on(r->script, 0, API_ELECT_LEADERS, answer_nothing, NULL);
    script_on(r->script, 0, API_UNREGISTER_BROKER, answer_nothing, NULL);
}

TEST(cli_cluster, balance_says_what_moves_and_waits_until_it_has)
{
    struct run r;

    moves_begin(&r);
    run(&r, "cluster balance -b b1:9092 --dry-run");
    CHECK_EQ(r.status, 0);
    CHECK_EQ(script_count(r.script, 0, API_ALTER_PARTITION_REASSIGNMENTS), 0);
    r.lists = 2; /* something moves already: that comes first */
    run(&r, "cluster balance -b b1:9092");
    CHECK_EQ(r.status, 0);
    CHECK_TEXT(text_str(&r.moves), "0:2 1:3 ");
    CHECK(strstr(r.cli.out.p, "2 partitions to move, 2 replicas to copy.\nAll of them have moved.\n") != NULL);
    CHECK_EQ(r.lists, 0);
    CHECK_EQ(script_count(r.script, 0, API_LIST_PARTITION_REASSIGNMENTS),
             1 + 3 + 4 + 1); /* tried, before, while, after */
    CHECK_EQ(script_count(r.script, 0, API_ELECT_LEADERS), 1);
    run(&r, "cluster balance -b b1:9092");
    CHECK_TEXT(text_str(&r.cli.out), "0 partitions to move, 0 replicas to copy.\n");
    run_end(&r);
}

static void answer_configs(struct script_request *r, void *ctx)
{
    const struct incremental_alter_configs_request *q = r->message;
    struct text *out = &((struct run *)ctx)->configs;

    for (int32_t i = 0; i < q->resources_count; i++) {
        const struct incremental_alter_configs_request_resources *one = &q->resources[i];
        CHECK_EQ(one->resource_type, str_equal(one->resource_name, STR("orders")) ? 2 : 4);
        for (int32_t k = 0; k < one->configs_count; k++) {
            text_printf(out, "%.*s %.*s", STR_ARG(one->resource_name), STR_ARG(one->configs[k].name));
            if (one->configs[k].config_operation == 0)
                text_printf(out, "=%.*s", STR_ARG(one->configs[k].value));
            text_printf(out, "; ");
        }
    }
}

#define COUNT(r, what) count_of(text_str(&(r)->configs), what)

static uint32_t count_of(struct str text, const char *what)
{
    uint32_t n = 0;

    for (const char *p = text.n == 0 ? NULL : strstr(text.p, what); p != NULL; p = strstr(p + 1, what))
        n++;
    return n;
}

/* Brokers that have a part are throttled until all has moved; of an earlier run nothing is left. */
TEST(cli_cluster, a_throttled_balance_removes_its_throttles)
{
    struct run r;

    moves_begin(&r);
    script_on(r.script, 0, API_INCREMENTAL_ALTER_CONFIGS, answer_configs, &r);
    run(&r, "cluster balance -b b1:9092 --throttle 5000 --dry-run");
    CHECK_EQ(script_count(r.script, 0, API_INCREMENTAL_ALTER_CONFIGS), 0);
    run(&r, "cluster balance -b b1:9092 --throttle 5000");
    CHECK_EQ(r.status, 0);
    CHECK_TEXT(text_str(&r.moves), "0:2 1:3 ");
    CHECK_EQ(COUNT(&r, "orders leader.replication.throttled.replicas=0:1,1:1; "
                       "orders follower.replication.throttled.replicas=0:2,1:3; "), 1);
    CHECK_EQ(COUNT(&r, ".replication.throttled.rate=5000; "), 2 * 3);
    CHECK_EQ(COUNT(&r, ".replication.throttled.rate; "), 2 * 2 * 3);
    CHECK_EQ(COUNT(&r, "orders leader.replication.throttled.replicas; "
                       "orders follower.replication.throttled.replicas; "), 1);
    CHECK_EQ(COUNT(&r, "replica.alter.log.dirs"), 0);
    CHECK(strstr(r.cli.out.p, "2 partitions to move, 2 replicas to copy.\nAll of them have moved.\n") != NULL);
    text_clear(&r.configs);
    run(&r, "cluster balance -b b1:9092 --throttle 5000"); /* nothing moves any more */
    CHECK_EQ(COUNT(&r, ".replication.throttled.rate; "), 2 * 3);
    CHECK_EQ(COUNT(&r, "="), 0);
    run_end(&r);
}

TEST(cli_cluster, a_decommission_that_is_tried_changes_nothing)
{
    struct run r;

    moves_begin(&r);
    script_move(r.script, "orders", 3, 3);
    run(&r, "cluster decommission 7 -b b1:9092");
    CHECK_EQ(r.status, 1);
    CHECK(strstr(r.cli.err.p, "there is no broker 7") != NULL);
    run(&r, "cluster decommission 3 --dry-run -b b1:9092");
    CHECK_EQ(r.status, 0);
    CHECK(strstr(r.cli.out.p, "1 partition to move, 1 replica to copy.\n") != NULL);
    CHECK_EQ(script_count(r.script, 0, API_ALTER_PARTITION_REASSIGNMENTS), 0);
    CHECK_EQ(script_count(r.script, 0, API_UNREGISTER_BROKER), 0);
    run_end(&r);
}
