//! When a certificate is ordered: pure rules, over Unix time in seconds.

use std::time::Duration;

/// A day, in seconds: the longest wait after a failure.
const DAY: i64 = 86_400;
/// RFC 9773 §4.3.2: "Clients MUST set reasonable limits on their checking interval. For example,
/// values under one minute could be treated as if they were one minute, and values over one day
/// could be treated as if they were one day."
const ASK_AGAIN: (Duration, Duration) =
    (Duration::from_secs(60), Duration::from_secs(DAY.unsigned_abs()));

/// From when to when a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: i64,
    pub(super) until: i64,
}

/// What an authority suggests (RFC 9773 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Suggestion {
    pub(super) window: Span,
    /// The moment in it that was drawn.
    pub(super) at: i64,
    /// When it is asked for again.
    pub(super) ask_at: i64,
}

impl Span {
    /// When it is renewed: with a third of its life left, or up to a thirty-sixth of it earlier, by
    /// the draw, so that servers that began together do not come back together.
    pub(super) fn renewal(self, draw: u32) -> i64 {
        let life = (self.until - self.from).max(0);
        self.until - life / 3 - share(life / 36, draw)
    }
}

impl Suggestion {
    /// RFC 9773 §4.2: "Select a uniform random time within the suggested window." The one drawn
    /// before stays as long as the window does.
    pub(super) fn new(window: Span, draw: u32, ask_at: i64, before: Option<Self>) -> Self {
        if let Some(before) = before.filter(|before| before.window == window) {
            return Self { ask_at, ..before };
        }
        let width = (window.until - window.from).max(0);
        Self { window, at: window.from + share(width, draw), ask_at }
    }
}

/// When an authority is asked again for what it suggests.
pub(super) fn ask_again(now: i64, asked_for: Duration) -> i64 {
    now + seconds(asked_for.clamp(ASK_AGAIN.0, ASK_AGAIN.1))
}

/// How long it is waited after the last of `failures` in a row: `first`, doubled by each further
/// one, up to a day; a quarter more or less, by the draw; and no less than the authority `asked`.
pub(super) fn wait(failures: u32, first: Duration, asked: Option<Duration>, draw: u32) -> i64 {
    let doubled = seconds(first).saturating_mul(1 << failures.saturating_sub(1).min(20));
    let usual = doubled.min(DAY);
    let drawn = usual - usual / 4 + share(usual / 2, draw);
    let asked = asked.map_or(0, |asked| seconds(asked).min(30 * DAY));
    drawn.max(asked).max(1)
}

fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

/// A part of `whole`: none at 0, nearly all at the largest draw.
fn share(whole: i64, draw: u32) -> i64 {
    let part = i128::from(whole) * i128::from(draw) / (1 << 32);
    i64::try_from(part).unwrap_or(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_of_the_life_is_left_at_renewal() {
        let span = Span { from: 1000, until: 1000 + 90 * DAY };
        assert_eq!(span.renewal(0), 1000 + 60 * DAY);
        let early = span.renewal(u32::MAX);
        assert!((1000 + 57 * DAY..1000 + 58 * DAY).contains(&early), "{early}");
        // Six days are fine, and so is nonsense.
        assert_eq!(Span { from: 0, until: 6 * DAY }.renewal(0), 4 * DAY);
        assert_eq!(Span { from: 10, until: 5 }.renewal(u32::MAX), 5);
    }

    #[test]
    fn waits_double_up_to_a_day() {
        let first = Duration::from_secs(900);
        let middle = 1 << 31;
        assert_eq!(wait(1, first, None, middle), 900);
        assert_eq!(wait(2, first, None, middle), 1800);
        assert_eq!(wait(3, first, None, middle), 3600);
        assert_eq!(wait(40, first, None, middle), DAY);
        assert_eq!(wait(1, first, None, 0), 675);
        assert!(wait(1, first, None, u32::MAX) < 1126);
        assert_eq!(wait(1, first, Some(Duration::from_secs(7200)), middle), 7200);
        assert_eq!(wait(1, Duration::from_secs(1), None, 0), 1);
    }

    #[test]
    fn a_moment_in_a_suggested_window_stays() {
        let window = Span { from: 100, until: 200 };
        let drawn = Suggestion::new(window, 1 << 31, 5, None);
        assert_eq!((drawn.at, drawn.ask_at), (150, 5));
        let again = Suggestion::new(window, 0, 9, Some(drawn));
        assert_eq!((again.at, again.ask_at), (150, 9));
        let moved = Suggestion::new(Span { from: 10, until: 20 }, 0, 9, Some(again));
        assert_eq!(moved.at, 10);
        assert_eq!(ask_again(1000, Duration::ZERO), 1060);
        assert_eq!(ask_again(1000, Duration::from_secs(7200)), 8200);
        assert_eq!(ask_again(0, Duration::MAX), DAY);
    }
}
