MODULE = AI::MXNet::Keshi  PACKAGE = AI::MXNet::NDArray

 # -- constructors; the class is not looked at

void
array(SV *class, SV *source, ...)
PPCODE:
    static const char *const names[] = { "ctx", "dtype" };
    SV *given[2], *result;
    Device device;
    I32 dtype;
    MAGIC *mg;
    PERL_UNUSED_VAR(class);
    keshi_named(aTHX_ "array", ax + 2, items - 2, names, given, 2);
    if (keshi_is_sparse(aTHX_ source) || (SvROK(source) && sv_derived_from(source, "PDL::CCS::Nd")))
        RETURN_SV(keshi_make_sparse(aTHX_ "array", source, NULL, given[0], given[1]));
    device = given[0] && SvOK(given[0]) ? keshi_device_arg(aTHX_ given[0], "array") : keshi_current_device(aTHX);
    dtype = given[1] ? keshi_dtype_arg(aTHX_ given[1], "array") : KS_FLOAT32;
    SvGETMAGIC(source);
    if (keshi_is_list(source))
        result = keshi_from_list(aTHX_ source, dtype, device);
    else if ((mg = keshi_magic(source)) && mg->mg_ptr)
        result = keshi_copy(aTHX_ MG_ARRAY(mg), dtype, device);
    else if (SvROK(source) && sv_derived_from(source, "PDL"))
        result = keshi_from_pdl(aTHX_ source, dtype, device);
    else
        keshi_fail(aTHX_ "array: got %s, want a list, a PDL or an AI::MXNet::NDArray", keshi_kind(aTHX_ source));
    RETURN_SV(result);

void
empty(SV *class, SV *shape, ...)
PPCODE:
    static const char *const names[] = { "ctx", "dtype", "stype" };
    SV *given[3];
    Dims dims;
    KsArray *a;
    PERL_UNUSED_VAR(class);
    keshi_named(aTHX_ "empty", ax + 2, items - 2, names, given, 3);
    if (keshi_wants_sparse(aTHX_ given[2]))
        RETURN_SV(keshi_make_sparse(aTHX_ "empty", given[2], shape, given[0], given[1]));
    dims = keshi_shape_arg(aTHX_ shape, "empty", TRUE);
    RETURN_SV(keshi_new(aTHX_ given[1] ? keshi_dtype_arg(aTHX_ given[1], "empty") : KS_FLOAT32, &dims,
                     given[0] && SvOK(given[0]) ? keshi_device_arg(aTHX_ given[0], "empty") : keshi_current_device(aTHX), &a));

void
zeros(SV *class, SV *shape, ...)
ALIAS:
    ones = 1
PPCODE:
    static const char *const names[] = { "ctx", "dtype", "out", "name", "__layout__", "stype" };
    SV *given[6];
    PERL_UNUSED_VAR(class);
    keshi_named(aTHX_ ix ? "ones" : "zeros", ax + 2, items - 2, names, given, ix ? 5 : 6);
    if (!ix && keshi_wants_sparse(aTHX_ given[5]))
        RETURN_SV(keshi_make_sparse(aTHX_ "zeros", given[5], shape, given[0], given[1]));
    RETURN_SV(keshi_filled(aTHX_ ix ? "ones" : "zeros", shape, ix, given[0], given[1], given[2]));

void
full(SV *class, SV *shape, SV *value, ...)
PPCODE:
    static const char *const names[] = { "ctx", "dtype", "out" };
    SV *given[3];
    PERL_UNUSED_VAR(class);
    keshi_named(aTHX_ "full", ax + 3, items - 3, names, given, 3);
    if (!keshi_is_number(aTHX_ value))
        keshi_fail(aTHX_ "full: the value got %s, want a number", keshi_kind(aTHX_ value));
    RETURN_SV(keshi_filled(aTHX_ "full", shape, SvNV(value), given[0], given[1], given[2]));

 # -- properties

