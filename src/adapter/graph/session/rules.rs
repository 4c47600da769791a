//! What a session's host takes in one request.

use http::StatusCode;

use crate::adapter::graph::settings::Role;
use crate::adapter::graph::{Call, Graph};

#[derive(Debug)]
pub(super) struct Rules {
    /// Every request but the last holds a multiple of this.
    pub unit: u64,
    /// The longest request that is sent.
    pub limit: u64,
    /// The longest fragment that is taken from a client.
    pub longest: u64,
    /// Says that more is expected; with a document.
    more: &'static [StatusCode],
    /// What is made is an attachment of a message, not an item of a drive.
    pub attaches: bool,
}

/// Microsoft Graph, "driveItem: createUploadSession": multiples of 320 KiB below 60 MiB.
const DRIVE: Rules = Rules {
    unit: 327_680,
    limit: (60 << 20) - 327_680,
    longest: 60 << 20,
    more: &[StatusCode::ACCEPTED],
    attaches: false,
};

/// Microsoft Graph, "Attach large files to Outlook messages or events": up to 4 MB, which is less in one reading than in the
/// other.
const ATTACHMENT: Rules = Rules {
    unit: 1,
    limit: 3_932_160,
    longest: 4 << 20,
    more: &[StatusCode::OK, StatusCode::ACCEPTED],
    attaches: true,
};

impl Rules {
    pub fn expects_more(&self, status: StatusCode) -> bool {
        self.more.contains(&status)
    }

    /// Up to where whole units reach.
    pub fn whole_units(&self, end: u64) -> u64 {
        end - end % self.unit
    }
}

impl Graph {
    /// Of the session that is asked about.
    pub(super) fn rules(&self, call: &Call<'_>) -> &'static Rules {
        let host = self.settings.hosts.get(call.address().host);
        match host.map(|host| host.role) {
            Some(Role::Outlook) => &ATTACHMENT,
            _ => &DRIVE,
        }
    }
}
