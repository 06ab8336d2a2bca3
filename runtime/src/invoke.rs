//! The single door: every call of an operator, from Rust, C, Perl or a graph, is infer → allocate → run → record.

use crate::array::Array;
use crate::autograd::mode;
use crate::autograd::node::{Edge, Node};
use crate::device::Device;
use crate::dtype::DType;
use crate::error::Result;
use crate::ops::def::{Arity, OpDef, Run, ShapeInfer, TypeInfer};
use crate::ops::infer::{Shapes, Types};
use crate::ops::params::Params;
use crate::ops::value::Value;
use crate::shape::broadcast::broadcast;
use crate::shape::partial::Partial;
use crate::shape::{Dims, show};
use crate::tensor::Tensor;
use crate::trace::{self, Traced};
use crate::watch::{self, Watch};
use smallvec::{SmallVec, smallvec};
use std::borrow::Cow;

/// Outputs of a call, the visible ones.
pub type Outputs = SmallVec<[Array; 1]>;

type Tensors<'a> = SmallVec<[&'a Tensor; 4]>;
type Specs = SmallVec<[(Dims, DType); 1]>;

/// Calls `op`. `given` are arrays to write the first outputs into; the others are new.
///
/// Errors name the operator. On an error nothing has been written, unless the kernel itself failed half-way.
pub fn invoke(op: &'static OpDef, ins: &[&Array], params: &Params, given: &[&Array]) -> Result<Outputs> {
    let result = if watch::any() { watched(op, ins, params, given) } else { call(op, ins, params, given) };
    result.map_err(|e| e.within(op.name))
}

/// A call while something watches.
#[cold]
fn watched(op: &'static OpDef, ins: &[&Array], params: &Params, given: &[&Array]) -> Result<Outputs> {
    if trace::is_on() {
        return traced(op, ins, params, given);
    }
    let start = watch::profile::now();
    let outs = call(op, ins, params, given)?;
    if watch::is_on(Watch::Profile) {
        watch::profile::call(op.name, ins, start);
    }
    if watch::is_on(Watch::Nan) {
        watch::nan::check(ins, &outs)?;
    }
    Ok(outs)
}

