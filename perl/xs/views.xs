MODULE = AI::MXNet::Keshi  PACKAGE = AI::MXNet::NDArray

 # Row $i with its dimension dropped, or, with an index for each dimension, the Slice of one element.
void
at(SV *self, ...)
PPCODE:
    MAGIC *mg = keshi_magic_of(aTHX_ self, "at");
    Dims dims = keshi_dims(aTHX_ MG_ARRAY(mg));
    I32 i, count = items - 1;
    IV index;
    KsArray *out;
    if (count < 1)
        keshi_fail(aTHX_ "at: No idxs supplied");
    if ((size_t)count > dims.n)
        keshi_fail(aTHX_ "at: Dimensions size %" UVuf " < indexes size %d", (UV)dims.n, (int)count);
    if (count > 1 && (size_t)count != dims.n)
        keshi_fail(aTHX_ "at: Dimensions size %" UVuf " = indexes size %d, want one index or one for each dimension", (UV)dims.n,
                   (int)count);
    for (i = 0; i < count; i++) {
        SV *sv = ST(i + 1);
        SvGETMAGIC(sv);
        if (!keshi_whole(aTHX_ sv, &index))
            keshi_fail(aTHX_ "at: index %d got %s, want a whole number", (int)i, keshi_kind(aTHX_ sv));
        if (index >= (IV)dims.d[i] || index < -(IV)dims.d[i])
            keshi_fail(aTHX_ "at: Dimension %d mismatch Idx: %" IVdf " >= Dim Size: %" UVuf, (int)i, index, (UV)dims.d[i]);
    }
    if (count == 1) {
        CHECK(ks_array_at(MG_ARRAY(mg), index < 0 ? index + (IV)dims.d[0] : index, &out));
        RETURN_SV(sv_2mortal(keshi_wrap_as(aTHX_ out, MG_WRITABLE(mg))));
    } else {
        PUSHMARK(MARK);
        call_method("slice", G_SCALAR);
        XSRETURN(1);
    }

 # Rows [from, to] as a view. Everything else that slice accepts is read in Perl.
void
slice(SV *self, ...)
PPCODE:
    MAGIC *mg = SvROK(self) ? keshi_magic_of(aTHX_ self, "slice") : NULL;
    IV begin, end;
    if (mg && items == 2) {
        SV *spec = ST(1);
        SvGETMAGIC(spec);
        if (keshi_whole(aTHX_ spec, &begin))
            end = begin;
        else if (!keshi_is_rows(aTHX_ spec, &begin, &end))
            begin = end = IV_MAX;
        if (begin != IV_MAX) {
            Dims dims = keshi_dims(aTHX_ MG_ARRAY(mg));
            IV rows = dims.n ? (IV)dims.d[0] : 0;
            KsArray *out;
            begin += begin < 0 ? rows : 0;
            end += end < 0 ? rows : 0;
            if (begin >= 0 && end < rows && begin <= end) {
                CHECK(ks_array_slice(MG_ARRAY(mg), begin, end + 1, &out));
                RETURN_SV(sv_2mortal(keshi_wrap_as(aTHX_ out, MG_WRITABLE(mg))));
            }
        }
    }
    PUSHMARK(MARK);
    call_method("slice_any", G_SCALAR);
    XSRETURN(1);

 # Rows begin .. end - 1 as a view, both within the array.
void
view_rows(SV *self, IV begin, IV end)
PPCODE:
    MAGIC *mg = keshi_magic_of(aTHX_ self, "slice");
    KsArray *out;
    CHECK(ks_array_slice(MG_ARRAY(mg), begin, end, &out));
    RETURN_SV(sv_2mortal(keshi_wrap_as(aTHX_ out, MG_WRITABLE(mg))));

void
reshape(SV *self, SV *shape, ...)
PPCODE:
    static const char *const names[] = { "reverse" };
    MAGIC *mg;
    SV *reverse;
    AV *av;
    int64_t codes[64];
    Size_t i, n;
    KsArray *out;
    if (!SvROK(self)) {
        /* Through the class it is the operator. */
        PUSHMARK(MARK);
        call_method("Reshape", G_SCALAR);
        XSRETURN(1);
    }
    mg = keshi_magic_of(aTHX_ self, "reshape");
    if (!keshi_is_list(shape))
        keshi_fail(aTHX_ "reshape: shape got %s, want one list of whole numbers", keshi_kind(aTHX_ shape));
    keshi_named(aTHX_ "reshape", ax + 2, items - 2, names, &reverse, 1);
    av = (AV *)SvRV(shape);
    n = av_count(av);
    if (n > C_ARRAY_LENGTH(codes))
        keshi_fail(aTHX_ "reshape: shape got %" UVuf " numbers, want at most 64", (UV)n);
    for (i = 0; i < n; i++) {
        SV **element = av_fetch(av, i, 0);
        IV code;
        if (!element || !keshi_whole(aTHX_ *element, &code))
            keshi_fail(aTHX_ "reshape: number %" UVuf " of the shape got %s, want a whole number", (UV)i,
                       element ? keshi_kind(aTHX_ *element) : "undef");
        codes[i] = code;
    }
    CHECK(ks_array_reshape(MG_ARRAY(mg), n, codes, reverse && SvTRUE(reverse), &out));
    RETURN_SV(sv_2mortal(keshi_wrap_as(aTHX_ out, MG_WRITABLE(mg))));

void
detach(SV *self)
PPCODE:
    KsArray *out;
    CHECK(ks_array_detach(keshi_array(self, "detach"), &out));
    RETURN_SV(sv_2mortal(keshi_wrap(out)));
