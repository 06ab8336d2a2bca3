//! Operators of the caller's own, registered under a name: the table's `Custom` with functions written in C.

use crate::custom::{Lent, failure};
use crate::guard::guard;
use crate::handle::{text, texts};
use crate::types::{KsDefinition, KsPartial, KsProperty};
use keshi::custom::{self, Backward, Definition, Operator, Property, Rules, outside};
use keshi::shape::Dims;
use keshi::shape::partial::Partial;
use keshi::{Array, DType, Device, Result, bail};
use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr;
use std::sync::Arc;

/// Something of the caller's, and the functions that go with it.
struct Owned(KsDefinition, *mut c_void);

// SAFETY: the caller of `ks_register` promises that all functions may be called from any thread.
unsafe impl Send for Owned {}
// SAFETY: as above.
unsafe impl Sync for Owned {}

impl Drop for Owned {
    fn drop(&mut self) {
        if let Some(release) = self.0.release {
            // SAFETY: it came with this function, and this is the only call.
            unsafe { release(self.1) };
        }
    }
}

/// Runs one of the caller's functions, which `ks_register` has seen to be there.
fn made<F>(f: Option<F>, training: bool, call: impl FnOnce(F) -> c_int) -> Result<()> {
    let Some(f) = f else { bail!(Internal, "a function is missing") };
    if outside(training, || call(f)) != 0 {
        return Err(failure());
    }
    Ok(())
}

fn c_texts(list: impl Iterator<Item = String>) -> Vec<CString> {
    list.map(|s| CString::new(s.replace('\0', "")).unwrap_or_default()).collect()
}

fn pointers(list: &[CString]) -> Vec<*const c_char> {
    list.iter().map(|s| s.as_ptr()).collect()
}

impl Definition for Owned {
    fn property(&self, keywords: &[(String, String)]) -> Result<Property> {
        let keys = c_texts(keywords.iter().map(|(k, _)| k.clone()));
        let values = c_texts(keywords.iter().map(|(_, v)| v.clone()));
        let (keys, values) = (pointers(&keys), pointers(&values));
        let none = ptr::null();
        let mut p = KsProperty {
            property: ptr::null_mut(),
            num_arguments: 0,
            arguments: none,
            num_states: 0,
            num_outputs: 0,
            outputs: none,
            needs_grads: true,
        };
        // SAFETY: the lists are as long as the function is told.
        made(self.0.property, false, |f| unsafe {
            f(self.1, keys.len(), keys.as_ptr(), values.as_ptr(), &mut p)
        })?;
        let rules = Arc::new(Owned(self.0, p.property));
        // SAFETY: the function has told lists of that length.
        let names = |list, n| unsafe { Ok(texts(list, n)?.into_iter().map(str::to_owned).collect()) };
        Ok(Property {
            arguments: names(p.arguments, p.num_arguments)?,
            states: p.num_states,
            outputs: names(p.outputs, p.num_outputs)?,
            needs_grads: p.needs_grads,
            rules,
        })
    }
}

fn partial(shape: &Partial) -> Result<KsPartial> {
    let mut p = KsPartial { ndim: -1, sizes: [-1; 32] };
    if let Some(sizes) = shape.sizes() {
        let Some(to) = p.sizes.get_mut(..sizes.len()) else {
            bail!(Shape, "too many axes, got {}, want at most 32", sizes.len())
        };
        to.copy_from_slice(sizes);
        p.ndim = sizes.len() as i32;
    }
    Ok(p)
}

/// What a function told of a shape.
fn told(p: &KsPartial) -> Result<Partial> {
    let Ok(n) = usize::try_from(p.ndim) else { return Ok(Partial::UNKNOWN) };
    match p.sizes.get(..n) {
        Some(sizes) if sizes.iter().all(|&d| d >= -1) => Ok(Partial::from_sizes(sizes)),
        _ => bail!(Shape, "infer_shape told no shape, got {n} axes of {:?}", &p.sizes[..n.min(32)]),
    }
}

impl Rules for Owned {
    fn shapes(&self, ins: &mut [Partial], outs: &mut [Partial]) -> Result<()> {
        let mut all: Vec<KsPartial> = ins.iter().chain(outs.iter()).map(partial).collect::<Result<_>>()?;
        // SAFETY: the list is as long as both are.
        made(self.0.infer_shape, false, |f| unsafe { f(self.1, ins.len(), outs.len(), all.as_mut_ptr()) })?;
        for (i, (to, p)) in ins.iter_mut().chain(outs).zip(&all).enumerate() {
            let (p, had) = (told(p)?, to.clone());
            if to.merge(&p).is_err() {
                bail!(Shape, "infer_shape says {p} of operand {i}, which is {had}");
            }
        }
        Ok(())
    }

