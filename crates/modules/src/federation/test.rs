//! `federation test`: whether this server and another can talk, step by step.

use std::sync::Arc;
use std::time::Duration;

use waxwing_jid::Jid;
use waxwing_kernel::command::{FieldKind, Grid, Order, Refusal, Said};
use waxwing_kernel::links::ledger::{Direction, Record, WayView};
use waxwing_kernel::links::policy::{self, By, Terms};
use waxwing_kernel::links::survey::{Step, Survey, Verdict};
use waxwing_kernel::stage::Party;
use waxwing_stanza::{Condition, IqType, Kind, Stanza, StanzaError};

use super::{Federation, TestPeer};

const PING: &str = "<ping xmlns='urn:xmpp:ping'/>";
/// How long it may take to look at names, addresses and certificates.
const SURVEY: Duration = Duration::from_secs(60);
/// How long an answer may take, from the first question to DNS on.
const ANSWER: Duration = Duration::from_secs(75);

impl Federation {
    pub(super) async fn test(self: Arc<Self>, order: Order<TestPeer>) -> Result<Said, Refusal> {
        self.check_reach(&order.caller)?;
        let TestPeer { domain, host } = order.form;
        if host.as_deref().is_some_and(|host| host != self.domain.domain()) {
            let text = format!("this is {}; give the command to that domain", self.domain);
            return Err(Refusal::invalid("host", text));
        }
        let domain = self.read_domain(&domain)?;
        let name = domain.as_str();
        let peer = Jid::new(name).map_err(|error| Refusal::invalid("domain", error.to_string()))?;
        let rules = self.rules(name);
        let is_barred = rules.verdict == Verdict::Bad;
        if !is_barred && self.hub.dialer().is_none() {
            let text = "only a server that runs can connect to others: start it";
            return Err(Refusal::not_allowed(text));
        }
        // Both at the same time: whoever waits for a dead server waits long enough.
        let talk = async { if is_barred { Vec::new() } else { self.talk(&peer).await } };
        let (found, talk) = tokio::join!(self.look_around(name), talk);
        let can_talk = !talk.is_empty() && talk.iter().all(|step| step.verdict != Verdict::Bad);
        // Why it does not work shows best where it was tried.
        let reason = talk.iter().chain([&rules]).find(|step| step.verdict == Verdict::Bad).cloned();
        let mut steps = vec![rules];
        steps.extend(found.into_iter().chain(talk).chain(self.claims(name)));
        Ok(told(name, Outcome { can_talk, reason }, &Survey { steps }))
    }

    /// Whether the rules of this server let the two talk.
    fn rules(&self, domain: &str) -> Step {
        let what = "rules";
        let terms = match self.hub.policy().judge(domain) {
            Err(barred) => {
                let step = Step::new(what, barred.to_string(), Verdict::Bad);
                return step.remedy(barred.advice(domain));
            }
            Ok(terms) => terms,
        };
        let by = match self.hub.policy().said(domain) {
            Some((policy::Order::Allow, By::File)) => "allowed in the configuration file",
            Some((policy::Order::Allow, By::Command)) => "allowed by command",
            _ => "no rule is against it",
        };
        let proof = match (terms.dialback_allowed, terms.tls_required) {
            (false, _) => "a valid certificate is required",
            (true, true) => "a valid certificate is required, or dialback inside TLS",
            (true, false) => "a valid certificate is required, or dialback, also without TLS",
        };
        Step::new(what, format!("{by}; {proof}"), Verdict::Good)
    }

