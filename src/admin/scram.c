#include "admin/scram.h"

#include <errno.h>

#include <openssl/evp.h>

int scram_salted_password(int8_t mechanism, struct str password, struct bytes salt, int iterations,
                          uint8_t out[SCRAM_KEY_BYTES_MAX])
{
    const EVP_MD *digest = mechanism == 1 ? EVP_sha256() : mechanism == 2 ? EVP_sha512() : NULL;

    if (digest == NULL)
        return -EINVAL;
    int n = EVP_MD_get_size(digest);
    int ok = PKCS5_PBKDF2_HMAC(password.p, password.n, salt.p, salt.n, iterations, digest, n, out);
    return ok == 1 ? n : -EINVAL;
}
