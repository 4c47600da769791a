//! What one file alone can't tell: each host has a certificate, and belongs to one service.

use rustls::client::verify_server_name;
use rustls::server::ParsedCertificate;
use rustls_pki_types::ServerName;

use super::fault::{Report, Source};
use super::lowered::Certificate;
use super::{gateway, service};

pub(super) fn check(
    report: &Report,
    gateway: Option<(&Source, &gateway::Read)>,
    services: &[(&Source, Option<service::Read>)],
) {
    shadowed(report, services);
    let Some((main, gateway)) = gateway else {
        return;
    };
    openable(report, main, gateway, services);
    // an authority issues for every host; a fault in a certificate is reported already
    let (Some(certificates), Some(None)) = (&gateway.certificates, &gateway.local_ca) else {
        return;
    };
    if let Some((place, host)) = gateway.admin.as_ref().and_then(|admin| admin.host.as_ref())
        && !covered(certificates, host)
    {
        report.fault(main, place, uncovered(host));
    }
    for (source, read) in services {
        let Some(read) = read else { continue };
        for (place, host) in &read.hosts {
            if !covered(certificates, host) {
                report.fault(source, place, uncovered(host));
            } else if read.virtual_host && !covered(certificates, &format!("sceau-check.{host}")) {
                let message = format!("`virtual_host` needs a certificate for `*.{host}`");
                report.fault(source, place, message);
            }
        }
    }
}

fn uncovered(host: &str) -> String {
    format!("no [[certificate]] is valid for `{host}`, and there is no [local_ca]")
}

/// The services that subscribers name: there are such, and what they seal is tokens. A service whose file has a fault
/// is not judged.
fn openable(
    report: &Report,
    main: &Source,
    gateway: &gateway::Read,
    services: &[(&Source, Option<service::Read>)],
) {
    let read = services
        .iter()
        .map(|(_, read)| read.as_ref()?.service.as_ref());
    let Some(known) = read.collect::<Option<Vec<_>>>() else {
        return;
    };
    for (place, name) in gateway.admin.iter().flat_map(|admin| &admin.services) {
        match known.iter().find(|service| service.name == *name) {
            None => report.fault(main, place, format!("there is no service named `{name}`")),
            Some(service) if !service.kind.seals_tokens() => {
                let message =
                    format!("`{name}` seals files, which don't open here: `sceau open` does that");
                report.fault(main, place, message);
            }
            Some(_) => {}
        }
    }
}

/// A host below another's that serves virtual hosts would be taken for one of its buckets.
fn shadowed(report: &Report, services: &[(&Source, Option<service::Read>)]) {
    let wide: Vec<&str> = services
        .iter()
        .filter_map(|(_, read)| read.as_ref().filter(|read| read.virtual_host))
        .flat_map(|read| read.hosts.iter().map(|(_, host)| host.as_str()))
        .collect();
    for (source, read) in services {
        for (place, host) in read.iter().flat_map(|read| &read.hosts) {
            let below = |parent: &&&str| {
                host.strip_suffix(**parent)
                    .is_some_and(|rest| rest.ends_with('.'))
            };
            if let Some(parent) = wide.iter().find(below) {
                let message =
                    format!("`{host}` would be a bucket of `{parent}`, which serves virtual hosts");
                report.fault(source, place, message);
            }
        }
    }
}

fn covered(certificates: &[Certificate], host: &str) -> bool {
    let Ok(name) = ServerName::try_from(host) else {
        return false;
    };
    certificates
        .iter()
        .filter_map(|certificate| certificate.chain.first())
        .filter_map(|leaf| ParsedCertificate::try_from(leaf).ok())
        .any(|leaf| verify_server_name(&leaf, &name).is_ok())
}
