//! How can a slave's policy be changed?

use crate::policy_words::PolicyRule;

/// A change of a slave's policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyChange {
    /// What no rule fits passes, or not, by direction; and all rules, if they are given. What is `None` stays.
    Set {
        /// Of what the slave receives.
        inward: Option<bool>,
        /// Of what it sends.
        outward: Option<bool>,
        /// The rules, instead of those that it has.
        rules: Option<Vec<PolicyRule>>,
    },
    /// One rule more: before the rule with this handle, or behind all.
    Add {
        /// The rule.
        rule: PolicyRule,
        /// The handle of a rule.
        before: Option<u32>,
    },
    /// The rule with this handle goes.
    Delete(u32),
    /// There is no policy any more.
    Flush,
    /// The slave has these labels, and no others.
    Label(Vec<String>),
}