void
shape(SV *self)
PPCODE:
    Dims dims = keshi_dims(aTHX_ keshi_array(self, "shape"));
    AV *av = newAV();
    size_t i;
    av_extend(av, (SSize_t)dims.n);
    for (i = 0; i < dims.n; i++)
        av_push(av, newSVuv(dims.d[i]));
    RETURN_SV(sv_2mortal(newRV_noinc((SV *)av)));

 # Elements of the array, or of a given shape.
void
size(SV *self, SV *shape = NULL)
PPCODE:
    size_t size = 1, i;
    if (shape && SvOK(shape)) {
        Dims dims = keshi_shape_arg(aTHX_ shape, "size", TRUE);
        for (i = 0; i < dims.n; i++)
            size *= dims.d[i];
    } else
        CHECK(ks_array_size(keshi_array(self, "size"), &size));
    mXPUSHu(size);

void
ndim(SV *self, ...)
PPCODE:
    size_t n;
    PERL_UNUSED_VAR(items);
    CHECK(ks_array_ndim(keshi_array(self, "ndim"), &n));
    mXPUSHu(n);

void
len(SV *self, ...)
PPCODE:
    Dims dims = keshi_dims(aTHX_ keshi_array(self, "len"));
    PERL_UNUSED_VAR(items);
    mXPUSHu(dims.n ? dims.d[0] : 0);

void
dtype(SV *self, ...)
PPCODE:
    I32 dtype;
    PERL_UNUSED_VAR(items);
    CHECK(ks_array_dtype(keshi_array(self, "dtype"), &dtype));
    RETURN_SV(sv_2mortal(newSVpv(keshi_dtype_name(dtype), 0)));

void
context(SV *self, ...)
PPCODE:
    PERL_UNUSED_VAR(items);
    RETURN_SV(keshi_context(aTHX_ keshi_device_of(aTHX_ keshi_array(self, "context"))));

void
stype(SV *self, ...)
PPCODE:
    PERL_UNUSED_VAR(items);
    (void)keshi_array(self, "stype");
    RETURN_SV(sv_2mortal(newSVpvs("default")));

 # A number of this object; two names of one object have the same.
void
handle(SV *self, ...)
PPCODE:
    PERL_UNUSED_VAR(items);
    (void)keshi_array(self, "handle");
    mXPUSHu(PTR2UV(SvRV(self)));

void
writable(SV *self, SV *value = NULL)
PPCODE:
    MAGIC *mg = keshi_magic_of(aTHX_ self, "writable");
    if (value)
        mg->mg_private = (mg->mg_private & ~HANDLE_WRITABLE) | (SvTRUE(value) ? HANDLE_WRITABLE : 0);
    mXPUSHi(MG_WRITABLE(mg) ? 1 : 0);

void
wait_to_read(SV *self)
CODE:
    (void)keshi_array(self, "wait_to_read");

void
waitall(SV *class)
CODE:
    PERL_UNUSED_VAR(class);

 # Tells the tape that the memory was changed from outside, as through pdl_view.
void
touch(SV *self)
PPCODE:
    CHECK(ks_array_touch(keshi_array(self, "touch")));
    RETURN_SV(self);

void
atan2(SV *self, SV *other, SV *swapped = NULL)
PPCODE:
    KsArray *a = keshi_array(self, "atan2");
    SV *quotient = sv_2mortal(keshi_wrap(keshi_arith(aTHX_ DIVIDE, a, other, swapped && SvTRUE(swapped), NULL)));
    a = keshi_invoke_1(aTHX_ keshi_op(aTHX_ keshi_arctan, "arctan"), MG_ARRAY(keshi_magic(quotient)), 0, NULL, NULL, NULL);
    RETURN_SV(sv_2mortal(keshi_wrap(a)));

void
set(SV *self, SV *value, ...)
PPCODE:
    keshi_assign(aTHX_ keshi_magic_of(aTHX_ self, "set"), value);
    RETURN_SV(self);

 # -- values

