/* What the C programs share: a call that must succeed, a call that must fail and say the right thing. */
#ifndef CHECK_H
#define CHECK_H

#include <keshi.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OK(call)                                                                                   \
    do {                                                                                           \
        if ((call) != 0) {                                                                         \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, ks_last_error());        \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#define WANT(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: want %s\n", __FILE__, __LINE__, #condition);                   \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* The call fails with this code, and the message has all the texts that follow, up to NULL. */
#define FAILS(call, code, ...) fails(__FILE__, __LINE__, #call, (call), (code), __VA_ARGS__, NULL)

static inline void fails(const char *file, int line, const char *call, int status, int code, ...) {
    const char *text = ks_last_error();
    if (status != -1 || ks_last_error_code() != code) {
        fprintf(stderr, "%s:%d: %s: got status %d, code %d (%s), want -1 and %d\n", file, line, call, status,
                ks_last_error_code(), text, code);
        exit(1);
    }
    va_list texts;
    va_start(texts, code);
    for (const char *want; (want = va_arg(texts, const char *)) != NULL;) {
        if (strstr(text, want) == NULL) {
            fprintf(stderr, "%s:%d: %s: got '%s', want '%s' in it\n", file, line, call, text, want);
            exit(1);
        }
    }
    va_end(texts);
}

static inline const KsOp *find(const char *name) {
    const KsOp *op;
    OK(ks_op_find(name, &op));
    return op;
}

/* A float32 array. */
static inline KsArray *floats(const float *data, size_t ndim, const size_t *dims) {
    KsArray *a;
    size_t n = sizeof *data;
    for (size_t i = 0; i < ndim; i++)
        n *= dims[i];
    OK(ks_array_from_data(data, n, KS_FLOAT32, ndim, dims, KS_CPU, 0, &a));
    return a;
}

/* A float32 array of `n` elements holds these. */
static inline void holds(const KsArray *a, const float *want, size_t n) {
    float *got = malloc(n * sizeof *got + 1);
    OK(ks_array_read(a, got, n * sizeof *got));
    for (size_t i = 0; i < n; i++) {
        if (got[i] != want[i]) {
            fprintf(stderr, "element %zu: got %g, want %g\n", i, got[i], want[i]);
            exit(1);
        }
    }
    free(got);
}

#endif
