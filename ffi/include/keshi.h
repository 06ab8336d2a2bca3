#include <stdint.h>
#include <stddef.h>
#include <stdbool.h>

/* Conventions: every function that can fail returns int: 0 on success, -1 on failure (outputs untouched, see ks_last_error).
   Handles given back through `out` are owned by the caller and freed with the matching _free. Handles passed in are borrowed.
   Strings given back are borrowed; they live as long as the library (operator info) or until the next failing call on this thread (errors).
   Error codes = keshi::ErrorKind: 1 shape 2 dtype 3 param 4 unknown op 5 autograd 6 memory 7 argument 8 io 9 numeric 10 internal. */

typedef struct KsArray KsArray;    /* one reference to an array */
typedef struct KsParams KsParams;  /* a parsed parameter set of one operator */
typedef struct KsOp KsOp;          /* an operator of the table; static, never freed */

typedef enum { KS_FLOAT32 = 0, KS_FLOAT64 = 1, KS_FLOAT16 = 2, KS_UINT8 = 3, KS_INT32 = 4, KS_INT8 = 5, KS_INT64 = 6, KS_BFLOAT16 = 12 } KsDType; /* passed as int32_t */
typedef enum { KS_CPU = 1, KS_GPU = 2, KS_CPU_PINNED = 3 } KsDeviceType;             /* passed as int32_t; creating on KS_GPU fails */
typedef enum { KS_GRAD_NULL = 0, KS_GRAD_WRITE = 1, KS_GRAD_ADD = 3 } KsGradReq;      /* passed as int32_t (MXNet's numbers) */

/* -- library */
uint32_t    ks_version(void);                       /* major*10000 + minor*100 + patch */
const char *ks_last_error(void);                    /* text "op: what is wrong, got X, want Y" of this thread's last failure, never NULL */
int32_t     ks_last_error_code(void);               /* 0 when there was none */
int  ks_set_num_threads(size_t n);                  /* 0 = default */
int  ks_num_threads(size_t *out);
const char *ks_simd_level(void);                    /* "portable", "avx2", "avx512" */
int  ks_seed(uint64_t seed);                        /* all devices */
int  ks_seed_device(uint64_t seed, int32_t device_type, int32_t device_id);
int  ks_memory_stats(size_t *live, size_t *peak, size_t *pooled);
int  ks_memory_reset_peak(void);
int  ks_memory_trim(void);

/* -- arrays */
int  ks_array_new(int32_t dtype, size_t ndim, const size_t *dims, int32_t device_type, int32_t device_id, KsArray **out);   /* content unspecified */
int  ks_array_from_data(const void *data, size_t nbytes, int32_t dtype, size_t ndim, const size_t *dims, int32_t device_type, int32_t device_id, KsArray **out); /* copies; nbytes must match */
/* Shares `data` (64-byte alignment not required); release(owner) is called once, from any thread, when the last array on it goes. */
int  ks_array_from_foreign(void *data, size_t nbytes, int32_t dtype, size_t ndim, const size_t *dims, void (*release)(void *), void *owner, KsArray **out);
int  ks_array_retain(KsArray *a, KsArray **out);    /* a second reference: same array, same history, same gradient */
void ks_array_free(KsArray *a);                     /* NULL is fine */
int  ks_array_ndim(const KsArray *a, size_t *out);
int  ks_array_dims(const KsArray *a, const size_t **dims, size_t *ndim);   /* borrowed from a */
int  ks_array_size(const KsArray *a, size_t *out);  /* elements */
int  ks_array_dtype(const KsArray *a, int32_t *out);
int  ks_array_device(const KsArray *a, int32_t *device_type, int32_t *device_id);
int  ks_array_data(const KsArray *a, void **out);   /* address of the first element, contiguous row-major, borrowed */
int  ks_array_version(const KsArray *a, uint64_t *out);
int  ks_array_touch(KsArray *a);                    /* tells the tape that the bytes were changed from outside */
int  ks_array_read(const KsArray *a, void *dst, size_t nbytes);            /* copies all bytes out; nbytes must match */
int  ks_array_write(KsArray *a, const void *src, size_t nbytes);           /* copies all bytes in; a host copy, never refused by the tape (counts a version) */
int  ks_array_item(const KsArray *a, double *out);  /* the value of a one-element array, as double; fails otherwise */
/* Views: share memory and version; recorded while recording. */
int  ks_array_slice(KsArray *a, int64_t begin, int64_t end, KsArray **out);   /* rows begin..end of the first axis; end exclusive */
int  ks_array_at(KsArray *a, int64_t index, KsArray **out);                   /* row `index`, first axis dropped (kept as 1 for 1-D) */
int  ks_array_reshape(KsArray *a, size_t n, const int64_t *codes, int reverse, KsArray **out);  /* MXNet's codes 0 -1 -2 -3 -4 */
int  ks_array_detach(KsArray *a, KsArray **out);    /* shares memory, no history */
/* DLPack (DLManagedTensor *, passed as void *): export keeps the array alive until the tensor's deleter runs; import takes ownership. */
int  ks_array_to_dlpack(KsArray *a, void **out);
int  ks_array_from_dlpack(void *managed, KsArray **out);

