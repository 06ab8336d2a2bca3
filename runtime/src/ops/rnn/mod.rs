//! Recurrent layers as one operator: all layers, directions and steps at once.

mod composed;
pub mod ready;

use super::def::{Keep, OpDef, Run};
use super::infer::{Shapes, Types};
use super::params::Params;
use super::samples::{Case, Draw, Fill};
use super::vjp::{Grads, Vjp};
use crate::array::Array;
use crate::dtype::DType;
use crate::error::Result;
use crate::fluent::gradients_of;
use crate::invoke::invoke;
use crate::kernels::copy::cast;
use crate::kernels::random::counters;
use crate::kernels::rnn::{Cell, Dropout, Gradients, Kept, Net, Num, backward, forward};
use crate::rng::{Stream, reserve};
use crate::shape::partial::Partial;
use crate::storage::Span;
use crate::tensor::Tensor;

choices! {
    /// What a cell computes.
    pub enum Mode { Gru = "gru", Lstm = "lstm", Relu = "rnn_relu", Tanh = "rnn_tanh" }
}

params! {
    /// What recurrent layers take.
    pub struct Rnn {
        state_size: usize, "number of units of a layer in one direction";
        num_layers: usize, "number of layers";
        bidirectional: bool = false, "whether sequences are also read from their end, by as many units";
        mode: Mode, "what a cell computes";
        p: f32 = 0.0, "fraction of the outputs of each layer but the last that is dropped in training";
        state_outputs: bool = false, "whether the states after the last step are outputs too";
        projection_size: Option<i64> = None, "not supported, as by MXNet on the CPU";
        lstm_state_clip_min: Option<f64> = None, "least value of the state of LSTM cells";
        lstm_state_clip_max: Option<f64> = None, "greatest value of the state of LSTM cells";
        lstm_state_clip_nan: bool = false, "whether a state that is NaN becomes the least value";
        use_sequence_length: bool = false, "whether an input tells how many steps of each sequence count; outputs behind are 0";
    }
}

impl Rnn {
    fn dirs(&self) -> usize {
        if self.bidirectional { 2 } else { 1 }
    }

    /// Number of inputs that are states.
    fn states(&self) -> usize {
        if self.mode == Mode::Lstm { 2 } else { 1 }
    }

    fn inputs(&self) -> usize {
        2 + self.states() + usize::from(self.use_sequence_length)
    }

    fn visible(&self) -> usize {
        1 + if self.state_outputs { self.states() } else { 0 }
    }

    fn check(&self) -> Result<()> {
        if self.state_size == 0 || self.num_layers == 0 {
            bail!(
                Param,
                "state_size and num_layers are at least 1, got {} and {}",
                self.state_size,
                self.num_layers
            );
        }
        if self.projection_size.is_some() {
            bail!(Param, "projection_size is not supported on the CPU");
        }
        if !(0.0..=1.0).contains(&self.p) {
            bail!(Param, "p is out of range, got {}, want 0 to 1", self.p);
        }
        Ok(())
    }

    /// The dropout of a call from where it says that its random numbers begin.
    fn dropped(&self, place: &Tensor) -> Option<Dropout> {
        let [1, key, counter] = *place.as_slice::<i64>() else { return None };
        let stream = Stream { key: key as u64, counter: counter as u64 };
        Some(Dropout { p: f64::from(self.p), stream })
    }

    /// The network on data of that width.
    fn net(&self, [steps, batch, input]: [usize; 3]) -> Net<'static> {
        let (low, high) = (self.lstm_state_clip_min, self.lstm_state_clip_max);
        Net {
            cell: match self.mode {
                Mode::Relu => Cell::Relu,
                Mode::Tanh => Cell::Tanh,
                Mode::Lstm => Cell::Lstm,
                Mode::Gru => Cell::Gru,
            },
            steps,
            batch,
            input,
            hidden: self.state_size,
            layers: self.num_layers,
            dirs: self.dirs(),
            clip: (low.is_some() || high.is_some()).then(|| {
                (low.unwrap_or(f64::NEG_INFINITY), high.unwrap_or(f64::INFINITY), self.lstm_state_clip_nan)
            }),
            lengths: None,
            dropout: None,
        }
    }
}

