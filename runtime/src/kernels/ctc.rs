//! Connectionist temporal classification (Graves, Fernández, Gomez, Schmidhuber 2006): the probability of a label sequence under all
//! its alignments, and its gradient. In float64 and in logarithms, one sequence at a time.

/// log(e^a + e^b).
fn add(a: f64, b: f64) -> f64 {
    let (m, d) = (a.max(b), -(a - b).abs());
    if m == f64::NEG_INFINITY { m } else { m + d.exp().ln_1p() }
}

/// The class of state `s` of a label: blank, label, blank, label, …, blank.
pub fn state(labels: &[usize], blank: usize, s: usize) -> usize {
    if s.is_multiple_of(2) { blank } else { labels[s / 2] }
}

/// Whether the blank before state `s` may be skipped: between two labels that differ, but not before a blank that stands as a label.
pub fn skips(labels: &[usize], blank: usize, s: usize) -> bool {
    s % 2 == 1 && s >= 2 && labels[s / 2] != labels[s / 2 - 1] && labels[s / 2] != blank
}

/// Whether a label has an alignment with so many steps.
pub fn fits(labels: &[usize], blank: usize, steps: usize) -> bool {
    let between = (1..labels.len()).filter(|i| !skips(labels, blank, 2 * i + 1)).count();
    labels.len() + between <= steps
}

/// Loss of one sequence, 0 with a gradient of 0 when no alignment fits. `logits` holds `steps` rows of `classes`; `grad`, when given, gets the
/// derivatives by them.
pub fn ctc(logits: &[f64], classes: usize, labels: &[usize], blank: usize, grad: Option<&mut [f64]>) -> f64 {
    let steps = logits.len() / classes;
    if !fits(labels, blank, steps) {
        grad.into_iter().for_each(|g| g.fill(0.0));
        return 0.0;
    }
    // Logarithms of the probabilities of classes.
    let mut logs = logits.to_vec();
    for row in logs.chunks_mut(classes) {
        let max = row.iter().fold(f64::NEG_INFINITY, |m, &v| m.max(v));
        let sum: f64 = row.iter().map(|v| (v - max).exp()).sum();
        row.iter_mut().for_each(|v| *v -= max + sum.ln());
    }
    let states = 2 * labels.len() + 1;
    let class = |s: usize| state(labels, blank, s);
    let skips = |s: usize| skips(labels, blank, s);
    const NONE: f64 = f64::NEG_INFINITY;
    let mut alpha = vec![NONE; steps * states];
    for t in 0..steps {
        for s in 0..states {
            let before = match t {
                0 => {
                    if s < 2 {
                        0.0
                    } else {
                        NONE
                    }
                }
                _ => {
                    let last = &alpha[(t - 1) * states..][..states];
                    let stay = if s > 0 { add(last[s], last[s - 1]) } else { last[s] };
                    if skips(s) { add(stay, last[s - 2]) } else { stay }
                }
            };
            alpha[t * states + s] = before + logs[t * classes + class(s)];
        }
    }
    let total = match (steps, states) {
        (0, 1) => 0.0,
        (0, _) => NONE,
        (_, 1) => alpha[(steps - 1) * states],
        _ => add(alpha[steps * states - 1], alpha[steps * states - 2]),
    };
    let Some(grad) = grad else { return -total };
    if total == NONE {
        grad.fill(0.0);
        return -total;
    }
    // beta: the logarithm of what is still to come after step t in state s.
    let mut beta = vec![NONE; states];
    beta[states - 1] = 0.0;
    if states > 1 {
        beta[states - 2] = 0.0;
    }
    for t in (0..steps).rev() {
        if t + 1 < steps {
            let next = |s: usize| beta[s] + logs[(t + 1) * classes + class(s)];
            let new: Vec<f64> = (0..states)
                .map(|s| {
                    let stay = if s + 1 < states { add(next(s), next(s + 1)) } else { next(s) };
                    if s + 2 < states && skips(s + 2) { add(stay, next(s + 2)) } else { stay }
                })
                .collect();
            beta = new;
        }
        let row = &mut grad[t * classes..][..classes];
        row.iter_mut().zip(&logs[t * classes..]).for_each(|(g, l)| *g = l.exp());
        for s in 0..states {
            row[class(s)] -= (alpha[t * states + s] + beta[s] - total).exp();
        }
    }
    -total
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All paths, one by one.
    fn by_hand(logits: &[f64], classes: usize, labels: &[usize], blank: usize) -> f64 {
        let steps = logits.len() / classes;
        let mut sum = 0.0;
        for path in 0..classes.pow(steps as u32) {
            let (mut p, mut seen, mut last, mut rest) = (1.0, Vec::new(), None, path);
            for row in logits.chunks(classes) {
                let c = rest % classes;
                rest /= classes;
                p *= row[c].exp() / row.iter().map(|v| v.exp()).sum::<f64>();
                if c != blank && last != Some(c) {
                    seen.push(c);
                }
                last = Some(c);
            }
            if seen == labels {
                sum += p;
            }
        }
        -sum.ln()
    }

    #[test]
    fn loss_and_gradient_are_those_of_the_sum_over_paths() {
        let logits: Vec<f64> = (0..15).map(|i| f64::from(i * 7 % 11) * 0.3 - 1.0).collect();
        for labels in [&[][..], &[1], &[1, 2], &[1, 1], &[2, 1, 2]] {
            let mut grad = vec![0.0; 15];
            let loss = ctc(&logits, 3, labels, 0, Some(&mut grad));
            assert!((loss - by_hand(&logits, 3, labels, 0)).abs() < 1e-12, "{labels:?}");
            for i in 0..15 {
                let at = |h: f64| {
                    let mut l = logits.clone();
                    l[i] += h;
                    ctc(&l, 3, labels, 0, None)
                };
                assert!((grad[i] - (at(1e-5) - at(-1e-5)) / 2e-5).abs() < 1e-9, "{labels:?} {i}");
            }
        }
        assert_eq!(ctc(&logits, 3, &[1, 1, 1, 1], 0, None), 0.0);
        assert_eq!(ctc(&[], 3, &[], 0, None), 0.0);
    }
}
