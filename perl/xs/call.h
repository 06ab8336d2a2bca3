/* Perl arguments into one call of an operator, as the interface has it: tensors and parameters by position, trailing
 * name => value pairs, or one trailing hash. Names are resolved against the table that the library reports, once at load. */

typedef struct { const char *s; STRLEN n; } Name;

typedef struct {
    const KsOp *op;
    const char *name, *doc;
    size_t num_inputs;
    Name *inputs;
    bool variadic;
    uint32_t num_params;
    bool other_params;
    Name *params;
} Operator;

#define CALL_PARAMS 64
#define CALL_INTS 64
#define CALL_OUTPUTS 16
#define CALL_INPUTS 12

typedef struct {
    const Operator *op;
    KsArray **inputs;           /* by position, then in order */
    size_t num_inputs;
    KsArray **named;            /* per declared input, or NULL */
    uint32_t num_params, num_positional;
    uint32_t index[CALL_PARAMS];
    KsValue values[CALL_PARAMS];
    size_t num_ints;
    int64_t ints[CALL_INTS];    /* room for short tuples */
    KsArray *few_inputs[CALL_INPUTS], *few_named[CALL_INPUTS];
    SV *out;
    SV *stray;                  /* a text that stands where a name would, and is none */
} Call;

static Operator *keshi_operators;
static size_t keshi_num_operators, keshi_num_public;

static void *keshi_scratch(pTHX_ size_t bytes)
{
    SV *sv = sv_2mortal(newSV(bytes ? bytes : 1));
    return SvPVX(sv);
}

static Name keshi_name(const char *s)
{
    Name name;
    name.s = s;
    name.n = strlen(s);
    return name;
}

/* Internal operators that sparse arrays are computed with. */
static const char *const KESHI_SPARSE[] = { "_ks_csr_dot", "_ks_read_rows", "_ks_owned_rows", "_ks_add_rows" };

/* Fills the table; process wide, never freed, the same for every interpreter. The public operators come first. */
static void keshi_read_operators(pTHX)
{
    size_t i, k;
    if (keshi_operators)
        return;
    keshi_num_public = ks_op_count();
    keshi_num_operators = keshi_num_public + C_ARRAY_LENGTH(KESHI_SPARSE);
    Newxz(keshi_operators, keshi_num_operators, Operator);
    for (i = 0; i < keshi_num_operators; i++) {
        Operator *o = &keshi_operators[i];
        KsOpInfo info;
        if (i < keshi_num_public)
            CHECK(ks_op_at(i, &o->op));
        else
            CHECK(ks_op_find(KESHI_SPARSE[i - keshi_num_public], &o->op));
        CHECK(ks_op_info(o->op, &info));
        o->name = info.name;
        o->doc = info.doc;
        o->num_inputs = info.num_inputs;
        o->variadic = info.variadic;
        Newx(o->inputs, info.num_inputs, Name);
        for (k = 0; k < info.num_inputs; k++)
            o->inputs[k] = keshi_name(info.inputs[k]);
        if (info.num_params > CALL_PARAMS)
            croak("%s has %" UVuf " parameters, want at most %d", info.name, (UV)info.num_params, CALL_PARAMS);
        o->num_params = (uint32_t)info.num_params;
        o->other_params = info.other_params;
        Newx(o->params, info.num_params, Name);
        for (k = 0; k < info.num_params; k++) {
            KsParamInfo param;
            CHECK(ks_op_param(o->op, k, &param));
            o->params[k] = keshi_name(param.name);
        }
    }
}

static I32 keshi_find_name(const Name *names, size_t count, const char *s, STRLEN n)
{
    size_t i;
    for (i = 0; i < count; i++)
        if (names[i].n == n && memEQ(names[i].s, s, n))
            return (I32)i;
    return -1;
}

static AV *keshi_list_at(pTHX_ AV *av, size_t i, const char *who)
{
    SV **element = av_fetch(av, (SSize_t)i, 0);
    if (!element || !keshi_is_list(*element))
        keshi_fail(aTHX_ "%s: got %s, want a list", who, element ? keshi_kind(aTHX_ *element) : "undef");
    return (AV *)SvRV(*element);
}