    fn types(&self, ins: &mut [Option<DType>], outs: &mut [Option<DType>]) -> Result<()> {
        let mut all: Vec<i32> = ins.iter().chain(outs.iter()).map(|d| d.map_or(-1, |d| d as i32)).collect();
        // SAFETY: the list is as long as both are.
        made(self.0.infer_type, false, |f| unsafe { f(self.1, ins.len(), outs.len(), all.as_mut_ptr()) })?;
        for (i, (to, &id)) in ins.iter_mut().chain(outs).zip(&all).enumerate() {
            let d = (id != -1).then(|| DType::from_id(id)).transpose()?;
            match (*to, d) {
                (Some(had), Some(d)) if had != d => {
                    bail!(Dtype, "infer_type says {d} of operand {i}, which is {had}")
                }
                (_, None) => {}
                _ => *to = d,
            }
        }
        Ok(())
    }

    fn create(&self, device: Device, ins: &[(Dims, DType)]) -> Result<Arc<dyn Operator>> {
        let shapes: Vec<KsPartial> =
            ins.iter().map(|(dims, _)| partial(&Partial::from(&dims[..]))).collect::<Result<_>>()?;
        let dtypes: Vec<i32> = ins.iter().map(|(_, d)| *d as i32).collect();
        let (kind, id) = (device.kind(), device.id());
        let mut object = ptr::null_mut();
        // SAFETY: the lists are as long as the function is told.
        made(self.0.create, false, |f| unsafe {
            f(self.1, kind, id, ins.len(), shapes.as_ptr(), dtypes.as_ptr(), &mut object)
        })?;
        Ok(Arc::new(Owned(self.0, object)))
    }
}

impl Operator for Owned {
    fn forward(&self, training: bool, ins: &[Array], outs: &[Array]) -> Result<()> {
        let (ins, outs) = (Lent::of(ins), Lent::of(outs));
        // SAFETY: the lists are as long as the function is told.
        made(self.0.forward, training, |f| unsafe {
            f(self.1, training.into(), ins.0.len(), ins.0.as_ptr(), outs.0.len(), outs.0.as_ptr())
        })
    }

    fn backward(&self, to: &Backward<'_>) -> Result<()> {
        let [grads, ins, outs, in_grads] = [to.grads, to.ins, to.outs, to.in_grads].map(Lent::of);
        let wanted: Vec<i32> = to.wanted.iter().map(|&w| w.into()).collect();
        let grads = if grads.0.is_empty() { None } else { Some(grads) };
        let first = grads.as_ref().map_or(ptr::null(), |g| g.0.as_ptr());
        // SAFETY: the lists are as long as the function is told.
        made(self.0.backward, true, |f| unsafe {
            f(
                self.1,
                ins.0.len(),
                ins.0.as_ptr(),
                outs.0.len(),
                outs.0.as_ptr(),
                first,
                wanted.as_ptr(),
                in_grads.0.as_ptr(),
            )
        })
    }
}

/// Makes the operator `Custom` with `op_type = name` run these functions from now on, also in graphs that are made later.
/// `definition` is copied. `release(owner)` is called when another definition has taken its place and nothing of it is in use.
/// Fails when a pointer is NULL, the name is empty or a function other than `release` is missing; then `release` is not called.
/// # Safety
/// `name` is a string; the functions may be called from any thread, and do what KsDefinition says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ks_register(
    name: *const c_char,
    definition: *const KsDefinition,
    owner: *mut c_void,
) -> c_int {
    guard("ks_register", || {
        // SAFETY: the caller's promise.
        let (name, definition) = unsafe { (text(name, "name")?, definition.as_ref()) };
        let Some(&d) = definition else {
            bail!(Argument, "definition is not usable, got NULL, want a valid pointer")
        };
        let there = [d.property.is_some(), d.infer_shape.is_some(), d.infer_type.is_some()];
        if !(there == [true; 3] && d.create.is_some() && d.forward.is_some() && d.backward.is_some()) {
            bail!(Argument, "a function of the definition is not usable, got NULL");
        }
        if name.is_empty() {
            bail!(Argument, "an operator needs a name, got an empty one");
        }
        custom::register(name, Arc::new(Owned(d, owner)))
    })
}
