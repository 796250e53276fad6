//! Weighted round robin, worked out beforehand: the order in which servers take their turns, evenly
//! interleaved.
//!
//! `plan` makes one when the servers change; a request only reads it.

/// The work that one schedule may cost; beyond, turns are found by `tournament`.
const MOST_STEPS: u64 = 1 << 20;

/// One period of turns.
#[derive(Debug)]
pub struct Schedule {
    order: Box<[u32]>,
}

impl Schedule {
    /// Turns for servers of these weights, none of them 0; `None` when the period would be too long.
    pub fn new(weights: &[u64]) -> Option<Self> {
        let divisor = weights.iter().copied().fold(0, gcd).max(1);
        let weights: Vec<u64> = weights.iter().map(|weight| weight / divisor).collect();
        let total: u64 = weights.iter().fold(0, |sum, w| sum.saturating_add(*w));
        if weights.iter().all(|weight| *weight == 1) {
            let order = (0..u32::try_from(weights.len()).ok()?).collect();
            return Some(Self { order });
        }
        if total.saturating_mul(weights.len() as u64) > MOST_STEPS {
            return None;
        }
        Some(Self {
            order: smooth(&weights, total),
        })
    }

    /// Who has this turn.
    pub fn at(&self, turn: u32) -> Option<usize> {
        let place = turn.checked_rem(self.period())?;
        let index = self.order.get(place as usize)?;
        Some(*index as usize)
    }

    /// Turns until they repeat.
    pub fn period(&self) -> u32 {
        // No longer than `MOST_STEPS`, or than there are servers.
        self.order.len() as u32
    }
}

/// nginx's smooth weighted round robin: each turn everybody gains its weight; who has most takes the
/// turn and pays the sum of all.
fn smooth(weights: &[u64], total: u64) -> Box<[u32]> {
    let mut gained: Vec<i64> = vec![0; weights.len()];
    let turn = |_| {
        let mut best = (0, i64::MIN);
        for (index, (gained, weight)) in gained.iter_mut().zip(weights).enumerate() {
            *gained = gained.saturating_add_unsigned(*weight);
            if *gained > best.1 {
                best = (index, *gained);
            }
        }
        if let Some(gained) = gained.get_mut(best.0) {
            *gained = gained.saturating_sub_unsigned(total);
        }
        u32::try_from(best.0).unwrap_or(u32::MAX)
    };
    (0..total).map(turn).collect()
}

fn gcd(a: u64, b: u64) -> u64 {
    match b {
        0 => a,
        _ => gcd(b, a % b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(weights: &[u64]) -> Vec<usize> {
        let schedule = Schedule::new(weights).unwrap();
        (0..schedule.period())
            .map(|turn| schedule.at(turn).unwrap())
            .collect()
    }

    #[test]
    fn turns_are_interleaved_as_nginx_does() {
        assert_eq!(turns(&[5, 1, 1]), [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(turns(&[5, 3, 2]), [0, 1, 2, 0, 0, 1, 0, 2, 1, 0]);
    }

    #[test]
    fn equal_servers_go_in_order_whatever_their_weight() {
        assert_eq!(turns(&[7, 7, 7]), [0, 1, 2]);
        assert_eq!(turns(&[40, 20]), [0, 1, 0]);
    }

    #[test]
    fn a_period_that_would_be_too_long_is_not_worked_out() {
        let weights: Vec<u64> = (1..=10_000).collect();
        assert!(Schedule::new(&weights).is_none());
        assert!(Schedule::new(&vec![3; 10_000]).is_some());
    }

    #[test]
    fn nobody_has_no_turns() {
        assert_eq!(Schedule::new(&[]).unwrap().at(3), None);
    }
}
