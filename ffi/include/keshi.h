/* Keshi: a CPU tensor runtime with a dynamic autograd tape. The C ABI. Generated from ffi/src: do not edit.
 *
 * Every function that can fail returns int: 0, or -1 with its outputs untouched; ks_last_error() then tells why.
 * A handle that comes back through `out` is the caller's and is freed with its _free. A handle passed in is borrowed.
 * A pointer must not be NULL unless its function says that it may be; NULL is refused with an error.
 * Any function may be called from any thread; the last error, recording and training belong to the calling thread.
 */

#ifndef KESHI_H
#define KESHI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// None inside a KS_INTS tuple.
#define KS_INT_NONE INT64_MIN

// Version of this header, as ks_version gives that of the library.
#define KS_VERSION 100

// Types of elements.
typedef enum {
    // IEEE binary32.
    KS_FLOAT32 = 0,
    // IEEE binary64.
    KS_FLOAT64 = 1,
    // IEEE binary16.
    KS_FLOAT16 = 2,
    // Unsigned, 8 bits.
    KS_UINT8 = 3,
    // Signed, 32 bits.
    KS_INT32 = 4,
    // Signed, 8 bits.
    KS_INT8 = 5,
    // Signed, 64 bits.
    KS_INT64 = 6,
    // The truth values 0 and 1, a byte each. Most operators want them cast.
    KS_BOOL8 = 7,
    // The upper half of a binary32.
    KS_BFLOAT16 = 12,
} KsDType;

// Kinds of device. All arrays live in the machine's memory: making one on KS_GPU fails.
typedef enum {
    // Ordinary memory.
    KS_CPU = 1,
    // Refused.
    KS_GPU = 2,
    // Page-locked memory; the same as KS_CPU here.
    KS_CPU_PINNED = 3,
} KsDeviceType;

// What is done with a gradient that reaches a variable.
typedef enum {
    // It is thrown away.
    KS_GRAD_NULL = 0,
    // It replaces the buffer's content.
    KS_GRAD_WRITE = 1,
    // It is added to the buffer.
    KS_GRAD_ADD = 3,
} KsGradReq;

// Classes of failures, see ks_last_error_code.
typedef enum {
    // A shape, axis or index that does not fit.
    KS_ERROR_SHAPE = 1,
    // A dtype that is not taken, or dtypes that do not go together.
    KS_ERROR_DTYPE = 2,
    // An unknown, missing or malformed parameter.
    KS_ERROR_PARAM = 3,
    // No operator of that name.
    KS_ERROR_UNKNOWN_OP = 4,
    // The tape cannot do what was asked.
    KS_ERROR_AUTOGRAD = 5,
    // Memory could not be had.
    KS_ERROR_MEMORY = 6,
    // A NULL or otherwise unusable argument.
    KS_ERROR_ARGUMENT = 7,
    // A file or byte stream that cannot be read or written.
    KS_ERROR_IO = 8,
    // A numeric fault, such as integer division by zero.
    KS_ERROR_NUMERIC = 9,
    // A bug in Keshi.
    KS_ERROR_INTERNAL = 10,
} KsErrorCode;

// What a KsValue holds.
typedef enum {
    // None.
    KS_NONE = 0,
    // `as.i`, 0 or 1.
    KS_BOOL = 1,
    // `as.i`.
    KS_INT = 2,
    // `as.f`.
    KS_FLOAT = 3,
    // `as.s` of `len` bytes, UTF-8; need not end in NUL. Read as MXNet reads attributes: `(1, 2)`, `True`, `relu`.
    KS_STR = 4,
    // `as.ints` of `len` numbers; KS_INT_NONE is None.
    KS_INTS = 5,
    // `as.floats` of `len` numbers.
    KS_FLOATS = 6,
} KsTag;

// How arrays are written to a file. Reading tells them apart by itself.
typedef enum {
    // MXNet's `.params`, with names or without.
    KS_FORMAT_PARAMS = 0,
    // NumPy's `.npy`: one array without a name.
    KS_FORMAT_NPY = 1,
    // NumPy's `.npz`; without names they are called `arr_0`, `arr_1`, …
    KS_FORMAT_NPZ = 2,
    // safetensors; names are needed.
    KS_FORMAT_SAFETENSORS = 3,
} KsFormat;

// How an array is stored.
typedef enum {
    // All elements.
    KS_STORAGE_DEFAULT = 0,
    // Some rows: `indices[0]` says which.
    KS_STORAGE_ROW_SPARSE = 1,
    // Compressed rows: `indices[0]` says where each row begins, `indices[1]` the columns.
    KS_STORAGE_CSR = 2,
} KsStorage;

// What ks_symbol_list tells of a symbol.
typedef enum {
    // Names of the variables that no call changes.
    KS_LIST_ARGUMENTS = 0,
    // Names of the outputs.
    KS_LIST_OUTPUTS = 1,
    // Names of the variables that some call changes.
    KS_LIST_AUXILIARY_STATES = 2,
    // Names of all variables.
    KS_LIST_INPUTS = 3,
    // The name, when all outputs are of one node; else nothing.
    KS_LIST_NAME = 4,
    // Key and value of each attribute of the node that all outputs are of; nothing when there are several nodes.
    KS_LIST_ATTRIBUTES = 5,
    // Name of the node, key and value of each attribute of all nodes.
    KS_LIST_ALL_ATTRIBUTES = 6,
    // The whole graph in one text, which ks_symbol_from_json reads.
    KS_LIST_JSON = 7,
} KsSymbolList;

// A call made ahead of its use.
typedef struct KsAhead KsAhead;

// One reference to an array.
typedef struct KsArray KsArray;

// Bytes in memory.
typedef struct KsBuffer KsBuffer;

// A graph that is called like an operator.
typedef struct KsCachedOp KsCachedOp;

// A graph bound to arrays.
typedef struct KsExecutor KsExecutor;

// Arrays read from a file, with or without names.
typedef struct KsList KsList;

// An operator of the table; static, never freed.
typedef struct KsOp KsOp;

// A parsed parameter set of one operator.
typedef struct KsParams KsParams;

// Shapes that a function gives back.
typedef struct KsShapes KsShapes;

// Texts that a function gives back.
typedef struct KsStrings KsStrings;

// A graph of calls that have not been made.
typedef struct KsSymbol KsSymbol;

// What an array of a file has besides its data when it is sparse.
typedef struct {
    // A KsStorage; with KS_STORAGE_DEFAULT nothing else is looked at, or set.
    int32_t storage;
    // Axes of the whole array.
    size_t ndim;
    // Sizes of the axes of the whole array.
    const size_t *dims;
    // The index arrays; NULL where there is none.
    KsArray *indices[2];
} KsSparse;