/* -- values */

static SV *keshi_tuple_text(pTHX_ AV *av)
{
    SV *text = sv_2mortal(newSVpvs("("));
    Size_t i, n = av_count(av);
    for (i = 0; i < n; i++) {
        SV **element = av_fetch(av, i, 0);
        if (i)
            sv_catpvs(text, ", ");
        if (!element || !SvOK(*element))
            sv_catpvs(text, "None");
        else if (keshi_is_list(*element))
            sv_catsv(text, keshi_tuple_text(aTHX_ (AV *)SvRV(*element)));
        else
            sv_catsv(text, *element);
    }
    sv_catpv(text, n == 1 ? ",)" : ")");
    return text;
}

static void keshi_text_value(pTHX_ SV *sv, KsValue *value)
{
    value->tag = KS_STR;
    value->as.s = SvPV_nomg(sv, value->len);
}

/* A list becomes whole numbers where all are, else floats where all are numbers, else text. */
static void keshi_list_value(pTHX_ Call *call, AV *av, KsValue *value)
{
    Size_t i, n = av_count(av);
    int64_t *ints;
    bool whole = TRUE;
    if (n <= CALL_INTS - call->num_ints) {
        ints = call->ints + call->num_ints;
        call->num_ints += n;
    } else
        ints = (int64_t *)keshi_scratch(aTHX_ n * sizeof *ints);
    for (i = 0; i < n; i++) {
        SV **element = av_fetch(av, i, 0);
        IV iv;
        if (!element || !SvOK(*element))
            ints[i] = KS_INT_NONE;
        else if (keshi_whole(aTHX_ *element, &iv))
            ints[i] = iv;
        else if (!SvROK(*element) && keshi_is_number(aTHX_ *element))
            whole = FALSE;
        else {
            keshi_text_value(aTHX_ keshi_tuple_text(aTHX_ av), value);
            return;
        }
    }
    value->len = n;
    if (whole) {
        value->tag = KS_INTS;
        value->as.ints = ints;
    } else {
        double *floats = (double *)keshi_scratch(aTHX_ n * sizeof *floats);
        for (i = 0; i < n; i++) {
            SV **element = av_fetch(av, i, 0);
            if (!element || !SvOK(*element)) {
                keshi_text_value(aTHX_ keshi_tuple_text(aTHX_ av), value);
                return;
            }
            floats[i] = SvNV(*element);
        }
        value->tag = KS_FLOATS;
        value->as.floats = floats;
    }
}

static void keshi_value(pTHX_ Call *call, const char *name, SV *sv, KsValue *value)
{
    value->len = 0;
    SvGETMAGIC(sv);
    if (SvROK(sv)) {
        if (keshi_is_list(sv))
            keshi_list_value(aTHX_ call, (AV *)SvRV(sv), value);
        else if (IS_ARRAY(sv) || !SvAMAGIC(sv))
            keshi_fail(aTHX_ "%s: parameter %s got %s, want a number, text or a list", call->op->name, name,
                       keshi_kind(aTHX_ sv));
        else
            keshi_text_value(aTHX_ sv, value);
    } else if (SvIOK(sv) && !SvIsUV(sv)) {
        value->tag = KS_INT;
        value->as.i = SvIVX(sv);
    } else if (SvNIOK(sv)) {
        NV nv = SvNV_nomg(sv);
        if (nv == Perl_floor(nv) && nv > -9e15 && nv < 9e15 && nv != 0) {
            value->tag = KS_INT;
            value->as.i = (int64_t)nv;
        } else {
            value->tag = KS_FLOAT;
            value->as.f = nv;
        }
    } else if (SvPOK(sv))
        keshi_text_value(aTHX_ sv, value);
    else if (!SvOK(sv))
        value->tag = KS_NONE;
    else
        keshi_fail(aTHX_ "%s: parameter %s got %s, want a number, text or a list", call->op->name, name, keshi_kind(aTHX_ sv));
}