/// A call that is noted down instead of made. Only what has no inputs may have an array to write into: that tells its shape. What
/// belongs to one call alone cannot be noted: a note is for many.
fn traced(op: &'static OpDef, ins: &[&Array], params: &Params, given: &[&Array]) -> Result<Outputs> {
    check_arity(op, params, ins.len())?;
    if op.sized_by_values.is_some() || op.of_call.is_some() || !(given.is_empty() || ins.is_empty()) {
        bail!(Internal, "the call cannot be traced");
    }
    let tensors: Tensors<'_> = ins.iter().map(|a| a.tensor()).collect();
    if let Some(view) = op.view {
        let out = Array::from(view(params, tensors[0])?);
        record(op, ins, params, &tensors, &[out.tensor()], std::slice::from_ref(&out));
        return Ok(smallvec![out]);
    }
    let device = device_of(op, params, &tensors);
    let outs: SmallVec<[Tensor; 1]> = infer(op, params, &tensors, given)?
        .iter()
        .map(|(dims, dtype)| Tensor::phantom(dims, *dtype, device))
        .collect::<Result<_>>()?;
    let arrays: Outputs = outs[..(op.visible)(params)].iter().map(|t| Array::from(t.clone())).collect();
    record(op, ins, params, &tensors, &outs.iter().collect::<Tensors<'_>>(), &arrays);
    let ins = tensors.iter().map(|t| (*t).clone()).collect();
    trace::note(Traced { op, params: params.clone(), training: mode::is_training(), ins, outs });
    Ok(arrays)
}

/// Makes a call whose outputs are there, of the shapes and dtypes that an earlier trace of it inferred: what a compiled graph
/// is made of. It is not recorded. An output overlaps an input only where the operator allows that.
pub fn invoke_into(
    op: &'static OpDef,
    ins: &[&Tensor],
    params: &Params,
    outs: &[&Tensor],
    training: bool,
) -> Result<()> {
    debug_assert!(!outs.iter().any(|out| clashes(op, out, ins)));
    let start = if watch::is_on(Watch::Profile) { Some(watch::profile::now()) } else { None };
    if op.has_states() || outs.iter().any(|t| t.size() > 0) {
        (op.run)(&Run { params, ins, outs, training }).map_err(|e| e.within(op.name))?;
    }
    op.changed(params, ins.len()).for_each(|i| ins[i].storage().bump());
    if let Some(start) = start {
        let arrays: SmallVec<[Array; 4]> = ins.iter().map(|t| Array::from((*t).clone())).collect();
        watch::profile::call(op.name, &arrays.iter().collect::<SmallVec<[&Array; 4]>>(), start);
    }
    Ok(())
}

/// Where the outputs of a call live.
fn device_of(op: &OpDef, params: &Params, ins: &[&Tensor]) -> Device {
    match (ins.first(), op.device) {
        (_, Some(f)) => f(params),
        (Some(t), None) => t.device(),
        (None, None) => Device::default(),
    }
}

/// Calls `op` with parameters by name.
pub fn invoke_named(op: &'static OpDef, ins: &[&Array], named: &[(&str, Value)]) -> Result<Outputs> {
    let params = parse_named(op, named, ins.len()).map_err(|e| e.within(op.name))?;
    invoke(op, ins, &params, &[])
}

/// Parses parameters by name. The parameter that counts variadic inputs is filled in when it is missing.
pub fn parse_named(op: &'static OpDef, named: &[(&str, Value)], inputs: usize) -> Result<Params> {
    let specs = (op.params.specs)();
    let mut given: Vec<(usize, Value)> = Vec::with_capacity(named.len() + 1);
    for (name, value) in named {
        match specs.iter().position(|s| s.name == *name) {
            Some(i) => given.push((i, value.clone())),
            None if op.params.others => given.push((specs.len(), Value::Str(format!("{name}={value}")))),
            None if specs.is_empty() => {}
            None => {
                let known: Vec<&str> = specs.iter().map(|s| s.name).collect();
                bail!(Param, "Cannot find argument '{name}', want one of {}", known.join(", "));
            }
        }
    }
    if let Arity::Variadic(Some(count)) = op.arity
        && let Some(i) = specs.iter().position(|s| s.name == count)
        && !given.iter().any(|(k, _)| *k == i)
    {
        given.push((i, Value::Int(inputs as i64)));
    }
    (op.params.parse)(&given)
}

/// Shapes and dtypes of all outputs of a call whose inputs are known.
fn infer(op: &OpDef, params: &Params, ins: &[&Tensor], given: &[&Array]) -> Result<Specs> {
    let n = (op.outputs)(params);
    // The two common cases without the detour over partly known shapes.
    let dims: Option<Dims> = match (op.shape, ins) {
        _ if op.sized_by_values.is_some() => op.sized_by_values.map(|f| f(params, ins)).transpose()?,
        (ShapeInfer::Same, [x, rest @ ..]) if rest.iter().all(|y| y.dims() == x.dims()) => {
            Some(x.dims().into())
        }
        (ShapeInfer::Broadcast, [x, y]) if x.dims() == y.dims() => Some(x.dims().into()),
        (ShapeInfer::Broadcast, [x, y]) => Some(broadcast(x.dims(), y.dims())?),
        _ => None,
    };
    let dtype = match (op.dtype, ins) {
        (TypeInfer::Same, [x, rest @ ..]) if rest.iter().all(|y| y.dtype() == x.dtype()) => Some(x.dtype()),
        _ => None,
    };
    if n == 1
        && let (Some(dims), Some(dtype)) = (&dims, dtype)
    {
        check_truths(op, &[dtype])?;
        return Ok(smallvec![(dims.clone(), dtype)]);
    }
    let dims: SmallVec<[Dims; 1]> = match dims {
        Some(d) => smallvec![d; n],
        None => {
            let mut shapes: SmallVec<[Partial; 4]> = ins.iter().map(|t| Partial::from(t.dims())).collect();
            let mut outs: SmallVec<[Partial; 4]> = smallvec![Partial::UNKNOWN; n];
            op.infer_shape(&mut Shapes { params, ins: &mut shapes, outs: &mut outs })?;
            // What the rule leaves open, a given array decides.
            let known = |(i, s): (usize, &Partial)| {
                let asked = || given.get(i).filter(|_| !s.is_known()).map(|g| Dims::from_slice(g.dims()));
                s.known()
                    .or_else(asked)
                    .ok_or_else(|| err!(Shape, "the shape of output {i} cannot be inferred, got {s}"))
            };
            outs.iter().enumerate().map(known).collect::<Result<_>>()?
        }
    };
    let dtypes: SmallVec<[DType; 4]> = match dtype {
        Some(d) => smallvec![d; n],
        None => {
            let mut types: SmallVec<[Option<DType>; 4]> = ins.iter().map(|t| Some(t.dtype())).collect();
            let mut outs: SmallVec<[Option<DType>; 4]> = smallvec![None; n];
            // A rule may leave the choice to a given array: it sees that array's dtype where there are no inputs to tell.
            if ins.is_empty() {
                outs.iter_mut().zip(given).for_each(|(d, g)| *d = Some(g.dtype()));
            }
            op.infer_type(&mut Types { params, ins: &mut types, outs: &mut outs })?;
            outs.iter().map(|d| d.unwrap_or_default()).collect()
        }
    };
    check_truths(op, &dtypes)?;
    ins.iter().try_for_each(|t| check_truths(op, &[t.dtype()]))?;
    Ok(dims.into_iter().zip(dtypes).collect())
}

/// Truth values are for operators that know them.
#[inline]
fn check_truths(op: &OpDef, dtypes: &[DType]) -> Result<()> {
    if !op.truths && dtypes.contains(&DType::Bool) {
        bail!(Dtype, "dtype bool is not supported, cast the array first");
    }
    Ok(())
}

/// The call of an element-wise operator of one or two inputs into one new array: what most small calls are. Says `None`
/// where the general way is needed, for instance to report a mistake.
fn simple(op: &'static OpDef, ins: &[&Array], params: &Params) -> Result<Option<Array>> {
    if op.view.is_some() || op.device.is_some() || op.has_states() {
        return Ok(None);
    }
    let mut tensors = [ins[0].tensor(); 2];
    let tensors = match ins {
        [_] => &tensors[..1],
        [_, y] if y.dtype() == ins[0].dtype() && y.dims() == ins[0].dims() => {
            tensors[1] = y.tensor();
            &tensors[..]
        }
        _ => return Ok(None),
    };
    let elementwise = match op.shape {
        ShapeInfer::Same => true,
        ShapeInfer::Broadcast => tensors.len() == 2,
        ShapeInfer::Rule(_) => false,
    };
    if !elementwise || (op.outputs)(params) != 1 {
        return Ok(None);
    }
    let x = tensors[0];
    let dtype = match op.dtype {
        TypeInfer::Same => x.dtype(),
        TypeInfer::Rule(rule) => {
            let (mut ins, mut outs) = ([Some(x.dtype()); 2], [None]);
            rule(&mut Types { params, ins: &mut ins[..tensors.len()], outs: &mut outs })?;
            outs[0].unwrap_or_default()
        }
    };
    check_truths(op, &[x.dtype(), dtype])?;
    let out = Tensor::empty(x.dims(), dtype, x.device())?;
    if out.size() > 0 {
        (op.run)(&Run { params, ins: tensors, outs: &[&out], training: mode::is_training() })?;
    }
    let out = Array::from(out);
    if mode::is_recording() {
        record(op, ins, params, tensors, &[out.tensor()], std::slice::from_ref(&out));
    }
    Ok(Some(out))
}

/// The parameters of this call.
#[inline]
fn of_call<'a>(op: &OpDef, params: &'a Params, ins: &[&Tensor]) -> Result<Cow<'a, Params>> {
    op.of_call.map_or(Ok(Cow::Borrowed(params)), |f| f(params, ins).map(Cow::Owned))
}

