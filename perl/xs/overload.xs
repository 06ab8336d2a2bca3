MODULE = AI::MXNet::Keshi  PACKAGE = AI::MXNet::Keshi

 # The functions behind overloads that are no methods.

void
text(SV *self, ...)
PPCODE:
    KsArray *a = keshi_array(self, "text");
    Dims dims = keshi_dims(aTHX_ a);
    Device device = keshi_device_of(aTHX_ a);
    RETURN_SV(sv_2mortal(newSVpvf("<%s %s @%s(%d)>", sv_reftype(SvRV(self), TRUE), keshi_dims_text(aTHX_ &dims, "x"),
                     KESHI_DEVICES[device.type & 3], (int)device.id)));

 # An array of one element is as true as its element; any other is true.
void
truth(SV *self, ...)
PPCODE:
    PERL_UNUSED_VAR(items);
    KsArray *a = keshi_array(self, "bool");
    size_t size;
    double item = 1;
    CHECK(ks_array_size(a, &size));
    if (size == 1)
        CHECK(ks_array_item(a, &item));
    RETURN_SV(boolSV(item != 0));

 # The rows, as copies that the tape knows.
void
rows(SV *self, ...)
PPCODE:
    PERL_UNUSED_VAR(items);
    KsArray *a = keshi_array(self, "@{}");
    RETURN_SV(keshi_rows(aTHX_ a));

void
negate(SV *self, ...)
PPCODE:
    KsArray *out;
    SPARSE_CALL("AI::MXNet::Keshi", "negate");
    CHECK(ks_op_invoke_scalar(keshi_op(aTHX_ keshi_arith_ops[SUBTRACT][2], "_rminus_scalar"), keshi_array(self, "neg"), 0, NULL, &out));
    RETURN_SV(sv_2mortal(keshi_wrap(out)));

 # The copy constructor of overload: ++ and += work on the object itself.
void
itself(SV *self, ...)
PPCODE:
    PERL_UNUSED_VAR(items);
    RETURN_SV(self);
