//! Element-wise calls run as one: a block of each array that fits the nearest cache goes through all of them before the next one
//! is touched. So a chain costs the memory traffic of its ends, whatever is between them.
//!
//! The kernels are the operators' own, run on parts of the arrays, which
//! [`OpDef::elementwise`](crate::ops::def::OpDef::elementwise) allows: results are those of the calls one by one, bit for bit. Of most
//! calls the kernel's loop is known, and run without the call around it.

use crate::device::Device;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::kernels::noted::{self, Loop};
use crate::kernels::{fence, gather, piece_of, spread, streams};
use crate::ops::def::{OpDef, Run};
use crate::ops::elementwise::chain::Chain;
use crate::ops::params::{ParamSet, ParamSpec, Params};
use crate::ops::value::Value;
use crate::shape::broadcast::{broadcast_strides, collapse};
use crate::shape::{Dims, Strides};
use crate::simd::level;
use crate::storage::Storage;
use crate::tensor::Tensor;
use smallvec::SmallVec;
use std::sync::{Mutex, PoisonError};

/// One call. Operands are numbers: first those of the inputs, then those of the outputs, then those of values in between.
#[derive(Clone, Debug)]
pub struct Step {
    /// The operator.
    pub op: &'static OpDef,
    /// Its parameters.
    pub params: Params,
    /// What it reads.
    pub ins: SmallVec<[usize; 3]>,
    /// What it writes.
    pub out: usize,
}

/// Calls to be run as one.
#[derive(Clone, Debug)]
pub struct Fused {
    steps: Vec<Step>,
    inputs: usize,
    outputs: usize,
    /// By operand.
    dtypes: Vec<DType>,
    /// Elements of a block.
    block: usize,
    /// Whether a later step reads an output.
    read: Vec<bool>,
    /// By step: its loop and what that reads, where that is all that the call does.
    loops: Vec<Option<(Loop, [usize; 2])>>,
    /// All steps as one loop, where there is one.
    chain: Option<Chain>,
}

/// Bytes of all blocks together: well inside of a first cache.
const NEAR: usize = 20 << 10;

/// Elements of a block: a power of two, so that blocks of an aligned array are aligned; few enough that no kernel cuts a block into
/// parts, and enough to be worth a step.
const ELEMENTS: std::ops::RangeInclusive<usize> = 256..=2048;
/// Enough to be worth a call.
const CALLED: usize = 512;

impl Fused {
    /// The parameters of [`FUSED`]. `dtypes` of all operands; each step writes another one than it reads.
    pub fn params(mut steps: Vec<Step>, inputs: usize, outputs: usize, mut dtypes: Vec<DType>) -> Params {
        share(&mut steps, inputs + outputs, &mut dtypes);
        let widest = dtypes.iter().map(|d| d.size()).max().unwrap_or(1);
        let loops: Vec<_> = steps.iter().map(|s| loop_of(s, &dtypes)).collect();
        let least = if loops.iter().all(Option::is_some) { *ELEMENTS.start() } else { CALLED };
        let room = (NEAR / dtypes.len().max(1) / widest).clamp(least, *ELEMENTS.end());
        let block = 1 << room.ilog2();
        let output = |i: usize| steps.iter().any(|s| s.ins.contains(&(inputs + i)));
        let read = (0..outputs).map(output).collect();
        let chain = if dtypes.iter().all(|d| *d == DType::F32) {
            chain_of(&steps, &loops, inputs + outputs)
        } else {
            None
        };
        Params::new(Fused { steps, inputs, outputs, dtypes, block, read, loops, chain })
    }

    /// The calls.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
}

fn chain_of(steps: &[Step], loops: &[Option<(Loop, [usize; 2])>], fixed: usize) -> Option<Chain> {
    let all: Option<Vec<_>> =
        steps.iter().zip(loops).map(|(s, l)| l.map(|(l, ins)| (l, ins, s.out))).collect();
    Chain::new(&all?, fixed)
}

/// The loop of a step, found by a call on one element, and the operands that it reads.
fn loop_of(step: &Step, dtypes: &[DType]) -> Option<(Loop, [usize; 2])> {
    let one = |&i: &usize| Tensor::zeros(&[1], dtypes[i], Device::default()).ok();
    let ins: SmallVec<[Tensor; 4]> = step.ins.iter().map(one).collect::<Option<_>>()?;
    let out = one(&step.out)?;
    let refs: SmallVec<[&Tensor; 4]> = ins.iter().collect();
    let call = Run { params: &step.params, ins: &refs, outs: &[&out], training: false };
    let found = noted::of(|| (step.op.run)(&call))?;
    let address = |t: &Tensor| t.span().bytes() as usize;
    let place = |at: usize| ins.iter().position(|t| address(t) == at);
    let places = [place(found.ins[0])?, place(found.ins[1])?];
    let all = (0..ins.len()).all(|i| places.contains(&i)) && found.out == address(&out);
    all.then(|| (found, places.map(|i| step.ins[i])))
}

