/* Error codes found anywhere in a message. */
#include "check.h"
#include "protocol/fetch.h"
#include "protocol/offset_fetch.h"
#include "protocol/protocol.h"

TEST(find_error, looks_into_arrays_and_at_what_the_version_has)
{
    struct offset_fetch_response m;
    struct offset_fetch_response_groups groups[2];

    offset_fetch_response_init(&m);
    for (int i = 0; i < 2; i++)
        offset_fetch_response_groups_init(&groups[i]);
    m.groups = groups;
    m.groups_count = 2;
    CHECK(message_has_error(&offset_fetch_response_message, 9, &m, KERR_NONE));
    CHECK(!message_has_error(&offset_fetch_response_message, 9, &m, KERR_NOT_COORDINATOR));
    groups[1].error_code = KERR_NOT_COORDINATOR;
    CHECK(message_has_error(&offset_fetch_response_message, 9, &m, KERR_NOT_COORDINATOR));
    CHECK(!message_has_error(&offset_fetch_response_message, 7, &m, KERR_NOT_COORDINATOR)); /* it has no groups */
    m.error_code = KERR_NOT_COORDINATOR;
    CHECK(message_has_error(&offset_fetch_response_message, 7, &m, KERR_NOT_COORDINATOR));
}

/* A number that happens to be the same is none. */
TEST(find_error, looks_at_error_codes_only)
{
    struct fetch_response m;

    fetch_response_init(&m);
    m.session_id = KERR_NOT_COORDINATOR;
    m.throttle_time_ms = KERR_NOT_COORDINATOR;
    CHECK(!message_has_error(&fetch_response_message, 12, &m, KERR_NOT_COORDINATOR));
    m.error_code = KERR_NOT_COORDINATOR;
    CHECK(message_has_error(&fetch_response_message, 12, &m, KERR_NOT_COORDINATOR));
}
