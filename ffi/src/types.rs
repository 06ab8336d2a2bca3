//! Types of the header. Enums are passed as `int32_t`, so that a number which is none of theirs can be refused.
//! Handles are pointers to types that C never sees into: not `repr(C)`, so that the header only declares them.

use std::ffi::{c_char, c_int, c_void};

/// One reference to an array.
pub struct KsArray {
    _private: [u8; 0],
}

/// A parsed parameter set of one operator.
pub struct KsParams {
    _private: [u8; 0],
}

/// A call made ahead of its use.
pub struct KsAhead {
    _private: [u8; 0],
}

/// Bytes in memory.
pub struct KsBuffer {
    _private: [u8; 0],
}

/// Arrays read from a file, with or without names.
pub struct KsList {
    _private: [u8; 0],
}

/// A graph of calls that have not been made.
pub struct KsSymbol {
    _private: [u8; 0],
}

/// Texts that a function gives back.
pub struct KsStrings {
    _private: [u8; 0],
}

/// Shapes that a function gives back.
pub struct KsShapes {
    _private: [u8; 0],
}

/// A graph bound to arrays.
pub struct KsExecutor {
    _private: [u8; 0],
}

/// A graph that is called like an operator.
pub struct KsCachedOp {
    _private: [u8; 0],
}

/// An operator of the table; static, never freed.
pub struct KsOp {
    _private: [u8; 0],
}

/// Types of elements.
#[derive(Clone, Copy)]
#[repr(C)]
#[allow(clippy::enum_variant_names, reason = "C has one namespace for the variants of all enums")]
pub enum KsDType {
    /// IEEE binary32.
    KsFloat32 = 0,
    /// IEEE binary64.
    KsFloat64 = 1,
    /// IEEE binary16.
    KsFloat16 = 2,
    /// Unsigned, 8 bits.
    KsUint8 = 3,
    /// Signed, 32 bits.
    KsInt32 = 4,
    /// Signed, 8 bits.
    KsInt8 = 5,
    /// Signed, 64 bits.
    KsInt64 = 6,
    /// The truth values 0 and 1, a byte each. Most operators want them cast.
    KsBool8 = 7,
    /// The upper half of a binary32.
    KsBfloat16 = 12,
}

/// Kinds of device. All arrays live in the machine's memory: making one on KS_GPU fails.
#[derive(Clone, Copy)]
#[repr(C)]
#[allow(clippy::enum_variant_names, reason = "as above")]
pub enum KsDeviceType {
    /// Ordinary memory.
    KsCpu = 1,
    /// Refused.
    KsGpu = 2,
    /// Page-locked memory; the same as KS_CPU here.
    KsCpuPinned = 3,
}

/// What is done with a gradient that reaches a variable.
#[derive(Clone, Copy)]
#[repr(C)]
#[allow(clippy::enum_variant_names, reason = "as above")]
pub enum KsGradReq {
    /// It is thrown away.
    KsGradNull = 0,
    /// It replaces the buffer's content.
    KsGradWrite = 1,
    /// It is added to the buffer.
    KsGradAdd = 3,
}

/// Classes of failures, see ks_last_error_code.
#[derive(Clone, Copy)]
#[repr(C)]
#[allow(clippy::enum_variant_names, reason = "as above")]
pub enum KsErrorCode {
    /// A shape, axis or index that does not fit.
    KsErrorShape = 1,
    /// A dtype that is not taken, or dtypes that do not go together.
    KsErrorDtype = 2,
    /// An unknown, missing or malformed parameter.
    KsErrorParam = 3,
    /// No operator of that name.
    KsErrorUnknownOp = 4,
    /// The tape cannot do what was asked.
    KsErrorAutograd = 5,
    /// Memory could not be had.
    KsErrorMemory = 6,
    /// A NULL or otherwise unusable argument.
    KsErrorArgument = 7,
    /// A file or byte stream that cannot be read or written.
    KsErrorIo = 8,
    /// A numeric fault, such as integer division by zero.
    KsErrorNumeric = 9,
    /// A bug in Keshi.
    KsErrorInternal = 10,
}

/// What a KsValue holds.
#[derive(Clone, Copy)]
#[repr(C)]
#[allow(clippy::enum_variant_names, reason = "as above")]
pub enum KsTag {
    /// None.
    KsNone = 0,
    /// `as.i`, 0 or 1.
    KsBool = 1,
    /// `as.i`.
    KsInt = 2,
    /// `as.f`.
    KsFloat = 3,
    /// `as.s` of `len` bytes, UTF-8; need not end in NUL. Read as MXNet reads attributes: `(1, 2)`, `True`, `relu`.
    KsStr = 4,
    /// `as.ints` of `len` numbers; KS_INT_NONE is None.
    KsInts = 5,
    /// `as.floats` of `len` numbers.
    KsFloats = 6,
}

