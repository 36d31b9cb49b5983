//! Choices at random that can be made again.

use std::time::Duration;

use crate::run::Run;

/// SplitMix64, of Steele, Lea and Flood: a counter, stirred.
pub(super) struct Dice(u64);

impl Dice {
    /// The dice of this person.
    pub(super) fn of(seed: u64, person: usize) -> Self {
        let mut dice = Self(seed ^ (person as u64).wrapping_mul(0xD134_2543_DE82_EF95));
        dice.roll();
        dice
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below this one, which is not 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.roll() % end as u64) as usize
    }

    /// From nothing to twice the mean.
    pub(super) fn pause(&mut self, mean: Duration) -> Duration {
        mean.mul_f64(self.below(2001) as f64 / 1000.0)
    }
}

/// The seed of a run for which none was named.
pub(super) fn seed(run: &Run) -> u64 {
    u64::from_str_radix(&run.token, 16).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_choices() {
        let rolls = |seed, person| {
            let mut dice = Dice::of(seed, person);
            (0..8).map(|_| dice.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(rolls(7, 1), rolls(7, 1));
        assert!(rolls(7, 1) != rolls(7, 2) && rolls(7, 1) != rolls(8, 1));
        let mut dice = Dice::of(1, 1);
        assert!((0..100).all(|_| dice.pause(Duration::from_secs(1)) <= Duration::from_secs(2)));
    }
}
