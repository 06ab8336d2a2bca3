/* Bad input of every kind: each call fails, says what, and the process goes on. */

#define _POSIX_C_SOURCE 200809L

#include "check.h"

#include <sys/wait.h>
#include <unistd.h>

static KsValue text(const char *s) {
    KsValue v = {.tag = KS_STR, .len = strlen(s), .as.s = s};
    return v;
}

/* Index of a parameter. */
static uint32_t param(const KsOp *op, const char *name) {
    KsOpInfo info;
    OK(ks_op_info(op, &info));
    for (size_t i = 0; i < info.num_params; i++) {
        KsParamInfo p;
        OK(ks_op_param(op, i, &p));
        if (strcmp(p.name, name) == 0)
            return (uint32_t)i;
    }
    fprintf(stderr, "%s has no parameter %s\n", info.name, name);
    exit(1);
}

static void operands(KsArray *x) {
    const float six[6] = {0};
    KsArray *other = floats(six, 2, (size_t[]){3, 2}), *whole, *out = NULL, *in[] = {x, other};
    const int32_t ints[4] = {1, 2, 3, 4};
    size_t n = 0;
    OK(ks_array_from_data(ints, sizeof ints, KS_INT32, 2, (size_t[]){2, 2}, KS_CPU, 0, &whole));

    FAILS(ks_op_invoke_binary(find("broadcast_add"), x, other, NULL, &out), KS_ERROR_SHAPE, "broadcast_add: ", "(2,2)", "(3,2)");
    FAILS(ks_op_invoke_binary(find("elemwise_add"), x, other, NULL, &out), KS_ERROR_SHAPE, "elemwise_add: ", "got", "want");
    FAILS(ks_op_invoke_binary(find("broadcast_mul"), x, whole, NULL, &out), KS_ERROR_DTYPE, "broadcast_mul: ", "int32", "float32");
    FAILS(ks_op_invoke_binary(find("broadcast_add"), x, x, other, &out), KS_ERROR_SHAPE, "broadcast_add: ", "(3,2)", "(2,2)");
    FAILS(ks_op_invoke(find("exp"), 2, in, 0, NULL, NULL, 0, 1, &out, &n), KS_ERROR_ARGUMENT, "exp", "1 input", "got 2");
    FAILS(ks_op_invoke(find("exp"), 0, NULL, 0, NULL, NULL, 0, 1, &out, &n), KS_ERROR_ARGUMENT, "exp", "got 0");
    WANT(out == NULL && n == 0);
    n = 7;
    FAILS(ks_op_invoke(find("exp"), 1, in, 0, NULL, NULL, 0, 0, NULL, &n), KS_ERROR_ARGUMENT, "exp: ", "got 0, want 1");
    WANT(n == 1);
    ks_array_free(other);
    ks_array_free(whole);
}

static void parameters(KsArray *x) {
    const KsOp *op = (const KsOp *)&x, *slice = find("slice_axis"), *sum = find("_plus_scalar");
    KsArray *out = NULL;
    KsParams *set = NULL;
    KsValue v = text("one"), odd = {.tag = 17};
    size_t n = 0;
    uint32_t scalar = param(sum, "scalar"), far = 99;
    FAILS(ks_op_find("no_such_operator", &op), KS_ERROR_UNKNOWN_OP, "no_such_operator");
    FAILS(ks_op_invoke(op, 1, &x, 0, NULL, NULL, 0, 1, &out, &n), KS_ERROR_ARGUMENT, "not an operator");
    FAILS(ks_op_invoke(slice, 1, &x, 0, NULL, NULL, 0, 1, &out, &n), KS_ERROR_PARAM, "slice_axis: ", "missing");
    FAILS(ks_op_invoke(sum, 1, &x, 1, &scalar, &v, 0, 1, &out, &n), KS_ERROR_PARAM, "_plus_scalar: ", "scalar", "one");
    FAILS(ks_op_invoke(sum, 1, &x, 1, &far, &v, 0, 1, &out, &n), KS_ERROR_PARAM, "_plus_scalar: ", "99");
    FAILS(ks_op_invoke(sum, 1, &x, 1, &scalar, &odd, 0, 1, &out, &n), KS_ERROR_ARGUMENT, "got 17");
    FAILS(ks_params_new(sum, 1, &scalar, &v, &set), KS_ERROR_PARAM, "_plus_scalar: ", "scalar");
    FAILS(ks_op_invoke_scalar(find("exp"), x, 1, NULL, &out), KS_ERROR_PARAM, "exp: ", "scalar");

    uint32_t at[] = {param(slice, "axis"), param(slice, "begin"), param(slice, "end")};
    KsValue box[] = {text("5"), text("0"), text("1")};
    FAILS(ks_op_invoke(slice, 1, &x, 3, at, box, 0, 1, &out, &n), KS_ERROR_SHAPE, "slice_axis: ", "axis", "got 5");
    OK(ks_params_new(slice, 3, at, box, &set));
    FAILS(ks_op_invoke_params(sum, 1, &x, set, 0, 1, &out, &n), KS_ERROR_ARGUMENT, "_plus_scalar: ", "slice_axis");
    ks_params_free(set);
    WANT(out == NULL);
}

