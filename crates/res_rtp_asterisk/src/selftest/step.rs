//! The steps of the self-test, as lines.

use std::fmt;

/// One step and its outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    name: String,
    outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    /// It works; perhaps with a remark.
    Ok(String),
    /// It was not tried, for this reason.
    NotTried(String),
    /// It does not work: the sentence says why, and what to change.
    Failed(String),
}

impl Step {
    /// Makes a step that works. `remark` may be empty.
    pub fn ok(name: impl Into<String>, remark: impl Into<String>) -> Self {
        Self { name: name.into(), outcome: Outcome::Ok(remark.into()) }
    }

    /// Makes a step that was not tried, because it is not configured or because an earlier one failed.
    pub fn not_tried(name: impl Into<String>, why: impl Into<String>) -> Self {
        Self { name: name.into(), outcome: Outcome::NotTried(why.into()) }
    }

    /// Makes a step that failed. `sentence` says why, and which key of which file to change.
    pub fn failed(name: impl Into<String>, sentence: impl Into<String>) -> Self {
        Self { name: name.into(), outcome: Outcome::Failed(sentence.into()) }
    }

    /// Makes a step of a result.
    pub fn of(name: impl Into<String>, result: Result<String, String>) -> Self {
        match result {
            Ok(remark) => Self::ok(name, remark),
            Err(sentence) => Self::failed(name, sentence),
        }
    }

    /// Whether the step failed.
    pub fn has_failed(&self) -> bool {
        matches!(self.outcome, Outcome::Failed(_))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match &self.outcome {
            Outcome::Ok(remark) if remark.is_empty() => write!(f, "{name}: ok"),
            Outcome::Ok(remark) => write!(f, "{name}: ok, {remark}"),
            Outcome::NotTried(why) => write!(f, "{name}: not tried, {why}"),
            Outcome::Failed(sentence) => write!(f, "{name}: FAILED: {sentence}"),
        }
    }
}

/// Returns the last line.
pub fn summary(steps: &[Step]) -> String {
    let failed = steps.iter().filter(|step| step.has_failed()).count();
    let not_tried = steps.iter().filter(|step| matches!(step.outcome, Outcome::NotTried(_))).count();
    let ok = steps.len() - failed - not_tried;
    match failed {
        0 => format!("Self-test: {ok} steps ok, {not_tried} not tried"),
        _ => format!("Self-test: {failed} steps FAILED, {ok} ok, {not_tried} not tried"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_is_a_line_and_the_last_line_counts_them() {
        let steps = [
            Step::ok("clock", ""),
            Step::ok("RTP ports", "5 pairs are free"),
            Step::not_tried("TURN", "rtp.conf has no turnaddr"),
            Step::failed("HTTP", "set enabled = yes in http.conf"),
        ];
        assert_eq!(
            steps.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [
                "clock: ok",
                "RTP ports: ok, 5 pairs are free",
                "TURN: not tried, rtp.conf has no turnaddr",
                "HTTP: FAILED: set enabled = yes in http.conf"
            ]
        );
        assert_eq!(summary(&steps), "Self-test: 1 steps FAILED, 2 ok, 1 not tried");
        assert_eq!(summary(&steps[..3]), "Self-test: 2 steps ok, 1 not tried");
    }
}
