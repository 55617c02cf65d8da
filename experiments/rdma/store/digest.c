#include "digest.h"
#include <immintrin.h>

static const uint64_t first_key[8] = {
    0x243f6a8885a308d3, 0x13198a2e03707344, 0xa4093822299f31d0, 0x082efa98ec4e6c89,
    0x452821e638d01377, 0xbe5466cf34e90c6c, 0xc0ac29b7c97c50dd, 0x3f84d5b5b5470917,
};
static const uint64_t key_step[8] = {
    0x9216d5d98979fb1b, 0xd1310ba698dfb5ad, 0x2ffd72dbd01adfb7, 0xb8e1afed6a267e97,
    0xba7c9045f12c7f99, 0x24a19947b3916cf7, 0x0801f2e2858efc17, 0x636920d871574e69,
};

static uint64_t folded(const uint64_t sums[8], size_t count)
{
    uint64_t hash = count;
    for (int i = 0; i < 8; i++)
        hash = mixed(hash ^ sums[i]) + key_step[i];
    return hash;
}

/* The same sums with the instructions that every x86-64 has, and with wider ones. */
static inline __attribute__((always_inline)) uint64_t narrow(char *into, const char *from, size_t count)
{
    __m128i key[4], step[4], sum[4];
    uint64_t sums[8];
    for (int i = 0; i < 4; i++) {
        key[i] = _mm_loadu_si128((const __m128i *)first_key + i);
        step[i] = _mm_loadu_si128((const __m128i *)key_step + i);
        sum[i] = _mm_setzero_si128();
    }
    for (size_t line = 0; line < count; line++)
        for (int i = 0; i < 4; i++) {
            __m128i data = _mm_loadu_si128((const __m128i *)(from + line * LINE) + i);
            if (into)
                _mm_storeu_si128((__m128i *)(into + line * LINE) + i, data);
            data = _mm_add_epi32(data, key[i]);
            sum[i] = _mm_add_epi64(sum[i], _mm_mul_epu32(data, _mm_srli_epi64(data, 32)));
            key[i] = _mm_add_epi32(key[i], step[i]);
        }
    for (int i = 0; i < 4; i++)
        _mm_storeu_si128((__m128i *)sums + i, sum[i]);
    return folded(sums, count);
}

static inline __attribute__((always_inline, target("avx2"))) uint64_t wide(char *into, const char *from, size_t count)
{
    __m256i key[2], step[2], sum[2];
    uint64_t sums[8];
    for (int i = 0; i < 2; i++) {
        key[i] = _mm256_loadu_si256((const __m256i *)first_key + i);
        step[i] = _mm256_loadu_si256((const __m256i *)key_step + i);
        sum[i] = _mm256_setzero_si256();
    }
    for (size_t line = 0; line < count; line++)
        for (int i = 0; i < 2; i++) {
            __m256i data = _mm256_loadu_si256((const __m256i *)(from + line * LINE) + i);
            if (into)
                _mm256_storeu_si256((__m256i *)(into + line * LINE) + i, data);
            data = _mm256_add_epi32(data, key[i]);
            sum[i] = _mm256_add_epi64(sum[i], _mm256_mul_epu32(data, _mm256_srli_epi64(data, 32)));
            key[i] = _mm256_add_epi32(key[i], step[i]);
        }
    for (int i = 0; i < 2; i++)
        _mm256_storeu_si256((__m256i *)sums + i, sum[i]);
    return folded(sums, count);
}

static __attribute__((target("avx2"))) uint64_t wide_digest(const char *from, size_t count)
{
    return wide(NULL, from, count);
}

static __attribute__((target("avx2"))) uint64_t wide_copy(char *into, const char *from, size_t count)
{
    return wide(into, from, count);
}

uint64_t digest(const void *lines, size_t count)
{
    return __builtin_cpu_supports("avx2") ? wide_digest(lines, count) : narrow(NULL, lines, count);
}

uint64_t digest_while_copying(void *into, const void *lines, size_t count)
{
    return __builtin_cpu_supports("avx2") ? wide_copy(into, lines, count) : narrow(into, lines, count);
}
