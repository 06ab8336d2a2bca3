/* Symbols, executors, callable symbols and calls made ahead inside Perl scalars, and lists of Perl values for their functions.
 *
 * Texts go through as bytes, as MXNet has them in its files; what is not UTF-8 is taken for Latin-1. */

typedef struct { MGVTBL vtbl; const char *class; void (*free)(void *); int (*retain)(void *, void **); } Kind;

static Kind keshi_symbol_kind, keshi_executor_kind, keshi_cached_kind, keshi_ahead_kind;

static const Kind *keshi_kind_of(const MAGIC *mg)
{
    return (const Kind *)mg->mg_virtual;    /* vtbl is the first member */
}

static int keshi_graph_free(pTHX_ SV *sv, MAGIC *mg)
{
    PERL_UNUSED_ARG(sv);
    if (mg->mg_ptr)
        keshi_kind_of(mg)->free(mg->mg_ptr);
    mg->mg_ptr = NULL;
    return 0;
}

#ifdef USE_ITHREADS
/* A new thread has its own handle on each symbol; the others stay with the thread that made them. */
static int keshi_graph_dup(pTHX_ MAGIC *mg, CLONE_PARAMS *param)
{
    void *other = NULL;
    PERL_UNUSED_ARG(param);
    if (mg->mg_ptr && keshi_kind_of(mg)->retain && keshi_kind_of(mg)->retain(mg->mg_ptr, &other) != 0)
        other = NULL;
    mg->mg_ptr = (char *)other;
    return 0;
}
#endif

static int keshi_symbol_retain(void *s, void **out) { return ks_symbol_retain((KsSymbol *)s, (KsSymbol **)out); }
static void keshi_symbol_free(void *s) { ks_symbol_free((KsSymbol *)s); }
static void keshi_executor_free(void *e) { ks_executor_free((KsExecutor *)e); }
static void keshi_cached_free(void *c) { ks_cached_op_free((KsCachedOp *)c); }

static void keshi_ahead_free(void *a) { ks_ahead_free((KsAhead *)a); }

static void keshi_set_kind(Kind *kind, const char *class, void (*release)(void *), int (*retain)(void *, void **))
{
    kind->class = class;
    kind->free = release;
    kind->retain = retain;
    kind->vtbl.svt_free = keshi_graph_free;
#ifdef USE_ITHREADS
    kind->vtbl.svt_dup = keshi_graph_dup;
#endif
}

static void keshi_set_kinds(void)
{
    keshi_set_kind(&keshi_symbol_kind, "AI::MXNet::Symbol", keshi_symbol_free, keshi_symbol_retain);
    keshi_set_kind(&keshi_executor_kind, "AI::MXNet::Keshi::Executor", keshi_executor_free, NULL);
    keshi_set_kind(&keshi_cached_kind, "AI::MXNet::Keshi::CachedOp", keshi_cached_free, NULL);
    keshi_set_kind(&keshi_ahead_kind, "AI::MXNet::Keshi::Ahead", keshi_ahead_free, NULL);
}

/* Gives `handle` to the body of an object. */
static void keshi_give_graph(pTHX_ SV *body, Kind *kind, void *handle)
{
    MAGIC *mg = sv_magicext(body, NULL, PERL_MAGIC_ext, &kind->vtbl, NULL, 0);
    mg->mg_ptr = (char *)handle;
#ifdef USE_ITHREADS
    mg->mg_flags |= MGf_DUP;
#endif
}

/* A new mortal object that owns `handle`. */
static SV *keshi_wrap_graph(pTHX_ Kind *kind, void *handle)
{
    SV *body = newSV_type(SVt_PVMG);
    SV *sv = sv_2mortal(newRV_noinc(body));
    keshi_give_graph(aTHX_ body, kind, handle);
    return sv_bless(sv, gv_stashpv(kind->class, GV_ADD));
}

static MAGIC *keshi_graph_magic(pTHX_ SV *sv, const Kind *kind)
{
    SvGETMAGIC(sv);
    return SvROK(sv) && SvTYPE(SvRV(sv)) >= SVt_PVMG ? mg_findext(SvRV(sv), PERL_MAGIC_ext, &kind->vtbl) : NULL;
}

static void *keshi_graph_arg(pTHX_ SV *sv, const Kind *kind, const char *who)
{
    MAGIC *mg = keshi_graph_magic(aTHX_ sv, kind);
    if (!mg || !mg->mg_ptr)
        keshi_fail(aTHX_ "%s: got %s, want an %s", who, keshi_kind(aTHX_ sv), kind->class);
    return mg->mg_ptr;
}

#define SYMBOL(sv, who) ((KsSymbol *)keshi_graph_arg(aTHX_ sv, &keshi_symbol_kind, who))
#define EXECUTOR(sv, who) ((KsExecutor *)keshi_graph_arg(aTHX_ sv, &keshi_executor_kind, who))
#define RETURN_SYMBOL(s) RETURN_SV(keshi_wrap_graph(aTHX_ &keshi_symbol_kind, s))

static const char *keshi_bytes_of(pTHX_ SV *sv)
{
    STRLEN n;
    const char *s = SvPV(sv, n);
    return SvUTF8(sv) || is_utf8_string((const U8 *)s, n) ? s : SvPVutf8_nolen(sv_2mortal(newSVsv(sv)));
}

typedef struct { size_t n; const char **s; } Texts;

static AV *keshi_list_arg(pTHX_ SV *sv, const char *who)
{
    SvGETMAGIC(sv);
    if (!keshi_is_list(sv))
        keshi_fail(aTHX_ "%s: got %s, want a list", who, keshi_kind(aTHX_ sv));
    return (AV *)SvRV(sv);
}

