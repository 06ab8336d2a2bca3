/* Functions whose gradient is a Perl method: the object goes to the tape and comes back to be called.
 *
 * The tape may let go of it on any thread, so the object is a Loan, as the PDL behind a view is. */

static void keshi_push_arrays(pTHX_ AV *av, size_t n, KsArray *const *arrays)
{
    size_t i;
    for (i = 0; arrays && i < n; i++) {
        KsArray *a;
        if (ks_array_retain(arrays[i], &a) == 0)
            av_push(av, keshi_wrap(a));
    }
}

/* The gradients that `_go_back` returned; NULL, or what is wrong with them. */
static const char *keshi_take_gradients(pTHX_ SV *result, size_t n, KsArray **to)
{
    AV *av;
    size_t i;
    if (!keshi_is_list(result))
        return "backward did not return its gradients";
    av = (AV *)SvRV(result);
    if (av_count(av) != n)
        return form("backward must return one gradient for each input, got %" UVuf ", want %" UVuf, (UV)av_count(av),
                    (UV)n);
    for (i = 0; i < n; i++) {
        SV **element = av_fetch(av, (SSize_t)i, 0);
        MAGIC *mg;
        if (!element || !SvOK(*element))
            continue;
        mg = keshi_magic(*element);
        if (!mg || !mg->mg_ptr)
            return form("gradient %" UVuf " is %s, want an AI::MXNet::NDArray or undef", (UV)i,
                        keshi_kind(aTHX_ *element));
        if (ks_array_retain(MG_ARRAY(mg), &to[i]) != 0)
            return form("%s", ks_last_error());
    }
    return NULL;
}

/* What a callback died with, without the end of its sentence. */
static const char *keshi_death(pTHX)
{
    SV *text = sv_2mortal(newSVsv(ERRSV));
    STRLEN n;
    const char *s = SvPV(text, n);
    while (n && (s[n - 1] == '\n' || s[n - 1] == '.'))
        n--;
    SvCUR_set(text, n);
    *SvEND(text) = '\0';
    return form("%s", SvPVutf8_nolen(text));
}

static int keshi_function_backward(void *owner, size_t num_outputs, KsArray *const *grads, KsArray *const *outputs,
                                   size_t num_inputs, KsArray **input_grads)
{
    Loan *loan = (Loan *)owner;
    AV *given, *kept;
    const char *wrong;
    SV *result;
    dTHX;
    if (!aTHX || keshi_interpreter(aTHX) != loan->interpreter)
        return ks_fail(KS_ERROR_AUTOGRAD, "recorded on one thread, and differentiated on another");
    {
        dSP;
        PUSHSTACKi(PERLSI_UNKNOWN);
        ENTER;
        SAVETMPS;
        given = (AV *)sv_2mortal((SV *)newAV());
        kept = (AV *)sv_2mortal((SV *)newAV());
        keshi_push_arrays(aTHX_ given, num_outputs, grads);
        keshi_push_arrays(aTHX_ kept, num_outputs, outputs);
        PUSHMARK(SP);
        EXTEND(SP, 3);
        PUSHs(loan->owner);
        mPUSHs(newRV_inc((SV *)given));
        mPUSHs(newRV_inc((SV *)kept));
        PUTBACK;
        call_method("_go_back", G_SCALAR | G_EVAL);
        SPAGAIN;
        result = POPs;
        PUTBACK;
        if (SvTRUE(ERRSV))
            wrong = keshi_death(aTHX);
        else
            wrong = keshi_take_gradients(aTHX_ result, num_inputs, input_grads);
        if (wrong)
            (void)ks_fail(KS_ERROR_AUTOGRAD, wrong);
        FREETMPS;
        LEAVE;
        POPSTACK;
    }
    return wrong ? -1 : 0;
}

/* -- operators: what was registered, and what it makes, are Loans; AI::MXNet::Operator calls their methods */

