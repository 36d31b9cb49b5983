//! What was found out about another server, step by step, for a person who wonders why it does not
//! answer.

/// How a step came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// It works, and could be better.
    Poor,
    /// This is why it does not work.
    Bad,
    /// Something to know.
    Note,
}

impl Verdict {
    /// A word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Poor => "poor",
            Self::Bad => "bad",
            Self::Note => "note",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What, such as `SRV _xmpp-server._tcp.example.org`.
    pub what: String,
    /// What was found there, in words.
    pub found: String,
    /// What that means.
    pub verdict: Verdict,
    /// What to do about it, and who has to.
    pub remedy: Option<String>,
}

impl Step {
    /// A step without a remedy.
    pub fn new(what: impl Into<String>, found: impl Into<String>, verdict: Verdict) -> Self {
        Self { what: what.into(), found: found.into(), verdict, remedy: None }
    }

    /// Says what to do.
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// Everything that was looked at, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// The steps.
    pub steps: Vec<Step>,
}

impl Survey {
    /// Adds a step.
    pub fn add(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// The worst of it: `Bad` before `Poor` before everything else.
    pub fn verdict(&self) -> Verdict {
        let has = |verdict| self.steps.iter().any(|step| step.verdict == verdict);
        match (has(Verdict::Bad), has(Verdict::Poor)) {
            (true, _) => Verdict::Bad,
            (_, true) => Verdict::Poor,
            _ => Verdict::Good,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_step_decides() {
        let mut survey = Survey::default();
        assert_eq!(survey.verdict(), Verdict::Good);
        survey.add(Step::new("IPv6", "no address", Verdict::Poor).remedy("Add one."));
        survey.add(Step::new("SRV", "one record", Verdict::Good));
        assert_eq!(survey.verdict(), Verdict::Poor);
        survey.add(Step::new("certificate", "expired", Verdict::Bad));
        assert_eq!(survey.verdict(), Verdict::Bad);
    }
}
