/* The overloaded operators and their named methods: no Perl frame, no parsing, the operators looked up once. */

typedef struct {
    const char *method;
    const char *pair, *scalar, *reversed;   /* array with array, array with number, number with array */
} Arith;

static const Arith KESHI_ARITH[] = {
    { "add", "broadcast_add", "_plus_scalar", "_plus_scalar" },
    { "subtract", "broadcast_sub", "_minus_scalar", "_rminus_scalar" },
    { "multiply", "broadcast_mul", "_mul_scalar", "_mul_scalar" },
    { "divide", "broadcast_div", "_div_scalar", "_rdiv_scalar" },
    { "modulo", "broadcast_mod", "_mod_scalar", "_rmod_scalar" },
    { "power", "broadcast_power", "_power_scalar", "_rpower_scalar" },
    { "equal", "broadcast_equal", "_equal_scalar", "_equal_scalar" },
    { "not_equal", "broadcast_not_equal", "_not_equal_scalar", "_not_equal_scalar" },
    { "greater", "broadcast_greater", "_greater_scalar", "_lesser_scalar" },
    { "greater_equal", "broadcast_greater_equal", "_greater_equal_scalar", "_lesser_equal_scalar" },
    { "lesser", "broadcast_lesser", "_lesser_scalar", "_greater_scalar" },
    { "lesser_equal", "broadcast_lesser_equal", "_lesser_equal_scalar", "_greater_equal_scalar" },
    { "maximum", "broadcast_maximum", "_maximum_scalar", "_maximum_scalar" },
    { "minimum", "broadcast_minimum", "_minimum_scalar", "_minimum_scalar" },
};
enum { SUBTRACT = 1, DIVIDE = 3, MODULO = 4 };

static const char *const KESHI_UNARY[] = { "sqrt", "abs", "sin", "cos", "exp", "log" };

static const KsOp *keshi_arith_ops[C_ARRAY_LENGTH(KESHI_ARITH)][3];
static const KsOp *keshi_unary_ops[C_ARRAY_LENGTH(KESHI_UNARY)];
static const KsOp *keshi_copyto, *keshi_full, *keshi_cast_op, *keshi_split_op, *keshi_arctan;

static const KsOp *keshi_op(pTHX_ const KsOp *op, const char *name)
{
    if (!op)
        keshi_fail(aTHX_ "%s: this build has no such operator", name);
    return op;
}

static const KsOp *keshi_find_op(const char *name)
{
    const KsOp *op = NULL;
    return ks_op_find(name, &op) == 0 ? op : NULL;
}

static void keshi_find_arith(void)
{
    size_t i;
    for (i = 0; i < C_ARRAY_LENGTH(KESHI_ARITH); i++) {
        keshi_arith_ops[i][0] = keshi_find_op(KESHI_ARITH[i].pair);
        keshi_arith_ops[i][1] = keshi_find_op(KESHI_ARITH[i].scalar);
        keshi_arith_ops[i][2] = keshi_find_op(KESHI_ARITH[i].reversed);
    }
    for (i = 0; i < C_ARRAY_LENGTH(KESHI_UNARY); i++)
        keshi_unary_ops[i] = keshi_find_op(KESHI_UNARY[i]);
    keshi_copyto = keshi_find_op("_copyto");
    keshi_full = keshi_find_op("_full");
    keshi_cast_op = keshi_find_op("Cast");
    keshi_split_op = keshi_find_op("SliceChannel");
    keshi_arctan = keshi_find_op("arctan");
}

static KsArray *keshi_invoke_1(pTHX_ const KsOp *op, KsArray *input, uint32_t num_params, const uint32_t *index,
                               const KsValue *values, KsArray *given)
{
    KsArray *output = given;
    size_t count;
    CHECK(ks_op_invoke(op, input ? 1 : 0, &input, num_params, index, values, given ? 1 : 0, 1, &output, &count));
    return output;
}

/* `a` (op) `b`, either way round; into `given` when there is one, and then NULL comes back. */
static KsArray *keshi_arith(pTHX_ size_t which, KsArray *a, SV *b, bool swapped, KsArray *given)
{
    const Arith *arith = &KESHI_ARITH[which];
    KsArray *out = NULL;
    MAGIC *mg;
    SvGETMAGIC(b);
    if (SvNIOK(b) || (SvPOK(b) && looks_like_number(b))) {
        const KsOp *op = keshi_op(aTHX_ keshi_arith_ops[which][1 + swapped], swapped ? arith->reversed : arith->scalar);
        CHECK(ks_op_invoke_scalar(op, a, SvNV_nomg(b), given, &out));
        return out;
    }
    mg = keshi_magic(b);
    if (!mg || !mg->mg_ptr)
        keshi_fail(aTHX_ "%s: got %s, want an AI::MXNet::NDArray or a number", arith->method, keshi_kind(aTHX_ b));
    if (swapped)
        CHECK(ks_op_invoke_binary(keshi_op(aTHX_ keshi_arith_ops[which][0], arith->pair), MG_ARRAY(mg), a, given, &out));
    else
        CHECK(ks_op_invoke_binary(keshi_op(aTHX_ keshi_arith_ops[which][0], arith->pair), a, MG_ARRAY(mg), given, &out));
    return out;
}