typedef struct {
    size_t num_inputs, num_outputs, num_keys;
    int training;
    const char *const *keys, *const *values;
    KsPartial *shapes;
    const KsPartial *const_shapes;
    I32 *dtypes;
    const I32 *const_dtypes;
    KsArray *const *inputs, *const *outputs, *const *output_grads, *const *input_grads;
    const I32 *wanted;
    Device device;
    KsProperty *property;
    void **object;
} Asked;

static void *keshi_lend(pTHX_ SV *object)
{
    Loan *loan;
    Newx(loan, 1, Loan);
    loan->owner = newSVsv(object);
    loan->interpreter = keshi_interpreter(aTHX);
    loan->next = NULL;
    return loan;
}

/* Calls AI::MXNet::Operator::`function`(owner, what `give` pushes); `take` reads the result, and says what is wrong with it. */
static int keshi_ask(void *owner, const char *function, void (*give)(pTHX_ AV *, const Asked *),
                     const char *(*take)(pTHX_ SV *, const Asked *), const Asked *asked)
{
    Loan *loan = (Loan *)owner;
    const char *wrong;
    dTHX;
    if (!aTHX || keshi_interpreter(aTHX) != loan->interpreter)
        return ks_fail(KS_ERROR_ARGUMENT, "registered on one thread, and called on another");
    {
        dSP;
        AV *args;
        SV *result;
        size_t i;
        PUSHSTACKi(PERLSI_UNKNOWN);
        ENTER;
        SAVETMPS;
        args = (AV *)sv_2mortal((SV *)newAV());
        give(aTHX_ args, asked);
        PUSHMARK(SP);
        EXTEND(SP, (SSize_t)av_count(args) + 1);
        PUSHs(loan->owner);
        for (i = 0; i < av_count(args); i++)
            PUSHs(AvARRAY(args)[i]);
        PUTBACK;
        call_pv(form("AI::MXNet::Operator::%s", function), G_SCALAR | G_EVAL);
        SPAGAIN;
        result = POPs;
        PUTBACK;
        wrong = SvTRUE(ERRSV) ? keshi_death(aTHX) : take ? take(aTHX_ result, asked) : NULL;
        if (wrong)
            (void)ks_fail(KS_ERROR_ARGUMENT, wrong);
        FREETMPS;
        LEAVE;
        POPSTACK;
    }
    return wrong ? -1 : 0;
}

static AV *keshi_push_list(pTHX_ AV *args)
{
    AV *av = newAV();
    av_push(args, newRV_noinc((SV *)av));
    return av;
}

static void keshi_give_keywords(pTHX_ AV *args, const Asked *asked)
{
    HV *hv = newHV();
    size_t i;
    av_push(args, newRV_noinc((SV *)hv));
    for (i = 0; i < asked->num_keys; i++) {
        SV *value = newSVpv(asked->values[i], 0);
        SvUTF8_on(value);
        (void)hv_store(hv, asked->keys[i], -(I32)strlen(asked->keys[i]), value, 0);
    }
}

/* The names in list `at` of `all`, which keeps the addresses, too. */
static const char **keshi_names(pTHX_ AV *all, SSize_t at, size_t *n)
{
    AV *av = (AV *)SvRV(*av_fetch(all, at, 0));
    SV *room = newSV(av_count(av) * sizeof(char *) + 1);
    const char **names = (const char **)SvPVX(room);
    size_t i;
    *n = av_count(av);
    av_push(all, room);
    for (i = 0; i < *n; i++)
        names[i] = SvPVutf8_nolen(*av_fetch(av, (SSize_t)i, 1));
    return names;
}

/* The list that `_property` made is what is lent: the names must outlive this call. */
static const char *keshi_take_property(pTHX_ SV *result, const Asked *asked)
{
    AV *av = (AV *)SvRV(result);
    KsProperty *p = asked->property;
    p->arguments = keshi_names(aTHX_ av, 1, &p->num_arguments);
    p->outputs = keshi_names(aTHX_ av, 2, &p->num_outputs);
    p->needs_grads = cBOOL(SvTRUE(*av_fetch(av, 3, 0)));
    p->num_states = SvUV(*av_fetch(av, 4, 0));
    p->property = keshi_lend(aTHX_ result);
    return NULL;
}