fn sizes(x: &Partial) -> [i64; 3] {
    [0, 1, 2].map(|i| x.dim(i).map_or(-1, |d| d as i64))
}

fn infer_shape(s: &mut Shapes<'_>) -> Result<()> {
    let p = s.params.get::<Rnn>().clone();
    p.check()?;
    let (hidden, count) = (p.state_size as i64, (p.num_layers * p.dirs()) as i64);
    let (states, visible) = (p.states(), p.visible());
    // Steps and batch are told by the data and the output, the batch by the states too.
    s.want_partial(0, &Partial::from_sizes(&[-1, -1, -1]))?;
    s.outs[0].merge(&Partial::from_sizes(&[-1, -1, p.dirs() as i64 * hidden]))?;
    let [steps, batch, _] = sizes(&s.outs[0]);
    s.want_partial(0, &Partial::from_sizes(&[steps, batch, -1]))?;
    for i in 0..states {
        s.want_partial(2 + i, &Partial::from_sizes(&[count, -1, hidden]))?;
        let batch = sizes(&s.ins[2 + i])[1];
        s.want_partial(0, &Partial::from_sizes(&[-1, batch, -1]))?;
    }
    for out in &mut s.outs[1..visible] {
        out.merge(&Partial::from_sizes(&[count, -1, hidden]))?;
        let batch = sizes(out)[1];
        s.ins[0].merge(&Partial::from_sizes(&[-1, batch, -1]))?;
    }
    let [steps, batch, mut width] = sizes(&s.ins[0]);
    for i in 2..2 + states {
        s.want_partial(i, &Partial::from_sizes(&[count, batch, hidden]))?;
    }
    if p.use_sequence_length {
        s.want_partial(2 + states, &Partial::from_sizes(&[batch]))?;
    }
    s.outs[0].merge(&Partial::from_sizes(&[steps, batch, -1]))?;
    for out in &mut s.outs[1..visible] {
        out.merge(&Partial::from_sizes(&[count, batch, hidden]))?;
    }
    // The number of parameters tells the width of the data, and the other way round.
    let total = |width: usize| p.net([0, 0, width]).params();
    s.want_partial(1, &Partial::of_ndim(1))?;
    if let (-1, Some(size)) = (width, s.ins[1].dim(0)) {
        let (rest, each) = (total(0), total(1) - total(0));
        if size < rest || (size - rest) % each != 0 {
            bail!(Shape, "so many parameters fit no data, got {size}, want {rest} and a multiple of {each}");
        }
        width = ((size - rest) / each) as i64;
        s.want_partial(0, &Partial::from_sizes(&[-1, -1, width]))?;
    }
    if let Ok(width) = usize::try_from(width) {
        let (want, got) = (Partial::from_sizes(&[total(width) as i64]), s.ins[1].clone());
        if s.ins[1].merge(&want).is_err() {
            bail!(Shape, "data of width {width} wants {want} parameters, got {got}");
        }
    }
    if let Some(x) = s.input(0) {
        s.output(visible, &[p.net([x[0], x[1], x[2]]).kept()])?;
    }
    s.output(visible + 1, &[3])
}

