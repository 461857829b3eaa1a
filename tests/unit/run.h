/* The end of every test program: runs its suite and returns the exit status. */
#pragma once

#include <check.h>

static inline int test_run(Suite *s)
{
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? 0 : 1;
}