// What an operator is. Everything that it points to lives as long as the library.
typedef struct {
    // Its name.
    const char *name;
    // What it computes.
    const char *doc;
    // Number of other names.
    size_t num_aliases;
    // Other names.
    const char *const *aliases;
    // Number of declared inputs.
    size_t num_inputs;
    // Names of the declared inputs; of a variadic operator the base name of the repeated one.
    const char *const *inputs;
    // Whether it takes any number of inputs.
    bool variadic;
    // Index of the parameter that counts the inputs, filled in when absent; -1 when there is none.
    int32_t num_args_param;
    // Number of parameters.
    size_t num_params;
    // Whether it takes parameters of any other name: a call gives each under the index `num_params`, as a text `name=value`.
    bool other_params;
} KsOpInfo;

// What a parameter is. Everything that it points to lives as long as the library.
typedef struct {
    // Its name.
    const char *name;
    // Its type as MXNet writes it, such as `int, optional, default='1'`.
    const char *type_text;
    // The default as text; NULL when the parameter is required.
    const char *default_text;
    // What it means.
    const char *doc;
    // Whether it must be given.
    bool required;
} KsParamInfo;

// The value of a KsValue.
typedef union {
    // KS_BOOL, KS_INT.
    int64_t i;
    // KS_FLOAT.
    double f;
    // KS_STR.
    const char *s;
    // KS_INTS.
    const int64_t *ints;
    // KS_FLOATS.
    const double *floats;
} KsValueAs;

// A parameter's value. Any tag is accepted where it makes sense for the parameter.
typedef struct {
    // A KsTag.
    int32_t tag;
    // Bytes of `s`, or numbers in `ints` or `floats`.
    size_t len;
    // The value.
    KsValueAs as;
} KsValue;

// The gradient of a function of the caller's own, see ks_record_function. Puts the gradients of the inputs into
// `input_grads[0..num_inputs)`, as handles that it gives away, or NULL for an input that has none; returns 0, or -1 after
// ks_fail. What it is given is borrowed. `outputs` is NULL unless they were to be kept.
typedef int (*KsBackward)(void *owner,
                          size_t num_outputs,
                          KsArray *const *output_grads,
                          KsArray *const *outputs,
                          size_t num_inputs,
                          KsArray **input_grads);

// What a registered operator is with the keywords of a call. The texts are copied at once.
typedef struct {
    // What `infer_shape`, `infer_type` and `create` of the KsDefinition get; given to `release` in the end.
    void *property;
    // Number of inputs.
    size_t num_arguments;
    // Their names, those of states last.
    const char *const *arguments;
    // How many of them are states, which `forward` may change. They have no gradient.
    size_t num_states;
    // Number of outputs, at least 1.
    size_t num_outputs;
    // Their names.
    const char *const *outputs;
    // Whether the gradient depends on those of the outputs; that of a loss does not.
    bool needs_grads;
} KsProperty;

// A shape that may be known in part.
typedef struct {
    // Number of axes, at most 32; -1 when not even that is known.
    int32_t ndim;
    // Sizes; -1 is unknown.
    int64_t sizes[32];
} KsPartial;

// Functions of an operator of the caller's own, see ks_register. Each returns 0, or -1 after ks_fail; all arrays are borrowed, and
// may be retained. What they call is neither recorded nor traced.
typedef struct {
    // What the operator is with these keywords, all texts, into `*out`.
    int (*property)(void *owner,
                    size_t n,
                    const char *const *keys,
                    const char *const *values,
                    KsProperty *out);
    // Fills in what it knows of the shapes of the inputs, and behind them the outputs. Some input's is known.
    int (*infer_shape)(void *property, size_t num_inputs, size_t num_outputs, KsPartial *shapes);
    // The same with KsDTypes; -1 is unknown.
    int (*infer_type)(void *property, size_t num_inputs, size_t num_outputs, int32_t *dtypes);
    // What a call computes with into `*object`, for inputs of these shapes and KsDTypes. Given to `release` when neither the call
    // nor its gradient needs it any more.
    int (*create)(void *property,
                  int32_t device_type,
                  int32_t device_id,
                  size_t num_inputs,
                  const KsPartial *shapes,
                  const int32_t *dtypes,
                  void **object);
    // Writes the outputs, which are zeros.
    int (*forward)(void *object,
                   int training,
                   size_t num_inputs,
                   KsArray *const *inputs,
                   size_t num_outputs,
                   KsArray *const *outputs);
    // Writes `input_grads[i]`, which are zeros, where `wanted[i]` is not 0. `output_grads` is NULL without `needs_grads`.
    int (*backward)(void *object,
                    size_t num_inputs,
                    KsArray *const *inputs,
                    size_t num_outputs,
                    KsArray *const *outputs,
                    KsArray *const *output_grads,
                    const int32_t *wanted,
                    KsArray *const *input_grads);
    // Called once, from any thread, with whatever of the owner, a property or an object is not needed any more. May be NULL.
    void (*release)(void *what);
} KsDefinition;

// What a monitor is: it sees arrays by name, borrowed, and returns 0, or -1 to end the pass with an error.
typedef int (*KsMonitor)(const char *name, KsArray *array, void *payload);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Version of the library: major * 10000 + minor * 100 + patch. Compare with KS_VERSION, that of the header.
uint32_t ks_version(void);

// Number of threads that work is spread over; 0 returns to the default: KESHI_NUM_THREADS, else OMP_NUM_THREADS, else
// what the machine has. Results do not depend on it. Always succeeds.
int ks_set_num_threads(size_t n);

// Number of threads that work is spread over into `*out`. Fails when `out` is NULL.
// Requires: `out` is NULL or writable.
int ks_num_threads(size_t *out);

// The vector instructions in use: `portable`, `avx2` or `avx512`. Borrowed, lives as long as the library.
const char *ks_simd_level(void);

// Seeds the random streams of all devices. The same seed and the same calls give the same numbers, on any number of
// threads. Always succeeds.
int ks_seed(uint64_t seed);

// Seeds the random stream of one device: the same seed gives the same numbers on every device. Fails for a device that
// does not exist.
int ks_seed_device(uint64_t seed,
                   int32_t device_type,
                   int32_t device_id);

// Bytes that arrays hold now, the most that they ever held, and bytes that are free and kept for reuse. Each pointer
// may be NULL. Always succeeds.
// Requires: `live`, `peak` and `pooled` are each NULL or writable.
int ks_memory_stats(size_t *live,
                    size_t *peak,
                    size_t *pooled);

// Makes the present use of memory the peak. Always succeeds.
int ks_memory_reset_peak(void);

// Gives memory that is kept for reuse back to the system: that of large arrays, and of small ones freed by this
// thread. Always succeeds.
int ks_memory_trim(void);

