//! What does `ipvl explain` say of a frame?

use crate::read::next_hop::NextHop;
use ipvl_core::Verdict;

/// A verdict with its reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What becomes of the frame, after the host's routing table was asked.
    pub verdict: Verdict,
    /// The questions to the tables, and to the kernel after them, on which the outcome rests, with the answers.
    pub questions: Vec<String>,
    /// The outcome in a sentence.
    pub text: String,
    /// Why the kernel does not carry the verdict out; none if nothing is known to stand in its way.
    pub lost: Option<String>,
    /// What to do if the frame does not arrive; else empty.
    pub remedy: String,
}

impl Explanation {
    /// The same for a packet that the slave's own stack sends to this next hop, if it sends it.
    pub fn behind(self, next: NextHop) -> Self {
        let questions = next.notes.into_iter().chain(self.questions).collect();
        match next.silent {
            Some((why, remedy)) => {
                Self { questions, text: format!("not sent: {why}"), lost: Some(why), remedy, ..self }
            }
            None => Self { questions, ..self },
        }
    }
}
