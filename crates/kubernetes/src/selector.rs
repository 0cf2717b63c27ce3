//! Which labels does a selector fit?

use crate::objects::{LabelSelector, Operator, Requirement};
use crate::refusal::Wrong;
use std::collections::BTreeMap;

/// The labels of a pod or a namespace.
pub type Labels = BTreeMap<String, String>;

/// All of its requirements must be met; without one it fits everything.
#[derive(Clone, Debug, Default)]
pub struct Selector(Vec<Requires>);

/// The key, what is required of it, and the values that it is about.
type Requires = (String, Operator, Vec<String>);

impl Selector {
    /// Whether these labels meet all requirements. As Kubernetes has it, `NotIn` is met where there is no such label.
    pub fn fits(&self, labels: &Labels) -> bool {
        self.0.iter().all(|(key, operator, values)| {
            let value = labels.get(key);
            match operator {
                Operator::In => value.is_some_and(|value| values.contains(value)),
                Operator::NotIn => value.is_none_or(|value| !values.contains(value)),
                Operator::Exists => value.is_some(),
                Operator::DoesNotExist => value.is_none(),
            }
        })
    }
}

impl TryFrom<LabelSelector> for Selector {
    type Error = Wrong;

    fn try_from(LabelSelector { match_labels, match_expressions }: LabelSelector) -> Result<Self, Wrong> {
        let labels = match_labels.unwrap_or_default().into_iter();
        let labels = labels.map(|(key, value)| Ok((key, Operator::In, vec![value])));
        labels
            .chain(match_expressions.unwrap_or_default().into_iter().map(requires))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

fn requires(Requirement { key, operator, values }: Requirement) -> Result<Requires, Wrong> {
    let values = values.unwrap_or_default();
    let wants_values = matches!(operator, Operator::In | Operator::NotIn);
    match wants_values == values.is_empty() {
        true => Err(Wrong::Values(key)),
        false => Ok((key, operator, values)),
    }
}
