#include "telemetry/telemetry.h"

#include "check.h"

static void add(void *ctx, int64_t wall_ms, const char *words)
{
    text_printf(ctx, "%d %s\n", (int)wall_ms, words);
}

static struct str causes_of(const struct telemetry *t, const char *topic, int32_t partition, struct text *out)
{
    text_clear(out);
    telemetry_causes_each(t, str_of(topic), partition, add, out);
    return text_str(out);
}

TEST(causes, the_last_few_of_each_partition_are_kept)
{
    struct telemetry *t_ = telemetry_new(NULL);
    struct text out = {0};

    CHECK_TEXT(causes_of(t_, "orders", 0, &out), "");
    telemetry_cause(t_, STR("orders"), 1, 5, "is led by\nbroker %d", 2);
    for (int i = 0; i <= CAUSES_OF_ONE_MAX; i++)
        telemetry_cause(t_, STR("orders"), 0, i, "cause %d", i);
    CHECK_TEXT(causes_of(t_, "orders", 0, &out), "1 cause 1\n2 cause 2\n3 cause 3\n4 cause 4\n5 cause 5\n6 cause 6\n"
                                                "7 cause 7\n8 cause 8\n");
    CHECK_TEXT(causes_of(t_, "orders", 1, &out), "5 is led by?broker 2\n");
    CHECK_TEXT(causes_of(t_, "order", 0, &out), "");
    telemetry_cause(t_, STR("order"), 1, 6, "is another topic's");
    telemetry_causes_forget(t_, STR("orders"));
    CHECK_TEXT(causes_of(t_, "orders", 0, &out), "");
    CHECK_TEXT(causes_of(t_, "orders", 1, &out), "");
    CHECK_TEXT(causes_of(t_, "order", 1, &out), "6 is another topic's\n");
    telemetry_free(t_);
    text_deinit(&out);
}

TEST(causes, of_all_the_newest_are_kept)
{
    struct telemetry *t_ = telemetry_new(NULL);
    struct text out = {0};

    for (int i = 0; i < CAUSES_MAX + 2; i++)
        telemetry_cause(t_, STR("orders"), i, i, "cause");
    CHECK_TEXT(causes_of(t_, "orders", 1, &out), "");
    CHECK_TEXT(causes_of(t_, "orders", 2, &out), "2 cause\n");
    CHECK_TEXT(causes_of(t_, "orders", CAUSES_MAX + 1, &out), "4097 cause\n");
    telemetry_free(t_);
    text_deinit(&out);
}

TEST(causes, a_long_one_is_cut)
{
    struct telemetry *t_ = telemetry_new(NULL);
    struct text out = {0};
    char words[CAUSE_BYTES_MAX + 50];

    memset(words, 'x', sizeof words);
    words[sizeof words - 1] = '\0';
    telemetry_cause(t_, STR("orders"), 0, 1, "%s", words);
    CHECK_EQ(causes_of(t_, "orders", 0, &out).n, 2 + CAUSE_BYTES_MAX - 1 + 1);
    telemetry_free(t_);
    text_deinit(&out);
}