static void keshi_set_param(pTHX_ Call *call, uint32_t param, SV *sv)
{
    uint32_t slot;
    for (slot = 0; slot < call->num_params && call->index[slot] != param; slot++)
        ;
    if (slot == call->num_params) {
        call->index[slot] = param;
        call->num_params++;
    }
    keshi_value(aTHX_ call, call->op->params[param].s, sv, &call->values[slot]);
}

/* A parameter of any other name, of an operator that takes such. */
static void keshi_set_other(pTHX_ Call *call, SV *key, SV *sv)
{
    KsValue *value = &call->values[call->num_params];
    SV *text = sv_2mortal(newSVsv(key));
    if (call->num_params >= CALL_PARAMS)
        keshi_fail(aTHX_ "%s: too many parameters, want at most %d", call->op->name, CALL_PARAMS);
    sv_catpvs(text, "=");
    sv_catsv(text, keshi_is_list(sv) ? keshi_tuple_text(aTHX_ (AV *)SvRV(sv)) : SvOK(sv) ? sv : sv_2mortal(newSVpvs("None")));
    call->index[call->num_params++] = call->op->num_params;
    value->tag = KS_STR;
    value->as.s = SvPVutf8(text, value->len);
}

/* -- arguments */

/* An array, or a Slice, which is read. NULL for anything else. */
static MAGIC *keshi_tensor(pTHX_ SV *sv)
{
    MAGIC *mg;
    SvGETMAGIC(sv);
    if (!SvROK(sv))
        return NULL;
    mg = keshi_magic(sv);
    if (!mg && SvOBJECT(SvRV(sv)) && sv_derived_from(sv, "AI::MXNet::NDArray::Slice"))
        mg = keshi_magic(keshi_call_method(aTHX_ "sever", sv, NULL));
    return mg;
}

static void keshi_push_input(pTHX_ Call *call, MAGIC *mg)
{
    if (!mg->mg_ptr)
        keshi_fail(aTHX_ "%s: got an array that did not survive the start of this thread", call->op->name);
    call->inputs[call->num_inputs++] = MG_ARRAY(mg);
}

/* A name => value pair; FALSE when the name is none of this operator's. */
static bool keshi_named_arg(pTHX_ Call *call, SV *key, SV *value)
{
    STRLEN n;
    const char *s = SvPV(key, n);
    I32 at = keshi_find_name(call->op->params, call->op->num_params, s, n);
    if (at >= 0) {
        keshi_set_param(aTHX_ call, (uint32_t)at, value);
        return TRUE;
    }
    at = keshi_find_name(call->op->inputs, call->op->num_inputs, s, n);
    if (at >= 0) {
        MAGIC *mg = keshi_tensor(aTHX_ value);
        if (!mg) {
            if (!SvOK(value))
                return TRUE;
            keshi_fail(aTHX_ "%s: %s got %s, want an AI::MXNet::NDArray", call->op->name, s, keshi_kind(aTHX_ value));
        }
        if (call->op->variadic)
            keshi_push_input(aTHX_ call, mg);
        else
            call->named[at] = MG_ARRAY(mg);
        return TRUE;
    }
    if (n == 3 && memEQ(s, "out", 3)) {
        call->out = SvOK(value) ? value : NULL;
        return TRUE;
    }
    if (n == 4 && memEQ(s, "name", 4))
        return TRUE;
    if (!call->op->other_params || !n || !isIDFIRST(*s))
        return FALSE;
    SvGETMAGIC(value);
    if (IS_ARRAY(value))
        keshi_fail(aTHX_ "%s: Cannot find argument '%s', want inputs by position", call->op->name, s);
    keshi_set_other(aTHX_ call, key, value);
    return TRUE;
}

static const char *keshi_known_params(pTHX_ const Operator *op)
{
    SV *known = sv_2mortal(newSVpvs(""));
    uint32_t i;
    for (i = 0; i < op->num_params; i++)
        sv_catpvf(known, "%s%s", i ? ", " : "", op->params[i].s);
    return SvPV_nolen(known);
}

/* What to say of the stray text behind an error that it may have caused. */
static const char *keshi_stray(pTHX_ const Call *call)
{
    if (!call->stray)
        return "";
    return SvPV_nolen(sv_2mortal(newSVpvf(" ('%" SVf "' is no name of a parameter; there are %s)", SVfARG(call->stray),
                                          call->op->num_params ? keshi_known_params(aTHX_ call->op) : "none")));
}

