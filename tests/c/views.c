/* Views share memory and version, are recorded, and outlive the array they were made from. Foreign memory is released
   once. */

#include "check.h"

static void sharing(void) {
    const float data[] = {1, 2, 3, 4, 5, 6}, nine[] = {9, 9};
    KsArray *x = floats(data, 2, (size_t[]){3, 2}), *rows, *row, *line, *same, *one;
    const size_t *dims;
    size_t n;
    uint64_t before, after;
    OK(ks_array_slice(x, 1, 3, &rows));
    OK(ks_array_at(x, 1, &row));
    OK(ks_array_reshape(x, 2, (int64_t[]){-3, -2}, 0, &line));
    OK(ks_array_retain(x, &same));
    OK(ks_array_dims(rows, &dims, &n));
    WANT(n == 2 && dims[0] == 2 && dims[1] == 2);
    OK(ks_array_dims(row, &dims, &n));
    WANT(n == 1 && dims[0] == 2);
    OK(ks_array_at(line, 5, &one));
    OK(ks_array_ndim(one, &n));
    double item;
    OK(ks_array_item(one, &item));
    WANT(n == 1 && item == 6);

    OK(ks_array_version(line, &before));
    OK(ks_array_write(row, nine, sizeof nine));
    OK(ks_array_version(line, &after));
    WANT(after == before + 1);
    ks_array_free(x);
    ks_array_free(row);
    ks_array_free(one);
    holds(same, (float[]){1, 2, 9, 9, 5, 6}, 6);
    holds(line, (float[]){1, 2, 9, 9, 5, 6}, 6);
    holds(rows, (float[]){9, 9, 5, 6}, 4);
    void *at;
    OK(ks_array_data(same, &at));
    ((float *)at)[0] = 7;
    OK(ks_array_touch(same));
    holds(line, (float[]){7, 2, 9, 9, 5, 6}, 6);
    ks_array_free(same);
    ks_array_free(rows);
    /* Outside of recording a shape may be smaller. */
    OK(ks_array_reshape(line, 1, (int64_t[]){4}, 0, &x));
    holds(x, (float[]){7, 2, 9, 9}, 4);
    ks_array_free(line);
    ks_array_free(x);
}

static void recorded(void) {
    const float data[] = {1, 2, 3, 4, 5, 6};
    KsArray *x = floats(data, 2, (size_t[]){3, 2}), *rows, *row, *line, *part, *square, *sum, *y, *grad, *cut;
    const KsOp *add = find("broadcast_add"), *multiply = find("broadcast_mul");
    OK(ks_attach_grad(x, KS_GRAD_WRITE));
    OK(ks_set_recording(1, NULL));
    OK(ks_array_slice(x, 1, 3, &rows));
    OK(ks_array_at(x, 0, &row));
    OK(ks_array_reshape(x, 1, (int64_t[]){-1}, 0, &line));
    OK(ks_array_slice(line, 4, 6, &part));
    OK(ks_op_invoke_binary(multiply, rows, rows, NULL, &square));
    OK(ks_op_invoke_binary(add, square, row, NULL, &sum));
    OK(ks_op_invoke_binary(add, sum, part, NULL, &y));
    OK(ks_array_detach(y, &cut));
    OK(ks_set_recording(0, NULL));
    int fresh;
    OK(ks_fresh_grad(x, &fresh));
    WANT(fresh == 0);
    OK(ks_backward(1, &y, NULL, 0, 0, 1));
    OK(ks_array_grad(x, &grad));
    holds(grad, (float[]){2, 2, 6, 8, 12, 14}, 6);
    OK(ks_fresh_grad(x, &fresh));
    WANT(fresh == 1);
    OK(ks_set_fresh_grad(x, 0));
    OK(ks_fresh_grad(x, &fresh));
    WANT(fresh == 0);
    FAILS(ks_backward(1, &cut, NULL, 0, 0, 1), KS_ERROR_AUTOGRAD, "computational graph");
    KsArray *all[] = {rows, row, line, part, square, sum, y, grad, cut, x};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        ks_array_free(all[i]);
}

/* Marked variables share the caller's gradients; a refused call marks none. */
static void marked(void) {
    const float data[] = {1, 2, 3, 4}, zero[4] = {0};
    KsArray *x = floats(data, 1, (size_t[]){4}), *g = floats(zero, 1, (size_t[]){4});
    KsArray *bad = floats(zero, 2, (size_t[]){2, 2}), *y, *got, *second;
    KsArray *vars[] = {x, x}, *grads[] = {g, bad};
    FAILS(ks_mark_variables(2, vars, grads, NULL), KS_ERROR_SHAPE, "mark_variables: ", "(2,2)", "(4,)");
    OK(ks_array_grad(x, &got));
    WANT(got == NULL);
    OK(ks_mark_variables(1, vars, grads, (int32_t[]){KS_GRAD_ADD}));
    for (int i = 0; i < 2; i++) {
        OK(ks_set_recording(1, NULL));
        OK(ks_op_invoke_binary(find("broadcast_mul"), x, x, NULL, &y));
        OK(ks_set_recording(0, NULL));
        OK(ks_backward(1, &y, NULL, 0, 0, 1));
        ks_array_free(y);
    }
    holds(g, (float[]){4, 8, 12, 16}, 4);
    /* The second derivative of x³, as new arrays: the buffers stay. */
    KsArray *square;
    OK(ks_set_recording(1, NULL));
    OK(ks_op_invoke_binary(find("broadcast_mul"), x, x, NULL, &square));
    OK(ks_op_invoke_binary(find("broadcast_mul"), square, x, NULL, &y));
    OK(ks_grad(1, &y, NULL, 1, &x, 1, 1, 1, &got));
    OK(ks_set_recording(0, NULL));
    OK(ks_grad(1, &got, NULL, 1, &x, 0, 0, 1, &second));
    holds(got, (float[]){3, 12, 27, 48}, 4);
    holds(second, (float[]){6, 12, 18, 24}, 4);
    holds(g, (float[]){4, 8, 12, 16}, 4);
    KsArray *all[] = {x, g, bad, square, y, got, second};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        ks_array_free(all[i]);
}

static void count(void *owner) { ++*(int *)owner; }

static void foreign(void) {
    float memory[4] = {1, 2, 3, 4};
    int released = 0;
    KsArray *a, *row;
    OK(ks_array_from_foreign(memory, sizeof memory, KS_FLOAT32, 2, (size_t[]){2, 2}, count, &released, &a));
    OK(ks_array_at(a, 1, &row));
    OK(ks_op_invoke_scalar(find("_mul_scalar"), row, 10, row, NULL));
    WANT(memory[2] == 30 && memory[3] == 40);
    ks_array_free(a);
    WANT(released == 0);
    ks_array_free(row);
    WANT(released == 1);
    FAILS(ks_array_from_foreign(memory, 3, KS_FLOAT32, 1, (size_t[]){4}, count, &released, &a), KS_ERROR_ARGUMENT, "got 3");
    WANT(released == 1);
    OK(ks_array_from_foreign(NULL, 0, KS_FLOAT32, 1, (size_t[]){0}, count, &released, &a));
    ks_array_free(a);
    WANT(released == 2);
}

int main(void) {
    sharing();
    recorded();
    marked();
    foreign();
    printf("views ok\n");
    return 0;
}
