#!/usr/bin/env bash
# Purity: the core needs no clock, socket, file, allocator or randomness, and keeps nothing between
# calls.
#
#   purity.sh [--instrumented] ARCHIVE
#
# Every symbol that an object of ARCHIVE needs from outside the archive must stand in the lists
# below; anything else is named with its object.  No object may have static data that can change.
# --instrumented ignores what sanitizers and coverage add: their calls and their counters.
set -euo pipefail
export LC_ALL=C

# Of libc: memory and strings that the caller owns, formatting into them, and the end of a program
# that met its own bug.
libc='bcmp memchr memcmp memcpy memmove memset strchr strcmp strcspn strlen strncmp strnlen strrchr strspn
    __memcpy_chk __memmove_chk __memset_chk snprintf vsnprintf __snprintf_chk __vsnprintf_chk
    __assert_fail __stack_chk_fail _GLOBAL_OFFSET_TABLE_'
# Of the compiler's own library.
compiler='__udivti3 __umodti3'
# Of libsodium: functions of their arguments.  Whatever draws randomness (crypto_box_seal, *_keygen,
# *_keypair without a seed) or allocates (sodium_malloc, crypto_pwhash) must never come in here.
sodium='crypto_aead_chacha20poly1305_ietf_decrypt crypto_aead_chacha20poly1305_ietf_encrypt
    crypto_auth_hmacsha256_final crypto_auth_hmacsha256_init crypto_auth_hmacsha256_update
    crypto_generichash_final crypto_generichash_init crypto_generichash_update
    crypto_scalarmult crypto_scalarmult_base
    crypto_sign_detached crypto_sign_seed_keypair crypto_sign_verify_detached
    crypto_stream_chacha20_xor_ic sodium_memcmp sodium_memzero'
# Of libcrypto: the low-level digest, which keeps its state in the caller's memory.  EVP fetches and
# allocates.
libcrypto='SHA256_Final SHA256_Init SHA256_Update'

instrumented=no
if [ "${1-}" = --instrumented ]; then
    instrumented=yes
    shift
fi
[ $# = 1 ] || { echo "usage: purity.sh [--instrumented] ARCHIVE" >&2; exit 2; }
archive=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

read -r -d '' -a allowed <<<"$libc $compiler $sodium $libcrypto" || true
printf '%s\n' "${allowed[@]}" >"$work/allowed"
nm --defined-only --extern-only "$archive" | awk 'NF == 3 { print $3 }' >"$work/own"

objects=$(ar t "$archive" | wc -l)
[ "$objects" -gt 0 ] || { echo "$archive: no objects in it"; exit 1; }

# "object symbol", for all that is needed from outside.
nm --undefined-only "$archive" |
    awk 'NF == 1 && /:$/ { object = $1; sub(/:$/, "", object) } NF == 2 { print object, $2 }' |
    awk 'NR == FNR { own[$1]; next } !($2 in own)' "$work/own" - | sort -u >"$work/needed"
if [ "$instrumented" = yes ]; then
    grep -vE ' (__asan_|__ubsan_|__tsan_|__msan_|__lsan_|__sanitizer_|__sancov_|__gcov_|__llvm_|__start_|__stop_)' \
        "$work/needed" >"$work/bare" || true
    mv "$work/bare" "$work/needed"
fi
awk 'NR == FNR { pure[$1]; next } !($2 in pure) {
        print $1 ": needs " $2 ", which is not on the list of pure functions" }' \
    "$work/allowed" "$work/needed" >"$work/faults"

# Data that can change: in .data, .bss, thread-local or common.  Constant tables of pointers lie in
# .data.rel.ro, which the loader closes.
if [ "$instrumented" = no ]; then
    objdump --syms "$archive" |
        awk -F '\t' '
            /file format/ { object = $1; sub(/: .*/, "", object) }
            NF == 2 && $1 !~ / d +[.]/ {
                section = $1
                sub(/.* /, "", section)
                if (section ~ /^[.](data|bss|tdata|tbss)([.]|$)|^[*]COM[*]$/ &&
                    section !~ /^[.]data[.]rel[.]ro/) {
                    sub(/.* /, "", $2)
                    print object ": " $2 " is static data that can change"
                }
            }' >>"$work/faults"
fi

if [ -s "$work/faults" ]; then
    cat "$work/faults"
    exit 1
fi
echo "$objects objects, $(cut -d' ' -f2 "$work/needed" | sort -u | wc -l) symbols from outside, all pure"
