//! Weighted sums of a few places of a row or plane: a sparse matrix in compressed rows.

use crate::dtype::Elem;

/// For every place of a result the places of the source that it sums, and their weights.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Taps {
    /// Where the taps of each result begin; one more than there are results.
    start: Vec<usize>,
    at: Vec<usize>,
    weight: Vec<f64>,
}

impl Taps {
    /// No results yet.
    pub fn new() -> Taps {
        Taps { start: vec![0], ..Taps::default() }
    }

    /// Forgets all results, keeping the memory.
    pub fn clear(&mut self) {
        self.start.truncate(1);
        self.at.clear();
        self.weight.clear();
    }

    /// Adds a tap to the result that is being made; those of weight 0 are left out.
    #[inline]
    pub fn tap(&mut self, at: usize, weight: f64) {
        if weight != 0.0 {
            self.at.push(at);
            self.weight.push(weight);
        }
    }

    /// Ends the result that is being made.
    #[inline]
    pub fn end(&mut self) {
        self.start.push(self.at.len());
    }

    /// Number of results.
    pub fn len(&self) -> usize {
        self.start.len() - 1
    }

    /// Whether there are no results.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The taps of result `i`.
    #[inline]
    pub fn of(&self, i: usize) -> (&[usize], &[f64]) {
        let r = self.start[i]..self.start[i + 1];
        (&self.at[r.clone()], &self.weight[r])
    }

    /// The transpose, for a source of `from` places: the gradient of summing by taps is summing by these.
    #[must_use]
    pub fn transposed(&self, from: usize) -> Taps {
        let mut start = vec![0; from + 1];
        self.at.iter().for_each(|&a| start[a + 1] += 1);
        (0..from).for_each(|i| start[i + 1] += start[i]);
        let (mut next, n) = (start.clone(), self.at.len());
        let mut t = Taps { start, at: vec![0; n], weight: vec![0.0; n] };
        for i in 0..self.len() {
            let (at, weight) = self.of(i);
            for (&a, &w) in at.iter().zip(weight) {
                (t.at[next[a]], t.weight[next[a]]) = (i, w);
                next[a] += 1;
            }
        }
        t
    }

    /// Result `i` over the source `x`.
    #[inline]
    pub fn pull<T: Elem>(&self, i: usize, x: &[T]) -> f64 {
        let (at, weight) = self.of(i);
        at.iter().zip(weight).map(|(&a, w)| w * x[a].to_f64()).sum()
    }

    /// Adds `g` to the places of the sums that result `i` came from.
    #[inline]
    pub fn push(&self, i: usize, g: f64, sums: &mut [f64]) {
        let (at, weight) = self.of(i);
        at.iter().zip(weight).for_each(|(&a, w)| sums[a] += w * g);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transpose_pulls_what_was_pushed() {
        let mut t = Taps::new();
        for i in 0..5usize {
            t.tap(i * 2 % 3, 0.5 + i as f64);
            t.tap((i + 1) % 4, -1.0);
            t.tap(0, 0.0);
            t.end();
        }
        let g = [1.0, -2.0, 3.0, 0.5, 7.0];
        let mut sums = [0.0; 4];
        (0..5).for_each(|i| t.push(i, g[i], &mut sums));
        let back = t.transposed(4);
        assert_eq!((0..4).map(|i| back.pull(i, &g)).collect::<Vec<f64>>(), sums);
        assert_eq!(back.transposed(5).len(), t.len());
        t.clear();
        assert!(t.is_empty());
    }
}
