//! The table of routes in words.

use super::{Filter, Router};
use crate::stage::{Side, Stage};

impl Router {
    /// The table in words, one line each, for `waxwing routes` and the golden file.
    pub fn describe(&self) -> String {
        let mut lines: Vec<String> = Vec::new();
        for ((scope, ask), routes) in &self.0.iqs {
            lines.extend(routes.describe().map(|route| format!("iq {scope:?} {ask:?} {route}")));
        }
        lines.extend(self.0.nonzas.describe().map(|route| format!("nonza {route}")));
        lines.extend(self.0.letters.describe().map(|route| format!("letter {route}")));
        lines.extend(self.0.drawers.describe().map(|route| format!("drawer {route}")));
        lines.extend(self.0.attached.iter().map(|(module, _)| format!("attached · {module}")));
        lines.extend(self.0.intercepts.iter().map(|(module, _)| format!("intercept · {module}")));
        lines.extend(self.0.inlines.describe().map(|route| format!("inline {route}")));
        lines.extend(self.0.admissions.iter().map(|(module, _)| format!("admission · {module}")));
        lines.extend(self.0.bounds.iter().map(|(module, _)| format!("bound · {module}")));
        lines.extend(self.0.passwords.iter().map(|it| format!("password · {}", it.module)));
        lines.extend(self.0.bearer.iter().map(|it| format!("bearer · {}", it.backend.module)));
        let lookups = self.0.lookups.backends.iter();
        lines.extend(lookups.map(|(module, _)| format!("lookup · {module}")));
        lines.extend(
            self.0.signals.iter().map(|(of, module, _)| format!("signal {of:?} · {module}")),
        );
        lines.extend(
            self.0.services.iter().map(|it| format!("service {} · {}", it.label, it.module)),
        );
        lines.extend(self.0.visits.keys().map(|module| format!("visits · {module}")));
        lines.extend(self.0.endings.iter().map(|(module, _)| format!("ending · {module}")));
        lines.extend(self.0.welcomes.iter().map(|(module, _)| format!("welcome · {module}")));
        lines.extend(self.0.tones.iter().map(|(module, _)| format!("tone · {module}")));
        lines.extend(self.0.shelves.iter().map(|(module, _)| format!("shelves · {module}")));
        lines.extend(self.0.interested.iter().map(|(module, _)| format!("interested · {module}")));
        lines.extend(self.0.node_routes.describe());
        lines.extend(self.0.https.iter().map(|(module, _)| format!("http /{module}/ · {module}")));
        lines.extend(
            self.0.events.iter().map(|(module, about)| format!("event {} · {module}", about.name)),
        );
        lines.extend(self.0.deeds.iter().map(|(module, _)| format!("deed · {module}")));
        lines.extend(self.0.presences.iter().map(|(module, _)| format!("presence · {module}")));
        lines.extend(
            self.0.rounds.iter().map(|(module, period, _)| {
                format!("round every {} s · {module}", period.as_secs())
            }),
        );
        lines.extend(self.0.egress.iter().map(|(module, _)| format!("egress · {module}")));
        lines.extend(self.0.commands.iter().map(|(module, command)| {
            let about = command.about();
            format!("command {} {} · {module}", about.words.join(" "), about.node)
        }));
        lines.sort();
        for side in [Side::Outbound, Side::Inbound] {
            let stages = Stage::ALL.map(|stage| {
                let of = |filter: &&Filter| filter.side == side && filter.stage == stage;
                let names: Vec<_> = self.0.filters.iter().filter(of).map(|f| f.module).collect();
                format!(
                    "{stage:?} {}",
                    if names.is_empty() { "–".into() } else { names.join(", ") }
                )
            });
            lines.push(format!("{side:?}: {}", stages.join(" · ")));
        }
        lines.join("\n") + "\n"
    }
}
