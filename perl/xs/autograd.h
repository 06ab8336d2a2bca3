/* Lists of arrays for the tape, and modes that are put back however a callback ends. */

typedef struct { size_t n; KsArray **a; } Arrays;

/* One array or a list of them; `holes` allows undef, which becomes NULL. */
static Arrays keshi_arrays(pTHX_ SV *sv, const char *who, bool holes)
{
    Arrays arrays;
    SvGETMAGIC(sv);
    if (keshi_is_list(sv)) {
        AV *av = (AV *)SvRV(sv);
        size_t i;
        arrays.n = av_count(av);
        arrays.a = (KsArray **)keshi_scratch(aTHX_ arrays.n * sizeof *arrays.a);
        for (i = 0; i < arrays.n; i++) {
            SV **element = av_fetch(av, (SSize_t)i, 0);
            MAGIC *mg;
            if (holes && (!element || !SvOK(*element))) {
                arrays.a[i] = NULL;
                continue;
            }
            mg = element ? keshi_tensor(aTHX_ *element) : NULL;
            if (!mg || !mg->mg_ptr)
                keshi_fail(aTHX_ "%s: element %" UVuf " is %s, want an AI::MXNet::NDArray", who, (UV)i,
                           element ? keshi_kind(aTHX_ *element) : "undef");
            arrays.a[i] = MG_ARRAY(mg);
        }
    } else {
        arrays.n = 1;
        arrays.a = (KsArray **)keshi_scratch(aTHX_ sizeof *arrays.a);
        arrays.a[0] = keshi_array(sv, who);
    }
    return arrays;
}

/* NULL stands for ones. */
static KsArray **keshi_head_grads(pTHX_ SV *sv, size_t heads)
{
    Arrays arrays;
    if (!sv || !SvOK(sv))
        return NULL;
    arrays = keshi_arrays(aTHX_ sv, "head_grads", TRUE);
    if (arrays.n != heads)
        keshi_fail(aTHX_ "heads and head_grads must be lists of the same length, got %" UVuf " and %" UVuf, (UV)heads,
                   (UV)arrays.n);
    return arrays.a;
}

static bool keshi_flag(pTHX_ SV *sv, bool otherwise)
{
    return sv ? cBOOL(SvTRUE(sv)) : otherwise;
}

static I32 keshi_grad_req(pTHX_ SV *sv, const char *who)
{
    if (SvOK(sv) && !SvROK(sv)) {
        const char *name = SvPV_nolen(sv);
        if (strEQ(name, "write"))
            return KS_GRAD_WRITE;
        if (strEQ(name, "add"))
            return KS_GRAD_ADD;
        if (strEQ(name, "null"))
            return KS_GRAD_NULL;
    }
    keshi_fail(aTHX_ "%s: grad_req got %s, want write, add or null", who, keshi_kind(aTHX_ sv));
}

static void keshi_restore_recording(pTHX_ void *was)
{
    (void)ks_set_recording((int)PTR2IV(was), NULL);
}

static void keshi_restore_training(pTHX_ void *was)
{
    (void)ks_set_training((int)PTR2IV(was), NULL);
}

/* Runs `code` with the modes given (-1: as they are). They are put back when the scope is left, by a die too. The stack of its
 * own keeps `last` and `next` from jumping out of the sub and over this function. */
static void keshi_with_modes(pTHX_ SV *code, int recording, int training)
{
    dMY_CXT;
    dSP;
    int was;
    PUSHSTACKi(PERLSI_UNKNOWN);
    ENTER;
    SAVETMPS;
    if (recording > 0 && !MY_CXT.renewed) {
        SAVESPTR(MY_CXT.renewed);
        MY_CXT.renewed = (AV *)sv_2mortal((SV *)newAV());
    }
    if (recording >= 0) {
        CHECK(ks_set_recording(recording, &was));
        SAVEDESTRUCTOR_X(keshi_restore_recording, INT2PTR(void *, (IV)was));
    }
    if (training >= 0) {
        CHECK(ks_set_training(training, &was));
        SAVEDESTRUCTOR_X(keshi_restore_training, INT2PTR(void *, (IV)was));
    }
    PUSHMARK(SP);
    call_sv(code, G_VOID | G_DISCARD);
    FREETMPS;
    LEAVE;
    POPSTACK;
}

static void keshi_with_modes_arg(pTHX_ const char *who, SV *code, SSize_t first, I32 count, int recording, int training)
{
    static const char *const names[] = { "train_mode" };
    SV *given;
    SvGETMAGIC(code);
    if (!SvROK(code) || (SvTYPE(SvRV(code)) != SVt_PVCV && !SvAMAGIC(code)))
        keshi_fail(aTHX_ "%s: got %s, want a sub", who, keshi_kind(aTHX_ code));
    keshi_named(aTHX_ who, first, count, names, &given, 1);
    if (given)
        training = SvOK(given) ? cBOOL(SvTRUE(given)) : -1;
    keshi_with_modes(aTHX_ code, recording, training);
}
