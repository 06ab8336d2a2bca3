MODULE = AI::MXNet::Keshi  PACKAGE = AI::MXNet::Keshi

 # record_function($object, \@inputs, \@outputs, $keep): the outputs as arrays whose gradient is $object->_go_back
void
record_function(SV *object, SV *inputs, SV *outputs, bool keep)
PPCODE:
    Arrays ins = keshi_arrays(aTHX_ inputs, "Function: inputs", FALSE);
    Arrays outs = keshi_arrays(aTHX_ outputs, "Function: outputs", FALSE);
    KsArray **recorded = (KsArray **)keshi_scratch(aTHX_ outs.n * sizeof *recorded);
    Loan *loan;
    size_t i;
    keshi_end_returned_loans(aTHX);
    loan = (Loan *)keshi_lend(aTHX_ object);
    if (ks_record_function(ins.n, ins.a, outs.n, outs.a, keep, keshi_function_backward, keshi_return_loan, loan, recorded) != 0) {
        SvREFCNT_dec_NN(loan->owner);
        Safefree(loan);
        keshi_fail_last(aTHX);
    }
    EXTEND(SP, (SSize_t)outs.n);
    for (i = 0; i < outs.n; i++)
        PUSHs(sv_2mortal(keshi_wrap(recorded[i])));

 # register_operator($name, $class): makes Custom with that op_type mean what the class says
void
register_operator(SV *name, SV *class)
CODE:
    static const KsDefinition definition = {
        keshi_op_property, keshi_op_infer_shape, keshi_op_infer_type, keshi_op_create,
        keshi_op_forward, keshi_op_backward, keshi_return_loan
    };
    Loan *loan;
    keshi_end_returned_loans(aTHX);
    loan = (Loan *)keshi_lend(aTHX_ class);
    if (ks_register(keshi_bytes_of(aTHX_ name), &definition, loan) != 0) {
        SvREFCNT_dec_NN(loan->owner);
        Safefree(loan);
        keshi_fail_last(aTHX);
    }

 # ahead($name, \@arrays, \%params): a call that runs on a thread of its own, until its ->wait gives what it made
void
ahead(const char *name, SV *arrays, SV *params)
PPCODE:
    const Operator *op = keshi_operator_named(aTHX_ name);
    Arrays ins = keshi_arrays(aTHX_ arrays, name, FALSE);
    KsAhead *out;
    Call call;
    if (!SvROK(params) || SvTYPE(SvRV(params)) != SVt_PVHV)
        keshi_fail(aTHX_ "%s: got %s, want a hash of parameters", name, keshi_kind(aTHX_ params));
    keshi_begin_call(aTHX_ &call, op, 0);
    keshi_hash_args(aTHX_ &call, (HV *)SvRV(params));
    CHECK(ks_ahead_new(op->op, ins.n, ins.a, call.num_params, call.index, call.values, &out));
    RETURN_SV(keshi_wrap_graph(aTHX_ &keshi_ahead_kind, out));

SV *
einsum(const char *equation, SV *operands)
CODE:
    Arrays list = keshi_arrays(aTHX_ operands, "einsum", FALSE);
    KsArray *out;
    CHECK(ks_einsum(equation, list.n, list.a, &out));
    RETVAL = keshi_wrap(out);
OUTPUT:
    RETVAL

 # Where elements are not 0, counted row by row, as an array of int64.
void
places(SV *self)
PPCODE:
    KsArray *a = keshi_array(self, "places"), *out;
    Dims dims = { 1, { 0 } };
    Device cpu = { KS_CPU, 0 };
    I32 dtype;
    size_t n;
    void *data, *to;
    SV *result;
    CHECK(ks_array_dtype(a, &dtype));
    if (dtype != KS_FLOAT32 && dtype != KS_FLOAT64) {
        a = MG_ARRAY(keshi_magic(keshi_cast(aTHX_ a, KS_FLOAT32)));
        dtype = KS_FLOAT32;
    }
    CHECK(ks_array_size(a, &n));
    CHECK(ks_array_data(a, &data));
    dims.d[0] = keshi_places(dtype, data, n, NULL);
    result = keshi_new(aTHX_ KS_INT64, &dims, cpu, &out);
    CHECK(ks_array_data(out, &to));
    (void)keshi_places(dtype, data, n, (int64_t *)to);
    RETURN_SV(result);

 # The distinct numbers in an array, ascending, and for each of its elements which of them it is.
void
distinct(SV *self)
PPCODE:
    KsArray *values, *places;
    CHECK(ks_array_distinct(keshi_array(self, "distinct"), &values, &places));
    KESHI_RETURN_PAIR(values, places);

 # Numbers of the rows that are not 0, and the rows.
void
filled_rows(SV *self)
PPCODE:
    KsArray *indices, *data;
    CHECK(ks_array_filled_rows(keshi_array(self, "filled_rows"), &indices, &data));
    KESHI_RETURN_PAIR(indices, data);

 # Makes an array a variable whose gradient is kept as rows.
void
attach_grad_rows(SV *self, SV *req)
CODE:
    CHECK(ks_attach_grad_rows(keshi_array(self, "attach_grad"), keshi_grad_req(aTHX_ req, "attach_grad")));

 # Numbers of the rows of such a gradient, and the rows; nothing where there are none yet.
void
grad_rows(SV *self)
PPCODE:
    KsArray *indices, *data;
    CHECK(ks_array_grad_rows(keshi_array(self, "grad"), &indices, &data));
    if (!indices)
        XSRETURN_EMPTY;
    KESHI_RETURN_PAIR(indices, data);

void
set_grad_rows(SV *self, SV *indices, SV *data)
CODE:
    CHECK(ks_array_set_grad_rows(keshi_array(self, "grad"), keshi_array(indices, "grad"), keshi_array(data, "grad")));

 # How often the memory of an array was changed in place.
UV
version(SV *self)
CODE:
    uint64_t version;
    CHECK(ks_array_version(keshi_array(self, "version"), &version));
    RETVAL = (UV)version;
OUTPUT:
    RETVAL

 # Switches; each returns what was.

int
set_nan_check(bool on)
CODE:
    CHECK(ks_set_nan_check(on, &RETVAL));
OUTPUT:
    RETVAL

int
set_profiling(bool on)
CODE:
    CHECK(ks_set_profiling(on, &RETVAL));
OUTPUT:
    RETVAL

UV
profile_clock()
CODE:
    RETVAL = (UV)ks_profile_clock();
OUTPUT:
    RETVAL

void
profile_span(SV *name, UV start)
CODE:
    CHECK(ks_profile_span(SvPVutf8_nolen(name), start));

 # The trace as JSON, in bytes; with a true argument what was noted is forgotten.
SV *
profile_trace(bool reset = FALSE)
CODE:
    KsBuffer *buffer;
    CHECK(ks_profile_trace(reset, &buffer));
    RETVAL = keshi_take_buffer(aTHX_ buffer);
OUTPUT:
    RETVAL

MODULE = AI::MXNet::Keshi  PACKAGE = AI::MXNet::Keshi::Ahead

SV *
wait(SV *self)
CODE:
    KsArray *out;
    CHECK(ks_ahead_wait((KsAhead *)keshi_graph_arg(aTHX_ self, &keshi_ahead_kind, "wait"), &out));
    RETVAL = keshi_wrap(out);
OUTPUT:
    RETVAL