/// Lets values in between that are not needed at the same time share an operand.
fn share(steps: &mut [Step], fixed: usize, dtypes: &mut Vec<DType>) {
    let mut last = vec![0; dtypes.len()];
    for (at, step) in steps.iter().enumerate() {
        step.ins.iter().for_each(|&i| last[i] = at);
    }
    let (mut to, mut kept): (Vec<usize>, Vec<DType>) = ((0..fixed).collect(), dtypes[..fixed].to_vec());
    to.resize(dtypes.len(), usize::MAX);
    let mut free: Vec<usize> = Vec::new();
    for (at, step) in steps.iter_mut().enumerate() {
        if to[step.out] == usize::MAX {
            let dtype = dtypes[step.out];
            let found = free.iter().position(|&i| kept[i] == dtype).map(|k| free.swap_remove(k));
            to[step.out] = found.unwrap_or_else(|| {
                kept.push(dtype);
                kept.len() - 1
            });
        }
        let dead = |&i: &usize| i >= fixed && last[i] == at;
        let mut gone: SmallVec<[usize; 3]> = step.ins.iter().copied().filter(dead).map(|i| to[i]).collect();
        gone.sort_unstable();
        gone.dedup();
        free.extend(gone);
        step.ins.iter_mut().for_each(|i| *i = to[*i]);
        step.out = to[step.out];
    }
    *dtypes = kept;
}