static int keshi_op_property(void *owner, size_t n, const char *const *keys, const char *const *values, KsProperty *out)
{
    Asked asked = { 0 };
    asked.num_keys = n;
    asked.keys = keys;
    asked.values = values;
    asked.property = out;
    return keshi_ask(owner, "_property", keshi_give_keywords, keshi_take_property, &asked);
}

static void keshi_push_shapes(pTHX_ AV *args, size_t n, const KsPartial *shapes)
{
    AV *av = keshi_push_list(aTHX_ args);
    size_t i;
    I32 k;
    for (i = 0; i < n; i++) {
        AV *shape = keshi_push_list(aTHX_ av);
        for (k = 0; k < shapes[i].ndim; k++)
            av_push(shape, newSViv(shapes[i].sizes[k] < 0 ? 0 : (IV)shapes[i].sizes[k]));
    }
}

static void keshi_give_shapes(pTHX_ AV *args, const Asked *asked)
{
    keshi_push_shapes(aTHX_ args, asked->num_inputs, asked->shapes);
    av_push(args, newSVuv(asked->num_outputs));
}

/* Undef and the empty list say nothing; a size of 0 only where an input has it, which AI::MXNet::Operator sees to. */
static const char *keshi_take_shapes(pTHX_ SV *result, const Asked *asked)
{
    AV *av = (AV *)SvRV(result);
    size_t i, k;
    for (i = 0; i < asked->num_inputs + asked->num_outputs; i++) {
        SV **element = av_fetch(av, (SSize_t)i, 0);
        KsPartial *to = &asked->shapes[i];
        AV *shape;
        if (!element || !SvOK(*element))
            continue;
        shape = (AV *)SvRV(*element);
        if (av_count(shape) > C_ARRAY_LENGTH(to->sizes))
            return form("infer_shape told a shape of %" UVuf " axes, want at most 32", (UV)av_count(shape));
        to->ndim = (I32)av_count(shape);
        for (k = 0; k < av_count(shape); k++)
            to->sizes[k] = SvIV(*av_fetch(shape, (SSize_t)k, 1));
    }
    return NULL;
}

static int keshi_op_infer_shape(void *property, size_t num_inputs, size_t num_outputs, KsPartial *shapes)
{
    Asked asked = { 0 };
    asked.num_inputs = num_inputs;
    asked.num_outputs = num_outputs;
    asked.shapes = shapes;
    return keshi_ask(property, "_infer_shape", keshi_give_shapes, keshi_take_shapes, &asked);
}

static void keshi_push_dtypes(pTHX_ AV *args, size_t n, const I32 *dtypes)
{
    AV *av = keshi_push_list(aTHX_ args);
    size_t i;
    for (i = 0; i < n; i++)
        av_push(av, dtypes[i] < 0 ? newSV(0) : newSVpv(keshi_dtype_name(dtypes[i]), 0));
}

static void keshi_give_dtypes(pTHX_ AV *args, const Asked *asked)
{
    keshi_push_dtypes(aTHX_ args, asked->num_inputs, asked->dtypes);
    av_push(args, newSVuv(asked->num_outputs));
}

static const char *keshi_take_dtypes(pTHX_ SV *result, const Asked *asked)
{
    AV *av = (AV *)SvRV(result);
    size_t i;
    for (i = 0; i < asked->num_inputs + asked->num_outputs; i++) {
        SV **element = av_fetch(av, (SSize_t)i, 0);
        size_t k;
        if (!element || !SvOK(*element))
            continue;
        for (k = 0; k < C_ARRAY_LENGTH(KESHI_DTYPES); k++)
            if (strEQ(KESHI_DTYPES[k].name, SvPV_nolen(*element)))
                break;
        if (k == C_ARRAY_LENGTH(KESHI_DTYPES))
            return form("infer_type told %s, want a dtype", SvPV_nolen(*element));
        asked->dtypes[i] = KESHI_DTYPES[k].id;
    }
    return NULL;
}

