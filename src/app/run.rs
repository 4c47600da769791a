//! `sceau run`: the gateway, until a signal ends it.

use std::path::PathBuf;
use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::outcome::Exit;
use super::serve::{self, Running, StartError};
use crate::{config, telemetry};

/// Runs the gateway: SIGHUP reloads the configuration, SIGTERM drains and ends
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// gateway.toml, or the directory that holds it
    #[arg(long, value_name = "PATH", default_value = "gateway.toml")]
    config: PathBuf,
    /// Start on a processor without AES instructions, where sealing is 70 times slower
    #[arg(long)]
    allow_software_aes: bool,
}

/// Exit code 0 after a drain; 1 when some requests did not end in time or an address is taken, 3 when the
/// configuration is refused, 4 for keys, 5 for the state.
pub fn run(args: &RunArgs) -> ExitCode {
    let gateway = match config::load(&args.config) {
        Ok(gateway) => gateway,
        Err(faults) => {
            for fault in &faults.0 {
                eprintln!("{fault}");
            }
            eprintln!("refused: {} faults", faults.0.len());
            return Exit::Configuration.into();
        }
    };
    if let Err(error) = telemetry::init(&gateway.log.filter) {
        eprintln!("run: the log can't be started: {error}");
        return Exit::Configuration.into();
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("run: {error}");
            return Exit::Failed.into();
        }
    };
    runtime.block_on(async {
        match attend(args, gateway).await {
            Ok(true) => Exit::Done.into(),
            Ok(false) => Exit::Failed.into(),
            Err(error) => {
                tracing::error!(%error, "the gateway does not start");
                eprintln!("run: {error}");
                exit(&error).into()
            }
        }
    })
}

fn exit(error: &StartError) -> Exit {
    match error {
        StartError::Keys(_) => Exit::Keys,
        StartError::State(_) | StartError::StateChanged => Exit::State,
        StartError::Certificates(_) | StartError::Tls(_) | StartError::Routes(_) => {
            Exit::Configuration
        }
        StartError::SelfTest(_)
        | StartError::SoftwareAes
        | StartError::Entropy(_)
        | StartError::Signals(_)
        | StartError::Listen { .. } => Exit::Failed,
    }
}

/// True when everything ended in time.
async fn attend(args: &RunArgs, gateway: config::Gateway) -> Result<bool, StartError> {
    let listen =
        |kind: SignalKind| signal(kind).map_err(|source| StartError::Signals(source.to_string()));
    let (mut hangup, mut term, mut int) = (
        listen(SignalKind::hangup())?,
        listen(SignalKind::terminate())?,
        listen(SignalKind::interrupt())?,
    );
    let digest = gateway.digest.clone();
    let running = serve::start(gateway, args.allow_software_aes).await?;
    for address in running.addresses() {
        tracing::info!(%address, config = %digest, version = env!("CARGO_PKG_VERSION"), "listening");
    }
    if let Some(address) = running.admin_address() {
        tracing::info!(%address, "listening for subscribers");
    }
    loop {
        tokio::select! {
            () = received(&mut hangup) => reload(args, &running).await,
            () = received(&mut term) => break,
            () = received(&mut int) => break,
        }
    }
    tracing::info!("draining");
    let ended = running.stop().await;
    if !ended {
        tracing::warn!("some requests did not end in time");
    }
    for (service, reads) in telemetry::UNSEALED_READS.sums() {
        tracing::info!(service, reads, "unsealed files were read");
    }
    for (service, tokens) in telemetry::OPENED_OUTSIDE.sums() {
        tracing::info!(service, tokens, "tokens were opened for subscribers");
    }
    Ok(ended)
}

async fn received(signal: &mut Signal) {
    if signal.recv().await.is_none() {
        std::future::pending().await
    }
}

/// All or nothing: with any fault the old configuration stays.
async fn reload(args: &RunArgs, running: &Running) {
    match tokio::task::block_in_place(|| config::load(&args.config)) {
        Err(faults) => {
            for fault in &faults.0 {
                tracing::error!(%fault, "the configuration is refused");
            }
            tracing::error!("the old configuration stays in force");
        }
        Ok(gateway) => {
            let digest = gateway.digest.clone();
            match running.replace(gateway).await {
                Ok(()) => tracing::info!(config = %digest, "reloaded"),
                Err(error) => tracing::error!(%error, "the old configuration stays in force"),
            }
        }
    }
}
