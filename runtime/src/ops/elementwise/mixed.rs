//! Element-wise operators of any number of arrays, and checks over many.

use super::binary::Add;
use super::identity::run_copy;
use crate::error::Result;
use crate::kernels::par;
use crate::kernels::zip::zip;
use crate::ops::def::{Keep, OpDef, Run};
use crate::ops::join::check_count;
use crate::ops::params::Params;
use crate::ops::samples::{Case, Draw};
use crate::ops::vjp::{Grads, Vjp};

/// Elements that are summed at a time, so that the sum stays in a near cache.
const BLOCK: usize = 16 * 1024;

params! {
    /// What `add_n` takes.
    pub struct Summands {
        num_args: i64, "number of arrays";
    }
}

/// Parameters of [`ADD_N`].
pub fn summands(n: usize) -> Params {
    Params::new(Summands { num_args: n as i64 })
}

fn run_add_n(r: &Run<'_>) -> Result<()> {
    check_count(r.p::<Summands>().num_args, r.ins.len())?;
    let [first, second, rest @ ..] = r.ins else { return run_copy(r) };
    let out = r.outs[0].span();
    par::chunks(out.len(), BLOCK, |_, c| {
        let part = |s: crate::storage::Span| s.sub(c.start, c.len());
        let n = [c.len()];
        zip(Add, &n, part(first.span()), &[1], part(second.span()), &[1], part(out));
        for x in rest {
            zip(Add, &n, part(out), &[1], part(x.span()), &[1], part(out));
        }
    });
    Ok(())
}

fn grad_add_n(d: &Vjp<'_>) -> Result<Grads> {
    Ok((0..d.num_inputs()).map(|_| Some(d.grad().clone())).collect())
}

fn add_n_case(d: &mut Draw) -> Case {
    let (dims, n) = (d.shape(1, 3), d.size(1, 4));
    (0..n).fold(Case::new(), |c, _| c.real(&dims))
}

table! {
    ADD_N = OpDef::new("add_n", &["args"], run_add_n).elementwise(|_| true)
        .aliases(&["ElementWiseSum", "_sparse_ElementWiseSum", "_sparse_add_n"]).variadic(Some("num_args")).params::<Summands>()
        .doc("Sum of any number of arrays of one shape.")
        .vjp(Keep::NOTHING, grad_add_n).cases(add_n_case);
}
