MODULE = AI::MXNet::Keshi  PACKAGE = AI::MXNet::Keshi

 # symbol_variable($name, \%attributes)
void
symbol_variable(SV *name, SV *attributes)
PPCODE:
    const char **keys, **values;
    size_t n = keshi_pairs(aTHX_ attributes, "Variable: attr", &keys, &values);
    KsSymbol *out;
    CHECK(ks_symbol_variable(keshi_bytes_of(aTHX_ name), n, keys, values, &out));
    RETURN_SYMBOL(out);

 # symbol_call($operator, $name, \%attributes, \@names of inputs or undef, \@inputs)
void
symbol_call(const char *op, SV *name, SV *attributes, SV *names, SV *inputs)
PPCODE:
    const char **keys, **values;
    size_t num_attrs = keshi_pairs(aTHX_ attributes, op, &keys, &values), num_inputs;
    Texts input_names = keshi_texts(aTHX_ names, op);
    KsSymbol **list = keshi_symbols(aTHX_ inputs, op, &num_inputs), *out;
    const KsOp *found;
    CHECK(ks_op_find(op, &found));
    CHECK(ks_symbol_call(found, keshi_bytes_of(aTHX_ name), num_attrs, keys, values, num_inputs, input_names.s, list, &out));
    RETURN_SYMBOL(out);

void
symbol_group(SV *symbols)
PPCODE:
    size_t n;
    KsSymbol **list = keshi_symbols(aTHX_ symbols, "Group", &n), *out;
    CHECK(ks_symbol_group(n, list, &out));
    RETURN_SYMBOL(out);

 # symbol_compose($symbol, $name or '', \@names, \@symbols)
void
symbol_compose(SV *self, SV *name, SV *names, SV *with)
PPCODE:
    Texts keys = keshi_texts(aTHX_ names, "compose");
    size_t n;
    KsSymbol **list = keshi_symbols(aTHX_ with, "compose", &n), *out;
    CHECK(ks_symbol_compose(SYMBOL(self, "compose"), keshi_bytes_of(aTHX_ name), n, keys.s, list, &out));
    RETURN_SYMBOL(out);

void
symbol_from_json(SV *json)
PPCODE:
    KsSymbol *out;
    CHECK(ks_symbol_from_json(keshi_bytes_of(aTHX_ json), &out));
    RETURN_SYMBOL(out);

 # The graph that made an array while it was recorded.
void
symbol_recorded(SV *array)
PPCODE:
    KsSymbol *out;
    CHECK(ks_symbol_recorded(keshi_array(array, "get_symbol"), &out));
    RETURN_SYMBOL(out);

 # Gives the graph of `other` to the empty object `self`, for Storable.
void
symbol_adopt(SV *self, SV *other)
CODE:
    KsSymbol *own;
    if (!SvROK(self) || keshi_graph_magic(aTHX_ self, &keshi_symbol_kind))
        keshi_fail(aTHX_ "symbol_adopt: got %s, want an empty object", keshi_kind(aTHX_ self));
    CHECK(ks_symbol_retain(SYMBOL(other, "symbol_adopt"), &own));
    keshi_give_graph(aTHX_ SvRV(self), &keshi_symbol_kind, own);

 # The list of that number, as KsSymbolList has them.
void
symbol_list(SV *self, int what)
PPCODE:
    KsStrings *strings;
    CHECK(ks_symbol_list(SYMBOL(self, "symbol_list"), what, &strings));
    XSRETURN(keshi_push_strings(aTHX_ strings, ax));

void
symbol_attr(SV *self, SV *key)
PPCODE:
    KsStrings *strings;
    CHECK(ks_symbol_attr(SYMBOL(self, "attr"), keshi_bytes_of(aTHX_ key), &strings));
    XSRETURN(keshi_push_strings(aTHX_ strings, ax));

void
symbol_set_attr(SV *self, SV *key, SV *value)
CODE:
    CHECK(ks_symbol_set_attr(SYMBOL(self, "set_attr"), keshi_bytes_of(aTHX_ key), keshi_bytes_of(aTHX_ value)));

void
symbol_internals(SV *self)
PPCODE:
    KsSymbol *out;
    CHECK(ks_symbol_internals(SYMBOL(self, "get_internals"), &out));
    RETURN_SYMBOL(out);

 # undef where there are none
void
symbol_children(SV *self)
PPCODE:
    KsSymbol *out;
    CHECK(ks_symbol_children(SYMBOL(self, "get_children"), &out));
    if (!out)
        XSRETURN_UNDEF;
    RETURN_SYMBOL(out);

void
symbol_output(SV *self, UV i)
PPCODE:
    KsSymbol *out;
    CHECK(ks_symbol_output(SYMBOL(self, "slice"), i, &out));
    RETURN_SYMBOL(out);

 # Whether two symbols are one object.
void
symbol_handle(SV *self)
PPCODE:
    mXPUSHu(PTR2UV(SYMBOL(self, "handle")));

 # symbol_infer_shape($symbol, \@names or undef, \@shapes): shapes of arguments, outputs and states; 0 is an unknown size, undef
 # an unknown shape.