static int keshi_op_infer_type(void *property, size_t num_inputs, size_t num_outputs, int32_t *dtypes)
{
    Asked asked = { 0 };
    asked.num_inputs = num_inputs;
    asked.num_outputs = num_outputs;
    asked.dtypes = dtypes;
    return keshi_ask(property, "_infer_type", keshi_give_dtypes, keshi_take_dtypes, &asked);
}

static void keshi_give_kind(pTHX_ AV *args, const Asked *asked)
{
    av_push(args, newSViv(asked->device.type));
    av_push(args, newSViv(asked->device.id));
    keshi_push_shapes(aTHX_ args, asked->num_inputs, asked->const_shapes);
    keshi_push_dtypes(aTHX_ args, asked->num_inputs, asked->const_dtypes);
}

static const char *keshi_take_object(pTHX_ SV *result, const Asked *asked)
{
    *asked->object = keshi_lend(aTHX_ result);
    return NULL;
}

static int keshi_op_create(void *property, int32_t device_type, int32_t device_id, size_t num_inputs,
                           const KsPartial *shapes, const int32_t *dtypes, void **object)
{
    Asked asked = { 0 };
    asked.device.type = device_type;
    asked.device.id = device_id;
    asked.num_inputs = num_inputs;
    asked.const_shapes = shapes;
    asked.const_dtypes = dtypes;
    asked.object = object;
    return keshi_ask(property, "_create", keshi_give_kind, keshi_take_object, &asked);
}

static void keshi_give_forward(pTHX_ AV *args, const Asked *asked)
{
    av_push(args, newSViv(asked->training));
    keshi_push_arrays(aTHX_ keshi_push_list(aTHX_ args), asked->num_inputs, asked->inputs);
    keshi_push_arrays(aTHX_ keshi_push_list(aTHX_ args), asked->num_outputs, asked->outputs);
}

static int keshi_op_forward(void *object, int training, size_t num_inputs, KsArray *const *inputs, size_t num_outputs,
                            KsArray *const *outputs)
{
    Asked asked = { 0 };
    asked.training = training;
    asked.num_inputs = num_inputs;
    asked.inputs = inputs;
    asked.num_outputs = num_outputs;
    asked.outputs = outputs;
    return keshi_ask(object, "_forward", keshi_give_forward, NULL, &asked);
}

static void keshi_give_backward(pTHX_ AV *args, const Asked *asked)
{
    AV *req = keshi_push_list(aTHX_ args);
    size_t i;
    for (i = 0; i < asked->num_inputs; i++)
        av_push(req, newSVpv(asked->wanted[i] ? "write" : "null", 0));
    keshi_push_arrays(aTHX_ keshi_push_list(aTHX_ args), asked->num_outputs, asked->output_grads);
    keshi_push_arrays(aTHX_ keshi_push_list(aTHX_ args), asked->num_inputs, asked->inputs);
    keshi_push_arrays(aTHX_ keshi_push_list(aTHX_ args), asked->num_outputs, asked->outputs);
    keshi_push_arrays(aTHX_ keshi_push_list(aTHX_ args), asked->num_inputs, asked->input_grads);
}

static int keshi_op_backward(void *object, size_t num_inputs, KsArray *const *inputs, size_t num_outputs,
                             KsArray *const *outputs, KsArray *const *output_grads, const int32_t *wanted,
                             KsArray *const *input_grads)
{
    Asked asked = { 0 };
    asked.num_inputs = num_inputs;
    asked.inputs = inputs;
    asked.num_outputs = num_outputs;
    asked.outputs = outputs;
    asked.output_grads = output_grads;
    asked.wanted = wanted;
    asked.input_grads = input_grads;
    return keshi_ask(object, "_backward", keshi_give_backward, NULL, &asked);
}
