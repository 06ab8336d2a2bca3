/* Graphs through the C ABI: composing, lists, attributes, inference, files, binding, forward, backward, a monitor, and a graph
   that is called like an operator. */

#include "check.h"

#include <string.h>

static KsSymbol *variable(const char *name) {
    KsSymbol *s;
    OK(ks_symbol_variable(name, 0, NULL, NULL, &s));
    return s;
}

static void lists(const KsSymbol *s, int what, const char *const *want, size_t count) {
    KsStrings *got;
    size_t n;
    OK(ks_symbol_list(s, what, &got));
    OK(ks_strings_len(got, &n));
    WANT(n == count);
    for (size_t i = 0; i < n; i++) {
        const char *text;
        OK(ks_strings_get(got, i, &text));
        WANT(strcmp(text, want[i]) == 0);
    }
    ks_strings_free(got);
}

/* y = 2 * (x . w') + b */
static KsSymbol *dense(void) {
    static const char *const keys[] = {"num_hidden"}, *const values[] = {"2"};
    static const char *const scalar[] = {"scalar"}, *const two[] = {"2"};
    KsSymbol *x = variable("x"), *fc, *y;
    OK(ks_symbol_call(find("FullyConnected"), "fc", 1, keys, values, 1, NULL, &x, &fc));
    OK(ks_symbol_call(find("_mul_scalar"), "y", 1, scalar, two, 1, NULL, &fc, &y));
    ks_symbol_free(x);
    ks_symbol_free(fc);
    return y;
}

static void graph(KsSymbol *y) {
    KsSymbol *internals, *children, *fc, *copy, *group, *other, *whole;
    KsStrings *text;
    const char *json, *again;
    lists(y, KS_LIST_ARGUMENTS, (const char *[]){"x", "fc_weight", "fc_bias"}, 3);
    lists(y, KS_LIST_OUTPUTS, (const char *[]){"y_output"}, 1);
    lists(y, KS_LIST_NAME, (const char *[]){"y"}, 1);
    OK(ks_symbol_internals(y, &internals));
    lists(internals, KS_LIST_OUTPUTS, (const char *[]){"x", "fc_weight", "fc_bias", "fc_output", "y_output"}, 5);
    lists(internals, KS_LIST_NAME, NULL, 0);
    OK(ks_symbol_output(internals, 3, &fc));
    OK(ks_symbol_set_attr(fc, "lr_mult", "0.5"));
    lists(fc, KS_LIST_ATTRIBUTES, (const char *[]){"lr_mult", "0.5", "__lr_mult__", "0.5", "num_hidden", "2"}, 6);
    FAILS(ks_symbol_set_attr(internals, "mood", "calm"), KS_ERROR_ARGUMENT, "");
    FAILS(ks_symbol_set_attr(fc, "no_bias", "1"), KS_ERROR_PARAM, "");
    FAILS(ks_symbol_output(internals, 5, &copy), KS_ERROR_ARGUMENT, "");
    OK(ks_symbol_children(y, &children));
    lists(children, KS_LIST_OUTPUTS, (const char *[]){"fc_output"}, 1);
    OK(ks_symbol_group(2, (KsSymbol *[]){y, fc}, &group));
    lists(group, KS_LIST_OUTPUTS, (const char *[]){"y_output", "fc_output"}, 2);

    other = variable("z");
    OK(ks_symbol_compose(y, "joined", 1, (const char *[]){"x"}, &other, &copy));
    lists(copy, KS_LIST_INPUTS, (const char *[]){"z", "fc_weight", "fc_bias"}, 3);
    lists(copy, KS_LIST_NAME, (const char *[]){"joined"}, 1);
    lists(y, KS_LIST_INPUTS, (const char *[]){"x", "fc_weight", "fc_bias"}, 3);
    FAILS(ks_symbol_compose(y, NULL, 1, (const char *[]){"nosuch"}, &other, &whole), KS_ERROR_ARGUMENT, "");

    OK(ks_symbol_list(group, KS_LIST_JSON, &text));
    OK(ks_strings_get(text, 0, &json));
    OK(ks_symbol_from_json(json, &whole));
    KsStrings *second;
    OK(ks_symbol_list(whole, KS_LIST_JSON, &second));
    OK(ks_strings_get(second, 0, &again));
    WANT(strcmp(json, again) == 0);
    ks_strings_free(text);
    ks_strings_free(second);
    FAILS(ks_symbol_from_json("{ not json", &whole), KS_ERROR_IO, "");

    KsSymbol *freed[] = {internals, children, fc, copy, group, other, whole};
    for (size_t i = 0; i < sizeof freed / sizeof *freed; i++)
        ks_symbol_free(freed[i]);
}

