//! `sceau check`: would `run` start with this configuration?

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};

use super::outcome::Exit;
use super::seconds;
use crate::config::{self, Decision, Fault, Gateway};
use crate::keyring::Keyring;

/// Reads the whole configuration and opens the keys; reports every fault at once
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// gateway.toml, or the directory that holds it
    #[arg(long, value_name = "PATH", default_value = "gateway.toml")]
    config: PathBuf,
    /// Print every value in force and where it was decided
    #[arg(long)]
    print_effective: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// What is said about a configuration that is accepted.
struct Accepted {
    digest: String,
    listeners: usize,
    services: Vec<String>,
    /// What an operator is to know of the services' limits.
    limits: Vec<String>,
    decisions: Vec<Decision>,
}

/// Exit code 0 when the configuration is accepted, else 1.
pub fn check(args: &CheckArgs) -> ExitCode {
    let outcome = examine(&args.config);
    if args.json {
        println!("{}", render_json(&outcome, args.print_effective));
    } else {
        match &outcome {
            Ok(accepted) => print(accepted, args.print_effective),
            Err(faults) => {
                for fault in faults {
                    eprintln!("{fault}");
                }
                eprintln!("refused: {} faults", faults.len());
            }
        }
    }
    match outcome {
        Ok(_) => Exit::Done.into(),
        Err(_) => Exit::Failed.into(),
    }
}

fn examine(path: &Path) -> Result<Accepted, Vec<Fault>> {
    let gateway = config::load(path).map_err(|faults| faults.0)?;
    let Gateway {
        digest,
        listeners,
        keys,
        services,
        decisions,
        ..
    } = gateway;
    let file = match path.file_name() {
        Some(name) if !path.is_dir() => name.to_string_lossy().into_owned(),
        _ => "gateway.toml".to_owned(),
    };
    Keyring::open(keys, seconds).map_err(|error| {
        vec![Fault {
            message: format!("[keys] {}: {error}", error.name()),
            line: line_of(&decisions, "keys.directory"),
            column: 1,
            file,
        }]
    })?;
    Ok(Accepted {
        digest,
        listeners: listeners.len(),
        limits: services
            .iter()
            .filter_map(|service| Some(format!("{}: {}", service.name, service.kind.limits()?)))
            .collect(),
        services: services.into_iter().map(|service| service.name).collect(),
        decisions,
    })
}

fn line_of(decisions: &[Decision], key: &str) -> usize {
    decisions
        .iter()
        .find(|decision| decision.key == key)
        .and_then(|decision| decision.line)
        .unwrap_or(1)
}

fn print(accepted: &Accepted, effective: bool) {
    if effective {
        for decision in &accepted.decisions {
            let Decision {
                file,
                key,
                value,
                line,
            } = decision;
            match line {
                Some(line) => println!("{key} = {value}  # {file}:{line}"),
                None => println!("{key} = {value}  # {file}, default"),
            }
        }
    }
    for limit in &accepted.limits {
        println!("{limit}");
    }
    println!(
        "accepted: {} listeners, services {}, digest {}",
        accepted.listeners,
        accepted.services.join(", "),
        accepted.digest
    );
}

fn render_json(outcome: &Result<Accepted, Vec<Fault>>, effective: bool) -> Value {
    match outcome {
        Ok(accepted) => {
            let mut answer = json!({
                "accepted": true,
                "digest": accepted.digest,
                "listeners": accepted.listeners,
                "services": accepted.services,
                "limits": accepted.limits,
            });
            if effective {
                answer["effective"] = accepted
                    .decisions
                    .iter()
                    .map(
                        |d| json!({"file": d.file, "key": d.key, "value": d.value, "line": d.line}),
                    )
                    .collect();
            }
            answer
        }
        Err(faults) => json!({
            "accepted": false,
            "faults": faults
                .iter()
                .map(|f| json!({"file": f.file, "line": f.line, "column": f.column, "message": f.message}))
                .collect::<Vec<_>>(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_do_not_open_are_a_fault_at_their_line() {
        let directory = tempfile::tempdir().unwrap();
        let root = crate::app::init::tests::made(&directory);
        let accepted = examine(&root).unwrap();
        assert_eq!(accepted.services, ["example"]);
        let outcome = render_json(&Ok(accepted), true);
        assert_eq!(outcome["accepted"], true);
        assert!(outcome["effective"].as_array().unwrap().len() > 20);

        std::fs::write(root.join("secrets/passphrase"), "another").unwrap();
        let faults = examine(&root).err().unwrap();
        assert_eq!(faults.len(), 1);
        assert!(
            faults[0].message.contains("key-passphrase-wrong"),
            "{faults:?}"
        );
        assert_eq!(faults[0].file, "gateway.toml");
        assert!(faults[0].line > 1);
        assert_eq!(render_json(&Err(faults), false)["accepted"], false);
    }
}
