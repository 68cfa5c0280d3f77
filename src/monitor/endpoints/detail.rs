//! `Detail`: a subscription as `/connz` and `/subsz` tell it.

use crate::core::accounts::AccountId;
use crate::core::sublist::{ReceiverId, SubId};
use crate::monitor::view::View;
use crate::records::closed::Listed;
use serde::Serialize;
use std::borrow::Cow;

/// A subscription.
#[derive(Serialize)]
pub(super) struct Detail<'a> {
    /// Whose it is.
    #[serde(skip)]
    pub(super) receiver: ReceiverId,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) account: &'a str,
    pub(super) subject: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    qgroup: Option<Cow<'a, str>>,
    pub(super) sid: Cow<'a, str>,
    msgs: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<u64>,
    cid: u64,
}

impl<'a> Detail<'a> {
    /// A subscription of an account, if it is there.
    pub(super) fn of(view: &View<'a>, account: AccountId, id: SubId) -> Option<Detail<'a>> {
        let state = view.state;
        let sublist = &state.core.accounts[account].sublist;
        let subscription = sublist.get(id)?;
        let receiver = state.core.receiver(subscription.receiver);
        // What a client has left behind has no owner.
        if receiver.is_clearing {
            return None;
        }
        Some(Detail {
            receiver: subscription.receiver,
            account: view.account_name(account),
            subject: String::from_utf8_lossy(sublist.subject(id)),
            qgroup: sublist.queue(id).map(String::from_utf8_lossy),
            sid: String::from_utf8_lossy(subscription.sid.as_slice()),
            msgs: subscription.delivered,
            max: subscription.max(),
            cid: receiver.label.cid,
        })
    }

    /// One of a client that has left.
    pub(super) fn of_listed(listed: &'a Listed, account: &'a str, cid: u64) -> Detail<'a> {
        Detail {
            // It has no owner any more.
            receiver: ReceiverId(u32::MAX),
            account,
            subject: String::from_utf8_lossy(&listed.subject),
            qgroup: listed.queue.as_deref().map(String::from_utf8_lossy),
            sid: String::from_utf8_lossy(&listed.sid),
            msgs: listed.messages,
            max: listed.max,
            cid,
        }
    }
}