// Text of this thread's last failure, `operator: what is wrong, got X, want Y`; empty when there was none, never NULL.
// Borrowed: it lives until the next failure on this thread. A success leaves it as it is.
const char *ks_last_error(void);

// Code of this thread's last failure, a KsErrorCode; 0 when there was none. Codes keep their numbers for ever.
int32_t ks_last_error_code(void);

// Makes an array with unspecified content. `dtype` is a KsDType, `device_type` a KsDeviceType.
// `*out` is the caller's, to be freed with ks_array_free.
// Fails when the dtype, device or shape is unusable or memory cannot be had.
// Requires: `dims` points to `ndim` sizes; `out` is writable.
int ks_array_new(int32_t dtype,
                 size_t ndim,
                 const size_t *dims,
                 int32_t device_type,
                 int32_t device_id,
                 KsArray **out);

// Makes an array that holds a copy of the `nbytes` bytes at `data`, row-major.
// `*out` is the caller's, to be freed with ks_array_free; `data` stays the caller's.
// Fails as ks_array_new does, and when `nbytes` is not the size of the array.
// Requires: `data` points to `nbytes` bytes, `dims` to `ndim` sizes; `out` is writable.
int ks_array_from_data(const void *data,
                       size_t nbytes,
                       int32_t dtype,
                       size_t ndim,
                       const size_t *dims,
                       int32_t device_type,
                       int32_t device_id,
                       KsArray **out);

// Makes an array on cpu(0) over the `nbytes` bytes at `data` without a copy; `data` must be aligned for the dtype.
// `release(owner)` is called once, from any thread, when the last array on the memory goes; it may be NULL, then the
// caller keeps the memory alive itself. `*out` is the caller's, to be freed with ks_array_free.
// Fails when the dtype or shape is unusable, `nbytes` is not the size of the array, or `data` is not aligned; then `release` is not called.
// Requires: `data` points to `nbytes` bytes that stay in place until released, `dims` to `ndim` sizes; `out` is writable.
int ks_array_from_foreign(void *data,
                          size_t nbytes,
                          int32_t dtype,
                          size_t ndim,
                          const size_t *dims,
                          void (*release)(void*),
                          void *owner,
                          KsArray **out);

// A second reference to `a`: same array, same history, same gradient.
// `*out` is the caller's, to be freed with ks_array_free; `a` stays the caller's too. Fails when a pointer is NULL.
// Requires: `a` is a handle; `out` is writable.
int ks_array_retain(KsArray *a,
                    KsArray **out);

// Frees one reference. NULL is fine; freeing a handle twice is the caller's fault.
// Requires: `a` is NULL or a handle, not used afterwards.
void ks_array_free(KsArray *a);

// Number of axes of `a` into `*out`. Borrows `a`. Fails when a pointer is NULL.
// Requires: `a` is a handle; `out` is writable.
int ks_array_ndim(const KsArray *a, size_t *out);

// Sizes of the axes of `a` into `*dims`, their number into `*ndim`. Borrows `a`; `*dims` lives as long as `a`.
// Fails when a pointer is NULL.
// Requires: `a` is a handle; `dims` and `ndim` are writable.
int ks_array_dims(const KsArray *a,
                  const size_t **dims,
                  size_t *ndim);

// Number of elements of `a` into `*out`. Borrows `a`. Fails when a pointer is NULL.
// Requires: `a` is a handle; `out` is writable.
int ks_array_size(const KsArray *a, size_t *out);

// Type of the elements of `a`, a KsDType, into `*out`. Borrows `a`. Fails when a pointer is NULL.
// Requires: `a` is a handle; `out` is writable.
int ks_array_dtype(const KsArray *a, int32_t *out);

// Where `a` lives: a KsDeviceType into `*device_type`, a number into `*device_id`. Borrows `a`.
// Fails when a pointer is NULL.
// Requires: `a` is a handle; `device_type` and `device_id` are writable.
int ks_array_device(const KsArray *a, int32_t *device_type, int32_t *device_id);

// Says that the memory of `a` will be written by somebody who does not call ks_array_touch each time: nothing that is computed
// from it is kept for a later call. Fails when a pointer is NULL.
// Requires: `a` is a handle.
int ks_array_share(const KsArray *a);

// Address of the first element of `a` into `*out`; the elements are contiguous and row-major. Borrows `a`; the
// address is good as long as any array on the memory lives. Whoever writes there calls ks_array_touch afterwards.
// Fails when a pointer is NULL.
// Requires: `a` is a handle; `out` is writable.
int ks_array_data(const KsArray *a,
                  void **out);

// How often the memory of `a` was changed in place, into `*out`; views share the count. Borrows `a`.
// Fails when a pointer is NULL.
// Requires: `a` is a handle; `out` is writable.
int ks_array_version(const KsArray *a,
                     uint64_t *out);

// Says that the elements of `a` were changed from outside, so that the tape refuses a gradient that would need the
// old ones. Borrows `a`. Fails when `a` is NULL.
// Requires: `a` is a handle.
int ks_array_touch(KsArray *a);

// Copies all elements of `a` to `dst`, row-major. Borrows `a`. Fails when `nbytes` is not the size of the array.
// Requires: `a` is a handle; `dst` has room for `nbytes` bytes.
int ks_array_read(const KsArray *a,
                  void *dst,
                  size_t nbytes);

// Copies `nbytes` bytes from `src` over all elements of `a` and counts a change in place. A copy from the host is never
// refused by the tape; a gradient that needs the old elements is, later. Borrows `a`.
// Fails when `nbytes` is not the size of the array.
// Requires: `a` is a handle; `src` points to `nbytes` bytes.
int ks_array_write(KsArray *a,
                   const void *src,
                   size_t nbytes);

// The value of an array of one element, as a double, into `*out`. Borrows `a`. Fails when there are more or none.
// Requires: `a` is a handle; `out` is writable.
int ks_array_item(const KsArray *a,
                  double *out);

// Rows `begin` up to and not including `end` of the first axis, as a view.
// Borrows `a`; `*out` is the caller's, to be freed with ks_array_free. Fails when the range is not inside the axis.
// Requires: `a` is a handle; `out` is writable.
int ks_array_slice(KsArray *a,
                   int64_t begin,
                   int64_t end,
                   KsArray **out);

// Row `index` as a view; the first axis is dropped unless it is the only one, then 1 is left of it.
// Borrows `a`; `*out` is the caller's, to be freed with ks_array_free. Fails when there is no such row.
// Requires: `a` is a handle; `out` is writable.
int ks_array_at(KsArray *a,
                int64_t index,
                KsArray **out);

