/* A quorum of one on a real disk: open, append, commit, restart, kill. */
#define _GNU_SOURCE
#include "rig.h"
#include "protocol/describe_quorum.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const one[] = {"one"};
static const char *const three[] = {"a", "b", "c"};

TEST(quorum, an_empty_directory_leads_epoch_1)
{
    struct place p;
    struct rig r;
    struct text state = {0};

    place_real(&p);
    rig_init(&r, &p);
    CHECK_EQ(rig_open(&r), 0);
    rig_ready(&r);
    CHECK_TEXT(text_str(&r.trace), "leader 1 epoch 1\n"
                                   "0..0 epoch 1 control\n"
                                   "claim 1\n");
    CHECK_EQ(quorum_high_watermark(r.q), 1);
    CHECK_EQ(quorum_end(r.q), 1);
    place_read(&p, "__cluster_metadata-0/quorum-state", &state);
    CHECK_TEXT(text_str(&state),
               "{\"clusterId\":\"\",\"leaderId\":1,\"leaderEpoch\":1,\"votedId\":-1,"
               "\"appliedOffset\":0,\"currentVoters\":[{\"voterId\":1}],\"data_version\":0}");
    text_deinit(&state);
    CHECK_EQ(rig_deinit(&r, true), 0);
    place_end(&p);
}

TEST(quorum, what_is_appended_is_committed_in_order)
{
    struct place p;
    struct rig r;
    struct text records = {0};

    place_real(&p);
    rig_init(&r, &p);
    CHECK_EQ(rig_open(&r), 0);
    CHECK_EQ(rig_append(&r, one, 1), ERR_FENCED); /* not elected yet */
    rig_ready(&r);
    CHECK_EQ(rig_append(&r, one, 1), 1);
    CHECK_EQ(rig_append(&r, three, 3), 4);
    CHECK_EQ(quorum_end(r.q), 5);
    CHECK_EQ(quorum_high_watermark(r.q), 1); /* not before it is durable */
    rig_until(&r, 5);
    CHECK_TEXT(text_str(&r.trace), "leader 1 epoch 1\n"
                                   "0..0 epoch 1 control\n"
                                   "claim 1\n"
                                   "1..1 epoch 1\n"
                                   "2..4 epoch 1\n");
    print_records(bytes_of_str(text_str(&r.delivered)), &records);
    CHECK_TEXT(text_str(&records), "1 one\n2 a\n3 b\n4 c\n");
    text_deinit(&records);
    CHECK_EQ(rig_deinit(&r, true), 0);
    place_end(&p);
}

TEST(quorum, another_epoch_is_fenced_and_too_much_is_refused)
{
    struct place p;
    struct rig r;
    struct text framed = {0};
    int64_t last = -7;

    place_real(&p);
    rig_init(&r, &p);
    CHECK_EQ(rig_open(&r), 0);
    rig_ready(&r);
    frame_text("x", &framed);
    struct bytes bytes = bytes_of_str(text_str(&framed));
    CHECK_EQ(quorum_append(r.q, 0, &bytes, 1, &last), ERR_FENCED);
    CHECK_EQ(quorum_append(r.q, 2, &bytes, 1, &last), ERR_FENCED);
    CHECK_EQ(last, -7);
    static const char padding[64 << 10];
    while (framed.n <= QUORUM_BATCH_BYTES_MAX)
        text_add(&framed, padding, sizeof(padding));
    bytes = bytes_of_str(text_str(&framed));
    CHECK_EQ(quorum_append(r.q, 1, &bytes, 1, &last), ERR_LIMIT);
    CHECK_EQ(quorum_end(r.q), 1);
    text_deinit(&framed);
    CHECK_EQ(rig_deinit(&r, true), 0);
    place_end(&p);
}

TEST(quorum, a_restart_leads_the_next_epoch_and_delivers_all_again)
{
    struct place p;
    struct rig r;
    struct text records = {0};

    place_real(&p);
    rig_init(&r, &p);
    CHECK_EQ(rig_open(&r), 0);
    rig_ready(&r);
    CHECK_EQ(rig_append(&r, three, 3), 3);
    rig_until(&r, 4);
    CHECK_EQ(rig_deinit(&r, true), 0);

    rig_init(&r, &p);
    r.options.election_timeout_ms = 3600000; /* it is not waited for */
    CHECK_EQ(rig_open(&r), 0);
    rig_ready(&r);
    CHECK_TEXT(text_str(&r.trace), "leader 1 epoch 2\n"
                                   "0..0 epoch 1 control\n"
                                   "1..3 epoch 1\n"
                                   "4..4 epoch 2 control\n"
                                   "claim 2\n");
    print_records(bytes_of_str(text_str(&r.delivered)), &records);
    CHECK_TEXT(text_str(&records), "1 a\n2 b\n3 c\n");
    text_deinit(&records);
    CHECK_EQ(rig_deinit(&r, true), 0);
    place_end(&p);
}