fn infer_type(t: &mut Types<'_>) -> Result<()> {
    let p = t.params.get::<Rnn>();
    let (alike, visible) = (2 + p.states(), p.visible());
    let Some(d) = t.ins[..alike].iter().chain(t.outs[..visible].iter()).flatten().next().copied() else {
        return Ok(());
    };
    if !d.is_float() {
        bail!(Dtype, "a floating-point dtype is wanted, got {d}");
    }
    for (i, x) in t.ins[..alike].iter_mut().enumerate() {
        if let Some(got) = x.replace(d)
            && got != d
        {
            bail!(Dtype, "dtypes must be the same, input {i} got {got}, want {d}");
        }
    }
    t.outs[..visible].iter_mut().for_each(|y| *y = Some(d));
    if p.use_sequence_length {
        t.ins[alike] = t.ins[alike].or(Some(d));
    }
    t.outs[visible] = Some(computed(d));
    t.outs[visible + 1] = Some(DType::I64);
    Ok(())
}

/// Half floats are computed in float32.
fn computed(d: DType) -> DType {
    if d == DType::F64 { d } else { DType::F32 }
}

/// As what it is computed in.
fn wide(x: &Tensor) -> Result<Tensor> {
    if x.dtype() == computed(x.dtype()) {
        return Ok(x.clone());
    }
    let w = Tensor::empty(x.dims(), computed(x.dtype()), x.device())?;
    cast(x.span(), w.span());
    Ok(w)
}

/// For an output of that tensor's shape: the tensor itself, or one that it is converted from.
fn wide_out(y: &Tensor) -> Result<Tensor> {
    if y.dtype() == computed(y.dtype()) {
        return Ok(y.clone());
    }
    Tensor::empty(y.dims(), computed(y.dtype()), y.device())
}

fn finish(wide: &Tensor, out: &Tensor) {
    if wide.dtype() != out.dtype() {
        cast(wide.span(), out.span());
    }
}

fn dims3(x: &Tensor) -> Result<[usize; 3]> {
    match *x.dims() {
        [steps, batch, width] if steps > 0 => Ok([steps, batch, width]),
        _ => bail!(Shape, "data of at least one step is wanted, got {}", crate::shape::show(x.dims())),
    }
}

/// How many steps of each sequence count.
fn lengths(p: &Rnn, ins: &[&Tensor], steps: usize) -> Result<Option<Vec<usize>>> {
    if !p.use_sequence_length {
        return Ok(None);
    }
    let one = |n: i64| match usize::try_from(n) {
        Ok(n) if n <= steps => Ok(n),
        _ => Err(err!(Argument, "a sequence length is out of range, got {n}, want 0 to {steps}")),
    };
    ins[2 + p.states()].to_vec::<i64>().into_iter().map(one).collect::<Result<_>>().map(Some)
}

fn compute<T: Num>(net: &Net<'_>, io: Kept, ends: &[Tensor]) -> Result<()> {
    forward::<T>(net, io, ends.first().map(Tensor::span), ends.get(1).map(Tensor::span))
}

fn run(r: &Run<'_>) -> Result<()> {
    run_with(r, r.p(), None)
}

/// `panels`: the weights of the states as the steps read them, where they are laid already.
fn run_with(r: &Run<'_>, p: &Rnn, panels: Option<Span>) -> Result<()> {
    let dims = dims3(r.ins[0])?;
    let (visible, dtype) = (p.visible(), r.outs[0].dtype());
    let lengths = lengths(p, r.ins, dims[0])?;
    let mut net = Net { lengths: lengths.as_deref(), ..p.net(dims) };
    let mut place = [0i64; 3];
    if r.training && p.p > 0.0 && p.num_layers > 1 {
        let n = counters(net.steps * net.batch * net.dirs * net.hidden) * (p.num_layers as u64 - 1);
        let stream = reserve(r.outs[0].device(), n);
        net.dropout = Some(Dropout { p: f64::from(p.p), stream });
        place = [1, stream.key as i64, stream.counter as i64];
    }
    // SAFETY: the output is this call's alone.
    unsafe { r.outs[visible + 1].span().slice_mut::<i64>() }.copy_from_slice(&place);
    let ins: Vec<Tensor> = r.ins[..2 + p.states()].iter().map(|x| wide(x)).collect::<Result<_>>()?;
    let outs: Vec<Tensor> = r.outs[..visible].iter().map(|y| wide_out(y)).collect::<Result<_>>()?;
    let io = Kept { panels, ..kept(&ins, &outs[0], r.outs[visible]) };
    match computed(dtype) {
        DType::F64 => compute::<f64>(&net, io, &outs[1..])?,
        _ => compute::<f32>(&net, io, &outs[1..])?,
    }
    outs.iter().zip(r.outs).for_each(|(w, y)| finish(w, y));
    Ok(())
}