fn check_arity(op: &OpDef, params: &Params, given: usize) -> Result<()> {
    let want = op.num_inputs(params, given);
    if given != want {
        let names = match (op.input_names, op.arity) {
            (Some(names), _) => format!(", want {}", names(params).join(", ")),
            (None, Arity::Variadic(_)) => String::new(),
            (None, _) => format!(", want {}", op.inputs.join(", ")),
        };
        bail!(Argument, "Operator {} expects {want} inputs, but got {given}{names}", op.name);
    }
    Ok(())
}

fn check_given(given: &[&Array], specs: &Specs, visible: usize, recording: bool) -> Result<()> {
    if given.len() > visible {
        bail!(Argument, "{} arrays were given for the result, want at most {visible}", given.len());
    }
    for (i, (out, (dims, dtype))) in given.iter().zip(specs).enumerate() {
        if out.dims() != dims.as_slice() {
            bail!(
                Shape,
                "out {i} has another shape than the result, got {}, want {}",
                show(out.dims()),
                show(dims)
            );
        }
        if out.dtype() != *dtype {
            bail!(Dtype, "out {i} has another dtype than the result, got {}, want {dtype}", out.dtype());
        }
        if recording && out.has_edge() {
            bail!(
                Autograd,
                "Assigning to NDArrays that are already in a computational graph will cause undefined behavior when \
                 evaluating gradients; call backward first to clear the graph or do this outside of a record section"
            );
        }
    }
    Ok(())
}