static void inference(const KsSymbol *y) {
    KsShapes *shapes;
    const int64_t *sizes;
    size_t n, ndim;
    int32_t types[4];
    OK(ks_symbol_infer_shape(y, 1, (const char *[]){"x"}, (size_t[]){2}, (int64_t[]){0, 3}, &shapes));
    OK(ks_shapes_len(shapes, &n));
    WANT(n == 4);
    OK(ks_shapes_get(shapes, 1, &ndim, &sizes));
    WANT(ndim == 2 && sizes[0] == 2 && sizes[1] == 3);
    OK(ks_shapes_get(shapes, 3, &ndim, &sizes));
    WANT(ndim == 2 && sizes[0] == -1 && sizes[1] == 2);
    ks_shapes_free(shapes);
    FAILS(ks_symbol_infer_shape(y, 2, (const char *[]){"x", "fc_bias"}, (size_t[]){2, 1}, (int64_t[]){4, 3, 9}, &shapes),
          KS_ERROR_SHAPE, "Error in operator fc");
    OK(ks_symbol_infer_type(y, 1, NULL, (int32_t[]){KS_FLOAT64}, 4, types));
    WANT(types[0] == KS_FLOAT64 && types[3] == KS_FLOAT64);
    OK(ks_symbol_infer_type(y, 0, NULL, NULL, 4, types));
    WANT(types[0] == -1);
}

static int seen(const char *name, KsArray *array, void *payload) {
    size_t n;
    if (ks_array_size(array, &n) != 0)
        return -1;
    strcat((char *)payload, name);
    strcat((char *)payload, " ");
    return 0;
}

static void executor(const KsSymbol *y) {
    KsArray *args[] = {floats((float[]){1, 2}, 2, (size_t[]){1, 2}), floats((float[]){1, 0, 3, -1}, 2, (size_t[]){2, 2}),
                       floats((float[]){10, 20}, 1, (size_t[]){2})};
    KsArray *grads[] = {floats((float[]){0, 0}, 2, (size_t[]){1, 2}), NULL, floats((float[]){5, 5}, 1, (size_t[]){2})};
    const int32_t reqs[] = {KS_GRAD_WRITE, KS_GRAD_NULL, KS_GRAD_ADD};
    KsArray *out, *head = floats((float[]){1, 10}, 2, (size_t[]){1, 2});
    KsExecutor *e;
    KsStrings *text;
    char names[200] = "";
    FAILS(ks_executor_bind(y, KS_CPU, 0, 2, args, NULL, NULL, 0, NULL, 0, NULL, 0, NULL, NULL, NULL, &e), KS_ERROR_ARGUMENT, "");
    OK(ks_executor_bind(y, KS_CPU, 0, 3, args, grads, reqs, 0, NULL, 0, NULL, 0, NULL, NULL, NULL, &e));
    OK(ks_executor_outputs(e, 1, &out));
    OK(ks_executor_set_monitor(e, seen, names));
    OK(ks_executor_forward(e, 1));
    holds(out, (float[]){22, 42}, 2);
    OK(ks_executor_backward(e, 1, &head, 1));
    holds(grads[0], (float[]){62, -20}, 2);
    holds(grads[2], (float[]){7, 25}, 2);
    WANT(strcmp(names, "fc_output y_output y_backward_data fc_backward_data fc_backward_weight fc_backward_bias ") == 0);
    OK(ks_executor_set_monitor(e, NULL, NULL));
    /* Ones where no gradient is given; the arguments are read where they are. */
    OK(ks_array_write(args[2], (float[]){0, 0}, 2 * sizeof(float)));
    OK(ks_executor_forward(e, 1));
    OK(ks_executor_backward(e, 0, NULL, 1));
    holds(out, (float[]){2, 2}, 2);
    holds(grads[0], (float[]){8, -2}, 2);
    holds(grads[2], (float[]){9, 27}, 2);
    OK(ks_executor_describe(e, &text));
    ks_strings_free(text);
    ks_executor_free(e);
    for (size_t i = 0; i < 3; i++) {
        ks_array_free(args[i]);
        ks_array_free(grads[i]);
    }
    ks_array_free(out);
    ks_array_free(head);
}

static void called(const KsSymbol *y) {
    static const char *const wrong[] = {"nosuch"}, *const one[] = {"1"};
    KsArray *x = floats((float[]){1, 2}, 2, (size_t[]){1, 2}), *w = floats((float[]){1, 0, 3, -1}, 2, (size_t[]){2, 2});
    KsArray *inputs[] = {x, w, floats((float[]){10, 20}, 1, (size_t[]){2})}, *out, *grad;
    KsCachedOp *op;
    size_t n;
    FAILS(ks_cached_op_new(y, 1, wrong, one, &op), KS_ERROR_PARAM, "");
    OK(ks_cached_op_new(y, 0, NULL, NULL, &op));
    OK(ks_attach_grad(x, KS_GRAD_WRITE));
    OK(ks_set_recording(1, NULL));
    OK(ks_cached_op_invoke(op, 3, inputs, 0, 1, &out, &n));
    OK(ks_set_recording(0, NULL));
    WANT(n == 1);
    holds(out, (float[]){22, 42}, 2);
    OK(ks_backward(1, &out, NULL, 0, 0, 1));
    OK(ks_array_grad(x, &grad));
    holds(grad, (float[]){8, -2}, 2);
    FAILS(ks_cached_op_invoke(op, 2, inputs, 0, 1, &out, &n), KS_ERROR_ARGUMENT, "");
    ks_cached_op_free(op);
    ks_array_free(out);
    ks_array_free(grad);
    for (size_t i = 0; i < 3; i++)
        ks_array_free(inputs[i]);
}

int main(void) {
    KsSymbol *y = dense();
    graph(y);
    inference(y);
    executor(y);
    called(y);
    ks_symbol_free(y);
    ks_symbol_free(NULL);
    puts("symbol ok");
    return 0;
}