void
symbol_infer_shape(SV *self, SV *names, SV *given)
PPCODE:
    KsSymbol *s = SYMBOL(self, "infer_shape");
    Texts keys = keshi_texts(aTHX_ names, "infer_shape");
    AV *shapes = keshi_list_arg(aTHX_ given, "infer_shape"), *found = (AV *)sv_2mortal((SV *)newAV());
    size_t n = av_count(shapes), *ndims = (size_t *)keshi_scratch(aTHX_ n * sizeof *ndims), total = 0, i, k;
    int64_t *sizes;
    KsShapes *out;
    for (i = 0; i < n; i++)
        total += ndims[i] = av_count(keshi_list_arg(aTHX_ keshi_element(aTHX_ shapes, i), "infer_shape"));
    sizes = (int64_t *)keshi_scratch(aTHX_ total * sizeof *sizes);
    for (total = 0, i = 0; i < n; i++)
        for (k = 0; k < ndims[i]; k++)
            sizes[total++] = SvIV(keshi_element(aTHX_ (AV *)SvRV(keshi_element(aTHX_ shapes, i)), k));
    CHECK(ks_symbol_infer_shape(s, n, keys.s, ndims, sizes, &out));
    CHECK(ks_shapes_len(out, &n));
    for (i = 0; i < n; i++) {
        size_t ndim;
        const int64_t *at;
        AV *shape = newAV();
        CHECK(ks_shapes_get(out, i, &ndim, &at));
        av_push(found, at ? newRV_noinc((SV *)shape) : newSV(0));
        for (k = 0; k < ndim; k++)
            av_push(shape, newSViv(at[k] < 0 ? 0 : (IV)at[k]));
        if (!at)
            SvREFCNT_dec((SV *)shape);
    }
    ks_shapes_free(out);
    EXTEND(SP, (SSize_t)n);
    for (i = 0; i < n; i++)
        PUSHs(AvARRAY(found)[i]);

 # symbol_infer_type($symbol, \@names or undef, \@dtypes, $count): that many dtypes, undef where unknown
void
symbol_infer_type(SV *self, SV *names, SV *given, UV count)
PPCODE:
    KsSymbol *s = SYMBOL(self, "infer_type");
    Texts keys = keshi_texts(aTHX_ names, "infer_type");
    AV *dtypes = keshi_list_arg(aTHX_ given, "infer_type");
    size_t n = av_count(dtypes), i;
    int32_t *ids = (int32_t *)keshi_scratch(aTHX_ n * sizeof *ids), *out = (int32_t *)keshi_scratch(aTHX_ count * sizeof *out);
    for (i = 0; i < n; i++)
        ids[i] = keshi_dtype_arg(aTHX_ keshi_element(aTHX_ dtypes, i), "infer_type");
    CHECK(ks_symbol_infer_type(s, n, keys.s, ids, count, out));
    EXTEND(SP, (SSize_t)count);
    for (i = 0; i < count; i++)
        PUSHs(out[i] < 0 ? &PL_sv_undef : sv_2mortal(newSVpv(keshi_dtype_name(out[i]), 0)));

 # executor_bind($symbol, $ctx, \@args, \@grads, \@requests, \@states, \@outputs, \%contexts of groups)
void
executor_bind(SV *self, SV *ctx, SV *args, SV *grads, SV *reqs, SV *aux, SV *outputs, SV *groups)
PPCODE:
    KsSymbol *s = SYMBOL(self, "bind");
    Device device = keshi_device_arg(aTHX_ ctx, "bind");
    Arrays arg_list = keshi_arrays(aTHX_ args, "bind: args", FALSE), grad_list = keshi_arrays(aTHX_ grads, "bind: args_grad", TRUE),
           aux_list = keshi_arrays(aTHX_ aux, "bind: aux_states", FALSE), out_list = keshi_arrays(aTHX_ outputs, "bind: outputs", TRUE);
    AV *req_list = keshi_list_arg(aTHX_ reqs, "bind: grad_req");
    int32_t *req_ids = (int32_t *)keshi_scratch(aTHX_ arg_list.n * sizeof *req_ids);
    HV *hv = (HV *)SvRV(groups);
    size_t num_groups = HvUSEDKEYS(hv), i = 0;
    const char **names = (const char **)keshi_scratch(aTHX_ num_groups * sizeof *names);
    int32_t *types = (int32_t *)keshi_scratch(aTHX_ num_groups * sizeof *types),
            *ids = (int32_t *)keshi_scratch(aTHX_ num_groups * sizeof *ids);
    KsExecutor *out;
    HE *entry;
    hv_iterinit(hv);
    for (; (entry = hv_iternext(hv)); i++) {
        Device place = keshi_device_arg(aTHX_ hv_iterval(hv, entry), "bind: group2ctx");
        names[i] = keshi_bytes_of(aTHX_ sv_2mortal(newSVsv(hv_iterkeysv(entry))));
        types[i] = place.type;
        ids[i] = place.id;
    }
    for (i = 0; i < arg_list.n; i++)
        req_ids[i] = keshi_grad_req(aTHX_ keshi_element(aTHX_ req_list, i), "bind");
    CHECK(ks_executor_bind(s, device.type, device.id, arg_list.n, arg_list.a, grad_list.n ? grad_list.a : NULL, req_ids, aux_list.n,
                           aux_list.a, out_list.n, out_list.n ? out_list.a : NULL, num_groups, names, types, ids, &out));
    RETURN_SV(keshi_wrap_graph(aTHX_ &keshi_executor_kind, out));

 # executor_set_parameters($executor, \@places of arguments that seldom change)
