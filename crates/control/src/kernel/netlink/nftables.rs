//! Is there a table of nftables with a given name?

use super::socket::{Netlink, about, unless_gone};
use super::uapi::*;
use super::wire::Message;
use crate::error::Result;

/// `struct nfgenmsg` for the family `inet`.
const INET: [u8; 4] = [1, 0, 0, 0];

impl Netlink {
    /// Whether this netns has the table `inet NAME`.
    pub fn has_nft_table(name: &str) -> Result<bool> {
        let message = Message::new(NFT_MSG_GETTABLE, NLM_F_ACK, &INET).str(NFTA_TABLE_NAME, name);
        let answer =
            Self::open_netfilter()?.ask(about("look for", &format_args!("the table inet {name}")), message, |_| ());
        Ok(unless_gone(answer)?.is_some())
    }
}
