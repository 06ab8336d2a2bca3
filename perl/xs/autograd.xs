MODULE = AI::MXNet::Keshi  PACKAGE = AI::MXNet::NDArray

void
attach_grad(SV *self, ...)
CODE:
    static const char *const names[] = { "grad_req", "stype" };
    MAGIC *mg = keshi_magic_of(aTHX_ self, "attach_grad");
    KsArray *a = MG_ARRAY(mg);
    SV *given[2];
    U16 storage = KS_STORAGE_DEFAULT;
    int32_t req;
    keshi_named(aTHX_ "attach_grad", ax + 1, items - 1, names, given, 2);
    if (keshi_wants_sparse(aTHX_ given[1])) {
        const char *stype = SvPV_nolen(given[1]);
        storage = strEQ(stype, "row_sparse") ? KS_STORAGE_ROW_SPARSE : KS_STORAGE_CSR;
        if (storage == KS_STORAGE_CSR && strNE(stype, "csr"))
            keshi_fail(aTHX_ "attach_grad: stype got %s, want default, row_sparse or csr", keshi_kind(aTHX_ given[1]));
    }
    mg->mg_private = (mg->mg_private & ~HANDLE_GRAD_STORAGE) | (U16)(storage << 1);
    req = given[0] ? keshi_grad_req(aTHX_ given[0], "attach_grad") : KS_GRAD_WRITE;
    CHECK(storage == KS_STORAGE_ROW_SPARSE ? ks_attach_grad_rows(a, req) : ks_attach_grad(a, req));

void
grad(SV *self)
PPCODE:
    MAGIC *mg = keshi_magic_of(aTHX_ self, "grad");
    KsArray *out;
    U16 storage = (mg->mg_private & HANDLE_GRAD_STORAGE) >> 1;
    if (storage == KS_STORAGE_ROW_SPARSE)
        RETURN_SV(keshi_make_sparse(aTHX_ "grad_of", self, NULL, NULL, NULL));
    CHECK(ks_array_grad(MG_ARRAY(mg), &out));
    if (out && storage)
        RETURN_SV(keshi_make_sparse(aTHX_ "grad_over", sv_2mortal(keshi_wrap(out)), newSVpvs_flags("csr", SVs_TEMP), NULL,
                                    NULL));
    RETURN_SV(out ? sv_2mortal(keshi_wrap(out)) : &PL_sv_undef);

void
backward(SV *self, ...)
CODE:
    static const char *const names[] = { "out_grad", "retain_graph", "train_mode" };
    KsArray *a = keshi_array(self, "backward"), *head_grad = NULL;
    SV *given[3];
    keshi_named(aTHX_ "backward", ax + 1, items - 1, names, given, 3);
    if (given[0] && SvOK(given[0]))
        head_grad = keshi_array(given[0], "backward: out_grad");
    CHECK(ks_backward(1, &a, &head_grad, keshi_flag(aTHX_ given[1], FALSE), 0, keshi_flag(aTHX_ given[2], TRUE)));

 # Whether a backward has written this variable's gradient since the flag was put down.
void
_fresh_grad(SV *self, SV *value = NULL)
PPCODE:
    KsArray *a = keshi_array(self, "_fresh_grad");
    int fresh;
    if (value)
        CHECK(ks_set_fresh_grad(a, cBOOL(SvTRUE(value))));
    CHECK(ks_fresh_grad(a, &fresh));
    mXPUSHi(fresh);

MODULE = AI::MXNet::Keshi  PACKAGE = AI::MXNet::AutoGrad

int
is_recording(...)
CODE:
    PERL_UNUSED_VAR(items);
    RETVAL = ks_is_recording();
OUTPUT:
    RETVAL

int
is_training(...)
CODE:
    PERL_UNUSED_VAR(items);
    RETVAL = ks_is_training();
OUTPUT:
    RETVAL

int
set_is_recording(SV *class, bool on)
CODE:
    PERL_UNUSED_VAR(class);
    CHECK(ks_set_recording(on, &RETVAL));
OUTPUT:
    RETVAL

int
set_is_training(SV *class, bool on)
CODE:
    PERL_UNUSED_VAR(class);
    CHECK(ks_set_training(on, &RETVAL));
OUTPUT:
    RETVAL

void
record(SV *class, SV *code, ...)
CODE:
    PERL_UNUSED_VAR(class);
    keshi_with_modes_arg(aTHX_ "record", code, ax + 2, items - 2, 1, 1);

void
pause(SV *class, SV *code, ...)
CODE:
    PERL_UNUSED_VAR(class);
    keshi_with_modes_arg(aTHX_ "pause", code, ax + 2, items - 2, 0, 0);

