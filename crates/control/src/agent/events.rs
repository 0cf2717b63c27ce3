//! What must be read again after an event?
//!
//! All events are read at the top of a turn, before anything is synced. What is synced later in the turn is read from
//! the kernel then, so it may be newer than the last event that was read, never older.

use super::state::Agent;
use crate::error::Result;
use crate::kernel::netlink::{Event, LinkInfo, NEW_GROUP, What};
use crate::place::Place;
use crate::port::host_end::HostEnd;
use std::time::Instant;

impl Agent {
    /// Reads all events that have come, and notes what must be read again.
    pub fn take_events(&mut self) -> Result<()> {
        for link in self.missing.begin_turn() {
            match self.ports.contains_key(&link) {
                true => self.dirty.masters.insert(link),
                false => self.dirty.host_ends.insert(link),
            };
        }
        let (time, mut events) = (Instant::now(), 0);
        while let Some(event) = self.events.next()? {
            self.note(event);
            events += 1;
        }
        self.count.noted(events, &self.dirty.host_ends, time);
        self.take_mcast_events()
    }

    fn note(&mut self, event: Event) {
        match (event.nsid, event.what) {
            (_, What::Overrun) => self.dirty.everything = true,
            (None, What::NewLink(link)) => {
                self.missing.found(link.ifindex);
                self.note_link(&link);
            }
            (None, What::DelLink(link)) => self.note_link(&link),
            (Some(nsid), What::NewLink(link) | What::DelLink(link)) => {
                self.departed.note_elsewhere(nsid, &link);
                self.note_place(Place { netns: Some(nsid), ifindex: link.ifindex });
            }
            (None, What::NewAddress(address) | What::DelAddress(address)) => {
                match self.registry.at(Place::here(address.ifindex)) {
                    Some(host_end) => _ = self.dirty.host_ends.insert(host_end),
                    None => self.dirty.host_addresses = true,
                }
            }
            (Some(nsid), What::NewAddress(address) | What::DelAddress(address)) => {
                self.note_place(Place { netns: Some(nsid), ifindex: address.ifindex });
            }
            (None, What::DelRoute(route)) => {
                if self.registry.remove_route(route.oif, &(route.table, (route.dst, route.prefix_len))) {
                    self.dirty.host_ends.insert(route.oif);
                }
            }
            (None, What::Queue(ifindex)) if self.registry.is_host_end(ifindex) => {
                self.dirty.host_ends.insert(ifindex);
            }
            (Some(_), What::DelRoute(_)) | (_, What::Queue(_) | What::Groups(_)) => {}
            (_, What::DelNsid(nsid)) => {
                self.finder.forget(nsid);
                self.dirty.host_ends.extend(self.registry.in_netns(nsid));
            }
            (_, What::NewNsid(nsid)) => self.finder.forget(nsid),
        }
    }

    fn note_link(&mut self, link: &LinkInfo) {
        let ours = HostEnd::of(link).is_some() || link.group == NEW_GROUP;
        if ours || self.registry.is_host_end(link.ifindex) {
            self.dirty.host_ends.insert(link.ifindex);
        }
        self.note_master(link);
        self.note_place(Place::here(link.ifindex));
        self.note_tap(link);
    }

    fn note_place(&mut self, place: Place) {
        self.dirty.host_ends.extend(self.registry.at(place));
    }
}