static SV *keshi_element(pTHX_ AV *av, size_t i)
{
    SV **element = av_fetch(av, (SSize_t)i, 0);
    return element ? *element : &PL_sv_undef;
}

/* A list of texts; NULL for undef. */
static Texts keshi_texts(pTHX_ SV *sv, const char *who)
{
    Texts texts = { 0, NULL };
    AV *av;
    size_t i;
    SvGETMAGIC(sv);
    if (!SvOK(sv))
        return texts;
    av = keshi_list_arg(aTHX_ sv, who);
    texts.n = av_count(av);
    texts.s = (const char **)keshi_scratch(aTHX_ texts.n * sizeof *texts.s);
    for (i = 0; i < texts.n; i++)
        texts.s[i] = keshi_bytes_of(aTHX_ keshi_element(aTHX_ av, i));
    return texts;
}

/* Keys and values of a hash. */
static size_t keshi_pairs(pTHX_ SV *sv, const char *who, const char ***keys, const char ***values)
{
    HV *hv;
    HE *entry;
    size_t n = 0;
    SvGETMAGIC(sv);
    if (!SvROK(sv) || SvTYPE(SvRV(sv)) != SVt_PVHV)
        keshi_fail(aTHX_ "%s: got %s, want a hash", who, keshi_kind(aTHX_ sv));
    hv = (HV *)SvRV(sv);
    *keys = (const char **)keshi_scratch(aTHX_ HvUSEDKEYS(hv) * sizeof **keys);
    *values = (const char **)keshi_scratch(aTHX_ HvUSEDKEYS(hv) * sizeof **values);
    hv_iterinit(hv);
    while ((entry = hv_iternext(hv))) {
        (*keys)[n] = keshi_bytes_of(aTHX_ sv_2mortal(newSVsv(hv_iterkeysv(entry))));
        (*values)[n++] = keshi_bytes_of(aTHX_ hv_iterval(hv, entry));
    }
    return n;
}

static KsSymbol **keshi_symbols(pTHX_ SV *sv, const char *who, size_t *n)
{
    AV *av = keshi_list_arg(aTHX_ sv, who);
    KsSymbol **list;
    size_t i;
    *n = av_count(av);
    list = (KsSymbol **)keshi_scratch(aTHX_ *n * sizeof *list);
    for (i = 0; i < *n; i++)
        list[i] = SYMBOL(keshi_element(aTHX_ av, i), who);
    return list;
}

/* Pushes the texts on the stack as a list, and frees them. */
static SSize_t keshi_push_strings(pTHX_ KsStrings *strings, SSize_t ax)
{
    size_t n = 0, i;
    AV *av = (AV *)sv_2mortal((SV *)newAV());
    dSP;
    CHECK(ks_strings_len(strings, &n));
    for (i = 0; i < n; i++) {
        const char *s;
        CHECK(ks_strings_get(strings, i, &s));
        av_push(av, newSVpv(s, 0));
    }
    ks_strings_free(strings);
    SP = PL_stack_base + ax - 1;
    EXTEND(SP, (SSize_t)n);
    for (i = 0; i < n; i++)
        PUSHs(AvARRAY(av)[i]);
    PUTBACK;
    return (SSize_t)n;
}

/* -- monitors: a Perl sub that an executor calls */

static void keshi_drop_monitor(pTHX_ SV *executor)
{
    MAGIC *mg = keshi_graph_magic(aTHX_ executor, &keshi_executor_kind);
    if (mg && mg->mg_obj) {
        SvREFCNT_dec(mg->mg_obj);
        mg->mg_obj = NULL;
    }
}

/* Nothing may unwind through the library: what the sub dies with waits in $@. */
static int keshi_monitor(const char *name, KsArray *array, void *payload)
{
    dTHX;
    dSP;
    KsArray *own;
    int died;
    if (ks_array_retain(array, &own) != 0)
        return -1;
    PUSHSTACKi(PERLSI_UNKNOWN);
    ENTER;
    SAVETMPS;
    PUSHMARK(SP);
    EXTEND(SP, 2);
    PUSHs(sv_2mortal(newSVpv(name, 0)));
    PUSHs(sv_2mortal(keshi_wrap(own)));
    PUTBACK;
    call_sv((SV *)payload, G_VOID | G_DISCARD | G_EVAL);
    died = cBOOL(SvTRUE(ERRSV));
    FREETMPS;
    LEAVE;
    POPSTACK;
    return died ? -1 : 0;
}

/* After a pass: an error of the monitor is thrown on as it is. */
static void keshi_check_pass(pTHX_ int status, bool monitored)
{
    if (status != 0 && monitored && SvTRUE(ERRSV))
        croak_sv(sv_2mortal(newSVsv(ERRSV)));
    if (status != 0)
        keshi_fail_last(aTHX);
}

/* Calls a compiled graph, into what is given; all outputs, `*count` of them, in scratch. */
static KsArray **keshi_invoke_cached(pTHX_ SV *self, size_t num_in, KsArray **in, size_t num_given, KsArray **given, size_t *count)
{
    KsCachedOp *op = (KsCachedOp *)keshi_graph_arg(aTHX_ self, &keshi_cached_kind, "CachedOp");
    size_t capacity = num_given > CALL_OUTPUTS ? num_given : CALL_OUTPUTS;
    KsArray **out = (KsArray **)keshi_scratch(aTHX_ capacity * sizeof *out);
    Copy(given, out, num_given, KsArray *);
    while (ks_cached_op_invoke(op, num_in, in, num_given, capacity, out, count) != 0) {
        if (*count <= capacity)
            keshi_fail_last(aTHX);
        capacity = *count;
        out = (KsArray **)keshi_scratch(aTHX_ capacity * sizeof *out);
        Copy(given, out, num_given, KsArray *);
    }
    return out;
}
