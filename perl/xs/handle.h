/* The handle of an array inside a Perl scalar, and how errors leave C.
 *
 * An array object is a blessed scalar whose ext magic owns one KsArray. Magic rather than an integer value: it cannot be
 * forged or overwritten from Perl, it is freed without calling a DESTROY, and it is duplicated when a thread is made. */

#define HANDLE_WRITABLE 1
/* The gradient is given as a sparse array; the numbers are those of KsStorage, shifted by one. */
#define HANDLE_GRAD_STORAGE 6

typedef struct {
    HV *ndarray;        /* stash of AI::MXNet::NDArray */
    HV *context;        /* stash of AI::MXNet::Context */
    GV *current;        /* $AI::MXNet::Context */
    const char *home;   /* ".../AI/MXNet": the files below it are ours */
    STRLEN home_len;
    AV *renewed;        /* inside of record: handles that `renew` has replaced */
} my_cxt_t;

START_MY_CXT

static int keshi_handle_free(pTHX_ SV *sv, MAGIC *mg)
{
    PERL_UNUSED_ARG(sv);
    ks_array_free((KsArray *)mg->mg_ptr);
    mg->mg_ptr = NULL;
    return 0;
}

#ifdef USE_ITHREADS
static int keshi_handle_dup(pTHX_ MAGIC *mg, CLONE_PARAMS *param)
{
    KsArray *other = NULL;
    PERL_UNUSED_ARG(param);
    if (mg->mg_ptr && ks_array_retain((KsArray *)mg->mg_ptr, &other) != 0)
        other = NULL;
    mg->mg_ptr = (char *)other;
    return 0;
}
#else
#define keshi_handle_dup NULL
#endif

static MGVTBL keshi_handle_vtbl = { NULL, NULL, NULL, NULL, keshi_handle_free, NULL, keshi_handle_dup, NULL };

/* -- errors */

/* Our own files, and the modules that call into them on a user's behalf. */
static bool keshi_is_ours(pTHX_ const COP *cop)
{
    static const char *const packages[] = { "PDL", "Mouse", "Function::Parameters", "Storable" };
    dMY_CXT;
    const char *file = CopFILE(cop), *package = CopSTASHPV(cop);
    size_t i;
    if (file && strlen(file) > MY_CXT.home_len && memEQ(file, MY_CXT.home, MY_CXT.home_len)
        && (file[MY_CXT.home_len] == '/' || strEQ(file + MY_CXT.home_len, ".pm")))
        return TRUE;
    for (i = 0; package && i < C_ARRAY_LENGTH(packages); i++) {
        size_t n = strlen(packages[i]);
        if (strnEQ(package, packages[i], n) && (!package[n] || package[n] == ':'))
            return TRUE;
    }
    return FALSE;
}

/* The statement of the user's own file that led here: our modules are skipped, so that a message names the user's line. */
static const COP *keshi_user_cop(pTHX)
{
    const COP *cop = PL_curcop;
    I32 level = 0;
    while (keshi_is_ours(aTHX_ cop)) {
        const PERL_CONTEXT *cx = caller_cx(level++, NULL);
        if (!cx)
            return PL_curcop;
        cop = cx->blk_oldcop;
    }
    return cop;
}

static void keshi_fail_sv(pTHX_ SV *text) __attribute__((noreturn));
static void keshi_fail_sv(pTHX_ SV *text)
{
    const COP *cop = keshi_user_cop(aTHX);
    SV *message = sv_2mortal(newSVsv(text));
    sv_catpvf(message, " at %s line %" UVuf ".\n", CopFILE(cop) ? CopFILE(cop) : "-", (UV)CopLINE(cop));
    croak_sv(message);
}

static void keshi_fail(pTHX_ const char *format, ...) __attribute__((noreturn));
static void keshi_fail(pTHX_ const char *format, ...)
{
    va_list args;
    SV *text;
    va_start(args, format);
    text = sv_2mortal(vnewSVpvf(format, &args));
    va_end(args);
    keshi_fail_sv(aTHX_ text);
}

static void keshi_fail_last(pTHX) __attribute__((noreturn));
static void keshi_fail_last(pTHX)
{
    const char *error = ks_last_error(), *rest;
    SV *text;
    /* Which function of C it was says nothing to a script. */
    if (strnEQ(error, "ks_", 3) && (rest = strstr(error, ": ")))
        error = rest + 2;
    text = sv_2mortal(newSVpv(error, 0));
    sv_utf8_decode(text);
    keshi_fail_sv(aTHX_ text);
}

