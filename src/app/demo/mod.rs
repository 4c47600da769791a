//! `sceau demo`: a provider's store, the gateway before it and a user, all on this machine, and what each of them sees.

mod acts;
mod client;
mod evidence;
mod offline;
mod place;
mod report;
mod store;
mod tree;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use self::acts::{Acts, BUCKET};
use self::client::{Client, ClientError};
use self::place::{HOST, PROVIDER_KEY, Place, REGION, USER_KEY};
use self::report::Ledger;
use self::store::Store;
use super::init::InitError;
use super::offline::OpenFault;
use super::outcome::Exit;
use super::serve::{self, Running};
use crate::adapter::s3::sigv4::Signer;
use crate::config;
use crate::keyring::KeyError;

/// Starts a store on disk and the gateway before it, stores files, shows what each side sees, tampers, and stays up
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// End after the proof
    #[arg(long)]
    once: bool,
    /// Work here, and leave everything here at the end; must not exist, or be empty [default: a temporary directory,
    /// removed at the end]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Where the gateway listens; port 0 is any free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    bind: SocketAddr,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum DemoError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Init(#[from] InitError),
    #[error("the configuration is refused:\n{0}")]
    Configuration(#[from] config::Faults),
    #[error("the gateway does not start: {0}")]
    Start(#[from] serve::StartError),
    #[error("the gateway listens nowhere")]
    NoAddress,
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error("a stored object does not open offline: {0}")]
    Open(#[from] OpenFault),
    #[error("the file {0} is not in the tree")]
    Missing(String),
    #[error("interrupted")]
    Interrupted,
}

/// Exit code 0 when every claim held, 2 when the directory is in use, 4 when keys can't be made, else 1.
pub fn demo(args: &DemoArgs) -> ExitCode {
    let mut ledger = Ledger::new(io::stdout());
    let outcome = tokio::runtime::Runtime::new()
        .map_err(DemoError::from)
        .and_then(|runtime| runtime.block_on(run(args, &mut ledger)));
    if let Err(error) = &outcome {
        eprintln!("demo: {error}");
    }
    exit(&outcome).into()
}

fn exit(outcome: &Result<bool, DemoError>) -> Exit {
    match outcome {
        Ok(true) => Exit::Done,
        Ok(false) => Exit::Failed,
        Err(DemoError::Init(error)) => error.exit(),
        Err(_) => Exit::Failed,
    }
}

/// Whether every claim held.
async fn run(args: &DemoArgs, ledger: &mut Ledger<io::Stdout>) -> Result<bool, DemoError> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let place = Place::make(args.dir.as_deref())?;
    let proven = tokio::select! {
        proven = prove(&place, args.bind, ledger) => proven?,
        _ = interrupt.recv() => return Err(DemoError::Interrupted),
        _ = terminate.recv() => return Err(DemoError::Interrupted),
    };
    if !args.once && proven.held {
        by_hand(ledger, &place, proven.gateway)?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
    proven.running.stop().await;
    Ok(proven.held)
}

/// What stays up after the proof.
struct Proven {
    held: bool,
    gateway: SocketAddr,
    running: Running,
    _store: Store,
}

async fn prove(
    place: &Place,
    bind: SocketAddr,
    ledger: &mut Ledger<io::Stdout>,
) -> Result<Proven, DemoError> {
    place.init(bind)?;
    let files = tree::make();
    tree::write(&place.files(), &files)?;
    let provider_secret = place.provider_secret()?;
    let text = String::from_utf8_lossy(provider_secret.expose());
    let store = Store::start(&place.provider(), PROVIDER_KEY, &text).await?;
    place.serve(store.address())?;
    // a demo may be slow: it runs on any processor
    let running = serve::start(config::load(&place.gateway())?, true).await?;
    let addresses = running.addresses();
    let gateway = *addresses.first().ok_or(DemoError::NoAddress)?;

    let fate = if place.is_temporary() {
        "removed"
    } else {
        "kept"
    };
    ledger.line(format_args!(
        "Sceau demo. Nothing leaves this machine.\n   \
         user      {}/files\n   \
         gateway   https://{HOST}:{} (TLS 1.3), set up in {0}/gateway\n   \
         provider  http://{}, an S3 store on disk in {0}/provider\n   \
         {0} is {fate} at the end",
        place.root().display(),
        gateway.port(),
        store.address(),
    ))?;
    let authority = std::fs::read(place.authority())?;
    let user = Signer::new(USER_KEY, place.user_secret()?, REGION);
    let user = Client::tls(gateway, HOST, &authority, user)?;
    let bypass = Signer::new(PROVIDER_KEY, place.provider_secret()?, REGION);
    let bypass = Client::plain(store.address(), bypass);
    let mut acts = Acts {
        ledger,
        place,
        files: &files,
        user: &user,
        bypass: &bypass,
    };
    if let Err(error) = acts.play().await {
        ledger.claim(false, format_args!("the demo broke off: {error}"))?;
    }
    ledger.line("")?;
    Ok(Proven {
        held: ledger.close()?,
        gateway,
        running,
        _store: store,
    })
}

/// How to look for oneself.
fn by_hand(
    ledger: &mut Ledger<io::Stdout>,
    place: &Place,
    gateway: SocketAddr,
) -> Result<(), DemoError> {
    let url = format!("https://{HOST}:{}", gateway.port());
    ledger.line(format_args!(
        "\nAll of it stays up until Ctrl-C. By hand, in another terminal:\n\n\
         export AWS_ENDPOINT_URL={url} AWS_REGION={REGION} AWS_ACCESS_KEY_ID={USER_KEY}\n\
         export AWS_SECRET_ACCESS_KEY=$(cat \"{}\")\n\
         export AWS_CA_BUNDLE=\"{}\"\n\
         aws s3 ls --recursive s3://{BUCKET}\n\
         rclone --ca-cert \"$AWS_CA_BUNDLE\" --s3-provider Other --s3-env-auth --s3-endpoint {url} tree :s3:{BUCKET}\n\
         curl --cacert \"$AWS_CA_BUNDLE\" -u \"$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY\" --aws-sigv4 aws:amz:{REGION}:s3 \\\n     \
         -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' {url}/{BUCKET}/Courriers/note%20de%20service%202026-114.txt\n\
         ls -R \"{}/{BUCKET}\"    # what the provider holds",
        place.user_secret_file().display(),
        place.authority().display(),
        place.provider().display(),
    ))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_claim_is_exit_code_1() {
        let mut ledger = Ledger::new(Vec::new());
        ledger.claim(true, "holds").unwrap();
        assert_eq!(exit(&Ok(ledger.close().unwrap())), Exit::Done);
        ledger.claim(false, "does not").unwrap();
        assert_eq!(exit(&Ok(ledger.close().unwrap())), Exit::Failed);
        assert_eq!(exit(&Err(DemoError::Interrupted)), Exit::Failed);
    }
}
