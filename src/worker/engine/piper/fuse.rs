//! Merges steps of a tape, so that signals go through memory less often.

use super::{
    pointwise::{Join, Map},
    tape::{Action, Step, Tape, View},
};

/// Saves passes over memory: what is added to a convolution is added while its sums are still in registers, and a
/// scaling goes into the activation after it.
pub(super) fn fuse(mut tape: Tape) -> Tape {
    let mut uses = vec![0; tape.registers.len()];
    uses[tape.output.register] += 1;
    for step in &tape.steps {
        for register in step.registers() {
            uses[register] += 1;
        }
    }
    let mut steps: Vec<Step> = Vec::with_capacity(tape.steps.len());
    for step in tape.steps {
        let whole = |view: &View| uses[view.register] == 1 && view.rows.len() == tape.registers[view.register].rows;
        // The step just before is the one that is always still possible to change: nothing lies between.
        let fused = match (&step.action, steps.last_mut()) {
            (
                Action::Join { a, b, join: Join::Add },
                Some(Step { action: Action::Convolve { residual: residual @ None, .. }, output }),
            ) => {
                let other = if a.register == *output && whole(a) && b.register != *output {
                    Some(b)
                } else if b.register == *output && whole(b) && a.register != *output {
                    Some(a)
                } else {
                    None
                };
                other.is_some_and(|other| {
                    *residual = Some(other.clone());
                    *output = step.output;
                    true
                })
            }
            (
                Action::Map { input, map: Map::ScaledLeaky(1.0, slope) },
                Some(Step { action: Action::Map { map, .. }, output }),
            ) => match map {
                Map::Affine(scale, 0.0) if input.register == *output && whole(input) => {
                    *map = Map::ScaledLeaky(*scale, *slope);
                    *output = step.output;
                    true
                }
                _ => false,
            },
            _ => false,
        };
        if !fused {
            steps.push(step);
        }
    }
    tape.steps = steps;
    tape
}