// The same elements in another shape, as a view. Codes: 0 copies an axis, -1 takes what is left, -2 copies all
// remaining axes, -3 merges two axes, -4 splits one into the two numbers that follow; `reverse` matches from the right.
// Borrows `a`; `*out` is the caller's, to be freed with ks_array_free.
// Fails when the codes do not fit, or make more elements than there are, or, while recording, fewer.
// Requires: `a` is a handle; `codes` points to `n` numbers; `out` is writable.
int ks_array_reshape(KsArray *a,
                     size_t n,
                     const int64_t *codes,
                     int reverse,
                     KsArray **out);

// The same values and history in memory of its own. What is written into it leaves alone the values of `a` that a recorded graph
// keeps. Borrows `a`; `*out` is the caller's, to be freed with ks_array_free. Fails when a pointer is NULL or there is no memory.
// Requires: `a` is a handle; `out` is writable.
int ks_array_renew(KsArray *a,
                   KsArray **out);

// The same memory without history. Borrows `a`; `*out` is the caller's, to be freed with ks_array_free.
// Fails when a pointer is NULL.
// Requires: `a` is a handle; `out` is writable.
int ks_array_detach(KsArray *a,
                    KsArray **out);

// Writes `n` arrays to the file `path`, with `names` or, when `names` is NULL, without. The file is complete or, after a
// failure, may be cut short. Borrows everything.
// Requires: `path` is a string; `list` points to `n` handles, `names` to `n` strings unless it is NULL.
int ks_save(const char *path,
            size_t n,
            KsArray *const *list,
            const char *const *names);

// As `ks_save`, into memory: `*out` is owned by the caller, see `ks_buffer_free`.
// Requires: As `ks_save`; `out` is NULL or writable.
int ks_save_buffer(size_t n, KsArray *const *list, const char *const *names, KsBuffer **out);

// As `ks_save_buffer`, in any format (a KsFormat). `sparse` may be NULL, or says of each array what makes it sparse: then
// `list` has what is stored. Only `.params` files hold sparse arrays. `*out` is owned by the caller, see
// `ks_buffer_free`. Fails when the format cannot hold the arrays.
// Requires: As `ks_save_buffer`; `sparse` is NULL or points to `n` of them.
int ks_save_as(int32_t format,
               size_t n,
               KsArray *const *list,
               const char *const *names,
               const KsSparse *sparse,
               KsBuffer **out);

// Writes one array as a bare record, without a list around it, into memory: `*out` is owned by the caller.
// Requires: `a` is a handle; `out` is NULL or writable.
int ks_array_to_record(const KsArray *a,
                       KsBuffer **out);

// Reads a bare record, as `ks_array_to_record` writes it, into a new array that the caller owns.
// Requires: `data` points to `nbytes` bytes; `out` is NULL or writable.
int ks_array_from_record(const uint8_t *data, size_t nbytes, KsArray **out);

// Reads a file of arrays in any format of KsFormat, which its first bytes tell. `*out` is owned by the caller, see
// `ks_list_free`.
// Requires: `path` is a string; `out` is NULL or writable.
int ks_load(const char *path,
            KsList **out);

// As `ks_load`, from memory, which is copied.
// Requires: `data` points to `nbytes` bytes; `out` is NULL or writable.
int ks_load_buffer(const uint8_t *data, size_t nbytes, KsList **out);

// Number of arrays in a list into `*out`; `*named` says whether they have names. Borrows `l`.
// Requires: `l` is a list; `out` and `named` are NULL or writable.
int ks_list_len(const KsList *l, size_t *out, int *named);

// Array `i` of a list into `*array`, owned by the caller, NULL for one that was saved without a shape; of a sparse one what
// is stored, see `ks_list_sparse`. Its name into `*name`, borrowed from the list, NULL when there are no names.
// Requires: `l` is a list; `array` and `name` are NULL or writable.
int ks_list_get(const KsList *l,
                size_t i,
                KsArray **array,
                const char **name);

// What makes array `i` of a list sparse, into `*out`: its `indices` are owned by the caller, its `dims` borrowed from the list.
// `storage` is KS_STORAGE_DEFAULT when it is not sparse. Fails when there is no such array.
// Requires: `l` is a list; `out` is NULL or writable.
int ks_list_sparse(const KsList *l,
                   size_t i,
                   KsSparse *out);

// Frees a list; the arrays that were got from it stay. NULL is fine.
// Requires: `l` is NULL or a list that was not freed before.
void ks_list_free(KsList *l);

// Bytes of a buffer into `*data` and `*nbytes`, borrowed from it.
// Requires: `b` is a buffer; `data` and `nbytes` are NULL or writable.
int ks_buffer_data(const KsBuffer *b, const uint8_t **data, size_t *nbytes);

// Frees a buffer. NULL is fine.
// Requires: `b` is NULL or a buffer that was not freed before.
void ks_buffer_free(KsBuffer *b);

// Exports `a` as a DLManagedTensor (unversioned, DLPack 0.8) on kDLCPU, without a copy, into `*out`. The tensor keeps the
// memory alive: the caller, or whoever it passes the tensor to, calls the tensor's deleter once. Borrows `a`.
// Whoever writes through the tensor calls ks_array_touch afterwards. Fails when a pointer is NULL.
// Requires: `a` is a handle; `out` is writable.
int ks_array_to_dlpack(KsArray *a,
                       void **out);

// Imports a DLManagedTensor (unversioned, DLPack 0.8) from kDLCPU or kDLCUDAHost: without a copy when it is row-major and aligned,
// else as a copy. Takes ownership: the tensor's deleter is called when the last array on the memory goes (at once, when
// it was copied). `*out` is the caller's, to be freed with ks_array_free.
// Fails when the device or dtype is not taken or the shape is unusable; then the tensor stays the caller's.
// Requires: `managed` is NULL or a valid DLManagedTensor; `out` is writable.
int ks_array_from_dlpack(void *managed,
                         KsArray **out);

// Number of public operators.
size_t ks_op_count(void);

// Operator number `i` into `*out`; static, never freed. Fails when `i` is not below ks_op_count.
// Requires: `out` is writable.
int ks_op_at(size_t i, const KsOp **out);

// The operator of that name or alias into `*out`; static, never freed. Fails when there is none.
// Requires: `name` is NULL or ends in NUL; `out` is writable.
int ks_op_find(const char *name, const KsOp **out);

// Describes an operator. What `*out` points to lives as long as the library. Fails when a pointer is NULL or `op` is
// not an operator.
// Requires: `out` is writable.
int ks_op_info(const KsOp *op,
               KsOpInfo *out);

// Describes parameter `i` of an operator. What `*out` points to lives as long as the library. Fails when there is no
// such parameter.
// Requires: `out` is writable.
int ks_op_param(const KsOp *op,
                size_t i,
                KsParamInfo *out);

