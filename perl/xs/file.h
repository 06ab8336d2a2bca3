/* Files of arrays: Perl lists of parts, to and from what the library takes.
 *
 * A part is a dense array, or of a sparse one a list [ storage, shape, data, index arrays... ]. */

static SV *keshi_take_buffer(pTHX_ KsBuffer *buffer)
{
    const uint8_t *data;
    size_t n;
    SV *sv = NULL;
    if (ks_buffer_data(buffer, &data, &n) == 0)
        sv = newSVpvn((const char *)data, n);
    ks_buffer_free(buffer);
    if (!sv)
        keshi_fail_last(aTHX);
    return sv;
}

typedef struct {
    size_t n;
    KsArray **arrays;
    const char **names; /* or NULL */
    KsSparse *sparse;   /* or NULL when all are dense */
} Parts;

static void keshi_sparse_part(pTHX_ AV *part, KsArray **data, KsSparse *to)
{
    SV **storage = av_fetch(part, 0, 0), **shape = av_fetch(part, 1, 0), **stored = av_fetch(part, 2, 0);
    size_t *kept, i;
    Dims dims;
    if (!storage || !shape || !stored || av_count(part) > 5)
        keshi_fail(aTHX_ "save: got a list that is no sparse array");
    to->storage = (int32_t)SvIV(*storage);
    dims = keshi_shape_arg(aTHX_ *shape, "save", TRUE);
    kept = (size_t *)keshi_scratch(aTHX_ dims.n * sizeof *kept);
    for (i = 0; i < dims.n; i++)
        kept[i] = dims.d[i];
    to->ndim = dims.n;
    to->dims = kept;
    *data = keshi_array(*stored, "save");
    for (i = 3; i < av_count(part); i++)
        to->indices[i - 3] = keshi_array(*av_fetch(part, (SSize_t)i, 0), "save");
}

static Parts keshi_parts(pTHX_ SV *arrays, SV *names)
{
    Parts parts;
    AV *av;
    size_t i;
    if (!keshi_is_list(arrays))
        keshi_fail(aTHX_ "save: got %s, want a list of arrays", keshi_kind(aTHX_ arrays));
    av = (AV *)SvRV(arrays);
    parts.n = av_count(av);
    parts.arrays = (KsArray **)keshi_scratch(aTHX_ parts.n * sizeof *parts.arrays);
    parts.names = NULL;
    parts.sparse = NULL;
    for (i = 0; i < parts.n; i++) {
        SV **element = av_fetch(av, (SSize_t)i, 0);
        if (!element || !keshi_is_list(*element)) {
            parts.arrays[i] = keshi_array(element ? *element : &PL_sv_undef, "save");
            continue;
        }
        if (!parts.sparse) {
            parts.sparse = (KsSparse *)keshi_scratch(aTHX_ parts.n * sizeof *parts.sparse);
            Zero(parts.sparse, parts.n, KsSparse);
        }
        keshi_sparse_part(aTHX_ (AV *)SvRV(*element), &parts.arrays[i], &parts.sparse[i]);
    }
    if (SvOK(names)) {
        av = (AV *)SvRV(names);
        parts.names = (const char **)keshi_scratch(aTHX_ parts.n * sizeof *parts.names);
        for (i = 0; i < parts.n; i++) {
            SV **name = av_fetch(av, (SSize_t)i, 0);
            parts.names[i] = name ? SvPVutf8_nolen(*name) : "";
        }
    }
    return parts;
}

static KsFormat keshi_format(pTHX_ SV *sv)
{
    static const char *const names[] = { "params", "npy", "npz", "safetensors" };
    const char *name = SvPV_nolen(sv);
    size_t i;
    for (i = 0; i < C_ARRAY_LENGTH(names); i++)
        if (strEQ(names[i], name))
            return (KsFormat)i;
    keshi_fail(aTHX_ "save: format got %s, want params, npy, npz or safetensors", keshi_kind(aTHX_ sv));
}

static SV *keshi_list_part(pTHX_ const KsList *list, size_t i, KsArray *data)
{
    KsSparse sparse;
    AV *part, *shape;
    size_t k;
    SV *rv;
    if (!data)
        return newSV(0);
    rv = keshi_wrap(data);
    if (ks_list_sparse(list, i, &sparse) != 0 || sparse.storage == KS_STORAGE_DEFAULT)
        return rv;
    part = newAV();
    shape = newAV();
    for (k = 0; k < sparse.ndim; k++)
        av_push(shape, newSVuv(sparse.dims[k]));
    av_push(part, newSViv(sparse.storage));
    av_push(part, newRV_noinc((SV *)shape));
    av_push(part, rv);
    for (k = 0; k < 2 && sparse.indices[k]; k++)
        av_push(part, keshi_wrap(sparse.indices[k]));
    return newRV_noinc((SV *)part);
}

/* Frees the list: mortal parts, and undef or names. */
static void keshi_take_list(pTHX_ KsList *list, AV *parts, AV **names)
{
    size_t n = 0, i;
    int named = 0;
    int failed = ks_list_len(list, &n, &named);
    if (!failed && named)
        *names = (AV *)sv_2mortal((SV *)newAV());
    for (i = 0; !failed && i < n; i++) {
        KsArray *data;
        const char *name;
        failed = ks_list_get(list, i, &data, &name);
        if (failed)
            break;
        av_push(parts, keshi_list_part(aTHX_ list, i, data));
        if (named) {
            SV *sv = newSVpv(name, 0);
            sv_utf8_decode(sv);
            av_push(*names, sv);
        }
    }
    ks_list_free(list);
    if (failed)
        keshi_fail_last(aTHX);
}