static void keshi_hash_args(pTHX_ Call *call, HV *hv)
{
    HE *entry;
    hv_iterinit(hv);
    while ((entry = hv_iternext(hv))) {
        SV *key = hv_iterkeysv(entry), *value = hv_iterval(hv, entry);
        /* Operators without parameters take any name and use none, as upstream's do. */
        if (!keshi_named_arg(aTHX_ call, key, value) && call->op->num_params)
            keshi_fail(aTHX_ "%s: Cannot find argument '%s', possible arguments: %s", call->op->name, SvPV_nolen(key),
                       keshi_known_params(aTHX_ call->op));
    }
}

/* Whether an object can only have been meant as an input: no operator has parameters like it. */
static bool keshi_meant_as_input(pTHX_ SV *sv)
{
    if (!SvROK(sv) || !SvOBJECT(SvRV(sv)) || keshi_is_list(sv))
        return FALSE;
    if (sv_derived_from(sv, "PDL"))
        return SvIV(keshi_call_method(aTHX_ "nelem", sv, NULL)) != 1;
    return sv_derived_from(sv, "AI::MXNet::Symbol") || !gv_fetchmeth_pvn(SvSTASH(SvRV(sv)), "((", 2, -1, 0);
}

static void keshi_positional_arg(pTHX_ Call *call, SV *sv)
{
    MAGIC *mg = keshi_tensor(aTHX_ sv);
    if (mg) {
        keshi_push_input(aTHX_ call, mg);
        return;
    }
    if (keshi_meant_as_input(aTHX_ sv))
        keshi_fail(aTHX_ "%s: input %u got %s, want an AI::MXNet::NDArray", call->op->name, (unsigned)call->num_inputs,
                   keshi_kind(aTHX_ sv));
    if (call->num_positional >= call->op->num_params)
        keshi_fail(aTHX_ "%s: Too many positional arguments: got %s, and all %u parameters have a value or there are none%s",
                   call->op->name, keshi_kind(aTHX_ sv), (unsigned)call->op->num_params, keshi_stray(aTHX_ call));
    keshi_set_param(aTHX_ call, call->num_positional++, sv);
}

/* Arrays given by name go to their declared place, the positional ones fill the places between in order. */
static void keshi_place_inputs(pTHX_ Call *call)
{
    const Operator *op = call->op;
    KsArray **all;
    size_t i, taken = 0, n = 0, last = 0;
    for (i = 0; i < op->num_inputs; i++)
        if (call->named[i])
            last = i + 1;
    if (!last || op->variadic)
        return;
    all = (KsArray **)keshi_scratch(aTHX_ (op->num_inputs + call->num_inputs) * sizeof *all);
    for (i = 0; i < op->num_inputs && (i < last || taken < call->num_inputs); i++) {
        if (call->named[i])
            all[n++] = call->named[i];
        else if (taken < call->num_inputs)
            all[n++] = call->inputs[taken++];
        else
            keshi_fail(aTHX_ "%s: input %s is missing", op->name, op->inputs[i].s);
    }
    while (taken < call->num_inputs)
        all[n++] = call->inputs[taken++];
    call->inputs = all;
    call->num_inputs = n;
}

/* -- outputs */

static void keshi_out_args(pTHX_ const Call *call, KsArray **outputs, size_t *given)
{
    SV *out = call->out;
    SvGETMAGIC(out);
    if (IS_ARRAY(out)) {
        outputs[0] = keshi_array(out, call->op->name);
        *given = 1;
    } else if (keshi_is_list(out)) {
        AV *av = (AV *)SvRV(out);
        Size_t i;
        for (i = 0; i < av_count(av); i++) {
            SV **element = av_fetch(av, i, 0);
            if (!element)
                keshi_fail(aTHX_ "%s: out[%" UVuf "] is missing", call->op->name, (UV)i);
            outputs[i] = keshi_array(*element, call->op->name);
        }
        *given = av_count(av);
    } else
        keshi_fail(aTHX_ "%s: out got %s, want an AI::MXNet::NDArray or a list of them", call->op->name, keshi_kind(aTHX_ out));
}

