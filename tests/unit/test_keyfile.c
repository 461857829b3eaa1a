/* Key files: both forms there and back, every refusal by name, and every byte that matters. */
#include "fwswarm/keyfile.h"

#include "store_util.h"

#include <ctype.h>

static char dir[256], path[512];
static const uint8_t seed[32] = "a seed of exactly 32 bytes .....";
static struct signer want;

static void setup(void)
{
    dir_make(dir);
    in_dir(path, dir, "key");
    signer_from_seed(&want, seed);
}

static void teardown(void)
{
    dir_remove(dir);
}

static enum err read_key(const char *password, struct signer *out, bool *encrypted)
{
    memset(out, 0, sizeof *out);
    return keyfile_read(path, out, bytes_str(password), encrypted);
}

/* The file as text; lent until the next call. */
static char *text_of(void)
{
    static char text[2048];
    uint8_t *p;
    size_t n;
    ck_assert_int_eq(file_read(path, sizeof text - 1, &p, &n), E_OK);
    memcpy(text, p, n);
    text[n] = '\0';
    free(p);
    return text;
}

static void rewrite(const char *text)
{
    file_put(path, text, strlen(text));
    ck_assert_int_eq(chmod(path, 0600), 0);
}

START_TEST(clear_key_comes_back)
{
    struct signer got;
    struct key pub;
    struct stat st;
    char kind[17];
    bool encrypted = true;
    ck_assert_int_eq(keyfile_write(path, seed, "device", bytes_str(""), false), E_OK);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    ck_assert_int_eq(read_key("", &got, &encrypted), E_OK);
    ck_assert(!encrypted);
    ck_assert_mem_eq(&got, &want, sizeof got);
    ck_assert_int_eq(read_key("not needed", &got, &encrypted), E_OK);
    ck_assert_int_eq(keyfile_public(path, &pub, kind), E_OK);
    ck_assert(key_equal(&pub, &want.pub));
    ck_assert_str_eq(kind, "device");
    ck_assert_ptr_nonnull(strstr(text_of(), "fwswarm-key: 1\nkind: device\npublic: "));
}
END_TEST

START_TEST(sealed_key_needs_its_password)
{
    struct signer got, none = {.secret = {0}};
    struct key pub;
    char kind[17];
    bool encrypted = false;
    ck_assert_int_eq(
        keyfile_write(path, seed, "abcdefgh-1234567", bytes_str("correct horse"), false), E_OK);
    ck_assert_int_eq(read_key("correct horse", &got, &encrypted), E_OK);
    ck_assert(encrypted);
    ck_assert_mem_eq(&got, &want, sizeof got);
    encrypted = false;
    ck_assert_int_eq(read_key("correct hors", &got, &encrypted), E_PASSWORD);
    ck_assert(encrypted);
    ck_assert_mem_eq(&got, &none, sizeof got);
    encrypted = false;
    ck_assert_int_eq(read_key("", &got, &encrypted), E_PASSWORD);
    ck_assert(encrypted);
    ck_assert_int_eq(keyfile_public(path, &pub, kind), E_OK);
    ck_assert(key_equal(&pub, &want.pub));
    ck_assert_str_eq(kind, "abcdefgh-1234567");
    /* The seed is nowhere in it. */
    char hex[65];
    hex_encode(hex, seed, 32);
    ck_assert_ptr_null(strstr(text_of(), hex));
    ck_assert_ptr_nonnull(strstr(text_of(), "\nops: 3\nmemory: 67108864\nsalt: "));
}
END_TEST

START_TEST(same_key_is_sealed_differently_each_time)
{
    static char first[2048];
    ck_assert_int_eq(keyfile_write(path, seed, "root", bytes_str("p"), false), E_OK);
    (void)snprintf(first, sizeof first, "%s", text_of());
    ck_assert_int_eq(keyfile_write(path, seed, "root", bytes_str("p"), true), E_OK);
    const char *second = text_of();
    ck_assert_str_ne(strstr(first, "salt: "), strstr(second, "salt: "));
    ck_assert_str_ne(strstr(first, "nonce: "), strstr(second, "nonce: "));
    ck_assert_str_ne(strstr(first, "seed: "), strstr(second, "seed: "));
}
END_TEST

