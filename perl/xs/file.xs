MODULE = AI::MXNet::Keshi  PACKAGE = AI::MXNet::Keshi

 # load_parts(path) or load_parts(undef, bytes): (\@parts, \@names or undef)
void
load_parts(SV *path, SV *bytes = NULL)
PPCODE:
    KsList *list;
    AV *parts = (AV *)sv_2mortal((SV *)newAV()), *names = NULL;
    if (bytes) {
        STRLEN n;
        const char *data;
        if (!SvOK(bytes))
            keshi_fail(aTHX_ "load: Invalid NDArray file format: got undef");
        data = SvPVbyte(bytes, n);
        CHECK(ks_load_buffer((const uint8_t *)data, n, &list));
    } else {
        if (!SvOK(path))
            keshi_fail(aTHX_ "load: the file got undef, want a name");
        CHECK(ks_load(SvPV_nolen(path), &list));
    }
    keshi_take_list(aTHX_ list, parts, &names);
    EXTEND(SP, 2);
    mPUSHs(newRV_inc((SV *)parts));
    PUSHs(names ? sv_2mortal(newRV_inc((SV *)names)) : &PL_sv_undef);

 # save_parts(format, \@parts, \@names or undef): the bytes of a file
SV *
save_parts(SV *format, SV *arrays, SV *names)
CODE:
    Parts parts = keshi_parts(aTHX_ arrays, names);
    KsBuffer *buffer;
    CHECK(ks_save_as(keshi_format(aTHX_ format), parts.n, parts.arrays, parts.names, parts.sparse, &buffer));
    RETVAL = keshi_take_buffer(aTHX_ buffer);
OUTPUT:
    RETVAL

 # The same straight into a file of MXNet's format; false when that is not possible, since an array is sparse.
bool
save_file(SV *path, SV *arrays, SV *names)
CODE:
    Parts parts = keshi_parts(aTHX_ arrays, names);
    if (!parts.sparse)
        CHECK(ks_save(SvPV_nolen(path), parts.n, parts.arrays, parts.names));
    RETVAL = !parts.sparse;
OUTPUT:
    RETVAL

MODULE = AI::MXNet::Keshi  PACKAGE = AI::MXNet::NDArray

 # The array as a DLPack tensor, an AI::MXNet::DLPack that frees it unless it was taken.
void
to_dlpack(SV *self)
PPCODE:
    void *managed;
    SV *sv;
    CHECK(ks_array_to_dlpack(keshi_array(self, "to_dlpack"), &managed));
    sv = sv_newmortal();
    sv_setref_pv(sv, "AI::MXNet::DLPack", managed);
    RETURN_SV(sv);

 # from_dlpack($capsule), or the address of a DLManagedTensor
void
from_dlpack(SV *class, SV *tensor)
PPCODE:
    bool capsule = SvROK(tensor) && sv_derived_from(tensor, "AI::MXNet::DLPack");
    SV *address = capsule ? SvRV(tensor) : tensor;
    KsArray *a;
    PERL_UNUSED_VAR(class);
    if (!SvIOK(address))
        keshi_fail(aTHX_ "from_dlpack: got %s, want an AI::MXNet::DLPack or an address", keshi_kind(aTHX_ tensor));
    if (!SvUV(address))
        keshi_fail(aTHX_ "from_dlpack: the tensor has been taken already");
    CHECK(ks_array_from_dlpack(INT2PTR(void *, SvUV(address)), &a));
    if (capsule)
        sv_setuv(address, 0);
    RETURN_SV(sv_2mortal(keshi_wrap(a)));

MODULE = AI::MXNet::Keshi  PACKAGE = AI::MXNet::DLPack

 # The address of the DLManagedTensor, for code in C; 0 when it was taken.
UV
address(SV *self)
CODE:
    if (!SvROK(self) || !sv_derived_from(self, "AI::MXNet::DLPack"))
        keshi_fail(aTHX_ "address: got %s, want an AI::MXNet::DLPack", keshi_kind(aTHX_ self));
    RETVAL = SvUV(SvRV(self));
OUTPUT:
    RETVAL

 # Gives the tensor away: whoever gets the address calls its deleter.
UV
release(SV *self)
CODE:
    if (!SvROK(self) || !sv_derived_from(self, "AI::MXNet::DLPack"))
        keshi_fail(aTHX_ "release: got %s, want an AI::MXNet::DLPack", keshi_kind(aTHX_ self));
    RETVAL = SvUV(SvRV(self));
    sv_setuv(SvRV(self), 0);
OUTPUT:
    RETVAL

void
DESTROY(SV *self)
CODE:
    if (SvROK(self) && SvUV(SvRV(self))) {
        KsArray *a;
        /* Whoever imports it frees it. */
        if (ks_array_from_dlpack(INT2PTR(void *, SvUV(SvRV(self))), &a) == 0)
            ks_array_free(a);
        sv_setuv(SvRV(self), 0);
    }

int
CLONE_SKIP(...)
CODE:
    PERL_UNUSED_VAR(items);
    RETVAL = 1;
OUTPUT:
    RETVAL