fn kept(ins: &[Tensor], y: &Tensor, kept: &Tensor) -> Kept {
    Kept {
        x: ins[0].span(),
        params: ins[1].span(),
        panels: None,
        h0: ins[2].span(),
        c0: ins.get(3).map(Tensor::span),
        y: y.span(),
        kept: kept.span(),
    }
}

/// Going back takes all inputs; the first output and the two hidden ones; and the gradients of the visible ones.
fn grad(d: &Vjp<'_>) -> Result<Grads> {
    let p = d.p::<Rnn>();
    if d.recorded {
        return grad_recorded(d);
    }
    let visible = p.visible();
    let slopes: Vec<Array> = (0..visible).map(|i| d.grad_or_zeros(i)).collect::<Result<_>>()?;
    let mut ins: Vec<&Array> = (0..d.num_inputs()).map(|i| d.input(i)).collect();
    ins.extend([d.output(0), d.output(visible), d.output(visible + 1)]);
    ins.extend(&slopes);
    let mut grads: Grads = if d.needs(0) {
        invoke(&RNN_BACK, &ins, d.params, &[])?.into_iter().map(Some).collect()
    } else {
        let found = invoke(&RNN_BACK_INSIDE, &ins, d.params, &[])?;
        std::iter::once(None).chain(found.into_iter().map(Some)).collect()
    };
    grads.resize(d.num_inputs(), None);
    Ok(grads)
}

fn grad_recorded(d: &Vjp<'_>) -> Result<Grads> {
    let p = d.p::<Rnn>();
    let ins: Vec<&Tensor> = (0..d.num_inputs()).map(|i| d.input(i).tensor()).collect();
    let dims = dims3(ins[0])?;
    let lengths = lengths(p, &ins, dims[0])?;
    let dropout = p.dropped(d.output(p.visible() + 1).tensor());
    let net = Net { lengths: lengths.as_deref(), dropout, ..p.net(dims) };
    gradients_of(d, |ins| {
        let (d, arrays) = (ins[0].dtype(), &ins[..2 + p.states()]);
        let wide: Vec<Array> = arrays.iter().map(|x| x.cast(computed(d))).collect();
        Ok(composed::outputs(&net, &wide)?.iter().take(p.visible()).map(|y| y.cast(d)).collect())
    })
}

fn back_shape(s: &mut Shapes<'_>, skip: usize) -> Result<()> {
    for i in 0..s.outs.len() {
        let like = s.ins[i + skip].clone();
        s.outs[i].merge(&like)?;
    }
    Ok(())
}

fn back_type(t: &mut Types<'_>) -> Result<()> {
    let d = t.ins[0];
    t.outs.iter_mut().for_each(|y| *y = d);
    Ok(())
}