START_TEST(key_is_not_overwritten_unasked)
{
    static const uint8_t other[32] = {7};
    struct signer got;
    bool encrypted;
    ck_assert_int_eq(keyfile_write(path, seed, "device", bytes_str(""), false), E_OK);
    ck_assert_int_eq(keyfile_write(path, other, "device", bytes_str(""), false), E_EXISTS);
    ck_assert_int_eq(read_key("", &got, &encrypted), E_OK);
    ck_assert(key_equal(&got.pub, &want.pub));
    ck_assert_int_eq(keyfile_write(path, other, "device", bytes_str(""), true), E_OK);
    ck_assert_int_eq(read_key("", &got, &encrypted), E_OK);
    ck_assert(!key_equal(&got.pub, &want.pub));
    ck_assert_int_eq(keyfile_write("/no/such/key", seed, "device", bytes_str(""), false), E_NOENT);
}
END_TEST

START_TEST(exposed_key_is_refused)
{
    const mode_t modes[] = {0640, 0604, 0620, 0602, 0610, 0601, 0644, 0666};
    struct signer got;
    struct key pub;
    char kind[17];
    bool encrypted;
    ck_assert_int_eq(keyfile_write(path, seed, "device", bytes_str(""), false), E_OK);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        ck_assert_int_eq(chmod(path, modes[i]), 0);
        ck_assert_int_eq(read_key("", &got, &encrypted), E_EXPOSED);
        ck_assert_int_eq(keyfile_public(path, &pub, kind), E_EXPOSED);
    }
    ck_assert_int_eq(chmod(path, 0400), 0);
    ck_assert_int_eq(read_key("", &got, &encrypted), E_OK);
}
END_TEST

