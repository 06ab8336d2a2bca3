/* Filling new arrays, and the rows behind `@$array`. */

#define FILL(type, number)                                                                                          \
    STMT_START {                                                                                                    \
        type *to = (type *)data, v = (type)(number);                                                                \
        for (i = 0; i < n; i++)                                                                                     \
            to[i] = v;                                                                                              \
    } STMT_END

/* zeros, ones and full: a new mortal array, or `out` filled. */
static SV *keshi_filled(pTHX_ const char *who, SV *shape, NV value, SV *ctx, SV *dtype, SV *out)
{
    Dims dims;
    KsArray *a;
    SV *sv;
    size_t i, n;
    void *data;
    I32 type;
    if (out && SvOK(out)) {
        SV *number = sv_2mortal(newSVnv(value));
        keshi_assign(aTHX_ keshi_magic_of(aTHX_ out, who), number);
        return out;
    }
    dims = keshi_shape_arg(aTHX_ shape, who, FALSE);
    type = dtype ? keshi_dtype_arg(aTHX_ dtype, who) : KS_FLOAT32;
    sv = keshi_new(aTHX_ type, &dims, ctx && SvOK(ctx) ? keshi_device_arg(aTHX_ ctx, who) : keshi_current_device(aTHX), &a);
    CHECK(ks_array_size(a, &n));
    CHECK(ks_array_data(a, &data));
    if (value == 0)
        memset(data, 0, n * keshi_dtype_size(type));
    else
        switch (type) {
        case KS_FLOAT32: FILL(float, value); break;
        case KS_FLOAT64: FILL(double, value); break;
        case KS_UINT8:   FILL(uint8_t, keshi_cut(value)); break;
        case KS_INT8:    FILL(int8_t, keshi_cut(value)); break;
        case KS_INT32:   FILL(int32_t, keshi_cut(value)); break;
        case KS_INT64:   FILL(int64_t, keshi_cut(value)); break;
        default: keshi_assign(aTHX_ keshi_magic(sv), sv_2mortal(newSVnv(value)));
        }
    return sv;
}

/* A mortal list of the rows: copies, recorded; a vector gives arrays of one element. */
static SV *keshi_rows(pTHX_ KsArray *a)
{
    Dims dims = keshi_dims(aTHX_ a);
    const KsOp *op = keshi_op(aTHX_ keshi_split_op, "SliceChannel");
    AV *av = newAV();
    SV *list = sv_2mortal(newRV_noinc((SV *)av));
    KsArray **out;
    uint32_t index[3];
    KsValue values[3];
    size_t i, count, rows = dims.n ? dims.d[0] : 0;
    if (!rows)
        return list;
    out = (KsArray **)keshi_scratch(aTHX_ rows * sizeof *out);
    index[0] = keshi_param(aTHX_ op, "num_outputs");
    values[0] = keshi_int((int64_t)rows);
    index[1] = keshi_param(aTHX_ op, "axis");
    values[1] = keshi_int(0);
    index[2] = keshi_param(aTHX_ op, "squeeze_axis");
    values[2] = keshi_int(dims.n > 1);
    CHECK(ks_op_invoke(op, 1, &a, 3, index, values, 0, rows, out, &count));
    av_extend(av, (SSize_t)rows - 1);
    for (i = 0; i < count; i++)
        av_push(av, keshi_wrap(out[i]));
    return list;
}

/* Whether a slice of the first axis is meant: 'X', [i] or [from, to], ends included. */
static bool keshi_is_rows(pTHX_ SV *spec, IV *begin, IV *end)
{
    AV *av;
    SV **first, **last;
    if (!SvROK(spec) && SvPOK(spec) && strEQ(SvPV_nolen(spec), "X")) {
        *begin = 0;
        *end = -1;
        return TRUE;
    }
    if (!keshi_is_list(spec))
        return FALSE;
    av = (AV *)SvRV(spec);
    if (av_count(av) < 1 || av_count(av) > 2)
        return FALSE;
    first = av_fetch(av, 0, 0);
    last = av_fetch(av, av_count(av) - 1, 0);
    return first && last && keshi_whole(aTHX_ *first, begin) && keshi_whole(aTHX_ *last, end);
}

/* `AI::MXNet::NDArray::Sparse->method(...)`, with what is given of ctx and dtype behind two arguments. */
static SV *keshi_make_sparse(pTHX_ const char *method, SV *first, SV *second, SV *ctx, SV *dtype)
{
    dSP;
    SV *result;
    PUSHMARK(SP);
    EXTEND(SP, 7);
    PUSHs(newSVpvs_flags("AI::MXNet::NDArray::Sparse", SVs_TEMP));
    PUSHs(first);
    if (second)
        PUSHs(second);
    if (ctx && SvOK(ctx)) {
        PUSHs(newSVpvs_flags("ctx", SVs_TEMP));
        PUSHs(ctx);
    }
    if (dtype && SvOK(dtype)) {
        PUSHs(newSVpvs_flags("dtype", SVs_TEMP));
        PUSHs(dtype);
    }
    PUTBACK;
    call_method(method, G_SCALAR);
    SPAGAIN;
    result = POPs;
    PUTBACK;
    return result;
}

static bool keshi_wants_sparse(pTHX_ SV *stype)
{
    return stype && SvOK(stype) && strNE(SvPV_nolen(stype), "default");
}

#define PLACES(type)                                                                                                \
    STMT_START {                                                                                                    \
        const type *from = (const type *)data;                                                                      \
        for (i = 0; i < n; i++)                                                                                     \
            if (from[i] != 0) {                                                                                     \
                if (places)                                                                                         \
                    places[found] = (int64_t)i;                                                                     \
                found++;                                                                                            \
            }                                                                                                       \
    } STMT_END

/* How many elements are not 0, and where when there is room for it. Others than floats are cast before. */
static size_t keshi_places(I32 dtype, const void *data, size_t n, int64_t *places)
{
    size_t i, found = 0;
    if (dtype == KS_FLOAT64)
        PLACES(double);
    else
        PLACES(float);
    return found;
}