void
executor_set_parameters(SV *self, SV *places)
PPCODE:
    AV *list = keshi_list_arg(aTHX_ places, "bind");
    size_t n = av_count(list), i, *numbers = (size_t *)keshi_scratch(aTHX_ n * sizeof *numbers);
    for (i = 0; i < n; i++)
        numbers[i] = SvUV(keshi_element(aTHX_ list, i));
    CHECK(ks_executor_set_parameters(EXECUTOR(self, "bind"), n, numbers));

void
executor_forward(SV *self, bool training)
CODE:
    KsExecutor *e = EXECUTOR(self, "forward");
    MAGIC *mg = keshi_graph_magic(aTHX_ self, &keshi_executor_kind);
    keshi_check_pass(aTHX_ ks_executor_forward(e, training), mg->mg_obj != NULL);

 # executor_backward($executor, \@gradients of the outputs or undef, $training)
void
executor_backward(SV *self, SV *grads, bool training)
CODE:
    KsExecutor *e = EXECUTOR(self, "backward");
    MAGIC *mg = keshi_graph_magic(aTHX_ self, &keshi_executor_kind);
    Arrays list = { 0, NULL };
    if (SvOK(grads))
        list = keshi_arrays(aTHX_ grads, "backward: out_grads", TRUE);
    keshi_check_pass(aTHX_ ks_executor_backward(e, list.n, list.a, training), mg->mg_obj != NULL);

void
executor_outputs(SV *self, UV n)
PPCODE:
    KsArray **out = (KsArray **)keshi_scratch(aTHX_ n * sizeof *out);
    size_t i;
    CHECK(ks_executor_outputs(EXECUTOR(self, "outputs"), n, out));
    EXTEND(SP, (SSize_t)n);
    for (i = 0; i < n; i++)
        PUSHs(sv_2mortal(keshi_wrap(out[i])));

 # executor_set_monitor($executor, $sub or undef)
void
executor_set_monitor(SV *self, SV *code)
CODE:
    KsExecutor *e = EXECUTOR(self, "set_monitor_callback");
    MAGIC *mg = keshi_graph_magic(aTHX_ self, &keshi_executor_kind);
    SV *own = SvOK(code) ? newSVsv(code) : NULL;
    CHECK(ks_executor_set_monitor(e, own ? keshi_monitor : NULL, own));
    keshi_drop_monitor(aTHX_ self);
    mg->mg_obj = own;
    if (own)
        mg->mg_flags |= MGf_REFCOUNTED;

void
executor_describe(SV *self)
PPCODE:
    KsStrings *strings;
    CHECK(ks_executor_describe(EXECUTOR(self, "debug_str"), &strings));
    XSRETURN(keshi_push_strings(aTHX_ strings, ax));

 # cached_op($symbol, \%flags)
void
cached_op(SV *symbol, SV *flags)
PPCODE:
    const char **keys, **values;
    size_t n = keshi_pairs(aTHX_ flags, "CachedOp: flags", &keys, &values);
    KsCachedOp *out;
    CHECK(ks_cached_op_new(SYMBOL(symbol, "CachedOp"), n, keys, values, &out));
    RETURN_SV(keshi_wrap_graph(aTHX_ &keshi_cached_kind, out));

 # cached_op_report($op): names and numbers in turn
void
cached_op_report(SV *self)
PPCODE:
    KsStrings *strings;
    CHECK(ks_cached_op_report((KsCachedOp *)keshi_graph_arg(aTHX_ self, &keshi_cached_kind, "CachedOp"), &strings));
    XSRETURN(keshi_push_strings(aTHX_ strings, ax));

 # cached_op_call($op, \@inputs, \@arrays to write into): all outputs
void
cached_op_call(SV *self, SV *inputs, SV *given)
PPCODE:
    Arrays in = keshi_arrays(aTHX_ inputs, "CachedOp", FALSE), into = keshi_arrays(aTHX_ given, "CachedOp: out", FALSE);
    size_t n = 0, i;
    KsArray **out = keshi_invoke_cached(aTHX_ self, in.n, in.a, into.n, into.a, &n);
    EXTEND(SP, (SSize_t)n);
    for (i = 0; i < n; i++)
        PUSHs(i < into.n ? (keshi_is_list(given) ? keshi_element(aTHX_ (AV *)SvRV(given), i) : given) : sv_2mortal(keshi_wrap(out[i])));