void
asscalar(SV *self)
PPCODE:
    KsArray *a = keshi_array(self, "asscalar");
    size_t size;
    I32 dtype;
    CHECK(ks_array_size(a, &size));
    if (size != 1)
        keshi_fail(aTHX_ "asscalar: ndarray size must be 1, got %" UVuf " elements", (UV)size);
    CHECK(ks_array_dtype(a, &dtype));
    if (dtype == KS_INT64) {
        int64_t value;
        CHECK(ks_array_read(a, &value, sizeof value));
        mXPUSHi(value);
    } else {
        double value;
        CHECK(ks_array_item(a, &value));
        if (dtype == KS_FLOAT32 || dtype == KS_FLOAT64 || keshi_is_half(dtype))
            mXPUSHn(value);
        else
            mXPUSHi((IV)value);
    }

 # The elements as the library holds them, row by row.
void
bytes(SV *self)
PPCODE:
    KsArray *a = keshi_array(self, "bytes");
    size_t size;
    I32 dtype;
    SV *sv;
    CHECK(ks_array_size(a, &size));
    CHECK(ks_array_dtype(a, &dtype));
    size *= keshi_dtype_size(dtype);
    sv = sv_2mortal(newSV(size + 1));
    SvPOK_only(sv);
    if (size)
        CHECK(ks_array_read(a, SvPVX(sv), size));
    SvCUR_set(sv, size);
    *SvEND(sv) = '\0';
    RETURN_SV(sv);

 # The way back: from_bytes($bytes, $shape, dtype =>, ctx =>)
void
from_bytes(SV *class, SV *bytes, SV *shape, ...)
PPCODE:
    static const char *const names[] = { "ctx", "dtype" };
    SV *given[2];
    Dims dims;
    Device device;
    I32 dtype;
    KsArray *a;
    STRLEN n;
    const char *data;
    PERL_UNUSED_VAR(class);
    keshi_named(aTHX_ "from_bytes", ax + 3, items - 3, names, given, 2);
    dims = keshi_shape_arg(aTHX_ shape, "from_bytes", TRUE);
    device = given[0] ? keshi_device_arg(aTHX_ given[0], "from_bytes") : keshi_current_device(aTHX);
    dtype = given[1] ? keshi_dtype_arg(aTHX_ given[1], "from_bytes") : KS_FLOAT32;
    data = SvPVbyte(bytes, n);
    CHECK(ks_array_from_data(data, n, dtype, dims.n, dims.d, device.type, device.id, &a));
    RETURN_SV(sv_2mortal(keshi_wrap(a)));

 # -- copies

void
copy(SV *self)
ALIAS:
    sever = 1
PPCODE:
    KsArray *a = keshi_array(self, ix ? "sever" : "copy");
    I32 dtype;
    CHECK(ks_array_dtype(a, &dtype));
    RETURN_SV(keshi_copy(aTHX_ a, dtype, keshi_device_of(aTHX_ a)));

void
astype(SV *self, SV *dtype)
PPCODE:
    KsArray *a = keshi_array(self, "astype");
    RETURN_SV(keshi_copy(aTHX_ a, keshi_dtype_arg(aTHX_ dtype, "astype"), keshi_device_of(aTHX_ a)));

void
as_in_context(SV *self, SV *ctx)
PPCODE:
    KsArray *a = keshi_array(self, "as_in_context");
    Device from = keshi_device_of(aTHX_ a), to = keshi_device_arg(aTHX_ ctx, "as_in_context");
    I32 dtype;
    CHECK(ks_array_dtype(a, &dtype));
    RETURN_SV(from.type == to.type && from.id == to.id ? self : keshi_copy(aTHX_ a, dtype, to));

void
copyto(SV *self, SV *other)
PPCODE:
    KsArray *a = keshi_array(self, "copyto");
    MAGIC *to = keshi_magic(other);
    I32 dtype;
    if (to && SvRV(self) == SvRV(other)) {
        keshi_call_method(aTHX_ "warning", newSVpvs_flags("AI::MXNet::Logging", SVs_TEMP),
                          newSVpvs_flags("copy an array to itself, is it intended?", SVs_TEMP));
        RETURN_SV(other);
    } else if (to) {
        keshi_assign(aTHX_ to, self);
        RETURN_SV(other);
    } else {
        CHECK(ks_array_dtype(a, &dtype));
        RETURN_SV(keshi_copy(aTHX_ a, dtype, keshi_device_arg(aTHX_ other, "copyto")));
    }
