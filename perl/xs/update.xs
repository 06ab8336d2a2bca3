MODULE = AI::MXNet::Keshi  PACKAGE = AI::MXNet::Keshi

 # What a step has to update: due(\@params, $ignore_stale) gives lists of indices, gradients and weights. Nothing where a parameter is
 # not the usual one, with one array and its gradient, or where a gradient is stale and that is not to be ignored.
void
due(AV *params, bool ignore_stale)
PPCODE:
    AV *indices = (AV *)sv_2mortal((SV *)newAV()), *grads = (AV *)sv_2mortal((SV *)newAV());
    AV *weights = (AV *)sv_2mortal((SV *)newAV());
    SSize_t i, n = (SSize_t)av_count(params);
    for (i = 0; i < n; i++) {
        HV *param = (HV *)SvRV(AvARRAY(params)[i]);
        SV *req = HELD(param, "grad_req"), *weight, *grad;
        int fresh;
        if (req && strEQ(SvPV_nolen(req), "null"))
            continue;
        weight = keshi_only_copy(aTHX_ AvARRAY(params)[i]);
        grad = keshi_only(aTHX_ HELD(param, "_grad"));
        if (!weight || !grad)
            XSRETURN_EMPTY;
        CHECK(ks_fresh_grad(keshi_plain(aTHX_ weight), &fresh));
        if (fresh) {
            av_push(indices, newSViv((IV)i));
            av_push(grads, newSVsv(grad));
            av_push(weights, newSVsv(weight));
        } else if (!ignore_stale)
            XSRETURN_EMPTY;
    }
    EXTEND(SP, 3);
    mPUSHs(newRV_inc((SV *)indices));
    mPUSHs(newRV_inc((SV *)grads));
    mPUSHs(newRV_inc((SV *)weights));

 # The gradients of these arrays have been used.
void
used_grads(SV *weights)
CODE:
    Arrays list = keshi_arrays(aTHX_ weights, "used_grads", FALSE);
    size_t i;
    for (i = 0; i < list.n; i++)
        CHECK(ks_set_fresh_grad(list.a[i], 0));

 # Calls an update operator for many weights: update_each($name, \%constants, [\@arrays, \@pairs, \@arrays, \@pairs, ...]). The arrays
 # are weight, gradient and states, and the weight is written; the pairs are parameters beyond the constants.
void
update_each(const char *name, HV *constants, AV *calls)
CODE:
    const Operator *op = keshi_operator_named(aTHX_ name);
    Call call;
    uint32_t num_constants;
    size_t num_ints, i, k;
    keshi_begin_call(aTHX_ &call, op, CALL_INPUTS - 1);
    keshi_hash_args(aTHX_ &call, constants);
    num_constants = call.num_params;
    num_ints = call.num_ints;
    for (i = 0; i + 1 < av_count(calls); i += 2) {
        AV *arrays = keshi_list_at(aTHX_ calls, i, name), *pairs = keshi_list_at(aTHX_ calls, i + 1, name);
        KsArray *outputs[CALL_OUTPUTS];
        size_t count = 0;
        call.num_inputs = 0;
        call.num_params = num_constants;
        call.num_ints = num_ints;
        if (!av_count(arrays) || av_count(arrays) > CALL_INPUTS)
            keshi_fail(aTHX_ "%s: got %" UVuf " arrays, want 1 to %d", name, (UV)av_count(arrays), CALL_INPUTS);
        for (k = 0; k < av_count(arrays); k++)
            call.inputs[call.num_inputs++] = keshi_array(*av_fetch(arrays, k, 1), name);
        for (k = 0; k + 1 < av_count(pairs); k += 2) {
            SV *key = *av_fetch(pairs, k, 1);
            if (!keshi_named_arg(aTHX_ &call, key, *av_fetch(pairs, k + 1, 1)))
                keshi_fail(aTHX_ "%s: Cannot find argument '%s'", name, SvPV_nolen(key));
        }
        outputs[0] = call.inputs[0];
        CHECK(ks_op_invoke(op->op, call.num_inputs, call.inputs, call.num_params, call.index, call.values, 1, CALL_OUTPUTS, outputs, &count));
        for (k = 1; k < count; k++)
            ks_array_free(outputs[k]);
    }

 # The step that most programs take: one operator for all, whose weights, gradients and states (one each, or none) are plain arrays of
 # parameters, at a fixed rate: update_alike($operator, \%constants, \%optimizer, \@indices, \@weights, \@grads, \@states). False, with
 # nothing done, where it is not so.