START_TEST(missing_and_strange_files_are_named)
{
    struct signer got;
    struct key pub;
    char kind[17];
    bool encrypted;
    ck_assert_int_eq(read_key("", &got, &encrypted), E_NOENT);
    ck_assert_int_eq(keyfile_public(path, &pub, kind), E_NOENT);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_eq(read_key("", &got, &encrypted), E_FORMAT);
    ck_assert_int_eq(rmdir(path), 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(read_key("", &got, &encrypted), E_FORMAT);
    ck_assert_int_eq(unlink(path), 0);
    static char large[5000];
    memset(large, 'a', sizeof large - 1);
    const char *const texts[] = {"",
                                 "\n",
                                 "fwswarm-key",
                                 "fwswarm-key: \n",
                                 large,
                                 "kind: root\n",
                                 "fwswarm-key: 0\n",
                                 "fwswarm-key: 01\n",
                                 "fwswarm-key: x\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        rewrite(texts[i]);
        ck_assert_int_eq(read_key("", &got, &encrypted), E_FORMAT);
        ck_assert(!encrypted);
    }
    rewrite("fwswarm-key: 2\nand: whatever\n");
    ck_assert_int_eq(read_key("", &got, &encrypted), E_NEWER);
    ck_assert_int_eq(keyfile_public(path, &pub, kind), E_NEWER);
}
END_TEST

/* Whatever is changed, cut off or put behind, the key is not taken. */
START_TEST(every_change_of_a_clear_key_is_seen)
{
    static char good[2048], bad[2048];
    struct signer got;
    bool encrypted;
    ck_assert_int_eq(keyfile_write(path, seed, "device", bytes_str(""), false), E_OK);
    (void)snprintf(good, sizeof good, "%s", text_of());
    size_t n = strlen(good);
    size_t kind = (size_t)(strstr(good, "device") - good);
    for (size_t i = 0; i < n; i++) {
        memcpy(bad, good, n + 1);
        bad[i] = (char)(bad[i] ^ 1);
        rewrite(bad);
        /* The kind of a clear key is a label: nothing in the seed vouches for it. */
        bool label = i >= kind && i < kind + 6;
        enum err err = read_key("", &got, &encrypted);
        ck_assert(label || err == E_FORMAT || err == E_NEWER);
        bad[i] = '\0';
        rewrite(bad);
        ck_assert_int_eq(read_key("", &got, &encrypted), E_FORMAT);
    }
    (void)snprintf(bad, sizeof bad, "%s\n", good);
    rewrite(bad);
    ck_assert_int_eq(read_key("", &got, &encrypted), E_FORMAT);
    /* One spelling: no upper case. */
    memcpy(bad, good, n + 1);
    for (size_t i = (size_t)(strstr(bad, "public: ") - bad) + 8; bad[i] != '\n'; i++)
        bad[i] = (char)toupper((unsigned char)bad[i]);
    rewrite(bad);
    ck_assert_int_eq(read_key("", &got, &encrypted), E_FORMAT);
    rewrite(good);
    ck_assert_int_eq(read_key("", &got, &encrypted), E_OK);
}
END_TEST

static void replace(char *text, size_t cap, const char *from, const char *to)
{
    static char tail[2048];
    char *at = strstr(text, from);
    ck_assert_ptr_nonnull(at);
    (void)snprintf(tail, sizeof tail, "%s", at + strlen(from));
    (void)snprintf(at, cap - (size_t)(at - text), "%s%s", to, tail);
}

START_TEST(every_line_of_a_sealed_key_is_authenticated)
{
    static char good[2048], bad[2048];
    struct signer got;
    bool encrypted;
    ck_assert_int_eq(keyfile_write(path, seed, "release", bytes_str("p"), false), E_OK);
    (void)snprintf(good, sizeof good, "%s", text_of());
    const struct {
        const char *from, *to;
        enum err want;
    } rows[] = {
        {"kind: release", "kind: root", E_PASSWORD},
        {"ops: 3", "ops: 2", E_PASSWORD},
        {"memory: 67108864", "memory: 33554432", E_PASSWORD},
        {"ops: 3", "ops: 1000", E_FORMAT},
        {"ops: 3", "ops: 99999999999999999999999", E_FORMAT},
        {"memory: 67108864", "memory: 68719476736", E_FORMAT},
        {"memory: 67108864", "memory: 64", E_FORMAT},
        {"memory: 67108864", "memory: 067108864", E_FORMAT},
        {"argon2id13", "argon2id14", E_FORMAT},
        {"cipher: argon2id13-xchacha20poly1305", "cipher: none", E_FORMAT},
        {"kind: release", "kind: Release", E_FORMAT},
        {"kind: release", "kind: abcdefghijklmnopq", E_FORMAT},
        {"kind: release\n", "kind: release \n", E_FORMAT},
        {"ops: 3\n", "", E_FORMAT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        (void)snprintf(bad, sizeof bad, "%s", good);
        replace(bad, sizeof bad, rows[i].from, rows[i].to);
        rewrite(bad);
        ck_assert_int_eq(read_key("p", &got, &encrypted), rows[i].want);
    }
    const char *const fields[] = {"public: ", "salt: ", "nonce: ", "seed: "};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        (void)snprintf(bad, sizeof bad, "%s", good);
        char *digit = strstr(bad, fields[i]) + strlen(fields[i]);
        *digit = *digit == '0' ? '1' : '0';
        rewrite(bad);
        ck_assert_int_eq(read_key("p", &got, &encrypted), E_PASSWORD);
    }
    rewrite(good);
    ck_assert_int_eq(read_key("p", &got, &encrypted), E_OK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keyfile");
    TCase *c = tcase_create("keyfile");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 120);
    tcase_add_test(c, clear_key_comes_back);
    tcase_add_test(c, sealed_key_needs_its_password);
    tcase_add_test(c, same_key_is_sealed_differently_each_time);
    tcase_add_test(c, key_is_not_overwritten_unasked);
    tcase_add_test(c, exposed_key_is_refused);
    tcase_add_test(c, missing_and_strange_files_are_named);
    tcase_add_test(c, every_change_of_a_clear_key_is_seen);
    tcase_add_test(c, every_line_of_a_sealed_key_is_authenticated);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