/// `skip` is 1 where the gradient of the data is not wanted.
fn run_back(r: &Run<'_>, skip: usize) -> Result<()> {
    let p = r.p::<Rnn>();
    let (given, states) = (p.inputs(), p.states());
    let dims = dims3(r.ins[0])?;
    let lengths = lengths(p, r.ins, dims[0])?;
    let net = Net { lengths: lengths.as_deref(), dropout: p.dropped(r.ins[given + 2]), ..p.net(dims) };
    let ins: Vec<Tensor> = r.ins[..2 + states].iter().map(|x| wide(x)).collect::<Result<_>>()?;
    let (y, slopes): (Tensor, Vec<Tensor>) =
        (wide(r.ins[given])?, r.ins[given + 3..].iter().map(|x| wide(x)).collect::<Result<_>>()?);
    let outs: Vec<Tensor> = r.outs.iter().map(|y| wide_out(y)).collect::<Result<_>>()?;
    let io = kept(&ins, &y, r.ins[given + 1]);
    let span = |of: &[Tensor], i: usize| -> Option<Span> { of.get(i).map(Tensor::span) };
    let d = Gradients {
        y: slopes[0].span(),
        hy: span(&slopes, 1),
        cy: span(&slopes, 2),
        x: if skip == 0 { span(&outs, 0) } else { None },
        params: outs[1 - skip].span(),
        h0: outs[2 - skip].span(),
        c0: span(&outs, 3 - skip),
    };
    match y.dtype() {
        DType::F64 => backward::<f64>(&net, io, d)?,
        _ => backward::<f32>(&net, io, d)?,
    }
    outs.iter().zip(r.outs).for_each(|(w, y)| finish(w, y));
    Ok(())
}

fn back_inputs(p: &Params) -> usize {
    let p = p.get::<Rnn>();
    p.inputs() + 3 + p.visible()
}

/// A drawn call; with `smooth` no unit of a network with rnn_relu is near its kink.
fn case(d: &mut Draw, scale: usize, smooth: bool) -> Case {
    let mode = d.pick(&["rnn_relu", "rnn_tanh", "lstm", "gru"]);
    let (steps, batch, width) = (d.size(1, 6), scale * d.size(1, 3), d.size(1, 3));
    let (hidden, layers, both, lengths) = (scale * d.size(1, 5), d.size(1, 3), d.flip(), d.flip());
    let set = Rnn {
        state_size: hidden,
        num_layers: layers,
        bidirectional: both,
        mode: match mode {
            "lstm" => Mode::Lstm,
            "gru" => Mode::Gru,
            _ => Mode::Tanh,
        },
        p: 0.0,
        state_outputs: false,
        projection_size: None,
        lstm_state_clip_min: None,
        lstm_state_clip_max: None,
        lstm_state_clip_nan: false,
        use_sequence_length: lengths,
    };
    let state = [layers * set.dirs(), batch, hidden];
    let low = if smooth && mode == "rnn_relu" { 0.1 } else { -0.8 };
    let mut case = Case::new()
        .input(&[steps, batch, width], Fill::Real(low, 2.0, &[]))
        .input(&[set.net([steps, batch, width]).params()], Fill::Real(low, 0.8, &[]))
        .input(&state, Fill::Real(low, 2.0, &[]));
    if mode == "lstm" {
        case = case.real(&state);
        if d.flip() {
            case = case.param("lstm_state_clip_min", -0.7).param("lstm_state_clip_max", 0.9);
        }
    }
    if lengths {
        case = case.input(&[batch], Fill::Whole(0, steps as i64 + 1));
    }
    case.param("state_size", hidden)
        .param("num_layers", layers)
        .param("bidirectional", both)
        .param("mode", mode)
        .param("state_outputs", d.flip())
        .param("use_sequence_length", lengths)
        .param("p", d.pick(&[0.0, 0.4]))
}

const BACK: &[&str] = &[
    "data",
    "parameters",
    "state",
    "state_cell",
    "sequence_length",
    "output",
    "kept",
    "place",
    "output_grad",
    "state_grad",
    "state_cell_grad",
];