// Parses a parameter set once, for many calls: `index[i]` is the index of the parameter that gets `values[i]`.
// `*out` is the caller's, to be freed with ks_params_free; `index` and `values` may be freed afterwards.
// Fails when a parameter is unknown, malformed or missing.
// Requires: `index` and `values` point to `n` of each, and each value to what its tag says; `out` is writable.
int ks_params_new(const KsOp *op,
                  size_t n,
                  const uint32_t *index,
                  const KsValue *values,
                  KsParams **out);

// Frees a parameter set. NULL is fine; freeing one twice is the caller's fault.
// Requires: `p` is NULL or a parameter set, not used afterwards.
void ks_params_free(KsParams *p);

// Calls an operator: `index[i]` is the index of the parameter that gets `values[i]`.
// `outputs[0..num_given)` are arrays to write into; they stay the caller's. Into the rest new arrays are put, which
// are the caller's, to be freed with ks_array_free. `capacity` is the length of `outputs`. `*num_outputs` gets the number of visible outputs;
// when `capacity` is too small, nothing has run, the call fails, and `*num_outputs` says what is needed.
// Fails when inputs or parameters do not fit; nothing has been written then.
// Requires: `inputs` points to `num_inputs` handles, `index` and `values` to `num_params` of each, `outputs` to `capacity`
// handles of which the first `num_given` are set; `num_outputs` is writable.
int ks_op_invoke(const KsOp *op,
                 size_t num_inputs,
                 KsArray *const *inputs,
                 size_t num_params,
                 const uint32_t *index,
                 const KsValue *values,
                 size_t num_given,
                 size_t capacity,
                 KsArray **outputs,
                 size_t *num_outputs);

// Calls an operator with a parameter set of its own. All else is as with ks_op_invoke.
// Requires: As ks_op_invoke; `params` is a parameter set.
int ks_op_invoke_params(const KsOp *op,
                        size_t num_inputs,
                        KsArray *const *inputs,
                        const KsParams *params,
                        size_t num_given,
                        size_t capacity,
                        KsArray **outputs,
                        size_t *num_outputs);

// Calls an operator of one input whose only needed parameter is `scalar`, without any parsing.
// `given` may be NULL or an array to write into; with it `*out` is not written. Else `*out` is the caller's, to be
// freed with ks_array_free. Fails as ks_op_invoke does.
// Requires: `input` and `given` are handles; `out` is writable.
int ks_op_invoke_scalar(const KsOp *op,
                        KsArray *input,
                        double scalar,
                        KsArray *given,
                        KsArray **out);

// Calls an operator of two inputs that needs no parameters.
// `given` may be NULL or an array to write into; with it `*out` is not written. Else `*out` is the caller's, to be
// freed with ks_array_free. Fails as ks_op_invoke does.
// Requires: `lhs`, `rhs` and `given` are handles; `out` is writable.
int ks_op_invoke_binary(const KsOp *op,
                        KsArray *lhs,
                        KsArray *rhs,
                        KsArray *given,
                        KsArray **out);

// Begins a call of an operator of one output on a thread of its own: `index[i]` is the index of the parameter that gets `values[i]`.
// Nobody may write the inputs until it has ended; their handles may be freed at once. It is not recorded. `*out` is the caller's, to be
// freed with ks_ahead_free. Fails for an operator that draws random numbers, changes its inputs or has several outputs; what else is
// wrong is found when the call runs, and told by ks_ahead_wait.
// Requires: `inputs` points to `num_inputs` handles, `index` and `values` to `num_params` of each; `out` is writable.
int ks_ahead_new(const KsOp *op,
                 size_t num_inputs,
                 KsArray *const *inputs,
                 size_t num_params,
                 const uint32_t *index,
                 const KsValue *values,
                 KsAhead **out);

// Waits until the call has ended and puts its output into `*out`, which is the caller's, to be freed with ks_array_free. The call is
// used up, whether this fails or not, and still to be freed. In a process that was forked meanwhile it is made here. Fails with the
// failure of the call, or when it was waited for before.
// Requires: `a` is a call made ahead; `out` is writable.
int ks_ahead_wait(KsAhead *a,
                  KsArray **out);

// Frees a call made ahead, after waiting for it. NULL is fine; freeing one twice is the caller's fault.
// Requires: `a` is NULL or a call made ahead, not used afterwards.
void ks_ahead_free(KsAhead *a);

// Sum of products of `n` arrays as `equation` says, such as `ij,jk->ik`, NumPy's rules: letters and `...`, and without
// `->` the letters that occur once. It is recorded as the operators that it is made of. `*out` is the caller's, to be
// freed with ks_array_free. Fails when equation, shapes and dtypes do not go together.
// Requires: `equation` is NULL or a string; `inputs` points to `n` handles; `out` is writable.
int ks_einsum(const char *equation,
              size_t n,
              KsArray *const *inputs,
              KsArray **out);

// Switches recording on this thread. What it was goes into `*previous` (0 or 1), which may be NULL. Always succeeds.
// Requires: `previous` is NULL or writable.
int ks_set_recording(int on,
                     int *previous);

// Switches training mode on this thread. What it was goes into `*previous` (0 or 1), which may be NULL. Always
// succeeds.
// Requires: `previous` is NULL or writable.
int ks_set_training(int on,
                    int *previous);

// Whether this thread records, 0 or 1.
int ks_is_recording(void);

// Whether this thread is in training mode, 0 or 1.
int ks_is_training(void);

// Makes `a` a variable with a new gradient of zeros; its history is cut. `req` is a KsGradReq. Borrows `a`.
// Fails when `req` is unknown or memory cannot be had.
// Requires: `a` is a handle.
int ks_attach_grad(KsArray *a,
                   int32_t req);

// Makes each of `vars` a variable whose gradients go to the memory of `grads` at the same place; histories are cut.
// `reqs` are KsGradReqs; NULL means KS_GRAD_WRITE for all. Borrows the arrays.
// Fails when a gradient's shape or dtype is not its variable's; no array has been changed then.
// Requires: `vars`, `grads` and `reqs` point to `n` of each.
int ks_mark_variables(size_t n,
                      KsArray *const *vars,
                      KsArray *const *grads,
                      const int32_t *reqs);

// The gradient of `a`, sharing memory with its buffer, into `*out`; NULL when `a` is no variable. Borrows `a`; `*out` is
// the caller's, to be freed with ks_array_free. Fails when a pointer is NULL.
// Requires: `a` is a handle; `out` is writable.
int ks_array_grad(const KsArray *a,
                  KsArray **out);

// Whether a backward pass has written the gradient of `a` since the flag was cleared (0 or 1) into `*out`. Borrows
// `a`. Fails when a pointer is NULL.
// Requires: `a` is a handle; `out` is writable.
int ks_fresh_grad(const KsArray *a,
                  int *out);