impl ParamSet for Fused {
    fn specs() -> Vec<ParamSpec> {
        Vec::new()
    }
    fn parse(_: &[(usize, Value)]) -> Result<Self> {
        bail!(Internal, "fused calls are not called by name")
    }
    fn texts(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The calls of a [`Fused`] as one call. Outputs have one shape, to which the inputs broadcast; an output may be exactly an input
/// where [`may_share`] says so.
pub static FUSED: OpDef = OpDef::new("_ks_fused", &["data"], run)
    .variadic(None)
    .inplace()
    .outputs(|p| p.get::<Fused>().outputs, |p| p.get::<Fused>().outputs)
    .doc("Element-wise calls run block by block.")
    .no_gradient("it is part of a compiled graph, which has one")
    .no_samples("it is not called by name");

/// Whether output `out` may be written where input `input` is, which is not stretched: no later step reads the input.
pub fn may_share(params: &Params, input: usize, out: usize) -> bool {
    let f: &Fused = params.get();
    let out = f.inputs + out;
    let Some(at) = f.steps.iter().position(|s| s.out == out) else { return false };
    f.steps[at].op.inplace && !f.steps[at + 1..].iter().any(|s| s.ins.contains(&input))
}

/// Where operands begin, for all threads.
struct Operands(SmallVec<[*mut u8; 12]>);

// SAFETY: each thread reads and writes elements of its own part.
unsafe impl Sync for Operands {}

/// How an input is walked.
enum Walk {
    /// In order.
    Flat,
    /// Stretched: sizes and strides.
    Stretched(Dims, Strides),
}

fn walk(x: &Tensor, to: &[usize]) -> Walk {
    if x.dims() == to {
        return Walk::Flat;
    }
    let (dims, [strides]) = collapse(to, [&broadcast_strides(x.dims(), to)]);
    Walk::Stretched(dims, strides)
}

fn run(r: &Run<'_>) -> Result<()> {
    let f: &Fused = r.p();
    let n = r.outs[0].size();
    let walks: SmallVec<[Walk; 8]> = r.ins.iter().map(|x| walk(x, r.outs[0].dims())).collect();
    let whole: SmallVec<[bool; 4]> = (r.outs.iter().zip(&f.read))
        .map(|(out, read)| {
            !read && streams(out.span()) && !r.ins.iter().any(|x| x.span().overlaps(out.span()))
        })
        .collect();
    if let Some(chain) = f.chain.as_ref().filter(|_| walks.iter().all(|w| matches!(w, Walk::Flat))) {
        let operands = Operands(r.ins.iter().chain(r.outs).map(|t| t.span().bytes()).collect());
        let past: SmallVec<[bool; 12]> = r.ins.iter().map(|_| false).chain(whole.iter().copied()).collect();
        let (level, operands) = (level(), &operands);
        spread(n, |part| {
            // SAFETY: elements of arrays that all have `n`; an output is an input only where no later step reads that.
            unsafe { chain.run(level, &operands.0, &past, part.start, part.end) }
            if past.contains(&true) {
                fence(level);
            }
        });
        return Ok(());
    }
    let failed: Mutex<Option<Error>> = Mutex::new(None);
    spread(n, |part| {
        let result = blocks(f, r, &walks, &whole, part.start, part.end);
        if let Err(e) = result {
            failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(e);
        }
    });
    failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

/// Elements `begin..end`.
fn blocks(f: &Fused, r: &Run<'_>, walks: &[Walk], whole: &[bool], begin: usize, end: usize) -> Result<()> {
    let block = f.block.min(end - begin);
    let stretched = |i: usize| i < f.inputs && !matches!(walks[i], Walk::Flat);
    let own = |i: usize| i >= f.inputs + f.outputs || stretched(i);
    // One piece of memory for everything in between.
    let room = |i: usize| (block * f.dtypes[i].size()).next_multiple_of(crate::storage::ALIGN);
    let total: usize = (0..f.dtypes.len()).filter(|&i| own(i)).map(room).sum();
    let scratch = Tensor::over(Storage::new(total)?, &[0], DType::U8, Device::default())?;
    let mut used = 0;
    let mut operands: SmallVec<[Tensor; 12]> = SmallVec::new();
    for (i, dtype) in f.dtypes.iter().enumerate() {
        operands.push(if own(i) {
            used += room(i);
            scratch.window(used - room(i), &[block], *dtype)?
        } else {
            let t = r.ins.get(i).unwrap_or_else(|| &r.outs[i - f.inputs]);
            t.with_dims(&[t.size()])?
        });
    }
    let first: SmallVec<[usize; 12]> = operands.iter().map(Tensor::offset).collect();
    let start: SmallVec<[*mut u8; 12]> = operands.iter().map(|t| t.span().bytes()).collect();
    let width: SmallVec<[usize; 12]> =
        (0..operands.len()).map(|i| if own(i) { 0 } else { f.dtypes[i].size() }).collect();
    let called = f.loops.iter().any(Option::is_none) || walks.iter().any(|w| !matches!(w, Walk::Flat));
    let (level, past) = (level(), whole.contains(&true));
    for at in (begin..end).step_by(block) {
        let n = block.min(end - at);
        if called {
            for (i, t) in operands.iter_mut().enumerate() {
                // SAFETY: elements `at..at + n` of an array of as many as the outputs have, or of a block of at least `n`.
                unsafe { t.slide(first[i] + at * width[i], n) };
            }
        }
        for (i, w) in walks.iter().enumerate() {
            if let Walk::Stretched(dims, strides) = w {
                stretch(r.ins[i], dims, strides, at, &operands[i]);
            }
        }
        for (step, known) in f.steps.iter().zip(&f.loops) {
            let streamed = step.out.checked_sub(f.inputs).filter(|&k| whole.get(k) == Some(&true));
            if let Some((each, ins)) = known {
                // SAFETY: as above.
                unsafe {
                    let place = |i: usize| start[i].add(at * width[i]);
                    each.run(
                        level,
                        ins.map(|i| place(i).cast_const()),
                        place(step.out),
                        n,
                        streamed.is_some(),
                    );
                }
                continue;
            }
            let ins: SmallVec<[&Tensor; 4]> = step.ins.iter().map(|&i| &operands[i]).collect();
            let call =
                Run { params: &step.params, ins: &ins, outs: &[&operands[step.out]], training: r.training };
            let run = || (step.op.run)(&call).map_err(|e| e.within(step.op.name));
            match streamed {
                Some(k) => piece_of(r.outs[k].span(), run)?,
                None => run()?,
            }
        }
    }
    if past {
        fence(level);
    }
    Ok(())
}

/// Elements `at ..` of a stretched input, in order.
fn stretch(x: &Tensor, dims: &[usize], strides: &[isize], at: usize, to: &Tensor) {
    with_dtype!(x.dtype(), T => {
        // SAFETY: the block is this thread's own; the strides were made for this input.
        unsafe { gather(dims, strides, x.span().ptr::<T>().cast_const(), at, to.span().slice_mut::<T>()) }
    });
}
