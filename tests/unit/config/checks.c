/* Whole settings files against what Kafka says to them: cases.txt. */
#include "check.h"
#include "config/config.h"

#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *base, *text;
} bases[] = {
    {"combined",
     "process.roles=broker,controller\nnode.id=1\ncontroller.listener.names=CONTROLLER\n"
     "listeners=PLAINTEXT://:9092,CONTROLLER://:9093\n"
     "controller.quorum.voters=1@localhost:9093\n"},
    {"broker", "process.roles=broker\nnode.id=2\ncontroller.listener.names=CONTROLLER\n"
               "listeners=PLAINTEXT://:9092\ncontroller.quorum.voters=1@localhost:9093\n"},
    {"controller", "process.roles=controller\nnode.id=1\ncontroller.listener.names=CONTROLLER\n"
                   "listeners=CONTROLLER://:9093\ncontroller.quorum.voters=1@localhost:9093\n"},
    {"topic", ""},
    {"group", ""},
};

static struct str base_text(struct str base)
{
    for (size_t i = 0; i < array_count(bases); i++) {
        if (str_equal(base, str_of(bases[i].base)))
            return str_of(bases[i].text);
    }
    check_fail(__FILE__, __LINE__, "no such base: %.*s", STR_ARG(base));
}

static int load(struct config *c, enum config_source source, struct str text, struct fail *f)
{
    struct properties p;
    struct str key, value;
    int more;

    properties_begin(&p, text);
    while ((more = properties_next(&p, &key, &value, f)) > 0) {
        if (key.n > 0 && key.p[0] == '-') {
            key.p++;
            key.n--;
            value = STR_NULL;
        }
        int error = config_set(c, source, key, value, f);
        /* A broker ignores what it does not know; a topic refuses it. */
        if (error < 0 && !(error == -ENOENT && source == CONFIG_STATIC_BROKER)) {
            more = error;
            break;
        }
    }
    properties_end(&p);
    return more;
}

static int run_broker(struct str base, struct str lines, struct fail *f)
{
    struct config *c = config_new(&broker_settings);
    int error = load(c, CONFIG_STATIC_BROKER, base_text(base), f);

    CHECK_EQ(error, 0);
    error = load(c, CONFIG_STATIC_BROKER, lines, f);
    if (error == 0)
        error = config_check_broker(c, f);
    config_free(c);
    return error;
}

static int run_topic(struct str lines, struct fail *f)
{
    struct config *broker = config_new(&broker_settings), *own = config_new(&topic_settings);
    int error = load(own, CONFIG_TOPIC, lines, f);

    if (error == 0) {
        struct config *topic = config_topic(broker, own);
        error = config_check_topic(topic, broker, f);
        config_free(topic);
    }
    config_free(own);
    config_free(broker);
    return error;
}

static int run_group(struct str lines, struct fail *f)
{
    struct config *c = config_new(&group_settings);
    int error = load(c, CONFIG_GROUP, lines, f);

    config_free(c);
    return error;
}

static struct text read_cases(void)
{
    struct text content = {0};
    char buffer[4096];
    size_t n;
    FILE *file = fopen(TEST_DIR "/cases.txt", "rb");

    CHECK(file != NULL);
    while ((n = fread(buffer, 1, sizeof buffer, file)) > 0)
        text_add(&content, buffer, n);
    fclose(file);
    return content;
}

/* Run one case; say what is wrong and return 1 when the verdict is not the expected one. */
static int run_case(struct str head, struct str lines)
{
    struct fail f = {0};
    struct str base, verdict, part, rest = head;
    int error;

    CHECK(str_cut(&rest, ' ', &base) && str_cut(&rest, ' ', &verdict));
    while (str_cut(&verdict, ':', &part)) /* the last one is ours */
        continue;
    CHECK(str_equal(part, STR("ok")) || str_equal(part, STR("reject")));
    if (str_equal(base, STR("topic")))
        error = run_topic(lines, &f);
    else if (str_equal(base, STR("group")))
        error = run_group(lines, &f);
    else
        error = run_broker(base, lines, &f);
    if ((error == 0) == str_equal(part, STR("ok")) && (error == 0 || f.text[0] != '\0'))
        return 0;
    fprintf(stderr, "%.*s: %s\n", STR_ARG(head), error == 0 ? "taken" : f.text);
    return 1;
}

TEST(checks, agree_with_kafka)
{
    struct text content = read_cases();
    struct str rest = text_str(&content), line, head = STR_NULL, lines = STR_NULL;
    int wrong = 0, count = 0;

    for (;;) {
        bool more = str_cut(&rest, '\n', &line);
        bool begins = more && str_starts(line, STR("== "));
        if ((begins || !more) && !str_is_null(head)) {
            wrong += run_case(head, lines);
            count++;
        }
        if (!more)
            break;
        if (begins) {
            head = (struct str){line.p + 3, line.n - 3};
            lines = (struct str){rest.p, 0};
        } else if (!str_is_null(head)) {
            lines.n = (int32_t)(line.p + line.n - lines.p);
        }
    }
    CHECK(count > 200);
    CHECK_EQ(wrong, 0);
    text_deinit(&content);
}
