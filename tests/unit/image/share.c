/* What images share, and how they differ. */
#include "world.h"

#include "protocol/partition_change_record.h"
#include "protocol/remove_topic_record.h"

static void note(void *ctx, const struct image_topic *before, const struct image_topic *after)
{
    struct text *out = ctx;

    text_printf(out, "%.*s>%.*s ", before == NULL ? 0 : before->name.n,
                before == NULL ? "" : before->name.p, after == NULL ? 0 : after->name.n,
                after == NULL ? "" : after->name.p);
}

static void check_changes(const struct image *before, const struct image *after,
                          const char *expected)
{
    struct text out = {0};

    image_topics_changed(before, after, note, &out);
    CHECK_TEXT(text_str(&out), expected);
    text_deinit(&out);
}

static void change(struct image **i, uint8_t topic)
{
    struct partition_change_record r;

    partition_change_record_init(&r);
    r.topic_id = world_id(topic);
    r.partition_id = 0;
    world_apply(i, &partition_change_record_message, 0, &r);
}

static void remove_topic(struct image **i, uint8_t topic)
{
    struct remove_topic_record r;

    remove_topic_record_init(&r);
    r.topic_id = world_id(topic);
    world_apply(i, &remove_topic_record_message, 0, &r);
}

TEST(image_share, differences_are_the_topics_that_changed)
{
    struct image *i = image_empty(), *before;

    world_topic(&i, "a", 1);
    world_topic(&i, "b", 2);
    world_topic(&i, "c", 3);
    world_topic(&i, "d", 4);
    world_partition(&i, 2, 0);
    before = image_ref(i);
    check_changes(before, i, "");
    change(&i, 2);
    check_changes(before, i, "b>b ");
    world_config(&i, 4, "", "log.retention.ms", "5");
    check_changes(before, i, "b>b ");
    remove_topic(&i, 1);
    world_topic(&i, "e", 5);
    check_changes(before, i, "a> b>b >e ");
    remove_topic(&i, 3);
    world_topic(&i, "c", 9);
    check_changes(before, i, "a> b>b c> >c >e ");
    check_changes(i, before, ">a b>b c> >c e> ");
    image_unref(before);
    image_unref(i);
    world_end();
}

TEST(image_share, image_stays_as_it_was_when_a_later_one_changes)
{
    struct image *i = image_empty(), *before;
    struct str print;
    const struct image_topic *a, *b;

    world_topic(&i, "a", 1);
    world_partition(&i, 1, 0);
    world_topic(&i, "b", 2);
    world_partition(&i, 2, 0);
    before = image_ref(i);
    print = world_print(before, false);
    a = image_topic_find(before, STR("a"));
    b = image_topic_find(before, STR("b"));
    change(&i, 2);
    world_config(&i, 2, "b", "retention.ms", "1");
    CHECK(image_topic_find(i, STR("a")) == a);
    CHECK(image_topic_find(i, STR("b")) != b);
    CHECK(str_equal(world_print(before, false), print));
    CHECK(image_topic_find(before, STR("b")) == b);
    image_unref(i);
    CHECK_EQ(b->partitions[0].partition_epoch, 7);
    image_unref(before);
    world_end();
}

static void note_name(void *ctx, struct str name, struct str value)
{
    text_printf(ctx, "%.*s=%.*s ", STR_ARG(name), STR_ARG(value));
}

static void note_resource(void *ctx, struct str resource)
{
    text_printf(ctx, "%.*s ", STR_ARG(resource));
}

TEST(image_share, settings_are_listed_by_resource)
{
    struct image *i = image_empty();
    struct text out = {0};

    world_config(&i, 4, "", "b", "1");
    world_config(&i, 4, "", "a", "2");
    world_config(&i, 4, "1", "c", "3");
    world_config(&i, 16, "m", "d", "4");
    world_config(&i, 16, "n", "d", "5");
    world_config(&i, 16, "n", "e", "6");
    image_config_each(i, 4, STR(""), note_name, &out);
    CHECK_TEXT(text_str(&out), "a=2 b=1 ");
    text_clear(&out);
    image_config_each(i, 16, STR("k"), note_name, &out);
    CHECK_TEXT(text_str(&out), "");
    image_config_resources(i, 16, note_resource, &out);
    CHECK_TEXT(text_str(&out), "m n ");
    text_clear(&out);
    image_config_resources(i, 4, note_resource, &out);
    CHECK_TEXT(text_str(&out), " 1 ");
    text_deinit(&out);
    image_unref(i);
    world_end();
}