/* What a committed append wrote is there after kill -9, and so is its epoch. */
TEST(quorum, kill_loses_nothing_that_was_committed)
{
    char dir[] = "/tmp/millrace-quorum-kill-XXXXXX";
    struct place p;
    struct rig r;
    struct text records = {0};
    int status;

    CHECK(mkdtemp(dir) != NULL);
    for (int32_t life = 1; life <= 3; life++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            alarm(300);
            place_real(&p);
            rmdir(p.dir);
            strcpy(p.dir, dir);
            rig_init(&r, &p);
            if (rig_open(&r) < 0)
                _exit(1);
            rig_ready(&r);
            int64_t last = rig_append(&r, three, 3);
            if (last < 0)
                _exit(2);
            rig_until(&r, last + 1);
            (void)rig_append(&r, one, 1); /* may be lost or not */
            raise(SIGKILL);
        }
        CHECK_EQ(waitpid(child, &status, 0), child);
        CHECK(WIFSIGNALED(status));
        CHECK_EQ(WTERMSIG(status), SIGKILL);
    }
    place_real(&p);
    rmdir(p.dir);
    strcpy(p.dir, dir);
    rig_init(&r, &p);
    CHECK_EQ(rig_open(&r), 0);
    rig_ready(&r);
    CHECK_EQ(r.claimed, 4);
    print_records(bytes_of_str(text_str(&r.delivered)), &records);
    uint32_t found = 0;
    for (const char *at = records.p; (at = strstr(at, " b\n")) != NULL; at++)
        found++;
    CHECK_EQ(found, 3);
    text_deinit(&records);
    CHECK_EQ(rig_deinit(&r, true), 0);
    place_end(&p);
}

static int64_t open_with(struct rig *r, struct place *p, const struct raft_voters *voters,
                         bool is_voter)
{
    rig_init(r, p);
    r->options.static_voters = *voters;
    r->options.can_vote = is_voter;
    return rig_open(r);
}

TEST(quorum, what_can_never_work_is_refused_in_words)
{
    const struct raft_voters none = {0};
    const struct raft_voters other = {.count = 1, .voters = {{.id = 2}}};
    struct place p;
    struct rig r;

    place_real(&p);
    CHECK_EQ(open_with(&r, &p, &none, true), -ENOTSUP);
    CHECK(strstr(r.fail.text, "no voters are known") != NULL);
    CHECK_TEXT(text_str(&r.trace), "");
    (void)rig_deinit(&r, false);
    CHECK_EQ(open_with(&r, &p, &none, false), -ENOTSUP);
    CHECK(strstr(r.fail.text, "no voters are known") != NULL);
    (void)rig_deinit(&r, false);
    CHECK_EQ(open_with(&r, &p, &other, true), -ENOTSUP);
    CHECK(strstr(r.fail.text, "does not name node 1") != NULL);
    (void)rig_deinit(&r, false);
    CHECK_EQ(open_with(&r, &p, &other, false), 0); /* an observer */
    CHECK_EQ(rig_deinit(&r, true), 0);
    rig_init(&r, &p);
    r.options.static_voters = none;
    r.options.bootstrap_servers = STR("nowhere");
    CHECK_EQ(rig_open(&r), -EINVAL);
    CHECK(strstr(r.fail.text, "HOST:PORT") != NULL);
    (void)rig_deinit(&r, false);
    place_end(&p);
}

TEST(quorum, a_damaged_quorum_state_is_refused_in_words)
{
    struct place p;
    struct rig r;

    place_real(&p);
    rig_init(&r, &p);
    CHECK_EQ(rig_open(&r), 0);
    rig_ready(&r);
    (void)rig_deinit(&r, true);
    place_write(&p, "__cluster_metadata-0/quorum-state", bytes_of_str(STR("{\"leaderId\":1,")));
    rig_init(&r, &p);
    CHECK_EQ(rig_open(&r), ERR_CORRUPT);
    CHECK(strstr(r.fail.text, "quorum-state: it is not one JSON object") != NULL);
    (void)rig_deinit(&r, false);
    place_end(&p);
}

/* Closing at any moment: nothing is told afterwards, nothing hangs. */
TEST(quorum, it_can_be_closed_at_any_time)
{
    struct place p;

    place_real(&p);
    for (int turns = 0; turns < 12; turns++) {
        struct rig r;

        rig_init(&r, &p);
        CHECK_EQ(rig_open(&r), 0);
        for (int i = 0; i < turns; i++) {
            struct wait w;
            io_yield(p.io, wait_begin(&w));
            (void)wait_end(&p, &w);
        }
        (void)rig_append(&r, one, 1);
        CHECK_EQ(rig_deinit(&r, true), 0);
    }
    place_end(&p);
}

