#include "check.h"

#include <stdlib.h>

static int released;

static void release_counted(struct buf *b)
{
    released++;
    free(b);
}

TEST(buf, lives_until_its_last_reference)
{
    struct buf *b = buf_new(100);

    released = 0;
    b->release = release_counted;
    memset(b->p, 0xaa, b->capacity_bytes);
    CHECK_EQ(b->capacity_bytes, 100);
    CHECK_EQ(b->used_bytes, 0);
    CHECK(buf_ref(b) == b);
    buf_ref(b);
    buf_unref(b);
    buf_unref(b);
    CHECK_EQ(released, 0);
    CHECK_EQ(b->refs, 1);
    buf_unref(b);
    CHECK_EQ(released, 1);
}

TEST(buf, without_release_is_freed)
{
    buf_unref(buf_new(0));
    buf_unref(buf_new(1 << 20));
    buf_unref(NULL);
}

TEST(buf, count_of_a_dead_one_is_not_raised)
{
    struct buf dead = {0};

    CHECK_ASSERTS(buf_ref(&dead));
    CHECK_ASSERTS(buf_unref(&dead));
}
