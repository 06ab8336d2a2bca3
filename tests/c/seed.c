/* Differentiates 2x² through the header alone and prints 4x. */

#include <keshi.h>

#include <stdio.h>

#define CHECK(call)                                                                                \
    if ((call) != 0) {                                                                             \
        fprintf(stderr, "%s\n", ks_last_error());                                                  \
        return 1;                                                                                  \
    }

int main(void) {
    const float data[] = {1, 2, 3, 4};
    const size_t dims[] = {2, 2};
    KsArray *x, *twice, *y, *grad;
    const KsOp *times, *multiply;
    float g[4];
    int before;

    CHECK(ks_array_from_data(data, sizeof data, KS_FLOAT32, 2, dims, KS_CPU, 0, &x));
    CHECK(ks_attach_grad(x, KS_GRAD_WRITE));
    CHECK(ks_op_find("_mul_scalar", &times));
    CHECK(ks_op_find("broadcast_mul", &multiply));

    CHECK(ks_set_recording(1, &before));
    CHECK(ks_op_invoke_scalar(times, x, 2, NULL, &twice));
    CHECK(ks_op_invoke_binary(multiply, twice, x, NULL, &y));
    CHECK(ks_set_recording(before, NULL));

    CHECK(ks_backward(1, &y, NULL, 0, 0, 1));
    CHECK(ks_array_grad(x, &grad));
    CHECK(ks_array_read(grad, g, sizeof g));
    printf("[\n [%2g %2g]\n [%2g %2g]\n]\n", g[0], g[1], g[2], g[3]);

    ks_array_free(grad);
    ks_array_free(y);
    ks_array_free(twice);
    ks_array_free(x);
    return 0;
}