/* The library has returned before this croaks: no Rust frame is ever unwound. */
#define CHECK(call) STMT_START { if ((call) != 0) keshi_fail_last(aTHX); } STMT_END

/* -- wrapping and unwrapping */

/* A sparse array is a hash of its parts, see AI::MXNet::NDArray::Sparse. */
static bool keshi_is_sparse(pTHX_ SV *sv)
{
    return SvROK(sv) && SvOBJECT(SvRV(sv)) && SvTYPE(SvRV(sv)) == SVt_PVHV
           && sv_derived_from(sv, "AI::MXNet::NDArray::Sparse");
}

/* The dense twin of a sparse array, which the array keeps. */
static SV *keshi_twin(pTHX_ SV *sv)
{
    dSP;
    SV *twin;
    PUSHMARK(SP);
    XPUSHs(sv);
    PUTBACK;
    call_method("twin", G_SCALAR);
    SPAGAIN;
    twin = POPs;
    PUTBACK;
    return twin;
}

static MAGIC *keshi_magic(SV *sv)
{
    if (SvROK(sv)) {
        SV *body = SvRV(sv);
        if (SvTYPE(body) == SVt_PVHV && SvOBJECT(body)) {
            dTHX;
            if (keshi_is_sparse(aTHX_ sv)) {
                sv = keshi_twin(aTHX_ sv);
                body = SvROK(sv) ? SvRV(sv) : sv;
            }
        }
        if (SvTYPE(body) >= SVt_PVMG) {
            MAGIC *mg;
            for (mg = SvMAGIC(body); mg; mg = mg->mg_moremagic)
                if (mg->mg_virtual == &keshi_handle_vtbl)
                    return mg;
        }
    }
    return NULL;
}

#define IS_ARRAY(sv) (keshi_magic(sv) != NULL)
#define MG_ARRAY(mg) ((KsArray *)(mg)->mg_ptr)
#define MG_WRITABLE(mg) ((mg)->mg_private & HANDLE_WRITABLE)

/* Returns two new arrays from an XSUB. */
#define KESHI_RETURN_PAIR(first, second)                                                                            \
    STMT_START {                                                                                                    \
        EXTEND(SP, 2);                                                                                              \
        PUSHs(sv_2mortal(keshi_wrap(first)));                                                                       \
        PUSHs(sv_2mortal(keshi_wrap(second)));                                                                      \
        XSRETURN(2);                                                                                                \
    } STMT_END

/* Returns one value from an XSUB; evaluated before the stack is touched, since that may call Perl and move the stack. */
#define RETURN_SV(value)                                                                                            \
    STMT_START {                                                                                                    \
        SV *result_ = (value);                                                                                      \
        ST(0) = result_;                                                                                            \
        XSRETURN(1);                                                                                                \
    } STMT_END

static MAGIC *keshi_attach(pTHX_ SV *body, KsArray *a)
{
    MAGIC *mg = sv_magicext(body, NULL, PERL_MAGIC_ext, &keshi_handle_vtbl, NULL, 0);
    mg->mg_ptr = (char *)a;
#ifdef USE_ITHREADS
    mg->mg_flags |= MGf_DUP;
#endif
    return mg;
}

/* A new object that owns `a`. The caller makes it mortal. */
static SV *keshi_wrap_as(pTHX_ KsArray *a, bool writable)
{
    dMY_CXT;
    SV *body = newSV_type(SVt_PVMG);
    keshi_attach(aTHX_ body, a)->mg_private = writable ? HANDLE_WRITABLE : 0;
    return sv_bless(newRV_noinc(body), MY_CXT.ndarray);
}

#define keshi_wrap(a) keshi_wrap_as(aTHX_ a, TRUE)

/* What a value is, for messages: "a list", "undef", "'text'", "a PDL". */
static const char *keshi_kind(pTHX_ SV *sv)
{
    if (!SvOK(sv))
        return "undef";
    if (!SvROK(sv))
        return form("'%s'", SvPV_nolen(sv));
    if (SvOBJECT(SvRV(sv)))
        return form("%s %s", strchr("AEIOU", *sv_reftype(SvRV(sv), TRUE)) ? "an" : "a", sv_reftype(SvRV(sv), TRUE));
    if (SvTYPE(SvRV(sv)) == SVt_PVAV)
        return "a list";
    return form("a reference to %s", sv_reftype(SvRV(sv), FALSE));
}

static MAGIC *keshi_magic_of(pTHX_ SV *sv, const char *what)
{
    MAGIC *mg;
    SvGETMAGIC(sv);
    mg = keshi_magic(sv);
    if (!mg || !mg->mg_ptr)
        keshi_fail(aTHX_ "%s: got %s, want an AI::MXNet::NDArray", what, keshi_kind(aTHX_ sv));
    return mg;
}