XS_INTERNAL(keshi_arith_method)
{
    dXSARGS;
    size_t which = (size_t)XSANY.any_i32;
    int first = items > 2 && !SvROK(ST(0));    /* called on the class: both operands follow */
    bool swapped;
    MAGIC *mg;
    SPARSE_CALL("AI::MXNet::NDArray", KESHI_ARITH[which].method);
    if (items - first < 2 || items - first > 4)
        keshi_fail(aTHX_ "%s: got %d operands, want 2", KESHI_ARITH[which].method, (int)items - first);
    mg = keshi_magic_of(aTHX_ ST(first), KESHI_ARITH[which].method);
    swapped = items - first > 2 && SvTRUE(ST(first + 2));
    RETURN_SV(sv_2mortal(keshi_wrap(keshi_arith(aTHX_ which, MG_ARRAY(mg), ST(first + 1), swapped, NULL))));
}

XS_INTERNAL(keshi_arith_assign)
{
    dXSARGS;
    size_t which = (size_t)XSANY.any_i32;
    MAGIC *mg;
    SPARSE_CALL("AI::MXNet::NDArray", form("i%s", KESHI_ARITH[which].method));
    if (items < 2)
        keshi_fail(aTHX_ "i%s: got no operand, want an AI::MXNet::NDArray or a number", KESHI_ARITH[which].method);
    mg = keshi_magic_of(aTHX_ ST(0), KESHI_ARITH[which].method);
    if (!MG_WRITABLE(mg))
        keshi_fail(aTHX_ "trying to %s to a readonly NDArray", which == MODULO ? "modulo" : "add");
    (void)keshi_arith(aTHX_ which, MG_ARRAY(mg), ST(1), FALSE, MG_ARRAY(mg));
    XSRETURN(1);
}

XS_INTERNAL(keshi_unary_method)
{
    dXSARGS;
    size_t which = (size_t)XSANY.any_i32;
    const char *name = KESHI_UNARY[which];
    KsArray *a;
    SPARSE_CALL("AI::MXNet::Keshi", name);
    a = keshi_array(ST(0), name);
    a = keshi_invoke_1(aTHX_ keshi_op(aTHX_ keshi_unary_ops[which], name), a, 0, NULL, NULL, NULL);
    RETURN_SV(sv_2mortal(keshi_wrap(a)));
}

/* -- copies and casts */

static KsValue keshi_text(const char *s)
{
    KsValue value;
    value.tag = KS_STR;
    value.len = strlen(s);
    value.as.s = s;
    return value;
}

/* A mortal array of another dtype; recorded when recording. */
static SV *keshi_cast(pTHX_ KsArray *a, I32 dtype)
{
    static const uint32_t index[] = { 0 };
    KsValue value = keshi_text(keshi_dtype_name(dtype));
    return sv_2mortal(keshi_wrap(keshi_invoke_1(aTHX_ keshi_op(aTHX_ keshi_cast_op, "Cast"), a, 1, index, &value, NULL)));
}

/* The elements of `from` into `to`, which has its shape and any dtype and device; recorded when recording. */
static void keshi_copy_into(pTHX_ KsArray *from, KsArray *to)
{
    static const uint32_t index[] = { 0 };
    const KsOp *cast = keshi_op(aTHX_ keshi_cast_op, "Cast"), *copy = keshi_op(aTHX_ keshi_copyto, "_copyto");
    Device here = keshi_device_of(aTHX_ from), there = keshi_device_of(aTHX_ to);
    bool same_device = here.type == there.type && here.id == there.id;
    I32 have, want;
    CHECK(ks_array_dtype(from, &have));
    CHECK(ks_array_dtype(to, &want));
    if (have != want && same_device) {
        KsValue value = keshi_text(keshi_dtype_name(want));
        (void)keshi_invoke_1(aTHX_ cast, from, 1, index, &value, to);
        return;
    }
    if (have != want)
        from = MG_ARRAY(keshi_magic(keshi_cast(aTHX_ from, want)));
    (void)keshi_invoke_1(aTHX_ copy, from, 0, NULL, NULL, to);
}

