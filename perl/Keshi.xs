/* The Perl side of the C interface in keshi.h, and nothing else of the library. One included file for each class. */
#define PERL_NO_GET_CONTEXT
#include "EXTERN.h"
#include "perl.h"
#include "XSUB.h"
#include "pdlcore.h"
#include "keshi.h"

#define MY_CXT_KEY "AI::MXNet::Keshi::_guts" XS_VERSION

#include "xs/handle.h"
#include "xs/list.h"
#include "xs/piddle.h"
#include "xs/call.h"
#include "xs/arith.h"
#include "xs/make.h"
#include "xs/autograd.h"
#include "xs/custom.h"
#include "xs/file.h"
#include "xs/symbol.h"
#include "xs/block.h"

static void keshi_find_homes(pTHX)
{
    dMY_CXT;
    SV **file = hv_fetchs(GvHVn(gv_fetchpvs("INC", GV_ADD, SVt_PVHV)), "AI/MXNet/Keshi.pm", 0);
    const char *path = file ? SvPV_nolen(*file) : "AI/MXNet/Keshi.pm";
    STRLEN n = strlen(path), tail = strlen("/Keshi.pm");
    MY_CXT.home = savepvn(path, n > tail ? n - tail : n);
    MY_CXT.home_len = strlen(MY_CXT.home);
    MY_CXT.renewed = NULL;
    MY_CXT.ndarray = gv_stashpvs("AI::MXNet::NDArray", GV_ADD);
    MY_CXT.context = gv_stashpvs("AI::MXNet::Context", GV_ADD);
    MY_CXT.current = gv_fetchpvs("AI::MXNet::Context", GV_ADD, SVt_PV);
}

/* Defines `package::name` with a value that its C function reads. */
static CV *keshi_define(pTHX_ const char *package, const char *name, XSUBADDR_t function)
{
    return newXS(form("%s::%s", package, name), function, __FILE__);
}

static void keshi_install(pTHX)
{
    /* What is returned by these may be assigned to: `$x->at(0) .= 1`. */
    static const char *const lvalues[] = { "array", "empty", "ones", "full", "at", "slice", "reshape", "copy", "sever", "copyto",
                                           "as_in_context", "astype", "aspdl" };
    static const char *const assign[] = { "iadd", "isubtract", "imultiply", "idivide", "imodulo" };
    const char *class = "AI::MXNet::NDArray";
    size_t i, k;
    for (i = 0; i < C_ARRAY_LENGTH(KESHI_ARITH); i++)
        CvXSUBANY(keshi_define(aTHX_ class, KESHI_ARITH[i].method, keshi_arith_method)).any_i32 = (I32)i;
    CvXSUBANY(keshi_define(aTHX_ class, "true_divide", keshi_arith_method)).any_i32 = DIVIDE;
    for (i = 0; i < C_ARRAY_LENGTH(assign); i++)
        CvXSUBANY(keshi_define(aTHX_ class, assign[i], keshi_arith_assign)).any_i32 = (I32)i;
    for (i = 0; i < C_ARRAY_LENGTH(lvalues); i++)
        CvLVALUE_on(get_cv(form("%s::%s", class, lvalues[i]), 0));
    for (i = 0; i < C_ARRAY_LENGTH(KESHI_UNARY); i++)
        CvXSUBANY(keshi_define(aTHX_ "AI::MXNet::Keshi", KESHI_UNARY[i], keshi_unary_method)).any_i32 = (I32)i;
    (void)keshi_define(aTHX_ "AI::MXNet::Keshi", "block_call", keshi_block_call);
    (void)keshi_define(aTHX_ "AI::MXNet::Keshi", "block_forward", keshi_block_forward);
    keshi_read_operators(aTHX);
    for (i = 0; i < keshi_num_operators; i++) {
        const Operator *op = &keshi_operators[i];
        KsOpInfo info;
        CHECK(ks_op_info(op->op, &info));
        for (k = 0; k <= info.num_aliases; k++)
            CvXSUBANY(keshi_define(aTHX_ "AI::MXNet::NDArray::Base", k ? info.aliases[k - 1] : info.name,
                                   keshi_operator_method)).any_ptr = (void *)op;
    }
}

MODULE = AI::MXNet::Keshi  PACKAGE = AI::MXNet::Keshi

PROTOTYPES: DISABLE

INCLUDE: xs/library.xs
INCLUDE: xs/ndarray.xs
INCLUDE: xs/overload.xs
INCLUDE: xs/views.xs
INCLUDE: xs/pdl.xs
INCLUDE: xs/autograd.xs
INCLUDE: xs/custom.xs
INCLUDE: xs/file.xs
INCLUDE: xs/symbol.xs
INCLUDE: xs/update.xs

MODULE = AI::MXNet::Keshi  PACKAGE = AI::MXNet::Keshi

BOOT:
{
    MY_CXT_INIT;
    keshi_find_homes(aTHX);
    if (!keshi_operators)
        MUTEX_INIT(&keshi_returned_lock);
    keshi_find_arith();
    keshi_set_kinds();
    keshi_install(aTHX);
}

#ifdef USE_ITHREADS

void
CLONE(...)
CODE:
    MY_CXT_CLONE;
    keshi_find_homes(aTHX);
    PERL_UNUSED_VAR(items);

#endif
