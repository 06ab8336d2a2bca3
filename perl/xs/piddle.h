/* PDL and arrays: the same bytes, the dimensions reversed.
 *
 * PDL::Core is loaded when it is first needed. Only the members of struct pdl up to broadcastids are touched: what follows
 * them moved in 2.099 while PDL_CORE_VERSION stayed the same. */

static Core *PDL;

static void keshi_need_pdl(pTHX)
{
    SV *core;
    if (PDL)
        return;
    load_module(PERL_LOADMOD_NOIMPORT, newSVpvs("PDL::Core"), NULL);
    core = get_sv("PDL::SHARE", 0);
    if (!core || !SvIOK(core))
        keshi_fail(aTHX_ "PDL::Core is loaded but does not offer its C functions");
    PDL = INT2PTR(Core *, SvIV(core));
    if (PDL->Version != PDL_CORE_VERSION) {
        IV found = PDL->Version;
        PDL = NULL;
        keshi_fail(aTHX_ "PDL has C interface version %" IVdf ", AI::MXNet was built for %d: build it again", found,
                   PDL_CORE_VERSION);
    }
}

static pdl_datatypes keshi_pdl_type(I32 dtype)
{
    switch (dtype) {
    case KS_FLOAT64: return PDL_D;
    case KS_BOOL8:
    case KS_UINT8:   return PDL_B;
    case KS_INT8:    return PDL_SB;
    case KS_INT32:   return PDL_L;
    case KS_INT64:   return PDL_LL;
    default:         return PDL_F;
    }
}

/* -1 where there is no dtype of exactly that kind */
static I32 keshi_dtype_of_pdl(pdl_datatypes type)
{
    switch (type) {
    case PDL_F:  return KS_FLOAT32;
    case PDL_D:  return KS_FLOAT64;
    case PDL_B:  return KS_UINT8;
    case PDL_SB: return KS_INT8;
    case PDL_L:  return KS_INT32;
    case PDL_LL: return KS_INT64;
    default:     return -1;
    }
}

static void keshi_set_pdl_dims(pTHX_ pdl *p, const Dims *dims)
{
    PDL_Indx reversed[32];
    size_t i;
    for (i = 0; i < dims->n; i++)
        reversed[i] = (PDL_Indx)dims->d[dims->n - 1 - i];
    PDL->barf_if_error(PDL->setdims(p, reversed, (PDL_Indx)dims->n));
}

static SV *keshi_call_method(pTHX_ const char *method, SV *invocant, SV *arg)
{
    dSP;
    SV *result;
    PUSHMARK(SP);
    XPUSHs(invocant);
    if (arg)
        XPUSHs(arg);
    PUTBACK;
    call_method(method, G_SCALAR);
    SPAGAIN;
    result = POPs;
    PUTBACK;
    return result;
}

/* PDL's own reading of a list that has PDLs in it. */
static SV *keshi_list_to_pdl(pTHX_ SV *list)
{
    keshi_need_pdl(aTHX);
    return keshi_call_method(aTHX_ "new", newSVpvs_flags("PDL", SVs_TEMP), list);
}

/* A mortal PDL with a copy of the elements. */
static SV *keshi_to_pdl(pTHX_ KsArray *a)
{
    I32 dtype;
    Dims dims;
    size_t nbytes;
    pdl *p;
    SV *sv;
    keshi_need_pdl(aTHX);
    CHECK(ks_array_dtype(a, &dtype));
    if (keshi_is_half(dtype)) {
        a = MG_ARRAY(keshi_magic(keshi_cast(aTHX_ a, KS_FLOAT32)));
        dtype = KS_FLOAT32;
    }
    dims = keshi_dims(aTHX_ a);
    CHECK(ks_array_size(a, &nbytes));
    nbytes *= keshi_dtype_size(dtype);
    p = PDL->pdlnew();
    sv = sv_newmortal();
    PDL->SetSV_PDL(sv, p);
    p->datatype = keshi_pdl_type(dtype);
    keshi_set_pdl_dims(aTHX_ p, &dims);
    PDL->barf_if_error(PDL->allocdata(p));
    if (nbytes)
        CHECK(ks_array_read(a, p->data, nbytes));
    return sv;
}

/* -- the way in */