/* A mortal copy, of any dtype and on any device. */
static SV *keshi_copy(pTHX_ KsArray *a, I32 dtype, Device device)
{
    Dims dims = keshi_dims(aTHX_ a);
    KsArray *copy;
    SV *sv = keshi_new(aTHX_ dtype, &dims, device, &copy);
    keshi_copy_into(aTHX_ a, copy);
    return sv;
}

/* -- assignment: `.=` and set */

static void keshi_write_host(pTHX_ KsArray *to, SV *from)
{
    Dims want = keshi_dims(aTHX_ to), got;
    I32 dtype;
    Device cpu = { KS_CPU, 0 };
    KsArray *a;
    void *data;
    size_t size;
    SV *sv;
    CHECK(ks_array_dtype(to, &dtype));
    sv = keshi_is_list(from) ? keshi_from_list(aTHX_ from, dtype, cpu) : keshi_from_pdl(aTHX_ from, dtype, cpu);
    a = MG_ARRAY(keshi_magic(sv));
    got = keshi_dims(aTHX_ a);
    if (!keshi_same_dims(&want, &got))
        keshi_fail(aTHX_ "Shape inconsistant: expected %s vs got %s", keshi_dims_text(aTHX_ &want, ","),
                   keshi_dims_text(aTHX_ &got, ","));
    CHECK(ks_array_data(a, &data));
    CHECK(ks_array_size(a, &size));
    CHECK(ks_array_write(to, data, size * keshi_dtype_size(dtype)));
}

static KsValue keshi_int(int64_t i)
{
    KsValue value;
    value.tag = KS_INT;
    value.len = 0;
    value.as.i = i;
    return value;
}

static uint32_t keshi_param(pTHX_ const KsOp *op, const char *name)
{
    uint32_t i;
    for (i = 0;; i++) {
        KsParamInfo info;
        CHECK(ks_op_param(op, i, &info));
        if (strEQ(info.name, name))
            return i;
    }
}

/* Every element of `to` becomes `number`; the tape may refuse. */
static void keshi_fill_with(pTHX_ KsArray *to, NV number)
{
    const KsOp *op = keshi_op(aTHX_ keshi_full, "_full");
    static const char *const names[] = { "shape", "ctx", "dtype", "value" };
    uint32_t index[4];
    KsValue values[4];
    Dims dims = keshi_dims(aTHX_ to);
    Device device = keshi_device_of(aTHX_ to);
    int64_t shape[32];
    size_t i;
    I32 dtype;
    CHECK(ks_array_dtype(to, &dtype));
    for (i = 0; i < 4; i++)
        index[i] = keshi_param(aTHX_ op, names[i]);
    for (i = 0; i < dims.n; i++)
        shape[i] = (int64_t)dims.d[i];
    values[0].tag = KS_INTS;
    values[0].len = dims.n;
    values[0].as.ints = shape;
    values[1] = keshi_text(form("%s(%d)", KESHI_DEVICES[device.type & 3], (int)device.id));
    values[2] = keshi_text(keshi_dtype_name(dtype));
    values[3].tag = KS_FLOAT;
    values[3].len = 0;
    values[3].as.f = number;
    (void)keshi_invoke_1(aTHX_ op, NULL, 4, index, values, to);
}

static void keshi_assign(pTHX_ MAGIC *mg, SV *value)
{
    KsArray *to = MG_ARRAY(mg);
    MAGIC *from;
    if (!MG_WRITABLE(mg))
        keshi_fail(aTHX_ "Array is not writable");
    SvGETMAGIC(value);
    if (keshi_is_number(aTHX_ value))
        keshi_fill_with(aTHX_ to, SvNV_nomg(value));
    else if (keshi_is_list(value) || (SvROK(value) && sv_derived_from(value, "PDL")))
        keshi_write_host(aTHX_ to, value);
    else if ((from = keshi_tensor(aTHX_ value)) && from->mg_ptr) {
        Dims want = keshi_dims(aTHX_ to), got = keshi_dims(aTHX_ MG_ARRAY(from));
        if (!keshi_same_dims(&want, &got))
            keshi_fail(aTHX_ "Shape inconsistant: expected %s vs got %s", keshi_dims_text(aTHX_ &want, ","),
                       keshi_dims_text(aTHX_ &got, ","));
        keshi_copy_into(aTHX_ MG_ARRAY(from), to);
    } else
        keshi_fail(aTHX_ "set: Validation failed for 'AcceptableInput': got %s, want a number, a list, a PDL or an "
                   "AI::MXNet::NDArray", keshi_kind(aTHX_ value));
}
