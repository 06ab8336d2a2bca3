/* Nested Perl lists into array memory.
 *
 * The rules are PDL's: the shape is that of the longest row at each depth, short rows are filled with 0, a number beside
 * lists counts as a row of its own, undef is 0. The usual list is regular and is read in one pass. */

#define LIST_DEPTH 32

typedef struct {
    Dims dims;
    I32 dtype;      /* of the buffer */
    bool has_pdl;
} ListShape;

/* What the elements become; wide integers pass through int64 so that a fraction is cut and a byte wraps, as in PDL. */
#define LIST_NUMBER(name, type, from_iv, from_nv)                                                                  \
    static type name(pTHX_ SV *sv)                                                                                  \
    {                                                                                                               \
        if (SvIOK(sv) && !SvIsUV(sv)) {                                                                             \
            IV v = SvIVX(sv);                                                                                       \
            return from_iv;                                                                                         \
        } else {                                                                                                    \
            NV v = keshi_list_nv(aTHX_ sv);                                                                         \
            return from_nv;                                                                                         \
        }                                                                                                           \
    }

static NV keshi_list_nv(pTHX_ SV *sv)
{
    SvGETMAGIC(sv);
    if (SvNOK(sv))
        return SvNVX(sv);
    if (!SvOK(sv))
        return 0;
    if (!SvROK(sv) && keshi_is_number(aTHX_ sv))
        return SvNV_nomg(sv);
    keshi_fail(aTHX_ "array: an element is %s, want a number", keshi_kind(aTHX_ sv));
}

static int64_t keshi_cut(NV v)
{
    return v >= -9223372036854775808.0 && v < 9223372036854775808.0 ? (int64_t)v : INT64_MIN;
}

LIST_NUMBER(keshi_list_f32, float, (float)v, (float)v)
LIST_NUMBER(keshi_list_f64, double, (double)v, v)
LIST_NUMBER(keshi_list_u8, uint8_t, (uint8_t)v, (uint8_t)keshi_cut(v))
LIST_NUMBER(keshi_list_i8, int8_t, (int8_t)v, (int8_t)keshi_cut(v))
LIST_NUMBER(keshi_list_i32, int32_t, (int32_t)v, (int32_t)keshi_cut(v))
LIST_NUMBER(keshi_list_i64, int64_t, v, keshi_cut(v))

/* The shape that the first element at each depth has. */
static void keshi_list_guess(pTHX_ AV *av, Dims *dims)
{
    dims->n = 0;
    for (;;) {
        SV **first;
        dims->d[dims->n++] = av_count(av);
        if (av_count(av) == 0 || !(first = av_fetch(av, 0, 0)) || !keshi_is_list(*first))
            return;
        if (dims->n == LIST_DEPTH)
            keshi_fail(aTHX_ "array: lists nested deeper than %d", LIST_DEPTH);
        av = (AV *)SvRV(*first);
    }
}

/* The true shape of an irregular list. */
static void keshi_list_measure(pTHX_ AV *av, size_t depth, ListShape *shape)
{
    Size_t i, n = av_count(av);
    if (depth == LIST_DEPTH)
        keshi_fail(aTHX_ "array: lists nested deeper than %d", LIST_DEPTH);
    if (shape->dims.n <= depth) {
        shape->dims.d[depth] = 0;
        shape->dims.n = depth + 1;
    }
    if (shape->dims.d[depth] < n)
        shape->dims.d[depth] = n;
    for (i = 0; i < n; i++) {
        SV **element = av_fetch(av, i, 0);
        if (!element || !SvROK(*element))
            continue;
        if (keshi_is_list(*element))
            keshi_list_measure(aTHX_ (AV *)SvRV(*element), depth + 1, shape);
        else if (sv_derived_from(*element, "PDL"))
            shape->has_pdl = TRUE;
        else
            keshi_fail(aTHX_ "array: an element is %s, want a number or a list", keshi_kind(aTHX_ *element));
    }
}

typedef struct { const Dims *dims; size_t inner[LIST_DEPTH]; size_t size; bool regular; } ListPlan;

