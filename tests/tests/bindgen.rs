//! The header read back: bindgen binds it as a C user's compiler sees it, and each bound function and struct must be the
//! Rust one. `bindgen/` holds what bindgen makes; `KESHI_BLESS=1 cargo test --release -p keshi-tests --test bindgen`
//! writes it anew. Also pins the list of symbols.

/// Functions over the Rust types, so that a wrong signature does not compile. What a handle points to has no layout that C
/// could see, on purpose.
#[allow(clippy::all, dead_code, improper_ctypes, non_camel_case_types, unused_imports)]
#[expect(improper_ctypes, reason = "handles point to structs that C never sees inside")]
mod functions {
    include!("bindgen/functions.rs");
}

/// Types as C lays them out.
#[allow(clippy::all, dead_code, non_camel_case_types, non_upper_case_globals, unsafe_op_in_unsafe_fn)]
mod types {
    include!("bindgen/types.rs");
}

use std::collections::BTreeSet;
use std::mem::offset_of;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Assigns each export to the type that bindgen gives the function, and lists the names.
macro_rules! exports {
    ($($name:ident($($argument:tt),*);)*) => {
        const NAMES: &[&str] = &[$(stringify!($name)),*];

        #[test]
        #[allow(unused_assignments, unused_variables)]
        fn signatures_agree() {
            $({
                let mut f = functions::$name as unsafe extern "C" fn($($argument),*) -> _;
                f = keshi_ffi::$name;
            })*
        }
    };
}

exports! {
    ks_version();
    ks_set_num_threads(_);
    ks_num_threads(_);
    ks_simd_level();
    ks_seed(_);
    ks_seed_device(_, _, _);
    ks_memory_stats(_, _, _);
    ks_memory_reset_peak();
    ks_memory_trim();
    ks_last_error();
    ks_last_error_code();
    ks_array_new(_, _, _, _, _, _);
    ks_array_from_data(_, _, _, _, _, _, _, _);
    ks_array_from_foreign(_, _, _, _, _, _, _, _);
    ks_array_retain(_, _);
    ks_array_free(_);
    ks_array_ndim(_, _);
    ks_array_dims(_, _, _);
    ks_array_size(_, _);
    ks_array_dtype(_, _);
    ks_array_device(_, _, _);
    ks_array_share(_);
    ks_array_data(_, _);
    ks_array_version(_, _);
    ks_array_touch(_);
    ks_array_read(_, _, _);
    ks_array_write(_, _, _);
    ks_array_item(_, _);
    ks_array_slice(_, _, _, _);
    ks_array_at(_, _, _);
    ks_array_reshape(_, _, _, _, _);
    ks_array_renew(_, _);
    ks_array_detach(_, _);
    ks_save(_, _, _, _);
    ks_save_buffer(_, _, _, _);
    ks_array_to_record(_, _);
    ks_array_from_record(_, _, _);
    ks_load(_, _);
    ks_load_buffer(_, _, _);
    ks_list_len(_, _, _);
    ks_list_get(_, _, _, _);
    ks_list_free(_);
    ks_buffer_data(_, _, _);
    ks_buffer_free(_);
    ks_array_to_dlpack(_, _);
    ks_array_from_dlpack(_, _);
    ks_op_count();
    ks_op_at(_, _);
    ks_op_find(_, _);
    ks_op_info(_, _);
    ks_op_param(_, _, _);
    ks_params_new(_, _, _, _, _);
    ks_params_free(_);
    ks_op_invoke(_, _, _, _, _, _, _, _, _, _);
    ks_op_invoke_params(_, _, _, _, _, _, _, _);
    ks_op_invoke_scalar(_, _, _, _, _);
    ks_op_invoke_binary(_, _, _, _, _);
    ks_set_recording(_, _);
    ks_set_training(_, _);
    ks_is_recording();
    ks_is_training();
    ks_attach_grad(_, _);
    ks_mark_variables(_, _, _, _);
    ks_array_grad(_, _);
    ks_attach_grad_rows(_, _);
    ks_array_grad_rows(_, _, _);
    ks_array_set_grad_rows(_, _, _);
    ks_array_distinct(_, _, _);
    ks_array_filled_rows(_, _, _);
    ks_fresh_grad(_, _);
    ks_set_fresh_grad(_, _);
    ks_backward(_, _, _, _, _, _);
    ks_grad(_, _, _, _, _, _, _, _, _);
    ks_fail(_, _);
    ks_save_as(_, _, _, _, _, _);
    ks_list_sparse(_, _, _);
    ks_ahead_new(_, _, _, _, _, _, _);
    ks_ahead_wait(_, _);
    ks_ahead_free(_);
    ks_einsum(_, _, _, _);
    ks_record_function(_, _, _, _, _, _, _, _, _);
    ks_register(_, _, _);
    ks_set_nan_check(_, _);
    ks_set_profiling(_, _);
    ks_profile_clock();
    ks_profile_span(_, _);
    ks_profile_trace(_, _);
    ks_symbol_variable(_, _, _, _, _);
    ks_symbol_call(_, _, _, _, _, _, _, _, _);
    ks_symbol_group(_, _, _);
    ks_symbol_compose(_, _, _, _, _, _);
    ks_symbol_retain(_, _);
    ks_symbol_recorded(_, _);
    ks_symbol_free(_);
    ks_symbol_from_json(_, _);
    ks_symbol_list(_, _, _);
    ks_symbol_attr(_, _, _);
    ks_symbol_set_attr(_, _, _);
    ks_symbol_internals(_, _);
    ks_symbol_children(_, _);
    ks_symbol_output(_, _, _);
    ks_strings_len(_, _);
    ks_strings_get(_, _, _);
    ks_strings_free(_);
    ks_symbol_infer_shape(_, _, _, _, _, _);
    ks_shapes_len(_, _);
    ks_shapes_get(_, _, _, _);
    ks_shapes_free(_);
    ks_symbol_infer_type(_, _, _, _, _, _);
    ks_executor_bind(_, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _);
    ks_executor_free(_);
    ks_executor_forward(_, _);
    ks_executor_backward(_, _, _, _);
    ks_executor_outputs(_, _, _);
    ks_executor_set_monitor(_, _, _);
    ks_executor_describe(_, _);
    ks_executor_set_parameters(_, _, _);
    ks_cached_op_new(_, _, _, _, _);
    ks_cached_op_free(_);
    ks_cached_op_report(_, _);
    ks_cached_op_invoke(_, _, _, _, _, _, _);
}