fn call(op: &'static OpDef, ins: &[&Array], params: &Params, given: &[&Array]) -> Result<Outputs> {
    check_arity(op, params, ins.len())?;
    if given.is_empty()
        && !ins.is_empty()
        && let Some(out) = simple(op, ins, params)?
    {
        return Ok(smallvec![out]);
    }
    let tensors: Tensors<'_> = ins.iter().map(|a| a.tensor()).collect();
    let params = &*of_call(op, params, &tensors)?;
    let visible = (op.visible)(params);
    if let Some(view) = op.view {
        let seen = view(params, tensors[0])?;
        let out = match given.first() {
            None => Array::from(seen),
            Some(to) => {
                let spec = (seen.dims().into(), seen.dtype());
                check_given(given, &smallvec![spec], visible, mode::is_recording())?;
                let (from, at) = (seen.span(), to.tensor().span());
                // SAFETY: both hold the same number of elements of one dtype; `copy` allows the two to overlap.
                unsafe { std::ptr::copy(from.bytes(), at.bytes(), at.len() * at.dtype().size()) };
                to.tensor().storage().bump();
                (*to).clone()
            }
        };
        record(op, ins, params, &tensors, &[out.tensor()], std::slice::from_ref(&out));
        return Ok(smallvec![out]);
    }
    let specs = infer(op, params, &tensors, given)?;
    check_given(given, &specs, visible, mode::is_recording())?;
    let device = device_of(op, params, &tensors);
    // Outputs: given ones are used in place unless the kernel would read what it overwrites.
    let mut outs: SmallVec<[Tensor; 1]> = SmallVec::with_capacity(specs.len());
    let mut copies: SmallVec<[usize; 1]> = SmallVec::new();
    for (i, (dims, dtype)) in specs.iter().enumerate() {
        match given.get(i) {
            Some(g) if !clashes(op, g.tensor(), &tensors) => outs.push(g.tensor().clone()),
            other => {
                if other.is_some() {
                    copies.push(i);
                }
                let make = if op.zeros { Tensor::zeros } else { Tensor::empty };
                outs.push(make(dims, *dtype, device)?);
            }
        }
    }
    let out_tensors: Tensors<'_> = outs.iter().collect();
    let training = mode::is_training();
    let there = op.zeros && given.is_empty();
    if !there && (op.has_states() || outs.is_empty() || outs.iter().any(|t| t.size() > 0)) {
        (op.run)(&Run { params, ins: &tensors, outs: &out_tensors, training })?;
    }
    op.changed(params, tensors.len()).for_each(|i| tensors[i].storage().bump());
    for &i in &copies {
        let (from, to) = (outs[i].span(), given[i].tensor().span());
        // SAFETY: both hold the same number of elements of one dtype, and the first is new.
        unsafe { std::ptr::copy_nonoverlapping(from.bytes(), to.bytes(), to.len() * to.dtype().size()) };
    }
    for g in given {
        g.tensor().storage().bump();
    }
    let finals: Tensors<'_> =
        outs.iter().enumerate().map(|(i, t)| given.get(i).map_or(t, |g| g.tensor())).collect();
    let arrays: Outputs = (0..visible)
        .map(|i| given.get(i).map_or_else(|| Array::from(outs[i].clone()), |g| (*g).clone()))
        .collect();
    record(op, ins, params, &tensors, &finals, &arrays);
    Ok(arrays)
}