static void nulls(KsArray *x) {
    KsArray *out = NULL, *in[] = {x, NULL};
    size_t n = 0;
    int32_t d = -7;
    FAILS(ks_array_dtype(NULL, &d), KS_ERROR_ARGUMENT, "ks_array_dtype: ", "NULL");
    FAILS(ks_array_ndim(x, NULL), KS_ERROR_ARGUMENT, "ks_array_ndim: ", "NULL");
    FAILS(ks_array_retain(NULL, &out), KS_ERROR_ARGUMENT, "NULL");
    FAILS(ks_op_find(NULL, NULL), KS_ERROR_ARGUMENT, "NULL");
    FAILS(ks_op_invoke_binary(find("broadcast_add"), x, NULL, NULL, &out), KS_ERROR_ARGUMENT, "broadcast_add: rhs", "NULL");
    FAILS(ks_op_invoke_binary(NULL, x, x, NULL, &out), KS_ERROR_ARGUMENT, "not an operator");
    FAILS(ks_op_invoke(find("broadcast_add"), 2, in, 0, NULL, NULL, 0, 1, &out, &n), KS_ERROR_ARGUMENT, "inputs[1]", "NULL");
    FAILS(ks_op_invoke(find("broadcast_add"), 2, NULL, 0, NULL, NULL, 0, 1, &out, &n), KS_ERROR_ARGUMENT, "inputs", "NULL");
    FAILS(ks_array_from_data(NULL, 4, KS_FLOAT32, 0, NULL, KS_CPU, 0, &out), KS_ERROR_ARGUMENT, "data", "NULL");
    FAILS(ks_backward(1, NULL, NULL, 0, 0, 1), KS_ERROR_ARGUMENT, "backward: heads", "NULL");
    FAILS(ks_array_from_dlpack(NULL, &out), KS_ERROR_ARGUMENT, "NULL");
    WANT(d == -7 && out == NULL);
    ks_array_free(NULL);
    ks_params_free(NULL);
}

static void making(void) {
    KsArray *out = NULL;
    float f[4] = {0};
    const size_t four[] = {4}, huge[] = {(size_t)1 << 40, (size_t)1 << 10}, overflow[] = {SIZE_MAX, SIZE_MAX};
    size_t axes[64] = {0};
    FAILS(ks_array_new(KS_FLOAT32, 2, huge, KS_CPU, 0, &out), KS_ERROR_MEMORY, "ks_array_new: ");
    FAILS(ks_array_new(KS_FLOAT32, 2, overflow, KS_CPU, 0, &out), KS_ERROR_MEMORY, "ks_array_new: ");
    FAILS(ks_array_new(KS_FLOAT32, 64, axes, KS_CPU, 0, &out), KS_ERROR_SHAPE, "got 64, want at most 32");
    FAILS(ks_array_new(11, 1, four, KS_CPU, 0, &out), KS_ERROR_DTYPE, "got 11");
    FAILS(ks_array_new(KS_FLOAT32, 1, four, KS_GPU, 0, &out), KS_ERROR_ARGUMENT, "gpu(0)");
    FAILS(ks_array_new(KS_FLOAT32, 1, four, 9, 0, &out), KS_ERROR_ARGUMENT, "got 9");
    FAILS(ks_array_from_data(f, 15, KS_FLOAT32, 1, four, KS_CPU, 0, &out), KS_ERROR_ARGUMENT, "got 15, want 16");
    FAILS(ks_array_from_foreign((char *)f + 1, 12, KS_FLOAT32, 1, (size_t[]){3}, NULL, NULL, &out), KS_ERROR_ARGUMENT, "aligned");
    WANT(out == NULL);
}

