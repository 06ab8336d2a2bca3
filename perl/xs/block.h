/* Calls of Gluon blocks: what the methods `call` and `forward` come to where nothing is unusual, without a frame of Perl around every
 * layer. Nothing is kept from call to call but which parameters a block has; their arrays are read anew each time. What is unusual
 * (hooks, symbols, several copies, parameters without values, other classes) is left to the methods of Perl. */

/* The value that a hash has under a name, NULL where there is none. */
static SV *keshi_held(pTHX_ HV *hv, const char *name, STRLEN n)
{
    SV **value = hv_fetch(hv, name, (I32)n, 0);
    return value && SvOK(*value) ? *value : NULL;
}

#define HELD(hv, name) keshi_held(aTHX_ hv, "" name, sizeof(name) - 1)

/* The array of an object of class AI::MXNet::NDArray itself, NULL for anything else. */
static KsArray *keshi_plain(pTHX_ SV *sv)
{
    dMY_CXT;
    MAGIC *mg;
    if (!SvROK(sv) || !SvOBJECT(SvRV(sv)) || SvSTASH(SvRV(sv)) != MY_CXT.ndarray)
        return NULL;
    mg = keshi_magic(sv);
    return mg ? MG_ARRAY(mg) : NULL;
}

/* The one element of the list of arrays that a parameter has under a name, NULL where it has none or several. */
static SV *keshi_only(pTHX_ SV *list)
{
    SV **only;
    if (!list || !keshi_is_list(list) || av_count((AV *)SvRV(list)) != 1)
        return NULL;
    only = av_fetch((AV *)SvRV(list), 0, 0);
    return only && SvOK(*only) ? *only : NULL;
}

static SV *keshi_only_copy(pTHX_ SV *param)
{
    SV *copy = SvROK(param) ? keshi_only(aTHX_ HELD((HV *)SvRV(param), "_data")) : NULL;
    return copy && keshi_plain(aTHX_ copy) ? copy : NULL;
}

/* $AI::MXNet::Context until the scope is left, as `local` does it. */
static void keshi_local_context(pTHX_ Device device)
{
    dMY_CXT;
    SV *before = GvSVn(MY_CXT.current), *local;
    Device now;
    if (!keshi_read_device(aTHX_ before, &now) || now.type != device.type || now.id != device.id)
        before = keshi_context(aTHX_ device);
    local = save_scalar(MY_CXT.current);
    sv_setsv(local, before);
}

/* Calls `code` with `first`, perhaps `second`, and two runs of more, on a stack of its own, which keeps `last` and `next` inside. What it
 * returns is left from ST(0) of the XSUB on. */
typedef struct { SV *first, *second, **args; I32 num_args; SV **more; SSize_t num_more; } Pushed;

static I32 keshi_call_through(pTHX_ I32 ax, CV *code, const Pushed *given, I32 gimme)
{
    dSP;
    I32 count, i;
    SV **results;
    PUSHSTACKi(PERLSI_UNKNOWN);
    PUSHMARK(SP);
    EXTEND(SP, 2 + given->num_args + given->num_more);
    PUSHs(given->first);
    if (given->second)
        PUSHs(given->second);
    for (i = 0; i < given->num_args; i++)
        PUSHs(given->args[i]);
    for (i = 0; i < given->num_more; i++)
        PUSHs(given->more[i]);
    PUTBACK;
    count = call_sv((SV *)code, gimme);
    SPAGAIN;
    results = SP - count + 1;
    POPSTACK;
    SP = PL_stack_base + ax - 1;
    EXTEND(SP, count);
    for (i = 0; i < count; i++)
        SP[1 + i] = results[i];
    return count;
}

static CV *keshi_method(pTHX_ SV *self, const char *name)
{
    GV *gv = gv_fetchmethod_autoload(SvSTASH(SvRV(self)), name, FALSE);
    if (!gv)
        keshi_fail(aTHX_ "%s has no method %s", sv_reftype(SvRV(self), TRUE), name);
    return GvCV(gv);
}

/* The same with the arguments of the XSUB. */
static I32 keshi_call_along(pTHX_ I32 ax, I32 items, CV *code, I32 gimme)
{
    SV **args = PL_stack_base + ax;
    Pushed given = { args[0], NULL, args + 1, items - 1, NULL, 0 };
    return keshi_call_through(aTHX_ ax, code, &given, gimme);
}