#define keshi_array(sv, what) MG_ARRAY(keshi_magic_of(aTHX_ sv, what))

/* -- dtypes and contexts */

static const struct { const char *name; I32 id; U8 size; } KESHI_DTYPES[] = {
    { "float32", KS_FLOAT32, 4 }, { "float64", KS_FLOAT64, 8 }, { "float16", KS_FLOAT16, 2 }, { "uint8", KS_UINT8, 1 },
    { "int32", KS_INT32, 4 },     { "int8", KS_INT8, 1 },       { "int64", KS_INT64, 8 },     { "bfloat16", KS_BFLOAT16, 2 },
    { "bool", KS_BOOL8, 1 },
};

static const char *keshi_dtype_name(I32 id)
{
    size_t i;
    for (i = 0; i < C_ARRAY_LENGTH(KESHI_DTYPES); i++)
        if (KESHI_DTYPES[i].id == id)
            return KESHI_DTYPES[i].name;
    return "unknown";
}

static size_t keshi_dtype_size(I32 id)
{
    size_t i;
    for (i = 0; i < C_ARRAY_LENGTH(KESHI_DTYPES); i++)
        if (KESHI_DTYPES[i].id == id)
            return KESHI_DTYPES[i].size;
    return 0;
}

static I32 keshi_dtype_arg(pTHX_ SV *sv, const char *who)
{
    size_t i;
    if (SvOK(sv) && !SvROK(sv)) {
        const char *name = SvPV_nolen(sv);
        /* Arrays of truth values come of operators and files only. */
        for (i = 0; i < C_ARRAY_LENGTH(KESHI_DTYPES); i++)
            if (strEQ(KESHI_DTYPES[i].name, name) && KESHI_DTYPES[i].id != KS_BOOL8)
                return KESHI_DTYPES[i].id;
    }
    keshi_fail(aTHX_ "%s: dtype got %s, want float32, float64, float16, bfloat16, uint8, int8, int32 or int64", who,
               keshi_kind(aTHX_ sv));
}

typedef struct { I32 type; I32 id; } Device;

static const char *const KESHI_DEVICES[] = { "unknown", "cpu", "gpu", "cpu_pinned" };

/* What an AI::MXNet::Context says; FALSE for anything else. */
static bool keshi_read_device(pTHX_ SV *sv, Device *device)
{
    SV **type, **id;
    device->type = device->id = 0;
    if (SvROK(sv) && sv_derived_from(sv, "AI::MXNet::Context") && SvTYPE(SvRV(sv)) == SVt_PVHV) {
        HV *hv = (HV *)SvRV(sv);
        type = hv_fetchs(hv, "device_type", 0);
        id = hv_fetchs(hv, "device_id", 0);
        if (type && id) {
            const char *name = SvPV_nolen(*type);
            int i;
            for (i = 1; i <= 3; i++)
                if (strEQ(name, KESHI_DEVICES[i]))
                    device->type = i;
            device->id = (I32)SvIV(*id);
        }
    }
    return device->type != 0;
}

static Device keshi_device_arg(pTHX_ SV *sv, const char *who)
{
    Device device;
    if (!keshi_read_device(aTHX_ sv, &device))
        keshi_fail(aTHX_ "%s: ctx got %s, want an AI::MXNet::Context", who, keshi_kind(aTHX_ sv));
    return device;
}

static Device keshi_current_device(pTHX)
{
    dMY_CXT;
    return keshi_device_arg(aTHX_ GvSVn(MY_CXT.current), "the current context");
}

static Device keshi_device_of(pTHX_ const KsArray *a)
{
    Device device;
    CHECK(ks_array_device(a, &device.type, &device.id));
    return device;
}

/* A mortal AI::MXNet::Context. */
static SV *keshi_context(pTHX_ Device device)
{
    dMY_CXT;
    HV *hv = newHV();
    SV *rv = sv_2mortal(newRV_noinc((SV *)hv));
    (void)hv_stores(hv, "device_type", newSVpv(KESHI_DEVICES[device.type & 3], 0));
    (void)hv_stores(hv, "device_id", newSViv(device.id));
    return sv_bless(rv, MY_CXT.context);
}

/* -- shapes */

typedef struct { size_t n; size_t d[32]; } Dims;

static Dims keshi_dims(pTHX_ const KsArray *a)
{
    Dims dims;
    const size_t *d;
    size_t i;
    CHECK(ks_array_dims(a, &d, &dims.n));
    if (dims.n > C_ARRAY_LENGTH(dims.d))
        keshi_fail(aTHX_ "an array of %" UVuf " dimensions, want at most 32", (UV)dims.n);
    for (i = 0; i < dims.n; i++)
        dims.d[i] = d[i];
    return dims;
}

