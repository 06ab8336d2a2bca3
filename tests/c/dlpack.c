/* Tensors out and in through DLPack, with a consumer's and a producer's own copy of its structs. */

#include "check.h"

typedef struct {
    void *data;
    struct {
        int32_t type, id;
    } device;
    int32_t ndim;
    struct {
        uint8_t code, bits;
        uint16_t lanes;
    } dtype;
    int64_t *shape, *strides;
    uint64_t byte_offset;
} DLTensor;

typedef struct DLManagedTensor {
    DLTensor tensor;
    void *context;
    void (*deleter)(struct DLManagedTensor *);
} DLManagedTensor;

static int deleted = 0;

static void delete(DLManagedTensor *m) {
    deleted++;
    free(m);
}

static DLManagedTensor *produce(void *data, int32_t ndim, int64_t *shape, int64_t *strides) {
    DLManagedTensor *m = calloc(1, sizeof *m);
    m->tensor = (DLTensor){data, {1, 0}, ndim, {2, 32, 1}, shape, strides, 0};
    m->deleter = delete;
    return m;
}

static void out(void) {
    const float data[] = {1, 2, 3, 4, 5, 6};
    KsArray *x = floats(data, 2, (size_t[]){3, 2}), *rows, *back;
    void *managed;
    OK(ks_array_slice(x, 1, 3, &rows));
    OK(ks_array_to_dlpack(rows, &managed));
    ks_array_free(rows);
    ks_array_free(x);
    DLManagedTensor *m = managed;
    DLTensor *t = &m->tensor;
    WANT(t->device.type == 1 && t->ndim == 2 && t->dtype.code == 2 && t->dtype.bits == 32 && t->dtype.lanes == 1);
    WANT(t->shape[0] == 2 && t->shape[1] == 2 && t->strides[0] == 2 && t->strides[1] == 1);
    const float *at = (const float *)((const char *)t->data + t->byte_offset);
    WANT(at[0] == 3 && at[3] == 6);
    /* Back in: the same memory, and the deleter runs with the array. */
    OK(ks_array_from_dlpack(managed, &back));
    void *data_back;
    OK(ks_array_data(back, &data_back));
    WANT(data_back == (void *)at);
    ks_array_free(back);
    /* A tensor that nobody imports is deleted by its owner. */
    x = floats(data, 1, (size_t[]){6});
    OK(ks_array_to_dlpack(x, &managed));
    ks_array_free(x);
    ((DLManagedTensor *)managed)->deleter(managed);
}

static void in(void) {
    float data[] = {1, 2, 3, 4, 5, 6};
    int64_t shape[] = {2, 3}, transposed[] = {1, 2}, row_major[] = {3, 1}, negative[] = {-1, 3};
    KsArray *a = NULL;
    void *at;

    OK(ks_array_from_dlpack(produce(data, 2, shape, row_major), &a));
    OK(ks_array_data(a, &at));
    WANT(at == data && deleted == 0);
    ks_array_free(a);
    WANT(deleted == 1);

    /* Other strides are copied, and the tensor is deleted at once. */
    OK(ks_array_from_dlpack(produce(data, 2, shape, transposed), &a));
    WANT(deleted == 2);
    holds(a, (float[]){1, 3, 5, 2, 4, 6}, 6);
    ks_array_free(a);

    DLManagedTensor *m = produce(data, 1, (int64_t[]){2}, NULL);
    m->tensor.byte_offset = 8;
    OK(ks_array_from_dlpack(m, &a));
    holds(a, (float[]){3, 4}, 2);
    ks_array_free(a);
    WANT(deleted == 3);

    /* Memory that is not aligned is copied. */
    char odd[13];
    memcpy(odd + 1, data, 12);
    OK(ks_array_from_dlpack(produce(odd + 1, 1, (int64_t[]){3}, NULL), &a));
    holds(a, data, 3);
    ks_array_free(a);
    WANT(deleted == 4);

    /* What is refused stays its owner's. */
    a = NULL;
    m = produce(data, 2, shape, NULL);
    m->tensor.device.type = 2;
    FAILS(ks_array_from_dlpack(m, &a), KS_ERROR_ARGUMENT, "ks_array_from_dlpack: ", "got type 2, want 1");
    m->tensor.device.type = 1;
    m->tensor.dtype.lanes = 4;
    FAILS(ks_array_from_dlpack(m, &a), KS_ERROR_DTYPE, "4 lanes", "want float32");
    m->tensor.dtype.lanes = 1;
    m->tensor.shape = negative;
    FAILS(ks_array_from_dlpack(m, &a), KS_ERROR_SHAPE, "got -1");
    m->tensor.shape = shape;
    m->tensor.ndim = 99;
    FAILS(ks_array_from_dlpack(m, &a), KS_ERROR_SHAPE, "got 99");
    m->tensor.ndim = 2;
    m->tensor.data = NULL;
    FAILS(ks_array_from_dlpack(m, &a), KS_ERROR_ARGUMENT, "NULL");
    WANT(a == NULL && deleted == 4);
    delete(m);
}

int main(void) {
    out();
    in();
    printf("dlpack ok\n");
    return 0;
}
