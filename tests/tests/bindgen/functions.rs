use keshi_ffi::*;

unsafe extern "C" { pub fn ks_version () -> u32 ; }
unsafe extern "C" { pub fn ks_set_num_threads (n : usize) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_num_threads (out : * mut usize) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_simd_level () -> * const :: std :: os :: raw :: c_char ; }
unsafe extern "C" { pub fn ks_seed (seed : u64) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_seed_device (seed : u64 , device_type : i32 , device_id : i32) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_memory_stats (live : * mut usize , peak : * mut usize , pooled : * mut usize) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_memory_reset_peak () -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_memory_trim () -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_last_error () -> * const :: std :: os :: raw :: c_char ; }
unsafe extern "C" { pub fn ks_last_error_code () -> i32 ; }
unsafe extern "C" { pub fn ks_array_new (dtype : i32 , ndim : usize , dims : * const usize , device_type : i32 , device_id : i32 , out : * mut * mut KsArray) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_array_from_data (data : * const :: std :: os :: raw :: c_void , nbytes : usize , dtype : i32 , ndim : usize , dims : * const usize , device_type : i32 , device_id : i32 , out : * mut * mut KsArray) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_array_from_foreign (data : * mut :: std :: os :: raw :: c_void , nbytes : usize , dtype : i32 , ndim : usize , dims : * const usize , release : :: std :: option :: Option < unsafe extern "C" fn (arg1 : * mut :: std :: os :: raw :: c_void) > , owner : * mut :: std :: os :: raw :: c_void , out : * mut * mut KsArray) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_array_retain (a : * mut KsArray , out : * mut * mut KsArray) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_array_free (a : * mut KsArray) ; }
unsafe extern "C" { pub fn ks_array_ndim (a : * const KsArray , out : * mut usize) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_array_dims (a : * const KsArray , dims : * mut * const usize , ndim : * mut usize) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_array_size (a : * const KsArray , out : * mut usize) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_array_dtype (a : * const KsArray , out : * mut i32) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_array_device (a : * const KsArray , device_type : * mut i32 , device_id : * mut i32) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_array_share (a : * const KsArray) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_array_data (a : * const KsArray , out : * mut * mut :: std :: os :: raw :: c_void) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_array_version (a : * const KsArray , out : * mut u64) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_array_touch (a : * mut KsArray) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_array_read (a : * const KsArray , dst : * mut :: std :: os :: raw :: c_void , nbytes : usize) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_array_write (a : * mut KsArray , src : * const :: std :: os :: raw :: c_void , nbytes : usize) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_array_item (a : * const KsArray , out : * mut f64) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_array_slice (a : * mut KsArray , begin : i64 , end : i64 , out : * mut * mut KsArray) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_array_at (a : * mut KsArray , index : i64 , out : * mut * mut KsArray) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_array_reshape (a : * mut KsArray , n : usize , codes : * const i64 , reverse : :: std :: os :: raw :: c_int , out : * mut * mut KsArray) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_array_renew (a : * mut KsArray , out : * mut * mut KsArray) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_array_detach (a : * mut KsArray , out : * mut * mut KsArray) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_save (path : * const :: std :: os :: raw :: c_char , n : usize , list : * const * mut KsArray , names : * const * const :: std :: os :: raw :: c_char) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_save_buffer (n : usize , list : * const * mut KsArray , names : * const * const :: std :: os :: raw :: c_char , out : * mut * mut KsBuffer) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_save_as (format : i32 , n : usize , list : * const * mut KsArray , names : * const * const :: std :: os :: raw :: c_char , sparse : * const KsSparse , out : * mut * mut KsBuffer) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_array_to_record (a : * const KsArray , out : * mut * mut KsBuffer) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_array_from_record (data : * const u8 , nbytes : usize , out : * mut * mut KsArray) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_load (path : * const :: std :: os :: raw :: c_char , out : * mut * mut KsList) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_load_buffer (data : * const u8 , nbytes : usize , out : * mut * mut KsList) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_list_len (l : * const KsList , out : * mut usize , named : * mut :: std :: os :: raw :: c_int) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_list_get (l : * const KsList , i : usize , array : * mut * mut KsArray , name : * mut * const :: std :: os :: raw :: c_char) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_list_sparse (l : * const KsList , i : usize , out : * mut KsSparse) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_list_free (l : * mut KsList) ; }
unsafe extern "C" { pub fn ks_buffer_data (b : * const KsBuffer , data : * mut * const u8 , nbytes : * mut usize) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_buffer_free (b : * mut KsBuffer) ; }
unsafe extern "C" { pub fn ks_array_to_dlpack (a : * mut KsArray , out : * mut * mut :: std :: os :: raw :: c_void) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_array_from_dlpack (managed : * mut :: std :: os :: raw :: c_void , out : * mut * mut KsArray) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_op_count () -> usize ; }
unsafe extern "C" { pub fn ks_op_at (i : usize , out : * mut * const KsOp) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_op_find (name : * const :: std :: os :: raw :: c_char , out : * mut * const KsOp) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_op_info (op : * const KsOp , out : * mut KsOpInfo) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_op_param (op : * const KsOp , i : usize , out : * mut KsParamInfo) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_params_new (op : * const KsOp , n : usize , index : * const u32 , values : * const KsValue , out : * mut * mut KsParams) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_params_free (p : * mut KsParams) ; }
unsafe extern "C" { pub fn ks_op_invoke (op : * const KsOp , num_inputs : usize , inputs : * const * mut KsArray , num_params : usize , index : * const u32 , values : * const KsValue , num_given : usize , capacity : usize , outputs : * mut * mut KsArray , num_outputs : * mut usize) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_op_invoke_params (op : * const KsOp , num_inputs : usize , inputs : * const * mut KsArray , params : * const KsParams , num_given : usize , capacity : usize , outputs : * mut * mut KsArray , num_outputs : * mut usize) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_op_invoke_scalar (op : * const KsOp , input : * mut KsArray , scalar : f64 , given : * mut KsArray , out : * mut * mut KsArray) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_op_invoke_binary (op : * const KsOp , lhs : * mut KsArray , rhs : * mut KsArray , given : * mut KsArray , out : * mut * mut KsArray) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_ahead_new (op : * const KsOp , num_inputs : usize , inputs : * const * mut KsArray , num_params : usize , index : * const u32 , values : * const KsValue , out : * mut * mut KsAhead) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_ahead_wait (a : * mut KsAhead , out : * mut * mut KsArray) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_ahead_free (a : * mut KsAhead) ; }
unsafe extern "C" { pub fn ks_einsum (equation : * const :: std :: os :: raw :: c_char , n : usize , inputs : * const * mut KsArray , out : * mut * mut KsArray) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_set_recording (on : :: std :: os :: raw :: c_int , previous : * mut :: std :: os :: raw :: c_int) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_set_training (on : :: std :: os :: raw :: c_int , previous : * mut :: std :: os :: raw :: c_int) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_is_recording () -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_is_training () -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_attach_grad (a : * mut KsArray , req : i32) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_mark_variables (n : usize , vars : * const * mut KsArray , grads : * const * mut KsArray , reqs : * const i32) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_array_grad (a : * const KsArray , out : * mut * mut KsArray) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_fresh_grad (a : * const KsArray , out : * mut :: std :: os :: raw :: c_int) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_set_fresh_grad (a : * mut KsArray , fresh : :: std :: os :: raw :: c_int) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_backward (n : usize , heads : * const * mut KsArray , head_grads : * const * mut KsArray , retain_graph : :: std :: os :: raw :: c_int , create_graph : :: std :: os :: raw :: c_int , train_mode : :: std :: os :: raw :: c_int) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_grad (n : usize , heads : * const * mut KsArray , head_grads : * const * mut KsArray , num_vars : usize , vars : * const * mut KsArray , retain_graph : :: std :: os :: raw :: c_int , create_graph : :: std :: os :: raw :: c_int , train_mode : :: std :: os :: raw :: c_int , out : * mut * mut KsArray) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_attach_grad_rows (a : * mut KsArray , req : i32) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_array_grad_rows (a : * const KsArray , indices : * mut * mut KsArray , data : * mut * mut KsArray) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_array_set_grad_rows (a : * mut KsArray , indices : * const KsArray , data : * const KsArray) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_array_distinct (a : * const KsArray , values : * mut * mut KsArray , places : * mut * mut KsArray) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_array_filled_rows (a : * const KsArray , indices : * mut * mut KsArray , data : * mut * mut KsArray) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_fail (code : i32 , text : * const :: std :: os :: raw :: c_char) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_record_function (num_inputs : usize , inputs : * const * mut KsArray , num_outputs : usize , outputs : * const * mut KsArray , keep_outputs : :: std :: os :: raw :: c_int , backward : KsBackward , release : :: std :: option :: Option < unsafe extern "C" fn (owner : * mut :: std :: os :: raw :: c_void) > , owner : * mut :: std :: os :: raw :: c_void , recorded : * mut * mut KsArray) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_register (name : * const :: std :: os :: raw :: c_char , definition : * const KsDefinition , owner : * mut :: std :: os :: raw :: c_void) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_symbol_variable (name : * const :: std :: os :: raw :: c_char , n : usize , keys : * const * const :: std :: os :: raw :: c_char , values : * const * const :: std :: os :: raw :: c_char , out : * mut * mut KsSymbol) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_symbol_call (op : * const KsOp , name : * const :: std :: os :: raw :: c_char , num_attrs : usize , keys : * const * const :: std :: os :: raw :: c_char , values : * const * const :: std :: os :: raw :: c_char , num_inputs : usize , input_names : * const * const :: std :: os :: raw :: c_char , inputs : * const * mut KsSymbol , out : * mut * mut KsSymbol) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_symbol_group (n : usize , list : * const * mut KsSymbol , out : * mut * mut KsSymbol) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_symbol_compose (s : * const KsSymbol , name : * const :: std :: os :: raw :: c_char , n : usize , names : * const * const :: std :: os :: raw :: c_char , with : * const * mut KsSymbol , out : * mut * mut KsSymbol) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_symbol_retain (s : * const KsSymbol , out : * mut * mut KsSymbol) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_symbol_recorded (a : * const KsArray , out : * mut * mut KsSymbol) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_symbol_free (s : * mut KsSymbol) ; }
unsafe extern "C" { pub fn ks_symbol_from_json (json : * const :: std :: os :: raw :: c_char , out : * mut * mut KsSymbol) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_symbol_list (s : * const KsSymbol , what : i32 , out : * mut * mut KsStrings) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_symbol_attr (s : * const KsSymbol , key : * const :: std :: os :: raw :: c_char , out : * mut * mut KsStrings) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_symbol_set_attr (s : * mut KsSymbol , key : * const :: std :: os :: raw :: c_char , value : * const :: std :: os :: raw :: c_char) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_symbol_internals (s : * const KsSymbol , out : * mut * mut KsSymbol) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_symbol_children (s : * const KsSymbol , out : * mut * mut KsSymbol) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_symbol_output (s : * const KsSymbol , i : usize , out : * mut * mut KsSymbol) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_strings_len (s : * const KsStrings , out : * mut usize) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_strings_get (s : * const KsStrings , i : usize , out : * mut * const :: std :: os :: raw :: c_char) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_strings_free (s : * mut KsStrings) ; }
unsafe extern "C" { pub fn ks_set_nan_check (on : :: std :: os :: raw :: c_int , previous : * mut :: std :: os :: raw :: c_int) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_set_profiling (on : :: std :: os :: raw :: c_int , previous : * mut :: std :: os :: raw :: c_int) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_profile_clock () -> u64 ; }
unsafe extern "C" { pub fn ks_profile_span (name : * const :: std :: os :: raw :: c_char , start : u64) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_profile_trace (reset : :: std :: os :: raw :: c_int , out : * mut * mut KsBuffer) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_symbol_infer_shape (s : * const KsSymbol , n : usize , names : * const * const :: std :: os :: raw :: c_char , ndims : * const usize , sizes : * const i64 , out : * mut * mut KsShapes) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_shapes_len (s : * const KsShapes , out : * mut usize) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_shapes_get (s : * const KsShapes , i : usize , ndim : * mut usize , sizes : * mut * const i64) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_shapes_free (s : * mut KsShapes) ; }
unsafe extern "C" { pub fn ks_symbol_infer_type (s : * const KsSymbol , n : usize , names : * const * const :: std :: os :: raw :: c_char , dtypes : * const i32 , capacity : usize , out : * mut i32) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_executor_bind (s : * const KsSymbol , device_type : i32 , device_id : i32 , num_args : usize , args : * const * mut KsArray , grads : * const * mut KsArray , reqs : * const i32 , num_aux : usize , aux : * const * mut KsArray , num_outputs : usize , outputs : * const * mut KsArray , num_groups : usize , groups : * const * const :: std :: os :: raw :: c_char , group_device_types : * const i32 , group_device_ids : * const i32 , out : * mut * mut KsExecutor) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_executor_free (e : * mut KsExecutor) ; }
unsafe extern "C" { pub fn ks_executor_set_parameters (e : * mut KsExecutor , n : usize , arguments : * const usize) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_executor_forward (e : * mut KsExecutor , training : :: std :: os :: raw :: c_int) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_executor_backward (e : * mut KsExecutor , n : usize , head_grads : * const * mut KsArray , training : :: std :: os :: raw :: c_int) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_executor_outputs (e : * const KsExecutor , capacity : usize , out : * mut * mut KsArray) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_executor_set_monitor (e : * mut KsExecutor , monitor : KsMonitor , payload : * mut :: std :: os :: raw :: c_void) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_executor_describe (e : * const KsExecutor , out : * mut * mut KsStrings) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_cached_op_new (s : * const KsSymbol , n : usize , keys : * const * const :: std :: os :: raw :: c_char , values : * const * const :: std :: os :: raw :: c_char , out : * mut * mut KsCachedOp) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_cached_op_free (c : * mut KsCachedOp) ; }
unsafe extern "C" { pub fn ks_cached_op_report (c : * const KsCachedOp , out : * mut * mut KsStrings) -> :: std :: os :: raw :: c_int ; }
unsafe extern "C" { pub fn ks_cached_op_invoke (c : * const KsCachedOp , num_inputs : usize , inputs : * const * mut KsArray , num_given : usize , capacity : usize , outputs : * mut * mut KsArray , num_outputs : * mut usize) -> :: std :: os :: raw :: c_int ; }