table! {
    RNN = OpDef::new("RNN", &["data", "parameters", "state", "state_cell", "sequence_length"], run).random().params::<Rnn>()
        .arity(|p| p.get::<Rnn>().inputs())
        .outputs(|p| p.get::<Rnn>().visible() + 2, |p| p.get::<Rnn>().visible())
        .counted(|p| p.get::<Rnn>().visible())
        .output_names(&["output", "state_output", "statecell_output"])
        .shape(infer_shape).dtype(infer_type)
        .ready(ready::ready)
        .doc("Recurrent layers over data of (steps, batch, width). With `a = W x + b` and `s = R h + b'` for each gate: `h' = max(0, a + s)` \
              (rnn_relu); `h' = tanh(a + s)` (rnn_tanh); `c' = σ(f) c + σ(i) tanh(g)`, `h' = σ(o) tanh(c')`, gates i, f, g, o (lstm); \
              `h' = (1 - σ(z)) n + σ(z) h`, `n = tanh(a + σ(r) s)`, gates r, z, n (gru). `parameters` holds all weights W, R of each layer \
              and direction, then all biases b, b'. States are (layers · directions, batch, state_size).")
        .vjp(Keep::ALL, grad).cases(|d| case(d, 1, true));
    RNN_BACK = OpDef::new("_ks_rnn_back", BACK, |r| run_back(r, 0)).params::<Rnn>().arity(back_inputs)
        .outputs(|p| 2 + p.get::<Rnn>().states(), |p| 2 + p.get::<Rnn>().states())
        .shape(|s| back_shape(s, 0)).dtype(back_type)
        .doc("The gradients of RNN by data, parameters and states.")
        .no_gradient("second order is composed of recorded operators").no_samples("tested through RNN");
    RNN_BACK_INSIDE = OpDef::new("_ks_rnn_back_inside", BACK, |r| run_back(r, 1)).params::<Rnn>().arity(back_inputs)
        .outputs(|p| 1 + p.get::<Rnn>().states(), |p| 1 + p.get::<Rnn>().states())
        .shape(|s| back_shape(s, 1)).dtype(back_type)
        .doc("The gradients of RNN by parameters and states.")
        .no_gradient("second order is composed of recorded operators").no_samples("tested through RNN");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GradReq;
    use crate::backward::{Options, grad};
    use crate::gradcheck::{Check, gradcheck};
    use crate::invoke::parse_named;
    use crate::kernels::par::with_threads;
    use crate::simd::{available, with_level};

    fn draw(seed: u64, scale: usize) -> (Case, Vec<Vec<f64>>, Params) {
        let mut d = Draw::new(seed);
        let case = case(&mut d, scale, false);
        let values = case.inputs.iter().map(|i| d.fill(i)).collect();
        let named: Vec<_> = case.params.iter().map(|(n, v)| (*n, v.clone())).collect();
        let params = parse_named(&RNN, &named, case.inputs.len()).unwrap();
        (case, values, params)
    }

    fn arrays(case: &Case, values: &[Vec<f64>], dtype: DType) -> Vec<Array> {
        let one = |(i, v): (&crate::ops::samples::Input, &Vec<f64>)| {
            let wide = Tensor::from_slice(v, &i.dims, Default::default()).unwrap();
            let x = Tensor::empty(&i.dims, dtype, Default::default()).unwrap();
            cast(wide.span(), x.span());
            Array::from(x)
        };
        case.inputs.iter().zip(values).map(one).collect()
    }

    /// Outputs and all gradients, for head gradients of 1.
    fn both_ways(case: &Case, values: &[Vec<f64>], params: &Params, dtype: DType) -> Vec<Vec<f64>> {
        let xs = arrays(case, values, dtype);
        xs.iter().for_each(|x| x.attach_grad(GradReq::Write).unwrap());
        let ins: Vec<&Array> = xs.iter().collect();
        crate::rng::seed_device(3, Default::default());
        let ys = crate::autograd::mode::record(|| invoke(&RNN, &ins, params, &[])).unwrap();
        let heads: Vec<&Array> = ys.iter().collect();
        crate::backward::backward(&heads, &[], Default::default()).unwrap();
        let grads = xs.iter().map(|x| x.grad().unwrap());
        ys.iter().cloned().chain(grads).map(|a| a.to_vec::<f64>()).collect()
    }

    fn near(a: &[Vec<f64>], b: &[Vec<f64>], tol: f64, what: &str) {
        for (i, (a, b)) in a.iter().zip(b).enumerate() {
            let scale = b.iter().fold(1.0f64, |m, v| m.max(v.abs()));
            for (x, y) in a.iter().zip(b) {
                assert!((x - y).abs() <= tol * scale, "{what}: array {i}: {x} against {y}");
            }
        }
    }

    #[test]
    fn gradients_agree_with_central_differences() {
        for seed in 0..60 {
            let (case, values, params) = draw(seed, 1);
            let xs = arrays(&case, &values, DType::F64);
            for (x, i) in xs.iter().zip(&case.inputs) {
                if !matches!(i.fill, Fill::Whole(..)) {
                    x.attach_grad(GradReq::Write).unwrap();
                }
            }
            let f = |xs: &[Array]| {
                let p = params.get::<Rnn>().clone();
                // Random numbers belong to the process and other tests draw too: dropout is checked below.
                let params = Params::new(Rnn { p: 0.0, ..p });
                Ok(invoke(&RNN, &xs.iter().collect::<Vec<_>>(), &params, &[])?.into_vec())
            };
            gradcheck(&f, &xs, Check { order: 1, seed, ..Check::default() })
                .unwrap_or_else(|e| panic!("{e}: seed {seed} {case:?}"));
        }
    }

    #[test]
    fn recorded_gradients_are_those_of_the_kernel() {
        for seed in 0..40 {
            let (case, values, params) = draw(seed, 1);
            let xs = arrays(&case, &values, DType::F64);
            xs.iter().for_each(|x| x.attach_grad(GradReq::Write).unwrap());
            let ins: Vec<&Array> = xs.iter().collect();
            // In training, so that outputs are dropped between layers.
            let ys = crate::autograd::mode::record(|| invoke(&RNN, &ins, &params, &[])).unwrap();
            let heads: Vec<&Array> = ys.iter().collect();
            let vars = &ins[..2 + params.get::<Rnn>().states()];
            let of = |create_graph: bool| -> Vec<Vec<f64>> {
                let options = Options { retain_graph: true, create_graph, train_mode: true };
                let grads = grad(&heads, &[], vars, options).unwrap();
                grads.iter().map(Array::to_vec).collect()
            };
            near(&of(true), &of(false), 1e-12, &format!("seed {seed} {case:?}"));
        }
    }

    #[test]
    fn float32_agrees_with_float64_on_every_level() {
        for seed in 0..40 {
            let (case, values, params) = draw(seed, 5);
            let params = Params::new(Rnn { p: 0.0, ..params.get::<Rnn>().clone() });
            let values: Vec<Vec<f64>> =
                values.iter().map(|v| v.iter().map(|x| f64::from((x * 0.3) as f32)).collect()).collect();
            let values: Vec<Vec<f64>> = values
                .into_iter()
                .zip(&case.inputs)
                .map(|(v, i)| {
                    let whole = matches!(i.fill, Fill::Whole(..));
                    if whole { v.iter().map(|x| (x / 0.3f64).round()).collect() } else { v }
                })
                .collect();
            let want = both_ways(&case, &values, &params, DType::F64);
            for &l in available() {
                let got = with_level(l, || both_ways(&case, &values, &params, DType::F32));
                near(&got, &want, 2e-4, &format!("{l:?} seed {seed} {case:?}"));
            }
        }
    }

    #[test]
    fn threads_do_not_show() {
        for seed in 0..20 {
            let (case, values, params) = draw(seed, 9);
            let params = Params::new(Rnn { p: 0.0, ..params.get::<Rnn>().clone() });
            let of = |n| with_threads(n, || both_ways(&case, &values, &params, DType::F32));
            assert_eq!(of(1), of(2), "seed {seed} {case:?}");
        }
    }
}