/* -- operators */
typedef struct { const char *name; const char *doc; size_t num_aliases; const char *const *aliases;
                 size_t num_inputs; const char *const *inputs;      /* declared tensor names; for a variadic operator the base name of the repeated one */
                 bool variadic; int32_t num_args_param;             /* index of the parameter that counts the inputs, -1 if none; filled in by invoke when absent */
                 size_t num_params; } KsOpInfo;
typedef struct { const char *name; const char *type_text;           /* e.g. "int, optional, default='1'" */
                 const char *default_text;                          /* NULL when required */
                 const char *doc; bool required; } KsParamInfo;
typedef enum { KS_NONE = 0, KS_BOOL = 1, KS_INT = 2, KS_FLOAT = 3, KS_STR = 4, KS_INTS = 5, KS_FLOATS = 6 } KsTag;
#define KS_INT_NONE INT64_MIN   /* None inside a KS_INTS tuple */
typedef struct { int32_t tag; size_t len /* of s (bytes), ints, floats */; union { int64_t i; double f; const char *s; const int64_t *ints; const double *floats; } as; } KsValue;
/* Any tag is accepted where it makes sense for the parameter: KS_STR is parsed as MXNet parses attribute text ("(1, 2)", "True", "None", "relu", "1e-3", "float32", "cpu(0)"),
   KS_INT for a tuple parameter is a tuple of one, ints for bool parameters must be 0/1. */
size_t ks_op_count(void);
int  ks_op_at(size_t i, const KsOp **out);
int  ks_op_find(const char *name, const KsOp **out);                /* names and aliases */
int  ks_op_info(const KsOp *op, KsOpInfo *out);
int  ks_op_param(const KsOp *op, size_t i, KsParamInfo *out);
int  ks_params_new(const KsOp *op, size_t n, const uint32_t *index, const KsValue *values, KsParams **out);
void ks_params_free(KsParams *p);
/* The one door. outputs[0..num_given) are arrays to write into (out=); new arrays are put into the rest. `capacity` is the length of `outputs`;
   *num_outputs gets the number of visible outputs; if capacity is too small nothing has run, the call fails and *num_outputs says what is needed. */
int  ks_op_invoke(const KsOp *op, size_t num_inputs, KsArray *const *inputs, size_t num_params, const uint32_t *index, const KsValue *values,
                  size_t num_given, size_t capacity, KsArray **outputs, size_t *num_outputs);
int  ks_op_invoke_params(const KsOp *op, size_t num_inputs, KsArray *const *inputs, const KsParams *params,
                  size_t num_given, size_t capacity, KsArray **outputs, size_t *num_outputs);
/* Shortcut without any parsing for operators whose only needed parameter is `scalar` (_plus_scalar, _mul_scalar, _greater_scalar, ...). given may be NULL, or the array to write into. */
int  ks_op_invoke_scalar(const KsOp *op, KsArray *input, double scalar, KsArray *given, KsArray **out);
/* Shortcut for binary operators without parameters (broadcast_add, elemwise_mul, ...). given may be NULL. When given is not NULL, *out is not written. */
int  ks_op_invoke_binary(const KsOp *op, KsArray *lhs, KsArray *rhs, KsArray *given, KsArray **out);

/* -- autograd; modes are per thread */
int  ks_set_recording(int on, int *previous);
int  ks_set_training(int on, int *previous);
int  ks_is_recording(void);                         /* 0 or 1 */
int  ks_is_training(void);
int  ks_attach_grad(KsArray *a, int32_t req);       /* new zero gradient; cuts history */
int  ks_mark_variables(size_t n, KsArray *const *vars, KsArray *const *grads, const int32_t *reqs);
int  ks_array_grad(const KsArray *a, KsArray **out);/* *out = NULL when there is none */
int  ks_fresh_grad(const KsArray *a, int *out);
int  ks_set_fresh_grad(KsArray *a, int fresh);
/* head_grads may be NULL (ones), and so may its elements. */
int  ks_backward(size_t n, KsArray *const *heads, KsArray *const *head_grads, int retain_graph, int create_graph, int train_mode);
/* Gradients of heads with respect to vars as new arrays; the buffers of the variables stay as they are. */
int  ks_grad(size_t n, KsArray *const *heads, KsArray *const *head_grads, size_t num_vars, KsArray *const *vars, int retain_graph, int create_graph, int train_mode, KsArray **out);
