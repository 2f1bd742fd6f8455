/* The throttle time of a response. */
#include "check.h"
#include "protocol/api_versions.h"
#include "protocol/fetch.h"
#include "protocol/protocol.h"
#include "protocol/sasl_handshake.h"

TEST(find_throttle, is_what_the_version_has)
{
    struct api_versions_response versions;
    struct fetch_response fetch;
    struct sasl_handshake_response handshake;

    api_versions_response_init(&versions);
    versions.throttle_time_ms = 70;
    CHECK_EQ(message_throttle_time_ms(&api_versions_response_message, 1, &versions), 70);
    CHECK_EQ(message_throttle_time_ms(&api_versions_response_message, 0, &versions), 0);
    fetch_response_init(&fetch);
    fetch.session_id = 5;
    CHECK_EQ(message_throttle_time_ms(&fetch_response_message, 12, &fetch), 0);
    fetch.throttle_time_ms = -3;
    CHECK_EQ(message_throttle_time_ms(&fetch_response_message, 12, &fetch), -3);
    sasl_handshake_response_init(&handshake);
    CHECK_EQ(message_throttle_time_ms(&sasl_handshake_response_message, 1, &handshake), 0);
}
