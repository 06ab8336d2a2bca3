//! Calls made ahead of their use, each on a thread of its own: what decodes the pictures of the next batch while the present one
//! is learned from.
//!
//! A fork may come at any time. The child has no such thread, so there the call is made when its result is asked for: an operator
//! that writes only what it makes gives the same again.

use crate::array::Array;
use crate::error::Result;
use crate::invoke::{Outputs, invoke};
use crate::ops::def::OpDef;
use crate::ops::params::Params;
use std::mem::ManuallyDrop;
use std::panic::resume_unwind;
use std::thread::{Builder, JoinHandle};

/// A call under way.
pub struct Ahead {
    op: &'static OpDef,
    ins: Vec<Array>,
    params: Params,
    /// The process that the thread belongs to, and the thread. `None` where the system grants none.
    thread: Option<(u32, ManuallyDrop<JoinHandle<Result<Outputs>>>)>,
}

fn made(op: &'static OpDef, ins: &[Array], params: &Params) -> Result<Outputs> {
    invoke(op, &ins.iter().collect::<Vec<_>>(), params, &[])
}

impl Ahead {
    /// Begins a call. It is not recorded. Nobody may write the inputs before it has ended.
    ///
    /// Fails for operators that draw random numbers or change their inputs: those depend on when they run.
    pub fn start(op: &'static OpDef, ins: Vec<Array>, params: Params) -> Result<Ahead> {
        if (op.random)(&params) || op.has_states() {
            bail!(
                Argument,
                "the operator draws random numbers or changes its inputs, and is not called ahead"
            );
        }
        let mut call = Ahead { op, ins, params, thread: None };
        let (ins, params) = (call.ins.clone(), call.params.clone());
        let thread = Builder::new().name("keshi-ahead".into()).spawn(move || made(op, &ins, &params));
        call.thread = thread.ok().map(|t| (std::process::id(), ManuallyDrop::new(t)));
        Ok(call)
    }

    /// What the thread of this process has made; `None` where there is none.
    fn joined(&mut self) -> Option<Result<Outputs>> {
        let (process, thread) = self.thread.take()?;
        // In a child the handle names a thread that does not exist: it is forgotten.
        (process == std::process::id())
            .then(|| ManuallyDrop::into_inner(thread).join().unwrap_or_else(|panic| resume_unwind(panic)))
    }

    /// The outputs, once they are there.
    pub fn wait(mut self) -> Result<Outputs> {
        self.joined().unwrap_or_else(|| made(self.op, &self.ins, &self.params))
    }
}

impl Drop for Ahead {
    /// Waits for the thread, so that it never outlives who asked for it.
    fn drop(&mut self) {
        if let Some((process, thread)) = self.thread.take()
            && process == std::process::id()
        {
            // What it made, or failed with, nobody wants any more.
            let _ = ManuallyDrop::into_inner(thread).join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invoke::parse_named;
    use crate::ops::find;

    fn start(name: &str, ins: Vec<Array>) -> Result<Ahead> {
        let op = find(name).unwrap();
        let params = parse_named(op, &[], ins.len()).unwrap();
        Ahead::start(op, ins, params)
    }

    #[test]
    fn the_result_is_that_of_the_call() {
        let x = Array::from_slice(&[1f32, -2.0], &[2]).unwrap();
        let calls: Vec<Ahead> = (0..3).map(|_| start("abs", vec![x.clone()]).unwrap()).collect();
        for call in calls {
            assert_eq!(call.wait().unwrap()[0].to_vec::<f32>(), [1.0, 2.0]);
        }
        drop(start("abs", vec![x]).unwrap());
    }

    #[test]
    fn without_a_thread_the_call_is_made_when_it_is_wanted() {
        let x = Array::from_slice(&[3f32], &[1]).unwrap();
        let mut call = start("square", vec![x]).unwrap();
        // What a child after a fork sees: the thread of another process.
        assert!(call.joined().unwrap().is_ok());
        assert_eq!(call.wait().unwrap()[0].to_vec::<f32>(), [9.0]);
    }

    #[test]
    fn errors_come_with_the_wait_and_chance_is_refused() {
        let (x, y) =
            (Array::from_slice(&[1f32], &[1]).unwrap(), Array::from_slice(&[1f32; 2], &[2]).unwrap());
        let e = start("elemwise_add", vec![x, y]).unwrap().wait().unwrap_err();
        assert!(e.to_string().starts_with("elemwise_add: "), "{e}");
        assert!(start("_random_uniform", vec![]).is_err());
    }
}
