//! What an operator decides for a Microsoft 365 service, parsed.

use crate::seal::Context;
use crate::seal::scan::Language;

/// What is served under a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `graph.microsoft.com`
    Graph,
    /// `TENANT.sharepoint.com` and `TENANT-my.sharepoint.com`
    SharePoint,
    /// `outlook.office.com`: where large attachments of mail go.
    Outlook,
}

/// A host that the gateway stands before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Lower case, without port.
    pub name: String,
    pub role: Role,
}

/// What the service serves of all that its hosts have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Drives, and SharePoint's own interface.
    Files,
    Mail,
    Calendars,
    Contacts,
    /// To-Do and Planner.
    Tasks,
    Teams,
}

impl Part {
    pub const ALL: [Self; 6] = [
        Self::Files,
        Self::Mail,
        Self::Calendars,
        Self::Contacts,
        Self::Tasks,
        Self::Teams,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Mail => "mail",
            Self::Calendars => "calendars",
            Self::Contacts => "contacts",
            Self::Tasks => "tasks",
            Self::Teams => "teams",
        }
    }
}

/// What becomes of a download's redirect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redirects {
    /// The client follows it, to a host of this service.
    Leave,
    /// The gateway follows it and answers the file.
    Follow,
}

#[derive(Debug, Clone)]
pub struct Settings {
    /// The service's name in the log and in files.
    pub name: String,
    /// Tenant, service and namespace, bound in every key.
    pub context: Context,
    pub hosts: Vec<Host>,
    pub serves: Vec<Part>,
    pub redirects: Redirects,
    /// Longest file of a simple PUT, in sealed bytes.
    pub max_put: u64,
    /// Whose mail comes through a gateway of the state, by the domain of the address; lower case.
    pub domains: Vec<String>,
    /// Whether subjects, titles and names of attachments are sealed.
    pub subjects: bool,
    /// Of error pages.
    pub language: Language,
    /// Whom people are to ask; stands on error pages.
    pub contact: Option<String>,
}

/// The host of this name, which may have a port.
pub(super) fn host(hosts: &[Host], authority: &str) -> Option<usize> {
    let name = authority.split(':').next().unwrap_or_default();
    hosts
        .iter()
        .position(|host| host.name.eq_ignore_ascii_case(name))
}