    /// What names, addresses, ports and certificates say, unless the operator said where it is.
    async fn look_around(&self, domain: &str) -> Vec<Step> {
        if let Ok(Terms { place: Some(place), .. }) = self.hub.policy().judge(domain) {
            let found =
                format!("{}, port {}, as [[peer]] says: DNS is not asked", place.host, place.port);
            return vec![Step::new("place", found, Verdict::Note)];
        }
        let deadline = self.hub.clock().now() + SURVEY;
        let found = tokio::select! {
            found = self.hub.survey(domain) => found,
            () = self.hub.clock().until(Some(deadline)) => {
                let found = format!("no end after {} seconds", SURVEY.as_secs());
                return vec![Step::new("names and addresses", found, Verdict::Bad).remedy(
                    "Check the name servers of this machine, or set `dns` below [federation].",
                )];
            }
        };
        found.map(|found| found.steps).unwrap_or_default()
    }

    /// Asks the other server something: the question needs the way there, the answer the way back.
    async fn talk(&self, peer: &Jid) -> Vec<Step> {
        let mut steps = Vec::new();
        let own = self.domain.to_jid();
        self.hub.forgive(peer.domain());
        let begin = self.hub.clock().now();
        let ping = Stanza::iq(IqType::Get).to(peer.clone()).with(PING);
        let answer = self.hub.inquire_for(&Party::new(own, None), ping, ANSWER).await;
        let took = self.hub.clock().now().saturating_duration_since(begin).as_millis();
        let record = self.hub.ledger().show(peer.domain());
        let out = record.as_ref().and_then(|it| self.stream(it, Direction::In));
        match (&out, record.as_ref().and_then(|it| it.summary.failure.clone())) {
            (Some(way), _) => steps.push(Step::new("way there", describe(way), good(way))),
            (None, Some(failure)) => {
                let step = Step::new("way there", &*failure.words, Verdict::Bad);
                steps.push(match &*failure.advice {
                    "" => step,
                    advice => step.remedy(advice),
                });
                return steps;
            }
            (None, None) => {}
        }
        let back = record.as_ref().and_then(|it| self.stream(it, Direction::Out));
        steps.push(match (answer, back) {
            (Ok(answer), back) if is_from_there(&answer) => {
                let how = match back {
                    Some(way) if Some(&way) == out.as_ref() => " on the same stream".to_owned(),
                    Some(way) => format!(" over {}", describe(&way)),
                    None => String::new(),
                };
                Step::new("way back", format!("it answered in {took} ms{how}"), Verdict::Good)
            }
            (Ok(answer), _) => refused(answer.error()),
            (Err(error), _) if error.condition == Condition::RemoteServerTimeout => {
                let found = format!("it took our question, and no answer came in {took} ms");
                Step::new("way back", found, Verdict::Bad).remedy(
                    "Either it is slow, or it cannot reach this server: check that ports 5269 and \
                     5270 are open from the internet, and that the DNS records and certificate of \
                     this domain are right: waxwing check.",
                )
            }
            (Err(error), _) => refused(Some(error)),
        });
        steps
    }

    /// A stream of ours to or from that domain that does not go this way only; the newest.
    fn stream(&self, record: &Record, not: Direction) -> Option<WayView> {
        let own = self.domain.domain();
        let fits = |way: &&WayView| *way.ours == *own && way.direction != not;
        record.ways.iter().rev().find(fits).cloned()
    }

    /// Who said to be that domain, and was refused.
    fn claims(&self, domain: &str) -> Option<Step> {
        let record = self.hub.ledger().show(domain)?;
        let step = Step::new("streams from there", &*record.claims.first()?.words, Verdict::Poor);
        Some(step.remedy(
            "If that was the real server, its operator has to mend what is said there; if it was \
             somebody else, all is well.",
        ))
    }
}

/// What came of it.
struct Outcome {
    can_talk: bool,
    /// Why not.
    reason: Option<Step>,
}

/// Whether the other server said this itself: its answer, or that it knows no pings.
fn is_from_there(answer: &Stanza) -> bool {
    match answer.head.kind {
        Kind::Iq(IqType::Result) => true,
        _ => answer.error().is_some_and(|error| {
            matches!(
                error.condition,
                Condition::ServiceUnavailable | Condition::FeatureNotImplemented
            )
        }),
    }
}

