//! What passes between the server and somebody's clients, without what they say.

use std::sync::Arc;
use std::time::Duration;

use waxwing_kernel::clock::stamp_of;
use waxwing_kernel::command::{Caller, Field, FieldKind, Grid, Order, Refusal, Said};
use waxwing_kernel::trace::{Line, Trace};

use super::forms::TraceSession;
use super::{Admin, counted};

/// How long is watched if nothing is said, and at most for an admin in a client, whose own stream
/// stands still meanwhile.
const USUAL_SECONDS: u32 = 10;

impl Admin {
    /// Watches for a while, then tells.
    pub(super) async fn trace(
        self: Arc<Self>,
        order: Order<TraceSession>,
    ) -> Result<Said, Refusal> {
        let TraceSession { jid, seconds } = order.form;
        let account = jid.bare();
        self.check_address("accountjid", &account)?;
        if self.hub.directory().sessions(&account).is_empty() {
            self.account("accountjid", &account).await?;
        }
        let seconds = seconds.map_or(USUAL_SECONDS, |seconds| seconds.0);
        if matches!(order.caller, Caller::Account(_)) && seconds > USUAL_SECONDS {
            let text = format!(
                "your own stream stands still meanwhile: up to {USUAL_SECONDS} here, more on the \
                 server's command line"
            );
            return Err(Refusal::invalid("seconds", text));
        }
        let busy = || Refusal::busy("others are watching sessions already; try again later");
        let watch = self.hub.watch(jid.clone()).ok_or_else(busy)?;
        tracing::info!(by = ?order.caller, %jid, seconds, "session traced");
        let clock = self.hub.clock();
        clock.until(Some(clock.now() + Duration::from_secs(u64::from(seconds)))).await;
        let Trace { lines, left_out } = watch.finish();
        let mut note = format!("{} in {seconds} s.", counted(lines.len(), "line", "lines"));
        if left_out > 0 {
            note.push_str(&format!(" {left_out} more were left out."));
        }
        Ok(Said::note(note).table(grid(&lines)))
    }
}

fn grid(lines: &[Line]) -> Grid {
    let mut grid = Grid::new(&[
        ("time", "Time"),
        ("session", "Session"),
        ("sender", "Sent by"),
        ("element", "Element"),
        ("from", "From"),
        ("to", "To"),
        ("id", "Id"),
        ("bytes", "Bytes"),
        ("children", "Children"),
    ]);
    for line in lines {
        grid.row([
            stamp_of(line.millis),
            line.session.resource().unwrap_or_default().to_owned(),
            if line.is_from_client { "client" } else { "server" }.to_owned(),
            line.kind.clone(),
            line.from.clone(),
            line.to.clone(),
            line.id.clone(),
            line.bytes.to_string(),
            line.children.clone(),
        ]);
    }
    grid
}

/// How long a session is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seconds(u32);

impl Seconds {
    const LONGEST: u32 = 60;
}

impl Field for Seconds {
    const KIND: FieldKind = FieldKind::Text;

    fn read(values: &[&str]) -> Result<Self, String> {
        match values {
            [number] => match number.trim().parse() {
                Ok(seconds @ 1..=Self::LONGEST) => Ok(Self(seconds)),
                _ => Err(format!("expected a number from 1 to {}", Self::LONGEST)),
            },
            _ => Err("only one value may be given".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_has_bounds() {
        assert_eq!(Seconds::read(&["60"]), Ok(Seconds(60)));
        assert!(Seconds::read(&["0"]).is_err() && Seconds::read(&["61"]).is_err());
    }
}
