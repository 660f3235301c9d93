//! When a failed delivery is tried again. Randomness is an argument.

/// Pauses before the tries after the first: the schedule of Standard Webhooks, 27 h 35 m 5 s in all.
const PAUSES_MS: [i64; 7] = [
    5_000,
    5 * 60_000,
    30 * 60_000,
    2 * 3_600_000,
    5 * 3_600_000,
    10 * 3_600_000,
    10 * 3_600_000,
];

/// A pause is up to this share longer, so that what failed together does not come back together.
const JITTER: f64 = 0.2;

/// An endpoint that has failed for so long is switched off: five days, longer than a weekend with a holiday.
pub const FAILING_MS_MAX: i64 = 120 * 3_600_000;

/// The pause after so many tries, in ms; `None` when it has been tried often enough. `chance` is from 0 to 1.
pub fn pause_ms(tries: u32, chance: f64) -> Option<i64> {
    let place = usize::try_from(tries).ok()?.checked_sub(1)?;
    let pause = *PAUSES_MS.get(place)?;
    Some(pause + (pause as f64 * JITTER * chance.clamp(0.0, 1.0)) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end_after_the_eighth_try() {
        assert_eq!(pause_ms(0, 0.0), None);
        let pauses: Vec<_> = (1..).map_while(|tries| pause_ms(tries, 0.0)).collect();
        assert_eq!(pauses, PAUSES_MS);
        assert_eq!(pause_ms(8, 1.0), None);
    }

    #[test]
    fn chance_only_ever_adds_up_to_a_fifth() {
        assert_eq!(pause_ms(1, 1.0), Some(6_000));
        assert_eq!(pause_ms(1, 0.5), Some(5_500));
        assert_eq!(pause_ms(1, 7.0), Some(6_000));
    }
}