/* One filler for each element type. `regular` says that every row has the planned length; a surprise returns FALSE. */
#define LIST_FILL(name, type, number)                                                                               \
    static bool name(pTHX_ AV *av, size_t depth, const ListPlan *plan, type *out)                                    \
    {                                                                                                               \
        Size_t i, n = av_count(av), inner = plan->inner[depth];                                                     \
        bool last = depth + 1 == plan->dims->n, plain = !SvMAGICAL(av);                                             \
        if (plan->regular && n != plan->dims->d[depth])                                                             \
            return FALSE;                                                                                           \
        for (i = 0; i < n; i++, out += inner) {                                                                     \
            SV *element;                                                                                            \
            if (plain)                                                                                              \
                element = AvARRAY(av)[i];                                                                           \
            else {                                                                                                  \
                SV **slot = av_fetch(av, i, 0);                                                                     \
                element = slot ? *slot : NULL;                                                                      \
            }                                                                                                       \
            if (element && SvROK(element)) {                                                                        \
                if (last || !keshi_is_list(element)) {                                                              \
                    if (plan->regular)                                                                              \
                        return FALSE;                                                                               \
                    keshi_fail(aTHX_ "array: an element is %s, want a number", keshi_kind(aTHX_ element));          \
                }                                                                                                   \
                if (!name(aTHX_ (AV *)SvRV(element), depth + 1, plan, out))                                         \
                    return FALSE;                                                                                   \
            } else if (last)                                                                                        \
                *out = element ? number(aTHX_ element) : 0;                                                         \
            else if (plan->regular)                                                                                 \
                return FALSE;                                                                                       \
            else                                                                                                    \
                *out = element ? number(aTHX_ element) : 0;                                                         \
        }                                                                                                           \
        return TRUE;                                                                                                \
    }

LIST_FILL(keshi_fill_f32, float, keshi_list_f32)
LIST_FILL(keshi_fill_f64, double, keshi_list_f64)
LIST_FILL(keshi_fill_u8, uint8_t, keshi_list_u8)
LIST_FILL(keshi_fill_i8, int8_t, keshi_list_i8)
LIST_FILL(keshi_fill_i32, int32_t, keshi_list_i32)
LIST_FILL(keshi_fill_i64, int64_t, keshi_list_i64)

static bool keshi_fill(pTHX_ AV *av, const Dims *dims, bool regular, I32 dtype, void *out)
{
    ListPlan plan;
    size_t axis = dims->n;
    plan.dims = dims;
    plan.regular = regular;
    plan.size = 1;
    while (axis-- > 0) {
        plan.inner[axis] = plan.size;
        plan.size *= dims->d[axis];
    }
    switch (dtype) {
    case KS_FLOAT64: return keshi_fill_f64(aTHX_ av, 0, &plan, (double *)out);
    case KS_UINT8:   return keshi_fill_u8(aTHX_ av, 0, &plan, (uint8_t *)out);
    case KS_INT8:    return keshi_fill_i8(aTHX_ av, 0, &plan, (int8_t *)out);
    case KS_INT32:   return keshi_fill_i32(aTHX_ av, 0, &plan, (int32_t *)out);
    case KS_INT64:   return keshi_fill_i64(aTHX_ av, 0, &plan, (int64_t *)out);
    default:         return keshi_fill_f32(aTHX_ av, 0, &plan, (float *)out);
    }
}

static bool keshi_is_half(I32 dtype)
{
    return dtype == KS_FLOAT16 || dtype == KS_BFLOAT16;
}

/* The dtype that values from Perl are put into before a cast. */
static I32 keshi_made_first(I32 dtype)
{
    return keshi_is_half(dtype) || dtype == KS_BOOL8 ? KS_FLOAT32 : dtype;
}

static SV *keshi_cast(pTHX_ KsArray *a, I32 dtype);
static SV *keshi_from_pdl(pTHX_ SV *pdl, I32 dtype, Device device);
static SV *keshi_list_to_pdl(pTHX_ SV *list);

/* A mortal array of the nested list `list`. Half types are made through float32. */
static SV *keshi_from_list(pTHX_ SV *list, I32 dtype, Device device)
{
    AV *av = (AV *)SvRV(list);
    I32 made = keshi_made_first(dtype);
    Dims dims;
    KsArray *a;
    void *data;
    SV *sv;
    keshi_list_guess(aTHX_ av, &dims);
    sv = keshi_new(aTHX_ made, &dims, device, &a);
    CHECK(ks_array_data(a, &data));
    if (!keshi_fill(aTHX_ av, &dims, TRUE, made, data)) {
        ListShape shape;
        size_t size;
        Zero(&shape, 1, ListShape);
        keshi_list_measure(aTHX_ av, 0, &shape);
        if (shape.has_pdl)
            return keshi_from_pdl(aTHX_ keshi_list_to_pdl(aTHX_ list), dtype, device);
        sv = keshi_new(aTHX_ made, &shape.dims, device, &a);
        CHECK(ks_array_data(a, &data));
        CHECK(ks_array_size(a, &size));
        memset(data, 0, size * keshi_dtype_size(made));
        (void)keshi_fill(aTHX_ av, &shape.dims, FALSE, made, data);
    }
    return made == dtype ? sv : keshi_cast(aTHX_ a, dtype);
}
