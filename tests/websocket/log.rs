//! What the log says of a WebSocket, and what it never says, at its most talkative.

use std::fs;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use crate::chat::Chat;
use crate::client::{Client, head};
use crate::site::{BINARY, Site};
use crate::until;

const SECRET: &str = "a text that is nobody's business";

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_line_counts_the_messages_and_repeats_none() {
    let chat = Chat::start().await;
    let site = Site::new(&chat);
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let path = site.root().join("gateway.toml");
    let text = fs::read_to_string(&path).unwrap();
    let text = text.replace("127.0.0.1:0", &address.to_string());
    fs::write(
        &path,
        text.replace("# filter = \"info\"", "filter = \"trace\""),
    )
    .unwrap();
    let log = site.root().join("log");
    let child = Command::new(BINARY)
        .args(["run", "--allow-software-aes", "--config"])
        .arg(site.root())
        .stderr(fs::File::create(&log).unwrap())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let process = Process(child);
    until("the gateway listens", || {
        std::net::TcpStream::connect(address).is_ok()
    })
    .await;

    let mut one = Client::at(&site, address, head("/live/a?v=a-query-value", "")).await;
    one.say(SECRET).await;
    assert_eq!(one.hears().await, SECRET);
    one.say("more").await;
    one.hears().await;
    one.socket.close(None).await.unwrap();
    chat.end().await;
    let mut two = Client::at(&site, address, head("/live/a", "")).await;
    two.send(SECRET).await;
    two.closed().await;
    drop(Client::at(&site, address, head("/live/a", "")).await);

    let lines = || -> Vec<serde_json::Value> {
        let log = fs::read_to_string(&log).unwrap();
        log.lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
            .filter(|line: &serde_json::Value| line["status"] == 101)
            .collect()
    };
    until("three lines", || lines().len() == 3).await;
    let lines = lines();
    // a side that does not close at once is waited for, so the lines may come in another order
    let of = |outcome: &str| {
        lines
            .iter()
            .find(|line| line["outcome"] == outcome)
            .unwrap()
    };
    for (outcome, messages, code) in [
        ("done", 2, ""),
        ("aborted", 0, "request-refused"),
        ("cut", 0, ""),
    ] {
        let line = of(outcome);
        assert_eq!(line["outcome"], outcome, "{line}");
        assert_eq!(line["messages"], messages, "{line}");
        assert_eq!(line["messages_up"], messages, "{line}");
        assert_eq!(line["code"].as_str().unwrap_or_default(), code, "{line}");
        assert_eq!(line["operation"], "live");
    }
    let said = serde_json::json!({"type": "say", "text": SECRET})
        .to_string()
        .len();
    let more = serde_json::json!({"type": "say", "text": "more"})
        .to_string()
        .len();
    assert_eq!(of("done")["bytes_up"], said + more);
    assert_eq!(of("done")["bytes"], said + more);
    drop(process);
    let log = fs::read_to_string(&log).unwrap();
    for secret in ["nobody's business", "a-query-value", "sc1."] {
        assert!(!log.contains(secret), "{secret}");
    }
}