// Sets or clears that flag; without effect on an array that is no variable. Borrows `a`. Fails when `a` is NULL.
// Requires: `a` is a handle.
int ks_set_fresh_grad(KsArray *a,
                      int fresh);

// Differentiates `heads` and puts the gradients into the buffers of the variables. `head_grads` may be NULL, and so may
// its elements: ones then. The graph is freed unless `retain_graph` or `create_graph`; with `create_graph` the pass
// itself is recorded. Borrows the arrays.
// Fails when a head has no history or its graph was freed, when a value that is needed was changed in place, or when
// an operator has no gradient.
// Requires: `heads` points to `n` handles, `head_grads` to `n` handles or NULLs.
int ks_backward(size_t n,
                KsArray *const *heads,
                KsArray *const *head_grads,
                int retain_graph,
                int create_graph,
                int train_mode);

// Gradients of `heads` with respect to `vars` as new arrays, put into `out[0..num_vars)`; the buffers of the variables
// stay as they are. All else is as with ks_backward. The arrays in `out` are the caller's, to be freed with
// ks_array_free. Fails as ks_backward does, and when a variable is not reached from the heads.
// Requires: As ks_backward; `vars` points to `num_vars` handles, `out` has room for as many.
int ks_grad(size_t n,
            KsArray *const *heads,
            KsArray *const *head_grads,
            size_t num_vars,
            KsArray *const *vars,
            int retain_graph,
            int create_graph,
            int train_mode,
            KsArray **out);

// Makes `a` a variable whose gradient is kept as the rows that a backward pass touches; its history is cut. `req` is a
// KsGradReq. Embeddings and products with a sparse matrix tell their rows apart and never make the others; of any other
// operator the rows that are not 0 stay. Borrows `a`. Fails when `req` is unknown.
// Requires: `a` is a handle.
int ks_attach_grad_rows(KsArray *a,
                        int32_t req);

// The gradient of a variable that keeps it as rows: the numbers of the rows, int64 and ascending, into `*indices`, the rows
// into `*data`. Both NULL where there are none yet, or `a` is no such variable. Borrows `a`; both are the caller's, to be
// freed with ks_array_free. Fails when a pointer is NULL.
// Requires: `a` is a handle; `indices` and `data` are writable.
int ks_array_grad_rows(const KsArray *a,
                       KsArray **indices,
                       KsArray **data);

// Replaces the gradient of a variable that keeps it as rows; NULL for both leaves none. Without effect on another array.
// Borrows all three; the memory of `data` is shared. Fails when `indices` is not int64 with one number for each row.
// Requires: `a` is a handle; `indices` and `data` are handles or NULL.
int ks_array_set_grad_rows(KsArray *a,
                           const KsArray *indices,
                           const KsArray *data);

// The distinct numbers among those of `a`, of any dtype, as whole ones and ascending, into `*values`, and for each of `a` which of
// them it is into `*places`; both int64 with one axis. Borrows `a`; the results are the caller's, to be freed with ks_array_free.
// Fails when memory cannot be had.
// Requires: `a` is a handle; `values` and `places` are writable.
int ks_array_distinct(const KsArray *a,
                      KsArray **values,
                      KsArray **places);

// Where the rows of `a` are that hold anything but 0: their numbers, int64 and ascending, into `*indices`, the rows into `*data`.
// Borrows `a`; the results are the caller's, to be freed with ks_array_free. Fails when `a` has no axis.
// Requires: `a` is a handle; `indices` and `data` are writable.
int ks_array_filled_rows(const KsArray *a,
                         KsArray **indices,
                         KsArray **data);

// Makes `text` this thread's last failure and returns -1: how a function of the caller's own that the library calls
// reports one. `code` is a KsErrorCode; any other counts as KS_ERROR_ARGUMENT. NULL is an empty text.
// Requires: `text` is NULL or a string.
int ks_fail(int32_t code,
            const char *text);

// Says that `outputs` were computed from `inputs`, with recording off, and that `backward(owner, …)` is the gradient.
// Into `recorded[0..num_outputs)` go new handles on the outputs' memory, with that history when this thread records and
// some input has one; they are the caller's, to be freed with ks_array_free. With `keep_outputs` the outputs are kept
// for `backward`, which an owner must not do itself: it would keep them alive for ever.
// `release(owner)` is called once, from any thread, when `backward` will not be called any more; it may be NULL.
// Fails when a pointer is NULL or there are no inputs or outputs; then `release` is not called.
// Requires: `inputs` and `outputs` point to as many handles; `recorded` has room for `num_outputs`; `backward` and `release` may be
// called from any thread.
int ks_record_function(size_t num_inputs,
                       KsArray *const *inputs,
                       size_t num_outputs,
                       KsArray *const *outputs,
                       int keep_outputs,
                       KsBackward backward,
                       void (*release)(void *owner),
                       void *owner,
                       KsArray **recorded);

// Makes the operator `Custom` with `op_type = name` run these functions from now on, also in graphs that are made later.
// `definition` is copied. `release(owner)` is called when another definition has taken its place and nothing of it is in use.
// Fails when a pointer is NULL, the name is empty or a function other than `release` is missing; then `release` is not called.
// Requires: `name` is a string; the functions may be called from any thread, and do what KsDefinition says.
int ks_register(const char *name,
                const KsDefinition *definition,
                void *owner);

// A variable with `n` attributes into `*out`. Bare keys such as `lr_mult` are stored as `__lr_mult__`; `__shape__` and
// `__dtype__` are used by inference. `*out` is the caller's, to be freed with ks_symbol_free. Fails when the name is empty.
// Requires: `name` is a string; `keys` and `values` point to `n` strings each; `out` is writable.
int ks_symbol_variable(const char *name,
                       size_t n,
                       const char *const *keys,
                       const char *const *values,
                       KsSymbol **out);

// A call of `op` into `*out`. The `num_attrs` attributes are its parameters as text, and others. Inputs are given in order or,
// unless `input_names` is NULL, by name; those that are not given become variables called `name_input`. Borrows everything;
// `*out` is the caller's, to be freed with ks_symbol_free. Fails when a parameter or an input does not fit, or an input has
// several outputs.
// Requires: `op` is an operator; `name` is a string; `keys` and `values` point to `num_attrs` strings each, `inputs` to `num_inputs`
// symbols, `input_names` to as many strings unless it is NULL; `out` is writable.
int ks_symbol_call(const KsOp *op,
                   const char *name,
                   size_t num_attrs,
                   const char *const *keys,
                   const char *const *values,
                   size_t num_inputs,
                   const char *const *input_names,
                   KsSymbol *const *inputs,
                   KsSymbol **out);

