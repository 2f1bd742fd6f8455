/* JSON that users write. */
#include "check.h"

#include "cli/json.h"

/* The numbers under "n" of the objects in the array "list". */
static int64_t sum(const char *text)
{
    struct json j;
    bool first = true, item = true, member = true;
    int64_t total = 0;

    json_begin(&j, str_of(text));
    if (json_enter(&j, '{')) {
        while (json_next(&j, '}', &first)) {
            if (!str_equal(json_name(&j), STR("list"))) {
                json_skip(&j);
                continue;
            }
            if (!json_enter(&j, '['))
                continue;
            for (item = true; json_next(&j, ']', &item);) {
                if (!json_enter(&j, '{'))
                    continue;
                for (member = true; json_next(&j, '}', &member);) {
                    if (str_equal(json_name(&j), STR("n")))
                        total += json_number(&j);
                    else
                        json_skip(&j);
                }
            }
        }
    }
    return json_end(&j) ? total : -1;
}

TEST(cli_json, what_is_wanted_is_found_among_what_is_not)
{
    CHECK_EQ(sum("{}"), 0);
    CHECK_EQ(sum(" { \"list\" : [ { \"n\" : 1 } , {\"x\":[1,{\"n\":9}],\"n\":2} ], \"y\": {\"z\": [null, true, -1.5e3, "
                 "\"a\\\"b\"]} } "),
             3);
}

TEST(cli_json, mistakes_end_the_reading)
{
    static const char *const wrong[] = {"",
                                        "{",
                                        "[]",
                                        "{\"list\":",
                                        "{\"list\":[}",
                                        "{\"list\":[{\"n\":x}]}",
                                        "{\"a\":1,}",
                                        "{} {}",
                                        "{\"list\" [1]}",
                                        "{\"a",
                                        "{\"list\":[{\"n\":\"1\"}]}"};

    for (size_t i = 0; i < array_count(wrong); i++)
        CHECK_EQ(sum(wrong[i]), -1);
}

TEST(cli_json, depth_has_a_limit)
{
    char deep[300] = "{\"a\":";

    memset(deep + 5, '[', 100);
    CHECK_EQ(sum(deep), -1);
}
