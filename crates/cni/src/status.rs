//! Could a container be added now?

use crate::call::Call;
use crate::config::Network;
use crate::failure::{Code, Failure};
use crate::ipam::Ipam;
use ipvl_control::{Finding, Severity};

/// STATUS: prints nothing if one could.
pub fn status(call: &Call, network: &Network) -> Result<(), Failure> {
    let settings = network.settings()?;
    if !network.link_in_container {
        let master = settings.master.map_or_else(ipvl_control::default_master, Ok).map_err(not_available)?;
        if ipvl_control::device(None, &master)?.is_none() {
            return Err(Failure::new(Code::NotAvailable, format!("there is no link {master}, the master")));
        }
    }
    // If no agent runs, ADD starts one; and a degraded slave does not affect others.
    let concerns = |finding: &Finding| ["programs", "hook"].contains(&finding.subject.as_str());
    let is_bad = |finding: &Finding| finding.severity == Severity::Bad && concerns(finding);
    let bad = ipvl_control::kernel_findings().into_iter().find(is_bad);
    if let Some(finding) = bad {
        let text = format!("{}: {}", finding.subject, finding.text);
        return Err(Failure::new(Code::NotAvailable, text).with_details(finding.remedy));
    }
    Ipam::of(call, network).map_or(Ok(()), |ipam| ipam.hand_on())
}

fn not_available(error: ipvl_control::Error) -> Failure {
    Failure::new(Code::NotAvailable, error.to_string())
}
