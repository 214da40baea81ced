#include "engine/file.h"

#include <nettle/sha2.h>

static void write_hex(struct sha256_ctx *ctx, char out[65])
{
	uint8_t digest[SHA256_DIGEST_SIZE];
	sha256_digest(ctx, sizeof digest, digest);
	for (int i = 0; i < SHA256_DIGEST_SIZE; i++) {
		out[2 * i] = "0123456789abcdef"[digest[i] >> 4];
		out[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
	}
	out[2 * SHA256_DIGEST_SIZE] = '\0';
}

void sha256_hex(const void *data, size_t n_bytes, char out[65])
{
	struct sha256_ctx ctx;
	sha256_init(&ctx);
	sha256_update(&ctx, n_bytes, data);
	write_hex(&ctx, out);
}

void sha256_hex_parts(const struct file_map *part, int n_part, char out[65])
{
	struct sha256_ctx ctx;
	sha256_init(&ctx);
	for (int i = 0; i < n_part; i++)
		sha256_update(&ctx, part[i].size, part[i].data);
	write_hex(&ctx, out);
}
