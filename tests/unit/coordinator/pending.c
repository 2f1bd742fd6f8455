#include "rig.h"

TEST(pending, a_transaction_is_applied_with_its_marker)
{
    struct rig r;

    rig_init(&r);
    rig_write(&r, "a=1 b=1", 7);
    rig_write(&r, "a=2", -1);
    rig_write(&r, "c=1", 8);
    rig_write_marker(&r, 7, true);
    rig_write_marker(&r, 8, false);
    CHECK_EQ(rig_load(&r), 0);
    CHECK_TEXT(text_str(&r.state),
               "[7 0:a=1] [7 1:b=1] 2:a=2 [8 3:c=1] 0:a=1 1:b=1 {7 commit} {8 abort} loaded ");
    rig_end(&r);
}

TEST(pending, markers_decide_what_was_loaded_and_what_was_appended)
{
    struct rig r;

    rig_init(&r);
    rig_write(&r, "a=1", 7);
    CHECK_EQ(rig_load(&r), 0);
    CHECK_EQ(rig_append(&r, "b=1 c=1", 7), 3);
    CHECK_EQ(rig_append(&r, "d=1", 9), 4);
    text_clear(&r.state);
    coordinator_marker(&r.c, 7, true, 0);
    CHECK_TEXT(text_str(&r.state), "0:a=1 1:b=1 2:c=1 {7 commit} ");
    text_clear(&r.state);
    coordinator_marker(&r.c, 9, false, 0);
    coordinator_marker(&r.c, 7, true, 0); /* a marker that is sent again */
    CHECK_TEXT(text_str(&r.state), "{9 abort} {7 commit} ");
    rig_end(&r);
}

TEST(pending, what_is_still_open_goes_with_the_coordinator)
{
    struct rig r;

    rig_init(&r);
    CHECK_EQ(rig_load(&r), 0);
    CHECK_EQ(rig_append(&r, "a=1", 7), 1);
    CHECK_EQ(rig_append(&r, "a=2", 8), 2);
    rig_end(&r); /* the sanitizer would see what is left */
}