void
train_mode(SV *class, SV *code)
CODE:
    PERL_UNUSED_VAR(class);
    keshi_with_modes_arg(aTHX_ "train_mode", code, 0, 0, -1, 1);

void
predict_mode(SV *class, SV *code)
CODE:
    PERL_UNUSED_VAR(class);
    keshi_with_modes_arg(aTHX_ "predict_mode", code, 0, 0, -1, 0);

void
mark_variables(SV *class, SV *variables, SV *gradients, ...)
CODE:
    static const char *const names[] = { "grad_reqs" };
    Arrays vars, grads;
    SV *given;
    int32_t *reqs;
    size_t i;
    PERL_UNUSED_VAR(class);
    keshi_named(aTHX_ "mark_variables", ax + 3, items - 3, names, &given, 1);
    if (keshi_any_sparse(aTHX_ variables) || keshi_any_sparse(aTHX_ gradients)) {
        keshi_mark_sparse(aTHX_ variables, gradients, given);
        XSRETURN_EMPTY;
    }
    vars = keshi_arrays(aTHX_ variables, "mark_variables: variables", FALSE);
    grads = keshi_arrays(aTHX_ gradients, "mark_variables: gradients", FALSE);
    if (vars.n != grads.n)
        keshi_fail(aTHX_ "mark_variables: got %" UVuf " variables and %" UVuf " gradients, want as many", (UV)vars.n, (UV)grads.n);
    reqs = (int32_t *)keshi_scratch(aTHX_ vars.n * sizeof *reqs);
    if (given && keshi_is_list(given) && av_count((AV *)SvRV(given)) != vars.n)
        keshi_fail(aTHX_ "mark_variables: got %" UVuf " variables and %" UVuf " grad_reqs, want as many", (UV)vars.n,
                   (UV)av_count((AV *)SvRV(given)));
    for (i = 0; i < vars.n; i++) {
        if (!given)
            reqs[i] = KS_GRAD_WRITE;
        else if (keshi_is_list(given)) {
            SV **element = av_fetch((AV *)SvRV(given), (SSize_t)i, 0);
            reqs[i] = keshi_grad_req(aTHX_ element ? *element : &PL_sv_undef, "mark_variables");
        } else
            reqs[i] = keshi_grad_req(aTHX_ given, "mark_variables");
    }
    CHECK(ks_mark_variables(vars.n, vars.a, grads.a, reqs));

void
backward(SV *class, SV *heads, ...)
CODE:
    static const char *const names[] = { "head_grads", "retain_graph", "train_mode" };
    SV *given[3];
    Arrays list;
    KsArray **head_grads;
    PERL_UNUSED_VAR(class);
    keshi_named(aTHX_ "backward", ax + 2, items - 2, names, given, 3);
    list = keshi_arrays(aTHX_ heads, "backward: heads", FALSE);
    head_grads = keshi_head_grads(aTHX_ given[0], list.n);
    CHECK(ks_backward(list.n, list.a, head_grads, keshi_flag(aTHX_ given[1], FALSE), 0, keshi_flag(aTHX_ given[2], TRUE)));

 # One array when `variables` is one, else a list.
void
grad(SV *class, SV *heads, SV *variables, ...)
PPCODE:
    static const char *const names[] = { "head_grads", "retain_graph", "create_graph", "train_mode" };
    SV *given[4];
    Arrays list, vars;
    KsArray **head_grads, **out;
    bool create;
    AV *av;
    size_t i;
    PERL_UNUSED_VAR(class);
    keshi_named(aTHX_ "grad", ax + 3, items - 3, names, given, 4);
    list = keshi_arrays(aTHX_ heads, "grad: heads", FALSE);
    vars = keshi_arrays(aTHX_ variables, "grad: variables", FALSE);
    if (!vars.n)
        keshi_fail(aTHX_ "grad: variables cannot be an empty array.");
    head_grads = keshi_head_grads(aTHX_ given[0], list.n);
    create = keshi_flag(aTHX_ given[2], FALSE);
    out = (KsArray **)keshi_scratch(aTHX_ vars.n * sizeof *out);
    CHECK(ks_grad(list.n, list.a, head_grads, vars.n, vars.a, keshi_flag(aTHX_ given[1], create), create,
                  keshi_flag(aTHX_ given[3], TRUE), out));
    if (keshi_is_list(variables)) {
        av = newAV();
        for (i = 0; i < vars.n; i++)
            av_push(av, keshi_wrap(out[i]));
        RETURN_SV(sv_2mortal(newRV_noinc((SV *)av)));
    }
    RETURN_SV(sv_2mortal(keshi_wrap(out[0])));
