MODULE = AI::MXNet::Keshi  PACKAGE = AI::MXNet::Keshi

 # Dies at the line of the user's file that called into this distribution.
void
fail(SV *text)
CODE:
    keshi_fail_sv(aTHX_ text);

 # File and line of that place.
void
place()
PPCODE:
    const COP *cop = keshi_user_cop(aTHX);
    EXTEND(SP, 2);
    mPUSHs(newSVpv(CopFILE(cop) ? CopFILE(cop) : "-", 0));
    mPUSHu(CopLINE(cop));

const char *
last_error()
CODE:
    RETVAL = ks_last_error();
OUTPUT:
    RETVAL

 # Gives the array of `other` to the empty object `self`, for Storable.
void
adopt(SV *self, SV *other)
CODE:
    MAGIC *from = keshi_magic_of(aTHX_ other, "adopt"), *mg;
    KsArray *a;
    if (!SvROK(self) || keshi_magic(self))
        keshi_fail(aTHX_ "adopt: got %s, want an empty object", keshi_kind(aTHX_ self));
    CHECK(ks_array_retain(MG_ARRAY(from), &a));
    mg = keshi_attach(aTHX_ SvRV(self), a);
    mg->mg_private = from->mg_private;

 # Inside of record: memory of its own for an array whose values may be needed for gradients, before it is written. Callers may be in
 # the middle of a call with the old handle, so that it stays until record is left.
void
renew(SV *self)
CODE:
    dMY_CXT;
    MAGIC *mg = keshi_magic_of(aTHX_ self, "renew");
    KsArray *a;
    if (MY_CXT.renewed) {
        CHECK(ks_array_renew(MG_ARRAY(mg), &a));
        av_push(MY_CXT.renewed, keshi_wrap(MG_ARRAY(mg)));
        mg->mg_ptr = (char *)a;
    }

U32
library_version()
CODE:
    RETVAL = ks_version();
OUTPUT:
    RETVAL

const char *
simd_level()
CODE:
    RETVAL = ks_simd_level();
OUTPUT:
    RETVAL

void
set_num_threads(UV n)
CODE:
    CHECK(ks_set_num_threads(n));

UV
num_threads()
CODE:
    size_t n;
    CHECK(ks_num_threads(&n));
    RETVAL = n;
OUTPUT:
    RETVAL

 # (live, peak, pooled) bytes
void
memory()
PPCODE:
    size_t live, peak, pooled;
    CHECK(ks_memory_stats(&live, &peak, &pooled));
    EXTEND(SP, 3);
    mPUSHu(live);
    mPUSHu(peak);
    mPUSHu(pooled);

void
reset_peak_memory()
CODE:
    CHECK(ks_memory_reset_peak());

void
trim_memory()
CODE:
    CHECK(ks_memory_trim());

 # seed(number) for all devices, seed(number, context) for one
void
seed(SV *number, SV *ctx = NULL)
CODE:
    IV value;
    if (!keshi_whole(aTHX_ number, &value))
        keshi_fail(aTHX_ "seed: got %s, want a whole number", keshi_kind(aTHX_ number));
    if (ctx) {
        Device device = keshi_device_arg(aTHX_ ctx, "seed");
        CHECK(ks_seed_device((uint64_t)value, device.type, device.id));
    } else
        CHECK(ks_seed((uint64_t)value));

 # Names of all operators; with a true argument the aliases too.
void
operators(bool aliases = FALSE)
PPCODE:
    size_t i, k;
    for (i = 0; i < keshi_num_public; i++) {
        KsOpInfo info;
        CHECK(ks_op_info(keshi_operators[i].op, &info));
        mXPUSHs(newSVpv(info.name, 0));
        for (k = 0; aliases && k < info.num_aliases; k++)
            mXPUSHs(newSVpv(info.aliases[k], 0));
    }

 # What the table says of one operator: { name, doc, aliases, inputs, variadic, other_params, params => [ { name, type, default, doc } ] }
SV *
operator(const char *name)
CODE:
    const KsOp *op;
    KsOpInfo info;
    HV *hv;
    AV *aliases, *inputs, *params;
    size_t i;
    CHECK(ks_op_find(name, &op));
    CHECK(ks_op_info(op, &info));
    hv = (HV *)sv_2mortal((SV *)newHV());
    aliases = newAV();
    inputs = newAV();
    params = newAV();
    (void)hv_stores(hv, "name", newSVpv(info.name, 0));
    (void)hv_stores(hv, "doc", newSVpv(info.doc ? info.doc : "", 0));
    (void)hv_stores(hv, "variadic", newSViv(info.variadic));
    (void)hv_stores(hv, "other_params", newSViv(info.other_params));
    (void)hv_stores(hv, "aliases", newRV_noinc((SV *)aliases));
    (void)hv_stores(hv, "inputs", newRV_noinc((SV *)inputs));
    (void)hv_stores(hv, "params", newRV_noinc((SV *)params));
    for (i = 0; i < info.num_aliases; i++)
        av_push(aliases, newSVpv(info.aliases[i], 0));
    for (i = 0; i < info.num_inputs; i++)
        av_push(inputs, newSVpv(info.inputs[i], 0));
    for (i = 0; i < info.num_params; i++) {
        KsParamInfo param;
        HV *entry = newHV();
        av_push(params, newRV_noinc((SV *)entry));
        CHECK(ks_op_param(op, i, &param));
        (void)hv_stores(entry, "name", newSVpv(param.name, 0));
        (void)hv_stores(entry, "type", newSVpv(param.type_text, 0));
        (void)hv_stores(entry, "default", param.default_text ? newSVpv(param.default_text, 0) : newSV(0));
        (void)hv_stores(entry, "doc", newSVpv(param.doc ? param.doc : "", 0));
    }
    RETVAL = newRV_inc((SV *)hv);
OUTPUT:
    RETVAL
