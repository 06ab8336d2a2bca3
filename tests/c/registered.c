/* An operator of the program's own through the C ABI: called, differentiated, in a graph, and failing. */

#include "check.h"

#include <stdlib.h>
#include <string.h>

static int alive;

typedef struct { float by; } Scale;

static Scale *scale(float by) {
    Scale *s = malloc(sizeof *s);
    s->by = by;
    alive++;
    return s;
}

static void release(void *what) {
    free(what);
    alive--;
}

static int property(void *owner, size_t n, const char *const *keys, const char *const *values, KsProperty *out) {
    static const char *const arguments[] = {"data", "label"}, *const outputs[] = {"output"};
    float by = ((Scale *)owner)->by;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(keys[i], "by") != 0)
            return ks_fail(KS_ERROR_PARAM, "by is the only keyword");
        by = strtof(values[i], NULL);
    }
    out->property = scale(by);
    out->num_arguments = 2;
    out->arguments = arguments;
    out->num_outputs = 1;
    out->outputs = outputs;
    return 0;
}

static int infer_shape(void *property, size_t num_inputs, size_t num_outputs, KsPartial *shapes) {
    (void)property;
    WANT(num_inputs == 2 && num_outputs == 1);
    shapes[2] = shapes[0];
    shapes[1].ndim = 1;
    shapes[1].sizes[0] = shapes[0].sizes[0];
    return 0;
}

static int infer_type(void *property, size_t num_inputs, size_t num_outputs, int32_t *dtypes) {
    (void)property;
    for (size_t i = 1; i < num_inputs + num_outputs; i++)
        dtypes[i] = dtypes[0];
    return 0;
}

static int create(void *property, int32_t device_type, int32_t device_id, size_t num_inputs, const KsPartial *shapes,
                  const int32_t *dtypes, void **object) {
    WANT(device_type == KS_CPU && device_id == 0 && num_inputs == 2);
    WANT(shapes[0].ndim == 1 && shapes[0].sizes[0] == 3 && dtypes[0] == KS_FLOAT32);
    *object = scale(((Scale *)property)->by);
    return 0;
}

static int times(const Scale *s, KsArray *from, KsArray *to) {
    void *x, *y;
    OK(ks_array_data(from, &x));
    OK(ks_array_data(to, &y));
    for (int i = 0; i < 3; i++)
        ((float *)y)[i] = s->by * ((float *)x)[i];
    return 0;
}

static int forward(void *object, int training, size_t num_inputs, KsArray *const *inputs, size_t num_outputs,
                   KsArray *const *outputs) {
    (void)training;
    WANT(num_inputs == 2 && num_outputs == 1);
    if (((Scale *)object)->by == 0)
        return ks_fail(KS_ERROR_NUMERIC, "by is 0");
    return times(object, inputs[0], outputs[0]);
}

static int backward(void *object, size_t num_inputs, KsArray *const *inputs, size_t num_outputs, KsArray *const *outputs,
                    KsArray *const *output_grads, const int32_t *wanted, KsArray *const *input_grads) {
    (void)inputs;
    (void)outputs;
    WANT(num_inputs == 2 && num_outputs == 1 && wanted[0] && !wanted[1]);
    return times(object, output_grads[0], input_grads[0]);
}

static const KsDefinition definition = {property, infer_shape, infer_type, create, forward, backward, release};

static KsArray *line(float step) {
    const size_t dims[] = {3};
    const float data[] = {step, 2 * step, 3 * step};
    KsArray *a;
    OK(ks_array_from_data(data, sizeof data, KS_FLOAT32, 1, dims, KS_CPU, 0, &a));
    return a;
}

static void first_is(KsArray *a, float want) {
    void *data;
    OK(ks_array_data(a, &data));
    WANT(((float *)data)[0] == want);
}

static int call(KsArray *x, KsArray *label, const char *by, KsArray **y) {
    const uint32_t index[] = {0, 1};
    KsValue values[2] = {{KS_STR, 5, {0}}, {KS_STR, strlen(by), {0}}};
    size_t n;
    values[0].as.s = "scale";
    values[1].as.s = by;
    return ks_op_invoke(find("Custom"), 2, (KsArray *[]){x, label}, 2, index, values, 0, 1, y, &n);
}

int main(void) {
    KsArray *x = line(1), *label = line(0), *y, *grad;
    KsSymbol *s;
    KsStrings *names;
    const char *name;
    static const char *const keys[] = {"op_type", "by"}, *const values[] = {"scale", "3"};
    FAILS(ks_register("", &definition, NULL), KS_ERROR_ARGUMENT, "empty");
    OK(ks_register("scale", &definition, scale(2)));
    OK(ks_attach_grad(x, KS_GRAD_WRITE));
    ks_set_recording(1, NULL);
    OK(call(x, label, "by=5", &y));
    ks_set_recording(0, NULL);
    first_is(y, 5);
    OK(ks_backward(1, &y, NULL, 0, 0, 1));
    OK(ks_array_grad(x, &grad));
    first_is(grad, 5);
    ks_array_free(grad);
    ks_array_free(y);
    WANT(alive == 1);
    FAILS(call(x, label, "by=0", &y), KS_ERROR_NUMERIC, "Custom: scale: by is 0");
    FAILS(call(x, label, "of=0", &y), KS_ERROR_PARAM, "Custom: scale: by is the only keyword");
    OK(ks_symbol_call(find("Custom"), "own", 2, keys, values, 0, NULL, NULL, &s));
    OK(ks_symbol_list(s, KS_LIST_ARGUMENTS, &names));
    OK(ks_strings_get(names, 1, &name));
    WANT(strcmp(name, "own_label") == 0);
    ks_strings_free(names);
    ks_symbol_free(s);
    OK(ks_register("scale", &definition, scale(4)));
    WANT(alive == 1);
    ks_array_free(x);
    ks_array_free(label);
    puts("registered ok");
    return 0;
}