/// How arrays are written to a file. Reading tells them apart by itself.
#[derive(Clone, Copy)]
#[repr(C)]
#[allow(clippy::enum_variant_names, reason = "as above")]
pub enum KsFormat {
    /// MXNet's `.params`, with names or without.
    KsFormatParams = 0,
    /// NumPy's `.npy`: one array without a name.
    KsFormatNpy = 1,
    /// NumPy's `.npz`; without names they are called `arr_0`, `arr_1`, …
    KsFormatNpz = 2,
    /// safetensors; names are needed.
    KsFormatSafetensors = 3,
}

/// How an array is stored.
#[derive(Clone, Copy)]
#[repr(C)]
#[allow(clippy::enum_variant_names, reason = "as above")]
pub enum KsStorage {
    /// All elements.
    KsStorageDefault = 0,
    /// Some rows: `indices[0]` says which.
    KsStorageRowSparse = 1,
    /// Compressed rows: `indices[0]` says where each row begins, `indices[1]` the columns.
    KsStorageCsr = 2,
}

/// What an array of a file has besides its data when it is sparse.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct KsSparse {
    /// A KsStorage; with KS_STORAGE_DEFAULT nothing else is looked at, or set.
    pub storage: i32,
    /// Axes of the whole array.
    pub ndim: usize,
    /// Sizes of the axes of the whole array.
    pub dims: *const usize,
    /// The index arrays; NULL where there is none.
    pub indices: [*mut KsArray; 2],
}

/// The gradient of a function of the caller's own, see ks_record_function. Puts the gradients of the inputs into
/// `input_grads[0..num_inputs)`, as handles that it gives away, or NULL for an input that has none; returns 0, or -1 after
/// ks_fail. What it is given is borrowed. `outputs` is NULL unless they were to be kept.
pub type KsBackward = Option<
    unsafe extern "C" fn(
        owner: *mut c_void,
        num_outputs: usize,
        output_grads: *const *mut KsArray,
        outputs: *const *mut KsArray,
        num_inputs: usize,
        input_grads: *mut *mut KsArray,
    ) -> c_int,
>;

/// A shape that may be known in part.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct KsPartial {
    /// Number of axes, at most 32; -1 when not even that is known.
    pub ndim: i32,
    /// Sizes; -1 is unknown.
    pub sizes: [i64; 32],
}

/// What a registered operator is with the keywords of a call. The texts are copied at once.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct KsProperty {
    /// What `infer_shape`, `infer_type` and `create` of the KsDefinition get; given to `release` in the end.
    pub property: *mut c_void,
    /// Number of inputs.
    pub num_arguments: usize,
    /// Their names, those of states last.
    pub arguments: *const *const c_char,
    /// How many of them are states, which `forward` may change. They have no gradient.
    pub num_states: usize,
    /// Number of outputs, at least 1.
    pub num_outputs: usize,
    /// Their names.
    pub outputs: *const *const c_char,
    /// Whether the gradient depends on those of the outputs; that of a loss does not.
    pub needs_grads: bool,
}