struct describe {
    struct quorum_call call;
    struct arena arena;
    struct describe_quorum_response answer;
    bool ready;
};

static void described(struct quorum_call *call)
{
    container_of(call, struct describe, call)->ready = true;
}

static const struct describe_quorum_response *describe_as(struct rig *r, struct describe *d, int16_t version,
                                                          const struct describe_quorum_request *request)
{
    *d = (struct describe){.call = {.api_key = API_DESCRIBE_QUORUM,
                                    .api_version = version,
                                    .request = request,
                                    .response = &d->answer,
                                    .arena = &d->arena,
                                    .ready = described}};
    arena_init(&d->arena, 0);
    describe_quorum_response_init(&d->answer);
    quorum_handle(r->q, &d->call);
    CHECK(place_run(r->place, &d->ready));
    return &d->answer;
}

static const struct describe_quorum_response *describe(struct rig *r, struct describe *d, int16_t version)
{
    struct describe_quorum_request_topics_partitions partition = {.partition_index = 0};
    struct describe_quorum_request_topics topic = {
        .topic_name = STR("__cluster_metadata"), .partitions = &partition, .partitions_count = 1};

    return describe_as(r, d, version, &(struct describe_quorum_request){.topics = &topic, .topics_count = 1});
}

/* As Kafka: each of the partitions that were named, and nothing as a whole. */
TEST(quorum, describes_no_other_partition)
{
    struct describe_quorum_request_topics_partitions partitions[] = {{.partition_index = 0}, {.partition_index = 1}};
    struct describe_quorum_request_topics topics[] = {
        {.topic_name = STR("other"), .partitions = partitions, .partitions_count = 2},
        {.topic_name = STR("__cluster_metadata"), .partitions = partitions, .partitions_count = 1}};
    const struct describe_quorum_request request = {.topics = topics, .topics_count = 2};
    struct place p;
    struct rig r;
    struct describe answered;

    place_real(&p);
    rig_init(&r, &p);
    CHECK_EQ(rig_open(&r), 0);
    rig_ready(&r);
    const struct describe_quorum_response *answer = describe_as(&r, &answered, 2, &request);
    CHECK_EQ(answer->error_code, KERR_NONE);
    CHECK_EQ(answer->topics_count, 2);
    for (int n = 0; n < 2; n++) {
        CHECK(str_equal(answer->topics[n].topic_name, topics[n].topic_name));
        CHECK_EQ(answer->topics[n].partitions_count, topics[n].partitions_count);
        for (int i = 0; i < answer->topics[n].partitions_count; i++) {
            CHECK_EQ(answer->topics[n].partitions[i].partition_index, i);
            CHECK_EQ(answer->topics[n].partitions[i].error_code, KERR_UNKNOWN_TOPIC_OR_PARTITION);
        }
    }
    arena_deinit(&answered.arena);
    CHECK_EQ(rig_deinit(&r, true), 0);
    place_end(&p);
}

TEST(quorum, describes_itself)
{
    struct place p;
    struct rig r;
    struct describe answered;
    const struct describe_quorum_response *answer;

    place_real(&p);
    rig_init(&r, &p);
    CHECK_EQ(rig_open(&r), 0);
    answer = describe(&r, &answered, 2);
    CHECK_EQ(answer->error_code, KERR_BROKER_NOT_AVAILABLE); /* it has not begun */
    arena_deinit(&answered.arena);

    rig_ready(&r);
    CHECK_EQ(rig_append(&r, three, 3), 3);
    rig_until(&r, 4);
    answer = describe(&r, &answered, 2);
    CHECK_EQ(answer->topics_count, 1);
    CHECK_TEXT(answer->topics[0].topic_name, "__cluster_metadata");
    const struct describe_quorum_response_topics_partitions *row = &answer->topics[0].partitions[0];
    CHECK_EQ(row->error_code, 0);
    CHECK_EQ(row->leader_id, 1);
    CHECK_EQ(row->leader_epoch, 1);
    CHECK_EQ(row->high_watermark, 4);
    CHECK_EQ(row->current_voters_count, 1);
    CHECK_EQ(row->current_voters[0].replica_id, 1);
    CHECK_EQ(row->current_voters[0].log_end_offset, 4);
    CHECK(row->current_voters[0].last_caught_up_timestamp > 0);
    CHECK_EQ(row->observers_count, 0);
    CHECK_EQ(answer->nodes_count, 1);
    CHECK(describe_quorum_response_size(answer, 2) > 0);
    arena_deinit(&answered.arena);
    answer = describe(&r, &answered, 0);
    CHECK(describe_quorum_response_size(answer, 0) > 0);
    arena_deinit(&answered.arena);
    CHECK_EQ(rig_deinit(&r, true), 0);
    place_end(&p);
}