/// Whether writing `out` while reading the inputs would go wrong.
fn clashes(op: &OpDef, out: &Tensor, ins: &[&Tensor]) -> bool {
    ins.iter().enumerate().any(|(i, x)| {
        x.storage().ptr() == out.storage().ptr()
            && x.span().overlaps(out.span())
            && !(op.inplace && x.span().same(out.span()))
            && !(op.mutates.contains(&i) && x.span().same(out.span()))
    })
}

/// Records the call when this thread records and some input has a history.
fn record(
    op: &'static OpDef,
    ins: &[&Array],
    params: &Params,
    tensors: &[&Tensor],
    outs: &[&Tensor],
    arrays: &[Array],
) {
    if !mode::is_recording() {
        return;
    }
    let edges: SmallVec<[Option<Edge>; 2]> = ins.iter().map(|a| a.edge()).collect();
    if edges.iter().all(Option::is_none) {
        return;
    }
    let node = Node::call(op, params, mode::is_training(), edges, tensors, outs);
    for (i, a) in arrays.iter().enumerate() {
        a.set_edge(Some(Edge { node: node.clone(), output: i as u32 }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autograd::mode::record;
    use crate::backward::{Options, backward};
    use crate::ops::shape_ops::view::shaped;
    use crate::ops::view::{ROWS, rows};
    use crate::{ErrorKind, GradReq};

    #[test]
    fn a_view_is_written_into_a_given_array() {
        let x = Array::from_slice(&[1f32, 2.0, 3.0, 4.0], &[4]).unwrap();
        let out = Array::from_slice(&[0f32; 2], &[2]).unwrap();
        let got = invoke(&ROWS, &[&x], &rows(1, 3), &[&out]).unwrap();
        assert_eq!(out.to_vec::<f32>(), [2.0, 3.0]);
        assert_eq!(got[0].to_vec::<f32>(), [2.0, 3.0]);
        // The array that was given does not share memory with the input afterwards.
        invoke(&ROWS, &[&out], &rows(0, 2), &[&x.detach()]).unwrap_err();
        assert_eq!(x.to_vec::<f32>(), [1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn a_view_into_an_overlapping_array_is_the_values_of_before() {
        let x = Array::from_slice(&[1f32, 2.0, 3.0, 4.0], &[4]).unwrap();
        let tail = Array::from(x.tensor().rows(1, 4).unwrap());
        invoke(&ROWS, &[&x], &rows(0, 3), &[&tail]).unwrap();
        assert_eq!(x.to_vec::<f32>(), [1.0, 1.0, 2.0, 3.0]);
    }

    #[test]
    fn a_view_into_a_given_array_is_recorded_and_one_that_does_not_fit_refused() {
        let x = Array::from_slice(&[1f32, 2.0, 3.0, 4.0], &[2, 2]).unwrap();
        x.attach_grad(GradReq::Write).unwrap();
        let out = Array::from_slice(&[0f32; 4], &[4]).unwrap();
        let reshape = crate::ops::find("_ks_reshaped").unwrap();
        record(|| invoke(reshape, &[&x], &shaped(&[4]), &[&out]).unwrap());
        backward(&[&out], &[], Options::default()).unwrap();
        assert_eq!(x.grad().unwrap().to_vec::<f32>(), [1.0; 4]);
        let small = Array::from_slice(&[7f32; 3], &[3]).unwrap();
        let e = invoke(reshape, &[&x], &shaped(&[4]), &[&small]).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Shape);
        assert_eq!(small.to_vec::<f32>(), [7.0; 3]);
    }
}
