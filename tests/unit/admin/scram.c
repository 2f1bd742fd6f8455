/* What SCRAM makes of a password. */
#include "check.h"

#include "admin/scram.h"
#include "base/text.h"

#include <errno.h>

static void check(int8_t mechanism, const char *expected)
{
    static const uint8_t salt[] = {0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e,
                                   0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36, 0xfa, 0x81};
    struct bytes s = {salt, sizeof salt};
    uint8_t out[SCRAM_KEY_BYTES_MAX];
    struct text got = {0};

    int n = scram_salted_password(mechanism, STR("pencil"), s, 4096, out);
    for (int i = 0; i < n; i++)
        text_printf(&got, "%02x", out[i]);
    CHECK_TEXT(text_str(&got), expected);
    text_deinit(&got);
}

/* Salt and password of RFC 7677; the keys by Python's hashlib.pbkdf2_hmac. */
TEST(admin_scram, a_password_is_salted)
{
    uint8_t out[SCRAM_KEY_BYTES_MAX];

    check(1, "c4a49510323ab4f952cac1fa99441939e78ea74d6be81ddf7096e87513dc615d");
    check(2, "f16efe1be67f1d09502ebd5ed9262fddffba5a377ab4f0b687e5ed5ba0f50686"
             "b8a4ae166476da8ab3b951d2fa9238b63998f45461bc33a464814949cec9631d");
    CHECK_EQ(scram_salted_password(3, STR("pencil"), (struct bytes){out, 1}, 4096, out), -EINVAL);
}