/* Runs the call. The result is mortal: the given out, one array, or a list of arrays. */
static SV *keshi_run(pTHX_ Call *call)
{
    KsArray *few[CALL_OUTPUTS], **outputs = few;
    size_t given = 0, capacity = CALL_OUTPUTS, count = 0, i;
    if (call->out && keshi_is_list(call->out) && av_count((AV *)SvRV(call->out)) > capacity) {
        capacity = av_count((AV *)SvRV(call->out));
        outputs = (KsArray **)keshi_scratch(aTHX_ capacity * sizeof *outputs);
    }
    if (call->out)
        keshi_out_args(aTHX_ call, outputs, &given);
    while (ks_op_invoke(call->op->op, call->num_inputs, call->inputs, call->num_params, call->index, call->values, given,
                        capacity, outputs, &count) != 0) {
        KsArray **more;
        if (count <= capacity) {
            if (call->stray && strstr(ks_last_error(), "Invalid Parameter"))
                keshi_fail(aTHX_ "%s%s", ks_last_error(), keshi_stray(aTHX_ call));
            keshi_fail_last(aTHX);
        }
        more = (KsArray **)keshi_scratch(aTHX_ count * sizeof *more);
        Copy(outputs, more, given, KsArray *);
        capacity = count;
        outputs = more;
    }
    if (given) {
        for (i = given; i < count; i++)
            ks_array_free(outputs[i]);
        return call->out;
    }
    if (count == 1)
        return sv_2mortal(keshi_wrap(outputs[0]));
    {
        AV *av = newAV();
        SV *list = sv_2mortal(newRV_noinc((SV *)av));
        av_extend(av, (SSize_t)count - 1);
        for (i = 0; i < count; i++)
            av_push(av, keshi_wrap(outputs[i]));
        return list;
    }
}

static void keshi_begin_call(pTHX_ Call *call, const Operator *op, size_t most_inputs)
{
    call->op = op;
    call->inputs = call->few_inputs;
    if (most_inputs >= CALL_INPUTS)
        call->inputs = (KsArray **)keshi_scratch(aTHX_ (most_inputs + 1) * sizeof *call->inputs);
    call->named = call->few_named;
    if (op->num_inputs > CALL_INPUTS)
        call->named = (KsArray **)keshi_scratch(aTHX_ op->num_inputs * sizeof *call->named);
    Zero(call->named, op->num_inputs, KsArray *);
    call->num_inputs = 0;
    call->num_params = 0;
    call->num_positional = 0;
    call->num_ints = 0;
    call->out = NULL;
    call->stray = NULL;
}

/* Whether one of the arguments is a sparse array, directly or in a trailing hash or a list. */
static bool keshi_any_sparse(pTHX_ SV *sv)
{
    if (!SvROK(sv))
        return FALSE;
    if (SvOBJECT(SvRV(sv)))
        return keshi_is_sparse(aTHX_ sv);
    if (SvTYPE(SvRV(sv)) == SVt_PVAV) {
        AV *av = (AV *)SvRV(sv);
        SSize_t i, n = (SSize_t)av_count(av);
        SV **first = n ? av_fetch(av, 0, 0) : NULL;
        /* A list of numbers is the usual one. */
        for (i = 0; first && SvROK(*first) && i < n; i++) {
            SV **element = av_fetch(av, i, 0);
            if (element && keshi_is_sparse(aTHX_ *element))
                return TRUE;
        }
    } else if (SvTYPE(SvRV(sv)) == SVt_PVHV) {
        HV *hv = (HV *)SvRV(sv);
        HE *entry;
        bool found = FALSE;
        (void)hv_iterinit(hv);
        while ((entry = hv_iternext(hv)))
            found = found || keshi_any_sparse(aTHX_ HeVAL(entry));
        return found;
    }
    return FALSE;
}