/// Functions of an operator of the caller's own, see ks_register. Each returns 0, or -1 after ks_fail; all arrays are borrowed, and
/// may be retained. What they call is neither recorded nor traced.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct KsDefinition {
    /// What the operator is with these keywords, all texts, into `*out`.
    pub property: Option<
        unsafe extern "C" fn(
            owner: *mut c_void,
            n: usize,
            keys: *const *const c_char,
            values: *const *const c_char,
            out: *mut KsProperty,
        ) -> c_int,
    >,
    /// Fills in what it knows of the shapes of the inputs, and behind them the outputs. Some input's is known.
    pub infer_shape: Option<
        unsafe extern "C" fn(
            property: *mut c_void,
            num_inputs: usize,
            num_outputs: usize,
            shapes: *mut KsPartial,
        ) -> c_int,
    >,
    /// The same with KsDTypes; -1 is unknown.
    pub infer_type: Option<
        unsafe extern "C" fn(
            property: *mut c_void,
            num_inputs: usize,
            num_outputs: usize,
            dtypes: *mut i32,
        ) -> c_int,
    >,
    /// What a call computes with into `*object`, for inputs of these shapes and KsDTypes. Given to `release` when neither the call
    /// nor its gradient needs it any more.
    pub create: Option<
        unsafe extern "C" fn(
            property: *mut c_void,
            device_type: i32,
            device_id: i32,
            num_inputs: usize,
            shapes: *const KsPartial,
            dtypes: *const i32,
            object: *mut *mut c_void,
        ) -> c_int,
    >,
    /// Writes the outputs, which are zeros.
    pub forward: Option<
        unsafe extern "C" fn(
            object: *mut c_void,
            training: c_int,
            num_inputs: usize,
            inputs: *const *mut KsArray,
            num_outputs: usize,
            outputs: *const *mut KsArray,
        ) -> c_int,
    >,
    /// Writes `input_grads[i]`, which are zeros, where `wanted[i]` is not 0. `output_grads` is NULL without `needs_grads`.
    pub backward: Option<
        unsafe extern "C" fn(
            object: *mut c_void,
            num_inputs: usize,
            inputs: *const *mut KsArray,
            num_outputs: usize,
            outputs: *const *mut KsArray,
            output_grads: *const *mut KsArray,
            wanted: *const i32,
            input_grads: *const *mut KsArray,
        ) -> c_int,
    >,
    /// Called once, from any thread, with whatever of the owner, a property or an object is not needed any more. May be NULL.
    pub release: Option<unsafe extern "C" fn(what: *mut c_void)>,
}

/// What ks_symbol_list tells of a symbol.
#[derive(Clone, Copy)]
#[repr(C)]
#[allow(clippy::enum_variant_names, reason = "as above")]
pub enum KsSymbolList {
    /// Names of the variables that no call changes.
    KsListArguments = 0,
    /// Names of the outputs.
    KsListOutputs = 1,
    /// Names of the variables that some call changes.
    KsListAuxiliaryStates = 2,
    /// Names of all variables.
    KsListInputs = 3,
    /// The name, when all outputs are of one node; else nothing.
    KsListName = 4,
    /// Key and value of each attribute of the node that all outputs are of; nothing when there are several nodes.
    KsListAttributes = 5,
    /// Name of the node, key and value of each attribute of all nodes.
    KsListAllAttributes = 6,
    /// The whole graph in one text, which ks_symbol_from_json reads.
    KsListJson = 7,
}

/// None inside a KS_INTS tuple.
pub const KS_INT_NONE: i64 = i64::MIN;

/// A parameter's value. Any tag is accepted where it makes sense for the parameter.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct KsValue {
    /// A KsTag.
    pub tag: i32,
    /// Bytes of `s`, or numbers in `ints` or `floats`.
    pub len: usize,
    /// The value.
    pub r#as: KsValueAs,
}

/// The value of a KsValue.
#[repr(C)]
#[derive(Clone, Copy)]
pub union KsValueAs {
    /// KS_BOOL, KS_INT.
    pub i: i64,
    /// KS_FLOAT.
    pub f: f64,
    /// KS_STR.
    pub s: *const c_char,
    /// KS_INTS.
    pub ints: *const i64,
    /// KS_FLOATS.
    pub floats: *const f64,
}

/// What an operator is. Everything that it points to lives as long as the library.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct KsOpInfo {
    /// Its name.
    pub name: *const c_char,
    /// What it computes.
    pub doc: *const c_char,
    /// Number of other names.
    pub num_aliases: usize,
    /// Other names.
    pub aliases: *const *const c_char,
    /// Number of declared inputs.
    pub num_inputs: usize,
    /// Names of the declared inputs; of a variadic operator the base name of the repeated one.
    pub inputs: *const *const c_char,
    /// Whether it takes any number of inputs.
    pub variadic: bool,
    /// Index of the parameter that counts the inputs, filled in when absent; -1 when there is none.
    pub num_args_param: i32,
    /// Number of parameters.
    pub num_params: usize,
    /// Whether it takes parameters of any other name: a call gives each under the index `num_params`, as a text `name=value`.
    pub other_params: bool,
}

/// What a parameter is. Everything that it points to lives as long as the library.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct KsParamInfo {
    /// Its name.
    pub name: *const c_char,
    /// Its type as MXNet writes it, such as `int, optional, default='1'`.
    pub type_text: *const c_char,
    /// The default as text; NULL when the parameter is required.
    pub default_text: *const c_char,
    /// What it means.
    pub doc: *const c_char,
    /// Whether it must be given.
    pub required: bool,
}
