//! Boxes: how much two overlap, and which of many to keep. A box here is left, top, right, bottom, in float64.

/// Left, top, right, bottom.
pub type Box4 = [f64; 4];

/// The corners of a box that is given by its centre, width and height.
#[inline]
pub fn corners([x, y, w, h]: Box4) -> Box4 {
    [x - w / 2.0, y - h / 2.0, x + w / 2.0, y + h / 2.0]
}

/// Centre, width and height of a box that is given by its corners.
#[inline]
pub fn centre([l, t, r, b]: Box4) -> Box4 {
    [(l + r) / 2.0, (t + b) / 2.0, r - l, b - t]
}

#[inline]
fn area([l, t, r, b]: Box4) -> f64 {
    (r - l).max(0.0) * (b - t).max(0.0)
}

/// Area of the intersection over that of the union; 0 where the union has none.
#[inline]
pub fn iou(a: Box4, b: Box4) -> f64 {
    let w = a[2].min(b[2]) - a[0].max(b[0]);
    let h = a[3].min(b[3]) - a[1].max(b[1]);
    if w <= 0.0 || h <= 0.0 {
        return 0.0;
    }
    let union = area(a) + area(b) - w * h;
    if union <= 0.0 { 0.0 } else { w * h / union }
}

/// Where a box lies relative to an anchor: shift of the centre in sizes of the anchor, logarithm of the ratio of sizes, each
/// divided by its scale.
pub fn encode(anchor: Box4, of: Box4, scale: [f64; 4]) -> [f64; 4] {
    let ([ax, ay, aw, ah], [x, y, w, h]) = (centre(anchor), centre(of));
    [(x - ax) / aw / scale[0], (y - ay) / ah / scale[1], (w / aw).ln() / scale[2], (h / ah).ln() / scale[3]]
}

/// The inverse of [`encode`]. Logarithms above `most` are cut to it.
pub fn decode([ax, ay, aw, ah]: Box4, d: [f64; 4], scale: [f64; 4], most: f64) -> Box4 {
    let size = |d: f64, s: f64, a: f64| (d * s).min(most).exp() * a;
    corners([
        d[0] * scale[0] * aw + ax,
        d[1] * scale[1] * ah + ay,
        size(d[2], scale[2], aw),
        size(d[3], scale[3], ah),
    ])
}

/// Of boxes in order of their worth, which ones stay: each removes the later ones of its class (or of all, when `class` says
/// so) that `beaten` says overlap too much.
pub fn suppress(
    boxes: &[Box4],
    same_class: impl Fn(usize, usize) -> bool,
    beaten: impl Fn(f64) -> bool,
) -> Vec<bool> {
    let mut kept = vec![true; boxes.len()];
    for i in 0..boxes.len() {
        if !kept[i] {
            continue;
        }
        for j in i + 1..boxes.len() {
            if kept[j] && same_class(i, j) && beaten(iou(boxes[i], boxes[j])) {
                kept[j] = false;
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlaps_and_codes() {
        let (a, b) = ([0.0, 0.0, 2.0, 2.0], [1.0, 1.0, 3.0, 3.0]);
        assert_eq!((iou(a, a), iou(a, b), iou(a, [5.0, 5.0, 6.0, 6.0])), (1.0, 1.0 / 7.0, 0.0));
        assert_eq!(iou([0.0; 4], [0.0; 4]), 0.0);
        assert_eq!(corners(centre(b)), b);
        let scale = [0.1, 0.1, 0.2, 0.2];
        let back = decode(centre(a), encode(a, b, scale), scale, f64::INFINITY);
        assert!(back.iter().zip(b).all(|(x, y)| (x - y).abs() < 1e-12));
        let boxes = [a, [0.1, 0.0, 2.0, 2.0], b];
        assert_eq!(suppress(&boxes, |_, _| true, |o| o > 0.5), [true, false, true]);
        assert_eq!(suppress(&boxes, |i, j| i + j > 5, |o| o > 0.5), [true; 3]);
    }
}
