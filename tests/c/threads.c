/* Eight threads at once: each records, goes back and fails on its own; all read one array. */

#include "check.h"

#include <pthread.h>

enum { THREADS = 8, SIZE = 1000 };

static int rounds = 200;
static KsArray *shared;

static void *work(void *argument) {
    float base = (float)(1 + *(const int *)argument), data[SIZE], want[SIZE];
    const KsOp *multiply = find("broadcast_mul"), *times = find("_mul_scalar"), *add = find("broadcast_add");
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < SIZE; i++)
            data[i] = base + (float)(i % 7);
        KsArray *x = floats(data, 1, (size_t[]){SIZE}), *y, *z, *sum, *grad, *bad = NULL;
        WANT(!ks_is_recording() && !ks_is_training());
        OK(ks_attach_grad(x, KS_GRAD_WRITE));
        OK(ks_set_recording(1, NULL));
        OK(ks_op_invoke_scalar(times, x, base, NULL, &y));
        OK(ks_op_invoke_binary(multiply, y, x, NULL, &z));
        OK(ks_op_invoke_binary(add, z, shared, NULL, &sum));
        OK(ks_set_recording(0, NULL));
        OK(ks_backward(1, &sum, NULL, 0, 0, 1));
        OK(ks_array_grad(x, &grad));
        for (int i = 0; i < SIZE; i++)
            want[i] = 2 * base * data[i];
        holds(grad, want, SIZE);
        for (int i = 0; i < SIZE; i++)
            want[i] = base * data[i] * data[i] + 1;
        holds(sum, want, SIZE);
        /* The last error is this thread's. */
        FAILS(ks_array_at(x, SIZE + (int64_t)base, &bad), KS_ERROR_SHAPE, "at: ");
        char number[32];
        snprintf(number, sizeof number, "got %d,", SIZE + (int)base);
        WANT(strstr(ks_last_error(), number) != NULL);
        KsArray *all[] = {x, y, z, sum, grad};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
            ks_array_free(all[i]);
    }
    return NULL;
}

/* The first argument, if any, is the number of rounds. With a second one this thread goes first: for helgrind, which does not
   follow the atomics behind which the library keeps what it makes once. */
int main(int argc, char **argv) {
    if (argc > 1)
        rounds = atoi(argv[1]);
    float ones[SIZE];
    for (int i = 0; i < SIZE; i++)
        ones[i] = 1;
    shared = floats(ones, 1, (size_t[]){SIZE});
    if (argc > 2)
        work(&(int){0});
    pthread_t threads[THREADS];
    int numbers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        WANT(pthread_create(&threads[i], NULL, work, &numbers[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++)
        WANT(pthread_join(threads[i], NULL) == 0);
    ks_array_free(shared);
    size_t live;
    OK(ks_memory_stats(&live, NULL, NULL));
    WANT(live == 0);
    printf("threads ok\n");
    return 0;
}