// The outputs of `n` symbols as one symbol into `*out`, which is the caller's, to be freed with ks_symbol_free. Borrows the
// symbols. Fails when there are none.
// Requires: `list` points to `n` symbols; `out` is writable.
int ks_symbol_group(size_t n,
                    KsSymbol *const *list,
                    KsSymbol **out);

// A copy of `s` in which the variables called `names` are replaced by the outputs of `n` other symbols, and the head is called
// `name`, unless that is NULL or empty. Borrows everything; `*out` is the caller's, to be freed with ks_symbol_free. Fails when
// there is no variable of a name.
// Requires: `s` is a symbol; `name` is NULL or a string; `names` points to `n` strings, `with` to `n` symbols; `out` is writable.
int ks_symbol_compose(const KsSymbol *s,
                      const char *name,
                      size_t n,
                      const char *const *names,
                      KsSymbol *const *with,
                      KsSymbol **out);

// Another handle on the symbol into `*out`, which is the caller's, to be freed with ks_symbol_free. Fails when a pointer is
// NULL.
// Requires: `s` is a symbol; `out` is writable.
int ks_symbol_retain(const KsSymbol *s,
                     KsSymbol **out);

// The recorded calls that made the array `a` as a symbol into `*out`, which is the caller's, to be freed with ks_symbol_free.
// Borrows `a`. Fails when `a` has no history.
// Requires: `a` is a handle; `out` is writable.
int ks_symbol_recorded(const KsArray *a,
                       KsSymbol **out);

// Frees a symbol. NULL is fine; freeing one twice is the caller's fault.
// Requires: `s` is NULL or a symbol, not used afterwards.
void ks_symbol_free(KsSymbol *s);

// Reads a graph from the text of one of MXNet's files, of any version. `*out` is the caller's, to be freed with
// ks_symbol_free. Fails when the text is no graph.
// Requires: `json` is a string; `out` is writable.
int ks_symbol_from_json(const char *json,
                        KsSymbol **out);

// What is asked for of a symbol into `*out`, which is the caller's, to be freed with ks_strings_free. `what` is a KsSymbolList.
// Fails when `what` is unknown.
// Requires: `s` is a symbol; `out` is writable.
int ks_symbol_list(const KsSymbol *s,
                   int32_t what,
                   KsStrings **out);

// The attribute `key` of the node that all outputs are of, in either of its spellings, into `*out` as one text, or none when
// there is no such attribute. `*out` is the caller's, to be freed with ks_strings_free. Fails when a pointer is NULL.
// Requires: `s` is a symbol; `key` is a string; `out` is writable.
int ks_symbol_attr(const KsSymbol *s,
                   const char *key,
                   KsStrings **out);

// Changes an attribute of the node that all outputs are of, for all symbols that have it. Fails when there are several nodes,
// or when a parameter would become one that does not fit.
// Requires: `s` is a symbol; `key` and `value` are strings.
int ks_symbol_set_attr(KsSymbol *s,
                       const char *key,
                       const char *value);

// The outputs of all nodes below, inputs before their users, as one symbol into `*out`, which is the caller's, to be freed with
// ks_symbol_free. Fails when a pointer is NULL.
// Requires: `s` is a symbol; `out` is writable.
int ks_symbol_internals(const KsSymbol *s,
                        KsSymbol **out);

// The inputs of the nodes of the outputs as one symbol into `*out`, NULL where there are none. `*out` is the caller's, to be
// freed with ks_symbol_free. Fails when a pointer is NULL.
// Requires: `s` is a symbol; `out` is writable.
int ks_symbol_children(const KsSymbol *s,
                       KsSymbol **out);

// Output `i` as a symbol into `*out`, which is the caller's, to be freed with ks_symbol_free. Fails when there is no such output.
// Requires: `s` is a symbol; `out` is writable.
int ks_symbol_output(const KsSymbol *s,
                     size_t i,
                     KsSymbol **out);

// The number of texts into `*out`. Fails when a pointer is NULL.
// Requires: `s` is a list of texts; `out` is writable.
int ks_strings_len(const KsStrings *s, size_t *out);

// Text number `i` into `*out`; it lives as long as the list. Fails when there is no such text.
// Requires: `s` is a list of texts; `out` is writable.
int ks_strings_get(const KsStrings *s, size_t i, const char **out);

// Frees a list of texts. NULL is fine; freeing one twice is the caller's fault.
// Requires: `s` is NULL or a list of texts, not used afterwards.
void ks_strings_free(KsStrings *s);

// Switches the search for NaN: while it is on, the call of an operator whose result holds one fails, and the message names
// the operator, the place, and in a backward pass whose gradient it was. The result has been written then. What it was
// goes into `*previous` (0 or 1), which may be NULL. Always succeeds.
// Requires: `previous` is NULL or writable.
int ks_set_nan_check(int on,
                     int *previous);

// Switches the profiler: while it is on, every call of an operator is noted. What it was goes into `*previous` (0 or 1),
// which may be NULL. Always succeeds.
// Requires: `previous` is NULL or writable.
int ks_set_profiling(int on,
                     int *previous);

// Nanoseconds on the profiler's clock, for ks_profile_span.
uint64_t ks_profile_clock(void);

// Notes a span of the caller's own, from `start` (by ks_profile_clock) until now. Fails when `name` is NULL or not UTF-8.
// Requires: `name` is NULL or a string.
int ks_profile_span(const char *name,
                    uint64_t start);

// What was noted, as a Chrome trace (JSON), into `*out`, owned by the caller, see ks_buffer_free. With `reset` it is
// forgotten then.
// Requires: `out` is NULL or writable.
int ks_profile_trace(int reset,
                     KsBuffer **out);

// Infers the shapes of the arguments, the outputs and the auxiliary states, in the order of their lists, into `*out`, which is
// the caller's, to be freed with ks_shapes_free. `n` shapes are given for the variables called `names` or, when that is NULL,
// for the first arguments: `ndims[i]` sizes each, one shape after the other in `sizes`. A size of 0 is unknown, and so is all
// of a shape without sizes. Fails when shapes contradict each other; the text names the node.
// Requires: `s` is a symbol; `names` is NULL or points to `n` strings; `ndims` points to `n` numbers, `sizes` to as many as they add up
// to; `out` is writable.
int ks_symbol_infer_shape(const KsSymbol *s,
                          size_t n,
                          const char *const *names,
                          const size_t *ndims,
                          const int64_t *sizes,
                          KsShapes **out);

// The number of shapes into `*out`. Fails when a pointer is NULL.
// Requires: `s` are shapes; `out` is writable.
int ks_shapes_len(const KsShapes *s, size_t *out);

