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
        if (SvTRUE(ERRSV)) {
            SV *text = sv_2mortal(newSVsv(ERRSV));
            STRLEN n;
            const char *s = SvPV(text, n);
            while (n && (s[n - 1] == '\n' || s[n - 1] == '.'))
                n--;
            SvCUR_set(text, n);
            *SvEND(text) = '\0';
            wrong = form("%s", SvPVutf8_nolen(text));
        } else
            wrong = keshi_take_gradients(aTHX_ result, num_inputs, input_grads);
        if (wrong)
            (void)ks_fail(KS_ERROR_AUTOGRAD, wrong);
        FREETMPS;
        LEAVE;
        POPSTACK;
    }
    return wrong ? -1 : 0;
}