static void reading(KsArray *x) {
    float f[5];
    double d = 7;
    KsArray *out = NULL;
    FAILS(ks_array_read(x, f, sizeof f), KS_ERROR_ARGUMENT, "got 20, want 16");
    FAILS(ks_array_write(x, f, 3), KS_ERROR_ARGUMENT, "got 3, want 16");
    FAILS(ks_array_item(x, &d), KS_ERROR_SHAPE, "(2,2)");
    FAILS(ks_array_slice(x, 1, 3, &out), KS_ERROR_SHAPE, "slice: ", "3", "2 rows");
    FAILS(ks_array_slice(x, -1, 2, &out), KS_ERROR_SHAPE, "slice: ", "-1");
    FAILS(ks_array_slice(x, 2, 1, &out), KS_ERROR_SHAPE, "slice: ");
    FAILS(ks_array_at(x, 2, &out), KS_ERROR_SHAPE, "at: ", "got 2, want less than 2");
    FAILS(ks_array_reshape(x, 1, (int64_t[]){7}, 0, &out), KS_ERROR_SHAPE, "reshape: ", "(2,2)", "(7,)");
    FAILS(ks_array_reshape(x, 2, (int64_t[]){-1, -1}, 0, &out), KS_ERROR_SHAPE, "reshape: ");
    WANT(d == 7 && out == NULL);
}

static void tape(KsArray *x) {
    KsArray *y, *z, *out = NULL;
    const KsOp *multiply = find("broadcast_mul");
    FAILS(ks_attach_grad(x, 2), KS_ERROR_PARAM, "grad_req", "got 2");
    FAILS(ks_backward(1, &x, NULL, 0, 0, 1), KS_ERROR_AUTOGRAD, "backward: ", "computational graph");

    KsArray *v;
    OK(ks_array_detach(x, &v));
    OK(ks_attach_grad(v, KS_GRAD_WRITE));
    OK(ks_set_recording(1, NULL));
    OK(ks_op_invoke_binary(multiply, v, v, NULL, &y));
    FAILS(ks_op_invoke_binary(multiply, v, v, v, NULL), KS_ERROR_AUTOGRAD, "broadcast_mul: ", "computational graph");
    FAILS(ks_array_reshape(v, 1, (int64_t[]){3}, 0, &out), KS_ERROR_SHAPE, "reshape: ");
    OK(ks_set_recording(0, NULL));
    OK(ks_backward(1, &y, NULL, 0, 0, 1));
    FAILS(ks_backward(1, &y, NULL, 0, 0, 1), KS_ERROR_AUTOGRAD, "broadcast_mul: ", "freed", "retain_graph");
    FAILS(ks_backward(1, &y, &x, 0, 0, 1), KS_ERROR_AUTOGRAD, "freed");
    ks_array_free(y);

    OK(ks_set_recording(1, NULL));
    OK(ks_op_invoke_binary(multiply, v, v, NULL, &y));
    OK(ks_op_invoke_binary(multiply, y, v, NULL, &z));
    OK(ks_set_recording(0, NULL));
    OK(ks_op_invoke_scalar(find("_plus_scalar"), v, 1, v, NULL));
    FAILS(ks_backward(1, &z, NULL, 0, 0, 1), KS_ERROR_AUTOGRAD, "broadcast_mul: ", "changed in place", "got version", "want");
    ks_array_free(y);
    ks_array_free(z);
    FAILS(ks_grad(1, &v, NULL, 1, &x, 0, 0, 1, &out), KS_ERROR_AUTOGRAD, "grad: ");
    WANT(out == NULL && !ks_is_recording());
    ks_array_free(v);
}

/* A fork between two operations: parent and child go on, with threads. */
static void forked(void) {
    const size_t dims[] = {1 << 20};
    KsArray *a, *b;
    const KsOp *add = find("broadcast_add");
    float *ones = malloc(dims[0] * sizeof *ones);
    for (size_t i = 0; i < dims[0]; i++)
        ones[i] = 1;
    a = floats(ones, 1, dims);
    OK(ks_op_invoke_binary(add, a, a, NULL, &b));
    pid_t child = fork();
    WANT(child >= 0);
    for (int i = 0; i < 3; i++)
        OK(ks_op_invoke_binary(add, a, b, b, NULL));
    for (size_t i = 0; i < dims[0]; i++)
        ones[i] = 5;
    holds(b, ones, dims[0]);
    ks_array_free(a);
    ks_array_free(b);
    free(ones);
    if (child == 0) {
        /* Another program ends the child: what the parent's threads held there is nobody's, and no leak. */
        execlp("true", "true", (char *)NULL);
        _exit(1);
    }
    int status;
    WANT(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void) {
    WANT(ks_last_error_code() == 0 && ks_last_error()[0] == '\0');
    const float data[] = {1, 2, 3, 4};
    KsArray *x = floats(data, 2, (size_t[]){2, 2});
    operands(x);
    parameters(x);
    nulls(x);
    making();
    reading(x);
    tape(x);
    forked();
    ks_array_free(x);
    printf("errors ok\n");
    return 0;
}