bool
update_alike(const char *name, HV *constants, HV *optimizer, AV *indices, AV *weights, AV *grads, AV *states)
CODE:
    const Operator *op = keshi_operator_named(aTHX_ name);
    SV *counts = HELD(optimizer, "_index_update_count"), *params = HELD(optimizer, "param_dict");
    SV *lr = HELD(optimizer, "lr"), *wd = HELD(optimizer, "wd"), *first = HELD(optimizer, "begin_num_update");
    SV *last = HELD(optimizer, "num_update"), *rate = newSVpvs_flags("lr", SVs_TEMP), *decay = newSVpvs_flags("wd", SVs_TEMP);
    size_t n = av_count(indices), each = 2, i;
    KsArray **arrays = (KsArray **)keshi_scratch(aTHX_ 3 * n * sizeof *arrays);
    NV *numbers = (NV *)keshi_scratch(aTHX_ 2 * n * sizeof *numbers);
    IV most;
    Call call;
    uint32_t num_constants;
    size_t num_ints;
    if (!counts || !params || !lr || !wd || !first || !last || av_count(weights) != n || av_count(grads) != n || av_count(states) != n)
        XSRETURN_NO;
    if (n && SvOK(keshi_element(aTHX_ states, 0)))
        each = 3;
    for (i = 0; i < n; i++) {
        HE *of = hv_fetch_ent((HV *)SvRV(params), keshi_element(aTHX_ indices, i), 0, 0);
        HV *param = of && SvROK(HeVAL(of)) ? (HV *)SvRV(HeVAL(of)) : NULL;
        SV *of_lr = param ? HELD(param, "lr_mult") : NULL, *of_wd = param ? HELD(param, "wd_mult") : NULL;
        SV *state = keshi_element(aTHX_ states, i);
        KsArray **at = arrays + i * each;
        if (!of_lr || !of_wd || (each == 2 && SvOK(state)))
            XSRETURN_NO;
        at[0] = keshi_plain(aTHX_ keshi_element(aTHX_ weights, i));
        at[1] = keshi_plain(aTHX_ keshi_element(aTHX_ grads, i));
        if (each == 3)
            at[2] = keshi_plain(aTHX_ state);
        if (!at[0] || !at[1] || !at[each - 1])
            XSRETURN_NO;
        numbers[2 * i] = SvNV(lr) * SvNV(of_lr);
        numbers[2 * i + 1] = SvNV(wd) * SvNV(of_wd);
    }
    most = SvIV(last);
    for (i = 0; i < n; i++) {
        SV *count = HeVAL(hv_fetch_ent((HV *)SvRV(counts), keshi_element(aTHX_ indices, i), 1, 0));
        sv_setiv(count, 1 + SvIV(SvOK(count) ? count : first));
        if (SvIVX(count) > most)
            most = SvIVX(count);
    }
    sv_setiv(last, most);
    keshi_begin_call(aTHX_ &call, op, 3);
    keshi_hash_args(aTHX_ &call, constants);
    num_constants = call.num_params;
    num_ints = call.num_ints;
    for (i = 0; i < n; i++) {
        KsArray *outputs[CALL_OUTPUTS] = { arrays[i * each] };
        size_t count = 0, k;
        call.num_params = num_constants;
        call.num_ints = num_ints;
        keshi_named_arg(aTHX_ &call, rate, sv_2mortal(newSVnv(numbers[2 * i])));
        keshi_named_arg(aTHX_ &call, decay, sv_2mortal(newSVnv(numbers[2 * i + 1])));
        CHECK(ks_op_invoke(op->op, each, arrays + i * each, call.num_params, call.index, call.values, 1, CALL_OUTPUTS, outputs, &count));
        for (k = 1; k < count; k++)
            ks_array_free(outputs[k]);
    }
    RETVAL = TRUE;
OUTPUT:
    RETVAL