#define PDL_TO(type, convert)                                                                                       \
    STMT_START {                                                                                                    \
        type *to = (type *)out;                                                                                     \
        switch (p->datatype) {                                                                                      \
            PDL_FROM(PDL_SB, PDL_SByte, type, convert)                                                              \
            PDL_FROM(PDL_B, PDL_Byte, type, convert)                                                                \
            PDL_FROM(PDL_S, PDL_Short, type, convert)                                                               \
            PDL_FROM(PDL_US, PDL_Ushort, type, convert)                                                             \
            PDL_FROM(PDL_L, PDL_Long, type, convert)                                                                \
            PDL_FROM(PDL_UL, PDL_ULong, type, convert)                                                              \
            PDL_FROM(PDL_IND, PDL_Indx, type, convert)                                                              \
            PDL_FROM(PDL_ULL, PDL_ULongLong, type, convert)                                                         \
            PDL_FROM(PDL_LL, PDL_LongLong, type, convert)                                                           \
            PDL_FROM(PDL_F, PDL_Float, type, FLOAT_##convert)                                                       \
            PDL_FROM(PDL_D, PDL_Double, type, FLOAT_##convert)                                                      \
            PDL_FROM(PDL_LD, PDL_LDouble, type, FLOAT_##convert)                                                    \
        default:                                                                                                    \
            keshi_fail(aTHX_ "array: got a PDL of complex numbers, want real ones");                                \
        }                                                                                                           \
    } STMT_END
#define PDL_FROM(tag, source, type, convert)                                                                        \
    case tag: {                                                                                                     \
        const source *from = (const source *)p->data;                                                               \
        for (i = 0; i < n; i++)                                                                                     \
            to[i] = convert(type, from[i]);                                                                         \
        break;                                                                                                      \
    }
#define TO_REAL(type, v) (type)(v)
#define TO_WHOLE(type, v) (type)(v)
#define FLOAT_TO_REAL(type, v) (type)(v)
#define FLOAT_TO_WHOLE(type, v) (type)keshi_cut((NV)(v))

static void keshi_convert_pdl(pTHX_ const pdl *p, I32 dtype, void *out, size_t n)
{
    size_t i;
    switch (dtype) {
    case KS_FLOAT32: PDL_TO(float, TO_REAL); break;
    case KS_FLOAT64: PDL_TO(double, TO_REAL); break;
    case KS_UINT8:   PDL_TO(uint8_t, TO_WHOLE); break;
    case KS_INT8:    PDL_TO(int8_t, TO_WHOLE); break;
    case KS_INT32:   PDL_TO(int32_t, TO_WHOLE); break;
    default:         PDL_TO(int64_t, TO_WHOLE); break;
    }
}

/* The struct behind a PDL, its memory in order, free of bad values. */
static pdl *keshi_physical_pdl(pTHX_ SV *sv, bool real)
{
    pdl *p;
    keshi_need_pdl(aTHX);
    p = PDL->SvPDLV(sv);
    PDL->barf_if_error(PDL->make_physical(p));
    if ((p->state & PDL_BADVAL) && SvTRUE(keshi_call_method(aTHX_ "nbad", sv, NULL))) {
        if (!real)
            keshi_fail(aTHX_ "array: the PDL has bad values, and integer arrays have no NaN to stand for them");
        sv = keshi_call_method(aTHX_ "setbadtonan", keshi_call_method(aTHX_ "double", sv, NULL), NULL);
        p = PDL->SvPDLV(sv);
        PDL->barf_if_error(PDL->make_physical(p));
    }
    return p;
}

static Dims keshi_pdl_dims(pTHX_ const pdl *p)
{
    Dims dims;
    PDL_Indx i;
    if (p->ndims > 32)
        keshi_fail(aTHX_ "array: got a PDL of %" IVdf " dimensions, want at most 32", (IV)p->ndims);
    dims.n = (size_t)p->ndims;
    for (i = 0; i < p->ndims; i++)
        dims.d[i] = (size_t)p->dims[p->ndims - 1 - i];
    if (dims.n == 0) {
        dims.n = 1;
        dims.d[0] = 1;
    }
    return dims;
}

/* A mortal array with a copy of the PDL's elements, converted as PDL converts. */
static SV *keshi_from_pdl(pTHX_ SV *sv, I32 dtype, Device device)
{
    I32 made = keshi_made_first(dtype);
    pdl *p;
    Dims dims;
    KsArray *a;
    SV *array;
    size_t n;
    void *data;
    if (sv_derived_from(sv, "PDL::Matrix"))
        sv = keshi_call_method(aTHX_ "PDL::transpose", sv, NULL);
    p = keshi_physical_pdl(aTHX_ sv, made == KS_FLOAT32 || made == KS_FLOAT64);
    dims = keshi_pdl_dims(aTHX_ p);
    array = keshi_new(aTHX_ made, &dims, device, &a);
    CHECK(ks_array_size(a, &n));
    CHECK(ks_array_data(a, &data));
    if (n && keshi_dtype_of_pdl(p->datatype) == made)
        memcpy(data, p->data, n * keshi_dtype_size(made));
    else if (n)
        keshi_convert_pdl(aTHX_ p, made, data, n);
    return made == dtype ? array : keshi_cast(aTHX_ a, dtype);
}

/* -- views: no copy, each side keeps the other's memory alive */

static int keshi_view_free(pTHX_ SV *sv, MAGIC *mg)
{
    PERL_UNUSED_ARG(sv);
    ks_array_free((KsArray *)mg->mg_ptr);
    mg->mg_ptr = NULL;
    return 0;
}

static MGVTBL keshi_view_vtbl = { NULL, NULL, NULL, NULL, keshi_view_free, NULL, NULL, NULL };

/* A mortal PDL on the memory of `a`. The bytes are the string of a scalar whose magic holds the array, so that they outlive
 * the array's own object; PDL_DONTTOUCHDATA forbids PDL to move or grow them. */
static SV *keshi_view_as_pdl(pTHX_ KsArray *a)
{
    I32 dtype;
    Dims dims;
    size_t nbytes;
    void *data;
    KsArray *held;
    SV *bytes, *sv;
    MAGIC *mg;
    pdl *p;
    keshi_need_pdl(aTHX);
    CHECK(ks_array_dtype(a, &dtype));
    if (keshi_is_half(dtype))
        keshi_fail(aTHX_ "pdl_view: got %s, and PDL has no such type: use aspdl", keshi_dtype_name(dtype));
    dims = keshi_dims(aTHX_ a);
    CHECK(ks_array_size(a, &nbytes));
    nbytes *= keshi_dtype_size(dtype);
    if (!nbytes)
        return keshi_to_pdl(aTHX_ a);
    CHECK(ks_array_retain(a, &held));
    bytes = newSV_type(SVt_PVMG);
    mg = sv_magicext(bytes, NULL, PERL_MAGIC_ext, &keshi_view_vtbl, NULL, 0);
    mg->mg_ptr = (char *)held;
    sv_2mortal(bytes);
    CHECK(ks_array_share(held));
    CHECK(ks_array_data(held, &data));
    SvPV_set(bytes, (char *)data);
    SvCUR_set(bytes, nbytes);
    SvLEN_set(bytes, 0);
    SvPOK_only(bytes);
    p = PDL->pdlnew();
    sv = sv_newmortal();
    PDL->SetSV_PDL(sv, p);
    p->datatype = keshi_pdl_type(dtype);
    keshi_set_pdl_dims(aTHX_ p, &dims);
    p->data = data;
    p->nbytes = (PDL_Indx)nbytes;
    p->datasv = SvREFCNT_inc_simple_NN(bytes);
    p->state |= PDL_DONTTOUCHDATA | PDL_ALLOCATED;
    return sv;
}

/* A scalar that the library holds: the PDL of an array on its memory, or the object that knows a gradient. The last array
 * may go on any thread, and even after the interpreter: only the interpreter that lent it lets it go at once, others
 * leave it for that interpreter's next loan. */
typedef struct Loan {
    SV *owner;          /* the blessed scalar of the PDL, or a reference to the object */
    void *interpreter;
    struct Loan *next;
} Loan;

static Loan *keshi_returned;
static perl_mutex keshi_returned_lock;

/* Its mg_private counts the loans of one PDL. */
static MGVTBL keshi_loan_vtbl = { NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL };

static void keshi_end_loan(pTHX_ Loan *loan)
{
    MAGIC *mg = SvTYPE(loan->owner) >= SVt_PVMG ? mg_findext(loan->owner, PERL_MAGIC_ext, &keshi_loan_vtbl) : NULL;
    if (mg && --mg->mg_private == 0) {
        pdl *p = INT2PTR(pdl *, SvIV(loan->owner));
        p->state &= ~PDL_DONTTOUCHDATA;
        sv_unmagicext(loan->owner, PERL_MAGIC_ext, &keshi_loan_vtbl);
    }
    SvREFCNT_dec_NN(loan->owner);
    Safefree(loan);
}

static void *keshi_interpreter(pTHX)
{
#ifdef USE_ITHREADS
    return aTHX;
#else
    return &PL_sv_undef;
#endif
}

static void keshi_return_loan(void *owner)
{
    Loan *loan = (Loan *)owner;
    dTHX;
#ifdef USE_ITHREADS
    if (aTHX && (void *)aTHX == loan->interpreter && PL_phase != PERL_PHASE_DESTRUCT) {
#else
    if (PL_phase != PERL_PHASE_DESTRUCT) {
#endif
        keshi_end_loan(aTHX_ loan);
        return;
    }
    MUTEX_LOCK(&keshi_returned_lock);
    loan->next = keshi_returned;
    keshi_returned = loan;
    MUTEX_UNLOCK(&keshi_returned_lock);
}

static void keshi_end_returned_loans(pTHX)
{
    Loan *mine = NULL, **link;
    MUTEX_LOCK(&keshi_returned_lock);
    for (link = &keshi_returned; *link;) {
        Loan *loan = *link;
        if (loan->interpreter == keshi_interpreter(aTHX)) {
            *link = loan->next;
            loan->next = mine;
            mine = loan;
        } else
            link = &loan->next;
    }
    MUTEX_UNLOCK(&keshi_returned_lock);
    while (mine) {
        Loan *next = mine->next;
        keshi_end_loan(aTHX_ mine);
        mine = next;
    }
}

/* A mortal array on the memory of a PDL, which may not be moved or grown meanwhile. */
static SV *keshi_view_of_pdl(pTHX_ SV *sv)
{
    pdl *p;
    Dims dims;
    size_t nbytes = 1, i;
    I32 dtype;
    Loan *loan;
    MAGIC *mg;
    KsArray *a;
    keshi_need_pdl(aTHX);
    keshi_end_returned_loans(aTHX);
    if (!sv_derived_from(sv, "PDL") || sv_derived_from(sv, "PDL::Matrix"))
        keshi_fail(aTHX_ "from_pdl_view: got %s, want a PDL", keshi_kind(aTHX_ sv));
    p = PDL->SvPDLV(sv);
    PDL->barf_if_error(PDL->make_physical(p));
    dtype = keshi_dtype_of_pdl(p->datatype);
    if (dtype < 0)
        keshi_fail(aTHX_ "from_pdl_view: got a PDL of a type that has no dtype: use array");
    if (p->trans_parent)
        keshi_fail(aTHX_ "from_pdl_view: got a PDL that flows from another one: sever it, or use array");
    if (p->state & PDL_BADVAL)
        keshi_fail(aTHX_ "from_pdl_view: got a PDL with bad values: use array");
    dims = keshi_pdl_dims(aTHX_ p);
    for (i = 0; i < dims.n; i++)
        nbytes *= dims.d[i];
    nbytes *= keshi_dtype_size(dtype);
    mg = mg_findext((SV *)p->sv, PERL_MAGIC_ext, &keshi_loan_vtbl);
    if (!mg && (p->state & PDL_DONTTOUCHDATA))
        keshi_fail(aTHX_ "from_pdl_view: got a PDL whose memory is not its own: use array");
    Newx(loan, 1, Loan);
    loan->owner = (SV *)p->sv;
    loan->interpreter = keshi_interpreter(aTHX);
    loan->next = NULL;
    if (ks_array_from_foreign(p->data, nbytes, dtype, dims.n, dims.d, keshi_return_loan, loan, &a) != 0) {
        Safefree(loan);
        keshi_fail_last(aTHX);
    }
    if (!mg)
        mg = sv_magicext(loan->owner, NULL, PERL_MAGIC_ext, &keshi_loan_vtbl, NULL, 0);
    mg->mg_private++;
    SvREFCNT_inc_simple_void_NN(loan->owner);
    p->state |= PDL_DONTTOUCHDATA;
    return sv_2mortal(keshi_wrap(a));
}