/// Compares size, alignment and the places of fields.
macro_rules! layouts {
    ($($name:ident { $($field:ident),* })*) => {
        #[test]
        fn layouts_agree() {
            $(
                assert_eq!(size_of::<types::$name>(), size_of::<keshi_ffi::$name>(), stringify!($name));
                assert_eq!(align_of::<types::$name>(), align_of::<keshi_ffi::$name>(), stringify!($name));
                $(assert_eq!(
                    offset_of!(types::$name, $field),
                    offset_of!(keshi_ffi::$name, $field),
                    concat!(stringify!($name), ".", stringify!($field))
                );)*
            )*
        }
    };
}

layouts! {
    KsValueAs { i, f, s, ints, floats }
    KsOpInfo { name, doc, num_aliases, aliases, num_inputs, inputs, variadic, num_args_param, num_params, other_params }
    KsSparse { storage, ndim, dims, indices }
    KsPartial { ndim, sizes }
    KsProperty { property, num_arguments, arguments, num_states, num_outputs, outputs, needs_grads }
    KsDefinition { property, infer_shape, infer_type, create, forward, backward, release }
    KsParamInfo { name, type_text, default_text, doc, required }
}

#[test]
fn values_and_numbers_agree() {
    // `as` is a keyword here.
    assert_eq!(size_of::<types::KsValue>(), size_of::<keshi_ffi::KsValue>());
    assert_eq!(offset_of!(types::KsValue, tag), offset_of!(keshi_ffi::KsValue, tag));
    assert_eq!(offset_of!(types::KsValue, len), offset_of!(keshi_ffi::KsValue, len));
    assert_eq!(offset_of!(types::KsValue, as_), offset_of!(keshi_ffi::KsValue, r#as));
    for d in keshi::DType::ALL {
        // KS_BOOL is a tag of values.
        let name = format!("KS_{}", d.name().to_uppercase().replace("BOOL", "BOOL8"));
        let constant = format!("KsDType_{name} : KsDType = {} ;", d as i32);
        assert!(include_str!("bindgen/types.rs").contains(&constant), "{constant}");
    }
    assert_eq!(types::KsErrorCode_KS_ERROR_INTERNAL, keshi::ErrorKind::Internal as u32);
    assert_eq!(types::KsErrorCode_KS_ERROR_AUTOGRAD, keshi::ErrorKind::Autograd as u32);
    assert_eq!(types::KsGradReq_KS_GRAD_ADD, keshi::GradReq::Add as u32);
    assert_eq!(types::KS_VERSION, keshi_ffi::ks_version());
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().into()
}

fn builder() -> bindgen::Builder {
    let header = root().join("ffi/include/keshi.h");
    bindgen::Builder::default()
        .header(header.to_str().unwrap())
        .allowlist_item("(ks|Ks|KS)_?.*")
        .formatter(bindgen::Formatter::None)
        .disable_header_comment()
        .generate_comments(false)
}

fn compare(name: &str, bound: bindgen::Bindings) {
    // One item a line, so that a change can be read.
    let made = bound.to_string().replace(" ; } unsafe", " ; }\nunsafe").replace("# [", "\n# [");
    let path = root().join("tests/tests/bindgen").join(name);
    if std::env::var_os("KESHI_BLESS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(made == committed, "{name} is stale; make it anew with KESHI_BLESS=1");
}

#[test]
fn the_committed_bindings_are_the_generated_ones() {
    let functions = builder().ignore_functions().generate().unwrap();
    compare("types.rs", functions);
    let over_ours = builder().blocklist_type("Ks.*").blocklist_var("KS.*").raw_line("use keshi_ffi::*;");
    compare("functions.rs", over_ours.generate().unwrap());
}

#[test]
fn the_list_of_symbols_is_pinned() {
    let want: BTreeSet<&str> = NAMES.iter().copied().collect();
    assert_eq!(want.len(), NAMES.len());
    // Cargo built it for this test, which lies in <target>/<profile>/deps.
    let library = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("libkeshi_ffi.so");
    let nm = Command::new("nm").args(["-D", "--defined-only"]).arg(library).output().unwrap();
    let listed = String::from_utf8_lossy(&nm.stdout).into_owned();
    let got: BTreeSet<&str> = listed.lines().filter_map(|l| l.split_whitespace().nth(2)).collect();
    assert_eq!(got, want);
}