// Shape number `i`: the number of axes into `*ndim`, the address of their sizes into `*sizes`, to live as long as the shapes;
// an unknown size is -1. Of a shape that is not known at all, `*sizes` is NULL. Fails when there is no such shape.
// Requires: `s` are shapes; `ndim` and `sizes` are writable.
int ks_shapes_get(const KsShapes *s,
                  size_t i,
                  size_t *ndim,
                  const int64_t **sizes);

// Frees shapes. NULL is fine; freeing them twice is the caller's fault.
// Requires: `s` is NULL or shapes, not used afterwards.
void ks_shapes_free(KsShapes *s);

// Infers the dtypes of the arguments, the outputs and the auxiliary states, in the order of their lists, into
// `out[0..capacity)`: KsDTypes, or -1 where nothing follows. `n` dtypes are given for the variables called `names` or, when that
// is NULL, for the first arguments. Fails when dtypes contradict each other, when one is unknown, or when `capacity` is not
// the number of all three lists.
// Requires: `s` is a symbol; `names` is NULL or points to `n` strings, `dtypes` to `n` numbers; `out` has room for `capacity`.
int ks_symbol_infer_type(const KsSymbol *s,
                         size_t n,
                         const char *const *names,
                         const int32_t *dtypes,
                         size_t capacity,
                         int32_t *out);

// Binds a symbol to arrays. Lists are in the order of those of the symbol: `num_args` values of the arguments; as many arrays for
// their gradients, any of which, or the whole list, may be NULL; as many KsGradReqs, or NULL for KS_GRAD_WRITE; `num_aux`
// auxiliary states; `num_outputs` arrays for the outputs, any of which, or the whole list, may be NULL for new ones. The
// executor shares memory with all of them. Nodes of a group, named by the attribute `ctx_group`, live on the device at the same
// place, others where their inputs are, or on the given device. `*out` is the caller's, to be freed with ks_executor_free.
// Fails when an array is missing or does not fit.
// Requires: `s` is a symbol; lists point to as many handles, numbers or strings as said; `out` is writable.
int ks_executor_bind(const KsSymbol *s,
                     int32_t device_type,
                     int32_t device_id,
                     size_t num_args,
                     KsArray *const *args,
                     KsArray *const *grads,
                     const int32_t *reqs,
                     size_t num_aux,
                     KsArray *const *aux,
                     size_t num_outputs,
                     KsArray *const *outputs,
                     size_t num_groups,
                     const char *const *groups,
                     const int32_t *group_device_types,
                     const int32_t *group_device_ids,
                     KsExecutor **out);

// Frees an executor. NULL is fine; freeing one twice is the caller's fault.
// Requires: `e` is NULL or an executor, not used afterwards.
void ks_executor_free(KsExecutor *e);

// Says which arguments seldom change between forward passes, as parameters do: `arguments` are places in the list of arguments. What
// depends on them alone is then computed when they do. Results may differ by rounding. Call it before the first pass. Fails when there
// is no such argument.
// Requires: `e` is an executor; `arguments` points to `n` numbers.
int ks_executor_set_parameters(KsExecutor *e,
                               size_t n,
                               const size_t *arguments);

// Computes the outputs from the arguments as they are now, in training mode or not. Fails when a call of the graph does.
// Requires: `e` is an executor.
int ks_executor_forward(KsExecutor *e,
                        int training);

// Goes back from the outputs and puts the gradients of the arguments where the binding says. `n` is 0 or the number of outputs;
// gradients of the outputs that are NULL are ones. Borrows them. Fails when a gradient does not fit, or a call has none.
// Requires: `e` is an executor; `head_grads` points to `n` handles or NULLs.
int ks_executor_backward(KsExecutor *e,
                         size_t n,
                         KsArray *const *head_grads,
                         int training);

// The outputs, put into `out[0..capacity)`: the same memory before and after every forward pass, unless a shape depends on
// values. They are the caller's, to be freed with ks_array_free. Fails when `capacity` is not the number of outputs, or the shape
// of one is not known before a forward pass.
// Requires: `e` is an executor; `out` has room for `capacity` handles.
int ks_executor_outputs(const KsExecutor *e,
                        size_t capacity,
                        KsArray **out);

// Makes `monitor` see every output of every call as it is computed and, going back, the gradients of their inputs as
// `name_backward_input`. NULL ends it. `payload` is handed to each call of it.
// Fails when `e` is NULL.
// Requires: `e` is an executor; `monitor` may be called with `payload` as long as it is set.
int ks_executor_set_monitor(KsExecutor *e,
                            KsMonitor monitor,
                            void *payload);

// The calls of an executor as one text into `*out`, which is the caller's, to be freed with ks_strings_free. Fails when a pointer
// is NULL.
// Requires: `e` is an executor; `out` is writable.
int ks_executor_describe(const KsExecutor *e,
                         KsStrings **out);

// A symbol that can be called like an operator into `*out`, which is the caller's, to be freed with ks_cached_op_free. Flags
// (`static_alloc`, `static_shape`, `inline_limit`, …) are hints. Fails when a flag is unknown.
// Requires: `s` is a symbol; `keys` and `values` point to `n` strings each; `out` is writable.
int ks_cached_op_new(const KsSymbol *s,
                     size_t n,
                     const char *const *keys,
                     const char *const *values,
                     KsCachedOp **out);

// Frees a callable symbol. NULL is fine; freeing one twice is the caller's fault.
// Requires: `c` is NULL or a callable symbol, not used afterwards.
void ks_cached_op_free(KsCachedOp *c);

// What compiling did for the last kind of call into `*out`, which is the caller's, to be freed with ks_strings_free: names and
// numbers in turn (`traced` calls, those `left`, bytes `planned` for values in between, …). An empty list when that was not
// compiled. Fails when a pointer is NULL.
// Requires: `c` is a callable symbol; `out` is writable.
int ks_cached_op_report(const KsCachedOp *c,
                        KsStrings **out);

// Calls a symbol on the values of its variables, in the order of KS_LIST_INPUTS. Recorded while the thread records.
// `outputs[0..num_given)` are arrays to write into; they stay the caller's. Into the rest new arrays are put, which are the
// caller's, to be freed with ks_array_free. `*num_outputs` gets the number of outputs; when `capacity` is smaller, nothing has
// run, the call fails, and `*num_outputs` says what is needed. Borrows the inputs. Fails when inputs do not fit.
// Requires: `c` is a callable symbol; `inputs` points to `num_inputs` handles, `outputs` to `capacity` handles of which the first
// `num_given` are set; `num_outputs` is writable.
int ks_cached_op_invoke(const KsCachedOp *c,
                        size_t num_inputs,
                        KsArray *const *inputs,
                        size_t num_given,
                        size_t capacity,
                        KsArray **outputs,
                        size_t *num_outputs);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* KESHI_H */