fn refused(error: Option<StanzaError>) -> Step {
    let error = error.unwrap_or_else(StanzaError::undefined_condition);
    Step::new("way back", format!("the answer was an error: {error}"), Verdict::Bad)
}

/// A stream without TLS is better than none.
fn good(way: &WayView) -> Verdict {
    if way.tls.is_some() { Verdict::Good } else { Verdict::Poor }
}

fn describe(way: &WayView) -> String {
    let direction = match way.direction {
        Direction::Both => "a stream for both ways",
        Direction::In | Direction::Out => "a stream",
    };
    let mut words = format!("{direction} by {}", way.transport);
    for part in [&way.tls, &way.cipher].into_iter().flatten() {
        words.push_str(&format!(", {part}"));
    }
    words + &format!(", proven by {}", way.proof)
}

/// The verdict in a sentence, what to do, and every step.
fn told(domain: &str, outcome: Outcome, survey: &Survey) -> Said {
    let worst = survey.verdict();
    let (verdict, sentence) = match (outcome.can_talk, worst) {
        (true, Verdict::Bad | Verdict::Poor) => {
            (Verdict::Poor, format!("This server and {domain} can talk, but not all is well"))
        }
        (true, _) => (Verdict::Good, format!("This server and {domain} can talk")),
        (false, _) => {
            let why = outcome.reason.map(|step| format!(": {}", step.found)).unwrap_or_default();
            (Verdict::Bad, format!("This server and {domain} cannot talk{why}"))
        }
    };
    let mut grid =
        Grid::new(&[("verdict", "Verdict"), ("step", "Step"), ("found", "What was found")]);
    for step in &survey.steps {
        grid.row([step.verdict.word().to_owned(), step.what.clone(), step.found.clone()]);
    }
    let said = Said::note(sentence.trim_end_matches('.').to_owned() + ".");
    let said = said.fact("verdict", "Verdict", verdict.word());
    let remedies = remedies(survey, worst);
    let said = match remedies.is_empty() {
        true => said,
        false => said.facts("remedies", "What to do", FieldKind::Texts, remedies),
    };
    said.table(grid)
}

/// What to do: of what is broken alone if anything is, and each advice once.
fn remedies(survey: &Survey, worst: Verdict) -> Vec<String> {
    let mut seen: Vec<&str> = Vec::new();
    let mut remedies = Vec::new();
    for step in survey.steps.iter().filter(|step| worst != Verdict::Bad || step.verdict == worst) {
        let Some(remedy) = step.remedy.as_deref().filter(|remedy| !seen.contains(remedy)) else {
            continue;
        };
        seen.push(remedy);
        remedies.push(format!("{}: {remedy}", step.what));
    }
    remedies
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey() -> Survey {
        let step = |what: &str, verdict| Step::new(what, "found", verdict).remedy("Mend it.");
        Survey { steps: vec![step("IPv6", Verdict::Poor), step("port", Verdict::Bad)] }
    }

    #[test]
    fn what_works_can_talk_whatever_else_is_wrong() {
        let said = told("a.example", Outcome { can_talk: true, reason: None }, &survey());
        assert_eq!(said.note, "This server and a.example can talk, but not all is well.");
        let reason = Some(Step::new("way there", "It is gone.", Verdict::Bad));
        let said = told("a.example", Outcome { can_talk: false, reason }, &survey());
        assert_eq!(said.note, "This server and a.example cannot talk: It is gone.");
        let said = told("a.example", Outcome { can_talk: true, reason: None }, &Survey::default());
        assert_eq!(said.note, "This server and a.example can talk.");
    }

    #[test]
    fn what_is_broken_is_to_be_mended_first_and_nothing_is_said_twice() {
        let mut survey = survey();
        assert_eq!(remedies(&survey, survey.verdict()), ["port: Mend it."]);
        survey.steps[1].verdict = Verdict::Note;
        assert_eq!(remedies(&survey, survey.verdict()), ["IPv6: Mend it."]);
    }
}
