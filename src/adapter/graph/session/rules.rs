//! What a host takes in one request for a range of a session's bytes.

use http::StatusCode;

use super::way::Way;
use crate::adapter::graph::Graph;
use crate::adapter::graph::settings::Role;

#[derive(Debug)]
pub(super) struct Rules {
    /// Every request but the last holds a multiple of this.
    pub unit: u64,
    /// The longest request that is sent.
    pub limit: u64,
    /// The longest fragment that is taken from a client.
    pub longest: u64,
    /// Say that more is expected; with a document.
    pub more: &'static [StatusCode],
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

impl Graph {
    /// The way to the sessions of a host.
    pub(super) fn ranges_at(&self, host: usize) -> Way {
        let host = self.settings.hosts.get(host);
        Way::Ranges(match host.map(|host| host.role) {
            Some(Role::Outlook) => &ATTACHMENT,
            _ => &DRIVE,
        })
    }
}
