//! The process and its signals: SIGTERM lets end what has begun, kill -9 leaves nothing that could be read.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use tokio::net::TcpStream;

use crate::client::{Client, UNSIGNED};
use crate::frames::Frames;
use crate::recorder::Recorder;
use crate::site::{BINARY, Site, files};
use crate::{pattern, until};

/// `sceau run`, its log in a file; killed when dropped.
pub struct Process {
    child: Child,
    pub log: PathBuf,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    pub async fn start(site: &Site, address: SocketAddr) -> Self {
        let log = site.root().join("log");
        let child = Command::new(BINARY)
            .args(["run", "--allow-software-aes", "--config"])
            .arg(site.root())
            .stderr(fs::File::create(&log).unwrap())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut process = Self { child, log };
        let mut up = false;
        while !up {
            if let Some(status) = process.child.try_wait().unwrap() {
                panic!("{status}: {}", process.text());
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            up = TcpStream::connect(address).await.is_ok();
        }
        process
    }

    pub fn text(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    pub async fn ended(&mut self) -> ExitStatus {
        until("the process ends", || {
            self.child.try_wait().unwrap().is_some()
        })
        .await;
        self.child.wait().unwrap()
    }
}

async fn refused(address: SocketAddr) -> bool {
    TcpStream::connect(address).await.is_err()
}

async fn up(limits: &str) -> (Recorder, Site, Process, Client) {
    let recorder = Recorder::start().await;
    let site = Site::new(&recorder.url()).limits(limits);
    let address = site.bind();
    let process = Process::start(&site, address).await;
    let client = Client::at(&site, address, "EXAMPLE", &site.secret);
    (recorder, site, process, client)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_ends_and_nothing_else_begins() {
    let (recorder, _site, mut process, client) = up("").await;
    // connections that are open without a request must not hold the process up
    let _untouched = client.one().await;
    let _untouched_two = Frames::connect(&client).await;
    let mut kept = client.one().await;
    kept.send(client.head("GET", "/bbb/k", &[])).await;
    assert_eq!(kept.reply().await.status, 404);
    let content = pattern(300_000);
    let mut one = client.one().await;
    one.send(client.put("/bbb/k", content.len())).await;
    one.send(&content[..200_000]).await;
    let mut two = Frames::connect(&client).await;
    let head = client.signed("PUT", "/bbb/two", &[("content-length", "5")], UNSIGNED);
    two.headers(1, &head, false).await;
    until("both are under way", || recorder.seen().len() == 3).await;
    process.signal(rustix::process::Signal::TERM);
    until("the signal is seen", || process.text().contains("draining")).await;
    while !refused(client.address).await {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    one.send(&content[200_000..]).await;
    two.data(1, b"hello", true).await;
    assert_eq!(one.reply().await.status, 200);
    assert_eq!(two.end_of(1).await.status, Some(200));
    one.closed("").await;
    kept.closed("").await;
    assert_eq!(process.ended().await.code(), Some(0), "{}", process.text());
    assert!(recorder.over(1).await.whole && recorder.over(2).await.whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_end_in_time_is_cut_and_the_exit_code_says_so() {
    let (recorder, _site, mut process, client) = up("drain_timeout = \"1s\"").await;
    let mut one = client.one().await;
    one.send(client.put("/bbb/k", 300_000)).await;
    one.send(pattern(100_000)).await;
    until("it is under way", || recorder.seen().len() == 1).await;
    process.signal(rustix::process::Signal::TERM);
    assert_eq!(process.ended().await.code(), Some(1));
    assert!(!recorder.over(0).await.whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_leaves_nothing_that_could_be_read() {
    const MARK: &[u8] = b"a sentence that nobody else may ever read again";
    let (recorder, site, mut process, client) = up("").await;
    let content = MARK.repeat(300_000 / MARK.len());
    let mut one = client.one().await;
    one.send(client.put("/bbb/k", content.len())).await;
    one.send(&content[..200_000]).await;
    until("ciphertext is sent", || {
        recorder
            .seen()
            .first()
            .is_some_and(|seen| seen.body.len() > 100_000)
    })
    .await;
    process.signal(rustix::process::Signal::KILL);
    process.ended().await;
    let seen = recorder.over(0).await;
    assert!(!seen.whole);
    assert_eq!(recorder.stored("/bbb/k"), None);
    let windows = |bytes: &[u8]| memchr::memmem::find(bytes, &MARK[..12]).is_some();
    assert!(windows(&content), "the search finds what is there");
    assert!(!windows(&seen.body) && !windows(seen.head.as_bytes()));
    for file in files(&site.root()) {
        assert!(!windows(&fs::read(&file).unwrap()), "{}", file.display());
    }
    // it starts again on what is there
    let _process = Process::start(&site, client.address).await;
    let mut one = client.one().await;
    one.send(client.head("GET", "/bbb/k", &[])).await;
    assert_eq!(one.reply().await.status, 404);
    client.store("/bbb/k", &content).await;
}
