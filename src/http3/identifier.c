#include "http3/identifier.h"

#include "tls/quic.h"
#include <nettle/hmac.h>

/* Of the block: worker, zeros that a forged id has once in 2^32 tries, and what makes it unique. */
#define WORKER_SIZE 2
#define MARK_SIZE   4

void http3_identifier_key_init(struct http3_identifier_key *key, const uint8_t secret[32])
{
    static const uint8_t purpose[] = "connection id";
    struct hmac_sha256_ctx mac;
    uint8_t derived[AES128_KEY_SIZE];
    hmac_sha256_set_key(&mac, 32, secret);
    hmac_sha256_update(&mac, sizeof(purpose), purpose);
    hmac_sha256_digest(&mac, sizeof(derived), derived);
    aes128_set_encrypt_key(&key->seal, derived);
    aes128_set_decrypt_key(&key->open, derived);
}

bool http3_identifier_make(const struct http3_identifier_key *key, unsigned worker, ngtcp2_cid *out)
{
    uint8_t block[HTTP3_IDENTIFIER_SIZE] = {(uint8_t)(worker >> 8), (uint8_t)worker};
    size_t fixed = WORKER_SIZE + MARK_SIZE;
    if (!tls_quic_random(block + fixed, sizeof(block) - fixed))
        return false;
    out->datalen = sizeof(block);
    aes128_encrypt(&key->seal, sizeof(block), out->data, block);
    return true;
}

bool http3_identifier_read(const struct http3_identifier_key *key, struct span id, unsigned *worker)
{
    static const uint8_t mark[MARK_SIZE] = {0};
    uint8_t block[HTTP3_IDENTIFIER_SIZE];
    if (id.size != sizeof(block))
        return false;
    aes128_decrypt(&key->open, sizeof(block), block, id.data);
    *worker = (unsigned)block[0] << 8 | block[1];
    return memcmp(block + WORKER_SIZE, mark, MARK_SIZE) == 0;
}