/* The compiled graph, where its inputs are plain arrays and parameters with one copy. -1: not so. */
static I32 keshi_block_graph(pTHX_ I32 ax, I32 items, HV *block)
{
    SV **args = PL_stack_base + ax;
    SV *plain = HELD(block, "_plain"), *op = HELD(block, "_cached_op"), *from = HELD(block, "_cached_op_args");
    SV *format = HELD(block, "_in_format");
    KsArray **in, **out;
    size_t n, i, count;
    SV **sp;
    if (!plain || !SvTRUE(plain) || !op || !from || !format || (I32)av_count((AV *)SvRV(format)) != items - 1)
        return -1;
    for (i = 1; i < (size_t)items; i++)
        if (!keshi_plain(aTHX_ args[i]))
            return -1;
    n = av_count((AV *)SvRV(from));
    in = (KsArray **)keshi_scratch(aTHX_ n * sizeof *in);
    for (i = 0; i < n; i++) {
        SV *one = AvARRAY((AV *)SvRV(from))[i];
        SV *array = SvROK(one) ? keshi_only_copy(aTHX_ one) : args[1 + SvIV(one)];
        if (!array)
            return -1;
        in[i] = keshi_plain(aTHX_ array);
    }
    out = keshi_invoke_cached(aTHX_ HELD((HV *)SvRV(op), "handle"), n, in, 0, NULL, &count);
    sp = PL_stack_base + ax - 1;
    EXTEND(sp, (SSize_t)count);
    for (i = 0; i < count; i++)
        sp[1 + i] = sv_2mortal(keshi_wrap(out[i]));
    return (I32)count;
}

/* hybrid_forward with arrays, or the graph. -1: Perl's forward is to be called. */
static I32 keshi_block_run(pTHX_ I32 ax, I32 items, I32 gimme)
{
    SV **args = PL_stack_base + ax, *own, *active, **params;
    HV *block = (HV *)SvRV(args[0]);
    SSize_t n, i;
    I32 count;
    KsArray *x;
    Device device;
    if (items < 2 || !(x = keshi_plain(aTHX_ args[1])))
        return -1;
    device = keshi_device_of(aTHX_ x);
    if ((active = HELD(block, "_active")) && SvTRUE(active)) {
        ENTER;
        keshi_local_context(aTHX_ device);
        count = keshi_block_graph(aTHX_ ax, items, block);
        LEAVE;
        return count;
    }
    if (!(own = HELD(block, "_own")))
        return -1;
    n = (SSize_t)av_count((AV *)SvRV(own));
    params = (SV **)keshi_scratch(aTHX_ n * sizeof *params);
    for (i = 0; i < n; i += 2) {
        SV *copy = keshi_only_copy(aTHX_ AvARRAY((AV *)SvRV(own))[i + 1]);
        Device its;
        if (!copy)
            return -1;
        its = keshi_device_of(aTHX_ keshi_plain(aTHX_ copy));
        if (its.type != device.type || its.id != device.id)
            return -1;
        params[i] = AvARRAY((AV *)SvRV(own))[i];
        params[i + 1] = sv_mortalcopy(copy);
    }
    {
        Pushed given = { args[0], newSVpvs_flags("AI::MXNet::NDArray", SVs_TEMP), args + 1, items - 1, params, n };
        ENTER;
        keshi_local_context(aTHX_ device);
        count = keshi_call_through(aTHX_ ax, keshi_method(aTHX_ args[0], "hybrid_forward"), &given, gimme);
        LEAVE;
    }
    return count;
}

static void keshi_want_block(pTHX_ const char *who, SV *self)
{
    if (!SvROK(self) || !SvOBJECT(SvRV(self)) || SvTYPE(SvRV(self)) != SVt_PVHV)
        keshi_fail(aTHX_ "%s: got %s, want a block", who, keshi_kind(aTHX_ self));
}

/* HybridBlock's forward. */
XS_INTERNAL(keshi_block_forward)
{
    dXSARGS;
    I32 count;
    keshi_want_block(aTHX_ "forward", items ? ST(0) : &PL_sv_undef);
    count = keshi_block_run(aTHX_ ax, items, GIMME_V);
    if (count < 0)
        count = keshi_call_along(aTHX_ ax, items, keshi_method(aTHX_ ST(0), "_forward_any"), GIMME_V);
    XSRETURN(count);
}

/* Block's call: forward between the hooks. */
XS_INTERNAL(keshi_block_call)
{
    dXSARGS;
    HV *block;
    CV *method;
    I32 count = -1;
    keshi_want_block(aTHX_ "call", items ? ST(0) : &PL_sv_undef);
    block = (HV *)SvRV(ST(0));
    if (HELD(block, "_forward_hooks") || HELD(block, "_forward_pre_hooks"))
        method = keshi_method(aTHX_ ST(0), "_call_hooked");
    else {
        method = keshi_method(aTHX_ ST(0), "forward");
        if (CvISXSUB(method) && CvXSUB(method) == keshi_block_forward) {
            count = keshi_block_run(aTHX_ ax, items, G_ARRAY);
            if (count < 0)
                method = keshi_method(aTHX_ ST(0), "_forward_any");
        }
    }
    if (count < 0)
        count = keshi_call_along(aTHX_ ax, items, method, G_ARRAY);
    if (GIMME_V == G_ARRAY)
        XSRETURN(count);
    if (!count)
        ST(0) = &PL_sv_undef;
    XSRETURN(1);
}