static bool keshi_same_dims(const Dims *a, const Dims *b)
{
    return a->n == b->n && memEQ(a->d, b->d, a->n * sizeof *a->d);
}

/* "2,3", mortal */
static const char *keshi_dims_text(pTHX_ const Dims *dims, const char *between)
{
    SV *text = sv_2mortal(newSVpvs(""));
    size_t i;
    for (i = 0; i < dims->n; i++)
        sv_catpvf(text, "%s%" UVuf, i ? between : "", (UV)dims->d[i]);
    return SvPV_nolen(text);
}

static bool keshi_is_number(pTHX_ SV *sv)
{
    return SvNIOK(sv) || (SvPOK(sv) && looks_like_number(sv));
}

/* Whether the value is a whole number, and which. */
static bool keshi_whole(pTHX_ SV *sv, IV *out)
{
    NV nv;
    if (SvROK(sv) || !SvOK(sv))
        return FALSE;
    if (SvIOK(sv)) {
        *out = SvIV_nomg(sv);
        return TRUE;
    }
    if (!keshi_is_number(aTHX_ sv))
        return FALSE;
    nv = SvNV_nomg(sv);
    if (nv != Perl_floor(nv) || nv < -9e15 || nv > 9e15)
        return FALSE;
    *out = (IV)nv;
    return TRUE;
}

static bool keshi_is_list(SV *sv)
{
    return SvROK(sv) && SvTYPE(SvRV(sv)) == SVt_PVAV && !SvOBJECT(SvRV(sv));
}

static Dims keshi_shape_arg(pTHX_ SV *sv, const char *who, bool zero_allowed)
{
    Dims dims;
    AV *av;
    size_t i;
    if (!keshi_is_list(sv))
        keshi_fail(aTHX_ "%s: shape got %s, want a list of whole numbers", who, keshi_kind(aTHX_ sv));
    av = (AV *)SvRV(sv);
    dims.n = av_count(av);
    if (dims.n == 0 || dims.n > C_ARRAY_LENGTH(dims.d))
        keshi_fail(aTHX_ "%s: shape got %" UVuf " dimensions, want 1 to 32", who, (UV)dims.n);
    for (i = 0; i < dims.n; i++) {
        SV **element = av_fetch(av, i, 0);
        IV value;
        if (!element || !keshi_whole(aTHX_ *element, &value) || value < 0)
            keshi_fail(aTHX_ "%s: dimension %" UVuf " of the shape got %s, want a whole number not below 0", who, (UV)i,
                       element ? keshi_kind(aTHX_ *element) : "undef");
        if (value == 0 && !zero_allowed)
            keshi_fail(aTHX_ "%s: dimension %" UVuf " of the shape got 0, want at least 1", who, (UV)i);
        dims.d[i] = (size_t)value;
    }
    return dims;
}

/* -- named arguments */

/* Reads trailing name => value pairs, which start at `first` on the Perl stack (that may move meanwhile); an unknown name or
 * an odd count dies. Absent ones stay NULL. */
static void keshi_named(pTHX_ const char *who, SSize_t first, I32 count, const char *const *names, SV **values, int num)
{
    I32 i;
    int k;
    for (k = 0; k < num; k++)
        values[k] = NULL;
    if (count < 0)
        return;
    if (count % 2)
        keshi_fail(aTHX_ "%s: got %d arguments after the positional ones, want pairs of a name and a value", who, (int)count);
    for (i = 0; i < count; i += 2) {
        const char *name = SvPV_nolen(PL_stack_base[first + i]);
        for (k = 0; k < num && strNE(names[k], name); k++)
            ;
        if (k == num) {
            SV *known = sv_2mortal(newSVpvs(""));
            for (k = 0; k < num; k++)
                sv_catpvf(known, "%s%s", k ? ", " : "", names[k]);
            keshi_fail(aTHX_ "%s: no such named argument '%s', want one of %s", who, name, SvPV_nolen(known));
        }
        values[k] = PL_stack_base[first + i + 1];
        SvGETMAGIC(values[k]);
    }
}

/* A new array inside a mortal object, so that a later die frees it. */
static SV *keshi_new(pTHX_ I32 dtype, const Dims *dims, Device device, KsArray **out)
{
    CHECK(ks_array_new(dtype, dims->n, dims->d, device.type, device.id, out));
    return sv_2mortal(keshi_wrap(*out));
}