/* Calls with sparse arrays are sorted out in Perl, which calls `package::name` again with dense ones. */
static SV *keshi_sparse_call(pTHX_ const char *package, const char *name, SSize_t first, I32 items)
{
    dSP;
    I32 i;
    SV *result;
    PUSHMARK(SP);
    EXTEND(SP, items + 1);
    PUSHs(sv_2mortal(newSVpvf("%s::%s", package, name)));
    for (i = 0; i < items; i++)
        PUSHs(PL_stack_base[first + i]);
    PUTBACK;
    call_pv("AI::MXNet::NDArray::Sparse::Calls::invoke", G_SCALAR);
    SPAGAIN;
    result = POPs;
    PUTBACK;
    return result;
}

/* Variables and gradients of which some are sparse, also sorted out in Perl. */
static void keshi_mark_sparse(pTHX_ SV *variables, SV *gradients, SV *requests)
{
    dSP;
    PUSHMARK(SP);
    EXTEND(SP, 3);
    PUSHs(variables);
    PUSHs(gradients);
    PUSHs(requests ? requests : &PL_sv_undef);
    PUTBACK;
    call_pv("AI::MXNet::NDArray::Sparse::Gradient::mark_variables", G_VOID | G_DISCARD);
}

#define SPARSE_CALL(package, name)                                                                                  \
    STMT_START {                                                                                                    \
        I32 arg_;                                                                                                   \
        for (arg_ = 0; arg_ < items; arg_++)                                                                        \
            if (SvROK(ST(arg_)) && keshi_any_sparse(aTHX_ ST(arg_)))                                                \
                RETURN_SV(keshi_sparse_call(aTHX_ package, name, ax, items));                                       \
    } STMT_END

/* The method behind every operator name: `$class_or_array->name(...)`. */
XS_INTERNAL(keshi_operator_method)
{
    dXSARGS;
    const Operator *op = (const Operator *)XSANY.any_ptr;
    Call call;
    I32 i, left = items;
    SV *last;
    if (items < 1)
        keshi_fail(aTHX_ "%s: called without a class or an array, want AI::MXNet::NDArray->%s(...)", op->name, op->name);
    SPARSE_CALL("AI::MXNet::NDArray::Base", op->name);
    last = ST(items - 1);
    if (items > 1 && SvROK(last) && SvTYPE(SvRV(last)) == SVt_PVHV && !SvOBJECT(SvRV(last))) {
        keshi_begin_call(aTHX_ &call, op, (size_t)items + HvUSEDKEYS((HV *)SvRV(last)));
        keshi_hash_args(aTHX_ &call, (HV *)SvRV(last));
        left = items - 1;
        for (i = 1; i < left; i++)
            keshi_positional_arg(aTHX_ &call, ST(i));
    } else {
        /* Pairs are taken from the end; those whose name is not known are positional after all. */
        I32 kept = items;
        keshi_begin_call(aTHX_ &call, op, (size_t)items);
        while (left - 1 >= 2 && !SvROK(ST(left - 2))) {
            SV *key = ST(left - 2), *value = ST(left - 1);
            left -= 2;
            if (!SvOK(key) || !keshi_named_arg(aTHX_ &call, key, value)) {
                ST(kept - 1) = value;
                ST(kept - 2) = key;
                if (SvPOK(key) && isIDFIRST(*SvPVX(key)))
                    call.stray = key;
                kept -= 2;
            }
        }
        for (i = 1; i < left; i++)
            keshi_positional_arg(aTHX_ &call, ST(i));
        for (i = kept; i < items; i++)
            keshi_positional_arg(aTHX_ &call, ST(i));
    }
    keshi_place_inputs(aTHX_ &call);
    if (call.num_inputs == 0 && !call.out && SvROK(ST(0)))
        keshi_push_input(aTHX_ &call, keshi_magic_of(aTHX_ ST(0), op->name));
    RETURN_SV(keshi_run(aTHX_ &call));
}

/* The operator behind the method of that name. */
static const Operator *keshi_operator_named(pTHX_ const char *name)
{
    CV *cv = get_cv(form("AI::MXNet::NDArray::Base::%s", name), 0);
    if (!cv || !CvISXSUB(cv) || CvXSUB(cv) != keshi_operator_method)
        keshi_fail(aTHX_ "there is no operator %s", name);
    return (const Operator *)CvXSUBANY(cv).any_ptr;
}
